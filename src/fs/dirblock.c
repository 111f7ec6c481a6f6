// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * dirblock.c - one block of a directory. See dirblock.h for its layout and locks.
 */
#include "fs/dirblock.h"

#include <string.h>

#include "util/compiler.h"
#include "util/store.h"

static_assert(DIRBLOCK_UNITS < 1u << 10, "a free entry as long as a block has to fit its header");

static inline uint64_t header_free(unsigned units)
{
	return (uint64_t)units << DIRENT_UNITS_SHIFT;
}

static inline uint64_t header_make(uint64_t ino, unsigned name_len, unsigned type)
{
	return ino | (uint64_t)name_len << DIRENT_LEN_SHIFT | (uint64_t)type << DIRENT_TYPE_SHIFT |
	       (uint64_t)dirent_units_for(name_len) << DIRENT_UNITS_SHIFT;
}

/* What is to be seen with the entry is stored before it. */
static inline void header_store(uint64_t *header, uint64_t value, const char *point)
{
	__atomic_store_n(header, value, __ATOMIC_RELEASE);
	zt_stored(point);
}

void dirblock_init(uint64_t *block, unsigned units)
{
	block[0] = header_free(units);
}

unsigned dirblock_units_for(unsigned need)
{
	unsigned units = DIRBLOCK_UNITS_FIRST;

	while (units < need)
		units = units * 2 + 1;
	return units;
}

bool dirblock_find(const uint64_t *block, unsigned units, const char *name, unsigned name_len,
		   unsigned *out_at)
{
	for (unsigned at = 0; at < units; at += dirent_units(block[at])) {
		if (dirent_name_len(block[at]) != name_len || dirent_ino(block[at]) == 0)
			continue;
		if (memcmp(dirent_name(&block[at]), name, name_len) == 0) {
			*out_at = at;
			return true;
		}
	}
	return false;
}

static inline void space_add(struct dirblock_space *space, unsigned at, unsigned units)
{
	space->free += units;
	if (units > space->gap) {
		space->gap = units;
		space->gap_at = at;
	}
}

void dirblock_scan(const uint64_t *block, unsigned units, struct dirblock_space *out_space)
{
	struct dirblock_space space = { 0 };

	for (unsigned at = 0; at < units; at += dirent_units(block[at]))
		if (dirent_ino(block[at]) == 0)
			space_add(&space, at, dirent_units(block[at]));
	*out_space = space;
}

unsigned dirblock_insert(uint64_t *block, unsigned units, struct dirblock_space *space,
			 const struct dirblock_name *name)
{
	unsigned at = space->gap_at, need = dirent_units_for(name->len);
	bool only_gap = space->free == space->gap;

	ZT_ASSERT(need <= space->gap);
	if (need < space->gap)
		block[at + need] = header_free(space->gap - need);
	block[at + need - 1] = 0;
	memcpy(&block[at + 1], name->text, name->len);
	header_store(&block[at], header_make(name->ino, name->len, name->type),
		     "dirblock: an entry");

	/* Entries that are appended one after the other, the usual way, cost no scan. */
	if (only_gap) {
		space->free -= need;
		space->gap -= need;
		space->gap_at = space->gap ? at + need : 0;
	} else {
		dirblock_scan(block, units, space);
	}
	return at;
}

void dirblock_remove(uint64_t *block, unsigned units, unsigned at, struct dirblock_space *out_space)
{
	struct dirblock_space space = { 0 };
	unsigned pos = 0;

	while (pos < units) {
		unsigned len = dirent_units(block[pos]), next = pos + len;

		if (dirent_ino(block[pos]) != 0 && pos != at) {
			pos = next;
			continue;
		}
		/*
		 * Free, or to be: with the gaps around the removed one it becomes one free entry.
		 */
		while (next < units && (dirent_ino(block[next]) == 0 || next == at))
			next += dirent_units(block[next]);
		if (block[pos] != header_free(next - pos))
			header_store(&block[pos], header_free(next - pos), "dirblock: one less");
		space_add(&space, pos, next - pos);
		pos = next;
	}
	*out_space = space;
}

void dirblock_replace(uint64_t *block, unsigned at, uint64_t ino, unsigned type)
{
	header_store(&block[at], header_make(ino, dirent_name_len(block[at]), type),
		     "dirblock: another inode");
}

void dirblock_copy(uint64_t *to, unsigned to_units, const uint64_t *from, unsigned from_units)
{
	unsigned at = 0, last = 0;

	memcpy(to, from, from_units * sizeof(*from));
	for (; at < from_units; at += dirent_units(to[at]))
		last = at;
	if (dirent_ino(to[last]) == 0)
		to[last] = header_free(to_units - last);
	else
		to[from_units] = header_free(to_units - from_units);
}

static bool name_is_sound(const char *name, unsigned len)
{
	return len > 0 && memchr(name, '\0', len) == NULL && memchr(name, '/', len) == NULL;
}

bool dirblock_check(const uint64_t *block, unsigned units)
{
	bool was_free = false;
	unsigned at = 0;

	while (at < units) {
		uint64_t header = block[at];
		unsigned len = dirent_units(header), name_len = dirent_name_len(header);
		bool is_free = dirent_ino(header) == 0;

		if (len == 0 || len > units - at || (is_free && was_free))
			return false;
		if (!is_free && (len != dirent_units_for(name_len) ||
				 !name_is_sound(dirent_name(&block[at]), name_len)))
			return false;
		was_free = is_free;
		at += len;
	}
	return true;
}
