/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * huge.h - files that do not compress, and what bytes look like that do not.
 *
 * Context: any thread, no lock needed.
 */
#ifndef ZT_BLKMAP_CLUSTER_HUGE_H
#define ZT_BLKMAP_CLUSTER_HUGE_H

#include "blkmap/cluster/codecs.h"

/*
 * huge_skip() - whether a file has proved so little worth trying that @src is stored as it is
 * huge_note() - a try has ended
 * huge_forget() - the file has lost its content
 */
bool huge_skip(struct codecs *codecs, const struct blkmap_file *file, const void *src,
	       uint32_t len);
void huge_note(struct codecs *codecs, const struct blkmap_file *file, bool compressed);
void huge_forget(struct codecs *codecs, const struct blkmap_file *file);

/* Whether byte values come as often as each other, as in what is compressed already. */
bool huge_looks_even(const void *src, uint32_t len);

#endif
