// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * accel_depth.c - what a queue is for: units of 4 KiB per second through a device of 100 us latency
 * and one engine, by one caller who waits for each, and by one who keeps 256 in flight.
 *
 *   accel-depth ALGORITHM FILE [SECONDS]
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "zcomp/zcomp.h"

enum { UNIT = 4096, DEPTH = 256, NR_UNITS = 4096 };

static char units[NR_UNITS][UNIT];

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t ended = PTHREAD_COND_INITIALIZER;
static unsigned nr_flying;
static unsigned long nr_failed;

static void done(void *arg, struct zcomp_strm *strm, struct zcomp_req *req, int error)
{
	(void)req;
	zcomp_stream_put(arg, strm);
	pthread_mutex_lock(&lock);
	nr_failed += error != 0;
	if (nr_flying-- == DEPTH)
		pthread_cond_signal(&ended);
	pthread_mutex_unlock(&lock);
}

/* The core keeps what it needs of a request in the stream, but for this. */
static struct zcomp_req requests[2 * DEPTH];

static double deep(struct zcomp *comp, double for_seconds)
{
	double begin = seconds(), end = begin + for_seconds;
	unsigned long nr = 0;

	while (seconds() < end) {
		struct zcomp_strm *strm;
		struct zcomp_req *req = &requests[nr % (2 * DEPTH)];

		pthread_mutex_lock(&lock);
		while (nr_flying >= DEPTH)
			pthread_cond_wait(&ended, &lock);
		nr_flying++;
		pthread_mutex_unlock(&lock);
		strm = zcomp_stream_get_managed(comp);
		if (!strm)
			abort(); /* there are more streams than may fly */
		memcpy(strm->local_copy, units[nr % NR_UNITS], UNIT);
		*req = (struct zcomp_req){ .src = strm->local_copy,
					   .src_len = UNIT,
					   .dst = strm->buffer,
					   .dst_cap = 2 * UNIT };
		if (zcomp_submit(comp, strm, req, done, comp))
			abort();
		nr++;
	}
	zcomp_stop(comp);
	return (double)nr / (seconds() - begin);
}

static double waiting(struct zcomp *comp, double for_seconds)
{
	double begin = seconds(), end = begin + for_seconds;
	struct zcomp_strm *strm = zcomp_stream_get_managed(comp);
	unsigned long nr = 0;
	size_t len;

	while (seconds() < end) {
		if (zcomp_compress(comp, strm, units[nr % NR_UNITS], UNIT, 2 * UNIT, &len))
			abort();
		nr++;
	}
	zcomp_stream_put(comp, strm);
	return (double)nr / (seconds() - begin);
}

static struct zcomp *make(const char *name)
{
	struct zcomp_config config = {
		.name = name,
		.level = ZCOMP_LEVEL_DEFAULT,
		.unit = UNIT,
		.accel = true,
		.accel_params = { .engines = 1,
				  .depth = DEPTH,
				  .latency_us = 100,
				  .deadline_us = ZCOMP_ACCEL_MAX_DEADLINE_US },
	};
	char text[ZCOMP_ERROR_TEXT] = "";
	struct zcomp *comp;

	if (zcomp_create(&config, text, &comp)) {
		fprintf(stderr, "accel-depth: %s\n", text);
		exit(1);
	}
	return comp;
}

int main(int argc, char *argv[])
{
	double for_seconds = argc > 3 ? atof(argv[3]) : 3;
	struct zcomp *comp;
	FILE *file;

	if (argc < 3) {
		fprintf(stderr, "usage: accel-depth ALGORITHM FILE [SECONDS]\n");
		return 2;
	}
	file = fopen(argv[2], "r");
	if (!file || fread(units, UNIT, NR_UNITS, file) != NR_UNITS) {
		fprintf(stderr, "accel-depth: %s: 16 MiB of data are needed\n", argv[2]);
		return 1;
	}
	fclose(file);
	comp = make(argv[1]);
	printf("one_caller %.0f\n", waiting(comp, for_seconds));
	zcomp_destroy(comp);
	comp = make(argv[1]);
	printf("depth_256 %.0f\n", deep(comp, for_seconds));
	zcomp_destroy(comp);
	if (nr_failed)
		fprintf(stderr, "accel-depth: %lu requests failed\n", nr_failed);
	return 0;
}
