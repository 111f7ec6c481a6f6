/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * notify.h - the thread that tells the kernel to drop pages of a file.
 *
 * The kernel waits for pages that are being read or written before it drops them. So the thread
 * that tells it must serve no requests, and hold nothing that serving them needs.
 *
 * Locks: the line's, innermost.
 */
#ifndef ZT_FUSE_NOTIFY_H
#define ZT_FUSE_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>

#include "util/compiler.h"
#include "util/line.h"

struct fuse_session;
struct super;

/* Something the kernel shall drop. The caller's until notifier_add() took it, and from done() on. */
struct notify_item {
	struct line_item item; /* the notifier's */
	uint64_t ino; /* an inode that the kernel has a reference to, until done() */
	uint64_t off, len; /* bytes of it that have changed */
	/* The pages are gone: reply now. In the notifier's thread; must not wait. */
	void (*done)(struct notify_item *item);
};

/* Part of struct ztfuse. */
struct ztfuse_notifier {
	struct line_thread line; /* of struct notify_item; "zt-notify" */
	struct fuse_session *se;
	struct super *sb;
};

void notifier_init(struct ztfuse_notifier *notifier);

/** notifier_start() - make its thread, zt-notify. Return: 0 or -errno. */
int notifier_start(struct ztfuse_notifier *notifier, struct super *sb,
		   struct fuse_session *se) ZT_MUST_CHECK;

/** notifier_stop() - serve what is there and join the thread; may be called twice */
void notifier_stop(struct ztfuse_notifier *notifier);

/** notifier_exit() - it is stopped */
void notifier_exit(struct ztfuse_notifier *notifier);

/**
 * notifier_add() - have the pages dropped, then item->done() called
 * Any thread; takes the line's lock only. Return: false when it does not run: nothing happens.
 */
bool notifier_add(struct ztfuse_notifier *notifier, struct notify_item *item);

#endif
