// SPDX-License-Identifier: GPL-2.0-or-later
/* sem_lock.c - locks of all kinds, leases, notifications. See semantics.h. */
#include "tests/mount/semantics.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static long lock(int fd, int cmd, short type, off_t start, off_t len)
{
	struct flock fl = { .l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = len };
	long result = fcntl(fd, cmd, &fl);

	if (result == 0 && (cmd == F_GETLK || cmd == F_OFD_GETLK) && fl.l_type != F_UNLCK)
		say("  held: type %d, %" PRId64 " at %" PRId64 "%s", fl.l_type, (int64_t)fl.l_len,
		    (int64_t)fl.l_start, fl.l_pid == getppid() ? ", by the parent" : "");
	return result;
}

static void posix_child(void *arg)
{
	int fd = (int)must(open("f", O_RDWR), "open");

	(void)arg;
	sys(lock(fd, F_GETLK, F_WRLCK, 0, 0), "who holds it");
	sys(lock(fd, F_SETLK, F_WRLCK, 5, 1), "a lock inside");
	sys(lock(fd, F_SETLK, F_RDLCK, 30, 5), "a shared one beside a shared one");
	sys(lock(fd, F_SETLK, F_WRLCK, 30, 5), "an exclusive one there");
	sys(lock(fd, F_SETLK, F_WRLCK, 100, 0), "one behind");
	sys(lock(fd, F_OFD_SETLK, F_WRLCK, 5, 1), "an OFD lock inside");
}

static void interrupted(int signal)
{
	(void)signal;
}

static void waiting_child(void *arg)
{
	struct sigaction action = { .sa_handler = interrupted };
	int fd = (int)must(open("f", O_RDWR), "open");
	struct gate *gate = arg;

	must(sigaction(SIGALRM, &action, NULL), "sigaction");
	alarm(1);
	sys(lock(fd, F_SETLKW, F_WRLCK, 0, 10), "waiting, until a signal");
	gate_open(gate);
	alarm(20);
	sys(lock(fd, F_SETLKW, F_WRLCK, 0, 10), "waiting, until it is free");
}

static void case_posix_locks(void)
{
	int fd = make("f", 10), other = (int)must(open("f", O_RDWR), "open");
	struct gate gate;
	pid_t pid;

	sys(lock(fd, F_SETLK, F_WRLCK, 0, 10), "exclusive");
	sys(lock(fd, F_SETLK, F_RDLCK, 20, 20), "shared");
	sys(lock(other, F_SETLK, F_WRLCK, 0, 10), "again, by another descriptor");
	reap(child(posix_child, NULL), "child");
	sys(lock(fd, F_SETLK, F_UNLCK, 3, 4), "a part given back");
	reap(child(posix_child, NULL), "child");
	/* Closing any descriptor drops them all. */
	must(close(other), "close");
	reap(child(posix_child, NULL), "child");
	sys(lock(fd, F_SETLK, F_WRLCK, 0, 10), "exclusive");
	gate_make(&gate);
	pid = child(waiting_child, &gate);
	gate_wait(&gate);
	must(lock(fd, F_SETLK, F_UNLCK, 0, 0), "F_UNLCK");
	reap(pid, "child");
	sys(lock(fd, F_SETLK, F_WRLCK, -1, 1), "before the beginning");
	sys(lock(fd, F_SETLK, F_WRLCK, INT64_MAX, 1), "the last byte");
	sys(lock(fd, F_SETLK, 99, 0, 1), "of no type");
	sys(lockf(fd, F_TLOCK, 5), "lockf");
}

static void deadlock_child(void *arg)
{
	int fd = (int)must(open("f", O_RDWR), "open");
	struct gate *gates = arg;

	sys(lock(fd, F_SETLK, F_WRLCK, 1, 1), "the second");
	gate_open(&gates[0]);
	sys(lock(fd, F_SETLKW, F_WRLCK, 0, 1), "the child waits for the first");
}

static void case_deadlock(void)
{
	int fd = make("f", 10);
	struct gate gates[1];
	bool waits = false;
	pid_t pid;

	gate_make(&gates[0]);
	sys(lock(fd, F_SETLK, F_WRLCK, 0, 1), "the first");
	pid = child(deadlock_child, gates);
	gate_wait(&gates[0]);
	/* Until the child waits there is no deadlock. */
	for (int i = 0; i < 500 && !waits; i++) {
		struct timespec nap = { .tv_nsec = 10000000 };
		char line[256], stat[64];
		FILE *file;

		snprintf(stat, sizeof(stat), "/proc/%d/stat", pid);
		file = fopen(stat, "r");
		waits = file && fgets(line, sizeof(line), file) && strstr(line, ") S ");
		if (file)
			fclose(file);
		nanosleep(&nap, NULL);
	}
	sys(lock(fd, F_SETLKW, F_WRLCK, 1, 1), "the parent waits for the second");
	must(close(fd), "close");
	reap(pid, "child");
}

static void case_ofd_locks(void)
{
	int fd = make("f", 10), other = (int)must(open("f", O_RDWR), "open");
	int ro = (int)must(open("f", O_RDONLY), "open"), copy = dup(fd);

	sys(lock(fd, F_OFD_SETLK, F_WRLCK, 0, 10), "exclusive");
	sys(lock(copy, F_OFD_SETLK, F_WRLCK, 0, 10), "by a copy of the descriptor");
	sys(lock(other, F_OFD_SETLK, F_WRLCK, 5, 1), "by another one");
	sys(lock(other, F_OFD_GETLK, F_WRLCK, 5, 1), "who holds it");
	sys(lock(other, F_SETLK, F_WRLCK, 5, 1), "a POSIX one");
	must(close(fd), "close");
	sys(lock(other, F_OFD_SETLK, F_WRLCK, 5, 1), "after one of two closed");
	must(close(copy), "close");
	sys(lock(other, F_OFD_SETLK, F_WRLCK, 5, 1), "after both closed");
	sys(lock(ro, F_OFD_SETLK, F_WRLCK, 8, 1), "exclusive, read-only");
	sys(lock(ro, F_OFD_SETLK, F_RDLCK, 8, 1), "shared, read-only");
}

static void flock_child(void *arg)
{
	int fd = (int)must(open("f", O_RDONLY), "open");

	(void)arg;
	sys(flock(fd, LOCK_SH | LOCK_NB), "child shared");
	sys(flock(fd, LOCK_EX | LOCK_NB), "child exclusive");
}

static void case_flock(void)
{
	int fd = make("f", 10), other = (int)must(open("f", O_RDONLY), "open");

	sys(flock(fd, LOCK_SH), "shared");
	sys(flock(other, LOCK_SH | LOCK_NB), "shared twice");
	sys(flock(other, LOCK_EX | LOCK_NB), "turned exclusive");
	reap(child(flock_child, NULL), "child");
	sys(flock(other, LOCK_UN), "given back");
	sys(flock(fd, LOCK_EX | LOCK_NB), "turned exclusive");
	reap(child(flock_child, NULL), "child");
	/* Not in the way of the other kind. */
	sys(lock(other, F_SETLK, F_RDLCK, 0, 0), "a POSIX lock");
	must(close(fd), "close");
	reap(child(flock_child, NULL), "child");
	sys(flock(other, 99), "of no kind");
	fd = (int)must(open(".", O_RDONLY), "open");
	sys(flock(fd, LOCK_EX | LOCK_NB), "of a folder");
}

static volatile sig_atomic_t broken;

static void on_break(int signal)
{
	(void)signal;
	broken = 1;
}

static void open_for_writing(void *arg)
{
	sys(open("f", O_WRONLY | O_NONBLOCK) >= 0 ? 0 : -1, "open without waiting");
	gate_open(arg);
	sys(open("f", O_WRONLY) >= 0 ? 0 : -1, "open with waiting");
}

static void case_leases(void)
{
	int fd = make("f", 10), ro;
	struct gate gate;
	sigset_t set;
	pid_t pid;

	sigemptyset(&set);
	sigaddset(&set, SIGIO);
	must(sigprocmask(SIG_BLOCK, &set, NULL), "sigprocmask");
	signal(SIGIO, on_break);
	sys(fcntl(fd, F_SETLEASE, F_RDLCK), "a read lease while open for writing");
	sys(fcntl(fd, F_SETLEASE, F_WRLCK), "a write lease");
	sys(fcntl(fd, F_GETLEASE), "which lease");
	sys(fcntl(fd, F_SETLEASE, F_UNLCK), "given back");
	must(close(fd), "close");
	ro = (int)must(open("f", O_RDONLY), "open");
	if (sys(fcntl(ro, F_SETLEASE, F_RDLCK), "a read lease") < 0)
		return;
	gate_make(&gate);
	pid = child(open_for_writing, &gate);
	gate_wait(&gate);
	sigemptyset(&set);
	while (!broken)
		sigsuspend(&set);
	say("asked to give it back");
	must(fcntl(ro, F_SETLEASE, F_UNLCK), "F_UNLCK");
	reap(pid, "child");
}

static void show_events(int fd)
{
	static const struct {
		uint32_t bit;
		const char *name;
	} bits[] = { { IN_ACCESS, "access" },
		     { IN_MODIFY, "modify" },
		     { IN_ATTRIB, "attrib" },
		     { IN_CLOSE_WRITE, "close-write" },
		     { IN_CLOSE_NOWRITE, "close-nowrite" },
		     { IN_OPEN, "open" },
		     { IN_MOVED_FROM, "moved-from" },
		     { IN_MOVED_TO, "moved-to" },
		     { IN_CREATE, "create" },
		     { IN_DELETE, "delete" },
		     { IN_DELETE_SELF, "delete-self" },
		     { IN_MOVE_SELF, "move-self" },
		     { IN_IGNORED, "ignored" } };
	char buf[16384] __attribute__((aligned(8)));
	ssize_t len;

	while ((len = read(fd, buf, sizeof(buf))) > 0) {
		for (char *at = buf; at < buf + len;) {
			const struct inotify_event *event = (void *)at;

			for (size_t i = 0; i < sizeof(bits) / sizeof(bits[0]); i++)
				if (event->mask & bits[i].bit)
					say("  %s %s", bits[i].name, event->len ? event->name : "");
			at += sizeof(*event) + event->len;
		}
	}
}

static void case_inotify(void)
{
	int fd = inotify_init1(IN_NONBLOCK), file;
	char c;

	must(fd, "inotify_init1");
	must(mkdir("d", 0755), "mkdir");
	sys(inotify_add_watch(fd, "d", IN_ALL_EVENTS), "watch");
	file = make("d/f", 5000);
	show_events(fd);
	must(pread(file, &c, 1, 0), "pread");
	must(pwrite(file, "x", 1, 0), "pwrite");
	must(ftruncate(file, 100), "ftruncate");
	must(fchmod(file, 0600), "fchmod");
	show_events(fd);
	must(close(file), "close");
	show_events(fd);
	must(link("d/f", "d/g"), "link");
	must(rename("d/f", "d/h"), "rename");
	must(rename("d/h", "out"), "rename");
	must(symlink("g", "d/s"), "symlink");
	must(mkdir("d/sub", 0755), "mkdir");
	must(unlink("d/g"), "unlink");
	must(unlink("d/s"), "unlink");
	must(rmdir("d/sub"), "rmdir");
	show_events(fd);
	must(rmdir("d"), "rmdir");
	show_events(fd);
}

const struct sem_case sem_lock_cases[] = {
	{ "posix-locks", case_posix_locks },
	{ "deadlock", case_deadlock },
	{ "ofd-locks", case_ofd_locks },
	{ "flock", case_flock },
	{ "leases", case_leases },
	{ "inotify", case_inotify },
	{ NULL, NULL },
};
