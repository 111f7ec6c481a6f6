// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * attach.c - a mount found again in its arena, or left there for the next process.
 *
 *     clean:  inodes by their headers; counters and lists as super_detach() kept them
 *     else:   dictionaries, settings -> names (attach_names.c) -> inodes and content
 *             (attach_inodes.c) -> what nobody has claimed is swept
 *
 * Names and words decide; what else is said about them follows. Everything that is followed is claimed
 * first, so that nothing damaged is followed twice, or into memory that is no object.
 *
 * Context: one thread; nobody uses the mount.
 */
#include <errno.h>
#include <stdio.h>

#include "arena/attach.h"
#include "fs/attach_i.h"
#include "fs/intent.h"
#include "fs/work.h"
#include "util/alloc.h"
#include "zsmalloc/attach.h"

static void report_content(struct super_attach_report *report, const struct blkmap_repairs *repairs)
{
	report->page_counts = repairs->page_counts;
	report->places = repairs->places;
	report->owners = repairs->owners;
	report->share_counts = repairs->share_counts;
	report->swept_data = repairs->swept;
}

/* Dead inodes are counted already. */
static void sweep(struct super *sb, struct super_attach_report *report)
{
	(void)zs_sweep(sb->inodes);
	report->swept_meta = zs_sweep(sb->meta);
	zs_attach_end(sb->inodes);
	zs_attach_end(sb->meta);
}

static int walk_all(struct super *sb, char text[256])
{
	struct fs_attach attach = { .sb = sb, .text = text, .report = &sb->report };
	struct blkmap_repairs repairs;
	int err = blkmap_attach_begin(sb->map, text, &attach.content);

	if (!err) {
		(void)intent_finish(sb); /* what it has put right is in no count of repairs */
		err = attach_names(&attach);
	}
	if (!err)
		err = attach_inodes(&attach);
	zt_unmap(attach.names, attach.nr_names * sizeof(*attach.names));
	if (err) {
		blkmap_attach_drop(attach.content);
		return err;
	}
	err = blkmap_attach_end(sb->map, attach.content, text, &repairs);
	if (err)
		return err;
	report_content(&sb->report, &repairs);
	sweep(sb, &sb->report);
	return 0;
}

static int load_clean(struct super *sb, char text[256])
{
	struct slots_attach *content = NULL;
	int err = blkmap_attach_begin(sb->map, text, &content);

	blkmap_attach_drop(content);
	return err ? err : attach_clean(sb, text);
}

bool attach_is_clean(const struct super *sb)
{
	/* What is borrowed is counted by a walk. */
	return arena_last_state(sb->arena) == ARENA_CLEAN && !sb->from_image && !sb->borrows;
}

int attach_all(struct super *sb, char text[256])
{
	struct super_attach_report *report = &sb->report;
	struct arena_repairs pages;
	int err = super_format_check_codec(&sb->rec->format, sb, text);

	if (err)
		return err;
	report->attached = true;
	report->was_clean = attach_is_clean(sb);
	report->life = arena_life(sb->arena);
	err = report->was_clean ? load_clean(sb, text) : walk_all(sb, text);
	if (err)
		return err;
	arena_get_repairs(sb->arena, &pages);
	report->map_entries = pages.map_entries;
	report->stray_pages = pages.stray_pages;
	report->empty_runs = pages.empty_runs;
	report->inodes = sb->nr_inodes;
	report->data_objects = blkmap_data_objects(sb->map);
	return 0;
}

void super_get_attach_report(const struct super *sb, struct super_attach_report *out)
{
	*out = sb->report;
}

uint64_t super_attach_repairs(const struct super_attach_report *r)
{
	return r->lost_inodes + r->link_counts + r->dir_counts + r->parents + r->second_names +
	       r->empty_blocks + r->page_counts + r->places + r->owners + r->share_counts +
	       r->hints + r->tails + r->promises + r->swept_meta + r->swept_data + r->map_entries +
	       r->stray_pages + r->empty_runs;
}

void super_detach(struct super *sb)
{
	int err;

	if (sb == NULL)
		return;
	super_set_pause(sb, NULL, NULL);
	super_drain(sb);
	super_reap(sb);
	/* Without memory for what is to be kept the next process walks. */
	err = attach_clean_save(sb);
	super_leave(sb, !err, NULL);
}
