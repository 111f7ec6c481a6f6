// SPDX-License-Identifier: GPL-2.0-or-later
/* test_wakeup.c - when the kernel is asked for fast wake-ups, and for no longer. */
#include <fcntl.h>
#include <unistd.h>

#include "fuse/channel/wakeup.h"
#include "tests/lib/zt_check.h"
#include "util/log.h"

#define LOOK_NS UINT64_C(5000000)
#define ANY     (-1)

static int asked; /* what would be /dev/cpu_dma_latency: the reading end of a pipe */
static struct wakeup w;
static uint64_t now;
static unsigned nr_warnings;

static void count_warnings(enum zt_log_level level, const char *line)
{
	(void)line;
	nr_warnings += level == ZT_LOG_WARN;
}

static void setup(void)
{
	int fds[2];

	ck_assert_int_eq(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
	asked = fds[0];
	w = (struct wakeup){ .fd = fds[1], .latency_us = 3 };
	now = 1000 * LOOK_NS;
	w.looked_at_ns = now;
	nr_warnings = 0;
	zt_log_set_sink(count_warnings);
}

static void teardown(void)
{
	zt_log_set_sink(NULL);
	close(asked);
	if (w.fd >= 0)
		close(w.fd);
}

/* look() - LOOK_NS later, at so many requests a second */
static void look(unsigned rate)
{
	now += LOOK_NS;
	wakeup_look(&w, now, (unsigned)(rate * LOOK_NS / 1000000000));
}

/* The numbers that were written; at most one is expected at a time. */
static bool was_asked(int32_t *out_us)
{
	const ssize_t len = read(asked, out_us, sizeof(*out_us));

	ck_assert(len == (ssize_t)sizeof(*out_us) || len < 0);
	return len > 0;
}

static void expect_nothing(void)
{
	int32_t us;

	ck_assert(!was_asked(&us));
}

static void expect(int32_t expected)
{
	int32_t us;

	ck_assert(was_asked(&us));
	ck_assert_int_eq(us, expected);
	expect_nothing();
}

START_TEST(test_few_requests_ask_for_nothing)
{
	for (unsigned i = 0; i < 100; i++)
		look(4800);
	expect_nothing();
}
END_TEST

START_TEST(test_many_requests_ask_once)
{
	for (unsigned i = 0; i < 100; i++)
		look(20000);
	expect(3);
}
END_TEST

START_TEST(test_it_is_held_while_fewer_come_and_ends_when_they_stop)
{
	look(20000);
	expect(3);
	for (unsigned i = 0; i < 100; i++)
		look(2600);
	expect_nothing();
	/* A moment's rest is none. */
	for (unsigned i = 0; i < 100; i++)
		look(i % 4 == 3 ? 3000 : 0);
	expect_nothing();
	for (unsigned i = 0; i < 4; i++) {
		expect_nothing();
		look(0);
	}
	expect(ANY);
	look(0);
	expect_nothing();
	look(20000);
	expect(3);
}
END_TEST

/* The caretaker slept: what came meanwhile came in all that time. */
START_TEST(test_the_rate_is_by_the_time_that_passed)
{
	now += 1000 * LOOK_NS;
	wakeup_look(&w, now, 100);
	expect_nothing();
	now += LOOK_NS;
	wakeup_look(&w, now, 100);
	expect(3);
	wakeup_look(&w, now, 100);
	expect_nothing();
}
END_TEST

START_TEST(test_the_end_takes_it_back)
{
	wakeup_end(&w);
	expect_nothing();
	look(20000);
	expect(3);
	wakeup_end(&w);
	expect(ANY);
	wakeup_end(&w);
	expect_nothing();
}
END_TEST

START_TEST(test_a_kernel_that_refuses_is_not_asked_again)
{
	close(w.fd);
	w.fd = asked; /* cannot be written */
	for (unsigned i = 0; i < 10; i++)
		look(20000);
	for (unsigned i = 0; i < 10; i++)
		look(0);
	wakeup_end(&w);
	ck_assert_int_eq(w.fd, -1);
	ck_assert_uint_eq(nr_warnings, 1);
}
END_TEST

START_TEST(test_without_a_descriptor_nothing_is_asked)
{
	close(w.fd);
	w.fd = -1;
	look(4800);
	ck_assert(!w.rapid);
	look(20000);
	ck_assert(w.rapid && !w.asked);
	for (unsigned i = 0; i < 4; i++) {
		ck_assert(w.rapid);
		look(0);
	}
	ck_assert(!w.rapid);
	look(20000);
	wakeup_end(&w);
	ck_assert(!w.rapid && !w.asked);
	ck_assert_uint_eq(nr_warnings, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("wakeup");
	TCase *tc = tcase_create("wakeup");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_few_requests_ask_for_nothing);
	tcase_add_test(tc, test_many_requests_ask_once);
	tcase_add_test(tc, test_it_is_held_while_fewer_come_and_ends_when_they_stop);
	tcase_add_test(tc, test_the_rate_is_by_the_time_that_passed);
	tcase_add_test(tc, test_the_end_takes_it_back);
	tcase_add_test(tc, test_a_kernel_that_refuses_is_not_asked_again);
	tcase_add_test(tc, test_without_a_descriptor_nothing_is_asked);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
