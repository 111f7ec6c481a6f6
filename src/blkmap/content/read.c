// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * read.c - reading byte ranges of a file, cluster by cluster.
 *
 * A read may write: a cluster that is read in small pieces again and again is spread (slot/heat.c),
 * by the thread that reads it.
 */
#include <errno.h>
#include <string.h>

#include "blkmap/cluster/cluster.h"
#include "blkmap/content/change.h"
#include "blkmap/content/content.h"
#include "blkmap/content/read.h"
#include "blkmap/slot/account.h"
#include "blkmap/slot/age.h"
#include "blkmap/slot/borrow.h"
#include "blkmap/slot/heat.h"

/* Somebody reads what a word stands for. Slot lock held. */
static void slot_used(struct slots *slots, uint64_t word)
{
	if (slot_kind(word) == SLOT_MAP)
		word = word_get(&cluster_map_at(slots, word)->base);
	if (slot_kind(word) == SLOT_OBJ)
		age_touch(slots, slot_ref(word));
}

/*
 * Somebody read a small piece of a cluster that is one object, or one page of those over it: a
 * reader that comes back for more finds it spread before long. The last quarter of the memory that
 * a limit allows is not for that.
 */
static void read_heats(const struct cluster *c, unsigned effort)
{
	uint64_t place = slot_place(c->slots, c->slot);

	if (heat_add(c->slots, place, effort ? effort : HEAT_READ) < HEAT_MAX || effort == 0)
		return;
	if (limit_is_near(c->slots, 4, UINT64_MAX) || cluster_spread(c))
		heat_clear(c->slots, place);
}

/* So little of a cluster that it is worth spreading. */
static bool is_small(const struct cluster *c, uint32_t len)
{
	return len * 4 <= cluster_size(c->file->order);
}

/*
 * What is out was read twice. The last part of the memory that a limit allows is not for that: there
 * other things would have to go out for it at once.
 */
static void read_brings_back(const struct cluster *c)
{
	int error = 0;

	if (!limit_is_near(c->slots, 16, UINT64_MAX))
		error = cluster_fetch(c);
	(void)error; /* it stays out, and is tried again when it is read again */
}

/* Bytes [from, to) of a cluster. Stream held. */
static int read_cluster(struct content *content, const struct cluster *c, uint32_t from,
			uint32_t to, char *dst)
{
	uint64_t before = strm_effort(c->strm), word;
	bool has_map, comes_back = false;
	unsigned effort;
	int error;

	read_lock_counted(&c->lock->lock, ZT_LOCK_SLOT);
	word = word_get(c->slot);
	has_map = slot_kind(word) == SLOT_MAP;
	slot_used(c->slots, word);
	error = cluster_load(c, word, from, to, dst);
	if (!error && slot_kind(word) == SLOT_SPILLED)
		comes_back = spill_read_again(c->slots->spill, slot_spilled_id(word));
	rw_unlock(&c->lock->lock);
	if (comes_back)
		read_brings_back(c);
	effort = (unsigned)(strm_effort(c->strm) - before);
	if (error)
		return error;
	/* Nothing is stored anew of what is outside. */
	if (slots_borrow(c->slots))
		return 0;
	if (is_small(c, to - from)) {
		if (effort > 0 || has_map)
			read_heats(c, effort);
	} else if (slot_kind(word) == SLOT_OBJ && slot_is_recompressed(word) &&
		   content->rereads.refs) {
		rereads_note(&content->rereads, c->slots, slot_place(c->slots, c->slot),
			     slot_ref(word));
	}
	return 0;
}

int read_range(struct content *content, const struct blkmap_file *file, struct zcomp_strm *strm,
	       uint64_t off, void *buf, size_t len)
{
	uint32_t size = cluster_size(file->order);
	char *dst = buf;
	int error = 0;

	while (len > 0 && !error) {
		uint32_t from = off % size, to = (uint32_t)min_u64(size, from + len);
		uint64_t *slot = tree_slot(content->slots->arena, &file->tree, off / size);

		if (slot) {
			struct cluster c = cluster_of(content->codecs, file, slot, strm);

			error = read_cluster(content, &c, from, to, dst);
		} else {
			memset(dst, 0, to - from);
		}
		dst += to - from;
		off += to - from;
		len -= to - from;
	}
	if (error == -EREMOTE && len > 0)
		content_want(content, file, off / size, (off + len - 1) / size);
	return error;
}

int content_read(struct content *content, const struct blkmap_file *file, uint64_t off, void *buf,
		 size_t len)
{
	struct zcomp_strm *strm;
	int error;

	atomic_fetch_add_explicit(&content->requests, 1, memory_order_relaxed);
	if (read_is_large(len))
		return read_large(content, file, off, buf, len);
	strm = zcomp_stream_get(content->codecs->comp, ZSTRM_DEFAULT);
	error = read_range(content, file, strm, off, buf, len);
	zcomp_stream_put(content->codecs->comp, strm);
	return error;
}
