// SPDX-License-Identifier: GPL-2.0-or-later
/* test_surroundings.c - limits, pages and descriptors that a daemon may find. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "daemon/surroundings.h"
#include "tests/lib/zt_check.h"

START_TEST(test_only_pages_of_4_kib_are_taken)
{
	struct options_error error;

	ck_assert_int_eq(surroundings_page_size(4096, &error), 0);
	ck_assert_int_eq(surroundings_page_size(16384, &error), -ENOTSUP);
	ck_assert_ptr_nonnull(strstr(error.text, "16384"));
	ck_assert_int_eq(surroundings_page_size(65536, &error), -ENOTSUP);
	ck_assert_ptr_nonnull(strstr(error.text, "65536"));
}
END_TEST

START_TEST(test_soft_limit_is_raised_and_low_hard_limit_is_named)
{
	const struct options options = { .max_threads = 4 };
	struct options_error error;
	struct rlimit limit;

	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = 20;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	ck_assert_int_eq(surroundings_limits(&options, &error), 0);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	ck_assert_uint_eq(limit.rlim_cur, limit.rlim_max);

	limit.rlim_cur = limit.rlim_max = 39;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	ck_assert_int_eq(surroundings_limits(&options, &error), -EPERM);
	ck_assert_ptr_nonnull(strstr(error.text, "open files"));
	ck_assert_ptr_nonnull(strstr(error.text, "39"));
	ck_assert_ptr_nonnull(strstr(error.text, "40"));
}
END_TEST

START_TEST(test_descriptors_are_closed_but_those_named)
{
	char program[] = "ztmpfs", place[] = "/dev/fd/12";
	char *const argv[] = { program, place };
	int fd = open("/", O_RDONLY);

	ck_assert_int_ge(fd, 0);
	for (int number = 8; number < 16; number++)
		ck_assert_int_eq(dup2(fd, number), number);
	(void)close(STDIN_FILENO);
	surroundings_descriptors(2, argv);
	ck_assert_int_ge(fcntl(STDIN_FILENO, F_GETFL), 0);
	for (int number = 3; number < 16; number++)
		ck_assert_int_eq(fcntl(number, F_GETFD) >= 0, number == 12);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("surroundings");
	TCase *tc = tcase_create("surroundings");

	tcase_add_test(tc, test_only_pages_of_4_kib_are_taken);
	tcase_add_test(tc, test_soft_limit_is_raised_and_low_hard_limit_is_named);
	tcase_add_test(tc, test_descriptors_are_closed_but_those_named);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
