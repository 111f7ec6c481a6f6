// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * session.c - one mount from its making to its end.
 *
 * Threads: the caller, which serves INIT by itself and later only waits in transport_run(), where
 * it makes and joins the workers; a signal thread, joined by session_serve(). Terminating signals
 * are blocked everywhere and taken by the signal thread alone: libfuse's own handlers would be run
 * by any thread, and the waiting one not woken.
 *
 * Locks: none here.
 */
#include "daemon/session.h"

#include <errno.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "daemon/atimes.h"
#include "daemon/bdi.h"
#include "daemon/dict.h"
#include "daemon/full.h"
#include "daemon/latency.h"
#include "daemon/namespace.h"
#include "daemon/pressure.h"
#include "daemon/remount.h"
#include "daemon/surroundings.h"
#include "daemon/swapmode.h"
#include "fs/inode.h"
#include "fuse/transport.h"
#include "util/alloc.h"
#include "util/lock.h"
#include "util/log.h"
#include "util/sizes.h"

struct session {
	const struct options *options;
	void *dict; /* dict=, or NULL */
	struct super *sb;
	struct ztfuse front;
	struct fuse_session *se;
	struct channel_params channel_params; /* its descriptor is the session's */
	struct transport *transport;
	/* Requests are no longer served; relaxed: a signal brings it to the thread that looks. */
	atomic_bool ended;
	struct caller_namespace caller;
	struct atimes atimes; /* the signal thread's, while serving */
	int signal_fd; /* terminating signals; non-blocking */
	pthread_t signals; /* while serving */
	bool serving; /* its threads are there */
	bool mounted;
	struct full full; /* empty: not for this mount */
	bool watches; /* pressure was started */
	struct pressure pressure;
};

static void signal_set(sigset_t *out_set)
{
	sigemptyset(out_set);
	sigaddset(out_set, SIGTERM);
	sigaddset(out_set, SIGINT);
	sigaddset(out_set, SIGHUP);
}

static int block_signals(struct session *s)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN };
	sigset_t set;

	/* These fail only for signals that do not exist. */
	signal_set(&set);
	(void)pthread_sigmask(SIG_BLOCK, &set, NULL);
	(void)sigaction(SIGPIPE, &ignore, NULL);
	s->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return s->signal_fd < 0 ? -errno : 0;
}

/* The first line of what was printed into @fd, without the name of the program. */
static void first_line(int fd, char *text, size_t room)
{
	static const char *const names[] = { "fuse: ", "fusermount3: " };
	ssize_t len = pread(fd, text, room - 1, 0);

	text[len > 0 ? len : 0] = '\0';
	text[strcspn(text, "\n")] = '\0';
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const size_t name_len = strlen(names[i]);

		if (strncmp(text, names[i], name_len) == 0)
			memmove(text, text + name_len, strlen(text + name_len) + 1);
	}
}

/*
 * libfuse and its helper print why a mount failed, on several ways and sometimes twice. What they
 * say is caught, so that the caller gets one line.
 */
static int mount_quietly(struct session *s, struct options_error *error)
{
	const char *mountpoint = s->options->mountpoint;
	int caught = memfd_create("ztmpfs-messages", MFD_CLOEXEC);
	int saved = dup(STDERR_FILENO);
	char text[512];
	int failed;

	if (caught >= 0 && saved >= 0)
		(void)dup2(caught, STDERR_FILENO);
	failed = fuse_session_mount(s->se, mountpoint);
	if (saved >= 0)
		(void)dup2(saved, STDERR_FILENO);
	first_line(caught, text, sizeof(text));
	if (saved >= 0)
		close(saved);
	if (caught >= 0)
		close(caught);
	if (failed) {
		ERR_PRINTF(error, "%s: cannot mount: %s", mountpoint,
			   *text != '\0' ? text : "libfuse does not say why");
		return -EIO;
	}
	s->mounted = true;
	if (*text != '\0')
		zt_log(ZT_LOG_WARN, "%s: %s", mountpoint, text);
	return 0;
}

/*
 * Where the kernel delays writes it is told how much, and made to ask when little is left. Swap comes
 * by direct requests.
 */
static void prepare_full(struct session *s, const struct bdi *bdi)
{
	const struct options *options = s->options;
	const struct ownmount mount = { options->mountpoint, &s->caller, *bdi };

	if (options->cache == ZTFUSE_CACHE_WRITEBACK && !options->swap &&
	    options->mount_flags[MOUNT_SYNC] != 1)
		full_prepare(&s->full, &s->front, &mount, super_bytes_left(s->sb));
}

/*
 * Where the kernel stamps files by itself, what the daemon makes after that may not be older. Known
 * after INIT.
 */
static void agree_on_clock(const struct session *s)
{
	int res = s->front.kernel_times ? fs_time_follow_kernel() : 0;

	if (res < 0)
		zt_log(ZT_LOG_WARN, "%s: no clock like the kernel's: %s", s->options->mountpoint,
		       strerror(-res));
}

/* Where the caller sees it; what follows knows that the mount works. */
static int mount_for_caller(struct session *s, struct options_error *error)
{
	const char *mountpoint = s->options->mountpoint;
	int res = namespace_visit(&s->caller);
	struct bdi bdi;
	bool found;

	if (res) {
		ERR_PRINTF(error, "%s: cannot go back to the caller's mount namespace: %s",
			   mountpoint, strerror(-res));
		return res;
	}
	res = mount_quietly(s, error);
	if (!res)
		res = remount_finish(s->options, error);
	if (res)
		return res;
	res = transport_serve_init(s->transport);
	if (res) {
		ERR_PRINTF(error, "%s: cannot agree with the kernel on a protocol", mountpoint);
		return res;
	}
	agree_on_clock(s);
	found = bdi_find(mountpoint, &bdi);
	atimes_open(&s->atimes, s->sb, s->options, found && !s->caller.left ? &bdi : NULL);
	if (found) {
		bdi_tune(&bdi);
		prepare_full(s, &bdi);
	}
	res = namespace_back(&s->caller);
	if (res)
		ERR_PRINTF(error, "%s: cannot leave the caller's mount namespace: %s", mountpoint,
			   strerror(-res));
	return res;
}

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

/* One may reap and one may serve a long request while the third reads what is short. */
#define THREADS_MIN 3u

static uint64_t plan_transport(const struct options *options, struct channel_params *out_params)
{
	*out_params = (struct channel_params){
		.nr_threads = options->swap ? options->max_threads
					    : (unsigned)max_u64(options->max_threads, THREADS_MIN),
		.nr_held = options->swap ? NR_HELD_SWAP : NR_HELD,
		.clone_fd = options->clone_fd,
		.uring = options->uring,
		.spin_ns = options->swap ? SPIN_SWAP_NS : SPIN_NS,
		.io_max = options->swap ? ZTFUSE_SWAP_IO_MAX : ZTFUSE_IO_MAX,
	};
	return transport_plan(options->super.mem_limit, out_params);
}

static int make_transport(struct session *s)
{
	int error;

	if (s->options->cpu_latency)
		latency_open(&s->channel_params);
	error = transport_create(&s->front, &s->channel_params, &s->transport);
	return error ? error : transport_attach(s->transport, s->se, -1);
}

/* @mem_beside: bytes that requests take. */
static int create_super(struct session *s, uint64_t mem_beside, struct options_error *error)
{
	struct super_params params = s->options->super;
	char text[256] = "";
	int res = 0;

	params.mem_beside = mem_beside;
	if (s->options->dict_path)
		res = dict_load(s->options->dict_path, error, &s->dict, &params.content.comp.dict_size);
	if (res)
		return res;
	params.content.comp.dict = s->dict;
	res = super_create(&params, text, &s->sb);
	if (res) {
		ERR_PRINTF(error, "%s", *text != '\0' ? text : strerror(-res));
		return res;
	}
	if (s->options->noswap)
		res = super_lock_memory(s->sb);
	if (res) {
		ERR_PRINTF(error, "option noswap: cannot lock memory (CAP_IPC_LOCK): %s",
			   strerror(-res));
		super_destroy(s->sb);
	}
	return res;
}

/* Everything is allocated, but the serving threads are not there yet. */
static int start_swap(struct session *s, struct options_error *error)
{
	int res = swapmode_lock(error);

	if (res)
		return res;
	res = pressure_start(&s->pressure, s->sb, PRESSURE_PRIORITY);
	s->watches = res == 0;
	if (res)
		ERR_PRINTF(error, "option swap: cannot watch free memory: %s", strerror(-res));
	return res;
}

/* To end now would lose what is swapped out: of any process, and in the middle of its work. */
static bool refuses_to_end(const struct session *s)
{
	/* Whatever the mount was made for. */
	if (atomic_load_explicit(&s->ended, memory_order_relaxed) ||
	    !swapmode_in_use(s->options->mountpoint))
		return false;
	zt_log(ZT_LOG_WARN, "%s: does not end: it carries swap that is in use (ztmpfsctl swap off)",
	       s->options->mountpoint);
	return true;
}

static void *signal_thread(void *arg)
{
	struct session *s = arg;
	struct pollfd wanted[] = { { .fd = s->signal_fd, .events = POLLIN },
				   { .fd = s->atimes.fd, .events = POLLPRI } };
	struct signalfd_siginfo info;

	for (;;) {
		if (poll(wanted, ARRAY_SIZE(wanted), -1) < 0)
			continue;
		if (wanted[1].revents)
			atimes_look(&s->atimes);
		if (wanted[0].revents && read(s->signal_fd, &info, sizeof(info)) > 0 &&
		    !refuses_to_end(s))
			break;
	}
	/* While requests are still served: they may wait for the kernel's writes and reads. */
	seeker_stop(&s->front.seeker);
	retry_stop(&s->front.retry);
	full_stop(&s->full);
	notifier_stop(&s->front.notifier);
	transport_stop(s->transport);
	return NULL;
}

/* Requests are no longer served: the signal thread is told, and joined. */
static void stop_signals(struct session *s)
{
	atomic_store_explicit(&s->ended, true, memory_order_relaxed);
	(void)pthread_kill(s->signals, SIGTERM);
	zt_lock_check(pthread_join(s->signals, NULL));
	s->serving = false;
}

/* With all threads: what cannot have them is told before the caller believes in the mount. */
static int start_serving(struct session *s, struct options_error *error)
{
	int res = -pthread_create(&s->signals, NULL, signal_thread, s);

	if (!res) {
		s->serving = true;
		(void)pthread_setname_np(s->signals, "ztmpfs-signal");
		res = transport_start(s->transport);
		if (res)
			stop_signals(s);
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

	/*
	 * One heap: those that malloc() makes for each thread keep what is freed in them. What is
	 * allocated for requests comes from the threads' own caches.
	 */
	(void)mallopt(M_ARENA_MAX, 1);
	res = block_signals(s);
	if (res) {
		ERR_PRINTF(error, "%s: cannot take signals: %s", options->mountpoint,
			   strerror(-res));
		return res;
	}
	/* One in the foreground ends with its caller; one that carries swap needs the machine's files. */
	if (!options->foreground && !options->swap)
		namespace_leave(&s->caller);
	mem_beside = plan_transport(options, &s->channel_params);
	res = options->swap ? swapmode_enter(options, error) : surroundings_oom(options, error);
	return res ? res : create_super(s, mem_beside, error);
}

/* What takes requests apart, and libfuse's session on it. */
static int create_front(struct session *s, struct options_error *error)
{
	const struct options *options = s->options;
	struct ztfuse_session_params params = { .debug = options->debug };
	char *mount_opts = NULL;
	int res = 0;

	ztfuse_init(&s->front, s->sb, options->cache);
	s->front.xattr = options->xattr;
	s->front.io_max = (uint32_t)s->channel_params.io_max;
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

int session_create(const struct options *options, struct options_error *out_error,
		   struct session **out_session)
{
	struct session *s = zt_zalloc(sizeof(*s));
	int error = -ENOMEM;

	ERR_PRINTF(out_error, "%s: %s", options->mountpoint, strerror(ENOMEM));
	if (!s)
		return error;
	s->options = options;
	s->signal_fd = -1;
	s->atimes.fd = -1;
	error = create_filesystem(s, out_error);
	if (error)
		goto err_free;
	error = create_front(s, out_error);
	if (error)
		goto err_super;
	error = make_transport(s);
	if (error)
		ERR_PRINTF(out_error, "%s: %s", options->mountpoint, strerror(-error));
	else
		error = mount_for_caller(s, out_error);
	if (!error && options->swap)
		error = start_swap(s, out_error);
	if (!error)
		error = start_serving(s, out_error);
	if (error) {
		session_destroy(s);
		return error;
	}
	*out_session = s;
	return 0;

err_super:
	super_destroy(s->sb);
err_free:
	if (s->signal_fd >= 0)
		close(s->signal_fd);
	zt_free(s->dict);
	zt_free(s);
	return error;
}

int session_serve(struct session *s)
{
	int error = transport_run(s->transport);

	stop_signals(s);
	if (error)
		zt_log(ZT_LOG_ERR, "%s: reading requests: %s", s->options->mountpoint,
		       strerror(-error));
	return error;
}

void session_destroy(struct session *s)
{
	if (!s)
		return;
	if (s->serving) {
		/* It was never waited for. The end of the signal thread is the order to end. */
		stop_signals(s);
		if (transport_run(s->transport) != 0)
			zt_log(ZT_LOG_ERR, "%s: the threads ended with an error",
			       s->options->mountpoint);
	}
	/* The accelerator may still owe replies; they go through the session. */
	super_drain(s->sb);
	if (s->watches)
		pressure_stop(&s->pressure);
	if (s->mounted) {
		namespace_find(&s->caller);
		fuse_session_unmount(s->se);
	}
	fuse_session_destroy(s->se);
	transport_destroy(s->transport);
	latency_close(&s->channel_params);
	ztfuse_exit(&s->front);
	super_destroy(s->sb);
	fs_time_unfollow();
	atimes_close(&s->atimes);
	close(s->signal_fd);
	zt_free(s->dict);
	zt_free(s);
}
