// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * fuzz_dict.c - dictionaries that nobody has trained, and tables of modules that nobody has compiled. A dictionary is
 * refused in a sentence, or what is encoded with it is decoded again; a table is refused in a sentence, or it is the
 * one that this core knows, member by member.
 *
 * The first byte says which; of a dictionary the second one says the algorithm, and the next two its length.
 */
#include "tests/fuzz/fuzz.h"
#include "zcomp/module.h"
#include "zcomp/zcomp.h"

#define UNIT 4096u

static const char *const names[] = { "lz4", "lz4hc", "zstd" };

static void there_and_back(struct zcomp *comp, const uint8_t *data, size_t size)
{
	struct zcomp_strm *strm = zcomp_stream_get(comp, ZSTRM_DEFAULT);
	char made[2 * UNIT], back[UNIT];
	size_t len = 0, back_len = 0;

	if (zcomp_compress(comp, strm, data, size, sizeof(made), &len) == 0) {
		memcpy(made, strm->buffer, len);
		FUZZ_EXPECT(zcomp_decompress(comp, strm, made, len, back, size, &back_len) == 0, "what was encoded is not decoded");
		FUZZ_EXPECT(back_len == size && memcmp(back, data, size) == 0, "other bytes come back");
	}
	zcomp_stream_put(comp, strm);
}

static void try_dict(struct fuzz_input *in)
{
	const char *name = names[fuzz_byte(in) % (sizeof(names) / sizeof(names[0]))];
	size_t len = (size_t)fuzz_byte(in) << 8 | fuzz_byte(in), rest;
	struct zcomp_config config = { .name = name, .level = ZCOMP_LEVEL_DEFAULT, .unit = UNIT, .nr_streams = 1 };
	char text[ZCOMP_ERROR_TEXT] = "";
	struct zcomp *comp;
	char *dict;

	len = len < in->left ? len : in->left;
	if (len == 0)
		return;
	dict = malloc(len); /* of exactly its size */
	FUZZ_EXPECT(dict, "no memory");
	fuzz_bytes(in, dict, len);
	config.dict = dict;
	config.dict_size = len;
	rest = in->left < UNIT ? in->left : UNIT;
	if (zcomp_create(&config, text, &comp) != 0) {
		FUZZ_EXPECT(text[0] != '\0' && !strchr(text, '\n'), "refused without a sentence");
	} else {
		if (rest > 0)
			there_and_back(comp, in->data, rest);
		there_and_back(comp, (const uint8_t *)dict, len < UNIT ? len : UNIT);
		zcomp_destroy(comp);
	}
	free(dict);
}

static void try_table(struct fuzz_input *in)
{
	struct zcomp_ops ops, *table;
	const uint8_t how = fuzz_byte(in);
	char text[ZCOMP_ERROR_TEXT] = "";
	uint32_t size;
	const size_t space = 4096;

	/* A table has at least its first two numbers; what it says to have, it has. */
	table = calloc(1, space);
	FUZZ_EXPECT(table, "no memory");
	fuzz_bytes(in, table, in->left < space ? in->left : space);
	if (how & 1)
		table->abi_version = ZCOMP_ABI_VERSION;
	if (how & 2)
		table->struct_size = (uint32_t)sizeof(ops) + (how >> 4) * 8;
	size = table->struct_size;
	if (zcomp_module_take_table(table, "a path", text, &ops) != 0) {
		FUZZ_EXPECT(text[0] != '\0' && !strchr(text, '\n'), "refused without a sentence");
	} else {
		FUZZ_EXPECT(ops.struct_size == sizeof(ops), "a table of another size");
		FUZZ_EXPECT(ops.name == table->name, "another name");
		FUZZ_EXPECT(size >= sizeof(ops) || ((const char *)&ops)[sizeof(ops) - 1] == 0, "more than there was");
	}
	free(table);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };

	if (fuzz_byte(&in) & 1)
		try_table(&in);
	else
		try_dict(&in);
	return 0;
}
