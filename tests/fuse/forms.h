/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * forms.h - every request's form, for tests that make requests which no kernel sends.
 */
#ifndef ZT_TESTS_FUSE_FORMS_H
#define ZT_TESTS_FUSE_FORMS_H

#include <linux/fuse.h>
#include <stddef.h>
#include <stdint.h>

#include "fuse/channel/proto.h"

/* Every request with its fixed part's size. */
static const struct form {
	uint32_t opcode;
	size_t fixed_len;
	unsigned nr_names;
} forms[] = {
	{ FUSE_LOOKUP, 0, 1 },
	{ FUSE_FORGET, sizeof(struct fuse_forget_in), 0 },
	{ FUSE_GETATTR, sizeof(struct fuse_getattr_in), 0 },
	{ FUSE_SETATTR, sizeof(struct fuse_setattr_in), 0 },
	{ FUSE_READLINK, 0, 0 },
	{ FUSE_SYMLINK, 0, 2 },
	{ FUSE_MKNOD, sizeof(struct fuse_mknod_in), 1 },
	{ FUSE_MKDIR, sizeof(struct fuse_mkdir_in), 1 },
	{ FUSE_UNLINK, 0, 1 },
	{ FUSE_RMDIR, 0, 1 },
	{ FUSE_RENAME, sizeof(struct fuse_rename_in), 2 },
	{ FUSE_RENAME2, sizeof(struct fuse_rename2_in), 2 },
	{ FUSE_LINK, sizeof(struct fuse_link_in), 1 },
	{ FUSE_OPEN, sizeof(struct fuse_open_in), 0 },
	{ FUSE_CREATE, sizeof(struct fuse_create_in), 1 },
	{ FUSE_READ, sizeof(struct fuse_read_in), 0 },
	{ FUSE_WRITE, sizeof(struct fuse_write_in), 1 },
	{ FUSE_STATFS, 0, 0 },
	{ FUSE_RELEASE, sizeof(struct fuse_release_in), 0 },
	{ FUSE_FSYNC, sizeof(struct fuse_fsync_in), 0 },
	{ FUSE_SETXATTR, sizeof(struct fuse_setxattr_in), 2 },
	{ FUSE_GETXATTR, sizeof(struct fuse_getxattr_in), 1 },
	{ FUSE_FLUSH, sizeof(struct fuse_flush_in), 0 },
	{ FUSE_OPENDIR, sizeof(struct fuse_open_in), 0 },
	{ FUSE_READDIR, sizeof(struct fuse_read_in), 0 },
	{ FUSE_READDIRPLUS, sizeof(struct fuse_read_in), 0 },
	{ FUSE_RELEASEDIR, sizeof(struct fuse_release_in), 0 },
	{ FUSE_SETLK, sizeof(struct fuse_lk_in), 0 },
	{ FUSE_ACCESS, sizeof(struct fuse_access_in), 0 },
	{ FUSE_IOCTL, sizeof(struct fuse_ioctl_in), 0 },
	{ FUSE_POLL, sizeof(struct fuse_poll_in), 0 },
	{ FUSE_FALLOCATE, sizeof(struct fuse_fallocate_in), 0 },
	{ FUSE_LSEEK, sizeof(struct fuse_lseek_in), 0 },
	{ FUSE_COPY_FILE_RANGE, sizeof(struct fuse_copy_file_range_in), 0 },
	{ FUSE_TMPFILE, sizeof(struct fuse_create_in), 0 }, /* its name means nothing */
	{ PROTO_STATX, sizeof(struct proto_statx_in), 0 },
	/* The last one: libfuse 3.17 and later then take INIT only, as the kernel sends nothing else. */
	{ FUSE_DESTROY, 0, 0 },
};

#endif
