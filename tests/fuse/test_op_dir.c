// SPDX-License-Identifier: GPL-2.0-or-later
/* test_op_dir.c - listings: every name once, and every reference given back. */
#include "tests/fuse/fixture.h"

#define NR_FILES 150

struct seen {
	unsigned count; /* all entries */
	unsigned file[NR_FILES]; /* times "fN" was listed */
	unsigned dots;
	bool give_back; /* forget what comes with attributes */
};

static void make_files(uint64_t dir)
{
	for (unsigned i = 0; i < NR_FILES; i++) {
		char name[16];

		snprintf(name, sizeof(name), "f%u", i);
		wire_forget(&wire, make_file(dir, name), 1);
	}
}

static void see(struct seen *seen, const struct fuse_dirent *dirent)
{
	char name[256];
	unsigned idx;

	ck_assert_uint_le(dirent->namelen, 255);
	memcpy(name, dirent->name, dirent->namelen);
	name[dirent->namelen] = '\0';
	seen->count++;
	if (name[0] == '.') {
		ck_assert_uint_eq(dirent->type, S_IFDIR >> 12);
		seen->dots++;
		return;
	}
	ck_assert_int_eq(sscanf(name, "f%u", &idx), 1);
	ck_assert_uint_lt(idx, NR_FILES);
	ck_assert_uint_eq(dirent->type, S_IFREG >> 12);
	seen->file[idx]++;
}

/* One request from @cookie on; returns the next cookie, or @cookie at the end. */
static uint64_t list_once(uint64_t dir, uint64_t cookie, uint32_t size, bool plus,
			  struct seen *seen)
{
	const struct fuse_read_in in = { .offset = cookie, .size = size };
	static char copy[1 << 20];
	struct wire_reply reply;

	reply = wire_call(&wire, plus ? FUSE_READDIRPLUS : FUSE_READDIR, dir, &in, sizeof(in), NULL,
			  0);
	ck_assert_int_eq(reply.error, 0);
	ck_assert_uint_le(reply.len, size);
	memcpy(copy, reply.data, reply.len);
	for (size_t pos = 0; pos < reply.len;) {
		const struct fuse_direntplus *dp = (const void *)(copy + pos);
		const struct fuse_dirent *dirent = plus ? &dp->dirent : (const void *)(copy + pos);

		see(seen, dirent);
		cookie = dirent->off;
		if (plus && dirent->name[0] == '.')
			ck_assert_uint_eq(dp->entry_out.nodeid, 0);
		if (plus && dirent->name[0] != '.') {
			ck_assert_uint_eq(dp->entry_out.nodeid, dirent->ino);
			ck_assert_uint_eq(dp->entry_out.attr.ino, dirent->ino);
			ck_assert_uint_gt(dp->entry_out.attr_valid, 1000000);
			if (seen->give_back)
				wire_forget(&wire, dp->entry_out.nodeid, 1);
		}
		pos += plus ? FUSE_DIRENTPLUS_SIZE(dp) : FUSE_DIRENT_SIZE(dirent);
	}
	return cookie;
}

static void list_all(uint64_t dir, uint32_t size, bool plus, struct seen *seen)
{
	uint64_t cookie = 0, next;

	while ((next = list_once(dir, cookie, size, plus, seen)) != cookie)
		cookie = next;
}

START_TEST(test_every_entry_is_listed_once_whatever_the_reply_size)
{
	static const uint32_t sizes[] = { 300, 512, 4096, 65536, 1 << 20 };
	const uint64_t dir = make_dir(ROOT, "d");

	make_files(dir);
	for (size_t i = 0; i < ARRAY_SIZE(sizes) * 2; i++) {
		struct seen seen = { .give_back = true };

		list_all(dir, sizes[i / 2], i % 2, &seen);
		ck_assert_uint_eq(seen.count, NR_FILES + 2);
		ck_assert_uint_eq(seen.dots, 2);
		for (unsigned f = 0; f < NR_FILES; f++)
			ck_assert_uint_eq(seen.file[f], 1);
	}
}
END_TEST

/*
 * All files are removed and forgotten; one reference too many or too few would leave inodes, or
 * free them early.
 */
static void remove_files(uint64_t dir)
{
	for (unsigned i = 0; i < NR_FILES; i++) {
		char name[16];

		snprintf(name, sizeof(name), "f%u", i);
		ck_assert_int_eq(wire_unlink(&wire, dir, name), 0);
	}
}

START_TEST(test_listing_with_attributes_gives_one_reference_each)
{
	const uint64_t dir = make_dir(ROOT, "d"), before = inodes_used();
	struct seen seen = { .give_back = true };

	make_files(dir);
	list_all(dir, 4096, true, &seen);
	remove_files(dir);
	ck_assert_uint_eq(inodes_used(), before);
}
END_TEST

START_TEST(test_listing_without_attributes_gives_none)
{
	const uint64_t dir = make_dir(ROOT, "d"), before = inodes_used();
	struct seen seen = { 0 };

	make_files(dir);
	list_all(dir, 4096, false, &seen);
	remove_files(dir);
	ck_assert_uint_eq(inodes_used(), before);
}
END_TEST

START_TEST(test_references_of_a_lost_listing_are_taken_back)
{
	const struct fuse_read_in in = { .size = 65536 };
	const uint64_t dir = make_dir(ROOT, "d"), before = inodes_used();

	make_files(dir);
	wire_interrupt_next_reply();
	ck_assert_int_eq(wire_call(&wire, FUSE_READDIRPLUS, dir, &in, sizeof(in), NULL, 0).error,
			 -EINTR);
	remove_files(dir);
	ck_assert_uint_eq(inodes_used(), before);
}
END_TEST

START_TEST(test_listing_goes_on_while_entries_come_and_go)
{
	const uint64_t dir = make_dir(ROOT, "d");
	struct seen seen = { 0 };
	uint64_t cookie = 0, next;
	unsigned round = 0;

	make_files(dir);
	while ((next = list_once(dir, cookie, 512, false, &seen)) != cookie) {
		char name[16];

		cookie = next;
		/* Odd ones go, one after the other; even ones stay all the time. */
		snprintf(name, sizeof(name), "f%u", 2 * round + 1);
		if (2 * round + 1 < NR_FILES)
			ck_assert_int_eq(wire_unlink(&wire, dir, name), 0);
		round++;
	}
	ck_assert_uint_gt(round, 5);
	for (unsigned f = 0; f < NR_FILES; f += 2)
		ck_assert_uint_eq(seen.file[f], 1);
	for (unsigned f = 1; f < NR_FILES; f += 2)
		ck_assert_uint_le(seen.file[f], 1);
}
END_TEST

START_TEST(test_reply_too_small_for_one_entry_is_an_error_not_an_end)
{
	static const uint32_t sizes[] = { 0, 8, 24 };

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		const struct fuse_read_in in = { .size = sizes[i] };

		ck_assert_int_eq(
			wire_call(&wire, FUSE_READDIR, ROOT, &in, sizeof(in), NULL, 0).error,
			-EINVAL);
		ck_assert_int_eq(
			wire_call(&wire, FUSE_READDIRPLUS, ROOT, &in, sizeof(in), NULL, 0).error,
			-EINVAL);
	}
}
END_TEST

START_TEST(test_what_is_no_directory_is_not_listed)
{
	const struct fuse_read_in in = { .size = 4096 };

	ck_assert_int_eq(
		wire_call(&wire, FUSE_READDIR, make_file(ROOT, "f"), &in, sizeof(in), NULL, 0)
			.error,
		-ENOTDIR);
	ck_assert_int_eq(wire_call(&wire, FUSE_READDIRPLUS, 4242, &in, sizeof(in), NULL, 0).error,
			 -ESTALE);
}
END_TEST

START_TEST(test_any_cookie_ends_without_harm)
{
	static const uint64_t cookies[] = { 1, 2, 3, 17, 1u << 20, INT64_MAX, UINT64_MAX };
	const uint64_t dir = make_dir(ROOT, "d");

	make_files(dir);
	for (size_t i = 0; i < ARRAY_SIZE(cookies); i++) {
		struct seen seen = { .give_back = true };

		(void)list_once(dir, cookies[i], 4096, true, &seen);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("op_dir");
	TCase *tc = tcase_create("op_dir");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_every_entry_is_listed_once_whatever_the_reply_size);
	tcase_add_test(tc, test_listing_with_attributes_gives_one_reference_each);
	tcase_add_test(tc, test_listing_without_attributes_gives_none);
	tcase_add_test(tc, test_references_of_a_lost_listing_are_taken_back);
	tcase_add_test(tc, test_listing_goes_on_while_entries_come_and_go);
	tcase_add_test(tc, test_reply_too_small_for_one_entry_is_an_error_not_an_end);
	tcase_add_test(tc, test_what_is_no_directory_is_not_listed);
	tcase_add_test(tc, test_any_cookie_ends_without_harm);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
