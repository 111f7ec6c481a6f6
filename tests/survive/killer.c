/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * killer.c - ends the daemon of one mount again and again.
 *
 *     killer MOUNT COUNT LEAST_MS MOST_MS [SIGNAL]   kill COUNT times, with random pauses between
 *     killer --probe MOUNT COUNT                     kill COUNT times, or until SIGTERM, each 200 ms after it has
 *                                                    answered, and say how long requests wait
 *     killer --probe-standby MOUNT COUNT             the same, but not before the next daemon stands by
 *     killer --pids MOUNT                            print "NAME PID" of the mount's processes
 *
 * Processes are found by the last word of their command line, so no other mount's are touched. With
 * ZT_SEED the pauses are the same again.
 */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/statfs.h>
#include <time.h>
#include <unistd.h>

#define ROOM 8192

static uint64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static ssize_t slurp(const char *pid, const char *name, char text[ROOM])
{
	char path[64];
	ssize_t len;
	int fd;

	snprintf(path, sizeof(path), "/proc/%.20s/%s", pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	len = read(fd, text, ROOM - 1);
	close(fd);
	text[len > 0 ? len : 0] = '\0';
	return len;
}

/* Whether the last word of @pid's command line is @mount. */
static bool is_of_mount(const char *pid, const char *mount)
{
	char words[ROOM];
	ssize_t len = slurp(pid, "cmdline", words);
	const size_t want = strlen(mount);

	return len > (ssize_t)want + 1 && strcmp(words + len - 1 - want, mount) == 0 &&
	       words[len - 2 - (ssize_t)want] == '\0';
}

/* The mount's processes by name; @name NULL: print all. Return: the last one, or 0. */
static pid_t find(const char *mount, const char *name)
{
	DIR *dir = opendir("/proc");
	struct dirent *entry;
	pid_t found = 0;

	while (dir && (entry = readdir(dir)) != NULL) {
		char comm[ROOM];

		if (*entry->d_name < '1' || *entry->d_name > '9' ||
		    slurp(entry->d_name, "comm", comm) <= 0)
			continue;
		comm[strcspn(comm, "\n")] = '\0';
		if (strncmp(comm, "ztmpfs", 6) != 0 || (name && strcmp(comm, name) != 0) ||
		    !is_of_mount(entry->d_name, mount))
			continue;
		if (!name)
			printf("%s %s\n", comm, entry->d_name);
		found = (pid_t)strtol(entry->d_name, NULL, 10);
	}
	if (dir)
		closedir(dir);
	return found;
}

static void pause_us(uint64_t us)
{
	const struct timespec ts = { .tv_sec = (time_t)(us / 1000000),
				     .tv_nsec = (long)(us % 1000000) * 1000 };

	nanosleep(&ts, NULL);
}

/* The next daemon, which is not @last; 0: there is none for ten seconds. */
static pid_t next_daemon(const char *mount, pid_t last)
{
	for (unsigned i = 0; i < 10000; i++) {
		pid_t pid = find(mount, "ztmpfs");

		if (pid && pid != last)
			return pid;
		pause_us(1000);
	}
	return 0;
}

static int kill_often(char *argv[], int sig)
{
	const unsigned count = (unsigned)strtoul(argv[2], NULL, 10);
	const unsigned least = (unsigned)strtoul(argv[3], NULL, 10);
	const unsigned most = (unsigned)strtoul(argv[4], NULL, 10);
	const char *seed = getenv("ZT_SEED");
	pid_t pid = 0;

	srandom(seed ? (unsigned)strtoul(seed, NULL, 10) : (unsigned)getpid());
	for (unsigned nr = 0; nr < count; nr++) {
		pause_us((least + (uint64_t)random() % (most - least + 1)) * 1000);
		pid = next_daemon(argv[1], pid);
		if (!pid || kill(pid, sig) != 0) {
			printf("no daemon after %u kills\n", nr);
			return 1;
		}
	}
	printf("%u kills\n", count);
	return 0;
}

static int compare(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static volatile sig_atomic_t stop;

static void note_stop(int sig)
{
	(void)sig;
	stop = 1;
}

/* statfs(2) is a request whatever the kernel knows. */
static int probe(const char *mount, unsigned count, bool waits_for_next)
{
	uint64_t *waits = calloc(count, sizeof(*waits));
	pid_t pid = 0;
	struct statfs st;
	unsigned nr = 0;

	signal(SIGTERM, note_stop);
	for (; waits && nr < count && !stop; nr++) {
		uint64_t began;

		pid = next_daemon(mount, pid);
		if (statfs(mount, &st) != 0 || !pid)
			return 1;
		pause_us(200000);
		while (waits_for_next && !stop && !find(mount, "ztmpfs-standby"))
			pause_us(10000);
		began = now_us();
		if (kill(pid, SIGKILL) != 0 || statfs(mount, &st) != 0) {
			perror("killer");
			return 1;
		}
		waits[nr] = now_us() - began;
	}
	if (!waits || nr == 0)
		return 1;
	qsort(waits, nr, sizeof(*waits), compare);
	printf("%u kills, a request waits %llu us (median), %llu us (worst)\n", nr,
	       (unsigned long long)waits[nr / 2], (unsigned long long)waits[nr - 1]);
	free(waits);
	return 0;
}

int main(int argc, char *argv[])
{
	/* Where memory is short it kills all the same. As a user it may not. */
	(void)mlockall(MCL_CURRENT | MCL_FUTURE);
	if (argc == 3 && strcmp(argv[1], "--pids") == 0)
		return find(argv[2], NULL) ? 0 : 1;
	if (argc == 4 && strncmp(argv[1], "--probe", 7) == 0)
		return probe(argv[2], (unsigned)strtoul(argv[3], NULL, 10),
			     strcmp(argv[1], "--probe-standby") == 0);
	if (argc == 5 || argc == 6)
		return kill_often(argv, argc == 6 ? (int)strtol(argv[5], NULL, 10) : SIGKILL);
	fputs("usage: killer MOUNT COUNT LEAST_MS MOST_MS [SIGNAL] | --probe[-standby] MOUNT COUNT | "
	      "--pids MOUNT\n",
	      stderr);
	return 2;
}
