// SPDX-License-Identifier: GPL-2.0-or-later
/* test_namei.c - names: look up, create, link, remove. */
#include "fs/dirindex.h"
#include "tests/fs/fixture.h"

#include <linux/fs.h>

static struct super *sb;

static void setup(void)
{
	sb = fixture_init();
}

static void teardown(void)
{
	fixture_exit(sb);
}

static int try_create(ino_nr parent, const char *name)
{
	struct fs_entry entry;

	return fs_mknod(sb, &user_cred, parent, name, S_IFREG | 0644, 0, &entry);
}

START_TEST(test_created_name_is_found)
{
	struct fs_entry made, found;

	ck_assert_int_eq(look_err(sb, FS_ROOT_INO, "file"), -ENOENT);
	ck_assert_int_eq(fs_mknod(sb, &user_cred, FS_ROOT_INO, "file", S_IFREG | 0644, 0, &made),
			 0);
	ck_assert_int_eq(look(sb, FS_ROOT_INO, "file", &found), 0);
	ck_assert_uint_eq(found.ino, made.ino);
	ck_assert_uint_eq(found.generation, made.generation);
	ck_assert_int_eq(memcmp(&found.attr, &made.attr, sizeof(found.attr)), 0);
	ck_assert_int_eq(look_err(sb, FS_ROOT_INO, "fil"), -ENOENT);
	ck_assert_int_eq(look_err(sb, FS_ROOT_INO, "file1"), -ENOENT);
}
END_TEST

START_TEST(test_names_have_1_to_255_bytes)
{
	char name[FS_NAME_MAX + 2];

	memset(name, 'n', sizeof(name));
	name[FS_NAME_MAX + 1] = '\0';
	ck_assert_int_eq(try_create(FS_ROOT_INO, name), -ENAMETOOLONG);
	ck_assert_int_eq(look_err(sb, FS_ROOT_INO, name), -ENAMETOOLONG);
	ck_assert_int_eq(fs_unlink(sb, FS_ROOT_INO, name), -ENAMETOOLONG);
	name[FS_NAME_MAX] = '\0';
	ck_assert_int_eq(try_create(FS_ROOT_INO, name), 0);
	ck_assert_int_eq(look_err(sb, FS_ROOT_INO, name), 0);
	ck_assert_int_eq(try_create(FS_ROOT_INO, "n"), 0);
	ck_assert_int_eq(try_create(FS_ROOT_INO, ""), -EINVAL);
	ck_assert_int_eq(try_create(FS_ROOT_INO, "a/b"), -EINVAL);
	ck_assert_int_eq(try_create(FS_ROOT_INO, "\xff\x01 \n"), 0);
	ck_assert_int_eq(look_err(sb, FS_ROOT_INO, "\xff\x01 \n"), 0);
}
END_TEST

START_TEST(test_existing_names_are_not_created_again)
{
	struct fs_entry entry;
	ino_nr ino = make_file(sb, FS_ROOT_INO, "name");
	struct ztmpfs_stat before, after;

	super_get_stat(sb, &before);
	ck_assert_int_eq(try_create(FS_ROOT_INO, "name"), -EEXIST);
	ck_assert_int_eq(fs_mkdir(sb, &user_cred, FS_ROOT_INO, "name", 0755, &entry), -EEXIST);
	ck_assert_int_eq(fs_symlink(sb, &user_cred, FS_ROOT_INO, "name", "t", &entry), -EEXIST);
	ck_assert_int_eq(fs_link(sb, ino, FS_ROOT_INO, "name", &entry), -EEXIST);
	ck_assert_int_eq(try_create(FS_ROOT_INO, "."), -EEXIST);
	ck_assert_int_eq(try_create(FS_ROOT_INO, ".."), -EEXIST);
	super_get_stat(sb, &after);
	ck_assert_uint_eq(before.inodes_used, after.inodes_used);
	ck_assert_uint_eq(attr_of(sb, ino).st_nlink, 1);
}
END_TEST

START_TEST(test_what_is_no_directory_has_no_names)
{
	ino_nr file = make_file(sb, FS_ROOT_INO, "file");
	struct fs_entry entry;

	ck_assert_int_eq(try_create(file, "name"), -ENOTDIR);
	ck_assert_int_eq(look_err(sb, file, "name"), -ENOTDIR);
	ck_assert_int_eq(look_err(sb, file, ".."), -ENOTDIR);
	ck_assert_int_eq(fs_unlink(sb, file, "name"), -ENOTDIR);
	ck_assert_int_eq(fs_link(sb, file, file, "name", &entry), -ENOTDIR);
	ck_assert_int_eq(rename_name(sb, &user_cred, FS_ROOT_INO, "file", file, "name", 0),
			 -ENOTDIR);
	ck_assert_int_eq(fs_readdir(sb, file, 0, false, NULL, NULL), -ENOTDIR);
}
END_TEST

START_TEST(test_unknown_types_are_refused)
{
	struct fs_entry entry;

	ck_assert_int_eq(fs_mknod(sb, &user_cred, FS_ROOT_INO, "n", S_IFDIR | 0755, 0, &entry),
			 -EINVAL);
	ck_assert_int_eq(fs_mknod(sb, &user_cred, FS_ROOT_INO, "n", S_IFLNK | 0755, 0, &entry),
			 -EINVAL);
	ck_assert_int_eq(fs_mknod(sb, &user_cred, FS_ROOT_INO, "n", 0755, 0, &entry), -EINVAL);
	ck_assert_int_eq(look_err(sb, FS_ROOT_INO, "n"), -ENOENT);
}
END_TEST

START_TEST(test_dots_lead_to_self_and_parent)
{
	ino_nr a = make_dir(sb, FS_ROOT_INO, "a"), b = make_dir(sb, a, "b");
	ino_nr file = make_file(sb, b, "file");

	ck_assert_uint_eq(look_ino(sb, b, "."), b);
	ck_assert_uint_eq(look_ino(sb, b, ".."), a);
	ck_assert_uint_eq(look_ino(sb, a, ".."), FS_ROOT_INO);
	ck_assert_uint_eq(look_ino(sb, FS_ROOT_INO, ".."), FS_ROOT_INO);
	ck_assert_uint_eq(look_ino(sb, FS_ROOT_INO, "."), FS_ROOT_INO);
	ck_assert_uint_eq(look_ino(sb, file, "."), file);
}
END_TEST

START_TEST(test_setgid_directory_gives_its_group)
{
	ino_nr dir = make_dir(sb, FS_ROOT_INO, "dir"), file, sub;
	struct stat attr = { .st_mode = 02775, .st_gid = 555 };

	ck_assert_int_eq(fs_setattr(sb, &root_cred, dir, &attr, FS_SET_MODE | FS_SET_GID, &attr),
			 0);
	file = make_file(sb, dir, "file");
	sub = make_dir(sb, dir, "sub");
	ck_assert_uint_eq(attr_of(sb, file).st_gid, 555);
	ck_assert_uint_eq(attr_of(sb, file).st_uid, 1000);
	ck_assert_uint_eq(attr_of(sb, file).st_mode, S_IFREG | 0644);
	ck_assert_uint_eq(attr_of(sb, sub).st_gid, 555);
	ck_assert_uint_eq(attr_of(sb, sub).st_mode, S_IFDIR | 02755);
	ck_assert_uint_eq(attr_of(sb, make_file(sb, sub, "deep")).st_gid, 555);
}
END_TEST

START_TEST(test_links_share_one_inode)
{
	ino_nr dir = make_dir(sb, FS_ROOT_INO, "dir"), ino = make_file(sb, FS_ROOT_INO, "one");
	struct fs_entry entry;

	ck_assert_int_eq(fs_link(sb, ino, dir, "two", &entry), 0);
	ck_assert_uint_eq(entry.ino, ino);
	ck_assert_uint_eq(entry.attr.st_nlink, 2);
	ck_assert_uint_eq(look_ino(sb, dir, "two"), ino);
	ck_assert_int_eq(fs_unlink(sb, FS_ROOT_INO, "one"), 0);
	ck_assert_uint_eq(attr_of(sb, ino).st_nlink, 1);
	ck_assert_uint_eq(look_ino(sb, dir, "two"), ino);
	ck_assert_int_eq(fs_unlink(sb, dir, "two"), 0);
	ck_assert_uint_eq(attr_of(sb, ino).st_nlink, 0);
	/* with its last name gone it gets no new one */
	ck_assert_int_eq(fs_link(sb, ino, dir, "three", &entry), -ENOENT);
	ck_assert_int_eq(fs_link(sb, dir, FS_ROOT_INO, "hard", &entry), -EPERM);
	fs_forget(sb, ino, 2);
}
END_TEST

START_TEST(test_links_are_limited)
{
	ino_nr ino = make_file(sb, FS_ROOT_INO, "one"), dir = make_dir(sb, FS_ROOT_INO, "dir");
	struct inode_rec *file_rec = inode_get(sb, ino), *dir_rec = inode_get(sb, dir);
	struct fs_entry entry;

	make_dir(sb, FS_ROOT_INO, "other");
	file_rec->nlink = FS_LINK_MAX;
	dir_rec->nlink = FS_LINK_MAX;
	ck_assert_int_eq(fs_link(sb, ino, FS_ROOT_INO, "two", &entry), -EMLINK);
	ck_assert_int_eq(fs_mkdir(sb, &user_cred, dir, "sub", 0755, &entry), -EMLINK);
	ck_assert_int_eq(rename_name(sb, &user_cred, FS_ROOT_INO, "other", dir, "sub", 0), -EMLINK);
	file_rec->nlink = 1;
	dir_rec->nlink = 2;
}
END_TEST

START_TEST(test_only_matching_types_are_removed)
{
	ino_nr dir = make_dir(sb, FS_ROOT_INO, "dir");

	make_file(sb, FS_ROOT_INO, "file");
	make_file(sb, dir, "inside");
	ck_assert_int_eq(fs_unlink(sb, FS_ROOT_INO, "dir"), -EISDIR);
	ck_assert_int_eq(fs_rmdir(sb, FS_ROOT_INO, "file"), -ENOTDIR);
	ck_assert_int_eq(fs_rmdir(sb, FS_ROOT_INO, "dir"), -ENOTEMPTY);
	ck_assert_int_eq(fs_unlink(sb, FS_ROOT_INO, "none"), -ENOENT);
	ck_assert_int_eq(fs_rmdir(sb, FS_ROOT_INO, "none"), -ENOENT);
	ck_assert_int_eq(fs_rmdir(sb, FS_ROOT_INO, "."), -EINVAL);
	ck_assert_int_eq(fs_rmdir(sb, FS_ROOT_INO, ".."), -ENOTEMPTY);
	ck_assert_int_eq(fs_unlink(sb, FS_ROOT_INO, "."), -EISDIR);
	ck_assert_int_eq(fs_unlink(sb, dir, "inside"), 0);
	ck_assert_int_eq(fs_rmdir(sb, FS_ROOT_INO, "dir"), 0);
	ck_assert_uint_eq(attr_of(sb, FS_ROOT_INO).st_nlink, 2);
}
END_TEST

START_TEST(test_removed_directory_takes_no_names)
{
	ino_nr dir = make_dir(sb, FS_ROOT_INO, "dir"), file = make_file(sb, FS_ROOT_INO, "file");
	struct fs_entry entry;

	ck_assert_int_eq(fs_rmdir(sb, FS_ROOT_INO, "dir"), 0);
	ck_assert_uint_eq(attr_of(sb, dir).st_nlink, 0);
	ck_assert_int_eq(try_create(dir, "name"), -ENOENT);
	ck_assert_int_eq(fs_mkdir(sb, &user_cred, dir, "name", 0755, &entry), -ENOENT);
	ck_assert_int_eq(fs_link(sb, file, dir, "name", &entry), -ENOENT);
	ck_assert_int_eq(rename_name(sb, &user_cred, FS_ROOT_INO, "file", dir, "name", 0), -ENOENT);
	ck_assert_int_eq(look_err(sb, dir, "name"), -ENOENT);
	ck_assert_int_eq(look_err(sb, dir, ".."), -ENOENT);
	ck_assert_uint_eq(look_ino(sb, dir, "."), dir);
	ck_assert_int_eq(super_check(sb), 0);
	fs_forget(sb, dir, 1);
	ck_assert_int_eq(look_err(sb, dir, "."), -ESTALE);
}
END_TEST

static fs_time time_of(ino_nr ino, unsigned which)
{
	return inode_get(sb, ino)->times[which];
}

static void age(ino_nr ino)
{
	for (unsigned i = 0; i < FS_NR_TIMES; i++)
		inode_get(sb, ino)->times[i] = 1;
}

START_TEST(test_changes_of_names_set_the_times_of_the_directory)
{
	ino_nr dir = make_dir(sb, FS_ROOT_INO, "dir"), ino = 0;
	struct fs_entry entry;

	for (unsigned step = 0; step < 5; step++) {
		age(dir);
		if (ino != 0)
			age(ino);
		switch (step) {
		case 0:
			ino = make_file(sb, dir, "file");
			break;
		case 1:
			ck_assert_int_eq(fs_link(sb, ino, dir, "link", &entry), 0);
			ck_assert_uint_gt(time_of(ino, FS_CTIME), 1);
			ck_assert_uint_eq(time_of(ino, FS_MTIME), 1);
			break;
		case 2:
			ck_assert_int_eq(fs_unlink(sb, dir, "link"), 0);
			ck_assert_uint_gt(time_of(ino, FS_CTIME), 1);
			ck_assert_uint_eq(time_of(ino, FS_MTIME), 1);
			break;
		case 3:
			make_dir(sb, dir, "sub");
			break;
		case 4:
			ck_assert_int_eq(fs_rmdir(sb, dir, "sub"), 0);
			break;
		}
		ck_assert_uint_gt(time_of(dir, FS_MTIME), 1);
		ck_assert_uint_gt(time_of(dir, FS_CTIME), 1);
		ck_assert_uint_eq(time_of(dir, FS_ATIME), 1);
	}
	ck_assert_uint_gt(time_of(ino, FS_BTIME), 0);
}
END_TEST

START_TEST(test_lookup_makes_a_missing_index)
{
	char name[16];
	ino_nr dir = make_dir(sb, FS_ROOT_INO, "dir");

	for (unsigned i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "%u", i);
		fs_forget(sb, make_file(sb, dir, name), 1);
	}
	for (unsigned i = 0; i < 4; i++) {
		dirindex_drop_all(sb);
		switch (i) {
		case 0:
			ck_assert_int_eq(look_err(sb, dir, "777"), 0);
			break;
		case 1:
			make_file(sb, dir, "new");
			break;
		case 2:
			ck_assert_int_eq(fs_unlink(sb, dir, "new"), 0);
			break;
		case 3:
			ck_assert_int_eq(rename_name(sb, &user_cred, dir, "1", dir, "one", 0), 0);
			break;
		}
		ck_assert_ptr_nonnull(dirindex_get(sb, dir));
	}
}
END_TEST

START_TEST(test_inodes_are_limited_the_root_included)
{
	struct super_params params = fixture_params();
	struct fs_entry entry;
	struct super *small;
	ino_nr ino;

	params.nr_inodes = 4;
	small = fixture_init_params(&params);
	ino = make_file(small, FS_ROOT_INO, "a");
	make_dir(small, FS_ROOT_INO, "b");
	ck_assert_int_eq(fs_symlink(small, &user_cred, FS_ROOT_INO, "c", "t", &entry), 0);
	fs_forget(small, entry.ino, 1);
	ck_assert_int_eq(fs_mkdir(small, &user_cred, FS_ROOT_INO, "d", 0, &entry), -ENOSPC);
	ck_assert_int_eq(fs_mknod(small, &user_cred, FS_ROOT_INO, "d", S_IFREG, 0, &entry),
			 -ENOSPC);
	ck_assert_int_eq(fs_symlink(small, &user_cred, FS_ROOT_INO, "d", "t", &entry), -ENOSPC);
	ck_assert_int_eq(
		rename_name(small, &user_cred, FS_ROOT_INO, "a", FS_ROOT_INO, "d", RENAME_WHITEOUT),
		-ENOSPC);
	ck_assert_int_eq(fs_link(small, ino, FS_ROOT_INO, "d", &entry), -ENOSPC);
	ck_assert_int_eq(fs_unlink(small, FS_ROOT_INO, "c"), 0);
	ck_assert_int_eq(fs_link(small, ino, FS_ROOT_INO, "d", &entry), 0);
	ck_assert_int_eq(fs_unlink(small, FS_ROOT_INO, "d"), 0);
	fs_forget(small, look_ino(small, FS_ROOT_INO, "b"), 1);
	ck_assert_int_eq(fs_rmdir(small, FS_ROOT_INO, "b"), 0);
	make_dir(small, FS_ROOT_INO, "e");
	fixture_exit(small);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("namei");
	TCase *tc = tcase_create("namei");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_created_name_is_found);
	tcase_add_test(tc, test_names_have_1_to_255_bytes);
	tcase_add_test(tc, test_existing_names_are_not_created_again);
	tcase_add_test(tc, test_what_is_no_directory_has_no_names);
	tcase_add_test(tc, test_unknown_types_are_refused);
	tcase_add_test(tc, test_dots_lead_to_self_and_parent);
	tcase_add_test(tc, test_setgid_directory_gives_its_group);
	tcase_add_test(tc, test_links_share_one_inode);
	tcase_add_test(tc, test_links_are_limited);
	tcase_add_test(tc, test_only_matching_types_are_removed);
	tcase_add_test(tc, test_removed_directory_takes_no_names);
	tcase_add_test(tc, test_changes_of_names_set_the_times_of_the_directory);
	tcase_add_test(tc, test_lookup_makes_a_missing_index);
	tcase_add_test(tc, test_inodes_are_limited_the_root_included);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
