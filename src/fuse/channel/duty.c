// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * duty.c - which threads read requests: states and numbers. See duty.h.
 */
#include "fuse/channel/duty.h"

#include "util/sizes.h"

/* A read(2) that took less found a request waiting. */
#define NO_WAIT_NS 3000u
/*
 * Served so long without waiting once: one more thread gets the duty. A single request counts for
 * no more than the second number, since a thread that was not running has not been busy.
 */
#define BUSY_NS      200000u
#define BUSY_MOST_NS 20000u
/* Waited so often while others have the duty, too: one fewer is enough. */
#define NR_WAITS 16u
/* So many long requests without a short one between them are a stream. */
#define NR_LONG 3u

/* Behind each arrow its state, more by one: 0 is no arrow. */
#define TO(state) ((state) + 1u)

static const unsigned char arrows[DUTY_NR_STATES][DUTY_NR_EVENTS] = {
	[DUTY_AWAY] = { [DUTY_TAKE] = TO(DUTY_READING), [DUTY_PARK] = TO(DUTY_PARKED) },
	[DUTY_PARKED] = { [DUTY_CALL] = TO(DUTY_READING) },
	[DUTY_READING] = { [DUTY_REQUEST] = TO(DUTY_SERVING) },
	[DUTY_SERVING] = { [DUTY_DONE] = TO(DUTY_READING), [DUTY_LEAVE] = TO(DUTY_AWAY) },
};

bool duty_move(_Atomic enum duty_state *state, enum duty_event event)
{
	enum duty_state from = atomic_load(state);

	/* Again when another thread was first: from there the arrow may be missing. */
	while (arrows[from][event] != 0)
		if (atomic_compare_exchange_weak(state, &from,
						 (enum duty_state)(arrows[from][event] - 1u)))
			return true;
	return false;
}

void duty_init(struct duty *duty, unsigned most)
{
	duty->most_wanted = most;
	atomic_init(&duty->nr_wanted, 1);
}

void duty_want(struct duty *duty, int by)
{
	if (by > 0 ? duty->nr_wanted < duty->most_wanted : duty->nr_wanted > 1)
		duty->nr_wanted += (unsigned)by;
}

static unsigned wanted(const struct duty *duty)
{
	return atomic_load_explicit(&duty->nr_wanted, memory_order_relaxed);
}

int duty_short(struct duty *duty, struct duty_pace *pace, uint64_t asked_at_ns, uint64_t now_ns)
{
	const uint64_t before = pace->read_at_ns;

	atomic_store_explicit(&duty->nr_long, 0, memory_order_relaxed);
	pace->read_at_ns = now_ns;
	if (now_ns - asked_at_ns >= NO_WAIT_NS) {
		pace->busy_ns = 0;
		if (wanted(duty) == 1 || ++pace->nr_waits < NR_WAITS)
			return 0;
		pace->nr_waits = 0;
		return -1;
	}
	pace->nr_waits = 0;
	pace->busy_ns += before ? min_u64(now_ns - before, BUSY_MOST_NS) : 0;
	if (pace->busy_ns < BUSY_NS || wanted(duty) >= duty->most_wanted)
		return 0;
	pace->busy_ns = 0;
	return 1;
}

bool duty_long(struct duty *duty, struct duty_pace *pace)
{
	pace->nr_waits = 0;
	return atomic_fetch_add_explicit(&duty->nr_long, 1, memory_order_relaxed) + 1 >= NR_LONG &&
	       wanted(duty) < duty->most_wanted;
}
