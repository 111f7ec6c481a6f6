// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_inbox.c - requests that outlive their process: one process reads and dies at a point of its
 * request, the next one finds what that has left.
 *
 * The kernel is one message to be read. What the first process does is done by a child.
 */
#include <errno.h>
#include <linux/fuse.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fuse/channel/channel_i.h"
#include "fuse/channel/inbox.h"
#include "fuse/channel/intake.h"
#include "fuse/channel/workers.h"
#include "tests/lib/zt_check.h"

#define KERNEL_FD 1234
#define SPIN_FD	  1235
#define CLONE_FD  1236
#define IO_MAX	  ((size_t)64 * KIB)
#define UNIQUE	  44u
#define CODE	  7 /* of a child that died where it was to */

/* Where a process dies. */
enum point {
	NEVER,
	BEFORE_COPY,
	AFTER_COPY,
	SERVING,
	BEFORE_REPLY,
	AFTER_REPLY,
	FORGETTING, /* between two items */
};

static struct channel *ch;
static atomic_uint answered;
static const int clones[] = { CLONE_FD };
static struct channel_survival survival = {
	.spin_fd = SPIN_FD,
	.clones = clones,
	.nr_clones = 1,
	.answered = &answered,
};
static enum point dies;
static bool kernel_has_one; /* message, to be read */
static char message[256];
static size_t message_len;
static size_t reply_size; /* of what handlers answer with, beside the header */
static int inbox;

/* What the process that goes on has done. */
static unsigned nr_served, nr_written;
static uint32_t served_opcode;
static uint64_t served_number;
static unsigned forgotten[3]; /* times, of each item */
static struct fuse_out_header written;
static size_t written_len;
static int written_fd;

static void die_at(enum point point)
{
	if (dies == point)
		_exit(CODE);
}

static ssize_t scripted_read(int fd, void *buf, size_t size, void *arg)
{
	(void)fd;
	(void)size;
	(void)arg;
	die_at(BEFORE_COPY);
	if (!kernel_has_one) {
		errno = ENODEV;
		return -1;
	}
	kernel_has_one = false;
	memcpy(buf, message, message_len);
	die_at(AFTER_COPY);
	return (ssize_t)message_len;
}

static ssize_t scripted_writev(int fd, struct iovec *iov, int count, void *arg)
{
	(void)arg;
	die_at(BEFORE_REPLY);
	memcpy(&written, iov[0].iov_base, sizeof(written));
	written_fd = fd;
	written_len = 0;
	for (int i = 0; i < count; i++)
		written_len += iov[i].iov_len;
	nr_written++;
	die_at(AFTER_REPLY);
	return (ssize_t)written_len;
}

static void forget(const struct request *req)
{
	for (unsigned i = 0; i < ARRAY_SIZE(forgotten); i++) {
		if (inbox_forgets(req->slot, i))
			forgotten[i]++;
		if (i == 1)
			die_at(FORGETTING);
	}
}

static bool serve(void *arg, struct request *req)
{
	static char body[4096];
	const struct fuse_in_header *in = req->msg;
	struct fuse_out_header header = { .len = (uint32_t)(sizeof(header) + reply_size),
					  .unique = in->unique };
	struct iovec iov[] = { { &header, sizeof(header) }, { body, reply_size } };

	(void)arg;
	die_at(SERVING);
	nr_served++;
	served_opcode = req->shim.opcode;
	served_number = request_number(req);
	if (req->shim.opcode == FUSE_BATCH_FORGET)
		forget(req);
	else
		(void)channel_write(ch, -1, iov, 2);
	return true;
}

static enum channel_length length(void *arg, const void *msg, size_t len)
{
	(void)arg;
	(void)msg;
	(void)len;
	return CHANNEL_SHORT;
}

static void trim(void *arg)
{
	(void)arg;
}

static void make(unsigned nr_held)
{
	static const struct channel_ops ops = { .serve = serve, .length = length, .trim = trim };
	const struct channel_params params = {
		.nr_threads = 1,
		.nr_held = nr_held,
		.io_max = IO_MAX,
		.survival = &survival,
		.read = scripted_read,
		.writev = scripted_writev,
	};

	ck_assert_int_eq(channel_create(&params, &ops, NULL, &ch), 0);
}

static void has_message(uint32_t opcode)
{
	const struct fuse_in_header header = { .len = sizeof(header) + 16,
					       .opcode = opcode,
					       .unique = UNIQUE };

	memcpy(message, &header, sizeof(header));
	memset(message + sizeof(header), 'x', 16);
	message_len = header.len;
	kernel_has_one = true;
}

static void setup(void)
{
	make(2);
	ck_assert_int_eq(channel_make_inbox(ch, &inbox), 0);
	has_message(FUSE_MKDIR);
	dies = NEVER;
	reply_size = 32;
	nr_served = nr_written = 0;
	memset(forgotten, 0, sizeof(forgotten));
}

static void teardown(void)
{
	channel_destroy(ch);
	close(inbox);
}

/* Return: a child, which is this process before what it does next. */
static bool is_first_life(enum point point)
{
	const pid_t pid = fork();
	int status;

	ck_assert_int_ge(pid, 0);
	dies = pid == 0 ? point : NEVER;
	if (pid == 0)
		return true;
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), CODE);
	kernel_has_one = false;
	return false;
}

/* A process reads one, and dies of it there. */
static void one_dies(enum point point, uint32_t way)
{
	struct request *req = workers_first_request(ch);
	ssize_t len;

	if (!is_first_life(point))
		return;
	len = request_receive(ch, req, KERNEL_FD, way);
	(void)request_serve(ch, req, request_buf(req), (size_t)len);
	/* The next one does not come. */
	dies = BEFORE_COPY;
	(void)request_receive(ch, req, KERNEL_FD, way);
	_exit(1);
}

static void another_goes_on(unsigned nr_held)
{
	channel_destroy(ch);
	make(nr_held);
	ck_assert_int_eq(channel_take_inbox(ch, inbox, KERNEL_FD), 0);
}

static void serve_all(void)
{
	(void)channel_open(ch, KERNEL_FD);
	ck_assert_int_eq(channel_start(ch), 1);
	ck_assert_int_eq(channel_wait(ch), 0);
	channel_stop(ch);
	ch->spin_fd = -1; /* it is no descriptor */
}

static void dies_and_goes_on(enum point point)
{
	one_dies(point, INBOX_CHANNEL);
	another_goes_on(2);
	serve_all();
}

static void was_served_again(uint32_t opcode)
{
	ck_assert_uint_eq(nr_served, 1);
	ck_assert_uint_eq(served_opcode, opcode);
	ck_assert(served_number == (PROTO_RESENT | UNIQUE));
	ck_assert_uint_eq(nr_written, 1);
	ck_assert_uint_eq(written.unique, UNIQUE);
	ck_assert_int_eq(written_fd, KERNEL_FD);
}

START_TEST(test_nothing_was_read)
{
	dies_and_goes_on(BEFORE_COPY);
	ck_assert_uint_eq(nr_served, 0);
	ck_assert_uint_eq(nr_written, 0);
}
END_TEST

START_TEST(test_what_was_read_is_served)
{
	dies_and_goes_on(AFTER_COPY);
	was_served_again(FUSE_MKDIR);
}
END_TEST

/* By then handlers see another operation, and another number. */
START_TEST(test_what_was_being_served_is_served_as_it_came)
{
	has_message(FUSE_TMPFILE);
	dies_and_goes_on(SERVING);
	was_served_again(FUSE_TMPFILE);
}
END_TEST

START_TEST(test_a_reply_is_written_without_serving_again)
{
	const enum point points[] = { BEFORE_REPLY, AFTER_REPLY };

	dies_and_goes_on(points[_i]);
	ck_assert_uint_eq(nr_served, 0);
	ck_assert_uint_eq(nr_written, 1);
	ck_assert_uint_eq(written.unique, UNIQUE);
	ck_assert_uint_eq(written_len, sizeof(written) + reply_size);
	ck_assert_int_eq(written_fd, KERNEL_FD);
}
END_TEST

START_TEST(test_the_longest_reply_that_is_kept_is_written)
{
	reply_size = INBOX_REPLY_MAX - sizeof(written);
	dies_and_goes_on(BEFORE_REPLY);
	ck_assert_uint_eq(nr_served, 0);
	ck_assert_uint_eq(nr_written, 1);
	ck_assert_uint_eq(written_len, INBOX_REPLY_MAX);
}
END_TEST

START_TEST(test_a_longer_reply_is_made_again)
{
	reply_size = INBOX_REPLY_MAX - sizeof(written) + 1;
	dies_and_goes_on(BEFORE_REPLY);
	was_served_again(FUSE_MKDIR);
}
END_TEST

START_TEST(test_what_was_answered_is_gone)
{
	const uint32_t opcodes[] = { FUSE_MKDIR, FUSE_BATCH_FORGET, FUSE_INTERRUPT };

	has_message(opcodes[_i]);
	dies_and_goes_on(NEVER);
	ck_assert_uint_eq(nr_served, 0);
	ck_assert_uint_eq(nr_written, 0);
}
END_TEST

START_TEST(test_a_forget_goes_on_where_it_was)
{
	has_message(FUSE_BATCH_FORGET);
	dies_and_goes_on(FORGETTING);
	ck_assert_uint_eq(nr_served, 1);
	ck_assert_uint_eq(forgotten[0], 0);
	ck_assert_uint_eq(forgotten[1], 0);
	ck_assert_uint_eq(forgotten[2], 1);
}
END_TEST

START_TEST(test_the_reply_goes_where_the_request_came_from)
{
	const int fds[] = { KERNEL_FD, SPIN_FD, CLONE_FD };
	const enum point points[] = { SERVING, BEFORE_REPLY };

	one_dies(points[_i / 3], INBOX_CHANNEL + (unsigned)_i % 3);
	another_goes_on(2);
	serve_all();
	ck_assert_uint_eq(nr_written, 1);
	ck_assert_int_eq(written_fd, fds[_i % 3]);
}
END_TEST

START_TEST(test_many_lives_end_with_the_same_request)
{
	one_dies(SERVING, INBOX_CHANNEL);
	for (unsigned i = 0; i < 3; i++) {
		another_goes_on(2);
		if (is_first_life(SERVING))
			serve_all();
	}
	another_goes_on(2);
	serve_all();
	was_served_again(FUSE_MKDIR);
}
END_TEST

START_TEST(test_a_thread_without_another_request_serves_its_own_first)
{
	channel_destroy(ch);
	close(inbox);
	make(0);
	ck_assert_int_eq(channel_make_inbox(ch, &inbox), 0);
	one_dies(SERVING, INBOX_CHANNEL);
	another_goes_on(0);
	serve_all();
	was_served_again(FUSE_MKDIR);
}
END_TEST

START_TEST(test_garbage_is_nothing)
{
	struct request *req = workers_first_request(ch);
	struct fuse_in_header *header = request_buf(req);
	const uint32_t lens[] = { 1, sizeof(*header) - 1, (uint32_t)request_buf_size(req) + 1 };

	kernel_has_one = false;
	for (size_t i = 0; i < ARRAY_SIZE(lens); i++) {
		inbox_begin(req, INBOX_CHANNEL);
		header->len = lens[i];
		another_goes_on(2);
		serve_all();
		ck_assert_uint_eq(nr_served, 0);
		req = workers_first_request(ch);
		header = request_buf(req);
	}
	atomic_store(&req->slot->state, INBOX_REPLY);
	req->slot->reply_len = INBOX_REPLY_MAX + 1;
	another_goes_on(2);
	ck_assert_uint_eq(nr_written, 0);
}
END_TEST

START_TEST(test_an_inbox_of_another_kind_is_refused)
{
	channel_destroy(ch);
	make(3);
	ck_assert(!channel_fits_inbox(ch, inbox));
	ck_assert_int_eq(channel_take_inbox(ch, inbox, KERNEL_FD), -EPROTO);
	channel_destroy(ch);
	make(2);
	ck_assert(channel_fits_inbox(ch, inbox));
	ck_assert(!channel_fits_inbox(ch, -1));
}
END_TEST

/* The slot stays, and so does what another process may have to find. */
START_TEST(test_a_trimmed_buffer_keeps_its_message)
{
	struct request *req = workers_first_request(ch);
	struct fuse_in_header *header = request_buf(req);
	char *last = (char *)request_payload(req) + IO_MAX - 1;

	request_populate(req);
	*last = 'x';
	inbox_begin(req, INBOX_CHANNEL);
	header->len = sizeof(*header);
	request_trim(req);
	ck_assert_int_eq(*last, 0);
	ck_assert_uint_eq(header->len, sizeof(*header));
	ck_assert_uint_eq(atomic_load(&req->slot->state), INBOX_READING);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("channel inbox");
	TCase *tc = tcase_create("inbox");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_nothing_was_read);
	tcase_add_test(tc, test_what_was_read_is_served);
	tcase_add_test(tc, test_what_was_being_served_is_served_as_it_came);
	tcase_add_loop_test(tc, test_a_reply_is_written_without_serving_again, 0, 2);
	tcase_add_test(tc, test_the_longest_reply_that_is_kept_is_written);
	tcase_add_test(tc, test_a_longer_reply_is_made_again);
	tcase_add_loop_test(tc, test_what_was_answered_is_gone, 0, 3);
	tcase_add_test(tc, test_a_forget_goes_on_where_it_was);
	tcase_add_loop_test(tc, test_the_reply_goes_where_the_request_came_from, 0, 6);
	tcase_add_test(tc, test_many_lives_end_with_the_same_request);
	tcase_add_test(tc, test_a_thread_without_another_request_serves_its_own_first);
	tcase_add_test(tc, test_garbage_is_nothing);
	tcase_add_test(tc, test_an_inbox_of_another_kind_is_refused);
	tcase_add_test(tc, test_a_trimmed_buffer_keeps_its_message);
	suite_add_tcase(s, tc);
	return zt_check_main(s);
}
