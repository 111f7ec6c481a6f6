// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * prometheus.c - ztmpfsctl stat --format=prometheus: the counters of mounts as Prometheus reads them.
 *
 * The text format wants all values of a name side by side, so all mounts are asked first. Names are
 * those of ztmpfsctl(8) with Prometheus' endings: the unit, and _total for what only grows. Times are
 * seconds.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/ctl.h"
#include "ctl/mounts.h"
#include "ctl/stat_fields.h"
#include "util/clock.h"
#include "util/lock.h"
#include "util/sizes.h"

#define NAME_MAX_LEN 96

struct ctl_metrics {
	struct ctl_metrics_mount *mounts;
	size_t nr;
	int error;
};

static int add(struct ctl_metrics *all, const char *path)
{
	struct ctl_metrics_mount *more = reallocarray(all->mounts, all->nr + 1, sizeof(*more));
	struct ctl_metrics_mount *mount;
	int error;

	if (!more)
		return -ENOMEM;
	all->mounts = more;
	mount = &more[all->nr];
	memset(mount, 0, sizeof(*mount));
	error = ctl_get_stat(path, &mount->stat);
	if (!error)
		error = ctl_get_info(path, &mount->info);
	mount->up = !error;
	if (error)
		(void)ctl_fail(path, error);
	/* One that does not answer is reported as that. */
	mount->path = strdup(path);
	if (!mount->path)
		return -ENOMEM;
	all->nr++;
	return error;
}

static void add_mount(void *arg, const struct mountinfo *mount)
{
	struct ctl_metrics *all = arg;

	if (all->error != -ENOMEM && add(all, mount->path) == -ENOMEM)
		all->error = -ENOMEM;
}

/* A label's value. */
static void print_label(FILE *out, const char *name, const char *text)
{
	fprintf(out, "%s=\"", name);
	for (; *text != '\0'; text++) {
		if (*text == '"' || *text == '\\')
			fprintf(out, "\\%c", *text);
		else if (*text == '\n')
			fputs("\\n", out);
		else
			fputc(*text, out);
	}
	fputc('"', out);
}

static bool ends_in(const char *text, const char *end)
{
	const size_t len = strlen(text), end_len = strlen(end);

	return len >= end_len && strcmp(text + len - end_len, end) == 0;
}

/* "ztmpfs_compress_in_bytes_total" of "compress_in". */
static void name_of(const struct field *field, char out[NAME_MAX_LEN])
{
	size_t len = strlen(field->name);
	const char *unit = "";

	/* mem_used_total, lock_wait_ns: endings that mean something else here. */
	if (ends_in(field->name, "_total"))
		len -= strlen("_total");
	else if (ends_in(field->name, "_ns"))
		len -= strlen("_ns");
	if (ctl_field_is_time(field))
		unit = "_seconds";
	else if (field->unit && strcmp(field->unit, "bytes") == 0 && !ends_in(field->name, "_bytes"))
		unit = "_bytes";
	(void)snprintf(out, NAME_MAX_LEN, "ztmpfs_%.*s%s%s", (int)len, field->name, unit,
		       field->falls || field->kind == FIELD_BUCKETS ? "" : "_total");
}

static void print_begin(FILE *out, const char *name, const char *end,
			const struct ctl_metrics_mount *mount)
{
	fprintf(out, "%s%s{", name, end);
	print_label(out, "mount", mount->path);
}

static uint64_t value_of(const struct field *field, const struct ctl_metrics_mount *mount,
			 unsigned i)
{
	uint64_t value;

	memcpy(&value, (const char *)&mount->stat + field->offset + i * sizeof(value),
	       sizeof(value));
	return value;
}

/* Bucket i ends below 2^(i + 1) units. Weakness: the daemon counts no sum. */
static void print_histogram(FILE *out, const char *name, const struct field *field,
			    const struct ctl_metrics_mount *mount)
{
	const double unit = ctl_field_is_time(field) ? (double)ZT_NS_PER_S : 1;
	uint64_t below = 0;

	for (unsigned i = 0; i < field->nr; i++) {
		below += value_of(field, mount, i);
		print_begin(out, name, "_bucket", mount);
		if (i + 1 < field->nr)
			fprintf(out, ",le=\"%.10g\"} %" PRIu64 "\n",
				(double)((UINT64_C(2) << i) - 1) / unit, below);
		else
			fprintf(out, ",le=\"+Inf\"} %" PRIu64 "\n", below);
	}
	print_begin(out, name, "_count", mount);
	fprintf(out, "} %" PRIu64 "\n", below);
}

static void print_value(FILE *out, const char *name, const struct field *field,
			const struct ctl_metrics_mount *mount, unsigned i)
{
	const uint64_t value = value_of(field, mount, i);

	print_begin(out, name, "", mount);
	if (field->kind == FIELD_LOCKS)
		print_label(out, ",lock", zt_lock_name(i));
	if (ctl_field_is_time(field))
		fprintf(out, "} %.9f\n", (double)value / (double)ZT_NS_PER_S);
	else
		fprintf(out, "} %" PRIu64 "\n", value);
}

static void print_field(FILE *out, const struct field *field,
			const struct ctl_metrics_mount *mounts, size_t nr)
{
	char name[NAME_MAX_LEN];

	name_of(field, name);
	fprintf(out, "# HELP %s The counter %s of ztmpfsctl(8).\n# TYPE %s %s\n", name, field->name,
		name,
		field->kind == FIELD_BUCKETS ? "histogram"
		: field->falls               ? "gauge"
					     : "counter");
	for (size_t m = 0; m < nr; m++) {
		if (!mounts[m].up)
			continue;
		if (field->kind == FIELD_BUCKETS)
			print_histogram(out, name, field, &mounts[m]);
		else
			for (unsigned i = 0; i < max_u64(field->nr, 1); i++)
				print_value(out, name, field, &mounts[m], i);
	}
}

static void print_mounts(FILE *out, const struct ctl_metrics_mount *mounts, size_t nr)
{
	fputs("# HELP ztmpfs_up Whether the mount answers.\n# TYPE ztmpfs_up gauge\n", out);
	for (size_t m = 0; m < nr; m++) {
		print_begin(out, "ztmpfs_up", "", &mounts[m]);
		fprintf(out, "} %d\n", mounts[m].up);
	}
	fputs("# HELP ztmpfs_mount_info What serves the mount.\n# TYPE ztmpfs_mount_info gauge\n",
	      out);
	for (size_t m = 0; m < nr; m++) {
		if (!mounts[m].up)
			continue;
		print_begin(out, "ztmpfs_mount_info", "", &mounts[m]);
		print_label(out, ",release", mounts[m].info.release);
		print_label(out, ",compress", mounts[m].stat.compress);
		print_label(out, ",recompress", mounts[m].stat.recompress);
		fputs("} 1\n", out);
	}
}

void ctl_print_metrics(FILE *out, const struct ctl_metrics_mount *mounts, size_t nr)
{
	const struct field *field;

	if (nr > 0)
		print_mounts(out, mounts, nr);
	for (size_t i = 0; nr > 0 && (field = ctl_stat_field(i)) != NULL; i++)
		if (field->kind != FIELD_HEADING && field->kind != FIELD_TEXT)
			print_field(out, field, mounts, nr);
}

int ctl_print_prometheus(char *paths[], int nr)
{
	struct ctl_metrics all = { .mounts = NULL };
	int error = nr > 0 ? 0 : ctl_each_mount(add_mount, &all);

	if (!error)
		error = all.error;
	if (error)
		fprintf(stderr, "ztmpfsctl: %s\n", strerror(-error));
	/* What was asked for by name has to answer. */
	for (int i = 0; i < nr && !error; i++)
		error = add(&all, paths[i]);
	if (!error)
		ctl_print_metrics(stdout, all.mounts, all.nr);
	for (size_t m = 0; m < all.nr; m++)
		free(all.mounts[m].path); /* strdup's */
	free(all.mounts); /* reallocarray's */
	return error ? CTL_EXIT_FAILED : ctl_end(0);
}
