/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * inode_i.h - inode records, for the files of the fs layer.
 *
 * Fields that fs_getattr() reads are stored with rec_store() everywhere, because it takes no lock.
 * Nothing is ordered by that: each one is right by itself, and a reader that needs several to agree
 * holds the lock.
 */
#ifndef ZT_FS_INODE_I_H
#define ZT_FS_INODE_I_H

#include <stdbool.h>
#include <stddef.h>

#include "fs/inode.h"
#include "fs/inode_lock.h"
#include "fs/super_i.h"
#include "util/store.h"

#define rec_load(ptr)       __atomic_load_n((ptr), __ATOMIC_RELAXED)
#define rec_store(ptr, val) \
	(__atomic_store_n((ptr), (val), __ATOMIC_RELAXED), zt_stored("inode: a field"))

/* Records ---------------------------------------------------------------- */

/**
 * inode_get() - the record of an inode
 * Any number is allowed. With the inode's lock held the record stays; without it, only as long as
 * the kernel holds a reference or a name is known to stay.
 * Return: NULL when there is no such inode: the answer is -ESTALE.
 */
struct inode_rec *inode_get(struct super *sb, ino_nr ino);

/* The number of the record at @ref. */
static inline ino_nr inode_number(const struct super *sb, ref_t ref)
{
	return ref == sb->rec->root ? FS_ROOT_INO : ref;
}

static inline bool inode_is_dir(const struct inode_rec *rec)
{
	return S_ISDIR(rec_load(&rec->mode));
}

static inline bool inode_is_reg(const struct inode_rec *rec)
{
	return S_ISREG(rec_load(&rec->mode));
}

/* What chattr's flags forbid, on top of permissions; a flag may change until the lock is held. */

/** inode_is_sealed() - attributes, names and links stay as they are */
static inline bool inode_is_sealed(const struct inode_rec *rec)
{
	return rec_load(&rec->flags) & (INODE_IMMUTABLE | INODE_APPEND);
}

/** inode_is_immutable() - nothing is written to it, no name is made in it */
static inline bool inode_is_immutable(const struct inode_rec *rec)
{
	return rec_load(&rec->flags) & INODE_IMMUTABLE;
}

static inline uint64_t inode_size(const struct inode_rec *rec)
{
	const mode_t mode = rec_load(&rec->mode);

	return S_ISREG(mode) || S_ISLNK(mode) ? rec_load(&rec->size) : 0;
}

/* The header's owner in the inodes' pool, in which nothing moves: ref of the first block, 0: none. */
static inline ref_t inode_xattr(const struct super *sb, const struct inode_rec *rec)
{
	return zs_get_owner(sb->arena, zs_ref_of(sb->arena, rec)).word;
}

/* The inode's lock is held exclusive, or nobody knows it yet. */
static inline void inode_set_xattr(struct super *sb, struct inode_rec *rec, ref_t block)
{
	zs_set_owner(sb->arena, zs_ref_of(sb->arena, rec), (struct zs_owner){ .word = block });
}

/* How its content is compressed: a setting of blkmap's. */
static inline unsigned inode_setting(const struct inode_rec *rec)
{
	return (rec_load(&rec->flags) & INODE_SETTING_MASK) >> INODE_SETTING_SHIFT;
}

/** inode_file() - what blkmap wants to know of a regular file */
static inline struct blkmap_file inode_file(struct inode_rec *rec)
{
	return (struct blkmap_file){
		.tree = { .word = &rec->tree_word },
		.nr_pages = &rec->nr_pages,
		.order = rec_load(&rec->cluster_order),
		.setting = inode_setting(rec),
	};
}

/* Regular files (file.c) -------------------------------------------------- */

/** file_open() - the record of a regular file. -ESTALE, -EISDIR, -EINVAL. */
int file_open(struct super *sb, ino_nr ino, struct inode_rec **out_rec) ZT_MUST_CHECK;

/**
 * file_prepare() - under the exclusive lock: make it ready for a write or an allocation
 * @round: what it may take; -EAGAIN: it is over
 */
int file_prepare(struct super *sb, struct inode_rec *rec, uint64_t off, uint64_t len,
		 struct zt_round *round) ZT_MUST_CHECK;

/** file_cut_tail() - after a failed write or allocation nothing stands beyond the end; no lock held */
void file_cut_tail(struct super *sb, ino_nr ino);

/**
 * inode_raise_size() - to @size if it is less; writers side by side: the largest end wins. Lock
 * held shared.
 */
static inline void inode_raise_size(struct inode_rec *rec, uint64_t size)
{
	uint64_t old = rec_load(&rec->size);

	while (old < size)
		if (__atomic_compare_exchange_n(&rec->size, &old, size, false, __ATOMIC_RELEASE,
						__ATOMIC_RELAXED))
			return;
}

/*
 * What an inode takes of the space that nr_inodes gives, and each name of it but the first;
 * attributes take of the same, as in tmpfs, and ACLs and long targets of links.
 */
#define INODE_SPACE UINT64_C(1024)

/** inode_take_space() - some of that space. Return: 0 or -ENOSPC. */
int inode_take_space(struct super *sb, uint64_t bytes) ZT_MUST_CHECK;
void inode_give_space(struct super *sb, uint64_t bytes);

/* What a new inode is to be. */
struct inode_init {
	mode_t mode;
	uid_t uid;
	gid_t gid;
	dev_t rdev; /* device nodes */
	bool no_name; /* regular files: with a link count of 0 */
	bool linkable; /* of these: may be given a name */
	ino_nr parent; /* directories */
	unsigned cluster_order;
	const struct inode_rec *dir; /* the directory it is made in, or NULL: inherited from */
	bool is_copy; /* dir is what it is a copy of: its flags are inherited, its default ACL is not */
	mode_t umask; /* applied unless the directory has a default ACL; not to symlinks */
	const struct fs_cred *cred; /* its maker's; namei.c's, which inherits by it */
	const char *target; /* symlinks: FS_SYMLINK_MAX bytes at most, not empty */
	size_t target_len;
};

/**
 * inode_alloc() - make an inode that no name leads to yet
 * It has the link count its first name gives it (2 for a directory), or none, and no reference.
 * Return: 0, -ENOSPC (nr_inodes, memory), -ENOMEM.
 */
int inode_alloc(struct super *sb, const struct inode_init *init, ino_nr *out_ino,
		struct inode_rec **out_rec) ZT_MUST_CHECK;

/**
 * inode_free() - free an inode and all that it holds; its lock is held exclusive or nobody knows it
 * yet
 * What a large file holds is left to super_reap().
 */
void inode_free(struct super *sb, ino_nr ino, struct inode_rec *rec);

/** inode_free_record() - the rest, when its content is gone and its number is not to be found */
void inode_free_record(struct super *sb, ino_nr ino, struct inode_rec *rec);

/**
 * inode_put_unused() - free it if neither a name nor a reference is left; its lock is held
 * exclusive
 */
void inode_put_unused(struct super *sb, ino_nr ino, struct inode_rec *rec);

/** inode_fill_attr() - takes no lock */
void inode_fill_attr(ino_nr ino, const struct inode_rec *rec, struct stat *out_attr);

/** inode_fill_entry() - number, generation and attributes; the reference is the caller's */
void inode_fill_entry(ino_nr ino, const struct inode_rec *rec, struct fs_entry *out);

/** inode_add_lookup() - the kernel gets one reference; the inode can't go away meanwhile */
static inline void inode_add_lookup(struct inode_rec *rec)
{
	__atomic_fetch_add(&rec->nlookup, 1, __ATOMIC_RELAXED);
}

/**
 * inode_cut() - drop what a regular file holds at @size and behind it, which is its end then at the
 * latest; its lock is held exclusive
 * That can need memory (see blkmap_truncate()), and a full filesystem must let files be cut all the
 * same. So when it fails, the inode remembers that its end wants cutting, and whatever would let
 * these bytes be seen does that first.
 * @round: what it may take, or NULL
 * Return: 0, or why the end stays as it is for now: -EAGAIN the round is over.
 */
int inode_cut(struct super *sb, struct inode_rec *rec, uint64_t size, struct zt_round *round);

/** inode_set_flag() - INODE_...; lock held shared, or in use by an asynchronous write */
static inline void inode_set_flag(struct inode_rec *rec, uint16_t flag)
{
	__atomic_fetch_or(&rec->flags, flag, __ATOMIC_RELAXED);
}

/** inode_tail_is_dirty() - whether inode_cut() has to come before the file may grow */
static inline bool inode_tail_is_dirty(const struct inode_rec *rec)
{
	return rec_load(&rec->flags) & INODE_TAIL_DIRTY;
}

/**
 * inode_clear_setid() - what a change by @cred does to set-ID bits; lock shared or exclusive
 * @privileged: @cred may give set-group-ID to files of any group
 */
void inode_clear_setid(struct inode_rec *rec, const struct fs_cred *cred, bool privileged);

/** cred_kills_setid() - whether a write (@delayed: from the page cache) or truncation does that */
static inline bool cred_kills_setid(const struct fs_cred *cred, bool delayed)
{
	if (cred->setid == FS_SETID_BY_UID)
		return !delayed && cred->uid != 0;
	return cred->setid == FS_SETID_KILL;
}

/* Times (time.c) --------------------------------------------------------- */

#define INODE_ATIME (1u << FS_ATIME)
#define INODE_MTIME (1u << FS_MTIME)
#define INODE_CTIME (1u << FS_CTIME)
#define INODE_BTIME (1u << FS_BTIME)

/**
 * inode_touch() - set the times in the mask @which to now
 *
 * May cost two system calls (fs_time_follow_kernel()). A caller that changes several inodes at once
 * calls it for one, and inode_touch_at() for the others. Return: now.
 */
fs_time inode_touch(struct inode_rec *rec, unsigned which);
void inode_touch_at(struct inode_rec *rec, unsigned which, fs_time now);

/**
 * inode_touch_read() - set atime as relatime does: if it is not newer than the last change, or a
 * day old; and if super_set_frozen_atimes() does not forbid it
 */
void inode_touch_read(const struct super *sb, struct inode_rec *rec);

/* Symlinks (symlink.c) --------------------------------------------------- */

/* From so many bytes on a target takes a page of the space that nr_inodes gives. */
#define SYMLINK_LONG 128u

static inline uint64_t symlink_space(uint64_t len)
{
	return len < SYMLINK_LONG ? 0 : ZT_PAGE_SIZE;
}

/** symlink_store() - keep the target of a new symlink */
int symlink_store(struct super *sb, struct inode_rec *rec, const char *target,
		  size_t len) ZT_MUST_CHECK;

/** symlink_free() - drop it */
void symlink_free(struct super *sb, struct inode_rec *rec);

#endif
