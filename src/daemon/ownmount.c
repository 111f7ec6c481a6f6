// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * ownmount.c - the daemon's own mount, reached from the outside. See ownmount.h.
 *
 * fspick(2) and not mount(2), which would need to know all other flags, and could change them.
 */
#include "daemon/ownmount.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "util/mountinfo.h"

/* Of linux/mount.h, which does not go together with all versions of sys/mount.h. */
#define PICK_CLOEXEC       1
#define PICK_EMPTY_PATH    8
#define CONFIG_SET_FLAG    0
#define CONFIG_RECONFIGURE 7
#define OPEN_FLAGS         (O_DIRECTORY | O_CLOEXEC)

/* From what the kernel knows: no request. */
static bool is_ours(int fd, const void *arg)
{
	const struct bdi *bdi = arg;
	struct statx st;

	return statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE, &st) == 0 &&
	       st.stx_dev_major == bdi->major && st.stx_dev_minor == bdi->minor;
}

static int open_ours(const struct ownmount *mount, int flags)
{
	int fd = open(mount->path, flags | OPEN_FLAGS);

	if (fd >= 0 && is_ours(fd, &mount->bdi))
		return fd;
	if (fd >= 0)
		close(fd);
	return namespace_open(mount->caller, mount->path, flags | OPEN_FLAGS, is_ours, &mount->bdi);
}

int ownmount_open(const struct ownmount *mount)
{
	return open_ours(mount, O_RDONLY);
}

int ownmount_sync(const struct ownmount *mount, bool sync)
{
	const char *flag = sync ? "sync" : "async";
	int fd = open_ours(mount, O_PATH), context;
	int error = 0;

	if (fd < 0)
		return fd;
	context = (int)syscall(SYS_fspick, fd, "", PICK_CLOEXEC | PICK_EMPTY_PATH);
	if (context < 0)
		error = -errno;
	/* The mount is not needed any more, and may be taken away. */
	close(fd);
	if (error)
		return error;
	if (syscall(SYS_fsconfig, context, CONFIG_SET_FLAG, flag, NULL, 0) != 0 ||
	    syscall(SYS_fsconfig, context, CONFIG_RECONFIGURE, NULL, NULL, 0) != 0)
		error = -errno;
	close(context);
	return error;
}

/* ---- the end ---- */

struct search {
	const struct ownmount *mount;
	char path[PATH_MAX]; /* "": not found */
};

/* Of the last one, which is on top. The number alone may be another mount's by now. */
static void look(void *arg, const struct mountinfo *found)
{
	struct search *search = arg;
	const struct bdi *bdi = &search->mount->bdi;
	const size_t len = strlen(found->path), most = strlen(search->mount->path);

	if (found->major == bdi->major && found->minor == bdi->minor && len > most &&
	    len < sizeof(search->path) && strncmp(found->type, "fuse", 4) == 0 &&
	    strcmp(found->path + len - most, search->mount->path) == 0)
		strcpy(search->path, found->path);
}

void ownmount_detach(const struct ownmount *mount)
{
	struct search search = { .mount = mount };

	if (mountinfo_each("", look, &search) && search.path[0] != '\0')
		(void)umount2(search.path, MNT_DETACH | UMOUNT_NOFOLLOW); /* or it has gone */
}
