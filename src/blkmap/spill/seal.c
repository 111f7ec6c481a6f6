// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * seal.c - objects are encrypted on their way out, by libsodium. See seal.h.
 *
 * Locks: none.
 */
#include "blkmap/spill/seal.h"

#include <assert.h>
#include <errno.h>

#ifndef HAVE_LIBSODIUM

bool spill_can_encrypt(void)
{
	return false;
}

int seal_start(void)
{
	return -EOPNOTSUPP;
}

void seal_close(const uint8_t *key, uint64_t nonce, const struct seal_about *about, void *bytes,
		uint8_t out_tag[SEAL_TAG_SIZE])
{
	/* Never called: there is no key without seal_start(). */
	(void)key, (void)nonce, (void)about, (void)bytes, (void)out_tag;
	ZT_ASSERT(false);
}

int seal_open(const uint8_t *key, uint64_t nonce, const struct seal_about *about, void *bytes,
	      const uint8_t tag[SEAL_TAG_SIZE])
{
	(void)key, (void)nonce, (void)about, (void)bytes, (void)tag;
	return -EBADMSG;
}

#else

#include <sodium.h>
#include <string.h>

static_assert(SPILL_KEY_SIZE == crypto_aead_xchacha20poly1305_ietf_KEYBYTES, "the algorithm's");
static_assert(SEAL_TAG_SIZE == crypto_aead_xchacha20poly1305_ietf_ABYTES, "the algorithm's");
#define NONCE_SIZE crypto_aead_xchacha20poly1305_ietf_NPUBBYTES

bool spill_can_encrypt(void)
{
	return true;
}

int seal_start(void)
{
	return sodium_init() < 0 ? -EIO : 0;
}

/* The rest is 0: a key lives as long as its mount, which counts. */
static void make_nonce(uint64_t nonce, uint8_t out[NONCE_SIZE])
{
	memset(out, 0, NONCE_SIZE);
	memcpy(out, &nonce, sizeof(nonce));
}

void seal_close(const uint8_t *key, uint64_t nonce, const struct seal_about *about, void *bytes,
		uint8_t out_tag[SEAL_TAG_SIZE])
{
	uint8_t text[NONCE_SIZE];

	make_nonce(nonce, text);
	/* It cannot fail. */
	(void)crypto_aead_xchacha20poly1305_ietf_encrypt_detached(
		bytes, out_tag, NULL, bytes, about->size, (const uint8_t *)about, sizeof(*about),
		NULL, text, key);
}

int seal_open(const uint8_t *key, uint64_t nonce, const struct seal_about *about, void *bytes,
	      const uint8_t tag[SEAL_TAG_SIZE])
{
	uint8_t text[NONCE_SIZE];

	make_nonce(nonce, text);
	return crypto_aead_xchacha20poly1305_ietf_decrypt_detached(
		       bytes, NULL, bytes, about->size, tag, (const uint8_t *)about,
		       sizeof(*about), text, key) == 0 ?
		       0 :
		       -EBADMSG;
}

#endif
