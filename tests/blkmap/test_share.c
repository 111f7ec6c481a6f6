// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_share.c - objects that several slots name: two files against models, limits, failures.
 *
 * Tests share.c of slot, and clone.c of content.
 */
#include <errno.h>

#include "blkmap/slot/share.h"
#include "tests/blkmap/bm_fixture.h"
#include "util/alloc.h"

#define NR_FILES    2u
#define MODEL_SIZE  (384u * 1024u)
#define MODEL_PAGES (MODEL_SIZE / ZT_PAGE_SIZE)

struct model {
	struct bm_file *record;
	ref_t ref;
	struct blkmap_file file;
	char bytes[MODEL_SIZE];
	bool present[MODEL_PAGES];
};

static struct bm bm;
static struct model models[NR_FILES];
static char buf[MODEL_SIZE];

static void start(const struct bm_config *config)
{
	bm_start(&bm, config);
	for (unsigned i = 0; i < NR_FILES; i++) {
		struct model *m = &models[i];

		memset(m, 0, sizeof(*m));
		ck_assert_int_eq(zs_malloc(bm.meta, sizeof(*m->record), &m->ref), 0);
		m->record = zs_data(bm.arena, m->ref);
		memset(m->record, 0, sizeof(*m->record));
		m->file = (struct blkmap_file){
			.tree = { .word = &m->record->word },
			.nr_pages = &m->record->nr_pages,
			.order = config->order,
		};
	}
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

/* Empties the files; records of shares must be gone with them, as bm_stop() sees. */
static void stop(void)
{
	struct blkmap_stat stat;

	check();
	for (unsigned i = 0; i < NR_FILES; i++) {
		ck_assert_int_eq(blkmap_truncate(bm.map, &models[i].file, 0), 0);
		check();
	}
	for (unsigned i = 0; i < NR_FILES; i++)
		zs_free(bm.meta, models[i].ref);
	blkmap_get_stat(bm.map, &stat);
	ck_assert_uint_eq(stat.shared_pages, 0);
	bm_stop(&bm);
}

static void compare(const struct model *m)
{
	uint64_t pages = 0;

	for (unsigned p = 0; p < MODEL_PAGES; p++)
		pages += m->present[p];
	ck_assert_int_eq(blkmap_read(bm.map, &m->file, 0, buf, MODEL_SIZE), 0);
	for (size_t i = 0; memcmp(buf, m->bytes, MODEL_SIZE) != 0 && i < MODEL_SIZE; i++)
		if (buf[i] != m->bytes[i])
			ck_abort_msg("file %d: byte %zu differs", (int)(m - models), i);
	ck_assert_uint_eq(*m->file.nr_pages, pages);
}

static int write_at(struct model *m, uint64_t off, const char *src, size_t len)
{
	size_t done;
	int error = blkmap_grow(bm.map, &m->file, off, len);

	if (!error)
		error = blkmap_write(bm.map, &m->file,
				     &(struct blkmap_bytes){ off, src, len, ZSTRM_DEFAULT }, &done);
	if (error)
		return error;
	memcpy(m->bytes + off, src, len);
	for (uint64_t p = off / ZT_PAGE_SIZE; p * ZT_PAGE_SIZE < off + len; p++)
		m->present[p] = true;
	return 0;
}

/* Share until all is done; folds what has to be. */
static int share(struct model *from, uint64_t from_off, struct model *to, uint64_t to_off,
		 uint64_t len)
{
	uint64_t done = 0, step;
	int error = blkmap_grow(bm.map, &to->file, to_off, len);

	while (!error && done < len) {
		error = blkmap_share(bm.map,
				     &(struct blkmap_copy){ .from = &from->file,
							    .from_off = from_off + done,
							    .to = &to->file,
							    .to_off = to_off + done,
							    .len = len - done },
				     &step);
		if (error == -EAGAIN)
			error = blkmap_fold(bm.map, &from->file, from_off + done + step);
		for (uint64_t at = done; at < done + step; at += ZT_PAGE_SIZE) {
			memcpy(to->bytes + to_off + at, from->bytes + from_off + at, ZT_PAGE_SIZE);
			to->present[(to_off + at) / ZT_PAGE_SIZE] =
				from->present[(from_off + at) / ZT_PAGE_SIZE];
		}
		done += step;
	}
	return error;
}

static void truncate_to(struct model *m, uint64_t size)
{
	ck_assert_int_eq(blkmap_truncate(bm.map, &m->file, size), 0);
	memset(m->bytes + size, 0, MODEL_SIZE - size);
	for (uint64_t p = div_round_up_u64(size, ZT_PAGE_SIZE); p < MODEL_PAGES; p++)
		m->present[p] = false;
}

static void punch(struct model *m, uint64_t off, uint64_t len)
{
	ck_assert_int_eq(blkmap_punch(bm.map, &m->file, off, len), 0);
	memset(m->bytes + off, 0, len);
	for (uint64_t p = div_round_up_u64(off, ZT_PAGE_SIZE); (p + 1) * ZT_PAGE_SIZE <= off + len;
	     p++)
		m->present[p] = false;
}

static void random_share(uint64_t *seed, unsigned order)
{
	uint64_t size = (uint64_t)ZT_PAGE_SIZE << order, nr = MODEL_SIZE / size;
	uint64_t from = zt_random(seed) % nr, to = zt_random(seed) % nr;
	uint64_t len = 1 + zt_random(seed) % (nr - max_u64(from, to));
	struct model *src = &models[zt_random(seed) % NR_FILES];
	struct model *dst = &models[zt_random(seed) % NR_FILES];

	if (src == dst && from < to + len && to < from + len)
		return;
	ck_assert_int_eq(share(src, from * size, dst, to * size, len * size), 0);
	compare(dst);
}

static void random_op(uint64_t *seed, unsigned order)
{
	struct model *m = &models[zt_random(seed) % NR_FILES];
	uint64_t off = zt_random(seed) % MODEL_SIZE, len;

	len = min_u64(1 + zt_random(seed) % (zt_random(seed) % 2 ? 5000 : 200000),
		      MODEL_SIZE - off);
	if (zt_random(seed) % 2)
		off &= ~UINT64_C(4095);
	switch (zt_random(seed) % 10) {
	case 0:
		truncate_to(m, off);
		break;
	case 1:
		punch(m, off, len);
		break;
	case 2:
		fold_idle(&bm.map->upkeep.folder, 0);
		break;
	case 3:
		if (zt_random(seed) % 2)
			zs_compact(bm.map->slots.data, 0);
		else
			(void)blkmap_recompress(bm.map, 0);
		break;
	case 4:
	case 5:
	case 6:
		random_share(seed, order);
		break;
	default:
		bm_fill(seed, buf, len);
		ck_assert_int_eq(write_at(m, off, buf, len), 0);
		break;
	}
	compare(m);
}

static const struct bm_config configs[] = {
	{ .order = 0 },
	{ .order = 2 },
	{ .order = 4 },
	{ .order = 5, .compress = "zstd" },
	{ .order = 4, .compress = "null" },
	{ .order = 4, .recompress = "zstd" },
	{ .order = 2, .recompress = "zstd" },
	{ .order = 5, .compress = "null", .recompress = "lz4" },
};

START_TEST(test_random_operations_on_two_files_match_their_models)
{
	uint64_t seed = zt_seed() + (uint64_t)_i;

	start(&configs[_i]);
	for (int i = 0; i < 1200; i++) {
		random_op(&seed, configs[_i].order);
		if (i % 100 == 0) {
			check();
			compare(&models[0]);
			compare(&models[1]);
		}
	}
	stop();
}
END_TEST

static void fill_noise(char *dst, size_t len, uint64_t seed)
{
	for (size_t i = 0; i < len; i++)
		dst[i] = (char)zt_random(&seed);
}

START_TEST(test_sharing_costs_a_record_and_a_slot_and_writing_ends_it)
{
	struct zs_pool_stat meta, meta_after;
	struct blkmap_stat before, after;

	start(&(struct bm_config){ .order = 4 });
	fill_noise(models[0].bytes, MODEL_SIZE, 1);
	memcpy(buf, models[0].bytes, MODEL_SIZE);
	ck_assert_int_eq(write_at(&models[0], 0, buf, MODEL_SIZE), 0);
	blkmap_get_stat(bm.map, &before);
	zs_pool_get_stat(bm.meta, &meta);
	ck_assert_int_eq(share(&models[0], 0, &models[1], 0, MODEL_SIZE), 0);
	blkmap_get_stat(bm.map, &after);
	zs_pool_get_stat(bm.meta, &meta_after);
	ck_assert_uint_eq(after.data.objects, before.data.objects);
	ck_assert_uint_eq(after.data.resident, before.data.resident);
	ck_assert_uint_eq(after.nr_pages, 2 * before.nr_pages);
	ck_assert_uint_eq(after.huge_pages, 2 * before.huge_pages);
	ck_assert_uint_eq(after.huge_pages_since, before.huge_pages_since);
	ck_assert_uint_eq(after.shared_pages, 2 * MODEL_PAGES);
	/* Six records of 16 bytes, and the leaf of the second tree. */
	ck_assert_uint_eq(meta_after.objects - meta.objects, MODEL_SIZE / 65536 + 1);
	ck_assert_uint_eq(meta_after.object_bytes - meta.object_bytes,
			  MODEL_SIZE / 65536 * 16 + 16 * 8);
	check();

	/* One side changes: the other stays. */
	memset(buf, 'x', 65536);
	ck_assert_int_eq(write_at(&models[1], 65536, buf, 65536), 0);
	compare(&models[0]);
	compare(&models[1]);
	/* A small change stands over the shared object. */
	ck_assert_int_eq(write_at(&models[0], 2 * 65536 + 5, "hello", 5), 0);
	check();
	compare(&models[0]);
	compare(&models[1]);
	ck_assert_uint_gt(fold_idle(&bm.map->upkeep.folder, 0), 0);
	compare(&models[0]);
	compare(&models[1]);
	stop();
}
END_TEST

/* Letters in random order: raw to lz4, five bits each to zstd. */
static void fill_letters(char *dst, size_t len, uint64_t seed)
{
	for (size_t i = 0; i < len; i++)
		dst[i] = (char)('A' + zt_random(&seed) % 30);
}

static uint64_t first_object(const struct model *m)
{
	uint64_t word = word_get(tree_slot(bm.arena, &m->file.tree, 0));

	return slot_kind(word) == SLOT_SHARED ? word_get(&share_rec_at(&bm.map->slots, word)->word)
					      : word;
}

START_TEST(test_shared_objects_are_recompressed_for_all_their_names)
{
	struct model *a = &models[0], *b = &models[1];
	struct blkmap_stat stat;

	start(&(struct bm_config){ .order = 4, .compress = "null", .recompress = "zstd" });
	fill_letters(buf, 65536, 1);
	ck_assert_int_eq(write_at(a, 0, buf, 65536), 0);
	fill_noise(buf, 65536, 2);
	ck_assert_int_eq(write_at(a, 65536, buf, 65536), 0);
	ck_assert_int_eq(share(a, 0, b, 0, 131072), 0);
	ck_assert_int_eq(share(a, 0, b, 131072, 65536), 0);
	ck_assert_uint_eq(blkmap_recompress(bm.map, 0), 1);
	blkmap_get_stat(bm.map, &stat);
	ck_assert_uint_eq(stat.data.objects, 2);
	ck_assert_uint_lt(stat.data.object_bytes, 65536 + 45000);
	ck_assert_uint_eq(stat.recompress_kept, 1);
	ck_assert_uint_eq(slot_codec(first_object(a)), SLOT_CODEC_IDLE);
	ck_assert_uint_eq(first_object(a), first_object(b));
	compare(a);
	compare(b);
	check();
	/* Neither is tried again. */
	ck_assert_uint_eq(blkmap_recompress(bm.map, 0), 0);
	blkmap_get_stat(bm.map, &stat);
	ck_assert_uint_eq(stat.recompress_kept, 1);
	/* In parts, beside pages of its own, and from a name that is cut. */
	fill_noise(buf, 4096, 3);
	ck_assert_int_eq(write_at(b, 5 * ZT_PAGE_SIZE, buf, 4096), 0);
	compare(b);
	truncate_to(b, 131072 + 10000);
	compare(b);
	truncate_to(a, 3000);
	compare(a);
	check();
	stop();
}
END_TEST

/* Names say by themselves where they have holes and where they end: that must go on to fit. */
START_TEST(test_recompressed_names_keep_their_holes_and_ends)
{
	struct model *a = &models[0], *b = &models[1];

	start(&(struct bm_config){ .order = 4, .compress = "null", .recompress = "zstd" });
	for (unsigned c = 0; c < 3; c++) {
		fill_letters(buf, 65536, c);
		ck_assert_int_eq(write_at(a, c * 65536, buf, 65536), 0);
	}
	punch(a, 9 * ZT_PAGE_SIZE, ZT_PAGE_SIZE);
	punch(a, 65536 + 12 * ZT_PAGE_SIZE, ZT_PAGE_SIZE);
	/* The hole is behind the end now, and the object still one with holes. */
	truncate_to(a, 65536 + 10 * ZT_PAGE_SIZE + 100);
	ck_assert_int_eq(share(a, 0, b, 0, 131072), 0);
	/* One of the names is shorter than what it stands for. */
	truncate_to(b, 65536 + 2 * ZT_PAGE_SIZE);
	ck_assert_uint_eq(blkmap_recompress(bm.map, 0), 2);
	compare(a);
	compare(b);
	check();
	punch(a, 2 * ZT_PAGE_SIZE + 5, ZT_PAGE_SIZE);
	compare(a);
	compare(b);
	stop();
}
END_TEST

/* Of a name that was raw when it was made, after the object has become another. */
START_TEST(test_recompressed_and_the_file_s_own_again_it_is_counted_right)
{
	struct model *a = &models[0], *b = &models[1];
	struct arena_stat arena;
	struct blkmap_stat stat;
	int error = 0;

	start(&(struct bm_config){ .order = 4, .recompress = "zstd" });
	fill_letters(buf, 65536, 1);
	ck_assert_int_eq(write_at(a, 0, buf, 65536), 0);
	ck_assert_int_eq(share(a, 0, b, 0, 65536), 0);
	ck_assert_uint_eq(blkmap_recompress(bm.map, 0), 1);
	truncate_to(a, 0);
	/* Nothing is left but the object's own room. */
	zs_trim(bm.map->slots.data, 0);
	arena_get_stat(bm.arena, &arena);
	arena_set_limit(bm.arena, arena.used);
	for (uint64_t off = 0; !error; off += ZT_PAGE_SIZE) {
		fill_noise(buf, 4096, off);
		error = bm_write(&bm, off, buf, 4096);
	}
	ck_assert_int_eq(error, -ENOSPC);
	memset(buf, 'x', 65536);
	fill_noise(buf, 10000, 5);
	ck_assert_int_eq(write_at(b, 0, buf, 65536), 0);
	compare(b);
	check();
	arena_set_limit(bm.arena, 0);
	blkmap_get_stat(bm.map, &stat);
	ck_assert_uint_eq(stat.shared_pages, 0);
	ck_assert_int_eq(blkmap_truncate(bm.map, &bm.file, 0), 0);
	stop();
}
END_TEST

START_TEST(test_size_limit_charges_shared_pages)
{
	struct model *a = &models[0], *b = &models[1];

	start(&(struct bm_config){ .order = 2, .max_pages = 20 });
	fill_noise(buf, MODEL_SIZE, 2);
	ck_assert_int_eq(write_at(a, 0, buf, 12 * ZT_PAGE_SIZE), 0);
	ck_assert_int_eq(share(a, 0, b, 0, 12 * ZT_PAGE_SIZE), -ENOSPC);
	ck_assert_uint_eq(*b->file.nr_pages, 8);
	compare(b);
	check();
	/* In place of what is there already nothing more is charged. */
	ck_assert_int_eq(share(a, 4 * ZT_PAGE_SIZE, b, 0, 8 * ZT_PAGE_SIZE), 0);
	compare(b);
	truncate_to(a, 0);
	ck_assert_int_eq(share(b, 0, a, 0, 8 * ZT_PAGE_SIZE), 0);
	compare(a);
	stop();
}
END_TEST

START_TEST(test_at_the_memory_limit_a_shared_object_is_never_overwritten)
{
	struct model *a = &models[0], *b = &models[1];
	struct blkmap_stat stat;
	uint64_t full = 0;
	int error;

	start(&(struct bm_config){ .order = 4, .limit = 2 * MIB });
	fill_noise(buf, 65536, 3);
	ck_assert_int_eq(write_at(a, 0, buf, 65536), 0);
	ck_assert_int_eq(share(a, 0, b, 0, 65536), 0);
	/* Fill what is left by another file. */
	do {
		fill_noise(buf, 65536, 4 + full);
		error = bm_write(&bm, full, buf, 65536);
		full += 65536;
	} while (!error);
	ck_assert_int_eq(error, -ENOSPC);
	fill_noise(buf, 65536, 5);
	ck_assert_int_eq(write_at(b, 0, buf, 65536), -ENOSPC);
	compare(a);
	compare(b);
	/* With the other name gone the object is the file's own again: rewriting in place works. */
	truncate_to(a, 0);
	fill_noise(buf, 65536, 5);
	ck_assert_int_eq(write_at(b, 0, buf, 65536), 0);
	compare(b);
	blkmap_get_stat(bm.map, &stat);
	ck_assert_uint_gt(stat.overwrites_in_place, 0);
	ck_assert_uint_eq(stat.shared_pages, 0);
	ck_assert_int_eq(blkmap_truncate(bm.map, &bm.file, 0), 0);
	stop();
}
END_TEST

START_TEST(test_shared_objects_move_and_are_found_again)
{
	struct zs_pool_stat before, after;

	start(&(struct bm_config){ .order = 0, .compress = "null" });
	for (unsigned p = 0; p < MODEL_PAGES; p++) {
		fill_noise(buf, 1500, p);
		ck_assert_int_eq(write_at(&models[0], p * ZT_PAGE_SIZE, buf, 1500), 0);
	}
	ck_assert_int_eq(share(&models[0], 0, &models[1], 0, MODEL_SIZE), 0);
	/* Both lose most of it: the zspages are nearly empty. */
	for (unsigned p = 0; p < MODEL_PAGES; p++)
		for (unsigned i = 0; p % 6 && i < NR_FILES; i++)
			punch(&models[i], p * ZT_PAGE_SIZE, ZT_PAGE_SIZE);
	zs_trim(bm.map->slots.data, 0);
	zs_pool_get_stat(bm.map->slots.data, &before);
	ck_assert_uint_gt(zs_compact(bm.map->slots.data, 0), 0);
	zs_pool_get_stat(bm.map->slots.data, &after);
	ck_assert_uint_lt(after.resident, before.resident);
	compare(&models[0]);
	compare(&models[1]);
	stop();
}
END_TEST

START_TEST(test_nth_failure_of_sharing_leaves_both_sides_whole)
{
	start(&configs[_i]);
	for (long n = 1;; n++) {
		uint64_t size = (uint64_t)ZT_PAGE_SIZE << configs[_i].order, seed = (uint64_t)n;
		int error;

		/* Fresh objects, one of them overwritten in part. */
		for (unsigned i = 0; i < NR_FILES; i++) {
			fill_noise(buf, MODEL_SIZE, seed + i);
			ck_assert_int_eq(write_at(&models[i], 0, buf, MODEL_SIZE), 0);
		}
		if (configs[_i].order > 0)
			ck_assert_int_eq(write_at(&models[0], size, "over", 4), 0);
		zt_fault_set(n);
		error = share(&models[0], 0, &models[1], 0, MODEL_SIZE);
		if (zt_fault_pending()) {
			zt_fault_set(0);
			ck_assert_int_eq(error, 0);
			break;
		}
		ck_assert(error == 0 || error == -ENOMEM || error == -ENOSPC);
		compare(&models[0]);
		compare(&models[1]);
		check();
	}
	stop();
}
END_TEST

/* What the walker is for: each of these is a bug that it has to see. */
START_TEST(test_walker_sees_wrong_counts_of_names)
{
	struct share_rec *rec;
	uint64_t objects = 0;

	start(&(struct bm_config){ .order = 4 });
	fill_noise(buf, 65536, 1);
	ck_assert_int_eq(write_at(&models[0], 0, buf, 65536), 0);
	ck_assert_int_eq(share(&models[0], 0, &models[1], 0, 65536), 0);
	check();
	rec = share_rec_at(&bm.map->slots, *tree_slot(bm.arena, &models[0].file.tree, 0));
	rec->count++;
	for (unsigned i = 0; i < NR_FILES; i++)
		ck_assert_int_eq(blkmap_check_file(bm.map, &models[i].file, &objects), 0);
	ck_assert_int_eq(blkmap_check(bm.map, objects), -EUCLEAN);
	rec->count--;
	/* A file that is forgotten: one name too few. */
	objects = 0;
	ck_assert_int_eq(blkmap_check_file(bm.map, &models[0].file, &objects), 0);
	ck_assert_int_eq(blkmap_check(bm.map, objects), -EUCLEAN);
	stop();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("blkmap share");
	TCase *tc = tcase_create("share");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, test_random_operations_on_two_files_match_their_models, 0,
			    ARRAY_SIZE(configs));
	tcase_add_test(tc, test_sharing_costs_a_record_and_a_slot_and_writing_ends_it);
	tcase_add_test(tc, test_shared_objects_are_recompressed_for_all_their_names);
	tcase_add_test(tc, test_recompressed_names_keep_their_holes_and_ends);
	tcase_add_test(tc, test_recompressed_and_the_file_s_own_again_it_is_counted_right);
	tcase_add_test(tc, test_size_limit_charges_shared_pages);
	tcase_add_test(tc, test_at_the_memory_limit_a_shared_object_is_never_overwritten);
	tcase_add_test(tc, test_shared_objects_move_and_are_found_again);
	tcase_add_loop_test(tc, test_nth_failure_of_sharing_leaves_both_sides_whole, 0,
			    ARRAY_SIZE(configs));
	tcase_add_test(tc, test_walker_sees_wrong_counts_of_names);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
