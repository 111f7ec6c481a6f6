// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * compact.c - memory back to the system: cached pages punched, objects moved together.
 *
 * A class is worth compacting when its objects cover clearly more pages than they would side by
 * side. Then objects move from the emptiest zspage, last slot first, to the fullest one, first slot
 * first; in the end within the one that is left.
 *
 * Locks: pool->compact_lock; class->lock for a batch of moves. The keeper of an object is asked
 * under class->lock and only tries its lock, so there is no order between the two.
 */
#include <string.h>

#include "arena/stock.h"
#include "util/hook.h"
#include "util/lock.h"
#include "zsmalloc/pool.h"
#include "zsmalloc/poison.h"
#include "zsmalloc/pool_i.h"
#include "zsmalloc/zspage.h"

/* Bytes copied before class->lock is offered to others: some 30 us. */
#define BATCH_BYTES (256 * KIB)

/* Pages too many that are left alone: one in 32. */
#define EXCESS_SHARE 32u

/* A group is left when so many zspages at its front were tried already. */
#define SOURCE_LOOKS 32u

/* One zs_compact(): guarded by compact_lock. */
struct compaction {
	struct zs_pool *pool;
	uint64_t bytes_left; /* that may still be copied */
	uint64_t batch_left; /* of these, before class->lock is given up */
	uint64_t populated, punched; /* pages */
};

/* What became of trying to move one object. */
enum move { MOVED, MOVE_PINNED, MOVE_NO_ROOM };

/*
 * Punch what is cached in one zspage, which may be gone afterwards; gives class->lock up meanwhile.
 */
static uint32_t zspage_trim(struct size_class *class, struct zspage *zspage)
	ZT_REQUIRES(&class->lock)
{
	struct page_set set;

	zspage_cached(class, zspage, &set);
	if (set.nr != 0)
		zspage_punch(class, zspage, &set);
	return set.nr;
}

/*
 * In each group those with cached pages stand first: nothing is searched, and class->lock is given up
 * for each zspage. What others cache meanwhile is theirs: no more is punched than there was.
 */
static uint64_t class_trim(struct size_class *class, int64_t keep_pages)
{
	atomic_long *cached = &class->pool->cached;
	uint64_t nr = 0, most;

	mutex_lock_counted(&class->lock, ZT_LOCK_CLASS);
	most = class->cached;
	for (unsigned group = 0; group < ZS_NR_GROUPS; group++) {
		struct zspage *zspage;

		while ((zspage = class->groups[group]) && zspage->nr_cached != 0 && nr < most &&
		       atomic_load_explicit(cached, memory_order_relaxed) > keep_pages)
			nr += zspage_trim(class, zspage);
	}
	mutex_unlock(&class->lock);
	return nr;
}

uint64_t zs_trim(struct zs_pool *pool, uint64_t keep)
{
	int64_t keep_pages = (int64_t)min_u64(keep >> ZT_PAGE_SHIFT, INT64_MAX);
	uint64_t nr = 0;

	/* Largest objects first: most bytes to a call. */
	for (uint32_t i = pool->nr_classes; i-- > 0;)
		if (size_class_is_ready(&pool->classes[i]))
			nr += class_trim(&pool->classes[i], keep_pages);
	return nr << ZT_PAGE_SHIFT;
}

/* Pages that the objects would cover side by side. */
static uint64_t class_needs(const struct size_class *class) ZT_REQUIRES(&class->lock)
{
	/* Whole zspages only are worth something where pages stay until their run is freed. */
	if (arena_is_stocked(class->pool->arena))
		return div_round_up_u64(class->objects, class->geo.nr_objs) * class->geo.nr_pages;
	return div_round_up_u64(class->objects * class->geo.room, ZT_PAGE_SIZE);
}

uint64_t class_excess(const struct size_class *class)
{
	uint64_t covered = class->resident - class->cached, needed = class_needs(class);

	if (arena_is_stocked(class->pool->arena))
		covered = (uint64_t)class->by_page.nodes * class->geo.nr_pages;
	return covered > needed ? covered - needed : 0;
}

static bool class_is_worthwhile(const struct size_class *class) ZT_REQUIRES(&class->lock)
{
	return class_excess(class) > class_needs(class) / EXCESS_SHARE;
}

/*
 * A slot for an object that leaves @src, where only slots below @src_slot will do; taken, resident.
 */
static bool target_take(struct compaction *c, struct size_class *class, struct zspage *src,
			uint32_t src_slot, struct zspage **out_zspage, uint32_t *out_slot)
	ZT_REQUIRES(&class->lock)
{
	struct zspage *zspage = NULL;
	uint32_t slot = ZSPAGE_NO_SLOT;
	struct page_set set;

	for (unsigned group = ZS_NR_PARTIAL_GROUPS; group >= src->group; group--) {
		for (zspage = class->groups[group]; zspage; zspage = zspage->next) {
			if (zspage != src)
				slot = zspage_pick(class, zspage, false);
			if (slot != ZSPAGE_NO_SLOT)
				goto found;
		}
		if (group == ZS_GROUP_EMPTY + 1)
			break;
	}
	zspage = src;
	slot = zspage_pick(class, zspage, false);
	if (slot == ZSPAGE_NO_SLOT || slot > src_slot)
		return false;
found:
	zspage_take(class, zspage, slot);
	zspage_absent(class, zspage, slot, &set);
	if (set.nr != 0) {
		int error = zspage_populate(class, zspage, &set, true);

		if (error) {
			zspage_drop(class, zspage, slot);
			return false;
		}
		c->populated += set.nr;
	}
	room_unpoison(c->pool->arena, zspage_slot_ref(class, zspage, slot), class->geo.room);
	*out_zspage = zspage;
	*out_slot = slot;
	return true;
}

/* Copy an object to a slot that was taken for it, if its keeper agrees. */
static bool object_move(struct zs_pool *pool, ref_t old_ref, ref_t new_ref)
{
	struct zs_owner owner = hdr_owner(hdr_load(pool->arena, old_ref)), now;
	uint64_t hdr;

	zt_hook("compact: an owner is read", old_ref);
	if (!pool->params.relocate_begin(pool->params.relocate_arg, owner, old_ref))
		return false;
	/* From here on nobody else changes the header: what it said before may be out of date. */
	hdr = hdr_load(pool->arena, old_ref);
	now = hdr_owner(hdr);
	if (!(hdr & HDR_LIVE) || now.word != owner.word || now.index != owner.index) {
		pool->params.relocate_end(pool->params.relocate_arg, owner, 0);
		return false;
	}
	memcpy(zs_data(pool->arena, new_ref), zs_data(pool->arena, old_ref), hdr_len(hdr));
	hdr_store(pool->arena, new_ref, hdr);
	pool->params.relocate_end(pool->params.relocate_arg, owner, new_ref);
	hdr_store(pool->arena, old_ref, 0);
	return true;
}

static enum move slot_move(struct compaction *c, struct size_class *class, struct zspage *src,
			   uint32_t src_slot) ZT_REQUIRES(&class->lock)
{
	ref_t old_ref = zspage_slot_ref(class, src, src_slot);
	uint32_t first = slot_first_page(class, src_slot);
	struct zspage *dst;
	uint32_t dst_slot;

	/* The header of a slot whose memory is only on its way must not be read. */
	if (!bitmap_test(zspage_resident(class, src), first) ||
	    hdr_owner(hdr_load(c->pool->arena, old_ref)).word == 0)
		return MOVE_PINNED;
	if (!target_take(c, class, src, src_slot, &dst, &dst_slot))
		return MOVE_NO_ROOM;
	if (!object_move(c->pool, old_ref, zspage_slot_ref(class, dst, dst_slot))) {
		zspage_drop(class, dst, dst_slot);
		return MOVE_PINNED;
	}
	room_poison(c->pool->arena, old_ref, class->geo.room);
	zspage_drop(class, src, src_slot);
	return MOVED;
}

/*
 * Move objects out of @src until none is left, or the batch is at its end, or there is no place.
 * Then punch what became free; class->lock is given up meanwhile and @src may be gone.
 * Return: whether the class has room for more.
 */
static bool zspage_evacuate(struct compaction *c, struct size_class *class, struct zspage *src)
	ZT_REQUIRES(&class->lock)
{
	enum move move = MOVED;
	uint32_t slot = class->geo.nr_objs;

	while (slot-- > 0 && move != MOVE_NO_ROOM && c->batch_left > 0) {
		if (!bitmap_test(zspage_live(src), slot))
			continue;
		move = slot_move(c, class, src, slot);
		if (move == MOVED)
			c->batch_left -= min_u64(c->batch_left, class->geo.room);
	}
	if (c->batch_left > 0)
		src->tried = class->tries;
	c->punched += zspage_trim(class, src);
	return move != MOVE_NO_ROOM;
}

/*
 * The emptiest zspage that holds objects, is not full and was not tried yet. Those that were are put
 * behind the others of their group, so few stand before one that was not.
 */
static struct zspage *source_find(struct size_class *class) ZT_REQUIRES(&class->lock)
{
	for (unsigned group = ZS_GROUP_EMPTY + 1; group < ZS_GROUP_FULL; group++) {
		struct zspage *zspage = class->groups[group];

		for (unsigned looks = 0; zspage && looks < SOURCE_LOOKS; looks++) {
			struct zspage *next = zspage->next;

			if (zspage->tried != class->tries)
				return zspage;
			zspage_resort(class, zspage);
			zspage = next;
		}
	}
	return NULL;
}

static void class_compact(struct compaction *c, struct size_class *class)
{
	struct zspage *src;

	mutex_lock_counted(&class->lock, ZT_LOCK_CLASS);
	/* A mark that is left from long ago spares a zspage one compaction. */
	class->tries = class->tries == UINT16_MAX ? 1 : (uint16_t)(class->tries + 1);
	while (c->bytes_left > 0 && class_is_worthwhile(class) && (src = source_find(class))) {
		uint64_t batch = min_u64(BATCH_BYTES, c->bytes_left);
		bool more;

		c->batch_left = batch;
		more = zspage_evacuate(c, class, src);
		c->bytes_left -= batch - c->batch_left;
		if (!more)
			break;
		mutex_unlock(&class->lock);
		mutex_lock_counted(&class->lock, ZT_LOCK_CLASS);
	}
	mutex_unlock(&class->lock);
}

uint64_t zs_compact(struct zs_pool *pool, uint64_t max_bytes)
{
	struct compaction c = { .pool = pool, .bytes_left = max_bytes ? max_bytes : UINT64_MAX };

	if (!pool->params.relocate_begin)
		return 0;
	mutex_lock_counted(&pool->compact_lock, ZT_LOCK_COMPACT);
	for (uint32_t i = 0; i < pool->nr_classes && c.bytes_left > 0; i++)
		if (size_class_is_ready(&pool->classes[i]))
			class_compact(&c, &pool->classes[i]);
	mutex_unlock(&pool->compact_lock);
	atomic_fetch_add_explicit(&pool->pages_compacted, c.punched, memory_order_relaxed);
	return c.punched > c.populated ? (c.punched - c.populated) << ZT_PAGE_SHIFT : 0;
}
