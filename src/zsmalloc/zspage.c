// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * zspage.c - slots and pages of zspages: life cycle, fullness groups, hash, coverage.
 *
 * Called with class->lock held, takes arena.lock for runs. Never touches the objects' memory.
 */
#include "zsmalloc/zspage.h"

#include <errno.h>
#include <string.h>

#include "arena/attach.h"
#include "util/hook.h"
#include "util/lock.h"
#include "zsmalloc/poison.h"

/* zspage_pick() looks at so many free slots for one that costs no memory. */
#define PICK_LOOKS          16u
#define PICK_LOOKS_THOROUGH ZSPAGE_MAX_OBJS

static uint8_t group_of(const struct size_class *class, const struct zspage *zspage)
{
	if (zspage->inuse == 0)
		return ZS_GROUP_EMPTY;
	if (zspage->inuse == class->geo.nr_objs)
		return ZS_GROUP_FULL;
	return (uint8_t)(1 + zspage->inuse * ZS_NR_PARTIAL_GROUPS / class->geo.nr_objs);
}

/* Those with cached pages stand first: they are the ones to take from, and to punch. */
static void group_add(struct size_class *class, struct zspage *zspage)
{
	struct zspage **head = &class->groups[zspage->group], *first = *head;

	class->group_zspages[zspage->group]++;
	zspage->next = zspage->nr_cached ? first : NULL;
	zspage->prev = first ? first->prev : zspage;
	if (first && !zspage->nr_cached)
		first->prev->next = zspage;
	if (first)
		first->prev = zspage;
	if (!first || zspage->nr_cached)
		*head = zspage;
}

static void group_remove(struct size_class *class, struct zspage *zspage)
{
	struct zspage **head = &class->groups[zspage->group];

	class->group_zspages[zspage->group]--;
	if (*head == zspage)
		*head = zspage->next;
	else
		zspage->prev->next = zspage->next;
	if (zspage->next)
		zspage->next->prev = zspage->prev;
	else if (*head)
		(*head)->prev = zspage->prev;
}

void zspage_resort(struct size_class *class, struct zspage *zspage)
{
	group_remove(class, zspage);
	group_add(class, zspage);
}

static void group_update(struct size_class *class, struct zspage *zspage)
{
	uint8_t group = group_of(class, zspage);

	if (group == zspage->group)
		return;
	group_remove(class, zspage);
	zspage->group = group;
	group_add(class, zspage);
}

static struct zspage *zspage_of(struct chain_link *link)
{
	return link ? container_of(link, struct zspage, link) : NULL;
}

static uint64_t page_hash(const struct size_class *class, uint64_t page)
{
	return page >> class->run_order;
}

static uint64_t link_hash(const void *arg, const struct chain_link *link)
{
	const struct zspage *zspage = container_of(link, const struct zspage, link);

	return page_hash(arg, zspage->page);
}

static int heads_alloc(void *arg, size_t size, void **out_ptr)
{
	const struct size_class *class = arg;

	return arena_heap_alloc(class->pool->arena, size, out_ptr);
}

static void heads_free(void *arg, void *ptr, size_t size)
{
	const struct size_class *class = arg;

	arena_heap_free(class->pool->arena, ptr, size);
}

static const struct chains_ops page_chains = {
	.hash = link_hash,
	.alloc = heads_alloc,
	.free = heads_free,
};

/* A new one, whose page is known, into hash and group. */
static void zspage_enlist(struct size_class *class, struct zspage *zspage)
{
	zspage->group = ZS_GROUP_EMPTY;
	group_add(class, zspage);
	chains_add(&class->by_page, &page_chains, class, &zspage->link,
		   page_hash(class, zspage->page));
}

int zspage_create(struct size_class *class, struct zspage **out_zspage)
{
	struct zs_pool *pool = class->pool;
	struct zspage *zspage;
	void *space;
	ref_t ref;
	int error = arena_heap_alloc(pool->arena, zspage_struct_size(&class->geo), &space);

	if (error)
		return error;
	zspage = space;
	error = arena_run_alloc(pool->arena, class->geo.nr_pages, ARENA_RUN_ZSPAGE,
				pool->params.id << ZS_USER_CLASS_BITS | class->idx, &ref);
	if (error) {
		arena_heap_free(pool->arena, space, zspage_struct_size(&class->geo));
		return error;
	}
	zspage->page = (uint32_t)(ref / ARENA_PAGE_REFS);
	zspage_enlist(class, zspage);
	*out_zspage = zspage;
	return 0;
}

bool zspage_reap(struct size_class *class, struct zspage *zspage)
{
	ref_t ref = zspage_ref(zspage);

	if (zspage->inuse != 0 || zspage->nr_resident != 0 || zspage->nr_busy != 0)
		return false;
	zspage_forget(class, zspage);
	arena_run_free(class->pool->arena, ref);
	return true;
}

void zspage_forget(struct size_class *class, struct zspage *zspage)
{
	group_remove(class, zspage);
	chains_remove(&class->by_page, &page_chains, class, &zspage->link,
		      page_hash(class, zspage->page));
	arena_heap_free(class->pool->arena, zspage, zspage_struct_size(&class->geo));
}

struct zspage *zspage_find(const struct size_class *class, uint64_t page)
{
	struct zspage *zspage = zspage_of(chains_first(&class->by_page, page_hash(class, page)));

	while (zspage && zspage->page != page)
		zspage = zspage_of(zspage->link.next);
	return zspage;
}

uint32_t zspage_pick(const struct size_class *class, struct zspage *zspage, bool resident_only)
{
	const uint64_t *live = zspage_live(zspage);
	const uint64_t *resident = zspage_resident(class, zspage);
	const uint64_t *busy = zspage_busy(class, zspage);
	uint32_t looks = resident_only ? PICK_LOOKS_THOROUGH : PICK_LOOKS;
	uint32_t nr_objs = class->geo.nr_objs, best = ZSPAGE_NO_SLOT;

	for (uint32_t slot = 0; looks > 0; slot++, looks--) {
		uint32_t first, last;

		slot = bitmap_find(live, false, slot, nr_objs);
		if (slot == nr_objs)
			break;
		first = slot_first_page(class, slot);
		last = slot_last_page(class, slot);
		if (zspage->nr_busy != 0 && bitmap_any(busy, first, last))
			continue;
		if (bitmap_find(resident, false, first, last + 1) > last)
			return slot;
		if (best == ZSPAGE_NO_SLOT)
			best = slot;
	}
	return resident_only ? ZSPAGE_NO_SLOT : best;
}

bool zspage_covered(const struct size_class *class, struct zspage *zspage, uint32_t page)
{
	uint32_t first = page * ZT_PAGE_SIZE / class->geo.room;
	uint32_t last = (page * ZT_PAGE_SIZE + ZT_PAGE_SIZE - 1) / class->geo.room;

	if (last >= class->geo.nr_objs)
		last = class->geo.nr_objs - 1u;
	return bitmap_any(zspage_live(zspage), first, last);
}

static void count_cached(struct size_class *class, struct zspage *zspage, int32_t nr)
	ZT_REQUIRES(&class->lock)
{
	bool had = zspage->nr_cached != 0;

	if (nr == 0)
		return;
	zspage->nr_cached = (uint16_t)(zspage->nr_cached + nr);
	/* Before the others of its group, or behind them. */
	if (had != (zspage->nr_cached != 0))
		zspage_resort(class, zspage);
	class->cached += (uint32_t)nr; /* modulo 2^32: it may be negative */
	atomic_fetch_add_explicit(&class->pool->cached, nr, memory_order_relaxed);
}

/* Resident pages of a slot, not in use now, that no slot in use touches. */
static int32_t slot_cached_pages(const struct size_class *class, struct zspage *zspage,
				 uint32_t slot)
{
	const uint64_t *resident = zspage_resident(class, zspage);
	uint32_t first = slot_first_page(class, slot), last = slot_last_page(class, slot);
	int32_t nr = 0;

	for (uint32_t page = first; page <= last; page++) {
		/* Pages inside belong to this slot alone. */
		bool shared = page == first || page == last;

		if (bitmap_test(resident, page) && !(shared && zspage_covered(class, zspage, page)))
			nr++;
	}
	return nr;
}

void zspage_take(struct size_class *class, struct zspage *zspage, uint32_t slot)
{
	ZT_ASSERT(!bitmap_test(zspage_live(zspage), slot));
	count_cached(class, zspage, -slot_cached_pages(class, zspage, slot));
	bitmap_set(zspage_live(zspage), slot);
	zspage->inuse++;
	zs_note(class->pool, zspage->page);
	group_update(class, zspage);
}

void zspage_drop(struct size_class *class, struct zspage *zspage, uint32_t slot)
{
	ZT_ASSERT(bitmap_test(zspage_live(zspage), slot));
	bitmap_clear(zspage_live(zspage), slot);
	count_cached(class, zspage, slot_cached_pages(class, zspage, slot));
	zspage->inuse--;
	group_update(class, zspage);
}

int zspage_attach(struct size_class *class, uint32_t page, struct zspage **out_zspage)
{
	struct arena *arena = class->pool->arena;
	uint32_t nr_pages = class->geo.nr_pages;
	struct zspage *zspage;
	void *space;
	int error = arena_heap_alloc(arena, zspage_struct_size(&class->geo), &space);

	if (error)
		return error;
	zspage = space;
	zspage->page = page;
	/* In a stocked arena all of a run is there, and zero until it is used. */
	arena_attach_resident(arena, zspage_ref(zspage), nr_pages, zspage_resident(class, zspage));
	for (uint32_t i = 0; i < nr_pages; i++)
		zspage->nr_resident += bitmap_test(zspage_resident(class, zspage), i);
	class->resident += zspage->nr_resident;
	zspage_enlist(class, zspage);
	*out_zspage = zspage;
	return 0;
}

bool zspage_settle(struct size_class *class, struct zspage *zspage)
{
	int32_t nr = 0;

	if (zspage->inuse == 0 && zspage->nr_resident == 0) {
		zspage_forget(class, zspage);
		return true;
	}
	for (uint32_t page = 0; page < class->geo.nr_pages; page++)
		nr += bitmap_test(zspage_resident(class, zspage), page) &&
		      !zspage_covered(class, zspage, page);
	count_cached(class, zspage, nr);
	group_update(class, zspage);
	return false;
}

static void set_add(struct page_set *set, uint32_t page)
{
	bitmap_set(set->bits, page);
	set->nr++;
}

void zspage_absent(const struct size_class *class, struct zspage *zspage, uint32_t slot,
		   struct page_set *out_set)
{
	const uint64_t *resident = zspage_resident(class, zspage);
	uint32_t last = slot_last_page(class, slot);

	memset(out_set, 0, sizeof(*out_set));
	for (uint32_t page = slot_first_page(class, slot); page <= last; page++) {
		if (!bitmap_test(resident, page))
			set_add(out_set, page);
	}
}

void zspage_ahead(const struct size_class *class, struct zspage *zspage, uint32_t slot, uint32_t nr,
		  struct page_set *inout_set)
{
	uint32_t page = slot_last_page(class, slot) + 1;

	for (; nr > 0 && page < class->geo.nr_pages; nr--, page++) {
		if (bitmap_test(zspage_resident(class, zspage), page) ||
		    bitmap_test(zspage_busy(class, zspage), page))
			return;
		set_add(inout_set, page);
	}
}

void zspage_cached(const struct size_class *class, struct zspage *zspage, struct page_set *out_set)
{
	uint32_t page = 0, end = class->geo.nr_pages;

	memset(out_set, 0, sizeof(*out_set));
	while (out_set->nr < zspage->nr_cached) {
		page = bitmap_find(zspage_resident(class, zspage), true, page, end);
		ZT_ASSERT(page < end);
		if (!bitmap_test(zspage_busy(class, zspage), page) &&
		    !zspage_covered(class, zspage, page))
			set_add(out_set, page);
		page++;
	}
}

/* The next run of pages in @set at or behind @from; false when there is none. */
static bool set_next_run(const struct page_set *set, uint32_t from, uint32_t *out_first,
			 uint32_t *out_end)
{
	*out_first = bitmap_find(set->bits, true, from, ZSPAGE_MAX_PAGES);
	if (*out_first == ZSPAGE_MAX_PAGES)
		return false;
	*out_end = bitmap_find(set->bits, false, *out_first, ZSPAGE_MAX_PAGES);
	return true;
}

static void busy_begin(struct size_class *class, struct zspage *zspage, const struct page_set *set)
	ZT_REQUIRES(&class->lock)
{
	uint64_t *busy = zspage_busy(class, zspage);

	for (uint32_t i = 0; i < class->page_words; i++)
		busy[i] |= set->bits[i];
	zspage->nr_busy = (uint16_t)(zspage->nr_busy + set->nr);
}

static void busy_end(struct size_class *class, struct zspage *zspage, const struct page_set *set)
	ZT_REQUIRES(&class->lock)
{
	struct zs_pool *pool = class->pool;
	uint64_t *busy = zspage_busy(class, zspage);

	for (uint32_t i = 0; i < class->page_words; i++)
		busy[i] &= ~set->bits[i];
	zspage->nr_busy = (uint16_t)(zspage->nr_busy - set->nr);
	/* A waiter on this class counted itself under class->lock; others are woken for nothing. */
	if (atomic_load_explicit(&pool->nr_waiters, memory_order_relaxed) == 0)
		return;
	mutex_lock(&pool->wait_lock);
	cond_broadcast(&pool->wait_cond);
	mutex_unlock(&pool->wait_lock);
}

void zspage_wait(struct size_class *class)
{
	struct zs_pool *pool = class->pool;
	uint64_t begin;

	/*
	 * wait_lock before class->lock is released: the thread that ends being busy finds us
	 * waiting.
	 */
	atomic_fetch_add_explicit(&pool->nr_waiters, 1, memory_order_relaxed);
	mutex_lock(&pool->wait_lock);
	mutex_unlock(&class->lock);
	begin = zt_lock_wait_begin();
	cond_wait(&pool->wait_cond, &pool->wait_lock);
	zt_lock_wait_end(ZT_LOCK_PAGE, begin);
	mutex_unlock(&pool->wait_lock);
	atomic_fetch_sub_explicit(&pool->nr_waiters, 1, memory_order_relaxed);
	mutex_lock_counted(&class->lock, ZT_LOCK_CLASS);
}

int zspage_populate(struct size_class *class, struct zspage *zspage, const struct page_set *set,
		    bool keep_lock) ZT_NO_LOCK_CHECK /* @keep_lock */
{
	uint32_t first, end = 0, done = 0;
	int error = 0;

	busy_begin(class, zspage, set);
	if (!keep_lock) {
		mutex_unlock(&class->lock);
		zt_hook("zspage: pages are on their way", zspage_ref(zspage));
	}
	while (!error && set_next_run(set, end, &first, &end)) {
		error = arena_populate(class->pool->arena,
				       zspage_ref(zspage) + first * ARENA_PAGE_REFS, end - first);
		if (!error)
			done = end;
	}
	if (!keep_lock)
		mutex_lock_counted(&class->lock, ZT_LOCK_CLASS);
	busy_end(class, zspage, set);
	for (end = 0; set_next_run(set, end, &first, &end) && end <= done;) {
		for (uint32_t page = first; page < end; page++) {
			bitmap_set(zspage_resident(class, zspage), page);
			count_cached(class, zspage, !zspage_covered(class, zspage, page));
		}
		zspage->nr_resident = (uint16_t)(zspage->nr_resident + end - first);
		class->resident += end - first;
	}
	return error;
}

void zspage_punch(struct size_class *class, struct zspage *zspage, const struct page_set *set)
{
	uint64_t *resident = zspage_resident(class, zspage);
	uint32_t first, end = 0;

	count_cached(class, zspage, -(int32_t)set->nr);
	busy_begin(class, zspage, set);
	mutex_unlock(&class->lock);
	while (set_next_run(set, end, &first, &end)) {
		ref_t ref = zspage_ref(zspage) + first * ARENA_PAGE_REFS;

		room_unpoison(class->pool->arena, ref, (uint64_t)(end - first) << ZT_PAGE_SHIFT);
		arena_punch(class->pool->arena, ref, end - first);
	}
	mutex_lock_counted(&class->lock, ZT_LOCK_CLASS);
	for (uint32_t i = 0; i < class->page_words; i++)
		resident[i] &= ~set->bits[i];
	zspage->nr_resident = (uint16_t)(zspage->nr_resident - set->nr);
	class->resident -= set->nr;
	busy_end(class, zspage, set);
	(void)zspage_reap(class, zspage); /* there may be something in it again */
}
