// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * clone.c - ztmpfsctl clone: a copy of a file or a tree within a mount, made by the daemon.
 *
 * The copy is made in a new directory beside its place, whose name nobody knows, and gets its place by
 * one rename. So the kernel checks, when the directory is made and when the copy is moved, whether the
 * caller may write there.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <getopt.h>
#include <inttypes.h>
#include <libgen.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl/ctl.h"
#include "ctl/progress.h"
#include "ctl/signals.h"
#include "util/alloc.h"

#define NAME_BYTES ZTMPFS_CLONE_NAME
#define NR_NAMES   100

struct clone_job {
	const char *from_path, *to_path; /* as they were given */
	char to_name[NAME_BYTES]; /* of the copy */
	char temp_name[NAME_BYTES];
	int to_fd; /* the directory that the copy shall be in */
	int temp_fd; /* the new one in it */
	struct ztmpfs_clone args;
};

static int refused(const char *path, int error)
{
	switch (error) {
	case -EACCES:
		return ctl_failed(path, "something in it may not be read");
	case -EINVAL:
		return ctl_failed(path, "the copy would be part of it (--snapshot leaves out the "
					"directory that it is put into)");
	case -EOPNOTSUPP:
		return ctl_failed(path, "not on a mount that carries swap");
	default:
		return ctl_fail(path, error);
	}
}

/* The last name of a path, without slashes behind it. Return: false: it is too long. */
static bool last_name(const char *path, char out[NAME_BYTES])
{
	char *copy = strdup(path);
	const int len = copy ? snprintf(out, NAME_BYTES, "%s", basename(copy)) : -1;

	free(copy);
	return len > 0 && len < (int)NAME_BYTES;
}

/* A directory is named by its number alone, anything else by its directory's and its name. */
static int find_source(struct clone_job *job, struct stat *out_st)
{
	struct stat st;
	char *copy;
	int res;

	if (lstat(job->from_path, out_st) != 0)
		return ctl_fail(job->from_path, -errno);
	job->args.from = out_st->st_ino;
	if (S_ISDIR(out_st->st_mode))
		return 0;
	copy = strdup(job->from_path);
	res = copy ? stat(dirname(copy), &st) : -1;
	free(copy);
	if (res != 0)
		return ctl_fail(job->from_path, -errno);
	if (!last_name(job->from_path, job->args.from_name))
		return ctl_fail(job->from_path, -ENAMETOOLONG);
	job->args.from = st.st_ino;
	return 0;
}

/* As cp(1): in a directory that is there, or beside nothing of its name. */
static int find_place(struct clone_job *job, const struct stat *from)
{
	char *real = realpath(job->from_path, NULL), *copy = NULL;
	struct stat st;
	bool named;

	if (stat(job->to_path, &st) == 0 && S_ISDIR(st.st_mode)) {
		job->to_fd = open(job->to_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		named = last_name(real && S_ISDIR(from->st_mode) ? real : job->from_path,
				  job->to_name);
	} else {
		copy = strdup(job->to_path);
		job->to_fd = copy ? open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
		named = last_name(job->to_path, job->to_name);
	}
	free(real);
	free(copy);
	if (job->to_fd < 0)
		return ctl_fail(job->to_path, -errno);
	if (!named)
		return ctl_fail(job->to_path, -ENAMETOOLONG);
	if (fstat(job->to_fd, &st) != 0 || st.st_dev != from->st_dev)
		return ctl_failed(job->to_path, "not on the same mount");
	if (fstatat(job->to_fd, job->to_name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return ctl_fail(job->to_path, -EEXIST);
	return 0;
}

static int make_temp(struct clone_job *job)
{
	int res = -1;

	for (unsigned i = 0; i < NR_NAMES && res != 0; i++) {
		uint64_t number;

		if (getrandom(&number, sizeof(number), 0) != sizeof(number))
			return ctl_fail(job->to_path, -errno);
		(void)snprintf(job->temp_name, sizeof(job->temp_name), ".%.200s.clone-%016" PRIx64,
			       job->to_name, number);
		res = mkdirat(job->to_fd, job->temp_name, 0700);
		if (res != 0 && errno != EEXIST)
			break;
	}
	if (res != 0)
		return ctl_fail(job->to_path, -errno);
	job->temp_fd = openat(job->to_fd, job->temp_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return job->temp_fd < 0 ? ctl_fail(job->to_path, -errno) : 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

/* Whatever is left of it: nothing, or the copy that did not get its place. */
static void remove_temp(struct clone_job *job)
{
	char path[64 + NAME_BYTES];

	if (*job->temp_name == '\0')
		return;
	if (job->temp_fd >= 0) {
		(void)snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", job->temp_fd,
			       job->to_name);
		if (faccessat(job->temp_fd, job->to_name, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
			(void)nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
		close(job->temp_fd);
	}
	if (unlinkat(job->to_fd, job->temp_name, AT_REMOVEDIR) != 0)
		fprintf(stderr, "ztmpfsctl: %s: %s is left: %s\n", job->to_path, job->temp_name,
			strerror(errno));
}

/* They would have forbidden the rename. */
static void copy_flags(struct clone_job *job, mode_t mode)
{
	int from, to, flags = 0;

	if (!S_ISDIR(mode) && !S_ISREG(mode))
		return;
	from = open(job->from_path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	to = openat(job->to_fd, job->to_name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (from >= 0 && to >= 0 && ioctl(from, FS_IOC_GETFLAGS, &flags) == 0 &&
	    flags & (FS_IMMUTABLE_FL | FS_APPEND_FL) && geteuid() == 0 &&
	    ioctl(to, FS_IOC_SETFLAGS, &flags) != 0)
		fprintf(stderr, "ztmpfsctl: %s: its flags are not copied: %s\n", job->to_path,
			strerror(errno));
	if (from >= 0)
		close(from);
	if (to >= 0)
		close(to);
}

static void clone_text(void *job, char out[PROGRESS_TEXT])
{
	struct ztmpfs_stat stat;

	/* Counters are not for everybody. */
	if (ctl_get_stat(((const struct clone_job *)job)->from_path, &stat) == 0)
		snprintf(out, PROGRESS_TEXT, "%" PRIu64 " inodes in the mount", stat.inodes_used);
}

static int make_clone(struct clone_job *job)
{
	struct stat st;
	int failed = find_source(job, &st), error;
	char path[64];

	if (!failed)
		failed = find_place(job, &st);
	/* What only the kernel has is not part of it. */
	if (!failed && syncfs(job->to_fd) != 0)
		failed = ctl_fail(job->to_path, -errno);
	if (!failed)
		failed = make_temp(job);
	if (failed)
		return failed;
	(void)snprintf(job->args.to_name, sizeof(job->args.to_name), "%s", job->to_name);
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", job->temp_fd);
	error = ctl_ask(path, ZTMPFS_IOC_CLONE, &job->args);
	if (error)
		return refused(job->from_path, error);
	if (signals_noted())
		return CTL_EXIT_FAILED;
	if (renameat2(job->temp_fd, job->to_name, job->to_fd, job->to_name, RENAME_NOREPLACE) != 0)
		return ctl_fail(job->to_path, -errno);
	copy_flags(job, st.st_mode);
	return 0;
}

static int run_clone(int argc, char *argv[])
{
	struct clone_job job = { .to_fd = -1, .temp_fd = -1 };
	const struct progress progress = { .what = "copying", .text = clone_text, .arg = &job };
	int letter = ctl_switch(&ctl_clone, argc, argv, true), failed;

	for (; letter != CTL_SWITCH_END; letter = ctl_switch(&ctl_clone, argc, argv, false))
		job.args.flags |= ZTMPFS_CLONE_SNAPSHOT;
	if (argc != optind + 2)
		return ctl_usage(&ctl_clone);
	job.from_path = argv[optind];
	job.to_path = argv[optind + 1];
	signals_catch(false); /* the call ends early then, and what was made is removed */
	progress_begin(&progress);
	failed = make_clone(&job);
	remove_temp(&job);
	progress_end();
	if (job.to_fd >= 0)
		close(job.to_fd);
	if (signals_noted() && failed)
		fprintf(stderr, "ztmpfsctl: %s: nothing was copied\n", job.to_path);
	signals_pass_on();
	return failed;
}

static const struct ctl_switch switches[] = {
	{ 's', false, "snapshot", NULL, "leave out the directory that the copy is put into", NULL,
	  NULL },
	{ 0 },
};

const struct ctl_command ctl_clone = {
	.name = "clone",
	.operands = "SOURCE DEST",
	.help = "Make a copy of a file or a tree of the same mount at once, contents shared.",
	.switches = switches,
	.takes = CTL_PATHS,
	.run = run_clone,
};
