// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * ring.c - one ring shared with the kernel. See ring.h.
 *
 * Weakness: FORGET comes by the channel, not by a ring, so a write can overtake the FORGETs that
 * free what was just deleted. Near a limit it may fail with ENOSPC a moment longer than without
 * rings.
 *
 * Weakness: with the reply the entry, and so the request's bytes, go back to the kernel. An engine that
 * still reads them (it missed its deadline, and its work is thrown away) sees them change.
 */
#include "fuse/channel/ring.h"

#ifdef HAVE_LIBURING

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "fuse/channel/intake.h"
#include "fuse/channel/ring_msg.h"
#include "util/alloc.h"
#include "util/lock.h"

/* Commands that are queued at most between two system calls: an answer and a registration each. */
#define RING_DEPTH 64u

#define RING_FLAGS                                                                                 \
	(IORING_SETUP_SQE128 | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |           \
	 IORING_SETUP_CLAMP)

static _Thread_local struct ring *current_ring;

/* Commands ---------------------------------------------------------------- */

static struct io_uring_sqe *ring_sqe(struct ring *ring)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->io);

	if (!sqe) {
		(void)io_uring_submit(&ring->io); /* its errors come again with the next one */
		sqe = io_uring_get_sqe(&ring->io);
	}
	return sqe;
}

static void ring_command(struct ring *ring, struct ring_entry *entry, uint32_t op)
{
	const struct proto_uring_cmd command = { .commit_id = entry->commit_id,
						 .qid = (uint16_t)ring->qid };
	struct io_uring_sqe *sqe = ring_sqe(ring);

	request_set(entry->req, REQUEST_READING);
	if (!sqe) {
		/* Cannot happen: the kernel takes commands as long as it lives. */
		ring->dead = true;
		return;
	}
	memset(sqe, 0, 2 * sizeof(*sqe));
	sqe->opcode = IORING_OP_URING_CMD;
	sqe->fd = ring->channel->fd;
	sqe->cmd_op = op;
	if (op == PROTO_URING_REGISTER) {
		sqe->addr = (uintptr_t)ring->iov;
		sqe->len = 2;
	}
	memcpy(sqe->cmd, &command, sizeof(command));
	io_uring_sqe_set_data(sqe, entry);
}

static void ring_arm_wake(struct ring *ring)
{
	struct io_uring_sqe *sqe = ring_sqe(ring);

	if (!sqe) {
		ring->dead = true;
		return;
	}
	memset(sqe, 0, 2 * sizeof(*sqe));
	io_uring_prep_read(sqe, ring->wake_fd, &ring->wake_count, sizeof(ring->wake_count), 0);
	io_uring_sqe_set_data(sqe, NULL);
}

void ring_wake(struct ring *ring)
{
	const uint64_t one = 1;

	/* Fails only when the counter is full, and then it wakes anyway. */
	if (write(ring->wake_fd, &one, sizeof(one)) != sizeof(one))
		return;
}

/* Make @req an entry of the kernel's queue. */
static struct ring_entry *ring_register(struct ring *ring, struct request *req)
{
	struct ring_entry *entry = &ring->all_entries[req - ring->channel->pool.all];

	*entry = (struct ring_entry){
		.ring = ring,
		.req = req,
		.next = ring->entries,
		.headers = (struct proto_uring_headers *)(void *)req->map,
	};
	req->entry = entry;
	ring->entries = entry;
	ring->iov[0] = (struct iovec){ entry->headers, sizeof(*entry->headers) };
	ring->iov[1] = (struct iovec){ request_payload(req), req->size };
	ring_command(ring, entry, PROTO_URING_REGISTER);
	/* Before the next one: the kernel reads ring->iov now. */
	(void)io_uring_submit(&ring->io);
	ring->nr_active++;
	return entry;
}

/* Requests ---------------------------------------------------------------- */

/* No kernel sends such requests by a ring; but an entry must not get lost. */
static void answer_with_error(struct ring_entry *entry)
{
	struct fuse_out_header header = {
		.len = sizeof(header),
		.error = -EIO,
		.unique = entry->commit_id,
	};
	struct iovec iov = { &header, sizeof(header) };

	if (request_state(entry->req) == REQUEST_READING)
		request_set(entry->req, REQUEST_SERVED);
	(void)ring_reply(entry->req, &iov, 1);
}

static void ring_serve(struct ring *ring, struct ring_entry *entry)
{
	struct channel *ch = ring->channel;
	struct request *req = entry->req;
	void *msg = NULL;
	long len = ring_msg_in(entry->headers, request_payload(req), req->size, &msg);
	bool served = false;

	entry->commit_id = entry->headers->ent.commit_id;
	atomic_store(&ring->serves, true);
	ending_note(&ch->ending);
	if (len > 0) {
		request_touched(req, entry->headers->ent.payload_sz);
		served = request_serve(ch, req, msg, (size_t)len);
	}
	/* Else it is answered, or held. */
	if (!served || request_state(req) == REQUEST_SERVED)
		answer_with_error(entry);
	if (request_is_large(req))
		atomic_store_explicit(&ring->large, true, memory_order_relaxed);
	atomic_fetch_add_explicit(&ring->served, 1, memory_order_relaxed);
	atomic_store(&ring->serves, false);
}

ssize_t ring_reply(struct request *req, struct iovec *iov, int count)
{
	struct ring_entry *entry = req->entry;
	struct ring *ring = entry->ring;
	const bool held = request_state(req) == REQUEST_HELD;
	long len = ring_msg_out(entry->headers, request_payload(req), req->size, iov, count);

	request_touched(req, entry->headers->ent.payload_sz);
	request_set(req, REQUEST_ANSWERED);
	if (ring == current_ring) {
		if (held)
			ring->nr_active++;
		ring_command(ring, entry, PROTO_URING_COMMIT_AND_FETCH);
	} else {
		mutex_lock_counted(&ring->lock, ZT_LOCK_TRANSPORT);
		req->next = ring->late;
		ring->late = req;
		mutex_unlock(&ring->lock);
		ring_wake(ring);
	}
	if (len >= 0)
		return len;
	errno = (int)-len;
	return -1;
}

bool ring_hold(struct request *req)
{
	struct ring *ring = req->entry->ring;

	/* The kernel must have an entry while this one is away. */
	if (ring->nr_active == 1) {
		struct request *instead = pool_get(&ring->channel->pool);

		if (!instead)
			return false;
		(void)ring_register(ring, instead);
	}
	ring->nr_active--;
	request_set(req, REQUEST_HELD);
	return true;
}

static void ring_commit_late(struct ring *ring)
{
	struct request *req;

	mutex_lock_counted(&ring->lock, ZT_LOCK_TRANSPORT);
	req = ring->late;
	ring->late = NULL;
	mutex_unlock(&ring->lock);
	while (req) {
		struct request *next = req->next;

		ring->nr_active++;
		ring_command(ring, req->entry, PROTO_URING_COMMIT_AND_FETCH);
		req = next;
	}
}

static void ring_complete(struct ring *ring, const struct io_uring_cqe *cqe)
{
	struct ring_entry *entry = io_uring_cqe_get_data(cqe);
	const int res = cqe->res;

	if (!entry) {
		ring_arm_wake(ring);
		ring_commit_late(ring);
	} else if (res == 0) {
		ring_serve(ring, entry);
	} else {
		/* The entry is no more the kernel's; so it is with all of them at the end. */
		ring->nr_active--;
		if (res != -ENOTCONN && res != -ECONNABORTED && res != -ECANCELED && res != -ENODEV)
			ring->error = res;
		if (ring->nr_active == 0 || ring->error)
			ring->dead = true;
	}
}

/*
 * What the thread itself may do: nothing is copied but in its own system calls. An answer lies in
 * its entry's memory until its command is with the kernel, so those go first. With each the kernel
 * may have put the next request into the entry, and then that is in the completion queue.
 */
static void ring_trim(struct ring *ring)
{
	if (!atomic_exchange_explicit(&ring->trim, false, memory_order_relaxed))
		return;
	(void)io_uring_submit(&ring->io); /* its errors come again with the next one */
	if (io_uring_sq_ready(&ring->io) > 0 || io_uring_cq_ready(&ring->io) > 0)
		return;
	for (struct ring_entry *entry = ring->entries; entry; entry = entry->next)
		if (request_state(entry->req) == REQUEST_READING && request_is_large(entry->req))
			request_trim(entry->req);
	atomic_store_explicit(&ring->large, false, memory_order_relaxed);
}

void ring_loop(struct ring *ring)
{
	struct channel *ch = ring->channel;

	while (!ring->dead && !ending_stops(&ch->ending)) {
		struct io_uring_cqe *cqe;
		const int res = io_uring_submit_and_wait(&ring->io, 1);

		if (res < 0 && res != -EINTR && res != -EAGAIN && res != -EBUSY) {
			ring->error = res;
			break;
		}
		/* One at a time: serving one may add to both queues. */
		while (io_uring_peek_cqe(&ring->io, &cqe) == 0) {
			const struct io_uring_cqe done = *cqe;

			io_uring_cqe_seen(&ring->io, cqe);
			ring_complete(ring, &done);
		}
		ring_trim(ring);
	}
}

/* Begin and end ------------------------------------------------------------ */

int ring_open(struct io_uring *io)
{
	struct io_uring_params params = { .flags = RING_FLAGS };

	if (zt_fault_hit())
		return -ENOMEM;
	return io_uring_queue_init_params(RING_DEPTH, io, &params);
}

int ring_begin(struct ring *ring)
{
	struct request *req = pool_get(&ring->channel->pool);
	struct ring_entry *entry;
	struct io_uring_cqe *cqe;

	current_ring = ring;
	if (!req)
		return -ENOBUFS;
	entry = ring_register(ring, req);
	ring_arm_wake(ring);
	(void)io_uring_submit(&ring->io);
	if (io_uring_peek_cqe(&ring->io, &cqe) == 0 && io_uring_cqe_get_data(cqe) == entry &&
	    cqe->res < 0)
		return cqe->res;
	return 0;
}

#endif
