/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * run.h - ztmpfsctl called as a function, with all it says caught; and a folder of files for it.
 */
#ifndef ZT_TESTS_CTL_RUN_H
#define ZT_TESTS_CTL_RUN_H

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl/ctl.h"
#include "tests/lib/zt_check.h"

/* What the last run() said. */
static char run_out[262144], run_err[4096];

static inline void run_take(FILE *file, char *text, size_t room)
{
	size_t len;

	rewind(file);
	len = fread(text, 1, room - 1, file);
	text[len] = '\0';
	fclose(file);
}

/* run() - @argv, which is copied, since options are cut in place */
static inline int run(const char *const argv[])
{
	FILE *out = tmpfile(), *err = tmpfile();
	int saved_out, saved_err, argc = 0, status;
	char *copy[64];

	ck_assert(out && err);
	for (; argv[argc]; argc++)
		copy[argc] = strdup(argv[argc]);
	copy[argc] = NULL;
	fflush(NULL);
	saved_out = dup(STDOUT_FILENO);
	saved_err = dup(STDERR_FILENO);
	dup2(fileno(out), STDOUT_FILENO);
	dup2(fileno(err), STDERR_FILENO);
	{
		/* getopt changes the order: what is freed is what was copied. */
		char *order[64];

		memcpy(order, copy, sizeof(order));
		status = ctl_main(argc, order);
	}
	fflush(NULL);
	dup2(saved_out, STDOUT_FILENO);
	dup2(saved_err, STDERR_FILENO);
	close(saved_out);
	close(saved_err);
	run_take(out, run_out, sizeof(run_out));
	run_take(err, run_err, sizeof(run_err));
	for (int i = 0; i < argc; i++)
		free(copy[i]);
	return status;
}

#define RUN(...) run((const char *const[]){ "ztmpfsctl", __VA_ARGS__, NULL })

/* A folder of its own, in the build folder. */
static char run_dir[64];

static inline const char *run_path(const char *name)
{
	static char path[256];

	snprintf(path, sizeof(path), "%s/%s", run_dir, name);
	return path;
}

static inline void run_setup(void)
{
	strcpy(run_dir, "ctl-test.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(run_dir));
}

static inline void run_teardown(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf '%s'", run_dir);
	ck_assert_int_eq(system(command), 0);
}

/* run_file() - @len bytes of text that compresses; other text for another @seed */
static inline void run_file(const char *name, size_t len, uint64_t seed)
{
	FILE *file = fopen(run_path(name), "w");
	size_t put = 0;

	ck_assert_ptr_nonnull(file);
	while (put < len) {
		char line[96];
		const int room = snprintf(
			line, sizeof(line), "static int value_%u(struct thing *thing, int %x);\n",
			(unsigned)(zt_random(&seed) % 4000), (unsigned)zt_random(&seed));

		put += fwrite(line, 1, len - put < (size_t)room ? len - put : (size_t)room, file);
	}
	ck_assert_int_eq(fclose(file), 0);
}

#endif
