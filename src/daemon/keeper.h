/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * keeper.h - the process that keeps a mount's descriptors, and starts its daemon again.
 *
 * Its maker is the daemon. It is small, allocates nothing, holds nothing on the mount, and knows
 * nothing of files: so what ends the daemon hardly ends it, too.
 */
#ifndef ZT_DAEMON_KEEPER_H
#define ZT_DAEMON_KEEPER_H

/* What it starts. */
struct keeper_life {
	int argc;
	char **argv; /* the command line that a new daemon gets; argv[1] is the keeper's own word */
	/* A new daemon in a child of this process; @sock: to the keeper. Return: the exit status. */
	int (*begin)(int sock, int argc, char *argv[]);
};

/**
 * keeper_main() - all that the process does
 * @sock: where the daemon says what to keep; its end is the daemon's death, unless that said END
 * Return: the exit status: 0 the mount has ended in order, 1 it could not be kept.
 */
int keeper_main(int sock, const struct keeper_life *life);

#endif
