// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * redo.c - what overwrites an object in place is written down first. See redo.h.
 */
#include "blkmap/content/redo.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "arena/scratch.h"
#include "arena/stock.h"

static_assert(ZS_MAX_SIZE <= ARENA_SCRATCH_PAGES * ZT_PAGE_SIZE, "the largest object fits");

int redo_open(struct codecs *codecs)
{
	struct arena *arena = codecs->slots->arena;

	mutex_lock(&codecs->redo_lock);
	/* A mount that carries swap has them from the beginning (blkmap.c). */
	if (arena_is_stocked(arena) || arena_scratch_back(arena) == 0)
		return 0;
	mutex_unlock(&codecs->redo_lock);
	return -ENOSPC;
}

void redo_close(struct codecs *codecs)
{
	if (!arena_is_stocked(codecs->slots->arena))
		arena_scratch_drop(codecs->slots->arena);
	mutex_unlock(&codecs->redo_lock);
}

void redo_begin(struct codecs *codecs, const uint64_t *place, uint64_t word,
		const struct encoded *enc)
{
	struct blkmap_redo *redo = &codecs->record->redo;

	encoded_bytes(enc, arena_scratch(codecs->slots->arena));
	word_set(&redo->place, slot_place(codecs->slots, place));
	word_set(&redo->size, encoded_size(enc));
	word_set(&redo->word, word);
}

static void void_record(struct blkmap_redo *redo)
{
	word_set(&redo->word, 0);
}

void redo_end(struct codecs *codecs)
{
	void_record(&codecs->record->redo);
}

/* Whether it can be what redo_begin() has written: the place and the object are there. */
static bool makes_sense(const struct slots *slots, uint64_t place, uint64_t word, uint64_t size)
{
	const ref_t ref = slot_ref(word);
	const uint64_t *at;

	if (place >= arena_pages(slots->arena) * (ZT_PAGE_SIZE / sizeof(*at)))
		return false;
	at = (const uint64_t *)arena_ptr(slots->arena, 0) + place;
	return slot_kind(word) == SLOT_OBJ && zs_is_live(slots->data, ref) &&
	       size <= zs_room_of(slots->data, ref) && slot_kind(word_get(at)) == SLOT_OBJ &&
	       slot_ref(word_get(at)) == ref;
}

int redo_finish(struct slots *slots, struct blkmap_record *record, char error_text[256])
{
	struct blkmap_redo *redo = record ? &record->redo : NULL;
	const uint64_t word = redo ? word_get(&redo->word) : 0;

	if (word) {
		if (!makes_sense(slots, redo->place, word, redo->size) ||
		    !zs_resize(slots->data, slot_ref(word), (uint32_t)redo->size)) {
			snprintf(error_text, 256, "what was being overwritten is damaged");
			return -EUCLEAN;
		}
		memcpy(zs_data(slots->arena, slot_ref(word)), arena_scratch(slots->arena),
		       redo->size);
		word_set((uint64_t *)arena_ptr(slots->arena, 0) + redo->place, word);
		void_record(redo);
	}
	arena_scratch_forget(slots->arena);
	return 0;
}
