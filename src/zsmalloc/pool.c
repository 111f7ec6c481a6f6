// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * pool.c - zs_malloc() and zs_free(): objects to slots; owners and lengths in header words.
 *
 * Locks: class->lock around everything that concerns slots, one class at a time; memory is
 * populated and punched outside of it (zspage.h: busy). Never touches an object's bytes, but zeroes
 * the room of a fixed pool's objects, and poisons rooms that become free (poison.h).
 */
#include "zsmalloc/pool.h"

#include <errno.h>
#include <string.h>

#include "arena/stock.h"
#include "util/alloc.h"
#include "util/hook.h"
#include "util/lock.h"
#include "zsmalloc/poison.h"
#include "zsmalloc/pool_i.h"
#include "zsmalloc/zspage.h"

/*
 * Small objects of a busy class are given pages ahead of need, to save system calls: one page for
 * so many that the class has, and no more than so many.
 */
#define AHEAD_SHARE 64u
#define AHEAD_MAX   3u

static_assert(ZS_MAX_SIZE + ZS_HDR_SIZE <= ZSPAGE_MAX_PAGES * ZT_PAGE_SIZE, "one object at least");

static size_t classes_size(const struct zs_pool *pool)
{
	return pool->nr_classes * sizeof(*pool->classes);
}

int zs_pool_create(struct arena *arena, const struct zs_pool_params *params,
		   struct zs_pool **out_pool)
{
	bool fixed = params->fixed_size != 0;
	struct zs_pool *pool;

	if (params->id >= ZS_MAX_POOLS || params->fixed_size > ZS_MAX_SIZE ||
	    !params->relocate_begin != !params->relocate_end)
		return -EINVAL;
	pool = zt_zalloc(sizeof(*pool));
	if (!pool)
		return -ENOMEM;
	pool->arena = arena;
	pool->params = *params;
	pool->nr_classes = fixed ? 1 : zs_rooms_fill(NULL);
	pool->rooms = zt_zalloc(pool->nr_classes * sizeof(*pool->rooms));
	if (!pool->rooms)
		goto err_pool;
	pool->classes = zt_map(classes_size(pool));
	if (!pool->classes)
		goto err_rooms;
	if (fixed)
		pool->rooms[0] = (uint32_t)max_u64(
			ZS_MIN_ROOM, round_up_u64(params->fixed_size + ZS_HDR_SIZE, ZS_ROOM_STEP));
	else
		(void)zs_rooms_fill(pool->rooms); /* as many as it counted */
	ZT_ASSERT(pool->nr_classes <= 1u << ZS_USER_CLASS_BITS);
	mutex_init(&pool->ready_lock, ZT_RANK_READY);
	mutex_init(&pool->compact_lock, ZT_RANK_COMPACT);
	mutex_init(&pool->wait_lock, ZT_RANK_PAGE_WAIT);
	cond_init(&pool->wait_cond);
	*out_pool = pool;
	return 0;

err_rooms:
	zt_free(pool->rooms);
err_pool:
	zt_free(pool);
	return -ENOMEM;
}

static void class_destroy(struct size_class *class)
{
	for (unsigned group = 0; group < ZS_NR_GROUPS; group++) {
		struct zspage *zspage;

		while ((zspage = class->groups[group])) {
			struct page_set set;

			mutex_lock_counted(&class->lock, ZT_LOCK_CLASS);
			for (uint32_t slot = 0; slot < class->geo.nr_objs; slot++) {
				if (bitmap_test(zspage_live(zspage), slot))
					zspage_drop(class, zspage, slot);
			}
			zspage_cached(class, zspage, &set);
			zspage_punch(class, zspage, &set);
			mutex_unlock(&class->lock);
		}
	}
	size_class_exit(class);
}

void zs_pool_destroy(struct zs_pool *pool)
{
	if (!pool)
		return;
	for (uint32_t i = 0; i < pool->nr_classes; i++)
		if (size_class_is_ready(&pool->classes[i]))
			class_destroy(&pool->classes[i]);
	zs_pool_free(pool);
}

void zs_pool_free(struct zs_pool *pool)
{
	cond_exit(&pool->wait_cond);
	mutex_exit(&pool->wait_lock);
	mutex_exit(&pool->compact_lock);
	mutex_exit(&pool->ready_lock);
	zs_notes_free(pool);
	zt_unmap(pool->classes, classes_size(pool));
	zt_free(pool->rooms);
	zt_free(pool);
}

/* Index of the class for objects of @size bytes; -EINVAL when there is none. */
static int class_idx_of(const struct zs_pool *pool, uint32_t size, uint32_t *out_idx)
{
	if (pool->params.fixed_size != 0 ? size != pool->params.fixed_size
					 : size == 0 || size > ZS_MAX_SIZE)
		return -EINVAL;
	*out_idx = zs_rooms_find(pool->rooms, pool->nr_classes, size + ZS_HDR_SIZE);
	return 0;
}

struct size_class *zs_class_ready(struct zs_pool *pool, uint32_t idx)
{
	struct size_class *class = &pool->classes[idx];

	if (likely(size_class_is_ready(class)))
		return class;
	mutex_lock(&pool->ready_lock);
	if (!size_class_is_ready(class))
		size_class_init(class, pool, idx, pool->rooms[idx]);
	mutex_unlock(&pool->ready_lock);
	return class;
}

struct size_class *zs_find(const struct zs_pool *pool, ref_t ref, uint64_t *out_page,
			   uint32_t *out_offset)
{
	uint32_t class_idx;
	struct arena_run run;

	if (!arena_run_find(pool->arena, ref, &run) || run.type != ARENA_RUN_ZSPAGE ||
	    run.user >> ZS_USER_CLASS_BITS != pool->params.id)
		return NULL;
	class_idx = run.user & ((1u << ZS_USER_CLASS_BITS) - 1);
	/* A run that was only just made may be seen before its class: it holds nothing yet. */
	if (class_idx >= pool->nr_classes || !size_class_is_ready(&pool->classes[class_idx]))
		return NULL;
	*out_page = run.ref / ARENA_PAGE_REFS;
	*out_offset = (uint32_t)(ref - run.ref) << ARENA_REF_SHIFT;
	return &pool->classes[class_idx];
}

/*
 * The class, zspage and slot of a live object; returns with class->lock held, which clang cannot be
 * told: callers assert it.
 */
static struct size_class *object_lock(const struct zs_pool *pool, ref_t ref,
				      struct zspage **out_zspage, uint32_t *out_slot)
	ZT_NO_LOCK_CHECK
{
	uint64_t page = 0;
	uint32_t offset = 0;
	struct size_class *class = zs_find(pool, ref, &page, &offset);

	/* A ref that names nothing would free what belongs to somebody else. */
	if (!class || offset % class->geo.room != 0)
		abort();
	mutex_lock_counted(&class->lock, ZT_LOCK_CLASS);
	*out_zspage = zspage_find(class, page);
	*out_slot = offset / class->geo.room;
	if (!*out_zspage || *out_slot >= class->geo.nr_objs ||
	    !bitmap_test(zspage_live(*out_zspage), *out_slot))
		abort();
	return class;
}

/*
 * A free slot in the fullest zspage that has one. Return: 0; -EAGAIN when only slots on busy pages
 * are left; -ENOSPC when @resident_only finds none; errors of zspage_create().
 */
static int class_pick(struct size_class *class, bool resident_only, struct zspage **out_zspage,
		      uint32_t *out_slot) ZT_REQUIRES(&class->lock)
{
	bool busy = false;

	for (unsigned i = 0; i <= ZS_NR_PARTIAL_GROUPS; i++) {
		struct zspage *zspage = class->groups[ZS_NR_PARTIAL_GROUPS - i];

		for (; zspage; zspage = zspage->next) {
			*out_slot = zspage_pick(class, zspage, resident_only);
			*out_zspage = zspage;
			if (*out_slot != ZSPAGE_NO_SLOT)
				return 0;
			busy |= zspage->nr_busy != 0;
		}
	}
	if (busy)
		return -EAGAIN;
	if (resident_only)
		return -ENOSPC;
	*out_slot = 0;
	return zspage_create(class, out_zspage);
}

/*
 * Back a slot just taken with memory; class->lock is given up meanwhile. On error the slot is free.
 */
static int slot_populate(struct size_class *class, struct zspage *zspage, uint32_t slot)
	ZT_REQUIRES(&class->lock)
{
	struct page_set set;
	int error;

	zspage_absent(class, zspage, slot, &set);
	if (set.nr == 0)
		return 0;
	if (class->geo.room < ZT_PAGE_SIZE)
		zspage_ahead(class, zspage, slot,
			     (uint32_t)min_u64(class->resident / AHEAD_SHARE, AHEAD_MAX), &set);
	error = zspage_populate(class, zspage, &set, false);
	if (error) {
		zspage_drop(class, zspage, slot);
		(void)zspage_reap(class, zspage); /* others may use it */
	}
	return error;
}

static int class_alloc(struct size_class *class, uint32_t size, bool resident_only, ref_t *out_ref)
{
	struct zspage *zspage;
	uint32_t slot;
	int error;

	mutex_lock_counted(&class->lock, ZT_LOCK_CLASS);
	while ((error = class_pick(class, resident_only, &zspage, &slot)) == -EAGAIN)
		zspage_wait(class);
	if (!error) {
		zspage_take(class, zspage, slot);
		error = slot_populate(class, zspage, slot);
	}
	if (!error) {
		*out_ref = zspage_slot_ref(class, zspage, slot);
		room_unpoison(class->pool->arena, *out_ref, class->geo.room);
		/* Before it is live: a process that is killed here leaves no old record. */
		if (class->pool->params.fixed_size != 0)
			memset(zs_data(class->pool->arena, *out_ref), 0, size);
		hdr_store(class->pool->arena, *out_ref, hdr_with_len(HDR_LIVE, size));
		class->objects++;
		class->made++;
		class->object_bytes += size;
	}
	mutex_unlock(&class->lock);
	return error;
}

int zs_malloc(struct zs_pool *pool, uint32_t size, ref_t *out_ref)
{
	struct size_class *class;
	uint32_t idx;
	int error = class_idx_of(pool, size, &idx);

	if (error)
		return error;
	class = zs_class_ready(pool, idx);
	error = class_alloc(class, size, false, out_ref);
	if (error && zs_trim(pool, 0) > 0)
		error = class_alloc(class, size, false, out_ref);
	if (error) {
		/* The first choice needs memory; some slot may have it. */
		if (class_alloc(class, size, true, out_ref) != 0)
			return error;
	}
	return 0;
}

void zs_free(struct zs_pool *pool, ref_t ref)
{
	struct zspage *zspage;
	uint32_t slot;
	struct size_class *class = object_lock(pool, ref, &zspage, &slot);
	struct page_set set;

	mutex_assert_held(&class->lock);
	class->objects--;
	class->object_bytes -= hdr_len(hdr_load(pool->arena, ref));
	hdr_store(pool->arena, ref, 0);
	room_poison(pool->arena, ref, class->geo.room);
	zspage_drop(class, zspage, slot);
	if (zspage->nr_cached != 0 &&
	    atomic_load_explicit(&pool->cached, memory_order_relaxed) > ZS_CACHE_PAGES) {
		zspage_cached(class, zspage, &set);
		zspage_punch(class, zspage, &set);
	}
	mutex_unlock(&class->lock);
}

uint32_t zs_size(const struct arena *arena, ref_t ref)
{
	return hdr_len(hdr_load(arena, ref));
}

struct zs_owner zs_get_owner(const struct arena *arena, ref_t ref)
{
	return hdr_owner(hdr_load(arena, ref));
}

void zs_set_owner(struct arena *arena, ref_t ref, struct zs_owner owner)
{
	hdr_store(arena, ref, hdr_with_owner(hdr_load(arena, ref), owner));
}

void zs_change_owner(const struct zs_pool *pool, ref_t ref, struct zs_owner owner)
{
	struct zspage *zspage;
	uint32_t slot;
	struct size_class *class = object_lock(pool, ref, &zspage, &slot);

	mutex_assert_held(&class->lock);
	zt_hook("pool: an owner is exchanged", ref);
	zs_set_owner(pool->arena, ref, owner);
	zs_note(class->pool, zspage->page);
	mutex_unlock(&class->lock);
}

bool zs_resize(struct zs_pool *pool, ref_t ref, uint32_t size)
{
	struct zspage *zspage;
	uint32_t slot;
	struct size_class *class = object_lock(pool, ref, &zspage, &slot);
	bool fits = size >= 1 && size <= class->geo.room - ZS_HDR_SIZE && size <= ZS_MAX_SIZE;
	uint64_t hdr = hdr_load(pool->arena, ref);

	mutex_assert_held(&class->lock);
	if (pool->params.fixed_size != 0 && size != pool->params.fixed_size)
		fits = false;
	if (fits) {
		class->object_bytes += size;
		class->object_bytes -= hdr_len(hdr);
		hdr_store(pool->arena, ref, hdr_with_len(hdr, size));
		zs_note(pool, zspage->page);
	}
	mutex_unlock(&class->lock);
	return fits;
}

uint32_t zs_room(const struct zs_pool *pool, uint32_t size)
{
	uint32_t idx;

	if (class_idx_of(pool, size, &idx) != 0)
		return 0;
	if (pool->params.fixed_size != 0)
		return size;
	return (uint32_t)min_u64(pool->rooms[idx] - ZS_HDR_SIZE, ZS_MAX_SIZE);
}

uint32_t zs_room_of(const struct zs_pool *pool, ref_t ref)
{
	uint64_t page = 0;
	uint32_t offset = 0;
	const struct size_class *class = zs_find(pool, ref, &page, &offset);

	if (pool->params.fixed_size != 0)
		return pool->params.fixed_size;
	return (uint32_t)min_u64(class->geo.room - ZS_HDR_SIZE, ZS_MAX_SIZE);
}

uint32_t zs_room_below(const struct zs_pool *pool, uint32_t size)
{
	uint32_t idx;

	if (class_idx_of(pool, size, &idx) != 0 || idx == 0)
		return 0;
	return pool->rooms[idx - 1] - ZS_HDR_SIZE;
}

void zs_pool_get_stat(struct zs_pool *pool, struct zs_pool_stat *out_stat)
{
	struct zs_pool_stat stat = { 0 };

	for (uint32_t i = 0; i < pool->nr_classes; i++) {
		struct size_class *class = &pool->classes[i];

		if (!size_class_is_ready(class))
			continue;
		mutex_lock_counted(&class->lock, ZT_LOCK_CLASS);
		stat.objects += class->objects;
		stat.made += class->made;
		stat.object_bytes += class->object_bytes;
		if (arena_is_stocked(pool->arena)) {
			stat.resident += (uint64_t)class->by_page.nodes * class->geo.nr_pages
					 << ZT_PAGE_SHIFT;
		} else {
			stat.resident += class->resident << ZT_PAGE_SHIFT;
			stat.cached += (uint64_t)class->cached << ZT_PAGE_SHIFT;
		}
		stat.zspages += class->by_page.nodes;
		stat.excess += class_excess(class) << ZT_PAGE_SHIFT;
		mutex_unlock(&class->lock);
	}
	stat.pages_compacted = atomic_load_explicit(&pool->pages_compacted, memory_order_relaxed);
	*out_stat = stat;
}

uint32_t zs_nr_classes(const struct zs_pool *pool)
{
	return pool->nr_classes;
}

/* What compaction could give back at best: all objects side by side from the first page on. */
static uint64_t freeable_pages(const struct size_class *class)
{
	uint64_t full = class->objects / class->geo.nr_objs * class->geo.nr_pages;
	uint64_t rest = class->objects % class->geo.nr_objs * class->geo.room;
	uint64_t needed = full + div_round_up_u64(rest, ZT_PAGE_SIZE);

	return class->resident > needed ? class->resident - needed : 0;
}

void zs_class_get_stat(struct zs_pool *pool, uint32_t class_idx, struct zs_class_stat *out_stat)
{
	struct size_class *class = &pool->classes[class_idx];

	*out_stat = (struct zs_class_stat){ .room = pool->rooms[class_idx] };
	if (!size_class_is_ready(class))
		return;
	mutex_lock_counted(&class->lock, ZT_LOCK_CLASS);
	for (unsigned group = 0; group < ZS_NR_GROUPS; group++)
		out_stat->groups[group] = class->group_zspages[group];
	out_stat->object_bytes = class->object_bytes;
	out_stat->cached_pages = class->cached;
	out_stat->freeable_pages = freeable_pages(class);
	out_stat->pages_per_zspage = class->geo.nr_pages;
	out_stat->objs_per_zspage = class->geo.nr_objs;
	out_stat->objects = class->objects;
	out_stat->zspages = class->by_page.nodes;
	out_stat->resident_pages = class->resident;
	mutex_unlock(&class->lock);
}
