// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * behind.c - pages go into an image while the next ones are read. See behind.h.
 *
 * Locks: none; a buffer belongs to one thread at a time, and semaphores hand it on.
 */
#include "ctl/behind.h"

#include <errno.h>

#include "util/alloc.h"
#include "util/sizes.h"

static void wait_for(sem_t *sem)
{
	while (sem_wait(sem) != 0)
		; /* a signal, which is only noted */
}

static void *write_behind(void *arg)
{
	struct behind *behind = arg;

	for (unsigned nr = 0;; nr = (nr + 1) % BEHIND_NR) {
		int error = atomic_load(&behind->error);

		wait_for(&behind->full);
		if (behind->lens[nr] == 0)
			return NULL;
		if (!error)
			error = image_writer_put(behind->writer, behind->buffers[nr],
						 behind->lens[nr] >> ZT_PAGE_SHIFT);
		atomic_store(&behind->error, error);
		(void)sem_post(&behind->empty); /* it fails at numbers that are never reached */
	}
}

static void free_all(struct behind *behind)
{
	for (unsigned i = 0; i < BEHIND_NR; i++)
		zt_unmap(behind->buffers[i], behind->size);
	(void)sem_destroy(&behind->full); /* nobody waits */
	(void)sem_destroy(&behind->empty);
}

int behind_begin(struct behind *behind, struct image_writer *writer, size_t size)
{
	int error = 0;

	*behind = (struct behind){ .writer = writer, .size = size };
	(void)sem_init(&behind->full, 0, 0); /* small numbers are allowed */
	(void)sem_init(&behind->empty, 0, BEHIND_NR);
	for (unsigned i = 0; i < BEHIND_NR && !error; i++) {
		behind->buffers[i] = zt_map(size);
		if (!behind->buffers[i])
			error = -ENOMEM;
	}
	if (!error)
		error = -pthread_create(&behind->thread, NULL, write_behind, behind);
	if (error)
		free_all(behind);
	return error;
}

char *behind_next(struct behind *behind)
{
	if (!behind->has)
		wait_for(&behind->empty);
	behind->has = true;
	return behind->buffers[behind->next];
}

static void hand_on(struct behind *behind, size_t len)
{
	behind->lens[behind->next] = len;
	behind->next = (behind->next + 1) % BEHIND_NR;
	behind->has = false;
	(void)sem_post(&behind->full); /* as above */
}

int behind_put(struct behind *behind, size_t len)
{
	hand_on(behind, len);
	return atomic_load(&behind->error);
}

int behind_end(struct behind *behind)
{
	(void)behind_next(behind);
	hand_on(behind, 0);
	(void)pthread_join(behind->thread, NULL); /* it is there, and ends */
	free_all(behind);
	return atomic_load(&behind->error);
}
