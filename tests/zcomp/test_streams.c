// SPDX-License-Identifier: GPL-2.0-or-later
/* test_streams.c - who gets which stream, and when nobody waits or somebody must. */
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>

#include "tests/zcomp/fake.h"

/* Nothing that is written to all of what a backend sees reaches the callers' rooms. */
START_TEST(test_streams_stand_apart_and_have_room)
{
	struct zcomp_config config = config_of("lz4", 65536);
	struct zcomp_strm *strms[4];
	struct zcomp *comp;

	config.nr_streams = ARRAY_SIZE(strms);
	config.own_size = 100000;
	comp = must_create(&config);
	for (size_t i = 0; i < ARRAY_SIZE(strms); i++) {
		const char *own;

		strms[i] = zcomp_stream_try(comp); /* nobody waits for one with another */
		ck_assert_ptr_nonnull(strms[i]);
		own = zcomp_stream_own(strms[i]);
		ck_assert(own[0] == 0 && memcmp(own, own + 1, config.own_size - 1) == 0);
		ck_assert_uint_ge(strms[i]->buffer_size, 131072);
		ck_assert_uint_ge(strms[i]->local_copy_size, 65536);
		memset(strms[i]->buffer, (int)i + 1, strms[i]->buffer_size);
		memset(strms[i]->local_copy, (int)i + 101, strms[i]->local_copy_size);
		memset(zcomp_stream_own(strms[i]), (int)i + 51, config.own_size);
	}
	for (size_t i = 0; i < ARRAY_SIZE(strms); i++) {
		const char *buffer = strms[i]->buffer, *copy = strms[i]->local_copy;
		const char *own = zcomp_stream_own(strms[i]);

		ck_assert(buffer[0] == (char)(i + 1) && buffer[131071] == (char)(i + 1));
		ck_assert(copy[0] == (char)(i + 101) && copy[65535] == (char)(i + 101));
		ck_assert(own[0] == (char)(i + 51) && own[config.own_size - 1] == (char)(i + 51));
		zcomp_stream_put(comp, strms[i]);
	}
	zcomp_destroy(comp);
}
END_TEST

/* Recompression may hold it for long, and callers of the others wait for its locks. */
START_TEST(test_private_stream_is_given_to_nobody_else)
{
	struct zcomp_config config = config_of("lz4", 4096);
	struct zcomp_strm *private, *strms[4];
	struct zcomp *comp;
	unsigned nr = 0;

	config.nr_streams = 3;
	config.private_stream = true;
	comp = must_create(&config);
	private = zcomp_stream_get_private(comp);
	zcomp_stream_put(comp, private);
	while (nr < ARRAY_SIZE(strms) && (strms[nr] = zcomp_stream_try(comp)) != NULL)
		ck_assert_ptr_ne(strms[nr++], private);
	ck_assert_uint_eq(nr, 3);
	while (nr-- > 0)
		zcomp_stream_put(comp, strms[nr]);
	ck_assert_ptr_eq(zcomp_stream_get_private(comp), private);
	zcomp_stream_put(comp, private);
	zcomp_destroy(comp);
}
END_TEST

START_TEST(test_thread_gets_the_same_stream_again)
{
	struct zcomp_config config = config_of("lz4", 4096);
	struct zcomp_strm *first, *again;
	struct zcomp *comp;

	config.nr_streams = 5;
	comp = must_create(&config);
	first = zcomp_stream_get(comp, ZSTRM_DEFAULT);
	zcomp_stream_put(comp, first);
	for (int i = 0; i < 10; i++) {
		again = zcomp_stream_get(comp, ZSTRM_DEFAULT);
		ck_assert_ptr_eq(again, first);
		zcomp_stream_put(comp, again);
	}
	zcomp_destroy(comp);
}
END_TEST

struct other {
	struct zcomp *comp;
	struct zcomp_strm *strm;
	sem_t got, may_put;
};

static void *other_main(void *arg)
{
	struct other *other = arg;

	other->strm = zcomp_stream_get(other->comp, ZSTRM_DEFAULT);
	sem_post(&other->got);
	sem_wait(&other->may_put);
	zcomp_stream_put(other->comp, other->strm);
	return NULL;
}

static void other_start(struct other *other, struct zcomp *comp, pthread_t *thread)
{
	other->comp = comp;
	other->strm = NULL;
	sem_init(&other->got, 0, 0);
	sem_init(&other->may_put, 0, 0);
	ck_assert_int_eq(pthread_create(thread, NULL, other_main, other), 0);
}

START_TEST(test_busy_stream_is_passed_over_for_a_free_one)
{
	struct zcomp_config config = config_of("lz4", 4096);
	struct other others[3];
	pthread_t threads[3];
	struct zcomp *comp;

	config.nr_streams = 3;
	comp = must_create(&config);
	for (int i = 0; i < 3; i++) { /* none of them waits, whatever their numbers are */
		other_start(&others[i], comp, &threads[i]);
		sem_wait(&others[i].got);
		for (int k = 0; k < i; k++)
			ck_assert_ptr_ne(others[i].strm, others[k].strm);
	}
	for (int i = 0; i < 3; i++) {
		sem_post(&others[i].may_put);
		pthread_join(threads[i], NULL);
	}
	zcomp_destroy(comp);
}
END_TEST

START_TEST(test_last_comer_waits_until_a_stream_is_put)
{
	struct zcomp_config config = config_of("lz4", 4096);
	struct zcomp_strm *strm;
	struct zcomp *comp;
	struct other other;
	pthread_t thread;

	config.nr_streams = 1;
	comp = must_create(&config);
	strm = zcomp_stream_get(comp, ZSTRM_DEFAULT);
	other_start(&other, comp, &thread);
	sched_yield();
	ck_assert_int_eq(sem_trywait(&other.got), -1);
	zcomp_stream_put(comp, strm);
	sem_wait(&other.got);
	ck_assert_ptr_eq(other.strm, strm);
	sem_post(&other.may_put);
	pthread_join(thread, NULL);
	zcomp_destroy(comp);
}
END_TEST

START_TEST(test_preference_decides_between_the_kinds)
{
	struct zcomp_config config = config_of(NULL, 4096);
	struct zcomp_ops ops = fake_ops();
	struct zcomp *comp = must_create_ops(&ops, &config);
	struct zcomp_strm *strm;

	strm = zcomp_stream_get(comp, ZSTRM_DEFAULT);
	ck_assert_ptr_ne(strm, &fake.strm);
	ck_assert(!zcomp_stream_is_managed(comp, strm));
	zcomp_stream_put(comp, strm);
	ck_assert_int_eq(fake.nr_put, 0);
	strm = zcomp_stream_get(comp, ZSTRM_PREFER_MGMT);
	ck_assert_ptr_eq(strm, &fake.strm);
	ck_assert(zcomp_stream_is_managed(comp, strm));
	zcomp_stream_put(comp, strm); /* put is routed by the stream */
	ck_assert_int_eq(fake.nr_put, 1);
	zcomp_destroy(comp);
}
END_TEST

START_TEST(test_no_managed_stream_is_normal_and_counted)
{
	struct zcomp_config config = config_of(NULL, 4096);
	struct zcomp_ops ops = fake_ops();
	struct zcomp *comp = must_create_ops(&ops, &config);
	struct zcomp_strm *strm;

	fake.none_idle = true;
	ck_assert_ptr_null(zcomp_stream_get_managed(comp));
	strm = zcomp_stream_get(comp, ZSTRM_PREFER_MGMT);
	ck_assert(!zcomp_stream_is_managed(comp, strm));
	zcomp_stream_put(comp, strm);
	ck_assert_uint_eq(stat_of(comp).fallback_no_stream, 2);
	fake.none_idle = false;
	strm = zcomp_stream_get(comp, ZSTRM_PREFER_MGMT);
	ck_assert(zcomp_stream_is_managed(comp, strm));
	zcomp_stream_put(comp, strm);
	ck_assert_uint_eq(stat_of(comp).fallback_no_stream, 2);
	zcomp_destroy(comp);
}
END_TEST

START_TEST(test_managed_stream_with_small_buffers_is_put_back_and_warned_of_once)
{
	struct zcomp_config config = config_of(NULL, 65536);
	struct zcomp_ops ops = fake_ops();
	struct zcomp *comp = must_create_ops(&ops, &config);
	struct zcomp_strm *strm;

	nr_logged = 0;
	zt_log_set_sink(keep_log);
	for (int i = 0; i < 4; i++) {
		fake.buffer_size = i < 2 ? 131071 : 131072;
		fake.local_copy_size = i < 2 ? 65536 : 65535;
		strm = zcomp_stream_get(comp, ZSTRM_PREFER_MGMT);
		ck_assert(!zcomp_stream_is_managed(comp, strm));
		zcomp_stream_put(comp, strm);
		ck_assert_int_eq(fake.nr_put, i + 1);
	}
	ck_assert_uint_eq(stat_of(comp).fallback_bad_stream, 4);
	ck_assert_uint_eq(nr_logged, 1);
	ck_assert_ptr_nonnull(strstr(last_log, "too small"));
	fake.local_copy_size = 65536; /* exactly enough */
	strm = zcomp_stream_get(comp, ZSTRM_PREFER_MGMT);
	ck_assert(zcomp_stream_is_managed(comp, strm));
	zcomp_stream_put(comp, strm);
	zcomp_destroy(comp);
}
END_TEST

#ifndef ZT_SANITIZERS /* they count their shadow memory as ours */
/* Resident pages of the process. */
static long resident_pages(void)
{
	FILE *file = fopen("/proc/self/statm", "r");
	long size = 0, resident = 0;

	ck_assert_ptr_nonnull(file);
	ck_assert_int_eq(fscanf(file, "%ld %ld", &size, &resident), 2);
	fclose(file);
	return resident;
}

/* 64 streams and 4096 managed ones have over 1.5 GiB of buffers at this unit. */
START_TEST(test_streams_never_used_cost_little_memory)
{
	struct zcomp_config config = config_of("null", ZCOMP_MAX_UNIT);
	long before = resident_pages(), cost;
	struct zcomp *comp;

	config.nr_streams = 64;
	config.accel = true;
	config.accel_params.depth = 4096;
	comp = must_create(&config);
	ck_assert_msg(zcomp_managed(comp), "%s", stat_of(comp).degraded);
	cost = (resident_pages() - before) * sysconf(_SC_PAGESIZE);
	zcomp_destroy(comp);
	ck_assert_msg(cost < 2 << 20, "%ld bytes", cost);
}
END_TEST
#endif

int main(void)
{
	Suite *suite = suite_create("streams");
	TCase *tc = tcase_create("streams");

	tcase_add_test(tc, test_streams_stand_apart_and_have_room);
	tcase_add_test(tc, test_private_stream_is_given_to_nobody_else);
	tcase_add_test(tc, test_thread_gets_the_same_stream_again);
	tcase_add_test(tc, test_busy_stream_is_passed_over_for_a_free_one);
	tcase_add_test(tc, test_last_comer_waits_until_a_stream_is_put);
	tcase_add_test(tc, test_preference_decides_between_the_kinds);
	tcase_add_test(tc, test_no_managed_stream_is_normal_and_counted);
	tcase_add_test(tc, test_managed_stream_with_small_buffers_is_put_back_and_warned_of_once);
#ifndef ZT_SANITIZERS
	tcase_add_test(tc, test_streams_never_used_cost_little_memory);
#endif
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
