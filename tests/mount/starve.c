// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * starve.c - starve DIR SECONDS: eight writers beat on a full mount, one reader goes on.
 *
 * Each writes 64 KiB that do not compress, by direct requests, and again when refused. Meanwhile
 * 4 KiB of another file are read directly, every 2 ms. Prints how long reads took, and the longest
 * write. Exits with 1 when one took so long that it must have waited for room.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define NR_WRITERS 8
#define BYTES      65536
#define CALM_BYTES (8 << 20)
#define MAX_READS  100000
/* A read that waited for a writer's deadline took longer; an overloaded machine takes less. */
#define READ_MAX  3.0
#define WRITE_MAX 7.5

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void fail(const char *what)
{
	fprintf(stderr, "starve: %s: %s\n", what, strerror(errno));
	exit(2);
}

static void *buffer(size_t size)
{
	void *space;

	if (posix_memalign(&space, 4096, size) != 0)
		fail("memory");
	return space;
}

static int open_in(const char *dir, const char *name)
{
	char path[4096];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_RDWR | O_CREAT | O_DIRECT, 0600);
	if (fd < 0)
		fail(path);
	return fd;
}

struct results {
	double longest;
	unsigned long stored, refused;
};

static void write_on(const char *dir, unsigned nr, struct results *out)
{
	uint64_t *bytes = buffer(BYTES), state = nr + 1;
	char name[16];
	int fd;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	snprintf(name, sizeof(name), "writer-%u", nr);
	fd = open_in(dir, name);
	for (unsigned i = 0;; i = (i + 1) % 4000) {
		double begin;

		for (size_t w = 0; w < BYTES / sizeof(*bytes); w++) {
			state ^= state << 13;
			state ^= state >> 7;
			state ^= state << 17;
			bytes[w] = state;
		}
		begin = now();
		if (pwrite(fd, bytes, BYTES, (off_t)i * BYTES) == BYTES)
			out->stored++;
		else if (errno == ENOSPC)
			out->refused++;
		else
			_exit(2);
		begin = now() - begin;
		if (begin > out->longest)
			out->longest = begin;
	}
}

static int compare(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static unsigned read_on(int fd, double seconds, double *took)
{
	char *page = buffer(4096);
	const double end = now() + seconds;
	unsigned nr = 0;

	while (now() < end && nr < MAX_READS) {
		const off_t off = (off_t)(nr * 7919u % (CALM_BYTES / 4096)) * 4096;
		const double begin = now();

		if (pread(fd, page, 4096, off) != 4096)
			fail("read");
		took[nr++] = now() - begin;
		usleep(2000);
	}
	free(page);
	return nr;
}

int main(int argc, char **argv)
{
	struct results *results = mmap(NULL, NR_WRITERS * sizeof(*results), PROT_READ | PROT_WRITE,
				       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	double *took = calloc(MAX_READS, sizeof(*took)), longest = 0;
	unsigned long stored = 0, refused = 0;
	pid_t children[NR_WRITERS];
	char *calm = buffer(CALM_BYTES);
	unsigned nr;
	bool slow;
	int fd;

	if (argc != 3 || results == MAP_FAILED || !took)
		return 2;
	for (size_t i = 0; i < CALM_BYTES; i++)
		calm[i] = (char)('a' + i % 17 + i / 4096 % 7);
	fd = open_in(argv[1], "calm");
	if (pwrite(fd, calm, CALM_BYTES, 0) != CALM_BYTES)
		fail("calm");
	for (unsigned i = 0; i < NR_WRITERS; i++) {
		children[i] = fork();
		if (children[i] == 0)
			write_on(argv[1], i, &results[i]);
	}
	nr = read_on(fd, strtod(argv[2], NULL), took);
	for (unsigned i = 0; i < NR_WRITERS; i++) {
		kill(children[i], SIGKILL);
		waitpid(children[i], NULL, 0);
		stored += results[i].stored;
		refused += results[i].refused;
		if (results[i].longest > longest)
			longest = results[i].longest;
	}
	free(calm);
	qsort(took, nr, sizeof(*took), compare);
	printf("%u reads of 4 KiB: median %.3f ms, p99 %.3f ms, worst %.3f ms\n", nr,
	       took[nr / 2] * 1e3, took[nr * 99ul / 100] * 1e3, took[nr - 1] * 1e3);
	printf("%lu writes of 64 KiB stored, %lu refused, the longest took %.3f s\n", stored,
	       refused, longest);
	if (refused == 0) {
		printf("the mount did not become full\n");
		free(took);
		return 1;
	}
	slow = took[nr - 1] > READ_MAX || longest > WRITE_MAX;
	free(took);
	return slow;
}
