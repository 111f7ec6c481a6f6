/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * spiller.h - objects that lie idle go out to the spill file.
 *
 * "zt-spill" looks at the objects in the order of their places, takes those that nobody has used for
 * the longest time, incompressible ones first, writes them in batches, and exchanges their words. It
 * holds no inode. Only objects of slots go: those of cluster maps are folded first, and shared ones
 * are worth their memory.
 *
 * Locks: spiller.lock, innermost. pass_lock is the spiller's own, over one pass; below it, in turn: a
 * slot lock, tried under class->lock while an object is copied, and taken while its word changes. None
 * while the file is written.
 */
#ifndef ZT_BLKMAP_UPKEEP_SPILLER_H
#define ZT_BLKMAP_UPKEEP_SPILLER_H

#include <pthread.h>
#include <stdatomic.h>

#include "blkmap/slot/slots.h"
#include "blkmap/spill/spill.h"
#include "blkmap/upkeep/fold.h"
#include "util/lock.h"

/* Objects of fewer bytes stay: a unit of the file is hardly worth it. */
#define SPILL_LEAST 3072u

/* An object on its way out, by the batch's numbers. */
struct spill_place {
	uint64_t place; /* of its slot */
	uint64_t word; /* what was there */
	uint64_t seq; /* of the slot's lock, when the bytes were copied */
};

/* What a pass looks for. */
struct spill_pass {
	unsigned age; /* ticks without use, at least */
	bool raw; /* only what does not compress */
	uint64_t most; /* bytes of memory to free; then it ends */
	uint64_t freed; /* bytes of objects that went */
};

/* One per mount that asks for it, owned by the upkeep. */
struct spiller {
	struct slots *slots; /* not owned; immutable, as the next three */
	struct spill *spill; /* not owned */
	struct folder *folder; /* not owned: what is folded can go */
	unsigned idle; /* ticks; 0: age alone is no reason */
	uint64_t set_aside;
	struct spill_batch batch; /* this and the next ones: pass_lock */
	struct spill_place places[SPILL_BATCH_ITEMS];
	uint64_t cursor; /* where the last pass ended */
	unsigned age; /* of what went out last */
	struct mutex pass_lock;
	atomic_bool held; /* a pass ends soon: spiller_hold(). Relaxed: a hint */

	bool has_thread;
	int psi; /* readable for POLLPRI when memory is short in the machine; -1: none */
	pthread_t thread; /* "zt-spill" */
	struct mutex lock; /* guards what follows */
	pthread_cond_t cond;
	bool stop, kicked; /* memory is wanted */
	bool all; /* and all that can go is to go */
	bool in_pass;
	uint64_t rounds; /* that have ended */
	uint64_t freed; /* bytes, ever */
};

int spiller_create(struct folder *folder, const struct blkmap_params *params, char error_text[256],
		   struct spiller **out_spiller) ZT_MUST_CHECK;
void spiller_destroy(struct spiller *spiller); /* NULL is allowed, here and below */
/* Takes @psi over; -1: none. */
int spiller_start(struct spiller *spiller, int psi) ZT_MUST_CHECK;
void spiller_stop(struct spiller *spiller);

/* spill_pass.c: a pass in the caller's thread; pass_lock held. Return: 0, or why it ended early. */
int spiller_pass(struct spiller *spiller, struct spill_pass *pass) ZT_MUST_CHECK;

/**
 * spiller_now() - as much as @most bytes of what was not used for @age ticks goes out, in the caller's
 * thread
 * Return: bytes that went.
 */
uint64_t spiller_now(struct spiller *spiller, unsigned age, uint64_t most);

/**
 * spiller_relieve() - memory was refused: have something go out, and wait until some has, nothing
 * can, or it is @until_ns (zt_now_ns())
 * Nothing held. Return: bytes that went.
 */
uint64_t spiller_relieve(struct spiller *spiller, uint64_t until_ns);

/** spiller_kick() - have all go out. Return: the value that stat.spill_passes will exceed then. */
uint64_t spiller_kick(struct spiller *spiller);

/** spiller_may_help() - whether anything could go out now; a hint */
bool spiller_may_help(struct spiller *spiller);

/** spiller_make_space() - have so much go that a quarter of the limit is free, where there is as much */
void spiller_make_space(struct spiller *spiller);

/**
 * spiller_hold() - nothing is being written when this returns, until spiller_release()
 * Context: holds nothing; waits for a batch to be written.
 */
void spiller_hold(struct spiller *spiller) ZT_ACQUIRE(spiller->pass_lock);
void spiller_release(struct spiller *spiller) ZT_RELEASE(spiller->pass_lock);

void spiller_get_stat(struct spiller *spiller, struct blkmap_stat *out_stat);

#endif
