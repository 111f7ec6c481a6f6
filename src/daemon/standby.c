// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * standby.c - the keeper's side of a daemon that waits. See standby.h.
 *
 * Locks: none. Never allocates.
 */
#include "daemon/standby.h"

#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/clock.h"

/* One that ends again and again costs no more than that. */
#define PAUSE_NS ZT_NS_PER_S

/* Mapped for nothing but to be locked with the rest. */
static void hold(int fd)
{
	struct stat st;

	if (fstat(fd, &st) == 0 && st.st_size > 0)
		(void)mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
}

/*
 * dl_iterate_phdr()'s. All of the program's files: what a process has written to of them it has copied, and
 * the page in the file, which the next process wants, is not locked by that.
 */
static int hold_file(struct dl_phdr_info *info, size_t size, void *arg)
{
	const char *path = info->dlpi_name[0] != '\0' ? info->dlpi_name : "/proc/self/exe";
	const int fd = open(path, O_RDONLY | O_CLOEXEC);

	(void)size;
	(void)arg;
	if (fd < 0)
		return 0; /* the kernel's */
	hold(fd);
	close(fd);
	return 0;
}

/* Of a mount that carries swap. What a user may not do is passed over, as in keeper.c. */
void standby_settle(struct standby_kept kept)
{
	(void)dl_iterate_phdr(hold_file, NULL);
	for (unsigned i = 0; i < kept.nr; i++)
		if (kept.kinds[i] == HANDOVER_LEDGER || kept.kinds[i] == HANDOVER_DICT ||
		    kept.kinds[i] == HANDOVER_INBOX)
			hold(kept.fds[i]);
	(void)mlockall(MCL_CURRENT);
	/* What it makes is as any other. */
	(void)sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK,
				 &(struct sched_param){ .sched_priority = STANDBY_PRIORITY });
}

/* Whether the daemon's program is the one that runs here. */
static bool is_own_program(int binary)
{
	struct stat st, own;

	return fstat(binary, &st) == 0 && stat("/proc/self/exe", &own) == 0 && st.st_dev == own.st_dev &&
	       st.st_ino == own.st_ino;
}

/* In a child. All but @sock was the keeper's. */
static void begin_life(int sock, const struct handover_child *child, const struct keeper_life *life)
{
	(void)close_range(STDERR_FILENO + 1, (unsigned)sock - 1, 0);
	(void)close_range((unsigned)sock + 1, ~0U, 0);
	(void)setsid();
	(void)sigprocmask(SIG_SETMASK, child->mask, NULL);
	exit(life->begin(sock, life->argc, life->argv));
}

pid_t standby_make(const struct handover_child *child, const struct keeper_life *life, int *out_sock)
{
	int ends[2], error;
	pid_t pid;

	if (!is_own_program(child->binary))
		return -EPERM;
	error = handover_pair(ends);
	if (error)
		return error;
	pid = fork();
	if (pid == 0)
		begin_life(ends[1], child, life);
	close(ends[1]);
	if (pid > 0)
		*out_sock = ends[0];
	else
		close(ends[0]);
	return pid > 0 ? pid : -EAGAIN;
}

/* Return: 0 or -errno. */
static int tell(int sock, struct standby_kept kept, bool channels)
{
	int error = 0;

	for (unsigned i = 0; i < kept.nr && !error; i++)
		if (handover_is_channel(kept.kinds[i]) == channels)
			error = handover_send(sock, kept.kinds[i], kept.fds[i]);
	return error;
}

int standby_start(struct standby *standby, pid_t pid, int sock, struct standby_kept kept)
{
	int error;

	if (pid < 0) {
		standby->after_ns = zt_now_ns() + PAUSE_NS;
		return (int)pid;
	}
	standby->pid = pid;
	standby->sock = sock;
	error = tell(sock, kept, false);
	if (!error)
		error = handover_send(sock, HANDOVER_STANDBY + kept.set, -1);
	if (error)
		standby_drop(standby);
	return error;
}

/* It has to serve at once. */
static void boost(pid_t pid)
{
	const struct sched_param param = { .sched_priority = STANDBY_PRIORITY };

	(void)sched_setscheduler(pid, SCHED_FIFO, &param); /* as a user it does without */
}

pid_t standby_go(struct standby *standby, struct standby_kept kept, int *out_sock)
{
	const pid_t pid = standby->pid;
	int error;

	boost(pid); /* it may still be preparing itself */
	error = tell(standby->sock, kept, true);
	if (!error)
		error = handover_send(standby->sock, HANDOVER_COMPLETE, -1);
	if (error) {
		standby_drop(standby);
		return error;
	}
	*out_sock = standby->sock;
	*standby = STANDBY_NONE;
	return pid;
}

void standby_drop(struct standby *standby)
{
	if (standby->sock < 0)
		return;
	close(standby->sock);
	if (standby->pid > 0) {
		(void)kill(standby->pid, SIGKILL); /* it is not waited for yet */
		while (waitpid(standby->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	*standby = (struct standby){ .sock = -1, .after_ns = zt_now_ns() + PAUSE_NS };
}
