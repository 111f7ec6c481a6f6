// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * channel.c - how requests come from the kernel and replies go back. See channel.h.
 *
 * The number of a request, as its handler sees it, is its place in the pool: so a reply, from
 * whatever thread, finds its way and the kernel's number without a search.
 *
 * Locks: channel.lock guards the end, the pool, and which worker reads; innermost. Requests
 * themselves have one owner at a time and need no lock.
 */
#include "fuse/channel/channel.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "fuse/channel/caretaker.h"
#include "fuse/channel/channel_i.h"
#include "fuse/channel/inbox.h"
#include "fuse/channel/intake.h"
#include "fuse/channel/ring.h"
#include "fuse/channel/terms.h"
#include "fuse/channel/uring.h"
#include "fuse/channel/worker.h"
#include "fuse/channel/workers.h"
#include "util/alloc.h"
#include "util/lock.h"
#include "util/log.h"

/* Messages ----------------------------------------------------------------- */

static ssize_t plain_read(int fd, void *buf, size_t size, void *arg)
{
	(void)arg;
	return read(fd, buf, size);
}

static ssize_t plain_writev(int fd, struct iovec *iov, int count, void *arg)
{
	(void)arg;
	return writev(fd, iov, count);
}

/* Only the first one writes, so that the threads do not take the line from each other. */
static void note_answered(struct channel *ch)
{
	const struct channel_survival *survival = ch->params.survival;

	if (survival && !atomic_load_explicit(survival->answered, memory_order_relaxed))
		atomic_store_explicit(survival->answered, 1, memory_order_relaxed);
}

ssize_t channel_write(struct channel *ch, int fd, struct iovec *iov, int count)
{
	const struct fuse_out_header *header = iov[0].iov_base;
	struct request *req;
	ssize_t written;

	if (header->unique == 0)
		return ch->params.writev(fd, iov, count, ch->arg);
	ZT_ASSERT(header->unique <= ch->pool.nr_all);
	req = &ch->pool.all[header->unique - 1];
	shim_out(&ch->terms, &req->shim, iov, count);
	if (req->shim.opcode == FUSE_INIT) {
		terms_note_reply(&ch->first, iov, count);
		ch->ops->agree(ch->arg, ch->terms.agreed);
	}
	if (req->entry)
		return ring_reply(req, iov, count);
	request_set(req, REQUEST_ANSWERED);
	/* INIT is answered in each life, whatever becomes of that. */
	if (req->shim.opcode != FUSE_INIT)
		note_answered(ch);
	if (!req->slot)
		return ch->params.writev(req->fd, iov, count, ch->arg);
	inbox_reply(req, iov, count);
	written = ch->params.writev(req->fd, iov, count, ch->arg);
	inbox_free(req);
	return written;
}

ssize_t channel_answer(const struct request *req, int error, void *body, size_t size)
{
	const struct fuse_in_header *in = req->msg;
	struct fuse_out_header header = { .len = (uint32_t)(sizeof(header) + size),
					  .error = error,
					  .unique = in->unique };
	struct iovec iov[2] = { { &header, sizeof(header) }, { body, size } };

	return channel_write(req->channel, req->fd, iov, size ? 2 : 1);
}

bool channel_hold(struct request *req)
{
	return req->entry ? ring_hold(req) : worker_hold(req->channel);
}

void channel_release(struct request *req)
{
	if (request_state(req) == REQUEST_HELD) {
		ZT_ASSERT(ending_stops(&req->channel->ending));
		request_set(req, REQUEST_ANSWERED); /* by another process */
	}
	/* A ring's entry went back to the kernel with the reply. */
	if (!req->entry)
		pool_put(&req->channel->pool, req);
}

ssize_t channel_serve_first(struct channel *ch, int fd)
{
	struct request *req = workers_first_request(ch);
	ssize_t len;

	do
		len = request_receive(ch, req, fd, INBOX_CHANNEL);
	while (request_passes(len));
	if (len > 0)
		terms_note_request(&ch->first, request_buf(req), (size_t)len);
	if (len > 0)
		(void)request_serve(ch, req, request_buf(req), (size_t)len); /* or it needs none */
	return len;
}

ssize_t channel_read_first(struct channel *ch, int fd, void *buf, size_t size)
{
	struct request *req = workers_first_request(ch);
	ssize_t len;

	request_set(req, REQUEST_READING);
	len = ch->params.read(fd, buf, size, ch->arg);
	if (len <= 0)
		return len < 0 ? -errno : 0;
	req->fd = fd;
	terms_note_request(&ch->first, buf, (size_t)len);
	return request_prepare(ch, req, buf, (size_t)len) ? len : -EINTR;
}

/* Serving ------------------------------------------------------------------ */

bool channel_open(struct channel *ch, int fd)
{
	struct uring *uring = NULL;
	int error;

	ch->fd = fd;
	if (ch->terms.agreed & PROTO_OVER_IO_URING) {
		error = uring_start(ch, &uring);
		if (error)
			zt_log(ZT_LOG_WARN, "io_uring: rings cannot be made, /dev/fuse is read: %s",
			       strerror(-error));
	} else if (ch->params.uring == CHANNEL_URING_ON && !ch->uring_error) {
		zt_log(ZT_LOG_WARN, "io_uring: the kernel does not offer it (see the parameter "
				    "enable_uring of its module fuse), /dev/fuse is read");
	}
	mutex_lock_counted(&ch->lock, ZT_LOCK_TRANSPORT);
	ch->uring = uring;
	mutex_unlock(&ch->lock);
	return uring != NULL;
}

int channel_start(struct channel *ch)
{
	/* With rings one for what comes beside them. */
	const int error = workers_start(ch, ch->uring ? 1 : ch->params.nr_threads);

	return error ? error : (int)ch->nr_workers;
}

int channel_wait(struct channel *ch)
{
	int error;

	channel_bind(ch);
	caretaker_run(ch);
	mutex_lock_counted(&ch->lock, ZT_LOCK_TRANSPORT);
	error = ch->ending.error;
	mutex_unlock(&ch->lock);
	return error;
}

void channel_end(struct channel *ch)
{
	ending_comes(&ch->ending, 0);
}

void channel_stop(struct channel *ch)
{
	struct uring *uring;

	mutex_lock_counted(&ch->lock, ZT_LOCK_TRANSPORT);
	uring = ch->uring;
	ch->uring = NULL; /* from here on channel_trim() leaves it alone */
	mutex_unlock(&ch->lock);
	atomic_store(&ch->ending.stop, true);
	if (uring)
		uring_stop(uring);
	workers_join(ch);
	ch->stopped_uring = uring;
}

bool channel_stops(const struct channel *ch)
{
	return atomic_load_explicit(&ch->ending.stop, memory_order_relaxed);
}

/* Life -------------------------------------------------------------------- */

unsigned channel_nr_rings(const struct channel_params *params)
{
	if (params->uring == CHANNEL_URING_OFF || uring_possible() != 0)
		return 0;
	return uring_nr_rings(params->nr_threads);
}

/* INIT is asked for rings only where they can be had. Return: requests that they need. */
static unsigned ask_for_uring(struct channel *ch)
{
	if (ch->params.uring == CHANNEL_URING_OFF)
		return 0;
	ch->uring_error = uring_possible();
	if (!ch->uring_error) {
		ch->terms.wanted |= PROTO_OVER_IO_URING;
		return uring_nr_rings(ch->params.nr_threads);
	}
	if (ch->params.uring == CHANNEL_URING_ON)
		zt_log(ZT_LOG_WARN, "io_uring: cannot be used here, /dev/fuse is read: %s",
		       strerror(-ch->uring_error));
	return 0;
}

/* That its threads may run on. */
static uint64_t nr_cpus(const struct channel_params *params)
{
	const uint64_t nr = (uint64_t)get_nprocs();

	return params->cpus ? min_u64(nr, (uint64_t)CPU_COUNT(params->cpus)) : nr;
}

static void init_parts(struct channel *ch)
{
	const struct channel_params *params = &ch->params;

	ch->terms.wanted = params->wanted;
	ch->spin_fd = -1;
	ch->wakeup.fd = params->latency_asked ? params->latency_fd : -1;
	ch->wakeup.latency_us = params->latency_us;
	mutex_init(&ch->lock, ZT_RANK_CHANNEL);
	ending_init(&ch->ending, &ch->lock);
	ch->pool.lock = &ch->lock;
	ch->pool.ending = &ch->ending;
	longline_init(&ch->longline, params->nr_threads);
	duty_init(&ch->duty, (unsigned)min_u64(params->nr_threads, nr_cpus(params)));
}

int channel_create(const struct channel_params *params, const struct channel_ops *ops, void *arg,
		   struct channel **out_channel)
{
	struct channel *ch = zt_zalloc(sizeof(*ch));
	unsigned nr;

	if (!ch)
		return -ENOMEM;
	ch->params = *params;
	if (!ch->params.read)
		ch->params.read = plain_read;
	if (!ch->params.writev)
		ch->params.writev = plain_writev;
	ch->ops = ops;
	ch->arg = arg;
	init_parts(ch);
	nr = params->nr_threads + params->nr_held + ask_for_uring(ch);
	if (pool_init(&ch->pool, ch, nr, params->io_max,
		      params->keeps_buffers ? UINT_MAX : ch->duty.most_wanted) != 0 ||
	    workers_create(ch) != 0) {
		channel_destroy(ch);
		return -ENOMEM;
	}
	*out_channel = ch;
	return 0;
}

void channel_destroy(struct channel *ch)
{
	if (!ch)
		return;
	uring_destroy(ch->stopped_uring);
	pool_exit(&ch->pool);
	/* Late replies to what came by it have been sent. */
	if (ch->spin_fd >= 0)
		close(ch->spin_fd);
	workers_destroy(ch);
	longline_exit(&ch->longline);
	ending_exit(&ch->ending);
	mutex_exit(&ch->lock);
	zt_free(ch);
}
