// SPDX-License-Identifier: GPL-2.0-or-later
/* test_op_file.c - requests about file content. */
#include <fcntl.h>
#include <linux/falloc.h>
#include <unistd.h>

#include "tests/fuse/fixture.h"

static char big[ZTFUSE_IO_MAX + 1], back[ZTFUSE_IO_MAX + 1];

/* Text that compresses a little. */
static void fill(char *buf, size_t len, uint64_t seed)
{
	for (size_t i = 0; i < len; i++)
		buf[i] = (char)('a' + (zt_random(&seed) & 15));
}

START_TEST(test_bytes_come_back_at_every_size)
{
	static const uint32_t sizes[] = { 1,     100,   4095,  4096,    4097,
					  65535, 65536, 65537, 1000000, ZTFUSE_IO_MAX };
	const uint64_t ino = make_file(ROOT, "f");
	struct fuse_attr attr;

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		const uint64_t off = i * 2 * MIB + i * 4096;

		fill(big, sizes[i], i);
		ck_assert_int_eq(wire_write(&wire, ino, off, big, sizes[i], 0), sizes[i]);
		ck_assert_int_eq(wire_read(&wire, ino, off, back, sizes[i]), sizes[i]);
		ck_assert_mem_eq(back, big, sizes[i]);
		ck_assert_int_eq(wire_getattr(&wire, ino, &attr), 0);
		ck_assert_uint_eq(attr.size, off + sizes[i]);
	}
}
END_TEST

START_TEST(test_read_is_short_only_at_the_end)
{
	const uint64_t ino = make_file(ROOT, "f");

	ck_assert_int_eq(wire_write(&wire, ino, 5000, "end", 3, 0), 3);
	ck_assert_int_eq(wire_read(&wire, ino, 0, back, 4096), 4096);
	for (size_t i = 0; i < 4096; i++)
		ck_assert_int_eq(back[i], 0);
	ck_assert_int_eq(wire_read(&wire, ino, 4096, back, 4096), 5003 - 4096);
	ck_assert_mem_eq(back + 5000 - 4096, "end", 3);
	ck_assert_int_eq(wire_read(&wire, ino, 5003, back, 10), 0);
	ck_assert_int_eq(wire_read(&wire, ino, INT64_MAX, back, 10), 0);
	ck_assert_int_eq(wire_read(&wire, ino, 0, back, 0), 0);
}
END_TEST

START_TEST(test_impossible_sizes_and_offsets_are_refused)
{
	const uint64_t ino = make_file(ROOT, "f");
	const struct fuse_write_in too_long = { .size = ZTFUSE_IO_MAX + 1 };
	const struct fuse_write_in far_too_long = { .size = UINT32_MAX };
	struct fuse_attr attr;

	ck_assert_int_eq(wire_read(&wire, ino, 0, back, ZTFUSE_IO_MAX + 1), -EINVAL);
	ck_assert_int_eq(wire_read(&wire, ino, UINT64_MAX, back, 1), -EINVAL);
	ck_assert_int_eq(wire_write(&wire, ino, UINT64_MAX, "x", 1, 0), -EINVAL);
	ck_assert_int_eq(wire_write(&wire, ino, UINT64_C(1) << 63, "x", 1, 0), -EINVAL);
	ck_assert_int_eq(wire_write(&wire, ino, INT64_MAX, "x", 1, 0), -EFBIG);
	ck_assert_int_eq(
		wire_call(&wire, FUSE_WRITE, ino, &too_long, sizeof(too_long), "x", 1).error,
		-EINVAL);
	ck_assert_int_eq(
		wire_call(&wire, FUSE_WRITE, ino, &far_too_long, sizeof(far_too_long), "x", 1)
			.error,
		-EINVAL);
	ck_assert_int_eq(wire_getattr(&wire, ino, &attr), 0);
	ck_assert_uint_eq(attr.size, 0);
}
END_TEST

static int copy(uint64_t from, uint64_t from_off, uint64_t to, uint64_t to_off, uint64_t len,
		uint64_t flags, uint32_t *done)
{
	const struct fuse_copy_file_range_in in = {
		.off_in = from_off,
		.nodeid_out = to,
		.off_out = to_off,
		.len = len,
		.flags = flags,
	};
	const struct wire_reply reply =
		wire_call(&wire, FUSE_COPY_FILE_RANGE, from, &in, sizeof(in), NULL, 0);

	if (!reply.error)
		*done = ((const struct fuse_write_out *)reply.data)->size;
	return reply.error;
}

START_TEST(test_ranges_are_copied)
{
	const uint64_t from = make_file(ROOT, "from"), to = make_file(ROOT, "to");
	uint32_t done = 0;

	fill(big, 200000, 1);
	ck_assert_int_eq(wire_write(&wire, from, 0, big, 200000, 0), 200000);
	ck_assert_int_eq(copy(from, 0, to, 65536, UINT64_MAX, 0, &done), 0);
	ck_assert_uint_eq(done, 200000);
	ck_assert_int_eq(wire_read(&wire, to, 65536, back, 200001), 200000);
	ck_assert_mem_eq(back, big, 200000);
	ck_assert_int_eq(copy(from, 200000, to, 0, 1, 0, &done), 0);
	ck_assert_uint_eq(done, 0);
	ck_assert_int_eq(copy(from, 1, to, 0, 65536, 0, &done), -EOPNOTSUPP);
	ck_assert_int_eq(copy(from, 0, to, 0, 65536, 1, &done), -EINVAL);
	ck_assert_int_eq(copy(from, UINT64_MAX, to, 0, 65536, 0, &done), -EINVAL);
	ck_assert_int_eq(copy(from, 0, to, UINT64_MAX, 65536, 0, &done), -EINVAL);
	ck_assert_int_eq(copy(from, 0, ROOT, 0, 65536, 0, &done), -EISDIR);
}
END_TEST

START_TEST(test_largest_offset_can_be_written)
{
	const uint64_t ino = make_file(ROOT, "f");
	struct fuse_attr attr;

	ck_assert_int_eq(wire_write(&wire, ino, INT64_MAX - 1, "x", 1, 0), 1);
	ck_assert_int_eq(wire_getattr(&wire, ino, &attr), 0);
	ck_assert_uint_eq(attr.size, INT64_MAX);
	ck_assert_int_eq(wire_read(&wire, ino, INT64_MAX - 1, back, 2), 1);
	ck_assert_int_eq(back[0], 'x');
}
END_TEST

START_TEST(test_directories_have_no_content)
{
	ck_assert_int_eq(wire_read(&wire, ROOT, 0, back, 1), -EISDIR);
	ck_assert_int_eq(wire_write(&wire, ROOT, 0, "x", 1, 0), -EISDIR);
}
END_TEST

/* write(2) may be short; of a delayed write the kernel would drop the rest without a word. */
START_TEST(test_full_filesystem_is_a_short_write_but_an_error_when_delayed)
{
	static const uint32_t flags[] = { 0, FUSE_WRITE_CACHE };

	for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
		const uint64_t ino = make_file(ROOT, i ? "delayed" : "direct");
		const uint64_t room = FIXTURE_SIZE - ZTFUSE_IO_MAX / 2;
		struct fuse_attr attr;
		struct fuse_setattr_in in = { .valid = FATTR_SIZE };
		long done;

		fill(big, ZTFUSE_IO_MAX, i);
		for (uint64_t off = 0; off < room - ZTFUSE_IO_MAX / 2; off += ZTFUSE_IO_MAX)
			ck_assert_int_eq(wire_write(&wire, ino, off, big, ZTFUSE_IO_MAX, flags[i]),
					 ZTFUSE_IO_MAX);
		ck_assert_int_eq(wire_write(&wire, ino, room - ZTFUSE_IO_MAX / 2, big,
					    ZTFUSE_IO_MAX / 2, flags[i]),
				 ZTFUSE_IO_MAX / 2);
		done = wire_write(&wire, ino, room, big, ZTFUSE_IO_MAX, flags[i]);
		if (flags[i])
			ck_assert_int_eq(done, -ENOSPC);
		else
			ck_assert(done == -ENOSPC || (done > 0 && done <= ZTFUSE_IO_MAX / 2));
		ck_assert_int_eq(wire_read(&wire, ino, 0, back, ZTFUSE_IO_MAX), ZTFUSE_IO_MAX);
		ck_assert_mem_eq(back, big, ZTFUSE_IO_MAX);
		/* And it recovers. */
		ck_assert_int_eq(wire_setattr(&wire, ino, &in, &attr), 0);
		ck_assert_int_eq(wire_write(&wire, ino, 0, big, ZTFUSE_IO_MAX, flags[i]),
				 ZTFUSE_IO_MAX);
		ck_assert_int_eq(wire_setattr(&wire, ino, &in, &attr), 0);
	}
}
END_TEST

/* With the write-back cache the kernel stamps every write, and brings the times by SETATTR. */
START_TEST(test_the_kernel_keeps_the_times_of_all_writes)
{
	const uint64_t ino = make_file(ROOT, "f");
	const struct fuse_setattr_in in = { .valid = FATTR_MTIME | FATTR_CTIME,
					    .mtime = 12345,
					    .ctime = 67890 };
	const uint32_t flags[] = { FUSE_WRITE_CACHE, 0 };
	struct fuse_attr attr;

	ck_assert_int_eq(wire_setattr(&wire, ino, &in, &attr), 0);
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
		ck_assert_int_eq(wire_write(&wire, ino, i, "x", 1, flags[i]), 1);
		ck_assert_int_eq(wire_getattr(&wire, ino, &attr), 0);
		ck_assert_uint_eq(attr.size, i + 1);
		ck_assert_uint_eq(attr.mtime, 12345);
		ck_assert_uint_eq(attr.ctime, 67890);
	}
}
END_TEST

/* Where the kernel keeps none, whatever comes moves them. */
START_TEST(test_every_write_moves_times_without_the_write_back_cache)
{
	const uint64_t ino = make_file(ROOT, "f");
	const struct fuse_setattr_in in = { .valid = FATTR_MTIME, .mtime = 12345 };
	const uint32_t flags[] = { FUSE_WRITE_CACHE, 0 };
	struct fuse_attr attr;

	for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
		ck_assert_int_eq(wire_setattr(&wire, ino, &in, &attr), 0);
		ck_assert_int_eq(wire_write(&wire, ino, 0, "x", 1, flags[i]), 1);
		ck_assert_int_eq(wire_getattr(&wire, ino, &attr), 0);
		ck_assert_uint_ne(attr.mtime, 12345);
	}
}
END_TEST

START_TEST(test_delayed_write_keeps_set_id_bits)
{
	const uint64_t ino = make_file(ROOT, "f");
	const struct fuse_setattr_in in = { .valid = FATTR_MODE, .mode = S_IFREG | 06777 };
	struct fuse_attr attr;

	wire.uid = 1000;
	ck_assert_int_eq(wire_setattr(&wire, ino, &in, &attr), 0);
	ck_assert_int_eq(wire_write(&wire, ino, 0, "x", 1, FUSE_WRITE_CACHE), 1);
	ck_assert_int_eq(wire_getattr(&wire, ino, &attr), 0);
	ck_assert_uint_eq(attr.mode, S_IFREG | 06777);
	ck_assert_int_eq(wire_write(&wire, ino, 0, "x", 1, 0), 1);
	ck_assert_int_eq(wire_getattr(&wire, ino, &attr), 0);
	ck_assert_uint_eq(attr.mode, S_IFREG | 0777);
}
END_TEST

START_TEST(test_fallocate_punches_and_seek_finds_the_hole)
{
	const uint64_t ino = make_file(ROOT, "f");
	struct fuse_attr attr;
	uint64_t off;

	fill(big, 65536, 1);
	ck_assert_int_eq(wire_write(&wire, ino, 0, big, 65536, 0), 65536);
	ck_assert_int_eq(
		wire_fallocate(&wire, ino, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 8192, 8192),
		0);
	ck_assert_int_eq(wire_lseek(&wire, ino, 0, SEEK_HOLE, &off), 0);
	ck_assert_uint_eq(off, 8192);
	ck_assert_int_eq(wire_lseek(&wire, ino, 8192, SEEK_DATA, &off), 0);
	ck_assert_uint_eq(off, 16384);
	ck_assert_int_eq(wire_read(&wire, ino, 0, back, 65536), 65536);
	memset(big + 8192, 0, 8192);
	ck_assert_mem_eq(back, big, 65536);
	ck_assert_int_eq(wire_fallocate(&wire, ino, 0, 100000, 1000), 0);
	ck_assert_int_eq(wire_getattr(&wire, ino, &attr), 0);
	ck_assert_uint_eq(attr.size, 101000);
	ck_assert_int_eq(wire_fallocate(&wire, ino, FALLOC_FL_KEEP_SIZE, 0, MIB), 0);
	ck_assert_int_eq(wire_getattr(&wire, ino, &attr), 0);
	ck_assert_uint_eq(attr.size, 101000);
}
END_TEST

START_TEST(test_wrong_fallocate_and_seek_are_refused)
{
	const uint64_t ino = make_file(ROOT, "f");
	uint64_t off;

	ck_assert_int_eq(wire_fallocate(&wire, ino, 0, 0, 0), -EINVAL);
	ck_assert_int_eq(wire_fallocate(&wire, ino, 0, UINT64_MAX, 1), -EINVAL);
	ck_assert_int_eq(wire_fallocate(&wire, ino, 0, 0, UINT64_MAX), -EINVAL);
	ck_assert_int_eq(wire_fallocate(&wire, ino, 0, INT64_MAX, INT64_MAX), -EFBIG);
	ck_assert_int_eq(wire_fallocate(&wire, ino, 0, 0, 2 * FIXTURE_SIZE), -ENOSPC);
	ck_assert_int_eq(wire_fallocate(&wire, ino, FALLOC_FL_COLLAPSE_RANGE, 0, 4096),
			 -EOPNOTSUPP);
	ck_assert_int_eq(wire_fallocate(&wire, ino, FALLOC_FL_INSERT_RANGE, 0, 4096), -EOPNOTSUPP);
	ck_assert_int_eq(wire_fallocate(&wire, ino, 0xffffffff, 0, 4096), -EOPNOTSUPP);
	ck_assert_int_eq(wire_lseek(&wire, ino, 0, SEEK_DATA, &off), -ENXIO);
	ck_assert_int_eq(wire_lseek(&wire, ino, UINT64_MAX, SEEK_DATA, &off), -ENXIO);
	ck_assert_int_eq(wire_lseek(&wire, ino, 0, 77, &off), -EINVAL);
}
END_TEST

START_TEST(test_without_cache_files_are_opened_for_direct_io)
{
	const struct fuse_create_in create = { .flags = O_RDWR | O_CREAT, .mode = S_IFREG | 0604 };
	const struct fuse_open_in open_in = { .flags = O_RDONLY };
	struct fuse_entry_out entry;
	struct fuse_open_out out;
	struct wire_reply reply;

	reply = wire_call(&wire, FUSE_CREATE, ROOT, &create, sizeof(create), "f", 2);
	ck_assert_int_eq(reply.error, 0);
	ck_assert_uint_eq(reply.len, sizeof(entry) + sizeof(out));
	memcpy(&entry, reply.data, sizeof(entry));
	memcpy(&out, (const char *)reply.data + sizeof(entry), sizeof(out));
	ck_assert_uint_eq(entry.attr.mode, S_IFREG | 0604);
	ck_assert(out.open_flags & FOPEN_DIRECT_IO);
	reply = wire_call(&wire, FUSE_OPEN, entry.nodeid, &open_in, sizeof(open_in), NULL, 0);
	ck_assert_int_eq(reply.error, 0);
	memcpy(&out, reply.data, sizeof(out));
	ck_assert(out.open_flags & FOPEN_DIRECT_IO);
	ck_assert_int_eq(wire_write(&wire, entry.nodeid, 0, "abc", 3, 0), 3);
	ck_assert_int_eq(wire_read(&wire, entry.nodeid, 1, back, 10), 2);
	ck_assert_mem_eq(back, "bc", 2);
}
END_TEST

START_TEST(test_lost_reply_of_create_leaves_no_reference)
{
	const struct fuse_create_in create = { .flags = O_RDWR | O_CREAT, .mode = S_IFREG | 0600 };
	const uint64_t before = inodes_used();

	wire_interrupt_next_reply();
	ck_assert_int_eq(wire_call(&wire, FUSE_CREATE, ROOT, &create, sizeof(create), "f", 2).error,
			 -EINTR);
	ck_assert_int_eq(wire_unlink(&wire, ROOT, "f"), 0);
	ck_assert_uint_eq(inodes_used(), before);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("op_file");
	TCase *tc = tcase_create("cached");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_bytes_come_back_at_every_size);
	tcase_add_test(tc, test_read_is_short_only_at_the_end);
	tcase_add_test(tc, test_impossible_sizes_and_offsets_are_refused);
	tcase_add_test(tc, test_ranges_are_copied);
	tcase_add_test(tc, test_largest_offset_can_be_written);
	tcase_add_test(tc, test_directories_have_no_content);
	tcase_add_test(tc, test_full_filesystem_is_a_short_write_but_an_error_when_delayed);
	tcase_add_test(tc, test_the_kernel_keeps_the_times_of_all_writes);
	tcase_add_test(tc, test_delayed_write_keeps_set_id_bits);
	tcase_add_test(tc, test_fallocate_punches_and_seek_finds_the_hole);
	tcase_add_test(tc, test_wrong_fallocate_and_seek_are_refused);
	suite_add_tcase(suite, tc);
	tc = tcase_create("direct");
	tcase_add_checked_fixture(tc, setup_never, teardown);
	tcase_add_test(tc, test_without_cache_files_are_opened_for_direct_io);
	tcase_add_test(tc, test_every_write_moves_times_without_the_write_back_cache);
	tcase_add_test(tc, test_lost_reply_of_create_leaves_no_reference);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
