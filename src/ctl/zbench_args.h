/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * zbench_args.h - what is to be measured, as the command line says it.
 */
#ifndef ZT_CTL_ZBENCH_ARGS_H
#define ZT_CTL_ZBENCH_ARGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ctl/ctl.h"
#include "util/compiler.h"
#include "zcomp/device.h"

#define ZBENCH_MAX_LIST 16

struct zbench_list {
	uint64_t values[ZBENCH_MAX_LIST];
	size_t nr;
};

struct zbench_args {
	char *codecs[ZBENCH_MAX_LIST]; /* into argv, or literals; name[:level] */
	size_t nr_codecs;
	struct zbench_list clusters, modes, callers, depths, latencies, batches;
	uint64_t engines, submit_ns, work_ns, limit; /* UINT64_MAX: not said */
	const struct zcomp_device *device; /* or NULL */
	struct zcomp_accel_params params; /* of the device */
	double seconds;
	const char *dict_path, *plot_path, *report_dir; /* or NULL */
	const char *replay_path; /* of a trace, or NULL */
	double speed; /* of the replay; 0: one request behind the other */
	bool json, csv;
	char *const *paths; /* NULL at the end */
};

/** zbench_switches - for struct ctl_command */
extern const struct ctl_switch zbench_switches[];

/**
 * zbench_args_parse() - the command line, with defaults for what is not said
 * @argv: lists in it are cut in place
 * Return: 0; -EINVAL; -ENODEV a device that is not there, which a sentence on stderr says.
 */
int zbench_args_parse(int argc, char *argv[], struct zbench_args *out_args) ZT_MUST_CHECK;

#endif
