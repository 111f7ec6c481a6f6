// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_schedules.c - pairs of operations side by side, in thousands of orders, against models.
 *
 * Three files are made anew before each run: text, noise, cluster maps, clusters that two of them
 * share. Two tasks then do an operation or two each, one point at a time (tests/lib/sched.h). At the
 * end every byte and every count of pages must be what the models say, and the walkers must find
 * everything whole.
 *
 * Duels are few operations on as little as they need, so that all orders with one change are tried, and
 * those with two as far as there is time.
 *
 * ZT_SECONDS and ZT_SEED: tests/lib/sched_case.h.
 *
 * Tests blkmap as a whole; the points are in all that it uses.
 */
#define ZT_LOCKS_UNCHECKED /* one function or another takes a file's lock, shared or not */

#include <errno.h>
#include <string.h>

#include "tests/blkmap/bm_fixture.h"
#include "tests/lib/sched_case.h"
#include "util/lock.h"

#define NR_FILES 3u
#define NR_OPS   2u /* of one task, at most */
#define NR_TASKS 2u
#define MAX_TASKS SCHED_CASE_TASKS /* of a duel */
#define CLUSTERS 8u /* of a file, at most; four of them are there at first */
#define MAX_SIZE (CLUSTERS * (ZT_PAGE_SIZE << 2))
#define PAGES    (MAX_SIZE / ZT_PAGE_SIZE)
#define RUNS     40u /* of the same operations by chance */

struct model {
	struct rwlock lock; /* the inode's */
	struct blkmap_file file;
	ref_t ref;
	uint64_t cluster; /* bytes */
	char bytes[MAX_SIZE];
	bool present[PAGES];
	bool in_flight[PAGES]; /* somebody writes there */
	uint32_t version[PAGES];
};

enum op_kind {
	OP_WRITE, OP_OVERLAY, OP_MERGE, OP_READ, OP_FOLD, OP_FOLD_ONE, OP_RECOMPRESS, OP_COMPACT, OP_SHARE,
	OP_TRUNCATE, OP_CUT, OP_PUNCH, OP_ALLOCATE, OP_REUSE, OP_GROW, OP_SETTING, OP_TRIM, OP_FAR,
	OP_SHORTEN, NR_KINDS
};

static const char *const op_names[NR_KINDS] = {
	[OP_WRITE] = "write a cluster", [OP_OVERLAY] = "write a page", [OP_MERGE] = "write bytes",
	[OP_READ] = "read", [OP_FOLD] = "fold all", [OP_FOLD_ONE] = "fold one",
	[OP_RECOMPRESS] = "recompress", [OP_COMPACT] = "compact", [OP_SHARE] = "share",
	[OP_TRUNCATE] = "truncate", [OP_CUT] = "cut", [OP_PUNCH] = "punch", [OP_ALLOCATE] = "allocate",
	[OP_REUSE] = "free and use again", [OP_GROW] = "grow", [OP_SETTING] = "change a setting",
	[OP_TRIM] = "trim", [OP_FAR] = "write far away", [OP_SHORTEN] = "cut to some bytes",
};

struct op {
	enum op_kind kind;
	unsigned file, cluster;
	uint64_t seed;
};

struct job {
	struct op ops[NR_OPS];
	unsigned nr;
};

/* The fixture's own file: a page each of clusters far away, below nodes that two may make at once. */
#define FAR	4096u
#define FAR_NR	4u

/* Pages of noise, most of which go before each run: so compaction has something to do where others' are. */
#define HOLES 32u

static struct blkmap_file holes;

static struct rwlock far_lock;
static uint64_t far_tag[FAR_NR]; /* 0: not written */

/* What there is before a run: all of it, or what a duel needs. */
static struct shape {
	unsigned clusters; /* of each file */
	unsigned files; /* that have any; the first two share clusters */
	unsigned holes; /* pages of noise; 0: none */
	bool far; /* clusters far away may be written */
	bool spare; /* the last file is empty, and its clusters are larger */
} shape;

static const struct shape full = { .clusters = 4, .files = NR_FILES, .holes = HOLES, .far = true };

static struct bm bm;
static struct model models[NR_FILES];
static char look[MAX_SIZE]; /* between runs */

/* Files and models --------------------------------------------------------- */

static void fill(char *dst, size_t len, uint64_t tag)
{
	uint64_t seed = tag;
	size_t at = 0;

	if (tag % 5 == 0) {
		for (size_t i = 0; i < len; i++)
			dst[i] = (char)zt_random(&seed);
		return;
	}
	while (at < len) {
		char line[64];
		size_t n = (size_t)snprintf(line, sizeof(line), "%zu of %" PRIu64 ": a fox\n", at, tag);

		n = min_u64(n, len - at);
		memcpy(dst + at, line, n);
		at += n;
	}
}

static bool is_in_flight(const struct model *m, uint64_t off, uint64_t len)
{
	for (uint64_t p = off / ZT_PAGE_SIZE; p * ZT_PAGE_SIZE < off + len; p++)
		if (m->in_flight[p])
			return true;
	return false;
}

static void flight(struct model *m, uint64_t off, uint64_t len, bool on)
{
	for (uint64_t p = off / ZT_PAGE_SIZE; p * ZT_PAGE_SIZE < off + len; p++) {
		m->in_flight[p] = on;
		m->version[p]++;
	}
}

/* The model's pages from @off on are holes, but for the rest of the first. */
static void forget(struct model *m, uint64_t off, uint64_t end)
{
	memset(m->bytes + off, 0, end - off);
	for (uint64_t p = div_round_up_u64(off, ZT_PAGE_SIZE); (p + 1) * ZT_PAGE_SIZE <= end; p++)
		m->present[p] = false;
	for (uint64_t p = 0; p < PAGES; p++)
		m->version[p]++;
}

/* The lock is held, shared, and the tree covers it. Two do not write the same page at once. */
static void write_held(struct model *m, uint64_t off, uint64_t len, uint64_t tag)
{
	static _Thread_local char data[MAX_SIZE];
	size_t done;

	if (is_in_flight(m, off, len))
		return;
	fill(data, len, tag);
	flight(m, off, len, true);
	sched_must(blkmap_write(bm.map, &m->file, &(struct blkmap_bytes){ off, data, len, ZSTRM_DEFAULT }, &done),
	     "write");
	memcpy(m->bytes + off, data, len);
	for (uint64_t p = off / ZT_PAGE_SIZE; p * ZT_PAGE_SIZE < off + len; p++)
		m->present[p] = true;
	flight(m, off, len, false);
}

static void write_at(struct model *m, uint64_t off, uint64_t len, uint64_t tag)
{
	read_lock(&m->lock);
	if (!blkmap_covers(&m->file, off, len)) {
		rw_unlock(&m->lock);
		write_lock(&m->lock);
		sched_must(blkmap_grow(bm.map, &m->file, off, len), "grow");
	}
	write_held(m, off, len, tag);
	rw_unlock(&m->lock);
}

/* Pages that nobody wrote meanwhile are as the model has them. */
static void read_at(struct model *m, uint64_t off, uint64_t len)
{
	static _Thread_local char data[MAX_SIZE];
	static _Thread_local uint32_t version[PAGES];
	static _Thread_local bool skip[PAGES];

	read_lock(&m->lock);
	memcpy(version, m->version, sizeof(version));
	memcpy(skip, m->in_flight, sizeof(skip));
	sched_must(blkmap_read(bm.map, &m->file, off, data, len), "read");
	for (uint64_t at = 0; at < len; at += ZT_PAGE_SIZE) {
		uint64_t p = (off + at) / ZT_PAGE_SIZE;

		if (!skip[p] && version[p] == m->version[p] &&
		    memcmp(data + at, m->bytes + off + at, ZT_PAGE_SIZE) != 0)
			sched_fail("a reader finds other bytes on page %" PRIu64 " of file %d", p, (int)(m - models));
	}
	rw_unlock(&m->lock);
}

static void truncate_at(struct model *m, uint64_t size)
{
	write_lock(&m->lock);
	sched_must(blkmap_truncate(bm.map, &m->file, size), "truncate");
	forget(m, size, MAX_SIZE);
	rw_unlock(&m->lock);
}

static void share_held(struct model *from, struct model *to, uint64_t off, uint64_t len)
{
	uint64_t done = 0;
	int error;

	sched_must(blkmap_grow(bm.map, &to->file, off, len), "grow");
	do {
		error = blkmap_share(bm.map,
				     &(struct blkmap_copy){ .from = &from->file, .from_off = off,
							    .to = &to->file, .to_off = off, .len = len },
				     &done);
		if (error == -EAGAIN)
			sched_must(blkmap_fold(bm.map, &from->file, off), "fold");
	} while (error == -EAGAIN);
	sched_must(error, "share");
	memcpy(to->bytes + off, from->bytes + off, len);
	memcpy(to->present + off / ZT_PAGE_SIZE, from->present + off / ZT_PAGE_SIZE, len / ZT_PAGE_SIZE);
	flight(to, off, len, false);
}

/* Of files with clusters of one size; in the order of their locks. */
static void share_cluster(struct model *from, struct model *to, unsigned cluster)
{
	struct model *first = from < to ? from : to, *second = from < to ? to : from;

	if (from == to || from->cluster != to->cluster)
		return;
	write_lock(&first->lock);
	write_lock(&second->lock);
	share_held(from, to, cluster * from->cluster, from->cluster);
	rw_unlock(&second->lock);
	rw_unlock(&first->lock);
}

/* Operations --------------------------------------------------------------- */

static void op_setting(struct model *m, uint64_t seed)
{
	unsigned setting = seed % 4 == 3 ? BLKMAP_SETTING_NONE : BLKMAP_SETTING_DEFAULT, old;
	char text[256];

	if (seed % 4 < 2)
		sched_must(blkmap_setting_find(bm.map, BLKMAP_ANY_MAKER, seed % 2 ? "zstd" : "lz4hc",
					       ZCOMP_LEVEL_DEFAULT, text, &setting),
			   "setting");
	write_lock(&m->lock);
	old = m->file.setting;
	m->file.setting = setting;
	rw_unlock(&m->lock);
	blkmap_setting_put(bm.map, old);
}

/* A file goes, and another takes its memory: slots, objects, cluster maps. */
static void op_reuse(struct model *m, uint64_t seed)
{
	struct model *other = &models[(m - models + 1 + seed % 2) % NR_FILES];

	truncate_at(m, 0);
	truncate_at(other, 0);
	write_at(other, 0, shape.clusters * other->cluster, seed | 1);
	write_at(other, other->cluster, ZT_PAGE_SIZE, seed + 2);
	if (other->cluster > ZT_PAGE_SIZE)
		write_at(other, (shape.clusters - 1) * other->cluster - ZT_PAGE_SIZE, ZT_PAGE_SIZE, seed + 3);
}

static void op_punch(struct model *m, uint64_t off, uint64_t len)
{
	write_lock(&m->lock);
	sched_must(blkmap_punch(bm.map, &m->file, off, len), "punch");
	forget(m, off, off + len);
	rw_unlock(&m->lock);
}

static void op_allocate(struct model *m, uint64_t off, uint64_t len)
{
	write_lock(&m->lock);
	sched_must(blkmap_grow(bm.map, &m->file, off, len), "grow");
	sched_must(blkmap_allocate(bm.map, &m->file, off, len), "allocate");
	for (uint64_t p = off / ZT_PAGE_SIZE; p * ZT_PAGE_SIZE < off + len; p++)
		m->present[p] = true;
	rw_unlock(&m->lock);
}

static void op_far(unsigned which, uint64_t seed)
{
	const uint64_t off = (FAR + which) * cluster_size(bm.file.order);
	char page[ZT_PAGE_SIZE];
	size_t done;

	read_lock(&far_lock);
	if (!far_tag[which]) {
		far_tag[which] = seed | 1;
		fill(page, sizeof(page), far_tag[which]);
		sched_must(blkmap_write(bm.map, &bm.file, &(struct blkmap_bytes){ off, page, sizeof(page), ZSTRM_DEFAULT },
					&done),
			   "write far away");
	}
	rw_unlock(&far_lock);
}

static void far_prepare(void)
{
	if (!shape.far)
		return;
	memset(far_tag, 0, sizeof(far_tag));
	sched_must(blkmap_truncate(bm.map, &bm.file, 0), "truncate");
	sched_must(blkmap_grow(bm.map, &bm.file, (FAR + FAR_NR) * cluster_size(bm.file.order), 1), "grow");
}

static void holes_prepare(void)
{
	static char noise[HOLES * ZT_PAGE_SIZE];
	const size_t len = shape.holes * ZT_PAGE_SIZE;
	size_t done;

	if (!len)
		return;
	if (!noise[0] && !noise[1])
		fill(noise, sizeof(noise), 5);
	sched_must(blkmap_truncate(bm.map, &holes, 0), "truncate");
	sched_must(blkmap_grow(bm.map, &holes, 0, len), "grow");
	sched_must(blkmap_write(bm.map, &holes, &(struct blkmap_bytes){ 0, noise, len, ZSTRM_DEFAULT }, &done), "write");
}

/* After the others have their pages among them. */
static void holes_make(void)
{
	for (unsigned i = 0; i < shape.holes; i++)
		if (i % 4)
			sched_must(blkmap_punch(bm.map, &holes, i * ZT_PAGE_SIZE, ZT_PAGE_SIZE), "punch");
}

static void far_check(void)
{
	char page[ZT_PAGE_SIZE], back[ZT_PAGE_SIZE];

	for (unsigned i = 0; shape.far && i < FAR_NR; i++) {
		memset(page, 0, sizeof(page));
		if (far_tag[i])
			fill(page, sizeof(page), far_tag[i]);
		sched_must(blkmap_read(bm.map, &bm.file, (FAR + i) * cluster_size(bm.file.order), back, sizeof(back)),
			   "read");
		if (memcmp(page, back, sizeof(page)) != 0)
			sched_fail("page %u far away differs", i);
	}
}

static void op_on_file(const struct op *op, struct model *m)
{
	uint64_t seed = op->seed, at = op->cluster * m->cluster, page, from;

	page = at + zt_random(&seed) % (m->cluster / ZT_PAGE_SIZE) * ZT_PAGE_SIZE;
	from = page + zt_random(&seed) % (ZT_PAGE_SIZE - 200);
	switch (op->kind) {
	case OP_WRITE:
		write_at(m, at, m->cluster, op->seed);
		break;
	case OP_OVERLAY:
		write_at(m, page, ZT_PAGE_SIZE, op->seed);
		break;
	case OP_MERGE:
		write_at(m, from, 1 + zt_random(&seed) % 199, op->seed);
		break;
	case OP_READ:
		read_at(m, at, m->cluster);
		break;
	case OP_TRUNCATE:
		truncate_at(m, at);
		break;
	case OP_CUT:
		truncate_at(m, from);
		break;
	case OP_SHORTEN:
		truncate_at(m, at + 100);
		break;
	case OP_PUNCH:
		op_punch(m, op->seed % 2 ? page : at, op->seed % 2 ? ZT_PAGE_SIZE : m->cluster);
		break;
	case OP_ALLOCATE:
		op_allocate(m, at, m->cluster);
		break;
	case OP_REUSE:
		op_reuse(m, op->seed);
		break;
	case OP_GROW:
		write_at(m, at + 4 * m->cluster, m->cluster, op->seed);
		break;
	case OP_SETTING:
		op_setting(m, op->seed);
		break;
	case OP_SHARE:
		share_cluster(m, &models[(op->file + 1) % NR_FILES], op->cluster);
		break;
	default:
		sched_fail("no operation");
	}
}

static void op_do(const struct op *op)
{
	struct model *m = &models[op->file];

	sched_name(op_names[op->kind]);
	switch (op->kind) {
	case OP_FOLD:
		(void)fold_idle(&bm.map->upkeep.folder, 0);
		break;
	case OP_FOLD_ONE:
		read_lock(&m->lock);
		sched_must(blkmap_fold(bm.map, &m->file, op->cluster * m->cluster), "fold");
		rw_unlock(&m->lock);
		break;
	case OP_RECOMPRESS:
		(void)blkmap_recompress(bm.map, 0);
		break;
	case OP_COMPACT:
		(void)zs_compact(bm.map->slots.data, 0);
		break;
	case OP_FAR:
		op_far(op->cluster, op->seed);
		break;
	case OP_TRIM:
		(void)zs_trim(bm.map->slots.data, 0);
		(void)zs_trim(bm.meta, 0);
		break;
	default:
		op_on_file(op, m);
	}
}

static void *job_run(void *arg)
{
	const struct job *job = arg;

	for (unsigned i = 0; i < job->nr; i++)
		op_do(&job->ops[i]);
	return NULL;
}

/* A world ------------------------------------------------------------------ */

static ref_t holes_ref;

static ref_t file_make(struct blkmap_file *out_file, unsigned order)
{
	struct bm_file *record;
	ref_t ref;

	sched_must(zs_malloc(bm.meta, sizeof(*record), &ref), "record");
	record = zs_data(bm.arena, ref);
	memset(record, 0, sizeof(*record));
	*out_file = (struct blkmap_file){ .tree = { .word = &record->word },
					  .nr_pages = &record->nr_pages,
					  .order = order,
					  .setting = BLKMAP_SETTING_DEFAULT };
	return ref;
}

static void world_start(uint64_t seed)
{
	static const struct bm_config configs[] = {
		{ .order = 2, .recompress = "zstd", .dedup = true },
		{ .order = 2, .compress = "zstd", .recompress = "lz4" },
		{ .order = 1 },
		{ .order = 0, .recompress = "zstd" },
	};
	const struct bm_config *config = &configs[seed % ARRAY_SIZE(configs)];

	sched_random(seed);
	bm_start(&bm, config);
	rwlock_init(&far_lock, ZT_RANK_INODE);
	for (unsigned i = 0; i < NR_FILES; i++) {
		struct model *m = &models[i];
		/* The last file has other clusters, so that its places fit others' but not its maps. */
		unsigned order = i < NR_FILES - 1 || (seed % 3 == 0 && !shape.spare) ? config->order : 2 - config->order;

		if (i == NR_FILES - 1 && shape.spare)
			order = config->order + 1;

		memset(m, 0, sizeof(*m));
		rwlock_init(&m->lock, ZT_RANK_INODE);
		m->cluster = cluster_size(order);
		m->ref = file_make(&m->file, order);
	}
	holes_ref = file_make(&holes, 0);
}

static bool is_empty(unsigned file)
{
	return file >= shape.files || (shape.spare && file == NR_FILES - 1);
}

/* Each kind of slot in each file; file 1 shares two clusters with file 0, unless clusters differ. */
static void world_prepare(uint64_t seed)
{
	far_prepare();
	holes_prepare();
	/* All of them first: what comes takes the lowest room that is free. */
	for (unsigned i = 0; i < NR_FILES; i++)
		truncate_at(&models[i], 0);
	for (unsigned i = 0; i < NR_FILES; i++) {
		struct model *m = &models[i];

		if (is_empty(i))
			continue;
		write_at(m, 0, shape.clusters * m->cluster, 1);
		write_at(m, shape.clusters / 2 * m->cluster, m->cluster, seed % 2 ? 1 : 5 * i);
	}
	for (unsigned cluster = 1; cluster < shape.clusters && !is_empty(1); cluster += 2)
		share_cluster(&models[0], &models[1], cluster);
	for (unsigned i = 0; i < NR_FILES; i++) {
		struct model *m = &models[i];

		if (is_empty(i))
			continue;
		write_at(m, ZT_PAGE_SIZE, ZT_PAGE_SIZE, 5);
		write_at(m, shape.clusters * m->cluster - ZT_PAGE_SIZE, ZT_PAGE_SIZE, 7);
	}
	holes_make();
	if (seed % 4 == 1)
		(void)blkmap_recompress(bm.map, 0);
}

static void world_check(void)
{
	uint64_t objects = 0;

	far_check();
	sched_must(blkmap_check_file(bm.map, &holes, &objects), "file with holes");
	sched_must(blkmap_check_file(bm.map, &bm.file, &objects), "file far away");
	for (unsigned i = 0; i < NR_FILES; i++) {
		struct model *m = &models[i];
		uint64_t pages = 0;

		sched_must(blkmap_read(bm.map, &m->file, 0, look, MAX_SIZE), "read");
		for (unsigned p = 0; p < PAGES; p++) {
			size_t at = p * ZT_PAGE_SIZE;

			pages += m->present[p];
			if (memcmp(look + at, m->bytes + at, ZT_PAGE_SIZE) != 0)
				sched_fail("page %u of file %u differs", p, i);
		}
		if (*m->file.nr_pages != pages)
			sched_fail("file %u counts %" PRIu64 " pages of %" PRIu64, i, *m->file.nr_pages, pages);
		sched_must(blkmap_check_file(bm.map, &m->file, &objects), "file");
	}
	sched_must(blkmap_check(bm.map, objects), "map");
	sched_must(zs_check(bm.meta), "metadata");
	sched_must(arena_check(bm.arena), "arena");
}

/* With the files everything is gone, as bm_stop() sees. */
static void world_stop(void)
{
	for (unsigned i = 0; i < NR_FILES; i++) {
		truncate_at(&models[i], 0);
		blkmap_setting_put(bm.map, models[i].file.setting);
		zs_free(bm.meta, models[i].ref);
		rwlock_exit(&models[i].lock);
	}
	sched_must(blkmap_truncate(bm.map, &holes, 0), "truncate");
	zs_free(bm.meta, holes_ref);
	bm_stop(&bm);
	rwlock_exit(&far_lock);
}

/* Runs --------------------------------------------------------------------- */

/* What is done behind requests, and what is done by them; what moves or frees most comes more often. */
static const enum op_kind upkeep[] = { OP_FOLD, OP_FOLD, OP_FOLD_ONE, OP_RECOMPRESS, OP_COMPACT, OP_COMPACT, OP_TRIM };
static const enum op_kind requests[] = { OP_WRITE, OP_OVERLAY, OP_MERGE, OP_READ, OP_SHARE, OP_TRUNCATE, OP_TRUNCATE, OP_CUT,
					 OP_PUNCH, OP_ALLOCATE, OP_REUSE, OP_REUSE, OP_GROW, OP_SETTING, OP_FAR };

/* Three of four first tasks do upkeep. */
static struct op random_op(uint64_t *seed, bool behind)
{
	const uint64_t which = zt_random(seed);

	return (struct op){ .kind = behind ? upkeep[which % ARRAY_SIZE(upkeep)] : requests[which % ARRAY_SIZE(requests)],
			    .file = (unsigned)(zt_random(seed) % NR_FILES),
			    .cluster = (unsigned)(zt_random(seed) % 4),
			    .seed = zt_random(seed) };
}

static const char *random_jobs(uint64_t seed, unsigned most, struct job jobs[NR_TASKS])
{
	static char text[512];
	size_t at = 0;

	text[0] = '\0';
	for (unsigned i = 0; i < NR_TASKS; i++) {
		const bool behind = i == 0 && zt_random(&seed) % 4 != 0;

		jobs[i].nr = 1 + (unsigned)(zt_random(&seed) % most);
		for (unsigned j = 0; j < jobs[i].nr; j++) {
			struct op *op = &jobs[i].ops[j];

			*op = random_op(&seed, behind);
			at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%s %u.%u", j ? ", " : i ? " beside " : "",
					       op_names[op->kind], op->file, op->cluster);
		}
	}
	return text;
}

/* @nr_changes: 0: by chance, up to three, among up to two operations each */
static void one_case(uint64_t seed, unsigned nr_changes, struct sched_totals *totals)
{
	struct job jobs[NR_TASKS];
	const struct sched_case c = {
		.seed = seed,
		.text = random_jobs(seed, nr_changes ? 1 : NR_OPS, jobs),
		.prepare = world_prepare,
		.check = world_check,
		.task = job_run,
		.args = { &jobs[0], &jobs[1] },
		.nr_tasks = NR_TASKS,
		.totals = totals,
	};

	shape = full;
	world_start(seed);
	if (nr_changes)
		sched_case_all(&c, nr_changes);
	else
		sched_case_random(&c, RUNS, 3);
	world_stop();
}

START_TEST(test_pairs_of_operations_in_many_orders)
{
	struct sched_totals totals = { 0 };

	for (uint64_t seed = sched_time_begins(); sched_has_time(&totals); seed++)
		one_case(seed, (unsigned)_i, &totals);
	sched_tell(&totals);
}
END_TEST

/* Duels -------------------------------------------------------------------- */

#define SMALL .clusters = 2, .files = 2
#define LEAST .clusters = 1, .files = 1
#define IDLE { .nr = 0 }

/* File 0 has pages of its own in each of its clusters; the second one is shared with file 1, if there are two. */
static const struct duel {
	const char *name;
	struct shape shape;
	struct job jobs[MAX_TASKS];
} duels[] = {
	{ "a fold beside a file that comes where another was",
	  { .clusters = 2, .files = 1, .spare = true },
	  { { .ops = { { .kind = OP_FOLD } }, .nr = 1 }, { .ops = { { .kind = OP_REUSE, .file = 0, .seed = 1 } }, .nr = 1 }, IDLE } },
	{ "compaction beside a page that is cut off, and a fold",
	  { .clusters = 2, .files = NR_FILES, .holes = 8 },
	  { { .ops = { { .kind = OP_COMPACT } }, .nr = 1 },
	    { .ops = { { .kind = OP_SHORTEN, .file = 0, .cluster = 0 } }, .nr = 1 },
	    { .ops = { { .kind = OP_FOLD } }, .nr = 1 } } },
	{ "compaction beside a write and recompression",
	  { .clusters = 2, .files = NR_FILES, .holes = 8 },
	  { { .ops = { { .kind = OP_COMPACT } }, .nr = 1 },
	    { .ops = { { .kind = OP_WRITE, .file = 0, .cluster = 0, .seed = 3 } }, .nr = 1 },
	    { .ops = { { .kind = OP_RECOMPRESS } }, .nr = 1 } } },
	{ "the last names of an object go beside recompression",
	  { SMALL },
	  { { .ops = { { .kind = OP_RECOMPRESS } }, .nr = 1 },
	    { .ops = { { .kind = OP_TRUNCATE, .file = 0, .cluster = 0 } }, .nr = 1 },
	    { .ops = { { .kind = OP_TRUNCATE, .file = 1, .cluster = 0 } }, .nr = 1 } } },
	{ "a cluster is shared beside compaction and a write",
	  { SMALL, .holes = 8 },
	  { { .ops = { { .kind = OP_COMPACT } }, .nr = 1 },
	    { .ops = { { .kind = OP_SHARE, .file = 0, .cluster = 0 } }, .nr = 1 },
	    { .ops = { { .kind = OP_OVERLAY, .file = 1, .cluster = 0, .seed = 5 } }, .nr = 1 } } },
	{ "two pages of a cluster are written beside its fold",
	  { LEAST },
	  { { .ops = { { .kind = OP_FOLD_ONE, .file = 0, .cluster = 0 } }, .nr = 1 },
	    { .ops = { { .kind = OP_OVERLAY, .file = 0, .cluster = 0, .seed = 2 } }, .nr = 1 },
	    { .ops = { { .kind = OP_MERGE, .file = 0, .cluster = 0, .seed = 9 } }, .nr = 1 } } },
	{ "a setting changes beside a write and recompression",
	  { LEAST },
	  { { .ops = { { .kind = OP_SETTING, .file = 0, .seed = 1 } }, .nr = 1 },
	    { .ops = { { .kind = OP_WRITE, .file = 0, .cluster = 0, .seed = 3 } }, .nr = 1 },
	    { .ops = { { .kind = OP_RECOMPRESS } }, .nr = 1 } } },
	{ "two write far away, beside a trim",
	  { LEAST, .far = true },
	  { { .ops = { { .kind = OP_FAR, .cluster = 0, .seed = 3 } }, .nr = 1 },
	    { .ops = { { .kind = OP_FAR, .cluster = 1, .seed = 7 } }, .nr = 1 },
	    { .ops = { { .kind = OP_TRIM } }, .nr = 1 } } },
};

START_TEST(test_duels_in_all_orders_with_few_changes)
{
	const struct duel *duel = &duels[_i];
	struct sched_totals totals = { 0 };
	struct sched_case c = {
		.text = duel->name,
		.prepare = world_prepare,
		.check = world_check,
		.task = job_run,
		.totals = &totals,
	};

	for (; c.nr_tasks < MAX_TASKS && duel->jobs[c.nr_tasks].nr > 0; c.nr_tasks++)
		c.args[c.nr_tasks] = (void *)(uintptr_t)&duel->jobs[c.nr_tasks];
	/* Of the settings of world_start(), the first; for a seed that is odd all clusters are text. */
	(void)sched_time_begins();
	shape = duel->shape;
	c.seed = 4;
	world_start(c.seed);
	sched_case_duel(&c);
	world_stop();
	sched_tell(&totals);
}
END_TEST

/* ---- the last object with a dictionary ---- */

#define PEARS    1500u
#define PEAR_LEN 800u /* after the first cut; the task cuts it once more */
#define PEAR_END 700u

static void pear(unsigned nr, char content[ZT_PAGE_SIZE])
{
	int len = snprintf(content, ZT_PAGE_SIZE, "pear %u: common words, as all have; key%u=%u number %u\n", nr, nr * 7, nr * nr,
			   nr);

	while (len < 900)
		len += snprintf(content + len, 100, "item %s of kind pear\n", nr % 3 ? "one" : "two");
}

static void dict_prepare_run(uint64_t seed)
{
	const struct bm_config config = { .recompress = "zstd", .recompress_level = 3 };
	char content[ZT_PAGE_SIZE];

	if (bm.map)
		bm_stop(&bm);
	sched_random(seed);
	bm_start(&bm, &config);
	for (unsigned i = 0; i < PEARS; i++) {
		pear(i, content);
		sched_must(bm_write(&bm, (uint64_t)i * ZT_PAGE_SIZE, content, 900), "write");
	}
	(void)blkmap_recompress(bm.map, 0);
	sched_must(blkmap_truncate(bm.map, &bm.file, PEAR_LEN), "truncate");
	if (bm.map->slots.account.codec_objects[SLOT_CODEC_DICT] != 1)
		sched_fail("no dictionary");
}

static void dict_check_run(void)
{
	char content[ZT_PAGE_SIZE], back_text[PEAR_END];

	pear(0, content);
	sched_must(blkmap_read(bm.map, &bm.file, 0, back_text, PEAR_END), "read");
	if (memcmp(content, back_text, PEAR_END) != 0)
		sched_fail("other bytes");
	bm_check(&bm);
}

static void *dict_task(void *arg)
{
	if (arg) {
		sched_name("cut");
		sched_must(blkmap_truncate(bm.map, &bm.file, PEAR_END), "truncate");
	} else {
		sched_name("recompress");
		(void)blkmap_recompress(bm.map, 250);
	}
	return NULL;
}

START_TEST(test_a_dictionary_stays_while_its_last_object_is_cut)
{
	struct sched_totals totals = { 0 };
	const struct sched_case c = {
		.text = "the last object with a dictionary is cut beside a pass",
		.prepare = dict_prepare_run,
		.check = dict_check_run,
		.task = dict_task,
		.args = { &totals, NULL },
		.nr_tasks = 2,
		.totals = &totals,
	};

	(void)sched_time_begins();
	bm.map = NULL;
	sched_case_duel(&c);
	bm_stop(&bm);
	sched_tell(&totals);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("blkmap"), *few = tcase_create("duels");

	tcase_add_loop_test(tc, test_pairs_of_operations_in_many_orders, 0, 3);
	tcase_add_loop_test(few, test_duels_in_all_orders_with_few_changes, 0, (int)ARRAY_SIZE(duels));
	tcase_add_test(few, test_a_dictionary_stays_while_its_last_object_is_cut);
	return sched_case_main(tc, few);
}
