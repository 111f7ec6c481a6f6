// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * keeper.c - the process that keeps a mount's descriptors, and starts its daemon again. See keeper.h.
 *
 * One thread, which waits for the daemon's next word. All signals are blocked but those that cannot
 * be: SIGTERM is for the daemon, and a keeper that ended with it would be made anew.
 *
 * The daemon's end of the socket is closed by the kernel when the last of its threads has left, so
 * never while one of them could still store something. But a thread may wait in the kernel for a
 * request that only a daemon can answer (src/daemon/full.c writes to its own mount), and then never
 * leaves. So another thread of the daemon is watched, too: when that one has gone the others are
 * being killed, and none of them comes back from the kernel.
 *
 * Of a mount that carries swap nothing may be swapped out, or it could be wanted from itself: all of the
 * keeper is locked, with the files of its program, and the memfds that lie beside the arena. And a next daemon stands by (standby.h).
 *
 * Weakness: a thread that is kept from running in the kernel for STUCK_MS, while another one is stuck,
 * may still finish its last system call.
 *
 * Locks: none. Never allocates, never logs.
 */
#include "daemon/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "daemon/handover.h"
#include "daemon/home.h"
#include "daemon/standby.h"
#include "util/clock.h"
#include "util/sizes.h"

/*
 * So many deaths within WITHIN_NS, in lives that answered nothing, end the mount. A SIGKILL mostly
 * comes from others, and says nothing about the next life.
 */
#define DEATHS_MOST 5u
#define KILLS_MOST  50u
#define WITHIN_NS   (UINT64_C(10) * ZT_NS_PER_S)
/* So long after the watched thread the others must have gone, or they are stuck. */
#define STUCK_MS 1000
/* The same where it leaves in order: more than it has for that (session_signal.c). */
#define LEAVING_MS 7000
/* So long may the program of an upgrade take until it serves. */
#define TRIAL_NS (UINT64_C(10) * ZT_NS_PER_S)
/* Pages of the home's spare that go when a daemon has died, and as often as the next one does not serve yet. */
#define SPARE_FIRST 256u
#define SPARE_NEXT  64u
#define SPARE_MS    20
/* Between two tries to have a process at all. */
#define TRY_NS  (ZT_NS_PER_S / 10)
#define NR_TRIES 50u

/* Deaths since something was answered, or since the oldest was WITHIN_NS ago. */
struct toll {
	uint64_t since_ns;
	unsigned nr_deaths, nr_kills;
};

static struct keeper {
	int sock; /* to the daemon */
	pid_t child; /* the daemon, when it is one of ours; else 0 */
	int watch; /* HANDOVER_WATCH's, or -1 */
	int next; /* HANDOVER_NEXT's, which takes over when the daemon has left; or -1 */
	int trial; /* the daemon's program, instead of HANDOVER_BINARY's until it serves; or -1 */
	uint64_t until_ns; /* when it must serve; 0: no more is waited for */
	bool complete; /* HANDOVER_COMPLETE has come */
	bool serves; /* the daemon does, as far as it has told */
	struct standby standby;
	int fds[HANDOVER_MOST];
	unsigned char kinds[HANDOVER_MOST];
	unsigned nr;
	struct handover_record *record; /* from its descriptor on */
	struct toll toll;
	sigset_t mask; /* that a new daemon begins with */
	const struct keeper_life *life;
} keeper;

static int find(enum handover_kind kind)
{
	for (unsigned i = 0; i < keeper.nr; i++)
		if (keeper.kinds[i] == kind)
			return keeper.fds[i];
	return -1;
}

/* Its memory stays where it is, the OOM killer takes all others first, and nobody's folder is held. */
static void settle(void)
{
	const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	const int oom = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	sigset_t all;

	sigfillset(&all);
	(void)sigprocmask(SIG_SETMASK, &all, &keeper.mask);
	(void)prctl(PR_SET_NAME, "ztmpfs-keeper");
	/* What a user may not do is passed over: it works without. */
	if (oom >= 0) {
		(void)!write(oom, "-1000", 5);
		close(oom);
	}
	(void)!chdir("/");
	for (int fd = 0; null >= 0 && fd <= STDERR_FILENO; fd++)
		(void)dup2(null, fd); /* it exists */
	if (null > STDERR_FILENO)
		close(null);
	(void)mlockall(MCL_CURRENT | MCL_ONFAULT);
}

static void drop(int *inout_fd)
{
	if (*inout_fd >= 0)
		close(*inout_fd);
	*inout_fd = -1;
}

/* It serves: from here on it is the program of this mount. */
static void end_trial(void)
{
	for (unsigned i = 0; i < keeper.nr && keeper.trial >= 0; i++) {
		if (keeper.kinds[i] != HANDOVER_BINARY)
			continue;
		drop(&keeper.fds[i]);
		keeper.fds[i] = keeper.trial;
		keeper.trial = -1;
		keeper.record->order = HANDOVER_SERVE;
	}
	keeper.until_ns = 0;
}

/* The mount carries swap. */
static bool swaps(void)
{
	return keeper.record && keeper.record->swaps;
}

/* What a new daemon is given of each. */
static struct standby_kept kept(void)
{
	return (struct standby_kept){ keeper.fds, keeper.kinds, keeper.nr, 1 - (keeper.record->home_set & 1) };
}

/* Somebody may still write to it. */
static void forget(enum handover_kind kind)
{
	for (unsigned i = 0; i < keeper.nr; i++) {
		if (keeper.kinds[i] != kind)
			continue;
		close(keeper.fds[i]);
		keeper.nr--;
		keeper.fds[i] = keeper.fds[keeper.nr];
		keeper.kinds[i] = keeper.kinds[keeper.nr];
		return;
	}
}

static void keep(enum handover_kind kind, int fd)
{
	if (kind == HANDOVER_COMPLETE) {
		keeper.complete = keeper.serves = true;
		if (swaps())
			standby_settle(kept());
	}
	if (kind == HANDOVER_READY) {
		end_trial();
		keeper.serves = true;
	}
	if (fd < 0)
		return;
	if (kind == HANDOVER_WATCH || kind == HANDOVER_NEXT) {
		int *slot = kind == HANDOVER_WATCH ? &keeper.watch : &keeper.next;

		drop(slot);
		*slot = fd;
		return;
	}
	if (kind >= HANDOVER_NR || keeper.nr == ARRAY_SIZE(keeper.fds)) {
		close(fd);
		return;
	}
	keeper.fds[keeper.nr] = fd;
	keeper.kinds[keeper.nr++] = (unsigned char)kind;
	/* What is no record is as if there were none: then nothing is started again. */
	if (kind == HANDOVER_RECORD && handover_record_map(fd, &keeper.record) != 0)
		keeper.complete = false;
}

static void note_upgrade(enum handover_upgrade_state state)
{
	atomic_store_explicit(&keeper.record->upgrade.state, (uint32_t)state, memory_order_release);
}

static bool wants_standby(void)
{
	return keeper.serves && swaps() && keeper.standby.sock < 0 &&
	       keeper.next < 0 && keeper.trial < 0;
}

/* A new daemon, which waits for descriptors. Return: as handover_spawn(). */
static pid_t make_daemon(int *out_sock)
{
	const int binary = keeper.trial >= 0 ? keeper.trial : find(HANDOVER_BINARY);
	const struct handover_child child = { .binary = binary,
					      .word = HANDOVER_WORD_KEPT,
					      .argv = keeper.life->argv,
					      .mask = &keeper.mask };
	pid_t pid = -EPERM;

	if (swaps())
		pid = standby_make(&child, keeper.life, out_sock);
	return pid > 0 ? pid : handover_spawn(&child, out_sock);
}

/* What fails is tried again later. */
static void hire_standby(void)
{
	int sock = -1;
	const pid_t pid = make_daemon(&sock);

	(void)!standby_start(&keeper.standby, pid, sock, kept());
}

/* One of the program that serves, while it serves. */
static void see_to_standby(void)
{
	if (wants_standby() && zt_now_ns() >= keeper.standby.after_ns)
		hire_standby();
}

/* Until there is something to do without a word from anybody. */
static int idle_ms(void)
{
	if (keeper.until_ns)
		return zt_ms_until(keeper.until_ns);
	if (swaps() && !keeper.serves)
		return SPARE_MS;
	return wants_standby() ? zt_ms_until(keeper.standby.after_ns) : -1;
}

/* Nothing has come of it in time. It is heard of once more, when it has died. */
static void cut_trial(void)
{
	keeper.until_ns = 0;
	note_upgrade(HANDOVER_UPGRADE_LATE);
	if (keeper.child > 0)
		(void)kill(keeper.child, SIGKILL); /* it is not waited for yet */
}

enum news {
	NEWS_NONE,
	NEWS_WORD, /* the daemon has said something, or has gone */
	NEWS_STUCK, /* it is stuck in its end */
};

static enum news wait_for_news(void)
{
	struct pollfd wanted[] = { { .fd = keeper.sock, .events = POLLIN },
				   { .fd = keeper.watch, .events = POLLIN },
				   { .fd = keeper.standby.sock, .events = POLLIN } };
	const int nr = poll(wanted, ARRAY_SIZE(wanted), idle_ms());

	if (nr < 0 || wanted[0].revents)
		return NEWS_WORD;
	if (nr == 0 && keeper.until_ns && zt_now_ns() >= keeper.until_ns)
		cut_trial();
	if (nr == 0 && swaps() && !keeper.serves)
		home_give_spare(find(HANDOVER_HOME), SPARE_NEXT);
	if (wanted[2].revents)
		standby_drop(&keeper.standby); /* it says nothing, so it has gone */
	if (!wanted[1].revents)
		return NEWS_NONE;
	return poll(wanted, 1, keeper.next >= 0 ? LEAVING_MS : STUCK_MS) != 0 ? NEWS_WORD : NEWS_STUCK;
}

/* Until the daemon's death. Return: false when it has said that the mount ends. */
static bool listen_to_daemon(void)
{
	enum news news = NEWS_NONE;
	enum handover_kind kind;
	int fd;

	while (news != NEWS_STUCK) {
		see_to_standby();
		news = wait_for_news();
		if (news != NEWS_WORD)
			continue;
		if (handover_receive(keeper.sock, &kind, &fd) <= 0)
			return true;
		if (kind == HANDOVER_END)
			return false;
		keep(kind, fd);
	}
	keeper.child = 0; /* it is not to be waited for */
	forget(HANDOVER_HOME);
	return true;
}

/* By umount, or because somebody has aborted it. */
static bool connection_has_ended(void)
{
	struct pollfd channel = { .fd = find(HANDOVER_CHANNEL) };

	return poll(&channel, 1, 0) == 1 && (channel.revents & POLLERR);
}

/* Children that have ended. Return: whether the daemon may have been ended by SIGKILL. */
static bool reap(void)
{
	bool killed = keeper.child == 0;
	pid_t pid;
	int status;

	/* Its descriptors are closed before it can be waited for. */
	if (keeper.child > 0 && waitpid(keeper.child, &status, 0) == keeper.child)
		killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
	keeper.child = 0;
	do {
		pid = waitpid(-1, &status, WNOHANG);
		if (pid > 0 && pid == keeper.standby.pid)
			keeper.standby.pid = 0;
	} while (pid > 0);
	return killed;
}

/* Return: whether another life makes sense. */
static bool is_worth_another(bool killed, uint64_t now_ns)
{
	struct toll *toll = &keeper.toll;
	const bool answered =
		atomic_exchange_explicit(&keeper.record->answered, 0, memory_order_relaxed);

	if (answered || now_ns - toll->since_ns > WITHIN_NS)
		*toll = (struct toll){ .since_ns = now_ns };
	if (answered)
		return true;
	if (killed)
		toll->nr_kills++;
	else
		toll->nr_deaths++;
	return toll->nr_deaths < DEATHS_MOST && toll->nr_kills < KILLS_MOST;
}

/* What the next daemon is given of each. */
static int fd_of(unsigned i)
{
	return keeper.kinds[i] == HANDOVER_BINARY && keeper.trial >= 0 ? keeper.trial : keeper.fds[i];
}

static void has_started(pid_t pid, int sock)
{
	close(keeper.sock);
	drop(&keeper.watch);
	keeper.sock = sock;
	keeper.child = pid;
	keeper.serves = false;
	keeper.record->home_set = 1 - (keeper.record->home_set & 1);
}

/* Return: 0; -errno: none stood by, or it had died. */
static int start_standby(void)
{
	pid_t pid;
	int sock;

	if (keeper.standby.sock < 0)
		return -ESRCH;
	pid = standby_go(&keeper.standby, kept(), &sock);
	if (pid < 0)
		return (int)pid;
	has_started(pid, sock);
	return 0;
}

static int start_anew(void)
{
	int sock, error = 0;
	const pid_t pid = make_daemon(&sock);

	if (pid < 0)
		return (int)pid;
	has_started(pid, sock);
	/* One that dies meanwhile is heard of next. */
	for (unsigned i = 0; i < keeper.nr && !error; i++)
		error = handover_send(keeper.sock, keeper.kinds[i], fd_of(i));
	if (!error)
		(void)!handover_send(keeper.sock, HANDOVER_COMPLETE, -1);
	return 0;
}

static int start(void)
{
	/* It is of the program that served. */
	if (keeper.trial >= 0)
		standby_drop(&keeper.standby);
	else if (swaps() && keeper.standby.sock < 0)
		hire_standby();
	if (swaps())
		home_give_spare(find(HANDOVER_HOME), SPARE_FIRST);
	return start_standby() == 0 ? 0 : start_anew();
}

/* The arena is as the one before has left it, or as this one has. */
static void give_up_trial(void)
{
	drop(&keeper.trial);
	if (keeper.until_ns)
		note_upgrade(HANDOVER_UPGRADE_DIED);
	keeper.until_ns = 0;
	keeper.record->order = HANDOVER_SERVE;
}

/* Which program comes next, and what for; the daemon has gone. */
static void plan_next(void)
{
	struct handover_record *record = keeper.record;
	const bool killed = reap();

	record->order = HANDOVER_SERVE;
	if (keeper.trial >= 0) {
		give_up_trial();
		return;
	}
	if (keeper.next >= 0) {
		keeper.trial = keeper.next;
		keeper.next = -1;
		keeper.until_ns = zt_now_ns() + TRIAL_NS;
		record->order = HANDOVER_TRY;
		return;
	}
	record->died_ns = zt_now_ns();
	record->nr_kills++;
	if (!is_worth_another(killed, record->died_ns))
		record->order = HANDOVER_GIVE_UP;
}

/* The daemon has died. Return: false when there will be no other. */
static bool start_again(void)
{
	const struct timespec pause = zt_timespec(TRY_NS);
	unsigned nr_tries = 0;

	if (!keeper.complete || connection_has_ended())
		return false;
	/* Even the one that was to unmount died. The connection ends with the last descriptor. */
	if (keeper.record->order == HANDOVER_GIVE_UP)
		return false;
	plan_next();
	keeper.record->nr_lives++;
	while (start() != 0) {
		if (keeper.trial >= 0) {
			give_up_trial();
			continue;
		}
		if (++nr_tries == NR_TRIES)
			return false;
		(void)nanosleep(&pause, NULL); /* there are no signals */
	}
	return true;
}

int keeper_main(int sock, const struct keeper_life *life)
{
	bool again = true;

	keeper.life = life;
	keeper.sock = sock;
	keeper.watch = keeper.next = keeper.trial = -1;
	keeper.standby = STANDBY_NONE;
	(void)fcntl(sock, F_SETFD, FD_CLOEXEC); /* it is open */
	settle();
	while (again && listen_to_daemon())
		again = start_again();
	/* Before whoever waits for the end of this process. */
	standby_drop(&keeper.standby);
	return again ? 0 : 1;
}
