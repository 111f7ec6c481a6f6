// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_contract.c - what include/ztmpfs/zcomp.h promises, held against every backend, built in and
 * as a module, as it is and driven by the accelerator. With ZT_CONTRACT_DIR and ZT_CONTRACT_NAMES
 * against the modules of these names in that folder, and no others.
 */
#include <errno.h>
#include <sched.h>
#include <stdatomic.h>

#include "tests/zcomp/modules.h"

/* How a piece of data goes through. */
enum route {
	ROUTE_PLAIN, /* the algorithm itself, per-thread stream */
	ROUTE_ACCEL_SYNC, /* driven by the accelerator, per-thread stream */
	ROUTE_ACCEL_MANAGED, /* the same, managed stream, waiting */
	ROUTE_ACCEL_SUBMIT, /* the same, without waiting */
	ROUTE_ACCEL_BATCH, /* the same, COPIES of it at once */
	ROUTE_ACCEL_POLL, /* as SUBMIT, with completions that are asked for */
	NR_ROUTES,
};

static const uint32_t units[] = { 4096, 65536, 131072 };

/* Requests of one batch. */
#define COPIES 3u

/* What one thread does again and again tells a thread sanitizer nothing, and takes ten times as long. */
#ifdef __has_feature
#if __has_feature(thread_sanitizer)
#define TIMES(nr) ((nr) / 10 + 1)
#endif
#endif
#ifndef TIMES
#define TIMES(nr) (nr)
#endif

/* The accelerator is the same for all: for modules that are given, once by it is enough. */
static const enum route given_routes[] = { ROUTE_PLAIN, ROUTE_ACCEL_SUBMIT };

#define NR_CASES(nr_backends) ((int)((nr_backends)*nr_routes() * ARRAY_SIZE(units)))

static uint64_t seed;

/* The built-in ones, and each of them as a module. */
static size_t nr_built_in;

/* The @idx-th word of ZT_CONTRACT_NAMES, or NULL. */
static const char *given_name(size_t idx)
{
	static char names[256];
	const char *given = getenv("ZT_CONTRACT_NAMES");
	char *word;

	if (!given || !getenv("ZT_CONTRACT_DIR"))
		return NULL;
	snprintf(names, sizeof(names), "%s", given);
	word = strtok(names, " ");
	while (word && idx-- > 0)
		word = strtok(NULL, " ");
	return word;
}

static unsigned nr_routes(void)
{
	return given_name(0) ? ARRAY_SIZE(given_routes) : NR_ROUTES;
}

static const char *codec_name(size_t idx)
{
	static char name[64];

	if (given_name(0))
		return given_name(idx);

	snprintf(name, sizeof(name), "%s%s", zcomp_ops_at(idx % nr_built_in)->name,
		 idx < nr_built_in ? "" : "-module");
	return name;
}

struct contract {
	struct zcomp *comp;
	enum route route;
	uint32_t unit;
	uint64_t random;
	uint8_t *data; /* unit bytes */
	uint8_t *packed; /* 2 units */
	uint8_t *back; /* unit bytes */
};

static void contract_init(struct contract *c, int idx)
{
	struct zcomp_config config;
	const char *name;

	c->unit = units[(size_t)idx % ARRAY_SIZE(units)];
	idx /= (int)ARRAY_SIZE(units);
	c->route = given_name(0) ? given_routes[idx % nr_routes()] : (enum route)(idx % NR_ROUTES);
	name = codec_name((size_t)idx / nr_routes());
	config = config_of(name, c->unit);
	config.accel = c->route != ROUTE_PLAIN;
	/* Not what a busy machine can miss. */
	config.accel_params = (struct zcomp_accel_params){
		.engines = 2, .depth = 4, .deadline_us = ZCOMP_ACCEL_MAX_DEADLINE_US,
		.poll_us = c->route == ROUTE_ACCEL_POLL ? ZCOMP_ACCEL_MAX_POLL_US : 0,
	};
	c->comp = must_create(&config);
	ck_assert_int_eq(zcomp_managed(c->comp), config.accel);
	ck_assert_str_eq(zcomp_name(c->comp), name);
	c->random = seed + (uint64_t)idx;
	c->data = malloc(c->unit);
	c->packed = malloc(2 * (size_t)c->unit);
	c->back = malloc(c->unit);
}

static void contract_exit(struct contract *c)
{
	zcomp_destroy(c->comp);
	free(c->data);
	free(c->packed);
	free(c->back);
}

struct outcome {
	pthread_mutex_t lock;
	pthread_cond_t cond;
	int nr_done;
	int error;
};

static void outcome_done(void *arg, struct zcomp_strm *strm, struct zcomp_req *req, int error)
{
	struct outcome *outcome = arg;

	(void)strm;
	(void)req;
	pthread_mutex_lock(&outcome->lock);
	outcome->nr_done++;
	outcome->error = error;
	pthread_cond_signal(&outcome->cond);
	pthread_mutex_unlock(&outcome->lock);
}

static int submit_and_wait(struct contract *c, struct zcomp_strm *strm, const uint8_t *src,
			   size_t len, size_t cap, size_t *out_len)
{
	struct outcome outcome = { .lock = PTHREAD_MUTEX_INITIALIZER,
				   .cond = PTHREAD_COND_INITIALIZER };
	struct zcomp_req req = { .src = strm->local_copy,
				 .src_len = len,
				 .dst = strm->buffer,
				 .dst_cap = cap,
				 .dst_len = SIZE_MAX };

	memcpy(strm->local_copy, src, len);
	ck_assert_int_eq(zcomp_submit(c->comp, strm, &req, outcome_done, &outcome), 0);
	/* With ten seconds it would be noticed if it came by itself. */
	while (c->route == ROUTE_ACCEL_POLL && zcomp_poll(c->comp, 1) == 0)
		sched_yield();
	pthread_mutex_lock(&outcome.lock);
	while (outcome.nr_done == 0)
		pthread_cond_wait(&outcome.cond, &outcome.lock);
	pthread_mutex_unlock(&outcome.lock);
	ck_assert_int_eq(outcome.nr_done, 1);
	*out_len = outcome.error ? *out_len : req.dst_len;
	return outcome.error;
}

/*
 * The same data several times by one submission, of which @strm has the first: all must end alike.
 */
static int submit_copies(struct contract *c, struct zcomp_strm *strm, const uint8_t *src,
			 size_t len, size_t cap, size_t *out_len)
{
	struct outcome outcome = { .lock = PTHREAD_MUTEX_INITIALIZER,
				   .cond = PTHREAD_COND_INITIALIZER };
	struct zcomp_batch_entry entries[COPIES];
	struct zcomp_req reqs[COPIES];

	ck_assert_uint_ge(zcomp_batch_max(c->comp), COPIES);
	for (unsigned i = 0; i < COPIES; i++) {
		struct zcomp_strm *own = i ? zcomp_stream_get_managed(c->comp) : strm;

		ck_assert_ptr_nonnull(own);
		memcpy(own->local_copy, src, len);
		reqs[i] = (struct zcomp_req){ .src = own->local_copy,
					      .src_len = len,
					      .dst = own->buffer,
					      .dst_cap = cap,
					      .dst_len = SIZE_MAX };
		entries[i] = (struct zcomp_batch_entry){ own, &reqs[i], &outcome };
	}
	ck_assert_uint_eq(zcomp_submit_batch(c->comp, entries, COPIES, outcome_done), COPIES);
	pthread_mutex_lock(&outcome.lock);
	while (outcome.nr_done < (int)COPIES)
		pthread_cond_wait(&outcome.cond, &outcome.lock);
	pthread_mutex_unlock(&outcome.lock);
	for (unsigned i = 1; i < COPIES; i++) {
		ck_assert_uint_eq(reqs[i].dst_len, reqs[0].dst_len);
		if (!outcome.error)
			ck_assert_mem_eq(reqs[i].dst, reqs[0].dst, reqs[0].dst_len);
		zcomp_stream_put(c->comp, entries[i].strm);
	}
	*out_len = outcome.error ? *out_len : reqs[0].dst_len;
	return outcome.error;
}

/* Whoever held the stream before has left something in all of its buffers. */
static void dirty(struct contract *c, struct zcomp_strm *strm)
{
	memset(strm->buffer, (int)(zt_random(&c->random) & 0xff), strm->buffer_size);
	memset(strm->local_copy, (int)(zt_random(&c->random) & 0xff), strm->local_copy_size);
}

/* Compress @len bytes into c->packed along the route. */
static int squeeze(struct contract *c, const uint8_t *src, size_t len, size_t cap, size_t *out_len)
{
	bool managed = c->route >= ROUTE_ACCEL_MANAGED;
	struct zcomp_strm *strm =
		zcomp_stream_get(c->comp, managed ? ZSTRM_PREFER_MGMT : ZSTRM_DEFAULT);
	int error;

	ck_assert_uint_ge(strm->buffer_size, 2 * (size_t)c->unit);
	ck_assert_uint_ge(strm->local_copy_size, c->unit);
	ck_assert_int_eq(zcomp_stream_is_managed(c->comp, strm), managed);
	dirty(c, strm);
	if (c->route == ROUTE_ACCEL_SUBMIT || c->route == ROUTE_ACCEL_POLL)
		error = submit_and_wait(c, strm, src, len, cap, out_len);
	else if (c->route == ROUTE_ACCEL_BATCH)
		error = submit_copies(c, strm, src, len, cap, out_len);
	else
		error = zcomp_compress(c->comp, strm, src, len, cap, out_len);
	if (!error) {
		ck_assert_uint_le(*out_len, cap);
		memcpy(c->packed, strm->buffer, *out_len);
	}
	zcomp_stream_put(c->comp, strm);
	return error;
}

/* Always on a per-thread stream. */
static int expand(struct contract *c, const uint8_t *src, size_t len, uint8_t *dst, size_t cap,
		  size_t *out_len)
{
	struct zcomp_strm *strm = zcomp_stream_get(c->comp, ZSTRM_DEFAULT);
	int error;

	dirty(c, strm);
	error = zcomp_decompress(c->comp, strm, src, len, dst, cap, out_len);
	zcomp_stream_put(c->comp, strm);
	return error;
}

/* The first bytes; those behind the output's room, or what was there before, stay. */
static void head_trip(struct contract *c, const struct guarded *dst, size_t packed_len, size_t len,
		      size_t want)
{
	struct zcomp_strm *strm = zcomp_stream_get(c->comp, ZSTRM_DEFAULT);
	bool stops = c->comp->algorithm->decompress_head != NULL;
	size_t room = stops ? want : len, out = 0;
	uint8_t *to = guarded_end(dst, room);

	memset(to, 0x5a, room);
	/* A room of one byte more than is touched: what wants all of it would not be a head. */
	ck_assert_int_eq(zcomp_decompress_head(c->comp, strm, c->packed, packed_len, to,
					       stops ? room + 1 : room, want, &out),
			 0);
	zcomp_stream_put(c->comp, strm);
	ck_assert_uint_ge(out, want < len ? want : len);
	ck_assert_uint_le(out, len);
	ck_assert_int_eq(memcmp(to, c->data, out), 0);
}

static void round_trip(struct contract *c, size_t len)
{
	size_t packed_len = 0, back_len = 0;

	ck_assert_int_eq(squeeze(c, c->data, len, 2 * (size_t)c->unit, &packed_len), 0);
	ck_assert_uint_gt(packed_len, 0);
	memset(c->back, 0x5a, c->unit);
	ck_assert_int_eq(expand(c, c->packed, packed_len, c->back, len, &back_len), 0);
	ck_assert_uint_eq(back_len, len);
	ck_assert_int_eq(memcmp(c->back, c->data, len), 0);
}

START_TEST(test_round_trip_of_every_size_and_kind_of_data)
{
	static const size_t sizes[] = { 1,     2,     3,     15,     100,   1000,
					4095,  4096,  4097,  8192,   16384, 16385,
					65535, 65536, 65537, 131071, 131072 };
	struct contract c;

	contract_init(&c, _i);
	for (int kind = 0; kind < NR_DATA_KINDS; kind++) {
		fill_data(kind, c.data, c.unit, &c.random);
		for (size_t i = 0; i < ARRAY_SIZE(sizes) && sizes[i] <= c.unit; i++)
			round_trip(&c, sizes[i]);
		round_trip(&c, 1 + zt_random(&c.random) % c.unit);
	}
	contract_exit(&c);
}
END_TEST

START_TEST(test_head_of_every_length_is_the_beginning_of_the_whole)
{
	struct contract c;
	struct guarded dst;
	size_t packed_len = 0;

	contract_init(&c, _i);
	dst = guarded_make(2 * (size_t)c.unit);
	for (int kind = 0; kind < NR_DATA_KINDS; kind++) {
		size_t len = kind % 2 ? c.unit : 1 + zt_random(&c.random) % c.unit;

		fill_data(kind, c.data, c.unit, &c.random);
		ck_assert_int_eq(squeeze(&c, c.data, len, 2 * (size_t)c.unit, &packed_len), 0);
		for (size_t want = 1; want <= TIMES(40) && want <= len; want++)
			head_trip(&c, &dst, packed_len, len, want);
		for (size_t want = 4096; want <= len; want += 4096)
			head_trip(&c, &dst, packed_len, len, want);
		for (int i = 0; i < TIMES(30); i++)
			head_trip(&c, &dst, packed_len, len, 1 + zt_random(&c.random) % len);
		head_trip(&c, &dst, packed_len, len, len);
	}
	guarded_free(&dst);
	contract_exit(&c);
}
END_TEST

START_TEST(test_text_gets_smaller_unless_null)
{
	struct contract c;
	size_t len = 0;

	contract_init(&c, _i);
	fill_text(c.data, c.unit, &c.random);
	/* LZO finds nothing in words alone; in lines that come again everybody does. */
	for (size_t at = 500; given_name(0) && at < c.unit; at++)
		c.data[at] = c.data[at - 500];
	ck_assert_int_eq(squeeze(&c, c.data, c.unit, 2 * (size_t)c.unit, &len), 0);
	if (strncmp(zcomp_name(c.comp), "null", 4) == 0)
		ck_assert_uint_eq(len, c.unit);
	else
		ck_assert_uint_lt(len, c.unit / 10 * 9);
	contract_exit(&c);
}
END_TEST

START_TEST(test_too_small_output_is_enospc_and_stream_still_works)
{
	struct contract c;
	size_t len = 0, small;

	contract_init(&c, _i);
	for (int kind = 0; kind < NR_DATA_KINDS; kind++) {
		fill_data(kind, c.data, c.unit, &c.random);
		ck_assert_int_eq(squeeze(&c, c.data, c.unit, 2 * (size_t)c.unit, &len), 0);
		for (int i = 0; i < 20; i++) {
			size_t out = 12345;

			small = i < 2   ? (size_t)i
				: i < 4 ? len - i + 1
					: zt_random(&c.random) % len;
			if (small >= len)
				continue;
			ck_assert_int_eq(squeeze(&c, c.data, c.unit, small, &out), -ENOSPC);
			ck_assert_uint_eq(out, 12345);
		}
		round_trip(&c, c.unit);
	}
	ck_assert_uint_eq(stat_of(c.comp).fallback_error, 0);
	contract_exit(&c);
}
END_TEST

/* Straight at the table, since the front end's output is always the stream's own buffer. */
START_TEST(test_compress_stays_inside_source_and_destination)
{
	struct contract c;
	struct guarded src, dst;
	struct zcomp_strm *strm;

	contract_init(&c, _i);
	src = guarded_make(c.unit);
	dst = guarded_make(2 * (size_t)c.unit);
	strm = zcomp_stream_get(c.comp,
				c.route >= ROUTE_ACCEL_MANAGED ? ZSTRM_PREFER_MGMT : ZSTRM_DEFAULT);
	for (int i = 0; i < TIMES(40); i++) {
		size_t len = 1 + zt_random(&c.random) % c.unit;
		size_t cap = zt_random(&c.random) % (len + 100);
		struct zcomp_req req = { .src = guarded_end(&src, len),
					 .src_len = len,
					 .dst = guarded_end(&dst, cap),
					 .dst_cap = cap };
		int error;

		fill_data(i % NR_DATA_KINDS, guarded_end(&src, len), len, &c.random);
		error = c.comp->ops->compress(&c.comp->params, strm, &req);
		ck_assert(error == 0 || error == -ENOSPC);
		if (!error)
			ck_assert_uint_le(req.dst_len, cap);
	}
	zcomp_stream_put(c.comp, strm);
	guarded_free(&src);
	guarded_free(&dst);
	contract_exit(&c);
}
END_TEST

/* One damaged input: an error, or some bytes inside the destination; never more. */
static void expand_damaged(struct contract *c, const struct guarded *src, size_t len,
			   const struct guarded *dst, size_t cap)
{
	size_t out = 0;
	int error = expand(c, guarded_end(src, len), len, guarded_end(dst, cap), cap, &out);

	ck_assert_msg(error == 0 || error == -EBADMSG, "error %d", error);
	if (!error)
		ck_assert_uint_le(out, cap);
	if (c->comp->ops->decompress_head && c->comp->algorithm->decompress_head) {
		struct zcomp_strm *strm = zcomp_stream_get(c->comp, ZSTRM_DEFAULT);
		struct zcomp_req req = { .src = guarded_end(src, len),
					 .src_len = len,
					 .dst_cap = cap / 2 + 1 };

		req.dst = guarded_end(dst, req.dst_cap);
		error = c->comp->ops->decompress_head(&c->comp->params, strm, &req);
		zcomp_stream_put(c->comp, strm);
		ck_assert_msg(error == 0 || error == -EBADMSG, "error %d", error);
		if (!error)
			ck_assert_uint_le(req.dst_len, req.dst_cap);
	}
}

START_TEST(test_damaged_input_never_reads_or_writes_outside)
{
	struct contract c;
	struct guarded src, dst;
	size_t len = 0;

	contract_init(&c, _i);
	src = guarded_make(2 * (size_t)c.unit);
	dst = guarded_make(c.unit);
	for (int i = 0; i < TIMES(150); i++) {
		size_t size = i % 3 ? c.unit : 1 + zt_random(&c.random) % c.unit;
		size_t cut;

		if (i % 10 == 0)
			fill_data(i / 10 % NR_DATA_KINDS, c.data, c.unit, &c.random);
		ck_assert_int_eq(squeeze(&c, c.data, size, 2 * (size_t)c.unit, &len), 0);
		cut = zt_random(&c.random) % len;
		if (cut > 0) { /* cut short */
			memcpy(guarded_end(&src, cut), c.packed, cut);
			expand_damaged(&c, &src, cut, &dst, size);
		}
		memcpy(guarded_end(&src, len), c.packed, len);
		/* too little room */
		expand_damaged(&c, &src, len, &dst, zt_random(&c.random) % size);
		for (int flips = 0; flips < 4; flips++) { /* wrong bytes, early ones most often */
			size_t at = zt_random(&c.random) % (flips < 2 && len > 16 ? 16 : len);

			guarded_end(&src, len)[at] = (uint8_t)zt_random(&c.random);
			expand_damaged(&c, &src, len, &dst, size);
		}
		fill_noise(guarded_end(&src, len), len, &c.random); /* nothing of it right */
		expand_damaged(&c, &src, len, &dst, size);
	}
	round_trip(&c, c.unit);
	guarded_free(&src);
	guarded_free(&dst);
	contract_exit(&c);
}
END_TEST

START_TEST(test_input_cut_short_never_gives_the_whole_back)
{
	struct contract c;
	size_t len = 0;

	contract_init(&c, _i);
	fill_text(c.data, c.unit, &c.random);
	ck_assert_int_eq(squeeze(&c, c.data, c.unit, 2 * (size_t)c.unit, &len), 0);
	for (int i = 0; i < TIMES(50); i++) {
		size_t cut = i < 10 ? len - 1 - (size_t)i : zt_random(&c.random) % len;
		size_t out = 0;
		int error = expand(&c, c.packed, cut, c.back, c.unit, &out);

		ck_assert_msg(error == -EBADMSG || (error == 0 && out < c.unit), "cut %zu of %zu",
			      cut, len);
	}
	contract_exit(&c);
}
END_TEST

START_TEST(test_counters_tell_calls_and_bytes)
{
	struct contract c;
	struct zcomp_stat stat;
	size_t len = 0, back = 0, total = 0;
	uint64_t nr;

	contract_init(&c, _i);
	nr = c.route == ROUTE_ACCEL_BATCH ? COPIES : 1; /* for each */
	fill_text(c.data, c.unit, &c.random);
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(squeeze(&c, c.data, c.unit, 2 * (size_t)c.unit, &len), 0);
		total += len;
	}
	ck_assert_int_eq(squeeze(&c, c.data, c.unit, 1, &len), -ENOSPC);
	ck_assert_int_eq(expand(&c, c.packed, len, c.back, c.unit, &back), 0);
	stat = stat_of(c.comp);
	ck_assert_uint_eq(c.route < ROUTE_ACCEL_MANAGED ? stat.compress_calls : stat.mgmt_calls, 4 * nr);
	ck_assert_uint_eq(c.route < ROUTE_ACCEL_MANAGED ? stat.compress_in : stat.mgmt_in,
			  4 * nr * c.unit);
	ck_assert_uint_eq(c.route < ROUTE_ACCEL_MANAGED ? stat.compress_out : stat.mgmt_out,
			  total * nr);
	ck_assert_uint_eq(c.route < ROUTE_ACCEL_MANAGED ? stat.mgmt_calls : stat.compress_calls, 0);
	ck_assert_uint_eq(stat.decompress_calls, 1);
	ck_assert_uint_eq(stat.decompress_in, len);
	ck_assert_uint_eq(stat.decompress_out, c.unit);
	ck_assert_uint_eq(stat.device.completed, c.route < ROUTE_ACCEL_MANAGED ? 0 : 4 * nr);
	ck_assert_uint_eq(stat.device.queued_now, 0);
	contract_exit(&c);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("contract");
	TCase *tc = tcase_create("every backend, every route, every unit");
	size_t nr_given = 0;
	int nr;

	seed = zt_seed();
	while (given_name(nr_given))
		nr_given++;
	while (zcomp_ops_at(nr_built_in))
		nr_built_in++;
	nr = NR_CASES(nr_given ? nr_given : 2 * nr_built_in);
	if (nr_given)
		zcomp_module_dir = getenv("ZT_CONTRACT_DIR");
	else /* Once for all: the folder is gone at the end of the last test. */
		tcase_add_unchecked_fixture(tc, modules_make, modules_remove);
	tcase_set_timeout(tc, 30);
	tcase_add_loop_test(tc, test_round_trip_of_every_size_and_kind_of_data, 0, nr);
	tcase_add_loop_test(tc, test_head_of_every_length_is_the_beginning_of_the_whole, 0, nr);
	tcase_add_loop_test(tc, test_text_gets_smaller_unless_null, 0, nr);
	tcase_add_loop_test(tc, test_too_small_output_is_enospc_and_stream_still_works, 0, nr);
	tcase_add_loop_test(tc, test_compress_stays_inside_source_and_destination, 0, nr);
	tcase_add_loop_test(tc, test_damaged_input_never_reads_or_writes_outside, 0, nr);
	tcase_add_loop_test(tc, test_input_cut_short_never_gives_the_whole_back, 0, nr);
	tcase_add_loop_test(tc, test_counters_tell_calls_and_bytes, 0, nr);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
