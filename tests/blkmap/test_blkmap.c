// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_blkmap.c - the block map against a model: bytes and pages of one file.
 *
 * Tests blkmap.c, and of content: content.c, read.c, write.c, range.c, cluster_write.c,
 * overlay.c and check.c.
 */
#include <endian.h>
#include <errno.h>
#include <unistd.h>

#include "blkmap/slot/heat.h"
#include "blkmap/slot/live.h"
#include "tests/blkmap/bm_fixture.h"
#include "util/alloc.h"
#include "zcomp/registry.h"

#define MODEL_SIZE  (768u * 1024u)
#define MODEL_PAGES (MODEL_SIZE / ZT_PAGE_SIZE)

static struct bm bm;
static char model[MODEL_SIZE];
static bool present[MODEL_PAGES];
static char buf[MODEL_SIZE];

static uint64_t model_pages(void)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < MODEL_PAGES; i++)
		n += present[i];
	return n;
}

static void model_write(uint64_t off, const char *src, size_t len)
{
	memcpy(model + off, src, len);
	for (uint64_t p = off / ZT_PAGE_SIZE; p * ZT_PAGE_SIZE < off + len; p++)
		present[p] = true;
}

static void model_zero(uint64_t off, uint64_t len)
{
	memset(model + off, 0, len);
	for (uint64_t p = div_round_up_u64(off, ZT_PAGE_SIZE); (p + 1) * ZT_PAGE_SIZE <= off + len;
	     p++)
		present[p] = false;
}

static void compare(uint64_t off, size_t len)
{
	ck_assert_int_eq(blkmap_read(bm.map, &bm.file, off, buf, len), 0);
	for (size_t i = 0; memcmp(buf, model + off, len) != 0 && i < len; i++)
		if (buf[i] != model[off + i])
			ck_abort_msg("byte %" PRIu64 " differs", off + i);
	ck_assert_uint_eq(*bm.file.nr_pages, model_pages());
}

static void compare_seek(uint64_t off, int whence)
{
	uint64_t found = 0, want = off / ZT_PAGE_SIZE;
	int error = blkmap_seek(bm.map, &bm.file, MODEL_SIZE, off, whence, &found);

	while (want < MODEL_PAGES && present[want] != (whence == SEEK_DATA))
		want++;
	if (want == MODEL_PAGES && whence == SEEK_DATA) {
		ck_assert_int_eq(error, -ENXIO);
		return;
	}
	ck_assert_int_eq(error, 0);
	ck_assert_uint_eq(found, max_u64(want * ZT_PAGE_SIZE, off));
}

/* Ranges as they come: whole clusters, whole pages, any bytes; often at the same few places. */
static void random_range(uint64_t *seed, uint64_t *off, uint64_t *len)
{
	uint64_t unit = zt_random(seed) % 3 == 0 ? 1 : zt_random(seed) % 2 ? ZT_PAGE_SIZE : 65536;
	uint64_t max_len = zt_random(seed) % 4 ? 4 * ZT_PAGE_SIZE : 4 * 65536;

	*off = zt_random(seed) % MODEL_SIZE / unit * unit;
	if (zt_random(seed) % 2)
		*off %= 3 * 65536;
	*len = round_up_u64(1 + zt_random(seed) % max_len, unit);
	*len = min_u64(*len, MODEL_SIZE - *off);
}

static void random_op(uint64_t *seed)
{
	uint64_t off, len;

	random_range(seed, &off, &len);
	switch (zt_random(seed) % 16) {
	case 0:
		ck_assert_int_eq(blkmap_truncate(bm.map, &bm.file, off), 0);
		memset(model + off, 0, MODEL_SIZE - off);
		for (uint64_t p = div_round_up_u64(off, ZT_PAGE_SIZE); p < MODEL_PAGES; p++)
			present[p] = false;
		break;
	case 1:
	case 2:
		ck_assert_int_eq(blkmap_punch(bm.map, &bm.file, off, len), 0);
		model_zero(off, len);
		break;
	case 3:
		if (!blkmap_covers(&bm.file, off, len))
			ck_assert_int_eq(blkmap_grow(bm.map, &bm.file, off, len), 0);
		ck_assert_int_eq(blkmap_allocate(bm.map, &bm.file, off, len), 0);
		for (uint64_t p = off / ZT_PAGE_SIZE; p * ZT_PAGE_SIZE < off + len; p++)
			present[p] = true;
		break;
	case 4:
		fold_idle(&bm.map->upkeep.folder, 0);
		break;
	case 5:
		blkmap_recompress(bm.map, 0);
		blkmap_trim(bm.map);
		break;
	case 6:
		compare_seek(off, zt_random(seed) % 2 ? SEEK_DATA : SEEK_HOLE);
		break;
	default:
		bm_fill(seed, buf, len);
		model_write(off, buf, len);
		ck_assert_int_eq(bm_write(&bm, off, buf, len), 0);
		break;
	}
	random_range(seed, &off, &len);
	compare(off, len);
}

static const struct bm_config configs[] = {
	{ .order = 0 },
	{ .order = 2 },
	{ .order = 4, .recompress = "zstd" },
	{ .order = 5, .recompress = "lz4hc" },
	{ .order = 4, .compress = "zstd" },
	{ .order = 4, .compress = "null" },
	{ .order = 4, .accel = BLKMAP_ACCEL_ON },
	{ .order = 0, .accel = BLKMAP_ACCEL_ON, .recompress = "zstd" },
	{ .order = 4, .accel = BLKMAP_ACCEL_AUTO, .compress = "lz4hc" },
};

START_TEST(test_random_operations_match_a_model)
{
	uint64_t seed = zt_seed() + (uint64_t)_i;

	memset(model, 0, sizeof(model));
	memset(present, 0, sizeof(present));
	bm_start(&bm, &configs[_i]);
	for (int i = 0; i < 1500; i++) {
		random_op(&seed);
		if (i % 250 == 0) {
			bm_check(&bm);
			compare(0, MODEL_SIZE);
		}
	}
	compare(0, MODEL_SIZE);
	bm_stop(&bm);
}
END_TEST

START_TEST(test_small_write_into_a_cluster_leaves_its_object_alone_and_is_folded_later)
{
	struct blkmap_stat stat;
	uint64_t seed = 1;

	bm_start(&bm, &(struct bm_config){ .order = 4 });
	memset(model, 'a', 65536);
	for (int i = 0; i < 65536; i += 7)
		model[i] = (char)i;
	ck_assert_int_eq(bm_write(&bm, 0, model, 65536), 0);
	blkmap_get_stat(bm.map, &stat);
	ck_assert_uint_eq(stat.data.objects, 1);

	bm_fill(&seed, model + 5 * ZT_PAGE_SIZE, ZT_PAGE_SIZE);
	model[5 * ZT_PAGE_SIZE] ^= 1;
	ck_assert_int_eq(bm_write(&bm, 5 * ZT_PAGE_SIZE, model + 5 * ZT_PAGE_SIZE, ZT_PAGE_SIZE),
			 0);
	blkmap_get_stat(bm.map, &stat);
	ck_assert_uint_eq(stat.data.objects, 2);
	bm_check(&bm);

	ck_assert_uint_eq(fold_idle(&bm.map->upkeep.folder, 0), 1);
	blkmap_get_stat(bm.map, &stat);
	ck_assert_uint_eq(stat.data.objects, 1);
	ck_assert_uint_eq(stat.folds, 1);
	ck_assert_int_eq(blkmap_read(bm.map, &bm.file, 0, buf, 65536), 0);
	ck_assert_int_eq(memcmp(buf, model, 65536), 0);
	bm_stop(&bm);
}
END_TEST

/* Compressible, and different for each @version in every page. */
static void fill_version(char *dst, uint64_t version)
{
	for (uint64_t p = 0; p < 16; p++)
		for (uint64_t i = 0; i < ZT_PAGE_SIZE; i += 16) {
			/* Everywhere the same bytes, and so lengths that are alike. */
			uint64_t words[2] = { htole64(version << 32 | p << 16 | i),
					      htole64(i % 64) };

			memcpy(dst + p * ZT_PAGE_SIZE + i, words, sizeof(words));
		}
}

static void expect_page(unsigned page)
{
	size_t off = page * (size_t)ZT_PAGE_SIZE;

	memset(buf, 0x5a, ZT_PAGE_SIZE);
	ck_assert_int_eq(blkmap_read(bm.map, &bm.file, off, buf, ZT_PAGE_SIZE), 0);
	ck_assert_int_eq(memcmp(buf, model + off, ZT_PAGE_SIZE), 0);
}

static uint64_t decoded_bytes(void)
{
	struct blkmap_stat stat;

	blkmap_get_stat(bm.map, &stat);
	return stat.zcomp.decompress_out;
}

START_TEST(test_small_reads_decode_no_more_than_they_need)
{
	uint64_t before;

	if (!zcomp_find_ops("lz4")->decompress_head)
		return; /* an old library */
	bm_start(&bm, &(struct bm_config){ .order = 4 });
	fill_version(model, 1);
	ck_assert_int_eq(bm_write(&bm, 0, model, 65536), 0);
	before = decoded_bytes();
	expect_page(3);
	ck_assert_uint_eq(decoded_bytes() - before, 4 * ZT_PAGE_SIZE);
	/* Below: it is there. Above: somebody walks through the cluster. */
	expect_page(1);
	ck_assert_uint_eq(decoded_bytes() - before, 4 * ZT_PAGE_SIZE);
	for (unsigned page = 4; page < 16; page++)
		expect_page(page);
	ck_assert_uint_eq(decoded_bytes() - before, 4 * ZT_PAGE_SIZE + 65536);
	bm_stop(&bm);
}
END_TEST

/*
 * A new object often gets the room, and so the very word, that the one before the last had: then
 * only the lock's count tells that what is decoded already is old.
 */
START_TEST(test_what_is_decoded_is_forgotten_when_its_slot_changes)
{
	uint64_t *slot, first, same_words = 0;

	bm_start(&bm, &(struct bm_config){ .order = 4 });
	for (uint64_t version = 1; version <= 40; version++) {
		fill_version(model, version);
		ck_assert_int_eq(bm_write(&bm, 0, model, 65536), 0);
		slot = tree_slot(bm.arena, &bm.file.tree, 0);
		first = word_get(slot);
		expect_page(9);
		/* Two more without a look: the second may lie where the first lay. */
		fill_version(model, version + 1000);
		ck_assert_int_eq(bm_write(&bm, 0, model, 65536), 0);
		fill_version(model, version + 2000);
		ck_assert_int_eq(bm_write(&bm, 0, model, 65536), 0);
		same_words += word_get(slot) == first;
		expect_page(9);
		expect_page(2);
		/* A page over it, folded into one object again. */
		memset(model + 9 * ZT_PAGE_SIZE, (int)version, 100);
		ck_assert_int_eq(bm_write(&bm, 9 * ZT_PAGE_SIZE, model + 9 * ZT_PAGE_SIZE, 100), 0);
		expect_page(9);
		expect_page(3);
		fold_idle(&bm.map->upkeep.folder, 0);
		expect_page(9);
		/* Cut and longer again: zeros. */
		ck_assert_int_eq(blkmap_truncate(bm.map, &bm.file, 5 * ZT_PAGE_SIZE + 7), 0);
		memset(model + 5 * ZT_PAGE_SIZE + 7, 0, 65536 - 5 * ZT_PAGE_SIZE - 7);
		expect_page(5);
		expect_page(9);
		ck_assert_int_eq(blkmap_truncate(bm.map, &bm.file, 0), 0);
		memset(model, 0, 65536);
		expect_page(2);
	}
	ck_assert_uint_gt(same_words, 0); /* or this test shows nothing */
	bm_stop(&bm);
}
END_TEST

static uint64_t nr_objects(void)
{
	struct blkmap_stat stat;

	blkmap_get_stat(bm.map, &stat);
	return stat.data.objects;
}

static void expect_cluster(void)
{
	ck_assert_int_eq(blkmap_read(bm.map, &bm.file, 0, buf, 65536), 0);
	ck_assert_int_eq(memcmp(buf, model, 65536), 0);
}

START_TEST(test_a_cluster_written_page_by_page_is_spread_and_not_compressed_again)
{
	struct blkmap_stat before, after;

	bm_start(&bm, &(struct bm_config){ .order = 4 });
	fill_version(model, 1);
	ck_assert_int_eq(bm_write(&bm, 0, model, 65536), 0);
	for (unsigned p = 0; p < 8; p++) {
		ck_assert_uint_eq(nr_objects(), 1 + p);
		model[p * ZT_PAGE_SIZE + 9]++;
		ck_assert_int_eq(
			bm_write(&bm, p * ZT_PAGE_SIZE, model + p * ZT_PAGE_SIZE, ZT_PAGE_SIZE), 0);
	}
	/* Half: the other eight have objects of their own now, and the base is gone. */
	ck_assert_uint_eq(nr_objects(), 16);
	bm_check(&bm);
	blkmap_get_stat(bm.map, &before);
	for (unsigned i = 0; i < 200; i++) {
		unsigned p = i * 7 % 16;

		model[p * ZT_PAGE_SIZE + 100] = (char)i;
		ck_assert_int_eq(
			bm_write(&bm, p * ZT_PAGE_SIZE + 100, model + p * ZT_PAGE_SIZE + 100, 1),
			0);
	}
	blkmap_get_stat(bm.map, &after);
	ck_assert_uint_eq(after.zcomp.compress_in - before.zcomp.compress_in, 200 * ZT_PAGE_SIZE);
	ck_assert_uint_eq(nr_objects(), 16);
	expect_cluster();
	fold_idle(&bm.map->upkeep.folder, 0);
	ck_assert_uint_eq(nr_objects(), 1);
	expect_cluster();
	bm_stop(&bm);
}
END_TEST

START_TEST(test_a_cluster_read_again_and_again_in_small_pieces_is_spread)
{
	uint64_t seed = 1, place, decoded;
	struct live_map *live;

	bm_start(&bm, &(struct bm_config){ .order = 4, .compress = _i ? "zstd" : "lz4" });
	fill_version(model, 1);
	ck_assert_int_eq(bm_write(&bm, 0, model, 65536), 0);
	ck_assert_int_eq(bm_write(&bm, 65536, model, 65536), 0);
	/* In order is no reason; that costs two decodings. */
	for (unsigned page = 0; page < 16; page++)
		expect_page(page);
	ck_assert_uint_eq(nr_objects(), 2);
	/* Here and there is. A read of the other cluster takes away what is decoded already. */
	for (int i = 0; i < 40; i++) {
		expect_page(zt_random(&seed) % 16);
		ck_assert_int_eq(blkmap_read(bm.map, &bm.file, 65536 + 9, buf, 40000), 0);
	}
	ck_assert_uint_eq(nr_objects(), 16 + 1);
	bm_check(&bm);
	decoded = decoded_bytes();
	expect_page(15);
	ck_assert_uint_eq(decoded_bytes() - decoded, ZT_PAGE_SIZE);
	expect_cluster();

	/* It stays so while it is hot, and is folded when it has cooled down. */
	place = slot_place(&bm.map->slots, tree_slot(bm.arena, &bm.file.tree, 0));
	ck_assert_uint_eq(heat_of(&bm.map->slots, place), HEAT_MAX);
	live = live_map_find(&bm.map->slots, slot_lock_at(&bm.map->slots, place), place);
	for (int i = 0; i < 6; i++) {
		ck_assert_uint_eq(nr_objects(), 16 + 1);
		live->touched -= 5;
		fold_idle(&bm.map->upkeep.folder, 2);
		heat_cool(&bm.map->slots);
	}
	ck_assert_uint_eq(nr_objects(), 2);
	expect_cluster();
	bm_stop(&bm);
}
END_TEST

START_TEST(test_repeated_values_live_in_the_slot)
{
	static const uint64_t values[] = {
		0,
		1,
		UINT64_MAX,
		0x07ffffffffffffff,
		0xf800000000000000,
		0x41414141,
		0x2020202020202020,
		0xdeadbeefdeadbeef,
	};
	struct blkmap_stat stat;

	bm_start(&bm, &(struct bm_config){ .order = 4 });
	for (size_t v = 0; v < ARRAY_SIZE(values); v++) {
		for (size_t i = 0; i < 65536; i += 8)
			memcpy(buf + i, &values[v], 8);
		ck_assert_int_eq(bm_write(&bm, v * 65536, buf, 65536), 0);
	}
	blkmap_get_stat(bm.map, &stat);
	ck_assert_uint_eq(stat.data.objects, 0);
	ck_assert_uint_eq(stat.same_pages, 16 * ARRAY_SIZE(values));
	ck_assert_uint_eq(stat.nr_pages, 16 * ARRAY_SIZE(values));
	for (size_t v = 0; v < ARRAY_SIZE(values); v++) {
		ck_assert_int_eq(blkmap_read(bm.map, &bm.file, v * 65536 + 8, buf, 65528), 0);
		for (size_t i = 0; i < 65528; i += 8)
			ck_assert_int_eq(memcmp(buf + i, &values[v], 8), 0);
	}
	bm_stop(&bm);
}
END_TEST

START_TEST(test_incompressible_data_is_stored_raw)
{
	struct blkmap_stat stat;
	uint64_t seed = 3;

	bm_start(&bm, &(struct bm_config){ .order = 4 });
	for (size_t i = 0; i < 65536; i++)
		model[i] = (char)zt_random(&seed);
	ck_assert_int_eq(bm_write(&bm, 0, model, 65536), 0);
	blkmap_get_stat(bm.map, &stat);
	ck_assert_uint_eq(stat.huge_pages, 16);
	ck_assert_uint_eq(stat.huge_pages_since, 16);
	ck_assert_uint_eq(stat.data.object_bytes, 65536);
	memset(buf, 0, 65536);
	ck_assert_int_eq(bm_write(&bm, 0, buf, 65536), 0);
	blkmap_get_stat(bm.map, &stat);
	ck_assert_uint_eq(stat.huge_pages, 0);
	ck_assert_uint_eq(stat.huge_pages_since, 16);
	bm_stop(&bm);
}
END_TEST

START_TEST(test_size_limit_refuses_new_pages_and_nothing_else)
{
	bm_start(&bm, &(struct bm_config){ .order = 2, .max_pages = 10 });
	memset(model, 'x', sizeof(model));
	ck_assert_int_eq(bm_write(&bm, 0, model, 8 * ZT_PAGE_SIZE), 0);
	ck_assert_int_eq(bm_write(&bm, 8 * ZT_PAGE_SIZE, model, 3 * ZT_PAGE_SIZE), -ENOSPC);
	ck_assert_uint_eq(*bm.file.nr_pages, 8);
	/* What is there may be rewritten, and two more pages fit. */
	ck_assert_int_eq(bm_write(&bm, 0, model, 8 * ZT_PAGE_SIZE), 0);
	ck_assert_int_eq(bm_write(&bm, 8 * ZT_PAGE_SIZE, model, 2 * ZT_PAGE_SIZE), 0);
	ck_assert_int_eq(bm_write(&bm, 10 * ZT_PAGE_SIZE, model, 1), -ENOSPC);
	ck_assert_int_eq(blkmap_truncate(bm.map, &bm.file, ZT_PAGE_SIZE), 0);
	ck_assert_int_eq(bm_write(&bm, 10 * ZT_PAGE_SIZE, model, 1), 0);
	bm_stop(&bm);
}
END_TEST

START_TEST(test_memory_limit_refuses_and_rewriting_in_place_succeeds)
{
	struct blkmap_stat stat;
	uint64_t seed = 5, off = 0;
	int error;

	bm_start(&bm, &(struct bm_config){ .order = 4, .limit = 4 * MIB });
	for (;; off += 65536) {
		for (size_t i = 0; i < 65536; i++)
			buf[i] = (char)zt_random(&seed);
		error = bm_write(&bm, off, buf, 65536);
		if (error)
			break;
		if (off == 0)
			memcpy(model, buf, 65536);
	}
	ck_assert_int_eq(error, -ENOSPC);
	ck_assert_uint_gt(off, 3 * MIB);
	ck_assert_uint_le(arena_memfd_bytes(bm.arena), 4 * MIB);
	ck_assert_int_eq(blkmap_read(bm.map, &bm.file, 0, buf, 65536), 0);
	ck_assert_int_eq(memcmp(buf, model, 65536), 0);

	/* All clusters again with other bytes, whole and in part: no room is needed. */
	for (uint64_t at = 0; at < off; at += 65536) {
		for (size_t i = 0; i < 65536; i++)
			buf[i] = (char)zt_random(&seed);
		ck_assert_int_eq(bm_write(&bm, at, buf, 65536), 0);
		ck_assert_int_eq(bm_write(&bm, at + 8192, buf + 8192, 4096), 0);
		ck_assert_int_eq(blkmap_read(bm.map, &bm.file, at, model, 65536), 0);
		ck_assert_int_eq(memcmp(buf, model, 65536), 0);
	}
	blkmap_get_stat(bm.map, &stat);
	ck_assert_uint_gt(stat.overwrites_in_place, 0);
	bm_check(&bm);

	/* Deleting gives room again. */
	ck_assert_int_eq(blkmap_truncate(bm.map, &bm.file, off / 2), 0);
	sleep(2); /* refused room is not looked for again within a second */
	ck_assert_int_eq(bm_write(&bm, off, buf, 65536), 0);
	bm_stop(&bm);
}
END_TEST

static void overwrite_page(unsigned page, uint64_t *seed)
{
	char *at = model + page * 4096;

	for (size_t i = 0; i < 4096; i++)
		at[i] = (char)(zt_random(seed) % 16);
	ck_assert_int_eq(bm_write(&bm, page * 4096, at, 4096), 0);
}

/*
 * Pages here and there: when half of a cluster is overwritten, the rest becomes pages too. A page of
 * zeros, one of one value and a short last one among it.
 */
START_TEST(test_much_overwritten_here_and_there_leaves_no_base)
{
	static const unsigned pages[] = { 9, 2, 13, 4, 11, 0, 6, 14 };
	const uint32_t size = 65536 - 1000;
	uint64_t seed = zt_seed();
	unsigned i = 0;

	bm_start(&bm, &(struct bm_config){ .order = 4 });
	for (size_t b = 0; b < size; b++)
		model[b] = (char)(zt_random(&seed) % 16);
	memset(model + 3 * 4096, 0, 4096);
	memset(model + 5 * 4096, 'x', 4096);
	memset(model + size, 0, 1000);
	ck_assert_int_eq(bm_write(&bm, 0, model, size), 0);
	for (; i < ARRAY_SIZE(pages) - 1; i++)
		overwrite_page(pages[i], &seed);
	ck_assert_uint_eq(nr_objects(), 1 + 7);
	/* Whatever fails, all stays as it is. */
	for (long n = 1; n < 100; n++) {
		int error;

		memset(buf, 'n', 4096);
		buf[1] = (char)n;
		zt_fault_set(n);
		error = bm_write(&bm, pages[i] * 4096, buf, 4096);
		if (zt_fault_pending() || !error) {
			zt_fault_set(0);
			ck_assert_int_eq(error, 0);
			break;
		}
		ck_assert_int_eq(blkmap_read(bm.map, &bm.file, 0, buf, size), 0);
		ck_assert_int_eq(memcmp(buf, model, size), 0);
		ck_assert_uint_eq(nr_objects(), 1 + 7);
		bm_check(&bm);
	}
	overwrite_page(pages[i], &seed);
	/* But for the two that need none, each page has its own. */
	ck_assert_uint_eq(nr_objects(), 14);
	bm_check(&bm);
	for (unsigned round = 0; round < 40; round++) {
		overwrite_page(pages[round % ARRAY_SIZE(pages)], &seed);
		ck_assert_uint_eq(nr_objects(), 14);
	}
	ck_assert_int_eq(blkmap_read(bm.map, &bm.file, 0, buf, 65536), 0);
	ck_assert_int_eq(memcmp(buf, model, 65536), 0);
	blkmap_trim(bm.map);
	ck_assert_uint_eq(nr_objects(), 1);
	ck_assert_int_eq(blkmap_read(bm.map, &bm.file, 0, buf, 65536), 0);
	ck_assert_int_eq(memcmp(buf, model, 65536), 0);
	bm_check(&bm);
	bm_stop(&bm);
}
END_TEST

START_TEST(test_nth_failure_leaves_old_content)
{
	uint64_t seed = 11;

	bm_start(&bm, &configs[_i]);
	for (size_t i = 0; i < sizeof(model); i++)
		model[i] = (char)(zt_random(&seed) % 16);
	ck_assert_int_eq(bm_write(&bm, 0, model, 300000), 0);
	memset(model + 300000, 0, sizeof(model) - 300000);
	for (long n = 1;; n++) {
		uint64_t off = 50000, len = 5000;
		int error;

		memset(buf, (int)n, len);
		buf[17] = 'z';
		zt_fault_set(n);
		error = bm_write(&bm, off, buf, len);
		if (zt_fault_pending()) {
			zt_fault_set(0);
			ck_assert_int_eq(error, 0);
			break;
		}
		/*
		 * A failure that was survived by another way, or one that changed nothing in its
		 * cluster.
		 */
		ck_assert(error == 0 || error == -ENOMEM);
		ck_assert_int_eq(blkmap_read(bm.map, &bm.file, 0, buf, off), 0);
		ck_assert_int_eq(memcmp(buf, model, off), 0);
		ck_assert_int_eq(blkmap_read(bm.map, &bm.file, off + len, buf, 300000), 0);
		ck_assert_int_eq(memcmp(buf, model + off + len, 300000), 0);
		bm_check(&bm);
	}
	bm_stop(&bm);
}
END_TEST

START_TEST(test_far_offsets_of_a_sparse_file)
{
	uint64_t far = (uint64_t)INT64_MAX - 10000, found;

	bm_start(&bm, &(struct bm_config){ .order = (unsigned)_i });
	memset(model, 'f', 10000);
	ck_assert_int_eq(bm_write(&bm, far, model, 10000), 0);
	ck_assert_int_eq(blkmap_read(bm.map, &bm.file, far, buf, 10000), 0);
	ck_assert_int_eq(memcmp(buf, model, 10000), 0);
	ck_assert_int_eq(blkmap_seek(bm.map, &bm.file, INT64_MAX, 0, SEEK_DATA, &found), 0);
	ck_assert_uint_eq(found, far / ZT_PAGE_SIZE * ZT_PAGE_SIZE);
	ck_assert_uint_le(*bm.file.nr_pages, 4);
	bm_stop(&bm);
}
END_TEST

START_TEST(test_walker_finds_a_cluster_map_of_another_slot)
{
	struct cluster_map *cmap;
	uint64_t objects = 0;

	bm_start(&bm, &(struct bm_config){ .order = 4 });
	memset(model, 'm', 65536);
	ck_assert_int_eq(bm_write(&bm, 0, model, 65536), 0);
	ck_assert_int_eq(bm_write(&bm, 4096, "other", 5), 0);
	cmap = cluster_map_at(&bm.map->slots, word_get(tree_slot(bm.arena, &bm.file.tree, 0)));
	cmap->place++;
	ck_assert_int_eq(blkmap_check_file(bm.map, &bm.file, &objects), -EUCLEAN);
	cmap->place--;
	bm_stop(&bm);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("blkmap");
	TCase *tc = tcase_create("blkmap");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, test_random_operations_match_a_model, 0, ARRAY_SIZE(configs));
	tcase_add_test(tc,
		       test_small_write_into_a_cluster_leaves_its_object_alone_and_is_folded_later);
	tcase_add_test(tc, test_small_reads_decode_no_more_than_they_need);
	tcase_add_test(tc, test_what_is_decoded_is_forgotten_when_its_slot_changes);
	tcase_add_test(tc, test_a_cluster_written_page_by_page_is_spread_and_not_compressed_again);
	tcase_add_loop_test(tc, test_a_cluster_read_again_and_again_in_small_pieces_is_spread, 0,
			    2);
	tcase_add_test(tc, test_repeated_values_live_in_the_slot);
	tcase_add_test(tc, test_much_overwritten_here_and_there_leaves_no_base);
	tcase_add_test(tc, test_incompressible_data_is_stored_raw);
	tcase_add_test(tc, test_size_limit_refuses_new_pages_and_nothing_else);
	tcase_add_test(tc, test_memory_limit_refuses_and_rewriting_in_place_succeeds);
	tcase_add_loop_test(tc, test_nth_failure_leaves_old_content, 0, ARRAY_SIZE(configs));
	tcase_add_test(tc, test_walker_finds_a_cluster_map_of_another_slot);
	tcase_add_loop_test(tc, test_far_offsets_of_a_sparse_file, 0, BLKMAP_MAX_ORDER + 1);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
