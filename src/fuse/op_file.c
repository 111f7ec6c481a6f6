// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * op_file.c - requests about the content of regular files, but for WRITE (op_write.c).
 *
 * Locks: none here. A file has no state of its own per open: OPEN is answered with ENOSYS, which
 * the kernel takes for "always yes" and never asks again; CREATE likewise, so that a new file costs
 * one MKNOD. Only cache=never opens files, since direct I/O is a mark on each open.
 *
 * FSYNC and RELEASE have no handler: there is nothing to do that the kernel has not done before (it
 * writes its dirty pages, and reports what that gave). libfuse then says ENOSYS, which the kernel
 * remembers as success. FLUSH is answered likewise, but where a refusal could be lost otherwise.
 */
#include "fs/file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>

#include "fs/fileattr.h"
#include "fs/livesave.h"
#include "fs/namei.h"
#include "fuse/ops.h"
#include "fuse/refused.h"
#include "fuse/reply.h"
#include "fuse/request.h"
#include "util/sizes.h"

/* Bytes of one COPY_FILE_RANGE. */
#define COPY_MAX (UINT64_C(1) << 30)

/*
 * Every read and write is a request; writes to one file go on side by side (shim.c sets the bit
 * where the library has none).
 */
static void open_direct(struct fuse_file_info *fi)
{
	fi->direct_io = 1;
#if FUSE_VERSION >= FUSE_MAKE_VERSION(3, 15)
	fi->parallel_direct_writes = 1;
#endif
}

void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	int error;

	if (req_front(req)->cache != ZTFUSE_CACHE_NEVER) {
		reply_error(req, -ENOSYS);
		return;
	}
	error = fs_may_open(req_super(req), ino, fi->flags);
	if (error) {
		reply_error(req, error);
		return;
	}
	open_direct(fi);
	(void)fuse_reply_open(req, fi);
}

/* What the kernel has written before may have been refused, and somebody else took the error. */
void op_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct ztfuse_full *full = &req_front(req)->full;

	(void)fi;
	if (!full->flush)
		reply_error(req, -ENOSYS);
	else if (full_mends(req))
		reply_error(req, 0); /* it is for those who have written */
	else
		reply_error(req, full_told(full, ino) ? -ENOSPC : 0);
}

/*
 * The file is open with the reply, and there is no ENOSYS that would make the kernel open such
 * files by itself; like all others it stays without a state of its own.
 */
void op_tmpfile(fuse_req_t req, fuse_ino_t parent, mode_t mode, struct fuse_file_info *fi)
{
	const struct fs_cred cred = req_maker(req, parent, mode);
	struct fs_entry entry;
	int error;

	if (req_front(req)->cache == ZTFUSE_CACHE_NEVER) {
		open_direct(fi);
	} else {
		fi->keep_cache = 1;
		fi->noflush = 1;
	}
	error = fs_tmpfile(req_super(req), &cred, parent, mode, !(fi->flags & O_EXCL), &entry);
	reply_create(req, error, &entry, fi);
}

void op_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
	       struct fuse_file_info *fi)
{
	const struct fs_cred cred = req_maker(req, parent, mode);
	struct fs_entry entry;
	int error;

	if (ztfuse_req_is_tmpfile(req)) {
		op_tmpfile(req, parent, mode, fi);
		return;
	}
	if (req_front(req)->cache != ZTFUSE_CACHE_NEVER) {
		reply_error(req, -ENOSYS);
		return;
	}
	open_direct(fi);
	error = fs_mknod(req_super(req), &cred, parent, name, S_IFREG | (mode & 07777), 0, &entry);
	reply_create(req, error, &entry, fi);
}

void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
	struct ztfuse_buffers *buffers = &req_front(req)->buffers;
	void *buf;
	bool own;
	size_t done;
	int error;

	(void)fi;
	/* No kernel sends these; they must not reach beyond the buffer. */
	if (size > req_front(req)->io_max || off < 0) {
		reply_error(req, -EINVAL);
		return;
	}
	buf = ztfuse_reply_buffer(req, size);
	own = buf != NULL;
	if (!own)
		buf = buffers_get(buffers);
	if (!buf) {
		reply_error(req, -ENOMEM);
		return;
	}
	if (!ztfuse_req_is_direct(req))
		fs_note_pages(req_super(req), ino);
	if (unlikely(livesave_is_of(req_super(req), ino)))
		error = livesave_read(req_super(req), (uint64_t)off, buf, size, &done);
	else
		error = fs_read(req_super(req), ino, (uint64_t)off, buf, size, &done);
	if (error) {
		reply_error(req, error);
	} else {
		traffic_read(&req_front(req)->traffic, done);
		(void)fuse_reply_buf(req, buf, done);
	}
	if (!own)
		buffers_put(buffers, buf);
}

void op_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t off, off_t len,
		  struct fuse_file_info *fi)
{
	const struct refused_range range = { ino, (uint64_t)off, (uint64_t)len };
	const struct fs_cred cred = req_cred(req);
	bool expected;
	int error;

	(void)fi;
	if (off < 0 || len <= 0) {
		reply_error(req, -EINVAL);
		return;
	}
	expected = !(mode & FALLOC_FL_PUNCH_HOLE) && full_expect(req, (uint64_t)len);
	error = fs_fallocate(req_super(req), &cred, ino, mode, (uint64_t)off, (uint64_t)len);
	if (expected)
		full_expected(&req_front(req)->full);
	full_written(req_front(req));
	if (error && mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE))
		refused_reply(req, &range, error, 0);
	else
		reply_error(req, error);
}

/*
 * The kernel has written the dirty pages of both ranges before it asks. What cannot be shared it
 * copies by itself, through its pages, when it hears EOPNOTSUPP.
 */
void op_copy_file_range(fuse_req_t req, fuse_ino_t ino_in, off_t off_in,
			struct fuse_file_info *fi_in, fuse_ino_t ino_out, off_t off_out,
			struct fuse_file_info *fi_out, size_t len, int flags)
{
	const struct refused_range range = { ino_out, (uint64_t)off_out, len };
	const struct fs_cred cred = req_cred(req);
	uint64_t done = 0;
	bool expected;
	int error;

	(void)fi_in;
	(void)fi_out;
	if (off_in < 0 || off_out < 0 || flags != 0) {
		reply_error(req, -EINVAL);
		return;
	}
	expected = full_expect(req, min_u64(len, COPY_MAX));
	/* The reply has 32 bits. */
	error = fs_copy_range(req_super(req), &cred, ino_in, (uint64_t)off_in, ino_out,
			      (uint64_t)off_out, min_u64(len, COPY_MAX), &done);
	if (expected)
		full_expected(&req_front(req)->full);
	full_written(req_front(req));
	if (error || done < len)
		refused_reply(req, &range, error, done);
	else
		reply_write(req, error, done);
}
