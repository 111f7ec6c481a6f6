// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_scratch.c - what a stream keeps decoded between two reads is that cluster's bytes, or is
 * forgotten. One stream, so that every call meets what the one before left.
 *
 * Tests decode.c of cluster, by way of content.
 */
#include <errno.h>
#include <string.h>

#include "blkmap/content/change.h"
#include "tests/blkmap/bm_fixture.h"

#define CLUSTER 131072u
#define PAGE    ZT_PAGE_SIZE

static struct bm bm;
static char model[4 * CLUSTER], buf[4 * CLUSTER];

static void start(void)
{
	bm_start(&bm, &(struct bm_config){ .order = 5, .nr_streams = 1 });
}

/* Words in every place, so that clusters differ everywhere. */
static void text(uint64_t *seed, char *to, size_t len)
{
	for (size_t at = 0; at < len; at += 8)
		memset(to + at, 'a' + (int)(zt_random(seed) % 26), min_u64(8, len - at));
}

static void noise(uint64_t *seed, char *to, size_t len)
{
	for (size_t i = 0; i < len; i++)
		to[i] = (char)zt_random(seed);
}

typedef void (*fill_fn)(uint64_t *seed, char *to, size_t len);

static void put(uint64_t *seed, fill_fn fill, uint64_t off, size_t len)
{
	fill(seed, model + off, len);
	ck_assert_int_eq(bm_write(&bm, off, model + off, len), 0);
}

static void expect(uint64_t off, size_t len)
{
	ck_assert_int_eq(blkmap_read(bm.map, &bm.file, off, buf, len), 0);
	ck_assert_int_eq(memcmp(buf, model + off, len), 0);
}

/* Two small reads: the second one has all of the cluster decoded, and kept. */
static void keep(uint64_t cluster)
{
	expect(cluster * CLUSTER + 2 * PAGE, PAGE);
	expect(cluster * CLUSTER + 30 * PAGE, 100);
}

static uint64_t *slot_of(uint64_t cluster)
{
	return tree_slot(bm.arena, &bm.file.tree, cluster);
}

START_TEST(test_small_read_after_others_were_compressed)
{
	static const fill_fn fills[] = { text, noise };
	uint64_t seed = zt_seed();

	for (size_t i = 0; i < ARRAY_SIZE(fills); i++) {
		start();
		put(&seed, text, 0, CLUSTER);
		put(&seed, text, CLUSTER, CLUSTER);
		keep(0);
		put(&seed, fills[i], CLUSTER, CLUSTER);
		expect(0, PAGE);
		put(&seed, fills[i], CLUSTER + 100, PAGE);
		expect(17, PAGE);
		expect(CLUSTER, CLUSTER);
		bm_stop(&bm);
	}
}
END_TEST

START_TEST(test_small_read_after_another_cluster_was_put_together)
{
	uint64_t seed = zt_seed();

	start();
	put(&seed, text, 0, 4 * CLUSTER);
	keep(0);
	/* Pages over it, all of its pages apart, and one object again. */
	put(&seed, text, CLUSTER + 5 * PAGE + 1, 10);
	expect(0, PAGE);
	for (unsigned p = 0; p < 32; p += 2)
		put(&seed, text, CLUSTER + p * PAGE, PAGE);
	expect(3 * PAGE, PAGE);
	ck_assert_int_eq(blkmap_fold(bm.map, &bm.file, CLUSTER), 0);
	expect(4 * PAGE, PAGE);
	expect(0, 4 * CLUSTER);
	bm_stop(&bm);
}
END_TEST

/*
 * cluster_overwrite() keeps what it has encoded where decoded bytes are kept. The pages must be
 * stored in the rooms of others, so that they are encoded there at all.
 */
START_TEST(test_small_read_after_a_cluster_was_overwritten_in_place)
{
	uint64_t seed = zt_seed();
	struct cluster_op op = { .from = 4 * PAGE, .to = 6 * PAGE, .src = model + CLUSTER + 4 * PAGE };
	struct cluster c;

	start();
	put(&seed, text, 0, 2 * CLUSTER);
	/* The two must have locks of their own: another key then. */
	while (slot_lock(&bm.map->slots, slot_of(0)) == slot_lock(&bm.map->slots, slot_of(1))) {
		bm_stop(&bm);
		start();
		put(&seed, text, 0, 2 * CLUSTER);
	}
	put(&seed, text, CLUSTER + 4 * PAGE, 2 * PAGE);
	ck_assert_int_eq(slot_kind(word_get(slot_of(1))), SLOT_MAP);
	keep(0);
	c = cluster_of(&bm.map->codecs, &bm.file, slot_of(1),
		       zcomp_stream_get(bm.map->codecs.comp, ZSTRM_DEFAULT));
	ck_assert_int_eq(cluster_overwrite(&c, &op), 0);
	zcomp_stream_put(bm.map->codecs.comp, c.strm);
	ck_assert_uint_gt(bm.map->slots.account.overwrites_in_place, 0);
	expect(0, PAGE);
	expect(0, 2 * CLUSTER);
	bm_stop(&bm);
}
END_TEST

/* A decoder that fails has written something all the same. */
START_TEST(test_small_read_after_another_cluster_could_not_be_decoded)
{
	uint64_t seed = zt_seed();
	uint64_t word;
	char *data, *kept;
	uint32_t size;

	start();
	put(&seed, text, 0, 2 * CLUSTER);
	word = word_get(slot_of(1));
	ck_assert(slot_kind(word) == SLOT_OBJ && !slot_is_raw(word));
	data = zs_data(bm.arena, slot_ref(word));
	size = zs_size(bm.arena, slot_ref(word));
	kept = malloc(size);
	ck_assert_ptr_nonnull(kept);
	memcpy(kept, data, size);
	keep(0);
	memset(data + size / 2, 0xff, size - size / 2);
	ck_assert_int_eq(blkmap_read(bm.map, &bm.file, 2 * CLUSTER - PAGE, buf, 100), -EIO);
	expect(0, PAGE);
	memcpy(data, kept, size);
	expect(0, 2 * CLUSTER);
	free(kept);
	bm_stop(&bm);
}
END_TEST

/* The same slot, the same word, other bytes: the lock's count of changes tells. */
START_TEST(test_small_read_after_the_cluster_itself_was_written)
{
	uint64_t seed = zt_seed();

	start();
	for (unsigned round = 0; round < 8; round++) {
		put(&seed, text, 0, CLUSTER);
		keep(0);
		put(&seed, text, 31 * PAGE, PAGE);
		expect(31 * PAGE + 5, 100);
		expect(0, PAGE);
		ck_assert_int_eq(blkmap_fold(bm.map, &bm.file, 0), 0);
		expect(31 * PAGE + 5, 100);
	}
	bm_stop(&bm);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("scratch");
	TCase *tc = tcase_create("one stream");

	tcase_set_timeout(tc, 30);
	tcase_add_test(tc, test_small_read_after_others_were_compressed);
	tcase_add_test(tc, test_small_read_after_another_cluster_was_put_together);
	tcase_add_test(tc, test_small_read_after_a_cluster_was_overwritten_in_place);
	tcase_add_test(tc, test_small_read_after_another_cluster_could_not_be_decoded);
	tcase_add_test(tc, test_small_read_after_the_cluster_itself_was_written);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
