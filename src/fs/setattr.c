// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * setattr.c - changing attributes, the size among them.
 *
 * Locks: the inode exclusive. A file that becomes shorter has its new size at once; what lies behind
 * it is cut in rounds (work.h).
 */
#include <errno.h>

#include "fs/work.h"
#include "fs/xattr_i.h"

/* What setattr_once() returns when all is done but the cut. */
#define SETATTR_CUT_MORE 1

/* Return: 0; -EAGAIN nothing has changed, and the next round does more. */
static int setattr_size(struct work *work, struct inode_rec *rec, uint64_t size)
{
	struct super *sb = work->sb;
	int err;

	if (size > rec->size && inode_tail_is_dirty(rec)) {
		err = inode_cut(sb, rec, rec->size, work_round(work));
		if (err)
			return err;
	}
	/*
	 * Nobody may read the old bytes when the file grows again: either they are cut now, or
	 * inode_cut() has remembered that they are to be. What was allocated behind the end goes
	 * even when the size stays.
	 */
	if (size <= rec->size) {
		err = inode_cut(sb, rec, size, work_round(work));
		(void)err;
	}
	rec_store(&rec->size, size);
	return 0;
}

/*
 * Times that the kernel kept and brings now come with a file that is open for writing, and without
 * atime. The kernel may bring these; a caller that sets times may not.
 */
static bool setattr_brings_times(unsigned which)
{
	return (which & ~(unsigned)(FS_SET_MTIME | FS_SET_CTIME)) == FS_SET_BY_HANDLE;
}

/*
 * Whether times are set to now, if at all. A kernel that keeps mtime by itself does not say "now",
 * but brings the time it is, as both mtime and ctime.
 */
static bool setattr_only_touches(const struct stat *attr, unsigned which)
{
	bool mtime_now = which & FS_SET_MTIME_NOW ||
			 (which & FS_SET_CTIME && attr->st_mtim.tv_sec == attr->st_ctim.tv_sec &&
			  attr->st_mtim.tv_nsec == attr->st_ctim.tv_nsec);

	return !(which & (FS_SET_MODE | FS_SET_UID | FS_SET_GID | FS_SET_SIZE)) &&
	       (!(which & FS_SET_ATIME) || which & FS_SET_ATIME_NOW) &&
	       (!(which & FS_SET_MTIME) || mtime_now);
}

/* chattr's flags: an append-only file may be touched, and nothing else. */
static int setattr_check_flags(const struct inode_rec *rec, const struct stat *attr, unsigned which)
{
	if (!inode_is_sealed(rec) || setattr_brings_times(which))
		return 0;
	return setattr_only_touches(attr, which) && !inode_is_immutable(rec) ? 0 : -EPERM;
}

/* Times that cannot be kept are refused: silently they would become others. */
static bool setattr_times_fit(const struct stat *attr, unsigned which)
{
	if (which & FS_SET_ATIME && !(which & FS_SET_ATIME_NOW) && !fs_time_fits(attr->st_atim))
		return false;
	if (which & FS_SET_MTIME && !(which & FS_SET_MTIME_NOW) && !fs_time_fits(attr->st_mtim))
		return false;
	return true;
}

/* What can fail comes first; after it everything happens. */
static int setattr_check(const struct inode_rec *rec, const struct stat *attr, unsigned which)
{
	int err = setattr_check_flags(rec, attr, which);

	if (err)
		return err;
	if (!setattr_times_fit(attr, which))
		return -EINVAL;
	if (!(which & FS_SET_SIZE))
		return 0;
	if (inode_is_dir(rec))
		return -EISDIR;
	if (!inode_is_reg(rec) || attr->st_size < 0)
		return -EINVAL;
	return 0;
}

static void setattr_times(struct inode_rec *rec, const struct stat *attr, unsigned which)
{
	unsigned now = which & FS_SET_CTIME ? 0 : INODE_CTIME;

	if (which & FS_SET_SIZE)
		now |= INODE_MTIME;
	if (which & FS_SET_MTIME_NOW)
		now |= INODE_MTIME;
	if (which & FS_SET_ATIME_NOW)
		now |= INODE_ATIME;
	if (now)
		(void)inode_touch(rec, now);
	if (which & FS_SET_ATIME && !(which & FS_SET_ATIME_NOW))
		rec_store(&rec->times[FS_ATIME], fs_time_encode(attr->st_atim));
	if (which & FS_SET_MTIME && !(which & FS_SET_MTIME_NOW))
		rec_store(&rec->times[FS_MTIME], fs_time_encode(attr->st_mtim));
	if (which & FS_SET_CTIME)
		rec_store(&rec->times[FS_CTIME], fs_time_encode(attr->st_ctim));
}

static void setattr_owner(struct inode_rec *rec, const struct stat *attr, unsigned which)
{
	if (which & FS_SET_UID)
		rec_store(&rec->uid, attr->st_uid);
	if (which & FS_SET_GID)
		rec_store(&rec->gid, attr->st_gid);
}

static int setattr_once(struct work *work, const struct fs_cred *cred, ino_nr ino,
			const struct stat *attr, unsigned which, struct stat *out_attr)
{
	struct super *sb = work->sb;
	struct inode_rec *rec;
	int err = -ESTALE;

	inode_lock(sb, ino);
	rec = inode_get(sb, ino);
	if (rec == NULL)
		goto out;
	err = setattr_check(rec, attr, which);
	if (!err && which & FS_SET_SIZE)
		err = setattr_size(work, rec, (uint64_t)attr->st_size);
	if (err)
		goto out;

	/*
	 * The rights go before the owner changes: nobody may see the new owner with the old ones.
	 */
	if (which & FS_SET_MODE)
		rec_store(&rec->mode, (rec->mode & S_IFMT) | (attr->st_mode & 07777));
	else if (which & (FS_SET_UID | FS_SET_GID | FS_SET_KILL_SETID) ||
		 (which & FS_SET_SIZE && cred_kills_setid(cred, false)))
		inode_clear_setid(rec, cred, cred->uid == 0 && !(which & FS_SET_SIZE));
	if (which & (FS_SET_UID | FS_SET_GID | FS_SET_SIZE))
		xattr_remove(sb, rec, XATTR_CAPABILITY);
	setattr_owner(rec, attr, which);
	setattr_times(rec, attr, which);
	inode_fill_attr(ino, rec, out_attr);
	if (which & FS_SET_SIZE && inode_tail_is_dirty(rec))
		err = SETATTR_CUT_MORE;
out:
	inode_unlock(sb, ino);
	return err;
}

int fs_setattr(struct super *sb, const struct fs_cred *cred, ino_nr ino, const struct stat *attr,
	       unsigned which, struct stat *out_attr)
{
	struct work work = work_begin(sb);
	int err;

	do {
		err = setattr_once(&work, cred, ino, attr, which, out_attr);
	} while (err == -EAGAIN && (err = work_pause(&work, ino)) == -EAGAIN);
	if (err != SETATTR_CUT_MORE)
		return err;
	/* The file has its new size, and a caller that has given up need not wait for the rest. */
	err = work_finish_cut(&work, ino);
	if (!err)
		err = fs_getattr(sb, ino, out_attr);
	(void)err; /* the caller's reference keeps it; and what is left is remembered */
	return 0;
}
