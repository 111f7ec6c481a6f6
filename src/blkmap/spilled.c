// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * spilled.c - contents that stand in the spill file: what callers of the block map do about it. No locks.
 */
#include "blkmap/spilled.h"

#include "blkmap/parts.h"
#include "blkmap/upkeep/spiller.h"

bool blkmap_spills(const struct blkmap *map)
{
	return map->slots.spill != NULL;
}

bool blkmap_may_need_disk(const struct blkmap *map, const struct blkmap_file *file, uint64_t off,
			  size_t len)
{
	const uint32_t size = cluster_size(file->order);

	return map->slots.spill && (off % size || (off + len) % size);
}

void blkmap_spill_wait(struct blkmap *map, const struct spill_patience *patience)
{
	if (map->slots.spill)
		spill_fetch(map->slots.spill, patience);
}

void blkmap_spill_waiters(struct blkmap *map, unsigned most)
{
	if (map->slots.spill)
		spill_set_waiters(map->slots.spill, most);
}

void blkmap_spill_done(struct blkmap *map)
{
	if (map->slots.spill)
		spill_done(map->slots.spill);
}

int blkmap_fetch(struct blkmap *map, const struct blkmap_file *file, uint64_t off,
		 uint64_t *out_next)
{
	return content_fetch(&map->content, file, off, out_next);
}

uint64_t blkmap_spill_now(struct blkmap *map, unsigned idle, uint64_t most)
{
	return map->upkeep.spiller ? spiller_now(map->upkeep.spiller, idle, most) : 0;
}

uint64_t blkmap_spill_kick(struct blkmap *map)
{
	return map->upkeep.spiller ? spiller_kick(map->upkeep.spiller) : 0;
}

uint64_t blkmap_spill_left(const struct blkmap *map)
{
	return map->slots.spill ? spill_free_bytes(map->slots.spill) : 0;
}

int blkmap_keep_begin(struct blkmap *map) ZT_NO_LOCK_CHECK /* it is released by blkmap_keep_go_on() */
{
	int error;

	if (!map->slots.spill)
		return 0;
	spiller_make_space(map->upkeep.spiller);
	spiller_hold(map->upkeep.spiller);
	error = spill_keep(map->slots.spill);
	if (error)
		spiller_release(map->upkeep.spiller);
	return error;
}

int blkmap_keep_list(struct blkmap *map, uint64_t *out_pages, uint64_t *out_objects)
{
	*out_pages = *out_objects = 0;
	return map->slots.spill ? spill_keep_list(map->slots.spill, out_pages, out_objects) : 0;
}

void blkmap_keep_go_on(struct blkmap *map) ZT_NO_LOCK_CHECK /* blkmap_keep_begin() has taken it */
{
	if (map->slots.spill)
		spiller_release(map->upkeep.spiller);
}

int blkmap_keep_at(struct blkmap *map, uint64_t idx, struct spill_kept *out)
{
	return map->slots.spill ? spill_keep_at(map->slots.spill, idx, out) : -ESTALE;
}

int blkmap_keep_read(struct blkmap *map, uint64_t off, void *buf, size_t len, size_t *out_done)
{
	return map->slots.spill ? spill_keep_read(map->slots.spill, off, buf, len, out_done) :
				  -ESTALE;
}

void blkmap_keep_end(struct blkmap *map)
{
	if (map->slots.spill)
		spill_keep_end(map->slots.spill);
}
