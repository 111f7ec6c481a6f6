// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * keep.c - all that is out at one moment, for an image. See keep.h.
 *
 * Locks: spill.lock, innermost.
 */
#include "blkmap/spill/keep.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "blkmap/spill/spill_i.h"
#include "util/alloc.h"
#include "util/sizes.h"

/* Pages of an image have 32 bits, and those of an arena come first: 4 TiB. */
#define UNIT_MOST (UINT32_MAX - (UINT32_C(1) << 30))

int spill_keep(struct spill *spill)
{
	int error = 0;

	mutex_lock(&spill->lock);
	if (spill->keeps)
		error = -EBUSY;
	spill->keeps = true;
	mutex_unlock(&spill->lock);
	return error;
}

static int by_place(const void *a, const void *b)
{
	const struct spill_listed *one = a, *other = b;

	return one->unit < other->unit ? -1 : one->unit > other->unit;
}

static uint64_t list_bytes(const struct spill *spill)
{
	return max_u64(spill->nr_listed, 1) * sizeof(*spill->listed);
}

/* Entries stay as they are: nobody writes, and nothing is given back. */
static uint64_t fill(struct spill *spill, struct spill_listed *list, uint64_t max)
{
	uint64_t nr = 0, units = 0;

	for (spill_id id = 1; table_has(&spill->table, id) && nr < max; id++) {
		const struct spill_entry *entry = entry_at(&spill->table, id);

		if (entry_size(entry) > 0)
			list[nr++] = (struct spill_listed){ .unit = entry_unit(entry), .id = id };
	}
	ZT_ASSERT(nr == max);
	qsort(list, nr, sizeof(*list), by_place);
	for (uint64_t i = 0; i < nr; i++) {
		list[i].first = units;
		units += units_of(entry_size(entry_at(&spill->table, list[i].id)));
	}
	return units;
}

int spill_keep_list(struct spill *spill, uint64_t *out_units, uint64_t *out_objects)
{
	struct spill_listed *list;
	uint64_t nr, units;
	void *space;
	int error;

	mutex_lock(&spill->lock);
	ZT_ASSERT(spill->keeps && !spill->listed);
	nr = spill->table.nr_used;
	mutex_unlock(&spill->lock);
	error = arena_heap_alloc(spill->arena, max_u64(nr, 1) * sizeof(*list), &space);
	if (error)
		return error;
	list = space;
	units = fill(spill, list, nr);
	mutex_lock(&spill->lock);
	spill->listed = list;
	spill->nr_listed = nr;
	spill->listed_units = units;
	mutex_unlock(&spill->lock);
	*out_units = units;
	*out_objects = nr;
	return nr > 0 && list[nr - 1].unit > UNIT_MOST ? -EFBIG : 0;
}

int spill_keep_at(struct spill *spill, uint64_t idx, struct spill_kept *out)
{
	int error = 0;

	mutex_lock(&spill->lock);
	if (!spill->listed || idx >= spill->nr_listed)
		error = -ESTALE;
	else
		*out = (struct spill_kept){
			spill->listed[idx].unit,
			units_of(entry_size(entry_at(&spill->table, spill->listed[idx].id))),
		};
	mutex_unlock(&spill->lock);
	return error;
}

/* The object that unit @at of all is of. */
static const struct spill_listed *find(const struct spill *spill, uint64_t at)
{
	uint64_t from = 0, to = spill->nr_listed;

	while (to - from > 1) {
		const uint64_t mid = from + (to - from) / 2;

		if (spill->listed[mid].first <= at)
			from = mid;
		else
			to = mid;
	}
	return &spill->listed[from];
}

/* A look at one of them. */
struct one {
	spill_id id;
	struct spill_entry entry; /* as it was while the lock was held */
	uint64_t first; /* unit of all */
};

static int look(struct spill *spill, uint64_t at, struct one *out)
{
	int error = 0;

	mutex_lock(&spill->lock);
	if (!spill->listed) {
		error = -ESTALE;
	} else if (at >= spill->listed_units) {
		error = -ENODATA;
	} else {
		const struct spill_listed *listed = find(spill, at);

		*out = (struct one){ listed->id, *entry_at(&spill->table, listed->id),
				     listed->first };
	}
	mutex_unlock(&spill->lock);
	return error;
}

/* All of it; what was given up meanwhile is another, and its reader hears that by spill_keep_at(). */
static int read_one(struct spill *spill, const struct one *one, char *buf)
{
	const uint32_t size = entry_size(&one->entry), space = units_of(size) * SPILL_UNIT;
	struct iovec iov = { buf, space };
	int error = file_read(spill, (uint64_t)entry_unit(&one->entry) * SPILL_UNIT, &iov, 1);

	if (!error)
		error = entry_open(spill, one->id, &one->entry, buf);
	if (!error)
		memset(buf + size, 0, space - size);
	return error == -EBADMSG ? -EIO : error;
}

int spill_keep_read(struct spill *spill, uint64_t off, void *buf, size_t len, size_t *out_done)
{
	char *copy = zt_map(COPY_BYTES), *to = buf;
	size_t done = 0;
	int error = copy ? 0 : -ENOMEM;

	while (!error && done < len) {
		const uint64_t at = (off + done) / SPILL_UNIT;
		struct one one;
		uint64_t skip, part;

		error = look(spill, at, &one);
		if (error)
			break;
		error = read_one(spill, &one, copy);
		if (error)
			break;
		skip = (at - one.first) * SPILL_UNIT;
		part = min_u64((uint64_t)units_of(entry_size(&one.entry)) * SPILL_UNIT - skip,
			       len - done);
		memcpy(to + done, copy + skip, part);
		done += part;
	}
	zt_unmap(copy, COPY_BYTES);
	if (error && error != -ENODATA)
		return error;
	*out_done = done;
	return 0;
}

void spill_keep_end(struct spill *spill)
{
	struct spill_listed *list;
	uint64_t bytes;

	mutex_lock(&spill->lock);
	list = spill->listed;
	bytes = list_bytes(spill);
	spill->listed = NULL;
	spill->nr_listed = 0;
	if (spill->keeps) {
		spill->keeps = false;
		for (spill_id id = 1; table_has(&spill->table, id); id++)
			if (live_at(&spill->table, id)->gone && live_at(&spill->table, id)->pins == 0 &&
			    entry_size(entry_at(&spill->table, id)) > 0)
				object_free(spill, id);
	}
	mutex_unlock(&spill->lock);
	if (list)
		arena_heap_free(spill->arena, list, bytes);
}
