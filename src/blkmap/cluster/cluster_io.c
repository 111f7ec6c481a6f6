// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * cluster_io.c - between the bytes of a cluster and the objects that keep them.
 *
 * Loading runs under the slot lock (shared is enough), encoding and placing under none.
 */
#include "blkmap/blkmap_i.h"

#include <errno.h>
#include <string.h>

/* ---- bytes to objects ---- */

/*
 * Incompressible: what saves less than a 32nd is stored raw, since reading it back would cost more
 * than it is worth.
 */
size_t encode_cap(uint32_t len)
{
	return len - len / 32;
}

/*
 * One 8-byte word (less for tiny input) repeated? The last word first, as zram does: most data
 * differs there.
 */
static bool same_filled(const char *src, uint32_t len, uint64_t *out_value)
{
	uint64_t first = 0;
	uint32_t period = len < sizeof(first) ? 1 : sizeof(first);

	if (memcmp(src, src + len - period, period) != 0 && len % period == 0)
		return false;
	if (memcmp(src, src + period, len - period) != 0)
		return false;
	if (period == 1)
		memset(&first, src[0], sizeof(first));
	else
		memcpy(&first, src, sizeof(first));
	*out_value = first;
	return true;
}

bool encode_same(const void *src, uint32_t len, uint32_t full, uint32_t mask, struct encoded *out)
{
	uint64_t value;

	*out = (struct encoded){ .mask = mask };
	if (len == 0)
		return true;
	if (!same_filled(src, len, &value))
		return false;
	if (value == 0) {
		out->word = slot_make_zero(mask);
		return true;
	}
	if (len == full && mask == pages_mask(full) && slot_same_fits(value)) {
		out->word = slot_make_same(value);
		return true;
	}
	return false;
}

/* @data NULL: it did not compress. */
void encode_result(const void *src, uint32_t len, uint32_t mask, const void *data, size_t data_len,
		   struct encoded *out)
{
	bool sparse = mask != pages_mask(len);

	out->mask = mask;
	out->data = data ? data : src;
	out->len = data ? (uint32_t)data_len : len;
	out->word = slot_make_obj(data ? SLOT_CODEC_MAIN : SLOT_CODEC_RAW, len, sparse);
}

void encode_raw(const struct blkmap_file *file, const void *src, uint32_t len, uint32_t mask,
		struct encoded *out)
{
	encode_result(src, len, mask, NULL, 0, out);
	if (file->setting != BLKMAP_SETTING_DEFAULT)
		out->word = slot_with_codec(out->word, SLOT_CODEC_RAW_KEPT);
}

/* What a file's setting makes of it is not for recompression, raw or not. */
static bool encode_by_setting(struct blkmap *map, unsigned setting, struct zcomp_strm *strm,
			      const void *src, uint32_t len, uint32_t mask, struct encoded *out)
{
	size_t data_len = 0;
	bool fits = setting_compress(map, setting, strm, src, len, &data_len);

	encode_result(src, len, mask, fits ? strm->buffer : NULL, data_len, out);
	out->word = slot_with_codec(out->word, fits ? setting_codec(setting) : SLOT_CODEC_RAW_KEPT);
	return fits;
}

void encode(struct blkmap *map, const struct blkmap_file *file, struct zcomp_strm *strm,
	    const void *src, uint32_t len, uint32_t full, uint32_t mask, struct encoded *out)
{
	size_t data_len = 0;
	bool fits;

	if (encode_same(src, len, full, mask, out))
		return;
	if (file->setting != BLKMAP_SETTING_NONE && huge_skip(map, file, src, len)) {
		encode_raw(file, src, len, mask, out);
		return;
	}
	if (file->setting != BLKMAP_SETTING_DEFAULT) {
		fits = encode_by_setting(map, file->setting, strm, src, len, mask, out);
	} else {
		fits = zcomp_compress(map->comp, strm, src, len, encode_cap(len), &data_len) == 0;
		encode_result(src, len, mask, fits ? strm->buffer : NULL, data_len, out);
	}
	huge_note(map, file, fits);
}

uint32_t encoded_size(const struct encoded *enc)
{
	return enc->len + (enc->word & SLOT_SPARSE ? SLOT_SPARSE_PREFIX : 0);
}

void encoded_copy(struct blkmap *map, const struct encoded *enc, ref_t ref)
{
	char *dst = zs_data(map->arena, ref);

	if (enc->word & SLOT_SPARSE) {
		memcpy(dst, &enc->mask, SLOT_SPARSE_PREFIX);
		dst += SLOT_SPARSE_PREFIX;
	}
	memcpy(dst, enc->data, enc->len);
}

int encoded_place(struct blkmap *map, const struct encoded *enc, uint64_t *out_word)
{
	ref_t ref;
	int error;

	if (slot_kind(enc->word) == SLOT_OBJ) {
		error = zs_malloc(map->data, encoded_size(enc), &ref);
		if (error)
			return error;
		encoded_copy(map, enc, ref);
		*out_word = slot_with_ref(enc->word, ref);
	} else {
		*out_word = enc->word;
	}
	return 0;
}

int encoded_place_hard(struct blkmap *map, const struct encoded *enc, uint64_t *out_word)
{
	int error = encoded_place(map, enc, out_word);

	if (error == -ENOSPC && zs_trim(map->data, 0) > 0)
		error = encoded_place(map, enc, out_word);
	return error;
}

/* ---- objects to bytes ---- */

static void fill_same(char *dst, uint32_t from, uint32_t to, uint64_t value)
{
	char pattern[sizeof(value)];

	memcpy(pattern, &value, sizeof(value));
	for (uint32_t i = from; i < to; i++)
		dst[i - from] = pattern[i % sizeof(value)];
}

/*
 * The first @end bytes of what @data decodes to, in the workspace. Only so much is decoded
 * where the codec can, and all of it when the same object is asked for more: then somebody goes
 * through it in small steps, and finds the rest here.
 */
static int load_scratch(struct blkmap *map, const struct slot_lock *lock, struct zcomp_strm *strm,
			uint64_t word, const char *data, uint32_t data_len, uint32_t end)
{
	struct workspace *work = strm_workspace(strm);
	struct loaded *loaded = &work->loaded;
	bool same =
		lock && loaded->lock == lock && loaded->seq == lock->seq && loaded->word == word;
	size_t want = same ? ZCOMP_MAX_UNIT : end, out_len;
	int error;

	if (same && loaded->len >= end)
		return 0;
	loaded->lock = NULL;
	error = codec_decompress(map, slot_codec(word), strm, data, data_len, work->decoded,
				 ZCOMP_MAX_UNIT, want, &out_len);
	if (!error && out_len < end)
		error = -EIO;
	if (error)
		return error;
	loaded->lock = lock;
	loaded->seq = lock ? lock->seq : 0;
	loaded->word = word;
	loaded->len = (uint32_t)out_len;
	loaded->effort += !same && out_len > want ? HEAT_DECODE : HEAT_READ;
	return 0;
}

char *strm_take_scratch(struct zcomp_strm *strm)
{
	struct workspace *work = strm_workspace(strm);

	work->loaded.lock = NULL;
	return work->decoded;
}

uint64_t strm_effort(struct zcomp_strm *strm)
{
	return strm_workspace(strm)->loaded.effort;
}

/* Bytes [from, to) of what an OBJ word stands for. */
static int load_obj(struct blkmap *map, const struct slot_lock *lock, struct zcomp_strm *strm,
		    uint64_t word, uint32_t from, uint32_t to, char *dst)
{
	uint32_t length = slot_length(word), end = (uint32_t)min_u64(to, length);
	const char *data = zs_data(map->arena, slot_ref(word));
	uint32_t data_len = zs_size(map->arena, slot_ref(word));
	uint32_t prefix = word & SLOT_SPARSE ? SLOT_SPARSE_PREFIX : 0;
	size_t out_len;
	int error = 0;

	if (end <= from) {
		memset(dst, 0, to - from);
		return 0;
	}
	if (data_len <= prefix)
		return -EIO;
	data += prefix;
	data_len -= prefix;
	if (slot_is_raw(word)) {
		if (data_len < length)
			return -EIO;
		memcpy(dst, data + from, end - from);
	} else if (from == 0 && end == length && !(word & SLOT_CUT)) {
		error = codec_decompress(map, slot_codec(word), strm, data, data_len, dst, length,
					 length, &out_len);
		if (!error && out_len != length)
			error = -EIO;
	} else {
		error = load_scratch(map, lock, strm, word, data, data_len, end);
		if (!error)
			memcpy(dst, strm_workspace(strm)->decoded + from, end - from);
	}
	if (error)
		return -EIO;
	memset(dst + (end - from), 0, to - end);
	return 0;
}

static int load_shared(struct blkmap *map, struct zcomp_strm *strm, uint64_t word, uint32_t from,
		       uint32_t to, char *dst)
{
	uint64_t obj = share_hold(map, word);
	int error = load_obj(map, NULL, strm, obj, from, to, dst);

	age_touch(map, slot_ref(obj));
	share_drop(map, word);
	return error;
}

static int load_simple(struct blkmap *map, const struct slot_lock *lock, struct zcomp_strm *strm,
		       uint64_t word, uint32_t from, uint32_t to, char *dst)
{
	switch (slot_kind(word)) {
	case SLOT_HOLE:
	case SLOT_ZERO:
		memset(dst, 0, to - from);
		return 0;
	case SLOT_SAME:
		fill_same(dst, from, to, slot_same_value(word));
		return 0;
	case SLOT_OBJ:
		return load_obj(map, lock, strm, word, from, to, dst);
	case SLOT_SHARED:
		return load_shared(map, strm, word, from, to, dst);
	case SLOT_MAP:
		break;
	}
	return -EIO;
}

/* Whether every page of [from, to) has a word of its own: then base need not be unpacked. */
static bool base_hidden(const struct cluster_map *cmap, uint32_t from, uint32_t to)
{
	for (uint32_t p = from >> ZT_PAGE_SHIFT; p << ZT_PAGE_SHIFT < to; p++)
		if (!word_get(&cmap->pages[p]))
			return false;
	return true;
}

int cluster_load(struct blkmap *map, const struct slot_lock *lock, struct zcomp_strm *strm,
		 uint64_t word, uint32_t from, uint32_t to, char *dst)
{
	const struct cluster_map *cmap;
	int error;

	if (from >= to)
		return 0;
	if (slot_kind(word) != SLOT_MAP)
		return load_simple(map, lock, strm, word, from, to, dst);
	cmap = cluster_map_at(map, word);
	if (!base_hidden(cmap, from, to)) {
		error = load_simple(map, lock, strm, word_get(&cmap->base), from, to, dst);
		if (error)
			return error;
	}
	for (uint32_t p = from >> ZT_PAGE_SHIFT; p << ZT_PAGE_SHIFT < to; p++) {
		uint32_t start = p << ZT_PAGE_SHIFT;
		uint32_t page_from = (uint32_t)max_u64(start, from);
		uint32_t page_to = (uint32_t)min_u64(start + ZT_PAGE_SIZE, to);
		uint64_t page = word_get(&cmap->pages[p]);

		if (!page)
			continue;
		error = load_simple(map, lock, strm, page, page_from - start, page_to - start,
				    dst + (page_from - from));
		if (error)
			return error;
	}
	return 0;
}
