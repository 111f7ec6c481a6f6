// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * op_write.c - WRITE: at once, in another thread, or when its turn comes. The data path enters here.
 *
 *     op_write --+-- a thread may write (always, but with -o swap) --+-- fs_write, reply
 *                |                                                   `-- fs_write_async: the reply
 *                |                                                       comes from an engine's thread
 *                `-- as many write as may: in line ... taken by the next one that has written
 *
 * One around the page cache, of a file of which the kernel may have pages, is answered by the
 * notifier's thread when they are dropped (notify.c).
 *
 * Locks: writers.lock guards the turns to write and the line; innermost, nothing is called under
 * it. Weakness: no more requests can stand in line than can be held. The next one takes the last
 * thread; `ztmpfsctl swap` has the loop device send no more than that.
 */
#include "fuse/op_write.h"

#include <errno.h>
#include <stdatomic.h>

#include "fs/file.h"
#include "fuse/ops.h"
#include "fuse/reply.h"
#include "fuse/request.h"
#include "util/alloc.h"
#include "util/lock.h"
#include "util/sizes.h"

/* One WRITE, as it came. */
struct write {
	fuse_req_t req;
	struct super *sb;
	struct fs_cred cred;
	ino_nr ino;
	uint64_t off;
	const char *buf;
	size_t size;
	unsigned flags;
	bool direct; /* around the page cache */
	bool mode_changes; /* it takes set-ID bits away, which the kernel then must hear */
};

/*
 * One that is answered later: from the line, when an engine completes it, or when pages are
 * dropped.
 */
struct later_write {
	struct write write;
	struct request *held;
	struct ztfuse_retry *retry; /* where it waits when there is no memory; NULL: nowhere */
	bool again; /* there was no memory: it is tried again */
	_Atomic unsigned refs; /* one that still reads its bytes, and one that is to answer */
	struct notify_item item;
	int error; /* and done, bytes: the answer, for when the pages were dropped */
	size_t done;
	struct line_item waiting; /* in line */
};

/* Writing ----------------------------------------------------------------- */

static bool takes_setid(fuse_req_t req, fuse_ino_t ino)
{
	struct stat attr;

	return ztfuse_req_kill_suidgid(req) && fs_getattr(req_super(req), ino, &attr) == 0 &&
	       (attr.st_mode & (S_ISUID | S_ISGID));
}

/*
 * Whether a short count would be misread. For a delayed write the kernel looks at the error alone,
 * and would lose the rest in silence. Of one around its cache it makes EIO, since it sends the parts
 * side by side (FUSE_ASYNC_DIO); after an error it cuts what has lengthened the file.
 */
static bool is_all_or_error(const struct write *write)
{
	return write->flags & FS_WRITE_DELAYED ||
	       (write->direct && req_front(write->req)->cache != ZTFUSE_CACHE_NEVER);
}

static void write_reply(const struct write *write, int error, size_t done)
{
	if (!error && done < write->size && is_all_or_error(write))
		error = -ENOSPC;
	if (unlikely(error) && write->flags & FS_WRITE_DELAYED)
		full_refused(req_front(write->req), write->ino, write->off, write->size);
	else
		full_written(req_front(write->req));
	if (!error)
		traffic_written(&req_front(write->req)->traffic, done);
	reply_write(write->req, error, done);
}

/* Return: NULL when nothing has happened. */
static struct later_write *write_hold(const struct write *write)
{
	struct later_write *later = zt_zalloc(sizeof(*later));

	if (!later)
		return NULL;
	later->write = *write;
	atomic_init(&later->refs, 1);
	later->held = ztfuse_hold(write->req);
	if (!later->held) {
		zt_free(later);
		return NULL;
	}
	return later;
}

/* With the last one it is answered, and nobody reads the request's bytes any more. */
static void later_release(void *arg)
{
	struct later_write *later = arg;

	if (atomic_fetch_sub(&later->refs, 1) != 1)
		return;
	if (later->again)
		retry_queue(later->retry, later->held);
	else
		ztfuse_release(later->held);
	zt_free(later);
}

/* The kernel's pages ------------------------------------------------------ */

static void pages_dropped(struct notify_item *item)
{
	struct later_write *later = container_of(item, struct later_write, item);

	write_reply(&later->write, later->error, later->done);
	later_release(later);
}

/*
 * Whether the kernel may have pages that were read before. What failed may have stored bytes by
 * then, but for what is refused as it stands.
 */
static bool leaves_old_pages(const struct write *write, int error)
{
	return write->direct && write->size > 0 && error != -EFBIG && error != -EPERM &&
	       fs_pages_known(write->sb, write->ino) > 0;
}

/* Answer a held write, at once or after its pages are dropped. */
static void later_answer(struct later_write *later, int error, size_t done)
{
	const struct write *write = &later->write;

	if (leaves_old_pages(write, error)) {
		later->error = error;
		later->done = done;
		later->item = (struct notify_item){
			.ino = write->ino,
			.off = write->off,
			.len = write->size,
			.done = pages_dropped,
		};
		atomic_fetch_add(&later->refs, 1);
		if (notifier_add(&req_front(write->req)->notifier, &later->item))
			return;
		atomic_fetch_sub(&later->refs, 1);
		if (ztfuse_leaves(req_front(write->req))) {
			fuse_reply_none(write->req); /* it is written once more, and then dropped */
			return;
		}
	}
	write_reply(write, error, done);
}

/*
 * One that is not held, and cannot be. This thread waits for the kernel itself.
 * Weakness: the last thread must not, since the kernel may wait for a page that it would have to
 * read: it answers, and old pages may stay. As many as can be held, and all other threads, are at it
 * then.
 */
static void drop_in_place(const struct write *write)
{
	struct ztfuse *front = req_front(write->req);
	const int most = atomic_load(&front->seeker.nr_may_wait);

	if (atomic_fetch_add(&front->nr_dropping, 1) < most) {
		ztfuse_req_may_wait(write->req);
		(void)fuse_lowlevel_notify_inval_inode(front->se, write->ino, (off_t)write->off,
						       (off_t)write->size);
	}
	atomic_fetch_sub(&front->nr_dropping, 1);
}

/* Writing, at once -------------------------------------------------------- */

static int write_bytes(const struct write *write, size_t *out_done)
{
	const int error = fs_write(write->sb, &write->cred, write->ino, write->off, write->buf,
				   write->size, write->flags, out_done);

	if (write->mode_changes)
		notify_attr(write->req, write->ino);
	return error;
}

static void write_now(const struct write *write)
{
	struct later_write *later;
	size_t done = 0;
	const int error = write_bytes(write, &done);

	/* What was stored is stored again with the rest. */
	if ((error == -ENOSPC || (!error && done < write->size)) && retry_defer(write->req))
		return;
	if (!leaves_old_pages(write, error)) {
		write_reply(write, error, done);
		return;
	}
	later = write_hold(write);
	if (later) {
		later_answer(later, error, done);
		later_release(later);
	} else {
		drop_in_place(write);
		write_reply(write, error, done);
	}
}

static void later_write_now(struct later_write *later)
{
	size_t done = 0;
	const int error = write_bytes(&later->write, &done);

	later_answer(later, error, done);
}

static void later_done(void *arg, int error, size_t done)
{
	struct later_write *later = arg;

	if (later->retry && (error == -ENOSPC || (!error && done < later->write.size))) {
		later->again = true;
		fuse_reply_none(later->write.req);
		return;
	}
	later_answer(later, error, done);
}

/*
 * Whether this thread waits where memory is refused, since nobody would try the write once more. A
 * mount that carries swap has its memory before it begins.
 */
static bool waits_for_memory(const struct write *write)
{
	return !super_waits_never() && !req_front(write->req)->keeps_buffers;
}

/*
 * False: nothing has happened. Only a request that is held may be answered after its handler: the
 * number by which its reply finds the kernel is the next request's as soon as its thread reads on.
 */
static bool write_async(const struct write *write)
{
	struct fs_write_end end = { .done = later_done, .release = later_release };

	if (write->mode_changes || waits_for_memory(write) ||
	    !fs_write_may_defer(write->sb, write->size))
		return false;
	end.arg = write_hold(write);
	if (!end.arg)
		return false;
	if (!req_front(write->req)->keeps_buffers)
		((struct later_write *)end.arg)->retry = &req_front(write->req)->retry;
	fs_write_async(write->sb, &write->cred, write->ino, write->off, write->buf, write->size,
		       write->flags, &end);
	return true;
}

/* Turns ------------------------------------------------------------------- */

/* @later: to stand in line, unless there is no need; NULL: do not. Return: whether to write now. */
static bool turn_begin(struct ztfuse_writers *writers, struct later_write *later)
{
	bool now;

	mutex_lock(&writers->lock);
	now = writers->nr < writers->most;
	if (now) {
		writers->nr++;
	} else if (later) {
		line_add(&writers->line, &later->waiting);
	}
	mutex_unlock(&writers->lock);
	return now;
}

/* Return: the next one, which has the turn; NULL: none waits. */
static struct later_write *turn_end(struct ztfuse_writers *writers)
{
	struct line_item *next;

	mutex_lock(&writers->lock);
	next = line_take(&writers->line);
	if (!next)
		writers->nr--;
	mutex_unlock(&writers->lock);
	return next ? container_of(next, struct later_write, waiting) : NULL;
}

static void turns_serve(struct ztfuse_writers *writers, struct later_write *later)
{
	for (; later; later = turn_end(writers)) {
		later_write_now(later);
		later_release(later);
	}
}

static void write_in_turn(struct ztfuse_writers *writers, const struct write *write)
{
	struct later_write *later = NULL;

	if (!turn_begin(writers, NULL)) {
		later = write_hold(write);
		if (!later) {
			write_now(write);
			return;
		}
		if (!turn_begin(writers, later))
			return;
	}
	if (!later) {
		if (!write_async(write))
			write_now(write);
		later = turn_end(writers);
	}
	turns_serve(writers, later);
}

void op_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t size, off_t off,
	      struct fuse_file_info *fi)
{
	struct ztfuse_writers *writers = &req_front(req)->writers;
	struct write write = {
		.req = req,
		.sb = req_super(req),
		.ino = ino,
		.off = (uint64_t)off,
		.buf = buf,
		.size = size,
	};

	write.flags = (fi->writepage ? FS_WRITE_DELAYED : 0) |
		      (req_front(req)->kernel_times ? FS_WRITE_TIMED : 0);
	/* No kernel sends these; libfuse's buffer ends there. */
	if (size > req_front(req)->io_max || off < 0) {
		reply_error(req, -EINVAL);
		return;
	}
	write.direct = ztfuse_req_is_direct(req);
	if (!write.direct)
		fs_note_pages(write.sb, ino);
	write.cred = req_cred(req);
	write.mode_changes = takes_setid(req, ino);
	if (fs_write_may_wait(req_super(req), size))
		ztfuse_req_may_wait(req);
	if (!fi->writepage)
		full_leave(req, size);
	else if (full_pace(req, size))
		return;
	if (writers->most)
		write_in_turn(writers, &write);
	else if (!write_async(&write))
		write_now(&write);
}

void writers_init(struct ztfuse_writers *writers)
{
	*writers = (struct ztfuse_writers){ .most = 0 };
	line_init(&writers->line);
	mutex_init(&writers->lock, ZT_RANK_WRITERS);
}

void writers_exit(struct ztfuse_writers *writers)
{
	mutex_exit(&writers->lock);
}
