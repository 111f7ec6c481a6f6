// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * save.c - an image is written: block by block, each summed up as it goes out, then where they
 * belong, then the header.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include "image/image.h"
#include "image/io.h"
#include "util/alloc.h"

/* A growing table of 8-byte entries. */
struct table {
	uint64_t *entries;
	uint64_t nr, max;
};
static_assert(sizeof(struct image_extent) == sizeof(uint64_t), "an entry holds one");

struct image_writer {
	int fd;
	uint64_t reserve, nr_pages;
	char *block; /* the first nr_pages % IMAGE_BLOCK_PAGES pages of it wait to be written */
	struct table extents, sums;
	bool summed; /* pages came by image_writer_put(): none waits */
};

static int table_add(struct table *table, uint64_t entry)
{
	if (table->nr == table->max) {
		const uint64_t max = table->max ? 2 * table->max : 4096;
		uint64_t *more = zt_map(max * sizeof(*more));

		if (!more)
			return -ENOMEM;
		if (table->nr)
			memcpy(more, table->entries, table->nr * sizeof(*more));
		zt_unmap(table->entries, table->max * sizeof(*more));
		table->entries = more;
		table->max = max;
	}
	table->entries[table->nr++] = entry;
	return 0;
}

static void table_exit(struct table *table)
{
	zt_unmap(table->entries, table->max * sizeof(*table->entries));
}

int image_writer_create(int fd, uint64_t reserve, struct image_writer **out_writer)
{
	struct image_writer *writer = zt_zalloc(sizeof(*writer));

	if (!writer)
		return -ENOMEM;
	writer->fd = fd;
	writer->reserve = reserve;
	writer->block = zt_map(IMAGE_BLOCK_BYTES);
	if (!writer->block) {
		zt_free(writer);
		return -ENOMEM;
	}
	*out_writer = writer;
	return 0;
}

void image_writer_destroy(struct image_writer *writer)
{
	if (!writer)
		return;
	table_exit(&writer->extents);
	table_exit(&writer->sums);
	zt_unmap(writer->block, IMAGE_BLOCK_BYTES);
	zt_free(writer);
}

int image_writer_put(struct image_writer *writer, const void *data, uint64_t nr_pages)
{
	const char *from = data;
	const uint64_t at = (1 + writer->nr_pages) << ZT_PAGE_SHIFT;
	int error = writer->nr_pages % IMAGE_BLOCK_PAGES ? -EINVAL : 0;

	for (uint64_t done = 0; done < nr_pages && !error; done += IMAGE_BLOCK_PAGES) {
		const uint64_t nr = min_u64(nr_pages - done, IMAGE_BLOCK_PAGES);

		error = table_add(&writer->sums, XXH3_64bits(from + (done << ZT_PAGE_SHIFT),
							     (size_t)nr << ZT_PAGE_SHIFT));
	}
	if (error)
		return error;
	writer->nr_pages += nr_pages;
	writer->summed = true;
	return image_write(writer->fd, from, (size_t)nr_pages << ZT_PAGE_SHIFT, at);
}

/* The block that has so many pages goes out; they are counted already. */
static int put_block(struct image_writer *writer, uint64_t nr_pages)
{
	const size_t len = (size_t)nr_pages << ZT_PAGE_SHIFT;
	const uint64_t first = writer->nr_pages - nr_pages;
	int error = table_add(&writer->sums, XXH3_64bits(writer->block, len));

	return error ? error :
		       image_write(writer->fd, writer->block, len, (1 + first) << ZT_PAGE_SHIFT);
}

/* Pages that follow the last extent are part of it. */
static int note_extent(struct image_writer *writer, uint64_t page, uint64_t nr_pages)
{
	struct table *extents = &writer->extents;
	struct image_extent extent = { 0 };
	uint64_t entry;

	if (extents->nr)
		memcpy(&extent, &extents->entries[extents->nr - 1], sizeof(extent));
	if (extents->nr && (uint64_t)extent.page + extent.nr_pages == page) {
		extent.nr_pages += (uint32_t)nr_pages;
		memcpy(&extents->entries[extents->nr - 1], &extent, sizeof(extent));
		return 0;
	}
	extent = (struct image_extent){ (uint32_t)page, (uint32_t)nr_pages };
	memcpy(&entry, &extent, sizeof(entry));
	return table_add(extents, entry);
}

int image_writer_place(struct image_writer *writer, struct image_extent extent)
{
	return note_extent(writer, extent.page, extent.nr_pages);
}

/* The next pages, out of @data, or, where that is NULL, of @memfd. */
static int writer_add(struct image_writer *writer, uint64_t page, uint64_t nr_pages,
		      const char *data, int memfd)
{
	int error = nr_pages ? note_extent(writer, page, nr_pages) : 0;

	while (nr_pages > 0 && !error) {
		const uint64_t have = writer->nr_pages % IMAGE_BLOCK_PAGES;
		const uint64_t more = min_u64(nr_pages, IMAGE_BLOCK_PAGES - have);
		const size_t len = (size_t)more << ZT_PAGE_SHIFT;
		char *to = writer->block + (have << ZT_PAGE_SHIFT);

		if (data) {
			memcpy(to, data, len);
			data += len;
		} else {
			error = image_read(memfd, to, len, page << ZT_PAGE_SHIFT);
		}
		if (error)
			return error == -ENODATA ? -EIO : error;
		writer->nr_pages += more;
		nr_pages -= more;
		page += more;
		if (have + more == IMAGE_BLOCK_PAGES)
			error = put_block(writer, IMAGE_BLOCK_PAGES);
	}
	return error;
}

static int put_table(struct image_writer *writer, uint64_t *out_sum, uint64_t *inout_at)
{
	const size_t extents = writer->extents.nr * sizeof(uint64_t);
	const size_t sums = writer->sums.nr * sizeof(uint64_t);
	char *both = zt_map(extents + sums + 1);
	int error;

	if (!both)
		return -ENOMEM;
	memcpy(both, writer->extents.entries, extents);
	memcpy(both + extents, writer->sums.entries, sums);
	*out_sum = XXH3_64bits(both, extents + sums);
	error = image_write(writer->fd, both, extents + sums, *inout_at);
	*inout_at += extents + sums;
	zt_unmap(both, extents + sums + 1);
	return error;
}

static bool has_spilled(const struct image_writer *writer)
{
	struct image_extent last;

	memcpy(&last, &writer->extents.entries[writer->extents.nr - 1], sizeof(last));
	return last.page >= writer->reserve >> ZT_PAGE_SHIFT;
}

int image_writer_end(struct image_writer *writer, const struct image_facts *facts)
{
	union {
		struct image_header header;
		char page[ZT_PAGE_SIZE];
	} first = { .page = { 0 } };
	struct image_header *header = &first.header;
	int error = 0;

	if (writer->extents.nr == 0)
		return -EINVAL;
	if (writer->nr_pages % IMAGE_BLOCK_PAGES && !writer->summed)
		error = put_block(writer, writer->nr_pages % IMAGE_BLOCK_PAGES);
	header->size = (1 + writer->nr_pages) << ZT_PAGE_SHIFT;
	if (!error)
		error = put_table(writer, &header->table_sum, &header->size);
	if (error)
		return error;
	header->magic = IMAGE_MAGIC;
	header->version = IMAGE_VERSION;
	header->order = IMAGE_ORDER;
	header->page_size = ZT_PAGE_SIZE;
	header->block_pages = IMAGE_BLOCK_PAGES;
	header->reserve = writer->reserve;
	header->nr_pages = writer->nr_pages;
	header->nr_extents = writer->extents.nr;
	header->incompat = has_spilled(writer) ? IMAGE_SPILLED : 0;
	header->facts = *facts;
	header->sum = XXH3_64bits(&first, sizeof(first));
	return image_write(writer->fd, &first, sizeof(first), 0);
}

int image_writer_add(struct image_writer *writer, const void *data, struct image_extent extent)
{
	return writer_add(writer, extent.page, extent.nr_pages, data, -1);
}

int image_writer_add_memfd(struct image_writer *writer, int memfd)
{
	off_t data = 0, hole = 0;
	int error = 0;

	while (!error && (data = lseek(memfd, hole, SEEK_DATA)) >= 0) {
		hole = lseek(memfd, data, SEEK_HOLE);
		if (hole < 0)
			break;
		error = writer_add(writer, (uint64_t)data >> ZT_PAGE_SHIFT,
				   (uint64_t)(hole - data) >> ZT_PAGE_SHIFT, NULL, memfd);
	}
	return error || errno == ENXIO ? error : -errno;
}

int image_save(int fd, int memfd, const struct image_facts *facts)
{
	struct image_writer *writer;
	const off_t reserve = lseek(memfd, 0, SEEK_END);
	int error;

	if (reserve < 0)
		return -errno;
	error = image_writer_create(fd, (uint64_t)reserve, &writer);
	if (error)
		return error;
	error = image_writer_add_memfd(writer, memfd);
	if (!error)
		error = image_writer_end(writer, facts);
	image_writer_destroy(writer);
	return error;
}
