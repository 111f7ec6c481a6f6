// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_batch.c - several requests by one submission: what the kernel's batching for in-memory
 * analytics accelerators ended at, in this form. A batch costs one submission, is taken as far as
 * there is room, and each of its requests ends, fails and is cancelled by itself.
 */
#include <errno.h>
#include <time.h>

#include "backends/accel.h"
#include "tests/zcomp/fake.h"
#include "tests/zcomp/jobs.h"

enum { UNIT = 4096, MAX = 8 };

/* Longer than any of these tests: nothing is given up. */
#define DEADLINE_US ZCOMP_ACCEL_MAX_DEADLINE_US

static struct job jobs[MAX];

static struct zcomp_batch_entry entries[MAX];

static struct zcomp *make_device(struct zcomp_accel_params params)
{
	struct zcomp_config config = config_of("lz4", UNIT);

	params.engines = 1;
	params.batch = MAX;
	params.deadline_us = DEADLINE_US;
	config.accel = true;
	config.accel_params = params;
	return must_create(&config);
}

/* @nr jobs with text of @len bytes, none of them submitted. */
static void fill_jobs(struct zcomp *comp, unsigned nr, size_t len)
{
	for (unsigned i = 0; i < nr; i++) {
		uint64_t seed = i + 1;

		jobs[i] = (struct job){ .strm = zcomp_stream_get_managed(comp), .error = 1 };
		ck_assert_ptr_nonnull(jobs[i].strm);
		sem_init(&jobs[i].done, 0, 0);
		fill_text(jobs[i].strm->local_copy, len, &seed);
		jobs[i].req = (struct zcomp_req){ .src = jobs[i].strm->local_copy,
						  .src_len = len,
						  .dst = jobs[i].strm->buffer,
						  .dst_cap = 2 * UNIT };
		entries[i] = (struct zcomp_batch_entry){ jobs[i].strm, &jobs[i].req, &jobs[i] };
	}
}

static uint32_t submit(struct zcomp *comp, uint32_t nr)
{
	return zcomp_submit_batch(comp, entries, nr, job_done);
}

static void job_ends(struct zcomp *comp, struct job *job, int error)
{
	while (sem_wait(&job->done) != 0)
		;
	ck_assert_int_eq(job->error, error);
	zcomp_stream_put(comp, job->strm);
}

/* Of this thread: what others do does not count, nor that it waits for a CPU. */
static uint64_t cpu_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

START_TEST(test_batch_costs_one_submission)
{
	struct zcomp *comp = make_device((struct zcomp_accel_params){ .submit_ns = 1000000 });
	uint64_t begin;

	ck_assert_uint_eq(zcomp_batch_max(comp), MAX);
	fill_jobs(comp, MAX, UNIT);
	begin = cpu_ns();
	ck_assert_uint_eq(submit(comp, MAX), MAX);
	ck_assert_uint_lt(cpu_ns() - begin, MAX / 2 * 1000000u);
	for (unsigned i = 0; i < MAX; i++)
		job_ends(comp, &jobs[i], 0);
	ck_assert_uint_eq(stat_of(comp).mgmt_calls, MAX);
	ck_assert_uint_eq(stat_of(comp).device.submissions, 1);
	ck_assert_uint_eq(stat_of(comp).fallback_busy, 0);
	zcomp_destroy(comp);
}
END_TEST

START_TEST(test_batch_is_taken_as_far_as_there_is_room)
{
	struct zcomp *comp = make_device((struct zcomp_accel_params){ .depth = MAX - 1 });

	accel_hold(zcomp_get_params(comp));
	fill_jobs(comp, MAX, UNIT);
	ck_assert_uint_eq(submit(comp, MAX), MAX - 1);
	ck_assert_uint_eq(stat_of(comp).fallback_busy, 1);
	ck_assert_uint_eq(stat_of(comp).device.queued_now, MAX - 1);
	/* The one that was refused is the caller's still: it can be tried again. */
	ck_assert_uint_eq(zcomp_submit_batch(comp, &entries[MAX - 1], 1, job_done), 0);
	ck_assert_uint_eq(stat_of(comp).fallback_busy, 2);
	accel_release(zcomp_get_params(comp));
	for (unsigned i = 0; i < MAX - 1; i++)
		job_ends(comp, &jobs[i], 0);
	ck_assert_uint_eq(zcomp_submit_batch(comp, &entries[MAX - 1], 1, job_done), 1);
	job_ends(comp, &jobs[MAX - 1], 0);
	zcomp_destroy(comp);
}
END_TEST

START_TEST(test_request_that_fails_takes_none_of_its_batch_along)
{
	struct zcomp *comp = make_device((struct zcomp_accel_params){ .depth = MAX });
	uint8_t back[UNIT];
	unsigned nr_failed = 0;

	accel_hold(zcomp_get_params(comp));
	fill_jobs(comp, MAX, UNIT);
	ck_assert_uint_eq(submit(comp, MAX), MAX);
	ck_assert(zcomp_cancel(comp, jobs[5].strm, &jobs[5].req));
	ck_assert(!zcomp_cancel(comp, jobs[5].strm, &jobs[4].req));
	accel_fail_next(zcomp_get_params(comp), 1, -EIO);
	accel_release(zcomp_get_params(comp));
	for (unsigned i = 0; i < MAX; i++) {
		struct zcomp_strm *own;
		size_t len;

		if (i == 5)
			continue;
		while (sem_wait(&jobs[i].done) != 0)
			;
		nr_failed += jobs[i].error == -EIO;
		if (jobs[i].error)
			continue;
		own = zcomp_stream_get(comp, ZSTRM_DEFAULT);
		ck_assert_int_eq(zcomp_decompress(comp, own, jobs[i].req.dst, jobs[i].req.dst_len,
						  back, UNIT, &len),
				 0);
		ck_assert_mem_eq(back, jobs[i].req.src, UNIT);
		zcomp_stream_put(comp, own);
	}
	ck_assert_uint_eq(nr_failed, 1);
	ck_assert_int_eq(sem_trywait(&jobs[5].done), -1);
	ck_assert_uint_eq(stat_of(comp).fallback_error, 1);
	ck_assert_uint_eq(stat_of(comp).mgmt_calls, MAX - 2);
	for (unsigned i = 0; i < MAX; i++)
		zcomp_stream_put(comp, jobs[i].strm);
	zcomp_destroy(comp);
}
END_TEST

START_TEST(test_reset_ends_a_whole_batch_and_stop_refuses_the_next)
{
	struct zcomp *comp = make_device((struct zcomp_accel_params){ .depth = MAX });

	accel_hold(zcomp_get_params(comp));
	fill_jobs(comp, MAX, UNIT);
	ck_assert_uint_eq(submit(comp, MAX), MAX);
	accel_reset(zcomp_get_params(comp));
	for (unsigned i = 0; i < MAX; i++)
		job_ends(comp, &jobs[i], -ECANCELED);
	ck_assert_uint_eq(stat_of(comp).fallback_reset, MAX);
	fill_jobs(comp, 2, UNIT);
	zcomp_stop(comp);
	ck_assert_uint_eq(submit(comp, 2), 0);
	ck_assert_uint_eq(stat_of(comp).fallback_shutdown, 1);
	for (unsigned i = 0; i < 2; i++)
		zcomp_stream_put(comp, jobs[i].strm);
	zcomp_destroy(comp);
}
END_TEST

START_TEST(test_requests_of_different_sizes_go_one_by_one)
{
	struct zcomp *comp = make_device((struct zcomp_accel_params){ .submit_ns = 1000 });

	fill_jobs(comp, MAX, UNIT);
	for (unsigned i = 0; i < MAX; i++)
		jobs[i].req.src_len = UNIT - i;
	ck_assert_uint_eq(submit(comp, MAX), MAX);
	for (unsigned i = 0; i < MAX; i++)
		job_ends(comp, &jobs[i], 0);
	ck_assert_uint_eq(stat_of(comp).mgmt_in, MAX * UNIT - MAX * (MAX - 1) / 2);
	ck_assert_uint_eq(stat_of(comp).device.submissions, MAX);
	zcomp_destroy(comp);
}
END_TEST

/* A backend's own table ----------------------------------------------------- */

static uint32_t claimed, nr_batches;

static int claim_setup(struct zcomp_params *params, struct zcomp_caps *caps)
{
	ck_assert_uint_eq(caps->batch_max, 0); /* cleared by the core */
	caps->batch_max = claimed;
	return fake_setup(params, caps);
}

static int one_batch(const struct zcomp_params *params, const struct zcomp_batch *batch)
{
	(void)params;
	ck_assert_uint_eq(batch->unit_size, UNIT);
	nr_batches++;
	return fake.managed_error ? fake.managed_error : 0;
}

START_TEST(test_claim_and_operation_are_needed_both_and_the_most_is_bounded)
{
	static const struct {
		uint32_t claimed;
		bool has;
		uint32_t expected;
	} cases[] = { { 0, true, 1 }, { 1, true, 1 }, { 8, false, 1 }, { 8, true, 8 },
		      { 1000, true, ZCOMP_MAX_BATCH } };
	struct zcomp_config config = config_of("fake", UNIT);

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct zcomp_ops ops = fake_ops();
		struct zcomp *comp;

		claimed = cases[i].claimed;
		ops.setup_params = claim_setup;
		ops.submit_batch = cases[i].has ? one_batch : NULL;
		comp = must_create_ops(&ops, &config);
		ck_assert_uint_eq(zcomp_batch_max(comp), cases[i].expected);
		zcomp_destroy(comp);
	}
}
END_TEST

/* An error of the whole submission: nothing was accepted, and its reason is counted. */
START_TEST(test_refused_batch_is_the_callers_again)
{
	struct zcomp_config config = config_of("fake", UNIT);
	struct zcomp_ops ops = fake_ops();
	struct zcomp *comp;

	claimed = MAX;
	nr_batches = 0;
	ops.setup_params = claim_setup;
	ops.submit_batch = one_batch;
	comp = must_create_ops(&ops, &config);
	fill_jobs(comp, 2, UNIT);
	fake.managed_error = -EBUSY;
	ck_assert_uint_eq(submit(comp, 2), 0);
	ck_assert_uint_eq(stat_of(comp).fallback_busy, 1);
	fake.managed_error = -EIO;
	ck_assert_uint_eq(submit(comp, 2), 0);
	ck_assert_uint_eq(stat_of(comp).fallback_error, 1);
	ck_assert_uint_eq(nr_batches, 2);
	zcomp_stream_put(comp, jobs[0].strm);
	zcomp_destroy(comp);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("batch");
	TCase *tc = tcase_create("batch");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, test_batch_costs_one_submission);
	tcase_add_test(tc, test_batch_is_taken_as_far_as_there_is_room);
	tcase_add_test(tc, test_request_that_fails_takes_none_of_its_batch_along);
	tcase_add_test(tc, test_reset_ends_a_whole_batch_and_stop_refuses_the_next);
	tcase_add_test(tc, test_requests_of_different_sizes_go_one_by_one);
	tcase_add_test(tc, test_claim_and_operation_are_needed_both_and_the_most_is_bounded);
	tcase_add_test(tc, test_refused_batch_is_the_callers_again);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
