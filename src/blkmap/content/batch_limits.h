/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * batch_limits.h - how much may be with the accelerator. Any thread; no locks.
 */
#ifndef ZT_BLKMAP_CONTENT_BATCH_LIMITS_H
#define ZT_BLKMAP_CONTENT_BATCH_LIMITS_H

#include <stdbool.h>
#include <stdint.h>

#include "zcomp/zcomp.h"

struct content;

/** batch_inflight_add() - @bytes more from submit to done; false: too many are, and it is counted */
bool batch_inflight_add(struct content *content, uint64_t bytes);
void batch_inflight_sub(struct content *content, uint64_t bytes);

/**
 * batch_window_adapt() - after a write: more or fewer clusters of the next one
 * @ran_dry: the engines had nothing of it while there was more
 *
 * The window is how many clusters of one write the engines have at a time: enough that none waits
 * while the write's thread compresses one. When they ran dry, they are faster than that, or their
 * latency is longer: give them more. When much had to be taken back at the end, less.
 */
void batch_window_adapt(struct content *content, bool ran_dry, unsigned nr_cancelled);

/**
 * batch_pays() - whether a write of @nr whole clusters goes to the accelerator
 * With auto: only while there are fewer writers than CPUs, so that engines find idle ones.
 */
bool batch_pays(const struct content *content, unsigned order, uint64_t nr, enum zstrm_pref pref);

#endif
