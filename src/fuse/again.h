/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * again.h - requests of a mount that outlives its daemon, before and after their handlers: those that
 * come again are answered from the ledger, and those that kill the daemon with an error.
 *
 * Locks: none.
 */
#ifndef ZT_FUSE_AGAIN_H
#define ZT_FUSE_AGAIN_H

#include "fuse/channel/request.h"
#include "fuse/fuse_ops.h"
#include "fuse/ledger.h"

/* One request, in its thread, while its handler runs. */
struct again {
	uint64_t unique; /* the kernel's number */
	uint32_t opcode;
	struct ledger_slot *slot; /* or NULL */
};

/** again_begin() - Return: false when it was answered, and its handler is not to run. */
bool again_begin(struct ztfuse *front, const struct request *req, struct again *out_again);

/** again_end() - the handler has run. The request may be somebody else's by now. */
void again_end(struct ztfuse *front, const struct again *again);

/**
 * again_watch() - from here on a crash of a thread counts for the request that it serves
 * With a ledger, or while again_waits() says so, it leaves no core. Signals whose default somebody else
 * has changed are left alone. Until again_unwatch().
 */
void again_watch(struct ztfuse *front);
void again_unwatch(void);

/** again_waits() - whether a thread waits for what only this mount's daemon answers; one thread says so */
void again_waits(bool for_itself);

/** again_may_die() - debug builds: for tests, before a reply is written. See again.c. */
#ifdef ZT_DEBUG
void again_may_die(void);
#else
static inline void again_may_die(void)
{
}
#endif

#endif
