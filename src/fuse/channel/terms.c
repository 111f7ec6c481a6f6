// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * terms.c - what was agreed on in INIT, for the process that comes after. See terms.h, channel.h.
 *
 * The kernel sends INIT once in a mount's life. A later process serves the same message again, so
 * that libfuse and the shim are in the state in which they were, and sees to it that it would have
 * answered alike.
 *
 * Locks: none; before there are threads.
 */
#include "fuse/channel/terms.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fuse/channel/channel_i.h"
#include "fuse/channel/intake.h"
#include "fuse/channel/workers.h"

void terms_note_request(struct channel_terms *terms, const void *msg, size_t len)
{
	const struct fuse_in_header *header = msg;

	if (len < sizeof(*header) || header->opcode != FUSE_INIT)
		return;
	/* A later version of it is answered with the one that is known, and comes again. */
	terms->request_len = terms->reply_len = 0;
	if (len > sizeof(terms->request))
		return;
	memcpy(terms->request, msg, len);
	terms->request_len = (uint32_t)len;
}

void terms_note_reply(struct channel_terms *terms, const struct iovec *iov, int count)
{
	uint32_t len = 0;

	for (int i = 0; i < count; i++) {
		if (len + iov[i].iov_len > sizeof(terms->reply))
			return;
		memcpy(terms->reply + len, iov[i].iov_base, iov[i].iov_len);
		len += (uint32_t)iov[i].iov_len;
	}
	terms->reply_len = len;
}

int channel_get_terms(const struct channel *ch, struct channel_terms *out_terms)
{
	if (ch->first.request_len == 0 || ch->first.reply_len == 0)
		return -EPROTO;
	*out_terms = ch->first;
	return 0;
}

bool channel_resends(const struct channel *ch)
{
#ifdef ZT_DEBUG
	/* For tests: as a kernel that cannot. */
	if (getenv("ZT_INBOX"))
		return false;
#endif
	return ch->terms.offered & PROTO_HAS_RESEND;
}

int channel_replay_terms(struct channel *ch, const struct channel_terms *terms, int nowhere)
{
	struct request *req = workers_first_request(ch);

	if (terms->request_len > sizeof(terms->request))
		return -EPROTO;
	memcpy(request_buf(req), terms->request, terms->request_len);
	terms_note_request(&ch->first, terms->request, terms->request_len);
	request_set(req, REQUEST_READING);
	req->fd = nowhere;
	(void)request_serve(ch, req, request_buf(req), terms->request_len);
	if (ch->first.reply_len == 0 || ch->first.reply_len != terms->reply_len ||
	    memcmp(ch->first.reply, terms->reply, terms->reply_len) != 0)
		return -EPROTO;
	return 0;
}

int channel_resend(struct channel *ch, int fd)
{
	struct fuse_out_header header = {
		.len = sizeof(header),
		.error = PROTO_NOTIFY_RESEND,
	};
	struct iovec iov = { &header, sizeof(header) };

	return ch->params.writev(fd, &iov, 1, ch->arg) < 0 ? -errno : 0;
}
