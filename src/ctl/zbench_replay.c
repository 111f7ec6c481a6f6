// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * zbench_replay.c - a trace as the load of zbench. No locks.
 */
#include "ctl/zbench_replay.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "util/alloc.h"
#include "util/sizes.h"

/* Different bytes that one ratio has, so that no codec's tables learn them by heart. */
#define VARIANTS 4u

/* Of a made unit: so many bytes that are random, then a run. */
#define PIECE 256u
/* Bytes that a run costs: what a sequence of LZ4 has besides its literals. */
#define RUN_COST 6u

static uint64_t next(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

void zbench_make_data(uint64_t seed, unsigned ratio, char *data, size_t len)
{
	const size_t share = PIECE * ratio / TRACE_RATIOS;
	const size_t random = ratio >= TRACE_RATIOS ? PIECE : share > RUN_COST ? share - RUN_COST : 1;

	seed = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
	for (size_t at = 0; at < len; at++) {
		if (at % PIECE < random)
			data[at] = (char)(next(&seed) >> 32);
		else
			data[at] = (char)(at / PIECE);
	}
}

/* Units without contents -------------------------------------------------- */

/* Which units there are already: by ratio, variant and length. Open addressing. */
struct unit_index {
	uint32_t *units; /* number + 1; 0: free */
	size_t size; /* a power of two, twice as many as units at least */
};

/* Bytes of each ratio and variant: units of any length begin there. */
static const char *made(struct zbench_replay *replay, unsigned ratio, unsigned variant)
{
	char *data = replay->made + ((size_t)ratio * VARIANTS + variant) * ZCOMP_MAX_UNIT;

	/* The first byte of random ones is set; one that is 0 is made again, the same. */
	if (data[0] == 0)
		zbench_make_data((uint64_t)ratio * VARIANTS + variant + 1, ratio, data, ZCOMP_MAX_UNIT);
	return data;
}

static size_t made_bytes(void)
{
	return (size_t)(TRACE_RATIOS + 1) * VARIANTS * ZCOMP_MAX_UNIT;
}

static uint32_t unit_add(struct zbench_replay *replay, const char *data, uint32_t len)
{
	replay->units[replay->nr_units] = (struct zbench_unit){
		.data = data, .len = len, .at = replay->unit_bytes
	};
	replay->unit_bytes += len;
	return (uint32_t)replay->nr_units++;
}

static uint32_t unit_like(struct zbench_replay *replay, struct unit_index *index,
			  const struct trace_record *record)
{
	const char *data = made(replay, record->ratio, (unsigned)(replay->nr_steps % VARIANTS));
	size_t at = (size_t)(((uintptr_t)data ^ record->len) * UINT64_C(0x9e3779b97f4a7c15) >> 20);

	for (at &= index->size - 1; index->units[at] != 0; at = (at + 1) & (index->size - 1)) {
		const struct zbench_unit *unit = &replay->units[index->units[at] - 1];

		if (unit->data == data && unit->len == record->len)
			return index->units[at] - 1;
	}
	index->units[at] = unit_add(replay, data, record->len) + 1;
	return index->units[at] - 1;
}

/* ------------------------------------------------------------------------- */

static bool wants_codec(const struct trace_record *record)
{
	return record->kind == TRACE_RAW || record->kind == TRACE_SMALLER;
}

static void build(struct zbench_replay *replay, uint64_t until_ns, struct unit_index *index)
{
	const struct trace_header *header = &replay->file.header;
	struct trace_record record;

	for (uint64_t at = 0; at < header->bytes;) {
		const char *data = replay->file.records + at + sizeof(record);
		uint32_t unit;

		memcpy(&record, data - sizeof(record), sizeof(record));
		at += sizeof(record) + (header->contents ? trace_content(&record) : 0);
		if (record.at_ns > until_ns)
			continue;
		if (!wants_codec(&record)) {
			replay->nr_left_out++;
			continue;
		}
		unit = header->contents ? unit_add(replay, data, record.len)
					: unit_like(replay, index, &record);
		replay->steps[replay->nr_steps++] = (struct zbench_step){
			.due_ns = replay->speed > 0 ? (uint64_t)((double)record.at_ns / replay->speed) : 0,
			.unit = unit,
		};
		replay->step_bytes += record.len;
	}
}

static int make_space(struct zbench_replay *replay, struct unit_index *index)
{
	const struct trace_counts *counts = &replay->file.header.counts;
	const uint64_t nr = counts->nr[TRACE_RAW] + counts->nr[TRACE_SMALLER];

	if (nr == 0)
		return -ENODATA;
	if (nr >= UINT32_MAX / 2)
		return -EFBIG;
	replay->steps = zt_zalloc(nr * sizeof(*replay->steps));
	replay->units = zt_zalloc(nr * sizeof(*replay->units));
	for (index->size = 16; index->size < 2 * nr;)
		index->size *= 2;
	if (!replay->file.header.contents) {
		index->units = zt_zalloc(index->size * sizeof(*index->units));
		replay->made = zt_map(made_bytes());
		if (!index->units || !replay->made)
			return -ENOMEM;
	}
	return replay->steps && replay->units ? 0 : -ENOMEM;
}

int zbench_replay_open(const char *path, double speed, double seconds, char text[TRACE_FILE_TEXT],
		       struct zbench_replay *out_replay)
{
	struct zbench_replay replay = { .speed = speed };
	struct unit_index index = { 0 };
	int error = trace_file_open(path, text, &replay.file);

	if (error)
		return error;
	error = make_space(&replay, &index);
	if (!error) {
		build(&replay, seconds > 0 ? (uint64_t)(seconds * 1e9) : UINT64_MAX, &index);
		error = replay.nr_steps > 0 ? 0 : -ENODATA;
	}
	zt_free(index.units);
	if (error) {
		(void)snprintf(text, TRACE_FILE_TEXT, "%s",
			       error == -ENODATA ? "no request of the trace was for a codec"
						 : strerror(-error));
		zbench_replay_close(&replay);
		return error;
	}
	*out_replay = replay;
	return 0;
}

void zbench_replay_close(struct zbench_replay *replay)
{
	if (replay->file.map)
		trace_file_close(&replay->file);
	zt_unmap(replay->made, made_bytes());
	zt_free(replay->units);
	zt_free(replay->steps);
	memset(replay, 0, sizeof(*replay));
}

uint32_t zbench_replay_cluster(const struct zbench_replay *replay)
{
	return (replay->file.header.counts.len_max + 4095u) & ~4095u;
}

void zbench_print_replayed(FILE *out, const struct zbench_replay *replay)
{
	const struct trace_header *header = &replay->file.header;
	uint64_t nr = 0;

	for (unsigned kind = 0; kind < TRACE_NR_KINDS; kind++)
		nr += header->counts.nr[kind];
	fprintf(out, "replayed %zu of %" PRIu64 " requests, %.1f of %.1f MB recorded in %.1f s",
		replay->nr_steps, nr, (double)replay->step_bytes / 1e6,
		(double)header->counts.len / 1e6, (double)header->seconds_ns / 1e9);
	if (replay->speed > 0)
		fprintf(out, ",\nat %g times the speed", replay->speed);
	else
		fputs(",\none behind the other", out);
	fprintf(out, ", %s; %" PRIu64 " were for no codec\n",
		header->contents ? "with their contents" : "with made contents", replay->nr_left_out);
	if (header->lost > 0)
		fprintf(out, "%" PRIu64 " requests are missing in the trace\n", header->lost);
}
