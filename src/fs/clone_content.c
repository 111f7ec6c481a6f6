// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * clone_content.c - what a file contains, for its copy. See clone_i.h.
 *
 * Clusters are shared in rounds. What others change between two of them is noted (changed.h), and
 * shared once more: the round in which nothing is left to share is the moment that the copy is of.
 * Others change a few clusters while a round shares thousands, so that it comes soon.
 *
 * Locks: the original's inode, exclusive, so that nothing changes in a round. The copy's is not
 * taken: nobody knows it, and it may be the same one.
 */
#include <errno.h>
#include <unistd.h>

#include "fs/clone_i.h"
#include "util/alloc.h"

/* Clusters between two looks at the clock. */
#define SHARE_UNITS 64u
/*
 * So often what was changed is gone through in rounds of the common length. Each time more makes them
 * twice as long: between two of them each thread that waits changes one thing, so that they need be no
 * longer than all these things together.
 */
#define PASSES_MAX    4u
#define DOUBLINGS_MAX 20u
#define SHORTEST_NS   UINT64_C(1000) /* doubled, it is something */
/* A few clusters that are shared; to fold one takes longer. */
#define PART_UNITS (ZT_ROUND_UNITS / 4)

/* What lies from c.at to @end of @buf, which was read there, but for the holes. */
static int write_data(struct clone_content *c, const struct blkmap_file *from,
		      const struct blkmap_file *to, const char *buf, uint64_t end)
{
	struct blkmap *map = c->sb->map;
	uint64_t at = c->at, data, hole;
	int err = 0;

	while (!err && at < end) {
		size_t done;

		err = blkmap_seek(map, from, end, at, SEEK_DATA, &data);
		if (!err)
			err = blkmap_seek(map, from, end, data, SEEK_HOLE, &hole);
		if (err)
			break;
		at = min_u64(hole, end);
		err = blkmap_write(map, to,
				   &(struct blkmap_bytes){ data, buf + (data - c->at), at - data,
							   ZSTRM_DEFAULT },
				   &done);
	}
	return err == -ENXIO ? 0 : err;
}

/* One cluster as bytes: what lies behind the end, or does not fold, is not shared. */
static int copy_cluster(struct clone_content *c, const struct blkmap_file *from,
			const struct blkmap_file *to, size_t len)
{
	char *buf = zt_alloc_aligned(64, len);
	int err;

	if (!buf)
		return -ENOMEM;
	err = blkmap_read(c->sb->map, from, c->at, buf, len);
	if (!err)
		err = write_data(c, from, to, buf, c->at + len);
	zt_free(buf);
	return err;
}

static int share_some(struct clone_content *c, const struct blkmap_file *from,
		      const struct blkmap_file *to, uint64_t len)
{
	const uint64_t cluster = (uint64_t)ZT_PAGE_SIZE << from->order;
	struct blkmap *map = c->sb->map;
	struct blkmap_copy copy = { .from = from,
				    .to = to,
				    .from_off = c->at,
				    .to_off = c->at,
				    .len = min_u64(len, SHARE_UNITS * cluster) };
	uint64_t done = 0;
	int err = blkmap_share(map, &copy, &done);

	c->at += done;
	if (err != -EAGAIN)
		return err;
	copy.len = min_u64(len - done, cluster);
	copy.from_off = copy.to_off = c->at;
	done = 0;
	c->units = ZT_ROUND_UNITS;
	err = blkmap_fold(map, from, c->at);
	if (!err)
		err = blkmap_share(map, &copy, &done);
	if (err == -EAGAIN)
		err = copy_cluster(c, from, to, copy.len);
	if (!err)
		c->at += copy.len;
	return err;
}

/* On to the next cluster that has data. Return: 0; -ENXIO: there is none; -EAGAIN. */
static int skip_hole(struct clone_content *c, struct blkmap_file *from, uint64_t end,
		     struct zt_round *round)
{
	const uint64_t cluster = (uint64_t)ZT_PAGE_SIZE << from->order;
	struct blkmap_file file = *from;
	uint64_t data;
	int err;

	file.round = round;
	err = blkmap_seek(c->sb->map, &file, end, c->at, SEEK_DATA, &data);
	if (!err)
		c->at = data / cluster * cluster;
	else if (err == -EAGAIN)
		c->at = round->at / cluster * cluster;
	return err;
}

/* What the copy had there is not so any more. Return: 0, -EAGAIN. */
static int clear(struct clone_content *c, struct zt_round *round)
{
	struct blkmap_file to = inode_file(c->to);
	int err;

	if (!c->clear)
		return 0;
	to.round = round;
	err = c->end == CHANGED_ALL ? blkmap_truncate(c->sb->map, &to, c->at)
				    : blkmap_punch(c->sb->map, &to, c->at, c->end - c->at);
	c->clear = err != 0;
	return err;
}

/* From c.at to c.end. Return: 0; -EAGAIN the round is over. */
static int share_part(struct clone_content *c, struct inode_rec *from, struct zt_round *round)
{
	struct blkmap_file from_file = inode_file(from);
	const uint64_t end = min_u64(c->end, rec_load(&from->size));
	int err = clear(c, round);

	while (!err && c->at < end) {
		struct blkmap_file to_file;

		err = skip_hole(c, &from_file, end, round);
		if (err == -ENXIO)
			return 0;
		if (!err)
			err = file_prepare(c->sb, c->to, c->at, end - c->at, NULL);
		to_file = inode_file(c->to);
		if (!err)
			err = share_some(c, &from_file, &to_file, end - c->at);
		if (!err && c->at < end && zt_round_spent(round, ZT_ROUND_UNITS))
			err = -EAGAIN;
	}
	return err;
}

/* Whether something is to be shared yet. */
static bool next_part(struct clone_content *c, const struct inode_rec *from)
{
	const uint64_t size = rec_load(&from->size);

	if (c->end == CHANGED_ALL)
		c->shared = size;
	if (!c->watches)
		return false;
	c->clear = true;
	if (changed_take(&c->changed, &c->at, &c->end))
		return true;
	/* It has grown, and may have had pages there. */
	c->at = c->shared >> c->changed.shift << c->changed.shift;
	c->end = CHANGED_ALL;
	return c->shared < size;
}

static void prolong(const struct clone_content *c, struct zt_round *round)
{
	const unsigned passes = c->changed.passes;

	if (passes > PASSES_MAX)
		zt_round_begin(round, (c->sb->round_ns + SHORTEST_NS)
					      << min_u64(passes - PASSES_MAX, DOUBLINGS_MAX));
}

int clone_content(struct clone_content *c, struct inode_rec *from, struct zt_round *round)
{
	int err = 0;

	prolong(c, round);
	round->at = c->at;
	if (inode_tail_is_dirty(from))
		err = inode_cut(c->sb, from, from->size, round);
	while (!err) {
		c->units = PART_UNITS;
		err = share_part(c, from, round);
		if (err || !next_part(c, from))
			break;
		if (zt_round_spent(round, c->units))
			err = -EAGAIN;
	}
	return err;
}

int clone_content_watch(struct clone_content *c, const struct inode_rec *from)
{
	int err;

	if (c->watches)
		return 0;
	err = changed_begin(&c->changed, inode_lock_of(c->sb, c->ino), c->ino,
			    (uint64_t)ZT_PAGE_SIZE << from->cluster_order, rec_load(&from->size));
	c->watches = !err;
	if (err) {
		c->at = 0;
		c->end = CHANGED_ALL;
		c->clear = true;
	}
	return err;
}

void clone_content_end(struct clone_content *c)
{
	if (c->watches)
		changed_end(&c->changed, inode_lock_of(c->sb, c->ino));
	c->watches = false;
}
