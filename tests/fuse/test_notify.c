// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_notify.c - WRITEs around the page cache: the kernel drops old pages before it hears that they
 * are done, and only where it may have any.
 */
#include "fs/file.h"
#include "fs/tune.h"
#include "tests/fuse/fixture.h"

static uint64_t file;

static void start(void)
{
	fixture_start_transport(40);
	file = make_file(ROOT, "f");
}

static void write_page(uint64_t page, uint32_t write_flags)
{
	static char data[ZT_PAGE_SIZE];

	memset(data, (int)('a' + page), sizeof(data));
	ck_assert_int_eq(wire_write(&wire, file, page * sizeof(data), data, sizeof(data),
				    write_flags),
			 sizeof(data));
}

/* As O_DIRECT does. */
static void write_around(uint64_t page)
{
	write_page(page, FUSE_WRITE_LOCKOWNER);
}

static void read_page(uint64_t page, uint32_t read_flags)
{
	const struct fuse_read_in in = { .offset = page * ZT_PAGE_SIZE,
					 .size = ZT_PAGE_SIZE,
					 .read_flags = read_flags };

	ck_assert_int_eq(
		wire_call(&wire, FUSE_READ, file, &in, sizeof(in), NULL, 0).error, 0);
}

static int copy_range(uint64_t from, uint64_t to, uint64_t len, uint64_t *out_done)
{
	const struct fuse_copy_file_range_in in = { .nodeid_out = to, .len = len };
	const struct wire_reply reply =
		wire_call(&wire, FUSE_COPY_FILE_RANGE, from, &in, sizeof(in), NULL, 0);

	if (reply.error == 0)
		*out_done = ((const struct fuse_write_out *)reply.data)->size;
	return reply.error;
}

START_TEST(test_nothing_is_dropped_where_the_kernel_has_no_pages)
{
	for (unsigned i = 0; i < 8; i++) {
		write_around(i);
		read_page(i, FUSE_READ_LOCKOWNER);
	}
	ck_assert_uint_eq(wire.nr_page_invals, 0);
}
END_TEST

/* By read(2), by a mapping, by readahead: the kernel asks for pages. */
START_TEST(test_pages_are_dropped_before_a_write_around_them_is_answered)
{
	write_around(0);
	read_page(0, 0);
	write_around(3);
	ck_assert_uint_eq(wire.nr_page_invals, 1);
	ck_assert_uint_eq(wire.notified_ino, file);
	ck_assert_int_eq(wire.notified_off, 3 * ZT_PAGE_SIZE);
	write_around(2);
	ck_assert_uint_eq(wire.nr_page_invals, 2);
	ck_assert_int_eq(wire.notified_off, 2 * ZT_PAGE_SIZE);
}
END_TEST

START_TEST(test_pages_that_were_written_are_dropped_likewise)
{
	write_page(1, FUSE_WRITE_CACHE);
	ck_assert_uint_eq(wire.nr_page_invals, 0);
	write_around(1);
	ck_assert_uint_eq(wire.nr_page_invals, 1);
	/* cache=through: written at once, and kept. */
	file = make_file(ROOT, "g");
	write_page(1, 0);
	ck_assert_uint_eq(wire.nr_page_invals, 1);
	write_around(1);
	ck_assert_uint_eq(wire.nr_page_invals, 2);
}
END_TEST

START_TEST(test_a_file_that_is_no_longer_read_through_the_cache_costs_nothing_any_more)
{
	read_page(0, 0);
	for (unsigned i = 0; i < FS_PAGES_TURNS; i++)
		write_around(5);
	ck_assert_uint_eq(wire.nr_page_invals, FS_PAGES_TURNS);
	/* The last one dropped all that was left. */
	ck_assert_int_eq(wire.notified_off, 0);
	write_around(5);
	ck_assert_uint_eq(wire.nr_page_invals, FS_PAGES_TURNS);
	read_page(0, 0);
	write_around(5);
	ck_assert_uint_eq(wire.nr_page_invals, FS_PAGES_TURNS + 1);
	ck_assert_int_eq(wire.notified_off, 5 * ZT_PAGE_SIZE);
}
END_TEST

START_TEST(test_a_write_that_is_refused_as_it_stands_drops_nothing)
{
	static char data[ZT_PAGE_SIZE];

	read_page(0, 0);
	ck_assert_int_eq(wire_write(&wire, file, INT64_MAX, data, sizeof(data),
				    FUSE_WRITE_LOCKOWNER),
			 -EFBIG);
	ck_assert_uint_eq(wire.nr_page_invals, 0);
}
END_TEST

/*
 * Its first page fits, which is the last one of a cluster. The kernel takes a short count of one
 * around its cache for EIO, and any other for what it is.
 */
START_TEST(test_a_write_around_the_cache_that_is_stored_in_part_is_refused)
{
	static char data[2 * ZT_PAGE_SIZE];
	struct ztmpfs_set set = { .which = ZTMPFS_SET_SIZE, .size = ZT_PAGE_SIZE };
	const uint64_t off = 31 * ZT_PAGE_SIZE;

	ck_assert_int_eq(super_set(sb, &set), 0);
	ck_assert_int_eq(wire_write(&wire, file, off, data, sizeof(data), 0), ZT_PAGE_SIZE);
	set.size *= 2;
	ck_assert_int_eq(super_set(sb, &set), 0);
	file = make_file(ROOT, "other");
	ck_assert_int_eq(wire_write(&wire, file, off, data, sizeof(data), FUSE_WRITE_LOCKOWNER),
			 -ENOSPC);
}
END_TEST

/* The kernel drops pages of what was copied; what a copy has changed behind that is not told. */
START_TEST(test_a_copy_that_is_cut_short_drops_all_of_its_range)
{
	static char data[2 * 131072];
	const uint64_t from = make_file(ROOT, "from");
	const struct ztmpfs_set set = { .which = ZTMPFS_SET_SIZE, .size = 3 * 131072 };
	uint64_t done = 0;

	memset(data, 'x', sizeof(data));
	ck_assert_int_eq(wire_write(&wire, from, 0, data, 131072, 0), 131072);
	ck_assert_int_eq(wire_write(&wire, from, 131072, data, 131072, 0), 131072);
	write_page(63, 0);
	ck_assert_int_eq(super_set(sb, &set), 0);
	ck_assert_int_eq(copy_range(from, file, sizeof(data), &done), 0);
	ck_assert_uint_lt(done, sizeof(data));
	ck_assert_uint_eq(wire.nr_page_invals, 1);
	ck_assert_uint_eq(wire.notified_ino, file);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("notify");
	TCase *tc = tcase_create("notify");

	tcase_add_checked_fixture(tc, start, teardown);
	tcase_add_test(tc, test_nothing_is_dropped_where_the_kernel_has_no_pages);
	tcase_add_test(tc, test_pages_are_dropped_before_a_write_around_them_is_answered);
	tcase_add_test(tc, test_pages_that_were_written_are_dropped_likewise);
	tcase_add_test(tc,
		       test_a_file_that_is_no_longer_read_through_the_cache_costs_nothing_any_more);
	tcase_add_test(tc, test_a_write_that_is_refused_as_it_stands_drops_nothing);
	tcase_add_test(tc, test_a_write_around_the_cache_that_is_stored_in_part_is_refused);
	tcase_add_test(tc, test_a_copy_that_is_cut_short_drops_all_of_its_range);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
