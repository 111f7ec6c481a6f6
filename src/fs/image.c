// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * image.c - a mount saved as an image, and found again in one: its arena as it is, walked when it is
 * loaded.
 *
 * Locks: none here.
 */
#include "fs/image.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "arena/attach.h"
#include "arena/borrow.h"
#include "fs/attach_i.h"
#include "fs/livefile.h"
#include "fs/super_i.h"
#include "util/clock.h"
#include "zsmalloc/borrow.h"

static_assert(sizeof(((struct super_format *)0)->compress) == IMAGE_NAME_MAX, "same names");
static_assert(BLKMAP_NR_SETTINGS == IMAGE_NR_SETTINGS, "one name each");

/* What the record says. */
static void fill_facts(const struct super_record *rec, struct image_facts *out)
{
	const struct super_format *format = &rec->format;
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now); /* fails only for clocks that do not exist */
	memset(out, 0, sizeof(*out));
	out->saved_ns = (int64_t)now.tv_sec * (int64_t)ZT_NS_PER_S + now.tv_nsec;
	out->dict_size = format->dict_size;
	out->dict_sum = format->dict_sum;
	out->arena_layout = arena_layout();
	out->fs_version = SUPER_VERSION;
	memcpy(out->compress, format->compress, sizeof(out->compress));
	memcpy(out->recompress, format->recompress, sizeof(out->recompress));
	for (unsigned i = 0; i < BLKMAP_NR_SETTINGS; i++)
		(void)snprintf(out->settings[i], sizeof(out->settings[i]), "%.*s",
			       (int)sizeof(rec->map.settings[i].name), rec->map.settings[i].name);
	(void)snprintf(out->release, sizeof(out->release), "%s", PACKAGE_VERSION);
}

void super_image_facts(struct super *sb, struct image_facts *out)
{
	struct ztmpfs_stat stat;

	super_get_stat(sb, &stat);
	fill_facts(sb->rec, out);
	out->inodes = stat.inodes_used;
	out->content = stat.orig_data_size;
	out->stored = stat.compr_data_size;
}

void super_remains(int arena_fd, struct image_facts *out)
{
	_Alignas(struct super_record) char page[ZT_PAGE_SIZE];
	struct super_record none = { .magic = 0 };
	const void *found;
	char text[256];

	/* Whoever loads it will see what is wrong; the pages are saved whatever stands in the first. */
	if (arena_probe(arena_fd, page, text, &found) != 0)
		found = &none;
	fill_facts(found, out);
}

int super_rescue(int arena_fd, int fd)
{
	struct image_facts facts;

	super_remains(arena_fd, &facts);
	return image_save(fd, arena_fd, &facts);
}

int super_save(struct super *sb, int fd)
{
	struct image_facts facts;
	struct arena_stat arena;

	arena_get_stat(sb->arena, &arena);
	if (arena.stock)
		return -EOPNOTSUPP;
	livesave_end(sb);
	super_set_pause(sb, NULL, NULL);
	super_drain(sb);
	super_reap(sb);
	blkmap_stop(sb->map);
	super_image_facts(sb, &facts);
	return image_save(fd, arena_fd(sb->arena), &facts);
}

/* ---- and back ---- */

static int check_layout(const struct image_facts *facts, char text[256])
{
	if (facts->arena_layout == arena_layout() && facts->fs_version == SUPER_VERSION)
		return 0;
	snprintf(text, 256,
		 "the image holds layout %" PRIu32 ".%" PRIu32 ", this program reads layout %" PRIu32
		 ".%u",
		 facts->arena_layout, facts->fs_version, arena_layout(), SUPER_VERSION);
	return -EPROTONOSUPPORT;
}

static int too_much(char text[256], const char *option, const char *what, uint64_t holds,
		    uint64_t limit)
{
	snprintf(text, 256, "the image holds %" PRIu64 " %s, and %s allows %" PRIu64, holds, what,
		 option, limit);
	return -ENOSPC;
}

/* Walked, so these are no longer what the image says of itself. */
static int check_limits(struct super *sb, char text[256])
{
	struct ztmpfs_stat stat;

	super_get_stat(sb, &stat);
	if (stat.size_limit && stat.orig_data_size > stat.size_limit)
		return too_much(text, "size=", "bytes in files", stat.orig_data_size,
				stat.size_limit);
	if (stat.inodes_limit && stat.inodes_used > stat.inodes_limit)
		return too_much(text, "nr_inodes=", "inodes", stat.inodes_used, stat.inodes_limit);
	if (stat.mem_limit && stat.mem_counted > stat.mem_limit)
		return too_much(text, "mem_limit=", "bytes of memory with what requests take",
				stat.mem_counted, stat.mem_limit);
	return 0;
}

/* Not to fill the machine first. */
static int check_memory(const struct super_params *params, uint64_t nr_pages, char text[256])
{
	if (!params->mem_limit || nr_pages <= params->mem_limit >> ZT_PAGE_SHIFT)
		return 0;
	return too_much(text, "mem_limit=", "bytes of memory", nr_pages << ZT_PAGE_SHIFT,
			params->mem_limit);
}

/* A mount on the memfd @fd, which is closed on errors. */
static int attach_loaded(const struct super_params *params, int fd, char text[256],
			 struct super **out_sb)
{
	struct super_params mine = *params;
	struct super *sb;
	int err;

	mine.from_image = true;
	err = super_attach(&mine, fd, text, &sb);
	if (err) {
		close(fd);
		return err;
	}
	err = check_limits(sb, text);
	if (err)
		super_leave(sb, false, NULL);
	else
		*out_sb = sb;
	return err;
}

int super_load(const struct super_params *params, struct image *image, char error_text[256],
	       struct super **out_sb)
{
	const struct image_header *header = image_header(image);
	int fd, err = check_layout(&header->facts, error_text);

	if (!err)
		err = check_memory(params, header->nr_pages, error_text);
	if (!err)
		err = image_load(image, error_text, &fd);
	return err ? err : attach_loaded(params, fd, error_text, out_sb);
}

/* ---- contents stay in the file ---- */

static const char *lender_find(void *arg, uint64_t at, size_t len)
{
	return image_pages_find(arg, at, len);
}

static int lender_check(void *arg, const char *data, size_t len)
{
	return image_pages_check(arg, data, len);
}

static bool lender_held(void *arg, const char *data, size_t len)
{
	return image_pages_held(arg, data, len);
}

static bool is_head(void *arg, uint64_t page)
{
	const uint64_t *head = arg;

	return page < *head;
}

static bool is_kept(void *arg, uint64_t page)
{
	return arena_pages_has(arg, page);
}

static bool is_content(uint32_t user)
{
	return zs_pool_of_user(user) == SUPER_POOL_DATA;
}

/* Bytes in the arena's scratch pages are to go to an object. */
static int check_redo(int fd, char text[256])
{
	_Alignas(struct super_record) char page[ZT_PAGE_SIZE];
	const void *rec;
	int err = arena_probe(fd, page, text, &rec);

	if (err)
		return err;
	return ((const struct super_record *)rec)->map.redo.word ? -EAGAIN : 0;
}

/* All but contents. */
static int load_names(struct image *image, int fd, char text[256])
{
	uint64_t head = arena_head_pages(image_header(image)->reserve);
	struct arena_pages kept;
	int err = image_load_some(image, fd, is_head, &head, text);

	if (!err)
		err = check_redo(fd, text);
	if (!err)
		err = arena_borrow(fd, is_content, text, &kept);
	if (err)
		return err;
	err = image_load_some(image, fd, is_kept, &kept, text);
	arena_pages_exit(&kept);
	return err;
}

static struct blkmap_lender lender_of(struct image_pages *pages)
{
	return (struct blkmap_lender){
		.find = lender_find,
		.check = lender_check,
		.held = lender_held,
		.arg = pages,
		.bytes = image_header(image_pages_image(pages))->facts.stored,
	};
}

/* @fd: of the arena; closed on errors. */
static int borrow(const struct super_params *params, int fd, struct image_pages *pages,
		  char text[256], struct super **out_sb)
{
	const struct blkmap_lender lender = lender_of(pages);
	struct super_params mine = *params;
	int err;

	mine.content.lender = &lender;
	mine.content.background = false;
	err = attach_loaded(&mine, fd, text, out_sb);
	if (!err)
		(*out_sb)->lender = pages;
	return err;
}

int super_borrow_again(const struct super_params *params, int arena_fd, struct image_pages *pages,
		       char error_text[256], struct super **out_sb)
{
	const struct blkmap_lender lender = lender_of(pages);
	struct super_params mine = *params;
	int err;

	mine.content.lender = &lender;
	mine.content.background = false;
	err = super_attach(&mine, arena_fd, error_text, out_sb);
	if (!err)
		(*out_sb)->lender = pages;
	return err;
}

int super_borrow(const struct super_params *params, struct image_pages *pages,
		 char error_text[256], struct super **out_sb)
{
	struct image *image = image_pages_image(pages);
	int fd, err;

	if (image_header(image)->facts.stored == 0)
		return -EAGAIN;
	err = check_layout(&image_header(image)->facts, error_text);

	if (!err)
		err = image_range(image, &fd);
	if (err)
		return err;
	err = load_names(image, fd, error_text);
	if (!err)
		return borrow(params, fd, pages, error_text, out_sb);
	close(fd);
	return err;
}

bool super_borrows(const struct super *sb)
{
	return sb->lender != NULL;
}
