/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clone.h - a copy of a file or of a whole tree, made by the daemon at once.
 *
 * The copy has names, modes, owners, times of access and change, attributes, ACLs, hard links among
 * its files, special files, flags of chattr(1), compression settings and holes of the original, and
 * shares its contents as copy_file_range(2) does. No name leads to it before it is complete: then it
 * gets its one name. Whatever fails or is interrupted leaves nothing.
 *
 * Each file is a copy of one moment. Other requests go on meanwhile: no lock is held for longer than
 * for a round (work.h). The rounds of a file that others change all the while may become longer, by
 * what all threads change at a time (clone_content.c).
 *
 * The kernel sees inodes only by the request's own directory, so the asker's right to read and to
 * search is checked here, for each of them.
 */
#ifndef ZT_FS_CLONE_H
#define ZT_FS_CLONE_H

#include <stdbool.h>
#include <stdint.h>

#include "fs/inode.h"
#include "fs/super.h"
#include "util/compiler.h"

/* A directory that a clone is put into is younger, so that its maker may write there. Seconds. */
#define FS_CLONE_FRESH 60

struct fs_clone_request {
	ino_nr from; /* the directory that @from_name is in, or what is copied itself */
	const char *from_name; /* "": @from itself, a directory */
	ino_nr into; /* an empty directory, which the asker has just made */
	const char *to_name; /* in it; the kernel knows nothing of that name yet */
	bool snapshot; /* the directory that @into is in may be part of the tree: it is left out */
};

/**
 * fs_clone() - copy what @request says
 * @out_nr: inodes and further names that were made
 *
 * The copies are the asker's, without set-ID bits, what only the superuser may set left out, unless
 * they were his before or he is privileged.
 * Context: holds nothing; may take seconds, and is interrupted as work.h says.
 * Return: 0; -EACCES something may not be read; -EPERM @into is not fresh or another user's, or there
 *         are device nodes; -ENOTEMPTY; -EINVAL @into lies in the tree, a bad name; -ENOENT, -ENOTDIR,
 *         -ESTALE; -ENOSPC (size, memory, inodes), -ENOMEM; -EINTR; -EIO.
 */
int fs_clone(struct super *sb, const struct fs_asker *asker,
	     const struct fs_clone_request *request, uint64_t *out_nr) ZT_MUST_CHECK;

#endif
