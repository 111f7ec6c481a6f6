// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * trace_file.c - what ztmpfsctl trace writes and zbench --replay reads. No locks.
 */
#include "ctl/trace_file.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <xxhash.h>

#include "image/io.h"
#include "util/sizes.h"
#include "ztmpfs/zcomp.h"

static_assert(sizeof(struct trace_record) == 16, "it stands in files");
static_assert(sizeof(struct trace_header) % 8 == 0, "what follows is aligned");

/* Records ---------------------------------------------------------------- */

static bool is_record(const struct trace_record *record, uint64_t last_ns)
{
	/* Requests that run side by side end in any order; nothing runs for an hour. */
	const uint64_t slack = 3600 * ZT_NS_PER_S;

	return record->len > 0 && record->len <= ZCOMP_MAX_UNIT && record->kind < TRACE_NR_KINDS &&
	       record->ratio <= TRACE_RATIOS && !(record->flags & ~TRACE_MANAGED) &&
	       record->reserved == 0 && record->at_ns + slack >= last_ns &&
	       (record->ratio == 0) == (record->kind == TRACE_SAME);
}

static void count(struct trace_counts *counts, const struct trace_record *record)
{
	counts->nr[record->kind]++;
	counts->managed += record->flags & TRACE_MANAGED;
	counts->len += record->len;
	counts->stored += (uint64_t)record->len * record->ratio / TRACE_RATIOS;
	counts->last_ns = max_u64(counts->last_ns, record->at_ns);
	counts->len_max = (uint32_t)max_u64(counts->len_max, record->len);
}

/* Return: how many of @len bytes it took. */
static size_t scan_some(struct trace_scan *scan, const char *bytes, size_t len)
{
	struct trace_record record;
	size_t took = (size_t)min_u64(scan->content, len);

	if (took > 0) {
		scan->content -= took;
	} else {
		took = (size_t)min_u64(sizeof(record) - scan->nr_part, len);
		memcpy(scan->part + scan->nr_part, bytes, took);
		scan->nr_part += took;
		if (scan->nr_part < sizeof(record))
			return took;
		memcpy(&record, scan->part, sizeof(record));
		scan->wrong = !is_record(&record, scan->counts.last_ns);
		if (scan->wrong)
			return took;
		scan->content = scan->contents ? trace_content(&record) : 0;
	}
	if (scan->content == 0) {
		memcpy(&record, scan->part, sizeof(record));
		count(&scan->counts, &record);
		scan->whole += sizeof(record) + (scan->contents ? trace_content(&record) : 0);
		scan->nr_part = 0;
	}
	return took;
}

void trace_scan(struct trace_scan *scan, const char *bytes, size_t len)
{
	while (len > 0 && !scan->wrong) {
		const size_t took = scan_some(scan, bytes, len);

		bytes += took;
		len -= took;
	}
}

/* Writing ---------------------------------------------------------------- */

static uint64_t header_sum(const struct trace_header *header)
{
	return XXH3_64bits(header, offsetof(struct trace_header, header_sum));
}

/* Return: 0 or -errno. */
static int sum_of(int fd, uint64_t bytes, uint64_t *out_sum)
{
	const size_t size = sizeof(struct trace_header) + bytes;
	char *map = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);

	if (map == MAP_FAILED)
		return -errno;
	*out_sum = XXH3_64bits(map + sizeof(struct trace_header), bytes);
	munmap(map, size);
	return 0;
}

int trace_file_end(int fd, const struct trace_scan *scan, struct trace_header *header)
{
	int error;

	if (ftruncate(fd, (off_t)(sizeof(*header) + scan->whole)) != 0)
		return -errno;
	memcpy(header->magic, TRACE_FILE_MAGIC, sizeof(header->magic));
	header->version = TRACE_FILE_VERSION;
	header->order = TRACE_FILE_ORDER;
	header->bytes = scan->whole;
	header->counts = scan->counts;
	error = sum_of(fd, scan->whole, &header->sum);
	if (error)
		return error;
	header->header_sum = header_sum(header);
	return image_write(fd, header, sizeof(*header), 0);
}

/* Reading ---------------------------------------------------------------- */

static int ZT_PRINTF(3, 4) refuse(int error, char text[TRACE_FILE_TEXT], const char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void)vsnprintf(text, TRACE_FILE_TEXT, format, args);
	va_end(args);
	return error;
}

static int check_header(const struct trace_header *header, uint64_t size, char text[TRACE_FILE_TEXT])
{
	if (memcmp(header->magic, TRACE_FILE_MAGIC, sizeof(header->magic)) != 0)
		return refuse(-EINVAL, text, "not a trace that ztmpfsctl trace has made");
	if (header->order != TRACE_FILE_ORDER)
		return refuse(-EPROTO, text, "a trace of a machine with another byte order");
	if (header->version != TRACE_FILE_VERSION)
		return refuse(-EPROTO, text, "a trace of version %u, where this ztmpfsctl knows %u",
			      header->version, TRACE_FILE_VERSION);
	if (header->header_sum != header_sum(header) || header->contents > 1)
		return refuse(-EBADMSG, text, "the trace is damaged: its header's sum is wrong");
	if (header->bytes != size - sizeof(*header))
		return refuse(-EBADMSG, text,
			      "the trace is damaged: it has %llu bytes instead of %llu",
			      (unsigned long long)size,
			      (unsigned long long)(header->bytes + sizeof(*header)));
	return 0;
}

static int check_records(const struct trace_file *file, char text[TRACE_FILE_TEXT])
{
	const struct trace_header *header = &file->header;
	struct trace_scan scan = { .contents = header->contents == 1 };

	if (XXH3_64bits(file->records, header->bytes) != header->sum)
		return refuse(-EBADMSG, text, "the trace is damaged: its sum is wrong");
	trace_scan(&scan, file->records, header->bytes);
	if (scan.wrong || scan.whole != header->bytes ||
	    memcmp(&scan.counts, &header->counts, sizeof(scan.counts)) != 0)
		return refuse(-EBADMSG, text, "the trace is damaged: its records are not what it says");
	if (header->bytes == 0)
		return refuse(-ENODATA, text, "nothing was recorded in this trace");
	return 0;
}

static int map_file(int fd, char text[TRACE_FILE_TEXT], struct trace_file *file)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return refuse(-errno, text, "%s", strerror(errno));
	if (!S_ISREG(st.st_mode) || st.st_size < (off_t)sizeof(file->header))
		return refuse(-EINVAL, text, "not a trace that ztmpfsctl trace has made");
	file->size = (size_t)st.st_size;
	file->map = mmap(NULL, file->size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (file->map == MAP_FAILED)
		return refuse(-errno, text, "%s", strerror(errno));
	memcpy(&file->header, file->map, sizeof(file->header));
	file->records = (const char *)file->map + sizeof(file->header);
	return 0;
}

int trace_file_open(const char *path, char text[TRACE_FILE_TEXT], struct trace_file *out_file)
{
	/* A fifo must not be waited for. */
	const int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	struct trace_file file;
	int error;

	if (fd < 0)
		return refuse(-errno, text, "%s", strerror(errno));
	error = map_file(fd, text, &file);
	close(fd);
	if (error)
		return error;
	error = check_header(&file.header, file.size, text);
	if (!error)
		error = check_records(&file, text);
	if (error)
		trace_file_close(&file);
	else
		*out_file = file;
	return error;
}

void trace_file_close(struct trace_file *file)
{
	munmap(file->map, file->size);
}
