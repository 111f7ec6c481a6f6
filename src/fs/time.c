// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * time.c - time stamps of 8 bytes: seconds since 1901 above, nanoseconds below, so that they
 * compare as numbers.
 */
#include <time.h>

#include "fs/inode_i.h"

#define TIME_NSEC_BITS 30
#define TIME_SEC_BASE  (-(INT64_C(1) << 31)) /* 1901-12-13, the least that ext4 stores too */
#define TIME_SEC_MAX   ((INT64_C(1) << 34) - 1)
#define TIME_NSEC_MAX  999999999
#define TIME_DAY       (UINT64_C(86400) << TIME_NSEC_BITS)

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

/*
 * The coarse clock is the one that the kernel stamps files with: with both at work times never run
 * backwards.
 */
fs_time fs_time_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME_COARSE, &ts);
	return fs_time_encode(ts);
}

void inode_touch(struct inode_rec *rec, unsigned which)
{
	fs_time now = fs_time_now();

	for (unsigned i = 0; i < FS_NR_TIMES; i++)
		if (which & 1u << i)
			rec_store(&rec->times[i], now);
}

void inode_touch_read(struct inode_rec *rec)
{
	fs_time atime = rec_load(&rec->times[FS_ATIME]);
	fs_time now = fs_time_now();

	if (rec_load(&rec->flags) & INODE_NOATIME)
		return;
	if (atime > rec_load(&rec->times[FS_MTIME]) && atime > rec_load(&rec->times[FS_CTIME]) &&
	    now < atime + TIME_DAY)
		return;
	if (atime != now)
		rec_store(&rec->times[FS_ATIME], now);
}
