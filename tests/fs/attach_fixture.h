/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * attach_fixture.h - a mount that goes from one life to the next, and a tree that has something of
 * everything, known by heart.
 */
#ifndef ZT_TESTS_FS_ATTACH_FIXTURE_H
#define ZT_TESTS_FS_ATTACH_FIXTURE_H

#include <fcntl.h>
#include <sys/xattr.h>

#include "fs/attach_i.h"
#include "fs/settings.h"
#include "fs/xattr.h"
#include "tests/fs/fixture.h"

/* A copy of the memfd's descriptor, for whoever attaches next. */
static inline int keep_fd(struct super *sb)
{
	int fd = fcntl(super_arena_fd(sb), F_DUPFD_CLOEXEC, 3);

	ck_assert_int_ge(fd, 0);
	return fd;
}

/* Of a mount that packs small files. */
static inline struct super_params packing_params(void)
{
	struct super_params params = fixture_params();

	params.content.recompress = "zstd";
	params.content.recompress_level = 3;
	params.packs = true;
	return params;
}

static inline struct super *attach_params(const struct super_params *params, int fd)
{
	char text[256] = "";
	struct super *sb = NULL;
	int err = super_attach(params, fd, text, &sb);

	ck_assert_msg(err == 0, "super_attach: %d %s", err, text);
	return sb;
}

/* The process ends as by a kill: nothing is said, what stands in the arena stays. */
static inline struct super *next_life_after_kill(struct super *sb, const struct super_params *params)
{
	int fd = keep_fd(sb);

	blkmap_stop(sb->map);
	super_leave(sb, false, NULL);
	return attach_params(params, fd);
}

static inline struct super *next_life_clean(struct super *sb, const struct super_params *params)
{
	int fd = keep_fd(sb);

	super_detach(sb);
	return attach_params(params, fd);
}

static inline struct super_attach_report report_of(const struct super *sb)
{
	struct super_attach_report report;

	super_get_attach_report(sb, &report);
	return report;
}

/* Bytes of a file by its number: some compress, some do not, some are zero. */
static inline void fill_bytes(unsigned nr, uint64_t off, unsigned char *buf, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		uint64_t at = off + i, cluster = at >> 16;

		if ((nr + cluster) % 5 == 4)
			buf[i] = 7;
		else if ((nr + cluster) % 3 == 0)
			buf[i] = (unsigned char)(keyhash_word(&(struct keyhash_key){ nr, 1 }, at));
		else
			buf[i] = (unsigned char)("some text that repeats"[at % 22] + nr % 5);
	}
}

static inline void write_filled(struct super *sb, ino_nr ino, unsigned nr, uint64_t off, size_t len)
{
	unsigned char *buf = malloc(len);

	ck_assert_ptr_nonnull(buf);
	fill_bytes(nr, off, buf, len);
	write_all(sb, ino, off, buf, len);
	free(buf);
}

static inline void check_filled(struct super *sb, ino_nr ino, unsigned nr, uint64_t off, size_t len)
{
	unsigned char *is = malloc(len), *want = malloc(len);
	size_t got;

	ck_assert(is && want);
	fill_bytes(nr, off, want, len);
	ck_assert_int_eq(fs_read(sb, ino, off, is, len, &got), 0);
	ck_assert_uint_eq(got, len);
	ck_assert(memcmp(is, want, len) == 0);
	free(is);
	free(want);
}

#define TREE_FILES 700u

/* Something of everything; no reference stays with the kernel. */
static inline void make_tree(struct super *sb)
{
	ino_nr dir = make_dir(sb, FS_ROOT_INO, "dir"), big, sparse, ino, sub;
	struct fs_entry entry;
	char name[300];
	uint64_t done;

	for (unsigned i = 0; i < TREE_FILES; i++) {
		snprintf(name, sizeof(name), "file-%u-%0*u", i, 1 + (int)(i % 60), 0);
		ino = make_file(sb, dir, name);
		write_filled(sb, ino, i, 0, i * 37 % 9000);
		fs_forget(sb, ino, 1);
	}
	big = make_file(sb, FS_ROOT_INO, "big");
	write_filled(sb, big, 1, 0, 5 << 20);
	for (unsigned i = 0; i < 9; i++) /* cluster maps */
		write_filled(sb, big, 1, i * 131072 + 4096, 4096);
	sparse = make_file(sb, FS_ROOT_INO, "sparse");
	write_filled(sb, sparse, 2, UINT64_C(1) << 40, 10000);
	write_filled(sb, sparse, 2, 0, 10);
	ino = make_file(sb, FS_ROOT_INO, "copy");
	ck_assert_int_eq(fs_copy_range(sb, &user_cred, big, 0, ino, 0, 4 << 20, &done), 0);
	ck_assert_int_eq(fs_link(sb, big, dir, "big-again", &entry), 0);
	ck_assert_int_eq(fs_symlink(sb, &user_cred, dir, "link", "../somewhere", &entry), 0);
	fs_forget(sb, entry.ino, 1);
	memset(name, 'l', 299);
	name[299] = '\0';
	ck_assert_int_eq(fs_symlink(sb, &user_cred, dir, "long", name, &entry), 0);
	fs_forget(sb, entry.ino, 1);
	ck_assert_int_eq(fs_setxattr(sb, sparse, "user.a", "value", 5, 0), 0);
	ck_assert_int_eq(fs_setxattr(sb, sparse, "user.large", name, 299, 0), 0);
	ck_assert_int_eq(fs_setxattr(sb, sparse, "security.capability", "12345678", 8, 0), 0);
	sub = make_dir(sb, dir, "sub");
	ck_assert_int_eq(fs_mknod(sb, &user_cred, sub, "pipe", S_IFIFO | 0600, 0, &entry), 0);
	fs_forget(sb, entry.ino, 1);
	fs_forget(sb, sub, 1);
	fs_forget(sb, big, 2);
	fs_forget(sb, sparse, 1);
	fs_forget(sb, ino, 1);
	fs_forget(sb, dir, 1);
}

static inline void check_tree(struct super *sb)
{
	ino_nr dir = look_ino(sb, FS_ROOT_INO, "dir"), big = look_ino(sb, FS_ROOT_INO, "big");
	ino_nr sparse = look_ino(sb, FS_ROOT_INO, "sparse");
	char name[FS_SYMLINK_MAX + 1];
	size_t len;

	for (unsigned i = 0; i < TREE_FILES; i++) {
		ino_nr ino;

		snprintf(name, sizeof(name), "file-%u-%0*u", i, 1 + (int)(i % 60), 0);
		ino = look_ino(sb, dir, name);
		ck_assert_uint_ne(ino, 0);
		ck_assert_int_eq(attr_of(sb, ino).st_size, i * 37 % 9000);
		check_filled(sb, ino, i, 0, i * 37 % 9000);
	}
	check_filled(sb, big, 1, 0, 5 << 20);
	ck_assert_uint_eq(look_ino(sb, dir, "big-again"), big);
	ck_assert_uint_eq(attr_of(sb, big).st_nlink, 2);
	check_filled(sb, look_ino(sb, FS_ROOT_INO, "copy"), 1, 0, 4 << 20);
	check_filled(sb, sparse, 2, UINT64_C(1) << 40, 10000);
	check_filled(sb, sparse, 2, 0, 10);
	ck_assert_int_eq(fs_getxattr(sb, sparse, "user.a", name, 100, &len), 0);
	ck_assert_uint_eq(len, 5);
	ck_assert(memcmp(name, "value", 5) == 0);
	ck_assert_int_eq(fs_getxattr(sb, sparse, "security.capability", name, 100, &len), 0);
	ck_assert_int_eq(fs_readlink(sb, look_ino(sb, dir, "link"), name), 0);
	ck_assert_str_eq(name, "../somewhere");
	ck_assert_int_eq(fs_readlink(sb, look_ino(sb, dir, "long"), name), 0);
	ck_assert_uint_eq(strlen(name), 299);
	ck_assert_uint_eq(attr_of(sb, dir).st_nlink, 3);
	ck_assert_uint_ne(look_ino(sb, look_ino(sb, dir, "sub"), "pipe"), 0);
	ck_assert_uint_eq(look_ino(sb, look_ino(sb, dir, "sub"), ".."), dir);
}

#endif
