// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * reader.c - threads that read what is out: a disk that does not answer has them, and no thread that serves.
 *
 *     reading_start() -> waiting jobs -> "zt-disk/N": the file, sums -> copies are READY or FAILED
 *
 * A thread is made when a job finds none that is idle. Where none can be made, and after spill_quiet(), the
 * thread that wants something reads it itself.
 *
 * Locks: spill.lock, innermost. The file is read with no lock held.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <xxhash.h>

#include "blkmap/spill/spill_i.h"
#include "util/clock.h"
#include "util/log.h"

/* ---- reading; nothing is held ---- */

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

bool read_error_is_new(struct spill *spill, bool *inout_told)
{
	bool is_new;

	mutex_lock(&spill->lock);
	is_new = !*inout_told;
	*inout_told = true;
	mutex_unlock(&spill->lock);
	atomic_fetch_add_explicit(&spill->read_errors, 1, memory_order_relaxed);
	return is_new;
}

static void tell_error(struct spill *spill, int error)
{
	if (read_error_is_new(spill, &spill->told_read))
		zt_log(ZT_LOG_ERR, "spill: cannot read: %s; files that need it fail with %s",
		       error == -EBADMSG ? "it is not what was written" : strerror(-error),
		       strerror(EIO));
}

/*
 * Whoever wanted it may have gone. A job is free when its copies are: there are as many of the ones as
 * of the others.
 */
static void reading_end(struct spill *spill, struct reading *reading, bool is_job)
{
	for (unsigned i = 0; i < reading->nr; i++)
		if (reading->each[i].error)
			tell_error(spill, reading->each[i].error);
	/* Before anybody sees it. */
	atomic_fetch_add_explicit(&spill->fetched, reading->nr, memory_order_relaxed);
	mutex_lock(&spill->lock);
	for (unsigned i = 0; i < reading->nr; i++) {
		struct spill_copy *copy = reading->each[i].copy;

		copy->state = reading->each[i].error ? COPY_FAILED : COPY_READY;
		copy_settle(spill, copy);
		object_unpin(spill, reading->each[i].id);
	}
	if (is_job)
		line_add(&spill->readers.free, &reading->item);
	spill->answered_ns = zt_now_ns();
	spill->stuck = spill->told_stuck = false;
	cond_broadcast(&spill->cond);
	mutex_unlock(&spill->lock);
}

/* ---- threads ---- */

/* The next job, or NULL: the end. */
static struct reading *job_wait(struct spill *spill) ZT_REQUIRES(spill->lock)
{
	struct spill_readers *readers = &spill->readers;
	struct line_item *item;

	readers->nr_idle++;
	while (!(item = line_take(&readers->waiting)) && !readers->stop)
		cond_wait(&readers->called, &spill->lock);
	readers->nr_idle--;
	if (!item)
		return NULL;
	readers->nr_jobs--;
	return container_of(item, struct reading, item);
}

static void *reader_run(void *arg)
{
	struct spill *spill = arg;
	struct reading *job;

	for (;;) {
		mutex_lock(&spill->lock);
		job = job_wait(spill);
		mutex_unlock(&spill->lock);
		if (!job)
			return NULL;
		read_all(spill, job);
		reading_end(spill, job, true);
	}
}

/*
 * One more, if all have something to do: one that was called, and has not woken up, has. Return: whether
 * there is any, and stays.
 */
static bool reader_add(struct spill *spill) ZT_REQUIRES(spill->lock)
{
	struct spill_readers *readers = &spill->readers;
	char name[16];

	if (readers->nr_idle <= readers->nr_jobs && readers->nr < SPILL_READERS && !readers->stop &&
	    pthread_create(&readers->threads[readers->nr], NULL, reader_run, spill) == 0) {
		snprintf(name, sizeof(name), "zt-disk/%u", readers->nr);
		pthread_setname_np(readers->threads[readers->nr], name);
		readers->nr++;
	}
	return readers->nr > 0 && !readers->stop;
}

void reading_start(struct spill *spill, struct reading *reading)
{
	struct spill_readers *readers = &spill->readers;
	struct reading *job;

	mutex_lock(&spill->lock);
	if (!reader_add(spill)) {
		mutex_unlock(&spill->lock);
		read_all(spill, reading);
		reading_end(spill, reading, false);
		return;
	}
	/* There are as many as copies, and each has one. */
	job = container_of(line_take(&readers->free), struct reading, item);
	*job = *reading;
	line_add(&readers->waiting, &job->item);
	readers->nr_jobs++;
	cond_signal(&readers->called);
	mutex_unlock(&spill->lock);
}

/* ---- life ---- */

void readers_begin(struct spill *spill)
{
	cond_init(&spill->readers.called);
	line_init(&spill->readers.waiting);
	line_init(&spill->readers.free);
	for (unsigned i = 0; i < COPIES_MAX; i++)
		line_add(&spill->readers.free, &spill->readers.jobs[i].item);
}

void readers_end(struct spill *spill)
{
	spill_quiet(spill);
	cond_exit(&spill->readers.called);
}

void spill_join(struct spill *spill, pthread_t thread)
{
	struct timespec until;

	/* The call's clock is the machine's: where that is set it is said earlier or later. */
	(void)clock_gettime(CLOCK_REALTIME, &until); /* fails only for clocks that do not exist */
	until.tv_sec += SPILL_END_S;
	if (pthread_timedjoin_np(thread, NULL, &until) == 0)
		return;
	if (!spill->told_end)
		zt_log(ZT_LOG_ERR, "spill: the disk does not answer; this process ends when it does");
	spill->told_end = true;
	zt_lock_check(pthread_join(thread, NULL));
}

void spill_quiet(struct spill *spill)
{
	unsigned nr;

	if (!spill)
		return;
	mutex_lock(&spill->lock);
	spill->readers.stop = true;
	nr = spill->readers.nr;
	cond_broadcast(&spill->readers.called);
	mutex_unlock(&spill->lock);
	while (nr > 0)
		spill_join(spill, spill->readers.threads[--nr]);
	mutex_lock(&spill->lock);
	spill->readers.nr = 0; /* a second call has none to join */
	mutex_unlock(&spill->lock);
}
