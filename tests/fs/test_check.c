// SPDX-License-Identifier: GPL-2.0-or-later
/* test_check.c - super_check() sees each kind of damage. */
#include "fs/dir.h"
#include "tests/fs/fixture.h"

static struct super *sb;
static ino_nr dir, sub, file, target;

static void setup(void)
{
	struct fs_entry entry;

	sb = fixture_init();
	dir = make_dir(sb, FS_ROOT_INO, "dir");
	sub = make_dir(sb, dir, "sub");
	file = make_file(sb, dir, "file");
	write_all(sb, file, 0, "content", 7);
	ck_assert_int_eq(fs_symlink(sb, &user_cred, dir, "link", "target", &entry), 0);
	target = entry.ino;
	ck_assert_int_eq(super_check(sb), 0);
	zt_log_set_sink(NULL);
}

static void teardown(void)
{
	zt_log_set_sink(zt_check_log);
	fixture_exit(sb);
}

/* A 64-bit word changed, found out, and put back. */
static void check_word_matters(uint64_t *word, uint64_t wrong)
{
	uint64_t right = *word;

	ck_assert_uint_ne(right, wrong);
	*word = wrong;
	ck_assert_int_eq(super_check(sb), -EUCLEAN);
	*word = right;
	ck_assert_int_eq(super_check(sb), 0);
}

START_TEST(test_link_counts_are_compared)
{
	inode_get(sb, file)->nlink = 2;
	ck_assert_int_eq(super_check(sb), -EUCLEAN);
	inode_get(sb, file)->nlink = 1;
	inode_get(sb, dir)->nlink = 2;
	ck_assert_int_eq(super_check(sb), -EUCLEAN);
	inode_get(sb, dir)->nlink = 3;
	inode_get(sb, FS_ROOT_INO)->nlink = 4;
	ck_assert_int_eq(super_check(sb), -EUCLEAN);
	inode_get(sb, FS_ROOT_INO)->nlink = 3;
}
END_TEST

START_TEST(test_parents_and_counts_are_compared)
{
	check_word_matters(&inode_get(sb, sub)->parent, FS_ROOT_INO);
	check_word_matters(&inode_get(sb, dir)->nr_pages, 4);
	check_word_matters(&inode_get(sb, target)->size, 5);
	check_word_matters(&inode_get(sb, target)->tree_word, 12345);
	check_word_matters(&inode_get(sb, file)->nr_pages, 2);
	check_word_matters(&inode_get(sb, file)->size, 3); /* more is stored than the size says */
	check_word_matters(&sb->nr_inodes, 4);
	check_word_matters(&sb->nr_inodes, 6);
}
END_TEST

START_TEST(test_a_walk_that_ends_early_leaves_no_share_to_the_next)
{
	static char buf[131072];
	ino_nr copy = make_file(sb, dir, "copy");
	uint64_t done;

	memset(buf, 'b', sizeof(buf));
	for (size_t i = 0; i < sizeof(buf); i += 5)
		buf[i] = (char)(i / 5);
	write_all(sb, file, 0, buf, sizeof(buf));
	ck_assert_int_eq(fs_copy_range(sb, &user_cred, file, 0, copy, 0, sizeof(buf), &done), 0);
	check_word_matters(&inode_get(sb, file)->nr_pages, 31);
	check_word_matters(&inode_get(sb, copy)->nr_pages, 31);
}
END_TEST

START_TEST(test_lost_inodes_are_found)
{
	struct dir d;
	struct fs_name name;
	struct dir_entry entry;

	/* a name that leads nowhere, then an inode without a name */
	ck_assert_int_eq(dir_open(sb, dir, &d), 0);
	ck_assert_int_eq(fs_name_init(sb, "file", &name), 0);
	ck_assert_int_eq(dir_find(&d, &name, &entry), 0);
	dir_replace(&d, entry.pos, 4711, entry.type);
	ck_assert_int_eq(super_check(sb), -EUCLEAN);
	dir_replace(&d, entry.pos, file, S_IFIFO >> 12);
	ck_assert_int_eq(super_check(sb), -EUCLEAN);
	dir_replace(&d, entry.pos, file, entry.type);
	dir_remove(&d, &name, entry.pos);
	ck_assert_int_eq(super_check(sb), -EUCLEAN);
	inode_get(sb, file)->nlink = 0; /* open, and unlinked */
	ck_assert_int_eq(super_check(sb), 0);
	inode_get(sb, file)->nlookup = 0;
	ck_assert_int_eq(super_check(sb), -EUCLEAN);
	inode_get(sb, file)->nlookup = 1;
	fs_forget(sb, file, 1);
}
END_TEST

START_TEST(test_second_name_of_a_directory_is_found)
{
	struct dir d;
	struct fs_name name;
	struct dir_entry entry;

	ck_assert_int_eq(dir_open(sb, dir, &d), 0);
	ck_assert_int_eq(fs_name_init(sb, "again", &name), 0);
	ck_assert_int_eq(dir_add(&d, &name, sub, S_IFDIR >> 12), 0);
	ck_assert_int_eq(super_check(sb), -EUCLEAN);
	ck_assert_int_eq(dir_find(&d, &name, &entry), 0);
	dir_remove(&d, &name, entry.pos);
}
END_TEST

START_TEST(test_lost_objects_are_found)
{
	uint64_t word = inode_get(sb, file)->tree_word, pages = inode_get(sb, file)->nr_pages;

	/* content that no file names any more */
	inode_get(sb, file)->tree_word = 0;
	inode_get(sb, file)->nr_pages = 0;
	ck_assert_int_eq(super_check(sb), -EUCLEAN);
	inode_get(sb, file)->tree_word = word;
	inode_get(sb, file)->nr_pages = pages;
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("check");
	TCase *tc = tcase_create("check");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_link_counts_are_compared);
	tcase_add_test(tc, test_parents_and_counts_are_compared);
	tcase_add_test(tc, test_a_walk_that_ends_early_leaves_no_share_to_the_next);
	tcase_add_test(tc, test_lost_inodes_are_found);
	tcase_add_test(tc, test_second_name_of_a_directory_is_found);
	tcase_add_test(tc, test_lost_objects_are_found);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
