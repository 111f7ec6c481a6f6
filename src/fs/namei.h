/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * namei.h - names: look up, create, remove, rename.
 *
 * Every function that fills a struct fs_entry gives the kernel one reference (nlookup), which
 * fs_forget() takes back. Names are any bytes but '/' and NUL, 1 to 255 of them.
 *
 * Errors, all of them: -ENOENT, -EEXIST, -ENOTDIR, -EISDIR, -ENOTEMPTY, -ENAMETOOLONG, -EINVAL,
 * -EMLINK, -EBUSY, -EPERM (a link to a directory, chattr's flags), -ENOSPC (nr_inodes, memory), -ENOMEM, -ESTALE
 * (no such inode). On error nothing has changed.
 */
#ifndef ZT_FS_NAMEI_H
#define ZT_FS_NAMEI_H

#include <stddef.h>
#include <sys/types.h>

#include "fs/inode.h"

#define FS_NAME_MAX    255u
#define FS_SYMLINK_MAX 4095u
#define FS_LINK_MAX    0x7fffffffu

/*
 * "." and ".." work too, also for inodes whose names are unknown to the kernel (NFS, file handles).
 */
int fs_lookup(struct super *sb, ino_nr parent, const char *name,
	      struct fs_entry *out) ZT_MUST_CHECK;

/* @mode: type and permissions, umask applied already by the kernel. A setgid parent gives its
 * group, and a new directory setgid too. Regular files, fifos, sockets, device nodes. */
int fs_mknod(struct super *sb, const struct fs_cred *cred, ino_nr parent, const char *name,
	     mode_t mode, dev_t rdev, struct fs_entry *out) ZT_MUST_CHECK;
/**
 * fs_tmpfile() - a regular file without a name, as O_TMPFILE makes it
 * @parent: what it inherits from; unchanged
 * @linkable: fs_link() may give it a name (no O_EXCL); it then stays as any other file
 * It has one reference and goes with it.
 */
int fs_tmpfile(struct super *sb, const struct fs_cred *cred, ino_nr parent, mode_t mode,
	       bool linkable, struct fs_entry *out) ZT_MUST_CHECK;
int fs_mkdir(struct super *sb, const struct fs_cred *cred, ino_nr parent, const char *name,
	     mode_t mode, struct fs_entry *out) ZT_MUST_CHECK;
int fs_symlink(struct super *sb, const struct fs_cred *cred, ino_nr parent, const char *name,
	       const char *target, struct fs_entry *out) ZT_MUST_CHECK;
int fs_link(struct super *sb, ino_nr ino, ino_nr new_parent, const char *name,
	    struct fs_entry *out) ZT_MUST_CHECK;
int fs_unlink(struct super *sb, ino_nr parent, const char *name) ZT_MUST_CHECK;
int fs_rmdir(struct super *sb, ino_nr parent, const char *name) ZT_MUST_CHECK;

/* Directories that have another parent now; 0: none. */
struct fs_moved {
	ino_nr dirs[2];
};

/*
 * @flags: 0, RENAME_NOREPLACE, RENAME_EXCHANGE (linux/fs.h); RENAME_WHITEOUT leaves a 0:0 character
 *         device.
 */
int fs_rename(struct super *sb, const struct fs_cred *cred, ino_nr parent, const char *name,
	      ino_nr new_parent, const char *new_name, unsigned flags,
	      struct fs_moved *out_moved) ZT_MUST_CHECK;

/* @buf: FS_SYMLINK_MAX + 1 bytes; a NUL follows the target. */
int fs_readlink(struct super *sb, ino_nr ino, char *buf) ZT_MUST_CHECK;

/* One entry of a listing. */
struct fs_dirent {
	const char *name; /* without a NUL behind it */
	size_t name_len;
	ino_nr ino;
	mode_t type; /* S_IFMT's bits of the mode */
	uint64_t next_cookie; /* continues behind this entry */
	/*
	 * Set when attributes were asked for (then the kernel gets a reference, unless the callback
	 * declines); else NULL, and always for "." and "..".
	 */
	const struct fs_entry *attributes;
};

/**
 * fs_dir_emit_fn - take one entry of a listing
 * Context: the directory is locked: nothing of the fs layer may be called.
 * Return: false when it does not fit: the listing stops before it.
 */
typedef bool (*fs_dir_emit_fn)(void *arg, const struct fs_dirent *entry);

/**
 * fs_readdir() - list a directory from @cookie on (0: the beginning)
 * Entries that exist throughout a listing appear exactly once, whatever is created or removed
 * meanwhile. Those that are made meanwhile may appear, but a listing ends, however many are made.
 * "." and ".." come first (never with a reference).
 * @plus: with attributes
 */
int fs_readdir(struct super *sb, ino_nr ino, uint64_t cookie, bool plus, fs_dir_emit_fn emit,
	       void *arg) ZT_MUST_CHECK;

#endif
