// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * encode.c - from the bytes of a cluster, or of a page, to the object that keeps them.
 *
 * Context: no slot lock is held, but in the last round of an attempt (content/attempt.h).
 */
#include <errno.h>
#include <string.h>

#include "blkmap/cluster/cluster.h"
#include "blkmap/cluster/huge.h"
#include "blkmap/cluster/settings.h"
#include "blkmap/cluster/traced.h"

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

bool encode_same(const struct source *src, struct encoded *out)
{
	uint64_t value;

	*out = (struct encoded){ .mask = src->mask };
	if (src->len == 0)
		return true;
	if (!same_filled(src->data, src->len, &value))
		return false;
	if (value == 0) {
		out->word = slot_make_zero(src->mask);
		return true;
	}
	if (src->len == src->full && src->mask == pages_mask(src->full) && slot_same_fits(value)) {
		out->word = slot_make_same(value);
		return true;
	}
	return false;
}

void encode_result(const struct source *src, const void *data, size_t data_len, struct encoded *out)
{
	bool sparse = src->mask != pages_mask(src->len);

	out->mask = src->mask;
	out->data = data ? data : src->data;
	out->len = data ? (uint32_t)data_len : src->len;
	out->word = slot_make_obj(data ? SLOT_CODEC_MAIN : SLOT_CODEC_RAW, src->len, sparse);
}

void encode_raw(const struct blkmap_file *file, const struct source *src, struct encoded *out)
{
	encode_result(src, NULL, 0, out);
	if (file->setting != BLKMAP_SETTING_DEFAULT)
		out->word = slot_with_codec(out->word, SLOT_CODEC_RAW_KEPT);
}

/* What a file's setting makes of it is not for recompression, raw or not. */
static bool encode_by_setting(const struct cluster *c, const struct source *src, unsigned setting,
			      struct encoded *out)
{
	size_t data_len = 0;
	bool fits = setting_compress(c->codecs, setting, c->strm, src->data, src->len, &data_len);

	encode_result(src, fits ? c->strm->buffer : NULL, data_len, out);
	out->word = slot_with_codec(out->word, fits ? setting_codec(setting) : SLOT_CODEC_RAW_KEPT);
	return fits;
}

static enum trace_kind encode_now(const struct cluster *c, const struct source *src,
				  struct encoded *out)
{
	const struct blkmap_file *file = c->file;
	const unsigned setting = setting_now(c->codecs, file);
	size_t data_len = 0;
	bool fits;

	if (encode_same(src, out))
		return TRACE_SAME;
	if (setting != BLKMAP_SETTING_NONE &&
	    huge_skip(c->codecs, file, src->data, src->len)) {
		encode_raw(file, src, out);
		return TRACE_SKIPPED;
	}
	if (setting != BLKMAP_SETTING_DEFAULT) {
		fits = encode_by_setting(c, src, setting, out);
	} else {
		fits = zcomp_compress(c->codecs->comp, c->strm, src->data, src->len,
				      encode_cap(src->len), &data_len) == 0;
		encode_result(src, fits ? c->strm->buffer : NULL, data_len, out);
	}
	huge_note(c->codecs, file, fits);
	if (fits)
		return TRACE_SMALLER;
	return setting == BLKMAP_SETTING_NONE ? TRACE_SKIPPED : TRACE_RAW;
}

void encode(const struct cluster *c, const struct source *src, struct encoded *out)
{
	const uint64_t begun = trace_begin(&c->codecs->trace);
	const enum trace_kind kind = encode_now(c, src, out);

	if (unlikely(begun != 0))
		codecs_traced(c->codecs, &(struct traced){ .begun = begun, .kind = kind }, src, out);
}

uint32_t encoded_size(const struct encoded *enc)
{
	return enc->len + (enc->word & SLOT_SPARSE ? SLOT_SPARSE_PREFIX : 0);
}

void encoded_bytes(const struct encoded *enc, char *dst)
{
	if (enc->word & SLOT_SPARSE) {
		memcpy(dst, &enc->mask, SLOT_SPARSE_PREFIX);
		dst += SLOT_SPARSE_PREFIX;
	}
	memcpy(dst, enc->data, enc->len);
}

void encoded_copy(struct slots *slots, const struct encoded *enc, ref_t ref)
{
	encoded_bytes(enc, zs_data(slots->arena, ref));
}

int encoded_place(struct slots *slots, const struct encoded *enc, uint64_t *out_word)
{
	ref_t ref;
	int error;

	if (slot_kind(enc->word) == SLOT_OBJ) {
		error = zs_malloc(slots->data, encoded_size(enc), &ref);
		if (error)
			return error;
		encoded_copy(slots, enc, ref);
		*out_word = slot_with_ref(enc->word, ref);
	} else {
		*out_word = enc->word;
	}
	return 0;
}

int encoded_place_hard(struct slots *slots, const struct encoded *enc, uint64_t *out_word)
{
	int error = encoded_place(slots, enc, out_word);

	if (error == -ENOSPC && zs_trim(slots->data, 0) > 0)
		error = encoded_place(slots, enc, out_word);
	return error;
}
