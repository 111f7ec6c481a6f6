// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * no_check.c - Check's functions in fuzz targets that use the unit tests' fixtures: there is no runner to be told
 * how far a test has come, and what is wrong ends the process.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

void _mark_point(const char *file, int line)
{
	(void)file;
	(void)line;
}

void _ck_assert_failed(const char *file, int line, const char *expr, const char *msg, ...)
{
	fprintf(stderr, "fuzz: %s:%d: %s %s\n", file, line, expr, msg ? msg : "");
	abort();
}
