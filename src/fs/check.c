// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * check.c - super_check(): walk all names from the root, count what they lead to, and compare with
 * the inodes.
 *
 * No other thread uses the mount meanwhile; no locks are taken.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "blkmap/spilled.h"
#include "fs/dir.h"
#include "fs/inode_i.h"
#include "fs/xattr_i.h"
#include "util/alloc.h"
#include "util/log.h"

/* What the names say about one inode. */
struct seen {
	ino_nr ino; /* as names have it */
	uint32_t names;
	uint32_t subdirs;
};

struct checker {
	struct super *sb;
	struct seen *seen; /* by ino */
	uint64_t nr_inodes;
	ino_nr *todo; /* directories still to be walked */
	uint64_t nr_todo;
	struct seen *parent; /* the one that is walked */
	uint64_t meta_objects, data_objects;
	uint64_t space; /* as super.space */
	uint64_t settings[BLKMAP_NR_SETTINGS]; /* inodes that name them */
	int err;
};

static int ino_bad(ino_nr ino, const char *what)
{
	zt_log(ZT_LOG_ERR, "fs: inode %" PRIu64 ": %s", ino, what);
	return -EUCLEAN;
}

static int seen_cmp(const void *a, const void *b)
{
	ino_nr x = ((const struct seen *)a)->ino, y = ((const struct seen *)b)->ino;

	return x < y ? -1 : x > y;
}

static int list_inodes(struct checker *check)
{
	struct super *sb = check->sb;
	uint64_t cursor = 0, nr = rec_load(&sb->nr_inodes);
	ref_t ref;

	check->seen = zt_zalloc(nr * sizeof(*check->seen));
	check->todo = zt_zalloc(nr * sizeof(*check->todo));
	if (check->seen == NULL || check->todo == NULL)
		return -ENOMEM;
	while (zs_object_next(sb->inodes, &cursor, &ref)) {
		if (check->nr_inodes == nr)
			return ino_bad(ref, "is one more than are counted");
		check->seen[check->nr_inodes++].ino = inode_number(sb, ref);
	}
	if (check->nr_inodes != nr)
		return ino_bad(0, "fewer inodes than are counted");
	qsort(check->seen, nr, sizeof(*check->seen), seen_cmp);
	return 0;
}

static bool check_entry(void *arg, const struct dir_entry *entry, const char *name,
			unsigned name_len)
{
	struct checker *check = arg;
	struct seen key = { .ino = entry->ino }, *seen;
	const struct inode_rec *rec = inode_get(check->sb, entry->ino);

	seen = bsearch(&key, check->seen, check->nr_inodes, sizeof(key), seen_cmp);
	if (seen == NULL || rec == NULL) {
		zt_log(ZT_LOG_ERR, "fs: name %.*s leads to no inode", (int)name_len, name);
		check->err = -EUCLEAN;
		return false;
	}
	seen->names++;
	if (rec->mode >> 12 != entry->type)
		check->err = ino_bad(entry->ino, "a name gives it another type");
	if (!check->err && inode_is_dir(rec)) {
		check->parent->subdirs++;
		if (seen->names > 1)
			check->err = ino_bad(entry->ino, "is a directory with two names");
		else if (rec->parent != check->parent->ino)
			check->err = ino_bad(entry->ino, "does not know its parent");
		else
			check->todo[check->nr_todo++] = entry->ino;
	}
	return !check->err;
}

static int walk_names(struct checker *check)
{
	struct super *sb = check->sb;

	check->todo[check->nr_todo++] = FS_ROOT_INO;
	while (check->nr_todo > 0) {
		struct seen key = { .ino = check->todo[--check->nr_todo] };
		struct dir dir;
		int err = dir_open(sb, key.ino, &dir);

		if (!err)
			err = dir_check(&dir, &check->meta_objects);
		if (err)
			return err;
		check->parent = bsearch(&key, check->seen, check->nr_inodes, sizeof(key), seen_cmp);
		dir_walk(&dir, DIR_POS_END, check_entry, check);
		if (check->err)
			return check->err;
	}
	return 0;
}

static int check_links(const struct super *sb, const struct seen *seen, const struct inode_rec *rec)
{
	uint32_t names = seen->ino == FS_ROOT_INO ? 1 : seen->names;
	uint32_t links = names;

	if (inode_is_dir(rec)) {
		links = names > 0 ? 2 + seen->subdirs : 0;
		if (names == 0 && (rec->nr_pages > 0 || rec->tree_word != 0))
			return ino_bad(seen->ino, "was removed and has entries");
	}
	if (!blkmap_setting_is_known(sb->map, inode_setting(rec)))
		return ino_bad(seen->ino, "its compression setting is not the mount's");
	if (rec->nlink != links)
		return ino_bad(seen->ino, "its link count is wrong");
	if (links == 0 && rec->nlookup == 0)
		return ino_bad(seen->ino, "is lost: neither a name nor a reference");
	return 0;
}

/* Whatever is kept behind the end must be zero, or it would be seen when the file grows. */
static int check_tail(struct super *sb, ino_nr ino, struct inode_rec *rec)
{
	struct blkmap_file file = inode_file(rec);
	/* As much as a cluster usually has: prealloc may reach to terabytes. */
	static const char zero[16 * ZT_PAGE_SIZE];
	char bytes[sizeof(zero)];
	uint64_t off = rec->size;

	if (inode_tail_is_dirty(rec))
		return 0;
	while (blkmap_seek(sb->map, &file, ZT_MAX_FILE_SIZE, off, SEEK_DATA, &off) == 0) {
		size_t len = sizeof(bytes) - off % sizeof(bytes);
		int err;

		while ((err = blkmap_read(sb->map, &file, off, bytes, len)) == -EREMOTE)
			super_read_spilled(sb);
		blkmap_spill_done(sb->map);
		if (err)
			return err;
		if (memcmp(bytes, zero, len) != 0)
			return ino_bad(ino, "bytes behind its end are not zero");
		off += len;
	}
	return 0;
}

static int check_content(struct checker *check, ino_nr ino, struct inode_rec *rec)
{
	struct super *sb = check->sb;
	struct blkmap_file file = inode_file(rec);
	const char *bad;
	int err;

	bad = xattr_check(sb, rec, &check->meta_objects, &check->space);
	if (bad != NULL)
		return ino_bad(ino, bad);
	check->space += INODE_SPACE;
	/* Each name but the first, and long targets. */
	if (!inode_is_dir(rec) && rec->nlink > 1)
		check->space += (rec->nlink - 1) * INODE_SPACE;
	if (S_ISLNK(rec->mode))
		check->space += symlink_space(rec->size);
	if (inode_setting(rec) >= BLKMAP_SETTING_FIRST)
		check->settings[inode_setting(rec) - BLKMAP_SETTING_FIRST]++;
	if (S_ISLNK(rec->mode)) {
		check->meta_objects++;
		if (!zs_is_live(sb->meta, rec->tree_word) ||
		    zs_size(sb->arena, rec->tree_word) != rec->size)
			return ino_bad(ino, "its target is no live object of its size");
	}
	if (!S_ISREG(rec->mode))
		return 0;
	if (rec->size > ZT_MAX_FILE_SIZE)
		return ino_bad(ino, "is too large");
	check->meta_objects += tree_nr_nodes(sb->arena, &file.tree, NULL, NULL);
	/* Before anything is counted: what is read in small pieces may be spread. */
	err = check_tail(sb, ino, rec);
	return err ? err : blkmap_check_file(sb->map, &file, &check->data_objects);
}

static int check_inodes(struct checker *check)
{
	int err = 0;

	for (uint64_t i = 0; !err && i < check->nr_inodes; i++) {
		ino_nr ino = check->seen[i].ino;
		struct inode_rec *rec = inode_get(check->sb, ino);

		if (rec == NULL)
			return ino_bad(ino, "is not live");
		err = check_links(check->sb, &check->seen[i], rec);
		if (!err)
			err = check_content(check, ino, rec);
	}
	return err;
}

static int check_stores(struct checker *check)
{
	struct super *sb = check->sb;
	struct zs_pool_stat meta;
	int err = blkmap_check(sb->map, check->data_objects);

	zs_pool_get_stat(sb->meta, &meta);
	/* More than counted here are blkmap's cluster maps. */
	if (!err && meta.objects < check->meta_objects) {
		zt_log(ZT_LOG_ERR,
		       "fs: the metadata pool has %" PRIu64 " objects, inodes name %" PRIu64,
		       meta.objects, check->meta_objects);
		err = -EUCLEAN;
	}
	if (!err && sb->space != check->space) {
		zt_log(ZT_LOG_ERR,
		       "fs: inodes and attributes take space of %" PRIu64
		       " bytes, counted are %" PRIu64,
		       check->space, sb->space);
		err = -EUCLEAN;
	}
	if (!err)
		err = blkmap_check_settings(sb->map, check->settings);
	if (!err)
		err = zs_check(sb->meta);
	if (!err)
		err = zs_check(sb->inodes);
	if (!err)
		err = arena_check(sb->arena);
	return err;
}

int super_check(struct super *sb)
{
	struct checker check = { .sb = sb };
	int err;

	super_reap(sb);
	err = list_inodes(&check);
	if (!err)
		err = walk_names(&check);
	if (!err)
		err = check_inodes(&check);
	if (!err)
		err = check_stores(&check);
	zt_free(check.seen);
	zt_free(check.todo);
	return err;
}
