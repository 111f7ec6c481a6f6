// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * inbox.c - requests in memory that outlives the process. See inbox.h.
 *
 * Locks: none.
 */
#include "fuse/channel/inbox.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuse/channel/pool.h"

/* Its first page; the buffers follow. */
struct inbox_head {
	uint32_t size; /* of a slot: all processes are of one layout */
	uint32_t nr; /* buffers, */
	uint64_t io_max; /* each a page and so many bytes */
};

static size_t buffer_size(const struct request_pool *pool)
{
	return (size_t)ZT_PAGE_SIZE + pool->all[0].size;
}

static struct inbox_head head_of(const struct request_pool *pool)
{
	return (struct inbox_head){ .size = sizeof(struct inbox_slot),
				    .nr = pool->nr_all,
				    .io_max = pool->all[0].size };
}

int inbox_make(const struct request_pool *pool, int *out_fd)
{
	const struct inbox_head head = head_of(pool);
	const off_t size = (off_t)(ZT_PAGE_SIZE + pool->nr_all * buffer_size(pool));
	const int fd = memfd_create("ztmpfs-inbox", MFD_CLOEXEC);
	ssize_t len;
	int error;

	if (fd < 0)
		return -errno;
	len = ftruncate(fd, size) != 0 ? -1 : pwrite(fd, &head, sizeof(head), 0);
	if (len == (ssize_t)sizeof(head)) {
		*out_fd = fd;
		return 0;
	}
	error = len < 0 ? -errno : -ENOSPC;
	close(fd);
	return error;
}

bool inbox_fits(const struct request_pool *pool, int fd)
{
	const struct inbox_head want = head_of(pool);
	struct inbox_head have;

	return pread(fd, &have, sizeof(have), 0) == (ssize_t)sizeof(have) && have.size == want.size &&
	       have.nr == want.nr && have.io_max == want.io_max;
}

int inbox_map(struct request_pool *pool, int fd)
{
	if (!inbox_fits(pool, fd))
		return -EPROTO;
	for (unsigned i = 0; i < pool->nr_all; i++) {
		struct request *req = &pool->all[i];
		const off_t at = (off_t)(ZT_PAGE_SIZE + i * buffer_size(pool));
		void *map = mmap(req->map, buffer_size(pool), PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_FIXED, fd, at);

		if (map == MAP_FAILED)
			return -errno;
		req->slot = map;
		req->populated = false;
	}
	return 0;
}

/* ---- a request's life ---- */

static void set_state(struct request *req, enum inbox_state state)
{
	atomic_store_explicit(&req->slot->state, state, memory_order_release);
}

void inbox_begin(struct request *req, uint32_t way)
{
	struct fuse_in_header *header = request_buf(req);

	/* From here on nothing is found there, whatever the state is. */
	__atomic_store_n(&header->len, 0, __ATOMIC_RELEASE);
	set_state(req, INBOX_FREE);
	req->slot->way = way;
	atomic_store_explicit(&req->slot->nr_forgotten, 0, memory_order_relaxed);
	set_state(req, INBOX_READING);
}

void inbox_serve(struct request *req)
{
	const struct fuse_in_header *header = request_buf(req);

	req->slot->unique = header->unique;
	req->slot->opcode = header->opcode;
	set_state(req, INBOX_SERVED);
}

void inbox_reply(struct request *req, const struct iovec *iov, int count)
{
	size_t len = 0;

	for (int i = 0; i < count; i++)
		len += iov[i].iov_len;
	if (len > INBOX_REPLY_MAX)
		return;
	req->slot->reply_len = (uint32_t)len;
	len = 0;
	for (int i = 0; i < count; len += iov[i++].iov_len)
		if (iov[i].iov_len > 0)
			memcpy(req->slot->reply + len, iov[i].iov_base, iov[i].iov_len);
	set_state(req, INBOX_REPLY);
}

bool inbox_forgets(struct inbox_slot *slot, uint64_t nr)
{
	if (nr < atomic_load_explicit(&slot->nr_forgotten, memory_order_relaxed))
		return false;
	atomic_store_explicit(&slot->nr_forgotten, nr + 1, memory_order_release);
	return true;
}

void inbox_free(struct request *req)
{
	set_state(req, INBOX_FREE);
}

/* ---- a later process ---- */

uint32_t inbox_way_of(const struct request *req)
{
	return req->slot->way;
}

/* The kernel writes whole headers. */
static bool is_there(const struct request *req)
{
	const struct fuse_in_header *header = request_buf(req);

	return header->len >= sizeof(*header) && header->len <= request_buf_size(req);
}

/* As it came: handlers see another number, and sometimes another operation. */
static void restore(struct request *req)
{
	struct fuse_in_header *header = request_buf(req);

	header->unique = req->slot->unique;
	header->opcode = req->slot->opcode;
	set_state(req, INBOX_READING);
}

enum inbox_state inbox_find(struct request *req, struct iovec *out_iov)
{
	const uint32_t state = atomic_load_explicit(&req->slot->state, memory_order_relaxed);

	if (state == INBOX_REPLY && req->slot->reply_len <= INBOX_REPLY_MAX) {
		*out_iov = (struct iovec){ req->slot->reply, req->slot->reply_len };
		return INBOX_REPLY;
	}
	if ((state != INBOX_READING && state != INBOX_SERVED) || !is_there(req))
		return INBOX_FREE;
	if (state == INBOX_SERVED)
		restore(req);
	req->len = ((const struct fuse_in_header *)request_buf(req))->len;
	return INBOX_READING;
}
