/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fixture.h - what the tests of codecs share: data of several kinds, buffers between guard pages,
 * and one way to make a zcomp.
 */
#ifndef ZT_TESTS_ZCOMP_FIXTURE_H
#define ZT_TESTS_ZCOMP_FIXTURE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/lib/zt_check.h"
#include "zcomp/registry.h"
#include "zcomp/streams.h"
#include "zcomp/zcomp.h"

/* Data -------------------------------------------------------------------- */

enum data_kind { DATA_TEXT, DATA_NOISE, DATA_ZERO, DATA_SAME, DATA_MIXED, NR_DATA_KINDS };

static inline void fill_noise(uint8_t *dst, size_t len, uint64_t *state)
{
	for (size_t i = 0; i < len; i++)
		dst[i] = (uint8_t)zt_random(state);
}

/* Words of a small vocabulary: what lz4 makes half of and zstd a third. */
static inline void fill_text(uint8_t *dst, size_t len, uint64_t *state)
{
	size_t at = 0;

	while (at < len) {
		uint64_t word = zt_random(state) % 1000 * UINT64_C(0x9e3779b97f4a7c15);
		size_t letters = 2 + word % 8;

		for (size_t i = 0; i < letters && at < len; i++, word >>= 5)
			dst[at++] = (uint8_t)('a' + word % 26);
		if (at < len)
			dst[at++] = ' ';
	}
}

static inline void fill_data(enum data_kind kind, uint8_t *dst, size_t len, uint64_t *state)
{
	switch (kind) {
	case DATA_TEXT:
		fill_text(dst, len, state);
		break;
	case DATA_NOISE:
		fill_noise(dst, len, state);
		break;
	case DATA_ZERO:
		memset(dst, 0, len);
		break;
	case DATA_SAME:
		memset(dst, 0xa5, len);
		break;
	default:
		fill_text(dst, len / 2, state);
		fill_noise(dst + len / 2, len - len / 2, state);
		break;
	}
}

/* Guarded buffers ----------------------------------------------------------- */

/* Whole pages between two that nobody may touch. */
struct guarded {
	uint8_t *base;
	size_t size;
};

static inline size_t guard_page(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

static inline struct guarded guarded_make(size_t size)
{
	size_t page = guard_page();
	struct guarded g = { .size = (size + page - 1) / page * page };
	uint8_t *map = mmap(NULL, g.size + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ck_assert_ptr_ne(map, MAP_FAILED);
	g.base = map + page;
	ck_assert_int_eq(mprotect(g.base, g.size, PROT_READ | PROT_WRITE), 0);
	return g;
}

static inline void guarded_free(struct guarded *g)
{
	ck_assert_int_eq(munmap(g->base - guard_page(), g->size + 2 * guard_page()), 0);
}

/* The @len bytes that end where the upper guard begins. */
static inline uint8_t *guarded_end(const struct guarded *g, size_t len)
{
	ck_assert_uint_le(len, g->size);
	return g->base + g->size - len;
}

/* A zcomp ------------------------------------------------------------------- */

static inline struct zcomp_config config_of(const char *name, uint32_t unit)
{
	return (struct zcomp_config){
		.name = name,
		.level = ZCOMP_LEVEL_DEFAULT,
		.unit = unit,
		.nr_streams = 2,
	};
}

static inline struct zcomp *must_create(const struct zcomp_config *config)
{
	char text[ZCOMP_ERROR_TEXT] = "";
	struct zcomp *comp = NULL;
	int error = zcomp_create(config, text, &comp);

	ck_assert_msg(error == 0, "%s: error %d: %s", config->name, error, text);
	return comp;
}

static inline struct zcomp_stat stat_of(struct zcomp *comp)
{
	struct zcomp_stat stat;

	zcomp_get_stat(comp, &stat);
	return stat;
}

/* What the log said, to be looked at; a test program has one thread when it sets it. */
static char last_log[512];
static unsigned nr_logged;

static inline void keep_log(enum zt_log_level level, const char *line)
{
	(void)level;
	nr_logged++;
	snprintf(last_log, sizeof(last_log), "%s", line);
}

#endif
