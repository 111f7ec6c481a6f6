// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * home.c - memory that daemons live in, one after the other. See home.h.
 *
 * Weakness: what libc keeps of the heap and of stacks is taken for known: the end of the heap is one
 * free piece, of which nothing but the beginning was written, and stacks of threads that have ended are
 * kept for others (glibc 2.36).
 */
#include "daemon/home.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <malloc.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "arena/backing.h"
#include "util/alloc.h"
#include "util/lock.h"

#define SPARE_SIZE ((size_t)4 * MIB)
/* What libc has above what a thread has used of its stack when it does nothing. */
#define STACK_KEEP ((size_t)8 * KIB)
#define PAGE_MASK  (~(uintptr_t)(ZT_PAGE_SIZE - 1))

static size_t set_size(const struct home *home)
{
	return home->nr_stacks * HOME_STACK_SIZE;
}

int home_make(size_t heap, unsigned nr_stacks, struct home *out_home)
{
	struct home home = { arena_make_file(ARENA_UNSWAPPED), nr_stacks };
	const uint64_t size = round_up_u64(heap, ZT_PAGE_SIZE) + 2 * set_size(&home) + SPARE_SIZE;
	int error;

	if (home.fd < 0)
		return home.fd;
	if (ftruncate(home.fd, (off_t)size) == 0 &&
	    fallocate(home.fd, 0, 0, (off_t)(size - SPARE_SIZE)) == 0) {
		home_fill_spare(home.fd, SPARE_SIZE / ZT_PAGE_SIZE);
		*out_home = home;
		return 0;
	}
	error = -errno;
	close(home.fd);
	return error;
}

/* Pages of the file in place of those that are there. Return: 0 or -errno. */
static int lay_over(const struct home *home, uintptr_t first, uintptr_t end, size_t offset)
{
	if (mmap((void *)first, end - first, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, home->fd,
		 (off_t)offset) == MAP_FAILED)
		return -errno;
	/* Hints. All of it is there, but for the tables that lead to it. */
	(void)madvise((void *)first, end - first, MADV_DONTDUMP);
	(void)zt_populate((void *)first, end - first);
	return 0;
}

/* ---- the heap ---- */

/* Where the stacks begin. */
static int heap_size(const struct home *home, size_t *out_size)
{
	const size_t rest = 2 * set_size(home) + SPARE_SIZE;
	struct stat st;

	if (fstat(home->fd, &st) != 0)
		return -errno;
	/* Another program may have made it. */
	if ((size_t)st.st_size <= rest + MIB)
		return -EPROTO;
	*out_size = (size_t)st.st_size - rest;
	return 0;
}

int home_take_heap(const struct home *home)
{
	uintptr_t first, end;
	size_t size;
	char *heap;
	int error = heap_size(home, &size);

	if (error)
		return error;
	(void)mallopt(M_ARENA_MAX, 1);
	(void)mallopt(M_MMAP_THRESHOLD, INT_MAX);
	(void)mallopt(M_TRIM_THRESHOLD, INT_MAX);
	heap = malloc(size);
	if (!heap)
		return -ENOMEM;
	first = ((uintptr_t)heap + ZT_PAGE_SIZE - 1) & PAGE_MASK;
	end = ((uintptr_t)heap + size) & PAGE_MASK;
	error = lay_over(home, first, end, 0);
	free(heap);
	if (!error)
		zt_map_from_heap();
	return error;
}

/* ---- stacks ---- */

struct stack {
	pthread_t thread;
	sem_t *end;
	uintptr_t first, last; /* what is free of it when the thread has ended */
};

static void *find_stack(void *arg)
{
	struct stack *stack = arg;
	pthread_attr_t attr;
	size_t size;
	void *first;

	if (pthread_getattr_np(pthread_self(), &attr) == 0) {
		if (pthread_attr_getstack(&attr, &first, &size) == 0) {
			stack->first = (uintptr_t)first;
			stack->last = ((uintptr_t)&attr - STACK_KEEP) & PAGE_MASK;
		}
		(void)pthread_attr_destroy(&attr);
	}
	while (sem_wait(stack->end) != 0)
		; /* a debugger */
	return NULL;
}

/* Those of threads that have ended: libc takes them for later ones. Return: 0 or -errno. */
static int make_stacks(struct stack *stacks, unsigned nr)
{
	unsigned made = 0;
	int error = 0;
	sem_t end;

	zt_lock_check(sem_init(&end, 0, 0) ? errno : 0);
	while (made < nr && !error) {
		stacks[made].end = &end;
		error = pthread_create(&stacks[made].thread, NULL, find_stack, &stacks[made]);
		made += !error;
	}
	/* All of them are there at the same time, or one would have the stack of another. */
	for (unsigned i = 0; i < made; i++)
		zt_lock_check(sem_post(&end) ? errno : 0);
	for (unsigned i = 0; i < made; i++)
		zt_lock_check(pthread_join(stacks[i].thread, NULL));
	zt_lock_check(sem_destroy(&end) ? errno : 0);
	return -error;
}

int home_take_stacks(const struct home *home, unsigned set)
{
	struct stack *stacks;
	size_t offset;
	int error;

	(void)mallopt(M_ARENA_MAX, 1); /* or each thread gets a heap */
	stacks = zt_zalloc(home->nr_stacks * sizeof(*stacks));
	if (!stacks)
		return -ENOMEM;
	error = heap_size(home, &offset);
	offset += set * set_size(home);
	if (!error)
		error = make_stacks(stacks, home->nr_stacks);
	for (unsigned i = 0; i < home->nr_stacks && !error; i++)
		if (stacks[i].last > stacks[i].first)
			error = lay_over(home, stacks[i].first, stacks[i].last,
					 offset + i * HOME_STACK_SIZE);
	zt_free(stacks);
	return error;
}

/* ---- the spare ---- */

/* The next page of it that is there, or that is not (SEEK_DATA, SEEK_HOLE); -1: there is none. */
static off_t spare_find(int fd, off_t from, int whence)
{
	struct stat st;
	off_t at;

	if (fstat(fd, &st) != 0 || st.st_size <= (off_t)SPARE_SIZE)
		return -1;
	at = lseek(fd, from < 0 ? st.st_size - (off_t)SPARE_SIZE : from, whence);
	return at >= st.st_size ? -1 : at;
}

void home_give_spare(int fd, unsigned nr_pages)
{
	off_t at = -1;

	while (nr_pages-- > 0 && (at = spare_find(fd, at, SEEK_DATA)) >= 0)
		(void)!fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at, ZT_PAGE_SIZE);
}

/* Written, since lseek() takes what was only allocated for a hole. */
void home_fill_spare(int fd, unsigned nr_pages)
{
	static const char zero[ZT_PAGE_SIZE];
	off_t at = -1;

	while (nr_pages-- > 0 && (at = spare_find(fd, at, SEEK_HOLE)) >= 0)
		if (pwrite(fd, zero, sizeof(zero), at) != (ssize_t)sizeof(zero))
			return;
}
