// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * copies.c - objects that are out, read into memory for a while. See spill.h for the protocol.
 *
 *     FREE --taken--> READING --read--> READY or FAILED --no user, and another is wanted--> READING
 *
 * A copy that no thread uses stays as it is until it is wanted for another object, the one that was
 * used longest ago first, or until nobody has wanted it for a second or two. A copy of an object that
 * is gone is found by nobody, and is free when its last user goes.
 *
 * Threads of reader.c read. A thread that needs a copy waits, but not for ever, and what it no longer
 * waits for is read all the same.
 *
 * Locks: spill.lock, innermost.
 */
#include <errno.h>
#include <string.h>

#include "blkmap/spill/spill_i.h"
#include "util/alloc.h"
#include "util/clock.h"
#include "util/hook.h"
#include "util/log.h"
#include "util/sizes.h"

/* What a thread wants, and has. */
struct wants {
	struct spill *spill; /* of the ids */
	unsigned nr, nr_copies;
	int error; /* why it was not waited for: for what stands in no copy; 0: it was */
	spill_id ids[SPILL_WANTS]; /* pinned */
	struct spill_copy *copies[SPILL_WANTS]; /* the thread is one of their users */
};

static _Thread_local struct wants wants;

uint64_t spill_patience_ns = 20 * ZT_NS_PER_S;
uint64_t spill_hangs_ns = 10 * ZT_NS_PER_S;

/* So many times the patience a thread waits that others, but not it, are answered meanwhile. */
#define PATIENCES 6u

/* ---- copies; lock held ---- */

static struct spill_copy *copy_of(struct spill *spill, const struct spill_live *live)
{
	return live->copy ? &spill->copies[live->copy - 1] : NULL;
}

void copy_settle(struct spill *spill, struct spill_copy *copy)
{
	if (copy->users > 0 || copy->state == COPY_READING)
		return;
	/* What failed is tried anew. */
	if (copy->state == COPY_FAILED && copy->id)
		copy_forget(spill, live_at(&spill->table, copy->id));
	if (!copy->id)
		copy->state = COPY_FREE;
	cond_broadcast(&spill->cond);
}

void copy_forget(struct spill *spill, struct spill_live *live)
{
	struct spill_copy *copy = copy_of(spill, live);

	if (!copy)
		return;
	live->copy = 0;
	copy->id = 0;
	if (copy->users == 0 && copy->state != COPY_READING)
		copy->state = COPY_FREE;
}

static void copy_put(struct spill *spill, struct spill_copy *copy) ZT_REQUIRES(spill->lock)
{
	copy->users--;
	copy->used = ++spill->use;
	copy_settle(spill, copy);
}

/* One that can be had for another object, or NULL. */
static struct spill_copy *copy_find_free(struct spill *spill)
{
	struct spill_copy *oldest = NULL;

	for (unsigned i = 0; i < spill->nr_copies; i++) {
		struct spill_copy *copy = &spill->copies[i];

		if (copy->users > 0 || copy->state == COPY_READING)
			continue;
		if (copy->state == COPY_FREE)
			return copy;
		if (!oldest || copy->used < oldest->used)
			oldest = copy;
	}
	return oldest;
}

void spill_cool(struct spill *spill)
{
	const uint64_t now = zt_now_ns();

	mutex_lock(&spill->lock);
	if (now - spill->cool_ns < ZT_NS_PER_S) {
		mutex_unlock(&spill->lock);
		return;
	}
	for (unsigned i = 0; i < spill->nr_copies; i++) {
		struct spill_copy *copy = &spill->copies[i];

		if (!copy->warm || copy->users > 0 || copy->state == COPY_READING ||
		    copy->used > spill->cool_use)
			continue;
		if (copy->id)
			copy_forget(spill, live_at(&spill->table, copy->id));
		copy->state = COPY_FREE;
		copy->warm = false;
		zt_map_drop(copy->data, COPY_BYTES);
	}
	spill->cool_use = spill->use;
	spill->cool_ns = now;
	mutex_unlock(&spill->lock);
}

/* ---- under slot locks ---- */

int spill_hold(struct spill *spill, spill_id id, const char **out_bytes)
{
	struct spill_copy *copy;
	int error = -EREMOTE;

	mutex_lock(&spill->lock);
	copy = copy_of(spill, live_at(&spill->table, id));
	if (copy && copy->state == COPY_READY) {
		copy->users++;
		*out_bytes = copy->data;
		error = 0;
	} else if (copy && copy->state == COPY_FAILED) {
		error = -EIO;
	}
	mutex_unlock(&spill->lock);
	return error == -EREMOTE && wants.error ? wants.error : error;
}

void spill_let(struct spill *spill, spill_id id)
{
	mutex_lock(&spill->lock);
	copy_put(spill, copy_of(spill, live_at(&spill->table, id)));
	mutex_unlock(&spill->lock);
}

bool spill_want(struct spill *spill, spill_id id)
{
	if (wants.nr > 0 && wants.spill != spill)
		return false;
	for (unsigned i = 0; i < wants.nr; i++)
		if (wants.ids[i] == id)
			return true;
	if (wants.nr == SPILL_WANTS)
		return false;
	mutex_lock(&spill->lock);
	live_at(&spill->table, id)->pins++;
	mutex_unlock(&spill->lock);
	wants.spill = spill;
	wants.ids[wants.nr++] = id;
	return true;
}

bool spill_read_again(struct spill *spill, spill_id id)
{
	const uint32_t now = (uint32_t)(zt_now_ns() / ZT_NS_PER_S) + 1;
	struct spill_live *live = live_at(&spill->table, id);
	bool again;

	mutex_lock(&spill->lock);
	again = live->read && live->read != now;
	if (!live->read)
		live->read = now;
	mutex_unlock(&spill->lock);
	return again;
}

/* ---- with nothing held ---- */

/* So long it waits before it looks whether it still may. */
#define LOOK_NS (50 * ZT_NS_PER_MS)

/* A wait for the disk. */
struct waiting {
	const struct spill_patience *patience;
	uint64_t begin_ns;
	unsigned rank; /* threads that waited when it began */
};

/* Why it no longer waits; 0: it does. The lock is let go for the question. */
static int ends_waiting(struct spill *spill, const struct waiting *waiting) ZT_REQUIRES(spill->lock)
{
	const struct spill_patience *patience = waiting->patience;
	const uint64_t now = zt_now_ns(), waited = now - waiting->begin_ns;
	/* One that is busy answers somebody now and then. */
	const uint64_t silent = now - max_u64(waiting->begin_ns, spill->answered_ns);
	bool over;

	if (waited < SPILL_SLOW_NS)
		return 0;
	spill->stuck |= silent >= spill_patience_ns;
	if (spill->stuck || waited >= PATIENCES * spill_patience_ns ||
	    (silent >= spill_hangs_ns && waiting->rank >= spill->most_waiting))
		return -EIO;
	mutex_unlock(&spill->lock);
	over = patience && patience->is_over(patience->arg);
	mutex_lock(&spill->lock);
	return over ? -EINTR : 0;
}

/* A little, for a copy. Return: 0 look again; -EINTR, -EIO it is waited for no longer. */
static int wait_some(struct spill *spill, const struct waiting *waiting) ZT_REQUIRES(spill->lock)
{
	const struct timespec until = zt_timespec(zt_now_ns() + LOOK_NS);

	(void)cond_wait_until(&spill->cond, &spill->lock, &until); /* it looks again anyway */
	wants.error = ends_waiting(spill, waiting);
	return wants.error;
}

/* Copies of all that is wanted, or of as much as there are copies for; one at least. */
static void copies_take(struct spill *spill, const struct waiting *waiting,
			struct reading *reading) ZT_REQUIRES(spill->lock)
{
	for (unsigned i = 0; i < wants.nr; i++) {
		struct spill_live *live = live_at(&spill->table, wants.ids[i]);
		struct spill_copy *copy = copy_of(spill, live);

		/* It is named no longer: whoever looks again finds something else. */
		if (live->gone)
			continue;
		while (!copy && !(copy = copy_find_free(spill)) && wants.nr_copies == 0) {
			if (wait_some(spill, waiting))
				return;
			copy = copy_of(spill, live);
		}
		if (!copy)
			return;
		copy->users++;
		wants.copies[wants.nr_copies++] = copy;
		if (copy_of(spill, live) == copy || live->gone)
			continue;
		if (copy->id)
			copy_forget(spill, live_at(&spill->table, copy->id));
		copy->id = wants.ids[i];
		copy->state = COPY_READING;
		copy->warm = true;
		live->copy = (uint16_t)(copy - spill->copies + 1);
		live->pins++; /* the reading's own: this thread may not wait for its end */
		reading->each[reading->nr++] =
			(struct one_reading){ .copy = copy,
					      .id = wants.ids[i],
					      .entry = entry_at(&spill->table, wants.ids[i]) };
	}
}

/* What others read, for this thread or for themselves. */
static void wait_for_copies(struct spill *spill, const struct waiting *waiting)
	ZT_REQUIRES(spill->lock)
{
	for (unsigned i = 0; i < wants.nr_copies; i++)
		while (wants.copies[i]->state == COPY_READING)
			if (wait_some(spill, waiting))
				return;
	wants.error = 0; /* it may have come while it asked */
}

/* Said once, until the disk answers. */
static void tell_stuck(struct spill *spill)
{
	if (read_error_is_new(spill, &spill->told_stuck))
		zt_log(ZT_LOG_ERR,
		       "spill: the disk does not answer; files that need it fail with %s until it does",
		       strerror(EIO));
}

static void give_copies(struct spill *spill) ZT_REQUIRES(spill->lock)
{
	while (wants.nr_copies > 0)
		copy_put(spill, wants.copies[--wants.nr_copies]);
}

static void unpin_all(struct spill *spill) ZT_REQUIRES(spill->lock)
{
	while (wants.nr > 0)
		object_unpin(spill, wants.ids[--wants.nr]);
}

void spill_fetch(struct spill *spill, const struct spill_patience *patience)
{
	struct waiting waiting = { .patience = patience, .begin_ns = zt_now_ns() };
	struct reading reading = { .nr = 0 };

	ZT_ASSERT(wants.spill == spill || (wants.nr == 0 && wants.nr_copies == 0));
	wants.error = 0;
	mutex_lock(&spill->lock);
	waiting.rank = spill->nr_waiting++;
	give_copies(spill);
	copies_take(spill, &waiting, &reading);
	mutex_unlock(&spill->lock);
	zt_hook("spill: a thread reads with nothing held", reading.nr);
	if (reading.nr > 0)
		reading_start(spill, &reading);
	mutex_lock(&spill->lock);
	if (!wants.error)
		wait_for_copies(spill, &waiting);
	spill->nr_waiting--;
	unpin_all(spill);
	mutex_unlock(&spill->lock);
	if (wants.error == -EIO)
		tell_stuck(spill);
}

void spill_done(struct spill *spill)
{
	wants.error = 0;
	if (wants.nr == 0 && wants.nr_copies == 0)
		return;
	ZT_ASSERT(wants.spill == spill);
	mutex_lock(&spill->lock);
	give_copies(spill);
	unpin_all(spill);
	mutex_unlock(&spill->lock);
}

void spill_set_waiters(struct spill *spill, unsigned most)
{
	mutex_lock(&spill->lock);
	spill->most_waiting = most;
	mutex_unlock(&spill->lock);
}
