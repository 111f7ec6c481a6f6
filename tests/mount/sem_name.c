// SPDX-License-Identifier: GPL-2.0-or-later
/* sem_name.c - files without a name, file handles, listings while names change. See semantics.h. */
#include "tests/mount/semantics.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static nlink_t links(int fd)
{
	struct stat st;

	must(fstat(fd, &st), "fstat");
	return st.st_nlink;
}

static int link_fd(int fd, const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return linkat(AT_FDCWD, path, AT_FDCWD, name, AT_SYMLINK_FOLLOW);
}

static void case_unlinked(void)
{
	int fd = make("f", 5000), dir;
	char buf[8] = "";

	sys(unlink("f"), "unlink");
	say("%d links", (int)links(fd));
	must(pwrite(fd, "still here", 10, 70000), "pwrite");
	must(pread(fd, buf, 5, 70000), "pread");
	say("%s", buf);
	show_file(fd, "unlinked", true);
	sys(ftruncate(fd, 100), "ftruncate");
	sys(fchmod(fd, 0600), "fchmod");
	sys(link_fd(fd, "again"), "link by its descriptor");
	sys(access("again", F_OK), "its new name");
	/* One that has a name gets another one. */
	fd = make("g", 100);
	sys(link_fd(fd, "h"), "link by its descriptor");
	say("%d links", (int)links(fd));
	sys(rename("h", "g"), "rename to the other name of the same file");
	say("%d links", (int)links(fd));
	must(unlink("g"), "unlink");
	must(make("h2", 1), "make");
	sys(rename("h2", "h"), "rename over it");
	say("%d links", (int)links(fd));
	show_file(fd, "replaced", true);
	/* A folder. */
	must(mkdir("d", 0755), "mkdir");
	dir = (int)must(open("d", O_RDONLY | O_DIRECTORY), "open");
	must(rmdir("d"), "rmdir");
	say("%d links", (int)links(dir));
	sys(openat(dir, "x", O_CREAT | O_WRONLY, 0644), "create in it");
	sys(mkdirat(dir, "x", 0755), "mkdir in it");
	sys(linkat(AT_FDCWD, "h", dir, "x", 0), "link into it");
	sys(faccessat(dir, "..", F_OK, 0), "its parent");
	sys(faccessat(dir, "x", F_OK, 0), "a name in it");
}

static void case_tmpfile(void)
{
	int fd = open(".", O_TMPFILE | O_RDWR, 0640), excl;
	struct stat st;

	if (sys(fd >= 0 ? 0 : -1, "open") < 0)
		return;
	say("%d links", (int)links(fd));
	must(write(fd, "nameless", 8), "write");
	must(fstat(fd, &st), "fstat");
	say("mode %o", st.st_mode);
	show_file(fd, "nameless", true);
	sys(link_fd(fd, "named"), "link");
	say("%d links", (int)links(fd));
	sys(link_fd(fd, "named"), "link again");
	sys(link_fd(fd, "named2"), "link to another name");
	excl = open(".", O_TMPFILE | O_RDWR | O_EXCL, 0600);
	sys(excl >= 0 ? 0 : -1, "open with O_EXCL");
	sys(link_fd(excl, "never"), "link");
	sys(open(".", O_TMPFILE | O_RDONLY, 0600), "read-only");
	sys(open("named", O_TMPFILE | O_RDWR, 0600), "in a file");
}

/* ---- file handles ---- */

void drop(void)
{
	int fd = open("/proc/sys/vm/drop_caches", O_WRONLY);

	sync();
	if (fd >= 0) {
		if (write(fd, "2", 1) < 0)
			say("cannot drop caches");
		close(fd);
	}
}

struct handle {
	struct file_handle head;
	unsigned char bytes[MAX_HANDLE_SZ];
};

static long handle_of(const char *path, struct handle *out)
{
	int mount_id;

	out->head.handle_bytes = MAX_HANDLE_SZ;
	return name_to_handle_at(AT_FDCWD, path, &out->head, &mount_id, 0);
}

static long open_handle(int mount_fd, struct handle *handle, int flags, const char *what)
{
	int fd = open_by_handle_at(mount_fd, &handle->head, flags);

	sys(fd >= 0 ? 0 : -1, "open %s by its handle", what);
	if (fd >= 0 && !(flags & O_DIRECTORY))
		show_file(fd, what, false);
	return fd;
}

static void case_handles(void)
{
	int here = (int)must(open(".", O_RDONLY | O_DIRECTORY), "open"), fd;
	struct handle file, dir, other;
	char name[64];

	must(mkdir("d", 0755), "mkdir");
	must(close(make("d/f", 10000)), "close");
	if (sys(handle_of("d/f", &file), "handle of a file") < 0)
		return;
	sys(handle_of("d", &dir), "handle of a folder");
	open_handle(here, &file, O_RDONLY, "a file");
	open_handle(here, &dir, O_RDONLY | O_DIRECTORY, "a folder");
	drop();
	fd = (int)open_handle(here, &file, O_RDWR, "a file the kernel forgot");
	if (fd < 0)
		return;
	must(pwrite(fd, "by handle", 9, 0), "pwrite");
	must(close(fd), "close");
	drop();
	fd = (int)open_handle(here, &dir, O_RDONLY | O_DIRECTORY, "a folder the kernel forgot");
	sys(faccessat(fd, "f", F_OK, 0), "its file");
	sys(faccessat(fd, "../d", F_OK, 0), "its parent");
	must(close(fd), "close");
	must(rename("d/f", "g"), "rename");
	drop();
	open_handle(here, &file, O_RDONLY, "a renamed file");
	must(close((int)must(open("g", O_RDONLY), "open")), "close");
	must(unlink("g"), "unlink");
	drop();
	open_handle(here, &file, O_RDONLY, "a removed file");
	must(rmdir("d"), "rmdir");
	drop();
	open_handle(here, &dir, O_RDONLY | O_DIRECTORY, "a removed folder");
	/* Many new ones: its place is used again, but it is not one of them. */
	for (int i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), "new%d", i);
		must(close(make(name, 1)), "close");
	}
	open_handle(here, &file, O_RDONLY, "a removed file");
	must(handle_of("new7", &other), "handle");
	say("the same as before: %d",
	    memcmp(&other.head.f_handle, &file.head.f_handle, file.head.handle_bytes) == 0);
	memset(file.bytes, 0x5a, 16);
	open_handle(here, &file, O_RDONLY, "nonsense");
}

/* ---- listings ---- */

static void changes(void *arg)
{
	char name[64];

	(void)arg;
	alarm(600); /* listings of a large folder have their lock */
	for (int round = 0; round < 40; round++) {
		for (int i = 0; i < 100; i++) {
			snprintf(name, sizeof(name), "d/comes%d", i);
			close(open(name, O_CREAT | O_WRONLY, 0644));
		}
		for (int i = 0; i < 100; i++) {
			snprintf(name, sizeof(name), "d/comes%d", i);
			unlink(name);
		}
	}
}

static long long_list(void)
{
	const char *text = getenv("ZT_ENTRIES");

	return text ? atol(text) : 3000;
}

/* Each name that stays is in each listing once, whatever comes and goes meanwhile. */
static void list_often(DIR *dir, long nr)
{
	unsigned char *seen = calloc(1, (size_t)nr);
	struct dirent *entry;
	long wrong = 0;

	for (int listing = 0; listing < 5; listing++) {
		memset(seen, 0, (size_t)nr);
		rewinddir(dir);
		while ((entry = readdir(dir))) {
			long i;

			if (sscanf(entry->d_name, "stays%ld", &i) == 1)
				wrong += seen[i]++ != 0;
		}
		for (long i = 0; i < nr; i++)
			wrong += seen[i] != 1;
	}
	say("%ld names missing or twice in 5 listings", wrong);
	free(seen);
}

/* A place in a listing is still that place after names have gone. */
static void list_from_the_middle(DIR *dir)
{
	struct dirent *entry = NULL;
	char next[300], gone[300];
	long place;

	rewinddir(dir);
	for (int i = 0; i < 50; i++)
		entry = readdir(dir);
	snprintf(gone, sizeof(gone), "%s", entry->d_name);
	place = telldir(dir);
	entry = readdir(dir);
	snprintf(next, sizeof(next), "%s", entry->d_name);
	must(unlinkat(dirfd(dir), gone, 0), "unlinkat");
	seekdir(dir, place);
	entry = readdir(dir);
	say("the same name follows: %d", entry && strcmp(next, entry->d_name) == 0);
}

static void case_readdir(void)
{
	long nr = long_list(), wrong = 0;
	struct dirent *entry;
	char name[64];
	pid_t pid;
	DIR *dir;

	must(mkdir("d", 0755), "mkdir");
	for (long i = 0; i < nr; i++) {
		snprintf(name, sizeof(name), "d/stays%ld", i);
		must(close((int)must(open(name, O_CREAT | O_WRONLY, 0644), "open")), "close");
	}
	say("%ld names", nr);
	pid = child(changes, NULL);
	dir = opendir("d");
	list_often(dir, nr);
	reap(pid, "changes");
	list_from_the_middle(dir);
	/* Removing while listing reaches all. */
	rewinddir(dir);
	while ((entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			wrong += unlinkat(dirfd(dir), entry->d_name, 0) != 0;
	say("%ld could not be removed", wrong);
	closedir(dir);
	sys(rmdir("d"), "rmdir");
}

const struct sem_case sem_name_cases[] = {
	{ "unlinked", case_unlinked },
	{ "tmpfile", case_tmpfile },
	{ "handles", case_handles },
	{ "readdir", case_readdir },
	{ NULL, NULL },
};
