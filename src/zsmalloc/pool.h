/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pool.h - objects in the arena, packed as zsmalloc packs them.
 *
 * An object is 1 byte to ZS_MAX_SIZE bytes. Its room is a slot of its size class; the slots of a
 * class stand side by side in zspages, runs of arena pages. Unlike the kernel's, a zspage is
 * contiguous, so an object may cross pages and may be larger than one, and a zspage is populated
 * page by page as its objects come: a half-empty zspage of large objects costs what its objects
 * cost.
 *
 * Every object begins with one 8-byte header word (zs_hdr below), zero while the room is free: with
 * it and the arena's page map all volatile state (bitmaps, fullness groups, counters) can be
 * rebuilt.
 *
 * Objects are named by refs, without handles. So that compaction can move an object, the
 * header says where its ref is stored (the owner: a word of the arena), and the pool's creator
 * passes callbacks that lock the word and store the new ref there. An object without owner is
 * pinned.
 *
 * Several pools share one arena: one for data, one for metadata, one for inodes.
 *
 * Lock order: a caller's locks -> class->lock -> arena.lock. Compaction holds class->lock and calls
 * relocate_begin(), which may only trylock.
 */
#ifndef ZT_ZSMALLOC_POOL_H
#define ZT_ZSMALLOC_POOL_H

#include <stdbool.h>
#include <stdint.h>

#include "arena/arena.h"
#include "util/compiler.h"

/* Most bytes of one object: a raw cluster of 128 KiB and 16 bytes for its keeper. */
#define ZS_MAX_SIZE (128u * 1024u + 16u)

/* Room of the smallest class, header included, as zsmalloc has it. */
#define ZS_MIN_ROOM 32u

/*
 * The header word, from its highest bit: owner (39 bits, in units of 8 bytes from the arena's
 * start, so 4 TiB) | length - 1 (18) | index (6: for the owner's keeper) | live (1). Changed only
 * by the pool and by zs_set_owner(), read by anyone, always as one aligned 8-byte atomic.
 */
#define ZS_HDR_SIZE 8u

struct zs_pool;

struct zs_owner {
	uint64_t word; /* place of the word that holds the ref, in units of 8 bytes; 0: pinned */
	uint32_t index; /* 0..63: free for the keeper of the word */
};

/**
 * zs_relocate_begin_fn - compaction asks the keeper of an owner word to let an object move
 *
 * The keeper must not wait for any lock (trylock only). When it can prove under its own lock that
 * the word still holds @old_ref, it returns true and keeps the lock: until zs_relocate_end_fn
 * nobody else reads or writes the object, its header or the word. Otherwise it returns false and
 * holds nothing.
 */
typedef bool (*zs_relocate_begin_fn)(void *arg, struct zs_owner owner, ref_t old_ref);

/**
 * zs_relocate_end_fn - the end of a move that zs_relocate_begin_fn allowed, in the same thread
 * @new_ref: where the object is now: store it in the word; 0: it did not move
 *
 * The keeper stores and unlocks. It must not wait, nor call the pool.
 */
typedef void (*zs_relocate_end_fn)(void *arg, struct zs_owner owner, ref_t new_ref);

struct zs_pool_params {
	const char *name; /* for messages; not copied, must outlive the pool */
	uint32_t id; /* 0..3, unique within the arena */
	uint32_t fixed_size; /* one class only, for objects of exactly this size; 0: all classes */
	zs_relocate_begin_fn relocate_begin; /* NULL: all objects are pinned */
	zs_relocate_end_fn relocate_end; /* set when relocate_begin is */
	void *relocate_arg;
};

struct zs_pool_stat {
	uint64_t objects; /* live objects */
	uint32_t made; /* objects that were ever made by this pool, modulo 2^32 */
	uint64_t object_bytes; /* sum of their lengths, without headers */
	uint64_t resident; /* bytes of populated pages in the pool's zspages */
	uint64_t cached; /* of these, bytes that no object uses and zs_trim() would return */
	uint64_t excess; /* of the rest, bytes that zs_compact() would return at best */
	uint64_t zspages;
	uint64_t pages_compacted; /* pages that compaction has freed, as zram counts them */
};

/*
 * Fullness groups of the zspages of a class: 0 no object, 1..8 by eighths, the last one all full.
 * Objects go to the fullest zspage that has a slot, so that others may run empty.
 */
#define ZS_NR_PARTIAL_GROUPS 8u
#define ZS_GROUP_EMPTY       0u
#define ZS_GROUP_FULL        (ZS_NR_PARTIAL_GROUPS + 1)
#define ZS_NR_GROUPS         (ZS_NR_PARTIAL_GROUPS + 2)

struct zs_class_stat {
	uint32_t room; /* bytes of a slot, header included */
	uint32_t pages_per_zspage;
	uint32_t objs_per_zspage;
	uint64_t objects;
	uint64_t object_bytes; /* sum of their lengths, without headers */
	uint64_t zspages;
	uint64_t resident_pages;
	uint64_t cached_pages; /* of these, pages that no object uses */
	uint64_t
		freeable_pages; /* of the former, what is more than the objects side by side need */
	uint64_t groups[ZS_NR_GROUPS]; /* zspages by fullness */
};

/**
 * zs_pool_create() - make an empty pool in @arena
 * @params: copied but for the name
 * Return: 0, -EINVAL, -ENOMEM.
 */
int zs_pool_create(struct arena *arena, const struct zs_pool_params *params,
		   struct zs_pool **out_pool) ZT_MUST_CHECK;

/** zs_pool_destroy() - free all zspages, objects included, and the pool; NULL is allowed */
void zs_pool_destroy(struct zs_pool *pool);

/**
 * zs_malloc() - reserve room for one object
 * @size: bytes, 1..ZS_MAX_SIZE (exactly fixed_size in a fixed pool)
 * @out_ref: set on success only; names the object until zs_free() or until it is moved.
 *
 * The object is pinned (no owner) until zs_set_owner(). Its bytes are undefined, except in
 * a fixed_size pool, where they are zero.
 *
 * Context: any thread; takes class->lock; populates arena pages outside it.
 * Return:  0, -EINVAL, -ENOSPC (the arena's limit or range), -ENOMEM.
 */
int zs_malloc(struct zs_pool *pool, uint32_t size, ref_t *out_ref) ZT_MUST_CHECK;

/**
 * zs_free() - free an object; cannot fail
 *
 * Memory that is no longer covered by any object goes back to the system: at once when much is
 * cached, otherwise by zs_trim(). A ref that names no live object stops the program.
 *
 * The object has no owner, or its owner word's memory and the lock that guards it stay valid until
 * this returns: compaction may act upon the owner till then.
 */
void zs_free(struct zs_pool *pool, ref_t ref);

/** zs_data() - the bytes of an object (behind its header); 8-byte aligned. Lock-free. */
static inline void *zs_data(const struct arena *arena, ref_t ref)
{
	return (char *)arena_ptr(arena, ref) + ZS_HDR_SIZE;
}

/** zs_ref_of() - the contrary */
static inline ref_t zs_ref_of(const struct arena *arena, const void *data)
{
	return arena_ref(arena, (const char *)data - ZS_HDR_SIZE);
}

/** zs_size() - the length of a live object as given to zs_malloc(). Lock-free. */
uint32_t zs_size(const struct arena *arena, ref_t ref);

/** zs_get_owner() - the owner of a live object */
struct zs_owner zs_get_owner(const struct arena *arena, ref_t ref);

/**
 * zs_set_owner() - say which word holds the ref of a fresh object, which had no owner so far
 *
 * The caller holds its own lock that relocate_begin() would try for this owner, and stores the ref
 * in the owner word before it releases it. The word's memory stays until the object has found
 * another owner, or none, by zs_change_owner(), or is freed: relocate_begin() and visitors may read
 * it as long as the header names it. Lock-free.
 */
void zs_set_owner(struct arena *arena, ref_t ref, struct zs_owner owner);

/**
 * zs_change_owner() - an object that has an owner gets another; word 0: none, it is to be freed
 *
 * When this returns nobody acts upon the owner that the object had before, so that the memory of the
 * old owner word may go. A change without the pool's lock could not promise that.
 *
 * Context: takes class->lock for a moment. The caller holds its locks of the old owner, and of the
 *          new one if others can know that.
 */
void zs_change_owner(const struct zs_pool *pool, ref_t ref, struct zs_owner owner);

/**
 * zs_resize() - shorten or lengthen an object within the room it has
 * Keeps the owner. The caller keeps compaction away (pinned object, or its own lock on the owner).
 * Return: true and the new length is set, or false when @size belongs to a larger class.
 */
bool zs_resize(struct zs_pool *pool, ref_t ref, uint32_t size);

/** zs_room() - most bytes an object of @size could grow to by zs_resize() */
uint32_t zs_room(const struct zs_pool *pool, uint32_t size);

/** zs_room_of() - the same of a live object, which may be shorter than when it was made. Lock-free. */
uint32_t zs_room_of(const struct zs_pool *pool, ref_t ref);

/** zs_room_below() - most bytes of an object that takes less room than one of @size; maybe 0 */
uint32_t zs_room_below(const struct zs_pool *pool, uint32_t size);

/**
 * zs_is_live() - whether @ref names a live object of this pool; any value of @ref is allowed. For
 *  file handles and walkers; meaningful only while the caller knows the object can't be freed.
 */
bool zs_is_live(const struct zs_pool *pool, ref_t ref);

/**
 * zs_trim() - punch pages that no object covers, and free empty zspages
 * @keep: bytes that may stay cached
 * Return: bytes given back.
 */
uint64_t zs_trim(struct zs_pool *pool, uint64_t keep);

/**
 * zs_compact() - move objects out of the emptiest zspages of each class into its fuller ones, when
 *                that frees pages, and punch what becomes free
 * @max_bytes: stop after about that many bytes copied; 0: no bound
 * Context: any thread, concurrently with everything else.
 * Return: bytes of memory given back.
 */
uint64_t zs_compact(struct zs_pool *pool, uint64_t max_bytes);

void zs_pool_get_stat(struct zs_pool *pool, struct zs_pool_stat *out_stat);
/** zs_nr_classes() and zs_class_get_stat() - for tables and tests */
uint32_t zs_nr_classes(const struct zs_pool *pool);
void zs_class_get_stat(struct zs_pool *pool, uint32_t class_idx, struct zs_class_stat *out_stat);

/**
 * zs_object_next() - walk the live objects
 * @inout_cursor: 0 at first
 * Context: nobody else uses the pool meanwhile. Return: false at the end.
 */
bool zs_object_next(struct zs_pool *pool, uint64_t *inout_cursor, ref_t *out_ref);

/** What a visitor says of an object. */
enum zs_verdict {
	ZS_SETTLED, /* go on; it need not be looked at again until it has changed */
	ZS_UNSETTLED, /* go on */
	ZS_STOP, /* stop here; it is not settled */
	ZS_TAKE, /* stop here; it is settled, unless zs_note_object() says otherwise */
};

/**
 * zs_visit_fn - look at one live object
 * Called under class->lock, so that the object is not freed meanwhile and its owner word stays: it
 * may try locks but not wait for one, nor call the pool.
 */
typedef enum zs_verdict (*zs_visit_fn)(void *arg, ref_t ref, uint32_t len, struct zs_owner owner);

/**
 * zs_scan() - visit the pool's objects in the order of their places
 * @inout_cursor: 0 at first; continues behind the object at which a visit stopped
 * Context: any thread, concurrently with everything else: objects that come, go or move meanwhile
 *          may be missed or visited twice.
 * Return: true when a visit stopped it, false at the end.
 */
bool zs_scan(struct zs_pool *pool, uint64_t *inout_cursor, zs_visit_fn visit, void *arg);

/**
 * zs_visit() - visit the object at @ref, if there is one; any value of @ref is allowed
 * Context: as zs_scan(). Return: whether the visit said stop; false when there is none.
 */
bool zs_visit(const struct zs_pool *pool, ref_t ref, zs_visit_fn visit, void *arg);

/**
 * zs_note_changes() - from now on the pool notes in which zspages something is new, for
 *                     zs_scan_noted(); at first all that is there is
 * New is an object that was made, moved there, resized, or that has got another owner. Notes are
 * volatile: a pool that attaches begins with everything again.
 *
 * Context: before others use the pool, once. Return: 0 or -ENOMEM.
 */
int zs_note_changes(struct zs_pool *pool) ZT_MUST_CHECK;

/** zs_note_all() - as if all objects were new */
void zs_note_all(struct zs_pool *pool);
/** zs_note_object() - as if something in the zspage of @ref were new, if it is one; any value */
void zs_note_object(struct zs_pool *pool, ref_t ref);

/**
 * zs_scan_noted() - as zs_scan(), but only zspages in which something is new
 * What a visit has called settled in all objects of a zspage is not looked at again until something
 * in it is new; so other objects of such a zspage are visited with the new ones. Zspages that are
 * settled are not touched, nor is any page of theirs.
 */
bool zs_scan_noted(struct zs_pool *pool, uint64_t *inout_cursor, zs_visit_fn visit, void *arg);

/**
 * zs_check() - the walker: rebuild bitmaps, fullness groups, residency and counters from page map
 *              and headers; compare
 * Context: nobody else uses the pool meanwhile.
 * Return: 0, or -EUCLEAN after a line on the log that says what differs.
 */
int zs_check(struct zs_pool *pool) ZT_MUST_CHECK;

#endif
