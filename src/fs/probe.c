// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * probe.c - whether this program could attach to a mount that another process uses. See probe.h.
 *
 * Locks: none. The other process changes what is read meanwhile only where it makes a file's own
 * algorithm; then its name is looked at as it stands.
 */
#include "fs/probe.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "arena/attach.h"
#include "fs/attach_i.h"
#include "fs/super_i.h"

static int take_record(const struct super_small *small, char out[SUPER_RECORD_MAX],
		       uint32_t *out_len)
{
	if (small->size == 0 || small->size > SUPER_RECORD_MAX)
		return -EPROTO;
	memcpy(out, small->data, small->size);
	*out_len = small->size;
	return 0;
}

static int take_terms(const struct super_record *rec, struct super_probe *out, char text[256])
{
	int err = take_record(&rec->small[SUPER_RECORD_INIT_REQUEST], out->request,
			      &out->request_len);

	if (!err)
		err = take_record(&rec->small[SUPER_RECORD_INIT_REPLY], out->reply, &out->reply_len);
	if (err)
		snprintf(text, 256, "the mount does not say what was agreed on with the kernel");
	return err;
}

int super_probe(const struct super *like, const struct super_params *params, int arena_fd,
		char text[256], struct super_probe *out)
{
	_Alignas(struct super_record) char page[ZT_PAGE_SIZE];
	const struct super_record *rec;
	struct super_params adopted = *params;
	const void *found;
	int err = arena_probe(arena_fd, page, text, &found);

	if (err)
		return err;
	rec = found;
	super_format_adopt(rec, &adopted);
	err = super_format_check(rec, &adopted, text);
	if (!err)
		err = super_format_check_codec(&rec->format, like, text);
	if (!err)
		err = blkmap_probe(&rec->map, text);
	return err ? err : take_terms(rec, out, text);
}
