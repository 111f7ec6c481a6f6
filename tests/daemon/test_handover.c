// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_handover.c - messages of a daemon and its keeper: descriptors, answers, and silence.
 *
 * Tests passfd.c of util, too.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/handover.h"
#include "tests/lib/zt_check.h"

static int socks[2];

static void setup(void)
{
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, socks), 0);
}

static void teardown(void)
{
	close(socks[0]);
	if (socks[1] >= 0)
		close(socks[1]);
}

START_TEST(test_an_answer_is_heard_with_its_text)
{
	char text[256];

	ck_assert_int_eq(handover_answer(socks[1], HANDOVER_REFUSED, "not this one"), 0);
	ck_assert_int_eq(handover_hear(socks[0], 10000, text), HANDOVER_REFUSED);
	ck_assert_str_eq(text, "not this one");
	ck_assert_int_eq(handover_answer(socks[1], HANDOVER_READY, ""), 0);
	ck_assert_int_eq(handover_hear(socks[0], 10000, text), HANDOVER_READY);
	ck_assert_str_eq(text, "");
}
END_TEST

START_TEST(test_silence_and_other_messages_are_no_answer)
{
	char text[256];

	ck_assert_int_eq(handover_hear(socks[0], 0, text), -ETIMEDOUT);
	ck_assert_int_eq(handover_answer(socks[1], HANDOVER_COMPLETE, "x"), 0);
	ck_assert_int_eq(handover_hear(socks[0], 10000, text), -EPROTO);
	ck_assert_int_eq(send(socks[1], "ab", 2, 0), 2);
	ck_assert_int_eq(handover_hear(socks[0], 10000, text), -EPROTO);
	/* The end is no error of recv(2): what errno was before says nothing. */
	close(socks[1]);
	socks[1] = -1;
	errno = EINTR;
	ck_assert_int_eq(handover_hear(socks[0], 10000, text), -EPROTO);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("handover");
	TCase *tc = tcase_create("handover");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_an_answer_is_heard_with_its_text);
	tcase_add_test(tc, test_silence_and_other_messages_are_no_answer);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
