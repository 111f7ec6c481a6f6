/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * keep.h - all that is out at one moment, read while the mount goes on: for an image of it.
 *
 *     spill_keep() --> the moment --> spill_keep_list() --> spill_keep_read() ... --> spill_keep_end()
 *
 * From spill_keep() on no entry and no unit is given back, so that what is out at the moment stays in
 * the file as it is, also when no word names it any longer. Nobody writes from there until the list is
 * made (spiller_hold()): then an entry is in it that is named, and all its bytes are in the file.
 *
 * Locks: spill.lock, innermost. The file is read with no lock held.
 */
#ifndef ZT_BLKMAP_SPILL_KEEP_H
#define ZT_BLKMAP_SPILL_KEEP_H

#include <stddef.h>

#include "blkmap/spill/spill.h"

/** spill_keep() - see above. Return: 0; -EBUSY it is kept already. */
int spill_keep(struct spill *spill) ZT_MUST_CHECK;

/**
 * spill_keep_list() - what there is, by its place in the file
 * @out_units: units of all objects
 * Return: 0, -ENOMEM, -ENOSPC (limit); -EFBIG: it lies so far behind that an image has no numbers for it.
 */
int spill_keep_list(struct spill *spill, uint64_t *out_units, uint64_t *out_objects) ZT_MUST_CHECK;

/* Objects lie behind each other, in whole units: where one of them lies in the file. */
struct spill_kept {
	uint32_t unit, nr_units;
};

/**
 * spill_keep_at() - object @idx of the list. Return: 0; -ESTALE there is no list, or no such object.
 */
int spill_keep_at(struct spill *spill, uint64_t idx, struct spill_kept *out) ZT_MUST_CHECK;

/**
 * spill_keep_read() - bytes of all objects, from @off on, in the clear
 * Both are multiples of SPILL_UNIT. Waits for the disk; any thread that holds nothing.
 * Return: 0, and at least a unit was read, but at the end; -ESTALE there is no list any longer; -EIO;
 *         -ENOMEM.
 */
int spill_keep_read(struct spill *spill, uint64_t off, void *buf, size_t len,
		    size_t *out_done) ZT_MUST_CHECK;

/** spill_keep_end() - without spill_keep() nothing happens. Any thread, any locks but spill.lock. */
void spill_keep_end(struct spill *spill);

#endif
