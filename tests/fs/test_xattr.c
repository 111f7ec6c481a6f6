// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_xattr.c - extended attributes: names, sizes, flags, limits, and where they stand.
 */
#include <sys/xattr.h>

#include "fs/xattr_i.h"
#include "tests/fs/fixture.h"
#include "util/alloc.h"

static struct super *sb;
static ino_nr file;
static char big[FS_XATTR_SIZE_MAX + 1];

static void setup(void)
{
	sb = fixture_init();
	file = make_file(sb, FS_ROOT_INO, "file");
	for (size_t i = 0; i < sizeof(big); i++)
		big[i] = (char)(i * 7 + i / 251);
}

static void teardown(void)
{
	fixture_exit(sb);
}

static int set(ino_nr ino, const char *name, const void *value, size_t size)
{
	return fs_setxattr(sb, ino, name, value, size, 0);
}

static int set_text(const char *name, const char *text)
{
	return set(file, name, text, strlen(text));
}

/* The value as a text, or "-ERRNO". */
static const char *get_text(const char *name)
{
	static char buf[128];
	size_t len = 0;
	int err = fs_getxattr(sb, file, name, buf, sizeof(buf) - 1, &len);

	if (err)
		snprintf(buf, sizeof(buf), "%d", err);
	else
		buf[len] = '\0';
	return buf;
}

START_TEST(test_value_is_what_was_set_last)
{
	ck_assert_int_eq(set_text("user.a", "one"), 0);
	ck_assert_int_eq(set_text("user.b", ""), 0);
	ck_assert_int_eq(set_text("trusted.a", "two"), 0);
	ck_assert_int_eq(set_text("security.a", "three"), 0);
	ck_assert_str_eq(get_text("user.a"), "one");
	ck_assert_str_eq(get_text("user.b"), "");
	ck_assert_str_eq(get_text("trusted.a"), "two");
	ck_assert_str_eq(get_text("security.a"), "three");
	ck_assert_int_eq(set_text("user.a", "another, longer one"), 0);
	ck_assert_str_eq(get_text("user.a"), "another, longer one");
	ck_assert_int_eq(set_text("user.a", ""), 0);
	ck_assert_str_eq(get_text("user.a"), "");
	ck_assert_int_eq(fs_removexattr(sb, file, "user.a"), 0);
	ck_assert_int_eq(fs_removexattr(sb, file, "user.a"), -ENODATA);
	ck_assert_int_eq(fs_getxattr(sb, file, "user.a", NULL, 0, NULL), -ENODATA);
	ck_assert_str_eq(get_text("trusted.a"), "two");
}
END_TEST

START_TEST(test_names_out_of_bounds_are_refused)
{
	char name[FS_XATTR_NAME_MAX + 2] = "user.";
	size_t len;

	memset(name + 5, 'x', sizeof(name) - 6);
	name[sizeof(name) - 1] = '\0';
	ck_assert_int_eq(set_text(name, "v"), -ERANGE);
	name[FS_XATTR_NAME_MAX] = '\0';
	ck_assert_int_eq(set_text(name, "v"), 0);
	ck_assert_str_eq(get_text(name), "v");
	ck_assert_int_eq(set_text("", "v"), -ERANGE);
	ck_assert_int_eq(set_text("user.", "v"), -EINVAL);
	ck_assert_int_eq(fs_getxattr(sb, file, "user.", NULL, 0, &len), -EINVAL);
	ck_assert_int_eq(set_text("user", "v"), -EOPNOTSUPP);
	ck_assert_int_eq(set_text("other.a", "v"), -EOPNOTSUPP);
	ck_assert_int_eq(set_text("system.a", "v"), -EOPNOTSUPP);
	ck_assert_int_eq(fs_getxattr(sb, file, "other.a", NULL, 0, &len), -EOPNOTSUPP);
	ck_assert_int_eq(fs_removexattr(sb, file, "other.a"), -EOPNOTSUPP);
	ck_assert_int_eq(fs_removexattr(sb, file, "user."), -EINVAL);
	ck_assert_int_eq(set(file + 1000, "user.a", "v", 1), -ESTALE);
	ck_assert_int_eq(fs_getxattr(sb, file + 1000, "user.a", NULL, 0, &len), -ESTALE);
	ck_assert_int_eq(fs_listxattr(sb, file + 1000, true, NULL, 0, &len), -ESTALE);
	ck_assert_int_eq(fs_removexattr(sb, file + 1000, "user.a"), -ESTALE);
}
END_TEST

START_TEST(test_values_up_to_the_kernels_limit)
{
	static char buf[sizeof(big)];
	size_t len;

	ck_assert_int_eq(set(file, "user.big", big, sizeof(big)), -E2BIG);
	ck_assert_int_eq(set(file, "user.big", big, FS_XATTR_SIZE_MAX), 0);
	ck_assert_int_eq(set_text("user.small", "small"), 0);
	ck_assert_int_eq(fs_getxattr(sb, file, "user.big", NULL, 0, &len), 0);
	ck_assert_uint_eq(len, FS_XATTR_SIZE_MAX);
	ck_assert_int_eq(fs_getxattr(sb, file, "user.big", buf, len - 1, &len), -ERANGE);
	ck_assert_int_eq(fs_getxattr(sb, file, "user.big", buf, len, &len), 0);
	ck_assert_mem_eq(buf, big, len);
	ck_assert_int_eq(set_text("user.big", "now small"), 0);
	ck_assert_str_eq(get_text("user.big"), "now small");
	ck_assert_str_eq(get_text("user.small"), "small");
}
END_TEST

START_TEST(test_create_and_replace_look_first)
{
	ck_assert_int_eq(fs_setxattr(sb, file, "user.a", "1", 1, XATTR_REPLACE), -ENODATA);
	ck_assert_int_eq(fs_setxattr(sb, file, "user.a", "1", 1, XATTR_CREATE), 0);
	ck_assert_int_eq(fs_setxattr(sb, file, "user.a", "2", 1, XATTR_CREATE), -EEXIST);
	ck_assert_str_eq(get_text("user.a"), "1");
	ck_assert_int_eq(fs_setxattr(sb, file, "user.a", "2", 1, XATTR_REPLACE), 0);
	ck_assert_str_eq(get_text("user.a"), "2");
	ck_assert_int_eq(fs_setxattr(sb, file, "user.a", "2", 1, 8), -EINVAL);
}
END_TEST

/* Whether a list of names has exactly these, in any order. */
static bool list_is(bool trusted, const char *const *names, unsigned nr)
{
	char buf[512];
	size_t len;

	ck_assert_int_eq(fs_listxattr(sb, file, trusted, buf, sizeof(buf), &len), 0);
	for (unsigned i = 0; i < nr; i++) {
		size_t at = 0;

		while (at < len && strcmp(buf + at, names[i]) != 0)
			at += strlen(buf + at) + 1;
		if (at == len)
			return false;
	}
	for (size_t at = 0; at < len; at += strlen(buf + at) + 1)
		if (nr-- == 0)
			return false;
	return nr == 0;
}

START_TEST(test_listing_hides_trusted_names_from_others)
{
	static const char *const all[] = { "user.a", "security.b", "trusted.c" };
	char buf[64];
	size_t len;

	ck_assert(list_is(true, NULL, 0));
	ck_assert_int_eq(set_text("user.a", "1"), 0);
	ck_assert_int_eq(set_text("security.b", "1"), 0);
	ck_assert_int_eq(set_text("trusted.c", "1"), 0);
	ck_assert(list_is(true, all, 3));
	ck_assert(list_is(false, all, 2));
	ck_assert_int_eq(fs_listxattr(sb, file, false, NULL, 0, &len), 0);
	ck_assert_uint_eq(len, sizeof("user.a") + sizeof("security.b"));
	ck_assert_int_eq(fs_listxattr(sb, file, false, buf, len - 1, &len), -ERANGE);
	ck_assert_int_eq(fs_listxattr(sb, file, false, buf, len, &len), 0);
}
END_TEST

START_TEST(test_changes_move_ctime_alone)
{
	struct stat before = attr_of(sb, file), after;
	struct stat old = { .st_ctim = { .tv_sec = 1 } };

	ck_assert_int_eq(fs_setattr(sb, &root_cred, file, &old, FS_SET_CTIME, &after), 0);
	ck_assert_int_eq(set_text("user.a", "1"), 0);
	after = attr_of(sb, file);
	ck_assert_int_ge(after.st_ctim.tv_sec, before.st_ctim.tv_sec);
	ck_assert_int_eq(after.st_mtim.tv_sec, before.st_mtim.tv_sec);
	ck_assert_int_eq(after.st_mtim.tv_nsec, before.st_mtim.tv_nsec);
}
END_TEST

START_TEST(test_attributes_take_of_the_room_for_inodes)
{
	struct super_params params = fixture_params();
	struct super *small;
	struct statvfs st;
	ino_nr ino;
	unsigned nr = 0;
	char name[32];

	params.nr_inodes = 4;
	small = fixture_init_params(&params);
	ino = make_file(small, FS_ROOT_INO, "file");
	/* 40 bytes, the name and its NUL, the value: 464 each, and 2048 are left. */
	for (;; nr++) {
		snprintf(name, sizeof(name), "user.%04u", nr);
		if (fs_setxattr(small, ino, name, big, 414, 0) != 0)
			break;
	}
	ck_assert_uint_eq(nr, 4);
	ck_assert_int_eq(fs_setxattr(small, ino, name, big, 414, 0), -ENOSPC);
	super_statfs(small, &st);
	ck_assert_uint_eq(st.f_files, 4);
	ck_assert_uint_eq(st.f_ffree, 0);
	ck_assert_int_eq(fs_removexattr(small, ino, "user.0000"), 0);
	ck_assert_int_eq(fs_removexattr(small, ino, "user.0001"), 0);
	ck_assert_int_eq(fs_removexattr(small, ino, "user.0002"), 0);
	super_statfs(small, &st);
	ck_assert_uint_eq(st.f_ffree, 1);
	make_file(small, FS_ROOT_INO, "more");
	ck_assert_int_eq(fs_setxattr(small, ino, "user.more", big, 600, 0), -ENOSPC);
	/* With the inode its attributes' room comes back. */
	ck_assert_int_eq(fs_unlink(small, FS_ROOT_INO, "file"), 0);
	fs_forget(small, ino, 1);
	super_statfs(small, &st);
	ck_assert_uint_eq(st.f_ffree, 2);
	fixture_exit(small);
}
END_TEST

START_TEST(test_nothing_is_left_of_an_inode_with_attributes)
{
	uint64_t before = fixture_meta_objects(sb);
	ino_nr ino = make_file(sb, FS_ROOT_INO, "more");

	ck_assert_int_eq(set(ino, "user.big", big, 60000), 0);
	ck_assert_int_eq(set(ino, "user.big2", big, 60000), 0);
	ck_assert_int_eq(set(ino, "user.small", big, 6), 0);
	ck_assert_uint_gt(fixture_meta_objects(sb), before + 2);
	ck_assert_int_eq(super_check(sb), 0);
	ck_assert_int_eq(fs_unlink(sb, FS_ROOT_INO, "more"), 0);
	fs_forget(sb, ino, 1);
	ck_assert_uint_eq(fixture_meta_objects(sb), before);
}
END_TEST

/* Random sets and removals, against an array of values. */
#define MODEL_NAMES 40
START_TEST(test_random_attributes_are_what_was_set)
{
	static struct {
		bool set;
		size_t size;
		unsigned off;
	} model[MODEL_NAMES];
	static char buf[sizeof(big)];
	uint64_t rng = zt_seed();
	char name[64];

	for (unsigned step = 0; step < 3000; step++) {
		unsigned i = (unsigned)(zt_random(&rng) % MODEL_NAMES);
		size_t size =
			zt_random(&rng) % 20 == 0 ? zt_random(&rng) % 30000 : zt_random(&rng) % 600;
		unsigned off = (unsigned)(zt_random(&rng) % 1000), flags = 0;
		int err, want = 0;

		snprintf(name, sizeof(name), "user.%0*u", (int)(1 + i), i);
		if (zt_random(&rng) % 3 == 0) {
			err = fs_removexattr(sb, file, name);
			ck_assert_int_eq(err, model[i].set ? 0 : -ENODATA);
			model[i].set = false;
		} else {
			if (zt_random(&rng) % 8 == 0)
				flags = zt_random(&rng) % 2 ? XATTR_CREATE : XATTR_REPLACE;
			if (flags == XATTR_CREATE && model[i].set)
				want = -EEXIST;
			if (flags == XATTR_REPLACE && !model[i].set)
				want = -ENODATA;
			err = fs_setxattr(sb, file, name, big + off, size, flags);
			ck_assert_int_eq(err, want);
			if (!err) {
				model[i].set = true;
				model[i].size = size;
				model[i].off = off;
			}
		}
		i = (unsigned)(zt_random(&rng) % MODEL_NAMES);
		snprintf(name, sizeof(name), "user.%0*u", (int)(1 + i), i);
		err = fs_getxattr(sb, file, name, buf, sizeof(buf), &size);
		ck_assert_int_eq(err, model[i].set ? 0 : -ENODATA);
		if (!err) {
			ck_assert_uint_eq(size, model[i].size);
			ck_assert(memcmp(buf, big + model[i].off, size) == 0);
		}
		if (step % 500 == 0)
			ck_assert_int_eq(super_check(sb), 0);
	}
}
END_TEST

/* Every allocation fails once; what was there stays, what was asked for then works. */
START_TEST(test_attributes_survive_want_of_memory)
{
	static const size_t sizes[] = { 5, 3000, 3500, 2000, 60000, 700, 0 };
	char name[16];

	for (unsigned i = 0; i < 200; i++) {
		size_t size = sizes[i % ARRAY_SIZE(sizes)], len;
		bool failed;

		snprintf(name, sizeof(name), "user.%u", i % 9);
		for (long n = 1;; n++) {
			size_t old = 0, now = 0;
			int was = fs_getxattr(sb, file, name, NULL, 0, &old), err;

			zt_fault_set(n);
			err = set(file, name, big, size);
			failed = !zt_fault_pending();
			zt_fault_set(0);
			if (!err)
				break;
			ck_assert(failed && (err == -ENOSPC || err == -ENOMEM));
			ck_assert_int_eq(fs_getxattr(sb, file, name, NULL, 0, &now), was);
			ck_assert_uint_eq(now, old);
			ck_assert_int_eq(super_check(sb), 0);
		}
		ck_assert_int_eq(fs_getxattr(sb, file, name, NULL, 0, &len), 0);
		ck_assert_uint_eq(len, size);
	}
	/* Removing needs none. */
	zt_fault_set_from(1);
	for (unsigned i = 0; i < 9; i++) {
		snprintf(name, sizeof(name), "user.%u", i);
		ck_assert_int_eq(fs_removexattr(sb, file, name), 0);
	}
	zt_fault_set_from(0);
}
END_TEST

START_TEST(test_walker_sees_damage)
{
	struct inode_rec *rec = inode_get(sb, file);
	uint16_t flags = rec->flags;

	ck_assert_int_eq(set_text("user.a", "1"), 0);
	rec->flags = flags | INODE_HAS_CAPABILITY;
	ck_assert_int_eq(super_check(sb), -EUCLEAN);
	rec->flags = flags;
	ck_assert_int_eq(super_check(sb), 0);
	sb->space++;
	ck_assert_int_eq(super_check(sb), -EUCLEAN);
	sb->space--;
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("xattr");
	TCase *tc = tcase_create("xattr");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_value_is_what_was_set_last);
	tcase_add_test(tc, test_names_out_of_bounds_are_refused);
	tcase_add_test(tc, test_values_up_to_the_kernels_limit);
	tcase_add_test(tc, test_create_and_replace_look_first);
	tcase_add_test(tc, test_listing_hides_trusted_names_from_others);
	tcase_add_test(tc, test_changes_move_ctime_alone);
	tcase_add_test(tc, test_attributes_take_of_the_room_for_inodes);
	tcase_add_test(tc, test_nothing_is_left_of_an_inode_with_attributes);
	tcase_add_test(tc, test_random_attributes_are_what_was_set);
	tcase_add_test(tc, test_attributes_survive_want_of_memory);
	tcase_add_test(tc, test_walker_sees_damage);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
