/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * one_cluster.h - one cluster of a file, its codec and a stream, over what lower.h has.
 */
#ifndef ZT_TESTS_BLKMAP_ONE_CLUSTER_H
#define ZT_TESTS_BLKMAP_ONE_CLUSTER_H

#include <string.h>

#include "blkmap/cluster/cluster.h"
#include "tests/blkmap/lower.h"

static struct lower lower;
static struct codecs codecs;
static struct cluster c;

static inline void one_cluster_start(unsigned order)
{
	const struct zcomp_config config = {
		.name = "lz4",
		.level = ZCOMP_LEVEL_DEFAULT,
		.unit = ZCOMP_MAX_UNIT,
		.nr_streams = 2,
		.outer = true,
		.own_size = sizeof(struct workspace),
	};
	const struct blkmap_params params = { 0 };
	char text[256];

	lower_start(&lower, order, 0);
	memset(&codecs, 0, sizeof(codecs));
	ck_assert_int_eq(codecs_init(&codecs, &lower.slots, &params, &config, text), 0);
	c = cluster_of(&codecs, &lower.file, lower_slot(&lower),
		       zcomp_stream_get(codecs.comp, ZSTRM_DEFAULT));
}

static inline void one_cluster_stop(void)
{
	zcomp_stream_put(codecs.comp, c.strm);
	codecs_exit(&codecs);
	lower_stop(&lower);
}

#endif
