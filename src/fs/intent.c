// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * intent.c - a rename's two stores as one. See intent.h for the picture and the lock.
 */
#include "fs/intent.h"

#include "fs/dir.h"
#include "fs/dirblock.h"
#include "util/store.h"

static void intent_store(uint64_t *field, uint64_t value)
{
	__atomic_store_n(field, value, __ATOMIC_RELEASE);
	zt_stored("intent: a field");
}

void intent_begin(struct super *sb, const struct rename_intent *intent)
{
	struct rename_intent *rec = &sb->rec->rename;

	mutex_lock(&sb->intent_lock);
	intent_store(&rec->to_parent, intent->to_parent);
	intent_store(&rec->to_pos, intent->to_pos);
	intent_store(&rec->from_parent, intent->from_parent);
	intent_store(&rec->from_pos, intent->from_pos);
	intent_store(&rec->then, intent->then);
	intent_store(&rec->ino, intent->ino);
}

void intent_end(struct super *sb)
{
	intent_store(&sb->rec->rename.ino, 0);
	mutex_unlock(&sb->intent_lock);
}

/* An entry of a directory, or none: block NULL. */
struct entry_at {
	uint64_t *block;
	unsigned units, at;
};

/* The entry at @pos of directory @parent, if it leads to @ino. No inode is in the set of live ones yet. */
static struct entry_at entry_find(struct super *sb, ino_nr parent, uint64_t pos, ino_nr ino)
{
	const ref_t ref = parent == FS_ROOT_INO ? sb->rec->root : parent;
	const unsigned at = pos % DIR_POS_BLOCK;
	struct entry_at entry = { .at = at };
	struct inode_rec *rec;
	struct tree tree;
	const uint64_t *word;
	ref_t block;

	if (pos >= DIR_POS_END || !zs_is_live(sb->inodes, ref))
		return entry;
	rec = zs_data(sb->arena, ref);
	tree.word = &rec->tree_word;
	word = inode_is_dir(rec) ? tree_slot(sb->arena, &tree, pos / DIR_POS_BLOCK) : NULL;
	block = word ? dir_word_ref(*word) : 0;
	if (!block || !zs_is_live(sb->meta, block))
		return entry;
	entry.units = zs_size(sb->arena, block) / 8;
	entry.block = zs_data(sb->arena, block);
	if (!dirblock_check(entry.block, entry.units))
		return (struct entry_at){ 0 };
	for (unsigned i = 0; i < entry.units; i += dirent_units(entry.block[i]))
		if (i == at && dirent_ino(entry.block[i]) == ino)
			return entry;
	return (struct entry_at){ 0 };
}

bool intent_finish(struct super *sb)
{
	const struct rename_intent intent = sb->rec->rename;
	const uint64_t then = intent.then & ((UINT64_C(1) << INTENT_TYPE_SHIFT) - 1);
	struct entry_at to = { 0 }, from = { 0 };
	struct dirblock_space space;

	if (intent.ino != 0) {
		to = entry_find(sb, intent.to_parent, intent.to_pos, intent.ino);
		from = entry_find(sb, intent.from_parent, intent.from_pos, intent.ino);
	}
	if (to.block && from.block && then)
		dirblock_replace(from.block, from.at, then,
				 (unsigned)(intent.then >> INTENT_TYPE_SHIFT));
	else if (to.block && from.block)
		dirblock_remove(from.block, from.units, from.at, &space);
	if (intent.ino != 0)
		intent_store(&sb->rec->rename.ino, 0);
	return to.block && from.block;
}
