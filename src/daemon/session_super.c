// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * session_super.c - the filesystem of a session: made, loaded, or taken over. See session_i.h.
 *
 * Locks: none; before there are threads.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "daemon/dict.h"
#include "daemon/session_i.h"
#include "fuse/again.h"

void session_go_without_keeper(struct session *s, const struct options_error *why)
{
	s->why_not_kept = *why;
	again_unwatch();
	s->front.ledger = NULL;
	again_watch(&s->front);
	s->front.upgrade = NULL;
	s->survive = NULL; /* it is its maker's, who waits for the end of this session */
}

/* A new one, one out of an image, or the one that an earlier process has left. */
static int open_super(struct session *s, const struct super_params *params,
		      struct options_error *error)
{
	char text[256] = "";
	int res, fd;

	if (!s->survive || !s->survive->resumed)
		return mount_image_load(&s->image, s->options, params, error, &s->sb);
	/* A descriptor of its own, so that what it holds stays when this fails. */
	fd = fcntl(s->survive->arena_fd, F_DUPFD_CLOEXEC, 0);
	res = fd < 0 ? -errno : mount_image_resume(&s->image, s->options, params, fd, text, &s->sb);
	if (!res)
		return 0;
	ERR_PRINTF(error, "%s", *text != '\0' ? text : strerror(-res));
	if (fd >= 0)
		close(fd);
	return res;
}

void session_put_dict(const struct session *s, struct super_params *params)
{
	if (!s->dict)
		return;
	params->content.comp.dict = s->dict;
	params->content.comp.dict_size = s->dict_size;
}

static int load_dict(struct session *s, struct options_error *error)
{
	struct survive *survive = s->survive;

	if (survive && survive->resumed)
		return survive_load_dict(survive, error, &s->dict, &s->dict_size);
	return dict_load(s->options->dict_path, error, &s->dict, &s->dict_size);
}

/* With a keeper, if there may be one. */
static int open_super_at_all(struct session *s, struct super_params *params,
			     struct options_error *error)
{
	int res;

	params->outlives = s->survive && s->options->swap;
	res = open_super(s, params, error);
	if (!res || !params->outlives || s->survive->resumed ||
	    s->options->survive_when != OPTION_SURVIVE_AUTO)
		return res;
	session_go_without_keeper(s, error);
	params->outlives = false;
	return open_super(s, params, error);
}

int session_create_super(struct session *s, uint64_t mem_beside, struct options_error *error)
{
	struct super_params params = s->options->super;
	int res = 0;

	params.mem_beside = mem_beside;
	if (s->options->dict_path)
		res = load_dict(s, error);
	if (res)
		return res;
	session_put_dict(s, &params);
	params.content.spill_fd = s->spill.fd;
	params.content.spill_size = s->spill.size;
	params.content.spill_key = s->spill.key;
	res = open_super_at_all(s, &params, error);
	if (res)
		return res;
	if (s->options->noswap)
		res = super_lock_memory(s->sb);
	if (res) {
		ERR_PRINTF(error, "option noswap: cannot lock memory (CAP_IPC_LOCK): %s",
			   strerror(-res));
		super_destroy(s->sb);
	}
	return res;
}
