// SPDX-License-Identifier: GPL-2.0-or-later
/* test_symlink.c - symbolic links. */
#include "tests/fs/fixture.h"

static struct super *sb;

static void setup(void)
{
	sb = fixture_init();
}

static void teardown(void)
{
	fixture_exit(sb);
}

START_TEST(test_target_is_read_back_at_every_length)
{
	static const size_t lens[] = { 1, 7, 8, 9, 100, 1000, FS_SYMLINK_MAX };
	char target[FS_SYMLINK_MAX + 2], buf[FS_SYMLINK_MAX + 1], name[8];
	struct fs_entry entry;

	for (size_t i = 0; i < ARRAY_SIZE(lens); i++) {
		memset(target, 'a' + (int)i, lens[i]);
		target[lens[i]] = '\0';
		snprintf(name, sizeof(name), "%zu", i);
		ck_assert_int_eq(fs_symlink(sb, &user_cred, FS_ROOT_INO, name, target, &entry), 0);
		ck_assert_uint_eq(entry.attr.st_mode, S_IFLNK | 0777);
		ck_assert_int_eq(entry.attr.st_size, (off_t)lens[i]);
		ck_assert_int_eq(entry.attr.st_blocks, 0);
		ck_assert_int_eq(fs_readlink(sb, entry.ino, buf), 0);
		ck_assert_str_eq(buf, target);
		fs_forget(sb, entry.ino, 1);
		ck_assert_int_eq(super_check(sb), 0);
		ck_assert_int_eq(fs_unlink(sb, FS_ROOT_INO, name), 0);
		ck_assert_uint_eq(fixture_meta_objects(sb), 0);
	}
}
END_TEST

START_TEST(test_targets_have_1_to_4095_bytes)
{
	char target[FS_SYMLINK_MAX + 2];
	struct fs_entry entry;

	memset(target, 't', sizeof(target));
	target[FS_SYMLINK_MAX + 1] = '\0';
	ck_assert_int_eq(fs_symlink(sb, &user_cred, FS_ROOT_INO, "l", target, &entry),
			 -ENAMETOOLONG);
	ck_assert_int_eq(fs_symlink(sb, &user_cred, FS_ROOT_INO, "l", "", &entry), -ENOENT);
	ck_assert_int_eq(look_err(sb, FS_ROOT_INO, "l"), -ENOENT);
}
END_TEST

/* A long target takes space of that which nr_inodes gives. */
START_TEST(test_long_targets_are_refused_when_their_space_is_used_up)
{
	struct super_params params = fixture_params();
	struct super *small;
	char target[1001], name[16];
	struct fs_entry entry;
	int err = 0, nr = 0;

	params.nr_inodes = 50;
	small = fixture_init_params(&params);
	memset(target, 't', sizeof(target) - 1);
	target[sizeof(target) - 1] = '\0';
	while (!err && nr < 50) {
		snprintf(name, sizeof(name), "%d", nr);
		err = fs_symlink(small, &user_cred, FS_ROOT_INO, name, target, &entry);
		nr += !err;
	}
	ck_assert_int_eq(err, -ENOSPC);
	ck_assert_int_gt(nr, 0);
	ck_assert_int_lt(nr, 49);
	ck_assert_int_eq(super_check(small), 0);
	ck_assert_int_eq(fs_symlink(small, &user_cred, FS_ROOT_INO, "short", "t", &entry), 0);
	fixture_exit(small);
}
END_TEST

START_TEST(test_only_links_are_read)
{
	char buf[FS_SYMLINK_MAX + 1];

	ck_assert_int_eq(fs_readlink(sb, make_file(sb, FS_ROOT_INO, "file"), buf), -EINVAL);
	ck_assert_int_eq(fs_readlink(sb, FS_ROOT_INO, buf), -EINVAL);
}
END_TEST

START_TEST(test_reading_sets_atime)
{
	char buf[FS_SYMLINK_MAX + 1];
	struct fs_entry entry;

	ck_assert_int_eq(fs_symlink(sb, &user_cred, FS_ROOT_INO, "l", "target", &entry), 0);
	inode_get(sb, entry.ino)->times[FS_ATIME] = 1;
	ck_assert_int_eq(fs_readlink(sb, entry.ino, buf), 0);
	ck_assert_uint_gt(inode_get(sb, entry.ino)->times[FS_ATIME], 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("symlink");
	TCase *tc = tcase_create("symlink");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_target_is_read_back_at_every_length);
	tcase_add_test(tc, test_targets_have_1_to_4095_bytes);
	tcase_add_test(tc, test_long_targets_are_refused_when_their_space_is_used_up);
	tcase_add_test(tc, test_only_links_are_read);
	tcase_add_test(tc, test_reading_sets_atime);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
