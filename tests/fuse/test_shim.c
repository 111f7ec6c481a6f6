// SPDX-License-Identifier: GPL-2.0-or-later
/* test_shim.c - what the kernel can do and libfuse does not know, request by request. */
#include "fuse/channel/proto.h"
#include "fs/inode.h"
#include "fuse/transport.h"
#include "tests/fuse/fixture.h"

#define EVERYTHING UINT64_MAX

static void start(enum ztfuse_cache cache, uint64_t offered, uint32_t minor)
{
	fixture_make(cache);
	wire_start_transport(&wire, &front, offered, minor);
}

static void setup_all(void)
{
	start(ZTFUSE_CACHE_WRITEBACK, EVERYTHING, 45);
}

static void setup_all_never(void)
{
	start(ZTFUSE_CACHE_NEVER, EVERYTHING, 45);
}

/* A kernel that knows no second word of flags, and offers none of ours. */
static void setup_old(void)
{
	start(ZTFUSE_CACHE_NEVER,
	      UINT32_MAX & ~(uint64_t)(uint32_t)(FUSE_INIT_EXT | FUSE_HANDLE_KILLPRIV_V2), 31);
}

static uint64_t agreed_flags(void)
{
	return wire.init.flags | (uint64_t)wire.init.flags2 << 32;
}

START_TEST(test_init_asks_for_what_the_kernel_offers)
{
	ck_assert(agreed_flags() & FUSE_HANDLE_KILLPRIV_V2);
	ck_assert(!(agreed_flags() & FUSE_HANDLE_KILLPRIV));
	ck_assert(front.kills_setid);
	ck_assert(wire.init.flags & (uint32_t)FUSE_INIT_EXT);
	/* libfuse 3.18 knows newer messages than are understood here. */
	ck_assert_uint_ge(wire.init.minor, PROTO_MINOR_MAX);
	ck_assert_uint_le(wire.init.minor, 45);
	/* The page cache is there for shared mappings. */
	ck_assert(!(agreed_flags() & PROTO_DIRECT_IO_ALLOW_MMAP));
	ck_assert(wire.init.flags & FUSE_WRITEBACK_CACHE);
	/* Bits that nobody here knows are not asked for. */
	ck_assert(!(agreed_flags() >> 42));
}
END_TEST

START_TEST(test_init_asks_for_shared_mappings_without_a_cache)
{
	ck_assert(agreed_flags() & PROTO_DIRECT_IO_ALLOW_MMAP);
}
END_TEST

START_TEST(test_init_asks_an_old_kernel_for_nothing_new)
{
	ck_assert(!(wire.init.flags & FUSE_HANDLE_KILLPRIV_V2));
	ck_assert(!(wire.init.flags & (uint32_t)FUSE_INIT_EXT));
	ck_assert_uint_eq(wire.init.flags2, 0);
	ck_assert(!front.kills_setid);
}
END_TEST

/* TMPFILE ------------------------------------------------------------------ */

struct create_out {
	struct fuse_entry_out entry;
	struct fuse_open_out open;
};

static int make_tmpfile(uint64_t parent, uint32_t flags, struct create_out *out)
{
	const struct fuse_create_in in = { .mode = S_IFREG | 0600, .flags = O_RDWR | flags };
	struct wire_reply reply =
		wire_call(&wire, FUSE_TMPFILE, parent, &in, sizeof(in), "#1", sizeof("#1"));

	if (reply.error)
		return reply.error;
	ck_assert_uint_eq(reply.len, sizeof(*out));
	memcpy(out, reply.data, sizeof(*out));
	return 0;
}

START_TEST(test_tmpfile_is_open_and_has_no_name)
{
	struct fuse_entry_out linked;
	struct create_out out;
	const uint64_t before = inodes_used();

	ck_assert_int_eq(make_tmpfile(ROOT, 0, &out), 0);
	ck_assert_uint_eq(out.entry.attr.nlink, 0);
	ck_assert(out.open.open_flags & FOPEN_KEEP_CACHE);
	ck_assert(!(out.open.open_flags & FOPEN_DIRECT_IO));
	ck_assert_int_eq(wire_write(&wire, out.entry.nodeid, 0, "abc", 3, 0), 3);
	ck_assert_int_eq(wire_link(&wire, out.entry.nodeid, ROOT, "named", &linked), 0);
	ck_assert_uint_eq(linked.attr.nlink, 1);
	wire_forget(&wire, out.entry.nodeid, 2);
	ck_assert_int_eq(wire_unlink(&wire, ROOT, "named"), 0);
	ck_assert_uint_eq(inodes_used(), before);
}
END_TEST

START_TEST(test_exclusive_tmpfile_cannot_be_linked)
{
	struct fuse_entry_out linked;
	struct create_out out;

	ck_assert_int_eq(make_tmpfile(ROOT, O_EXCL, &out), 0);
	ck_assert_int_eq(wire_link(&wire, out.entry.nodeid, ROOT, "named", &linked), -ENOENT);
	wire_forget(&wire, out.entry.nodeid, 1);
}
END_TEST

START_TEST(test_tmpfile_whose_reply_nobody_gets_goes)
{
	const uint64_t before = inodes_used();
	struct fuse_kstatfs st;
	struct create_out out;

	wire_interrupt_next_reply();
	ck_assert_int_eq(make_tmpfile(ROOT, 0, &out), -EINTR);
	/* Requests are served in turn: after another one the first is done with. */
	ck_assert_int_eq(wire_statfs(&wire, &st), 0);
	ck_assert_uint_eq(inodes_used(), before);
	ck_assert_int_eq(make_tmpfile(make_file(ROOT, "f"), 0, &out), -ENOTDIR);
}
END_TEST

START_TEST(test_create_stays_declined_beside_tmpfile)
{
	const struct fuse_create_in in = { .mode = S_IFREG | 0600 };

	ck_assert_int_eq(wire_call(&wire, FUSE_CREATE, ROOT, &in, sizeof(in), "f", 2).error,
			 -ENOSYS);
}
END_TEST

START_TEST(test_direct_files_are_written_side_by_side)
{
	const uint32_t flags = FOPEN_DIRECT_IO | FOPEN_PARALLEL_DIRECT_WRITES;
	const struct fuse_create_in create = { .mode = S_IFREG | 0600 };
	const struct fuse_open_in in = { 0 };
	struct fuse_open_out opened;
	struct create_out out;
	struct wire_reply reply;

	ck_assert_int_eq(make_tmpfile(ROOT, 0, &out), 0);
	ck_assert_uint_eq(out.open.open_flags & flags, flags);
	reply = wire_call(&wire, FUSE_OPEN, out.entry.nodeid, &in, sizeof(in), NULL, 0);
	ck_assert_uint_eq(reply.len, sizeof(opened));
	memcpy(&opened, reply.data, sizeof(opened));
	ck_assert_uint_eq(opened.open_flags & flags, flags);
	wire_forget(&wire, out.entry.nodeid, 1);
	reply = wire_call(&wire, FUSE_CREATE, ROOT, &create, sizeof(create), "f", 2);
	ck_assert_uint_eq(reply.len, sizeof(out));
	memcpy(&out, reply.data, sizeof(out));
	ck_assert_uint_eq(out.open.open_flags & flags, flags);
}
END_TEST

/* STATX -------------------------------------------------------------------- */

START_TEST(test_statx_tells_when_a_file_was_made)
{
	const struct proto_statx_in in = { .sx_mask = STATX_BTIME };
	const uint64_t ino = make_file(ROOT, "f");
	struct proto_statx_out out;
	struct fuse_attr attr;
	struct timespec btime;
	struct wire_reply reply;

	ck_assert_int_eq(wire_write(&wire, ino, 0, "abc", 3, 0), 3);
	reply = wire_call(&wire, PROTO_STATX, ino, &in, sizeof(in), NULL, 0);
	ck_assert_int_eq(reply.error, 0);
	ck_assert_uint_eq(reply.len, sizeof(out));
	memcpy(&out, reply.data, sizeof(out));
	ck_assert_int_eq(wire_getattr(&wire, ino, &attr), 0);
	ck_assert_int_eq(fs_getbtime(sb, ino, &btime), 0);
	ck_assert_uint_eq(out.stat.mask, STATX_BASIC_STATS | STATX_BTIME);
	ck_assert_int_eq(out.stat.btime.tv_sec, btime.tv_sec);
	ck_assert_uint_eq(out.stat.btime.tv_nsec, (uint64_t)btime.tv_nsec);
	ck_assert_uint_eq(out.stat.ino, ino);
	ck_assert_uint_eq(out.stat.mode, attr.mode);
	ck_assert_uint_eq(out.stat.size, 3);
	ck_assert_uint_eq(out.stat.blocks, attr.blocks);
	ck_assert_uint_eq(out.stat.nlink, 1);
	ck_assert_uint_eq((uint64_t)out.stat.mtime.tv_sec, attr.mtime);
	ck_assert_uint_eq(out.stat.ctime.tv_nsec, attr.ctimensec);
	ck_assert_uint_gt(out.attr_valid, 1000000);
}
END_TEST

START_TEST(test_statx_of_nothing_is_an_error)
{
	const struct proto_statx_in in = { 0 };

	ck_assert_int_eq(wire_call(&wire, PROTO_STATX, 12345, &in, sizeof(in), NULL, 0).error,
			 -ESTALE);
}
END_TEST

/* Set-ID bits -------------------------------------------------------------- */

static uint64_t make_setid(const char *name)
{
	const struct fuse_setattr_in chmod = { .valid = FATTR_MODE, .mode = 06777 };
	const uint64_t ino = make_file(ROOT, name);
	struct fuse_attr attr;

	ck_assert_int_eq(wire_setattr(&wire, ino, &chmod, &attr), 0);
	ck_assert_uint_eq(attr.mode & 07777, 06777);
	return ino;
}

static uint32_t mode_of(uint64_t ino)
{
	struct fuse_attr attr;

	ck_assert_int_eq(wire_getattr(&wire, ino, &attr), 0);
	return attr.mode & 07777;
}

START_TEST(test_write_takes_setid_where_the_request_says_so)
{
	const uint64_t ino = make_setid("f");

	wire.uid = 1000;
	ck_assert_int_eq(wire_write(&wire, ino, 0, "x", 1, 0), 1);
	ck_assert_uint_eq(mode_of(ino), 06777);
	ck_assert_uint_eq(wire.nr_invals, 0);
	wire.uid = 0;
	ck_assert_int_eq(wire_write(&wire, ino, 0, "x", 1, FUSE_WRITE_KILL_SUIDGID), 1);
	ck_assert_uint_eq(mode_of(ino), 0777);
	/* The kernel would not ask by itself; once is enough. */
	ck_assert_uint_eq(wire.nr_invals, 1);
	ck_assert_int_eq(wire_write(&wire, ino, 0, "x", 1, FUSE_WRITE_KILL_SUIDGID), 1);
	ck_assert_uint_eq(wire.nr_invals, 1);
}
END_TEST

START_TEST(test_truncation_takes_setid_where_the_request_says_so)
{
	const struct fuse_setattr_in keep = { .valid = FATTR_SIZE, .size = 5 };
	const struct fuse_setattr_in kill = { .valid = FATTR_SIZE | FATTR_KILL_SUIDGID, .size = 6 };
	const uint64_t ino = make_setid("f");
	struct fuse_attr attr;

	wire.uid = 1000;
	ck_assert_int_eq(wire_setattr(&wire, ino, &keep, &attr), 0);
	ck_assert_uint_eq(attr.mode & 07777, 06777);
	ck_assert_int_eq(wire_setattr(&wire, ino, &kill, &attr), 0);
	ck_assert_uint_eq(attr.mode & 07777, 0777);
	ck_assert_uint_eq(attr.size, 6);
}
END_TEST

/* chown(2) to nobody, and what takes set-ID bits without a place to say so. */
START_TEST(test_setattr_of_nothing_takes_setid)
{
	const struct fuse_setattr_in nothing = { .valid = FATTR_CTIME };
	const struct fuse_setattr_in times = { .valid = FATTR_MTIME | FATTR_CTIME };
	const struct fuse_setattr_in chown = { .valid = FATTR_UID | FATTR_KILL_SUIDGID, .uid = 7 };
	struct fuse_attr attr;

	ck_assert_int_eq(wire_setattr(&wire, make_setid("a"), &nothing, &attr), 0);
	ck_assert_uint_eq(attr.mode & 07777, 0777);
	ck_assert_int_eq(wire_setattr(&wire, make_setid("b"), &times, &attr), 0);
	ck_assert_uint_eq(attr.mode & 07777, 06777);
	ck_assert_int_eq(wire_setattr(&wire, make_setid("c"), &chown, &attr), 0);
	ck_assert_uint_eq(attr.mode & 07777, 0777);
}
END_TEST

START_TEST(test_old_kernel_says_nothing_and_the_user_decides)
{
	const uint64_t ino = make_setid("f");

	ck_assert_int_eq(wire_write(&wire, ino, 0, "x", 1, 0), 1);
	ck_assert_uint_eq(mode_of(ino), 06777);
	wire.uid = 1000;
	ck_assert_int_eq(wire_write(&wire, ino, 0, "x", 1, 0), 1);
	ck_assert_uint_eq(mode_of(ino), 0777);
}
END_TEST

START_TEST(test_interrupt_is_dropped_and_the_next_request_served)
{
	const struct fuse_interrupt_in in = { .unique = 77 };

	for (unsigned i = 0; i < 3; i++)
		wire_post(&wire, FUSE_INTERRUPT, 0, &in, sizeof(in), NULL, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("shim");
	TCase *tc = tcase_create("everything offered");

	tcase_add_checked_fixture(tc, setup_all, teardown);
	tcase_add_test(tc, test_init_asks_for_what_the_kernel_offers);
	tcase_add_test(tc, test_tmpfile_is_open_and_has_no_name);
	tcase_add_test(tc, test_exclusive_tmpfile_cannot_be_linked);
	tcase_add_test(tc, test_tmpfile_whose_reply_nobody_gets_goes);
	tcase_add_test(tc, test_create_stays_declined_beside_tmpfile);
	tcase_add_test(tc, test_statx_tells_when_a_file_was_made);
	tcase_add_test(tc, test_statx_of_nothing_is_an_error);
	tcase_add_test(tc, test_write_takes_setid_where_the_request_says_so);
	tcase_add_test(tc, test_truncation_takes_setid_where_the_request_says_so);
	tcase_add_test(tc, test_setattr_of_nothing_takes_setid);
	tcase_add_test(tc, test_interrupt_is_dropped_and_the_next_request_served);
	suite_add_tcase(suite, tc);
	tc = tcase_create("no cache");
	tcase_add_checked_fixture(tc, setup_all_never, teardown);
	tcase_add_test(tc, test_init_asks_for_shared_mappings_without_a_cache);
	tcase_add_test(tc, test_direct_files_are_written_side_by_side);
	suite_add_tcase(suite, tc);
	tc = tcase_create("old kernel");
	tcase_add_checked_fixture(tc, setup_old, teardown);
	tcase_add_test(tc, test_init_asks_an_old_kernel_for_nothing_new);
	tcase_add_test(tc, test_old_kernel_says_nothing_and_the_user_decides);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
