/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * keyhash.h - hashes under a secret key: of names, and of the words that choose a lock.
 *
 * SipHash with one round a word and three at the end. Users choose names, inode numbers and the
 * places of slots: with a hash that they can compute they could choose thousands that collide, and
 * make every lookup in a directory slow, or wait on purpose for the lock of somebody else's file.
 */
#ifndef ZT_UTIL_KEYHASH_H
#define ZT_UTIL_KEYHASH_H

#include <stddef.h>
#include <stdint.h>

#include "util/compiler.h"

struct keyhash_key {
	uint64_t k0, k1;
};

/** keyhash_key_init() - a random key. Return: 0 or what getrandom() says. */
int keyhash_key_init(struct keyhash_key *key) ZT_MUST_CHECK;

/** keyhash() - SipHash-1-3 of @len bytes */
uint64_t keyhash(const struct keyhash_key *key, const void *name, size_t len);

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

static inline struct sip_state sip_begin(const struct keyhash_key *key)
{
	return (struct sip_state){
		.v0 = key->k0 ^ UINT64_C(0x736f6d6570736575),
		.v1 = key->k1 ^ UINT64_C(0x646f72616e646f6d),
		.v2 = key->k0 ^ UINT64_C(0x6c7967656e657261),
		.v3 = key->k1 ^ UINT64_C(0x7465646279746573),
	};
}

static inline void sip_word(struct sip_state *s, uint64_t word)
{
	s->v3 ^= word;
	sip_round(s);
	s->v0 ^= word;
}

static inline uint64_t sip_end(struct sip_state *s)
{
	s->v2 ^= 0xff;
	sip_round(s);
	sip_round(s);
	sip_round(s);
	return s->v0 ^ s->v1 ^ s->v2 ^ s->v3;
}

/**
 * keyhash_word() - the same for one word; not what keyhash() gives for its bytes, since the length
 * is known and takes no round
 */
static inline uint64_t keyhash_word(const struct keyhash_key *key, uint64_t word)
{
	struct sip_state s = sip_begin(key);

	sip_word(&s, word);
	return sip_end(&s);
}

#endif
