// SPDX-License-Identifier: GPL-2.0-or-later
/* test_time.c - time stamps of 8 bytes, and when a read sets one. */
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs/inode_i.h"
#include "tests/lib/zt_check.h"

#define YEAR_1901 (-2147483648LL)
#define YEAR_2446 (YEAR_1901 + 17179869183LL)

START_TEST(test_time_is_kept_to_the_nanosecond)
{
	static const struct timespec times[] = {
		{ 0, 0 },          { 0, 999999999 },     { 1, 1 },
		{ -1, 500000000 }, { YEAR_1901, 0 },     { YEAR_1901, 1 },
		{ INT32_MAX, 5 },  { 0x100000000LL, 7 }, { YEAR_2446, 999999999 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(times); i++) {
		struct timespec ts = fs_time_decode(fs_time_encode(times[i]));

		ck_assert_int_eq(ts.tv_sec, times[i].tv_sec);
		ck_assert_int_eq(ts.tv_nsec, times[i].tv_nsec);
	}
}
END_TEST

START_TEST(test_time_out_of_range_is_clamped)
{
	struct timespec ts;

	ts = fs_time_decode(fs_time_encode((struct timespec){ YEAR_1901 - 1, 5 }));
	ck_assert_int_eq(ts.tv_sec, YEAR_1901);
	ck_assert_int_eq(ts.tv_nsec, 0);
	ts = fs_time_decode(fs_time_encode((struct timespec){ YEAR_2446 + 1, 5 }));
	ck_assert_int_eq(ts.tv_sec, YEAR_2446);
	ck_assert_int_eq(ts.tv_nsec, 999999999);
	ts = fs_time_decode(fs_time_encode((struct timespec){ INT64_MIN, 0 }));
	ck_assert_int_eq(ts.tv_sec, YEAR_1901);
	ts = fs_time_decode(fs_time_encode((struct timespec){ INT64_MAX, 0 }));
	ck_assert_int_eq(ts.tv_sec, YEAR_2446);
}
END_TEST

START_TEST(test_times_compare_as_numbers)
{
	ck_assert(fs_time_encode((struct timespec){ -5, 0 }) <
		  fs_time_encode((struct timespec){ -5, 1 }));
	ck_assert(fs_time_encode((struct timespec){ -5, 999999999 }) <
		  fs_time_encode((struct timespec){ -4, 0 }));
	ck_assert(fs_time_encode((struct timespec){ -1, 0 }) <
		  fs_time_encode((struct timespec){ 0, 0 }));
}
END_TEST

START_TEST(test_now_is_the_clock_of_the_kernel)
{
	struct timespec before, after, now;

	clock_gettime(CLOCK_REALTIME_COARSE, &before);
	now = fs_time_decode(fs_time_now());
	clock_gettime(CLOCK_REALTIME_COARSE, &after);
	ck_assert(now.tv_sec >= before.tv_sec && now.tv_sec <= after.tv_sec);
}
END_TEST

START_TEST(test_stamps_lie_between_those_of_the_kernel)
{
	int fd = memfd_create("other", MFD_CLOEXEC), follows = fs_time_follow_kernel();
	struct stat before, after;

	ck_assert_int_ge(fd, 0);
	ck_assert_int_ge(follows, 0);
	/* Looking at another inode's times each time, so that all stamps of it are fine ones. */
	for (int i = 0; i < 1000; i++) {
		fs_time now;

		ck_assert_int_eq(futimens(fd, NULL), 0);
		ck_assert_int_eq(fstat(fd, &before), 0);
		now = fs_time_now();
		ck_assert_int_eq(futimens(fd, NULL), 0);
		ck_assert_int_eq(fstat(fd, &after), 0);
		ck_assert_uint_ge(now, fs_time_encode(before.st_mtim));
		ck_assert_uint_le(now, fs_time_encode(after.st_mtim));
	}
	fs_time_unfollow();
	ck_assert_int_eq(close(fd), 0);
}
END_TEST

START_TEST(test_the_clock_is_given_back)
{
	int first = dup(0), again;

	ck_assert_int_eq(close(first), 0);
	ck_assert_int_ge(fs_time_follow_kernel(), 0);
	ck_assert_int_ge(fs_time_follow_kernel(), 0); /* twice: one descriptor */
	fs_time_unfollow();
	fs_time_unfollow();
	again = dup(0);
	ck_assert_int_eq(again, first);
	ck_assert_int_eq(close(again), 0);
}
END_TEST

static void set_times(struct inode_rec *rec, fs_time atime, fs_time mtime, fs_time ctime)
{
	rec->times[FS_ATIME] = atime;
	rec->times[FS_MTIME] = mtime;
	rec->times[FS_CTIME] = ctime;
}

START_TEST(test_read_sets_atime_when_relatime_says_so)
{
	fs_time now = fs_time_now(), second = UINT64_C(1) << 30;
	static struct super sb; /* nothing of it but what the mount says of atime */
	struct inode_rec rec = { 0 };

	/* newer than the last change, and not old: stays */
	set_times(&rec, now - 10 * second, now - 20 * second, now - 20 * second);
	inode_touch_read(&sb, &rec);
	ck_assert_uint_eq(rec.times[FS_ATIME], now - 10 * second);
	/* changed since, or at the same time */
	set_times(&rec, now - 10 * second, now - 5 * second, now - 20 * second);
	inode_touch_read(&sb, &rec);
	ck_assert_uint_ge(rec.times[FS_ATIME], now);
	set_times(&rec, now - 10 * second, now - 20 * second, now - 10 * second);
	inode_touch_read(&sb, &rec);
	ck_assert_uint_ge(rec.times[FS_ATIME], now);
	/* a day old */
	set_times(&rec, now - 86401 * second, now - 90000 * second, now - 90000 * second);
	inode_touch_read(&sb, &rec);
	ck_assert_uint_ge(rec.times[FS_ATIME], now);
}
END_TEST

START_TEST(test_frozen_atimes_stay)
{
	static const mode_t modes[] = { S_IFREG | 0644, S_IFLNK | 0777, S_IFDIR | 0755 };
	static struct super sb;
	const fs_time now = fs_time_now();

	for (unsigned frozen = 0; frozen <= (SUPER_ATIME_ALL | SUPER_ATIME_DIR); frozen++) {
		super_set_frozen_atimes(&sb, frozen);
		for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
			const bool stays = frozen & SUPER_ATIME_ALL ||
					   (frozen & SUPER_ATIME_DIR && S_ISDIR(modes[i]));
			struct inode_rec rec = { .mode = modes[i] };

			set_times(&rec, 1, 2, 2);
			inode_touch_read(&sb, &rec);
			if (stays)
				ck_assert_uint_eq(rec.times[FS_ATIME], 1);
			else
				ck_assert_uint_ge(rec.times[FS_ATIME], now);
		}
	}
}
END_TEST

START_TEST(test_touch_sets_what_is_asked_for)
{
	struct inode_rec rec = { 0 };

	inode_touch(&rec, INODE_MTIME | INODE_CTIME);
	ck_assert_uint_eq(rec.times[FS_ATIME], 0);
	ck_assert_uint_eq(rec.times[FS_BTIME], 0);
	ck_assert_uint_ne(rec.times[FS_MTIME], 0);
	ck_assert_uint_eq(rec.times[FS_MTIME], rec.times[FS_CTIME]);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("time");
	TCase *tc = tcase_create("time");

	tcase_add_test(tc, test_time_is_kept_to_the_nanosecond);
	tcase_add_test(tc, test_time_out_of_range_is_clamped);
	tcase_add_test(tc, test_times_compare_as_numbers);
	tcase_add_test(tc, test_now_is_the_clock_of_the_kernel);
	tcase_add_test(tc, test_stamps_lie_between_those_of_the_kernel);
	tcase_add_test(tc, test_the_clock_is_given_back);
	tcase_add_test(tc, test_read_sets_atime_when_relatime_says_so);
	tcase_add_test(tc, test_frozen_atimes_stay);
	tcase_add_test(tc, test_touch_sets_what_is_asked_for);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
