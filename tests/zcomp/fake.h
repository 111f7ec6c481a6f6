/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fake.h - a backend that copies, keeps a diary and misbehaves on request. One at a time.
 */
#ifndef ZT_TESTS_ZCOMP_FAKE_H
#define ZT_TESTS_ZCOMP_FAKE_H

#include <errno.h>

#include "tests/zcomp/fixture.h"

static struct {
	/* Wishes. */
	bool claims_mgmt;
	const char *degraded;
	int setup_error;
	int ctx_error_at; /* the n-th context fails, 1: first */
	int managed_error; /* of compress() and submit() on the managed stream */
	size_t buffer_size, local_copy_size; /* of the managed stream */
	bool none_idle;
	/* The diary. */
	char calls[256]; /* one letter each: S setup, c create, d destroy, s stop, R release */
	struct zcomp_params params;
	struct zcomp_caps caps_before;
	int nr_created, nr_ctx, nr_put;
	struct zcomp_strm strm;
} fake;

static char fake_buffer[2 * ZCOMP_MAX_UNIT], fake_local_copy[ZCOMP_MAX_UNIT];

static inline void fake_note(char letter)
{
	size_t len = strlen(fake.calls);

	if (len + 1 < sizeof(fake.calls))
		fake.calls[len] = letter;
}

static inline int fake_setup(struct zcomp_params *params, struct zcomp_caps *caps)
{
	fake_note('S');
	fake.params = *params;
	fake.caps_before = *caps;
	caps->zstrm_mgmt = fake.claims_mgmt;
	caps->degraded = fake.degraded;
	return fake.setup_error;
}

static inline void fake_release(struct zcomp_params *params)
{
	(void)params;
	fake_note('R');
}

static inline int fake_create_ctx(const struct zcomp_params *params, struct zcomp_ctx *ctx)
{
	(void)params;
	fake_note('c');
	if (++fake.nr_created == fake.ctx_error_at)
		return -ENOMEM;
	fake.nr_ctx++;
	ctx->context = &fake;
	return 0;
}

static inline void fake_destroy_ctx(const struct zcomp_params *params, struct zcomp_ctx *ctx)
{
	(void)params;
	ck_assert_ptr_eq(ctx->context, &fake);
	fake.nr_ctx--;
	fake_note('d');
}

static inline int fake_copy(struct zcomp_req *req)
{
	if (req->src_len > req->dst_cap)
		return -ENOSPC;
	memcpy(req->dst, req->src, req->src_len);
	req->dst_len = req->src_len;
	return 0;
}

static inline int fake_compress(const struct zcomp_params *params, struct zcomp_strm *strm,
				struct zcomp_req *req)
{
	(void)params;
	return strm == &fake.strm && fake.managed_error ? fake.managed_error : fake_copy(req);
}

static inline int fake_decompress(const struct zcomp_params *params, struct zcomp_strm *strm,
				  struct zcomp_req *req)
{
	(void)params;
	(void)strm;
	return fake_copy(req);
}

static inline struct zcomp_strm *fake_get_stream(const struct zcomp_params *params)
{
	(void)params;
	if (fake.none_idle)
		return NULL;
	fake.strm.buffer = fake_buffer;
	fake.strm.buffer_size = fake.buffer_size;
	fake.strm.local_copy = fake_local_copy;
	fake.strm.local_copy_size = fake.local_copy_size;
	return &fake.strm;
}

static inline void fake_put_stream(const struct zcomp_params *params, struct zcomp_strm *strm)
{
	(void)params;
	ck_assert_ptr_eq(strm, &fake.strm);
	fake.nr_put++;
}

/* Done before it returns: a device that is very fast. */
static inline int fake_submit(const struct zcomp_params *params, struct zcomp_strm *strm,
			      struct zcomp_req *req, zcomp_done_fn done, void *arg)
{
	(void)params;
	if (fake.managed_error == -EBUSY)
		return -EBUSY;
	done(arg, strm, req, fake.managed_error ? fake.managed_error : fake_copy(req));
	return 0;
}

static inline void fake_stop(const struct zcomp_params *params)
{
	(void)params;
	fake_note('s');
}

/* fake_ops() - the whole table; takes back all wishes and the diary */
static inline struct zcomp_ops fake_ops(void)
{
	memset(&fake, 0, sizeof(fake));
	fake.claims_mgmt = true;
	fake.buffer_size = sizeof(fake_buffer);
	fake.local_copy_size = sizeof(fake_local_copy);
	return (struct zcomp_ops){
		.abi_version = ZCOMP_ABI_VERSION,
		.struct_size = sizeof(struct zcomp_ops),
		.name = "fake",
		.level_min = -3,
		.level_max = 7,
		.level_default = 5,
		.dict_max = 10,
		.setup_params = fake_setup,
		.release_params = fake_release,
		.create_ctx = fake_create_ctx,
		.destroy_ctx = fake_destroy_ctx,
		.compress = fake_compress,
		.decompress = fake_decompress,
		.get_stream = fake_get_stream,
		.put_stream = fake_put_stream,
		.submit = fake_submit,
		.stop = fake_stop,
	};
}

static inline struct zcomp *must_create_ops(const struct zcomp_ops *ops,
					    const struct zcomp_config *config)
{
	char text[ZCOMP_ERROR_TEXT] = "";
	struct zcomp *comp = NULL;
	int error = zcomp_create_ops(ops, config, text, &comp);

	ck_assert_msg(error == 0, "error %d: %s", error, text);
	return comp;
}

#endif
