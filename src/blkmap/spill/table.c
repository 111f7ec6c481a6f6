// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * table.c - entries of objects that are out, in the arena. See table.h.
 *
 * Locks: none here.
 */
#include "blkmap/spill/table.h"

#include <errno.h>
#include <stdio.h>

#include "arena/attach.h"
#include "util/alloc.h"
#include "util/store.h"

/* So many numbers are said to be used before the first of them is. */
#define NONCES_AHEAD (UINT64_C(1) << 20)
#define ALL_PAGES    ((UINT64_C(1) << CHUNK_PAGES) - 1)
#define LIVES_BYTES  (CHUNK_ENTRIES * sizeof(struct spill_live))

static uint32_t max_chunks(uint32_t nr_units)
{
	return (uint32_t)div_round_up_u64(nr_units, CHUNK_ENTRIES);
}

uint64_t table_bytes(uint32_t nr_units)
{
	return (uint64_t)max_chunks(nr_units) * 2 * sizeof(void *);
}

int table_init(struct spill_table *table, struct arena *arena, uint32_t nr_units, bool sealed)
{
	*table = (struct spill_table){ .arena = arena,
				       .max_chunks = max_chunks(nr_units),
				       .nr_units = nr_units,
				       .sealed = sealed };
	table->chunks = zt_zalloc(table->max_chunks * sizeof(struct spill_chunk *));
	table->lives = zt_zalloc(table->max_chunks * sizeof(struct spill_live *));
	if (table->chunks && table->lives)
		return 0;
	table_exit(table, false);
	return -ENOMEM;
}

static void run_drop(struct arena *arena, ref_t ref)
{
	arena_punch(arena, ref, CHUNK_PAGES);
	arena_run_free(arena, ref);
}

void table_exit(struct spill_table *table, bool stays)
{
	for (uint32_t i = 0; i < table->max_chunks && table->lives; i++)
		arena_heap_free(table->arena, table->lives[i], LIVES_BYTES);
	for (uint32_t i = 0; i < table->nr_chunks && !stays; i++)
		run_drop(table->arena, arena_ref(table->arena, table->chunks[i]));
	zt_free(table->chunks);
	zt_free(table->lives);
	*table = (struct spill_table){ .nr_chunks = 0 };
}

/* ---- chunks ---- */

int table_chunk_make(struct spill_table *table, struct spill_chunk **out_chunk,
		     struct spill_live **out_lives)
{
	void *lives;
	ref_t ref;
	int error;

	if (table->nr_chunks == table->max_chunks)
		return -ENOSPC;
	error = arena_heap_alloc(table->arena, LIVES_BYTES, &lives);
	if (error)
		return error;
	error = arena_run_alloc(table->arena, CHUNK_PAGES, ARENA_RUN_SPILL, 0, &ref);
	if (error)
		goto err_lives;
	error = arena_populate(table->arena, ref, CHUNK_PAGES);
	if (error)
		goto err_run;
	*out_chunk = arena_ptr(table->arena, ref);
	*out_lives = lives;
	return 0;

err_run:
	arena_run_free(table->arena, ref);
err_lives:
	arena_heap_free(table->arena, lives, LIVES_BYTES);
	return error;
}

static void list_free(struct spill_table *table, uint32_t chunk)
{
	for (uint32_t i = CHUNK_ENTRIES; i-- > 0;) {
		struct spill_entry *entry = &table->chunks[chunk]->entries[i];

		if (entry_size(entry) > 0)
			continue;
		entry->next = table->free;
		table->free = chunk * CHUNK_ENTRIES + i + 1;
		table->nr_free++;
	}
}

void table_chunk_add(struct spill_table *table, struct spill_chunk *chunk, struct spill_live *lives)
{
	const uint32_t nr = table->nr_chunks;

	table->chunks[nr] = chunk;
	table->lives[nr] = lives;
	list_free(table, nr);
	if (nr == 0 && table->sealed)
		chunk->head.nonces = table->nonce = 1;
	zt_stored("spill: a chunk is filled");
	__atomic_store_n(&chunk->head.nr, nr + 1, __ATOMIC_RELEASE);
	zt_stored("spill: a chunk is one");
	table->nr_chunks++;
}

/* ---- entries ---- */

spill_id table_take(struct spill_table *table, uint32_t unit, uint32_t size, uint32_t mask)
{
	const spill_id id = table->free;
	struct spill_entry *entry;

	if (!id)
		return 0;
	entry = entry_at(table, id);
	table->free = entry->next;
	table->nr_free--;
	table->nr_used++;
	table->bytes += size;
	*live_at(table, id) = (struct spill_live){ .read = 0 };
	entry->mask = mask;
	entry->nonce = 0;
	__atomic_store_n(&entry->place, unit | (uint64_t)size << 32, __ATOMIC_RELEASE);
	zt_stored("spill: an entry is taken");
	return id;
}

void table_give(struct spill_table *table, spill_id id)
{
	struct spill_entry *entry = entry_at(table, id);

	table->nr_used--;
	table->bytes -= entry_size(entry);
	__atomic_store_n(&entry->place, 0, __ATOMIC_RELEASE);
	zt_stored("spill: an entry is free");
	entry->next = table->free;
	table->free = id;
	table->nr_free++;
}

uint64_t table_nonce(struct spill_table *table)
{
	struct spill_chunk_head *head = &table->chunks[0]->head;

	if (++table->nonce >= head->nonces) {
		__atomic_store_n(&head->nonces, table->nonce + NONCES_AHEAD, __ATOMIC_RELEASE);
		zt_stored("spill: nonces are said to be used");
	}
	return table->nonce;
}

void table_punching(struct spill_table *table, uint32_t group)
{
	__atomic_store_n(&table->chunks[0]->head.punching, group + 1, __ATOMIC_RELEASE);
	zt_stored("spill: a group is being punched");
}

/* ---- attached ---- */

static int bad(char text[256], const char *what)
{
	snprintf(text, 256, "the table of what is in the spill file is damaged: %s", what);
	return -EUCLEAN;
}

/* A run that was never put to use. */
static void run_forget(struct arena *arena, ref_t ref, const uint64_t *resident)
{
	for (unsigned i = 0; i < CHUNK_PAGES; i++)
		if (*resident >> i & 1)
			arena_punch(arena, ref + i * ARENA_PAGE_REFS, 1);
	arena_attach_drop(arena, ref);
}

static int chunk_find(struct spill_table *table, const struct arena_run *run, char text[256])
{
	struct spill_chunk *chunk = arena_ptr(table->arena, run->ref);
	uint64_t resident;
	void *lives;
	int error;

	if (run->nr_pages != CHUNK_PAGES)
		return bad(text, "a chunk has another size");
	arena_attach_resident(table->arena, run->ref, CHUNK_PAGES, &resident);
	if (resident != ALL_PAGES || chunk->head.nr == 0) {
		run_forget(table->arena, run->ref, &resident);
		return 0;
	}
	if (chunk->head.nr > table->max_chunks)
		return bad(text, "it is of a larger file");
	if (table->chunks[chunk->head.nr - 1])
		return bad(text, "a chunk is there twice");
	error = arena_heap_alloc(table->arena, LIVES_BYTES, &lives);
	if (error)
		return error;
	table->chunks[chunk->head.nr - 1] = chunk;
	table->lives[chunk->head.nr - 1] = lives;
	return 0;
}

static int chunks_find(struct spill_table *table, char text[256])
{
	uint64_t cursor = 0;
	struct arena_run run;
	int error = 0;

	while (!error && arena_run_next(table->arena, &cursor, &run))
		if (run.type == ARENA_RUN_SPILL)
			error = chunk_find(table, &run, text);
	if (error)
		return error;
	while (table->nr_chunks < table->max_chunks && table->chunks[table->nr_chunks])
		table->nr_chunks++;
	for (uint32_t i = table->nr_chunks; i < table->max_chunks; i++)
		if (table->chunks[i])
			return bad(text, "a chunk is missing");
	return 0;
}

static int entries_find(struct spill_table *table, uint32_t chunk, struct spill_space *space,
			char text[256])
{
	for (uint32_t i = 0; i < CHUNK_ENTRIES; i++) {
		const struct spill_entry *entry = &table->chunks[chunk]->entries[i];
		const uint32_t size = entry_size(entry);

		if (size == 0)
			continue;
		if (size > SPILL_OBJECT_MAX ||
		    !space_claim(space, entry_unit(entry), units_of(size)))
			return bad(text, "two objects have the same place, or none");
		table->nr_used++;
		table->bytes += size;
	}
	list_free(table, chunk);
	return 0;
}

int table_attach(struct spill_table *table, struct spill_space *space, char text[256])
{
	int error = chunks_find(table, text);

	for (uint32_t i = 0; i < table->nr_chunks && !error; i++)
		error = entries_find(table, i, space, text);
	if (error || table->nr_chunks == 0)
		return error;
	table->nonce = table->chunks[0]->head.nonces;
	if (table->loaded) {
		table->chunks[0]->head.nonces = table->nonce = table->sealed;
		table->chunks[0]->head.punching = 0;
	}
	if (table->sealed != (table->nonce != 0)) {
		snprintf(text, 256, "what is in the spill file is%s encrypted",
			 table->sealed ? " not" : "");
		return -EINVAL;
	}
	if (table->chunks[0]->head.punching)
		space_shun(space, table->chunks[0]->head.punching - 1);
	table_punching(table, UINT32_MAX);
	return 0;
}

static bool chunk_is_free(const struct spill_chunk *chunk)
{
	for (uint32_t i = 0; i < CHUNK_ENTRIES; i++)
		if (entry_size(&chunk->entries[i]) > 0)
			return false;
	return true;
}

int spill_none(struct arena *arena, char text[256])
{
	uint64_t cursor = 0, resident;
	struct arena_run run;

	while (arena_run_next(arena, &cursor, &run)) {
		if (run.type != ARENA_RUN_SPILL)
			continue;
		if (run.nr_pages != CHUNK_PAGES)
			return bad(text, "a chunk has another size");
		arena_attach_resident(arena, run.ref, CHUNK_PAGES, &resident);
		if (resident == ALL_PAGES && !chunk_is_free(arena_ptr(arena, run.ref))) {
			snprintf(text, 256, "some of it was left in a spill file: spill= must name one");
			return -EINVAL;
		}
		run_forget(arena, run.ref, &resident);
	}
	return 0;
}
