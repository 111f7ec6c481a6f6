// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * rules_name.c - names, links, renames, modes, times, special files. See rules.h.
 */
#include "tests/mount/rules.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static void name_of(char *name, size_t len, int byte)
{
	memset(name, byte, len);
	name[len] = '\0';
}

static void names_bytes(void)
{
	char name[300];

	for (int byte = 1; byte < 256; byte++) {
		if (byte == '/')
			continue;
		name_of(name, 3, byte);
		rule(mkdir(name, 0755), "mkdir of bytes %d", byte);
		rule(rmdir(name), "rmdir of bytes %d", byte);
	}
	for (size_t len = 253; len < 258; len++) {
		name_of(name, len, 'n');
		rule(mkdir(name, 0755), "mkdir of %zu", len);
		rule(mkdir(name, 0755), "mkdir again");
		rule(symlink(name, "long"), "symlink to %zu", len);
		rule(access("long", F_OK), "access by symlink");
		rule(unlink("long"), "unlink");
		rule(rename(name, "short"), "rename of %zu", len);
		rule(rename("short", name), "rename to %zu", len);
		rule(rmdir(name), "rmdir of %zu", len);
		rule(link(".", name), "link of .");
	}
}

static void names_depth(void)
{
	char path[8192] = "";
	unsigned depth;
	int top = open(".", O_RDONLY | O_DIRECTORY), fd = dup(top);

	for (depth = 0; depth < 300; depth++) {
		int next;

		if (mkdirat(fd, "deep", 0755) < 0)
			break;
		next = openat(fd, "deep", O_RDONLY | O_DIRECTORY);
		close(fd);
		fd = next;
	}
	rule(depth, "folders in folders");
	for (unsigned i = 0; i < 819; i++)
		strcat(path, "deep/");
	for (size_t len = 4090; len <= 4097; len++) {
		char c = path[len];

		path[len] = '\0';
		rule(access(path, F_OK), "access of a path of %zu", len);
		path[len] = c;
	}
	close(fd);
	while (depth > 0) {
		path[0] = '\0';
		for (unsigned i = 0; i < depth; i++)
			strcat(path, i ? "/deep" : "deep");
		if (unlinkat(top, path, AT_REMOVEDIR) < 0)
			break;
		depth--;
	}
	rule(depth, "folders that stay");
	close(top);
}

static void names_loops(void)
{
	char target[5000], buf[5000];

	rule(symlink("loop2", "loop1"), "symlink");
	rule(symlink("loop1", "loop2"), "symlink");
	rule(open("loop1", O_RDONLY), "open of a loop");
	rule(open("loop1", O_RDONLY | O_NOFOLLOW), "open of a loop, not followed");
	rule(chmod("loop1", 0600), "chmod of a loop");
	rule(mkdir("loop1", 0600), "mkdir of a loop");
	rule(symlink("", "empty"), "symlink to nothing");
	for (size_t len = 4093; len <= 4097; len++) {
		name_of(target, len, 't');
		rule(symlink(target, "target"), "symlink to %zu", len);
		rule(readlink("target", buf, sizeof(buf)), "readlink");
		rule_stat("target");
		rule(unlink("target"), "unlink");
	}
	rule(readlink("loop1", buf, 3), "readlink into 3");
	for (int i = 0; i < 42; i++) {
		char from[16], to[16];

		sprintf(from, "chain%d", i);
		sprintf(to, "chain%d", i + 1);
		rule(symlink(to, from), "symlink %s", from);
	}
	rule(mkdir("chain42", 0755), "mkdir");
	rule(access("chain3/.", F_OK), "39 links");
	rule(access("chain2/.", F_OK), "40 links");
	rule(access("chain1/.", F_OK), "41 links");
}

static void names_links(void)
{
	rule_make("file", 0644);
	rule(mkdir("dir", 0755), "mkdir");
	for (int i = 0; i < 5; i++) {
		char name[32];

		sprintf(name, "link%d", i);
		rule(link("file", name), "link");
		sprintf(name, "dir/sub%d", i);
		rule(mkdir(name, 0755), "mkdir");
	}
	rule_stat("file");
	rule_stat("dir");
	rule(link("dir", "dirlink"), "link of a folder");
	rule(link("nothing", "new"), "link of nothing");
	rule(link("file", "link0"), "link to what exists");
	rule(link("file", "file/new"), "link below a file");
	rule(rmdir("dir"), "rmdir of a full folder");
	rule(rmdir("file"), "rmdir of a file");
	rule(unlink("dir"), "unlink of a folder");
	rule(rmdir("dir/."), "rmdir of .");
	rule(rmdir("dir/.."), "rmdir of ..");
	rule(rmdir("dir/sub0"), "rmdir");
	rule_stat("dir");
	rule(unlink("link0"), "unlink");
	rule_stat("file");
	rule(open("nothing/file", O_RDONLY), "open below nothing");
	rule(open("file/x", O_RDONLY), "open below a file");
	rule(open("dir", O_WRONLY), "open a folder for writing");
	rule(open("dir", O_RDONLY | O_CREAT, 0644), "create a folder's name");
	rule(open("file/", O_RDONLY), "open a file as a folder");
	rule(truncate("dir", 0), "truncate a folder");
}

void rules_names(void)
{
	names_bytes();
	names_depth();
	names_loops();
	names_links();
}

/* Whether ".." in a listing has the number of the folder's parent. */
static void rule_dotdot(const char *path)
{
	char up[300];
	struct dirent *entry;
	struct stat st;
	DIR *stream = opendir(path);
	bool right = false;

	snprintf(up, sizeof(up), "%s/..", path);
	if (!stream || stat(up, &st) < 0) {
		rule(-1, "listing of %s", path);
		return;
	}
	while ((entry = readdir(stream)))
		if (strcmp(entry->d_name, "..") == 0)
			right = entry->d_ino == st.st_ino;
	closedir(stream);
	rule(right, ".. of %s", path);
}

static void rename_kinds(void)
{
	static const unsigned flags[] = { 0,
					  RENAME_NOREPLACE,
					  RENAME_EXCHANGE,
					  RENAME_NOREPLACE | RENAME_EXCHANGE,
					  RENAME_WHITEOUT,
					  RENAME_WHITEOUT | RENAME_NOREPLACE,
					  RENAME_WHITEOUT | RENAME_EXCHANGE,
					  8 };
	static const char *const kinds[] = { "none", "file", "dir", "full", "link" };

	for (unsigned i = 0; i < 5 * 5 * 8; i++) {
		const char *from = kinds[i % 5], *to = kinds[i / 5 % 5];
		unsigned how = flags[i / 25];

		rule(mkdir("case", 0755), "mkdir");
		for (int side = 0; side < 2; side++) {
			const char *kind = side ? to : from;
			char path[64];

			sprintf(path, "case/%c", 'a' + side);
			if (strcmp(kind, "file") == 0)
				rule_make(path, 0644);
			else if (strcmp(kind, "link") == 0)
				rule(symlink("x", path), "symlink");
			else if (strcmp(kind, "none") != 0)
				rule(mkdir(path, 0755), "mkdir");
			strcat(path, "/in");
			if (strcmp(kind, "full") == 0)
				rule_make(path, 0644);
		}
		rule(renameat2(AT_FDCWD, "case/a", AT_FDCWD, "case/b", how),
		     "rename %s to %s flags %u", from, to, how);
		rule_stat("case/a");
		rule_stat("case/b");
		rule_stat("case");
		unlink("case/a/in");
		unlink("case/b/in");
		if (unlink("case/a") < 0)
			rmdir("case/a");
		if (unlink("case/b") < 0)
			rmdir("case/b");
		rule(rmdir("case"), "rmdir");
	}
}

void rules_rename(void)
{
	rename_kinds();
	rule(mkdir("a", 0755), "mkdir");
	rule(mkdir("a/b", 0755), "mkdir");
	rule(mkdir("a/b/c", 0755), "mkdir");
	rule(rename("a", "a/b/d"), "rename below itself");
	rule(rename("a/b", "a"), "rename over its parent");
	rule(rename("a/b", "a/b"), "rename to itself");
	rule(rename("a/.", "x"), "rename of .");
	rule(rename("a/b/..", "x"), "rename of ..");
	rule(mkdir("to", 0755), "mkdir");
	rule_dotdot("a/b");
	rule(rename("a/b", "to/b"), "rename to another folder");
	rule_dotdot("to/b");
	rule_stat("a");
	rule_stat("to");
	rule(mkdir("a/x", 0755), "mkdir");
	rule_dotdot("a/x");
	rule(renameat2(AT_FDCWD, "a/x", AT_FDCWD, "to/b", RENAME_EXCHANGE), "exchange");
	rule_dotdot("a/x");
	rule_dotdot("to/b");
	rule_make("one", 0644);
	rule(link("one", "two"), "link");
	rule(rename("one", "two"), "rename to another name of itself");
	rule_stat("one");
	rule(renameat2(AT_FDCWD, "one", AT_FDCWD, "two", RENAME_NOREPLACE), "and noreplace");
	rule(renameat2(AT_FDCWD, "one", AT_FDCWD, "two", RENAME_EXCHANGE), "and exchange");
}

static void modes_umask(void)
{
	static const mode_t masks[] = { 0, 022, 027, 077, 0777 };

	for (size_t i = 0; i < 5; i++) {
		char name[32];

		umask(masks[i]);
		sprintf(name, "file%zu", i);
		close(open(name, O_WRONLY | O_CREAT, 07777));
		rule_stat(name);
		sprintf(name, "dir%zu", i);
		rule(mkdir(name, 07777), "mkdir");
		rule_stat(name);
		sprintf(name, "fifo%zu", i);
		rule(mkfifo(name, 0666), "mkfifo");
		rule_stat(name);
	}
	umask(022);
}

/* Who may do what in a folder with or without the sticky bit. */
static void modes_sticky(mode_t mode)
{
	char dir[32];

	sprintf(dir, "sticky%o", mode);
	rule(mkdir(dir, 0777), "mkdir");
	rule(chmod(dir, mode), "chmod %o", mode);
	rule(chdir(dir), "chdir");
	rule_become(USER_A, 0);
	rule_make("a1", 0644);
	rule_make("a2", 0666);
	rule(mkdir("ad", 0777), "mkdir");
	rule_become(USER_B, 0);
	rule_make("b1", 0644);
	rule(unlink("a1"), "unlink of another's");
	rule(rename("a2", "a3"), "rename of another's");
	rule(rename("b1", "a2"), "rename over another's");
	rule(rmdir("ad"), "rmdir of another's");
	rule(link("a1", "l1"), "link of another's");
	rule(chmod("a2", 0600), "chmod of another's");
	rule(truncate("a2", 10), "truncate of another's");
	rule_write("a2", O_WRONLY | O_CREAT, 0, "x");
	rule_write("a1", O_WRONLY, 0, "x");
	rule_become(0, 0);
	rule(chdir(".."), "chdir");
}

static void modes_setgid(void)
{
	rule(mkdir("setgid", 0777), "mkdir");
	rule(chown("setgid", (uid_t)-1, rules_root ? USER_B : (gid_t)-1), "chown");
	rule(chmod("setgid", 02777), "chmod");
	rule_become(USER_A, 0);
	rule(chdir("setgid"), "chdir");
	close(open("file", O_WRONLY | O_CREAT, 02775));
	rule_stat("file");
	close(open("file2", O_WRONLY | O_CREAT, 02765));
	rule_stat("file2");
	rule(mkdir("dir", 0755), "mkdir");
	rule_stat("dir");
	rule(mkfifo("fifo", 02777), "mkfifo");
	rule_stat("fifo");
	rule(mknod("sock", S_IFSOCK | 02777, 0), "mknod");
	rule_stat("sock");
	rule(symlink("x", "link"), "symlink");
	rule_stat("link");
	rule(chmod("file", 02755), "chmod of a stranger's group");
	rule_stat("file");
	rule_become(USER_A, USER_B);
	rule(chmod("file", 02755), "chmod of one's own group");
	rule_stat("file");
	rule(chown("file", (uid_t)-1, rules_root ? USER_A : (gid_t)-1), "chown to own group");
	rule_stat("file");
	rule(chown("file", rules_root ? USER_B : 0, (gid_t)-1), "chown to another");
	rule_become(0, 0);
	rule(chdir(".."), "chdir");
}

/* What takes set-user-ID and set-group-ID away. */
static void modes_kill(mode_t mode, uid_t who)
{
	static const char *const acts[] = { "write",     "append", "truncate", "ftruncate",
					    "fallocate", "chown",  "chgrp",    "nothing",
					    "empty",     "trunc",  "utimes" };

	for (size_t i = 0; i < sizeof(acts) / sizeof(acts[0]); i++) {
		char name[64];
		long done = 0;
		int fd;

		sprintf(name, "kill%o.%u.%s", mode, who, acts[i]);
		rule_become(who == 0 ? 0 : USER_A, 0);
		rule_make(name, mode);
		if (who != 0)
			chmod(name, mode | 02);
		fd = open(name, O_RDWR);
		switch (i) {
		case 0:
			done = write(fd, "x", 1);
			break;
		case 1:
			close(fd);
			fd = open(name, O_WRONLY | O_APPEND);
			done = write(fd, "x", 1);
			break;
		case 2:
			done = truncate(name, 10);
			break;
		case 3:
			done = ftruncate(fd, 0);
			break;
		case 4:
			done = fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 4096);
			break;
		case 5:
			done = chown(name, geteuid(), (gid_t)-1);
			break;
		case 6:
			done = chown(name, (uid_t)-1, getegid());
			break;
		case 7:
			done = chown(name, (uid_t)-1, (gid_t)-1);
			break;
		case 8:
			done = write(fd, "x", 0);
			break;
		case 9:
			close(fd);
			fd = open(name, O_WRONLY | O_TRUNC);
			break;
		case 10:
			done = utimensat(AT_FDCWD, name, NULL, 0);
			break;
		}
		rule(done, "%s", name);
		rule_stat(name);
		close(fd);
		rule_stat(name);
		rule_become(0, 0);
	}
}

void rules_modes(void)
{
	static const mode_t bits[] = { 04755, 04644, 02755, 02745, 06755, 06711 };

	modes_umask();
	modes_sticky(0777);
	modes_sticky(01777);
	modes_setgid();
	for (size_t i = 0; i < sizeof(bits) / sizeof(bits[0]); i++) {
		modes_kill(bits[i], 0);
		modes_kill(bits[i], USER_A);
	}
	rule_make("perm", 0640);
	rule_become(USER_A, 0);
	rule(open("perm", O_RDONLY), "open without permission");
	rule(chmod("perm", 0777), "chmod without permission");
	rule(chown("perm", USER_A, USER_A), "chown without permission");
	rule(utimensat(AT_FDCWD, "perm", NULL, 0), "touch without permission");
	rule(access("perm", R_OK), "access");
	rule_become(0, 0);
	rule(chmod("perm", 0170777), "chmod with bits of types");
	rule_stat("perm");
}

static struct stat times_of(const char *path)
{
	struct stat st = { 0 };

	lstat(path, &st);
	return st;
}

static void rule_times(const char *path)
{
	struct stat st = times_of(path);

	printf("times of %s: %lld.%09ld, %lld.%09ld\n", path, (long long)st.st_atim.tv_sec,
	       st.st_atim.tv_nsec, (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
}

static bool later(struct timespec a, struct timespec b)
{
	return a.tv_sec != b.tv_sec ? a.tv_sec > b.tv_sec : a.tv_nsec > b.tv_nsec;
}

static void times_set(const char *path)
{
	static const struct timespec tries[][2] = {
		{ { 1, 2 }, { 3, 4 } },
		{ { 0, 999999999 }, { 1700000000, 123456789 } },
		{ { -1, 5 }, { -1000000000, 999999999 } },
		{ { 4294967296, 1 }, { 10000000000, 7 } },
		{ { 7, UTIME_OMIT }, { 8, 9 } },
		{ { 10, 11 }, { 12, UTIME_OMIT } },
		{ { 1, UTIME_OMIT }, { 1, UTIME_OMIT } },
		{ { 1, 1000000000 }, { 1, 1 } },
		{ { 1, -1 }, { 1, 1 } },
	};

	for (size_t i = 0; i < sizeof(tries) / sizeof(tries[0]); i++) {
		rule(utimensat(AT_FDCWD, path, tries[i], AT_SYMLINK_NOFOLLOW), "utimensat %zu", i);
		rule_times(path);
	}
}

/* What an act does to the times of a file and its folder: a letter for each that moved. */
static void times_act(const char *what, int (*act)(void))
{
	static const struct timespec old[2] = { { 1000, 0 }, { 1000, 0 } };
	struct stat before[2], after[2];
	static const char *const paths[] = { "target", "folder" };
	long done;

	for (int i = 0; i < 2; i++) {
		utimensat(AT_FDCWD, paths[i], old, 0);
		before[i] = times_of(paths[i]);
	}
	/* ctime cannot be set back: let the clock step. */
	do
		clock_gettime(CLOCK_REALTIME_COARSE, &after[0].st_ctim);
	while (!later(after[0].st_ctim, before[0].st_ctim) ||
	       !later(after[0].st_ctim, before[1].st_ctim));
	done = act();
	for (int i = 0; i < 2; i++)
		after[i] = times_of(paths[i]);
	rule(done, "%s moves%s%s%s of the file and%s%s%s of the folder", what,
	     later(after[0].st_atim, before[0].st_atim) ? " atime" : "",
	     later(after[0].st_mtim, before[0].st_mtim) ? " mtime" : "",
	     later(after[0].st_ctim, before[0].st_ctim) ? " ctime" : "",
	     later(after[1].st_atim, before[1].st_atim) ? " atime" : "",
	     later(after[1].st_mtim, before[1].st_mtim) ? " mtime" : "",
	     later(after[1].st_ctim, before[1].st_ctim) ? " ctime" : "");
}

static int with_fd(int flags, int (*act)(int fd))
{
	int fd = open("target", flags, 0644);
	int done = fd < 0 ? -1 : act(fd);

	close(fd);
	return done;
}

static int fd_read(int fd)
{
	char c;

	/* Reading pages that the kernel has is no request, and moves no atime. */
	fsync(fd);
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	return (int)read(fd, &c, 1);
}

static int fd_write(int fd)
{
	return (int)write(fd, "y", 1);
}

static int fd_write_nothing(int fd)
{
	return (int)write(fd, "y", 0);
}

static int fd_same_size(int fd)
{
	struct stat st;

	fstat(fd, &st);
	return ftruncate(fd, st.st_size);
}

static int fd_allocate(int fd)
{
	return fallocate(fd, 0, 0, 8192);
}

static int act_read(void)
{
	return with_fd(O_RDONLY, fd_read);
}

static int act_write(void)
{
	return with_fd(O_WRONLY, fd_write);
}

static int act_write_nothing(void)
{
	return with_fd(O_WRONLY, fd_write_nothing);
}

static int act_trunc_open(void)
{
	return with_fd(O_WRONLY | O_TRUNC, fd_write_nothing);
}

static int act_same_size(void)
{
	return with_fd(O_WRONLY, fd_same_size);
}

static int act_truncate(void)
{
	return truncate("target", 3);
}

static int act_allocate(void)
{
	return with_fd(O_WRONLY, fd_allocate);
}

static int act_chmod(void)
{
	return chmod("target", 0640);
}

static int act_chown(void)
{
	return chown("target", (uid_t)-1, getegid());
}

static int act_link(void)
{
	return link("target", "folder/link");
}

static int act_unlink(void)
{
	return unlink("folder/link");
}

static int act_rename_in(void)
{
	return rename("target", "folder/target") < 0 ? -1 : rename("folder/target", "target");
}

static int act_mkdir(void)
{
	return mkdir("folder/sub", 0755);
}

static int act_rmdir(void)
{
	return rmdir("folder/sub");
}

static int act_list(void)
{
	DIR *stream = opendir("folder");
	int nr = 0;

	while (stream && readdir(stream))
		nr++;
	closedir(stream);
	return nr;
}

static int act_lookup(void)
{
	return access("folder/nothing", F_OK);
}

void rules_times(void)
{
	rule_make("target", 0644);
	rule(mkdir("folder", 0755), "mkdir");
	rule(symlink("target", "link"), "symlink");
	times_set("target");
	times_set("folder");
	times_set("link");
	times_act("write", act_write);
	times_act("read", act_read);
	times_act("empty write", act_write_nothing);
	times_act("truncate to the same size", act_same_size);
	times_act("truncate", act_truncate);
	times_act("open with O_TRUNC", act_trunc_open);
	times_act("open with O_TRUNC again", act_trunc_open);
	times_act("allocate", act_allocate);
	times_act("chmod", act_chmod);
	times_act("chown", act_chown);
	times_act("link", act_link);
	times_act("unlink", act_unlink);
	times_act("rename", act_rename_in);
	times_act("mkdir", act_mkdir);
	times_act("rmdir", act_rmdir);
	times_act("list", act_list);
	times_act("lookup", act_lookup);
}

static void special_fifo(void)
{
	char buf[16] = "";
	int reader, writer;

	rule(mkfifo("fifo", 0600), "mkfifo");
	rule(open("fifo", O_WRONLY | O_NONBLOCK), "open without a reader");
	reader = open("fifo", O_RDONLY | O_NONBLOCK);
	writer = open("fifo", O_WRONLY);
	rule(write(writer, "through", 7), "write");
	rule(read(reader, buf, sizeof(buf)), "read %s", buf);
	rule(lseek(reader, 0, SEEK_SET), "seek");
	rule(ftruncate(writer, 0), "truncate");
	close(reader);
	close(writer);
	rule(truncate("fifo", 0), "truncate by name");
	rule_stat("fifo");
}

static void special_socket(void)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX, .sun_path = "socket" };
	int server = socket(AF_UNIX, SOCK_STREAM, 0), client = socket(AF_UNIX, SOCK_STREAM, 0);

	rule(connect(client, (struct sockaddr *)&name, sizeof(name)), "connect to nothing");
	rule(bind(server, (struct sockaddr *)&name, sizeof(name)), "bind");
	rule_stat("socket");
	rule(connect(client, (struct sockaddr *)&name, sizeof(name)), "connect to the deaf");
	rule(listen(server, 1), "listen");
	rule(connect(client, (struct sockaddr *)&name, sizeof(name)), "connect");
	rule(open("socket", O_RDONLY), "open a socket");
	rule(rename("socket", "moved"), "rename");
	rule(unlink("moved"), "unlink");
	close(server);
	close(client);
}

void rules_special(void)
{
	static const mode_t types[] = { S_IFREG, S_IFIFO, S_IFSOCK, S_IFCHR, S_IFBLK, S_IFDIR, 0 };

	special_fifo();
	special_socket();
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		char name[32];

		sprintf(name, "node%zu", i);
		rule(mknod(name, types[i] | 0640, makedev(1, 3)), "mknod %o", types[i]);
		rule_stat(name);
		rule(mknod(name, types[i] | 0640, makedev(1, 3)), "mknod again");
	}
	rule(mknod("whiteout", S_IFCHR, 0), "mknod of a whiteout");
	rule_stat("whiteout");
	rule_write("node3", O_WRONLY, 0, "gone");
	rule(link("fifo", "fifo2"), "link of a fifo");
	rule_stat("fifo2");
}
