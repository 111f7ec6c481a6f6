// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_attach.c - the content of a file found again in its arena, with what a kill may leave half done
 * planted. Tests attach.c, slot/attach.c, slot/tree_attach.c; tests/fs/test_attach has whole mounts.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "arena/attach.h"
#include "blkmap/attach.h"
#include "blkmap/slot/share.h"
#include "blkmap/spilled.h"
#include "tests/blkmap/bm_fixture.h"
#include "zsmalloc/attach.h"

#define CLUSTER (64 * KIB)

static int spill_fd; /* of 16 MiB; 0: there is none */

/* The record of the file stays; the process goes on as another one would. */
static int attach_again(struct bm *bm, struct blkmap_repairs *out, char text[256])
{
	const struct arena_params arena_params = { .reserve = GIB };
	const struct zs_pool_params pool_params = { .name = "meta", .id = 2 };
	struct blkmap_params params = {
		.attach = BLKMAP_ATTACH,
		.comp.name = bm_compress(),
		.comp.level = ZCOMP_LEVEL_DEFAULT,
		.comp.nr_streams = 2,
		.spill_size = spill_fd ? 16 * MIB : 0,
		.spill_fd = spill_fd,
	};
	struct slots_attach *attach;
	struct bm_file *record;
	uint64_t end;
	int fd, error;

	blkmap_detach(bm->map);
	bm->map = NULL;
	zs_pool_detach(bm->meta);
	arena_detach(bm->arena, &fd);
	ck_assert_msg(arena_attach(&arena_params, fd, text, &bm->arena) == 0, "%s", text);
	ck_assert_int_eq(zs_pool_attach(bm->arena, &pool_params, true, text, &bm->meta), 0);
	params.arena = bm->arena;
	params.meta = bm->meta;
	error = blkmap_create(&params, text, &bm->map);
	if (error)
		return error;
	record = zs_data(bm->arena, bm->record);
	bm->file.tree = (struct tree){ .word = &record->word };
	bm->file.nr_pages = &record->nr_pages;
	ck_assert_int_eq(zs_claim(bm->meta, bm->record), ZS_CLAIMED);
	ck_assert_int_eq(blkmap_attach_begin(bm->map, text, &attach), 0);
	error = blkmap_attach_file(attach, &bm->file, text, &end);
	if (error) {
		blkmap_attach_drop(attach);
		return error;
	}
	error = blkmap_attach_end(bm->map, attach, text, out);
	out->swept += zs_sweep(bm->meta);
	zs_attach_end(bm->meta);
	ck_assert_int_eq(arena_attach_end(bm->arena), 0);
	return error;
}

static uint64_t repairs_of(const struct blkmap_repairs *r)
{
	return r->page_counts + r->places + r->owners + r->share_counts + r->swept;
}

/* One that is refused: nothing is left to be checked. */
static void give_up(struct bm *bm)
{
	blkmap_detach(bm->map);
	zs_pool_detach(bm->meta);
	arena_detach(bm->arena, NULL);
}

static char bytes[12 * CLUSTER];

/* Clusters of text; the third was overwritten in part, so that it has a map. */
static void start(struct bm *bm)
{
	const struct bm_config config = { .order = 4, .nr_streams = 2 };

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = "what is written here repeats itself "[i % 36] + (char)(i / CLUSTER);
	bm_start(bm, &config);
	ck_assert_int_eq(bm_write(bm, 0, bytes, sizeof(bytes)), 0);
	memset(bytes + 2 * CLUSTER + 4096, 'x', 3000);
	memset(bytes + 2 * CLUSTER + 4096, 'y', 100);
	ck_assert_int_eq(bm_write(bm, 2 * CLUSTER + 4096, bytes + 2 * CLUSTER + 4096, 4096), 0);
}

static void check_bytes(struct bm *bm)
{
	static char is[sizeof(bytes)];

	ck_assert_int_eq(blkmap_read(bm->map, &bm->file, 0, is, sizeof(is)), 0);
	ck_assert(memcmp(is, bytes, sizeof(is)) == 0);
}

static uint64_t *slot_of(struct bm *bm, uint64_t idx)
{
	uint64_t *slot = tree_slot(bm->arena, &bm->file.tree, idx);

	ck_assert_ptr_nonnull(slot);
	return slot;
}

/* The map of the third cluster. */
static struct cluster_map *map_of(struct bm *bm)
{
	uint64_t word = *slot_of(bm, 2);

	ck_assert_int_eq(slot_kind(word), SLOT_MAP);
	return cluster_map_at(&bm->map->slots, word);
}

START_TEST(test_nothing_is_put_right_where_nothing_is_wrong)
{
	struct blkmap_repairs repairs;
	char text[256] = "";
	struct bm bm;

	start(&bm);
	ck_assert_int_eq(attach_again(&bm, &repairs, text), 0);
	ck_assert_uint_eq(repairs_of(&repairs), 0);
	check_bytes(&bm);
	bm_stop(&bm);
}
END_TEST

START_TEST(test_owners_places_and_page_counts_follow_the_words)
{
	struct blkmap_repairs repairs;
	char text[256] = "";
	struct bm bm;

	start(&bm);
	/* As if a map had been begun for one cluster, and another's header was not yet set. */
	zs_set_owner(bm.arena, slot_ref(*slot_of(&bm, 0)),
		     (struct zs_owner){ .word = 12345, .index = OWNER_BASE });
	zs_set_owner(bm.arena, slot_ref(*slot_of(&bm, 1)), (struct zs_owner){ .word = 0 });
	map_of(&bm)->place++;
	*bm.file.nr_pages += 3;
	ck_assert_int_eq(attach_again(&bm, &repairs, text), 0);
	ck_assert_uint_eq(repairs.owners, 2);
	ck_assert_uint_eq(repairs.places, 1);
	ck_assert_uint_eq(repairs.page_counts, 1);
	ck_assert_uint_eq(repairs_of(&repairs), 4);
	check_bytes(&bm);
	bm_stop(&bm);
}
END_TEST

/* The copy of compaction, a new object not yet published or an old one not yet freed are all alike. */
START_TEST(test_what_no_word_names_is_swept)
{
	struct blkmap_repairs repairs;
	char text[256] = "";
	ref_t ref;
	struct bm bm;

	start(&bm);
	ck_assert_int_eq(zs_malloc(bm.map->slots.data, 777, &ref), 0);
	zs_set_owner(bm.arena, ref, zs_get_owner(bm.arena, slot_ref(*slot_of(&bm, 1))));
	ck_assert_int_eq(zs_malloc(bm.map->slots.data, 40000, &ref), 0);
	ck_assert_int_eq(zs_malloc(bm.meta, 512, &ref), 0);
	ck_assert_int_eq(attach_again(&bm, &repairs, text), 0);
	ck_assert_uint_eq(repairs.swept, 3);
	ck_assert_uint_eq(repairs_of(&repairs), 3);
	check_bytes(&bm);
	bm_stop(&bm);
}
END_TEST

static void share_first(struct bm *bm, uint64_t *out_word)
{
	ck_assert_int_eq(share_take(&bm->map->slots, slot_of(bm, 0), out_word), 0);
	ck_assert_int_eq(slot_kind(*out_word), SLOT_SHARED);
}

START_TEST(test_share_records_count_the_names_that_there_are)
{
	struct blkmap_repairs repairs;
	char text[256] = "";
	uint64_t word;
	struct bm bm;

	start(&bm);
	share_first(&bm, &word); /* the second name was to go somewhere, and never came there */
	ck_assert_int_eq(attach_again(&bm, &repairs, text), 0);
	ck_assert_uint_eq(repairs.share_counts, 1);
	ck_assert_uint_eq(repairs_of(&repairs), 1);
	check_bytes(&bm);
	bm_stop(&bm);
}
END_TEST

/* Killed before the slot names the record: the slot has its object still, the record goes. */
START_TEST(test_a_share_that_was_only_begun_is_undone)
{
	struct blkmap_repairs repairs;
	uint64_t word, obj;
	char text[256] = "";
	struct bm bm;

	start(&bm);
	obj = *slot_of(&bm, 0);
	share_first(&bm, &word);
	*slot_of(&bm, 0) = obj;
	ck_assert_int_eq(attach_again(&bm, &repairs, text), 0);
	ck_assert_uint_eq(repairs.owners, 1);
	ck_assert_uint_eq(repairs.swept, 1);
	check_bytes(&bm);
	bm_stop(&bm);
}
END_TEST

/* What cannot come from a kill is refused; @what says how it is damaged. */
static void damage(struct bm *bm, int what)
{
	switch (what) {
	case 0: /* an object that is not there */
		*slot_of(bm, 0) = slot_with_ref(*slot_of(bm, 0), 12345);
		break;
	case 1: /* two words that name one object */
		*slot_of(bm, 0) = *slot_of(bm, 1);
		break;
	case 2: /* a word of no kind */
		*slot_of(bm, 0) |= 7;
		break;
	case 3: /* a tree of no shape */
		*bm->file.tree.word |= UINT64_C(15) << 41;
		break;
	case 4: /* a tree of another shape */
		*bm->file.tree.word += UINT64_C(1) << 41;
		break;
	case 5: /* a map below a map */
		map_of(bm)->base = *slot_of(bm, 2);
		break;
	case 6: /* a map that is an object's */
		*slot_of(bm, 2) = slot_make_map(slot_ref(*slot_of(bm, 0)));
		break;
	case 7: /* a share record that is a map */
		*slot_of(bm, 0) = slot_make_shared(*slot_of(bm, 0), slot_ref(*slot_of(bm, 2)));
		break;
	case 8: /* a codec that is not there */
		*slot_of(bm, 0) = slot_with_codec(*slot_of(bm, 0), SLOT_CODEC_DICT + 3);
		break;
	case 9: /* a tree's word with a bit above its shape, which would be part of a ref to a new node */
		*bm->file.tree.word |= UINT64_C(1) << 50;
		break;
	case 10: /* zeros behind the end of the cluster */
		*slot_of(bm, 0) = slot_make_zero(UINT64_C(1) << 23);
		break;
	}
}

START_TEST(test_what_no_kill_leaves_is_refused)
{
	struct blkmap_repairs repairs;
	char text[256] = "";
	struct bm bm;

	start(&bm);
	damage(&bm, _i);
	ck_assert_int_eq(attach_again(&bm, &repairs, text), -EUCLEAN);
	ck_assert_str_ne(text, "");
	give_up(&bm);
}
END_TEST

/* ---- with some of it in a file ---- */

static void start_spilled(struct bm *bm)
{
	const struct bm_config config = { .order = 4, .nr_streams = 2, .spill_size = 16 * MIB };
	struct bm_config mine = config;
	char name[] = "/tmp/zt-spill-XXXXXX";
	uint64_t seed = zt_seed();

	spill_fd = mine.spill_fd = mkstemp(name);
	ck_assert_int_gt(spill_fd, 0);
	ck_assert_int_eq(unlink(name), 0);
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (char)zt_random(&seed);
	bm_start(bm, &mine);
	ck_assert_int_eq(bm_write(bm, 0, bytes, sizeof(bytes)), 0);
	ck_assert_uint_gt(blkmap_spill_now(bm->map, 0, UINT64_MAX), 0);
	/* Two that came again, so both kinds are there, and one that went since. */
	ck_assert_int_eq(bm_write(bm, 0, bytes, CLUSTER), 0);
	memset(bytes + CLUSTER, 0, CLUSTER);
	ck_assert_int_eq(blkmap_punch(bm->map, &bm->file, CLUSTER, CLUSTER), 0);
}

static void stop_spilled(void)
{
	close(spill_fd);
	spill_fd = 0;
}

static uint64_t nr_out(struct bm *bm)
{
	struct blkmap_stat stat;

	blkmap_get_stat(bm->map, &stat);
	return stat.spill.objects;
}

static void check_spilled(struct bm *bm)
{
	static char is[sizeof(bytes)];

	for (uint64_t off = 0; off < sizeof(bytes); off += CLUSTER) {
		int error;

		while ((error = blkmap_read(bm->map, &bm->file, off, is + off, CLUSTER)) == -EREMOTE)
			blkmap_spill_wait(bm->map, NULL);
		blkmap_spill_done(bm->map);
		ck_assert_int_eq(error, 0);
	}
	ck_assert(memcmp(is, bytes, sizeof(is)) == 0);
}

START_TEST(test_what_is_out_is_found_by_another_process)
{
	struct blkmap_repairs repairs;
	char text[256] = "";
	uint64_t out;
	struct bm bm;

	start_spilled(&bm);
	out = nr_out(&bm);
	ck_assert_uint_eq(out, 10);
	for (unsigned i = 0; i < 3; i++) {
		ck_assert_msg(attach_again(&bm, &repairs, text) == 0, "%s", text);
		ck_assert_uint_eq(repairs_of(&repairs), 0);
		ck_assert_uint_eq(nr_out(&bm), out);
		check_spilled(&bm);
		bm_check(&bm);
		(void)blkmap_spill_now(bm.map, 0, UINT64_MAX); /* what reading has brought back */
		out = nr_out(&bm);
	}
	bm_stop(&bm);
	stop_spilled();
}
END_TEST

/* As if a kill came after the object had gone out, and before its word said so; or after a word went. */
START_TEST(test_an_entry_that_no_word_names_is_swept)
{
	struct blkmap_repairs repairs;
	char text[256] = "";
	struct bm bm;

	start_spilled(&bm);
	ck_assert_int_eq(slot_kind(*slot_of(&bm, 5)), SLOT_SPILLED);
	*slot_of(&bm, 5) = 0;
	memset(bytes + 5 * CLUSTER, 0, CLUSTER);
	ck_assert_msg(attach_again(&bm, &repairs, text) == 0, "%s", text);
	ck_assert_uint_eq(repairs.swept, 1);
	ck_assert_uint_eq(repairs.page_counts, 1);
	ck_assert_uint_eq(nr_out(&bm), 9);
	check_spilled(&bm);
	bm_stop(&bm);
	stop_spilled();
}
END_TEST

static void spilled_twice(struct bm *bm)
{
	*slot_of(bm, 5) = *slot_of(bm, 6);
}

static void spilled_nowhere(struct bm *bm)
{
	*slot_of(bm, 5) = slot_make_spilled(*slot_of(bm, 5), 1000);
}

static void spilled_without_a_file(struct bm *bm)
{
	(void)bm;
	stop_spilled();
}

static const struct {
	void (*plant)(struct bm *bm);
	int error;
	const char *says;
} spilled_wrong[] = {
	{ spilled_twice, -EUCLEAN, "a cluster is in a spill file, where it is not, or another's" },
	{ spilled_nowhere, -EUCLEAN, "a cluster is in a spill file, where it is not, or another's" },
	{ spilled_without_a_file, -EINVAL, "spill= must name one" },
};

START_TEST(test_words_that_do_not_fit_the_file_are_refused)
{
	struct blkmap_repairs repairs;
	char text[256] = "";
	struct bm bm;

	start_spilled(&bm);
	spilled_wrong[_i].plant(&bm);
	ck_assert_int_eq(attach_again(&bm, &repairs, text), spilled_wrong[_i].error);
	ck_assert_msg(strstr(text, spilled_wrong[_i].says) != NULL, "%s", text);
	give_up(&bm);
	stop_spilled();
}
END_TEST

static Suite *attach_suite(void)
{
	Suite *suite = suite_create("attach");
	TCase *tcase = tcase_create("content");

	tcase_add_test(tcase, test_nothing_is_put_right_where_nothing_is_wrong);
	tcase_add_test(tcase, test_owners_places_and_page_counts_follow_the_words);
	tcase_add_test(tcase, test_what_no_word_names_is_swept);
	tcase_add_test(tcase, test_share_records_count_the_names_that_there_are);
	tcase_add_test(tcase, test_a_share_that_was_only_begun_is_undone);
	tcase_add_loop_test(tcase, test_what_no_kill_leaves_is_refused, 0, 11);
	suite_add_tcase(suite, tcase);
	tcase_add_test(tcase, test_what_is_out_is_found_by_another_process);
	tcase_add_test(tcase, test_an_entry_that_no_word_names_is_swept);
	tcase_add_loop_test(tcase, test_words_that_do_not_fit_the_file_are_refused, 0,
			    ARRAY_SIZE(spilled_wrong));
	return suite;
}

int main(void)
{
	return zt_check_main(attach_suite());
}
