// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_behind.c - pages that another thread writes: all of them in order, or the first error. The
 * writer is a stand-in.
 */
#include <errno.h>
#include <string.h>

#include "ctl/behind.h"
#include "tests/lib/zt_check.h"
#include "util/alloc.h"

#define SIZE      (4 * ZT_PAGE_SIZE)
#define NR_ROUNDS 500u

typedef void *(*thread_fn)(void *);

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attr, thread_fn fn, void *arg);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, thread_fn fn, void *arg);
int __wrap_image_writer_put(struct image_writer *writer, const void *data, uint64_t nr_pages);

static bool no_thread;
static unsigned nr_puts, fails_at; /* 1: the first one; 0: none */
static uint64_t pages;
static atomic_bool goes_on; /* a put waits for it */
static atomic_uint signals;

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, thread_fn fn, void *arg)
{
	return no_thread ? EAGAIN : __real_pthread_create(thread, attr, fn, arg);
}

/* Page n begins with n. */
int __wrap_image_writer_put(struct image_writer *writer, const void *data, uint64_t nr_pages)
{
	(void)writer;
	while (!atomic_load(&goes_on))
		(void)usleep(100);
	if (++nr_puts == fails_at)
		return -ENOSPC;
	for (uint64_t i = 0; i < nr_pages; i++, pages++) {
		uint64_t number;

		memcpy(&number, (const char *)data + i * ZT_PAGE_SIZE, sizeof(number));
		ck_assert_uint_eq(number, pages);
	}
	return 0;
}

static void note_signal(int nr)
{
	(void)nr;
	atomic_fetch_add(&signals, 1);
}

static void start(struct behind *behind)
{
	no_thread = false;
	nr_puts = fails_at = 0;
	pages = 0;
	atomic_store(&goes_on, true);
	ck_assert_int_eq(behind_begin(behind, NULL, SIZE), 0);
}

static int put(struct behind *behind, uint64_t first, uint64_t nr)
{
	char *data = behind_next(behind);

	for (uint64_t i = 0; i < nr; i++) {
		const uint64_t number = first + i;

		memcpy(data + i * ZT_PAGE_SIZE, &number, sizeof(number));
	}
	return behind_put(behind, nr * ZT_PAGE_SIZE);
}

START_TEST(test_all_pages_come_in_order)
{
	struct behind behind;

	start(&behind);
	for (unsigned i = 0; i < NR_ROUNDS; i++)
		ck_assert_int_eq(put(&behind, i * 4, 4), 0);
	ck_assert_int_eq(put(&behind, NR_ROUNDS * 4, 3), 0);
	ck_assert_int_eq(behind_end(&behind), 0);
	ck_assert_uint_eq(nr_puts, NR_ROUNDS + 1);
	ck_assert_uint_eq(pages, NR_ROUNDS * 4 + 3);
}
END_TEST

START_TEST(test_what_was_not_put_is_not_written)
{
	struct behind behind;

	start(&behind);
	ck_assert_int_eq(behind_end(&behind), 0);
	ck_assert_uint_eq(nr_puts, 0);
	start(&behind);
	ck_assert_int_eq(put(&behind, 0, 4), 0);
	ck_assert_ptr_eq(behind_next(&behind), behind_next(&behind));
	ck_assert_int_eq(behind_end(&behind), 0);
	ck_assert_uint_eq(nr_puts, 1);
}
END_TEST

START_TEST(test_the_first_error_ends_it)
{
	struct behind behind;
	unsigned i = 0;
	int error;

	start(&behind);
	fails_at = 3;
	do
		error = put(&behind, i * 4, 4);
	while (!error && ++i < NR_ROUNDS);
	ck_assert_int_eq(error, -ENOSPC);
	ck_assert_uint_lt(i, 3 + BEHIND_NR + 1);
	ck_assert_int_eq(put(&behind, 0, 4), -ENOSPC);
	ck_assert_int_eq(behind_end(&behind), -ENOSPC);
	ck_assert_uint_eq(nr_puts, 3);
	ck_assert_uint_eq(pages, 8);
}
END_TEST

START_TEST(test_an_error_of_the_last_pages_is_not_lost)
{
	struct behind behind;

	start(&behind);
	fails_at = 2;
	atomic_store(&goes_on, false);
	ck_assert_int_eq(put(&behind, 0, 4), 0);
	ck_assert_int_eq(put(&behind, 4, 1), 0);
	atomic_store(&goes_on, true);
	ck_assert_int_eq(behind_end(&behind), -ENOSPC);
	ck_assert_uint_eq(pages, 4);
}
END_TEST

START_TEST(test_without_memory_or_a_thread_nothing_is_begun)
{
	struct behind behind;

	for (long n = 1; n <= (long)BEHIND_NR; n++) {
		zt_fault_set(n);
		ck_assert_int_eq(behind_begin(&behind, NULL, SIZE), -ENOMEM);
		ck_assert(!zt_fault_pending());
	}
	no_thread = true;
	ck_assert_int_eq(behind_begin(&behind, NULL, SIZE), -EAGAIN);
	start(&behind);
	ck_assert_int_eq(behind_end(&behind), 0);
}
END_TEST

static void *signal_often(void *arg)
{
	const pthread_t *waiter = arg;

	for (unsigned i = 0; i < 200; i++) {
		(void)usleep(100);
		ck_assert_int_eq(pthread_kill(*waiter, SIGUSR1), 0);
	}
	atomic_store(&goes_on, true);
	return NULL;
}

/* A caller whose buffers are all full, and a thread that has nothing to write. */
START_TEST(test_signals_do_not_end_a_wait)
{
	const struct sigaction action = { .sa_handler = note_signal };
	const pthread_t self = pthread_self();
	pthread_t other;
	struct behind behind;

	ck_assert_int_eq(sigaction(SIGUSR1, &action, NULL), 0);
	start(&behind);
	for (unsigned i = 0; i < 200; i++) {
		ck_assert_int_eq(pthread_kill(behind.thread, SIGUSR1), 0);
		(void)usleep(100);
	}
	ck_assert_uint_gt(atomic_load(&signals), 0);
	atomic_store(&signals, 0);
	atomic_store(&goes_on, false);
	for (unsigned i = 0; i < BEHIND_NR; i++)
		ck_assert_int_eq(put(&behind, i * 4, 4), 0);
	ck_assert_int_eq(pthread_create(&other, NULL, signal_often, (void *)&self), 0);
	ck_assert_int_eq(put(&behind, BEHIND_NR * 4, 4), 0);
	ck_assert(atomic_load(&goes_on));
	ck_assert_uint_gt(atomic_load(&signals), 0);
	ck_assert_int_eq(pthread_join(other, NULL), 0);
	ck_assert_int_eq(behind_end(&behind), 0);
	ck_assert_uint_eq(nr_puts, BEHIND_NR + 1);
	ck_assert_uint_eq(pages, BEHIND_NR * 4 + 4);
}
END_TEST

static Suite *behind_suite(void)
{
	Suite *suite = suite_create("behind");
	TCase *tcase = tcase_create("behind");

	tcase_add_test(tcase, test_all_pages_come_in_order);
	tcase_add_test(tcase, test_what_was_not_put_is_not_written);
	tcase_add_test(tcase, test_the_first_error_ends_it);
	tcase_add_test(tcase, test_an_error_of_the_last_pages_is_not_lost);
	tcase_add_test(tcase, test_without_memory_or_a_thread_nothing_is_begun);
	tcase_add_test(tcase, test_signals_do_not_end_a_wait);
	suite_add_tcase(suite, tcase);
	return suite;
}

int main(void)
{
	return zt_check_main(behind_suite());
}
