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

int zcomp_check_ops(const struct zcomp_ops *ops, char error_text[ZCOMP_ERROR_TEXT])
{
	const char *name = ops->name ? ops->name : "(without a name)";
	const char *lacks = NULL;

	if (ops->abi_version != ZCOMP_ABI_VERSION) {
		snprintf(error_text, ZCOMP_ERROR_TEXT,
			 "backend %s: made for version %u of the interface, not %u", name,
			 ops->abi_version, ZCOMP_ABI_VERSION);
		return -EINVAL;
	}
	if (ops->struct_size != sizeof(*ops)) {
		snprintf(error_text, ZCOMP_ERROR_TEXT,
			 "backend %s: its table has %u bytes, not %zu", name, ops->struct_size,
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
	if (!lacks)
		return 0;
	snprintf(error_text, ZCOMP_ERROR_TEXT, "backend %s: its table lacks %s", name, lacks);
	return -EINVAL;
}
