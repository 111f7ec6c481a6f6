// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_store.c - after each store of an operation on a file's content every acknowledged byte is
 * there: what the arena holds is read through the file system that had it mapped before.
 */
#include "tests/fs/fixture.h"
#include "tests/lib/step.h"
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

int main(void)
{
	Suite *suite = suite_create("store");
	TCase *tc = tcase_create("content");

#ifndef ZT_DEBUG
	return STEP_MISSING;
#endif
	tcase_set_timeout(tc, 400);
	tcase_add_test(tc, test_a_growing_file_keeps_its_clusters);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
