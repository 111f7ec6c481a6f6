// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * xattrstore.c - where extended attributes stand: blocks of the metadata pool, chained.
 *
 * The owner word of the inode record's header names the first block, each block the next one. A
 * block holds some small attributes or one large one. Only the mark of a dead entry changes a
 * block. Any other change makes a new block, publishes it by one store where the old one was named,
 * and frees that.
 *
 * Locks: the inode's, see xattr_i.h.
 */
#include <errno.h>
#include <string.h>

#include "fs/xattr_i.h"
#include "zsmalloc/attach.h"

/* Attributes share a block up to this size: what setting one of them copies at most. */
#define BLOCK_FULL 4096u
/*
 * Blocks of one inode at most, since all are walked under its lock: some ten thousand attributes,
 * many more than listxattr(2) can tell, or so many large ones.
 */
#define MAX_BLOCKS 256u

struct block {
	uint64_t next; /* ref of the next block, 0: none */
};

/* The head of an entry, which stands at a multiple of 4: dead 1 bit | name 8 | value 17 bits. */
#define HEAD_DEAD       (UINT32_C(1) << 31)
#define HEAD_NAME_SHIFT 17
#define HEAD_SIZE_MASK  ((UINT32_C(1) << HEAD_NAME_SHIFT) - 1)
static_assert(FS_XATTR_SIZE_MAX <= HEAD_SIZE_MASK, "a value's size fits");
static_assert(sizeof(struct block) + 4 + FS_XATTR_NAME_MAX + FS_XATTR_SIZE_MAX + 3 <= ZS_MAX_SIZE,
	      "the largest attribute fits a block");

static unsigned head_name_len(uint32_t head)
{
	return head >> HEAD_NAME_SHIFT & 0xff;
}

static uint32_t entry_bytes(unsigned name_len, uint32_t size)
{
	return (4 + name_len + size + 3) & ~UINT32_C(3);
}

static uint32_t head_bytes(uint32_t head)
{
	return entry_bytes(head_name_len(head), head & HEAD_SIZE_MASK);
}

static struct block *block_at(struct super *sb, ref_t ref)
{
	return zs_data(sb->arena, ref);
}

static uint32_t *head_at(struct super *sb, ref_t ref, uint32_t off)
{
	return (uint32_t *)((char *)block_at(sb, ref) + off);
}

/* Where an attribute is, and by what its block is named. */
struct place {
	ref_t prev; /* the block before, 0: it is the inode's first */
	ref_t block; /* 0: there is none */
	uint32_t off;
};

/* The block behind @prev, 0 at the end. */
static ref_t next_of(struct super *sb, const struct inode_rec *rec, ref_t prev)
{
	return prev ? block_at(sb, prev)->next : inode_xattr(sb, rec);
}

/* Publishes it. */
static void set_next(struct super *sb, struct inode_rec *rec, ref_t prev, ref_t next)
{
	if (prev)
		__atomic_store_n(&block_at(sb, prev)->next, next, __ATOMIC_RELEASE);
	else
		inode_set_xattr(sb, rec, next);
}

static bool head_is(const uint32_t *head, const char *name, size_t len)
{
	return !(*head & HEAD_DEAD) && head_name_len(*head) == len &&
	       memcmp(head + 1, name, len) == 0;
}

static bool find(struct super *sb, const struct inode_rec *rec, const char *name, struct place *out)
{
	size_t len = strlen(name);
	ref_t prev = 0, block;

	for (; (block = next_of(sb, rec, prev)) != 0; prev = block) {
		uint32_t end = zs_size(sb->arena, block);

		for (uint32_t off = sizeof(struct block); off < end;) {
			const uint32_t *head = head_at(sb, block, off);

			if (head_is(head, name, len)) {
				*out = (struct place){ .prev = prev, .block = block, .off = off };
				return true;
			}
			off += head_bytes(*head);
		}
	}
	return false;
}

static void view_fill(const uint32_t *head, struct xattr_view *out)
{
	out->name = (const char *)(head + 1);
	out->name_len = head_name_len(*head);
	out->value = out->name + out->name_len;
	out->size = *head & HEAD_SIZE_MASK;
}

bool xattr_find(struct super *sb, const struct inode_rec *rec, const char *name,
		struct xattr_view *out_view)
{
	struct place place;

	if (!find(sb, rec, name, &place))
		return false;
	view_fill(head_at(sb, place.block, place.off), out_view);
	return true;
}

bool xattr_next(struct super *sb, const struct inode_rec *rec, struct xattr_pos *inout_pos,
		struct xattr_view *out_view)
{
	struct xattr_pos pos = *inout_pos;

	if (pos.off == 0) {
		pos.block = inode_xattr(sb, rec);
		pos.off = sizeof(struct block);
	}
	while (pos.block != 0) {
		while (pos.off < zs_size(sb->arena, pos.block)) {
			const uint32_t *head = head_at(sb, pos.block, pos.off);

			pos.off += head_bytes(*head);
			if (*head & HEAD_DEAD)
				continue;
			view_fill(head, out_view);
			*inout_pos = pos;
			return true;
		}
		pos.block = block_at(sb, pos.block)->next;
		pos.off = sizeof(struct block);
	}
	return false;
}

/* Bytes of a block's living entries; the one at @skip is none of them. */
static uint32_t living_bytes(struct super *sb, ref_t block, uint32_t skip)
{
	uint32_t end = zs_size(sb->arena, block), sum = 0;

	for (uint32_t off = sizeof(struct block); off < end;) {
		uint32_t head = *head_at(sb, block, off);

		if (!(head & HEAD_DEAD) && off != skip)
			sum += head_bytes(head);
		off += head_bytes(head);
	}
	return sum;
}

static void copy_living(struct super *sb, ref_t from, uint32_t skip, ref_t to)
{
	uint32_t end = zs_size(sb->arena, from);
	char *at = (char *)(block_at(sb, to) + 1);

	for (uint32_t off = sizeof(struct block); off < end;) {
		const uint32_t *head = head_at(sb, from, off);
		uint32_t bytes = head_bytes(*head);

		if (!(*head & HEAD_DEAD) && off != skip) {
			memcpy(at, head, bytes);
			at += bytes;
		}
		off += bytes;
	}
}

/* One new attribute. */
struct addition {
	const char *name;
	const void *value;
	uint32_t size;
	uint32_t bytes; /* in a block */
};

static void add_at(struct super *sb, ref_t block, uint32_t off, const struct addition *add)
{
	uint32_t *head = head_at(sb, block, off);
	size_t name_len = strlen(add->name);
	char *at = (char *)(head + 1);

	*head = (uint32_t)name_len << HEAD_NAME_SHIFT | add->size;
	memcpy(at, add->name, name_len);
	if (add->size > 0)
		memcpy(at + name_len, add->value, add->size);
	memset(at + name_len + add->size, 0, add->bytes - 4 - name_len - add->size);
}

/* A block that has space for one more, or none. -ENOSPC: there are as many as there may be. */
static int find_block(struct super *sb, const struct inode_rec *rec, uint32_t need,
		      struct place *out)
{
	ref_t prev = 0, block;
	unsigned nr = 0;

	*out = (struct place){ 0 };
	for (; (block = next_of(sb, rec, prev)) != 0; prev = block) {
		if (sizeof(struct block) + living_bytes(sb, block, 0) + need <= BLOCK_FULL) {
			*out = (struct place){ .prev = prev, .block = block };
			return 0;
		}
		nr++;
	}
	return nr < MAX_BLOCKS ? 0 : -ENOSPC;
}

/* What comes in the place of @place's block: one block, or two when one would be too full. */
static int make_blocks(struct super *sb, const struct inode_rec *rec, const struct place *place,
		       const struct addition *add, ref_t *out_first)
{
	uint32_t living = place->block ? living_bytes(sb, place->block, place->off) : 0;
	bool together = living == 0 || sizeof(struct block) + living + add->bytes <= BLOCK_FULL;
	ref_t next = next_of(sb, rec, place->block ? place->block : place->prev);
	ref_t first, second = 0;
	int err = zs_malloc(sb->meta,
			    (uint32_t)sizeof(struct block) + add->bytes + (together ? living : 0),
			    &first);

	if (err)
		return err;
	if (!together) {
		err = zs_malloc(sb->meta, (uint32_t)sizeof(struct block) + living, &second);
		if (err) {
			zs_free(sb->meta, first);
			return err;
		}
		block_at(sb, second)->next = next;
		next = second;
	}
	block_at(sb, first)->next = next;
	if (living > 0)
		copy_living(sb, place->block, place->off, together ? first : second);
	add_at(sb, first, (uint32_t)sizeof(struct block) + (together ? living : 0), add);
	*out_first = first;
	return 0;
}

/* The bits of inode_rec.flags that say that an attribute is there. */
static unsigned hint_of(const char *name)
{
	if (strcmp(name, XATTR_CAPABILITY) == 0)
		return INODE_HAS_CAPABILITY;
	if (strcmp(name, XATTR_ACL_ACCESS) == 0)
		return INODE_HAS_ACL;
	if (strcmp(name, XATTR_ACL_DEFAULT) == 0)
		return INODE_HAS_DEFAULT_ACL;
	return 0;
}

/* Of an inode with attributes: somebody may be copying them. */
static void note_change(struct super *sb, const struct inode_rec *rec)
{
	inode_changes(inode_lock_of(sb, inode_number(sb, zs_ref_of(sb->arena, rec))));
}

int xattr_put(struct super *sb, struct inode_rec *rec, const char *name, const void *value,
	      uint32_t size)
{
	struct addition add = {
		.name = name,
		.value = value,
		.size = size,
		.bytes = entry_bytes((unsigned)strlen(name), size),
	};
	struct place place;
	ref_t first;
	int err;

	err = find(sb, rec, name, &place) ? 0 : find_block(sb, rec, add.bytes, &place);
	if (err)
		return err;
	err = make_blocks(sb, rec, &place, &add, &first);
	if (err)
		return err;
	note_change(sb, rec);
	set_next(sb, rec, place.prev, first);
	if (place.block != 0)
		zs_free(sb->meta, place.block);
	rec_store(&rec->flags, rec->flags | (uint16_t)hint_of(name));
	return 0;
}

void xattr_drop(struct super *sb, struct inode_rec *rec, const char *name)
{
	struct place place;
	uint32_t *head;

	if (!find(sb, rec, name, &place))
		return;
	note_change(sb, rec);
	head = head_at(sb, place.block, place.off);
	rec_store(head, *head | HEAD_DEAD);
	rec_store(&rec->flags, rec->flags & (uint16_t)~hint_of(name));
	if (living_bytes(sb, place.block, 0) > 0)
		return;
	set_next(sb, rec, place.prev, block_at(sb, place.block)->next);
	zs_free(sb->meta, place.block);
}

void xattr_drop_all(struct super *sb, struct inode_rec *rec)
{
	ref_t block;

	while ((block = inode_xattr(sb, rec)) != 0) {
		inode_set_xattr(sb, rec, block_at(sb, block)->next);
		zs_free(sb->meta, block);
	}
}

/* Copying ---------------------------------------------------------------- */

/* What is wanted of a block. */
struct wanted {
	struct super *sb;
	ref_t block;
	bool (*wants)(void *arg, const struct xattr_view *view);
	void *arg;
	uint32_t bytes;
	uint64_t space;
};

/* @to: NULL: only what it comes to. */
static void pick(struct wanted *wanted, char *to)
{
	const uint32_t end = zs_size(wanted->sb->arena, wanted->block);

	for (uint32_t off = sizeof(struct block); off < end;) {
		const uint32_t *head = head_at(wanted->sb, wanted->block, off);
		const uint32_t bytes = head_bytes(*head);
		struct xattr_view view;

		off += bytes;
		view_fill(head, &view);
		if (*head & HEAD_DEAD || (wanted->wants && !wanted->wants(wanted->arg, &view)))
			continue;
		if (to) {
			memcpy(to, head, bytes);
			to += bytes;
			continue;
		}
		wanted->bytes += bytes;
		wanted->space += xattr_space(view.name, view.name_len, view.size);
	}
}

int xattr_copy_block(struct super *sb, const struct inode_rec *from, struct inode_rec *to,
		     struct xattr_copy *inout_at, bool (*wants)(void *arg, const struct xattr_view *view),
		     void *arg)
{
	struct wanted wanted = { .sb = sb, .wants = wants, .arg = arg };
	ref_t made;
	int err;

	wanted.block = next_of(sb, from, inout_at->from);
	if (wanted.block == 0)
		return 1;
	pick(&wanted, NULL);
	if (wanted.bytes > 0) {
		err = inode_take_space(sb, wanted.space);
		if (err)
			return err;
		err = zs_malloc(sb->meta, (uint32_t)sizeof(struct block) + wanted.bytes, &made);
		if (err) {
			inode_give_space(sb, wanted.space);
			return err;
		}
		block_at(sb, made)->next = 0;
		pick(&wanted, (char *)(block_at(sb, made) + 1));
		set_next(sb, to, inout_at->to, made);
		inout_at->to = made;
	}
	inout_at->from = wanted.block;
	return 0;
}

/* Walker ----------------------------------------------------------------- */

static const char NO_ATTRIBUTE[] = "a block of attributes has none";

static const char *check_block(struct super *sb, ref_t block)
{
	uint32_t end = zs_size(sb->arena, block), off = sizeof(struct block);
	bool living = false;

	while (off < end) {
		uint32_t head = *head_at(sb, block, off);

		if (head_name_len(head) == 0)
			return "an attribute has no name";
		if (!(head & HEAD_DEAD))
			living = true;
		off += head_bytes(head);
	}
	if (off != end)
		return "its attributes reach behind their block";
	return living ? NULL : NO_ATTRIBUTE;
}

/* The marks that an inode with these attributes has. */
static uint16_t hints_of(struct super *sb, const struct inode_rec *rec)
{
	static const char *const names[] = { XATTR_CAPABILITY, XATTR_ACL_ACCESS,
					     XATTR_ACL_DEFAULT };
	struct xattr_view view;
	unsigned hints = 0;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (xattr_find(sb, rec, names[i], &view))
			hints |= hint_of(names[i]);
	return (uint16_t)hints;
}

static const char *check_hints(struct super *sb, const struct inode_rec *rec)
{
	return (rec->flags & INODE_XATTR_HINTS) == hints_of(sb, rec)
		       ? NULL
		       : "the marks of its attributes are wrong";
}

/* The dropped ones' space is not in what is added up. */
static uint64_t living_space(struct super *sb, const struct inode_rec *rec)
{
	struct xattr_pos pos = { 0, 0 };
	struct xattr_view view;
	uint64_t sum = 0;

	while (xattr_next(sb, rec, &pos, &view))
		sum += xattr_space(view.name, view.name_len, view.size);
	return sum;
}

const char *xattr_attach(struct super *sb, struct inode_rec *rec, uint64_t *inout_space,
			 uint64_t *inout_hints)
{
	ref_t prev = 0, block;
	uint16_t hints;

	while ((block = next_of(sb, rec, prev)) != 0) {
		const char *bad;

		if (zs_claim(sb->meta, block) != ZS_CLAIMED ||
		    zs_size(sb->arena, block) <= sizeof(struct block))
			return "names attributes that are not there";
		bad = check_block(sb, block);
		if (bad != NULL && bad != NO_ATTRIBUTE)
			return bad;
		/* The last one in it was just removed. */
		if (bad != NULL) {
			set_next(sb, rec, prev, block_at(sb, block)->next);
			zs_free(sb->meta, block);
			continue;
		}
		prev = block;
	}
	*inout_space += living_space(sb, rec);
	hints = hints_of(sb, rec);
	if ((rec->flags & INODE_XATTR_HINTS) != hints) {
		rec_store(&rec->flags, (uint16_t)((rec->flags & ~INODE_XATTR_HINTS) | hints));
		++*inout_hints;
	}
	return NULL;
}

const char *xattr_check(struct super *sb, const struct inode_rec *rec, uint64_t *inout_objects,
			uint64_t *inout_space)
{
	for (ref_t block = inode_xattr(sb, rec); block != 0; block = block_at(sb, block)->next) {
		const char *bad;

		if (!zs_is_live(sb->meta, block))
			return "its attributes are no live object";
		bad = check_block(sb, block);
		if (bad != NULL)
			return bad;
		(*inout_objects)++;
	}
	*inout_space += living_space(sb, rec);
	return check_hints(sb, rec);
}
