// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * longline.c - requests that may take seconds stand in line. See longline.h.
 */
#include "fuse/channel/longline.h"

#include <string.h>

#include "util/alloc.h"
#include "util/lock.h"

struct longline_item {
	struct line_item waiting;
	uint64_t unique;
	int fd; /* where it came from */
	struct request *itself; /* or NULL: then there is a copy */
	size_t len;
	char msg[]; /* len bytes of the copy */
};

static struct longline_item *item_make(struct request *req, size_t len, enum longline_form form)
{
	const struct fuse_in_header *header = request_buf(req);
	const bool itself = form == LONGLINE_ITSELF;
	struct longline_item *item =
		form == LONGLINE_NOT ? NULL : zt_zalloc(sizeof(*item) + (itself ? 0 : len));

	if (!item)
		return NULL;
	item->unique = header->unique;
	item->fd = req->fd;
	item->len = len;
	item->itself = itself ? req : NULL;
	if (!itself)
		memcpy(item->msg, header, len);
	return item;
}

/* All threads but one for the others, and one that may reap; the lock is held. */
static bool may_serve(const struct longline *longline)
{
	return longline->nr_serving == 0 || longline->nr_serving + 2 < longline->nr_threads;
}

bool longline_enter(struct longline *longline, struct request *req, size_t len,
		    enum longline_form form)
{
	struct longline_item *item = NULL;

	mutex_lock_counted(&longline->lock, ZT_LOCK_TRANSPORT);
	/* Without memory for a copy it is served at once, even by the last thread. */
	if (!may_serve(longline) && (item = item_make(req, len, form)))
		line_add(&longline->waiting, &item->waiting);
	else
		longline->nr_serving++;
	mutex_unlock(&longline->lock);
	return !item;
}

/* The next three with the lock held. NULL: there is none. */
static struct longline_item *item_of(struct line_item *waiting)
{
	return waiting ? container_of(waiting, struct longline_item, waiting) : NULL;
}

static struct longline_item *take(struct longline *longline)
{
	return item_of(line_take(&longline->waiting));
}

static struct longline_item *take_request(struct longline *longline, uint64_t unique)
{
	struct longline_item *item = item_of(longline->waiting.first);

	while (item && item->unique != unique)
		item = item_of(item->waiting.next);
	if (item)
		line_remove(&longline->waiting, &item->waiting);
	return item;
}

/* Return: where it is to be served. */
static struct request *unpack(const struct longline_item *item, struct request *req)
{
	if (item->itself)
		return item->itself;
	request_set(req, REQUEST_READING);
	req->fd = item->fd;
	memcpy(request_buf(req), item->msg, item->len);
	request_touched(req, item->len);
	return req;
}

struct request *longline_next(struct longline *longline, struct request *req, bool stops,
			      size_t *out_len)
{
	struct longline_item *item;

	mutex_lock_counted(&longline->lock, ZT_LOCK_TRANSPORT);
	item = stops ? NULL : take(longline);
	if (!item)
		longline->nr_serving--;
	mutex_unlock(&longline->lock);
	if (!item)
		return NULL;
	*out_len = item->len;
	req = unpack(item, req);
	zt_free(item);
	return req;
}

bool longline_withdraw(struct longline *longline, uint64_t unique, int *out_fd,
		       struct request **out_req)
{
	struct longline_item *item;

	mutex_lock_counted(&longline->lock, ZT_LOCK_TRANSPORT);
	item = take_request(longline, unique);
	mutex_unlock(&longline->lock);
	if (!item)
		return false;
	*out_fd = item->fd;
	*out_req = item->itself;
	zt_free(item);
	return true;
}

void longline_init(struct longline *longline, unsigned nr_threads)
{
	longline->nr_threads = nr_threads;
	mutex_init(&longline->lock, ZT_RANK_LONGLINE);
	line_init(&longline->waiting);
}

void longline_exit(struct longline *longline)
{
	struct longline_item *item;

	while ((item = take(longline)))
		zt_free(item);
	mutex_exit(&longline->lock);
}
