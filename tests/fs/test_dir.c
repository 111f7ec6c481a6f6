// SPDX-License-Identifier: GPL-2.0-or-later
/* test_dir.c - a directory as a set of names: growth from nothing to many blocks and back. */
#include "fs/dir.h"
#include "fs/dirblock.h"
#include "fs/dirindex.h"
#include "tests/fs/fixture.h"
#include "util/alloc.h"

/* Names lead to numbers that are no inodes: only the directory itself is looked at. */
#define FAKE_INO(i) ((ino_nr)(i) + 1000)

static struct super *sb;
static struct dir dir;
static uint64_t objects_before;

static void setup(void)
{
	sb = fixture_init();
	ck_assert_int_eq(dir_open(sb, make_dir(sb, FS_ROOT_INO, "dir"), &dir), 0);
	objects_before = fixture_meta_objects(sb);
}

static void teardown(void)
{
	fixture_exit(sb);
}

static struct fs_name name_of(unsigned i)
{
	static char text[FS_NAME_MAX + 1];
	struct fs_name name;
	int len;

	memset(text, 'x', sizeof(text));
	len = snprintf(text, sizeof(text), "%u", i);
	text[len] = 'x';
	text[len + (int)(i * 7 % 40)] = '\0';
	ck_assert_int_eq(fs_name_init(sb, text, &name), 0);
	return name;
}

static int add(unsigned i)
{
	struct fs_name name = name_of(i);

	return dir_add(&dir, &name, FAKE_INO(i), 8);
}

static uint64_t pos_of(unsigned i)
{
	struct fs_name name = name_of(i);
	struct dir_entry entry;

	if (dir_find(&dir, &name, &entry) != 0)
		return UINT64_MAX;
	ck_assert_uint_eq(entry.ino, FAKE_INO(i));
	ck_assert_uint_eq(entry.type, 8);
	return entry.pos;
}

static void remove_name(unsigned i)
{
	struct fs_name name = name_of(i);
	uint64_t pos = pos_of(i);

	ck_assert_uint_ne(pos, UINT64_MAX);
	dir_remove(&dir, &name, pos);
}

static void check_dir(void)
{
	uint64_t objects = 0;

	ck_assert_int_eq(dir_check(&dir, &objects), 0);
	ck_assert_uint_eq(fixture_meta_objects(sb), objects_before + objects);
}

START_TEST(test_names_stay_at_their_positions_while_the_directory_grows)
{
	enum { NR = 3000 };
	static uint64_t pos[NR];

	for (unsigned i = 0; i < NR; i++) {
		ck_assert_uint_eq(pos_of(i), UINT64_MAX);
		ck_assert_int_eq(add(i), 0);
		pos[i] = pos_of(i);
		ck_assert_uint_ne(pos[i], UINT64_MAX);
		if (i < 300)
			check_dir();
	}
	ck_assert_uint_eq(dir_nr_entries(&dir), NR);
	for (unsigned i = 0; i < NR; i++)
		ck_assert_uint_eq(pos_of(i), pos[i]);
	check_dir();
	for (unsigned i = 0; i < NR; i++) {
		remove_name(i);
		ck_assert_uint_eq(pos_of(i), UINT64_MAX);
	}
	check_dir();
}
END_TEST

START_TEST(test_first_names_need_one_small_block)
{
	ref_t ref;

	ck_assert_int_eq(add(0), 0);
	ref = dir_word_ref(dir.rec->tree_word);
	ck_assert_uint_eq(tree_shape(&(struct tree){ &dir.rec->tree_word }), 0);
	ck_assert_uint_eq(zs_size(sb->arena, ref), 56);
	remove_name(0);
	ck_assert_uint_eq(dir.rec->tree_word, 0);
	check_dir();
}
END_TEST

/* The only block takes what just fits it, and no larger one is made. */
START_TEST(test_a_name_that_just_fits_needs_no_larger_block)
{
	struct dirblock_space space = { 0 };
	char text[FS_NAME_MAX + 1];
	struct dir_entry entry;
	struct fs_name name;
	unsigned len = 1;
	ref_t ref;

	for (unsigned i = 0; i < 4; i++)
		ck_assert_int_eq(add(i), 0);
	ref = dir_word_ref(dir.rec->tree_word);
	dirblock_scan(zs_data(sb->arena, ref), zs_size(sb->arena, ref) / 8, &space);
	ck_assert_uint_gt(space.gap, 0);
	while (dirent_units_for(len) < space.gap)
		len++;
	ck_assert_uint_eq(dirent_units_for(len), space.gap);
	memset(text, 'y', len);
	text[len] = '\0';
	ck_assert_int_eq(fs_name_init(sb, text, &name), 0);
	ck_assert_int_eq(dir_add(&dir, &name, FAKE_INO(4), 8), 0);
	ck_assert_uint_eq(dir_word_ref(dir.rec->tree_word), ref);
	check_dir();
	ck_assert_int_eq(dir_find(&dir, &name, &entry), 0);
	dir_remove(&dir, &name, entry.pos);
	for (unsigned i = 0; i < 4; i++)
		remove_name(i);
}
END_TEST

START_TEST(test_memory_comes_back_block_by_block)
{
	enum { NR = 5000 };
	uint64_t full, half;

	for (unsigned i = 0; i < NR; i++)
		ck_assert_int_eq(add(i), 0);
	full = fixture_meta_objects(sb) - objects_before;
	for (unsigned i = NR / 4; i < NR * 3 / 4; i++)
		remove_name(i);
	check_dir();
	half = fixture_meta_objects(sb) - objects_before;
	ck_assert_uint_lt(half, full * 6 / 10);
	/* and what was given back is used again before the directory grows */
	for (unsigned i = NR / 4; i < NR * 3 / 4; i++)
		ck_assert_int_eq(add(i), 0);
	ck_assert_uint_le(fixture_meta_objects(sb) - objects_before, full + 1);
	check_dir();
	for (unsigned i = NR; i-- > 0;)
		remove_name(i);
	ck_assert_uint_eq(fixture_meta_objects(sb), objects_before);
	ck_assert_uint_eq(dir.rec->tree_word, 0);
	ck_assert_ptr_null(dirindex_get(sb, dir.ino));
	check_dir();
}
END_TEST

START_TEST(test_missing_index_is_made_from_the_blocks)
{
	enum { NR = 2000 };
	static uint64_t pos[NR];
	struct fs_name name;
	struct dir_entry entry;

	for (unsigned i = 0; i < NR; i++)
		ck_assert_int_eq(add(i), 0);
	for (unsigned i = 0; i < NR; i += 3)
		remove_name(i);
	for (unsigned i = 0; i < NR; i++)
		pos[i] = pos_of(i);
	dirindex_drop(sb, dir.ino);
	name = name_of(1);
	ck_assert_int_eq(dir_find(&dir, &name, &entry), -EAGAIN);
	ck_assert_int_eq(dir_make_index(&dir), 0);
	for (unsigned i = 0; i < NR; i++)
		ck_assert_uint_eq(pos_of(i), pos[i]);
	check_dir();
	for (unsigned i = 0; i < NR; i++)
		if (i % 3)
			remove_name(i);
	check_dir();
}
END_TEST

struct visit {
	uint64_t last, nr, stop_after;
};

static bool visit_name(void *arg, const struct dir_entry *entry, const char *text, unsigned len)
{
	struct visit *visit = arg;

	(void)text;
	ck_assert_uint_gt(len, 0);
	ck_assert(visit->nr == 0 || entry->pos < visit->last);
	visit->last = entry->pos;
	return ++visit->nr != visit->stop_after;
}

START_TEST(test_walk_goes_down_from_a_position_and_stops_when_told)
{
	struct visit visit = { 0 };

	dir_walk(&dir, DIR_POS_END, visit_name, &visit);
	ck_assert_uint_eq(visit.nr, 0);
	for (unsigned i = 0; i < 1000; i++)
		ck_assert_int_eq(add(i), 0);
	dir_walk(&dir, DIR_POS_END, visit_name, &visit);
	ck_assert_uint_eq(visit.nr, 1000);

	for (unsigned i = 0; i < 1000; i += 50) {
		uint64_t pos = pos_of(i), before = 0;

		for (unsigned j = 0; j < 1000; j++)
			before += pos_of(j) < pos;
		visit = (struct visit){ 0 };
		dir_walk(&dir, pos, visit_name, &visit);
		ck_assert_uint_eq(visit.nr, before);
		visit = (struct visit){ .stop_after = 1 };
		dir_walk(&dir, pos + 1, visit_name, &visit);
		ck_assert_uint_eq(visit.nr, 1);
		ck_assert_uint_eq(visit.last, pos);
	}
	for (unsigned i = 0; i < 1000; i++)
		remove_name(i);
}
END_TEST

START_TEST(test_replaced_name_leads_elsewhere)
{
	struct fs_name name;
	struct dir_entry entry;

	for (unsigned i = 0; i < 1000; i++)
		ck_assert_int_eq(add(i), 0);
	name = name_of(777);
	dir_replace(&dir, pos_of(777), 4242, 4);
	ck_assert_int_eq(dir_find(&dir, &name, &entry), 0);
	ck_assert_uint_eq(entry.ino, 4242);
	ck_assert_uint_eq(entry.type, 4);
	dir_replace(&dir, entry.pos, FAKE_INO(777), 8);
	for (unsigned i = 0; i < 1000; i++)
		remove_name(i);
}
END_TEST

/*
 * Every allocation of every growth fails: the name is not added, nothing else changes, and then it
 * works.
 */
START_TEST(test_want_of_memory_while_growing_changes_nothing)
{
	unsigned failures = 0;

	for (unsigned i = 0; i < 1500; i++) {
		int err = -ENOMEM;

		for (long n = 1; err; n++) {
			uint64_t nr = dir_nr_entries(&dir);

			zs_trim(sb->meta, 0);
			if (i % 2)
				zt_fault_set_from(n);
			else
				zt_fault_set(n);
			err = add(i);
			zt_fault_set(0);
			if (!err)
				break;
			failures++;
			ck_assert_msg(err == -ENOMEM || err == -ENOSPC, "%d", err);
			ck_assert_uint_eq(dir_nr_entries(&dir), nr);
			ck_assert_uint_eq(pos_of(i), UINT64_MAX);
			check_dir();
			ck_assert_int_lt(n, 100);
		}
	}
	ck_assert_uint_gt(failures, 20);
	for (unsigned i = 0; i < 1500; i++)
		remove_name(i);
	check_dir();
	ck_assert_uint_eq(fixture_meta_objects(sb), objects_before);
}
END_TEST

static bool block_is_not_full(unsigned next)
{
	struct dirblock_space space = { .gap = DIRBLOCK_UNITS };
	ref_t ref = dir_word_ref(dir.rec->tree_word);

	if (ref != 0 && zs_size(sb->arena, ref) == DIRBLOCK_UNITS * 8)
		dirblock_scan(zs_data(sb->arena, ref), DIRBLOCK_UNITS, &space);
	return space.gap >= dirent_units_for(name_of(next).len);
}

/*
 * The step to two blocks, where the index comes into being, with every allocation failing and all
 * behind it.
 */
START_TEST(test_want_of_memory_at_the_second_block_leaves_no_index)
{
	unsigned i = 0, failures = 0;
	int err = -ENOMEM;

	while (block_is_not_full(i))
		ck_assert_int_eq(add(i++), 0);
	for (long n = 1; err; n++) {
		zs_trim(sb->meta, 0);
		zt_fault_set_from(n);
		err = add(i);
		zt_fault_set(0);
		if (!err)
			break;
		failures++;
		check_dir();
		ck_assert_uint_eq(tree_shape(&(struct tree){ &dir.rec->tree_word }), 0);
		ck_assert_ptr_null(dirindex_get(sb, dir.ino));
	}
	ck_assert_uint_ge(failures, 5);
	check_dir();
	do {
		remove_name(i);
	} while (i-- > 0);
}
END_TEST

/* Names of full length: fifteen to a block. One assertion each would take most of the time. */
static struct fs_name long_name_of(unsigned i)
{
	static char text[FS_NAME_MAX + 1];
	int len = snprintf(text, sizeof(text), "%u", i);
	struct fs_name name;

	memset(text + len, 'x', sizeof(text) - 1 - (size_t)len);
	if (fs_name_init(sb, text, &name))
		ck_abort_msg("name %u", i);
	return name;
}

static int add_long(unsigned i)
{
	struct fs_name name = long_name_of(i);

	return dir_add(&dir, &name, FAKE_INO(i), 8);
}

static void remove_long(unsigned i)
{
	struct fs_name name = long_name_of(i);
	struct dir_entry entry;

	if (dir_find(&dir, &name, &entry))
		ck_abort_msg("name %u", i);
	dir_remove(&dir, &name, entry.pos);
}

/*
 * A block that needs two new tree nodes, the second of which cannot be had: the first must not
 * stay.
 */
START_TEST(test_want_of_memory_for_the_second_of_two_nodes_leaves_none)
{
	/* so many long names fill as many blocks as one level of nodes covers */
	enum { NR = 64 * 64 * 15 };
	ref_t padding[32];
	unsigned failures = 0;

	for (unsigned i = 0; i < NR; i++)
		if (add_long(i))
			ck_abort_msg("name %u", i);
	/* the shape that covers one block more stays */
	ck_assert_int_eq(add_long(NR), 0);
	remove_long(NR);
	for (unsigned k = 0; k < ARRAY_SIZE(padding); k++) {
		uint64_t before = fixture_meta_objects(sb);
		int err = -ENOMEM;

		for (long n = 1; err; n++) {
			zs_trim(sb->meta, 0);
			zt_fault_set_from(n);
			err = add_long(NR);
			zt_fault_set(0);
			failures += err != 0;
			if (err)
				ck_assert_uint_eq(fixture_meta_objects(sb), before);
		}
		remove_long(NR);
		/* moves the place where the class of the nodes needs its next page */
		ck_assert_int_eq(zs_malloc(sb->meta, 64 * 8, &padding[k]), 0);
	}
	ck_assert_uint_gt(failures, 5);
	for (unsigned k = 0; k < ARRAY_SIZE(padding); k++)
		zs_free(sb->meta, padding[k]);
	check_dir();
	for (unsigned i = 0; i < NR; i++)
		remove_long(i);
	ck_assert_uint_eq(fixture_meta_objects(sb), objects_before);
}
END_TEST

START_TEST(test_check_sees_damage)
{
	const struct tree tree = { .word = &dir.rec->tree_word };
	uint64_t objects = 0, *block, header;

	for (unsigned i = 0; i < 500; i++)
		ck_assert_int_eq(add(i), 0);
	zt_log_set_sink(NULL);
	dir.rec->nr_pages++;
	ck_assert_int_eq(dir_check(&dir, &objects), -EUCLEAN);
	dir.rec->nr_pages--;
	dirindex_remove(dirindex_get(sb, dir.ino), name_of(3).hash, (uint32_t)pos_of(3));
	ck_assert_int_eq(dir_check(&dir, &objects), -EUCLEAN);
	dirindex_drop(sb, dir.ino);
	ck_assert_int_eq(dir_make_index(&dir), 0);

	/* the same name a second time, in place of another one of its length */
	block = zs_data(sb->arena, dir_word_ref(*tree_slot(sb->arena, &tree, 0)));
	header = block[0];
	block[0] = 0;
	ck_assert_int_eq(dir_check(&dir, &objects), -EUCLEAN);
	block[0] = header;
	zt_log_set_sink(zt_check_log);
	check_dir();
	for (unsigned i = 0; i < 500; i++)
		remove_name(i);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("dir");
	TCase *tc = tcase_create("dir");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_names_stay_at_their_positions_while_the_directory_grows);
	tcase_add_test(tc, test_first_names_need_one_small_block);
	tcase_add_test(tc, test_a_name_that_just_fits_needs_no_larger_block);
	tcase_add_test(tc, test_memory_comes_back_block_by_block);
	tcase_add_test(tc, test_missing_index_is_made_from_the_blocks);
	tcase_add_test(tc, test_walk_goes_down_from_a_position_and_stops_when_told);
	tcase_add_test(tc, test_replaced_name_leads_elsewhere);
	tcase_add_test(tc, test_want_of_memory_while_growing_changes_nothing);
	tcase_add_test(tc, test_want_of_memory_at_the_second_block_leaves_no_index);
	tcase_add_test(tc, test_want_of_memory_for_the_second_of_two_nodes_leaves_none);
	tcase_add_test(tc, test_check_sees_damage);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
