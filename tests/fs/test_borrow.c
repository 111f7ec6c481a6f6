// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_borrow.c - a mount whose contents stay in its image: the same bytes, or EIO, whatever becomes of the file. Tests
 * pages.c and pages_guard.c of the image layer, borrow.c of arena, zsmalloc and blkmap, and super_borrow() of image.c.
 */
#include <sys/stat.h>
#include <unistd.h>

#include "fs/image.h"
#include "tests/fs/attach_fixture.h"
#include "tests/fs/use_all.h"

/* Leases are for files that nobody has open for writing. */
static char path[64];

static void setup(void)
{
	snprintf(path, sizeof(path), "/tmp/ztmpfs-borrow-%d", (int)getpid());
}

static void teardown(void)
{
	(void)unlink(path);
}

/* The mount ends, and stands in the file. */
static void save(struct super *sb)
{
	const int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(super_save(sb, fd), 0);
	super_destroy(sb);
	close(fd);
}

static int try_borrow(const struct super_params *params, char text[256], struct super **out_sb)
{
	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct image_pages *pages = NULL;
	int err;

	text[0] = '\0';
	ck_assert_int_ge(fd, 0);
	err = image_pages_open(fd, path, false, text, &pages);
	close(fd);
	if (err)
		return err;
	err = super_borrow(params, pages, text, out_sb);
	if (err)
		image_pages_close(pages);
	return err;
}

static struct super *borrow(const struct super_params *params)
{
	struct super *sb = NULL;
	char text[256];
	int err = try_borrow(params, text, &sb);

	ck_assert_msg(err == 0, "%d %s", err, text);
	ck_assert(super_borrows(sb));
	return sb;
}

static void poke(off_t at, unsigned char change)
{
	const int fd = open(path, O_RDWR | O_CLOEXEC);
	unsigned char byte;

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(pread(fd, &byte, 1, at), 1);
	byte ^= change;
	ck_assert_int_eq(pwrite(fd, &byte, 1, at), 1);
	close(fd);
}

static off_t file_size(void)
{
	struct stat st;

	ck_assert_int_eq(stat(path, &st), 0);
	return st.st_size;
}

START_TEST(test_contents_are_read_where_they_stand)
{
	const struct super_params params = fixture_params();
	struct super *sb = fixture_init_params(&params);
	struct ztmpfs_stat stat;

	make_tree(sb);
	save(sb);
	sb = borrow(&params);
	check_tree(sb);
	super_get_stat(sb, &stat);
	ck_assert_uint_gt(stat.image_bytes, 1 << 20);
	/* What is in memory are names and such. */
	ck_assert_uint_lt(stat.arena_used, (uint64_t)file_size() / 2);
	ck_assert_int_eq(super_check(sb), 0);
	/* Nothing is folded, joined or moved. */
	(void)super_compact(sb);
	check_tree(sb);
	ck_assert_int_eq(super_check(sb), 0);
	super_destroy(sb);
	/* Once more: nothing of it has changed the file. */
	sb = borrow(&params);
	check_tree(sb);
	super_destroy(sb);
}
END_TEST

static struct super *one_file(size_t len)
{
	struct super *sb = fixture_init();
	ino_nr ino = make_file(sb, FS_ROOT_INO, "file");

	write_filled(sb, ino, 0, 0, len);
	fs_forget(sb, ino, 1);
	return sb;
}

/* Return: 0: as it was saved; -EIO. */
static int read_file(struct super *sb, size_t size)
{
	unsigned char *want = malloc(size), *is = malloc(size);
	size_t len = 0;
	int err;

	ck_assert(want && is);
	fill_bytes(0, 0, want, size);
	err = fs_read(sb, look_ino(sb, FS_ROOT_INO, "file"), 0, is, size, &len);
	ck_assert(err == 0 || err == -EIO);
	if (!err)
		ck_assert_uint_eq(len, size);
	if (!err)
		ck_assert(memcmp(want, is, size) == 0);
	free(want);
	free(is);
	return err;
}

#ifdef ZT_SANITIZERS
#define FLIP_STEP 1021
#else
#define FLIP_STEP 211
#endif
#define FLIP_STEP_LARGE 3001

START_TEST(test_a_flipped_byte_is_refused_or_an_error_or_not_looked_at)
{
	const struct super_params params = fixture_params();
	const size_t size = _i ? 900000 : 20000;
	unsigned refused = 0, failed = 0, right = 0;
	uint64_t seed = zt_seed();

	save(one_file(size));
	zt_log_set_sink(NULL);
	for (off_t at = 0; at < file_size(); at += _i ? FLIP_STEP_LARGE : FLIP_STEP) {
		const unsigned char change = (unsigned char)(1 + zt_random(&seed) % 255);
		struct super *sb = NULL;
		char text[256];

		poke(at, change);
		if (try_borrow(&params, text, &sb) != 0) {
			ck_assert_str_ne(text, "");
			refused++;
		} else {
			const int err = read_file(sb, size);

			failed += err != 0;
			right += err == 0;
			super_leave(sb, false, NULL);
		}
		poke(at, change);
	}
	printf("%zu bytes: %u refused, %u errors, %u that nobody reads\n", size, refused, failed,
	       right);
	ck_assert_uint_gt(refused, 0);
	ck_assert_uint_gt(_i ? failed : refused, 0);
}
END_TEST

#define SMALL_FILES 192u
#define SMALL_SIZE  4000u

/* Half of it is what the others have, too. */
static void small_bytes(unsigned f, char bytes[SMALL_SIZE], char name[16])
{
	for (unsigned i = 0; i < SMALL_SIZE; i++)
		bytes[i] = "0123456789abcdef"[keyhash_word(&(struct keyhash_key){ 1, i < SMALL_SIZE / 2 ? 1000 : f }, i) % 16];
	snprintf(name, 16, "small-%u", f);
}

/* Packs alone. */
static void save_packed(const struct super_params *params)
{
	struct super *sb = fixture_init_params(params);
	char bytes[SMALL_SIZE], name[16];
	struct ztmpfs_stat stat;

	for (unsigned f = 0; f < SMALL_FILES; f++) {
		ino_nr ino;

		small_bytes(f, bytes, name);
		ino = make_file(sb, FS_ROOT_INO, name);
		write_all(sb, ino, 0, bytes, SMALL_SIZE);
		fs_forget(sb, ino, 1);
	}
	(void)blkmap_recompress(sb->map, 0);
	super_get_stat(sb, &stat);
	ck_assert_uint_eq(stat.packed_pages, SMALL_FILES);
	save(sb);
}

/* Return: how many of the small files cannot be read; the others are as they were saved. */
static unsigned unreadable(struct super *sb)
{
	char bytes[SMALL_SIZE], found[SMALL_SIZE], name[16];
	unsigned nr = 0;

	for (unsigned f = 0; f < SMALL_FILES; f++) {
		size_t len = 0;
		int err;

		small_bytes(f, bytes, name);
		err = fs_read(sb, look_ino(sb, FS_ROOT_INO, name), 0, found, SMALL_SIZE, &len);
		ck_assert(err == -EIO || (err == 0 && len == SMALL_SIZE));
		ck_assert(err || memcmp(bytes, found, SMALL_SIZE) == 0);
		nr += err != 0;
	}
	return nr;
}

START_TEST(test_packs_are_read_where_they_stand)
{
	const struct super_params params = packing_params();
	struct ztmpfs_file_stat file;
	struct ztmpfs_stat stat;
	struct super *sb;

	save_packed(&params);
	sb = borrow(&params);
	ck_assert_uint_eq(unreadable(sb), 0);
	super_get_stat(sb, &stat);
	ck_assert_uint_eq(stat.packs, SMALL_FILES / 16);
	ck_assert_uint_eq(stat.packed_pages, SMALL_FILES);
	ck_assert_int_eq(fs_file_stat(sb, look_ino(sb, FS_ROOT_INO, "small-3"), &file), 0);
	ck_assert_uint_gt(file.stored, 0);
	ck_assert_uint_lt(file.stored, SMALL_SIZE);
	ck_assert_int_eq(super_check(sb), 0);
	(void)super_compact(sb);
	(void)blkmap_recompress(sb->map, 0);
	ck_assert_uint_eq(unreadable(sb), 0);
	super_destroy(sb);
	sb = borrow(&params);
	ck_assert_uint_eq(unreadable(sb), 0);
	super_destroy(sb);
}
END_TEST

START_TEST(test_a_flipped_byte_of_packs_is_refused_or_an_error_or_not_looked_at)
{
	const struct super_params params = packing_params();
	unsigned refused = 0, failed = 0;

	save_packed(&params);
	zt_log_set_sink(NULL);
	for (off_t at = 0; at < file_size(); at += FLIP_STEP_LARGE) {
		struct super *sb = NULL;
		char text[256];

		poke(at, 0x5a);
		if (try_borrow(&params, text, &sb) != 0) {
			refused++;
		} else {
			failed += unreadable(sb) > 0;
			super_leave(sb, false, NULL);
		}
		poke(at, 0x5a);
	}
	ck_assert_uint_gt(refused, 0);
	ck_assert_uint_gt(failed, 0);
}
END_TEST

static unsigned nr_lines;
static char line_was[256];

static void count_line(enum zt_log_level level, const char *line)
{
	(void)level;
	nr_lines++;
	snprintf(line_was, sizeof(line_was), "%s", line);
}

static void expect_errors(struct super *sb, size_t size, const char *what)
{
	nr_lines = 0;
	zt_log_set_sink(count_line);
	for (unsigned i = 0; i < 3; i++)
		ck_assert_int_eq(read_file(sb, size), -EIO);
	ck_assert_uint_eq(nr_lines, 1);
	ck_assert_msg(strstr(line_was, what) != NULL, "%s", line_was);
	/* Names are in memory. */
	ck_assert_uint_ne(look_ino(sb, FS_ROOT_INO, "file"), 0);
	super_leave(sb, false, NULL);
}

/* Looked at before, or not. */
START_TEST(test_a_file_that_is_cut_is_an_error)
{
	const struct super_params params = fixture_params();
	struct super *sb;

	save(one_file(900000));
	sb = borrow(&params);
	if (_i)
		ck_assert_int_eq(read_file(sb, 900000), 0);
	ck_assert_int_eq(truncate(path, 4096), 0);
	expect_errors(sb, 900000, "fails with");
}
END_TEST

/* The lease is let go before anybody can write. */
START_TEST(test_a_file_that_is_opened_for_writing_is_an_error)
{
	const struct super_params params = fixture_params();
	struct super *sb;
	int fd;

	save(one_file(900000));
	sb = borrow(&params);
	ck_assert_int_eq(read_file(sb, 900000), 0);
	fd = open(path, O_RDWR | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	expect_errors(sb, 900000, "opened for writing");
	close(fd);
}
END_TEST

START_TEST(test_a_file_that_is_open_for_writing_is_refused)
{
	const struct super_params params = fixture_params();
	struct super *sb;
	char text[256];
	int fd;

	save(one_file(20000));
	fd = open(path, O_RDWR | O_CLOEXEC);
	ck_assert_int_eq(try_borrow(&params, text, &sb), -ETXTBSY);
	ck_assert_ptr_nonnull(strstr(text, "open for writing"));
	close(fd);
	super_destroy(borrow(&params));
}
END_TEST

/* Another user's file: its times tell. */
START_TEST(test_without_a_lease_a_file_that_has_changed_is_an_error)
{
	const struct super_params params = fixture_params();
	struct super *sb;

	if (geteuid() != 0)
		return;
	save(one_file(900000));
	ck_assert_int_eq(seteuid(12345), 0);
	sb = borrow(&params);
	ck_assert_int_eq(read_file(sb, 900000), 0);
	ck_assert_int_eq(seteuid(0), 0);
	poke(file_size() / 2, 1);
	expect_errors(sb, 900000, "opened for writing");
}
END_TEST

START_TEST(test_without_contents_it_is_loaded)
{
	const struct super_params params = fixture_params();
	struct super *sb = fixture_init();
	char text[256];

	fs_forget(sb, make_file(sb, FS_ROOT_INO, "empty"), 1);
	save(sb);
	ck_assert_int_eq(try_borrow(&params, text, &sb), -EAGAIN);
}
END_TEST

/* Its arena says that contents are elsewhere: without them it is no mount, and no image. */
START_TEST(test_the_arena_alone_is_refused)
{
	const struct super_params params = fixture_params();
	struct super *sb, *other;
	char text[256] = "";
	int fd;

	save(one_file(20000));
	sb = borrow(&params);
	fd = keep_fd(sb);
	ck_assert_int_eq(super_attach(&params, fd, text, &other), -EINVAL);
	ck_assert_ptr_nonnull(strstr(text, "stand in an image"));
	close(fd);
	super_destroy(sb);
}
END_TEST

static Suite *borrow_suite(void)
{
	Suite *suite = suite_create("borrow");
	TCase *tcase = tcase_create("borrow");

	tcase_set_timeout(tcase, 300);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, test_contents_are_read_where_they_stand);
	tcase_add_loop_test(tcase, test_a_flipped_byte_is_refused_or_an_error_or_not_looked_at, 0, 2);
	tcase_add_test(tcase, test_packs_are_read_where_they_stand);
	tcase_add_test(tcase, test_a_flipped_byte_of_packs_is_refused_or_an_error_or_not_looked_at);
	tcase_add_loop_test(tcase, test_a_file_that_is_cut_is_an_error, 0, 2);
	tcase_add_test(tcase, test_a_file_that_is_opened_for_writing_is_an_error);
	tcase_add_test(tcase, test_a_file_that_is_open_for_writing_is_refused);
	tcase_add_test(tcase, test_without_a_lease_a_file_that_has_changed_is_an_error);
	tcase_add_test(tcase, test_without_contents_it_is_loaded);
	tcase_add_test(tcase, test_the_arena_alone_is_refused);
	suite_add_tcase(suite, tcase);
	return suite;
}

int main(void)
{
	return zt_check_main(borrow_suite());
}
