/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * session_i.h - what a session is made of, for its life (session.c), its first mount
 * (session_mount.c), the thread that waits for its end (session_signal.c) and a later process that goes
 * on with it (session_resume.c).
 */
#ifndef ZT_DAEMON_SESSION_I_H
#define ZT_DAEMON_SESSION_I_H

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "daemon/atimes.h"
#include "daemon/bdi.h"
#include "daemon/full.h"
#include "daemon/image.h"
#include "daemon/namespace.h"
#include "daemon/orphans.h"
#include "daemon/ownmount.h"
#include "daemon/pressure.h"
#include "daemon/service.h"
#include "daemon/session.h"
#include "daemon/spillfile.h"
#include "daemon/survive.h"
#include "daemon/upgrade.h"
#include "fuse/fuse_ops.h"
#include "fuse/transport.h"
#include "util/compiler.h"

struct session {
	const struct options *options;
	void *dict; /* the file of dict=, or NULL; */
	size_t dict_size; /* bytes of it */
	struct super *sb;
	struct ztfuse front;
	struct fuse_session *se;
	struct channel_params channel_params; /* its descriptor is the session's */
	struct transport *transport;
	/* Requests are no longer served; relaxed: a signal brings it to the thread that looks. */
	atomic_bool ended;
	struct caller_namespace caller;
	struct survive *survive; /* NULL: the mount ends with this process, */
	struct options_error why_not_kept; /* in spite of survive=auto; "": it was not asked for */
	struct upgrade upgrade;
	/*
	 * Another program goes on: this one leaves, or is on trial and does not serve yet. Written before
	 * there are threads, and by the signal thread.
	 */
	bool leaves;
	struct mount_image image;
	struct spillfile spill; /* of spill= */
	struct ownmount own; /* .path is NULL: it cannot be found */
	struct atimes atimes; /* the signal thread's, while serving */
	int signal_fd; /* terminating signals; non-blocking */
	pthread_t signals; /* while serving */
	sem_t watched; /* posted by that thread: the keeper watches it, if there is one; while it begins */
	bool serving; /* its threads are there */
	bool mounted;
	bool served; /* it was made as a whole */
	struct full full; /* empty: not for this mount */
	bool watches; /* pressure was started */
	struct orphans orphans; /* in later lives */
	/* The signal thread's. */
	enum service_level level; /* that was told */
	uint64_t look_ns; /* when to look next how full it is */
	struct pressure pressure;
};

/* session.c, for session_probe.c, too */

/** session_plan_transport() - how large requests are. Return: bytes that all of it takes at most. */
uint64_t session_plan_transport(struct session *s);

/** session_create_front() - what takes requests apart, and libfuse's session on it. Return: 0 or -errno. */
int session_create_front(struct session *s, struct options_error *error) ZT_MUST_CHECK;

/** session_make_transport() - what it sends and receives by. Return: 0 or -errno. */
int session_make_transport(struct session *s) ZT_MUST_CHECK;

/* session_super.c */

/**
 * session_create_super() - s->sb: a new one, one out of an image, or the one that an earlier process has left
 * @mem_beside: bytes that requests take
 * Return: 0; -errno with a sentence in @error.
 */
int session_create_super(struct session *s, uint64_t mem_beside, struct options_error *error) ZT_MUST_CHECK;

/** session_put_dict() - the bytes of dict= where there are some; else what the options say stays */
void session_put_dict(const struct session *s, struct super_params *params);

/** session_go_without_keeper() - survive=auto where it cannot be: the mount ends with this process. No thread serves yet. */
void session_go_without_keeper(struct session *s, const struct options_error *why);

/* session_mount.c */

/** session_mount() - where the caller sees it; what follows knows that the mount works. Return: 0 or -errno. */
int session_mount(struct session *s, struct options_error *error) ZT_MUST_CHECK;

/** session_agree_on_clock() - after INIT: what the daemon makes may not be older than what the kernel stamps */
void session_agree_on_clock(const struct session *s);

/** session_store_delayed() - have the kernel write all that it has not written yet. While requests are served. */
void session_store_delayed(struct session *s);

/* session_signal.c */

/** session_block_signals() - in all threads to come; they can be read from s->signal_fd. Return: 0 or -errno. */
int session_block_signals(struct session *s) ZT_MUST_CHECK;

/** session_start_signals() - make the thread that takes them. Return: 0 or -errno of pthread_create(). */
int session_start_signals(struct session *s) ZT_MUST_CHECK;

/** session_stop_signals() - requests are no longer served: the thread is told, and joined */
void session_stop_signals(struct session *s);

/* session_resume.c */

/**
 * session_leave_record() - after the first mount, before requests are served: have a keeper, and leave
 * with it what a later process needs
 * Return: 0; -errno with a sentence in @error.
 */
int session_leave_record(struct session *s, struct options_error *error) ZT_MUST_CHECK;

/** session_take_image() - the file that an earlier process read, and the place that it was to save to */
void session_take_image(struct session *s);

/** session_resume() - instead of session_mount(): go on with what an earlier process has mounted. Return: as above. */
int session_resume(struct session *s, struct options_error *error) ZT_MUST_CHECK;

/** session_resumed() - requests are served again: note it, and tell of it */
void session_resumed(const struct session *s);

#endif
