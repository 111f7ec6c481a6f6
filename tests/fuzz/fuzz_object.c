// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * fuzz_object.c - decoders on bytes that no encoder made, and every encoder's output decoded again. The first byte
 * says which algorithm and what is asked of it.
 */
#include "tests/fuzz/fuzz.h"
#include "zcomp/zcomp.h"

#define UNIT 65536u

static const char *const names[] = { "lz4", "lz4hc", "zstd", "null" };
#define NR_NAMES (sizeof(names) / sizeof(names[0]))

/* With a dictionary in the second row. */
static struct zcomp *comps[2][NR_NAMES];
static char dict[4096];

static struct zcomp *comp_of(unsigned with_dict, unsigned nr)
{
	struct zcomp_config config = { .name = names[nr],
				       .level = ZCOMP_LEVEL_DEFAULT,
				       .unit = UNIT,
				       .nr_streams = 1 };
	char text[ZCOMP_ERROR_TEXT];

	if (with_dict && nr < NR_NAMES - 1) {
		for (size_t i = 0; i < sizeof(dict); i++)
			dict[i] = "a dictionary of words that repeat, "[(i + i / 700) % 35];
		config.dict = dict;
		config.dict_size = sizeof(dict);
	}
	if (!comps[with_dict][nr])
		FUZZ_EXPECT(zcomp_create(&config, text, &comps[with_dict][nr]) == 0, text);
	return comps[with_dict][nr];
}

/* @cap bytes at most, into memory of exactly that size; @want of them when it is not 0. */
static void decode(struct zcomp *comp, const struct fuzz_input *in, size_t cap, size_t want)
{
	struct zcomp_strm *strm = zcomp_stream_get(comp, ZSTRM_DEFAULT);
	char *src = malloc(in->left), *dst = malloc(cap);
	size_t len = 0;
	int err;

	FUZZ_EXPECT(src && dst, "no memory");
	memcpy(src, in->data, in->left);
	err = want ? zcomp_decompress_head(comp, strm, src, in->left, dst, cap, want, &len)
		   : zcomp_decompress(comp, strm, src, in->left, dst, cap, &len);
	FUZZ_EXPECT(err != 0 || len <= cap, "more than there is space for");
	zcomp_stream_put(comp, strm);
	free(src);
	free(dst);
}

static void there_and_back(struct zcomp *comp, const struct fuzz_input *in)
{
	struct zcomp_strm *strm = zcomp_stream_get(comp, ZSTRM_DEFAULT);
	size_t len = 0, back_len = 0;
	char *made, *back = malloc(in->left);
	int err = zcomp_compress(comp, strm, in->data, in->left, 2 * UNIT, &len);

	FUZZ_EXPECT(back, "no memory");
	if (err == 0) {
		made = malloc(len);
		FUZZ_EXPECT(made, "no memory");
		memcpy(made, strm->buffer, len);
		FUZZ_EXPECT(zcomp_decompress(comp, strm, made, len, back, in->left, &back_len) == 0,
			    "what was encoded is not decoded");
		FUZZ_EXPECT(back_len == in->left && memcmp(back, in->data, back_len) == 0,
			    "other bytes come back");
		free(made);
	}
	zcomp_stream_put(comp, strm);
	free(back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	const uint8_t how = fuzz_byte(&in);
	const size_t cap = 1 + ((size_t)fuzz_byte(&in) << 8 | fuzz_byte(&in));
	struct zcomp *comp = comp_of(how >> 2 & 1, how % NR_NAMES);

	if (in.left == 0 || in.left > UNIT)
		return 0;
	switch (how >> 3 & 3) {
	case 0:
		there_and_back(comp, &in);
		break;
	case 1:
		decode(comp, &in, cap, 1 + cap / 16);
		break;
	default:
		decode(comp, &in, cap, 0);
	}
	return 0;
}
