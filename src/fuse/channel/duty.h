/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * duty.h - which threads read requests. No threads here: states, and numbers that lead from one to
 * another.
 *
 *              TAKE             REQUEST
 *     AWAY ----------> READING ----------> SERVING
 *     |  ^             ^    ^                |  |
 *     |  |        CALL |    `----- DONE -----'  |
 *     |  |             |                        |
 *     |  `-------------+--------- LEAVE --------'
 *     |  PARK          |
 *     `------------> PARKED
 *
 *     TAKE     the thread itself: fewer are on duty than are wanted. Under the channel's lock.
 *     PARK     the thread itself: enough are. It gives its buffer back and sleeps. Under the lock.
 *     CALL     a thread that finds that one more is wanted. The called one is woken, which costs
 *              some microseconds, and gets the buffer that was used last. Under the lock.
 *     REQUEST  the thread itself: one has come. No lock.
 *     DONE     the thread itself: it was short, and the duty has not been taken away. No lock.
 *     LEAVE    the thread itself, before what is long, or the caretaker, when the thread has been
 *              in the same request for 5 ms. No lock; the one of both that comes first does it, and
 *              then makes it known under the lock.
 *
 * READING and SERVING have the duty. As long as requests are short one thread has it and no other
 * runs: waking another thread, on another CPU, costs more than such a request.
 */
#ifndef ZT_FUSE_CHANNEL_DUTY_H
#define ZT_FUSE_CHANNEL_DUTY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum duty_state {
	DUTY_AWAY, /* serves a request, or is not there; has no duty */
	DUTY_PARKED, /* has no duty, sleeps until it gets it */
	DUTY_READING, /* has the duty, waits for a request */
	DUTY_SERVING, /* has the duty, will soon be back */
	DUTY_NR_STATES
};

enum duty_event {
	DUTY_TAKE,
	DUTY_PARK,
	DUTY_CALL,
	DUTY_REQUEST,
	DUTY_DONE,
	DUTY_LEAVE,
	DUTY_NR_EVENTS
};

/**
 * duty_move() - follow an arrow
 * Sequentially consistent: a thread that looks at the state afterwards, and was looked for before,
 * is seen.
 * Return: false when none leads from where @state is: nothing has happened.
 */
bool duty_move(_Atomic enum duty_state *state, enum duty_event event);

/* How many have the duty, and how many should. */
struct duty {
	unsigned most_wanted; /* constant */
	unsigned nr_on; /* READING or SERVING; guarded by the channel's lock */
	_Atomic unsigned
		nr_wanted; /* 1 at least; changed under the lock, a relaxed load is a hint */
	_Atomic unsigned nr_long; /* long requests since the last short one; relaxed: a hint */
};

/* What one thread remembers of its requests; its own. */
struct duty_pace {
	uint64_t read_at_ns; /* when it last had a request; 0: it has not been there */
	uint64_t busy_ns; /* since when it has not waited */
	unsigned nr_waits; /* one after the other, with others on duty */
};

/** duty_init() - for @most threads that may read at a time */
void duty_init(struct duty *duty, unsigned most);

/** duty_is_free() - whether one more is wanted; with the channel's lock held */
static inline bool duty_is_free(const struct duty *duty)
{
	return duty->nr_on < atomic_load_explicit(&duty->nr_wanted, memory_order_relaxed);
}

/** duty_want() - @by more, or fewer when negative; with the channel's lock held */
void duty_want(struct duty *duty, int by);

/**
 * duty_short() - a short request has come: are those on duty too few or too many?
 * @asked_at_ns, @now_ns: when the thread went to read, and when it had it
 * Return: 1: one more is wanted; -1: one fewer, and this one may go; 0: as it is.
 */
int duty_short(struct duty *duty, struct duty_pace *pace, uint64_t asked_at_ns, uint64_t now_ns);

/**
 * duty_long() - a long one has come
 * Return: true: one more is wanted. When several come one after the other, the thread that takes the
 * next one shall wait in read(2) already, and not be called each time.
 */
bool duty_long(struct duty *duty, struct duty_pace *pace);

/** duty_pace_begin() - the thread has been away */
static inline void duty_pace_begin(struct duty_pace *pace)
{
	pace->read_at_ns = 0;
	pace->nr_waits = 0;
}

#endif
