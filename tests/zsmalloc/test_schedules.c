// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_schedules.c - three tasks on one pool, in thousands of orders: objects made, overwritten, given
 * to other owners and freed, while others compact and trim.
 *
 * Each object holds its word's number and version all over. ZT_SECONDS and ZT_SEED: tests/lib/sched_case.h.
 *
 * Tests the pool as a whole; the points are in all that it uses.
 */
#define ZT_LOCKS_UNCHECKED /* a keeper's lock is taken in one callback and given back in another */

#include <string.h>

#include "tests/lib/sched_case.h"
#include "tests/lib/zt_check.h"
#include "tests/zsmalloc/keeper.h"
#include "util/sizes.h"

#define NR_WORDS 20u
#define NR_TASKS 3u
#define NR_OPS	 4u
#define RUNS	 60u

enum op_kind { OP_REPLACE, OP_REMOVE, OP_OVERWRITE, OP_EXCHANGE, OP_LOOK, OP_COMPACT, OP_TRIM, NR_KINDS };

static const char *const op_names[NR_KINDS] = {
	[OP_REPLACE] = "replace",   [OP_REMOVE] = "remove", [OP_OVERWRITE] = "overwrite",
	[OP_EXCHANGE] = "exchange", [OP_LOOK] = "look",	    [OP_COMPACT] = "compact",
	[OP_TRIM] = "trim",
};

struct job {
	struct {
		enum op_kind kind;
		uint32_t word, other, size;
	} ops[NR_OPS];
	unsigned nr;
};

static struct arena *arena;
static struct zs_pool *pool;
static struct keeper keeper;
static uint64_t versions[NR_WORDS]; /* guarded by the word's lock */
static uint64_t next_version;

static uint32_t size_of(uint64_t r)
{
	static const uint32_t sizes[] = { 1900, 1900, 3000, 3000, 9000 };

	return sizes[r % ARRAY_SIZE(sizes)];
}

static void fill(uint32_t i, ref_t ref)
{
	uint32_t len = zs_size(arena, ref);
	unsigned char *bytes = zs_data(arena, ref);

	versions[i] = ++next_version;
	for (uint32_t at = 0; at < len; at += sizeof(uint64_t))
		memcpy(bytes + at, &versions[i], min_u64(sizeof(uint64_t), len - at));
}

/* Its lock is held. */
static void look(uint32_t i)
{
	ref_t ref = keeper.words[i];
	uint32_t len = ref ? zs_size(arena, ref) : 0;
	const unsigned char *bytes = ref ? zs_data(arena, ref) : NULL;

	if (ref && zs_get_owner(arena, ref).word != i + 1)
		sched_fail("the object of word %u names another owner", i);
	for (uint32_t at = 0; at < len; at += sizeof(uint64_t))
		if (memcmp(bytes + at, &versions[i], min_u64(sizeof(uint64_t), len - at)) != 0)
			sched_fail("the object of word %u has other bytes at %u", i, at);
}

/* Replace, then free: the old object loses its word before it is freed, without the lock. */
static void replace(uint32_t i, uint32_t size)
{
	ref_t fresh = 0, old;

	if (size)
		sched_must(zs_malloc(pool, size, &fresh), "malloc");
	mutex_lock(keeper_lock_of(&keeper, i));
	look(i);
	old = keeper.words[i];
	if (fresh) {
		fill(i, fresh);
		zs_set_owner(arena, fresh, keeper_owner(i));
	}
	keeper.words[i] = fresh;
	mutex_unlock(keeper_lock_of(&keeper, i));
	if (old)
		zs_free(pool, old);
}

static void overwrite(uint32_t i, uint32_t size)
{
	mutex_lock(keeper_lock_of(&keeper, i));
	look(i);
	if (keeper.words[i]) {
		(void)zs_resize(pool, keeper.words[i], size);
		fill(i, keeper.words[i]);
	}
	mutex_unlock(keeper_lock_of(&keeper, i));
}

/* An object goes from one word to another one, which has none. */
static void exchange(uint32_t i, uint32_t j)
{
	if (i == j)
		return;
	mutex_lock(keeper_lock_of(&keeper, i));
	if (keeper.words[i] && mutex_trylock(keeper_lock_of(&keeper, j))) {
		if (!keeper.words[j]) {
			zs_change_owner(pool, keeper.words[i], keeper_owner(j));
			keeper.words[j] = keeper.words[i];
			versions[j] = versions[i];
			keeper.words[i] = 0;
			look(j);
		}
		mutex_unlock(keeper_lock_of(&keeper, j));
	}
	mutex_unlock(keeper_lock_of(&keeper, i));
}

static void *job_run(void *arg)
{
	const struct job *job = arg;

	for (unsigned k = 0; k < job->nr; k++) {
		uint32_t i = job->ops[k].word;

		sched_name(op_names[job->ops[k].kind]);
		switch (job->ops[k].kind) {
		case OP_REPLACE:
			replace(i, job->ops[k].size);
			break;
		case OP_REMOVE:
			replace(i, 0);
			break;
		case OP_OVERWRITE:
			overwrite(i, job->ops[k].size);
			break;
		case OP_EXCHANGE:
			exchange(i, job->ops[k].other);
			break;
		case OP_LOOK:
			mutex_lock(keeper_lock_of(&keeper, i));
			look(i);
			mutex_unlock(keeper_lock_of(&keeper, i));
			break;
		case OP_COMPACT:
			(void)zs_compact(pool, 0);
			break;
		default:
			(void)zs_trim(pool, 0);
		}
	}
	return NULL;
}

/* Most words have an object, and zspages have holes, some of them punched. */
static void prepare(uint64_t seed)
{
	for (uint32_t i = 0; i < NR_WORDS; i++)
		replace(i, 0);
	(void)zs_trim(pool, 0);
	for (uint32_t i = 0; i < NR_WORDS; i++)
		replace(i, size_of(zt_random(&seed)));
	for (uint32_t i = 0; i < NR_WORDS; i++)
		if (zt_random(&seed) % 3 == 0)
			replace(i, 0);
	if (zt_random(&seed) % 2)
		(void)zs_trim(pool, 0);
}

static void check(void)
{
	struct zs_pool_stat stat;
	uint64_t live = 0;

	for (uint32_t i = 0; i < NR_WORDS; i++) {
		look(i);
		live += keeper.words[i] != 0;
	}
	zs_pool_get_stat(pool, &stat);
	if (stat.objects != live)
		sched_fail("%" PRIu64 " objects of %" PRIu64, stat.objects, live);
	sched_must(zs_check(pool), "pool");
	sched_must(arena_check(arena), "arena");
}

static const char *random_jobs(uint64_t seed, struct job jobs[NR_TASKS])
{
	static char text[480];
	size_t at = 0;

	text[0] = '\0';
	for (unsigned t = 0; t < NR_TASKS; t++) {
		jobs[t].nr = 1 + (unsigned)(zt_random(&seed) % NR_OPS);
		for (unsigned k = 0; k < jobs[t].nr; k++) {
			jobs[t].ops[k].kind = (enum op_kind)(zt_random(&seed) % NR_KINDS);
			jobs[t].ops[k].word = (uint32_t)(zt_random(&seed) % NR_WORDS);
			jobs[t].ops[k].other = (uint32_t)(zt_random(&seed) % NR_WORDS);
			jobs[t].ops[k].size = size_of(zt_random(&seed));
			at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%s %u", k ? ", " : t ? " beside " : "",
					       op_names[jobs[t].ops[k].kind], jobs[t].ops[k].word);
		}
	}
	return text;
}

static void one_case(uint64_t seed, unsigned nr_changes, struct sched_totals *totals)
{
	const struct arena_params arena_params = { .reserve = GIB };
	struct zs_pool_params pool_params;
	struct job jobs[NR_TASKS];
	const struct sched_case c = {
		.seed = seed,
		.text = random_jobs(seed, jobs),
		.prepare = prepare,
		.check = check,
		.task = job_run,
		.args = { &jobs[0], &jobs[1], &jobs[2] },
		.nr_tasks = NR_TASKS,
		.totals = totals,
	};

	sched_random(seed);
	keeper_init(&keeper, NR_WORDS);
	pool_params = keeper_pool_params(&keeper);
	sched_must(arena_create(&arena_params, &arena), "arena");
	sched_must(zs_pool_create(arena, &pool_params, &pool), "pool");
	if (nr_changes)
		sched_case_all(&c, nr_changes);
	else
		sched_case_random(&c, RUNS, 3);
	for (uint32_t i = 0; i < NR_WORDS; i++)
		replace(i, 0);
	(void)zs_trim(pool, 0);
	zs_pool_destroy(pool);
	arena_destroy(arena);
	keeper_exit(&keeper);
}

START_TEST(test_three_tasks_on_a_pool_in_many_orders)
{
	struct sched_totals totals = { 0 };

	for (uint64_t seed = sched_time_begins(); sched_has_time(&totals); seed++)
		one_case(seed, (unsigned)_i, &totals);
	sched_tell(&totals);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("pool");

	tcase_add_loop_test(tc, test_three_tasks_on_a_pool_in_many_orders, 0, 2);
	return sched_case_main(tc, NULL);
}
