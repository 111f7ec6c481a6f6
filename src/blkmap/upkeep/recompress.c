// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * recompress.c - the recompressor: what it needs, what is set aside for it, and its counters.
 *
 * scan.c finds objects, pass.c makes better ones, publish.c puts them in place, and
 * recompress_thread.c says when.
 */
#include "blkmap/upkeep/recompress.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "blkmap/upkeep/dedup.h"
#include "util/alloc.h"

/* What a compressor of a pass takes; @dict_size: bytes of a dictionary, or 0. */
static int measure_compressor(const struct recompressor *rc, uint32_t unit, size_t dict_size,
			      char error_text[256], uint64_t *out_bytes)
{
	struct zcomp_config config = {
		.name = rc->name,
		.level = rc->level,
		.unit = unit,
		.nr_streams = 1,
		.dict = dict_size > 0 ? rc->in : NULL, /* any bytes are one */
		.dict_size = dict_size,
	};
	struct zcomp *comp;
	int error = zcomp_create(&config, error_text, &comp);

	if (error)
		return error;
	*out_bytes = zcomp_memory(comp);
	zcomp_destroy(comp);
	return 0;
}

/*
 * A pass must not fail for want of memory when memory is short: what its compressors take is counted
 * from the beginning. Where that would be much of the limit there are no dictionaries.
 */
static int set_aside(struct recompressor *rc, bool dicts, char error_text[256])
{
	uint64_t size;
	struct arena_stat arena;
	int error = measure_compressor(rc, ZCOMP_MAX_UNIT, 0, error_text, &size);

	if (error)
		return error;
	arena_get_stat(rc->slots->arena, &arena);
	rc->set_aside = 2 * (uint64_t)RECOMP_BYTES + REREADS_BYTES + sizeof(*rc) + size;
	for (unsigned kind = 0; dicts && kind < RECOMP_NR_KINDS; kind++) {
		size_t max = recomp_dict_max(rc->name, kind);

		if (max == 0)
			continue;
		error = measure_compressor(rc, kind_unit(kind), max, error_text, &size);
		if (error)
			return error;
		if (arena.limit && (rc->set_aside + size) * DICT_LIMIT_DIVISOR > arena.limit)
			continue;
		rc->dicts[kind].max = max;
		rc->set_aside += size;
	}
	error = arena_set_aside(rc->slots->arena, rc->set_aside);
	if (error)
		snprintf(error_text, 256,
			 "the memory limit is too small: recompress= takes %llu KiB of it",
			 (unsigned long long)(rc->set_aside / KIB));
	return error;
}

/* With buffers, which a pass fills. */
static int recomp_alloc(const struct blkmap_params *params, uint32_t tick_seconds,
			struct recompressor **out_rc)
{
	struct recompressor *rc = zt_zalloc(sizeof(*rc));

	if (!rc)
		return -ENOMEM;
	rc->in = zt_map(2 * (size_t)RECOMP_BYTES);
	if (!rc->in) {
		zt_free(rc);
		return -ENOMEM;
	}
	rc->out = rc->in + RECOMP_BYTES;
	snprintf(rc->name, sizeof(rc->name), "%s", params->recompress);
	rc->level = params->recompress_level;
	rc->tick_seconds = tick_seconds;
	rc->idle = params->recompress_idle / rc->tick_seconds;
	if (params->recompress_idle && !rc->idle)
		rc->idle = 1;
	rc->idle_seconds = params->recompress_idle;
	*out_rc = rc;
	return 0;
}

static void recomp_free(struct recompressor *rc)
{
	zt_unmap(rc->in, 2 * (size_t)RECOMP_BYTES);
	zt_free(rc);
}

int recomp_create(struct content *content, struct folder *folder,
		  const struct blkmap_params *params, char error_text[256],
		  struct recompressor **out_rc)
{
	const struct zcomp_config config = {
		.name = params->recompress,
		.level = params->recompress_level,
		.unit = ZCOMP_MAX_UNIT,
		.decode_only = true,
	};
	struct recompressor *rc;
	struct arena_stat arena;
	int error = codec_create(content->codecs, SLOT_CODEC_IDLE, &config, error_text);

	if (!error)
		error = recomp_alloc(params, content->slots->tick_seconds, &rc);
	if (error)
		return error;
	/* Where the mount's own is the same there is nothing to be gained. */
	error = strcmp(zcomp_name(content->codecs->comp), rc->name) != 0
			? rereads_init(&content->rereads)
			: 0;
	if (error) {
		recomp_free(rc);
		return error;
	}
	rc->content = content;
	rc->codecs = content->codecs;
	rc->slots = content->slots;
	rc->folder = folder;
	if (params->packs)
		rc->packs = *params->packs;
	error = set_aside(rc, params->dicts, error_text);
	if (error) {
		recomp_free(rc);
		return error;
	}
	arena_get_stat(rc->slots->arena, &arena);
	if (arena.limit >= RECOMP_SPARE_DIVISOR * RECOMP_SPARE)
		arena_set_spare(rc->slots->arena, RECOMP_SPARE);
	mutex_init(&rc->pass_lock, ZT_RANK_PASS);
	error = params->dedup ? dedup_create(rc->slots, &rc->dedup) : 0;
	if (error) {
		recomp_destroy(rc);
		return error;
	}
	if (rc->dedup) {
		rc->dedup->changed = recomp_changed;
		rc->dedup->changed_arg = rc;
	}
	*out_rc = rc;
	return 0;
}

void recomp_destroy(struct recompressor *rc)
{
	if (!rc)
		return;
	dedup_destroy(rc->dedup);
	if (!rc->slots->stays)
		dicts_exit(rc);
	arena_set_spare(rc->slots->arena, 0);
	arena_unset_aside(rc->slots->arena, rc->set_aside);
	mutex_exit(&rc->pass_lock);
	recomp_free(rc);
}

uint64_t recomp_now(struct recompressor *rc, unsigned idle)
{
	struct recomp_pass pass = { .idle = idle };
	bool more = true;

	if (!rc)
		return 0;
	mutex_lock(&rc->pass_lock);
	recomp_pass_begin(rc, &pass);
	while (more)
		more = recomp_step(rc, &pass);
	recomp_pass_end(rc, &pass, true);
	mutex_unlock(&rc->pass_lock);
	recomp_count(&rc->passes, 1);
	return pass.nr_done;
}

void recomp_set(struct recompressor *rc, bool on)
{
	if (rc)
		atomic_store_explicit(&rc->off, !on, memory_order_relaxed);
}

/* Ages are counted in ticks of the length that the mount began with. */
void recomp_set_idle(struct recompressor *rc, uint32_t seconds)
{
	if (!rc)
		return;
	atomic_store_explicit(&rc->idle_seconds, seconds, memory_order_relaxed);
	atomic_store_explicit(
		&rc->idle,
		(unsigned)min_u64(div_round_up_u64(seconds, rc->tick_seconds), RECOMP_IDLE_MAX),
		memory_order_relaxed);
}

void recomp_get_tuning(const struct recompressor *rc, struct blkmap_tuning *out_tuning)
{
	out_tuning->can_recompress = true;
	out_tuning->can_dedup = rc->dedup != NULL;
	if (atomic_load_explicit(&rc->off, memory_order_relaxed))
		return;
	out_tuning->recompress = rc->name;
	out_tuning->recompress_level = rc->level;
	out_tuning->recompress_idle = atomic_load_explicit(&rc->idle_seconds, memory_order_relaxed);
	out_tuning->dedup = dedup_is_on(rc->dedup);
	out_tuning->packs = rc->packs.pool != NULL;
	for (unsigned kind = 0; kind < RECOMP_NR_KINDS; kind++)
		out_tuning->dicts |= rc->dicts[kind].max > 0;
}

void recomp_get_stat(const struct recompressor *rc, struct blkmap_stat *out_stat)
{
	if (!rc)
		return;
	dict_get_stat(rc, out_stat);
	out_stat->recompressed = atomic_load_explicit(&rc->done, memory_order_relaxed);
	out_stat->recompress_kept = atomic_load_explicit(&rc->kept, memory_order_relaxed);
	out_stat->recompress_saved = atomic_load_explicit(&rc->saved, memory_order_relaxed);
	out_stat->recompress_passes = atomic_load_explicit(&rc->passes, memory_order_relaxed);
	out_stat->recompress_pressures = atomic_load_explicit(&rc->pressures, memory_order_relaxed);
	out_stat->recompress_undone = atomic_load_explicit(&rc->undone, memory_order_relaxed);
	out_stat->pack_joined = atomic_load_explicit(&rc->pack_joined, memory_order_relaxed);
	out_stat->pack_saved = atomic_load_explicit(&rc->pack_saved, memory_order_relaxed);
	out_stat->packs_remade = atomic_load_explicit(&rc->packs_remade, memory_order_relaxed);
	out_stat->recompress_pauses = atomic_load_explicit(&rc->pauses, memory_order_relaxed);
}
