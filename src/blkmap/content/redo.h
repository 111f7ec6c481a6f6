/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * redo.h - overwriting an object in place, so that a process that is killed meanwhile loses nothing.
 *
 *     redo_begin() -- the new bytes and the new word are written down, in the arena
 *           |         the object gets its length and its bytes, its place the word
 *     redo_end() ---- what was written down is void
 *
 * Between the two the old bytes are partly gone, and the new ones are complete: whoever attaches
 * stores them again (redo_finish()). Before and after, the place's own word says what the object is.
 *
 * Locks: the slot lock of the place, exclusive; codecs.redo_lock below it.
 */
#ifndef ZT_BLKMAP_CONTENT_REDO_H
#define ZT_BLKMAP_CONTENT_REDO_H

#include "blkmap/cluster/cluster.h"

/**
 * redo_open() - memory for what is to be written down; nobody else overwrites until redo_close()
 * Return: 0, or -ENOSPC when the machine has none: nothing may be overwritten then.
 */
int redo_open(struct codecs *codecs) ZT_MUST_CHECK ZT_NO_LOCK_CHECK;
void redo_close(struct codecs *codecs) ZT_NO_LOCK_CHECK;

/** redo_begin() - @place is to get @word, whose object gets what was encoded, and has room for it */
void redo_begin(struct codecs *codecs, const uint64_t *place, uint64_t word,
		const struct encoded *enc);
void redo_end(struct codecs *codecs);

/**
 * redo_finish() - when attaching after a kill: overwrite again what was being overwritten
 * @slots: its pools are there, and nothing has been walked; @record: or NULL
 * Return: 0, or -EUCLEAN what was written down makes no sense; @error_text says so.
 */
int redo_finish(struct slots *slots, struct blkmap_record *record,
		char error_text[256]) ZT_MUST_CHECK;

#endif
