// SPDX-License-Identifier: GPL-2.0-or-later
/* test_buddy.c - free blocks: no overlap, lowest first, joined when all is free again. */
#include <string.h>

#include "arena/buddy.h"
#include "tests/lib/zt_check.h"

#define NR_CHUNKS 4u
#define NR_PAGES  (NR_CHUNKS * BUDDY_CHUNK_PAGES)

static struct buddy buddy;
static uint64_t taken[NR_PAGES / 64];

static void setup(void)
{
	memset(taken, 0, sizeof(taken)); /* without fork the last test's are still there */
	ck_assert_int_eq(buddy_init(&buddy, NR_CHUNKS), 0);
}

static void teardown(void)
{
	buddy_exit(&buddy);
}

static void check_all(void)
{
	for (uint32_t i = 0; i < buddy.nr_used; i++)
		ck_assert_msg(buddy_check(&buddy, i, &taken[i * (BUDDY_CHUNK_PAGES / 64)]),
			      "chunk %" PRIu32, i);
}

/* Mark a block in the model; it must be as expected before. */
static void model_flip(uint32_t page, unsigned order, bool was)
{
	for (uint32_t i = page; i < page + (1u << order); i++) {
		ck_assert_int_eq(taken[i / 64] >> (i % 64) & 1, was);
		taken[i / 64] ^= UINT64_C(1) << (i % 64);
	}
}

START_TEST(test_order_is_the_smallest_that_fits)
{
	static const struct {
		uint32_t nr_pages;
		unsigned order;
	} cases[] = { { 1, 0 },   { 2, 1 },   { 3, 2 },   { 4, 2 },    { 5, 3 },
		      { 127, 7 }, { 128, 7 }, { 129, 8 }, { 513, 10 }, { 1024, 10 } };

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		ck_assert_uint_eq(buddy_order(cases[i].nr_pages), cases[i].order);
}
END_TEST

START_TEST(test_nothing_is_free_before_the_first_chunk)
{
	uint32_t page;

	for (unsigned order = 0; order <= BUDDY_MAX_ORDER; order++)
		ck_assert(!buddy_alloc(&buddy, order, &page));
}
END_TEST

START_TEST(test_lowest_address_is_given_first)
{
	uint32_t first, second, third;

	buddy_grow(&buddy);
	buddy_grow(&buddy);
	ck_assert(buddy_alloc(&buddy, 3, &first));
	ck_assert(buddy_alloc(&buddy, 3, &second));
	ck_assert(buddy_alloc(&buddy, 10, &third));
	ck_assert_uint_eq(first, 0);
	ck_assert_uint_eq(second, 8);
	ck_assert_uint_eq(third, BUDDY_CHUNK_PAGES);
	buddy_free(&buddy, third, 10);
	buddy_free(&buddy, first, 3);
	ck_assert(buddy_alloc(&buddy, 0, &first));
	ck_assert_uint_eq(first, 0);
}
END_TEST

START_TEST(test_pages_join_to_a_whole_chunk_in_any_order)
{
	uint32_t pages[BUDDY_CHUNK_PAGES], page;
	uint64_t state = zt_seed();

	buddy_grow(&buddy);
	for (uint32_t i = 0; i < BUDDY_CHUNK_PAGES; i++)
		ck_assert(buddy_alloc(&buddy, 0, &pages[i]));
	ck_assert(!buddy_alloc(&buddy, 0, &page));
	for (uint32_t i = BUDDY_CHUNK_PAGES; i > 0; i--) {
		uint32_t pick = (uint32_t)(zt_random(&state) % i);

		buddy_free(&buddy, pages[pick], 0);
		pages[pick] = pages[i - 1];
	}
	check_all();
	ck_assert(buddy_alloc(&buddy, BUDDY_MAX_ORDER, &page));
	ck_assert_uint_eq(page, 0);
}
END_TEST

START_TEST(test_random_blocks_never_overlap_and_match_the_model)
{
	struct {
		uint32_t page;
		unsigned order;
	} blocks[512];
	uint64_t state = zt_seed();
	uint32_t nr = 0;

	for (int i = 0; i < 20000; i++) {
		uint64_t r = zt_random(&state);

		if (nr == ARRAY_SIZE(blocks) || (nr > 0 && r % 5 < 2)) {
			uint32_t pick = (uint32_t)(r >> 8) % nr;

			model_flip(blocks[pick].page, blocks[pick].order, true);
			buddy_free(&buddy, blocks[pick].page, blocks[pick].order);
			blocks[pick] = blocks[--nr];
		} else {
			unsigned order = (unsigned)(r >> 8) % 7 + (r >> 60 == 0) * 4;

			if (buddy_alloc(&buddy, order, &blocks[nr].page)) {
				ck_assert_uint_eq(blocks[nr].page % (1u << order), 0);
				blocks[nr].order = order;
				model_flip(blocks[nr++].page, order, false);
			} else if (buddy.nr_used < NR_CHUNKS) {
				buddy_grow(&buddy);
			}
		}
		if (i % 500 == 0)
			check_all();
	}
	while (nr-- > 0) {
		model_flip(blocks[nr].page, blocks[nr].order, true);
		buddy_free(&buddy, blocks[nr].page, blocks[nr].order);
	}
	check_all();
	for (uint32_t i = 0; i < buddy.nr_used; i++)
		ck_assert_uint_eq(buddy.chunks[i].nr_free[BUDDY_MAX_ORDER], 1);
}
END_TEST

START_TEST(test_check_sees_a_block_that_is_not_free)
{
	uint32_t page;

	buddy_grow(&buddy);
	ck_assert(buddy_alloc(&buddy, 2, &page));
	ck_assert(!buddy_check(&buddy, 0, taken));
	taken[0] = 0xf;
	ck_assert(buddy_check(&buddy, 0, taken));
	taken[0] = 0x1f;
	ck_assert(!buddy_check(&buddy, 0, taken));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("buddy");
	TCase *tc = tcase_create("buddy");

	tcase_set_timeout(tc, 30);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_order_is_the_smallest_that_fits);
	tcase_add_test(tc, test_nothing_is_free_before_the_first_chunk);
	tcase_add_test(tc, test_lowest_address_is_given_first);
	tcase_add_test(tc, test_pages_join_to_a_whole_chunk_in_any_order);
	tcase_add_test(tc, test_random_blocks_never_overlap_and_match_the_model);
	tcase_add_test(tc, test_check_sees_a_block_that_is_not_free);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
