// SPDX-License-Identifier: GPL-2.0-or-later
/* test_rename.c - rename, rule by rule. */
#include "tests/fs/fixture.h"

#include <linux/fs.h>

#include "fs/dir.h"
#include "tests/lib/waiter.h"

static struct super *sb;
static ino_nr a, b; /* two directories in the root */

static void setup(void)
{
	sb = fixture_init();
	a = make_dir(sb, FS_ROOT_INO, "a");
	b = make_dir(sb, FS_ROOT_INO, "b");
}

static void teardown(void)
{
	fixture_exit(sb);
}

static int move_flags(ino_nr parent, const char *name, ino_nr new_parent, const char *new_name,
		      unsigned flags)
{
	return rename_name(sb, &user_cred, parent, name, new_parent, new_name, flags);
}

static int move(ino_nr parent, const char *name, ino_nr new_parent, const char *new_name)
{
	return move_flags(parent, name, new_parent, new_name, 0);
}

START_TEST(test_file_moves_within_and_between_directories)
{
	ino_nr ino = make_file(sb, a, "one");

	ck_assert_int_eq(move(a, "one", a, "two"), 0);
	ck_assert_uint_eq(look_ino(sb, a, "one"), 0);
	ck_assert_uint_eq(look_ino(sb, a, "two"), ino);
	ck_assert_int_eq(move(a, "two", b, "two"), 0);
	ck_assert_uint_eq(look_ino(sb, a, "two"), 0);
	ck_assert_uint_eq(look_ino(sb, b, "two"), ino);
	ck_assert_uint_eq(attr_of(sb, ino).st_nlink, 1);
	ck_assert_int_eq(attr_of(sb, a).st_size, 40);
	ck_assert_int_eq(attr_of(sb, b).st_size, 60);
}
END_TEST

START_TEST(test_directory_takes_its_parent_and_links_along)
{
	ino_nr dir = make_dir(sb, a, "dir");

	make_file(sb, dir, "inside");
	ck_assert_uint_eq(attr_of(sb, a).st_nlink, 3);
	ck_assert_int_eq(move(a, "dir", b, "moved"), 0);
	ck_assert_uint_eq(attr_of(sb, a).st_nlink, 2);
	ck_assert_uint_eq(attr_of(sb, b).st_nlink, 3);
	ck_assert_uint_eq(look_ino(sb, dir, ".."), b);
	ck_assert_int_eq(move(b, "moved", b, "again"), 0);
	ck_assert_uint_eq(attr_of(sb, b).st_nlink, 3);
	ck_assert_uint_eq(look_ino(sb, dir, ".."), b);
}
END_TEST

START_TEST(test_target_is_replaced_when_it_may_be)
{
	ino_nr file = make_file(sb, a, "file"), old = make_file(sb, b, "file");
	ino_nr dir = make_dir(sb, a, "dir"), full = make_dir(sb, a, "full"),
	       empty = make_dir(sb, b, "dir");

	make_file(sb, full, "inside");
	ck_assert_int_eq(move(a, "file", b, "dir"), -EISDIR);
	ck_assert_int_eq(move(a, "dir", b, "file"), -ENOTDIR);
	ck_assert_int_eq(move(a, "dir", a, "full"), -ENOTEMPTY);
	ck_assert_int_eq(move(a, "file", b, "file"), 0);
	ck_assert_uint_eq(look_ino(sb, b, "file"), file);
	ck_assert_uint_eq(attr_of(sb, old).st_nlink, 0);
	ck_assert_int_eq(move(a, "full", b, "dir"), 0);
	ck_assert_uint_eq(look_ino(sb, b, "dir"), full);
	ck_assert_uint_eq(attr_of(sb, empty).st_nlink, 0);
	ck_assert_uint_eq(attr_of(sb, b).st_nlink, 3);
	ck_assert_uint_eq(attr_of(sb, a).st_nlink, 3);
	ck_assert_int_eq(move(b, "dir", a, "dir"), 0);
	ck_assert_uint_eq(attr_of(sb, dir).st_nlink, 0);
	ck_assert_int_eq(super_check(sb), 0);
	fs_forget(sb, old, 1);
	fs_forget(sb, empty, 1);
	fs_forget(sb, dir, 1);
	/* within one directory the parent loses a link */
	make_dir(sb, b, "x");
	make_dir(sb, b, "y");
	ck_assert_int_eq(move(b, "x", b, "y"), 0);
	ck_assert_uint_eq(attr_of(sb, b).st_nlink, 3);
}
END_TEST

START_TEST(test_directory_does_not_move_below_itself)
{
	ino_nr c = make_dir(sb, a, "c"), d = make_dir(sb, c, "d");

	ck_assert_int_eq(move(FS_ROOT_INO, "a", a, "x"), -EINVAL);
	ck_assert_int_eq(move(FS_ROOT_INO, "a", c, "x"), -EINVAL);
	ck_assert_int_eq(move(FS_ROOT_INO, "a", d, "x"), -EINVAL);
	ck_assert_int_eq(move(FS_ROOT_INO, "a", a, "c"), -EINVAL);
	ck_assert_int_eq(move(a, "c", d, "x"), -EINVAL);
	ck_assert_int_eq(move(c, "d", FS_ROOT_INO, "a"), -ENOTEMPTY);
	ck_assert_int_eq(move_flags(c, "d", FS_ROOT_INO, "a", RENAME_EXCHANGE), -EINVAL);
	ck_assert_int_eq(move_flags(FS_ROOT_INO, "a", c, "d", RENAME_EXCHANGE), -EINVAL);
	ck_assert_int_eq(move(c, "d", FS_ROOT_INO, "d"), 0);
	ck_assert_int_eq(move(FS_ROOT_INO, "a", d, "a"), 0);
	ck_assert_uint_eq(look_ino(sb, a, ".."), d);
}
END_TEST

START_TEST(test_noreplace_and_missing_source)
{
	ino_nr file = make_file(sb, a, "file");

	make_file(sb, b, "file");
	ck_assert_int_eq(move_flags(a, "file", b, "file", RENAME_NOREPLACE), -EEXIST);
	ck_assert_int_eq(move_flags(a, "file", a, "file", RENAME_NOREPLACE), -EEXIST);
	ck_assert_int_eq(move_flags(a, "file", b, "new", RENAME_NOREPLACE), 0);
	ck_assert_uint_eq(look_ino(sb, b, "new"), file);
	ck_assert_int_eq(move(a, "file", b, "x"), -ENOENT);
	ck_assert_int_eq(move_flags(b, "new", a, "none", RENAME_EXCHANGE), -ENOENT);
}
END_TEST

START_TEST(test_two_names_of_one_inode_both_stay)
{
	ino_nr ino = make_file(sb, a, "one");
	struct fs_entry entry;

	ck_assert_int_eq(fs_link(sb, ino, b, "two", &entry), 0);
	ck_assert_int_eq(move(a, "one", b, "two"), 0);
	ck_assert_int_eq(move(a, "one", a, "one"), 0);
	ck_assert_uint_eq(look_ino(sb, a, "one"), ino);
	ck_assert_uint_eq(look_ino(sb, b, "two"), ino);
	ck_assert_uint_eq(attr_of(sb, ino).st_nlink, 2);
}
END_TEST

START_TEST(test_exchange_swaps_names_of_any_type)
{
	ino_nr file = make_file(sb, a, "name"), dir = make_dir(sb, b, "name");

	make_file(sb, dir, "inside");
	ck_assert_int_eq(move_flags(a, "name", b, "name", RENAME_EXCHANGE), 0);
	ck_assert_uint_eq(look_ino(sb, a, "name"), dir);
	ck_assert_uint_eq(look_ino(sb, b, "name"), file);
	ck_assert_uint_eq(look_ino(sb, dir, ".."), a);
	ck_assert_uint_eq(attr_of(sb, a).st_nlink, 3);
	ck_assert_uint_eq(attr_of(sb, b).st_nlink, 2);
	ck_assert_int_eq(super_check(sb), 0);
	ck_assert_int_eq(move_flags(b, "name", a, "name", RENAME_EXCHANGE), 0);
	ck_assert_uint_eq(look_ino(sb, dir, ".."), b);
	ck_assert_uint_eq(attr_of(sb, a).st_nlink, 2);
	/* within one directory, and two directories between parents */
	make_dir(sb, b, "other");
	make_dir(sb, a, "third");
	ck_assert_int_eq(move_flags(b, "name", b, "other", RENAME_EXCHANGE), 0);
	ck_assert_uint_eq(look_ino(sb, b, "other"), dir);
	ck_assert_int_eq(move_flags(b, "other", a, "third", RENAME_EXCHANGE), 0);
	ck_assert_uint_eq(look_ino(sb, dir, ".."), a);
	ck_assert_uint_eq(attr_of(sb, a).st_nlink, 3);
	ck_assert_uint_eq(attr_of(sb, b).st_nlink, 4);
}
END_TEST

START_TEST(test_whiteout_stays_behind)
{
	ino_nr ino = make_file(sb, a, "name");
	struct fs_entry entry;

	ck_assert_int_eq(move_flags(a, "name", b, "name", RENAME_WHITEOUT), 0);
	ck_assert_uint_eq(look_ino(sb, b, "name"), ino);
	ck_assert_int_eq(look(sb, a, "name", &entry), 0);
	ck_assert_uint_eq(entry.attr.st_mode, S_IFCHR);
	ck_assert_uint_eq(entry.attr.st_rdev, 0);
	ck_assert_uint_eq(entry.attr.st_uid, 1000);
	ck_assert_int_eq(attr_of(sb, a).st_size, 60);
	/* over a target, without replacing being forbidden or not */
	make_file(sb, a, "again");
	ck_assert_int_eq(move_flags(a, "again", b, "name", RENAME_WHITEOUT | RENAME_NOREPLACE),
			 -EEXIST);
	ck_assert_int_eq(move_flags(a, "again", b, "name", RENAME_WHITEOUT), 0);
	ck_assert_int_eq(look(sb, a, "again", &entry), 0);
	ck_assert_uint_eq(entry.attr.st_mode, S_IFCHR);
	fs_forget(sb, ino, 1);
}
END_TEST

START_TEST(test_senseless_flags_and_names_are_refused)
{
	make_file(sb, a, "file");
	ck_assert_int_eq(move_flags(a, "file", b, "x", RENAME_EXCHANGE | RENAME_NOREPLACE),
			 -EINVAL);
	ck_assert_int_eq(move_flags(a, "file", b, "x", RENAME_EXCHANGE | RENAME_WHITEOUT), -EINVAL);
	ck_assert_int_eq(move_flags(a, "file", b, "x", 1u << 3), -EINVAL);
	ck_assert_int_eq(move(a, ".", b, "x"), -EBUSY);
	ck_assert_int_eq(move(a, "..", b, "x"), -EBUSY);
	ck_assert_int_eq(move(a, "file", b, "."), -EBUSY);
	ck_assert_int_eq(move(a, "file", b, ""), -EINVAL);
}
END_TEST

START_TEST(test_rename_sets_times)
{
	ino_nr from = make_file(sb, a, "from"), to = make_file(sb, b, "to");
	ino_nr inos[] = { from, to, a, b };

	for (unsigned i = 0; i < ARRAY_SIZE(inos); i++)
		for (unsigned t = 0; t < FS_NR_TIMES; t++)
			inode_get(sb, inos[i])->times[t] = 1;
	ck_assert_int_eq(move(a, "from", b, "to"), 0);
	for (unsigned i = 0; i < ARRAY_SIZE(inos); i++) {
		const struct inode_rec *rec = inode_get(sb, inos[i]);

		ck_assert_uint_gt(rec->times[FS_CTIME], 1);
		ck_assert_int_eq(rec->times[FS_MTIME] > 1, i >= 2);
		ck_assert_uint_eq(rec->times[FS_ATIME], 1);
	}
	fs_forget(sb, to, 1);
}
END_TEST

START_TEST(test_rename_in_a_large_directory)
{
	char name[32], new_name[64];

	for (unsigned i = 0; i < 1500; i++) {
		snprintf(name, sizeof(name), "%u", i);
		fs_forget(sb, make_file(sb, a, name), 1);
	}
	for (unsigned i = 0; i < 1500; i++) {
		snprintf(name, sizeof(name), "%u", i);
		snprintf(new_name, sizeof(new_name), "%u with another tail", i);
		ck_assert_int_eq(move(a, name, i % 2 ? a : b, new_name), 0);
		ck_assert_int_eq(look_err(sb, a, name), -ENOENT);
		ck_assert_int_eq(look_err(sb, i % 2 ? a : b, new_name), 0);
	}
	ck_assert_int_eq(attr_of(sb, a).st_size, 40 + 750 * 20);
	ck_assert_int_eq(attr_of(sb, b).st_size, 40 + 750 * 20);
}
END_TEST

/* A file with a lock that none of @others has, in front of all of them if @first. */
static ino_nr file_with_own_lock(ino_nr parent, const char *name, const ino_nr *others, unsigned nr,
				 bool first)
{
	for (;;) {
		ino_nr ino = make_file(sb, parent, name);
		bool fits = true;

		for (unsigned i = 0; i < nr; i++)
			fits = fits && (first ? inode_lock_of(sb, ino) < inode_lock_of(sb, others[i])
					      : inode_lock_of(sb, ino) != inode_lock_of(sb, others[i]));
		if (fits)
			return ino;
		/* It keeps its number: the next one has another. */
		ck_assert_int_eq(fs_unlink(sb, parent, name), 0);
	}
}

static void swap_names(ino_nr parent, const char *one, const char *two)
{
	struct dir_entry entries[2];
	struct fs_name names[2];
	struct dir dir;

	inode_lock(sb, parent);
	ck_assert_int_eq(dir_open(sb, parent, &dir), 0);
	ck_assert_int_eq(dir_make_index(&dir), 0);
	ck_assert_int_eq(fs_name_init(sb, one, &names[0]), 0);
	ck_assert_int_eq(fs_name_init(sb, two, &names[1]), 0);
	for (unsigned i = 0; i < 2; i++)
		ck_assert_int_eq(dir_find(&dir, &names[i], &entries[i]), 0);
	for (unsigned i = 0; i < 2; i++)
		dir_replace(&dir, entries[i].pos, entries[!i].ino, entries[!i].type);
	inode_unlock(sb, parent);
}

static void rename_p_to_r(void *arg)
{
	*(int *)arg = move(a, "p", b, "r");
}

/* While a rename waits for what its names lead to, they come to lead elsewhere. */
START_TEST(test_names_change_while_their_inodes_are_waited_for)
{
	ino_nr inos[6] = { a, b };
	struct waiter waiter;
	int err = -1;

	while (inode_lock_of(sb, a) < &sb->locks[8] || inode_lock_of(sb, b) < &sb->locks[8] ||
	       inode_lock_of(sb, a) == inode_lock_of(sb, b)) {
		fixture_exit(sb);
		setup();
		inos[0] = a;
		inos[1] = b;
	}
	inos[2] = file_with_own_lock(a, "p", inos, 2, true);
	inos[3] = file_with_own_lock(a, "q", inos, 3, false);
	inos[4] = file_with_own_lock(b, "r", inos, 4, false);
	inos[5] = file_with_own_lock(b, "s", inos, 5, false);
	inode_lock(sb, inos[2]);
	waiter_start(&waiter, rename_p_to_r, &err);
	swap_names(a, "p", "q");
	swap_names(b, "r", "s");
	inode_unlock(sb, inos[2]);
	waiter_join(&waiter);
	ck_assert_int_eq(err, 0);
	ck_assert_uint_eq(look_ino(sb, a, "p"), 0);
	ck_assert_uint_eq(look_ino(sb, a, "q"), inos[2]);
	ck_assert_uint_eq(look_ino(sb, b, "r"), inos[3]);
	ck_assert_uint_eq(look_ino(sb, b, "s"), inos[4]);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("rename");
	TCase *tc = tcase_create("rename");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_file_moves_within_and_between_directories);
	tcase_add_test(tc, test_directory_takes_its_parent_and_links_along);
	tcase_add_test(tc, test_target_is_replaced_when_it_may_be);
	tcase_add_test(tc, test_directory_does_not_move_below_itself);
	tcase_add_test(tc, test_noreplace_and_missing_source);
	tcase_add_test(tc, test_two_names_of_one_inode_both_stay);
	tcase_add_test(tc, test_exchange_swaps_names_of_any_type);
	tcase_add_test(tc, test_whiteout_stays_behind);
	tcase_add_test(tc, test_senseless_flags_and_names_are_refused);
	tcase_add_test(tc, test_rename_sets_times);
	tcase_add_test(tc, test_rename_in_a_large_directory);
	tcase_add_test(tc, test_names_change_while_their_inodes_are_waited_for);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
