/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * zbench_replay.h - a trace as the load of zbench: the units of its requests, and when each is due.
 *
 * Where the trace has no contents, bytes are made that shrink as much as those did. What no codec was
 * asked for (one repeated value, or not even tried) is left out. No locks.
 */
#ifndef ZT_CTL_ZBENCH_REPLAY_H
#define ZT_CTL_ZBENCH_REPLAY_H

#include "ctl/trace_file.h"
#include "ctl/zbench.h"

/* One request. */
struct zbench_step {
	uint64_t due_ns; /* after the pass began */
	uint32_t unit; /* of the replay's units */
};

struct zbench_replay {
	struct trace_file file;
	double speed; /* 1: as recorded; 2: twice as fast; 0: one behind the other */
	struct zbench_unit *units; /* each is there once */
	size_t nr_units;
	uint64_t unit_bytes;
	struct zbench_step *steps;
	size_t nr_steps;
	uint64_t step_bytes;
	uint64_t nr_left_out; /* of the part that is replayed */
	char *made; /* bytes of units without contents, or NULL */
};

/**
 * zbench_replay_open() - a trace, to be replayed at @speed
 * @seconds: so much of it, from its beginning; 0: all
 * @text: out on error: one sentence
 * Return: 0; as trace_file_open(), -ENODATA nothing is to be replayed, too; -ENOMEM.
 */
int zbench_replay_open(const char *path, double speed, double seconds, char text[TRACE_FILE_TEXT],
		       struct zbench_replay *out_replay) ZT_MUST_CHECK;
/** zbench_replay_close() - one that was never opened, but zeroed, is fine */
void zbench_replay_close(struct zbench_replay *replay);

/** zbench_replay_cluster() - what units are cut from: the longest request, as a backend takes it */
uint32_t zbench_replay_cluster(const struct zbench_replay *replay);

/** zbench_print_replayed() - the line below a table: what the trace was, and what was done of it */
void zbench_print_replayed(FILE *out, const struct zbench_replay *replay);

/** zbench_make_data() - @len bytes of which codecs of the LZ family leave about @ratio 64ths */
void zbench_make_data(uint64_t seed, unsigned ratio, char *data, size_t len);

#endif
