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

static void section(const char *name, void (*run)(void))
{
	printf("--- %s\n", name);
	umask(022);
	rule_become(0, 0);
	must(mkdir(name, 0755) == 0 && chdir(name) == 0, name);
	/* The same for everybody: /tmp's mode is a rule of its own. */
	must(chmod(".", 0777) == 0, "chmod");
	run();
	rule_become(0, 0);
	must(chdir("..") == 0, "..");
}

int main(int argc, char **argv)
{
	if (argc != 2) {
		fputs("usage: rules DIR\n", stderr);
		return 2;
	}
	rules_root = geteuid() == 0;
	must(chdir(argv[1]) == 0, argv[1]);
	section("names", rules_names);
	section("rename", rules_rename);
	section("modes", rules_modes);
	section("times", rules_times);
	section("special", rules_special);
	section("xattr", rules_xattr);
	section("acl", rules_acl);
	section("chattr", rules_chattr);
	section("capability", rules_capability);
	return 0;
}
