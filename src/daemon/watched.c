// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * watched.c - how another process hears of this one's end. See watched.h.
 *
 * A socket or a pipe of the process is closed when its last thread has left, and a descriptor of the
 * process tells no earlier. Since Linux 6.9 there are descriptors of single threads. Before, a thread
 * has a table of descriptors for itself, with one end of a pipe: what it has is closed when it alone has
 * left. It does nothing else, so nothing keeps it.
 *
 * Locks: none.
 */
#include "daemon/watched.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "util/lock.h"

/* PIDFD_THREAD, unknown to older headers. */
#define PIDFD_OF_THREAD O_EXCL

struct watched {
	int end; /* of a pipe, for the thread alone */
	int error;
	sem_t begun;
};

/* Of the calling thread, as those it is made for. */
static int open_thread(void)
{
#ifdef ZT_DEBUG
	/* For tests: as an old kernel. */
	if (getenv("ZT_INBOX"))
		return -EINVAL;
#endif
	const int fd = (int)syscall(SYS_pidfd_open, (pid_t)syscall(SYS_gettid), PIDFD_OF_THREAD);

	return fd < 0 ? -errno : fd;
}

static int leave_table(int keep)
{
	if (unshare(CLONE_FILES) != 0)
		return -errno;
	if (close_range(0, (unsigned)keep - 1, 0) != 0 || close_range((unsigned)keep + 1, ~0u, 0) != 0)
		return -errno;
	return 0;
}

/* All signals are blocked in it. */
static void *watched_thread(void *arg)
{
	struct watched *watched = arg;

	watched->error = leave_table(watched->end);
	if (watched->error) {
		zt_lock_check(sem_post(&watched->begun) ? errno : 0);
		return NULL;
	}
	zt_lock_check(sem_post(&watched->begun) ? errno : 0); /* its maker has it from here on */
	for (;;)
		(void)poll(NULL, 0, -1);
}

static int start(struct watched *watched)
{
	pthread_attr_t attr;
	sigset_t all, before;
	pthread_t thread;
	int error;

	sigfillset(&all);
	error = -pthread_attr_init(&attr);
	if (error)
		return error;
	(void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED); /* a known state */
	(void)pthread_sigmask(SIG_BLOCK, &all, &before);
	error = -pthread_create(&thread, &attr, watched_thread, watched);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	(void)pthread_attr_destroy(&attr);
	if (error)
		return error;
	while (sem_wait(&watched->begun) != 0)
		; /* EINTR */
	return watched->error;
}

static int open_pipe(void)
{
	struct watched watched = { .error = 0 };
	int ends[2], error;

	if (pipe2(ends, O_CLOEXEC) != 0)
		return -errno;
	watched.end = ends[1];
	zt_lock_check(sem_init(&watched.begun, 0, 0) ? errno : 0);
	error = start(&watched);
	zt_lock_check(sem_destroy(&watched.begun) ? errno : 0);
	close(ends[1]); /* the thread has its own */
	if (!error)
		return ends[0];
	close(ends[0]);
	return error;
}

int watched_open(void)
{
	const int fd = open_thread();

	return fd >= 0 ? fd : open_pipe();
}
