// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_device.c - what a device does to its driver: latency, missed deadlines, stalls, resets,
 * engines that die, and the end in the middle of all that. Time passes when a test moves the
 * device's clock.
 */
#include <errno.h>
#include <semaphore.h>

#include "backends/accel.h"
#include "backends/accel_ripe.h"
#include "tests/zcomp/fake.h"
#include "util/alloc.h"

enum { UNIT = 4096, DEPTH = 4 };

#define DEADLINE_US 10000000u

static const struct zcomp_params *params;

static struct zcomp *make_device(const struct zcomp_accel_params *wanted)
{
	struct zcomp_config config = config_of("lz4", UNIT);
	struct zcomp *comp;

	config.accel = true;
	config.accel_params = *wanted;
	if (!config.accel_params.deadline_us)
		config.accel_params.deadline_us = DEADLINE_US;
	if (!config.accel_params.depth)
		config.accel_params.depth = DEPTH;
	comp = must_create(&config);
	params = zcomp_get_params(comp);
	return comp;
}

/* One request, whose end is waited for by its semaphores. */
struct job {
	struct zcomp *comp;
	struct zcomp_strm *strm;
	struct zcomp_req req;
	uint8_t data[UNIT];
	sem_t done, unpinned;
	atomic_int nr_done;
	int error;
};

static void job_done(void *arg, struct zcomp_strm *strm, struct zcomp_req *req, int error)
{
	struct job *job = arg;

	ck_assert_ptr_eq(req, &job->req);
	job->error = error;
	zcomp_stream_put(job->comp, strm);
	atomic_fetch_add(&job->nr_done, 1);
	sem_post(&job->done);
}

static void job_unpinned(void *arg)
{
	struct job *job = arg;

	sem_post(&job->unpinned);
}

static int job_submit(struct job *job, struct zcomp *comp)
{
	uint64_t seed = (uint64_t)(uintptr_t)job;

	memset(job, 0, sizeof(*job));
	sem_init(&job->done, 0, 0);
	sem_init(&job->unpinned, 0, 0);
	fill_text(job->data, UNIT, &seed);
	job->comp = comp;
	job->strm = zcomp_stream_get_managed(comp);
	ck_assert_ptr_nonnull(job->strm);
	job->req = (struct zcomp_req){ .src = job->data,
				       .src_len = UNIT,
				       .dst = job->strm->buffer,
				       .dst_cap = 2 * UNIT,
				       .unpin = job_unpinned,
				       .unpin_arg = job };
	return zcomp_submit(comp, job->strm, &job->req, job_done, job);
}

static void wait_for(sem_t *sem)
{
	while (sem_wait(sem) != 0)
		;
}

static void job_ends(struct job *job, int error)
{
	wait_for(&job->done);
	ck_assert_int_eq(job->error, error);
	ck_assert_int_eq(atomic_load(&job->nr_done), 1);
}

static void must_submit(struct job *job, struct zcomp *comp)
{
	ck_assert_int_eq(job_submit(job, comp), 0);
}

/* Managed streams that can be had now. */
static unsigned count_idle(struct zcomp *comp)
{
	struct zcomp_strm *strms[64];
	unsigned nr = 0, result;

	while (nr < 64 && (strms[nr] = zcomp_stream_get_managed(comp)) != NULL)
		nr++;
	result = nr;
	while (nr-- > 0)
		zcomp_stream_put(comp, strms[nr]);
	return result;
}

/* Until engines have all but @nr requests. They may not have looked at one yet. */
static void wait_until_queued(uint32_t nr)
{
	struct accel *accel = params->drv_data;
	bool reached = false;

	while (!reached) {
		sched_yield();
		accel_lock(&accel->queue_lock);
		reached = accel->nr_queued == nr;
		accel_unlock(&accel->queue_lock);
	}
}

/* All is taken, and so many engines have met a stall: one that has only taken a request might not. */
static void wait_until_stalled(uint32_t nr)
{
	struct accel *accel = params->drv_data;
	bool reached = false;

	while (!reached) {
		sched_yield();
		accel_lock(&accel->queue_lock);
		reached = accel->nr_queued == 0 && accel->nr_stalled == nr;
		accel_unlock(&accel->queue_lock);
	}
}

/* So many engines wait for work. */
static void wait_until_idle(uint32_t nr)
{
	struct accel *accel = params->drv_data;
	bool reached = false;

	while (!reached) {
		sched_yield();
		accel_lock(&accel->queue_lock);
		reached = accel->nr_waiting == nr;
		accel_unlock(&accel->queue_lock);
	}
}

/* Latency ---------------------------------------------------------------------- */

START_TEST(test_latency_is_overlapped_and_passes_with_the_devices_clock)
{
	struct zcomp *comp = make_device(
		&(struct zcomp_accel_params){ .engines = 1, .latency_us = DEADLINE_US / 2 });
	static struct job jobs[DEPTH];

	for (int i = 0; i < DEPTH; i++)
		must_submit(&jobs[i], comp);
	wait_until_queued(0);
	accel_look(params);
	for (int i = 0; i < DEPTH; i++)
		ck_assert_int_eq(sem_trywait(&jobs[i].done), -1);
	ck_assert_uint_eq(stat_of(comp).device.queued_now, DEPTH);
	/* One latency for all of them: they were in the pipeline together. */
	accel_advance_clock(params, DEADLINE_US / 2);
	for (int i = 0; i < DEPTH; i++)
		job_ends(&jobs[i], 0);
	zcomp_destroy(comp);
}
END_TEST

START_TEST(test_end_waits_for_no_latency)
{
	struct zcomp *comp = make_device(
		&(struct zcomp_accel_params){ .engines = 1, .latency_us = DEADLINE_US / 2 });
	static struct job jobs[DEPTH];

	for (int i = 0; i < DEPTH; i++)
		must_submit(&jobs[i], comp);
	zcomp_stop(comp);
	for (int i = 0; i < DEPTH; i++)
		job_ends(&jobs[i], 0);
	zcomp_destroy(comp);
}
END_TEST

START_TEST(test_submission_cost_is_the_callers)
{
	struct zcomp *comp =
		make_device(&(struct zcomp_accel_params){ .engines = 1, .submit_ns = 1000000 });
	struct timespec begin, end;
	static struct job job;

	clock_gettime(CLOCK_MONOTONIC, &begin);
	must_submit(&job, comp);
	clock_gettime(CLOCK_MONOTONIC, &end);
	ck_assert_int_ge((end.tv_sec - begin.tv_sec) * 1000000000L + end.tv_nsec - begin.tv_nsec,
			 1000000);
	job_ends(&job, 0);
	zcomp_destroy(comp);
}
END_TEST

START_TEST(test_batch_is_bounded_and_counted)
{
	struct zcomp *comp = make_device(
		&(struct zcomp_accel_params){ .engines = 1, .depth = 8, .batch = _i ? 8 : 2 });
	static struct job jobs[8];
	struct zcomp_stat stat;

	accel_hold(params);
	for (int i = 0; i < 8; i++)
		must_submit(&jobs[i], comp);
	accel_release(params);
	for (int i = 0; i < 8; i++)
		job_ends(&jobs[i], 0);
	stat = stat_of(comp);
	ck_assert_uint_eq(stat.device.batches[1], _i ? 0 : 4); /* of two */
	ck_assert_uint_eq(stat.device.batches[3], _i ? 1 : 0); /* of eight */
	ck_assert_uint_eq(stat.device.queued_max, 8);
	ck_assert_uint_eq(stat.device.engines, 1);
	zcomp_destroy(comp);
}
END_TEST

/* Taken back ------------------------------------------------------------------- */

START_TEST(test_queued_request_is_cancelled_and_a_begun_one_is_not)
{
	struct zcomp *comp = make_device(&(struct zcomp_accel_params){ .engines = 1 });
	static struct job first, second;

	accel_hold(params);
	must_submit(&first, comp);
	must_submit(&second, comp);
	ck_assert(zcomp_cancel(comp, second.strm, &second.req));
	ck_assert(!zcomp_cancel(comp, second.strm, &second.req));
	zcomp_stream_put(comp, second.strm);
	/* The same stream again, for another request: the old name does not take it back. */
	must_submit(&second, comp);
	ck_assert(!zcomp_cancel(comp, second.strm, &first.req));
	accel_release(params);
	job_ends(&first, 0);
	job_ends(&second, 0);
	ck_assert(!zcomp_cancel(comp, first.strm, &first.req));
	ck_assert_uint_eq(stat_of(comp).device.completed, 2);
	ck_assert_uint_eq(stat_of(comp).device.queued_now, 0);
	zcomp_destroy(comp);
}
END_TEST

/* Deadlines --------------------------------------------------------------------- */

START_TEST(test_deadline_takes_queued_requests_back)
{
	struct zcomp *comp = make_device(&(struct zcomp_accel_params){ .engines = 1 });
	static struct job jobs[DEPTH];

	accel_hold(params);
	for (int i = 0; i < DEPTH; i++)
		must_submit(&jobs[i], comp);
	accel_advance_clock(params, DEADLINE_US / 2);
	ck_assert_int_eq(sem_trywait(&jobs[0].done), -1);
	accel_advance_clock(params, DEADLINE_US / 2);
	for (int i = 0; i < DEPTH; i++) {
		job_ends(&jobs[i], -ETIMEDOUT);
		wait_for(&jobs[i].unpinned);
	}
	ck_assert_uint_eq(stat_of(comp).fallback_timeout, DEPTH);
	ck_assert_uint_eq(stat_of(comp).device.late, 0);
	ck_assert_uint_eq(stat_of(comp).device.resets, 0); /* no engine had them */
	ck_assert_uint_eq(count_idle(comp), DEPTH + 1);
	accel_release(params);
	must_submit(&jobs[0], comp);
	job_ends(&jobs[0], 0);
	zcomp_destroy(comp);
}
END_TEST

/*
 * A stalled engine: the request is given up, the device reset, the late result dropped. Its stream
 * is lent again only after the engine has let go of it.
 */
START_TEST(test_stalled_engine_is_reset_and_its_late_result_dropped)
{
	struct zcomp *comp = make_device(&(struct zcomp_accel_params){ .engines = 1 });
	static struct job stuck, queued, after;
	struct zcomp_stat stat;

	accel_fault_next(params, 1, ACCEL_FAULT_STALL);
	must_submit(&stuck, comp);
	wait_until_stalled(1);
	must_submit(&queued, comp); /* behind it */
	ck_assert_uint_eq(count_idle(comp), DEPTH + 1 - 2);
	accel_advance_clock(params, DEADLINE_US);
	job_ends(&stuck, -ETIMEDOUT);
	job_ends(&queued, -ETIMEDOUT);
	wait_for(&stuck.unpinned);
	stat = stat_of(comp);
	ck_assert_uint_eq(stat.device.resets, 1);
	ck_assert_uint_eq(stat.device.late, 1);
	ck_assert_uint_eq(stat.fallback_timeout, 2);
	ck_assert(stat.managed);
	must_submit(&after, comp); /* the engine works again */
	job_ends(&after, 0);
	ck_assert_uint_eq(count_idle(comp), DEPTH + 1);
	zcomp_destroy(comp);
}
END_TEST

/* Two engines, of which one stalls: what is submitted wakes the other one, whoever waits longer. */
START_TEST(test_stalled_engine_takes_no_wake_up_from_one_that_works)
{
	struct zcomp *comp = make_device(&(struct zcomp_accel_params){ .engines = 2 });
	static struct job stuck, jobs[4];

	accel_fault_next(params, 1, ACCEL_FAULT_STALL);
	must_submit(&stuck, comp);
	wait_until_stalled(1);
	for (unsigned i = 0; i < 4; i++) {
		wait_until_idle(1);
		must_submit(&jobs[i], comp);
		job_ends(&jobs[i], 0);
	}
	ck_assert_int_eq(sem_trywait(&stuck.done), -1);
	accel_reset(params);
	job_ends(&stuck, -ECANCELED);
	zcomp_destroy(comp);
}
END_TEST

START_TEST(test_given_up_stream_is_not_lent_while_the_engine_has_it)
{
	struct zcomp *comp = make_device(&(struct zcomp_accel_params){ .engines = 1 });
	struct accel *accel = params->drv_data;
	static struct job stuck;
	struct managed_zstrm *mstrm;
	uint64_t state;

	accel_fault_next(params, 1, ACCEL_FAULT_STALL);
	must_submit(&stuck, comp);
	wait_until_stalled(1);
	/* As the watchdog does when there is no reset: give it up, nothing more. */
	mstrm = container_of(stuck.strm, struct managed_zstrm, strm);
	state = atomic_load(&mstrm->state);
	ck_assert_int_eq(accel_state_of(state), ACCEL_TAKEN);
	ck_assert(accel_state_move(mstrm, state, ACCEL_GIVEN_UP));
	accel_end(accel, mstrm, -ETIMEDOUT, true);
	job_ends(&stuck, -ETIMEDOUT); /* done() has put it */
	ck_assert_int_eq(accel_state_of(atomic_load(&mstrm->state)), ACCEL_RETURNED);
	ck_assert_uint_eq(count_idle(comp), DEPTH);
	ck_assert_int_eq(sem_trywait(&stuck.unpinned), -1);
	accel_reset(params);
	wait_for(&stuck.unpinned);
	ck_assert_uint_eq(count_idle(comp), DEPTH + 1);
	ck_assert_int_eq(atomic_load(&stuck.nr_done), 1);
	zcomp_destroy(comp);
}
END_TEST

START_TEST(test_waiting_compression_survives_a_stall)
{
	struct zcomp *comp =
		make_device(&(struct zcomp_accel_params){ .engines = 1, .deadline_us = 1000 });
	struct zcomp_strm *strm = zcomp_stream_get_managed(comp);
	uint8_t data[UNIT];
	uint64_t seed = 3;
	size_t len = 0;

	fill_text(data, UNIT, &seed);
	accel_fault_next(params, 1, ACCEL_FAULT_STALL);
	ck_assert_int_eq(zcomp_compress(comp, strm, data, UNIT, UNIT, &len), 0);
	ck_assert_uint_lt(len, UNIT);
	ck_assert_uint_eq(stat_of(comp).compress_calls, 1);
	zcomp_stream_put(comp, strm);
	zcomp_destroy(comp);
}
END_TEST

/* Resets --------------------------------------------------------------------------- */

START_TEST(test_reset_ends_all_that_is_in_the_device)
{
	struct zcomp *comp = make_device(&(struct zcomp_accel_params){ .engines = 1, .batch = 1 });
	static struct job stuck, queued[DEPTH], after;

	accel_fault_next(params, 1, _i ? ACCEL_FAULT_RESET : ACCEL_FAULT_STALL);
	accel_hold(params);
	must_submit(&stuck, comp);
	for (int i = 1; i < DEPTH; i++)
		must_submit(&queued[i], comp);
	accel_release(params);
	if (!_i) {
		wait_until_queued(DEPTH - 1);
		accel_reset(params);
	}
	job_ends(&stuck, -ECANCELED);
	for (int i = 1; i < DEPTH; i++)
		job_ends(&queued[i], -ECANCELED);
	accel_look(params);
	ck_assert_uint_eq(stat_of(comp).fallback_reset, DEPTH);
	ck_assert_uint_eq(stat_of(comp).device.resets, 1);
	must_submit(&after, comp);
	job_ends(&after, 0);
	zcomp_destroy(comp);
}
END_TEST

START_TEST(test_resets_again_and_again_switch_managed_streams_off)
{
	struct zcomp *comp = make_device(&(struct zcomp_accel_params){ .engines = 1 });
	static struct job jobs[3], last;
	struct zcomp_strm *held;

	nr_logged = 0;
	zt_log_set_sink(keep_log);
	held = zcomp_stream_get_managed(comp);
	accel_fault_next(params, 3, ACCEL_FAULT_STALL);
	for (int i = 0; i < 3; i++) {
		ck_assert(stat_of(comp).managed);
		must_submit(&jobs[i], comp);
		wait_until_stalled(1);
		accel_advance_clock(params, DEADLINE_US);
		job_ends(&jobs[i], -ETIMEDOUT);
	}
	ck_assert(!stat_of(comp).managed);
	ck_assert_str_eq(stat_of(comp).degraded, "the accelerator had to be reset again and again");
	ck_assert_uint_eq(nr_logged, 1);
	ck_assert_ptr_nonnull(strstr(last_log, "switched off"));
	ck_assert_ptr_null(zcomp_stream_get_managed(comp));
	last.strm = held;
	last.req =
		(struct zcomp_req){ .src = "abc", .src_len = 3, .dst = held->buffer, .dst_cap = 3 };
	ck_assert_int_eq(zcomp_submit(comp, held, &last.req, job_done, &last), -ESHUTDOWN);
	zcomp_stream_put(comp, held);
	zcomp_destroy(comp);
}
END_TEST

/* Death ------------------------------------------------------------------------------ */

START_TEST(test_dead_engine_is_replaced_and_what_it_had_falls_back)
{
	struct zcomp *comp = make_device(&(struct zcomp_accel_params){ .engines = 1, .batch = 4 });
	static struct job jobs[DEPTH], after;
	int nr_dead = 0;

	accel_hold(params);
	for (int i = 0; i < DEPTH; i++)
		must_submit(&jobs[i], comp);
	accel_fault_next(params, 1, ACCEL_FAULT_KILL);
	accel_release(params);
	for (int i = 0; i < DEPTH; i++) {
		wait_for(&jobs[i].done);
		ck_assert(jobs[i].error == 0 || jobs[i].error == -EOWNERDEAD);
		nr_dead += jobs[i].error != 0;
	}
	ck_assert_int_eq(nr_dead, DEPTH); /* one batch, and its first request was fatal */
	must_submit(&after, comp);
	job_ends(&after, 0);
	accel_look(params);
	ck_assert_uint_eq(stat_of(comp).fallback_dead, (uint64_t)nr_dead);
	ck_assert_uint_eq(stat_of(comp).device.restarts, 1);
	ck_assert_uint_eq(stat_of(comp).device.engines, 1);
	ck_assert_uint_eq(count_idle(comp), DEPTH + 1);
	zcomp_destroy(comp);
}
END_TEST

static atomic_int threads_left;

static int create_some_threads(pthread_t *thread, const pthread_attr_t *attr,
			       void *(*start)(void *), void *arg)
{
	if (atomic_fetch_sub(&threads_left, 1) <= 0)
		return EAGAIN;
	return pthread_create(thread, attr, start, arg);
}

START_TEST(test_last_engine_that_cannot_be_replaced_switches_managed_streams_off)
{
	static struct job jobs[DEPTH];
	struct zcomp *comp;

	zt_log_set_sink(keep_log);
	accel_create_thread = create_some_threads;
	atomic_store(&threads_left, 2); /* the watchdog and one engine */
	comp = make_device(&(struct zcomp_accel_params){ .engines = 1, .batch = 1 });
	accel_fault_next(params, 1, ACCEL_FAULT_KILL);
	accel_hold(params);
	for (int i = 0; i < DEPTH; i++)
		must_submit(&jobs[i], comp);
	accel_release(params);
	job_ends(&jobs[0], -EOWNERDEAD);
	for (int i = 1; i < DEPTH; i++)
		job_ends(&jobs[i], -ESHUTDOWN);
	accel_look(params);
	ck_assert_str_eq(stat_of(comp).degraded,
			 "no engine of the accelerator could be started again");
	ck_assert_uint_eq(stat_of(comp).device.engines, 0);
	zcomp_destroy(comp);
	accel_create_thread = pthread_create;
}
END_TEST

START_TEST(test_engines_that_die_again_and_again_are_given_up)
{
	struct zcomp *comp = make_device(
		&(struct zcomp_accel_params){ .engines = 2, .kill_ppm = ZCOMP_ACCEL_MAX_PPM });
	static struct job jobs[100];
	int nr = 0;

	zt_log_set_sink(keep_log);
	while (nr < 100 && stat_of(comp).managed) {
		struct zcomp_strm *strm = zcomp_stream_get_managed(comp);
		int error;

		if (!strm)
			break;
		zcomp_stream_put(comp, strm);
		error = job_submit(&jobs[nr], comp);
		if (error) {
			zcomp_stream_put(comp, jobs[nr].strm);
			break;
		}
		wait_for(&jobs[nr].done);
		ck_assert(jobs[nr].error == -EOWNERDEAD || jobs[nr].error == -ESHUTDOWN);
		accel_look(params);
		nr++;
	}
	ck_assert_int_ge(nr, 16);
	ck_assert_int_lt(nr, 100);
	ck_assert_str_eq(stat_of(comp).degraded, "the accelerator's engines died again and again");
	zcomp_destroy(comp);
}
END_TEST

/* The end ------------------------------------------------------------------------------ */

START_TEST(test_end_with_stalled_and_dead_engines_ends_every_request)
{
	struct zcomp *comp = make_device(&(struct zcomp_accel_params){ .engines = 1, .batch = 1 });
	static struct job jobs[DEPTH];

	accel_create_thread = create_some_threads;
	atomic_store(&threads_left, 0); /* no successor */
	accel_fault_next(params, 1, _i ? ACCEL_FAULT_KILL : ACCEL_FAULT_STALL);
	accel_hold(params);
	for (int i = 0; i < DEPTH; i++)
		must_submit(&jobs[i], comp);
	accel_release(params);
	wait_until_queued(_i ? 0 : DEPTH - 1);
	zcomp_stop(comp);
	for (int i = 0; i < DEPTH; i++) {
		wait_for(&jobs[i].done);
		wait_for(&jobs[i].unpinned);
		ck_assert(jobs[i].error == 0 || jobs[i].error == -ESHUTDOWN ||
			  jobs[i].error == -EOWNERDEAD);
		ck_assert_int_eq(atomic_load(&jobs[i].nr_done), 1);
	}
	ck_assert_uint_eq(stat_of(comp).device.queued_now, 0);
	zcomp_destroy(comp);
	accel_create_thread = pthread_create;
}
END_TEST

START_TEST(test_faults_by_parameter_hit_as_many_as_they_say)
{
	struct zcomp *comp = make_device(
		&(struct zcomp_accel_params){ .engines = 1, .fail_ppm = _i ? 1000000 : 250000 });
	static struct job job;
	int nr_failed = 0;

	for (int i = 0; i < 400; i++) {
		must_submit(&job, comp);
		wait_for(&job.done);
		ck_assert(job.error == 0 || job.error == -EIO);
		nr_failed += job.error != 0;
		wait_for(&job.unpinned);
	}
	if (_i)
		ck_assert_int_eq(nr_failed, 400);
	else
		ck_assert(nr_failed > 60 && nr_failed < 140);
	ck_assert_uint_eq(stat_of(comp).fallback_error, (uint64_t)nr_failed);
	zcomp_destroy(comp);
}
END_TEST

/* The default deadline follows what the algorithm takes: a slow level is not taken for a hang. */
START_TEST(test_default_deadline_is_measured)
{
	struct zcomp_config config = config_of("zstd", ZCOMP_MAX_UNIT);
	uint64_t deadlines[2];

	config.accel = true;
	for (int i = 0; i < 2; i++) {
		struct zcomp *comp;
		const struct accel *accel;

		config.level = i ? 19 : 1;
		comp = must_create(&config);
		accel = zcomp_get_params(comp)->drv_data;
		deadlines[i] = accel->deadline_ns;
		ck_assert_uint_ge(accel->hang_ns, 10 * accel->deadline_ns);
		zcomp_destroy(comp);
	}
	ck_assert_uint_ge(deadlines[0], 100000000);
	ck_assert_uint_gt(deadlines[1], deadlines[0]);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("device");
	TCase *tc = tcase_create("device");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, test_latency_is_overlapped_and_passes_with_the_devices_clock);
	tcase_add_test(tc, test_end_waits_for_no_latency);
	tcase_add_test(tc, test_submission_cost_is_the_callers);
	tcase_add_loop_test(tc, test_batch_is_bounded_and_counted, 0, 2);
	tcase_add_test(tc, test_queued_request_is_cancelled_and_a_begun_one_is_not);
	tcase_add_test(tc, test_deadline_takes_queued_requests_back);
	tcase_add_test(tc, test_stalled_engine_is_reset_and_its_late_result_dropped);
	tcase_add_test(tc, test_stalled_engine_takes_no_wake_up_from_one_that_works);
	tcase_add_test(tc, test_given_up_stream_is_not_lent_while_the_engine_has_it);
	tcase_add_test(tc, test_waiting_compression_survives_a_stall);
	tcase_add_loop_test(tc, test_reset_ends_all_that_is_in_the_device, 0, 2);
	tcase_add_test(tc, test_resets_again_and_again_switch_managed_streams_off);
	tcase_add_test(tc, test_dead_engine_is_replaced_and_what_it_had_falls_back);
	tcase_add_test(tc, test_last_engine_that_cannot_be_replaced_switches_managed_streams_off);
	tcase_add_test(tc, test_engines_that_die_again_and_again_are_given_up);
	tcase_add_loop_test(tc, test_end_with_stalled_and_dead_engines_ends_every_request, 0, 2);
	tcase_add_loop_test(tc, test_faults_by_parameter_hit_as_many_as_they_say, 0, 2);
	tcase_add_test(tc, test_default_deadline_is_measured);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
