/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * recompress.h - the inside of recompression, for its two files.
 *
 * One pass looks at every object of the data pool in the order of their places, gathers those that
 * have lain idle, compresses them better, and puts the result in their place where it takes less
 * room. A pass holds no inode, and no lock while it compresses.
 *
 * Locks: pass_lock over one pass; below it, in turn: map->comp's private stream -> a slot lock. The
 * private stream of another codec is taken alone. recomp.lock guards what both threads share;
 * nothing is called under it.
 */
#ifndef ZT_BLKMAP_RECOMPRESS_H
#define ZT_BLKMAP_RECOMPRESS_H

#include <pthread.h>

#include "blkmap/blkmap_i.h"

/* Objects that are compressed together: as many, and as many bytes. */
#define RECOMP_ITEMS 64u
#define RECOMP_BYTES ZCOMP_MAX_UNIT

/* One object on its way. */
struct recomp_item {
	uint64_t place; /* of its slot */
	uint64_t seq; /* of the slot's lock, when the bytes were read */
	uint64_t word; /* what the slot said */
	uint32_t len, mask; /* bytes, and pages that are present */
	uint32_t at; /* of its bytes in the input; the output has as much room */
	uint32_t cap; /* most bytes that would be worth it; 0: not worth trying */
	size_t out_len; /* 0: did not fit */
};

struct recomp_batch {
	struct recomp_item items[RECOMP_ITEMS];
	unsigned nr;
	uint32_t used; /* of the input */
	unsigned codec; /* to compress with */
	uint64_t cpu_ns; /* what compressing took */
};

/* What is being looked for in one pass. */
struct recomp_pass {
	unsigned idle; /* ticks */
	uint64_t cursor;
	uint64_t nr_young; /* candidates that were used too recently */
	uint64_t nr_done; /* made smaller */
	bool forced; /* without regard to requests */
};

enum recomp_state { RECOMP_IDLE, RECOMP_WORK, RECOMP_DONE, RECOMP_END };

struct recompressor {
	struct blkmap *map;
	unsigned idle; /* ticks without use, by the option */
	uint32_t tick_seconds;
	pthread_mutex_t pass_lock;
	/* Guarded by pass_lock; while state is RECOMP_WORK the worker's alone. */
	struct recomp_batch batch;
	char *in, *out; /* RECOMP_BYTES each, one mapping */

	bool has_threads;
	pthread_t thread; /* "zt-recomp" */
	pthread_t worker; /* "zt-recomp-cpu" */
	pthread_mutex_t lock;
	pthread_cond_t cond; /* stop, kicks and state have changed */
	enum recomp_state state; /* guarded by lock */
	bool stop; /* guarded by lock */
	bool kicked; /* guarded by lock */
	bool in_pass; /* a pass that was asked for; guarded by lock, as is the counter of passes */

	/* Where the window for counting requests began; the thread's own. */
	uint64_t window_ns, window_requests;
	uint64_t debt_ns; /* CPU time to be slept off; the thread's own */

	atomic_uint_fast64_t done, kept, saved, passes, pauses;
};

/* Gather a batch from pass->cursor on. Return: false when the end was reached. */
bool recomp_gather(struct recompressor *rc, struct recomp_pass *pass);

/* Compress what was gathered. Takes no lock but a stream that is nobody else's. */
void recomp_compress(struct recompressor *rc);

/* Put the results in place. */
void recomp_publish(struct recompressor *rc, struct recomp_pass *pass);

#endif
