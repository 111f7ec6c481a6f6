/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * options.h - the command line of ztmpfs and mount.ztmpfs.
 *
 * Every mount option is one line of one table: parsing and --help read it, and so do the tests
 * of the manual page. What is parsed acts; words that only mount(8) and fstab(5) need are a list of
 * their own.
 */
#ifndef ZT_DAEMON_OPTIONS_H
#define ZT_DAEMON_OPTIONS_H

#include <limits.h>
#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "fs/super.h"
#include "fuse/fuse_ops.h"
#include "fuse/transport.h"
#include "util/compiler.h"
#include "zcomp/device.h"

/* What defaults and percentages depend on. */
struct options_env {
	uint64_t ram; /* bytes that the daemon may use: RAM, or a cgroup's limit */
	unsigned nr_cpus;
	cpu_set_t cpus; /* that may be used; none: it is not known */
	uid_t uid;
	gid_t gid;
	bool root; /* may mount without help */
	bool selinux; /* the kernel takes labels */
	bool manager; /* a service manager has started it, and listens */
};

/* One line for a person about what is wrong. */
struct options_error {
	char text[1024];
};

/* Put a sentence there; what does not fit is cut. */
#define ERR_PRINTF(error, ...) (void)snprintf((error)->text, sizeof((error)->text), __VA_ARGS__)

/* The flags of mount(2) that can be asked for both ways. */
enum mount_flag {
	MOUNT_RO,
	MOUNT_SUID,
	MOUNT_DEV,
	MOUNT_EXEC,
	MOUNT_SYNC,
	MOUNT_DIRSYNC,
	MOUNT_ATIME,
	/* Those that libfuse does not know: remount.h. */
	MOUNT_DIRATIME,
	MOUNT_SYMFOLLOW,
	MOUNT_NR_FLAGS
};

/* What becomes of a system call that a daemon is not to make; sandbox.h. */
enum option_seccomp { OPTION_SECCOMP_OFF, OPTION_SECCOMP_AUTO, OPTION_SECCOMP_KILL };

/* Whether a mount is to outlive its daemon; survive.h. */
enum option_survive { OPTION_SURVIVE_OFF, OPTION_SURVIVE_ON, OPTION_SURVIVE_AUTO };

/* Of options.oom: the score that the caller has. */
#define OPTION_OOM_KEEP INT_MIN

/* Labels of SELinux, which the kernel reads. */
enum option_context {
	CONTEXT_ALL,
	CONTEXT_FS,
	CONTEXT_DEFAULT,
	CONTEXT_ROOT,
	CONTEXT_NR
};

/* Bytes of an algorithm's name. */
#define OPTION_ALGORITHM_MAX 32

/*
 * A parsed command line. Strings belong to it, but for super.content.comp.name and super.content.recompress, which
 * point into it.
 */
struct options {
	bool help, version; /* print and end; the rest is not checked */
	bool helper; /* called as mount.ztmpfs */
	bool foreground, debug;
	bool fake, verbose, sloppy; /* helper: -f, -v, -s */
	char *namespace; /* helper: -N, a file of a mount namespace, or NULL */
	char *source; /* or NULL */
	char *mountpoint;

	struct super_params super;
	char *compress_name;
	char recompress_name[OPTION_ALGORITHM_MAX];
	char *dict_path; /* or NULL */
	char *image_path; /* or NULL; image.h */
	bool save_at_end; /* to image_path */
	char *spill_path; /* or NULL; spillfile.h */
	uint64_t spill_size; /* bytes; 0: as much as there is */
	bool spill_encrypt; /* what is there; spillkey.h */
	char *rescue_path; /* or NULL; rescue.h */
	enum ztfuse_cache cache;
	bool xattr; /* without, super.acl means nothing */
	bool clone_fd;
	bool cpu_latency; /* ask for fast wake-ups while it pays; latency.h */
	int oom; /* score for the OOM killer, or OPTION_OOM_KEEP */
	bool oom_said; /* by an option */
	enum option_seccomp seccomp;
	bool dumpable; /* others of its user may look into the daemon */
	bool mem_limit_said; /* by an option; else super.mem_limit follows from allow_other */
	bool dedup_said; /* by an option; else super.content.dedup follows from allow_other */
	bool dicts_said; /* the same for super.content.dicts */
	enum channel_uring uring;
	unsigned max_threads;
	cpu_set_t cpus; /* where threads that serve run; means nothing without cpus_said */
	bool cpus_said; /* by an option */

	bool managed; /* options_env.manager */
	enum option_survive survive_when; /* as it was asked for, */
	bool survive_said; /* by an option */
	bool survive; /* what follows from it: the mount outlives the daemon's death, where the kernel can */
	bool swap; /* fit to carry swap; swapmode.h */
	bool recompress_asked; /* recompress= was given */
	bool compress_said, cluster_said; /* by an option; else as the device wants them */
	const struct zcomp_device *device; /* that accel= names, or NULL */

	bool allow_other;
	char *fsname; /* never NULL after parsing */
	char *subtype; /* "": none */
	int8_t mount_flags[MOUNT_NR_FLAGS]; /* 1 on, 0 off, -1 as the mount comes */
	char *contexts[CONTEXT_NR]; /* with their quotes, or NULL */
	bool noswap; /* lock the arena */
	bool compress_none; /* compress=none: nothing is compressed later either, unless asked */
	bool remount; /* change a mount that is there: remount.h */
	bool size_said, nr_inodes_said; /* a remount compares these with the mount */
	char *notes; /* lines for the log, each with a newline; NULL: none */
};

/** options_env_get() - of this machine and this process */
void options_env_get(struct options_env *out_env);

/**
 * options_parse() - read a command line
 * @out_options: filled on success; free it with options_free()
 * @out_error: on error only, one line without a newline and without the program's name
 *
 * Context: one thread (getopt has global state).
 * Return:  0, -EINVAL, -ENOMEM.
 */
int options_parse(int argc, char *const argv[], const struct options_env *env,
		  struct options *out_options, struct options_error *out_error) ZT_MUST_CHECK;

void options_free(struct options *options);

/**
 * options_mount_opts() - what libfuse needs to mount: names, allow_other and flags
 * Return: 0 or -ENOMEM; *out_text is freed by zt_free().
 */
int options_mount_opts(const struct options *options, char **out_text) ZT_MUST_CHECK;

/**
 * options_source_looks_like() - the option that a source seems to be: an -o was forgotten
 * Return: its name, or NULL.
 */
const char *options_source_looks_like(const struct options *options);

/** options_help() - print the usage and the table */
void options_help(FILE *out, const struct options_env *env);

#endif
