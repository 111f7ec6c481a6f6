/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * spilled.h - contents that stand in the spill file (spill/spill.h), for callers of blkmap.h.
 *
 * They are not read under a lock. A call that needs some of it (reading, writing, punching, allocating,
 * fetching) returns -EREMOTE. Its caller gives up all that it holds, calls blkmap_spill_wait(), and
 * tries again. When it is through, whatever came of it, it calls blkmap_spill_done(). Both are about
 * what the calls of this thread needed.
 */
#ifndef ZT_BLKMAP_SPILLED_H
#define ZT_BLKMAP_SPILLED_H

#include "blkmap/blkmap.h"
#include "blkmap/spill/keep.h"

/** blkmap_spills() - whether anything can go out */
bool blkmap_spills(const struct blkmap *map);

/** blkmap_spill_wait() - have what is needed read; nothing is held; waits as spill_fetch() */
void blkmap_spill_wait(struct blkmap *map, const struct spill_patience *patience);

/** blkmap_spill_waiters() - threads that may wait for a disk that is slow; at first any number */
void blkmap_spill_waiters(struct blkmap *map, unsigned most);

void blkmap_spill_done(struct blkmap *map);

/** blkmap_may_need_disk() - whether a write may return -EREMOTE: not if it is of whole clusters */
bool blkmap_may_need_disk(const struct blkmap *map, const struct blkmap_file *file, uint64_t off,
			  size_t len);

/**
 * blkmap_fetch() - bring what is out of a file back into memory, from @off on
 * @out_next: where it goes on
 * Context: file held shared. Return: 0: all is there; -EAGAIN the round is over; -EREMOTE; -EIO,
 *          -ENOSPC, -ENOMEM.
 */
int blkmap_fetch(struct blkmap *map, const struct blkmap_file *file, uint64_t off,
		 uint64_t *out_next) ZT_MUST_CHECK;

/**
 * blkmap_spill_now() - have go out what was not used for @idle ticks, in the caller's thread, until
 * @most bytes have
 * Context: any thread that holds nothing. Return: bytes that went.
 */
uint64_t blkmap_spill_now(struct blkmap *map, unsigned idle, uint64_t most);

/**
 * blkmap_spill_kick() - have the thread send all out that can go
 * Return: the value that stat.spill_passes will exceed when it is done.
 */
uint64_t blkmap_spill_kick(struct blkmap *map);

/**
 * blkmap_keep_begin() - what is out now stays as it is (spill/keep.h), and nothing goes out
 * Context: holds nothing. blkmap_keep_go_on() must follow soon, and blkmap_keep_end() in the end.
 * Return: 0, -EBUSY. Without a spill file nothing happens, here and below.
 */
int blkmap_keep_begin(struct blkmap *map) ZT_MUST_CHECK;

/** blkmap_keep_list() - after the moment: pages and objects. Return: as spill_keep_list(). */
int blkmap_keep_list(struct blkmap *map, uint64_t *out_pages, uint64_t *out_objects) ZT_MUST_CHECK;

/** blkmap_keep_go_on() - objects may go out again; after blkmap_keep_begin() and the moment */
void blkmap_keep_go_on(struct blkmap *map);

/* As spill_keep_at() and spill_keep_read(); -ESTALE without a spill file. */
int blkmap_keep_at(struct blkmap *map, uint64_t idx, struct spill_kept *out) ZT_MUST_CHECK;
int blkmap_keep_read(struct blkmap *map, uint64_t off, void *buf, size_t len,
		     size_t *out_done) ZT_MUST_CHECK;

/** blkmap_keep_end() - as spill_keep_end() */
void blkmap_keep_end(struct blkmap *map);

/** blkmap_spill_left() - bytes that could still go out; lock-free */
uint64_t blkmap_spill_left(const struct blkmap *map);

#endif
