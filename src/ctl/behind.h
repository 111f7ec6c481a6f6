/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * behind.h - pages go into an image while the next ones are read: two buffers, and a thread that sums
 * up and writes.
 *
 * Context: one thread calls all of it.
 */
#ifndef ZT_CTL_BEHIND_H
#define ZT_CTL_BEHIND_H

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stddef.h>

#include "image/image.h"
#include "util/compiler.h"

#define BEHIND_NR 2u

/* Between begin and end; the thread's but for error, and buffers that behind_next() gave. */
struct behind {
	struct image_writer *writer; /* not owned */
	size_t size; /* of a buffer */
	char *buffers[BEHIND_NR];
	size_t lens[BEHIND_NR]; /* filled; 0: the end */
	unsigned next; /* the caller's next one, */
	bool has; /* which it has */
	sem_t full, empty;
	atomic_int error; /* the first one of the writer */
	pthread_t thread;
};

/** behind_begin() - Return: 0 or -errno; then nothing is to be ended. */
int behind_begin(struct behind *behind, struct image_writer *writer, size_t size) ZT_MUST_CHECK;

/** behind_next() - a buffer to be filled; waits for one. Of the same, until it is put. */
char *behind_next(struct behind *behind);

/** behind_put() - so many bytes of it are pages; @len is not 0. Return: 0, or an error of those before. */
int behind_put(struct behind *behind, size_t len) ZT_MUST_CHECK;

/** behind_end() - all are written. Return: 0 or the first error, as image_writer_put(). */
int behind_end(struct behind *behind) ZT_MUST_CHECK;

#endif
