// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_series.c - the zram series "Allow zcomps to manage their own streams", row by row: each test
 * is named after what that series says, and begins with it in a comment. What goes beyond the
 * series is in test_accel.c and test_device.c.
 */
#include <errno.h>
#include <semaphore.h>

#include "backends/accel.h"
#include "tests/zcomp/fake.h"
#include "util/alloc.h"

enum { UNIT = 4096 };

static struct zcomp *make(const char *name, bool accel, uint32_t engines, uint32_t depth)
{
	struct zcomp_config config = config_of(name, UNIT);

	config.accel = accel;
	config.accel_params = (struct zcomp_accel_params){
		.engines = engines, .depth = depth, .deadline_us = ZCOMP_ACCEL_MAX_DEADLINE_US
	};
	return must_create(&config);
}

/* Compress by @strm, expand by a per-thread stream, compare. */
static void round_trip(struct zcomp *comp, struct zcomp_strm *strm, uint64_t seed)
{
	uint8_t data[UNIT], packed[2 * UNIT], back[UNIT];
	struct zcomp_strm *own;
	size_t len = 0, back_len = 0;

	fill_text(data, UNIT, &seed);
	ck_assert_int_eq(zcomp_compress(comp, strm, data, UNIT, 2 * UNIT, &len), 0);
	memcpy(packed, strm->buffer, len);
	zcomp_stream_put(comp, strm);
	own = zcomp_stream_get(comp, ZSTRM_DEFAULT);
	ck_assert_int_eq(zcomp_decompress(comp, own, packed, len, back, UNIT, &back_len), 0);
	ck_assert_uint_eq(back_len, UNIT);
	ck_assert_int_eq(memcmp(back, data, UNIT), 0);
	zcomp_stream_put(comp, own);
}

/*
 * Row 1: hybrid model. Synchronous per-thread streams always exist; a backend may also manage
 * streams. Either alone works.
 */
START_TEST(test_row_hybrid_either_kind_of_stream_works_alone)
{
	struct zcomp *comp = make("lz4", _i, 1, 4);
	struct zcomp_stat stat;

	ck_assert_uint_gt(stat_of(comp).nr_streams, 0);
	round_trip(comp, zcomp_stream_get(comp, ZSTRM_DEFAULT), 1);
	round_trip(comp, zcomp_stream_get(comp, ZSTRM_PREFER_MGMT), 2);
	stat = stat_of(comp);
	ck_assert_uint_eq(stat.compress_calls, _i ? 1 : 2);
	ck_assert_uint_eq(stat.mgmt_calls, _i ? 1 : 0);
	zcomp_stop(comp); /* managed ones are gone, the others stay */
	round_trip(comp, zcomp_stream_get(comp, ZSTRM_PREFER_MGMT), 3);
	ck_assert_uint_eq(stat_of(comp).compress_calls, _i ? 2 : 3);
	zcomp_destroy(comp);
}
END_TEST

/* Row 2: queue depth (default 256) does not depend on CPUs and threads. */
START_TEST(test_row_queue_depth_is_independent_of_cpus_and_engines)
{
	static const uint32_t depths[] = { 1, 7, 0, 1000 };
	static const uint32_t engines[] = { 1, 3 };

	for (size_t d = 0; d < ARRAY_SIZE(depths); d++) {
		for (size_t e = 0; e < ARRAY_SIZE(engines); e++) {
			struct zcomp *comp = make("null", true, engines[e], depths[d]);
			uint32_t depth = depths[d] ? depths[d] : 256, nr = 0;
			struct zcomp_strm *strms[1100];

			while ((strms[nr] = zcomp_stream_get_managed(comp)) != NULL)
				nr++;
			/* And one in the hands of each engine. */
			ck_assert_uint_eq(nr, depth + engines[e]);
			while (nr-- > 0)
				zcomp_stream_put(comp, strms[nr]);
			zcomp_destroy(comp);
		}
	}
}
END_TEST

static void post_done(void *arg, struct zcomp_strm *strm, struct zcomp_req *req, int error)
{
	(void)strm;
	(void)req;
	ck_assert_int_eq(error, 0);
	sem_post(arg);
}

/*
 * Row 3: submission is fast and asynchronous, completion has a latency. Both are counted apart:
 * calls when they end, queued while they don't, and the time between in a histogram.
 */
START_TEST(test_row_submission_returns_at_once_and_completion_comes_later)
{
	struct zcomp *comp = make("lz4", true, 1, 4);
	struct zcomp_strm *strm = zcomp_stream_get_managed(comp);
	struct zcomp_req req = {
		.src = strm->local_copy, .src_len = UNIT, .dst = strm->buffer, .dst_cap = 2 * UNIT
	};
	uint64_t sum = 0;
	sem_t done;

	sem_init(&done, 0, 0);
	accel_hold(zcomp_get_params(comp));
	ck_assert_int_eq(zcomp_submit(comp, strm, &req, post_done, &done), 0);
	ck_assert_int_eq(sem_trywait(&done), -1); /* back, and nothing has happened */
	ck_assert_uint_eq(stat_of(comp).device.queued_now, 1);
	ck_assert_uint_eq(stat_of(comp).mgmt_calls, 0);
	accel_release(zcomp_get_params(comp));
	while (sem_wait(&done) != 0)
		;
	zcomp_stream_put(comp, strm);
	ck_assert_uint_eq(stat_of(comp).device.queued_now, 0);
	ck_assert_uint_eq(stat_of(comp).mgmt_calls, 1);
	for (size_t i = 0; i < ZCOMP_LATENCY_BUCKETS; i++)
		sum += stat_of(comp).mgmt_latency[i];
	ck_assert_uint_eq(sum, 1);
	zcomp_destroy(comp);
}
END_TEST

/*
 * Row 4: compress-only devices. Managed streams need not decompress; everything that they produce
 * is decodable by any synchronous stream.
 */
START_TEST(test_row_compress_only_output_is_decoded_by_any_synchronous_stream)
{
	const struct zcomp_ops *algorithm = zcomp_ops_at((size_t)_i);
	struct zcomp *device = make(algorithm->name, true, 2, 4);
	struct zcomp *plain = make(algorithm->name, false, 0, 0);
	struct zcomp_strm *strm = zcomp_stream_get_managed(device), *other;
	struct zcomp_req req = { .src = "abc", .src_len = 3, .dst = strm->buffer, .dst_cap = 3 };
	uint8_t data[UNIT], back[UNIT];
	size_t len = 0, back_len = 0;
	uint64_t seed = 4;

	ck_assert_int_eq(device->ops->decompress(&device->params, strm, &req), -EOPNOTSUPP);
	fill_text(data, UNIT, &seed);
	ck_assert_int_eq(zcomp_compress(device, strm, data, UNIT, 2 * UNIT, &len), 0);
	/* Even by one that never knew of a device. */
	other = zcomp_stream_get(plain, ZSTRM_DEFAULT);
	ck_assert_int_eq(zcomp_decompress(plain, other, strm->buffer, len, back, UNIT, &back_len),
			 0);
	ck_assert_uint_eq(back_len, UNIT);
	ck_assert_int_eq(memcmp(back, data, UNIT), 0);
	zcomp_stream_put(plain, other);
	zcomp_stream_put(device, strm);
	zcomp_destroy(plain);
	zcomp_destroy(device);
}
END_TEST

/*
 * Row 6: the capability is cleared by the core and reported by the backend from setup_params();
 * parameters are shared and immutable afterwards.
 */
START_TEST(test_row_capability_is_cleared_by_the_core_and_reported_by_setup)
{
	struct zcomp_config config = config_of(NULL, UNIT);
	struct zcomp_ops ops = fake_ops();
	struct zcomp_params before;
	struct zcomp_strm *strm;
	struct zcomp *comp;
	size_t len = 0;

	fake.claims_mgmt = _i;
	comp = must_create_ops(&ops, &config);
	ck_assert(!fake.caps_before.zstrm_mgmt);
	ck_assert(zcomp_managed(comp) == (bool)_i);
	before = *zcomp_get_params(comp);
	strm = zcomp_stream_get(comp, ZSTRM_PREFER_MGMT);
	ck_assert(zcomp_stream_is_managed(comp, strm) == (bool)_i);
	ck_assert_int_eq(zcomp_compress(comp, strm, "abc", 3, UNIT, &len), 0);
	zcomp_stream_put(comp, strm);
	ck_assert_int_eq(memcmp(&before, zcomp_get_params(comp), sizeof(before)), 0);
	zcomp_destroy(comp);
}
END_TEST

/*
 * Row 7: the capability without get_stream or put_stream: one warning, managed streams off,
 * everything works.
 */
START_TEST(test_row_claim_without_operations_is_one_warning_and_no_error)
{
	struct zcomp_config config = config_of(NULL, UNIT);
	struct zcomp_ops ops = fake_ops();
	struct zcomp *comp;

	if (_i != 1)
		ops.get_stream = NULL;
	if (_i != 0)
		ops.put_stream = NULL;
	nr_logged = 0;
	zt_log_set_sink(keep_log);
	comp = must_create_ops(&ops, &config);
	for (int i = 0; i < 3; i++)
		round_trip(comp, zcomp_stream_get(comp, ZSTRM_PREFER_MGMT), 5);
	ck_assert_uint_eq(nr_logged, 1);
	ck_assert(!stat_of(comp).managed);
	ck_assert_str_eq(stat_of(comp).degraded,
			 "the backend claims managed streams but lacks get_stream or put_stream");
	zcomp_destroy(comp);
	ck_assert_uint_eq(nr_logged, 1);
}
END_TEST

static int refuse_thread(pthread_t *thread, const pthread_attr_t *attr, void *(*start)(void *),
			 void *arg)
{
	(void)thread;
	(void)attr;
	(void)start;
	(void)arg;
	return EAGAIN;
}

/* Row 8: set-up failure of the accelerator degrades the same way, and the stat says why. */
START_TEST(test_row_failed_set_up_of_the_accelerator_degrades_with_a_reason)
{
	struct zcomp *comp;

	nr_logged = 0;
	zt_log_set_sink(keep_log);
	accel_create_thread = refuse_thread;
	comp = make("zstd", true, 2, 4);
	accel_create_thread = pthread_create;
	ck_assert(!stat_of(comp).managed);
	ck_assert_ptr_nonnull(strstr(stat_of(comp).degraded, "could not be started"));
	ck_assert_uint_eq(nr_logged, 1);
	round_trip(comp, zcomp_stream_get(comp, ZSTRM_PREFER_MGMT), 6);
	zcomp_destroy(comp);
}
END_TEST

/*
 * Row 9: get_stream() neither allocates nor blocks; NULL is normal and counted. Here while every
 * stream is with engines that do nothing, and no allocation may succeed.
 */
START_TEST(test_row_get_stream_neither_allocates_nor_blocks)
{
	struct zcomp *comp = make("lz4", true, 1, 3);
	struct zcomp_strm *strms[4], *strm;

	zt_fault_set_from(1);
	for (size_t i = 0; i < 4; i++) {
		strms[i] = zcomp_stream_get_managed(comp);
		ck_assert_ptr_nonnull(strms[i]);
	}
	for (uint64_t i = 1; i <= 3; i++) {
		ck_assert_ptr_null(zcomp_stream_get_managed(comp));
		ck_assert_uint_eq(stat_of(comp).fallback_no_stream, i);
	}
	strm = zcomp_stream_get(comp, ZSTRM_PREFER_MGMT);
	ck_assert(!zcomp_stream_is_managed(comp, strm));
	zcomp_stream_put(comp, strm);
	for (size_t i = 0; i < 4; i++)
		zcomp_stream_put(comp, strms[i]);
	ck_assert(zt_fault_pending()); /* nothing was even asked for */
	zt_fault_set(0);
	zcomp_destroy(comp);
}
END_TEST

/* Row 10: enum zstrm_pref. Prefer is try, and then the generic stream; default never tries. */
START_TEST(test_row_preference_is_tried_and_never_demanded)
{
	struct zcomp_config config = config_of(NULL, UNIT);
	struct zcomp_ops ops = fake_ops();
	struct zcomp *comp = must_create_ops(&ops, &config);
	struct zcomp_strm *strm;

	for (int none = 0; none < 2; none++) {
		fake.none_idle = none;
		strm = zcomp_stream_get(comp, ZSTRM_PREFER_MGMT);
		ck_assert(zcomp_stream_is_managed(comp, strm) == !none);
		zcomp_stream_put(comp, strm);
		strm = zcomp_stream_get(comp, ZSTRM_DEFAULT);
		ck_assert(!zcomp_stream_is_managed(comp, strm));
		zcomp_stream_put(comp, strm);
		ck_assert_uint_eq(stat_of(comp).fallback_no_stream, (uint64_t)none);
	}
	zcomp_destroy(comp);
}
END_TEST

/* Row 11: put is routed by the stream itself: callers have one call, whatever they hold. */
START_TEST(test_row_put_is_routed_by_the_stream)
{
	struct zcomp_config config = config_of(NULL, UNIT);
	struct zcomp_ops ops = fake_ops();
	struct zcomp *comp;
	struct zcomp_strm *own, *managed;

	config.nr_streams = 1;
	comp = must_create_ops(&ops, &config);
	own = zcomp_stream_get(comp, ZSTRM_DEFAULT);
	managed = zcomp_stream_get(comp, ZSTRM_PREFER_MGMT);
	ck_assert_ptr_eq(own->comp, comp);
	ck_assert_ptr_eq(managed->comp, comp);
	zcomp_stream_put(comp, managed);
	ck_assert_int_eq(fake.nr_put, 1);
	zcomp_stream_put(comp, own);
	ck_assert_int_eq(fake.nr_put, 1);
	/* The only one of its kind: it did come back. */
	own = zcomp_stream_get(comp, ZSTRM_DEFAULT);
	zcomp_stream_put(comp, own);
	zcomp_destroy(comp);
}
END_TEST

/*
 * Row 12: two wrappers around one plain stream: per-thread with its lock, managed without. The
 * plain one has none, so that no managed stream carries an unused mutex.
 */
START_TEST(test_row_wrappers_lock_is_around_the_per_thread_stream_alone)
{
	struct zcomp *comp = make("lz4", true, 1, 2);
	struct zcomp_strm *own = zcomp_stream_get(comp, ZSTRM_DEFAULT);
	struct zcomp_strm *managed = zcomp_stream_get_managed(comp);
	struct thread_strm *thread = container_of(own, struct thread_strm, strm);

	ck_assert_int_eq(pthread_mutex_trylock(&thread->lock.mutex), EBUSY); /* held from get to put */
	zcomp_stream_put(comp, own);
	ck_assert_int_eq(pthread_mutex_trylock(&thread->lock.mutex), 0);
	pthread_mutex_unlock(&thread->lock.mutex);
	ck_assert_uint_le(sizeof(*managed), sizeof(struct thread_strm) - sizeof(thread->lock));
	zcomp_stream_put(comp, managed);
	zcomp_destroy(comp);
}
END_TEST

/* Row 13: buffers at least 2x and local copy at least 1x the unit, checked when handed out. */
START_TEST(test_row_sizes_are_checked_when_a_stream_is_handed_out)
{
	static const struct {
		size_t buffer, local_copy;
		bool good;
	} cases[] = {
		{ 2 * UNIT, UNIT, true },
		{ 2 * UNIT - 1, UNIT, false },
		{ 2 * UNIT, UNIT - 1, false },
		{ 0, 0, false },
	};
	struct zcomp_config config = config_of(NULL, UNIT);
	struct zcomp_ops ops = fake_ops();
	struct zcomp *comp = must_create_ops(&ops, &config);
	uint64_t nr_bad = 0;

	zt_log_set_sink(keep_log);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct zcomp_strm *strm;

		fake.buffer_size = cases[i].buffer;
		fake.local_copy_size = cases[i].local_copy;
		strm = zcomp_stream_get(comp, ZSTRM_PREFER_MGMT);
		ck_assert(zcomp_stream_is_managed(comp, strm) == cases[i].good);
		ck_assert_uint_ge(strm->buffer_size, 2 * UNIT);
		ck_assert_uint_ge(strm->local_copy_size, UNIT);
		zcomp_stream_put(comp, strm);
		nr_bad += !cases[i].good;
		ck_assert_uint_eq(stat_of(comp).fallback_bad_stream, nr_bad);
	}
	zcomp_destroy(comp);
}
END_TEST

/*
 * Row 16: decompression never uses managed streams, whatever they could do. The rest of the row
 * (delayed writes prefer them; recompression and the same-filled test never touch them) is the
 * block map's: tests/blkmap/test_async.c.
 */
START_TEST(test_row_reads_never_use_managed_streams)
{
	struct zcomp *comp = make("lz4", true, 1, 2);
	struct zcomp_stat before, after;

	round_trip(comp, zcomp_stream_get_managed(comp), 7);
	before = stat_of(comp);
	zcomp_stop(comp); /* not a single engine is left */
	round_trip(comp, zcomp_stream_get(comp, ZSTRM_DEFAULT), 8);
	after = stat_of(comp);
	ck_assert_uint_eq(after.decompress_calls, before.decompress_calls + 1);
	ck_assert_uint_eq(after.device.completed, before.device.completed);
	ck_assert_uint_eq(after.mgmt_calls, before.mgmt_calls);
	zcomp_destroy(comp);
}
END_TEST

/* Row 17: a backend does its own locking; the core takes none around its calls. */
struct racer {
	struct zcomp *comp;
	uint64_t seed;
};

static void *race(void *arg)
{
	const struct racer *racer = arg;

	for (uint64_t i = 0; i < 50; i++)
		round_trip(racer->comp, zcomp_stream_get(racer->comp, ZSTRM_PREFER_MGMT),
			   racer->seed + i);
	return NULL;
}

START_TEST(test_row_locking_is_the_backends_own)
{
	struct zcomp *comp = make("lz4", true, 2, 2); /* fewer streams than threads */
	struct racer racers[6];
	pthread_t threads[6];

	for (size_t i = 0; i < ARRAY_SIZE(racers); i++) {
		racers[i] = (struct racer){ .comp = comp, .seed = 1000 * i };
		ck_assert_int_eq(pthread_create(&threads[i], NULL, race, &racers[i]), 0);
	}
	for (size_t i = 0; i < ARRAY_SIZE(racers); i++)
		pthread_join(threads[i], NULL);
	ck_assert_uint_eq(stat_of(comp).mgmt_calls + stat_of(comp).compress_calls, 300);
	zcomp_destroy(comp);
}
END_TEST

/* Row 18: full compatibility. A codec without managed operations needs no change. */
START_TEST(test_row_codec_without_managed_operations_needs_no_change)
{
	struct zcomp_config config = config_of(NULL, UNIT);
	struct zcomp_ops ops = fake_ops();
	struct zcomp *comp;

	fake.claims_mgmt = false;
	ops.get_stream = NULL;
	ops.put_stream = NULL;
	ops.submit = NULL;
	ops.stop = NULL;
	ops.get_stat = NULL;
	ops.cancel = NULL;
	nr_logged = 0;
	zt_log_set_sink(keep_log);
	config.accel = _i; /* and even serves inside a device */
	config.accel_params.deadline_us = ZCOMP_ACCEL_MAX_DEADLINE_US;
	comp = must_create_ops(&ops, &config);
	ck_assert_uint_eq(nr_logged, 0);
	ck_assert_ptr_null(stat_of(comp).degraded);
	round_trip(comp, zcomp_stream_get(comp, ZSTRM_PREFER_MGMT), 9);
	ck_assert_uint_eq(stat_of(comp).mgmt_calls, (uint64_t)_i);
	zcomp_destroy(comp);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("series");
	TCase *tc = tcase_create("series");

	tcase_add_loop_test(tc, test_row_hybrid_either_kind_of_stream_works_alone, 0, 2);
	tcase_add_test(tc, test_row_queue_depth_is_independent_of_cpus_and_engines);
	tcase_add_test(tc, test_row_submission_returns_at_once_and_completion_comes_later);
	tcase_add_loop_test(tc, test_row_compress_only_output_is_decoded_by_any_synchronous_stream,
			    0, 4);
	tcase_add_loop_test(tc, test_row_capability_is_cleared_by_the_core_and_reported_by_setup, 0,
			    2);
	tcase_add_loop_test(tc, test_row_claim_without_operations_is_one_warning_and_no_error, 0,
			    3);
	tcase_add_test(tc, test_row_failed_set_up_of_the_accelerator_degrades_with_a_reason);
	tcase_add_test(tc, test_row_get_stream_neither_allocates_nor_blocks);
	tcase_add_test(tc, test_row_preference_is_tried_and_never_demanded);
	tcase_add_test(tc, test_row_put_is_routed_by_the_stream);
	tcase_add_test(tc, test_row_wrappers_lock_is_around_the_per_thread_stream_alone);
	tcase_add_test(tc, test_row_sizes_are_checked_when_a_stream_is_handed_out);
	tcase_add_test(tc, test_row_reads_never_use_managed_streams);
	tcase_add_test(tc, test_row_locking_is_the_backends_own);
	tcase_add_loop_test(tc, test_row_codec_without_managed_operations_needs_no_change, 0, 2);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
