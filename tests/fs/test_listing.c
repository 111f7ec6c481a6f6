// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_listing.c - what is in an image, name by name, as the mount that was saved had it. Tests listing.c, and
 * super_borrow_names() of image.c.
 */
#include <limits.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "blkmap/spilled.h"
#include "fs/image.h"
#include "fs/listing.h"
#include "tests/fs/attach_fixture.h"
#include "util/alloc.h"

static char path[64];

static void setup(void)
{
	snprintf(path, sizeof(path), "/tmp/ztmpfs-listing-%d", (int)getpid());
}

static void teardown(void)
{
	(void)unlink(path);
}

static int open_file(int flags)
{
	const int fd = open(path, flags | O_CLOEXEC, 0644);

	ck_assert_int_ge(fd, 0);
	return fd;
}

static void save(struct super *sb)
{
	const int fd = open_file(O_RDWR | O_CREAT | O_TRUNC);

	ck_assert_int_eq(super_save(sb, fd), 0);
	close(fd);
}

static int try_open(char text[256], struct listing **out_listing)
{
	const int fd = open_file(O_RDONLY);
	int err;

	text[0] = '\0';
	err = listing_open(fd, path, text, out_listing);
	close(fd);
	if (err)
		ck_assert_str_ne(text, "");
	return err;
}

static struct listing *open_listing(void)
{
	struct listing *listing = NULL;
	char text[256];
	const int err = try_open(text, &listing);

	ck_assert_msg(err == 0, "%d %s", err, text);
	return listing;
}

/* ---- beside the mount ---- */

struct compare {
	struct super *sb;
	char last[PATH_MAX];
	unsigned nr, links, targets;
};

/* By names, one after the other. */
static ino_nr walk_to(struct super *sb, const char *to)
{
	ino_nr ino = FS_ROOT_INO;
	char name[FS_NAME_MAX + 1];

	if (strcmp(to, ".") == 0)
		return ino;
	while (*to != '\0') {
		const size_t len = strcspn(to, "/");

		memcpy(name, to, len);
		name[len] = '\0';
		ino = look_ino(sb, ino, name);
		ck_assert_msg(ino != 0, "%s", name);
		to += len + (to[len] == '/');
	}
	return ino;
}

static bool compare_one(void *arg, const struct listed *file)
{
	struct compare *compare = arg;
	const ino_nr ino = walk_to(compare->sb, file->path);
	const struct stat attr = attr_of(compare->sb, ino);
	struct ztmpfs_file_stat usage;

	ck_assert(compare->nr < 2 || strcmp(compare->last, file->path) != 0);
	snprintf(compare->last, sizeof(compare->last), "%s", file->path);
	compare->nr++;
	ck_assert_uint_eq(file->attr.st_ino, attr.st_ino);
	ck_assert_uint_eq(file->attr.st_mode, attr.st_mode);
	ck_assert_uint_eq(file->attr.st_nlink, attr.st_nlink);
	ck_assert_int_eq(file->attr.st_size, attr.st_size);
	ck_assert_int_eq(file->attr.st_blocks, attr.st_blocks);
	ck_assert_int_eq(file->attr.st_mtim.tv_nsec, attr.st_mtim.tv_nsec);
	ck_assert_int_eq(fs_file_stat(compare->sb, ino, &usage), 0);
	ck_assert_uint_eq(file->usage.objects + file->usage.objects_out, usage.objects + usage.objects_out);
	ck_assert_uint_eq(file->usage.allocated, usage.allocated);
	ck_assert_uint_eq(file->usage.out, usage.out);
	/* A place is larger than what is in it by the distance of two classes. */
	ck_assert_uint_ge(file->usage.stored, usage.stored);
	ck_assert_uint_le(file->usage.stored, usage.stored + usage.stored / 4 + 64 * usage.objects);
	for (size_t i = 0; i < ZTMPFS_FILE_CODECS; i++) {
		ck_assert_str_eq(file->usage.codecs[i].name, usage.codecs[i].name);
		ck_assert_uint_eq(file->usage.codecs[i].pages, usage.codecs[i].pages);
	}
	if (file->target) {
		char target[FS_SYMLINK_MAX + 1];

		ck_assert_int_eq(fs_readlink(compare->sb, ino, target), 0);
		ck_assert_str_eq(file->target, target);
		compare->targets++;
	}
	if (file->first) {
		ck_assert_uint_eq(walk_to(compare->sb, file->first), ino);
		ck_assert_str_ne(file->first, file->path);
		compare->links++;
	}
	return true;
}

static struct compare compare_with(struct super *sb)
{
	struct compare compare = { .sb = sb };
	struct listing *listing = open_listing();

	ck_assert_int_eq(listing_each(listing, compare_one, &compare), 0);
	listing_close(listing);
	return compare;
}

START_TEST(test_all_names_are_told_as_the_mount_has_them)
{
	struct super *sb = fixture_init();
	struct ztmpfs_stat stat;
	struct compare compare;

	make_tree(sb);
	super_get_stat(sb, &stat);
	save(sb);
	compare = compare_with(sb);
	/* Of all inodes one has a second name. */
	ck_assert_uint_eq(compare.nr, stat.inodes_used + 1);
	ck_assert_uint_eq(compare.links, 1);
	ck_assert_uint_eq(compare.targets, 2);
	super_destroy(sb);
}
END_TEST

static bool count_one(void *arg, const struct listed *file)
{
	(void)file;
	++*(unsigned *)arg;
	return true;
}

static bool stop_at_ten(void *arg, const struct listed *file)
{
	(void)file;
	return ++*(unsigned *)arg < 10;
}

START_TEST(test_a_walk_can_be_ended_and_begun_again)
{
	unsigned nr = 0, all = 0, again = 0;
	struct super *sb = fixture_init();
	struct listing *listing;

	make_tree(sb);
	save(sb);
	super_destroy(sb);
	listing = open_listing();
	ck_assert_int_eq(listing_each(listing, stop_at_ten, &nr), 0);
	ck_assert_uint_eq(nr, 10);
	ck_assert_int_eq(listing_each(listing, count_one, &all), 0);
	ck_assert_int_eq(listing_each(listing, count_one, &again), 0);
	ck_assert_uint_gt(all, TREE_FILES);
	ck_assert_uint_eq(all, again);
	listing_close(listing);
}
END_TEST

START_TEST(test_an_empty_mount_has_a_root)
{
	struct super *sb = fixture_init();
	struct compare compare;

	save(sb);
	compare = compare_with(sb);
	ck_assert_uint_eq(compare.nr, 1);
	ck_assert_str_eq(compare.last, ".");
	super_destroy(sb);
}
END_TEST

/* ---- what need not be there ---- */

START_TEST(test_no_algorithm_and_no_dictionary_is_needed)
{
	struct super_params params = packing_params();
	static const char dict[4096] = "some text that repeats, as files here have it";
	struct super *sb;
	struct compare compare;

	params.content.comp.name = "zstd";
	params.content.comp.dict = dict;
	params.content.comp.dict_size = sizeof(dict);
	sb = fixture_init_params(&params);
	make_tree(sb);
	(void)blkmap_recompress(sb->map, 0);
	save(sb);
	compare = compare_with(sb);
	ck_assert_uint_gt(compare.nr, TREE_FILES);
	super_destroy(sb);
}
END_TEST

/* A module's name, which no program has without that module. */
START_TEST(test_an_algorithm_that_nobody_has_is_told_by_its_name)
{
	struct super *sb = fixture_init();
	struct listing *listing;
	unsigned nr = 0;

	make_tree(sb);
	snprintf(sb->rec->format.compress, sizeof(sb->rec->format.compress), "of-a-module");
	sb->rec->format.sum = (uint32_t)keyhash(&(struct keyhash_key){ SUPER_MAGIC, SUPER_VERSION },
						&sb->rec->format, offsetof(struct super_format, sum));
	save(sb);
	super_destroy(sb);
	listing = open_listing();
	ck_assert_str_eq(listing_header(listing)->facts.compress, "of-a-module");
	ck_assert_int_eq(listing_each(listing, count_one, &nr), 0);
	ck_assert_uint_gt(nr, TREE_FILES);
	listing_close(listing);
}
END_TEST

START_TEST(test_what_was_in_a_spill_file_is_told)
{
	struct super_params params = fixture_params();
	struct ztmpfs_stat stat;
	struct compare compare;
	struct super *sb;

	params.content.spill_fd = memfd_create("spill", MFD_CLOEXEC);
	params.content.spill_size = 64 << 20;
	ck_assert_int_ge(params.content.spill_fd, 0);
	sb = fixture_init_params(&params);
	make_tree(sb);
	ck_assert_uint_gt(blkmap_spill_now(sb->map, 0, UINT64_MAX), 0);
	super_get_stat(sb, &stat);
	ck_assert_uint_gt(stat.spill_bytes, 0);
	save(sb);
	compare = compare_with(sb);
	ck_assert_uint_gt(compare.nr, TREE_FILES);
	super_destroy(sb);
	close(params.content.spill_fd);
}
END_TEST

/* ---- shapes ---- */

struct deepest {
	size_t len;
	unsigned nr;
	size_t first;
};

static bool note_length(void *arg, const struct listed *file)
{
	struct deepest *deepest = arg;

	deepest->len = max_u64(deepest->len, strlen(file->path));
	if (file->first)
		deepest->first = strlen(file->first);
	deepest->nr++;
	return true;
}

#define LEVELS 100u

START_TEST(test_a_path_may_be_longer_than_any_call_takes)
{
	struct deepest deepest = { .len = 0 };
	struct super *sb = fixture_init();
	ino_nr dir = FS_ROOT_INO, file;
	struct listing *listing;
	struct fs_entry entry;
	char name[201];

	memset(name, 'd', 200);
	name[200] = '\0';
	for (unsigned i = 0; i < LEVELS; i++) {
		const ino_nr sub = make_dir(sb, dir, name);

		if (dir != FS_ROOT_INO)
			fs_forget(sb, dir, 1);
		dir = sub;
	}
	file = make_file(sb, dir, "a");
	ck_assert_int_eq(fs_link(sb, file, dir, "b", &entry), 0);
	fs_forget(sb, file, 2);
	fs_forget(sb, dir, 1);
	save(sb);
	super_destroy(sb);
	listing = open_listing();
	ck_assert_int_eq(listing_each(listing, note_length, &deepest), 0);
	listing_close(listing);
	ck_assert_uint_eq(deepest.len, LEVELS * 201 + 1);
	ck_assert_uint_eq(deepest.first, LEVELS * 201 + 1);
	ck_assert_uint_eq(deepest.nr, LEVELS + 3);
	ck_assert_uint_gt(deepest.len, 4 * PATH_MAX);
}
END_TEST

struct order {
	char last[FS_NAME_MAX + 1];
	unsigned nr, links;
};

static bool expect_order(void *arg, const struct listed *file)
{
	struct order *order = arg;

	if (strcmp(file->path, ".") == 0)
		return true;
	ck_assert_int_lt(strcmp(order->last, file->path), 0);
	snprintf(order->last, sizeof(order->last), "%s", file->path);
	order->nr++;
	if (file->first) {
		ck_assert_str_eq(file->first, "0");
		order->links++;
	}
	return true;
}

START_TEST(test_names_come_in_order_and_links_name_the_first)
{
	struct super *sb = fixture_init();
	struct order order = { .nr = 0 };
	struct listing *listing;
	struct fs_entry entry;
	ino_nr ino = make_file(sb, FS_ROOT_INO, "5000");
	char name[16];

	for (unsigned i = 0; i < 9000; i++) {
		snprintf(name, sizeof(name), "%u", i);
		if (i == 5000)
			continue;
		if (i % 9 == 0)
			ck_assert_int_eq(fs_link(sb, ino, FS_ROOT_INO, name, &entry), 0);
		else
			fs_forget(sb, make_file(sb, FS_ROOT_INO, name), 1);
	}
	save(sb);
	super_destroy(sb);
	listing = open_listing();
	ck_assert_int_eq(listing_each(listing, expect_order, &order), 0);
	listing_close(listing);
	ck_assert_uint_eq(order.nr, 9000);
	ck_assert_uint_eq(order.links, 1000);
}
END_TEST

/* ---- what is not whole ---- */

static void poke(off_t at, unsigned char change)
{
	const int fd = open_file(O_RDWR);
	unsigned char byte;

	ck_assert_int_eq(pread(fd, &byte, 1, at), 1);
	byte ^= change;
	ck_assert_int_eq(pwrite(fd, &byte, 1, at), 1);
	close(fd);
}

#ifdef ZT_SANITIZERS
#define FLIP_STEP 20011
#else
#define FLIP_STEP 3001
#endif

START_TEST(test_a_flipped_byte_is_refused_or_stands_in_contents)
{
	const struct super_params params = fixture_params();
	struct super *sb = fixture_init_params(&params);
	unsigned refused = 0, told = 0, want = 0;
	struct listing *listing = NULL;
	struct stat st;
	char text[256];

	make_tree(sb);
	save(sb);
	super_destroy(sb);
	listing = open_listing();
	ck_assert_int_eq(listing_each(listing, count_one, &want), 0);
	listing_close(listing);
	ck_assert_int_eq(stat(path, &st), 0);
	for (off_t at = 0; at < st.st_size; at += FLIP_STEP) {
		unsigned nr = 0;

		poke(at, 0x11);
		if (try_open(text, &listing) != 0) {
			refused++;
		} else {
			ck_assert_int_eq(listing_each(listing, count_one, &nr), 0);
			ck_assert_uint_eq(nr, want);
			listing_close(listing);
			told++;
		}
		poke(at, 0x11);
	}
	ck_assert_uint_gt(refused, 0);
	/* Contents are most of it, and are not read. */
	ck_assert_uint_gt(told, 0);
}
END_TEST

START_TEST(test_without_memory_it_ends_with_a_sentence)
{
	struct super *sb = fixture_init();
	bool pending = false;

	fs_forget(sb, make_file(sb, FS_ROOT_INO, "a"), 1);
	save(sb);
	super_destroy(sb);
	for (long n = 1; !pending; n++) {
		struct listing *listing = NULL;
		unsigned nr = 0;
		char text[256];
		int err;

		zt_fault_set(n);
		err = try_open(text, &listing);
		if (!err)
			err = listing_each(listing, count_one, &nr);
		pending = zt_fault_pending();
		zt_fault_set(0);
		ck_assert(err == 0 || err == -ENOMEM || err == -ENOSPC);
		if (!err)
			ck_assert_uint_eq(nr, 2);
		listing_close(listing);
	}
}
END_TEST

static Suite *listing_suite(void)
{
	Suite *suite = suite_create("listing");
	TCase *tc = tcase_create("listing");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, test_all_names_are_told_as_the_mount_has_them);
	tcase_add_test(tc, test_a_walk_can_be_ended_and_begun_again);
	tcase_add_test(tc, test_an_empty_mount_has_a_root);
	tcase_add_test(tc, test_no_algorithm_and_no_dictionary_is_needed);
	tcase_add_test(tc, test_an_algorithm_that_nobody_has_is_told_by_its_name);
	tcase_add_test(tc, test_what_was_in_a_spill_file_is_told);
	tcase_add_test(tc, test_a_path_may_be_longer_than_any_call_takes);
	tcase_add_test(tc, test_names_come_in_order_and_links_name_the_first);
	tcase_add_test(tc, test_a_flipped_byte_is_refused_or_stands_in_contents);
	tcase_add_test(tc, test_without_memory_it_ends_with_a_sentence);
	suite_add_tcase(suite, tc);
	return suite;
}

int main(void)
{
	return zt_check_main(listing_suite());
}
