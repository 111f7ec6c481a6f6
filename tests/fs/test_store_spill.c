// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_store_spill.c - after each store while objects go out to a spill file, come back, or are
 * written over, cut and removed while they are out, every byte is there: attached, checked and read.
 */
#include <fcntl.h>
#include <linux/falloc.h>

#include "blkmap/spilled.h"
#include "tests/fs/step_attach.h"
#include "util/sizes.h"

#define CLUSTER (64 * KIB)
#define NR      12u

static struct super *sb;
static int spill_fd;
static ino_nr inos[NR];
static char content[NR][CLUSTER], after[NR][CLUSTER], found[CLUSTER];
static const uint8_t key[SPILL_KEY_SIZE] = { 1, 2, 3 };

struct plan {
	const char *name;
	bool out; /* all of it is, before */
	bool sealed;
	bool late; /* the life before had no such file */
	void (*run)(void);
	void (*expect)(void); /* what is in after[] then */
};

static struct super_params spill_params(const struct plan *plan)
{
	struct super_params params = fixture_params();

	params.content.spill_size = 16 * MIB;
	params.content.spill_fd = spill_fd;
	params.content.spill_key = plan->sealed ? key : NULL;
	return params;
}

static void all_out(void)
{
	(void)blkmap_spill_now(sb->map, 0, UINT64_MAX);
}

static uint64_t nr_out(struct super *in)
{
	struct blkmap_stat stat;

	blkmap_get_stat(in->map, &stat);
	return stat.spill.objects;
}

/* Half of it is noise. */
static void fill(char *bytes, uint64_t seed)
{
	for (unsigned i = 0; i < CLUSTER; i += 8) {
		const uint64_t value = i % 64 < 32 ? zt_random(&seed) : 7;

		memcpy(bytes + i, &value, 8);
	}
}

static void start(void *arg)
{
	const struct plan *plan = arg;
	char name[] = "/tmp/zt-store-spill-XXXXXX";
	struct super_params params;

	spill_fd = mkstemp(name);
	step_expect(spill_fd >= 0 && unlink(name) == 0, "no file");
	params = spill_params(plan);
	if (plan->late)
		params.content.spill_size = 0;
	sb = fixture_init_params(&params);
	for (unsigned f = 0; f < NR; f++) {
		snprintf(name, sizeof(name), "file-%u", f);
		inos[f] = make_file(sb, FS_ROOT_INO, name);
		fill(content[f], f + 1);
		write_all(sb, inos[f], 0, content[f], CLUSTER);
	}
	if (!plan->out)
		return;
	all_out();
	step_expect(nr_out(sb) == NR, "%u are out", (unsigned)nr_out(sb));
}

/* ---- meanwhile ---- */

static void run_out(void)
{
	all_out();
	step_expect(nr_out(sb) == NR, "%u are out", (unsigned)nr_out(sb));
}

static void run_fetch(void)
{
	for (unsigned f = 0; f < NR; f++)
		step_expect(fs_fetch(sb, inos[f]) == 0, "not fetched");
	step_expect(nr_out(sb) == 0, "%u are out", (unsigned)nr_out(sb));
}

static void run_write(void)
{
	write_all(sb, inos[0], 0, after[0], CLUSTER);
	write_all(sb, inos[1], 8192, after[1] + 8192, ZT_PAGE_SIZE);
	write_all(sb, inos[2], 8292, after[2] + 8292, 100);
	for (unsigned f = 3; f < 6; f++)
		write_all(sb, inos[f], 0, after[f], CLUSTER);
	(void)blkmap_recompress(sb->map, 0);
	(void)super_compact(sb);
	all_out();
}

static void expect_write(void)
{
	fill(after[0], 100);
	memset(after[1] + 8192, 'x', ZT_PAGE_SIZE);
	memset(after[2] + 8292, 'y', 100);
	for (unsigned f = 3; f < 6; f++)
		fill(after[f], 100 + f);
}

static void run_punch(void)
{
	struct stat attr = { .st_size = 5000 };

	for (unsigned f = 0; f < 4; f++)
		step_expect(fs_fallocate(sb, &user_cred, inos[f],
					 FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, f * 4096,
					 CLUSTER / 2) == 0,
			    "no hole");
	for (unsigned f = 4; f < 8; f++)
		step_expect(fs_setattr(sb, &user_cred, inos[f], &attr, FS_SET_SIZE, &attr) == 0,
			    "not cut");
	all_out();
}

/* Files that were cut have zeros there. */
static void expect_punch(void)
{
	for (unsigned f = 0; f < 4; f++)
		memset(after[f] + f * 4096, 0, CLUSTER / 2);
	for (unsigned f = 4; f < 8; f++)
		memset(after[f] + 5000, 0, CLUSTER - 5000);
}

/* Shared, and the first owner goes. */
static void run_copy(void)
{
	uint64_t copied;

	for (unsigned f = 1; f < 4; f++)
		step_expect(fs_copy_range(sb, &user_cred, inos[0], 0, inos[f], 0, CLUSTER,
					  &copied) == 0 &&
				    copied == CLUSTER,
			    "not copied");
	all_out();
}

static void expect_copy(void)
{
	for (unsigned f = 1; f < 4; f++)
		memcpy(after[f], content[0], CLUSTER);
}

static const struct plan late_plan = { .late = true };

static void run_late(void)
{
	const struct super_params params = spill_params(&late_plan);
	char text[256] = "";

	step_expect(super_attach(&params, dup(super_arena_fd(sb)), text, &sb) == 0, "%s", text);
	all_out();
}

static void run(void *arg)
{
	const struct plan *plan = arg;

	memcpy(after, content, sizeof(after));
	if (plan->expect)
		plan->expect();
	plan->run();
}

/* ---- afterwards ---- */

/* Each page is old or new. */
static void expect_file(struct super *next, unsigned f, bool done)
{
	size_t got = 0;

	memset(found, 0, CLUSTER);
	step_expect(fs_read(next, inos[f], 0, found, CLUSTER, &got) == 0, "reading file %u fails",
		    f);
	for (unsigned at = 0; at < CLUSTER; at += ZT_PAGE_SIZE) {
		const char *old = content[f] + at;
		/* A hole's rest, or what was cut at once. */
		const bool is_old = memcmp(found + at, old, ZT_PAGE_SIZE) == 0;
		const bool is_new = memcmp(found + at, after[f] + at, ZT_PAGE_SIZE) == 0;

		step_expect(is_new || (!done && is_old), "page %u of file %u is neither",
			    at / ZT_PAGE_SIZE, f);
	}
}

static void judge(void *arg, bool done)
{
	const struct plan *plan = arg;
	const struct super_params params = spill_params(plan);
	struct super *next = step_attach_params(&params, sb);

	memcpy(after, content, sizeof(after));
	if (plan->expect)
		plan->expect();
	for (unsigned f = 0; f < NR; f++)
		expect_file(next, f, done);
	/* The next life spills as ever. */
	(void)blkmap_spill_now(next->map, 0, UINT64_MAX);
	for (unsigned f = 0; f < NR; f++)
		expect_file(next, f, done);
	step_expect(super_check(next) == 0, "something is wrong in the next life");
}

static const struct plan plans[] = {
	{ .name = "out", .run = run_out },
	{ .name = "out, encrypted", .sealed = true, .run = run_out },
	{ .name = "and back", .out = true, .run = run_fetch },
	{ .name = "written over", .out = true, .run = run_write, .expect = expect_write },
	{ .name = "holes and cuts", .out = true, .run = run_punch, .expect = expect_punch },
	{ .name = "copies", .out = true, .run = run_copy, .expect = expect_copy },
	{ .name = "the first file to spill to", .late = true, .run = run_late },
};

START_TEST(test_what_is_out_is_there_after_each_store)
{
	struct step_ops ops = { start, run, judge, (void *)&plans[_i] };

	ck_assert_uint_ge(step_all(plans[_i].name, &ops), 10);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("store_spill");
	TCase *tc = tcase_create("spill");

#ifndef ZT_DEBUG
	return STEP_MISSING;
#endif
	tcase_set_timeout(tc, 400);
	tcase_add_loop_test(tc, test_what_is_out_is_there_after_each_store, 0, ARRAY_SIZE(plans));
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
