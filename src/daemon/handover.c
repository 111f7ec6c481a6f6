// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * handover.c - messages, the common page, and new processes of a daemon and its keeper. See
 * handover.h.
 *
 * Locks: none. Never allocates.
 */
#include "daemon/handover.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/passfd.h"
#include "util/shared.h"

/* ---- the record ---- */

int handover_record_make(struct handover_record **out_record, int *out_fd)
{
	void *memory;
	int error = shared_make("ztmpfs-record", HANDOVER_RECORD_SIZE, &memory, out_fd);

	if (!error)
		*out_record = memory;
	return error;
}

int handover_record_map(int fd, struct handover_record **out_record)
{
	void *memory;
	int error = shared_map(fd, HANDOVER_RECORD_SIZE, &memory);

	if (!error)
		*out_record = memory;
	return error;
}

void handover_record_unmap(struct handover_record *record)
{
	shared_unmap(record, HANDOVER_RECORD_SIZE);
}

/* ---- messages ---- */

int handover_pair(int out_ends[2])
{
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, out_ends) != 0 ? -errno : 0;
}

int handover_send(int sock, enum handover_kind kind, int fd)
{
	const uint32_t word = (uint32_t)kind;

	return passfd_send(sock, &word, sizeof(word), fd);
}

int handover_receive(int sock, enum handover_kind *out_kind, int *out_fd)
{
	uint32_t word = HANDOVER_NR;
	struct iovec iov = { &word, sizeof(word) };
	union passfd_control control = { .bytes = { 0 } };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = &control,
			      .msg_controllen = sizeof(control.bytes) };
	const struct cmsghdr *header;
	ssize_t got;

	do
		got = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC);
	while (got < 0 && errno == EINTR);
	if (got <= 0)
		return got == 0 || errno == ECONNRESET ? 0 : -errno;
	*out_fd = -1;
	header = CMSG_FIRSTHDR(&msg);
	if (header && header->cmsg_type == SCM_RIGHTS)
		memcpy(out_fd, CMSG_DATA(header), sizeof(*out_fd));
	*out_kind = word < HANDOVER_NR ? word : HANDOVER_NR;
	return 1;
}

/* As handover_send(), with a text behind the kind. */
struct answer {
	uint32_t kind;
	char text[256];
};

int handover_answer(int sock, enum handover_kind kind, const char *text)
{
	struct answer answer = { .kind = (uint32_t)kind };
	ssize_t sent;

	(void)snprintf(answer.text, sizeof(answer.text), "%s", text);
	do
		sent = send(sock, &answer, sizeof(answer), MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	return sent < 0 ? -errno : 0;
}

int handover_hear(int sock, int timeout_ms, char text[256])
{
	struct pollfd heard = { .fd = sock, .events = POLLIN };
	struct answer answer = { .kind = HANDOVER_NR };
	ssize_t got = 0;

	*text = '\0';
	if (poll(&heard, 1, timeout_ms) == 0)
		return -ETIMEDOUT;
	do
		got = recv(sock, &answer, sizeof(answer), 0);
	while (got < 0 && errno == EINTR);
	if (got < (ssize_t)sizeof(answer.kind) ||
	    (answer.kind != HANDOVER_READY && answer.kind != HANDOVER_REFUSED))
		return -EPROTO;
	answer.text[sizeof(answer.text) - 1] = '\0';
	memcpy(text, answer.text, sizeof(answer.text));
	return (int)answer.kind;
}

/* ---- processes ---- */

int handover_word(int argc, char *const argv[], const char *word)
{
	const size_t len = strlen(word);

	if (argc < 2 || strncmp(argv[1], word, len) != 0)
		return -1;
	return (int)strtoul(argv[1] + len, NULL, 10);
}

static pid_t run(const struct handover_child *child, const sigset_t *mask, int sock)
{
	volatile int error = 0; /* the child's, whose memory this is until it runs the program */
	char word[32];
	pid_t pid;

	(void)snprintf(word, sizeof(word), "%s%d", child->word, sock);
	child->argv[1] = word;
	/* Copies no page table, however much is mapped; until exec the child runs on this stack. */
	pid = vfork();
	if (pid < 0)
		return -errno;
	if (pid == 0) {
		(void)syscall(SYS_setsid);
		(void)syscall(SYS_rt_sigprocmask, SIG_SETMASK, mask, NULL, _NSIG / 8);
		(void)syscall(SYS_fcntl, sock, F_SETFD, 0);
		(void)syscall(SYS_execveat, child->binary, "", child->argv, environ, AT_EMPTY_PATH);
		error = errno;
		_exit(127);
	}
	if (!error)
		return pid;
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return -error;
}

pid_t handover_spawn(const struct handover_child *child, int *out_sock)
{
	int ends[2], error = handover_pair(ends);
	sigset_t own;
	pid_t pid;

	if (error)
		return error;
	(void)pthread_sigmask(SIG_SETMASK, NULL, &own); /* it only asks */
	pid = run(child, child->mask ? child->mask : &own, ends[1]);
	close(ends[1]);
	if (pid < 0)
		close(ends[0]);
	else
		*out_sock = ends[0];
	return pid;
}
