// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * seek.c - LSEEK. See seek.h for why it is not answered at once.
 *
 * Locks: the line's, innermost.
 */
#include "fuse/seek.h"

#include <errno.h>
#include <unistd.h>

#include "fs/file.h"
#include "fs/fileattr.h"
#include "fuse/ops.h"
#include "fuse/reply.h"
#include "fuse/request.h"
#include "util/alloc.h"
#include "util/sizes.h"

/* A hole that is filled whenever it is looked at: somebody is writing; any answer is one. */
#define SEEK_ROUNDS 16u

/* What is known here, and the hole [hole, end) that this answer rests on; none: hole == end. */
struct seek_answer {
	int error;
	uint64_t off, hole, end;
};

/* One LSEEK, or chattr, that waits for its turn. */
struct seek_wait {
	struct line_item item;
	void (*serve)(struct seek_wait *wait); /* waits for the kernel, and replies */
	void (*give_up)(struct seek_wait *wait, bool stopped); /* replies without; at the end */
	struct ztfuse *front;
	fuse_req_t req;
	struct request *held;
	ino_nr ino;
	uint64_t off;
	int whence; /* LSEEK */
	struct seek_answer *answer; /* LSEEK: what is known without the kernel; for give_up() */
	uint32_t flags; /* chattr */
	struct fs_cred cred; /* chattr: the caller's */
};

static void seek_here(struct super *sb, ino_nr ino, uint64_t off, int whence,
		      struct seek_answer *out)
{
	*out = (struct seek_answer){ .off = off };
	out->error = fs_lseek(sb, ino, off, whence, &out->off);
	out->hole = off;
	out->end = out->error ? ZT_MAX_FILE_SIZE : out->off;
	if (whence != SEEK_HOLE || out->error)
		return;
	out->hole = out->off;
	if (fs_lseek(sb, ino, out->hole, SEEK_DATA, &out->end))
		out->end = ZT_MAX_FILE_SIZE;
}

static void seek_reply(fuse_req_t req, const struct seek_answer *answer)
{
	if (answer->error)
		reply_error(req, answer->error);
	else
		(void)fuse_reply_lseek(req, (off_t)answer->off);
}

static bool is_settled(const struct seek_answer *answer)
{
	return (answer->error && answer->error != -ENXIO) || answer->hole >= answer->end;
}

static void seek_serve(struct seek_wait *wait)
{
	struct super *sb = wait->front->sb;
	struct seek_answer answer, again;

	seek_here(sb, wait->ino, wait->off, wait->whence, &answer);
	for (unsigned round = 0; round < SEEK_ROUNDS && !is_settled(&answer); round++) {
		const uint64_t len = answer.end - answer.hole;
		int error;

		/* 0 bytes mean all that follows. */
		error = fuse_lowlevel_notify_inval_inode(
			wait->front->se, wait->ino, (off_t)answer.hole,
			answer.end == ZT_MAX_FILE_SIZE ? 0 : (off_t)len);
		(void)error; /* EBUSY: pages that are in use and clean; others: nobody waits any more */
		seek_here(sb, wait->ino, wait->off, wait->whence, &again);
		if (again.error == answer.error && again.off == answer.off)
			break;
		answer = again;
	}
	seek_reply(wait->req, &answer);
}

static void serve_next(struct line_thread *line, struct line_item *item)
{
	struct seek_wait *wait = container_of(item, struct seek_wait, item);

	if (ztfuse_leaves(wait->front) && line_thread_ends(line))
		fuse_reply_none(wait->req);
	else
		wait->serve(wait);
	ztfuse_release(wait->held);
	zt_free(wait);
}

/*
 * No thread can ask the kernel now. To say that there are no holes from @off on is never wrong for
 * a reader, which finds the end of the file by reading. A hole that is none would lose data.
 */
static void seek_assume_data(const struct seek_wait *wait, struct seek_answer *answer)
{
	struct stat attr;
	const int error = fs_getattr(wait->front->sb, wait->ino, &attr);

	answer->error = error;
	answer->off = wait->off;
	if (!error && wait->whence == SEEK_HOLE)
		answer->off = max_u64((uint64_t)attr.st_size, wait->off + ZT_PAGE_SIZE);
}

/* To the thread, with a request that is held. Return: whether the thread will answer. */
static bool seek_queue(struct ztfuse_seeker *seeker, const struct seek_wait *wait)
{
	struct seek_wait *copy = zt_zalloc(sizeof(*copy));

	if (!copy)
		return false;
	*copy = *wait;
	if (line_thread_start(&seeker->line) == 0 && line_thread_add(&seeker->line, &copy->item))
		return true;
	zt_free(copy);
	return false;
}

static void seek_end(struct seek_wait *wait, bool stopped)
{
	if (stopped && ztfuse_leaves(wait->front))
		fuse_reply_none(wait->req);
	else
		wait->give_up(wait, stopped);
}

/*
 * Answer with the kernel's help. No more requests can be held: then this thread waits itself, as
 * long as another one is left to serve what it waits for; the last one answers by what is always
 * right.
 */
static void seek_defer(struct seek_wait *wait)
{
	struct ztfuse_seeker *seeker = &wait->front->seeker;

	wait->held = ztfuse_hold(wait->req);
	if (wait->held) {
		if (seek_queue(seeker, wait))
			return;
		seek_end(wait, line_thread_ends(&seeker->line));
		ztfuse_release(wait->held);
		return;
	}
	if (atomic_fetch_sub(&seeker->nr_may_wait, 1) > 0) {
		ztfuse_req_may_wait(wait->req);
		wait->serve(wait);
	} else {
		wait->give_up(wait, false);
	}
	atomic_fetch_add(&seeker->nr_may_wait, 1);
}

static void seek_give_up(struct seek_wait *wait, bool stopped)
{
	if (!stopped)
		seek_assume_data(wait, wait->answer);
	seek_reply(wait->req, wait->answer);
}

static void seal_now(struct seek_wait *wait, bool stopped)
{
	int error;

	(void)stopped; /* either way: what is not written yet may be refused later */
	error = fs_set_flags(wait->front->sb, wait->front->raw_chattr ? &wait->cred : NULL,
			     wait->ino, wait->flags);
	if (error) {
		reply_error(wait->req, error);
		return;
	}
	/* How long the kernel keeps the attributes depends on the flags. */
	(void)fuse_lowlevel_notify_inval_inode(wait->front->se, wait->ino, -1, 0);
	(void)fuse_reply_ioctl(wait->req, 0, NULL, 0);
}

static void seal_serve(struct seek_wait *wait)
{
	/* The kernel writes what is dirty before it drops it. EBUSY: pages that are in use and clean. */
	(void)fuse_lowlevel_notify_inval_inode(wait->front->se, wait->ino, 0, 0);
	seal_now(wait, false);
}

void seal(fuse_req_t req, fuse_ino_t ino, uint32_t flags)
{
	struct seek_wait wait = {
		.front = req_front(req),
		.req = req,
		.ino = ino,
		.flags = flags,
		.cred = req_cred(req),
		.serve = seal_serve,
		.give_up = seal_now,
	};

	seek_defer(&wait);
}

void op_lseek(fuse_req_t req, fuse_ino_t ino, off_t off, int whence, struct fuse_file_info *fi)
{
	struct ztfuse *front = req_front(req);
	struct seek_wait wait = {
		.front = front,
		.req = req,
		.ino = ino,
		.off = (uint64_t)off,
		.whence = whence,
		.serve = seek_serve,
		.give_up = seek_give_up,
	};
	struct seek_answer answer;

	wait.answer = &answer;

	(void)fi;
	if (off < 0) {
		reply_error(req, -ENXIO);
		return;
	}
	seek_here(front->sb, ino, (uint64_t)off, whence, &answer);
	if (is_settled(&answer))
		seek_reply(req, &answer);
	else
		seek_defer(&wait);
}

void seeker_init(struct ztfuse_seeker *seeker)
{
	atomic_init(&seeker->nr_may_wait, 0);
	line_thread_init(&seeker->line, "zt-seek", serve_next);
}

void seeker_stop(struct ztfuse_seeker *seeker)
{
	line_thread_stop(&seeker->line);
}

void seeker_exit(struct ztfuse_seeker *seeker)
{
	seeker_stop(seeker);
	line_thread_exit(&seeker->line);
}
