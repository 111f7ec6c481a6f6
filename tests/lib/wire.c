// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * wire.c - a FUSE client in the test's own process.
 *
 * The stream socket keeps no borders: a request's header says how long it is, on both sides.
 */
#include "tests/lib/wire.h"

#include <check.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "fuse/transport.h"

#define REPLY_ROOM (ZTFUSE_IO_MAX + 65536)

static atomic_bool interrupt_next_reply;
static char reply_buf[REPLY_ROOM];

void wire_interrupt_next_reply(void)
{
	atomic_store(&interrupt_next_reply, true);
}

static bool read_all(int fd, void *buf, size_t len)
{
	while (len > 0) {
		ssize_t got = read(fd, buf, len);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return false;
		buf = (char *)buf + got;
		len -= (size_t)got;
	}
	return true;
}

static bool write_all(int fd, struct iovec *iov, int count)
{
	while (count > 0) {
		ssize_t put = writev(fd, iov, count);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return false;
		for (; count > 0 && (size_t)put >= iov->iov_len; iov++, count--)
			put -= (ssize_t)iov->iov_len;
		if (count > 0) {
			iov->iov_base = (char *)iov->iov_base + put;
			iov->iov_len -= (size_t)put;
		}
	}
	return true;
}

/* The server's end: what reading /dev/fuse does. */
static ssize_t server_read(int fd, void *buf, size_t room, void *userdata)
{
	static void *last_buf;
	static size_t last_len;
	struct fuse_in_header *header = buf;
	size_t len;

	(void)userdata;
	if (!read_all(fd, header, sizeof(*header))) {
		errno = ENODEV;
		return -1;
	}
	len = header->len;
	ck_assert_uint_ge(len, sizeof(*header));
	ck_assert_uint_le(len, room);
	if (!read_all(fd, header + 1, len - sizeof(*header))) {
		errno = ENODEV;
		return -1;
	}
	/* A new buffer is full of anything; an old one ends with the request before. */
	if (buf != last_buf)
		memset((char *)buf + len, 0, room - len);
	else if (last_len > len)
		memset((char *)buf + len, 0, last_len - len);
	last_buf = buf;
	last_len = len;
	return (ssize_t)len;
}

static ssize_t server_writev(int fd, struct iovec *iov, int count, void *userdata)
{
	const struct fuse_out_header *header = iov[0].iov_base;
	ssize_t len = 0;

	(void)userdata;
	for (int i = 0; i < count; i++)
		len += (ssize_t)iov[i].iov_len;
	if (header->unique != 0 && atomic_exchange(&interrupt_next_reply, false)) {
		/* The client must learn that it was served. */
		struct fuse_out_header gone = *(struct fuse_out_header *)iov[0].iov_base;

		gone.len = sizeof(gone);
		gone.error = -EINTR;
		iov[0].iov_base = &gone;
		iov[0].iov_len = sizeof(gone);
		(void)write_all(fd, iov, 1);
		errno = ENOENT;
		return -1;
	}
	if (!write_all(fd, iov, count)) {
		errno = ENODEV;
		return -1;
	}
	return len;
}

static void *server_thread(void *arg)
{
	struct wire *wire = arg;

	(void)fuse_session_loop(wire->se);
	return NULL;
}

static void send_request(struct wire *wire, uint32_t opcode, uint64_t nodeid, const void *fixed,
			 size_t fixed_len, const void *data, size_t data_len)
{
	struct fuse_in_header header = {
		.len = (uint32_t)(sizeof(header) + fixed_len + data_len),
		.opcode = opcode,
		.unique = ++wire->unique,
		.nodeid = nodeid,
		.uid = wire->uid,
		.gid = wire->gid,
		.pid = WIRE_PID,
	};
	struct iovec iov[] = {
		{ .iov_base = &header, .iov_len = sizeof(header) },
		{ .iov_base = (void *)(uintptr_t)fixed, .iov_len = fixed_len },
		{ .iov_base = (void *)(uintptr_t)data, .iov_len = data_len },
	};

	ck_assert(write_all(wire->fd, iov, 3));
}

/* A message without a request: what the kernel shall forget. */
static void take_notification(struct wire *wire, const struct fuse_out_header *header)
{
	struct fuse_notify_inval_inode_out out;

	ck_assert_int_eq(header->error, FUSE_NOTIFY_INVAL_INODE);
	ck_assert_uint_eq(header->len, sizeof(*header) + sizeof(out));
	memcpy(&out, reply_buf, sizeof(out));
	wire->nr_notified++;
	if (out.off < 0)
		wire->nr_invals++; /* attributes alone, no pages */
	else
		wire->nr_page_invals++;
	wire->notified_ino = out.ino;
	wire->notified_off = out.off;
}

/* The next reply, whatever it belongs to; notifications before it are counted. */
static struct wire_reply receive_reply(struct wire *wire, uint64_t *out_unique)
{
	struct wire_reply reply = { .data = reply_buf };
	struct fuse_out_header header;

	for (;;) {
		ck_assert_msg(read_all(wire->fd, &header, sizeof(header)), "the server has gone");
		ck_assert_uint_ge(header.len, sizeof(header));
		reply.error = header.error;
		reply.len = header.len - sizeof(header);
		ck_assert_uint_le(reply.len, sizeof(reply_buf));
		ck_assert(read_all(wire->fd, reply_buf, reply.len));
		if (header.unique != 0)
			break;
		take_notification(wire, &header);
	}
	*out_unique = header.unique;
	return reply;
}

struct wire_reply wire_call(struct wire *wire, uint32_t opcode, uint64_t nodeid, const void *fixed,
			    size_t fixed_len, const void *data, size_t data_len)
{
	struct wire_reply reply;
	uint64_t unique;

	send_request(wire, opcode, nodeid, fixed, fixed_len, data, data_len);
	reply = receive_reply(wire, &unique);
	ck_assert_uint_eq(unique, wire->unique);
	/* The kernel takes no other errors; those beyond are notifications. */
	ck_assert_int_le(reply.error, 0);
	ck_assert_int_gt(reply.error, -1000);
	if (reply.error)
		ck_assert_uint_eq(reply.len, 0);
	return reply;
}

void wire_post(struct wire *wire, uint32_t opcode, uint64_t nodeid, const void *fixed,
	       size_t fixed_len, const void *data, size_t data_len)
{
	send_request(wire, opcode, nodeid, fixed, fixed_len, data, data_len);
	/*
	 * Requests are served in turn: once a later one is answered, this one is done; it got no
	 * answer itself.
	 */
	(void)wire_call(wire, FUSE_STATFS, FUSE_ROOT_ID, NULL, 0, NULL, 0);
}

/* May be answered later than what follows it, by another thread: after pages were dropped, or looked for. */
static bool may_be_late(uint32_t opcode)
{
	static const uint32_t late[] = { FUSE_LSEEK,     FUSE_WRITE,           FUSE_SETATTR,
					 FUSE_FALLOCATE, FUSE_COPY_FILE_RANGE, FUSE_IOCTL };

	for (size_t i = 0; i < ARRAY_SIZE(late); i++)
		if (opcode == late[i])
			return true;
	return false;
}

bool wire_try(struct wire *wire, uint32_t opcode, uint64_t nodeid, const void *data,
	      size_t data_len, struct wire_reply *out_reply)
{
	static char kept[REPLY_ROOM];
	bool answered = false, followed = false;
	uint64_t unique, mine;

	send_request(wire, opcode, nodeid, NULL, 0, data, data_len);
	mine = wire->unique;
	send_request(wire, FUSE_STATFS, FUSE_ROOT_ID, NULL, 0, NULL, 0);
	for (;;) {
		struct wire_reply reply = receive_reply(wire, &unique);

		ck_assert(reply.error <= 0 && reply.error > -1000);
		followed |= unique == wire->unique;
		if (followed && (answered || !may_be_late(opcode)))
			return answered;
		if (unique == wire->unique)
			continue;
		/* Exactly one answer, to the request. */
		ck_assert_uint_eq(unique, mine);
		ck_assert(!answered);
		answered = true;
		memcpy(kept, reply.data, reply.len);
		*out_reply = reply;
		out_reply->data = kept;
		if (followed)
			return answered;
	}
}

static void *transport_server(void *arg)
{
	struct wire *wire = arg;

	/* Check's own macros are for the test's thread, also where they find nothing. */
	if (transport_serve_init(wire->transport) != 0 || transport_run(wire->transport) != 0)
		abort();
	return NULL;
}

/* Both ends, and the session; its channel is the second. */
static int wire_open(struct wire *wire, struct ztfuse *front)
{
	const struct ztfuse_session_params params = { .mount_opts = "fsname=test" };
	int fds[2];

	memset(wire, 0, sizeof(*wire));
	atomic_store(&interrupt_next_reply, false);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	wire->fd = fds[0];
	ck_assert_int_eq(ztfuse_session_new(front, &params, &wire->se), 0);
	return fds[1];
}

static void wire_init(struct wire *wire, uint64_t offered, uint32_t minor)
{
	const struct fuse_init_in init = {
		.major = FUSE_KERNEL_VERSION,
		.minor = minor,
		.max_readahead = 131072,
		.flags = (uint32_t)offered,
		.flags2 = (uint32_t)(offered >> 32),
	};
	struct wire_reply reply = wire_call(wire, FUSE_INIT, 0, &init, sizeof(init), NULL, 0);

	ck_assert_int_eq(reply.error, 0);
	ck_assert_uint_eq(reply.len, sizeof(wire->init));
	memcpy(&wire->init, reply.data, sizeof(wire->init));
}

void wire_start(struct wire *wire, struct ztfuse *front)
{
	static const struct fuse_custom_io io = { .read = server_read, .writev = server_writev };
	const int fd = wire_open(wire, front);

	ck_assert_int_eq(fuse_session_custom_io(wire->se, &io, fd), 0);
	atomic_store(&front->seeker.nr_may_wait, 1); /* a socket does not keep it waiting */
	ck_assert_int_eq(pthread_create(&wire->server, NULL, server_thread, wire), 0);
	wire_init(wire, 0xffffffffu & ~(uint32_t)FUSE_INIT_EXT, 31);
}

void wire_start_transport(struct wire *wire, struct ztfuse *front, uint64_t offered, uint32_t minor)
{
	/* A stream has no borders between requests, so one thread reads it. */
	const struct channel_params params = {
		.nr_threads = 1,
		.nr_held = 4,
		.read = server_read,
		.writev = server_writev,
	};
	const int fd = wire_open(wire, front);

	ck_assert_int_eq(transport_create(front, &params, &wire->transport), 0);
	ck_assert_int_eq(transport_attach(wire->transport, wire->se, fd), 0);
	ck_assert_int_eq(pthread_create(&wire->server, NULL, transport_server, wire), 0);
	wire_init(wire, offered, minor);
}

void wire_stop(struct wire *wire)
{
	ck_assert_int_eq(close(wire->fd), 0);
	ck_assert_int_eq(pthread_join(wire->server, NULL), 0);
	fuse_session_destroy(wire->se);
	transport_destroy(wire->transport);
}

static int take(struct wire_reply reply, void *out, size_t len)
{
	if (reply.error)
		return reply.error;
	ck_assert_uint_eq(reply.len, len);
	if (len > 0)
		memcpy(out, reply.data, len);
	return 0;
}

int wire_lookup(struct wire *wire, uint64_t parent, const char *name,
		struct fuse_entry_out *out_entry)
{
	return take(wire_call(wire, FUSE_LOOKUP, parent, NULL, 0, name, strlen(name) + 1),
		    out_entry, sizeof(*out_entry));
}

int wire_mknod(struct wire *wire, uint64_t parent, const char *name, uint32_t mode,
	       struct fuse_entry_out *out_entry)
{
	const struct fuse_mknod_in in = { .mode = mode, .umask = wire->umask };

	return take(wire_call(wire, FUSE_MKNOD, parent, &in, sizeof(in), name, strlen(name) + 1),
		    out_entry, sizeof(*out_entry));
}

int wire_mkdir(struct wire *wire, uint64_t parent, const char *name, uint32_t mode,
	       struct fuse_entry_out *out_entry)
{
	const struct fuse_mkdir_in in = { .mode = mode, .umask = wire->umask };

	return take(wire_call(wire, FUSE_MKDIR, parent, &in, sizeof(in), name, strlen(name) + 1),
		    out_entry, sizeof(*out_entry));
}

int wire_symlink(struct wire *wire, uint64_t parent, const char *name, const char *target,
		 struct fuse_entry_out *out_entry)
{
	return take(wire_call(wire, FUSE_SYMLINK, parent, name, strlen(name) + 1, target,
			      strlen(target) + 1),
		    out_entry, sizeof(*out_entry));
}

int wire_link(struct wire *wire, uint64_t ino, uint64_t parent, const char *name,
	      struct fuse_entry_out *out_entry)
{
	const struct fuse_link_in in = { .oldnodeid = ino };

	return take(wire_call(wire, FUSE_LINK, parent, &in, sizeof(in), name, strlen(name) + 1),
		    out_entry, sizeof(*out_entry));
}

int wire_unlink(struct wire *wire, uint64_t parent, const char *name)
{
	return take(wire_call(wire, FUSE_UNLINK, parent, NULL, 0, name, strlen(name) + 1), NULL, 0);
}

int wire_rmdir(struct wire *wire, uint64_t parent, const char *name)
{
	return take(wire_call(wire, FUSE_RMDIR, parent, NULL, 0, name, strlen(name) + 1), NULL, 0);
}

int wire_rename(struct wire *wire, uint64_t parent, const char *name, uint64_t new_parent,
		const char *new_name, uint32_t flags)
{
	const struct fuse_rename2_in in = { .newdir = new_parent, .flags = flags };
	const size_t len = strlen(name) + 1, new_len = strlen(new_name) + 1;
	char names[1024];

	ck_assert_uint_le(len + new_len, sizeof(names));
	memcpy(names, name, len);
	memcpy(names + len, new_name, new_len);
	return take(wire_call(wire, FUSE_RENAME2, parent, &in, sizeof(in), names, len + new_len),
		    NULL, 0);
}

static int take_attr(struct wire_reply reply, struct fuse_attr *out_attr)
{
	struct fuse_attr_out out;
	int error = take(reply, &out, sizeof(out));

	if (!error)
		*out_attr = out.attr;
	return error;
}

int wire_getattr(struct wire *wire, uint64_t ino, struct fuse_attr *out_attr)
{
	const struct fuse_getattr_in in = { 0 };

	return take_attr(wire_call(wire, FUSE_GETATTR, ino, &in, sizeof(in), NULL, 0), out_attr);
}

int wire_setattr(struct wire *wire, uint64_t ino, const struct fuse_setattr_in *in,
		 struct fuse_attr *out_attr)
{
	return take_attr(wire_call(wire, FUSE_SETATTR, ino, in, sizeof(*in), NULL, 0), out_attr);
}

long wire_read(struct wire *wire, uint64_t ino, uint64_t off, void *buf, uint32_t size)
{
	const struct fuse_read_in in = { .offset = off, .size = size };
	struct wire_reply reply = wire_call(wire, FUSE_READ, ino, &in, sizeof(in), NULL, 0);

	if (reply.error)
		return reply.error;
	ck_assert_uint_le(reply.len, size);
	memcpy(buf, reply.data, reply.len);
	return (long)reply.len;
}

long wire_write(struct wire *wire, uint64_t ino, uint64_t off, const void *buf, uint32_t size,
		uint32_t write_flags)
{
	const struct fuse_write_in in = { .offset = off, .size = size, .write_flags = write_flags };
	struct fuse_write_out out;
	int error = take(wire_call(wire, FUSE_WRITE, ino, &in, sizeof(in), buf, size), &out,
			 sizeof(out));

	return error ? error : (long)out.size;
}

int wire_fallocate(struct wire *wire, uint64_t ino, uint32_t mode, uint64_t off, uint64_t len)
{
	const struct fuse_fallocate_in in = { .offset = off, .length = len, .mode = mode };

	return take(wire_call(wire, FUSE_FALLOCATE, ino, &in, sizeof(in), NULL, 0), NULL, 0);
}

int wire_lseek(struct wire *wire, uint64_t ino, uint64_t off, uint32_t whence, uint64_t *out_off)
{
	const struct fuse_lseek_in in = { .offset = off, .whence = whence };
	struct fuse_lseek_out out;
	int error =
		take(wire_call(wire, FUSE_LSEEK, ino, &in, sizeof(in), NULL, 0), &out, sizeof(out));

	if (!error)
		*out_off = out.offset;
	return error;
}

int wire_statfs(struct wire *wire, struct fuse_kstatfs *out_st)
{
	struct fuse_statfs_out out;
	int error = take(wire_call(wire, FUSE_STATFS, FUSE_ROOT_ID, NULL, 0, NULL, 0), &out,
			 sizeof(out));

	if (!error)
		*out_st = out.st;
	return error;
}

void wire_forget(struct wire *wire, uint64_t ino, uint64_t nlookup)
{
	const struct fuse_forget_in in = { .nlookup = nlookup };

	wire_post(wire, FUSE_FORGET, ino, &in, sizeof(in), NULL, 0);
}
