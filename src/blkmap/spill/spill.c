// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * spill.c - objects that are out: their entries, and how they get into the file.
 *
 * An entry belongs to the word that names it, and what it says of the bytes is read under that
 * word's lock. It is free again when no word names it and no thread is about to read it.
 *
 * Locks: spill.lock, innermost. The file is written with no lock held.
 */
#include "blkmap/spill/spill.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>

#include "arena/attach.h"
#include "blkmap/spill/keep.h"
#include "blkmap/spill/spill_i.h"
#include "util/alloc.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/sizes.h"

/* After an error nothing is written for so long: seconds. */
#define REST_SECONDS 60u
/* Copies take a part of the limit on memory at most. */
#define COPIES_DIVISOR 16u

/* ---- entries ---- */

/* One more chunk of entries. Lock not held: one thread writes. */
static int chunk_add(struct spill *spill)
{
	struct spill_chunk *chunk;
	struct spill_live *lives;
	int error = table_chunk_make(&spill->table, &chunk, &lives);

	if (error)
		return error;
	mutex_lock(&spill->lock);
	table_chunk_add(&spill->table, chunk, lives);
	mutex_unlock(&spill->lock);
	return 0;
}

void object_free(struct spill *spill, spill_id id)
{
	const struct spill_entry *entry = entry_at(&spill->table, id);
	const uint32_t unit = entry_unit(entry), nr = units_of(entry_size(entry));

	table_give(&spill->table, id);
	space_give(&spill->space, unit, nr);
	atomic_fetch_sub_explicit(&spill->used_units, nr, memory_order_relaxed);
}

void object_unpin(struct spill *spill, spill_id id)
{
	struct spill_live *live = live_at(&spill->table, id);

	if (--live->pins == 0 && live->gone && !spill->keeps)
		object_free(spill, id);
}

void spill_drop(struct spill *spill, spill_id id)
{
	struct spill_live *live = live_at(&spill->table, id);

	mutex_lock(&spill->lock);
	ZT_ASSERT(entry_size(entry_at(&spill->table, id)) > 0 && !live->gone);
	copy_forget(spill, live);
	live->gone = true;
	if (live->pins == 0 && !spill->keeps)
		object_free(spill, id);
	mutex_unlock(&spill->lock);
}

uint32_t spill_mask(const struct spill *spill, spill_id id)
{
	return entry_at(&spill->table, id)->mask;
}

uint32_t spill_len(const struct spill *spill, spill_id id)
{
	return entry_size(entry_at(&spill->table, id));
}

static bool is_live(const struct spill *spill, spill_id id)
{
	return table_has(&spill->table, id) && entry_size(entry_at(&spill->table, id)) > 0 &&
	       !live_at(&spill->table, id)->gone;
}

bool spill_is_id(struct spill *spill, spill_id id)
{
	bool is;

	mutex_lock(&spill->lock);
	is = is_live(spill, id);
	mutex_unlock(&spill->lock);
	return is;
}

/* ---- out ---- */

char *spill_batch_add(struct spill_batch *batch, uint32_t size, uint32_t mask)
{
	const uint32_t space = units_of(size) * SPILL_UNIT;
	char *bytes = batch->bytes + batch->used;

	ZT_ASSERT(size > 0 && size <= SPILL_OBJECT_MAX);
	if (batch->nr == SPILL_BATCH_ITEMS || space > SPILL_BATCH_BYTES - batch->used)
		return NULL;
	batch->items[batch->nr++] =
		(struct spill_item){ .at = batch->used, .size = size, .mask = mask };
	memset(bytes + size, 0, space - size);
	batch->used += space;
	return bytes;
}

/*
 * The items from @first on that fit into units side by side get these, and their entries.
 * Return: behind the last of them; @first: no space, or, with *@out_entries, no entry.
 */
static unsigned extent_take(struct spill *spill, struct spill_batch *batch, unsigned first,
			    uint32_t *out_unit, bool *out_entries)
{
	const struct spill_item *item = &batch->items[first];
	const uint32_t most = (batch->used - item->at) / SPILL_UNIT;
	unsigned nr = first;
	uint32_t got, unit;

	mutex_lock(&spill->lock);
	got = space_take(&spill->space, units_of(item->size), most, &unit);
	*out_unit = unit;
	*out_entries = spill->table.free != 0;
	for (; nr < batch->nr && got >= units_of(batch->items[nr].size); nr++) {
		struct spill_item *each = &batch->items[nr];

		each->id = table_take(&spill->table, unit, each->size, each->mask);
		if (!each->id)
			break;
		unit += units_of(each->size);
		got -= units_of(each->size);
	}
	if (got > 0)
		space_give(&spill->space, unit, got);
	atomic_fetch_add_explicit(&spill->used_units, unit - *out_unit, memory_order_relaxed);
	mutex_unlock(&spill->lock);
	return nr;
}

static void extent_drop(struct spill *spill, struct spill_batch *batch, unsigned first,
			unsigned end)
{
	for (; first < end; first++) {
		spill_drop(spill, batch->items[first].id);
		batch->items[first].id = 0;
	}
}

static void note_write(struct spill *spill, int error)
{
	bool tell;

	mutex_lock(&spill->lock);
	tell = error && !spill->told_write;
	spill->told_write = error != 0;
	mutex_unlock(&spill->lock);
	if (!error)
		return;
	atomic_fetch_add_explicit(&spill->write_errors, 1, memory_order_relaxed);
	atomic_store_explicit(&spill->failed_until,
			      zt_now_ns() / ZT_NS_PER_S + REST_SECONDS, memory_order_relaxed);
	if (tell)
		zt_log(ZT_LOG_ERR,
		       "spill: cannot write: %s; what is in memory stays there, and it is tried again "
		       "in %u seconds",
		       strerror(-error), REST_SECONDS);
}

/* What is in the entry of an item when its bytes are in the file; where it is wanted they are encrypted. */
static void item_seal(struct spill *spill, const struct spill_item *item, char *bytes)
{
	struct spill_entry *entry = entry_at(&spill->table, item->id);
	const struct seal_about about = { item->id, entry_unit(entry), item->size, item->mask };

	if (!spill->key) {
		entry->sum = XXH3_64bits(bytes, item->size);
		return;
	}
	entry->nonce = table_nonce(&spill->table);
	seal_close(spill->key, entry->nonce, &about, bytes, entry->tag);
}

/* Items that stand side by side in the batch and in the file. */
static int extent_write(struct spill *spill, struct spill_batch *batch, unsigned first,
			unsigned end, uint32_t unit)
{
	const struct spill_item *last = &batch->items[end - 1];
	const uint32_t at = batch->items[first].at;
	const size_t len = last->at + units_of(last->size) * SPILL_UNIT - at;
	int error;

	for (unsigned i = first; i < end; i++)
		item_seal(spill, &batch->items[i], batch->bytes + batch->items[i].at);
	error = file_write(spill, (uint64_t)unit * SPILL_UNIT, batch->bytes + at, len);
	note_write(spill, error);
	if (error)
		extent_drop(spill, batch, first, end);
	else
		atomic_fetch_add_explicit(&spill->written, end - first, memory_order_relaxed);
	return error;
}

/*
 * Entries are made before the last ones are used: where memory is used up what goes out by those
 * that are left makes space for them.
 */
static void entries_ahead(struct spill *spill)
{
	bool few;

	mutex_lock(&spill->lock);
	few = spill->table.nr_free < 2 * SPILL_BATCH_ITEMS;
	mutex_unlock(&spill->lock);
	if (few && chunk_add(spill) != 0)
		return; /* there are still some, or the write says so */
}

int spill_write(struct spill *spill, struct spill_batch *batch)
{
	unsigned first = 0;
	int error = 0;

	entries_ahead(spill);

	while (first < batch->nr && !error) {
		bool entries;
		uint32_t unit;
		unsigned end = extent_take(spill, batch, first, &unit, &entries);

		if (end > first)
			error = extent_write(spill, batch, first, end, unit);
		else
			error = entries ? -ENOSPC : chunk_add(spill);
		first = end;
	}
	return error;
}

void spill_give_back(struct spill *spill)
{
	uint32_t group = 0;

	for (;; group++) {
		bool found;

		/* No other thread writes, so that the group stays free. */
		mutex_lock(&spill->lock);
		found = space_next_stale(&spill->space, &group);
		mutex_unlock(&spill->lock);
		if (!found)
			break;
		table_punching(&spill->table, group);
		file_punch(spill, (uint64_t)group * SPACE_GROUP_UNITS * SPILL_UNIT,
			   (uint64_t)SPACE_GROUP_UNITS * SPILL_UNIT);
	}
	if (group > 0)
		table_punching(&spill->table, UINT32_MAX);
}

void spill_get_stat(struct spill *spill, struct spill_stat *out_stat)
{
	*out_stat = (struct spill_stat){ .size = 0 };
	if (!spill)
		return;
	mutex_lock(&spill->lock);
	out_stat->objects = spill->table.nr_used;
	out_stat->bytes = spill->table.bytes;
	out_stat->used = (uint64_t)spill->space.nr_used * SPILL_UNIT;
	mutex_unlock(&spill->lock);
	out_stat->size = spill->size;
	out_stat->written = atomic_load_explicit(&spill->written, memory_order_relaxed);
	out_stat->fetched = atomic_load_explicit(&spill->fetched, memory_order_relaxed);
	out_stat->write_errors = atomic_load_explicit(&spill->write_errors, memory_order_relaxed);
	out_stat->read_errors = atomic_load_explicit(&spill->read_errors, memory_order_relaxed);
}

/* ---- life ---- */

static int tables_init(struct spill *spill)
{
	const uint32_t nr_units = (uint32_t)(spill->size / SPILL_UNIT);
	int error = space_init(&spill->space, nr_units);

	if (!error)
		error = table_init(&spill->table, spill->arena, nr_units, spill->key != NULL);
	if (error)
		return error;
	spill->copy_bytes = zt_map((size_t)spill->nr_copies * COPY_BYTES);
	if (!spill->copy_bytes)
		return -ENOMEM;
	for (unsigned i = 0; i < spill->nr_copies; i++)
		spill->copies[i].data = spill->copy_bytes + (size_t)i * COPY_BYTES;
	spill->table.loaded = spill->loaded;
	return 0;
}

static void tables_exit(struct spill *spill, bool stays)
{
	table_exit(&spill->table, stays);
	zt_unmap(spill->copy_bytes, (size_t)spill->nr_copies * COPY_BYTES);
	space_exit(&spill->space);
}

/*
 * The file has the bytes of an image, in the clear, and the entries say what vouched for them where
 * they came from. One thread, before anything else.
 */
static int adopt(struct spill *spill, char error_text[256])
{
	char *bytes = spill->copies[0].data;
	int error = 0;

	for (spill_id id = 1; table_has(&spill->table, id) && !error; id++) {
		const struct spill_entry *entry = entry_at(&spill->table, id);
		struct spill_item item = { .size = entry_size(entry), .mask = entry->mask, .id = id };
		const uint64_t off = (uint64_t)entry_unit(entry) * SPILL_UNIT;
		const size_t len = (size_t)units_of(item.size) * SPILL_UNIT;

		if (item.size == 0)
			continue;
		error = file_read(spill, off, &(struct iovec){ bytes, len }, 1);
		if (!error)
			item_seal(spill, &item, bytes);
		if (!error && spill->key)
			error = file_write(spill, off, bytes, len);
	}
	if (error)
		snprintf(error_text, 256, "the spill file cannot be filled: %s", strerror(-error));
	return error;
}

/* What is there already, or an empty table. */
static int tables_fill(struct spill *spill, bool attach, char error_text[256])
{
	int error = attach ? table_attach(&spill->table, &spill->space, error_text) : 0;

	if (!error && spill->loaded && spill->fd >= 0)
		error = adopt(spill, error_text);
	if (error)
		return error;
	if (attach)
		space_all_stale(&spill->space);
	atomic_store_explicit(&spill->used_units, spill->space.nr_used, memory_order_relaxed);
	return spill->table.nr_chunks > 0 ? 0 : chunk_add(spill);
}

/* As many copies as a part of the limit holds. */
static unsigned copies_for(const struct arena *arena)
{
	struct arena_stat stat;

	arena_get_stat(arena, &stat);
	if (!stat.limit)
		return COPIES_MAX;
	return (unsigned)min_u64(max_u64(stat.limit / COPIES_DIVISOR / COPY_BYTES, COPIES_MIN),
				 COPIES_MAX);
}

static int set_aside(struct spill *spill, char error_text[256])
{
	const uint32_t nr_units = (uint32_t)(spill->size / SPILL_UNIT);
	int error;

	spill->set_aside = sizeof(*spill) + space_bytes(nr_units) +
			   table_bytes(nr_units) +
			   (uint64_t)spill->nr_copies * COPY_BYTES;
	error = arena_set_aside(spill->arena, spill->set_aside);
	if (error)
		snprintf(error_text, 256, "the memory limit is too small: spill= takes %llu KiB of it",
			 (unsigned long long)(spill->set_aside / KIB));
	return error;
}

static int params_check(const struct spill_params *params, char error_text[256])
{
	if (params->size < SPILL_SIZE_MIN || params->size / SPILL_UNIT >= UINT32_MAX) {
		snprintf(error_text, 256, "a spill file has 1 MiB to 16 TiB");
		return -EINVAL;
	}
	if (params->key && seal_start() != 0) {
		snprintf(error_text, 256, "this build cannot encrypt what is in a spill file");
		return -EOPNOTSUPP;
	}
	return 0;
}

int spill_create(const struct spill_params *params, char error_text[256], struct spill **out_spill)
{
	struct spill *spill;
	int error = params_check(params, error_text);

	if (error)
		return error;
	snprintf(error_text, 256, "no memory");
	spill = zt_zalloc(sizeof(*spill));
	if (!spill)
		return -ENOMEM;
	spill->fd = params->fd;
	spill->size = params->size / SPILL_UNIT * SPILL_UNIT;
	spill->arena = params->arena;
	spill->key = params->key;
	spill->loaded = params->loaded;
	spill->nr_copies = copies_for(params->arena);
	error = set_aside(spill, error_text);
	if (error)
		goto err_free;
	mutex_init(&spill->lock, ZT_RANK_SPILL);
	cond_init(&spill->cond);
	readers_begin(spill);
	spill->most_waiting = UINT_MAX;
	error = tables_init(spill);
	if (!error)
		error = tables_fill(spill, params->attach, error_text);
	if (error)
		goto err_tables;
	arena_set_spills(spill->arena);
	*out_spill = spill;
	return 0;

err_tables:
	tables_exit(spill, params->attach);
	readers_end(spill);
	cond_exit(&spill->cond);
	mutex_exit(&spill->lock);
	arena_unset_aside(spill->arena, spill->set_aside);
err_free:
	zt_free(spill);
	return error;
}

bool spill_claim(struct spill *spill, spill_id id)
{
	if (!is_live(spill, id) || live_at(&spill->table, id)->claimed)
		return false;
	live_at(&spill->table, id)->claimed = true;
	return true;
}

uint64_t spill_sweep(struct spill *spill)
{
	uint64_t nr = 0;

	mutex_lock(&spill->lock);
	for (spill_id id = 1; table_has(&spill->table, id); id++) {
		if (entry_size(entry_at(&spill->table, id)) == 0 ||
		    live_at(&spill->table, id)->claimed)
			continue;
		/* Its units stay as they are in this life: somebody may be writing there still. */
		if (spill->loaded)
			object_free(spill, id);
		else
			table_give(&spill->table, id);
		nr++;
	}
	mutex_unlock(&spill->lock);
	return nr;
}

void spill_destroy(struct spill *spill, bool stays)
{
	if (!spill)
		return;
	spill_keep_end(spill);
	readers_end(spill);
	cond_exit(&spill->cond);
	mutex_exit(&spill->lock);
	tables_exit(spill, stays);
	arena_unset_aside(spill->arena, spill->set_aside);
	zt_free(spill);
}
