// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_copy.c - copying ranges from file to file: bytes against plain buffers, ends and limits, and
 * many threads that copy, write, cut and compact at once.
 */
#include "tests/fs/fixture.h"

#include <pthread.h>
#include <stdatomic.h>

#include "util/alloc.h"

#define PAGE    ((uint64_t)ZT_PAGE_SIZE)
#define CLUSTER (16 * PAGE)
#define SIZE    (8 * CLUSTER)

static struct super *sb;
static ino_nr a, b, c;
static char content[SIZE], buf[SIZE], model[SIZE];

static void setup(void)
{
	struct super_params params = fixture_params();
	uint64_t seed = 1;

	params.content.recompress = "zstd";
	params.content.recompress_level = ZCOMP_LEVEL_DEFAULT;
	params.content.recompress_idle = 10000;
	sb = fixture_init_params(&params);
	a = make_file(sb, FS_ROOT_INO, "a");
	b = make_file(sb, FS_ROOT_INO, "b");
	c = make_file(sb, FS_ROOT_INO, "c");
	for (size_t i = 0; i < SIZE; i++)
		content[i] = (char)('a' + zt_random(&seed) % 30);
	memset(model, 0, sizeof(model));
}

static void teardown(void)
{
	fixture_exit(sb);
}

static int copy(ino_nr from, uint64_t from_off, ino_nr to, uint64_t to_off, uint64_t len,
		uint64_t *done)
{
	*done = UINT64_MAX;
	return fs_copy_range(sb, &user_cred, from, from_off, to, to_off, len, done);
}

static void expect_content(ino_nr ino, const char *want, size_t len)
{
	size_t done;

	ck_assert_int_eq(fs_read(sb, ino, 0, buf, SIZE, &done), 0);
	ck_assert_uint_eq(done, len);
	for (size_t i = 0; memcmp(buf, want, len) != 0 && i < len; i++)
		if (buf[i] != want[i])
			ck_abort_msg("byte %zu differs", i);
}

static uint64_t objects(void)
{
	struct blkmap_stat stat;

	blkmap_get_stat(sb->map, &stat);
	return stat.data.objects;
}

START_TEST(test_whole_file_is_shared_with_its_ragged_end)
{
	static const size_t sizes[] = { 1, 4096, 5000, 65536, 65537, 200000, SIZE };
	uint64_t done;

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		ino_nr from, to;
		uint64_t before;
		char name[16];

		snprintf(name, sizeof(name), "from%zu", i);
		from = make_file(sb, FS_ROOT_INO, name);
		snprintf(name, sizeof(name), "to%zu", i);
		to = make_file(sb, FS_ROOT_INO, name);
		write_all(sb, from, 0, content, sizes[i]);
		before = objects();
		/* More than there is: the end of the file is the end. */
		ck_assert_int_eq(copy(from, 0, to, 0, SIZE + 1000, &done), 0);
		ck_assert_uint_eq(done, sizes[i]);
		ck_assert_uint_eq(objects(), before);
		expect_content(to, content, sizes[i]);
		ck_assert_int_eq(attr_of(sb, to).st_blocks, attr_of(sb, from).st_blocks);
		/* Behind its end is nothing: growing shows zeros. */
		write_all(sb, to, sizes[i] + 100, "x", 1);
		ck_assert_int_eq(fs_read(sb, to, sizes[i], buf, 100, &done), 0);
		ck_assert(is_zero(buf, 100));
		expect_content(from, content, sizes[i]);
	}
}
END_TEST

START_TEST(test_ragged_ranges_are_copied_around_shared_clusters)
{
	uint64_t done, before;

	write_all(sb, a, 0, content, SIZE);
	before = objects();
	ck_assert_int_eq(copy(a, 100, b, CLUSTER + 100, 5 * CLUSTER, &done), 0);
	ck_assert_uint_eq(done, 5 * CLUSTER);
	memcpy(model + CLUSTER + 100, content + 100, 5 * CLUSTER);
	expect_content(b, model, 6 * CLUSTER + 100);
	/* Four are shared, two are new. */
	ck_assert_uint_eq(objects(), before + 2);
	ck_assert_int_eq(attr_of(sb, b).st_blocks, (5 * 16 + 1) * 8);
}
END_TEST

START_TEST(test_what_cannot_be_shared_is_left_to_the_kernel)
{
	uint64_t done;
	struct fs_entry entry;

	write_all(sb, a, 0, content, SIZE);
	ck_assert_int_eq(copy(a, 0, b, 1, SIZE, &done), -EOPNOTSUPP);
	ck_assert_int_eq(copy(a, 0, b, 0, CLUSTER - 1, &done), -EOPNOTSUPP);
	ck_assert_int_eq(copy(a, CLUSTER - 1, b, CLUSTER - 1, CLUSTER, &done), -EOPNOTSUPP);
	ck_assert_int_eq(attr_of(sb, b).st_size, 0);
	/* Nothing at the end is nothing. */
	ck_assert_int_eq(copy(a, SIZE, b, 0, 100, &done), 0);
	ck_assert_uint_eq(done, 0);
	ck_assert_int_eq(copy(a, 0, b, 0, 0, &done), 0);
	ck_assert_uint_eq(done, 0);
	/* Impossible ones. */
	ck_assert_int_eq(copy(a, 0, a, CLUSTER, 2 * CLUSTER, &done), -EINVAL);
	ck_assert_int_eq(copy(a, 0, b, ZT_MAX_FILE_SIZE, CLUSTER, &done), -EFBIG);
	ck_assert_int_eq(copy(a, 0, FS_ROOT_INO, 0, CLUSTER, &done), -EISDIR);
	ck_assert_int_eq(copy(FS_ROOT_INO, 0, a, 0, CLUSTER, &done), -EISDIR);
	ck_assert_int_eq(copy(a, 0, 0x12345, 0, CLUSTER, &done), -ESTALE);
	ck_assert_int_eq(copy(a, 0, 0x12345, 0, 0, &done), -ESTALE);
	ck_assert_int_eq(fs_mknod(sb, &user_cred, FS_ROOT_INO, "fifo", S_IFIFO | 0644, 0, &entry),
			 0);
	ck_assert_int_eq(copy(entry.ino, 0, b, 0, CLUSTER, &done), -EINVAL);
}
END_TEST

START_TEST(test_end_is_not_shared_when_pages_stand_behind_it)
{
	uint64_t done;

	/* fallocate has put a page behind the end of either side: each keeps its own. */
	write_all(sb, a, 0, content, CLUSTER + 100);
	ck_assert_int_eq(fs_fallocate(sb, &user_cred, a, 1, CLUSTER + PAGE, PAGE), 0);
	ck_assert_int_eq(copy(a, 0, b, 0, CLUSTER + 100, &done), 0);
	ck_assert_uint_eq(done, CLUSTER + 100);
	expect_content(b, content, CLUSTER + 100);
	ck_assert_int_eq(attr_of(sb, b).st_blocks, 17 * 8);
	ck_assert_int_eq(attr_of(sb, a).st_blocks, 18 * 8);
	ck_assert_int_eq(copy(b, 0, a, 0, CLUSTER + 100, &done), 0);
	ck_assert_int_eq(attr_of(sb, a).st_blocks, 18 * 8);
	/* A longer target keeps what it has behind the copy. */
	write_all(sb, a, 0, content, SIZE);
	ck_assert_int_eq(copy(b, 0, a, 0, SIZE, &done), 0);
	ck_assert_uint_eq(done, CLUSTER + 100);
	expect_content(a, content, SIZE);
	/* So does one whose end is in the same page. */
	memset(model, 'm', CLUSTER + 2000);
	write_all(sb, c, 0, model, CLUSTER + 2000);
	ck_assert_int_eq(copy(b, 0, c, 0, SIZE, &done), 0);
	memcpy(model, content, CLUSTER + 100);
	expect_content(c, model, CLUSTER + 2000);
}
END_TEST

START_TEST(test_holes_stay_holes_and_cost_nothing)
{
	uint64_t done;

	write_all(sb, a, 0, content, PAGE);
	write_all(sb, a, 3 * CLUSTER + 2 * PAGE, content, PAGE);
	write_all(sb, a, SIZE - 1, "x", 1);
	write_all(sb, b, 0, content, SIZE);
	ck_assert_int_eq(copy(a, 0, b, 0, SIZE, &done), 0);
	ck_assert_uint_eq(done, SIZE);
	memcpy(model, content, PAGE);
	memcpy(model + 3 * CLUSTER + 2 * PAGE, content, PAGE);
	model[SIZE - 1] = 'x';
	expect_content(b, model, SIZE);
	ck_assert_int_eq(attr_of(sb, b).st_blocks, 3 * 8);
}
END_TEST

START_TEST(test_copy_sets_times_and_clears_setid)
{
	struct stat attr = { .st_mode = 06755 };
	uint64_t done;

	write_all(sb, a, 0, content, SIZE);
	ck_assert_int_eq(fs_setattr(sb, &user_cred, b, &attr, FS_SET_MODE, &attr), 0);
	attr.st_mtim = attr.st_atim = (struct timespec){ .tv_sec = 1000 };
	ck_assert_int_eq(fs_setattr(sb, &user_cred, b, &attr, FS_SET_MTIME, &attr), 0);
	ck_assert_int_eq(fs_setattr(sb, &user_cred, a, &attr, FS_SET_ATIME, &attr), 0);
	ck_assert_int_eq(copy(a, 0, b, 0, SIZE, &done), 0);
	ck_assert_int_gt(attr_of(sb, b).st_mtim.tv_sec, 1000);
	ck_assert_int_gt(attr_of(sb, a).st_atim.tv_sec, 1000);
	ck_assert_uint_eq(attr_of(sb, b).st_mode & 07777, 0755);
}
END_TEST

START_TEST(test_copy_is_short_where_the_limit_is)
{
	struct super_params params = fixture_params();
	struct super *rest = sb;
	uint64_t done;

	params.size = 12 * CLUSTER;
	sb = fixture_init_params(&params);
	a = make_file(sb, FS_ROOT_INO, "a");
	b = make_file(sb, FS_ROOT_INO, "b");
	write_all(sb, a, 0, content, SIZE);
	ck_assert_int_eq(copy(a, 0, b, 0, SIZE, &done), 0);
	ck_assert_uint_eq(done, 4 * CLUSTER);
	expect_content(b, content, 4 * CLUSTER);
	ck_assert_int_eq(copy(a, 4 * CLUSTER, b, 4 * CLUSTER, CLUSTER, &done), -ENOSPC);
	/* Over what is there it works. */
	ck_assert_int_eq(copy(a, 4 * CLUSTER, b, 0, 4 * CLUSTER, &done), 0);
	expect_content(b, content + 4 * CLUSTER, 4 * CLUSTER);
	fixture_exit(sb);
	sb = rest;
}
END_TEST

START_TEST(test_nth_failure_leaves_a_front_that_is_right)
{
	uint64_t done;

	for (long n = 1;; n++) {
		struct stat attr = { .st_size = 0 };
		int err;

		write_all(sb, a, 0, content, SIZE);
		write_all(sb, a, 3 * CLUSTER + 5, content + 3 * CLUSTER + 5, 7); /* a map */
		ck_assert_int_eq(fs_setattr(sb, &root_cred, b, &attr, FS_SET_SIZE, &attr), 0);
		zt_fault_set(n);
		err = copy(a, 10, b, 10, SIZE - 20, &done);
		if (zt_fault_pending()) {
			zt_fault_set(0);
			ck_assert_int_eq(err, 0);
			ck_assert_uint_eq(done, SIZE - 20);
			break;
		}
		ck_assert(err == 0 || err == -ENOMEM || err == -ENOSPC);
		ck_assert_int_eq(super_check(sb), 0);
		if (err)
			continue;
		memset(model, 0, 10);
		memcpy(model + 10, content + 10, done);
		expect_content(b, model, 10 + done);
		expect_content(a, content, SIZE);
	}
}
END_TEST

/* ---- many threads ---- */

#ifdef ZT_SANITIZERS
enum { NR_OPS = 6000 };
#else
enum { NR_OPS = 30000 };
#endif
enum { NR_WORKERS = 4, NR_FILES = 3, NR_CLUSTERS = 4 };

static ino_nr files[NR_FILES];
static atomic_bool stopping;
static atomic_int surprises;
static uint64_t base_seed;

static void surprise(const char *what, int err)
{
	fprintf(stderr, "%s: %d\n", what, err);
	atomic_fetch_add(&surprises, 1);
}

/* A page says what it has to be: a tag and its place in the cluster, and what follows from them. */
static void page_fill(char *page, uint64_t tag, uint64_t place)
{
	uint64_t words[2] = { tag, place }, state = tag * 31 + place;
	uint64_t noise = tag % 3 ? 24 : PAGE - 16;

	memset(page, (int)(tag & 15), PAGE);
	memcpy(page, words, sizeof(words));
	for (uint64_t i = 0; i + 8 <= noise; i += 8) {
		uint64_t word = zt_random(&state);

		memcpy(page + 16 + i, &word, sizeof(word));
	}
}

static bool page_is_right(const char *page, uint64_t place)
{
	char want[PAGE];
	uint64_t words[2];

	memcpy(words, page, sizeof(words));
	if (words[0] == 0)
		return is_zero(page, PAGE);
	page_fill(want, words[0], place);
	return memcmp(want, page, PAGE) == 0;
}

static void one_op(uint64_t *seed, char *bytes)
{
	ino_nr ino = files[zt_random(seed) % NR_FILES], other = files[zt_random(seed) % NR_FILES];
	uint64_t page = zt_random(seed) % (NR_CLUSTERS * 16), nr = 1 + zt_random(seed) % 20;
	uint64_t first = page / 16, second = zt_random(seed) % NR_CLUSTERS, done;
	struct stat attr = { .st_size = (off_t)(page * PAGE) };
	size_t got = 0;
	int err = 0;

	nr = min_u64(nr, NR_CLUSTERS * 16 - page);
	switch (zt_random(seed) % 8) {
	case 0:
	case 1:
		for (uint64_t i = 0; i < nr; i++)
			page_fill(bytes + i * PAGE, zt_random(seed) | 1, (page + i) % 16);
		err = fs_write(sb, &user_cred, ino, page * PAGE, bytes, nr * PAGE, 0, &got);
		break;
	case 2:
		err = fs_setattr(sb, &user_cred, ino, &attr, FS_SET_SIZE, &attr);
		break;
	case 3:
		err = fs_fallocate(sb, &user_cred, ino, 3, page * PAGE, nr * PAGE);
		break;
	case 4:
	case 5:
		/* At like places in their clusters: whole ones, ragged ones, whole files. */
		err = fs_copy_range(sb, &user_cred, ino, page * PAGE, other,
				    (second * 16 + page % 16) * PAGE, 2 * nr * PAGE, &done);
		if (err == -EOPNOTSUPP || (err == -EINVAL && ino == other))
			err = 0;
		break;
	default:
		err = fs_read(sb, ino, first * CLUSTER, bytes, CLUSTER, &got);
		for (uint64_t i = 0; !err && (i + 1) * PAGE <= got; i++)
			if (!page_is_right(bytes + i * PAGE, i))
				surprise("a page is not what any write made", (int)i);
		break;
	}
	if (err)
		surprise("an operation failed", err);
}

static void *worker_run(void *arg)
{
	uint64_t seed = base_seed + (uintptr_t)arg;
	char *bytes = malloc(20 * PAGE);

	for (int i = 0; i < NR_OPS; i++)
		one_op(&seed, bytes);
	free(bytes);
	return NULL;
}

static void *maintain_run(void *arg)
{
	(void)arg;
	while (!atomic_load(&stopping)) {
		blkmap_trim(sb->map);
		(void)blkmap_recompress(sb->map, 0);
	}
	return NULL;
}

START_TEST(test_copies_beside_writes_cuts_folding_and_compaction)
{
	pthread_t workers[NR_WORKERS], maintainer;

	base_seed = zt_seed();
	for (int i = 0; i < NR_FILES; i++) {
		char name[16];

		snprintf(name, sizeof(name), "file%d", i);
		files[i] = make_file(sb, FS_ROOT_INO, name);
	}
	atomic_store(&stopping, false);
	ck_assert_int_eq(pthread_create(&maintainer, NULL, maintain_run, NULL), 0);
	for (uintptr_t i = 0; i < NR_WORKERS; i++)
		ck_assert_int_eq(pthread_create(&workers[i], NULL, worker_run, (void *)i), 0);
	for (int i = 0; i < NR_WORKERS; i++)
		pthread_join(workers[i], NULL);
	atomic_store(&stopping, true);
	pthread_join(maintainer, NULL);
	ck_assert_int_eq(atomic_load(&surprises), 0);
	ck_assert_int_eq(super_check(sb), 0);
	for (int i = 0; i < NR_FILES; i++) {
		struct stat attr = { .st_size = 0 };

		ck_assert_int_eq(fs_setattr(sb, &root_cred, files[i], &attr, FS_SET_SIZE, &attr),
				 0);
	}
	ck_assert_uint_eq(objects(), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("fs copy");
	TCase *tc = tcase_create("copy");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_whole_file_is_shared_with_its_ragged_end);
	tcase_add_test(tc, test_ragged_ranges_are_copied_around_shared_clusters);
	tcase_add_test(tc, test_what_cannot_be_shared_is_left_to_the_kernel);
	tcase_add_test(tc, test_end_is_not_shared_when_pages_stand_behind_it);
	tcase_add_test(tc, test_holes_stay_holes_and_cost_nothing);
	tcase_add_test(tc, test_copy_sets_times_and_clears_setid);
	tcase_add_test(tc, test_copy_is_short_where_the_limit_is);
	tcase_add_test(tc, test_nth_failure_leaves_a_front_that_is_right);
	tcase_add_test(tc, test_copies_beside_writes_cuts_folding_and_compaction);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
