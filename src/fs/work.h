/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * work.h - what a request does in rounds, and what it leaves to others.
 *
 *     struct work work = work_begin(sb);
 *
 *     do {
 *             lock; work_round(&work); err = ... until -EAGAIN ...; unlock
 *     } while (err == -EAGAIN && (err = work_pause(&work, lock)) == -EAGAIN);
 *
 * So no thread waits for a lock longer than one round, the caller can be killed, and the mount can
 * end, however long the range is that the caller chose. Work that has to be finished all the same
 * (a file that was deleted or cut) becomes a job (reap.c).
 */
#ifndef ZT_FS_WORK_H
#define ZT_FS_WORK_H

#include "fs/inode_i.h"
#include "util/round.h"

/* Others wait so long at most; letting go and coming back takes microseconds. */
#define WORK_ROUND_NS UINT64_C(1000000)

struct work {
	struct super *sb;
	struct zt_round round;
};

static inline struct work work_begin(struct super *sb)
{
	return (struct work){ .sb = sb };
}

/** work_round() - a round begins; the locks are held by now. Return: for blkmap_file.round. */
static inline struct zt_round *work_round(struct work *work)
{
	zt_round_begin(&work->round, work->sb->round_ns);
	return &work->round;
}

/* Pages from which on freeing may take longer than others may wait: as many clusters at most. */
#define INODE_LARGE_PAGES 4096u

/**
 * work_pause() - between two rounds; nothing is held
 * @ino: whose lock was held: threads that wait for it go first
 * Return: -EAGAIN go on; -EINTR the caller has given up, or the mount ends.
 */
int work_pause(struct work *work, ino_nr ino);

/**
 * work_finish_cut() - cut what INODE_TAIL_DIRTY says, in rounds; nothing is held
 * Return: 0; -EINTR: what is left is a job; others: as inode_cut().
 */
int work_finish_cut(struct work *work, ino_nr ino);

/**
 * reap_leave() - a job for super_reap(): an inode that nobody knows any more (@dead), or whose end
 * wants cutting
 * Return: false without memory: nothing has happened.
 */
bool reap_leave(struct super *sb, ino_nr ino, bool dead) ZT_MUST_CHECK;

/** reap_drop() - forget all jobs: the mount ends, and its memory goes as a whole */
void reap_drop(struct super *sb);

#endif
