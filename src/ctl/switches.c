// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * switches.c - what the table of subcommands says, as options of getopt_long(3), as a usage line, and
 * as help.
 */
#include <getopt.h>
#include <string.h>

#include "ctl/ctl.h"

#define SWITCHES_MAX 32u
/* More than these are not named one by one in a usage line. */
#define USAGE_MAX 3u

static const struct ctl_switch no_switches[] = { { 0 } };

static const struct ctl_switch *switches_of(const struct ctl_command *command)
{
	return command->switches ? command->switches : no_switches;
}

/* "--size SIZE", "-o DICT"; with @both "-b, --bytes". */
static void print_switch(FILE *out, const struct ctl_switch *one, bool both)
{
	if (one->brief && (both || !one->name))
		fprintf(out, "-%c", one->letter);
	if (one->name)
		fprintf(out, "%s--%s", one->brief && both ? ", " : "", one->name);
	if (one->arg)
		fprintf(out, " %s", one->arg);
}

static void print_usage(FILE *out, const struct ctl_command *command)
{
	const struct ctl_switch *one = switches_of(command);
	size_t nr = 0;

	while (one[nr].letter)
		nr++;
	fprintf(out, "usage: ztmpfsctl %s", command->name);
	if (nr > USAGE_MAX)
		fputs(" [OPTION...]", out);
	for (size_t i = 0; nr <= USAGE_MAX && i < nr; i++) {
		fputs(" [", out);
		print_switch(out, &one[i], false);
		fputc(']', out);
	}
	fprintf(out, "%s%s", *command->operands ? " " : "", command->operands);
}

int ctl_usage(const struct ctl_command *command)
{
	print_usage(stderr, command);
	fputc('\n', stderr);
	return CTL_EXIT_USAGE;
}

/* What getopt has just refused. */
static int refuse(const struct ctl_command *command, int why, char *argv[])
{
	const char *word = argv[optind - 1];
	char letter[3] = { '-', (char)optopt, '\0' };

	if (strncmp(word, "--", 2) != 0)
		word = letter;
	print_usage(stderr, command);
	fprintf(stderr, "; %.*s: %s\n", (int)strcspn(word, "="), word,
		why == ':'                    ? "a value is missing"
		: strchr(word, '=') && optopt ? "it takes no value"
					      : "no such option");
	return CTL_SWITCH_WRONG;
}

int ctl_switch(const struct ctl_command *command, int argc, char *argv[], bool again)
{
	struct option words[SWITCHES_MAX + 2] = { { "help", no_argument, NULL, CTL_SWITCH_HELP } };
	char letters[2 * SWITCHES_MAX + 3] = ":h";
	size_t nr = 1, at = 2;
	int letter;

	for (const struct ctl_switch *one = switches_of(command); one->letter; one++) {
		if (one->name)
			words[nr++] = (struct option){ one->name,
						       one->arg ? required_argument : no_argument,
						       NULL, one->letter };
		if (one->brief)
			letters[at++] = one->letter;
		if (one->brief && one->arg)
			letters[at++] = ':';
	}
	words[nr] = (struct option){ 0 };
	letters[at] = '\0';
	if (again)
		optind = 0; /* glibc: start anew */
	opterr = 0;
	letter = getopt_long(argc, argv, letters, words, NULL);
	if (letter == '?' || letter == ':')
		return refuse(command, letter, argv);
	return letter == 'h' ? CTL_SWITCH_HELP : letter;
}

static void help_command(FILE *out, const struct ctl_command *command)
{
	print_usage(out, command);
	fprintf(out, "\n\n%s\n\n", command->help);
	for (const struct ctl_switch *one = switches_of(command); one->letter; one++) {
		fputs("  ", out);
		print_switch(out, one, true);
		fprintf(out, "\n      %s\n", one->help);
	}
	fputs("  -h, --help\n      print this and end\n", out);
}

void ctl_help(FILE *out, const struct ctl_command *command)
{
	if (command) {
		help_command(out, command);
		return;
	}
	fputs("Usage: ztmpfsctl COMMAND [ARGUMENT...]\n"
	      "\n"
	      "Ask a mounted ztmpfs, or change it. ztmpfsctl COMMAND --help says more.\n"
	      "\n"
	      "Commands:\n",
	      out);
	for (size_t i = 0; (command = ctl_command_at(i)) != NULL; i++)
		fprintf(out, "  %s\n      %s\n", command->name, command->help);
	fputs("\n"
	      "  -h, --help     print this and end\n"
	      "  -V, --version  print the version and end\n",
	      out);
}
