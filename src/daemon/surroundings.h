/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * surroundings.h - what a process inherits from its caller, made fit for a daemon.
 *
 * A mount lives longer than the shell, the unit or the pipe that made it. What the caller leaves
 * behind (descriptors, signals, limits) either does not matter afterwards, or is refused in one
 * sentence before anything is mounted.
 */
#ifndef ZT_DAEMON_SURROUNDINGS_H
#define ZT_DAEMON_SURROUNDINGS_H

#include "daemon/options.h"
#include "util/compiler.h"

/**
 * surroundings_descriptors() - have 0 to 2 open, and nothing else
 * @argc, @argv: the command line; N of a word /dev/fd/N or /proc/self/fd/N in it stays open
 *
 * A number from 0 to 2 that is closed would be given to the arena's memory, and later be replaced
 * by /dev/null. A descriptor that is kept holds the caller's lock, its pipe, or its filesystem.
 *
 * Context: before anything else is opened.
 */
void surroundings_descriptors(int argc, char *const argv[]);

/**
 * surroundings_signals() - undo what would hide the end of a child or the order to end
 * SIGCHLD and SIGTERM act again; SIGXFSZ becomes an error of the call. SIGINT and SIGHUP stay as
 * they are: shells and nohup ignore them for a reason.
 */
void surroundings_signals(void);

/**
 * surroundings_limits() - raise each soft limit to the hard one, and refuse what stays too low
 * Stacks of threads get one size, whatever the limit says.
 * Context: before there are threads.
 * Return: 0; -EPERM with a sentence in @out_error; -errno.
 */
int surroundings_limits(const struct options *options,
			struct options_error *out_error) ZT_MUST_CHECK;

/**
 * surroundings_page_size() - whether pages of @bytes are those that the stored layout has
 * Return: 0; -ENOTSUP with a sentence in @out_error.
 */
int surroundings_page_size(long bytes, struct options_error *out_error) ZT_MUST_CHECK;

/**
 * surroundings_oom() - tell the OOM killer to take others first, as oom= says
 * Not allowed, or no /proc: an error when oom= was given, else passed over.
 * Return: 0; -errno with a sentence in @out_error.
 */
int surroundings_oom(const struct options *options, struct options_error *out_error) ZT_MUST_CHECK;

/** surroundings_get_oom() - the score that the process has. Return: 0 or -errno. */
int surroundings_get_oom(int *out_score) ZT_MUST_CHECK;

/** surroundings_set_oom() - another one; up is always allowed. Return: 0 or -errno. */
int surroundings_set_oom(int score) ZT_MUST_CHECK;

#endif
