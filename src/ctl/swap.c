// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * swap.c - ztmpfsctl swap: compressed swap on a loop device over a file of a ztmpfs. The command
 * line, and status; the steps are in swap_steps.c.
 */
#include "ctl/swap.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/ctl.h"
#include "util/sizes.h"

#define PRIORITY_MAX 32767
/* mkswap wants some pages. */
#define SIZE_MIN MIB

static const char *const levels[] = { "ok", "warning", "critical", "full" };

static const char *level_name(const struct ztmpfs_stat *stat)
{
	return levels[stat->mem_level % ARRAY_SIZE(levels)];
}

/* Of mem_limit, without the reserve. */
static uint64_t mem_used(const struct ztmpfs_stat *stat)
{
	return stat->mem_counted - min_u64(stat->swap_ready, stat->mem_counted);
}

/* ---- status ---- */

static void print_json(const char *mount, const struct swap_found *found)
{
	const struct ztmpfs_stat *stat = &found->stat;
	const struct {
		const char *name;
		uint64_t value;
	} numbers[] = {
		{ "size", found->size },
		{ "used", found->used },
		{ "mem_used", mem_used(stat) },
		{ "mem_limit", stat->mem_limit },
		{ "swap_reserve", stat->swap_reserve },
		{ "swap_ready", stat->swap_ready },
		{ "swap_waits", stat->swap_waits },
		{ "swap_timeouts", stat->swap_timeouts },
		{ "mem_level", stat->mem_level },
	};

	printf("{\n  \"active\": %s,\n  \"mount\": ", found->active ? "true" : "false");
	ctl_print_json_text(stdout, mount);
	if (found->active) {
		printf(",\n  \"device\": ");
		ctl_print_json_text(stdout, found->device);
		printf(",\n  \"priority\": %d", found->priority);
		for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
			printf(",\n  \"%s\": %" PRIu64, numbers[i].name, numbers[i].value);
		printf(",\n  \"level\": \"%s\"", level_name(stat));
	}
	printf("\n}\n");
}

static void print_table(const char *mount, const struct swap_found *found)
{
	const struct ztmpfs_stat *stat = &found->stat;

	printf("%s: swap is on, on %s, priority %d\n"
	       "swapped out  %8" PRIu64 " of %" PRIu64 " MiB\n",
	       mount, found->device, found->priority, found->used / MIB, found->size / MIB);
	printf("memory       %8" PRIu64 " of %" PRIu64 " MiB, %s\n", mem_used(stat) / MIB,
	       stat->mem_limit / MIB, level_name(stat));
	printf("reserve      %8" PRIu64 " of %" PRIu64 " MiB ready, waited for %" PRIu64
	       " times, in vain %" PRIu64 "\n",
	       stat->swap_ready / MIB, stat->swap_reserve / MIB, stat->swap_waits,
	       stat->swap_timeouts);
	if (stat->mem_level >= ZTMPFS_MEM_CRITICAL)
		printf("nearly full: what does not fit stays in memory, until processes are "
		       "killed\n");
}

static int swap_status(const struct swap_args *args)
{
	char mount[SWAP_PATH_MAX];
	struct swap_state state;
	struct swap_found found;
	int error;

	swap_state_look(&state);
	error = swap_mount(args, &state, mount);
	if (error)
		return error;
	error = swap_find(mount, &found);
	if (error)
		return swap_fail(mount, error);
	if (found.active && found.dead)
		return swap_refuse("%s: the daemon has ended, and what was swapped out is lost",
				   mount);
	if (args->json)
		print_json(mount, &found);
	else if (found.active)
		print_table(mount, &found);
	else
		printf("%s: swap is off\n", mount);
	return found.active ? 0 : -ENOENT;
}

/* ---- the command line ---- */

static int refuse_value(const char *name, const char *value, const char *allowed)
{
	(void)swap_refuse("%s %s: allowed: %s", name, value, allowed);
	return -EINVAL;
}

static int parse_size(const char *name, const char *value, uint64_t *out_size)
{
	uint64_t size;

	if (size_parse(value, swap_meminfo("MemTotal"), &size) != 0 || size < SIZE_MIN ||
	    size > INT64_MAX)
		return refuse_value(name, value,
				    "a number of bytes, with suffix k, m, g, t, p or e or as a % "
				    "of RAM, at least 1m");
	*out_size = size;
	return 0;
}

static int parse_priority(const char *value, int *out_priority)
{
	char *end;
	long number = strtol(value, &end, 10);

	if (*value < '0' || *value > '9' || *end != '\0' || number > PRIORITY_MAX)
		return refuse_value("--priority", value, "a number from 0 to 32767");
	*out_priority = (int)number;
	return 0;
}

/* A switch with its value. Return: 0; -EINVAL after a sentence; -ENOENT: there is no such one. */
static int parse_switch(const char *name, const char *value, struct swap_args *args)
{
	if (!value)
		return -ENOENT;
	if (strcmp(name, "--size") == 0)
		return parse_size(name, value, &args->size);
	if (strcmp(name, "--mem") == 0)
		return parse_size(name, value, &args->mem);
	if (strcmp(name, "--priority") == 0)
		return parse_priority(value, &args->priority);
	if (strcmp(name, "--options") != 0)
		return -ENOENT;
	args->options = value;
	return 0;
}

static int parse_args(int argc, char *argv[], struct swap_args *args)
{
	const bool on = strcmp(argv[1], "on") == 0, status = strcmp(argv[1], "status") == 0;
	int error = 0, i = 2;

	for (; !error && i < argc && argv[i][0] == '-'; i++) {
		if (status && strcmp(argv[i], "--json") == 0) {
			args->json = true;
			continue;
		}
		error = on ? parse_switch(argv[i], argv[i + 1], args) : -ENOENT;
		i++; /* the value */
	}
	if (error)
		return error;
	if (i < argc)
		args->mount = argv[i++];
	if (i < argc)
		return -ENOENT;
	if (args->mount && args->mount[0] != '/')
		return refuse_value("mount point", args->mount, "a path that begins with /");
	return 0;
}

static int run(int argc, char *argv[])
{
	static const struct {
		const char *name;
		int (*run)(const struct swap_args *args);
	} verbs[] = { { "on", swap_on }, { "off", swap_off }, { "status", swap_status } };
	struct swap_args args = { .priority = -1 };
	int error;

	for (size_t i = 0; argc >= 2 && i < ARRAY_SIZE(verbs); i++) {
		if (strcmp(argv[1], verbs[i].name) != 0)
			continue;
		error = parse_args(argc, argv, &args);
		if (error == -ENOENT)
			break;
		if (error)
			return CTL_EXIT_USAGE;
		error = verbs[i].run(&args);
		if (fflush(stdout) != 0)
			return CTL_EXIT_FAILED;
		return error ? CTL_EXIT_FAILED : 0;
	}
	return ctl_usage(&ctl_swap);
}

const struct ctl_command ctl_swap = {
	.name = "swap",
	.synopsis = "on|off|status [--size SIZE] [--mem SIZE] [--priority N] [--options LIST] "
		    "[--json] [MOUNTPOINT]",
	.help = "Swap to a file of a ztmpfs, so that memory holds more; see ztmpfs-swap(8).",
	.run = run,
};
