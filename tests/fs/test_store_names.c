// SPDX-License-Identifier: GPL-2.0-or-later
/* test_store_names.c - after each store of an operation on names the tree of names is sound. */
#include <linux/fs.h>

#include "tests/fs/step_attach.h"
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

/* ---- renaming ---- */

struct move {
	const char *name;
	unsigned flags;
	bool is_dir; /* what moves */
	bool within; /* in one directory */
	bool replaces;
	unsigned fill; /* names that `to`'s directory has already */
};

static ino_nr dirs[2], moved, replaced;

static void start_move(void *arg)
{
	const struct move *move = arg;

	sb = fixture_init();
	dirs[0] = make_dir(sb, FS_ROOT_INO, "a");
	dirs[1] = move->within ? dirs[0] : make_dir(sb, FS_ROOT_INO, "b");
	for (unsigned i = 0; i < move->fill; i++) {
		char name[32];

		snprintf(name, sizeof(name), "name-%08u", i);
		(void)make_file(sb, dirs[1], name);
	}
	moved = move->is_dir ? make_dir(sb, dirs[0], "old") : make_file(sb, dirs[0], "old");
	replaced = 0;
	if (move->replaces)
		replaced = move->is_dir && !(move->flags & RENAME_EXCHANGE) ?
				   make_dir(sb, dirs[1], "new") :
				   make_file(sb, dirs[1], "new");
}

static void run_move(void *arg)
{
	const struct move *move = arg;

	step_expect(rename_name(sb, &user_cred, dirs[0], "old", dirs[1], "new", move->flags) == 0,
		    "rename fails");
}

struct seek {
	const char *name;
	uint64_t at; /* or by position */
	struct dir_entry found; /* ino 0: no such entry */
};

static bool see_sought(void *arg, const struct dir_entry *entry, const char *name, unsigned len)
{
	struct seek *seek = arg;

	if (seek->name ? len == strlen(seek->name) && memcmp(name, seek->name, len) == 0
		       : entry->pos == seek->at)
		seek->found = *entry;
	return true;
}

static struct dir_entry entry_of(ino_nr parent, const char *name, uint64_t pos)
{
	struct seek seek = { .name = name, .at = pos };
	struct dir dir;

	step_expect(dir_open(sb, parent, &dir) == 0, "no directory");
	dir_walk(&dir, DIR_POS_END, see_sought, &seek);
	return seek.found;
}

/* Either it has not happened, or all of it has, or what is left of it stands in the record. */
static void attach_and_check(const struct move *move)
{
	struct super *next = step_attach(sb);
	bool old, new;

	old = look_ino(next, dirs[0], "old") == moved;
	new = look_ino(next, dirs[1], "new") == moved;
	step_expect(old != new, "attached: %s", old ? "both names lead to it" : "no name does");
	if (new && move->flags & RENAME_EXCHANGE)
		step_expect(look_ino(next, dirs[0], "old") == replaced, "attached: half an exchange");
	if (old && replaced)
		step_expect(look_ino(next, dirs[1], "new") == replaced, "attached: the target is gone");
}

static void judge_move(void *arg, bool done)
{
	const struct move *move = arg;
	const struct rename_intent *intent = &sb->rec->rename;
	const struct dir_entry old = entry_of(dirs[0], "old", 0), new = entry_of(dirs[1], "new", 0);
	const bool exchanges = move->flags & RENAME_EXCHANGE;
	const bool left = intent->ino != 0 &&
			  entry_of(intent->to_parent, NULL, intent->to_pos).ino == intent->ino;

	step_expect(new.ino == moved || new.ino == replaced, "the new name leads elsewhere");
	if (left) {
		step_expect(new.ino == moved && intent->to_pos == new.pos &&
				    intent->to_parent == dirs[1],
			    "the record's new name is another one");
		step_expect(old.ino != moved || (intent->from_pos == old.pos &&
						 intent->from_parent == dirs[0]),
			    "the record's old name is another one");
		step_expect(!exchanges || (intent->then & 0xffffffffff) == replaced,
			    "an exchange would not be finished");
	} else if (new.ino == moved) {
		step_expect(old.ino != moved, "both names lead to it, and nobody knows why");
		step_expect(!exchanges || old.ino == replaced, "half an exchange");
	} else {
		step_expect(old.ino == moved, "no name leads to it");
	}
	step_expect(!done || (new.ino == moved && intent->ino == 0), "it is not done");
	attach_and_check(move);
	step_expect(!done || !!old.ino == (move->flags & (RENAME_EXCHANGE | RENAME_WHITEOUT) ? 1 : 0),
		    "the old name");
}

START_TEST(test_a_rename_is_one_store_or_stands_in_the_record)
{
	static const struct move moves[] = {
		{ .name = "within", .within = true },
		{ .name = "across" },
		{ .name = "of a directory", .is_dir = true },
		{ .name = "replaces", .replaces = true },
		{ .name = "replaces a directory", .is_dir = true, .replaces = true },
		{ .name = "into a full block", .fill = 170 },
		{ .name = "into a full tree", .fill = 680 },
		{ .name = "exchanges", .flags = RENAME_EXCHANGE, .replaces = true },
		{ .name = "exchanges within", .flags = RENAME_EXCHANGE, .replaces = true,
		  .within = true },
		{ .name = "exchanges directory and file", .flags = RENAME_EXCHANGE, .is_dir = true,
		  .replaces = true },
		{ .name = "leaves a whiteout", .flags = RENAME_WHITEOUT },
	};

	for (size_t i = 0; i < ARRAY_SIZE(moves); i++) {
		struct step_ops ops = { start_move, run_move, judge_move, (void *)&moves[i] };

		ck_assert_uint_ge(step_all(moves[i].name, &ops), 10);
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
	tcase_add_test(tc, test_a_rename_is_one_store_or_stands_in_the_record);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
