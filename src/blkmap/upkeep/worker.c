// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * worker.c - "zt-recomp-cpu", which compresses for recompression at SCHED_IDLE, and what its CPU time
 * costs. See recompress_thread.c for who else there is.
 *
 * Locks: recomp.lock; nothing is called under it.
 */
#include "blkmap/upkeep/worker.h"

#include <sched.h>
#include <time.h>

#include "util/clock.h"

/* Of one CPU, in percent. */
#define CPU_BUDGET_PCT 50u

uint64_t recomp_cpu_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * ZT_NS_PER_S + (uint64_t)now.tv_nsec;
}

void recomp_owe(struct recompressor *rc, uint64_t cpu_ns)
{
	rc->debt_ns += cpu_ns * (100 - CPU_BUDGET_PCT) / CPU_BUDGET_PCT;
}

void recomp_run(struct recompressor *rc, void (*job)(struct recompressor *rc, void *arg), void *arg)
{
	if (!rc->has_threads || rc->run_here) {
		job(rc, arg);
		return;
	}
	mutex_lock(&rc->lock);
	rc->job = job;
	rc->job_arg = arg;
	rc->state = RECOMP_WORK;
	cond_broadcast(&rc->cond);
	while (rc->state != RECOMP_DONE)
		cond_wait(&rc->cond, &rc->lock);
	rc->state = RECOMP_IDLE;
	recomp_owe(rc, rc->job_cpu_ns);
	mutex_unlock(&rc->lock);
}

void *recomp_worker(void *arg)
{
	struct recompressor *rc = arg;
	struct sched_param param = { .sched_priority = 0 };

	/* Where a sandbox forbids it the budget has to do. */
	(void)pthread_setschedparam(pthread_self(), SCHED_IDLE, &param);
	mutex_lock(&rc->lock);
	while (rc->state != RECOMP_END) {
		if (rc->state == RECOMP_WORK) {
			uint64_t begin = recomp_cpu_ns();

			mutex_unlock(&rc->lock);
			rc->job(rc, rc->job_arg);
			mutex_lock(&rc->lock);
			rc->job_cpu_ns = recomp_cpu_ns() - begin;
			rc->state = RECOMP_DONE;
			cond_broadcast(&rc->cond);
		} else {
			cond_wait(&rc->cond, &rc->lock);
		}
	}
	mutex_unlock(&rc->lock);
	return NULL;
}

void recomp_worker_end(struct recompressor *rc)
{
	mutex_lock(&rc->lock);
	rc->state = RECOMP_END;
	cond_broadcast(&rc->cond);
	mutex_unlock(&rc->lock);
	zt_lock_check(pthread_join(rc->worker, NULL));
}
