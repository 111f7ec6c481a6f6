/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * zt_check.h - what every Check program here shares: its main(), messages on the error output,
 * random numbers with a seed.
 */
#ifndef ZT_TESTS_LIB_ZT_CHECK_H
#define ZT_TESTS_LIB_ZT_CHECK_H

#include <check.h>
#include <inttypes.h>
#include <stdint.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "util/log.h"

static inline void zt_check_log(enum zt_log_level level, const char *line)
{
	(void)level;
	fprintf(stderr, "%s\n", line);
}

/*
 * zt_seed() - ZT_SEED from the environment, or the time; printed, so that a failing run can be
 * repeated
 */
static inline uint64_t zt_seed(void)
{
	const char *text = getenv("ZT_SEED");
	uint64_t seed = text ? strtoull(text, NULL, 0) : (uint64_t)time(NULL);

	printf("ZT_SEED=%" PRIu64 "\n", seed);
	fflush(stdout);
	return seed;
}

/* zt_random() - splitmix64 */
static inline uint64_t zt_random(uint64_t *state)
{
	uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

/*
 * zt_aborts() - true in a child, which must end by SIGABRT in what follows; false in the test, when
 * the child has. Check's own way needs a process for each test, and sanitizers have one for all.
 */
static inline bool zt_aborts(void)
{
	const struct rlimit no_core = { 0, 0 };
	pid_t child;
	int status;

	fflush(NULL);
	child = fork();
	ck_assert_int_ge(child, 0);
	if (child == 0) {
		(void)setrlimit(RLIMIT_CORE, &no_core);
		return true;
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	return false;
}

static inline int zt_check_main(Suite *suite)
{
	SRunner *runner = srunner_create(suite);
	int failed;

	zt_log_set_sink(zt_check_log);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif
