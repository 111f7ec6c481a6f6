/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * main_i.h - what a process of ztmpfs may be: one that mounts (main.c), or one that goes on with a mount
 * (main_later.c).
 *
 * Locks: none.
 */
#ifndef ZT_DAEMON_MAIN_I_H
#define ZT_DAEMON_MAIN_I_H

#include "daemon/session.h"
#include "util/log.h"

/* As mount(8) has it. */
enum { EXIT_USAGE = 1, EXIT_SYSTEM = 2, EXIT_MOUNT = 32 };

/* The command line as it came, but for a word that says which part the process plays. */
struct command {
	int argc;
	char **argv;
};

/** main_log_stderr() - a sink of zt_log(): the error output, of which a journal may be told the level */
void main_log_stderr(enum zt_log_level level, const char *line);

/** main_log_to_syslog() - all messages, and libfuse's */
void main_log_to_syslog(void);

/** main_serve_session() - to the mount's end; destroys @session. Return: the exit status. */
int main_serve_session(const struct options *options, struct session *session);

/** main_kept() - the keeper at @sock has a mount for it, now or later. Return: the exit status. */
int main_kept(int sock, struct command command);

/**
 * main_stored() - the process before, which a service manager had started, has died
 * Return: the exit status; -1: its mount has gone, too, and the process is as it came.
 */
int main_stored(const struct command *command);

/** main_probe() - a daemon asks at @sock whether this program could go on with its mount. Return: the exit status. */
int main_probe(int sock, struct command command);

#endif
