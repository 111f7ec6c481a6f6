// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_again.c - requests that come again after a death: what was done is answered from the ledger and
 * not done again, what was not is served, and one that kills again and again is refused.
 *
 * The process that has died is this one before it asks: it notes the request in the ledger, does it, and
 * says nothing.
 */
#include <sys/xattr.h>

#include "fs/clone.h"
#include "fs/namei.h"
#include "fs/xattr.h"
#include "fuse/channel/proto.h"
#include "fuse/ledger.h"
#include "tests/fuse/fixture.h"
#include "ztmpfs/control.h"

#define KEY UINT64_C(123456)

static const struct fs_cred user = { .uid = 0 };
static struct ledger *ledger;

/* A request as the kernel sends it. */
static struct {
	struct fuse_in_header header;
	char body[1024];
} msg;

static void setup_ledger(void)
{
	int fd;

	fixture_make(ZTFUSE_CACHE_WRITEBACK);
	ck_assert_int_eq(ledger_make(&ledger, &fd), 0);
	ck_assert_int_eq(close(fd), 0);
	ledger->life = 1;
	front.ledger = ledger;
	wire_start_transport(&wire, &front, FIXTURE_OFFERED, 31);
}

static void teardown_ledger(void)
{
	teardown();
	ledger_unmap(ledger);
}

static void begin(uint32_t opcode, uint64_t nodeid)
{
	memset(&msg, 0, sizeof(msg));
	msg.header = (struct fuse_in_header){ .len = sizeof(msg.header), .opcode = opcode, .nodeid = nodeid };
}

static void add(const void *data, size_t len)
{
	ck_assert_uint_le(msg.header.len + len, sizeof(msg));
	memcpy((char *)&msg + msg.header.len, data, len);
	msg.header.len += (uint32_t)len;
}

static void add_name(const char *name)
{
	add(name, strlen(name) + 1);
}

/* The next life finds that it was done. */
static void was_done(int error, struct ledger_slot *slot)
{
	ck_assert_int_eq(error, 0);
	ck_assert(slot->witness.done);
	fs_set_witness(NULL);
	ledger_settle(ledger, sb);
	ck_assert_uint_eq(slot->state, LEDGER_DONE);
}

static struct ledger_slot *dies_with(void)
{
	struct ledger_slot *slot = ledger_begin(ledger, KEY, msg.header.opcode, &msg, msg.header.len);

	ck_assert_ptr_nonnull(slot);
	return slot;
}

/* It comes again, and is answered to its end. */
static struct wire_reply comes_again(void)
{
	const uint64_t unique = wire.unique;
	struct fuse_kstatfs st;
	static char kept[4096];
	struct wire_reply reply;

	wire.unique = (KEY - 1) | PROTO_RESENT;
	reply = wire_call(&wire, msg.header.opcode, msg.header.nodeid, msg.body,
			  msg.header.len - sizeof(msg.header), NULL, 0);
	ck_assert_uint_le(reply.len, sizeof(kept));
	memcpy(kept, reply.data, reply.len);
	reply.data = kept;
	wire.unique = unique;
	ck_assert_int_eq(wire_statfs(&wire, &st), 0);
	return reply;
}

static void check_counts(uint64_t resent, uint64_t answered)
{
	ck_assert_uint_eq(ledger->nr_resent, resent);
	ck_assert_uint_eq(ledger->nr_answered, answered);
}

static struct fuse_entry_out entry_of(const struct wire_reply *reply, size_t len)
{
	struct fuse_entry_out out;

	ck_assert_int_eq(reply->error, 0);
	ck_assert_uint_eq(reply->len, len);
	memcpy(&out, reply->data, sizeof(out));
	return out;
}

START_TEST(test_a_name_that_was_made_is_answered_with_what_it_leads_to)
{
	const struct fuse_mkdir_in in = { .mode = 0755 };
	struct fuse_entry_out out, found;
	struct ledger_slot *slot;
	struct wire_reply reply;
	struct fs_entry entry;

	begin(FUSE_MKDIR, ROOT);
	add(&in, sizeof(in));
	add_name("made");
	slot = dies_with();
	was_done(fs_mkdir(sb, &user, ROOT, "made", 0755, &entry), slot);
	reply = comes_again();
	out = entry_of(&reply, sizeof(out));
	ck_assert_uint_eq(out.nodeid, entry.ino);
	ck_assert_uint_eq(out.generation, entry.generation);
	ck_assert(S_ISDIR(out.attr.mode));
	ck_assert_int_eq(wire_lookup(&wire, ROOT, "made", &found), 0);
	ck_assert_uint_eq(found.nodeid, entry.ino);
	check_counts(1, 1);
	/* Once: who asks after that asks for something new. */
	ck_assert_int_eq(comes_again().error, -EEXIST);
	check_counts(2, 1);
}
END_TEST

START_TEST(test_a_link_is_answered_with_its_inode_and_not_made_twice)
{
	const uint64_t ino = make_file(ROOT, "old");
	const struct fuse_link_in in = { .oldnodeid = ino };
	struct fuse_entry_out out;
	struct ledger_slot *slot;
	struct wire_reply reply;
	struct fs_entry entry;

	begin(FUSE_LINK, ROOT);
	add(&in, sizeof(in));
	add_name("linked");
	slot = dies_with();
	was_done(fs_link(sb, ino, ROOT, "linked", &entry), slot);
	reply = comes_again();
	out = entry_of(&reply, sizeof(out));
	ck_assert_uint_eq(out.nodeid, ino);
	ck_assert_uint_eq(out.attr.nlink, 2);
	check_counts(1, 1);
}
END_TEST

START_TEST(test_a_file_without_a_name_is_answered_open)
{
	const struct fuse_create_in in = { .mode = S_IFREG | 0600 };
	struct fuse_entry_out out;
	struct fuse_open_out opened;
	struct ledger_slot *slot;
	struct wire_reply reply;
	struct fs_entry entry;

	begin(FUSE_TMPFILE, ROOT);
	add(&in, sizeof(in));
	add_name("/");
	slot = dies_with();
	was_done(fs_tmpfile(sb, &user, ROOT, 0600, true, &entry), slot);
	reply = comes_again();
	out = entry_of(&reply, sizeof(out) + sizeof(opened));
	memcpy(&opened, (const char *)reply.data + sizeof(out), sizeof(opened));
	ck_assert_uint_eq(out.nodeid, entry.ino);
	ck_assert_uint_eq(opened.open_flags, FOPEN_KEEP_CACHE | FOPEN_NOFLUSH);
	check_counts(1, 1);
}
END_TEST

START_TEST(test_what_was_removed_or_renamed_is_answered_without_a_word)
{
	const uint64_t dir = make_dir(ROOT, "dir");
	const struct fuse_rename2_in in = { .newdir = ROOT };
	struct ledger_slot *slot;
	struct wire_reply reply;
	struct fs_moved moved;

	(void)make_file(ROOT, "gone");
	begin(FUSE_UNLINK, ROOT);
	add_name("gone");
	slot = dies_with();
	was_done(fs_unlink(sb, ROOT, "gone"), slot);
	reply = comes_again();
	ck_assert_int_eq(reply.error, 0);
	ck_assert_uint_eq(reply.len, 0);
	ck_assert_int_eq(comes_again().error, -ENOENT);
	check_counts(2, 1);

	begin(FUSE_RENAME2, ROOT);
	add(&in, sizeof(in));
	add_name("dir");
	add_name("moved");
	slot = dies_with();
	was_done(fs_rename(sb, &user, ROOT, "dir", ROOT, "moved", 0, &moved), slot);
	wire.nr_notified = 0;
	ck_assert_int_eq(comes_again().error, 0);
	/* The kernel may have listed it with another "..". */
	ck_assert_uint_eq(wire.nr_notified, 1);
	ck_assert_uint_eq(wire.notified_ino, dir);
	check_counts(3, 2);
}
END_TEST

START_TEST(test_an_attribute_that_was_set_or_removed_is_not_asked_for_again)
{
	const uint64_t ino = make_file(ROOT, "file");
	const struct fuse_setxattr_in in = { .size = 1, .flags = XATTR_CREATE };
	struct ledger_slot *slot;

	begin(FUSE_SETXATTR, ino);
	add(&in, FUSE_COMPAT_SETXATTR_IN_SIZE);
	add_name("user.x");
	add("1", 1);
	slot = dies_with();
	was_done(fs_setxattr(sb, ino, "user.x", "1", 1, XATTR_CREATE), slot);
	ck_assert_int_eq(comes_again().error, 0);
	ck_assert_int_eq(comes_again().error, -EEXIST);

	begin(FUSE_REMOVEXATTR, ino);
	add_name("user.x");
	slot = dies_with();
	was_done(fs_removexattr(sb, ino, "user.x"), slot);
	ck_assert_int_eq(comes_again().error, 0);
	ck_assert_int_eq(comes_again().error, -ENODATA);
	check_counts(4, 2);
}
END_TEST

START_TEST(test_a_copy_is_answered_with_how_much_it_was)
{
	const struct fuse_ioctl_in in = { .cmd = ZTMPFS_IOC_CLONE,
					  .in_size = sizeof(struct ztmpfs_clone),
					  .out_size = sizeof(struct ztmpfs_clone),
					  .flags = FUSE_IOCTL_DIR };
	const uint64_t from = make_dir(ROOT, "from"), into = make_dir(ROOT, "into");
	const struct ztmpfs_clone args = { .version = ZTMPFS_STAT_VERSION,
					   .struct_size = sizeof(args),
					   .from = ROOT,
					   .from_name = "from",
					   .to_name = "copy" };
	const struct fs_asker asker = { .uid = 0 };
	const struct fs_clone_request request = { ROOT, "from", into, "copy", false };
	struct ledger_slot *slot;
	struct ztmpfs_clone back;
	struct wire_reply reply;
	uint64_t nr = 0;

	(void)make_file(from, "one");
	(void)make_file(from, "two");
	begin(FUSE_IOCTL, into);
	add(&in, sizeof(in));
	add(&args, sizeof(args));
	slot = dies_with();
	was_done(fs_clone(sb, &asker, &request, &nr), slot);
	ck_assert_uint_eq(nr, 3);
	reply = comes_again();
	ck_assert_int_eq(reply.error, 0);
	ck_assert_uint_eq(reply.len, sizeof(struct fuse_ioctl_out) + sizeof(back));
	memcpy(&back, (const char *)reply.data + sizeof(struct fuse_ioctl_out), sizeof(back));
	ck_assert_str_eq(back.to_name, "copy");
	ck_assert_uint_ge(back.made, 1);
	ck_assert_uint_eq(back.struct_size, sizeof(back));
	check_counts(1, 1);
}
END_TEST

START_TEST(test_what_was_not_done_is_served_and_its_deaths_are_forgiven)
{
	begin(FUSE_UNLINK, ROOT);
	add_name("nothing");
	for (unsigned i = 0; i < 3; i++) {
		/* One more, and it would be refused. */
		for (unsigned death = 1; death < LEDGER_CRASHES_MOST; death++)
			ledger_note_crash(ledger, KEY);
		ck_assert_int_eq(comes_again().error, -ENOENT);
		check_counts(i + 1, 0);
	}
	ck_assert_uint_eq(ledger->nr_poisoned, 0);
}
END_TEST

START_TEST(test_what_kills_again_and_again_is_refused_once)
{
	struct fuse_entry_out found;

	(void)make_file(ROOT, "file");
	begin(FUSE_UNLINK, ROOT);
	add_name("file");
	for (unsigned death = 0; death < LEDGER_CRASHES_MOST; death++)
		ledger_note_crash(ledger, KEY);
	ck_assert_int_eq(comes_again().error, -EIO);
	ck_assert_int_eq(wire_lookup(&wire, ROOT, "file", &found), 0);
	ck_assert_uint_eq(ledger->nr_poisoned, 1);
	ck_assert_int_eq(comes_again().error, 0);
	ck_assert_uint_eq(ledger->nr_poisoned, 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("again");
	TCase *tc = tcase_create("again");

	tcase_add_checked_fixture(tc, setup_ledger, teardown_ledger);
	tcase_add_test(tc, test_a_name_that_was_made_is_answered_with_what_it_leads_to);
	tcase_add_test(tc, test_a_link_is_answered_with_its_inode_and_not_made_twice);
	tcase_add_test(tc, test_a_file_without_a_name_is_answered_open);
	tcase_add_test(tc, test_what_was_removed_or_renamed_is_answered_without_a_word);
	tcase_add_test(tc, test_an_attribute_that_was_set_or_removed_is_not_asked_for_again);
	tcase_add_test(tc, test_a_copy_is_answered_with_how_much_it_was);
	tcase_add_test(tc, test_what_was_not_done_is_served_and_its_deaths_are_forgiven);
	tcase_add_test(tc, test_what_kills_again_and_again_is_refused_once);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
