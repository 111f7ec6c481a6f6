// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * reap.c - jobs: what a request leaves to be done after its reply.
 *
 * A large file that is deleted no longer has a number when its job is made, and what its pages took
 * of size= has been given back. So no caller can tell that its memory is freed a little later. A
 * file that was cut has its new size, and INODE_TAIL_DIRTY keeps what lies beyond from being seen.
 *
 * A serving thread that has just sent a reply does jobs, one thread at a time. So they need no
 * thread of their own.
 *
 * Locks: super.reap_lock, innermost, guards their line. A cut holds its inode, a dead one needs no lock.
 */
#include <errno.h>

#include "fs/work.h"
#include "util/alloc.h"

struct reap_job {
	struct line_item item;
	ino_nr ino;
	bool dead; /* else: its end wants cutting */
};

static void job_push(struct super *sb, struct reap_job *job)
{
	mutex_lock(&sb->reap_lock);
	line_add(&sb->jobs, &job->item);
	atomic_fetch_add_explicit(&sb->nr_jobs, 1, memory_order_relaxed);
	mutex_unlock(&sb->reap_lock);
}

/* NULL: there is none, and nobody is at it any more. */
static struct reap_job *job_pop(struct super *sb)
{
	struct line_item *item;

	mutex_lock(&sb->reap_lock);
	item = line_take(&sb->jobs);
	if (item)
		atomic_fetch_sub_explicit(&sb->nr_jobs, 1, memory_order_relaxed);
	else
		sb->reaping = false;
	mutex_unlock(&sb->reap_lock);
	return item ? container_of(item, struct reap_job, item) : NULL;
}

bool reap_leave(struct super *sb, ino_nr ino, bool dead)
{
	struct reap_job *job = zt_zalloc(sizeof(*job));

	if (!job)
		return false;
	job->ino = ino;
	job->dead = dead;
	job_push(sb, job);
	return true;
}

void reap_drop(struct super *sb)
{
	struct reap_job *job;

	while ((job = job_pop(sb)))
		zt_free(job);
}

/* Return: whether it is done; else the mount ends. */
static bool reap_dead(struct work *work, ino_nr ino)
{
	struct inode_rec *rec = zs_data(work->sb->arena, ino);
	struct blkmap_file file = inode_file(rec);
	int err;

	file.nr_pages = NULL;
	do {
		file.round = work_round(work);
		err = blkmap_truncate(work->sb->map, &file, 0);
	} while (err == -EAGAIN && (err = work_pause(work, ino)) == -EAGAIN);
	if (err == -EINTR)
		return false;
	ZT_ASSERT(err == 0); /* with nothing left to shorten */
	inode_free_record(work->sb, ino, rec);
	return true;
}

static int cut_once(struct work *work, ino_nr ino)
{
	struct super *sb = work->sb;
	struct inode_rec *rec;
	int err = 0;

	inode_lock(sb, ino);
	if (file_open(sb, ino, &rec) == 0 && inode_tail_is_dirty(rec))
		err = inode_cut(sb, rec, rec->size, work_round(work));
	inode_unlock(sb, ino);
	return err;
}

static bool reap_cut(struct work *work, ino_nr ino)
{
	int err;

	do {
		err = cut_once(work, ino);
	} while (err == -EAGAIN && (err = work_pause(work, ino)) == -EAGAIN);
	return err != -EINTR;
}

int work_finish_cut(struct work *work, ino_nr ino)
{
	int err;

	do {
		err = cut_once(work, ino);
	} while (err == -EAGAIN && (err = work_pause(work, ino)) == -EAGAIN);
	/* Without memory for a job the mark stays, and the next one to lengthen the file cuts it. */
	if (err == -EINTR && !reap_leave(work->sb, ino, false))
		return -EINTR;
	return err;
}

static bool reap_begin(struct super *sb)
{
	bool begin;

	if (atomic_load_explicit(&sb->nr_jobs, memory_order_relaxed) == 0)
		return false;
	mutex_lock(&sb->reap_lock);
	begin = !sb->reaping;
	sb->reaping = true;
	mutex_unlock(&sb->reap_lock);
	return begin;
}

void super_reap(struct super *sb)
{
	struct work work = work_begin(sb);
	struct reap_job *job;

	if (!reap_begin(sb))
		return;
	while ((job = job_pop(sb))) {
		if (!(job->dead ? reap_dead(&work, job->ino) : reap_cut(&work, job->ino))) {
			job_push(sb, job);
			mutex_lock(&sb->reap_lock);
			sb->reaping = false;
			mutex_unlock(&sb->reap_lock);
			return;
		}
		zt_free(job);
	}
}
