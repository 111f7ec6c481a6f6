// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * session_mount.c - how a session mounts, and what it learns from the kernel then. See session_i.h.
 *
 * Locks: none; before there are threads.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "daemon/remount.h"
#include "daemon/session_i.h"
#include "fs/inode.h"
#include "util/log.h"

/* The first line of what was printed into @fd, without the name of the program. */
static void first_line(int fd, char *text, size_t space)
{
	static const char *const names[] = { "fuse: ", "fusermount3: " };
	ssize_t len = pread(fd, text, space - 1, 0);

	text[len > 0 ? len : 0] = '\0';
	text[strcspn(text, "\n")] = '\0';
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const size_t name_len = strlen(names[i]);

		if (strncmp(text, names[i], name_len) == 0)
			memmove(text, text + name_len, strlen(text + name_len) + 1);
	}
}

/*
 * libfuse and its helper print why a mount failed, on several ways and sometimes twice. What they
 * say is caught, so that the caller gets one line.
 */
static int mount_quietly(struct session *s, struct options_error *error)
{
	const char *mountpoint = s->options->mountpoint;
	int caught = memfd_create("ztmpfs-messages", MFD_CLOEXEC);
	int saved = dup(STDERR_FILENO);
	char text[512];
	int failed;

	if (caught >= 0 && saved >= 0)
		(void)dup2(caught, STDERR_FILENO);
	failed = fuse_session_mount(s->se, mountpoint);
	if (saved >= 0)
		(void)dup2(saved, STDERR_FILENO);
	first_line(caught, text, sizeof(text));
	if (saved >= 0)
		close(saved);
	if (caught >= 0)
		close(caught);
	if (failed) {
		ERR_PRINTF(error, "%s: cannot mount: %s", mountpoint,
			   *text != '\0' ? text : "libfuse does not say why");
		return -EIO;
	}
	s->mounted = true;
	if (*text != '\0')
		zt_log(ZT_LOG_WARN, "%s: %s", mountpoint, text);
	return 0;
}

/*
 * Where the kernel delays writes it is told how much, and made to ask when little is left. Swap comes
 * by direct requests.
 */
static void prepare_full(struct session *s, const struct bdi *bdi)
{
	const struct options *options = s->options;
	const struct ownmount mount = { options->mountpoint, &s->caller, *bdi };

	if (options->cache == ZTFUSE_CACHE_WRITEBACK && !options->swap &&
	    options->mount_flags[MOUNT_SYNC] != 1)
		full_prepare(&s->full, &s->front, &mount, super_bytes_left(s->sb));
}

/*
 * Where the kernel stamps files by itself, what the daemon makes after that may not be older. Known
 * after INIT.
 */
void session_agree_on_clock(const struct session *s)
{
	int res = s->front.kernel_times ? fs_time_follow_kernel() : 0;

	if (res < 0)
		zt_log(ZT_LOG_WARN, "%s: no clock like the kernel's: %s", s->options->mountpoint,
		       strerror(-res));
}

int session_mount(struct session *s, struct options_error *error)
{
	const char *mountpoint = s->options->mountpoint;
	int res = namespace_visit(&s->caller);
	struct bdi bdi;
	bool found;

	if (res) {
		ERR_PRINTF(error, "%s: cannot go back to the caller's mount namespace: %s",
			   mountpoint, strerror(-res));
		return res;
	}
	res = mount_quietly(s, error);
	if (!res)
		res = remount_finish(s->options, error);
	if (res)
		return res;
	res = transport_serve_init(s->transport);
	if (res) {
		ERR_PRINTF(error, "%s: cannot agree with the kernel on a protocol", mountpoint);
		return res;
	}
	session_agree_on_clock(s);
	found = bdi_find(mountpoint, &bdi);
	atimes_open(&s->atimes, s->sb, s->options, found && !s->caller.left ? &bdi : NULL);
	if (found) {
		s->own = (struct ownmount){ mountpoint, &s->caller, bdi };
		bdi_tune(&bdi);
		prepare_full(s, &bdi);
	}
	res = namespace_back(&s->caller);
	if (res)
		ERR_PRINTF(error, "%s: cannot leave the caller's mount namespace: %s", mountpoint,
			   strerror(-res));
	return res;
}

static void store_file(void *arg, uint64_t ino)
{
	const struct session *s = arg;

	/* The kernel may have forgotten it. */
	(void)fuse_lowlevel_notify_inval_inode(s->se, ino, 0, 0);
}

/*
 * What the kernel has not written yet is to be saved, too. syncfs(2) begins, and to forget a file's
 * pages waits until they are written.
 */
void session_store_delayed(struct session *s)
{
	const int fd = s->own.path ? ownmount_open(&s->own) : -ENOENT;

	if (fd < 0) {
		zt_log(ZT_LOG_WARN, "%s: what was written last may be missing from what is saved: %s",
		       s->options->mountpoint, strerror(-fd));
		return;
	}
	(void)syncfs(fd); /* those who wrote hear of errors */
	close(fd);
	super_each_known(s->sb, store_file, s);
}
