// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_clone_busy.c - a copy of a file that others change all the while is that of one moment: the last round's. Stands for
 * clone_content.c and changed.c.
 *
 * Nothing is changed after the last pause, so that the copy is what the file is in the end.
 */
#include <linux/falloc.h>
#include <sys/mman.h>

#include "blkmap/spilled.h"
#include "fs/changed.h"
#include "fs/clone.h"
#include "fs/xattr.h"
#include "tests/fs/fixture.h"
#include "util/sizes.h"

#define CLUSTER     (16 * (uint64_t)ZT_PAGE_SIZE)
#define NR_CLUSTERS 400u

static struct super *sb;
static int spill_fd = -1;
static ino_nr busy;
static uint64_t seed;
static unsigned nr_pauses;
static unsigned kinds; /* bits of what is done in a pause */

static unsigned below(unsigned max)
{
	return (unsigned)(zt_random(&seed) % max);
}

static void write_some(void)
{
	static char bytes[3 * CLUSTER];
	const size_t len = below(4) ? 1 + below(2 * ZT_PAGE_SIZE) : 1 + below(sizeof(bytes));

	for (size_t i = 0; i < len; i += 1 + below(64))
		bytes[i] = (char)zt_random(&seed);
	write_all(sb, busy, below(NR_CLUSTERS * (unsigned)CLUSTER), bytes, len);
}

static void cut_or_grow(void)
{
	const struct stat attr = { .st_size = below(NR_CLUSTERS * (unsigned)CLUSTER) };
	struct stat out;

	ck_assert_int_eq(fs_setattr(sb, &root_cred, busy, &attr, FS_SET_SIZE, &out), 0);
}

static void allocate(int mode)
{
	const uint64_t off = below(NR_CLUSTERS * (unsigned)CLUSTER);

	ck_assert_int_eq(fs_fallocate(sb, &root_cred, busy, mode, off, 1 + below(20 * CLUSTER)), 0);
}

static void share(void)
{
	const uint64_t half = NR_CLUSTERS / 2 * CLUSTER;
	uint64_t done;
	int err = fs_copy_range(sb, &root_cred, busy, below(100) * CLUSTER, busy,
				half + below(100) * CLUSTER, (1 + below(50)) * CLUSTER, &done);

	ck_assert_msg(err == 0 || err == -EOPNOTSUPP, "%d", err);
}

static void change_somehow(void)
{
	unsigned kind;

	do {
		kind = below(8);
	} while (!(kinds >> kind & 1));
	switch (kind) {
	case 1:
		cut_or_grow();
		break;
	case 2:
		allocate(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE);
		break;
	case 3:
		allocate(below(2) ? FALLOC_FL_ZERO_RANGE
				  : FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE);
		break;
	case 4:
		allocate(below(2) ? 0 : FALLOC_FL_KEEP_SIZE);
		break;
	case 5:
		share();
		break;
	case 6:
		ck_assert_int_eq(fs_setxattr(sb, busy, "user.a", &seed, sizeof(seed), 0), 0);
		break;
	default:
		write_some();
	}
}

static bool change_in_pause(void *arg)
{
	(void)arg;
	super_set_pause(sb, NULL, NULL);
	super_set_round(sb, UINT64_C(1000000));
	nr_pauses++;
	change_somehow();
	/* Where all goes out again as soon as it is written, a copy has no end. */
	if (spill_fd >= 0 && nr_pauses < 300 && below(8) == 0)
		(void)blkmap_spill_now(sb->map, 0, UINT64_MAX);
	super_set_round(sb, 0);
	super_set_pause(sb, change_in_pause, NULL);
	return false;
}

static int clone_busy(void)
{
	static const struct fs_asker root = { .uid = 0, .privileged = true };
	struct fs_clone_request request = { .from = FS_ROOT_INO,
					    .from_name = "busy",
					    .to_name = "copy" };
	struct fs_entry entry;
	uint64_t nr;
	int err;

	ck_assert_int_eq(fs_mkdir(sb, &root_cred, FS_ROOT_INO, "into", 0700, &entry), 0);
	request.into = entry.ino;
	super_set_round(sb, 0);
	super_set_pause(sb, change_in_pause, NULL);
	err = fs_clone(sb, &root, &request, &nr);
	super_set_pause(sb, NULL, NULL);
	super_set_round(sb, UINT64_C(1000000));
	return err;
}

static void expect_same(ino_nr copy)
{
	static char of_a[CLUSTER], of_b[CLUSTER];
	const struct stat a = attr_of(sb, busy), b = attr_of(sb, copy);

	ck_assert_int_eq(a.st_size, b.st_size);
	for (uint64_t off = 0; off < (uint64_t)a.st_size; off += CLUSTER) {
		uint64_t data_a = 0, data_b = 0;
		size_t len_a, len_b;
		int err = fs_lseek(sb, busy, off, SEEK_DATA, &data_a);

		ck_assert_int_eq(fs_lseek(sb, copy, off, SEEK_DATA, &data_b), err);
		ck_assert_msg(data_a == data_b, "behind %ju: data at %ju and %ju", (uintmax_t)off,
			      (uintmax_t)data_a, (uintmax_t)data_b);
		ck_assert_int_eq(fs_read(sb, busy, off, of_a, CLUSTER, &len_a), 0);
		ck_assert_int_eq(fs_read(sb, copy, off, of_b, CLUSTER, &len_b), 0);
		ck_assert_uint_eq(len_a, len_b);
		ck_assert_msg(memcmp(of_a, of_b, len_a) == 0, "differs behind %ju", (uintmax_t)off);
	}
}

static void expect_same_xattr(ino_nr copy)
{
	uint64_t of_a = 0, of_b = 0;
	size_t len;
	const int err = fs_getxattr(sb, busy, "user.a", &of_a, sizeof(of_a), &len);

	ck_assert_int_eq(fs_getxattr(sb, copy, "user.a", &of_b, sizeof(of_b), &len), err);
	ck_assert_uint_eq(of_a, of_b);
}

static void begin(bool spills)
{
	struct super_params params = fixture_params();

	seed = zt_seed();
	nr_pauses = 0;
	if (spills) {
		spill_fd = memfd_create("spill", MFD_CLOEXEC);
		ck_assert_int_ge(spill_fd, 0);
		params.content.spill_size = 256 * MIB;
		params.content.spill_fd = spill_fd;
	}
	sb = fixture_init_params(&params);
	busy = make_file(sb, FS_ROOT_INO, "busy");
	for (unsigned i = 0; i < NR_CLUSTERS * 2; i++)
		write_some();
	if (spills)
		ck_assert_uint_gt(blkmap_spill_now(sb->map, 0, UINT64_MAX), 0);
}

static void end(void)
{
	fixture_exit(sb);
	if (spill_fd >= 0)
		close(spill_fd);
	spill_fd = -1;
}

/* @what: bits of change_somehow(). */
static void try_one(unsigned what, bool spills)
{
	ino_nr copy;

	begin(spills);
	kinds = what;
	ck_assert_int_eq(clone_busy(), 0);
	copy = look_ino(sb, look_ino(sb, FS_ROOT_INO, "into"), "copy");
	expect_same(copy);
	expect_same_xattr(copy);
	ck_assert_uint_gt(nr_pauses, 0);
	end();
}

START_TEST(test_each_kind_of_change_all_the_while)
{
	try_one(1u << _i, false);
}
END_TEST

START_TEST(test_random_changes_all_the_while)
{
	for (unsigned i = 0; i < 20; i++)
		try_one(0xff, false);
}
END_TEST

/* Rounds end for what is read from the file, too, and others go on meanwhile. */
START_TEST(test_changes_while_it_is_read_from_the_spill_file)
{
	for (unsigned i = 0; i < 10; i++)
		try_one(i % 2 ? 1u : 0xff, true);
}
END_TEST

/* ---- the parts ---- */

/* A plain array of parts is what is noted. */
START_TEST(test_parts_that_were_changed_are_taken_once)
{
	enum { NR = 300 };
	struct inode_lock lock = { .changed = NULL };
	struct changed one, other;
	bool noted[NR] = { false };
	uint64_t off, end;

	seed = zt_seed();
	ck_assert_int_eq(changed_begin(&one, &lock, 7, CLUSTER, (NR - 1) * CLUSTER), 0);
	ck_assert_int_eq(changed_begin(&other, &lock, 8, CLUSTER, 5), 0);
	ck_assert(!changed_take(&one, &off, &end));
	for (unsigned i = 0; i < 3000; i++) {
		const uint64_t at = below(NR * (unsigned)CLUSTER), len = 1 + below(9 * CLUSTER);

		if (below(3)) {
			content_changes(&lock, 7, at, len);
			for (uint64_t p = at / CLUSTER; p <= (at + len - 1) / CLUSTER; p++)
				noted[p < NR ? p : NR - 1] = true;
		} else if (changed_take(&one, &off, &end)) {
			const uint64_t last = end == CHANGED_ALL ? NR : end / CLUSTER;

			ck_assert_uint_lt(off, end);
			for (uint64_t p = off / CLUSTER; p < last; p++) {
				ck_assert(noted[p]);
				noted[p] = false;
			}
		}
	}
	while (changed_take(&one, &off, &end))
		for (uint64_t p = off / CLUSTER; p < (end == CHANGED_ALL ? NR : end / CLUSTER); p++)
			noted[p] = false;
	for (unsigned p = 0; p < NR; p++)
		ck_assert_msg(!noted[p], "%u", p);
	content_changes(&lock, 7, 0, 0);
	ck_assert(!changed_take(&one, &off, &end));
	ck_assert(!changed_take(&other, &off, &end));
	changed_end(&one, &lock);
	content_changes(&lock, 8, 1000 * CLUSTER, CHANGED_ALL);
	ck_assert(changed_take(&other, &off, &end));
	ck_assert_uint_eq(off, 0);
	ck_assert_uint_eq(end, CHANGED_ALL);
	changed_end(&other, &lock);
	ck_assert_ptr_null(lock.changed);
}
END_TEST

/* However large, its bits are few. */
START_TEST(test_parts_of_the_largest_file)
{
	struct inode_lock lock = { .changed = NULL };
	struct changed changed;
	uint64_t off, end;

	ck_assert_int_eq(changed_begin(&changed, &lock, 7, ZT_PAGE_SIZE, ZT_MAX_FILE_SIZE), 0);
	ck_assert_uint_le(changed.nr, 1u << 20);
	content_changes(&lock, 7, ZT_MAX_FILE_SIZE / 2, 1);
	ck_assert(changed_take(&changed, &off, &end));
	ck_assert(off <= ZT_MAX_FILE_SIZE / 2 && end > ZT_MAX_FILE_SIZE / 2);
	ck_assert(!changed_take(&changed, &off, &end));
	changed_end(&changed, &lock);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("clone busy");
	TCase *tc = tcase_create("clone busy");

	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, test_each_kind_of_change_all_the_while, 0, 7);
	tcase_add_test(tc, test_random_changes_all_the_while);
	tcase_add_test(tc, test_changes_while_it_is_read_from_the_spill_file);
	tcase_add_test(tc, test_parts_that_were_changed_are_taken_once);
	tcase_add_test(tc, test_parts_of_the_largest_file);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
