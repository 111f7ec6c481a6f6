// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * completion.c - ztmpfsctl completion: scripts that complete its command line, out of the table of
 * subcommands and switches.
 */
#include <getopt.h>
#include <string.h>

#include "ctl/ctl.h"

/* Where mounts are taken from: no daemon is asked, so none that hangs is waited for. */
#define MOUNTS "awk '$3 == \"fuse.ztmpfs\" { print $2 }' /proc/mounts"

static const struct ctl_switch *first_switch(const struct ctl_command *command)
{
	static const struct ctl_switch none = { 0 };

	return command->switches ? command->switches : &none;
}

static void print_commands(const char *before)
{
	const struct ctl_command *command;

	for (size_t i = 0; (command = ctl_command_at(i)) != NULL; i++)
		printf("%s%s", i ? " " : before, command->name);
}

/* ---- bash ---- */

/* "stat:--format", or "list:--output|list:-o": in front of a value. */
static void bash_value(const struct ctl_command *command, const struct ctl_switch *one)
{
	if (one->name)
		printf("  %s:--%s", command->name, one->name);
	if (one->brief)
		printf("%s%s:-%c", one->name ? "|" : "  ", command->name, one->letter);
	if (one->words)
		printf(") COMPREPLY=($(compgen -W '%s' -- \"$cur\")); return ;;\n", one->words);
	else
		printf(") COMPREPLY=($(compgen -f -- \"$cur\")); compopt -o filenames; return ;;\n");
}

static void bash_command(const struct ctl_command *command)
{
	printf("  %s) words='--help", command->name);
	for (const struct ctl_switch *one = first_switch(command); one->letter; one++) {
		if (one->name)
			printf(" --%s", one->name);
		if (one->brief)
			printf(" -%c", one->letter);
	}
	printf("' first='");
	if (command->takes == CTL_COMMANDS)
		print_commands("");
	printf("' takes=%s",
	       command->takes == CTL_MOUNTS  ? "mounts"
	       : command->takes == CTL_PATHS ? "paths"
					     : "");
	printf(" settings='%s' ;;\n", command->words ? command->words : "");
}

static void bash(void)
{
	const struct ctl_command *command;

	printf("# bash completion of ztmpfsctl, made by: ztmpfsctl completion bash\n"
	       "_ztmpfsctl()\n"
	       "{\n"
	       "  local cur prev words settings first takes\n"
	       "  cur=${COMP_WORDS[COMP_CWORD]}\n"
	       "  prev=${COMP_WORDS[COMP_CWORD-1]}\n"
	       "  COMPREPLY=()\n"
	       "  if [ \"$COMP_CWORD\" = 1 ]; then\n"
	       "    COMPREPLY=($(compgen -W '");
	print_commands("");
	printf(" --help --version' -- \"$cur\"))\n"
	       "    return\n"
	       "  fi\n"
	       "  case ${COMP_WORDS[1]}:$prev in\n");
	for (size_t i = 0; (command = ctl_command_at(i)) != NULL; i++)
		for (const struct ctl_switch *one = first_switch(command); one->letter; one++)
			if (one->arg)
				bash_value(command, one);
	printf("  esac\n"
	       "  case ${COMP_WORDS[1]} in\n");
	for (size_t i = 0; (command = ctl_command_at(i)) != NULL; i++)
		bash_command(command);
	printf("  *) return ;;\n"
	       "  esac\n"
	       "  case $cur in\n"
	       "  -*) COMPREPLY=($(compgen -W \"$words\" -- \"$cur\")); return ;;\n"
	       "  esac\n"
	       "  COMPREPLY=($(compgen -W \"$first $settings\" -- \"$cur\"))\n"
	       "  [[ ${COMPREPLY[0]} != *= ]] || compopt -o nospace\n"
	       "  case $takes in\n"
	       "  mounts) COMPREPLY+=($(compgen -W \"$(" MOUNTS ")\" -- \"$cur\")) ;;\n"
	       "  paths) COMPREPLY+=($(compgen -f -- \"$cur\")); compopt -o filenames ;;\n"
	       "  esac\n"
	       "}\n"
	       "complete -F _ztmpfsctl ztmpfsctl\n");
}

/* ---- zsh ---- */

/* A text between single quotes, without what _arguments reads in it. */
static void zsh_text(const char *text)
{
	for (; *text != '\0'; text++) {
		if (*text == '\'')
			fputs("'\\''", stdout);
		else if (strchr("[]:\\", *text))
			printf("\\%c", *text);
		else
			fputc(*text, stdout);
	}
}

static void zsh_switch(const char *dashes, const char *name, const struct ctl_switch *one)
{
	printf("      '%s%s[", dashes, name);
	zsh_text(one->help);
	fputc(']', stdout);
	if (one->arg) {
		fputc(':', stdout);
		zsh_text(one->arg);
		if (one->words)
			printf(":(%s)", one->words);
		else
			printf(":_files");
	}
	printf("' \\\n");
}

static void zsh_command(const struct ctl_command *command)
{
	printf("  %s)\n    _arguments \\\n", command->name);
	for (const struct ctl_switch *one = first_switch(command); one->letter; one++) {
		const char letter[2] = { one->letter, '\0' };

		if (one->name)
			zsh_switch("--", one->name, one);
		if (one->brief)
			zsh_switch("-", letter, one);
	}
	printf("      '(-h --help)'{-h,--help}'[print this and end]' \\\n");
	if (command->takes == CTL_COMMANDS) {
		printf("      ':command:(");
		print_commands("");
		printf(")' ;;\n");
	} else if (command->takes == CTL_NOTHING) {
		printf("      ':word:(%s)' ;;\n", command->words ? command->words : "");
	} else if (command->takes == CTL_MOUNTS) {
		printf("      '*:mount point:(%s '\"${mounts[*]}\"')' ;;\n",
		       command->words ? command->words : "");
	} else if (command->words) {
		printf("      '*:path:{ compadd -S \"\" -- %s; _files }' ;;\n", command->words);
	} else {
		printf("      '*:path:_files' ;;\n");
	}
}

static void zsh(void)
{
	const struct ctl_command *command;

	printf("#compdef ztmpfsctl\n"
	       "# zsh completion of ztmpfsctl, made by: ztmpfsctl completion zsh\n"
	       "local -a mounts\n"
	       "mounts=(${(f)\"$(" MOUNTS ")\"})\n"
	       "if (( CURRENT == 2 )); then\n"
	       "  _values command");
	for (size_t i = 0; (command = ctl_command_at(i)) != NULL; i++) {
		printf(" \\\n    '%s[", command->name);
		zsh_text(command->help);
		printf("]'");
	}
	printf("\n  return\n"
	       "fi\n"
	       "local name=$words[2]\n"
	       "shift words\n"
	       "(( CURRENT-- ))\n"
	       "case $name in\n");
	for (size_t i = 0; (command = ctl_command_at(i)) != NULL; i++)
		zsh_command(command);
	printf("esac\n");
}

/* ---- fish ---- */

static void fish_text(const char *text)
{
	fputc('\'', stdout);
	for (; *text != '\0'; text++) {
		if (*text == '\'' || *text == '\\')
			fputc('\\', stdout);
		fputc(*text, stdout);
	}
	fputc('\'', stdout);
}

static void fish_command(const struct ctl_command *command)
{
	printf("complete -c ztmpfsctl -n __fish_use_subcommand -f -a %s -d ", command->name);
	fish_text(command->help);
	printf("\ncomplete -c ztmpfsctl -n '__fish_seen_subcommand_from %s' -s h -l help\n",
	       command->name);
	for (const struct ctl_switch *one = first_switch(command); one->letter; one++) {
		printf("complete -c ztmpfsctl -n '__fish_seen_subcommand_from %s'", command->name);
		if (one->brief)
			printf(" -s %c", one->letter);
		if (one->name)
			printf(" -l %s", one->name);
		if (one->arg && one->words)
			printf(" -x -a '%s'", one->words);
		else if (one->arg)
			printf(" -r");
		printf(" -d ");
		fish_text(one->help);
		printf("\n");
	}
	if (command->takes == CTL_COMMANDS) {
		printf("complete -c ztmpfsctl -n '__fish_seen_subcommand_from %s' -f -a '", command->name);
		print_commands("");
		printf("'\n");
	} else if (command->takes == CTL_PATHS && command->words) {
		printf("complete -c ztmpfsctl -n '__fish_seen_subcommand_from %s' -a '%s'\n",
		       command->name, command->words);
	} else if (command->takes != CTL_PATHS) {
		printf("complete -c ztmpfsctl -n '__fish_seen_subcommand_from %s' -f -a '%s%s'\n",
		       command->name, command->words ? command->words : "",
		       command->takes == CTL_MOUNTS
			       ? " (awk \\'$3 == \"fuse.ztmpfs\" { print $2 }\\' /proc/mounts)"
			       : "");
	}
}

static void fish(void)
{
	const struct ctl_command *command;

	printf("# fish completion of ztmpfsctl, made by: ztmpfsctl completion fish\n");
	for (size_t i = 0; (command = ctl_command_at(i)) != NULL; i++)
		fish_command(command);
}

static int run(int argc, char *argv[])
{
	(void)ctl_switch(&ctl_completion, argc, argv, true);
	if (argc != optind + 1)
		return ctl_usage(&ctl_completion);
	if (strcmp(argv[optind], "bash") == 0)
		bash();
	else if (strcmp(argv[optind], "zsh") == 0)
		zsh();
	else if (strcmp(argv[optind], "fish") == 0)
		fish();
	else
		return ctl_usage(&ctl_completion);
	return ctl_end(0);
}

const struct ctl_command ctl_completion = {
	.name = "completion",
	.operands = "bash|zsh|fish",
	.help = "Print a script that completes the command line of ztmpfsctl.",
	.words = "bash zsh fish",
	.run = run,
};
