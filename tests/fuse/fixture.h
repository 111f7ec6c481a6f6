/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fixture.h - a small filesystem behind a wire, for the request tests. Its walker runs at the end
 * of each case.
 */
#ifndef ZT_TESTS_FUSE_FIXTURE_H
#define ZT_TESTS_FUSE_FIXTURE_H

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/lib/wire.h"
#include "tests/lib/zt_check.h"
#include "util/sizes.h"

#define FIXTURE_SIZE   (16 * MIB)
#define FIXTURE_INODES 200
#define ROOT           ((uint64_t)FUSE_ROOT_ID)

static struct super *sb;
static struct ztfuse front;
static struct wire wire;
static enum blkmap_accel fixture_accel = BLKMAP_ACCEL_OFF;
static bool fixture_acl = true, fixture_xattr = true;

static void fixture_make(enum ztfuse_cache cache)
{
	const struct super_params params = {
		.size = FIXTURE_SIZE,
		.nr_inodes = FIXTURE_INODES,
		.mode = 01777,
		.acl = fixture_acl,
		.cluster_order = 4,
		.content.comp.name = "lz4",
		.content.comp.level = ZCOMP_LEVEL_DEFAULT,
		.content.comp.nr_streams = 2,
		.content.accel = fixture_accel,
	};
	char text[256] = "";

	ck_assert_msg(super_create(&params, text, &sb) == 0, "%s", text);
	ztfuse_init(&front, sb, cache);
	front.xattr = fixture_xattr;
}

static inline void fixture_start(enum ztfuse_cache cache)
{
	fixture_make(cache);
	wire_start(&wire, &front);
}

/* All that INIT's first flags may say. */
#define FIXTURE_OFFERED (0xffffffffu & ~(uint64_t)FUSE_INIT_EXT)

/* Over our own transport, as a mount has it. @minor: of the kernel's protocol */
static inline void fixture_start_transport(uint32_t minor)
{
	fixture_make(ZTFUSE_CACHE_WRITEBACK);
	wire_start_transport(&wire, &front, FIXTURE_OFFERED, minor);
}

static inline void setup(void)
{
	fixture_start(ZTFUSE_CACHE_WRITEBACK);
}

static inline void setup_never(void)
{
	fixture_start(ZTFUSE_CACHE_NEVER);
}

static inline void teardown(void)
{
	seeker_stop(&front.seeker);
	wire_stop(&wire);
	ck_assert_int_eq(super_check(sb), 0);
	ztfuse_exit(&front);
	super_destroy(sb);
}

/* inodes_used() - as the limit counts them: a reference that is never given back shows here */
static inline uint64_t inodes_used(void)
{
	struct ztmpfs_stat stat;

	super_get_stat(sb, &stat);
	return stat.inodes_used;
}

/* make_file() - an empty regular file; its number */
static inline uint64_t make_file(uint64_t parent, const char *name)
{
	struct fuse_entry_out entry;

	ck_assert_int_eq(wire_mknod(&wire, parent, name, S_IFREG | 0644, &entry), 0);
	return entry.nodeid;
}

static inline uint64_t make_dir(uint64_t parent, const char *name)
{
	struct fuse_entry_out entry;

	ck_assert_int_eq(wire_mkdir(&wire, parent, name, 0755, &entry), 0);
	return entry.nodeid;
}

#endif
