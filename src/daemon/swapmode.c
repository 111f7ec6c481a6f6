// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * swapmode.c - a daemon that goes on while the machine has no memory left. See swapmode.h.
 *
 * Locks: none. Nothing here runs while a request is served.
 */
#include "daemon/swapmode.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "daemon/home.h"
#include "daemon/standby.h"

#ifndef PR_SET_IO_FLUSHER /* Linux 5.6 */
#define PR_SET_IO_FLUSHER 57
#endif

/*
 * What the heap may have to hold later: libfuse's own small object for each request, and a struct
 * for each zspage, 80 to 120 bytes for 16 to 32 KiB of memory.
 */
#define HEAP_SIZE(mem_limit) ((size_t)(MIB + (mem_limit) / 128))
/* The highest there is. */
#define NICE (-20)
/*
 * What attaching to the mount takes for a while: a bit for each 16 bytes of what it stores, for each of
 * three pools (zsmalloc/attach.c), and what goes with that.
 */
#define WALK_SIZE(mem_limit) ((size_t)(MIB / 2 + 3 * (mem_limit) / 128))
/* Threads beside those that serve: signals, pressure, grower, upkeep, orphans, and what waits. */
#define THREADS_MORE 7u
/* Written before there are threads. */
static bool is_settled;

static int refuse(struct options_error *error, const char *what, int number)
{
	ERR_PRINTF(error, "option swap: cannot %s: %s", what, strerror(number));
	return -number;
}

static int write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	int error = 0;

	if (fd < 0)
		return errno;
	if (write(fd, text, strlen(text)) < 0)
		error = errno;
	close(fd);
	return error;
}

/* One heap that is as large as it will be, and never gives anything back. Return: an errno. */
static int grow_heap(size_t size)
{
	char *heap;

	(void)mallopt(M_ARENA_MAX, 1);
	(void)mallopt(M_MMAP_THRESHOLD, INT_MAX);
	(void)mallopt(M_TRIM_THRESHOLD, INT_MAX);
	heap = malloc(size);
	if (!heap)
		return ENOMEM;
	memset(heap, 1, size);
	/* Or the compiler sees that nobody reads it. */
	__asm__ volatile("" : : "r"(heap) : "memory");
	free(heap);
	return 0;
}

/*
 * A thread is as any other, whatever the one that makes it does at the moment (swapmode_hurry()).
 */
static int small_stacks(void)
{
	pthread_attr_t attr;
	int error = pthread_attr_init(&attr);

	if (error)
		return error;
	error = pthread_attr_setstacksize(&attr, HOME_STACK_SIZE);
	if (!error)
		error = pthread_attr_setinheritsched(&attr, PTHREAD_EXPLICIT_SCHED);
	if (!error)
		error = pthread_attr_setschedpolicy(&attr, SCHED_OTHER);
	if (!error)
		error = pthread_attr_setschedparam(&attr, &(struct sched_param){ 0 });
	if (!error)
		error = pthread_setattr_default_np(&attr);
	(void)pthread_attr_destroy(&attr);
	return error;
}

/* What threads and children inherit. */
static int settle_process(struct options_error *out_error)
{
	int error;

	if (is_settled)
		return 0;
	if (prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0) != 0)
		return refuse(out_error, "set PR_SET_IO_FLUSHER (CAP_SYS_RESOURCE, Linux 5.6)",
			      errno);
	error = write_text("/proc/self/oom_score_adj", "-1000");
	if (error)
		return refuse(out_error, "keep the OOM killer away (CAP_SYS_RESOURCE)", error);
	if (setpriority(PRIO_PROCESS, 0, NICE) != 0)
		return refuse(out_error, "raise the priority (CAP_SYS_NICE)", errno);
	error = small_stacks();
	is_settled = !error;
	return error ? refuse(out_error, "allocate beforehand", error) : 0;
}

/* ---- home ---- */

static struct home home_of(const struct options *options, int fd)
{
	return (struct home){ .fd = fd, .nr_stacks = options->max_threads + THREADS_MORE };
}

int swapmode_make_home(const struct options *options, uint64_t own, int *out_fd)
{
	const uint64_t mem_limit = options->super.mem_limit;
	struct home home = home_of(options, -1);
	int error = home_make((size_t)own + HEAP_SIZE(mem_limit) + WALK_SIZE(mem_limit), home.nr_stacks,
			      &home);

	if (!error)
		*out_fd = home.fd;
	return error;
}

int swapmode_enter(const struct options *options, int home_fd, struct options_error *out_error)
{
	const struct home home = home_of(options, home_fd);
	int error = settle_process(out_error);

	if (error)
		return error;
	error = home_fd >= 0 ? -home_take_heap(&home) : grow_heap(HEAP_SIZE(options->super.mem_limit));
	return error ? refuse(out_error, "allocate beforehand", error) : 0;
}

int swapmode_stand_by(const struct options *options, int home_fd, unsigned set,
		      struct options_error *out_error)
{
	const struct home home = home_of(options, home_fd);
	int error = settle_process(out_error);

	if (error)
		return error;
	if (home_fd >= 0)
		error = -home_take_stacks(&home, set);
	if (error)
		return refuse(out_error, "allocate beforehand", error);
	return swapmode_lock(out_error);
}

void swapmode_hurry(bool hurries)
{
	const struct sched_param param = { .sched_priority = hurries ? STANDBY_PRIORITY : 0 };

	/* As it is touched: the arena's range, which is mapped next, is larger than memory. */
	if (hurries)
		(void)mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT);
	(void)sched_setscheduler(0, hurries ? SCHED_FIFO : SCHED_OTHER, &param);
}

/* ---- locked ---- */

/*
 * Memory of the kernel's, and the arena, which is locked as it is populated: a memfd of just that name, or
 * a file without one, as the home, which needs no lock.
 */
static bool is_skipped(const char *perms, const char *name)
{
	return perms[0] != 'r' || strncmp(name, "[v", 2) == 0 || strncmp(name, "/#", 2) == 0 ||
	       strcmp(name, "/memfd:" PACKAGE_NAME) == 0;
}

static int lock_maps(void)
{
	FILE *file = fopen("/proc/self/maps", "re");
	char line[PATH_MAX + 128];
	int error = 0;

	if (!file)
		return errno;
	while (!error && fgets(line, sizeof(line), file)) {
		unsigned long start, end;
		char perms[5], name[32] = "";

		if (sscanf(line, "%lx-%lx %4s %*s %*s %*s %31s", &start, &end, perms, name) < 3 ||
		    is_skipped(perms, name))
			continue;
		if (mlock((void *)start, end - start) != 0)
			error = errno;
	}
	fclose(file);
	return error;
}

int swapmode_lock(struct options_error *out_error)
{
	int error = 0;

	/*
	 * First everything as it is touched, since the arena's range is larger than memory; then
	 * what there is; then what is still to come: the stacks of threads.
	 */
	if (mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) != 0)
		error = errno;
	if (!error)
		error = lock_maps();
	if (!error && mlockall(MCL_FUTURE) != 0)
		error = errno;
	return error ? refuse(out_error, "lock memory (CAP_IPC_LOCK)", error) : 0;
}

/* Whether loop device @name ("loop0") stands on a file below @mountpoint. */
static bool stands_on(const char *name, const char *mountpoint)
{
	const size_t len = strlen(mountpoint);
	char path[PATH_MAX];
	bool found = false;
	FILE *file;

	(void)snprintf(path, sizeof(path), "/sys/block/%s/loop/backing_file", name);
	file = fopen(path, "re");
	if (!file)
		return false;
	if (fgets(path, sizeof(path), file))
		found = strncmp(path, mountpoint, len) == 0 && path[len] == '/';
	fclose(file);
	return found;
}

bool swapmode_in_use(const char *mountpoint)
{
	FILE *file = fopen("/proc/swaps", "re");
	char line[PATH_MAX];
	bool found = false;

	if (!file)
		return false;
	while (!found && fgets(line, sizeof(line), file)) {
		char name[32];

		if (sscanf(line, "/dev/%31[a-z0-9]", name) == 1)
			found = stands_on(name, mountpoint);
	}
	fclose(file);
	return found;
}
