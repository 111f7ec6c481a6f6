// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * spillfile.c - spill=: the file or block device that objects go out to. See spillfile.h.
 */
#include "daemon/spillfile.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "blkmap/blkmap.h"
#include "daemon/spillkey.h"
#include "daemon/survive.h"
#include "image/file.h"
#include "util/sizes.h"

/* Of what is free where the file is, when the option says no size. */
#define SIZE_DIVISOR 2u
#define SIZE_MAX_SAID (UINT64_C(8) << 40)

static int refuse(struct options_error *error, int code, const struct options *options,
		  const char *why)
{
	ERR_PRINTF(error, "option spill=%.512s: %s", options->spill_path, why);
	return code;
}

/* Around the page cache, which would hold what was to leave the memory; where that is possible. */
static int open_at(int dir_fd, const char *name, int flags)
{
	int fd = openat(dir_fd, name, flags | O_RDWR | O_CLOEXEC | O_DIRECT, 0600);

	if (fd < 0 && errno == EINVAL)
		fd = openat(dir_fd, name, flags | O_RDWR | O_CLOEXEC, 0600);
	return fd;
}

/* A file without a name; where the filesystem has none such, it loses its name at once. */
static int open_new(const struct image_place *place)
{
	int fd = open_at(place->dir_fd, ".", O_TMPFILE);

	if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != ENOENT))
		return fd < 0 ? -errno : fd;
	fd = open_at(place->dir_fd, place->name, O_CREAT | O_EXCL | O_NOFOLLOW);
	if (fd < 0)
		return -errno;
	if (unlinkat(place->dir_fd, place->name, 0) != 0) {
		const int code = -errno;

		close(fd);
		return code;
	}
	return fd;
}

/* How large a new file may become. */
static int size_new(int fd, uint64_t said, uint64_t *out_size)
{
	struct statvfs space;

	*out_size = said;
	if (!said) {
		if (fstatvfs(fd, &space) != 0)
			return -errno;
		*out_size = min_u64((uint64_t)space.f_bavail * space.f_frsize / SIZE_DIVISOR,
				    SIZE_MAX_SAID);
	}
	/* Sparse: what is not used takes no space there. */
	return ftruncate(fd, (off_t)*out_size) == 0 ? 0 : -errno;
}

static int make_file(const struct options *options, int *out_fd, uint64_t *out_size,
		     struct options_error *error)
{
	struct image_place place;
	int res = image_place_find(options->spill_path, &place), fd = -1;

	if (res)
		return refuse(error, res, options, strerror(-res));
	fd = open_new(&place);
	close(place.dir_fd);
	if (fd < 0)
		return refuse(error, fd, options, strerror(-fd));
	res = size_new(fd, options->spill_size, out_size);
	if (!res && *out_size < SPILL_SIZE_MIN)
		res = -ENOSPC;
	if (res) {
		close(fd);
		return refuse(error, res, options, strerror(-res));
	}
	*out_fd = fd;
	return 0;
}

/* A device that something else uses is refused by the kernel: EBUSY. */
static int open_device(const struct options *options, int *out_fd, uint64_t *out_size,
		       struct options_error *error)
{
	const int fd = open_at(AT_FDCWD, options->spill_path, O_EXCL);
	off_t end;

	if (fd < 0)
		return refuse(error, -errno, options, strerror(errno));
	end = lseek(fd, 0, SEEK_END);
	if (end < 0 || (uint64_t)end < max_u64(options->spill_size, SPILL_SIZE_MIN)) {
		close(fd);
		return refuse(error, -EINVAL, options, "the device is smaller");
	}
	*out_size = options->spill_size ? options->spill_size : (uint64_t)end;
	*out_fd = fd;
	return 0;
}

static int open_one(const struct options *options, struct spillfile *file,
		    struct options_error *error)
{
	struct stat st;

	if (stat(options->spill_path, &st) != 0) {
		if (errno != ENOENT)
			return refuse(error, -errno, options, strerror(errno));
		return make_file(options, &file->fd, &file->size, error);
	}
	if (!S_ISBLK(st.st_mode))
		return refuse(error, -EEXIST, options,
			      "is there already; a file is made for the mount, or it is a block device");
	return open_device(options, &file->fd, &file->size, error);
}

int spillfile_open(const struct options *options, struct spillfile *file,
		   struct options_error *error)
{
	int res;

	if (!options->spill_path)
		return 0;
	if (options->spill_encrypt && !spill_can_encrypt()) {
		ERR_PRINTF(error, "option spill_encrypt=on: this program was built without libsodium");
		return -EOPNOTSUPP;
	}
	res = open_one(options, file, error);
	if (res || !options->spill_encrypt)
		return res;
	res = spillkey_make(&file->key, &file->key_fd);
	if (res)
		ERR_PRINTF(error, "option spill_encrypt=on: cannot make a key: %s", strerror(-res));
	return res;
}

/* ---- with survive= ---- */

static int dup_fd(int fd)
{
	const int mine = fcntl(fd, F_DUPFD_CLOEXEC, 0);

	return mine < 0 ? -errno : mine;
}

int spillfile_take(const struct options *options, const struct survive *survive,
		   struct spillfile *file, struct options_error *error)
{
	off_t end;
	int res = 0;

	if (!options->spill_path)
		return 0;
	if (survive->spill_fd < 0 || (options->spill_encrypt && survive->spill_key_fd < 0))
		return refuse(error, -EPROTO, options, "the keeper has not kept it");
	file->fd = dup_fd(survive->spill_fd);
	if (file->fd < 0)
		return refuse(error, file->fd, options, strerror(-file->fd));
	/* A file has the size that it may have. */
	end = lseek(file->fd, 0, SEEK_END);
	if (end < 0)
		return refuse(error, -errno, options, strerror(errno));
	file->size = options->spill_size ? options->spill_size : (uint64_t)end;
	if (options->spill_encrypt)
		res = spillkey_map(survive->spill_key_fd, &file->key);
	return res ? refuse(error, res, options, strerror(-res)) : 0;
}

/* The keeper's side owns what it keeps. */
static int keep(struct survive *survive, enum handover_kind kind, int fd)
{
	const int mine = dup_fd(fd);

	if (mine < 0)
		return mine;
	survive_keep(survive, kind, mine);
	return 0;
}

int spillfile_keep(const struct spillfile *file, struct survive *survive)
{
	int res = file->fd >= 0 ? keep(survive, HANDOVER_SPILL, file->fd) : 0;

	if (!res && file->key_fd >= 0)
		res = keep(survive, HANDOVER_SPILL_KEY, file->key_fd);
	return res;
}

void spillfile_close(struct spillfile *file)
{
	spillkey_unmap(file->key);
	if (file->key_fd >= 0)
		close(file->key_fd);
	if (file->fd >= 0)
		close(file->fd);
	*file = SPILLFILE_NONE;
}
