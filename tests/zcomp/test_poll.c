// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_poll.c - completions without an interrupt: who asks gets them, and who does not misses none.
 * Covers accel_ripe.c and accel_wait.c. Time is the device's clock, moved by a hook.
 */
#include <errno.h>
#include <sched.h>

#include "backends/accel.h"
#include "tests/zcomp/fake.h"
#include "tests/zcomp/jobs.h"

enum { UNIT = 4096, NR = 4 };

/* Ten seconds: no test is that slow. */
#define POLL_US ZCOMP_ACCEL_MAX_POLL_US

static struct job jobs[NR];

static struct zcomp *make_device(struct zcomp_accel_params params)
{
	struct zcomp_config config = config_of("lz4", UNIT);

	params.engines = 1;
	params.deadline_us = ZCOMP_ACCEL_MAX_DEADLINE_US;
	config.accel = true;
	config.accel_params = params;
	return must_create(&config);
}

static void submit(struct zcomp *comp, struct job *job)
{
	uint64_t seed = 1;

	job->strm = zcomp_stream_get_managed(comp);
	ck_assert_ptr_nonnull(job->strm);
	sem_init(&job->done, 0, 0);
	fill_text(job->strm->local_copy, UNIT, &seed);
	job->req = (struct zcomp_req){ .src = job->strm->local_copy,
				       .src_len = UNIT,
				       .dst = job->strm->buffer,
				       .dst_cap = 2 * UNIT };
	ck_assert_int_eq(zcomp_submit(comp, job->strm, &job->req, job_done, job), 0);
}

static void wait_ripe(struct zcomp *comp, unsigned nr)
{
	struct accel *accel = zcomp_get_params(comp)->drv_data;
	unsigned found = 0;

	while (found < nr) {
		struct managed_zstrm *mstrm;

		found = 0;
		accel_lock(&accel->queue_lock);
		TAILQ_FOREACH(mstrm, &accel->ripe, link)
		found++;
		accel_unlock(&accel->queue_lock);
		sched_yield();
	}
}

static bool ended(struct job *job)
{
	return sem_trywait(&job->done) == 0;
}

static void must_have_ended(struct zcomp *comp, struct job *job, bool here)
{
	while (sem_wait(&job->done) != 0)
		;
	ck_assert_int_eq(job->error, 0);
	ck_assert_uint_gt(job->req.dst_len, 0);
	ck_assert_int_eq(pthread_equal(job->by, pthread_self()) != 0, here);
	zcomp_stream_put(comp, job->strm);
}

START_TEST(test_completions_come_to_a_thread_that_asks)
{
	struct zcomp *comp = make_device((struct zcomp_accel_params){ .poll_us = POLL_US });

	ck_assert_uint_eq(zcomp_poll(comp, NR), 0);
	for (unsigned i = 0; i < NR; i++)
		submit(comp, &jobs[i]);
	wait_ripe(comp, NR);
	ck_assert_uint_eq(stat_of(comp).device.queued_now, NR);
	for (unsigned i = 0; i < NR; i++)
		ck_assert(!ended(&jobs[i]));
	/* As many as are asked for, the oldest first. */
	ck_assert_uint_eq(zcomp_poll(comp, 1), 1);
	must_have_ended(comp, &jobs[0], true);
	ck_assert(!ended(&jobs[1]));
	ck_assert_uint_eq(zcomp_poll(comp, UINT32_MAX), NR - 1);
	for (unsigned i = 1; i < NR; i++)
		must_have_ended(comp, &jobs[i], true);
	ck_assert_uint_eq(stat_of(comp).device.polled, NR);
	ck_assert_uint_eq(stat_of(comp).mgmt_calls, NR);
	zcomp_destroy(comp);
}
END_TEST

START_TEST(test_what_nobody_asks_for_comes_by_itself)
{
	struct zcomp *comp = make_device((struct zcomp_accel_params){ .poll_us = POLL_US });

	submit(comp, &jobs[0]);
	wait_ripe(comp, 1);
	ck_assert(!ended(&jobs[0]));
	accel_advance_clock(zcomp_get_params(comp), POLL_US);
	must_have_ended(comp, &jobs[0], false);
	ck_assert_uint_eq(stat_of(comp).device.polled, 0);
	zcomp_destroy(comp);
}
END_TEST

START_TEST(test_nothing_is_delivered_before_its_latency_is_over)
{
	struct zcomp *comp = make_device(
		(struct zcomp_accel_params){ .poll_us = POLL_US, .latency_us = POLL_US });

	submit(comp, &jobs[0]);
	wait_ripe(comp, 1);
	ck_assert_uint_eq(zcomp_poll(comp, 1), 0);
	accel_advance_clock(zcomp_get_params(comp), POLL_US);
	ck_assert_uint_eq(zcomp_poll(comp, 1), 1);
	must_have_ended(comp, &jobs[0], true);
	zcomp_destroy(comp);
}
END_TEST

START_TEST(test_caller_that_waits_asks_the_device)
{
	struct zcomp *comp = make_device((struct zcomp_accel_params){ .poll_us = POLL_US });
	struct zcomp_strm *strm = zcomp_stream_get_managed(comp);
	size_t len;

	ck_assert_ptr_nonnull(strm);
	ck_assert_int_eq(zcomp_compress(comp, strm, strm->local_copy, UNIT, UNIT, &len), 0);
	zcomp_stream_put(comp, strm);
	ck_assert_uint_eq(stat_of(comp).device.polled, 1);
	ck_assert_uint_eq(stat_of(comp).mgmt_calls, 1);
	zcomp_destroy(comp);
}
END_TEST

START_TEST(test_stop_delivers_what_waits_to_be_asked_for)
{
	struct zcomp *comp = make_device((struct zcomp_accel_params){ .poll_us = POLL_US });

	for (unsigned i = 0; i < NR; i++)
		submit(comp, &jobs[i]);
	wait_ripe(comp, NR);
	zcomp_stop(comp);
	for (unsigned i = 0; i < NR; i++)
		must_have_ended(comp, &jobs[i], true);
	zcomp_destroy(comp);
}
END_TEST

/* A reset takes back what has waited, too: its caller hears so, and the stream comes again. */
START_TEST(test_reset_ends_what_waits_and_its_stream_is_lent_again)
{
	struct zcomp *comp =
		make_device((struct zcomp_accel_params){ .poll_us = POLL_US, .depth = NR });

	submit(comp, &jobs[0]);
	wait_ripe(comp, 1);
	accel_reset(zcomp_get_params(comp));
	while (sem_wait(&jobs[0].done) != 0)
		;
	ck_assert_int_eq(jobs[0].error, -ECANCELED);
	zcomp_stream_put(comp, jobs[0].strm);
	ck_assert_uint_eq(zcomp_poll(comp, NR), 1); /* the late result, which is dropped */
	ck_assert_uint_eq(stat_of(comp).device.late, 1);
	submit(comp, &jobs[1]);
	ck_assert_ptr_eq(jobs[1].strm, jobs[0].strm);
	wait_ripe(comp, 1);
	ck_assert_uint_eq(zcomp_poll(comp, NR), 1);
	must_have_ended(comp, &jobs[1], true);
	zcomp_destroy(comp);
}
END_TEST

START_TEST(test_backend_without_it_has_nothing_to_ask_for)
{
	struct zcomp_config config = config_of("lz4", UNIT);
	struct zcomp *comp = must_create(&config);

	ck_assert_uint_eq(zcomp_poll(comp, NR), 0);
	zcomp_destroy(comp);
	comp = make_device((struct zcomp_accel_params){ 0 });
	submit(comp, &jobs[0]);
	must_have_ended(comp, &jobs[0], false);
	ck_assert_uint_eq(zcomp_poll(comp, NR), 0);
	zcomp_destroy(comp);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("zcomp poll");
	TCase *tc = tcase_create("zcomp poll");

	tcase_set_timeout(tc, 30);
	tcase_add_test(tc, test_completions_come_to_a_thread_that_asks);
	tcase_add_test(tc, test_what_nobody_asks_for_comes_by_itself);
	tcase_add_test(tc, test_nothing_is_delivered_before_its_latency_is_over);
	tcase_add_test(tc, test_caller_that_waits_asks_the_device);
	tcase_add_test(tc, test_stop_delivers_what_waits_to_be_asked_for);
	tcase_add_test(tc, test_reset_ends_what_waits_and_its_stream_is_lent_again);
	tcase_add_test(tc, test_backend_without_it_has_nothing_to_ask_for);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
