// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_terms.c - a channel that an earlier process has served: INIT replayed, requests sent again,
 * buffers that are there before the kernel copies into them.
 *
 * The kernel is one message to be read, and what was written last.
 */
#include <errno.h>
#include <linux/fuse.h>
#include <string.h>
#include <sys/mman.h>

#include "fuse/channel/channel_i.h"
#include "fuse/channel/intake.h"
#include "fuse/channel/workers.h"
#include "tests/lib/zt_check.h"

#define KERNEL_FD  1234
#define NOWHERE_FD 1235
#define IO_MAX     ((size_t)256 * KIB)
#define RESENT     (UINT64_C(1) << 63)

static struct channel *ch;
static uint32_t max_write;
static atomic_uint answered;
static struct channel_survival survival = { .spin_fd = -1, .answered = &answered };

static char message[256]; /* what is read next */
static size_t message_len;
static char written[256]; /* what was written last, */
static size_t written_len;
static int written_fd; /* and where */
static size_t nr_absent; /* pages of the buffer that were not there when it was read into */

static ssize_t scripted_read(int fd, void *buf, size_t size, void *arg)
{
	const struct request *req = workers_first_request(ch);
	unsigned char there[2 + IO_MAX / ZT_PAGE_SIZE];

	(void)arg;
	ck_assert_int_eq(fd, KERNEL_FD);
	ck_assert_uint_ge(size, message_len);
	ck_assert_int_eq(mincore(req->map, IO_MAX + ZT_PAGE_SIZE, there), 0);
	nr_absent = 0;
	for (size_t i = 0; i < 1 + IO_MAX / ZT_PAGE_SIZE; i++)
		nr_absent += !(there[i] & 1);
	memcpy(buf, message, message_len);
	return (ssize_t)message_len;
}

static ssize_t scripted_writev(int fd, struct iovec *iov, int count, void *arg)
{
	(void)arg;
	written_fd = fd;
	written_len = 0;
	for (int i = 0; i < count; i++) {
		memcpy(written + written_len, iov[i].iov_base, iov[i].iov_len);
		written_len += iov[i].iov_len;
	}
	return (ssize_t)written_len;
}

static bool serve(void *arg, struct request *req)
{
	const struct fuse_in_header *in = req->msg;
	struct fuse_init_out init = { .major = 7, .minor = 40, .max_write = max_write };
	struct fuse_out_header header = { .len = sizeof(header), .unique = in->unique };
	struct iovec iov[] = { { &header, sizeof(header) }, { &init, sizeof(init) } };
	const bool is_init = in->opcode == FUSE_INIT;

	(void)arg;
	if (is_init)
		header.len += (uint32_t)sizeof(init);
	(void)channel_write(ch, -1, iov, is_init ? 2 : 1);
	return true;
}

static enum channel_length length(void *arg, const void *msg, size_t len)
{
	(void)arg;
	(void)msg;
	(void)len;
	return CHANNEL_SHORT;
}

static void agree(void *arg, uint64_t flags)
{
	(void)arg;
	(void)flags;
}

static void make(const struct channel_survival *with)
{
	static const struct channel_ops ops = { .serve = serve, .length = length, .agree = agree };
	const struct channel_params params = {
		.nr_threads = 1,
		.io_max = IO_MAX,
		.survival = with,
		.read = scripted_read,
		.writev = scripted_writev,
	};

	ck_assert_int_eq(channel_create(&params, &ops, NULL, &ch), 0);
}

static void make_message(uint32_t opcode, uint64_t unique, const void *body, size_t len)
{
	struct fuse_in_header header = { .len = (uint32_t)(sizeof(header) + len),
					 .opcode = opcode,
					 .unique = unique };

	memcpy(message, &header, sizeof(header));
	if (len > 0)
		memcpy(message + sizeof(header), body, len);
	message_len = sizeof(header) + len;
}

static void make_init(uint64_t flags)
{
	const struct fuse_init_in in = { .major = 7,
					 .minor = 40,
					 .flags = (uint32_t)flags | FUSE_INIT_EXT,
					 .flags2 = (uint32_t)(flags >> 32) };

	make_message(FUSE_INIT, 2, &in, sizeof(in));
}

static void setup(void)
{
	max_write = 4096;
	atomic_store(&answered, 0);
	make(&survival);
	make_init(PROTO_HAS_RESEND);
}

static void teardown(void)
{
	channel_destroy(ch);
}

static void serve_one(void)
{
	ck_assert_int_eq(channel_serve_first(ch, KERNEL_FD), (ssize_t)message_len);
}

static void another_channel(void)
{
	channel_destroy(ch);
	make(&survival);
	memset(written, 0, sizeof(written));
}

START_TEST(test_init_is_served_again_alike_and_the_kernel_hears_nothing)
{
	struct channel_terms terms;
	char reply[sizeof(written)];
	size_t reply_len;

	ck_assert_int_eq(channel_get_terms(ch, &terms), -EPROTO);
	serve_one();
	ck_assert_int_eq(channel_get_terms(ch, &terms), 0);
	ck_assert_uint_eq(terms.request_len, message_len);
	ck_assert_uint_eq(terms.reply_len, written_len);
	ck_assert_int_eq(written_fd, KERNEL_FD);
	memcpy(reply, written, sizeof(reply));
	reply_len = written_len;

	another_channel();
	ck_assert(!channel_resends(ch));
	ck_assert_int_eq(channel_replay_terms(ch, &terms, NOWHERE_FD), 0);
	ck_assert_int_eq(written_fd, NOWHERE_FD);
	ck_assert_uint_eq(written_len, reply_len);
	ck_assert_int_eq(memcmp(written, reply, reply_len), 0);
	ck_assert(channel_resends(ch));
}
END_TEST

START_TEST(test_other_terms_are_refused)
{
	struct channel_terms terms;

	serve_one();
	ck_assert_int_eq(channel_get_terms(ch, &terms), 0);
	another_channel();
	max_write = 8192;
	ck_assert_int_eq(channel_replay_terms(ch, &terms, NOWHERE_FD), -EPROTO);
	another_channel();
	terms.request_len = CHANNEL_TERMS_MAX + 1;
	ck_assert_int_eq(channel_replay_terms(ch, &terms, NOWHERE_FD), -EPROTO);
}
END_TEST

START_TEST(test_a_kernel_that_resends_says_so)
{
	make_init(0);
	serve_one();
	ck_assert(!channel_resends(ch));
	make_init(PROTO_HAS_RESEND);
	serve_one();
	ck_assert(channel_resends(ch));
}
END_TEST

START_TEST(test_resend_is_a_notification)
{
	struct fuse_out_header header;

	ck_assert_int_eq(channel_resend(ch, KERNEL_FD), 0);
	ck_assert_int_eq(written_fd, KERNEL_FD);
	ck_assert_uint_eq(written_len, sizeof(header));
	memcpy(&header, written, sizeof(header));
	ck_assert_uint_eq(header.len, sizeof(header));
	ck_assert_int_eq(header.error, 7);
	ck_assert_uint_eq(header.unique, 0);
}
END_TEST

START_TEST(test_a_reply_carries_the_bit_of_what_was_sent_again)
{
	struct fuse_out_header header;

	make_message(FUSE_STATFS, RESENT | 44, NULL, 0);
	serve_one();
	memcpy(&header, written, sizeof(header));
	ck_assert_uint_eq(header.unique, RESENT | 44);
}
END_TEST

START_TEST(test_the_first_reply_after_init_is_noted)
{
	serve_one();
	ck_assert_uint_eq(atomic_load(&answered), 0); /* INIT is no progress */
	make_message(FUSE_STATFS, 44, NULL, 0);
	serve_one();
	ck_assert_uint_eq(atomic_load(&answered), 1);
}
END_TEST

START_TEST(test_a_buffer_is_there_before_the_kernel_copies_into_it)
{
	struct request *req;

	serve_one();
	ck_assert_uint_eq(nr_absent, 0);
	req = workers_first_request(ch);
	ck_assert(request_is_large(req)); /* so that its memory is given back when nobody needs it */
	request_trim(req);
	serve_one();
	ck_assert_uint_eq(nr_absent, 0);

	channel_destroy(ch);
	make(NULL);
	serve_one();
	ck_assert_uint_gt(nr_absent, 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("channel terms");
	TCase *tc = tcase_create("terms");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_init_is_served_again_alike_and_the_kernel_hears_nothing);
	tcase_add_test(tc, test_other_terms_are_refused);
	tcase_add_test(tc, test_a_kernel_that_resends_says_so);
	tcase_add_test(tc, test_resend_is_a_notification);
	tcase_add_test(tc, test_a_reply_carries_the_bit_of_what_was_sent_again);
	tcase_add_test(tc, test_the_first_reply_after_init_is_noted);
	tcase_add_test(tc, test_a_buffer_is_there_before_the_kernel_copies_into_it);
	suite_add_tcase(s, tc);
	return zt_check_main(s);
}
