// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * recompress_thread.c - when objects are recompressed, and by which threads.
 *
 * Two threads. "zt-recomp" finds, reads and publishes, at normal priority, since it takes locks that
 * requests want. "zt-recomp-cpu" compresses, at SCHED_IDLE: it may get no CPU for long, and so
 * holds nothing that any thread but the first waits for. Both are owned by the blkmap and joined by
 * recomp_stop().
 *
 * When memory is short, because of mem_limit= or, by the kernel's word (PSI), in the whole machine,
 * all is recompressed however young, without pauses, and by the first thread itself. A write that
 * finds no memory waits for that a while (recomp_relieve()).
 *
 * Locks: recomp.lock; nothing is called under it.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "blkmap/slot/account.h"
#include "blkmap/slot/age.h"
#include "blkmap/upkeep/dedup.h"
#include "blkmap/upkeep/fold.h"
#include "blkmap/upkeep/recompress.h"
#include "blkmap/upkeep/restore.h"
#include "blkmap/upkeep/worker.h"
#include "util/alloc.h"
#include "util/clock.h"

/* Requests are counted over so long; more than so many, and recompression waits. */
#define WINDOW_NS       (100 * ZT_NS_PER_MS)
#define WINDOW_REQUESTS 8u

/* Slept off when so much has come together. */
#define DEBT_MAX_NS (20 * ZT_NS_PER_MS)

/* Near mem_limit=: less than a 32nd of it is left, and less than so much. */
#define SHORT_DIVISOR 32u
#define SHORT_MAX     (64 * MIB)

/* Saved so much, it is worth another try: two clusters that do not compress. */
#define RELIEVE_BYTES (256 * KIB)

/* Stalls of 150 ms in 2 s: the shortest window that needs no privilege. */
#define PSI_TRIGGER "some 150000 2000000"

/* Until @until_ns, or stop (or, with @kick, somebody wants a pass now). False: stop. */
static bool wait_until(struct recompressor *rc, uint64_t until_ns, bool kick)
{
	const struct timespec until = zt_timespec(until_ns);
	bool go_on;

	mutex_lock(&rc->lock);
	while (!rc->stop && !(kick && rc->kicked) && cond_wait_until(&rc->cond, &rc->lock, &until))
		;
	go_on = !rc->stop;
	mutex_unlock(&rc->lock);
	return go_on;
}

/* Whether requests come faster than leaves time for others. Begins a new window when one is over. */
static bool requests_are_many(struct recompressor *rc)
{
	uint64_t now = zt_now_ns();
	uint64_t requests = atomic_load_explicit(&rc->content->requests, memory_order_relaxed);
	uint64_t windows = max_u64(1, (now - rc->window_ns) / WINDOW_NS);
	bool many = requests - rc->window_requests > windows * WINDOW_REQUESTS;

	/* A window that has only begun says nothing yet: the one before it does. */
	if (now - rc->window_ns < WINDOW_NS)
		return many || rc->window_was_busy;
	rc->window_ns = now;
	rc->window_requests = requests;
	rc->window_was_busy = many;
	return many;
}

/* What the CPU budget does not cover. False: stop. */
static bool sleep_off(struct recompressor *rc)
{
	const uint64_t debt_ns = rc->debt_ns;

	if (debt_ns < DEBT_MAX_NS)
		return true;
	rc->debt_ns = 0;
	return wait_until(rc, zt_now_ns() + debt_ns, false);
}

/* Wait while the foreground is busy, and sleep the CPU budget's rest off. False: stop. */
static bool pace(struct recompressor *rc, const struct recomp_pass *pass)
{
	bool go_on = true, counted = false;

	if (pass->forced)
		return wait_until(rc, 0, false);
	while (go_on && requests_are_many(rc)) {
		if (!counted)
			atomic_fetch_add_explicit(&rc->pauses, 1, memory_order_relaxed);
		counted = true;
		rc->debt_ns = 0;
		go_on = wait_until(rc, zt_now_ns() + WINDOW_NS, false);
	}
	return go_on && sleep_off(rc);
}

/* A step. What this thread does of it is slept off, too, unless somebody waits for the pass. */
static bool paid_step(struct recompressor *rc, struct recomp_pass *pass)
{
	uint64_t begin = recomp_cpu_ns();
	bool more = recomp_step(rc, pass);

	if (!pass->forced)
		recomp_owe(rc, recomp_cpu_ns() - begin);
	return more;
}

/* Some memory may have come. */
static void tell_waiters(struct recompressor *rc)
{
	mutex_lock(&rc->lock);
	cond_broadcast(&rc->cond);
	mutex_unlock(&rc->lock);
}

/*
 * From here on a thread that asks for a pass gets the next one. One that has asked before gets this
 * one, whatever it was begun for.
 */
static void announce_pass(struct recompressor *rc, struct recomp_pass *pass)
{
	mutex_lock(&rc->lock);
	if (rc->kicked) {
		pass->forced = true;
		pass->idle = 0;
	}
	rc->kicked = false;
	rc->in_pass = true;
	mutex_unlock(&rc->lock);
}

/* One look at all objects. False: stopped on the way. */
static bool run_pass(struct recompressor *rc, struct recomp_pass *pass)
{
	bool more = true, go_on;

	announce_pass(rc, pass);
	mutex_lock(&rc->pass_lock);
	/* Somebody waits for a forced one: not at idle priority. */
	rc->run_here = pass->forced;
	recomp_pass_begin(rc, pass);
	go_on = pace(rc, pass);
	while (more && go_on) {
		more = paid_step(rc, pass);
		go_on = pace(rc, pass);
		if (pass->forced)
			tell_waiters(rc);
	}
	recomp_pass_end(rc, pass, go_on);
	rc->run_here = false;
	/* What became smaller left gaps. */
	while (go_on && pass->nr_done > 0 && zs_compact(rc->slots->data, 4 * MIB) > 0)
		go_on = pace(rc, pass);
	mutex_unlock(&rc->pass_lock);
	mutex_lock(&rc->lock);
	rc->in_pass = false;
	atomic_fetch_add_explicit(&rc->passes, 1, memory_order_relaxed);
	cond_broadcast(&rc->cond);
	mutex_unlock(&rc->lock);
	return go_on;
}

int recomp_psi_open(const char *path)
{
	int fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);

	if (fd >= 0 && write(fd, PSI_TRIGGER, strlen(PSI_TRIGGER) + 1) < 0) {
		close(fd);
		fd = -1;
	}
	return fd;
}

/* Whether the trigger has fired since the last call. */
static bool psi_fired(int fd)
{
	struct pollfd wanted = { .fd = fd, .events = POLLPRI };

	return fd >= 0 && poll(&wanted, 1, 0) == 1 && (wanted.revents & POLLPRI);
}

/* Memory is short: whatever can be had, without looking at the time. */
static bool run_hard_pass(struct recompressor *rc)
{
	/* What is in use is not to be packed. */
	struct recomp_pass pass = { .forced = true, .no_packs = true };
	bool go_on;

	atomic_fetch_add_explicit(&rc->pressures, 1, memory_order_relaxed);
	go_on = run_pass(rc, &pass);
	/* Behind it: a thread that waits for memory wants that of recompression first. */
	if (go_on)
		fold_some(rc->folder, 0, FOLD_A_BIT);
	return go_on;
}

static bool is_kicked(struct recompressor *rc)
{
	bool kicked;

	mutex_lock(&rc->lock);
	kicked = rc->kicked;
	mutex_unlock(&rc->lock);
	return kicked;
}

/*
 * What is read again and again, while requests leave time for it and memory is not short. What is
 * left waits for the next time. False: stop.
 */
static bool run_restore(struct recompressor *rc)
{
	struct recomp_restore restore = { 0 };
	bool more, go_on = true;

	mutex_lock(&rc->pass_lock);
	more = restore_begin(rc) == 0;
	while (more && go_on && !requests_are_many(rc) && !is_kicked(rc) &&
	       !limit_is_near(rc->slots, 4, UINT64_MAX)) {
		const uint64_t begin = recomp_cpu_ns();

		more = restore_step(rc, &restore);
		recomp_owe(rc, recomp_cpu_ns() - begin);
		go_on = sleep_off(rc);
	}
	restore_end(rc);
	mutex_unlock(&rc->pass_lock);
	return go_on;
}

/* How often to look: several times in the idle time, so that little lies longer than it says. */
static uint64_t pass_interval_ns(const struct recompressor *rc)
{
	return max_u64(ZT_NS_PER_S, (uint64_t)rc->idle * rc->tick_seconds * ZT_NS_PER_S / 8);
}

/* Switched off after somebody asked for a pass: there will be none, and nobody waits for it. */
static void drop_kick(struct recompressor *rc)
{
	mutex_lock(&rc->lock);
	if (rc->kicked) {
		rc->kicked = false;
		recomp_count(&rc->passes, 1);
		cond_broadcast(&rc->cond);
	}
	mutex_unlock(&rc->lock);
}

static void *recomp_thread(void *arg)
{
	struct recompressor *rc = arg;
	uint64_t started = zt_now_ns(), last_pass = started, seen_requests = 0;
	bool leftovers = false;

	rc->window_ns = started;

	while (wait_until(rc, zt_now_ns() + ZT_NS_PER_S, true)) {
		uint64_t now = zt_now_ns();
		uint64_t requests =
			atomic_load_explicit(&rc->content->requests, memory_order_relaxed);
		struct recomp_pass pass = { .idle = rc->idle, .forced = is_kicked(rc) };
		bool hard =
			psi_fired(rc->psi) || limit_is_near(rc->slots, SHORT_DIVISOR, SHORT_MAX);

		ages_tick(rc->slots);
		mutex_lock(&rc->pass_lock);
		dedup_trim(rc->dedup);
		mutex_unlock(&rc->pass_lock);
		if (atomic_load_explicit(&rc->off, memory_order_relaxed)) {
			drop_kick(rc);
			continue;
		}
		if (hard && (pass.forced || leftovers || requests != seen_requests)) {
			if (!run_hard_pass(rc))
				break;
			last_pass = zt_now_ns();
			seen_requests = requests;
			leftovers = false;
			continue;
		}
		if (!hard && rereads_are_there(&rc->content->rereads) && !run_restore(rc))
			break;
		/* Nothing has come since a pass that left nothing for later. */
		if (!pass.forced && !leftovers && requests == seen_requests)
			continue;
		if (!pass.forced && now - last_pass < pass_interval_ns(rc))
			continue;
		if (!pass.forced && requests_are_many(rc))
			continue;
		if (!run_pass(rc, &pass))
			break;
		last_pass = zt_now_ns();
		seen_requests = requests;
		leftovers = pass.nr_young > 0;
	}
	return NULL;
}

static void vars_init(struct recompressor *rc)
{
	mutex_init(&rc->lock, ZT_RANK_RECOMP);
	cond_init(&rc->cond);
	rc->state = RECOMP_IDLE;
	rc->stop = false;
}

static void vars_exit(struct recompressor *rc)
{
	cond_exit(&rc->cond);
	mutex_exit(&rc->lock);
}

static void psi_close(struct recompressor *rc)
{
	if (rc->psi >= 0)
		close(rc->psi);
	rc->psi = -1;
}

int recomp_start(struct recompressor *rc, int psi)
{
	int error;

	ZT_ASSERT(rc);
	rc->psi = psi;
	vars_init(rc);
	rc->has_threads = true;
	error = pthread_create(&rc->worker, NULL, recomp_worker, rc);
	if (error)
		goto err_vars;
	error = pthread_create(&rc->thread, NULL, recomp_thread, rc);
	if (error)
		goto err_worker;
	pthread_setname_np(rc->worker, "zt-recomp-cpu");
	pthread_setname_np(rc->thread, "zt-recomp");
	return 0;

err_worker:
	recomp_worker_end(rc);
err_vars:
	vars_exit(rc);
	psi_close(rc);
	rc->has_threads = false;
	return -error;
}

void recomp_stop(struct recompressor *rc)
{
	struct sched_param param = { .sched_priority = 0 };

	if (!rc || !rc->has_threads)
		return;
	/* A batch on its way has to end: at once, where that is allowed. */
	(void)pthread_setschedparam(rc->worker, SCHED_OTHER, &param);
	mutex_lock(&rc->lock);
	rc->stop = true;
	cond_broadcast(&rc->cond);
	mutex_unlock(&rc->lock);
	zt_lock_check(pthread_join(rc->thread, NULL));
	recomp_worker_end(rc);
	vars_exit(rc);
	psi_close(rc);
	rc->has_threads = false;
}

uint64_t recomp_kick(struct recompressor *rc)
{
	uint64_t passes;

	if (!rc || !rc->has_threads || atomic_load_explicit(&rc->off, memory_order_relaxed))
		return 0;
	/* Bases of cluster maps are left alone by a pass. */
	fold_idle(rc->folder, 0);
	mutex_lock(&rc->lock);
	/* Behind a pass that is on its way comes the one that sees everything. */
	passes = atomic_load_explicit(&rc->passes, memory_order_relaxed) + rc->in_pass;
	rc->kicked = true;
	cond_broadcast(&rc->cond);
	mutex_unlock(&rc->lock);
	return passes;
}

uint64_t recomp_relieve(struct recompressor *rc, uint64_t until_ns)
{
	const struct timespec until = zt_timespec(until_ns);
	uint64_t saved, before, passes;

	if (!rc || !rc->has_threads || atomic_load_explicit(&rc->off, memory_order_relaxed))
		return 0;
	mutex_lock(&rc->lock);
	before = saved = atomic_load_explicit(&rc->saved, memory_order_relaxed);
	passes = atomic_load_explicit(&rc->passes, memory_order_relaxed) + rc->in_pass;
	rc->kicked = true;
	cond_broadcast(&rc->cond);
	while (!rc->stop && saved - before < RELIEVE_BYTES &&
	       atomic_load_explicit(&rc->passes, memory_order_relaxed) <= passes) {
		const bool in_time = cond_wait_until(&rc->cond, &rc->lock, &until);

		saved = atomic_load_explicit(&rc->saved, memory_order_relaxed);
		if (!in_time)
			break;
	}
	mutex_unlock(&rc->lock);
	return saved - before;
}
