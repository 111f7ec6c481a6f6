// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * packs.c - the small files of a mount, for those who pack them (blkmap/upkeep/packer.c).
 *
 * Locks: none. An inode's record is looked at while it may be in the making: its mode is stored last
 * of what is asked here, and its pool gives it out as zeros.
 */
#include "fs/packs.h"

#include "fs/inode_i.h"

bool super_packs_look(const void *data, const uint64_t **out_word, uint32_t *out_owner)
{
	const struct inode_rec *rec = data;

	if (!inode_is_reg(rec) || inode_setting(rec) != BLKMAP_SETTING_DEFAULT)
		return false;
	*out_word = &rec->tree_word;
	*out_owner = rec_load(&rec->uid);
	return true;
}

/* One store: a program that knows no packs refuses from then on what may have them. */
void super_packs_begin(void *arg)
{
	struct super *sb = arg;

	rec_store(&sb->rec->version, SUPER_VERSION_PACKS);
}
