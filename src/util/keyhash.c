// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * keyhash.c - hashes under a secret key: SipHash-1-3 by Aumasson and Bernstein. See keyhash.h.
 */
#include "util/keyhash.h"

#include <endian.h>
#include <errno.h>
#include <string.h>
#include <sys/random.h>

int keyhash_key_init(struct keyhash_key *key)
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

uint64_t keyhash(const struct keyhash_key *key, const void *name, size_t len)
{
	struct sip_state s = sip_begin(key);
	const unsigned char *at = name;
	uint64_t word;
	size_t left;

	for (left = len; left >= 8; left -= 8, at += 8) {
		memcpy(&word, at, 8);
		sip_word(&s, le64toh(word));
	}
	word = 0;
	memcpy(&word, at, left);
	/* The length takes the last byte, which is free. */
	sip_word(&s, le64toh(word) | (uint64_t)len << 56);
	return sip_end(&s);
}
