/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * request.h - what a handler can ask about its request beyond libfuse, and how it answers later.
 *
 * Everything here is meant for the thread that runs the handler, while it runs, unless said
 * otherwise. Where requests come without our transport (libfuse's own loop), the questions are
 * answered with "no" and nothing can be held.
 *
 * Answering later, from any thread: the handler calls ztfuse_hold() and, if that gave something,
 * returns without a reply. The request's bytes (the data of a WRITE) stay where they are until the
 * reply. Later somebody replies by libfuse's fuse_reply_...(), and after that calls
 * ztfuse_release(), in this order, and looks at neither in between.
 */
#ifndef ZT_FUSE_REQUEST_H
#define ZT_FUSE_REQUEST_H

#include <stdbool.h>

#include "fs/inode.h"
#include "fuse/fuse_ops.h"

struct request; /* one, with its buffer (channel/request.h) */

/** ztfuse_req_kill_suidgid() - the kernel wants set-ID bits cleared with this WRITE or SETATTR */
bool ztfuse_req_kill_suidgid(fuse_req_t req);

/**
 * ztfuse_req_setid() - the same as the fs layer wants it; FS_SETID_BY_UID for other requests, which
 * do not say
 */
enum fs_setid ztfuse_req_setid(fuse_req_t req);

/** ztfuse_req_is_direct() - this READ or WRITE goes around the page cache */
bool ztfuse_req_is_direct(fuse_req_t req);

/** ztfuse_req_is_tmpfile() - what comes as CREATE is a file without a name (O_TMPFILE) */
bool ztfuse_req_is_tmpfile(fuse_req_t req);

/** ztfuse_req_is_statx() - what comes as GETATTR is STATX, and wants its form of answer */
bool ztfuse_req_is_statx(fuse_req_t req);

/**
 * ztfuse_req_may_wait() - what follows takes long, or waits for the kernel
 * From here on another thread reads requests, if there is one. May be called more than once.
 */
void ztfuse_req_may_wait(fuse_req_t req);

/**
 * ztfuse_reply_buffer() - where @size bytes of data of the reply may stand, page-aligned;
 * ZTFUSE_IO_MAX at most
 * Nothing of the request is read any more. A reply from there is not copied on its way.
 * Return: NULL where requests do not come through our transport.
 */
void *ztfuse_reply_buffer(fuse_req_t req, size_t size);

/**
 * ztfuse_hold() - take over the request and its buffer
 * Return: NULL when as many as there may be are held: the handler answers now, as ever.
 */
struct request *ztfuse_hold(fuse_req_t req);

/**
 * ztfuse_serve_again() - have the handler of a held request run once more, in this thread, and
 * release the request unless it is held again
 * libfuse has forgotten the request: fuse_reply_none(). Any thread but those that serve requests.
 */
void ztfuse_serve_again(struct ztfuse *front, struct request *held);

/**
 * ztfuse_serve_here() - the same for the request that this thread serves, which nobody holds
 * libfuse forgets the request: nobody looks at @req or its bytes afterwards.
 */
void ztfuse_serve_here(fuse_req_t req);

/**
 * ztfuse_forget_begins() - the @nr-th item of a FORGET is about to be done; each in its turn
 * What no kernel sends again is taken out of an inbox after a death: nothing may be forgotten twice.
 * Return: false: an earlier process has done it, or died when it was about to.
 */
bool ztfuse_forget_begins(fuse_req_t req, size_t nr);

/** ztfuse_req_has_worker() - whether another thread can read requests while this one waits */
bool ztfuse_req_has_worker(fuse_req_t req);

/** ztfuse_release() - give both back, after the reply. Any thread; takes the channel's lock. */
void ztfuse_release(struct request *held);

#endif
