/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * namei_i.h - what namei.c and rename.c share: names found and locked.
 */
#ifndef ZT_FS_NAMEI_I_H
#define ZT_FS_NAMEI_I_H

#include "fs/dir.h"
#include "fs/inode_i.h"

/* One name that is to change: where it stands, and what it leads to. */
struct namei_place {
	ino_nr parent;
	struct fs_name name;
	/* filled by namei_lock() */
	struct dir dir;
	struct dir_entry entry; /* ino 0: there is no such name */
	struct inode_rec *rec; /* of the entry's inode */
};

/**
 * namei_init() - what a new inode has of its maker: every path that makes one begins here
 * @cred: outlives the result
 */
struct inode_init namei_init(const struct fs_cred *cred, mode_t mode);

/** namei_inherit() - and what it has of its directory, whose lock is held; once for each result */
void namei_inherit(struct inode_init *init, const struct dir *dir);

/**
 * namei_lock() - lock the directories of 1 or 2 places and the inodes that their names lead to
 * @places: parent and name filled by the caller
 * @set: what is locked, on success
 *
 * The directories are alive and have their index.
 * Return: 0, -ESTALE, -ENOTDIR, -ENOENT (a directory was removed), -ENOMEM; then nothing is locked.
 */
int namei_lock(struct super *sb, struct namei_place *places, unsigned nr,
	       struct inode_lock_set *set) ZT_MUST_CHECK;

/** namei_open_dir() - a directory that is to change, under its exclusive lock; errors as above */
int namei_open_dir(struct super *sb, ino_nr ino, struct dir *out_dir) ZT_MUST_CHECK;

/**
 * namei_drop_link() - one name of the inode is gone, a directory's last one; its lock is held
 * exclusive
 */
void namei_drop_link(struct super *sb, ino_nr ino, struct inode_rec *rec, fs_time now);

/**
 * namei_may_remove() - whether unlink (@want_dir false) or rmdir may take @rec out of @dir
 * Return: 0, -EPERM (chattr's flags), -EISDIR, -ENOTDIR, -ENOTEMPTY.
 */
int namei_may_remove(const struct inode_rec *dir, const struct inode_rec *rec,
		     bool want_dir) ZT_MUST_CHECK;

#endif
