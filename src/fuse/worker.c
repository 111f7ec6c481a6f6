// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * worker.c - the threads that read the kernel's channel, and which of them reads. See worker.h.
 *
 * Locks: transport.lock guards who is parked, how many have the duty, and the threads' life;
 * innermost, nothing is called under it but madvise(2), pthread_kill(3) and sem_post(3). A worker
 * on duty takes it only when the duty changes hands: for a short request its state is two atomic
 * operations.
 *
 * A thread that waits in read(2) is woken by a signal that does nothing: at the end, and to give
 * back a large buffer. A signal that comes just before read(2) is lost, so it is sent again until
 * it has had its effect. It is only ever sent to threads that were seen waiting.
 */
#include "fuse/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sysinfo.h>
#include <time.h>
#include <unistd.h>

#include "fuse/spin.h"
#include "fuse/transport_i.h"
#include "fuse/watch.h"
#include "util/alloc.h"
#include "util/clock.h"
#include "util/lock.h"
#include "util/log.h"

#define WAKE_SIGNAL   SIGUSR1
#define WAKE_AGAIN_NS 20000000L

/*
 * Bytes from which a request is worth the two wake-ups of giving the duty away: one direct writer's
 * 581 MB/s with lz4 are 110 us for so much; reading is twice as fast.
 */
#define LONG_WRITE (64u * 1024)
#define LONG_READ  (128u * 1024)

/* A read(2) that took less found a request waiting. */
#define NO_WAIT_NS 3000u
/*
 * Served so long without waiting once: one more thread gets the duty. A single request counts for
 * no more than the second number, since who was not running has not been busy.
 */
#define BUSY_NS      200000u
#define BUSY_MOST_NS 20000u
/* Waited so often while others have the duty, too: one fewer is enough. */
#define NR_WAITS 16u
/* So many long requests without a short one between them are a stream. */
#define NR_LONG 3u

enum worker_state {
	WORKER_AWAY, /* serves a request, or is not there; has no duty */
	WORKER_PARKED, /* has no duty, sleeps until it gets it; changes under transport.lock */
	WORKER_READING, /* has the duty, waits for a request */
	WORKER_SERVING, /* has the duty, will soon be back */
};

struct worker {
	struct transport *transport;
	/* What it reads into next; NULL while parked. Changed under transport.lock. */
	struct ztfuse_held *req;
	int fd;
	pthread_t thread;
	bool done; /* it serves no more, guarded by transport.lock */
	sem_t duty; /* posted for who is parked, and at the end */
	struct worker *next_parked; /* guarded by transport.lock */
	/*
	 * READING is stored before the worker looks at transport.stop, which is stored before
	 * others look here: a worker that was not seen waiting sees the end. SERVING is stored
	 * before it looks at transport.watch_sleeps, which is stored before the watch looks here.
	 * Sequentially consistent all. From SERVING to another state by compare-and-exchange only:
	 * the worker itself and the watch may both want it.
	 */
	_Atomic enum worker_state state;
	atomic_bool trim; /* it shall trim its buffer when it wakes; relaxed, asked for again */
	_Atomic unsigned served; /* relaxed: tells the watch and workers_trim() who has been idle */
	unsigned served_before; /* at the last trim; workers_trim()'s own */
	unsigned served_watched; /* at the watch's last look; its own */
	/* Its own: */
	uint64_t read_at_ns; /* when it last came back from read(2) */
	uint64_t busy_ns; /* since when it has not waited */
	struct spin spin;
	unsigned nr_waits; /* one after the other, with others on duty */
};

static _Thread_local struct worker *current_worker;

/* Duty -------------------------------------------------------------------- */

/* With transport.lock held. */
static void call_parked(struct transport *t)
{
	struct worker *w = t->parked;

	if (t->nr_on_duty >= t->nr_wanted || !w)
		return;
	t->parked = w->next_parked;
	t->nr_parked--;
	w->req = spare_pop(t); /* there is one for each who is parked */
	t->nr_on_duty++;
	atomic_store(&w->state, WORKER_READING);
	zt_lock_check(sem_post(&w->duty));
}

/* Take the duty away from @w, which serves a request. Return: false when it has it no more. */
static bool duty_end(struct worker *w)
{
	enum worker_state expected = WORKER_SERVING;

	return atomic_compare_exchange_strong(&w->state, &expected, WORKER_AWAY);
}

static void duty_leave(struct worker *w)
{
	struct transport *t = w->transport;

	if (!duty_end(w))
		return;
	mutex_lock_counted(&t->lock, ZT_LOCK_TRANSPORT);
	t->nr_on_duty--;
	call_parked(t);
	mutex_unlock(&t->lock);
}

/* Whether all but @w wait. With transport.lock held. */
static bool is_last(const struct transport *t, const struct worker *w)
{
	for (unsigned i = 0; i < t->nr_workers; i++) {
		const enum worker_state state = atomic_load(&t->workers[i].state);

		if (&t->workers[i] != w && state != WORKER_READING && state != WORKER_PARKED)
			return false;
	}
	return true;
}

/* Without the duty: get it, now or later. Returns at the end, too. */
static void duty_take(struct worker *w)
{
	struct transport *t = w->transport;
	bool wait;

	w->read_at_ns = 0;
	w->nr_waits = 0;
	mutex_lock_counted(&t->lock, ZT_LOCK_TRANSPORT);
	wait = t->nr_on_duty >= t->nr_wanted && !atomic_load(&t->stop);
	if (wait) {
		spare_push(t, w->req);
		w->req = NULL;
		t->nr_parked++;
		/* Where one request comes after the other, the next one takes this buffer. */
		if (is_last(t, w))
			spare_keep(t, 1);
		w->next_parked = t->parked;
		t->parked = w;
		atomic_store(&w->state, WORKER_PARKED);
	} else {
		t->nr_on_duty++;
		atomic_store(&w->state, WORKER_READING);
	}
	mutex_unlock(&t->lock);
	watch_note(t); /* it may have slept through a long request, whose memory is to be given back */
	while (wait && sem_wait(&w->duty) != 0)
		; /* EINTR */
}

void worker_may_wait(void)
{
	if (current_worker)
		duty_leave(current_worker);
}

static void change_wanted(struct transport *t, int by)
{
	mutex_lock_counted(&t->lock, ZT_LOCK_TRANSPORT);
	if (by > 0 ? t->nr_wanted < t->most_wanted : t->nr_wanted > 1)
		t->nr_wanted += (unsigned)by;
	call_parked(t);
	mutex_unlock(&t->lock);
}

/*
 * Is one thread on duty too few, or are several too many? @asked_at_ns is when the worker went to
 * read. Return: false when it shall have no duty after this request.
 */
static bool duty_adapt(struct worker *w, uint64_t asked_at_ns)
{
	struct transport *t = w->transport;
	const uint64_t now = zt_now_ns();
	const uint64_t before = w->read_at_ns;
	const unsigned nr_wanted = atomic_load_explicit(&t->nr_wanted, memory_order_relaxed);

	w->read_at_ns = now;
	if (now - asked_at_ns >= NO_WAIT_NS) {
		w->busy_ns = 0;
		if (nr_wanted == 1 || ++w->nr_waits < NR_WAITS)
			return true;
		w->nr_waits = 0;
		change_wanted(t, -1);
		return false;
	}
	w->nr_waits = 0;
	w->busy_ns += before ? min_u64(now - before, BUSY_MOST_NS) : 0;
	if (w->busy_ns >= BUSY_NS && nr_wanted < t->most_wanted) {
		w->busy_ns = 0;
		change_wanted(t, 1);
	}
	return true;
}

/*
 * A long request is to be served. When several come one after the other, who takes the next one
 * shall wait in read(2) already, and not be called each time.
 */
static void duty_stream(struct worker *w)
{
	struct transport *t = w->transport;

	w->nr_waits = 0;
	if (atomic_fetch_add_explicit(&t->nr_long, 1, memory_order_relaxed) + 1 >= NR_LONG &&
	    atomic_load_explicit(&t->nr_wanted, memory_order_relaxed) < t->most_wanted)
		change_wanted(t, 1);
}

/* Looked after ------------------------------------------------------------ */

void workers_look(struct transport *t)
{
	for (unsigned i = 0; i < t->nr_workers; i++) {
		struct worker *w = &t->workers[i];
		const unsigned served = atomic_load_explicit(&w->served, memory_order_relaxed);

		/* By now it may serve another request, which then is counted as long by mistake. */
		if (served == w->served_watched && duty_end(w)) {
			t->nr_on_duty--;
			t->nr_surprises++;
		}
		w->served_watched = served;
	}
	call_parked(t);
}

unsigned workers_served(const struct transport *t)
{
	unsigned nr_served = 0;

	for (unsigned i = 0; i < t->nr_workers; i++)
		nr_served += atomic_load_explicit(&t->workers[i].served, memory_order_relaxed);
	return nr_served;
}

bool workers_serve(const struct transport *t)
{
	for (unsigned i = 0; i < t->nr_workers; i++)
		if (atomic_load(&t->workers[i].state) == WORKER_SERVING)
			return true;
	return false;
}

/* With transport.lock held. */
static void worker_wake(struct worker *w)
{
	const enum worker_state state = atomic_load(&w->state);

	if (w->done)
		return;
	if (state == WORKER_READING)
		(void)pthread_kill(w->thread, WAKE_SIGNAL); /* it is not joined yet */
	else if (state == WORKER_PARKED)
		(void)sem_post(&w->duty); /* too often by now: then it has been woken */
}

bool workers_are_large(const struct transport *t)
{
	for (unsigned i = 0; i < t->nr_workers; i++)
		if (t->workers[i].req && request_is_large(t->workers[i].req))
			return true;
	return false;
}

static void trim_reader(struct worker *w)
{
	if (w->req && request_is_large(w->req) && atomic_load(&w->state) == WORKER_READING) {
		atomic_store_explicit(&w->trim, true, memory_order_relaxed);
		worker_wake(w);
	}
}

void workers_trim_readers(struct transport *t)
{
	for (unsigned i = 0; i < t->nr_workers; i++)
		trim_reader(&t->workers[i]);
}

/* Serving ----------------------------------------------------------------- */

static bool takes_long(const struct ztfuse_held *req, size_t len)
{
	const struct fuse_in_header *header = request_buf(req);
	const struct fuse_read_in *read = (const void *)(header + 1);

	if (len < sizeof(*header))
		return false;
	switch (header->opcode) {
	case FUSE_WRITE:
		return len >= LONG_WRITE;
	case FUSE_READ:
		return len >= sizeof(*header) + sizeof(*read) && read->size >= LONG_READ;
	case FUSE_FALLOCATE:
	case FUSE_COPY_FILE_RANGE:
	case FUSE_IOCTL:
		return true;
	default:
		return false;
	}
}

static void serve_endless(struct worker *w, size_t len)
{
	struct transport *t = w->transport;

	if (!longline_enter(t, w->req, len))
		return;
	do {
		request_serve(t, w->req, request_buf(w->req), len);
	} while ((len = longline_next(t, w->req)) > 0);
}

static void worker_serve(struct worker *w, size_t len, uint64_t asked_at_ns)
{
	struct transport *t = w->transport;
	const bool endless = longline_wants(t, w->req, len);

	atomic_store(&w->state, WORKER_SERVING);
	watch_note(t);
	if (endless || takes_long(w->req, len)) {
		duty_stream(w);
		duty_leave(w);
	} else {
		atomic_store_explicit(&t->nr_long, 0, memory_order_relaxed);
		if (!duty_adapt(w, asked_at_ns))
			duty_leave(w);
	}
	if (endless)
		serve_endless(w, len);
	else
		request_serve(t, w->req, request_buf(w->req), len);
	atomic_fetch_add_explicit(&w->served, 1, memory_order_relaxed);
}

/*
 * One request from the kernel to its reply, by who is or was called to. Return: false when there
 * are no more.
 */
static bool worker_step(struct worker *w, int *out_error)
{
	enum worker_state expected = WORKER_SERVING;
	struct transport *t = w->transport;
	ssize_t len = 0;

	if (!atomic_load(&t->stop)) {
		const uint64_t asked_at_ns = zt_now_ns();

		len = spin_receive(&w->spin, t, w->req);
		if (len == 0)
			len = request_receive(t, w->req, w->fd);
		if (len > 0) {
			spin_learn(&w->spin, t, zt_now_ns() - asked_at_ns);
			worker_serve(w, (size_t)len, asked_at_ns);
			if (!atomic_compare_exchange_strong(&w->state, &expected, WORKER_READING))
				duty_take(w);
			return true;
		}
	}
	if (request_passes(len)) {
		if (atomic_exchange_explicit(&w->trim, false, memory_order_relaxed))
			request_trim(w->req);
		return true;
	}
	*out_error = (int)len;
	return false;
}

static void *worker_thread(void *arg)
{
	struct worker *w = arg;
	struct transport *t = w->transport;
	int error = 0;

	current_worker = w;
	duty_take(w);
	while (worker_step(w, &error))
		;
	mutex_lock_counted(&t->lock, ZT_LOCK_TRANSPORT);
	w->done = true;
	mutex_unlock(&t->lock);
	transport_ended(t, error);
	return NULL;
}

bool worker_hold(struct transport *t)
{
	struct worker *w = current_worker;
	struct ztfuse_held *instead = w ? transport_spare_get(t) : NULL;

	if (!instead)
		return false;
	mutex_lock_counted(&t->lock, ZT_LOCK_TRANSPORT);
	w->req->held = true;
	w->req = instead;
	mutex_unlock(&t->lock);
	return true;
}

/* Threads ----------------------------------------------------------------- */

int channel_clone(int master)
{
	uint32_t number = (uint32_t)master;
	int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	int error;

	if (fd < 0)
		return -errno;
	if (ioctl(fd, FUSE_DEV_IOC_CLONE, &number) == 0)
		return fd;
	error = -errno;
	close(fd);
	return error;
}

/* A worker without a channel of its own shares the session's. */
static void worker_open(struct worker *w, int master)
{
	int fd = w->transport->params.clone_fd ? channel_clone(master) : master;

	if (fd < 0)
		zt_log(ZT_LOG_WARN, "clone_fd: threads share a channel: %s", strerror(-fd));
	w->fd = fd >= 0 ? fd : master;
}

static void worker_close(struct worker *w, int master)
{
	if (w->fd != master)
		close(w->fd);
}

static int worker_start(struct worker *w, unsigned nr)
{
	const int master = fuse_session_fd(w->transport->se);
	char name[16];
	int error;

	w->done = false;
	atomic_store(&w->state, WORKER_AWAY);
	worker_open(w, master);
	error = zt_fault_hit() ? -EAGAIN : -pthread_create(&w->thread, NULL, worker_thread, w);
	if (error) {
		worker_close(w, master);
		return error;
	}
	(void)snprintf(name, sizeof(name), "zt-fuse/%u", nr % 10000);
	(void)pthread_setname_np(w->thread, name); /* for people only */
	return 0;
}

static void do_nothing(int sig)
{
	(void)sig;
}

static void prepare_signal(void)
{
	struct sigaction wake = { .sa_handler = do_nothing };
	sigset_t set;

	/* These fail only for signals that do not exist. */
	sigemptyset(&set);
	sigaddset(&set, WAKE_SIGNAL);
	(void)pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	(void)sigaction(WAKE_SIGNAL, &wake, NULL);
}

int workers_start(struct transport *t, unsigned wanted)
{
	unsigned nr = 0;
	int error = 0;

	prepare_signal();
	t->spin_fd = t->wakeup.fd >= 0 ? spin_open(fuse_session_fd(t->se)) : -1;
	while (nr < wanted && !error) {
		error = worker_start(&t->workers[nr], nr);
		if (!error)
			nr++;
	}
	if (nr == 0)
		return error;
	if (error)
		zt_log(ZT_LOG_WARN, "max_threads: only %u of %u threads: %s", nr, wanted,
		       strerror(-error));
	mutex_lock_counted(&t->lock, ZT_LOCK_TRANSPORT);
	t->nr_workers = nr;
	mutex_unlock(&t->lock);
	return 0;
}

static void worker_join(struct worker *w)
{
	struct transport *t = w->transport;

	mutex_lock_counted(&t->lock, ZT_LOCK_TRANSPORT);
	while (!w->done) {
		worker_wake(w);
		(void)transport_wait(t, zt_now_ns() + WAKE_AGAIN_NS);
	}
	mutex_unlock(&t->lock);
	zt_lock_check(pthread_join(w->thread, NULL));
	worker_close(w, fuse_session_fd(t->se));
}

void workers_join(struct transport *t)
{
	unsigned nr;

	mutex_lock_counted(&t->lock, ZT_LOCK_TRANSPORT);
	nr = t->nr_workers;
	t->nr_workers = 0; /* from here on workers_trim() leaves them alone */
	mutex_unlock(&t->lock);
	for (unsigned i = 0; i < nr; i++)
		worker_join(&t->workers[i]);
}

/* Life -------------------------------------------------------------------- */

void workers_trim(struct transport *t)
{
	for (unsigned i = 0; i < t->nr_workers; i++) {
		struct worker *w = &t->workers[i];
		const unsigned served = atomic_load_explicit(&w->served, memory_order_relaxed);

		if (served == w->served_before)
			trim_reader(w);
		w->served_before = served;
	}
}

int workers_create(struct transport *t)
{
	const unsigned nr = t->params.nr_threads;

	t->workers = zt_zalloc(nr * sizeof(*t->workers));
	if (!t->workers)
		return -ENOMEM;
	for (unsigned i = 0; i < nr; i++) {
		t->workers[i].transport = t;
		zt_lock_check(sem_init(&t->workers[i].duty, 0, 0));
	}
	t->most_wanted = (unsigned)min_u64(nr, (uint64_t)get_nprocs());
	t->nr_wanted = 1;
	t->most_warm = t->front->keeps_buffers ? UINT_MAX : t->most_wanted;
	return 0;
}

void workers_destroy(struct transport *t)
{
	if (!t->workers)
		return;
	for (unsigned i = 0; i < t->params.nr_threads; i++)
		zt_lock_check(sem_destroy(&t->workers[i].duty));
	zt_free(t->workers);
}

void worker_give_request(struct transport *t, unsigned nr, struct ztfuse_held *req)
{
	t->workers[nr].req = req;
}

struct ztfuse_held *worker_first_request(const struct transport *t)
{
	return t->workers[0].req;
}
