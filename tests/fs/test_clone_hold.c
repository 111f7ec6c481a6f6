// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_clone_hold.c - how much a clone does while it holds a lock that requests want, whatever is copied: counted, not timed. Stands
 * for clone.c, clone_inode.c, clone_content.c, clone_drop.c and xattrstore.c.
 *
 * What is done is objects made and freed, and locks of other kinds taken, each some hundred nanoseconds at most. So that
 * many of them are less than the millisecond that a round may take. Rounds are as short as they can be.
 */
#include <pthread.h>

#include "fs/clone.h"
#include "fs/xattr.h"
#include "tests/fs/fixture.h"
#include "util/hook.h"

#define MOST_WORK 1000u

static struct super *sb;
static ino_nr parent, into; /* where a copy goes: a fresh directory, and where that is */

/* ---- what is done with a lock ---- */

static struct {
	bool counts;
	unsigned held; /* locks of inodes and the rename lock */
	unsigned work; /* since the first of them */
	unsigned most;
	unsigned holds;
} seen;

static bool is_wanted(const void *lock)
{
	return sb && (lock == &sb->rename_lock.mutex ||
		      ((const char *)lock >= (const char *)&sb->locks[0] &&
		       (const char *)lock < (const char *)&sb->locks[INODE_NR_LOCKS]));
}

static int note_taken(const void *lock, int error)
{
	if (!seen.counts || error)
		return error;
	if (seen.held > 0)
		seen.work++;
	if (is_wanted(lock) && seen.held++ == 0) {
		seen.holds++;
		seen.work = 0;
	}
	return error;
}

static void note_given(const void *lock)
{
	if (!seen.counts || !is_wanted(lock))
		return;
	ck_assert_uint_gt(seen.held, 0);
	if (--seen.held == 0 && seen.work > seen.most)
		seen.most = seen.work;
}

static void note_work(void)
{
	seen.work++;
}

int __real_pthread_rwlock_rdlock(pthread_rwlock_t *lock);
int __real_pthread_rwlock_tryrdlock(pthread_rwlock_t *lock);
int __real_pthread_rwlock_wrlock(pthread_rwlock_t *lock);
int __real_pthread_rwlock_trywrlock(pthread_rwlock_t *lock);
int __real_pthread_rwlock_unlock(pthread_rwlock_t *lock);
int __real_pthread_mutex_lock(pthread_mutex_t *lock);
int __real_pthread_mutex_trylock(pthread_mutex_t *lock);
int __real_pthread_mutex_unlock(pthread_mutex_t *lock);
int __real_zs_malloc(struct zs_pool *pool, uint32_t size, ref_t *out_ref);
void __real_zs_free(struct zs_pool *pool, ref_t ref);

int __wrap_pthread_rwlock_rdlock(pthread_rwlock_t *lock);
int __wrap_pthread_rwlock_tryrdlock(pthread_rwlock_t *lock);
int __wrap_pthread_rwlock_wrlock(pthread_rwlock_t *lock);
int __wrap_pthread_rwlock_trywrlock(pthread_rwlock_t *lock);
int __wrap_pthread_rwlock_unlock(pthread_rwlock_t *lock);
int __wrap_pthread_mutex_lock(pthread_mutex_t *lock);
int __wrap_pthread_mutex_trylock(pthread_mutex_t *lock);
int __wrap_pthread_mutex_unlock(pthread_mutex_t *lock);
int __wrap_zs_malloc(struct zs_pool *pool, uint32_t size, ref_t *out_ref);
void __wrap_zs_free(struct zs_pool *pool, ref_t ref);

int __wrap_pthread_rwlock_rdlock(pthread_rwlock_t *lock)
{
	return note_taken(lock, __real_pthread_rwlock_rdlock(lock));
}

int __wrap_pthread_rwlock_tryrdlock(pthread_rwlock_t *lock)
{
	return note_taken(lock, __real_pthread_rwlock_tryrdlock(lock));
}

int __wrap_pthread_rwlock_wrlock(pthread_rwlock_t *lock)
{
	return note_taken(lock, __real_pthread_rwlock_wrlock(lock));
}

int __wrap_pthread_rwlock_trywrlock(pthread_rwlock_t *lock)
{
	return note_taken(lock, __real_pthread_rwlock_trywrlock(lock));
}

int __wrap_pthread_rwlock_unlock(pthread_rwlock_t *lock)
{
	note_given(lock);
	return __real_pthread_rwlock_unlock(lock);
}

int __wrap_pthread_mutex_lock(pthread_mutex_t *lock)
{
	return note_taken(lock, __real_pthread_mutex_lock(lock));
}

int __wrap_pthread_mutex_trylock(pthread_mutex_t *lock)
{
	return note_taken(lock, __real_pthread_mutex_trylock(lock));
}

int __wrap_pthread_mutex_unlock(pthread_mutex_t *lock)
{
	note_given(lock);
	return __real_pthread_mutex_unlock(lock);
}

int __wrap_zs_malloc(struct zs_pool *pool, uint32_t size, ref_t *out_ref)
{
	note_work();
	return __real_zs_malloc(pool, size, out_ref);
}

void __wrap_zs_free(struct zs_pool *pool, ref_t ref)
{
	note_work();
	__real_zs_free(pool, ref);
}

/* ---- ---- */

static struct {
	unsigned nr, stop_at;
	void (*between)(unsigned nr);
} pauses;

/* Nothing is held. */
static bool pause_and_look(void *arg)
{
	(void)arg;
	ck_assert_uint_eq(seen.held, 0);
	seen.counts = false;
	pauses.nr++;
	if (pauses.between)
		pauses.between(pauses.nr);
	seen.counts = true;
	return pauses.nr == pauses.stop_at;
}

static void setup(void)
{
	sb = fixture_init();
	parent = FS_ROOT_INO;
	super_set_round(sb, 0);
	super_set_pause(sb, pause_and_look, NULL);
	memset(&pauses, 0, sizeof(pauses));
	memset(&seen, 0, sizeof(seen));
}

static void teardown(void)
{
	seen.counts = false;
	super_set_pause(sb, NULL, NULL);
	fixture_exit(sb);
	sb = NULL;
}

static int run_clone(ino_nr from, const char *name)
{
	static const struct fs_asker root = { .uid = 0, .privileged = true };
	struct fs_clone_request request = { .from = from, .from_name = name, .to_name = "copy" };
	struct fs_entry entry;
	uint64_t nr;
	int err;

	ck_assert_int_eq(fs_mkdir(sb, &root_cred, parent, "into", 0700, &entry), 0);
	request.into = into = entry.ino;
	seen.counts = true;
	err = fs_clone(sb, &root, &request, &nr);
	seen.counts = false;
	ck_assert_uint_eq(seen.held, 0);
	return err;
}

static void expect_short(const char *what)
{
	printf("%s: %u holds, %u at most with one, %u pauses\n", what, seen.holds, seen.most,
	       pauses.nr);
	ck_assert_uint_gt(seen.holds, 0);
	ck_assert_msg(seen.most <= MOST_WORK, "%s: %u", what, seen.most);
}

/* ---- the cases ---- */

#define NR_CLUSTERS 20000u
#define CLUSTER     (16 * (uint64_t)ZT_PAGE_SIZE)

/* Each with an object of its own. */
static ino_nr large_file(const char *name)
{
	const ino_nr ino = make_file(sb, FS_ROOT_INO, name);

	for (uint32_t i = 0; i < NR_CLUSTERS; i++)
		write_all(sb, ino, i * CLUSTER, &i, sizeof(i));
	return ino;
}

START_TEST(test_a_large_file)
{
	(void)large_file("file");
	ck_assert_int_eq(run_clone(FS_ROOT_INO, "file"), 0);
	expect_short("20,000 clusters");
	ck_assert_uint_gt(pauses.nr, 100);
}
END_TEST

/* Pages over each of them, which are folded first. */
START_TEST(test_a_file_that_is_written_over)
{
	const ino_nr ino = make_file(sb, FS_ROOT_INO, "file");

	for (unsigned i = 0; i < 1000; i++) {
		char page[ZT_PAGE_SIZE];

		memset(page, 'a' + (int)(i % 26), sizeof(page));
		page[0] = (char)i;
		for (unsigned p = 0; p < 4; p++)
			write_all(sb, ino, i * CLUSTER + p * 3 * sizeof(page), page, sizeof(page));
	}
	ck_assert_int_eq(run_clone(FS_ROOT_INO, "file"), 0);
	expect_short("1,000 cluster maps");
}
END_TEST

static ino_nr busy;

static void write_once(unsigned nr)
{
	if (nr == 200)
		write_all(sb, busy, 0, "x", 1);
}

/* What is shared already is shared once more, and nothing else. */
START_TEST(test_a_large_file_that_changes_meanwhile)
{
	busy = large_file("file");
	pauses.between = write_once;
	ck_assert_int_eq(run_clone(FS_ROOT_INO, "file"), 0);
	expect_short("20,000 clusters, and one once more");
	ck_assert_uint_lt(pauses.nr, 400);
}
END_TEST

static uint64_t seed;

static void write_somewhere(unsigned nr)
{
	const uint64_t cluster = zt_random(&seed) % NR_CLUSTERS;

	write_all(sb, busy, cluster * CLUSTER + nr % CLUSTER, "x", 1);
}

/* Never a round as long as the file. */
START_TEST(test_a_large_file_that_changes_all_the_while)
{
	seed = zt_seed();
	busy = large_file("file");
	pauses.between = write_somewhere;
	ck_assert_int_eq(run_clone(FS_ROOT_INO, "file"), 0);
	expect_short("20,000 clusters, written all the while");
	ck_assert_uint_gt(pauses.nr, 300);
}
END_TEST

START_TEST(test_a_large_file_that_is_not_wanted_any_more)
{
	(void)large_file("file");
	pauses.stop_at = 250;
	ck_assert_int_eq(run_clone(FS_ROOT_INO, "file"), -EINTR);
	expect_short("250 rounds");
}
END_TEST

static void set_xattrs(ino_nr ino, unsigned nr, size_t size)
{
	static char value[65536];
	char name[32];

	for (unsigned i = 0; i < nr; i++) {
		snprintf(name, sizeof(name), "user.%u", i);
		memset(value, 'v', size);
		ck_assert_int_eq(fs_setxattr(sb, ino, name, value, size, 0), 0);
	}
}

static void expect_xattrs(ino_nr ino, unsigned nr, size_t size)
{
	static char value[65536];
	char name[32];
	size_t len;

	for (unsigned i = 0; i < nr; i++) {
		snprintf(name, sizeof(name), "user.%u", i);
		ck_assert_int_eq(fs_getxattr(sb, ino, name, value, sizeof(value), &len), 0);
		ck_assert_uint_eq(len, size);
	}
}

/* As many as one inode may have: small ones, and large ones. */
START_TEST(test_attributes)
{
	const unsigned nr = _i ? 250 : 5000;
	const size_t size = _i ? 60000 : 100;

	set_xattrs(make_file(sb, FS_ROOT_INO, "file"), nr, size);
	ck_assert_int_eq(run_clone(FS_ROOT_INO, "file"), 0);
	expect_short(_i ? "250 attributes of 60,000 bytes" : "5,000 attributes");
	/* A block of small ones is copied as one; large ones are some of a round's. */
	ck_assert_uint_gt(pauses.nr, 50);
	expect_xattrs(look_ino(sb, into, "copy"), nr, size);
}
END_TEST

static void change_an_attribute(unsigned nr)
{
	if (nr == 20) {
		ck_assert_int_eq(fs_setxattr(sb, busy, "user.0", "other", 5, 0), 0);
		ck_assert_int_eq(fs_removexattr(sb, busy, "user.1"), 0);
	}
}

/* All of one moment, the last. */
START_TEST(test_attributes_that_change_meanwhile)
{
	char value[200];
	size_t len;
	ino_nr copy;

	busy = make_file(sb, FS_ROOT_INO, "file");
	set_xattrs(busy, 5000, 100);
	pauses.between = change_an_attribute;
	ck_assert_int_eq(run_clone(FS_ROOT_INO, "file"), 0);
	copy = look_ino(sb, into, "copy");
	ck_assert_int_eq(fs_getxattr(sb, copy, "user.0", value, sizeof(value), &len), 0);
	ck_assert_uint_eq(len, 5);
	ck_assert_int_eq(fs_getxattr(sb, copy, "user.1", value, sizeof(value), &len), -ENODATA);
	ck_assert_int_eq(fs_getxattr(sb, copy, "user.4999", value, sizeof(value), &len), 0);
	expect_short("attributes that change");
}
END_TEST

START_TEST(test_a_large_directory)
{
	const ino_nr dir = make_dir(sb, FS_ROOT_INO, "dir");
	char name[32];

	for (unsigned i = 0; i < 20000; i++) {
		snprintf(name, sizeof(name), "%u", i);
		fs_forget(sb, make_file(sb, dir, name), 1);
	}
	ck_assert_int_eq(run_clone(FS_ROOT_INO, "dir"), 0);
	expect_short("20,000 names");
}
END_TEST

/* Down again, entry by entry. */
START_TEST(test_a_large_directory_that_is_not_wanted_any_more)
{
	const ino_nr dir = make_dir(sb, FS_ROOT_INO, "dir");
	char name[32];

	for (unsigned i = 0; i < 20000; i++) {
		snprintf(name, sizeof(name), "%u", i);
		fs_forget(sb, make_file(sb, dir, name), 1);
	}
	pauses.stop_at = 200;
	ck_assert_int_eq(run_clone(FS_ROOT_INO, "dir"), -EINTR);
	expect_short("12,000 names that go");
}
END_TEST

/* The way up has as many steps as one likes. */
START_TEST(test_a_deep_directory)
{
	ino_nr dir = FS_ROOT_INO, top = 0;

	for (unsigned i = 0; i < 5000; i++) {
		dir = make_dir(sb, dir, "d");
		if (!top)
			top = dir;
	}
	fs_forget(sb, make_file(sb, dir, "file"), 1);
	ck_assert_int_eq(run_clone(dir, "file"), 0);
	expect_short("5,000 levels up");
	parent = dir;
	ck_assert_int_eq(run_clone(top, ""), -EINVAL);
	expect_short("5,000 levels up to itself");
}
END_TEST

static ino_nr deep[1000];

/* What is above a step that was taken goes elsewhere, and its directory away. */
static void move_the_way(unsigned nr)
{
	struct fs_moved moved;

	if (nr != 1)
		return;
	ck_assert_int_eq(fs_rename(sb, &root_cred, deep[300], "d", FS_ROOT_INO, "moved", 0, &moved), 0);
	for (unsigned i = 300; i > 0; i--)
		ck_assert_int_eq(fs_rmdir(sb, deep[i - 1], "d"), 0);
}

START_TEST(test_a_deep_directory_that_moves_meanwhile)
{
	ino_nr dir = FS_ROOT_INO;

	for (unsigned i = 0; i < ARRAY_SIZE(deep); i++)
		dir = deep[i] = make_dir(sb, dir, "d");
	fs_forget(sb, make_file(sb, dir, "file"), 1);
	pauses.between = move_the_way;
	ck_assert_int_eq(run_clone(dir, "file"), 0);
	expect_short("a way that moves");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("clone hold");
	TCase *tc = tcase_create("clone hold");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, test_a_large_file);
	tcase_add_test(tc, test_a_file_that_is_written_over);
	tcase_add_test(tc, test_a_large_file_that_changes_meanwhile);
	tcase_add_test(tc, test_a_large_file_that_changes_all_the_while);
	tcase_add_test(tc, test_a_large_file_that_is_not_wanted_any_more);
	tcase_add_loop_test(tc, test_attributes, 0, 2);
	tcase_add_test(tc, test_attributes_that_change_meanwhile);
	tcase_add_test(tc, test_a_large_directory);
	tcase_add_test(tc, test_a_large_directory_that_is_not_wanted_any_more);
	tcase_add_test(tc, test_a_deep_directory);
	tcase_add_test(tc, test_a_deep_directory_that_moves_meanwhile);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
