// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_file.c - regular files: size, holes, limits, times; what they hold is compared with a plain
 * buffer.
 */
#include "tests/fs/fixture.h"

#include <linux/falloc.h>
#include <sys/mman.h>

#include "blkmap/spilled.h"

#define PAGE  ((uint64_t)ZT_PAGE_SIZE)
#define PUNCH (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE)

static struct super *sb;
static ino_nr ino;

static void setup(void)
{
	sb = fixture_init();
	ino = make_file(sb, FS_ROOT_INO, "file");
}

static void teardown(void)
{
	fixture_exit(sb);
}

static size_t read_at(uint64_t off, void *buf, size_t len)
{
	size_t done = SIZE_MAX;

	ck_assert_int_eq(fs_read(sb, ino, off, buf, len, &done), 0);
	return done;
}

static struct stat set_size(uint64_t size)
{
	struct stat attr = { .st_size = (off_t)size };

	ck_assert_int_eq(fs_setattr(sb, &user_cred, ino, &attr, FS_SET_SIZE, &attr), 0);
	return attr;
}

static int alloc_err(int mode, uint64_t off, uint64_t len)
{
	return fs_fallocate(sb, &user_cred, ino, mode, off, len);
}

static off_t size_now(void)
{
	return attr_of(sb, ino).st_size;
}

static off_t pages_now(void)
{
	return attr_of(sb, ino).st_blocks / 8;
}

START_TEST(test_written_bytes_are_read_and_the_end_is_the_end)
{
	char buf[32];

	ck_assert_uint_eq(read_at(0, buf, sizeof(buf)), 0);
	write_all(sb, ino, 0, "hello", 5);
	ck_assert_int_eq(size_now(), 5);
	ck_assert_int_eq(pages_now(), 1);
	ck_assert_uint_eq(read_at(0, buf, sizeof(buf)), 5);
	ck_assert_int_eq(memcmp(buf, "hello", 5), 0);
	ck_assert_uint_eq(read_at(3, buf, sizeof(buf)), 2);
	ck_assert_int_eq(memcmp(buf, "lo", 2), 0);
	ck_assert_uint_eq(read_at(5, buf, sizeof(buf)), 0);
	ck_assert_uint_eq(read_at(UINT64_MAX, buf, sizeof(buf)), 0);
	write_all(sb, ino, 1, "u", 1);
	ck_assert_int_eq(size_now(), 5);
	ck_assert_uint_eq(read_at(0, buf, sizeof(buf)), 5);
	ck_assert_int_eq(memcmp(buf, "hullo", 5), 0);
}
END_TEST

START_TEST(test_far_write_leaves_a_hole)
{
	static const uint64_t offs[] = { 100000, 64 * MIB + 7, 5 * GIB, INT64_MAX - 1 };
	char buf[64];

	for (size_t i = 0; i < ARRAY_SIZE(offs); i++) {
		write_all(sb, ino, offs[i], "x", 1);
		ck_assert_int_eq(size_now(), (off_t)offs[i] + 1);
		ck_assert_int_eq(pages_now(), (off_t)i + 1);
		ck_assert_uint_eq(read_at(offs[i] - 10, buf, sizeof(buf)), 11);
		ck_assert(is_zero(buf, 10));
		ck_assert_int_eq(buf[10], 'x');
	}
	ck_assert_int_eq(super_check(sb), 0);
	set_size(0);
	ck_assert_int_eq(pages_now(), 0);
	ck_assert_uint_eq(fixture_meta_objects(sb), 1); /* the directory's block */
}
END_TEST

START_TEST(test_offsets_beyond_the_largest_are_refused)
{
	size_t done;

	ck_assert_int_eq(fs_write(sb, &user_cred, ino, INT64_MAX, "xy", 2, 0, &done), -EFBIG);
	ck_assert_int_eq(fs_write(sb, &user_cred, ino, UINT64_MAX, "xy", 2, 0, &done), -EFBIG);
	ck_assert_int_eq(fs_write(sb, &user_cred, ino, INT64_MAX - 1, "xy", 2, 0, &done), 0);
	ck_assert_uint_eq(done, 1);
	ck_assert_int_eq(size_now(), INT64_MAX);
	ck_assert_int_eq(alloc_err(0, INT64_MAX, 1), -EFBIG);
	ck_assert_int_eq(alloc_err(0, 1, INT64_MAX), -EFBIG);
	ck_assert_int_eq(alloc_err(0, UINT64_MAX, UINT64_MAX), -EFBIG);
	set_size(0);
}
END_TEST

START_TEST(test_other_types_have_no_content)
{
	ino_nr file = ino;
	struct fs_entry fifo;
	uint64_t off;
	size_t done;
	char c;

	ck_assert_int_eq(fs_mknod(sb, &user_cred, FS_ROOT_INO, "fifo", S_IFIFO, 0, &fifo), 0);
	for (unsigned i = 0; i < 2; i++) {
		int want = i ? -EINVAL : -EISDIR;

		ino = i ? fifo.ino : FS_ROOT_INO;
		ck_assert_int_eq(fs_read(sb, ino, 0, &c, 1, &done), want);
		ck_assert_int_eq(fs_write(sb, &user_cred, ino, 0, "c", 1, 0, &done), want);
		ck_assert_int_eq(alloc_err(0, 0, 1), want);
		ck_assert_int_eq(fs_lseek(sb, ino, 0, SEEK_HOLE, &off), want);
	}
	ino = file;
}
END_TEST

START_TEST(test_empty_write_changes_nothing)
{
	size_t done = 7;

	inode_get(sb, ino)->times[FS_MTIME] = 1;
	ck_assert_int_eq(fs_write(sb, &user_cred, ino, 1000, "", 0, 0, &done), 0);
	ck_assert_uint_eq(done, 0);
	ck_assert_int_eq(size_now(), 0);
	ck_assert_uint_eq(inode_get(sb, ino)->times[FS_MTIME], 1);
}
END_TEST

START_TEST(test_write_sets_times_and_takes_setid_bits)
{
	struct inode_rec *rec = inode_get(sb, ino);
	size_t done;

	rec->times[FS_MTIME] = rec->times[FS_CTIME] = 1;
	rec->mode = S_IFREG | 06777;
	ck_assert_int_eq(fs_write(sb, &user_cred, ino, 0, "x", 1,
				  FS_WRITE_DELAYED | FS_WRITE_TIMED, &done),
			 0);
	ck_assert_uint_eq(rec->times[FS_MTIME], 1);
	ck_assert_uint_eq(rec->times[FS_CTIME], 1);
	ck_assert_uint_eq(rec->mode & 07777, 06777);
	/* A store through a mapping, of which the kernel keeps no times. */
	ck_assert_int_eq(fs_write(sb, &user_cred, ino, 0, "x", 1, FS_WRITE_DELAYED, &done), 0);
	ck_assert_uint_gt(rec->times[FS_MTIME], 1);
	ck_assert_uint_gt(rec->times[FS_CTIME], 1);
	ck_assert_uint_eq(rec->mode & 07777, 06777);
	rec->times[FS_MTIME] = rec->times[FS_CTIME] = 1;
	ck_assert_int_eq(fs_write(sb, &root_cred, ino, 0, "x", 1, 0, &done), 0);
	ck_assert_uint_gt(rec->times[FS_MTIME], 1);
	ck_assert_uint_gt(rec->times[FS_CTIME], 1);
	ck_assert_uint_eq(rec->mode & 07777, 06777);
	ck_assert_int_eq(fs_write(sb, &user_cred, ino, 0, "x", 1, 0, &done), 0);
	ck_assert_uint_eq(rec->mode & 07777, 0777);
	rec->mode = S_IFREG | 06767;
	ck_assert_int_eq(alloc_err(0, 0, 1), 0);
	ck_assert_uint_eq(rec->mode & 07777, 02767);
}
END_TEST

START_TEST(test_truncated_bytes_do_not_come_back)
{
	static const uint64_t cuts[] = { 1, 100, 4095, 4096, 4097, 65535, 65536, 65537, 100000 };
	static char data[200000], buf[200000];

	for (size_t i = 0; i < ARRAY_SIZE(cuts); i++) {
		for (unsigned kind = 0; kind < 3; kind++) {
			for (size_t b = 0; b < sizeof(data); b++)
				data[b] = (char)(kind == 0 ? b * 31 >> 3 : kind == 1 ? 1 : b * b);
			write_all(sb, ino, 0, data, sizeof(data));
			set_size(cuts[i]);
			ck_assert_int_eq(super_check(sb), 0);
			set_size(sizeof(data));
			ck_assert_uint_eq(read_at(0, buf, sizeof(buf)), sizeof(buf));
			ck_assert_int_eq(memcmp(buf, data, cuts[i]), 0);
			ck_assert(is_zero(buf + cuts[i], sizeof(buf) - cuts[i]));
			ck_assert_int_eq(pages_now(), (off_t)((cuts[i] + 4095) / 4096));
			set_size(0);
		}
	}
}
END_TEST

START_TEST(test_allocate_reserves_and_punch_gives_back)
{
	uint64_t off;

	ck_assert_int_eq(alloc_err(FALLOC_FL_KEEP_SIZE, 0, 10 * PAGE), 0);
	ck_assert_int_eq(size_now(), 0);
	ck_assert_int_eq(pages_now(), 10);
	ck_assert_int_eq(alloc_err(0, 0, 5 * PAGE + 1), 0);
	ck_assert_int_eq(size_now(), (off_t)(5 * PAGE + 1));
	ck_assert_int_eq(pages_now(), 10);
	ck_assert_int_eq(alloc_err(PUNCH, PAGE, 2 * PAGE), 0);
	ck_assert_int_eq(pages_now(), 8);
	ck_assert_int_eq(size_now(), (off_t)(5 * PAGE + 1));
	ck_assert_int_eq(fs_lseek(sb, ino, 0, SEEK_HOLE, &off), 0);
	ck_assert_uint_eq(off, PAGE);
	ck_assert_int_eq(fs_lseek(sb, ino, off, SEEK_DATA, &off), 0);
	ck_assert_uint_eq(off, 3 * PAGE);
	ck_assert_int_eq(fs_lseek(sb, ino, off, SEEK_HOLE, &off), 0);
	ck_assert_uint_eq(off, 5 * PAGE + 1);
	ck_assert_int_eq(fs_lseek(sb, ino, 5 * PAGE + 1, SEEK_HOLE, &off), -ENXIO);
	ck_assert_int_eq(fs_lseek(sb, ino, UINT64_MAX, SEEK_DATA, &off), -ENXIO);
	ck_assert_int_eq(fs_lseek(sb, ino, 0, SEEK_SET, &off), -EINVAL);
	/* What lies behind the end goes by a truncate that leaves the size as it is. */
	set_size(5 * PAGE + 1);
	ck_assert_int_eq(pages_now(), 4);
}
END_TEST

START_TEST(test_zeroed_range_reads_zero_and_stays_allocated)
{
	static char data[10 * 4096], buf[10 * 4096];

	memset(data, 'd', sizeof(data));
	write_all(sb, ino, 0, data, sizeof(data));
	ck_assert_int_eq(alloc_err(FALLOC_FL_ZERO_RANGE, 100, 2 * PAGE), 0);
	memset(data + 100, 0, 2 * PAGE);
	ck_assert_uint_eq(read_at(0, buf, sizeof(buf)), sizeof(buf));
	ck_assert_int_eq(memcmp(buf, data, sizeof(buf)), 0);
	ck_assert_int_eq(pages_now(), 10);
	ck_assert_int_eq(alloc_err(FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, 9 * PAGE, 4 * PAGE),
			 0);
	ck_assert_int_eq(size_now(), sizeof(data));
	ck_assert_int_eq(pages_now(), 13);
	ck_assert_int_eq(alloc_err(FALLOC_FL_ZERO_RANGE, 12 * PAGE, PAGE), 0);
	ck_assert_int_eq(size_now(), (off_t)(13 * PAGE));
}
END_TEST

START_TEST(test_unknown_modes_and_empty_ranges_are_refused)
{
	ck_assert_int_eq(alloc_err(FALLOC_FL_PUNCH_HOLE, 0, 1), -EOPNOTSUPP);
	ck_assert_int_eq(alloc_err(FALLOC_FL_COLLAPSE_RANGE, 0, 4096), -EOPNOTSUPP);
	ck_assert_int_eq(alloc_err(PUNCH | FALLOC_FL_ZERO_RANGE, 0, 4096), -EOPNOTSUPP);
	ck_assert_int_eq(alloc_err(-1, 0, 4096), -EOPNOTSUPP);
	ck_assert_int_eq(alloc_err(0, 0, 0), -EINVAL);
}
END_TEST

START_TEST(test_full_filesystem_is_a_short_write_then_enospc)
{
	struct super_params params = fixture_params();
	struct super *unlimited = sb;
	static char data[64 * 4096];
	struct statvfs vfs;
	ino_nr file = ino;
	uint64_t off = 0;
	size_t done = 0;
	int err;

	params.size = 1 * MIB;
	sb = fixture_init_params(&params);
	ino = make_file(sb, FS_ROOT_INO, "file");
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (char)(i / 7);
	while (!(err = fs_write(sb, &user_cred, ino, off, data, 100000, 0, &done)))
		off += done;
	ck_assert_int_eq(err, -ENOSPC);
	ck_assert_uint_le(off, MIB);
	ck_assert_uint_gt(off, MIB - 65536);
	ck_assert_int_eq(size_now(), (off_t)off);
	ck_assert_int_eq(super_check(sb), 0);
	/* a failed allocation holds nothing afterwards */
	set_size(0);
	ck_assert_int_eq(alloc_err(0, 0, 2 * MIB), -ENOSPC);
	ck_assert_int_eq(size_now(), 0);
	ck_assert_int_eq(pages_now(), 0);
	super_statfs(sb, &vfs);
	ck_assert_uint_eq(vfs.f_bfree, 256);
	ck_assert_int_eq(alloc_err(0, 0, MIB), 0);
	super_statfs(sb, &vfs);
	ck_assert_uint_eq(vfs.f_bfree, 0);
	fixture_exit(sb);
	sb = unlimited;
	ino = file;
}
END_TEST

/* Whatever is done to it, the file reads as the buffer that the same was done to. */
START_TEST(test_random_changes_match_a_plain_buffer)
{
	enum { ROOM = 400000 };
	static unsigned char model[ROOM], data[ROOM], buf[ROOM];
	uint64_t state = zt_seed(), size = 0;

	for (unsigned round = 0; round < 600; round++) {
		uint64_t off = zt_random(&state) % ROOM, len = zt_random(&state) % (ROOM - off) + 1;
		unsigned op = (unsigned)(zt_random(&state) % 8);

		if (zt_random(&state) % 2)
			len = min_u64(len, 5000);
		for (size_t i = 0; i < len; i++)
			data[i] = (unsigned char)(round % 3 ? zt_random(&state) : round);
		switch (op) {
		case 0:
			set_size(off);
			if (off < size)
				memset(model + off, 0, size - off);
			size = off;
			break;
		case 1:
			ck_assert_int_eq(alloc_err(PUNCH, off, len), 0);
			if (off < size)
				memset(model + off, 0, min_u64(len, size - off));
			break;
		case 2:
			ck_assert_int_eq(alloc_err(FALLOC_FL_ZERO_RANGE, off, len), 0);
			memset(model + off, 0, len);
			size = max_u64(size, off + len);
			break;
		default:
			write_all(sb, ino, off, data, len);
			memcpy(model + off, data, len);
			size = max_u64(size, off + len);
			break;
		}
		ck_assert_uint_eq((uint64_t)size_now(), size);
		ck_assert_uint_eq(read_at(0, buf, ROOM), size);
		ck_assert_msg(memcmp(buf, model, size) == 0, "round %u, operation %u", round, op);
	}
}
END_TEST

/* Piece by piece, and each once: a thread that waits for the disk does not look again and again. */
START_TEST(test_what_is_out_is_read_once)
{
	enum { SIZE = 4 << 20, CLUSTERS = SIZE >> 16 };
	struct super_params params = fixture_params();
	unsigned char *data = malloc(SIZE), *back = calloc(1, SIZE);
	uint64_t seed = 5, before, nr;
	struct super *out;
	size_t len = 0;
	ino_nr big;

	ck_assert(data && back);
	for (size_t i = 0; i < SIZE; i++)
		data[i] = (unsigned char)zt_random(&seed);
	params.content.spill_size = 16 * MIB;
	params.content.spill_fd = memfd_create("spill", MFD_CLOEXEC);
	ck_assert_int_ge(params.content.spill_fd, 0);
	out = fixture_init_params(&params);
	big = make_file(out, FS_ROOT_INO, "big");
	write_all(out, big, 0, data, SIZE);
	ck_assert_uint_gt(blkmap_spill_now(out->map, 0, UINT64_MAX), SIZE - (64 << 10));
	before = blkmap_requests(out->map);
	ck_assert_int_eq(fs_read(out, big, 0, back, SIZE, &len), 0);
	ck_assert_uint_eq(len, SIZE);
	ck_assert(memcmp(back, data, SIZE) == 0);
	nr = blkmap_requests(out->map) - before;
	printf("%u requests for %d clusters\n", (unsigned)nr, CLUSTERS);
	ck_assert_uint_le(nr, CLUSTERS);
	fixture_exit(out);
	close(params.content.spill_fd);
	free(data);
	free(back);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("file");
	TCase *tc = tcase_create("file");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 30);
	tcase_add_test(tc, test_written_bytes_are_read_and_the_end_is_the_end);
	tcase_add_test(tc, test_far_write_leaves_a_hole);
	tcase_add_test(tc, test_offsets_beyond_the_largest_are_refused);
	tcase_add_test(tc, test_other_types_have_no_content);
	tcase_add_test(tc, test_empty_write_changes_nothing);
	tcase_add_test(tc, test_write_sets_times_and_takes_setid_bits);
	tcase_add_test(tc, test_truncated_bytes_do_not_come_back);
	tcase_add_test(tc, test_allocate_reserves_and_punch_gives_back);
	tcase_add_test(tc, test_zeroed_range_reads_zero_and_stays_allocated);
	tcase_add_test(tc, test_unknown_modes_and_empty_ranges_are_refused);
	tcase_add_test(tc, test_full_filesystem_is_a_short_write_then_enospc);
	tcase_add_test(tc, test_random_changes_match_a_plain_buffer);
	tcase_add_test(tc, test_what_is_out_is_read_once);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
