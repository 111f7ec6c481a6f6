// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * transport.c - how requests come from the kernel and replies go back. See transport.h.
 *
 * What libfuse takes for a request's number is the place of our own request in the table: so a
 * reply, from whatever thread, finds its channel and the kernel's number without a search.
 *
 * Locks: transport.lock guards the end, and what worker.c and spare.c say; innermost. Requests
 * themselves have one owner at a time and need no lock.
 */
#include "fuse/transport.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "fuse/transport_i.h"
#include "fuse/uring.h"
#include "fuse/watch.h"
#include "fuse/worker.h"
#include "util/alloc.h"
#include "util/clock.h"
#include "util/lock.h"
#include "util/log.h"

/* The request whose handler runs in this thread; NULL: none of ours. */
static _Thread_local struct ztfuse_held *current;

/* Handlers ---------------------------------------------------------------- */

bool ztfuse_req_kill_suidgid(fuse_req_t req)
{
	(void)req;
	return current && (current->shim.flags & SHIM_KILL_SUIDGID);
}

enum fs_setid ztfuse_req_setid(fuse_req_t req)
{
	if (!current ||
	    (current->shim.opcode != FUSE_WRITE && current->shim.opcode != FUSE_SETATTR))
		return FS_SETID_BY_UID;
	return ztfuse_req_kill_suidgid(req) ? FS_SETID_KILL : FS_SETID_KEEP;
}

void ztfuse_req_may_wait(fuse_req_t req)
{
	(void)req;
	worker_may_wait();
}

bool ztfuse_req_is_direct(fuse_req_t req)
{
	(void)req;
	return current && (current->shim.flags & SHIM_DIRECT);
}

bool ztfuse_req_is_tmpfile(fuse_req_t req)
{
	(void)req;
	return current && current->shim.opcode == FUSE_TMPFILE;
}

bool ztfuse_req_is_statx(fuse_req_t req)
{
	(void)req;
	return current && current->shim.opcode == PROTO_STATX;
}

struct ztfuse_held *ztfuse_hold(fuse_req_t req)
{
	struct ztfuse_held *held = current;

	(void)req;
	if (!held)
		return NULL;
	if (held->held) { /* its handler runs again */
		current = NULL;
		return held;
	}
	if (held->ring ? !uring_hold(held) : !worker_hold(held->transport))
		return NULL;
	current = NULL;
	return held;
}

void ztfuse_release(struct ztfuse_held *held)
{
	/* A ring's entry went back to the kernel with the reply. */
	if (!held->ring)
		transport_spare_put(held);
}

static void serve_current(struct ztfuse_held *req)
{
	struct fuse_buf buf = { .mem = req->msg, .size = req->msg_len };

	current = req;
	fuse_session_process_buf(req->transport->se, &buf);
}

void ztfuse_serve_again(struct ztfuse_held *held)
{
	serve_current(held);
	if (!current)
		return; /* held again */
	current = NULL;
	ztfuse_release(held);
}

void ztfuse_serve_here(fuse_req_t req)
{
	struct ztfuse_held *here = current;

	fuse_reply_none(req);
	serve_current(here);
}

bool ztfuse_req_has_worker(fuse_req_t req)
{
	(void)req;
	return current && !current->ring;
}

void *ztfuse_reply_room(fuse_req_t req, size_t size)
{
	(void)req;
	if (!current)
		return NULL;
	request_touched(current, size);
	return request_payload(current);
}

/* Replies ----------------------------------------------------------------- */

static ssize_t plain_read(int fd, void *buf, size_t size, void *userdata)
{
	(void)userdata;
	return read(fd, buf, size);
}

static ssize_t plain_writev(int fd, struct iovec *iov, int count, void *userdata)
{
	(void)userdata;
	return writev(fd, iov, count);
}

/* libfuse's way to send a reply, or a notification (number 0). */
static ssize_t hook_writev(int fd, struct iovec *iov, int count, void *userdata)
{
	struct ztfuse *front = userdata;
	struct transport *t = front->transport;
	const struct fuse_out_header *header = iov[0].iov_base;

	if (header->unique != 0) {
		struct ztfuse_held *req = &t->reqs[header->unique - 1];

		ZT_ASSERT(header->unique <= t->nr_reqs);
		/* Else its place may be another's by now. */
		ZT_ASSERT(req == current || req->held || req->shim.opcode == FUSE_INIT);
		shim_out(&t->terms, &req->shim, iov, count);
		if (req->ring)
			return uring_reply(req, iov, count);
		fd = req->fd;
		if (req->shim.opcode == FUSE_INIT)
			front->kills_setid = t->terms.agreed & FUSE_HANDLE_KILLPRIV_V2;
	}
	return t->params.writev(fd, iov, count, userdata);
}

/*
 * libfuse's way to read. Newer ones answer INIT while they mount; everything later is read by
 * workers.
 */
static ssize_t hook_read(int fd, void *buf, size_t size, void *userdata)
{
	struct ztfuse *front = userdata;
	struct transport *t = front->transport;
	struct ztfuse_held *req = worker_first_request(t);
	ssize_t len = t->params.read(fd, buf, size, userdata);

	if (len <= 0)
		return len;
	req->fd = fd;
	if (shim_in(&t->terms, &req->shim, buf, (size_t)len, (uint64_t)(req - t->reqs) + 1) ==
	    SHIM_SERVE)
		return len;
	errno = EINTR; /* to be tried again */
	return -1;
}

/* Receiving --------------------------------------------------------------- */

ssize_t request_receive(struct transport *t, struct ztfuse_held *req, int fd)
{
	ssize_t len = t->params.read(fd, request_buf(req), BUFFER_ROOM(t->front), t->front);

	if (len < 0)
		return errno == ENODEV ? 0 : -errno;
	request_touched(req, (size_t)len);
	req->fd = fd;
	return len;
}

/* A signal, or a request withdrawn meanwhile. */
bool request_passes(ssize_t error)
{
	return error == -EINTR || error == -EAGAIN || error == -ENOENT;
}

void request_serve(struct transport *t, struct ztfuse_held *req, void *msg, size_t len)
{
	struct fuse_buf buf = { .mem = msg, .size = len };
	const uint64_t token = (uint64_t)(req - t->reqs) + 1;

	switch (shim_in(&t->terms, &req->shim, buf.mem, len, token)) {
	case SHIM_SERVE:
		break;
	case SHIM_INTERRUPT:
		interrupt_note(t, req->shim.unique);
		return;
	case SHIM_DROP:
	case SHIM_BROKEN:
		return;
	}
	req->msg = msg;
	req->msg_len = len;
	room_request_begins(&t->front->room);
	interrupt_begin(req);
	current = req;
	fuse_session_process_buf(t->se, &buf);
	/* Else it is somebody else's by now. */
	if (current)
		interrupt_end(req);
	current = NULL;
	super_reap(t->front->sb);
}

bool request_pause(void *arg)
{
	struct transport *t = arg;
	struct ztfuse_held *req = current;

	worker_may_wait();
	return atomic_load_explicit(&t->stop, memory_order_relaxed) ||
	       (req && atomic_load_explicit(&req->interrupted, memory_order_relaxed) ==
			       req->shim.unique);
}

int transport_serve_init(struct transport *t)
{
	struct ztfuse_held *req = worker_first_request(t);
	const int fd = fuse_session_fd(t->se);
	ssize_t len = 1;

	while (len > 0 && !t->front->initialised && !fuse_session_exited(t->se)) {
		do
			len = request_receive(t, req, fd);
		while (request_passes(len));
		if (len > 0)
			request_serve(t, req, request_buf(req), (size_t)len);
	}
	if (t->front->initialised && !fuse_session_exited(t->se))
		return 0;
	return len < 0 ? (int)len : -EPROTO;
}

/* Life -------------------------------------------------------------------- */

bool transport_wait(struct transport *t, uint64_t until_ns)
{
	const struct timespec until = zt_timespec(until_ns);

	return cond_wait_until(&t->ended_cond, &t->lock, &until);
}

void transport_ended(struct transport *t, int error)
{
	mutex_lock_counted(&t->lock, ZT_LOCK_TRANSPORT);
	if (!t->ended)
		t->error = error;
	t->ended = true;
	cond_broadcast(&t->ended_cond);
	mutex_unlock(&t->lock);
}

static bool uring_agreed(const struct transport *t)
{
	return t->terms.agreed & PROTO_OVER_IO_URING;
}

/* Rings where they were agreed on and can be had, and one thread for what comes beside them. */
static int start_serving(struct transport *t)
{
	struct uring *uring = NULL;
	int error;

	if (uring_agreed(t)) {
		error = uring_start(t, &uring);
		if (error)
			zt_log(ZT_LOG_WARN, "io_uring: rings cannot be made, /dev/fuse is read: %s",
			       strerror(-error));
	} else if (t->params.uring == TRANSPORT_URING_ON && !t->uring_error) {
		zt_log(ZT_LOG_WARN, "io_uring: the kernel does not offer it (see the parameter "
				    "enable_uring of its module fuse), /dev/fuse is read");
	}
	mutex_lock_counted(&t->lock, ZT_LOCK_TRANSPORT);
	t->uring = uring;
	mutex_unlock(&t->lock);
	if (t->front->keeps_buffers && !uring)
		t->front->writers.most = (unsigned)max_u64(t->params.nr_threads - 1, 1);
	error = notifier_start(&t->front->notifier, t->front->sb, t->se);
	/* What carries swap has all its memory from the reserve, and waits for it before locks. */
	if (!error && !t->front->keeps_buffers)
		error = room_start(&t->front->room, t->params.nr_threads);
	if (!error)
		error = workers_start(t, uring ? 1 : t->params.nr_threads);
	if (!error)
		atomic_store(&t->front->seeker.nr_may_wait, (int)t->nr_workers - 1);
	return error;
}

static void stop_serving(struct transport *t)
{
	struct uring *uring;

	mutex_lock_counted(&t->lock, ZT_LOCK_TRANSPORT);
	uring = t->uring;
	t->uring = NULL; /* from here on transport_trim() leaves it alone */
	mutex_unlock(&t->lock);
	atomic_store(&t->stop, true);
	fuse_session_exit(t->se);
	if (uring)
		uring_stop(uring);
	workers_join(t);
	/* What an engine completes later is answered without it: the kernel has gone. */
	notifier_stop(&t->front->notifier);
	t->stopped_uring = uring;
}

int transport_start(struct transport *t)
{
	const int error = start_serving(t);

	if (error)
		stop_serving(t);
	else
		t->started = true;
	return error;
}

int transport_run(struct transport *t)
{
	int error = t->started ? 0 : transport_start(t);

	if (error)
		return error;
	watch_until_end(t);
	mutex_lock_counted(&t->lock, ZT_LOCK_TRANSPORT);
	error = t->error;
	mutex_unlock(&t->lock);
	stop_serving(t);
	return error;
}

void transport_stop(struct transport *t)
{
	mutex_lock_counted(&t->lock, ZT_LOCK_TRANSPORT);
	t->ended = true;
	cond_broadcast(&t->ended_cond);
	mutex_unlock(&t->lock);
}

/* Memory ------------------------------------------------------------------ */

void transport_trim(struct transport *t)
{
	mutex_lock_counted(&t->lock, ZT_LOCK_TRANSPORT);
	workers_trim(t);
	if (t->uring)
		uring_trim(t->uring);
	spare_trim(t);
	mutex_unlock(&t->lock);
}

static int make_requests(struct transport *t)
{
	t->reqs = zt_zalloc(t->nr_reqs * sizeof(*t->reqs));
	if (!t->reqs)
		return -ENOMEM;
	for (unsigned i = 0; i < t->nr_reqs; i++) {
		struct ztfuse_held *req = &t->reqs[i];

		req->transport = t;
		req->map = zt_map(BUFFER_SIZE(t->front));
		if (!req->map)
			return -ENOMEM;
		if (i < t->params.nr_threads)
			worker_give_request(t, i, req);
		else
			spare_push(t, req); /* nobody else sees it yet */
	}
	return 0;
}

/* INIT is asked for rings only where they can be had. */
static void ask_for_uring(struct transport *t)
{
	t->uring_error = uring_possible();
	if (!t->uring_error)
		t->terms.wanted |= PROTO_OVER_IO_URING;
	else if (t->params.uring == TRANSPORT_URING_ON)
		zt_log(ZT_LOG_WARN, "io_uring: cannot be used here, /dev/fuse is read: %s",
		       strerror(-t->uring_error));
}

static unsigned nr_ring_requests(const struct transport *t)
{
	if (!(t->terms.wanted & PROTO_OVER_IO_URING))
		return 0;
	return uring_nr_rings(t->params.nr_threads);
}

/* Requests that can stand in line for room, however small the limit. */
#define NR_IN_LINE UINT64_C(8)

/* What a thread touches of its stack, and libfuse's record of its request. */
#define THREAD_BYTES (32 * KIB)

uint64_t transport_plan(uint64_t mem_limit, struct transport_params *inout_params,
			unsigned *inout_io_max)
{
	const bool uring = inout_params->uring != TRANSPORT_URING_OFF && uring_possible() == 0;
	/* A thread may have a large WRITE in its request's buffer, and answer a READ from another. */
	const uint64_t nr =
		inout_params->nr_threads + (uring ? uring_nr_rings(inout_params->nr_threads) : 0);
	unsigned io_max = *inout_io_max;

	if (mem_limit) {
		while (io_max > ZTFUSE_IO_MIN && (nr * 2 + NR_IN_LINE) * io_max > mem_limit / 32)
			io_max /= 2;
		inout_params->nr_spare = (unsigned)min_u64(
			inout_params->nr_spare, max_u64(NR_IN_LINE, mem_limit / 256 / io_max));
	}
	*inout_io_max = io_max;
	return nr * (2 * (uint64_t)io_max + ZT_PAGE_SIZE + THREAD_BYTES) +
	       inout_params->nr_spare * (uint64_t)io_max;
}

int transport_create(struct ztfuse *front, const struct transport_params *params,
		     struct transport **out_transport)
{
	struct transport *t = zt_zalloc(sizeof(*t));

	if (!t)
		return -ENOMEM;
	t->front = front;
	t->params = *params;
	if (!t->params.read)
		t->params.read = plain_read;
	if (!t->params.writev)
		t->params.writev = plain_writev;
	t->terms.wanted = FUSE_HANDLE_KILLPRIV_V2;
	if (front->cache == ZTFUSE_CACHE_NEVER)
		t->terms.wanted |= PROTO_DIRECT_IO_ALLOW_MMAP;
	t->spin_fd = -1;
	t->wakeup.fd = params->latency_asked ? params->latency_fd : -1;
	t->wakeup.latency_us = params->latency_us;
	mutex_init(&t->lock, ZT_RANK_TRANSPORT);
	longline_init(&t->longline);
	cond_init(&t->ended_cond);
	if (params->uring != TRANSPORT_URING_OFF)
		ask_for_uring(t);
	t->nr_reqs = params->nr_threads + params->nr_spare + nr_ring_requests(t);
	if (workers_create(t) != 0 || make_requests(t) != 0) {
		transport_destroy(t);
		return -ENOMEM;
	}
	*out_transport = t;
	return 0;
}

int transport_attach(struct transport *t, struct fuse_session *se, int fd)
{
	static const struct fuse_custom_io io = { .read = hook_read, .writev = hook_writev };
	/* libfuse wants a number; the largest one is no descriptor, and closing it does nothing. */
	int error = fuse_session_custom_io(se, &io, fd >= 0 ? fd : INT32_MAX);

	if (error)
		return error;
	t->se = se;
	t->front->transport = t;
	super_set_pause(t->front->sb, request_pause, t);
	return 0;
}

void transport_destroy(struct transport *t)
{
	if (!t)
		return;
	if (t->front->transport)
		super_set_pause(t->front->sb, NULL, NULL);
	uring_destroy(t->stopped_uring);
	if (t->reqs)
		for (unsigned i = 0; i < t->nr_reqs; i++)
			zt_unmap(t->reqs[i].map, BUFFER_SIZE(t->front));
	/* Late replies to what came by it have been sent. */
	if (t->spin_fd >= 0)
		close(t->spin_fd);
	t->front->transport = NULL;
	zt_free(t->reqs);
	workers_destroy(t);
	longline_exit(&t->longline);
	cond_exit(&t->ended_cond);
	mutex_exit(&t->lock);
	zt_free(t);
}
