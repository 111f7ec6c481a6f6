// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * file.c - reading and writing of the spill file: whole ranges, or an error; and whether it takes any.
 *
 * Locks: none, and none is held: it waits for the disk. One thread writes.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "blkmap/spill/spill_i.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/sizes.h"

int (*spill_io_hook)(bool writes, uint64_t off, size_t *inout_len);

/*
 * A file whose system does not take O_DIRECT for such a range after all is used through the page
 * cache from then on.
 */
static bool drop_direct(int fd)
{
	const int flags = fcntl(fd, F_GETFL);

	return flags >= 0 && flags & O_DIRECT && fcntl(fd, F_SETFL, flags & ~O_DIRECT) == 0;
}

static int error_of(struct spill *spill, ssize_t done)
{
	if (done > 0 || (done < 0 && errno == EINTR))
		return 0;
	if (done == 0)
		return -EIO;
	if (errno == EINVAL && drop_direct(spill->fd))
		return 0;
	return -errno;
}

static int write_all(struct spill *spill, uint64_t off, const char *bytes, size_t len)
{
	while (len > 0) {
		size_t part = len;
		int error = spill_io_hook ? spill_io_hook(true, off, &part) : 0;
		ssize_t done;

		if (error)
			return error;
		done = pwrite(spill->fd, bytes, part, (off_t)off);
		error = error_of(spill, done);
		if (error)
			return error;
		if (done > 0) {
			off += (uint64_t)done;
			bytes += done;
			len -= (size_t)done;
		}
	}
	return 0;
}

/* What takes too long is seen by those who wait for it. */
static void write_begins(struct spill *spill)
{
	atomic_store_explicit(&spill->writing_since, zt_now_ns(), memory_order_relaxed);
}

static void write_ends(struct spill *spill)
{
	atomic_store_explicit(&spill->writing_since, 0, memory_order_relaxed);
	atomic_store_explicit(&spill->told_slow, 0, memory_order_relaxed);
}

int file_write(struct spill *spill, uint64_t off, const char *bytes, size_t len)
{
	int error;

	write_begins(spill);
	error = write_all(spill, off, bytes, len);
	write_ends(spill);
	return error;
}

static bool is_slow(const struct spill *spill)
{
	const uint64_t since = atomic_load_explicit(&spill->writing_since, memory_order_relaxed);

	return since && zt_now_ns() - since >= spill_hangs_ns;
}

bool spill_may_write(struct spill *spill)
{
	if (is_slow(spill) &&
	    atomic_exchange_explicit(&spill->told_slow, 1, memory_order_relaxed) == 0)
		zt_log(ZT_LOG_ERR,
		       "spill: the disk does not answer; what is in memory stays there until it does");
	return spill_free_bytes(spill) > 0;
}

uint64_t spill_free_bytes(const struct spill *spill)
{
	const uint64_t until = atomic_load_explicit(&spill->failed_until, memory_order_relaxed);
	const uint64_t used = atomic_load_explicit(&spill->used_units, memory_order_relaxed);

	if ((until && zt_now_ns() / ZT_NS_PER_S < until) || is_slow(spill))
		return 0;
	return (spill->size / SPILL_UNIT - used) * SPILL_UNIT;
}

/* The bytes that are there already. */
static void iov_advance(struct iovec **inout_iov, int *inout_nr, size_t done)
{
	while (*inout_nr > 0 && done >= (*inout_iov)->iov_len) {
		done -= (*inout_iov)->iov_len;
		++*inout_iov;
		--*inout_nr;
	}
	if (*inout_nr > 0) {
		(*inout_iov)->iov_base = (char *)(*inout_iov)->iov_base + done;
		(*inout_iov)->iov_len -= done;
	}
}

int file_read(struct spill *spill, uint64_t off, struct iovec *iov, int nr)
{
	while (nr > 0) {
		size_t part = iov->iov_len;
		int error = spill_io_hook ? spill_io_hook(false, off, &part) : 0;
		ssize_t done;

		if (error)
			return error;
		if (part < iov->iov_len) /* a test wants it short */
			done = pread(spill->fd, iov->iov_base, part, (off_t)off);
		else
			done = preadv(spill->fd, iov, nr, (off_t)off);
		error = error_of(spill, done);
		if (error)
			return error;
		if (done > 0) {
			off += (uint64_t)done;
			iov_advance(&iov, &nr, (size_t)done);
		}
	}
	return 0;
}

/* Where that is not possible the space stays the file's. */
void file_punch(struct spill *spill, uint64_t off, uint64_t len)
{
	write_begins(spill);
	(void)fallocate(spill->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)off,
			(off_t)len);
	write_ends(spill);
}
