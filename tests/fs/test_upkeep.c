// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_upkeep.c - all that is done behind requests at once, against a model: folding, compaction,
 * recompression, deduplication, dictionaries, with a tight limit, an accelerator that fails, files
 * of all settings, options that change, shares, clones, and memory that is used again as soon as it
 * is free.
 *
 * ZT_SECONDS: how long each of the settings runs. ZT_SEED: what is done (threads still meet as
 * they like).
 */
#include <linux/falloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "blkmap/parts.h"
#include "fs/clone.h"
#include "fs/settings.h"
#include "fs/super_i.h"
#include "fs/tune.h"
#include "fs/xattr.h"
#include "tests/fs/fixture.h"

enum { NR_WORKERS = 6, NR_FILES = 4, NR_SMALL = 100, MAX_SIZE = 768 << 10, MAX_CALL = 160 << 10 };

/* Tight; tight, with an accelerator that breaks down; that, with room. */
enum { PLAIN, BROKEN, ROOMY, NR_SETTINGS };

struct file {
	ino_nr ino; /* 0: not there */
	uint64_t size;
	char *bytes; /* MAX_SIZE; zero beyond size */
};

/* Alike enough for a dictionary. */
struct small {
	ino_nr ino;
	uint64_t seed;
	size_t size;
};

struct worker {
	pthread_t thread;
	unsigned nr;
	uint64_t seed;
	struct file files[NR_FILES];
	struct small small[NR_SMALL];
	char *data, *back; /* MAX_SIZE each */
	uint64_t nr_calls, nr_refused, nr_clones;
};

static struct super *sb;
static ino_nr common; /* read by all, and cloned from */
static char *common_bytes;
static atomic_bool stop;
static atomic_ullong most_with_dict; /* objects stored with a dictionary, at some moment */

#define WORKER_FAIL(me, ...)                                                                       \
	do {                                                                                       \
		fprintf(stderr, "worker %u: ", (me)->nr);                                          \
		fprintf(stderr, __VA_ARGS__);                                                      \
		fprintf(stderr, ", call %lu\n", (me)->nr_calls);                                   \
		abort();                                                                           \
	} while (0)

static uint64_t pick(struct worker *me, uint64_t nr)
{
	return zt_random(&me->seed) % nr;
}

/* What compresses well, what does not, one value, and what many files have alike. */
static void fill(uint64_t *seed, char *buf, size_t len)
{
	const uint64_t kind = zt_random(seed) % 8, tag = zt_random(seed) % 4;
	size_t at = 0;

	if (kind < 2) {
		for (size_t i = 0; i < len; i++)
			buf[i] = (char)zt_random(seed);
		return;
	}
	if (kind == 2) {
		memset(buf, (int)tag - 3, len);
		return;
	}
	while (at < len) {
		char line[96];
		const uint64_t word = kind == 3 ? zt_random(seed) : at / 4096 * tag;
		size_t n = (size_t)snprintf(line, sizeof(line),
					    "{\"name\": \"user-%lu\", \"value\": %lu, \"kind\": "
					    "\"entry\"},\n",
					    tag, word);

		n = n < len - at ? n : len - at;
		memcpy(buf + at, line, n);
		at += n;
	}
}

static void verify(struct worker *me, const struct file *file, uint64_t off, size_t len)
{
	const uint64_t end = off >= file->size        ? off
			     : off + len > file->size ? file->size
						      : off + len;
	size_t got = 0;
	int error = fs_read(sb, file->ino, off, me->back, len, &got);

	if (error || got != end - off)
		WORKER_FAIL(me, "read at %lu: %d, %zu bytes of %lu", off, error, got, end - off);
	for (size_t i = 0; i < got; i++)
		if (me->back[i] != file->bytes[off + i])
			WORKER_FAIL(me, "file %lu, byte %lu is %02x, %02x was written",
				    (unsigned long)file->ino, off + i, (unsigned char)me->back[i],
				    (unsigned char)file->bytes[off + i]);
}

static bool refused(struct worker *me, const char *what, int error)
{
	if (error == 0)
		return false;
	if (error != -ENOSPC)
		WORKER_FAIL(me, "%s: %d", what, error);
	me->nr_refused++;
	return true;
}

static void do_write(struct worker *me, struct file *file)
{
	uint64_t off = pick(me, MAX_SIZE - 1), len = 1 + pick(me, MAX_CALL);
	size_t done = 0;

	if (pick(me, 2)) {
		len = pick(me, 3) ? 4096 : 65536;
		off &= ~(len - 1);
	}
	len = off + len > MAX_SIZE ? MAX_SIZE - off : len;
	fill(&me->seed, me->data, len);
	if (refused(me, "write",
		    fs_write(sb, &user_cred, file->ino, off, me->data, len,
			     (unsigned)pick(me, 2) * FS_WRITE_DELAYED, &done)))
		return;
	memcpy(file->bytes + off, me->data, done);
	if (done && off + done > file->size)
		file->size = off + done;
}

static void do_truncate(struct worker *me, struct file *file)
{
	struct stat attr = { .st_size = (off_t)(pick(me, 4) ? pick(me, MAX_SIZE) : 0) };
	const uint64_t size = (uint64_t)attr.st_size;

	if (refused(me, "truncate",
		    fs_setattr(sb, &user_cred, file->ino, &attr, FS_SET_SIZE, &attr)))
		return;
	if (size < file->size)
		memset(file->bytes + size, 0, file->size - size);
	file->size = size;
}

/* A range that is refused in the middle may be zero in part. */
static void do_punch(struct worker *me, struct file *file)
{
	const uint64_t off = pick(me, MAX_SIZE - 1);
	uint64_t len = 1 + pick(me, MAX_CALL), end;
	size_t got = 0;
	bool part;

	len = off + len > MAX_SIZE ? MAX_SIZE - off : len;
	part = refused(me, "punch",
		       fs_fallocate(sb, &user_cred, file->ino,
				    FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, off, len));
	if (off >= file->size)
		return;
	end = off + len < file->size ? off + len : file->size;
	if (!part) {
		memset(file->bytes + off, 0, end - off);
		return;
	}
	if (fs_read(sb, file->ino, off, me->back, end - off, &got) || got != end - off)
		WORKER_FAIL(me, "read after punch");
	for (size_t i = 0; i < got; i++)
		if (me->back[i] == 0)
			file->bytes[off + i] = 0;
}

static void do_allocate(struct worker *me, struct file *file)
{
	const uint64_t off = pick(me, MAX_SIZE - MAX_CALL), len = 1 + pick(me, MAX_CALL);
	const bool keep = pick(me, 2);

	if (!refused(me, "fallocate",
		     fs_fallocate(sb, &user_cred, file->ino, keep ? FALLOC_FL_KEEP_SIZE : 0, off,
				  len)) &&
	    !keep && off + len > file->size)
		file->size = off + len;
}

static void do_copy(struct worker *me, struct file *to, const struct file *from)
{
	const uint64_t from_size = from ? from->size : MAX_SIZE;
	const char *bytes = from ? from->bytes : common_bytes;
	uint64_t off = pick(me, MAX_SIZE / 65536) * 65536, len = 65536 * (1 + pick(me, 4)),
		 done = 0;
	int error;

	if (to == from)
		return;
	error = fs_copy_range(sb, &user_cred, from ? from->ino : common, off, to->ino, off, len,
			      &done);
	if (error == -EOPNOTSUPP || refused(me, "copy", error))
		return;
	if (off + done > from_size && done)
		WORKER_FAIL(me, "copied %lu bytes at %lu of %lu", done, off, from_size);
	memcpy(to->bytes + off, bytes + off, done);
	if (done && off + done > to->size)
		to->size = off + done;
}

static const char *const algorithms[] = { "lz4", "zstd", "none", "default" };

static void name_of(const struct worker *me, const struct file *file, char name[32])
{
	snprintf(name, 32, "%u-%ld", me->nr, (long)(file - me->files));
}

/* What is written from now on is stored in another way than what is there. */
static void do_settings(struct worker *me, const struct file *file, uint32_t which)
{
	struct ztmpfs_file_attr attr = { .version = ZTMPFS_STAT_VERSION, .which = which };

	/* 4 to 128 KiB */
	attr.cluster_size = UINT64_C(4096) << pick(me, 6);
	snprintf(attr.compress, sizeof(attr.compress), "%s",
		 algorithms[pick(me, ARRAY_SIZE(algorithms))]);
	attr.level = ZCOMP_LEVEL_DEFAULT;
	(void)refused(me, "settings", fs_set_settings(sb, &user_cred, file->ino, &attr));
}

static void do_make(struct worker *me, struct file *file)
{
	struct fs_entry entry;
	char name[32];

	name_of(me, file, name);
	if (refused(me, "mknod",
		    fs_mknod(sb, &user_cred, FS_ROOT_INO, name, S_IFREG | 0644, 0, &entry)))
		return;
	file->ino = entry.ino;
	file->size = 0;
	memset(file->bytes, 0, MAX_SIZE);
	do_settings(me, file,
		    ZTMPFS_ATTR_CLUSTER | (pick(me, 3) == 0 ? ZTMPFS_ATTR_COMPRESS : 0));
}

static void do_unlink(struct worker *me, struct file *file)
{
	char name[32];

	name_of(me, file, name);
	if (refused(me, "unlink", fs_unlink(sb, FS_ROOT_INO, name)))
		return;
	fs_forget(sb, file->ino, 1);
	file->ino = 0;
	super_reap(sb);
}

/* The copy takes the place of its original. */
static void take_clone(struct worker *me, struct file *file, ino_nr dir, const char *name)
{
	struct fs_entry copy;

	if (fs_lookup(sb, dir, "copy", &copy) != 0)
		WORKER_FAIL(me, "no clone");
	if (refused(me, "rename",
		    rename_name(sb, &user_cred, dir, "copy", FS_ROOT_INO, name, 0))) {
		if (fs_unlink(sb, dir, "copy") != 0)
			WORKER_FAIL(me, "unlink of a clone");
		fs_forget(sb, copy.ino, 1);
		return;
	}
	fs_forget(sb, file->ino, 1);
	file->ino = copy.ino;
	me->nr_clones++;
	verify(me, file, 0, MAX_SIZE);
}

static void do_clone(struct worker *me, struct file *file)
{
	const struct fs_asker asker = { .uid = user_cred.uid, .gid = user_cred.gid };
	struct fs_clone_request request = { .from = FS_ROOT_INO, .to_name = "copy" };
	char name[32], dir_name[32];
	struct fs_entry dir;
	uint64_t nr;

	name_of(me, file, name);
	snprintf(dir_name, sizeof(dir_name), "clone-%u", me->nr);
	if (refused(me, "mkdir", fs_mkdir(sb, &user_cred, FS_ROOT_INO, dir_name, 0755, &dir)))
		return;
	request.from_name = name;
	request.into = dir.ino;
	if (!refused(me, "clone", fs_clone(sb, &asker, &request, &nr)))
		take_clone(me, file, dir.ino, name);
	if (fs_rmdir(sb, FS_ROOT_INO, dir_name) != 0)
		WORKER_FAIL(me, "rmdir");
	fs_forget(sb, dir.ino, 1);
	super_reap(sb);
}

/* Objects of other kinds, in rooms that files had just now. */
static void do_reuse(struct worker *me)
{
	char name[32], *target = me->data;
	struct fs_entry entry;
	const size_t len = 1 + pick(me, 4000);

	memset(target, 'x', len);
	target[len] = '\0';
	snprintf(name, sizeof(name), "link-%u", me->nr);
	if (refused(me, "symlink", fs_symlink(sb, &user_cred, FS_ROOT_INO, name, target, &entry)))
		return;
	(void)refused(me, "setxattr",
		      fs_setxattr(sb, common, "user.x", target, 1 + pick(me, 4000), 0));
	fs_forget(sb, entry.ino, 1);
	if (fs_unlink(sb, FS_ROOT_INO, name) != 0)
		WORKER_FAIL(me, "unlink of a link");
}

static void fill_small(const struct small *small, char *buf)
{
	uint64_t seed = small->seed;
	size_t at = 0;

	while (at < small->size)
		at += (size_t)snprintf(
			buf + at, 128,
			"{\"customer\": %lu, \"status\": \"delivered\", \"total\": %lu, "
			"\"currency\": \"EUR\"},\n",
			zt_random(&seed) % 100000, zt_random(&seed) % 1000);
}

static void check_small(struct worker *me, const struct small *small)
{
	size_t got = 0;
	int error = fs_read(sb, small->ino, 0, me->back, 4096, &got);

	fill_small(small, me->data);
	if (error || got != small->size || memcmp(me->back, me->data, got) != 0)
		WORKER_FAIL(me, "small file %lu: %d, %zu bytes", (unsigned long)small->ino, error,
			    got);
}

/* A small file is there whole, or not at all. */
static void do_small(struct worker *me)
{
	struct small *small = &me->small[pick(me, NR_SMALL)];
	struct fs_entry entry;
	size_t done = 0;
	char name[32];

	snprintf(name, sizeof(name), "small-%u-%ld", me->nr, (long)(small - me->small));
	if (small->ino) {
		check_small(me, small);
		if (pick(me, 4))
			return;
		if (fs_unlink(sb, FS_ROOT_INO, name) != 0)
			WORKER_FAIL(me, "unlink of a small file");
		fs_forget(sb, small->ino, 1);
		small->ino = 0;
	}
	if (refused(me, "mknod",
		    fs_mknod(sb, &user_cred, FS_ROOT_INO, name, S_IFREG | 0644, 0, &entry)))
		return;
	small->seed = pick(me, 1000000);
	small->size = 600 + pick(me, 1000);
	fill_small(small, me->data);
	if (!refused(me, "write",
		     fs_write(sb, &user_cred, entry.ino, 0, me->data, small->size, 0, &done)) &&
	    done == small->size) {
		small->ino = entry.ino;
		return;
	}
	if (fs_unlink(sb, FS_ROOT_INO, name) != 0)
		WORKER_FAIL(me, "unlink of a small file");
	fs_forget(sb, entry.ino, 1);
}

/* What others have, too, in whole clusters. */
static void do_fill(struct worker *me, struct file *file)
{
	for (uint64_t off = 0; off < MAX_SIZE; off += 131072) {
		uint64_t seed = off / 131072 + pick(me, 2);
		size_t done = 0;

		fill(&seed, me->data, 131072);
		if (refused(me, "write",
			    fs_write(sb, &user_cred, file->ino, off, me->data, 131072, 0, &done)))
			return;
		memcpy(file->bytes + off, me->data, done);
		file->size = off + done;
		if (done != 131072)
			return;
	}
}

static void step(struct worker *me)
{
	/* The last one lies idle for a while each time, so that there is something for upkeep to find. */
	struct file *file = &me->files[pick(me, 60) ? pick(me, NR_FILES - 1) : NR_FILES - 1];
	struct file *other = &me->files[pick(me, NR_FILES)];

	me->nr_calls++;
	if (!file->ino) {
		do_make(me, file);
		if (file == &me->files[NR_FILES - 1] && file->ino)
			do_fill(me, file);
		return;
	}
	switch (pick(me, 32)) {
	case 0:
		do_unlink(me, file);
		break;
	case 30:
		do_clone(me, file);
		break;
	case 31:
		do_settings(me, file, ZTMPFS_ATTR_COMPRESS);
		break;
	case 1:
	case 2:
		do_truncate(me, file);
		break;
	case 3:
	case 4:
		do_punch(me, file);
		break;
	case 5:
		do_allocate(me, file);
		break;
	case 6:
	case 7:
		do_copy(me, file, other->ino ? other : NULL);
		break;
	case 8:
		do_copy(me, file, NULL);
		break;
	case 9:
		do_reuse(me);
		break;
	case 10:
		verify(me, file, 0, MAX_SIZE);
		break;
	case 11:
	case 12:
	case 13:
	case 14:
		verify(me, file, pick(me, MAX_SIZE), 1 + pick(me, MAX_CALL));
		break;
	case 15:
	case 16:
	case 17:
	case 18:
	case 19:
	case 20:
		do_small(me);
		break;
	default:
		do_write(me, file);
	}
}

static void *worker_run(void *arg)
{
	struct worker *me = arg;

	super_wait_never();
	while (!atomic_load(&stop))
		step(me);
	return NULL;
}

/* Everything at any time, not when its hour has come. */
static void *upkeep_run(void *arg)
{
	(void)arg;
	for (unsigned i = 0; !atomic_load(&stop); i++) {
		fold_idle(&sb->map->upkeep.folder, 0);
		if (i % 4 == 0)
			blkmap_recompress(sb->map, 0);
		zs_compact(sb->map->slots.data, 0);
		zs_compact(sb->meta, 0);
		if (i % 3 == 0)
			(void)super_compact(sb);
	}
	return NULL;
}

static void *tell_run(void *arg)
{
	struct ztmpfs_stat stat;
	struct ztmpfs_file_stat file_stat;
	struct statvfs vfs;

	(void)arg;
	while (!atomic_load(&stop)) {
		super_get_stat(sb, &stat);
		if (stat.dict_objects > atomic_load(&most_with_dict))
			atomic_store(&most_with_dict, stat.dict_objects);
		super_statfs(sb, &vfs);
		if (fs_file_stat(sb, common, &file_stat) != 0)
			abort();
	}
	return NULL;
}

/* Options of the mount, each at any time. A limit below what is used is refused. */
static void *tune_run(void *arg)
{
	const uint64_t limit = *(const uint64_t *)arg;
	uint64_t seed = limit;

	while (!atomic_load(&stop)) {
		const uint64_t turn = zt_random(&seed);
		struct ztmpfs_set set = {
			.which = 1u << turn % 7,
			.level = ZCOMP_LEVEL_DEFAULT,
			.size = turn / 8 % 2 ? 0 : 64 << 20,
			.nr_inodes = turn / 16 % 2 ? 0 : 5000,
			.mem_limit = limit + (turn / 32 % 3 << 20),
			.recompress = turn / 128 % 4 != 0,
			.idle = 1 + turn / 512 % 2,
			.dedup = turn / 1024 % 4 != 0,
		};
		int error;

		snprintf(set.compress, sizeof(set.compress), "%s",
			 algorithms[turn / 4096 % ARRAY_SIZE(algorithms)]);
		error = super_set(sb, &set);
		if (error && error != -EBUSY && error != -ENOSPC) {
			fprintf(stderr, "super_set %x: %d\n", set.which, error);
			abort();
		}
		(void)usleep(50000);
	}
	return NULL;
}

static void init_worker(struct worker *me, unsigned nr, uint64_t seed)
{
	memset(me, 0, sizeof(*me));
	me->nr = nr;
	me->seed = seed + nr;
	me->data = malloc(MAX_SIZE);
	me->back = malloc(MAX_SIZE);
	ck_assert(me->data && me->back);
	for (unsigned i = 0; i < NR_FILES; i++) {
		me->files[i].bytes = calloc(1, MAX_SIZE);
		ck_assert_ptr_nonnull(me->files[i].bytes);
	}
}

static void exit_worker(struct worker *me)
{
	for (unsigned i = 0; i < NR_FILES; i++) {
		if (me->files[i].ino) {
			verify(me, &me->files[i], 0, MAX_SIZE);
			do_unlink(me, &me->files[i]);
		}
		free(me->files[i].bytes);
	}
	for (unsigned i = 0; i < NR_SMALL; i++)
		if (me->small[i].ino)
			check_small(me, &me->small[i]);
	free(me->data);
	free(me->back);
}

static void make_common(uint64_t seed)
{
	common_bytes = malloc(MAX_SIZE);
	ck_assert_ptr_nonnull(common_bytes);
	for (size_t at = 0; at < MAX_SIZE; at += 32768)
		fill(&seed, common_bytes + at, 32768);
	common = make_file(sb, FS_ROOT_INO, "common");
	write_all(sb, common, 0, common_bytes, MAX_SIZE);
}

static unsigned seconds(void)
{
	const char *text = getenv("ZT_SECONDS");

	return text ? (unsigned)strtoul(text, NULL, 10) : 4;
}

/* A dictionary's compressor needs more room than a tight limit gives. */
static struct super_params params_of(int i)
{
	struct super_params params = fixture_params();

	params.content.comp.nr_streams = 8;
	params.mem_limit = i == ROOMY ? 96 << 20 : 9 << 20;
	params.content.recompress = "zstd";
	params.content.recompress_level = 1;
	params.content.recompress_idle = 1;
	params.content.dicts = true;
	params.content.dedup = true;
	params.content.background = true;
	if (i != PLAIN) {
		params.content.accel = BLKMAP_ACCEL_ON;
		params.content.comp.accel_params = (struct zcomp_accel_params){
			.engines = 2,
			.deadline_us = 20000,
			.fail_ppm = 20000,
			.stall_ppm = 500,
			.reset_ppm = 200,
			.kill_ppm = 100,
		};
	}
	return params;
}

START_TEST(test_all_upkeep_at_once_changes_no_byte)
{
	static struct worker workers[NR_WORKERS];
	const struct super_params params = params_of(_i);
	const uint64_t seed = zt_seed();
	struct ztmpfs_stat stat;
	pthread_t upkeep, tell, tune;
	uint64_t calls = 0, refusals = 0, clones = 0;

	sb = fixture_init_params(&params);
	make_common(seed);
	atomic_store(&stop, false);
	atomic_store(&most_with_dict, 0);
	ck_assert_int_eq(pthread_create(&upkeep, NULL, upkeep_run, NULL), 0);
	ck_assert_int_eq(pthread_create(&tell, NULL, tell_run, NULL), 0);
	ck_assert_int_eq(pthread_create(&tune, NULL, tune_run, (void *)&params.mem_limit), 0);
	for (unsigned i = 0; i < NR_WORKERS; i++) {
		init_worker(&workers[i], i, seed);
		ck_assert_int_eq(pthread_create(&workers[i].thread, NULL, worker_run, &workers[i]),
				 0);
	}
	for (unsigned i = 0; i < seconds() * 10; i++)
		(void)usleep(100000);
	atomic_store(&stop, true);
	for (unsigned i = 0; i < NR_WORKERS; i++) {
		pthread_join(workers[i].thread, NULL);
		calls += workers[i].nr_calls;
		refusals += workers[i].nr_refused;
		clones += workers[i].nr_clones;
	}
	pthread_join(upkeep, NULL);
	pthread_join(tell, NULL);
	pthread_join(tune, NULL);
	super_drain(sb);

	super_get_stat(sb, &stat);
	fprintf(stderr,
		"%lu calls, %lu refused, %lu clones; folded %lu, recompressed %lu, joined %lu, "
		"with a dictionary %lu at most, compacted %lu\n",
		calls, refusals, clones, (unsigned long)stat.folds, (unsigned long)stat.recompressed,
		(unsigned long)stat.dedup_joined, (unsigned long)atomic_load(&most_with_dict),
		(unsigned long)stat.pages_compacted);
	/* Else too little has been tried; what a few seconds reach depends on the machine. */
	if (seconds() >= 60 && _i == ROOMY)
		ck_assert(stat.folds && stat.recompressed && stat.pages_compacted &&
			  stat.dedup_joined && atomic_load(&most_with_dict));
	else if (seconds() >= 60)
		ck_assert(stat.recompressed && refusals);
	for (unsigned i = 0; i < NR_WORKERS; i++)
		exit_worker(&workers[i]);
	fs_forget(sb, common, 1);
	free(common_bytes);
	fixture_exit(sb);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("upkeep");
	TCase *tc = tcase_create("upkeep");

	tcase_set_timeout(tc, seconds() * 3 + 60);
	tcase_add_loop_test(tc, test_all_upkeep_at_once_changes_no_byte, 0, NR_SETTINGS);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
