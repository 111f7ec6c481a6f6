// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * slow_disk.c - a folder on a disk that does what it is told: slow_disk FOLDER MODES
 *
 * A FUSE filesystem whose files stand in memory and have no names for long. The file MODES says how calls for what files
 * hold end, and is looked at before each: "ok"; "ms N" after N milliseconds; "hang" not before it says something else;
 * "eio" with that error; with "read-" or "write-" in front this is so for these alone. Each line on the standard output
 * is a call that begins to hang.
 */
#define FUSE_USE_VERSION 312
#include <errno.h>
#include <fuse_lowlevel.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define FILE_INO 2

static const char *modes;
static int data_fd;
static char file_name[256]; /* "": it has none */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void sleep_ms(long ms)
{
	const struct timespec for_ms = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };

	(void)nanosleep(&for_ms, NULL);
}

static void mode_read(char text[64])
{
	FILE *file = fopen(modes, "re");
	size_t len = file ? fread(text, 1, 63, file) : 0;

	text[len] = '\0';
	text[strcspn(text, "\n")] = '\0';
	if (file)
		fclose(file);
}

/* Return: an errno for the call of @kind, maybe after a while. */
static int told(const char *kind)
{
	bool said = false;

	for (;;) {
		char text[64], *mode = text;

		mode_read(text);
		if (strncmp(text, kind, strlen(kind)) == 0)
			mode += strlen(kind);
		else if (strncmp(text, "read-", 5) == 0 || strncmp(text, "write-", 6) == 0)
			return 0;
		if (strcmp(mode, "eio") == 0)
			return EIO;
		if (strncmp(mode, "ms ", 3) == 0)
			sleep_ms(atol(mode + 3));
		if (strcmp(mode, "hang") != 0)
			return 0;
		if (!said) {
			printf("%shangs\n", kind);
			fflush(stdout);
		}
		said = true;
		sleep_ms(20);
	}
}

static void fill_attr(fuse_ino_t ino, struct stat *out)
{
	memset(out, 0, sizeof(*out));
	if (ino == FUSE_ROOT_ID) {
		out->st_mode = S_IFDIR | 0700;
		out->st_nlink = 2;
	} else {
		(void)fstat(data_fd, out);
		out->st_mode = S_IFREG | 0600;
		out->st_nlink = 1;
	}
	out->st_uid = getuid();
	out->st_ino = ino;
}

static void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct fuse_entry_param entry = { .ino = FILE_INO };
	bool found;

	(void)parent;
	pthread_mutex_lock(&lock);
	found = file_name[0] != '\0' && strcmp(name, file_name) == 0;
	pthread_mutex_unlock(&lock);
	fill_attr(FILE_INO, &entry.attr);
	if (found)
		fuse_reply_entry(req, &entry);
	else
		fuse_reply_err(req, ENOENT);
}

static void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *info)
{
	struct stat attr;

	(void)info;
	fill_attr(ino, &attr);
	fuse_reply_attr(req, &attr, 0);
}

static void op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int which,
		       struct fuse_file_info *info)
{
	struct stat now;

	(void)info;
	if (which & FUSE_SET_ATTR_SIZE && ftruncate(data_fd, attr->st_size) != 0) {
		fuse_reply_err(req, errno);
		return;
	}
	fill_attr(ino, &now);
	fuse_reply_attr(req, &now, 0);
}

static void op_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
		      struct fuse_file_info *info)
{
	struct fuse_entry_param entry = { .ino = FILE_INO };

	(void)parent;
	(void)mode;
	pthread_mutex_lock(&lock);
	snprintf(file_name, sizeof(file_name), "%s", name);
	pthread_mutex_unlock(&lock);
	fill_attr(FILE_INO, &entry.attr);
	info->direct_io = 1;
	fuse_reply_create(req, &entry, info);
}

static void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *info)
{
	(void)ino;
	info->direct_io = 1;
	fuse_reply_open(req, info);
}

static void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	(void)parent;
	(void)name;
	pthread_mutex_lock(&lock);
	file_name[0] = '\0';
	pthread_mutex_unlock(&lock);
	fuse_reply_err(req, 0);
}

static void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		    struct fuse_file_info *info)
{
	const int error = told("read-");
	char *bytes = malloc(size);
	ssize_t len = bytes ? pread(data_fd, bytes, size, off) : -1;

	(void)ino;
	(void)info;
	if (error || len < 0)
		fuse_reply_err(req, error ? error : EIO);
	else
		fuse_reply_buf(req, bytes, (size_t)len);
	free(bytes);
}

static void op_write(fuse_req_t req, fuse_ino_t ino, const char *bytes, size_t size, off_t off,
		     struct fuse_file_info *info)
{
	const int error = told("write-");
	const ssize_t len = error ? -1 : pwrite(data_fd, bytes, size, off);

	(void)ino;
	(void)info;
	if (len < 0)
		fuse_reply_err(req, error ? error : EIO);
	else
		fuse_reply_write(req, (size_t)len);
}

static void op_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t off, off_t len,
			 struct fuse_file_info *info)
{
	const int error = told("write-");

	(void)ino;
	(void)info;
	fuse_reply_err(req, error ? error : fallocate(data_fd, mode, off, len) ? errno : 0);
}

static void op_statfs(fuse_req_t req, fuse_ino_t ino)
{
	const struct statvfs space = { .f_bsize = 4096,
				       .f_frsize = 4096,
				       .f_blocks = 1 << 20,
				       .f_bfree = 1 << 20,
				       .f_bavail = 1 << 20,
				       .f_namemax = 255 };

	(void)ino;
	fuse_reply_statfs(req, &space);
}

static const struct fuse_lowlevel_ops ops = {
	.lookup = op_lookup,
	.getattr = op_getattr,
	.setattr = op_setattr,
	.create = op_create,
	.open = op_open,
	.unlink = op_unlink,
	.read = op_read,
	.write = op_write,
	.fallocate = op_fallocate,
	.statfs = op_statfs,
};

int main(int argc, char *argv[])
{
	char *words[] = { argv[0], NULL };
	struct fuse_args args = FUSE_ARGS_INIT(1, words);
	struct fuse_session *session;
	struct fuse_loop_config *config;
	int failed;

	if (argc != 3) {
		fprintf(stderr, "usage: slow_disk FOLDER MODES\n");
		return 2;
	}
	modes = argv[2];
	data_fd = memfd_create("slow-disk", MFD_CLOEXEC);
	session = data_fd < 0 ? NULL : fuse_session_new(&args, &ops, sizeof(ops), NULL);
	if (!session || fuse_session_mount(session, argv[1]) != 0)
		return 1;
	config = fuse_loop_cfg_create();
	fuse_loop_cfg_set_max_threads(config, 40);
	failed = fuse_session_loop_mt(session, config);
	fuse_loop_cfg_destroy(config);
	fuse_session_unmount(session);
	fuse_session_destroy(session);
	return failed != 0;
}
