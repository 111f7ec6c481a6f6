// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * notify.c - the thread that tells the kernel to drop pages of a file. See notify.h.
 *
 * After an asynchronous O_DIRECT write the kernel drops no pages: what another process read through
 * the page cache while the write was under way stays there, and is old. So such a WRITE is answered
 * only after its range was dropped, where the kernel may have pages of the file at all.
 *
 * Locks: notifier.lock guards the line; innermost, nothing is called under it.
 */
#include "fuse/notify.h"

#include "fs/file.h"
#include "fuse/fuse_ops.h"
#include "util/lock.h"

/*
 * Each write drops its own range. When some have come without a read through the cache between
 * them, the whole file is dropped once, and from then on nothing needs to be.
 */
static void drop_pages(struct ztfuse_notifier *notifier, const struct notify_item *item)
{
	unsigned turns = fs_pages_known(notifier->sb, item->ino);

	/* It fails when the kernel has forgotten the inode, or has gone: then there are no pages. */
	if (turns > 1)
		(void)fuse_lowlevel_notify_inval_inode(notifier->se, item->ino, (off_t)item->off,
						       (off_t)item->len);
	else if (turns == 1)
		(void)fuse_lowlevel_notify_inval_inode(notifier->se, item->ino, 0, 0);
	fs_pages_dropped(notifier->sb, item->ino, turns);
}

/* Return: NULL at the end. */
static struct notify_item *next_item(struct ztfuse_notifier *notifier)
{
	struct notify_item *item;

	mutex_lock(&notifier->lock);
	while (!notifier->first && notifier->runs)
		zt_lock_check(pthread_cond_wait(&notifier->cond, &notifier->lock));
	item = notifier->first;
	if (item) {
		notifier->first = item->next;
		if (!item->next)
			notifier->last = &notifier->first;
	}
	mutex_unlock(&notifier->lock);
	return item;
}

static void *notifier_main(void *arg)
{
	struct ztfuse_notifier *notifier = arg;
	struct notify_item *item;

	while ((item = next_item(notifier)) != NULL) {
		drop_pages(notifier, item);
		item->done(item);
	}
	return NULL;
}

bool notifier_add(struct ztfuse_notifier *notifier, struct notify_item *item)
{
	bool runs;

	item->next = NULL;
	mutex_lock(&notifier->lock);
	runs = notifier->runs;
	if (runs) {
		*notifier->last = item;
		notifier->last = &item->next;
		zt_lock_check(pthread_cond_signal(&notifier->cond));
	}
	mutex_unlock(&notifier->lock);
	return runs;
}

void notifier_init(struct ztfuse_notifier *notifier)
{
	*notifier = (struct ztfuse_notifier){ .last = &notifier->first };
	mutex_init(&notifier->lock);
	zt_lock_check(pthread_cond_init(&notifier->cond, NULL));
}

int notifier_start(struct ztfuse_notifier *notifier, struct super *sb, struct fuse_session *se)
{
	int error;

	notifier->sb = sb;
	notifier->se = se;
	notifier->runs = true; /* nobody else sees it yet */
	error = -pthread_create(&notifier->thread, NULL, notifier_main, notifier);
	if (error)
		notifier->runs = false;
	else
		(void)pthread_setname_np(notifier->thread, "zt-notify");
	return error;
}

void notifier_stop(struct ztfuse_notifier *notifier)
{
	bool ran;

	mutex_lock(&notifier->lock);
	ran = notifier->runs;
	notifier->runs = false;
	zt_lock_check(pthread_cond_signal(&notifier->cond));
	mutex_unlock(&notifier->lock);
	if (ran)
		zt_lock_check(pthread_join(notifier->thread, NULL));
}

void notifier_exit(struct ztfuse_notifier *notifier)
{
	(void)pthread_cond_destroy(&notifier->cond);
	mutex_exit(&notifier->lock);
}
