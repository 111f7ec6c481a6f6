// SPDX-License-Identifier: GPL-2.0-or-later
/* test_op_ioctl.c - the control interface. */
#include <linux/fs.h>
#include <unistd.h>

#include "fs/inode.h"
#include "tests/fuse/fixture.h"

static struct wire_reply call(uint64_t ino, uint32_t cmd, uint32_t out_size, uint32_t flags)
{
	const struct fuse_ioctl_in in = { .cmd = cmd, .out_size = out_size, .flags = flags };

	return wire_call(&wire, FUSE_IOCTL, ino, &in, sizeof(in), NULL, 0);
}

START_TEST(test_stat_answers_on_files_and_directories)
{
	const uint64_t inos[] = { make_file(ROOT, "f"), ROOT };
	char word[5];

	ck_assert_int_eq(wire_write(&wire, inos[0], 0, "some content", 12, 0), 12);
	for (size_t i = 0; i < ARRAY_SIZE(inos); i++) {
		struct wire_reply reply = call(inos[i], ZTMPFS_IOC_STAT, sizeof(struct ztmpfs_stat),
					       inos[i] == ROOT ? FUSE_IOCTL_DIR : 0);
		struct fuse_ioctl_out out;
		struct ztmpfs_stat stat;

		ck_assert_int_eq(reply.error, 0);
		ck_assert_uint_eq(reply.len, sizeof(out) + sizeof(stat));
		memcpy(&out, reply.data, sizeof(out));
		memcpy(&stat, (const char *)reply.data + sizeof(out), sizeof(stat));
		ck_assert_int_eq(out.result, 0);
		ck_assert_uint_eq(stat.version, ZTMPFS_STAT_VERSION);
		ck_assert_uint_eq(stat.struct_size, sizeof(stat));
		ck_assert_str_eq(stat.compress, "lz4");
		ck_assert_uint_eq(stat.orig_data_size, 4096);
		ck_assert_uint_gt(stat.mem_used_total, 0);
		ck_assert_uint_eq(stat.size_limit, FIXTURE_SIZE);
		ck_assert_uint_eq(stat.inodes_used, 2);
		ck_assert_uint_eq(stat.inodes_limit, FIXTURE_INODES);
		ck_assert_uint_eq(stat.cluster_size, 65536);
		ck_assert_uint_eq(stat.bytes_written, 12);
		ck_assert_uint_eq(stat.bytes_read, 5 * i);
		ck_assert_int_eq(wire_read(&wire, inos[0], 0, word, 5), 5);
	}
}
END_TEST

/* Of another version's length: as much as it has, and as much as there is. */
START_TEST(test_stat_is_as_long_as_the_caller_wants_it)
{
	const uint32_t size = sizeof(struct ztmpfs_stat), sizes[] = { 8, 200, size, size + 64 };

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		const uint32_t cmd = _IOC(_IOC_READ, 'Z', 1, sizes[i]);
		const uint32_t want = sizes[i] < size ? sizes[i] : size;
		struct wire_reply reply = call(ROOT, cmd, sizes[i], FUSE_IOCTL_DIR);
		uint32_t head[2];

		ck_assert_int_eq(reply.error, 0);
		ck_assert_uint_eq(reply.len, sizeof(struct fuse_ioctl_out) + want);
		memcpy(head, (const char *)reply.data + sizeof(struct fuse_ioctl_out),
		       sizeof(head));
		ck_assert_uint_eq(head[0], ZTMPFS_STAT_VERSION);
		ck_assert_uint_eq(head[1], want);
	}
	/* Without room to say how long it is. */
	ck_assert_int_eq(call(ROOT, ZTMPFS_IOC_STAT, 7, FUSE_IOCTL_DIR).error, -EINVAL);
}
END_TEST

START_TEST(test_everybody_is_told_who_serves)
{
	struct wire_reply reply;
	struct ztmpfs_info info;

	wire.uid = 1234;
	reply = call(ROOT, ZTMPFS_IOC_INFO, sizeof(info), FUSE_IOCTL_DIR);
	ck_assert_int_eq(reply.error, 0);
	ck_assert_uint_eq(reply.len, sizeof(struct fuse_ioctl_out) + sizeof(info));
	memcpy(&info, (const char *)reply.data + sizeof(struct fuse_ioctl_out), sizeof(info));
	ck_assert_uint_eq(info.struct_size, sizeof(info));
	ck_assert_uint_eq(info.pid, (uint32_t)getpid());
	ck_assert_str_eq(info.release, PACKAGE_VERSION);
	ck_assert_int_eq(strncmp(info.options, "size=", 5), 0);
	ck_assert_ptr_nonnull(strstr(info.options, ",compress=lz4"));
	ck_assert_uint_eq(info.requests, ZTMPFS_REQUESTS);
}
END_TEST

/* The set that is told is the one that is served: an empty request of it fails otherwise, or works. */
START_TEST(test_the_requests_that_are_told_are_those_that_there_are)
{
	const uint64_t file = make_file(ROOT, "f");

	for (uint32_t nr = 0; nr < 256; nr++) {
		const bool told = nr < 64 && (ZTMPFS_REQUESTS >> nr & 1);
		const int error = call(file, _IOC(_IOC_READ, 'Z', nr, 0), 0, 0).error;

		ck_assert_msg((error != -ENOTTY) == told, "request %" PRIu32 ": %d", nr, error);
	}
}
END_TEST

static uint64_t call_number(uint32_t cmd, int error)
{
	struct wire_reply reply = call(ROOT, cmd, sizeof(uint64_t), FUSE_IOCTL_DIR);
	uint64_t value = 0;

	ck_assert_int_eq(reply.error, error);
	if (!error)
		memcpy(&value, (const char *)reply.data + sizeof(struct fuse_ioctl_out),
		       sizeof(value));
	return value;
}

START_TEST(test_the_mount_is_managed_by_root_and_owner_alone)
{
	struct stat attr = { .st_uid = 1234 };

	(void)call_number(ZTMPFS_IOC_COMPACT, 0);
	(void)call_number(ZTMPFS_IOC_RECOMPRESS, -EOPNOTSUPP);
	ck_assert_int_eq(call(ROOT, ZTMPFS_IOC_COMPACT, 7, FUSE_IOCTL_DIR).error, -EINVAL);
	wire.uid = 1234;
	(void)call_number(ZTMPFS_IOC_COMPACT, -EPERM);
	(void)call_number(ZTMPFS_IOC_RECOMPRESS, -EPERM);
	ck_assert_int_eq(fs_setattr(sb, &(struct fs_cred){ 0 }, ROOT, &attr, FS_SET_UID, &attr), 0);
	(void)call_number(ZTMPFS_IOC_COMPACT, 0);
	wire.uid = 0;
}
END_TEST

/* Counters of the mount depend on what all files hold. */
START_TEST(test_what_all_files_hold_is_told_to_root_and_owner_alone)
{
	const struct ztmpfs_pool_stat pool = { .version = ZTMPFS_STAT_VERSION };
	const struct fuse_ioctl_in in = { .cmd = ZTMPFS_IOC_POOL_STAT,
					  .in_size = sizeof(pool),
					  .out_size = sizeof(pool) };
	struct stat attr = { .st_uid = 1234 };

	for (unsigned i = 0; i < 2; i++) {
		int error = i == 0 ? -EPERM : 0;

		wire.uid = 1234;
		ck_assert_int_eq(call(ROOT, ZTMPFS_IOC_STAT, sizeof(struct ztmpfs_stat), 0).error,
				 error);
		ck_assert_int_eq(
			wire_call(&wire, FUSE_IOCTL, ROOT, &in, sizeof(in), &pool, sizeof(pool))
				.error,
			error);
		wire.uid = 0;
		ck_assert_int_eq(
			fs_setattr(sb, &(struct fs_cred){ 0 }, ROOT, &attr, FS_SET_UID, &attr), 0);
	}
}
END_TEST

static int trace_as(uint32_t uid, uint32_t op)
{
	const struct ztmpfs_trace arg = { .version = ZTMPFS_STAT_VERSION, .op = op };
	const struct fuse_ioctl_in in = { .cmd = ZTMPFS_IOC_TRACE,
					  .in_size = sizeof(arg),
					  .out_size = sizeof(arg) };
	struct wire_reply reply;

	wire.uid = uid;
	reply = wire_call(&wire, FUSE_IOCTL, ROOT, &in, sizeof(in), &arg, sizeof(arg));
	wire.uid = 0;
	return reply.error;
}

/* Not even to the root directory's owner: he may not read all files. */
START_TEST(test_trace_is_for_root_and_the_daemons_user_alone)
{
	struct stat attr = { .st_uid = 1234 };

	ck_assert_int_eq(fs_setattr(sb, &(struct fs_cred){ 0 }, ROOT, &attr, FS_SET_UID, &attr), 0);
	for (uint32_t op = ZTMPFS_TRACE_START; op <= ZTMPFS_TRACE_STOP; op++)
		ck_assert_int_eq(trace_as(1234, op), -EPERM);
	ck_assert_int_eq(trace_as(0, ZTMPFS_TRACE_STOP + 1), -EINVAL);
	ck_assert_int_eq(trace_as(0, ZTMPFS_TRACE_FETCH), -ESRCH);
	ck_assert_int_eq(trace_as(0, ZTMPFS_TRACE_START), 0);
	ck_assert_int_eq(trace_as(0, ZTMPFS_TRACE_START), -EBUSY);
}
END_TEST

static int file_stat_as(uint64_t ino, uint32_t uid, uint32_t gid)
{
	int error;

	wire.uid = uid;
	wire.gid = gid;
	error = call(ino, ZTMPFS_IOC_FILE_STAT, sizeof(struct ztmpfs_file_stat), 0).error;
	wire.uid = wire.gid = 0;
	return error;
}

/* Any descriptor may ask, also one that is open for writing only. */
START_TEST(test_how_a_file_is_stored_is_told_to_its_readers_alone)
{
	static const struct {
		mode_t mode;
		int owner, member, other;
	} cases[] = {
		{ 0644, 0, 0, 0 },
		{ 0600, 0, -EACCES, -EACCES },
		{ 0622, 0, -EACCES, -EACCES },
		{ 0222, 0, -EACCES, -EACCES },
		{ 0642, 0, 0, -EACCES },
		{ 0606, 0, -EACCES, -EACCES },
	};
	const uint64_t ino = make_file(ROOT, "f");
	struct stat attr = { .st_uid = 1000, .st_gid = 2000 };

	ck_assert_int_eq(
		fs_setattr(sb, &(struct fs_cred){ 0 }, ino, &attr, FS_SET_UID | FS_SET_GID, &attr),
		0);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		attr.st_mode = cases[i].mode;
		ck_assert_int_eq(
			fs_setattr(sb, &(struct fs_cred){ 0 }, ino, &attr, FS_SET_MODE, &attr), 0);
		ck_assert_int_eq(file_stat_as(ino, 0, 0), 0);
		ck_assert_int_eq(file_stat_as(ino, 1000, 1), cases[i].owner);
		ck_assert_int_eq(file_stat_as(ino, 1234, 2000), cases[i].member);
		ck_assert_int_eq(file_stat_as(ino, 1234, 3000), cases[i].other);
	}
}
END_TEST

START_TEST(test_a_file_tells_what_it_holds_and_costs)
{
	const uint64_t ino = make_file(ROOT, "f");
	struct ztmpfs_file_stat stat;
	struct wire_reply reply;
	static char text[65536];

	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = "some words "[i * i % 11];
	ck_assert_int_eq(wire_write(&wire, ino, 0, text, sizeof(text), 0), sizeof(text));
	memset(text, 7, sizeof(text));
	ck_assert_int_eq(wire_write(&wire, ino, sizeof(text), text, sizeof(text), 0), sizeof(text));
	reply = call(ino, ZTMPFS_IOC_FILE_STAT, sizeof(stat), 0);
	ck_assert_int_eq(reply.error, 0);
	memcpy(&stat, (const char *)reply.data + sizeof(struct fuse_ioctl_out), sizeof(stat));
	ck_assert_uint_eq(stat.version, ZTMPFS_STAT_VERSION);
	ck_assert_uint_eq(stat.ino, ino);
	ck_assert_uint_eq(stat.size, 131072);
	ck_assert_uint_eq(stat.allocated, 131072);
	ck_assert_uint_eq(stat.objects, 1);
	ck_assert_uint_eq(stat.cluster_size, 65536);
	ck_assert_uint_lt(stat.stored, 65536);
	ck_assert_uint_gt(stat.memory, stat.stored + 100);
	ck_assert_str_eq(stat.codecs[0].name, "lz4");
	ck_assert_uint_eq(stat.codecs[0].pages, 16);
	ck_assert_uint_eq(stat.codecs[0].stored, stat.stored);
	ck_assert_str_eq(stat.codecs[1].name, "same");
	ck_assert_uint_eq(stat.codecs[1].pages, 16);
	ck_assert_uint_eq(stat.codecs[2].pages, 0);
	ck_assert_int_eq(call(ino, ZTMPFS_IOC_FILE_STAT, 7, 0).error, -EINVAL);
	ck_assert_int_eq(call(ino + 7, ZTMPFS_IOC_FILE_STAT, sizeof(stat), 0).error, -ESTALE);
}
END_TEST

static struct wire_reply call_in(uint64_t ino, uint32_t cmd, const void *arg, uint32_t in_size,
				 uint32_t out_size)
{
	const struct fuse_ioctl_in in = { .cmd = cmd, .in_size = in_size, .out_size = out_size };

	return wire_call(&wire, FUSE_IOCTL, ino, &in, sizeof(in), arg, in_size);
}

static int pool_stat(uint32_t pool, uint32_t first, struct ztmpfs_pool_stat *out)
{
	const struct ztmpfs_pool_stat arg = { .version = ZTMPFS_STAT_VERSION,
					      .pool = pool,
					      .first = first };
	struct wire_reply reply =
		call_in(ROOT, ZTMPFS_IOC_POOL_STAT, &arg, sizeof(arg), sizeof(arg));

	if (!reply.error) {
		ck_assert_uint_eq(reply.len, sizeof(struct fuse_ioctl_out) + sizeof(*out));
		memcpy(out, (const char *)reply.data + sizeof(struct fuse_ioctl_out), sizeof(*out));
		ck_assert_uint_eq(out->version, ZTMPFS_STAT_VERSION);
		ck_assert_uint_eq(out->struct_size, sizeof(*out));
		ck_assert_uint_eq(out->pool, pool);
		ck_assert_uint_eq(out->first, first);
		ck_assert_uint_eq(out->nr_pools, 3);
		ck_assert_uint_le(out->nr_classes, ZTMPFS_POOL_CLASSES);
	}
	return reply.error;
}

/* Objects of many sizes, so that one answer does not hold all classes. */
static void write_many_sizes(uint64_t ino)
{
	static unsigned char bytes[8192];
	uint64_t seed = zt_seed();

	for (unsigned i = 0; i < 250; i++) {
		for (size_t at = 0; at < 16 * (size_t)i; at++)
			bytes[at] = (unsigned char)zt_random(&seed);
		memset(bytes + 16 * (size_t)i, 0, sizeof(bytes) - 16 * (size_t)i);
		ck_assert_int_eq(wire_write(&wire, ino, i * 65536, (char *)bytes, sizeof(bytes), 0),
				 sizeof(bytes));
	}
}

START_TEST(test_pools_are_told_class_by_class_in_several_answers)
{
	static const char *const names[] = { "data", "metadata", "inodes" };
	struct ztmpfs_pool_stat stat;
	struct ztmpfs_stat sums;
	uint64_t pages = 0, bytes = 0, inodes = 0, answers = 0, range = 0;

	write_many_sizes(make_file(ROOT, "f"));
	for (uint32_t pool = 0; pool < 3; pool++) {
		uint32_t first = 0, last_idx = 0;

		do {
			ck_assert_int_eq(pool_stat(pool, first, &stat), 0);
			ck_assert_str_eq(stat.name, names[pool]);
			for (uint32_t i = 0; i < stat.nr_classes; i++) {
				const struct ztmpfs_pool_class *class = &stat.classes[i];

				ck_assert(class->idx >= first && (class->idx > last_idx || !i));
				last_idx = class->idx;
				ck_assert_uint_ge(class->obj_allocated, class->obj_used);
				pages += class->pages_used;
				bytes += pool == 0 ? class->obj_bytes : 0;
				inodes += pool == 2 ? class->obj_used : 0;
			}
			ck_assert(stat.next == 0 || stat.next > first);
			first = stat.next;
			answers++;
		} while (first != 0);
	}
	ck_assert_uint_gt(answers, 4);
	super_get_stat(sb, &sums);
	ck_assert_uint_eq(bytes, sums.compr_data_size);
	ck_assert_uint_eq(inodes, sums.inodes_used);
	ck_assert_uint_eq(stat.resident, sums.arena_used);
	/* Besides the pools: the superblock, and pages of the page map. */
	ck_assert_uint_lt(pages * 4096, stat.resident);
	ck_assert_uint_ge(pages * 4096 + 4096 + stat.range / 1024, stat.resident);
	for (unsigned i = 0; i < ZTMPFS_POOL_ORDERS; i++)
		range += stat.range_free[i] * 4096 << i;
	ck_assert_uint_eq(range + stat.range_runs, stat.range);
}
END_TEST

START_TEST(test_pools_that_are_asked_for_wrongly_are_refused)
{
	struct ztmpfs_pool_stat stat, arg = { .version = ZTMPFS_STAT_VERSION };
	const uint32_t size = sizeof(arg);

	ck_assert_int_eq(pool_stat(3, 0, &stat), -EINVAL);
	ck_assert_int_eq(pool_stat(UINT32_MAX, 0, &stat), -EINVAL);
	ck_assert_int_eq(pool_stat(2, 1, &stat), -EINVAL);
	ck_assert_int_eq(pool_stat(0, UINT32_MAX, &stat), -EINVAL);
	ck_assert_int_eq(call_in(ROOT, ZTMPFS_IOC_POOL_STAT, &arg, 7, size).error, -EINVAL);
	ck_assert_int_eq(call_in(ROOT, ZTMPFS_IOC_POOL_STAT, &arg, size, 7).error, -EINVAL);
	ck_assert_int_eq(call_in(ROOT, ZTMPFS_IOC_POOL_STAT, &arg, 0, size).error, -EINVAL);
	arg.version++;
	ck_assert_int_eq(call_in(ROOT, ZTMPFS_IOC_POOL_STAT, &arg, size, size).error, -EPROTO);
}
END_TEST

static int get_attr(uint64_t ino, struct ztmpfs_file_attr *out)
{
	struct wire_reply reply = call(ino, ZTMPFS_IOC_GET_ATTR, sizeof(*out), 0);

	if (!reply.error) {
		ck_assert_uint_eq(reply.len, sizeof(struct fuse_ioctl_out) + sizeof(*out));
		memcpy(out, (const char *)reply.data + sizeof(struct fuse_ioctl_out), sizeof(*out));
	}
	return reply.error;
}

static int set_attr(uint64_t ino, const struct ztmpfs_file_attr *attr, uint32_t size)
{
	return call_in(ino, ZTMPFS_IOC_SET_ATTR, attr, size, 0).error;
}

START_TEST(test_limits_are_set_by_root_and_owner_or_the_refusal_is_told)
{
	struct ztmpfs_set set = { .version = ZTMPFS_STAT_VERSION,
				  .struct_size = sizeof(set),
				  .which = ZTMPFS_SET_INODES,
				  .nr_inodes = 1 };
	struct ztmpfs_stat stat;
	struct wire_reply reply;

	(void)make_file(ROOT, "f");
	ck_assert_int_eq(call_in(ROOT, ZTMPFS_IOC_SET, &set, sizeof(set), 0).error, -EBUSY);
	ck_assert_int_eq(call_in(ROOT, ZTMPFS_IOC_SET, &set, 7, 0).error, -EINVAL);
	set.nr_inodes = 50;
	wire.uid = 1234;
	ck_assert_int_eq(call_in(ROOT, ZTMPFS_IOC_SET, &set, sizeof(set), 0).error, -EPERM);
	wire.uid = 0;
	ck_assert_int_eq(call_in(ROOT, ZTMPFS_IOC_SET, &set, sizeof(set), 0).error, 0);
	reply = call(ROOT, ZTMPFS_IOC_STAT, sizeof(stat), FUSE_IOCTL_DIR);
	memcpy(&stat, (const char *)reply.data + sizeof(struct fuse_ioctl_out), sizeof(stat));
	ck_assert_uint_eq(stat.inodes_limit, 50);
}
END_TEST

START_TEST(test_attributes_are_told_and_set)
{
	struct ztmpfs_file_attr attr = { .version = ZTMPFS_STAT_VERSION,
					 .which = ZTMPFS_ATTR_CLUSTER | ZTMPFS_ATTR_COMPRESS,
					 .cluster_size = 16384,
					 .level = 7,
					 .compress = "zstd" };
	const uint64_t inos[] = { make_file(ROOT, "f"), ROOT };

	for (size_t i = 0; i < ARRAY_SIZE(inos); i++) {
		struct ztmpfs_file_attr got;

		ck_assert_int_eq(get_attr(inos[i], &got), 0);
		ck_assert_uint_eq(got.version, ZTMPFS_STAT_VERSION);
		ck_assert_uint_eq(got.which, attr.which);
		ck_assert_uint_eq(got.cluster_size, 65536);
		ck_assert_str_eq(got.compress, "default");
		ck_assert_int_eq(set_attr(inos[i], &attr, sizeof(attr)), 0);
		ck_assert_int_eq(get_attr(inos[i], &got), 0);
		ck_assert_uint_eq(got.cluster_size, 16384);
		ck_assert_str_eq(got.compress, "zstd");
		ck_assert_int_eq(got.level, 7);
	}
}
END_TEST

START_TEST(test_attributes_that_are_asked_for_wrongly_change_nothing)
{
	const struct ztmpfs_file_attr good = { .version = ZTMPFS_STAT_VERSION,
					       .which = ZTMPFS_ATTR_COMPRESS,
					       .compress = "none" };
	struct ztmpfs_file_attr attr = good, longer[2] = { good, good };
	const uint64_t ino = make_file(ROOT, "f");
	struct fuse_entry_out fifo;

	ck_assert_int_eq(wire_mknod(&wire, ROOT, "fifo", S_IFIFO | 0644, &fifo), 0);
	ck_assert_int_eq(set_attr(ino, &attr, 7), -EINVAL);
	ck_assert_int_eq(set_attr(ino, &attr, 0), -EINVAL);
	attr.version++;
	ck_assert_int_eq(set_attr(ino, &attr, sizeof(attr)), -EPROTO);
	attr = good;
	attr.which = 8;
	ck_assert_int_eq(set_attr(ino, &attr, sizeof(attr)), -EINVAL);
	attr = good;
	strcpy(attr.compress, "nosuch");
	ck_assert_int_eq(set_attr(ino, &attr, sizeof(attr)), -ENOENT);
	ck_assert_int_eq(set_attr(ino + 1, &good, sizeof(good)), -ESTALE);
	ck_assert_int_eq(get_attr(ino + 1, &attr), -ESTALE);
	ck_assert_int_eq(set_attr(fifo.nodeid, &good, sizeof(good)), -ENOTTY);
	ck_assert_int_eq(get_attr(fifo.nodeid, &attr), -ENOTTY);
	wire.uid = 1234;
	ck_assert_int_eq(set_attr(ino, &good, sizeof(good)), -EPERM);
	ck_assert_int_eq(get_attr(ino, &attr), 0);
	ck_assert_str_eq(attr.compress, "default");
	wire.uid = 0;
	/* More than is known is not looked at. */
	ck_assert_int_eq(set_attr(ino, longer, sizeof(longer)), 0);
	ck_assert_int_eq(get_attr(ino, &attr), 0);
	ck_assert_str_eq(attr.compress, "none");
}
END_TEST

START_TEST(test_only_the_inode_counts_of_what_is_no_regular_file)
{
	struct fuse_entry_out fifo;
	struct ztmpfs_file_stat stat;
	struct wire_reply reply;

	ck_assert_int_eq(wire_mknod(&wire, ROOT, "fifo", S_IFIFO | 0644, &fifo), 0);
	reply = call(fifo.nodeid, ZTMPFS_IOC_FILE_STAT, sizeof(stat) + 100, 0);
	ck_assert_int_eq(reply.error, 0);
	ck_assert_uint_eq(reply.len, sizeof(struct fuse_ioctl_out) + sizeof(stat));
	memcpy(&stat, (const char *)reply.data + sizeof(struct fuse_ioctl_out), sizeof(stat));
	ck_assert_uint_eq(stat.ino, fifo.nodeid);
	ck_assert_uint_eq(stat.objects + stat.allocated + stat.cluster_size, 0);
	ck_assert_uint_gt(stat.memory, 0);
	ck_assert_int_eq(call(ROOT, ZTMPFS_IOC_RECOMPRESS, 7, FUSE_IOCTL_DIR).error, -EINVAL);
}
END_TEST

START_TEST(test_other_commands_are_none_of_ours)
{
	static const uint32_t cmds[] = { 0, 1, 0x5401, 0x80047601, UINT32_MAX };

	for (size_t i = 0; i < ARRAY_SIZE(cmds); i++)
		ck_assert_int_eq(call(ROOT, cmds[i], 4096, FUSE_IOCTL_DIR).error, -ENOTTY);
}
END_TEST

/* The forms that the kernel uses for the calls of chattr and lsattr. */
static int get_flags(uint64_t ino, uint32_t *out_flags)
{
	struct wire_reply reply = call(ino, FS_IOC_GETFLAGS, sizeof(*out_flags), 0);

	if (!reply.error)
		memcpy(out_flags, (const char *)reply.data + sizeof(struct fuse_ioctl_out),
		       sizeof(*out_flags));
	return reply.error;
}

static int set_arg(uint64_t ino, uint32_t cmd, const void *arg, uint32_t size)
{
	const struct fuse_ioctl_in in = { .cmd = cmd, .in_size = size };

	return wire_call(&wire, FUSE_IOCTL, ino, &in, sizeof(in), arg, size).error;
}

static int set_flags(uint64_t ino, uint32_t flags)
{
	return set_arg(ino, FS_IOC_SETFLAGS, &flags, sizeof(flags));
}

START_TEST(test_chattr_sets_flags_and_the_kernel_forgets_attributes)
{
	uint64_t ino = make_file(ROOT, "f");
	struct fsxattr fsx = { .fsx_xflags = FS_XFLAG_APPEND | FS_XFLAG_NOATIME };
	struct fuse_attr_out attr;
	struct fuse_getattr_in in = { 0 };
	struct wire_reply reply;
	uint32_t flags;

	ck_assert_int_eq(get_flags(ino, &flags), 0);
	ck_assert_uint_eq(flags, 0);
	ck_assert_int_eq(set_flags(ino, FS_IMMUTABLE_FL | FS_NODUMP_FL), 0);
	/* Its pages first, so that what is dirty is stored; then its attributes. */
	ck_assert_uint_eq(wire.nr_notified, 2);
	ck_assert_uint_eq(wire.notified_ino, ino);
	ck_assert_int_eq(wire.notified_off, -1);
	ck_assert_int_eq(get_flags(ino, &flags), 0);
	ck_assert_uint_eq(flags, FS_IMMUTABLE_FL | FS_NODUMP_FL);
	ck_assert_int_lt(wire_write(&wire, ino, 0, "x", 1, 0), 0);
	/* Attributes of immutable files are not kept. */
	reply = wire_call(&wire, FUSE_GETATTR, ino, &in, sizeof(in), NULL, 0);
	memcpy(&attr, reply.data, sizeof(attr));
	ck_assert_uint_eq(attr.attr_valid, 0);
	reply = call(ino, FS_IOC_FSGETXATTR, sizeof(fsx), 0);
	ck_assert_int_eq(reply.error, 0);
	ck_assert_uint_eq(reply.len, sizeof(struct fuse_ioctl_out) + sizeof(fsx));
	ck_assert_int_eq(set_arg(ino, FS_IOC_FSSETXATTR, &fsx, sizeof(fsx)), 0);
	ck_assert_int_eq(get_flags(ino, &flags), 0);
	ck_assert_uint_eq(flags, FS_APPEND_FL | FS_NOATIME_FL);
	reply = wire_call(&wire, FUSE_GETATTR, ino, &in, sizeof(in), NULL, 0);
	memcpy(&attr, reply.data, sizeof(attr));
	ck_assert_uint_gt(attr.attr_valid, 1000000);
	/* Those of compression have no number in that form, and stay. */
	ck_assert_int_eq(set_flags(ino, FS_NOCOMP_FL), 0);
	ck_assert_int_eq(set_arg(ino, FS_IOC_FSSETXATTR, &fsx, sizeof(fsx)), 0);
	ck_assert_int_eq(get_flags(ino, &flags), 0);
	ck_assert_uint_eq(flags, FS_APPEND_FL | FS_NOATIME_FL | FS_NOCOMP_FL);
	ck_assert_int_eq(set_flags(ino, FS_COMPR_FL | FS_NOCOMP_FL), -EINVAL);
}
END_TEST

START_TEST(test_chattr_refuses_what_tmpfs_refuses)
{
	uint64_t ino = make_file(ROOT, "f");
	struct fsxattr fsx = { .fsx_xflags = FS_XFLAG_SYNC };
	struct fuse_entry_out fifo;
	uint32_t flags = 0;

	ck_assert_int_eq(set_flags(ino, FS_SYNC_FL), -EOPNOTSUPP);
	ck_assert_int_eq(set_arg(ino, FS_IOC_FSSETXATTR, &fsx, sizeof(fsx)), -EOPNOTSUPP);
	fsx = (struct fsxattr){ .fsx_projid = 1 };
	ck_assert_int_eq(set_arg(ino, FS_IOC_FSSETXATTR, &fsx, sizeof(fsx)), -EOPNOTSUPP);
	ck_assert_int_eq(set_arg(ino, FS_IOC_FSSETXATTR, &fsx, sizeof(fsx) - 1), -EINVAL);
	ck_assert_int_eq(set_arg(ino, FS_IOC_SETFLAGS, &flags, 3), -EINVAL);
	ck_assert_int_eq(call(ino, FS_IOC_GETFLAGS, 3, 0).error, -EINVAL);
	ck_assert_int_eq(call(ino, FS_IOC_FSGETXATTR, sizeof(fsx) - 1, 0).error, -EINVAL);
	ck_assert_int_eq(wire_mknod(&wire, ROOT, "fifo", S_IFIFO | 0644, &fifo), 0);
	ck_assert_int_eq(set_flags(fifo.nodeid, 0), -ENOTTY);
	ck_assert_int_eq(get_flags(fifo.nodeid, &flags), -ENOTTY);
	ck_assert_uint_eq(wire.nr_notified, 0);
}
END_TEST

/* With something in, and the same struct back. */
static int exchange(uint64_t ino, uint32_t cmd, void *inout_args, size_t size)
{
	const struct fuse_ioctl_in in = { .cmd = cmd,
					  .in_size = (uint32_t)size,
					  .out_size = (uint32_t)size,
					  .flags = ino == ROOT ? FUSE_IOCTL_DIR : 0 };
	struct wire_reply reply = wire_call(&wire, FUSE_IOCTL, ino, &in, sizeof(in), inout_args, size);

	if (!reply.error) {
		ck_assert_uint_eq(reply.len, sizeof(struct fuse_ioctl_out) + size);
		memcpy(inout_args, (const char *)reply.data + sizeof(struct fuse_ioctl_out), size);
	}
	return reply.error;
}

START_TEST(test_a_clone_says_how_much_it_is)
{
	const uint64_t from = make_dir(ROOT, "from"), into = make_dir(ROOT, "into");
	struct ztmpfs_clone args = { .version = ZTMPFS_STAT_VERSION,
				     .struct_size = sizeof(args),
				     .from = ROOT,
				     .from_name = "from",
				     .to_name = "copy" };
	struct fuse_entry_out copy, one;

	ck_assert_int_eq(wire_write(&wire, make_file(from, "one"), 0, "content", 7, 0), 7);
	(void)make_file(from, "two");
	ck_assert_int_eq(exchange(into, ZTMPFS_IOC_CLONE, &args, sizeof(args)), 0);
	ck_assert_uint_eq(args.made, 3);
	ck_assert_int_eq(wire_lookup(&wire, into, "copy", &copy), 0);
	ck_assert_int_eq(wire_lookup(&wire, copy.nodeid, "one", &one), 0);
	ck_assert_uint_eq(one.attr.size, 7);
	args.flags = ~0u;
	ck_assert_int_eq(exchange(into, ZTMPFS_IOC_CLONE, &args, sizeof(args)), -EINVAL);
	args.flags = 0;
	memset(args.to_name, 'x', sizeof(args.to_name));
	ck_assert_int_eq(exchange(into, ZTMPFS_IOC_CLONE, &args, sizeof(args)), -EINVAL);
}
END_TEST

static void setup_transport(void)
{
	fixture_start_transport(40);
}

static unsigned nr_pauses, nr_that_never_wait;

static bool note_whether_it_waits(void *arg)
{
	(void)arg;
	nr_pauses++;
	nr_that_never_wait += super_waits_never();
	return false;
}

/* Nobody would try it once more: it has been at work for long. As long as others find a thread. */
START_TEST(test_a_clone_waits_for_memory_by_itself)
{
	struct ztmpfs_clone args = { .version = ZTMPFS_STAT_VERSION,
				     .struct_size = sizeof(args),
				     .from = ROOT,
				     .from_name = "from",
				     .to_name = "copy" };
	const uint64_t into = make_dir(ROOT, "into"), other = make_dir(ROOT, "other");

	for (uint64_t i = 0, from = make_dir(ROOT, "from"); i < 20; i++)
		from = make_dir(from, "deeper");
	super_set_pause(sb, note_whether_it_waits, NULL);
	atomic_store(&front.retry.nr_may_wait, 1);
	ck_assert_int_eq(exchange(into, ZTMPFS_IOC_CLONE, &args, sizeof(args)), 0);
	ck_assert_uint_gt(nr_pauses, 0);
	ck_assert_uint_eq(nr_that_never_wait, 0);
	/* It is given back behind the reply. */
	while (atomic_load(&front.retry.nr_may_wait) != 1)
		usleep(1000);
	nr_pauses = 0;
	atomic_store(&front.retry.nr_may_wait, 0);
	ck_assert_int_eq(exchange(other, ZTMPFS_IOC_CLONE, &args, sizeof(args)), 0);
	ck_assert_uint_gt(nr_pauses, 0);
	ck_assert_uint_eq(nr_that_never_wait, nr_pauses);
	super_set_pause(sb, NULL, NULL);
}
END_TEST

START_TEST(test_a_save_is_known_by_its_number)
{
	const uint64_t ino = make_file(ROOT, "save"), other = make_file(ROOT, "other");
	struct ztmpfs_save save = { .version = ZTMPFS_STAT_VERSION,
				    .struct_size = sizeof(save),
				    .op = ZTMPFS_SAVE_BEGIN };
	char page[4096];
	int error;

	ck_assert_int_eq(wire_write(&wire, other, 0, "content", 7, 0), 7);
	/* It has a name. */
	ck_assert_int_eq(exchange(ino, ZTMPFS_IOC_SAVE, &save, sizeof(save)), -EINVAL);
	ck_assert_int_eq(wire_unlink(&wire, ROOT, "save"), 0);
	error = exchange(ino, ZTMPFS_IOC_SAVE, &save, sizeof(save));
	if (error == -EPERM || error == -ENOSYS || error == -EOPNOTSUPP) {
		printf("SKIP: userfaultfd: %s\n", strerror(-error));
		return;
	}
	ck_assert_int_eq(error, 0);
	ck_assert_uint_ne(save.id, 0);
	ck_assert_uint_gt(save.nr_pages, 0);
	ck_assert_uint_gt(save.nr_extents, 0);
	ck_assert_uint_gt(save.facts_size, 0);
	ck_assert_uint_gt(save.reserve, save.nr_pages << ZT_PAGE_SHIFT);
	ck_assert_int_eq(wire_read(&wire, ino, 0, page, sizeof(page)), sizeof(page));
	save.op = ZTMPFS_SAVE_CHECK;
	ck_assert_int_eq(exchange(ino, ZTMPFS_IOC_SAVE, &save, sizeof(save)), 0);
	save.id++;
	ck_assert_int_eq(exchange(ino, ZTMPFS_IOC_SAVE, &save, sizeof(save)), -ESTALE);
	save.op = 77;
	ck_assert_int_eq(exchange(ino, ZTMPFS_IOC_SAVE, &save, sizeof(save)), -EINVAL);
	wire_forget(&wire, ino, 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("op_ioctl");
	TCase *tc = tcase_create("op_ioctl");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_stat_answers_on_files_and_directories);
	tcase_add_test(tc, test_stat_is_as_long_as_the_caller_wants_it);
	tcase_add_test(tc, test_everybody_is_told_who_serves);
	tcase_add_test(tc, test_the_requests_that_are_told_are_those_that_there_are);
	tcase_add_test(tc, test_chattr_sets_flags_and_the_kernel_forgets_attributes);
	tcase_add_test(tc, test_chattr_refuses_what_tmpfs_refuses);
	tcase_add_test(tc, test_the_mount_is_managed_by_root_and_owner_alone);
	tcase_add_test(tc, test_what_all_files_hold_is_told_to_root_and_owner_alone);
	tcase_add_test(tc, test_trace_is_for_root_and_the_daemons_user_alone);
	tcase_add_test(tc, test_how_a_file_is_stored_is_told_to_its_readers_alone);
	tcase_add_test(tc, test_a_file_tells_what_it_holds_and_costs);
	tcase_add_test(tc, test_pools_are_told_class_by_class_in_several_answers);
	tcase_add_test(tc, test_pools_that_are_asked_for_wrongly_are_refused);
	tcase_add_test(tc, test_limits_are_set_by_root_and_owner_or_the_refusal_is_told);
	tcase_add_test(tc, test_attributes_are_told_and_set);
	tcase_add_test(tc, test_attributes_that_are_asked_for_wrongly_change_nothing);
	tcase_add_test(tc, test_only_the_inode_counts_of_what_is_no_regular_file);
	tcase_add_test(tc, test_other_commands_are_none_of_ours);
	tcase_add_test(tc, test_a_clone_says_how_much_it_is);
	tcase_add_test(tc, test_a_save_is_known_by_its_number);
	suite_add_tcase(suite, tc);
	tc = tcase_create("transport");
	tcase_add_checked_fixture(tc, setup_transport, teardown);
	tcase_add_test(tc, test_a_clone_waits_for_memory_by_itself);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
