// SPDX-License-Identifier: GPL-2.0-or-later
/* test_ring_msg.c - entries of a ring as messages, and replies as entries; also damaged ones. */
#include <errno.h>
#include <string.h>

#include "fuse/channel/ring_msg.h"
#include "tests/lib/zt_check.h"
#include "util/compiler.h"

#define LEAD 4096u
#define ROOM 65536u

static struct proto_uring_headers headers;
static char memory[LEAD + ROOM + 16];
static char *const payload = memory + LEAD;

static void make_entry(uint32_t len, uint32_t rest)
{
	const struct fuse_in_header header = { .len = len, .opcode = FUSE_WRITE, .unique = 77 };

	memset(&headers, 0, sizeof(headers));
	memset(memory, 0x5a, sizeof(memory));
	memcpy(headers.in_out, &header, sizeof(header));
	memset(headers.op_in, 'f', sizeof(headers.op_in));
	memset(payload, 'r', rest < ROOM ? rest : ROOM);
	headers.ent.payload_sz = rest;
}

START_TEST(test_pieces_become_one_message_in_front_of_the_rest)
{
	static const uint32_t fixed[] = { 0, 8, 40, 88, 128 };

	for (size_t i = 0; i < ARRAY_SIZE(fixed); i++) {
		const uint32_t len = 40 + fixed[i] + 1000;
		void *msg;
		char *at;

		make_entry(len, 1000);
		ck_assert_int_eq(ring_msg_in(&headers, payload, ROOM, &msg), len);
		at = msg;
		ck_assert_ptr_eq(at + 40 + fixed[i], payload);
		ck_assert_mem_eq(at, headers.in_out, sizeof(struct fuse_in_header));
		ck_assert_mem_eq(at + 40, headers.op_in, fixed[i]);
		ck_assert_int_eq(payload[0], 'r');
		ck_assert_int_eq(payload[999], 'r');
		ck_assert_int_eq(at[-1], 0x5a);
	}
}
END_TEST

START_TEST(test_pieces_that_do_not_fit_together_are_refused)
{
	static const struct {
		uint32_t len, rest;
	} bad[] = {
		{ 0, 0 },
		{ 39, 0 },
		{ 40 + 999, 1000 },
		{ 40 + 129, 0 },
		{ 40 + 1129, 1000 },
		{ 40 + ROOM + 1, ROOM + 1 },
		{ UINT32_MAX, 0 },
		{ UINT32_MAX, UINT32_MAX },
		{ 39, UINT32_MAX },
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		void *msg;

		make_entry(bad[i].len, bad[i].rest);
		ck_assert_msg(ring_msg_in(&headers, payload, ROOM, &msg) == -EIO, "case %zu", i);
		ck_assert_int_eq(memory[LEAD - 1], 0x5a);
	}
}
END_TEST

static struct fuse_out_header reply_header(void)
{
	return (struct fuse_out_header){ .len = 16, .unique = 77 };
}

static struct fuse_out_header entry_header(void)
{
	struct fuse_out_header header;

	memcpy(&header, headers.in_out, sizeof(header));
	return header;
}

START_TEST(test_reply_is_put_together_where_the_kernel_looks)
{
	struct fuse_out_header header = reply_header();
	char a[] = "hello ", b[] = "world";
	struct iovec iov[] = { { &header, 16 }, { a, 6 }, { NULL, 0 }, { b, 5 } };

	make_entry(40, 0);
	ck_assert_int_eq(ring_msg_out(&headers, payload, ROOM, iov, 4), 16 + 11);
	ck_assert_uint_eq(headers.ent.payload_sz, 11);
	ck_assert_mem_eq(payload, "hello world", 11);
	ck_assert_int_eq(payload[11], 0x5a);
	ck_assert_uint_eq(entry_header().unique, 77);
}
END_TEST

START_TEST(test_reply_without_parts_has_no_rest)
{
	struct fuse_out_header header = reply_header();
	struct iovec iov = { &header, 16 };

	make_entry(40 + 10, 10);
	header.error = -ENOENT;
	ck_assert_int_eq(ring_msg_out(&headers, payload, ROOM, &iov, 1), 16);
	ck_assert_uint_eq(headers.ent.payload_sz, 0);
	ck_assert_int_eq(entry_header().error, -ENOENT);
}
END_TEST

START_TEST(test_reply_that_is_in_place_is_left_there)
{
	struct fuse_out_header header = reply_header();
	struct iovec iov[] = { { &header, 16 }, { payload, ROOM } };

	make_entry(40, ROOM);
	ck_assert_int_eq(ring_msg_out(&headers, payload, ROOM, iov, 2), 16 + ROOM);
	ck_assert_int_eq(payload[ROOM - 1], 'r');
	ck_assert_int_eq(payload[ROOM], 0x5a);
}
END_TEST

START_TEST(test_reply_that_is_too_long_is_an_error)
{
	static char large[ROOM];
	struct fuse_out_header header = reply_header();
	struct iovec iov[] = { { &header, 16 }, { large, ROOM }, { large, 1 } };

	make_entry(40, 0);
	ck_assert_int_eq(ring_msg_out(&headers, payload, ROOM, iov, 3), -EIO);
	ck_assert_int_eq(entry_header().error, -EIO);
	ck_assert_uint_eq(entry_header().unique, 77);
	ck_assert_uint_eq(headers.ent.payload_sz, 0);
	ck_assert_int_eq(payload[ROOM], 0x5a);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ring_msg");
	TCase *tc = tcase_create("ring_msg");

	tcase_add_test(tc, test_pieces_become_one_message_in_front_of_the_rest);
	tcase_add_test(tc, test_pieces_that_do_not_fit_together_are_refused);
	tcase_add_test(tc, test_reply_is_put_together_where_the_kernel_looks);
	tcase_add_test(tc, test_reply_without_parts_has_no_rest);
	tcase_add_test(tc, test_reply_that_is_in_place_is_left_there);
	tcase_add_test(tc, test_reply_that_is_too_long_is_an_error);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
