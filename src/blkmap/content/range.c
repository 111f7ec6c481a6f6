// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * range.c - ranges without bytes: truncate, punch, allocate, and where data is.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "blkmap/cluster/huge.h"
#include "blkmap/content/change.h"
#include "blkmap/content/content.h"
#include "blkmap/slot/account.h"
#include "util/hook.h"

static int slot_clear(struct content *content, const struct blkmap_file *file, uint64_t *slot)
{
	struct slot_lock *lock = slot_lock(content->slots, slot);
	struct loose_word old = { 0 };
	int error;

	write_lock_counted(&lock->lock, ZT_LOCK_SLOT);
	error = slot_publish(content->slots, file, slot, 0, &old);
	rw_unlock(&lock->lock);
	slot_release(content->slots, old, file->order);
	return error; /* pages are only given back: cannot fail */
}

/* Clusters first..last become holes. -EAGAIN: the round is over; those that are left will be found. */
static int clear_clusters(struct content *content, const struct blkmap_file *file, uint64_t first,
			  uint64_t last)
{
	uint64_t *slot;
	uint64_t idx = first;
	int error = 0;

	for (; idx <= last && !error; idx++) {
		slot = tree_next(content->slots->arena, &file->tree, &idx);
		if (!slot || idx > last)
			break;
		/* An object is freed, or many; or it is a word alone. */
		const unsigned units = slot_kind(word_get(slot)) == SLOT_ZERO ? 1 : 4;

		error = slot_clear(content, file, slot);
		if (!error && zt_round_spent(file->round, units))
			error = -EAGAIN;
	}
	tree_prune(content->slots->arena, content->slots->meta, &file->tree, first,
		   error ? idx : last);
	return error;
}

/*
 * The word that a word becomes when only its first @end bytes stay; false when a new object is
 * needed (a repeated value that is not zero). No memory is needed otherwise.
 */
static bool word_cut(uint64_t word, uint32_t end, unsigned order, uint64_t *out_word)
{
	if (end == 0) {
		*out_word = 0;
		return true;
	}
	switch (slot_kind(word)) {
	case SLOT_ZERO:
		*out_word = slot_make_zero(slot_zero_mask(word) & pages_mask(end));
		return true;
	case SLOT_OBJ:
	case SLOT_SHARED:
	case SLOT_SPILLED:
		*out_word = slot_length(word) > end ? slot_with_length(word, end) | SLOT_CUT : word;
		return true;
	case SLOT_SAME:
		*out_word = word;
		return end >= cluster_size(order);
	default:
		*out_word = word;
		return true;
	}
}

/*
 * Exchange a word for its cut form; what it no longer needs goes to *out_old. Slot lock held
 * exclusive. Counted first, then uncounted: what is used by nobody is destroyed, maybe at once.
 */
static void word_replace(struct content *content, uint64_t *place, uint64_t word, unsigned order,
			 struct loose_word *out_old)
{
	uint64_t old = word_get(place);

	slot_count(content->slots, word, order, 1);
	zt_hook("range: a word is counted anew", word);
	slot_count(content->slots, old, order, -1);
	word_set(place, word);
	/* The same object, only shorter: it stays. */
	if (slot_kind(word) != SLOT_OBJ && slot_kind(word) != SLOT_SHARED &&
	    slot_kind(word) != SLOT_SPILLED)
		*out_old = slot_disown(content->slots, old, order);
}

/* Cut a cluster map: base and pages each. False: it needs a rewrite, nothing has changed. */
static bool map_cut(struct content *content, struct cluster_map *cmap, uint32_t end, unsigned order,
		    struct loose_word *old)
{
	uint64_t base, pages[BLKMAP_MAX_PAGES];

	if (!word_cut(word_get(&cmap->base), end, order, &base))
		return false;
	for (uint32_t p = 0; p < 1u << order; p++) {
		uint32_t start = p << ZT_PAGE_SHIFT;
		uint32_t page_end = end <= start ? 0 : (uint32_t)min_u64(end - start, ZT_PAGE_SIZE);

		if (!word_cut(word_get(&cmap->pages[p]), page_end, 0, &pages[p]))
			return false;
	}
	word_replace(content, &cmap->base, base, order, &old[0]);
	for (uint32_t p = 0; p < 1u << order; p++)
		word_replace(content, &cmap->pages[p], pages[p], 0, &old[1 + p]);
	return true;
}

/*
 * Bytes from @end on are gone. Without memory it can fail only for a repeated value that is not
 * zero.
 */
static int cluster_cut(struct content *content, const struct blkmap_file *file, uint64_t *slot,
		       uint32_t end)
{
	struct slot_lock *lock = slot_lock(content->slots, slot);
	struct loose_word old[1 + BLKMAP_MAX_PAGES] = { 0 };
	uint32_t before, after;
	uint64_t word, cut;
	bool done;
	int error;

	write_lock_counted(&lock->lock, ZT_LOCK_SLOT);
	word = word_get(slot);
	before = slot_present(content->slots, word, file->order);
	if (!(before & pages_mask(end))) {
		rw_unlock(&lock->lock);
		return slot_clear(content, file, slot);
	}
	if (slot_kind(word) == SLOT_MAP) {
		done = map_cut(content, cluster_map_at(content->slots, word), end, file->order,
			       old);
	} else {
		done = word_cut(word, end, file->order, &cut);
		if (done)
			word_replace(content, slot, cut, file->order, &old[0]);
	}
	after = slot_present(content->slots, word_get(slot), file->order);
	lock->seq++;
	rw_unlock(&lock->lock);
	slot_release(content->slots, old[0], file->order);
	for (unsigned p = 0; p < BLKMAP_MAX_PAGES; p++)
		slot_release(content->slots, old[1 + p], 0);
	error = pages_charge(content->slots, file,
			     __builtin_popcount(after) - (int64_t)__builtin_popcount(before));
	if (!error && !done) {
		/* One byte is left of a whole value at least: rewrite its head. */
		struct zcomp_strm *strm = zcomp_stream_get(content->codecs->comp, ZSTRM_DEFAULT);
		struct cluster c = cluster_of(content->codecs, file, slot, strm);
		struct cluster_op op = { .drop_pages = ~pages_mask(end), .cut = end };

		error = cluster_merge(&c, &op);
		zcomp_stream_put(content->codecs->comp, strm);
	}
	return error;
}

void content_uncharge(struct content *content, const struct blkmap_file *file)
{
	const int error = pages_charge(content->slots, file, -(int64_t)*file->nr_pages);

	huge_forget(content->codecs, file);
	ZT_ASSERT(!error); /* they are only given back */
	(void)error;
}

int content_truncate(struct content *content, const struct blkmap_file *file, uint64_t size)
{
	uint32_t csize = cluster_size(file->order);
	uint64_t first = div_round_up_u64(size, csize);
	uint64_t *slot;
	int error;

	error = clear_clusters(content, file, first, UINT64_MAX - 1);
	if (size == 0 && !error && file->nr_pages)
		huge_forget(content->codecs, file);
	if (error || size % csize == 0)
		return error;
	slot = tree_slot(content->slots->arena, &file->tree, size / csize);
	return slot && word_get(slot) ? cluster_cut(content, file, slot, size % csize) : 0;
}

/* [from, to) of one cluster becomes zero; whole pages become holes. */
static int cluster_punch(struct content *content, const struct blkmap_file *file, uint64_t idx,
			 uint32_t from, uint32_t to)
{
	static const char zeros[ZT_PAGE_SIZE];
	uint64_t *slot = tree_slot(content->slots->arena, &file->tree, idx);
	uint32_t first = (from + ZT_PAGE_SIZE - 1) >> ZT_PAGE_SHIFT, last = to >> ZT_PAGE_SHIFT;
	struct cluster c;
	uint32_t present, extent;
	int error = 0;

	if (!slot || !word_get(slot))
		return 0;
	c = cluster_of(content->codecs, file, slot, NULL);
	read_lock_counted(&c.lock->lock, ZT_LOCK_SLOT);
	present = slot_present(c.slots, word_get(slot), file->order);
	extent = slot_extent(c.slots, word_get(slot), file->order);
	rw_unlock(&c.lock->lock);
	c.strm = zcomp_stream_get(content->codecs->comp, ZSTRM_DEFAULT);
	if (first < last) {
		uint32_t drop = pages_mask_range(first << ZT_PAGE_SHIFT, last << ZT_PAGE_SHIFT);
		struct cluster_op op = { .drop_pages = drop };

		/* A present cluster that loses its last pages loses all. */
		if (!(present & ~drop))
			error = slot_clear(content, file, slot);
		else if (present & drop)
			error = cluster_merge(&c, &op);
	}
	/* Parts of pages at the edges are written, if there is data. */
	for (unsigned edge = 0; edge < 2 && !error; edge++) {
		uint32_t page = edge == 0 ? from >> ZT_PAGE_SHIFT : to >> ZT_PAGE_SHIFT;
		uint32_t start = page << ZT_PAGE_SHIFT;
		struct cluster_op op = {
			.from = (uint32_t)max_u64(from, start),
			.to = (uint32_t)min_u64(min_u64(to, start + ZT_PAGE_SIZE), extent),
			.src = zeros,
		};

		if (edge == 1 && page == from >> ZT_PAGE_SHIFT)
			break;
		if (op.from >= op.to || op.to - op.from == ZT_PAGE_SIZE ||
		    !(present & 1u << page) || (page >= first && page < last))
			continue;
		error = cluster_write(&c, &op);
	}
	zcomp_stream_put(content->codecs->comp, c.strm);
	return error;
}

int content_punch(struct content *content, const struct blkmap_file *file, uint64_t off,
		  uint64_t len)
{
	uint32_t csize = cluster_size(file->order);
	uint64_t end = off + len;
	/* whole: [first, last) */
	uint64_t first = div_round_up_u64(off, csize), last = end / csize;
	int error = 0, edge_error = 0;

	if (first < last)
		error = clear_clusters(content, file, first, last - 1);
	if (!error && off % csize)
		error = cluster_punch(content, file, off / csize, off % csize,
				      (uint32_t)min_u64(csize, off % csize + len));
	if (error != -EAGAIN && end % csize && (end / csize != off / csize || off % csize == 0))
		edge_error =
			cluster_punch(content, file, end / csize,
				      end / csize == off / csize ? off % csize : 0, end % csize);
	return error ? error : edge_error;
}

/* Pages that are present in the cluster of @slot. */
static uint32_t present_at(struct content *content, const struct blkmap_file *file, uint64_t *slot)
{
	struct slot_lock *lock = slot_lock(content->slots, slot);
	uint32_t present;

	read_lock_counted(&lock->lock, ZT_LOCK_SLOT);
	present = slot_present(content->slots, word_get(slot), file->order);
	rw_unlock(&lock->lock);
	return present;
}

/* A page that is zero is a bit of a word; beside data the cluster is compressed anew. */
static unsigned word_kind_units(const uint64_t *slot)
{
	return slot_kind(word_get(slot)) == SLOT_ZERO ? 4 : ZT_ROUND_UNITS;
}

bool content_can_hold(const struct content *content, const struct blkmap_file *file, uint64_t off,
		      uint64_t len)
{
	const uint64_t have = __atomic_load_n(file->nr_pages, __ATOMIC_RELAXED);
	const uint64_t want = div_round_up_u64(off + len, ZT_PAGE_SIZE) - (off >> ZT_PAGE_SHIFT);

	return want <= have || want - have <= pages_left(content->slots);
}

int content_allocate(struct content *content, const struct blkmap_file *file, uint64_t off,
		     uint64_t len)
{
	struct zcomp_strm *strm = zcomp_stream_get(content->codecs->comp, ZSTRM_DEFAULT);
	uint32_t csize = cluster_size(file->order);
	uint64_t end = off + len;
	int error = 0;

	while (off < end && !error) {
		uint32_t from = off % csize, to = (uint32_t)min_u64(csize, from + (end - off));
		uint32_t want = pages_mask_range(from, to);
		struct cluster_op op = { .add_pages = want };
		uint64_t *slot;

		error = content_slot(content, file, off / csize, &slot);
		if (!error && (want & ~present_at(content, file, slot))) {
			struct cluster c = cluster_of(content->codecs, file, slot, strm);

			error = cluster_merge(&c, &op);
		}
		off += to - from;
		if (!error && off < end && zt_round_spent(file->round, word_kind_units(slot))) {
			file->round->at = off;
			error = -EAGAIN;
		}
	}
	zcomp_stream_put(content->codecs->comp, strm);
	return error;
}

static int seek_data(struct content *content, const struct blkmap_file *file, uint64_t off,
		     uint64_t *out_off)
{
	unsigned shift = ZT_PAGE_SHIFT + file->order;
	uint64_t first = off >> shift;
	uint64_t *slot;

	for (uint64_t idx = first; (slot = tree_next(content->slots->arena, &file->tree, &idx));
	     idx++) {
		uint32_t present = present_at(content, file, slot);
		uint32_t page = (uint32_t)(off >> ZT_PAGE_SHIFT) & ((1u << file->order) - 1);

		if (idx == first)
			present &= ~((1u << page) - 1);
		if (present) {
			uint64_t found = (idx << shift) +
					 ((uint64_t)__builtin_ctz(present) << ZT_PAGE_SHIFT);

			*out_off = max_u64(found, off);
			return 0;
		}
		if (zt_round_spent(file->round, 1)) {
			file->round->at = (idx + 1) << shift;
			return -EAGAIN;
		}
	}
	return -ENXIO;
}

static int seek_hole(struct content *content, const struct blkmap_file *file, uint64_t size,
		     uint64_t off, uint64_t *out_off)
{
	unsigned shift = ZT_PAGE_SHIFT + file->order;
	uint64_t first = off >> shift;

	for (uint64_t idx = first; idx << shift < size; idx++) {
		uint64_t *slot = tree_slot(content->slots->arena, &file->tree, idx);
		uint32_t absent = ~(slot ? present_at(content, file, slot) : 0) &
				  pages_mask(cluster_size(file->order));
		uint32_t page = (uint32_t)(off >> ZT_PAGE_SHIFT) & ((1u << file->order) - 1);

		if (idx == first)
			absent &= ~((1u << page) - 1);
		if (absent) {
			uint64_t found =
				(idx << shift) + ((uint64_t)__builtin_ctz(absent) << ZT_PAGE_SHIFT);

			*out_off = min_u64(max_u64(found, off), size);
			return 0;
		}
		if (zt_round_spent(file->round, 1) && (idx + 1) << shift < size) {
			file->round->at = (idx + 1) << shift;
			return -EAGAIN;
		}
	}
	*out_off = size;
	return 0;
}

int content_seek(struct content *content, const struct blkmap_file *file, uint64_t size,
		 uint64_t off, int whence, uint64_t *out_off)
{
	uint64_t found = 0;
	int error;

	if (off >= size)
		return -ENXIO;
	if (whence == SEEK_HOLE)
		return seek_hole(content, file, size, off, out_off);
	error = seek_data(content, file, off, &found);
	if (!error && found >= size)
		error = -ENXIO;
	if (!error)
		*out_off = found;
	return error;
}
