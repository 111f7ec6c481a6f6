// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_snapshot.c - the arena at one moment, read while threads go on. Tests snapshot.c, snapshot_page.c
 * and snapshot_read.c.
 */
#include "arena/snapshot.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/zt_check.h"

#define RUN_PAGES 16u
#define MAX_RUNS  512u
#define RUN_BYTES (RUN_PAGES * ZT_PAGE_SIZE)

static struct arena *arena;
static ref_t runs[MAX_RUNS];

static void setup_limit(uint64_t limit)
{
	struct arena_params params = { .reserve = 256 * MIB, .limit = limit };

	ck_assert_int_eq(arena_create(&params, &arena), 0);
}

static void setup(void)
{
	setup_limit(0);
}

/* Whatever a test has populated is there still. */
static void teardown(void)
{
	arena_snapshot_end(arena);
	ck_assert_int_eq(arena_check(arena), 0);
	arena_destroy(arena);
}

static char *page_at(unsigned run, unsigned page)
{
	return (char *)arena_ptr(arena, runs[run]) + page * ZT_PAGE_SIZE;
}

static char *make_run(unsigned run)
{
	ck_assert_int_eq(arena_run_alloc(arena, RUN_PAGES, ARENA_RUN_ZSPAGE, 0, &runs[run]), 0);
	ck_assert_int_eq(arena_populate(arena, runs[run], RUN_PAGES), 0);
	memset(page_at(run, 0), (int)(1 + run % 250), RUN_BYTES);
	return page_at(run, 0);
}

static void drop_run(unsigned run)
{
	arena_punch(arena, runs[run], RUN_PAGES);
	arena_run_free(arena, runs[run]);
}

/* Where the machine does not allow it there is nothing to test. */
static bool prepare(void)
{
	const int error = arena_snapshot_prepare(arena);

	if (error == -EPERM || error == -ENOSYS || error == -EOPNOTSUPP) {
		printf("SKIP: userfaultfd: %s\n", strerror(-error));
		return false;
	}
	ck_assert_int_eq(error, 0);
	return true;
}

static struct arena_snapshot_facts take(void)
{
	struct arena_snapshot_facts facts;

	ck_assert_int_eq(arena_snapshot_take(arena), 0);
	ck_assert_int_eq(arena_snapshot_find(arena, &facts), 0);
	ck_assert_uint_eq(facts.reserve, 256 * MIB);
	return facts;
}

static uint64_t bytes_of(const struct arena_snapshot_facts *facts)
{
	return (facts->nr_pages << ZT_PAGE_SHIFT) +
	       facts->nr_extents * sizeof(struct arena_snapshot_extent);
}

/* All of it as one image of the range: pages that are not in it are zero. @at_once: bytes a call. */
static char *read_range(const struct arena_snapshot_facts *facts, size_t at_once)
{
	const uint64_t size = bytes_of(facts), table = facts->nr_pages << ZT_PAGE_SHIFT;
	char *all = malloc(size + at_once), *range = calloc(1, facts->reserve);
	const char *from = all;
	size_t done = 0;

	ck_assert(all && range);
	for (uint64_t at = 0; at < size; at += done) {
		ck_assert_int_eq(arena_snapshot_read(arena, at, all + at, at_once, &done), 0);
		ck_assert_uint_gt(done, 0);
	}
	for (uint64_t i = 0; i < facts->nr_extents; i++) {
		struct arena_snapshot_extent extent;

		memcpy(&extent, all + table + i * sizeof(extent), sizeof(extent));
		memcpy(range + ((size_t)extent.page << ZT_PAGE_SHIFT), from,
		       (size_t)extent.nr_pages << ZT_PAGE_SHIFT);
		from += (size_t)extent.nr_pages << ZT_PAGE_SHIFT;
	}
	ck_assert_ptr_eq(from, all + table);
	free(all);
	return range;
}

static const char *in_range(const char *range, ref_t ref)
{
	return range + (ref << ARENA_REF_SHIFT);
}

static bool all_are(const char *data, size_t len, int byte)
{
	for (size_t i = 0; i < len; i++)
		if (data[i] != (char)byte)
			return false;
	return true;
}

START_TEST(test_what_changes_afterwards_is_read_as_it_was)
{
	struct arena_snapshot_facts facts;
	char *range, map[2 * ZT_PAGE_SIZE]; /* which runs there are, in the first 8 MiB */

	for (unsigned i = 0; i < 100; i++)
		make_run(i);
	memcpy(map, arena_ptr(arena, ARENA_PAGE_REFS), sizeof(map));
	if (!prepare())
		return;
	facts = take();
	for (unsigned i = 0; i < 100; i += 3)
		memset(page_at(i, i % RUN_PAGES), 255, ZT_PAGE_SIZE);
	for (unsigned i = 1; i < 100; i += 3)
		drop_run(i);
	for (unsigned i = 100; i < 160; i++)
		make_run(i); /* at the same places, too */
	range = read_range(&facts, 64 * KIB);
	for (unsigned i = 0; i < 100; i++)
		ck_assert_msg(all_are(in_range(range, runs[i]), RUN_BYTES, (int)(1 + i)), "run %u", i);
	ck_assert_mem_ne(map, arena_ptr(arena, ARENA_PAGE_REFS), sizeof(map));
	ck_assert_mem_eq(map, in_range(range, ARENA_PAGE_REFS), sizeof(map));
	free(range);
	ck_assert_uint_gt(arena_snapshot_held(arena), 0);
}
END_TEST

START_TEST(test_pages_that_come_later_are_no_part_of_it)
{
	struct arena_snapshot_facts facts;
	uint64_t before;
	char *range;

	make_run(0);
	before = arena_memfd_bytes(arena);
	if (!prepare())
		return;
	facts = take();
	ck_assert_uint_eq(facts.nr_pages << ZT_PAGE_SHIFT, before);
	ck_assert_int_eq(arena_run_alloc(arena, RUN_PAGES, ARENA_RUN_ZSPAGE, 0, &runs[1]), 0);
	arena_snapshot_end(arena);
	/* Between the moment and the look at what there was. */
	if (!prepare())
		return;
	ck_assert_int_eq(arena_snapshot_take(arena), 0);
	ck_assert_int_eq(arena_populate(arena, runs[1], RUN_PAGES), 0);
	memset(page_at(1, 0), 7, RUN_BYTES);
	arena_punch(arena, runs[0] + 3 * ARENA_PAGE_REFS, 2);
	ck_assert_int_eq(arena_populate(arena, runs[0] + 3 * ARENA_PAGE_REFS, 2), 0);
	memset(page_at(0, 3), 9, 2 * ZT_PAGE_SIZE);
	ck_assert_int_eq(arena_snapshot_find(arena, &facts), 0);
	ck_assert_uint_eq(facts.nr_pages << ZT_PAGE_SHIFT, before);
	range = read_range(&facts, MIB);
	ck_assert(all_are(in_range(range, runs[0]), RUN_BYTES, 1));
	ck_assert(all_are(in_range(range, runs[1]), RUN_BYTES, 0));
	free(range);
}
END_TEST

/* Many extents: each page is read from its own place, and the pieces end where an extent does. */
START_TEST(test_pages_between_holes_are_read_from_their_places)
{
	struct arena_snapshot_facts facts;
	char *range;

	for (unsigned i = 0; i < 60; i++)
		make_run(i);
	for (unsigned i = 1; i < 60; i += 2)
		drop_run(i);
	if (!prepare())
		return;
	facts = take();
	ck_assert_uint_ge(facts.nr_extents, 30);
	range = read_range(&facts, 128 * KIB);
	for (unsigned i = 0; i < 60; i++)
		ck_assert_msg(all_are(in_range(range, runs[i]), RUN_BYTES, i % 2 ? 0 : (int)(1 + i)),
			      "run %u", i);
	free(range);
}
END_TEST

/* Two words in pages far apart, raised one after the other. */
struct counter {
	pthread_t thread;
	unsigned idx;
	atomic_bool *stop;
	uint64_t rounds;
};

static uint64_t *word_of(unsigned run, unsigned idx)
{
	return (uint64_t *)page_at(run, idx % RUN_PAGES) + idx;
}

static void *count_up(void *arg)
{
	struct counter *counter = arg;
	const unsigned idx = counter->idx;

	for (uint64_t n = 1; !atomic_load(counter->stop); n++) {
		__atomic_store_n(word_of(0, idx), n, __ATOMIC_RELEASE);
		__atomic_store_n(word_of(MAX_RUNS - 1, idx), n, __ATOMIC_RELEASE);
		counter->rounds = n;
	}
	return NULL;
}

/* Memory comes and goes at the same time. */
static void *churn(void *arg)
{
	struct counter *counter = arg;
	const unsigned run = MAX_RUNS / 2 + counter->idx;

	for (; !atomic_load(counter->stop); counter->rounds++) {
		make_run(run);
		drop_run(run);
	}
	return NULL;
}

#define NR_COUNTERS 4u

START_TEST(test_it_is_one_moment_for_all_threads)
{
	struct counter counters[NR_COUNTERS + 1];
	atomic_bool stop = false;
	unsigned rounds = 10;

	for (unsigned i = 0; i < MAX_RUNS; i++)
		if (i < MAX_RUNS / 2 || i > MAX_RUNS / 2 + NR_COUNTERS)
			memset(make_run(i), 0, RUN_BYTES);
	if (!prepare())
		return;
	arena_snapshot_end(arena);
	for (unsigned i = 0; i <= NR_COUNTERS; i++) {
		counters[i] = (struct counter){ .idx = i, .stop = &stop };
		ck_assert_int_eq(pthread_create(&counters[i].thread, NULL,
						i < NR_COUNTERS ? count_up : churn, &counters[i]),
				 0);
	}
	while (rounds-- > 0) {
		struct arena_snapshot_facts facts;
		char *range;

		ck_assert(prepare());
		facts = take();
		range = read_range(&facts, 256 * KIB);
		for (unsigned i = 0; i < NR_COUNTERS; i++) {
			uint64_t first, second;
			size_t at = ((i % RUN_PAGES) << ZT_PAGE_SHIFT) + i * sizeof(first);

			memcpy(&first, in_range(range, runs[0]) + at, sizeof(first));
			memcpy(&second, in_range(range, runs[MAX_RUNS - 1]) + at, sizeof(second));
			ck_assert_msg(first == second || first == second + 1,
				      "thread %u: %llu and %llu", i, (unsigned long long)first,
				      (unsigned long long)second);
		}
		free(range);
		arena_snapshot_end(arena);
	}
	atomic_store(&stop, true);
	for (unsigned i = 0; i <= NR_COUNTERS; i++) {
		ck_assert_int_eq(pthread_join(counters[i].thread, NULL), 0);
		printf("thread %u: %llu rounds\n", i, (unsigned long long)counters[i].rounds);
	}
}
END_TEST

START_TEST(test_without_memory_for_copies_it_ends_and_writers_go_on)
{
	struct arena_snapshot_facts facts;
	char buf[ZT_PAGE_SIZE];
	size_t done;

	setup_limit(40 * MIB);
	for (unsigned i = 0; i < 512; i++)
		make_run(i); /* 32 MiB */
	if (prepare()) {
		struct arena_stat stat;

		facts = take();
		for (unsigned i = 0; i < 512; i++)
			memset(page_at(i, 0), 255, RUN_BYTES);
		ck_assert(all_are(page_at(511, 0), RUN_BYTES, 255));
		ck_assert_int_eq(arena_snapshot_read(arena, 0, buf, sizeof(buf), &done), -ENOSPC);
		ck_assert_uint_eq(arena_snapshot_held(arena), 0);
		arena_get_stat(arena, &stat);
		ck_assert_uint_eq(stat.aside, 0);
		ck_assert_uint_gt(facts.nr_pages, 8192);
		/* The next one is not kept from it. */
		ck_assert(prepare());
		(void)take();
	}
	teardown();
}
END_TEST

START_TEST(test_calls_out_of_order_are_refused)
{
	struct arena_snapshot_facts facts;
	char buf[ZT_PAGE_SIZE];
	size_t done;

	make_run(0);
	ck_assert_int_eq(arena_snapshot_read(arena, 0, buf, sizeof(buf), &done), -ESTALE);
	arena_snapshot_end(arena);
	arena_snapshot_give_up(arena);
	if (!prepare())
		return;
	ck_assert_int_eq(arena_snapshot_prepare(arena), -EBUSY);
	facts = take();
	ck_assert_int_eq(arena_snapshot_take(arena), -ESTALE);
	ck_assert_int_eq(arena_snapshot_read(arena, 5, buf, sizeof(buf), &done), -EINVAL);
	ck_assert_int_eq(arena_snapshot_read(arena, 0, buf, 100, &done), -EINVAL);
	ck_assert_int_eq(arena_snapshot_read(arena, bytes_of(&facts), buf, sizeof(buf), &done), 0);
	ck_assert_uint_eq(done, 0);
	arena_snapshot_give_up(arena);
	while (arena_snapshot_read(arena, 0, buf, sizeof(buf), &done) == 0)
		;
	ck_assert_int_eq(arena_snapshot_read(arena, 0, buf, sizeof(buf), &done), -ESTALE);
	memset(page_at(0, 0), 3, RUN_BYTES); /* nothing is protected any more */
	for (unsigned i = 0; i < 100; i++) { /* one that is given up is in nobody's way */
		ck_assert(prepare());
		(void)take();
		arena_snapshot_give_up(arena);
	}
	ck_assert(prepare());
	arena_snapshot_end(arena);
}
END_TEST

/* What lies far behind is given up, and its copies with it. */
START_TEST(test_what_was_read_costs_nothing_any_more)
{
	struct arena_snapshot_facts facts;
	char *buf = malloc(MIB);
	size_t done;
	uint64_t held;

	for (unsigned i = 0; i < 400; i++)
		make_run(i); /* 25 MiB */
	if (!prepare()) {
		free(buf);
		return;
	}
	facts = take();
	for (unsigned i = 0; i < 200; i++)
		memset(page_at(i, 0), 255, RUN_BYTES);
	held = arena_snapshot_held(arena);
	ck_assert_uint_ge(held, 200 * RUN_BYTES);
	for (uint64_t at = 0; at < bytes_of(&facts); at += done)
		ck_assert_int_eq(arena_snapshot_read(arena, at, buf, MIB, &done), 0);
	ck_assert_int_eq(arena_snapshot_read(arena, 0, buf, MIB, &done), -EINVAL);
	/* Those that were read are free for what changes now, and nothing of them is copied. */
	for (unsigned i = 200; i < 300; i++)
		memset(page_at(i, 0), 255, RUN_BYTES);
	ck_assert_uint_eq(arena_snapshot_held(arena), held);
	free(buf);
}
END_TEST

/*
 * The thread sanitizer stores atomically with a lock of its own, and stops all threads by these now and then: one
 * that waits at a protected page, and the snapshot's thread, which lets it go on, then wait for each other.
 */
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define UNDER_TSAN true
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define UNDER_TSAN true
#endif
#ifndef UNDER_TSAN
#define UNDER_TSAN false
#endif

static Suite *snapshot_suite(void)
{
	Suite *suite = suite_create("snapshot");
	TCase *tcase = tcase_create("snapshot"), *limit = tcase_create("limit");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 120);
	tcase_add_test(tcase, test_what_changes_afterwards_is_read_as_it_was);
	tcase_add_test(tcase, test_pages_that_come_later_are_no_part_of_it);
	tcase_add_test(tcase, test_pages_between_holes_are_read_from_their_places);
	if (!UNDER_TSAN)
		tcase_add_test(tcase, test_it_is_one_moment_for_all_threads);
	tcase_add_test(tcase, test_calls_out_of_order_are_refused);
	tcase_add_test(tcase, test_what_was_read_costs_nothing_any_more);
	suite_add_tcase(suite, tcase);
	tcase_add_test(limit, test_without_memory_for_copies_it_ends_and_writers_go_on);
	suite_add_tcase(suite, limit);
	return suite;
}

int main(void)
{
	return zt_check_main(snapshot_suite());
}
