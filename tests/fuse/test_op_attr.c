// SPDX-License-Identifier: GPL-2.0-or-later
/* test_op_attr.c - requests about attributes and about the filesystem as a whole. */
#include "tests/fuse/fixture.h"

START_TEST(test_every_attribute_can_be_set_alone)
{
	const uint64_t ino = make_file(ROOT, "f");
	struct fuse_attr attr;
	struct fuse_setattr_in in = { .valid = FATTR_MODE, .mode = S_IFREG | 0711 };

	ck_assert_int_eq(wire_setattr(&wire, ino, &in, &attr), 0);
	ck_assert_uint_eq(attr.mode, S_IFREG | 0711);
	in = (struct fuse_setattr_in){ .valid = FATTR_UID, .uid = 5, .gid = 6 };
	ck_assert_int_eq(wire_setattr(&wire, ino, &in, &attr), 0);
	ck_assert_uint_eq(attr.uid, 5);
	ck_assert_uint_eq(attr.gid, 0);
	in.valid = FATTR_GID;
	ck_assert_int_eq(wire_setattr(&wire, ino, &in, &attr), 0);
	ck_assert_uint_eq(attr.gid, 6);
	in = (struct fuse_setattr_in){ .valid = FATTR_SIZE, .size = 10000 };
	ck_assert_int_eq(wire_setattr(&wire, ino, &in, &attr), 0);
	ck_assert_uint_eq(attr.size, 10000);
	in = (struct fuse_setattr_in){ .valid = FATTR_ATIME | FATTR_MTIME | FATTR_CTIME,
				       .atime = 1,
				       .atimensec = 2,
				       .mtime = 3,
				       .mtimensec = 4,
				       .ctime = 5,
				       .ctimensec = 6 };
	ck_assert_int_eq(wire_setattr(&wire, ino, &in, &attr), 0);
	ck_assert_uint_eq(attr.atime, 1);
	ck_assert_uint_eq(attr.atimensec, 2);
	ck_assert_uint_eq(attr.mtime, 3);
	ck_assert_uint_eq(attr.mtimensec, 4);
	ck_assert_uint_eq(attr.ctime, 5);
	ck_assert_uint_eq(attr.ctimensec, 6);
	in = (struct fuse_setattr_in){ .valid = FATTR_ATIME | FATTR_ATIME_NOW };
	ck_assert_int_eq(wire_setattr(&wire, ino, &in, &attr), 0);
	ck_assert_uint_gt(attr.atime, 1000000000);
	ck_assert_uint_eq(attr.mtime, 3);
}
END_TEST

/* FUSE carries 64 bits of seconds, a record 34: what cannot be kept must not become another time. */
START_TEST(test_times_that_cannot_be_kept_are_refused)
{
	static const int64_t far[] = { INT64_MIN, -2147483649LL, 15032385536LL, INT64_MAX };
	static const int64_t near[] = { -2147483648LL, -1, 0, 4294967296LL, 15032385535LL };
	const uint64_t ino = make_file(ROOT, "f");
	struct fuse_setattr_in in = { .valid = FATTR_ATIME | FATTR_MTIME, .atime = 1, .mtime = 2 };
	struct fuse_attr attr;

	ck_assert_int_eq(wire_setattr(&wire, ino, &in, &attr), 0);
	for (size_t i = 0; i < ARRAY_SIZE(far); i++) {
		in.valid = i % 2 ? FATTR_MTIME : FATTR_ATIME;
		in.atime = in.mtime = (uint64_t)far[i];
		ck_assert_int_eq(wire_setattr(&wire, ino, &in, &attr), -EINVAL);
		ck_assert_int_eq(wire_getattr(&wire, ino, &attr), 0);
		ck_assert_uint_eq(attr.atime, 1);
		ck_assert_uint_eq(attr.mtime, 2);
	}
	for (size_t i = 0; i < ARRAY_SIZE(near); i++) {
		in.valid = FATTR_MTIME | FATTR_ATIME;
		in.atime = in.mtime = (uint64_t)near[i];
		in.mtimensec = 999999999;
		ck_assert_int_eq(wire_setattr(&wire, ino, &in, &attr), 0);
		ck_assert_uint_eq(attr.mtime, (uint64_t)near[i]);
		ck_assert_uint_eq(attr.mtimensec, 999999999);
	}
}
END_TEST

START_TEST(test_bits_of_no_known_meaning_change_nothing)
{
	const uint64_t ino = make_file(ROOT, "f");
	const struct fuse_setattr_in in = {
		.valid = ~(uint32_t)(FATTR_MODE | FATTR_UID | FATTR_GID | FATTR_SIZE | FATTR_ATIME |
				     FATTR_MTIME | FATTR_CTIME | FATTR_ATIME_NOW | FATTR_MTIME_NOW |
				     FATTR_KILL_SUIDGID),
		.mode = 0777,
		.uid = 7,
		.size = 77,
	};
	struct fuse_attr before, after;

	ck_assert_int_eq(wire_getattr(&wire, ino, &before), 0);
	ck_assert_int_eq(wire_setattr(&wire, ino, &in, &after), 0);
	ck_assert_uint_eq(after.mode, before.mode);
	ck_assert_uint_eq(after.uid, before.uid);
	ck_assert_uint_eq(after.size, before.size);
}
END_TEST

START_TEST(test_impossible_sizes_are_refused)
{
	const uint64_t ino = make_file(ROOT, "f");
	struct fuse_setattr_in in = { .valid = FATTR_SIZE, .size = UINT64_MAX };
	struct fuse_attr attr;

	ck_assert_int_lt(wire_setattr(&wire, ino, &in, &attr), 0);
	in.size = 1;
	ck_assert_int_eq(wire_setattr(&wire, ROOT, &in, &attr), -EISDIR);
	in.size = INT64_MAX;
	ck_assert_int_eq(wire_setattr(&wire, ino, &in, &attr), 0);
	ck_assert_uint_eq(attr.size, INT64_MAX);
	ck_assert_uint_eq(attr.blocks, 0);
}
END_TEST

START_TEST(test_blocks_count_uncompressed_pages)
{
	const uint64_t ino = make_file(ROOT, "f");
	static const char text[8192] = "same and same";
	struct fuse_attr attr;

	ck_assert_int_eq(wire_write(&wire, ino, 1000000, text, sizeof(text), 0), sizeof(text));
	ck_assert_int_eq(wire_getattr(&wire, ino, &attr), 0);
	ck_assert_uint_eq(attr.blksize, 4096);
	ck_assert_uint_ge(attr.blocks, 16);
	ck_assert_uint_le(attr.blocks, 24);
}
END_TEST

START_TEST(test_statfs_follows_what_is_stored)
{
	struct fuse_kstatfs before, after;
	const uint64_t ino = make_file(ROOT, "f");
	static char noise[65536];
	uint64_t seed = 1;

	for (size_t i = 0; i < sizeof(noise); i++)
		noise[i] = (char)zt_random(&seed);
	ck_assert_int_eq(wire_statfs(&wire, &before), 0);
	ck_assert_uint_eq(before.bsize, 4096);
	ck_assert_uint_eq(before.namelen, 255);
	ck_assert_uint_eq(before.files, FIXTURE_INODES);
	ck_assert_uint_le(before.blocks, FIXTURE_SIZE / 4096);
	ck_assert_int_eq(wire_write(&wire, ino, 0, noise, sizeof(noise), 0), sizeof(noise));
	make_file(ROOT, "g");
	ck_assert_int_eq(wire_statfs(&wire, &after), 0);
	ck_assert_uint_le(after.bfree, before.bfree - sizeof(noise) / 4096);
	ck_assert_uint_eq(after.ffree, before.ffree - 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("op_attr");
	TCase *tc = tcase_create("op_attr");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_every_attribute_can_be_set_alone);
	tcase_add_test(tc, test_times_that_cannot_be_kept_are_refused);
	tcase_add_test(tc, test_bits_of_no_known_meaning_change_nothing);
	tcase_add_test(tc, test_impossible_sizes_are_refused);
	tcase_add_test(tc, test_blocks_count_uncompressed_pages);
	tcase_add_test(tc, test_statfs_follows_what_is_stored);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
