/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * upkeep.h - what is done behind requests: folding, compaction, recompression, and memory for
 * requests to which it was refused.
 *
 * No part below knows this one. What it must hear from them it has registered for.
 */
#ifndef ZT_BLKMAP_UPKEEP_UPKEEP_H
#define ZT_BLKMAP_UPKEEP_UPKEEP_H

#include "blkmap/content/content.h"
#include "blkmap/upkeep/fold.h"

struct recompressor;
struct spiller;

/* One per mount, owned by its block map. */
struct upkeep {
	struct slots *slots; /* not owned; immutable, as the next two */
	struct zs_pool *beside; /* not owned; given back as meta is; NULL: none */
	struct recompressor *recomp; /* owned; NULL: off */
	struct spiller *spiller; /* owned; NULL: nothing goes out */
	struct folder folder;

	/* Memory was looked for in vain a moment ago, until then: seconds. Relaxed, a hint. */
	atomic_uint_fast64_t in_vain_until;

	/* "zt-maint", joined by maintain_stop(). */
	bool has_thread;
	pthread_t thread;
	struct mutex thread_lock;
	pthread_cond_t thread_cond;
	bool stop; /* guarded by thread_lock */
};

/* upkeep.c */

/*
 * upkeep_init() - with the recompressor, if it is asked for; *@upkeep is zero
 * upkeep_start() - the threads. 0 or -errno; some may run then: upkeep_stop()
 * upkeep_stop() - for good; may be called again
 */
int upkeep_init(struct upkeep *upkeep, struct content *content, const struct blkmap_params *params,
		char error_text[256]) ZT_MUST_CHECK;
void upkeep_exit(struct upkeep *upkeep);
int upkeep_start(struct upkeep *upkeep) ZT_MUST_CHECK;
void upkeep_stop(struct upkeep *upkeep);
void upkeep_get_stat(const struct upkeep *upkeep, struct blkmap_stat *out_stat);

/* maintain.c */

int maintain_start(struct upkeep *upkeep) ZT_MUST_CHECK;
void maintain_stop(struct upkeep *upkeep);

/* reclaim.c; see blkmap.h */

bool upkeep_reclaim(struct upkeep *upkeep, unsigned tries, uint64_t until_ns);
bool upkeep_reclaim_may_help(struct upkeep *upkeep);
uint64_t upkeep_trim(struct upkeep *upkeep);

/* What is cached in all pools goes back; return: bytes. */
uint64_t trim_pools(struct upkeep *upkeep);
/* Objects are moved together, where that may give something back; return: bytes. */
uint64_t compact_if_worth(struct upkeep *upkeep);

/* For tests: called whenever a thread is about to wait for memory. NULL: nothing is. */
extern void (*blkmap_reclaim_hook)(void);

#endif
