// SPDX-License-Identifier: GPL-2.0-or-later
/* test_zstd.c - levels, frames and dictionaries of the zstd backend. */
#include <errno.h>
#include <zdict.h>
#include <zstd.h>

#include "tests/zcomp/fixture.h"

static const uint32_t units[] = { 4096, 65536, 131072 };
static uint64_t seed;

static void round_trip(struct zcomp *comp, const uint8_t *data, size_t len, size_t *out_packed)
{
	struct zcomp_strm *strm = zcomp_stream_get(comp, ZSTRM_DEFAULT);
	uint8_t *back = malloc(len);
	size_t packed_len = 0, back_len = 0;

	ck_assert_int_eq(zcomp_compress(comp, strm, data, len, strm->buffer_size, &packed_len), 0);
	ck_assert_int_eq(
		zcomp_decompress(comp, strm, strm->buffer, packed_len, back, len, &back_len), 0);
	ck_assert_uint_eq(back_len, len);
	ck_assert_int_eq(memcmp(back, data, len), 0);
	zcomp_stream_put(comp, strm);
	free(back);
	if (out_packed)
		*out_packed = packed_len;
}

/* Sizes on both sides of where the library changes its parameters. */
static void try_level(int32_t level, uint32_t unit, const void *dict, size_t dict_size)
{
	const size_t sizes[] = { 1, 700, 4096, 8192, 16384, 16385, 40000, unit };
	struct zcomp_config config = config_of("zstd", unit);
	uint64_t random = seed;
	uint8_t *data = malloc(unit);
	struct zcomp *comp;

	config.level = level;
	config.nr_streams = 1;
	config.dict = dict;
	config.dict_size = dict_size;
	comp = must_create(&config);
	/* Twice: contexts that served another size before. */
	for (int round = 0; round < 2; round++) {
		fill_data(round ? DATA_MIXED : DATA_TEXT, data, unit, &random);
		for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
			if (sizes[i] <= unit)
				round_trip(comp, data, sizes[i], NULL);
		}
	}
	zcomp_destroy(comp);
	free(data);
}

static const int32_t odd_levels[] = { -131072, -131071, -1000, -100, -10, 0 };

static int32_t level_at(int idx)
{
	return (size_t)idx < ARRAY_SIZE(odd_levels) ? odd_levels[idx]
						    : idx - (int)ARRAY_SIZE(odd_levels) - 5;
}
#define NR_LEVELS ((int)ARRAY_SIZE(odd_levels) + 28)

START_TEST(test_every_level_works_without_allocating_for_every_unit)
{
	for (size_t i = 0; i < ARRAY_SIZE(units); i++)
		try_level(level_at(_i), units[i], NULL, 0);
}
END_TEST

START_TEST(test_every_level_works_with_a_dictionary)
{
	static const size_t dict_sizes[] = { 1, 8, 1000, 65536, 300000 };
	uint64_t random = seed + 1;
	uint8_t *dict = malloc(300000);

	fill_text(dict, 300000, &random);
	for (size_t i = 0; i < ARRAY_SIZE(dict_sizes); i++)
		try_level(level_at(_i), i % 2 ? 4096 : 65536, dict, dict_sizes[i]);
	free(dict);
}
END_TEST

START_TEST(test_range_of_levels_is_the_librarys)
{
	const struct zcomp_ops *ops = zcomp_find_ops("zstd");

	ck_assert_int_eq(ops->level_min, ZSTD_minCLevel());
	ck_assert_int_eq(ops->level_max, ZSTD_maxCLevel());
}
END_TEST

/* By the table itself: its range may be that of an older library than the one that is there. */
START_TEST(test_level_that_the_library_has_not_is_refused)
{
	const struct zcomp_ops *ops = zcomp_find_ops("zstd");
	const int32_t levels[] = { ZSTD_minCLevel() - 1, ZSTD_maxCLevel() + 1 };
	struct zcomp_caps caps = { .zstrm_mgmt = false };

	for (size_t i = 0; i < ARRAY_SIZE(levels); i++) {
		struct zcomp_params params = { .level = levels[i], .unit = 4096, .host = &zcomp_host };

		ck_assert_int_eq(ops->setup_params(&params, &caps), -EINVAL);
		ck_assert_ptr_null(params.drv_data);
	}
}
END_TEST

START_TEST(test_output_with_a_magic_number_before_it_is_a_standard_frame)
{
	static const uint8_t magic[] = { 0x28, 0xb5, 0x2f, 0xfd };
	struct zcomp_config config = config_of("zstd", 65536);
	struct zcomp *comp = must_create(&config);
	struct zcomp_strm *strm = zcomp_stream_get(comp, ZSTRM_DEFAULT);
	static uint8_t data[65536], back[65536], frame[4 + 131072];
	uint64_t random = seed;
	size_t len = 0;

	fill_text(data, sizeof(data), &random);
	ck_assert_int_eq(zcomp_compress(comp, strm, data, sizeof(data), strm->buffer_size, &len),
			 0);
	memcpy(frame, magic, sizeof(magic));
	memcpy(frame + sizeof(magic), strm->buffer, len);
	ck_assert_uint_eq(ZSTD_decompress(back, sizeof(back), frame, len + sizeof(magic)),
			  sizeof(back));
	ck_assert_int_eq(memcmp(back, data, sizeof(back)), 0);
	zcomp_stream_put(comp, strm);
	zcomp_destroy(comp);
}
END_TEST

START_TEST(test_bytes_after_the_frame_are_refused)
{
	struct zcomp_config config = config_of("zstd", 4096);
	struct zcomp *comp = must_create(&config);
	struct zcomp_strm *strm = zcomp_stream_get(comp, ZSTRM_DEFAULT);
	uint8_t data[4096], back[8192], packed[8200];
	uint64_t random = seed;
	size_t len = 0, out = 0;

	fill_text(data, sizeof(data), &random);
	ck_assert_int_eq(zcomp_compress(comp, strm, data, sizeof(data), strm->buffer_size, &len),
			 0);
	memset(packed, 0, sizeof(packed));
	memcpy(packed, strm->buffer, len);
	ck_assert_int_eq(zcomp_decompress(comp, strm, packed, len, back, sizeof(back), &out), 0);
	for (size_t more = 1; more < 8; more++)
		ck_assert_int_eq(
			zcomp_decompress(comp, strm, packed, len + more, back, sizeof(back), &out),
			-EBADMSG);
	memcpy(packed + len, packed, len < 4096 ? len : 0); /* nor is a second frame */
	ck_assert_int_eq(zcomp_decompress(comp, strm, packed, 2 * len, back, sizeof(back), &out),
			 -EBADMSG);
	zcomp_stream_put(comp, strm);
	zcomp_destroy(comp);
}
END_TEST

/* Small files of one family: what a dictionary is for. */
static void fill_record(uint8_t *dst, size_t len, uint64_t *random)
{
	char line[160];
	size_t at = 0;

	while (at < len) {
		int n = snprintf(
			line, sizeof(line),
			"{\"path\": \"/usr/share/doc/%u\", \"mode\": %u, \"owner\": \"root\", "
			"\"checksum\": \"%08x\"},\n",
			(unsigned)(zt_random(random) % 50), (unsigned)(zt_random(random) % 8),
			(unsigned)zt_random(random));
		size_t part = (size_t)n < len - at ? (size_t)n : len - at;

		memcpy(dst + at, line, part);
		at += part;
	}
}

START_TEST(test_trained_dictionary_shrinks_small_records)
{
	enum { RECORD = 600, NR_RECORDS = 500 };
	static uint8_t samples[RECORD * NR_RECORDS], dict[8192], record[RECORD];
	static size_t sizes[NR_RECORDS];
	struct zcomp_config config = config_of("zstd", 4096);
	uint64_t random = seed;
	size_t dict_size, without = 0, with = 0;
	struct zcomp *comp;

	for (size_t i = 0; i < NR_RECORDS; i++) {
		sizes[i] = RECORD;
		fill_record(samples + i * RECORD, RECORD, &random);
	}
	dict_size = ZDICT_trainFromBuffer(dict, sizeof(dict), samples, sizes, NR_RECORDS);
	ck_assert(!ZDICT_isError(dict_size));
	fill_record(record, RECORD, &random);
	comp = must_create(&config);
	round_trip(comp, record, RECORD, &without);
	zcomp_destroy(comp);
	config.dict = dict;
	config.dict_size = dict_size;
	comp = must_create(&config);
	round_trip(comp, record, RECORD, &with);
	zcomp_destroy(comp);
	ck_assert_msg(with < without * 3 / 4, "%zu with, %zu without", with, without);
}
END_TEST

/* What @comp, with a dictionary, makes of @data. */
static size_t pack(struct zcomp *comp, const uint8_t *data, size_t len, uint8_t *dst)
{
	struct zcomp_strm *strm = zcomp_stream_get(comp, ZSTRM_DEFAULT);
	size_t packed = 0;

	ck_assert_int_eq(zcomp_compress(comp, strm, data, len, strm->buffer_size, &packed), 0);
	memcpy(dst, strm->buffer, packed);
	zcomp_stream_put(comp, strm);
	return packed;
}

static int unpack(struct zcomp *comp, const uint8_t *src, size_t len, const uint8_t *data,
		  size_t data_len)
{
	struct zcomp_strm *strm = zcomp_stream_get(comp, ZSTRM_DEFAULT);
	uint8_t back[4096];
	size_t out = 0;
	int error = zcomp_decompress(comp, strm, src, len, back, sizeof(back), &out);

	zcomp_stream_put(comp, strm);
	return error ? error : out == data_len && memcmp(back, data, out) == 0 ? 0 : -EBADMSG;
}

START_TEST(test_decoders_of_several_dictionaries_share_the_streams_of_one)
{
	enum { NR_DICTS = 3, LEN = 3000 };
	static uint8_t dicts[NR_DICTS][16384], data[LEN], packed[NR_DICTS + 1][8192];
	struct zcomp_config config = config_of("zstd", 4096);
	struct zcomp *decoders[NR_DICTS + 1] = { NULL }, *comp;
	size_t lens[NR_DICTS + 1];
	uint64_t random = seed;

	fill_text(data, LEN, &random);
	config.nr_streams = 1;
	for (unsigned i = 0; i <= NR_DICTS; i++) {
		config.decode_only = false;
		config.lender = NULL;
		config.dict = i > 0 ? dicts[i - 1] : NULL;
		config.dict_size = i > 0 ? sizeof(dicts[0]) : 0;
		if (i > 0) {
			fill_text(dicts[i - 1], sizeof(dicts[0]), &random);
			/* Of different use, so that no other one decodes what was made with it. */
			memcpy(dicts[i - 1] + sizeof(dicts[0]) - (i + 1) * 500, data, 500);
		}
		comp = must_create(&config);
		lens[i] = pack(comp, data, LEN, packed[i]);
		zcomp_destroy(comp);
		config.decode_only = true;
		config.lender = decoders[0];
		decoders[i] = must_create(&config);
	}
	/* One stream in all: each takes it with what another has left in it. */
	for (unsigned round = 0; round < 20; round++) {
		const unsigned i = (unsigned)(zt_random(&random) % (NR_DICTS + 1));
		const unsigned other = (i + 1) % (NR_DICTS + 1);

		ck_assert_int_eq(unpack(decoders[i], packed[i], lens[i], data, LEN), 0);
		if (i > 0)
			ck_assert_int_eq(unpack(decoders[other], packed[i], lens[i], data, LEN),
					 -EBADMSG);
	}
	ck_assert_ptr_eq(decoders[1]->threads, decoders[0]->threads);
	ck_assert_uint_lt(zcomp_memory(decoders[1]), zcomp_memory(decoders[0]) / 2);
	for (unsigned i = NR_DICTS + 1; i-- > 0;)
		zcomp_destroy(decoders[i]);
}
END_TEST

START_TEST(test_streams_are_borrowed_only_where_they_fit)
{
	struct zcomp_config config = config_of("zstd", 4096), larger = config_of("zstd", 65536);
	struct zcomp_config other = config_of("lz4", 4096);
	struct zcomp *lender, *own;
	struct zcomp_config *const configs[] = { &config, &larger, &other };

	config.decode_only = true;
	lender = must_create(&config);
	config.decode_only = false; /* compresses */
	larger.decode_only = true; /* its unit is larger */
	other.decode_only = true; /* another algorithm */
	for (size_t i = 0; i < ARRAY_SIZE(configs); i++) {
		configs[i]->lender = lender;
		own = must_create(configs[i]);
		ck_assert_ptr_ne(own->threads, lender->threads);
		zcomp_destroy(own);
	}
	zcomp_destroy(lender);
}
END_TEST

START_TEST(test_damaged_dictionary_is_refused_with_a_sentence)
{
	static const uint8_t broken[64] = { 0x37, 0xa4, 0x30, 0xec, 1, 2, 3, 4, 0xff, 0xff, 0xff };
	struct zcomp_config config = config_of("zstd", 4096);
	char text[ZCOMP_ERROR_TEXT] = "";
	struct zcomp *comp = NULL;

	config.dict = broken;
	config.dict_size = sizeof(broken);
	ck_assert_int_eq(zcomp_create(&config, text, &comp), -EINVAL);
	ck_assert_ptr_null(comp);
	ck_assert_ptr_nonnull(strstr(text, "dictionary"));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("zstd");
	TCase *tc = tcase_create("zstd");

	seed = zt_seed();
	tcase_set_timeout(tc, 30);
	tcase_add_loop_test(tc, test_every_level_works_without_allocating_for_every_unit, 0,
			    NR_LEVELS);
	tcase_add_loop_test(tc, test_every_level_works_with_a_dictionary, 0, NR_LEVELS);
	tcase_add_test(tc, test_range_of_levels_is_the_librarys);
	tcase_add_test(tc, test_level_that_the_library_has_not_is_refused);
	tcase_add_test(tc, test_output_with_a_magic_number_before_it_is_a_standard_frame);
	tcase_add_test(tc, test_bytes_after_the_frame_are_refused);
	tcase_add_test(tc, test_trained_dictionary_shrinks_small_records);
	tcase_add_test(tc, test_decoders_of_several_dictionaries_share_the_streams_of_one);
	tcase_add_test(tc, test_streams_are_borrowed_only_where_they_fit);
	tcase_add_test(tc, test_damaged_dictionary_is_refused_with_a_sentence);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
