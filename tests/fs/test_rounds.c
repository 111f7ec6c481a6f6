// SPDX-License-Identifier: GPL-2.0-or-later
/* test_rounds.c - long requests: others are let in, and whoever has given up is not worked for. */
#include <linux/falloc.h>
#include <unistd.h>

#include "fs/work.h"
#include "tests/fs/fixture.h"
#include "util/sizes.h"

#define LONG (UINT64_C(1) << 30)

static struct super *sb;
static ino_nr ino;

/* What happens between two rounds. */
static struct {
	unsigned nr; /* how often */
	unsigned stop_at; /* then the caller has given up; 0: never */
	uint64_t size; /* of the file, as others see it */
} pauses;

/* Takes the locks that the work must have let go: else it waits for itself, for ever. */
static bool pause_and_look(void *arg)
{
	struct stat attr;
	char byte;
	size_t len;

	(void)arg;
	pauses.nr++;
	if (fs_getattr(sb, ino, &attr) == 0) {
		pauses.size = (uint64_t)attr.st_size;
		ck_assert_int_eq(fs_read(sb, ino, 0, &byte, 1, &len), 0);
		inode_lock(sb, ino);
		inode_unlock(sb, ino);
	}
	return pauses.nr == pauses.stop_at;
}

static void setup(void)
{
	sb = fixture_init();
	ino = make_file(sb, FS_ROOT_INO, "file");
	super_set_pause(sb, pause_and_look, NULL);
	super_set_round(sb, 0);
	pauses.nr = pauses.stop_at = 0;
}

static void teardown(void)
{
	super_set_pause(sb, NULL, NULL);
	fixture_exit(sb);
}

static int allocate(int mode, uint64_t off, uint64_t len)
{
	return fs_fallocate(sb, &root_cred, ino, mode, off, len);
}

static uint64_t blocks(void)
{
	return (uint64_t)attr_of(sb, ino).st_blocks * 512;
}

static int cut(uint64_t size, struct stat *out_attr)
{
	const struct stat attr = { .st_size = (off_t)size };

	return fs_setattr(sb, &root_cred, ino, &attr, FS_SET_SIZE, out_attr);
}

static uint64_t charged(void)
{
	struct ztmpfs_stat stat;

	super_get_stat(sb, &stat);
	return stat.orig_data_size;
}

START_TEST(test_allocating_goes_in_rounds_and_comes_to_the_same)
{
	ck_assert_int_eq(allocate(0, 5000, LONG), 0);
	ck_assert_uint_gt(pauses.nr, 100);
	ck_assert_uint_eq(pauses.size, 0);
	ck_assert_int_eq(attr_of(sb, ino).st_size, 5000 + LONG);
	ck_assert_uint_eq(blocks(), LONG + ZT_PAGE_SIZE);
}
END_TEST

/* Each round promises what it has allocated itself. */
START_TEST(test_allocating_in_rounds_promises_each_page_once)
{
	struct arena_stat stat;

	arena_set_limit(sb->arena, 8 * GIB);
	ck_assert_int_eq(allocate(0, 0, LONG), 0);
	ck_assert_uint_gt(pauses.nr, 100);
	arena_get_stat(sb->arena, &stat);
	ck_assert_uint_ge(stat.aside, LONG);
	ck_assert_uint_le(stat.aside, LONG / 10 * 11);
}
END_TEST

START_TEST(test_interrupted_allocation_ends_with_the_round)
{
	pauses.stop_at = 3;
	ck_assert_int_eq(allocate(0, 0, LONG), -EINTR);
	ck_assert_uint_eq(pauses.nr, 3);
	ck_assert_int_eq(attr_of(sb, ino).st_size, 0);
	ck_assert_uint_lt(blocks(), LONG / 100);
	/* And the next one does the rest. */
	ck_assert_int_eq(allocate(0, 0, LONG), 0);
	ck_assert_uint_eq(blocks(), LONG);
}
END_TEST

/* A failed write cuts what stands behind the end, and so what the allocation had got there. */
static bool cut_once(void *arg)
{
	struct inode_rec *rec = inode_get(sb, ino);
	struct work work = work_begin(sb);

	(void)arg;
	if (++pauses.nr != 7)
		return false;
	inode_lock(sb, ino);
	inode_set_flag(rec, INODE_TAIL_DIRTY);
	inode_unlock(sb, ino);
	ck_assert_int_eq(work_finish_cut(&work, ino), 0);
	return false;
}

START_TEST(test_allocation_begins_again_when_something_cuts_the_file_meanwhile)
{
	super_set_pause(sb, cut_once, NULL);
	ck_assert_int_eq(allocate(0, 0, LONG), 0);
	ck_assert_uint_eq(blocks(), LONG);
}
END_TEST

START_TEST(test_punching_goes_in_rounds_and_comes_to_the_same)
{
	ck_assert_int_eq(allocate(0, 0, LONG), 0);
	pauses.nr = 0;
	ck_assert_int_eq(allocate(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 1, LONG - 2), 0);
	ck_assert_uint_gt(pauses.nr, 100);
	ck_assert_uint_eq(blocks(), 2 * ZT_PAGE_SIZE);

	ck_assert_int_eq(allocate(FALLOC_FL_ZERO_RANGE, 0, LONG), 0);
	ck_assert_uint_eq(blocks(), LONG);
	pauses.stop_at = pauses.nr + 3;
	ck_assert_int_eq(allocate(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, LONG), -EINTR);
	ck_assert_uint_lt(blocks(), LONG);
	ck_assert_uint_gt(blocks(), LONG / 2);
}
END_TEST

START_TEST(test_cut_file_has_its_new_size_before_others_see_it)
{
	struct stat attr;

	ck_assert_int_eq(allocate(0, 0, LONG), 0);
	pauses.nr = 0;
	ck_assert_int_eq(cut(4096, &attr), 0);
	ck_assert_uint_gt(pauses.nr, 100);
	ck_assert_uint_eq(pauses.size, 4096);
	ck_assert_int_eq(attr.st_size, 4096);
	ck_assert_uint_eq((uint64_t)attr.st_blocks * 512, 4096);
}
END_TEST

START_TEST(test_interrupted_cut_is_finished_by_others)
{
	struct stat attr;

	ck_assert_int_eq(allocate(0, 0, LONG), 0);
	pauses.nr = 0;
	pauses.stop_at = 3;
	ck_assert_int_eq(cut(4096, &attr), 0);
	ck_assert_uint_eq(pauses.nr, 3);
	ck_assert_int_eq(attr_of(sb, ino).st_size, 4096);
	ck_assert_uint_gt(blocks(), LONG / 2);
	super_reap(sb);
	ck_assert_uint_eq(blocks(), 4096);
}
END_TEST

/* 64 MiB are to be cut off, and the caller gives up. */
static void cut_by_half(void)
{
	static char data[1 << 20];
	struct stat attr;
	size_t len;

	memset(data, 'x', sizeof(data));
	for (uint64_t off = 0; off < 64 * MIB; off += sizeof(data))
		ck_assert_int_eq(fs_write(sb, &root_cred, ino, off, data, sizeof(data), 0, &len), 0);
	pauses.stop_at = pauses.nr + 1;
	ck_assert_int_eq(cut(4096, &attr), 0);
	ck_assert_uint_gt(blocks(), 32 * MIB);
}

/* Whoever copies to a place behind the end lengthens the file, too. */
START_TEST(test_file_that_wants_cutting_is_cut_before_it_is_copied_to)
{
	static const char zeros[4096];
	ino_nr from = make_file(sb, FS_ROOT_INO, "from");
	char page[4096];
	uint64_t done;
	size_t len;

	ck_assert_int_eq(fs_write(sb, &root_cred, from, 0, "copied", 6, 0, &len), 0);
	cut_by_half();
	ck_assert_int_eq(fs_copy_range(sb, &root_cred, from, 0, ino, 64 * MIB, 6, &done), 0);
	ck_assert_uint_eq(done, 6);
	ck_assert_int_eq(fs_read(sb, ino, 63 * MIB, page, sizeof(page), &len), 0);
	ck_assert_mem_eq(page, zeros, sizeof(page));
}
END_TEST

/* Whoever lengthens the file first cuts: what was there before is not to be seen. */
START_TEST(test_file_that_wants_cutting_grows_with_zeros)
{
	char page[4096];
	struct stat attr;
	size_t len;

	cut_by_half();
	ck_assert_int_eq(cut(64 * MIB, &attr), 0);
	ck_assert_int_eq(fs_read(sb, ino, 63 * MIB, page, sizeof(page), &len), 0);
	for (size_t i = 0; i < sizeof(page); i++)
		ck_assert_int_eq(page[i], 0);
	ck_assert_uint_eq(blocks(), 4096);
}
END_TEST

START_TEST(test_what_a_deleted_file_took_is_back_before_it_is_freed)
{
	ck_assert_int_eq(allocate(0, 0, LONG), 0);
	ck_assert_uint_eq(charged(), LONG);
	ck_assert_int_eq(fs_unlink(sb, FS_ROOT_INO, "file"), 0);
	pauses.nr = 0;
	pauses.stop_at = 1; /* the mount ends, as far as reaping is concerned */
	fs_forget(sb, ino, 1);
	ck_assert_uint_eq(pauses.nr, 1);
	ck_assert_int_eq(fs_getattr(sb, ino, &(struct stat){ 0 }), -ESTALE);
	ck_assert_uint_eq(charged(), 0);
	ck_assert_uint_gt(fixture_meta_objects(sb), 100);
	super_reap(sb);
	ck_assert_uint_gt(pauses.nr, 100);
	ck_assert_uint_eq(fixture_meta_objects(sb), 0);
}
END_TEST

START_TEST(test_what_cannot_fit_is_refused_before_anything_is_done)
{
	struct super_params params = fixture_params();

	teardown();
	params.size = 64 * MIB;
	sb = fixture_init_params(&params);
	ino = make_file(sb, FS_ROOT_INO, "file");
	super_set_pause(sb, pause_and_look, NULL);
	super_set_round(sb, 0);
	pauses.nr = 0;
	ck_assert_int_eq(allocate(0, 0, UINT64_C(1) << 60), -ENOSPC);
	ck_assert_int_eq(allocate(0, 0, 65 * MIB), -ENOSPC);
	ck_assert_uint_eq(pauses.nr, 0);
	ck_assert_uint_eq(blocks(), 0);
	ck_assert_int_eq(allocate(0, 0, 64 * MIB), 0);
	ck_assert_int_eq(allocate(0, 0, 64 * MIB), 0);
	ck_assert_int_eq(allocate(FALLOC_FL_ZERO_RANGE, 0, 64 * MIB), 0);
}
END_TEST

START_TEST(test_seeking_and_adding_up_go_in_rounds_and_come_to_the_same)
{
	struct ztmpfs_file_stat stat;
	uint64_t off;

	ck_assert_int_eq(allocate(0, 0, LONG), 0);
	ck_assert_int_eq(cut(2 * LONG, &(struct stat){ 0 }), 0);
	pauses.nr = 0;
	ck_assert_int_eq(fs_lseek(sb, ino, 1, SEEK_HOLE, &off), 0);
	ck_assert_uint_eq(off, LONG);
	ck_assert_uint_gt(pauses.nr, 100);
	pauses.nr = 0;
	ck_assert_int_eq(fs_file_stat(sb, ino, &stat), 0);
	ck_assert_uint_eq(stat.codecs[0].pages, LONG / ZT_PAGE_SIZE);
	ck_assert_uint_gt(pauses.nr, 100);

	/* Who has given up hears that there are no holes. */
	pauses.stop_at = pauses.nr + 1;
	ck_assert_int_eq(fs_lseek(sb, ino, 1, SEEK_HOLE, &off), 0);
	ck_assert_uint_eq(off, 2 * LONG);
	pauses.stop_at = pauses.nr + 1;
	ck_assert_int_eq(fs_file_stat(sb, ino, &stat), -EINTR);
}
END_TEST

START_TEST(test_copying_pauses_and_says_how_far_it_came)
{
	ino_nr to = make_file(sb, FS_ROOT_INO, "to");
	uint64_t done = 0;

	ck_assert_int_eq(allocate(0, 0, LONG), 0);
	pauses.nr = 0;
	pauses.stop_at = 1;
	ck_assert_int_eq(fs_copy_range(sb, &root_cred, ino, 0, to, 0, LONG, &done), 0);
	ck_assert_uint_gt(done, 0);
	ck_assert_uint_lt(done, LONG);
	ck_assert_uint_eq(attr_of(sb, to).st_size, done);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("rounds");
	TCase *tc = tcase_create("rounds");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_allocating_goes_in_rounds_and_comes_to_the_same);
	tcase_add_test(tc, test_allocating_in_rounds_promises_each_page_once);
	tcase_add_test(tc, test_interrupted_allocation_ends_with_the_round);
	tcase_add_test(tc, test_allocation_begins_again_when_something_cuts_the_file_meanwhile);
	tcase_add_test(tc, test_punching_goes_in_rounds_and_comes_to_the_same);
	tcase_add_test(tc, test_cut_file_has_its_new_size_before_others_see_it);
	tcase_add_test(tc, test_interrupted_cut_is_finished_by_others);
	tcase_add_test(tc, test_file_that_wants_cutting_is_cut_before_it_is_copied_to);
	tcase_add_test(tc, test_file_that_wants_cutting_grows_with_zeros);
	tcase_add_test(tc, test_what_a_deleted_file_took_is_back_before_it_is_freed);
	tcase_add_test(tc, test_what_cannot_fit_is_refused_before_anything_is_done);
	tcase_add_test(tc, test_seeking_and_adding_up_go_in_rounds_and_come_to_the_same);
	tcase_add_test(tc, test_copying_pauses_and_says_how_far_it_came);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
