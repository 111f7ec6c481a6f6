/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * namehash.h - hash of a file name under a secret key.
 *
 * SipHash with one round a word and three at the end: users choose names, so without a keyed hash
 * they could choose thousands that collide and make every lookup in a directory slow.
 */
#ifndef ZT_FS_NAMEHASH_H
#define ZT_FS_NAMEHASH_H

#include <stddef.h>
#include <stdint.h>

#include "util/compiler.h"

struct namehash_key {
	uint64_t k0, k1;
};

/** namehash_key_init() - a random key. Return: 0 or what getrandom() says. */
int namehash_key_init(struct namehash_key *key) ZT_MUST_CHECK;

/** namehash() - SipHash-1-3 of @len bytes */
uint64_t namehash(const struct namehash_key *key, const void *name, size_t len);

#endif
