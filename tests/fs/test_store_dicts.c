// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_store_dicts.c - after each store of a dictionary's life (made, used, followed by another,
 * retired, ended) every byte is there, and the next life counts what dictionaries there are.
 */
#include "blkmap/parts.h"
#include "blkmap/upkeep/recompress.h"
#include "tests/fs/step_attach.h"

#define NR   300u
#define SIZE (NR * ZT_PAGE_SIZE)

static struct super *sb;
static ino_nr ino;
static uint64_t meta_before; /* objects without content and dictionaries */
static uint64_t length;
static char content[SIZE], found[SIZE];

struct plan {
	const char *name;
	void (*prepare)(void);
	void (*run)(void);
	unsigned dicts; /* in the end */
	unsigned every;
};

static struct super_params dict_params(void)
{
	struct super_params params = fixture_params();

	params.cluster_order = 0;
	params.content.recompress = "zstd";
	params.content.recompress_level = 1;
	params.content.dicts = true;
	return params;
}

static struct recompressor *recomp_of(struct super *in)
{
	return in->map->upkeep.recomp;
}

static unsigned dicts_of(struct super *in)
{
	struct blkmap_stat stat;

	blkmap_get_stat(in->map, &stat);
	return (unsigned)stat.dicts;
}

/* Words of a kind in every order, a page at a time: only others repeat what is in one. */
static void put(unsigned kind, unsigned first, unsigned nr)
{
	uint64_t seed = 1000 + kind;
	char words[60][11];

	for (unsigned i = 0; i < 60 * 11; i++)
		words[i / 11][i % 11] = (char)(i % 11 == 10 ? ' ' : 'a' + zt_random(&seed) % 26);
	for (unsigned i = first; i < first + nr; i++) {
		char *page = content + i * ZT_PAGE_SIZE;

		for (unsigned at = 0; at + 11 <= ZT_PAGE_SIZE; at += 11)
			memcpy(page + at, words[zt_random(&seed) % 60], 11);
		write_all(sb, ino, i * ZT_PAGE_SIZE, page, ZT_PAGE_SIZE);
	}
	length = max_u64(length, (first + nr) * ZT_PAGE_SIZE);
}

static void cut(struct super *in)
{
	struct stat attr = { .st_size = 0 };

	step_expect(fs_setattr(in, &user_cred, ino, &attr, FS_SET_SIZE, &attr) == 0, "not cut");
}

static void pass(void)
{
	(void)blkmap_recompress(sb->map, 0);
}

/* ---- before ---- */

static void prepare_used(void)
{
	pass();
	step_expect(dicts_of(sb) == 1, "there is no dictionary");
}

static void prepare_old(void)
{
	prepare_used();
	put(1, NR / 2, NR / 2);
	recomp_of(sb)->dicts[RECOMP_SMALL].tried = false;
}

static void prepare_retired(void)
{
	prepare_used();
	recomp_of(sb)->dicts[RECOMP_SMALL].codec = 0;
	dict_retire(recomp_of(sb), 0);
}

static void prepare_unused(void)
{
	prepare_used();
	cut(sb);
	length = 0;
}

static void start(void *arg)
{
	const struct plan *plan = arg;
	const struct super_params params = dict_params();

	sb = fixture_init_params(&params);
	ino = make_file(sb, FS_ROOT_INO, "file");
	meta_before = fixture_meta_objects(sb);
	length = 0;
	put(0, 0, NR);
	if (plan->prepare)
		plan->prepare();
}

/* ---- meanwhile ---- */

static void run_make(void)
{
	mutex_lock(&recomp_of(sb)->pass_lock);
	dict_prepare(recomp_of(sb), 0);
	mutex_unlock(&recomp_of(sb)->pass_lock);
}

static void run_pass(void)
{
	struct blkmap_stat stat;

	pass();
	blkmap_get_stat(sb->map, &stat);
	step_expect(stat.dict_objects >= NR / 2, "only %u objects have a dictionary",
		    (unsigned)stat.dict_objects);
}

/* Objects leave the retired one, and then it goes. */
static void run_end(void)
{
	pass();
	pass();
}

static void run(void *arg)
{
	const struct plan *plan = arg;

	plan->run();
	step_expect(dicts_of(sb) == plan->dicts, "%u dictionaries", dicts_of(sb));
}

/* ---- afterwards ---- */

static struct super *attach(void)
{
	const struct super_params params = dict_params();

	return step_attach_params(&params, sb);
}

static void expect_counted(struct super *in)
{
	unsigned nr = 0;
	struct blkmap_stat stat;

	for (unsigned i = 0; i < SLOT_CODEC_NR_DICT; i++)
		nr += in->rec->map.dicts[i].ref != 0;
	blkmap_get_stat(in->map, &stat);
	step_expect(stat.dicts == nr && (stat.dict_bytes > 0) == (nr > 0),
		    "%u dictionaries of %u bytes are said to be there, and %u are",
		    (unsigned)stat.dicts, (unsigned)stat.dict_bytes, nr);
}

static void judge(void *arg, bool done)
{
	const struct plan *plan = arg;
	struct super *next = attach();
	size_t got = 0;

	expect_counted(next);
	step_expect(!done || dicts_of(next) == plan->dicts, "%u dictionaries", dicts_of(next));
	step_expect(fs_read(next, ino, 0, found, SIZE, &got) == 0 && got == length &&
			    memcmp(found, content, length) == 0,
		    "the file differs");
	/* It goes on as ever. */
	(void)blkmap_recompress(next->map, 0);
	step_expect(fs_read(next, ino, 0, found, SIZE, &got) == 0 && got == length &&
			    memcmp(found, content, length) == 0,
		    "the file differs after another pass");
	step_expect(super_check(next) == 0, "something is wrong after another pass");
	cut(next);
	for (unsigned i = 0; i < 2; i++)
		(void)blkmap_recompress(next->map, 0);
	expect_counted(next);
	step_expect(dicts_of(next) == 0, "a dictionary stays for ever");
	step_expect(fixture_meta_objects(next) == meta_before, "%u objects, and there were %u",
		    (unsigned)fixture_meta_objects(next), (unsigned)meta_before);
}

static const struct plan plans[] = {
	{ .name = "a dictionary is made", .run = run_make, .dicts = 1 },
	{ .name = "and used", .run = run_pass, .dicts = 1, .every = 29 },
	{ .name = "another one follows it", .prepare = prepare_old, .run = run_make, .dicts = 2 },
	{ .name = "and takes over",
	  .prepare = prepare_old,
	  .run = run_pass,
	  .dicts = 2,
	  .every = 53 },
	{ .name = "one is retired", .prepare = prepare_retired, .run = run_end, .every = 53 },
	{ .name = "one that nothing needs goes", .prepare = prepare_unused, .run = pass },
};

START_TEST(test_all_bytes_and_dictionaries_are_there)
{
	struct step_ops ops = { start, run, judge, (void *)&plans[_i] };

	ck_assert_uint_ge(step_every(plans[_i].name, &ops, plans[_i].every), 3);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("store_dicts");
	TCase *tc = tcase_create("dicts");

#ifndef ZT_DEBUG
	return STEP_MISSING;
#endif
	tcase_set_timeout(tc, 400);
	tcase_add_loop_test(tc, test_all_bytes_and_dictionaries_are_there, 0, ARRAY_SIZE(plans));
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
