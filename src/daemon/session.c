// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * session.c - one mount from its making to its end.
 *
 * Threads: the caller, which serves INIT by itself and later only waits in transport_run(), where
 * it makes and joins the workers; a signal thread (session_signal.c), joined by session_serve().
 *
 * Locks: none here.
 */
#include "daemon/session_i.h"

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/latency.h"
#include "daemon/rescue.h"
#include "daemon/sandbox.h"
#include "daemon/surroundings.h"
#include "daemon/swapmode.h"
#include "fs/image.h"
#include "fs/inode.h"
#include "fuse/again.h"
#include "fuse/transport.h"
#include "util/alloc.h"
#include "util/log.h"

/* Behind an error of pthread_create(). */
#define TOO_FEW_THREADS "; more processes must be allowed (ulimit -u, or pids.max of the cgroup)"
/* How many requests may be answered later at one time, with their buffers. */
#define NR_HELD 64u
/* Before the thread that fills the reserve. */
#define PRESSURE_PRIORITY 6
/* Of a mount that carries swap: all of them are locked in memory. */
#define NR_HELD_SWAP 8u
/*
 * What sleeping and waking cost the daemon and its client; and with swap the loop device's thread
 * and the one that completes its requests, too.
 */
#define SPIN_NS      15000u
#define SPIN_SWAP_NS 40000u
/* Where CPUs may halt meanwhile: what it takes a virtual one to wake up. */
#define SPIN_UNASKED_NS 50000u

/* One may reap and one may serve a long request while the third reads what is short. */
#define THREADS_MIN 3u

uint64_t session_plan_transport(struct session *s)
{
	const struct options *options = s->options;

	s->channel_params = (struct channel_params){
		.nr_threads = options->swap ? options->max_threads
					    : (unsigned)max_u64(options->max_threads, THREADS_MIN),
		.nr_held = options->swap ? NR_HELD_SWAP : NR_HELD,
		.cpus = options->cpus_said ? &options->cpus : NULL,
		.clone_fd = options->clone_fd,
		.uring = options->uring,
		.spin_ns = options->swap ? SPIN_SWAP_NS : SPIN_NS,
		.spin_unasked_ns = options->swap ? SPIN_SWAP_NS : SPIN_UNASKED_NS,
		.io_max = options->swap ? ZTFUSE_SWAP_IO_MAX : ZTFUSE_IO_MAX,
	};
	return transport_plan(options->super.mem_limit, &s->channel_params);
}

int session_make_transport(struct session *s)
{
	struct survive *survive = s->survive;
	int error;

	if (s->options->cpu_latency)
		latency_open(&s->channel_params);
	if (survive)
		s->channel_params.survival = &survive->channel;
	error = transport_create(&s->front, &s->channel_params, &s->transport);
	if (error)
		return error;
	return transport_attach(s->transport, s->se,
				survive ? survive_give(&survive->channel_fd) : -1);
}

/*
 * Everything is allocated, but the serving threads are not there yet. A later life locks what it had not
 * locked while it stood by when it serves: before, nobody would make space for what that takes.
 */
static int start_swap(struct session *s, struct options_error *error)
{
	const bool resumed = s->survive && s->survive->resumed;
	int res = resumed ? 0 : swapmode_lock(error);

	if (res)
		return res;
	res = pressure_start(&s->pressure, s->sb, PRESSURE_PRIORITY,
			     s->survive ? s->survive->home_fd : -1);
	s->watches = res == 0;
	if (res)
		ERR_PRINTF(error, "option swap: cannot watch free memory: %s", strerror(-res));
	return res;
}

/* With all threads: what cannot have them is told before the caller believes in the mount. */
static int start_serving(struct session *s, struct options_error *error)
{
	int res = session_start_signals(s);

	if (!res) {
		res = transport_start(s->transport);
		if (res)
			session_stop_signals(s);
		else if (s->full.front && full_start(&s->full) != 0)
			zt_log(ZT_LOG_WARN, "%s: no thread to tell in time that it is full",
			       s->options->mountpoint);
	}
	if (res)
		ERR_PRINTF(error, "cannot start the threads that serve requests: %s%s",
			   strerror(-res), res == -EAGAIN ? TOO_FEW_THREADS : "");
	return res;
}

/* The process as the mount wants it, and the filesystem in it. */
static int create_filesystem(struct session *s, struct options_error *error)
{
	const struct options *options = s->options;
	uint64_t mem_beside;
	int res;

	if (options->swap && s->survive && s->survive->resumed)
		swapmode_hurry(true);

	/*
	 * One heap: those that malloc() makes for each thread keep what is freed in them. What is
	 * allocated for requests comes from the threads' own caches.
	 */
	(void)mallopt(M_ARENA_MAX, 1);
	res = session_block_signals(s);
	if (res) {
		ERR_PRINTF(error, "%s: cannot take signals: %s", options->mountpoint,
			   strerror(-res));
		return res;
	}
	/* One in the foreground ends with its caller; one that carries swap needs the machine's files. */
	if (!options->foreground && !options->swap && !(s->survive && s->survive->resumed))
		namespace_leave(&s->caller);
	mem_beside = session_plan_transport(s);
	if (options->swap)
		res = swapmode_enter(options, s->survive ? s->survive->home_fd : -1, error);
	else if (s->survive && s->survive->resumed)
		res = surroundings_set_oom(s->survive->record->oom);
	else
		res = surroundings_oom(options, error);
	if (!res)
		res = sandbox_enter(options, error);
	return res ? res : session_create_super(s, mem_beside, error);
}

/* Where nothing may be written, write(2) says so, and not the kernel's writing later. */
static enum ztfuse_cache cache_of(const struct session *s)
{
	return super_borrows(s->sb) && s->options->cache == ZTFUSE_CACHE_WRITEBACK ?
		       ZTFUSE_CACHE_THROUGH :
		       s->options->cache;
}

/* What takes requests apart, and libfuse's session on it. */
int session_create_front(struct session *s, struct options_error *error)
{
	const struct options *options = s->options;
	struct ztfuse_session_params params = { .debug = options->debug };
	char *mount_opts = NULL;
	int res = 0;

	ztfuse_init(&s->front, s->sb, cache_of(s));
	s->front.xattr = options->xattr;
	s->front.io_max = (uint32_t)s->channel_params.io_max;
	if (s->survive)
		s->front.ledger = s->survive->ledger;
	again_watch(&s->front);
	if (s->survive && !s->survive->stored) {
		s->front.upgrade = upgrade_ask;
		s->front.upgrade_arg = &s->upgrade;
	}
	if (options->swap)
		res = ztfuse_prepare_swap(&s->front, options->max_threads);
	if (!res)
		res = options_mount_opts(options, &mount_opts);
	if (res)
		goto err_front;
	params.mount_opts = mount_opts;
	res = ztfuse_session_new(&s->front, &params, &s->se);
	zt_free(mount_opts);
	if (!res)
		return 0;
	ERR_PRINTF(error, "libfuse refuses the mount options");

err_front:
	ztfuse_exit(&s->front);
	return res;
}

/* Another process goes on with the mount. */
static bool goes_on(const struct session *s)
{
	return s->leaves || (s->survive && s->survive->resumed && !s->served);
}

/* What it holds goes, or stays for another process. */
static void end_super(struct session *s)
{
	if (goes_on(s))
		super_detach(s->sb);
	else
		super_destroy(s->sb);
}

/* Until requests can be served. */
static int mount_or_resume(struct session *s, struct options_error *error)
{
	int res;

	if (s->survive && s->survive->resumed)
		return session_resume(s, error);
	res = session_mount(s, error);
	if (res || !s->survive)
		return res;
	res = session_leave_record(s, error);
	if (res && s->options->survive_when == OPTION_SURVIVE_AUTO) {
		session_go_without_keeper(s, error);
		res = 0;
	}
	return res;
}

static struct session *session_alloc(const struct options *options, struct survive *survive)
{
	struct session *s = zt_zalloc(sizeof(*s));

	if (!s)
		return NULL;
	s->options = options;
	s->survive = survive;
	s->leaves = survive && survive->leaves;
	s->signal_fd = -1;
	s->atimes.fd = -1;
	upgrade_init(&s->upgrade);
	s->image = MOUNT_IMAGE_NONE;
	s->spill = SPILLFILE_NONE;
	return s;
}

static void session_free(struct session *s)
{
	mount_image_close(&s->image);
	spillfile_close(&s->spill);
	upgrade_close(&s->upgrade);
	if (s->signal_fd >= 0)
		close(s->signal_fd);
	zt_free(s->dict);
	zt_free(s);
}

/* In the caller's folder, and while signals end the process: it may wait. */
static int open_files(struct session *s, struct options_error *error)
{
	struct survive *survive = s->survive;
	int res = 0;

	if (!survive || !survive->resumed)
		res = mount_image_open(s->options, &s->image, error);
	else
		session_take_image(s);
	if (!res)
		res = survive && survive->resumed ?
			      spillfile_take(s->options, survive, &s->spill, error) :
			      spillfile_open(s->options, &s->spill, error);
	if (!res && survive && !survive->resumed)
		res = rescue_open(s->options, survive, error);
	if (!res && survive)
		res = upgrade_open(&s->upgrade, survive);
	return res;
}

/* Requests are served, after another process. */
static void has_taken_over(struct session *s)
{
	struct survive *survive = s->survive;
	struct options_error error;

	session_resumed(s);
	survive_ready(survive);
	if (s->options->swap) {
		swapmode_hurry(false);
		if (swapmode_lock(&error) != 0)
			zt_log(ZT_LOG_WARN, "%s: %s", s->options->mountpoint, error.text);
	}
	if (s->leaves && survive_replace(survive) != 0)
		zt_log(ZT_LOG_WARN, "%s: the keeper stays that of the program before",
		       s->options->mountpoint);
	s->leaves = false;
	/* Behind a keeper, which goes without. A mount that has files goes on in any case. */
	if (sandbox_filter(s->options, &error) != 0)
		zt_log(ZT_LOG_ERR, "%s: %s", s->options->mountpoint, error.text);
}

/* What it serves is there. */
static int begin(struct session *s, struct options_error *error)
{
	int res = session_make_transport(s);

	if (res)
		ERR_PRINTF(error, "%s: %s", s->options->mountpoint, strerror(-res));
	else
		res = mount_or_resume(s, error);
	if (!res && s->options->swap)
		res = start_swap(s, error);
	/* Without it some inodes stay. */
	if (!res && s->survive && s->survive->resumed)
		(void)!orphans_start(&s->orphans, &s->front, s->options->mountpoint);
	return res ? res : start_serving(s, error);
}

int session_create(const struct options *options, struct survive *survive,
		   struct options_error *out_error, struct session **out_session)
{
	struct session *s = session_alloc(options, survive);
	int error;

	ERR_PRINTF(out_error, "%s: %s", options->mountpoint, strerror(ENOMEM));
	if (!s)
		return -ENOMEM;
	error = open_files(s, out_error);
	if (!error)
		error = create_filesystem(s, out_error);
	if (error)
		goto err_free;
	error = session_create_front(s, out_error);
	if (error)
		goto err_super;
	error = begin(s, out_error);
	if (!error && !(survive && survive->resumed))
		error = sandbox_filter(options, out_error);
	if (error) {
		/* It has not begun, and what the file holds stays there. */
		mount_image_close(&s->image);
		(void)session_destroy(s);
		return error;
	}
	if (survive && survive->resumed)
		has_taken_over(s);
	s->served = true;
	*out_session = s;
	return 0;

err_super:
	end_super(s);
err_free:
	session_free(s);
	return error;
}

void session_tell(const struct session *s)
{
	if (s->why_not_kept.text[0] != '\0')
		zt_log(ZT_LOG_INFO, "%s: %s; the mount ends with its daemon", s->options->mountpoint,
		       s->why_not_kept.text);
}

bool session_leaves(const struct session *s)
{
	return s->leaves;
}

int session_serve(struct session *s)
{
	int error = transport_run(s->transport);

	session_stop_signals(s);
	if (error)
		zt_log(ZT_LOG_ERR, "%s: reading requests: %s", s->options->mountpoint,
		       strerror(-error));
	return error;
}

/*
 * The keeper goes first: while it has the channel, the connection does not end, and to unmount would
 * wait for requests that nobody serves.
 */
static void end_mount(struct session *s)
{
	bool unmounts = false;

	if (s->survive) {
		survive_end(s->survive);
		unmounts = s->survive->resumed && !s->leaves && survive_connected(fuse_session_fd(s->se));
	}
	if (s->mounted && !s->leaves) {
		namespace_find(&s->caller);
		fuse_session_unmount(s->se);
		if (s->caller.left && s->own.path)
			ownmount_detach(&s->own);
	}
	fuse_session_destroy(s->se);
	transport_destroy(s->transport);
	if (unmounts)
		survive_unmount(s->survive);
}

int session_destroy(struct session *s)
{
	int error = 0;

	if (!s)
		return 0;
	if (s->serving) {
		/* It was never waited for. The end of the signal thread is the order to end. */
		session_stop_signals(s);
		if (transport_run(s->transport) != 0)
			zt_log(ZT_LOG_ERR, "%s: the threads ended with an error",
			       s->options->mountpoint);
	}
	orphans_stop(&s->orphans);
	/* The accelerator may still owe replies; they go through the session. */
	super_drain(s->sb);
	if (s->watches)
		pressure_stop(&s->pressure);
	end_mount(s);
	latency_close(&s->channel_params);
	again_unwatch();
	ztfuse_exit(&s->front);
	s->image.stays = goes_on(s);
	if (!s->image.stays)
		error = mount_image_save(&s->image, s->options, s->sb);
	mount_image_close(&s->image);
	end_super(s);
	fs_time_unfollow();
	atimes_close(&s->atimes);
	session_free(s);
	return error;
}
