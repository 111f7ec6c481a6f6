// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_devices.c - devices with names: the table, how parameters are written, and what an engine's
 * time for its work and a largest request do. Time is the device's clock, moved by a hook.
 */
#include <errno.h>
#include <sched.h>

#include "backends/accel.h"
#include "tests/zcomp/fake.h"
#include "tests/zcomp/jobs.h"
#include "zcomp/device.h"

enum { UNIT = ZCOMP_MAX_UNIT, NR = 4 };

/* One unit has an engine busy for 3.2 seconds: no machine is that slow. */
#define WORK_NS ZCOMP_ACCEL_MAX_WORK_NS
#define UNIT_US (WORK_NS / 1000u * (UNIT / 4096u))

static struct job jobs[NR];

static struct zcomp *make_device(uint32_t unit, struct zcomp_accel_params params)
{
	struct zcomp_config config = config_of("null", unit);

	params.batch = 1;
	params.deadline_us = ZCOMP_ACCEL_MAX_DEADLINE_US;
	config.accel = true;
	config.accel_params = params;
	return must_create(&config);
}

static int submit(struct zcomp *comp, struct job *job, size_t len)
{
	job->strm = zcomp_stream_get_managed(comp);
	ck_assert_ptr_nonnull(job->strm);
	sem_init(&job->done, 0, 0);
	job->req = (struct zcomp_req){ .src = job->strm->local_copy,
				       .src_len = len,
				       .dst = job->strm->buffer,
				       .dst_cap = len };
	return zcomp_submit(comp, job->strm, &job->req, job_done, job);
}

/* All @nr are with an engine: the clock may be moved. */
static void wait_taken(struct zcomp *comp, uint64_t nr)
{
	while (stat_of(comp).device.batches[0] < nr)
		sched_yield();
}

static bool ended(struct job *job)
{
	return sem_trywait(&job->done) == 0;
}

static void must_end(struct zcomp *comp, struct job *job)
{
	while (sem_wait(&job->done) != 0)
		;
	ck_assert_int_eq(job->error, 0);
	zcomp_stream_put(comp, job->strm);
}

START_TEST(test_every_figure_of_the_table_is_one_that_users_may_give)
{
	const struct zcomp_device *device;
	char text[ZCOMP_ERROR_TEXT];
	size_t nr;

	for (nr = 0; (device = zcomp_device_at(nr)) != NULL; nr++) {
		ck_assert_ptr_eq(zcomp_device_find(device->name), device);
		ck_assert_msg(zcomp_accel_check(&device->params, text) == 0, "%s: %s", device->name,
			      text);
		ck_assert(device->params.engines > 0 && device->params.depth > 0);
		ck_assert(device->params.submit_ns > 0 && device->params.work_ns > 0);
		ck_assert(strcmp(device->algorithm, "deflate") == 0 ||
			  zcomp_find_ops(device->algorithm) != NULL);
		/* What fails at random is asked for. */
		ck_assert_uint_eq(device->params.fail_ppm + device->params.reset_ppm, 0);
	}
	ck_assert_uint_eq(nr, 5);
	ck_assert_ptr_null(zcomp_device_find("his"));
	ck_assert_ptr_null(zcomp_device_find(""));
}
END_TEST

START_TEST(test_guess_is_the_nearest_name_or_none)
{
	static const char *const more[] = { "auto" };

	ck_assert_str_eq(zcomp_device_guess("iax", NULL, 0), "iaa");
	ck_assert_str_eq(zcomp_device_guess("qpaec", NULL, 0), "qpace");
	ck_assert_str_eq(zcomp_device_guess("atuo", more, 1), "auto");
	ck_assert_ptr_null(zcomp_device_guess("maybe", more, 1));
}
END_TEST

START_TEST(test_parameters_replace_what_they_name)
{
	static const struct {
		const char *words, *says;
	} bad[] = {
		{ "", "parameters are :engines=N" },
		{ "depth", "parameters are :engines=N" },
		{ "depth=1:", "parameters are" },
		{ "dept=1", "parameters are" },
		{ "depth=0", "depth is a number from 1 to 4096" },
		{ "depth=1x", "depth is a number" },
		{ "work=100000001", "work is a number from 0 to 100000000" },
		{ "unit=1", "unit is a number from 4096 to 131072" },
		{ "depth=3:latency=9:deadline=9", "deadline must be longer than latency" },
	};
	struct zcomp_accel_params params = zcomp_device_find("iaa")->params, before;
	char text[ZCOMP_ERROR_TEXT];

	ck_assert_int_eq(zcomp_accel_parse("depth=5:work=77", &params, text), 0);
	ck_assert_uint_eq(params.depth, 5);
	ck_assert_uint_eq(params.work_ns, 77);
	ck_assert_uint_eq(params.engines, 8);
	before = params;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		ck_assert_int_eq(zcomp_accel_parse(bad[i].words, &params, text), -EINVAL);
		ck_assert_msg(strstr(text, bad[i].says) != NULL, "%s: %s", bad[i].words, text);
		ck_assert(memcmp(&params, &before, sizeof(params)) == 0);
	}
}
END_TEST

/* As those are checked that come by numbers, and not by words. */
START_TEST(test_parameters_that_do_not_fit_are_refused)
{
	struct zcomp_accel_params params = { .latency_us = 9, .poll_us = 2, .deadline_us = 12 };
	char text[ZCOMP_ERROR_TEXT];

	ck_assert_int_eq(zcomp_accel_check(&params, text), 0);
	params.deadline_us = 11;
	ck_assert_int_eq(zcomp_accel_check(&params, text), -EINVAL);
	ck_assert_ptr_nonnull(strstr(text, "deadline=11: must be longer"));
	params.deadline_us = ZCOMP_ACCEL_MAX_DEADLINE_US + 1;
	ck_assert_int_eq(zcomp_accel_check(&params, text), -EINVAL);
	ck_assert_ptr_nonnull(strstr(text, "out of range"));
}
END_TEST

START_TEST(test_engine_works_on_one_request_at_a_time)
{
	struct zcomp *comp = make_device(
		UNIT, (struct zcomp_accel_params){ .engines = 1, .depth = NR, .work_ns = WORK_NS });
	const struct zcomp_params *params = zcomp_get_params(comp);

	for (unsigned i = 0; i < 2; i++)
		ck_assert_int_eq(submit(comp, &jobs[i], UNIT), 0);
	wait_taken(comp, 2);
	ck_assert(!ended(&jobs[0]) && !ended(&jobs[1]));
	accel_advance_clock(params, UNIT_US);
	must_end(comp, &jobs[0]);
	ck_assert(!ended(&jobs[1]));
	accel_advance_clock(params, UNIT_US);
	must_end(comp, &jobs[1]);
	zcomp_destroy(comp);
}
END_TEST

START_TEST(test_engines_work_side_by_side_and_by_the_page)
{
	struct zcomp *comp = make_device(
		UNIT, (struct zcomp_accel_params){ .engines = 1, .depth = NR, .work_ns = WORK_NS });

	/* Two pages, and one byte of a third. */
	ck_assert_int_eq(submit(comp, &jobs[0], 8193), 0);
	wait_taken(comp, 1);
	accel_advance_clock(zcomp_get_params(comp), 3 * WORK_NS / 1000);
	must_end(comp, &jobs[0]);
	zcomp_destroy(comp);
	comp = make_device(UNIT, (struct zcomp_accel_params){ .engines = 2,
							      .depth = NR,
							      .latency_us = UNIT_US,
							      .work_ns = WORK_NS });
	/* Held: each engine finds its share. */
	accel_hold(zcomp_get_params(comp));
	for (unsigned i = 0; i < 2; i++)
		ck_assert_int_eq(submit(comp, &jobs[i], UNIT), 0);
	accel_release(zcomp_get_params(comp));
	wait_taken(comp, 2);
	/* The work, and the latency on top. */
	accel_advance_clock(zcomp_get_params(comp), UNIT_US);
	ck_assert(!ended(&jobs[0]) && !ended(&jobs[1]));
	accel_advance_clock(zcomp_get_params(comp), 2 * UNIT_US);
	must_end(comp, &jobs[0]);
	must_end(comp, &jobs[1]);
	zcomp_destroy(comp);
}
END_TEST

START_TEST(test_request_that_the_device_does_not_take_is_done_by_its_caller)
{
	struct zcomp *comp =
		make_device(UNIT, (struct zcomp_accel_params){ .engines = 1, .unit = 4096 });
	struct zcomp_strm *strm;
	size_t len;

	ck_assert_int_eq(submit(comp, &jobs[0], 4097), -EMSGSIZE);
	zcomp_stream_put(comp, jobs[0].strm);
	ck_assert_uint_eq(stat_of(comp).fallback_error, 1);
	ck_assert_int_eq(submit(comp, &jobs[0], 4096), 0);
	must_end(comp, &jobs[0]);
	strm = zcomp_stream_get_managed(comp);
	ck_assert_ptr_nonnull(strm);
	ck_assert_int_eq(zcomp_compress(comp, strm, strm->local_copy, UNIT, UNIT, &len), 0);
	zcomp_stream_put(comp, strm);
	ck_assert_uint_eq(stat_of(comp).fallback_error, 2);
	ck_assert_uint_eq(stat_of(comp).compress_calls, 1);
	zcomp_destroy(comp);
}
END_TEST

/* Whatever the device, the core's own streams decode what it makes: as software does. */
START_TEST(test_named_devices_compress_and_software_decodes)
{
	const struct zcomp_device *device = zcomp_device_at((size_t)_i);
	struct zcomp_config config = config_of("lz4", 4096);
	uint8_t src[4096], back[4096];
	struct zcomp_strm *strm, *own;
	uint64_t seed = 1;
	struct zcomp *comp;
	size_t len, len_back;

	config.accel = true;
	config.accel_params = device->params;
	comp = must_create(&config);
	ck_assert(zcomp_managed(comp));
	ck_assert_uint_eq(stat_of(comp).device.engines, device->params.engines);
	fill_text(src, sizeof(src), &seed);
	strm = zcomp_stream_get_managed(comp);
	ck_assert_ptr_nonnull(strm);
	ck_assert_int_eq(zcomp_compress(comp, strm, src, sizeof(src), 8192, &len), 0);
	own = zcomp_stream_get(comp, ZSTRM_DEFAULT);
	ck_assert_int_eq(
		zcomp_decompress(comp, own, strm->buffer, len, back, sizeof(back), &len_back), 0);
	ck_assert_uint_eq(len_back, sizeof(src));
	ck_assert(memcmp(src, back, sizeof(src)) == 0);
	zcomp_stream_put(comp, own);
	zcomp_stream_put(comp, strm);
	ck_assert_uint_eq(stat_of(comp).mgmt_calls, 1);
	zcomp_destroy(comp);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("zcomp devices");
	TCase *tc = tcase_create("zcomp devices");

	tcase_set_timeout(tc, 30);
	tcase_add_test(tc, test_every_figure_of_the_table_is_one_that_users_may_give);
	tcase_add_test(tc, test_guess_is_the_nearest_name_or_none);
	tcase_add_test(tc, test_parameters_replace_what_they_name);
	tcase_add_test(tc, test_parameters_that_do_not_fit_are_refused);
	tcase_add_test(tc, test_engine_works_on_one_request_at_a_time);
	tcase_add_test(tc, test_engines_work_side_by_side_and_by_the_page);
	tcase_add_test(tc, test_request_that_the_device_does_not_take_is_done_by_its_caller);
	tcase_add_loop_test(tc, test_named_devices_compress_and_software_decodes, 0, 5);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
