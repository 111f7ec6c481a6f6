// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_cluster.c - bytes to objects and back, without a file's ranges.
 *
 * Tests encode.c, decode.c, codecs.c and settings.c of the part cluster, and links nothing above it;
 * huge.c is in tests/blkmap/test_huge.c.
 */
#include <errno.h>

#include "blkmap/cluster/cluster.h"
#include "blkmap/cluster/settings.h"
#include "tests/blkmap/one_cluster.h"
#include "zcomp/registry.h"

#define ORDER   3u
#define CLUSTER (4096u << ORDER)

static char bytes[CLUSTER], back[CLUSTER];

/* What bytes become; it must be the same bytes again, whole and in pieces. Return: the word. */
static uint64_t store_and_load(uint32_t len, uint32_t mask)
{
	const struct source source = { .data = bytes, .len = len, .full = CLUSTER, .mask = mask };
	struct encoded enc;
	uint64_t word;

	encode(&c, &source, &enc);
	ck_assert_int_eq(encoded_place(c.slots, &enc, &word), 0);
	read_lock(&c.lock->lock);
	ck_assert_uint_eq(slot_present(c.slots, word, ORDER), mask);
	ck_assert_int_eq(cluster_load(&c, word, 0, CLUSTER, back), 0);
	ck_assert_int_eq(memcmp(bytes, back, len), 0);
	for (uint32_t i = len; i < CLUSTER; i++)
		ck_assert_int_eq(back[i], 0);
	for (uint32_t from = 0; from < len; from += 3000) {
		uint32_t to = from + 500 < len ? from + 500 : len;

		ck_assert_int_eq(cluster_load(&c, word, from, to, back), 0);
		ck_assert_int_eq(memcmp(bytes + from, back, to - from), 0);
	}
	rw_unlock(&c.lock->lock);
	slot_release(c.slots, slot_fresh(word), ORDER);
	return word;
}

static void fill_text(void)
{
	for (uint32_t i = 0; i < CLUSTER; i++)
		bytes[i] = "a brown fox jumps over "[i % 23];
}

START_TEST(test_text_is_compressed)
{
	uint64_t word;

	one_cluster_start(ORDER);
	fill_text();
	word = store_and_load(CLUSTER, 0xff);
	ck_assert_int_eq(slot_kind(word), SLOT_OBJ);
	ck_assert_uint_eq(slot_codec(word), SLOT_CODEC_MAIN);
	one_cluster_stop();
}
END_TEST

START_TEST(test_a_cluster_with_holes_keeps_its_mask_before_the_data)
{
	uint64_t word;

	one_cluster_start(ORDER);
	fill_text();
	memset(bytes + 4096, 0, 2 * 4096);
	word = store_and_load(5 * 4096, 0x19);
	ck_assert(word & SLOT_SPARSE);
	one_cluster_stop();
}
END_TEST

START_TEST(test_a_repeated_value_needs_no_object)
{
	one_cluster_start(ORDER);
	memset(bytes, 'r', CLUSTER);
	ck_assert_int_eq(slot_kind(store_and_load(CLUSTER, 0xff)), SLOT_SAME);
	memset(bytes, 0, CLUSTER);
	ck_assert_int_eq(slot_kind(store_and_load(CLUSTER, 0x81)), SLOT_ZERO);
	one_cluster_stop();
}
END_TEST

START_TEST(test_a_repeated_value_is_laid_out_from_any_byte_to_any_other)
{
	static const uint64_t values[] = { 0, UINT64_C(0x0101010101010101), 0x1234567890abcd };

	one_cluster_start(ORDER);
	read_lock(&c.lock->lock);
	for (unsigned v = 0; v < ARRAY_SIZE(values); v++)
		for (uint32_t from = 0; from < 17; from++)
			for (uint32_t to = from; to < from + 40; to++) {
				memset(back, '?', 64);
				ck_assert_int_eq(cluster_load(&c, slot_make_same(values[v]), from,
							      to, back + 3),
						 0);
				for (uint32_t i = from; i < to; i++)
					ck_assert_int_eq(back[3 + i - from],
							 ((const char *)&values[v])[i % 8]);
				ck_assert_int_eq(back[2], '?');
				ck_assert_int_eq(back[3 + to - from], '?');
			}
	rw_unlock(&c.lock->lock);
	one_cluster_stop();
}
END_TEST

START_TEST(test_what_does_not_compress_is_stored_as_it_is)
{
	uint64_t seed = zt_seed();

	one_cluster_start(ORDER);
	for (uint32_t i = 0; i < CLUSTER; i++)
		bytes[i] = (char)zt_random(&seed);
	ck_assert(slot_is_raw(store_and_load(CLUSTER, 0xff)));
	one_cluster_stop();
}
END_TEST

START_TEST(test_a_setting_has_a_codec_number_of_its_own_while_it_has_users)
{
	unsigned setting, other, none, again;
	char text[256];

	one_cluster_start(ORDER);
	zcomp_stream_put(codecs.comp, c.strm); /* settings_lock comes before streams */
	ck_assert_int_eq(setting_find(&codecs, 1, "zstd", 3, text, &setting), 0);
	ck_assert_int_eq(setting_find(&codecs, 2, "zstd", 3, text, &other), 0);
	ck_assert_uint_eq(setting, other);
	ck_assert_uint_eq(lower.slots.account.setting_users[setting - BLKMAP_SETTING_FIRST], 2);
	ck_assert_str_eq(codec_name(&codecs, setting_codec(setting)), "zstd");
	ck_assert_int_eq(setting_find(&codecs, 1, "nosuch", 3, text, &none), -ENOENT);
	/* No level is the one that is meant by it. */
	ck_assert_int_eq(setting_find(&codecs, 1, "zstd", ZCOMP_LEVEL_DEFAULT, text, &none), 0);
	ck_assert_int_eq(setting_find(&codecs, 1, "zstd", zcomp_find_ops("zstd")->level_default, text,
				      &again),
			 0);
	ck_assert_uint_eq(none, again);
	setting_put(&lower.slots, none);
	setting_put(&lower.slots, again);
	c.strm = zcomp_stream_get(codecs.comp, ZSTRM_DEFAULT);
	lower.file.setting = setting;
	fill_text();
	ck_assert_uint_eq(slot_codec(store_and_load(CLUSTER, 0xff)), setting_codec(setting));
	setting_put(&lower.slots, setting);
	setting_put(&lower.slots, other);
	one_cluster_stop();
}
END_TEST

START_TEST(test_a_word_of_an_unknown_codec_is_an_error_and_no_crash)
{
	const struct source source = {
		.data = bytes, .len = CLUSTER, .full = CLUSTER, .mask = 0xff
	};
	struct encoded enc;
	uint64_t word;

	one_cluster_start(ORDER);
	fill_text();
	encode(&c, &source, &enc);
	ck_assert_int_eq(encoded_place(c.slots, &enc, &word), 0);
	read_lock(&c.lock->lock);
	ck_assert_int_eq(cluster_load(&c, slot_with_codec(word, SLOT_CODEC_DICT), 0, CLUSTER, back),
			 -EIO);
	rw_unlock(&c.lock->lock);
	slot_release(c.slots, slot_fresh(word), ORDER);
	one_cluster_stop();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("cluster");
	TCase *tcase = tcase_create("cluster");

	tcase_add_test(tcase, test_text_is_compressed);
	tcase_add_test(tcase, test_a_cluster_with_holes_keeps_its_mask_before_the_data);
	tcase_add_test(tcase, test_a_repeated_value_needs_no_object);
	tcase_add_test(tcase, test_a_repeated_value_is_laid_out_from_any_byte_to_any_other);
	tcase_add_test(tcase, test_what_does_not_compress_is_stored_as_it_is);
	tcase_add_test(tcase, test_a_setting_has_a_codec_number_of_its_own_while_it_has_users);
	tcase_add_test(tcase, test_a_word_of_an_unknown_codec_is_an_error_and_no_crash);
	suite_add_tcase(suite, tcase);
	return zt_check_main(suite);
}
