// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * uring.c - requests and replies through rings shared with the kernel. See uring.h.
 *
 * A ring belongs to its thread: only that one submits and reaps, and the kernel copies a request
 * into an entry, and an answer out of it, only while the thread is inside io_uring_enter(2)
 * (IORING_SETUP_DEFER_TASKRUN). So when nothing waits in either queue, the memory of entries that
 * are not held may be given back without a lock. A reply that comes from another thread is put on
 * the ring's list, and the ring is woken by its eventfd.
 *
 * Weakness: FORGET comes by the channel, not by a ring, so a write can overtake those that free what
 * was just deleted: near a limit it may hear ENOSPC a moment longer than without rings.
 *
 * Weakness: with the reply the entry, and so the request's bytes, go back to the kernel. An engine that
 * still reads them then (it missed its deadline, and its work is thrown away) sees them change.
 *
 * Locks: ring.lock, innermost: the list of late replies. uring.lock: how the threads fare.
 */
#include "fuse/uring.h"

#ifdef HAVE_LIBURING

#include <errno.h>
#include <liburing.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "fuse/transport_i.h"
#include "fuse/uring_msg.h"
#include "fuse/watch.h"
#include "util/alloc.h"
#include "util/lock.h"
#include "util/log.h"

/* Commands that are queued at most between two system calls: an answer and a registration each. */
#define RING_DEPTH 64u

#define RING_FLAGS                                                                                 \
	(IORING_SETUP_SQE128 | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |           \
	 IORING_SETUP_CLAMP)

struct ring {
	struct uring *uring;
	struct transport *transport;
	pthread_t thread;
	unsigned qid; /* the kernel's queue */
	bool bound; /* runs on the queue's CPU alone */
	bool started; /* there is a thread to join */
	int wake_fd; /* eventfd; the counter wakes the ring */
	struct io_uring io; /* the thread's own, as all up to lock */
	struct iovec iov[2]; /* of the entry that is being registered; read by the kernel at once */
	uint64_t wake_count; /* where the eventfd is read into */
	struct ztfuse_held *entries; /* all, by next_entry */
	unsigned nr_active; /* entries with the kernel or being served: not held, not dead */
	bool dead; /* the connection has gone, or the ring does not work */
	int error; /* why, in the second case */
	struct mutex lock;
	struct ztfuse_held *late; /* answered by other threads; guarded by lock */
	atomic_bool large; /* relaxed: some entry has much memory */
	atomic_bool trim; /* relaxed; asked for again */
	atomic_bool serves; /* stored before the ring looks at transport.watch_sleeps; see worker.state */
	_Atomic unsigned served; /* relaxed: tells uring_trim() who has been idle */
	unsigned served_before; /* uring_trim()'s own */
};

struct uring {
	struct transport *transport;
	unsigned nr_rings;
	struct ring *rings;
	struct mutex lock;
	pthread_cond_t cond;
	unsigned nr_ready; /* rings that registered or failed; guarded by lock */
	int error; /* the first failure; guarded by lock */
};

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

static void ring_command(struct ring *ring, struct ztfuse_held *req, uint32_t op)
{
	const struct proto_uring_cmd command = { .commit_id = req->commit_id,
						 .qid = (uint16_t)ring->qid };
	struct io_uring_sqe *sqe = ring_sqe(ring);

	if (!sqe) {
		ring->dead =
			true; /* cannot happen: the kernel takes commands as long as it lives */
		return;
	}
	memset(sqe, 0, 2 * sizeof(*sqe));
	sqe->opcode = IORING_OP_URING_CMD;
	sqe->fd = fuse_session_fd(ring->transport->se);
	sqe->cmd_op = op;
	if (op == PROTO_URING_REGISTER) {
		sqe->addr = (uintptr_t)ring->iov;
		sqe->len = 2;
	}
	memcpy(sqe->cmd, &command, sizeof(command));
	io_uring_sqe_set_data(sqe, req);
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

static void ring_wake(struct ring *ring)
{
	const uint64_t one = 1;

	/* Fails only when the counter is full, and then it wakes anyway. */
	if (write(ring->wake_fd, &one, sizeof(one)) != sizeof(one))
		return;
}

/* Make @req an entry of the kernel's queue. */
static void ring_register(struct ring *ring, struct ztfuse_held *req)
{
	req->ring = ring;
	req->headers = (struct proto_uring_headers *)(void *)req->map;
	req->commit_id = 0;
	req->held = false;
	req->next_entry = ring->entries;
	ring->entries = req;
	ring->iov[0] = (struct iovec){ req->headers, sizeof(*req->headers) };
	ring->iov[1] = (struct iovec){ request_payload(req), ring->transport->front->io_max };
	ring_command(ring, req, PROTO_URING_REGISTER);
	/* Before the next one: the kernel reads ring->iov now. */
	(void)io_uring_submit(&ring->io);
	ring->nr_active++;
}

/* Requests ---------------------------------------------------------------- */

static void ring_serve(struct ring *ring, struct ztfuse_held *req)
{
	struct transport *t = ring->transport;
	void *msg = NULL;
	long len = uring_msg_in(req->headers, request_payload(req), t->front->io_max, &msg);

	req->commit_id = req->headers->ent.commit_id;
	req->answered = false;
	atomic_store(&ring->serves, true);
	watch_note(t);
	if (len > 0) {
		request_touched(req, req->headers->ent.payload_sz);
		request_serve(t, req, msg, (size_t)len);
	}
	if (!req->answered && !req->held) {
		/* No kernel sends such requests by a ring; but an entry must not get lost. */
		struct fuse_out_header header = { .error = -EIO, .unique = req->commit_id };
		struct iovec iov = { &header, sizeof(header) };

		header.len = sizeof(header);
		(void)uring_reply(req, &iov, 1);
	}
	if (request_is_large(req))
		atomic_store_explicit(&ring->large, true, memory_order_relaxed);
	atomic_fetch_add_explicit(&ring->served, 1, memory_order_relaxed);
	atomic_store(&ring->serves, false);
}

ssize_t uring_reply(struct ztfuse_held *req, struct iovec *iov, int count)
{
	struct ring *ring = req->ring;
	long len = uring_msg_out(req->headers, request_payload(req), req->transport->front->io_max,
				 iov, count);

	request_touched(req, req->headers->ent.payload_sz);
	if (ring == current_ring) {
		req->answered = true;
		if (req->held) {
			req->held = false;
			ring->nr_active++;
		}
		ring_command(ring, req, PROTO_URING_COMMIT_AND_FETCH);
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

bool uring_hold(struct ztfuse_held *req)
{
	struct ring *ring = req->ring;

	/* The kernel must have an entry while this one is away. */
	if (ring->nr_active == 1) {
		struct ztfuse_held *instead = transport_spare_get(ring->transport);

		if (!instead)
			return false;
		ring_register(ring, instead);
	}
	ring->nr_active--;
	req->held = true;
	return true;
}

static void ring_commit_late(struct ring *ring)
{
	struct ztfuse_held *req;

	mutex_lock_counted(&ring->lock, ZT_LOCK_TRANSPORT);
	req = ring->late;
	ring->late = NULL;
	mutex_unlock(&ring->lock);
	while (req) {
		struct ztfuse_held *next = req->next;

		req->held = false;
		ring->nr_active++;
		ring_command(ring, req, PROTO_URING_COMMIT_AND_FETCH);
		req = next;
	}
}

static void ring_complete(struct ring *ring, const struct io_uring_cqe *cqe)
{
	struct ztfuse_held *req = io_uring_cqe_get_data(cqe);
	const int res = cqe->res;

	if (!req) {
		ring_arm_wake(ring);
		ring_commit_late(ring);
	} else if (res == 0) {
		ring_serve(ring, req);
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
	for (struct ztfuse_held *req = ring->entries; req; req = req->next_entry)
		if (!req->held && request_is_large(req))
			request_trim(req);
	atomic_store_explicit(&ring->large, false, memory_order_relaxed);
}

static void ring_loop(struct ring *ring)
{
	struct transport *t = ring->transport;

	while (!ring->dead && !atomic_load(&t->stop)) {
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

/* Threads ----------------------------------------------------------------- */

static int ring_open(struct io_uring *io)
{
	struct io_uring_params params = { .flags = RING_FLAGS };

	if (zt_fault_hit())
		return -ENOMEM;
	return io_uring_queue_init_params(RING_DEPTH, io, &params);
}

unsigned uring_nr_rings(unsigned nr_threads)
{
	const unsigned nr_queues = (unsigned)get_nprocs_conf();

	return nr_threads > nr_queues ? nr_threads : nr_queues;
}

int uring_possible(void)
{
	struct io_uring io;
	int error = ring_open(&io);

	if (!error)
		io_uring_queue_exit(&io);
	return error;
}

static void ring_bind(struct ring *ring)
{
	cpu_set_t *set = CPU_ALLOC(ring->qid + 1);
	const size_t size = CPU_ALLOC_SIZE(ring->qid + 1);

	if (!set)
		return;
	CPU_ZERO_S(size, set);
	CPU_SET_S(ring->qid, size, set);
	/* A CPU that is not there now, or not for us: the thread runs elsewhere. */
	(void)pthread_setaffinity_np(pthread_self(), size, set);
	CPU_FREE(set);
}

static void ring_report(struct ring *ring, int error)
{
	struct uring *uring = ring->uring;

	mutex_lock_counted(&uring->lock, ZT_LOCK_TRANSPORT);
	uring->nr_ready++;
	if (error && !uring->error)
		uring->error = error;
	cond_broadcast(&uring->cond);
	mutex_unlock(&uring->lock);
}

/* The first entry; a refusal is there at once, a request at the earliest when all queues are. */
static int ring_begin(struct ring *ring)
{
	struct ztfuse_held *req = transport_spare_get(ring->transport);
	struct io_uring_cqe *cqe;

	if (!req)
		return -ENOBUFS;
	ring_register(ring, req);
	ring_arm_wake(ring);
	(void)io_uring_submit(&ring->io);
	if (io_uring_peek_cqe(&ring->io, &cqe) == 0 && io_uring_cqe_get_data(cqe) == req &&
	    cqe->res < 0)
		return cqe->res;
	return 0;
}

static void *ring_thread(void *arg)
{
	struct ring *ring = arg;
	int error = ring_open(&ring->io);

	current_ring = ring;
	if (error) {
		ring_report(ring, error);
		return NULL;
	}
	if (ring->bound)
		ring_bind(ring);
	error = ring_begin(ring);
	ring_report(ring, error);
	if (!error) {
		ring_loop(ring);
		/* By itself, and not because it was told to: a queue without its ring would hang. */
		if (!atomic_load(&ring->transport->stop))
			transport_ended(ring->transport, ring->error);
	}
	io_uring_queue_exit(&ring->io);
	return NULL;
}

static int ring_start(struct ring *ring, unsigned nr)
{
	char name[16];
	int error;

	ring->wake_fd = eventfd(0, EFD_CLOEXEC);
	if (ring->wake_fd < 0)
		return -errno;
	error = zt_fault_hit() ? -EAGAIN : -pthread_create(&ring->thread, NULL, ring_thread, ring);
	if (error)
		return error;
	ring->started = true;
	(void)snprintf(name, sizeof(name), "zt-ring/%u.%u", ring->qid % 10000, nr % 100);
	(void)pthread_setname_np(ring->thread, name); /* for people only */
	return 0;
}

/* A command that is refused: so the kernel hears that there will be no rings. */
static void refuse(struct transport *t)
{
	struct io_uring io;
	struct io_uring_params params = { .flags = IORING_SETUP_SQE128 };
	const struct proto_uring_cmd command = { .qid = UINT16_MAX };
	struct io_uring_sqe *sqe;

	if (io_uring_queue_init_params(1, &io, &params) != 0)
		return;
	sqe = io_uring_get_sqe(&io);
	if (sqe) {
		memset(sqe, 0, 2 * sizeof(*sqe));
		sqe->opcode = IORING_OP_URING_CMD;
		sqe->fd = fuse_session_fd(t->se);
		sqe->cmd_op = PROTO_URING_REGISTER;
		memcpy(sqe->cmd, &command, sizeof(command));
		(void)io_uring_submit(&io); /* whose failure is what is wanted */
	}
	io_uring_queue_exit(&io);
}

static int start_rings(struct uring *uring)
{
	unsigned nr = 0;
	int error = 0;

	while (nr < uring->nr_rings && !error) {
		error = ring_start(&uring->rings[nr], nr);
		if (!error)
			nr++;
	}
	mutex_lock_counted(&uring->lock, ZT_LOCK_TRANSPORT);
	while (uring->nr_ready < nr)
		cond_wait(&uring->cond, &uring->lock);
	if (!error)
		error = uring->error;
	mutex_unlock(&uring->lock);
	return error;
}

int uring_start(struct transport *t, struct uring **out_uring)
{
	const unsigned nr_queues = (unsigned)get_nprocs_conf();
	struct uring *uring = zt_zalloc(sizeof(*uring));
	int error = -ENOMEM;

	if (!uring)
		goto err_refuse;
	uring->transport = t;
	uring->nr_rings = uring_nr_rings(t->params.nr_threads);
	mutex_init(&uring->lock, ZT_RANK_URING);
	cond_init(&uring->cond);
	uring->rings = zt_zalloc(uring->nr_rings * sizeof(*uring->rings));
	if (!uring->rings)
		goto err_destroy;
	for (unsigned i = 0; i < uring->nr_rings; i++) {
		struct ring *ring = &uring->rings[i];

		ring->uring = uring;
		ring->transport = t;
		ring->qid = i % nr_queues;
		ring->bound = i < nr_queues;
		ring->wake_fd = -1;
		mutex_init(&ring->lock, ZT_RANK_RING);
	}
	error = start_rings(uring);
	if (error)
		goto err_stop;
	*out_uring = uring;
	return 0;

err_stop:
	atomic_store(&t->stop, true);
	uring_stop(uring);
	atomic_store(&t->stop, false);
err_destroy:
	uring_destroy(uring);
err_refuse:
	refuse(t);
	return error;
}

void uring_stop(struct uring *uring)
{
	for (unsigned i = 0; i < uring->nr_rings; i++)
		if (uring->rings[i].started)
			ring_wake(&uring->rings[i]);
	for (unsigned i = 0; i < uring->nr_rings; i++) {
		if (uring->rings[i].started)
			zt_lock_check(pthread_join(uring->rings[i].thread, NULL));
		uring->rings[i].started = false;
	}
}

void uring_destroy(struct uring *uring)
{
	if (!uring)
		return;
	for (unsigned i = 0; uring->rings && i < uring->nr_rings; i++) {
		if (uring->rings[i].wake_fd >= 0)
			close(uring->rings[i].wake_fd);
		mutex_exit(&uring->rings[i].lock);
	}
	zt_free(uring->rings);
	cond_exit(&uring->cond);
	mutex_exit(&uring->lock);
	zt_free(uring);
}

unsigned uring_served(const struct uring *uring)
{
	unsigned nr_served = 0;

	for (unsigned i = 0; i < uring->nr_rings; i++)
		nr_served += atomic_load_explicit(&uring->rings[i].served, memory_order_relaxed);
	return nr_served;
}

bool uring_serves(const struct uring *uring)
{
	for (unsigned i = 0; i < uring->nr_rings; i++)
		if (atomic_load(&uring->rings[i].serves))
			return true;
	return false;
}

bool uring_is_large(const struct uring *uring)
{
	for (unsigned i = 0; i < uring->nr_rings; i++)
		if (atomic_load_explicit(&uring->rings[i].large, memory_order_relaxed))
			return true;
	return false;
}

void uring_trim(struct uring *uring)
{
	for (unsigned i = 0; i < uring->nr_rings; i++) {
		struct ring *ring = &uring->rings[i];
		const unsigned served = atomic_load_explicit(&ring->served, memory_order_relaxed);
		const bool idle = served == ring->served_before;

		ring->served_before = served;
		if (!idle || !atomic_load_explicit(&ring->large, memory_order_relaxed))
			continue;
		atomic_store_explicit(&ring->trim, true, memory_order_relaxed);
		ring_wake(ring);
	}
}

#endif
