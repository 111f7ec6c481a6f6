/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * attach.h - the content of files found again: how a block map attaches to an arena that another
 * process has filled, and leaves one for the next.
 *
 *     blkmap_create() with params.attach        pools, codecs
 *     blkmap_attach_begin()                     what all files share: dictionaries, settings
 *     blkmap_attach_file() for each file        or blkmap_attach_clean() once
 *     blkmap_attach_end()                       what nobody names goes
 *     blkmap_start()                            background work
 *
 * Context, all of it: one thread; nobody else uses the mount.
 */
#ifndef ZT_BLKMAP_ATTACH_H
#define ZT_BLKMAP_ATTACH_H

#include "blkmap/types.h"

struct blkmap;
struct slots_attach;

/*
 * Canonical: counters of a block map that was detached. Cluster maps are listed apart from it.
 */
struct blkmap_clean {
	uint64_t nr_pages, same_pages, huge_pages, shared_pages;
	uint64_t codec_objects[BLKMAP_NR_CODECS];
};
static_assert(sizeof(struct blkmap_clean) == 8 * (4 + BLKMAP_NR_CODECS), "canonical");

/* Canonical: the same of packs, apart since it came later; zero where there are none. */
struct blkmap_clean_packs {
	uint64_t packs, packed_pages;
};

/* Canonical: one cluster map in the list of a block map that was detached. */
struct blkmap_clean_map {
	uint64_t place; /* of the slot */
	uint32_t order, setting;
};
static_assert(sizeof(struct blkmap_clean_map) == 16, "canonical");

/*
 * blkmap_attach_begin() - dictionaries and settings that the record names, by their codecs
 * Return: 0; -EUCLEAN damaged; -ENOENT, -EINVAL a codec is missing; -ENOMEM.
 */
int blkmap_attach_begin(struct blkmap *map, char text[256],
			struct slots_attach **out_attach) ZT_MUST_CHECK;

/*
 * blkmap_probe() - whether this program has the algorithms that a record of another process names
 * Return: 0; -ENOENT with a sentence.
 */
int blkmap_probe(const struct blkmap_record *record, char text[256]) ZT_MUST_CHECK;

/*
 * blkmap_attach_file() - a file's content
 * @out_end: behind the last byte that may differ from zero
 * Return: 0; -EUCLEAN; -ENOMEM.
 */
int blkmap_attach_file(struct slots_attach *attach, const struct blkmap_file *file, char text[256],
		       uint64_t *out_end) ZT_MUST_CHECK;

/*
 * blkmap_attach_end() - all files were told: sweep, and see that each codec number has its decoder
 * @attach: freed, also on errors
 * Return: 0; -EUCLEAN objects have a codec that is not there.
 */
int blkmap_attach_end(struct blkmap *map, struct slots_attach *attach, char text[256],
		      struct blkmap_repairs *out) ZT_MUST_CHECK;

/* blkmap_attach_drop() - forget a walk that has failed; NULL is allowed */
void blkmap_attach_drop(struct slots_attach *attach);

/* blkmap_attach_clean() - counters as blkmap_detach() said, instead of files */
void blkmap_attach_clean(struct blkmap *map, const struct blkmap_clean *clean,
			 const struct blkmap_clean_packs *packs);

/* blkmap_attach_map() - one cluster map of the list. Return: 0, -ENOMEM. */
int blkmap_attach_map(struct blkmap *map, const struct blkmap_clean_map *entry) ZT_MUST_CHECK;

/* blkmap_start() - background work, as params.background would have. Return: 0 or -errno. */
int blkmap_start(struct blkmap *map, char text[256]) ZT_MUST_CHECK;

/*
 * blkmap_clean_fill() - background work and writes end for good; the counters
 * blkmap_clean_maps() - the list of cluster maps: up to @max from *@inout_cursor (0 at first) on.
 * Return: how many; 0 at the end.
 */
void blkmap_clean_fill(struct blkmap *map, struct blkmap_clean *out,
		       struct blkmap_clean_packs *out_packs);
unsigned blkmap_clean_maps(struct blkmap *map, uint64_t *inout_cursor, unsigned max,
			   struct blkmap_clean_map *out);

/* blkmap_detach() - stopped; free what is on the heap, and leave the arena as it is; NULL is allowed */
void blkmap_detach(struct blkmap *map);

/* blkmap_setting_users(), blkmap_setting_add_users() - of each entry of the table, cluster maps included */
void blkmap_setting_users(const struct blkmap *map, uint64_t out[BLKMAP_NR_SETTINGS]);
void blkmap_setting_add_users(struct blkmap *map, const uint64_t users[BLKMAP_NR_SETTINGS]);

/* blkmap_data_objects() - objects in the data pool */
uint64_t blkmap_data_objects(struct blkmap *map);

#endif
