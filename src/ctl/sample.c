// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * sample.c - pieces of real files, evenly spread, for the subcommands that need data.
 *
 * Two passes: the first finds out what there is, the second reads as much of it as was asked for.
 * Locks: none.
 */
#include "ctl/sample.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/alloc.h"
#include "util/sizes.h"

struct found_file {
	char *path;
	uint64_t size;
};

struct found {
	struct found_file *files;
	size_t nr, allocated;
	uint64_t nr_pieces;
};

/*
 * Pieces of like sizes are a class: of each class the same part of all bytes is read. So long files
 * and short ones are there as they are on the disk, and what is read is as much as was asked for.
 */
#define NR_CLASSES 64

struct spread_over {
	uint64_t found, want; /* bytes of all pieces; of these */
	uint64_t passed[NR_CLASSES], taken[NR_CLASSES]; /* bytes */
};

bool sample_is_same(const char *data, size_t len)
{
	return len % 8 == 0 && memcmp(data, data + 8, len - 8) == 0;
}

static void found_exit(struct found *found)
{
	for (size_t i = 0; i < found->nr; i++)
		zt_free(found->files[i].path);
	zt_free(found->files);
}

static int found_add(struct found *found, const char *path, uint64_t size)
{
	const size_t len = strlen(path);
	char *copy;

	if (found->nr == found->allocated) {
		struct found_file *files =
			zt_grow(found->files, sizeof(*files), 256, &found->allocated);

		if (!files)
			return -ENOMEM;
		found->files = files;
	}
	copy = zt_zalloc(len + 1);
	if (!copy)
		return -ENOMEM;
	memcpy(copy, path, len);
	found->files[found->nr++] = (struct found_file){ .path = copy, .size = size };
	return 0;
}

static int by_name(const FTSENT **a, const FTSENT **b)
{
	return strcmp((*a)->fts_name, (*b)->fts_name);
}

static int find(const struct sample_params *params, struct samples *samples, struct found *found,
		char error_text[SAMPLE_ERROR_TEXT])
{
	FTS *tree = fts_open(params->paths, FTS_COMFOLLOW | FTS_PHYSICAL | FTS_XDEV | FTS_NOCHDIR,
			     by_name);
	FTSENT *entry;
	int error = 0;

	if (!tree) {
		snprintf(error_text, SAMPLE_ERROR_TEXT, "cannot walk: %s", strerror(errno));
		return -errno;
	}
	while (!error && (errno = 0, entry = fts_read(tree)) != NULL) {
		const bool given = entry->fts_level == FTS_ROOTLEVEL;

		if (entry->fts_info == FTS_F && entry->fts_statp->st_size > 0) {
			const uint64_t size = (uint64_t)entry->fts_statp->st_size;

			error = found_add(found, entry->fts_path, size);
			samples->nr_files++;
			samples->found += size;
			found->nr_pieces += div_round_up_u64(size, params->piece);
		} else if (given && (entry->fts_info == FTS_NS || entry->fts_info == FTS_DNR)) {
			error = -entry->fts_errno;
			snprintf(error_text, SAMPLE_ERROR_TEXT, "%.400s: %s", entry->fts_path,
				 strerror(entry->fts_errno));
		} else if (entry->fts_info == FTS_NS || entry->fts_info == FTS_DNR ||
			   entry->fts_info == FTS_ERR) {
			samples->nr_unread++;
		}
	}
	fts_close(tree);
	return error;
}

/* Reads the piece at @off of an open file behind the others. */
static void read_piece(const struct sample_params *params, int fd, uint64_t off,
		       struct samples *samples)
{
	char *piece = samples->data + samples->size;
	size_t len = 0;

	while (len < params->piece) {
		ssize_t got = pread(fd, piece + len, params->piece - len, (off_t)(off + len));

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		len += (size_t)got;
	}
	if (len == 0 || (params->skip_same && sample_is_same(piece, len)))
		return;
	samples->sizes[samples->nr++] = len;
	samples->size += len;
}

/* Whether the next piece is one to read: its class then has what is due to it, or is nearer to it. */
static bool is_due(struct spread_over *over, uint64_t len)
{
	const unsigned class = 63u - (unsigned)__builtin_clzll(len);
	uint64_t due;

	over->passed[class] += len;
	due = (uint64_t)((__uint128_t)over->passed[class] * over->want / over->found);
	if (over->taken[class] + len / 2 > due)
		return false;
	over->taken[class] += len;
	return true;
}

/* A file that cannot be opened takes what was due of it along. */
static void read_file(const struct sample_params *params, const struct found_file *file,
		      struct spread_over *over, struct samples *samples)
{
	bool unread = false;
	int fd = -1;

	for (uint64_t off = 0; off < file->size; off += params->piece) {
		const uint64_t len = min_u64(params->piece, file->size - off);

		if (!is_due(over, len) || samples->size >= over->want || unread)
			continue;
		if (fd < 0)
			fd = open(file->path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0) {
			samples->nr_unread++;
			unread = true;
			continue;
		}
		read_piece(params, fd, off, samples);
	}
	if (fd >= 0)
		close(fd);
}

static void read_pieces(const struct sample_params *params, const struct found *found,
			uint64_t want, struct samples *samples)
{
	struct spread_over over = { .found = samples->found, .want = want };

	for (size_t i = 0; i < found->nr; i++)
		read_file(params, &found->files[i], &over, samples);
	/* However little is allowed. */
	over = (struct spread_over){ .found = 1, .want = params->piece };
	for (size_t i = 0; i < found->nr && samples->nr == 0; i++)
		read_file(params, &found->files[i], &over, samples);
}

int samples_read(const struct sample_params *params, char error_text[SAMPLE_ERROR_TEXT],
		 struct samples *out_samples)
{
	struct samples samples = { 0 };
	struct found found = { 0 };
	uint64_t want;
	int error;

	snprintf(error_text, SAMPLE_ERROR_TEXT, "no memory");
	error = find(params, &samples, &found, error_text);
	if (error)
		goto out;
	want = min_u64(params->limit, samples.found);
	if (want > 0) {
		/* The last piece may lie beyond, and grow; untouched pages cost nothing. */
		error = -ENOMEM;
		samples.sizes = zt_zalloc(found.nr_pieces * sizeof(*samples.sizes));
		samples.data = zt_zalloc(want + params->piece);
		if (!samples.sizes || !samples.data)
			goto out;
		error = 0;
		read_pieces(params, &found, want, &samples);
	}
	if (samples.nr == 0) {
		snprintf(error_text, SAMPLE_ERROR_TEXT, "%.400s%s: nothing to read",
			 params->paths[0], params->paths[1] ? " and others" : "");
		error = -ENODATA;
	}
out:
	found_exit(&found);
	if (error)
		samples_free(&samples);
	else
		*out_samples = samples;
	return error;
}

void samples_free(struct samples *samples)
{
	zt_free(samples->data);
	zt_free(samples->sizes);
	samples->data = NULL;
	samples->sizes = NULL;
}
