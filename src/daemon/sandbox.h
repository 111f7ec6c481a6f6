/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sandbox.h - what a daemon gives up that serves users who do not trust each other: capabilities,
 * system calls, core dumps.
 *
 * It is of use once a request has made the daemon do what it should not. An ordinary user's daemon has
 * no capabilities, and keeps its system calls: it unmounts by a program with rights of its own.
 */
#ifndef ZT_DAEMON_SANDBOX_H
#define ZT_DAEMON_SANDBOX_H

#include "daemon/options.h"
#include "util/compiler.h"

/**
 * sandbox_enter() - before there are threads, after what needs rights that no mount needs later: no
 * program gets rights by its file, and of root's capabilities those are left that @options need
 * What was built without libcap-ng keeps them.
 * Return: 0; -errno with a sentence in @error.
 */
int sandbox_enter(const struct options *options, struct options_error *error) ZT_MUST_CHECK;

/**
 * sandbox_filter() - once all threads serve: from here on they have only the system calls that serving
 * and ending take, and so have processes that are started
 * Return: 0, also where there can be none; -errno with a sentence in @error only with seccomp=kill.
 */
int sandbox_filter(const struct options *options, struct options_error *error) ZT_MUST_CHECK;

/** sandbox_tell() - where root's daemon has no filter, and it was not switched off, log why */
void sandbox_tell(const struct options *options);

#endif
