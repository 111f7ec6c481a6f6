// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_namespace.c - a caller's mount namespace is left, visited, and not held, by a child that has one of
 * its own. Where there can be none it is skipped.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/namespace.h"
#include "tests/lib/zt_check.h"

#define SKIPPED 77

static char folder[] = "/tmp/zt-namespace.XXXXXX";
static char below[64]; /* a folder in it, where something is mounted */

static void child_assert(bool holds, int line)
{
	if (holds)
		return;
	fprintf(stderr, "line %d: %s\n", line, strerror(errno));
	_exit(1);
}

#define CHILD_ASSERT(condition) child_assert(condition, __LINE__)

/* Return: false where none can be had. */
static bool new_namespace(void)
{
	return (unshare(CLONE_NEWNS) == 0 || unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0) &&
	       mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
	       mount("none", folder, "tmpfs", 0, NULL) == 0 && mkdir(below, 0755) == 0 &&
	       mount("none", below, "tmpfs", 0, NULL) == 0;
}

/* A child, with mounts of its own, does it. */
static void in_namespace(void (*act)(void))
{
	const pid_t pid = fork();
	int status;

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		if (!new_namespace())
			_exit(SKIPPED);
		act();
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	if (WEXITSTATUS(status) == SKIPPED)
		printf("SKIP: no mount namespace\n");
	else
		ck_assert_int_eq(WEXITSTATUS(status), 0);
}

static bool is_mounted(const char *path)
{
	FILE *file = fopen("/proc/self/mountinfo", "re");
	char line[4096], word[128];
	bool found = false;

	CHILD_ASSERT(file != NULL);
	snprintf(word, sizeof(word), " %s ", path);
	while (fgets(line, sizeof(line), file))
		found = found || strstr(line, word) != NULL;
	fclose(file);
	return found;
}

static struct stat namespace_now(void)
{
	struct stat st;

	CHILD_ASSERT(stat("/proc/thread-self/ns/mnt", &st) == 0);
	return st;
}

static void leave_and_come_back(void)
{
	const struct stat before = namespace_now();
	struct caller_namespace ns;
	char cwd[256];

	CHILD_ASSERT(chdir(below) == 0);
	namespace_leave(&ns);
	CHILD_ASSERT(ns.left);
	CHILD_ASSERT(ns.dev == before.st_dev && ns.ino == before.st_ino);
	CHILD_ASSERT(namespace_now().st_ino != before.st_ino);
	CHILD_ASSERT(strcmp(getcwd(cwd, sizeof(cwd)), below) == 0);
	CHILD_ASSERT(namespace_visit(&ns) == 0);
	CHILD_ASSERT(namespace_now().st_ino == before.st_ino);
	CHILD_ASSERT(is_mounted(below));
	errno = EDOM; /* nobody's */
	CHILD_ASSERT(namespace_back(&ns) == 0);
	CHILD_ASSERT(namespace_now().st_ino != before.st_ino);
	/* What nobody needs is held no longer, and the rest is there. */
	CHILD_ASSERT(!is_mounted(below) && !is_mounted(folder));
	CHILD_ASSERT(is_mounted("/") && access("/proc/self/ns/mnt", F_OK) == 0);
}

START_TEST(test_a_namespace_is_left_and_nothing_of_it_is_held)
{
	in_namespace(leave_and_come_back);
}
END_TEST

static bool is_any(int fd, const void *arg)
{
	(void)arg;
	return fd >= 0;
}

static bool is_none(int fd, const void *arg)
{
	(void)fd;
	(void)arg;
	return false;
}

/* A process that stays in the caller's namespace is how its files are found. */
static void open_inside(void)
{
	struct caller_namespace ns;
	char path[80], text[8] = "";
	int ends[2], fd;
	pid_t stays;

	snprintf(path, sizeof(path), "%s/file", below);
	fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
	CHILD_ASSERT(fd >= 0 && write(fd, "inside", 6) == 6 && close(fd) == 0);
	CHILD_ASSERT(pipe(ends) == 0);
	stays = fork();
	if (stays == 0) {
		close(ends[1]);
		_exit((int)read(ends[0], text, 1));
	}
	namespace_leave(&ns);
	CHILD_ASSERT(ns.left);
	CHILD_ASSERT(namespace_back(&ns) == 0);
	CHILD_ASSERT(access(path, F_OK) != 0);
	fd = namespace_open(&ns, path, O_RDONLY | O_CLOEXEC, is_any, NULL);
	CHILD_ASSERT(fd >= 0 && read(fd, text, 6) == 6 && strcmp(text, "inside") == 0);
	close(fd);
	CHILD_ASSERT(namespace_open(&ns, path, O_RDONLY | O_CLOEXEC, is_none, NULL) == -ESTALE);
	close(ends[0]);
	close(ends[1]);
	CHILD_ASSERT(waitpid(stays, NULL, 0) == stays);
	CHILD_ASSERT(namespace_open(&ns, path, O_RDONLY | O_CLOEXEC, is_any, NULL) == -ESTALE);
}

START_TEST(test_files_of_a_namespace_are_opened_as_long_as_somebody_is_in_it)
{
	in_namespace(open_inside);
}
END_TEST

/* In the namespace of process 1 a daemon may stay; here that is a child's child. */
static void stay_with_process_1(void)
{
	struct caller_namespace ns;
	pid_t pid;
	int status;

	if (unshare(CLONE_NEWPID) != 0)
		_exit(SKIPPED);
	pid = fork();
	if (pid != 0) {
		CHILD_ASSERT(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
		_exit(WEXITSTATUS(status));
	}
	if (mount("none", "/proc", "proc", 0, NULL) != 0)
		_exit(SKIPPED);
	CHILD_ASSERT(getpid() == 1);
	namespace_leave(&ns);
	CHILD_ASSERT(!ns.left);
	pid = fork();
	if (pid != 0) {
		CHILD_ASSERT(waitpid(pid, &status, 0) == pid && status == 0);
		_exit(0);
	}
	CHILD_ASSERT(unshare(CLONE_NEWNS) == 0);
	namespace_leave(&ns);
	CHILD_ASSERT(ns.left);
	CHILD_ASSERT(namespace_back(&ns) == 0);
}

START_TEST(test_the_namespace_of_process_1_is_not_left)
{
	in_namespace(stay_with_process_1);
}
END_TEST

/* Below a chroot the root is no mount, so it cannot be left: all is as before. */
static void stay_below_chroot(void)
{
	struct caller_namespace ns;
	struct stat root, now;
	char cwd[256], proc[80];

	snprintf(proc, sizeof(proc), "%s/proc", folder);
	CHILD_ASSERT(mkdir(proc, 0755) == 0);
	if (mount("/proc", proc, NULL, MS_BIND | MS_REC, NULL) != 0)
		_exit(SKIPPED);
	/* The folder, which is a mount's root, has no use here: one in it. */
	snprintf(proc, sizeof(proc), "%s/root", below);
	CHILD_ASSERT(mkdir(proc, 0755) == 0);
	snprintf(proc, sizeof(proc), "%s/root/proc", below);
	CHILD_ASSERT(mkdir(proc, 0755) == 0);
	if (mount("/proc", proc, NULL, MS_BIND | MS_REC, NULL) != 0)
		_exit(SKIPPED);
	snprintf(proc, sizeof(proc), "%s/root", below);
	CHILD_ASSERT(chdir(proc) == 0 && chroot(".") == 0 && mkdir("here", 0755) == 0 && chdir("here") == 0);
	CHILD_ASSERT(stat("/", &root) == 0);
	namespace_leave(&ns);
	CHILD_ASSERT(!ns.left);
	CHILD_ASSERT(stat("/", &now) == 0 && now.st_dev == root.st_dev && now.st_ino == root.st_ino);
	CHILD_ASSERT(strcmp(getcwd(cwd, sizeof(cwd)), "/here") == 0);
	CHILD_ASSERT(namespace_visit(&ns) == 0 && namespace_back(&ns) == 0);
}

START_TEST(test_below_a_chroot_nothing_changes)
{
	in_namespace(stay_below_chroot);
}
END_TEST

static void make_folder(void)
{
	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(below, sizeof(below), "%s/below", folder);
}

static void remove_folder(void)
{
	ck_assert_int_eq(rmdir(folder), 0);
	memcpy(strrchr(folder, '.'), ".XXXXXX", 8);
}

int main(void)
{
	Suite *suite = suite_create("namespace");
	TCase *tc = tcase_create("namespace");

	tcase_add_checked_fixture(tc, make_folder, remove_folder);
	tcase_add_test(tc, test_a_namespace_is_left_and_nothing_of_it_is_held);
	tcase_add_test(tc, test_files_of_a_namespace_are_opened_as_long_as_somebody_is_in_it);
	tcase_add_test(tc, test_the_namespace_of_process_1_is_not_left);
	tcase_add_test(tc, test_below_a_chroot_nothing_changes);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
