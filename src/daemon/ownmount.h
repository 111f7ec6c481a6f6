/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ownmount.h - the daemon's own mount, reached from the outside, and switched.
 *
 * All of this can send requests to the daemon, so only a thread that serves none may call it, while
 * others serve. A mount is reached by its path, as its caller sees it; whatever else stands there by
 * now is left alone. Nothing keeps it open: the mount can go at any time, and the daemon with it.
 * Locks: the kernel's alone.
 */
#ifndef ZT_DAEMON_OWNMOUNT_H
#define ZT_DAEMON_OWNMOUNT_H

#include <stdbool.h>

#include "daemon/bdi.h"
#include "daemon/namespace.h"
#include "util/compiler.h"

/* One per session. Both pointers are the session's. */
struct ownmount {
	const char *path; /* absolute */
	const struct caller_namespace *caller; /* where the path holds */
	struct bdi bdi;
};

/**
 * ownmount_sync() - have each write(2) store its bytes before it returns, or no longer
 * All other flags stay. What is dirty is written first.
 * Return: 0; -EPERM no right to do that; -ENOSYS before Linux 5.2; -ESTALE it is not there any more.
 */
int ownmount_sync(const struct ownmount *mount, bool sync) ZT_MUST_CHECK;

/**
 * ownmount_open() - the mount's root folder, for reading. As long as it is open umount(8) fails.
 * Return: a descriptor, or -errno; -ESTALE as above.
 */
int ownmount_open(const struct ownmount *mount) ZT_MUST_CHECK;

/**
 * ownmount_detach() - unmount it where it stands under a longer path, as below a chroot
 * Context: behind namespace_find(), which has gone to the namespace's own root, when the channel is closed.
 */
void ownmount_detach(const struct ownmount *mount);

#endif
