// SPDX-License-Identifier: GPL-2.0-or-later
/* test_super.c - a mount made and ended; what statfs and the counters say. */
#include "fs/xattr.h"
#include "tests/fs/fixture.h"
#include "util/alloc.h"
#include "util/clock.h"

START_TEST(test_new_mount_has_a_root_as_asked_for)
{
	struct super_params params = fixture_params();
	struct super *sb;
	struct stat attr;

	params.mode = 0751;
	params.uid = 12;
	params.gid = 34;
	sb = fixture_init_params(&params);
	attr = attr_of(sb, FS_ROOT_INO);
	ck_assert_uint_eq(attr.st_ino, FS_ROOT_INO);
	ck_assert_uint_eq(attr.st_mode, S_IFDIR | 0751);
	ck_assert_uint_eq(attr.st_uid, 12);
	ck_assert_uint_eq(attr.st_gid, 34);
	ck_assert_uint_eq(sb->rec->magic, SUPER_MAGIC);
	ck_assert_uint_eq(sb->rec->version, SUPER_VERSION);
	fixture_exit(sb);
	super_destroy(NULL);
}
END_TEST

START_TEST(test_bad_parameters_get_an_error_and_a_sentence)
{
	struct super_params params = fixture_params();
	struct super *sb = NULL;
	char text[256] = "";

	params.cluster_order = BLKMAP_MAX_ORDER + 1;
	ck_assert_int_eq(super_create(&params, text, &sb), -EINVAL);
	ck_assert_str_ne(text, "");
	params = fixture_params();
	params.content.comp.name = "none such";
	text[0] = '\0';
	ck_assert_int_eq(super_create(&params, text, &sb), -ENOENT);
	ck_assert_str_ne(text, "");
	params = fixture_params();
	params.mem_limit = 4096;
	text[0] = '\0';
	ck_assert_int_eq(super_create(&params, text, &sb), -ENOSPC);
	ck_assert_str_ne(text, "");
	ck_assert_ptr_null(sb);
}
END_TEST

START_TEST(test_want_of_memory_leaves_nothing_behind)
{
	struct super_params params = fixture_params();
	struct super *sb = NULL;
	char text[256];
	long n = 0;
	int err;

	do {
		zt_fault_set(++n);
		text[0] = '\0';
		err = super_create(&params, text, &sb);
		if (err) {
			ck_assert_int_eq(err, -ENOMEM);
			ck_assert_str_ne(text, "");
		}
		ck_assert_int_lt(n, 10000);
	} while (err);
	zt_fault_set(0);
	ck_assert_int_gt(n, 5);
	fixture_exit(sb);
}
END_TEST

START_TEST(test_statfs_counts_pages_and_inodes)
{
	struct super_params params = fixture_params();
	static const char page[4096] = "x";
	struct super *sb;
	struct statvfs vfs;
	ino_nr ino;

	params.size = 10 * MIB - 100; /* rounded up to pages */
	params.nr_inodes = 50;
	sb = fixture_init_params(&params);
	super_statfs(sb, &vfs);
	ck_assert_uint_eq(vfs.f_bsize, 4096);
	ck_assert_uint_eq(vfs.f_frsize, 4096);
	ck_assert_uint_eq(vfs.f_namemax, 255);
	ck_assert_uint_eq(vfs.f_blocks, 2560);
	ck_assert_uint_eq(vfs.f_bfree, 2560);
	ck_assert_uint_eq(vfs.f_files, 50);
	ck_assert_uint_eq(vfs.f_ffree, 49);
	ino = make_file(sb, FS_ROOT_INO, "file");
	for (unsigned i = 0; i < 5; i++)
		write_all(sb, ino, i * 100000, page, sizeof(page));
	super_statfs(sb, &vfs);
	ck_assert_uint_le(vfs.f_bfree, 2560 - 5);
	ck_assert_uint_eq(vfs.f_bfree, 2560 - (uint64_t)attr_of(sb, ino).st_blocks / 8);
	ck_assert_uint_eq(vfs.f_bavail, vfs.f_bfree);
	ck_assert_uint_eq(vfs.f_ffree, 48);
	fixture_exit(sb);
}
END_TEST

/* df must never promise more than data that do not compress could fill. */
START_TEST(test_statfs_promises_no_more_than_random_data_fill)
{
	static const unsigned orders[] = { 0, 4, 5 };
	static uint64_t data[65536 / 8];
	uint64_t state = zt_seed();

	for (size_t i = 0; i < ARRAY_SIZE(orders); i++) {
		struct super_params params = fixture_params();
		struct statvfs vfs;
		struct super *sb;
		uint64_t stored = 0;
		size_t done;
		ino_nr ino;

		params.mem_limit = 16 * MIB;
		params.size = 1 * GIB;
		params.cluster_order = orders[i];
		sb = fixture_init_params(&params);
		ino = make_file(sb, FS_ROOT_INO, "file");
		super_statfs(sb, &vfs);
		/* Nothing is used: all that there is is free. */
		ck_assert_uint_eq(vfs.f_blocks, vfs.f_bfree);
		ck_assert_uint_le(vfs.f_bfree, 16 * MIB / 4096);
		ck_assert_uint_ge(vfs.f_bfree, 14 * MIB / 4096);
		do {
			for (size_t w = 0; w < ARRAY_SIZE(data); w++)
				data[w] = zt_random(&state);
			done = 0;
			if (fs_write(sb, &user_cred, ino, stored, data, sizeof(data), 0, &done))
				break;
			stored += done;
		} while (done > 0);
		ck_assert_msg(stored / 4096 >= vfs.f_bfree,
			      "order %u: promised %lu pages, took %" PRIu64, orders[i], vfs.f_bfree,
			      stored / 4096);
		super_statfs(sb, &vfs);
		ck_assert_uint_le(vfs.f_bfree, 64);
		ck_assert_uint_eq(vfs.f_blocks, vfs.f_bfree + stored / 4096);
		fixture_exit(sb);
	}
}
END_TEST

/* What compression saves comes on top: used is what files contain, never more. */
START_TEST(test_statfs_counts_as_used_what_files_contain_under_a_limit)
{
	struct super_params params = fixture_params();
	static char text[65536];
	struct statvfs vfs;
	struct super *sb;
	ino_nr ino;

	params.mem_limit = 16 * MIB;
	params.size = 64 * MIB;
	sb = fixture_init_params(&params);
	ino = make_file(sb, FS_ROOT_INO, "file");
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (char)('a' + i % 23 + i / 4096 % 3);
	for (unsigned i = 0; i < 32 * MIB / sizeof(text); i++)
		write_all(sb, ino, i * sizeof(text), text, sizeof(text));
	super_statfs(sb, &vfs);
	ck_assert_uint_eq(vfs.f_blocks - vfs.f_bfree, 32 * MIB / 4096);
	ck_assert_uint_ge(vfs.f_bfree, 12 * MIB / 4096);
	/* By size= alone less is left. */
	for (unsigned i = 0; i < 28 * MIB / sizeof(text); i++)
		write_all(sb, ino, 32 * MIB + i * sizeof(text), text, sizeof(text));
	super_statfs(sb, &vfs);
	ck_assert_uint_eq(vfs.f_bfree, 4 * MIB / 4096);
	ck_assert_uint_eq(vfs.f_blocks, 64 * MIB / 4096);
	fixture_exit(sb);
}
END_TEST

/* df -i likewise: empty files with the longest names. */
START_TEST(test_statfs_promises_no_more_inodes_than_memory_holds)
{
	struct super_params params = fixture_params();
	struct statvfs vfs;
	struct super *sb;
	char name[256];
	uint64_t made = 0;
	int err;

	params.mem_limit = 8 * MIB;
	params.nr_inodes = 1000000;
	sb = fixture_init_params(&params);
	super_statfs(sb, &vfs);
	ck_assert_uint_ge(vfs.f_ffree, 10000);
	ck_assert_uint_eq(vfs.f_files, vfs.f_ffree + 1);
	memset(name, 'n', 255);
	do {
		struct fs_entry entry;

		snprintf(name, 9, "%08" PRIu64, made);
		name[8] = 'n';
		err = fs_mknod(sb, &user_cred, FS_ROOT_INO, name, S_IFREG | 0644, 0, &entry);
		made += !err;
	} while (!err);
	ck_assert_int_eq(err, -ENOSPC);
	ck_assert_uint_ge(made, vfs.f_ffree);
	super_statfs(sb, &vfs);
	ck_assert_uint_le(vfs.f_ffree, 64);
	ck_assert_uint_eq(vfs.f_files, made + 1 + vfs.f_ffree);
	fixture_exit(sb);
}
END_TEST

/* Of the room that nr_inodes gives: how much @sb has left, in inodes. */
static uint64_t inodes_left(struct super *sb)
{
	struct statvfs vfs;

	super_statfs(sb, &vfs);
	return vfs.f_ffree;
}

/* As in tmpfs: or names, targets and lists would take memory without a bound. */
START_TEST(test_names_targets_and_lists_take_room_of_inodes)
{
	/* Version 2; owner, a user, group, mask, others. */
	static const uint8_t acl[] = { 2, 0, 0, 0, 1, 0, 7, 0, 255, 255, 255, 255,
				       2, 0, 7, 0, 9, 0, 0, 0, 4,   0,	 7,   0,
				       255, 255, 255, 255, 16, 0, 7, 0, 255, 255, 255, 255,
				       32, 0, 7, 0, 255, 255, 255, 255 };
	struct super_params params = fixture_params();
	char target[4096], name[16];
	struct fs_entry entry;
	struct super *sb;
	ino_nr ino;
	int err = 0;

	params.nr_inodes = 100;
	params.acl = true;
	sb = fixture_init_params(&params);
	ino = make_file(sb, FS_ROOT_INO, "file");
	ck_assert_uint_eq(inodes_left(sb), 98);
	ck_assert_int_eq(fs_link(sb, ino, FS_ROOT_INO, "second", &entry), 0);
	ck_assert_uint_eq(inodes_left(sb), 97);
	ck_assert_int_eq(fs_unlink(sb, FS_ROOT_INO, "file"), 0);
	ck_assert_uint_eq(inodes_left(sb), 98);
	for (unsigned i = 0; !err; i++) {
		snprintf(name, sizeof(name), "link-%u", i);
		err = fs_link(sb, ino, FS_ROOT_INO, name, &entry);
		ck_assert_uint_le(i, 98);
	}
	ck_assert_int_eq(err, -ENOSPC);
	ck_assert_uint_eq(inodes_left(sb), 0);
	for (unsigned i = 0; i < 98; i++) {
		snprintf(name, sizeof(name), "link-%u", i);
		ck_assert_int_eq(fs_unlink(sb, FS_ROOT_INO, name), 0);
	}
	ck_assert_uint_eq(inodes_left(sb), 98);

	memset(target, 't', sizeof(target));
	target[127] = '\0';
	ck_assert_int_eq(fs_symlink(sb, &user_cred, FS_ROOT_INO, "short", target, &entry), 0);
	ck_assert_uint_eq(inodes_left(sb), 97);
	target[127] = 't';
	target[4095] = '\0';
	ck_assert_int_eq(fs_symlink(sb, &user_cred, FS_ROOT_INO, "long", target, &entry), 0);
	ck_assert_uint_eq(inodes_left(sb), 92);
	fs_forget(sb, entry.ino, 1);
	ck_assert_int_eq(fs_unlink(sb, FS_ROOT_INO, "long"), 0);
	ck_assert_uint_eq(inodes_left(sb), 97);

	ck_assert_int_eq(fs_setxattr(sb, ino, "system.posix_acl_access", acl, sizeof(acl), 0), 0);
	ck_assert_uint_eq(inodes_left(sb), 96);
	ck_assert_int_eq(fs_setxattr(sb, ino, "system.posix_acl_access", acl, sizeof(acl), 0), 0);
	ck_assert_uint_eq(inodes_left(sb), 96);
	ck_assert_int_eq(fs_removexattr(sb, ino, "system.posix_acl_access"), 0);
	ck_assert_uint_eq(inodes_left(sb), 97);
	fixture_exit(sb);
}
END_TEST

/* All attributes of an inode are walked under its lock. */
START_TEST(test_attributes_of_one_inode_have_a_bound)
{
	struct super *sb = fixture_init();
	ino_nr ino = make_file(sb, FS_ROOT_INO, "file");
	static const char value[60];
	unsigned nr = 0;
	char name[32];
	int err;

	do {
		snprintf(name, sizeof(name), "user.%u", nr);
		err = fs_setxattr(sb, ino, name, value, sizeof(value), 0);
		nr += !err;
		ck_assert_uint_le(nr, 20000);
	} while (!err);
	ck_assert_int_eq(err, -ENOSPC);
	ck_assert_uint_ge(nr, 5000);
	/* What is there can be changed and taken away. */
	ck_assert_int_eq(fs_setxattr(sb, ino, "user.7", value, 50, 0), 0);
	for (unsigned i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "user.%u", i);
		ck_assert_int_eq(fs_removexattr(sb, ino, name), 0);
	}
	ck_assert_int_eq(fs_setxattr(sb, ino, "user.one-more", value, sizeof(value), 0), 0);
	fixture_exit(sb);
}
END_TEST

START_TEST(test_statfs_without_limits_speaks_of_the_machine)
{
	struct super *sb = fixture_init();
	struct statvfs vfs;

	super_statfs(sb, &vfs);
	ck_assert_uint_gt(vfs.f_blocks, 0);
	ck_assert_uint_gt(vfs.f_bfree, 0);
	ck_assert_uint_le(vfs.f_bfree, vfs.f_blocks);
	ck_assert_uint_eq(vfs.f_files, 0);
	ck_assert_uint_eq(vfs.f_ffree, 0);
	fixture_exit(sb);
}
END_TEST

START_TEST(test_a_request_waits_for_memory_unless_it_is_told_not_to)
{
	ck_assert(!super_waits_never());
	super_wait_never();
	ck_assert(super_waits_never());
	super_wait_until(zt_now_ns() + ZT_NS_PER_S);
	ck_assert(!super_waits_never());
	super_wait_until(0);
	ck_assert(!super_waits_never());
}
END_TEST

START_TEST(test_counters_say_what_is_stored)
{
	struct super_params params = fixture_params();
	static char data[10 * 65536];
	struct ztmpfs_stat stat;
	struct super *sb;
	ino_nr ino;

	params.size = 64 * MIB;
	params.nr_inodes = 100;
	params.mem_limit = 32 * MIB;
	sb = fixture_init_params(&params);
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = "some text that compresses "[i * i / 65536 % 26];
	ino = make_file(sb, FS_ROOT_INO, "file");
	write_all(sb, ino, 0, data, sizeof(data));
	memset(&stat, 0, sizeof(stat)); /* what nobody sets is seen */
	super_get_stat(sb, &stat);
	ck_assert_uint_eq(stat.version, ZTMPFS_STAT_VERSION);
	ck_assert_uint_eq(stat.struct_size, sizeof(stat));
	ck_assert_str_eq(stat.compress, "lz4");
	ck_assert_uint_eq(stat.orig_data_size, sizeof(data));
	ck_assert_uint_gt(stat.compr_data_size, 0);
	ck_assert_uint_lt(stat.compr_data_size, sizeof(data));
	ck_assert_uint_gt(stat.mem_used_total, stat.compr_data_size);
	ck_assert_uint_ge(stat.mem_used_max, stat.mem_used_total);
	ck_assert_uint_eq(stat.mem_limit, 32 * MIB);
	ck_assert_uint_eq(stat.size_limit, 64 * MIB);
	ck_assert_uint_eq(stat.inodes_used, 2);
	ck_assert_uint_eq(stat.inodes_limit, 100);
	ck_assert_uint_eq(stat.cluster_size, 65536);
	ck_assert_uint_eq(stat.streams, 2);
	ck_assert_uint_gt(stat.compress_calls + stat.managed_calls, 0);
	fixture_exit(sb);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("super");
	TCase *tc = tcase_create("super");

	tcase_set_timeout(tc, 30);
	tcase_add_test(tc, test_new_mount_has_a_root_as_asked_for);
	tcase_add_test(tc, test_bad_parameters_get_an_error_and_a_sentence);
	tcase_add_test(tc, test_want_of_memory_leaves_nothing_behind);
	tcase_add_test(tc, test_statfs_counts_pages_and_inodes);
	tcase_add_test(tc, test_statfs_promises_no_more_than_random_data_fill);
	tcase_add_test(tc, test_statfs_counts_as_used_what_files_contain_under_a_limit);
	tcase_add_test(tc, test_statfs_promises_no_more_inodes_than_memory_holds);
	tcase_add_test(tc, test_names_targets_and_lists_take_room_of_inodes);
	tcase_add_test(tc, test_attributes_of_one_inode_have_a_bound);
	tcase_add_test(tc, test_statfs_without_limits_speaks_of_the_machine);
	tcase_add_test(tc, test_a_request_waits_for_memory_unless_it_is_told_not_to);
	tcase_add_test(tc, test_counters_say_what_is_stored);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
