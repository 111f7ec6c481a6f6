// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * rules_xattr.c - extended attributes, ACLs, chattr's flags, file capabilities. See rules.h.
 */
#include "tests/mount/rules.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

static char value[70000], got[70000];

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The names in order, since filesystems list them in orders of their own. */
static void rule_list(const char *path)
{
	char *names[64];
	size_t nr = 0;
	ssize_t len = llistxattr(path, got, sizeof(got));

	rule(len, "list of %s", path);
	for (ssize_t at = 0; at < len && nr < 64; at += (ssize_t)strlen(got + at) + 1)
		names[nr++] = got + at;
	qsort(names, nr, sizeof(names[0]), by_text);
	for (size_t i = 0; i < nr; i++)
		printf("  %s\n", names[i]);
	rule(llistxattr(path, NULL, 0), "length of the list");
	if (len > 1)
		rule(llistxattr(path, got, (size_t)len - 1), "list with too little room");
}

static void rule_get(const char *path, const char *name)
{
	ssize_t len = lgetxattr(path, name, got, sizeof(got));

	rule(len, "get %s of %s", name, path);
	for (ssize_t i = 0; i < len && i < 64; i++)
		printf("%02x%s", (unsigned char)got[i], i == len - 1 || i == 63 ? "\n" : " ");
}

static void xattr_names(const char *path)
{
	static const char *const names[] = {
		"user.a",
		"user.",
		"user",
		"trusted.a",
		"trusted.",
		"security.a",
		"security.",
		"system.a",
		"system.",
		"other.a",
		".",
		"",
		"user.a.b.c",
		"USER.a",
		"user.\xff\x01",
		"security.capability",
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		rule(lgetxattr(path, names[i], got, sizeof(got)), "get %s of %s", names[i], path);
		rule(lsetxattr(path, names[i], "value", 5, 0), "set");
		rule(lgetxattr(path, names[i], got, sizeof(got)), "get");
		rule(lgetxattr(path, names[i], NULL, 0), "length");
		rule(lgetxattr(path, names[i], got, 4), "get with too little room");
		rule(lsetxattr(path, names[i], "other", 5, XATTR_CREATE), "create");
		rule(lsetxattr(path, names[i], "longer", 6, XATTR_REPLACE), "replace");
		rule_get(path, names[i]);
		rule(lsetxattr(path, names[i], NULL, 0, 0), "set to nothing");
		rule(lgetxattr(path, names[i], got, sizeof(got)), "get");
		rule_list(path);
		rule(lremovexattr(path, names[i]), "remove");
		rule(lremovexattr(path, names[i]), "remove again");
		rule(lsetxattr(path, names[i], "x", 1, XATTR_REPLACE), "replace nothing");
		rule(lsetxattr(path, names[i], "x", 1, 8), "set with bad flags");
	}
	rule_list(path);
}

static void xattr_sizes(void)
{
	static const size_t sizes[] = { 0, 1, 4095, 4096, 4097, 32768, 65535, 65536, 65537 };
	char name[300] = "user.";

	memset(value, 'v', sizeof(value));
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		rule(setxattr("file", "user.size", value, sizes[i], 0), "set %zu", sizes[i]);
		rule(getxattr("file", "user.size", got, sizeof(got)), "get");
		rule(getxattr("file", "user.size", NULL, 0), "length");
		rule(getxattr("file", "user.size", got, 1), "get into 1");
	}
	rule(memcmp(value, got, 65536) == 0, "the same");
	rule(removexattr("file", "user.size"), "remove");
	for (size_t len = 253; len <= 258; len++) {
		memset(name + 5, 'n', len - 5);
		name[len] = '\0';
		rule(setxattr("file", name, "v", 1, 0), "set a name of %zu", len);
		rule(getxattr("file", name, got, sizeof(got)), "get");
		rule(removexattr("file", name), "remove");
	}
	for (int i = 0; i < 1000; i++) {
		sprintf(name, "user.many.%d", i);
		if (setxattr("file", name, value, (size_t)i, 0) < 0)
			rule(-1, "set %s", name);
	}
	rule(listxattr("file", got, sizeof(got)), "list of many");
	for (int i = 0; i < 1000; i++) {
		sprintf(name, "user.many.%d", i);
		if (getxattr("file", name, got, sizeof(got)) != i)
			rule(-1, "get %s", name);
		if (removexattr("file", name) < 0)
			rule(-1, "remove %s", name);
	}
	rule_list("file");
}

/* By a user who owns nothing here. */
static void xattr_permissions(void)
{
	static const char *const names[] = { "user.p", "trusted.p", "security.p" };

	rule_make("private", 0600);
	rule_make("readable", 0644);
	rule_make("writable", 0666);
	rule(mkdir("sticky", 01777), "mkdir");
	rule(chmod("sticky", 01777), "chmod");
	for (size_t i = 0; i < 3; i++) {
		rule(setxattr("private", names[i], "1", 1, 0), "set");
		rule(setxattr("readable", names[i], "1", 1, 0), "set");
		rule(setxattr("sticky", names[i], "1", 1, 0), "set");
	}
	rule_become(USER_A, 0);
	for (size_t i = 0; i < 3; i++) {
		static const char *const paths[] = { "private", "readable", "writable", "sticky" };

		for (size_t j = 0; j < 4; j++) {
			rule(getxattr(paths[j], names[i], got, sizeof(got)), "get %s of %s",
			     names[i], paths[j]);
			rule(setxattr(paths[j], names[i], "2", 1, 0), "set");
			rule(removexattr(paths[j], names[i]), "remove");
		}
	}
	rule_list("private");
	rule_list("readable");
	rule_become(0, 0);
	rule_list("readable");
	rule_list("writable");
}

void rules_xattr(void)
{
	static const char *const paths[] = { "file", "dir", "link", "fifo", "null" };

	rule_make("file", 0644);
	rule(mkdir("dir", 0755), "mkdir");
	rule(symlink("file", "link"), "symlink");
	rule(mkfifo("fifo", 0644), "mkfifo");
	rule(mknod("null", S_IFCHR | 0666, 0x103), "mknod");
	for (size_t i = 0; i < 5; i++)
		xattr_names(paths[i]);
	xattr_sizes();
	xattr_permissions();
}

/* ACLs: a text as in tests of the fs layer: letters of tags (u U g G m o) with an octal digit. */
static size_t acl_of(const char *text, char *buf)
{
	static const char letters[] = "uUgGmo";
	static const uint16_t tags[] = { ACL_USER_OBJ, ACL_USER, ACL_GROUP_OBJ,
					 ACL_GROUP,    ACL_MASK, ACL_OTHER };
	struct posix_acl_xattr_header header = { htole32(POSIX_ACL_XATTR_VERSION) };
	size_t len = sizeof(header);

	memcpy(buf, &header, sizeof(header));
	for (; *text; text += 2) {
		struct posix_acl_xattr_entry e = { .e_tag = htole16(0x40) };

		if (strchr(letters, *text))
			e.e_tag = htole16(tags[strchr(letters, *text) - letters]);
		e.e_perm = htole16((uint16_t)(text[1] - '0'));
		e.e_id = htole32(*text == 'U' ? USER_A : *text == 'G' ? USER_B : ACL_UNDEFINED_ID);
		memcpy(buf + len, &e, sizeof(e));
		len += sizeof(e);
	}
	return len;
}

#define ACCESS  "system.posix_acl_access"
#define DEFAULT "system.posix_acl_default"

static void rule_acl(const char *path, const char *name, const char *text)
{
	size_t len = acl_of(text, value);

	rule(setxattr(path, name, value, len, 0), "set %s of %s to %s", name + 17, path, text);
	rule_stat(path);
	rule_get(path, ACCESS);
	rule_get(path, DEFAULT);
}

static void acl_set(void)
{
	static const char *const acls[] = {
		"u7g5o5",       "u6U7g4m7o0",   "u6g4m2o1",   "u7g7o7",       "u0g0o0", "u7U7g7o7",
		"u7g7",         "g7o7",         "u7g7m7m7o7", "u7x7g7o7",     "u9g7o7", "o7g7u7",
		"u7U1U2g7m7o7", "u7U1g7G2m4o7", "u7g7m0o7",   "u7g7G1G1m7o7",
	};

	for (size_t i = 0; i < sizeof(acls) / sizeof(acls[0]); i++) {
		rule_acl("file", ACCESS, acls[i]);
		rule_acl("dir", ACCESS, acls[i]);
		rule_acl("dir", DEFAULT, acls[i]);
		rule_acl("file", DEFAULT, acls[i]);
		rule_list("file");
		rule_list("dir");
		for (mode_t mode = 0; mode <= 0777; mode += 0111) {
			rule(chmod("file", mode), "chmod %o", mode);
			rule_get("file", ACCESS);
		}
	}
	rule(setxattr("file", ACCESS, value, 3, 0), "set 3 bytes");
	rule(setxattr("file", ACCESS, NULL, 0, 0), "set nothing");
	rule_stat("file");
	rule(lsetxattr("link", ACCESS, value, acl_of("u7g5o5", value), 0), "set of a symlink");
	rule_get("link", ACCESS);
	rule_acl("fifo", ACCESS, "u6U7g4m7o0");
	rule(removexattr("file", ACCESS), "remove");
	rule(removexattr("file", ACCESS), "remove again");
	rule(removexattr("file", DEFAULT), "remove default");
	rule(removexattr("dir", DEFAULT), "remove default");
	rule(removexattr("dir", ACCESS), "remove");
	rule_stat("dir");
}

/* One of each kind in a folder, by its default ACL and the umask. */
static void acl_inherit(const char *text)
{
	static const mode_t masks[] = { 0, 022, 077 };
	static const mode_t modes[] = { 0777, 0666, 0640, 0 };

	rule(mkdir("heir", 0755), "mkdir");
	if (*text)
		rule_acl("heir", DEFAULT, text);
	for (size_t i = 0; i < 3 * 4; i++) {
		mode_t mode = modes[i % 4];

		umask(masks[i / 4]);
		printf("umask %o, mode %o\n", masks[i / 4], mode);
		close(open("heir/file", O_WRONLY | O_CREAT, mode));
		rule(mkdir("heir/dir", mode), "mkdir");
		rule(mkfifo("heir/fifo", mode), "mkfifo");
		rule(mknod("heir/sock", S_IFSOCK | mode, 0), "mknod");
		rule(symlink("x", "heir/link"), "symlink");
		rule_stat("heir/file");
		rule_get("heir/file", ACCESS);
		rule_stat("heir/dir");
		rule_get("heir/dir", ACCESS);
		rule_get("heir/dir", DEFAULT);
		rule_stat("heir/fifo");
		rule_get("heir/fifo", ACCESS);
		rule_stat("heir/sock");
		rule_get("heir/sock", ACCESS);
		rule_stat("heir/link");
		unlink("heir/file");
		rmdir("heir/dir");
		unlink("heir/fifo");
		unlink("heir/sock");
		unlink("heir/link");
	}
	umask(022);
	rule(rmdir("heir"), "rmdir");
}

static void rule_access(const char *path, uid_t uid, gid_t more)
{
	rule_become(uid, more);
	for (int mode = 1; mode <= 7; mode++) {
		rule(faccessat(AT_FDCWD, path, mode, AT_EACCESS), "access %d of %s by %u, %u", mode,
		     path, uid, more);
	}
	rule(open(path, O_RDONLY), "open");
	rule_become(0, 0);
}

static void acl_enforce(void)
{
	static const char *const acls[] = { "u7U5g0m7o0", "u7U7g0m4o7", "u0g7G2m7o7",
					    "u7g5G6m5o0" };

	for (size_t i = 0; i < 4; i++) {
		char name[32];

		sprintf(name, "enforce%zu", i);
		rule_make(name, 0600);
		rule_acl(name, ACCESS, acls[i]);
		rule_access(name, USER_A, 0);
		rule_access(name, USER_B, 0);
		rule_access(name, 4711, USER_B);
		rule_access(name, 4711, 0);
		rule(chmod(name, 0070), "chmod");
		rule_access(name, USER_A, 0);
		rule(removexattr(name, ACCESS), "remove");
		rule_access(name, USER_A, 0);
	}
}

static void acl_sgid(uid_t uid, gid_t more)
{
	char name[32];

	sprintf(name, "sgid%u.%u", uid, more);
	rule_make(name, 0755);
	rule(chown(name, rules_root ? uid : (uid_t)-1, rules_root ? USER_B : (gid_t)-1), "chown");
	rule(chmod(name, 02755), "chmod");
	rule_become(uid, more);
	rule_acl(name, ACCESS, "u7U5g5m5o5");
	rule_become(0, 0);
	rule(chmod(name, 02755), "chmod");
	rule_become(uid, more);
	rule_acl(name, ACCESS, "u7g5o5");
	rule(removexattr(name, ACCESS), "remove");
	rule_become(0, 0);
	rule_stat(name);
}

void rules_acl(void)
{
	rule_make("file", 0644);
	rule(mkdir("dir", 0755), "mkdir");
	rule(symlink("file", "link"), "symlink");
	rule(mkfifo("fifo", 0644), "mkfifo");
	acl_set();
	acl_inherit("");
	acl_inherit("u7g5o0");
	acl_inherit("u7U6g5m7o0");
	acl_inherit("u5U6g5G1m3o4");
	acl_enforce();
	acl_sgid(0, 0);
	acl_sgid(USER_A, 0);
	acl_sgid(USER_A, USER_B);
}

static int flags_set(const char *path, unsigned long flags)
{
	int fd = open(path, O_RDONLY | O_NONBLOCK), arg = (int)flags;
	int done = fd < 0 ? -1 : ioctl(fd, FS_IOC_SETFLAGS, &arg);

	close(fd);
	return done;
}

static long flags_get(const char *path)
{
	int fd = open(path, O_RDONLY | O_NONBLOCK), arg = 0;
	int done = fd < 0 ? -1 : ioctl(fd, FS_IOC_GETFLAGS, &arg);

	close(fd);
	return done < 0 ? -1 : arg;
}

static void chattr_try(const char *name, unsigned long flags)
{
	static const struct timespec then[2] = { { 1, 0 }, { 1, 0 } };
	static const struct timespec mtime[2] = { { 1, UTIME_OMIT }, { 1, 0 } };
	char path[300];
	int fd;

	printf("flags %lx\n", flags);
	rule(mkdir(name, 0755), "mkdir");
	rule(chdir(name), "chdir");
	rule_make("file", 0644);
	rule_make("other", 0644);
	rule_write("file", O_WRONLY, 0, "content");
	rule(setxattr("file", "user.a", "1", 1, 0), "setxattr");
	rule(mkdir("dir", 0755), "mkdir");
	rule_make("dir/in", 0644);
	rule(mkdir("dir/sub", 0755), "mkdir");
	rule(flags_set("file", flags), "set flags of a file");
	rule(flags_get("file"), "get them");
	rule(flags_set("dir", flags), "set flags of a folder");
	rule(flags_get("dir"), "get them");
	rule(open("file", O_RDONLY), "open");
	rule_write("file", O_WRONLY | O_APPEND, 0, "more");
	rule_write("file", O_WRONLY, 0, "over");
	rule_write("file", O_WRONLY | O_TRUNC, 0, "new");
	rule_write("file", O_RDWR | O_CREAT, 2, "rw");
	rule(truncate("file", 3), "truncate");
	rule(truncate("file", 300), "truncate");
	fd = open("file", O_WRONLY | O_APPEND);
	rule(fd < 0 ? -1 : fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 9000), "allocate");
	rule(fd < 0 ? -1 : fallocate(fd, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, 0, 4096),
	     "punch");
	close(fd);
	rule(chmod("file", 0600), "chmod");
	rule(chown("file", getuid(), getgid()), "chown");
	rule(utimensat(AT_FDCWD, "file", NULL, 0), "touch");
	rule(utimensat(AT_FDCWD, "file", then, 0), "set times");
	rule(utimensat(AT_FDCWD, "file", mtime, 0), "set mtime");
	rule(setxattr("file", "user.b", "1", 1, 0), "setxattr");
	rule(removexattr("file", "user.a"), "removexattr");
	rule(setxattr("file", ACCESS, value, acl_of("u7U5g0m7o0", value), 0), "set ACL");
	rule(link("file", "link"), "link");
	rule(rename("file", "file2"), "rename");
	rule(rename("other", "file"), "rename over it");
	rule(renameat2(AT_FDCWD, "other", AT_FDCWD, "file", RENAME_EXCHANGE), "exchange");
	rule(unlink("file"), "unlink");
	rule_stat("file");
	close(open("dir/new", O_WRONLY | O_CREAT, 0644));
	rule_stat("dir/new");
	rule(flags_get("dir/new"), "flags of a new file");
	rule(mkdir("dir/newdir", 0755), "mkdir");
	rule(flags_get("dir/newdir"), "flags of a new folder");
	rule(symlink("x", "dir/link"), "symlink");
	rule(mkfifo("dir/fifo", 0644), "mkfifo");
	rule(link("other", "dir/hard"), "link");
	rule(rename("dir/in", "dir/in2"), "rename inside");
	rule(rename("dir/in", "out"), "rename out");
	rule(rename("other", "dir/other"), "rename into");
	rule(rename("other", "dir/in"), "rename over");
	rule(unlink("dir/in"), "unlink");
	rule(rmdir("dir/sub"), "rmdir inside");
	rule_write("dir/in", O_WRONLY, 0, "inside");
	rule(chmod("dir", 0700), "chmod of the folder");
	rule(setxattr("dir", "user.b", "1", 1, 0), "setxattr of the folder");
	rule(setxattr("dir", DEFAULT, value, acl_of("u7g5o0", value), 0), "set ACL");
	rule(utimensat(AT_FDCWD, "dir", NULL, 0), "touch the folder");
	rule(rename("dir", "dir2"), "rename the folder");
	rule(rmdir("dir"), "rmdir");
	rule_become(USER_A, 0);
	rule(flags_set("file", flags ^ FS_NODUMP_FL), "set flags as another");
	rule_become(0, 0);
	for (int i = 0; i < 2; i++) {
		static const char *const all[] = { "file", "file2", "dir", "dir2" };

		for (size_t j = 0; j < 4; j++) {
			if (flags_get(all[j]) < 0)
				continue;
			rule(flags_set(all[j], 0), "clear flags of %s", all[j]);
		}
	}
	snprintf(path, sizeof(path), "file");
	rule_write(path, O_WRONLY | O_CREAT, 0, "free again");
	rule(chdir(".."), "chdir");
}

static void chattr_extended(void)
{
	struct fsxattr fsx = { 0 };
	int fd;

	rule_make("extended", 0644);
	fd = open("extended", O_RDONLY);
	rule(ioctl(fd, FS_IOC_FSGETXATTR, &fsx), "get");
	rule(fsx.fsx_xflags, "flags");
	fsx.fsx_xflags = FS_XFLAG_NODUMP | FS_XFLAG_NOATIME;
	rule(ioctl(fd, FS_IOC_FSSETXATTR, &fsx), "set");
	rule(ioctl(fd, FS_IOC_FSGETXATTR, &fsx), "get");
	rule(fsx.fsx_xflags, "flags");
	for (uint32_t bit = 1; bit != 0; bit <<= 1) {
		fsx.fsx_xflags = bit;
		rule(ioctl(fd, FS_IOC_FSSETXATTR, &fsx), "set %x", bit);
		fsx.fsx_xflags = 0;
		rule(ioctl(fd, FS_IOC_FSSETXATTR, &fsx), "clear");
	}
	fsx.fsx_extsize = 4096;
	rule(ioctl(fd, FS_IOC_FSSETXATTR, &fsx), "set an extent size");
	fsx.fsx_extsize = 0;
	fsx.fsx_projid = 5;
	rule(ioctl(fd, FS_IOC_FSSETXATTR, &fsx), "set a project");
	close(fd);
}

void rules_chattr(void)
{
	static const unsigned long flags[] = { FS_IMMUTABLE_FL,
					       FS_APPEND_FL,
					       FS_NODUMP_FL,
					       FS_NOATIME_FL,
					       FS_IMMUTABLE_FL | FS_APPEND_FL,
					       FS_NODUMP_FL | FS_NOATIME_FL,
					       FS_SYNC_FL,
					       FS_NOCOW_FL,
					       0 };
	char name[32];

	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		sprintf(name, "flags%zu", i);
		chattr_try(name, flags[i]);
	}
	for (unsigned long bit = 1; bit <= 1ul << 31; bit <<= 1) {
		/* These a tmpfs has no meaning for; tests/mount/attr has ours. */
		if (bit & (FS_COMPR_FL | FS_NOCOMP_FL))
			continue;
		rule_make("bit", 0644);
		rule(flags_set("bit", bit), "set %lx", bit);
		rule(flags_get("bit"), "get");
		rule(flags_set("bit", 0), "clear");
		rule(unlink("bit"), "unlink");
	}
	rule(mkfifo("fifo", 0644), "mkfifo");
	rule(flags_set("fifo", FS_NODUMP_FL), "set flags of a fifo");
	rule(flags_get("fifo"), "get flags of a fifo");
	chattr_extended();
}

static void capability_act(const char *what, uid_t uid, int act)
{
	struct vfs_cap_data cap = {
		.magic_etc = htole32(VFS_CAP_REVISION_2),
		.data = { { htole32(1u << CAP_NET_RAW), 0 } },
	};
	char name[64];
	int fd;
	long done = 0;

	sprintf(name, "cap.%u.%s", uid, what);
	rule_make(name, 0777);
	rule(setxattr(name, "security.capability", &cap, sizeof(cap), 0), "set a capability");
	rule_get(name, "security.capability");
	rule_become(uid, 0);
	fd = open(name, O_RDWR);
	switch (act) {
	case 0:
		done = write(fd, "x", 1);
		break;
	case 1:
		done = ftruncate(fd, 10);
		break;
	case 2:
		done = chown(name, uid, (gid_t)-1);
		break;
	case 3:
		done = chmod(name, 0700);
		break;
	case 4:
		done = truncate(name, 5);
		break;
	}
	close(fd);
	rule(done, "%s", name);
	rule_become(0, 0);
	rule_get(name, "security.capability");
	rule_list(name);
}

void rules_capability(void)
{
	static const char *const acts[] = { "write", "ftruncate", "chown", "chmod", "truncate" };

	for (int i = 0; i < 5; i++) {
		capability_act(acts[i], 0, i);
		capability_act(acts[i], USER_A, i);
	}
}
