/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * session.h - one mount from its making to its end.
 */
#ifndef ZT_DAEMON_SESSION_H
#define ZT_DAEMON_SESSION_H

#include <stdbool.h>

#include "daemon/options.h"
#include "util/compiler.h"

struct session; /* one per process */
struct survive; /* survive.h */

/**
 * session_create() - make the filesystem, mount it, agree with the kernel: afterwards the mount is
 * usable
 * @options: outlives the session; its mountpoint is absolute, or /dev/fd/N
 * @survive: NULL: the mount ends with this process. What it has taken over is gone on with instead of
 *	     mounting anew. Outlives the session.
 * @out_error: on error, one line that says what failed and why
 *
 * Starts threads (the filesystem's own): fork before. SIGTERM, SIGINT and SIGHUP stay blocked
 * afterwards, for session_serve().
 *
 * Return: 0 or -errno; on error nothing is mounted.
 */
int session_create(const struct options *options, struct survive *survive,
		   struct options_error *out_error, struct session **out_session) ZT_MUST_CHECK;

/**
 * session_serve() - answer requests until the filesystem is unmounted or one of those signals comes
 * Return: 0 or -errno when the kernel's channel failed.
 */
int session_serve(struct session *session) ZT_MUST_CHECK;

/** session_tell() - once the log is the daemon's own: what about the mount is not as it could be, a line each */
void session_tell(const struct session *session);

/** session_leaves() - after session_serve(): another program goes on with the mount */
bool session_leaves(const struct session *session);

/**
 * session_probe() - whether this program could go on with what another one serves
 * @survive: what that one has told: all but its channel
 * @out_error: on error, one line that says why not
 * Changes nothing of the mount. Return: 0 or -errno.
 */
int session_probe(const struct options *options, const struct survive *survive,
		  struct options_error *out_error) ZT_MUST_CHECK;

/**
 * session_destroy() - unmount if still mounted, save what is to be saved, free everything; or leave
 * the mount to another program. NULL is allowed
 * Return: 0; -errno, logged: it could not be saved.
 */
int session_destroy(struct session *session);

#endif
