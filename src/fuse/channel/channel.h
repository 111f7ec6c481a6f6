/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * channel.h - how requests come from the kernel and replies go back: threads that read /dev/fuse or
 * rings, requests with their buffers, and the way around what libfuse 3.14 does not know (shim.h).
 *
 *     kernel -> /dev/fuse -> worker --.                            .-> channel_write() -> kernel
 *                                      >-- request -> ops.serve() --
 *     kernel -> queue -> ring -------'                             `-> channel_hold(), later so
 *
 * The channel knows no handler, no filesystem and no library: its maker hands in what serves a
 * request. Nothing is allocated per request: each thread owns one with its buffer, and a fixed
 * number of idle ones takes the place of those that are answered later. (A request that stands in
 * line because it may take seconds is a copy, longline.h.)
 *
 * Locks: channel.lock, innermost; see doc/design/channel.md.
 */
#ifndef ZT_FUSE_CHANNEL_CHANNEL_H
#define ZT_FUSE_CHANNEL_CHANNEL_H

#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "util/compiler.h"

struct channel; /* one per session */
struct request; /* request.h */

enum channel_uring {
	CHANNEL_URING_OFF,
	CHANNEL_URING_AUTO, /* where they can be had, without a word where not */
	CHANNEL_URING_ON, /* where they can be had; else with a warning */
};

/* How long a request may take, as far as can be seen before it is taken apart. */
enum channel_length {
	CHANNEL_SHORT,
	CHANNEL_LONG, /* another thread reads meanwhile */
	CHANNEL_ENDLESS, /* seconds, as its sender pleases: never in all threads at a time */
};

/*
 * For a channel whose descriptors somebody keeps when this process dies, so that another one goes on
 * with it. Buffers are populated before the kernel copies a request into them: while a SIGKILL is
 * pending it pages nothing in, and would answer a request that it cannot copy with EIO.
 */
struct channel_survival {
	/* The channel's, as an earlier process had them; they are closed with the channel. */
	int spin_fd; /* -1: none */
	const int *clones; /* nr_clones */
	unsigned nr_clones;
	/* Another one is about to be read: it must be kept from here on. Before there are threads. */
	void (*opened)(void *arg, bool spins, int fd);
	void *arg;
	atomic_uint *answered; /* becomes 1 with the first reply; relaxed: a hint for others */
};

struct channel_params {
	unsigned nr_threads; /* at least 1 */
	unsigned nr_held; /* how many requests may be held at once */
	/* Where its threads run, that of channel_wait() among them; ends later; NULL: anywhere. */
	const cpu_set_t *cpus;
	size_t io_max; /* bytes of a READ or WRITE at most */
	bool keeps_buffers; /* never gives memory of buffers back */
	bool clone_fd; /* a channel of its own for each thread */
	uint64_t wanted; /* flags to ask for in INIT, where the kernel offers them (shim.h) */
	enum channel_uring uring; /* rings instead of /dev/fuse (uring.h) */
	/*
	 * While small requests come one upon another: what a CPU's wake-up may take, written to a
	 * descriptor of /dev/cpu_dma_latency, which stays the caller's (wakeup.h).
	 */
	bool latency_asked; /* else the rest means nothing */
	int latency_fd;
	int32_t latency_us;
	const struct channel_survival *survival; /* NULL: the connection ends with this process */
	uint32_t spin_ns; /* how long a reader looks for a request meanwhile, before it sleeps, */
	uint32_t spin_unasked_ns; /* and where the kernel cannot be asked; 0: it does not */
	/* How the channel is read and written; NULL: read(2) and writev(2). For tests. */
	ssize_t (*read)(int fd, void *buf, size_t size, void *arg);
	ssize_t (*writev)(int fd, struct iovec *iov, int count, void *arg);
};

/* What the maker of a channel hands in; @arg is the one of channel_create(). */
struct channel_ops {
	/*
	 * Serve req->msg, of req->len bytes, in a thread of the channel's: when it returns the request
	 * was answered by channel_write(), or needs no answer, or is held.
	 * Return: whether the request is still the channel's: false when it is held.
	 */
	bool (*serve)(void *arg, struct request *req);
	/* How long the message @msg of @len bytes may take; in a thread of the channel's. */
	enum channel_length (*length)(void *arg, const void *msg, size_t len);
	/* INIT is about to be answered with these flags, which both sides have then. */
	void (*agree)(void *arg, uint64_t flags);
	/*
	 * Give back memory that has not been needed since the last call: every second while there may
	 * be any, in the thread of channel_wait(), with nothing locked.
	 */
	void (*trim)(void *arg);
};

/**
 * channel_nr_rings() - requests and threads that rings need beside params.nr_threads
 * 0: rings cannot be had here, or are not wanted.
 */
unsigned channel_nr_rings(const struct channel_params *params);

/**
 * channel_create() - make it, with all requests and buffers it will ever need
 * @ops, and what @arg points to, end after the channel
 * Return: 0 or -ENOMEM.
 */
int channel_create(const struct channel_params *params, const struct channel_ops *ops, void *arg,
		   struct channel **out_channel) ZT_MUST_CHECK;

/** channel_destroy() - no thread runs, nothing is held; NULL is allowed */
void channel_destroy(struct channel *ch);

/**
 * channel_serve_first() - read one request from @fd and serve it, in the caller's thread
 * Before channel_open(): INIT, in which terms are agreed on.
 * Return: its length; 0 at the end; -errno.
 */
ssize_t channel_serve_first(struct channel *ch, int fd) ZT_MUST_CHECK;

/**
 * channel_read_first() - the same, but the caller serves what it finds in @buf
 * Return: -EINTR: to be tried again.
 */
ssize_t channel_read_first(struct channel *ch, int fd, void *buf, size_t size) ZT_MUST_CHECK;

/* INIT as it came, and its reply as it went. */
#define CHANNEL_TERMS_MAX 120u
struct channel_terms {
	uint32_t request_len, reply_len; /* bytes; 0: it has not been answered */
	char request[CHANNEL_TERMS_MAX], reply[CHANNEL_TERMS_MAX];
};

/** channel_get_terms() - what was agreed on, after INIT. Return: 0; -EPROTO it is not like that. */
int channel_get_terms(const struct channel *ch, struct channel_terms *out_terms) ZT_MUST_CHECK;

/** channel_resends() - whether the kernel can send requests again; after INIT */
bool channel_resends(const struct channel *ch);

/**
 * channel_replay_terms() - instead of channel_serve_first(): have an earlier process's INIT served
 * anew, since the kernel sends it once
 * The reply goes to @nowhere, a descriptor of /dev/null.
 * Return: 0; -EPROTO it was another reply: what the kernel believes would not be true.
 */
int channel_replay_terms(struct channel *ch, const struct channel_terms *terms,
			 int nowhere) ZT_MUST_CHECK;

/**
 * channel_resend() - have the kernel send again what an earlier process has read from the channel @fd
 * and not answered
 * Return: 0 or -errno: -EINVAL before Linux 6.9.
 */
int channel_resend(struct channel *ch, int fd) ZT_MUST_CHECK;

/*
 * For a kernel that sends nothing again: requests, with their buffers, lie in a memfd from here on, the
 * inbox, which somebody keeps with the descriptors. After INIT, before there are threads.
 */

/** channel_make_inbox() - in the first process. @out_fd: the caller's. Return: 0 or -errno. */
int channel_make_inbox(struct channel *ch, int *out_fd) ZT_MUST_CHECK;

/** channel_fits_inbox() - whether a channel with other parameters, or of another program, has made @inbox */
bool channel_fits_inbox(const struct channel *ch, int inbox);

/**
 * channel_take_inbox() - instead of channel_resend(): what an earlier process has read from the channel @fd
 * and not answered is served by the threads, before they read
 * Return: 0; -EPROTO it does not fit; -errno.
 */
int channel_take_inbox(struct channel *ch, int inbox, int fd) ZT_MUST_CHECK;

/**
 * channel_open() - from here on requests come from @fd, which stays the caller's
 * Makes rings, with their threads, where they were agreed on; where they cannot be made, the kernel
 * and the log are told.
 * Return: whether requests come by rings.
 */
bool channel_open(struct channel *ch, int fd);

/**
 * channel_start() - after channel_open(): make the threads that read
 * Fewer threads than asked for are a warning, none is an error. Either way channel_stop() must follow.
 * Return: how many there are, or -errno.
 */
int channel_start(struct channel *ch) ZT_MUST_CHECK;

/**
 * channel_wait() - until the connection ends or channel_end(); looks after the threads meanwhile
 * Return: 0 or -errno when the channel failed.
 */
int channel_wait(struct channel *ch) ZT_MUST_CHECK;

/** channel_end() - have channel_wait() return. Any thread, any time. */
void channel_end(struct channel *ch);

/** channel_stop() - after channel_open(): end and join all threads; what is held may still be answered */
void channel_stop(struct channel *ch);

/** channel_stops() - whether the threads are to end; any thread */
bool channel_stops(const struct channel *ch);

/**
 * channel_trim() - give back memory of buffers that nobody has needed since the last call
 * Any thread; channel_wait() does it by itself.
 */
void channel_trim(struct channel *ch);

/**
 * channel_write() - a reply to a request, or what is none: its header's number is 0
 * Any thread. @iov: header first, with the number that the request had in its message; changed
 * @fd: where what is no reply goes
 * Return: as writev(2).
 */
ssize_t channel_write(struct channel *ch, int fd, struct iovec *iov, int count);

/**
 * channel_answer() - the reply to a request that no handler has seen
 * @error: -errno or 0; @body: @size bytes behind the header
 * Return: as writev(2).
 */
ssize_t channel_answer(const struct request *req, int error, void *body, size_t size);

/**
 * channel_hold() - in the thread that serves it: the request and its buffer become the caller's
 * Return: false when as many as there may be are held.
 */
bool channel_hold(struct request *req) ZT_MUST_CHECK;

/**
 * channel_release() - give a held one back, after its reply, or when the channel stops and leaves it to
 * another process. Any thread; takes the channel's lock.
 */
void channel_release(struct request *req);

/** channel_may_wait() - what the calling thread does may take long: another one reads, if it serves */
void channel_may_wait(void);

/** channel_is_fd() - whether a descriptor is open, and one of /dev/fuse */
bool channel_is_fd(int fd);

#endif
