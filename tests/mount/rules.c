// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * rules.c - main of the rules of names, attributes and permissions. See rules.h.
 */
#include "tests/mount/rules.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

bool rules_root;

void rule(long value, const char *fmt, ...)
{
	int error = errno;
	va_list ap;

	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	if (value < 0)
		printf(": %s\n", strerror(error));
	else
		printf(": %ld\n", value);
}

void rule_stat(const char *path)
{
	struct stat st;

	if (lstat(path, &st) < 0) {
		rule(-1, "stat %s", path);
		return;
	}
	printf("stat %s: mode %o, user %u, group %u, links %lu, size %lld, device %lx\n", path,
	       st.st_mode, st.st_uid, st.st_gid, (unsigned long)st.st_nlink, (long long)st.st_size,
	       (unsigned long)st.st_rdev);
}

static void must(bool good, const char *what)
{
	if (good)
		return;
	perror(what);
	exit(2);
}

void rule_become(uid_t uid, gid_t more)
{
	if (!rules_root)
		return;
	must(seteuid(0) == 0, "seteuid 0");
	must(setegid(uid) == 0 && setgroups(more ? 1 : 0, &more) == 0, "setegid");
	must(seteuid(uid) == 0, "seteuid");
}

void rule_make(const char *path, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);

	must(fd >= 0 && fchmod(fd, mode) == 0, path);
	close(fd);
}

void rule_write(const char *path, int flags, off_t off, const char *text)
{
	int fd = open(path, flags, 0644);
	long value = fd;

	if (fd >= 0) {
		value = pwrite(fd, text, strlen(text), off);
		if (value >= 0 && fsync(fd) < 0)
			value = -1;
		if (value >= 0) {
			value = close(fd) < 0 ? -1 : value;
		} else {
			int error = errno;

			close(fd);
			errno = error;
		}
	}
	rule(value, "write %s flags %o at %lld", path, flags, (long long)off);
}

static const struct {
	const char *name;
	void (*run)(void);
} sections[] = {
	{ "names", rules_names }, { "rename", rules_rename },   { "modes", rules_modes },
	{ "times", rules_times }, { "special", rules_special }, { "xattr", rules_xattr },
	{ "acl", rules_acl },     { "chattr", rules_chattr },   { "capability", rules_capability },
};

static void run_section(size_t i)
{
	const char *name = sections[i].name;

	printf("--- %s\n", name);
	umask(022);
	rule_become(0, 0);
	must(mkdir(name, 0755) == 0 && chdir(name) == 0, name);
	/* The same for everybody: /tmp's mode is a rule of its own. */
	must(chmod(".", 0777) == 0, "chmod");
	sections[i].run();
	rule_become(0, 0);
	must(chdir("..") == 0, "..");
}

static bool is_wanted(const char *name, char *const *wanted)
{
	if (!*wanted)
		return true;
	while (*wanted && strcmp(*wanted, name) != 0)
		wanted++;
	return *wanted;
}

int main(int argc, char **argv)
{
	bool stay = argc > 1 && strcmp(argv[1], "--stay") == 0;

	if (argc < 2 + stay) {
		fputs("usage: rules [--stay] DIR [SECTION...]\n", stderr);
		return 2;
	}
	argv += 1 + stay;
	/* Where there are no other users nobody can become one. */
	rules_root = geteuid() == 0 && !stay;
	must(chdir(*argv) == 0, *argv);
	for (size_t i = 0; i < sizeof(sections) / sizeof(sections[0]); i++)
		if (is_wanted(sections[i].name, argv + 1))
			run_section(i);
	return 0;
}
