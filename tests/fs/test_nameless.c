// SPDX-License-Identifier: GPL-2.0-or-later
/* test_nameless.c - inodes without a name are found, and go when the kernel knows them no more. Tests nameless.c. */
#include "fs/nameless.h"
#include "tests/fs/fixture.h"

static uint64_t nr_inodes(struct super *sb)
{
	struct ztmpfs_stat stat;

	super_get_stat(sb, &stat);
	return stat.inodes_used;
}

START_TEST(test_only_those_without_a_name_are_found)
{
	struct super *sb = fixture_init();
	struct fs_nameless found;
	ino_nr file = make_file(sb, FS_ROOT_INO, "file"), dir = make_dir(sb, FS_ROOT_INO, "dir");

	ck_assert(!fs_nameless_next(sb, 1, &found));
	ck_assert_int_eq(fs_unlink(sb, FS_ROOT_INO, "file"), 0);
	ck_assert_int_eq(fs_rmdir(sb, FS_ROOT_INO, "dir"), 0);
	ck_assert(fs_nameless_next(sb, 1, &found));
	ck_assert_uint_eq(found.ino, min_u64(file, dir));
	ck_assert_uint_eq(found.nlookup, 1);
	ck_assert(fs_nameless_next(sb, found.ino + 1, &found));
	ck_assert_uint_eq(found.ino, max_u64(file, dir));
	ck_assert(!fs_nameless_next(sb, found.ino + 1, &found));
	fs_forget(sb, file, 1);
	fs_forget(sb, dir, 1);
	ck_assert(!fs_nameless_next(sb, 1, &found));
	fixture_exit(sb);
}
END_TEST

START_TEST(test_what_was_counted_meanwhile_stays)
{
	struct super *sb = fixture_init();
	struct fs_nameless found, other;
	ino_nr file = make_file(sb, FS_ROOT_INO, "file");
	struct fs_entry entry;

	ck_assert_int_eq(fs_lookup(sb, FS_ROOT_INO, "file", &entry), 0);
	ck_assert_int_eq(fs_unlink(sb, FS_ROOT_INO, "file"), 0);
	ck_assert(fs_nameless_next(sb, 1, &found));
	ck_assert_uint_eq(found.nlookup, 2);
	other = found;
	other.generation++;
	ck_assert(!fs_nameless_drop(sb, &other));
	fs_forget(sb, file, 1);
	ck_assert(!fs_nameless_drop(sb, &found));
	ck_assert_uint_eq(nr_inodes(sb), 2);
	ck_assert(fs_nameless_next(sb, 1, &found));
	ck_assert(fs_nameless_drop(sb, &found));
	ck_assert(!fs_nameless_drop(sb, &found));
	ck_assert_uint_eq(nr_inodes(sb), 1);
	fixture_exit(sb);
}
END_TEST

/* Its number may be another's by then. */
START_TEST(test_one_that_has_a_name_again_stays)
{
	struct super *sb = fixture_init();
	struct fs_nameless found;
	ino_nr file = make_file(sb, FS_ROOT_INO, "file");

	ck_assert_int_eq(fs_unlink(sb, FS_ROOT_INO, "file"), 0);
	ck_assert(fs_nameless_next(sb, 1, &found));
	fs_forget(sb, file, 1);
	ck_assert(!fs_nameless_drop(sb, &found));
	(void)make_file(sb, FS_ROOT_INO, "next");
	ck_assert(!fs_nameless_drop(sb, &found));
	ck_assert_uint_eq(nr_inodes(sb), 2);
	fixture_exit(sb);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("nameless");
	TCase *tcase = tcase_create("nameless");

	tcase_add_test(tcase, test_only_those_without_a_name_are_found);
	tcase_add_test(tcase, test_what_was_counted_meanwhile_stays);
	tcase_add_test(tcase, test_one_that_has_a_name_again_stays);
	suite_add_tcase(suite, tcase);
	return zt_check_main(suite);
}
