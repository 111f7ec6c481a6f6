// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * swap.c - ztmpfsctl swap: compressed swap on a loop device over a file of a ztmpfs. The command
 * line, and status; the steps are in swap_steps.c.
 */
#include "ctl/swap.h"

#include <errno.h>
#include <getopt.h>
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

static const struct ctl_switch switches[] = {
	{ .letter = 's',
	  .name = "size",
	  .arg = "SIZE",
	  .words = "",
	  .verb = "on",
	  .help = "bytes of swap, or with % of RAM (100%)" },
	{ .letter = 'm',
	  .name = "mem",
	  .arg = "SIZE",
	  .words = "",
	  .verb = "on",
	  .help = "most bytes of memory for it (50%)" },
	{ .letter = 'p',
	  .name = "priority",
	  .arg = "N",
	  .words = "",
	  .verb = "on",
	  .help = "as in swapon(8), 0 to 32767" },
	{ .letter = 'o',
	  .name = "options",
	  .arg = "LIST",
	  .words = "",
	  .verb = "on",
	  .help = "more mount options" },
	{ .letter = 'J',
	  .brief = true,
	  .name = "json",
	  .verb = "status",
	  .help = "one JSON object" },
	{ 0 },
};

/* A switch with its value. Return: 0; -EINVAL after a sentence; -ENOENT: not with @verb. */
static int parse_switch(const char *verb, int letter, struct swap_args *args)
{
	const struct ctl_switch *one = switches;

	while (one->letter != letter)
		one++;
	if (strcmp(one->verb, verb) != 0)
		return -ENOENT;
	switch (letter) {
	case 's':
		return parse_size("--size", optarg, &args->size);
	case 'm':
		return parse_size("--mem", optarg, &args->mem);
	case 'p':
		return parse_priority(optarg, &args->priority);
	case 'o':
		args->options = optarg;
		return 0;
	default:
		args->json = true;
		return 0;
	}
}

/* The words of the command line in their order: getopt leaves them behind the switches. */
static int parse_args(int argc, char *argv[], const char *verb, struct swap_args *args)
{
	int error = 0, letter = ctl_switch(&ctl_swap, argc, argv, true);

	for (; !error && letter != CTL_SWITCH_END;
	     letter = ctl_switch(&ctl_swap, argc, argv, false))
		error = parse_switch(verb, letter, args);
	if (error)
		return error;
	if (argc - optind > 2)
		return -ENOENT;
	if (argc - optind == 2)
		args->mount = argv[optind + 1];
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
	const char *verb;
	bool again = true;
	int error;

	for (; ctl_switch(&ctl_swap, argc, argv, again) != CTL_SWITCH_END; again = false)
		continue;
	verb = optind < argc ? argv[optind] : "";
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
		if (strcmp(verb, verbs[i].name) != 0)
			continue;
		error = parse_args(argc, argv, verb, &args);
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
	.operands = "on|off|status [MOUNTPOINT]",
	.help = "Swap to a file of a ztmpfs, so that memory holds more; see ztmpfs-swap(8).",
	.switches = switches,
	.words = "on off status",
	.takes = CTL_MOUNTS,
	.run = run,
};
