// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * time.c - time stamps of 8 bytes: seconds since 1901 above, nanoseconds below, so that they
 * compare as numbers; and the clock that they come from.
 *
 * From 6.13 on the kernel's stamps may be newer than its coarse clock, by up to a tick. When a
 * program has looked at a file's times, the next stamp of that file is a fine one, and no later
 * stamp of any file is older. No call returns that time. But an inode of tmpfs is stamped in this
 * way, and a memfd has one.
 */
#include <errno.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "fs/inode_i.h"

#define TIME_NSEC_BITS 30
#define TIME_SEC_BASE  (-(INT64_C(1) << 31)) /* 1901-12-13, the least that ext4 stores too */
#define TIME_SEC_MAX   ((INT64_C(1) << 34) - 1)
#define TIME_NSEC_MAX  999999999
#define TIME_DAY       (UINT64_C(86400) << TIME_NSEC_BITS)

/* Each try fails at most where the coarse clock ticks in it. */
#define CLOCK_TRIES 16

/* The memfd whose inode is stamped, or -1. Relaxed: nothing is brought with it. */
static atomic_int clock_fd = -1;

bool fs_time_fits(struct timespec ts)
{
	return ts.tv_sec >= TIME_SEC_BASE && ts.tv_sec <= TIME_SEC_MAX + TIME_SEC_BASE &&
	       ts.tv_nsec >= 0 && ts.tv_nsec <= TIME_NSEC_MAX;
}

fs_time fs_time_encode(struct timespec ts)
{
	int64_t sec = ts.tv_sec;

	if (sec < TIME_SEC_BASE)
		return 0;
	if (sec > TIME_SEC_MAX + TIME_SEC_BASE)
		return (fs_time)TIME_SEC_MAX << TIME_NSEC_BITS | TIME_NSEC_MAX;
	return (fs_time)(sec - TIME_SEC_BASE) << TIME_NSEC_BITS | (fs_time)ts.tv_nsec;
}

struct timespec fs_time_decode(fs_time t)
{
	return (struct timespec){
		.tv_sec = (time_t)((int64_t)(t >> TIME_NSEC_BITS) + TIME_SEC_BASE),
		.tv_nsec = (long)(t & ((UINT64_C(1) << TIME_NSEC_BITS) - 1)),
	};
}

static fs_time coarse_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME_COARSE, &ts);
	return fs_time_encode(ts);
}

/* Have the kernel stamp @fd. To look makes the next stamp of it a fine one. */
static bool stamp(int fd, fs_time *out_now)
{
	struct stat st;

	if (futimens(fd, NULL) != 0 || fstat(fd, &st) != 0)
		return false;
	*out_now = fs_time_encode(st.st_ctim);
	return true;
}

/* Older kernels have stamps from the coarse clock alone, so a later reading of it is not older. */
static bool stamps_are_fine(int fd)
{
	fs_time now;

	for (int i = 0; i < CLOCK_TRIES; i++)
		if (stamp(fd, &now) && now > coarse_now())
			return true;
	return false;
}

int fs_time_follow_kernel(void)
{
	int fd = memfd_create("ztmpfs-clock", MFD_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (!stamps_are_fine(fd)) {
		close(fd);
		return 0;
	}
	fs_time_unfollow();
	atomic_store_explicit(&clock_fd, fd, memory_order_relaxed);
	return 1;
}

void fs_time_unfollow(void)
{
	int fd = atomic_exchange_explicit(&clock_fd, -1, memory_order_relaxed);

	if (fd >= 0)
		close(fd);
}

fs_time fs_time_now(void)
{
	int fd = atomic_load_explicit(&clock_fd, memory_order_relaxed);
	fs_time now;

	return fd >= 0 && stamp(fd, &now) ? now : coarse_now();
}

void inode_touch_at(struct inode_rec *rec, unsigned which, fs_time now)
{
	for (unsigned i = 0; i < FS_NR_TIMES; i++)
		if (which & 1u << i)
			rec_store(&rec->times[i], now);
}

fs_time inode_touch(struct inode_rec *rec, unsigned which)
{
	fs_time now = fs_time_now();

	inode_touch_at(rec, which, now);
	return now;
}

/* Relaxed: a read that began before a remount may still move atime after it. */
static bool atime_is_frozen(const struct super *sb, const struct inode_rec *rec)
{
	const unsigned frozen = atomic_load_explicit(&sb->frozen_atimes, memory_order_relaxed);

	return rec_load(&rec->flags) & INODE_NOATIME || frozen & SUPER_ATIME_ALL ||
	       (frozen & SUPER_ATIME_DIR && S_ISDIR(rec_load(&rec->mode)));
}

void super_set_frozen_atimes(struct super *sb, unsigned which)
{
	atomic_store_explicit(&sb->frozen_atimes, which, memory_order_relaxed);
}

void inode_touch_read(const struct super *sb, struct inode_rec *rec)
{
	fs_time atime = rec_load(&rec->times[FS_ATIME]);

	if (unlikely(atime_is_frozen(sb, rec)))
		return;
	if (atime > rec_load(&rec->times[FS_MTIME]) && atime > rec_load(&rec->times[FS_CTIME]) &&
	    coarse_now() < atime + TIME_DAY)
		return;
	/* Where stamps are coarse, reading what was just written comes here each time. */
	if (atime != coarse_now())
		(void)inode_touch(rec, INODE_ATIME);
}
