// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * apart.c - a thread with a table of descriptors of its own. See apart.h.
 *
 * Locks: none here. One at a time is all that full.c needs.
 */
#include "daemon/apart.h"

#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include "fuse/again.h"
#include "fuse/channel/channel.h"
#include "util/lock.h"
#include "util/sizes.h"

/* Threads have a channel of their own at most: see max_threads= of ztmpfs(8). */
#define FDS_MOST 4096u

struct errand {
	int (*fn)(void *arg);
	void *arg;
	int result;
};

#ifdef ZT_SANITIZERS

/* They know of one table alone, and take a number that means two files for a race. */
static void leave_channels(void)
{
}

#else

static void close_channels(void)
{
	struct rlimit limit = { .rlim_cur = FDS_MOST };

	(void)getrlimit(RLIMIT_NOFILE, &limit); /* it exists */
	for (int fd = 0; fd < (int)min_u64(limit.rlim_cur, FDS_MOST); fd++)
		if (channel_is_fd(fd))
			close(fd);
}

/* Where that is not allowed they stay, and a daemon that is killed just now may leave a mount that hangs. */
static void leave_channels(void)
{
	if (unshare(CLONE_FILES) == 0)
		close_channels();
}

#endif

static void *errand_thread(void *arg)
{
	struct errand *errand = arg;

	leave_channels();
	errand->result = errand->fn(errand->arg);
	return NULL;
}

int apart_run(int (*fn)(void *arg), void *arg)
{
	struct errand errand = { .fn = fn, .arg = arg };
	pthread_t thread;

	again_waits(true);
	if (pthread_create(&thread, NULL, errand_thread, &errand) == 0) {
		(void)pthread_setname_np(thread, "ztmpfs-apart");
		zt_lock_check(pthread_join(thread, NULL));
	} else {
		errand.result = fn(arg);
	}
	again_waits(false);
	return errand.result;
}
