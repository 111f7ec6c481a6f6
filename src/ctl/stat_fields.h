/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stat_fields.h - the counters of a mount as a list, from which tables, JSON and metrics are made.
 */
#ifndef ZT_CTL_STAT_FIELDS_H
#define ZT_CTL_STAT_FIELDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "util/compiler.h"
#include "ztmpfs/control.h"

enum field_kind { FIELD_HEADING, FIELD_U64, FIELD_TEXT, FIELD_BUCKETS, FIELD_LOCKS };

struct field {
	const char *name;
	enum field_kind kind;
	size_t offset; /* in struct ztmpfs_stat */
	const char *unit; /* for the table; NULL: a plain number */
	bool falls; /* tells what is now; others only grow */
	unsigned nr; /* buckets: number i counts from 2^i units on; or kinds of locks */
};

/** ctl_field_is_time() - nanoseconds, which people and programs want otherwise */
static inline bool ctl_field_is_time(const struct field *field)
{
	return field->unit && strcmp(field->unit, "ns") == 0;
}

/** ctl_stat_field() - the @idx-th, NULL at the end */
const struct field *ctl_stat_field(size_t idx);

/* One mount as metrics tell of it. */
struct ctl_metrics_mount {
	char *path; /* the mount's own */
	bool up; /* it answers; else the other two are empty */
	struct ztmpfs_info info;
	struct ztmpfs_stat stat;
};

/** ctl_print_metrics() - all numbers of @nr mounts in Prometheus' text format */
void ctl_print_metrics(FILE *out, const struct ctl_metrics_mount *mounts, size_t nr);

/**
 * ctl_print_prometheus() - the same on the output, of @nr mounts, or with 0 of all there are
 * Return: exit status; what failed has been printed.
 */
int ctl_print_prometheus(char *paths[], int nr) ZT_MUST_CHECK;

#endif
