// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * pool.c - ztmpfsctl stat --pool: the size classes of a mount's pools, and how the arena is cut.
 *
 * The columns are those of zsmalloc's debugfs, with eighths for tenths. A pool comes in several
 * answers of the mount; table and JSON read the same list of them.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "ctl/ctl.h"
#include "util/alloc.h"

#define PAGE UINT64_C(4096)

/* What the classes of a pool come to. */
struct sum {
	uint64_t allocated, objects, bytes, rooms, pages, cached, freeable;
	uint64_t groups[ZTMPFS_POOL_GROUPS];
};

static void sum_add(struct sum *sum, const struct ztmpfs_pool_class *class)
{
	sum->allocated += class->obj_allocated;
	sum->objects += class->obj_used;
	sum->bytes += class->obj_bytes;
	sum->rooms += class->obj_used * class->size;
	sum->pages += class->pages_used;
	sum->cached += class->pages_cached;
	sum->freeable += class->freeable;
	for (unsigned i = 0; i < ZTMPFS_POOL_GROUPS; i++)
		sum->groups[i] += class->groups[i];
}

/* Of @whole, what is not @part, in percent. */
static double rest_pct(uint64_t whole, uint64_t part)
{
	return whole > part ? 100.0 * (double)(whole - part) / (double)whole : 0;
}

/* Of the range that is free, how much lies in pieces smaller than the largest block. */
static double range_pct(const struct ztmpfs_pool_stat *stat)
{
	uint64_t free = 0, last = 0;

	for (unsigned i = 0; i < ZTMPFS_POOL_ORDERS; i++) {
		last = stat->range_free[i] << i;
		free += last;
	}
	return rest_pct(free, last);
}

static int get_answer(const char *path, uint32_t pool, uint32_t first, struct ztmpfs_pool_stat *out)
{
	int error;

	*out = (struct ztmpfs_pool_stat){ .version = ZTMPFS_STAT_VERSION,
					  .struct_size = sizeof(*out),
					  .pool = pool,
					  .first = first };
	error = ctl_ask(path, ZTMPFS_IOC_POOL_STAT, out);
	/* Another driver may take the number for its own. */
	if (!error &&
	    (out->struct_size != sizeof(*out) || out->pool != pool ||
	     out->nr_classes > ZTMPFS_POOL_CLASSES || (out->next != 0 && out->next <= first)))
		error = -ENOTTY;
	out->name[sizeof(out->name) - 1] = '\0';
	return error;
}

int ctl_get_pools(const char *path, struct ztmpfs_pool_stat **out_answers, size_t *out_nr)
{
	struct ztmpfs_pool_stat *answers = zt_zalloc(CTL_POOL_ANSWERS * sizeof(*answers));
	uint32_t pool = 0, first = 0;
	size_t nr = 0;

	if (!answers)
		return -ENOMEM;
	do {
		int error = nr < CTL_POOL_ANSWERS ? get_answer(path, pool, first, &answers[nr])
						  : -ENOTTY;

		if (error) {
			zt_free(answers);
			return error;
		}
		first = answers[nr].next;
		pool += first == 0;
		nr++;
	} while (pool < answers[nr - 1].nr_pools);
	*out_answers = answers;
	*out_nr = nr;
	return 0;
}

/* ---- table ---- */

static void print_groups(FILE *out, const uint64_t *groups)
{
	for (unsigned i = 0; i < ZTMPFS_POOL_GROUPS; i++)
		fprintf(out, " %6" PRIu64, groups[i]);
}

static void print_class(FILE *out, const struct ztmpfs_pool_class *class)
{
	uint64_t groups[ZTMPFS_POOL_GROUPS];

	for (unsigned i = 0; i < ZTMPFS_POOL_GROUPS; i++)
		groups[i] = class->groups[i];
	fprintf(out, "%5" PRIu32 " %6" PRIu32, class->idx, class->size);
	print_groups(out, groups);
	fprintf(out, " %13" PRIu64 " %10" PRIu64 " %10" PRIu64 " %16" PRIu32 " %8" PRIu64 "\n",
		class->obj_allocated, class->obj_used, class->pages_used, class->pages_per_zspage,
		class->freeable);
}

static void print_sum(FILE *out, const struct sum *sum, uint64_t compacted)
{
	fprintf(out, "%5s %6s", "Total", "");
	print_groups(out, sum->groups);
	fprintf(out, " %13" PRIu64 " %10" PRIu64 " %10" PRIu64 " %16s %8" PRIu64 "\n\n",
		sum->allocated, sum->objects, sum->pages, "", sum->freeable);
	fprintf(out, "%-20s %20" PRIu64 " bytes\n", "objects", sum->bytes);
	fprintf(out, "%-20s %20" PRIu64 " bytes, %.1f %% lost to headers and rounding\n", "rooms",
		sum->rooms, rest_pct(sum->rooms, sum->bytes));
	fprintf(out, "%-20s %20" PRIu64 " bytes, %.1f %% lost to gaps\n", "memory",
		sum->pages * PAGE, rest_pct(sum->pages * PAGE, sum->rooms));
	fprintf(out, "%-20s %20" PRIu64 " bytes\n", "cached", sum->cached * PAGE);
	fprintf(out, "%-20s %20" PRIu64 " pages\n", "pages_compacted", compacted);
}

static void print_head(FILE *out, const char *name)
{
	fprintf(out, "Pool %s:\n%5s %6s %6s", name, "class", "size", "empty");
	for (unsigned i = 1; i < ZTMPFS_POOL_GROUPS - 1; i++)
		fprintf(out, "   <%u/%u", i, ZTMPFS_POOL_GROUPS - 2);
	fprintf(out, " %6s %13s %10s %10s %16s %8s\n", "full", "obj_allocated", "obj_used",
		"pages_used", "pages_per_zspage", "freeable");
}

static void print_table(FILE *out, const struct ztmpfs_pool_stat *answers, size_t nr)
{
	const struct ztmpfs_pool_stat *last = &answers[nr - 1];
	struct sum sum = { 0 };

	for (size_t i = 0; i < nr; i++) {
		const struct ztmpfs_pool_stat *stat = &answers[i];

		if (stat->first == 0)
			print_head(out, stat->name);
		for (uint32_t c = 0; c < stat->nr_classes; c++) {
			print_class(out, &stat->classes[c]);
			sum_add(&sum, &stat->classes[c]);
		}
		if (stat->next != 0)
			continue;
		print_sum(out, &sum, stat->pages_compacted);
		fputc('\n', out);
		sum = (struct sum){ 0 };
	}
	fprintf(out, "Arena:\n%-20s %20" PRIu64 " bytes\n", "resident", last->resident);
	fprintf(out, "%-20s %20" PRIu64 " bytes of addresses\n", "range", last->range);
	fprintf(out, "%-20s %20" PRIu64 " bytes of addresses\n", "range_runs", last->range_runs);
	for (unsigned i = 0; i < ZTMPFS_POOL_ORDERS; i++)
		fprintf(out, "free, %4u page%s %25" PRIu64 " blocks\n", 1u << i, i ? "s" : " ",
			last->range_free[i]);
	fprintf(out, "%-20s %20.1f %% of what is free is in smaller pieces than the largest\n",
		"fragmentation", range_pct(last));
}

/* ---- JSON ---- */

#define JSON_U64(out, name, value) fprintf(out, "\"" name "\": %" PRIu64 ", ", (uint64_t)(value))

static void json_groups(FILE *out, const uint32_t *groups)
{
	fputs("\"groups\": [", out);
	for (unsigned i = 0; i < ZTMPFS_POOL_GROUPS; i++)
		fprintf(out, "%s%" PRIu32, i ? ", " : "", groups[i]);
	fputc(']', out);
}

static void json_class(FILE *out, const struct ztmpfs_pool_class *class, bool is_first)
{
	fprintf(out, "%s\n      { ", is_first ? "" : ",");
	JSON_U64(out, "class", class->idx);
	JSON_U64(out, "size", class->size);
	JSON_U64(out, "obj_allocated", class->obj_allocated);
	JSON_U64(out, "obj_used", class->obj_used);
	JSON_U64(out, "obj_bytes", class->obj_bytes);
	JSON_U64(out, "pages_used", class->pages_used);
	JSON_U64(out, "pages_cached", class->pages_cached);
	JSON_U64(out, "pages_per_zspage", class->pages_per_zspage);
	JSON_U64(out, "objs_per_zspage", class->objs_per_zspage);
	JSON_U64(out, "freeable", class->freeable);
	json_groups(out, class->groups);
	fputs(" }", out);
}

static void json_sum(FILE *out, const struct sum *sum, uint64_t compacted)
{
	fputs("\n    ],\n    ", out);
	JSON_U64(out, "objects", sum->objects);
	JSON_U64(out, "object_bytes", sum->bytes);
	JSON_U64(out, "room_bytes", sum->rooms);
	JSON_U64(out, "memory", sum->pages * PAGE);
	JSON_U64(out, "cached", sum->cached * PAGE);
	JSON_U64(out, "freeable", sum->freeable * PAGE);
	fprintf(out, "\"pages_compacted\": %" PRIu64 "\n  }", compacted);
}

static void print_json(FILE *out, const struct ztmpfs_pool_stat *answers, size_t nr)
{
	const struct ztmpfs_pool_stat *last = &answers[nr - 1];
	struct sum sum = { 0 };
	bool is_first = true;

	fputs("{\n  \"pools\": [", out);
	for (size_t i = 0; i < nr; i++) {
		const struct ztmpfs_pool_stat *stat = &answers[i];

		if (stat->first == 0) {
			fprintf(out, "%s{\n    \"name\": ", i ? ", " : "");
			ctl_print_json_text(out, stat->name);
			fputs(",\n    \"classes\": [", out);
			is_first = true;
		}
		for (uint32_t c = 0; c < stat->nr_classes; c++) {
			json_class(out, &stat->classes[c], is_first);
			sum_add(&sum, &stat->classes[c]);
			is_first = false;
		}
		if (stat->next != 0)
			continue;
		json_sum(out, &sum, stat->pages_compacted);
		sum = (struct sum){ 0 };
	}
	fputs("],\n  \"arena\": { ", out);
	JSON_U64(out, "resident", last->resident);
	JSON_U64(out, "range", last->range);
	JSON_U64(out, "range_runs", last->range_runs);
	fputs("\"range_free\": [", out);
	for (unsigned i = 0; i < ZTMPFS_POOL_ORDERS; i++)
		fprintf(out, "%s%" PRIu64, i ? ", " : "", last->range_free[i]);
	fprintf(out, "], \"fragmentation\": %.1f }\n}\n", range_pct(last));
}

void ctl_print_pools(FILE *out, const struct ztmpfs_pool_stat *answers, size_t nr, bool json)
{
	if (json)
		print_json(out, answers, nr);
	else
		print_table(out, answers, nr);
}
