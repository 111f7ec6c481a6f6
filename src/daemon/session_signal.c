// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * session_signal.c - the thread that waits for the end, and looks now and then what is to be told meanwhile.
 *
 * Terminating signals are blocked everywhere and taken by this thread alone: libfuse's own handlers would be run by
 * any thread, and the waiting one not woken.
 *
 * Locks: none here.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "daemon/session_i.h"
#include "daemon/swapmode.h"
#include "util/clock.h"
#include "util/lock.h"
#include "util/log.h"
#include "util/sizes.h"

static void signal_set(sigset_t *out_set)
{
	sigemptyset(out_set);
	sigaddset(out_set, SIGTERM);
	sigaddset(out_set, SIGINT);
	sigaddset(out_set, SIGHUP);
}

int session_block_signals(struct session *s)
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

/* How often it is looked how full the mount is. */
#define LOOK_NS (5 * ZT_NS_PER_S)

static void tell_level(const struct session *s, enum service_level was, const struct statvfs *space)
{
	const unsigned long long left = space->f_bfree * ZT_PAGE_SIZE / MIB;
	const char *path = s->options->mountpoint;

	if (s->level == SERVICE_LEVEL_FULL)
		zt_log(ZT_LOG_WARN, "%s: full: writes fail until something is deleted", path);
	else if (s->level > was)
		zt_log(ZT_LOG_WARN, "%s: %u %% used, %llu MiB are left", path,
		       service_used_pct(space), left);
	else
		zt_log(ZT_LOG_INFO, "%s: %u %% used, %llu MiB are left again", path,
		       service_used_pct(space), left);
}

/* Weakness: that this thread runs says nothing about one request that is stuck. */
static void look(struct session *s)
{
	const enum service_level was = s->level;
	struct statvfs space;

	super_statfs(s->sb, &space);
	s->level = service_level_next(was, &space);
	if (s->level != was)
		tell_level(s, was, &space);
	service_tell("%sSTATUS=%s: %u %% of %llu MiB used",
		     service_watchdog_ns() ? "WATCHDOG=1\n" : "", s->options->mountpoint,
		     service_used_pct(&space),
		     (unsigned long long)space.f_blocks * ZT_PAGE_SIZE / MIB);
}

/*
 * Return: milliseconds until it is to be called again, -1: never. A mount for swap is full by intent,
 * and tells nothing: that could need memory.
 */
static int look_sometimes(struct session *s)
{
	const uint64_t watchdog_ns = service_watchdog_ns(), now_ns = zt_now_ns();
	uint64_t interval_ns = LOOK_NS;

	if (s->options->swap && !watchdog_ns)
		return -1;
	if (watchdog_ns)
		interval_ns = min_u64(interval_ns, watchdog_ns / 2);
	if (now_ns >= s->look_ns) {
		if (s->options->swap)
			service_tell("WATCHDOG=1");
		else
			look(s);
		s->look_ns = now_ns + interval_ns;
	}
	return zt_ms_until(s->look_ns);
}

/*
 * Another program waits for this one's end. If that does not come, it is as if the daemon had been
 * killed: what is half done then is put right by the next one.
 */
#define LEAVE_SECONDS 5u

static void leave(struct session *s)
{
	struct sigaction ends = { .sa_handler = SIG_DFL };

	s->leaves = true;
	atomic_store_explicit(&s->front.leaves, ZTFUSE_LEAVES, memory_order_relaxed);
	(void)sigaction(SIGALRM, &ends, NULL); /* it exists */
	(void)alarm(LEAVE_SECONDS);
}

static void *signal_thread(void *arg)
{
	struct session *s = arg;
	struct pollfd wanted[] = { { .fd = s->signal_fd, .events = POLLIN },
				   { .fd = s->atimes.fd, .events = POLLPRI },
				   { .fd = -1 },
				   { .fd = s->upgrade.wanted_fd, .events = POLLIN } };
	struct signalfd_siginfo info;

	if (s->survive)
		survive_watch(s->survive);
	zt_lock_check(sem_post(&s->watched) ? errno : 0);
	for (;;) {
		wanted[2].fd = s->survive ? s->survive->sock : -1;
		if (poll(wanted, ARRAY_SIZE(wanted), look_sometimes(s)) <= 0)
			continue;
		if (wanted[1].revents)
			atimes_look(&s->atimes);
		if (wanted[2].revents)
			survive_rehire(s->survive, s->options->mountpoint);
		if (wanted[3].revents && upgrade_begins(&s->upgrade)) {
			leave(s);
			break;
		}
		if (wanted[0].revents && read(s->signal_fd, &info, sizeof(info)) > 0 &&
		    !refuses_to_end(s))
			break;
	}
	if (s->survive && !s->leaves)
		survive_end(s->survive);
	/* An umount(8) has had all written. */
	if (s->options->save_at_end && !atomic_load_explicit(&s->ended, memory_order_relaxed))
		session_store_delayed(s);
	/* While requests are still served: they may wait for the kernel's writes and reads. */
	seeker_stop(&s->front.seeker);
	retry_stop(&s->front.retry);
	full_stop(&s->full);
	orphans_stop(&s->orphans);
	notifier_stop(&s->front.notifier);
	transport_stop(s->transport);
	return NULL;
}

int session_start_signals(struct session *s)
{
	int res;

	zt_lock_check(sem_init(&s->watched, 0, 0) ? errno : 0);
	res = -pthread_create(&s->signals, NULL, signal_thread, s);
	s->serving = res == 0;
	if (!res) {
		(void)pthread_setname_np(s->signals, "ztmpfs-signal");
		/* Before there are threads that may be stuck in the kernel (full.c): the keeper knows then. */
		while (sem_wait(&s->watched) != 0)
			; /* a debugger */
	}
	zt_lock_check(sem_destroy(&s->watched) ? errno : 0);
	return res;
}

void session_stop_signals(struct session *s)
{
	atomic_store_explicit(&s->ended, true, memory_order_relaxed);
	(void)pthread_kill(s->signals, SIGTERM);
	zt_lock_check(pthread_join(s->signals, NULL));
	s->serving = false;
}
