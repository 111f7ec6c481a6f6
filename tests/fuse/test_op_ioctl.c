// SPDX-License-Identifier: GPL-2.0-or-later
/* test_op_ioctl.c - the control interface. */
#include "tests/fuse/fixture.h"

static struct wire_reply call(uint64_t ino, uint32_t cmd, uint32_t out_size, uint32_t flags)
{
	const struct fuse_ioctl_in in = { .cmd = cmd, .out_size = out_size, .flags = flags };

	return wire_call(&wire, FUSE_IOCTL, ino, &in, sizeof(in), NULL, 0);
}

START_TEST(test_stat_answers_on_files_and_directories)
{
	const uint64_t inos[] = { make_file(ROOT, "f"), ROOT };

	ck_assert_int_eq(wire_write(&wire, inos[0], 0, "some content", 12, 0), 12);
	for (size_t i = 0; i < ARRAY_SIZE(inos); i++) {
		struct wire_reply reply = call(inos[i], ZTMPFS_IOC_STAT, sizeof(struct ztmpfs_stat),
					       inos[i] == ROOT ? FUSE_IOCTL_DIR : 0);
		struct fuse_ioctl_out out;
		struct ztmpfs_stat stat;

		ck_assert_int_eq(reply.error, 0);
		ck_assert_uint_eq(reply.len, sizeof(out) + sizeof(stat));
		memcpy(&out, reply.data, sizeof(out));
		memcpy(&stat, (const char *)reply.data + sizeof(out), sizeof(stat));
		ck_assert_int_eq(out.result, 0);
		ck_assert_uint_eq(stat.version, ZTMPFS_STAT_VERSION);
		ck_assert_uint_eq(stat.struct_size, sizeof(stat));
		ck_assert_str_eq(stat.compress, "lz4");
		ck_assert_uint_eq(stat.orig_data_size, 4096);
		ck_assert_uint_gt(stat.mem_used_total, 0);
		ck_assert_uint_eq(stat.size_limit, FIXTURE_SIZE);
		ck_assert_uint_eq(stat.inodes_used, 2);
		ck_assert_uint_eq(stat.inodes_limit, FIXTURE_INODES);
		ck_assert_uint_eq(stat.cluster_size, 65536);
	}
}
END_TEST

START_TEST(test_stat_with_too_little_room_is_refused)
{
	ck_assert_int_eq(
		call(ROOT, ZTMPFS_IOC_STAT, sizeof(struct ztmpfs_stat) - 1, FUSE_IOCTL_DIR).error,
		-EINVAL);
}
END_TEST

START_TEST(test_other_commands_are_none_of_ours)
{
	static const uint32_t cmds[] = { 0, 1, 0x5401, 0x80086601, UINT32_MAX };

	for (size_t i = 0; i < ARRAY_SIZE(cmds); i++)
		ck_assert_int_eq(call(ROOT, cmds[i], 4096, FUSE_IOCTL_DIR).error, -ENOTTY);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("op_ioctl");
	TCase *tc = tcase_create("op_ioctl");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_stat_answers_on_files_and_directories);
	tcase_add_test(tc, test_stat_with_too_little_room_is_refused);
	tcase_add_test(tc, test_other_commands_are_none_of_ours);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
