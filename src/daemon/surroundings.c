// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * surroundings.c - what a process inherits from its caller, made fit for a daemon. See
 * surroundings.h.
 *
 * Locks: none; one thread.
 */
#include "daemon/surroundings.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "util/sizes.h"

/* ---- descriptors ---- */

static bool is_named(unsigned fd, int argc, char *const argv[])
{
	static const char *const folders[] = { "/dev/fd/", "/proc/self/fd/" };

	for (int i = 1; i < argc; i++) {
		for (size_t j = 0; j < ARRAY_SIZE(folders); j++) {
			const size_t len = strlen(folders[j]);

			if (strncmp(argv[i], folders[j], len) == 0 &&
			    strtoul(argv[i] + len, NULL, 10) == fd)
				return true;
		}
	}
	return false;
}

/* The smallest descriptor from @first on that the command line names; UINT_MAX: none. */
static unsigned next_named(unsigned first, int argc, char *const argv[])
{
	struct rlimit limit;
	unsigned most = 1024;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
		most = (unsigned)min_u64(limit.rlim_max, 1U << 20);
	for (unsigned fd = first; fd < most; fd++)
		if (is_named(fd, argc, argv))
			return fd;
	return UINT_MAX;
}

/* Linux 5.9 does it in one call. */
static void close_all(unsigned first, unsigned last)
{
	struct rlimit limit;

	if (first > last || close_range(first, last, 0) == 0)
		return;
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
		last = (unsigned)min_u64(last, limit.rlim_max);
	for (unsigned fd = first; fd <= last; fd++)
		(void)close((int)fd); /* most are not open */
}

void surroundings_descriptors(int argc, char *const argv[])
{
	const bool names = strstr(argc > 1 ? argv[argc - 1] : "", "/fd/") != NULL;
	unsigned first = STDERR_FILENO + 1;
	int fd;

	do {
		fd = open("/dev/null", O_RDWR);
		/* Without it: a number on which reading and writing fail, as on a closed one. */
		if (fd < 0)
			fd = open("/", O_PATH);
	} while (fd >= 0 && fd <= STDERR_FILENO);
	while (names) {
		unsigned kept = next_named(first, argc, argv);

		if (kept == UINT_MAX)
			break;
		close_all(first, kept - 1);
		first = kept + 1;
	}
	close_all(first, UINT_MAX);
}

/* ---- signals ---- */

void surroundings_signals(void)
{
	/* They fail only for signals that do not exist. */
	(void)signal(SIGCHLD, SIG_DFL);
	(void)signal(SIGTERM, SIG_DFL);
	(void)signal(SIGXFSZ, SIG_IGN);
}

/* ---- limits ---- */

/* The arena asks for a range of addresses and halves it until it gets one, down to this. */
#define RANGE_LEAST GIB
/* Libraries, the heap of an empty mount, stacks. */
#define MAPPED_LEAST (256 * MIB)
#define HEAP_LEAST   (256 * MIB)
/* Of the daemon itself, and beside those for each thread (clone_fd) and each CPU (io_uring). */
#define FILES_LEAST 32u
/* Deep enough for every handler and codec under a sanitizer; only what is touched takes memory. */
#define STACK_SIZE ((size_t)MIB)

struct limit {
	int resource;
	const char *what, *letter; /* the words, and ulimit's switch */
	uint64_t least;
	const char *why;
};

static int refuse_limit(const struct limit *limit, uint64_t value, struct options_error *error)
{
	if (limit->least == RLIM_INFINITY)
		ERR_PRINTF(error, "the limit on %s (ulimit -%s) is %llu: %s", limit->what,
			   limit->letter, (unsigned long long)value, limit->why);
	else
		ERR_PRINTF(error,
			   "the limit on %s (ulimit -%s) is %llu, at least %llu are needed: %s",
			   limit->what, limit->letter, (unsigned long long)value,
			   (unsigned long long)limit->least, limit->why);
	return -EPERM;
}

static int settle_limit(const struct limit *limit, struct options_error *error)
{
	struct rlimit have;

	if (getrlimit(limit->resource, &have) != 0)
		return 0;
	if (have.rlim_cur != have.rlim_max) {
		have.rlim_cur = have.rlim_max;
		/* Downwards is always allowed, and up to the hard limit. */
		(void)setrlimit(limit->resource, &have);
	}
	return have.rlim_max < limit->least ? refuse_limit(limit, have.rlim_max, error) : 0;
}

static int set_stack_size(void)
{
	pthread_attr_t attr;
	int error = pthread_attr_init(&attr);

	if (error)
		return -error;
	error = pthread_attr_setstacksize(&attr, STACK_SIZE);
	if (!error)
		error = pthread_setattr_default_np(&attr);
	(void)pthread_attr_destroy(&attr);
	return -error;
}

int surroundings_limits(const struct options *options, struct options_error *out_error)
{
	const struct limit limits[] = {
		{ RLIMIT_FSIZE, "the size of files in bytes", "f", RANGE_LEAST,
		  "all memory of a mount is one file without a name" },
		{ RLIMIT_AS, "address space in bytes", "v", RANGE_LEAST + MAPPED_LEAST,
		  "the daemon maps all that it may ever hold" },
		{ RLIMIT_DATA, "private memory in bytes", "d", HEAP_LEAST,
		  "the daemon could not begin to work" },
		{ RLIMIT_NOFILE, "open files", "n", FILES_LEAST + 2 * options->max_threads,
		  "each thread may have a channel of its own" },
		{ RLIMIT_CPU, "CPU time in seconds", "t", RLIM_INFINITY,
		  "it would end the daemon, and all files with it" },
		{ RLIMIT_STACK, "the stack in bytes", "s", 0, "" },
	};
	int error = 0;

	for (size_t i = 0; i < ARRAY_SIZE(limits) && !error; i++)
		error = settle_limit(&limits[i], out_error);
	if (error)
		return error;
	error = set_stack_size();
	if (error)
		ERR_PRINTF(out_error, "cannot set the size of stacks: %s", strerror(-error));
	return error;
}

int surroundings_page_size(long bytes, struct options_error *out_error)
{
	if (bytes == (long)ZT_PAGE_SIZE)
		return 0;
	ERR_PRINTF(out_error,
		   "this kernel has pages of %ld bytes; memory can be given back only where they "
		   "have %u",
		   bytes, ZT_PAGE_SIZE);
	return -ENOTSUP;
}

/* ---- the OOM killer ---- */

#define OOM_PATH "/proc/self/oom_score_adj"

int surroundings_set_oom(int score)
{
	const int fd = open(OOM_PATH, O_WRONLY | O_CLOEXEC);
	int error = 0;

	if (fd < 0)
		return -errno;
	if (dprintf(fd, "%d", score) < 0)
		error = -errno;
	close(fd);
	return error;
}

int surroundings_get_oom(int *out_score)
{
	FILE *file = fopen(OOM_PATH, "re");
	int got;

	if (!file)
		return -errno;
	got = fscanf(file, "%d", out_score);
	fclose(file);
	return got == 1 ? 0 : -EIO;
}

int surroundings_oom(const struct options *options, struct options_error *out_error)
{
	int error, score;

	if (options->oom == OPTION_OOM_KEEP)
		return 0;
	/* A lower score was set on purpose. */
	if (!options->oom_said && surroundings_get_oom(&score) == 0 && score <= options->oom)
		return 0;
	error = surroundings_set_oom(options->oom);
	if (!error || !options->oom_said)
		return 0;
	ERR_PRINTF(out_error,
		   "option oom=%d: %s; a score below the caller's needs CAP_SYS_RESOURCE",
		   options->oom, strerror(-error));
	return error;
}
