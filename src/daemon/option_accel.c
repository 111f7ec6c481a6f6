// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * option_accel.c - the value of accel=: when, or a device by its name, and parameters of the device.
 *
 * Locks: none. It prints nothing.
 */
#include <errno.h>
#include <string.h>

#include "daemon/option_table.h"
#include "zcomp/device.h"

static const char *const words[] = {
	[BLKMAP_ACCEL_OFF] = "off",
	[BLKMAP_ACCEL_AUTO] = "auto",
	[BLKMAP_ACCEL_ON] = "on",
};

#define REFUSE(error, ...)                                                                         \
	((void)snprintf((error)->text, sizeof((error)->text), __VA_ARGS__), -EINVAL)

static int refuse_word(const char *word, struct options_error *error)
{
	const size_t space = sizeof(error->text);
	const char *guess = zcomp_device_guess(word, words, ARRAY_SIZE(words));
	const struct zcomp_device *device;
	size_t used;

	if (guess)
		return REFUSE(error, "option accel=%.64s: unknown; did you mean accel=%s?", word,
			      guess);
	used = (size_t)snprintf(error->text, space, "option accel=%.64s: allowed are off, auto, on",
				word);
	for (size_t i = 0; (device = zcomp_device_at(i)) != NULL && used < space; i++)
		used += (size_t)snprintf(error->text + used, space - used, ", %s", device->name);
	return -EINVAL;
}

/* "on" or "iaa" of "iaa:depth=8"; off, auto and on are devices without a name. */
static int read_word(const char *value, size_t len, struct options *options,
		     struct options_error *error)
{
	char word[64];
	size_t idx;

	snprintf(word, sizeof(word), "%.*s", (int)len, value);
	for (idx = 0; idx < ARRAY_SIZE(words) && strcmp(word, words[idx]) != 0; idx++)
		;
	options->device = idx < ARRAY_SIZE(words) ? NULL : zcomp_device_find(word);
	if (idx == ARRAY_SIZE(words) && !options->device)
		return refuse_word(word, error);
	options->super.content.accel = options->device ? BLKMAP_ACCEL_ON : (enum blkmap_accel)idx;
	return 0;
}

int option_parse_accel(const char *value, struct options *options, struct options_error *error)
{
	struct zcomp_accel_params params = { 0 };
	const size_t len = strcspn(value, ":");
	char why[ZCOMP_ERROR_TEXT];

	if (read_word(value, len, options, error) != 0)
		return -EINVAL;
	if (options->device)
		params = options->device->params;
	if (value[len] != '\0' && options->super.content.accel == BLKMAP_ACCEL_OFF)
		return REFUSE(error, "option accel=%.64s: off takes no parameters", value);
	if (value[len] != '\0' && zcomp_accel_parse(value + len + 1, &params, why) != 0)
		return REFUSE(error, "option accel=%.64s: %.180s", value, why);
	options->super.content.comp.accel_params = params;
	return 0;
}
