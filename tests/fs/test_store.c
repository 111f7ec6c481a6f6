// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_store.c - after each store of an operation on a file's content every acknowledged byte is
 * there: what the arena holds is attached, checked and read.
 */
#include "tests/fs/step_attach.h"
#include "util/sizes.h"

#define CLUSTER (64 * KIB)

static struct super *sb;
static ino_nr ino;

static char pattern[4][CLUSTER], found[2 * MIB];

/* Text-like, so that it is compressed; four that differ in every page. */
static void patterns_make(void)
{
	for (unsigned k = 0; k < 4; k++)
		for (unsigned i = 0; i < CLUSTER; i++)
			pattern[k][i] = (char)('a' + (i / 7 * (k + 3) + i / 4096 + k) % 23);
}

static void start_empty(void *arg)
{
	(void)arg;
	patterns_make();
	sb = fixture_init();
	ino = make_file(sb, FS_ROOT_INO, "file");
}

static void put(uint64_t cluster, unsigned k)
{
	write_all(sb, ino, cluster * CLUSTER, pattern[k], CLUSTER);
}

static size_t get(uint64_t off, size_t len)
{
	size_t got = 0;

	memset(found, 0x55, len);
	step_expect(fs_read(sb, ino, off, found, len, &got) == 0, "reading fails");
	return got;
}

/* Whether the cluster reads as pattern @k. */
static bool has(uint64_t cluster, unsigned k)
{
	return get(cluster * CLUSTER, CLUSTER) == CLUSTER &&
	       memcmp(found, pattern[k], CLUSTER) == 0;
}

/* ---- a tree grows under clusters of every kind ---- */

struct grow {
	unsigned nr; /* clusters before */
	uint64_t to; /* cluster that is written then */
};

static void start_grow(void *arg)
{
	const struct grow *grow = arg;
	static char same[CLUSTER];

	start_empty(NULL);
	for (unsigned c = 0; c < grow->nr; c++) {
		put(c, c % 4);
		if (c % 4 == 1) /* a page over it */
			write_all(sb, ino, c * CLUSTER + 8192, pattern[3], ZT_PAGE_SIZE);
	}
	memset(same, 'x', sizeof(same));
	if (grow->nr > 2)
		write_all(sb, ino, 2 * CLUSTER, same, CLUSTER);
}

static void run_grow(void *arg)
{
	const struct grow *grow = arg;

	put(grow->to, 3);
}

static void judge_grow(void *arg, bool done)
{
	const struct grow *grow = arg;

	sb = step_attach(sb);
	for (unsigned c = 0; c < grow->nr; c++) {
		step_expect(get(c * CLUSTER, CLUSTER) == CLUSTER, "cluster %u is gone", c);
		if (c % 4 == 1)
			step_expect(memcmp(found + 8192, pattern[3], ZT_PAGE_SIZE) == 0,
				    "the page over cluster %u is lost", c);
		else if (c == 2)
			step_expect(found[0] == 'x' && !memcmp(found, found + 1, CLUSTER - 1),
				    "a repeated value is lost");
		if (c != 2)
			step_expect(memcmp(found, pattern[c % 4], 8192) == 0, "cluster %u is lost",
				    c);
	}
	step_expect(!done || has(grow->to, 3), "what was written is lost");
}

START_TEST(test_a_growing_file_keeps_its_clusters)
{
	static const struct grow plans[] = {
		{ 1, 1 }, { 1, 70 }, { 2, 5 }, { 4, 4 }, { 4, 100 }, { 16, 16 }, { 16, 5000 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(plans); i++) {
		struct step_ops ops = { start_grow, run_grow, judge_grow, (void *)&plans[i] };

		ck_assert_uint_ge(step_all("a file grows", &ops), 10);
	}
}
END_TEST

/* ---- new bytes where old objects are, since there is no memory for others ---- */

struct over {
	const char *name;
	bool map; /* the cluster has pages over it */
	bool shared; /* it has a share record with one name left */
	uint64_t off, len; /* what is written */
	bool same; /* its last page is of one value */
};

static char before[CLUSTER], after[CLUSTER], fresh[CLUSTER];

/* Every free room of a pool is taken. */
static void plug_pool(struct zs_pool *pool)
{
	struct zs_class_stat class;
	ref_t ref;

	for (uint32_t i = 0; i < zs_nr_classes(pool); i++) {
		zs_class_get_stat(pool, i, &class);
		while (!zs_malloc(pool, (uint32_t)min_u64(class.room - ZS_HDR_SIZE, ZS_MAX_SIZE),
				  &ref))
			;
	}
}

static void fill_up(void)
{
	struct arena_stat stat;

	zs_trim(blkmap_data_pool(sb->map), 0);
	zs_trim(sb->meta, 0);
	zs_trim(sb->inodes, 0);
	arena_get_stat(sb->arena, &stat);
	arena_set_limit(sb->arena, stat.used);
	plug_pool(blkmap_data_pool(sb->map));
	plug_pool(sb->meta);
}

static void start_over(void *arg)
{
	const struct over *over = arg;
	uint64_t copied = 0;
	ino_nr other;

	start_empty(NULL);
	/* What comes later is smaller when compressed, so that it fits. */
	for (unsigned i = 0; i < 2 * CLUSTER; i += 256)
		memcpy(pattern[0] + i, &(uint64_t){ (i + 1) * UINT64_C(0x9e3779b97f4a7c15) }, 8);
	put(0, 0);
	memcpy(before, pattern[0], CLUSTER);
	if (over->shared) {
		other = make_file(sb, FS_ROOT_INO, "other");
		step_expect(fs_copy_range(sb, &user_cred, ino, 0, other, 0, CLUSTER, &copied) == 0 &&
				    copied == CLUSTER,
			    "not shared");
		step_expect(fs_unlink(sb, FS_ROOT_INO, "other") == 0, "not unlinked");
		fs_forget(sb, other, 1);
	}
	for (unsigned p = 2; over->map && p < 5; p++) {
		write_all(sb, ino, p * ZT_PAGE_SIZE, pattern[1] + p * ZT_PAGE_SIZE, ZT_PAGE_SIZE);
		memcpy(before + p * ZT_PAGE_SIZE, pattern[1] + p * ZT_PAGE_SIZE, ZT_PAGE_SIZE);
	}
	for (unsigned i = 0; i < CLUSTER; i++)
		fresh[i] = (char)('a' + i / 1000 % 5);
	if (over->same)
		memset(fresh + over->off + over->len - ZT_PAGE_SIZE, 'x', ZT_PAGE_SIZE);
	memcpy(after, before, CLUSTER);
	memcpy(after + over->off, fresh + over->off, over->len);
	fill_up();
}

static void run_over(void *arg)
{
	const struct over *over = arg;
	struct blkmap_stat stat;

	write_all(sb, ino, over->off, fresh + over->off, over->len);
	blkmap_get_stat(sb->map, &stat);
	step_expect(stat.overwrites_in_place > 0, "nothing was overwritten in place");
}

static void judge_over(void *arg, bool done)
{
	(void)arg;
	sb = step_attach(sb);
	step_expect(get(0, CLUSTER) == CLUSTER, "the file is shorter");
	for (unsigned at = 0; at < CLUSTER; at += ZT_PAGE_SIZE)
		step_expect(memcmp(found + at, after + at, ZT_PAGE_SIZE) == 0 ||
				    (!done && memcmp(found + at, before + at, ZT_PAGE_SIZE) == 0),
			    "page %u is neither old nor new", at / ZT_PAGE_SIZE);
}

START_TEST(test_pages_that_are_overwritten_in_place_are_old_or_new)
{
	static const struct over plans[] = {
		{ .name = "a whole cluster", .len = CLUSTER },
		{ .name = "a page of a cluster", .off = 8192, .len = 4096 },
		{ .name = "bytes of a cluster", .off = 8440, .len = 600 },
		{ .name = "a cluster with pages", .map = true, .len = CLUSTER },
		{ .name = "a page over it", .map = true, .off = 8192, .len = 4096 },
		{ .name = "bytes of a page over it", .map = true, .off = 8440, .len = 600 },
		{ .name = "pages over and below", .map = true, .off = 4096, .len = 16384 },
		{ .name = "pages below, one of one value", .map = true, .len = 8192, .same = true },
		{ .name = "bytes below", .map = true, .off = 40150, .len = 600 },
		{ .name = "shared once", .shared = true, .off = 8192, .len = 4096 },
		{ .name = "a whole one shared once", .shared = true, .len = CLUSTER },
	};

	for (size_t i = 0; i < ARRAY_SIZE(plans); i++) {
		struct step_ops ops = { start_over, run_over, judge_over, (void *)&plans[i] };

		ck_assert_uint_ge(step_all(plans[i].name, &ops), 5);
	}
}
END_TEST

/* ---- a file becomes shorter ---- */

static void start_cut(void *arg)
{
	(void)arg;
	start_empty(NULL);
	for (unsigned c = 0; c < 8; c++)
		put(c, c % 4);
	write_all(sb, ino, 2 * CLUSTER + 8192, pattern[3], 2 * ZT_PAGE_SIZE);
}

static void run_cut(void *arg)
{
	const uint64_t *size = arg;
	struct stat attr = { .st_size = (off_t)*size };

	step_expect(fs_setattr(sb, &user_cred, ino, &attr, FS_SET_SIZE, &attr) == 0, "truncate");
}

/* It is cut or not yet; and when it is longer again nothing of what was cut is there. */
static void judge_cut(void *arg, bool done)
{
	const uint64_t *size = arg;
	struct stat attr = { .st_size = 8 * CLUSTER };
	uint64_t end;

	sb = step_attach(sb);
	end = (uint64_t)attr_of(sb, ino).st_size;
	step_expect(end == *size || end == 8 * CLUSTER, "another size");
	step_expect(!done || end == *size, "the old size");
	step_expect(fs_setattr(sb, &user_cred, ino, &attr, FS_SET_SIZE, &attr) == 0, "growing");
	for (uint64_t c = 0; c < 8; c++) {
		const size_t len = end < c * CLUSTER ? 0 : min_u64(CLUSTER, end - c * CLUSTER);
		const char *page = pattern[c == 2 ? 3 : c % 4] + (c == 2 ? 0 : 8192);

		step_expect(get(c * CLUSTER, CLUSTER) == CLUSTER, "cluster %u is short", (unsigned)c);
		step_expect(is_zero(found + len, CLUSTER - len), "old bytes in cluster %u", (unsigned)c);
		step_expect(memcmp(found, pattern[c % 4], min_u64(len, 8192)) == 0 &&
				    (len <= 8192 ||
				     memcmp(found + 8192, page,
					    min_u64(len - 8192, 2 * ZT_PAGE_SIZE)) == 0),
			    "cluster %u is lost", (unsigned)c);
	}
}

START_TEST(test_a_file_that_is_cut_is_known_to_be)
{
	static const uint64_t sizes[] = { 0, 1, 5000, CLUSTER, 2 * CLUSTER + 10000, 500000 };

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct step_ops ops = { start_cut, run_cut, judge_cut, (void *)&sizes[i] };

		ck_assert_uint_ge(step_all("cut", &ops), 5);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("store");
	TCase *tc = tcase_create("content");

#ifndef ZT_DEBUG
	return STEP_MISSING;
#endif
	tcase_set_timeout(tc, 400);
	tcase_add_test(tc, test_a_growing_file_keeps_its_clusters);
	tcase_add_test(tc, test_pages_that_are_overwritten_in_place_are_old_or_new);
	tcase_add_test(tc, test_a_file_that_is_cut_is_known_to_be);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
