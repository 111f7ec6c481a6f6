// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_stress.c - many threads in the same directories and files; listings while names come and go.
 * Afterwards the walkers agree, and when everything is removed nothing is left.
 */
#include "fs/xattr.h"
#include "tests/fs/fixture.h"

#include <linux/falloc.h>
#include <linux/fs.h>
#include <pthread.h>
#include <stdatomic.h>

#ifdef ZT_SANITIZERS
enum { NR_OPS = 15000, NR_LISTINGS = 100 };
#else
enum { NR_OPS = 60000, NR_LISTINGS = 400 };
#endif

enum { NR_THREADS = 4, NR_DIRS = 4, NR_NAMES = 24, NR_STABLE = 400, NR_RAISES = 4000000 };

static struct super *sb;
static ino_nr dirs[NR_DIRS];
static uint64_t seed;
/* So that short work overlaps too. */
static pthread_barrier_t start;
/* Check's assertions are for its own thread only. */
static atomic_int surprises;

static void surprise(const char *what, int err)
{
	fprintf(stderr, "%s: %d\n", what, err);
	atomic_fetch_add(&surprises, 1);
}

struct worker {
	pthread_t thread;
	uint64_t state;
};

static unsigned pick(struct worker *me, unsigned nr)
{
	return (unsigned)(zt_random(&me->state) % nr);
}

static void name_of(struct worker *me, char name[64])
{
	unsigned i = pick(me, NR_NAMES);

	snprintf(name, 64, "n%u%.*s", i, (int)(i % 30), "------------------------------");
}

/* A directory with a reference of ours: one that stays, or one that may be on its way. */
static ino_nr hold_dir(struct worker *me)
{
	ino_nr dir = dirs[pick(me, NR_DIRS)];
	struct fs_entry entry;
	char name[64];

	for (unsigned depth = pick(me, 3); depth > 0; depth--) {
		name_of(me, name);
		if (fs_lookup(sb, dir, name, &entry) != 0)
			break;
		if (!S_ISDIR(entry.attr.st_mode)) {
			fs_forget(sb, entry.ino, 1);
			break;
		}
		if (depth > 1) {
			/* going on from here: keep it until the next step is made */
			ino_nr above = entry.ino;

			name_of(me, name);
			if (fs_lookup(sb, above, name, &entry) != 0)
				return above;
			fs_forget(sb, above, 1);
			if (S_ISDIR(entry.attr.st_mode))
				return entry.ino;
			fs_forget(sb, entry.ino, 1);
			break;
		}
		return entry.ino;
	}
	if (fs_lookup(sb, dir, ".", &entry) != 0)
		surprise("lookup .", 0);
	return dir;
}

static void use_file(struct worker *me, ino_nr ino)
{
	uint64_t off = pick(me, 300000), found;
	struct stat attr = { .st_size = pick(me, 200000), .st_mode = 0600 + pick(me, 0100) };
	char buf[9000];
	size_t done;
	int err = 0;

	memset(buf, (int)pick(me, 256), sizeof(buf));
	switch (pick(me, 7)) {
	case 0:
		err = fs_read(sb, ino, off, buf, sizeof(buf), &done);
		break;
	case 1:
	case 2:
		err = fs_write(sb, &user_cred, ino, off, buf, pick(me, sizeof(buf)), pick(me, 2),
			       &done);
		break;
	case 3:
		err = fs_setattr(sb, &user_cred, ino, &attr, FS_SET_SIZE, &attr);
		break;
	case 4:
		err = fs_fallocate(sb, &user_cred, ino, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				   off, 1 + pick(me, 100000));
		break;
	case 5:
		err = fs_setattr(sb, &user_cred, ino, &attr, FS_SET_MODE | FS_SET_MTIME_NOW, &attr);
		break;
	case 6:
		err = fs_lseek(sb, ino, off, SEEK_DATA, &found);
		if (err == -ENXIO)
			err = 0;
		break;
	}
	if (err)
		surprise("file", err);
}

static void op_create(struct worker *me, ino_nr dir, const char *name)
{
	struct fs_entry entry;
	int err;

	switch (pick(me, 4)) {
	case 0:
		err = fs_mkdir(sb, &user_cred, dir, name, 0755, &entry);
		break;
	case 1:
		err = fs_symlink(sb, &user_cred, dir, name, "somewhere", &entry);
		break;
	default:
		err = fs_mknod(sb, &user_cred, dir, name, S_IFREG | 0644, 0, &entry);
		break;
	}
	if (err && err != -EEXIST && err != -ENOENT)
		surprise("create", err);
	if (err)
		return;
	if (S_ISREG(entry.attr.st_mode))
		use_file(me, entry.ino);
	fs_forget(sb, entry.ino, 1);
}

static void op_lookup(struct worker *me, ino_nr dir, const char *name)
{
	char target[FS_SYMLINK_MAX + 1];
	struct fs_entry entry;
	struct stat attr;
	int err = fs_lookup(sb, dir, name, &entry);

	if (err && err != -ENOENT)
		surprise("lookup", err);
	if (err)
		return;
	if (fs_getattr(sb, entry.ino, &attr))
		surprise("getattr", 0);
	if (S_ISREG(entry.attr.st_mode))
		use_file(me, entry.ino);
	if (S_ISLNK(entry.attr.st_mode) && fs_readlink(sb, entry.ino, target))
		surprise("readlink", 0);
	fs_forget(sb, entry.ino, 1);
}

static void op_link(struct worker *me, ino_nr dir, const char *name)
{
	struct fs_entry entry, link;
	char other[64];
	int err;

	name_of(me, other);
	if (fs_lookup(sb, dirs[pick(me, NR_DIRS)], other, &entry) != 0)
		return;
	err = fs_link(sb, entry.ino, dir, name, &link);
	if (!err)
		fs_forget(sb, link.ino, 1);
	else if (err != -EEXIST && err != -ENOENT && err != -EPERM)
		surprise("link", err);
	fs_forget(sb, entry.ino, 1);
}

static void op_remove(struct worker *me, ino_nr dir, const char *name)
{
	int err = pick(me, 3) ? fs_unlink(sb, dir, name) : fs_rmdir(sb, dir, name);

	if (err && err != -ENOENT && err != -EISDIR && err != -ENOTDIR && err != -ENOTEMPTY)
		surprise("remove", err);
}

static void op_rename(struct worker *me, ino_nr dir, const char *name)
{
	static const unsigned flags[] = { 0, 0, RENAME_NOREPLACE, RENAME_EXCHANGE,
					  RENAME_WHITEOUT };
	ino_nr to = hold_dir(me);
	char other[64];
	int err;

	name_of(me, other);
	err = rename_name(sb, &user_cred, dir, name, to, other, flags[pick(me, ARRAY_SIZE(flags))]);
	if (err && err != -ENOENT && err != -EEXIST && err != -EISDIR && err != -ENOTDIR &&
	    err != -ENOTEMPTY && err != -EINVAL)
		surprise("rename", err);
	fs_forget(sb, to, 1);
}

/* Values are of one byte each, so that half of one and half of another are noticed. */
static void use_value(struct worker *me, ino_nr ino, const char *attr)
{
	char buf[3000];
	size_t len = pick(me, sizeof(buf));
	int err;

	memset(buf, (int)pick(me, 256), sizeof(buf));
	switch (pick(me, 3)) {
	case 0:
		err = fs_setxattr(sb, ino, attr, buf, len, 0);
		break;
	case 1:
		err = fs_removexattr(sb, ino, attr);
		break;
	default:
		err = fs_getxattr(sb, ino, attr, buf, sizeof(buf), &len);
		if (!err && len > 0 && memcmp(buf, buf + 1, len - 1) != 0)
			surprise("torn attribute", -EUCLEAN);
	}
	if (err && err != -ENODATA)
		surprise("attribute", err);
}

/* u::rwx, user 1 rwx, g::r-x, mask rwx, o::--- */
static const unsigned char some_acl[] = {
	2, 0, 0,   0,   1,   0,   7,  0, 255, 255, 255, 255, 2,   0,   7,
	0, 1, 0,   0,   0,   4,   0,  5, 0,   255, 255, 255, 255, 16,  0,
	7, 0, 255, 255, 255, 255, 32, 0, 0,   0,   255, 255, 255, 255,
};

static void op_attributes(struct worker *me, ino_nr dir, const char *name)
{
	static const char *const attrs[] = { "user.a", "user.b", "security.capability",
					     "trusted.long.name" };
	struct fs_entry entry;
	char list[256];
	size_t len;
	int err = 0;

	switch (pick(me, 8)) {
	case 0:
		err = fs_setxattr(sb, dir, "system.posix_acl_default", some_acl, sizeof(some_acl),
				  0);
		break;
	case 1:
		err = fs_removexattr(sb, dir, "system.posix_acl_default");
		break;
	case 2:
		err = fs_setxattr(sb, dir, "system.posix_acl_access", some_acl, sizeof(some_acl),
				  0);
		break;
	case 3:
		err = fs_listxattr(sb, dir, true, list, sizeof(list), &len);
		break;
	case 4:
		use_value(me, dir, attrs[pick(me, ARRAY_SIZE(attrs))]);
		break;
	default:
		if (fs_lookup(sb, dir, name, &entry) != 0)
			break;
		use_value(me, entry.ino, attrs[pick(me, ARRAY_SIZE(attrs))]);
		fs_forget(sb, entry.ino, 1);
	}
	if (err)
		surprise("attributes", err);
}

struct given {
	unsigned nr;
	ino_nr inos[40];
};

static bool list_name(void *arg, const struct fs_dirent *found)
{
	struct given *given = arg;

	if (given->nr == ARRAY_SIZE(given->inos))
		return false;
	if (found->attributes != NULL)
		given->inos[given->nr++] = found->ino;
	return true;
}

static void op_list(ino_nr dir)
{
	struct given given = { 0 };
	int err = fs_readdir(sb, dir, 0, true, list_name, &given);

	if (err)
		surprise("readdir", err);
	while (given.nr > 0)
		fs_forget(sb, given.inos[--given.nr], 1);
}

static void *work_on_names(void *arg)
{
	struct worker *me = arg;

	for (unsigned i = 0; i < NR_OPS; i++) {
		ino_nr dir = hold_dir(me);
		char name[64];

		name_of(me, name);
		switch (pick(me, 9)) {
		case 0:
		case 1:
			op_create(me, dir, name);
			break;
		case 2:
		case 3:
			op_lookup(me, dir, name);
			break;
		case 4:
			op_link(me, dir, name);
			break;
		case 5:
			op_remove(me, dir, name);
			break;
		case 6:
			op_rename(me, dir, name);
			break;
		case 7:
			op_list(dir);
			break;
		case 8:
			op_attributes(me, dir, name);
			break;
		}
		fs_forget(sb, dir, 1);
	}
	return NULL;
}

static void run(void *(*work)(void *), struct worker workers[NR_THREADS])
{
	for (unsigned i = 0; i < NR_THREADS; i++) {
		workers[i].state = seed + i;
		ck_assert_int_eq(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
	}
	for (unsigned i = 0; i < NR_THREADS; i++)
		ck_assert_int_eq(pthread_join(workers[i].thread, NULL), 0);
	ck_assert_int_eq(atomic_load(&surprises), 0);
}

/* rm -r */
struct first {
	char name[FS_NAME_MAX + 1];
	mode_t type;
	ino_nr ino;
};

static bool take_first(void *arg, const struct fs_dirent *found)
{
	struct first *first = arg;

	memcpy(first->name, found->name, found->name_len);
	first->name[found->name_len] = '\0';
	first->type = found->type;
	first->ino = found->ino;
	return false;
}

static void remove_all(ino_nr dir)
{
	for (;;) {
		struct first first = { .ino = 0 };

		ck_assert_int_eq(fs_readdir(sb, dir, 2, false, take_first, &first), 0);
		if (first.ino == 0)
			return;
		if (S_ISDIR(first.type)) {
			remove_all(first.ino);
			ck_assert_int_eq(fs_rmdir(sb, dir, first.name), 0);
		} else {
			ck_assert_int_eq(fs_unlink(sb, dir, first.name), 0);
		}
	}
}

static void setup(void)
{
	char name[16];

	atomic_store(&surprises, 0);
	seed = zt_seed();
	sb = fixture_init();
	for (unsigned i = 0; i < NR_DIRS; i++) {
		snprintf(name, sizeof(name), "dir%u", i);
		dirs[i] = make_dir(sb, FS_ROOT_INO, name);
	}
}

static void teardown(void)
{
	ck_assert_int_eq(super_check(sb), 0);
	for (unsigned i = 0; i < NR_DIRS; i++)
		fs_forget(sb, dirs[i], 1);
	remove_all(FS_ROOT_INO);
	ck_assert_uint_eq(sb->nr_inodes, 1);
	ck_assert_uint_eq(fixture_meta_objects(sb), 0);
	fixture_exit(sb);
}

START_TEST(test_changes_by_many_threads_leave_a_sound_tree)
{
	struct worker workers[NR_THREADS];

	run(work_on_names, workers);
}
END_TEST

/* One directory, large enough for an index: some names stay, the others belong to a thread each. */
struct listing {
	uint64_t cookie;
	unsigned nr, seen[NR_STABLE];
};

static bool count_stable(void *arg, const struct fs_dirent *found)
{
	struct listing *list = arg;

	if (list->nr++ == 50)
		return false;
	list->cookie = found->next_cookie;
	if (found->name[0] == 's')
		list->seen[strtoul(found->name + 1, NULL, 10)]++;
	return true;
}

static void list_once(ino_nr dir)
{
	struct listing list = { 0 };

	do {
		list.nr = 0;
		if (fs_readdir(sb, dir, list.cookie, false, count_stable, &list))
			surprise("readdir", 0);
	} while (list.nr > 0);
	for (unsigned i = 0; i < NR_STABLE; i++)
		if (list.seen[i] != 1)
			surprise("listing: a name that stays was seen this often",
				 (int)list.seen[i]);
}

static void *work_on_listing(void *arg)
{
	struct worker *me = arg;
	bool present[200] = { false };
	unsigned mine = (unsigned)(me->state - seed);
	ino_nr dir = dirs[0];
	struct fs_entry entry;
	char name[64];

	for (unsigned i = 0; i < NR_LISTINGS; i++) {
		for (unsigned n = 0; n < 50; n++) {
			unsigned which = pick(me, ARRAY_SIZE(present));

			snprintf(name, sizeof(name), "t%u-%u%.*s", mine, which, (int)(which % 30),
				 "..............................");
			if (present[which]) {
				if (fs_unlink(sb, dir, name))
					surprise("unlink", 0);
			} else if (fs_mknod(sb, &user_cred, dir, name, S_IFREG, 0, &entry)) {
				surprise("mknod", 0);
			} else {
				fs_forget(sb, entry.ino, 1);
			}
			present[which] = !present[which];
		}
		list_once(dir);
	}
	return NULL;
}

START_TEST(test_listings_are_complete_while_threads_change_the_directory)
{
	struct worker workers[NR_THREADS];
	char name[16];

	for (unsigned i = 0; i < NR_STABLE; i++) {
		snprintf(name, sizeof(name), "s%u", i);
		fs_forget(sb, make_file(sb, dirs[0], name), 1);
	}
	run(work_on_listing, workers);
}
END_TEST

/*
 * Writers that lengthen one file side by side: every page must arrive, and the size be the largest
 * end.
 */
static ino_nr shared_file;

static void *work_on_file(void *arg)
{
	struct worker *me = arg;
	unsigned mine = (unsigned)(me->state - seed);
	uint64_t page[512];
	size_t done;

	for (uint64_t i = mine; i < 2000; i += NR_THREADS) {
		for (unsigned w = 0; w < 512; w++)
			page[w] = i * 512 + w;
		if (fs_write(sb, &user_cred, shared_file, i * 4096, page, 4096, i & 1, &done) ||
		    done != 4096)
			surprise("write", 0);
		if (fs_read(sb, shared_file, i * 4096, page, 4096, &done) || done != 4096 ||
		    page[0] != i * 512 || page[511] != i * 512 + 511)
			surprise("read", (int)i);
	}
	return NULL;
}

/* Whoever has stored bytes sees the file that long, whoever else raises the size meanwhile. */
static void *work_on_size(void *arg)
{
	struct worker *me = arg;
	struct inode_rec *rec = inode_get(sb, shared_file);

	pthread_barrier_wait(&start);
	for (uint64_t i = me->state - seed; i < NR_RAISES; i += NR_THREADS) {
		inode_raise_size(rec, i + 1);
		if (rec_load(&rec->size) < i + 1)
			surprise("size", (int)i);
	}
	return NULL;
}

START_TEST(test_size_never_falls_behind_a_finished_write)
{
	struct worker workers[NR_THREADS];

	shared_file = make_file(sb, dirs[0], "file");
	ck_assert_int_eq(pthread_barrier_init(&start, NULL, NR_THREADS), 0);
	run(work_on_size, workers);
	ck_assert_int_eq(pthread_barrier_destroy(&start), 0);
	ck_assert_int_eq(attr_of(sb, shared_file).st_size, NR_RAISES);
	fs_forget(sb, shared_file, 1);
}
END_TEST

START_TEST(test_writers_of_one_file_lose_nothing)
{
	struct worker workers[NR_THREADS];
	uint64_t page[512];
	size_t done;

	shared_file = make_file(sb, dirs[0], "file");
	run(work_on_file, workers);
	ck_assert_int_eq(attr_of(sb, shared_file).st_size, 2000 * 4096);
	ck_assert_int_eq(attr_of(sb, shared_file).st_blocks, 2000 * 8);
	for (uint64_t i = 0; i < 2000; i++) {
		ck_assert_int_eq(fs_read(sb, shared_file, i * 4096, page, 4096, &done), 0);
		ck_assert(page[0] == i * 512 && page[511] == i * 512 + 511);
	}
	fs_forget(sb, shared_file, 1);
}
END_TEST

/*
 * Two directories that move each below the other: alone either may, together they would hang on
 * nothing but each other. No lock of a directory is common to both moves.
 */
static ino_nr loop_top[2], loop_low[2]; /* top/dir/low */

static void climb_to_root(ino_nr ino)
{
	struct fs_entry entry;

	for (unsigned steps = 0; ino != FS_ROOT_INO; steps++) {
		if (steps > 100 || fs_lookup(sb, ino, "..", &entry)) {
			surprise("a directory does not lead to the root", (int)steps);
			return;
		}
		ino = entry.ino;
		fs_forget(sb, ino, 1);
	}
}

static void *work_on_loops(void *arg)
{
	struct worker *me = arg;
	unsigned mine = (unsigned)(me->state - seed) % 2;
	const char *name = mine ? "b" : "a";
	ino_nr top = loop_top[mine], low = loop_low[!mine];

	for (unsigned i = 0; i < NR_OPS; i++) {
		int err = rename_name(sb, &user_cred, top, name, low, name, 0);

		if (!err) {
			climb_to_root(low);
			err = rename_name(sb, &user_cred, low, name, top, name, 0);
		}
		/* two threads share each move */
		if (err && err != -EINVAL && err != -ENOENT)
			surprise("rename", err);
	}
	return NULL;
}

START_TEST(test_directories_never_come_to_stand_below_each_other)
{
	struct worker workers[NR_THREADS];

	for (unsigned i = 0; i < 2; i++) {
		ino_nr dir = make_dir(sb, dirs[i], i ? "b" : "a");

		loop_top[i] = dirs[i];
		loop_low[i] = make_dir(sb, dir, "low");
		fs_forget(sb, dir, 1);
	}
	run(work_on_loops, workers);
	for (unsigned i = 0; i < 2; i++)
		fs_forget(sb, loop_low[i], 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("stress");
	TCase *tc = tcase_create("stress");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, test_changes_by_many_threads_leave_a_sound_tree);
	tcase_add_test(tc, test_listings_are_complete_while_threads_change_the_directory);
	tcase_add_test(tc, test_writers_of_one_file_lose_nothing);
	tcase_add_test(tc, test_size_never_falls_behind_a_finished_write);
	tcase_add_test(tc, test_directories_never_come_to_stand_below_each_other);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
