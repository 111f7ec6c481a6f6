// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * swap_steps.c - ztmpfsctl swap on and off: the steps, their order, and the way back.
 *
 * on: state, folder, mount, file, loop device, settings, swap area, swapon. What was done is undone
 * when a later step fails. off: the contrary order, and not at all while memory could not take back
 * what is swapped out.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl/swap.h"
#include "util/sizes.h"

/* Of a mount that is made for it: space for the root directory and the like. */
#define SIZE_MORE (4 * MIB)

/* What is there, in the order in which it came. */
struct swap_parts {
	bool folder, mounted, file, attached, settings, active;
	char device[SWAP_DEVICE_MAX];
};

int swap_fail(const char *what, int error)
{
	fprintf(stderr, "ztmpfsctl: swap: %s: %s\n", what, strerror(-error));
	return error;
}

int swap_refuse(const char *format, ...)
{
	va_list args;

	fprintf(stderr, "ztmpfsctl: swap: ");
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	return -EPERM;
}

static int fail_busy(int error)
{
	return error == -EWOULDBLOCK ? swap_refuse("another ztmpfsctl swap is at work")
				     : swap_fail(SWAP_STATE, error);
}

static void file_path(char out[PATH_MAX], const char *mount)
{
	(void)snprintf(out, PATH_MAX, "%s/%s", mount, SWAP_FILE);
}

/* realpath() for a last component that need not be there. */
static char *real_path(const char *path)
{
	char parent[PATH_MAX], *real = realpath(path, NULL), *joined = NULL;
	const char *last = strrchr(path, '/');

	if (real || errno != ENOENT || !last || last == path || last[1] == '\0' ||
	    (size_t)(last - path) >= sizeof(parent))
		return real;
	memcpy(parent, path, (size_t)(last - path));
	parent[last - path] = '\0';
	real = realpath(parent, NULL);
	if (real && asprintf(&joined, "%s%s", real, last) < 0)
		joined = NULL;
	free(real);
	return joined;
}

/* As the kernel writes it: without links, "..", or a slash at the end. */
int swap_mount(const struct swap_args *args, const struct swap_state *state,
	       char out_mount[SWAP_PATH_MAX])
{
	const char *given = args->mount ? args->mount : state->mount;
	int error = 0;
	char *real;

	if (*given == '\0')
		given = SWAP_MOUNT_DEFAULT;
	real = real_path(given);
	if (!real)
		error = -errno;
	else if (strlen(real) >= SWAP_PATH_MAX)
		error = -ENAMETOOLONG;
	else
		strcpy(out_mount, real);
	free(real);
	return error ? swap_fail(given, error) : 0;
}

/* ---- the way back ---- */

/*
 * Undo @parts, up to the first that fails, since those below it are in use then. Return: 0; -errno
 * after a sentence.
 */
static int take_down(const char *mount, const struct swap_state *state,
		     const struct swap_parts *parts)
{
	char path[PATH_MAX];
	int error = 0;

	if (parts->active)
		error = swap_calls.swap_off(parts->device);
	if (error)
		return swap_fail("swapoff", error);
	if (parts->settings)
		swap_settings_restore(state);
	if (parts->attached)
		error = swap_calls.detach(parts->device);
	if (error)
		return swap_fail(parts->device, error);
	file_path(path, mount);
	if (parts->file && unlink(path) != 0 && errno != ENOENT)
		return swap_fail(path, -errno);
	if (parts->mounted)
		error = swap_calls.unmount(mount);
	if (!error && parts->folder && rmdir(mount) != 0 && errno != ENOENT)
		error = -errno;
	return error ? swap_fail(mount, error) : 0;
}

/* ---- off ---- */

/* Of what is swapped out, the part that memory has, too; with other swap in use, its share of it. */
static uint64_t cached_share(const struct swap_found *found)
{
	const uint64_t used = swap_meminfo("SwapTotal") - swap_meminfo("SwapFree");
	const uint64_t cached = swap_meminfo("SwapCached");

	if (found->used >= used)
		return min_u64(cached, found->used);
	return cached / KIB * (found->used / KIB) / (used / KIB) * KIB;
}

/* Whether memory and other swap take what is swapped out. */
static int check_space(const struct swap_found *found)
{
	const uint64_t own_free = found->size - min_u64(found->used, found->size);
	const uint64_t swap_free = swap_meminfo("SwapFree");
	const uint64_t needed = found->used - cached_share(found);
	/* What it frees in the daemon comes too late to be counted on. */
	const uint64_t space =
		swap_meminfo("MemAvailable") + swap_free - min_u64(own_free, swap_free);

	if (!found->active || found->used == 0)
		return 0;
	if (found->dead)
		return swap_refuse("the daemon has ended, and %" PRIu64
				   " MiB that were swapped out are lost: restart the machine",
				   found->used / MIB);
	if (needed > space)
		return swap_refuse("%" PRIu64 " MiB are swapped out, there is space for %" PRIu64
				   " MiB: end something first",
				   needed / MIB, space / MIB);
	return 0;
}

/* With the state locked. */
static int put_away(const char *mount, const struct swap_found *found,
		    const struct swap_state *state)
{
	const bool ours = strcmp(state->mount, mount) == 0;
	struct swap_parts parts = {
		.folder = ours && state->folder,
		.mounted = ours && state->mounted && found->mounted,
		.file = !found->dead && found->mounted && (ours || *found->device != '\0'),
		.attached = *found->device != '\0',
		.settings = ours,
		.active = found->active,
	};

	memcpy(parts.device, found->device, sizeof(parts.device));
	return take_down(mount, state, &parts);
}

/* An empty @inout_state->mount afterwards: nothing is to be remembered. */
static int off_locked(const struct swap_args *args, struct swap_state *inout_state)
{
	char mount[SWAP_PATH_MAX];
	struct swap_found found;
	int error = swap_mount(args, inout_state, mount);
	bool ours;

	if (error)
		return error;
	ours = strcmp(inout_state->mount, mount) == 0;
	error = swap_find(mount, &found);
	if (error)
		return swap_fail(mount, error);
	if (!ours && *found.device == '\0') {
		printf("%s: swap is off already\n", mount);
		return 0;
	}
	error = check_space(&found);
	if (!error)
		error = put_away(mount, &found, inout_state);
	if (error)
		return error;
	if (ours)
		*inout_state->mount = '\0';
	printf("%s: swap is off\n", mount);
	return 0;
}

int swap_off(const struct swap_args *args)
{
	struct swap_state state;
	int error, fd;

	if (!swap_calls.is_root())
		return swap_refuse("only root can");
	error = swap_state_open(&fd, &state);
	if (error)
		return fail_busy(error);
	error = off_locked(args, &state);
	swap_state_close(fd, *state.mount == '\0');
	return error;
}

/* ---- on: the steps ---- */

/* What all of them work on. */
struct swap_plan {
	struct swap_args args; /* completed */
	char mount[SWAP_PATH_MAX];
	struct swap_state state;
	struct swap_parts parts;
	uint64_t mem, reserve; /* the mount's: bytes */
	int file; /* the swap file, open from the step that makes it; -1: not yet */
};

static int step_mount(struct swap_plan *plan)
{
	const struct swap_args *args = &plan->args;
	char options[1024];
	const char *const argv[] = { "ztmpfs", "-o", options, plan->mount, NULL };
	int error, len;

	if (plan->state.folder) {
		if (mkdir(plan->mount, 0700) != 0)
			return swap_fail(plan->mount, -errno);
		plan->parts.folder = true;
	}
	if (!plan->state.mounted)
		return 0;
	len = snprintf(options, sizeof(options),
		       "swap,size=%" PRIu64 ",mem_limit=%" PRIu64
		       ",mode=700,noexec,nosuid,nodev%s%s",
		       args->size + SIZE_MORE, args->mem, args->options ? "," : "",
		       args->options ? args->options : "");
	if (len >= (int)sizeof(options))
		return swap_refuse("--options: too long");
	error = swap_calls.run(argv);
	if (error == -ENOENT)
		return swap_refuse("there is no program ztmpfs");
	if (error == -EIO)
		return swap_refuse("%s: cannot be mounted", plan->mount); /* it said why */
	if (error)
		return swap_fail("ztmpfs", error);
	plan->parts.mounted = true;
	return 0;
}

static int step_file(struct swap_plan *plan)
{
	const off_t size = (off_t)(plan->args.size / ZT_PAGE_SIZE * ZT_PAGE_SIZE);
	char path[PATH_MAX];
	int error, fd;

	file_path(path, plan->mount);
	/* Once: below a folder of somebody else's the path may lead elsewhere the next time. */
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return swap_fail(path, -errno);
	plan->file = fd;
	plan->parts.file = true;
	error = swap_calls.mark(fd);
	if (!error && ftruncate(fd, size) != 0)
		error = -errno;
	return error ? swap_fail(path, error) : 0;
}

static int step_attach(struct swap_plan *plan)
{
	char path[PATH_MAX];
	int error;

	file_path(path, plan->mount);
	error = swap_calls.attach(plan->file, path, plan->parts.device);
	if (error == -EOPNOTSUPP)
		return swap_refuse("the loop device does no direct I/O on this kernel");
	if (error == -ENOENT)
		return swap_refuse("there are no loop devices (modprobe loop)");
	if (error)
		return swap_fail("loop device", error);
	plan->parts.attached = true;
	return 0;
}

static int step_settings(struct swap_plan *plan)
{
	int error;

	plan->parts.settings = true;
	error = swap_settings_set(&plan->state);
	return error ? swap_fail("/proc/sys/vm", error) : 0;
}

static int step_swap(struct swap_plan *plan)
{
	const char *const mkswap[] = { "mkswap", plan->parts.device, NULL };
	int error = swap_calls.run(mkswap);

	if (error == -ENOENT)
		return swap_refuse("there is no program mkswap (package util-linux)");
	if (error)
		return swap_refuse("mkswap failed on %s", plan->parts.device);
	error = swap_calls.swap_on(plan->parts.device, plan->args.priority);
	if (error)
		return swap_fail("swapon", error);
	plan->parts.active = true;
	return 0;
}

static int do_steps(struct swap_plan *plan)
{
	static int (*const steps[])(struct swap_plan * plan) = {
		step_mount, step_file, step_attach, step_settings, step_swap,
	};
	int error = 0;

	for (size_t i = 0; i < ARRAY_SIZE(steps) && !error; i++)
		error = steps[i](plan);
	if (plan->file >= 0)
		close(plan->file);
	/* What cannot be undone now is remembered, for `off`. */
	if (error && take_down(plan->mount, &plan->state, &plan->parts) == 0)
		*plan->state.mount = '\0';
	return error;
}

static void report(const struct swap_plan *plan)
{
	const struct swap_args *args = &plan->args;
	const uint64_t pages = args->size / ZT_PAGE_SIZE;
	const uint64_t sure = plan->mem - min_u64(plan->mem, plan->reserve + pages * 16);

	printf("%s: %" PRIu64 " MiB of swap on %s, in at most %" PRIu64 " MiB of memory\n",
	       plan->mount, args->size / MIB, plan->parts.device, plan->mem / MIB);
	printf("%sfile %s of mode 0600, loop device with direct I/O and sectors of 4096 bytes, "
	       "discard%s\n",
	       plan->state.mounted ? "mounted ztmpfs, " : "", SWAP_FILE,
	       args->priority >= 0 ? ", priority as asked for" : "");
	swap_settings_print(stdout, &plan->state);
	if (sure < args->size)
		printf("of data that do not compress it takes %" PRIu64
		       " MiB; all of it when they compress to %" PRIu64 "%%\n",
		       sure / MIB, sure * 100 / args->size);
}

/* ---- on: before the steps ---- */

/* A swap that ended without `off`, or an `on` that was killed. Not when it is what is asked for. */
static int put_leftover_away(struct swap_state *state, const char *mount)
{
	struct swap_found found;
	int error;

	if (*state->mount == '\0')
		return 0;
	error = swap_find(state->mount, &found);
	if (error)
		return swap_fail(state->mount, error);
	if (found.active && strcmp(state->mount, mount) != 0)
		return swap_refuse("it is on at %s already; swap off first", state->mount);
	if (found.active && !found.dead)
		return 0;
	error = check_space(&found);
	if (error)
		return error;
	fprintf(stderr, "ztmpfsctl: swap: what was left of swap at %s is put away\n", state->mount);
	error = put_away(state->mount, &found, state);
	if (!error)
		*state->mount = '\0';
	return error;
}

/* What there is to do; *@out_done: nothing. */
static int make_plan(struct swap_plan *plan, bool *out_done)
{
	const uint64_t ram = swap_meminfo("MemTotal");
	struct swap_args *args = &plan->args;
	struct swap_found found;
	struct stat st;
	int error = swap_find(plan->mount, &found);

	*out_done = false;
	if (error)
		return swap_fail(plan->mount, error);
	*out_done = found.active;
	if (found.active) {
		printf("%s: swap is on already, on %s\n", plan->mount, found.device);
		return 0;
	}
	if (found.dead)
		return swap_refuse("%s: its daemon has ended: unmount it first", plan->mount);
	if (*found.device != '\0')
		return swap_refuse("%s is there without being swapped to; swap off first",
				   found.device);
	args->size = args->size ? args->size : ram;
	plan->state.mounted = !found.mounted;
	plan->state.folder = !found.mounted && stat(plan->mount, &st) != 0 && errno == ENOENT;
	if (found.mounted) {
		plan->mem = found.stat.mem_limit;
		plan->reserve = found.stat.swap_reserve;
		return swap_check_mounted(args, plan->mount, ram, &found.stat);
	}
	args->mem = args->mem ? args->mem : min_u64(ram / 2, SWAP_MEM_MAX);
	plan->mem = args->mem;
	plan->reserve = swap_reserve_of(args->options, ram);
	return swap_check_new(args, ram);
}

/* An empty plan->state.mount afterwards: nothing is to be remembered. */
static int on_locked(struct swap_plan *plan, int fd)
{
	bool done;
	int error = swap_mount(&plan->args, &plan->state, plan->mount);

	if (!error)
		error = put_leftover_away(&plan->state, plan->mount);
	if (!error)
		error = make_plan(plan, &done);
	if (error || done)
		return error;
	swap_settings_get(&plan->state);
	strcpy(plan->state.mount, plan->mount);
	error = swap_state_write(fd, &plan->state);
	if (!error)
		return do_steps(plan);
	*plan->state.mount = '\0';
	return swap_fail(SWAP_STATE, error);
}

int swap_on(const struct swap_args *args)
{
	struct swap_plan plan = { .args = *args, .file = -1 };
	sigset_t all, old;
	int error, fd;

	if (!swap_calls.is_root())
		return swap_refuse("only root can");
	error = swap_state_open(&fd, &plan.state);
	if (error)
		return fail_busy(error);
	/* To the end, or back to the beginning. These fail only for signals that do not exist. */
	sigfillset(&all);
	(void)sigprocmask(SIG_SETMASK, &all, &old);
	error = on_locked(&plan, fd);
	(void)sigprocmask(SIG_SETMASK, &old, NULL);
	swap_state_close(fd, *plan.state.mount == '\0');
	if (!error && plan.parts.active)
		report(&plan);
	return error;
}
