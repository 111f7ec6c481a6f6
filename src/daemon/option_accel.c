// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * option_accel.c - the value of accel=: when, and the parameters of the device.
 *
 * Locks: none. It prints nothing.
 */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "daemon/option_table.h"

/* One of ":NAME=N". The limits are the codec layer's own. */
struct parameter {
	const char *name;
	size_t offset; /* in struct zcomp_accel_params */
	uint32_t min, max;
};

#define PARAMETER(name, member, min, max)                                                          \
	{                                                                                          \
		name, offsetof(struct zcomp_accel_params, member), min, max                        \
	}

static const struct parameter parameters[] = {
	PARAMETER("engines", engines, 1, ZCOMP_ACCEL_MAX_ENGINES),
	PARAMETER("depth", depth, 1, ZCOMP_ACCEL_MAX_DEPTH),
	PARAMETER("batch", batch, 1, ZCOMP_ACCEL_MAX_BATCH),
	PARAMETER("deadline", deadline_us, 1, ZCOMP_ACCEL_MAX_DEADLINE_US),
	PARAMETER("submit", submit_ns, 0, ZCOMP_ACCEL_MAX_SUBMIT_NS),
	PARAMETER("latency", latency_us, 0, ZCOMP_ACCEL_MAX_LATENCY_US),
	PARAMETER("fail", fail_ppm, 0, ZCOMP_ACCEL_MAX_PPM),
	PARAMETER("stall", stall_ppm, 0, ZCOMP_ACCEL_MAX_PPM),
	PARAMETER("reset", reset_ppm, 0, ZCOMP_ACCEL_MAX_PPM),
	PARAMETER("kill", kill_ppm, 0, ZCOMP_ACCEL_MAX_PPM),
};

static const char *const words[] = {
	[BLKMAP_ACCEL_OFF] = "off",
	[BLKMAP_ACCEL_AUTO] = "auto",
	[BLKMAP_ACCEL_ON] = "on",
};

#define REFUSE(error, ...)                                                                         \
	((void)snprintf((error)->text, sizeof((error)->text), __VA_ARGS__), -EINVAL)

static int refuse_name(const char *value, struct options_error *error)
{
	const size_t room = sizeof(error->text);
	size_t used = (size_t)snprintf(error->text, room,
				       "option accel=%.64s: allowed are off, auto, on; the latter "
				       "two with",
				       value);

	for (size_t i = 0; i < ARRAY_SIZE(parameters) && used < room; i++)
		used += (size_t)snprintf(error->text + used, room - used, " :%s=N",
					 parameters[i].name);
	return -EINVAL;
}

/* Decimal digits and nothing else. */
static bool read_number(const char *text, uint32_t min, uint32_t max, uint32_t *out)
{
	uint64_t value = 0;

	if (*text == '\0')
		return false;
	for (; *text != '\0'; text++) {
		if (*text < '0' || *text > '9')
			return false;
		value = value * 10 + (uint64_t)(*text - '0');
		if (value > max)
			return false;
	}
	*out = (uint32_t)value;
	return value >= min;
}

static int read_parameter(const char *value, char *word, struct zcomp_accel_params *params,
			  struct options_error *error)
{
	char *equals = strchr(word, '=');
	uint32_t number;

	if (!equals)
		return refuse_name(value, error);
	*equals = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(parameters); i++) {
		const struct parameter *p = &parameters[i];

		if (strcmp(word, p->name) != 0)
			continue;
		if (!read_number(equals + 1, p->min, p->max, &number))
			return REFUSE(error, "option accel=%.64s: %s is a number from %u to %u",
				      value, p->name, p->min, p->max);
		memcpy((char *)params + p->offset, &number, sizeof(number));
		return 0;
	}
	return refuse_name(value, error);
}

int option_parse_accel(const char *value, struct super_params *super, struct options_error *error)
{
	struct zcomp_accel_params params = { 0 };
	char copy[256], *rest = copy, *word;
	size_t idx;
	int err;

	if (strlen(value) >= sizeof(copy))
		return refuse_name(value, error);
	strcpy(copy, value);
	word = strsep(&rest, ":");
	for (idx = 0; idx < ARRAY_SIZE(words) && strcmp(word, words[idx]) != 0; idx++)
		;
	if (idx == ARRAY_SIZE(words))
		return refuse_name(value, error);
	if (rest && idx == BLKMAP_ACCEL_OFF)
		return REFUSE(error, "option accel=%.64s: off takes no parameters", value);
	while ((word = strsep(&rest, ":")) != NULL) {
		err = read_parameter(value, word, &params, error);
		if (err)
			return err;
	}
	if (params.deadline_us && params.deadline_us <= params.latency_us)
		return REFUSE(error, "option accel=%.64s: deadline must be longer than latency",
			      value);
	super->content.accel = (enum blkmap_accel)idx;
	super->content.comp.accel_params = params;
	return 0;
}
