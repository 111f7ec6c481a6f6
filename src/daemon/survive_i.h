/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * survive_i.h - what the daemon's side is made of, for its two keepers: a process (survive.c), or a
 * service manager (survive_store.c).
 *
 * Locks: survive.lock is held, as soon as there are threads.
 */
#ifndef ZT_DAEMON_SURVIVE_I_H
#define ZT_DAEMON_SURVIVE_I_H

#include "daemon/survive.h"

/** survive_make() - an empty one. @first: nobody has decided yet that it survives. Return: 0 or -ENOMEM. */
int survive_make(int argc, char *argv[], bool first, struct survive **out_survive) ZT_MUST_CHECK;

/** survive_note() - @fd is kept */
void survive_note(struct survive *survive, enum handover_kind kind, int fd);

/** survive_take_one() - one descriptor of the keeper's. Return: 0 or -errno. */
int survive_take_one(struct survive *survive, enum handover_kind kind, int fd) ZT_MUST_CHECK;

/** survive_store_one() - give the manager the @i-th of what is kept */
void survive_store_one(const struct survive *survive, unsigned i);

/** survive_store_all() - all, and what comes later too. Return: 0; -ETIMEDOUT, -errno: it does not hear. */
int survive_store_all(struct survive *survive) ZT_MUST_CHECK;

/** survive_unstore_all() - nothing is kept any longer; more than once is allowed */
void survive_unstore_all(struct survive *survive);

#endif
