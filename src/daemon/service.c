// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * service.c - what the daemon tells a service manager. See service.h.
 *
 * Locks: none; a datagram is sent at once, or not.
 */
#include "daemon/service.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "util/passfd.h"
#include "util/sizes.h"

#define NS_PER_US 1000u
#define NEAR_PCT  90u
#define AWAY_PCT  85u

/* What a manager gives to the one process. */
static const char *const variables[] = { "NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC" };

/* Written before there are threads. */
static struct {
	int sock; /* connected; 0: none, since that is somebody's input */
	uint64_t watchdog_ns;
	bool journal;
	const char *taken[ARRAY_SIZE(variables)]; /* the text of each; it outlives its variable */
} service;

static int connect_to(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const size_t len = strlen(path);
	int sock;

	if ((path[0] != '/' && path[0] != '@') || len < 2 || len >= sizeof(address.sun_path))
		return -1;
	memcpy(address.sun_path, path, len);
	if (path[0] == '@')
		address.sun_path[0] = '\0'; /* of the abstract kind */
	sock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (sock < 0)
		return -1;
	if (connect(sock, (const struct sockaddr *)&address,
		    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) == 0)
		return sock;
	close(sock);
	return -1;
}

static uint64_t number_of(const char *name)
{
	const char *text = getenv(name);
	char *end;
	unsigned long long value;

	if (!text || *text < '0' || *text > '9')
		return 0;
	value = strtoull(text, &end, 10);
	return *end == '\0' ? value : 0;
}

static bool stderr_is_journal(void)
{
	const char *text = getenv("JOURNAL_STREAM");
	unsigned long long dev, ino;
	struct stat st;

	return text && sscanf(text, "%llu:%llu", &dev, &ino) == 2 &&
	       fstat(STDERR_FILENO, &st) == 0 && st.st_dev == dev && st.st_ino == ino;
}

void service_open(void)
{
	const char *path = getenv("NOTIFY_SOCKET");
	const int sock = path ? connect_to(path) : -1;
	const uint64_t pid = number_of("WATCHDOG_PID");

	service.sock = sock > STDERR_FILENO ? sock : 0;
	service.watchdog_ns = service.sock && (pid == 0 || pid == (uint64_t)getpid())
				      ? number_of("WATCHDOG_USEC") * NS_PER_US
				      : 0;
	service.journal = stderr_is_journal();
	for (unsigned i = 0; i < ARRAY_SIZE(variables); i++) {
		service.taken[i] = getenv(variables[i]);
		(void)unsetenv(variables[i]); /* fails only for names that cannot be */
	}
}

void service_give_back(void)
{
	service_close();
	for (unsigned i = 0; i < ARRAY_SIZE(variables); i++)
		if (service.taken[i])
			(void)setenv(variables[i], service.taken[i], 1); /* without memory nobody listens */
}

void service_close(void)
{
	if (service.sock)
		close(service.sock);
	service.sock = 0;
	service.watchdog_ns = 0;
}

void service_tell(const char *fmt, ...)
{
	char text[512];
	va_list args;

	if (!service.sock)
		return;
	va_start(args, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	/* A manager that has gone, or has not read what came before, does without. */
	(void)!send(service.sock, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT);
}

void service_store(const char *name, int fd)
{
	char text[128];

	if (!service.sock)
		return;
	(void)snprintf(text, sizeof(text), "FDSTORE=1\nFDPOLL=0\nFDNAME=%s", name);
	(void)!passfd_send(service.sock, text, strlen(text), fd); /* a manager that has gone does not start another one */
}

void service_unstore(const char *name)
{
	char text[128];

	if (!service.sock)
		return;
	(void)snprintf(text, sizeof(text), "FDSTOREREMOVE=1\nFDNAME=%s", name);
	(void)!send(service.sock, text, strlen(text), MSG_NOSIGNAL); /* as above */
}

int service_settle(int timeout_ms)
{
	struct pollfd done;
	int ends[2], error;

	if (!service.sock)
		return 0;
	if (pipe2(ends, O_CLOEXEC) != 0)
		return -errno;
	error = passfd_send(service.sock, "BARRIER=1", strlen("BARRIER=1"), ends[1]);
	close(ends[1]);
	done = (struct pollfd){ .fd = ends[0] };
	if (!error && poll(&done, 1, timeout_ms) == 0)
		error = -ETIMEDOUT;
	close(ends[0]);
	return error;
}

bool service_listens(void)
{
	return service.sock != 0;
}

uint64_t service_watchdog_ns(void)
{
	return service.watchdog_ns;
}

bool service_is_journal(void)
{
	return service.journal;
}

unsigned service_used_pct(const struct statvfs *space)
{
	if (space->f_blocks == 0)
		return 0;
	return (unsigned)((double)(space->f_blocks - space->f_bfree) * 100 /
			  (double)space->f_blocks);
}

enum service_level service_level_next(enum service_level was, const struct statvfs *space)
{
	const uint64_t full = min_u64(MIB / ZT_PAGE_SIZE, div_round_up_u64(space->f_blocks, 100));
	const unsigned used = service_used_pct(space);

	if (space->f_blocks == 0)
		return SERVICE_LEVEL_FREE;
	if (space->f_bfree < full * (was == SERVICE_LEVEL_FULL ? 2 : 1))
		return SERVICE_LEVEL_FULL;
	return used >= (was == SERVICE_LEVEL_FREE ? NEAR_PCT : AWAY_PCT) ? SERVICE_LEVEL_NEAR
									  : SERVICE_LEVEL_FREE;
}
