// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * attach_inodes.c - the walk's second half: all inodes in the order of their records, by what names
 * say of them.
 *
 * One without a name and without a reference is dead: whatever it holds is claimed by nobody, and
 * swept. So the record of an inode that was only being made, or half freed, is not looked into.
 */
#include <errno.h>

#include "fs/attach_i.h"
#include "fs/namei.h"
#include "fs/xattr_i.h"
#include "zsmalloc/attach.h"

/* Whether there can be an inode of that type. */
static bool is_type(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
	case S_IFDIR:
	case S_IFLNK:
	case S_IFCHR:
	case S_IFBLK:
	case S_IFIFO:
	case S_IFSOCK:
		return true;
	}
	return false;
}

static int attach_links(struct fs_attach *attach, ref_t ref, struct inode_rec *rec)
{
	uint32_t names = attach_nr_names(attach, ref), links = names;

	if (ref == attach->sb->rec->root)
		names = 1;
	else if (names > 0 && attach_type(attach, ref) != rec->mode >> 12)
		return attach_bad(attach, ref, "has a name of another type");
	if (inode_is_dir(rec)) {
		if (names == 0 && rec->nr_pages > 0)
			return attach_bad(attach, ref, "is a directory without a name, and has entries");
		/* Its subdirectories were counted before, unless it was taken for a removed one. */
		links = names == 0 ? 0 : (uint32_t)max_u64(rec->nlink, 2);
	}
	if (rec->nlink != links) {
		rec_store(&rec->nlink, links);
		attach->report->link_counts++;
	}
	return 0;
}

static int attach_symlink(struct fs_attach *attach, ref_t ref, struct inode_rec *rec)
{
	if (rec->size == 0 || rec->size > FS_SYMLINK_MAX ||
	    !zs_claim_sized(attach->sb->meta, rec->tree_word, (uint32_t)rec->size))
		return attach_bad(attach, ref, "is a link whose target is not there");
	return 0;
}

static int attach_content(struct fs_attach *attach, ref_t ref, struct inode_rec *rec)
{
	struct blkmap_file file = inode_file(rec);
	uint64_t end = 0;
	int err;

	if (rec->size > ZT_MAX_FILE_SIZE)
		return attach_bad(attach, ref, "is too large");
	err = blkmap_attach_file(attach->content, &file, attach->text, &end);
	if (err)
		return err;
	/* A write or a cut was under way, and who asked for it may be gone. */
	if (end > rec->size && !inode_tail_is_dirty(rec)) {
		inode_set_flag(rec, INODE_TAIL_DIRTY);
		attach->report->tails++;
	}
	if (rec->promised) {
		rec_store(&rec->promised, 0);
		attach->report->promises++;
	}
	return 0;
}

static int attach_attributes(struct fs_attach *attach, ref_t ref, struct inode_rec *rec)
{
	struct super *sb = attach->sb;
	const char *bad;

	if (!blkmap_setting_is_known(sb->map, inode_setting(rec)))
		return attach_bad(attach, ref, "has a compression setting that is not the mount's");
	bad = xattr_attach(sb, rec, &sb->space, &attach->report->hints);
	if (bad)
		return attach_bad(attach, ref, bad);
	blkmap_setting_get(sb->map, inode_setting(rec));
	sb->space += INODE_SPACE;
	/* Each name but the first, and long targets. */
	if (!inode_is_dir(rec) && rec->nlink > 1)
		sb->space += (rec->nlink - 1) * INODE_SPACE;
	if (S_ISLNK(rec->mode))
		sb->space += symlink_space(rec->size);
	sb->nr_inodes++;
	return 0;
}

static int attach_inode(struct fs_attach *attach, ref_t ref)
{
	struct super *sb = attach->sb;
	struct inode_rec *rec = attach_rec(attach, ref);
	bool is_root = ref == sb->rec->root;
	int err;

	if (sb->from_image)
		rec_store(&rec->nlookup, 0); /* of a mount that is no longer there */
	if (!is_root && attach_nr_names(attach, ref) == 0 && rec->nlookup == 0) {
		if (inode_is_dir(rec) && rec->nr_pages > 0)
			return attach_bad(attach, ref, "is lost, and has entries");
		attach->report->lost_inodes++;
		return 0;
	}
	if (!is_type(rec->mode))
		return attach_bad(attach, ref, "is of no type");
	if (zs_claim(sb->inodes, ref) != ZS_CLAIMED)
		return attach_bad(attach, ref, "is not there");
	err = attach_links(attach, ref, rec);
	if (!err)
		err = attach_attributes(attach, ref, rec);
	if (!err && S_ISREG(rec->mode))
		err = attach_content(attach, ref, rec);
	if (!err && S_ISLNK(rec->mode))
		err = attach_symlink(attach, ref, rec);
	if (!err && !is_root)
		err = inodeset_reserve(&sb->live, sb->arena, ref);
	if (!err && !is_root)
		inodeset_add(&sb->live, ref);
	return err;
}

int attach_inodes(struct fs_attach *attach)
{
	struct zs_attach_walk walk = { 0 };
	ref_t ref;
	int err = 0;

	while (!err && zs_attach_next(attach->sb->inodes, &walk, &ref))
		err = attach_inode(attach, ref);
	return err;
}
