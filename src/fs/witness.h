/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * witness.h - what a thread's operation is about to do, and that it is done, for whoever must know
 * after a kill.
 *
 * An operation that answers otherwise when it is repeated (it makes, moves or removes a name) tells the
 * witness of its thread:
 *
 *     locks are taken, all that can fail was tried -> witness_intend() -> the store that all see
 *     -> links, times, references -> witness_done() -> locks are released
 *
 * So nobody else changes what is between the two, and whoever attaches later finds out by looking.
 *
 * Locks: none; a witness is its thread's.
 */
#ifndef ZT_FS_WITNESS_H
#define ZT_FS_WITNESS_H

#include <stdint.h>

#include "fs/inode.h"

/* In memory that outlives the process. */
struct fs_witness {
	uint64_t ino; /* what the name leads to; of attributes, whose they are. 0: nothing was begun */
	uint64_t done; /* not 0: it is done, with the kernel's reference; of a clone, what witness_made() was told */
};

/** fs_set_witness() - of the calling thread, until the next call; NULL: none */
void fs_set_witness(struct fs_witness *witness);

/** witness_intend() - all is checked, the next store is the one; 0: it failed all the same */
void witness_intend(ino_nr ino);
void witness_done(void);

/** witness_made() - the same, of what has made @nr inodes and names, at least 1 */
void witness_made(uint64_t nr);

#endif
