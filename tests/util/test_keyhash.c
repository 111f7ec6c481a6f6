// SPDX-License-Identifier: GPL-2.0-or-later
/* test_keyhash.c - the hash of names: SipHash-1-3, keyed. */
#include "util/keyhash.h"
#include "tests/lib/zt_check.h"

#include <string.h>

/* A plain transcription of the algorithm's paper, byte by byte, to hold the real one against. */
static uint64_t reference(const struct keyhash_key *key, const unsigned char *in, size_t len)
{
	uint64_t v[4] = { key->k0 ^ 0x736f6d6570736575, key->k1 ^ 0x646f72616e646f6d,
			  key->k0 ^ 0x6c7967656e657261, key->k1 ^ 0x7465646279746573 };
	size_t nr_words = len / 8 + 1;

	for (size_t w = 0; w < nr_words + 3; w++) {
		uint64_t word = 0;

		for (size_t i = 0; i < 8 && w < nr_words; i++)
			if (w * 8 + i < len)
				word |= (uint64_t)in[w * 8 + i] << 8 * i;
		if (w == nr_words - 1)
			word |= (uint64_t)len << 56;
		if (w == nr_words)
			v[2] ^= 0xff;
		v[3] ^= word;
		v[0] += v[1], v[1] = v[1] << 13 | v[1] >> 51, v[1] ^= v[0],
			      v[0] = v[0] << 32 | v[0] >> 32;
		v[2] += v[3], v[3] = v[3] << 16 | v[3] >> 48, v[3] ^= v[2];
		v[0] += v[3], v[3] = v[3] << 21 | v[3] >> 43, v[3] ^= v[0];
		v[2] += v[1], v[1] = v[1] << 17 | v[1] >> 47, v[1] ^= v[2],
			      v[2] = v[2] << 32 | v[2] >> 32;
		v[0] ^= word;
	}
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

START_TEST(test_hash_is_siphash_for_every_length)
{
	const struct keyhash_key key = { UINT64_C(0x0706050403020100),
					  UINT64_C(0x0f0e0d0c0b0a0908) };
	unsigned char name[255];

	for (size_t i = 0; i < sizeof(name); i++)
		name[i] = (unsigned char)i;
	for (size_t len = 0; len <= sizeof(name); len++)
		ck_assert_uint_eq(keyhash(&key, name, len), reference(&key, name, len));
	/* The published first value of SipHash-1-3 for this key: the empty input. */
	ck_assert_uint_eq(keyhash(&key, name, 0), UINT64_C(0xabac0158050fc4dc));
}
END_TEST

START_TEST(test_keys_differ_and_change_the_hash)
{
	struct keyhash_key a, b;

	ck_assert_int_eq(keyhash_key_init(&a), 0);
	ck_assert_int_eq(keyhash_key_init(&b), 0);
	ck_assert_int_ne(memcmp(&a, &b, sizeof(a)), 0);
	ck_assert_uint_ne(keyhash(&a, "name", 4), keyhash(&b, "name", 4));
	ck_assert_uint_ne(keyhash_word(&a, 4), keyhash_word(&b, 4));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("keyhash");
	TCase *tc = tcase_create("keyhash");

	tcase_add_test(tc, test_hash_is_siphash_for_every_length);
	tcase_add_test(tc, test_keys_differ_and_change_the_hash);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
