// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * attach.c - a pool found again: zspages from the page map, slots in use from the headers.
 *
 * An object is there as soon as its header says live, and gone as soon as it does not; its memory
 * is populated before and punched after. So headers and pages of a killed process fit together, and
 * anything else is damage. Objects that nothing names yet, or any longer, are found by claims: a
 * bit for each 16 bytes of the arena, set where an unclaimed object begins.
 *
 * Locks: class->lock for functions that require it; no other thread is there.
 */
#include "zsmalloc/attach.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "arena/attach.h"
#include "arena/stock.h"
#include "util/alloc.h"
#include "zsmalloc/poison.h"
#include "zsmalloc/pool_i.h"
#include "zsmalloc/zspage.h"

/* ---- claims ---- */

static bool claim_place(const struct zs_pool *pool, uint64_t ref, uint64_t *out_idx)
{
	*out_idx = ref - pool->claims_first;
	return ref >= pool->claims_first && *out_idx < pool->nr_claims;
}

static void claims_note(struct zs_pool *pool, ref_t ref)
{
	uint64_t idx;

	if (pool->claims && claim_place(pool, ref, &idx))
		pool->claims[idx / 64] |= UINT64_C(1) << (idx % 64);
}

/* For runs from the first to the last. */
static int claims_init(struct zs_pool *pool)
{
	uint64_t cursor = 0, end = 0;
	struct arena_run run;

	while (arena_run_next(pool->arena, &cursor, &run)) {
		if (pool->claims_first == 0)
			pool->claims_first = run.ref;
		end = run.ref + run.nr_pages * ARENA_PAGE_REFS;
	}
	pool->nr_claims = round_up_u64(end - pool->claims_first, 64);
	if (pool->nr_claims == 0)
		return 0;
	pool->claims = zt_map(pool->nr_claims / 8);
	return pool->claims ? 0 : -ENOMEM;
}

void zs_attach_end(struct zs_pool *pool)
{
	zt_unmap(pool->claims, pool->nr_claims / 8);
	pool->claims = NULL;
	pool->nr_claims = 0;
}

enum zs_claim zs_claim(struct zs_pool *pool, uint64_t ref)
{
	uint64_t idx, bit;

	if (!pool->claims)
		return zs_is_live(pool, ref) ? ZS_CLAIMED : ZS_NO_OBJECT;
	if (!claim_place(pool, ref, &idx))
		return ZS_NO_OBJECT;
	bit = UINT64_C(1) << (idx % 64);
	if (!(pool->claims[idx / 64] & bit))
		return zs_is_live(pool, ref) ? ZS_CLAIMED_BEFORE : ZS_NO_OBJECT;
	pool->claims[idx / 64] &= ~bit;
	return ZS_CLAIMED;
}

bool zs_is_unclaimed(const struct zs_pool *pool, uint64_t ref)
{
	uint64_t idx;

	return claim_place(pool, ref, &idx) && pool->claims[idx / 64] >> (idx % 64) & 1;
}

bool zs_claim_sized(struct zs_pool *pool, uint64_t ref, uint32_t size)
{
	return zs_claim(pool, ref) == ZS_CLAIMED && zs_size(pool->arena, ref) == size;
}

uint64_t zs_sweep(struct zs_pool *pool)
{
	uint64_t nr = 0;

	for (uint64_t i = 0; i < pool->nr_claims / 64; i++) {
		while (pool->claims[i]) {
			unsigned bit = (unsigned)__builtin_ctzll(pool->claims[i]);

			pool->claims[i] &= pool->claims[i] - 1;
			zs_free(pool, pool->claims_first + i * 64 + bit);
			nr++;
		}
	}
	return nr;
}

/* ---- zspages ---- */

static int damaged(const struct zs_pool *pool, char text[256], uint32_t page, const char *what)
{
	snprintf(text, 256, "pool %s is damaged: the zspage at page %" PRIu32 " has %s",
		 pool->params.name, page, what);
	return -EUCLEAN;
}

static bool slot_is_resident(const struct size_class *class, const uint64_t *resident,
			     uint32_t slot)
{
	uint32_t last = slot_last_page(class, slot);

	return bitmap_find(resident, false, slot_first_page(class, slot), last + 1) > last;
}

static bool header_fits(const struct size_class *class, uint64_t hdr)
{
	uint32_t fixed = class->pool->params.fixed_size;

	return hdr & HDR_LIVE && hdr_len(hdr) <= class->geo.room - ZS_HDR_SIZE &&
	       (fixed == 0 || hdr_len(hdr) == fixed);
}

/* The slots whose header can be read. */
static int read_headers(struct size_class *class, struct zspage *zspage, char text[256])
	ZT_REQUIRES(&class->lock)
{
	const uint64_t *resident = zspage_resident(class, zspage);

	for (uint32_t slot = 0; slot < class->geo.nr_objs; slot++) {
		ref_t ref = zspage_slot_ref(class, zspage, slot);
		uint64_t hdr;

		if (!bitmap_test(resident, slot_first_page(class, slot)))
			continue;
		hdr = hdr_load(class->pool->arena, ref);
		if (hdr == 0)
			continue;
		if (!header_fits(class, hdr) || !slot_is_resident(class, resident, slot))
			return damaged(class->pool, text, zspage->page,
				       "a header that makes no sense");
		bitmap_set(zspage_live(zspage), slot);
		zspage->inuse++;
		class->objects++;
		class->object_bytes += hdr_len(hdr);
		claims_note(class->pool, ref);
	}
	return 0;
}

/* A run of no use goes back: a process that was killed had only just taken it, or emptied it. */
static int attach_run(struct zs_pool *pool, const struct arena_run *run, char text[256])
{
	uint32_t idx = run->user & ((1u << ZS_USER_CLASS_BITS) - 1);
	uint32_t page = (uint32_t)(run->ref / ARENA_PAGE_REFS);
	struct size_class *class;
	struct zspage *zspage;
	int error;

	if (idx >= pool->nr_classes)
		return damaged(pool, text, page, "no class");
	class = zs_class_ready(pool, idx);
	if (run->nr_pages != class->geo.nr_pages)
		return damaged(pool, text, page, "another length than its class");
	mutex_lock(&class->lock);
	error = zspage_attach(class, page, &zspage);
	if (!error)
		error = read_headers(class, zspage, text);
	if (!error && zspage_settle(class, zspage))
		arena_attach_drop(pool->arena, run->ref);
	mutex_unlock(&class->lock);
	return error;
}

int zs_pool_attach(struct arena *arena, const struct zs_pool_params *params, bool claims,
		   char text[256], struct zs_pool **out_pool)
{
	uint64_t cursor = 0;
	struct arena_run run;
	struct zs_pool *pool;
	int error = zs_pool_create(arena, params, &pool);

	if (error)
		return error;
	if (claims)
		error = claims_init(pool);
	while (!error && arena_run_next(arena, &cursor, &run))
		if (run.type == ARENA_RUN_ZSPAGE && run.user >> ZS_USER_CLASS_BITS == params->id)
			error = attach_run(pool, &run, text);
	if (error)
		zs_pool_detach(pool);
	else
		*out_pool = pool;
	return error;
}

static bool walk_next_zspage(const struct zs_pool *pool, struct zs_attach_walk *walk)
{
	struct arena_run run;
	uint32_t offset;
	uint64_t page;

	walk->zspage = NULL;
	walk->slot = 0;
	while (!walk->zspage && arena_run_next(pool->arena, &walk->cursor, &run)) {
		walk->class = zs_find(pool, run.ref, &page, &offset);
		if (!walk->class)
			continue;
		mutex_lock(&walk->class->lock);
		walk->zspage = zspage_find(walk->class, page);
		mutex_unlock(&walk->class->lock);
	}
	return walk->zspage != NULL;
}

bool zs_attach_next(const struct zs_pool *pool, struct zs_attach_walk *walk, ref_t *out_ref)
{
	while (walk->zspage || walk_next_zspage(pool, walk)) {
		uint32_t nr = walk->class->geo.nr_objs;
		uint32_t slot = bitmap_find(zspage_live(walk->zspage), true, walk->slot, nr);

		if (slot < nr) {
			*out_ref = zspage_slot_ref(walk->class, walk->zspage, slot);
			walk->slot = slot + 1;
			return true;
		}
		walk->zspage = NULL;
	}
	return false;
}

/* ---- the end ---- */

static void class_detach(struct size_class *class)
{
	mutex_lock(&class->lock);
	for (unsigned group = 0; group < ZS_NR_GROUPS; group++)
		while (class->groups[group]) {
			room_unpoison(class->pool->arena, zspage_ref(class->groups[group]),
				      (uint64_t)class->geo.nr_pages << ZT_PAGE_SHIFT);
			zspage_forget(class, class->groups[group]);
		}
	mutex_unlock(&class->lock);
	size_class_exit(class);
}

void zs_pool_detach(struct zs_pool *pool)
{
	if (!pool)
		return;
	zs_attach_end(pool);
	for (uint32_t i = 0; i < pool->nr_classes; i++)
		if (size_class_is_ready(&pool->classes[i]))
			class_detach(&pool->classes[i]);
	zs_pool_free(pool);
}
