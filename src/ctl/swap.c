// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * swap.c - ztmpfsctl swap: compressed swap on a loop device over a file of a ztmpfs.
 *
 * on: mount, file, loop device, swap area, swapon, settings; what was done is undone when a later
 * step fails. off: the contrary order, and not at all while memory could not take back what is
 * swapped out.
 */
#include "ctl/swap.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <time.h>
#include <unistd.h>

#include "ctl/ctl.h"
#include "util/sizes.h"

/* What the machine keeps for itself besides compressed pages: at least a fifth of RAM. */
#define MEM_SHARE_MAX_PCT 80
/* The daemon with its libraries and buffers. */
#define DAEMON_BYTES (16 * MIB)

/* 50 ms each. */
#define UNMOUNT_TRIES 100

struct swap_args {
	const char *mount;
	uint64_t size, mem; /* bytes; 0: by the machine */
	int priority; /* -1: the kernel's choice */
	const char *options; /* more mount options, or NULL */
};

/* What `on` has done, to be undone. */
struct swap_done {
	bool folder, mounted, file, state, attached, active;
	char device[32];
};

static int fail(const char *what, int error)
{
	fprintf(stderr, "ztmpfsctl: swap: %s: %s\n", what, strerror(-error));
	return error;
}

static int refuse(const char *text)
{
	fprintf(stderr, "ztmpfsctl: swap: %s\n", text);
	return -EPERM;
}

/* ---- off, and undoing ---- */

static void remove_file(const char *mount, const char *name)
{
	char path[SWAP_PATH_MAX + 32];

	swap_path(path, mount, name);
	if (unlink(path) != 0 && errno != ENOENT)
		(void)fail(path, -errno);
}

/* Somebody who looks at every block device (udev) may still have the loop device open. */
static int unmount(const char *mount)
{
	const struct timespec pause = { .tv_nsec = 50000000L };

	for (int i = 0; i < UNMOUNT_TRIES; i++) {
		if (umount2(mount, 0) == 0)
			return 0;
		if (errno != EBUSY)
			break;
		(void)nanosleep(&pause, NULL);
	}
	return -errno;
}

static void undo(const struct swap_args *args, const struct swap_done *done)
{
	char path[SWAP_PATH_MAX + 32];
	bool mounted, folder;

	swap_path(path, args->mount, SWAP_STATE);
	if (done->active && swapoff(done->device) != 0) {
		(void)fail("swapoff", -errno);
		return; /* what is below is in use */
	}
	if (done->state)
		swap_untune(path, &mounted, &folder);
	if (done->attached && swap_detach(done->device) != 0)
		(void)fail(done->device, -errno);
	if (done->state)
		remove_file(args->mount, SWAP_STATE);
	if (done->file)
		remove_file(args->mount, SWAP_FILE);
	if (done->mounted && unmount(args->mount) != 0)
		(void)fail(args->mount, -errno);
	if (done->folder)
		(void)rmdir(args->mount); /* it is empty; if it is not, it is not ours */
}

static int swap_off(const struct swap_args *args)
{
	struct swap_done done = { .file = true, .state = true };
	char state[SWAP_PATH_MAX + 32];
	struct swap_found found;
	uint64_t room;
	int error = swap_find(args->mount, &found);

	if (error)
		return fail(args->mount, error);
	if (!found.mounted) {
		printf("%s: no ztmpfs, nothing to do\n", args->mount);
		return 0;
	}
	/* Memory, and other swap. What it frees in the daemon comes too late to be counted on. */
	room = swap_meminfo("MemAvailable") + swap_meminfo("SwapFree") - (found.size - found.used);
	if (found.active && found.used > room) {
		fprintf(stderr,
			"ztmpfsctl: swap: %" PRIu64
			" MiB are swapped out, there is room for %" PRIu64
			" MiB: end something first\n",
			found.used / MIB, room / MIB);
		return -EBUSY;
	}
	if (found.active && swapoff(found.device) != 0)
		return fail("swapoff", -errno);
	swap_path(state, args->mount, SWAP_STATE);
	swap_untune(state, &done.mounted, &done.folder);
	done.state = false;
	if (*found.device != '\0') {
		error = swap_detach(found.device);
		if (error)
			return fail(found.device, error);
	}
	remove_file(args->mount, SWAP_STATE);
	undo(args, &done);
	printf("%s: swap is off\n", args->mount);
	return 0;
}

/* ---- on ---- */

static int check_machine(const struct swap_args *args)
{
	uint64_t ram = swap_meminfo("MemTotal"), available = swap_meminfo("MemAvailable");

	if (geteuid() != 0)
		return refuse("only root can");
	if (args->mem > ram / 100 * MEM_SHARE_MAX_PCT) {
		fprintf(stderr,
			"ztmpfsctl: swap: --mem %" PRIu64 " MiB: at most %u%% of RAM (%" PRIu64
			" MiB), or nothing is left to run in\n",
			args->mem / MIB, MEM_SHARE_MAX_PCT, ram / 100 * MEM_SHARE_MAX_PCT / MIB);
		return -EINVAL;
	}
	if (available < DAEMON_BYTES + 8 * MIB)
		return refuse("too little memory is free to begin with");
	return 0;
}

/* A ztmpfs in swap mode at the mount point. */
static int mount_it(const struct swap_args *args, struct swap_done *done)
{
	char options[1024];
	const char *const argv[] = { "ztmpfs", "-o", options, args->mount, NULL };
	struct ztmpfs_stat stat;
	int error = ctl_get_stat(args->mount, &stat);

	if (error == -ENOENT) {
		if (mkdir(args->mount, 0700) != 0)
			return fail(args->mount, -errno);
		done->folder = true;
		error = -ENOTTY;
	}
	if (!error && stat.swap_reserve == 0)
		return refuse("a ztmpfs without -o swap is mounted there");
	if (!error)
		return 0;
	if (error != -ENOTTY)
		return fail(args->mount, error);
	(void)snprintf(options, sizeof(options),
		       "swap,size=%" PRIu64 ",mem_limit=%" PRIu64
		       ",mode=700,noexec,nosuid,nodev%s%s",
		       args->size + 4 * MIB, args->mem, args->options ? "," : "",
		       args->options ? args->options : "");
	error = swap_run(argv);
	if (error)
		return fail("ztmpfs", error);
	done->mounted = true;
	return 0;
}

static int make_file(const struct swap_args *args, struct swap_done *done)
{
	char path[SWAP_PATH_MAX + 32];
	int error = 0, fd;

	swap_path(path, args->mount, SWAP_FILE);
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return fail(path, -errno);
	done->file = true;
	if (ftruncate(fd, (off_t)(args->size / ZT_PAGE_SIZE * ZT_PAGE_SIZE)) != 0)
		error = fail(path, -errno);
	close(fd);
	if (error)
		return error;
	error = swap_attach(path, done->device);
	if (error == -EOPNOTSUPP)
		return refuse("the loop device cannot do direct I/O on this kernel");
	if (error)
		return fail("loop device", error);
	done->attached = true;
	return 0;
}

static int set_state(const struct swap_args *args, struct swap_done *done)
{
	char path[SWAP_PATH_MAX + 32];
	int fd, error;

	swap_path(path, args->mount, SWAP_STATE);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return fail(path, -errno);
	done->state = true;
	error = swap_tune(fd, done->mounted, done->folder);
	close(fd);
	return error ? fail("/proc/sys/vm", error) : 0;
}

static int start(const struct swap_args *args, struct swap_done *done)
{
	const char *const mkswap[] = { "mkswap", done->device, NULL };
	int flags = SWAP_FLAG_DISCARD;

	if (args->priority >= 0)
		flags |= SWAP_FLAG_PREFER | (args->priority & SWAP_FLAG_PRIO_MASK);
	if (swap_run(mkswap) != 0)
		return refuse("mkswap failed");
	if (swapon(done->device, flags) != 0)
		return fail("swapon", -errno);
	done->active = true;
	return 0;
}

static int swap_on(struct swap_args *args)
{
	struct swap_done done = { 0 };
	struct swap_found found;
	uint64_t ram = swap_meminfo("MemTotal");
	int error = swap_find(args->mount, &found);

	if (error)
		return fail(args->mount, error);
	if (found.active) {
		printf("%s: swap is on already, on %s\n", args->mount, found.device);
		return 0;
	}
	if (*found.device != '\0')
		return refuse("its loop device is there without being swapped to; swap off first");
	args->size = args->size ? args->size : ram;
	args->mem = args->mem ? args->mem : ram / 2;
	error = check_machine(args);
	if (!error)
		error = mount_it(args, &done);
	if (!error)
		error = make_file(args, &done);
	if (!error)
		error = set_state(args, &done);
	if (!error)
		error = start(args, &done);
	if (error) {
		undo(args, &done);
		return error;
	}
	printf("%s: %" PRIu64 " MiB of swap on %s, in at most %" PRIu64 " MiB of memory\n"
	       "vm.page-cluster and vm.watermark_boost_factor are 0 while it is on\n",
	       args->mount, args->size / MIB, done.device, args->mem / MIB);
	if (args->size > args->mem)
		printf("full before its size is used when data compress less than %.1f : 1\n",
		       (double)args->size / (double)args->mem);
	return 0;
}

/* ---- status, and the command line ---- */

static int swap_status(const struct swap_args *args)
{
	static const char *const levels[] = { "ok", "warning", "critical", "full" };
	struct swap_found found;
	struct ztmpfs_stat stat;
	int error = swap_find(args->mount, &found);

	if (error)
		return fail(args->mount, error);
	if (!found.active) {
		printf("%s: swap is off\n", args->mount);
		return -ENOENT;
	}
	error = ctl_get_stat(args->mount, &stat);
	if (error)
		return fail(args->mount, error);
	printf("%s: swap is on, on %s\n"
	       "swapped out  %8" PRIu64 " of %" PRIu64 " MiB\n"
	       "memory       %8" PRIu64 " of %" PRIu64 " MiB, %s\n"
	       "reserve      %8" PRIu64 " of %" PRIu64 " MiB ready, waited for %" PRIu64
	       " times, in vain %" PRIu64 "\n",
	       args->mount, found.device, found.used / MIB, found.size / MIB,
	       (stat.mem_used_total - min_u64(stat.swap_ready, stat.mem_used_total)) / MIB,
	       stat.mem_limit / MIB, levels[stat.mem_level % ARRAY_SIZE(levels)],
	       stat.swap_ready / MIB, stat.swap_reserve / MIB, stat.swap_waits, stat.swap_timeouts);
	return 0;
}

static bool parse_args(int argc, char *argv[], struct swap_args *args)
{
	int i = 2;

	for (; i + 1 < argc && argv[i][0] == '-'; i += 2) {
		const char *value = argv[i + 1];
		char *end;

		if (strcmp(argv[i], "--size") == 0 || strcmp(argv[i], "--mem") == 0) {
			uint64_t *out = argv[i][2] == 's' ? &args->size : &args->mem;

			if (size_parse(value, swap_meminfo("MemTotal"), out) != 0 || *out < MIB)
				return false;
		} else if (strcmp(argv[i], "--priority") == 0) {
			long number = strtol(value, &end, 10);

			if (*value == '\0' || *end != '\0' || number < 0 || number > 32767)
				return false;
			args->priority = (int)number;
		} else if (strcmp(argv[i], "--options") == 0) {
			args->options = value;
		} else {
			return false;
		}
	}
	if (i < argc)
		args->mount = argv[i++];
	return i == argc && args->mount[0] == '/' && strlen(args->mount) < SWAP_PATH_MAX;
}

static int run(int argc, char *argv[])
{
	struct swap_args args = { .mount = SWAP_MOUNT_DEFAULT, .priority = -1 };
	int error;

	if (argc < 2 || !parse_args(argc, argv, &args))
		return ctl_usage(&ctl_swap);
	if (strcmp(argv[1], "on") == 0)
		error = swap_on(&args);
	else if (strcmp(argv[1], "off") == 0)
		error = swap_off(&args);
	else if (strcmp(argv[1], "status") == 0)
		error = swap_status(&args);
	else
		return ctl_usage(&ctl_swap);
	return error ? CTL_EXIT_FAILED : 0;
}

const struct ctl_command ctl_swap = {
	.name = "swap",
	.synopsis = "on|off|status [--size SIZE] [--mem SIZE] [--priority N] [--options LIST] "
		    "[MOUNTPOINT]",
	.help = "Swap to a file of a ztmpfs, so that memory holds more; see ztmpfs-swap(8).",
	.run = run,
};
