// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * session_probe.c - whether this program could go on with a mount that another one serves. See
 * session.h.
 *
 * It makes an empty mount with the same options, and agrees with a kernel that is not there. So all is
 * tried but the contents: options, algorithms, modules, terms. Of the mount's memory the first page is
 * read.
 *
 * Locks: none; one thread.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "daemon/session_i.h"
#include "fs/probe.h"
#include "util/alloc.h"

static int agree(struct session *s, const struct super_probe *found, const struct survive *survive,
		 struct options_error *error)
{
	struct channel_terms terms = { .request_len = found->request_len,
				       .reply_len = found->reply_len };
	int res;

	memcpy(terms.request, found->request, found->request_len);
	memcpy(terms.reply, found->reply, found->reply_len);
	res = session_make_transport(s);
	if (!res)
		res = transport_replay(s->transport, &terms);
	if (res)
		ERR_PRINTF(error, "it would agree with the kernel on something else: %s",
			   strerror(-res));
	if (!res && survive->inbox_fd >= 0 && !transport_fits_inbox(s->transport, survive->inbox_fd)) {
		ERR_PRINTF(error, "it keeps requests in another form");
		res = -EPROTO;
	}
	fuse_session_destroy(s->se);
	transport_destroy(s->transport);
	return res;
}

static int probe(struct session *s, const struct survive *survive, struct options_error *error)
{
	struct super_params params = s->options->super;
	struct super_probe found;
	char text[256] = "";
	int res;

	params.mem_beside = session_plan_transport(s);
	session_put_dict(s, &params);
	params.content.background = false;
	res = super_create(&params, text, &s->sb);
	if (!res) {
		res = super_probe(s->sb, &params, survive->arena_fd, text, &found);
		if (!res)
			res = session_create_front(s, error);
		if (!res) {
			res = agree(s, &found, survive, error);
			ztfuse_exit(&s->front);
		}
		super_destroy(s->sb);
	}
	if (res && *text != '\0')
		ERR_PRINTF(error, "%s", text);
	return res;
}

int session_probe(const struct options *options, const struct survive *survive,
		  struct options_error *error)
{
	struct session *s = zt_zalloc(sizeof(*s));
	int res = 0;

	ERR_PRINTF(error, "%s", strerror(ENOMEM));
	if (!s)
		return -ENOMEM;
	s->options = options;
	if (options->dict_path)
		res = survive_load_dict(survive, error, &s->dict, &s->dict_size);
	if (!res)
		res = probe(s, survive, error);
	zt_free(s->dict);
	zt_free(s);
	return res;
}
