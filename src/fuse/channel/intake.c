// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * intake.c - one request from the kernel to its handler. See intake.h.
 */
#include "fuse/channel/intake.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "fuse/channel/channel_i.h"
#include "fuse/channel/inbox.h"

/* Of /dev/fuse, as Documentation/admin-guide/devices.txt of Linux has it. */
#define FUSE_MAJOR 10
#define FUSE_MINOR 229

ssize_t request_receive(struct channel *ch, struct request *req, int fd, uint32_t way)
{
	ssize_t len;

	request_set(req, REQUEST_READING);
	req->left = false;
	if (ch->params.survival)
		request_populate(req);
	if (req->slot)
		inbox_begin(req, way);
	len = ch->params.read(fd, request_buf(req), request_buf_size(req), ch->arg);
	if (len < 0)
		return errno == ENODEV ? 0 : -errno;
	request_touched(req, (size_t)len);
	req->fd = fd;
	return len;
}

/* A signal, or a request withdrawn meanwhile. */
bool request_passes(ssize_t error)
{
	return error == -EINTR || error == -EAGAIN || error == -ENOENT;
}

bool request_withdraw(struct channel *ch, uint64_t unique)
{
	struct fuse_out_header header = {
		.len = sizeof(header),
		.error = -EINTR,
		.unique = unique,
	};
	struct iovec iov = { &header, sizeof(header) };
	struct request *req;
	int fd;

	if (!longline_withdraw(&ch->longline, unique, &fd, &req))
		return false;
	(void)ch->params.writev(fd, &iov, 1, ch->arg); /* nobody is left to be told */
	if (req) {
		inbox_free(req);
		pool_put(&ch->pool, req);
	}
	return true;
}

static void take_interrupt(struct channel *ch, uint64_t unique)
{
	if (unique == 0)
		return;
	if (interrupt_note(&ch->interrupts, &ch->pool, unique) || request_withdraw(ch, unique))
		(void)interrupt_came_first(&ch->interrupts, unique); /* it is no longer early */
}

bool request_prepare(struct channel *ch, struct request *req, void *msg, size_t len)
{
	const uint64_t token = (uint64_t)(req - ch->pool.all) + 1;

	if (req->slot)
		inbox_serve(req);
	switch (shim_in(&ch->terms, &req->shim, msg, len, token)) {
	case SHIM_SERVE:
		break;
	case SHIM_INTERRUPT:
		take_interrupt(ch, req->shim.unique);
		return false;
	case SHIM_DROP:
	case SHIM_BROKEN:
		return false;
	}
	req->msg = msg;
	req->len = len;
	interrupt_begin(&ch->interrupts, req);
	request_set(req, REQUEST_SERVED);
	return true;
}

static bool has_no_answer(const struct request *req)
{
	return req->shim.opcode == FUSE_FORGET || req->shim.opcode == FUSE_BATCH_FORGET;
}

bool request_serve(struct channel *ch, struct request *req, void *msg, size_t len)
{
	if (!request_prepare(ch, req, msg, len)) {
		if (req->slot)
			inbox_free(req);
		return false;
	}
	/* Else it is somebody else's by now. */
	if (ch->ops->serve(ch->arg, req)) {
		interrupt_end(req);
		if (req->slot && has_no_answer(req))
			inbox_free(req);
	}
	return true;
}

void channel_bind(const struct channel *ch)
{
	const cpu_set_t *cpus = ch->params.cpus;

	/* CPUs that are not there now, or not for us any more: it runs elsewhere. */
	if (cpus)
		(void)pthread_setaffinity_np(pthread_self(), sizeof(*cpus), cpus);
}

int channel_clone(int master)
{
	uint32_t number = (uint32_t)master;
	int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	int error;

	if (fd < 0)
		return -errno;
	if (ioctl(fd, FUSE_DEV_IOC_CLONE, &number) == 0)
		return fd;
	error = -errno;
	close(fd);
	return error;
}

bool channel_is_fd(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISCHR(st.st_mode) &&
	       st.st_rdev == makedev(FUSE_MAJOR, FUSE_MINOR);
}
