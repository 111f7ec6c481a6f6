// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * buffers.c - where READ's bytes are decompressed before the reply. See buffers.h.
 */
#include "fuse/buffers.h"

#include "util/alloc.h"
#include "util/lock.h"

/* Stands in the buffer itself while it is free. */
struct free_buffer {
	struct free_buffer *next;
};

void buffers_init(struct ztfuse_buffers *buffers, size_t size)
{
	*buffers = (struct ztfuse_buffers){ .size = size };
	mutex_init(&buffers->lock, ZT_RANK_BUFFERS);
}

static void free_list(struct ztfuse_buffers *buffers, struct free_buffer *list)
{
	while (list) {
		struct free_buffer *next = list->next;

		zt_unmap(list, buffers->size);
		list = next;
	}
}

void buffers_exit(struct ztfuse_buffers *buffers)
{
	free_list(buffers, buffers->free);
	mutex_exit(&buffers->lock);
}

void *buffers_get(struct ztfuse_buffers *buffers)
{
	struct free_buffer *buf;

	mutex_lock_counted(&buffers->lock, ZT_LOCK_TRANSPORT);
	buf = buffers->free;
	if (buf) {
		buffers->free = buf->next;
		buffers->nr_free--;
		if (buffers->nr_free < buffers->nr_unused)
			buffers->nr_unused = buffers->nr_free;
	}
	mutex_unlock(&buffers->lock);
	return buf ? (void *)buf : zt_map(buffers->size);
}

void buffers_put(struct ztfuse_buffers *buffers, void *buf)
{
	struct free_buffer *freed = buf;

	mutex_lock_counted(&buffers->lock, ZT_LOCK_TRANSPORT);
	freed->next = buffers->free;
	buffers->free = freed;
	buffers->nr_free++;
	mutex_unlock(&buffers->lock);
}

/* The coldest stand last: the list is cut behind those that were needed. */
void buffers_trim(struct ztfuse_buffers *buffers)
{
	struct free_buffer **link, *cold;

	mutex_lock_counted(&buffers->lock, ZT_LOCK_TRANSPORT);
	link = &buffers->free;
	for (unsigned keep = buffers->nr_free - buffers->nr_unused; keep > 0; keep--)
		link = &(*link)->next;
	cold = *link;
	*link = NULL;
	buffers->nr_free -= buffers->nr_unused;
	buffers->nr_unused = buffers->nr_free;
	mutex_unlock(&buffers->lock);
	free_list(buffers, cold);
}
