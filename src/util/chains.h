/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * chains.h - a hash table of linked nodes that grows and shrinks by one chain at a time.
 *
 * So no single change takes long, however much the table holds: each takes apart, or puts together,
 * one chain of two nodes on average. Only the array of chains is copied when it has doubled, 4 bytes
 * for each node. Where there is no memory for it the chains grow longer, that is all.
 *
 * A table that is all zero is empty. No locks of its own: the caller's guard it.
 */
#ifndef ZT_UTIL_CHAINS_H
#define ZT_UTIL_CHAINS_H

#include <stddef.h>
#include <stdint.h>

/* Stands in each node of a table. */
struct chain_link {
	struct chain_link *next;
};

struct chains {
	union {
		struct chain_link *lone; /* the only chain, while nr_heads is 0 */
		struct chain_link **heads; /* of more + 1 chains; owned */
	};
	uint32_t more; /* chains beyond the first */
	uint32_t nr_heads; /* chains that heads has a place for */
	uint32_t nodes;
};

/* What a table asks its user for; @arg is the user's. */
struct chains_ops {
	uint64_t (*hash)(const void *arg, const struct chain_link *link);
	int (*alloc)(void *arg, size_t size, void **out_ptr); /* zeroed; 0 or -errno */
	void (*free)(void *arg, void *ptr, size_t size);
};

/** chains_first() - the chain of @hash; the caller looks for its node from there */
struct chain_link *chains_first(const struct chains *chains, uint64_t hash);

/** chains_add() - a node, whose hash is @hash. It is in no table. */
void chains_add(struct chains *chains, const struct chains_ops *ops, void *arg,
		struct chain_link *link, uint64_t hash);

/** chains_remove() - a node that is in the table; the last one takes all memory of it along */
void chains_remove(struct chains *chains, const struct chains_ops *ops, void *arg,
		   struct chain_link *link, uint64_t hash);

#endif
