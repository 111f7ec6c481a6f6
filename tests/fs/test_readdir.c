// SPDX-License-Identifier: GPL-2.0-or-later
/* test_readdir.c - listings: complete, each entry once, also while the directory changes. */
#include "tests/fs/fixture.h"

enum { NR_NAMES = 4000 };

static struct super *sb;
static ino_nr dir;

static void setup(void)
{
	sb = fixture_init();
	dir = make_dir(sb, FS_ROOT_INO, "dir");
}

static void teardown(void)
{
	fixture_exit(sb);
}

/* What one call of fs_readdir() gave. */
struct page {
	unsigned room; /* entries that fit */
	unsigned nr;
	bool full;
	uint64_t cookie;
	unsigned seen[NR_NAMES]; /* how often, over all calls; names are numbers */
	unsigned others, dots;
	ino_nr dot_ino, dotdot_ino;
	bool plus;
};

static bool emit(void *arg, const struct fs_dirent *found)
{
	struct page *page = arg;
	char text[FS_NAME_MAX + 1];

	if (page->nr == page->room) {
		page->full = true;
		return false;
	}
	page->nr++;
	/* Small, for programs whose file offsets have 32 bits. */
	ck_assert_uint_ne(found->next_cookie, page->cookie);
	ck_assert_uint_lt(found->next_cookie, 1u << 20);
	page->cookie = found->next_cookie;
	memcpy(text, found->name, found->name_len);
	text[found->name_len] = '\0';
	if (text[0] == '.') {
		ck_assert_ptr_null(found->attributes);
		ck_assert_uint_eq(found->type, S_IFDIR);
		*(strcmp(text, ".") == 0 ? &page->dot_ino : &page->dotdot_ino) = found->ino;
		page->dots++;
		return true;
	}
	ck_assert_int_eq(found->attributes != NULL, page->plus);
	if (found->attributes != NULL) {
		ck_assert_uint_eq(found->attributes->ino, found->ino);
		ck_assert_uint_eq(found->attributes->attr.st_ino, found->ino);
		ck_assert_uint_eq(found->attributes->attr.st_mode & S_IFMT, found->type);
	}
	if (text[0] >= '0' && text[0] <= '9' && strtoul(text, NULL, 10) < NR_NAMES)
		page->seen[strtoul(text, NULL, 10)]++;
	else
		page->others++;
	return true;
}

static void name_of(char name[32], unsigned i)
{
	snprintf(name, 32, "%u%.*s", i, (int)(i % 20), "-------------------");
}

static void add(unsigned i)
{
	char name[32];

	name_of(name, i);
	fs_forget(sb, make_file(sb, dir, name), 1);
}

static void del(unsigned i)
{
	char name[32];

	name_of(name, i);
	ck_assert_int_eq(fs_unlink(sb, dir, name), 0);
}

/* One request; false at the end of the directory. */
static bool read_page(struct page *page, unsigned room)
{
	page->room = room;
	page->nr = 0;
	page->full = false;
	ck_assert_int_eq(fs_readdir(sb, dir, page->cookie, page->plus, emit, page), 0);
	return page->nr > 0;
}

START_TEST(test_empty_directory_has_two_entries)
{
	struct page page = { 0 };

	ck_assert(read_page(&page, 10));
	ck_assert_uint_eq(page.nr, 2);
	ck_assert_uint_eq(page.dot_ino, dir);
	ck_assert_uint_eq(page.dotdot_ino, FS_ROOT_INO);
	ck_assert(!read_page(&page, 10));
}
END_TEST

START_TEST(test_every_entry_comes_once_whatever_the_page)
{
	static const unsigned rooms[] = { 1, 2, 3, 50, 10000 };

	for (unsigned i = 0; i < NR_NAMES; i++)
		add(i);
	for (size_t r = 0; r < ARRAY_SIZE(rooms); r++) {
		struct page page = { .plus = r == 3 };

		while (read_page(&page, rooms[r]))
			;
		for (unsigned i = 0; i < NR_NAMES; i++)
			ck_assert_uint_eq(page.seen[i], 1);
		ck_assert_uint_eq(page.dots, 2);
		ck_assert_uint_eq(page.others, 0);
	}
	/* the one listing with attributes gave references */
	for (unsigned i = 0; i < NR_NAMES; i++) {
		char name[32];
		ino_nr ino;

		name_of(name, i);
		ino = look_ino(sb, dir, name);
		ck_assert_uint_eq(inode_get(sb, ino)->nlookup, 1);
		fs_forget(sb, ino, 1);
	}
}
END_TEST

START_TEST(test_declined_entry_gives_no_reference)
{
	struct page page = { .plus = true };

	add(1);
	add(2);
	ck_assert(read_page(&page, 3));
	ck_assert(page.full);
	/* The one made last comes first. */
	ck_assert_uint_eq(inode_get(sb, look_ino(sb, dir, "2--"))->nlookup, 1);
	ck_assert_uint_eq(inode_get(sb, look_ino(sb, dir, "1-"))->nlookup, 0);
}
END_TEST

/* A third of the names stays, the others come and go between the requests. */
START_TEST(test_what_stays_is_listed_once_while_others_come_and_go)
{
	uint64_t state = zt_seed();
	static bool present[NR_NAMES];

	for (unsigned round = 0; round < 6; round++) {
		struct page page = { 0 };

		for (unsigned i = 0; i < NR_NAMES; i++)
			if (!present[i] && (i % 3 == 0 || zt_random(&state) % 2)) {
				add(i);
				present[i] = true;
			}
		while (read_page(&page, 1 + (unsigned)(zt_random(&state) % 64)))
			for (unsigned n = 0; n < 40; n++) {
				unsigned i = (unsigned)(zt_random(&state) % NR_NAMES);

				if (i % 3 == 0)
					continue;
				if (present[i])
					del(i);
				else
					add(i);
				present[i] = !present[i];
			}
		for (unsigned i = 0; i < NR_NAMES; i += 3)
			ck_assert_uint_eq(page.seen[i], 1);
	}
	ck_assert_int_eq(super_check(sb), 0);
}
END_TEST

/* What rm -r does: list a page, remove what it has, go on. */
START_TEST(test_removing_while_listing_removes_all)
{
	struct page page = { 0 };

	for (unsigned i = 0; i < NR_NAMES; i++)
		add(i);
	for (;;) {
		unsigned before[NR_NAMES];

		memcpy(before, page.seen, sizeof(before));
		if (!read_page(&page, 100))
			break;
		for (unsigned i = 0; i < NR_NAMES; i++)
			if (page.seen[i] > before[i])
				del(i);
	}
	ck_assert_int_eq(fs_rmdir(sb, FS_ROOT_INO, "dir"), 0);
	fs_forget(sb, dir, 1);
	ck_assert_uint_eq(fixture_meta_objects(sb), 0);
}
END_TEST

/* Makes or renames a name for each one that is listed: @nr_calls at most. Return: names listed. */
static unsigned list_and_make(unsigned nr_calls, bool rename, bool link)
{
	static unsigned made = 1000;
	struct page page = { 0 };
	unsigned nr = 0;

	while (nr < nr_calls && read_page(&page, 3)) {
		nr += page.nr;
		for (unsigned i = 0; i < NR_NAMES && made < NR_NAMES; i++) {
			char old[32], new[32];
			struct fs_moved moved;
			struct fs_entry entry;

			if (!page.seen[i])
				continue;
			page.seen[i] = 0;
			name_of(old, i);
			name_of(new, made++);
			if (rename)
				ck_assert_int_eq(fs_rename(sb, &root_cred, dir, old, dir, new, 0,
							   &moved),
						 0);
			else if (link)
				ck_assert_int_eq(fs_link(sb, look_ino(sb, dir, old), dir, new,
							 &entry),
						 0);
			else
				add(made - 1);
		}
	}
	return nr - page.dots;
}

/* As on tmpfs, ext4 and btrfs: 500 names are 500, not one more for each. */
START_TEST(test_listing_ends_though_each_name_makes_another)
{
	for (unsigned i = 0; i < 500; i++)
		add(i);
	/* A few at most stand in gaps that were left at the ends of blocks. */
	ck_assert_uint_le(list_and_make(3500, false, false), 510);
	ck_assert_uint_le(list_and_make(3500, false, true), 1010 + 10);
}
END_TEST

START_TEST(test_listing_ends_though_each_name_is_renamed)
{
	for (unsigned i = 0; i < 500; i++)
		add(i);
	ck_assert_uint_le(list_and_make(3500, true, false), 750);
}
END_TEST

START_TEST(test_wild_cookies_are_harmless)
{
	static const uint64_t cookies[] = { 3,   7,        511,        512,        513,
					    514, 1u << 20, 1ull << 32, UINT64_MAX, INT64_MAX };

	for (unsigned i = 0; i < 100; i++)
		add(i);
	for (size_t i = 0; i < ARRAY_SIZE(cookies); i++) {
		struct page page = { 0 };

		page.room = 1000;
		ck_assert_int_eq(fs_readdir(sb, dir, cookies[i], false, emit, &page), 0);
		ck_assert_uint_le(page.nr, 100);
	}
}
END_TEST

START_TEST(test_listing_sets_atime)
{
	struct page page = { 0 };

	inode_get(sb, dir)->times[FS_ATIME] = 1;
	read_page(&page, 10);
	ck_assert_int_gt(attr_of(sb, dir).st_atim.tv_sec, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("readdir");
	TCase *tc = tcase_create("readdir");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_empty_directory_has_two_entries);
	tcase_add_test(tc, test_every_entry_comes_once_whatever_the_page);
	tcase_add_test(tc, test_declined_entry_gives_no_reference);
	tcase_add_test(tc, test_what_stays_is_listed_once_while_others_come_and_go);
	tcase_add_test(tc, test_removing_while_listing_removes_all);
	tcase_add_test(tc, test_listing_ends_though_each_name_makes_another);
	tcase_add_test(tc, test_listing_ends_though_each_name_is_renamed);
	tcase_add_test(tc, test_wild_cookies_are_harmless);
	tcase_add_test(tc, test_listing_sets_atime);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
