// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * notify.c - the thread that tells the kernel to drop pages of a file. See notify.h.
 *
 * After an asynchronous O_DIRECT write the kernel drops no pages: what another process read through
 * the page cache while the write was under way stays there, and is old. So such a WRITE is answered
 * only after its range was dropped, where the kernel may have pages of the file at all.
 *
 * Locks: the line's, innermost.
 */
#include "fuse/notify.h"

#include "fs/file.h"
#include "fuse/fuse_ops.h"

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

static void serve_next(struct line_thread *line, struct line_item *item)
{
	struct ztfuse_notifier *notifier = container_of(line, struct ztfuse_notifier, line);
	struct notify_item *notice = container_of(item, struct notify_item, item);

	drop_pages(notifier, notice);
	notice->done(notice);
}

bool notifier_add(struct ztfuse_notifier *notifier, struct notify_item *item)
{
	return line_thread_add(&notifier->line, &item->item);
}

void notifier_init(struct ztfuse_notifier *notifier)
{
	*notifier = (struct ztfuse_notifier){ .se = NULL };
	line_thread_init(&notifier->line, "zt-notify", serve_next);
}

int notifier_start(struct ztfuse_notifier *notifier, struct super *sb, struct fuse_session *se)
{
	notifier->sb = sb; /* nobody else sees it yet */
	notifier->se = se;
	return line_thread_start(&notifier->line);
}

void notifier_stop(struct ztfuse_notifier *notifier)
{
	line_thread_stop(&notifier->line);
}

void notifier_exit(struct ztfuse_notifier *notifier)
{
	line_thread_exit(&notifier->line);
}
