// SPDX-License-Identifier: GPL-2.0-or-later
/* test_tmpfile.c - files without a name, their first name, and who takes set-ID bits away. */
#include "tests/fs/fixture.h"
#include "util/alloc.h"

static struct super *sb;

static void setup(void)
{
	sb = fixture_init();
}

static void teardown(void)
{
	fixture_exit(sb);
}

static uint64_t inodes_used(void)
{
	struct ztmpfs_stat stat;

	super_get_stat(sb, &stat);
	return stat.inodes_used;
}

static ino_nr make_tmpfile(ino_nr parent, bool linkable)
{
	struct fs_entry entry;

	ck_assert_int_eq(fs_tmpfile(sb, &user_cred, parent, 0640, linkable, &entry), 0);
	return entry.ino;
}

START_TEST(test_tmpfile_has_no_name_and_goes_with_its_reference)
{
	const uint64_t before = inodes_used();
	const ino_nr ino = make_tmpfile(FS_ROOT_INO, true);
	const struct stat attr = attr_of(sb, ino);
	size_t done;

	ck_assert_uint_eq(attr.st_nlink, 0);
	ck_assert_uint_eq(attr.st_mode, S_IFREG | 0640);
	ck_assert_uint_eq(attr.st_uid, user_cred.uid);
	ck_assert_int_eq(fs_write(sb, &user_cred, ino, 0, "abc", 3, 0, &done), 0);
	ck_assert_uint_eq(inodes_used(), before + 1);
	fs_forget(sb, ino, 1);
	ck_assert_uint_eq(inodes_used(), before);
}
END_TEST

START_TEST(test_tmpfile_leaves_its_directory_as_it_was_and_inherits_its_group)
{
	const ino_nr dir = make_dir(sb, FS_ROOT_INO, "d");
	struct stat attr = { .st_mode = 02777, .st_gid = 77 };
	struct stat before, after;
	ino_nr ino;

	ck_assert_int_eq(fs_setattr(sb, &root_cred, dir, &attr, FS_SET_MODE | FS_SET_GID, &before),
			 0);
	ino = make_tmpfile(dir, true);
	after = attr_of(sb, dir);
	ck_assert_int_eq(after.st_size, before.st_size);
	ck_assert_int_eq(after.st_mtim.tv_nsec, before.st_mtim.tv_nsec);
	ck_assert_uint_eq(attr_of(sb, ino).st_gid, 77);
	fs_forget(sb, ino, 1);
}
END_TEST

START_TEST(test_first_name_makes_it_a_file_like_any_other)
{
	const ino_nr ino = make_tmpfile(FS_ROOT_INO, true);
	struct fs_entry entry;

	ck_assert_int_eq(fs_link(sb, ino, FS_ROOT_INO, "named", &entry), 0);
	ck_assert_uint_eq(entry.attr.st_nlink, 1);
	ck_assert_int_eq(fs_link(sb, ino, FS_ROOT_INO, "again", &entry), 0);
	ck_assert_uint_eq(entry.attr.st_nlink, 2);
	fs_forget(sb, ino, 3);
	ck_assert_uint_eq(look_ino(sb, FS_ROOT_INO, "named"), ino);
}
END_TEST

START_TEST(test_name_once_lost_does_not_come_back)
{
	const ino_nr ino = make_tmpfile(FS_ROOT_INO, true);
	struct fs_entry entry;

	ck_assert_int_eq(fs_link(sb, ino, FS_ROOT_INO, "named", &entry), 0);
	ck_assert_int_eq(fs_unlink(sb, FS_ROOT_INO, "named"), 0);
	ck_assert_int_eq(fs_link(sb, ino, FS_ROOT_INO, "named", &entry), -ENOENT);
	fs_forget(sb, ino, 2);
}
END_TEST

START_TEST(test_exclusive_tmpfile_gets_no_name)
{
	const ino_nr ino = make_tmpfile(FS_ROOT_INO, false);
	struct fs_entry entry;

	ck_assert_int_eq(fs_link(sb, ino, FS_ROOT_INO, "named", &entry), -ENOENT);
	fs_forget(sb, ino, 1);
}
END_TEST

START_TEST(test_failed_first_name_leaves_it_linkable)
{
	const ino_nr ino = make_tmpfile(FS_ROOT_INO, true);
	struct fs_entry entry;

	(void)make_file(sb, FS_ROOT_INO, "taken");
	ck_assert_int_eq(fs_link(sb, ino, FS_ROOT_INO, "taken", &entry), -EEXIST);
	ck_assert_uint_eq(attr_of(sb, ino).st_nlink, 0);
	ck_assert_int_eq(fs_link(sb, ino, FS_ROOT_INO, "free", &entry), 0);
	fs_forget(sb, ino, 2);
}
END_TEST

START_TEST(test_tmpfile_where_nothing_can_be_made)
{
	const ino_nr file = make_file(sb, FS_ROOT_INO, "f"), dir = make_dir(sb, FS_ROOT_INO, "d");
	const uint64_t before = inodes_used();
	struct fs_entry entry;

	ck_assert_int_eq(fs_rmdir(sb, FS_ROOT_INO, "d"), 0);
	ck_assert_int_eq(fs_tmpfile(sb, &user_cred, dir, 0600, true, &entry), -ENOENT);
	ck_assert_int_eq(fs_tmpfile(sb, &user_cred, file, 0600, true, &entry), -ENOTDIR);
	ck_assert_int_eq(fs_tmpfile(sb, &user_cred, 12345, 0600, true, &entry), -ESTALE);
	ck_assert_uint_eq(inodes_used(), before);
	fs_forget(sb, dir, 1);
}
END_TEST

START_TEST(test_tmpfile_without_memory_is_an_error_and_leaves_nothing)
{
	static ino_nr inos[100000];
	const uint64_t before = inodes_used();
	struct fs_entry entry;
	unsigned nr = 0;
	int err;

	/* What the pools have in stock is used up first. */
	zt_fault_set_from(1);
	while ((err = fs_tmpfile(sb, &user_cred, FS_ROOT_INO, 0600, true, &entry)) == 0) {
		ck_assert_uint_lt(nr, ARRAY_SIZE(inos));
		inos[nr++] = entry.ino;
	}
	zt_fault_set(0);
	ck_assert(err == -ENOMEM || err == -ENOSPC);
	ck_assert_uint_eq(inodes_used(), before + nr);
	while (nr > 0)
		fs_forget(sb, inos[--nr], 1);
	ck_assert_uint_eq(inodes_used(), before);
}
END_TEST

/* Set-ID bits -------------------------------------------------------------- */

static mode_t mode_after_write(struct fs_cred cred, unsigned flags)
{
	const ino_nr ino = make_tmpfile(FS_ROOT_INO, false);
	const struct stat attr = { .st_mode = 06771 };
	struct stat result;
	size_t done;

	ck_assert_int_eq(fs_setattr(sb, &root_cred, ino, &attr, FS_SET_MODE, &result), 0);
	ck_assert_int_eq(fs_write(sb, &cred, ino, 0, "x", 1, flags, &done), 0);
	result = attr_of(sb, ino);
	fs_forget(sb, ino, 1);
	return result.st_mode & 07777;
}

START_TEST(test_write_takes_setid_as_the_kernel_says)
{
	const struct fs_cred root_kill = { .uid = 0, .setid = FS_SETID_KILL };
	const struct fs_cred user_keep = { .uid = 1000, .setid = FS_SETID_KEEP };

	ck_assert_uint_eq(mode_after_write(root_kill, 0), 0771);
	ck_assert_uint_eq(mode_after_write(root_kill, FS_WRITE_DELAYED), 0771);
	ck_assert_uint_eq(mode_after_write(user_keep, 0), 06771);
}
END_TEST

START_TEST(test_write_takes_setid_by_user_where_the_kernel_says_nothing)
{
	ck_assert_uint_eq(mode_after_write(root_cred, 0), 06771);
	ck_assert_uint_eq(mode_after_write(user_cred, 0), 0771);
	ck_assert_uint_eq(mode_after_write(user_cred, FS_WRITE_DELAYED), 06771);
}
END_TEST

static mode_t mode_after_setattr(struct fs_cred cred, unsigned which, mode_t mode)
{
	const ino_nr ino = make_tmpfile(FS_ROOT_INO, false);
	const struct stat attr = { .st_mode = mode }, other = { .st_uid = 7 };
	struct stat result;

	ck_assert_int_eq(fs_setattr(sb, &root_cred, ino, &attr, FS_SET_MODE, &result), 0);
	ck_assert_int_eq(fs_setattr(sb, &cred, ino, &other, which, &result), 0);
	fs_forget(sb, ino, 1);
	return result.st_mode & 07777;
}

START_TEST(test_truncation_takes_setid_as_the_kernel_says_and_chown_always)
{
	const struct fs_cred member_kill = { .uid = 5,
					     .gid = user_cred.gid,
					     .setid = FS_SETID_KILL };
	const struct fs_cred root_kill = { .uid = 0, .setid = FS_SETID_KILL };
	const struct fs_cred user_keep = { .uid = 1000, .setid = FS_SETID_KEEP };

	ck_assert_uint_eq(mode_after_setattr(root_kill, FS_SET_SIZE, 06771), 0771);
	ck_assert_uint_eq(mode_after_setattr(user_keep, FS_SET_SIZE, 06771), 06771);
	/* Without group execution it is no right, and stays for members of the group. */
	ck_assert_uint_eq(mode_after_setattr(member_kill, FS_SET_SIZE, 06741), 02741);
	ck_assert_uint_eq(mode_after_setattr(root_kill, FS_SET_SIZE, 06741), 0741);
	ck_assert_uint_eq(mode_after_setattr(user_keep, FS_SET_UID, 06771), 0771);
}
END_TEST

START_TEST(test_birth_time_stays)
{
	const ino_nr ino = make_file(sb, FS_ROOT_INO, "f");
	struct timespec born, later;
	size_t done;

	ck_assert_int_eq(fs_getbtime(sb, ino, &born), 0);
	ck_assert_int_eq(born.tv_nsec, attr_of(sb, ino).st_ctim.tv_nsec);
	ck_assert_int_eq(fs_write(sb, &user_cred, ino, 0, "x", 1, 0, &done), 0);
	ck_assert_int_eq(fs_getbtime(sb, ino, &later), 0);
	ck_assert_int_eq(born.tv_sec, later.tv_sec);
	ck_assert_int_eq(born.tv_nsec, later.tv_nsec);
	ck_assert_int_eq(fs_getbtime(sb, 12345, &later), -ESTALE);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("tmpfile");
	TCase *tc = tcase_create("tmpfile");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_tmpfile_has_no_name_and_goes_with_its_reference);
	tcase_add_test(tc, test_tmpfile_leaves_its_directory_as_it_was_and_inherits_its_group);
	tcase_add_test(tc, test_first_name_makes_it_a_file_like_any_other);
	tcase_add_test(tc, test_name_once_lost_does_not_come_back);
	tcase_add_test(tc, test_exclusive_tmpfile_gets_no_name);
	tcase_add_test(tc, test_failed_first_name_leaves_it_linkable);
	tcase_add_test(tc, test_tmpfile_where_nothing_can_be_made);
	tcase_add_test(tc, test_tmpfile_without_memory_is_an_error_and_leaves_nothing);
	tcase_add_test(tc, test_birth_time_stays);
	suite_add_tcase(suite, tc);
	tc = tcase_create("setid");
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_write_takes_setid_as_the_kernel_says);
	tcase_add_test(tc, test_write_takes_setid_by_user_where_the_kernel_says_nothing);
	tcase_add_test(tc, test_truncation_takes_setid_as_the_kernel_says_and_chown_always);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
