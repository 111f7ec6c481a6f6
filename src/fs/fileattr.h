/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fileattr.h - the flags of chattr(1).
 *
 * Flags are those of linux/fs.h (FS_..._FL). tmpfs has four: FS_IMMUTABLE_FL, FS_APPEND_FL,
 * FS_NODUMP_FL, FS_NOATIME_FL; regular files and directories have them, and new objects inherit the
 * last two from their directory. The kernel checks before it asks whether the caller may change
 * them (owner; CAP_LINUX_IMMUTABLE for the first two). The fs layer checks what they forbid, since
 * FUSE cannot tell the kernel of them.
 *
 * Two more stand for settings (settings.h): FS_NOCOMP_FL for "none", FS_COMPR_FL for an algorithm of
 * the file's own; a file that follows the mount has neither. FS_COMPR_FL takes "none" away, and
 * leaves all else; without both a file follows the mount.
 */
#ifndef ZT_FS_FILEATTR_H
#define ZT_FS_FILEATTR_H

#include "fs/inode.h"

/** fs_get_flags() - Return: 0, -ESTALE, -ENOTTY (a type that has none). */
int fs_get_flags(struct super *sb, ino_nr ino, uint32_t *out_flags) ZT_MUST_CHECK;

/**
 * fs_set_flags() - to exactly @flags
 * @cred: the caller's, when that is to be checked here; NULL: the kernel has done it
 * Return: as above, -EOPNOTSUPP (other flags; FS_COMPR_FL where the mount compresses nothing, so that
 *         no algorithm is said), -EINVAL (both of compression), -EPERM.
 */
int fs_set_flags(struct super *sb, const struct fs_cred *cred, ino_nr ino,
		 uint32_t flags) ZT_MUST_CHECK;

/** fs_is_immutable() - takes no lock; false for what is not there */
bool fs_is_immutable(struct super *sb, ino_nr ino);

/**
 * fs_may_open() - what open(2) forbids because of flags
 * @open_flags: O_... of the open
 * Return: 0, -EPERM, -ESTALE.
 */
int fs_may_open(struct super *sb, ino_nr ino, int open_flags) ZT_MUST_CHECK;

#endif
