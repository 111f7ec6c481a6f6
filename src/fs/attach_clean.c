// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * attach_clean.c - what super_detach() keeps, so that the next process need not walk: counters, and
 * lists of what stands on the heap alone.
 *
 * Lists are chained objects of the metadata pool. They mean something only while the arena's state is
 * clean: a process that attaches takes them over and frees them, and one that walks sweeps them.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "fs/attach_i.h"
#include "fs/promise.h"
#include "zsmalloc/attach.h"

/* Canonical. Maps and promises have 16 bytes each. */
#define LIST_MAX 255u
struct clean_item {
	uint64_t a, b;
};
struct clean_list {
	uint64_t next; /* ref, 0: the last one */
	uint64_t nr;
	struct clean_item items[]; /* nr */
};
static_assert(sizeof(struct clean_list) == 16, "canonical");
static_assert(sizeof(struct blkmap_clean_map) == sizeof(struct clean_item), "canonical");

/* One more object in front of a list. */
static int list_add(struct super *sb, uint64_t *inout_list, const struct clean_item *items,
		    unsigned nr)
{
	struct clean_list *list;
	ref_t ref;
	int err = zs_malloc(sb->meta, (uint32_t)(sizeof(*list) + nr * sizeof(*items)), &ref);

	if (err)
		return err;
	list = zs_data(sb->arena, ref);
	list->next = *inout_list;
	list->nr = nr;
	memcpy(list->items, items, nr * sizeof(*items));
	*inout_list = ref;
	return 0;
}

static int save_maps(struct super *sb, struct super_clean *clean)
{
	struct blkmap_clean_map maps[LIST_MAX];
	struct clean_item items[LIST_MAX];
	uint64_t cursor = 0;
	unsigned nr;
	int err = 0;

	while (!err && (nr = blkmap_clean_maps(sb->map, &cursor, LIST_MAX, maps)) > 0) {
		for (unsigned i = 0; i < nr; i++) {
			memcpy(&items[i], &maps[i], sizeof(items[i]));
			/* The next process counts users of settings by these maps and its inodes. */
			if (maps[i].setting >= BLKMAP_SETTING_FIRST)
				clean->settings[maps[i].setting - BLKMAP_SETTING_FIRST]--;
		}
		err = list_add(sb, &clean->maps, items, nr);
	}
	return err;
}

struct save {
	struct super *sb;
	uint64_t list;
	int err;
};

static bool save_promise(void *arg, ino_nr ino, uint64_t nr_pages)
{
	struct save *save = arg;
	const struct clean_item item = { ino, nr_pages };

	save->err = list_add(save->sb, &save->list, &item, 1);
	return !save->err;
}

int attach_clean_save(struct super *sb)
{
	struct super_clean clean = { .nr_inodes = sb->nr_inodes, .space = sb->space };
	struct save save = { .sb = sb };
	int err;

	blkmap_clean_fill(sb->map, &clean.map, &sb->rec->clean_packs);
	blkmap_setting_users(sb->map, clean.settings);
	err = save_maps(sb, &clean);
	if (!err)
		promise_each(sb, save_promise, &save);
	clean.promises = save.list;
	sb->rec->clean = clean;
	return err ? err : save.err;
}

/* ---- and back ---- */

static int load_map(struct super *sb, const struct clean_item *item)
{
	struct blkmap_clean_map map;

	memcpy(&map, item, sizeof(map));
	return blkmap_attach_map(sb->map, &map);
}

static int load_promise(struct super *sb, const struct clean_item *item)
{
	struct inode_rec *rec = inode_get(sb, item->a);

	if (rec == NULL)
		return -EUCLEAN;
	return promise_restore(sb, item->a, rec, item->b);
}

static int load_list(struct super *sb, uint64_t ref,
		     int (*load)(struct super *sb, const struct clean_item *item))
{
	int err = 0;

	while (ref != 0 && !err) {
		const struct clean_list *list = zs_data(sb->arena, ref);
		uint64_t next;

		if (zs_claim(sb->meta, ref) != ZS_CLAIMED || list->nr > LIST_MAX ||
		    zs_size(sb->arena, ref) != sizeof(*list) + list->nr * sizeof(*list->items))
			return -EUCLEAN;
		for (uint64_t i = 0; i < list->nr && !err; i++)
			err = load(sb, &list->items[i]);
		next = list->next;
		zs_free(sb->meta, ref);
		ref = next;
	}
	return err;
}

static int load_inodes(struct super *sb)
{
	struct zs_attach_walk walk = { 0 };
	ref_t ref;
	int err = 0;

	while (!err && zs_attach_next(sb->inodes, &walk, &ref)) {
		sb->nr_inodes++;
		if (ref == sb->rec->root)
			continue;
		err = inodeset_reserve(&sb->live, sb->arena, ref);
		if (!err)
			inodeset_add(&sb->live, ref);
	}
	return err;
}

int attach_clean(struct super *sb, char text[256])
{
	const struct super_clean clean = sb->rec->clean;
	int err = load_inodes(sb);

	snprintf(text, 256, "the mount was detached, and what it kept does not agree");
	if (!err && sb->nr_inodes != clean.nr_inodes)
		err = -EUCLEAN;
	sb->space = clean.space;
	blkmap_attach_clean(sb->map, &clean.map, &sb->rec->clean_packs);
	blkmap_setting_add_users(sb->map, clean.settings);
	if (!err)
		err = load_list(sb, clean.maps, load_map);
	if (!err)
		err = load_list(sb, clean.promises, load_promise);
	return err;
}
