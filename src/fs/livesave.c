// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * livesave.c - a snapshot of a mount in use. See livesave.h.
 *
 * Locks: the file's inode lock while it is looked at; the spiller's pass_lock over the moment. Which
 * file it is, is one atomic word: it is set when all is ready, and cleared before the inode can be
 * another file's.
 */
#include "fs/livesave.h"

#include <errno.h>
#include <sys/random.h>
#include <time.h>

#include "arena/snapshot.h"
#include "blkmap/spilled.h"
#include "fs/inode_i.h"
#include "fs/super_i.h"
#include "util/clock.h"

/* Requests are stopped so long at a time for those before them to end, and so often. */
#define CLOSE_NS    (UINT64_C(5) * 1000 * 1000)
#define CLOSE_TRIES 400u

/* Between two tries what was stopped goes on. */
static void let_all(void)
{
	const struct timespec a_while = { .tv_nsec = 2 * (long)CLOSE_NS };

	(void)nanosleep(&a_while, NULL); /* however long it was */
}

static int check_file(struct super *sb, ino_nr ino)
{
	const struct inode_rec *rec;
	bool fits;

	inode_lock_shared(sb, ino);
	rec = inode_get(sb, ino);
	fits = rec && inode_is_reg(rec) && rec_load(&rec->nlink) == 0;
	inode_unlock(sb, ino);
	return fits ? 0 : -EINVAL;
}

/* Return: 0 at the moment; -EAGAIN once more. */
static int try_moment(struct super *sb, uint64_t *out_pause_ns)
{
	const uint64_t begin = zt_now_ns(), until = begin + CLOSE_NS;
	int error = gate_close(&sb->gate, until);

	if (error)
		return error;
	if (!blkmap_drain(sb->map, until))
		error = -EAGAIN;
	if (!error)
		error = arena_snapshot_take(sb->arena);
	gate_open(&sb->gate);
	*out_pause_ns = zt_now_ns() - begin;
	return error;
}

static int take_moment(struct super *sb, uint64_t *out_pause_ns)
{
	int error = -EAGAIN;

	for (unsigned i = 0; i < CLOSE_TRIES && error == -EAGAIN; i++) {
		if (i > 0)
			let_all();
		error = try_moment(sb, out_pause_ns);
	}
	return error == -EAGAIN ? -EBUSY : error;
}

/* The caller's own request is not one that may be half done. */
static int snapshot(struct super *sb, struct arena_snapshot_facts *out_pages,
		    uint64_t *out_pause_ns)
{
	unsigned was;
	int error = arena_snapshot_prepare(sb->arena);

	if (error)
		return error;
	was = gate_step_out(&sb->gate);
	error = take_moment(sb, out_pause_ns);
	gate_step_in(&sb->gate, was);
	if (!error)
		error = arena_snapshot_find(sb->arena, out_pages);
	if (error)
		arena_snapshot_end(sb->arena);
	return error;
}

/* With what is out, which stays as it is from before the moment on. */
static int snapshot_all(struct super *sb, struct livesave *out, uint64_t *out_pause_ns)
{
	int error = blkmap_keep_begin(sb->map);

	if (error)
		return error;
	error = snapshot(sb, &out->pages, out_pause_ns);
	if (!error) {
		error = blkmap_keep_list(sb->map, &out->out_pages, &out->out_objects);
		if (error)
			arena_snapshot_end(sb->arena);
	}
	blkmap_keep_go_on(sb->map);
	if (error)
		blkmap_keep_end(sb->map);
	return error;
}

static int make_id(uint64_t *out_id)
{
	do {
		if (getrandom(out_id, sizeof(*out_id), 0) != sizeof(*out_id))
			return -errno;
	} while (*out_id == 0);
	return 0;
}

int livesave_begin(struct super *sb, ino_nr ino, struct livesave_facts *out_facts)
{
	struct livesave_facts facts = { 0 };
	struct livesave live;
	int error = check_file(sb, ino);

	/* Contents stand in another image. */
	if (!error && sb->lender)
		error = -EOPNOTSUPP;
	if (!error)
		error = make_id(&facts.id);
	if (error)
		return error;
	if (atomic_exchange(&sb->livesave_begins, true))
		return -EBUSY;
	super_image_facts(sb, &facts.image);
	error = snapshot_all(sb, &live, &facts.pause_ns);
	if (!error) {
		sb->livesave = live;
		facts.reserve = live.pages.reserve;
		facts.nr_pages = live.pages.nr_pages + live.out_pages;
		facts.nr_extents = live.pages.nr_extents + live.out_objects;
		atomic_store(&sb->livesave_id, facts.id);
		/* Release: who sees it sees the snapshot. */
		atomic_store_explicit(&sb->livesave_ino, ino, memory_order_release);
		*out_facts = facts;
	}
	atomic_store(&sb->livesave_begins, false);
	return error;
}

/* Extents of what is out, behind the arena's. */
static int read_places(struct super *sb, uint64_t off, void *buf, size_t len, size_t *out_done)
{
	const uint64_t base = sb->livesave.pages.reserve >> ZT_PAGE_SHIFT;
	uint64_t idx = off / sizeof(struct arena_snapshot_extent);
	struct arena_snapshot_extent *to = buf;
	struct spill_kept kept;
	int error = 0;

	if (off % sizeof(*to))
		return -EINVAL;
	for (*out_done = 0; *out_done + sizeof(*to) <= len && idx < sb->livesave.out_objects;
	     *out_done += sizeof(*to), idx++) {
		error = blkmap_keep_at(sb->map, idx, &kept);
		if (error)
			break;
		*to++ = (struct arena_snapshot_extent){ (uint32_t)(base + kept.unit), kept.nr_units };
	}
	return error;
}

/* Pages of the arena, pages of what is out, extents of the one, extents of the other: of one of these. */
static int read_part(struct super *sb, uint64_t off, void *buf, size_t len, size_t *out_done)
{
	const struct livesave *live = &sb->livesave;
	const uint64_t pages = live->pages.nr_pages << ZT_PAGE_SHIFT;
	const uint64_t out = live->out_pages << ZT_PAGE_SHIFT;
	const uint64_t extents = live->pages.nr_extents * sizeof(struct arena_snapshot_extent);

	if (off < pages)
		return arena_snapshot_read(sb->arena, off, buf, min_u64(len, pages - off), out_done);
	if (off < pages + out)
		return off % ZT_PAGE_SIZE ?
			       -EINVAL :
			       blkmap_keep_read(sb->map, off - pages, buf,
						min_u64(len, pages + out - off), out_done);
	off -= out;
	if (off < pages + extents)
		return arena_snapshot_read(sb->arena, off, buf, min_u64(len, pages + extents - off),
					   out_done);
	return read_places(sb, off - pages - extents, buf, len, out_done);
}

/* Less than was asked for is the end of the file, and the kernel makes zeros of what is missing. */
int livesave_read(struct super *sb, uint64_t off, void *buf, size_t len, size_t *out_done)
{
	char *to = buf;
	size_t done = 0, part = 1;
	int error = 0;

	for (; !error && done < len && part > 0; done += part) {
		part = 0;
		error = read_part(sb, off + done, to + done, len - done, &part);
	}
	if (!error)
		*out_done = done;
	return error;
}

int livesave_check(struct super *sb, ino_nr ino, uint64_t id, uint64_t *out_held)
{
	if (!livesave_is_of(sb, ino) || id != atomic_load(&sb->livesave_id))
		return -ESTALE;
	*out_held = arena_snapshot_held(sb->arena);
	return 0;
}
