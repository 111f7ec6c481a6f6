// SPDX-License-Identifier: GPL-2.0-or-later
/* test_arena.c - memory of the arena: what is populated is counted, what is punched comes back. */
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>

#include "arena/arena.h"
#include "arena/attach.h"
#include "tests/lib/zt_check.h"
#include "util/alloc.h"

static struct arena *arena;

static void setup(void)
{
	struct arena_params params = { .reserve = 256 * MIB };

	ck_assert_int_eq(arena_create(&params, &arena), 0);
}

static void teardown(void)
{
	ck_assert_int_eq(arena_check(arena), 0);
	arena_destroy(arena);
}

static uint64_t resident(void)
{
	struct arena_stat stat;

	arena_get_stat(arena, &stat);
	ck_assert_uint_eq(stat.resident, arena_memfd_bytes(arena));
	return stat.resident;
}

static uint64_t used(void)
{
	struct arena_stat stat;

	arena_get_stat(arena, &stat);
	ck_assert_uint_eq(stat.used, stat.resident + stat.heap + stat.aside);
	return stat.used;
}

static ref_t run_alloc(uint32_t nr_pages)
{
	ref_t ref = 0;

	ck_assert_int_eq(arena_run_alloc(arena, nr_pages, ARENA_RUN_ZSPAGE, 0, &ref), 0);
	ck_assert_uint_ne(ref, 0);
	return ref;
}

static ref_t page_of(ref_t run, uint32_t page)
{
	return run + page * ARENA_PAGE_REFS;
}

START_TEST(test_empty_arena_holds_one_page)
{
	ck_assert_uint_eq(resident(), ZT_PAGE_SIZE);
}
END_TEST

START_TEST(test_default_reserve_is_at_least_a_gibibyte)
{
	struct arena_params params = { 0 };
	struct arena *big;
	ref_t ref;

	ck_assert_int_eq(arena_create(&params, &big), 0);
	ck_assert_int_eq(arena_run_alloc(big, 1, ARENA_RUN_ZSPAGE, 0, &ref), 0);
	ck_assert_uint_eq(arena_memfd_bytes(big), 2 * ZT_PAGE_SIZE);
	ck_assert_int_eq(arena_check(big), 0);
	arena_destroy(big);
}
END_TEST

START_TEST(test_reserve_out_of_range_is_refused)
{
	static const uint64_t bad[] = { 1, ZT_PAGE_SIZE, 8 * MIB - 1, 4096 * GIB + 4 * MIB };

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct arena_params params = { .reserve = bad[i] };
		struct arena *none;

		ck_assert_int_eq(arena_create(&params, &none), -EINVAL);
	}
}
END_TEST

START_TEST(test_smallest_reserve_works)
{
	struct arena_params params = { .reserve = 8 * MIB };
	struct arena *small;
	ref_t ref, other;

	ck_assert_int_eq(arena_create(&params, &small), 0);
	ck_assert_int_eq(arena_run_alloc(small, ARENA_RUN_MAX_PAGES, ARENA_RUN_ZSPAGE, 0, &ref), 0);
	ck_assert_int_eq(arena_populate(small, ref, ARENA_RUN_MAX_PAGES), 0);
	memset(arena_ptr(small, ref), 0xff, 4 * MIB);
	ck_assert_int_eq(arena_run_alloc(small, 1, ARENA_RUN_ZSPAGE, 0, &other), -ENOSPC);
	ck_assert_int_eq(arena_check(small), 0);
	arena_destroy(small);
}
END_TEST

START_TEST(test_populated_pages_are_zero_writable_and_counted)
{
	ref_t run = run_alloc(16);
	uint64_t before = resident();
	char *bytes = arena_ptr(arena, run);

	ck_assert_int_eq(arena_populate(arena, page_of(run, 3), 5), 0);
	ck_assert_uint_eq(resident(), before + 5 * ZT_PAGE_SIZE);
	for (uint32_t i = 3 * ZT_PAGE_SIZE; i < 8 * ZT_PAGE_SIZE; i++)
		ck_assert_int_eq(bytes[i], 0);
	memset(bytes + 3 * ZT_PAGE_SIZE, 0x5a, 5 * ZT_PAGE_SIZE);
	ck_assert_uint_eq(resident(), before + 5 * ZT_PAGE_SIZE);
	arena_punch(arena, page_of(run, 3), 5);
	ck_assert_uint_eq(resident(), before);
	arena_run_free(arena, run);
}
END_TEST

START_TEST(test_punched_page_reads_as_zero_when_populated_again)
{
	ref_t run = run_alloc(2);
	char *bytes = arena_ptr(arena, run);

	ck_assert_int_eq(arena_populate(arena, run, 2), 0);
	memset(bytes, 0xff, 2 * ZT_PAGE_SIZE);
	arena_punch(arena, page_of(run, 1), 1);
	ck_assert_int_eq(arena_populate(arena, page_of(run, 1), 1), 0);
	ck_assert_int_eq(bytes[ZT_PAGE_SIZE - 1], (char)0xff);
	for (uint32_t i = ZT_PAGE_SIZE; i < 2 * ZT_PAGE_SIZE; i++)
		ck_assert_int_eq(bytes[i], 0);
	arena_punch(arena, run, 2);
	arena_run_free(arena, run);
}
END_TEST

START_TEST(test_resident_pages_are_exactly_the_populated_ones)
{
	static const struct {
		uint32_t first, nr;
	} parts[] = { { 0, 1 }, { 63, 2 }, { 100, 28 }, { 199, 1 } };
	ref_t run = run_alloc(200);
	uint64_t bitmap[4];

	ck_assert_int_eq(arena_resident_pages(arena, run, 200, bitmap), 0);
	for (size_t i = 0; i < ARRAY_SIZE(bitmap); i++)
		ck_assert_uint_eq(bitmap[i], 0);
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		ck_assert_int_eq(arena_populate(arena, page_of(run, parts[i].first), parts[i].nr),
				 0);
	ck_assert_int_eq(arena_resident_pages(arena, run, 200, bitmap), 0);
	ck_assert_uint_eq(bitmap[0], UINT64_C(1) | UINT64_C(1) << 63);
	ck_assert_uint_eq(bitmap[1], UINT64_C(1) | UINT64_C(0xfffffff) << 36);
	ck_assert_uint_eq(bitmap[2], 0);
	ck_assert_uint_eq(bitmap[3], UINT64_C(1) << 7);
	/* A window that begins and ends inside of populated pages. */
	ck_assert_int_eq(arena_resident_pages(arena, page_of(run, 110), 10, bitmap), 0);
	ck_assert_uint_eq(bitmap[0], 0x3ff);
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		arena_punch(arena, page_of(run, parts[i].first), parts[i].nr);
	arena_run_free(arena, run);
}
END_TEST

START_TEST(test_limit_refuses_growth_and_nothing_else)
{
	ref_t run = run_alloc(64);
	uint64_t before = resident();

	arena_set_limit(arena, used() + 10 * ZT_PAGE_SIZE);
	ck_assert_int_eq(arena_populate(arena, run, 11), -ENOSPC);
	ck_assert_uint_eq(resident(), before);
	ck_assert_int_eq(arena_populate(arena, run, 10), 0);
	ck_assert_int_eq(arena_populate(arena, page_of(run, 10), 1), -ENOSPC);
	arena_punch(arena, page_of(run, 4), 1);
	ck_assert_int_eq(arena_populate(arena, page_of(run, 10), 1), 0);
	/* Below what is held: nothing is lost. */
	arena_set_limit(arena, ZT_PAGE_SIZE);
	ck_assert_uint_eq(resident(), before + 10 * ZT_PAGE_SIZE);
	ck_assert_int_eq(arena_populate(arena, page_of(run, 20), 1), -ENOSPC);
	arena_set_limit(arena, 0);
	ck_assert_int_eq(arena_populate(arena, page_of(run, 20), 1), 0);
	arena_punch(arena, page_of(run, 20), 1);
	arena_punch(arena, run, 4);
	arena_punch(arena, page_of(run, 5), 6);
	arena_run_free(arena, run);
	ck_assert_uint_eq(resident(), before);
}
END_TEST

START_TEST(test_what_is_spared_is_for_those_who_may_use_it)
{
	ref_t run = run_alloc(64);
	uint64_t before = resident();
	const uint64_t limit = used() + 10 * ZT_PAGE_SIZE;
	struct arena_stat stat;

	arena_set_limit(arena, limit);
	arena_set_spare(arena, 4 * ZT_PAGE_SIZE);
	arena_get_stat(arena, &stat);
	ck_assert_uint_eq(stat.limit, limit);
	ck_assert_uint_eq(stat.spare, 4 * ZT_PAGE_SIZE);
	ck_assert_int_eq(arena_populate(arena, run, 7), -ENOSPC);
	ck_assert_int_eq(arena_populate(arena, run, 6), 0);
	arena_use_spare(true);
	ck_assert_int_eq(arena_populate(arena, page_of(run, 6), 5), -ENOSPC);
	ck_assert_int_eq(arena_populate(arena, page_of(run, 6), 4), 0);
	arena_use_spare(false);
	ck_assert_int_eq(arena_populate(arena, page_of(run, 10), 1), -ENOSPC);
	arena_punch(arena, run, 10);
	/* More than there is, or of no limit: nothing is spared. */
	arena_set_limit(arena, 4 * ZT_PAGE_SIZE);
	arena_get_stat(arena, &stat);
	ck_assert_uint_eq(stat.spare, 0);
	arena_set_limit(arena, 0);
	ck_assert_int_eq(arena_populate(arena, run, 20), 0);
	arena_punch(arena, run, 20);
	arena_run_free(arena, run);
	ck_assert_uint_eq(resident(), before);
}
END_TEST

START_TEST(test_limit_too_small_for_the_superblock_is_refused)
{
	struct arena_params params = { .reserve = 8 * MIB, .limit = ZT_PAGE_SIZE - 1 };
	struct arena *none;

	ck_assert_int_eq(arena_create(&params, &none), -ENOSPC);
	params.limit = ZT_PAGE_SIZE;
	ck_assert_int_eq(arena_create(&params, &none), 0);
	arena_destroy(none);
}
END_TEST

START_TEST(test_limit_forbids_a_page_of_the_page_map_too)
{
	ref_t ref;

	arena_set_limit(arena, ZT_PAGE_SIZE);
	ck_assert_int_eq(arena_run_alloc(arena, 1, ARENA_RUN_ZSPAGE, 0, &ref), -ENOSPC);
	/* And what the heap keeps of a chunk. */
	arena_set_limit(arena, 2 * ZT_PAGE_SIZE);
	ck_assert_int_eq(arena_run_alloc(arena, 1, ARENA_RUN_ZSPAGE, 0, &ref), -ENOSPC);
	arena_set_limit(arena, 3 * ZT_PAGE_SIZE);
	ck_assert_int_eq(arena_run_alloc(arena, 1, ARENA_RUN_ZSPAGE, 0, &ref), 0);
	arena_run_free(arena, ref);
}
END_TEST

START_TEST(test_heap_and_what_is_set_aside_count_against_the_limit)
{
	static const size_t sizes[] = { 1, 24, 25, 100, 65535, 65536, 1000000 };
	static const uint64_t costs[] = { 32, 32, 48, 112, 65552, 65536, 1003520 };
	const uint64_t before = used();
	void *ptrs[ARRAY_SIZE(sizes)], *none;
	ref_t run = run_alloc(4);
	struct arena_stat stat;
	uint64_t sum = 0;

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		ck_assert_int_eq(arena_heap_alloc(arena, sizes[i], &ptrs[i]), 0);
		for (size_t b = 0; b < sizes[i]; b++)
			ck_assert_int_eq(((char *)ptrs[i])[b], 0);
		sum += costs[i];
#ifndef ZT_SANITIZERS /* they have another heap */
		/* By what was freed before, a piece may get a rest that is too small for another one. */
		if (sizes[i] < 65536) {
			ck_assert_uint_ge(malloc_usable_size(ptrs[i]) + sizeof(size_t), costs[i]);
			ck_assert_uint_le(malloc_usable_size(ptrs[i]) + sizeof(size_t), costs[i] + 16);
		}
#endif
	}
	arena_get_stat(arena, &stat);
	ck_assert_uint_eq(stat.heap - 2048, sum); /* and the chunk that the run is in */
	ck_assert_uint_gt(sum, 1000000 + 65536 + 65535);
	arena_set_limit(arena, used() + 100 * ZT_PAGE_SIZE);
	ck_assert_int_eq(arena_set_aside(arena, 99 * ZT_PAGE_SIZE), 0);
	ck_assert_int_eq(arena_heap_alloc(arena, 4088, &none), 0);
	arena_heap_free(arena, none, 4088);
	ck_assert_int_eq(arena_heap_alloc(arena, 4089, &none), -ENOSPC);
	ck_assert_int_eq(arena_set_aside(arena, ZT_PAGE_SIZE + 1), -ENOSPC);
	ck_assert_int_eq(arena_populate(arena, run, 2), -ENOSPC);
	ck_assert_int_eq(arena_populate(arena, run, 1), 0);
	arena_get_stat(arena, &stat);
	ck_assert_uint_eq(stat.used, stat.limit);
	ck_assert_uint_eq(stat.aside, 99 * ZT_PAGE_SIZE);
	ck_assert_int_eq(arena_heap_alloc(arena, 1, &none), -ENOSPC);
	arena_unset_aside(arena, 99 * ZT_PAGE_SIZE);
	for (long n = 0; n < 2; n++) {
		zt_fault_set(1);
		ck_assert_int_eq(arena_heap_alloc(arena, n ? 65536 : 8, &none), -ENOMEM);
	}
	zt_fault_set(0);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
		arena_heap_free(arena, ptrs[i], sizes[i]);
	arena_heap_free(arena, NULL, 5);
	arena_punch(arena, run, 1);
	arena_run_free(arena, run);
	/* A chunk's page of the page map, and its share of the heap, stay. */
	ck_assert_uint_eq(used(), before + ZT_PAGE_SIZE + 2048);
}
END_TEST

START_TEST(test_populate_fails_with_enomem_when_told_to)
{
	ref_t run = run_alloc(4);
	uint64_t before = resident();

	zt_fault_set(1);
	ck_assert_int_eq(arena_populate(arena, run, 4), -ENOMEM);
	ck_assert(!zt_fault_pending());
	ck_assert_uint_eq(resident(), before);
	arena_run_free(arena, run);
}
END_TEST

#if HAVE_DECL_MADV_POPULATE_WRITE /* without it the file is asked, and each page is touched */
START_TEST(test_populate_that_fails_midway_leaves_nothing_behind)
{
	ref_t run = run_alloc(8);
	uint64_t before = resident();

	/* Without address range behind a page the kernel cannot populate it. */
	ck_assert_int_eq(munmap(arena_ptr(arena, page_of(run, 5)), ZT_PAGE_SIZE), 0);
	ck_assert_int_eq(arena_populate(arena, run, 8), -ENOMEM);
	ck_assert_uint_eq(resident(), before);
	ck_assert_int_eq(arena_populate(arena, run, 5), 0);
	ck_assert_uint_eq(resident(), before + 5 * ZT_PAGE_SIZE);
}
END_TEST
#endif

START_TEST(test_create_survives_the_failure_of_every_allocation)
{
	struct arena_params params = { .reserve = 64 * MIB };
	struct arena *other;
	long n = 0;

	for (;;) {
		int error;

		zt_fault_set(++n);
		error = arena_create(&params, &other);
		if (!error)
			break;
		ck_assert_int_eq(error, -ENOMEM);
		ck_assert(!zt_fault_pending());
	}
	ck_assert(zt_fault_pending());
	zt_fault_set(0);
	ck_assert_int_ge(n, 4);
	arena_destroy(other);
}
END_TEST

/* Each chunk of the page map by itself: what the one before has in runs says nothing about it. */
START_TEST(test_stray_pages_of_each_chunk_go_when_it_is_attached)
{
	const struct arena_params params = { .reserve = 256 * MIB };
	ref_t runs[80], stray = 0, first;
	uint64_t before, bits;
	char text[256] = "";
	int fd;

	/* 64 pages each; of the second chunk of 1024 the last run alone stays. */
	for (unsigned i = 0; i < ARRAY_SIZE(runs); i++)
		runs[i] = run_alloc(64);
	first = runs[0];
	for (unsigned i = 0; i < ARRAY_SIZE(runs); i++)
		first = runs[i] < first ? runs[i] : first;
	before = resident();
	for (unsigned i = 0; i < ARRAY_SIZE(runs); i++) {
		uint64_t page = (runs[i] - first) / ARENA_PAGE_REFS;

		if (page < 1024 || page >= 2048 - 64)
			continue;
		arena_run_free(arena, runs[i]);
		stray = runs[i];
	}
	ck_assert_uint_ne(stray, 0);
	ck_assert_int_eq(arena_populate(arena, stray, 1), 0);
	arena_detach(arena, &fd);
	ck_assert_msg(arena_attach(&params, fd, text, &arena) == 0, "%s", text);
	ck_assert_int_eq(arena_resident_pages(arena, stray, 1, &bits), 0);
	ck_assert_uint_eq(bits, 0);
	ck_assert_int_eq(arena_attach_end(arena), 0);
	ck_assert_uint_le(resident(), before);
}
END_TEST

/* Runs that fill no block, too: the rest of theirs is free, but for what begins there by itself. */
START_TEST(test_populated_pages_of_a_run_are_known_when_it_is_attached)
{
	const struct arena_params params = { .reserve = 256 * MIB };
	static const uint32_t lens[] = { 1, 3, 5, 8, 70, 3 };
	ref_t runs[ARRAY_SIZE(lens)];
	char text[256] = "";
	uint64_t bits[2];
	int fd;

	for (unsigned i = 0; i < ARRAY_SIZE(lens); i++) {
		runs[i] = run_alloc(lens[i]);
		for (uint32_t page = 0; page < lens[i]; page += 2)
			ck_assert_int_eq(arena_populate(arena, page_of(runs[i], page), 1), 0);
	}
	arena_detach(arena, &fd);
	ck_assert_msg(arena_attach(&params, fd, text, &arena) == 0, "%s", text);
	for (unsigned i = 0; i < ARRAY_SIZE(lens); i++) {
		arena_attach_resident(arena, runs[i], lens[i], bits);
		for (uint32_t page = 0; page < lens[i]; page++)
			ck_assert_msg((bits[page / 64] >> (page % 64) & 1) == (page % 2 == 0),
				      "page %u of %u", page, lens[i]);
	}
	ck_assert_int_eq(arena_attach_end(arena), 0);
	for (unsigned i = 0; i < ARRAY_SIZE(lens); i++) {
		for (uint32_t page = 0; page < lens[i]; page += 2)
			arena_punch(arena, page_of(runs[i], page), 1);
		arena_run_free(arena, runs[i]);
	}
}
END_TEST

START_TEST(test_super_area_is_zero_and_keeps_what_is_stored)
{
	char *super = arena_super(arena);

	for (uint32_t i = 0; i < ARENA_SUPER_SIZE; i++)
		ck_assert_int_eq(super[i], 0);
	memset(super, 0x77, ARENA_SUPER_SIZE);
	ck_assert_int_eq(arena_check(arena), 0);
	ck_assert_ptr_eq(arena_ptr(arena, arena_ref(arena, super)), super);
}
END_TEST

START_TEST(test_resident_max_remembers_the_peak)
{
	ref_t run = run_alloc(32);
	struct arena_stat stat;
	uint64_t before = resident();

	ck_assert_int_eq(arena_populate(arena, run, 32), 0);
	arena_punch(arena, run, 32);
	ck_assert_int_eq(arena_populate(arena, run, 1), 0);
	arena_get_stat(arena, &stat);
	ck_assert_uint_eq(stat.resident_max, before + 32 * ZT_PAGE_SIZE);
	arena_punch(arena, run, 1);
	arena_run_free(arena, run);
}
END_TEST

#define NR_THREADS 4
#define NR_ROUNDS  300

static void *churn(void *arg)
{
	uint64_t state = (uintptr_t)arg;

	for (int i = 0; i < NR_ROUNDS; i++) {
		uint32_t nr = 1 + (uint32_t)(zt_random(&state) % 40);
		ref_t run;
		int error;

		ck_assert_int_eq(arena_run_alloc(arena, nr, ARENA_RUN_ZSPAGE, 1, &run), 0);
		error = arena_populate(arena, run, nr);
		if (!error) {
			uint64_t *words = arena_ptr(arena, run);

			ck_assert_uint_eq(words[nr * 512u - 1], 0);
			words[nr * 512u - 1] = state;
			arena_punch(arena, run, nr);
		} else {
			ck_assert_int_eq(error, -ENOSPC);
		}
		arena_run_free(arena, run);
	}
	return NULL;
}

START_TEST(test_threads_at_the_limit_keep_the_counters_exact)
{
	pthread_t threads[NR_THREADS];
	struct arena_stat stat;
	uint64_t limit;

	arena_run_free(arena, run_alloc(ARENA_RUN_MAX_PAGES));
	limit = resident() + 60 * ZT_PAGE_SIZE;
	arena_set_limit(arena, limit);
	for (uintptr_t i = 0; i < NR_THREADS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, churn, (void *)(i + 1)), 0);
	for (int i = 0; i < NR_THREADS; i++)
		ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
	arena_get_stat(arena, &stat);
	ck_assert_uint_le(stat.resident_max, limit);
	ck_assert_uint_eq(resident(), limit - 60 * ZT_PAGE_SIZE);
	ck_assert_uint_eq(stat.run_bytes, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("arena");
	TCase *tc = tcase_create("memory");

	tcase_set_timeout(tc, 30);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_empty_arena_holds_one_page);
	tcase_add_test(tc, test_default_reserve_is_at_least_a_gibibyte);
	tcase_add_test(tc, test_reserve_out_of_range_is_refused);
	tcase_add_test(tc, test_smallest_reserve_works);
	tcase_add_test(tc, test_populated_pages_are_zero_writable_and_counted);
	tcase_add_test(tc, test_punched_page_reads_as_zero_when_populated_again);
	tcase_add_test(tc, test_resident_pages_are_exactly_the_populated_ones);
	tcase_add_test(tc, test_limit_refuses_growth_and_nothing_else);
	tcase_add_test(tc, test_what_is_spared_is_for_those_who_may_use_it);
	tcase_add_test(tc, test_limit_too_small_for_the_superblock_is_refused);
	tcase_add_test(tc, test_limit_forbids_a_page_of_the_page_map_too);
	tcase_add_test(tc, test_heap_and_what_is_set_aside_count_against_the_limit);
	tcase_add_test(tc, test_populate_fails_with_enomem_when_told_to);
#if HAVE_DECL_MADV_POPULATE_WRITE
	tcase_add_test(tc, test_populate_that_fails_midway_leaves_nothing_behind);
#endif
	tcase_add_test(tc, test_create_survives_the_failure_of_every_allocation);
	tcase_add_test(tc, test_stray_pages_of_each_chunk_go_when_it_is_attached);
	tcase_add_test(tc, test_populated_pages_of_a_run_are_known_when_it_is_attached);
	tcase_add_test(tc, test_super_area_is_zero_and_keeps_what_is_stored);
	tcase_add_test(tc, test_resident_max_remembers_the_peak);
	tcase_add_test(tc, test_threads_at_the_limit_keep_the_counters_exact);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
