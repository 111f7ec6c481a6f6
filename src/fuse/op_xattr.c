// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * op_xattr.c - requests about extended attributes, ACLs among them.
 *
 * On the data path: GETXATTR of security.capability, which the kernel sends before the first write
 * to a file whose attributes it has just learned. Only a filesystem without any attributes is not
 * asked: noxattr answers with ENOSYS, which the kernel remembers. Locks: none here.
 */
#include "fs/xattr.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "fs/fileattr.h"
#include "fs/settings.h"
#include "fuse/ops.h"
#include "fuse/reply.h"
#include "util/alloc.h"

/* Requests whose values are small are served from the stack. */
#define SMALL_VALUE 512u

static bool declined(fuse_req_t req)
{
	if (req_front(req)->xattr)
		return false;
	reply_error(req, -ENOSYS);
	return true;
}

/*
 * Setting an access ACL takes set-group-ID away from a file whose group the caller is not in,
 * unless it may keep it.
 *
 * Weakness: root stands for CAP_FSETID.
 */
static unsigned kill_sgid(fuse_req_t req, fuse_ino_t ino, const char *name)
{
	struct stat attr;

	if (strcmp(name, "system.posix_acl_access") != 0 || fuse_req_ctx(req)->uid == 0 ||
	    fs_getattr(req_super(req), ino, &attr) != 0 || !(attr.st_mode & S_ISGID))
		return 0;
	return req_in_group(req, attr.st_gid) ? 0 : FS_XATTR_KILL_SGID;
}

/* Whether it is there does not matter: a request that comes again after a death does the same. */
static void set_compress(fuse_req_t req, fuse_ino_t ino, const char *value, size_t size)
{
	const struct fs_cred cred = req_cred(req);

	reply_error(req, fs_set_setting_text(req_super(req), &cred, ino, value, size));
}

void op_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value, size_t size,
		 int flags)
{
	const unsigned kinds = (unsigned)flags & (XATTR_CREATE | XATTR_REPLACE);

	if (declined(req))
		return;
	if (strcmp(name, FS_XATTR_COMPRESS) == 0) {
		set_compress(req, ino, value, size);
		return;
	}
	reply_error(req, fs_setxattr(req_super(req), ino, name, value, size,
				     kinds | kill_sgid(req, ino, name)));
}

/* Looks up a value (or, with @name NULL, a list of names), as fs_getxattr() does. */
typedef int look_up_fn(fuse_req_t req, fuse_ino_t ino, const char *name, char *buf, size_t size,
		       size_t *out_len);

static int look_up_value(fuse_req_t req, fuse_ino_t ino, const char *name, char *buf, size_t size,
			 size_t *out_len)
{
	return strcmp(name, FS_XATTR_COMPRESS) == 0
		       ? fs_get_setting_text(req_super(req), ino, buf, size, out_len)
		       : fs_getxattr(req_super(req), ino, name, buf, size, out_len);
}

static int look_up_names(fuse_req_t req, fuse_ino_t ino, const char *name, char *buf, size_t size,
			 size_t *out_len)
{
	(void)name;
	return fs_listxattr(req_super(req), ino, fuse_req_ctx(req)->uid == 0, buf, size, out_len);
}

/* Answers with what is found or, when @size is 0, with how long it is. */
static void reply_looked_up(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size,
			    look_up_fn *look_up)
{
	char small[SMALL_VALUE], *buf = small;
	size_t len = 0;
	int error;

	if (size > FS_XATTR_SIZE_MAX)
		size = FS_XATTR_SIZE_MAX;
	if (size > sizeof(small))
		buf = zt_zalloc(size);
	if (!buf) {
		reply_error(req, -ENOMEM);
		return;
	}
	error = look_up(req, ino, name, buf, size, &len);
	if (error)
		reply_error(req, error);
	else if (size == 0)
		(void)fuse_reply_xattr(req, len);
	else
		(void)fuse_reply_buf(req, buf, len);
	if (buf != small)
		zt_free(buf);
}

/* See attr_lifetime(): the kernel shall try to take a capability away from an immutable file. */
static bool asks_before_write(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
	return size == 0 && strcmp(name, "security.capability") == 0 &&
	       fs_is_immutable(req_super(req), ino);
}

void op_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
	if (declined(req))
		return;
	if (asks_before_write(req, ino, name, size))
		(void)fuse_reply_xattr(req, sizeof(uint32_t));
	else
		reply_looked_up(req, ino, name, size, look_up_value);
}

void op_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
	if (!declined(req))
		reply_looked_up(req, ino, NULL, size, look_up_names);
}

void op_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name)
{
	int error;

	if (declined(req))
		return;
	if (strcmp(name, FS_XATTR_COMPRESS) == 0) {
		set_compress(req, ino, "default", strlen("default"));
		return;
	}
	error = fs_removexattr(req_super(req), ino, name);
	if (!error && strcmp(name, "security.capability") == 0)
		attr_capability_gone(req, ino);
	reply_error(req, error);
}
