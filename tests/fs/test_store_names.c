// SPDX-License-Identifier: GPL-2.0-or-later
/* test_store_names.c - after each store of an operation on names the tree of names is sound. */
#include "tests/fs/fixture.h"
#include "tests/lib/step.h"
#include "util/sizes.h"

static struct super *sb;

static void start_full(void *arg)
{
	const unsigned *nr = arg;

	sb = fixture_init();
	for (unsigned i = 0; i < *nr; i++) {
		char name[32];

		snprintf(name, sizeof(name), "name-%08u", i);
		(void)make_file(sb, FS_ROOT_INO, name);
	}
}

static void run_add(void *arg)
{
	(void)arg;
	(void)make_file(sb, FS_ROOT_INO, "new");
}

/* All names of a directory, without its index, which went with the process. */
static bool see_name(void *arg, const struct dir_entry *entry, const char *name, unsigned len)
{
	unsigned *seen = arg;

	(void)entry;
	*seen += len > 5 && memcmp(name, "name-", 5) == 0;
	return true;
}

static void judge_add(void *arg, bool done)
{
	const unsigned *nr = arg;
	struct dir dir;
	unsigned seen = 0;

	(void)done;
	step_expect(dir_open(sb, FS_ROOT_INO, &dir) == 0, "no root");
	dir_walk(&dir, DIR_POS_END, see_name, &seen);
	step_expect(seen == *nr, "%u of %u names are left", seen, *nr);
}

START_TEST(test_a_growing_directory_keeps_its_names)
{
	/* 170 of these names fill a block; the directory's tree grows with the 2nd and the 5th. */
	static const unsigned nrs[] = { 0, 1, 3, 10, 169, 170, 171, 340, 679, 680, 681 };

	for (size_t i = 0; i < ARRAY_SIZE(nrs); i++) {
		struct step_ops ops = { start_full, run_add, judge_add, (void *)&nrs[i] };

		ck_assert_uint_ge(step_all("a name more", &ops), 3);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("store_names");
	TCase *tc = tcase_create("names");

#ifndef ZT_DEBUG
	return STEP_MISSING;
#endif
	tcase_set_timeout(tc, 400);
	tcase_add_test(tc, test_a_growing_directory_keeps_its_names);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
