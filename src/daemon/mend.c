// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * mend.c - tell the kernel the truth about a file of which delayed writes were refused.
 *
 * With a write-back cache the kernel believes its own size of a file until it forgets the inode. But
 * it takes the one that a truncation ends with. So this thread truncates the file to the size that
 * the kernel believes in, and the answer says the true one (full_mend()), unless there are pages to
 * be written: the kernel holds the inode's lock then, and counts them for us.
 *
 * Locks: none here.
 */
#include "daemon/mend.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/ownmount.h"
#include "fs/inode.h"

/* As often as somebody else has dirtied pages in between. */
#define ROUNDS 8u

/* What name_to_handle_at(2) gives for an inode of FUSE: FILEID_INO64_GEN. */
#define HANDLE_TYPE  0x81
#define HANDLE_WORDS 3

/* Without a path: it may have been renamed, or removed. */
static int open_file(const struct ownmount *mount, uint64_t ino, uint32_t generation, int flags)
{
	union {
		struct file_handle head;
		char bytes[sizeof(struct file_handle) + HANDLE_WORDS * sizeof(uint32_t)];
	} handle = { .head = { .handle_bytes = HANDLE_WORDS * sizeof(uint32_t),
			       .handle_type = HANDLE_TYPE } };
	const uint32_t words[HANDLE_WORDS] = { (uint32_t)(ino >> 32), (uint32_t)ino, generation };
	int root = ownmount_open(mount), fd;

	if (root < 0)
		return root;
	memcpy(handle.bytes + sizeof(struct file_handle), words, sizeof(words));
	fd = open_by_handle_at(root, &handle.head, flags | O_CLOEXEC);
	if (fd < 0)
		fd = -errno;
	close(root);
	return fd;
}

static bool size_is_true(struct ztfuse *front, int fd, uint64_t ino)
{
	struct fs_peek peek;
	uint64_t size;

	return fs_peek(front->sb, ino, &peek) != 0 || full_kernel_size(fd, &size) != 0 ||
	       size <= peek.size;
}

/* Whoever closes an open file hears of the refusal, in its writer's stead: so it is not opened in vain. */
static bool looks_true(struct ztfuse *front, const struct ownmount *mount, uint64_t ino,
		       uint32_t generation)
{
	int fd = open_file(mount, ino, generation, O_PATH);
	bool is_true;

	if (fd < 0)
		return false;
	is_true = size_is_true(front, fd, ino);
	close(fd);
	return is_true;
}

static void mend_size(struct ztfuse *front, int fd, uint64_t ino)
{
	char path[32];
	uint64_t size;

	/* By a path the times stay as they are. */
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	atomic_store_explicit(&front->full.mender_fd, fd, memory_order_relaxed);
	for (unsigned round = 0; round < ROUNDS && !size_is_true(front, fd, ino); round++) {
		(void)fsync(fd); /* it tells again of what was refused */
		if (full_kernel_size(fd, &size) != 0 || truncate(path, (off_t)size) != 0)
			break;
	}
	atomic_store_explicit(&front->full.mender_fd, -1, memory_order_relaxed);
}

void mend(struct ztfuse *front, const struct ownmount *mount, const struct full_refusal *refusal)
{
	struct fs_peek peek;
	int fd;

	if (fs_peek(front->sb, refusal->ino, &peek) != 0)
		return;
	if (!looks_true(front, mount, refusal->ino, peek.generation)) {
		fd = open_file(mount, refusal->ino, peek.generation, O_RDWR | O_NONBLOCK);
		if (fd >= 0) {
			mend_size(front, fd, refusal->ino);
			close(fd);
		}
	}
	(void)fuse_lowlevel_notify_inval_inode(front->se, refusal->ino, (off_t)refusal->from,
					       (off_t)(refusal->to - refusal->from));
}
