// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_trace.c - the compression requests of a block map, recorded: cluster/traced.c and util/trace.c, too.
 */
#include <errno.h>
#include <pthread.h>

#include "blkmap/trace.h"
#include "tests/blkmap/bm_fixture.h"
#include "util/alloc.h"

#define CLUSTER 32768u /* of order 3 */

static struct bm bm;
static char fetched[128 * (8192 + 16)]; /* whole records of what the writers below write */

/* What one fetch gives. */
static struct trace_answer fetch(uint64_t id)
{
	struct trace_answer answer;

	ck_assert_int_eq(blkmap_trace_fetch(bm.map, id, fetched, sizeof(fetched), &answer), 0);
	return answer;
}

static struct trace_record record_at(size_t at)
{
	struct trace_record record;

	memcpy(&record, fetched + at, sizeof(record));
	return record;
}

static void write_clusters(char *buf)
{
	uint64_t seed = zt_seed();

	memset(buf, 0, CLUSTER);
	for (unsigned i = 0; i < CLUSTER; i++)
		buf[CLUSTER + i] = (char)zt_random(&seed);
	for (unsigned i = 0; i < CLUSTER; i++)
		buf[2 * CLUSTER + i] = "words and "[i % 10];
	for (unsigned i = 0; i < 3; i++)
		ck_assert_int_eq(bm_write(&bm, i * CLUSTER, buf + (size_t)i * CLUSTER, CLUSTER), 0);
}

static void check_kinds(const struct trace_answer *answer, const char *contents)
{
	static const enum trace_kind kinds[] = { TRACE_SAME, TRACE_RAW, TRACE_SMALLER };
	uint64_t before = 0;
	size_t at = 0;

	for (unsigned i = 0; i < 3; i++) {
		const struct trace_record record = record_at(at);

		ck_assert_uint_eq(record.kind, kinds[i]);
		ck_assert_uint_eq(record.len, CLUSTER);
		ck_assert_uint_ge(record.at_ns, before);
		before = record.at_ns;
		if (kinds[i] == TRACE_SMALLER)
			ck_assert(record.ratio > 0 && record.ratio < 5);
		else
			ck_assert_uint_eq(record.ratio, kinds[i] == TRACE_SAME ? 0 : TRACE_RATIOS);
		at += sizeof(record);
		if (!contents || kinds[i] == TRACE_SAME)
			continue;
		ck_assert_int_eq(memcmp(fetched + at, contents + (size_t)i * CLUSTER, CLUSTER), 0);
		at += trace_content(&record);
	}
	ck_assert_uint_eq(answer->len, at);
	ck_assert_uint_eq(answer->left, 0);
	ck_assert_uint_eq(answer->lost, 0);
}

START_TEST(test_requests_are_recorded_with_what_became_of_them)
{
	static char buf[3 * CLUSTER];
	struct trace_answer answer;
	struct arena_stat before, now;
	uint64_t id;

	bm_start(&bm, &(struct bm_config){ .order = 3 });
	arena_get_stat(bm.arena, &before);
	write_clusters(buf); /* nobody looks */
	for (unsigned contents = 0; contents < 2; contents++) {
		ck_assert_int_eq(blkmap_trace_start(bm.map, contents == 1, &id), 0);
		write_clusters(buf);
		answer = fetch(id);
		check_kinds(&answer, contents ? buf : NULL);
		ck_assert(!answer.over);
		arena_get_stat(bm.arena, &now);
		ck_assert_uint_gt(now.aside, before.aside);
		/* After the end nothing is recorded, and the memory is back. */
		blkmap_trace_stop(bm.map, id);
		write_clusters(buf);
		answer = fetch(id);
		ck_assert_uint_eq(answer.len, 0);
		ck_assert(answer.over);
		arena_get_stat(bm.arena, &now);
		ck_assert_uint_eq(now.aside, before.aside);
		ck_assert_int_eq(blkmap_trace_fetch(bm.map, id, fetched, sizeof(fetched), &answer),
				 -ESRCH);
	}
	bm_stop(&bm);
}
END_TEST

START_TEST(test_one_trace_at_a_time_and_by_its_number)
{
	struct trace_answer answer;
	uint64_t id, other;

	bm_start(&bm, &(struct bm_config){ .order = 0 });
	ck_assert_int_eq(blkmap_trace_start(bm.map, false, &id), 0);
	ck_assert_int_eq(blkmap_trace_start(bm.map, false, &other), -EBUSY);
	ck_assert_int_eq(blkmap_trace_fetch(bm.map, id + 1, fetched, 64, &answer), -ESRCH);
	blkmap_trace_stop(bm.map, id + 1);
	blkmap_trace_stop(bm.map, 0);
	ck_assert(!fetch(id).over);
	bm_stop(&bm); /* with the trace: its memory is not lost */
}
END_TEST

/* One more than there is room for is lost and counted; what is there stays as it is. */
START_TEST(test_what_finds_no_room_is_counted_as_lost)
{
	static char buf[1024];
	struct trace trace = { .id = 0 };
	struct trace_ring ring = { .bytes = zt_map(4096), .size = 4096 }, old;
	const struct trace_record record = trace_note(TRACE_RAW, 1000, 1000);
	struct trace_answer answer;
	uint64_t id, begun;

	for (unsigned i = 0; i < sizeof(buf); i++)
		buf[i] = (char)i;
	trace_init(&trace);
	ck_assert_uint_eq(trace_begin(&trace), 0);
	ck_assert_int_eq(trace_start(&trace, ring, true, &old, &id), 0);
	ck_assert_ptr_null(old.bytes);
	/* 1016 bytes each: four fit, and once there is room again records go round the ring's end. */
	for (unsigned round = 0; round < 10; round++) {
		for (unsigned i = 0; i < 5; i++) {
			begun = trace_begin(&trace);
			ck_assert_uint_ne(begun, 0);
			ck_assert_uint_eq(trace_add(&trace, begun, &record, buf), 0);
		}
		ck_assert_int_eq(trace_fetch(&trace, id, fetched, 100, &answer), 0);
		ck_assert_uint_eq(answer.len, 100);
		ck_assert_int_eq(trace_fetch(&trace, id, fetched + 100, 8192, &answer), 0);
		ck_assert_uint_eq(answer.len, 4 * 1016 - 100);
		ck_assert_uint_eq(answer.lost, round + 1);
		for (unsigned i = 0; i < 4; i++)
			ck_assert_int_eq(memcmp(fetched + i * 1016 + 16, buf, 1000), 0);
	}
	/* What came before the trace began is none of its requests. */
	ck_assert_uint_eq(trace_add(&trace, 1, &record, buf), 0);
	ck_assert_int_eq(trace_fetch(&trace, id, fetched, 8192, &answer), 0);
	ck_assert_uint_eq(answer.len, 0);
	trace_exit(&trace);
}
END_TEST

/* A reader that was killed: the next one need not wait, and a full ring frees itself. */
START_TEST(test_trace_of_a_reader_that_is_gone_ends)
{
	static char buf[4096];
	struct trace *trace;
	uint64_t id, other;

	bm_start(&bm, &(struct bm_config){ .order = 0 });
	trace = &bm.map->codecs.trace;
	ck_assert_int_eq(blkmap_trace_start(bm.map, false, &id), 0);
	trace->asked_ns -= 2 * TRACE_PATIENCE_NS;
	ck_assert_int_eq(blkmap_trace_start(bm.map, true, &other), 0);
	ck_assert_uint_ne(id, other);
	trace->asked_ns -= 2 * TRACE_PATIENCE_NS;
	trace->head = trace->tail + trace->ring.size; /* as if nothing had been fetched for long */
	memset(buf, 'x', 4000);
	ck_assert_int_eq(bm_write(&bm, 0, buf, sizeof(buf)), 0);
	ck_assert_ptr_null(trace->ring.bytes);
	ck_assert_uint_eq(trace_begin(trace), 0);
	bm_stop(&bm);
}
END_TEST

static atomic_bool writers_stop;

static void *writer(void *arg)
{
	static char text[4][8192];
	const unsigned number = (unsigned)(uintptr_t)arg;

	for (unsigned i = 0; i < 8192; i++)
		text[number][i] = (char)("words of a writer "[i % 18] + (char)number);
	while (!atomic_load(&writers_stop))
		ck_assert_int_eq(bm_write(&bm, number * 8192, text[number], 8192), 0);
	return NULL;
}

/* The records of one answer, all of them whole. Return: how many. */
static uint64_t take(uint64_t id, bool contents, struct trace_answer *out_answer)
{
	uint64_t nr = 0;
	size_t at = 0;

	*out_answer = fetch(id);
	while (at + sizeof(struct trace_record) <= out_answer->len) {
		const struct trace_record record = record_at(at);

		ck_assert_uint_eq(record.len, 8192);
		ck_assert_uint_eq(record.kind, TRACE_SMALLER);
		at += sizeof(record) + (contents ? trace_content(&record) : 0);
		nr++;
	}
	ck_assert_uint_eq(at, out_answer->len);
	return nr;
}

/* Every record is whole, however many write, and a trace may begin and end at any moment. */
START_TEST(test_many_writers_leave_whole_records)
{
	pthread_t threads[4];
	uint64_t id;

	bm_start(&bm, &(struct bm_config){ .order = 1, .accel = BLKMAP_ACCEL_ON });
	ck_assert_int_eq(blkmap_grow(bm.map, &bm.file, 0, sizeof(threads) / sizeof(*threads) * 8192), 0);
	atomic_store(&writers_stop, false);
	for (uintptr_t i = 0; i < 4; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, writer, (void *)i), 0);
	for (unsigned round = 0; round < 20; round++) {
		struct trace_answer answer = { .left = 0 };
		uint64_t now = 0;

		ck_assert_int_eq(blkmap_trace_start(bm.map, round % 2 == 1, &id), 0);
		while (!answer.over) {
			if (now > 10)
				blkmap_trace_stop(bm.map, id);
			now += take(id, round % 2 == 1, &answer);
		}
	}
	atomic_store(&writers_stop, true);
	for (unsigned i = 0; i < 4; i++)
		ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
	bm_stop(&bm);
}
END_TEST

/* What engines compress is recorded, too, once for each cluster. */
START_TEST(test_clusters_of_the_accelerator_are_recorded)
{
	static char buf[16 * CLUSTER];
	unsigned nr_managed = 0;
	uint64_t id;

	for (size_t i = 0; i < sizeof(buf); i++)
		buf[i] = (char)("some text "[i % 10] + (char)(i / CLUSTER));
	memset(buf + 5 * CLUSTER, 0, CLUSTER);
	bm_start(&bm, &(struct bm_config){ .order = 3, .accel = BLKMAP_ACCEL_ON });
	ck_assert_int_eq(blkmap_grow(bm.map, &bm.file, 0, sizeof(buf)), 0);
	ck_assert_int_eq(blkmap_trace_start(bm.map, false, &id), 0);
	/* Until engines get some before the writing thread does: soon, but not always at once. */
	for (unsigned round = 0; round < 10000 && nr_managed == 0; round++) {
		unsigned nr_same = 0;

		ck_assert_int_eq(bm_write(&bm, 0, buf, sizeof(buf)), 0);
		ck_assert_uint_eq(fetch(id).len, 16 * sizeof(struct trace_record));
		for (unsigned i = 0; i < 16; i++) {
			const struct trace_record record = record_at(i * sizeof(record));

			nr_same += record.kind == TRACE_SAME;
			nr_managed += record.flags == TRACE_MANAGED;
		}
		ck_assert_uint_eq(nr_same, 1);
	}
	ck_assert_uint_gt(nr_managed, 0);
	bm_stop(&bm);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("trace");
	TCase *tcase = tcase_create("trace");

	tcase_set_timeout(tcase, 120);
	tcase_add_test(tcase, test_requests_are_recorded_with_what_became_of_them);
	tcase_add_test(tcase, test_one_trace_at_a_time_and_by_its_number);
	tcase_add_test(tcase, test_what_finds_no_room_is_counted_as_lost);
	tcase_add_test(tcase, test_trace_of_a_reader_that_is_gone_ends);
	tcase_add_test(tcase, test_many_writers_leave_whole_records);
	tcase_add_test(tcase, test_clusters_of_the_accelerator_are_recorded);
	suite_add_tcase(suite, tcase);
	return zt_check_main(suite);
}
