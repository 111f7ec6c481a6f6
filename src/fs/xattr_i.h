/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * xattr_i.h - where attributes stand, and what ACLs do, for the files of the fs layer.
 *
 * All of it is called with the inode's lock held: shared for looking, exclusive for changing.
 */
#ifndef ZT_FS_XATTR_I_H
#define ZT_FS_XATTR_I_H

#include <string.h>

#include "fs/inode_i.h"
#include "fs/xattr.h"

#define XATTR_CAPABILITY  "security.capability"
#define XATTR_ACL_ACCESS  "system.posix_acl_access"
#define XATTR_ACL_DEFAULT "system.posix_acl_default"

/* The store (xattrstore.c) ----------------------------------------------- */

/**
 * xattr_space() - what an attribute takes of the space that nr_inodes gives, as tmpfs counts
 * A node of 40 bytes, name and value. ACLs, which it does not count, take memory here as others do.
 */
static inline uint64_t xattr_space(const char *name, size_t name_len, uint64_t size)
{
	(void)name;
	return 40 + name_len + 1 + size;
}

/**
 * xattr_set() - set an attribute, of the space that nr_inodes gives
 * @flags: XATTR_CREATE, XATTR_REPLACE or neither
 * The inode's lock is held exclusive, or nobody knows it yet.
 * Return: 0, -EEXIST, -ENODATA, -ENOSPC, -ENOMEM; on errors nothing has changed.
 */
int xattr_set(struct super *sb, struct inode_rec *rec, const char *name, const void *value,
	      uint32_t size, unsigned flags) ZT_MUST_CHECK;

/* An attribute as it stands in the arena. */
struct xattr_view {
	const char *name; /* no NUL behind it */
	unsigned name_len;
	const void *value;
	uint32_t size;
};

/** xattr_find() - Return: false when there is no such attribute */
bool xattr_find(struct super *sb, const struct inode_rec *rec, const char *name,
		struct xattr_view *out_view);

/**
 * xattr_next() - walk the attributes
 * @inout_pos: { 0, 0 } at first
 * Return: false at the end.
 */
struct xattr_pos {
	ref_t block;
	uint32_t off;
};
bool xattr_next(struct super *sb, const struct inode_rec *rec, struct xattr_pos *inout_pos,
		struct xattr_view *out_view);

/** xattr_put() - add an attribute or replace it. Return: 0, -ENOSPC, -ENOMEM; then nothing changed. */
int xattr_put(struct super *sb, struct inode_rec *rec, const char *name, const void *value,
	      uint32_t size) ZT_MUST_CHECK;

/** xattr_drop() - remove it if it is there; needs no memory */
void xattr_drop(struct super *sb, struct inode_rec *rec, const char *name);

/** xattr_remove() - xattr_drop(), and its space goes back */
void xattr_remove(struct super *sb, struct inode_rec *rec, const char *name);

/** xattr_free() - all of them, with the inode, and their space */
void xattr_free(struct super *sb, struct inode_rec *rec);

/* Where a copy of attributes goes on; { 0 } at first. */
struct xattr_copy {
	ref_t from; /* the block that was copied last */
	ref_t to; /* the last block of the copy; 0: there is none */
};

/**
 * xattr_copy_block() - the attributes of one block more, of an inode whose attributes have not changed since
 * the first one
 * @to: nobody knows it; it has what was copied before, and no more; INODE_XATTR_HINTS are the caller's
 * @wants: which of them; NULL: all
 * Return: 0; 1: there was none left; -ENOSPC, -ENOMEM: nothing has changed.
 */
int xattr_copy_block(struct super *sb, const struct inode_rec *from, struct inode_rec *to,
		     struct xattr_copy *inout_at, bool (*wants)(void *arg, const struct xattr_view *view),
		     void *arg) ZT_MUST_CHECK;

/** xattr_drop_all() - all blocks, nothing else */
void xattr_drop_all(struct super *sb, struct inode_rec *rec);

/**
 * xattr_check() - the walker
 * @inout_objects: plus objects of the metadata pool that they take
 * @inout_space: plus what they take of the space that nr_inodes gives
 * Return: NULL, or what does not fit.
 */
const char *xattr_check(struct super *sb, const struct inode_rec *rec, uint64_t *inout_objects,
			uint64_t *inout_space);

/**
 * xattr_attach() - for a process that attaches: claim the blocks, drop one in which no attribute lives,
 * and set the marks of the inode by what is there
 * @inout_space: as for xattr_check()
 * @inout_hints: counts inodes whose marks were wrong
 * Return: NULL, or what is wrong with the inode.
 */
const char *xattr_attach(struct super *sb, struct inode_rec *rec, uint64_t *inout_space,
			 uint64_t *inout_hints) ZT_MUST_CHECK;

/* ACLs (acl.c) ----------------------------------------------------------- */

/**
 * acl_check() - whether @value is an ACL
 * Return: entries, or -EINVAL, -EOPNOTSUPP (another version).
 */
int acl_check(const void *value, size_t size) ZT_MUST_CHECK;

/**
 * acl_to_mode() - the permission bits that an ACL gives to owner, group or mask, and others
 * @value: has passed acl_check()
 * @inout_mode: its lower nine bits are replaced
 * Return: whether the ACL says more than that.
 */
bool acl_to_mode(const void *value, size_t size, mode_t *inout_mode);

/** acl_from_mode() - put the mode's bits where acl_to_mode() takes them from */
void acl_from_mode(void *value, size_t size, mode_t mode);

/**
 * acl_create() - what a directory's default ACL makes of a new inode's mode
 * @value: the default ACL on entry, the new inode's access ACL on return
 * Return: whether the inode needs that ACL besides its mode.
 */
bool acl_create(void *value, size_t size, mode_t *inout_mode);

/**
 * acl_inherit() - give a new inode, which nobody knows yet, what its directory's default ACL says
 * The mode's bits are those asked for, the umask not applied.
 * Return: 0, -ENOSPC, -ENOMEM.
 */
int acl_inherit(struct super *sb, const struct inode_rec *dir, struct inode_rec *rec) ZT_MUST_CHECK;

#endif
