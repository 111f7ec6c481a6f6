/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * wire.h - a FUSE client in the test's own process: raw requests over a socket pair to the real
 * table of requests.
 *
 * Plays the kernel's part without /dev/fuse and without root. A server thread runs libfuse's
 * single-threaded loop; calls block until their reply is there, so a test is a sequence. What the
 * kernel guarantees about framing is kept even for damaged requests: bytes behind a request's end
 * read as zero.
 */
#ifndef ZT_TESTS_LIB_WIRE_H
#define ZT_TESTS_LIB_WIRE_H

#include <linux/fuse.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fuse/fuse_ops.h"

#define WIRE_PID 1 /* the thread that asks */

struct wire {
	int fd; /* the client's end */
	struct fuse_session *se;
	struct transport *transport; /* NULL: libfuse's loop serves */
	pthread_t server;
	uint64_t unique; /* of the last request */
	uint32_t uid, gid; /* who asks */
	uint32_t umask; /* of who asks, for requests that make something */
	struct fuse_init_out init; /* what INIT agreed on */
	/* notifications so far, and what the last one named */
	unsigned nr_notified;
	uint64_t notified_ino;
	int64_t notified_off;
	unsigned nr_invals; /* notifications that attributes have changed, counted meanwhile */
	unsigned nr_page_invals; /* the same about pages */
};

/* One answer. */
struct wire_reply {
	int error; /* 0 or -errno, as the kernel sees it */
	size_t len; /* bytes behind the header */
	const void *data; /* they; valid until the next request of this wire */
};

/**
 * wire_start() - serve @front, and negotiate as a kernel of protocol 7.31 with all features does
 */
void wire_start(struct wire *wire, struct ztfuse *front);

/**
 * wire_start_transport() - the same through our own transport, as a mount does it
 * @offered: what the kernel offers, INIT's flags and flags2; @minor: its protocol's
 */
void wire_start_transport(struct wire *wire, struct ztfuse *front, uint64_t offered,
			  uint32_t minor);

/** wire_stop() - the connection ends, the server thread is joined, the session destroyed */
void wire_stop(struct wire *wire);

/** wire_call() - one request: a fixed part, then a variable one; either may be empty */
struct wire_reply wire_call(struct wire *wire, uint32_t opcode, uint64_t nodeid, const void *fixed,
			    size_t fixed_len, const void *data, size_t data_len);

/**
 * wire_post() - the same for requests without an answer (FORGET); has been served when it returns
 */
void wire_post(struct wire *wire, uint32_t opcode, uint64_t nodeid, const void *fixed,
	       size_t fixed_len, const void *data, size_t data_len);

/**
 * wire_try() - one request of any form, which may have no answer
 * Return: false when it was served without one.
 */
bool wire_try(struct wire *wire, uint32_t opcode, uint64_t nodeid, const void *data,
	      size_t data_len, struct wire_reply *out_reply);

/** wire_interrupt_next_reply() - the next reply finds its request gone, as after a kill: ENOENT */
void wire_interrupt_next_reply(void);

/* Requests by name. Outputs are filled on success; each returns 0 or -errno. */
int wire_lookup(struct wire *wire, uint64_t parent, const char *name,
		struct fuse_entry_out *out_entry);
int wire_mknod(struct wire *wire, uint64_t parent, const char *name, uint32_t mode,
	       struct fuse_entry_out *out_entry);
int wire_mkdir(struct wire *wire, uint64_t parent, const char *name, uint32_t mode,
	       struct fuse_entry_out *out_entry);
int wire_symlink(struct wire *wire, uint64_t parent, const char *name, const char *target,
		 struct fuse_entry_out *out_entry);
int wire_link(struct wire *wire, uint64_t ino, uint64_t parent, const char *name,
	      struct fuse_entry_out *out_entry);
int wire_unlink(struct wire *wire, uint64_t parent, const char *name);
int wire_rmdir(struct wire *wire, uint64_t parent, const char *name);
int wire_rename(struct wire *wire, uint64_t parent, const char *name, uint64_t new_parent,
		const char *new_name, uint32_t flags);
int wire_getattr(struct wire *wire, uint64_t ino, struct fuse_attr *out_attr);
int wire_setattr(struct wire *wire, uint64_t ino, const struct fuse_setattr_in *in,
		 struct fuse_attr *out_attr);
/* Bytes read or written, or -errno. */
long wire_read(struct wire *wire, uint64_t ino, uint64_t off, void *buf, uint32_t size);
long wire_write(struct wire *wire, uint64_t ino, uint64_t off, const void *buf, uint32_t size,
		uint32_t write_flags);
int wire_fallocate(struct wire *wire, uint64_t ino, uint32_t mode, uint64_t off, uint64_t len);
int wire_lseek(struct wire *wire, uint64_t ino, uint64_t off, uint32_t whence, uint64_t *out_off);
int wire_statfs(struct wire *wire, struct fuse_kstatfs *out_st);
void wire_forget(struct wire *wire, uint64_t ino, uint64_t nlookup);

#endif
