// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * filestat.c - what one file takes: memory, objects, and which codecs hold it.
 *
 * Locks: the inode's, for one round at a time: a long file is added up in several.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "fs/inode_i.h"
#include "fs/work.h"

/* Numbers with one decoder, like a codec and what it kept, are one line. */
static void file_stat_codec(struct ztmpfs_file_stat *out, const char *name, uint64_t pages,
			    uint64_t stored)
{
	size_t i = 0;

	if (pages == 0 && stored == 0)
		return;
	while (i + 1 < ZTMPFS_FILE_CODECS && out->codecs[i].name[0] != '\0' &&
	       strcmp(out->codecs[i].name, name) != 0)
		i++;
	snprintf(out->codecs[i].name, sizeof(out->codecs[i].name), "%s", name);
	out->codecs[i].pages += pages;
	out->codecs[i].stored += stored;
}

/* One round of adding up what the file holds. Return: 0, -EAGAIN. */
static int file_stat_content(struct work *work, struct inode_rec *rec, struct blkmap_usage *usage)
{
	struct blkmap_file file = inode_file(rec);

	file.round = work_round(work);
	return blkmap_usage(work->sb->map, &file, usage);
}

static void file_stat_usage(struct super *sb, const struct blkmap_usage *usage,
			    struct ztmpfs_file_stat *out)
{
	out->stored = usage->stored;
	out->memory += usage->memory;
	out->objects = usage->objects;
	out->out = usage->out;
	out->objects_out = usage->nr_out;
	for (unsigned codec = 0; codec < BLKMAP_NR_CODECS; codec++)
		file_stat_codec(out, blkmap_codec_name(sb->map, codec), usage->pages[codec],
				usage->bytes[codec]);
	file_stat_codec(out, "same", usage->pages[BLKMAP_NR_CODECS], 0);
}

static int file_stat_once(struct work *work, ino_nr ino, struct blkmap_usage *usage,
			  struct ztmpfs_file_stat *out)
{
	struct super *sb = work->sb;
	struct inode_rec *rec;
	int err = 0;

	inode_lock_shared(sb, ino);
	rec = inode_get(sb, ino);
	if (rec == NULL)
		err = -ESTALE;
	else
		out->size = inode_size(rec);
	if (!err && (inode_is_reg(rec) || inode_is_dir(rec)))
		out->cluster_size = (uint64_t)ZT_PAGE_SIZE << rec->cluster_order;
	if (!err && inode_is_reg(rec)) {
		out->allocated = rec_load(&rec->nr_pages) << ZT_PAGE_SHIFT;
		err = file_stat_content(work, rec, usage);
	}
	inode_unlock(sb, ino);
	return err;
}

int fs_file_stat(struct super *sb, ino_nr ino, struct ztmpfs_file_stat *out_stat)
{
	struct blkmap_usage usage = { 0 };
	struct work work = work_begin(sb);
	int err;

	*out_stat = (struct ztmpfs_file_stat){
		.version = ZTMPFS_STAT_VERSION,
		.struct_size = sizeof(*out_stat),
		.ino = ino,
		.memory = zs_room(sb->inodes, sizeof(struct inode_rec)) + ZS_HDR_SIZE,
	};
	do {
		err = file_stat_once(&work, ino, &usage, out_stat);
	} while (err == -EAGAIN && (err = work_pause(&work, ino)) == -EAGAIN);
	if (!err)
		file_stat_usage(sb, &usage, out_stat);
	return err;
}
