// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * length.c - how long a request may take, seen before it is taken apart: by its kind and its length,
 * or by how large its file is.
 */
#include "fs/inode.h"
#include "fuse/channel/proto.h"
#include "fuse/transport_i.h"
#include "ztmpfs/control.h"

/*
 * Bytes from which a request is worth the two wake-ups of giving the duty away: one direct writer's
 * 581 MB/s with lz4 are 110 us for so much; reading is twice as fast.
 */
#define LONG_WRITE (64u * 1024)
#define LONG_READ  (128u * 1024)

/* Bytes of a range from which on a request may take longer than others may wait. */
#define ENDLESS_RANGE (UINT64_C(16) << 20)

/* What follows the header, or NULL when it was cut short. */
static const void *fixed_part(const struct fuse_in_header *header, size_t len, size_t size)
{
	return len >= sizeof(*header) + size ? header + 1 : NULL;
}

/* Whatever the size of the caller's struct. */
static bool is_clone(unsigned cmd)
{
	return _IOC_TYPE(cmd) == 'Z' && _IOC_NR(cmd) == _IOC_NR(ZTMPFS_IOC_CLONE);
}

static bool is_endless(struct super *sb, const struct fuse_in_header *header, size_t len)
{
	const struct fuse_fallocate_in *falloc;
	const struct fuse_copy_file_range_in *copy;
	const struct fuse_setattr_in *setattr;
	const struct fuse_ioctl_in *control;

	switch (header->opcode) {
	case FUSE_FALLOCATE:
		falloc = fixed_part(header, len, sizeof(*falloc));
		return falloc && falloc->length >= ENDLESS_RANGE;
	case FUSE_COPY_FILE_RANGE:
		copy = fixed_part(header, len, sizeof(*copy));
		return copy && copy->len >= ENDLESS_RANGE;
	case FUSE_SETATTR:
		setattr = fixed_part(header, len, sizeof(*setattr));
		return setattr && (setattr->valid & FATTR_SIZE) && fs_is_large(sb, header->nodeid);
	case FUSE_IOCTL:
		control = fixed_part(header, len, sizeof(*control));
		return (control && is_clone(control->cmd)) || fs_is_large(sb, header->nodeid);
	case FUSE_LSEEK:
	case FUSE_GETXATTR:
		return fs_is_large(sb, header->nodeid);
	default:
		return false;
	}
}

static bool is_long(const struct fuse_in_header *header, size_t len)
{
	const struct fuse_read_in *read;

	switch (header->opcode) {
	case FUSE_WRITE:
		return len >= LONG_WRITE;
	case FUSE_READ:
		read = fixed_part(header, len, sizeof(*read));
		return read && read->size >= LONG_READ;
	case FUSE_FALLOCATE:
	case FUSE_COPY_FILE_RANGE:
	case FUSE_IOCTL:
		return true;
	default:
		return false;
	}
}

enum channel_length request_length(struct super *sb, const void *msg, size_t len)
{
	const struct fuse_in_header *header = msg;

	if (len < sizeof(*header))
		return CHANNEL_SHORT;
	if (is_endless(sb, header, len))
		return CHANNEL_ENDLESS;
	return is_long(header, len) ? CHANNEL_LONG : CHANNEL_SHORT;
}
