/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * livesave.h - what a mount holds at one moment, read while it is in use: an image without sums.
 *
 * It is read through a file of the mount that has no name: reads of that file give the snapshot
 * (arena/snapshot.h) instead of what the file holds. So it ends with the last descriptor of the file,
 * whatever becomes of the program that reads, and large reads are as fast as any.
 *
 * At the moment no request is half done: those that come wait some milliseconds (gate.h), and writes
 * that engines complete have ended.
 */
#ifndef ZT_FS_LIVESAVE_H
#define ZT_FS_LIVESAVE_H

#include "fs/image.h"
#include "fs/livefile.h"
#include "util/compiler.h"

/* What is read: pages, then extents, as in the file of an image. */
struct livesave_facts {
	uint64_t id; /* of this one; never 0 */
	uint64_t reserve, nr_pages, nr_extents; /* as in struct image_header */
	uint64_t pause_ns; /* that requests were stopped */
	struct image_facts image;
};

/**
 * livesave_begin() - the moment
 * @ino: a regular file without a name, which the caller has open
 * Context: holds nothing; takes milliseconds as a rule.
 * Return: 0; -EINVAL it has a name, or is no file; -EBUSY there is one, or requests did not end;
 *         as arena_snapshot_prepare().
 */
int livesave_begin(struct super *sb, ino_nr ino, struct livesave_facts *out_facts) ZT_MUST_CHECK;

/** livesave_read() - as arena_snapshot_read() */
int livesave_read(struct super *sb, uint64_t off, void *buf, size_t len,
		  size_t *out_done) ZT_MUST_CHECK;

/**
 * livesave_check() - whether all that was read since the beginning was of this one
 * @out_held: bytes of memory that it has for pages that changed
 * Return: 0, -ESTALE.
 */
int livesave_check(struct super *sb, ino_nr ino, uint64_t id, uint64_t *out_held) ZT_MUST_CHECK;

#endif
