/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * waiter.h - a thread that runs into a lock which the test holds, and is known to sleep there.
 */
#ifndef ZT_TESTS_LIB_WAITER_H
#define ZT_TESTS_LIB_WAITER_H

#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

struct waiter {
	void (*run)(void *arg); /* takes the lock, and gives it back */
	void *arg;
	pthread_t thread;
	atomic_int tid; /* 0 until it runs; pairs with the poll of waiter_start() */
};

static inline void *waiter_main(void *arg)
{
	struct waiter *waiter = arg;

	atomic_store(&waiter->tid, (int)syscall(SYS_gettid));
	waiter->run(waiter->arg);
	return NULL;
}

static inline bool waiter_sleeps(int tid)
{
	char path[64], text[256] = "", *behind;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", tid);
	file = fopen(path, "r");
	if (!file)
		return false;
	if (!fgets(text, sizeof(text), file))
		text[0] = '\0';
	fclose(file);
	behind = strrchr(text, ')');
	return behind && strncmp(behind, ") S", 3) == 0;
}

/* Returns when the thread sleeps, which it does nowhere but at the lock. */
static inline void waiter_start(struct waiter *waiter, void (*run)(void *arg), void *arg)
{
	const struct timespec pause = { .tv_nsec = 1000000 };
	int polls = 0, tid = 0;

	*waiter = (struct waiter){ .run = run, .arg = arg };
	ck_assert_int_eq(pthread_create(&waiter->thread, NULL, waiter_main, waiter), 0);
	while ((tid = atomic_load(&waiter->tid)) == 0 || !waiter_sleeps(tid)) {
		ck_assert_msg(++polls < 10000, "the thread does not wait");
		nanosleep(&pause, NULL);
	}
}

static inline void waiter_join(struct waiter *waiter)
{
	ck_assert_int_eq(pthread_join(waiter->thread, NULL), 0);
}

#endif
