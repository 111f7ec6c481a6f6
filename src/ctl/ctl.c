// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * ctl.c - the table of subcommands.
 */
#include "ctl/ctl.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "util/sizes.h"
#include "ztmpfs/zcomp.h"

static const struct ctl_command ctl_help_command;

static const struct ctl_command *const commands[] = {
	&ctl_attr,         &ctl_clone, &ctl_compact,    &ctl_completion, &ctl_draw, &ctl_du,
	&ctl_fetch,        &ctl_help_command,           &ctl_image,      &ctl_info, &ctl_list,
	&ctl_modules,      &ctl_recompress,             &ctl_rescue,     &ctl_run,  &ctl_save,
	&ctl_set,          &ctl_spill, &ctl_stat,       &ctl_swap,       &ctl_top,  &ctl_trace,
	&ctl_train,        &ctl_upgrade,                &ctl_zbench,
};

const struct ctl_command *ctl_command_at(size_t idx)
{
	return idx < ARRAY_SIZE(commands) ? commands[idx] : NULL;
}

const struct ctl_command *ctl_command_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (strcmp(commands[i]->name, name) == 0)
			return commands[i];
	return NULL;
}

int ctl_parse_cluster(const char *text, uint64_t *out_size)
{
	uint64_t size;

	if (size_parse(text, 0, &size) != 0 || size < ZCOMP_MIN_UNIT || size > ZCOMP_MAX_UNIT ||
	    (size & (size - 1)) != 0)
		return -EINVAL;
	*out_size = size;
	return 0;
}

static int no_such(const char *name)
{
	fprintf(stderr, "ztmpfsctl: %s: no such command; see ztmpfsctl --help\n", name);
	return CTL_EXIT_USAGE;
}

static int run_help(int argc, char *argv[])
{
	const struct ctl_command *command = NULL;

	(void)ctl_switch(&ctl_help_command, argc, argv, true);
	if (argc - optind > 1)
		return ctl_usage(&ctl_help_command);
	if (argc > optind && !(command = ctl_command_find(argv[optind])))
		return no_such(argv[optind]);
	ctl_help(stdout, command);
	return 0;
}

static const struct ctl_command ctl_help_command = {
	.name = "help",
	.operands = "[COMMAND]",
	.help = "Print all commands, or what one of them takes.",
	.takes = CTL_COMMANDS,
	.run = run_help,
};

/* All switches are looked at before anything is done. */
static int run_command(const struct ctl_command *command, int argc, char *argv[])
{
	int letter = ctl_switch(command, argc, argv, true);

	while (letter != CTL_SWITCH_END && letter != CTL_SWITCH_HELP && letter != CTL_SWITCH_WRONG)
		letter = ctl_switch(command, argc, argv, false);
	if (letter == CTL_SWITCH_WRONG)
		return CTL_EXIT_USAGE;
	if (letter == CTL_SWITCH_HELP) {
		ctl_help(stdout, command);
		return 0;
	}
	return command->run(argc, argv);
}

int ctl_main(int argc, char *argv[])
{
	const struct ctl_command *command;

	if (argc < 2) {
		fprintf(stderr, "ztmpfsctl: no command; see ztmpfsctl --help\n");
		return CTL_EXIT_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
		ctl_help(stdout, NULL);
		return 0;
	}
	if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0) {
		printf("ztmpfsctl %s\n", PACKAGE_VERSION);
		return 0;
	}
	command = ctl_command_find(argv[1]);
	return command ? run_command(command, argc - 1, argv + 1) : no_such(argv[1]);
}
