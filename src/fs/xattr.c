// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * xattr.c - extended attributes: names, limits, and what ACLs do to modes. The store itself is
 * xattrstore.c.
 *
 * Locks: the inode shared for looking, exclusive for changing.
 */
#include "fs/xattr.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/xattr.h>

#include "fs/witness.h"
#include "fs/xattr_i.h"
#include "util/alloc.h"
#include "util/store.h"

enum name_kind { NAME_PLAIN, NAME_STAT, NAME_COMPRESS, NAME_ACL_ACCESS, NAME_ACL_DEFAULT };

struct xattr_name {
	const char *text;
	enum name_kind kind;
};

static int name_parse(const struct super *sb, const char *name, struct xattr_name *out_name)
{
	static const char *const prefixes[] = { "user.", "trusted.", "security." };
	size_t len = strnlen(name, FS_XATTR_NAME_MAX + 1);

	if (len == 0 || len > FS_XATTR_NAME_MAX)
		return -ERANGE;
	out_name->text = name;
	out_name->kind = strcmp(name, FS_XATTR_STAT) == 0       ? NAME_STAT
			 : strcmp(name, FS_XATTR_COMPRESS) == 0 ? NAME_COMPRESS
								: NAME_PLAIN;
	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
		size_t prefix_len = strlen(prefixes[i]);

		if (strncmp(name, prefixes[i], prefix_len) == 0)
			return len > prefix_len ? 0 : -EINVAL;
	}
	if (!sb->acl)
		return -EOPNOTSUPP;
	if (strcmp(name, XATTR_ACL_ACCESS) == 0)
		out_name->kind = NAME_ACL_ACCESS;
	else if (strcmp(name, XATTR_ACL_DEFAULT) == 0)
		out_name->kind = NAME_ACL_DEFAULT;
	else
		return -EOPNOTSUPP;
	return 0;
}

/* For callers that want to change something that is stored here. */
static int name_parse_change(const struct super *sb, const char *name, struct xattr_name *out_name)
{
	int err = name_parse(sb, name, out_name);

	if (!err && (out_name->kind == NAME_STAT || out_name->kind == NAME_COMPRESS))
		err = -EOPNOTSUPP;
	return err;
}

static int open_to_change(struct super *sb, ino_nr ino, struct inode_rec **out_rec)
{
	struct inode_rec *rec = inode_get(sb, ino);

	if (rec == NULL)
		return -ESTALE;
	if (inode_is_sealed(rec))
		return -EPERM;
	*out_rec = rec;
	return 0;
}

/* Setting ---------------------------------------------------------------- */

/* As tmpfs: space for the whole of the new one, then the flags, then the old one's goes back. */
int xattr_set(struct super *sb, struct inode_rec *rec, const char *name, const void *value,
	      uint32_t size, unsigned flags)
{
	uint64_t space = xattr_space(name, strlen(name), size), freed = 0;
	struct xattr_view old;
	bool exists;
	int err = inode_take_space(sb, space);

	if (err)
		return err;
	exists = xattr_find(sb, rec, name, &old);
	if (exists)
		freed = xattr_space(name, strlen(name), old.size);
	if (exists && flags & XATTR_CREATE)
		err = -EEXIST;
	else if (!exists && flags & XATTR_REPLACE)
		err = -ENODATA;
	else
		err = xattr_put(sb, rec, name, value, size);
	inode_give_space(sb, err ? space : freed);
	return err;
}

static void set_mode(struct inode_rec *rec, mode_t mode, unsigned flags)
{
	if (flags & FS_XATTR_KILL_SGID)
		mode &= ~(mode_t)S_ISGID;
	rec_store(&rec->mode, mode);
}

/*
 * The list is one store, and the mode another. A process that is killed between them leaves less than
 * either: the mode first loses what the new one has not, and it says how much of a list holds.
 */
static int set_acl_access(struct super *sb, struct inode_rec *rec, const void *value, uint32_t size,
			  unsigned flags)
{
	const mode_t was = rec->mode;
	mode_t mode = was;
	const bool has_list = acl_to_mode(value, size, &mode);
	int err = 0;

	rec_store(&rec->mode, was & (mode | ~(mode_t)0777));
	zt_stored("xattr: a mode of what both have");
	if (has_list)
		err = xattr_set(sb, rec, XATTR_ACL_ACCESS, value, size, 0);
	else
		xattr_remove(sb, rec, XATTR_ACL_ACCESS);
	if (err) {
		rec_store(&rec->mode, was);
		return err;
	}
	set_mode(rec, mode, flags);
	zt_stored("xattr: an ACL's mode");
	return 0;
}

/* XATTR_CREATE and XATTR_REPLACE mean nothing for ACLs; the kernel does not pass them on. */
static int set_acl(struct super *sb, struct inode_rec *rec, enum name_kind kind, const void *value,
		   uint32_t size, unsigned flags)
{
	int err = acl_check(value, size);

	if (err)
		return err;
	if (S_ISLNK(rec->mode))
		return -EOPNOTSUPP;
	if (kind == NAME_ACL_ACCESS)
		return set_acl_access(sb, rec, value, size, flags);
	if (!inode_is_dir(rec))
		return -EACCES;
	return xattr_set(sb, rec, XATTR_ACL_DEFAULT, value, size, 0);
}

static int set_locked(struct super *sb, ino_nr ino, const struct xattr_name *name,
		      const void *value, uint32_t size, unsigned flags)
{
	struct xattr_view view;
	struct inode_rec *rec;
	int err = open_to_change(sb, ino, &rec);

	/* Another one that is set again is as it was. One that is there already is none of ours. */
	if (!err && (flags & XATTR_CREATE) && name->kind == NAME_PLAIN &&
	    !xattr_find(sb, rec, name->text, &view))
		witness_intend(ino);
	if (!err)
		err = name->kind == NAME_PLAIN
			      ? xattr_set(sb, rec, name->text, value, size, flags)
			      : set_acl(sb, rec, name->kind, value, size, flags);
	if (!err)
		inode_touch(rec, INODE_CTIME);
	if (!err)
		witness_done();
	else
		witness_intend(0);
	return err;
}

int fs_setxattr(struct super *sb, ino_nr ino, const char *name, const void *value, size_t size,
		unsigned flags)
{
	struct super_retry retry = super_retry_begin();
	struct xattr_name parsed;
	int err = name_parse_change(sb, name, &parsed);

	if (err)
		return err;
	if (flags & ~(unsigned)(XATTR_CREATE | XATTR_REPLACE | FS_XATTR_KILL_SGID))
		return -EINVAL;
	if (size > FS_XATTR_SIZE_MAX)
		return -E2BIG;
	do {
		inode_lock(sb, ino);
		err = set_locked(sb, ino, &parsed, value, (uint32_t)size, flags);
		inode_unlock(sb, ino);
	} while (super_retry(sb, err, &retry));
	return err;
}

/* Removing --------------------------------------------------------------- */

void xattr_remove(struct super *sb, struct inode_rec *rec, const char *name)
{
	struct xattr_view view;
	uint64_t space;

	if (!xattr_find(sb, rec, name, &view))
		return;
	space = xattr_space(name, strlen(name), view.size);
	xattr_drop(sb, rec, name);
	inode_give_space(sb, space);
}

int fs_removexattr(struct super *sb, ino_nr ino, const char *name)
{
	struct xattr_view view;
	struct inode_rec *rec;
	struct xattr_name parsed;
	int err = name_parse_change(sb, name, &parsed);

	if (err)
		return err;
	inode_lock(sb, ino);
	err = open_to_change(sb, ino, &rec);
	if (!err && parsed.kind == NAME_PLAIN && !xattr_find(sb, rec, name, &view))
		err = -ENODATA;
	if (!err) {
		witness_intend(ino);
		xattr_remove(sb, rec, name);
		inode_touch(rec, INODE_CTIME);
		witness_done();
	}
	inode_unlock(sb, ino);
	return err;
}

void xattr_free(struct super *sb, struct inode_rec *rec)
{
	struct xattr_pos pos = { 0, 0 };
	struct xattr_view view;
	uint64_t space = 0;

	if (inode_xattr(sb, rec) == 0)
		return;
	while (xattr_next(sb, rec, &pos, &view))
		space += xattr_space(view.name, view.name_len, view.size);
	xattr_drop_all(sb, rec);
	inode_give_space(sb, space);
}

/* Looking ---------------------------------------------------------------- */

/* Return: bytes at @text, without the NUL behind them. */
static size_t stat_text(const struct ztmpfs_file_stat *stat, char text[FS_XATTR_STAT_MAX])
{
	double ratio = stat->memory ? (double)stat->allocated / (double)stat->memory : 0;
	const char *before = "";
	int len =
		snprintf(text, FS_XATTR_STAT_MAX,
			 "size=%" PRIu64 " allocated=%" PRIu64 " stored=%" PRIu64 " memory=%" PRIu64
			 " ratio=%.3f objects=%" PRIu64 " cluster=%" PRIu64 " codecs=",
			 stat->size, stat->allocated, stat->stored, stat->memory, ratio,
			 stat->objects, stat->cluster_size);

	for (size_t i = 0; i < ZTMPFS_FILE_CODECS; i++) {
		const struct ztmpfs_file_codec *codec = &stat->codecs[i];

		if (codec->name[0] == '\0')
			break;
		len += snprintf(text + len, FS_XATTR_STAT_MAX - (size_t)len, "%s%s:%" PRIu64,
				before, codec->name, codec->pages << ZT_PAGE_SHIFT);
		before = ",";
	}
	/* Numbers have 20 digits, names 23 characters: 960 bytes at most. */
	ZT_ASSERT((size_t)len < FS_XATTR_STAT_MAX);
	return (size_t)len;
}

static int get_stat(struct super *sb, ino_nr ino, const struct inode_rec *rec, void *buf,
		    size_t size, size_t *out_len)
{
	char text[FS_XATTR_STAT_MAX];
	struct ztmpfs_file_stat stat;
	size_t len;
	int err;

	/* Of a folder only the inode would be counted; somebody would take that for the tree. */
	if (!inode_is_reg(rec))
		return -ENODATA;
	if (size == 0) {
		*out_len = FS_XATTR_STAT_MAX;
		return 0;
	}
	err = fs_file_stat(sb, ino, &stat);
	if (err)
		return err;
	len = stat_text(&stat, text);
	if (len > size)
		return -ERANGE;
	memcpy(buf, text, len);
	*out_len = len;
	return 0;
}

static int get_locked(struct super *sb, ino_nr ino, const struct xattr_name *name, void *buf,
		      size_t size, size_t *out_len)
{
	const struct inode_rec *rec = inode_get(sb, ino);
	struct xattr_view view;

	if (rec == NULL)
		return -ESTALE;
	if (!xattr_find(sb, rec, name->text, &view))
		return -ENODATA;
	if (size > 0 && size < view.size)
		return -ERANGE;
	if (size > 0 && view.size > 0) {
		memcpy(buf, view.value, view.size);
		if (name->kind == NAME_ACL_ACCESS)
			acl_from_mode(buf, view.size, rec_load(&rec->mode));
	}
	*out_len = view.size;
	return 0;
}

int fs_getxattr(struct super *sb, ino_nr ino, const char *name, void *buf, size_t size,
		size_t *out_len)
{
	const struct inode_rec *rec = inode_get(sb, ino);
	struct xattr_name parsed;
	int err = name_parse(sb, name, &parsed);

	if (err)
		return err;
	if (rec == NULL)
		return -ESTALE;
	if (parsed.kind == NAME_STAT)
		return get_stat(sb, ino, rec, buf, size, out_len);
	/* The kernel asks for capabilities and ACLs that most inodes do not have. */
	if (inode_xattr(sb, rec) == 0)
		return -ENODATA;
	inode_lock_shared(sb, ino);
	err = get_locked(sb, ino, &parsed, buf, size, out_len);
	inode_unlock(sb, ino);
	return err;
}

static int list_locked(struct super *sb, ino_nr ino, bool trusted, char *buf, size_t size,
		       size_t *out_len)
{
	const struct inode_rec *rec = inode_get(sb, ino);
	struct xattr_pos pos = { 0, 0 };
	struct xattr_view view;
	size_t len = 0;

	if (rec == NULL)
		return -ESTALE;
	while (xattr_next(sb, rec, &pos, &view)) {
		if (!trusted && strncmp(view.name, "trusted.", 8) == 0)
			continue;
		if (size > 0) {
			if (size - len < view.name_len + 1)
				return -ERANGE;
			memcpy(buf + len, view.name, view.name_len);
			buf[len + view.name_len] = '\0';
		}
		len += view.name_len + 1;
	}
	*out_len = len;
	return 0;
}

int fs_listxattr(struct super *sb, ino_nr ino, bool trusted, char *buf, size_t size,
		 size_t *out_len)
{
	int err;

	inode_lock_shared(sb, ino);
	err = list_locked(sb, ino, trusted, buf, size, out_len);
	inode_unlock(sb, ino);
	return err;
}
