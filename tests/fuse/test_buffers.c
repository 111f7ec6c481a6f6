// SPDX-License-Identifier: GPL-2.0-or-later
/* test_buffers.c - the buffers of READ: warm ones first, unused ones given back. */
#include <string.h>

#include "fuse/buffers.h"
#include "tests/lib/zt_check.h"
#include "util/alloc.h"

#define SIZE 65536

static struct ztfuse_buffers buffers;

static void start(void)
{
	buffers_init(&buffers, SIZE);
}

static void stop(void)
{
	buffers_exit(&buffers);
}

START_TEST(test_the_last_one_put_is_taken_first)
{
	char *a = buffers_get(&buffers), *b = buffers_get(&buffers);

	ck_assert_ptr_nonnull(a);
	ck_assert_ptr_nonnull(b);
	ck_assert_ptr_ne(a, b);
	memset(a, 1, SIZE);
	memset(b, 2, SIZE);
	buffers_put(&buffers, a);
	buffers_put(&buffers, b);
	ck_assert_ptr_eq(buffers_get(&buffers), b);
	ck_assert_ptr_eq(buffers_get(&buffers), a);
	buffers_put(&buffers, a);
	buffers_put(&buffers, b);
}
END_TEST

START_TEST(test_trim_keeps_what_was_needed_since_the_last_one)
{
	void *bufs[4];

	for (int i = 0; i < 4; i++)
		bufs[i] = buffers_get(&buffers);
	for (int i = 0; i < 4; i++)
		buffers_put(&buffers, bufs[i]);
	/* All four were in use at once. */
	buffers_trim(&buffers);
	ck_assert_uint_eq(buffers.nr_free, 4);
	/* Now only one is. */
	buffers_put(&buffers, buffers_get(&buffers));
	buffers_trim(&buffers);
	ck_assert_uint_eq(buffers.nr_free, 1);
	ck_assert_ptr_eq(buffers_get(&buffers), bufs[3]);
	buffers_put(&buffers, bufs[3]);
	buffers_trim(&buffers);
	ck_assert_uint_eq(buffers.nr_free, 1);
	buffers_trim(&buffers);
	ck_assert_uint_eq(buffers.nr_free, 0);
}
END_TEST

START_TEST(test_no_memory_is_said)
{
	void *buf;

	zt_fault_set(1);
	ck_assert_ptr_null(buffers_get(&buffers));
	buf = buffers_get(&buffers);
	ck_assert_ptr_nonnull(buf);
	buffers_put(&buffers, buf);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("buffers");
	TCase *tc = tcase_create("buffers");

	tcase_add_checked_fixture(tc, start, stop);
	tcase_add_test(tc, test_the_last_one_put_is_taken_first);
	tcase_add_test(tc, test_trim_keeps_what_was_needed_since_the_last_one);
	tcase_add_test(tc, test_no_memory_is_said);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
