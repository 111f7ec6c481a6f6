/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * use_all.h - look at all that a mount holds, whatever it is: for mounts out of damaged images.
 *
 * Errors are answers. Crashes, and what sanitizers see, are not.
 */
#ifndef ZT_TESTS_FS_USE_ALL_H
#define ZT_TESTS_FS_USE_ALL_H

#include <stdlib.h>

#include "fs/file.h"
#include "fs/inode_i.h"
#include "fs/namei.h"
#include "fs/xattr.h"
#include "util/sizes.h"

#define USE_BYTES (UINT64_C(1) << 17)
#ifndef USE_READS
#define USE_READS 16u /* of a file's beginning */
#endif

static inline bool use_entry(void *arg, const struct fs_dirent *found)
{
	(void)found;
	return ++*(unsigned *)arg < 10000;
}

static inline void use_inode(struct super *sb, ino_nr ino, char *buf)
{
	unsigned nr = 0;
	struct stat st;
	size_t len;

	if (fs_getattr(sb, ino, &st) != 0)
		return;
	for (uint64_t off = 0; S_ISREG(st.st_mode) && off < USE_READS * USE_BYTES; off += USE_BYTES)
		(void)!fs_read(sb, ino, off, buf, USE_BYTES, &len);
	if (S_ISREG(st.st_mode))
		(void)!fs_read(sb, ino, (uint64_t)st.st_size & ~(USE_BYTES - 1), buf, USE_BYTES,
			       &len);
	if (S_ISLNK(st.st_mode))
		(void)!fs_readlink(sb, ino, buf);
	if (S_ISDIR(st.st_mode))
		(void)!fs_readdir(sb, ino, 0, false, use_entry, &nr);
	(void)!fs_listxattr(sb, ino, true, buf, USE_BYTES, &len);
	(void)!fs_getxattr(sb, ino, "user.large", buf, USE_BYTES, &len);
}

static inline void use_all(struct super *sb)
{
	char *buf = malloc(USE_BYTES);

	if (!buf)
		abort();
	use_inode(sb, FS_ROOT_INO, buf);
	for (uint64_t ino = 1; inodeset_next(&sb->live, ino, &ino); ino++)
		use_inode(sb, ino, buf);
	free(buf);
}

#endif
