// SPDX-License-Identifier: GPL-2.0-or-later
/* test_lz4.c - levels and dictionaries of the two LZ4 compressors, which share a format. */
#include <errno.h>
#include <lz4.h>
#include <lz4hc.h>

#include "tests/zcomp/fixture.h"

static const uint32_t units[] = { 4096, 65536, 131072 };
static uint64_t seed;

/* Compress with @comp into @packed. */
static size_t squeeze(struct zcomp *comp, const uint8_t *data, size_t len, uint8_t *packed)
{
	struct zcomp_strm *strm = zcomp_stream_get(comp, ZSTRM_DEFAULT);
	size_t out = 0;

	ck_assert_int_eq(zcomp_compress(comp, strm, data, len, strm->buffer_size, &out), 0);
	memcpy(packed, strm->buffer, out);
	zcomp_stream_put(comp, strm);
	return out;
}

static void expand_is(struct zcomp *comp, const uint8_t *packed, size_t packed_len,
		      const uint8_t *data, size_t len)
{
	struct zcomp_strm *strm = zcomp_stream_get(comp, ZSTRM_DEFAULT);
	uint8_t *back = malloc(len);
	size_t out = 0;

	ck_assert_int_eq(zcomp_decompress(comp, strm, packed, packed_len, back, len, &out), 0);
	ck_assert_uint_eq(out, len);
	ck_assert_int_eq(memcmp(back, data, len), 0);
	zcomp_stream_put(comp, strm);
	free(back);
}

static void try_level(const char *name, int32_t level, uint32_t unit, const void *dict,
		      size_t dict_size)
{
	const size_t sizes[] = { 1, 12, 700, 4096, 16385, 65536, unit };
	struct zcomp_config config = config_of(name, unit);
	uint8_t *data = malloc(unit), *packed = malloc(2 * (size_t)unit);
	uint64_t random = seed;
	struct zcomp *comp;

	config.level = level;
	config.dict = dict;
	config.dict_size = dict_size;
	comp = must_create(&config);
	fill_data(DATA_MIXED, data, unit, &random);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		if (sizes[i] <= unit)
			expand_is(comp, packed, squeeze(comp, data, sizes[i], packed), data,
				  sizes[i]);
	}
	zcomp_destroy(comp);
	free(data);
	free(packed);
}

static const struct {
	const char *name;
	int32_t level;
} levels[] = {
	{ "lz4", 1 },    { "lz4", 2 },    { "lz4", 10 },   { "lz4", 65537 },
	{ "lz4hc", 1 },  { "lz4hc", 2 },  { "lz4hc", 3 },  { "lz4hc", 9 },
	{ "lz4hc", 10 }, { "lz4hc", 11 }, { "lz4hc", 12 },
};

START_TEST(test_every_level_works)
{
	for (size_t i = 0; i < ARRAY_SIZE(units); i++)
		try_level(levels[_i].name, levels[_i].level, units[i], NULL, 0);
}
END_TEST

START_TEST(test_every_level_works_with_a_dictionary)
{
	static const size_t dict_sizes[] = { 1, 7, 8, 1000, 65535, 65536 };
	uint64_t random = seed + 1;
	uint8_t *dict = malloc(65536);

	fill_text(dict, 65536, &random);
	for (size_t i = 0; i < ARRAY_SIZE(dict_sizes); i++)
		try_level(levels[_i].name, levels[_i].level, units[i % ARRAY_SIZE(units)], dict,
			  dict_sizes[i]);
	free(dict);
}
END_TEST

START_TEST(test_range_of_levels_is_the_librarys)
{
	ck_assert_int_eq(zcomp_find_ops("lz4hc")->level_max, LZ4HC_CLEVEL_MAX);
	ck_assert_int_eq(zcomp_find_ops("lz4hc")->level_default, LZ4HC_CLEVEL_DEFAULT);
}
END_TEST

START_TEST(test_output_is_a_raw_block_that_lz4_itself_decodes)
{
	struct zcomp_config config = config_of(_i ? "lz4hc" : "lz4", 65536);
	static uint8_t data[65536], back[65536], packed[131072];
	struct zcomp *comp = must_create(&config);
	uint64_t random = seed;
	size_t len;

	fill_text(data, sizeof(data), &random);
	len = squeeze(comp, data, sizeof(data), packed);
	ck_assert_int_eq(LZ4_decompress_safe((char *)packed, (char *)back, (int)len, sizeof(back)),
			 sizeof(back));
	ck_assert_int_eq(memcmp(back, data, sizeof(back)), 0);
	zcomp_destroy(comp);
}
END_TEST

START_TEST(test_dictionary_shrinks_what_it_has_seen_and_both_compressors_share_it)
{
	static uint8_t dict[65536], data[4096], packed[8192];
	struct zcomp_config config = config_of("lz4", 4096);
	struct zcomp *lz4, *lz4hc;
	uint64_t random = seed;
	size_t len, len_hc;

	fill_noise(dict, sizeof(dict), &random); /* without the dictionary nothing can be saved */
	memcpy(data, dict + 30000, sizeof(data));
	config.dict = dict;
	config.dict_size = sizeof(dict);
	lz4 = must_create(&config);
	config.name = "lz4hc";
	lz4hc = must_create(&config);
	for (int i = 0; i < 3; i++) { /* each call begins from the dictionary again */
		len = squeeze(lz4, data, sizeof(data), packed);
		ck_assert_uint_lt(len, 200);
		expand_is(lz4hc, packed, len, data, sizeof(data));
		len_hc = squeeze(lz4hc, data, sizeof(data), packed);
		ck_assert_uint_lt(len_hc, 200);
		expand_is(lz4, packed, len_hc, data, sizeof(data));
	}
	zcomp_destroy(lz4);
	zcomp_destroy(lz4hc);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("lz4");
	TCase *tc = tcase_create("lz4");

	seed = zt_seed();
	tcase_set_timeout(tc, 30);
	tcase_add_loop_test(tc, test_every_level_works, 0, ARRAY_SIZE(levels));
	tcase_add_loop_test(tc, test_every_level_works_with_a_dictionary, 0, ARRAY_SIZE(levels));
	tcase_add_test(tc, test_range_of_levels_is_the_librarys);
	tcase_add_loop_test(tc, test_output_is_a_raw_block_that_lz4_itself_decodes, 0, 2);
	tcase_add_test(tc, test_dictionary_shrinks_what_it_has_seen_and_both_compressors_share_it);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
