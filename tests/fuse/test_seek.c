// SPDX-License-Identifier: GPL-2.0-or-later
/* test_seek.c - before a hole is the answer the kernel is asked to write its pages there. */
#include <unistd.h>

#include "tests/fuse/fixture.h"
#include "util/alloc.h"

static void setup_transport(void)
{
	fixture_start_transport(31);
}

static uint64_t make_data(void)
{
	static char data[65536];
	const uint64_t ino = make_file(ROOT, "f");

	memset(data, 'd', sizeof(data));
	ck_assert_int_eq(wire_write(&wire, ino, 65536, data, sizeof(data), 0), 65536);
	return ino;
}

START_TEST(test_only_answers_that_rest_on_a_hole_ask_the_kernel)
{
	const uint64_t ino = make_data();
	uint64_t off;

	ck_assert_int_eq(wire_lseek(&wire, ino, 70000, SEEK_DATA, &off), 0);
	ck_assert_uint_eq(off, 70000);
	ck_assert_uint_eq(wire.nr_page_invals, 0);
	ck_assert_int_eq(wire_lseek(&wire, ino, 0, SEEK_DATA, &off), 0);
	ck_assert_uint_eq(off, 65536);
	ck_assert_uint_eq(wire.nr_page_invals, 1);
	ck_assert_int_eq(wire_lseek(&wire, ino, 70000, SEEK_HOLE, &off), 0);
	ck_assert_uint_eq(off, 131072);
	ck_assert_uint_eq(wire.nr_page_invals, 2);
	ck_assert_int_eq(wire_lseek(&wire, ino, 131072, SEEK_DATA, &off), -ENXIO);
	ck_assert_uint_eq(wire.nr_page_invals, 3);
	ck_assert_int_eq(wire_lseek(&wire, ino, 0, 77, &off), -EINVAL);
	ck_assert_int_eq(wire_lseek(&wire, ROOT, 0, SEEK_DATA, &off), -EISDIR);
	ck_assert_uint_eq(wire.nr_page_invals, 3);
}
END_TEST

/* Where the kernel cannot be asked nothing is a hole. */
static void check_all_is_data(uint64_t ino)
{
	uint64_t off;

	ck_assert_int_eq(wire_lseek(&wire, ino, 0, SEEK_DATA, &off), 0);
	ck_assert_uint_eq(off, 0);
	ck_assert_uint_eq(wire.nr_page_invals, 0);
}

START_TEST(test_without_memory_or_a_thread_all_is_data_and_it_works_again)
{
	const uint64_t ino = make_data();
	uint64_t off;

	zt_fault_set(1);
	check_all_is_data(ino);
	zt_fault_set(2);
	check_all_is_data(ino);
	ck_assert_int_eq(wire_lseek(&wire, ino, 0, SEEK_DATA, &off), 0);
	ck_assert_uint_eq(off, 65536);
	ck_assert_uint_eq(wire.nr_page_invals, 1);
}
END_TEST

START_TEST(test_at_the_end_of_a_mount_the_kernel_is_not_asked)
{
	const uint64_t ino = make_data();
	uint64_t off;

	ck_assert_int_eq(wire_lseek(&wire, ino, 0, SEEK_DATA, &off), 0);
	seeker_stop(&front.seeker);
	seeker_stop(&front.seeker);
	ck_assert_int_eq(wire_lseek(&wire, ino, 0, SEEK_DATA, &off), 0);
	ck_assert_uint_eq(off, 65536);
	ck_assert_uint_eq(wire.nr_page_invals, 1);
}
END_TEST

/* Requests that cannot be held: the serving thread waits itself, but never the last one. */
START_TEST(test_last_thread_does_not_wait)
{
	const uint64_t ino = make_data();
	uint64_t off;

	atomic_store(&front.seeker.nr_may_wait, 0);
	check_all_is_data(ino);
	ck_assert_int_eq(wire_lseek(&wire, ino, 0, SEEK_HOLE, &off), 0);
	ck_assert_uint_eq(off, 131072);
	/* The end that is known here may be old. */
	ck_assert_int_eq(wire_lseek(&wire, ino, 131072, SEEK_DATA, &off), 0);
	ck_assert_uint_eq(off, 131072);
	ck_assert_int_eq(wire_lseek(&wire, ino, 131072, SEEK_HOLE, &off), 0);
	ck_assert_uint_eq(off, 135168);
	ck_assert_uint_eq(wire.nr_page_invals, 0);
	ck_assert_int_eq(wire_lseek(&wire, ino, 65536, SEEK_DATA, &off), 0);
	atomic_store(&front.seeker.nr_may_wait, 1);
	ck_assert_int_eq(wire_lseek(&wire, ino, 0, SEEK_DATA, &off), 0);
	ck_assert_uint_eq(wire.nr_page_invals, 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("seek");
	TCase *tc = tcase_create("held");

	tcase_add_checked_fixture(tc, setup_transport, teardown);
	tcase_add_test(tc, test_only_answers_that_rest_on_a_hole_ask_the_kernel);
	tcase_add_test(tc, test_without_memory_or_a_thread_all_is_data_and_it_works_again);
	tcase_add_test(tc, test_at_the_end_of_a_mount_the_kernel_is_not_asked);
	suite_add_tcase(suite, tc);
	tc = tcase_create("not held");
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_only_answers_that_rest_on_a_hole_ask_the_kernel);
	tcase_add_test(tc, test_last_thread_does_not_wait);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
