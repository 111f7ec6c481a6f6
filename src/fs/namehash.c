// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * namehash.c - hash of a file name under a secret key: SipHash-1-3 by Aumasson and Bernstein.
 */
#include "fs/namehash.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

struct sip_state {
	uint64_t v0, v1, v2, v3;
};

static inline uint64_t rotl64(uint64_t x, unsigned bits)
{
	return x << bits | x >> (64 - bits);
}

static inline void sip_round(struct sip_state *s)
{
	s->v0 += s->v1;
	s->v2 += s->v3;
	s->v1 = rotl64(s->v1, 13) ^ s->v0;
	s->v3 = rotl64(s->v3, 16) ^ s->v2;
	s->v0 = rotl64(s->v0, 32);
	s->v2 += s->v1;
	s->v0 += s->v3;
	s->v1 = rotl64(s->v1, 17) ^ s->v2;
	s->v3 = rotl64(s->v3, 21) ^ s->v0;
	s->v2 = rotl64(s->v2, 32);
}

static inline void sip_word(struct sip_state *s, uint64_t word)
{
	s->v3 ^= word;
	sip_round(s);
	s->v0 ^= word;
}

int namehash_key_init(struct namehash_key *key)
{
	ssize_t got;

	do {
		got = getrandom(key, sizeof(*key), 0);
	} while (got < 0 && errno == EINTR);
	if (got < 0)
		return -errno;
	/* Requests of up to 256 bytes are never cut short. */
	return got == (ssize_t)sizeof(*key) ? 0 : -EIO;
}

uint64_t namehash(const struct namehash_key *key, const void *name, size_t len)
{
	struct sip_state s = {
		.v0 = key->k0 ^ UINT64_C(0x736f6d6570736575),
		.v1 = key->k1 ^ UINT64_C(0x646f72616e646f6d),
		.v2 = key->k0 ^ UINT64_C(0x6c7967656e657261),
		.v3 = key->k1 ^ UINT64_C(0x7465646279746573),
	};
	const unsigned char *at = name;
	uint64_t word;
	size_t left;

	for (left = len; left >= 8; left -= 8, at += 8) {
		memcpy(&word, at, 8);
		sip_word(&s, word);
	}
	word = 0;
	memcpy(&word, at, left);
	sip_word(&s, word | (uint64_t)len << 56);
	s.v2 ^= 0xff;
	sip_round(&s);
	sip_round(&s);
	sip_round(&s);
	return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}
