// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * copier.c - copy a file within a filesystem by copy_file_range(2), or by reading and writing 1 MiB
 * at a time, and print the milliseconds that took, fsync(2) included.
 *
 *     copier range|bytes FROM TO
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define REQUEST (1u << 20)

static void die(const char *what)
{
	fprintf(stderr, "copier: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void by_range(int from, int to)
{
	ssize_t n;

	while ((n = copy_file_range(from, NULL, to, NULL, (size_t)1 << 30, 0)) > 0)
		;
	if (n < 0)
		die("copy_file_range");
}

static void by_bytes(int from, int to)
{
	char *buf = malloc(REQUEST);
	ssize_t n;

	if (buf == NULL)
		die("malloc");
	while ((n = read(from, buf, REQUEST)) > 0)
		if (write(to, buf, (size_t)n) != n)
			die("write");
	if (n < 0)
		die("read");
	free(buf);
}

int main(int argc, char **argv)
{
	struct timespec start, end;
	int from, to;

	if (argc != 4 || (strcmp(argv[1], "range") != 0 && strcmp(argv[1], "bytes") != 0)) {
		fprintf(stderr, "usage: copier range|bytes FROM TO\n");
		return 2;
	}
	from = open(argv[2], O_RDONLY);
	to = open(argv[3], O_WRONLY | O_CREAT | O_TRUNC, 0644);
	if (from < 0 || to < 0)
		die("open");
	clock_gettime(CLOCK_MONOTONIC, &start);
	if (strcmp(argv[1], "range") == 0)
		by_range(from, to);
	else
		by_bytes(from, to);
	if (fsync(to) < 0 || close(to) < 0)
		die("fsync");
	clock_gettime(CLOCK_MONOTONIC, &end);
	printf("%.1f\n", (double)(end.tv_sec - start.tv_sec) * 1e3 +
				 (double)(end.tv_nsec - start.tv_nsec) / 1e6);
	return 0;
}
