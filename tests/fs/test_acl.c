// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_acl.c - POSIX ACLs: what is accepted, what they do to modes and modes to them, what new
 * objects inherit.
 */
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>

#include "fs/xattr_i.h"
#include "tests/fs/fixture.h"
#include "util/alloc.h"

static struct super *sb;
static ino_nr dir, file;

static void setup(void)
{
	sb = fixture_init();
	dir = make_dir(sb, FS_ROOT_INO, "dir");
	file = make_file(sb, FS_ROOT_INO, "file");
}

static void teardown(void)
{
	fixture_exit(sb);
}

/* An ACL in the making, or read back; x86 and its like: little endian. */
struct acl {
	uint32_t version;
	struct {
		uint16_t tag, perm;
		uint32_t id;
	} entries[16];
	unsigned nr;
};

static size_t acl_size(const struct acl *acl)
{
	return sizeof(acl->version) + acl->nr * sizeof(acl->entries[0]);
}

/*
 * acl_of() - from a text: letters of tags (u U g G m o), each with an octal digit; named ones have
 * id 7
 */
static struct acl acl_of(const char *text)
{
	static const char letters[] = "uUgGmo";
	static const uint16_t tags[] = { ACL_USER_OBJ, ACL_USER, ACL_GROUP_OBJ,
					 ACL_GROUP,    ACL_MASK, ACL_OTHER };
	struct acl acl = { .version = POSIX_ACL_XATTR_VERSION };

	for (; *text; text += 2) {
		const char *letter = strchr(letters, *text);

		acl.entries[acl.nr].tag = letter ? tags[letter - letters] : 0x40;
		acl.entries[acl.nr].perm = (uint16_t)(text[1] - '0');
		acl.entries[acl.nr].id = *text == 'U' || *text == 'G' ? 7 : UINT32_MAX;
		acl.nr++;
	}
	return acl;
}

static int set_acl(ino_nr ino, const char *name, const char *text)
{
	struct acl acl = acl_of(text);

	return fs_setxattr(sb, ino, name, &acl, acl_size(&acl), 0);
}

static int set_access(ino_nr ino, const char *text)
{
	return set_acl(ino, XATTR_ACL_ACCESS, text);
}

static int set_default(ino_nr ino, const char *text)
{
	return set_acl(ino, XATTR_ACL_DEFAULT, text);
}

static bool acl_is(ino_nr ino, const char *name, const char *text)
{
	struct acl want = acl_of(text), got;
	size_t len;

	return fs_getxattr(sb, ino, name, &got, sizeof(got), &len) == 0 && len == acl_size(&want) &&
	       memcmp(&got, &want, len) == 0;
}

static bool has(ino_nr ino, const char *name)
{
	size_t len;

	return fs_getxattr(sb, ino, name, NULL, 0, &len) == 0;
}

static mode_t mode_of(ino_nr ino)
{
	return attr_of(sb, ino).st_mode & 07777;
}

static void chmod_to(ino_nr ino, mode_t mode)
{
	struct stat attr = { .st_mode = mode };

	ck_assert_int_eq(fs_setattr(sb, &user_cred, ino, &attr, FS_SET_MODE, &attr), 0);
}

START_TEST(test_only_acls_are_taken)
{
	struct fs_entry entry;
	static const char *const bad[] = {
		"",         "u7",       "u7g7",       "u7g7o8",     "u7g7o7o7",   "g7u7o7",
		"u7U7g7o7", "u7g7G7o7", "u7U7g7o7m7", "u7u7g7o7",   "u7g7m7m7o7", "u7g7x7o7",
		"u9g7o7",   "u7o7g7",   "u7U7G7m7o7", "U7u7g7m7o7", "u7g7m7U7o7",
	};
	struct acl acl = acl_of("u7g5o5");

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		ck_assert_msg(set_access(dir, bad[i]) == -EINVAL, "%s", bad[i]);
	ck_assert_int_eq(fs_setxattr(sb, dir, XATTR_ACL_ACCESS, &acl, 3, 0), -EINVAL);
	ck_assert_int_eq(fs_setxattr(sb, dir, XATTR_ACL_ACCESS, &acl, 5, 0), -EINVAL);
	acl.version = 3;
	ck_assert_int_eq(fs_setxattr(sb, dir, XATTR_ACL_ACCESS, &acl, acl_size(&acl), 0),
			 -EOPNOTSUPP);
	ck_assert_int_eq(set_default(file, "u7g5o5"), -EACCES);
	ck_assert(!has(dir, XATTR_ACL_ACCESS));
	ck_assert_int_eq(fs_symlink(sb, &user_cred, FS_ROOT_INO, "link", "file", &entry), 0);
	ck_assert_int_eq(set_access(entry.ino, "u6U4g0m6o1"), -EOPNOTSUPP);
	ck_assert_int_eq(set_acl(entry.ino, XATTR_ACL_DEFAULT, "u6U4g0m6o1"), -EOPNOTSUPP);
	ck_assert_uint_eq(entry.attr.st_mode, S_IFLNK | 0777);
	ck_assert_uint_eq(mode_of(dir), 0755);
}
END_TEST

START_TEST(test_acl_sets_the_mode)
{
	ck_assert_int_eq(set_access(file, "u6U4g0m6o1"), 0);
	ck_assert_uint_eq(mode_of(file), 0661);
	ck_assert(acl_is(file, XATTR_ACL_ACCESS, "u6U4g0m6o1"));
	/* One that is no more than a mode is not kept. */
	ck_assert_int_eq(set_access(file, "u7g5o4"), 0);
	ck_assert_uint_eq(mode_of(file), 0754);
	ck_assert(!has(file, XATTR_ACL_ACCESS));
	/* A mask alone is more. */
	ck_assert_int_eq(set_access(file, "u7g5m1o4"), 0);
	ck_assert_uint_eq(mode_of(file), 0714);
	ck_assert(acl_is(file, XATTR_ACL_ACCESS, "u7g5m1o4"));
	/* Without it the bits stay as they are. */
	ck_assert_int_eq(fs_removexattr(sb, file, XATTR_ACL_ACCESS), 0);
	ck_assert_uint_eq(mode_of(file), 0714);
	ck_assert_int_eq(fs_removexattr(sb, file, XATTR_ACL_ACCESS), 0);
}
END_TEST

START_TEST(test_mode_sets_owner_mask_and_others)
{
	ck_assert_int_eq(set_access(file, "u6U7g4G2m7o1"), 0);
	chmod_to(file, 0640);
	ck_assert(acl_is(file, XATTR_ACL_ACCESS, "u6U7g4G2m4o0"));
	chmod_to(file, 0777);
	ck_assert(acl_is(file, XATTR_ACL_ACCESS, "u7U7g4G2m7o7"));
}
END_TEST

START_TEST(test_sgid_goes_where_the_caller_is_a_stranger)
{
	struct acl acl = acl_of("u7g5o5");

	chmod_to(file, 02755);
	ck_assert_int_eq(set_access(file, "u7g5o5"), 0);
	ck_assert_uint_eq(mode_of(file), 02755);
	ck_assert_int_eq(
		fs_setxattr(sb, file, XATTR_ACL_ACCESS, &acl, acl_size(&acl), FS_XATTR_KILL_SGID),
		0);
	ck_assert_uint_eq(mode_of(file), 0755);
}
END_TEST

static ino_nr make_as(ino_nr parent, const char *name, mode_t mode, mode_t umask)
{
	struct fs_cred cred = { .uid = 1, .gid = 1, .umask = umask };
	struct fs_entry entry;

	if (S_ISDIR(mode))
		ck_assert_int_eq(fs_mkdir(sb, &cred, parent, name, mode, &entry), 0);
	else if (S_ISLNK(mode))
		ck_assert_int_eq(fs_symlink(sb, &cred, parent, name, "target", &entry), 0);
	else
		ck_assert_int_eq(fs_mknod(sb, &cred, parent, name, mode, 0, &entry), 0);
	return entry.ino;
}

static const mode_t all_types[] = { S_IFREG, S_IFDIR, S_IFIFO, S_IFSOCK, S_IFCHR, S_IFBLK };

START_TEST(test_umask_holds_without_default_acl)
{
	for (size_t i = 0; i < ARRAY_SIZE(all_types); i++) {
		char name[] = { 'a', (char)('0' + i), '\0' };

		ck_assert_uint_eq(mode_of(make_as(dir, name, all_types[i] | 01777, 027)), 01750);
	}
	ck_assert_uint_eq(mode_of(make_as(dir, "link", S_IFLNK, 077)), 0777);
}
END_TEST

START_TEST(test_default_acl_is_inherited_by_every_kind)
{
	ck_assert_int_eq(set_default(dir, "u7U6g5m7o0"), 0);
	ck_assert(acl_is(dir, XATTR_ACL_DEFAULT, "u7U6g5m7o0"));
	ck_assert_uint_eq(mode_of(dir), 0755);
	for (size_t i = 0; i < ARRAY_SIZE(all_types); i++) {
		char name[] = { 'a', (char)('0' + i), '\0' };
		ino_nr ino = make_as(dir, name, all_types[i] | 0664, 077);

		ck_assert_uint_eq(mode_of(ino), 0660);
		ck_assert(acl_is(ino, XATTR_ACL_ACCESS, "u6U6g5m6o0"));
		ck_assert_int_eq(has(ino, XATTR_ACL_DEFAULT), S_ISDIR(all_types[i]));
		if (S_ISDIR(all_types[i]))
			ck_assert(acl_is(ino, XATTR_ACL_DEFAULT, "u7U6g5m7o0"));
	}
	ck_assert(!has(make_as(dir, "link", S_IFLNK, 077), XATTR_ACL_ACCESS));
	/* A plain one leaves nothing but a mode, and goes on to directories. */
	ck_assert_int_eq(set_default(dir, "u7g5o0"), 0);
	ck_assert_uint_eq(mode_of(make_as(dir, "file", S_IFREG | 0666, 077)), 0640);
	ck_assert(!has(make_as(dir, "file2", S_IFREG | 0666, 077), XATTR_ACL_ACCESS));
	ck_assert(acl_is(make_as(dir, "dir", S_IFDIR | 0777, 077), XATTR_ACL_DEFAULT, "u7g5o0"));
	/* And without: the umask holds again. */
	ck_assert_int_eq(fs_removexattr(sb, dir, XATTR_ACL_DEFAULT), 0);
	ck_assert_uint_eq(mode_of(make_as(dir, "file3", S_IFREG | 0666, 077)), 0600);
}
END_TEST

START_TEST(test_setgid_directories_give_their_group_to_every_kind)
{
	struct stat attr = { .st_gid = 33 };

	ck_assert_int_eq(fs_setattr(sb, &root_cred, dir, &attr, FS_SET_GID, &attr), 0);
	chmod_to(dir, 02775);
	for (size_t i = 0; i < ARRAY_SIZE(all_types); i++) {
		char name[] = { 'a', (char)('0' + i), '\0' };
		ino_nr ino = make_as(dir, name, all_types[i] | 0777, 022);

		ck_assert_uint_eq(attr_of(sb, ino).st_gid, 33);
		ck_assert_uint_eq(mode_of(ino), S_ISDIR(all_types[i]) ? 02755 : 0755);
	}
	ck_assert_uint_eq(attr_of(sb, make_as(dir, "link", S_IFLNK, 0)).st_gid, 33);
}
END_TEST

START_TEST(test_inheritance_survives_want_of_memory)
{
	struct fs_cred cred = { .uid = 1, .gid = 1 };
	struct fs_entry entry;
	uint64_t objects;

	ck_assert_int_eq(set_default(dir, "u7U6g5G1m7o0"), 0);
	objects = fixture_meta_objects(sb);
	for (unsigned i = 0; i < 300; i++) {
		char name[16];

		snprintf(name, sizeof(name), "d%u", i);
		for (long n = 1;; n++) {
			int err;

			zt_fault_set(n);
			err = fs_mkdir(sb, &cred, dir, name, 0777, &entry);
			zt_fault_set(0);
			if (!err)
				break;
			ck_assert(err == -ENOSPC || err == -ENOMEM);
			ck_assert_int_eq(look_err(sb, dir, name), -ENOENT);
		}
		ck_assert(acl_is(entry.ino, XATTR_ACL_ACCESS, "u7U6g5G1m7o0"));
	}
	ck_assert_uint_ge(fixture_meta_objects(sb), objects + 300);
}
END_TEST

START_TEST(test_mount_without_acls_refuses_them)
{
	struct super_params params = fixture_params();
	struct acl acl = acl_of("u7U6g5m7o0");
	struct super *none;
	size_t len;

	params.acl = false;
	none = fixture_init_params(&params);
	ck_assert(!super_has_acl(none));
	ck_assert_int_eq(fs_setxattr(none, FS_ROOT_INO, XATTR_ACL_ACCESS, &acl, acl_size(&acl), 0),
			 -EOPNOTSUPP);
	ck_assert_int_eq(fs_getxattr(none, FS_ROOT_INO, XATTR_ACL_DEFAULT, NULL, 0, &len),
			 -EOPNOTSUPP);
	ck_assert_int_eq(fs_setxattr(none, FS_ROOT_INO, "user.a", "1", 1, 0), 0);
	fixture_exit(none);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("acl");
	TCase *tc = tcase_create("acl");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_only_acls_are_taken);
	tcase_add_test(tc, test_acl_sets_the_mode);
	tcase_add_test(tc, test_mode_sets_owner_mask_and_others);
	tcase_add_test(tc, test_sgid_goes_where_the_caller_is_a_stranger);
	tcase_add_test(tc, test_umask_holds_without_default_acl);
	tcase_add_test(tc, test_default_acl_is_inherited_by_every_kind);
	tcase_add_test(tc, test_setgid_directories_give_their_group_to_every_kind);
	tcase_add_test(tc, test_inheritance_survives_want_of_memory);
	tcase_add_test(tc, test_mount_without_acls_refuses_them);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
