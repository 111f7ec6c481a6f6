// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * acl.c - POSIX ACLs: what they make of modes, and how they are inherited. The kernel checks access
 * by them, and asks only for the lists.
 *
 * Locks: see xattr_i.h.
 */
#include <endian.h>
#include <errno.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <string.h>

#include "fs/access.h"
#include "fs/xattr_i.h"
#include "util/alloc.h"

/* An entry in the machine's byte order. */
struct acl_entry {
	unsigned tag, perm;
};

static size_t acl_count(size_t size)
{
	return (size - sizeof(struct posix_acl_xattr_header)) /
	       sizeof(struct posix_acl_xattr_entry);
}

static size_t acl_offset(size_t i)
{
	return sizeof(struct posix_acl_xattr_header) + i * sizeof(struct posix_acl_xattr_entry);
}

/* Values stand anywhere, aligned or not. */
static struct acl_entry acl_get(const void *value, size_t i)
{
	struct posix_acl_xattr_entry e;

	memcpy(&e, (const char *)value + acl_offset(i), sizeof(e));
	return (struct acl_entry){ le16toh(e.e_tag), le16toh(e.e_perm) };
}

static void acl_set_perm(void *value, size_t i, unsigned perm)
{
	uint16_t le = htole16((uint16_t)perm);

	memcpy((char *)value + acl_offset(i) + offsetof(struct posix_acl_xattr_entry, e_perm), &le,
	       sizeof(le));
}

/* The tags in their order; each but those of named users and groups at most once. */
static const unsigned acl_order[] = { ACL_USER_OBJ, ACL_USER, ACL_GROUP_OBJ,
				      ACL_GROUP,    ACL_MASK, ACL_OTHER };

int acl_check(const void *value, size_t size)
{
	unsigned seen = 0, rank = 0;
	uint32_t version;

	if (size < sizeof(version))
		return -EINVAL;
	memcpy(&version, value, sizeof(version));
	if (le32toh(version) != POSIX_ACL_XATTR_VERSION)
		return -EOPNOTSUPP;
	if ((size - sizeof(version)) % sizeof(struct posix_acl_xattr_entry) != 0)
		return -EINVAL;
	for (size_t i = 0; i < acl_count(size); i++) {
		struct acl_entry e = acl_get(value, i);

		if (e.perm & ~7u)
			return -EINVAL;
		while (rank < sizeof(acl_order) / sizeof(acl_order[0]) && acl_order[rank] != e.tag)
			rank++;
		if (rank == sizeof(acl_order) / sizeof(acl_order[0]))
			return -EINVAL;
		if (seen & e.tag && !(e.tag & (ACL_USER | ACL_GROUP)))
			return -EINVAL;
		seen |= e.tag;
	}
	if (~seen & (ACL_USER_OBJ | ACL_GROUP_OBJ | ACL_OTHER))
		return -EINVAL;
	return seen & (ACL_USER | ACL_GROUP) && !(seen & ACL_MASK) ? -EINVAL : 0;
}

static bool acl_has(const void *value, size_t size, unsigned tags)
{
	for (size_t i = 0; i < acl_count(size); i++)
		if (acl_get(value, i).tag & tags)
			return true;
	return false;
}

/* By how much the mode is shifted to give the permissions of an entry; -1: it has no part in it. */
static int acl_shift(unsigned tag, bool has_mask)
{
	switch (tag) {
	case ACL_USER_OBJ:
		return 6;
	case ACL_MASK:
		return 3;
	case ACL_GROUP_OBJ:
		return has_mask ? -1 : 3;
	case ACL_OTHER:
		return 0;
	}
	return -1;
}

bool acl_to_mode(const void *value, size_t size, mode_t *inout_mode)
{
	bool has_mask = acl_has(value, size, ACL_MASK);
	mode_t mode = *inout_mode & ~(mode_t)0777;

	for (size_t i = 0; i < acl_count(size); i++) {
		struct acl_entry e = acl_get(value, i);
		int shift = acl_shift(e.tag, has_mask);

		if (shift >= 0)
			mode |= e.perm << shift;
	}
	*inout_mode = mode;
	return has_mask;
}

void acl_from_mode(void *value, size_t size, mode_t mode)
{
	bool has_mask = acl_has(value, size, ACL_MASK);

	for (size_t i = 0; i < acl_count(size); i++) {
		int shift = acl_shift(acl_get(value, i).tag, has_mask);

		if (shift >= 0)
			acl_set_perm(value, i, mode >> shift & 7);
	}
}

/* Permissions of an entry that stands for the asker; false: it does not. */
static bool acl_names(const void *value, size_t i, const struct inode_rec *rec,
		      const struct fs_asker *asker, bool *out_is_user)
{
	const struct acl_entry e = acl_get(value, i);
	struct posix_acl_xattr_entry raw;

	memcpy(&raw, (const char *)value + acl_offset(i), sizeof(raw));
	*out_is_user = e.tag == ACL_USER;
	switch (e.tag) {
	case ACL_USER:
		return le32toh(raw.e_id) == asker->uid;
	case ACL_GROUP_OBJ:
		return asker_in_group(asker, rec_load(&rec->gid));
	case ACL_GROUP:
		return asker_in_group(asker, le32toh(raw.e_id));
	}
	return false;
}

/* Entries for owner, mask and others are the mode's bits. */
bool acl_allows(const void *value, size_t size, const struct inode_rec *rec,
		const struct fs_asker *asker, unsigned want)
{
	const bool has_mask = acl_has(value, size, ACL_MASK);
	const mode_t mode = rec_load(&rec->mode);
	bool is_user, found = false;

	for (size_t i = 0; i < acl_count(size); i++) {
		unsigned perm;

		if (!acl_names(value, i, rec, asker, &is_user))
			continue;
		perm = has_mask ? acl_get(value, i).perm & (mode >> 3) : mode >> 3;
		/* A named user has one entry; of several groups one that allows all of it is enough. */
		if (is_user || (perm & want) == want)
			return (perm & want) == want;
		found = true;
	}
	return !found && (mode & want) == want;
}

bool acl_create(void *value, size_t size, mode_t *inout_mode)
{
	bool has_mask = acl_has(value, size, ACL_MASK);

	for (size_t i = 0; i < acl_count(size); i++) {
		struct acl_entry e = acl_get(value, i);
		int shift = acl_shift(e.tag, has_mask);

		if (shift < 0)
			continue;
		/* Both must allow it: the creator's mode, and the ACL. */
		e.perm &= *inout_mode >> shift;
		acl_set_perm(value, i, e.perm);
		*inout_mode = (*inout_mode & ~((mode_t)7 << shift)) | (e.perm << shift);
	}
	return has_mask;
}

int acl_inherit(struct super *sb, const struct inode_rec *dir, struct inode_rec *rec)
{
	mode_t mode = rec->mode;
	struct xattr_view acl;
	void *copy;
	int err = 0;

	if (!xattr_find(sb, dir, XATTR_ACL_DEFAULT, &acl))
		return 0;
	if (S_ISDIR(mode))
		err = xattr_set(sb, rec, XATTR_ACL_DEFAULT, acl.value, acl.size, 0);
	if (err)
		return err;
	copy = zt_zalloc(acl.size);
	if (copy == NULL)
		return -ENOMEM;
	memcpy(copy, acl.value, acl.size);
	if (acl_create(copy, acl.size, &mode))
		err = xattr_set(sb, rec, XATTR_ACL_ACCESS, copy, acl.size, 0);
	zt_free(copy);
	if (!err)
		rec_store(&rec->mode, mode);
	return err;
}
