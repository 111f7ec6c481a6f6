/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * keeper.h - a table of owner words with a table of mutexes, as a file's slots have them.
 *
 * The owner of the object in words[i] is i + 1: the pool never looks at the word itself.
 */
#ifndef ZT_TESTS_ZSMALLOC_KEEPER_H
#define ZT_TESTS_ZSMALLOC_KEEPER_H

#include "util/lock.h"
#include "zsmalloc/pool.h"

#define KEEPER_NR_LOCKS 64u

struct keeper {
	ref_t *words; /* each guarded by its lock */
	uint32_t nr_words;
	struct mutex locks[KEEPER_NR_LOCKS];
	uint64_t nr_moved, nr_refused; /* by compaction, one at a time */
	bool refuse; /* every move */
};

static inline struct mutex *keeper_lock_of(struct keeper *keeper, uint32_t i)
{
	return &keeper->locks[i % KEEPER_NR_LOCKS];
}

static inline struct zs_owner keeper_owner(uint32_t i)
{
	return (struct zs_owner){ .word = i + 1, .index = i % 64 };
}

static inline bool keeper_begin(void *arg, struct zs_owner owner, ref_t old_ref)
{
	struct keeper *keeper = arg;
	uint32_t i = (uint32_t)owner.word - 1;

	if (i >= keeper->nr_words || owner.index != i % 64)
		abort();
	if (keeper->refuse || !mutex_trylock(keeper_lock_of(keeper, i))) {
		keeper->nr_refused++;
		return false;
	}
	if (keeper->words[i] == old_ref)
		return true;
	mutex_unlock(keeper_lock_of(keeper, i));
	keeper->nr_refused++;
	return false;
}

static inline void keeper_end(void *arg, struct zs_owner owner, ref_t new_ref)
{
	struct keeper *keeper = arg;
	uint32_t i = (uint32_t)owner.word - 1;

	if (new_ref) {
		keeper->words[i] = new_ref;
		keeper->nr_moved++;
	}
	mutex_unlock(keeper_lock_of(keeper, i));
}

static inline void keeper_init(struct keeper *keeper, uint32_t nr_words)
{
	keeper->words = calloc(nr_words, sizeof(*keeper->words));
	keeper->nr_words = nr_words;
	keeper->nr_moved = keeper->nr_refused = 0;
	keeper->refuse = false;
	for (uint32_t i = 0; i < KEEPER_NR_LOCKS; i++)
		mutex_init(&keeper->locks[i], ZT_RANK_SLOT);
}

static inline void keeper_exit(struct keeper *keeper)
{
	for (uint32_t i = 0; i < KEEPER_NR_LOCKS; i++)
		mutex_exit(&keeper->locks[i]);
	free(keeper->words);
}

static inline struct zs_pool_params keeper_pool_params(struct keeper *keeper)
{
	return (struct zs_pool_params){ .name = "kept",
					.relocate_begin = keeper_begin,
					.relocate_end = keeper_end,
					.relocate_arg = keeper };
}

#endif
