// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * slots.c - the hashed slot locks, publishing and freeing of slot words.
 *
 * relocate.c has what compaction does meanwhile.
 */
#include "blkmap/slot/slots.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "blkmap/slot/account.h"
#include "blkmap/slot/age.h"
#include "blkmap/slot/borrow.h"
#include "blkmap/slot/heat.h"
#include "blkmap/slot/live.h"
#include "blkmap/slot/share.h"
#include "blkmap/slot/slots_i.h"
#include "util/alloc.h"
#include "util/hook.h"
#include "zsmalloc/attach.h"

void slot_set_owner(struct slots *slots, uint64_t word, const uint64_t *place, unsigned index)
{
	struct zs_owner owner = { .word = slot_place(slots, place), .index = index };

	if (slot_kind(word) != SLOT_OBJ)
		return;
	if (zs_get_owner(slots->arena, slot_ref(word)).word)
		zs_change_owner(slots->data, slot_ref(word), owner);
	else
		zs_set_owner(slots->arena, slot_ref(word), owner);
}

static void object_disown(struct slots *slots, uint64_t word)
{
	if (slot_kind(word) == SLOT_OBJ)
		zs_change_owner(slots->data, slot_ref(word), (struct zs_owner){ .word = 0 });
}

/* The object of a SHARED one is its record's. */
struct loose_word slot_disown(struct slots *slots, uint64_t word, unsigned order)
{
	if (slot_kind(word) == SLOT_MAP) {
		const struct cluster_map *cmap = cluster_map_at(slots, word);

		object_disown(slots, word_get(&cmap->base));
		for (unsigned p = 0; p < 1u << order; p++)
			object_disown(slots, word_get(&cmap->pages[p]));
	}
	object_disown(slots, word);
	return (struct loose_word){ word };
}

struct loose_word slot_fresh(uint64_t word)
{
	return (struct loose_word){ word };
}

int slot_publish(struct slots *slots, const struct blkmap_file *file, uint64_t *slot, uint64_t word,
		 struct loose_word *out_old)
{
	struct slot_lock *lock = slot_lock(slots, slot);
	uint64_t old = word_get(slot);
	int delta = __builtin_popcount(slot_present(slots, word, file->order)) -
		    __builtin_popcount(slot_present(slots, old, file->order));
	int error = pages_charge(slots, file, delta);

	if (error)
		return error;
	slot_count(slots, word, file->order, 1);
	slot_count(slots, old, file->order, -1);
	slot_set_owner(slots, word, slot, OWNER_SLOT);
	if (slot_kind(word) == SLOT_OBJ)
		age_touch(slots, slot_ref(word));
	word_set(slot, word);
	lock->seq++;
	if (slot_kind(old) == SLOT_MAP)
		live_map_remove(slots, lock, slot_place(slots, slot));
	*out_old = slot_disown(slots, old, file->order);
	return 0;
}

static void object_free(struct slots *slots, uint64_t word)
{
	ZT_ASSERT(zs_get_owner(slots->arena, slot_ref(word)).word == 0); /* a loose word */
	zs_free(slots->data, slot_ref(word));
}

void slot_release(struct slots *slots, struct loose_word loose, unsigned order)
{
	uint64_t word = loose.word;
	struct cluster_map *cmap;

	switch (slot_kind(word)) {
	case SLOT_HOLE:
	case SLOT_SAME:
	case SLOT_ZERO:
		break;
	case SLOT_OBJ:
		zt_hook("slots: a word is released", word);
		object_free(slots, word);
		break;
	case SLOT_SHARED:
		share_release(slots, word);
		break;
	case SLOT_SPILLED:
		spill_drop(slots->spill, slot_spilled_id(word));
		break;
	case SLOT_MAP:
		cmap = cluster_map_at(slots, word);
		for (unsigned p = 0; p < 1u << order; p++)
			slot_release(slots, (struct loose_word){ cmap->pages[p] }, 0);
		slot_release(slots, (struct loose_word){ cmap->base }, order);
		zs_free(slots->meta, slot_ref(word));
		break;
	}
}

uint64_t blkmap_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return (uint64_t)now.tv_sec;
}

/* ---- slots that move ---- */

/*
 * A slot moves to a new place in its tree (inode held exclusive). From lift to settle the word stands
 * at both, and must not change: its object has no owner meanwhile, which keeps compaction and
 * recompression away, and its map is in no list, which keeps folding away. The lock's seq moves for
 * those who have seen the slot before.
 */
static void move_lift(void *arg, uint64_t *from, uint64_t *to)
{
	struct slots_move *move = arg;
	struct slot_lock *lock = slot_lock(move->slots, from);
	struct live_map *live;
	uint64_t word;

	write_lock_counted(&lock->lock, ZT_LOCK_SLOT);
	word = word_get(from);
	object_disown(move->slots, word);
	if (slot_kind(word) == SLOT_MAP) {
		live = live_map_take(move->slots, lock, slot_place(move->slots, from));
		live->place = slot_place(move->slots, to);
		live->younger = move->lifted;
		move->lifted = live;
	}
	lock->seq++;
	rw_unlock(&lock->lock);
}

/* The lifted map whose slot is at @place now, out of the list. */
static struct live_map *move_take(struct slots_move *move, uint64_t place)
{
	struct live_map **link = &move->lifted, *live;

	while ((*link)->place != place)
		link = &(*link)->younger;
	live = *link;
	*link = live->younger;
	return live;
}

static void map_settle(struct slots_move *move, uint64_t *from, uint64_t *to)
{
	struct slot_lock *lock = slot_lock(move->slots, from), *new_lock = slot_lock(move->slots, to);
	struct live_map *live = move_take(move, slot_place(move->slots, to));

	/* The old place's lock keeps compaction away from what the map holds until the map says so. */
	write_lock_counted(&lock->lock, ZT_LOCK_SLOT);
	word_set(&cluster_map_at(move->slots, word_get(to))->place, live->place);
	rw_unlock(&lock->lock);
	write_lock_counted(&new_lock->lock, ZT_LOCK_SLOT);
	live_map_add(move->slots, new_lock, live);
	rw_unlock(&new_lock->lock);
}

static void move_settle(void *arg, uint64_t *from, uint64_t *to)
{
	struct slots_move *move = arg;
	struct slot_lock *lock = slot_lock(move->slots, to);

	if (slot_kind(word_get(to)) == SLOT_MAP) {
		map_settle(move, from, to);
		return;
	}
	write_lock_counted(&lock->lock, ZT_LOCK_SLOT);
	slot_set_owner(move->slots, word_get(to), to, OWNER_SLOT);
	rw_unlock(&lock->lock);
}

struct tree_mover slots_mover(struct slots_move *move, struct slots *slots)
{
	*move = (struct slots_move){ .slots = slots };
	return (struct tree_mover){ .lift = move_lift, .settle = move_settle, .arg = move };
}

/* ---- life cycle ---- */

static int data_pool_create(struct slots *slots, enum blkmap_attach attach, char text[256])
{
	const struct zs_pool_params params = {
		.name = "data",
		.id = BLKMAP_POOL_DATA,
		.relocate_begin = slot_relocate_begin,
		.relocate_end = slot_relocate_end,
		.relocate_arg = slots,
	};

	if (attach == BLKMAP_MAKE || slots_borrow(slots))
		return zs_pool_create(slots->arena, &params, &slots->data);
	return zs_pool_attach(slots->arena, &params, attach == BLKMAP_ATTACH, text, &slots->data);
}

static int locks_init(struct slots *slots)
{
	slots->locks = zt_alloc_aligned(64, SLOT_LOCKS * sizeof(*slots->locks));
	if (!slots->locks)
		return -ENOMEM;
	memset(slots->locks, 0, SLOT_LOCKS * sizeof(*slots->locks));
	for (unsigned i = 0; i < SLOT_LOCKS; i++)
		rwlock_init(&slots->locks[i].lock, ZT_RANK_SLOT);
	return 0;
}

int slots_init(struct slots *slots, const struct blkmap_params *params, char error_text[256])
{
	int error = keyhash_key_init(&slots->hash_key);

	if (error)
		snprintf(error_text, 256, "cannot get random bytes: %s", strerror(-error));
	slots->arena = params->arena;
	slots->meta = params->meta;
	slots->stays = params->attach != BLKMAP_MAKE;
	if (params->lender)
		slots->lender = *params->lender;
	slots->unread = params->unread != NULL;
	slots->account.max_pages = params->max_pages;
	if (!error)
		error = shares_init(slots);
	if (!error)
		error = locks_init(slots);
	if (!error)
		error = data_pool_create(slots, params->attach, error_text);
	if (!error)
		error = heat_init(slots);
	if (error)
		slots_exit(slots);
	return error;
}

void slots_exit(struct slots *slots)
{
	ages_exit(slots);
	heat_exit(slots);
	if (slots->stays)
		zs_pool_detach(slots->data);
	else
		zs_pool_destroy(slots->data);
	slots->data = NULL;
	for (unsigned i = 0; slots->locks && i < SLOT_LOCKS; i++) {
		while (slots->locks[i].maps.oldest)
			live_map_remove(slots, &slots->locks[i],
					slots->locks[i].maps.oldest->place);
		rwlock_exit(&slots->locks[i].lock);
	}
	zt_free(slots->locks);
	slots->locks = NULL;
	shares_exit(slots);
}
