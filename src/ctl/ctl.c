// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * ctl.c - the table of subcommands, and the way to a mount.
 */
#include "ctl/ctl.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "util/sizes.h"
#include "ztmpfs/zcomp.h"

static const struct ctl_command *const commands[] = {
	&ctl_attr, &ctl_compact, &ctl_du, &ctl_recompress, &ctl_stat, &ctl_swap, &ctl_train, &ctl_zbench,
};

const struct ctl_command *ctl_command_at(size_t idx)
{
	return idx < ARRAY_SIZE(commands) ? commands[idx] : NULL;
}

int ctl_usage(const struct ctl_command *command)
{
	fprintf(stderr, "usage: ztmpfsctl %s %s\n", command->name, command->synopsis);
	return CTL_EXIT_USAGE;
}

int ctl_ioctl(const char *path, unsigned long cmd, void *arg)
{
	/* A fifo must not be waited for. */
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC), error = 0;

	if (fd < 0)
		return -errno;
	if (ioctl(fd, cmd, arg) != 0)
		error = -errno;
	close(fd);
	return error;
}

int ctl_get_stat(const char *path, struct ztmpfs_stat *out_stat)
{
	struct ztmpfs_stat stat;
	int error;

	memset(&stat, 0, sizeof(stat));
	error = ctl_ioctl(path, ZTMPFS_IOC_STAT, &stat);
	/* Another driver may take the number for its own. */
	if (!error && (stat.version != ZTMPFS_STAT_VERSION || stat.struct_size != sizeof(stat)))
		error = -ENOTTY;
	if (!error)
		*out_stat = stat;
	return error;
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

void ctl_print_json_text(FILE *out, const char *text)
{
	fputc('"', out);
	for (; *text != '\0'; text++) {
		if (*text == '"' || *text == '\\')
			fprintf(out, "\\%c", *text);
		else if ((unsigned char)*text < 0x20)
			fprintf(out, "\\u%04x", (unsigned)(unsigned char)*text);
		else
			fputc(*text, out);
	}
	fputc('"', out);
}

static void help(FILE *out)
{
	const struct ctl_command *command;

	fprintf(out, "Usage: ztmpfsctl COMMAND [ARGUMENT...]\n"
		     "\n"
		     "Ask a mounted ztmpfs.\n"
		     "\n"
		     "Commands:\n");
	for (size_t i = 0; (command = ctl_command_at(i)) != NULL; i++)
		fprintf(out, "  %s %s\n      %s\n", command->name, command->synopsis,
			command->help);
	fprintf(out, "\n"
		     "  -h, --help     print this and end\n"
		     "  -V, --version  print the version and end\n");
}

int ctl_main(int argc, char *argv[])
{
	const struct ctl_command *command;

	if (argc < 2) {
		fprintf(stderr, "ztmpfsctl: no command; see ztmpfsctl --help\n");
		return CTL_EXIT_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
		help(stdout);
		return 0;
	}
	if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0) {
		printf("ztmpfsctl %s\n", PACKAGE_VERSION);
		return 0;
	}
	for (size_t i = 0; (command = ctl_command_at(i)) != NULL; i++)
		if (strcmp(command->name, argv[1]) == 0)
			return command->run(argc - 1, argv + 1);
	fprintf(stderr, "ztmpfsctl: %s: no such command; see ztmpfsctl --help\n", argv[1]);
	return CTL_EXIT_USAGE;
}
