// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * seek.c - LSEEK. See seek.h for why it is not answered at once.
 *
 * Locks: seeker.lock guards the queue; nothing is called under it.
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
#include "util/lock.h"
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
	struct seek_wait *next;
	void (*serve)(struct seek_wait *wait); /* waits for the kernel, and replies */
	void (*give_up)(struct seek_wait *wait, bool stopped); /* replies without; at the end */
	struct ztfuse *front;
	fuse_req_t req;
	struct ztfuse_held *held;
	ino_nr ino;
	uint64_t off;
	int whence; /* LSEEK */
	struct seek_answer *answer; /* LSEEK: what is known without the kernel; for give_up() */
	uint32_t flags; /* chattr */
	struct fs_cred cred; /* chattr: who asks */
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

static void *seek_thread(void *arg)
{
	struct ztfuse_seeker *seeker = arg;

	mutex_lock(&seeker->lock);
	for (;;) {
		struct seek_wait *wait = seeker->first;

		if (wait) {
			seeker->first = wait->next;
			if (!seeker->first)
				seeker->last = &seeker->first;
			mutex_unlock(&seeker->lock);
			wait->serve(wait);
			ztfuse_release(wait->held);
			zt_free(wait);
			mutex_lock(&seeker->lock);
		} else if (seeker->stop) {
			break;
		} else {
			zt_lock_check(pthread_cond_wait(&seeker->cond, &seeker->lock));
		}
	}
	mutex_unlock(&seeker->lock);
	return NULL;
}

/* Under the lock. */
static int seeker_start(struct ztfuse_seeker *seeker)
{
	int error;

	if (seeker->has_thread)
		return 0;
	error = zt_fault_hit() ? EAGAIN
			       : pthread_create(&seeker->thread, NULL, seek_thread, seeker);
	if (error)
		return -error;
	pthread_setname_np(seeker->thread, "zt-seek");
	seeker->has_thread = true;
	return 0;
}

/*
 * Nobody can ask the kernel now. That there are no holes from @off on is true of any file for those
 * who read it; what lies behind its end they learn by reading. A hole that is none would lose data.
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
	bool taken = false;

	if (!copy)
		return false;
	*copy = *wait;
	mutex_lock(&seeker->lock);
	if (!seeker->stop && seeker_start(seeker) == 0) {
		*seeker->last = copy;
		seeker->last = &copy->next;
		zt_lock_check(pthread_cond_signal(&seeker->cond));
		taken = true;
	}
	mutex_unlock(&seeker->lock);
	if (!taken)
		zt_free(copy);
	return taken;
}

static bool seeker_is_stopped(struct ztfuse_seeker *seeker)
{
	bool stop;

	mutex_lock(&seeker->lock);
	stop = seeker->stop;
	mutex_unlock(&seeker->lock);
	return stop;
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
		wait->give_up(wait, seeker_is_stopped(seeker));
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
	mutex_init(&seeker->lock);
	zt_lock_check(pthread_cond_init(&seeker->cond, NULL));
	seeker->first = NULL;
	seeker->last = &seeker->first;
	seeker->has_thread = false;
	seeker->stop = false;
}

void seeker_stop(struct ztfuse_seeker *seeker)
{
	bool join;

	mutex_lock(&seeker->lock);
	seeker->stop = true;
	join = seeker->has_thread;
	seeker->has_thread = false;
	zt_lock_check(pthread_cond_signal(&seeker->cond));
	mutex_unlock(&seeker->lock);
	if (join)
		zt_lock_check(pthread_join(seeker->thread, NULL));
}

void seeker_exit(struct ztfuse_seeker *seeker)
{
	seeker_stop(seeker);
	zt_lock_check(pthread_cond_destroy(&seeker->cond));
	mutex_exit(&seeker->lock);
}
