// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * stat.c - ztmpfsctl stat: the counters of a mount.
 *
 * The first nine have the names, the order and the meanings of zram's mm_stat. Table and JSON read
 * the same list.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "ctl/ctl.h"

enum field_kind { FIELD_U64, FIELD_TEXT };

struct field {
	const char *name;
	enum field_kind kind;
	size_t offset; /* in struct ztmpfs_stat */
	const char *unit; /* for the table; NULL: a plain number */
};

/* clang-format off */
#define U64(member, unit) { #member, FIELD_U64, offsetof(struct ztmpfs_stat, member), unit }
#define TEXT(member)	  { #member, FIELD_TEXT, offsetof(struct ztmpfs_stat, member), NULL }
/* clang-format on */

static const struct field fields[] = {
	U64(orig_data_size, "bytes"),
	U64(compr_data_size, "bytes"),
	U64(mem_used_total, "bytes"),
	U64(mem_limit, "bytes"),
	U64(mem_used_max, "bytes"),
	U64(same_pages, "pages"),
	U64(pages_compacted, "pages"),
	U64(huge_pages, "pages"),
	U64(huge_pages_since, "pages"),
	U64(heap_used, "bytes"),
	U64(size_limit, "bytes"),
	U64(inodes_used, NULL),
	U64(inodes_limit, NULL),
	TEXT(compress),
	U64(cluster_size, "bytes"),
	U64(streams, NULL),
	U64(managed, NULL),
	TEXT(degraded),
	U64(compress_calls, NULL),
	U64(compress_in, "bytes"),
	U64(compress_out, "bytes"),
	U64(managed_calls, NULL),
	U64(managed_in, "bytes"),
	U64(managed_out, "bytes"),
	U64(decompress_calls, NULL),
	U64(decompress_in, "bytes"),
	U64(decompress_out, "bytes"),
	U64(fallback_no_stream, NULL),
	U64(fallback_busy, NULL),
	U64(fallback_error, NULL),
	U64(queued_now, NULL),
	U64(queued_max, NULL),
	U64(folds, NULL),
	U64(overwrites_in_place, NULL),
	U64(shared_pages, "pages"),
	U64(swap_reserve, "bytes"),
	U64(swap_ready, "bytes"),
	U64(swap_waits, NULL),
	U64(swap_timeouts, NULL),
	U64(mem_level, NULL),
};

/* User bytes over all memory held for them; 0 while nothing is held. */
static double ratio(const struct ztmpfs_stat *stat)
{
	const double held = (double)stat->mem_used_total + (double)stat->heap_used;

	return held > 0 ? (double)stat->orig_data_size / held : 0;
}

static uint64_t number(const struct ztmpfs_stat *stat, const struct field *field)
{
	uint64_t value;

	memcpy(&value, (const char *)stat + field->offset, sizeof(value));
	return value;
}

static const char *text(const struct ztmpfs_stat *stat, const struct field *field)
{
	return (const char *)stat + field->offset;
}

/* 1234567 as 1 234 567: read by people; JSON is for programs. */
static void group_digits(uint64_t value, char out[32])
{
	char digits[24];
	const int len = snprintf(digits, sizeof(digits), "%" PRIu64, value);

	for (int i = 0; i < len; i++) {
		if (i > 0 && (len - i) % 3 == 0)
			*out++ = ',';
		*out++ = digits[i];
	}
	*out = '\0';
}

static void print_table(FILE *out, const struct ztmpfs_stat *stat)
{
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		const struct field *field = &fields[i];
		char digits[32];

		if (field->kind == FIELD_TEXT) {
			if (*text(stat, field) != '\0')
				fprintf(out, "%-20s %26s\n", field->name, text(stat, field));
			continue;
		}
		group_digits(number(stat, field), digits);
		fprintf(out, "%-20s %26s%s%s\n", field->name, digits, field->unit ? " " : "",
			field->unit ? field->unit : "");
		if (field->offset == offsetof(struct ztmpfs_stat, heap_used))
			fprintf(out, "%-20s %26.3f\n", "ratio", ratio(stat));
	}
}

static void print_json_text(FILE *out, const char *s)
{
	fputc('"', out);
	for (; *s != '\0'; s++) {
		if (*s == '"' || *s == '\\')
			fprintf(out, "\\%c", *s);
		else if ((unsigned char)*s < 0x20)
			fprintf(out, "\\u%04x", (unsigned)(unsigned char)*s);
		else
			fputc(*s, out);
	}
	fputc('"', out);
}

static void print_json(FILE *out, const struct ztmpfs_stat *stat)
{
	fputs("{\n", out);
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		const struct field *field = &fields[i];

		fprintf(out, "  \"%s\": ", field->name);
		if (field->kind == FIELD_TEXT)
			print_json_text(out, text(stat, field));
		else
			fprintf(out, "%" PRIu64, number(stat, field));
		fputs(",\n", out);
	}
	fprintf(out, "  \"ratio\": %.4f\n}\n", ratio(stat));
}

void ctl_print_stat(FILE *out, const struct ztmpfs_stat *stat, bool json)
{
	struct ztmpfs_stat copy = *stat;

	/* What comes from another process may lack its end. */
	copy.compress[sizeof(copy.compress) - 1] = '\0';
	copy.degraded[sizeof(copy.degraded) - 1] = '\0';
	if (json)
		print_json(out, &copy);
	else
		print_table(out, &copy);
}

static int run(int argc, char *argv[])
{
	struct ztmpfs_stat stat;
	const char *path = NULL;
	bool json = false;
	int error;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--json") == 0)
			json = true;
		else if (argv[i][0] == '-' || path)
			return ctl_usage(&ctl_stat);
		else
			path = argv[i];
	}
	if (!path)
		return ctl_usage(&ctl_stat);
	error = ctl_get_stat(path, &stat);
	if (error) {
		fprintf(stderr, "ztmpfsctl: %s: %s\n", path,
			error == -ENOTTY ? "not a ztmpfs" : strerror(-error));
		return CTL_EXIT_FAILED;
	}
	ctl_print_stat(stdout, &stat, json);
	if (fflush(stdout) != 0) {
		fprintf(stderr, "ztmpfsctl: output: %s\n", strerror(errno));
		return CTL_EXIT_FAILED;
	}
	return 0;
}

const struct ctl_command ctl_stat = {
	.name = "stat",
	.synopsis = "[--json] MOUNTPOINT",
	.help = "Print what a mount holds, what that costs, and how it was compressed.",
	.run = run,
};
