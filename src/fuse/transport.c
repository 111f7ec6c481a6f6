// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * transport.c - a session of libfuse on a channel. See transport.h.
 *
 * What libfuse takes for a request's number is the channel's: so a reply, from whatever thread, finds
 * its way. Newer libfuse answers INIT while it mounts; everything later is read by the channel.
 *
 * Locks: none here.
 */
#include "fuse/transport.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <stdatomic.h>
#include <unistd.h>

#include "fuse/again.h"
#include "fuse/channel/request.h"
#include "fuse/transport_i.h"
#include "util/alloc.h"

static_assert(REQUEST_HEAD + ZTFUSE_SWAP_IO_MAX >= FUSE_MIN_READ_BUFFER &&
		      REQUEST_HEAD + ZTFUSE_IO_MAX >= FUSE_MIN_READ_BUFFER,
	      "what the kernel asks for");

/* For libfuse -------------------------------------------------------------- */

static ssize_t size_of(const struct iovec *iov, int count)
{
	size_t size = 0;

	for (int i = 0; i < count; i++)
		size += iov[i].iov_len;
	return (ssize_t)size;
}

/* A reply, or a notification. */
static ssize_t hook_writev(int fd, struct iovec *iov, int count, void *userdata)
{
	struct ztfuse *front = userdata;

	again_may_die();
	if (unlikely(request_is_left(front)))
		return size_of(iov, count);
	return channel_write(front->transport->channel, fd, iov, count);
}

static ssize_t hook_read(int fd, void *buf, size_t size, void *userdata)
{
	struct ztfuse *front = userdata;
	const ssize_t len = channel_read_first(front->transport->channel, fd, buf, size);

	if (len >= 0)
		return len;
	errno = (int)-len;
	return -1;
}

/* For the channel ---------------------------------------------------------- */

static bool serve(void *arg, struct request *req)
{
	struct ztfuse *front = arg;
	bool mine;

	retry_request_begins(&front->retry);
	traffic_request(&front->traffic);
	super_request_begin(front->sb);
	mine = request_run(front, req);
	super_request_end(front->sb);
	super_reap(front->sb);
	return mine;
}

static enum channel_length length(void *arg, const void *msg, size_t len)
{
	const struct ztfuse *front = arg;

	return request_length(front->sb, msg, len);
}

static void agree(void *arg, uint64_t flags)
{
	struct ztfuse *front = arg;

	front->kills_setid = flags & FUSE_HANDLE_KILLPRIV_V2;
}

static void trim(void *arg)
{
	struct ztfuse *front = arg;

	buffers_trim(&front->buffers);
}

static const struct channel_ops ops = {
	.serve = serve,
	.length = length,
	.agree = agree,
	.trim = trim,
};

/* Life -------------------------------------------------------------------- */

int transport_serve_init(struct transport *t)
{
	struct ztfuse *front = t->front;
	ssize_t len = 1;

	while (len > 0 && !front->initialised && !fuse_session_exited(t->se))
		len = channel_serve_first(t->channel, fuse_session_fd(t->se));
	if (front->initialised && !fuse_session_exited(t->se))
		return 0;
	return len < 0 ? (int)len : -EPROTO;
}

int transport_get_terms(const struct transport *t, struct channel_terms *out_terms)
{
	return channel_get_terms(t->channel, out_terms);
}

bool transport_resends(const struct transport *t)
{
	return channel_resends(t->channel);
}

int transport_replay(struct transport *t, const struct channel_terms *terms)
{
	const int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
	int error;

	if (nowhere < 0)
		return -errno;
	error = channel_replay_terms(t->channel, terms, nowhere);
	close(nowhere);
	if (!error && !t->front->initialised)
		error = -EPROTO;
	return error;
}

int transport_make_inbox(struct transport *t, int *out_fd)
{
	return channel_make_inbox(t->channel, out_fd);
}

bool transport_fits_inbox(const struct transport *t, int inbox)
{
	return channel_fits_inbox(t->channel, inbox);
}

int transport_resume(struct transport *t, const struct channel_terms *terms, int inbox)
{
	const int error = transport_replay(t, terms);

	if (error)
		return error;
	return inbox >= 0 ? channel_take_inbox(t->channel, inbox, fuse_session_fd(t->se)) :
			    channel_resend(t->channel, fuse_session_fd(t->se));
}

static int start_serving(struct transport *t)
{
	struct ztfuse *front = t->front;
	const unsigned nr_threads = t->nr_threads;
	const bool rings = channel_open(t->channel, fuse_session_fd(t->se));
	int error;

	if (front->keeps_buffers && !rings)
		front->writers.most = (unsigned)max_u64(nr_threads - 1, 1);
	/* One reads, and one serves. */
	super_set_disk_waiters(front->sb, nr_threads > 3 ? nr_threads - 2 : 1);
	error = notifier_start(&front->notifier, front->sb, t->se);
	/* What carries swap has all its memory from the reserve, and waits for it before locks. */
	if (!error && !front->keeps_buffers)
		error = retry_start(&front->retry, nr_threads);
	if (error)
		return error;
	error = channel_start(t->channel);
	if (error < 0)
		return error;
	atomic_store(&front->seeker.nr_may_wait, error - 1);
	return 0;
}

static void stop_serving(struct transport *t)
{
	fuse_session_exit(t->se);
	/* They hold requests, which are the channel's. What is served later waits where it is. */
	seeker_stop(&t->front->seeker);
	retry_stop(&t->front->retry);
	channel_stop(t->channel);
	if (ztfuse_leaves(t->front))
		atomic_store_explicit(&t->front->leaves, ZTFUSE_HAS_LEFT, memory_order_relaxed);
	/* What an engine completes later is answered without it: the kernel has gone. */
	notifier_stop(&t->front->notifier);
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
	error = channel_wait(t->channel);
	stop_serving(t);
	return error;
}

void transport_stop(struct transport *t)
{
	channel_end(t->channel);
}

/* Requests that can stand in line for memory, however small the limit. */
#define NR_IN_LINE UINT64_C(8)

/* What a thread touches of its stack, and libfuse's record of its request. */
#define THREAD_BYTES (32 * KIB)

uint64_t transport_plan(uint64_t mem_limit, struct channel_params *inout_params)
{
	/* A thread may have a large WRITE in its request's buffer, and answer a READ from another. */
	const uint64_t nr = inout_params->nr_threads + channel_nr_rings(inout_params);
	size_t io_max = inout_params->io_max;

	if (mem_limit) {
		while (io_max > ZTFUSE_IO_MIN && (nr * 2 + NR_IN_LINE) * io_max > mem_limit / 32)
			io_max /= 2;
		inout_params->nr_held = (unsigned)min_u64(
			inout_params->nr_held, max_u64(NR_IN_LINE, mem_limit / 256 / io_max));
	}
	inout_params->io_max = io_max;
	return nr * (2 * (uint64_t)io_max + ZT_PAGE_SIZE + THREAD_BYTES) +
	       inout_params->nr_held * (uint64_t)io_max;
}

int transport_create(struct ztfuse *front, const struct channel_params *params,
		     struct transport **out_transport)
{
	struct channel_params own = *params;
	struct transport *t = zt_zalloc(sizeof(*t));
	int error;

	if (!t)
		return -ENOMEM;
	t->front = front;
	t->nr_threads = params->nr_threads;
	own.io_max = front->io_max;
	own.keeps_buffers = front->keeps_buffers;
	own.wanted = FUSE_HANDLE_KILLPRIV_V2;
	if (front->cache == ZTFUSE_CACHE_NEVER)
		own.wanted |= PROTO_DIRECT_IO_ALLOW_MMAP;
	error = channel_create(&own, &ops, front, &t->channel);
	if (error) {
		zt_free(t);
		return error;
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
	channel_destroy(t->channel);
	t->front->transport = NULL;
	zt_free(t);
}
