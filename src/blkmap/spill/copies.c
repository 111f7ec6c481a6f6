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
 * Locks: spill.lock, innermost. The file is read with no lock held.
 */
#include <errno.h>
#include <string.h>
#include <xxhash.h>

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
	spill_id ids[SPILL_WANTS]; /* pinned */
	struct spill_copy *copies[SPILL_WANTS]; /* the thread is one of their users */
};

static _Thread_local struct wants wants;

/* ---- copies; lock held ---- */

static struct spill_copy *copy_of(struct spill *spill, const struct spill_live *live)
{
	return live->copy ? &spill->copies[live->copy - 1] : NULL;
}

static void copy_settle(struct spill *spill, struct spill_copy *copy) ZT_REQUIRES(spill->lock)
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
	return error;
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

/* One object that is to be read by this thread. */
struct one_reading {
	struct spill_copy *copy;
	spill_id id; /* pinned: its entry stays as it is */
	const struct spill_entry *entry;
	int error;
};

struct reading {
	unsigned nr;
	struct one_reading each[SPILL_WANTS];
};

/* Copies of all that is wanted, or of as much as there are copies for; one at least. */
static void copies_take(struct spill *spill, struct reading *reading) ZT_REQUIRES(spill->lock)
{
	for (unsigned i = 0; i < wants.nr; i++) {
		struct spill_live *live = live_at(&spill->table, wants.ids[i]);
		struct spill_copy *copy = copy_of(spill, live);

		/* It is named no longer: whoever looks again finds something else. */
		if (live->gone)
			continue;
		while (!copy && !(copy = copy_find_free(spill)) && wants.nr_copies == 0) {
			cond_wait(&spill->cond, &spill->lock);
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
		reading->each[reading->nr++] =
			(struct one_reading){ .copy = copy,
					      .id = wants.ids[i],
					      .entry = entry_at(&spill->table, wants.ids[i]) };
	}
}

/* By their places: what stands side by side is read in one go. */
static void reading_sort(struct reading *reading)
{
	for (unsigned i = 1; i < reading->nr; i++) {
		for (unsigned j = i; j > 0 && entry_unit(reading->each[j].entry) <
						      entry_unit(reading->each[j - 1].entry);
		     j--) {
			const struct one_reading other = reading->each[j];

			reading->each[j] = reading->each[j - 1];
			reading->each[j - 1] = other;
		}
	}
}

int entry_open(const struct spill *spill, spill_id id, const struct spill_entry *entry, char *bytes)
{
	const struct seal_about about = { id, entry_unit(entry), entry_size(entry), entry->mask };

	if (spill->key)
		return seal_open(spill->key, entry->nonce, &about, bytes, entry->tag);
	return XXH3_64bits(bytes, entry_size(entry)) == entry->sum ? 0 : -EBADMSG;
}

/* The run of objects from @first on that stand side by side. Return: behind the last. */
static unsigned run_read(struct spill *spill, struct reading *reading, unsigned first)
{
	struct iovec iov[SPILL_WANTS];
	uint32_t unit = entry_unit(reading->each[first].entry);
	const uint64_t off = (uint64_t)unit * SPILL_UNIT;
	unsigned end = first;
	int error;

	for (; end < reading->nr && entry_unit(reading->each[end].entry) == unit; end++) {
		const uint32_t nr = units_of(entry_size(reading->each[end].entry));

		iov[end - first] = (struct iovec){ reading->each[end].copy->data,
						   (size_t)nr * SPILL_UNIT };
		unit += nr;
	}
	error = file_read(spill, off, iov, (int)(end - first));
	for (unsigned i = first; i < end; i++) {
		struct one_reading *one = &reading->each[i];

		one->error = error ? error :
				     entry_open(spill, one->id, one->entry, one->copy->data);
	}
	return end;
}

/* One at a time, where one of several is at fault. */
static void read_one_by_one(struct spill *spill, struct reading *all, unsigned first, unsigned end)
{
	for (; first < end; first++) {
		struct reading one = { .nr = 1 };

		one.each[0] = all->each[first];
		(void)run_read(spill, &one, 0);
		all->each[first].error = one.each[0].error;
	}
}

static void read_all(struct spill *spill, struct reading *reading)
{
	reading_sort(reading);
	for (unsigned first = 0, end; first < reading->nr; first = end) {
		end = run_read(spill, reading, first);
		if (end - first > 1 && reading->each[first].error)
			read_one_by_one(spill, reading, first, end);
	}
}

static void tell_error(struct spill *spill, int error)
{
	bool tell;

	mutex_lock(&spill->lock);
	tell = !spill->told_read;
	spill->told_read = true;
	mutex_unlock(&spill->lock);
	atomic_fetch_add_explicit(&spill->read_errors, 1, memory_order_relaxed);
	if (tell)
		zt_log(ZT_LOG_ERR, "spill: cannot read: %s; files that need it fail with %s",
		       error == -EBADMSG ? "it is not what was written" : strerror(-error),
		       strerror(EIO));
}

static void readings_end(struct spill *spill, const struct reading *reading)
{
	for (unsigned i = 0; i < reading->nr; i++)
		if (reading->each[i].error)
			tell_error(spill, reading->each[i].error);
	mutex_lock(&spill->lock);
	for (unsigned i = 0; i < reading->nr; i++)
		reading->each[i].copy->state = reading->each[i].error ? COPY_FAILED : COPY_READY;
	if (reading->nr > 0)
		cond_broadcast(&spill->cond);
	mutex_unlock(&spill->lock);
	atomic_fetch_add_explicit(&spill->fetched, reading->nr, memory_order_relaxed);
}

/* What other threads read for this one, too. */
static void wait_for_others(struct spill *spill) ZT_REQUIRES(spill->lock)
{
	for (unsigned i = 0; i < wants.nr_copies; i++)
		while (wants.copies[i]->state == COPY_READING)
			cond_wait(&spill->cond, &spill->lock);
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

void spill_fetch(struct spill *spill)
{
	struct reading reading = { .nr = 0 };

	ZT_ASSERT(wants.spill == spill || (wants.nr == 0 && wants.nr_copies == 0));
	mutex_lock(&spill->lock);
	give_copies(spill);
	copies_take(spill, &reading);
	mutex_unlock(&spill->lock);
	zt_hook("spill: a thread reads with nothing held", reading.nr);
	read_all(spill, &reading);
	readings_end(spill, &reading);
	mutex_lock(&spill->lock);
	wait_for_others(spill);
	unpin_all(spill);
	mutex_unlock(&spill->lock);
}

void spill_done(struct spill *spill)
{
	if (wants.nr == 0 && wants.nr_copies == 0)
		return;
	ZT_ASSERT(wants.spill == spill);
	mutex_lock(&spill->lock);
	give_copies(spill);
	unpin_all(spill);
	mutex_unlock(&spill->lock);
}
