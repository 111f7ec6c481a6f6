// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * read.c - bytes of regular files are read, out of memory or from the spill file.
 *
 * Locks: the inode, shared, and not while the disk is waited for.
 */
#include <errno.h>

#include "blkmap/spilled.h"
#include "fs/file.h"
#include "fs/inode_i.h"

/* @out_len: bytes that there are. On -EREMOTE, too. */
static int read_once(struct super *sb, ino_nr ino, uint64_t off, void *buf, size_t len,
		     size_t *out_len)
{
	struct blkmap_file file;
	struct inode_rec *rec;
	uint64_t size;
	int err;

	inode_lock_shared(sb, ino);
	err = file_open(sb, ino, &rec);
	if (err)
		goto out;
	/*
	 * Pairs with the release in inode_raise_size(): what lies below the size has been stored.
	 */
	size = __atomic_load_n(&rec->size, __ATOMIC_ACQUIRE);
	len = off < size ? min_u64(len, size - off) : 0;
	file = inode_file(rec);
	if (len > 0)
		err = blkmap_read(sb->map, &file, off, buf, len);
	if (!err)
		inode_touch_read(sb, rec);
	*out_len = len;
out:
	inode_unlock(sb, ino);
	return err;
}

/* So many are read at a time when some of it is out: they stand in copies together. */
#define SPILLED_CLUSTERS 8u

static uint64_t cluster_of_file(struct super *sb, ino_nr ino)
{
	const struct inode_rec *rec = inode_get(sb, ino);

	return (uint64_t)ZT_PAGE_SIZE << (rec ? rec_load(&rec->cluster_order) : 0);
}

/*
 * Some of it is out. What was read is not read again: piece by piece, and in the end cluster by
 * cluster, where others want so many copies that a piece does not come together.
 */
static int read_spilled(struct super *sb, ino_nr ino, uint64_t off, char *buf, size_t len,
			size_t *out_len)
{
	const uint64_t cluster = cluster_of_file(sb, ino);
	uint64_t piece = SPILLED_CLUSTERS * cluster;
	size_t done = 0, got = 0;
	int err = 0;

	super_read_spilled(sb);
	while (done < len) {
		const size_t part = min_u64(piece - (off + done) % piece, len - done);

		err = read_once(sb, ino, off + done, buf + done, part, &got);
		if (err == -EREMOTE) {
			super_read_spilled(sb);
			err = read_once(sb, ino, off + done, buf + done, part, &got);
		}
		if (err == -EREMOTE) {
			piece = max_u64(piece / 2, cluster);
			continue;
		}
		if (err)
			break;
		done += got;
		if (got < part)
			break;
	}
	*out_len = done;
	return err;
}

int fs_read(struct super *sb, ino_nr ino, uint64_t off, void *buf, size_t len, size_t *out_len)
{
	size_t got = 0;
	int err = read_once(sb, ino, off, buf, len, &got);

	if (unlikely(err == -EREMOTE))
		err = read_spilled(sb, ino, off, buf, got, &got);
	blkmap_spill_done(sb->map);
	if (!err)
		*out_len = got;
	return err;
}
