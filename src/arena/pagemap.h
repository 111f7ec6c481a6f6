/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pagemap.h - which page belongs to which run: one 4-byte entry per page, canonical.
 *
 *     bit 31      bits 16..30                  bits 4..15   bits 0..3
 *     head (1)    pages of the run (1..1024)   user         type
 *     tail (0)    pages since the head         user         type
 *     0: the page is free
 *
 * So one or two loads find head, length and user of the run around any page. The map describes the
 * pages behind itself only; it is populated page by page, each describing 4 MiB, as the arena
 * grows.
 *
 * Entries are written under arena.lock and read without it, as atomics: a reader that holds a live
 * run sees its entries, since it learned of the run from the thread that allocated it.
 */
#ifndef ZT_ARENA_PAGEMAP_H
#define ZT_ARENA_PAGEMAP_H

#include <stdbool.h>
#include <stdint.h>

#include "arena/arena.h"

/* A run as the map sees it, in pages counted from the first one that the map describes. */
struct pagemap_run {
	uint32_t first;
	uint32_t nr_pages;
	enum arena_run_type type;
	uint32_t user;
};

/** pagemap_set() - enter a run whose entries are all free */
void pagemap_set(uint32_t *map, const struct pagemap_run *run);

/** pagemap_clear() - make the entries of a run free; its length is read from the head */
void pagemap_clear(uint32_t *map, uint32_t first);

/**
 * pagemap_find() - the run around @page
 * @end: entries from there on must not be touched
 * Return: false when the page is free or its entry makes no sense.
 */
bool pagemap_find(const uint32_t *map, uint32_t end, uint32_t page, struct pagemap_run *out_run);

/** pagemap_is_head() - whether a run begins at @page */
bool pagemap_is_head(const uint32_t *map, uint32_t page);

/** pagemap_wipe() - make an entry free that belongs to no run. Return: whether it was not. */
bool pagemap_wipe(uint32_t *map, uint32_t page);

/** pagemap_next() - the first run whose head is at or behind @page; false when there is none */
bool pagemap_next(const uint32_t *map, uint32_t end, uint32_t page, struct pagemap_run *out_run);

#endif
