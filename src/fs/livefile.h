/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * livefile.h - which file a snapshot of the mount is read by, for those who make and end inodes.
 */
#ifndef ZT_FS_LIVEFILE_H
#define ZT_FS_LIVEFILE_H

#include <stdbool.h>

#include "fs/inode.h"
#include "fs/super.h"

/** livesave_is_of() - whether reads of this file are for livesave_read(). Lock-free. */
bool livesave_is_of(const struct super *sb, ino_nr ino);

/** livesave_forget() - the file goes, and the snapshot with it. Context: any locks. */
void livesave_forget(struct super *sb, ino_nr ino);

/** livesave_end() - the mount ends. No request is running. */
void livesave_end(struct super *sb);

#endif
