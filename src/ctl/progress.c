// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * progress.c - a line on the terminal about long work. See progress.h.
 *
 * Threads: one that writes the line and takes ^C, joined by progress_end(), which waits for
 * progress.text(). The thread that works may wait in the kernel for a daemon, where no handler runs.
 * Locks: none; the line is that thread's until it is joined.
 */
#include "ctl/progress.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "util/clock.h"

/* What takes less than the first needs no line; then it is made anew so often. */
#define FIRST_MS 500
#define EACH_MS  200
#define LINES_MS 1000
#define COLUMNS  80u

static struct {
	const struct progress *now; /* NULL: nothing is under way */
	bool runs; /* the thread is there */
	bool terminal; /* the line is drawn again and again */
	bool writes;
	bool takes; /* ^C, which the caller does not ignore */
	pthread_t thread;
	int end_fd; /* an eventfd: the thread shall end */
	bool shown; /* the thread's */
	struct sigaction before;
	sigset_t mask; /* of the thread that works, before */
} progress = { .end_fd = -1 };

static const char clear[] = "\r\033[K";

/* Only what a handler may call. The signal then ends the program as it would have. */
static void interrupted(int sig)
{
	const char *text = progress.now ? progress.now->interrupted : NULL;

	if (progress.shown)
		(void)!write(STDERR_FILENO, clear, sizeof(clear) - 1);
	if (text)
		(void)!write(STDERR_FILENO, text, strlen(text));
	(void)signal(sig, SIG_DFL);
	(void)raise(sig);
}

/* On what is no terminal nothing is drawn over. */
static void write_line(const char *text, uint64_t seconds)
{
	struct winsize size;
	char line[2 * PROGRESS_TEXT];
	size_t columns = COLUMNS;
	int len;

	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
		columns = size.ws_col;
	len = snprintf(line, sizeof(line), "%s%s%s, %llu s", progress.now->what,
		       *text != '\0' ? ": " : "", text, (unsigned long long)seconds);
	/* The last column stays empty: some terminals go to the next line behind it. */
	if (progress.terminal && len > 0 && (size_t)len >= columns)
		line[columns - 1] = '\0';
	dprintf(STDERR_FILENO, "%s%s%s", progress.terminal ? clear : "", line,
		progress.terminal ? "" : "\n");
	progress.shown = progress.terminal;
}

/* Return: false: it is over. */
static bool wait_ms(int ms)
{
	struct pollfd end = { .fd = progress.end_fd, .events = POLLIN };

	return poll(&end, 1, ms) == 0;
}

static void take_interrupts(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	if (progress.takes)
		(void)pthread_sigmask(SIG_UNBLOCK, &set, NULL); /* it exists */
}

static void *writer(void *arg)
{
	const uint64_t begun_ns = zt_now_ns();
	const int each_ms = progress.terminal ? EACH_MS : LINES_MS;

	(void)arg;
	take_interrupts();
	for (int ms = FIRST_MS; wait_ms(ms); ms = each_ms) {
		char text[PROGRESS_TEXT] = "";

		if (progress.writes && progress.now->text)
			progress.now->text(progress.now->arg, text);
		if (progress.writes && wait_ms(0))
			write_line(text, (zt_now_ns() - begun_ns) / ZT_NS_PER_S);
	}
	if (progress.shown)
		(void)!write(STDERR_FILENO, clear, sizeof(clear) - 1);
	return NULL;
}

/* Without a thread there is no line, and ^C is as before. */
static void start_writer(void)
{
	const struct sigaction action = { .sa_handler = interrupted };
	sigset_t set;

	progress.end_fd = eventfd(0, EFD_CLOEXEC);
	if (progress.end_fd < 0)
		return;
	sigfillset(&set);
	(void)pthread_sigmask(SIG_SETMASK, &set, &progress.mask);
	progress.runs = pthread_create(&progress.thread, NULL, writer, NULL) == 0;
	set = progress.mask;
	if (progress.runs && progress.takes) {
		sigaddset(&set, SIGINT);
		(void)sigaction(SIGINT, &action, NULL);
	}
	(void)pthread_sigmask(SIG_SETMASK, &set, NULL);
}

void progress_begin(const struct progress *what)
{
	progress.now = what;
	progress.shown = progress.runs = false;
	progress.end_fd = -1;
	progress.terminal = isatty(STDERR_FILENO);
	progress.writes = progress.terminal || what->lines;
	(void)sigaction(SIGINT, NULL, &progress.before);
	progress.takes = what->interrupted && progress.before.sa_handler != SIG_IGN;
	if (progress.writes || progress.takes)
		start_writer();
}

void progress_end(void)
{
	if (progress.runs) {
		(void)eventfd_write(progress.end_fd, 1); /* it is far from its most */
		(void)pthread_join(progress.thread, NULL);
		progress.runs = false;
		if (progress.takes)
			(void)sigaction(SIGINT, &progress.before, NULL);
		(void)pthread_sigmask(SIG_SETMASK, &progress.mask, NULL);
	}
	if (progress.end_fd >= 0)
		close(progress.end_fd);
	progress.end_fd = -1;
	progress.now = NULL;
}
