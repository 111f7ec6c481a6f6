/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirblock.h - one block of a directory: entries packed side by side.
 *
 * A block is an array of 8-byte units, 7 to DIRBLOCK_UNITS of them: with the pool's header word
 * exactly a power of two. Entries fill it without gaps between them; what is free is an entry too,
 * and no two free ones stand side by side.
 *
 *     unit:     at              at + 1 ...
 *     entry:    header          name, padded with zeros
 *     free:     header, ino 0   whatever
 *
 * An entry never moves, and appears and disappears by one store of its header.
 *
 * Locks: the directory's inode lock; shared for finding and walking, exclusive for the rest.
 */
#ifndef ZT_FS_DIRBLOCK_H
#define ZT_FS_DIRBLOCK_H

#include <stdbool.h>
#include <stdint.h>

#define DIRBLOCK_UNITS       511u /* of a full-grown block */
#define DIRBLOCK_UNITS_FIRST 7u /* of the smallest one */

#define DIRBLOCK_MAX_NAMES   (DIRBLOCK_UNITS / 2) /* a header and a unit of name each */

/* Header: ino (40 bits) | name_len (8) | type (4: mode >> 12) | length in units (10) | 2 bits 0. */
#define DIRENT_LEN_SHIFT   40
#define DIRENT_TYPE_SHIFT  48
#define DIRENT_UNITS_SHIFT 52

static inline uint64_t dirent_ino(uint64_t header)
{
	return header & ((UINT64_C(1) << DIRENT_LEN_SHIFT) - 1);
}

static inline unsigned dirent_name_len(uint64_t header)
{
	return (header >> DIRENT_LEN_SHIFT) & 0xff;
}

static inline unsigned dirent_type(uint64_t header)
{
	return (header >> DIRENT_TYPE_SHIFT) & 0xf;
}

static inline unsigned dirent_units(uint64_t header)
{
	return (header >> DIRENT_UNITS_SHIFT) & 0x3ff;
}

static inline const char *dirent_name(const uint64_t *header)
{
	return (const char *)(header + 1);
}

/** dirent_units_for() - what an entry with a name of that length takes */
static inline unsigned dirent_units_for(unsigned name_len)
{
	return 1 + (name_len + 7) / 8;
}

/* What is free in a block. */
struct dirblock_space {
	uint16_t free; /* units in all */
	uint16_t gap; /* units of the largest free entry, 0: there is none */
	uint16_t gap_at; /* where it is */
};

/** dirblock_init() - make all of it free */
void dirblock_init(uint64_t *block, unsigned units);

/** dirblock_units_for() - the smallest block that takes an entry of @need units */
unsigned dirblock_units_for(unsigned need);

/** dirblock_find() - where a name stands. Return: false when it is not here. */
bool dirblock_find(const uint64_t *block, unsigned units, const char *name, unsigned name_len,
		   unsigned *out_at);

/** dirblock_scan() - find out what is free */
void dirblock_scan(const uint64_t *block, unsigned units, struct dirblock_space *out_space);

/* A name that comes into a block. */
struct dirblock_name {
	const char *text;
	unsigned len;
	uint64_t ino; /* what it leads to, */
	unsigned type; /* and its mode >> 12 */
};

/**
 * dirblock_insert() - put an entry into the largest gap, which must be large enough; updates @space
 * Return: where it stands.
 */
unsigned dirblock_insert(uint64_t *block, unsigned units, struct dirblock_space *space,
			 const struct dirblock_name *name);

/**
 * dirblock_remove() - free the entry at @at, join it with its neighbours, and find out what is free
 */
void dirblock_remove(uint64_t *block, unsigned units, unsigned at,
		     struct dirblock_space *out_space);

/** dirblock_replace() - let the name at @at lead to another inode */
void dirblock_replace(uint64_t *block, unsigned at, uint64_t ino, unsigned type);

/** dirblock_copy() - the same entries at the same places in a larger block */
void dirblock_copy(uint64_t *to, unsigned to_units, const uint64_t *from, unsigned from_units);

/** dirblock_check() - whether all the rules above hold */
bool dirblock_check(const uint64_t *block, unsigned units);

#endif
