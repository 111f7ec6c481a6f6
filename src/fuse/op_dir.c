// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * op_dir.c - requests that list directories.
 *
 * On the data path: no. Locks: none here. A listing has no state between requests: the fs layer's
 * cookies say where it goes on, so OPENDIR is answered with ENOSYS, once.
 */
#include <errno.h>
#include <string.h>

#include "fs/namei.h"
#include "fuse/ops.h"
#include "fuse/reply.h"
#include "util/alloc.h"
#include "util/sizes.h"

/* Kernels ask for one page, newer ones for more; they go on where a shorter reply ends. */
#define REPLY_MAX ((size_t)64 * 1024)
/* An entry with attributes has 152 bytes before its name, and a name. */
#define REPLY_MAX_ENTRIES (REPLY_MAX / 152)

/* A reply in the making. */
struct listing {
	fuse_req_t req;
	char *buf;
	size_t used, size; /* bytes */
	bool full; /* an entry did not fit */
	size_t nr_given; /* references that the reply gives to the kernel */
	ino_nr given[REPLY_MAX_ENTRIES];
};

void op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino;
	(void)fi;
	reply_error(req, -ENOSYS);
}

/* libfuse wants names as strings. */
static void name_text(const struct fs_dirent *entry, char text[FS_NAME_MAX + 1])
{
	memcpy(text, entry->name, entry->name_len);
	text[entry->name_len] = '\0';
}

/* Of what was written at the end of the reply. Return: false when that did not fit. */
static bool take(struct listing *list, size_t need)
{
	list->full = need > list->size - list->used;
	if (!list->full)
		list->used += need;
	return !list->full;
}

static bool emit(void *arg, const struct fs_dirent *entry)
{
	struct listing *list = arg;
	const struct stat attr = { .st_ino = entry->ino, .st_mode = entry->type };
	char text[FS_NAME_MAX + 1];

	name_text(entry, text);
	return take(list, fuse_add_direntry(list->req, list->buf + list->used,
					    list->size - list->used, text, &attr,
					    (off_t)entry->next_cookie));
}

static bool emit_plus(void *arg, const struct fs_dirent *entry)
{
	struct listing *list = arg;
	struct fuse_entry_param param;
	char text[FS_NAME_MAX + 1];

	name_text(entry, text);
	if (entry->attributes) {
		entry_param(req_front(list->req), entry->attributes, &param);
	} else {
		/* "." and "..": node id 0 says that there is a name, but no reference. */
		memset(&param, 0, sizeof(param));
		param.attr.st_ino = entry->ino;
		param.attr.st_mode = entry->type;
	}
	if (!take(list, fuse_add_direntry_plus(list->req, list->buf + list->used,
					       list->size - list->used, text, &param,
					       (off_t)entry->next_cookie)))
		return false;
	if (entry->attributes) {
		ZT_ASSERT(list->nr_given < REPLY_MAX_ENTRIES);
		list->given[list->nr_given++] = entry->ino;
	}
	return true;
}

static void list_directory(fuse_req_t req, fuse_ino_t ino, size_t size, off_t cookie, bool plus)
{
	struct super *sb = req_super(req);
	struct listing list = { .req = req, .size = min_u64(size, REPLY_MAX) };
	int error;

	list.buf = zt_alloc_aligned(sizeof(uint64_t), max_u64(list.size, sizeof(uint64_t)));
	if (!list.buf) {
		reply_error(req, -ENOMEM);
		return;
	}
	error = fs_readdir(sb, ino, (uint64_t)cookie, plus, plus ? emit_plus : emit, &list);
	/* An empty reply would say that the directory ends here. */
	if (!error && list.full && list.used == 0)
		error = -EINVAL;
	if (error)
		reply_error(req, error);
	else
		error = fuse_reply_buf(req, list.buf, list.used);
	if (error)
		for (size_t i = 0; i < list.nr_given; i++)
			fs_forget(sb, list.given[i], 1);
	zt_free(list.buf);
}

void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t cookie,
		struct fuse_file_info *fi)
{
	(void)fi;
	list_directory(req, ino, size, cookie, false);
}

void op_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t cookie,
		    struct fuse_file_info *fi)
{
	(void)fi;
	list_directory(req, ino, size, cookie, true);
}
