/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * blkmap.h - the content of files: clusters, their slots, and the way between bytes and objects.
 *
 * A file's content is an array of clusters of 2^order pages; each has one 8-byte slot in the file's
 * tree. See slot/word.h for what a slot says. Inside are four parts: slot, cluster, content and
 * upkeep. Each knows those before it; code elsewhere does not include their headers.
 *
 * Calls come with the file held: shared for reading and writing (many at a time), exclusive for
 * growing, punching and truncating. "Held" is the fs layer's inode lock.
 *
 * Lock order: inode lock (fs) -> zcomp stream -> slot lock (one of a hashed table, by the slot's
 * place) -> share lock -> class->lock -> arena.lock. A reader decompresses under the shared slot lock.
 * Nothing is compressed under a slot lock, but in the last round of a writer that could not publish in
 * four (content/attempt.h).
 */
#ifndef ZT_BLKMAP_BLKMAP_H
#define ZT_BLKMAP_BLKMAP_H

#include "blkmap/slot/tree.h"
#include "blkmap/types.h"

struct blkmap; /* one per mount */

int blkmap_create(const struct blkmap_params *params, char error_text[256],
		  struct blkmap **out_map) ZT_MUST_CHECK;
void blkmap_destroy(struct blkmap *map);

/**
 * blkmap_stop() - end asynchronous writes, and background work for good, as a walker needs it
 * It may be called again.
 */
void blkmap_stop(struct blkmap *map);

/** blkmap_zcomp_name() - the algorithm in use */
const char *blkmap_zcomp_name(const struct blkmap *map);

/** blkmap_get_tuning() - the options as they hold now; any thread */
void blkmap_get_tuning(const struct blkmap *map, struct blkmap_tuning *out_tuning);

/**
 * blkmap_set_max_pages() - size=, in pages; 0: no limit
 * @out_old: the one before, in any case
 * Context: any thread. Return: 0; -EBUSY more are used, and it is as before.
 */
int blkmap_set_max_pages(struct blkmap *map, uint64_t pages, uint64_t *out_old) ZT_MUST_CHECK;

/**
 * blkmap_set_compress() - how files without a setting of their own are stored from now on
 * @name: as blkmap_setting_find() has it, "none", or "default": as at first
 * An entry of the table of settings that was once named here stays taken.
 * Context: any thread. Return: 0, or as blkmap_setting_find().
 */
int blkmap_set_compress(struct blkmap *map, const char *name, int32_t level) ZT_MUST_CHECK;

/**
 * blkmap_set_recompress() - have no pass begin any more, or again
 * blkmap_set_idle() - seconds without use
 * blkmap_set_dedup() - look for what is stored alike, or no longer. Any thread; without it nothing.
 */
void blkmap_set_recompress(struct blkmap *map, bool on);
void blkmap_set_idle(struct blkmap *map, uint32_t seconds);
void blkmap_set_dedup(struct blkmap *map, bool on);

/** blkmap_data_pool() - where the objects are, for statistics */
struct zs_pool *blkmap_data_pool(const struct blkmap *map);

/** blkmap_recompress_name() - the algorithm for what lies idle, or NULL */
const char *blkmap_recompress_name(const struct blkmap *map);

/**
 * blkmap_read() - fill @buf with @len bytes at @off; holes and what lies beyond written data read
 * as zero
 * Context: file held shared. Return: 0, -EIO when an object is damaged, -EREMOTE (spilled.h).
 */
int blkmap_read(struct blkmap *map, const struct blkmap_file *file, uint64_t off, void *buf,
		size_t len) ZT_MUST_CHECK;

/**
 * blkmap_covers() - whether the tree's shape covers @len bytes at @off, so that blkmap_write()
 * may run shared
 */
bool blkmap_covers(const struct blkmap_file *file, uint64_t off, size_t len);

/** blkmap_grow() - make it so; file held exclusive. Return: 0, -ENOSPC, -ENOMEM. */
int blkmap_grow(struct blkmap *map, const struct blkmap_file *file, uint64_t off,
		size_t len) ZT_MUST_CHECK;

/**
 * blkmap_write() - store bytes
 * @out_done: bytes stored from the front; all of them on success, maybe fewer on error
 *
 * Context: file held shared; blkmap_covers() holds.
 * Return:  0, -ENOSPC (size= or memory), -ENOMEM, -EIO. After an error some clusters behind
 *          @out_done may have been stored too: the caller truncates to the file's size, so that
 *          nothing stands beyond its end.
 */
int blkmap_write(struct blkmap *map, const struct blkmap_file *file,
		 const struct blkmap_bytes *bytes, size_t *out_done) ZT_MUST_CHECK;

/**
 * blkmap_write_async() - blkmap_write() without waiting for the accelerator
 *
 * The caller compresses what nobody else does, and returns when all that is left is with engines;
 * a thread that completes the last cluster calls @end->done.
 *
 * Context: as for blkmap_write(). The file stays in use until @end->done: nobody may hold it
 *          exclusive till then, but it need not be held. Holds no lock when @end->done is called
 *          before it returns.
 */
void blkmap_write_async(struct blkmap *map, const struct blkmap_file *file,
			const struct blkmap_bytes *bytes, const struct blkmap_write_end *end);

/** blkmap_pages_left() - pages that size= lets be filled yet; UINT64_MAX without it. Lock-free. */
uint64_t blkmap_pages_left(const struct blkmap *map);

/** blkmap_requests() - blkmap_read() and blkmap_write() so far; lock-free */
uint64_t blkmap_requests(const struct blkmap *map);

/** blkmap_may_defer() - whether a write of @len bytes might end in another thread at all */
bool blkmap_may_defer(const struct blkmap *map, size_t len);

/** blkmap_drain() - until every asynchronous write has ended, released; or until then, 0: for ever. Return: whether. */
bool blkmap_drain(struct blkmap *map, uint64_t until_ns);

/**
 * blkmap_punch() - make @len bytes at @off read as zero; whole pages become holes and give memory
 * back
 *
 * Context: file held exclusive. Return: 0; -ENOSPC or -ENOMEM when a cluster that is punched in
 * part could not be rewritten (whole clusters are always freed); -EIO; -EAGAIN the round is over.
 */
int blkmap_punch(struct blkmap *map, const struct blkmap_file *file, uint64_t off,
		 uint64_t len) ZT_MUST_CHECK;

/**
 * blkmap_truncate() - drop everything at and beyond @size
 * Needs no memory: the last object is only declared shorter. The exception is a cluster of one
 * repeated value that is not zero, cut in the middle.
 * Context: file held exclusive; or nobody knows it any more, and blkmap_uncharge() was called.
 * Return: 0; -ENOSPC or -ENOMEM in that case (all later clusters are gone then); -EAGAIN the round
 * is over.
 */
int blkmap_truncate(struct blkmap *map, const struct blkmap_file *file,
		    uint64_t size) ZT_MUST_CHECK;

/**
 * blkmap_can_hold() - whether size= allows all pages of the range that the file cannot have
 * yet
 * False: they do not fit for certain.
 */
bool blkmap_can_hold(const struct blkmap *map, const struct blkmap_file *file, uint64_t off,
		     uint64_t len);

/**
 * blkmap_uncharge() - give back what the file's pages take of size=, before they are freed
 * Nobody knows the file any more. What is called for it from here on has no nr_pages.
 */
void blkmap_uncharge(struct blkmap *map, const struct blkmap_file *file);

/**
 * blkmap_allocate() - fallocate: holes in the range become zero pages that count as data
 * Context: file held shared; blkmap_covers() holds. Return: 0, -ENOSPC, -ENOMEM; -EAGAIN the round is
 * over, and its at says from which offset on something is left.
 */
int blkmap_allocate(struct blkmap *map, const struct blkmap_file *file, uint64_t off,
		    uint64_t len) ZT_MUST_CHECK;

/**
 * blkmap_share() - make bytes of one file the same as those of another, without copying them
 * @out_done: bytes done from the front, on errors too
 *
 * Objects are stored once until one side changes; @copy->to is charged with all pages. Holes become
 * holes.
 * Context: both files held exclusive (they may be one, then the ranges do not meet); blkmap_covers()
 *          holds for @copy->to.
 * Return:  0; -EAGAIN: the next cluster cannot be shared as it is: blkmap_fold() may help, copying
 *          its bytes does; -ENOSPC, -ENOMEM.
 */
int blkmap_share(struct blkmap *map, const struct blkmap_copy *copy,
		 uint64_t *out_done) ZT_MUST_CHECK;

/**
 * blkmap_fold() - make one object of the cluster at @off, if it was overwritten in part
 * Context: file held shared. Return: 0, -ENOSPC, -ENOMEM, -EIO.
 */
int blkmap_fold(struct blkmap *map, const struct blkmap_file *file, uint64_t off) ZT_MUST_CHECK;

/**
 * blkmap_seek() - the next data or hole at or after @off, exact to the page
 * @size: the file's size
 * @whence: SEEK_DATA or SEEK_HOLE
 * Context: file held shared. Return: 0, -ENXIO; -EAGAIN the round is over, and its at is the offset
 * from which the search goes on.
 */
int blkmap_seek(struct blkmap *map, const struct blkmap_file *file, uint64_t size, uint64_t off,
		int whence, uint64_t *out_off) ZT_MUST_CHECK;

/**
 * blkmap_trim() - fold all cluster maps, compact, and give cached memory back, now. Return:
 * bytes given back.
 */
uint64_t blkmap_trim(struct blkmap *map);

/**
 * blkmap_reclaim() - the limit on memory has refused something: free some, or wait for it
 * @tries: how often that was done for the same request
 * @until_ns: to wait until then (zt_now_ns()) at most; 0: only give back what is cached
 *
 * This is the one place where anybody waits for memory. At first cached pages are given back and
 * objects moved together, then everything is recompressed.
 * Context: any thread that holds nothing: no file, no stream, no lock. Return: whether to try again.
 */
bool blkmap_reclaim(struct blkmap *map, unsigned tries, uint64_t until_ns);

/** blkmap_reclaim_may_help() - false: waiting would be in vain, since others have just looked */
bool blkmap_reclaim_may_help(struct blkmap *map);

/**
 * blkmap_recompress() - recompress what lies idle now, in the caller's thread, unpaced
 * @idle: ticks (seconds, with the default option) without use; 0: everything
 * Context: any thread; for mounts without background work. Return: objects made smaller.
 */
uint64_t blkmap_recompress(struct blkmap *map, unsigned idle);

/**
 * blkmap_recompress_kick() - have the background thread recompress everything now, however young;
 * cluster maps are folded before, in the caller's thread
 * Context: any thread that holds no stream.
 * Return: the value that stat.recompress_passes will exceed when it is done; 0: recompression is
 *         off.
 */
uint64_t blkmap_recompress_kick(struct blkmap *map);

/**
 * blkmap_setting_find() - the setting for an algorithm, made when nobody has it yet
 * @maker: the number of the user who asks, or BLKMAP_ANY_MAKER
 * @name: of a built-in algorithm
 * @level: or ZCOMP_LEVEL_DEFAULT
 * @error_text: out on error: one sentence
 * @out_setting: has one user more, for the caller to give to an inode or back
 *
 * What is written with a setting is left alone by recompression.
 * Context: any thread. Return: 0, -ENOENT no such algorithm, -EINVAL level, -ENOSPC all entries of
 *          the table are in use, -EDQUOT BLKMAP_USER_SETTINGS that @maker has made
 *          are, -ENOMEM.
 */
int blkmap_setting_find(struct blkmap *map, uint32_t maker, const char *name, int32_t level,
			char error_text[256], unsigned *out_setting) ZT_MUST_CHECK;

/**
 * blkmap_setting_get() - one more inode names a setting that has users; any setting is allowed
 * blkmap_setting_put() - one less; no write with it by way of this inode is under way
 */
void blkmap_setting_get(struct blkmap *map, unsigned setting);
void blkmap_setting_put(struct blkmap *map, unsigned setting);

/** blkmap_setting_tell() - name ("default", "none" or an algorithm) and level of a setting in use */
void blkmap_setting_tell(const struct blkmap *map, unsigned setting, const char **out_name,
			 int32_t *out_level);

/**
 * blkmap_check_settings() - for walkers: whether so many inodes as counted name each entry
 * Context: nobody else uses the mount. Return: 0 or -EUCLEAN after a line on the log.
 */
int blkmap_check_settings(const struct blkmap *map,
			  const uint64_t users[BLKMAP_NR_SETTINGS]) ZT_MUST_CHECK;

/** blkmap_setting_is_known() - for walkers: whether there is such a setting */
bool blkmap_setting_is_known(const struct blkmap *map, unsigned setting);

/**
 * blkmap_usage() - add a file's up
 * Context: file held shared. With a round the caller sets *out_usage and the round's at to 0 before
 * the first call. Return: 0; -EAGAIN the round is over.
 */
int blkmap_usage(struct blkmap *map, const struct blkmap_file *file,
		  struct blkmap_usage *out_usage) ZT_MUST_CHECK;

/** blkmap_codec_name() - the algorithm behind a codec number; "none" for what is stored raw */
const char *blkmap_codec_name(struct blkmap *map, unsigned codec);

void blkmap_get_stat(struct blkmap *map, struct blkmap_stat *out_stat);

/**
 * blkmap_check_file() - walker over one file: every slot's object is live, owned by it, decodes,
 * and the page counts add up
 * @inout_objects: counts the objects seen; shared ones are noted for blkmap_check()
 * Context: nobody else uses the mount meanwhile. Return: 0 or -EUCLEAN after a line on the log.
 */
int blkmap_check_file(struct blkmap *map, const struct blkmap_file *file,
		      uint64_t *inout_objects) ZT_MUST_CHECK;

/**
 * blkmap_check() - after all files were checked: the data pool holds @objects objects besides the
 * shared ones, those have as many names as they count, and the pool's walker agrees
 */
int blkmap_check(struct blkmap *map, uint64_t objects) ZT_MUST_CHECK;

#endif
