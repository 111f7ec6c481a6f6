// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * stat.c - ztmpfsctl stat: the counters of a mount.
 *
 * The first nine have the names, the order and the meanings of zram's mm_stat. Table and JSON read
 * the same list.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <string.h>

#include "ctl/ctl.h"
#include "ctl/stat_fields.h"
#include "util/alloc.h"
#include "util/lock.h"

/* A line has 80 columns, 48 of them before the bar. */
#define BAR_WIDTH 31
static const char bar_text[] = "###############################";

/* clang-format off */
#define HEADING(text)	  { text, FIELD_HEADING, 0, NULL, false, 0 }
#define U64(member, unit) { #member, FIELD_U64, offsetof(struct ztmpfs_stat, member), unit, false, 0 }
#define NOW(member, unit) { #member, FIELD_U64, offsetof(struct ztmpfs_stat, member), unit, true, 0 }
#define TEXT(member)	  { #member, FIELD_TEXT, offsetof(struct ztmpfs_stat, member), NULL, true, 0 }
#define BUCKETS(member, unit) { #member, FIELD_BUCKETS, offsetof(struct ztmpfs_stat, member), unit, false, \
			        sizeof(((struct ztmpfs_stat *)0)->member) / sizeof(uint64_t) }
#define LOCKS(member, unit) { #member, FIELD_LOCKS, offsetof(struct ztmpfs_stat, member), unit, false, ZTMPFS_STAT_LOCKS }
/* clang-format on */

static const struct field fields[] = {
	NOW(orig_data_size, "bytes"),
	NOW(compr_data_size, "bytes"),
	NOW(mem_used_total, "bytes"),
	NOW(mem_limit, "bytes"),
	NOW(mem_used_max, "bytes"),
	NOW(same_pages, "pages"),
	U64(pages_compacted, "pages"),
	NOW(huge_pages, "pages"),
	U64(huge_pages_since, "pages"),
	NOW(arena_used, "bytes"),
	NOW(heap_used, "bytes"),
	NOW(mem_counted, "bytes"),
	NOW(mem_set_aside, "bytes"),
	NOW(size_limit, "bytes"),
	NOW(inodes_used, NULL),
	NOW(inodes_limit, NULL),
	HEADING("Requests"),
	U64(requests, "requests"),
	U64(bytes_read, "bytes"),
	U64(bytes_written, "bytes"),
	HEADING("Compression"),
	TEXT(compress),
	NOW(cluster_size, "bytes"),
	U64(folds, "clusters"),
	U64(reads_split, "reads"),
	U64(overwrites_in_place, "times"),
	U64(huge_pages_skipped, "pages"),
	NOW(shared_pages, "pages"),
	HEADING("Streams of the serving threads"),
	NOW(streams, NULL),
	U64(compress_calls, "calls"),
	U64(compress_in, "bytes"),
	U64(compress_out, "bytes"),
	U64(decompress_calls, "calls"),
	U64(decompress_in, "bytes"),
	U64(decompress_out, "bytes"),
	HEADING("Recompression"),
	TEXT(recompress),
	U64(recompressed, "clusters"),
	U64(recompress_kept, "clusters"),
	U64(recompress_saved, "bytes"),
	U64(recompress_undone, "clusters"),
	U64(recompress_passes, "times"),
	U64(recompress_pauses, "times"),
	U64(recompress_pressures, "times"),
	U64(dedup_joined, "clusters"),
	U64(dedup_saved, "bytes"),
	NOW(dedup_index, "bytes"),
	NOW(packs, NULL),
	NOW(packed_pages, "pages"),
	U64(pack_joined, "files"),
	U64(pack_saved, "bytes"),
	U64(packs_remade, "packs"),
	NOW(dicts, NULL),
	NOW(dict_bytes, "bytes"),
	NOW(dict_objects, "clusters"),
	HEADING("Managed streams"),
	NOW(managed, NULL),
	TEXT(degraded),
	U64(managed_calls, "calls"),
	U64(managed_in, "bytes"),
	U64(managed_out, "bytes"),
	NOW(queued_now, "requests"),
	NOW(queued_max, "requests"),
	U64(async_writes, "writes"),
	NOW(inflight_now, "bytes"),
	NOW(inflight_max, "bytes"),
	NOW(inflight_limit, "bytes"),
	NOW(accel_engines, "engines"),
	U64(accel_completed, "requests"),
	U64(accel_late, "requests"),
	U64(accel_resets, "times"),
	U64(accel_restarts, "times"),
	BUCKETS(accel_batches, "requests"),
	BUCKETS(managed_latency, "ns"),
	HEADING("Fallbacks to the serving threads' streams"),
	U64(fallback_no_stream, "times"),
	U64(fallback_bad_stream, "times"),
	U64(fallback_busy, "times"),
	U64(fallback_inflight, "times"),
	U64(fallback_error, "times"),
	U64(fallback_timeout, "times"),
	U64(fallback_reset, "times"),
	U64(fallback_dead, "times"),
	U64(fallback_shutdown, "times"),
	HEADING("Spill file"),
	NOW(spill_size, "bytes"),
	NOW(spill_used, "bytes"),
	NOW(spill_bytes, "bytes"),
	NOW(spill_objects, "clusters"),
	U64(spill_written, "clusters"),
	U64(spill_fetched, "clusters"),
	U64(spill_passes, "times"),
	U64(spill_write_errors, "times"),
	U64(spill_read_errors, "clusters"),
	HEADING("Image"),
	NOW(image_bytes, "bytes"),
	HEADING("Swap"),
	NOW(swap_reserve, "bytes"),
	NOW(swap_ready, "bytes"),
	U64(swap_waits, "times"),
	U64(swap_timeouts, "times"),
	NOW(mem_level, NULL),
	HEADING("Lives (survive=on)"),
	U64(lives, "processes"),
	U64(kills_survived, "deaths"),
	NOW(outage_ns, "ns"),
	U64(requests_resent, "requests"),
	U64(requests_done, "requests"),
	U64(requests_poisoned, "requests"),
	U64(repairs, "things"),
	HEADING("Waits for locks, since the mount"),
	LOCKS(lock_waits, "times"),
	LOCKS(lock_wait_ns, "ns"),
};

const struct field *ctl_stat_field(size_t idx)
{
	return idx < ARRAY_SIZE(fields) ? &fields[idx] : NULL;
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

/* The lower edge of a bucket, as short as it can be: "64", or for times "16 ns", "1.0 us", "33 ms". */
static void bucket_edge(unsigned number, bool is_time, char out[16])
{
	static const char *const units[] = { "ns", "us", "ms", "s" };
	double value = (double)(UINT64_C(1) << number);
	size_t unit = 0;

	if (!is_time) {
		snprintf(out, 16, "%.0f", value);
		return;
	}
	while (value >= 1000 && unit + 1 < ARRAY_SIZE(units)) {
		value /= 1000;
		unit++;
	}
	snprintf(out, 16, unit > 0 && value < 10 ? "%.1f %s" : "%.0f %s", value, units[unit]);
}

/* One line for each bucket between the first and the last that count something. */
static void print_buckets(FILE *out, const struct ztmpfs_stat *stat, const struct field *field)
{
	const uint64_t *bucket =
		(const uint64_t *)(const void *)((const char *)stat + field->offset);
	const bool is_time = ctl_field_is_time(field);
	unsigned first = field->nr, last = 0;
	uint64_t most = 0;

	for (unsigned i = 0; i < field->nr; i++) {
		if (bucket[i] == 0)
			continue;
		first = first < i ? first : i;
		last = i;
		most = most > bucket[i] ? most : bucket[i];
	}
	fprintf(out, "%-20s %26s\n", field->name, most > 0 ? "times" : "none");
	for (unsigned i = first; most > 0 && i <= last; i++) {
		char edge[16], digits[32];
		const int bar = (int)((double)bucket[i] / (double)most * BAR_WIDTH + 0.5);

		bucket_edge(i, is_time, edge);
		group_digits(bucket[i], digits);
		fprintf(out, "  from %-13s %26s%s%.*s\n", edge, digits, bar ? " " : "", bar,
			bar_text);
	}
}

/* Kinds that nobody waited for are left out: most of the time that is nearly all of them. */
static void print_locks(FILE *out, const struct ztmpfs_stat *stat, const struct field *field)
{
	struct field one = *field;
	unsigned printed = 0;

	for (unsigned i = 0; i < field->nr; i++, one.offset += sizeof(uint64_t)) {
		char digits[32];

		if (number(stat, &one) == 0)
			continue;
		group_digits(number(stat, &one), digits);
		fprintf(out, "%-12s %-9s %24s %s\n", field->name, zt_lock_name(i), digits,
			field->unit);
		printed++;
	}
	if (printed == 0)
		fprintf(out, "%-20s %26s\n", field->name, "none");
}

/* A long text goes on in lines of its own. */
static void print_text(FILE *out, const char *name, const char *value)
{
	if (strlen(value) <= 26)
		fprintf(out, "%-20s %26s\n", name, value);
	else
		fprintf(out, "%-20s %.58s\n", name, value);
	if (strlen(value) > 58)
		fprintf(out, "%-20s %s\n", "", value + 58);
}

static void print_table(FILE *out, const struct ztmpfs_stat *stat)
{
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		const struct field *field = &fields[i];
		char digits[32];

		switch (field->kind) {
		case FIELD_HEADING:
			fprintf(out, "\n%s:\n", field->name);
			continue;
		case FIELD_TEXT:
			if (*text(stat, field) != '\0')
				print_text(out, field->name, text(stat, field));
			continue;
		case FIELD_BUCKETS:
			print_buckets(out, stat, field);
			continue;
		case FIELD_LOCKS:
			print_locks(out, stat, field);
			continue;
		case FIELD_U64:
			break;
		}
		group_digits(number(stat, field), digits);
		fprintf(out, "%-20s %26s%s%s\n", field->name, digits, field->unit ? " " : "",
			field->unit ? field->unit : "");
		if (field->offset == offsetof(struct ztmpfs_stat, heap_used))
			fprintf(out, "%-20s %26.3f\n", "ratio", ctl_ratio(stat));
	}
}

static void print_json_value(FILE *out, const struct ztmpfs_stat *stat, const struct field *field)
{
	struct field one = *field;

	if (field->kind == FIELD_TEXT)
		ctl_print_json_text(out, text(stat, field));
	else if (field->kind == FIELD_U64)
		fprintf(out, "%" PRIu64, number(stat, field));
	for (unsigned i = 0; i < field->nr; i++, one.offset += sizeof(uint64_t)) {
		if (field->kind == FIELD_LOCKS)
			fprintf(out, "%s\"%s\": %" PRIu64, i ? ", " : "{", zt_lock_name(i),
				number(stat, &one));
		else
			fprintf(out, "%s%" PRIu64, i ? ", " : "[", number(stat, &one));
	}
	if (field->nr > 0)
		fputc(field->kind == FIELD_LOCKS ? '}' : ']', out);
}

static void print_json(FILE *out, const struct ztmpfs_stat *stat)
{
	fputs("{\n", out);
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		if (fields[i].kind == FIELD_HEADING)
			continue;
		fprintf(out, "  \"%s\": ", fields[i].name);
		print_json_value(out, stat, &fields[i]);
		fputs(",\n", out);
	}
	fprintf(out, "  \"ratio\": %.4f\n}\n", ctl_ratio(stat));
}

void ctl_end_texts(struct ztmpfs_stat *stat)
{
	stat->compress[sizeof(stat->compress) - 1] = '\0';
	stat->degraded[sizeof(stat->degraded) - 1] = '\0';
	stat->recompress[sizeof(stat->recompress) - 1] = '\0';
}

void ctl_print_stat(FILE *out, const struct ztmpfs_stat *stat, bool json)
{
	struct ztmpfs_stat copy = *stat;

	ctl_end_texts(&copy);
	if (json)
		print_json(out, &copy);
	else
		print_table(out, &copy);
}

static int print_pools(const char *path, bool json)
{
	struct ztmpfs_pool_stat *answers;
	size_t nr;
	int error = ctl_get_pools(path, &answers, &nr);

	if (error)
		return error;
	ctl_print_pools(stdout, answers, nr, json);
	zt_free(answers);
	return 0;
}

static int print_stat(const char *path, bool json, bool all)
{
	struct ztmpfs_info info;
	struct ztmpfs_stat stat;
	int error = ctl_get_stat(path, &stat);

	if (error)
		return error;
	/* A daemon that is too old to say who it is has its counters. */
	if (json || all || ctl_get_info(path, &info) != 0)
		ctl_print_stat(stdout, &stat, json);
	else
		error = ctl_print_summary(stdout, path, &info, &stat, 0);
	return error;
}

static int run(int argc, char *argv[])
{
	bool json = false, pool = false, all = false, metrics = false;
	int error, letter = ctl_switch(&ctl_stat, argc, argv, true);

	for (; letter != CTL_SWITCH_END; letter = ctl_switch(&ctl_stat, argc, argv, false)) {
		json |= letter == 'J';
		pool |= letter == 'p';
		all |= letter == 'a';
		if (letter != 'f')
			continue;
		metrics = strcmp(optarg, "prometheus") == 0;
		json |= strcmp(optarg, "json") == 0;
		if (!metrics && strcmp(optarg, "json") != 0) {
			fprintf(stderr, "ztmpfsctl: --format %s: allowed: json, prometheus\n", optarg);
			return CTL_EXIT_USAGE;
		}
	}
	if (metrics)
		return ctl_print_prometheus(argv + optind, argc - optind);
	if (argc != optind + 1)
		return ctl_usage(&ctl_stat);
	error = pool ? print_pools(argv[optind], json) : print_stat(argv[optind], json, all);
	return error ? ctl_fail(argv[optind], error) : ctl_end(0);
}

static const struct ctl_switch switches[] = {
	{ .letter = 'a', .brief = true, .name = "all", .help = "all counters" },
	{ .letter = 'f',
	  .name = "format",
	  .arg = "FORMAT",
	  .words = "json prometheus",
	  .help = "json, or prometheus: metrics of mounts, or without any of all" },
	{ .letter = 'p', .name = "pool", .help = "how the memory is cut instead" },
	{ .letter = 'J', .brief = true, .name = "json", .help = "one JSON object, for programs" },
	{ 0 },
};

const struct ctl_command ctl_stat = {
	.name = "stat",
	.operands = "[MOUNTPOINT...]",
	.help = "Print what a mount holds, what that costs, and how it was compressed.",
	.switches = switches,
	.takes = CTL_MOUNTS,
	.run = run,
};
