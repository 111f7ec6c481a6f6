// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * spiller.c - when objects go out, and the thread "zt-spill", which is owned by the block map.
 *
 * Near the limit so much goes that an eighth of it is free again: first what was not used for the
 * longest time. The age at which enough was found is where the next look begins, so that most need
 * one look or two.
 *
 * Locks: spiller.h.
 */
#include "blkmap/upkeep/spiller.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include "blkmap/slot/account.h"
#include "blkmap/slot/age.h"
#include "util/alloc.h"
#include "util/clock.h"
#include "util/sizes.h"

/* So much of the limit is kept free. */
#define FREE_DIVISOR 8u
/* And so much before a snapshot, which takes memory for what changes. */
#define SNAPSHOT_DIVISOR 4u
/* Where less than this part is free, looks come more often. */
#define NEAR_DIVISOR 4u
#define NEAR_NS	     (50 * ZT_NS_PER_MS)
/* When memory is short in the machine: so much at a time, of what was not used for a while. */
#define PSI_BYTES (64 * MIB)
/* A thread that waits for memory goes on when so much went. */
#define RELIEVE_BYTES (256 * KIB)
/* Most bytes that compaction copies before a look. */
#define COMPACT_ROUND (4 * MIB)
/* Bytes spared to begin with when memory is used up; a 64th of the limit at most. */
#define SPARE	      (256 * KIB)
#define SPARE_DIVISOR 64u
/* The oldest that is looked for, in ticks; then half of that, and so on. */
#define AGE_OLDEST 128u

/* ---- what goes ---- */

/* Bytes that are to go for a part of the limit to be free. */
static uint64_t bytes_over(const struct spiller *spiller, unsigned divisor)
{
	struct arena_stat arena;
	uint64_t most;

	arena_get_stat(spiller->slots->arena, &arena);
	if (!arena.limit)
		return 0;
	most = arena.limit - arena.limit / divisor;
	return arena.used > most ? arena.used - most : 0;
}

/* By ages, the oldest first; of each age first what does not compress. pass_lock held. */
static uint64_t spill_oldest(struct spiller *spiller, uint64_t most, unsigned least_age)
{
	unsigned age = spiller->age ? spiller->age * 2 : 1;
	struct spill_pass pass = { .most = most };
	int error = 0;

	if (age > AGE_OLDEST)
		age = AGE_OLDEST;
	for (;; age /= 2) {
		pass.age = age > least_age ? age : least_age;
		for (int raw = 1; raw >= 0 && !error && pass.freed < most; raw--) {
			pass.raw = raw;
			error = spiller_pass(spiller, &pass);
		}
		if (error || pass.freed >= most || age <= least_age)
			break;
	}
	spiller->age = age;
	return pass.freed;
}

/*
 * What was written in small pieces lies in cluster maps, near the limit most of all. It is folded, and
 * goes then. pass_lock held.
 */
static uint64_t spill_folded(struct spiller *spiller, uint64_t most)
{
	uint64_t freed = 0;

	while (freed < most && spill_may_write(spiller->spill) &&
	       fold_some(spiller->folder, 0, FOLD_A_BIT) > 0) {
		const uint64_t more = spill_oldest(spiller, most - freed, 0);

		freed += more;
		if (more == 0)
			break;
	}
	return freed;
}

/* What a pass has left. pass_lock held. */
static void tidy(struct spiller *spiller, uint64_t freed)
{
	spill_give_back(spiller->spill);
	spill_cool(spiller->spill);
	if (freed > 0)
		zt_map_drop(spiller->batch.bytes, SPILL_BATCH_BYTES);
}

uint64_t spiller_now(struct spiller *spiller, unsigned age, uint64_t most)
{
	struct spill_pass pass = { .age = age, .most = most };
	int error;

	mutex_lock(&spiller->pass_lock);
	error = spiller_pass(spiller, &pass);
	(void)error; /* what did not go stays as it was */
	tidy(spiller, pass.freed);
	mutex_unlock(&spiller->pass_lock);
	mutex_lock(&spiller->lock);
	spiller->rounds++;
	mutex_unlock(&spiller->lock);
	return pass.freed;
}

/* ---- the thread ---- */

/* What woke it. */
struct round {
	bool go_on, kicked, all;
};

static struct round round_wait(struct spiller *spiller)
{
	const bool near = limit_is_near(spiller->slots, NEAR_DIVISOR, UINT64_MAX);
	const struct timespec until =
		zt_timespec(zt_now_ns() + (near ? NEAR_NS : ZT_NS_PER_S));
	struct round round;

	mutex_lock(&spiller->lock);
	while (!spiller->stop && !spiller->kicked &&
	       cond_wait_until(&spiller->cond, &spiller->lock, &until))
		;
	round = (struct round){ !spiller->stop, spiller->kicked, spiller->all };
	spiller->kicked = spiller->all = false;
	spiller->in_pass = true;
	mutex_unlock(&spiller->lock);
	return round;
}

static void round_end(struct spiller *spiller)
{
	mutex_lock(&spiller->lock);
	spiller->rounds++;
	spiller->in_pass = false;
	cond_broadcast(&spiller->cond);
	mutex_unlock(&spiller->lock);
}

/* Whether the trigger has fired since the last call. */
static bool psi_fired(int fd)
{
	struct pollfd wanted = { .fd = fd, .events = POLLPRI };

	return fd >= 0 && poll(&wanted, 1, 0) == 1 && (wanted.revents & POLLPRI);
}

/* pass_lock held. Return: bytes that went. */
static uint64_t round_run(struct spiller *spiller, const struct round *round)
{
	uint64_t over = bytes_over(spiller, FREE_DIVISOR), freed = 0;

	if (!spill_may_write(spiller->spill))
		return 0;
	/* Gaps first: they cost no disk. */
	if (over > 0 && zs_compact(spiller->slots->data, COMPACT_ROUND) > 0)
		over = bytes_over(spiller, FREE_DIVISOR);
	if (round->all) {
		fold_idle(spiller->folder, 0);
		return spill_oldest(spiller, UINT64_MAX, 0);
	}
	if (round->kicked && over < RELIEVE_BYTES)
		over = RELIEVE_BYTES;
	if (over > 0) {
		freed = spill_oldest(spiller, over, 0);
		if (freed < over)
			freed += spill_folded(spiller, over - freed);
	} else if (psi_fired(spiller->psi)) {
		freed = spill_oldest(spiller, PSI_BYTES, 2);
	}
	if (spiller->idle && !round->kicked) {
		struct spill_pass pass = { .age = spiller->idle, .most = UINT64_MAX };
		const int error = spiller_pass(spiller, &pass);

		(void)error; /* what did not go stays as it was */
		freed += pass.freed;
	}
	return freed;
}

static void *spill_thread(void *arg)
{
	struct spiller *spiller = arg;
	struct round round;

	while ((round = round_wait(spiller)).go_on) {
		uint64_t freed;

		ages_tick(spiller->slots);
		mutex_lock(&spiller->pass_lock);
		arena_use_spare(true);
		freed = round_run(spiller, &round);
		arena_use_spare(false);
		tidy(spiller, freed);
		mutex_unlock(&spiller->pass_lock);
		/* Gaps that are left in pages are no memory yet. */
		if (freed > 0)
			(void)zs_compact(spiller->slots->data, COMPACT_ROUND);
		round_end(spiller);
	}
	round_end(spiller);
	return NULL;
}

/* ---- asked for ---- */

bool spiller_may_help(struct spiller *spiller)
{
	return spiller && spiller->has_thread && spill_may_write(spiller->spill);
}

uint64_t spiller_relieve(struct spiller *spiller, uint64_t until_ns)
{
	const struct timespec until = zt_timespec(until_ns);
	uint64_t freed, rounds;

	if (!spiller_may_help(spiller))
		return 0;
	mutex_lock(&spiller->lock);
	freed = spiller->freed;
	/* One that is on its way may have begun before this was wanted. */
	rounds = spiller->rounds + spiller->in_pass;
	spiller->kicked = true;
	cond_broadcast(&spiller->cond);
	while (!spiller->stop && spiller->freed == freed && spiller->rounds <= rounds &&
	       cond_wait_until(&spiller->cond, &spiller->lock, &until))
		;
	freed = spiller->freed - freed;
	mutex_unlock(&spiller->lock);
	return freed;
}

uint64_t spiller_kick(struct spiller *spiller)
{
	uint64_t rounds;

	mutex_lock(&spiller->lock);
	rounds = spiller->rounds + spiller->in_pass;
	spiller->kicked = spiller->all = true;
	cond_broadcast(&spiller->cond);
	mutex_unlock(&spiller->lock);
	return rounds;
}

void spiller_make_space(struct spiller *spiller)
{
	const uint64_t over = bytes_over(spiller, SNAPSHOT_DIVISOR);

	mutex_lock(&spiller->pass_lock);
	if (over > 0 && spill_may_write(spiller->spill))
		(void)spill_oldest(spiller, over, 0); /* as much as there is */
	mutex_unlock(&spiller->pass_lock);
	(void)zs_compact(spiller->slots->data, COMPACT_ROUND);
}

void spiller_hold(struct spiller *spiller)
{
	atomic_store_explicit(&spiller->held, true, memory_order_relaxed);
	mutex_lock(&spiller->pass_lock);
}

void spiller_release(struct spiller *spiller)
{
	atomic_store_explicit(&spiller->held, false, memory_order_relaxed);
	mutex_unlock(&spiller->pass_lock);
}

void spiller_get_stat(struct spiller *spiller, struct blkmap_stat *out_stat)
{
	if (!spiller)
		return;
	spill_get_stat(spiller->spill, &out_stat->spill);
	mutex_lock(&spiller->lock);
	out_stat->spill_passes = spiller->rounds;
	mutex_unlock(&spiller->lock);
}

/* ---- life ---- */

int spiller_create(struct folder *folder, const struct blkmap_params *params, char error_text[256],
		   struct spiller **out_spiller)
{
	struct slots *slots = folder->codecs->slots;
	struct arena_stat arena;
	struct spiller *spiller = zt_zalloc(sizeof(*spiller));
	int error = -ENOMEM;

	if (!spiller)
		return error;
	spiller->batch.bytes = zt_map(SPILL_BATCH_BYTES);
	if (!spiller->batch.bytes)
		goto err_free;
	spiller->set_aside = sizeof(*spiller) + SPILL_BATCH_BYTES;
	error = arena_set_aside(slots->arena, spiller->set_aside);
	if (error) {
		snprintf(error_text, 256, "the memory limit is too small for spill=");
		goto err_bytes;
	}
	spiller->slots = slots;
	spiller->spill = slots->spill;
	spiller->folder = folder;
	spiller->psi = -1;
	spiller->age = AGE_OLDEST / 2;
	/* Folding takes before it gives. Recompression keeps as much for its own sake. */
	arena_get_stat(slots->arena, &arena);
	if (!params->recompress && arena.limit >= SPARE_DIVISOR * SPARE)
		arena_set_spare(slots->arena, SPARE);
	spiller->idle = params->spill_idle ? ages_ticks(slots, params->spill_idle) : 0;
	mutex_init(&spiller->pass_lock, ZT_RANK_SPILL_PASS);
	mutex_init(&spiller->lock, ZT_RANK_SPILLER);
	cond_init(&spiller->cond);
	*out_spiller = spiller;
	return 0;

err_bytes:
	zt_unmap(spiller->batch.bytes, SPILL_BATCH_BYTES);
err_free:
	zt_free(spiller);
	return error;
}

void spiller_destroy(struct spiller *spiller)
{
	if (!spiller)
		return;
	cond_exit(&spiller->cond);
	mutex_exit(&spiller->lock);
	mutex_exit(&spiller->pass_lock);
	arena_set_spare(spiller->slots->arena, 0);
	arena_unset_aside(spiller->slots->arena, spiller->set_aside);
	zt_unmap(spiller->batch.bytes, SPILL_BATCH_BYTES);
	zt_free(spiller);
}

int spiller_start(struct spiller *spiller, int psi)
{
	int error;

	spiller->psi = psi;
	error = pthread_create(&spiller->thread, NULL, spill_thread, spiller);
	if (error) {
		if (psi >= 0)
			close(psi);
		spiller->psi = -1;
		return -error;
	}
	pthread_setname_np(spiller->thread, "zt-spill");
	spiller->has_thread = true;
	return 0;
}

void spiller_stop(struct spiller *spiller)
{
	if (!spiller || !spiller->has_thread)
		return;
	mutex_lock(&spiller->lock);
	spiller->stop = true;
	cond_broadcast(&spiller->cond);
	mutex_unlock(&spiller->lock);
	spill_join(spiller->spill, spiller->thread);
	if (spiller->psi >= 0)
		close(spiller->psi);
	spiller->psi = -1;
	spiller->has_thread = false;
}
