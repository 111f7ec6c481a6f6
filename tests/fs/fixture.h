/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fixture.h - a mount to try the fs layer on, and short ways to call it.
 *
 * Each test ends with fixture_exit(), which runs all walkers.
 */
#ifndef ZT_TESTS_FS_FIXTURE_H
#define ZT_TESTS_FS_FIXTURE_H

#include <errno.h>
#include <string.h>

#include "fs/dir.h"
#include "fs/file.h"
#include "fs/inode_i.h"
#include "fs/namei.h"
#include "fs/super.h"
#include "tests/lib/zt_check.h"

static const struct fs_cred root_cred = { .uid = 0 };
static const struct fs_cred user_cred = { .uid = 1000, .gid = 1000 };

static inline struct super_params fixture_params(void)
{
	return (struct super_params){
		.mode = 01777,
		.acl = true,
		.cluster_order = 4,
		.content.comp.name = "lz4",
		.content.comp.level = ZCOMP_LEVEL_DEFAULT,
		.content.comp.nr_streams = 2,
	};
}

static inline struct super *fixture_init_params(const struct super_params *params)
{
	char text[256] = "";
	struct super *sb = NULL;
	int err = super_create(params, text, &sb);

	ck_assert_msg(err == 0, "super_create: %d %s", err, text);
	return sb;
}

static inline struct super *fixture_init(void)
{
	struct super_params params = fixture_params();

	return fixture_init_params(&params);
}

static inline void fixture_exit(struct super *sb)
{
	ck_assert_int_eq(super_check(sb), 0);
	super_destroy(sb);
}

static inline uint64_t fixture_meta_objects(struct super *sb)
{
	struct zs_pool_stat stat;

	zs_pool_get_stat(sb->meta, &stat);
	return stat.objects;
}

/* Each gives the kernel a reference, as the calls below do. */
static inline ino_nr make_file(struct super *sb, ino_nr parent, const char *name)
{
	struct fs_entry entry;

	ck_assert_int_eq(fs_mknod(sb, &user_cred, parent, name, S_IFREG | 0644, 0, &entry), 0);
	return entry.ino;
}

static inline ino_nr make_dir(struct super *sb, ino_nr parent, const char *name)
{
	struct fs_entry entry;

	ck_assert_int_eq(fs_mkdir(sb, &user_cred, parent, name, 0755, &entry), 0);
	return entry.ino;
}

/* For those who do not ask which directories have another parent now. */
static inline int rename_name(struct super *sb, const struct fs_cred *cred, ino_nr parent,
			      const char *name, ino_nr new_parent, const char *new_name,
			      unsigned flags)
{
	struct fs_moved moved;

	return fs_rename(sb, cred, parent, name, new_parent, new_name, flags, &moved);
}

/* The inode a name leads to, or the error; keeps no reference. */
static inline int look(struct super *sb, ino_nr parent, const char *name, struct fs_entry *out)
{
	int err = fs_lookup(sb, parent, name, out);

	if (!err)
		fs_forget(sb, out->ino, 1);
	return err;
}

static inline int look_err(struct super *sb, ino_nr parent, const char *name)
{
	struct fs_entry entry;

	return look(sb, parent, name, &entry);
}

static inline ino_nr look_ino(struct super *sb, ino_nr parent, const char *name)
{
	struct fs_entry entry;

	return look(sb, parent, name, &entry) ? 0 : entry.ino;
}

static inline struct stat attr_of(struct super *sb, ino_nr ino)
{
	struct stat attr;

	ck_assert_int_eq(fs_getattr(sb, ino, &attr), 0);
	return attr;
}

/* One assertion instead of one for each byte. */
static inline bool is_zero(const void *buf, size_t len)
{
	const char *at = buf;

	return len == 0 || (at[0] == 0 && memcmp(at, at + 1, len - 1) == 0);
}

static inline void write_all(struct super *sb, ino_nr ino, uint64_t off, const void *buf,
			     size_t len)
{
	size_t done = 0;

	ck_assert_int_eq(fs_write(sb, &user_cred, ino, off, buf, len, 0, &done), 0);
	ck_assert_uint_eq(done, len);
}

#endif
