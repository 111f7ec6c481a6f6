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
#include "blkmap/spilled.h"
#include "fs/attach_i.h"
#include "fs/livefile.h"
#include "fs/super_i.h"
#include "util/alloc.h"
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
	out->fs_version = rec->version;
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
	out->stored = stat.compr_data_size + stat.spill_bytes;
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

/* One that is out, behind the range. */
static int save_out(struct super *sb, struct image_writer *writer, uint64_t reserve, uint64_t idx,
		    uint64_t *inout_at, char *buf)
{
	struct spill_kept kept;
	size_t done = 0, len;
	int err = blkmap_keep_at(sb->map, idx, &kept);

	if (err)
		return err;
	len = (size_t)kept.nr_units << ZT_PAGE_SHIFT;
	err = blkmap_keep_read(sb->map, *inout_at, buf, len, &done);
	if (!err && done < len)
		err = -EIO;
	if (!err)
		err = image_writer_add(writer, buf,
				       (struct image_extent){ (uint32_t)((reserve >> ZT_PAGE_SHIFT) +
									kept.unit),
							      kept.nr_units });
	*inout_at += len;
	return err;
}

static int save_kept(struct super *sb, struct image_writer *writer, uint64_t reserve)
{
	uint64_t pages, objects, at = 0;
	char *buf = zt_map(SPILL_OBJECT_MAX);
	int err = buf ? blkmap_keep_list(sb->map, &pages, &objects) : -ENOMEM;

	for (uint64_t i = 0; !err && i < objects; i++)
		err = save_out(sb, writer, reserve, i, &at, buf);
	zt_unmap(buf, SPILL_OBJECT_MAX);
	return err;
}

/* Nothing goes on meanwhile. */
static int save_all(struct super *sb, int fd, const struct image_facts *facts)
{
	const uint64_t reserve = arena_pages(sb->arena) << ZT_PAGE_SHIFT;
	struct image_writer *writer;
	int err = image_writer_create(fd, reserve, &writer);

	if (err)
		return err;
	err = image_writer_add_memfd(writer, arena_fd(sb->arena));
	if (!err && blkmap_spills(sb->map)) {
		err = blkmap_keep_begin(sb->map);
		if (!err) {
			err = save_kept(sb, writer, reserve);
			blkmap_keep_go_on(sb->map);
			blkmap_keep_end(sb->map);
		}
	}
	if (!err)
		err = image_writer_end(writer, facts);
	image_writer_destroy(writer);
	return err;
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
	return save_all(sb, fd, &facts);
}

/* ---- and back ---- */

static int check_layout(const struct image_facts *facts, char text[256])
{
	if (facts->arena_layout == arena_layout() && super_version_is_known(facts->fs_version))
		return 0;
	snprintf(text, 256,
		 "the image holds layout %" PRIu32 ".%" PRIu32 ", this program reads layout %" PRIu32
		 ".%u and %" PRIu32 ".%u",
		 facts->arena_layout, facts->fs_version, arena_layout(), SUPER_VERSION,
		 arena_layout(), SUPER_VERSION_PACKS);
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

static int check_spilled(const struct super_params *params, uint64_t pages, uint64_t units,
			 char text[256])
{
	if (pages == 0)
		return 0;
	if (!params->content.spill_size) {
		snprintf(text, 256, "%" PRIu64 " bytes of it were in a spill file: spill= must name one",
			 pages << ZT_PAGE_SHIFT);
		return -EINVAL;
	}
	if (units <= params->content.spill_size >> ZT_PAGE_SHIFT)
		return 0;
	return too_much(text, "spill=", "bytes of a spill file", units << ZT_PAGE_SHIFT,
			params->content.spill_size);
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
	mine.content.spill_loaded = params->content.spill_size != 0;
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
	uint64_t out_pages, out_units;
	int fd, err = check_layout(&header->facts, error_text);

	image_spilled(image, &out_pages, &out_units);
	if (!err)
		err = check_memory(params, header->nr_pages - out_pages, error_text);
	if (!err)
		err = check_spilled(params, out_pages, out_units, error_text);
	image_set_spill(image, params->content.spill_size ? params->content.spill_fd : -1);
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

/* All but contents. @whole: which are to be read. */
static int load_names(struct image *image, int fd, bool whole, char text[256])
{
	uint64_t head = arena_head_pages(image_header(image)->reserve);
	struct arena_pages kept;
	int err = image_load_some(image, fd, is_head, &head, text);

	if (!err && whole)
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

typedef int (*attach_fn)(const struct super_params *params, int fd, char text[256],
			 struct super **out_sb);

/* @attach: a mount on the arena @fd, which is what it makes of it. */
static int borrow(attach_fn attach, const struct super_params *params, int fd,
		  struct image_pages *pages, char text[256], struct super **out_sb)
{
	const struct blkmap_lender lender = lender_of(pages);
	struct super_params mine = *params;
	int err;

	mine.content.lender = &lender;
	mine.content.background = false;
	err = attach(&mine, fd, text, out_sb);
	if (!err)
		(*out_sb)->lender = pages;
	return err;
}

int super_borrow_again(const struct super_params *params, int arena_fd, struct image_pages *pages,
		       char error_text[256], struct super **out_sb)
{
	return borrow(super_attach, params, arena_fd, pages, error_text, out_sb);
}

static int borrow_loaded(const struct super_params *params, struct image_pages *pages,
			 char text[256], struct super **out_sb)
{
	struct image *image = image_pages_image(pages);
	int fd, err = check_layout(&image_header(image)->facts, text);

	if (!err)
		err = image_range(image, &fd);
	if (err)
		return err;
	err = load_names(image, fd, !params->content.unread, text);
	if (!err)
		return borrow(attach_loaded, params, fd, pages, text, out_sb);
	close(fd);
	return err;
}

int super_borrow(const struct super_params *params, struct image_pages *pages,
		 char error_text[256], struct super **out_sb)
{
	struct image *image = image_pages_image(pages);
	uint64_t out_pages, out_units;

	image_spilled(image, &out_pages, &out_units);
	if (image_header(image)->facts.stored == 0 || out_pages > 0)
		return -EAGAIN;
	return borrow_loaded(params, pages, error_text, out_sb);
}

/* What is called nothing would be read. */
static void unread_fill(const struct image_facts *facts, struct blkmap_unread *out)
{
	static_assert(sizeof(out->compress) == sizeof(facts->compress), "same names");
	memcpy(out->compress, facts->compress, sizeof(out->compress));
	memcpy(out->recompress, facts->recompress, sizeof(out->recompress));
	out->compress[sizeof(out->compress) - 1] = '\0';
	out->recompress[sizeof(out->recompress) - 1] = '\0';
	if (out->compress[0] == '\0')
		strcpy(out->compress, "unknown");
}

int super_borrow_names(struct image_pages *pages, char error_text[256], struct super **out_sb)
{
	struct image *image = image_pages_image(pages);
	struct blkmap_unread unread;
	struct super_params params = {
		.content = {
			.unread = &unread,
			.comp = { .name = "null", .level = ZCOMP_LEVEL_DEFAULT },
			.accel = BLKMAP_ACCEL_OFF,
			.spill_fd = -1,
		},
	};
	uint64_t out_pages, out_units;

	unread_fill(&image_header(image)->facts, &unread);
	image_spilled(image, &out_pages, &out_units);
	if (out_pages > 0)
		params.content.spill_size =
			max_u64(out_units << ZT_PAGE_SHIFT, SPILL_SIZE_MIN);
	return borrow_loaded(&params, pages, error_text, out_sb);
}

bool super_borrows(const struct super *sb)
{
	return sb->lender != NULL;
}
