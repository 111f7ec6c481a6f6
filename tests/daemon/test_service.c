// SPDX-License-Identifier: GPL-2.0-or-later
/* test_service.c - sd_notify's protocol against a socket of the test's own, and how full is full. */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/service.h"
#include "tests/lib/zt_check.h"
#include "util/sizes.h"

static int manager;
static char path[64];

/* As a service manager listens; @kind: '/' or '@'. */
static void listen_at(char kind)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	socklen_t len;

	(void)snprintf(path, sizeof(path), "%c%sztmpfs-service-test.%d", kind,
		       kind == '/' ? "tmp/" : "", (int)getpid());
	memcpy(address.sun_path, path, strlen(path));
	if (kind == '@')
		address.sun_path[0] = '\0';
	len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
	manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	ck_assert_int_ge(manager, 0);
	ck_assert_int_eq(bind(manager, (struct sockaddr *)&address, len), 0);
	ck_assert_int_eq(setenv("NOTIFY_SOCKET", path, 1), 0);
}

static void hang_up(void)
{
	service_close();
	close(manager);
	if (path[0] == '/')
		(void)unlink(path);
}

static void heard(const char *wanted)
{
	char text[1024];
	const ssize_t len = recv(manager, text, sizeof(text) - 1, 0);

	ck_assert_int_ge(len, 0);
	text[len] = '\0';
	ck_assert_str_eq(text, wanted);
}

START_TEST(test_lines_reach_a_socket_of_either_kind)
{
	listen_at((char)_i);
	service_open();
	ck_assert(service_listens());
	service_tell("READY=1\nSTATUS=%d", 7);
	heard("READY=1\nSTATUS=7");
	/* Children are not the service. */
	ck_assert_ptr_null(getenv("NOTIFY_SOCKET"));
	/* A process that could not go on with what was stored begins anew. */
	service_give_back();
	ck_assert(!service_listens());
	ck_assert_str_eq(getenv("NOTIFY_SOCKET"), path);
	service_open();
	ck_assert(service_listens());
	service_tell("READY=1");
	heard("READY=1");
	hang_up();
}
END_TEST

/* One message with a descriptor. Return: that. */
static int heard_with_fd(const char *wanted)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	char text[1024];
	struct iovec iov = { text, sizeof(text) - 1 };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = &control,
			      .msg_controllen = sizeof(control.bytes) };
	const ssize_t len = recvmsg(manager, &msg, 0);
	int fd;

	ck_assert_int_ge(len, 0);
	text[len] = '\0';
	ck_assert_str_eq(text, wanted);
	ck_assert_ptr_nonnull(CMSG_FIRSTHDR(&msg));
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(fd));
	return fd;
}

START_TEST(test_descriptors_are_stored_and_what_was_told_is_waited_for)
{
	struct stat ours, theirs;
	int ends[2], fd;

	service_store("nobody-hears", 0);
	service_unstore("nobody-hears");
	ck_assert_int_eq(service_settle(0), 0);
	listen_at('@');
	service_open();
	ck_assert_int_eq(pipe(ends), 0);
	service_store("a", ends[0]);
	fd = heard_with_fd("FDSTORE=1\nFDPOLL=0\nFDNAME=a");
	ck_assert_int_eq(fstat(ends[0], &ours), 0);
	ck_assert_int_eq(fstat(fd, &theirs), 0);
	ck_assert(ours.st_ino == theirs.st_ino);
	close(fd);
	service_unstore("a");
	heard("FDSTOREREMOVE=1\nFDNAME=a");
	/* The manager has not looked yet; then it has. */
	ck_assert_int_eq(service_settle(1), -ETIMEDOUT);
	close(heard_with_fd("BARRIER=1"));
	hang_up();
}
END_TEST

START_TEST(test_nobody_listens_and_nothing_is_sent)
{
	char nothing[8];

	(void)unsetenv("NOTIFY_SOCKET");
	service_open();
	ck_assert(!service_listens());
	service_tell("READY=1");
	ck_assert_int_eq(setenv("NOTIFY_SOCKET", "relative", 1), 0);
	service_open();
	ck_assert(!service_listens());
	listen_at('@');
	service_open();
	service_close();
	service_tell("READY=1");
	ck_assert_int_eq(recv(manager, nothing, sizeof(nothing), 0), -1);
	ck_assert_int_eq(errno, EAGAIN);
	hang_up();
}
END_TEST

START_TEST(test_manager_that_has_gone_or_does_not_read_is_no_error)
{
	listen_at('@');
	service_open();
	for (unsigned i = 0; i < 10000; i++)
		service_tell("STATUS=%u", i);
	close(manager);
	service_tell("STATUS=gone");
	service_close();
}
END_TEST

START_TEST(test_watchdog_is_for_the_process_that_it_names)
{
	char pid[16];

	listen_at('@');
	(void)snprintf(pid, sizeof(pid), "%d", (int)getpid());
	ck_assert_int_eq(setenv("WATCHDOG_USEC", "30000000", 1) | setenv("WATCHDOG_PID", pid, 1), 0);
	service_open();
	ck_assert_uint_eq(service_watchdog_ns(), UINT64_C(30000000000));
	ck_assert_ptr_null(getenv("WATCHDOG_USEC"));
	service_close();
	ck_assert_int_eq(setenv("NOTIFY_SOCKET", path, 1) | setenv("WATCHDOG_USEC", "1", 1) |
				 setenv("WATCHDOG_PID", "1", 1),
			 0);
	service_open();
	ck_assert_uint_eq(service_watchdog_ns(), 0);
	hang_up();
}
END_TEST

START_TEST(test_journal_is_the_file_that_stderr_is)
{
	char text[64];
	struct stat st;

	ck_assert_int_eq(fstat(STDERR_FILENO, &st), 0);
	(void)snprintf(text, sizeof(text), "%llu:%llu", (unsigned long long)st.st_dev,
		       (unsigned long long)st.st_ino);
	ck_assert_int_eq(setenv("JOURNAL_STREAM", text, 1), 0);
	service_open();
	ck_assert(service_is_journal());
	ck_assert_int_eq(setenv("JOURNAL_STREAM", "1:2", 1), 0);
	service_open();
	ck_assert(!service_is_journal());
}
END_TEST

static enum service_level next(enum service_level was, uint64_t blocks, uint64_t bfree)
{
	const struct statvfs space = { .f_blocks = blocks, .f_bfree = bfree };

	return service_level_next(was, &space);
}

START_TEST(test_levels_come_at_90_percent_and_go_at_85)
{
	ck_assert_int_eq(next(SERVICE_LEVEL_FREE, 0, 0), SERVICE_LEVEL_FREE);
	ck_assert_int_eq(next(SERVICE_LEVEL_FREE, 100000, 11000), SERVICE_LEVEL_FREE);
	ck_assert_int_eq(next(SERVICE_LEVEL_FREE, 100000, 10000), SERVICE_LEVEL_NEAR);
	ck_assert_int_eq(next(SERVICE_LEVEL_NEAR, 100000, 14000), SERVICE_LEVEL_NEAR);
	ck_assert_int_eq(next(SERVICE_LEVEL_NEAR, 100000, 16000), SERVICE_LEVEL_FREE);
	/* 1 MiB of 400. */
	ck_assert_int_eq(next(SERVICE_LEVEL_NEAR, 100000, 256), SERVICE_LEVEL_NEAR);
	ck_assert_int_eq(next(SERVICE_LEVEL_NEAR, 100000, 255), SERVICE_LEVEL_FULL);
	ck_assert_int_eq(next(SERVICE_LEVEL_FULL, 100000, 511), SERVICE_LEVEL_FULL);
	ck_assert_int_eq(next(SERVICE_LEVEL_FULL, 100000, 512), SERVICE_LEVEL_NEAR);
	/* A small mount: 1 %. */
	ck_assert_int_eq(next(SERVICE_LEVEL_NEAR, 1000, 10), SERVICE_LEVEL_NEAR);
	ck_assert_int_eq(next(SERVICE_LEVEL_NEAR, 1000, 9), SERVICE_LEVEL_FULL);
	ck_assert_int_eq(next(SERVICE_LEVEL_FREE, 4, 0), SERVICE_LEVEL_FULL);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("daemon service");
	TCase *tc = tcase_create("daemon service");

	tcase_add_loop_test(tc, test_lines_reach_a_socket_of_either_kind, '/', '/' + 1);
	tcase_add_loop_test(tc, test_lines_reach_a_socket_of_either_kind, '@', '@' + 1);
	tcase_add_test(tc, test_descriptors_are_stored_and_what_was_told_is_waited_for);
	tcase_add_test(tc, test_nobody_listens_and_nothing_is_sent);
	tcase_add_test(tc, test_manager_that_has_gone_or_does_not_read_is_no_error);
	tcase_add_test(tc, test_watchdog_is_for_the_process_that_it_names);
	tcase_add_test(tc, test_journal_is_the_file_that_stderr_is);
	tcase_add_test(tc, test_levels_come_at_90_percent_and_go_at_85);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
