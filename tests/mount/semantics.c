// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * semantics.c - run one case, or list them. See semantics.h.
 *
 *     semantics --list
 *     semantics DIR CASE     in a new folder DIR/CASE, which is left behind
 */
#include "tests/mount/semantics.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct sem_case *const tables[] = { sem_data_cases, sem_map_cases, sem_io_cases,
						 sem_lock_cases, sem_name_cases, sem_attr_cases };

static void print(const char *fmt, va_list args)
{
	vprintf(fmt, args);
}

void say(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	print(fmt, args);
	va_end(args);
	putchar('\n');
	fflush(stdout);
}

long sys(long value, const char *fmt, ...)
{
	int error = errno;
	va_list args;

	va_start(args, fmt);
	print(fmt, args);
	va_end(args);
	if (value < 0)
		printf(": %s\n", strerrorname_np(error));
	else
		printf(" = %ld\n", value);
	fflush(stdout);
	errno = error;
	return value;
}

long must(long value, const char *what)
{
	if (value >= 0)
		return value;
	say("cannot go on: %s: %s", what, strerrorname_np(errno));
	exit(1);
}

void pattern(char *buf, size_t len, uint64_t off)
{
	for (size_t i = 0; i < len; i++, off++)
		buf[i] = (char)('a' + (off * 7 + off / 4096 * 5 + off / 65536) % 26);
}

int make(const char *name, size_t len)
{
	int fd = (int)must(open(name, O_RDWR | O_CREAT | O_TRUNC, 0644), name);
	char buf[65536];

	for (size_t off = 0; off < len; off += sizeof(buf)) {
		size_t n = len - off < sizeof(buf) ? len - off : sizeof(buf);

		pattern(buf, n, off);
		must(pwrite(fd, buf, n, (off_t)off), "pwrite");
	}
	return fd;
}

uint64_t sum_range(int fd, uint64_t off, uint64_t len)
{
	static char buf[65536];
	uint64_t sum = 14695981039346656037u;

	while (len > 0) {
		ssize_t n = pread(fd, buf, len < sizeof(buf) ? len : sizeof(buf), (off_t)off);

		must(n, "pread");
		if (n == 0)
			break;
		for (ssize_t i = 0; i < n; i++)
			sum = (sum ^ (unsigned char)buf[i]) * 1099511628211u;
		off += (uint64_t)n;
		len -= (uint64_t)n;
	}
	return sum;
}

void show_seeks(int fd)
{
	off_t at = 0;

	for (int i = 0; i < 40; i++) {
		off_t data = lseek(fd, at, SEEK_DATA), hole;

		if (data < 0) {
			sys(-1, "  data from %" PRId64, (int64_t)at);
			return;
		}
		hole = lseek(fd, data, SEEK_HOLE);
		say("  data %" PRId64 " to %" PRId64, (int64_t)data, (int64_t)hole);
		if (hole < 0)
			return;
		at = hole;
	}
}

void show_file(int fd, const char *what, bool blocks)
{
	struct stat st;

	must(fstat(fd, &st), "fstat");
	say("%s: size %" PRId64 " sum %016" PRIx64, what, (int64_t)st.st_size,
	    st.st_size > (64 << 20) ? 0 : sum_range(fd, 0, (uint64_t)st.st_size));
	show_seeks(fd);
	if (!blocks)
		return;
	if ((fcntl(fd, F_GETFL) & O_ACCMODE) != O_RDONLY)
		must(fsync(fd), "fsync");
	must(fstat(fd, &st), "fstat");
	say("  blocks %" PRId64, (int64_t)st.st_blocks);
}

pid_t child(void (*run)(void *arg), void *arg)
{
	pid_t pid = fork();

	must(pid, "fork");
	if (pid == 0) {
		alarm(30);
		run(arg);
		exit(0);
	}
	return pid;
}

void reap(pid_t pid, const char *what)
{
	int status = 0;

	must(waitpid(pid, &status, 0), "waitpid");
	if (WIFSIGNALED(status))
		say("%s: killed by SIG%s", what, sigabbrev_np(WTERMSIG(status)));
	else
		say("%s: exit %d", what, WEXITSTATUS(status));
}

void gate_make(struct gate *gate)
{
	must(pipe(gate->fd), "pipe");
}

void gate_open(struct gate *gate)
{
	must(write(gate->fd[1], "", 1), "write to a pipe");
}

void gate_wait(struct gate *gate)
{
	char byte;

	must(read(gate->fd[0], &byte, 1), "read from a pipe");
}

static const struct sem_case *find(const char *name)
{
	for (size_t t = 0; t < sizeof(tables) / sizeof(tables[0]); t++)
		for (const struct sem_case *c = tables[t]; c->name; c++)
			if (!name)
				puts(c->name);
			else if (strcmp(c->name, name) == 0)
				return c;
	return NULL;
}

int main(int argc, char **argv)
{
	const char *entries = getenv("ZT_ENTRIES");
	const struct sem_case *c;

	if (argc == 2 && strcmp(argv[1], "--list") == 0) {
		find(NULL);
		return 0;
	}
	if (argc != 3 || !(c = find(argv[2]))) {
		fprintf(stderr, "usage: semantics --list | DIR CASE\n");
		return 2;
	}
	umask(022);
	must(setrlimit(RLIMIT_CORE, &(struct rlimit){ 0 }), "setrlimit");
	/* A folder of many names takes its time. */
	alarm(60 + (entries ? (unsigned)atoi(entries) / 500 : 0));
	must(chdir(argv[1]), argv[1]);
	must(mkdir(c->name, 0755), "mkdir");
	must(chdir(c->name), "chdir");
	c->run();
	return 0;
}
