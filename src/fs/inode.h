/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * inode.h - inode records: attributes, life cycle, times.
 *
 * An inode is one record in the arena, in a pool of its own. Its number is the record's ref, but
 * for the root, whose number is FS_ROOT_INO; number and generation together are never reused. There
 * is no other object per inode: locks are hashed, name indexes exist for large directories only.
 *
 * A record is freed when it has no name (nlink 0) and the kernel holds no reference (nlookup 0).
 *
 * Locks: inode lock, a hashed table of reader-writer locks. Shared: reads and writes of content,
 * lookups and listing of a directory. Exclusive: everything that changes names, attributes or a
 * tree's shape. Several at a time are taken by inode_lock_set(), in the order of the table, each
 * once.
 */
#ifndef ZT_FS_INODE_H
#define ZT_FS_INODE_H

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>

#include "blkmap/blkmap.h"
#include "fs/super.h"
#include "util/compiler.h"

typedef uint64_t ino_nr; /* FUSE's nodeid and st_ino */
#define FS_ROOT_INO ((ino_nr)1)

/* Whether a write or truncation takes set-user-ID and set-group-ID away. */
enum fs_setid {
	FS_SETID_BY_UID, /* unless it is root's; never when the write comes from the page cache */
	FS_SETID_KEEP, /* the kernel says no: the caller has CAP_FSETID, or it is done already */
	FS_SETID_KILL, /* the kernel says yes */
};

/*
 * The caller, for ownership of new objects. The kernel checks permissions (default_permissions).
 */
struct fs_cred {
	uid_t uid;
	gid_t gid;
	mode_t umask; /* of new objects, where the directory has no default ACL */
	enum fs_setid setid;
	/*
	 * The kernel has not looked whether the caller may make a program that takes the rights of
	 * a set-group-ID directory's group (before 6.0): it needs uid 0, or gid or also_in to be
	 * that group.
	 */
	bool checks_sgid;
	gid_t also_in; /* one of the caller's other groups, or gid */
};

/* Who asks for what the kernel cannot check: access.h. Nothing is owned. */
struct fs_asker {
	uid_t uid;
	gid_t gid;
	const gid_t *groups; /* the other ones */
	unsigned nr_groups;
	bool privileged; /* may do anything, and give files to anybody */
};

/*
 * Time stamps are 8 bytes, as in ext4: seconds since 1901 in 34 bits, nanoseconds in 30. 1901-12-13
 * to 2446-05-10.
 */
typedef uint64_t fs_time;
enum { FS_ATIME, FS_MTIME, FS_CTIME, FS_BTIME, FS_NR_TIMES };

/* inode_rec.flags */
#define INODE_TAIL_DIRTY      (1u << 0) /* bytes behind a file's end may not be zero: inode_cut() */
#define INODE_IMMUTABLE       (1u << 1) /* chattr +i: nothing of it changes */
#define INODE_APPEND          (1u << 2) /* chattr +a: what is there stays */
#define INODE_NODUMP          (1u << 3) /* chattr +d: for backup programs; inherited */
#define INODE_NOATIME         (1u << 4) /* chattr +A: reading leaves atime alone; inherited */
#define INODE_HAS_CAPABILITY  (1u << 5) /* it has security.capability */
#define INODE_HAS_ACL         (1u << 6) /* it has an access ACL */
#define INODE_HAS_DEFAULT_ACL (1u << 7) /* it has a default ACL */
/* Bits 8 to 14: the file's compression setting, see fs/settings.h; inherited. */
#define INODE_SETTING_SHIFT   8u
#define INODE_SETTING_MASK    (0x7fu << INODE_SETTING_SHIFT)
#define INODE_LINKABLE        (1u << 15) /* made without a name, and may be given its first one */
#define INODE_XATTR_HINTS     (INODE_HAS_CAPABILITY | INODE_HAS_ACL | INODE_HAS_DEFAULT_ACL)
#define INODE_CHATTR          (INODE_IMMUTABLE | INODE_APPEND | INODE_NODUMP | INODE_NOATIME)
#define INODE_INHERITED       (INODE_NODUMP | INODE_NOATIME | INODE_SETTING_MASK)

/*
 * Canonical. 88 bytes; with the pool's header exactly the class of 96. Nothing owns an inode, so the
 * header's word for an owner is the ref of its attributes: see inode_xattr().
 */
struct inode_rec {
	union {
		uint64_t size; /* file, symlink: bytes. Atomic for regular files */
		uint64_t parent; /* directory: number of the one above */
		uint64_t rdev; /* device */
	};
	uint64_t tree_word; /* file: slots; directory: blocks; symlink: ref of the target */
	uint64_t nr_pages; /* file: pages that hold data (atomic); directory: number of entries */
	fs_time times[FS_NR_TIMES]; /* each one atomic */
	uint64_t nlookup; /* kernel's references; atomic */
	uint32_t uid, gid;
	uint32_t nlink;
	uint32_t generation;
	uint16_t mode;
	/*
	 * Regular file: 0 when the kernel has no pages of it, else FS_PAGES_TURNS or less; see
	 * fs_note_pages(). Atomic. No part of what the walker checks.
	 */
	uint8_t pages_known;
	uint8_t promised; /* regular file: it has a promise (promise.h); atomic */
	uint8_t none; /* 0: nobody has a use for it */
	uint8_t cluster_order; /* regular file: its clusters; directory: what new files inherit */
	uint16_t flags; /* INODE_...; atomic */
};
static_assert(sizeof(struct inode_rec) == 88, "an inode record fills the 96-byte class");

/* What LOOKUP and its like answer. */
struct fs_entry {
	ino_nr ino;
	uint64_t generation;
	bool immutable; /* chattr +i */
	struct stat attr;
};

/* Which attributes fs_setattr() changes. */
#define FS_SET_MODE       (1u << 0)
#define FS_SET_UID        (1u << 1)
#define FS_SET_GID        (1u << 2)
#define FS_SET_SIZE       (1u << 3)
#define FS_SET_ATIME      (1u << 4)
#define FS_SET_MTIME      (1u << 5)
#define FS_SET_ATIME_NOW  (1u << 7)
#define FS_SET_MTIME_NOW  (1u << 8)
#define FS_SET_CTIME      (1u << 10)
#define FS_SET_KILL_SETID (1u << 11) /* take set-ID bits away, as chown does */
#define FS_SET_BY_HANDLE  (1u << 16) /* the request names an open file */

/** fs_getattr() - attributes; takes no lock that a data request holds long. Return: 0, -ESTALE. */
int fs_getattr(struct super *sb, ino_nr ino, struct stat *out_attr) ZT_MUST_CHECK;

/**
 * fs_is_large() - whether a request about all of an inode's content may take longer than others may
 * wait; a hint, takes no lock. Any number is allowed.
 */
bool fs_is_large(struct super *sb, ino_nr ino);

/* What can be asked of an inode that may be freed at any time. */
struct fs_peek {
	uint32_t generation; /* what tells it from earlier ones of its number */
	uint64_t size; /* bytes */
};

/**
 * fs_peek() - look at an inode without a reference of the kernel's: no request names it
 * Context: takes the inode's lock, shared. Return: 0, -ESTALE: there is none of that number.
 */
int fs_peek(struct super *sb, ino_nr ino, struct fs_peek *out) ZT_MUST_CHECK;

/** fs_getbtime() - when it was made; takes no lock. Return: 0, -ESTALE. */
int fs_getbtime(struct super *sb, ino_nr ino, struct timespec *out_btime) ZT_MUST_CHECK;

/**
 * fs_setattr() - change what @which says, to the values in @attr
 * Chown of something that is no directory clears set-user-ID and set-group-ID (the latter where
 * group execution is allowed), unless FS_SET_MODE is there too; truncation clears them likewise
 * as @cred has it. Both take security.capability away. ctime becomes now unless FS_SET_CTIME.
 * Return: 0, -ESTALE, -EPERM (chattr's flags), -EINVAL (also for times that cannot be kept), -EISDIR, -EFBIG, -ENOSPC, -ENOMEM.
 */
int fs_setattr(struct super *sb, const struct fs_cred *cred, ino_nr ino, const struct stat *attr,
	       unsigned which, struct stat *out_attr) ZT_MUST_CHECK;

/** fs_file_stat() - what an inode holds and costs. Return: 0, -ESTALE. */
int fs_file_stat(struct super *sb, ino_nr ino, struct ztmpfs_file_stat *out_stat) ZT_MUST_CHECK;

/**
 * fs_forget() - the kernel drops @nlookup references; O(1), frees the inode when it was the last
 * and has no name
 */
void fs_forget(struct super *sb, ino_nr ino, uint64_t nlookup);

/** fs_time_fits() - whether it is kept as it is */
bool fs_time_fits(struct timespec ts);
fs_time fs_time_encode(struct timespec ts); /* clamped to what can be stored */
struct timespec fs_time_decode(fs_time t);

/**
 * fs_time_now() - a stamp for what is changed now
 *
 * From the kernel's coarse clock, or as fs_time_follow_kernel() has it. Takes no lock of ours.
 */
fs_time fs_time_now(void);

/**
 * fs_time_follow_kernel() - from now on stamps are in order with those that the kernel gives
 *
 * For mounts on which the kernel stamps some files by itself. One clock for all of the process:
 * call it before requests are served. Each stamp takes two system calls then, and no memory.
 * Return: 1, 0 when this kernel stamps from the coarse clock so that nothing changes, -errno of
 * memfd_create(), nothing changes either.
 */
int fs_time_follow_kernel(void) ZT_MUST_CHECK;

/** fs_time_unfollow() - back to the coarse clock; no other thread takes a stamp meanwhile */
void fs_time_unfollow(void);

#endif
