/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * trace_file.h - what ztmpfsctl trace writes and zbench --replay reads: a header, then records
 * (util/trace.h), each with its contents where the trace has them. No locks.
 */
#ifndef ZT_CTL_TRACE_FILE_H
#define ZT_CTL_TRACE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/compiler.h"
#include "util/trace.h"

#define TRACE_FILE_MAGIC   "ztmpfstr"
#define TRACE_FILE_VERSION 1u
#define TRACE_FILE_ORDER   0x01020304u
#define TRACE_FILE_TEXT	   256 /* space of an error's sentence */

/* What all records say together. */
struct trace_counts {
	uint64_t nr[TRACE_NR_KINDS];
	uint64_t managed;
	uint64_t len, stored; /* bytes of all requests; of the 64ths that they were stored in */
	uint64_t last_ns; /* when the last one came */
	uint32_t len_max, reserved;
};

/* At the beginning of the file, in the machine's byte order. */
struct trace_header {
	char magic[8];
	uint32_t version, order;
	uint32_t contents; /* 1: the records have theirs */
	uint32_t reserved;
	uint64_t bytes; /* behind the header */
	uint64_t lost; /* requests that were not recorded, since the ring was full */
	uint64_t seconds_ns; /* how long the trace took */
	int64_t begun_s; /* seconds of the epoch */
	struct trace_counts counts;
	uint64_t sum; /* XXH3 of what is behind the header */
	uint64_t header_sum; /* of all above */
};

/* Takes a trace apart as it comes. All zero at first, but for contents. */
struct trace_scan {
	bool contents;
	bool wrong; /* there was no such record */
	struct trace_counts counts;
	uint64_t whole; /* bytes of whole records so far */
	char part[sizeof(struct trace_record)]; /* of the record that has begun */
	size_t nr_part;
	uint64_t content; /* bytes of it that are yet to come */
};

/** trace_scan() - the next @len bytes, cut anywhere */
void trace_scan(struct trace_scan *scan, const char *bytes, size_t len);

/**
 * trace_file_end() - write the header of a file whose records are written
 * @header: contents, lost, seconds_ns and begun_s are filled in; the rest is filled here
 * What is behind the last whole record goes.
 * Return: 0 or -errno.
 */
int trace_file_end(int fd, const struct trace_scan *scan, struct trace_header *header) ZT_MUST_CHECK;

struct trace_file {
	void *map; /* read-only; a file that others cut meanwhile ends the program */
	size_t size;
	struct trace_header header;
	const char *records;
};

/**
 * trace_file_open() - all of it read and checked
 * @text: out on error: one sentence
 * Return: 0; -EINVAL no trace, -EPROTO of another version or byte order, -EBADMSG damaged, -ENODATA
 *         nothing was recorded, or what open(2) said.
 */
int trace_file_open(const char *path, char text[TRACE_FILE_TEXT],
		    struct trace_file *out_file) ZT_MUST_CHECK;
void trace_file_close(struct trace_file *file);

#endif
