// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * op_control.c - the control interface (ztmpfs/control.h), whatever the size of the caller's structs.
 *
 * On the data path: no. Locks: none here. Every other command is none of ours: ENOTTY.
 */
#include "ztmpfs/control.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "fs/file.h"
#include "fs/settings.h"
#include "fs/trace.h"
#include "fs/tune.h"
#include "fs/xattr.h"
#include "fuse/ledger.h"
#include "fuse/ops.h"
#include "fuse/reply.h"
#include "fuse/request.h"
#include "util/sizes.h"

/* Tests build a daemon of another version out of this file. */
#ifndef CONTROL_VERSION
#define CONTROL_VERSION ZTMPFS_STAT_VERSION
#define CONTROL_RELEASE PACKAGE_VERSION
#endif
#ifndef CONTROL_REQUESTS
#define CONTROL_REQUESTS ZTMPFS_REQUESTS
#endif

/* What all structs of the interface begin with, but for those that are one number. */
struct head {
	uint32_t version, struct_size;
};

/*
 * What works on the whole mount, or tells what all files together hold, is for root, for the owner
 * of the root directory, and for the user whose daemon this is.
 */
static bool may_manage(fuse_req_t req)
{
	return req_is_trusted(req) || fuse_req_ctx(req)->uid == super_owner(req_super(req));
}

int control_take(const struct control_bytes *bytes, void *out, size_t size)
{
	struct head head;

	if (bytes->in_size < sizeof(head))
		return -EINVAL;
	memcpy(&head, bytes->in, sizeof(head));
	if (head.version != CONTROL_VERSION)
		return -EPROTO;
	memset(out, 0, size);
	memcpy(out, bytes->in, bytes->in_size < size ? bytes->in_size : size);
	return 0;
}

size_t control_answer(const struct control_bytes *bytes, void *answer, size_t size)
{
	struct head head = { .version = CONTROL_VERSION };

	size = bytes->out_size < size ? bytes->out_size : size;
	if (size < sizeof(head))
		return 0;
	head.struct_size = (uint32_t)size;
	memcpy(answer, &head, sizeof(head));
	return size;
}

void control_give(fuse_req_t req, const struct control_bytes *bytes, void *answer, size_t size)
{
	size = control_answer(bytes, answer, size);
	if (size)
		(void)fuse_reply_ioctl(req, 0, answer, size);
	else
		reply_error(req, -EINVAL);
}

static void stat_lives(const struct ledger *ledger, struct ztmpfs_stat *stat)
{
	stat->lives = ledger->facts.lives;
	stat->kills_survived = ledger->facts.kills;
	stat->outage_ns = ledger->facts.outage_ns;
	stat->repairs = ledger->facts.repairs;
	stat->requests_resent = atomic_load_explicit(&ledger->nr_resent, memory_order_relaxed);
	stat->requests_done = atomic_load_explicit(&ledger->nr_answered, memory_order_relaxed);
	stat->requests_poisoned = atomic_load_explicit(&ledger->nr_poisoned, memory_order_relaxed);
}

static void control_stat(fuse_req_t req, const struct control_bytes *bytes)
{
	struct ztmpfs_stat stat;

	if (!may_manage(req)) {
		reply_error(req, -EPERM);
		return;
	}
	super_get_stat(req_super(req), &stat);
	traffic_get(&req_front(req)->traffic, &stat);
	if (req_front(req)->ledger)
		stat_lives(req_front(req)->ledger, &stat);
	control_give(req, bytes, &stat, sizeof(stat));
}

/* The program that runs is no longer the one at its path. */
static bool is_replaced(void)
{
	static const char mark[] = " (deleted)";
	char path[4096];
	const ssize_t len = readlink("/proc/self/exe", path, sizeof(path));
	const size_t end = sizeof(mark) - 1;

	return len > (ssize_t)end && memcmp(path + len - end, mark, end) == 0;
}

static void control_info(fuse_req_t req, const struct control_bytes *bytes)
{
	static const char *const caches[] = { [ZTFUSE_CACHE_WRITEBACK] = "writeback",
					      [ZTFUSE_CACHE_THROUGH] = "through",
					      [ZTFUSE_CACHE_NEVER] = "never" };
	struct ztmpfs_info info = {
		.pid = (uint32_t)getpid(),
		.flags = is_replaced() ? ZTMPFS_INFO_REPLACED : 0,
		.release = CONTROL_RELEASE,
		.requests = CONTROL_REQUESTS,
	};
	const struct ztfuse *front = req_front(req);
	size_t len;

	super_get_options(req_super(req), info.options, sizeof(info.options));
	len = strlen(info.options);
	(void)snprintf(info.options + len, sizeof(info.options) - len, ",cache=%s%s",
		       caches[front->cache], front->xattr ? "" : ",noxattr");
	control_give(req, bytes, &info, sizeof(info));
}

static void control_manage(fuse_req_t req, unsigned int cmd, const struct control_bytes *bytes)
{
	struct super *sb = req_super(req);
	uint64_t out = 0;
	int error = 0;

	if (!may_manage(req))
		error = -EPERM;
	else if (bytes->out_size < sizeof(out))
		error = -EINVAL;
	else if (_IOC_NR(cmd) == _IOC_NR(ZTMPFS_IOC_COMPACT))
		out = super_compact(sb);
	else if (_IOC_NR(cmd) == _IOC_NR(ZTMPFS_IOC_SPILL))
		error = super_spill(sb, &out);
	else
		error = super_recompress(sb, &out);
	if (error)
		reply_error(req, error);
	else
		(void)fuse_reply_ioctl(req, 0, &out, sizeof(out));
}

/*
 * How well a file compresses tells of its content, so only users who may read it are told. The kernel
 * lets any descriptor ask, also one that is open for writing only, and does not say which it is.
 * In doubt the answer is no: where an ACL may name the caller, and where the group may do less than
 * all others.
 */
static int may_see_content(fuse_req_t req, fuse_ino_t ino)
{
	struct super *sb = req_super(req);
	struct stat attr;
	size_t len;
	int error = fs_getattr(sb, ino, &attr);

	if (error || !S_ISREG(attr.st_mode) || may_manage(req) ||
	    fuse_req_ctx(req)->uid == attr.st_uid)
		return error;
	if (!(attr.st_mode & S_IRGRP) ||
	    fs_getxattr(sb, ino, "system.posix_acl_access", NULL, 0, &len) == 0)
		return -EACCES;
	return attr.st_mode & S_IROTH || req_in_group(req, attr.st_gid) ? 0 : -EACCES;
}

static void control_file_stat(fuse_req_t req, fuse_ino_t ino, const struct control_bytes *bytes)
{
	struct ztmpfs_file_stat stat;
	int error = may_see_content(req, ino);

	if (!error)
		error = fs_file_stat(req_super(req), ino, &stat);
	if (error)
		reply_error(req, error);
	else
		control_give(req, bytes, &stat, sizeof(stat));
}

/* It takes no more than to read the file twice. */
static void control_fetch(fuse_req_t req, fuse_ino_t ino, const struct control_bytes *bytes)
{
	const uint64_t out = 0;
	int error = may_see_content(req, ino);

	if (!error)
		error = fs_fetch(req_super(req), ino);
	if (error)
		reply_error(req, error);
	else
		(void)fuse_reply_ioctl(req, 0, &out, min_u64(sizeof(out), bytes->out_size));
}

static void control_pool_stat(fuse_req_t req, const struct control_bytes *bytes)
{
	struct ztmpfs_pool_stat stat;
	int error = may_manage(req) ? control_take(bytes, &stat, sizeof(stat)) : -EPERM;

	if (!error)
		error = super_get_pool_stat(req_super(req), &stat);
	if (error)
		reply_error(req, error);
	else
		control_give(req, bytes, &stat, sizeof(stat));
}

static void control_get_attr(fuse_req_t req, fuse_ino_t ino, const struct control_bytes *bytes)
{
	struct ztmpfs_file_attr attr;
	int error = fs_get_settings(req_super(req), ino, &attr);

	attr.version = CONTROL_VERSION;
	if (error)
		reply_error(req, error);
	else
		(void)fuse_reply_ioctl(req, 0, &attr, min_u64(sizeof(attr), bytes->out_size));
}

static void control_set_attr(fuse_req_t req, fuse_ino_t ino, const struct control_bytes *bytes)
{
	struct fs_cred cred = { .uid = fuse_req_ctx(req)->uid };
	struct ztmpfs_file_attr attr;
	int error = control_take(bytes, &attr, sizeof(attr));

	if (!error)
		error = fs_set_settings(req_super(req), &cred, ino, &attr);
	if (error)
		reply_error(req, error);
	else
		(void)fuse_reply_ioctl(req, 0, NULL, 0);
}

static void control_set(fuse_req_t req, const struct control_bytes *bytes)
{
	struct ztmpfs_set set;
	int error = may_manage(req) ? control_take(bytes, &set, sizeof(set)) : -EPERM;

	if (!error)
		error = super_set(req_super(req), &set);
	if (error)
		reply_error(req, error);
	else
		(void)fuse_reply_ioctl(req, 0, NULL, 0);
}

/*
 * How well each piece of each file compresses, and at wish its bytes: the owner of the root
 * directory may not read all files, so he is not told.
 */
static void control_trace(fuse_req_t req, const struct control_bytes *bytes)
{
	struct ztmpfs_trace trace;
	int error = req_is_trusted(req) ? control_take(bytes, &trace, sizeof(trace)) : -EPERM;

	if (!error)
		error = super_trace(req_super(req), &trace);
	if (error)
		reply_error(req, error);
	else
		control_give(req, bytes, &trace, sizeof(trace));
}

/* It runs a program with the rights of the daemon's user: the owner of the root directory has not all of them. */
static void control_upgrade(fuse_req_t req, const struct control_bytes *bytes)
{
	const struct ztfuse *front = req_front(req);
	struct ztmpfs_upgrade upgrade;
	int error = req_is_trusted(req) ? control_take(bytes, &upgrade, sizeof(upgrade)) : -EPERM;

	if (!error && !front->upgrade)
		error = -EOPNOTSUPP;
	if (!error) {
		ztfuse_req_may_wait(req);
		error = front->upgrade(front->upgrade_arg, &upgrade);
	}
	if (error)
		reply_error(req, error);
	else
		control_give(req, bytes, &upgrade, sizeof(upgrade));
}

/* By the number alone: the size in it is the caller's. */
void control_ioctl(fuse_req_t req, fuse_ino_t ino, unsigned int cmd,
		   const struct control_bytes *bytes)
{
	const bool ours = _IOC_TYPE(cmd) == 'Z' && _IOC_NR(cmd) < 64 &&
			  (CONTROL_REQUESTS & ZTMPFS_CONTROL_BIT(cmd)) != 0;

	switch (ours ? _IOC_NR(cmd) : 0) {
	case _IOC_NR(ZTMPFS_IOC_INFO):
		control_info(req, bytes);
		break;
	case _IOC_NR(ZTMPFS_IOC_STAT):
		control_stat(req, bytes);
		break;
	case _IOC_NR(ZTMPFS_IOC_COMPACT):
	case _IOC_NR(ZTMPFS_IOC_RECOMPRESS):
	case _IOC_NR(ZTMPFS_IOC_SPILL):
		control_manage(req, cmd, bytes);
		break;
	case _IOC_NR(ZTMPFS_IOC_FILE_STAT):
		control_file_stat(req, ino, bytes);
		break;
	case _IOC_NR(ZTMPFS_IOC_FETCH):
		control_fetch(req, ino, bytes);
		break;
	case _IOC_NR(ZTMPFS_IOC_POOL_STAT):
		control_pool_stat(req, bytes);
		break;
	case _IOC_NR(ZTMPFS_IOC_GET_ATTR):
		control_get_attr(req, ino, bytes);
		break;
	case _IOC_NR(ZTMPFS_IOC_SET_ATTR):
		control_set_attr(req, ino, bytes);
		break;
	case _IOC_NR(ZTMPFS_IOC_SET):
		control_set(req, bytes);
		break;
	case _IOC_NR(ZTMPFS_IOC_TRACE):
		control_trace(req, bytes);
		break;
	case _IOC_NR(ZTMPFS_IOC_UPGRADE):
		control_upgrade(req, bytes);
		break;
	case _IOC_NR(ZTMPFS_IOC_SAVE):
		op_save(req, ino, bytes);
		break;
	case _IOC_NR(ZTMPFS_IOC_CLONE):
		op_clone(req, ino, bytes);
		break;
	default:
		reply_error(req, -ENOTTY);
		break;
	}
}
