// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * dedup_measure.c - what storing identical clusters once would save, and what finding them takes.
 *
 *   dedup-measure [--cluster KIB] [--codec NAME[:LEVEL]]... TREE...
 *
 * Files of each TREE are cut as a mount cuts them, compressed, and counted by the rooms that their
 * objects would take in a pool. A second name costs a share record. All trees together are counted
 * once more at the end. Files with several links count once; same-filled clusters have no object.
 *
 * The table below each tree has, for an index that knows only objects of so many stored bytes and
 * more, what is left of the saving, and the index's size at INDEX_ENTRY bytes an object.
 */
#define XXH_INLINE_ALL
#include <xxhash.h>

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "ctl/sample.h"
#include "util/sizes.h"
#include "zcomp/zcomp.h"
#include "zsmalloc/size_class.h"

enum { MAX_CODECS = 4, SAMPLE_BYTES = 64 << 20, NR_SIZES = 4, NR_THRESHOLDS = 5 };

/* An entry of 8 bytes (a ref and the rest of the hash) in a table that is half full. */
#define INDEX_ENTRY 16u
/* A share record in the metadata pool: 16 bytes and the header, in its room. */
#define SHARE_ROOM 32u

static const uint32_t thresholds[NR_THRESHOLDS] = { 0, 256, 512, 1024, 4096 };

struct codec {
	char name[32];
	int32_t level;
	struct zcomp *comp;
};

/* One object: what it holds, and the room of what each codec makes of it. */
struct object {
	XXH128_hash_t hash;
	uint32_t len;
	uint32_t room[MAX_CODECS];
};

struct objects {
	struct object *of;
	size_t nr, max;
	uint64_t nr_files, bytes, same_bytes;
};

static struct codec codecs[MAX_CODECS];
static unsigned nr_codecs;
static uint32_t cluster = 64 * 1024;
static uint32_t *rooms, nr_rooms;
static char *sample; /* the first bytes of all, for timing */
static size_t sample_used;

static void fail(const char *subject, const char *cause)
{
	fprintf(stderr, "dedup-measure: %s: %s\n", subject, cause);
	exit(1);
}

static void *need(void *memory)
{
	if (!memory)
		fail("memory", strerror(ENOMEM));
	return memory;
}

static uint32_t room_of(size_t stored)
{
	return rooms[zs_rooms_find(rooms, nr_rooms, (uint32_t)stored + ZS_HDR_SIZE)];
}

/* ---- objects out of files ---- */

static void object_add(struct objects *objects, const char *data, uint32_t len)
{
	struct object *object;

	objects->bytes += len;
	if (sample_is_same(data, len)) {
		objects->same_bytes += len;
		return;
	}
	if (objects->nr == objects->max) {
		objects->max = objects->max ? 2 * objects->max : 4096;
		objects->of = need(realloc(objects->of, objects->max * sizeof(*objects->of)));
	}
	object = &objects->of[objects->nr++];
	*object = (struct object){ .hash = XXH3_128bits(data, len), .len = len };
	for (unsigned i = 0; i < nr_codecs; i++) {
		struct zcomp_strm *strm = zcomp_stream_get(codecs[i].comp, ZSTRM_DEFAULT);
		size_t stored;

		/* What saves less than a 32nd is stored as it is. */
		if (zcomp_compress(codecs[i].comp, strm, data, len, len - len / 32, &stored))
			stored = len;
		zcomp_stream_put(codecs[i].comp, strm);
		object->room[i] = room_of(stored);
	}
	if (len <= SAMPLE_BYTES - sample_used) {
		memcpy(sample + sample_used, data, len);
		sample_used += len;
	}
}

static void file_add(struct objects *objects, const char *path)
{
	char *buffer = need(malloc(cluster));
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got = 0;

	if (fd < 0)
		fail(path, strerror(errno));
	objects->nr_files++;
	for (off_t at = 0;; at += cluster) {
		uint32_t have = 0;

		while (have < cluster &&
		       (got = pread(fd, buffer + have, cluster - have, at + have)) > 0)
			have += (uint32_t)got;
		if (got < 0)
			fail(path, strerror(errno));
		if (have > 0)
			object_add(objects, buffer, have);
		if (have < cluster)
			break;
	}
	close(fd);
	free(buffer);
}

struct link {
	dev_t dev;
	ino_t ino;
	struct link *next;
};

/* Whether a file of several links is met for the first time. */
static bool is_new(const struct stat *st, struct link **inout_links)
{
	struct link *link;

	if (st->st_nlink < 2)
		return true;
	for (link = *inout_links; link; link = link->next)
		if (link->ino == st->st_ino && link->dev == st->st_dev)
			return false;
	link = need(malloc(sizeof(*link)));
	*link = (struct link){ st->st_dev, st->st_ino, *inout_links };
	*inout_links = link;
	return true;
}

static void tree_add(struct objects *objects, char *path)
{
	char *paths[] = { path, NULL };
	FTS *tree = fts_open(paths, FTS_COMFOLLOW | FTS_PHYSICAL | FTS_XDEV | FTS_NOCHDIR, NULL);
	struct link *links = NULL;
	FTSENT *entry;

	if (!tree)
		fail(path, strerror(errno));
	while ((entry = fts_read(tree))) {
		if (entry->fts_info == FTS_DNR || entry->fts_info == FTS_ERR ||
		    entry->fts_info == FTS_NS)
			fail(entry->fts_path, strerror(entry->fts_errno));
		if (entry->fts_info == FTS_F && S_ISREG(entry->fts_statp->st_mode) &&
		    is_new(entry->fts_statp, &links))
			file_add(objects, entry->fts_path);
	}
	fts_close(tree);
	while (links) {
		struct link *next = links->next;

		free(links);
		links = next;
	}
}

/* ---- counting ---- */

static int compare(const void *a, const void *b)
{
	const struct object *left = a, *right = b;
	int order = XXH128_cmp(&left->hash, &right->hash);

	return order ? order : (left->len > right->len) - (left->len < right->len);
}

static unsigned size_of(uint32_t len)
{
	return len < 4096 ? 0 : len < 16384 ? 1 : len < cluster ? 2 : 3;
}

struct row {
	uint64_t objects, unique, bytes;
	uint64_t held[MAX_CODECS], shared[MAX_CODECS]; /* without and with sharing */
};

struct sums {
	struct row sizes[NR_SIZES], all;
	/* With only the objects that an index of this threshold knows. */
	uint64_t shared[NR_THRESHOLDS][MAX_CODECS], indexed[NR_THRESHOLDS][MAX_CODECS];
};

static void row_add(struct row *row, const struct object *object, uint64_t times)
{
	row->objects += times;
	row->unique++;
	row->bytes += times * object->len;
	for (unsigned i = 0; i < nr_codecs; i++) {
		uint64_t room = object->room[i];

		row->held[i] += times * room;
		row->shared[i] += times > 1 ? min_u64(room + SHARE_ROOM, times * room) : room;
	}
}

static void sums_add(struct sums *sums, const struct object *object, uint64_t times)
{
	row_add(&sums->all, object, times);
	row_add(&sums->sizes[size_of(object->len)], object, times);
	for (unsigned t = 0; t < NR_THRESHOLDS; t++) {
		for (unsigned i = 0; i < nr_codecs; i++) {
			uint64_t room = object->room[i];
			bool known = room >= thresholds[t];

			sums->indexed[t][i] += known;
			sums->shared[t][i] += known && times > 1
						      ? min_u64(room + SHARE_ROOM, times * room)
						      : times * room;
		}
	}
}

static struct sums count(struct objects *objects)
{
	struct sums sums = { 0 };
	size_t first = 0;

	if (objects->nr)
		qsort(objects->of, objects->nr, sizeof(*objects->of), compare);
	while (first < objects->nr) {
		size_t end = first + 1;

		while (end < objects->nr && compare(&objects->of[first], &objects->of[end]) == 0)
			end++;
		sums_add(&sums, &objects->of[first], end - first);
		first = end;
	}
	return sums;
}

/* ---- printing ---- */

static double mb(uint64_t bytes)
{
	return (double)bytes / 1e6;
}

static double percent(uint64_t part, uint64_t whole)
{
	return whole ? 100 * (double)part / (double)whole : 0;
}

static void row_print(const char *name, const struct row *row)
{
	printf("  %-14s %8ju %8ju %9.1f", name, (uintmax_t)row->objects, (uintmax_t)row->unique,
	       mb(row->bytes));
	for (unsigned i = 0; i < nr_codecs; i++)
		printf("  %8.2f %8.2f %5.1f%%", mb(row->held[i]), mb(row->shared[i]),
		       percent(row->held[i] - row->shared[i], row->held[i]));
	printf("\n");
}

static void print(const char *name, const struct objects *objects, const struct sums *sums)
{
	static const char *const names[NR_SIZES] = { "< 4 KiB", "< 16 KiB", "< cluster",
						     "whole clusters" };

	printf("%s: %ju files, %.1f MB, %.1f MB of them same-filled\n", name,
	       (uintmax_t)objects->nr_files, mb(objects->bytes), mb(objects->same_bytes));
	printf("  %-14s %8s %8s %9s", "content", "objects", "unique", "MB");
	for (unsigned i = 0; i < nr_codecs; i++)
		printf("  %8s %8s %6s", codecs[i].name, "shared", "saved");
	printf("\n");
	for (unsigned s = 0; s < NR_SIZES; s++)
		row_print(names[s], &sums->sizes[s]);
	row_print("all", &sums->all);
	for (unsigned t = 0; t < NR_THRESHOLDS; t++) {
		printf("  index from %4u bytes on:       ", thresholds[t]);
		for (unsigned i = 0; i < nr_codecs; i++)
			printf("  saved %5.1f%% index %4.2f%%",
			       percent(sums->all.held[i] - sums->shared[t][i], sums->all.held[i]),
			       percent(sums->indexed[t][i] * INDEX_ENTRY, sums->all.held[i]));
		printf("\n");
	}
}

/* CPU time of hashing the sample, cluster by cluster. */
static void print_time(void)
{
	struct timespec begin, end;
	uint64_t sum = 0;
	double seconds;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &begin);
	for (size_t at = 0; at < sample_used; at += cluster)
		sum += XXH3_64bits(sample + at, min_u64(cluster, sample_used - at));
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &end);
	seconds = (double)(end.tv_sec - begin.tv_sec) + (double)(end.tv_nsec - begin.tv_nsec) / 1e9;
	if (sample_used && sum)
		printf("hashing: %.3f s of CPU time a GiB\n", seconds * GIB / (double)sample_used);
}

/* ---- command line ---- */

static void codec_add(const char *text)
{
	struct codec *codec = &codecs[nr_codecs];
	char error_text[ZCOMP_ERROR_TEXT] = "", *colon;
	struct zcomp_config config = { .unit = cluster, .nr_streams = 1 };

	if (nr_codecs == MAX_CODECS || strlen(text) >= sizeof(codec->name))
		fail(text, "too many codecs, or too long a name");
	strcpy(codec->name, text);
	colon = strchr(codec->name, ':');
	config.level = colon ? atoi(colon + 1) : ZCOMP_LEVEL_DEFAULT;
	if (colon)
		*colon = '\0';
	config.name = codec->name;
	if (zcomp_create(&config, error_text, &codec->comp))
		fail(text, error_text);
	strcpy(codec->name, text);
	nr_codecs++;
}

static void objects_join(struct objects *all, struct objects *part)
{
	if (part->nr) {
		all->of = need(realloc(all->of, (all->nr + part->nr) * sizeof(*all->of)));
		memcpy(all->of + all->nr, part->of, part->nr * sizeof(*part->of));
	}
	all->nr += part->nr;
	all->nr_files += part->nr_files;
	all->bytes += part->bytes;
	all->same_bytes += part->same_bytes;
	free(part->of);
}

static int parse(int argc, char *argv[])
{
	int at = 1;

	/* The unit of the codecs is needed first. */
	if (at + 1 < argc && strcmp(argv[at], "--cluster") == 0) {
		cluster = (uint32_t)strtoul(argv[at + 1], NULL, 10) * 1024;
		at += 2;
	}
	if (cluster < ZCOMP_MIN_UNIT || cluster > ZCOMP_MAX_UNIT || cluster % ZT_PAGE_SIZE)
		fail("--cluster", "4 to 128 KiB");
	while (at + 1 < argc && strcmp(argv[at], "--codec") == 0) {
		codec_add(argv[at + 1]);
		at += 2;
	}
	return at;
}

int main(int argc, char *argv[])
{
	struct objects all = { 0 };
	struct sums sums;
	int first = parse(argc, argv), at = first;

	if (at >= argc || argv[at][0] == '-') {
		fprintf(stderr,
			"usage: dedup-measure [--cluster KIB] [--codec NAME[:LEVEL]]... TREE...\n");
		return 2;
	}
	if (!nr_codecs) {
		codec_add("lz4");
		codec_add("zstd:6");
	}
	sample = need(malloc(SAMPLE_BYTES));
	nr_rooms = zs_rooms_fill(NULL);
	rooms = need(malloc(nr_rooms * sizeof(*rooms)));
	zs_rooms_fill(rooms);
	for (; at < argc; at++) {
		struct objects part = { 0 };

		tree_add(&part, argv[at]);
		sums = count(&part);
		print(argv[at], &part, &sums);
		objects_join(&all, &part);
	}
	if (at - first > 1) {
		sums = count(&all);
		print("all trees together", &all, &sums);
	}
	print_time();
	free(all.of);
	free(rooms);
	free(sample);
	for (unsigned i = 0; i < nr_codecs; i++)
		zcomp_destroy(codecs[i].comp);
	return 0;
}
