/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * zbench_pass.h - callers that send the units of one point through its codec, for a while.
 */
#ifndef ZT_CTL_ZBENCH_PASS_H
#define ZT_CTL_ZBENCH_PASS_H

#include <stdatomic.h>

#include "ctl/spread.h"
#include "ctl/zbench.h"
#include "ctl/zbench_replay.h"

/* One point while it is measured; its passes are one after the other. */
struct zbench_pass {
	const struct zbench_point *point;
	struct zbench_units units;
	struct zcomp *comp;
	char *packed; /* for sync: what units were compressed to, each at its own offset in the data */
	uint32_t *packed_len; /* of each unit; 0: it does not shrink */
	const struct zbench_replay *replay; /* this pass does its steps; NULL: the units in turn */
	uint64_t begun; /* CLOCK_MONOTONIC, ns */
	bool verify; /* this pass decompresses and compares */
	bool expand; /* this pass decompresses what was kept */
	uint64_t deadline; /* CLOCK_MONOTONIC, ns; 0: one pass */
	atomic_uint_fast64_t nr_calls, nr_bytes, nr_wrong;
	struct spread spread; /* of how long units took */
};

/**
 * zbench_pass() - all callers from their start to their end
 * @seconds: so long, or longer by what is under way; 0: once over the data
 * Return: 0, -ENOMEM, -EAGAIN no threads.
 */
int zbench_pass(struct zbench_pass *run, double seconds) ZT_MUST_CHECK;

#endif
