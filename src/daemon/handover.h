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

#include <limits.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "daemon/full.h"
#include "util/compiler.h"

enum handover_kind {
	HANDOVER_CHANNEL, /* /dev/fuse, with the connection of the mount */
	HANDOVER_SPIN, /* the channel, read without waiting */
	HANDOVER_CLONE, /* the channel once more, for one thread */
	HANDOVER_ARENA, /* the memfd with all that the mount holds */
	HANDOVER_DICT, /* a memfd with the file of dict= */
	HANDOVER_RECORD, /* a memfd with a struct handover_record */
	HANDOVER_LEDGER, /* a memfd with requests under way (fuse/ledger.h) */
	HANDOVER_BINARY, /* the program, by O_PATH */
	HANDOVER_WATCH, /* a pidfd of one thread of the daemon; not for the next daemon */
	/* Without a descriptor: */
	HANDOVER_COMPLETE, /* what is needed is there; a death before it ends the mount */
	HANDOVER_END, /* the mount ends in order: the keeper ends, too */
	HANDOVER_NR
};

/* Clones of max_threads, and one of each other kind. */
#define HANDOVER_MOST (1000u + HANDOVER_NR)

/* Why a daemon is started. */
enum handover_order {
	HANDOVER_SERVE,
	HANDOVER_GIVE_UP, /* to unmount: those before it died one after the other */
};

/*
 * What one life of a daemon leaves to the next beside the arena, and what the keeper adds. Written
 * by the daemon before its threads serve and by the keeper while there is no daemon, but for what is
 * atomic.
 */
struct handover_record {
	uint32_t size; /* of this struct: both ends are of one build */
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
};

/** handover_record_make() - an empty record, mapped. Return: 0 or -errno. */
int handover_record_make(struct handover_record **out_record, int *out_fd) ZT_MUST_CHECK;

/** handover_record_map() - of a descriptor. Return: 0; -EPROTO it is no such record; -errno. */
int handover_record_map(int fd, struct handover_record **out_record) ZT_MUST_CHECK;

void handover_record_unmap(struct handover_record *record);

/**
 * handover_send() - one message
 * @fd: a descriptor, which stays the caller's; -1 for a kind without one
 * Return: 0 or -errno; -EPIPE: nobody hears it.
 */
int handover_send(int sock, enum handover_kind kind, int fd) ZT_MUST_CHECK;

/**
 * handover_receive() - the next message
 * @out_fd: the caller's, closed by exec; -1: none
 * Return: 1; 0 the other one has gone; -errno.
 */
int handover_receive(int sock, enum handover_kind *out_kind, int *out_fd) ZT_MUST_CHECK;

/** handover_pair() - two ends that are closed by exec. Return: 0 or -errno. */
int handover_pair(int out_ends[2]) ZT_MUST_CHECK;

/* The first words of a command line, each followed by a descriptor's number. */
#define HANDOVER_WORD_KEEPER "--keeper="
#define HANDOVER_WORD_KEPT   "--kept="

/** handover_word() - the descriptor behind @word in the first argument; -1: it is another word */
int handover_word(int argc, char *const argv[], const char *word);

/* A process to be made. */
struct handover_child {
	int binary; /* the program */
	const char *word; /* HANDOVER_WORD_*, */
	int sock; /* and its descriptor: the only one beside 0 to 2 that stays open */
	char **argv; /* argv[1] is set here */
	const void *mask; /* sigset_t, blocked from its start */
};

/**
 * handover_spawn() - run the program in a session of its own
 * Context: any thread, also beside others; other threads of the process must not wait for it.
 * Return: its process id, or -errno.
 */
pid_t handover_spawn(const struct handover_child *child) ZT_MUST_CHECK;

#endif
