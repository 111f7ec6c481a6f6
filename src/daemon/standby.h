/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * standby.h - the keeper's side of a daemon that waits for the one before to die.
 *
 * A mount that carries swap is served again while the machine may have no memory to start a process
 * with. So the next daemon is started beforehand: it has its stacks, locks what it has, and waits. It
 * has no way to the kernel until it is its turn, so the connection never depends on it. It allocates in
 * memory that the daemon before had (swapmode.h: home).
 *
 *     keeper  -- arena, record, ledger ..., STANDBY -->  prepares itself, waits
 *             -- channel and its clones, COMPLETE ---->  takes over
 *
 * Locks: none. Nothing here allocates: the keeper calls it.
 */
#ifndef ZT_DAEMON_STANDBY_H
#define ZT_DAEMON_STANDBY_H

#include <stdint.h>
#include <sys/types.h>

#include "daemon/handover.h"
#include "daemon/keeper.h"
#include "util/compiler.h"

/* There is none when sock is -1. */
struct standby {
	int sock;
	pid_t pid; /* to be waited for; 0: it was */
	uint64_t after_ns; /* zt_now_ns() from which on another one may be started */
};

/* What a keeper has. */
struct standby_kept {
	const int *fds;
	const unsigned char *kinds;
	unsigned nr;
	unsigned set; /* of stacks of the home that the next daemon may have */
};

/* SCHED_FIFO, below the grower of the reserve. */
#define STANDBY_PRIORITY 4

#define STANDBY_NONE ((struct standby){ .sock = -1 })

/** standby_settle() - nothing of the calling process may be swapped out, nor of what it has and starts */
void standby_settle(struct standby_kept kept);

/**
 * standby_make() - a new daemon in a child of this process: to run a program takes more memory, and its files
 * @child: what handover_spawn() would make
 * @out_sock: as there
 * Context: a process of one thread.
 * Return: its process id; -EPERM the program is another one; -errno.
 */
pid_t standby_make(const struct handover_child *child, const struct keeper_life *life,
		   int *out_sock) ZT_MUST_CHECK;

/**
 * standby_start() - have a process that was made prepare itself
 * @pid: a child; @sock: to it. Both are the standby's. @pid < 0: it could not be made.
 * Return: 0; -errno: there is none, and the next one is to be started later.
 */
int standby_start(struct standby *standby, pid_t pid, int sock,
		  struct standby_kept kept) ZT_MUST_CHECK;

/**
 * standby_go() - its turn has come: it runs before others, and gets memory before them
 * @out_sock: out on success: the caller's, with the process; there is no standby any longer
 * Return: its process id; -errno: it had died, and is waited for.
 */
pid_t standby_go(struct standby *standby, struct standby_kept kept, int *out_sock) ZT_MUST_CHECK;

/** standby_drop() - end it, if there is one, and wait for it; the next one is to be started later */
void standby_drop(struct standby *standby);

#endif
