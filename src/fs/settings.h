/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * settings.h - how a file is to be compressed: cluster, algorithm, level.
 *
 * Regular files and directories have settings; what is made in a directory gets the directory's,
 * and keeps them wherever it is moved. They stand in inode_rec.cluster_order and, as a number of
 * the mount's table, in the upper half of inode_rec.flags.
 */
#ifndef ZT_FS_SETTINGS_H
#define ZT_FS_SETTINGS_H

#include "fs/inode.h"

/** fs_get_settings() - Return: 0, -ESTALE, -ENOTTY (a type that has none). */
int fs_get_settings(struct super *sb, ino_nr ino, struct ztmpfs_file_attr *out_attr) ZT_MUST_CHECK;

/**
 * fs_set_settings() - change what @attr->which names
 *
 * Contents that a file has stay as they are stored until they are written again. The cluster size
 * is that of all its contents, so that it can only change while there are none.
 *
 * @cred: its owner, or root
 * Return: 0, -ESTALE, -ENOTTY, -EPERM (somebody else's, or chattr's flags), -EINVAL (cluster size,
 *         level, unknown bits), -ENOENT (algorithm), -ENOTEMPTY (a cluster size for a file with
 *         contents), -ENOSPC (the mount's table is full), -ENOMEM.
 */
int fs_set_settings(struct super *sb, const struct fs_cred *cred, ino_nr ino,
		    const struct ztmpfs_file_attr *attr) ZT_MUST_CHECK;

/* More bytes than a setting has as a text: name, colon, level. */
#define FS_SETTING_TEXT_MAX 64u

/**
 * fs_get_setting_text() - the value of FS_XATTR_COMPRESS: "none" or "zstd:5"
 * @size: bytes at @buf; 0: only the length is asked for
 * Return: 0, -ESTALE, -ENODATA (it follows the mount, or is of a type that has none), -ERANGE.
 */
int fs_get_setting_text(struct super *sb, ino_nr ino, char *buf, size_t size,
			size_t *out_len) ZT_MUST_CHECK;

/**
 * fs_set_setting_text() - as fs_set_settings(), by such a value; "default": follow the mount
 * @text: @size bytes, without a NUL at the end
 * Return: as there; but -EINVAL for what names no algorithm, -EOPNOTSUPP for a type that has none.
 */
int fs_set_setting_text(struct super *sb, const struct fs_cred *cred, ino_nr ino, const char *text,
			size_t size) ZT_MUST_CHECK;

#endif
