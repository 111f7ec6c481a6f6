// SPDX-License-Identifier: GPL-2.0-or-later
/* test_surroundings.c - limits, pages and descriptors that a daemon may find. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
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

/* What spoils the process for others is done by a child; it ends with the line that failed, or 0. */
#define CHILD_ASSERT(what)               \
	do {                             \
		if (!(what))             \
			_exit(__LINE__); \
	} while (0)

static int in_child(void (*function)(void))
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		function();
		_exit(0);
	}
	ck_assert_int_gt(pid, 0);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static void lower_limits(void)
{
	const struct options options = { .max_threads = 4 };
	struct options_error error;
	struct rlimit limit;

	CHILD_ASSERT(getrlimit(RLIMIT_NOFILE, &limit) == 0);
	limit.rlim_cur = 20;
	CHILD_ASSERT(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	CHILD_ASSERT(surroundings_limits(&options, &error) == 0);
	CHILD_ASSERT(getrlimit(RLIMIT_NOFILE, &limit) == 0);
	CHILD_ASSERT(limit.rlim_cur == limit.rlim_max);

	limit.rlim_cur = limit.rlim_max = 39;
	CHILD_ASSERT(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	CHILD_ASSERT(surroundings_limits(&options, &error) == -EPERM);
	CHILD_ASSERT(strstr(error.text, "open files"));
	CHILD_ASSERT(strstr(error.text, "39"));
	CHILD_ASSERT(strstr(error.text, "40"));
}

START_TEST(test_soft_limit_is_raised_and_low_hard_limit_is_named)
{
	ck_assert_int_eq(in_child(lower_limits), 0);
}
END_TEST

static void close_descriptors(void)
{
	char program[] = "ztmpfs", place[] = "/dev/fd/12";
	char *const argv[] = { program, place };
	int fd = open("/", O_RDONLY);

	CHILD_ASSERT(fd >= 0);
	for (int number = 8; number < 16; number++)
		CHILD_ASSERT(dup2(fd, number) == number);
	(void)close(STDIN_FILENO);
	surroundings_descriptors(2, argv);
	CHILD_ASSERT(fcntl(STDIN_FILENO, F_GETFL) >= 0);
	for (int number = 3; number < 16; number++)
		CHILD_ASSERT((fcntl(number, F_GETFD) >= 0) == (number == 12));
}

START_TEST(test_descriptors_are_closed_but_those_named)
{
	ck_assert_int_eq(in_child(close_descriptors), 0);
}
END_TEST

/* Anybody may raise the score. */
static void keep_lower_score(void)
{
	struct options options = { .oom = 300, .oom_said = false };
	struct options_error error;
	int score;

	CHILD_ASSERT(surroundings_set_oom(250) == 0);
	CHILD_ASSERT(surroundings_oom(&options, &error) == 0);
	CHILD_ASSERT(surroundings_get_oom(&score) == 0 && score == 250);
	options.oom_said = true;
	CHILD_ASSERT(surroundings_oom(&options, &error) == 0);
	CHILD_ASSERT(surroundings_get_oom(&score) == 0 && score == 300);
	options.oom = OPTION_OOM_KEEP;
	CHILD_ASSERT(surroundings_oom(&options, &error) == 0);
	CHILD_ASSERT(surroundings_get_oom(&score) == 0 && score == 300);
}

START_TEST(test_a_lower_score_than_the_default_stays)
{
	ck_assert_int_eq(in_child(keep_lower_score), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("surroundings");
	TCase *tc = tcase_create("surroundings");

	tcase_add_test(tc, test_only_pages_of_4_kib_are_taken);
	tcase_add_test(tc, test_soft_limit_is_raised_and_low_hard_limit_is_named);
	tcase_add_test(tc, test_descriptors_are_closed_but_those_named);
	tcase_add_test(tc, test_a_lower_score_than_the_default_stays);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
