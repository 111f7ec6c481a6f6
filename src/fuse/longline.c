// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * longline.c - requests that may take seconds: never all threads serve such, the others stand in line.
 *
 * How long a request takes is seen before it is taken apart: by its kind and its length, or by how
 * large its file is. One that stands in line is a copy of its bytes, so that the thread that read it
 * has its buffer back; it is served by the next thread that ends one of its kind.
 *
 * Locks: longline.lock, innermost; replies are sent without it.
 */
#include <errno.h>
#include <string.h>

#include "fuse/transport_i.h"
#include "util/alloc.h"
#include "util/lock.h"

struct longline_item {
	struct line_item waiting;
	uint64_t unique;
	int fd; /* where it came from */
	size_t len;
	char msg[]; /* len bytes */
};

/* Bytes of a range from which on a request may take longer than others may wait. */
#define ENDLESS_RANGE (UINT64_C(16) << 20)

/* What follows the header, or NULL when it was cut short. */
static const void *fixed_part(const struct fuse_in_header *header, size_t len, size_t size)
{
	return len >= sizeof(*header) + size ? header + 1 : NULL;
}

bool longline_wants(const struct transport *t, const struct ztfuse_held *req, size_t len)
{
	const struct fuse_in_header *header = request_buf(req);
	const struct fuse_fallocate_in *falloc;
	const struct fuse_copy_file_range_in *copy;
	const struct fuse_setattr_in *setattr;

	if (len < sizeof(*header))
		return false;
	switch (header->opcode) {
	case FUSE_FALLOCATE:
		falloc = fixed_part(header, len, sizeof(*falloc));
		return falloc && falloc->length >= ENDLESS_RANGE;
	case FUSE_COPY_FILE_RANGE:
		copy = fixed_part(header, len, sizeof(*copy));
		return copy && copy->len >= ENDLESS_RANGE;
	case FUSE_SETATTR:
		setattr = fixed_part(header, len, sizeof(*setattr));
		return setattr && (setattr->valid & FATTR_SIZE) &&
		       fs_is_large(t->front->sb, header->nodeid);
	case FUSE_LSEEK:
	case FUSE_IOCTL:
	case FUSE_GETXATTR:
		return fs_is_large(t->front->sb, header->nodeid);
	default:
		return false;
	}
}

static struct longline_item *item_make(const struct ztfuse_held *req, size_t len)
{
	const struct fuse_in_header *header = request_buf(req);
	struct longline_item *item = zt_zalloc(sizeof(*item) + len);

	if (!item)
		return NULL;
	item->unique = header->unique;
	item->fd = req->fd;
	item->len = len;
	memcpy(item->msg, header, len);
	return item;
}

/* All threads but one for the others, and one that may reap (super_reap()); the lock is held. */
static bool may_serve(const struct transport *t)
{
	return t->longline.nr_serving == 0 || t->longline.nr_serving + 2 < t->params.nr_threads;
}

bool longline_enter(struct transport *t, const struct ztfuse_held *req, size_t len)
{
	struct longline *line = &t->longline;
	struct longline_item *item = NULL;
	uint64_t unique = 0;

	mutex_lock_counted(&line->lock, ZT_LOCK_TRANSPORT);
	/* Without memory it is served at once, whoever waits. */
	if (!may_serve(t) && (item = item_make(req, len))) {
		unique = item->unique;
		line_add(&line->waiting, &item->waiting);
	} else {
		line->nr_serving++;
	}
	mutex_unlock(&line->lock);
	if (!item)
		return true;
	if (interrupt_came_first(t, unique))
		(void)longline_interrupt(t, unique); /* or it is being served, and has seen it */
	return false;
}

/* The next three with the lock held. NULL: there is none. */
static struct longline_item *item_of(struct line_item *waiting)
{
	return waiting ? container_of(waiting, struct longline_item, waiting) : NULL;
}

static struct longline_item *take(struct longline *line)
{
	return item_of(line_take(&line->waiting));
}

static struct longline_item *take_request(struct longline *line, uint64_t unique)
{
	struct longline_item *item = item_of(line->waiting.first);

	while (item && item->unique != unique)
		item = item_of(item->waiting.next);
	if (item)
		line_remove(&line->waiting, &item->waiting);
	return item;
}

size_t longline_next(struct transport *t, struct ztfuse_held *req)
{
	struct longline *line = &t->longline;
	struct longline_item *item;
	size_t len = 0;

	mutex_lock_counted(&line->lock, ZT_LOCK_TRANSPORT);
	item = atomic_load(&t->stop) ? NULL : take(line);
	if (!item)
		line->nr_serving--;
	mutex_unlock(&line->lock);
	if (item) {
		len = item->len;
		req->fd = item->fd;
		memcpy(request_buf(req), item->msg, len);
		request_touched(req, len);
	}
	zt_free(item);
	return len;
}

bool longline_interrupt(struct transport *t, uint64_t unique)
{
	struct longline *line = &t->longline;
	struct fuse_out_header header = { .len = sizeof(header), .error = -EINTR };
	struct iovec iov = { &header, sizeof(header) };
	struct longline_item *item;

	mutex_lock_counted(&line->lock, ZT_LOCK_TRANSPORT);
	item = take_request(line, unique);
	mutex_unlock(&line->lock);
	if (!item)
		return false;
	header.unique = unique;
	(void)t->params.writev(item->fd, &iov, 1, t->front); /* nobody is left to be told */
	zt_free(item);
	return true;
}

void longline_init(struct longline *line)
{
	mutex_init(&line->lock, ZT_RANK_LONGLINE);
	line_init(&line->waiting);
}

void longline_exit(struct longline *line)
{
	struct longline_item *item;

	while ((item = take(line)))
		zt_free(item);
	mutex_exit(&line->lock);
}
