/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * inodeset.h - which numbers are live inodes: a bitmap over the arena, asked without a lock and
 * with any number.
 *
 * Requests name inodes by number, and a wild number must lead to -ESTALE, never to memory that is
 * no inode (or not even populated). Volatile: the pool of inode records knows it too, but under a
 * lock.
 *
 *     number: 9 bits | 9 bits | 9 bits | 11 bits
 *             root --> node --> node --> 2048 bits: 32 KiB of the arena, space for 292 records
 *
 * So a live inode costs about one byte here. Nodes are made when needed, and stay. Weakness: so
 * they do where no inode is any longer, up to a 120th of the arena's range.
 *
 * Locks: none.
 */
#ifndef ZT_FS_INODESET_H
#define ZT_FS_INODESET_H

#include <stdbool.h>
#include <stdint.h>

#include "arena/arena.h"
#include "util/compiler.h"

#define INODESET_NODE_SHIFT 9u
#define INODESET_NODE_SIZE  (1u << INODESET_NODE_SHIFT)
#define INODESET_LEAF_SHIFT 11u

struct inodeset {
	void *nodes[INODESET_NODE_SIZE];
};

/** inodeset_exit() - free its nodes; all zeros is an empty set that owns none */
void inodeset_exit(struct inodeset *set, struct arena *arena);

/**
 * inodeset_reserve() - make space for a number, so that adding it cannot fail
 * @arena: whose limit bounds the nodes; always the same
 * Return: 0, -ENOSPC, -ENOMEM.
 */
int inodeset_reserve(struct inodeset *set, struct arena *arena, ref_t ref) ZT_MUST_CHECK;

/**
 * inodeset_add() - @ref is live from now on; a thread that finds it here sees all that was stored
 * before
 */
void inodeset_add(struct inodeset *set, ref_t ref);

void inodeset_remove(struct inodeset *set, ref_t ref);

/** inodeset_next() - the least member that is @ref or more; false: there is none. Any number. */
bool inodeset_next(const struct inodeset *set, uint64_t ref, uint64_t *out_ref);

/** inodeset_has() - any number is allowed */
bool inodeset_has(const struct inodeset *set, uint64_t ref);

#endif
