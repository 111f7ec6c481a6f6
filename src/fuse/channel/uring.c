// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * uring.c - all rings of a channel: their threads, and what others ask of them. See uring.h.
 *
 * Locks: uring.lock: how the threads fare.
 */
#include "fuse/channel/uring.h"

#ifdef HAVE_LIBURING

#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "fuse/channel/intake.h"
#include "fuse/channel/ring.h"
#include "util/alloc.h"
#include "util/lock.h"

struct uring {
	struct channel *channel;
	unsigned nr_rings;
	struct ring *rings;
	struct ring_entry *entries; /* of all rings */
	struct mutex lock;
	pthread_cond_t cond;
	unsigned nr_ready; /* rings that registered or failed; guarded by lock */
	int error; /* the first failure; guarded by lock */
};

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

/* To its queue's CPU, unless it is one that no thread of the channel is to use. */
static void ring_bind(struct ring *ring)
{
	const cpu_set_t *cpus = ring->channel->params.cpus;
	const size_t size = CPU_ALLOC_SIZE(ring->qid + 1);
	cpu_set_t *set;

	channel_bind(ring->channel);
	if (!ring->bound || (cpus && !CPU_ISSET(ring->qid, cpus)))
		return;
	set = CPU_ALLOC(ring->qid + 1);
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

static void *ring_thread(void *arg)
{
	struct ring *ring = arg;
	struct channel *ch = ring->channel;
	int error = ring_open(&ring->io);

	if (error) {
		ring_report(ring, error);
		return NULL;
	}
	ring_bind(ring);
	error = ring_begin(ring);
	ring_report(ring, error);
	if (!error) {
		ring_loop(ring);
		/* By itself, and not because it was told to: a queue without its ring would hang. */
		if (!ending_stops(&ch->ending))
			ending_comes(&ch->ending, ring->error);
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
static void refuse(const struct channel *ch)
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
		sqe->fd = ch->fd;
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

int uring_start(struct channel *ch, struct uring **out_uring)
{
	const unsigned nr_queues = (unsigned)get_nprocs_conf();
	struct uring *uring = zt_zalloc(sizeof(*uring));
	int error = -ENOMEM;

	if (!uring)
		goto err_refuse;
	uring->channel = ch;
	uring->nr_rings = uring_nr_rings(ch->params.nr_threads);
	mutex_init(&uring->lock, ZT_RANK_URING);
	cond_init(&uring->cond);
	uring->entries = zt_zalloc(ch->pool.nr_all * sizeof(*uring->entries));
	if (!uring->entries)
		goto err_destroy;
	uring->rings = zt_zalloc(uring->nr_rings * sizeof(*uring->rings));
	if (!uring->rings)
		goto err_destroy;
	for (unsigned i = 0; i < uring->nr_rings; i++) {
		struct ring *ring = &uring->rings[i];

		ring->uring = uring;
		ring->channel = ch;
		ring->qid = i % nr_queues;
		ring->bound = i < nr_queues;
		ring->all_entries = uring->entries;
		ring->wake_fd = -1;
		mutex_init(&ring->lock, ZT_RANK_RING);
	}
	error = start_rings(uring);
	if (error)
		goto err_stop;
	*out_uring = uring;
	return 0;

err_stop:
	atomic_store(&ch->ending.stop, true);
	uring_stop(uring);
	atomic_store(&ch->ending.stop, false);
err_destroy:
	uring_destroy(uring);
err_refuse:
	refuse(ch);
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
	zt_free(uring->entries);
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
