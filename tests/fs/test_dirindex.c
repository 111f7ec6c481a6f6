// SPDX-License-Identifier: GPL-2.0-or-later
/* test_dirindex.c - the index of a large directory, by itself. */
#include "fs/dirindex.h"
#include "fs/inode_i.h"
#include "tests/lib/zt_check.h"
#include "util/alloc.h"

#include <errno.h>

static struct arena *arena;

static void setup(void)
{
	const struct arena_params params = { .backing = ARENA_MEMFD };

	ck_assert_int_eq(arena_create(&params, &arena), 0);
}

static void teardown(void)
{
	struct arena_stat stat;

	arena_get_stat(arena, &stat);
	ck_assert_uint_eq(stat.heap, 0); /* nothing is left behind */
	arena_destroy(arena);
}

/* A mount of which only the table that indexes hang on is used. */
static struct super *table_init(void)
{
	struct super *sb = zt_zalloc(sizeof(*sb));

	ck_assert_ptr_nonnull(sb);
	return sb;
}

static bool index_has(const struct dirindex *index, uint32_t hash, uint32_t pos)
{
	uint64_t cursor = 0;
	uint32_t found;

	while (dirindex_next(index, hash, &cursor, &found))
		if (found == pos)
			return true;
	return false;
}

START_TEST(test_index_is_found_by_its_directory_only)
{
	struct super *sb = table_init();
	struct dirindex *a, *b;
	ino_nr same = 8;

	/* two directories on one lock */
	while (inode_lock_of(sb, same) != inode_lock_of(sb, 7))
		same++;
	ck_assert_int_eq(dirindex_create(arena, 7, 0, &a), 0);
	ck_assert_int_eq(dirindex_create(arena, same, 0, &b), 0);
	ck_assert_ptr_null(dirindex_get(sb, 7));
	dirindex_attach(sb, a);
	dirindex_attach(sb, b);
	ck_assert_ptr_eq(dirindex_get(sb, 7), a);
	ck_assert_ptr_eq(dirindex_get(sb, same), b);
	dirindex_drop(sb, 7);
	ck_assert_ptr_null(dirindex_get(sb, 7));
	ck_assert_ptr_eq(dirindex_get(sb, same), b);
	dirindex_drop(sb, 7);
	dirindex_drop_all(sb);
	ck_assert_ptr_null(dirindex_get(sb, same));
	zt_free(sb);
}
END_TEST

/* Few hash values, so that chains collide, wrap around and are closed again. */
START_TEST(test_positions_are_kept_through_collisions_growth_and_shrinking)
{
	enum { NR = 3000 };
	uint64_t state = zt_seed();
	static bool present[NR];
	struct dirindex *index;
	uint64_t nr = 0;

	ck_assert_int_eq(dirindex_create(arena, 1, 0, &index), 0);
	for (unsigned round = 0; round < 60000; round++) {
		/* waves: mostly adding, then mostly removing */
		unsigned i = (unsigned)(zt_random(&state) % NR);
		bool add = zt_random(&state) % 8 < (round / 10000 % 2 ? 1 : 7);
		uint32_t hash = UINT32_MAX - i % 1000;

		ck_assert_int_eq(index_has(index, hash, i), present[i]);
		if (add == present[i])
			continue;
		if (add) {
			ck_assert_int_eq(dirindex_reserve(index), 0);
			dirindex_add(index, hash, i);
		} else {
			dirindex_remove(index, hash, i);
		}
		present[i] = add;
		nr += add ? 1 : (uint64_t)-1;
		ck_assert_uint_eq(dirindex_nr_names(index), nr);
	}
	for (unsigned i = 0; i < NR; i++)
		ck_assert_int_eq(index_has(index, UINT32_MAX - i % 1000, i), present[i]);
	dirindex_destroy(index);
}
END_TEST

START_TEST(test_first_block_with_room_is_found)
{
	const struct dirblock_space full = { 0 }, some = { .free = 9, .gap = 5, .gap_at = 100 };
	struct dirblock_space got;
	struct dirindex *index;
	uint32_t block;

	ck_assert_int_eq(dirindex_create(arena, 1, 0, &index), 0);
	ck_assert_int_eq(dirindex_find_block(index, 2, &block), 0);
	ck_assert_uint_eq(block, 0);
	for (uint32_t i = 0; i < 1000; i++) {
		ck_assert_int_eq(dirindex_find_block(index, 2, &block), 0);
		ck_assert_uint_eq(block, i);
		dirindex_set_space(index, i, &full);
	}
	dirindex_set_space(index, 700, &some);
	dirindex_set_space(index, 300, &some);
	ck_assert_int_eq(dirindex_find_block(index, 5, &block), 0);
	ck_assert_uint_eq(block, 300);
	ck_assert_int_eq(dirindex_find_block(index, 6, &block), 0);
	ck_assert_uint_eq(block, 1000);
	got = dirindex_get_space(index, 700);
	ck_assert_uint_eq(got.free, 9);
	ck_assert_uint_eq(got.gap, 5);
	ck_assert_uint_eq(got.gap_at, 100);
	dirindex_set_space(index, 300, &full);
	ck_assert_int_eq(dirindex_find_block(index, 5, &block), 0);
	ck_assert_uint_eq(block, 700);
	dirindex_destroy(index);
}
END_TEST

START_TEST(test_blocks_are_limited)
{
	struct dirindex *index;

	ck_assert_int_eq(dirindex_create(arena, 1, 0, &index), 0);
	ck_assert_int_eq(dirindex_reserve_blocks(index, DIRINDEX_MAX_BLOCKS + 1), -ENOSPC);
	dirindex_destroy(index);
}
END_TEST

START_TEST(test_want_of_heap_changes_nothing)
{
	struct dirindex *index = NULL;
	uint32_t block;

	for (long n = 1; n <= 2; n++) {
		zt_fault_set(n);
		ck_assert_int_eq(dirindex_create(arena, 1, 0, &index), -ENOMEM);
	}
	zt_fault_set(0);
	ck_assert_int_eq(dirindex_create(arena, 1, 0, &index), 0);
	for (uint32_t i = 0; i < 192; i++) {
		ck_assert_int_eq(dirindex_reserve(index), 0);
		dirindex_add(index, i, i);
	}
	zt_fault_set(1);
	ck_assert_int_eq(dirindex_reserve(index), -ENOMEM);
	for (long n = 1; n <= 2; n++) {
		zt_fault_set(n);
		ck_assert_int_eq(dirindex_find_block(index, 2, &block), -ENOMEM);
	}
	zt_fault_set(0);
	for (uint32_t i = 0; i < 192; i++)
		ck_assert(index_has(index, i, i));
	ck_assert_int_eq(dirindex_reserve(index), 0);
	ck_assert_int_eq(dirindex_find_block(index, 2, &block), 0);
	dirindex_destroy(index);
}
END_TEST

START_TEST(test_memory_limit_bounds_tables_and_changes_nothing)
{
	struct dirindex *index = NULL;
	struct arena_stat stat;
	uint32_t nr = 0, block;
	int err;

	arena_set_limit(arena, 8192);
	ck_assert_int_eq(dirindex_create(arena, 1, 1000, &index), -ENOSPC);
	arena_set_limit(arena, MIB);
	ck_assert_int_eq(dirindex_create(arena, 1, 0, &index), 0);
	while ((err = dirindex_reserve(index)) == 0) {
		dirindex_add(index, nr, nr);
		nr++;
	}
	ck_assert_int_eq(err, -ENOSPC);
	/* 512 KiB of table are full, and a larger one would come beside it. */
	ck_assert_uint_eq(nr, 49152);
	arena_get_stat(arena, &stat);
	ck_assert_uint_le(stat.used, MIB);
	ck_assert_uint_ge(stat.heap, nr * 8);
	for (uint32_t i = 0; i < nr; i++)
		ck_assert(index_has(index, i, i));
	arena_set_limit(arena, stat.used);
	ck_assert_int_eq(dirindex_find_block(index, 2, &block), -ENOSPC);
	dirindex_remove(index, 0, 0);
	ck_assert_int_eq(dirindex_reserve(index), 0);
	arena_set_limit(arena, 0);
	ck_assert_int_eq(dirindex_find_block(index, 2, &block), 0);
	dirindex_destroy(index);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("dirindex");
	TCase *tc = tcase_create("dirindex");

	tcase_add_test(tc, test_index_is_found_by_its_directory_only);
	tcase_add_test(tc, test_positions_are_kept_through_collisions_growth_and_shrinking);
	tcase_add_test(tc, test_first_block_with_room_is_found);
	tcase_add_test(tc, test_blocks_are_limited);
	tcase_add_test(tc, test_want_of_heap_changes_nothing);
	tcase_add_test(tc, test_memory_limit_bounds_tables_and_changes_nothing);
	tcase_add_checked_fixture(tc, setup, teardown);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
