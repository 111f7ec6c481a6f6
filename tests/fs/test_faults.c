// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_faults.c - every allocation of every change of names and content fails once. After each
 * failure all walkers agree and nothing has changed; without one the same call works.
 */
#include "tests/fs/fixture.h"
#include "util/alloc.h"

#include <linux/falloc.h>
#include <linux/fs.h>

static struct super *sb;
static ino_nr dir, file;
static char data[3 * 65536 + 1000];

/* All there is to see: names, attributes, content, counts. */
struct view {
	uint64_t hash;
	uint64_t inodes;
	uint64_t nr;
};

static void view_add(struct view *view, const void *buf, size_t len)
{
	const unsigned char *at = buf;

	for (size_t i = 0; i < len; i++)
		view->hash = (view->hash ^ at[i]) * UINT64_C(0x100000001b3);
}

/* A listing, since its callback must not look at inodes itself. */
struct names {
	unsigned nr;
	struct name {
		char text[80];
		ino_nr ino;
		mode_t type;
	} names[512];
};

static bool list_name(void *arg, const struct fs_dirent *found)
{
	struct names *list = arg;
	struct name *next = &list->names[list->nr];

	if (found->name[0] == '.')
		return true;
	if (list->nr == ARRAY_SIZE(list->names) || found->name_len >= sizeof(next->text))
		return false;
	memcpy(next->text, found->name, found->name_len);
	next->text[found->name_len] = '\0';
	next->ino = found->ino;
	next->type = found->type;
	list->nr++;
	return true;
}

static void view_dir(struct view *view, ino_nr ino)
{
	struct names *list = zt_zalloc(sizeof(*list));
	static char buf[sizeof(data)];
	size_t len;

	ck_assert_ptr_nonnull(list);
	ck_assert_int_eq(fs_readdir(sb, ino, 0, false, list_name, list), 0);
	ck_assert_uint_lt(list->nr, ARRAY_SIZE(list->names));
	view->nr += list->nr;
	for (unsigned i = 0; i < list->nr; i++) {
		const struct name *name = &list->names[i];
		struct stat attr = attr_of(sb, name->ino);

		memset(&attr.st_atim, 0, sizeof(attr.st_atim));
		view_add(view, name->text, strlen(name->text));
		view_add(view, &name->type, sizeof(name->type));
		view_add(view, &attr, sizeof(attr));
		if (S_ISREG(name->type)) {
			ck_assert_int_eq(fs_read(sb, name->ino, 0, buf, sizeof(buf), &len), 0);
			view_add(view, buf, len);
		} else if (S_ISDIR(name->type)) {
			view_dir(view, name->ino);
		}
	}
	zt_free(list);
}

static struct view view_all(void)
{
	struct view view = { .hash = UINT64_C(0xcbf29ce484222325), .inodes = sb->nr_inodes };

	view_dir(&view, FS_ROOT_INO);
	return view;
}

typedef int (*change_fn)(unsigned i);

/* Memory that stands by would hide what fails without it. */
static void give_back(void)
{
	blkmap_trim(sb->map);
	zs_trim(sb->meta, 0);
	zs_trim(sb->inodes, 0);
}

/*
 * Runs @change with the n-th allocation failing, for n = 1, 2, ... until it works: for even @i that
 * one alone, for odd @i all behind it too. @partial: some of it may be done.
 * Return: failures seen.
 */
static unsigned try_all(change_fn change, unsigned i, bool partial)
{
	struct view before = view_all(), after;
	unsigned failures = 0;
	int err = -ENOMEM;

	for (long n = 1; err; n++) {
		ck_assert_int_lt(n, 1000);
		give_back();
		if (i % 2)
			zt_fault_set_from(n);
		else
			zt_fault_set(n);
		err = change(i);
		if (!(i % 2) && zt_fault_pending())
			ck_assert_int_eq(err, 0);
		zt_fault_set(0);
		ck_assert_int_eq(super_check(sb), 0);
		if (!err)
			break;
		failures++;
		ck_assert_msg(err == -ENOMEM || err == -ENOSPC, "allocation %ld: %d", n, err);
		after = view_all();
		if (!partial)
			ck_assert_msg(memcmp(&before, &after, sizeof(before)) == 0,
				      "allocation %ld changed something", n);
	}
	return failures;
}

static void setup(void)
{
	sb = fixture_init();
	dir = make_dir(sb, FS_ROOT_INO, "dir");
	file = make_file(sb, FS_ROOT_INO, "file");
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (char)(i % 251 + i / 5000);
}

static void teardown(void)
{
	zt_fault_set(0);
	fixture_exit(sb);
}

/* Valid until the next but one. */
static char *name_of(const char *kind, unsigned i)
{
	static char names[2][64];
	static unsigned next;
	char *name = names[next++ % 2];

	snprintf(name, sizeof(names[0]), "%s-%u", kind, i);
	return name;
}

static int change_mknod(unsigned i)
{
	struct fs_entry entry;

	return fs_mknod(sb, &user_cred, dir, name_of("file", i), S_IFREG | 0644, 0, &entry);
}

static int change_mkdir(unsigned i)
{
	struct fs_entry entry;

	return fs_mkdir(sb, &user_cred, dir, name_of("dir", i), 0755, &entry);
}

static int change_symlink(unsigned i)
{
	struct fs_entry entry;

	return fs_symlink(sb, &user_cred, dir, name_of("symlink", i), "a target of some length",
			  &entry);
}

static int change_link(unsigned i)
{
	struct fs_entry entry;

	return fs_link(sb, file, dir, name_of("link", i), &entry);
}

static int change_rename(unsigned i)
{
	return rename_name(sb, &user_cred, FS_ROOT_INO, name_of("source", i), dir,
			   name_of("a longer name for what came from elsewhere", i), 0);
}

static int change_whiteout(unsigned i)
{
	return rename_name(sb, &user_cred, dir,
			   name_of("a longer name for what came from elsewhere", i), dir,
			   name_of("whiteout moved", i), RENAME_WHITEOUT);
}

/* The directory grows from one small block to several with an index while this runs. */
START_TEST(test_names_survive_want_of_memory)
{
	static const change_fn changes[] = { change_mknod, change_mkdir, change_symlink,
					     change_link };
	unsigned failures = 0;

	for (unsigned i = 0; i < 100; i++) {
		failures += try_all(changes[i / 2 % 4], i, false);
		fs_forget(sb, make_file(sb, FS_ROOT_INO, name_of("source", i)), 1);
		failures += try_all(change_rename, i, false);
		failures += try_all(change_whiteout, i, false);
	}
	/* not every one allocates, but together they have to, in several ways */
	ck_assert_msg(failures >= 10, "only %u allocations failed", failures);
}
END_TEST

static int write_at(ino_nr ino, uint64_t off, size_t len)
{
	uint64_t size = (uint64_t)attr_of(sb, ino).st_size;
	size_t done = 0;
	int err = fs_write(sb, &user_cred, ino, off, data, len, 0, &done);

	if (err)
		ck_assert_uint_eq((uint64_t)attr_of(sb, ino).st_size, size);
	else
		ck_assert_uint_le(off + done, (uint64_t)attr_of(sb, ino).st_size);
	/* A short write says truthfully that memory was short. */
	return err ? err : done < len ? -ENOSPC : 0;
}

static int change_write(unsigned i)
{
	static const struct {
		uint64_t off;
		size_t len;
	} writes[] = {
		{ 0, 10 },
		{ 5, 3 },
		{ 4000, 200 },
		{ 0, sizeof(data) },
		{ 65536 + 100, 50 },
		{ 300000, 4096 },
		{ 70000, 70000 },
		{ 1 << 26, 4097 },
		{ UINT64_C(1) << 35, 8 },
	};

	return write_at(file, writes[i % ARRAY_SIZE(writes)].off,
			writes[i % ARRAY_SIZE(writes)].len);
}

static void check_content(void)
{
	static char buf[sizeof(data)];
	size_t len;

	ck_assert_int_eq(fs_read(sb, file, 70000, buf, 70000, &len), 0);
	ck_assert_uint_eq(len, 70000);
	ck_assert_int_eq(memcmp(buf, data, len), 0);
}

START_TEST(test_writes_survive_want_of_memory)
{
	unsigned failures = 0;

	for (unsigned i = 0; i < 9; i++)
		failures += try_all(change_write, i, true);
	check_content();
	ck_assert_msg(failures >= 9, "only %u allocations failed", failures);
}
END_TEST

static int change_allocate(unsigned i)
{
	return fs_fallocate(sb, &user_cred, file, i % 2 ? FALLOC_FL_ZERO_RANGE : 0, i * 100000,
			    150000);
}

static int change_punch(unsigned i)
{
	return fs_fallocate(sb, &user_cred, file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			    i * 30000 + 1000, 20000);
}

START_TEST(test_allocation_and_punching_survive_want_of_memory)
{
	write_all(sb, file, 0, data, sizeof(data));
	for (unsigned i = 0; i < 4; i++)
		try_all(change_allocate, i, true);
	for (unsigned i = 0; i < 4; i++)
		try_all(change_punch, i, true);
}
END_TEST

static struct stat set_size(uint64_t size)
{
	struct stat attr = { .st_size = (off_t)size };

	ck_assert_int_eq(fs_setattr(sb, &user_cred, file, &attr, FS_SET_SIZE, &attr), 0);
	ck_assert_int_eq(attr.st_size, (off_t)size);
	return attr;
}

/* The file has @cut bytes of the data, and is made to show what is behind them. */
static void check_cut(uint64_t cut)
{
	static char buf[sizeof(data)];
	size_t len;

	set_size(sizeof(buf));
	ck_assert_int_eq(fs_read(sb, file, 0, buf, sizeof(buf), &len), 0);
	ck_assert_uint_eq(len, sizeof(buf));
	ck_assert_int_eq(memcmp(buf, data, cut), 0);
	ck_assert(is_zero(buf + cut, sizeof(buf) - cut));
}

/* A file may always be cut, and what was cut never shows again. */
START_TEST(test_files_are_cut_without_memory)
{
	for (size_t cut = sizeof(data) - 1; cut > 3000; cut -= 2999) {
		write_all(sb, file, 0, data, sizeof(data));
		give_back();
		zt_fault_set_from(1);
		set_size(cut);
		zt_fault_set(0);
		ck_assert_int_eq(super_check(sb), 0);
		check_cut(cut);
	}
}
END_TEST

/*
 * A repeated value that is cut in the middle is the one case that needs memory. The bytes behind
 * the end stay for now, and everything that could show them fails until they are gone.
 */
START_TEST(test_bytes_that_could_not_be_cut_are_never_seen)
{
	uint64_t cut = 70000;
	struct stat attr;
	size_t done;

	memset(data, 1, sizeof(data));
	for (unsigned way = 0; way < 4; way++) {
		/* whole clusters: the pool of data is empty, so that an object needs memory */
		set_size(0);
		write_all(sb, file, 0, data, 3 * 65536);
		give_back();
		zt_fault_set_from(1);
		set_size(cut);
		ck_assert(inode_tail_is_dirty(inode_get(sb, file)));
		attr.st_size = sizeof(data);
		ck_assert_int_eq(fs_write(sb, &user_cred, file, 100000, "y", 1, 0, &done), -ENOMEM);
		ck_assert_int_eq(fs_setattr(sb, &user_cred, file, &attr, FS_SET_SIZE, &attr),
				 -ENOMEM);
		ck_assert_int_eq(fs_fallocate(sb, &user_cred, file, 0, 0, 200000), -ENOMEM);
		zt_fault_set(0);
		ck_assert_int_eq(attr_of(sb, file).st_size, (off_t)cut);
		ck_assert_int_eq(super_check(sb), 0);
		/* with memory again, each way to lengthen it cuts first */
		if (way == 1)
			write_all(sb, file, sizeof(data) - 1, "", 1);
		else if (way == 2)
			ck_assert_int_eq(fs_fallocate(sb, &user_cred, file, 0, 0, sizeof(data)), 0);
		else if (way == 3)
			set_size(cut - 1);
		if (way == 3)
			cut--;
		check_cut(cut);
		ck_assert(!inode_tail_is_dirty(inode_get(sb, file)));
	}
}
END_TEST

struct ended {
	int error;
	size_t done;
};

static void async_ended(void *arg, int error, size_t done)
{
	*(struct ended *)arg = (struct ended){ .error = error, .done = done };
}

static int write_with_engines(bool async, const void *buf, size_t len, size_t *out_done)
{
	struct ended ended = { .error = 1 };
	struct fs_write_end end = { .done = async_ended, .arg = &ended };

	if (!async)
		return fs_write(sb, &user_cred, file, 0, buf, len, FS_WRITE_DELAYED, out_done);
	fs_write_async(sb, &user_cred, file, 0, buf, len, FS_WRITE_DELAYED, &end);
	super_drain(sb);
	if (!ended.error)
		*out_done = ended.done;
	return ended.error;
}

/*
 * Clusters that engines compress are stored in any order: what follows a failed one must not stay
 * behind the end, or at least not be seen when the file grows.
 */
START_TEST(test_write_that_fails_in_the_middle_leaves_nothing_behind_the_end)
{
	struct super_params params = fixture_params();
	static uint64_t noise[20 * 65536 / 8];
	unsigned failures = 0;
	bool pending = false;

	super_destroy(sb);
	params.content.accel = BLKMAP_ACCEL_ON;
	params.content.comp.accel_params.engines = 2;
	sb = fixture_init_params(&params);
	file = make_file(sb, FS_ROOT_INO, "file");
	for (size_t i = 0; i < ARRAY_SIZE(noise); i++)
		noise[i] = zt_random(&(uint64_t){ i });
	for (long n = 1; !pending; n++) {
		size_t done = 0, got = 0;
		char end[4096] = { 1 };
		int err;

		give_back();
		zt_fault_set(n);
		err = write_with_engines(_i, noise, sizeof(noise), &done);
		pending = zt_fault_pending();
		zt_fault_set(0);
		ck_assert(err == 0 || err == -ENOMEM || err == -ENOSPC);
		ck_assert_int_eq(attr_of(sb, file).st_size, err ? 0 : (off_t)done);
		ck_assert_int_eq(super_check(sb), 0);
		failures += done < sizeof(noise);
		if (done < sizeof(noise)) {
			set_size(sizeof(noise));
			ck_assert_int_eq(fs_read(sb, file, sizeof(noise) - sizeof(end), end,
						 sizeof(end), &got),
					 0);
			ck_assert_uint_eq(got, sizeof(end));
			for (size_t i = 0; i < sizeof(end); i++)
				ck_assert_int_eq(end[i], 0);
		}
		set_size(0);
		ck_assert_int_lt(n, 1000);
	}
	ck_assert_uint_gt(failures, 5);
}
END_TEST

/*
 * The limit on memory itself, rather than a planted failure: fill it up, and remove everything
 * again.
 */
START_TEST(test_memory_limit_is_met_and_left_again)
{
	struct super_params params = fixture_params();
	struct super *unlimited = sb;
	struct fs_entry entry;
	unsigned nr = 0;
	int err;

	params.mem_limit = 4 * MIB;
	sb = fixture_init_params(&params);
	while (!(err = fs_mknod(sb, &user_cred, FS_ROOT_INO, name_of("file", nr), S_IFREG, 0,
				&entry))) {
		fs_forget(sb, entry.ino, 1);
		nr++;
	}
	ck_assert_int_eq(err, -ENOSPC);
	/* 132 KiB of it are set aside to write down what is overwritten in place. */
	ck_assert_uint_gt(nr, 19500);
	ck_assert_int_eq(super_check(sb), 0);
	while (nr-- > 0)
		ck_assert_int_eq(fs_unlink(sb, FS_ROOT_INO, name_of("file", nr)), 0);
	ck_assert_uint_eq(fixture_meta_objects(sb), 0);
	fs_forget(sb, make_dir(sb, FS_ROOT_INO, "again"), 1);
	fixture_exit(sb);
	sb = unlimited;
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("faults");
	TCase *tc = tcase_create("faults");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, test_names_survive_want_of_memory);
	tcase_add_test(tc, test_writes_survive_want_of_memory);
	tcase_add_test(tc, test_allocation_and_punching_survive_want_of_memory);
	tcase_add_test(tc, test_files_are_cut_without_memory);
	tcase_add_test(tc, test_bytes_that_could_not_be_cut_are_never_seen);
	tcase_add_loop_test(tc, test_write_that_fails_in_the_middle_leaves_nothing_behind_the_end,
			    0, 2);
	tcase_add_test(tc, test_memory_limit_is_met_and_left_again);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
