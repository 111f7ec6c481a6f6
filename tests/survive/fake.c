/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fake.c - a program that another one is upgraded to, and that does not serve. What it does its name
 * says, which the test gives it:
 *
 *     mute      ends, and says nothing when it is asked whether it could go on
 *     garbled   says something else
 *     refuses   says no
 *     dies      says yes, and ends when it is to go on
 *     hangs     says yes, and then does nothing
 *     silent    does not even say no
 */
#include <limits.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* As in src/daemon/handover.h; their numbers stay. */
enum { COMPLETE = 9, READY = 12, REFUSED = 13 };

static void answer(int sock, uint32_t kind)
{
	struct {
		uint32_t kind;
		char text[256];
	} message = { kind, "this one would rather not" };

	if (send(sock, &message, sizeof(message), 0) < 0)
		_exit(2);
}

/* All that the daemon tells; a socket that is closed before loses the answer. */
static void hear_all(int sock)
{
	uint32_t kind = 0;

	while (kind != COMPLETE && recv(sock, &kind, sizeof(kind), 0) > 0)
		;
}

/* By a call that a daemon makes, too: with seccomp= no other may be. */
static void wait_for_ever(void)
{
	for (;;)
		(void)poll(NULL, 0, -1);
}

static void be_asked(const char *name, int sock)
{
	hear_all(sock);
	if (strcmp(name, "silent") == 0)
		wait_for_ever();
	if (strcmp(name, "garbled") == 0)
		answer(sock, 77);
	else if (strcmp(name, "refuses") == 0)
		answer(sock, REFUSED);
	else if (strcmp(name, "mute") != 0)
		answer(sock, READY);
}

int main(int argc, char *argv[])
{
	char path[PATH_MAX];
	const ssize_t len = readlink("/proc/self/exe", path, sizeof(path) - 1);
	const char *name;

	if (argc < 2 || len < 0)
		return 1;
	path[len] = '\0';
	name = strrchr(path, '/') + 1;
	if (strncmp(argv[1], "--probe=", 8) == 0)
		be_asked(name, atoi(argv[1] + 8));
	else if (strcmp(name, "hangs") == 0)
		wait_for_ever();
	return 0;
}
