/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * change.h - changes of one cluster: written, merged, overlaid, spread, overwritten in place, folded.
 *
 * Context of all: c->strm is held; no slot lock, but where it says otherwise. The file is held
 * shared, but for cluster_fold().
 */
#ifndef ZT_BLKMAP_CONTENT_CHANGE_H
#define ZT_BLKMAP_CONTENT_CHANGE_H

#include "blkmap/cluster/cluster.h"

/* What to do to a cluster: bytes [from, to) become src. */
struct cluster_op {
	uint32_t from, to; /* from == to: no bytes */
	const char *src;
	uint32_t add_pages; /* pages that become present whatever was there (fallocate) */
	uint32_t drop_pages; /* pages that become holes */
	uint32_t cut; /* bytes from here on are gone; 0: none */
	/*
	 * Only while the slot has a cluster map that is listed with the same order and setting, as
	 * it was seen before: maintenance holds no inode, and without one the slot may be gone.
	 * NULL: the slot is held.
	 */
	const struct live_map *fold;
};

static inline uint32_t pages_touched(const struct cluster_op *op)
{
	return op->from < op->to ? pages_mask_range(op->from, op->to) : 0;
}

/* ---- commit.c ---- */

/* A cluster's new object on its way into the slot. */
struct change {
	struct encoded enc;
	uint64_t word; /* placed, when refused is 0 */
	int refused; /* or -ENOSPC, -ENOMEM: it may still fit where the old object is */
	struct loose_word rest; /* what is to be released: the new word, or the old one */
};

/*
 * The three steps, for an attempt: place what change->enc says (@kept: under the slot lock);
 * publish it, slot lock held exclusive; release what is left, no lock held.
 */
void change_place(const struct cluster *c, struct change *change, bool kept);
int change_publish(const struct cluster *c, struct change *change) ZT_MUST_CHECK;
void change_end(const struct cluster *c, struct change *change);

/*
 * cluster_commit() - all three: what was encoded becomes the cluster; c->strm is not needed
 * @seq: NULL, or what the slot lock's seq was when the bytes were prepared
 * Return: 0; -EAGAIN the slot has changed since @seq; -ENOSPC, -ENOMEM.
 */
int cluster_commit(const struct cluster *c, const struct encoded *enc,
		   const uint64_t *seq) ZT_MUST_CHECK;

/* ---- cluster_write.c ---- */

/* Write bytes into any part of a cluster, by the cheapest way. */
int cluster_write(const struct cluster *c, const struct cluster_op *op) ZT_MUST_CHECK;

/* ---- merge.c ---- */

/* Rewrite a cluster as one object, its old and new parts together. */
int cluster_merge(const struct cluster *c, const struct cluster_op *op) ZT_MUST_CHECK;

/*
 * cluster_fold() - make one object of a cluster and the pages over it, if its map is still listed
 * as it was seen; c->file is of @live's order and setting
 * Neither file nor slot need be there any more. 0, -ENOSPC, -ENOMEM, -EIO.
 */
int cluster_fold(const struct cluster *c, const struct live_map *live) ZT_MUST_CHECK;

/* ---- overlay.c: pages over a cluster ---- */

/*
 * cluster_overlay() - keep the pages that an op writes as objects of their own over the cluster
 * @spread: and the others likewise, so that the base goes away
 * 0; -EAGAIN others kept changing the slot; -ENOSPC, -ENOMEM, -EIO.
 */
int cluster_overlay(const struct cluster *c, const struct cluster_op *op,
		    bool spread) ZT_MUST_CHECK;

/*
 * cluster_spread() - make each page of a cluster an object of its own, with nothing below them
 * 0 when it was done, or there is nothing to do; otherwise the cluster stays as it is: -EAGAIN,
 * -ENOSPC, -ENOMEM, -EIO.
 */
int cluster_spread(const struct cluster *c) ZT_MUST_CHECK;

/* ---- fetch.c: what is out comes back ---- */

/*
 * cluster_fetch() - make an object in memory of what stands in a copy, if the slot's object is out
 * 0, also when there is nothing to do; -EREMOTE it stands in no copy; -EIO, -ENOSPC, -ENOMEM.
 */
int cluster_fetch(const struct cluster *c) ZT_MUST_CHECK;

/* ---- overwrite.c: at the limit, new bytes where old objects are ---- */

/*
 * encoded_overwrite() - put what a whole cluster becomes where the object of its slot is, or the
 * base of its cluster map, which ends then
 * Slot lock held exclusive. True: the slot's new word is set and counted.
 */
bool encoded_overwrite(const struct cluster *c, const struct encoded *enc);

/*
 * cluster_overwrite() - write bytes into a cluster without more memory: each page where its own
 * object is, if it fits, the others where the object below is
 * For requests to which memory was refused otherwise. @op only writes bytes.
 * Return: 0; -ENOSPC it does not fit, and nothing has changed; -EIO.
 */
int cluster_overwrite(const struct cluster *c, const struct cluster_op *op) ZT_MUST_CHECK;

#endif
