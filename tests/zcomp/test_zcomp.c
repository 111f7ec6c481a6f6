// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_zcomp.c - set-up, its refusals, the order of calls, and what becomes of a backend's
 * failures.
 */
#include <errno.h>

#include "tests/zcomp/fake.h"
#include "zcomp/module.h"
#include "util/alloc.h"

static void create_says(const struct zcomp_config *config, int error, const char *sentence)
{
	char text[ZCOMP_ERROR_TEXT] = "";
	struct zcomp *comp = (struct zcomp *)0x1;

	ck_assert_int_eq(zcomp_create(config, text, &comp), error);
	ck_assert_str_eq(text, sentence);
	ck_assert_ptr_eq(comp, (struct zcomp *)0x1);
}

START_TEST(test_unknown_algorithm_is_named_with_those_allowed)
{
	struct zcomp_config config = config_of("foo", 4096);

	zcomp_module_dir = "/no/such/folder";
	create_says(&config, -ENOENT,
		    "compress=foo: unknown algorithm; allowed: lz4, lz4hc, zstd, null, auto, or a "
		    "module in /no/such/folder");
	config.name = "";
	create_says(&config, -ENOENT,
		    "compress=: unknown algorithm; allowed: lz4, lz4hc, zstd, null, auto, or a "
		    "module's name or absolute path");
}
END_TEST

START_TEST(test_backend_with_a_device_of_its_own_is_not_driven_by_the_pretended_one)
{
	struct zcomp_ops ops = fake_ops();
	struct zcomp_config config = config_of("", 4096);
	struct zcomp *comp;

	config.accel = true;
	comp = must_create_ops(&ops, &config);
	ck_assert_ptr_eq(comp->ops, &ops);
	ck_assert_ptr_null(fake.params.inner_ops);
	ck_assert(zcomp_managed(comp));
	zcomp_destroy(comp);
	ops = fake_ops();
	ops.put_stream = NULL;
	comp = must_create_ops(&ops, &config);
	ck_assert_ptr_eq(comp->ops, zcomp_accel_ops());
	ck_assert(zcomp_managed(comp));
	zcomp_destroy(comp);
}
END_TEST

START_TEST(test_level_out_of_range_is_named_with_the_range)
{
	struct zcomp_config config = config_of("zstd", 4096);

	config.level = 99;
	create_says(&config, -EINVAL, "compress=zstd:99: level out of range -131072..22");
	config.level = -131073;
	create_says(&config, -EINVAL, "compress=zstd:-131073: level out of range -131072..22");
	config.name = "lz4";
	config.level = 0;
	create_says(&config, -EINVAL, "compress=lz4:0: level out of range 1..65537");
	config.level = -1;
	create_says(&config, -EINVAL, "compress=lz4:-1: level out of range 1..65537");
	config.name = "lz4hc";
	config.level = 13;
	create_says(&config, -EINVAL, "compress=lz4hc:13: level out of range 1..12");
	config.name = "null";
	config.level = 1;
	create_says(&config, -EINVAL, "compress=null:1: null has no levels");
}
END_TEST

START_TEST(test_other_parameters_out_of_range_are_named)
{
	struct zcomp_config config = config_of("lz4", 4096);

	config.unit = 5000;
	create_says(&config, -EINVAL,
		    "unit of 5000 bytes: allowed: a multiple of 4096, 4096..131072");
	config.unit = 0;
	create_says(&config, -EINVAL, "unit of 0 bytes: allowed: a multiple of 4096, 4096..131072");
	config.unit = 135168;
	create_says(&config, -EINVAL,
		    "unit of 135168 bytes: allowed: a multiple of 4096, 4096..131072");
	config = config_of("lz4", 4096);
	config.nr_streams = 1025;
	create_says(&config, -EINVAL, "streams=1025: out of range 1..1024");
	config = config_of("lz4", 4096);
	config.accel = true;
	config.accel_params.engines = 65;
	create_says(&config, -EINVAL, "accel: engines=65: out of range 1..64");
	config.accel_params = (struct zcomp_accel_params){ .depth = 4097 };
	create_says(&config, -EINVAL, "accel: depth=4097: out of range 1..4096");
	config.accel_params = (struct zcomp_accel_params){ .batch = 257 };
	create_says(&config, -EINVAL, "accel: batch=257: out of range 1..256");
	config.accel_params = (struct zcomp_accel_params){ .fail_ppm = 1000001 };
	create_says(&config, -EINVAL, "accel: fail=1000001: out of range 0..1000000");
	config.accel_params = (struct zcomp_accel_params){ .latency_us = 5, .deadline_us = 5 };
	create_says(&config, -EINVAL, "accel: deadline=5: must be longer than latency=5");
}
END_TEST

START_TEST(test_dictionary_out_of_range_is_named)
{
	static char dict[65537];
	struct zcomp_config config = config_of("null", 4096);

	config.dict = dict;
	config.dict_size = 100;
	create_says(&config, -EINVAL, "compress=null: takes no dictionary");
	config.name = "lz4";
	config.dict_size = 0;
	create_says(&config, -EINVAL, "compress=lz4: dictionary of 0 bytes: out of range 1..65536");
	config.dict_size = 65537;
	create_says(&config, -EINVAL,
		    "compress=lz4: dictionary of 65537 bytes: out of range 1..65536");
}
END_TEST

START_TEST(test_backend_sees_clear_caps_and_resolved_parameters)
{
	struct zcomp_ops ops = fake_ops();
	struct zcomp_config config = config_of(NULL, 8192);
	struct zcomp *comp;

	config.dict = "0123";
	config.dict_size = 4;
	comp = must_create_ops(&ops, &config);
	ck_assert(!fake.caps_before.zstrm_mgmt);
	ck_assert_ptr_null(fake.caps_before.degraded);
	ck_assert_int_eq(fake.params.level, 5);
	ck_assert_uint_eq(fake.params.unit, 8192);
	ck_assert_uint_eq(fake.params.dict_size, 4);
	ck_assert_ptr_eq(fake.params.dict, config.dict);
	ck_assert_ptr_nonnull(fake.params.host);
	ck_assert_ptr_null(fake.params.inner_ops);
	ck_assert_str_eq(zcomp_name(comp), "fake");
	zcomp_destroy(comp);
	fake_ops();
	config.level = -3;
	comp = must_create_ops(&ops, &config);
	ck_assert_int_eq(fake.params.level, -3);
	zcomp_destroy(comp);
}
END_TEST

START_TEST(test_life_cycle_is_setup_contexts_stop_contexts_release)
{
	struct zcomp_ops ops = fake_ops();
	struct zcomp_config config = config_of(NULL, 4096);
	struct zcomp *comp;

	config.nr_streams = 3;
	comp = must_create_ops(&ops, &config);
	ck_assert_str_eq(fake.calls, "Sccc");
	zcomp_destroy(comp);
	ck_assert_str_eq(fake.calls, "ScccsdddR");
	zcomp_destroy(NULL);
}
END_TEST

START_TEST(test_failed_setup_releases_nothing_and_failed_context_releases_all)
{
	struct zcomp_ops ops = fake_ops();
	struct zcomp_config config = config_of(NULL, 4096);
	char text[ZCOMP_ERROR_TEXT] = "";
	struct zcomp *comp = NULL;

	config.nr_streams = 3;
	fake.setup_error = -EINVAL;
	ck_assert_int_eq(zcomp_create_ops(&ops, &config, text, &comp), -EINVAL);
	ck_assert_str_eq(fake.calls, "S");
	ck_assert_ptr_nonnull(strstr(text, "level 5"));
	ops = fake_ops();
	fake.ctx_error_at = 3;
	ck_assert_int_eq(zcomp_create_ops(&ops, &config, text, &comp), -ENOMEM);
	ck_assert_str_eq(fake.calls, "ScccddR");
	ck_assert_str_eq(text, "compress=fake: out of memory");
	ck_assert_ptr_null(comp);
}
END_TEST

/* Row of the zram series: the capability without the operations costs a warning, nothing else. */
START_TEST(test_claim_without_operations_warns_once_and_works_on)
{
	struct zcomp_config config = config_of(NULL, 4096);
	struct zcomp_ops ops = fake_ops();
	struct zcomp_strm *strm;
	struct zcomp *comp;
	size_t len = 0;

	if (_i == 0)
		ops.get_stream = NULL;
	else
		ops.put_stream = NULL;
	nr_logged = 0;
	zt_log_set_sink(keep_log);
	comp = must_create_ops(&ops, &config);
	ck_assert_uint_eq(nr_logged, 1);
	ck_assert_ptr_nonnull(strstr(last_log, "lacks get_stream or put_stream"));
	ck_assert(!zcomp_managed(comp));
	ck_assert(!stat_of(comp).managed);
	ck_assert_ptr_nonnull(stat_of(comp).degraded);
	ck_assert_ptr_null(zcomp_stream_get_managed(comp));
	strm = zcomp_stream_get(comp, ZSTRM_PREFER_MGMT);
	ck_assert(!zcomp_stream_is_managed(comp, strm));
	ck_assert_int_eq(zcomp_compress(comp, strm, "hello", 5, 4096, &len), 0);
	ck_assert_uint_eq(len, 5);
	zcomp_stream_put(comp, strm);
	ck_assert_uint_eq(stat_of(comp).fallback_no_stream, 0);
	zcomp_destroy(comp);
	ck_assert_uint_eq(nr_logged, 1);
}
END_TEST

START_TEST(test_operations_without_claim_stay_unused_silently)
{
	struct zcomp_config config = config_of(NULL, 4096);
	struct zcomp_ops ops = fake_ops();
	struct zcomp *comp;

	fake.claims_mgmt = false;
	nr_logged = 0;
	zt_log_set_sink(keep_log);
	comp = must_create_ops(&ops, &config);
	ck_assert(!zcomp_managed(comp));
	ck_assert_ptr_null(stat_of(comp).degraded);
	ck_assert_ptr_null(zcomp_stream_get_managed(comp));
	ck_assert_uint_eq(nr_logged, 0);
	zcomp_destroy(comp);
}
END_TEST

START_TEST(test_reported_degradation_is_logged_and_in_the_stat)
{
	struct zcomp_config config = config_of(NULL, 4096);
	struct zcomp_ops ops = fake_ops();
	struct zcomp *comp;

	fake.claims_mgmt = false;
	fake.degraded = "the device is away";
	nr_logged = 0;
	zt_log_set_sink(keep_log);
	comp = must_create_ops(&ops, &config);
	ck_assert_str_eq(stat_of(comp).degraded, "the device is away");
	ck_assert_uint_eq(nr_logged, 1);
	ck_assert_str_eq(last_log, "compress=fake: managed streams are off: the device is away");
	zcomp_destroy(comp);
}
END_TEST

/*
 * The accelerator's trouble is never the caller's: refused or failed, the work is done all the
 * same.
 */
START_TEST(test_managed_compression_that_fails_is_done_by_a_thread_stream)
{
	static const int errors[] = { -EBUSY,     -EIO,        -ETIMEDOUT, -ENOMEM,
				      -ECANCELED, -EOWNERDEAD, -ESHUTDOWN };
	struct zcomp_config config = config_of(NULL, 4096);
	struct zcomp_ops ops = fake_ops();
	struct zcomp *comp = must_create_ops(&ops, &config);
	struct zcomp_strm *strm = zcomp_stream_get(comp, ZSTRM_PREFER_MGMT);
	struct zcomp_stat stat;
	size_t len = 0;

	ck_assert_ptr_eq(strm, &fake.strm);
	for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
		fake.managed_error = errors[i];
		memset(fake_buffer, 0, 8);
		ck_assert_int_eq(zcomp_compress(comp, strm, "hello", 5, 4096, &len), 0);
		ck_assert_uint_eq(len, 5);
		ck_assert_int_eq(memcmp(strm->buffer, "hello", 5), 0);
	}
	ck_assert_int_eq(zcomp_compress(comp, strm, "hello", 5, 4, &len), -ENOSPC);
	fake.managed_error = -ENOSPC; /* an answer, not a failure */
	ck_assert_int_eq(zcomp_compress(comp, strm, "hello", 5, 4096, &len), -ENOSPC);
	stat = stat_of(comp);
	ck_assert_uint_eq(stat.fallback_busy, 1);
	ck_assert_uint_eq(stat.fallback_timeout, 1);
	ck_assert_uint_eq(stat.fallback_reset, 1);
	ck_assert_uint_eq(stat.fallback_dead, 1);
	/* and once more, whose own stream had no room either */
	ck_assert_uint_eq(stat.fallback_shutdown, 2);
	ck_assert_uint_eq(stat.fallback_error, 2);
	ck_assert_uint_eq(stat.compress_calls, 8);
	ck_assert_uint_eq(stat.mgmt_calls, 1);
	zcomp_stream_put(comp, strm);
	zcomp_destroy(comp);
}
END_TEST

struct seen {
	int nr, error;
	struct zcomp_strm *strm;
	struct zcomp_req *req;
};

static void seen_done(void *arg, struct zcomp_strm *strm, struct zcomp_req *req, int error)
{
	struct seen *seen = arg;

	seen->nr++;
	seen->error = error;
	seen->strm = strm;
	seen->req = req;
}

START_TEST(test_submit_gives_the_callers_own_request_back_and_counts)
{
	struct zcomp_config config = config_of(NULL, 4096);
	struct zcomp_ops ops = fake_ops();
	struct zcomp *comp = must_create_ops(&ops, &config);
	struct zcomp_strm *strm = zcomp_stream_get_managed(comp);
	struct zcomp_req req = {
		.src = "hello", .src_len = 5, .dst = strm->buffer, .dst_cap = 4096
	};
	struct seen seen = { .nr = 0 };

	ck_assert_int_eq(zcomp_submit(comp, strm, &req, seen_done, &seen), 0);
	ck_assert_int_eq(seen.nr, 1);
	ck_assert_int_eq(seen.error, 0);
	ck_assert_ptr_eq(seen.strm, strm);
	ck_assert_ptr_eq(seen.req, &req);
	ck_assert_uint_eq(req.dst_len, 5);
	fake.managed_error = -EIO;
	ck_assert_int_eq(zcomp_submit(comp, strm, &req, seen_done, &seen), 0);
	ck_assert_int_eq(seen.error, -EIO);
	fake.managed_error = -ENOSPC;
	ck_assert_int_eq(zcomp_submit(comp, strm, &req, seen_done, &seen), 0);
	ck_assert_int_eq(seen.error, -ENOSPC);
	fake.managed_error = -EBUSY;
	ck_assert_int_eq(zcomp_submit(comp, strm, &req, seen_done, &seen), -EBUSY);
	ck_assert_int_eq(seen.nr, 3);
	ck_assert_uint_eq(stat_of(comp).fallback_busy, 1);
	ck_assert_uint_eq(stat_of(comp).fallback_error, 1);
	ck_assert_uint_eq(stat_of(comp).mgmt_calls, 2);
	ck_assert_uint_eq(stat_of(comp).mgmt_out, 5);
	zcomp_stream_put(comp, strm);
	zcomp_destroy(comp);
}
END_TEST

START_TEST(test_submit_without_the_operation_is_not_supported)
{
	struct zcomp_config config = config_of(NULL, 4096);
	struct zcomp_ops ops = fake_ops();
	struct zcomp_req req = { .src = "hello", .src_len = 5 };
	struct seen seen = { .nr = 0 };
	struct zcomp_strm *strm;
	struct zcomp *comp;

	ops.submit = NULL;
	comp = must_create_ops(&ops, &config);
	strm = zcomp_stream_get_managed(comp);
	ck_assert_int_eq(zcomp_submit(comp, strm, &req, seen_done, &seen), -EOPNOTSUPP);
	ck_assert_int_eq(seen.nr, 0);
	zcomp_stream_put(comp, strm);
	zcomp_destroy(comp);
}
END_TEST

START_TEST(test_nothing_to_expand_is_damaged)
{
	struct zcomp_config config = config_of("null", 4096);
	struct zcomp *comp = must_create(&config);
	struct zcomp_strm *strm = zcomp_stream_get(comp, ZSTRM_DEFAULT);
	char back[8];
	size_t len = 7;

	ck_assert_int_eq(zcomp_decompress(comp, strm, "", 0, back, sizeof(back), &len), -EBADMSG);
	ck_assert_uint_eq(len, 7);
	zcomp_stream_put(comp, strm);
	zcomp_destroy(comp);
}
END_TEST

/* Every backend, with a dictionary where it takes one, plain and in the accelerator. */
START_TEST(test_any_allocation_of_create_may_fail)
{
	const struct zcomp_ops *ops = zcomp_ops_at((size_t)_i / 2);
	struct zcomp_config config = config_of(ops->name, 65536);
	static char dict[1000] = "something to say";
	unsigned nr_degraded = 0, nr_failed = 0;

	config.accel = _i % 2;
	config.accel_params = (struct zcomp_accel_params){ .engines = 2, .depth = 8 };
	config.dict = ops->dict_max ? dict : NULL;
	config.dict_size = sizeof(dict);
	zt_log_set_sink(keep_log);
	for (long n = 1;; n++) {
		char text[ZCOMP_ERROR_TEXT] = "";
		struct zcomp *comp = NULL;
		bool pending;
		int error;

		zt_fault_set(n);
		error = zcomp_create(&config, text, &comp);
		pending = zt_fault_pending();
		zt_fault_set(0);
		ck_assert_int_lt(n, 200);
		if (error) {
			ck_assert_int_eq(error, -ENOMEM);
			ck_assert_ptr_nonnull(strstr(text, "out of memory"));
			ck_assert_ptr_null(comp);
			nr_failed++;
			continue;
		}
		nr_degraded += stat_of(comp).degraded != NULL;
		zcomp_destroy(comp);
		if (pending)
			break;
	}
	ck_assert_uint_gt(nr_failed, 2);
	if (config.accel)
		ck_assert_uint_ge(nr_degraded, 3);
}
END_TEST

/* What is set aside for it: of built-in algorithms' buffers a third, of others all, of decoders none. */
START_TEST(test_memory_counts_what_is_touched_of_the_buffers)
{
	struct zcomp_config config = config_of("null", 65536);
	struct zcomp_ops ops = *zcomp_find_ops("null");
	uint64_t memory[4];
	struct zcomp *comp;

	for (unsigned i = 0; i < ARRAY_SIZE(memory); i++) {
		config.nr_streams = 4 + 4 * (i % 2);
		config.decode_only = i >= 2;
		comp = must_create(&config);
		memory[i] = zcomp_memory(comp);
		zcomp_destroy(comp);
	}
	/* Four streams more; a unit of each, and little else. */
	ck_assert_uint_ge(memory[1] - memory[0], 4 * 65536);
	ck_assert_uint_lt(memory[1] - memory[0], 4 * 65536 + 65536);
	ck_assert_uint_lt(memory[3] - memory[2], 65536);
	ck_assert_uint_gt(memory[0], memory[2] + 4 * 65536 - 65536);
	config.decode_only = false;
	comp = must_create_ops(&ops, &config);
	ck_assert_uint_ge(zcomp_memory(comp), memory[1] + 8 * 2 * 65536);
	zcomp_destroy(comp);
}
END_TEST

START_TEST(test_default_number_of_streams_is_one_per_cpu_plus_two)
{
	struct zcomp_config config = config_of("null", 4096);
	struct zcomp *comp;

	config.nr_streams = 0;
	comp = must_create(&config);
	ck_assert_uint_eq(stat_of(comp).nr_streams, (uint32_t)sysconf(_SC_NPROCESSORS_ONLN) + 2);
	zcomp_destroy(comp);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("zcomp");
	TCase *tc = tcase_create("zcomp");

	tcase_add_test(tc, test_unknown_algorithm_is_named_with_those_allowed);
	tcase_add_test(tc,
		       test_backend_with_a_device_of_its_own_is_not_driven_by_the_pretended_one);
	tcase_add_test(tc, test_level_out_of_range_is_named_with_the_range);
	tcase_add_test(tc, test_other_parameters_out_of_range_are_named);
	tcase_add_test(tc, test_dictionary_out_of_range_is_named);
	tcase_add_test(tc, test_backend_sees_clear_caps_and_resolved_parameters);
	tcase_add_test(tc, test_life_cycle_is_setup_contexts_stop_contexts_release);
	tcase_add_test(tc, test_failed_setup_releases_nothing_and_failed_context_releases_all);
	tcase_add_loop_test(tc, test_claim_without_operations_warns_once_and_works_on, 0, 2);
	tcase_add_test(tc, test_operations_without_claim_stay_unused_silently);
	tcase_add_test(tc, test_reported_degradation_is_logged_and_in_the_stat);
	tcase_add_test(tc, test_managed_compression_that_fails_is_done_by_a_thread_stream);
	tcase_add_test(tc, test_submit_gives_the_callers_own_request_back_and_counts);
	tcase_add_test(tc, test_submit_without_the_operation_is_not_supported);
	tcase_add_test(tc, test_nothing_to_expand_is_damaged);
	tcase_add_loop_test(tc, test_any_allocation_of_create_may_fail, 0, 8);
	tcase_add_test(tc, test_memory_counts_what_is_touched_of_the_buffers);
	tcase_add_test(tc, test_default_number_of_streams_is_one_per_cpu_plus_two);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
