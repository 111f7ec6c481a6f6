// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * record.c - the fs layer's part of the superblock: what gives stored bytes their meaning, and small
 * records of the daemon's.
 *
 * Locks: none; written by the thread that makes or attaches the mount, before others are there.
 */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "arena/attach.h"
#include "fs/attach_i.h"
#include "fs/super_i.h"
#include "util/store.h"

int super_arena_fd(const struct super *sb)
{
	return arena_fd(sb->arena);
}

int super_record_set(struct super *sb, unsigned which, const void *data, size_t size)
{
	struct super_small *small;

	if (which >= SUPER_NR_RECORDS)
		return -EINVAL;
	if (size > SUPER_RECORD_MAX)
		return -E2BIG;
	small = &sb->rec->small[which];
	/* None while the bytes change. */
	__atomic_store_n(&small->size, 0, __ATOMIC_SEQ_CST);
	zt_stored("record: there is none");
	memcpy(small->data, data, size);
	__atomic_store_n(&small->size, (uint32_t)size, __ATOMIC_RELEASE);
	zt_stored("record: it is there");
	return 0;
}

ssize_t super_record_get(const struct super *sb, unsigned which, void *data, size_t size)
{
	const struct super_small *small;
	uint32_t have;

	if (which >= SUPER_NR_RECORDS)
		return -EINVAL;
	small = &sb->rec->small[which];
	have = __atomic_load_n(&small->size, __ATOMIC_ACQUIRE);
	if (have > size || have > SUPER_RECORD_MAX)
		return -E2BIG;
	memcpy(data, small->data, have);
	return (ssize_t)have;
}

/* ---- format ---- */

/* Against damage, not against people: the key is known. */
static const struct keyhash_key sum_key = { .k0 = SUPER_MAGIC, .k1 = SUPER_VERSION };

static uint32_t format_sum(const struct super_format *format)
{
	return (uint32_t)keyhash(&sum_key, format, offsetof(struct super_format, sum));
}

/* What a mount with these options would store. */
static void format_fill(const struct super_params *params, const char *compress,
			struct super_format *out)
{
	const struct blkmap_params *content = &params->content;

	memset(out, 0, sizeof(*out));
	snprintf(out->compress, sizeof(out->compress), "%s", compress);
	if (content->recompress)
		snprintf(out->recompress, sizeof(out->recompress), "%s", content->recompress);
	out->dict_size = content->comp.dict ? content->comp.dict_size : 0;
	if (out->dict_size)
		out->dict_sum = keyhash(&sum_key, content->comp.dict, content->comp.dict_size);
	out->cluster_order = params->cluster_order;
	out->sum = format_sum(out);
}

void super_format_make(struct super *sb, const struct super_params *params)
{
	format_fill(params, blkmap_zcomp_name(sb->map), &sb->rec->format);
}

void super_format_adopt(const struct super_record *rec, struct super_params *inout_params)
{
	if (inout_params->dict_by_default && rec->format.dict_size == 0)
		inout_params->content.comp.dict = NULL;
}

static int differs(char text[256], const char *option, const char *was, const char *is)
{
	snprintf(text, 256, "the mount was made with %s=%.40s, and %.40s is asked for now", option,
		 *was ? was : "off", *is ? is : "none");
	return -EINVAL;
}

int super_format_check(const struct super_record *rec, const struct super_params *params,
		       char text[256])
{
	struct super_format now;

	if (rec->magic != SUPER_MAGIC) {
		snprintf(text, 256, "the arena holds no filesystem, or one that was never finished");
		return -EUCLEAN;
	}
	if (!super_version_is_known(rec->version)) {
		snprintf(text, 256,
			 "the filesystem has layout %u, this program reads layout %u and %u",
			 rec->version, SUPER_VERSION, SUPER_VERSION_PACKS);
		return -EPROTONOSUPPORT;
	}
	if (rec->format.sum != format_sum(&rec->format)) {
		snprintf(text, 256, "the filesystem's superblock is damaged: its sum is wrong");
		return -EUCLEAN;
	}
	/* Without a decoder nothing has a meaning. */
	if (params->content.unread)
		return 0;
	format_fill(params, rec->format.compress, &now);
	if (strcmp(rec->format.recompress, now.recompress) != 0)
		return differs(text, "recompress", rec->format.recompress, now.recompress);
	if (rec->format.dict_size != now.dict_size || rec->format.dict_sum != now.dict_sum) {
		snprintf(text, 256,
			 "the mount was made with compress=%.40s and another dictionary, or none",
			 rec->format.compress);
		return -EINVAL;
	}
	return 0;
}

int super_format_check_codec(const struct super_format *format, const struct super *sb,
			     char text[256])
{
	const char *was = format->compress, *is = blkmap_zcomp_name(sb->map);

	/* Names longer than that are not told apart. */
	if (strncmp(was, is, sizeof(format->compress) - 1) == 0)
		return 0;
	return differs(text, "compress", was, is);
}
