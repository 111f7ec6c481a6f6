// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_store_upkeep.c - after each store of work that is done behind requests (compaction, folding,
 * recompression, deduplication) every byte is there: what the arena holds is attached, checked and read.
 */
#include "tests/fs/step_attach.h"
#include "util/sizes.h"

#define CLUSTER (64 * KIB)
#define NR	12u

static struct super *sb;
static ino_nr inos[NR];
static char content[NR][CLUSTER];

static struct super_params params_of(bool recompresses)
{
	struct super_params params = fixture_params();

	if (recompresses) {
		params.content.recompress = "zstd";
		params.content.recompress_level = 1;
		params.content.dedup = true;
	}
	return params;
}

/* Every third one is like the first, and every second one has pages over it or goes. */
static void start(void *arg)
{
	const bool recompresses = *(const bool *)arg;
	const struct super_params params = params_of(recompresses);

	sb = fixture_init_params(&params);
	for (unsigned f = 0; f < NR; f++) {
		const unsigned like = recompresses && f % 3 == 0 ? 0 : f;
		char name[16];

		for (unsigned i = 0; i < CLUSTER; i++)
			content[f][i] = (char)('a' + (i / (5 + like) * (like + 3) + i / 4096) % 23);
		snprintf(name, sizeof(name), "file-%u", f);
		inos[f] = make_file(sb, FS_ROOT_INO, name);
		write_all(sb, inos[f], 0, content[f], CLUSTER);
	}
	for (unsigned f = 1; f < NR; f += 2) {
		char name[16];

		snprintf(name, sizeof(name), "file-%u", f);
		if (f % 4 == 1) {
			memset(content[f] + 8192, 'x', 100);
			write_all(sb, inos[f], 8192, content[f] + 8192, ZT_PAGE_SIZE);
			continue;
		}
		step_expect(fs_unlink(sb, FS_ROOT_INO, name) == 0, "not unlinked");
		fs_forget(sb, inos[f], 1);
		inos[f] = 0;
	}
}

static void run_compact(void *arg)
{
	(void)arg;
	(void)super_compact(sb);
}

static void run_recompress(void *arg)
{
	struct blkmap_stat stat;

	(void)arg;
	(void)blkmap_recompress(sb->map, 0);
	(void)blkmap_recompress(sb->map, 0);
	blkmap_get_stat(sb->map, &stat);
	step_expect(stat.recompressed > 0, "nothing was recompressed");
	step_expect(stat.dedup_joined > 0, "nothing was joined");
}

static void judge(void *arg, bool done)
{
	const struct super_params params = params_of(*(const bool *)arg);
	static char found[CLUSTER];
	struct super *next = step_attach_params(&params, sb);
	size_t got = 0;

	(void)done;
	for (unsigned f = 0; f < NR; f++)
		step_expect(!inos[f] || (fs_read(next, inos[f], 0, found, CLUSTER, &got) == 0 &&
					 got == CLUSTER && memcmp(found, content[f], CLUSTER) == 0),
			    "file %u differs", f);
}

START_TEST(test_compaction_and_folding_keep_all_bytes)
{
	bool recompresses = false;
	struct step_ops ops = { start, run_compact, judge, &recompresses };

	ck_assert_uint_ge(step_all("compaction", &ops), 10);
}
END_TEST

START_TEST(test_recompression_and_deduplication_keep_all_bytes)
{
	bool recompresses = true;
	struct step_ops ops = { start, run_recompress, judge, &recompresses };

	ck_assert_uint_ge(step_all("recompression", &ops), 20);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("store_upkeep");
	TCase *tc = tcase_create("upkeep");

#ifndef ZT_DEBUG
	return STEP_MISSING;
#endif
	tcase_set_timeout(tc, 400);
	tcase_add_test(tc, test_compaction_and_folding_keep_all_bytes);
	tcase_add_test(tc, test_recompression_and_deduplication_keep_all_bytes);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
