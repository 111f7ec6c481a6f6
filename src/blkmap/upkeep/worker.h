/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * worker.h - jobs of a pass for the thread that compresses, and CPU time that is owed.
 */
#ifndef ZT_BLKMAP_UPKEEP_WORKER_H
#define ZT_BLKMAP_UPKEEP_WORKER_H

#include "blkmap/upkeep/recompress.h"

/* recomp_run() - run a job in the worker, or here when there is none. pass_lock held. */
void recomp_run(struct recompressor *rc, void (*job)(struct recompressor *rc, void *arg),
		void *arg);

/* recomp_worker() - the thread; @arg: the recompressor. recomp_worker_end() - have it end, and join it. */
void *recomp_worker(void *arg);
void recomp_worker_end(struct recompressor *rc);

/* recomp_cpu_ns() - CPU time of the calling thread; recomp_owe() - so much is to be slept off */
uint64_t recomp_cpu_ns(void);
void recomp_owe(struct recompressor *rc, uint64_t cpu_ns);

#endif
