// SPDX-License-Identifier: GPL-2.0-or-later
/* test_dedup.c - idle clusters that are alike are one object, and nothing else is. */
#include <errno.h>
#include <stdatomic.h>

#include "blkmap/upkeep/dedup.h"
#include "blkmap/upkeep/recompress.h"
#include "tests/blkmap/bm_fixture.h"
#include "util/alloc.h"

#define NR_FILES    3u
#define CLUSTER     65536u
#define CLUSTERS    12u
#define FILE_SIZE   (CLUSTERS * CLUSTER)
#define NR_CONTENTS 4u
#ifdef ZT_SANITIZERS
#define ROUNDS 150u
#else
#define ROUNDS 600u
#endif

struct model {
	ref_t ref;
	struct blkmap_file file;
	char bytes[FILE_SIZE];
};

static struct bm bm;
static struct model models[NR_FILES];
static char buf[FILE_SIZE];

/* Words that lz4 makes little of and zstd much; every fourth one is noise, and stays as it is. */
static void fill(uint64_t content, char *dst, size_t len)
{
	uint64_t seed = content * 977 + 13;
	bool noise = content % 4 == 3;

	for (size_t i = 0; i < len; i++) {
		uint64_t value = zt_random(&seed);

		dst[i] = noise ? (char)value : "etaoin shrdlucmf"[value % 16];
	}
}

static void start(const struct bm_config *config)
{
	bm_start(&bm, config);
	for (unsigned i = 0; i < NR_FILES; i++) {
		struct model *m = &models[i];
		struct bm_file *record;

		memset(m, 0, sizeof(*m));
		ck_assert_int_eq(zs_malloc(bm.meta, sizeof(*record), &m->ref), 0);
		record = zs_data(bm.arena, m->ref);
		memset(record, 0, sizeof(*record));
		m->file = (struct blkmap_file){
			.tree = { .word = &record->word },
			.nr_pages = &record->nr_pages,
			.order = config->order,
		};
	}
}

static void start_default(void)
{
	start(&(struct bm_config){ .order = 4, .recompress = "zstd", .dedup = true });
}

static void check(void)
{
	uint64_t objects = 0;

	for (unsigned i = 0; i < NR_FILES; i++)
		ck_assert_int_eq(blkmap_check_file(bm.map, &models[i].file, &objects), 0);
	ck_assert_int_eq(blkmap_check(bm.map, objects), 0);
	ck_assert_int_eq(zs_check(bm.meta), 0);
	ck_assert_int_eq(arena_check(bm.arena), 0);
}

static void compare(const struct model *m)
{
	ck_assert_int_eq(blkmap_read(bm.map, &m->file, 0, buf, FILE_SIZE), 0);
	ck_assert_msg(memcmp(buf, m->bytes, FILE_SIZE) == 0, "file %d differs", (int)(m - models));
}

/* Empties the files; with them all objects and share records are gone, as bm_stop() sees. */
static void stop(void)
{
	struct blkmap_stat stat;

	check();
	for (unsigned i = 0; i < NR_FILES; i++) {
		compare(&models[i]);
		ck_assert_int_eq(blkmap_truncate(bm.map, &models[i].file, 0), 0);
		check();
	}
	for (unsigned i = 0; i < NR_FILES; i++)
		zs_free(bm.meta, models[i].ref);
	blkmap_get_stat(bm.map, &stat);
	ck_assert_uint_eq(stat.shared_pages, 0);
	bm_stop(&bm);
}

static struct blkmap_stat get_stat(void)
{
	struct blkmap_stat stat;

	blkmap_get_stat(bm.map, &stat);
	return stat;
}

static void put(struct model *m, uint64_t off, const char *src, size_t len)
{
	size_t done;

	ck_assert_int_eq(blkmap_grow(bm.map, &m->file, off, len), 0);
	ck_assert_int_eq(blkmap_write(bm.map, &m->file,
				      &(struct blkmap_bytes){ off, src, len, ZSTRM_DEFAULT },
				      &done),
			 0);
	if (m->bytes + off != src)
		memcpy(m->bytes + off, src, len);
}

static void put_content(struct model *m, unsigned cluster, uint64_t content)
{
	fill(content, m->bytes + (size_t)cluster * CLUSTER, CLUSTER);
	put(m, (uint64_t)cluster * CLUSTER, m->bytes + (size_t)cluster * CLUSTER, CLUSTER);
}

START_TEST(test_alike_clusters_are_stored_once_until_one_is_written)
{
	struct blkmap_stat before, after;

	start_default();
	for (unsigned i = 0; i < NR_FILES; i++)
		for (unsigned c = 0; c < 8; c++)
			put_content(&models[i], c, c);
	before = get_stat();
	ck_assert_uint_eq(before.data.objects, 24);
	ck_assert_uint_eq(blkmap_recompress(bm.map, 0),
			  22); /* noise is joined, but not made smaller */
	after = get_stat();
	ck_assert_uint_eq(after.data.objects, 8);
	ck_assert_uint_eq(after.dedup_joined, 16);
	ck_assert_uint_gt(after.dedup_saved, 4 * CLUSTER + 12 * CLUSTER / 3);
	ck_assert_uint_lt(after.dedup_saved, 16 * (CLUSTER + 2048));
	ck_assert_uint_eq(after.dedup_collisions, 0);
	ck_assert_uint_eq(after.nr_pages, before.nr_pages);
	ck_assert_uint_eq(after.huge_pages, 2 * 3 * 16);
	ck_assert_uint_eq(after.shared_pages, 24 * 16);
	for (unsigned i = 0; i < NR_FILES; i++)
		compare(&models[i]);
	check();
	/* In whole, in part, and cut. */
	put_content(&models[1], 0, 100);
	put(&models[1], CLUSTER + 5000, "over", 4);
	ck_assert_int_eq(blkmap_truncate(bm.map, &models[1].file, 4 * CLUSTER + 7777), 0);
	memset(models[1].bytes + 4 * CLUSTER + 7777, 0, FILE_SIZE - 4 * CLUSTER - 7777);
	for (unsigned i = 0; i < NR_FILES; i++)
		compare(&models[i]);
	check();
	/* Nothing is looked up twice. */
	fold_idle(&bm.map->upkeep.folder, 0);
	(void)blkmap_recompress(bm.map, 0);
	(void)blkmap_recompress(bm.map, 0);
	ck_assert_uint_eq(get_stat().dedup_joined, 16);
	stop();
}
END_TEST

START_TEST(test_one_written_later_joins_what_lies_there)
{
	start_default();
	put_content(&models[0], 0, 0);
	put_content(&models[0], 1, 3);
	ck_assert_uint_eq(blkmap_recompress(bm.map, 0), 1);
	for (unsigned i = 1; i < NR_FILES; i++) {
		put_content(&models[i], 2, 0);
		put_content(&models[i], 3, 3);
		ck_assert_uint_eq(blkmap_recompress(bm.map, 0), 2);
		ck_assert_uint_eq(get_stat().dedup_joined, 2 * i);
		ck_assert_uint_eq(get_stat().data.objects, 2);
		check();
	}
	/* The first to be there goes, and the others can still be joined. */
	ck_assert_int_eq(blkmap_truncate(bm.map, &models[0].file, 0), 0);
	memset(models[0].bytes, 0, FILE_SIZE);
	put_content(&models[0], 5, 0);
	ck_assert_uint_eq(blkmap_recompress(bm.map, 0), 1);
	ck_assert_uint_eq(get_stat().data.objects, 2);
	stop();
}
END_TEST

START_TEST(test_nearly_alike_is_not_alike)
{
	static const uint64_t places[] = { 0, 1, CLUSTER / 2, CLUSTER - 1 };

	start_default();
	for (unsigned content = 2; content <= 3; content++) {
		for (unsigned i = 0; i <= ARRAY_SIZE(places); i++) {
			unsigned c = (content - 2) * 6 + i;
			char *cluster = models[0].bytes + (size_t)c * CLUSTER;

			fill(content, cluster, CLUSTER);
			if (i > 0)
				cluster[places[i - 1]] ^= 1;
			put(&models[0], (uint64_t)c * CLUSTER, cluster, CLUSTER);
		}
	}
	/* As long, but with less in the last page: and of the same bytes, one shorter. */
	fill(2, models[1].bytes, CLUSTER);
	put(&models[1], 0, models[1].bytes, CLUSTER - 1);
	models[1].bytes[CLUSTER - 1] = 0;
	(void)blkmap_recompress(bm.map, 0);
	ck_assert_uint_eq(get_stat().dedup_joined, 0);
	ck_assert_uint_eq(get_stat().data.objects, 11);
	stop();
}
END_TEST

/* Bytes that are the same stand for others where another dictionary or algorithm made them. */
START_TEST(test_what_another_decoder_reads_is_not_alike)
{
	struct recompressor *rc;
	struct dedup_object object;
	uint64_t *slot, out;

	start_default();
	rc = bm.map->upkeep.recomp;
	put_content(&models[0], 0, 0);
	put_content(&models[1], 0, 3);
	(void)blkmap_recompress(bm.map, 0);
	slot = tree_slot(bm.arena, &models[0].file.tree, 0);
	ck_assert_uint_eq(slot_codec(*slot), SLOT_CODEC_IDLE);
	object = (struct dedup_object){
		.data = zs_data(bm.arena, slot_ref(*slot)),
		.size = zs_size(bm.arena, slot_ref(*slot)),
		.word = slot_with_codec(slot_with_ref(*slot, 0), SLOT_CODEC_DICT),
		.place = slot_place(&bm.map->slots, tree_slot(bm.arena, &models[1].file.tree, 0)),
	};
	object.hash = dedup_hash(rc->dedup, object.data, object.size);
	mutex_lock(&rc->pass_lock);
	ck_assert(!dedup_take(rc->dedup, &object, &out));
	object.word = slot_with_codec(object.word, SLOT_CODEC_IDLE);
	ck_assert(dedup_take(rc->dedup, &object, &out));
	mutex_unlock(&rc->pass_lock);
	slot_release(&bm.map->slots, slot_fresh(out), 4);
	stop();
}
END_TEST

START_TEST(test_off_means_off)
{
	start(&(struct bm_config){ .order = 4, .recompress = "zstd" });
	put_content(&models[0], 0, 0);
	put_content(&models[1], 0, 0);
	ck_assert_uint_eq(blkmap_recompress(bm.map, 0), 2);
	ck_assert_uint_eq(get_stat().data.objects, 2);
	ck_assert_uint_eq(get_stat().dedup_joined, 0);
	ck_assert_uint_eq(get_stat().dedup_index, 0);
	stop();
}
END_TEST

/* With the same hash for all, only comparing tells. Noise has the same stored size besides. */
START_TEST(test_colliding_hashes_are_told_apart)
{
	start_default();
	bm.map->upkeep.recomp->dedup->hash_mask = 0;
	for (unsigned c = 0; c < 6; c++)
		put_content(&models[0], c, 4 * (uint64_t)c + 3);
	(void)blkmap_recompress(bm.map, 0);
	ck_assert_uint_eq(get_stat().dedup_joined, 0);
	ck_assert_uint_gt(get_stat().dedup_collisions, 0);
	ck_assert_uint_eq(get_stat().data.objects, 6);
	compare(&models[0]);
	/* Among them the right one is found. */
	put_content(&models[1], 0, 4 * 3 + 3);
	(void)blkmap_recompress(bm.map, 0);
	ck_assert_uint_eq(get_stat().dedup_joined, 1);
	/* More than two buckets hold: some give way. */
	for (unsigned c = 0; c < CLUSTERS; c++)
		put_content(&models[2], c, 4 * (uint64_t)(c + 50) + 3);
	(void)blkmap_recompress(bm.map, 0);
	ck_assert_uint_eq(get_stat().dedup_joined, 1);
	for (unsigned i = 0; i < NR_FILES; i++)
		compare(&models[i]);
	stop();
}
END_TEST

/* The first one's share record moves the count of changes of a lock that both slots may have. */
START_TEST(test_two_whose_slots_have_one_lock_join)
{
	/* The hash has a key: one slot in 1,024 has that lock, and none of so many once in 10 million runs. */
	enum { SLOTS = 16 * SLOT_LOCKS };
	static char page[ZT_PAGE_SIZE], same[ZT_PAGE_SIZE];
	struct slot_lock *lock;
	uint64_t c = 0;

	start(&(struct bm_config){ .order = 0, .recompress = "zstd", .dedup = true });
	fill(0, page, sizeof(page));
	put(&models[0], 0, page, sizeof(page));
	(void)blkmap_recompress(bm.map, 0);
	lock = slot_lock(&bm.map->slots, tree_slot(bm.arena, &models[0].file.tree, 0));
	ck_assert_int_eq(blkmap_grow(bm.map, &bm.file, 0, SLOTS * sizeof(same)), 0);
	memset(same, 'x', sizeof(same));
	for (; c < SLOTS; c++) {
		ck_assert_int_eq(bm_write(&bm, c * sizeof(same), same, sizeof(same)), 0);
		if (slot_lock(&bm.map->slots, tree_slot(bm.arena, &bm.file.tree, c)) == lock)
			break;
	}
	ck_assert_uint_lt(c, SLOTS);
	ck_assert_int_eq(bm_write(&bm, c * sizeof(page), page, sizeof(page)), 0);
	(void)blkmap_recompress(bm.map, 0);
	ck_assert_uint_eq(get_stat().dedup_joined, 1);
	ck_assert_int_eq(blkmap_read(bm.map, &bm.file, c * sizeof(page), same, sizeof(same)), 0);
	ck_assert_int_eq(memcmp(same, page, sizeof(page)), 0);
	ck_assert_int_eq(blkmap_truncate(bm.map, &bm.file, 0), 0);
	stop();
}
END_TEST

START_TEST(test_thousands_of_pairs_all_join_and_the_index_grows)
{
#ifdef ZT_SANITIZERS
	enum { PAIRS = 400, SIZE = 4000 };
#else
	enum { PAIRS = 2400, SIZE = 4000 };
#endif
	static char pages[PAIRS][SIZE];
	struct blkmap_stat stat;
	char page[ZT_PAGE_SIZE];

	start(&(struct bm_config){ .order = 0, .recompress = "lz4hc", .dedup = true });
	for (unsigned p = 0; p < PAIRS; p++) {
		fill(4 * (uint64_t)p, pages[p], SIZE);
		for (unsigned i = 0; i < 2; i++) {
			struct blkmap_file *file = &models[i].file;
			size_t done;

			ck_assert_int_eq(blkmap_grow(bm.map, file, p * 4096ull, SIZE), 0);
			ck_assert_int_eq(blkmap_write(bm.map, file,
						      &(struct blkmap_bytes){ p * 4096ull, pages[p],
									      SIZE, ZSTRM_DEFAULT },
						      &done),
					 0);
		}
	}
	(void)blkmap_recompress(bm.map, 0);
	stat = get_stat();
	ck_assert_uint_eq(stat.dedup_joined, PAIRS);
	ck_assert_uint_eq(stat.data.objects, PAIRS);
	/* It has grown with what it knows, and no further than it may. */
	ck_assert_uint_ge(stat.dedup_index, PAIRS * sizeof(uint64_t) / 4);
	check();
	for (unsigned p = 0; p < PAIRS; p++) {
		for (unsigned i = 0; i < 2; i++) {
			ck_assert_int_eq(blkmap_read(bm.map, &models[i].file, p * 4096ull, page,
						     sizeof(page)),
					 0);
			ck_assert_int_eq(memcmp(page, pages[p], SIZE), 0);
		}
	}
	for (unsigned i = 0; i < 2; i++)
		ck_assert_int_eq(blkmap_truncate(bm.map, &models[i].file, 0), 0);
	(void)blkmap_recompress(bm.map, 0);
	ck_assert_uint_le(get_stat().dedup_index, 2 * DEDUP_BUCKET * 8 << DEDUP_MIN_BITS);
	stop();
}
END_TEST

START_TEST(test_what_compaction_moved_is_still_found)
{
	uint64_t joined;

	start(&(struct bm_config){ .order = 2, .recompress = "zstd", .dedup = true });
	for (unsigned c = 0; c < CLUSTERS; c++)
		put_content(&models[0], c, c);
	/* One of these is shared: the record's object moves, too. */
	put_content(&models[1], 0, 0);
	(void)blkmap_recompress(bm.map, 0);
	for (unsigned c = 2; c < CLUSTERS; c += 2) {
		ck_assert_int_eq(blkmap_punch(bm.map, &models[0].file, c * CLUSTER, CLUSTER), 0);
		memset(models[0].bytes + (size_t)c * CLUSTER, 0, CLUSTER);
	}
	joined = get_stat().dedup_joined;
	while (zs_compact(bm.map->slots.data, 0) > 0)
		;
	ck_assert_uint_gt(get_stat().data.pages_compacted, 0);
	for (unsigned c = 1; c < CLUSTERS; c += 2)
		put_content(&models[2], c, c);
	put_content(&models[2], 0, 0);
	(void)blkmap_recompress(bm.map, 0);
	ck_assert_uint_eq(get_stat().dedup_joined, joined + (CLUSTERS / 2 + 1) * 4);
	stop();
}
END_TEST

/* Freed refs come to name other objects: a hint that is wrong changes nothing. */
START_TEST(test_entries_of_what_is_gone_do_no_harm)
{
	start_default();
	for (unsigned round = 0; round < 12; round++) {
		for (unsigned c = 0; c < CLUSTERS; c++)
			put_content(&models[round % NR_FILES], c, 4 * (c + round * 7 % 20) + 3);
		(void)blkmap_recompress(bm.map, 0);
		if (round % 3 == 2) {
			ck_assert_int_eq(blkmap_truncate(bm.map, &models[1].file, 0), 0);
			memset(models[1].bytes, 0, FILE_SIZE);
		}
		for (unsigned i = 0; i < NR_FILES; i++)
			compare(&models[i]);
		check();
	}
	stop();
}
END_TEST

START_TEST(test_nth_failure_leaves_all_readable)
{
	start_default();
	for (long n = 1;; n++) {
		for (unsigned i = 0; i < NR_FILES; i++)
			for (unsigned c = 0; c < 6; c++)
				put_content(&models[i], c, c + 10 * (uint64_t)n);
		zt_fault_set(n);
		(void)blkmap_recompress(bm.map, 0);
		if (zt_fault_pending()) {
			zt_fault_set(0);
			break;
		}
		for (unsigned i = 0; i < NR_FILES; i++)
			compare(&models[i]);
		check();
		ck_assert_int_lt(n, 1000);
	}
	stop();
}
END_TEST

/* With no memory at all there is no index, and so nothing is found: and nothing lost. */
START_TEST(test_without_memory_recompression_goes_on_alone)
{
	start_default();
	for (unsigned i = 0; i < 2; i++)
		for (unsigned c = 0; c < 4; c++)
			put_content(&models[i], c, c);
	zt_fault_set_from(1);
	(void)blkmap_recompress(bm.map, 0);
	zt_fault_set_from(0);
	compare(&models[0]);
	compare(&models[1]);
	check();
	stop();
}
END_TEST

START_TEST(test_index_counts_against_the_limit)
{
	struct arena_stat before, after;

	start_default();
	arena_get_stat(bm.arena, &before);
	arena_set_limit(bm.arena, before.used + ZT_PAGE_SIZE);
	dedup_reserve(bm.map->upkeep.recomp->dedup);
	ck_assert_uint_eq(get_stat().dedup_index, 0);
	arena_set_limit(bm.arena, before.used + 2 * ZT_PAGE_SIZE);
	dedup_reserve(bm.map->upkeep.recomp->dedup);
	ck_assert_uint_eq(get_stat().dedup_index, ZT_PAGE_SIZE);
	arena_get_stat(bm.arena, &after);
	/* The table, and malloc()'s word before it. */
	ck_assert_uint_eq(after.heap, before.heap + ZT_PAGE_SIZE + 16);
	ck_assert_uint_eq(after.used, before.used + ZT_PAGE_SIZE + 16);
	arena_set_limit(bm.arena, 0);
	stop();
}
END_TEST

START_TEST(test_at_the_limit_joining_makes_room)
{
	size_t done;
	uint64_t c = 0;
	int error = 0;

	start(&(struct bm_config){
		.order = 4, .recompress = "zstd", .dedup = true, .limit = 16 * MIB });
	fill(3, buf, CLUSTER);
	while (!error) {
		error = blkmap_grow(bm.map, &bm.file, c * CLUSTER, CLUSTER);
		if (!error)
			error = blkmap_write(
				bm.map, &bm.file,
				&(struct blkmap_bytes){ c * CLUSTER, buf, CLUSTER, ZSTRM_DEFAULT },
				&done);
		c += !error;
	}
	ck_assert_int_eq(error, -ENOSPC);
	ck_assert_uint_eq(blkmap_recompress(bm.map, 0), c - 1);
	ck_assert_uint_eq(get_stat().data.objects, 1);
	bm_check(&bm);
	fill(3, models[0].bytes, CLUSTER);
	for (uint64_t i = 0; i < c; i++) {
		ck_assert_int_eq(blkmap_read(bm.map, &bm.file, i * CLUSTER, buf, CLUSTER), 0);
		ck_assert_int_eq(memcmp(buf, models[0].bytes, CLUSTER), 0);
	}
	memset(models[0].bytes, 0, CLUSTER);
	ck_assert_int_eq(blkmap_truncate(bm.map, &bm.file, 0), 0);
	stop();
}
END_TEST

/* ---- many at once ---- */

/* Threads cannot use Check's assertions. */
static void must(int error, const char *what)
{
	if (error) {
		fprintf(stderr, "%s: %s\n", what, strerror(-error));
		abort();
	}
}

static void random_op(uint64_t *seed, struct model *m)
{
	uint64_t c = zt_random(seed) % CLUSTERS, off = zt_random(seed) % FILE_SIZE;
	size_t len = min_u64(1 + zt_random(seed) % 9000, FILE_SIZE - off), done;

	/* Nobody else is at this file: as the inode's lock has it. An emptied tree is small again. */
	must(blkmap_grow(bm.map, &m->file, 0, FILE_SIZE), "grow");
	switch (zt_random(seed) % 12) {
	case 0:
		must(blkmap_truncate(bm.map, &m->file, off), "truncate");
		memset(m->bytes + off, 0, FILE_SIZE - off);
		break;
	case 1:
		must(blkmap_punch(bm.map, &m->file, off, len), "punch");
		memset(m->bytes + off, 0, len);
		break;
	case 2:
		memset(m->bytes + off, 'x', len);
		must(blkmap_write(bm.map, &m->file,
				  &(struct blkmap_bytes){ off, m->bytes + off, len, ZSTRM_DEFAULT },
				  &done),
		     "write");
		break;
	default:
		fill(zt_random(seed) % NR_CONTENTS, m->bytes + c * CLUSTER, CLUSTER);
		must(blkmap_write(bm.map, &m->file,
				  &(struct blkmap_bytes){ c * CLUSTER, m->bytes + c * CLUSTER,
							  CLUSTER, ZSTRM_DEFAULT },
				  &done),
		     "write");
		break;
	}
}

static const struct bm_config configs[] = {
	{ .order = 0, .recompress = "zstd", .dedup = true },
	{ .order = 2, .recompress = "lz4hc", .dedup = true },
	{ .order = 4, .recompress = "zstd", .dedup = true },
	{ .order = 4, .compress = "null", .recompress = "lz4", .dedup = true },
};

START_TEST(test_random_operations_match_their_models)
{
	uint64_t seed = zt_seed() + (uint64_t)_i;

	start(&configs[_i]);
	if (_i == 2)
		bm.map->upkeep.recomp->dedup->hash_mask = UINT64_C(3) << 62;
	for (unsigned i = 0; i < NR_FILES; i++)
		ck_assert_int_eq(blkmap_grow(bm.map, &models[i].file, 0, FILE_SIZE), 0);
	for (unsigned i = 0; i < ROUNDS / 3; i++) {
		random_op(&seed, &models[zt_random(&seed) % NR_FILES]);
		if (zt_random(&seed) % 4 == 0)
			(void)blkmap_recompress(bm.map, 0);
		if (zt_random(&seed) % 8 == 0)
			zs_compact(bm.map->slots.data, 0);
		if (zt_random(&seed) % 16 == 0)
			fold_idle(&bm.map->upkeep.folder, 0);
		if (i % 32 == 0) {
			for (unsigned f = 0; f < NR_FILES; f++)
				compare(&models[f]);
			check();
		}
	}
	ck_assert_uint_gt(get_stat().dedup_joined, 10);
	stop();
}
END_TEST

static atomic_bool ended;
static uint64_t base_seed;

static void *owner_run(void *arg)
{
	struct model *m = arg;
	uint64_t seed = base_seed + (uint64_t)(m - models);
	char *own = malloc(CLUSTER);

	for (unsigned i = 0; i < ROUNDS; i++) {
		uint64_t c = zt_random(&seed) % CLUSTERS;

		random_op(&seed, m);
		if (blkmap_read(bm.map, &m->file, c * CLUSTER, own, CLUSTER) ||
		    memcmp(own, m->bytes + c * CLUSTER, CLUSTER) != 0)
			abort();
	}
	free(own);
	return NULL;
}

static void *join_run(void *arg)
{
	(void)arg;
	while (!atomic_load(&ended))
		(void)blkmap_recompress(bm.map, 0);
	return NULL;
}

static void *move_run(void *arg)
{
	(void)arg;
	while (!atomic_load(&ended)) {
		fold_idle(&bm.map->upkeep.folder, 0);
		zs_compact(bm.map->slots.data, 0);
		zs_trim(bm.map->slots.data, 0);
	}
	return NULL;
}

START_TEST(test_files_that_are_written_and_cut_meanwhile_lose_nothing)
{
	pthread_t owners[NR_FILES], joiner, mover;

	base_seed = zt_seed();
	start(&configs[_i]);
	for (unsigned i = 0; i < NR_FILES; i++)
		ck_assert_int_eq(blkmap_grow(bm.map, &models[i].file, 0, FILE_SIZE), 0);
	atomic_store(&ended, false);
	ck_assert_int_eq(pthread_create(&joiner, NULL, join_run, NULL), 0);
	ck_assert_int_eq(pthread_create(&mover, NULL, move_run, NULL), 0);
	for (unsigned i = 0; i < NR_FILES; i++)
		ck_assert_int_eq(pthread_create(&owners[i], NULL, owner_run, &models[i]), 0);
	for (unsigned i = 0; i < NR_FILES; i++)
		pthread_join(owners[i], NULL);
	atomic_store(&ended, true);
	pthread_join(joiner, NULL);
	pthread_join(mover, NULL);
	(void)blkmap_recompress(bm.map, 0);
	ck_assert_uint_gt(get_stat().dedup_joined, 0);
	stop();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("blkmap dedup");
	TCase *tc = tcase_create("dedup");

	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, test_alike_clusters_are_stored_once_until_one_is_written);
	tcase_add_test(tc, test_one_written_later_joins_what_lies_there);
	tcase_add_test(tc, test_nearly_alike_is_not_alike);
	tcase_add_test(tc, test_what_another_decoder_reads_is_not_alike);
	tcase_add_test(tc, test_off_means_off);
	tcase_add_test(tc, test_colliding_hashes_are_told_apart);
	tcase_add_test(tc, test_two_whose_slots_have_one_lock_join);
	tcase_add_test(tc, test_thousands_of_pairs_all_join_and_the_index_grows);
	tcase_add_test(tc, test_what_compaction_moved_is_still_found);
	tcase_add_test(tc, test_entries_of_what_is_gone_do_no_harm);
	tcase_add_test(tc, test_nth_failure_leaves_all_readable);
	tcase_add_test(tc, test_without_memory_recompression_goes_on_alone);
	tcase_add_test(tc, test_index_counts_against_the_limit);
	tcase_add_test(tc, test_at_the_limit_joining_makes_room);
	tcase_add_loop_test(tc, test_random_operations_match_their_models, 0, ARRAY_SIZE(configs));
	tcase_add_loop_test(tc, test_files_that_are_written_and_cut_meanwhile_lose_nothing, 0,
			    ARRAY_SIZE(configs));
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
