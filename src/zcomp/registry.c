// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * registry.c - algorithms by name. It only looks up and checks; it sets nothing up.
 */
#include "zcomp/registry.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "backends/backends.h"

/* In the order in which a person is told of them. */
static const struct zcomp_ops *const builtin[] = {
	&backend_lz4,
	&backend_lz4hc,
	&backend_zstd,
	&backend_null,
	&backend_auto,
};

const struct zcomp_ops *zcomp_ops_at(size_t idx)
{
	return idx < ARRAY_SIZE(builtin) ? builtin[idx] : NULL;
}

const struct zcomp_ops *zcomp_find_ops(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(builtin); i++) {
		if (strcmp(builtin[i]->name, name) == 0)
			return builtin[i];
	}
	return NULL;
}

const struct zcomp_ops *zcomp_accel_ops(void)
{
	return &backend_accel;
}

const char *zcomp_ops_list(char *text, size_t size)
{
	size_t used = 0;

	text[0] = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(builtin) && used < size; i++)
		used += (size_t)snprintf(text + used, size - used, "%s%s", i ? ", " : "",
					 builtin[i]->name);
	return text;
}

bool zcomp_name_is_valid(const char *name)
{
	size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789._-");

	return len > 0 && len <= ZCOMP_NAME_MAX && name[len] == '\0' && !strchr("._-", name[0]);
}

/* What the table says of its levels must make sense; ZCOMP_LEVEL_DEFAULT is nobody's level. */
static bool levels_make_sense(const struct zcomp_ops *ops)
{
	return ops->level_min != ZCOMP_LEVEL_DEFAULT && ops->level_min <= ops->level_default &&
	       ops->level_default <= ops->level_max;
}

int zcomp_check_ops(const struct zcomp_ops *ops, char error_text[ZCOMP_ERROR_TEXT])
{
	const char *name = ops->name ? ops->name : "(without a name)";
	const char *lacks = NULL;

	if (ops->abi_version != ZCOMP_ABI_VERSION) {
		snprintf(error_text, ZCOMP_ERROR_TEXT,
			 "backend %.64s: made for version %u of the interface, not %u", name,
			 ops->abi_version, ZCOMP_ABI_VERSION);
		return -EINVAL;
	}
	if (ops->struct_size != sizeof(*ops)) {
		snprintf(error_text, ZCOMP_ERROR_TEXT,
			 "backend %.64s: its table has %u bytes, not %zu", name, ops->struct_size,
			 sizeof(*ops));
		return -EINVAL;
	}
	if (!ops->name || !ops->name[0])
		lacks = "name";
	else if (!ops->setup_params || !ops->release_params)
		lacks = "setup_params or release_params";
	else if (!ops->create_ctx || !ops->destroy_ctx)
		lacks = "create_ctx or destroy_ctx";
	else if (!ops->compress || !ops->decompress)
		lacks = "compress or decompress";
	else if (ops->submit && !ops->stop)
		lacks = "stop, which submit needs";
	else if (ops->poll && !ops->submit)
		lacks = "submit, which poll needs";
	if (lacks) {
		snprintf(error_text, ZCOMP_ERROR_TEXT, "backend %.64s: its table lacks %s", name,
			 lacks);
		return -EINVAL;
	}
	if (!zcomp_name_is_valid(name)) {
		snprintf(error_text, ZCOMP_ERROR_TEXT,
			 "backend %.64s: no good name: allowed are 1 to %u of a-z, 0-9, '.', '_' "
			 "and '-'",
			 name, ZCOMP_NAME_MAX);
		return -EINVAL;
	}
	if (!levels_make_sense(ops)) {
		snprintf(error_text, ZCOMP_ERROR_TEXT,
			 "backend %s: its levels %d..%d with the default %d make no sense", name,
			 ops->level_min, ops->level_max, ops->level_default);
		return -EINVAL;
	}
	return 0;
}
