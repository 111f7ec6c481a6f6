/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * upgrade.h - another program goes on with a mount that outlives its daemon (ztmpfsctl upgrade).
 *
 *     START -> a probe: could it? -> NEXT to the keeper -> this daemon leaves -> the keeper starts the
 *     other one -> READY, or it dies or takes too long: the keeper starts the program before again
 *
 * Context: upgrade_ask() in threads that serve requests; the rest in those of the daemon.
 */
#ifndef ZT_DAEMON_UPGRADE_H
#define ZT_DAEMON_UPGRADE_H

#include <stdatomic.h>
#include <stdbool.h>

#include "daemon/survive.h"
#include "util/compiler.h"
#include "ztmpfs/control.h"

/* One per session, not copied while it is in use. */
struct upgrade {
	struct survive *survive;
	int wanted_fd; /* an eventfd: readable when it is time to leave; -1: there is none */
	atomic_int binary; /* of the program to leave to, by O_PATH; -1: none. Set before wanted_fd says so */
	bool given; /* it is the keeper's and survive's */
	atomic_flag busy; /* a START is at work */
};


/** upgrade_init() - that of a mount that ends with its daemon */
void upgrade_init(struct upgrade *upgrade);

/** upgrade_open() - Return: 0 or -errno. */
int upgrade_open(struct upgrade *upgrade, struct survive *survive) ZT_MUST_CHECK;

void upgrade_close(struct upgrade *upgrade);

/**
 * upgrade_ask() - ZTMPFS_IOC_UPGRADE, by somebody who may; for ztfuse.upgrade
 * @arg: struct upgrade
 * START waits for the probe, up to ten seconds.
 * Return: 0; -EOPNOTSUPP the mount ends with its daemon; -EBUSY, -EINVAL; what open(2) says.
 */
int upgrade_ask(void *arg, struct ztmpfs_upgrade *inout_upgrade) ZT_MUST_CHECK;

/**
 * upgrade_begins() - wanted_fd is readable: tell the keeper
 * Return: true: this process is to leave; false: the keeper does not hear it, and nothing has happened.
 */
bool upgrade_begins(struct upgrade *upgrade);

#endif
