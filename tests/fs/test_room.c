// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_room.c - at the limit on memory: names, links, attributes and all that needs a little more
 * have room made for them first, and say ENOSPC when there is none.
 *
 * Tests reclaim.c of blkmap/upkeep, too.
 */
#include <limits.h>
#include <stdio.h>
#include <sys/xattr.h>

#include "fs/xattr.h"
#include "blkmap/parts.h"
#include "tests/fs/fixture.h"
#include "util/clock.h"

#define TEXT (8 * MIB)

static struct super *sb;
static char *text;
static ino_nr data;
static unsigned nr_streams; /* 0: as ever */

/* What lz4 leaves nearly as it is, and zstd halves. */
static void fill_text(char *to, size_t len)
{
	uint64_t seed = 12;

	for (size_t i = 0; i < len; i++)
		to[i] = "0123456789abcdef"[zt_random(&seed) % 16];
}

/* Each request from here on needs memory that is not there: the limit is what is held now. */
static void close_limit(void)
{
	struct arena_stat stat;

	zs_trim(sb->meta, 0);
	zs_trim(sb->inodes, 0);
	zs_trim(blkmap_data_pool(sb->map), 0);
	arena_get_stat(sb->arena, &stat);
	arena_set_limit(sb->arena, stat.used + 128 * KIB);
}

static void start(const char *recompress)
{
	struct super_params params = fixture_params();
	size_t done;

	params.mem_limit = 256 * MIB;
	params.content.recompress = recompress;
	params.content.recompress_level = ZCOMP_LEVEL_DEFAULT;
	params.content.recompress_idle = 10000;
	params.content.background = true;
	params.content.comp.nr_streams = nr_streams;
	sb = fixture_init_params(&params);
	text = malloc(TEXT);
	fill_text(text, TEXT);
	data = make_file(sb, FS_ROOT_INO, "data");
	ck_assert_int_eq(fs_write(sb, &user_cred, data, 0, text, TEXT, 0, &done), 0);
	ck_assert_uint_eq(done, TEXT);
}

/* What was there before is there still. */
static void stop(void)
{
	char *back = malloc(TEXT);
	size_t len;

	ck_assert_int_eq(fs_read(sb, data, 0, back, TEXT, &len), 0);
	ck_assert_int_eq(memcmp(back, text, TEXT), 0);
	free(back);
	free(text);
	fs_forget(sb, data, 1);
	arena_set_limit(sb->arena, 0);
	super_destroy(sb);
}

static const char *name_of(const char *what, unsigned nr)
{
	static char name[250];

	snprintf(name, sizeof(name), "%s-%0200u", what, nr);
	return name;
}

typedef int (*request_fn)(unsigned nr);

static int do_mknod(unsigned nr)
{
	struct fs_entry entry;
	int err = fs_mknod(sb, &user_cred, FS_ROOT_INO, name_of("file", nr), S_IFREG, 0, &entry);

	if (!err)
		fs_forget(sb, entry.ino, 1);
	return err;
}

static int do_mkdir(unsigned nr)
{
	struct fs_entry entry;
	int err = fs_mkdir(sb, &user_cred, FS_ROOT_INO, name_of("dir", nr), 0755, &entry);

	if (!err)
		fs_forget(sb, entry.ino, 1);
	return err;
}

static int do_symlink(unsigned nr)
{
	struct fs_entry entry;
	const char *target = name_of("target", nr);
	int err = fs_symlink(sb, &user_cred, FS_ROOT_INO, target, target, &entry);

	if (!err)
		fs_forget(sb, entry.ino, 1);
	return err;
}

static int do_tmpfile(unsigned nr)
{
	static ino_nr kept[20000];
	struct fs_entry entry;
	int err;

	if (nr == UINT_MAX) {
		for (unsigned i = 0; i < ARRAY_SIZE(kept) && kept[i]; i++)
			fs_forget(sb, kept[i], 1);
		return 0;
	}
	err = fs_tmpfile(sb, &user_cred, FS_ROOT_INO, 0600, true, &entry);
	if (!err)
		kept[nr] = entry.ino;
	return err;
}

static int do_link(unsigned nr)
{
	struct fs_entry entry;
	int err = fs_link(sb, data, FS_ROOT_INO, name_of("link", nr), &entry);

	if (!err)
		fs_forget(sb, data, 1);
	return err;
}

static int do_setxattr(unsigned nr)
{
	return fs_setxattr(sb, data, name_of("user.a", nr), text, 4000, 0);
}

static int do_set_large(unsigned nr)
{
	char name[32];

	snprintf(name, sizeof(name), "user.%u", nr);
	return fs_setxattr(sb, data, name, text, 60000, XATTR_CREATE);
}

static int do_rename(unsigned nr)
{
	char from[FS_NAME_MAX + 1];
	struct fs_moved moved;
	struct fs_entry entry;

	if (nr == 0)
		fs_forget(sb, make_dir(sb, FS_ROOT_INO, "to"), 1);
	ck_assert_int_eq(look(sb, FS_ROOT_INO, "to", &entry), 0);
	snprintf(from, sizeof(from), "%s", name_of("from", nr));
	return fs_rename(sb, &user_cred, FS_ROOT_INO, from, entry.ino, name_of("a-longer-name", nr),
			 0, &moved);
}

static int do_write(unsigned nr)
{
	size_t done;

	/* Far apart, so that what is needed is nodes of the tree. */
	return fs_write(sb, &user_cred, data, TEXT + ((uint64_t)nr << 40), "x", 1, 0, &done);
}

static int do_allocate(unsigned nr)
{
	return fs_fallocate(sb, &user_cred, data, 0, TEXT + ((uint64_t)nr << 40), 4096);
}

/* What does not compress. */
static int do_fill(unsigned nr)
{
	static uint64_t bytes[65536 / 8];
	uint64_t seed = nr;
	size_t done;
	int err;

	for (size_t i = 0; i < ARRAY_SIZE(bytes); i++)
		bytes[i] = zt_random(&seed);
	err = fs_write(sb, &user_cred, data, TEXT + (uint64_t)nr * sizeof(bytes), bytes,
		       sizeof(bytes), 0, &done);
	return err || done == sizeof(bytes) ? err : -ENOSPC;
}

/* How many of each take more than 128 KiB, and by far less than what recompression gives. */
static const struct request {
	request_fn fn;
	unsigned nr;
} requests[] = {
	{ do_mknod, 3000 }, { do_mkdir, 3000 },   { do_symlink, 2000 }, { do_tmpfile, 5000 },
	{ do_link, 3000 },  { do_setxattr, 200 }, { do_set_large, 15 }, { do_rename, 3000 },
	{ do_write, 1000 }, { do_allocate, 400 }, { do_fill, 12 },
};

START_TEST(test_room_is_made_for_what_is_not_data)
{
	const struct request *request = &requests[_i];
	struct ztmpfs_stat stat;

	start("zstd");
	/* What is renamed has its old names by now. */
	for (unsigned nr = 0; request->fn == do_rename && nr < request->nr; nr++)
		fs_forget(sb, make_file(sb, FS_ROOT_INO, name_of("from", nr)), 1);
	close_limit();
	for (unsigned nr = 0; nr < request->nr; nr++)
		ck_assert_msg(request->fn(nr) == 0, "request %u", nr);
	super_get_stat(sb, &stat);
	ck_assert_uint_gt(stat.recompressed, 0);
	if (request->fn == do_tmpfile)
		do_tmpfile(UINT_MAX);
	stop();
}
END_TEST

START_TEST(test_without_room_it_is_a_clean_error)
{
	const struct request *request = &requests[_i];
	struct arena_stat stat;
	uint64_t limit;
	int err = 0;

	start(NULL);
	for (unsigned nr = 0; request->fn == do_rename && nr < request->nr; nr++)
		fs_forget(sb, make_file(sb, FS_ROOT_INO, name_of("from", nr)), 1);
	close_limit();
	arena_get_stat(sb->arena, &stat);
	limit = stat.limit;
	for (unsigned nr = 0; !err && nr < request->nr; nr++)
		err = request->fn(nr);
	/* Renaming gives back as much as it takes. */
	ck_assert(err == -ENOSPC || (err == 0 && request->fn == do_rename));
	arena_get_stat(sb->arena, &stat);
	ck_assert_uint_le(stat.used, limit);
	if (request->fn == do_tmpfile)
		do_tmpfile(UINT_MAX);
	stop();
}
END_TEST

static unsigned nr_hooks;

/* Needs the file and the folder for itself, and the only stream. */
static void *use_all(void *arg)
{
	const struct stat attr = { .st_mode = 0700 };
	struct stat now;
	char *done = arg, byte;
	size_t len;

	ck_assert_int_eq(fs_setattr(sb, &user_cred, data, &attr, FS_SET_MODE, &now), 0);
	ck_assert_int_eq(fs_setattr(sb, &user_cred, FS_ROOT_INO, &attr, FS_SET_MODE, &now), 0);
	ck_assert_int_eq(fs_read(sb, data, 4096, &byte, 1, &len), 0);
	*done = 1;
	return NULL;
}

/* In the thread that is about to wait. */
static void others_go_on(void)
{
	struct timespec until;
	pthread_t other;
	char done = 0;

	nr_hooks++;
	ck_assert_int_eq(pthread_create(&other, NULL, use_all, &done), 0);
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 20;
	ck_assert_msg(pthread_timedjoin_np(other, NULL, &until) == 0,
		      "who waits for room holds what others need");
	ck_assert_int_eq(done, 1);
}

START_TEST(test_who_waits_for_room_holds_nothing_that_others_need)
{
	const struct request *request = &requests[_i];

	nr_streams = 1;
	start("zstd");
	for (unsigned nr = 0; request->fn == do_rename && nr < request->nr; nr++)
		fs_forget(sb, make_file(sb, FS_ROOT_INO, name_of("from", nr)), 1);
	close_limit();
	blkmap_reclaim_hook = others_go_on;
	for (unsigned nr = 0; nr < request->nr && nr_hooks < 3; nr++)
		ck_assert_msg(request->fn(nr) == 0, "request %u", nr);
	blkmap_reclaim_hook = NULL;
	ck_assert_uint_gt(nr_hooks, 0);
	if (request->fn == do_tmpfile)
		do_tmpfile(UINT_MAX);
	stop();
}
END_TEST

static void nobody_waits(void)
{
	ck_abort_msg("a thread that must not wait for room does");
}

START_TEST(test_threads_that_must_not_wait_are_told_that_it_may_help)
{
	const struct request *request = &requests[_i];
	unsigned nr = 0;
	int err = 0;

	start("zstd");
	for (; request->fn == do_rename && nr < request->nr; nr++)
		fs_forget(sb, make_file(sb, FS_ROOT_INO, name_of("from", nr)), 1);
	close_limit();
	super_wait_never();
	ck_assert(!super_has_declined());
	blkmap_reclaim_hook = nobody_waits;
	for (nr = 0; !err && nr < request->nr; nr++)
		err = request->fn(nr);
	/* Renaming gives back as much as it takes. */
	ck_assert(err == -ENOSPC || request->fn == do_rename);
	ck_assert(super_has_declined() == (err == -ENOSPC));
	/* As soon as it may, the same request succeeds. */
	super_wait_until(0);
	blkmap_reclaim_hook = NULL;
	if (err && request->fn != do_rename)
		ck_assert_int_eq(request->fn(nr - 1), 0);
	ck_assert(!super_has_declined());
	if (request->fn == do_tmpfile)
		do_tmpfile(UINT_MAX);
	stop();
}
END_TEST

/* One deadline for a request, however many clusters it has. */
START_TEST(test_a_write_that_cannot_succeed_fails_in_time)
{
	uint64_t *bytes = malloc(TEXT), seed = 3, begin, took;
	size_t done = 0;
	int err;

	start("zstd");
	close_limit();
	for (size_t i = 0; i < TEXT / sizeof(*bytes); i++)
		bytes[i] = zt_random(&seed);
	super_wait_until(zt_now_ns() + ZT_NS_PER_S / 2);
	begin = zt_now_ns();
	err = fs_write(sb, &user_cred, data, TEXT, bytes, TEXT, 0, &done);
	took = zt_now_ns() - begin;
	super_wait_until(0);
	ck_assert(err == -ENOSPC || done < TEXT);
	ck_assert_uint_lt(took, 5 * ZT_NS_PER_S);
	free(bytes);
	stop();
}
END_TEST

/* nr_inodes= is not for recompression to raise: it says no at once. */
START_TEST(test_other_limits_have_no_room_made)
{
	struct super_params params = fixture_params();
	struct fs_entry entry;
	struct ztmpfs_stat stat;

	params.nr_inodes = 10;
	params.mem_limit = 64 * MIB;
	params.content.recompress = "zstd";
	params.content.recompress_level = ZCOMP_LEVEL_DEFAULT;
	params.content.recompress_idle = 10000;
	params.content.background = true;
	sb = fixture_init_params(&params);
	for (unsigned nr = 0; nr < 9; nr++)
		ck_assert_int_eq(do_mknod(nr), 0);
	ck_assert_int_eq(do_mknod(9), -ENOSPC);
	ck_assert_int_eq(do_mkdir(9), -ENOSPC);
	ck_assert_int_eq(look(sb, FS_ROOT_INO, name_of("file", 0), &entry), 0);
	ck_assert_int_eq(fs_setxattr(sb, entry.ino, "user.a", name_of("value", 1), 200, 0),
			 -ENOSPC);
	super_get_stat(sb, &stat);
	ck_assert_uint_eq(stat.recompress_passes, 0);
	super_destroy(sb);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("room");
	TCase *tc = tcase_create("room");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, test_room_is_made_for_what_is_not_data, 0, ARRAY_SIZE(requests));
	tcase_add_loop_test(tc, test_without_room_it_is_a_clean_error, 0, ARRAY_SIZE(requests));
	tcase_add_loop_test(tc, test_who_waits_for_room_holds_nothing_that_others_need, 0,
			    ARRAY_SIZE(requests));
	tcase_add_loop_test(tc, test_threads_that_must_not_wait_are_told_that_it_may_help, 0,
			    ARRAY_SIZE(requests));
	tcase_add_test(tc, test_a_write_that_cannot_succeed_fails_in_time);
	tcase_add_test(tc, test_other_limits_have_no_room_made);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
