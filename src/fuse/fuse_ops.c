// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * fuse_ops.c - the table of requests, and what is agreed with the kernel before the first one.
 *
 * Some requests are left out on purpose: access (default_permissions), fsync and release (nothing
 * to do, see op_file.c), and getlk, setlk and flock (the kernel locks by itself, and better:
 * waiters stay killable).
 */
#include "fuse/fuse_ops.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "fuse/ops.h"
#include "util/alloc.h"

/*
 * Requests that the kernel may have under way for its own sake: readahead, writeback, async direct
 * I/O. The kernel's default is 12, fewer than two cores of compressors with 1 MiB requests keep
 * busy.
 */
#define MAX_BACKGROUND 256

/* Capability bits moved to 64 bits in libfuse 3.17, which sets them by function. */
static bool cap_available(const struct fuse_conn_info *conn, uint64_t cap)
{
#if FUSE_VERSION >= FUSE_MAKE_VERSION(3, 17)
	return (conn->capable_ext & cap) != 0;
#else
	return (conn->capable & cap) != 0;
#endif
}

static void cap_set(struct fuse_conn_info *conn, uint64_t cap, bool wanted)
{
	if (!cap_available(conn, cap))
		return;
#if FUSE_VERSION >= FUSE_MAKE_VERSION(3, 17)
	if (wanted)
		(void)fuse_set_feature_flag(conn, cap); /* it is available, see above */
	else
		fuse_unset_feature_flag(conn, cap);
#else
	if (wanted)
		conn->want |= (unsigned)cap;
	else
		conn->want &= ~(unsigned)cap;
#endif
}

static void op_init(void *userdata, struct fuse_conn_info *conn)
{
	struct ztfuse *front = userdata;
	const bool acl = front->xattr && super_has_acl(front->sb);

	cap_set(conn, FUSE_CAP_WRITEBACK_CACHE, front->cache == ZTFUSE_CACHE_WRITEBACK);
#ifdef FUSE_CAP_DIRECT_IO_ALLOW_MMAP
	cap_set(conn, FUSE_CAP_DIRECT_IO_ALLOW_MMAP, front->cache == ZTFUSE_CACHE_NEVER);
#endif
	cap_set(conn, FUSE_CAP_ASYNC_READ, true);
	cap_set(conn, FUSE_CAP_ASYNC_DIO, true);
	cap_set(conn, FUSE_CAP_PARALLEL_DIROPS, true);
	cap_set(conn, FUSE_CAP_READDIRPLUS, true);
	cap_set(conn, FUSE_CAP_READDIRPLUS_AUTO, true);
	cap_set(conn, FUSE_CAP_CACHE_SYMLINKS, true);
	cap_set(conn, FUSE_CAP_EXPORT_SUPPORT, true);
	cap_set(conn, FUSE_CAP_IOCTL_DIR, true);
	/*
	 * O_TRUNC would come with OPEN, which is never sent: the kernel must truncate by SETATTR.
	 */
	cap_set(conn, FUSE_CAP_ATOMIC_O_TRUNC, false);
	/*
	 * Nothing changes behind the kernel; with it, mtime steps drop pages that others have just
	 * read.
	 */
	cap_set(conn, FUSE_CAP_AUTO_INVAL_DATA, false);
	/*
	 * Without it the kernel clears set-ID bits when write(2) is called, by SETATTR. A delayed
	 * write could do it only later. Chown and truncation are the fs layer's.
	 */
	cap_set(conn, FUSE_CAP_HANDLE_KILLPRIV, false);
	/* The umask comes with the request: directories with a default ACL do without it. */
	cap_set(conn, FUSE_CAP_POSIX_ACL, acl);
	cap_set(conn, FUSE_CAP_DONT_MASK, acl);
	/* The bytes are touched anyway: a pipe between would be a copy more. */
	cap_set(conn, FUSE_CAP_SPLICE_READ, false);
	cap_set(conn, FUSE_CAP_SPLICE_WRITE, false);
	cap_set(conn, FUSE_CAP_SPLICE_MOVE, false);

	if (conn->max_write > front->io_max)
		conn->max_write = front->io_max;
	conn->max_read = front->io_max;
	if (conn->max_readahead > front->io_max)
		conn->max_readahead = front->io_max;
	conn->max_background = MAX_BACKGROUND;
	conn->congestion_threshold = MAX_BACKGROUND / 4 * 3;
	/* Only the write-back cache has the kernel keep times. */
	front->kernel_times = front->cache == ZTFUSE_CACHE_WRITEBACK &&
			      cap_available(conn, FUSE_CAP_WRITEBACK_CACHE);
	/*
	 * Of 5.13 and later kernels only those before 5.14 have this minor: looking twice harms none
	 * of them, and so it is with 6.0.
	 */
	front->raw_chattr = conn->proto_minor < 34;
	front->raw_sgid = conn->proto_minor < 37;
	front->initialised = true;
}

static const struct fuse_lowlevel_ops table = {
	.init = op_init,
	.lookup = op_lookup,
	.forget = op_forget,
	.forget_multi = op_forget_multi,
	.getattr = op_getattr,
	.setattr = op_setattr,
	.readlink = op_readlink,
	.mknod = op_mknod,
	.mkdir = op_mkdir,
	.unlink = op_unlink,
	.rmdir = op_rmdir,
	.symlink = op_symlink,
	.rename = op_rename,
	.link = op_link,
	.create = op_create,
	.open = op_open,
	.read = op_read,
	.write = op_write,
	.flush = op_flush,
	.fallocate = op_fallocate,
	.lseek = op_lseek,
	.copy_file_range = op_copy_file_range,
	.opendir = op_opendir,
	.readdir = op_readdir,
	.readdirplus = op_readdirplus,
	.statfs = op_statfs,
	.setxattr = op_setxattr,
	.getxattr = op_getxattr,
	.listxattr = op_listxattr,
	.removexattr = op_removexattr,
	.ioctl = op_ioctl,
};

void ztfuse_init(struct ztfuse *front, struct super *sb, enum ztfuse_cache cache)
{
	front->sb = sb;
	front->cache = cache;
	front->xattr = true;
	front->initialised = false;
	front->kernel_times = false;
	front->raw_chattr = false;
	front->raw_sgid = false;
	front->se = NULL;
	front->kills_setid = false;
	for (size_t i = 0; i < ARRAY_SIZE(front->capability_gone); i++)
		atomic_init(&front->capability_gone[i], 0);
	front->ledger = NULL;
	front->upgrade = NULL;
	front->upgrade_arg = NULL;
	atomic_init(&front->leaves, ZTFUSE_STAYS);
	front->transport = NULL;
	seeker_init(&front->seeker);
	retry_init(&front->retry);
	writers_init(&front->writers);
	notifier_init(&front->notifier);
	atomic_init(&front->nr_dropping, 0);
	full_init(&front->full);
	traffic_init(&front->traffic);
	front->io_max = ZTFUSE_IO_MAX;
	front->keeps_buffers = false;
	buffers_init(&front->buffers, front->io_max);
}

int ztfuse_prepare_swap(struct ztfuse *front, unsigned nr_threads)
{
	void *bufs[64];
	unsigned nr = 0;

	buffers_exit(&front->buffers);
	if (front->io_max > ZTFUSE_SWAP_IO_MAX)
		front->io_max = ZTFUSE_SWAP_IO_MAX;
	front->keeps_buffers = true;
	buffers_init(&front->buffers, front->io_max);
	while (nr < min_u64(nr_threads, ARRAY_SIZE(bufs)) &&
	       (bufs[nr] = buffers_get(&front->buffers)) != NULL)
		nr++;
	for (unsigned i = 0; i < nr; i++)
		buffers_put(&front->buffers, bufs[i]);
	return nr == min_u64(nr_threads, ARRAY_SIZE(bufs)) ? 0 : -ENOMEM;
}

void ztfuse_exit(struct ztfuse *front)
{
	retry_exit(&front->retry);
	seeker_exit(&front->seeker);
	writers_exit(&front->writers);
	notifier_exit(&front->notifier);
	full_exit(&front->full);
	buffers_exit(&front->buffers);
}

int ztfuse_session_new(struct ztfuse *front, const struct ztfuse_session_params *params,
		       struct fuse_session **out_se)
{
	struct fuse_args args = FUSE_ARGS_INIT(0, NULL);
	struct fuse_session *se = NULL;
	char max_read[32];

	/* READ's size is agreed on twice: here for mount(2), and in op_init(). */
	snprintf(max_read, sizeof(max_read), "-omax_read=%u", front->io_max);
	if (fuse_opt_add_arg(&args, "ztmpfs") != 0 || fuse_opt_add_arg(&args, max_read) != 0 ||
	    fuse_opt_add_arg(&args, "-odefault_permissions") != 0)
		goto out;
	if (params->debug && fuse_opt_add_arg(&args, "-odebug") != 0)
		goto out;
	if (params->mount_opts && *params->mount_opts &&
	    (fuse_opt_add_arg(&args, "-o") != 0 ||
	     fuse_opt_add_arg(&args, params->mount_opts) != 0))
		goto out;
	se = fuse_session_new(&args, &table, sizeof(table), front);
	front->se = se;
out:
	fuse_opt_free_args(&args);
	if (!se)
		return -EINVAL;
	*out_se = se;
	return 0;
}
