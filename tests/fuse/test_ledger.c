// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_ledger.c - whoever attaches after a kill knows of each request whether it was done, behind
 * whichever store the process was killed; and what it gave to the kernel is counted. Slots.
 */
#include <inttypes.h>
#include <linux/fs.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>

#include "fs/clone.h"
#include "fs/deed.h"
#include "fs/xattr.h"
#include "fuse/channel/proto.h"
#include "fuse/ledger.h"
#include "tests/fs/fixture.h"
#include "tests/lib/step.h"
#include "ztmpfs/control.h"

#define KEY 4711u
#define AGAIN (UINT64_C(1) << 63)

static struct super *sb;
static struct ledger *ledger;
static ino_nr dirs[2], old, target;

/* What is asked, as the kernel sends it, and how to see that it was done. */
struct plan {
	const char *name;
	uint32_t opcode;
	const char *text, *second; /* names, or an attribute's */
	unsigned flags;
	bool there; /* the second name leads to something */
	bool is_dir;
};

/* A message with a body that is 0 but for the second parent, and the names. */
static size_t message(const struct plan *plan, size_t fixed, char msg[512])
{
	struct fuse_in_header *header = (void *)msg;
	size_t at = sizeof(*header) + fixed;

	memset(msg, 0, 512);
	header->nodeid = plan->opcode == FUSE_REMOVEXATTR || plan->opcode == FUSE_SETXATTR ? old :
			 plan->opcode == FUSE_LINK || plan->opcode == FUSE_IOCTL ? dirs[1] : dirs[0];
	if (plan->opcode == FUSE_RENAME2)
		memcpy(header + 1, &dirs[1], sizeof(dirs[1]));
	if (plan->opcode == FUSE_IOCTL)
		((struct fuse_ioctl_in *)(header + 1))->cmd = ZTMPFS_IOC_CLONE;
	strcpy(msg + at, plan->text);
	at += strlen(plan->text) + 1;
	if (plan->second)
		strcpy(msg + at, plan->second);
	return at + (plan->second ? strlen(plan->second) + 1 : 0);
}

static size_t fixed_of(const struct plan *plan)
{
	switch (plan->opcode) {
	case FUSE_MKNOD:
		return sizeof(struct fuse_mknod_in);
	case FUSE_MKDIR:
		return sizeof(struct fuse_mkdir_in);
	case FUSE_TMPFILE:
		return sizeof(struct fuse_create_in);
	case FUSE_LINK:
		return sizeof(struct fuse_link_in);
	case FUSE_RENAME2:
		return sizeof(struct fuse_rename2_in);
	case FUSE_SETXATTR:
		return FUSE_COMPAT_SETXATTR_IN_SIZE;
	case FUSE_IOCTL:
		return sizeof(struct fuse_ioctl_in) + offsetof(struct ztmpfs_clone, to_name);
	default:
		return 0;
	}
}

static void start(void *arg)
{
	const struct plan *plan = arg;

	sb = fixture_init();
	ledger = mmap(NULL, sizeof(*ledger), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	step_expect(ledger != MAP_FAILED, "no memory");
	ledger->life = 1;
	dirs[0] = make_dir(sb, FS_ROOT_INO, "a");
	dirs[1] = make_dir(sb, FS_ROOT_INO, "b");
	old = plan->is_dir ? make_dir(sb, dirs[0], "old") : make_file(sb, dirs[0], "old");
	if (plan->opcode == FUSE_IOCTL)
		make_file(sb, old, "below");
	target = plan->there ? make_file(sb, dirs[1], "new") : 0;
	if (plan->opcode == FUSE_REMOVEXATTR)
		step_expect(fs_setxattr(sb, old, "user.x", "1", 1, 0) == 0, "no attribute");
}

static int ask_for_clone(const struct plan *plan)
{
	const struct fs_asker asker = { .uid = user_cred.uid, .gid = user_cred.gid };
	const struct fs_clone_request request = { dirs[0], "old", dirs[1], plan->text, false };
	uint64_t nr = 0;
	const int error = fs_clone(sb, &asker, &request, &nr);

	step_expect(error || nr == 2, "%" PRIu64 " were made", nr);
	return error;
}

static int ask(const struct plan *plan)
{
	struct fs_entry entry;

	switch (plan->opcode) {
	case FUSE_MKNOD:
		return fs_mknod(sb, &user_cred, dirs[0], plan->text, S_IFREG | 0644, 0, &entry);
	case FUSE_MKDIR:
		return fs_mkdir(sb, &user_cred, dirs[0], plan->text, 0755, &entry);
	case FUSE_SYMLINK:
		return fs_symlink(sb, &user_cred, dirs[0], plan->text, "there", &entry);
	case FUSE_TMPFILE:
		return fs_tmpfile(sb, &user_cred, dirs[0], 0600, true, &entry);
	case FUSE_LINK:
		return fs_link(sb, old, dirs[1], plan->text, &entry);
	case FUSE_UNLINK:
		return fs_unlink(sb, dirs[0], plan->text);
	case FUSE_RMDIR:
		return fs_rmdir(sb, dirs[0], plan->text);
	case FUSE_RENAME2:
		return rename_name(sb, &user_cred, dirs[0], plan->text, dirs[1], plan->second,
				   plan->flags);
	case FUSE_SETXATTR:
		return fs_setxattr(sb, old, plan->text, "1", 1, XATTR_CREATE);
	case FUSE_IOCTL:
		return ask_for_clone(plan);
	default:
		return fs_removexattr(sb, old, plan->text);
	}
}

static void run(void *arg)
{
	const struct plan *plan = arg;
	char msg[512];
	const size_t len = message(plan, fixed_of(plan), msg);
	struct ledger_slot *slot = ledger_begin(ledger, KEY, plan->opcode, msg, len);

	step_expect(slot != NULL, "no slot");
	step_expect(ask(plan) == 0, "the operation fails");
	step_expect(slot->witness.done, "its witness was not told");
	/* Nothing has ended it: it was not answered. */
}

/* Whether what was asked is so. */
static bool is_so(const struct plan *plan, const struct ledger_slot *slot)
{
	size_t len;

	switch (plan->opcode) {
	case FUSE_TMPFILE:
		return slot != NULL;
	case FUSE_LINK:
		return look_ino(sb, dirs[1], plan->text) == old;
	case FUSE_IOCTL:
		return look_err(sb, dirs[1], plan->text) == 0;
	case FUSE_UNLINK:
	case FUSE_RMDIR:
		return look_err(sb, dirs[0], plan->text) == -ENOENT;
	case FUSE_RENAME2:
		return look_ino(sb, dirs[1], plan->second) == old;
	case FUSE_SETXATTR:
		return fs_getxattr(sb, old, plan->text, NULL, 0, &len) == 0;
	case FUSE_REMOVEXATTR:
		return fs_getxattr(sb, old, plan->text, NULL, 0, &len) == -ENODATA;
	default:
		return look_err(sb, dirs[0], plan->text) == 0;
	}
}

/* The kernel gives back what its answer gave it, and no more is left. */
static void give_back(const struct plan *plan, const struct ledger_slot *slot)
{
	const ino_nr ino = slot->witness.ino;
	struct fs_entry entry;

	step_expect(fs_entry_of(sb, ino, &entry) == 0, "what it has made is not there");
	if (plan->opcode == FUSE_LINK) {
		step_expect(inode_get(sb, ino)->nlookup == 2, "%u references",
			    (unsigned)inode_get(sb, ino)->nlookup);
		return;
	}
	step_expect(inode_get(sb, ino)->nlookup == 1, "%u references",
		    (unsigned)inode_get(sb, ino)->nlookup);
	fs_forget(sb, ino, 1);
	step_expect((fs_entry_of(sb, ino, &entry) == 0) == (plan->opcode != FUSE_TMPFILE),
		    "it stays, or it goes");
}

static void judge(void *arg, bool done)
{
	const struct plan *plan = arg;
	struct super_params params = fixture_params();
	struct ledger_slot *slot;
	struct super *next;
	char text[256] = "";

	step_expect(super_attach(&params, dup(super_arena_fd(sb)), text, &next) == 0, "%s", text);
	sb = next;
	ledger_settle(ledger, sb);
	slot = ledger_find(ledger, KEY | AGAIN);
	step_expect(ledger_find(ledger, KEY) == NULL, "one that does not come again");
	step_expect((slot != NULL) == is_so(plan, slot), "%s", slot ? "not done, and found" : "done, and not found");
	step_expect(!done || slot, "done");
	if (slot && (plan->opcode == FUSE_LINK || plan->opcode == FUSE_TMPFILE ||
		     plan->opcode == FUSE_MKNOD || plan->opcode == FUSE_MKDIR ||
		     plan->opcode == FUSE_SYMLINK))
		give_back(plan, slot);
	ledger_end(slot);
	step_expect(ledger_find(ledger, KEY | AGAIN) == NULL, "answered twice");
	step_expect(super_check(sb) == 0, "attached, and something is wrong");
	/* One that was not done is asked again, and can be. */
	if (!slot)
		step_expect(ask(plan) == 0, "it cannot be asked again");
}

static const struct plan plans[] = {
	{ .name = "mknod", .opcode = FUSE_MKNOD, .text = "made" },
	{ .name = "mkdir", .opcode = FUSE_MKDIR, .text = "made" },
	{ .name = "symlink", .opcode = FUSE_SYMLINK, .text = "made" },
	{ .name = "tmpfile", .opcode = FUSE_TMPFILE, .text = "" },
	{ .name = "link", .opcode = FUSE_LINK, .text = "linked" },
	{ .name = "unlink", .opcode = FUSE_UNLINK, .text = "old" },
	{ .name = "rmdir", .opcode = FUSE_RMDIR, .text = "old", .is_dir = true },
	{ .name = "rename", .opcode = FUSE_RENAME2, .text = "old", .second = "new" },
	{ .name = "rename over", .opcode = FUSE_RENAME2, .text = "old", .second = "new", .there = true },
	{ .name = "exchange", .opcode = FUSE_RENAME2, .text = "old", .second = "new", .there = true,
	  .flags = RENAME_EXCHANGE },
	{ .name = "whiteout", .opcode = FUSE_RENAME2, .text = "old", .second = "new",
	  .flags = RENAME_WHITEOUT },
	{ .name = "setxattr", .opcode = FUSE_SETXATTR, .text = "user.x" },
	{ .name = "removexattr", .opcode = FUSE_REMOVEXATTR, .text = "user.x" },
	{ .name = "clone", .opcode = FUSE_IOCTL, .text = "copy", .is_dir = true },
};

#ifdef ZT_DEBUG
#define HAVE_POINTS true
#else
#define HAVE_POINTS false
#endif

START_TEST(test_whether_a_request_was_done_is_known_behind_each_store)
{
	struct step_ops ops = { start, run, judge, (void *)&plans[_i] };

	ck_assert_uint_ge(step_all(plans[_i].name, &ops), 3);
}
END_TEST

/* ---- slots ---- */

static struct ledger_slot *unlink_begins(uint64_t unique)
{
	static const struct plan plan = { .opcode = FUSE_UNLINK, .text = "name" };
	char msg[512];
	const size_t len = message(&plan, 0, msg);

	return ledger_begin(ledger, unique, FUSE_UNLINK, msg, len);
}

static void open_ledger(void)
{
	int fd;

	ck_assert_int_eq(ledger_make(&ledger, &fd), 0);
	close(fd);
	ledger->life = 1;
}

START_TEST(test_slots_are_used_again_and_never_two_at_a_time)
{
	struct ledger_slot *slots[LEDGER_NR_SLOTS];

	open_ledger();
	for (unsigned i = 0; i < LEDGER_NR_SLOTS; i++) {
		slots[i] = unlink_begins(i + 1);
		ck_assert_ptr_nonnull(slots[i]);
		for (unsigned k = 0; k < i; k++)
			ck_assert_ptr_ne(slots[i], slots[k]);
	}
	ledger_end(slots[7]);
	ck_assert_ptr_eq(unlink_begins(1001), slots[7]);
	for (unsigned i = 0; i < LEDGER_NR_SLOTS; i++)
		ledger_end(slots[i]);
	ledger_unmap(ledger);
}
END_TEST

/* Another process, as a thread: it wants a slot while there is none. */
static pid_t begin_in_child(void)
{
	const pid_t pid = fork();

	if (pid == 0)
		_exit(unlink_begins(1000) ? 0 : 1);
	return pid;
}

START_TEST(test_a_request_waits_while_all_slots_are_in_use)
{
	struct ledger_slot *first;
	int status = -1;
	pid_t child;

	open_ledger();
	first = unlink_begins(1);
	for (unsigned i = 1; i < LEDGER_NR_SLOTS; i++)
		ck_assert_ptr_nonnull(unlink_begins(i + 1));
	child = begin_in_child();
	ck_assert_int_gt(child, 0);
	nanosleep(&(struct timespec){ .tv_nsec = 50000000 }, NULL);
	ck_assert_int_eq(waitpid(child, &status, WNOHANG), 0);
	ledger_end(first);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
	ck_assert_uint_eq(first->key, 1000);
	fs_set_witness(NULL);
	ledger_unmap(ledger);
}
END_TEST

START_TEST(test_what_nobody_asks_for_again_has_its_slot_until_it_is_retired)
{
	struct super *none = fixture_init();
	struct ledger_slot *slot;

	open_ledger();
	for (unsigned nr = 0; nr < LEDGER_NR_SLOTS; nr++)
		unlink_begins(nr + 1)->witness.done = 1;
	for (unsigned life = 0; life < 4; life++) {
		ledger_settle(ledger, none);
		slot = ledger_find(ledger, 1 | AGAIN);
		ck_assert_ptr_nonnull(slot);
		/* It is being answered: by nobody else, and it is nobody else's. */
		ck_assert_ptr_null(ledger_find(ledger, 1 | AGAIN));
	}
	ledger_retire(ledger);
	ck_assert_ptr_null(ledger_find(ledger, 2 | AGAIN));
	for (unsigned i = 1; i < LEDGER_NR_SLOTS; i++)
		ck_assert_ptr_ne(unlink_begins(1000 + i), slot);
	ledger_end(slot);
	ck_assert_ptr_eq(unlink_begins(2000), slot);
	fs_set_witness(NULL);
	ledger_unmap(ledger);
	fixture_exit(none);
}
END_TEST

START_TEST(test_of_calls_for_control_a_clone_alone_has_a_slot)
{
	static const struct plan plan = { .opcode = FUSE_IOCTL, .text = "copy" };
	struct fuse_ioctl_in *in;
	struct ledger_slot *slot;
	char msg[512];
	const size_t len = message(&plan, fixed_of(&plan), msg);

	open_ledger();
	slot = ledger_begin(ledger, KEY, FUSE_IOCTL, msg, len);
	ck_assert_ptr_nonnull(slot);
	ck_assert_str_eq(slot->name, "copy");
	ledger_end(slot);
	in = (void *)(msg + sizeof(struct fuse_in_header));
	in->cmd = ZTMPFS_IOC_STAT;
	ck_assert_ptr_null(ledger_begin(ledger, KEY, FUSE_IOCTL, msg, len));
	in->cmd = ZTMPFS_IOC_CLONE;
	ck_assert_ptr_null(ledger_begin(ledger, KEY, FUSE_IOCTL, msg, len - 5));
	ledger_unmap(ledger);
}
END_TEST

START_TEST(test_messages_that_are_cut_short_get_no_slot)
{
	static const struct plan plan = { .opcode = FUSE_RENAME2, .text = "one", .second = "two" };
	char msg[512];
	const size_t len = message(&plan, sizeof(struct fuse_rename2_in), msg);
	struct ledger_slot *slot;

	open_ledger();
	for (size_t cut = 0; cut < len; cut++)
		ck_assert_ptr_null(ledger_begin(ledger, KEY, FUSE_RENAME2, msg, cut));
	/* Nor does one of them keep a slot. */
	for (unsigned i = 0; i < 2 * LEDGER_NR_SLOTS; i++)
		ck_assert_ptr_null(ledger_begin(ledger, KEY, FUSE_RENAME2, msg, len - 1));
	slot = ledger_begin(ledger, KEY, FUSE_RENAME2, msg, len);
	ck_assert_ptr_nonnull(slot);
	ck_assert_str_eq(slot->name, "two");
	ledger_end(slot);
	ck_assert_ptr_null(ledger_begin(ledger, KEY, FUSE_READ, msg, len));
	ledger_unmap(ledger);
}
END_TEST

START_TEST(test_a_request_is_poison_with_the_third_crash_until_it_was_answered)
{
	open_ledger();
	for (unsigned i = 0; i < LEDGER_CRASHES_MOST; i++) {
		ck_assert(!ledger_is_poison(ledger, KEY | AGAIN));
		ledger_note_crash(ledger, i ? KEY | AGAIN : KEY);
	}
	ck_assert(ledger_is_poison(ledger, KEY | AGAIN));
	ck_assert(!ledger_is_poison(ledger, KEY));
	ck_assert(!ledger_is_poison(ledger, (KEY + 2) | AGAIN));
	ledger_forgive(ledger, KEY | AGAIN);
	ck_assert(!ledger_is_poison(ledger, KEY | AGAIN));
	ledger_unmap(ledger);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ledger");
	TCase *tc = tcase_create("stores");

	tcase_set_timeout(tc, 400);
	/* Builds without debugging have no points behind stores. */
	tcase_add_loop_test(tc, test_whether_a_request_was_done_is_known_behind_each_store, 0,
			    HAVE_POINTS ? ARRAY_SIZE(plans) : 0);
	suite_add_tcase(suite, tc);
	tc = tcase_create("slots");
	tcase_add_test(tc, test_slots_are_used_again_and_never_two_at_a_time);
	tcase_add_test(tc, test_a_request_waits_while_all_slots_are_in_use);
	tcase_add_test(tc, test_what_nobody_asks_for_again_has_its_slot_until_it_is_retired);
	tcase_add_test(tc, test_of_calls_for_control_a_clone_alone_has_a_slot);
	tcase_add_test(tc, test_messages_that_are_cut_short_get_no_slot);
	tcase_add_test(tc, test_a_request_is_poison_with_the_third_crash_until_it_was_answered);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
