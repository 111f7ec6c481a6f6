// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * read_split.c - one large read, decompressed by several threads where CPUs are idle.
 *
 * The reader and its helpers take pieces of the range from the front, one after the other, each with
 * a stream of its own. A helper that finds no free stream goes away again. So the reader waits only
 * for pieces that are being decompressed.
 *
 * Locks: readers.lock, innermost; nothing is called under it. Helpers hold no lock but those of
 * read_range(), so a reader may wait for them with its inode locked.
 */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "blkmap/content/content.h"
#include "blkmap/content/read.h"
#include "util/alloc.h"
#include "util/log.h"

/*
 * A helper on an idle CPU begins some 10 to 30 us later; 512 KiB are 180 us of LZ4 and 500 us of
 * zstd.
 */
#define SPLIT_MIN (512 * KIB)
/* The largest cluster; smaller ones are taken several at a time. */
#define SPLIT_PIECE ((uint64_t)ZT_PAGE_SIZE << BLKMAP_MAX_ORDER)

/* One read, on the reader's stack. */
struct split_read {
	const struct blkmap_file *file;
	uint64_t off;
	char *dst;
	size_t len;
	uint64_t first; /* piece number, by the file's beginning */
	uint64_t nr_pieces;
	atomic_uint_fast64_t next; /* piece; relaxed: any thread may take any piece */
	atomic_int error; /* of any piece; relaxed: read after the lock was held */
	unsigned nr_wanted; /* helpers that may still come; guarded by readers.lock, as the rest */
	unsigned nr_helping;
	pthread_cond_t done; /* nr_helping fell to 0 */
	struct split_read *next_read;
};

static bool take_piece(struct content *content, struct split_read *read, struct zcomp_strm *strm)
{
	const uint64_t nr = atomic_fetch_add_explicit(&read->next, 1, memory_order_relaxed);
	uint64_t from, to;
	int error;

	if (nr >= read->nr_pieces)
		return false;
	from = max_u64((read->first + nr) * SPLIT_PIECE, read->off);
	to = min_u64((read->first + nr + 1) * SPLIT_PIECE, read->off + read->len);
	error = read_range(content, read->file, strm, from, read->dst + (from - read->off),
			   to - from);
	if (error)
		atomic_store_explicit(&read->error, error, memory_order_relaxed);
	return true;
}

/* With readers.lock held. */
static void leave_queue(struct readers *readers, struct split_read *read)
{
	struct split_read **at = &readers->queue;

	while (*at && *at != read)
		at = &(*at)->next_read;
	if (*at)
		*at = read->next_read;
}

/* With readers.lock held, which is given up meanwhile. */
static void help(struct content *content, struct split_read *read)
	ZT_NO_LOCK_CHECK /* the caller holds readers->lock, which is given up meanwhile */
{
	struct readers *readers = &content->readers;
	struct zcomp_strm *strm;

	read->nr_helping++;
	if (--read->nr_wanted == 0)
		leave_queue(readers, read);
	mutex_unlock(&readers->lock);
	strm = zcomp_stream_try(content->codecs->comp);
	if (strm) {
		while (take_piece(content, read, strm))
			;
		zcomp_stream_put(content->codecs->comp, strm);
		/* What is out is for the reader to wait for. */
		if (content->slots->spill)
			spill_done(content->slots->spill);
	}
	mutex_lock(&readers->lock);
	if (--read->nr_helping == 0)
		cond_signal(&read->done);
}

static void *helper_thread(void *arg)
{
	struct content *content = arg;
	struct readers *readers = &content->readers;

	mutex_lock(&readers->lock);
	while (!readers->stop) {
		if (readers->queue)
			help(content, readers->queue);
		else
			cond_wait(&readers->called, &readers->lock);
	}
	mutex_unlock(&readers->lock);
	return NULL;
}

/*
 * A helper is made by a thread that serves, which may be bound to one CPU just now: it runs where the
 * process began, all the same.
 */
static int start_helper(struct content *content, pthread_t *out_thread)
{
	pthread_attr_t attr;
	cpu_set_t cpus;
	int error = pthread_attr_init(&attr);

	if (error)
		return error;
	if (sched_getaffinity(getpid(), sizeof(cpus), &cpus) == 0)
		(void)pthread_attr_setaffinity_np(&attr, sizeof(cpus), &cpus); /* or as its maker */
	error = zt_fault_hit() ? EAGAIN : pthread_create(out_thread, &attr, helper_thread, content);
	zt_lock_check(pthread_attr_destroy(&attr));
	return error;
}

/* With readers.lock held: as many helpers as other CPUs, once. Return: 0 or why there are fewer. */
static int start_helpers(struct content *content)
{
	struct readers *readers = &content->readers;
	const unsigned wanted = (unsigned)min_u64(content->nr_cpus - 1, READERS_MAX);
	int error = 0;

	readers->started = true;
	while (readers->nr_threads < wanted && !error) {
		pthread_t *thread = &readers->threads[readers->nr_threads];
		char name[16];

		error = start_helper(content, thread);
		if (error)
			break;
		(void)snprintf(name, sizeof(name), "zt-read/%u", readers->nr_threads % 100);
		(void)pthread_setname_np(*thread, name); /* for people only */
		readers->nr_threads++;
	}
	return error;
}

/* Return: how many helpers were called. */
static unsigned call_helpers(struct content *content, struct split_read *read, unsigned nr_busy)
{
	struct readers *readers = &content->readers;
	int error = 0;
	unsigned nr;

	mutex_lock(&readers->lock);
	if (!readers->started && !readers->stop)
		error = start_helpers(content);
	nr = (unsigned)min_u64(content->nr_cpus - nr_busy, readers->nr_threads);
	nr = (unsigned)min_u64(nr, read->nr_pieces / 2);
	read->nr_wanted = nr;
	if (nr > 0) {
		read->next_read = readers->queue;
		readers->queue = read;
	}
	for (unsigned i = 0; i < nr; i++)
		cond_signal(&readers->called);
	mutex_unlock(&readers->lock);
	if (error)
		zt_log(ZT_LOG_WARN, "large reads: not as many threads as CPUs: %s",
		       strerror(error));
	return nr;
}

/* No helper comes any more, and none is at work. */
static void wait_for_helpers(struct readers *readers, struct split_read *read)
{
	mutex_lock(&readers->lock);
	if (read->nr_wanted > 0)
		leave_queue(readers, read);
	while (read->nr_helping > 0)
		cond_wait(&read->done, &readers->lock);
	mutex_unlock(&readers->lock);
}

static int split_range(struct content *content, struct split_read *read, unsigned nr_busy)
{
	struct zcomp_strm *strm;
	unsigned nr;

	cond_init(&read->done);
	strm = zcomp_stream_get(content->codecs->comp,
				ZSTRM_DEFAULT); /* before a helper has the last one */
	nr = call_helpers(content, read, nr_busy);
	while (take_piece(content, read, strm))
		;
	zcomp_stream_put(content->codecs->comp, strm);
	if (nr > 0) {
		wait_for_helpers(&content->readers, read);
		atomic_fetch_add_explicit(&content->reads_split, 1, memory_order_relaxed);
	}
	cond_exit(&read->done);
	return atomic_load_explicit(&read->error, memory_order_relaxed);
}

int read_large(struct content *content, const struct blkmap_file *file, uint64_t off, void *buf,
	       size_t len)
{
	struct split_read read = {
		.file = file,
		.off = off,
		.dst = buf,
		.len = len,
		.first = off / SPLIT_PIECE,
		.nr_pieces = (off + len - 1) / SPLIT_PIECE - off / SPLIT_PIECE + 1,
	};
	/* This one, too. */
	const unsigned nr_busy =
		atomic_fetch_add_explicit(&content->large_reads, 1, memory_order_relaxed) + 1 +
		atomic_load_explicit(&content->active_writes, memory_order_relaxed);
	struct zcomp_strm *strm;
	int error;

	if (nr_busy < content->nr_cpus) {
		error = split_range(content, &read, nr_busy);
	} else {
		strm = zcomp_stream_get(content->codecs->comp, ZSTRM_DEFAULT);
		error = read_range(content, file, strm, off, buf, len);
		zcomp_stream_put(content->codecs->comp, strm);
	}
	atomic_fetch_sub_explicit(&content->large_reads, 1, memory_order_relaxed);
	if (error == -EREMOTE)
		content_want(content, file, off / cluster_size(file->order),
			     (off + len - 1) / cluster_size(file->order));
	return error;
}

bool read_is_large(size_t len)
{
	return len >= SPLIT_MIN;
}

void readers_init(struct readers *readers)
{
	mutex_init(&readers->lock, ZT_RANK_READERS);
	cond_init(&readers->called);
}

void readers_stop(struct readers *readers)
{
	unsigned nr;

	mutex_lock(&readers->lock);
	readers->stop = true;
	nr = readers->nr_threads;
	readers->nr_threads = 0;
	cond_broadcast(&readers->called);
	mutex_unlock(&readers->lock);
	while (nr > 0)
		zt_lock_check(pthread_join(readers->threads[--nr], NULL));
}

void readers_exit(struct readers *readers)
{
	cond_exit(&readers->called);
	mutex_exit(&readers->lock);
}
