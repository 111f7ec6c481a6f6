// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * session.c - one mount from its making to its end.
 *
 * Threads: the caller, which serves INIT by itself and later only waits; libfuse's workers, which
 * libfuse joins; a signal thread, joined by session_serve(). Terminating signals are blocked
 * everywhere and taken by the signal thread alone: libfuse's own handlers would be run by any
 * thread, and the waiting one not woken.
 *
 * Locks: session->lock, for session->ended; nothing is called under it.
 */
#include "daemon/session.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "daemon/bdi.h"
#include "daemon/swapmode.h"
#include "util/alloc.h"
#include "util/lock.h"
#include "util/log.h"

#define ERR_PRINTF(error, ...) (void)snprintf((error)->text, sizeof((error)->text), __VA_ARGS__)

/* Interrupts the waiting thread's sem_wait(); has no other meaning, so a stray one does no harm. */
#define WAKE_SIGNAL   SIGUSR1
#define WAKE_AGAIN_NS 20000000L

struct session {
	const struct options *options;
	struct super *sb;
	struct ztfuse front;
	struct fuse_session *se;
	bool mounted;
	pthread_t waiting; /* the thread in session_serve() */
	pthread_mutex_t lock;
	pthread_cond_t end;
	bool ended; /* requests are no longer served; guarded by lock */
};

static void do_nothing(int sig)
{
	(void)sig;
}

static void signal_set(sigset_t *out_set)
{
	sigemptyset(out_set);
	sigaddset(out_set, SIGTERM);
	sigaddset(out_set, SIGINT);
	sigaddset(out_set, SIGHUP);
}

static void block_signals(void)
{
	struct sigaction wake = { .sa_handler = do_nothing };
	struct sigaction ignore = { .sa_handler = SIG_IGN };
	sigset_t set;

	/* These fail only for signals that do not exist. */
	signal_set(&set);
	(void)pthread_sigmask(SIG_BLOCK, &set, NULL);
	sigemptyset(&set);
	sigaddset(&set, WAKE_SIGNAL);
	(void)pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	(void)sigaction(WAKE_SIGNAL, &wake, NULL);
	(void)sigaction(SIGPIPE, &ignore, NULL);
}

/* The first line of what was printed into @fd, without the name of who said it. */
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
 * The kernel's first request, served here: what follows knows that the mount works, and no worker
 * starts before the terms are settled.
 */
static int serve_init(struct session *s, struct options_error *error)
{
	struct fuse_buf buf = { 0 };
	int res = 1;

	while (!s->front.initialised && !fuse_session_exited(s->se)) {
		res = fuse_session_receive_buf(s->se, &buf);
		if (res == -EINTR || res == -EAGAIN)
			continue;
		if (res <= 0)
			break;
		fuse_session_process_buf(s->se, &buf);
	}
	free(buf.mem); /* libfuse's, from malloc() */
	if (s->front.initialised && !fuse_session_exited(s->se))
		return 0;
	ERR_PRINTF(error, "%s: cannot agree with the kernel on a protocol", s->options->mountpoint);
	return res < 0 ? res : -EPROTO;
}

int session_create(const struct options *options, struct options_error *out_error,
		   struct session **out_session)
{
	struct ztfuse_session_params params = { .debug = options->debug };
	struct session *s = zt_zalloc(sizeof(*s));
	char *mount_opts = NULL;
	char text[256] = "";
	int error = -ENOMEM;

	ERR_PRINTF(out_error, "%s: %s", options->mountpoint, strerror(ENOMEM));
	if (!s)
		return error;
	s->options = options;
	mutex_init(&s->lock);
	zt_lock_check(pthread_cond_init(&s->end, NULL));
	block_signals();
	error = options->swap ? swapmode_enter(options, out_error) : 0;
	if (error)
		goto err_free;
	error = super_create(&options->super, text, &s->sb);
	if (error) {
		ERR_PRINTF(out_error, "%s", *text != '\0' ? text : strerror(-error));
		goto err_free;
	}
	ztfuse_init(&s->front, s->sb, options->cache);
	error = options_mount_opts(options, &mount_opts);
	if (error)
		goto err_front;
	params.mount_opts = mount_opts;
	error = ztfuse_session_new(&s->front, &params, &s->se);
	zt_free(mount_opts);
	if (error) {
		ERR_PRINTF(out_error, "libfuse refuses the mount options");
		goto err_front;
	}
	error = mount_quietly(s, out_error);
	if (!error)
		error = serve_init(s, out_error);
	if (!error && options->swap)
		error = swapmode_lock(out_error);
	if (error) {
		session_destroy(s);
		return error;
	}
	bdi_tune(options->mountpoint);
	*out_session = s;
	return 0;

err_front:
	ztfuse_exit(&s->front);
	super_destroy(s->sb);
err_free:
	(void)pthread_cond_destroy(&s->end);
	mutex_exit(&s->lock);
	zt_free(s);
	return error;
}

/* To end now would lose what is swapped out: of any process, and in the middle of its work. */
static bool refuses_to_end(struct session *s)
{
	bool ended;

	mutex_lock(&s->lock);
	ended = s->ended;
	mutex_unlock(&s->lock);
	if (ended || !s->options->swap || !swapmode_in_use(s->options->mountpoint))
		return false;
	zt_log(ZT_LOG_WARN, "%s: does not end: it carries swap that is in use (ztmpfsctl swap off)",
	       s->options->mountpoint);
	return true;
}

/*
 * Waits for a terminating signal, then wakes the waiting thread until it has noticed. Once is not
 * enough: it may be just between looking at the flag and going to sleep.
 */
static void *signal_thread(void *arg)
{
	struct session *s = arg;
	sigset_t set;
	int sig;

	signal_set(&set);
	while (sigwait(&set, &sig) != 0 || refuses_to_end(s))
		;
	mutex_lock(&s->lock);
	if (!s->ended)
		fuse_session_exit(s->se);
	while (!s->ended) {
		struct timespec until;

		(void)pthread_kill(s->waiting, WAKE_SIGNAL);
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_nsec += WAKE_AGAIN_NS;
		if (until.tv_nsec >= 1000000000L) {
			until.tv_nsec -= 1000000000L;
			until.tv_sec++;
		}
		(void)pthread_cond_timedwait(&s->end, &s->lock, &until);
	}
	mutex_unlock(&s->lock);
	return NULL;
}

static int run_loop(struct session *s)
{
	struct fuse_loop_config *config = fuse_loop_cfg_create();
	int error;

	if (!config)
		return -ENOMEM;
	fuse_loop_cfg_set_clone_fd(config, s->options->clone_fd);
	fuse_loop_cfg_set_max_threads(config, s->options->max_threads);
	/* Threads once made stay: they hold warm buffers, and making them costs more. */
	fuse_loop_cfg_set_idle_threads(config, s->options->max_threads);
	error = fuse_session_loop_mt(s->se, config);
	fuse_loop_cfg_destroy(config);
	return error > 0 ? -EIO : error;
}

int session_serve(struct session *s)
{
	pthread_t signals;
	int error;

	s->waiting = pthread_self();
	error = -pthread_create(&signals, NULL, signal_thread, s);
	if (error)
		return error;
	(void)pthread_setname_np(signals, "ztmpfs-signal");
	error = run_loop(s);
	mutex_lock(&s->lock);
	s->ended = true;
	zt_lock_check(pthread_cond_signal(&s->end));
	mutex_unlock(&s->lock);
	(void)pthread_kill(signals, SIGTERM);
	zt_lock_check(pthread_join(signals, NULL));
	if (error)
		zt_log(ZT_LOG_ERR, "%s: reading requests: %s", s->options->mountpoint,
		       strerror(-error));
	return error;
}

void session_destroy(struct session *s)
{
	if (!s)
		return;
	if (s->mounted)
		fuse_session_unmount(s->se);
	fuse_session_destroy(s->se);
	ztfuse_exit(&s->front);
	super_destroy(s->sb);
	(void)pthread_cond_destroy(&s->end);
	mutex_exit(&s->lock);
	zt_free(s);
}
