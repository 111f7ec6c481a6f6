// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * file.c - regular files: bytes at offsets, as far as it is not blkmap's work: locking, size,
 * times, limits.
 *
 * Reading is in read.c.
 *
 * Locks: reading and writing hold the inode shared; whatever changes the shape of its
 * tree, exclusive.
 */
#include "fs/file.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "arena/stock.h"
#include "blkmap/spilled.h"
#include "fs/changed.h"
#include "fs/work.h"
#include "fs/xattr_i.h"
#include "util/alloc.h"
#include "util/hook.h"

/* What a write may cost besides its bytes: zspages that it begins. */
#define WRITE_MORE (64 * KIB)

int file_open(struct super *sb, ino_nr ino, struct inode_rec **out_rec)
{
	struct inode_rec *rec = inode_get(sb, ino);

	if (rec == NULL)
		return -ESTALE;
	if (!inode_is_reg(rec))
		return inode_is_dir(rec) ? -EISDIR : -EINVAL;
	*out_rec = rec;
	return 0;
}

int file_prepare(struct super *sb, struct inode_rec *rec, uint64_t off, uint64_t len,
		 struct zt_round *round)
{
	struct blkmap_file file = inode_file(rec);
	int err = inode_tail_is_dirty(rec) ? inode_cut(sb, rec, rec->size, round) : 0;

	return err ? err : blkmap_grow(sb->map, &file, off, len);
}

/*
 * Hold @ino shared, with a tree that covers the range. Growing needs it exclusive, and whatever
 * comes in between may cut the tree again, so look again each time. On error nothing is held.
 */
static int file_hold_covered(struct super *sb, ino_nr ino, uint64_t off, size_t len,
			     struct inode_rec **out_rec)
	ZT_NO_LOCK_CHECK /* callers assert the lock */
{
	struct work work = work_begin(sb);
	struct blkmap_file file;
	int err;

	for (;;) {
		inode_lock_shared(sb, ino);
		err = file_open(sb, ino, out_rec);
		if (err)
			break;
		file = inode_file(*out_rec);
		if (blkmap_covers(&file, off, len) && !inode_tail_is_dirty(*out_rec))
			return 0;
		inode_unlock(sb, ino);

		inode_lock(sb, ino);
		err = file_open(sb, ino, out_rec);
		if (!err)
			err = file_prepare(sb, *out_rec, off, len, work_round(&work));
		inode_unlock(sb, ino);
		/* Delayed bytes have no second chance: nobody gives up here. */
		if (err == -EAGAIN)
			(void)work_pause(&work, ino);
		else if (err)
			return err;
	}
	inode_unlock(sb, ino);
	return err;
}

/*
 * A write that stopped in the middle may have stored more than it says. Within the file that is as
 * good as not stored; beyond its end it would be seen one day.
 */
void file_cut_tail(struct super *sb, ino_nr ino)
{
	struct work work = work_begin(sb);
	struct inode_rec *rec;
	int err;

	inode_lock(sb, ino);
	if (file_open(sb, ino, &rec) == 0)
		inode_set_flag(rec, INODE_TAIL_DIRTY);
	inode_unlock(sb, ino);
	err = work_finish_cut(&work, ino);
	(void)err; /* the first error is what the caller hears, and the mark stays */
}

/*
 * What chattr's flags forbid. The kernel's delayed writes come in whole pages, so to append-only
 * files they bring again what was there before: that much is allowed.
 */
static int file_may_write(struct super *sb, struct inode_rec *rec, uint64_t off, const void *buf,
			  size_t len)
{
	struct blkmap_file file = inode_file(rec);
	uint64_t size = rec_load(&rec->size);
	unsigned char old[ZT_PAGE_SIZE];
	size_t below = off < size ? min_u64(len, size - off) : 0;
	int err = 0;

	if (!inode_is_sealed(rec))
		return 0;
	if (inode_is_immutable(rec))
		return -EPERM;
	for (size_t done = 0; !err && done < below; done += sizeof(old)) {
		size_t part = min_u64(sizeof(old), below - done);

		err = blkmap_read(sb->map, &file, off + done, old, part);
		if (!err && memcmp(old, (const char *)buf + done, part) != 0)
			err = -EPERM;
	}
	return err;
}

/* What a program may do because of its file must not outlive a change of the file. */
static void file_drop_capability(struct super *sb, ino_nr ino)
{
	struct inode_rec *rec;

	inode_lock(sb, ino);
	if (file_open(sb, ino, &rec) == 0)
		xattr_remove(sb, rec, XATTR_CAPABILITY);
	inode_unlock(sb, ino);
}

/* What write(2) refuses, and what it cuts. */
static int write_begin(uint64_t off, size_t *inout_len)
{
	if (*inout_len > 0 && off >= ZT_MAX_FILE_SIZE)
		return -EFBIG;
	if (*inout_len > 0)
		*inout_len = min_u64(*inout_len, ZT_MAX_FILE_SIZE - off);
	return 0;
}

/* The file is held shared, or counted as in use by an asynchronous write. */
static void write_end(struct inode_rec *rec, const struct fs_cred *cred, unsigned flags,
		      uint64_t end)
{
	bool delayed = flags & FS_WRITE_DELAYED;

	inode_raise_size(rec, end);
	if (!(flags & FS_WRITE_TIMED))
		inode_touch(rec, INODE_MTIME | INODE_CTIME);
	if (cred_kills_setid(cred, delayed))
		inode_clear_setid(rec, cred, false);
}

/* What a delayed write takes away, the kernel has taken away when it was made. */
static bool write_drops_capability(const struct inode_rec *rec, unsigned flags)
{
	return !(flags & FS_WRITE_DELAYED) && rec_load(&rec->flags) & INODE_HAS_CAPABILITY;
}

/* Pages whose first byte is in the range: bytes that come in small pieces take each page once. */
static uint64_t page_starts(uint64_t off, uint64_t len)
{
	return div_round_up_u64(off + len, ZT_PAGE_SIZE) - div_round_up_u64(off, ZT_PAGE_SIZE);
}

static enum zstrm_pref write_pref(unsigned flags)
{
	return flags & FS_WRITE_DELAYED ? ZSTRM_PREFER_MGMT : ZSTRM_DEFAULT;
}

bool fs_write_may_wait(const struct super *sb, size_t len)
{
	return arena_stock_lacks(sb->arena, len + WRITE_MORE);
}

/* One write, as it came. */
struct write_args {
	const struct fs_cred *cred;
	ino_nr ino;
	uint64_t off;
	const char *buf;
	size_t len;
	unsigned flags;
};

/* From @from bytes on, without waiting for space. @out_done: bytes stored, on errors, too. */
static int write_once(struct super *sb, const struct write_args *args, size_t from,
		      size_t *out_done)
{
	const uint64_t off = args->off + from;
	const char *buf = args->buf + from;
	const size_t len = args->len - from;
	const struct blkmap_bytes bytes = { off, buf, len, write_pref(args->flags) };
	struct blkmap_file file;
	struct inode_rec *rec;
	bool failed, drop_caps = false;
	int err;

	*out_done = 0;
	/* Before a lock is held that readers want. Its tree may need a little, too. */
	arena_stock_wait(sb->arena, len + WRITE_MORE);
	err = file_hold_covered(sb, args->ino, off, len, &rec);
	if (err)
		return err;
	read_assert_held(&inode_lock_of(sb, args->ino)->lock);
	file = inode_file(rec);
	err = file_may_write(sb, rec, off, buf, len);
	if (!err) {
		content_changes(inode_lock_of(sb, args->ino), args->ino, off, len);
		(void)promise_use(sb, args->ino, rec, page_starts(off, len));
	}
	if (!err && len > 0)
		err = blkmap_write(sb->map, &file, &bytes, out_done);
	failed = err != 0 && err != -EPERM && err != -EREMOTE;
	/* A piece of a page whose first byte was written before, or never. */
	if (err == -ENOSPC && promise_use(sb, args->ino, rec, len / ZT_PAGE_SIZE + 2))
		err = -EAGAIN;
	if (*out_done > 0) {
		write_end(rec, args->cred, args->flags, off + *out_done);
		drop_caps = write_drops_capability(rec, args->flags);
	}
	inode_unlock(sb, args->ino);
	if (drop_caps)
		file_drop_capability(sb, args->ino);
	if (failed)
		file_cut_tail(sb, args->ino);
	return err;
}

static int write_all(struct super *sb, const struct write_args *whole, size_t *out_len)
{
	struct write_args args = *whole;
	struct super_retry retry = super_retry_begin();
	size_t done = 0, more;
	int err = write_begin(args.off, &args.len);

	if (err)
		return err;
	do {
		err = write_once(sb, &args, done, &more);
		done += more;
	} while (err == -EAGAIN || (err && super_retry(sb, err, &retry)));
	blkmap_spill_done(sb->map);
	if (err && done == 0)
		return err;
	*out_len = done;
	return 0;
}

int fs_write(struct super *sb, const struct fs_cred *cred, ino_nr ino, uint64_t off,
	     const void *buf, size_t len, unsigned flags, size_t *out_len)
{
	return write_all(sb, &(struct write_args){ cred, ino, off, buf, len, flags }, out_len);
}

/* An asynchronous write under way. */
struct async_write {
	struct super *sb;
	struct inode_lock *lock;
	struct inode_rec *rec;
	uint64_t off;
	struct fs_cred cred;
	unsigned flags;
	struct fs_write_end end;
};

/*
 * In whatever thread completes the last cluster; it takes no inode lock. What a failed write left
 * behind the end of the file is cut before anything can make it visible.
 */
static void async_done(void *arg, int error, size_t done)
{
	struct async_write *write = arg;

	if (error)
		inode_set_flag(write->rec, INODE_TAIL_DIRTY);
	if (done > 0) {
		error = 0;
		write_end(write->rec, &write->cred, write->flags, write->off + done);
	}
	inode_async_end(write->sb, write->lock);
	write->end.done(write->end.arg, error, done);
}

static void async_release(void *arg)
{
	struct async_write *write = arg;

	if (write->end.release)
		write->end.release(write->end.arg);
	zt_free(write);
}

bool fs_write_may_defer(struct super *sb, size_t len)
{
	return blkmap_may_defer(sb->map, len);
}

static void write_at_once(struct super *sb, const struct write_args *args,
			  const struct fs_write_end *end)
{
	size_t done = 0;
	int err = write_all(sb, args, &done);

	end->done(end->arg, err, done);
	if (end->release)
		end->release(end->arg);
}

/* The file as file_hold_covered() holds it; -EAGAIN: it is better written at once. */
static int async_begin(struct super *sb, const struct write_args *args, struct inode_rec **out_rec)
	ZT_NO_LOCK_CHECK /* the lock is held where it returns 0 */
{
	int err = file_hold_covered(sb, args->ino, args->off, args->len, out_rec);
	struct blkmap_file file;

	if (err)
		return err;
	file = inode_file(*out_rec);
	err = file_may_write(sb, *out_rec, args->off, args->buf, args->len);
	if (!err && write_drops_capability(*out_rec, args->flags))
		err = -EAGAIN;
	/* Threads that complete writes do not wait for a disk. */
	if (err == -EREMOTE ||
	    (!err && blkmap_may_need_disk(sb->map, &file, args->off, args->len)))
		err = -EAGAIN;
	if (err)
		inode_unlock(sb, args->ino);
	return err;
}

/* What was begun goes on without the lock. */
static void async_store(struct async_write *write, const struct write_args *args)
{
	const struct blkmap_bytes bytes = { args->off, args->buf, args->len,
					    write_pref(args->flags) };
	const struct blkmap_file file = inode_file(write->rec);
	const struct blkmap_write_end end = {
		.done = async_done,
		.arg = write,
		.release = async_release,
		.release_arg = write,
		.keeps_bytes = write->end.release != NULL,
	};

	content_changes(write->lock, args->ino, args->off, args->len);
	(void)promise_use(write->sb, args->ino, write->rec, page_starts(args->off, args->len));
	inode_async_begin(write->lock);
	blkmap_write_async(write->sb->map, &file, &bytes, &end);
}

void fs_write_async(struct super *sb, const struct fs_cred *cred, ino_nr ino, uint64_t off,
		    const void *buf, size_t len, unsigned flags, const struct fs_write_end *end)
	ZT_NO_LOCK_CHECK /* the lock is held where err is 0 */
{
	int err = write_begin(off, &len);
	const struct write_args args = { cred, ino, off, buf, len, flags };
	struct async_write *write = NULL;
	struct inode_rec *rec = NULL;
	bool failed;

	if (!err && len > 0 && fs_write_may_defer(sb, len))
		write = zt_zalloc(sizeof(*write));
	if (!write) {
		write_at_once(sb, &args, end);
		return;
	}
	zt_hook("file: a write is to end in another thread", ino);
	err = async_begin(sb, &args, &rec);
	*write = (struct async_write){ .sb = sb,
				       .lock = inode_lock_of(sb, ino),
				       .rec = rec,
				       .off = off,
				       .cred = *cred,
				       .flags = flags,
				       .end = *end };
	/* With no space for its tree it waits for some, as others do. */
	if (err == -EAGAIN || err == -ENOSPC) {
		zt_free(write);
		write_at_once(sb, &args, end);
		return;
	}
	if (err) {
		end->done(end->arg, err, 0);
		async_release(write);
		return;
	}
	async_store(write, &args);
	/* It may have ended here already; near a limit that is the rule. */
	failed = inode_tail_is_dirty(rec);
	inode_unlock(sb, ino);
	if (failed)
		file_cut_tail(sb, ino);
}

static int seek_once(struct work *work, ino_nr ino, uint64_t off, int whence, uint64_t *out_off)
{
	struct super *sb = work->sb;
	struct blkmap_file file;
	struct inode_rec *rec;
	uint64_t size;
	int err;

	inode_lock_shared(sb, ino);
	err = file_open(sb, ino, &rec);
	if (err)
		goto out;
	size = rec_load(&rec->size);
	file = inode_file(rec);
	file.round = work_round(work);
	err = off < size ? blkmap_seek(sb->map, &file, size, off, whence, out_off) : -ENXIO;
	/* The file has become shorter meanwhile: its end is a hole. */
	if (err == -ENXIO && whence == SEEK_HOLE && work->round.at > 0)
		err = 0;
	if (err == -EAGAIN)
		*out_off = whence == SEEK_HOLE ? size : work->round.at;
out:
	inode_unlock(sb, ino);
	return err;
}

int fs_lseek(struct super *sb, ino_nr ino, uint64_t off, int whence, uint64_t *out_off)
{
	struct work work = work_begin(sb);
	uint64_t found = off;
	int err;

	if (whence != SEEK_DATA && whence != SEEK_HOLE)
		return -EINVAL;
	do {
		err = seek_once(&work, ino, max_u64(off, work.round.at), whence, &found);
	} while (err == -EAGAIN && (err = work_pause(&work, ino)) == -EAGAIN);
	/*
	 * lseek(2) is not interrupted. A caller that has given up hears what a filesystem without
	 * holes would say from there on.
	 */
	if (err == -EINTR)
		err = 0;
	if (!err)
		*out_off = found;
	return err;
}

void fs_note_pages(struct super *sb, ino_nr ino)
{
	struct inode_rec *rec = inode_get(sb, ino);

	if (rec == NULL)
		return;
	if (rec_load(&rec->pages_known) != FS_PAGES_TURNS)
		rec_store(&rec->pages_known, FS_PAGES_TURNS);
	/* With that of fs_pages_known(): one of the two sees what the other one did. */
	atomic_thread_fence(memory_order_seq_cst);
}

unsigned fs_pages_known(struct super *sb, ino_nr ino)
{
	const struct inode_rec *rec = inode_get(sb, ino);

	atomic_thread_fence(memory_order_seq_cst);
	return rec == NULL ? 0 : rec_load(&rec->pages_known);
}

void fs_pages_dropped(struct super *sb, ino_nr ino, unsigned turns)
{
	struct inode_rec *rec = inode_get(sb, ino);
	uint8_t old = (uint8_t)turns;

	/* A read since then has set it again. */
	if (rec != NULL && turns > 0)
		(void)__atomic_compare_exchange_n(&rec->pages_known, &old, (uint8_t)(turns - 1),
						  false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}
