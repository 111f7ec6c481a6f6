// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_auto.c - what is little is Zstandard's, the rest LZ4's, and each object says whose it is. Tests
 * auto.c and words.c.
 */
#include <errno.h>

#include "tests/zcomp/fixture.h"
#include "util/alloc.h"
#include "util/keyhash.h"
#include "zcomp/dict.h"

#define UNIT 65536u

static struct zcomp *all, *lz4, *zstd;
static uint8_t data[UNIT], packed[2 * UNIT], other[2 * UNIT], back[UNIT];

static struct zcomp *start(const char *name)
{
	const struct zcomp_config config = config_of(name, UNIT);

	return must_create(&config);
}

static void setup(void)
{
	all = start("auto");
	lz4 = start("lz4");
	zstd = start("zstd");
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)"etaoin shrdlucmf"[(i * i / 7 + i / 300) % 16];
}

static void teardown(void)
{
	zcomp_destroy(all);
	zcomp_destroy(lz4);
	zcomp_destroy(zstd);
}

static size_t squeeze(struct zcomp *comp, size_t len, uint8_t *out)
{
	struct zcomp_strm *strm = zcomp_stream_get(comp, ZSTRM_DEFAULT);
	size_t out_len = 0;

	ck_assert_int_eq(zcomp_compress(comp, strm, data, len, strm->buffer_size, &out_len), 0);
	memcpy(out, strm->buffer, out_len);
	zcomp_stream_put(comp, strm);
	return out_len;
}

/* Return: error; what came out is at back. */
static int expand(struct zcomp *comp, size_t packed_len, size_t cap, size_t want, size_t *out_len)
{
	struct zcomp_strm *strm = zcomp_stream_get(comp, ZSTRM_DEFAULT);
	int error = zcomp_decompress_head(comp, strm, packed, packed_len, back, cap, want, out_len);

	zcomp_stream_put(comp, strm);
	return error;
}

/* The other's decoder takes it, and its own is as long as the other's. */
static void check_is_made_by(struct zcomp *comp, size_t len)
{
	const size_t size = squeeze(all, len, packed);
	size_t out_len = 0;

	ck_assert_msg((packed[0] == 0) == (comp == zstd), "%zu bytes begin with %u", len, packed[0]);
	ck_assert_int_eq(expand(comp, size, len, len, &out_len), 0);
	ck_assert_uint_eq(out_len, len);
	ck_assert_int_eq(memcmp(back, data, len), 0);
	ck_assert_int_eq(expand(all, size, len, len, &out_len), 0);
	ck_assert_uint_eq(out_len, len);
	ck_assert_int_eq(memcmp(back, data, len), 0);
}

START_TEST(test_small_files_and_ends_are_zstds_and_whole_pages_are_lz4s)
{
	static const size_t little[] = { 1, 13, 300, 900, 4095, 4097, 8191 };
	static const size_t rest[] = { 4096, 8192, 8193, 12287, 16384, UNIT - 1, UNIT };

	for (size_t i = 0; i < ARRAY_SIZE(little); i++)
		check_is_made_by(zstd, little[i]);
	for (size_t i = 0; i < ARRAY_SIZE(rest); i++)
		check_is_made_by(lz4, rest[i]);
}
END_TEST

START_TEST(test_small_files_take_less_than_with_lz4)
{
	ck_assert_uint_lt(squeeze(all, 900, packed), squeeze(lz4, 900, other));
	ck_assert_uint_eq(squeeze(all, UNIT, packed), squeeze(lz4, UNIT, other));
	ck_assert_int_eq(memcmp(packed, other, squeeze(lz4, UNIT, other)), 0);
}
END_TEST

/* Whatever the data begin with. */
START_TEST(test_no_block_of_lz4_begins_as_a_frame)
{
	uint64_t seed = zt_seed();

	for (unsigned i = 0; i < 4000; i++) {
		const size_t len = 8193 + zt_random(&seed) % (UNIT - 8193);
		const unsigned kinds = 1 + (unsigned)(zt_random(&seed) % 4);

		for (size_t at = 0; at < 64; at++)
			data[at] = (uint8_t)(i / 16 * (zt_random(&seed) % kinds));
		if (len % 4096 == 0)
			continue;
		(void)squeeze(all, len, packed);
		ck_assert_uint_ge(packed[0], 0x10);
	}
}
END_TEST

START_TEST(test_the_beginning_alone_comes_from_both)
{
	static const size_t sizes[] = { 900, 4095, 8191, UNIT };
	size_t out_len;

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		const size_t size = squeeze(all, sizes[i], packed);

		memset(back, 0xee, sizeof(back));
		ck_assert_int_eq(expand(all, size, UNIT, 100, &out_len), 0);
		ck_assert_uint_ge(out_len, 100);
		ck_assert_int_eq(memcmp(back, data, 100), 0);
		/* Nothing behind what was said. */
		ck_assert(out_len == sizeof(back) || back[out_len] == 0xee);
	}
}
END_TEST

START_TEST(test_damage_is_refused_whosever_it_is)
{
	size_t size = squeeze(all, 900, packed), out_len;

	ck_assert_int_eq(expand(all, size - 1, 900, 900, &out_len), -EBADMSG);
	ck_assert_int_eq(expand(all, size - 1, UNIT, 100, &out_len), -EBADMSG);
	ck_assert_int_eq(expand(all, size, 899, 899, &out_len), -EBADMSG);
	packed[0] = 0xf0;
	ck_assert_int_eq(expand(all, 1, 900, 900, &out_len), -EBADMSG);
	packed[0] = 0;
	ck_assert_int_eq(expand(all, 1, 900, 900, &out_len), -EBADMSG);
}
END_TEST

/* Mounts and images need the very bytes that they were made with. */
START_TEST(test_the_built_in_dictionary_is_what_it_was)
{
	const struct keyhash_key key = { .k0 = 1, .k1 = 2 };
	size_t size;
	const void *words = zcomp_dict_words(&size);

	ck_assert_uint_eq(size, 17006);
	ck_assert_uint_eq(keyhash(&key, words, size), UINT64_C(7300315529408623198));
}
END_TEST

static struct zcomp *start_with_words(void)
{
	struct zcomp_config config = config_of("auto", UNIT);

	config.dict = zcomp_dict_words(&config.dict_size);
	return must_create(&config);
}

/* Of no file that the dictionary was made of. */
static const char letter[] =
	"#!/bin/sh\n# Copyright (C) 2031 Nobody\n# This program is free software; you can redistribute "
	"it and/or modify\n# it under the terms of the GNU General Public License as published by\n"
	"# the Free Software Foundation\nset -e\nif [ -z \"$1\" ]; then\n    echo \"usage: $0 name\" "
	">&2\n    exit 1\nfi\nfor file in \"$1\"/*; do\n    echo \"$file\"\ndone\n";

START_TEST(test_a_dictionary_is_for_what_is_little_alone)
{
	struct zcomp *with = start_with_words();
	size_t size, out_len;

	memcpy(data, letter, sizeof(letter) - 1);
	size = squeeze(with, sizeof(letter) - 1, packed);
	ck_assert_uint_lt(size * 10, squeeze(all, sizeof(letter) - 1, other) * 7);
	ck_assert_uint_eq(packed[0], 0);
	ck_assert_int_eq(expand(with, size, UNIT, UNIT, &out_len), 0);
	ck_assert_uint_eq(out_len, sizeof(letter) - 1);
	ck_assert_int_eq(memcmp(back, letter, out_len), 0);
	for (size_t len = 1; len < 8192; len += len / 3 + 1) {
		size = squeeze(with, len, packed);
		ck_assert_int_eq(expand(with, size, len, len, &out_len), 0);
		ck_assert_uint_eq(out_len, len);
		ck_assert_int_eq(memcmp(back, data, len), 0);
	}
	ck_assert_uint_eq(squeeze(with, UNIT, packed), squeeze(all, UNIT, other));
	ck_assert_int_eq(memcmp(packed, other, squeeze(all, UNIT, other)), 0);
	zcomp_destroy(with);
}
END_TEST

START_TEST(test_no_memory_leaves_nothing_behind)
{
	struct zcomp_config config = config_of("auto", UNIT);
	char text[ZCOMP_ERROR_TEXT];
	struct zcomp *comp = NULL;
	int error = -ENOMEM;
	long n;

	config.dict = zcomp_dict_words(&config.dict_size);
	for (n = 1; error && n < 200; n++) {
		zt_fault_set(n);
		error = zcomp_create(&config, text, &comp);
		zt_fault_set(0);
		ck_assert(!error || error == -ENOMEM);
	}
	ck_assert_int_eq(error, 0);
	ck_assert_int_gt(n, 5);
	zcomp_destroy(comp);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("auto");
	TCase *tcase = tcase_create("auto");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, test_small_files_and_ends_are_zstds_and_whole_pages_are_lz4s);
	tcase_add_test(tcase, test_small_files_take_less_than_with_lz4);
	tcase_add_test(tcase, test_no_block_of_lz4_begins_as_a_frame);
	tcase_add_test(tcase, test_the_beginning_alone_comes_from_both);
	tcase_add_test(tcase, test_damage_is_refused_whosever_it_is);
	tcase_add_test(tcase, test_the_built_in_dictionary_is_what_it_was);
	tcase_add_test(tcase, test_a_dictionary_is_for_what_is_little_alone);
	tcase_add_test(tcase, test_no_memory_leaves_nothing_behind);
	suite_add_tcase(suite, tcase);
	return zt_check_main(suite);
}
