// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * fuzz_codec.c - one decoder on bytes that no encoder made, damaged ones above all: of a module that was built
 * apart, or of an algorithm that is built in.
 *
 * ZT_FUZZ_CODEC is its name or its path; "lz4" otherwise. The first byte says how much space there is, and whether
 * a valid object is damaged, or the bytes are taken as they are. Each input is decoded DECODINGS times, every time
 * with one byte more changed: what the fuzzer itself costs is then little beside the decoders.
 */
#include "tests/fuzz/fuzz.h"
#include "zcomp/zcomp.h"

#define UNIT 4096u
#define DECODINGS 16u

static struct zcomp *comp;
/* Objects of data of four kinds, to be damaged. */
static char objects[4][2 * UNIT];
static size_t object_sizes[4];

static void fill(char *data, unsigned kind)
{
	uint32_t random = 12345;

	for (unsigned i = 0; i < UNIT; i++) {
		random = random * 1664525 + 1013904223;
		if (kind == 0)
			data[i] = "words that come again "[i % 22];
		else if (kind == 1)
			data[i] = (char)(random >> 24 & 15);
		else if (kind == 2)
			data[i] = (char)(i % 64 < 32 ? random >> 24 : i / 64);
		else
			data[i] = (char)(i >> 5);
	}
}

/* A module may keep what it allocated where a leak checker does not look. */
static void end(void)
{
	zcomp_destroy(comp);
}

static void start(void)
{
	const char *name = getenv("ZT_FUZZ_CODEC");
	const struct zcomp_config config = { .name = name ? name : "lz4",
					     .level = ZCOMP_LEVEL_DEFAULT,
					     .unit = UNIT,
					     .nr_streams = 1 };
	char text[ZCOMP_ERROR_TEXT], data[UNIT];
	struct zcomp_strm *strm;

	FUZZ_EXPECT(zcomp_create(&config, text, &comp) == 0, text);
	FUZZ_EXPECT(atexit(end) == 0, "no memory");
	strm = zcomp_stream_get(comp, ZSTRM_DEFAULT);
	for (unsigned kind = 0; kind < 4; kind++) {
		fill(data, kind);
		FUZZ_EXPECT(zcomp_compress(comp, strm, data, UNIT, 2 * UNIT, &object_sizes[kind]) == 0,
			    "nothing is compressed");
		memcpy(objects[kind], strm->buffer, object_sizes[kind]);
	}
	zcomp_stream_put(comp, strm);
}

/* An object with some bytes changed, cut or repeated, as the input has it. Return: its length. */
static size_t damage(struct fuzz_input *in, unsigned kind, char *out)
{
	size_t len = object_sizes[kind];

	memcpy(out, objects[kind], len);
	while (in->left >= 3) {
		const size_t at = ((size_t)fuzz_byte(in) << 8 | fuzz_byte(in)) % len;
		const uint8_t how = fuzz_byte(in);

		if (how < 8 && at > 0)
			len = at;
		else if (how < 16)
			memmove(out + at, out, len - at);
		else
			out[at] = (char)(out[at] ^ how);
	}
	return len;
}

/* From and to memory of exactly the size, so that what is touched beside it is seen. */
static void decode(const char *bytes, size_t src_len, size_t cap)
{
	struct zcomp_strm *strm = zcomp_stream_get(comp, ZSTRM_DEFAULT);
	char *src = malloc(src_len), *dst = malloc(cap);
	size_t len = 0;
	int error;

	FUZZ_EXPECT(src && dst, "no memory");
	memcpy(src, bytes, src_len);
	error = zcomp_decompress(comp, strm, src, src_len, dst, cap, &len);
	FUZZ_EXPECT(error || len <= cap, "more than there is space for");
	zcomp_stream_put(comp, strm);
	free(src);
	free(dst);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	const uint8_t how = fuzz_byte(&in);
	const size_t cap = how & 1 ? UNIT : 1 + (size_t)(how >> 4) * 255;
	char bytes[2 * UNIT];
	size_t src_len = in.left;
	uint32_t random = 1;

	if (!comp)
		start();
	if (src_len == 0 || src_len > sizeof(bytes))
		return 0;
	if (how & 2)
		memcpy(bytes, in.data, src_len);
	else
		src_len = damage(&in, how >> 2 & 3, bytes);
	for (size_t i = 0; i < size; i++)
		random = random * 1664525 + data[i] + 1013904223;
	for (unsigned i = 0; i < DECODINGS; i++) {
		decode(bytes, src_len, cap);
		random = random * 1664525 + 1013904223;
		bytes[(random >> 8) % src_len] = (char)(bytes[(random >> 8) % src_len] ^ (char)(random >> 24));
	}
	return 0;
}
