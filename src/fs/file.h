/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * file.h - regular files: bytes at offsets.
 *
 * Errors: -ESTALE, -EISDIR or -EINVAL for what is no regular file, -EFBIG, -ENOSPC, -ENOMEM, -EIO
 * (damaged object).
 */
#ifndef ZT_FS_FILE_H
#define ZT_FS_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "fs/inode.h"

/** fs_read() - up to @len bytes at @off; @out_len is short only at the end of the file */
int fs_read(struct super *sb, ino_nr ino, uint64_t off, void *buf, size_t len,
	    size_t *out_len) ZT_MUST_CHECK;

/* A write from the page cache: prefers managed streams, takes no set-ID bits or capability. */
#define FS_WRITE_DELAYED (1u << 0)
/*
 * The kernel keeps the file's times by itself, those of O_DIRECT too, and brings them by SETATTR: none
 * are set. Else a delayed write sets them, since it is all that is ever heard of a store through a
 * shared mapping.
 */
#define FS_WRITE_TIMED (1u << 1)

/**
 * fs_write() - store bytes, lengthen the file if need be
 * @out_len: bytes stored; less than @len only together with no error (disk full in the middle), as
 *           write(2) has it
 */
int fs_write(struct super *sb, const struct fs_cred *cred, ino_nr ino, uint64_t off,
	     const void *buf, size_t len, unsigned flags, size_t *out_len) ZT_MUST_CHECK;

/* How an asynchronous write ends; both are called exactly once, from any thread. */
struct fs_write_end {
	/* @done is fs_write()'s out_len. It must not enter this layer for the same mount. */
	void (*done)(void *arg, int error, size_t done);
	/*
	 * After done: nobody reads the bytes any more. NULL: they are the caller's again when
	 * fs_write_async() returns.
	 */
	void (*release)(void *arg);
	void *arg;
};

/**
 * fs_write_async() - fs_write() without waiting for the accelerator
 * @end->done is called when the bytes can be read and the size is right: before the return, or
 * later by the thread that completes the write. Nothing that changes the file's shape comes
 * between.
 */
void fs_write_async(struct super *sb, const struct fs_cred *cred, ino_nr ino, uint64_t off,
		    const void *buf, size_t len, unsigned flags, const struct fs_write_end *end);

/** fs_write_may_wait() - whether a write of @len bytes would have to wait for memory now; a hint */
bool fs_write_may_wait(const struct super *sb, size_t len);

/** fs_write_may_defer() - whether a write of @len bytes might end in another thread at all */
bool fs_write_may_defer(struct super *sb, size_t len);

/**
 * fs_fallocate() - mode 0, KEEP_SIZE, PUNCH_HOLE | KEEP_SIZE, ZERO_RANGE [| KEEP_SIZE]
 * Others: -EOPNOTSUPP. Clears set-ID bits as fs_write() does.
 */
int fs_fallocate(struct super *sb, const struct fs_cred *cred, ino_nr ino, int mode, uint64_t off,
		 uint64_t len) ZT_MUST_CHECK;

/**
 * fs_copy_range() - copy bytes from file to file, which may be one
 * Whole clusters at like places are shared instead of copied: they cost no memory until one side
 * changes. Their holes become holes.
 * @out_len: bytes copied; 0 at or behind the end of @from, less than @len at its end or when the
 *           filesystem is full in the middle
 * Return: 0, -EINVAL (the ranges meet in one file), -EOPNOTSUPP: there is no cluster to be shared,
 *         reading and writing is as good.
 */
int fs_copy_range(struct super *sb, const struct fs_cred *cred, ino_nr from, uint64_t from_off,
		  ino_nr to, uint64_t to_off, uint64_t len, uint64_t *out_len) ZT_MUST_CHECK;

/*
 * Whether the kernel may have pages of a file is remembered, so that a write around its cache knows
 * whether they must be dropped. Without a lock; the caller's request keeps the inode.
 *
 *     0 --fs_note_pages--> FS_PAGES_TURNS --each drop of a range--> ... 1 --drop of all--> 0
 *                                ^---------------fs_note_pages------------'
 *
 * fs_note_pages() comes before what it is about is read; fs_pages_known() after what it is about was
 * written. So of a read and a write side by side the write hears of the read, or the read has the
 * new bytes.
 */
#define FS_PAGES_TURNS 64u

/** fs_note_pages() - bytes of the file go into the kernel's pages, or come from there */
void fs_note_pages(struct super *sb, ino_nr ino);

/** fs_pages_known() - Return: 0 when the kernel has no pages; 1: all of them are to be dropped */
unsigned fs_pages_known(struct super *sb, ino_nr ino);

/** fs_pages_dropped() - they were, as fs_pages_known() gave @turns; one thread at a time */
void fs_pages_dropped(struct super *sb, ino_nr ino, unsigned turns);

/** fs_lseek() - SEEK_DATA and SEEK_HOLE, exact to the page. -ENXIO, -EINVAL. */
int fs_lseek(struct super *sb, ino_nr ino, uint64_t off, int whence,
	     uint64_t *out_off) ZT_MUST_CHECK;

/**
 * fs_fetch() - bring what is out of a regular file back into memory, in rounds
 * Return: 0; -EOPNOTSUPP there is no spill file; -ENOSPC there is no memory for more; -EINTR the caller
 * has given up; -EIO; as file_open().
 */
int fs_fetch(struct super *sb, ino_nr ino) ZT_MUST_CHECK;

#endif
