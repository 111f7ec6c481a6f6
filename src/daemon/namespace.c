// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * namespace.c - a daemon that does not keep the mount namespace of its caller alive. See
 * namespace.h.
 *
 * Locks: none. All of it is the main thread's.
 */
#include "daemon/namespace.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/mountinfo.h"
#include "util/sizes.h"

#define OWN_NAMESPACE "/proc/self/ns/mnt"

static bool is_of_process_1(const struct stat *own)
{
	struct stat first;

	/* When stat fails, the user's is another one, or one that the user cannot leave. */
	return stat("/proc/1/ns/mnt", &first) == 0 && first.st_dev == own->st_dev &&
	       first.st_ino == own->st_ino;
}

static void close_all(const struct caller_namespace *ns)
{
	const int fds[] = { ns->caller, ns->own, ns->root };

	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

void namespace_leave(struct caller_namespace *out_ns)
{
	struct caller_namespace ns = { .caller = -1, .own = -1, .root = -1 };
	struct stat st;
	int cwd;

	*out_ns = (struct caller_namespace){ .left = false };
	if (stat(OWN_NAMESPACE, &st) != 0 || is_of_process_1(&st))
		return;
	ns.caller = open(OWN_NAMESPACE, O_RDONLY | O_CLOEXEC);
	ns.root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	cwd = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC); /* names of files may be meant from here */
	if (ns.caller < 0 || ns.root < 0 || unshare(CLONE_NEWNS) != 0)
		goto err_close;
	/* Or the mount comes along. */
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
		goto err_return;
	ns.own = open(OWN_NAMESPACE, O_RDONLY | O_CLOEXEC);
	if (ns.own < 0)
		goto err_return;
	ns.left = true;
	ns.dev = st.st_dev;
	ns.ino = st.st_ino;
	*out_ns = ns;
	goto out;

err_return:
	/*
	 * One that fails here stays in a namespace that is as the caller's was, as below a chroot,
	 * whose root is no mount. setns() has gone to that namespace's root.
	 */
	if (setns(ns.caller, CLONE_NEWNS) == 0 && fchdir(ns.root) == 0 && chroot(".") == 0 &&
	    cwd >= 0)
		(void)!fchdir(cwd);
err_close:
	close_all(&ns);
out:
	if (cwd >= 0)
		close(cwd);
}

int namespace_visit(const struct caller_namespace *ns)
{
	if (!ns->left)
		return 0;
	/* First for all threads, then with a root of this one's own, as setns() wants it. */
	if (chdir("/") != 0 || unshare(CLONE_FS) != 0 || setns(ns->caller, CLONE_NEWNS) != 0 ||
	    fchdir(ns->root) != 0 || chroot(".") != 0)
		return -errno;
	return 0;
}

/* Whether the program or one of its libraries lies below; a later process loads them again. */
static bool holds_program(const char *path)
{
	FILE *file = fopen("/proc/self/maps", "re");
	const size_t len = strlen(path);
	char *line = NULL;
	bool found = false;
	size_t size = 0;

	while (file && !found && getline(&line, &size, file) > 0) {
		const char *mapped = strchr(line, '/');

		found = mapped && strncmp(mapped, path, len) == 0 && mapped[len] == '/';
	}
	free(line);
	if (file)
		fclose(file);
	return found;
}

/* Looked at later: processes, the machine's state, the way to syslog. */
static bool is_needed(const char *path)
{
	static const char *const folders[] = { "/proc", "/sys", "/dev", "/run" };

	if (strcmp(path, "/") == 0 || holds_program(path))
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(folders); i++)
		if (strcmp(path, folders[i]) == 0)
			return true;
	return false;
}

/* One line further with each that is detached or passed over; false at the end. */
static bool detach_next(unsigned *inout_passed)
{
	FILE *file = fopen("/proc/self/mountinfo", "re");
	struct mountinfo mount;
	char *line = NULL;
	bool found = false;
	unsigned nr = 0;
	size_t size = 0;

	while (file && !found && getline(&line, &size, file) > 0) {
		if (!mountinfo_parse(line, &mount) || nr++ < *inout_passed)
			continue;
		found = true;
		/* Those that the caller could not unmount either stay. */
		if (is_needed(mount.path) || umount2(mount.path, MNT_DETACH) != 0)
			(*inout_passed)++;
	}
	free(line);
	if (file)
		fclose(file);
	return found;
}

int namespace_back(struct caller_namespace *ns)
{
	unsigned passed = 0;
	int error = 0;

	if (!ns->left)
		return 0;
	if (setns(ns->own, CLONE_NEWNS) != 0)
		error = -errno;
	close_all(ns);
	while (!error && detach_next(&passed))
		;
	return error;
}

/* The next process in the caller's namespace. Return: its folder in /proc, or NULL. */
static const char *next_inside(const struct caller_namespace *ns, DIR *dir)
{
	struct dirent *entry;

	while ((entry = readdir(dir)) != NULL) {
		char path[64];
		struct stat st;

		(void)snprintf(path, sizeof(path), "/proc/%.20s/ns/mnt", entry->d_name);
		if (*entry->d_name >= '1' && *entry->d_name <= '9' && stat(path, &st) == 0 &&
		    st.st_dev == ns->dev && st.st_ino == ns->ino)
			return entry->d_name;
	}
	return NULL;
}

int namespace_open(const struct caller_namespace *ns, const char *path, int flags,
		   bool (*check)(int fd, const void *arg), const void *arg)
{
	DIR *dir = ns->left ? opendir("/proc") : NULL;
	const char *pid;
	int fd = -1;

	while (dir && fd < 0 && (pid = next_inside(ns, dir)) != NULL) {
		char inside[PATH_MAX];

		/* The link "root" leads into the process's namespace. */
		if (snprintf(inside, sizeof(inside), "/proc/%s/root%s", pid, path) >= PATH_MAX)
			continue;
		fd = open(inside, flags);
		if (fd >= 0 && !check(fd, arg)) {
			close(fd);
			fd = -1;
		}
	}
	if (dir)
		closedir(dir);
	return fd < 0 ? -ESTALE : fd;
}

void namespace_find(const struct caller_namespace *ns)
{
	DIR *dir = ns->left ? opendir("/proc") : NULL;
	bool found = false;
	const char *pid;

	while (dir && !found && (pid = next_inside(ns, dir)) != NULL) {
		char path[64];
		int fd;

		(void)snprintf(path, sizeof(path), "/proc/%.20s/ns/mnt", pid);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		found = fd >= 0 && unshare(CLONE_FS) == 0 && setns(fd, CLONE_NEWNS) == 0;
		if (fd >= 0)
			close(fd);
	}
	if (dir)
		closedir(dir);
}
