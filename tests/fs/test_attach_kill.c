// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_attach_kill.c - a process that works on a mount is killed at any moment, again and again; each
 * time another attaches, and finds all that was acknowledged.
 *
 * The child says what it is about to do in memory that both share, does it, and says that it is done.
 * So one operation at most is under way when it is killed, and its names alone may be as before, as
 * after, or in between. ZT_LIVES: how many are killed (60); ZT_SEED.
 */
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "tests/fs/attach_fixture.h"

#define NAMES  48u
#define MAXLEN 300000u

/* What a name is, as far as was acknowledged. */
struct name_model {
	bool exists, is_dir;
	unsigned version; /* which bytes */
	uint32_t len;
	unsigned attr; /* user.a has this number; 0: there is none */
};

struct shared {
	struct name_model names[NAMES];
	unsigned busy[2]; /* names that the operation under way touches, plus 1; 0: none */
	unsigned version;
	volatile unsigned done; /* operations in this life */
};

static struct super_params kill_params(void)
{
	struct super_params params = fixture_params();

	params.content.recompress = "zstd";
	params.content.recompress_level = 1;
	params.content.dicts = true;
	params.content.dedup = true;
	return params;
}

/* Some long, so that the directory has several blocks. */
static const char *name_of(unsigned i, char buf[256])
{
	snprintf(buf, 256, "name-%u-%0*u", i, 1 + (int)(i * 13 % 200), 0);
	return buf;
}

/* ---- the child ---- */

static ino_nr child_open(struct super *sb, unsigned i)
{
	struct fs_entry entry;
	char buf[256];

	if (fs_lookup(sb, FS_ROOT_INO, name_of(i, buf), &entry) != 0)
		_exit(10);
	return entry.ino;
}

static void child_store(struct super *sb, ino_nr ino, unsigned version, uint32_t off, uint32_t len)
{
	static unsigned char bytes[MAXLEN];
	size_t done;

	fill_bytes(version, off, bytes, len);
	if (fs_write(sb, &user_cred, ino, off, bytes, len, 0, &done) != 0 || done != len)
		_exit(11);
}

static void child_make(struct super *sb, struct name_model *name, unsigned i, bool is_dir)
{
	struct fs_entry entry;
	char buf[256];
	int err = is_dir ? fs_mkdir(sb, &user_cred, FS_ROOT_INO, name_of(i, buf), 0755, &entry)
			 : fs_mknod(sb, &user_cred, FS_ROOT_INO, name_of(i, buf), S_IFREG | 0644,
				    0, &entry);

	if (err)
		_exit(12);
	if (name->len)
		child_store(sb, entry.ino, name->version, 0, name->len);
	fs_forget(sb, entry.ino, 1);
	name->is_dir = is_dir;
	name->exists = true;
}

static void child_drop(struct super *sb, struct name_model *name, unsigned i)
{
	char buf[256];
	int err = name->is_dir ? fs_rmdir(sb, FS_ROOT_INO, name_of(i, buf))
			       : fs_unlink(sb, FS_ROOT_INO, name_of(i, buf));

	if (err)
		_exit(13);
	memset(name, 0, sizeof(*name));
}

static void child_rename(struct super *sb, struct shared *shared, struct name_model *name,
			 unsigned from, unsigned to)
{
	struct name_model *other = &shared->names[to];
	struct fs_moved moved;
	char buf[256], other_buf[256];

	if (to == from || (other->exists && (other->is_dir || name->is_dir)))
		return;
	shared->busy[1] = to + 1;
	if (fs_rename(sb, &user_cred, FS_ROOT_INO, name_of(from, buf), FS_ROOT_INO,
		      name_of(to, other_buf), 0, &moved) != 0)
		_exit(14);
	*other = *name;
	memset(name, 0, sizeof(*name));
}

static void child_change(struct super *sb, struct name_model *name, unsigned i, uint64_t *seed)
{
	ino_nr ino = child_open(sb, i);
	struct stat attr = { .st_size = 0 };
	uint32_t len = (uint32_t)(zt_random(seed) % 70000);

	switch (zt_random(seed) % 4) {
	case 0: /* append */
		len = (uint32_t)min_u64(len, MAXLEN - name->len);
		child_store(sb, ino, name->version, name->len, len);
		name->len += len;
		break;
	case 1: /* the same bytes again, in the middle */
		len = (uint32_t)min_u64(len, name->len / 2);
		child_store(sb, ino, name->version, name->len / 2, len);
		break;
	case 2:
		attr.st_size = name->len / 2;
		if (fs_setattr(sb, &user_cred, ino, &attr, FS_SET_SIZE, &attr) != 0)
			_exit(15);
		name->len /= 2;
		break;
	case 3:
		len = len % 1000 + 1;
		if (fs_setxattr(sb, ino, "user.a", &len, sizeof(len), 0) != 0)
			_exit(16);
		name->attr = len;
		break;
	}
	fs_forget(sb, ino, 1);
}

static void child_step(struct super *sb, struct shared *shared, uint64_t *seed)
{
	unsigned i = (unsigned)(zt_random(seed) % NAMES), what = (unsigned)(zt_random(seed) % 10);
	struct name_model name = shared->names[i];

	shared->busy[1] = 0;
	shared->busy[0] = i + 1;
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	if (!name.exists) {
		name = (struct name_model){ .version = ++shared->version };
		if (what > 0)
			name.len = (uint32_t)(zt_random(seed) % (what > 7 ? MAXLEN / 2 : 3000));
		child_make(sb, &name, i, what == 0);
	} else if (what < 3) {
		child_drop(sb, &name, i);
	} else if (what < 5) {
		child_rename(sb, shared, &name, i, (unsigned)(zt_random(seed) % NAMES));
	} else if (!name.is_dir) {
		child_change(sb, &name, i, seed);
	}
	shared->names[i] = name;
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	shared->busy[0] = 0;
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	if (zt_random(seed) % 64 == 0)
		(void)super_compact(sb);
	if (zt_random(seed) % 128 == 0)
		(void)blkmap_recompress(sb->map, 0);
	shared->done++;
}

static void child_main(int fd, struct shared *shared, uint64_t seed)
{
	const struct super_params params = kill_params();
	struct super *sb;
	char text[256];

	if (super_attach(&params, fd, text, &sb) != 0) {
		fprintf(stderr, "the child cannot attach: %s\n", text);
		_exit(9);
	}
	for (;;)
		child_step(sb, shared, &seed);
}

/* ---- the parent ---- */

/* Whatever it is: it can be read to its end, and goes. */
static void drop_busy(struct super *sb, struct shared *shared, unsigned i)
{
	static char bytes[MAXLEN + 1];
	struct fs_entry entry;
	char buf[256];
	size_t got;

	memset(&shared->names[i], 0, sizeof(shared->names[i]));
	if (look(sb, FS_ROOT_INO, name_of(i, buf), &entry) != 0)
		return;
	if (S_ISDIR(entry.attr.st_mode)) {
		ck_assert_int_eq(fs_rmdir(sb, FS_ROOT_INO, buf), 0);
		return;
	}
	ck_assert_int_eq(fs_read(sb, entry.ino, 0, bytes, sizeof(bytes), &got), 0);
	ck_assert_int_eq(got, entry.attr.st_size);
	ck_assert_int_eq(fs_unlink(sb, FS_ROOT_INO, buf), 0);
}

static void check_name(struct super *sb, const struct name_model *name, unsigned i)
{
	struct fs_entry entry;
	unsigned attr = 0;
	char buf[256];
	size_t len;
	int err = look(sb, FS_ROOT_INO, name_of(i, buf), &entry);

	ck_assert_msg(err == (name->exists ? 0 : -ENOENT), "%s: %d, exists: %d", buf, err,
		      name->exists);
	if (err)
		return;
	ck_assert_int_eq(S_ISDIR(entry.attr.st_mode), name->is_dir);
	if (name->is_dir)
		return;
	ck_assert_int_eq(entry.attr.st_size, name->len);
	ck_assert_int_eq(entry.attr.st_nlink, 1);
	check_filled(sb, entry.ino, name->version, 0, name->len);
	err = fs_getxattr(sb, entry.ino, "user.a", &attr, sizeof(attr), &len);
	ck_assert_int_eq(err, name->attr ? 0 : -ENODATA);
	ck_assert_uint_eq(attr, name->attr);
}

/* No kernel is there: nobody holds a reference. */
static void forget_all(struct super *sb)
{
	for (uint64_t ino = 1; inodeset_next(&sb->live, ino, &ino); ino++)
		fs_forget(sb, ino, inode_get(sb, ino)->nlookup);
}

static void check_life(struct super *sb, struct shared *shared)
{
	uint64_t nr = 1;

	for (unsigned i = 0; i < 2; i++)
		if (shared->busy[i])
			drop_busy(sb, shared, shared->busy[i] - 1);
	shared->busy[0] = shared->busy[1] = 0;
	for (unsigned i = 0; i < NAMES; i++) {
		check_name(sb, &shared->names[i], i);
		nr += shared->names[i].exists;
	}
	forget_all(sb);
	ck_assert_uint_eq(sb->nr_inodes, nr);
	ck_assert_int_eq(super_check(sb), 0);
}

/* How long it lives is the only thing that is left to chance; there is nothing to wait for. */
static void live_and_die(int fd, struct shared *shared, uint64_t *seed)
{
	uint64_t child_seed = zt_random(seed);
	const struct timespec delay = { .tv_nsec = (long)(zt_random(seed) % 12000000) };
	pid_t child;
	int status;

	fflush(NULL);
	shared->done = 0;
	child = fork();
	ck_assert_int_ge(child, 0);
	if (child == 0)
		child_main(fd, shared, child_seed);
	/* Some die before they serve. */
	if (zt_random(seed) % 8 != 0)
		while (shared->done == 0 && waitpid(child, &status, WNOHANG) == 0)
			sched_yield();
	(void)nanosleep(&delay, NULL);
	(void)kill(child, SIGKILL);
	if (waitpid(child, &status, 0) == child)
		ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL,
			      "the child ended by itself: %x", (unsigned)status);
}

START_TEST(test_what_was_acknowledged_outlives_any_number_of_kills)
{
	const struct super_params params = kill_params();
	const char *lives_text = getenv("ZT_LIVES");
	unsigned lives = lives_text ? (unsigned)atoi(lives_text) : 60;
	uint64_t seed = zt_seed(), operations = 0, repairs = 0;
	struct shared *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
				     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct super *sb = fixture_init_params(&params);

	ck_assert_ptr_ne(shared, MAP_FAILED);
	for (unsigned life = 0; life < lives; life++) {
		struct super_attach_report report;
		int fd = keep_fd(sb);

		super_leave(sb, false, NULL);
		live_and_die(fd, shared, &seed);
		operations += shared->done;
		sb = attach_params(&params, fd);
		report = report_of(sb);
		repairs += super_attach_repairs(&report) > 0;
		check_life(sb, shared);
	}
	printf("%u kills, %" PRIu64 " operations, %" PRIu64 " lives had something put right\n",
	       lives, operations, repairs);
	fixture_exit(sb);
	munmap(shared, sizeof(*shared));
}
END_TEST

static Suite *kill_suite(void)
{
	Suite *suite = suite_create("attach-kill");
	TCase *tcase = tcase_create("kills");

	tcase_set_timeout(tcase, 3600);
	tcase_add_test(tcase, test_what_was_acknowledged_outlives_any_number_of_kills);
	suite_add_tcase(suite, tcase);
	return suite;
}

int main(void)
{
	return zt_check_main(kill_suite());
}
