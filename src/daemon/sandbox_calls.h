/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sandbox_calls.h - the system calls of a daemon that serves, as a filter of the kernel's.
 */
#ifndef ZT_DAEMON_SANDBOX_CALLS_H
#define ZT_DAEMON_SANDBOX_CALLS_H

#include <stdbool.h>

#include "util/compiler.h"

/** sandbox_calls_built() - whether this build has libseccomp */
bool sandbox_calls_built(void);

struct sandbox_calls {
	bool kill; /* another call ends the process; else it fails with EPERM */
	bool rings; /* requests may come by io_uring */
	bool lives; /* survive=on: it starts keepers and asks other programs, which have the filter, too */
};

/**
 * sandbox_calls_load() - for all threads of the process, for those that it starts, and for good
 * Return: 0 or -errno.
 */
int sandbox_calls_load(const struct sandbox_calls *calls) ZT_MUST_CHECK;

#endif
