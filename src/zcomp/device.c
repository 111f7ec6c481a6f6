// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * device.c - devices with names, and the parameters of the pseudo-accelerator: the table, their
 * ranges, and how users write them. No locks; nothing is allocated.
 */
#include "zcomp/device.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "util/sizes.h"
#include "util/words.h"

/*
 * Sources: the drivers in Linux (drivers/crypto/hisilicon, drivers/dma/idxd and
 * crypto/intel/iaa), the poll mode driver of DPDK for QAT, Qualcomm's qpace.c, and what is known of
 * MediaTek's out-of-tree driver. Nobody publishes times. All of submit_ns, latency_us and work_ns
 * are assumed; see ztmpfs(8), DEVICES.
 */
static const struct zcomp_device devices[] = {
	{ .name = "hisi",
	  .what = "HiSilicon ZIP of Kunpeng servers",
	  .algorithm = "lz4",
	  .window = 64 * KIB,
	  .params = { .engines = 2,
		      .depth = 1024,
		      .batch = 1,
		      .submit_ns = 500,
		      .latency_us = 20,
		      .work_ns = 2000 } },
	{ .name = "iaa",
	  .what = "Intel In-Memory Analytics Accelerator",
	  .algorithm = "deflate",
	  .window = 4 * KIB,
	  .both = true,
	  .params = { .engines = 8,
		      .depth = 128,
		      .batch = 8,
		      .submit_ns = 2000,
		      .latency_us = 2,
		      .work_ns = 8000,
		      .unit = 4 * KIB } },
	{ .name = "qpace",
	  .what = "Qualcomm page compression engine of phones",
	  .algorithm = "lz4",
	  .window = 4 * KIB,
	  .both = true,
	  .params = { .engines = 1,
		      .depth = 128,
		      .batch = 32,
		      .submit_ns = 300,
		      .latency_us = 10,
		      .work_ns = 2000,
		      .unit = 4 * KIB } },
	{ .name = "hwz",
	  .what = "MediaTek zram engine of phones",
	  .algorithm = "lz4",
	  .window = 4 * KIB,
	  .both = true,
	  .params = { .engines = 2,
		      .depth = 256,
		      .batch = 1,
		      .submit_ns = 300,
		      .latency_us = 50,
		      .work_ns = 4000,
		      .unit = 4 * KIB } },
	{ .name = "qat",
	  .what = "Intel QuickAssist Technology",
	  .algorithm = "deflate",
	  .window = 32 * KIB,
	  .both = true,
	  .params = { .engines = 4,
		      .depth = 256,
		      .batch = 1,
		      .submit_ns = 1000,
		      .latency_us = 50,
		      .work_ns = 1500 } },
};

const struct zcomp_device *zcomp_device_at(size_t idx)
{
	return idx < ARRAY_SIZE(devices) ? &devices[idx] : NULL;
}

const struct zcomp_device *zcomp_device_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(devices); i++)
		if (strcmp(devices[i].name, name) == 0)
			return &devices[i];
	return NULL;
}

const char *zcomp_device_guess(const char *name, const char *const *more, size_t nr_more)
{
	size_t least = words_near(name);
	const char *best = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(devices) + nr_more; i++) {
		const char *word =
			i < ARRAY_SIZE(devices) ? devices[i].name : more[i - ARRAY_SIZE(devices)];
		const size_t far = words_distance(name, word);

		if (far < least) {
			least = far;
			best = word;
		}
	}
	return best;
}

/* Parameters -------------------------------------------------------------- */

/* One of ":NAME=N". */
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
	PARAMETER("work", work_ns, 0, ZCOMP_ACCEL_MAX_WORK_NS),
	PARAMETER("unit", unit, ZCOMP_MIN_UNIT, ZCOMP_MAX_UNIT),
	PARAMETER("poll", poll_us, 0, ZCOMP_ACCEL_MAX_POLL_US),
	PARAMETER("fail", fail_ppm, 0, ZCOMP_ACCEL_MAX_PPM),
	PARAMETER("stall", stall_ppm, 0, ZCOMP_ACCEL_MAX_PPM),
	PARAMETER("reset", reset_ppm, 0, ZCOMP_ACCEL_MAX_PPM),
	PARAMETER("kill", kill_ppm, 0, ZCOMP_ACCEL_MAX_PPM),
};

static int refuse(char error_text[ZCOMP_ERROR_TEXT], const struct parameter *p)
{
	snprintf(error_text, ZCOMP_ERROR_TEXT, "%s is a number from %u to %u", p->name, p->min,
		 p->max);
	return -EINVAL;
}

static int refuse_name(char error_text[ZCOMP_ERROR_TEXT])
{
	char names[ZCOMP_ERROR_TEXT];

	zcomp_accel_names(names, sizeof(names));
	snprintf(error_text, ZCOMP_ERROR_TEXT, "parameters are%.*s", ZCOMP_ERROR_TEXT - 16, names);
	return -EINVAL;
}

void zcomp_accel_names(char *text, size_t space)
{
	size_t used = 0;

	for (size_t i = 0; i < ARRAY_SIZE(parameters) && used < space; i++)
		used += (size_t)snprintf(text + used, space - used, " :%s=N", parameters[i].name);
}

static bool deadline_fits(const struct zcomp_accel_params *params)
{
	return !params->deadline_us ||
	       params->deadline_us > (uint64_t)params->latency_us + params->poll_us;
}

int zcomp_accel_check(const struct zcomp_accel_params *params, char error_text[ZCOMP_ERROR_TEXT])
{
	for (size_t i = 0; i < ARRAY_SIZE(parameters); i++) {
		const struct parameter *p = &parameters[i];
		uint32_t value;

		memcpy(&value, (const char *)params + p->offset, sizeof(value));
		/* 0 stands for the default. */
		if (value > p->max || (value && value < p->min)) {
			snprintf(error_text, ZCOMP_ERROR_TEXT, "%s=%u: out of range %u..%u",
				 p->name, value, p->min, p->max);
			return -EINVAL;
		}
	}
	if (!deadline_fits(params)) {
		snprintf(error_text, ZCOMP_ERROR_TEXT,
			 "deadline=%u: must be longer than latency=%u", params->deadline_us,
			 params->latency_us);
		return -EINVAL;
	}
	return 0;
}

/* "1024" of "1024:depth=1": decimal digits and nothing else. */
static bool read_number(const char *text, size_t len, const struct parameter *p, uint32_t *out)
{
	uint64_t value = 0;

	if (len == 0)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		value = value * 10 + (uint64_t)(text[i] - '0');
		if (value > p->max)
			return false;
	}
	*out = (uint32_t)value;
	return value >= p->min;
}

static const struct parameter *find_parameter(const char *name, size_t len)
{
	for (size_t i = 0; i < ARRAY_SIZE(parameters); i++)
		if (strlen(parameters[i].name) == len && memcmp(parameters[i].name, name, len) == 0)
			return &parameters[i];
	return NULL;
}

int zcomp_accel_parse(const char *words, struct zcomp_accel_params *inout_params,
		      char error_text[ZCOMP_ERROR_TEXT])
{
	struct zcomp_accel_params params = *inout_params;

	for (const char *word = words; word; word = strchr(word, ':')) {
		const struct parameter *p;
		uint32_t number;
		size_t len;

		word += word != words;
		len = strcspn(word, ":=");
		p = word[len] == '=' ? find_parameter(word, len) : NULL;
		if (!p)
			return refuse_name(error_text);
		word += len + 1;
		if (!read_number(word, strcspn(word, ":"), p, &number))
			return refuse(error_text, p);
		memcpy((char *)&params + p->offset, &number, sizeof(number));
	}
	if (!deadline_fits(&params)) {
		snprintf(error_text, ZCOMP_ERROR_TEXT, "deadline must be longer than latency");
		return -EINVAL;
	}
	*inout_params = params;
	return 0;
}
