// SPDX-License-Identifier: GPL-2.0-or-later
/* test_dirblock.c - one block of a directory. */
#include "fs/dirblock.h"
#include "tests/lib/zt_check.h"

#include <string.h>

struct block {
	uint64_t words[DIRBLOCK_UNITS + 1];
	unsigned units;
	struct dirblock_space space;
};

#define CANARY UINT64_C(0xdeadbeefdeadbeef)

static void block_init(struct block *block, unsigned units)
{
	memset(block->words, 0xa5, sizeof(block->words));
	block->units = units;
	block->words[units] = CANARY;
	dirblock_init(block->words, units);
	dirblock_scan(block->words, units, &block->space);
}

static void block_check(const struct block *block)
{
	struct dirblock_space space;

	ck_assert(dirblock_check(block->words, block->units));
	ck_assert_uint_eq(block->words[block->units], CANARY);
	dirblock_scan(block->words, block->units, &space);
	ck_assert_uint_eq(space.free, block->space.free);
	ck_assert_uint_eq(space.gap, block->space.gap);
}

static bool block_add(struct block *block, const char *name, uint64_t ino)
{
	unsigned len = (unsigned)strlen(name);

	if (dirent_units_for(len) > block->space.gap)
		return false;
	dirblock_insert(block->words, block->units, &block->space,
			&(struct dirblock_name){ name, len, ino, 8 });
	block_check(block);
	return true;
}

static int block_find(const struct block *block, const char *name)
{
	unsigned at;

	if (!dirblock_find(block->words, block->units, name, (unsigned)strlen(name), &at))
		return -1;
	return (int)at;
}

START_TEST(test_entry_says_all_it_was_given)
{
	struct block block;
	char name[256];

	for (unsigned len = 1; len <= 255; len++) {
		memset(name, 'n', len);
		name[len] = '\0';
		block_init(&block, DIRBLOCK_UNITS);
		dirblock_insert(block.words, block.units, &block.space,
				&(struct dirblock_name){ name, len, (UINT64_C(1) << 38) - 1, 12 });
		block_check(&block);
		ck_assert_int_eq(block_find(&block, name), 0);
		ck_assert_uint_eq(dirent_ino(block.words[0]), (UINT64_C(1) << 38) - 1);
		ck_assert_uint_eq(dirent_type(block.words[0]), 12);
		ck_assert_uint_eq(dirent_name_len(block.words[0]), len);
		ck_assert_uint_eq(block.space.free, DIRBLOCK_UNITS - dirent_units_for(len));
	}
}
END_TEST

START_TEST(test_blocks_with_header_are_powers_of_two)
{
	ck_assert_uint_eq(dirblock_units_for(1) * 8 + 8, 64);
	ck_assert_uint_eq(dirblock_units_for(7) * 8 + 8, 64);
	ck_assert_uint_eq(dirblock_units_for(8) * 8 + 8, 128);
	ck_assert_uint_eq(dirblock_units_for(33) * 8 + 8, 512);
	ck_assert_uint_eq(dirblock_units_for(DIRBLOCK_UNITS) * 8 + 8, 4096);
}
END_TEST

START_TEST(test_smallest_block_takes_three_short_names)
{
	struct block block;

	block_init(&block, DIRBLOCK_UNITS_FIRST);
	ck_assert(block_add(&block, "a", 1));
	ck_assert(block_add(&block, "b", 2));
	ck_assert(block_add(&block, "12345678", 3));
	ck_assert(!block_add(&block, "d", 4));
	ck_assert_uint_eq(block.space.free, 1);
	ck_assert_int_eq(block_find(&block, "b"), 2);
	ck_assert_int_eq(block_find(&block, "c"), -1);
}
END_TEST

START_TEST(test_names_with_equal_beginnings_or_lengths_differ)
{
	struct block block;

	block_init(&block, 63);
	ck_assert(block_add(&block, "abc", 1));
	ck_assert(block_add(&block, "abcd", 2));
	ck_assert(block_add(&block, "abx", 3));
	ck_assert_int_eq(block_find(&block, "abc"), 0);
	ck_assert_int_eq(block_find(&block, "abcd"), 2);
	ck_assert_int_eq(block_find(&block, "abx"), 4);
	ck_assert_int_eq(block_find(&block, "ab"), -1);
	ck_assert_int_eq(block_find(&block, "abcde"), -1);
}
END_TEST

/*
 * Neighbours free or not on either side: in each case one gap is left where there were up to three.
 */
START_TEST(test_removed_entry_joins_free_neighbours)
{
	for (unsigned before = 0; before < 2; before++) {
		for (unsigned after = 0; after < 2; after++) {
			struct block block;
			unsigned want = 2 + 2 * before + 2 * after;

			block_init(&block, 15);
			ck_assert(block_add(&block, "one", 1));
			ck_assert(block_add(&block, "two", 2));
			ck_assert(block_add(&block, "three", 3));
			ck_assert(block_add(&block, "four", 4));
			ck_assert(block_add(&block, "five", 5));
			ck_assert(block_add(&block, "six", 6));
			ck_assert(block_add(&block, "seven", 7));
			if (before)
				dirblock_remove(block.words, 15, 4, &block.space);
			if (after)
				dirblock_remove(block.words, 15, 8, &block.space);
			dirblock_remove(block.words, 15, 6, &block.space);
			block_check(&block);
			ck_assert_uint_eq(block.space.gap, want);
			ck_assert_uint_eq(block.space.gap_at, before ? 4 : 6);
			ck_assert_int_eq(block_find(&block, "four"), -1);
			ck_assert_int_eq(block_find(&block, "two"), 2);
			ck_assert_int_eq(block_find(&block, "six"), 10);
		}
	}
}
END_TEST

START_TEST(test_entries_stay_in_place_in_a_larger_copy)
{
	struct block small, large;

	for (unsigned full = 0; full < 2; full++) {
		block_init(&small, 7);
		ck_assert(block_add(&small, "one", 1));
		ck_assert(block_add(&small, "two", 2));
		if (full)
			ck_assert(block_add(&small, "three is long", 3));
		block_init(&large, 15);
		dirblock_copy(large.words, 15, small.words, 7);
		dirblock_scan(large.words, 15, &large.space);
		block_check(&large);
		ck_assert_int_eq(block_find(&large, "one"), 0);
		ck_assert_int_eq(block_find(&large, "two"), 2);
		ck_assert_uint_eq(large.space.gap, full ? 8 : 11);
	}
}
END_TEST

START_TEST(test_replaced_entry_keeps_name_and_place)
{
	struct block block;

	block_init(&block, 15);
	ck_assert(block_add(&block, "one", 1));
	ck_assert(block_add(&block, "two", 2));
	dirblock_replace(block.words, 2, 77, 4);
	block_check(&block);
	ck_assert_int_eq(block_find(&block, "two"), 2);
	ck_assert_uint_eq(dirent_ino(block.words[2]), 77);
	ck_assert_uint_eq(dirent_type(block.words[2]), 4);
}
END_TEST

START_TEST(test_check_sees_damage)
{
	struct block block, damaged;

	block_init(&block, 15);
	ck_assert(block_add(&block, "one", 1));
	ck_assert(block_add(&block, "two", 2));

	damaged = block;
	damaged.words[4] = UINT64_C(5) << DIRENT_UNITS_SHIFT; /* two gaps side by side */
	damaged.words[9] = UINT64_C(6) << DIRENT_UNITS_SHIFT;
	ck_assert(!dirblock_check(damaged.words, 15));
	damaged = block;
	damaged.words[4] = UINT64_C(12) << DIRENT_UNITS_SHIFT; /* over the end */
	ck_assert(!dirblock_check(damaged.words, 15));
	damaged = block;
	damaged.words[2] = 0; /* no length */
	ck_assert(!dirblock_check(damaged.words, 15));
	damaged = block;
	memcpy(&damaged.words[1], "o/e", 3);
	ck_assert(!dirblock_check(damaged.words, 15));
	damaged = block;
	memcpy(&damaged.words[1], "o\0e", 3);
	ck_assert(!dirblock_check(damaged.words, 15));
	damaged = block;
	damaged.words[0] += UINT64_C(10) << DIRENT_LEN_SHIFT; /* a name longer than its entry */
	ck_assert(!dirblock_check(damaged.words, 15));
}
END_TEST

START_TEST(test_random_changes_keep_every_name)
{
	uint64_t state = zt_seed();
	bool present[200] = { false };
	struct block block;

	block_init(&block, DIRBLOCK_UNITS);
	for (unsigned round = 0; round < 20000; round++) {
		unsigned i = (unsigned)(zt_random(&state) % ARRAY_SIZE(present));
		char name[64];
		int at;

		snprintf(name, sizeof(name), "%u-%.*s", i, (int)(i % 40),
			 "a long tail for some of the names, see");
		at = block_find(&block, name);
		ck_assert_int_eq(at >= 0, present[i]);
		if (at < 0) {
			present[i] = block_add(&block, name, i + 1);
		} else {
			ck_assert_uint_eq(dirent_ino(block.words[at]), i + 1);
			dirblock_remove(block.words, block.units, (unsigned)at, &block.space);
			block_check(&block);
			present[i] = false;
		}
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("dirblock");
	TCase *tc = tcase_create("dirblock");

	tcase_add_test(tc, test_entry_says_all_it_was_given);
	tcase_add_test(tc, test_blocks_with_header_are_powers_of_two);
	tcase_add_test(tc, test_smallest_block_takes_three_short_names);
	tcase_add_test(tc, test_names_with_equal_beginnings_or_lengths_differ);
	tcase_add_test(tc, test_removed_entry_joins_free_neighbours);
	tcase_add_test(tc, test_entries_stay_in_place_in_a_larger_copy);
	tcase_add_test(tc, test_replaced_entry_keeps_name_and_place);
	tcase_add_test(tc, test_check_sees_damage);
	tcase_add_test(tc, test_random_changes_keep_every_name);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
