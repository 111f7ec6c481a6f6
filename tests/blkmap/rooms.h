/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * rooms.h - the lower rooms of the block map without the upper ones: slots, and a file of one tree.
 */
#ifndef ZT_TESTS_BLKMAP_ROOMS_H
#define ZT_TESTS_BLKMAP_ROOMS_H

#include <string.h>

#include "blkmap/slot/account.h"
#include "blkmap/slot/slots.h"
#include "tests/lib/zt_check.h"

struct rooms {
	struct arena *arena;
	struct zs_pool *meta;
	struct slots slots;
	/* The fields of a file; tests take slots from the arena by room_slot(). */
	uint64_t word, nr_pages;
	uint8_t shape;
	struct blkmap_file file;
};

static inline void rooms_start(struct rooms *rooms, unsigned order, uint64_t max_pages)
{
	const struct arena_params arena_params = { .reserve = GIB };
	const struct zs_pool_params pool_params = { .name = "meta", .id = 2 };
	struct blkmap_params params = { .max_pages = max_pages };
	char text[256];

	memset(rooms, 0, sizeof(*rooms));
	ck_assert_int_eq(arena_create(&arena_params, &rooms->arena), 0);
	ck_assert_int_eq(zs_pool_create(rooms->arena, &pool_params, &rooms->meta), 0);
	params.arena = rooms->arena;
	params.meta = rooms->meta;
	ck_assert_int_eq(slots_init(&rooms->slots, &params, text), 0);
	rooms->file = (struct blkmap_file){
		.tree = { .word = &rooms->word, .shape = &rooms->shape },
		.nr_pages = &rooms->nr_pages,
		.order = order,
	};
}

/* A slot of the file: an object of its own in the arena stands for a leaf of the tree. */
static inline uint64_t *rooms_slot(struct rooms *rooms)
{
	ref_t ref;
	uint64_t *slot;

	ck_assert_int_eq(zs_malloc(rooms->meta, sizeof(*slot), &ref), 0);
	slot = zs_data(rooms->arena, ref);
	*slot = 0;
	return slot;
}

/* All that was stored is gone again; what rooms_slot() gave goes with the pool. */
static inline void rooms_stop(struct rooms *rooms)
{
	struct zs_pool_stat stat;

	zs_pool_get_stat(rooms->slots.data, &stat);
	ck_assert_uint_eq(stat.objects, 0);
	ck_assert_uint_eq(rooms->nr_pages, 0);
	ck_assert_uint_eq(nr_pages(&rooms->slots), 0);
	slots_exit(&rooms->slots);
	zs_pool_destroy(rooms->meta);
	arena_destroy(rooms->arena);
}

#endif
