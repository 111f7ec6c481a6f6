// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_accel.c - the pseudo-accelerator at its limits: held engines, a full queue, failing
 * requests, the end with work queued, and set-up that doesn't succeed. Nothing here waits for time
 * to pass.
 */
#include <errno.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/mman.h>

#include "backends/accel.h"
#include "tests/zcomp/fake.h"
#include "util/alloc.h"
#include "util/clock.h"

enum { UNIT = 4096, DEPTH = 4, ENGINES = 2, NR_STREAMS = DEPTH + ENGINES };

/* Deadlines pass when a test moves the device's clock, and not before. */
#define NEVER_US ZCOMP_ACCEL_MAX_DEADLINE_US

static struct zcomp *make_accel(const char *name)
{
	struct zcomp_config config = config_of(name, UNIT);

	config.accel = true;
	config.accel_params = (struct zcomp_accel_params){ .engines = ENGINES,
							   .depth = DEPTH,
							   .deadline_us = NEVER_US };
	return must_create(&config);
}

/* One request, from its data to its end. */
struct job {
	struct zcomp *comp;
	struct zcomp_strm *strm;
	struct zcomp_req req;
	uint8_t data[UNIT];
	sem_t done;
	atomic_int nr_done;
	int error;
	bool put_in_done; /* done() gives the stream back, after taking the output */
	bool sync_in_done; /* done() falls back by itself */
	uint8_t packed[2 * UNIT];
	size_t packed_len;
	char thread_name[16];
	sigset_t blocked;
};

static void job_done(void *arg, struct zcomp_strm *strm, struct zcomp_req *req, int error)
{
	struct job *job = arg;

	ck_assert_ptr_eq(strm, job->strm);
	ck_assert_ptr_eq(req, &job->req);
	atomic_fetch_add(&job->nr_done, 1);
	job->error = error;
	if (!error) {
		job->packed_len = req->dst_len;
		memcpy(job->packed, req->dst, req->dst_len);
	} else if (job->sync_in_done) {
		struct zcomp_strm *own = zcomp_stream_get(job->comp, ZSTRM_DEFAULT);

		ck_assert_int_eq(
			zcomp_compress(job->comp, own, job->data, UNIT, 2 * UNIT, &job->packed_len),
			0);
		memcpy(job->packed, own->buffer, job->packed_len);
		zcomp_stream_put(job->comp, own);
	}
	pthread_getname_np(pthread_self(), job->thread_name, sizeof(job->thread_name));
	pthread_sigmask(SIG_SETMASK, NULL, &job->blocked);
	if (job->put_in_done)
		zcomp_stream_put(job->comp, strm);
	sem_post(&job->done);
}

static void job_prepare(struct job *job, struct zcomp *comp, struct zcomp_strm *strm, uint64_t seed)
{
	memset(job, 0, sizeof(*job));
	fill_text(job->data, UNIT, &seed);
	sem_init(&job->done, 0, 0);
	job->comp = comp;
	job->strm = strm;
	memcpy(strm->local_copy, job->data, UNIT);
	job->req = (struct zcomp_req){
		.src = strm->local_copy, .src_len = UNIT, .dst = strm->buffer, .dst_cap = 2 * UNIT
	};
}

static int job_submit(struct job *job)
{
	return zcomp_submit(job->comp, job->strm, &job->req, job_done, job);
}

/* Its output is what was put in, for any synchronous stream. */
static void job_check(struct job *job)
{
	struct zcomp_strm *strm = zcomp_stream_get(job->comp, ZSTRM_DEFAULT);
	uint8_t back[UNIT];
	size_t len = 0;

	ck_assert_int_eq(atomic_load(&job->nr_done), 1);
	ck_assert_int_eq(zcomp_decompress(job->comp, strm, job->packed, job->packed_len, back,
					  sizeof(back), &len),
			 0);
	ck_assert_uint_eq(len, UNIT);
	ck_assert_int_eq(memcmp(back, job->data, UNIT), 0);
	zcomp_stream_put(job->comp, strm);
}

static void job_wait(struct job *job)
{
	while (sem_wait(&job->done) != 0)
		;
}

START_TEST(test_all_streams_taken_gives_null_and_counts)
{
	struct zcomp *comp = make_accel("lz4");
	struct zcomp_strm *strms[NR_STREAMS];

	for (int i = 0; i < NR_STREAMS; i++) {
		strms[i] = zcomp_stream_get_managed(comp);
		ck_assert_ptr_nonnull(strms[i]);
		for (int k = 0; k < i; k++)
			ck_assert_ptr_ne(strms[i], strms[k]);
	}
	ck_assert_ptr_null(zcomp_stream_get_managed(comp));
	ck_assert_uint_eq(stat_of(comp).fallback_no_stream, 1);
	zcomp_stream_put(comp, strms[2]);
	ck_assert_ptr_eq(zcomp_stream_get_managed(comp), strms[2]);
	for (int i = 0; i < NR_STREAMS; i++)
		zcomp_stream_put(comp, strms[i]);
	zcomp_destroy(comp);
}
END_TEST

START_TEST(test_last_stream_put_is_the_first_got)
{
	struct zcomp *comp = make_accel("lz4");
	struct zcomp_strm *a = zcomp_stream_get_managed(comp);
	struct zcomp_strm *b = zcomp_stream_get_managed(comp);

	zcomp_stream_put(comp, a);
	zcomp_stream_put(comp, b);
	ck_assert_ptr_eq(zcomp_stream_get_managed(comp), b);
	ck_assert_ptr_eq(zcomp_stream_get_managed(comp), a);
	zcomp_stream_put(comp, a);
	zcomp_stream_put(comp, b);
	zcomp_destroy(comp);
}
END_TEST

static unsigned resident_pages(const struct accel *accel)
{
	unsigned char pages[3 * NR_STREAMS * UNIT / 4096];
	unsigned nr = 0;

	ck_assert_uint_eq(accel->buffers_size, sizeof(pages) * 4096);
	ck_assert_int_eq(mincore(accel->buffers, accel->buffers_size, pages), 0);
	for (size_t i = 0; i < sizeof(pages); i++)
		nr += pages[i] & 1;
	return nr;
}

START_TEST(test_buffers_of_an_idle_device_give_their_memory_back)
{
	struct zcomp *comp = make_accel("lz4");
	const struct accel *accel = zcomp_get_params(comp)->drv_data;
	struct zcomp_strm *strm = zcomp_stream_get_managed(comp);
	uint64_t end = zt_now_ns() + UINT64_C(20000000000);
	struct job job;

	ck_assert_ptr_nonnull(strm);
	job_prepare(&job, comp, strm, 1);
	ck_assert_int_eq(job_submit(&job), 0);
	job_wait(&job);
	job_check(&job);
	/* Not while one is lent. */
	accel_advance_clock(zcomp_get_params(comp), 1000000);
	accel_look(zcomp_get_params(comp));
	ck_assert_uint_gt(resident_pages(accel), 0);
	zcomp_stream_put(comp, strm);
	/* The next one that is done makes it look again. */
	strm = zcomp_stream_get_managed(comp);
	ck_assert_ptr_nonnull(strm);
	job_prepare(&job, comp, strm, 2);
	job.put_in_done = true;
	ck_assert_int_eq(job_submit(&job), 0);
	job_wait(&job);
	while (resident_pages(accel) > 0 && zt_now_ns() < end) {
		accel_advance_clock(zcomp_get_params(comp), 1000000);
		(void)sched_yield();
	}
	ck_assert_uint_eq(resident_pages(accel), 0);
	zcomp_destroy(comp);
}
END_TEST

START_TEST(test_default_depth_is_256_and_engines_follow_the_cpus)
{
	struct zcomp_config config = config_of("null", UNIT);
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	uint32_t engines = (uint32_t)(cpus > 8 ? 8 : cpus), nr = 0;
	struct zcomp_strm *strms[300];
	struct zcomp *comp;

	config.accel = true;
	comp = must_create(&config);
	while ((strms[nr] = zcomp_stream_get_managed(comp)) != NULL)
		nr++;
	ck_assert_uint_eq(nr, 256 + engines);
	while (nr-- > 0)
		zcomp_stream_put(comp, strms[nr]);
	zcomp_destroy(comp);
}
END_TEST

/* As many jobs as the queue takes, while engines are held. */
static void fill_queue(struct zcomp *comp, struct job jobs[DEPTH])
{
	accel_hold(zcomp_get_params(comp));
	for (int i = 0; i < DEPTH; i++) {
		job_prepare(&jobs[i], comp, zcomp_stream_get_managed(comp), (uint64_t)i);
		ck_assert_int_eq(job_submit(&jobs[i]), 0);
	}
}

START_TEST(test_full_queue_is_busy_and_empties_after_release)
{
	static struct job jobs[DEPTH], more;
	struct zcomp *comp = make_accel("lz4");
	struct zcomp_strm *strm;

	fill_queue(comp, jobs);
	strm = zcomp_stream_get_managed(comp);
	ck_assert_ptr_nonnull(strm);
	job_prepare(&more, comp, strm, 99);
	ck_assert_int_eq(job_submit(&more), -EBUSY);
	ck_assert_int_eq(job_submit(&more), -EBUSY);
	ck_assert_uint_eq(stat_of(comp).fallback_busy, 2);
	ck_assert_uint_eq(stat_of(comp).device.queued_now, DEPTH);
	ck_assert_uint_eq(stat_of(comp).device.completed, 0);
	for (int i = 0; i < DEPTH; i++)
		ck_assert_int_eq(atomic_load(&jobs[i].nr_done), 0);
	accel_release(zcomp_get_params(comp));
	for (int i = 0; i < DEPTH; i++) {
		job_wait(&jobs[i]);
		ck_assert_int_eq(jobs[i].error, 0);
		job_check(&jobs[i]);
		zcomp_stream_put(comp, jobs[i].strm);
	}
	ck_assert_int_eq(job_submit(&more), 0); /* there is room again */
	job_wait(&more);
	job_check(&more);
	zcomp_stream_put(comp, strm);
	ck_assert_uint_eq(stat_of(comp).device.queued_now, 0);
	ck_assert_uint_eq(stat_of(comp).device.queued_max, DEPTH);
	ck_assert_uint_eq(stat_of(comp).device.completed, DEPTH + 1);
	ck_assert_uint_eq(stat_of(comp).mgmt_calls, DEPTH + 1);
	zcomp_destroy(comp);
}
END_TEST

START_TEST(test_waiting_compression_on_a_full_queue_is_done_by_a_thread_stream)
{
	static struct job jobs[DEPTH];
	struct zcomp *comp = make_accel("zstd");
	struct zcomp_strm *strm;
	uint8_t data[UNIT], back[UNIT], packed[2 * UNIT];
	uint64_t seed = 7;
	size_t len = 0, back_len = 0;

	fill_queue(comp, jobs);
	fill_text(data, UNIT, &seed);
	strm = zcomp_stream_get(comp, ZSTRM_PREFER_MGMT);
	ck_assert(zcomp_stream_is_managed(comp, strm));
	ck_assert_int_eq(zcomp_compress(comp, strm, data, UNIT, UNIT, &len), 0);
	memcpy(packed, strm->buffer, len);
	zcomp_stream_put(comp, strm);
	ck_assert_uint_eq(stat_of(comp).fallback_busy, 1);
	ck_assert_uint_eq(stat_of(comp).compress_calls, 1);
	strm = zcomp_stream_get(comp, ZSTRM_DEFAULT);
	ck_assert_int_eq(zcomp_decompress(comp, strm, packed, len, back, UNIT, &back_len), 0);
	ck_assert_int_eq(memcmp(back, data, UNIT), 0);
	zcomp_stream_put(comp, strm);
	zcomp_destroy(comp);
	for (int i = 0; i < DEPTH; i++)
		ck_assert_int_eq(atomic_load(&jobs[i].nr_done), 1);
}
END_TEST

START_TEST(test_failing_requests_reach_done_and_are_counted)
{
	static struct job jobs[DEPTH];
	struct zcomp *comp = make_accel("lz4");
	int nr_failed = 0;

	fill_queue(comp, jobs);
	accel_fail_next(zcomp_get_params(comp), 3, -EIO);
	accel_release(zcomp_get_params(comp));
	for (int i = 0; i < DEPTH; i++) {
		job_wait(&jobs[i]);
		ck_assert_int_eq(atomic_load(&jobs[i].nr_done), 1);
		ck_assert(jobs[i].error == 0 || jobs[i].error == -EIO);
		nr_failed += jobs[i].error == -EIO;
		if (!jobs[i].error)
			job_check(&jobs[i]);
		zcomp_stream_put(comp, jobs[i].strm);
	}
	ck_assert_int_eq(nr_failed, 3);
	ck_assert_uint_eq(stat_of(comp).fallback_error, 3);
	ck_assert_uint_eq(stat_of(comp).mgmt_calls, 1);
	ck_assert_uint_eq(stat_of(comp).device.completed, DEPTH);
	zcomp_destroy(comp);
}
END_TEST

START_TEST(test_waiting_compression_that_fails_is_done_by_a_thread_stream)
{
	struct zcomp *comp = make_accel("lz4");
	struct zcomp_strm *strm = zcomp_stream_get_managed(comp);
	uint8_t data[UNIT];
	uint64_t seed = 7;
	size_t len = 0;

	fill_text(data, UNIT, &seed);
	accel_fail_next(zcomp_get_params(comp), 1, -EIO);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(zcomp_compress(comp, strm, data, UNIT, UNIT, &len), 0);
		ck_assert_uint_lt(len, UNIT);
	}
	ck_assert_uint_eq(stat_of(comp).fallback_error, 1);
	ck_assert_uint_eq(stat_of(comp).compress_calls, 1);
	ck_assert_uint_eq(stat_of(comp).mgmt_calls, 1);
	zcomp_stream_put(comp, strm);
	zcomp_destroy(comp);
}
END_TEST

START_TEST(test_incompressible_is_enospc_from_the_engine_and_no_fallback)
{
	static struct job job;
	struct zcomp *comp = make_accel("lz4");
	uint64_t seed = 3;

	job_prepare(&job, comp, zcomp_stream_get_managed(comp), 1);
	fill_noise(job.strm->local_copy, UNIT, &seed);
	job.req.dst_cap = UNIT - 1;
	ck_assert_int_eq(job_submit(&job), 0);
	job_wait(&job);
	ck_assert_int_eq(job.error, -ENOSPC);
	ck_assert_uint_eq(stat_of(comp).fallback_error, 0);
	ck_assert_uint_eq(stat_of(comp).mgmt_calls, 1);
	zcomp_stream_put(comp, job.strm);
	zcomp_destroy(comp);
}
END_TEST

START_TEST(test_done_comes_from_an_engine_with_signals_blocked_and_may_put_its_stream)
{
	static struct job jobs[DEPTH];
	struct zcomp *comp = make_accel("lz4");

	for (int round = 0; round < 5; round++) {
		accel_hold(zcomp_get_params(comp));
		for (int i = 0; i < DEPTH; i++) {
			job_prepare(&jobs[i], comp, zcomp_stream_get_managed(comp), (uint64_t)i);
			jobs[i].put_in_done = true;
			ck_assert_int_eq(job_submit(&jobs[i]), 0);
		}
		accel_release(zcomp_get_params(comp));
		for (int i = 0; i < DEPTH; i++) {
			job_wait(&jobs[i]);
			job_check(&jobs[i]);
			ck_assert_msg(strncmp(jobs[i].thread_name, "zt-engine/", 10) == 0, "%s",
				      jobs[i].thread_name);
			ck_assert_int_eq(sigismember(&jobs[i].blocked, SIGTERM), 1);
			ck_assert_int_eq(sigismember(&jobs[i].blocked, SIGHUP), 1);
		}
	}
	ck_assert_uint_eq(stat_of(comp).fallback_no_stream, 0);
	zcomp_destroy(comp);
}
END_TEST

START_TEST(test_end_with_work_queued_delivers_every_done)
{
	static struct job jobs[DEPTH];
	struct zcomp *comp = make_accel(_i ? "zstd" : "lz4");

	fill_queue(comp, jobs); /* and still held */
	for (int i = 0; i < DEPTH; i++) {
		jobs[i].put_in_done = i % 2;
		jobs[i].sync_in_done = true;
	}
	/* done() falls back while all is ending */
	accel_fail_next(zcomp_get_params(comp), 2, -EIO);
	zcomp_stop(comp);
	for (int i = 0; i < DEPTH; i++)
		job_check(&jobs[i]); /* per-thread streams live on */
	ck_assert_uint_eq(stat_of(comp).device.queued_now, 0);
	for (int i = 0; i < DEPTH; i += 2)
		zcomp_stream_put(comp, jobs[i].strm);
	zcomp_destroy(comp);
}
END_TEST

START_TEST(test_after_stop_managed_streams_are_refused_and_the_rest_works)
{
	static struct job job;
	struct zcomp *comp = make_accel("lz4");
	struct zcomp_strm *strm;
	size_t len = 0;

	job_prepare(&job, comp, zcomp_stream_get_managed(comp), 1);
	zcomp_stop(comp);
	ck_assert_int_eq(job_submit(&job), -ESHUTDOWN);
	ck_assert_uint_eq(stat_of(comp).fallback_shutdown, 1);
	ck_assert_int_eq(zcomp_compress(comp, job.strm, job.data, UNIT, UNIT, &len), 0);
	zcomp_stream_put(comp, job.strm);
	ck_assert_ptr_null(zcomp_stream_get_managed(comp));
	strm = zcomp_stream_get(comp, ZSTRM_PREFER_MGMT);
	ck_assert(!zcomp_stream_is_managed(comp, strm));
	zcomp_stream_put(comp, strm);
	ck_assert_int_eq(atomic_load(&job.nr_done), 0);
	zcomp_stop(comp);
	zcomp_destroy(comp);
}
END_TEST

START_TEST(test_managed_streams_compress_only)
{
	struct zcomp *comp = make_accel("null");
	struct zcomp_strm *strm = zcomp_stream_get_managed(comp);
	struct zcomp_req req = { .src = "abc", .src_len = 3, .dst = strm->buffer, .dst_cap = 3 };

	ck_assert_int_eq(comp->ops->decompress(&comp->params, strm, &req), -EOPNOTSUPP);
	zcomp_stream_put(comp, strm);
	zcomp_destroy(comp);
}
END_TEST

START_TEST(test_level_and_dictionary_reach_the_algorithm_inside)
{
	static uint8_t dict[4096], data[UNIT];
	struct zcomp_config config = config_of("zstd", UNIT);
	size_t lens[2] = { 0, 0 };
	uint64_t seed = 5;

	fill_noise(dict, sizeof(dict), &seed);
	memcpy(data, dict, sizeof(data));
	config.level = 19;
	config.dict = dict;
	config.dict_size = sizeof(dict);
	for (int i = 0; i < 2; i++) {
		struct zcomp *comp;
		struct zcomp_strm *strm;

		config.accel = i;
		config.accel_params.deadline_us = NEVER_US;
		comp = must_create(&config);
		strm = zcomp_stream_get(comp, ZSTRM_PREFER_MGMT);
		ck_assert_int_eq(zcomp_stream_is_managed(comp, strm), i);
		ck_assert_int_eq(zcomp_compress(comp, strm, data, UNIT, UNIT, &lens[i]), 0);
		zcomp_stream_put(comp, strm);
		zcomp_destroy(comp);
	}
	ck_assert_uint_lt(lens[0], 100);
	ck_assert_uint_eq(lens[0], lens[1]);
}
END_TEST

/* Its own claim of managed streams is not asked for; else it lives as any backend does. */
START_TEST(test_algorithm_inside_is_set_up_and_released_once)
{
	struct zcomp_config config = config_of(NULL, UNIT);
	struct zcomp_ops ops = fake_ops();
	struct zcomp *comp;

	/* With a device of its own it would be driven by that. */
	ops.get_stream = NULL;
	config.accel = true;
	config.accel_params =
		(struct zcomp_accel_params){ .engines = 3, .depth = 1, .deadline_us = NEVER_US };
	comp = must_create_ops(&ops, &config);
	ck_assert_str_eq(fake.calls, "Sccccc"); /* three engines and two streams */
	ck_assert_ptr_null(fake.params.inner_ops);
	ck_assert_int_eq(fake.params.level, 5);
	ck_assert_ptr_ne(zcomp_stream_get_managed(comp), &fake.strm);
	zcomp_destroy(comp);
	ck_assert_str_eq(fake.calls, "ScccccdddsddR");
	ck_assert_int_eq(fake.nr_ctx, 0);
	ops = fake_ops();
	ops.get_stream = NULL;
	fake.ctx_error_at = 1;
	comp = must_create_ops(&ops, &config);
	ck_assert_str_eq(stat_of(comp).degraded, "no engine of the accelerator could be started");
	zcomp_destroy(comp);
	ck_assert_str_eq(fake.calls, "ScccsddR");
	ops = fake_ops();
	ops.get_stream = NULL;
	fake.setup_error = -EINVAL;
	ck_assert_int_eq(zcomp_create_ops(&ops, &config, (char[ZCOMP_ERROR_TEXT]){ 0 }, &comp),
			 -EINVAL);
	ck_assert_str_eq(fake.calls, "S");
}
END_TEST

/* Set-up ---------------------------------------------------------------------- */

static int threads_left;

static int create_some_threads(pthread_t *thread, const pthread_attr_t *attr,
			       void *(*start)(void *), void *arg)
{
	if (threads_left-- <= 0)
		return EAGAIN;
	return pthread_create(thread, attr, start, arg);
}

static void synchronous_works(struct zcomp *comp)
{
	struct zcomp_strm *strm = zcomp_stream_get(comp, ZSTRM_PREFER_MGMT);
	uint8_t data[UNIT] = { 1, 2, 3 }, back[UNIT], packed[UNIT];
	size_t len = 0, back_len = 0;

	ck_assert(!zcomp_stream_is_managed(comp, strm));
	ck_assert_int_eq(zcomp_compress(comp, strm, data, UNIT, UNIT, &len), 0);
	memcpy(packed, strm->buffer, len);
	ck_assert_int_eq(zcomp_decompress(comp, strm, packed, len, back, UNIT, &back_len), 0);
	ck_assert_int_eq(memcmp(back, data, UNIT), 0);
	zcomp_stream_put(comp, strm);
}

START_TEST(test_no_thread_for_watchdog_or_engine_degrades_with_a_reason)
{
	struct zcomp *comp;

	nr_logged = 0;
	zt_log_set_sink(keep_log);
	accel_create_thread = create_some_threads;
	threads_left = _i;
	comp = make_accel("zstd");
	accel_create_thread = pthread_create;
	ck_assert(!zcomp_managed(comp));
	ck_assert_str_eq(stat_of(comp).degraded,
			 _i ? "no engine of the accelerator could be started"
			    : "the accelerator's watchdog could not be started");
	ck_assert_uint_eq(nr_logged, 1);
	synchronous_works(comp);
	zcomp_destroy(comp);
}
END_TEST

START_TEST(test_fewer_threads_than_wanted_go_on_with_a_warning)
{
	static struct job job;
	struct zcomp *comp;

	nr_logged = 0;
	zt_log_set_sink(keep_log);
	accel_create_thread = create_some_threads;
	threads_left = 2; /* the watchdog's and one engine's */
	comp = make_accel("lz4");
	accel_create_thread = pthread_create;
	ck_assert(zcomp_managed(comp));
	ck_assert_str_eq(last_log, "accel: 1 of 2 engines started; going on with them");
	job_prepare(&job, comp, zcomp_stream_get_managed(comp), 1);
	ck_assert_int_eq(job_submit(&job), 0);
	job_wait(&job);
	job_check(&job);
	zcomp_stream_put(comp, job.strm);
	zcomp_destroy(comp);
}
END_TEST

/*
 * The third allocation is that of the engines: zcomp and accelerator are there, the algorithm has
 * none of its own.
 */
START_TEST(test_no_memory_for_the_device_degrades_with_a_reason)
{
	struct zcomp *comp;

	zt_log_set_sink(keep_log);
	zt_fault_set(3);
	comp = make_accel("lz4");
	ck_assert(!zt_fault_pending());
	zt_fault_set(0);
	ck_assert(!zcomp_managed(comp));
	ck_assert_str_eq(stat_of(comp).degraded, "no memory for the accelerator's streams");
	synchronous_works(comp);
	zcomp_destroy(comp);
}
END_TEST

/* Memory of the host that ends where nobody may touch what follows; all of it is to come back. */
static struct guarded maps[8];

static void *map_guarded(size_t size)
{
	for (size_t i = 0; i < ARRAY_SIZE(maps); i++) {
		if (maps[i].base)
			continue;
		maps[i] = guarded_make(size);
		return guarded_end(&maps[i], size);
	}
	return NULL;
}

static void unmap_guarded(void *ptr, size_t size)
{
	for (size_t i = 0; ptr && i < ARRAY_SIZE(maps); i++) {
		if (!maps[i].base || size > maps[i].size || guarded_end(&maps[i], size) != ptr)
			continue;
		guarded_free(&maps[i]);
		maps[i].base = NULL;
		return;
	}
}

static unsigned nr_maps(void)
{
	unsigned nr = 0;

	for (size_t i = 0; i < ARRAY_SIZE(maps); i++)
		nr += maps[i].base != NULL;
	return nr;
}

START_TEST(test_device_stays_in_its_memory_and_gives_it_back)
{
	struct zcomp_host host = zcomp_host;
	struct zcomp_params params = {
		.unit = UNIT,
		.host = &host,
		.accel = { .engines = ENGINES, .depth = DEPTH, .deadline_us = NEVER_US },
	};
	struct zcomp_caps caps = { .zstrm_mgmt = false };
	struct zcomp_ops ops = fake_ops();

	ops.get_stream = NULL;
	host.map = map_guarded;
	host.unmap = unmap_guarded;
	params.inner_ops = &ops;
	ck_assert_int_eq(zcomp_accel_ops()->setup_params(&params, &caps), 0);
	ck_assert(caps.zstrm_mgmt);
	ck_assert_uint_eq(nr_maps(), 3);
	zcomp_accel_ops()->stop(&params);
	zcomp_accel_ops()->release_params(&params);
	ck_assert_uint_eq(nr_maps(), 0);
	fake.setup_error = -EINVAL;
	ck_assert_int_eq(zcomp_accel_ops()->setup_params(&params, &caps), -EINVAL);
	ck_assert_uint_eq(nr_maps(), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("accel");
	TCase *tc = tcase_create("accel");

	tcase_add_test(tc, test_all_streams_taken_gives_null_and_counts);
	tcase_add_test(tc, test_last_stream_put_is_the_first_got);
	tcase_add_test(tc, test_buffers_of_an_idle_device_give_their_memory_back);
	tcase_add_test(tc, test_default_depth_is_256_and_engines_follow_the_cpus);
	tcase_add_test(tc, test_full_queue_is_busy_and_empties_after_release);
	tcase_add_test(tc, test_waiting_compression_on_a_full_queue_is_done_by_a_thread_stream);
	tcase_add_test(tc, test_failing_requests_reach_done_and_are_counted);
	tcase_add_test(tc, test_waiting_compression_that_fails_is_done_by_a_thread_stream);
	tcase_add_test(tc, test_incompressible_is_enospc_from_the_engine_and_no_fallback);
	tcase_add_test(tc,
		       test_done_comes_from_an_engine_with_signals_blocked_and_may_put_its_stream);
	tcase_add_loop_test(tc, test_end_with_work_queued_delivers_every_done, 0, 2);
	tcase_add_test(tc, test_after_stop_managed_streams_are_refused_and_the_rest_works);
	tcase_add_test(tc, test_managed_streams_compress_only);
	tcase_add_test(tc, test_level_and_dictionary_reach_the_algorithm_inside);
	tcase_add_test(tc, test_algorithm_inside_is_set_up_and_released_once);
	tcase_add_loop_test(tc, test_no_thread_for_watchdog_or_engine_degrades_with_a_reason, 0, 2);
	tcase_add_test(tc, test_fewer_threads_than_wanted_go_on_with_a_warning);
	tcase_add_test(tc, test_no_memory_for_the_device_degrades_with_a_reason);
	tcase_add_test(tc, test_device_stays_in_its_memory_and_gives_it_back);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
