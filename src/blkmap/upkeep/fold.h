/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fold.h - folding of cluster maps, for the threads behind requests.
 */
#ifndef ZT_BLKMAP_UPKEEP_FOLD_H
#define ZT_BLKMAP_UPKEEP_FOLD_H

#include "blkmap/cluster/codecs.h"

/* One per mount; what all that fold have in common. */
struct folder {
	struct codecs *codecs; /* not owned; immutable */
	atomic_uint_fast64_t folds; /* cluster maps folded into one object; relaxed */
};

/*
 * fold_idle() - fold cluster maps not written for @idle seconds that have cooled down; 0: all
 * Only maps that are due are looked at, the oldest first; those that come meanwhile are left out.
 * Context: no stream and no lock held. Return: maps that were to be folded.
 */
uint64_t fold_idle(struct folder *folder, uint64_t idle);

/* fold_some() - the same, @most maps behind each slot lock at most */
uint64_t fold_some(struct folder *folder, uint64_t idle, uint64_t most);

#define FOLD_A_BIT UINT64_C(64) /* for threads that have other things to do, too */

#endif
