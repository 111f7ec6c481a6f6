// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * odd_module.c - a module that copies, and that is wrong in the way that ZT_ODD names. It aborts
 * when it is unloaded while anything of it is still in use.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "ztmpfs/zcomp.h"

static atomic_int nr_in_use;

static int odd_setup(struct zcomp_params *params, struct zcomp_caps *caps)
{
	(void)caps;
	if (params->level == 9)
		return -EINVAL; /* though the table says that it is fine */
	atomic_fetch_add(&nr_in_use, 1);
	return 0;
}

static void odd_release(struct zcomp_params *params)
{
	(void)params;
	atomic_fetch_sub(&nr_in_use, 1);
}

static int odd_create_ctx(const struct zcomp_params *params, struct zcomp_ctx *ctx)
{
	(void)params;
	ctx->context = &nr_in_use;
	atomic_fetch_add(&nr_in_use, 1);
	return 0;
}

static void odd_destroy_ctx(const struct zcomp_params *params, struct zcomp_ctx *ctx)
{
	(void)params;
	ctx->context = NULL;
	atomic_fetch_sub(&nr_in_use, 1);
}

static int odd_copy(const struct zcomp_params *params, struct zcomp_strm *strm,
		    struct zcomp_req *req)
{
	(void)params;
	(void)strm;
	if (req->src_len > req->dst_cap)
		return -ENOSPC;
	memcpy(req->dst, req->src, req->src_len);
	req->dst_len = req->src_len;
	return 0;
}

__attribute__((destructor)) static void unloaded(void)
{
	if (atomic_load(&nr_in_use) != 0)
		abort();
}

/* A table with more at its end than any core knows. */
static struct {
	struct zcomp_ops ops;
	void *more[2];
} table = {
	.ops = {
		.abi_version = ZCOMP_ABI_VERSION,
		.struct_size = sizeof(struct zcomp_ops),
		.name = "odd",
		.level_min = 1,
		.level_max = 9,
		.level_default = 3,
		.setup_params = odd_setup,
		.release_params = odd_release,
		.create_ctx = odd_create_ctx,
		.destroy_ctx = odd_destroy_ctx,
		.compress = odd_copy,
		.decompress = odd_copy,
	},
};

static void make_odd(const char *how)
{
	if (strcmp(how, "version") == 0)
		table.ops.abi_version++;
	else if (strcmp(how, "right-version") == 0)
		table.ops.abi_version = ZCOMP_ABI_VERSION;
	else if (strcmp(how, "tiny") == 0)
		table.ops.struct_size = 64;
	else if (strcmp(how, "giant") == 0)
		table.ops.struct_size = 1u << 30;
	else if (strcmp(how, "uneven") == 0)
		table.ops.struct_size--;
	else if (strcmp(how, "old") == 0)
		table.ops.struct_size = offsetof(struct zcomp_ops, get_stream);
	else if (strncmp(how, "new", 3) == 0)
		table.ops.struct_size = sizeof(table);
	else if (strcmp(how, "no-decompress") == 0)
		table.ops.decompress = NULL;
	else if (strcmp(how, "no-name") == 0)
		table.ops.name = NULL;
	else if (strcmp(how, "bad-name") == 0)
		table.ops.name = "odd:3,x";
	else if (strcmp(how, "other-name") == 0)
		table.ops.name = "strange";
	else if (strcmp(how, "built-in-name") == 0)
		table.ops.name = "lz4";
	else if (strcmp(how, "levels-turned") == 0)
		table.ops.level_min = 10;
	else if (strcmp(how, "level-default") == 0)
		table.ops.level_default = 0;
	/* What lies beyond an old table must not be looked at. */
	if (strcmp(how, "old") == 0)
		table.ops.get_stream = (struct zcomp_strm * (*)(const struct zcomp_params *)) abort;
	if (strcmp(how, "new-in-use") == 0)
		table.more[1] = &table;
}

__attribute__((visibility("default"))) const struct zcomp_ops *ztmpfs_zcomp_module(void)
{
	const char *how = getenv("ZT_ODD");

	if (how && strcmp(how, "no-table") == 0)
		return NULL;
	if (how)
		make_odd(how);
	return &table.ops;
}
