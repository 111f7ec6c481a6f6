// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * clone_links.c - which inodes with several names were copied. See clone_links.h.
 *
 * A table with open addressing, at most half full. Locks: none.
 */
#include "fs/clone_links.h"

#include <errno.h>

#include "util/alloc.h"

struct clone_link {
	struct clone_source source;
	ino_nr ino; /* 0: the place is free */
};

/* Numbers are places in the arena: neighbours differ in bits that are not the lowest. */
static size_t first_place(const struct clone_links *links, ino_nr ino)
{
	return (size_t)(ino * UINT64_C(0x9e3779b97f4a7c15) >> 20) & (links->size - 1);
}

static struct clone_link *place_of(const struct clone_links *links,
				   const struct clone_source *source)
{
	size_t i = first_place(links, source->ino);

	while (links->table[i].ino && (links->table[i].source.ino != source->ino ||
				       links->table[i].source.generation != source->generation))
		i = (i + 1) & (links->size - 1);
	return &links->table[i];
}

static int grow(struct clone_links *links)
{
	const struct clone_links old = *links;
	struct clone_links new = { .size = old.size ? old.size * 2 : 64, .nr = old.nr };

	new.table = zt_zalloc(new.size * sizeof(*new.table));
	if (!new.table)
		return -ENOMEM;
	for (size_t i = 0; i < old.size; i++)
		if (old.table[i].ino)
			*place_of(&new, &old.table[i].source) = old.table[i];
	zt_free(old.table);
	*links = new;
	return 0;
}

int clone_links_add(struct clone_links *links, const struct clone_source *source, ino_nr ino)
{
	int err = links->nr * 2 >= links->size ? grow(links) : 0;

	if (err)
		return err;
	*place_of(links, source) = (struct clone_link){ .source = *source, .ino = ino };
	links->nr++;
	return 0;
}

ino_nr clone_links_find(const struct clone_links *links, const struct clone_source *source)
{
	return links->size ? place_of(links, source)->ino : 0;
}

void clone_links_exit(struct clone_links *links)
{
	zt_free(links->table);
	*links = (struct clone_links){ 0 };
}
