// SPDX-License-Identifier: GPL-2.0-or-later
/* test_op_namei.c - requests about names, and the references they give. */
#include <stdio.h> /* renameat2's flags */

#include "tests/fuse/fixture.h"

#define FOREVER (365u * 24 * 3600)

START_TEST(test_created_objects_are_found_with_their_attributes)
{
	struct fuse_entry_out made, found;

	wire.uid = 1000;
	wire.gid = 100;
	ck_assert_int_eq(wire_mknod(&wire, ROOT, "file", S_IFREG | 0640, &made), 0);
	ck_assert_int_eq(wire_lookup(&wire, ROOT, "file", &found), 0);
	ck_assert_uint_eq(found.nodeid, made.nodeid);
	ck_assert_uint_eq(found.generation, made.generation);
	ck_assert_uint_eq(found.attr.ino, made.nodeid);
	ck_assert_uint_eq(found.attr.mode, S_IFREG | 0640);
	ck_assert_uint_eq(found.attr.uid, 1000);
	ck_assert_uint_eq(found.attr.gid, 100);
	ck_assert_uint_eq(found.attr.nlink, 1);
	ck_assert_int_eq(wire_mkdir(&wire, ROOT, "dir", 0751, &made), 0);
	ck_assert_uint_eq(made.attr.mode, S_IFDIR | 0751);
	ck_assert_uint_eq(made.attr.nlink, 2);
	ck_assert_int_eq(wire_mknod(&wire, made.nodeid, "pipe", S_IFIFO | 0600, &found), 0);
	ck_assert_uint_eq(found.attr.mode, S_IFIFO | 0600);
}
END_TEST

START_TEST(test_kernel_may_keep_names_and_attributes_without_end)
{
	struct fuse_entry_out entry;

	ck_assert_int_eq(wire_mknod(&wire, ROOT, "f", S_IFREG, &entry), 0);
	ck_assert_uint_gt(entry.entry_valid, FOREVER);
	ck_assert_uint_gt(entry.attr_valid, FOREVER);
	/* That there is no such name is kept too: node id 0, no error. */
	ck_assert_int_eq(wire_lookup(&wire, ROOT, "absent", &entry), 0);
	ck_assert_uint_eq(entry.nodeid, 0);
	ck_assert_uint_gt(entry.entry_valid, FOREVER);
}
END_TEST

START_TEST(test_device_numbers_come_back)
{
	const struct fuse_mknod_in in = {
		.mode = S_IFCHR | 0600, .rdev = (300u & 0xff) | (12u << 8) | ((300u & ~0xffu) << 12)
	};
	struct wire_reply reply = wire_call(&wire, FUSE_MKNOD, ROOT, &in, sizeof(in), "dev", 4);
	struct fuse_entry_out entry;

	ck_assert_int_eq(reply.error, 0);
	memcpy(&entry, reply.data, sizeof(entry));
	ck_assert_uint_eq(entry.attr.rdev, in.rdev);
}
END_TEST

START_TEST(test_symlink_reads_back_what_was_written)
{
	struct fuse_entry_out entry;
	struct wire_reply reply;
	char target[4096];

	memset(target, 't', sizeof(target));
	target[4095] = '\0';
	ck_assert_int_eq(wire_symlink(&wire, ROOT, "long", target, &entry), 0);
	reply = wire_call(&wire, FUSE_READLINK, entry.nodeid, NULL, 0, NULL, 0);
	ck_assert_int_eq(reply.error, 0);
	ck_assert_uint_eq(reply.len, 4095);
	ck_assert_mem_eq(reply.data, target, 4095);
	ck_assert_int_eq(wire_symlink(&wire, ROOT, "short", "x", &entry), 0);
	reply = wire_call(&wire, FUSE_READLINK, entry.nodeid, NULL, 0, NULL, 0);
	ck_assert_uint_eq(reply.len, 1);
	ck_assert_int_eq(wire_call(&wire, FUSE_READLINK, ROOT, NULL, 0, NULL, 0).error, -EINVAL);
}
END_TEST

START_TEST(test_links_share_one_inode)
{
	const uint64_t ino = make_file(ROOT, "a");
	struct fuse_entry_out entry;
	struct fuse_attr attr;

	ck_assert_int_eq(wire_link(&wire, ino, ROOT, "b", &entry), 0);
	ck_assert_uint_eq(entry.nodeid, ino);
	ck_assert_uint_eq(entry.attr.nlink, 2);
	ck_assert_int_eq(wire_unlink(&wire, ROOT, "a"), 0);
	ck_assert_int_eq(wire_getattr(&wire, ino, &attr), 0);
	ck_assert_uint_eq(attr.nlink, 1);
	ck_assert_int_eq(wire_link(&wire, ino, ROOT, "b", &entry), -EEXIST);
}
END_TEST

START_TEST(test_rename_obeys_its_flags)
{
	const uint64_t a = make_file(ROOT, "a"), b = make_file(ROOT, "b");
	const uint64_t dir = make_dir(ROOT, "dir");
	struct fuse_entry_out entry;

	ck_assert_int_eq(wire_rename(&wire, ROOT, "a", ROOT, "b", RENAME_NOREPLACE), -EEXIST);
	ck_assert_int_eq(wire_rename(&wire, ROOT, "a", ROOT, "b", RENAME_EXCHANGE), 0);
	ck_assert_int_eq(wire_lookup(&wire, ROOT, "a", &entry), 0);
	ck_assert_uint_eq(entry.nodeid, b);
	ck_assert_int_eq(wire_rename(&wire, ROOT, "b", dir, "c", 0), 0);
	ck_assert_int_eq(wire_lookup(&wire, dir, "c", &entry), 0);
	ck_assert_uint_eq(entry.nodeid, a);
	ck_assert_int_eq(wire_rename(&wire, ROOT, "dir", dir, "self", 0), -EINVAL);
	ck_assert_int_eq(wire_rename(&wire, ROOT, "a", ROOT, "x", 0x80), -EINVAL);
	ck_assert_int_eq(wire_rename(&wire, ROOT, "a", ROOT, "x", RENAME_WHITEOUT), 0);
	ck_assert_int_eq(wire_lookup(&wire, ROOT, "a", &entry), 0);
	ck_assert_uint_eq(entry.attr.mode & S_IFMT, S_IFCHR);
	ck_assert_uint_eq(entry.attr.rdev, 0);
}
END_TEST

START_TEST(test_old_form_of_rename_works)
{
	const struct fuse_rename_in in = { .newdir = ROOT };
	const uint64_t ino = make_file(ROOT, "a");
	struct fuse_entry_out entry;

	ck_assert_int_eq(wire_call(&wire, FUSE_RENAME, ROOT, &in, sizeof(in), "a\0b", 4).error, 0);
	ck_assert_int_eq(wire_lookup(&wire, ROOT, "b", &entry), 0);
	ck_assert_uint_eq(entry.nodeid, ino);
}
END_TEST

START_TEST(test_removal_follows_the_type)
{
	make_file(ROOT, "f");
	make_file(make_dir(ROOT, "d"), "in");
	ck_assert_int_eq(wire_rmdir(&wire, ROOT, "f"), -ENOTDIR);
	ck_assert_int_eq(wire_unlink(&wire, ROOT, "d"), -EISDIR);
	ck_assert_int_eq(wire_rmdir(&wire, ROOT, "d"), -ENOTEMPTY);
	ck_assert_int_eq(wire_unlink(&wire, ROOT, "absent"), -ENOENT);
	ck_assert_int_eq(wire_unlink(&wire, ROOT, "f"), 0);
}
END_TEST

START_TEST(test_removed_file_lives_until_it_is_forgotten)
{
	const uint64_t before = inodes_used();
	const uint64_t ino = make_file(ROOT, "f");
	struct fuse_entry_out entry;
	struct fuse_attr attr;
	char buf[3];

	ck_assert_int_eq(wire_lookup(&wire, ROOT, "f", &entry), 0);
	ck_assert_int_eq(wire_write(&wire, ino, 0, "abc", 3, 0), 3);
	ck_assert_int_eq(wire_unlink(&wire, ROOT, "f"), 0);
	ck_assert_int_eq(wire_getattr(&wire, ino, &attr), 0);
	ck_assert_uint_eq(attr.nlink, 0);
	wire_forget(&wire, ino, 1);
	ck_assert_int_eq(wire_read(&wire, ino, 0, buf, 3), 3);
	ck_assert_mem_eq(buf, "abc", 3);
	wire_forget(&wire, ino, 1);
	ck_assert_int_eq(wire_getattr(&wire, ino, &attr), -ESTALE);
	ck_assert_uint_eq(inodes_used(), before);
}
END_TEST

START_TEST(test_many_are_forgotten_by_one_request)
{
	const uint64_t before = inodes_used();
	struct fuse_forget_one one[20];
	const struct fuse_batch_forget_in in = { .count = ARRAY_SIZE(one) };

	for (size_t i = 0; i < ARRAY_SIZE(one); i++) {
		char name[16];

		snprintf(name, sizeof(name), "f%zu", i);
		one[i] = (struct fuse_forget_one){ .nodeid = make_file(ROOT, name), .nlookup = 1 };
		ck_assert_int_eq(wire_unlink(&wire, ROOT, name), 0);
	}
	ck_assert_uint_eq(inodes_used(), before + ARRAY_SIZE(one));
	wire_post(&wire, FUSE_BATCH_FORGET, 0, &in, sizeof(in), one, sizeof(one));
	ck_assert_uint_eq(inodes_used(), before);
}
END_TEST

/* The kernel never learns of these objects, so it will never forget them. */
START_TEST(test_reference_of_a_lost_reply_is_taken_back)
{
	const uint64_t before = inodes_used();
	struct fuse_entry_out entry;
	uint64_t ino;

	wire_interrupt_next_reply();
	ck_assert_int_eq(wire_mknod(&wire, ROOT, "f", S_IFREG, &entry), -EINTR);
	wire_interrupt_next_reply();
	ck_assert_int_eq(wire_lookup(&wire, ROOT, "f", &entry), -EINTR);
	wire_interrupt_next_reply();
	ck_assert_int_eq(wire_mkdir(&wire, ROOT, "d", 0700, &entry), -EINTR);
	wire_interrupt_next_reply();
	ck_assert_int_eq(wire_symlink(&wire, ROOT, "s", "t", &entry), -EINTR);
	ck_assert_uint_eq(inodes_used(), before + 3);
	ck_assert_int_eq(wire_unlink(&wire, ROOT, "f"), 0);
	ck_assert_int_eq(wire_rmdir(&wire, ROOT, "d"), 0);
	ck_assert_int_eq(wire_unlink(&wire, ROOT, "s"), 0);
	ck_assert_uint_eq(inodes_used(), before);
	ino = make_file(ROOT, "a");
	wire_interrupt_next_reply();
	ck_assert_int_eq(wire_link(&wire, ino, ROOT, "b", &entry), -EINTR);
	ck_assert_int_eq(wire_unlink(&wire, ROOT, "a"), 0);
	ck_assert_int_eq(wire_unlink(&wire, ROOT, "b"), 0);
	wire_forget(&wire, ino, 1);
	ck_assert_uint_eq(inodes_used(), before);
}
END_TEST

START_TEST(test_dot_and_dot_dot_are_found_by_node_id)
{
	const uint64_t dir = make_dir(ROOT, "d"), file = make_file(dir, "f");
	struct fuse_entry_out entry;

	ck_assert_int_eq(wire_lookup(&wire, dir, "..", &entry), 0);
	ck_assert_uint_eq(entry.nodeid, ROOT);
	ck_assert_int_eq(wire_lookup(&wire, dir, ".", &entry), 0);
	ck_assert_uint_eq(entry.nodeid, dir);
	/* A file handle of a file whose name the kernel has lost. */
	ck_assert_int_eq(wire_lookup(&wire, file, ".", &entry), 0);
	ck_assert_uint_eq(entry.nodeid, file);
}
END_TEST

START_TEST(test_names_at_and_beyond_their_limits)
{
	struct fuse_entry_out entry;
	char name[258];

	memset(name, 'n', sizeof(name));
	name[255] = '\0';
	ck_assert_int_eq(wire_mknod(&wire, ROOT, name, S_IFREG, &entry), 0);
	ck_assert_int_eq(wire_lookup(&wire, ROOT, name, &entry), 0);
	ck_assert_uint_ne(entry.nodeid, 0);
	name[255] = 'n';
	name[256] = '\0';
	ck_assert_int_eq(wire_lookup(&wire, ROOT, name, &entry), -ENAMETOOLONG);
	ck_assert_int_eq(wire_mknod(&wire, ROOT, name, S_IFREG, &entry), -ENAMETOOLONG);
	ck_assert_int_eq(wire_mkdir(&wire, ROOT, name, 0700, &entry), -ENAMETOOLONG);
	ck_assert_int_eq(wire_symlink(&wire, ROOT, name, "t", &entry), -ENAMETOOLONG);
	ck_assert_int_eq(wire_rename(&wire, ROOT, "x", ROOT, name, 0), -ENAMETOOLONG);
	ck_assert_int_lt(wire_mknod(&wire, ROOT, "", S_IFREG, &entry), 0);
	ck_assert_int_lt(wire_mkdir(&wire, ROOT, "", 0700, &entry), 0);
	ck_assert_int_lt(wire_symlink(&wire, ROOT, "", "t", &entry), 0);
	ck_assert_int_lt(wire_unlink(&wire, ROOT, ""), 0);
	ck_assert_int_lt(wire_rename(&wire, ROOT, "", ROOT, "x", 0), 0);
}
END_TEST

START_TEST(test_unknown_node_ids_are_stale)
{
	static const uint64_t inos[] = {
		0, 2, 3, 16, 4096, 1u << 20, UINT64_C(1) << 40, UINT64_MAX
	};

	for (size_t i = 0; i < ARRAY_SIZE(inos); i++) {
		struct fuse_entry_out entry;
		struct fuse_attr attr;
		char buf[16];

		ck_assert_int_eq(wire_lookup(&wire, inos[i], "x", &entry), -ESTALE);
		ck_assert_int_eq(wire_mknod(&wire, inos[i], "x", S_IFREG, &entry), -ESTALE);
		ck_assert_int_eq(wire_link(&wire, inos[i], ROOT, "x", &entry), -ESTALE);
		ck_assert_int_eq(wire_rename(&wire, ROOT, "x", inos[i], "y", 0), -ESTALE);
		ck_assert_int_eq(wire_getattr(&wire, inos[i], &attr), -ESTALE);
		ck_assert_int_eq(wire_read(&wire, inos[i], 0, buf, sizeof(buf)), -ESTALE);
		ck_assert_int_eq(wire_write(&wire, inos[i], 0, buf, sizeof(buf), 0), -ESTALE);
		wire_forget(&wire, inos[i], 1);
	}
}
END_TEST

START_TEST(test_inode_limit_is_no_space_and_recovers)
{
	struct fuse_entry_out entry;
	char name[16];
	unsigned made;
	int error = 0;

	for (made = 0; made <= FIXTURE_INODES; made++) {
		snprintf(name, sizeof(name), "f%u", made);
		error = wire_mknod(&wire, ROOT, name, S_IFREG, &entry);
		if (error)
			break;
	}
	ck_assert_int_eq(error, -ENOSPC);
	ck_assert_uint_eq(made, FIXTURE_INODES - 1); /* the root is one */
	ck_assert_int_eq(wire_lookup(&wire, ROOT, "f0", &entry), 0);
	ck_assert_int_eq(wire_unlink(&wire, ROOT, "f0"), 0);
	wire_forget(&wire, entry.nodeid, 2);
	ck_assert_int_eq(wire_mknod(&wire, ROOT, "again", S_IFREG, &entry), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("op_namei");
	TCase *tc = tcase_create("op_namei");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_created_objects_are_found_with_their_attributes);
	tcase_add_test(tc, test_kernel_may_keep_names_and_attributes_without_end);
	tcase_add_test(tc, test_device_numbers_come_back);
	tcase_add_test(tc, test_symlink_reads_back_what_was_written);
	tcase_add_test(tc, test_links_share_one_inode);
	tcase_add_test(tc, test_rename_obeys_its_flags);
	tcase_add_test(tc, test_old_form_of_rename_works);
	tcase_add_test(tc, test_removal_follows_the_type);
	tcase_add_test(tc, test_removed_file_lives_until_it_is_forgotten);
	tcase_add_test(tc, test_many_are_forgotten_by_one_request);
	tcase_add_test(tc, test_reference_of_a_lost_reply_is_taken_back);
	tcase_add_test(tc, test_dot_and_dot_dot_are_found_by_node_id);
	tcase_add_test(tc, test_names_at_and_beyond_their_limits);
	tcase_add_test(tc, test_unknown_node_ids_are_stale);
	tcase_add_test(tc, test_inode_limit_is_no_space_and_recovers);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
