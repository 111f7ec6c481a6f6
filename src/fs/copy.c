// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * copy.c - copy_file_range(): whole clusters are shared, ragged ends are copied by bytes.
 *
 * Locks: both inodes exclusive while clusters are shared, for some thousands of them at most;
 * bytes are copied by fs_read() and fs_write() with no lock between them, as programs do it.
 */
#include <errno.h>

#include "fs/changed.h"
#include "fs/file.h"
#include "fs/work.h"
#include "util/alloc.h"

/* Clusters that are shared under the locks at a time: about a millisecond. */
#define SHARE_ROUND 4096u

/* One call takes about so long at most. The program asks again; others were served meanwhile. */
#define COPY_NS UINT64_C(100000000)

struct copy {
	struct super *sb;
	const struct fs_cred *cred;
	ino_nr from, to;
	uint64_t from_off, to_off, left; /* what is still to be done */
	uint64_t done;
	struct work work;
	uint64_t until_ns; /* then what is done is as much as one call does */
};

static void copy_advance(struct copy *copy, uint64_t len)
{
	copy->from_off += len;
	copy->to_off += len;
	copy->left -= len;
	copy->done += len;
}

/*
 * The next step: how many bytes to share, or none and how many to copy as bytes. Both locks held.
 * The last cluster may end inside, where both files end: behind that everything is zero.
 */
static uint64_t plan_share(const struct copy *copy, const struct inode_rec *from,
			   const struct inode_rec *to, uint64_t *out_bytes)
{
	uint64_t size = (uint64_t)ZT_PAGE_SIZE << from->cluster_order;
	uint64_t head = copy->from_off % size, share;
	bool ends =
		copy->from_off + copy->left == from->size && copy->to_off + copy->left >= to->size;

	*out_bytes = copy->left;
	if (from->cluster_order != to->cluster_order || head != copy->to_off % size)
		return 0;
	if (head) {
		*out_bytes = min_u64(copy->left, size - head);
		return 0;
	}
	share = ends && !inode_tail_is_dirty(from) ? copy->left : copy->left / size * size;
	return min_u64(share, SHARE_ROUND * size);
}

/* Whether a step behind the ragged beginning will share something. */
static bool is_worth_it(const struct copy *copy, const struct inode_rec *from,
			const struct inode_rec *to)
{
	struct copy next = *copy;
	uint64_t bytes;

	if (plan_share(copy, from, to, &bytes))
		return true;
	if (bytes == copy->left)
		return false;
	copy_advance(&next, bytes);
	return plan_share(&next, from, to, &bytes) > 0;
}

static int share_locked(struct copy *copy, struct inode_rec *from, struct inode_rec *to,
			uint64_t len)
{
	const struct blkmap_file from_file = inode_file(from), to_file = inode_file(to);
	const struct blkmap_copy shared = {
		.from = &from_file,
		.to = &to_file,
		.from_off = copy->from_off,
		.to_off = copy->to_off,
		.len = len,
	};
	uint64_t done = 0;
	int err = file_prepare(copy->sb, to, copy->to_off, len, work_round(&copy->work));

	if (err)
		return err;
	content_changes(inode_lock_of(copy->sb, copy->to), copy->to, copy->to_off, len);
	err = blkmap_share(copy->sb->map, &shared, &done);
	if (done) {
		inode_raise_size(to, copy->to_off + done);
		inode_touch(to, INODE_MTIME | INODE_CTIME);
		if (cred_kills_setid(copy->cred, false))
			inode_clear_setid(to, copy->cred, false);
		inode_touch_read(copy->sb, from);
		copy_advance(copy, done);
	}
	return err;
}

/*
 * Share what can be shared here. *out_bytes: how many bytes to copy after that, before the next
 * call; 0 and nothing left: done.
 * Return: -EAGAIN: the first of these bytes are a cluster that folding may help.
 */
static int share_step(struct copy *copy, uint64_t *out_bytes)
{
	const ino_nr inos[] = { copy->from, copy->to };
	struct inode_rec *from, *to;
	struct inode_lock_set set;
	uint64_t share;
	int err;

	inode_lock_set(copy->sb, inos, ARRAY_SIZE(inos), ZT_LOCK_FILE, &set);
	err = file_open(copy->sb, copy->from, &from);
	if (!err)
		err = file_open(copy->sb, copy->to, &to);
	if (!err && inode_is_sealed(to))
		err = -EPERM;
	if (err)
		goto out;
	copy->left =
		from->size > copy->from_off ? min_u64(copy->left, from->size - copy->from_off) : 0;
	*out_bytes = 0;
	if (copy->left == 0)
		goto out;
	if (copy->done == 0 && !is_worth_it(copy, from, to)) {
		err = -EOPNOTSUPP;
		goto out;
	}
	share = plan_share(copy, from, to, out_bytes);
	if (share) {
		err = share_locked(copy, from, to, share);
		*out_bytes = 0;
	}
	if (err == -EAGAIN)
		*out_bytes = min_u64(copy->left, (uint64_t)ZT_PAGE_SIZE << from->cluster_order);
out:
	inode_unlock_set(&set);
	return err;
}

/* One object of a cluster that was overwritten in part. What fails here fails when copying, too. */
static void fold_source(struct copy *copy)
{
	struct blkmap_file file;
	struct inode_rec *rec;
	int err;

	inode_lock_shared(copy->sb, copy->from);
	err = file_open(copy->sb, copy->from, &rec);
	if (!err) {
		file = inode_file(rec);
		err = blkmap_fold(copy->sb->map, &file, copy->from_off);
	}
	(void)err;
	inode_unlock(copy->sb, copy->from);
}

/* Up to one cluster of bytes. */
static int copy_bytes(struct copy *copy, uint64_t len)
{
	size_t got, put = 0;
	char *buf;
	int err;

	len = min_u64(len, ZCOMP_MAX_UNIT);
	buf = zt_alloc_aligned(64, len);
	if (buf == NULL)
		return -ENOMEM;
	err = fs_read(copy->sb, copy->from, copy->from_off, buf, len, &got);
	if (!err && got > 0)
		err = fs_write(copy->sb, copy->cred, copy->to, copy->to_off, buf, got, 0, &put);
	if (!err) {
		copy_advance(copy, put);
		if (put < got)
			err = -ENOSPC;
		else if (got < len)
			copy->left = 0; /* the source was cut meanwhile */
	}
	zt_free(buf);
	return err;
}

static int copy_check(struct copy *copy)
{
	if (copy->from_off > ZT_MAX_FILE_SIZE || copy->left > ZT_MAX_FILE_SIZE - copy->from_off)
		copy->left = ZT_MAX_FILE_SIZE - min_u64(copy->from_off, ZT_MAX_FILE_SIZE);
	if (copy->left > 0 && copy->to_off >= ZT_MAX_FILE_SIZE)
		return -EFBIG;
	copy->left = min_u64(copy->left, ZT_MAX_FILE_SIZE - copy->to_off);
	if (copy->from == copy->to && copy->from_off < copy->to_off + copy->left &&
	    copy->to_off < copy->from_off + copy->left)
		return -EINVAL;
	return 0;
}

int fs_copy_range(struct super *sb, const struct fs_cred *cred, ino_nr from, uint64_t from_off,
		  ino_nr to, uint64_t to_off, uint64_t len, uint64_t *out_len)
{
	struct copy copy = {
		.sb = sb,
		.cred = cred,
		.from = from,
		.to = to,
		.from_off = from_off,
		.to_off = to_off,
		.left = len,
		.work = work_begin(sb),
		.until_ns = zt_now_ns() + COPY_NS,
	};
	struct super_retry retry = super_retry_begin();
	bool folded = false;
	uint64_t bytes;
	int err = copy_check(&copy);

	if (err)
		return err;
	/* Once at least, since it says whether there are such files. */
	do {
		uint64_t before = copy.done;

		err = work_finish_cut(&copy.work, to);
		if (err)
			break;
		do {
			err = share_step(&copy, &bytes);
		} while (super_retry(sb, err, &retry));
		if (copy.done > before)
			folded = false;
		if (err == -EAGAIN && !folded) {
			fold_source(&copy);
			folded = true;
			err = 0;
		} else if ((!err || err == -EAGAIN) && bytes > 0) {
			err = copy_bytes(&copy, bytes);
			folded = false;
		}
		if (!err && copy.left > 0 && work_pause(&copy.work, to) == -EINTR)
			err = -EINTR;
	} while (!err && copy.left > 0 && (copy.done == 0 || zt_now_ns() < copy.until_ns));
	/* As write(2): what was done counts; the error comes again. */
	if (copy.done > 0)
		err = 0;
	if (!err)
		*out_len = copy.done;
	return err;
}
