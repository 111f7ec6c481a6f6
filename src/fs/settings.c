// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * settings.c - how single files are to be compressed: which users may say so, and what is
 * inherited.
 *
 * Locks: the inode shared for looking, exclusive for changing; the mount's table of settings is
 * changed with none held.
 */
#include "fs/settings.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "fs/inode_i.h"
#include "util/codecname.h"

static int open_with_settings(struct super *sb, ino_nr ino, struct inode_rec **out_rec)
{
	struct inode_rec *rec = inode_get(sb, ino);

	if (rec == NULL)
		return -ESTALE;
	if (!inode_is_reg(rec) && !inode_is_dir(rec))
		return -ENOTTY;
	*out_rec = rec;
	return 0;
}

int fs_get_settings(struct super *sb, ino_nr ino, struct ztmpfs_file_attr *out_attr)
{
	struct inode_rec *rec;
	const char *name;
	int err;

	inode_lock_shared(sb, ino);
	err = open_with_settings(sb, ino, &rec);
	if (!err) {
		*out_attr = (struct ztmpfs_file_attr){
			.version = ZTMPFS_STAT_VERSION,
			.which = ZTMPFS_ATTR_CLUSTER | ZTMPFS_ATTR_COMPRESS,
			.cluster_size = (uint64_t)ZT_PAGE_SIZE << rec->cluster_order,
		};
		blkmap_setting_tell(sb->map, inode_setting(rec), &name, &out_attr->level);
		snprintf(out_attr->compress, sizeof(out_attr->compress), "%s", name);
	}
	inode_unlock(sb, ino);
	return err;
}

static int parse_order(uint64_t size, unsigned *out_order)
{
	unsigned order = 0;

	while (order < BLKMAP_MAX_ORDER && (uint64_t)ZT_PAGE_SIZE << order < size)
		order++;
	if ((uint64_t)ZT_PAGE_SIZE << order != size)
		return -EINVAL;
	*out_order = order;
	return 0;
}

static int parse_setting(struct super *sb, uid_t uid, const struct ztmpfs_file_attr *attr,
			 unsigned *out_setting)
{
	const bool manages = uid == 0 || uid == super_owner(sb);
	char error_text[ZCOMP_ERROR_TEXT];

	if (memchr(attr->compress, '\0', sizeof(attr->compress)) == NULL)
		return -EINVAL;
	if (strcmp(attr->compress, "default") == 0)
		*out_setting = BLKMAP_SETTING_DEFAULT;
	else if (strcmp(attr->compress, "none") == 0)
		*out_setting = BLKMAP_SETTING_NONE;
	else
		return blkmap_setting_find(sb->map, manages ? BLKMAP_ANY_MAKER : uid,
					   attr->compress, attr->level, error_text, out_setting);
	return 0;
}

/* Whether the caller may; with or without the lock. */
static int may_set(struct super *sb, const struct fs_cred *cred, ino_nr ino,
		   struct inode_rec **out_rec)
{
	int err = open_with_settings(sb, ino, out_rec);

	if (err)
		return err;
	if (cred->uid != 0 && cred->uid != rec_load(&(*out_rec)->uid))
		return -EPERM;
	return inode_is_immutable(*out_rec) ? -EPERM : 0;
}

/* An empty file's tree has no shape that could be wrong for the new size. Lock held exclusive. */
static int set_order(struct super *sb, struct inode_rec *rec, unsigned order)
{
	if (order == rec->cluster_order)
		return 0;
	if (inode_is_reg(rec)) {
		int err;

		if (rec->size > 0 || rec_load(&rec->nr_pages) > 0)
			return -ENOTEMPTY;
		err = inode_cut(sb, rec, 0, NULL); /* there are no pages */
		if (err)
			return err;
	}
	rec_store(&rec->cluster_order, (uint8_t)order);
	return 0;
}

/* Return: the one before. Lock held exclusive. */
static unsigned exchange_setting(struct inode_rec *rec, unsigned setting)
{
	unsigned old = inode_setting(rec);

	rec_store(&rec->flags,
		  (uint16_t)((rec->flags & ~INODE_SETTING_MASK) | setting << INODE_SETTING_SHIFT));
	return old;
}

int fs_set_settings(struct super *sb, const struct fs_cred *cred, ino_nr ino,
		    const struct ztmpfs_file_attr *attr)
{
	unsigned order = 0, setting = 0;
	struct inode_rec *rec;
	int err = may_set(sb, cred, ino, &rec);

	if (err)
		return err;
	if (attr->which == 0 || attr->which & ~(ZTMPFS_ATTR_CLUSTER | ZTMPFS_ATTR_COMPRESS))
		return -EINVAL;
	if (attr->which & ZTMPFS_ATTR_CLUSTER)
		err = parse_order(attr->cluster_size, &order);
	if (!err && attr->which & ZTMPFS_ATTR_COMPRESS)
		err = parse_setting(sb, cred->uid, attr, &setting);
	if (err)
		return err;

	inode_lock(sb, ino);
	err = may_set(sb, cred, ino, &rec);
	if (!err && attr->which & ZTMPFS_ATTR_CLUSTER)
		err = set_order(sb, rec, order);
	if (!err && attr->which & ZTMPFS_ATTR_COMPRESS)
		setting = exchange_setting(rec, setting);
	if (!err)
		inode_touch(rec, INODE_CTIME);
	inode_unlock(sb, ino);
	/* The one that was, or the one that could not be set. */
	blkmap_setting_put(sb->map, setting);
	return err;
}

/* The attribute ----------------------------------------------------------- */

int fs_get_setting_text(struct super *sb, ino_nr ino, char *buf, size_t size, size_t *out_len)
{
	char text[FS_SETTING_TEXT_MAX];
	struct ztmpfs_file_attr attr;
	int err = fs_get_settings(sb, ino, &attr), len;

	if (err == -ENOTTY || (!err && strcmp(attr.compress, "default") == 0))
		return -ENODATA;
	if (err)
		return err;
	len = strcmp(attr.compress, "none") == 0
		      ? snprintf(text, sizeof(text), "none")
		      : snprintf(text, sizeof(text), "%s:%" PRId32, attr.compress, attr.level);
	if (size > 0 && size < (size_t)len)
		return -ERANGE;
	if (size > 0)
		memcpy(buf, text, (size_t)len);
	*out_len = (size_t)len;
	return 0;
}

int fs_set_setting_text(struct super *sb, const struct fs_cred *cred, ino_nr ino, const char *text,
			size_t size)
{
	struct ztmpfs_file_attr attr = { .which = ZTMPFS_ATTR_COMPRESS,
					 .level = ZCOMP_LEVEL_DEFAULT };
	char value[FS_SETTING_TEXT_MAX];
	int err;

	/* What programs bring is no string. */
	if (size >= sizeof(value) || memchr(text, '\0', size) != NULL)
		return -EINVAL;
	memcpy(value, text, size);
	value[size] = '\0';
	err = codecname_parse(value, attr.compress, sizeof(attr.compress), &attr.level);
	if (!err)
		err = fs_set_settings(sb, cred, ino, &attr);
	if (err == -ENOENT)
		return -EINVAL;
	return err == -ENOTTY ? -EOPNOTSUPP : err;
}
