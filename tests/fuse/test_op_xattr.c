// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_op_xattr.c - requests about extended attributes; the umask and default ACLs of new objects;
 * listings of directories that move.
 */
#include <linux/fs.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <stdlib.h>
#include <sys/xattr.h>

#include "fs/inode.h"
#include "tests/fuse/fixture.h"

static int set(uint64_t ino, const char *name, const void *value, uint32_t size, uint32_t flags)
{
	/* The short form of the request, which libfuse agrees on. */
	const struct fuse_setxattr_in in = { .size = size, .flags = flags };
	char data[4096];
	size_t name_len = strlen(name) + 1;

	memcpy(data, name, name_len);
	memcpy(data + name_len, value, size);
	return wire_call(&wire, FUSE_SETXATTR, ino, &in, FUSE_COMPAT_SETXATTR_IN_SIZE, data,
			 name_len + size)
		.error;
}

/* Bytes of the value or the list, which go to @buf unless @size is 0; or -errno. */
static long get(uint64_t ino, const char *name, char *buf, uint32_t size)
{
	const struct fuse_getxattr_in in = { .size = size };
	struct wire_reply reply = wire_call(&wire, name ? FUSE_GETXATTR : FUSE_LISTXATTR, ino, &in,
					    sizeof(in), name, name ? strlen(name) + 1 : 0);
	struct fuse_getxattr_out out;

	if (reply.error)
		return reply.error;
	if (size > 0) {
		memcpy(buf, reply.data, reply.len);
		return (long)reply.len;
	}
	ck_assert_uint_eq(reply.len, sizeof(out));
	memcpy(&out, reply.data, sizeof(out));
	return out.size;
}

static int remove_name(uint64_t ino, const char *name)
{
	return wire_call(&wire, FUSE_REMOVEXATTR, ino, NULL, 0, name, strlen(name) + 1).error;
}

START_TEST(test_attributes_come_and_go)
{
	uint64_t ino = make_file(ROOT, "f");
	char buf[4096], value[2000];

	memset(value, 'v', sizeof(value));
	ck_assert_int_eq(get(ino, "user.a", buf, 0), -ENODATA);
	ck_assert_int_eq(get(ino, NULL, buf, 0), 0);
	ck_assert_int_eq(set(ino, "user.a", "1", 1, XATTR_REPLACE), -ENODATA);
	ck_assert_int_eq(set(ino, "user.a", "1", 1, XATTR_CREATE), 0);
	ck_assert_int_eq(set(ino, "user.a", "1", 1, XATTR_CREATE), -EEXIST);
	ck_assert_int_eq(set(ino, "trusted.b", value, sizeof(value), 0), 0);
	ck_assert_int_eq(get(ino, "trusted.b", buf, 0), sizeof(value));
	ck_assert_int_eq(get(ino, "trusted.b", buf, 10), -ERANGE);
	ck_assert_int_eq(get(ino, "trusted.b", buf, sizeof(buf)), sizeof(value));
	ck_assert_mem_eq(buf, value, sizeof(value));
	ck_assert_int_eq(get(ino, "user.a", buf, 4), 1);
	ck_assert_int_eq(get(ino, NULL, buf, 0), sizeof("user.a") + sizeof("trusted.b"));
	ck_assert_int_eq(get(ino, NULL, buf, 3), -ERANGE);
	ck_assert_int_eq(get(ino, NULL, buf, sizeof(buf)), sizeof("user.a") + sizeof("trusted.b"));
	wire.uid = 1000;
	ck_assert_int_eq(get(ino, NULL, buf, sizeof(buf)), sizeof("user.a"));
	ck_assert_str_eq(buf, "user.a");
	ck_assert_int_eq(remove_name(ino, "user.a"), 0);
	ck_assert_int_eq(remove_name(ino, "user.a"), -ENODATA);
	ck_assert_int_eq(get(ino, "other.a", buf, 0), -EOPNOTSUPP);
}
END_TEST

/* The number behind "@key=" in a value. */
static uint64_t number_of(const char *text, const char *key)
{
	const char *at = strstr(text, key);

	ck_assert_msg(at && at[strlen(key)] == '=', "no %s in \"%s\"", key, text);
	return strtoull(at + strlen(key) + 1, NULL, 10);
}

START_TEST(test_an_attribute_says_how_a_file_is_compressed)
{
	static const char name[] = "user.ztmpfs.compress";
	uint64_t ino = make_file(ROOT, "f");
	char buf[4096];

	ck_assert_int_eq(remove_name(ino, name), 0);
	ck_assert_int_eq(get(ino, name, buf, 0), -ENODATA);
	ck_assert_int_eq(set(ino, name, "zstd:7", 6, 0), 0);
	/* The same again, as after a death. */
	ck_assert_int_eq(set(ino, name, "zstd:7", 6, XATTR_CREATE), 0);
	ck_assert_int_eq(get(ino, name, buf, 0), 6);
	ck_assert_int_eq(get(ino, name, buf, sizeof(buf)), 6);
	ck_assert_mem_eq(buf, "zstd:7", 6);
	ck_assert_int_eq(get(ino, NULL, buf, sizeof(buf)), 0);
	ck_assert_int_eq(set(ino, name, "nosuch", 6, 0), -EINVAL);
	wire.uid = 1000;
	ck_assert_int_eq(set(ino, name, "none", 4, 0), -EPERM);
	ck_assert_int_eq(remove_name(ino, name), -EPERM);
	wire.uid = 0;
	ck_assert_int_eq(remove_name(ino, name), 0);
	ck_assert_int_eq(get(ino, name, buf, sizeof(buf)), -ENODATA);
}
END_TEST

START_TEST(test_what_a_file_costs_is_an_attribute_that_nothing_copies)
{
	static const char name[] = "user.ztmpfs.stat";
	uint64_t ino = make_file(ROOT, "f"), dir = make_dir(ROOT, "d");
	struct ztmpfs_file_stat stat;
	struct fuse_entry_out link;
	char buf[4096], text[65536];
	long len;

	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (char)("0123456789abcdef"[i % 16] + (i / 4096));
	ck_assert_int_eq(set(ino, "user.a", "1", 1, 0), 0);
	ck_assert_int_eq(wire_write(&wire, ino, 0, text, sizeof(text), 0), sizeof(text));
	ck_assert_int_eq(wire_write(&wire, ino, 1000000, "end", 3, 0), 3);
	ck_assert_int_eq(fs_file_stat(sb, ino, &stat), 0);

	/* Asked for its length it leaves room to grow. */
	len = get(ino, name, buf, 0);
	ck_assert_int_ge(len, 512);
	len = get(ino, name, buf, (uint32_t)len);
	ck_assert_int_gt(len, 0);
	ck_assert_int_lt(len, sizeof(buf));
	buf[len] = '\0';
	ck_assert_uint_eq(strlen(buf), len);
	ck_assert_uint_eq(number_of(buf, "size"), 1000003);
	ck_assert_uint_eq(number_of(buf, "allocated"), sizeof(text) + 4096);
	ck_assert_uint_eq(number_of(buf, "stored"), stat.stored);
	ck_assert_uint_gt(stat.stored, 0);
	ck_assert_uint_eq(number_of(buf, "memory"), stat.memory);
	ck_assert_uint_eq(number_of(buf, "ratio"), stat.allocated / stat.memory);
	ck_assert_uint_eq(number_of(buf, "objects"), stat.objects);
	ck_assert_uint_eq(number_of(buf, "cluster"), 65536);
	ck_assert_msg(strstr(buf, " codecs=lz4:69632") != NULL, "%s", buf);
	ck_assert_int_eq(get(ino, name, buf, 20), -ERANGE);
	ck_assert_int_eq(get(ino, name, buf, (uint32_t)len - 1), -ERANGE);
	ck_assert_int_eq(get(ino, name, buf, (uint32_t)len), len);

	ck_assert_int_eq(get(ino, NULL, buf, sizeof(buf)), sizeof("user.a"));
	ck_assert_int_eq(set(ino, name, "1", 1, 0), -EOPNOTSUPP);
	ck_assert_int_eq(remove_name(ino, name), -EOPNOTSUPP);
	ck_assert_int_eq(set(ino, "user.ztmpfs.state", "1", 1, 0), 0);
	ck_assert_int_eq(remove_name(ino, "user.ztmpfs.state"), 0);

	ck_assert_int_eq(get(dir, name, buf, 0), -ENODATA);
	ck_assert_int_eq(get(dir, name, buf, sizeof(buf)), -ENODATA);
	ck_assert_int_eq(set(dir, name, "1", 1, 0), -EOPNOTSUPP);
	ck_assert_int_eq(wire_mknod(&wire, ROOT, "fifo", S_IFIFO | 0644, &link), 0);
	ck_assert_int_eq(get(link.nodeid, name, buf, sizeof(buf)), -ENODATA);
}
END_TEST

START_TEST(test_kernel_may_not_take_a_capability_from_an_immutable_file)
{
	static const char name[] = "security.capability";
	const struct fuse_ioctl_in in = { .cmd = FS_IOC_SETFLAGS, .in_size = 4 };
	uint64_t ino = make_file(ROOT, "f");
	uint32_t flags = FS_IMMUTABLE_FL;
	char buf[64];

	ck_assert_int_eq(
		wire_call(&wire, FUSE_IOCTL, ino, &in, sizeof(in), &flags, sizeof(flags)).error, 0);
	/* It seems to have one, so that the kernel tries before it takes a write. */
	ck_assert_int_gt(get(ino, name, buf, 0), 0);
	ck_assert_int_eq(get(ino, name, buf, sizeof(buf)), -ENODATA);
	ck_assert_int_eq(get(ino, "user.a", buf, 0), -ENODATA);
	ck_assert_int_eq(remove_name(ino, name), -EPERM);
}
END_TEST

static void setup_without(void)
{
	fixture_xattr = false;
	fixture_start(ZTFUSE_CACHE_WRITEBACK);
	fixture_xattr = true;
}

START_TEST(test_mount_without_attributes_declines_once_and_for_all)
{
	uint64_t ino = make_file(ROOT, "f");
	char buf[64];

	ck_assert(!(wire.init.flags & (FUSE_POSIX_ACL | FUSE_DONT_MASK)));
	ck_assert_int_eq(get(ino, "security.capability", buf, 0), -ENOSYS);
	ck_assert_int_eq(get(ino, "user.ztmpfs.stat", buf, 0), -ENOSYS);
	ck_assert_int_eq(get(ino, NULL, buf, 0), -ENOSYS);
	ck_assert_int_eq(set(ino, "user.a", "1", 1, 0), -ENOSYS);
	ck_assert_int_eq(remove_name(ino, "user.a"), -ENOSYS);
}
END_TEST

struct acl {
	struct posix_acl_xattr_header header;
	struct posix_acl_xattr_entry entries[5];
};

static const struct acl named_user = {
	.header = { POSIX_ACL_XATTR_VERSION },
	.entries = { { ACL_USER_OBJ, 7, 0 },
		     { ACL_USER, 6, 7 },
		     { ACL_GROUP_OBJ, 5, 0 },
		     { ACL_MASK, 7, 0 },
		     { ACL_OTHER, 4, 0 } },
};

START_TEST(test_umask_gives_way_to_a_default_acl)
{
	uint64_t dir = make_dir(ROOT, "d");
	struct fuse_entry_out entry;

	wire.umask = 077;
	ck_assert_int_eq(wire_mknod(&wire, dir, "a", S_IFREG | 0666, &entry), 0);
	ck_assert_uint_eq(entry.attr.mode, S_IFREG | 0600);
	ck_assert_int_eq(set(dir, "system.posix_acl_default", &named_user, sizeof(named_user), 0),
			 0);
	ck_assert_int_eq(wire_mknod(&wire, dir, "b", S_IFREG | 0666, &entry), 0);
	ck_assert_uint_eq(entry.attr.mode, S_IFREG | 0664);
	ck_assert_int_eq(wire_mkdir(&wire, dir, "c", 0777, &entry), 0);
	ck_assert_uint_eq(entry.attr.mode, S_IFDIR | 0774);
}
END_TEST

START_TEST(test_strangers_acl_takes_sgid_away)
{
	struct fuse_setattr_in in = { .valid = FATTR_MODE | FATTR_GID, .mode = 02755, .gid = 4242 };
	uint64_t ino = make_file(ROOT, "f");
	struct fuse_attr attr;

	ck_assert_int_eq(wire_setattr(&wire, ino, &in, &attr), 0);
	ck_assert_int_eq(set(ino, "system.posix_acl_access", &named_user, sizeof(named_user), 0),
			 0);
	ck_assert_int_eq(wire_getattr(&wire, ino, &attr), 0);
	ck_assert_uint_eq(attr.mode & 07777, 02774);
	wire.uid = 1000;
	wire.gid = 4242;
	ck_assert_int_eq(set(ino, "system.posix_acl_access", &named_user, sizeof(named_user), 0),
			 0);
	ck_assert_int_eq(wire_getattr(&wire, ino, &attr), 0);
	ck_assert_uint_eq(attr.mode & 07777, 02774);
	wire.gid = 1000;
	ck_assert_int_eq(set(ino, "system.posix_acl_access", &named_user, sizeof(named_user), 0),
			 0);
	ck_assert_int_eq(wire_getattr(&wire, ino, &attr), 0);
	ck_assert_uint_eq(attr.mode & 07777, 0774);
}
END_TEST

START_TEST(test_kernel_drops_the_listing_of_a_directory_that_moved)
{
	uint64_t from = make_dir(ROOT, "from"), to = make_dir(ROOT, "to"), dir;

	dir = make_dir(from, "d");
	ck_assert_int_eq(wire_rename(&wire, from, "d", from, "e", 0), 0);
	ck_assert_uint_eq(wire.nr_notified, 0);
	ck_assert_int_eq(wire_rename(&wire, from, "e", to, "d", 0), 0);
	ck_assert_uint_eq(wire.nr_notified, 1);
	ck_assert_uint_eq(wire.notified_ino, dir);
	ck_assert_int_eq(wire.notified_off, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("op_xattr");
	TCase *tc = tcase_create("op_xattr");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_attributes_come_and_go);
	tcase_add_test(tc, test_an_attribute_says_how_a_file_is_compressed);
	tcase_add_test(tc, test_what_a_file_costs_is_an_attribute_that_nothing_copies);
	tcase_add_test(tc, test_kernel_may_not_take_a_capability_from_an_immutable_file);
	tcase_add_test(tc, test_umask_gives_way_to_a_default_acl);
	tcase_add_test(tc, test_strangers_acl_takes_sgid_away);
	tcase_add_test(tc, test_kernel_drops_the_listing_of_a_directory_that_moved);
	suite_add_tcase(suite, tc);
	tc = tcase_create("noxattr");
	tcase_add_checked_fixture(tc, setup_without, teardown);
	tcase_add_test(tc, test_mount_without_attributes_declines_once_and_for_all);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
