// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * ask.c - the way to a mount: its control requests, and what to say of their errors.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "ctl/ctl.h"
#include "ctl/progress.h"
#include "util/mountinfo.h"

/* Tests build a ztmpfsctl of another version out of this file. */
#ifndef CTL_VERSION
#define CTL_VERSION ZTMPFS_STAT_VERSION
#define CTL_RELEASE PACKAGE_VERSION
#endif

/* Another driver may take the number for its own. */
static bool is_info(const struct ztmpfs_info *info)
{
	return info->struct_size == sizeof(*info) && info->version != 0 && info->release[0] != '\0';
}

static int info_of(int fd, struct ztmpfs_info *out_info)
{
	struct ztmpfs_info info;

	memset(&info, 0, sizeof(info));
	if (ioctl(fd, ZTMPFS_IOC_INFO, &info) != 0)
		return -errno;
	if (!is_info(&info))
		return -ENOTTY;
	info.release[sizeof(info.release) - 1] = '\0';
	info.options[sizeof(info.options) - 1] = '\0';
	*out_info = info;
	return 0;
}

/* What is not known there: because it is no ztmpfs, or because that is of another version or build. */
static int ask(int fd, unsigned long cmd, void *arg)
{
	struct ztmpfs_info info;
	int error;

	if (cmd == ZTMPFS_IOC_INFO)
		return info_of(fd, arg);
	if (ioctl(fd, cmd, arg) == 0)
		return 0;
	error = -errno;
	if (error == -ENOTTY && info_of(fd, &info) == 0)
		error = -EPROTO;
	return error;
}

/* A fifo must not be waited for. */
static int open_to_ask(const char *path)
{
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

int ctl_ioctl(const char *path, unsigned long cmd, void *arg)
{
	int fd = open_to_ask(path), error;

	if (fd < 0)
		return fd;
	error = ask(fd, cmd, arg);
	close(fd);
	return error;
}

int ctl_ask_fd(int fd, unsigned long cmd, void *arg)
{
	uint32_t version = CTL_VERSION;
	struct ztmpfs_info info;
	int error;

	memcpy(arg, &version, sizeof(version));
	error = ask(fd, cmd, arg);
	memcpy(&version, arg, sizeof(version));
	if (error || version == CTL_VERSION)
		return error;
	return info_of(fd, &info) == 0 ? -EPROTO : -ENOTTY;
}

int ctl_ask(const char *path, unsigned long cmd, void *arg)
{
	int fd = open_to_ask(path), error;

	if (fd < 0)
		return fd;
	error = ctl_ask_fd(fd, cmd, arg);
	close(fd);
	return error;
}

int ctl_get_info(const char *path, struct ztmpfs_info *out_info)
{
	return ctl_ioctl(path, ZTMPFS_IOC_INFO, out_info);
}

int ctl_get_stat(const char *path, struct ztmpfs_stat *out_stat)
{
	struct ztmpfs_stat stat;
	int error;

	memset(&stat, 0, sizeof(stat));
	error = ctl_ask(path, ZTMPFS_IOC_STAT, &stat);
	/* An older daemon has less, and nobody has less than zram's counters. */
	if (!error && (stat.struct_size > sizeof(stat) ||
		       stat.struct_size <= offsetof(struct ztmpfs_stat, huge_pages_since)))
		error = -ENOTTY;
	if (error)
		return error;
	ctl_end_texts(&stat);
	*out_stat = stat;
	return 0;
}

/* " of an older build (16 requests)": what tells it from this one of the same release. */
static void build_text(char *out, size_t space, const struct ztmpfs_info *info)
{
	const uint64_t lacks = ZTMPFS_REQUESTS & ~info->requests;
	const uint64_t more = info->requests & ~ZTMPFS_REQUESTS;

	if (info->requests == 0)
		(void)snprintf(out, space, " of an older build");
	else
		(void)snprintf(out, space, " of %s build (%d requests)",
			       lacks && !more   ? "an older"
			       : more && !lacks ? "a newer"
						: "another",
			       __builtin_popcountll(info->requests));
}

void ctl_print_other(FILE *out, const char *path, const struct ztmpfs_info *info)
{
	const bool same = strcmp(info->release, CTL_RELEASE) == 0;
	char theirs[64] = "", own[32] = "";

	if (same) {
		build_text(theirs, sizeof(theirs), info);
		(void)snprintf(own, sizeof(own), " (%d requests)",
			       __builtin_popcountll(ZTMPFS_REQUESTS));
	}
	fprintf(out,
		"ztmpfsctl: %s: ztmpfs %s%s serves it, and does not know what ztmpfsctl %s%s asks; "
		"%s\n",
		path, info->release, theirs, CTL_RELEASE, own,
		same && ZTMPFS_REQUESTS & ~info->requests ? "mount it anew for that"
							  : "take the ztmpfsctl of the former");
}

struct type_look {
	dev_t dev; /* in */
	bool ours; /* out */
};

static void look_at_type(void *arg, const struct mountinfo *mount)
{
	struct type_look *look = arg;

	look->ours |= makedev(mount->major, mount->minor) == look->dev &&
		      strcmp(mount->type, "fuse.ztmpfs") == 0;
}

/* What the kernel says of it: a daemon that is older than ZTMPFS_IOC_INFO tells nothing. */
static bool is_ours_by_type(const char *path)
{
	struct type_look look = { .ours = false };
	struct stat st;

	if (stat(path, &st) != 0)
		return false;
	look.dev = st.st_dev;
	return mountinfo_each("", look_at_type, &look) && look.ours;
}

int ctl_fail(const char *path, int error)
{
	struct ztmpfs_info info;

	progress_end(); /* it would share a row with this */
	if ((error == -EPROTO || error == -ENOTTY) && ctl_get_info(path, &info) == 0)
		ctl_print_other(stderr, path, &info);
	else if (error == -ENOTTY && is_ours_by_type(path))
		fprintf(stderr,
			"ztmpfsctl: %s: a ztmpfs of an older build serves it, and does not know "
			"what ztmpfsctl %s asks; mount it anew for that\n",
			path, CTL_RELEASE);
	else
		fprintf(stderr, "ztmpfsctl: %s: %s\n", path,
			error == -ENOTTY ? "not a ztmpfs" : strerror(-error));
	return CTL_EXIT_FAILED;
}

int ctl_failed(const char *subject, const char *why)
{
	progress_end();
	fprintf(stderr, "ztmpfsctl: %s%s%s\n", subject, *subject ? ": " : "", why);
	return CTL_EXIT_FAILED;
}

int ctl_end(int status)
{
	if (fflush(stdout) == 0)
		return status;
	fprintf(stderr, "ztmpfsctl: output: %s\n", strerror(errno));
	return CTL_EXIT_FAILED;
}
