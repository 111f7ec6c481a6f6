/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ledger.h - requests under way, in memory that outlives the process, so that each is done once.
 *
 * The kernel sends again what was read and not answered when a daemon died. To make a name again would
 * answer EEXIST, to remove it again ENOENT, though it was done. So each such request has a slot while
 * it is served:
 *
 *     IDLE -> TAKEN -> BEGUN: what it is -> witness: it is done -> the reply is written -> IDLE
 *                        |
 *                        `- killed: whoever attaches looks: DONE, or IDLE -> it comes again
 *
 * A DONE one is answered from its slot when it comes again, and is ANSWERED meanwhile; an IDLE one is
 * served as any other. One that does not come again, since its caller has gone, too, is retired later.
 *
 * A request that was being served by the thread that crashed is counted, too. At LEDGER_CRASHES_MOST it
 * is answered with EIO.
 *
 * Locks: none. A slot is its thread's from TAKEN to IDLE.
 */
#ifndef ZT_FUSE_LEDGER_H
#define ZT_FUSE_LEDGER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "fs/deed.h"
#include "util/compiler.h"

#define LEDGER_CRASHES_MOST 3u
/* Requests under way at a time; those beyond wait. */
#define LEDGER_NR_SLOTS	  256u
#define LEDGER_NR_CRASHES 16u
#define LEDGER_NAME_MAX	  256u /* with its NUL */

enum ledger_state { LEDGER_IDLE, LEDGER_TAKEN, LEDGER_BEGUN, LEDGER_DONE, LEDGER_ANSWERED };

struct ledger_slot {
	_Atomic uint32_t state; /* release: what it is, and what came of it, is stored before */
	uint32_t opcode; /* as the kernel sent it */
	uint64_t key; /* the request's number, without the mark of one that comes again */
	uint32_t life; /* of the process that served it */
	uint32_t kind; /* enum fs_deed_kind */
	uint64_t parent;
	struct fs_witness witness;
	char name[LEDGER_NAME_MAX];
};

struct ledger_crash {
	_Atomic uint64_t key; /* 0: free */
	atomic_uint nr;
};

/* What is told of a mount's lives. The daemon's, before its threads serve. */
struct ledger_facts {
	uint64_t lives; /* processes that have served the mount */
	uint64_t kills; /* of these, how many were followed after they had died */
	uint64_t outage_ns; /* from the last death until requests were served again */
	uint64_t repairs; /* all that was put right in the arena after deaths */
};

/* In a memfd; zero at first. */
struct ledger {
	uint32_t size; /* of this struct: all processes are of one layout */
	uint32_t life;
	struct ledger_facts facts;
	_Atomic uint64_t nr_resent, nr_answered, nr_poisoned; /* requests; relaxed: counters */
	struct ledger_crash crashes[LEDGER_NR_CRASHES];
	struct ledger_slot slots[LEDGER_NR_SLOTS];
};

/** ledger_make() - an empty one. Return: 0 or -errno. */
int ledger_make(struct ledger **out_ledger, int *out_fd) ZT_MUST_CHECK;

/** ledger_map() - of a descriptor. Return: 0; -EPROTO it is none; -errno. */
int ledger_map(int fd, struct ledger **out_ledger) ZT_MUST_CHECK;

void ledger_unmap(struct ledger *ledger);

/** ledger_settle() - in a later life, when attached: look what the killed one had done. No thread serves. */
void ledger_settle(struct ledger *ledger, struct super *sb);

/**
 * ledger_begin() - a request is about to be served by the calling thread
 * @opcode: as the kernel sent it; @msg: of @len bytes, as it came
 * Context: a thread of the channel's; waits while all slots are in use.
 * Return: its slot, which is the thread's witness; NULL: it needs none.
 */
struct ledger_slot *ledger_begin(struct ledger *ledger, uint64_t unique, uint32_t opcode,
				 const void *msg, size_t len);

/** ledger_end() - its reply is written, or somebody else will serve it again; NULL is allowed */
void ledger_end(struct ledger_slot *slot);

/** ledger_find() - what comes again and was done; ledger_end() when it is answered. Return: NULL: it was not. */
struct ledger_slot *ledger_find(struct ledger *ledger, uint64_t unique);

/**
 * ledger_retire() - what earlier lives have done and nobody has asked for gives its slot back
 * Context: any thread, when all requests that came again in this life were looked for.
 */
void ledger_retire(struct ledger *ledger);

/** ledger_is_again() - whether the kernel has sent it before */
bool ledger_is_again(uint64_t unique);

/** ledger_note_crash() - the thread that serves it has crashed; in a signal's handler */
void ledger_note_crash(struct ledger *ledger, uint64_t unique);

/** ledger_forgive() - it was answered after all: its crashes no longer count */
void ledger_forgive(struct ledger *ledger, uint64_t unique);

/** ledger_is_poison() - whether it comes again, and as many processes as there may be have died of it */
bool ledger_is_poison(const struct ledger *ledger, uint64_t unique);

#endif
