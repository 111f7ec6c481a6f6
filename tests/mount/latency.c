// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * latency.c - how long lookups take: latency FOLDER SECONDS
 *
 * Looks for names that are not there, one after the other, each of which is a request, and prints
 * how many there were, the 99th percentile and the longest time, in microseconds.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

#define NR_MAX 2000000u

static uint64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static int compare(const void *a, const void *b)
{
	const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
	const uint64_t begin = now_us();
	uint32_t *times = malloc(NR_MAX * sizeof(*times));
	uint64_t end;
	unsigned nr = 0;

	if (argc != 3 || !times)
		return 2;
	end = begin + (uint64_t)atoi(argv[2]) * 1000000;
	for (uint64_t at = begin, next; at < end && nr < NR_MAX; at = next) {
		struct stat attr;
		char path[4096];

		(void)snprintf(path, sizeof(path), "%s/%llu.%u", argv[1], (unsigned long long)begin,
			       nr);
		if (stat(path, &attr) == 0)
			return 2;
		next = now_us();
		times[nr++] = (uint32_t)(next - at);
	}
	qsort(times, nr, sizeof(*times), compare);
	printf("%u %u %u\n", nr, times[nr - 1 - nr / 100], times[nr - 1]);
	free(times);
	return 0;
}
