// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * left.c - requests that outlive the process: made so, and taken up by another one. See left.h,
 * channel.h.
 *
 * Locks: none but for left_take(); before there are threads.
 */
#include "fuse/channel/left.h"

#include <unistd.h>

#include "fuse/channel/inbox.h"
#include "fuse/channel/workers.h"

void left_add(struct channel *ch, struct request *req)
{
	struct request **link = &ch->left;

	while (*link)
		link = &(*link)->next;
	req->next = NULL;
	*link = req;
	atomic_store_explicit(&ch->any_left, true, memory_order_relaxed);
}

struct request *left_take(struct channel *ch)
{
	struct request *req = ch->left;

	if (req)
		ch->left = req->next;
	atomic_store_explicit(&ch->any_left, ch->left != NULL, memory_order_relaxed);
	return req;
}

/* What it came by, as it is in this process. */
static int fd_of(const struct channel *ch, uint32_t way, int fd)
{
	const struct channel_survival *survival = ch->params.survival;

	if (way == INBOX_SPIN)
		return survival->spin_fd;
	if (way >= INBOX_CLONE && way - INBOX_CLONE < survival->nr_clones)
		return survival->clones[way - INBOX_CLONE];
	return fd;
}

/* Before requests are divided among the threads anew. */
static void take_one(struct channel *ch, struct request *req, int fd)
{
	struct iovec iov;

	switch (inbox_find(req, &iov)) {
	case INBOX_REPLY:
		/* The kernel may have it, and refuses it then. */
		(void)ch->params.writev(fd_of(ch, inbox_way_of(req), fd), &iov, 1, ch->arg);
		inbox_free(req);
		break;
	case INBOX_READING:
		request_set(req, REQUEST_READING);
		req->fd = fd_of(ch, inbox_way_of(req), fd);
		req->left = true;
		if (pool_remove(&ch->pool, req))
			left_add(ch, req);
		break;
	case INBOX_FREE:
	case INBOX_SERVED:
		break;
	}
}

int channel_make_inbox(struct channel *ch, int *out_fd)
{
	int error = inbox_make(&ch->pool, out_fd);

	if (error)
		return error;
	error = inbox_map(&ch->pool, *out_fd);
	if (error)
		close(*out_fd);
	return error;
}

bool channel_fits_inbox(const struct channel *ch, int inbox)
{
	return inbox_fits(&ch->pool, inbox);
}

int channel_take_inbox(struct channel *ch, int inbox, int fd)
{
	const int error = inbox_map(&ch->pool, inbox);

	for (unsigned i = 0; !error && i < ch->pool.nr_all; i++)
		take_one(ch, &ch->pool.all[i], fd);
	if (!error)
		workers_leave(ch);
	return error;
}
