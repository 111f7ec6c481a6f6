// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_store_range.c - after each store of an operation on a range of a file (holes, promises, shared
 * bytes) and of a file's own algorithm, each page is as before or as after, and all others as before.
 */
#include <fcntl.h>
#include <linux/falloc.h>

#include "fs/settings.h"
#include "tests/fs/step_attach.h"
#include "util/sizes.h"

#define CLUSTER	 (64 * KIB)
#define NR	 6u
#define SIZE	 (NR * CLUSTER)

static struct super *sb;
static ino_nr ino, other;
static char before[SIZE], after[SIZE], source[SIZE], found[SIZE];

struct range {
	const char *name;
	int mode; /* of fallocate(2), */
	bool copy; /* or copy_file_range(2) from another file, */
	const char *setting; /* or an algorithm, and the range is written anew */
	uint64_t off, len;
};

static void fill(char *bytes, unsigned k)
{
	for (unsigned i = 0; i < SIZE; i++)
		bytes[i] = (char)('a' + (i / 7 * (k + 3) + i / 4096 + k) % 23);
}

/* Clusters of each kind: whole, with pages over it, of one value, shared, short ones behind a hole. */
static void start(void *arg)
{
	uint64_t copied = 0;

	(void)arg;
	fill(before, 1);
	fill(source, 2);
	memset(before + 2 * CLUSTER, 'x', CLUSTER);
	memcpy(before + 3 * CLUSTER, source + 3 * CLUSTER, CLUSTER);
	memset(before + 4 * CLUSTER, 0, CLUSTER);
	sb = fixture_init();
	ino = make_file(sb, FS_ROOT_INO, "file");
	other = make_file(sb, FS_ROOT_INO, "other");
	write_all(sb, other, 0, source, SIZE);
	for (unsigned c = 0; c < NR; c++)
		if (c != 4)
			write_all(sb, ino, c * CLUSTER, before + c * CLUSTER, CLUSTER);
	memcpy(before + CLUSTER + 8192, source, ZT_PAGE_SIZE);
	write_all(sb, ino, CLUSTER + 8192, source, ZT_PAGE_SIZE);
	step_expect(fs_copy_range(sb, &user_cred, other, 3 * CLUSTER, ino, 3 * CLUSTER, CLUSTER,
				  &copied) == 0 &&
			    copied == CLUSTER,
		    "not shared");
}

static void run(void *arg)
{
	const struct range *range = arg;
	uint64_t copied = 0;

	if (range->copy) {
		step_expect(fs_copy_range(sb, &user_cred, other, range->off, ino, range->off,
					  range->len, &copied) == 0 &&
				    copied == range->len,
			    "not copied");
	} else if (range->setting) {
		step_expect(fs_set_setting_text(sb, &user_cred, ino, range->setting,
						strlen(range->setting)) == 0,
			    "no setting");
		write_all(sb, ino, range->off, source + range->off, range->len);
	} else {
		step_expect(fs_fallocate(sb, &user_cred, ino, range->mode, range->off,
					 range->len) == 0,
			    "fallocate() fails");
	}
}

/* What the range is to be. */
static void expect_after(const struct range *range)
{
	memcpy(after, before, SIZE);
	if (range->copy || range->setting)
		memcpy(after + range->off, source + range->off, range->len);
	else if (range->mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE))
		memset(after + range->off, 0, range->len);
}

static void judge(void *arg, bool done)
{
	size_t got = 0;

	expect_after(arg);
	sb = step_attach(sb);
	step_expect(fs_read(sb, ino, 0, found, SIZE, &got) == 0 && got == SIZE, "reading fails");
	for (unsigned at = 0; at < SIZE; at += ZT_PAGE_SIZE) {
		const bool new = memcmp(found + at, after + at, ZT_PAGE_SIZE) == 0;

		step_expect(new || (!done && memcmp(found + at, before + at, ZT_PAGE_SIZE) == 0),
			    "page %u is neither", at / ZT_PAGE_SIZE);
	}
	step_expect(fs_read(sb, other, 0, found, SIZE, &got) == 0 && got == SIZE &&
			    memcmp(found, source, SIZE) == 0,
		    "the other file differs");
}

START_TEST(test_each_page_of_a_range_is_old_or_new)
{
	static const struct range plans[] = {
		{ .name = "a hole over all kinds",
		  .mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		  .off = 0,
		  .len = SIZE - CLUSTER },
		{ .name = "a hole of pages",
		  .mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		  .off = 8192,
		  .len = 2 * CLUSTER },
		{ .name = "zeroes",
		  .mode = FALLOC_FL_ZERO_RANGE,
		  .off = CLUSTER / 2,
		  .len = 3 * CLUSTER },
		{ .name = "a promise for a hole", .off = 4 * CLUSTER, .len = CLUSTER },
		{ .name = "shared over all kinds", .copy = true, .off = 0, .len = SIZE },
		{ .name = "zstd, and written", .setting = "zstd:3", .off = CLUSTER, .len = 2 * CLUSTER },
		{ .name = "none, and written", .setting = "none", .off = 3 * CLUSTER, .len = CLUSTER },
	};

	for (size_t i = 0; i < ARRAY_SIZE(plans); i++) {
		struct step_ops ops = { start, run, judge, (void *)&plans[i] };

		(void)step_all(plans[i].name, &ops);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("store_range");
	TCase *tc = tcase_create("range");

#ifndef ZT_DEBUG
	return STEP_MISSING;
#endif
	tcase_set_timeout(tc, 400);
	tcase_add_test(tc, test_each_page_of_a_range_is_old_or_new);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
