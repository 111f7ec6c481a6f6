/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * seal.h - the bytes of objects that are out, encrypted and authenticated: XChaCha20-Poly1305.
 *
 * What decides stands in memory: the key, and in each object's entry its nonce and tag. So bytes of
 * the file that were changed, exchanged, or put back as they once were are found.
 *
 * A nonce is used once with a key: whoever seals counts.
 *
 * Locks: none; any thread.
 */
#ifndef ZT_BLKMAP_SPILL_SEAL_H
#define ZT_BLKMAP_SPILL_SEAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "blkmap/spill/spill.h" /* of the mount's key, and of spill_can_encrypt() */
#include "util/compiler.h"

#define SEAL_TAG_SIZE 16u

/* What goes with the bytes: an entry's bytes fit no other. */
struct seal_about {
	uint32_t id, unit, size, mask; /* as in struct spill_object */
};

/**
 * seal_start() - before the first of the others; may be called again
 * Return: 0; -EOPNOTSUPP this build has no library; -EIO the library cannot be used.
 */
int seal_start(void) ZT_MUST_CHECK;

/** seal_close() - encrypt @size bytes where they are. @nonce: never used before with @key. */
void seal_close(const uint8_t *key, uint64_t nonce, const struct seal_about *about, void *bytes,
		uint8_t out_tag[SEAL_TAG_SIZE]);

/** seal_open() - decrypt them where they are. Return: 0; -EBADMSG: they are not what was sealed. */
int seal_open(const uint8_t *key, uint64_t nonce, const struct seal_about *about, void *bytes,
	      const uint8_t tag[SEAL_TAG_SIZE]) ZT_MUST_CHECK;

#endif
