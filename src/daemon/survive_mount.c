// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * survive_mount.c - the end of a mount that an earlier life has made. See survive.h.
 *
 * Locks: none; the last thing that the process does with it.
 */
#include <errno.h>
#include <poll.h>
#include <spawn.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/namespace.h"
#include "daemon/ownmount.h"
#include "daemon/survive.h"
#include "fuse/channel/channel.h"

bool survive_connected(int fd)
{
	struct pollfd channel = { .fd = fd };

	return poll(&channel, 1, 0) != 1 || !(channel.revents & POLLERR);
}

/* As a user: by the helper that has mounted it. */
static void unmount_by_helper(const char *path)
{
	static char name[] = "fusermount3", switches[] = "-uqz", end[] = "--";
	char *argv[] = { name, switches, end, (char *)(uintptr_t)path, NULL };
	pid_t pid;

	if (posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ) != 0)
		return;
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

void survive_unmount(const struct survive *survive)
{
	const struct handover_record *record = survive->record;
	const struct caller_namespace caller = { .left = record->caller_left,
						 .dev = record->caller_dev,
						 .ino = record->caller_ino };

	if (strncmp(record->mountpoint, "/dev/fd/", 8) == 0)
		return; /* whoever mounted it unmounts it */
	namespace_find(&caller);
	if (umount2(record->mountpoint, MNT_DETACH | UMOUNT_NOFOLLOW) == 0)
		return;
	if (geteuid() != 0)
		unmount_by_helper(record->mountpoint);
	else if (caller.left && record->has_bdi)
		ownmount_detach(&(struct ownmount){ record->mountpoint, &caller, record->bdi });
}

void survive_bury(struct survive *survive)
{
	const bool connected = survive->channel_fd >= 0 && survive_connected(survive->channel_fd);

	survive_end(survive);
	for (unsigned i = 0; i < survive->nr; i++)
		/* A session has closed those that it had begun to use. */
		if (handover_is_channel(survive->kinds[i]) && channel_is_fd(survive->fds[i]))
			close(survive->fds[i]);
	if (survive->channel_fd < 0)
		return;
	survive->channel_fd = -1;
	if (connected)
		survive_unmount(survive);
}
