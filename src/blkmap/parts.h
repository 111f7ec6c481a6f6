/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * parts.h - a mount's block map, put together from its parts. For blkmap.c and tests.
 */
#ifndef ZT_BLKMAP_PARTS_H
#define ZT_BLKMAP_PARTS_H

#include "blkmap/blkmap.h"
#include "blkmap/cluster/codecs.h"
#include "blkmap/content/content.h"
#include "blkmap/slot/slots.h"
#include "blkmap/upkeep/upkeep.h"

/* Each part knows those above it in this list, and none below. */
struct blkmap {
	struct slots slots;
	struct codecs codecs;
	struct content content;
	struct upkeep upkeep;
	uint64_t set_aside; /* of the arena's limit, for as long as the map lives; immutable */
};

#endif
