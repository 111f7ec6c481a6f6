/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * rescue.h - where the contents of a mount go that no daemon can go on with: to the file of rescue=, or
 * nowhere, until somebody takes them.
 *
 * Context: one thread, no locks.
 */
#ifndef ZT_DAEMON_RESCUE_H
#define ZT_DAEMON_RESCUE_H

#include "daemon/options.h"
#include "daemon/survive.h"
#include "util/compiler.h"

/**
 * rescue_open() - in a first life: find the place, and have it kept
 * In the caller's folder and mount namespace.
 * Return: 0, without rescue= too; -errno with a sentence in @error.
 */
int rescue_open(const struct options *options, struct survive *survive,
		struct options_error *error) ZT_MUST_CHECK;

/**
 * rescue() - the mount has ended, for the reason @why: save what it held, and say on the log what has
 * become of it
 * @stays: where it is not saved, it stays in this process, until that is told to end; ztmpfsctl rescue
 *	   saves it from there. For memory that may be swapped out.
 */
void rescue(const struct survive *survive, const char *why, bool stays);

#endif
