// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_fileattr.c - chattr's flags: how they are set, who inherits them, and what they forbid.
 */
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>

#include "fs/fileattr.h"
#include "fs/xattr.h"
#include "tests/fs/fixture.h"

static struct super *sb;
static ino_nr dir, sub, file, other;

static void setup(void)
{
	sb = fixture_init();
	dir = make_dir(sb, FS_ROOT_INO, "dir");
	sub = make_dir(sb, dir, "sub");
	file = make_file(sb, dir, "file");
	other = make_file(sb, FS_ROOT_INO, "other");
	write_all(sb, file, 0, "0123456789", 10);
	ck_assert_int_eq(fs_setxattr(sb, file, "user.old", "1", 1, 0), 0);
}

static void teardown(void)
{
	fixture_exit(sb);
}

static void chattr(ino_nr ino, uint32_t flags)
{
	uint32_t now;

	ck_assert_int_eq(fs_set_flags(sb, NULL, ino, flags), 0);
	ck_assert_int_eq(fs_get_flags(sb, ino, &now), 0);
	ck_assert_uint_eq(now, flags);
}

static int write_at(uint64_t off, const char *text)
{
	size_t done;

	return fs_write(sb, &user_cred, file, off, text, strlen(text), FS_WRITE_DELAYED, &done);
}

static int set(ino_nr ino, unsigned which)
{
	struct stat attr = { .st_mode = 0600, .st_size = 3 };

	return fs_setattr(sb, &root_cred, ino, &attr, which, &attr);
}

static int make(ino_nr parent, const char *name)
{
	struct fs_entry entry;
	int err = fs_mknod(sb, &user_cred, parent, name, S_IFREG | 0644, 0, &entry);

	if (!err)
		fs_forget(sb, entry.ino, 1);
	return err;
}

static int link_to(ino_nr ino, ino_nr parent, const char *name)
{
	struct fs_entry entry;
	int err = fs_link(sb, ino, parent, name, &entry);

	if (!err)
		fs_forget(sb, ino, 1);
	return err;
}

static int move(ino_nr from, const char *name, ino_nr to, const char *new_name, unsigned flags)
{
	return rename_name(sb, &user_cred, from, name, to, new_name, flags);
}

START_TEST(test_flags_are_those_of_tmpfs)
{
	struct fs_entry fifo;
	uint32_t flags;

	chattr(file, FS_IMMUTABLE_FL);
	chattr(file, FS_APPEND_FL | FS_NODUMP_FL | FS_NOATIME_FL);
	ck_assert_int_eq(fs_set_flags(sb, NULL, file, FS_SYNC_FL), -EOPNOTSUPP);
	ck_assert_int_eq(fs_set_flags(sb, NULL, file, FS_NOCOW_FL | FS_NODUMP_FL), -EOPNOTSUPP);
	ck_assert_int_eq(fs_get_flags(sb, file, &flags), 0);
	ck_assert_uint_eq(flags, FS_APPEND_FL | FS_NODUMP_FL | FS_NOATIME_FL);
	chattr(file, 0);
	ck_assert_int_eq(fs_mknod(sb, &user_cred, dir, "fifo", S_IFIFO | 0644, 0, &fifo), 0);
	ck_assert_int_eq(fs_get_flags(sb, fifo.ino, &flags), -ENOTTY);
	ck_assert_int_eq(fs_set_flags(sb, NULL, fifo.ino, 0), -ENOTTY);
	ck_assert_int_eq(fs_get_flags(sb, file + 1000, &flags), -ESTALE);
	ck_assert_int_eq(fs_set_flags(sb, NULL, file + 1000, 0), -ESTALE);
}
END_TEST

START_TEST(test_nodump_and_noatime_are_inherited)
{
	uint32_t flags;

	chattr(dir, FS_NODUMP_FL | FS_NOATIME_FL | FS_APPEND_FL);
	ck_assert_int_eq(fs_get_flags(sb, make_file(sb, dir, "new"), &flags), 0);
	ck_assert_uint_eq(flags, FS_NODUMP_FL | FS_NOATIME_FL);
	ck_assert_int_eq(fs_get_flags(sb, make_dir(sb, dir, "newdir"), &flags), 0);
	ck_assert_uint_eq(flags, FS_NODUMP_FL | FS_NOATIME_FL);
}
END_TEST

START_TEST(test_noatime_leaves_atime_alone)
{
	char buf[4];
	size_t len;

	inode_get(sb, file)->times[FS_ATIME] = 1;
	chattr(file, FS_NOATIME_FL);
	ck_assert_int_eq(fs_read(sb, file, 0, buf, sizeof(buf), &len), 0);
	ck_assert_uint_eq(inode_get(sb, file)->times[FS_ATIME], 1);
	chattr(file, 0);
	ck_assert_int_eq(fs_read(sb, file, 0, buf, sizeof(buf), &len), 0);
	ck_assert_uint_gt(inode_get(sb, file)->times[FS_ATIME], 1);
}
END_TEST

START_TEST(test_immutable_file_does_not_change)
{
	char buf[32];
	size_t len;
	uint64_t copied;

	chattr(file, FS_IMMUTABLE_FL);
	ck_assert(fs_is_immutable(sb, file));
	ck_assert_int_eq(write_at(0, "x"), -EPERM);
	ck_assert_int_eq(write_at(0, "0"), -EPERM);
	ck_assert_int_eq(write_at(10, "x"), -EPERM);
	ck_assert_int_eq(fs_fallocate(sb, &root_cred, file, 0, 0, 100), -EPERM);
	ck_assert_int_eq(fs_fallocate(sb, &root_cred, file, FALLOC_FL_KEEP_SIZE, 0, 100), -EPERM);
	for (unsigned bit = 0; bit <= 10; bit++)
		if (bit != 6 && bit != 9)
			ck_assert_int_eq(set(file, 1u << bit), -EPERM);
	ck_assert_int_eq(fs_setxattr(sb, file, "user.new", "1", 1, 0), -EPERM);
	ck_assert_int_eq(fs_removexattr(sb, file, "user.old"), -EPERM);
	ck_assert_int_eq(link_to(file, FS_ROOT_INO, "link"), -EPERM);
	ck_assert_int_eq(fs_unlink(sb, dir, "file"), -EPERM);
	ck_assert_int_eq(move(dir, "file", dir, "new", 0), -EPERM);
	ck_assert_int_eq(move(FS_ROOT_INO, "other", dir, "file", 0), -EPERM);
	ck_assert_int_eq(move(FS_ROOT_INO, "other", dir, "file", RENAME_EXCHANGE), -EPERM);
	ck_assert_int_eq(fs_may_open(sb, file, O_RDONLY), 0);
	ck_assert_int_eq(fs_may_open(sb, file, O_RDONLY | O_TRUNC), -EPERM);
	ck_assert_int_eq(fs_may_open(sb, file, O_WRONLY | O_APPEND), -EPERM);
	ck_assert_int_eq(fs_may_open(sb, file, O_RDWR), -EPERM);
	ck_assert_int_eq(fs_read(sb, file, 0, buf, sizeof(buf), &len), 0);
	ck_assert_uint_eq(len, 10);
	ck_assert_mem_eq(buf, "0123456789", 10);
	ck_assert_int_eq(fs_copy_range(sb, &user_cred, other, 0, file, 0, 100, &copied), -EPERM);
	chattr(file, 0);
	ck_assert_int_eq(write_at(0, "x"), 0);
	ck_assert_int_eq(fs_unlink(sb, dir, "file"), 0);
	ck_assert_int_eq(fs_may_open(sb, file + 1000, O_RDONLY), -ESTALE);
}
END_TEST

START_TEST(test_append_only_file_grows)
{
	struct stat attr = { 0 };
	char buf[32];
	size_t len;

	chattr(file, FS_APPEND_FL);
	ck_assert(!fs_is_immutable(sb, file));
	ck_assert_int_eq(write_at(10, "abc"), 0);
	/* The kernel brings whole pages: the same bytes again, and more. */
	ck_assert_int_eq(write_at(0, "0123456789abcdef"), 0);
	ck_assert_int_eq(write_at(3, "345"), 0);
	ck_assert_int_eq(write_at(3, "34x"), -EPERM);
	ck_assert_int_eq(write_at(15, "xyz"), -EPERM);
	ck_assert_int_eq(fs_fallocate(sb, &root_cred, file, FALLOC_FL_KEEP_SIZE, 0, 100), 0);
	ck_assert_int_eq(fs_fallocate(sb, &root_cred, file, 0, 0, 100), 0);
	ck_assert_int_eq(fs_fallocate(sb, &root_cred, file,
				      FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, 0, 1),
			 -EPERM);
	ck_assert_int_eq(fs_fallocate(sb, &root_cred, file, FALLOC_FL_ZERO_RANGE, 0, 1), -EPERM);
	ck_assert_int_eq(set(file, FS_SET_MODE), -EPERM);
	ck_assert_int_eq(set(file, FS_SET_UID), -EPERM);
	ck_assert_int_eq(set(file, FS_SET_SIZE), -EPERM);
	ck_assert_int_eq(set(file, FS_SET_MTIME), -EPERM);
	ck_assert_int_eq(set(file, FS_SET_ATIME | FS_SET_MTIME | FS_SET_CTIME | FS_SET_BY_HANDLE),
			 -EPERM);
	/* What may be: touch, and times that the kernel kept. */
	ck_assert_int_eq(
		set(file, FS_SET_ATIME | FS_SET_ATIME_NOW | FS_SET_MTIME | FS_SET_MTIME_NOW), 0);
	ck_assert_int_eq(set(file, FS_SET_MTIME | FS_SET_CTIME | FS_SET_BY_HANDLE), 0);
	ck_assert_int_eq(set(file, FS_SET_MTIME | FS_SET_CTIME), 0);
	attr.st_mtim.tv_sec = 5;
	ck_assert_int_eq(
		fs_setattr(sb, &root_cred, file, &attr, FS_SET_MTIME | FS_SET_CTIME, &attr),
		-EPERM);
	ck_assert_int_eq(fs_setxattr(sb, file, "user.new", "1", 1, 0), -EPERM);
	ck_assert_int_eq(link_to(file, FS_ROOT_INO, "link"), -EPERM);
	ck_assert_int_eq(fs_unlink(sb, dir, "file"), -EPERM);
	ck_assert_int_eq(move(dir, "file", dir, "new", 0), -EPERM);
	ck_assert_int_eq(fs_may_open(sb, file, O_WRONLY), -EPERM);
	ck_assert_int_eq(fs_may_open(sb, file, O_WRONLY | O_APPEND), 0);
	ck_assert_int_eq(fs_may_open(sb, file, O_WRONLY | O_APPEND | O_TRUNC), -EPERM);
	ck_assert_int_eq(fs_read(sb, file, 0, buf, sizeof(buf), &len), 0);
	ck_assert_uint_eq(len, sizeof(buf));
	ck_assert_mem_eq(buf, "0123456789abcdef\0\0", 18);
}
END_TEST

START_TEST(test_immutable_directory_keeps_its_names)
{
	struct fs_entry entry;

	chattr(dir, FS_IMMUTABLE_FL);
	ck_assert_int_eq(make(dir, "new"), -EPERM);
	ck_assert_int_eq(make(dir, "file"), -EEXIST);
	ck_assert_int_eq(fs_mkdir(sb, &user_cred, dir, "new", 0755, &entry), -EPERM);
	ck_assert_int_eq(fs_symlink(sb, &user_cred, dir, "new", "t", &entry), -EPERM);
	ck_assert_int_eq(link_to(other, dir, "new"), -EPERM);
	ck_assert_int_eq(fs_unlink(sb, dir, "file"), -EPERM);
	ck_assert_int_eq(fs_rmdir(sb, dir, "sub"), -EPERM);
	ck_assert_int_eq(fs_rmdir(sb, FS_ROOT_INO, "dir"), -EPERM);
	ck_assert_int_eq(move(dir, "file", dir, "new", 0), -EPERM);
	ck_assert_int_eq(move(dir, "file", FS_ROOT_INO, "new", 0), -EPERM);
	ck_assert_int_eq(move(FS_ROOT_INO, "other", dir, "new", 0), -EPERM);
	ck_assert_int_eq(move(FS_ROOT_INO, "dir", FS_ROOT_INO, "new", 0), -EPERM);
	/* What stands in it may change. */
	ck_assert_int_eq(write_at(0, "x"), 0);
	ck_assert_int_eq(make(sub, "new"), 0);
}
END_TEST

START_TEST(test_append_only_directory_takes_names_and_gives_none)
{
	chattr(dir, FS_APPEND_FL);
	ck_assert_int_eq(make(dir, "new"), 0);
	ck_assert_int_eq(link_to(other, dir, "link"), 0);
	ck_assert_int_eq(move(FS_ROOT_INO, "other", dir, "moved", 0), 0);
	ck_assert_int_eq(fs_unlink(sb, dir, "new"), -EPERM);
	ck_assert_int_eq(fs_rmdir(sb, dir, "sub"), -EPERM);
	ck_assert_int_eq(move(dir, "new", dir, "newer", 0), -EPERM);
	ck_assert_int_eq(move(dir, "new", FS_ROOT_INO, "newer", 0), -EPERM);
	ck_assert_int_eq(make(FS_ROOT_INO, "another"), 0);
	ck_assert_int_eq(move(FS_ROOT_INO, "another", dir, "new", 0), -EPERM);
}
END_TEST

START_TEST(test_capability_goes_when_a_file_changes)
{
	static const char name[] = "security.capability";
	size_t len, done;

	for (unsigned i = 0; i < 5; i++) {
		ck_assert_int_eq(fs_setxattr(sb, file, name, "cap", 3, 0), 0);
		switch (i) {
		case 0:
			ck_assert_int_eq(fs_write(sb, &root_cred, file, 0, "x", 1, 0, &done), 0);
			break;
		case 1:
			ck_assert_int_eq(set(file, FS_SET_SIZE), 0);
			break;
		case 2:
			ck_assert_int_eq(set(file, FS_SET_UID), 0);
			break;
		case 3:
			ck_assert_int_eq(set(file, FS_SET_GID), 0);
			break;
		case 4:
			ck_assert_int_eq(fs_fallocate(sb, &root_cred, file, 0, 0, 100), 0);
			break;
		}
		ck_assert_int_eq(fs_getxattr(sb, file, name, NULL, 0, &len), -ENODATA);
	}
	/* Modes and times are no such change; delayed writes were checked by the kernel. */
	ck_assert_int_eq(fs_setxattr(sb, file, name, "cap", 3, 0), 0);
	ck_assert_int_eq(set(file, FS_SET_MODE | FS_SET_MTIME), 0);
	ck_assert_int_eq(write_at(0, "x"), 0);
	ck_assert_int_eq(fs_getxattr(sb, file, name, NULL, 0, &len), 0);
}
END_TEST

START_TEST(test_rename_says_which_directories_moved)
{
	struct fs_moved moved = { { 5, 5 } };
	ino_nr top = make_dir(sb, FS_ROOT_INO, "top");

	ck_assert_int_eq(fs_rename(sb, &user_cred, dir, "sub", dir, "sub2", 0, &moved), 0);
	ck_assert(moved.dirs[0] == 0 && moved.dirs[1] == 0);
	ck_assert_int_eq(fs_rename(sb, &user_cred, dir, "file", top, "file", 0, &moved), 0);
	ck_assert(moved.dirs[0] == 0 && moved.dirs[1] == 0);
	ck_assert_int_eq(fs_rename(sb, &user_cred, dir, "sub2", top, "sub", 0, &moved), 0);
	ck_assert(moved.dirs[0] == sub && moved.dirs[1] == 0);
	file = make_dir(sb, dir, "sub3");
	ck_assert_int_eq(
		fs_rename(sb, &user_cred, top, "sub", dir, "sub3", RENAME_EXCHANGE, &moved), 0);
	ck_assert(moved.dirs[0] == sub && moved.dirs[1] == file);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("fileattr");
	TCase *tc = tcase_create("fileattr");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_flags_are_those_of_tmpfs);
	tcase_add_test(tc, test_nodump_and_noatime_are_inherited);
	tcase_add_test(tc, test_noatime_leaves_atime_alone);
	tcase_add_test(tc, test_immutable_file_does_not_change);
	tcase_add_test(tc, test_append_only_file_grows);
	tcase_add_test(tc, test_immutable_directory_keeps_its_names);
	tcase_add_test(tc, test_append_only_directory_takes_names_and_gives_none);
	tcase_add_test(tc, test_capability_goes_when_a_file_changes);
	tcase_add_test(tc, test_rename_says_which_directories_moved);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
