/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * survive.h - the daemon's side of survive=on: it has a keeper, tells it what to keep, and takes over
 * what an earlier daemon has left with one.
 *
 * A daemon that takes over must not touch its mount point, nor wait for anybody who might: requests
 * are served by nobody else. All that the first one learned from it comes by the record.
 *
 * Locks: survive.lock, innermost; messages are sent under it.
 */
#ifndef ZT_DAEMON_SURVIVE_H
#define ZT_DAEMON_SURVIVE_H

#include "daemon/handover.h"
#include "daemon/options.h"
#include "fuse/ledger.h"
#include "util/compiler.h"
#include "util/lock.h"

struct survive {
	struct channel_survival channel; /* for channel_params */
	struct handover_record *record;
	struct ledger *ledger; /* requests under way */
	bool resumed; /* it has taken over, */
	bool stood_by; /* and had stood by until it did */
	bool stored; /* a service manager is the keeper: service_store() */
	bool hired; /* it has what is to be kept, and gets what comes; of stored alone */
	int channel_fd; /* taken over; -1: none, or given away by survive_give() */
	int arena_fd, dict_fd, rescue_fd, inbox_fd, home_fd, spill_fd, spill_key_fd; /* taken over; -1: none */
	int image_dir_fd, image_lock_fd, image_fd; /* as channel_fd */
	char **argv; /* of the keeper; one on the heap, its words the caller's */
	struct mutex lock; /* guards what follows, as soon as there are threads */
	int sock; /* to the keeper; -1: there is none. Read by the signal thread without the lock */
	pid_t keeper; /* to be waited for; 0: it is no child of ours */
	bool leaves; /* the keeper stays when this process ends: survive_leave(), or before survive_ready() of a trial */
	uint64_t hired_ns; /* when the last one was made, */
	unsigned nr_hired; /* and how many one after the other */
	int clones[1000]; /* taken over; of channel, too */
	int fds[HANDOVER_MOST]; /* what the keeper has, for the next one */
	unsigned char kinds[HANDOVER_MOST];
	unsigned nr;
};

/**
 * survive_create() - for a first life
 * @argc, @argv: the command line, which outlives it
 * Return: 0 or -errno.
 */
int survive_create(int argc, char *argv[], struct survive **out_survive) ZT_MUST_CHECK;

/* How a process hears of what it may go on with. */
struct survive_call {
	int sock; /* to the keeper */
	int argc; /* the command line as above, behind the keeper's word */
	char **argv;
	/*
	 * It is to stand by: do and lock what is needed to go on with that mount. Return: 0, or -errno: it
	 * cannot. NULL: it is never asked to. @home_fd: -1 without one; @set: of stacks.
	 */
	int (*stand_by)(void *arg, int home_fd, unsigned set);
	void *arg;
};

/**
 * survive_take() - for a later life: all that the keeper has; waits until it has told all
 * Return: 0; -EPROTO something is missing; -ECANCELED the keeper has gone while this process stood by;
 *         -errno.
 */
int survive_take(const struct survive_call *call, struct survive **out_survive) ZT_MUST_CHECK;

/**
 * survive_store() - of survive_create()'s: what is to be kept goes to the service manager, which starts the
 * next process; there is no keeper
 */
void survive_store(struct survive *survive);

/** survive_is_stored() - whether the manager has given this process what an earlier one has stored */
bool survive_is_stored(void);

/**
 * survive_take_stored() - for a later life that the manager has started: what an earlier one has stored
 * Return: 0; -EPROTO something is missing, and nothing is stored any longer; -errno.
 */
int survive_take_stored(int argc, char *argv[], struct survive **out_survive) ZT_MUST_CHECK;

/** survive_give() - the caller owns one of the descriptors from here on. Return: it. */
int survive_give(int *inout_fd);

/**
 * survive_keep() - have it kept from here on, by this keeper and those to come
 * @fd: open until survive_end(). Any thread. What cannot be kept is kept by the next keeper.
 */
void survive_keep(struct survive *survive, enum handover_kind kind, int fd);

/** survive_keep_dict() - keep the bytes of dict=, whose file may change. Return: 0 or -errno. */
int survive_keep_dict(struct survive *survive, const void *data, size_t size) ZT_MUST_CHECK;

/** survive_load_dict() - those that an earlier process has kept; as dict_load() */
int survive_load_dict(const struct survive *survive, struct options_error *error, void **out_data,
		      size_t *out_size) ZT_MUST_CHECK;

/**
 * survive_leave() - another program, @binary by O_PATH, is to go on with the mount when this process ends
 * @binary: open until survive_destroy(), which closes it. From here on survive_end() leaves the mount
 * and the keeper as they are.
 * Return: 0; -errno: nothing has happened, and @binary is the caller's.
 */
int survive_leave(struct survive *survive, int binary) ZT_MUST_CHECK;

/** survive_ready() - tell the keeper that requests are served, by the program that was started */
void survive_ready(struct survive *survive);

/** survive_watch() - have the keeper know when the calling thread has gone; until survive_end() */
void survive_watch(struct survive *survive);

/**
 * survive_hire() - make a keeper, and tell it all that is to be kept
 * Return: 0 or -errno.
 */
int survive_hire(struct survive *survive) ZT_MUST_CHECK;

/**
 * survive_replace() - a keeper of this program instead of the one that is there
 * A kill of this process between the end of the one and the beginning of the other ends the mount.
 * Return: 0 or -errno; the old one stays then, unless it is missed and hired anew.
 */
int survive_replace(struct survive *survive) ZT_MUST_CHECK;

/** survive_rehire() - the keeper has gone: make another, unless that has happened too often */
void survive_rehire(struct survive *survive, const char *mountpoint);

/**
 * survive_end() - the mount ends, and the keeper with it: its descriptors are closed when this returns
 * It may be called more than once. No other thread.
 */
void survive_end(struct survive *survive);

/** survive_connected() - whether the mount is there still, as far as the channel @fd tells */
bool survive_connected(int fd);

/**
 * survive_unmount() - unmount what an earlier life has mounted; every descriptor of it is closed
 * Context: the last thing that the thread does with files.
 */
void survive_unmount(const struct survive *survive);

/**
 * survive_bury() - a later life cannot go on: end the keeper, the connection and the mount
 * Where a session had taken the channel that has unmounted it. Nothing of the connection is left open.
 */
void survive_bury(struct survive *survive);

/** survive_destroy() - after survive_end(); NULL is allowed */
void survive_destroy(struct survive *survive);

#endif
