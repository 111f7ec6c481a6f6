// SPDX-License-Identifier: GPL-2.0-or-later
/* test_inode.c - inodes: locks, life, attributes. */
#include "tests/fs/fixture.h"

#include <sys/sysmacros.h>

#include "blkmap/parts.h"
#include "blkmap/slot/share.h"
#include "tests/lib/waiter.h"

static struct super *sb;

static void setup(void)
{
	sb = fixture_init();
}

static void teardown(void)
{
	fixture_exit(sb);
}

static ino_nr other_on_lock_of(ino_nr ino)
{
	ino_nr other = ino + 1;

	while (inode_lock_of(sb, other) != inode_lock_of(sb, ino))
		other++;
	return other;
}

static ino_nr on_later_lock(ino_nr ino)
{
	ino_nr later = ino + 1;

	while (inode_lock_of(sb, later) <= inode_lock_of(sb, ino))
		later++;
	return later;
}

START_TEST(test_lock_set_takes_each_lock_once_in_order)
{
	ino_nr low = 1, ino, same;
	struct inode_lock_set set;

	while (inode_lock_of(sb, low) == &sb->locks[INODE_NR_LOCKS - 1])
		low++;
	ino = on_later_lock(low);
	same = other_on_lock_of(ino);

	const ino_nr inos[] = { ino, same, low, 0 };

	inode_lock_set(sb, inos, ARRAY_SIZE(inos), ZT_LOCK_FILE, &set);
	ck_assert_uint_eq(set.nr, 2);
	ck_assert(set.locks[0] < set.locks[1]);
	ck_assert(inode_lock_set_try(sb, same, &set));
	ck_assert_uint_eq(set.nr, 2);
	inode_unlock_set(&set);

	/* free again; and one that somebody has is not waited for */
	inode_lock(sb, low);
	inode_lock_set(sb, inos, 1, ZT_LOCK_FILE, &set);
	ck_assert(!inode_lock_set_try(sb, low, &set));
	ck_assert_uint_eq(set.nr, 1);
	inode_unlock_set(&set);
	inode_unlock(sb, low);
}
END_TEST

START_TEST(test_a_full_lock_set_takes_no_more)
{
	ino_nr inos[INODE_LOCK_SET_MAX + 1] = { 1 };
	struct inode_lock_set set;

	for (unsigned i = 1; i < ARRAY_SIZE(inos); i++) {
		bool own = false;

		for (inos[i] = inos[i - 1] + 1; !own; inos[i] += !own) {
			own = true;
			for (unsigned k = 0; k < i; k++)
				own = own && inode_lock_of(sb, inos[i]) != inode_lock_of(sb, inos[k]);
		}
	}
	inode_lock_set(sb, inos, INODE_LOCK_SET_MAX, ZT_LOCK_FILE, &set);
	ck_assert(!inode_lock_set_try(sb, inos[INODE_LOCK_SET_MAX], &set));
	ck_assert_uint_eq(set.nr, INODE_LOCK_SET_MAX);
	ck_assert(inode_lock_set_try(sb, inos[0], &set));
	inode_unlock_set(&set);
}
END_TEST

static const void *inode_entry(struct super *of, uint64_t number)
{
	return (const char *)inode_lock_of(of, number) - (uintptr_t)of->locks;
}

static const void *slot_entry(struct super *of, uint64_t number)
{
	return (const char *)slot_lock_at(&of->map->slots, number) - (uintptr_t)of->map->slots.locks;
}

static const void *share_entry(struct super *of, uint64_t number)
{
	return (const char *)share_lock_at(&of->map->slots, number) - (uintptr_t)of->map->slots.share_locks;
}

/*
 * A user who could compute which numbers share an entry would choose his own so that a stranger
 * waits for him: what collides in one mount must say nothing about another.
 */
START_TEST(test_numbers_that_share_a_lock_in_one_mount_do_not_in_another)
{
	const void *(*const tables[])(struct super *, uint64_t) = { inode_entry, slot_entry,
								    share_entry };
	struct super *other = fixture_init();

	for (size_t i = 0; i < ARRAY_SIZE(tables); i++) {
		const void *mine = tables[i](sb, 5);
		unsigned nr = 0, nr_other = 0;

		for (uint64_t number = 6; nr < 64; number++) {
			if (tables[i](sb, number) != mine)
				continue;
			nr++;
			nr_other += tables[i](other, number) == tables[i](other, 5);
		}
		/* One in 256 by chance; unkeyed: all of them. */
		ck_assert_uint_le(nr_other, 8);
	}
	fixture_exit(other);
}
END_TEST

static void read_root(void *arg)
{
	size_t len;
	char buf[1];

	(void)arg;
	ck_assert_int_eq(fs_read(sb, FS_ROOT_INO, 0, buf, 1, &len), -EISDIR);
}

static void look_up(void *arg)
{
	struct fs_entry entry;

	(void)arg;
	ck_assert_int_eq(fs_lookup(sb, FS_ROOT_INO, "absent", &entry), -ENOENT);
}

static void check_wait_is_seen(void (*run)(void *arg), enum zt_lock_kind kind)
{
	struct ztmpfs_stat before, after;
	struct waiter waiter;

	super_get_stat(sb, &before);
	inode_lock(sb, FS_ROOT_INO);
	waiter_start(&waiter, run, NULL);
	inode_unlock(sb, FS_ROOT_INO);
	waiter_join(&waiter);
	super_get_stat(sb, &after);
	ck_assert_uint_gt(after.lock_wait_ns[kind], before.lock_wait_ns[kind]);
	/* Other kinds may be waited for by threads of the mount. */
	for (unsigned i = ZT_LOCK_FILE; i <= ZT_LOCK_DIR; i++)
		ck_assert_uint_eq(after.lock_waits[i], before.lock_waits[i] + (i == kind));
}

START_TEST(test_waits_for_inodes_are_counted_by_what_was_wanted)
{
	check_wait_is_seen(read_root, ZT_LOCK_FILE);
	check_wait_is_seen(look_up, ZT_LOCK_DIR);
}
END_TEST

/* Everything that takes an inode's number. */
static void check_number_is_stale(ino_nr ino)
{
	struct fs_entry entry;
	struct stat attr = { 0 };
	char buf[FS_SYMLINK_MAX + 1];
	uint64_t off;
	size_t len;

	ck_assert_int_eq(fs_getattr(sb, ino, &attr), -ESTALE);
	ck_assert_int_eq(fs_setattr(sb, &user_cred, ino, &attr, FS_SET_MODE, &attr), -ESTALE);
	fs_forget(sb, ino, 1);
	fs_forget(sb, ino, UINT64_MAX);
	ck_assert_int_eq(fs_lookup(sb, ino, "name", &entry), -ESTALE);
	ck_assert_int_eq(fs_lookup(sb, ino, ".", &entry), -ESTALE);
	ck_assert_int_eq(fs_lookup(sb, ino, "..", &entry), -ESTALE);
	ck_assert_int_eq(fs_mknod(sb, &user_cred, ino, "n", S_IFREG, 0, &entry), -ESTALE);
	ck_assert_int_eq(fs_mkdir(sb, &user_cred, ino, "n", 0, &entry), -ESTALE);
	ck_assert_int_eq(fs_symlink(sb, &user_cred, ino, "n", "t", &entry), -ESTALE);
	ck_assert_int_eq(fs_link(sb, ino, FS_ROOT_INO, "n", &entry), -ESTALE);
	ck_assert_int_eq(fs_unlink(sb, ino, "n"), -ESTALE);
	ck_assert_int_eq(fs_rmdir(sb, ino, "n"), -ESTALE);
	ck_assert_int_eq(rename_name(sb, &user_cred, ino, "a", FS_ROOT_INO, "b", 0), -ESTALE);
	ck_assert_int_eq(rename_name(sb, &user_cred, FS_ROOT_INO, "a", ino, "b", 0), -ESTALE);
	ck_assert_int_eq(fs_readlink(sb, ino, buf), -ESTALE);
	ck_assert_int_eq(fs_readdir(sb, ino, 0, true, NULL, NULL), -ESTALE);
	ck_assert_int_eq(fs_read(sb, ino, 0, buf, 1, &len), -ESTALE);
	ck_assert_int_eq(fs_write(sb, &user_cred, ino, 0, buf, 1, 0, &len), -ESTALE);
	ck_assert_int_eq(fs_fallocate(sb, &user_cred, ino, 0, 0, 1), -ESTALE);
	ck_assert_int_eq(fs_lseek(sb, ino, 0, SEEK_DATA, &off), -ESTALE);
}

START_TEST(test_wild_numbers_are_stale_everywhere)
{
	static const ino_nr wild[] = {
		0, 2, 7, 4096, 1ull << 37, 1ull << 38, UINT64_MAX, INT64_MAX
	};
	ino_nr file = make_file(sb, FS_ROOT_INO, "file");
	uint64_t state = zt_seed();

	for (size_t i = 0; i < ARRAY_SIZE(wild); i++)
		check_number_is_stale(wild[i]);
	for (int i = -200; i < 200; i++)
		if (i != 0)
			check_number_is_stale(file + (ino_nr)i);
	for (unsigned i = 0; i < 2000; i++)
		check_number_is_stale(zt_random(&state) >> i % 64 | 2);
	/* the root answers to its fixed number only */
	check_number_is_stale(sb->rec->root);
	attr_of(sb, FS_ROOT_INO);
	fs_forget(sb, file, 1);
}
END_TEST

START_TEST(test_unlinked_inode_lives_as_long_as_the_kernel_knows_it)
{
	ino_nr ino = make_file(sb, FS_ROOT_INO, "file");
	struct fs_entry entry;

	ck_assert_int_eq(fs_lookup(sb, FS_ROOT_INO, "file", &entry), 0);
	ck_assert_uint_eq(entry.ino, ino);
	write_all(sb, ino, 0, "content", 7);
	ck_assert_int_eq(fs_unlink(sb, FS_ROOT_INO, "file"), 0);
	ck_assert_uint_eq(attr_of(sb, ino).st_nlink, 0);
	ck_assert_int_eq(attr_of(sb, ino).st_size, 7);
	fs_forget(sb, ino, 1);
	ck_assert_int_eq(attr_of(sb, ino).st_size, 7);
	ck_assert_int_eq(super_check(sb), 0);
	fs_forget(sb, ino, 1);
	check_number_is_stale(ino);
	ck_assert_uint_eq(fixture_meta_objects(sb), 0);
}
END_TEST

START_TEST(test_forgotten_inode_lives_as_long_as_it_has_a_name)
{
	ino_nr ino = make_file(sb, FS_ROOT_INO, "file");

	fs_forget(sb, ino, 1);
	attr_of(sb, ino);
	fs_forget(sb, ino, 1); /* more than there are: not believed */
	fs_forget(sb, ino, UINT64_MAX);
	attr_of(sb, ino);
	ck_assert_int_eq(fs_unlink(sb, FS_ROOT_INO, "file"), 0);
	check_number_is_stale(ino);
}
END_TEST

START_TEST(test_root_survives_forgetting)
{
	fs_forget(sb, FS_ROOT_INO, 1);
	fs_forget(sb, FS_ROOT_INO, 1000);
	attr_of(sb, FS_ROOT_INO);
}
END_TEST

START_TEST(test_number_and_generation_are_not_reused_together)
{
	struct fs_entry first, again;

	ck_assert_int_eq(fs_mknod(sb, &user_cred, FS_ROOT_INO, "a", S_IFREG, 0, &first), 0);
	fs_forget(sb, first.ino, 1);
	ck_assert_int_eq(fs_unlink(sb, FS_ROOT_INO, "a"), 0);
	for (int i = 0; i < 1000; i++) {
		ck_assert_int_eq(fs_mknod(sb, &user_cred, FS_ROOT_INO, "a", S_IFREG, 0, &again), 0);
		ck_assert(again.ino != first.ino || again.generation != first.generation);
		fs_forget(sb, again.ino, 1);
		ck_assert_int_eq(fs_unlink(sb, FS_ROOT_INO, "a"), 0);
	}
}
END_TEST

START_TEST(test_attributes_of_every_type_are_tmpfs_ones)
{
	static const mode_t types[] = { S_IFREG, S_IFIFO, S_IFSOCK, S_IFCHR, S_IFBLK };
	struct fs_entry entry;
	struct stat attr;

	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		char name[] = { (char)('a' + i), '\0' };

		ck_assert_int_eq(fs_mknod(sb, &user_cred, FS_ROOT_INO, name, types[i] | 0640,
					  makedev(8, 300), &entry),
				 0);
		attr = attr_of(sb, entry.ino);
		ck_assert_uint_eq(attr.st_ino, entry.ino);
		ck_assert_uint_eq(attr.st_mode, types[i] | 0640);
		ck_assert_uint_eq(attr.st_nlink, 1);
		ck_assert_uint_eq(attr.st_uid, 1000);
		ck_assert_uint_eq(attr.st_gid, 1000);
		ck_assert_int_eq(attr.st_size, 0);
		ck_assert_int_eq(attr.st_blocks, 0);
		ck_assert_int_eq(attr.st_blksize, 4096);
		ck_assert_uint_eq(attr.st_rdev,
				  S_ISCHR(types[i]) || S_ISBLK(types[i]) ? makedev(8, 300) : 0);
		ck_assert_int_eq(memcmp(&attr, &entry.attr, sizeof(attr)), 0);
		fs_forget(sb, entry.ino, 1);
	}
	attr = attr_of(sb, FS_ROOT_INO);
	ck_assert_uint_eq(attr.st_mode, S_IFDIR | 01777);
	ck_assert_int_eq(attr.st_size, 40 + 5 * 20);
	ck_assert_uint_eq(attr.st_nlink, 2);
	make_dir(sb, FS_ROOT_INO, "dir");
	ck_assert_uint_eq(attr_of(sb, FS_ROOT_INO).st_nlink, 3);
	ck_assert_int_eq(attr_of(sb, look_ino(sb, FS_ROOT_INO, "dir")).st_size, 40);
}
END_TEST

static struct stat set(ino_nr ino, const struct fs_cred *cred, unsigned which, struct stat attr)
{
	struct stat out;

	ck_assert_int_eq(fs_setattr(sb, cred, ino, &attr, which, &out), 0);
	attr = attr_of(sb, ino);
	ck_assert_int_eq(memcmp(&attr, &out, sizeof(out)), 0);
	return out;
}

START_TEST(test_times_that_cannot_be_kept_are_refused)
{
	static const struct timespec far = { .tv_sec = INT64_MAX / 2 };
	const struct stat before = attr_of(sb, FS_ROOT_INO);
	struct stat attr = { .st_atim = far, .st_mtim = far }, out;

	ck_assert_int_eq(fs_setattr(sb, &root_cred, FS_ROOT_INO, &attr, FS_SET_ATIME, &out),
			 -EINVAL);
	ck_assert_int_eq(fs_setattr(sb, &root_cred, FS_ROOT_INO, &attr, FS_SET_MTIME, &out),
			 -EINVAL);
	ck_assert_int_eq(attr_of(sb, FS_ROOT_INO).st_mtim.tv_sec, before.st_mtim.tv_sec);
	ck_assert_int_eq(fs_setattr(sb, &root_cred, FS_ROOT_INO, &attr,
				    FS_SET_MTIME | FS_SET_MTIME_NOW, &out),
			 0);
}
END_TEST

START_TEST(test_setattr_changes_what_is_asked_for_only)
{
	ino_nr ino = make_file(sb, FS_ROOT_INO, "file");
	const struct timespec stamp = { 12345, 678 };
	struct stat attr;

	attr = set(ino, &root_cred, FS_SET_MODE,
		   (struct stat){ .st_mode = S_IFDIR | 04755, .st_uid = 7 });
	ck_assert_uint_eq(attr.st_mode, S_IFREG | 04755);
	ck_assert_uint_eq(attr.st_uid, 1000);
	attr = set(ino, &root_cred, FS_SET_ATIME,
		   (struct stat){ .st_atim = stamp, .st_mtim = stamp });
	ck_assert_int_eq(attr.st_atim.tv_sec, 12345);
	ck_assert_int_eq(attr.st_atim.tv_nsec, 678);
	ck_assert_int_ne(attr.st_mtim.tv_sec, 12345);
	attr = set(ino, &root_cred, FS_SET_MTIME | FS_SET_CTIME,
		   (struct stat){ .st_mtim = stamp, .st_ctim = stamp });
	ck_assert_int_eq(attr.st_mtim.tv_sec, 12345);
	ck_assert_int_eq(attr.st_ctim.tv_sec, 12345);
	attr = set(ino, &root_cred,
		   FS_SET_ATIME | FS_SET_ATIME_NOW | FS_SET_MTIME | FS_SET_MTIME_NOW,
		   (struct stat){ .st_mtim = stamp, .st_atim = stamp });
	ck_assert_int_ne(attr.st_atim.tv_sec, 12345);
	ck_assert_int_ne(attr.st_mtim.tv_sec, 12345);
	ck_assert_int_ne(attr.st_ctim.tv_sec, 12345);
}
END_TEST

START_TEST(test_change_of_owner_takes_setid_bits_away)
{
	ino_nr ino = make_file(sb, FS_ROOT_INO, "file");
	ino_nr dir = make_dir(sb, FS_ROOT_INO, "dir");
	static const struct {
		mode_t before, after;
	} cases[] = {
		{ 06777, 0777 }, { 06767, 02767 }, { 02755, 0755 }, { 04644, 0644 }, { 0755, 0755 }
	};
	struct stat attr;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		for (unsigned which = FS_SET_UID; which <= FS_SET_GID; which <<= 1) {
			set(ino, &root_cred, FS_SET_MODE,
			    (struct stat){ .st_mode = cases[i].before });
			attr = set(ino, &root_cred, which,
				   (struct stat){ .st_uid = 5, .st_gid = 6 });
			ck_assert_uint_eq(attr.st_mode & 07777, cases[i].after);
		}
	}
	ck_assert_uint_eq(attr.st_uid, 5);
	ck_assert_uint_eq(attr.st_gid, 6);
	/* unless the mode is given too, and not for directories */
	attr = set(ino, &root_cred, FS_SET_UID | FS_SET_MODE, (struct stat){ .st_mode = 06777 });
	ck_assert_uint_eq(attr.st_mode & 07777, 06777);
	set(dir, &root_cred, FS_SET_MODE, (struct stat){ .st_mode = 06777 });
	attr = set(dir, &root_cred, FS_SET_UID, (struct stat){ .st_uid = 5 });
	ck_assert_uint_eq(attr.st_mode & 07777, 06777);
}
END_TEST

START_TEST(test_truncation_takes_setid_bits_away_but_from_root)
{
	ino_nr ino = make_file(sb, FS_ROOT_INO, "file");
	struct stat attr;

	set(ino, &root_cred, FS_SET_MODE, (struct stat){ .st_mode = 06777 });
	attr = set(ino, &root_cred, FS_SET_SIZE, (struct stat){ .st_size = 10 });
	ck_assert_uint_eq(attr.st_mode & 07777, 06777);
	attr = set(ino, &user_cred, FS_SET_SIZE, (struct stat){ .st_size = 0 });
	ck_assert_uint_eq(attr.st_mode & 07777, 0777);
}
END_TEST

START_TEST(test_size_is_set_for_regular_files_only)
{
	ino_nr ino = make_file(sb, FS_ROOT_INO, "file");
	struct stat attr = { .st_size = 4096, .st_mode = 0 };
	struct fs_entry fifo;

	ck_assert_int_eq(fs_mknod(sb, &user_cred, FS_ROOT_INO, "fifo", S_IFIFO | 0600, 0, &fifo),
			 0);
	ck_assert_int_eq(
		fs_setattr(sb, &root_cred, FS_ROOT_INO, &attr, FS_SET_SIZE | FS_SET_MODE, &attr),
		-EISDIR);
	ck_assert_uint_eq(attr_of(sb, FS_ROOT_INO).st_mode & 07777, 01777);
	ck_assert_int_eq(fs_setattr(sb, &root_cred, fifo.ino, &attr, FS_SET_SIZE, &attr), -EINVAL);
	attr.st_size = -1;
	ck_assert_int_eq(fs_setattr(sb, &root_cred, ino, &attr, FS_SET_SIZE, &attr), -EINVAL);
	attr = set(ino, &root_cred, FS_SET_SIZE, (struct stat){ .st_size = INT64_MAX });
	ck_assert_int_eq(attr.st_size, INT64_MAX);
	ck_assert_int_eq(attr.st_blocks, 0);
	set(ino, &root_cred, FS_SET_SIZE, (struct stat){ .st_size = 0 });
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("inode");
	TCase *tc = tcase_create("inode");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_lock_set_takes_each_lock_once_in_order);
	tcase_add_test(tc, test_a_full_lock_set_takes_no_more);
	tcase_add_test(tc, test_numbers_that_share_a_lock_in_one_mount_do_not_in_another);
	tcase_add_test(tc, test_waits_for_inodes_are_counted_by_what_was_wanted);
	tcase_add_test(tc, test_wild_numbers_are_stale_everywhere);
	tcase_add_test(tc, test_unlinked_inode_lives_as_long_as_the_kernel_knows_it);
	tcase_add_test(tc, test_forgotten_inode_lives_as_long_as_it_has_a_name);
	tcase_add_test(tc, test_root_survives_forgetting);
	tcase_add_test(tc, test_number_and_generation_are_not_reused_together);
	tcase_add_test(tc, test_attributes_of_every_type_are_tmpfs_ones);
	tcase_add_test(tc, test_times_that_cannot_be_kept_are_refused);
	tcase_add_test(tc, test_setattr_changes_what_is_asked_for_only);
	tcase_add_test(tc, test_change_of_owner_takes_setid_bits_away);
	tcase_add_test(tc, test_truncation_takes_setid_bits_away_but_from_root);
	tcase_add_test(tc, test_size_is_set_for_regular_files_only);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
