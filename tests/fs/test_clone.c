// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_clone.c - copies of whole trees: that they are the same, whose they are, who may make them, and
 * that whatever ends one early leaves nothing. Stands for clone.c, clone_inode.c, clone_drop.c,
 * clone_links.c and access.c.
 */
#include <linux/falloc.h>
#include <linux/fs.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>

#include "fs/clone.h"
#include "fs/dir.h"
#include "fs/fileattr.h"
#include "fs/settings.h"
#include "fs/work.h"
#include "fs/xattr.h"
#include "fs/xattr_i.h"
#include "tests/fs/fixture.h"
#include "util/alloc.h"
#include "ztmpfs/control.h"

#define CLUSTER (16 * (uint64_t)ZT_PAGE_SIZE)

static const struct fs_asker root = { .uid = 0, .privileged = true };
static const struct fs_asker user = { .uid = 1000, .gid = 1000 };

static struct super *sb;
static ino_nr into; /* root's, fresh */

static ino_nr make_into(const struct fs_cred *cred, ino_nr parent, const char *name)
{
	struct fs_entry entry;

	ck_assert_int_eq(fs_mkdir(sb, cred, parent, name, 0700, &entry), 0);
	return entry.ino;
}

static void setup(void)
{
	sb = fixture_init();
	into = make_into(&root_cred, FS_ROOT_INO, "into");
}

static void teardown(void)
{
	super_set_pause(sb, NULL, NULL);
	fixture_exit(sb);
}

static uint64_t nr_made; /* as the last copy said */

static int clone_as(const struct fs_asker *asker, ino_nr from, const char *name, ino_nr to,
		    bool snapshot)
{
	const struct fs_clone_request request = {
		.from = from, .from_name = name, .into = to, .to_name = "copy", .snapshot = snapshot
	};

	return fs_clone(sb, asker, &request, &nr_made);
}

static uint64_t nr_inodes(void)
{
	struct ztmpfs_stat stat;

	super_get_stat(sb, &stat);
	return stat.inodes_used;
}

static uint64_t objects(void)
{
	struct blkmap_stat stat;

	blkmap_get_stat(sb->map, &stat);
	return stat.data.objects;
}

/* Comparing ---------------------------------------------------------------- */

static void expect_same_content(ino_nr a, ino_nr b, uint64_t size)
{
	static char of_a[CLUSTER], of_b[CLUSTER];

	for (uint64_t off = 0; off < size; off += CLUSTER) {
		uint64_t data_a = 0, data_b = 0;
		size_t len_a, len_b;
		const int err = fs_lseek(sb, a, off, SEEK_DATA, &data_a);

		/* Holes are where they were. */
		ck_assert_int_eq(fs_lseek(sb, b, off, SEEK_DATA, &data_b), err);
		if (err)
			break;
		ck_assert_uint_eq(data_a, data_b);
		off = data_a / CLUSTER * CLUSTER;
		ck_assert_int_eq(fs_read(sb, a, off, of_a, CLUSTER, &len_a), 0);
		ck_assert_int_eq(fs_read(sb, b, off, of_b, CLUSTER, &len_b), 0);
		ck_assert_uint_eq(len_a, len_b);
		ck_assert_msg(memcmp(of_a, of_b, len_a) == 0, "differs behind %ju", (uintmax_t)off);
	}
}

static void expect_same_xattrs(ino_nr a, ino_nr b)
{
	static char of_a[70000], of_b[70000];
	char names[4096], names_b[4096];
	size_t len, len_b;

	ck_assert_int_eq(fs_listxattr(sb, a, true, names, sizeof(names), &len), 0);
	ck_assert_int_eq(fs_listxattr(sb, b, true, names_b, sizeof(names_b), &len_b), 0);
	ck_assert_uint_eq(len, len_b);
	for (const char *name = names; name < names + len; name += strlen(name) + 1) {
		size_t size_a, size_b;

		ck_assert_int_eq(fs_getxattr(sb, a, name, of_a, sizeof(of_a), &size_a), 0);
		ck_assert_int_eq(fs_getxattr(sb, b, name, of_b, sizeof(of_b), &size_b), 0);
		ck_assert_msg(size_a == size_b && memcmp(of_a, of_b, size_a) == 0, "%s", name);
	}
}

static void expect_same_settings(ino_nr a, ino_nr b)
{
	struct ztmpfs_file_attr of_a, of_b;
	uint32_t flags_a, flags_b;

	ck_assert_int_eq(fs_get_settings(sb, a, &of_a), 0);
	ck_assert_int_eq(fs_get_settings(sb, b, &of_b), 0);
	ck_assert_uint_eq(of_a.cluster_size, of_b.cluster_size);
	ck_assert_str_eq(of_a.compress, of_b.compress);
	ck_assert_int_eq(fs_get_flags(sb, a, &flags_a), 0);
	ck_assert_int_eq(fs_get_flags(sb, b, &flags_b), 0);
	ck_assert_uint_eq(flags_a, flags_b);
}

static void expect_same(ino_nr a, ino_nr b)
{
	const struct stat st_a = attr_of(sb, a), st_b = attr_of(sb, b);
	char to_a[FS_SYMLINK_MAX + 1], to_b[FS_SYMLINK_MAX + 1];

	ck_assert_uint_ne(a, b);
	ck_assert_uint_eq(st_a.st_mode, st_b.st_mode);
	ck_assert_uint_eq(st_a.st_uid, st_b.st_uid);
	ck_assert_uint_eq(st_a.st_gid, st_b.st_gid);
	ck_assert_uint_eq(st_a.st_nlink, st_b.st_nlink);
	ck_assert_uint_eq(st_a.st_rdev, st_b.st_rdev);
	ck_assert_int_eq(st_a.st_size, st_b.st_size);
	ck_assert_int_eq(st_a.st_blocks, st_b.st_blocks);
	ck_assert_int_eq(st_a.st_mtim.tv_sec, st_b.st_mtim.tv_sec);
	ck_assert_int_eq(st_a.st_mtim.tv_nsec, st_b.st_mtim.tv_nsec);
	expect_same_xattrs(a, b);
	if (S_ISREG(st_a.st_mode))
		expect_same_content(a, b, (uint64_t)st_a.st_size);
	if (S_ISREG(st_a.st_mode) || S_ISDIR(st_a.st_mode))
		expect_same_settings(a, b);
	if (S_ISLNK(st_a.st_mode)) {
		ck_assert_int_eq(fs_readlink(sb, a, to_a), 0);
		ck_assert_int_eq(fs_readlink(sb, b, to_b), 0);
		ck_assert_str_eq(to_a, to_b);
	}
}

/* Names of one directory, and each of them in the other; below, too. */
struct listing {
	unsigned nr;
	char names[400][24];
};

static bool list_one(void *arg, const struct fs_dirent *found)
{
	struct listing *listing = arg;

	if (found->name[0] == '.')
		return true;
	ck_assert_uint_lt(listing->nr, ARRAY_SIZE(listing->names));
	snprintf(listing->names[listing->nr++], sizeof(listing->names[0]), "%.*s",
		 (int)found->name_len, found->name);
	return true;
}

static struct listing list(ino_nr dir)
{
	struct listing listing = { .nr = 0 };

	ck_assert_int_eq(fs_readdir(sb, dir, 0, false, list_one, &listing), 0);
	return listing;
}

static void expect_same_tree(ino_nr a, ino_nr b)
{
	struct listing of_a, of_b;

	expect_same(a, b);
	of_a = list(a);
	of_b = list(b);
	ck_assert_uint_eq(of_a.nr, of_b.nr);
	for (unsigned i = 0; i < of_a.nr; i++) {
		const ino_nr below_a = look_ino(sb, a, of_a.names[i]);
		const ino_nr below_b = look_ino(sb, b, of_a.names[i]);

		ck_assert_msg(below_b != 0, "%s is missing", of_a.names[i]);
		if (S_ISDIR(attr_of(sb, below_a).st_mode))
			expect_same_tree(below_a, below_b);
		else
			expect_same(below_a, below_b);
	}
}

/* The tree ----------------------------------------------------------------- */

struct acl_value {
	struct posix_acl_xattr_header header;
	struct posix_acl_xattr_entry entries[5];
};

/* Others may do nothing; user @uid may do @perm, as far as the mask allows. */
static struct acl_value acl_for(uid_t uid, unsigned perm, unsigned mask)
{
	return (struct acl_value){ { htole32(POSIX_ACL_XATTR_VERSION) },
				   { { htole16(ACL_USER_OBJ), htole16(7), 0 },
				     { htole16(ACL_USER), htole16((uint16_t)perm), htole32(uid) },
				     { htole16(ACL_GROUP_OBJ), 0, 0 },
				     { htole16(ACL_MASK), htole16((uint16_t)mask), 0 },
				     { htole16(ACL_OTHER), 0, 0 } } };
}

static void set_acl(ino_nr ino, const char *name, struct acl_value acl)
{
	ck_assert_int_eq(fs_setxattr(sb, ino, name, &acl, sizeof(acl), 0), 0);
}

static void set_time(ino_nr ino)
{
	const struct stat attr = { .st_atim = { 1000000, 1 }, .st_mtim = { 2000000, 2 } };
	struct stat out;

	ck_assert_int_eq(fs_setattr(sb, &root_cred, ino, &attr, FS_SET_ATIME | FS_SET_MTIME, &out),
			 0);
}

static void fill(ino_nr ino, uint64_t off, size_t len, uint64_t seed)
{
	static char bytes[4 * CLUSTER];

	ck_assert_uint_le(len, sizeof(bytes));
	for (size_t i = 0; i < len; i++)
		bytes[i] = (char)('a' + zt_random(&seed) % 30);
	write_all(sb, ino, off, bytes, len);
}

static void make_files(ino_nr dir)
{
	static const size_t sizes[] = { 0, 1, 100, 4096, 5000, 65536, 65537, 200000 };
	struct fs_entry entry;
	ino_nr ino;

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		char name[16];

		snprintf(name, sizeof(name), "file%zu", i);
		ino = make_file(sb, dir, name);
		fill(ino, 0, sizes[i], i);
		set_time(ino);
	}
	ino = make_file(sb, dir, "sparse");
	fill(ino, 100 * CLUSTER + 5, 10000, 7);
	fill(ino, UINT64_C(1) << 40, 3, 8);
	ino = make_file(sb, dir, "patched");
	fill(ino, 0, 4 * CLUSTER, 9);
	fill(ino, CLUSTER + 4096, 4096, 10);
	ino = make_file(sb, dir, "linked");
	ck_assert_int_eq(fs_link(sb, ino, dir, "linked.again", &entry), 0);
	ck_assert_int_eq(fs_symlink(sb, &user_cred, dir, "symlink", "over/there", &entry), 0);
	ck_assert_int_eq(fs_mknod(sb, &user_cred, dir, "fifo", S_IFIFO | 0600, 0, &entry), 0);
	ck_assert_int_eq(fs_mknod(sb, &user_cred, dir, "socket", S_IFSOCK | 0600, 0, &entry), 0);
}

static void make_attributes(ino_nr dir)
{
	struct ztmpfs_file_attr attr = { .version = ZTMPFS_STAT_VERSION,
					 .which = ZTMPFS_ATTR_CLUSTER | ZTMPFS_ATTR_COMPRESS,
					 .cluster_size = 16384,
					 .level = ZCOMP_LEVEL_DEFAULT,
					 .compress = "zstd" };
	const ino_nr ino = make_file(sb, dir, "attributes");
	static char large[60000];

	ck_assert_int_eq(fs_set_settings(sb, &root_cred, ino, &attr), 0);
	fill(ino, 0, 50000, 12);
	memset(large, 'x', sizeof(large));
	ck_assert_int_eq(fs_setxattr(sb, ino, "user.small", "value", 5, 0), 0);
	ck_assert_int_eq(fs_setxattr(sb, ino, "user.large", large, sizeof(large), 0), 0);
	ck_assert_int_eq(fs_setxattr(sb, ino, "trusted.t", "t", 1, 0), 0);
	set_acl(ino, XATTR_ACL_ACCESS, acl_for(1000, 6, 7));
	set_acl(dir, XATTR_ACL_DEFAULT, acl_for(1000, 5, 5));
	ck_assert_int_eq(fs_set_flags(sb, NULL, ino, FS_NODUMP_FL | FS_APPEND_FL), 0);
}

/* A tree that has one of everything. */
static ino_nr make_tree(void)
{
	const ino_nr top = make_dir(sb, FS_ROOT_INO, "tree");
	const ino_nr many = make_dir(sb, top, "many");
	struct fs_entry entry;

	make_files(top);
	make_attributes(make_dir(sb, make_dir(sb, top, "deep"), "deeper"));
	for (unsigned i = 0; i < 300; i++) {
		char name[24];

		snprintf(name, sizeof(name), "%u-of-many-names", i);
		make_file(sb, many, name);
	}
	ck_assert_int_eq(fs_link(sb, look_ino(sb, top, "linked"), many, "linked", &entry), 0);
	set_time(top);
	return top;
}

START_TEST(test_a_copy_is_the_same_and_shares_what_it_contains)
{
	const ino_nr top = make_tree();
	const uint64_t before = objects(), nr = nr_inodes();
	const struct stat long_ago = { .st_mtim.tv_sec = 1000 };
	struct fs_entry entry;
	struct stat attr;
	ino_nr copy;

	ck_assert_int_eq(fs_mknod(sb, &root_cred, top, "device", S_IFCHR | 0600, 259, &entry), 0);
	ck_assert_int_eq(fs_setattr(sb, &root_cred, into, &long_ago, FS_SET_MTIME, &attr), 0);
	ck_assert_int_eq(clone_as(&root, FS_ROOT_INO, "tree", into, false), 0);
	copy = look_ino(sb, into, "copy");
	ck_assert_int_gt(attr_of(sb, into).st_mtim.tv_sec, long_ago.st_mtim.tv_sec);
	/* Comparing reads it. */
	ck_assert_int_eq(attr_of(sb, look_ino(sb, copy, "file5")).st_atim.tv_sec, 1000000);
	expect_same_tree(top, copy);
	ck_assert_uint_eq(look_ino(sb, copy, "linked"), look_ino(sb, copy, "linked.again"));
	ck_assert_uint_eq(nr_inodes(), 2 * nr - 2 + 2);
	/* And two further names. */
	ck_assert_uint_eq(nr_made, nr_inodes() - nr - 1 + 2);
	/* At most the cluster that was patched is another one, since it was folded. */
	ck_assert_uint_le(objects(), before);

	/* Of the directory itself, and a file alone. */
	ck_assert_int_eq(clone_as(&root, top, "", make_into(&root_cred, FS_ROOT_INO, "b"), false),
			 0);
	expect_same_tree(top, look_ino(sb, look_ino(sb, FS_ROOT_INO, "b"), "copy"));
	ck_assert_int_eq(
		clone_as(&root, top, "file7", make_into(&root_cred, FS_ROOT_INO, "c"), false), 0);
	expect_same(look_ino(sb, top, "file7"),
		    look_ino(sb, look_ino(sb, FS_ROOT_INO, "c"), "copy"));

	/* Each goes its own way. */
	fill(look_ino(sb, copy, "file7"), 0, 200000, 99);
	expect_same_tree(top, look_ino(sb, look_ino(sb, FS_ROOT_INO, "b"), "copy"));
}
END_TEST

/* Who may ------------------------------------------------------------------ */

static void set_mode(ino_nr ino, mode_t mode)
{
	const struct stat attr = { .st_mode = mode };
	struct stat out;

	ck_assert_int_eq(fs_setattr(sb, &root_cred, ino, &attr, FS_SET_MODE, &out), 0);
}

static void set_owner(ino_nr ino, uid_t uid, gid_t gid)
{
	const struct stat attr = { .st_uid = uid, .st_gid = gid };
	struct stat out;

	ck_assert_int_eq(
		fs_setattr(sb, &root_cred, ino, &attr, FS_SET_UID | FS_SET_GID, &out), 0);
}

/* Into a new directory of the user's, which is removed with what is in it. */
static int user_clones(const struct fs_asker *asker, ino_nr from, const char *name)
{
	const ino_nr to = make_into(&user_cred, FS_ROOT_INO, "to");
	const int err = clone_as(asker, from, name, to, false);

	if (!err && fs_unlink(sb, to, "copy") == -EISDIR) {
		ck_assert_int_eq(fs_unlink(sb, look_ino(sb, to, "copy"), "file"), 0);
		ck_assert_int_eq(fs_rmdir(sb, to, "copy"), 0);
	}
	ck_assert_int_eq(fs_rmdir(sb, FS_ROOT_INO, "to"), 0);
	fs_forget(sb, to, 1);
	return err;
}

START_TEST(test_a_user_copies_what_he_may_read)
{
	static const gid_t groups[] = { 77, 88 };
	const struct fs_asker member = { .uid = 1000, .gid = 5, .groups = groups, .nr_groups = 2 };
	const ino_nr above = make_dir(sb, FS_ROOT_INO, "above"), dir = make_dir(sb, above, "dir");
	const ino_nr file = make_file(sb, dir, "file");
	const uint64_t nr = nr_inodes();
	static const struct {
		mode_t above, dir, file;
		int err;
	} cases[] = {
		{ 0711, 0755, 0644, 0 },       { 0755, 0755, 0640, -EACCES },
		{ 0755, 0754, 0644, -EACCES }, { 0755, 0751, 0644, -EACCES },
		{ 0700, 0755, 0644, -EACCES }, { 0766, 0755, 0644, -EACCES },
	};

	set_owner(above, 1, 1);
	set_owner(dir, 1, 1);
	set_owner(file, 1, 1);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		set_mode(above, cases[i].above);
		set_mode(dir, cases[i].dir);
		set_mode(file, cases[i].file);
		ck_assert_msg(user_clones(&user, above, "dir") == cases[i].err, "case %zu", i);
		ck_assert_msg(user_clones(&user, dir, "") == cases[i].err, "case %zu", i);
		ck_assert_uint_eq(nr_inodes(), nr);
	}
	/* A group of his, the first or another; then a group that may do less than others. */
	set_mode(above, 0755);
	set_mode(dir, 0755);
	set_mode(file, 0640);
	set_owner(file, 1, 88);
	ck_assert_int_eq(user_clones(&member, dir, "file"), 0);
	ck_assert_int_eq(user_clones(&user, dir, "file"), -EACCES);
	set_owner(file, 1, 5);
	ck_assert_int_eq(user_clones(&member, dir, "file"), 0);
	set_mode(file, 0604);
	ck_assert_int_eq(user_clones(&member, dir, "file"), -EACCES);
	ck_assert_int_eq(user_clones(&user, dir, "file"), 0);
	/* His own, which he may not read. */
	set_owner(file, 1000, 1);
	set_mode(file, 0044);
	ck_assert_int_eq(user_clones(&user, dir, "file"), -EACCES);
}
END_TEST

START_TEST(test_a_user_copies_what_an_acl_lets_him_read)
{
	const ino_nr dir = make_dir(sb, FS_ROOT_INO, "dir"), file = make_file(sb, dir, "file");

	set_owner(file, 1, 1);
	set_acl(file, XATTR_ACL_ACCESS, acl_for(1000, 4, 7));
	ck_assert_int_eq(user_clones(&user, dir, "file"), 0);
	set_acl(file, XATTR_ACL_ACCESS, acl_for(1000, 4, 3));
	ck_assert_int_eq(user_clones(&user, dir, "file"), -EACCES);
	set_acl(file, XATTR_ACL_ACCESS, acl_for(1001, 4, 7));
	ck_assert_int_eq(user_clones(&user, dir, "file"), -EACCES);
	/* chmod changes the mask. */
	set_acl(file, XATTR_ACL_ACCESS, acl_for(1000, 4, 7));
	set_mode(file, 0700);
	ck_assert_int_eq(user_clones(&user, dir, "file"), -EACCES);
	/* Named, he is no other, though others may. */
	set_acl(file, XATTR_ACL_ACCESS, acl_for(1000, 0, 7));
	set_mode(file, 0774);
	ck_assert_int_eq(user_clones(&user, dir, "file"), -EACCES);
	ck_assert_int_eq(user_clones(&(struct fs_asker){ .uid = 1000, .gid = 1 }, dir, "file"),
			 -EACCES);
}
END_TEST

START_TEST(test_a_user_s_copy_is_his)
{
	const ino_nr dir = make_dir(sb, FS_ROOT_INO, "dir"), to = make_into(&user_cred, dir, "to");
	const ino_nr file = make_file(sb, dir, "file");
	struct fs_entry entry;
	struct stat st;

	ck_assert_int_eq(fs_setxattr(sb, file, "user.u", "u", 1, 0), 0);
	ck_assert_int_eq(fs_setxattr(sb, file, "trusted.t", "t", 1, 0), 0);
	ck_assert_int_eq(fs_setxattr(sb, file, "security.capability", "c", 1, 0), 0);
	set_owner(file, 1, 1);
	set_mode(file, 06755);
	set_time(file);
	ck_assert_int_eq(fs_set_flags(sb, NULL, file, FS_IMMUTABLE_FL | FS_NODUMP_FL), 0);
	ck_assert_int_eq(clone_as(&user, dir, "file", to, false), 0);
	ck_assert_int_eq(look(sb, to, "copy", &entry), 0);
	st = attr_of(sb, entry.ino);
	ck_assert_uint_eq(st.st_uid, 1000);
	ck_assert_uint_eq(st.st_gid, 1000);
	ck_assert_uint_eq(st.st_mode & 07777, 0755);
	ck_assert_int_eq(st.st_mtim.tv_sec, 2000000);
	{
		char names[100];
		size_t len;

		ck_assert_int_eq(fs_listxattr(sb, entry.ino, true, names, sizeof(names), &len), 0);
		ck_assert_uint_eq(len, sizeof("user.u"));
	}
	ck_assert_int_eq(fs_unlink(sb, to, "copy"), 0);
	/* Devices are for others to make. */
	ck_assert_int_eq(fs_mknod(sb, &root_cred, dir, "dev", S_IFBLK | 0666, 1, &entry), 0);
	ck_assert_int_eq(clone_as(&user, dir, "dev", to, false), -EPERM);
	ck_assert_int_eq(fs_set_flags(sb, NULL, file, 0), 0);
}
END_TEST

START_TEST(test_it_is_put_into_a_fresh_directory_of_one_s_own)
{
	const ino_nr top = make_tree(), theirs = make_into(&user_cred, FS_ROOT_INO, "theirs");
	const uint64_t nr = nr_inodes();
	struct inode_rec *rec;

	ck_assert_int_eq(clone_as(&root, top, "", theirs, false), -EPERM);
	ck_assert_int_eq(clone_as(&user, top, "", into, false), -EPERM);
	rec = inode_get(sb, into);
	rec->times[FS_BTIME] = fs_time_encode(
		(struct timespec){ fs_time_decode(fs_time_now()).tv_sec - FS_CLONE_FRESH - 1, 0 });
	ck_assert_int_eq(clone_as(&root, top, "", into, false), -EPERM);
	rec->times[FS_BTIME] = fs_time_now();
	make_file(sb, into, "there");
	ck_assert_int_eq(clone_as(&root, top, "", into, false), -ENOTEMPTY);
	ck_assert_int_eq(fs_unlink(sb, into, "there"), 0);
	ck_assert_int_eq(clone_as(&root, top, "nothing", into, false), -ENOENT);
	ck_assert_int_eq(clone_as(&root, top, "..", into, false), -EINVAL);
	ck_assert_int_eq(clone_as(&root, look_ino(sb, top, "file1"), "", into, false), -ENOTDIR);
	ck_assert_int_eq(clone_as(&root, top, "", look_ino(sb, top, "file1"), false), -ENOTDIR);
	ck_assert_int_eq(clone_as(&root, UINT64_C(0x123456), "", into, false), -ESTALE);
	ck_assert_uint_eq(nr_inodes(), nr + 1); /* "there" is known to the kernel */
}
END_TEST

START_TEST(test_a_tree_is_not_put_into_itself_and_a_snapshot_leaves_snapshots_out)
{
	const ino_nr top = make_tree(), snap = make_dir(sb, top, ".snap");
	const ino_nr inside = make_into(&root_cred, top, "inside"),
		     below = make_into(&root_cred, snap, "below");
	ino_nr copy;

	ck_assert_int_eq(clone_as(&root, top, "", inside, false), -EINVAL);
	ck_assert_int_eq(clone_as(&root, inside, "", inside, false), -EINVAL);
	ck_assert_int_eq(clone_as(&root, inside, "", inside, true), -EINVAL);
	ck_assert_int_eq(clone_as(&root, top, "", inside, true), -EINVAL);
	ck_assert_int_eq(clone_as(&root, FS_ROOT_INO, "tree", below, false), -EINVAL);
	make_file(sb, snap, "earlier");
	ck_assert_int_eq(clone_as(&root, FS_ROOT_INO, "tree", below, true), 0);
	copy = look_ino(sb, below, "copy");
	ck_assert_int_eq(look_err(sb, copy, ".snap"), -ENOENT);
	ck_assert_int_eq(look_err(sb, copy, "inside"), 0);
	expect_same_tree(look_ino(sb, top, "many"), look_ino(sb, copy, "many"));
	/* Beside the tree nothing is left out. */
	ck_assert_int_eq(clone_as(&root, snap, "", into, true), 0);
	expect_same_tree(snap, look_ino(sb, into, "copy"));
}
END_TEST

/* What ends it early ------------------------------------------------------- */

static struct {
	unsigned nr, stop_at; /* stop_at 0: never */
	void (*between)(unsigned nr); /* or NULL */
} pauses;

static bool pause_and_stop(void *arg)
{
	(void)arg;
	pauses.nr++;
	if (pauses.between)
		pauses.between(pauses.nr);
	return pauses.nr == pauses.stop_at;
}

static void begin_pauses(unsigned stop_at, void (*between)(unsigned nr))
{
	pauses.nr = 0;
	pauses.stop_at = stop_at;
	pauses.between = between;
	super_set_pause(sb, pause_and_stop, NULL);
	super_set_round(sb, 0);
}

START_TEST(test_interrupted_anywhere_it_leaves_nothing)
{
	const ino_nr top = make_tree();
	const uint64_t nr = nr_inodes();
	unsigned stops = 0;
	int err;

	do {
		begin_pauses(++stops, NULL);
		err = clone_as(&root, top, "", into, false);
		if (err) {
			ck_assert_int_eq(err, -EINTR);
			ck_assert_int_eq(super_check(sb), 0);
			ck_assert_uint_eq(nr_inodes(), nr);
			ck_assert_uint_eq(list(into).nr, 0);
		}
	} while (err);
	ck_assert_uint_gt(stops, 8);
	expect_same_tree(top, look_ino(sb, into, "copy"));
}
END_TEST

START_TEST(test_each_limit_on_inodes_leaves_nothing)
{
	const ino_nr top = make_tree();
	const uint64_t nr = nr_inodes(), space = sb->space;
	unsigned refused = 0;
	int err;

	do {
		sb->max_inodes = space / INODE_SPACE + 1 + refused;
		err = clone_as(&root, top, "", into, false);
		if (err) {
			refused++;
			ck_assert_int_eq(err, -ENOSPC);
			ck_assert_uint_eq(nr_inodes(), nr);
			ck_assert_uint_eq(sb->space, space);
			ck_assert_int_eq(super_check(sb), 0);
		}
	} while (err);
	ck_assert_uint_gt(refused, 300);
	sb->max_inodes = 0;
	expect_same_tree(top, look_ino(sb, into, "copy"));
}
END_TEST

START_TEST(test_each_allocation_that_fails_leaves_nothing)
{
	const ino_nr top = make_tree();
	unsigned failed = 0;
	bool pending = false;

	for (long n = 1; !pending; n++) {
		char name[24];
		uint64_t nr;
		int err;

		snprintf(name, sizeof(name), "into%ld", n);
		into = make_into(&root_cred, FS_ROOT_INO, name);
		nr = nr_inodes();
		zt_fault_set(n);
		err = clone_as(&root, top, "", into, false);
		pending = zt_fault_pending();
		zt_fault_set(0);
		if (!err) {
			expect_same_tree(top, look_ino(sb, into, "copy"));
			continue;
		}
		failed++;
		ck_assert_msg(err == -ENOMEM || err == -ENOSPC, "%d", err);
		ck_assert_uint_eq(nr_inodes(), nr);
		ck_assert_int_eq(super_check(sb), 0);
	}
	ck_assert_uint_gt(failed, 3);
}
END_TEST

/* What goes on meanwhile ---------------------------------------------------- */

#define NR_BLOCKS 700u

static ino_nr busy;
static unsigned changes_left;

/* Every cluster has the same first byte, between two rounds. */
static void write_version(unsigned nr)
{
	const char version = (char)('A' + nr % 26);

	if (changes_left == 0)
		return;
	changes_left--;
	for (unsigned i = 0; i < NR_BLOCKS; i++)
		write_all(sb, busy, i * CLUSTER, &version, 1);
}

static void expect_one_version(ino_nr ino)
{
	char first = 0, byte;
	size_t len;

	for (unsigned i = 0; i < NR_BLOCKS; i++) {
		ck_assert_int_eq(fs_read(sb, ino, i * CLUSTER, &byte, 1, &len), 0);
		if (i == 0)
			first = byte;
		ck_assert_msg(byte == first, "cluster %u: %c instead of %c", i, byte, first);
	}
}

START_TEST(test_a_file_that_changes_is_copied_as_of_one_moment)
{
	const unsigned changes = (unsigned)_i;

	busy = make_file(sb, FS_ROOT_INO, "busy");
	changes_left = 1;
	write_version(0);
	begin_pauses(0, write_version);
	changes_left = changes;
	ck_assert_int_eq(clone_as(&root, FS_ROOT_INO, "busy", into, false), 0);
	expect_one_version(look_ino(sb, into, "copy"));
	ck_assert_uint_gt(pauses.nr, 2);
}
END_TEST

/* Everything that changes what a file contains, each once, in the middle. */
static void change_somehow(unsigned nr)
{
	const struct stat attr = { .st_size = 100 * CLUSTER };
	const char byte = 'Z';
	struct stat out;
	uint64_t done;

	if (nr != 3)
		return;
	switch (changes_left) {
	case 0:
		ck_assert_int_eq(fs_setattr(sb, &root_cred, busy, &attr, FS_SET_SIZE, &out), 0);
		break;
	case 1:
		ck_assert_int_eq(fs_fallocate(sb, &root_cred, busy,
					      FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
					      CLUSTER),
				 0);
		break;
	case 2:
		ck_assert_int_eq(fs_copy_range(sb, &root_cred, busy, 5 * CLUSTER, busy, 0,
					       CLUSTER, &done),
				 0);
		break;
	case 3:
		write_all(sb, busy, 0, &byte, 1);
		break;
	}
}

START_TEST(test_each_kind_of_change_is_noticed)
{
	busy = make_file(sb, FS_ROOT_INO, "busy");
	for (unsigned i = 0; i < NR_BLOCKS; i++)
		fill(busy, i * CLUSTER, 1000, i);
	changes_left = (unsigned)_i;
	begin_pauses(0, change_somehow);
	ck_assert_int_eq(clone_as(&root, FS_ROOT_INO, "busy", into, false), 0);
	expect_same_content(busy, look_ino(sb, into, "copy"), NR_BLOCKS * CLUSTER);
	ck_assert_uint_gt(pauses.nr, 4);
}
END_TEST

/* The tree that is copied goes away and comes anew, name by name. */
static ino_nr shrinking;

static void remove_some(unsigned nr)
{
	const struct listing names = list(shrinking);

	(void)nr;
	for (unsigned i = 0; i < names.nr && i < 10; i++)
		ck_assert_int_eq(fs_unlink(sb, shrinking, names.names[i]), 0);
}

START_TEST(test_what_goes_meanwhile_is_left_out)
{
	const ino_nr top = make_tree();

	shrinking = look_ino(sb, top, "many");
	begin_pauses(0, remove_some);
	ck_assert_int_eq(clone_as(&root, top, "", into, false), 0);
	ck_assert_int_eq(look_err(sb, look_ino(sb, into, "copy"), "many"), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("clone");
	TCase *tc = tcase_create("clone");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, test_a_copy_is_the_same_and_shares_what_it_contains);
	tcase_add_test(tc, test_a_user_copies_what_he_may_read);
	tcase_add_test(tc, test_a_user_copies_what_an_acl_lets_him_read);
	tcase_add_test(tc, test_a_user_s_copy_is_his);
	tcase_add_test(tc, test_it_is_put_into_a_fresh_directory_of_one_s_own);
	tcase_add_test(tc, test_a_tree_is_not_put_into_itself_and_a_snapshot_leaves_snapshots_out);
	tcase_add_test(tc, test_interrupted_anywhere_it_leaves_nothing);
	tcase_add_test(tc, test_each_limit_on_inodes_leaves_nothing);
	tcase_add_test(tc, test_each_allocation_that_fails_leaves_nothing);
	tcase_add_loop_test(tc, test_a_file_that_changes_is_copied_as_of_one_moment, 0, 7);
	tcase_add_loop_test(tc, test_each_kind_of_change_is_noticed, 0, 4);
	tcase_add_test(tc, test_what_goes_meanwhile_is_left_out);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
