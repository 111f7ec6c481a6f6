/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * table.h - what is known of the objects that are out: entries in the arena, where a later life of the
 * mount finds them.
 *
 * A chunk is a run of the arena of a type of its own; it is never given back. An entry is in use from
 * the store of its place on, which says where and how long, until the store that clears it. Its units
 * are taken before the one, and given back after the other, so no two entries ever have the same. A
 * word that names an entry is stored when all of it is, and the bytes are in the file.
 *
 * So what a kill leaves is an entry that no word names: the walk over the words claims entries, and
 * frees the rest. A thread that was killed may hang in the kernel for a while and write, or punch a
 * group, when the next process is there; the units that this may be about are not used in that life.
 *
 * Context: spill.lock, but for table_init(), table_exit(), and what attaches, which have one thread.
 */
#ifndef ZT_BLKMAP_SPILL_TABLE_H
#define ZT_BLKMAP_SPILL_TABLE_H

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

#include "arena/arena.h"
#include "blkmap/spill/seal.h"
#include "blkmap/spill/space.h"
#include "blkmap/spill/spill.h"

/* Canonical: one per object that is out. */
struct spill_entry {
	uint64_t place; /* its first unit in the low half, its bytes in the high one; 0 bytes: free */
	uint32_t mask; /* pages that are present */
	uint32_t next; /* of a free one: the next free one's id, which means something here alone */
	uint64_t nonce; /* of what is encrypted */
	union {
		uint64_t sum; /* XXH3 of the bytes, */
		uint8_t tag[SEAL_TAG_SIZE]; /* or what vouches for encrypted ones */
	};
};
static_assert(sizeof(struct spill_entry) == 40, "canonical");

/* Canonical: the beginning of a chunk. */
struct spill_chunk_head {
	uint32_t nr; /* 1 and up; 0: the chunk is not one yet */
	uint32_t punching; /* of the first: 1 + a group that is being punched, 0: none */
	uint64_t nonces; /* of the first: all below may have been used; 0: nothing is encrypted */
};

#define CHUNK_PAGES   16u
#define CHUNK_ENTRIES 1638u

struct spill_chunk {
	struct spill_chunk_head head;
	struct spill_entry entries[CHUNK_ENTRIES];
};
static_assert(sizeof(struct spill_chunk) == CHUNK_PAGES * ZT_PAGE_SIZE, "canonical");

/* Volatile: beside each entry. */
struct spill_live {
	uint32_t read; /* when it was first read: seconds, 0: never */
	uint16_t pins; /* threads that want it read: its units stay */
	uint16_t copy; /* 1 + the number of the copy that it stands in, or is read to; 0: none */
	bool gone; /* no word names it */
	bool claimed; /* while a process attaches: a word names it */
};

/* One per spill file, owned by it. */
struct spill_table {
	struct arena *arena; /* immutable, as the next two */
	uint32_t max_chunks, nr_units;
	bool sealed, loaded; /* loaded: what is sealed is sealed anew */
	/* Each set once, before its ids are named. */
	struct spill_chunk **chunks;
	struct spill_live **lives;
	uint32_t nr_chunks;
	spill_id free; /* 0: none */
	uint32_t nr_free, nr_used;
	uint64_t bytes; /* of objects */
	uint64_t nonce; /* the last one; the writer's */
};

/* table_bytes() - of memory for a file of so many units, before anything is out */
uint64_t table_bytes(uint32_t nr_units);

/* table_init() - empty. Return: 0, -ENOMEM. */
int table_init(struct spill_table *table, struct arena *arena, uint32_t nr_units,
	       bool sealed) ZT_MUST_CHECK;

/* table_exit() - @stays: what stands in the arena is left for another process */
void table_exit(struct spill_table *table, bool stays);

/* table_chunk_make() - one more, to be handed to table_chunk_add(). No lock. Return: 0; -ENOSPC, -ENOMEM. */
int table_chunk_make(struct spill_table *table, struct spill_chunk **out_chunk,
		     struct spill_live **out_lives) ZT_MUST_CHECK;
void table_chunk_add(struct spill_table *table, struct spill_chunk *chunk, struct spill_live *lives);

/* table_take() - an entry for bytes at units that are the caller's. Return: its id; 0: none is free. */
spill_id table_take(struct spill_table *table, uint32_t unit, uint32_t size, uint32_t mask);

/* table_give() - it is free. The units are given back after that. */
void table_give(struct spill_table *table, spill_id id);

/* table_nonce() - one that was never used with the mount's key, in no life. The writer's thread. */
uint64_t table_nonce(struct spill_table *table);

/* table_punching() - a group of units is being punched, or none is any longer: UINT32_MAX */
void table_punching(struct spill_table *table, uint32_t group);

/**
 * table_attach() - what another process has left, and the units of it
 * @text: out on errors, one sentence
 * Return: 0; -EUCLEAN it makes no sense; -EINVAL it was made for another file; -ENOMEM.
 */
int table_attach(struct spill_table *table, struct spill_space *space, char text[256]) ZT_MUST_CHECK;

static inline bool table_has(const struct spill_table *table, spill_id id)
{
	return id > 0 && (id - 1) / CHUNK_ENTRIES < table->nr_chunks;
}

static inline struct spill_entry *entry_at(const struct spill_table *table, spill_id id)
{
	return &table->chunks[(id - 1) / CHUNK_ENTRIES]->entries[(id - 1) % CHUNK_ENTRIES];
}

static inline struct spill_live *live_at(const struct spill_table *table, spill_id id)
{
	return &table->lives[(id - 1) / CHUNK_ENTRIES][(id - 1) % CHUNK_ENTRIES];
}

static inline uint32_t entry_unit(const struct spill_entry *entry)
{
	return (uint32_t)entry->place;
}

static inline uint32_t entry_size(const struct spill_entry *entry)
{
	return (uint32_t)(entry->place >> 32);
}

static inline uint32_t units_of(uint32_t size)
{
	return (size + SPILL_UNIT - 1) / SPILL_UNIT;
}

#endif
