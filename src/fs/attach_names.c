// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * attach_names.c - the walk's first half: what all directories hold, in the order of their records.
 *
 * An entry appears and disappears by one store, so an entry is true. What stands elsewhere about names
 * follows it: link counts, a directory's number of entries, the parent that a directory knows. Only a
 * rename that was killed leaves two names of one directory: the one where the directory says it is
 * stays.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fs/attach_i.h"
#include "fs/dir.h"
#include "fs/dirblock.h"
#include "util/alloc.h"
#include "zsmalloc/attach.h"

/* In a word of fs_attach.names. */
#define NAMES_TYPE_SHIFT 28
#define NAMES_MASK       ((UINT32_C(1) << NAMES_TYPE_SHIFT) - 1)
#define TYPE_DIR         (S_IFDIR >> 12)

/* Places of two inodes are at least so far apart, in refs. */
#define INODE_REFS ((sizeof(struct inode_rec) + ZS_HDR_SIZE) / 16)

int attach_bad(struct fs_attach *attach, ref_t ref, const char *what)
{
	snprintf(attach->text, 256, "inode %" PRIu64 " %s", (uint64_t)ref, what);
	return -EUCLEAN;
}

static uint32_t *names_at(const struct fs_attach *attach, ref_t ref)
{
	return &attach->names[(ref - attach->first) / INODE_REFS];
}

uint32_t attach_nr_names(const struct fs_attach *attach, ref_t ref)
{
	return *names_at(attach, ref) & NAMES_MASK;
}

unsigned attach_type(const struct fs_attach *attach, ref_t ref)
{
	return *names_at(attach, ref) >> NAMES_TYPE_SHIFT;
}

/* One directory of the walk. */
struct dir_walk {
	struct fs_attach *attach;
	ref_t ref;
	struct inode_rec *rec;
	ino_nr ino;
	uint64_t nr_entries, nr_subdirs;
	bool emptied; /* a block without entries was there */
};

/*
 * What stands twice in a directory was written by no ztmpfs, and its own arena is not asked: it costs a
 * hash of each name. Two names of one hash among millions are as likely as a wrong sum.
 */
static int note_name(struct dir_walk *walk, const uint64_t *entry)
{
	struct fs_attach *attach = walk->attach;
	const uint64_t nr = walk->nr_entries;

	if (!attach->sb->from_image)
		return 0;
	if (nr == attach->max_hashes) {
		const uint64_t max = nr ? 2 * nr : 4096;
		uint64_t *more = zt_map(max * sizeof(*more));

		if (!more)
			return -ENOMEM;
		if (nr)
			memcpy(more, attach->hashes, nr * sizeof(*more));
		zt_unmap(attach->hashes, nr * sizeof(*more));
		attach->hashes = more;
		attach->max_hashes = max;
	}
	attach->hashes[nr] =
		keyhash(&attach->sb->hash_key, dirent_name(entry), dirent_name_len(*entry));
	return 0;
}

static int hash_cmp(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static int check_names(const struct dir_walk *walk)
{
	uint64_t *hashes = walk->attach->hashes;

	if (!walk->attach->sb->from_image || walk->nr_entries < 2)
		return 0;
	qsort(hashes, walk->nr_entries, sizeof(*hashes), hash_cmp);
	for (uint64_t i = 1; i < walk->nr_entries; i++)
		if (hashes[i] == hashes[i - 1])
			return attach_bad(walk->attach, walk->ref, "has a name twice");
	return 0;
}

static int note_entry(struct dir_walk *walk, const uint64_t *entry)
{
	struct fs_attach *attach = walk->attach;
	const uint64_t header = *entry;
	const int err = note_name(walk, entry);
	ref_t ref = dirent_ino(header);
	unsigned type = dirent_type(header);
	uint32_t *names;

	if (err)
		return err;
	if (!zs_is_unclaimed(attach->sb->inodes, ref) || ref == attach->sb->rec->root)
		return attach_bad(attach, walk->ref, "has a name that leads to no inode");
	names = names_at(attach, ref);
	if (*names & NAMES_MASK && attach_type(attach, ref) != type)
		return attach_bad(attach, ref, "has names of several types");
	if ((*names & NAMES_MASK) == NAMES_MASK)
		return attach_bad(attach, ref, "has too many names");
	*names = (*names & NAMES_MASK) + 1u + ((uint32_t)type << NAMES_TYPE_SHIFT);
	walk->nr_entries++;
	if (type != TYPE_DIR)
		return 0;
	walk->nr_subdirs++;
	if (attach_nr_names(attach, ref) > 1 || attach_rec(attach, ref)->parent != walk->ino)
		attach->dirs_differ = true;
	return 0;
}

static bool is_block_size(uint32_t size)
{
	unsigned units = DIRBLOCK_UNITS_FIRST;

	while (units < DIRBLOCK_UNITS && units * 8 != size)
		units = units * 2 + 1;
	return units * 8 == size;
}

/* tree_attach_fn */
static int attach_block(void *arg, uint64_t idx, uint64_t *word)
{
	struct dir_walk *walk = arg;
	struct super *sb = walk->attach->sb;
	uint64_t before = walk->nr_entries;
	ref_t ref = dir_word_ref(*word);
	const uint64_t *block;
	unsigned units;
	int err = 0;

	if (idx > DIR_POS_END / DIR_POS_BLOCK || zs_claim(sb->meta, ref) != ZS_CLAIMED ||
	    !is_block_size(zs_size(sb->arena, ref)))
		return attach_bad(walk->attach, walk->ref, "names a block that is none");
	block = zs_data(sb->arena, ref);
	units = zs_size(sb->arena, ref) / 8;
	if (!dirblock_check(block, units))
		return attach_bad(walk->attach, walk->ref, "has a malformed block of names");
	for (unsigned at = 0; at < units && !err; at += dirent_units(block[at]))
		if (dirent_ino(block[at]) != 0)
			err = note_entry(walk, &block[at]);
	if (err || walk->nr_entries != before)
		return err;
	__atomic_store_n(word, 0, __ATOMIC_RELEASE);
	zs_free(sb->meta, ref);
	walk->attach->report->empty_blocks++;
	walk->emptied = true;
	return 0;
}

static struct tree dir_tree(struct inode_rec *rec)
{
	return (struct tree){ .word = &rec->tree_word };
}

/* Nodes that hold nothing go, as after dir_remove(). */
static void prune(struct super *sb, struct inode_rec *rec)
{
	struct tree tree = dir_tree(rec);

	tree_prune(sb->arena, sb->meta, &tree, 0, UINT64_MAX);
}

static int attach_dir(struct fs_attach *attach, ref_t ref)
{
	struct super *sb = attach->sb;
	struct dir_walk walk = { .attach = attach, .ref = ref, .rec = attach_rec(attach, ref) };
	struct tree tree = dir_tree(walk.rec);
	uint32_t links;
	int err;

	walk.ino = inode_number(sb, ref);
	snprintf(attach->text, 256,
		 "inode %" PRIu64 " has a tree of blocks with a node that is none", (uint64_t)ref);
	err = tree_attach(sb->arena, sb->meta, &tree, attach_block, &walk);
	if (!err)
		err = check_names(&walk);
	if (err)
		return err;
	if (walk.emptied || walk.nr_entries == 0)
		prune(sb, walk.rec);
	if (walk.rec->nr_pages != walk.nr_entries) {
		rec_store(&walk.rec->nr_pages, walk.nr_entries);
		attach->report->dir_counts++;
	}
	/* One that was removed has none; attach_inodes() knows whether it has a name. */
	links = 2 + (uint32_t)walk.nr_subdirs;
	if (walk.rec->nlink != links && (walk.rec->nlink != 0 || walk.nr_entries != 0)) {
		rec_store(&walk.rec->nlink, links);
		attach->report->link_counts++;
	}
	return 0;
}

/* ---- directories with two names, or another parent ---- */

/* Whether this is a name too many: the last one stays, and the one where the directory says it is. */
static bool is_second_name(struct fs_attach *attach, ino_nr ino, ref_t child)
{
	return attach_nr_names(attach, child) > 1 && attach_rec(attach, child)->parent != ino;
}

struct repair {
	struct fs_attach *attach;
	struct dir dir;
	bool drop_any; /* a directory with two names in its own parent keeps the last */
	bool set_parents;
};

/* Return: whether a name was dropped, so that positions have changed. */
static bool repair_block(struct repair *repair, uint64_t *block, unsigned units)
{
	struct fs_attach *attach = repair->attach;
	struct dirblock_space space;

	for (unsigned at = 0; at < units; at += dirent_units(block[at])) {
		ref_t child = dirent_ino(block[at]);

		if (child == 0 || dirent_type(block[at]) != TYPE_DIR)
			continue;
		if (is_second_name(attach, repair->dir.ino, child) ||
		    (repair->drop_any && attach_nr_names(attach, child) > 1)) {
			dirblock_remove(block, units, at, &space);
			--*names_at(attach, child);
			rec_store(&repair->dir.rec->nr_pages, repair->dir.rec->nr_pages - 1);
			rec_store(&repair->dir.rec->nlink, repair->dir.rec->nlink - 1);
			attach->report->second_names++;
			return true;
		}
		if (repair->set_parents && attach_rec(attach, child)->parent != repair->dir.ino) {
			rec_store(&attach_rec(attach, child)->parent, repair->dir.ino);
			attach->report->parents++;
		}
	}
	return false;
}

static bool block_is_empty(const uint64_t *block, unsigned units)
{
	struct dirblock_space space;

	dirblock_scan(block, units, &space);
	return space.free == units;
}

static void repair_dir(struct repair *repair)
{
	struct super *sb = repair->attach->sb;
	struct tree tree = dir_tree(repair->dir.rec);
	bool emptied = false;
	uint64_t *word;

	for (uint64_t idx = 0; (word = tree_next(sb->arena, &tree, &idx)) != NULL; idx++) {
		ref_t ref = dir_word_ref(*word);
		uint64_t *block = zs_data(sb->arena, ref);
		unsigned units = zs_size(sb->arena, ref) / 8;

		while (repair_block(repair, block, units))
			;
		if (!block_is_empty(block, units))
			continue;
		__atomic_store_n(word, 0, __ATOMIC_RELEASE);
		zs_free(sb->meta, ref);
		emptied = true;
	}
	if (emptied)
		prune(sb, repair->dir.rec);
}

static void repair_dirs(struct repair *repair)
{
	struct super *sb = repair->attach->sb;
	struct zs_attach_walk walk = { 0 };
	ref_t ref;

	while (zs_attach_next(sb->inodes, &walk, &ref)) {
		struct inode_rec *rec = attach_rec(repair->attach, ref);

		if (!inode_is_dir(rec))
			continue;
		repair->dir = (struct dir){
			.sb = sb,
			.ino = inode_number(sb, ref),
			.rec = rec,
		};
		repair_dir(repair);
	}
}

/* Rare, and so a walk of its own for each step. */
static void repair_names(struct fs_attach *attach)
{
	struct repair repair = { .attach = attach };

	repair_dirs(&repair);
	repair.drop_any = true;
	repair_dirs(&repair);
	repair.set_parents = true;
	repair_dirs(&repair);
}

/* ---- trees that no name leads to ---- */

static void drop_entries(struct fs_attach *attach, struct inode_rec *rec)
{
	struct super *sb = attach->sb;
	struct tree tree = dir_tree(rec);
	uint64_t *word;

	for (uint64_t idx = 0; (word = tree_next(sb->arena, &tree, &idx)) != NULL; idx++) {
		ref_t ref = dir_word_ref(*word);
		const uint64_t *block = zs_data(sb->arena, ref);
		unsigned units = zs_size(sb->arena, ref) / 8;

		for (unsigned at = 0; at < units; at += dirent_units(block[at]))
			if (dirent_ino(block[at]) != 0)
				--*names_at(attach, dirent_ino(block[at]));
		__atomic_store_n(word, 0, __ATOMIC_RELEASE);
		zs_free(sb->meta, ref);
	}
	prune(sb, rec);
	rec_store(&rec->nr_pages, 0);
	rec_store(&rec->nlink, 0);
}

/*
 * A copy of a tree that was not complete (clone.c): its directories have entries, and the topmost one
 * has no name. They lose their entries, one level with each walk, and all of it is lost then.
 */
static void drop_unfinished(struct fs_attach *attach)
{
	const ref_t root = attach->sb->rec->root;
	bool again = true;

	while (again) {
		struct zs_attach_walk walk = { 0 };
		ref_t ref;

		again = false;
		while (zs_attach_next(attach->sb->inodes, &walk, &ref)) {
			struct inode_rec *rec = attach_rec(attach, ref);

			if (ref == root || !inode_is_dir(rec) || rec->nr_pages == 0 ||
			    attach_nr_names(attach, ref) > 0)
				continue;
			drop_entries(attach, rec);
			again = true;
		}
	}
}

/* ---- all of them ---- */

static int names_init(struct fs_attach *attach)
{
	struct zs_attach_walk walk = { 0 };
	ref_t ref, last = 0;

	while (zs_attach_next(attach->sb->inodes, &walk, &ref)) {
		if (attach->first == 0)
			attach->first = ref;
		last = ref;
	}
	if (!zs_is_unclaimed(attach->sb->inodes, attach->sb->rec->root) ||
	    !inode_is_dir(attach_rec(attach, attach->sb->rec->root)))
		return attach_bad(attach, attach->sb->rec->root, "is to be the root and is not there");
	attach->nr_names = (last - attach->first) / INODE_REFS + 1;
	attach->names = zt_map(attach->nr_names * sizeof(*attach->names));
	return attach->names ? 0 : -ENOMEM;
}

int attach_names(struct fs_attach *attach)
{
	struct zs_attach_walk walk = { 0 };
	ref_t ref;
	int err = names_init(attach);

	while (!err && zs_attach_next(attach->sb->inodes, &walk, &ref))
		if (inode_is_dir(attach_rec(attach, ref)))
			err = attach_dir(attach, ref);
	zt_unmap(attach->hashes, attach->max_hashes * sizeof(*attach->hashes));
	attach->hashes = NULL;
	attach->max_hashes = 0;
	if (!err && attach->dirs_differ)
		repair_names(attach);
	if (!err)
		drop_unfinished(attach);
	return err;
}
