/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * swap.h - what the files of ztmpfsctl swap share.
 *
 *     swap.c         command line, status
 *     swap_steps.c   on and off: the steps, their order, and the way back
 *     swap_size.c    whether the machine is large enough
 *     swap_state.c   what is remembered while swap is on, and the kernel's settings
 *     swap_system.c  what the system has now, and the calls that change it
 *
 * Steps are calls through one table, and files of the system have one prefix, so that tests see
 * each step fail without being root. One swap of this kind is enough for a machine, so there is one
 * state, in /run.
 */
#ifndef ZT_CTL_SWAP_H
#define ZT_CTL_SWAP_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "util/compiler.h"
#include "ztmpfs/control.h"

#define SWAP_MOUNT_DEFAULT "/run/ztmpfs-swap"
#define SWAP_STATE         "/run/ztmpfs-swap.state"
#define SWAP_FILE          "swap"
#define SWAP_PATH_MAX      256u
#define SWAP_DEVICE_MAX    32u

/* The command line. */
struct swap_args {
	const char *mount; /* NULL: none was given */
	uint64_t size, mem; /* bytes; 0: none was given */
	int priority; /* -1: the kernel's choice */
	const char *options; /* more mount options, or NULL */
	bool json;
};

/* ---- swap_system.c ---- */

/* What changes the system; each returns 0 or -errno. Tests put their own in. */
struct swap_calls {
	/* Whether the caller may: root. */
	bool (*is_root)(void);
	/* The counters of the mount at @path; -ENOTTY, -ENOENT, -ENOTCONN as ctl_get_stat(). */
	int (*get_stat)(const char *path, struct ztmpfs_stat *out_stat);
	/* Run a program, quietly, and wait; -ENOENT: there is none; -EIO: it said why it failed. */
	int (*run)(const char *const argv[]);
	/* Clusters of 4 KiB, the mount's algorithm, for the empty file @fd. */
	int (*mark)(int fd);
	/*
	 * A loop device of 4096-byte sectors on the file @fd that does direct I/O; @name is what it
	 * is told to be called. -EOPNOTSUPP: the kernel gives none (nothing is attached then).
	 */
	int (*attach)(int fd, const char *name, char out_device[SWAP_DEVICE_MAX]);
	int (*detach)(const char *device);
	int (*swap_on)(const char *device, int priority); /* with discard */
	int (*swap_off)(const char *device);
	int (*unmount)(const char *mount);
};
extern struct swap_calls swap_calls;

/* In front of /proc, /run and /sys; tests set it. */
extern const char *swap_root;

/* swap_system_path() - @path behind swap_root */
void swap_system_path(char out[PATH_MAX], const char *path);

/* swap_read_line() - the first line of a small file, without its end; false when there is none */
bool swap_read_line(const char *path, char *line, size_t space);

/* swap_write() - @text into a small file that is there. Return: 0 or -errno. */
int swap_write(const char *path, const char *text);

/* What the system has of a mount's swap. */
struct swap_found {
	bool mounted; /* a ztmpfs is there, */
	bool dead; /* and its daemon has ended */
	struct ztmpfs_stat stat; /* while it is mounted and not dead */
	char device[SWAP_DEVICE_MAX]; /* "/dev/loop3" on the swap file; "": none */
	bool active; /* in /proc/swaps */
	uint64_t size, used; /* bytes, while it is active */
	int priority; /* the same */
};

/** swap_find() - look. Return: 0 or -errno when the mount, /sys or /proc cannot be read. */
int swap_find(const char *mount, struct swap_found *out_found) ZT_MUST_CHECK;

/** swap_meminfo() - a line of /proc/meminfo in bytes; 0 when it is not there */
uint64_t swap_meminfo(const char *name);

/* ---- swap_state.c ---- */

/* Of /proc/sys/vm. */
#define SWAP_NR_SETTINGS 2u

/* What is remembered while swap is on. */
struct swap_state {
	char mount[SWAP_PATH_MAX]; /* "": swap is off */
	bool mounted, folder; /* made by `on`, so that `off` removes them */
	long old[SWAP_NR_SETTINGS]; /* settings as they were; -1: not of this kernel */
};

/**
 * swap_state_open() - the state, locked against another ztmpfsctl swap
 * Return: 0; -errno: -EWOULDBLOCK when another one is at work.
 */
int swap_state_open(int *out_fd, struct swap_state *out_state) ZT_MUST_CHECK;

/** swap_state_look() - the state as it is, without a lock; empty when it cannot be read */
void swap_state_look(struct swap_state *out_state);

/** swap_state_write() - Return: 0 or -errno. */
int swap_state_write(int fd, const struct swap_state *state) ZT_MUST_CHECK;

/** swap_state_close() - unlock; @forget: and remove it */
void swap_state_close(int fd, bool forget);

/** swap_settings_get() - the kernel's settings, to be remembered */
void swap_settings_get(struct swap_state *inout_state);

/**
 * swap_settings_set() - what swapping through a daemon needs
 * page-cluster 0: swap is read page by page. watermark_boost_factor 0: see ztmpfs-swap(8).
 * Return: 0; -errno, and some may be set.
 */
int swap_settings_set(const struct swap_state *state) ZT_MUST_CHECK;

/** swap_settings_restore() - set back those that are still as they were set */
void swap_settings_restore(const struct swap_state *state);

/** swap_settings_print() - as a line */
void swap_settings_print(FILE *out, const struct swap_state *state);

/* ---- swap_size.c ---- */

/* Bytes of mem_limit= that -o swap takes at most (ztmpfs(8)). */
#define SWAP_MEM_MAX (24 * GIB)

/** swap_reserve_of() - the last swap_reserve= of @options, or what the daemon takes without one */
uint64_t swap_reserve_of(const char *options, uint64_t ram);

/** swap_check_new() - before a mount is made. @args: completed. Return: 0; -EPERM after a sentence. */
int swap_check_new(const struct swap_args *args, uint64_t ram) ZT_MUST_CHECK;

/** swap_check_mounted() - the same for one that is there already, and has its own limits */
int swap_check_mounted(const struct swap_args *args, const char *mount, uint64_t ram,
		       const struct ztmpfs_stat *stat) ZT_MUST_CHECK;

/* ---- swap_steps.c ---- */

/** swap_on() - Return: 0; -errno after a sentence on the error output, and nothing is changed. */
int swap_on(const struct swap_args *args) ZT_MUST_CHECK;

/** swap_off() - Return: as above, but what was done before the failure stays done. */
int swap_off(const struct swap_args *args) ZT_MUST_CHECK;

/** swap_mount() - of the command line, of the state, or the default. Return: 0 or -errno. */
int swap_mount(const struct swap_args *args, const struct swap_state *state,
	       char out_mount[SWAP_PATH_MAX]) ZT_MUST_CHECK;

/** swap_fail() - "ztmpfsctl: swap: WHAT: why" on the error output. Return: @error. */
int swap_fail(const char *what, int error);

/** swap_refuse() - the same with a sentence. Return: -EPERM. */
int swap_refuse(const char *format, ...) ZT_PRINTF(1, 2);

#endif
