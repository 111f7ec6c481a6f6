/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cluster.h - the bytes of one cluster to one object and back: the only place where codecs (zcomp)
 * and the pool (zsmalloc) meet.
 *
 * Lock order: a stream of the main codec -> slot lock -> share lock -> a stream of another codec.
 */
#ifndef ZT_BLKMAP_CLUSTER_CLUSTER_H
#define ZT_BLKMAP_CLUSTER_CLUSTER_H

#include "blkmap/cluster/codecs.h"
#include "blkmap/slot/slots.h"

/*
 * One cluster in a caller's hand: made on the stack for one call, passed by pointer, kept by nobody.
 * Its slot and its file are held as the call says; lock is that of the slot.
 */
struct cluster {
	struct codecs *codecs;
	struct slots *slots; /* codecs->slots */
	const struct blkmap_file *file;
	uint64_t *slot; /* NULL where a word alone is decoded */
	struct slot_lock *lock; /* NULL: what is decoded is not kept in the stream */
	struct zcomp_strm *strm; /* of codecs->comp, held; NULL where nothing is coded */
};

static inline struct cluster cluster_of(struct codecs *codecs, const struct blkmap_file *file,
					uint64_t *slot, struct zcomp_strm *strm)
{
	return (struct cluster){
		.codecs = codecs,
		.slots = codecs->slots,
		.file = file,
		.slot = slot,
		.lock = slot_lock(codecs->slots, slot),
		.strm = strm,
	};
}

/* ---- encode.c: bytes to objects ---- */

/* Bytes that are to be stored: of a cluster, or of a page in one. */
struct source {
	const void *data;
	uint32_t len;
	uint32_t full; /* bytes that a SAME word would stand for (cluster or page) */
	uint32_t
		mask; /* pages present; those below len that are not set are holes (zero in data) */
};

/* What they become. */
struct encoded {
	uint64_t word; /* complete for HOLE, ZERO and SAME; without ref for OBJ */
	const void *data; /* OBJ: bytes to store; valid as long as source and stream's buffer */
	uint32_t len;
	uint32_t mask; /* pages present */
};

/*
 * encode() - same-filled test, compression as the file's setting has it, incompressible test
 * A codec that fails makes the data raw. c->slot is not looked at.
 */
void encode(const struct cluster *c, const struct source *src, struct encoded *out);

/*
 * The two halves of encode() for callers that compress elsewhere: the test before (true: done), and
 * what to make of the result. @data NULL: it did not compress.
 */
bool encode_same(const struct source *src, struct encoded *out);
void encode_result(const struct source *src, const void *data, size_t data_len,
		   struct encoded *out);

/*
 * Incompressible: what saves less than a 32nd is stored raw, since reading it back would cost more
 * than it is worth.
 */
static inline size_t encode_cap(uint32_t len)
{
	return len - len / 32;
}

/* encode_raw() - what is not even tried, as huge_skip() has it */
void encode_raw(const struct blkmap_file *file, const struct source *src, struct encoded *out);

/* encoded_place() - store in a new, still unowned object (if it needs one). 0, -ENOSPC, -ENOMEM. */
int encoded_place(struct slots *slots, const struct encoded *enc, uint64_t *out_word) ZT_MUST_CHECK;

/* The same, and on -ENOSPC gives cached pages back and tries once more. Never waits. */
int encoded_place_hard(struct slots *slots, const struct encoded *enc,
		       uint64_t *out_word) ZT_MUST_CHECK;

/* Bytes of the object that it needs, and how they get there. */
uint32_t encoded_size(const struct encoded *enc);
void encoded_copy(struct slots *slots, const struct encoded *enc, ref_t ref);
void encoded_bytes(const struct encoded *enc, char *dst);

/* ---- decode.c: objects to bytes ---- */

/*
 * What a workspace has decoded. It is what the object decodes to for as long as the lock's seq
 * stays: until then no slot under that lock changes, so the object is not freed, moved or
 * overwritten. That holds for objects that a slot or a cluster map owns. Shared ones change under
 * locks of their own: of these only packs are kept.
 */
struct loaded {
	const void *lock; /* a slot_lock, or the share_lock of a pack; NULL: nothing */
	uint64_t seq, word;
	uint32_t len; /* bytes at the front */
	uint64_t effort; /* in HEAT_..., ever */
};

/*
 * What this layer keeps with each per-thread stream of the main codec: in the stream's workspace,
 * where no backend sees it. A backend writes wherever it likes in the stream's own buffers, so
 * nothing that is used after a call may stand there, nor a source that may be stored as it is.
 */
struct workspace {
	char decoded[ZCOMP_MAX_UNIT]; /* by cluster_load(), where it needs only a part */
	char bytes[ZCOMP_MAX_UNIT]; /* a cluster that is put together */
	struct loaded loaded; /* of decoded */
};

static inline struct workspace *strm_workspace(struct zcomp_strm *strm)
{
	return zcomp_stream_own(strm);
}

/* Where the thread that holds the stream puts a cluster together; cluster_load() leaves it alone. */
static inline char *strm_bytes(struct zcomp_strm *strm)
{
	return strm_workspace(strm)->bytes;
}

/*
 * cluster_load() - bytes [from, to) of what @word stands for; c->slot is not looked at
 * Slot lock held. The stream's workspace keeps what was decoded last.
 * Return: 0; -EIO; -EREMOTE what is needed is out, and spill_fetch() has it read (spill/spill.h).
 */
int cluster_load(const struct cluster *c, uint64_t word, uint32_t from, uint32_t to,
		 char *dst) ZT_MUST_CHECK;

struct pack_rec;

/* cluster_load_pack() - all that a pack has, to @dst; its share lock is held. 0 or -EIO. */
int cluster_load_pack(const struct cluster *c, const struct pack_rec *rec, char *dst) ZT_MUST_CHECK;

/* What cluster_load() did for pieces of clusters on this stream, ever: in HEAT_READ, HEAT_DECODE. */
uint64_t strm_effort(struct zcomp_strm *strm);

/* Where cluster_load() decodes, for other use: what was decoded is forgotten. */
char *strm_take_scratch(struct zcomp_strm *strm);

#endif
