// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * readonly.c - requests that would change a mount whose contents stay in an image: answered with EROFS.
 * See readonly.h.
 *
 * The kernel sends none as long as the mount is read-only, and calls of ztmpfsctl. But whoever may mount
 * it again may change that flag, of which no daemon hears.
 *
 * Locks: none.
 */
#include "fuse/readonly.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/fuse.h>
#include <string.h>

#include "fs/image.h"
#include "fuse/channel/channel.h"
#include "fuse/channel/request.h"
#include "fuse/transport_i.h"
#include "util/sizes.h"
#include "ztmpfs/control.h"

static const uint32_t changing[] = {
	FUSE_SETATTR, FUSE_SYMLINK,	FUSE_MKNOD,	FUSE_MKDIR,	  FUSE_UNLINK,
	FUSE_RMDIR,   FUSE_RENAME,	FUSE_RENAME2,	FUSE_LINK,	  FUSE_WRITE,
	FUSE_SETXATTR, FUSE_REMOVEXATTR, FUSE_CREATE,	FUSE_TMPFILE,	  FUSE_FALLOCATE,
	FUSE_COPY_FILE_RANGE,
};

static bool call_changes(uint32_t cmd)
{
	switch (cmd) {
	case FS_IOC_SETFLAGS:
	case FS_IOC_FSSETXATTR:
		return true;
	}
	switch (_IOC_NR(cmd)) {
	case _IOC_NR(ZTMPFS_IOC_SET_ATTR):
	case _IOC_NR(ZTMPFS_IOC_SET):
	case _IOC_NR(ZTMPFS_IOC_CLONE):
	case _IOC_NR(ZTMPFS_IOC_RECOMPRESS):
		return _IOC_TYPE(cmd) == _IOC_TYPE(ZTMPFS_IOC_SET);
	}
	return false;
}

static bool changes(const struct request *req)
{
	const char *body = (const char *)req->msg + sizeof(struct fuse_in_header);
	const size_t len = req->len - sizeof(struct fuse_in_header);
	struct fuse_ioctl_in call;
	struct fuse_open_in open;

	for (size_t i = 0; i < ARRAY_SIZE(changing); i++)
		if (req->shim.opcode == changing[i])
			return true;
	if (req->shim.opcode == FUSE_OPEN && len >= sizeof(open)) {
		memcpy(&open, body, sizeof(open));
		return (open.flags & O_ACCMODE) != O_RDONLY || open.flags & O_TRUNC;
	}
	if (req->shim.opcode == FUSE_IOCTL && len >= sizeof(call)) {
		memcpy(&call, body, sizeof(call));
		return call_changes(call.cmd);
	}
	return false;
}

bool readonly_refuses(struct ztfuse *front, const struct request *req)
{
	if (!super_borrows(front->sb) || !changes(req))
		return false;
	(void)channel_answer(req, -EROFS, NULL, 0); /* or nobody waits any longer */
	return true;
}
