/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * lower.h - the lower parts of the block map without the upper ones: slots, and a file of one tree.
 */
#ifndef ZT_TESTS_BLKMAP_LOWER_H
#define ZT_TESTS_BLKMAP_LOWER_H

#include <string.h>

#include "blkmap/slot/account.h"
#include "blkmap/slot/slots.h"
#include "tests/lib/zt_check.h"

struct lower {
	struct arena *arena;
	struct zs_pool *meta;
	struct slots slots;
	/* The fields of a file; tests take slots from the arena by lower_slot(). */
	uint64_t word, nr_pages;
	struct blkmap_file file;
};

static inline void lower_start(struct lower *lower, unsigned order, uint64_t max_pages)
{
	const struct arena_params arena_params = { .reserve = GIB };
	const struct zs_pool_params pool_params = { .name = "meta", .id = 2 };
	struct blkmap_params params = { .max_pages = max_pages };
	char text[256];

	memset(lower, 0, sizeof(*lower));
	ck_assert_int_eq(arena_create(&arena_params, &lower->arena), 0);
	ck_assert_int_eq(zs_pool_create(lower->arena, &pool_params, &lower->meta), 0);
	params.arena = lower->arena;
	params.meta = lower->meta;
	ck_assert_int_eq(slots_init(&lower->slots, &params, text), 0);
	lower->file = (struct blkmap_file){
		.tree = { .word = &lower->word },
		.nr_pages = &lower->nr_pages,
		.order = order,
	};
}

/* A slot of the file: an object of its own in the arena stands for a leaf of the tree. */
static inline uint64_t *lower_slot(struct lower *lower)
{
	ref_t ref;
	uint64_t *slot;

	ck_assert_int_eq(zs_malloc(lower->meta, sizeof(*slot), &ref), 0);
	slot = zs_data(lower->arena, ref);
	*slot = 0;
	return slot;
}

/* All that was stored is gone again; what lower_slot() gave goes with the pool. */
static inline void lower_stop(struct lower *lower)
{
	struct zs_pool_stat stat;

	zs_pool_get_stat(lower->slots.data, &stat);
	ck_assert_uint_eq(stat.objects, 0);
	ck_assert_uint_eq(lower->nr_pages, 0);
	ck_assert_uint_eq(nr_pages(&lower->slots), 0);
	slots_exit(&lower->slots);
	zs_pool_destroy(lower->meta);
	arena_destroy(lower->arena);
}

#endif
