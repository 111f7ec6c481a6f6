// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * option_read.c - how the value of a mount option is read: one way for each kind, and one for each
 * of the few options that are of no kind.
 *
 * Locks: none. It prints nothing.
 */
#include "daemon/option_table.h"

#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/alloc.h"
#include "util/sizes.h"
#include "zcomp/module.h"
#include "zcomp/registry.h"

/* The refusals in the table and below name these. */
/* A day, in seconds. */
#define RECOMPRESS_IDLE_MAX 86400
/* The kernel's, and its negative. */
#define OOM_SCORE_MAX 1000

int option_text_set(char **inout_text, const char *text)
{
	const size_t len = strlen(text);
	char *copy = zt_zalloc(len + 1);

	if (!copy)
		return -ENOMEM;
	memcpy(copy, text, len);
	zt_free(*inout_text);
	*inout_text = copy;
	return 0;
}

/* Digits of a base up to 10 and nothing else, min..max. */
static int parse_digits(const char *text, unsigned base, uint64_t min, uint64_t max, uint64_t *out)
{
	uint64_t value = 0;

	if (*text == '\0')
		return -EINVAL;
	for (; *text != '\0'; text++) {
		if (*text < '0' || *text >= '0' + (int)base)
			return -EINVAL;
		value = value * base + (uint64_t)(*text - '0');
		if (value > max)
			return -EINVAL;
	}
	if (value < min)
		return -EINVAL;
	*out = value;
	return 0;
}

/* Kinds ------------------------------------------------------------------ */

static void *member(const struct option_reading *r, size_t offset)
{
	return (char *)r->options + offset;
}

/* Into a bool or an int8_t, a number or an enumeration, or 64 bits. */
static void store(struct option_reading *r, uint64_t value)
{
	const uint8_t byte = (uint8_t)value;
	const uint32_t word = (uint32_t)value;

	switch (r->desc->width) {
	case sizeof(byte):
		memcpy(member(r, r->desc->offset), &byte, sizeof(byte));
		break;
	case sizeof(word):
		memcpy(member(r, r->desc->offset), &word, sizeof(word));
		break;
	case sizeof(value):
		memcpy(member(r, r->desc->offset), &value, sizeof(value));
		break;
	default:
		ZT_ASSERT(r->desc->width == 0); /* taken, and always so */
	}
}

static int read_number(struct option_reading *r)
{
	const struct option_desc *desc = r->desc;
	uint64_t value;

	if (parse_digits(r->value, desc->base ? desc->base : 10, desc->min, desc->max, &value) != 0)
		return -EINVAL;
	store(r, value);
	return 0;
}

static int read_size(struct option_reading *r)
{
	const struct option_desc *desc = r->desc;
	const uint64_t unit = desc->unit ? desc->unit : 1;
	uint64_t value;

	if (size_parse(r->value, desc->of_ram ? r->env->ram : 0, &value) != 0 ||
	    value < desc->min || value > UINT64_MAX / unit)
		return -EINVAL;
	store(r, value * unit);
	return 0;
}

static int read_choice(struct option_reading *r)
{
	for (const struct option_choice *choice = r->desc->choices; choice->word; choice++) {
		if (strcmp(r->value, choice->word) == 0) {
			store(r, choice->value);
			return 0;
		}
	}
	return -EINVAL;
}

static int read_text(struct option_reading *r)
{
	if (strlen(r->value) < r->desc->min)
		return -EINVAL;
	return option_text_set(member(r, r->desc->offset), r->value);
}

int option_read(struct option_reading *r)
{
	const bool said = true;

	if (r->desc->said)
		memcpy(member(r, r->desc->said), &said, sizeof(said));
	switch (r->desc->kind) {
	case OPTION_FLAG:
		store(r, (uint64_t)r->desc->on);
		return 0;
	case OPTION_NUMBER:
		return read_number(r);
	case OPTION_SIZE:
		return read_size(r);
	case OPTION_CHOICE:
		return read_choice(r);
	case OPTION_TEXT:
		return read_text(r);
	default:
		return r->desc->read(r);
	}
}

/* Of no kind ------------------------------------------------------------- */

int option_read_uid(struct option_reading *r)
{
	const struct passwd *pw;
	uint64_t number;

	if (parse_digits(r->value, 10, 0, UINT32_MAX - 1, &number) == 0) {
		r->options->super.uid = (uid_t)number;
		return 0;
	}
	pw = getpwnam(r->value);
	if (!pw)
		return -EINVAL;
	r->options->super.uid = pw->pw_uid;
	return 0;
}

int option_read_gid(struct option_reading *r)
{
	const struct group *gr;
	uint64_t number;

	if (parse_digits(r->value, 10, 0, UINT32_MAX - 1, &number) == 0) {
		r->options->super.gid = (gid_t)number;
		return 0;
	}
	gr = getgrnam(r->value);
	if (!gr)
		return -EINVAL;
	r->options->super.gid = gr->gr_gid;
	return 0;
}

/* "compress=x: allowed are lz4[:1..12], ..." from what is built in; more before and behind. */
static int refuse_algorithm(const char *option, const char *before, const char *value,
			    const char *behind, struct options_error *error)
{
	const struct zcomp_ops *ops;
	char *text = error->text;
	const size_t space = sizeof(error->text);
	size_t used;

	used = (size_t)snprintf(text, space, "option %s=%.64s: allowed are%s", option, value,
				before);
	for (size_t i = 0; (ops = zcomp_ops_at(i)) != NULL && used < space; i++) {
		used += (size_t)snprintf(text + used, space - used, "%s %s", i ? "," : "",
					 ops->name);
		if (ops->level_min != ops->level_max && used < space)
			used += (size_t)snprintf(text + used, space - used, "[:%d..%d]",
						 (int)ops->level_min, (int)ops->level_max);
	}
	if (used < space)
		snprintf(text + used, space - used, "%s", behind);
	return -EINVAL;
}

static int refuse_compress(const char *value, struct options_error *error)
{
	char behind[PATH_MAX];

	snprintf(behind, sizeof(behind), ", or a module in %s or its absolute path",
		 zcomp_module_dir);
	return refuse_algorithm("compress", " none,", value, behind, error);
}

/* ALG[:LEVEL] */
static int parse_algorithm(const char *value, char name[OPTION_ALGORITHM_MAX], int32_t *out_level)
{
	const char *colon = strchr(value, ':');
	const size_t len = colon ? (size_t)(colon - value) : strlen(value);
	const struct zcomp_ops *ops;
	char *end;
	long number;

	if (len >= OPTION_ALGORITHM_MAX)
		return -EINVAL;
	memcpy(name, value, len);
	name[len] = '\0';
	ops = zcomp_find_ops(name);
	if (!ops)
		return -EINVAL;
	*out_level = ZCOMP_LEVEL_DEFAULT;
	if (!colon)
		return 0;
	errno = 0;
	number = strtol(colon + 1, &end, 10);
	if (errno || end == colon + 1 || *end != '\0' || number < ops->level_min ||
	    number > ops->level_max || ops->level_min == ops->level_max)
		return -EINVAL;
	*out_level = (int32_t)number;
	return 0;
}

/* A whole number that is some algorithm's level. */
static bool parse_level(const char *text, int32_t *out_level)
{
	char *end;
	long number;

	errno = 0;
	number = strtol(text, &end, 10);
	if (errno || end == text || *end != '\0' || number <= ZCOMP_LEVEL_DEFAULT ||
	    number > INT32_MAX)
		return false;
	*out_level = (int32_t)number;
	return true;
}

/* What a module says of its levels is asked when it is loaded, to be used. */
bool option_module_exists(const char *name)
{
	char path[PATH_MAX];

	return zcomp_module_path(name, path, sizeof(path)) == 0 && access(path, F_OK) == 0;
}

int option_read_compress(struct option_reading *r)
{
	const char *colon = strrchr(r->value, ':');
	int32_t level = ZCOMP_LEVEL_DEFAULT;
	const struct zcomp_ops *ops;
	char *name = NULL;
	int error_code;

	r->options->compress_none = strcmp(r->value, "none") == 0 || strcmp(r->value, "off") == 0;
	error_code = option_text_set(&name, r->options->compress_none ? "null" : r->value);
	if (error_code)
		return error_code;
	/* A path may have colons of its own. */
	if (colon && parse_level(colon + 1, &level))
		name[colon - r->value] = '\0';
	ops = zcomp_find_ops(name);
	if (ops ? level != ZCOMP_LEVEL_DEFAULT &&
			    (level < ops->level_min || level > ops->level_max ||
			     ops->level_min == ops->level_max)
		: !option_module_exists(name)) {
		zt_free(name);
		return refuse_compress(r->value, r->error);
	}
	zt_free(r->options->compress_name);
	r->options->compress_name = name;
	r->options->super.content.comp.level = level;
	return 0;
}

/* off, or ALG[:LEVEL][@IDLE] */
int option_read_recompress(struct option_reading *r)
{
	uint64_t idle = r->options->super.content.recompress_idle;
	char copy[64], name[OPTION_ALGORITHM_MAX], *at;
	int32_t level;

	if (strcmp(r->value, "off") == 0) {
		r->options->super.content.recompress = NULL;
		return 0;
	}
	if (strlen(r->value) >= sizeof(copy))
		goto refuse;
	strcpy(copy, r->value);
	at = strchr(copy, '@');
	if (at) {
		*at = '\0';
		if (parse_digits(at + 1, 10, 1, RECOMPRESS_IDLE_MAX, &idle) != 0)
			goto refuse;
	}
	if (parse_algorithm(copy, name, &level) != 0)
		goto refuse;
	strcpy(r->options->recompress_name, name);
	r->options->super.content.recompress = r->options->recompress_name;
	r->options->super.content.recompress_level = level;
	r->options->super.content.recompress_idle = (uint32_t)idle;
	return 0;

refuse:
	return refuse_algorithm("recompress", " off,", r->value, "; with @1..86400 seconds",
				r->error);
}

int option_read_cluster(struct option_reading *r)
{
	uint64_t size;

	if (size_parse(r->value, 0, &size) != 0)
		return -EINVAL;
	for (unsigned order = 0; order <= BLKMAP_MAX_ORDER; order++) {
		if (size == (uint64_t)ZT_PAGE_SIZE << order) {
			r->options->super.cluster_order = order;
			return 0;
		}
	}
	return -EINVAL;
}

int option_read_accel(struct option_reading *r)
{
	return option_parse_accel(r->value, r->options, r->error);
}

/* A CPU's number at *@inout_at, and go on behind it. */
static int read_cpu(const char **inout_at, unsigned *out_cpu)
{
	const char *at = *inout_at;
	unsigned cpu = 0;

	for (; *at >= '0' && *at <= '9' && cpu < CPU_SETSIZE; at++)
		cpu = cpu * 10 + (unsigned)(*at - '0');
	if (at == *inout_at || cpu >= CPU_SETSIZE)
		return -EINVAL;
	*inout_at = at;
	*out_cpu = cpu;
	return 0;
}

/* With colons, since a comma ends an option. */
int option_read_cpus(struct option_reading *r)
{
	const char *at = r->value;
	unsigned first, last;

	CPU_ZERO(&r->options->cpus);
	for (;;) {
		if (read_cpu(&at, &first) != 0)
			return -EINVAL;
		last = first;
		if (*at == '-' && (at++, read_cpu(&at, &last)) != 0)
			return -EINVAL;
		if (last < first)
			return -EINVAL;
		for (unsigned cpu = first; cpu <= last; cpu++)
			CPU_SET(cpu, &r->options->cpus);
		if (*at == '\0')
			return 0;
		if (*at++ != ':')
			return -EINVAL;
	}
}

/* The least and the most that a spill file has: blkmap/spill/spill.h. */
#define SPILL_LEAST MIB
#define SPILL_MOST  (UINT64_C(16) << 40)

/* FILE[:SIZE]; a name may have colons of its own, if no size is behind the last. */
int option_read_spill(struct option_reading *r)
{
	const char *colon = strrchr(r->value, ':');
	uint64_t size = 0;
	int error_code;

	if (colon && size_parse(colon + 1, 0, &size) != 0)
		colon = NULL;
	if (*r->value == '\0' || colon == r->value ||
	    (colon && (size < SPILL_LEAST || size >= SPILL_MOST)))
		return -EINVAL;
	error_code = option_text_set(&r->options->spill_path, r->value);
	if (error_code)
		return error_code;
	if (colon)
		r->options->spill_path[colon - r->value] = '\0';
	r->options->spill_size = size;
	return 0;
}

int option_read_oom(struct option_reading *r)
{
	const bool negative = *r->value == '-';
	uint64_t number;

	r->options->oom = OPTION_OOM_KEEP;
	if (strcmp(r->value, "keep") == 0)
		return 0;
	if (parse_digits(r->value + negative, 10, 0, OOM_SCORE_MAX, &number) != 0)
		return -EINVAL;
	r->options->oom = negative ? -(int)number : (int)number;
	return 0;
}

/* SELinux's words are the kernel's; where it is off mount(8) drops them, and so does this. */
int option_read_context(struct option_reading *r)
{
	if (*r->value == '\0')
		return -EINVAL;
	if (!r->env->selinux)
		return option_note(r->options, "option %s= has no effect: SELinux is not on",
				   r->desc->name);
	return read_text(r);
}
