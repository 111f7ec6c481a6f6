/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * types.h - what callers of blkmap.h and all parts of this folder have in common: files, settings,
 * parameters and counters.
 */
#ifndef ZT_BLKMAP_TYPES_H
#define ZT_BLKMAP_TYPES_H

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "arena/arena.h"
#include "blkmap/slot/tree.h"
#include "blkmap/spill/spill.h"
#include "util/compiler.h"
#include "util/round.h"
#include "zcomp/zcomp.h"
#include "zsmalloc/pool.h"

/* Clusters are 2^0 to 2^5 pages. */
#define BLKMAP_MAX_ORDER 5u

enum blkmap_accel { BLKMAP_ACCEL_OFF, BLKMAP_ACCEL_AUTO, BLKMAP_ACCEL_ON };

#define BLKMAP_NR_DICTS 8u

/* The number of the pool of objects in the arena. */
#define BLKMAP_POOL_DATA 1u

/* How a file's new content is compressed; kept by the fs layer for each file. */
#define BLKMAP_SETTING_DEFAULT 0u /* as the mount has it */
#define BLKMAP_SETTING_NONE    1u /* stored as it is */
#define BLKMAP_SETTING_FIRST   2u /* from here on: entries of the mount's table */
#define BLKMAP_NR_SETTINGS     3u

/* Of these one user makes so many at a time. */
#define BLKMAP_USER_SETTINGS (BLKMAP_NR_SETTINGS - 1)

/* Root and the mount's owner make as many as there are. */
#define BLKMAP_ANY_MAKER UINT32_MAX

/* Canonical: one entry of that table. */
struct blkmap_setting {
	_Alignas(8) char name[24]; /* algorithm; empty: unused. Its beginning is stored as a word */
	int32_t level;
	uint32_t maker; /* the user who asked for it first, or BLKMAP_ANY_MAKER */
};

/* Canonical: an object that is being overwritten in place; see content/redo.h. */
struct blkmap_redo {
	uint64_t word; /* what place gets; stored last and cleared first, 0: there is none */
	uint64_t place; /* of the word that names the object, in units of 8 bytes */
	uint64_t size; /* of the object, whose bytes stand in the arena's scratch pages */
};

/*
 * Canonical: what the block map must remember besides its objects. The fs layer keeps it in its own
 * record, zero at first.
 */
struct blkmap_record {
	struct {
		uint64_t ref; /* of the dictionary's object in the metadata pool; 0: none */
		uint64_t size; /* bytes */
	} dicts[BLKMAP_NR_DICTS]; /* behind codec numbers 8 to 15 */
	struct blkmap_setting settings[BLKMAP_NR_SETTINGS]; /* behind codec numbers 5 to 7 */
	struct blkmap_redo redo; /* guarded by codecs.redo_lock */
};
static_assert(sizeof(struct blkmap_record) ==
		      16 * BLKMAP_NR_DICTS + 32 * BLKMAP_NR_SETTINGS + sizeof(struct blkmap_redo),
	      "canonical");

/* What a new block map finds in its arena: nothing, or what another process has left (attach.h). */
enum blkmap_attach {
	BLKMAP_MAKE,
	BLKMAP_ATTACH, /* files are told one by one, and claim what is theirs */
	BLKMAP_ATTACH_CLEAN, /* all of it is somebody's, and counters are known */
};

/*
 * Where the objects of a mount stand that is only read, when they are not in the arena: in a file,
 * whose bytes are good as long as nobody says otherwise. Its keeper outlives the map; any thread calls.
 */
struct blkmap_lender {
	/* Bytes from @at on in the arena's range; NULL: they are not there */
	const char *(*find)(void *arg, uint64_t at, size_t len);
	/* Before they are looked at: 0 or -EIO; and behind it, whether they were good until then. */
	int (*check)(void *arg, const char *data, size_t len);
	bool (*held)(void *arg, const char *data, size_t len);
	void *arg;
	uint64_t bytes; /* of all objects, as the file says, for counters */
};

/*
 * Of a mount whose contents nobody reads: what its algorithms are called. None is set up, so it does
 * not matter which this program has.
 */
struct blkmap_unread {
	char compress[40], recompress[40]; /* as the mount had them; the second may be empty */
};

/*
 * How small files are found that lie side by side: the caller's records, which hold the words of
 * trees, in a pool in which nothing moves.
 */
struct blkmap_packs {
	struct zs_pool *pool; /* not owned; outlives the map */
	/*
	 * @rec: a live record, made only in part, maybe, under its class's lock. Return: whether it
	 * is a file that may be packed: out, its tree's word, and whose it is. Files of one owner
	 * alone are packed together.
	 */
	bool (*look)(const void *rec, const uint64_t **out_word, uint32_t *out_owner);
	void (*begin)(void *arg); /* the first pack of this map is about to be made */
	void *arg;
};

struct blkmap_params {
	enum blkmap_attach attach;
	const struct blkmap_lender *lender; /* with ATTACH alone; copied; NULL: objects are in the arena */
	/* With a lender alone; copied; NULL: contents are read. */
	const struct blkmap_unread *unread;
	struct blkmap_record *record; /* NULL: keep it on the heap */
	struct arena *arena;
	struct zs_pool *meta; /* for tree nodes and cluster maps; pinned objects */
	struct zs_pool *beside; /* not used here, but given back as meta is; NULL: none */
	uint64_t max_pages; /* size=, in pages; 0: no limit */
	/*
	 * compress= by name and level, its dictionary, streams and the accelerator's parameters (0:
	 * defaults). What else it has is the block map's own, and not looked at.
	 */
	struct zcomp_config comp;
	enum blkmap_accel accel;
	bool background; /* run the maintenance thread (fold idle clusters, trim pools) */
	const char *recompress; /* algorithm for what lies idle; NULL: off */
	int32_t recompress_level; /* or ZCOMP_LEVEL_DEFAULT */
	uint32_t recompress_idle; /* seconds without use */
	bool dicts; /* with recompress: make dictionaries from what all files hold */
	bool dedup; /* with recompress: what is stored alike is stored once */
	const struct blkmap_packs *packs; /* with recompress; copied; NULL: no small files are packed */
	/* spill=: bytes of the file behind spill_fd, which stays the caller's; 0: there is none */
	uint64_t spill_size;
	int spill_fd;
	const uint8_t *spill_key; /* SPILL_KEY_SIZE bytes, the caller's; NULL: what is out is not encrypted */
	bool spill_loaded; /* that file has what an image had in one, in the clear, or, unread, nothing */
	uint32_t spill_idle; /* seconds without use after which objects go out; 0: only near the limit */
};

/*
 * A view of one file: fields of its inode record, and what is constant for it. Made by the fs
 * layer per call.
 */
struct blkmap_file {
	struct tree tree; /* of slots */
	/* Pages that hold data, as st_blocks counts; atomic. NULL: blkmap_uncharge() was called. */
	uint64_t *nr_pages;
	unsigned order; /* clusters are 2^order pages */
	unsigned setting; /* BLKMAP_SETTING_..., or what blkmap_setting_find() said */
	/*
	 * NULL: calls go on to their end. Otherwise those that say so return -EAGAIN when it is over,
	 * and the same call does more in the next round.
	 */
	struct zt_round *round;
};

/* How contents are stored now. Names live as long as the map. */
struct blkmap_tuning {
	const char *compress;
	int32_t level;
	const char *recompress; /* NULL: off */
	int32_t recompress_level; /* or ZCOMP_LEVEL_DEFAULT */
	uint32_t recompress_idle; /* seconds */
	bool dicts, dedup, packs;
	bool can_recompress, can_dedup; /* mounted with it, so that it can be switched */
	enum blkmap_accel accel;
};

struct blkmap_stat {
	uint64_t nr_pages; /* pages that hold data, over all files: orig_data_size in pages */
	uint64_t max_pages;
	uint64_t same_pages, huge_pages, huge_pages_since; /* zram's meanings, in pages */
	uint64_t huge_pages_skipped; /* of the last, pages that were not even tried */
	uint64_t reads_split; /* reads that several threads unpacked */
	uint64_t folds; /* cluster maps folded into one object */
	uint64_t shared_pages; /* pages of clusters whose object stands in a share record */
	uint64_t packs, packed_pages; /* objects that hold several small files; pages of these */
	/* files that were packed, ever; bytes of room saved; packs made anew without what was gone */
	uint64_t pack_joined, pack_saved, packs_remade;
	/* at the limit, new bytes were put into the old object's room */
	uint64_t overwrites_in_place;
	/* recompression: objects made smaller; tried in vain; bytes of room saved */
	uint64_t recompressed, recompress_kept, recompress_saved;
	uint64_t recompress_passes; /* times that all objects were looked at */
	uint64_t recompress_undone; /* objects stored as they were written again, since they were read */
	uint64_t recompress_pauses; /* waits for requests to become fewer */
	uint64_t recompress_pressures; /* passes because memory was short */
	uint64_t dicts, dict_bytes; /* dictionaries that it made, and their bytes */
	uint64_t dict_objects; /* objects that are stored with one */
	/* deduplication: objects given up for another's, bytes of room they had had */
	uint64_t dedup_joined, dedup_saved;
	uint64_t dedup_collisions; /* objects that were compared in vain */
	uint64_t dedup_index; /* bytes of heap */
	uint64_t async_writes; /* blkmap_write_async() calls that ended in another thread */
	uint64_t inflight_now, inflight_max, inflight_limit; /* bytes with the accelerator */
	uint64_t fallback_inflight; /* clusters compressed inline because of that limit */
	struct spill_stat spill; /* what is out */
	uint64_t spill_passes; /* times that objects were looked at to go out */
	struct zs_pool_stat data; /* the data pool */
	struct zcomp_stat zcomp;
};

/* What a block map that attaches has put right. */
struct blkmap_repairs {
	uint64_t page_counts; /* files that counted other pages than they have */
	uint64_t places; /* cluster maps that named another slot */
	uint64_t owners; /* objects whose header named another owner */
	uint64_t share_counts; /* share records that counted other names than they have */
	uint64_t swept; /* objects that no file names */
};

/* Bytes to be written. */
struct blkmap_bytes {
	uint64_t off; /* in the file */
	const void *data;
	size_t len;
	enum zstrm_pref pref; /* ZSTRM_PREFER_MGMT for delayed writes */
};

/* Clusters to be shared; see blkmap_share(). */
struct blkmap_copy {
	const struct blkmap_file *from, *to; /* with clusters of the same size */
	uint64_t from_off, to_off; /* beginnings of clusters */
	uint64_t
		len; /* up to a cluster's end or to the end of from; then to has no bytes behind it */
};

/* How an asynchronous write ends. */
struct blkmap_write_end {
	/*
	 * Called exactly once, with what blkmap_write() returns, maybe before blkmap_write_async()
	 * does, from any thread. All that it says is stored can be read. It must not take the
	 * file's lock, and not wait for other writes.
	 */
	void (*done)(void *arg, int error, size_t done);
	void *arg;
	/*
	 * Called exactly once, after done and from any thread, when nobody reads the bytes any
	 * more.
	 */
	void (*release)(void *arg);
	void *release_arg;
	/*
	 * The bytes stay as they are until release is called. False: only until
	 * blkmap_write_async() returns; what others are still to read has been copied then.
	 */
	bool keeps_bytes;
};

/* What a file's content costs; see struct ztmpfs_file_stat. */
#define BLKMAP_NR_CODECS 16u
struct blkmap_usage {
	uint64_t stored; /* bytes of objects */
	uint64_t memory; /* bytes of their rooms, cluster maps and tree nodes */
	uint64_t objects;
	uint64_t out, nr_out; /* bytes and objects in the spill file, in none of the others */
	/* By codec number; the last is for pages of one repeated value, which cost nothing. */
	uint64_t pages[BLKMAP_NR_CODECS + 1], bytes[BLKMAP_NR_CODECS + 1];
};

#endif
