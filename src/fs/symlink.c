// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * symlink.c - symbolic links: the target is one object in the metadata pool, never changed after
 * creation.
 */
#include <errno.h>
#include <string.h>

#include "fs/inode_i.h"
#include "fs/namei.h"

int symlink_store(struct super *sb, struct inode_rec *rec, const char *target, size_t len)
{
	ref_t ref;
	int err = inode_take_space(sb, symlink_space(len));

	if (err)
		return err;
	err = zs_malloc(sb->meta, (uint32_t)len, &ref);
	if (err) {
		inode_give_space(sb, symlink_space(len));
		return err;
	}
	memcpy(zs_data(sb->arena, ref), target, len);
	rec->tree_word = ref;
	rec_store(&rec->size, len);
	return 0;
}

void symlink_free(struct super *sb, struct inode_rec *rec)
{
	zs_free(sb->meta, rec->tree_word);
	inode_give_space(sb, symlink_space(rec->size));
	rec->tree_word = 0;
}

int fs_readlink(struct super *sb, ino_nr ino, char *buf)
{
	struct inode_rec *rec;
	int err = -ESTALE;

	inode_lock_shared(sb, ino);
	rec = inode_get(sb, ino);
	if (rec == NULL)
		goto out;
	err = -EINVAL;
	if (!S_ISLNK(rec_load(&rec->mode)))
		goto out;
	memcpy(buf, zs_data(sb->arena, rec->tree_word), rec->size);
	buf[rec->size] = '\0';
	inode_touch_read(sb, rec);
	err = 0;
out:
	inode_unlock(sb, ino);
	return err;
}
