/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * handover.h - what a daemon and its keeper say to each other: descriptors, each with its kind, and
 * a page that both have mapped.
 *
 *     ztmpfs ... MNT  ------ a descriptor a message ------>  --keeper=N
 *     --kept=N  <----------- the same descriptors ---------  (after a death)
 *
 * All processes are the same program. The first word of the command line says which part it plays,
 * and by which descriptor it hears of the other; the rest is the command line of the mount.
 *
 * Locks: none. Nothing here allocates: the keeper calls it.
 */
#ifndef ZT_DAEMON_HANDOVER_H
#define ZT_DAEMON_HANDOVER_H

#include <assert.h>
#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "daemon/full.h"
#include "image/file.h"
#include "util/compiler.h"

/*
 * Their numbers stay as they are: processes of two programs talk while a mount is upgraded. What one
 * of them does not know it passes over.
 */
enum handover_kind {
	HANDOVER_CHANNEL = 0, /* /dev/fuse, with the connection of the mount */
	HANDOVER_SPIN = 1, /* the channel, read without waiting */
	HANDOVER_CLONE = 2, /* the channel once more, for one thread */
	HANDOVER_ARENA = 3, /* the memfd with all that the mount holds */
	HANDOVER_DICT = 4, /* a memfd with the file of dict= */
	HANDOVER_RECORD = 5, /* a memfd with a struct handover_record */
	HANDOVER_LEDGER = 6, /* a memfd with requests under way (fuse/ledger.h) */
	HANDOVER_BINARY = 7, /* the program, by O_PATH */
	HANDOVER_WATCH = 8, /* hangs up when the daemon is being killed (watched.h); not for the next daemon */
	/* Without a descriptor: */
	HANDOVER_COMPLETE = 9, /* what is needed is there; a death before it ends the mount */
	HANDOVER_END = 10, /* the mount ends in order: the keeper ends, too */
	/* Of an upgrade: */
	HANDOVER_NEXT = 11, /* the program to go on with, by O_PATH: the daemon is about to leave */
	HANDOVER_READY = 12, /* the daemon serves; of a probe: it could */
	HANDOVER_REFUSED = 13, /* of a probe: it could not, with a sentence */
	HANDOVER_RESCUE = 14, /* the folder of rescue=, where that was said */
	HANDOVER_IMAGE_DIR = 15, /* the folder of image=, with save=unmount */
	HANDOVER_IMAGE_LOCK = 16, /* and the lock beside that file, held by its descriptor */
	HANDOVER_SPILL = 17, /* the file or device of spill= */
	HANDOVER_SPILL_KEY = 18, /* memory with the key of what is there (spillkey.h) */
	HANDOVER_INBOX = 19, /* a memfd with requests as they came (fuse/channel/inbox.h), where the kernel sends none again */
	HANDOVER_IMAGE = 20, /* the file of image=, whose contents are read where they stand */
	/* Prepare what is needed, with the one or the other set of stacks, and wait for HANDOVER_COMPLETE. */
	HANDOVER_STANDBY = 21,
	HANDOVER_STANDBY_OTHER = 22,
	HANDOVER_HOME = 23, /* memory that the daemons of a mount that carries swap live in (home.h) */
	HANDOVER_NR
};

/** handover_is_channel() - a way to the kernel, which keeps the connection of the mount */
static inline bool handover_is_channel(unsigned kind)
{
	return kind == HANDOVER_CHANNEL || kind == HANDOVER_SPIN || kind == HANDOVER_CLONE;
}

/* Clones of max_threads, and one of each other kind. */
#define HANDOVER_MOST (1000u + HANDOVER_NR)

/* Why a daemon is started. */
enum handover_order {
	HANDOVER_SERVE,
	HANDOVER_GIVE_UP, /* to unmount: those before it died one after the other */
	HANDOVER_TRY, /* as SERVE; when it fails the program before is started again */
};

/* The last upgrade, or what has come of it. */
enum handover_upgrade_state {
	HANDOVER_UPGRADE_NONE,
	HANDOVER_UPGRADE_RUNS, /* the daemon leaves, or the next one begins */
	HANDOVER_UPGRADE_DONE,
	HANDOVER_UPGRADE_DIED, /* the next one, before it served: the old one is back */
	HANDOVER_UPGRADE_LATE, /* it was ended, since it did not serve in time */
};

struct handover_upgrade {
	uint64_t ticket; /* the caller's; 0: there was none */
	_Atomic uint32_t state; /* enum handover_upgrade_state; release: what follows is stored before */
	uint32_t unused;
	char text[256]; /* why the next one gave up, where it said so */
};

/*
 * What one life of a daemon leaves to the next beside the arena, and what the keeper adds. Written
 * by the daemon before its threads serve and by the keeper while there is no daemon, but for what is
 * atomic.
 */
struct handover_record {
	uint32_t size; /* HANDOVER_RECORD_SIZE, whatever is in use: members are added at the end alone */
	uint32_t order; /* enum handover_order; the keeper's, with nr_lives and died_ns */
	uint32_t nr_lives; /* processes so far that have served, or have tried */
	uint32_t nr_kills; /* deaths so far; the keeper's */
	atomic_uint answered; /* a request was answered in this life; relaxed, see channel.h */
	uint64_t died_ns; /* zt_now_ns() when the last one had died */
	uint64_t outage_ns; /* from there until requests were served again; the daemon's */
	int32_t oom; /* the score for the OOM killer that the daemon has */
	bool caller_left; /* struct caller_namespace */
	bool has_bdi; /* bdi is the mount's */
	bool has_full, full_tunes;
	uint32_t full_way; /* struct full: enum full_way; */
	uint64_t full_least, full_dirty;
	uint64_t caller_dev, caller_ino;
	struct bdi bdi;
	char mountpoint[PATH_MAX]; /* absolute; or /dev/fd/N */
	struct handover_upgrade upgrade; /* the daemon's; while there is none, the keeper's */
	char rescue[NAME_MAX + 1]; /* in the folder of HANDOVER_RESCUE */
	char image[IMAGE_FILE_NAME]; /* in that of HANDOVER_IMAGE_DIR */
	uint64_t image_sum; /* of HANDOVER_IMAGE's header */
	bool swaps; /* all of it stays in memory, and the next daemon stands by (standby.h) */
	uint32_t home_set; /* the stacks of HANDOVER_HOME that the daemon has: 0 or 1; the keeper's */
	uint64_t nr_stood_by; /* daemons that took over and had stood by; the daemon's */
};

/* Processes of other programs have it mapped; what they have not written is 0. */
#define HANDOVER_RECORD_SIZE 16384u
static_assert(sizeof(struct handover_record) <= HANDOVER_RECORD_SIZE, "it has space to grow");

/** handover_record_make() - an empty record, mapped. Return: 0 or -errno. */
int handover_record_make(struct handover_record **out_record, int *out_fd) ZT_MUST_CHECK;

/** handover_record_map() - of a descriptor. Return: 0; -EPROTO it is no such record; -errno. */
int handover_record_map(int fd, struct handover_record **out_record) ZT_MUST_CHECK;

void handover_record_unmap(struct handover_record *record);

/** handover_pair() - two ends, which exec closes. Return: 0 or -errno. */
int handover_pair(int out_ends[2]) ZT_MUST_CHECK;

/**
 * handover_send() - one message
 * @fd: a descriptor, which stays the caller's; -1 for a kind without one
 * Return: 0 or -errno; -EPIPE: nobody hears it.
 */
int handover_send(int sock, enum handover_kind kind, int fd) ZT_MUST_CHECK;

/**
 * handover_receive() - the next message
 * @out_kind: HANDOVER_NR: one that this program does not know, to be passed over
 * @out_fd: the caller's, closed by exec; -1: none
 * Return: 1; 0 the other one has gone; -errno.
 */
int handover_receive(int sock, enum handover_kind *out_kind, int *out_fd) ZT_MUST_CHECK;

/** handover_answer() - of a probe: HANDOVER_READY or HANDOVER_REFUSED, with a sentence. Return: 0 or -errno. */
int handover_answer(int sock, enum handover_kind kind, const char *text) ZT_MUST_CHECK;

/**
 * handover_hear() - the answer of a probe
 * @text: out, "" without one
 * Return: HANDOVER_READY or HANDOVER_REFUSED; -EPROTO it ended without, or said something else;
 *         -ETIMEDOUT.
 */
int handover_hear(int sock, int timeout_ms, char text[256]) ZT_MUST_CHECK;

/* The first words of a command line, each followed by a descriptor's number. */
#define HANDOVER_WORD_KEEPER "--keeper="
#define HANDOVER_WORD_KEPT   "--kept="
#define HANDOVER_WORD_PROBE  "--probe=" /* says whether it could be a --kept one, and ends */

/** handover_word() - the descriptor behind @word in the first argument; -1: it is another word */
int handover_word(int argc, char *const argv[], const char *word);

/* A process to be made. */
struct handover_child {
	int binary; /* the program */
	const char *word; /* HANDOVER_WORD_*; its descriptor is the only one beside 0 to 2 that stays open */
	char **argv; /* argv[1] is set here */
	const sigset_t *mask; /* blocked from its start; NULL: what the calling thread blocks */
};

/**
 * handover_spawn() - run the program in a session of its own, and talk with it
 * @out_sock: out where it runs: the caller's end, closed by exec
 * Context: any thread, also beside others; other threads of the process must not wait for it.
 * Return: its process id; -errno, also when the program cannot be run.
 */
pid_t handover_spawn(const struct handover_child *child, int *out_sock) ZT_MUST_CHECK;

#endif
