// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * attach.c - a block map that attaches to an arena, and one that leaves its arena to another process.
 *
 * Context: one thread; see attach.h.
 */
#include "blkmap/attach.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "blkmap/cluster/settings.h"
#include "blkmap/parts.h"
#include "blkmap/slot/attach.h"
#include "blkmap/slot/live.h"
#include "blkmap/upkeep/recompress.h"
#include "util/alloc.h"
#include "zsmalloc/attach.h"

int blkmap_probe(const struct blkmap_record *record, char text[256])
{
	return settings_probe(record->settings, text);
}

int blkmap_attach_begin(struct blkmap *map, char text[256], struct slots_attach **out_attach)
{
	struct slots_attach *attach = zt_zalloc(sizeof(*attach));
	int error;

	if (!attach)
		return -ENOMEM;
	attach->slots = &map->slots;
	error = settings_attach(&map->codecs, text);
	if (!error)
		error = dicts_attach(&map->codecs, map->upkeep.recomp, text);
	if (error)
		zt_free(attach);
	else
		*out_attach = attach;
	return error;
}

int blkmap_attach_file(struct slots_attach *attach, const struct blkmap_file *file, char text[256],
		       uint64_t *out_end)
{
	int error = slots_attach_file(attach, file, out_end);

	if (error == -EUCLEAN)
		snprintf(text, 256, "a file's content is damaged: %s", attach->what);
	return error;
}

/* Numbers that need no decoder of their own: stored as it is, or by the mount's compress=. */
static bool codec_is_main(unsigned codec)
{
	return codec < SLOT_CODEC_IDLE;
}

/* Where contents are not read it would have been set up. */
static bool has_decoder(const struct codecs *codecs, unsigned codec)
{
	if (codecs->decoders[codec])
		return true;
	if (codecs->unread.recompress[0] == '\0')
		return false;
	return codec == SLOT_CODEC_IDLE ||
	       (codec >= SLOT_CODEC_DICT && codecs->record->dicts[codec - SLOT_CODEC_DICT].ref != 0);
}

static int check_codecs(const struct blkmap *map, char text[256])
{
	for (unsigned codec = 0; codec < SLOT_NR_CODECS; codec++) {
		uint64_t nr = atomic_load(&map->slots.account.codec_objects[codec]);

		if (nr == 0 || codec_is_main(codec) || has_decoder(&map->codecs, codec))
			continue;
		snprintf(text, 256,
			 "%" PRIu64 " objects have codec number %u, for which nothing is set up",
			 nr, codec);
		return -EUCLEAN;
	}
	return 0;
}

int blkmap_attach_end(struct blkmap *map, struct slots_attach *attach, char text[256],
		      struct blkmap_repairs *out)
{
	int error = check_codecs(map, text);

	slots_attach_end(attach);
	*out = attach->repairs;
	zt_free(attach);
	if (!error)
		out->swept = zs_sweep(map->slots.data);
	if (!error && map->slots.spill)
		out->swept += spill_sweep(map->slots.spill);
	zs_attach_end(map->slots.data);
	atomic_store(&map->slots.account.huge_pages_since, 0); /* in this life */
	return error;
}

void blkmap_attach_drop(struct slots_attach *attach)
{
	if (!attach)
		return;
	slots_attach_end(attach);
	zt_free(attach);
}

int blkmap_start(struct blkmap *map, char text[256])
{
	int error = upkeep_start(&map->upkeep);

	if (error) {
		snprintf(text, 256, "cannot start a maintenance thread: %s", strerror(-error));
		blkmap_stop(map);
	}
	return error;
}

/* ---- clean ---- */

void blkmap_clean_fill(struct blkmap *map, struct blkmap_clean *out,
		       struct blkmap_clean_packs *out_packs)
{
	const struct account *account = &map->slots.account;

	blkmap_stop(map);
	*out = (struct blkmap_clean){
		.nr_pages = atomic_load(&account->nr_pages),
		.same_pages = atomic_load(&account->same_pages),
		.huge_pages = atomic_load(&account->huge_pages),
		.shared_pages = atomic_load(&account->shared_pages),
	};
	for (unsigned codec = 0; codec < SLOT_NR_CODECS; codec++)
		out->codec_objects[codec] = atomic_load(&account->codec_objects[codec]);
	*out_packs = (struct blkmap_clean_packs){
		.packs = atomic_load(&account->packs),
		.packed_pages = atomic_load(&account->packed_pages),
	};
}

void blkmap_attach_clean(struct blkmap *map, const struct blkmap_clean *clean,
			 const struct blkmap_clean_packs *packs)
{
	struct account *account = &map->slots.account;

	atomic_store(&account->nr_pages, clean->nr_pages);
	atomic_store(&account->same_pages, clean->same_pages);
	atomic_store(&account->huge_pages, clean->huge_pages);
	atomic_store(&account->shared_pages, clean->shared_pages);
	for (unsigned codec = 0; codec < SLOT_NR_CODECS; codec++)
		atomic_store(&account->codec_objects[codec], clean->codec_objects[codec]);
	atomic_store(&account->packs, packs->packs);
	atomic_store(&account->packed_pages, packs->packed_pages);
}

/* The cursor: a lock, and the maps of it that were told already. */
unsigned blkmap_clean_maps(struct blkmap *map, uint64_t *inout_cursor, unsigned max,
			   struct blkmap_clean_map *out)
{
	uint64_t lock = *inout_cursor >> 32, skip = (uint32_t)*inout_cursor;
	unsigned nr = 0;

	for (; lock < SLOT_LOCKS; lock++, skip = 0) {
		const struct live_map *live = NULL;

		for (uint64_t at = 0; (live = live_map_next(&map->slots.locks[lock], live)); at++) {
			if (at < skip)
				continue;
			if (nr == max) {
				*inout_cursor = lock << 32 | at;
				return nr;
			}
			out[nr++] = (struct blkmap_clean_map){ .place = live->place,
							       .order = live->order,
							       .setting = live->setting };
		}
	}
	*inout_cursor = lock << 32;
	return nr;
}

int blkmap_attach_map(struct blkmap *map, const struct blkmap_clean_map *entry)
{
	return slots_attach_map(&map->slots, entry->place, entry->order, entry->setting);
}

void blkmap_detach(struct blkmap *map)
{
	if (!map)
		return;
	map->slots.stays = true;
	blkmap_destroy(map);
}

uint64_t blkmap_data_objects(struct blkmap *map)
{
	struct zs_pool_stat stat;

	zs_pool_get_stat(map->slots.data, &stat);
	return stat.objects + map->slots.nr_borrowed;
}

void blkmap_setting_users(const struct blkmap *map, uint64_t out[BLKMAP_NR_SETTINGS])
{
	for (unsigned i = 0; i < BLKMAP_NR_SETTINGS; i++)
		out[i] = atomic_load(&map->slots.account.setting_users[i]) -
			 (atomic_load(&map->codecs.default_held) >> i & 1);
}

void blkmap_setting_add_users(struct blkmap *map, const uint64_t users[BLKMAP_NR_SETTINGS])
{
	for (unsigned i = 0; i < BLKMAP_NR_SETTINGS; i++)
		atomic_fetch_add(&map->slots.account.setting_users[i], users[i]);
}
