// SPDX-License-Identifier: GPL-2.0-or-later
/* test_promise.c - what fallocate(2) has promised is there, whatever others write meanwhile. */
#include <linux/falloc.h>

#include "fs/promise.h"
#include "fs/super_i.h"
#include "tests/fs/fixture.h"

#define LIMIT (UINT64_C(24) << 20)
#define PIECE UINT64_C(65536)

static struct super *sb;
static ino_nr file, other;
static char piece[PIECE];
static uint64_t seed;

static void setup(void)
{
	struct super_params params = fixture_params();

	params.mem_limit = LIMIT;
	sb = fixture_init_params(&params);
	file = make_file(sb, FS_ROOT_INO, "file");
	other = make_file(sb, FS_ROOT_INO, "other");
	seed = 7;
	super_wait_never();
}

static void teardown(void)
{
	fixture_exit(sb);
}

static int put(ino_nr ino, uint64_t off, size_t len)
{
	size_t done = 0;
	int err;

	for (size_t i = 0; i < len; i++)
		piece[i] = (char)zt_random(&seed);
	err = fs_write(sb, &user_cred, ino, off, piece, len, 0, &done);
	return err ? err : done == len ? 0 : -ENOSPC;
}

static void fill_other(void)
{
	int err = 0;

	for (uint64_t off = 0; !err; off += PIECE)
		err = put(other, off, PIECE);
	ck_assert_int_eq(err, -ENOSPC);
}

static uint64_t free_pages(void)
{
	struct statvfs vfs;

	super_statfs(sb, &vfs);
	return vfs.f_bavail;
}

static int allocate(int mode, uint64_t off, uint64_t len)
{
	return fs_fallocate(sb, &user_cred, file, mode, off, len);
}

START_TEST(test_promised_pages_can_be_written_on_a_full_mount)
{
	const uint64_t len = free_pages() / 2 * 4096 / PIECE * PIECE, before = free_pages();

	ck_assert_int_eq(allocate(0, 0, len), 0);
	ck_assert_uint_le(free_pages(), before - len / 4096);
	fill_other();
	for (uint64_t off = 0; off < len; off += PIECE)
		ck_assert_int_eq(put(file, off, PIECE), 0);
}
END_TEST

START_TEST(test_small_pieces_take_each_page_once)
{
	ck_assert_int_eq(allocate(0, 0, PIECE * 16), 0);
	fill_other();
	for (uint64_t off = 0; off < PIECE * 16; off += 512)
		ck_assert_int_eq(put(file, off, 512), 0);
}
END_TEST

START_TEST(test_piece_in_the_middle_of_a_promised_page_is_not_refused)
{
	ck_assert_int_eq(allocate(0, 0, PIECE), 0);
	fill_other();
	for (uint64_t off = 0; off < PIECE; off += 4096)
		ck_assert_int_eq(put(file, off + 100, 3000), 0);
}
END_TEST

START_TEST(test_what_does_not_fit_is_refused_at_once_and_leaves_nothing)
{
	const uint64_t before = free_pages();

	ck_assert_int_eq(allocate(FALLOC_FL_KEEP_SIZE, 0, before * 4096 * 2), -ENOSPC);
	ck_assert_uint_ge(free_pages() + 64, before);
	ck_assert_int_eq(put(other, 0, PIECE), 0);
}
END_TEST

START_TEST(test_promises_end_with_what_they_are_for)
{
	const uint64_t before = free_pages(), pages = before / 2;
	struct stat attr = { .st_size = 4096 };

	ck_assert_int_eq(allocate(0, 0, pages * 4096), 0);
	/* The same again is promised already. */
	ck_assert_int_eq(allocate(0, 0, pages * 4096), 0);
	ck_assert_uint_ge(free_pages(), before - pages - pages / 32 - 64);
	ck_assert_int_eq(fs_setattr(sb, &user_cred, file, &attr, FS_SET_SIZE, &attr), 0);
	ck_assert_uint_ge(free_pages() + 64, before);

	ck_assert_int_eq(allocate(FALLOC_FL_KEEP_SIZE, 0, pages * 4096), 0);
	ck_assert_int_eq(allocate(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, pages * 4096), 0);
	ck_assert_uint_ge(free_pages() + 64, before);

	ck_assert_int_eq(allocate(0, 0, pages * 4096), 0);
	ck_assert_int_eq(fs_unlink(sb, FS_ROOT_INO, "file"), 0);
	fs_forget(sb, file, 1);
	super_reap(sb);
	ck_assert_uint_ge(free_pages() + 64, before);
}
END_TEST

struct visit {
	unsigned nr, stop_after;
	uint64_t nr_pages;
};

static bool visit_promise(void *arg, ino_nr ino, uint64_t nr_pages)
{
	struct visit *visit = arg;

	ck_assert(ino == file || ino == other);
	visit->nr_pages += nr_pages;
	return ++visit->nr != visit->stop_after;
}

START_TEST(test_promises_are_visited_until_one_is_enough)
{
	struct visit visit = { 0 }, first = { .stop_after = 1 };

	ck_assert_int_eq(allocate(0, 0, 5 * 4096), 0);
	ck_assert_int_eq(fs_fallocate(sb, &user_cred, other, 0, 0, 7 * 4096), 0);
	promise_each(sb, visit_promise, &visit);
	ck_assert_uint_eq(visit.nr, 2);
	ck_assert_uint_eq(visit.nr_pages, 12);
	promise_each(sb, visit_promise, &first);
	ck_assert_uint_eq(first.nr, 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("promise");
	TCase *tc = tcase_create("promise");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, test_promised_pages_can_be_written_on_a_full_mount);
	tcase_add_test(tc, test_small_pieces_take_each_page_once);
	tcase_add_test(tc, test_piece_in_the_middle_of_a_promised_page_is_not_refused);
	tcase_add_test(tc, test_what_does_not_fit_is_refused_at_once_and_leaves_nothing);
	tcase_add_test(tc, test_promises_end_with_what_they_are_for);
	tcase_add_test(tc, test_promises_are_visited_until_one_is_enough);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
