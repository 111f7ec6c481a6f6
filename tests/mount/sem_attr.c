// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * sem_attr.c - what operations on content and on nameless files do to modes, times and blocks. See
 * semantics.h.
 */
#include "tests/mount/semantics.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#define PAGE 4096

static void show_mode(int fd, const char *what)
{
	struct stat st;

	must(fstat(fd, &st), "fstat");
	say("%s: mode %o links %u", what, st.st_mode, (unsigned)st.st_nlink);
}

/* O_TMPFILE is one more way to make an inode: the umask holds there, too. */
static void case_tmpfile_mode(void)
{
	static const mode_t modes[] = { 0666, 0777, 04777, 02777, 01666 };
	static const mode_t masks[] = { 0, 022, 077, 0777 };
	char name[32], path[64];
	mode_t old = umask(0);
	int fd;

	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
		for (size_t k = 0; k < sizeof(masks) / sizeof(masks[0]); k++) {
			(void)umask(masks[k]);
			fd = open(".", O_TMPFILE | O_RDWR, modes[i]);
			sys(fd >= 0 ? 0 : -1, "O_TMPFILE %o under %o", modes[i], masks[k]);
			if (fd < 0)
				continue;
			show_mode(fd, "without a name");
			snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
			snprintf(name, sizeof(name), "f%zu.%zu", i, k);
			sys(linkat(AT_FDCWD, path, AT_FDCWD, name, AT_SYMLINK_FOLLOW), "linkat");
			show_mode(fd, "with a name");
			must(close(fd), "close");
		}
	(void)umask(old);
}

static void age(int fd)
{
	const struct timespec then[] = { { .tv_sec = 1000 }, { .tv_sec = 1000 } };

	must(futimens(fd, then), "futimens");
}

/* Whether times have moved since age(). */
static void show_times(const char *path, const char *what, const struct stat *before)
{
	struct stat st;

	must(stat(path, &st), "stat");
	say("%s: mtime %s, ctime %s, mode %o", what, st.st_mtim.tv_sec == 1000 ? "old" : "new",
	    st.st_ctim.tv_sec == before->st_ctim.tv_sec &&
			    st.st_ctim.tv_nsec == before->st_ctim.tv_nsec
		    ? "old"
		    : "new",
	    st.st_mode);
}

/* Longer than the coarsest clock that stamps files. */
static void let_time_pass(void)
{
	(void)usleep(25000);
}

/* What was allocated behind the end goes with a cut, also with one to the same size. */
static void case_cut_to_same_size(void)
{
	int fd = make("f", 10000);
	struct stat before;

	sys(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 8 << 20), "allocate behind the end");
	show_file(fd, "allocated", true);
	sys(ftruncate(fd, 10000), "ftruncate to the same size");
	show_file(fd, "cut", true);
	sys(fallocate(fd, FALLOC_FL_KEEP_SIZE, 1 << 20, 1 << 20), "allocate behind the end");
	sys(truncate("f", 10000), "truncate to the same size");
	show_file(fd, "cut", true);
	age(fd);
	must(fstat(fd, &before), "fstat");
	let_time_pass();
	sys(truncate("f", 9999), "truncate");
	show_times("f", "times", &before);
}

/* A store through a mapping is a change that make(1) and backups must see. */
static void map_store(const char *name, mode_t mode)
{
	int fd = make(name, 2 * PAGE);
	struct stat before;
	char *at;

	must(fchmod(fd, mode), "fchmod");
	at = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (at == MAP_FAILED) {
		say("mmap: %s", strerrorname_np(errno));
		return;
	}
	must(fsync(fd), "fsync");
	age(fd);
	must(fstat(fd, &before), "fstat");
	let_time_pass();
	at[PAGE] = 'x';
	sys(msync(at, 2 * PAGE, MS_SYNC), "msync");
	show_times(name, "stored and synced", &before);
	age(fd);
	must(fstat(fd, &before), "fstat");
	let_time_pass();
	at[5] = 'y';
	sys(munmap(at, 2 * PAGE), "munmap");
	must(close(fd), "close");
	show_times(name, "stored and unmapped", &before);
}

static void case_map_times(void)
{
	map_store("plain", 0644);
	map_store("setid", 06755);
}

/* A write around the cache moves times, also once the kernel has forgotten them. */
static void case_direct_times(void)
{
	int fd = open("f", O_RDWR | O_CREAT | O_DIRECT, 0644);
	struct stat before;
	char *page;

	if (sys(fd < 0 ? -1 : 0, "open") < 0)
		return;
	page = aligned_alloc(PAGE, PAGE);
	if (!page)
		return;
	memset(page, 'x', PAGE);
	for (int i = 0; i < 2; i++) {
		sys(pwrite(fd, page, PAGE, i * PAGE), "write");
		age(fd);
		must(fstat(fd, &before), "fstat");
		let_time_pass();
		sys(pwrite(fd, page, PAGE, 0), "write");
		show_times("f", "written", &before);
	}
	free(page);
	must(close(fd), "close");
	drop();
	show_times("f", "forgotten", &before);
}

/* The smallest capability set: cap_net_raw, permitted (version 2). */
static void give_capability(const char *path)
{
	static const unsigned char cap[20] = { 0, 0, 0, 2, 0, 0x20 };

	sys(setxattr(path, "security.capability", cap, sizeof(cap), 0), "setxattr");
}

static void show_rights(const char *path, const char *what)
{
	unsigned char cap[64];
	struct stat st;

	must(stat(path, &st), "stat");
	say("%s: mode %o", what, st.st_mode);
	sys(getxattr(path, "security.capability", cap, sizeof(cap)), "capability");
}

static void setid_and_capability(const char *path, bool capability)
{
	must(chmod(path, 06755), "chmod");
	if (capability)
		give_capability(path);
}

/* Each operation takes from a file what tmpfs takes, where it has set-ID bits, a capability, or both. */
static void rights_after(bool capability)
{
	const char *name = capability ? "both" : "bits";
	int fd = make(name, PAGE), from = make("from", PAGE);
	loff_t in = 0, out = 0;

	setid_and_capability(name, capability);
	sys(pwrite(fd, "w", 1, 0), "write");
	show_rights(name, "after write");
	setid_and_capability(name, capability);
	sys(ftruncate(fd, 100), "ftruncate");
	show_rights(name, "after ftruncate");
	setid_and_capability(name, capability);
	sys(fallocate(fd, 0, 0, 2 * PAGE), "fallocate");
	show_rights(name, "after fallocate");
	setid_and_capability(name, capability);
	sys(copy_file_range(from, &in, fd, &out, PAGE, 0), "copy_file_range");
	show_rights(name, "after copy_file_range");
	/* Root's, of a file with a capability, cannot be told from a write: ztmpfs(8) says so. */
	setid_and_capability(name, capability && geteuid() != 0);
	sys(chown(name, (uid_t)-1, (gid_t)-1), "chown to nobody");
	show_rights(name, "after chown to nobody");
	setid_and_capability(name, capability);
	sys(chown(name, geteuid(), getegid()), "chown to the same");
	show_rights(name, "after chown to the same");
	must(close(from), "close");
	must(close(fd), "close");
}

static void case_rights(void)
{
	rights_after(false);
	rights_after(true);
}

const struct sem_case sem_attr_cases[] = {
	{ "tmpfile-mode", case_tmpfile_mode },
	{ "cut-to-same-size", case_cut_to_same_size },
	{ "map-times", case_map_times },
	{ "direct-times", case_direct_times },
	{ "rights", case_rights },
	{ NULL, NULL },
};
