// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * orphans.c - asking the kernel which inodes it still knows. See orphans.h.
 *
 * An inode that the kernel does not know may have a FORGET that is on its way, and its number would be
 * another inode's when that comes. So it is asked for twice, with PAUSE_MS between, and freed only when
 * nobody has counted anything of it meanwhile.
 *
 * By then all requests that came again have come, and were looked for: what the ledger has of others has
 * nobody who waits for it.
 *
 * Locks: none here. The kernel may wait for an inode that it is evicting, so this thread serves nothing.
 */
#include "daemon/orphans.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "fs/nameless.h"
#include "fuse/ledger.h"
#include "util/alloc.h"
#include "util/log.h"

/* After the beginning, between the two questions, and until it begins anew. */
#define FIRST_MS 5000
#define PAUSE_MS 20000
#define NR_PAUSES 20
#define AGAIN_MS 600000
/* At a time; the rest is found later. */
#define ORPHANS_MOST 4096u

static int wait_ms(int ms)
{
#ifdef ZT_DEBUG
	/* For tests. */
	const char *most = getenv("ZT_ORPHANS_MS");

	if (most && atoi(most) < ms)
		ms = atoi(most);
#endif
	return ms;
}

/* Return: false: it is to end. */
static bool pause_for(const struct orphans *orphans, int ms)
{
	struct pollfd stop = { .fd = orphans->stop_fd, .events = POLLIN };

	return poll(&stop, 1, wait_ms(ms)) == 0;
}

static bool is_unknown(const struct orphans *orphans, const struct fs_nameless *inode)
{
	/* Drops attributes alone, of which there is no need any more. */
	return fuse_lowlevel_notify_inval_inode(orphans->front->se, inode->ino, -1, 0) == -ENOENT;
}

static size_t find(const struct orphans *orphans, struct fs_nameless *out)
{
	struct fs_nameless at = { .ino = 0 };
	size_t nr = 0;

	while (nr < ORPHANS_MOST && fs_nameless_next(orphans->front->sb, at.ino + 1, &at))
		if (is_unknown(orphans, &at))
			out[nr++] = at;
	return nr;
}

static size_t drop(const struct orphans *orphans, const struct fs_nameless *found, size_t nr)
{
	size_t nr_dropped = 0;

	for (size_t i = 0; i < nr; i++)
		nr_dropped += is_unknown(orphans, &found[i]) &&
			      fs_nameless_drop(orphans->front->sb, &found[i]);
	return nr_dropped;
}

/* In steps, of which a process that is stopped meanwhile oversleeps one. Return: false: it is to end. */
static bool pause_between(const struct orphans *orphans)
{
	for (unsigned i = 0; i < NR_PAUSES; i++)
		if (!pause_for(orphans, PAUSE_MS / NR_PAUSES))
			return false;
	return true;
}

static void *orphans_thread(void *arg)
{
	const struct orphans *orphans = arg;
	struct fs_nameless *found = zt_zalloc(ORPHANS_MOST * sizeof(*found));
	bool goes_on = found && pause_for(orphans, FIRST_MS);

	while (goes_on) {
		const size_t nr = find(orphans, found);
		size_t nr_dropped = 0;

		if (!pause_between(orphans))
			break;
		/* The kernel sent them first of all. */
		ledger_retire(orphans->front->ledger);
		if (nr > 0)
			nr_dropped = drop(orphans, found, nr);
		if (nr_dropped > 0)
			zt_log(ZT_LOG_INFO, "%s: %zu inodes that the kernel had forgotten are freed",
			       orphans->mountpoint, nr_dropped);
		goes_on = pause_for(orphans, AGAIN_MS);
	}
	zt_free(found);
	return NULL;
}

int orphans_start(struct orphans *orphans, struct ztfuse *front, const char *mountpoint)
{
	int error;

	*orphans = (struct orphans){ .front = front, .mountpoint = mountpoint };
	orphans->stop_fd = eventfd(0, EFD_CLOEXEC);
	if (orphans->stop_fd < 0)
		return -errno;
	error = pthread_create(&orphans->thread, NULL, orphans_thread, orphans);
	if (error) {
		close(orphans->stop_fd);
		return -error;
	}
	(void)pthread_setname_np(orphans->thread, "zt-orphans");
	orphans->runs = true;
	return 0;
}

void orphans_stop(struct orphans *orphans)
{
	const uint64_t one = 1;

	if (!orphans->runs)
		return;
	(void)!write(orphans->stop_fd, &one, sizeof(one)); /* it has space for one */
	(void)pthread_join(orphans->thread, NULL); /* it was made, and is joined once */
	close(orphans->stop_fd);
	orphans->runs = false;
}
