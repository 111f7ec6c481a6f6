/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * proto.h - the kernel's protocol, with what older kernel headers lack.
 *
 * Layouts and numbers are those of include/uapi/linux/fuse.h of Linux 6.18 (protocol 7.45); each
 * one says since when. Debian 12's header ends with 7.38.
 */
#ifndef ZT_FUSE_CHANNEL_PROTO_H
#define ZT_FUSE_CHANNEL_PROTO_H

#include <assert.h>
#include <linux/fuse.h>
#include <stdint.h>

/* The newest protocol whose messages are understood here; what is beyond is not asked for. */
#define PROTO_MINOR_MAX 42u

/* 7.39: opcode, and INIT's flag for shared mappings of files that bypass the page cache */
#define PROTO_STATX                52u
#define PROTO_DIRECT_IO_ALLOW_MMAP (UINT64_C(1) << 36)
/*
 * 7.40: a notification has the kernel send again what was read and not answered, with a bit in its
 * number that the reply carries, too
 */
#define PROTO_NOTIFY_RESEND 7
#define PROTO_HAS_RESEND    (UINT64_C(1) << 39)
#define PROTO_RESENT        (UINT64_C(1) << 63)
/* 7.42 */
#define PROTO_OVER_IO_URING (UINT64_C(1) << 41)

/* 7.39, there struct fuse_sx_time and so on. They follow struct statx, bit for bit. */
struct proto_sx_time {
	int64_t tv_sec;
	uint32_t tv_nsec;
	int32_t reserved;
};

struct proto_statx {
	uint32_t mask;
	uint32_t blksize;
	uint64_t attributes;
	uint32_t nlink;
	uint32_t uid;
	uint32_t gid;
	uint16_t mode;
	uint16_t spare0;
	uint64_t ino;
	uint64_t size;
	uint64_t blocks;
	uint64_t attributes_mask;
	struct proto_sx_time atime;
	struct proto_sx_time btime;
	struct proto_sx_time ctime;
	struct proto_sx_time mtime;
	uint32_t rdev_major;
	uint32_t rdev_minor;
	uint32_t dev_major;
	uint32_t dev_minor;
	uint64_t spare2[14];
};
static_assert(sizeof(struct proto_statx) == 256, "the size of struct statx");

/* The first 16 bytes are struct fuse_getattr_in. */
struct proto_statx_in {
	uint32_t getattr_flags;
	uint32_t reserved;
	uint64_t fh;
	uint32_t sx_flags;
	uint32_t sx_mask;
};
static_assert(sizeof(struct proto_statx_in) == 24, "as the kernel sends it");

struct proto_statx_out {
	uint64_t attr_valid;
	uint32_t attr_valid_nsec;
	uint32_t flags;
	uint64_t spare[2];
	struct proto_statx stat;
};
static_assert(sizeof(struct proto_statx_out) == 288, "as the kernel takes it");

/* 7.42: what a ring's entry is made of (struct fuse_uring_req_header), beside its payload. */
struct proto_uring_ent {
	uint64_t flags;
	uint64_t commit_id;
	uint32_t payload_sz;
	uint32_t padding;
	uint64_t reserved;
};

struct proto_uring_headers {
	char in_out[128]; /* struct fuse_in_header, or fuse_out_header */
	char op_in[128]; /* the fixed part of a request */
	struct proto_uring_ent ent;
};
static_assert(sizeof(struct proto_uring_headers) == 288, "as the kernel takes it");

/* 7.42: what a ring is told (struct fuse_uring_cmd_req), in the command's second half. */
struct proto_uring_cmd {
	uint64_t flags;
	uint64_t commit_id;
	uint16_t qid;
	uint8_t padding[6];
};

enum { PROTO_URING_REGISTER = 1, PROTO_URING_COMMIT_AND_FETCH = 2 };

#endif
