// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_store_attrs.c - after each store of an operation on symbolic links and extended attributes the
 * arena can be attached to, and has the old or the new; and nobody may do what neither allowed.
 */
#include <sys/xattr.h>

#include "fs/access.h"
#include "fs/xattr.h"
#include "tests/fs/step_attach.h"

static struct super *sb;
static ino_nr ino;
static char old_value[3000], new_value[3000];

/* ---- symbolic links ---- */

static void start_link(void *arg)
{
	(void)arg;
	sb = fixture_init();
}

static void run_link(void *arg)
{
	struct fs_entry entry;

	step_expect(fs_symlink(sb, &user_cred, FS_ROOT_INO, "link", arg, &entry) == 0, "symlink fails");
}

static void judge_link(void *arg, bool done)
{
	char target[FS_SYMLINK_MAX + 1];
	ino_nr link;

	sb = step_attach(sb);
	link = look_ino(sb, FS_ROOT_INO, "link");
	step_expect(link != 0 || !done, "it is gone");
	if (link)
		step_expect(fs_readlink(sb, link, target) == 0 && strcmp(target, arg) == 0,
			    "another target");
}

START_TEST(test_a_symbolic_link_has_its_target)
{
	static char longest[FS_SYMLINK_MAX + 1], medium[] = "a/target/of/some/length/that/is/no/inode's";
	static char shortest[] = "t", *const targets[] = { shortest, medium, longest };
	struct step_ops ops = { start_link, run_link, judge_link, targets[_i] };

	memset(longest, 'l', FS_SYMLINK_MAX);
	ck_assert_uint_ge(step_all("a symbolic link", &ops), 3);
}
END_TEST

/* ---- attributes ---- */

struct attr {
	const char *name;
	size_t before, after; /* bytes of its value; 0: there is none */
	unsigned others; /* attributes beside it */
	const char *attr;
};

/* An ACL that says more than a mode. */
static size_t acl_make(char *out, unsigned perm)
{
	const struct {
		uint32_t version;
		struct {
			uint16_t tag, perm;
			uint32_t id;
		} entries[5];
	} acl = { 2,
		  { { 0x01, 6, UINT32_MAX },
		    { 0x02, (uint16_t)perm, 1234 },
		    { 0x04, 4, UINT32_MAX },
		    { 0x10, 7, UINT32_MAX },
		    { 0x20, 0, UINT32_MAX } } };

	memcpy(out, &acl, sizeof(acl));
	return sizeof(acl);
}

static void set_attr(const struct attr *attr, const char *value, size_t size)
{
	step_expect(fs_setxattr(sb, ino, attr->attr, value, size, 0) == 0, "setxattr fails");
}

static void start_attr(void *arg)
{
	const struct attr *attr = arg;

	sb = fixture_init();
	ino = make_file(sb, FS_ROOT_INO, "file");
	memset(old_value, 'o', sizeof(old_value));
	memset(new_value, 'n', sizeof(new_value));
	if (strncmp(attr->attr, "system.", 7) == 0) {
		(void)acl_make(old_value, 1);
		(void)acl_make(new_value, 2);
	}
	for (unsigned i = 0; i < attr->others; i++) {
		char name[32];

		snprintf(name, sizeof(name), "user.other-%u", i);
		step_expect(fs_setxattr(sb, ino, name, name, strlen(name), 0) == 0, "no attribute");
	}
	if (attr->before)
		set_attr(attr, old_value, attr->before);
}

static void run_attr(void *arg)
{
	const struct attr *attr = arg;

	if (attr->after)
		set_attr(attr, new_value, attr->after);
	else
		step_expect(fs_removexattr(sb, ino, attr->attr) == 0, "removexattr fails");
}

static bool has(const struct attr *attr, const char *value, size_t size)
{
	char found[3000];
	size_t len = 0;
	int err = fs_getxattr(sb, ino, attr->attr, found, sizeof(found), &len);

	if (size == 0)
		return err == -ENODATA;
	return err == 0 && len == size && memcmp(found, value, len) == 0;
}

static void judge_attr(void *arg, bool done)
{
	const struct attr *attr = arg;

	sb = step_attach(sb);
	step_expect(has(attr, new_value, attr->after) || (!done && has(attr, old_value, attr->before)),
		    "neither the old value nor the new one");
	for (unsigned i = 0; i < attr->others; i++) {
		char name[32];
		size_t len = 0;

		snprintf(name, sizeof(name), "user.other-%u", i);
		step_expect(fs_getxattr(sb, ino, name, NULL, 0, &len) == 0 && len == strlen(name),
			    "another attribute is lost");
	}
}

static const struct attr attrs[] = {
	{ .name = "the first attribute", .after = 10, .attr = "user.x" },
	{ .name = "a large one", .after = 3000, .attr = "user.x" },
	{ .name = "one more", .after = 10, .others = 5, .attr = "user.x" },
	{ .name = "one more, beyond a block", .after = 100, .others = 200, .attr = "user.x" },
	{ .name = "as long", .before = 10, .after = 10, .others = 2, .attr = "user.x" },
	{ .name = "longer", .before = 10, .after = 2000, .others = 2, .attr = "user.x" },
	{ .name = "shorter", .before = 3000, .after = 10, .others = 200, .attr = "user.x" },
	{ .name = "the last one goes", .before = 10, .attr = "user.x" },
	{ .name = "one of many goes", .before = 1000, .others = 200, .attr = "user.x" },
	/* The first one changes the mode, too: below. */
	{ .name = "another ACL", .before = 44, .after = 44, .attr = "system.posix_acl_access" },
};

START_TEST(test_an_attribute_is_the_old_one_or_the_new_one)
{
	struct step_ops ops = { start_attr, run_attr, judge_attr, (void *)&attrs[_i] };

	ck_assert_uint_ge(step_all(attrs[_i].name, &ops), 1);
}
END_TEST

/* ---- who may do what ---- */

/* Entries for owner, user 1234, group, mask and others; 8: there is none. */
struct rights {
	const char *name;
	mode_t mode; /* before, without a list, or with one that is set then */
	unsigned char before[5], after[5];
	struct fs_asker asker;
	unsigned may; /* before or afterwards, at most */
};

static void set_list(const unsigned char perms[5])
{
	static const uint16_t tags[] = { 0x01, 0x02, 0x04, 0x10, 0x20 };
	struct {
		uint32_t version;
		struct {
			uint16_t tag, perm;
			uint32_t id;
		} entries[5];
	} acl = { .version = 2 };
	unsigned nr = 0;

	for (unsigned i = 0; i < 5; i++) {
		if (perms[i] == 8)
			continue;
		acl.entries[nr].tag = tags[i];
		acl.entries[nr].perm = perms[i];
		acl.entries[nr++].id = tags[i] == 0x02 ? 1234 : UINT32_MAX;
	}
	step_expect(fs_setxattr(sb, ino, "system.posix_acl_access", &acl, 4 + nr * 8, 0) == 0,
		    "the list is refused");
}

static void start_rights(void *arg)
{
	const struct rights *rights = arg;

	sb = fixture_init();
	ino = make_file(sb, FS_ROOT_INO, "file");
	inode_get(sb, ino)->mode = S_IFREG | rights->mode;
	if (rights->before[0] != 8)
		set_list(rights->before);
}

static void run_rights(void *arg)
{
	const struct rights *rights = arg;

	set_list(rights->after);
}

static void judge_rights(void *arg, bool done)
{
	const struct rights *rights = arg;

	(void)done;
	sb = step_attach(sb);
	inode_lock_shared(sb, ino);
	for (unsigned want = 1; want < 8; want <<= 1)
		step_expect(!inode_allows(sb, inode_get(sb, ino), &rights->asker, want) ||
				    (rights->may & want),
			    "%o is allowed, and only %o ever was", want, rights->may);
	inode_unlock(sb, ino);
}

#define NO_LIST { 8, 8, 8, 8, 8 }

static const struct rights rights[] = {
	{ "a first list, with a narrow mask", 0770, NO_LIST, { 7, 7, 4, 4, 0 }, { .uid = 1234, .gid = 1 }, 4 },
	{ "the list goes, and the group has less than the mask", 0700, { 7, 7, 4, 7, 0 },
	  { 7, 8, 4, 8, 0 }, { .uid = 5, .gid = 1000 }, 4 },
	{ "others get what a user has not", 0700, { 7, 0, 0, 7, 0 }, { 7, 8, 0, 8, 5 },
	  { .uid = 9, .gid = 9 }, 5 },
	{ "a wider mask, and less for a user", 0700, { 7, 7, 0, 1, 0 }, { 7, 4, 0, 7, 0 },
	  { .uid = 1234, .gid = 1 }, 5 },
};

START_TEST(test_nobody_may_do_what_neither_list_allows)
{
	struct step_ops ops = { start_rights, run_rights, judge_rights, (void *)&rights[_i] };

	ck_assert_uint_ge(step_all(rights[_i].name, &ops), 3);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("store_attrs");
	TCase *tc = tcase_create("attrs");

#ifndef ZT_DEBUG
	return STEP_MISSING;
#endif
	tcase_set_timeout(tc, 400);
	tcase_add_loop_test(tc, test_a_symbolic_link_has_its_target, 0, 3);
	tcase_add_loop_test(tc, test_an_attribute_is_the_old_one_or_the_new_one, 0, ARRAY_SIZE(attrs));
	tcase_add_loop_test(tc, test_nobody_may_do_what_neither_list_allows, 0, ARRAY_SIZE(rights));
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
