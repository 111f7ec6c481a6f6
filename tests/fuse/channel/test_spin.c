// SPDX-License-Identifier: GPL-2.0-or-later
/* test_spin.c - when a thread that reads looks for requests by itself, and for how long. */
#include <errno.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

#include "fuse/channel/spin.h"
#include "fuse/channel/channel_i.h"
#include "tests/lib/zt_check.h"
#include "util/clock.h"

#define SPIN_FD 1234
#define SPIN_NS 15000u
#define SOON_NS 5000u
#define LATE_NS 50000u

static struct channel ch;
static struct request req;
static struct spin spin;
static char buffer[2 * ZT_PAGE_SIZE];

/* What the channel says: @nr_empty times nothing, then a request, or an error. */
static unsigned nr_reads, nr_empty;
static int then_errno;

static ssize_t scripted_read(int fd, void *buf, size_t size, void *userdata)
{
	(void)size;
	(void)userdata;
	ck_assert_int_eq(fd, SPIN_FD);
	if (nr_reads++ < nr_empty) {
		errno = EAGAIN;
		return -1;
	}
	if (then_errno) {
		errno = then_errno;
		return -1;
	}
	memset(buf, 7, 100);
	return 100;
}

static void setup(void)
{
	memset(&ch, 0, sizeof(ch));
	memset(&req, 0, sizeof(req));
	ch.params.read = scripted_read;
	ch.params.spin_ns = SPIN_NS;
	ch.spin_fd = SPIN_FD;
	ch.wakeup.rapid = true;
	ch.wakeup.asked = true;
	ch.duty.nr_wanted = 1;
	req.channel = &ch;
	req.map = buffer;
	spin = (struct spin){ 0 };
	spin_learn(&spin, &ch, SOON_NS);
	nr_reads = nr_empty = 0;
	then_errno = 0;
}

START_TEST(test_a_request_that_is_there_is_taken)
{
	ck_assert_int_eq(spin_receive(&spin, &ch, &req), 100);
	ck_assert_int_eq(req.fd, SPIN_FD);
	ck_assert_uint_eq(nr_reads, 1);
}
END_TEST

/* A thread that was not running meanwhile has waited long: then it may give up before it looks again. */
static ssize_t receive_after(unsigned nr)
{
	ssize_t len = 0;

	for (unsigned i = 0; i < 10000 && nr_reads != nr; i++) {
		nr_reads = 0;
		len = spin_receive(&spin, &ch, &req);
		ck_assert_uint_le(nr_reads, nr);
	}
	return len;
}

START_TEST(test_one_that_comes_soon_is_waited_for)
{
	nr_empty = 3;
	ck_assert_int_eq(receive_after(4), 100);
}
END_TEST

START_TEST(test_it_ends_when_none_comes)
{
	const uint64_t began = zt_now_ns();

	nr_empty = UINT32_MAX;
	ck_assert_int_eq(spin_receive(&spin, &ch, &req), 0);
	ck_assert_uint_gt(nr_reads, 0);
	ck_assert_uint_gt(zt_now_ns() - began, SOON_NS);
}
END_TEST

START_TEST(test_the_end_of_the_channel_is_left_to_who_waits)
{
	nr_empty = 1;
	then_errno = ENODEV;
	ck_assert_int_eq(receive_after(2), 0);
	ck_assert_uint_eq(nr_reads, 2);
}
END_TEST

START_TEST(test_a_request_that_was_withdrawn_is_passed_over)
{
	then_errno = ENOENT;
	for (unsigned i = 0; i < 10000 && nr_reads < 2; i++) {
		nr_reads = 0;
		ck_assert_int_eq(spin_receive(&spin, &ch, &req), 0);
	}
	ck_assert_uint_gt(nr_reads, 1);
}
END_TEST

START_TEST(test_nobody_looks_where_it_does_not_pay)
{
	ch.wakeup.asked = false; /* nor may it look without */
	ck_assert_int_eq(spin_receive(&spin, &ch, &req), 0);
	ch.params.spin_unasked_ns = SPIN_NS;
	ch.wakeup.rapid = false;
	ck_assert_int_eq(spin_receive(&spin, &ch, &req), 0);
	ch.wakeup.asked = ch.wakeup.rapid = true;
	ch.duty.nr_wanted = 2;
	ck_assert_int_eq(spin_receive(&spin, &ch, &req), 0);
	ch.duty.nr_wanted = 1;
	ch.spin_fd = -1;
	ck_assert_int_eq(spin_receive(&spin, &ch, &req), 0);
	ch.spin_fd = SPIN_FD;
	spin_learn(&spin, &ch, LATE_NS);
	ck_assert_int_eq(spin_receive(&spin, &ch, &req), 0);
	ck_assert_uint_eq(nr_reads, 0);
	spin_learn(&spin, &ch, SOON_NS);
	ck_assert_int_eq(spin_receive(&spin, &ch, &req), 100);
}
END_TEST

/* Two of three soon is enough, one of three is not. */
START_TEST(test_it_pays_while_most_requests_come_soon)
{
	for (unsigned i = 0; i < 300; i++)
		spin_learn(&spin, &ch, i % 4 == 3 ? LATE_NS : SOON_NS);
	ck_assert_uint_gt(spin.credit, 8);
	for (unsigned i = 0; i < 300; i++)
		spin_learn(&spin, &ch, i % 3 == 0 ? SOON_NS : LATE_NS);
	ck_assert_uint_eq(spin.credit, 0);
	for (unsigned i = 0; i < 300; i++)
		spin_learn(&spin, &ch, SOON_NS);
	/* What was gained over a long time is soon lost. */
	for (unsigned i = 0; i < 8; i++)
		spin_learn(&spin, &ch, LATE_NS);
	ck_assert_uint_eq(spin.credit, 0);
}
END_TEST

/* As a mount that carries swap has it. */
START_TEST(test_soon_is_what_the_mount_says)
{
	const uint64_t began = zt_now_ns();

	ch.params.spin_ns = 2 * LATE_NS;
	spin = (struct spin){ 0 };
	spin_learn(&spin, &ch, LATE_NS);
	nr_empty = UINT32_MAX;
	ck_assert_int_eq(spin_receive(&spin, &ch, &req), 0);
	ck_assert_uint_gt(nr_reads, 0);
	ck_assert_uint_ge(zt_now_ns() - began, 2 * LATE_NS);
}
END_TEST

START_TEST(test_where_the_kernel_is_not_asked_it_looks_for_longer)
{
	const uint64_t began = zt_now_ns();

	ch.wakeup.asked = false;
	ch.params.spin_unasked_ns = 2 * LATE_NS;
	spin = (struct spin){ 0 };
	spin_learn(&spin, &ch, LATE_NS);
	nr_empty = UINT32_MAX;
	ck_assert_int_eq(spin_receive(&spin, &ch, &req), 0);
	ck_assert_uint_ge(zt_now_ns() - began, 2 * LATE_NS);
	nr_empty = 0;
	ck_assert_int_eq(spin_receive(&spin, &ch, &req), 100);
}
END_TEST

/* The client would wait for the CPU that looks for its request. */
START_TEST(test_on_one_cpu_it_looks_once_and_no_more)
{
	cpu_set_t all, one;
	unsigned i;

	ck_assert_int_eq(sched_getaffinity(0, sizeof(all), &all), 0);
	CPU_ZERO(&one);
	for (i = 0; !CPU_ISSET(i, &all); i++)
		;
	CPU_SET(i, &one);
	ck_assert_int_eq(sched_setaffinity(0, sizeof(one), &one), 0);
	nr_empty = UINT32_MAX;
	ck_assert_int_eq(spin_receive(&spin, &ch, &req), 0);
	ck_assert(spin.alone);
	nr_reads = nr_empty = 0;
	for (i = 0; i < 1023; i++)
		ck_assert_int_eq(spin_receive(&spin, &ch, &req), 0);
	ck_assert_uint_eq(nr_reads, 0);
	/* Until it may run elsewhere, too. */
	ck_assert_int_eq(sched_setaffinity(0, sizeof(all), &all), 0);
	ck_assert_int_eq(spin_receive(&spin, &ch, &req), CPU_COUNT(&all) > 1 ? 100 : 0);
}
END_TEST

START_TEST(test_a_channel_that_cannot_be_cloned_is_done_without)
{
	int fds[2];

	ck_assert_int_eq(pipe(fds), 0);
	ck_assert_int_eq(spin_open(fds[0]), -1);
	close(fds[0]);
	close(fds[1]);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("spin");
	TCase *tc = tcase_create("spin");

	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, test_a_request_that_is_there_is_taken);
	tcase_add_test(tc, test_one_that_comes_soon_is_waited_for);
	tcase_add_test(tc, test_it_ends_when_none_comes);
	tcase_add_test(tc, test_the_end_of_the_channel_is_left_to_who_waits);
	tcase_add_test(tc, test_a_request_that_was_withdrawn_is_passed_over);
	tcase_add_test(tc, test_nobody_looks_where_it_does_not_pay);
	tcase_add_test(tc, test_it_pays_while_most_requests_come_soon);
	tcase_add_test(tc, test_soon_is_what_the_mount_says);
	tcase_add_test(tc, test_where_the_kernel_is_not_asked_it_looks_for_longer);
	tcase_add_test(tc, test_on_one_cpu_it_looks_once_and_no_more);
	tcase_add_test(tc, test_a_channel_that_cannot_be_cloned_is_done_without);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
