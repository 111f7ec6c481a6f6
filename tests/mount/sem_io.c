// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * sem_io.c - other ways to move bytes: O_DIRECT, pipes, sendfile, copy_file_range, AIO, io_uring.
 * See semantics.h. The two asynchronous interfaces are spoken to without a library, since the
 * smallest use is enough here.
 */
#include "tests/mount/semantics.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/aio_abi.h>
#include <linux/io_uring.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define PAGE 4096

static void case_direct(void)
{
	static const struct {
		off_t off;
		size_t len, skew;
	} ranges[] = { { 0, 65536, 0 }, { 0, 4096, 1 },      { 333, 777, 5 },     { 4096, 1, 0 },
		       { 65535, 2, 3 }, { 70000, 70000, 0 }, { 131072, 65537, 0 } };
	int fd = make("f", 150001), direct = open("f", O_RDWR | O_DIRECT), other;
	char *buf = aligned_alloc(PAGE, 1 << 18);

	if (sys(direct >= 0 ? 0 : -1, "open") < 0)
		return;
	for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
		char *at = buf + ranges[i].skew;

		pattern(at, ranges[i].len, 1000 * i);
		sys(pwrite(direct, at, ranges[i].len, ranges[i].off), "write %zu at %" PRId64,
		    ranges[i].len, (int64_t)ranges[i].off);
		show_file(fd, "seen by others", true);
		/* What others write is seen, too. */
		must(pwrite(fd, "buffered", 8, ranges[i].off + 1), "pwrite");
		memset(buf, 0, 100);
		sys(pread(direct, at, ranges[i].len, ranges[i].off), "read");
		say("%.9s", at);
	}
	sys(pread(direct, buf, 1 << 18, 150000), "read across the end");
	sys(pread(direct, buf, PAGE, 1 << 20), "read behind it");
	must(fcntl(direct, F_SETFL, O_DIRECT | O_APPEND), "F_SETFL");
	sys(write(direct, "appended", 8), "append");
	other = open("new", O_RDWR | O_CREAT | O_DIRECT, 0600);
	sys(write(other, buf, PAGE), "write to a new one");
	show_file(fd, "end", true);
	free(buf);
}

static void case_pipes(void)
{
	int fd = make("from", 200000), to = make("to", 0), p[2], sv[2];
	struct iovec iov = { .iov_base = (char[]){ "vmspliced" }, .iov_len = 9 };
	off_t off = 5000, zero = 0;
	char buf[65536];
	ssize_t n;

	must(pipe(p), "pipe");
	n = sys(splice(fd, &off, p[1], NULL, 60000, 0), "splice from a file");
	say("offset %" PRId64, (int64_t)off);
	off = 777;
	sys(splice(p[0], NULL, to, &off, (size_t)n, 0), "splice to a file");
	show_file(to, "to", true);
	sys(vmsplice(p[1], &iov, 1, 0), "vmsplice");
	sys(splice(p[0], NULL, to, &zero, 9, SPLICE_F_MOVE), "splice to a file");
	show_file(to, "to", true);
	off = 199999;
	sys(splice(fd, &off, p[1], NULL, 100, 0), "splice across the end");
	sys(splice(fd, &off, p[1], NULL, 100, SPLICE_F_NONBLOCK), "splice at the end");
	must(read(p[0], buf, 1), "read");
	must(fcntl(to, F_SETFL, O_APPEND), "F_SETFL");
	must(write(p[1], "x", 1), "write");
	sys(splice(p[0], NULL, to, NULL, 1, 0), "splice to one that appends");
	must(fcntl(to, F_SETFL, 0), "F_SETFL");
	off = 100;
	must(lseek(to, 300, SEEK_SET), "lseek");
	sys(sendfile(to, fd, &off, 70000), "sendfile to a file");
	show_file(to, "to", true);
	must(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), "socketpair");
	off = 150000;
	sys(sendfile(sv[0], fd, &off, 5000), "sendfile to a socket");
	sys(recv(sv[1], buf, 5000, MSG_WAITALL), "recv");
	say("%.20s", buf);
}

static void one_copy(int from, off_t in, int to, off_t out, size_t len)
{
	size_t done = 0;
	ssize_t n = 1;

	/* Who copies less than asked is asked again. */
	while (done < len && n > 0) {
		n = copy_file_range(from, &in, to, &out, len - done, 0);
		if (n > 0)
			done += (size_t)n;
	}
	if (n < 0 && done == 0)
		sys(-1, "copy %zu", len);
	else
		say("copy %zu = %zu, at %" PRId64 " and %" PRId64, len, done, (int64_t)in,
		    (int64_t)out);
	show_file(to, "to", true);
}

static void case_copy_range(void)
{
	int from = make("from", 400000), to = make("to", 100), ro, wo, dir, pipes[2];
	char buf[10];

	one_copy(from, 0, to, 0, 400000);
	one_copy(from, 65536, to, 131072, 131072);
	one_copy(from, 100, to, 65636, 200000);
	one_copy(from, 1, to, 0, 131072);
	one_copy(from, 399999, to, 10, 100);
	one_copy(from, 400000, to, 10, 100);
	one_copy(from, 1 << 20, to, 10, 100);
	one_copy(from, 0, to, 1 << 20, 70000);
	one_copy(to, 0, to, 1 << 21, 131072);
	one_copy(to, 0, to, 65536, 131072);
	one_copy(to, 65536, to, 0, 131072);
	one_copy(from, 0, to, 0, 0);
	/* What is copied is separate from then on. */
	must(ftruncate(to, 0), "ftruncate");
	one_copy(from, 0, to, 0, 400000);
	must(pwrite(from, "changed", 7, 70000), "pwrite");
	must(ftruncate(from, 200000), "ftruncate");
	must(pread(to, buf, 7, 70000), "pread");
	say("%.7s", buf);
	show_file(to, "to", true);
	show_file(from, "from", true);
	ro = (int)must(open("to", O_RDONLY), "open");
	wo = (int)must(open("from", O_WRONLY), "open");
	dir = (int)must(open(".", O_RDONLY), "open");
	must(pipe(pipes), "pipe");
	sys(copy_file_range(from, NULL, ro, NULL, 1, 0), "to a read-only one");
	sys(copy_file_range(wo, NULL, to, NULL, 1, 0), "from a write-only one");
	sys(copy_file_range(from, NULL, dir, NULL, 1, 0), "to a folder");
	sys(copy_file_range(from, NULL, pipes[1], NULL, 1, 0), "to a pipe");
	sys(copy_file_range(from, NULL, to, NULL, 1, 1), "with a flag");
	must(fcntl(to, F_SETFL, O_APPEND), "F_SETFL");
	sys(copy_file_range(from, NULL, to, NULL, 1, 0), "to one that appends");
	must(fchmod(to, 06777), "fchmod");
}

/* ---- AIO ---- */

static void submit(aio_context_t ctx, struct iocb *cb, const char *what)
{
	struct io_event event = { 0 };
	struct iocb *list[] = { cb };

	if (sys(syscall(SYS_io_submit, ctx, 1L, list), "submit %s", what) != 1)
		return;
	must(syscall(SYS_io_getevents, ctx, 1L, 1L, &event, NULL), "io_getevents");
	say("%s: %lld", what, (long long)event.res);
}

static void case_aio(void)
{
	int fd = make("f", 100000), direct = open("f", O_RDWR | O_DIRECT);
	char *buf = aligned_alloc(PAGE, 1 << 17);
	aio_context_t ctx = 0;

	must(direct, "open");
	must(syscall(SYS_io_setup, 16L, &ctx), "io_setup");
	for (int i = 0; i < 2; i++) {
		struct iocb cb = { .aio_fildes = (uint32_t)(i ? direct : fd),
				   .aio_buf = (uintptr_t)buf };

		pattern(buf, 1 << 17, 12345);
		cb.aio_lio_opcode = IOCB_CMD_PWRITE;
		cb.aio_offset = 65536;
		cb.aio_nbytes = 1 << 17;
		submit(ctx, &cb, "write");
		show_file(fd, "written", true);
		cb.aio_lio_opcode = IOCB_CMD_PREAD;
		cb.aio_offset = 4096;
		submit(ctx, &cb, "read");
		say("%.10s", buf);
		cb.aio_offset = 196608;
		submit(ctx, &cb, "read at the end");
		cb.aio_lio_opcode = IOCB_CMD_FSYNC;
		cb.aio_buf = cb.aio_nbytes = 0;
		cb.aio_offset = 0;
		submit(ctx, &cb, "fsync");
	}
	must(syscall(SYS_io_destroy, ctx), "io_destroy");
	free(buf);
}

/* ---- io_uring ---- */

struct ring {
	int fd;
	char *rings; /* both, by IORING_FEAT_SINGLE_MMAP */
	struct io_uring_sqe *sqes;
	struct io_uring_params params;
};

static bool ring_make(struct ring *ring)
{
	size_t len;

	memset(ring, 0, sizeof(*ring));
	ring->fd = (int)syscall(SYS_io_uring_setup, 16, &ring->params);
	if (ring->fd < 0) {
		say("no io_uring: %s", strerrorname_np(errno));
		return false;
	}
	len = ring->params.cq_off.cqes + ring->params.cq_entries * sizeof(struct io_uring_cqe);
	ring->rings = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring->fd,
			   IORING_OFF_SQ_RING);
	ring->sqes =
		mmap(NULL, ring->params.sq_entries * sizeof(*ring->sqes), PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_POPULATE, ring->fd, IORING_OFF_SQES);
	return ring->rings != MAP_FAILED && ring->sqes != MAP_FAILED;
}

static unsigned *ring_word(const struct ring *ring, unsigned off)
{
	return (unsigned *)(void *)(ring->rings + off);
}

/* One request and its answer. */
static void ring_call(struct ring *ring, const struct io_uring_sqe *sqe, const char *what)
{
	unsigned tail = *ring_word(ring, ring->params.sq_off.tail);
	unsigned mask = *ring_word(ring, ring->params.sq_off.ring_mask);
	unsigned head = *ring_word(ring, ring->params.cq_off.head);
	unsigned cq_mask = *ring_word(ring, ring->params.cq_off.ring_mask);
	const struct io_uring_cqe *cqes = (const void *)(ring->rings + ring->params.cq_off.cqes);
	int res;

	ring->sqes[tail & mask] = *sqe;
	ring_word(ring, ring->params.sq_off.array)[tail & mask] = tail & mask;
	__atomic_store_n(ring_word(ring, ring->params.sq_off.tail), tail + 1, __ATOMIC_RELEASE);
	must(syscall(SYS_io_uring_enter, ring->fd, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0),
	     "io_uring_enter");
	while (__atomic_load_n(ring_word(ring, ring->params.cq_off.tail), __ATOMIC_ACQUIRE) == head)
		;
	res = cqes[head & cq_mask].res;
	__atomic_store_n(ring_word(ring, ring->params.cq_off.head), head + 1, __ATOMIC_RELEASE);
	errno = res < 0 ? -res : 0;
	sys(res < 0 ? -1 : res, "%s", what);
}

static void case_uring(void)
{
	int fd = make("f", 100000), direct = open("f", O_RDWR | O_DIRECT);
	char *buf = aligned_alloc(PAGE, 1 << 17);
	struct ring ring;

	must(direct, "open");
	if (!ring_make(&ring))
		return;
	for (int i = 0; i < 4; i++) {
		/* Through the page cache and around it, at once and by a worker. */
		struct io_uring_sqe sqe = { .fd = i & 1 ? direct : fd,
					    .flags = i & 2 ? IOSQE_ASYNC : 0,
					    .addr = (uintptr_t)buf };

		pattern(buf, 1 << 17, 777);
		sqe.opcode = IORING_OP_WRITE;
		sqe.off = 65536 * (uint64_t)(i + 1) + (i & 1 ? 0 : 13);
		sqe.len = 1 << 17;
		ring_call(&ring, &sqe, "write");
		show_file(fd, "written", true);
		sqe.opcode = IORING_OP_READ;
		sqe.off = 8192;
		ring_call(&ring, &sqe, "read");
		say("%.10s", buf);
		sqe.off = 1 << 20;
		ring_call(&ring, &sqe, "read behind the end");
		sqe = (struct io_uring_sqe){ .opcode = IORING_OP_FSYNC, .fd = fd };
		ring_call(&ring, &sqe, "fsync");
		sqe = (struct io_uring_sqe){ .opcode = IORING_OP_FALLOCATE,
					     .fd = fd,
					     .off = 500000,
					     .addr = 10000,
					     .len = 0 };
		ring_call(&ring, &sqe, "fallocate");
		must(ftruncate(fd, 100000), "ftruncate");
	}
	free(buf);
	close(ring.fd);
}

const struct sem_case sem_io_cases[] = {
	{ "direct", case_direct }, { "pipes", case_pipes }, { "copy-range", case_copy_range },
	{ "aio", case_aio },       { "uring", case_uring }, { NULL, NULL },
};
