// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_old_kernels.c - what kernels checked only later than FUSE's requests came to be: who may set
 * flags (5.13), and who may make programs that take a group's rights (6.0). INIT tells them apart.
 */
#include <linux/fs.h>

#include "fs/inode.h"
#include "tests/fuse/fixture.h"

#define OWNER 1000u
#define OTHER 2000u
#define GROUP 3000u

static void start(uint32_t minor)
{
	fixture_start_transport(minor);
}

static void be(uint32_t id)
{
	wire.uid = wire.gid = id;
}

static int set_flags(uint64_t ino, uint32_t flags)
{
	const struct fuse_ioctl_in in = {
		.cmd = (uint32_t)FS_IOC_SETFLAGS,
		.in_size = sizeof(flags),
	};

	return wire_call(&wire, FUSE_IOCTL, ino, &in, sizeof(in), &flags, sizeof(flags)).error;
}

START_TEST(test_flags_are_for_owner_and_root_where_the_kernel_does_not_look)
{
	uint64_t ino;

	start(33);
	be(OWNER);
	ino = make_file(ROOT, "f");
	ck_assert_int_eq(set_flags(ino, FS_NODUMP_FL), 0);
	ck_assert_int_eq(set_flags(ino, FS_NODUMP_FL | FS_IMMUTABLE_FL), -EPERM);
	ck_assert_int_eq(set_flags(ino, FS_NODUMP_FL | FS_APPEND_FL), -EPERM);
	be(OTHER);
	ck_assert_int_eq(set_flags(ino, 0), -EPERM);
	ck_assert_int_eq(set_flags(ino, FS_NODUMP_FL), -EPERM);
	be(0);
	ck_assert_int_eq(set_flags(ino, FS_IMMUTABLE_FL), 0);
	/* What seals it stays, unless root takes it away. */
	be(OWNER);
	ck_assert_int_eq(set_flags(ino, 0), -EPERM);
	ck_assert_int_eq(set_flags(ino, FS_IMMUTABLE_FL | FS_NOATIME_FL), 0);
	be(0);
	ck_assert_int_eq(set_flags(ino, 0), 0);
	teardown();
}
END_TEST

START_TEST(test_flags_are_the_kernels_to_judge_where_it_does)
{
	uint64_t ino;

	start(34);
	be(OWNER);
	ino = make_file(ROOT, "f");
	/* As of a process with CAP_LINUX_IMMUTABLE. */
	be(OTHER);
	ck_assert_int_eq(set_flags(ino, FS_IMMUTABLE_FL), 0);
	ck_assert_int_eq(set_flags(ino, 0), 0);
	teardown();
}
END_TEST

/* A directory with set-group-ID, of GROUP. */
static uint64_t make_sgid_dir(void)
{
	const struct fuse_setattr_in in = { .valid = FATTR_MODE | FATTR_GID,
					    .mode = S_IFDIR | 02777,
					    .gid = GROUP };
	const uint64_t dir = make_dir(ROOT, "d");
	struct fuse_attr attr;

	ck_assert_int_eq(wire_setattr(&wire, dir, &in, &attr), 0);
	return dir;
}

static uint32_t mode_of_new(uint64_t dir, const char *name, uint32_t mode)
{
	struct fuse_entry_out entry;

	ck_assert_int_eq(wire_mknod(&wire, dir, name, mode, &entry), 0);
	ck_assert_uint_eq(entry.attr.gid, GROUP);
	return entry.attr.mode;
}

static uint32_t mode_of_tmpfile(uint64_t dir, uint32_t mode)
{
	const struct fuse_create_in in = { .flags = 2, .mode = mode };
	const struct wire_reply reply =
		wire_call(&wire, FUSE_TMPFILE, dir, &in, sizeof(in), "/", 2);
	struct fuse_entry_out entry;

	ck_assert_int_eq(reply.error, 0);
	memcpy(&entry, reply.data, sizeof(entry));
	ck_assert_uint_eq(entry.attr.gid, GROUP);
	return entry.attr.mode;
}

START_TEST(test_a_groups_rights_are_its_members_to_give_away_where_the_kernel_does_not_look)
{
	struct fuse_entry_out entry;
	uint64_t dir;

	start(36);
	dir = make_sgid_dir();
	be(OTHER);
	ck_assert_uint_eq(mode_of_new(dir, "a", S_IFREG | 02775), S_IFREG | 0775);
	ck_assert_uint_eq(mode_of_tmpfile(dir, S_IFREG | 06755), S_IFREG | 04755);
	/* Without execution it is no right, and folders inherit it. */
	ck_assert_uint_eq(mode_of_new(dir, "b", S_IFREG | 02764), S_IFREG | 02764);
	ck_assert_int_eq(wire_mkdir(&wire, dir, "c", 0755, &entry), 0);
	ck_assert_uint_eq(entry.attr.mode, S_IFDIR | 02755);
	wire.gid = GROUP;
	ck_assert_uint_eq(mode_of_new(dir, "d", S_IFREG | 02775), S_IFREG | 02775);
	ck_assert_uint_eq(mode_of_tmpfile(dir, S_IFREG | 02775), S_IFREG | 02775);
	be(0);
	ck_assert_uint_eq(mode_of_new(dir, "e", S_IFREG | 02775), S_IFREG | 02775);
	teardown();
}
END_TEST

START_TEST(test_a_groups_rights_are_the_kernels_to_judge_where_it_does)
{
	uint64_t dir;

	start(37);
	dir = make_sgid_dir();
	be(OTHER);
	ck_assert_uint_eq(mode_of_new(dir, "a", S_IFREG | 02775), S_IFREG | 02775);
	teardown();
}
END_TEST

static void remove_capability(uint64_t ino)
{
	static const char name[] = "security.capability", value[] = "1234";
	const struct fuse_setxattr_in in = { .size = sizeof(value) };
	char both[sizeof(name) + sizeof(value)];

	memcpy(both, name, sizeof(name));
	memcpy(both + sizeof(name), value, sizeof(value));
	/* The short form of the fixed part, as agreed. */
	ck_assert_int_eq(wire_call(&wire, FUSE_SETXATTR, ino, &in, FUSE_COMPAT_SETXATTR_IN_SIZE,
				   both, sizeof(both))
				 .error,
			 0);
	ck_assert_int_eq(
		wire_call(&wire, FUSE_REMOVEXATTR, ino, NULL, 0, name, sizeof(name)).error, 0);
}

static uint32_t mode_after_nothing(uint64_t ino, uint32_t valid)
{
	const struct fuse_setattr_in in = { .valid = valid };
	struct fuse_attr attr;

	ck_assert_int_eq(wire_setattr(&wire, ino, &in, &attr), 0);
	return attr.mode & 07777;
}

/* What write(2) by root sends of a file with a capability, and what else sends a SETATTR of nothing. */
START_TEST(test_a_capability_taken_by_roots_write_leaves_set_id_bits)
{
	const struct fuse_setattr_in bits = { .valid = FATTR_MODE, .mode = S_IFREG | 06755 };
	struct fuse_attr attr;
	uint64_t ino, other;

	start(37);
	ck_assert(front.kills_setid);
	ino = make_file(ROOT, "f");
	other = make_file(ROOT, "g");
	ck_assert_int_eq(wire_setattr(&wire, ino, &bits, &attr), 0);
	ck_assert_int_eq(wire_setattr(&wire, other, &bits, &attr), 0);
	remove_capability(ino);
	ck_assert_uint_eq(mode_after_nothing(ino, 0), 06755);
	/* Once, and for this inode alone. */
	remove_capability(ino);
	ck_assert_uint_eq(mode_after_nothing(other, 0), 0755);
	ck_assert_uint_eq(mode_after_nothing(ino, 0), 06755);
	ck_assert_uint_eq(mode_after_nothing(ino, 0), 0755);
	/* chown(2) says when; who is not root loses them. */
	ck_assert_int_eq(wire_setattr(&wire, ino, &bits, &attr), 0);
	remove_capability(ino);
	ck_assert_uint_eq(mode_after_nothing(ino, FATTR_CTIME), 0755);
	ck_assert_int_eq(wire_setattr(&wire, ino, &bits, &attr), 0);
	remove_capability(ino);
	be(OTHER);
	ck_assert_uint_eq(mode_after_nothing(ino, 0), 0755);
	teardown();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("old_kernels");
	TCase *tc = tcase_create("old_kernels");

	tcase_add_test(tc, test_flags_are_for_owner_and_root_where_the_kernel_does_not_look);
	tcase_add_test(tc, test_flags_are_the_kernels_to_judge_where_it_does);
	tcase_add_test(tc,
		       test_a_groups_rights_are_its_members_to_give_away_where_the_kernel_does_not_look);
	tcase_add_test(tc, test_a_groups_rights_are_the_kernels_to_judge_where_it_does);
	tcase_add_test(tc, test_a_capability_taken_by_roots_write_leaves_set_id_bits);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
