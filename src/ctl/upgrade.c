// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * upgrade.c - ztmpfsctl upgrade: another program goes on with a mount, while it is in use.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "ctl/ctl.h"
#include "util/clock.h"

#define POLL_NS 20000000L

/* The daemon is elsewhere: it gets the whole path, and is told which file is meant. -EXDEV: one of @mount. */
static int name_program(const char *binary, const char *mount, struct ztmpfs_upgrade *out)
{
	char *path = realpath(binary, NULL);
	struct stat st, root;
	int error = 0;

	if (!path || stat(path, &st) != 0)
		error = -errno;
	else if (!S_ISREG(st.st_mode))
		error = S_ISDIR(st.st_mode) ? -EISDIR : -EACCES;
	else if (access(path, X_OK) != 0)
		error = -errno;
	else if (strlen(path) >= sizeof(out->path))
		error = -ENAMETOOLONG;
	else if (stat(mount, &root) == 0 && root.st_dev == st.st_dev)
		error = -EXDEV;
	if (!error) {
		strcpy(out->path, path);
		out->dev = st.st_dev;
		out->ino = st.st_ino;
	}
	free(path);
	return error;
}

static int ask(const char *path, uint32_t op, struct ztmpfs_upgrade *inout)
{
	int error;

	inout->op = op;
	error = ctl_ask(path, ZTMPFS_IOC_UPGRADE, inout);
	inout->text[sizeof(inout->text) - 1] = '\0';
	inout->release[sizeof(inout->release) - 1] = '\0';
	return error;
}

/* While there is no daemon the question waits. */
static int run_to_end(const char *path, struct ztmpfs_upgrade *inout)
{
	int error = ask(path, ZTMPFS_UPGRADE_START, inout);

	while (!error && inout->state == ZTMPFS_UPGRADE_RUNS) {
		nanosleep(&(struct timespec){ .tv_nsec = POLL_NS }, NULL);
		error = ask(path, ZTMPFS_UPGRADE_ASK, inout);
	}
	return error;
}

static int complain(const char *path, int error)
{
	const char *why = error == -EOPNOTSUPP ? "mounted with survive=off: the mount ends with its daemon" :
			  error == -EBUSY      ? "another upgrade is under way" :
						 NULL;

	if (!why)
		return ctl_fail(path, error);
	return ctl_failed(path, why);
}

static int tell(const char *path, const struct ztmpfs_upgrade *upgrade)
{
	const char *why = upgrade->text;

	switch (upgrade->state) {
	case ZTMPFS_UPGRADE_DONE:
		printf("%s: ztmpfs %s serves as process %" PRIu32 "; requests have waited for %" PRIu64
		       " ms\n",
		       path, upgrade->release, upgrade->pid, upgrade->outage_ns / 1000000);
		return 0;
	case ZTMPFS_UPGRADE_REFUSED:
		fprintf(stderr, "ztmpfsctl: %s: not upgraded: %s\n", path, why);
		break;
	case ZTMPFS_UPGRADE_LATE:
		fprintf(stderr,
			"ztmpfsctl: %s: not upgraded: the new program did not serve in time; the old one "
			"is back\n",
			path);
		break;
	default:
		fprintf(stderr,
			"ztmpfsctl: %s: not upgraded: %s; the old program is back\n", path,
			*why ? why : "the new program ended before it served");
		break;
	}
	return CTL_EXIT_FAILED;
}

static int run(int argc, char *argv[])
{
	int letter = ctl_switch(&ctl_upgrade, argc, argv, true), error = 0;
	struct ztmpfs_upgrade upgrade = { .struct_size = sizeof(upgrade) };
	const char *binary = NULL;

	for (; letter != CTL_SWITCH_END; letter = ctl_switch(&ctl_upgrade, argc, argv, false))
		binary = optarg;
	if (argc != optind + 1)
		return ctl_usage(&ctl_upgrade);
	if (binary)
		error = name_program(binary, argv[optind], &upgrade);
	if (error == -EXDEV)
		return ctl_failed(binary, "the program lies on the mount itself");
	if (error)
		return ctl_fail(binary, error);
	if (getrandom(&upgrade.ticket, sizeof(upgrade.ticket), 0) != sizeof(upgrade.ticket))
		return ctl_fail("random bytes", -errno);
	upgrade.ticket |= 1;
	error = run_to_end(argv[optind], &upgrade);
	return error ? complain(argv[optind], error) : tell(argv[optind], &upgrade);
}

static const struct ctl_switch switches[] = {
	{ .letter = 'b',
	  .brief = true,
	  .name = "binary",
	  .arg = "FILE",
	  .help = "this program, instead of the one that is installed" },
	{ 0 },
};

const struct ctl_command ctl_upgrade = {
	.name = "upgrade",
	.operands = "MOUNTPOINT",
	.help = "Have another program go on with a mount, which stays in use meanwhile.",
	.switches = switches,
	.takes = CTL_MOUNTS,
	.run = run,
};
