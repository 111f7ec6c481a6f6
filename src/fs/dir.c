// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * dir.c - a directory as a set of names. See dir.h for the picture and the locks.
 */
#include "fs/dir.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "blkmap/blkmap.h"
#include "fs/dirblock.h"
#include "fs/dirindex.h"
#include "fs/namei.h"
#include "util/log.h"
#include "util/sizes.h"
#include "util/store.h"

int dir_open(struct super *sb, ino_nr ino, struct dir *out_dir)
{
	struct inode_rec *rec = inode_get(sb, ino);

	if (rec == NULL)
		return -ESTALE;
	if (!inode_is_dir(rec))
		return -ENOTDIR;
	*out_dir = (struct dir){ .sb = sb, .ino = ino, .rec = rec };
	return 0;
}

int fs_name_init(const struct super *sb, const char *text, struct fs_name *out_name)
{
	size_t len = strnlen(text, FS_NAME_MAX + 1);

	if (len == 0 || memchr(text, '/', len) != NULL)
		return -EINVAL;
	if (len > FS_NAME_MAX)
		return -ENAMETOOLONG;
	if (strcmp(text, ".") == 0 || strcmp(text, "..") == 0)
		return -EEXIST;
	out_name->text = text;
	out_name->len = (unsigned)len;
	out_name->hash = (uint32_t)keyhash(&sb->hash_key, text, len);
	return 0;
}

/* Blocks ----------------------------------------------------------------- */

static inline struct tree dir_tree(const struct dir *dir)
{
	return (struct tree){ .word = &dir->rec->tree_word };
}

/* What the block holds comes before its name does. */
static inline void dir_store(uint64_t *place, uint64_t word, const char *point)
{
	__atomic_store_n(place, word, __ATOMIC_RELEASE);
	zt_stored(point);
}

/* Whether it has one block at most, which needs no index. */
static inline bool dir_is_small(const struct dir *dir)
{
	struct tree tree = dir_tree(dir);

	return tree_shape(&tree) == 0;
}

static inline uint64_t *block_at(const struct dir *dir, ref_t ref)
{
	return zs_data(dir->sb->arena, ref);
}

static inline unsigned block_units(const struct dir *dir, ref_t ref)
{
	return zs_size(dir->sb->arena, ref) / 8;
}

/* The ref of block @idx, 0 when there is none. */
static ref_t block_ref(const struct dir *dir, uint64_t idx)
{
	struct tree tree = dir_tree(dir);
	const uint64_t *slot = tree_slot(dir->sb->arena, &tree, idx);

	return slot ? dir_word_ref(*slot) : 0;
}

static int block_alloc(const struct dir *dir, unsigned units, ref_t *out_ref)
{
	int err = zs_malloc(dir->sb->meta, units * 8, out_ref);

	if (!err)
		dirblock_init(block_at(dir, *out_ref), units);
	return err;
}

/* Finding ---------------------------------------------------------------- */

static void entry_fill(const uint64_t *block, uint64_t idx, unsigned at, struct dir_entry *out)
{
	out->ino = dirent_ino(block[at]);
	out->type = dirent_type(block[at]);
	out->pos = idx * DIR_POS_BLOCK + at;
}

static int small_find(const struct dir *dir, const struct fs_name *name, struct dir_entry *out)
{
	ref_t ref = dir_word_ref(dir->rec->tree_word);
	const uint64_t *block;
	unsigned at;

	if (ref == 0)
		return -ENOENT;
	block = block_at(dir, ref);
	if (!dirblock_find(block, block_units(dir, ref), name->text, name->len, &at))
		return -ENOENT;
	entry_fill(block, 0, at, out);
	return 0;
}

int dir_find(const struct dir *dir, const struct fs_name *name, struct dir_entry *out)
{
	const struct dirindex *index;
	uint64_t cursor = 0;
	uint32_t pos;

	if (dir_is_small(dir))
		return small_find(dir, name, out);
	index = dirindex_get(dir->sb, dir->ino);
	if (index == NULL)
		return -EAGAIN;
	while (dirindex_next(index, name->hash, &cursor, &pos)) {
		uint64_t idx = pos / DIR_POS_BLOCK;
		unsigned at = pos % DIR_POS_BLOCK;
		const uint64_t *block = block_at(dir, block_ref(dir, idx));

		if (dirent_name_len(block[at]) == name->len &&
		    memcmp(dirent_name(&block[at]), name->text, name->len) == 0) {
			entry_fill(block, idx, at, out);
			return 0;
		}
	}
	return -ENOENT;
}

/* Where the names of a block below unit @end stand, from the front. Return: how many. */
static unsigned block_names(const uint64_t *block, unsigned end,
			    uint16_t out_at[DIRBLOCK_MAX_NAMES])
{
	unsigned nr = 0;

	for (unsigned at = 0; at < end; at += dirent_units(block[at]))
		if (dirent_ino(block[at]) != 0)
			out_at[nr++] = (uint16_t)at;
	return nr;
}

void dir_walk(const struct dir *dir, uint64_t below, dir_visit_fn visit, void *arg)
{
	struct tree tree = dir_tree(dir);
	uint64_t idx = below / DIR_POS_BLOCK;
	unsigned end = below % DIR_POS_BLOCK;
	const uint64_t *slot;

	while ((slot = tree_prev(dir->sb->arena, &tree, &idx)) != NULL) {
		const ref_t ref = dir_word_ref(*slot);
		const uint64_t *block = block_at(dir, ref);
		unsigned units = block_units(dir, ref), nr;
		uint16_t at[DIRBLOCK_MAX_NAMES];
		struct dir_entry entry;

		if (idx == below / DIR_POS_BLOCK)
			units = (unsigned)min_u64(units, end);
		for (nr = block_names(block, units, at); nr > 0; nr--) {
			const uint64_t *name = &block[at[nr - 1]];

			entry_fill(block, idx, at[nr - 1], &entry);
			if (!visit(arg, &entry, dirent_name(name), dirent_name_len(*name)))
				return;
		}
		if (idx-- == 0)
			return;
	}
}

/* Index ------------------------------------------------------------------ */

static void index_add_block(const struct dir *dir, struct dirindex *index, uint32_t idx, ref_t ref)
{
	const uint64_t *block = block_at(dir, ref);
	unsigned units = block_units(dir, ref);
	struct dirblock_space space;

	for (unsigned at = 0; at < units; at += dirent_units(block[at])) {
		if (dirent_ino(block[at]) == 0)
			continue;
		dirindex_add(index,
			     (uint32_t)keyhash(&dir->sb->hash_key, dirent_name(&block[at]),
						dirent_name_len(block[at])),
			     idx * DIR_POS_BLOCK + at);
	}
	dirblock_scan(block, units, &space);
	dirindex_set_space(index, idx, &space);
}

static int index_create(const struct dir *dir, struct dirindex **out_index)
{
	struct tree tree = dir_tree(dir);
	struct dirindex *index;
	const uint64_t *slot;
	int err = dirindex_create(dir->sb->arena, dir->ino, dir_nr_entries(dir), &index);

	if (err)
		return err;
	for (uint64_t idx = 0; (slot = tree_next(dir->sb->arena, &tree, &idx)) != NULL; idx++) {
		err = dirindex_reserve_blocks(index, (uint32_t)idx + 1);
		if (err)
			goto err_destroy;
		index_add_block(dir, index, (uint32_t)idx, dir_word_ref(*slot));
	}
	dirindex_attach(dir->sb, index);
	*out_index = index;
	return 0;

err_destroy:
	dirindex_destroy(index);
	return err;
}

int dir_make_index(const struct dir *dir)
{
	struct dirindex *index;

	if (dir_is_small(dir) || dirindex_get(dir->sb, dir->ino) != NULL)
		return 0;
	return index_create(dir, &index);
}

/* Adding ----------------------------------------------------------------- */

static void announce(const struct dir *dir, uint64_t pos)
{
	if (dir->announce)
		dir_store(dir->announce, pos, "dir: where a name will stand");
}

static unsigned block_insert(const struct dir *dir, ref_t ref, struct dirblock_space *space,
			     const struct fs_name *name, ino_nr ino, unsigned type)
{
	return dirblock_insert(block_at(dir, ref), block_units(dir, ref), space,
			       &(struct dirblock_name){ name->text, name->len, ino, type });
}

/* Block 0 takes the entry, or its larger copy, while there is no other block. -E2BIG: it can't. */
static int small_add(const struct dir *dir, const struct fs_name *name, ino_nr ino, unsigned type)
{
	ref_t old_ref = dir_word_ref(dir->rec->tree_word), ref = old_ref;
	unsigned need = dirent_units_for(name->len), units = 0, old_units = 0;
	struct dirblock_space space = { 0 };
	int err;

	if (old_ref != 0) {
		units = old_units = block_units(dir, old_ref);
		dirblock_scan(block_at(dir, old_ref), units, &space);
	}
	if (space.gap < need) {
		if (units == DIRBLOCK_UNITS)
			return -E2BIG;
		units = dirblock_units_for(old_units + need);
		err = block_alloc(dir, units, &ref);
		if (err)
			return err;
		if (old_ref != 0)
			dirblock_copy(block_at(dir, ref), units, block_at(dir, old_ref), old_units);
		dirblock_scan(block_at(dir, ref), units, &space);
	}
	announce(dir, space.gap_at);
	block_insert(dir, ref, &space, name, ino, type);
	if (ref != old_ref) {
		dir_store(&dir->rec->tree_word, dir_word_make(ref), "dir: its only block");
		if (old_ref != 0)
			zs_free(dir->sb->meta, old_ref);
	}
	return 0;
}

/* A new full-grown block @idx with one entry, published when it is complete. */
static int large_add_block(const struct dir *dir, uint32_t idx, const struct fs_name *name,
			   ino_nr ino, unsigned type, struct dirblock_space *out_space)
{
	struct super *sb = dir->sb;
	struct tree tree = dir_tree(dir);
	uint64_t *slot;
	ref_t ref;
	int err = block_alloc(dir, DIRBLOCK_UNITS, &ref);

	if (err)
		return err;
	err = tree_grow(sb->arena, sb->meta, &tree, idx, NULL);
	if (err)
		goto err_block;
	err = tree_slot_alloc(sb->arena, sb->meta, &tree, idx, &slot);
	if (err)
		goto err_nodes;
	*out_space = (struct dirblock_space){ .free = DIRBLOCK_UNITS, .gap = DIRBLOCK_UNITS };
	announce(dir, (uint64_t)idx * DIR_POS_BLOCK);
	block_insert(dir, ref, out_space, name, ino, type);
	dir_store(slot, dir_word_make(ref), "dir: a block is named");
	return 0;

err_nodes:
	tree_prune(sb->arena, sb->meta, &tree, idx, idx);
err_block:
	zs_free(sb->meta, ref);
	return err;
}

static int large_add(const struct dir *dir, struct dirindex *index, const struct fs_name *name,
		     ino_nr ino, unsigned type)
{
	struct dirblock_space space;
	uint32_t idx;
	ref_t ref;
	int err = dirindex_reserve(index);

	if (!err)
		err = dirindex_find_block(index, dirent_units_for(name->len), &idx);
	if (err)
		return err;
	space = dirindex_get_space(index, idx);
	ref = block_ref(dir, idx);
	if (ref != 0) {
		announce(dir, (uint64_t)idx * DIR_POS_BLOCK + space.gap_at);
		dirindex_add(index, name->hash,
			     idx * DIR_POS_BLOCK + block_insert(dir, ref, &space, name, ino, type));
	} else {
		err = large_add_block(dir, idx, name, ino, type, &space);
		if (err)
			return err;
		dirindex_add(index, name->hash, idx * DIR_POS_BLOCK);
	}
	dirindex_set_space(index, idx, &space);
	return 0;
}

/* The second block: from now on there is an index. */
static int small_to_large(const struct dir *dir, const struct fs_name *name, ino_nr ino,
			  unsigned type)
{
	struct dirindex *index;
	int err = index_create(dir, &index);

	if (err)
		return err;
	err = large_add(dir, index, name, ino, type);
	if (err && dir_is_small(dir))
		dirindex_drop(dir->sb, dir->ino);
	return err;
}

int dir_add(const struct dir *dir, const struct fs_name *name, ino_nr ino, unsigned type)
{
	int err;

	if (dir_is_small(dir)) {
		err = small_add(dir, name, ino, type);
		if (err == -E2BIG)
			err = small_to_large(dir, name, ino, type);
	} else {
		err = large_add(dir, dirindex_get(dir->sb, dir->ino), name, ino, type);
	}
	if (!err)
		rec_store(&dir->rec->nr_pages, dir->rec->nr_pages + 1);
	return err;
}

/* Removing --------------------------------------------------------------- */

static void block_free(const struct dir *dir, uint64_t idx, ref_t ref)
{
	struct super *sb = dir->sb;
	struct tree tree = dir_tree(dir);

	dir_store(tree_slot(sb->arena, &tree, idx), 0, "dir: an empty block goes");
	zs_free(sb->meta, ref);
	tree_prune(sb->arena, sb->meta, &tree, idx, idx);
}

void dir_remove(const struct dir *dir, const struct fs_name *name, uint64_t pos)
{
	struct dirindex *index = dir_is_small(dir) ? NULL : dirindex_get(dir->sb, dir->ino);
	uint32_t idx = (uint32_t)(pos / DIR_POS_BLOCK);
	ref_t ref = block_ref(dir, idx);
	struct dirblock_space space;

	dirblock_remove(block_at(dir, ref), block_units(dir, ref), pos % DIR_POS_BLOCK, &space);
	rec_store(&dir->rec->nr_pages, dir->rec->nr_pages - 1);
	if (space.free == block_units(dir, ref)) {
		block_free(dir, idx, ref);
		/* That is what a block that does not exist has. */
		space = (struct dirblock_space){ .free = DIRBLOCK_UNITS, .gap = DIRBLOCK_UNITS };
	}
	if (index == NULL)
		return;
	if (dir_is_small(dir)) {
		dirindex_drop(dir->sb, dir->ino);
		return;
	}
	dirindex_remove(index, name->hash, (uint32_t)pos);
	dirindex_set_space(index, idx, &space);
}

void dir_replace(const struct dir *dir, uint64_t pos, ino_nr ino, unsigned type)
{
	uint64_t *block = block_at(dir, block_ref(dir, pos / DIR_POS_BLOCK));

	dirblock_replace(block, pos % DIR_POS_BLOCK, ino, type);
}

/* Checking --------------------------------------------------------------- */

static int dir_bad(const struct dir *dir, const char *what)
{
	zt_log(ZT_LOG_ERR, "fs: directory %" PRIu64 ": %s", dir->ino, what);
	return -EUCLEAN;
}

struct dir_checker {
	const struct dir *dir;
	uint64_t nr_entries;
	bool twice; /* some name is found at two positions */
};

static bool check_name(void *arg, const struct dir_entry *entry, const char *text, unsigned len)
{
	struct dir_checker *check = arg;
	struct fs_name name = { .text = text, .len = len };
	struct dir_entry found;

	name.hash = (uint32_t)keyhash(&check->dir->sb->hash_key, text, len);
	check->nr_entries++;
	if (dir_find(check->dir, &name, &found) != 0 || found.pos != entry->pos)
		check->twice = true;
	return !check->twice;
}

/* Block @idx by itself, and what the index says of it. */
static int check_block(const struct dir *dir, const struct dirindex *index, uint64_t idx, ref_t ref)
{
	struct dirblock_space space, known;
	unsigned units;

	if (!zs_is_live(dir->sb->meta, ref))
		return dir_bad(dir, "a block is no live object");
	units = block_units(dir, ref);
	if (!dirblock_check(block_at(dir, ref), units))
		return dir_bad(dir, "a block is malformed");
	dirblock_scan(block_at(dir, ref), units, &space);
	if (space.free == units)
		return dir_bad(dir, "an empty block was kept");
	if (units != DIRBLOCK_UNITS && !dir_is_small(dir))
		return dir_bad(dir, "a block beside others is not full-grown");
	if (index == NULL)
		return 0;
	known = dirindex_get_space(index, (uint32_t)idx);
	if (known.free != space.free || known.gap != space.gap ||
	    dirent_units(block_at(dir, ref)[space.gap_at]) < space.gap)
		return dir_bad(dir, "the index is wrong about a block's space");
	return 0;
}

int dir_check(const struct dir *dir, uint64_t *inout_objects)
{
	struct dir_checker check = { .dir = dir };
	struct arena *arena = dir->sb->arena;
	struct tree tree = dir_tree(dir);
	const struct dirindex *index;
	const uint64_t *slot;
	int err = dir_make_index(dir);

	if (err)
		return err;
	index = dirindex_get(dir->sb, dir->ino);
	if (index != NULL && dir_is_small(dir))
		return dir_bad(dir, "has an index with one block");
	for (uint64_t idx = 0; !err && (slot = tree_next(arena, &tree, &idx)) != NULL; idx++) {
		err = check_block(dir, index, idx, dir_word_ref(*slot));
		(*inout_objects)++;
	}
	if (err)
		return err;
	*inout_objects += tree_nr_nodes(arena, &tree, NULL, NULL);
	dir_walk(dir, DIR_POS_END, check_name, &check);
	if (check.twice)
		return dir_bad(dir, "a name stands twice or is not found");
	if (check.nr_entries != dir_nr_entries(dir) ||
	    (index != NULL && check.nr_entries != dirindex_nr_names(index)))
		return dir_bad(dir, "the number of names is wrong");
	return 0;
}
