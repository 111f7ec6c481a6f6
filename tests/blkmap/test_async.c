// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_async.c - writes that end in another thread: when they are reported, by whom, what becomes
 * of their bytes, and who gets to compress. The device is ruled by hooks; nothing waits for time to
 * pass.
 *
 * Tests batch.c and batch_limits.c of content.
 */
#include <errno.h>
#include <sched.h>
#include <semaphore.h>
#include <string.h>
#include <unistd.h>

#include "backends/accel.h"
#include "blkmap/content/batch.h"
#include "tests/blkmap/bm_fixture.h"
#include "util/alloc.h"

enum { CLUSTER = 65536, NR = 8, LEN = NR * CLUSTER };

static char data[LEN], back[LEN];

/* One asynchronous write, and all that it may say. */
struct wait {
	sem_t done, released;
	atomic_int nr_done, nr_released;
	int error;
	size_t len;
	pthread_t by;
	char *bytes; /* overwritten when they are released, or NULL */
};

static void wait_done(void *arg, int error, size_t len)
{
	struct wait *wait = arg;

	ck_assert_int_eq(atomic_load(&wait->nr_released), 0);
	wait->error = error;
	wait->len = len;
	wait->by = pthread_self();
	atomic_fetch_add(&wait->nr_done, 1);
	sem_post(&wait->done);
}

static void wait_released(void *arg)
{
	struct wait *wait = arg;

	if (wait->bytes)
		memset(wait->bytes, 0x5a, LEN);
	atomic_fetch_add(&wait->nr_released, 1);
	sem_post(&wait->released);
}

static void wait_for(sem_t *sem)
{
	while (sem_wait(sem) != 0)
		;
}

static void start(struct bm *bm, enum blkmap_accel accel, unsigned order,
		  const struct zcomp_accel_params *params)
{
	struct bm_config config = { .order = order,
				    .accel = accel,
				    .accel_params =
					    params ? *params : (struct zcomp_accel_params){ 0 } };

	if (!config.accel_params.engines)
		config.accel_params.engines = 1;
	if (!config.accel_params.deadline_us)
		config.accel_params.deadline_us = ZCOMP_ACCEL_MAX_DEADLINE_US;
	bm_start(bm, &config);
	/* Not later: a tree must not grow while writes are under way. */
	ck_assert_int_eq(blkmap_grow(bm->map, &bm->file, 0, 32 * MIB), 0);
}

static const struct zcomp_params *params_of(struct bm *bm)
{
	return zcomp_get_params(bm->map->codecs.comp);
}

static void fill(uint64_t seed)
{
	for (size_t i = 0; i < LEN; i++)
		data[i] = (char)('a' + zt_random(&seed) % 7);
}

static void submit(struct bm *bm, struct wait *wait, char *bytes, uint64_t off, size_t len,
		   bool keeps)
{
	struct blkmap_write_end end = { .done = wait_done,
					.arg = wait,
					.release = wait_released,
					.release_arg = wait,
					.keeps_bytes = keeps };

	memset(wait, 0, sizeof(*wait));
	sem_init(&wait->done, 0, 0);
	sem_init(&wait->released, 0, 0);
	wait->bytes = keeps ? bytes : NULL;
	ck_assert(blkmap_covers(&bm->file, off, len));
	blkmap_write_async(bm->map, &bm->file,
			   &(struct blkmap_bytes){ off, bytes, len, ZSTRM_PREFER_MGMT }, &end);
}

static void ended(struct wait *wait, int error, size_t len)
{
	wait_for(&wait->done);
	wait_for(&wait->released);
	ck_assert_int_eq(atomic_load(&wait->nr_done), 1);
	ck_assert_int_eq(atomic_load(&wait->nr_released), 1);
	ck_assert_int_eq(wait->error, error);
	ck_assert_uint_eq(wait->len, len);
}

static void reads_back(struct bm *bm, const char *wanted, uint64_t off, size_t len)
{
	memset(back, 1, sizeof(back));
	ck_assert_int_eq(blkmap_read(bm->map, &bm->file, off, back, len), 0);
	ck_assert_int_eq(memcmp(back, wanted, len), 0);
}

static struct blkmap_stat stat_now(struct bm *bm)
{
	struct blkmap_stat stat;

	blkmap_get_stat(bm->map, &stat);
	return stat;
}

/* An engine that takes up its work later than the clock goes on has all its time left. */
static void wait_until_stalled(const struct zcomp_params *params)
{
	struct accel *accel = params->drv_data;
	bool reached = false;

	while (!reached) {
		sched_yield();
		accel_lock(&accel->queue_lock);
		reached = accel->nr_stalled == 1;
		accel_unlock(&accel->queue_lock);
	}
}

/*
 * The device stalls at one cluster of the write: the call returns all the same, and the reset's
 * fallback ends the write, in a thread of the device. The bytes are the caller's own when they are
 * released, or when the call returns.
 */
START_TEST(test_write_is_ended_by_who_completes_its_last_cluster)
{
	static char bytes[LEN];
	struct wait wait;
	struct bm bm;

	start(&bm, BLKMAP_ACCEL_ON, 4, &(struct zcomp_accel_params){ .batch = 1 });
	fill(1);
	memcpy(bytes, data, LEN);
	accel_fault_next(params_of(&bm), 1, ACCEL_FAULT_STALL);
	accel_hold(params_of(&bm));
	/* A single cluster is not taken back: it stays with the device. */
	submit(&bm, &wait, bytes, 0, CLUSTER, _i);
	ck_assert_int_eq(sem_trywait(&wait.done), -1);
	ck_assert_uint_eq(stat_now(&bm).inflight_now, CLUSTER);
	if (!_i)
		memset(bytes, 0x33, LEN);
	accel_release(params_of(&bm));
	wait_until_stalled(params_of(&bm));
	accel_advance_clock(params_of(&bm), ZCOMP_ACCEL_MAX_DEADLINE_US);
	ended(&wait, 0, CLUSTER);
	ck_assert(!pthread_equal(wait.by, pthread_self()));
	ck_assert_uint_eq(stat_now(&bm).async_writes, 1);
	ck_assert_uint_eq(stat_now(&bm).inflight_now, 0);
	ck_assert_uint_eq(stat_now(&bm).inflight_max, CLUSTER);
	reads_back(&bm, data, 0, CLUSTER);
	bm_stop(&bm);
}
END_TEST

/*
 * Clusters that go to the engines together are one submission, as far as the device takes batches;
 * where bytes are copied first, as far as that takes little time.
 */
START_TEST(test_clusters_of_one_write_are_submitted_at_once)
{
	static const struct {
		uint32_t batch;
		unsigned order;
		bool keeps;
		uint64_t submissions;
	} cases[] = { { 8, 4, true, 1 }, { 1, 4, true, 8 }, { 3, 4, true, 3 },
		      { 8, 4, false, 8 }, { 8, 1, false, 2 } };
	const uint32_t size = ZT_PAGE_SIZE << cases[_i].order;
	struct zcomp_stat stat;
	struct wait wait;
	struct bm bm;

	/* Twice as many clusters as there are engines go there before this thread has its first. */
	start(&bm, BLKMAP_ACCEL_ON, cases[_i].order,
	      &(struct zcomp_accel_params){ .engines = 4, .batch = cases[_i].batch });
	fill(1);
	accel_hold(params_of(&bm));
	submit(&bm, &wait, data, 0, 8 * (size_t)size, cases[_i].keeps);
	zcomp_get_stat(bm.map->codecs.comp, &stat);
	ck_assert_uint_eq(stat.device.submissions, cases[_i].submissions);
	accel_release(params_of(&bm));
	ended(&wait, 0, 8 * (size_t)size);
	fill(1);
	reads_back(&bm, data, 0, 8 * (size_t)size);
	bm_stop(&bm);
}
END_TEST

/* Side by side: what no engine has begun is taken back, so that a held device delays nothing. */
START_TEST(test_submitter_takes_back_what_no_engine_has_begun)
{
	struct wait wait;
	struct bm bm;

	start(&bm, BLKMAP_ACCEL_ON, 4, NULL);
	fill(2);
	accel_hold(params_of(&bm));
	submit(&bm, &wait, data, 0, LEN, false);
	ended(&wait, 0, LEN); /* although nothing was released */
	ck_assert(pthread_equal(wait.by, pthread_self()));
	ck_assert_uint_eq(stat_now(&bm).async_writes, 0);
	ck_assert_uint_eq(stat_now(&bm).zcomp.mgmt_calls, 0);
	ck_assert_uint_eq(stat_now(&bm).zcomp.compress_calls, NR);
	reads_back(&bm, data, 0, LEN);
	bm_stop(&bm);
}
END_TEST

START_TEST(test_edges_and_whole_clusters_of_one_write_come_together)
{
	static const size_t offs[] = { 0, 1, 4096, 5000, 65535 };
	struct wait wait;
	struct bm bm;

	start(&bm, BLKMAP_ACCEL_ON, 4, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(offs); i++) {
		size_t len = LEN - 70000 + 137 * i;

		fill(3 + i);
		submit(&bm, &wait, data + offs[i], offs[i], len, false);
		ended(&wait, 0, len);
		reads_back(&bm, data + offs[i], offs[i], len);
	}
	bm_check(&bm);
	bm_stop(&bm);
}
END_TEST

/* Every way in which a device fails. */
static const struct zcomp_accel_params faulty[] = {
	{ .fail_ppm = 1000000 },
	{ .fail_ppm = 300000, .latency_us = 20 },
	{ .stall_ppm = 1000000, .deadline_us = 500 },
	{ .stall_ppm = 50000, .deadline_us = 500 },
	{ .reset_ppm = 200000, .deadline_us = 5000 },
	{ .kill_ppm = 200000, .deadline_us = 5000 },
	{ .kill_ppm = 1000000, .deadline_us = 5000 },
	{ .latency_us = 100, .deadline_us = 101 }, /* most miss it */
	{ .depth = 1, .engines = 2 }, /* no stream, full queue */
};

static void quiet(enum zt_log_level level, const char *line)
{
	(void)level;
	(void)line;
}

START_TEST(test_whatever_the_device_does_every_write_is_stored)
{
	struct wait waits[16];
	struct bm bm;

	zt_log_set_sink(quiet);
	start(&bm, BLKMAP_ACCEL_ON, _i % 2 ? 4 : 2, &faulty[_i]);
	fill((uint64_t)_i);
	for (unsigned round = 0; round < 6; round++) {
		for (size_t i = 0; i < ARRAY_SIZE(waits); i++)
			submit(&bm, &waits[i], data, i * LEN, LEN, false);
		for (size_t i = 0; i < ARRAY_SIZE(waits); i++)
			ended(&waits[i], 0, LEN);
	}
	ck_assert(blkmap_drain(bm.map, 0));
	ck_assert_uint_eq(stat_now(&bm).inflight_now, 0);
	for (size_t i = 0; i < ARRAY_SIZE(waits); i++)
		reads_back(&bm, data, i * LEN, LEN);
	bm_stop(&bm);
}
END_TEST

/* A submitter past the bound compresses by itself. */
START_TEST(test_bytes_in_flight_are_bounded)
{
	struct wait waits[300];
	struct bm bm;
	unsigned nr = 0;

	start(&bm, BLKMAP_ACCEL_ON, 4, &(struct zcomp_accel_params){ .depth = 1000 });
	fill(4);
	accel_hold(params_of(&bm));
	for (nr = 0; nr < ARRAY_SIZE(waits); nr++)
		submit(&bm, &waits[nr], data, (uint64_t)nr * CLUSTER, CLUSTER, false);
	ck_assert_uint_eq(stat_now(&bm).inflight_now, INFLIGHT_LIMIT);
	ck_assert_uint_eq(stat_now(&bm).inflight_limit, INFLIGHT_LIMIT);
	ck_assert_uint_ge(stat_now(&bm).fallback_inflight,
			  ARRAY_SIZE(waits) - INFLIGHT_LIMIT / CLUSTER);
	for (unsigned i = INFLIGHT_LIMIT / CLUSTER; i < nr; i++)
		ended(&waits[i], 0, CLUSTER);
	accel_release(params_of(&bm));
	for (unsigned i = 0; i < INFLIGHT_LIMIT / CLUSTER; i++)
		ended(&waits[i], 0, CLUSTER);
	ck_assert_uint_eq(stat_now(&bm).inflight_max, INFLIGHT_LIMIT);
	bm_stop(&bm);
}
END_TEST

/*
 * Row 15 and 16 of the zram series: delayed writes prefer managed streams; reads, recompression and
 * the same-filled test never use them. Here with a device that fails whatever comes.
 */
START_TEST(test_row_only_delayed_writes_prefer_managed_streams)
{
	static const char zeros[CLUSTER];
	struct blkmap_stat before, after;
	struct wait wait;
	struct bm bm;
	size_t done;

	start(&bm, BLKMAP_ACCEL_ON, 4, NULL);
	fill(5);
	submit(&bm, &wait, data, 0, CLUSTER, false);
	ended(&wait, 0, CLUSTER);
	before = stat_now(&bm);
	ck_assert_uint_eq(before.zcomp.mgmt_calls, 1);
	/* Same-filled. */
	submit(&bm, &wait, (char *)zeros, CLUSTER, CLUSTER, false);
	ended(&wait, 0, CLUSTER);
	/* Not delayed, and one cluster. */
	ck_assert_int_eq(
		blkmap_write(bm.map, &bm.file,
			     &(struct blkmap_bytes){ CLUSTER, data, CLUSTER, ZSTRM_DEFAULT },
			     &done),
		0);
	/* Reading, a small change, and folding it: a recompression. */
	reads_back(&bm, data, 0, CLUSTER);
	ck_assert_int_eq(blkmap_write(bm.map, &bm.file,
				      &(struct blkmap_bytes){ 4096, data, 4096, ZSTRM_DEFAULT },
				      &done),
			 0);
	blkmap_trim(bm.map);
	after = stat_now(&bm);
	ck_assert_uint_eq(after.folds, before.folds + 1);
	ck_assert_uint_eq(after.zcomp.mgmt_calls, before.zcomp.mgmt_calls);
	ck_assert_uint_eq(after.zcomp.device.completed, before.zcomp.device.completed);
	bm_stop(&bm);
}
END_TEST

/* auto: engines get work only where that pays. */
START_TEST(test_auto_keeps_small_work_inline)
{
	static const struct {
		unsigned order;
		size_t len;
		bool engines;
	} cases[] = {
		{ 4, CLUSTER, false }, /* one cluster */
		{ 4, 4096, false },    { 0, LEN, false }, /* clusters of 4 KiB */
		{ 1, LEN, false },     { 2, LEN, true },  { 4, LEN, true },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct wait wait;
		struct bm bm;

		if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
			return; /* auto is off then */
		start(&bm, BLKMAP_ACCEL_AUTO, cases[i].order, NULL);
		fill(6);
		accel_hold(params_of(&bm));
		submit(&bm, &wait, data, 0, cases[i].len, false);
		ended(&wait, 0, cases[i].len);
		/* They were at least offered some. */
		ck_assert_msg((stat_now(&bm).inflight_max > 0) == cases[i].engines, "case %zu", i);
		bm_stop(&bm);
	}
}
END_TEST

START_TEST(test_near_a_limit_clusters_are_stored_in_order)
{
	struct bm_config config = {
		.order = 4,
		.accel = BLKMAP_ACCEL_ON,
		.max_pages = (LEN + 3 * CLUSTER) / 4096,
	};
	struct wait wait;
	struct bm bm;

	bm_start(&bm, &config);
	ck_assert_int_eq(blkmap_grow(bm.map, &bm.file, 0, 2 * LEN), 0);
	fill(7);
	submit(&bm, &wait, data, 0, LEN, false);
	ended(&wait, 0, LEN);
	submit(&bm, &wait, data, LEN, LEN, false);
	ended(&wait, -ENOSPC, 3 * CLUSTER);
	reads_back(&bm, data, LEN, 3 * CLUSTER);
	ck_assert_uint_eq(stat_now(&bm).inflight_max, 0);
	bm_stop(&bm);
}
END_TEST

/* No memory for the n-th thing: either all is stored, or the write says how much is. */
START_TEST(test_any_allocation_of_a_batch_may_fail)
{
	bool pending = false;

	for (long n = 1; !pending; n++) {
		struct wait wait;
		struct bm bm;

		start(&bm, BLKMAP_ACCEL_ON, 4, NULL);
		fill((uint64_t)n);
		zt_fault_set(n);
		submit(&bm, &wait, data, 100, LEN - 200, false);
		wait_for(&wait.done);
		ck_assert(blkmap_drain(bm.map, 0));
		pending = zt_fault_pending();
		zt_fault_set(0);
		ck_assert(wait.error == 0 || wait.error == -ENOMEM || wait.error == -ENOSPC);
		if (!wait.error)
			ck_assert_uint_eq(wait.len, LEN - 200);
		reads_back(&bm, data, 100, wait.len);
		ck_assert_int_lt(n, 500);
		bm_stop(&bm);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("async");
	TCase *tc = tcase_create("async");

	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, test_write_is_ended_by_who_completes_its_last_cluster, 0, 2);
	tcase_add_loop_test(tc, test_clusters_of_one_write_are_submitted_at_once, 0, 5);
	tcase_add_test(tc, test_submitter_takes_back_what_no_engine_has_begun);
	tcase_add_test(tc, test_edges_and_whole_clusters_of_one_write_come_together);
	tcase_add_loop_test(tc, test_whatever_the_device_does_every_write_is_stored, 0,
			    ARRAY_SIZE(faulty));
	tcase_add_test(tc, test_bytes_in_flight_are_bounded);
	tcase_add_test(tc, test_row_only_delayed_writes_prefer_managed_streams);
	tcase_add_test(tc, test_auto_keeps_small_work_inline);
	tcase_add_test(tc, test_near_a_limit_clusters_are_stored_in_order);
	tcase_add_test(tc, test_any_allocation_of_a_batch_may_fail);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
