/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * xattr.h - extended attributes, POSIX ACLs among them.
 *
 * Namespaces are tmpfs's: user., trusted., security., and system.posix_acl_access and
 * system.posix_acl_default unless the mount has no ACLs. The kernel checks which callers may use
 * them, except for append-only and immutable inodes, which it does not know.
 *
 * user.ztmpfs.stat is made when a regular file is asked for it: words "key=value" that say what
 * ztmpfsctl du says. It is in no list, so that nothing copies it. It can be neither set nor
 * removed: -EOPNOTSUPP, which copying tools take for "not here".
 *
 * user.ztmpfs.compress is how a file or folder wants to be compressed. It is read and changed by
 * settings.h, and here is none of that name.
 *
 * An ACL is taken and given in the form that the kernel uses for attributes. Its entries for owner,
 * mask and others are the mode's bits, always: setting an ACL changes the mode, and a change of
 * mode is seen in the ACL. An ACL that says no more than a mode does is not kept.
 *
 * Errors: -ESTALE, -EOPNOTSUPP (namespace; above), -EINVAL (nothing behind the namespace; bad ACL or
 * flags), -ERANGE (name, buffer), -E2BIG (value), -ENODATA, -EEXIST, -EPERM, -EACCES (a default ACL
 * of something that is no directory), -ENOSPC (nr_inodes, memory), -ENOMEM. On error nothing has
 * changed.
 */
#ifndef ZT_FS_XATTR_H
#define ZT_FS_XATTR_H

#include <stddef.h>

#include "fs/inode.h"

/* The kernel's limits (linux/limits.h). */
#define FS_XATTR_NAME_MAX 255u
#define FS_XATTR_SIZE_MAX 65536u

/* What a file holds and costs, and more bytes than it ever has. */
#define FS_XATTR_STAT     "user.ztmpfs.stat"
#define FS_XATTR_STAT_MAX 1024u

/* How it is to be compressed. */
#define FS_XATTR_COMPRESS "user.ztmpfs.compress"

/* Besides XATTR_CREATE and XATTR_REPLACE (sys/xattr.h). */
#define FS_XATTR_KILL_SGID (1u << 16) /* setting an access ACL takes set-group-ID away */

/**
 * fs_setxattr() - set an attribute
 * tmpfs's rules: attributes but ACLs take of the space that nr_inodes gives, 1 KiB for each inode.
 */
int fs_setxattr(struct super *sb, ino_nr ino, const char *name, const void *value, size_t size,
		unsigned flags) ZT_MUST_CHECK;

/**
 * fs_getxattr() - an attribute's value
 * @size: bytes at @buf; 0: only the length is asked for
 * Takes no lock for an inode without attributes. FS_XATTR_STAT's length is told as
 * FS_XATTR_STAT_MAX, since it may become longer before it is asked for.
 */
int fs_getxattr(struct super *sb, ino_nr ino, const char *name, void *buf, size_t size,
		size_t *out_len) ZT_MUST_CHECK;

/**
 * fs_listxattr() - the names, each with a NUL behind it
 * @trusted: those in trusted. too
 */
int fs_listxattr(struct super *sb, ino_nr ino, bool trusted, char *buf, size_t size,
		 size_t *out_len) ZT_MUST_CHECK;

/** fs_removexattr() - an ACL that is not there counts as removed */
int fs_removexattr(struct super *sb, ino_nr ino, const char *name) ZT_MUST_CHECK;

#endif
