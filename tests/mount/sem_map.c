// SPDX-License-Identifier: GPL-2.0-or-later
/* sem_map.c - files mapped into memory, and programs that run from them. See semantics.h. */
#include "tests/mount/semantics.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAGE 4096

static char *map(int fd, size_t len, int flags)
{
	char *at = mmap(NULL, len, PROT_READ | PROT_WRITE, flags, fd, 0);

	if (at == MAP_FAILED) {
		say("mmap: %s", strerrorname_np(errno));
		exit(0);
	}
	return at;
}

/* The signal is the answer: sanitizers, which would take it for an error, are kept out. */
static void touch(void *at)
{
	(void)signal(SIGBUS, SIG_DFL);
	*(volatile char *)at = 1;
}

static void case_map_private(void)
{
	int fd = make("f", 3 * PAGE + 100);
	char *at = map(fd, 4 * PAGE, MAP_PRIVATE), buf[10];

	say("%.10s", at + PAGE);
	memcpy(at + PAGE, "private...", 10);
	must(pread(fd, buf, 10, PAGE), "pread");
	say("%.10s", buf);
	/* A page that was not touched shows what is written; one that was, does not. */
	must(pwrite(fd, "written...", 10, 2 * PAGE), "pwrite");
	must(pwrite(fd, "written...", 10, PAGE), "pwrite");
	say("%.10s %.10s", at + 2 * PAGE, at + PAGE);
	say("behind the end %d", at[3 * PAGE + 100]);
	reap(child(touch, at + 3 * PAGE + 200), "a store behind the end, in its page");
	must(ftruncate(fd, PAGE), "ftruncate");
	reap(child(touch, at + 2 * PAGE), "a store behind the cut");
	show_file(fd, "file", true);
}

static void store_in_parts(void *arg)
{
	struct gate *gates = arg;
	int fd = (int)must(open("f", O_RDWR), "open");
	char *at = map(fd, 4 * PAGE, MAP_SHARED);

	memcpy(at + 10, "from the child", 15);
	gate_open(&gates[0]);
	gate_wait(&gates[1]);
	say("child sees %s", at + PAGE);
}

static void case_map_shared(void)
{
	int fd = make("f", 3 * PAGE + 100);
	char *at = map(fd, 4 * PAGE, MAP_SHARED), buf[16] = "";
	struct gate gates[2];
	pid_t pid;

	/* Reads and writes see what the mapping has, and the other way round. */
	memcpy(at, "mapped", 6);
	must(pread(fd, buf, 6, 0), "pread");
	say("%.6s", buf);
	must(pwrite(fd, "written", 7, 2 * PAGE - 3), "pwrite");
	say("%.7s", at + 2 * PAGE - 3);
	gate_make(&gates[0]);
	gate_make(&gates[1]);
	pid = child(store_in_parts, gates);
	gate_wait(&gates[0]);
	say("parent sees %s", at + 10);
	must(pwrite(fd, "from the parent", 16, PAGE), "pwrite");
	gate_open(&gates[1]);
	reap(pid, "child");
	sys(msync(at, 4 * PAGE, MS_SYNC), "msync");
	sys(msync(at, 4 * PAGE, MS_ASYNC | MS_INVALIDATE), "msync invalidate");
	show_file(fd, "file", true);
	/*
	 * What is stored behind the end is nobody's: a tmpfs keeps it, filesystems on disks never do,
	 * and this one forgets it where the page was written back before the file grew, by whatever
	 * called sync(2). But reads and the mapping have the same.
	 */
	at[3 * PAGE + 200] = 'x';
	must(ftruncate(fd, 4 * PAGE), "ftruncate");
	must(pread(fd, buf, 1, 3 * PAGE + 200), "pread");
	say("behind the old end both have the same: %d", at[3 * PAGE + 200] == buf[0]);
	must(ftruncate(fd, 3 * PAGE + 100), "ftruncate");
	at[3 * PAGE + 200] = 'x';
	sys(msync(at, 4 * PAGE, MS_SYNC), "msync");
	must(ftruncate(fd, 4 * PAGE), "ftruncate");
	must(pread(fd, buf, 1, 3 * PAGE + 200), "pread");
	say("written back before it grew: %d", at[3 * PAGE + 200] == buf[0]);
	must(ftruncate(fd, PAGE), "ftruncate");
	reap(child(touch, at + PAGE), "a store behind the cut");
	must(ftruncate(fd, 4 * PAGE), "ftruncate");
	/* Not by the mapping: reading a hole there costs a page on tmpfs. */
	must(pread(fd, buf, 1, 2 * PAGE), "pread");
	say("grown again: %d", buf[0]);
	/* Into a hole; after the last name and descriptor are gone. */
	at[3 * PAGE] = 'h';
	show_file(fd, "hole filled", true);
	must(unlink("f"), "unlink");
	must(close(fd), "close");
	at[5] = 'z';
	say("%.6s", at);
	sys(munmap(at, 4 * PAGE), "munmap");
}

static void case_map_modes(void)
{
	int rw = make("f", PAGE), ro = (int)must(open("f", O_RDONLY), "open");
	int wo = (int)must(open("f", O_WRONLY), "open");

	sys(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, ro, 0) != MAP_FAILED ? 0 : -1, "ro private");
	sys(mmap(NULL, PAGE, PROT_WRITE, MAP_PRIVATE, ro, 0) != MAP_FAILED ? 0 : -1,
	    "ro private write");
	sys(mmap(NULL, PAGE, PROT_WRITE, MAP_SHARED, ro, 0) != MAP_FAILED ? 0 : -1,
	    "ro shared write");
	sys(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, wo, 0) != MAP_FAILED ? 0 : -1, "wo private");
	sys(mmap(NULL, PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE, ro, 0) != MAP_FAILED ? 0 : -1,
	    "exec");
	sys(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, rw, 1) != MAP_FAILED ? 0 : -1, "at 1");
	sys(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, rw, 1 << 20) != MAP_FAILED ? 0 : -1,
	    "behind the end");
}

static void case_exec(void)
{
	static const char script[] = "#!/bin/sh\nexit 7\n";
	char command[256];
	int fd;

	must(system("cp /bin/sleep program && cp /bin/true fast"), "cp");
	sys(system("./fast"), "a program");
	sys(system("./program 0"), "a program with an argument");
	fd = (int)must(open("script", O_WRONLY | O_CREAT, 0755), "open");
	must(write(fd, script, sizeof(script) - 1), "write");
	must(close(fd), "close");
	sys(system("./script") >> 8, "a script");
	must(chmod("script", 0644), "chmod");
	sys(system("./script 2>/dev/null") >> 8, "without permission");
	/* A running one is not written to, but may go. */
	snprintf(command, sizeof(command),
		 "./program 20 & p=$!; while ! [ /proc/$p/exe -ef program ]; do sleep 0.05; done; "
		 "(: >>program) 2>/dev/null && echo written || echo busy; "
		 "rm program; kill -0 $p && echo runs; kill $p");
	sys(system(command), "busy");
}

const struct sem_case sem_map_cases[] = {
	{ "map-private", case_map_private },
	{ "map-shared", case_map_shared },
	{ "map-modes", case_map_modes },
	{ "exec", case_exec },
	{ NULL, NULL },
};
