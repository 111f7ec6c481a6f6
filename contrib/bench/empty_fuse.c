// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * empty_fuse.c - a FUSE filesystem that does nothing: what is left of a request's time is the kernel's, and the wake-ups'.
 *
 *   empty_fuse MOUNTPOINT    in the foreground; ends when it is unmounted
 *
 * It has names, attributes and sizes in arrays, forgets what is written, and reads zeroes. The kernel is told the same as by ztmpfs (a
 * writeback cache, lifetimes without end, no OPEN), so that it sends the same requests. One thread reads and answers. No hard links.
 */
#define FUSE_USE_VERSION 314

#include <errno.h>
#include <fuse_lowlevel.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NR_MAX     (1u << 20)
#define NR_BUCKETS (1u << 20)
#define FOREVER    1e9
#define READ_MAX   (1u << 20)

/* A node's number is its place; those of removed ones come again. */
struct node {
	struct stat st;
	uint32_t parent, chain; /* of the bucket; of those that are free */
	uint32_t child, before, after; /* of a directory's names; 0: none */
	char *name, *target; /* target: of a symbolic link */
};

static struct node *nodes;
static uint32_t buckets[NR_BUCKETS], nr_used = FUSE_ROOT_ID + 1, first_free;
static char zeroes[READ_MAX];

static uint32_t *bucket_of(uint32_t parent, const char *name)
{
	uint32_t hash = parent * 2654435761u;

	while (*name)
		hash = (hash ^ (unsigned char)*name++) * 16777619u;
	return &buckets[hash % NR_BUCKETS];
}

static uint32_t find(uint32_t parent, const char *name)
{
	uint32_t nr = *bucket_of(parent, name);

	while (nr && (nodes[nr].parent != parent || strcmp(nodes[nr].name, name) != 0))
		nr = nodes[nr].chain;
	return nr;
}

static void answer(fuse_req_t req, uint32_t nr)
{
	const struct fuse_entry_param entry = {
		.ino = nr, .attr = nodes[nr].st, .attr_timeout = FOREVER, .entry_timeout = FOREVER
	};

	fuse_reply_entry(req, &entry);
}

static void do_init(void *arg, struct fuse_conn_info *conn)
{
	(void)arg;
	conn->want |= conn->capable & (FUSE_CAP_WRITEBACK_CACHE | FUSE_CAP_NO_OPEN_SUPPORT |
				       FUSE_CAP_NO_OPENDIR_SUPPORT | FUSE_CAP_READDIRPLUS);
	conn->want &= ~(unsigned)FUSE_CAP_AUTO_INVAL_DATA;
}

static void do_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	const struct fuse_entry_param none = { .entry_timeout = FOREVER };
	const uint32_t nr = find((uint32_t)parent, name);

	if (nr)
		answer(req, nr);
	else
		fuse_reply_entry(req, &none);
}

static void do_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)fi;
	fuse_reply_attr(req, &nodes[ino].st, FOREVER);
}

static void do_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int what,
		       struct fuse_file_info *fi)
{
	struct stat *st = &nodes[ino].st;

	(void)fi;
	if (what & FUSE_SET_ATTR_MODE)
		st->st_mode = (st->st_mode & S_IFMT) | (attr->st_mode & 07777);
	if (what & FUSE_SET_ATTR_UID)
		st->st_uid = attr->st_uid;
	if (what & FUSE_SET_ATTR_GID)
		st->st_gid = attr->st_gid;
	if (what & FUSE_SET_ATTR_SIZE)
		st->st_size = attr->st_size;
	if (what & FUSE_SET_ATTR_ATIME)
		st->st_atim = attr->st_atim;
	if (what & FUSE_SET_ATTR_MTIME)
		st->st_mtim = attr->st_mtim;
	fuse_reply_attr(req, st, FOREVER);
}

/* Return: the new node; 0: no room. */
static uint32_t make(fuse_req_t req, uint32_t parent, const char *name, mode_t mode)
{
	const struct fuse_ctx *ctx = fuse_req_ctx(req);
	uint32_t nr = first_free, *bucket = bucket_of(parent, name);
	char *copy = strdup(name);

	if (!copy || (!nr && nr_used == NR_MAX)) {
		free(copy);
		return 0;
	}
	if (nr)
		first_free = nodes[nr].chain;
	else
		nr = nr_used++;
	nodes[nr] = (struct node){ .parent = parent, .chain = *bucket, .name = copy, .after = nodes[parent].child };
	nodes[nr].st = (struct stat){ .st_ino = nr, .st_mode = mode, .st_nlink = 1, .st_uid = ctx->uid, .st_gid = ctx->gid };
	if (nodes[parent].child)
		nodes[nodes[parent].child].before = nr;
	nodes[parent].child = nr;
	*bucket = nr;
	return nr;
}

static void do_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev)
{
	const uint32_t nr = make(req, (uint32_t)parent, name, mode);

	(void)rdev;
	if (nr)
		answer(req, nr);
	else
		fuse_reply_err(req, ENOSPC);
}

static void do_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	do_mknod(req, parent, name, mode | S_IFDIR, 0);
}

static void do_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
	char *copy = strdup(target);
	const uint32_t nr = copy ? make(req, (uint32_t)parent, name, S_IFLNK | 0777) : 0;

	if (!nr) {
		free(copy);
		fuse_reply_err(req, ENOSPC);
		return;
	}
	nodes[nr].target = copy;
	nodes[nr].st.st_size = (off_t)strlen(copy);
	answer(req, nr);
}

static void do_readlink(fuse_req_t req, fuse_ino_t ino)
{
	fuse_reply_readlink(req, nodes[ino].target);
}

static void do_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	const uint32_t nr = find((uint32_t)parent, name);
	uint32_t *link = bucket_of((uint32_t)parent, name);
	struct node *node = &nodes[nr];

	if (!nr) {
		fuse_reply_err(req, ENOENT);
		return;
	}
	if (node->child) {
		fuse_reply_err(req, ENOTEMPTY);
		return;
	}
	while (*link != nr)
		link = &nodes[*link].chain;
	*link = node->chain;
	if (node->before)
		nodes[node->before].after = node->after;
	else
		nodes[parent].child = node->after;
	if (node->after)
		nodes[node->after].before = node->before;
	free(node->name);
	free(node->target);
	*node = (struct node){ .name = NULL };
	fuse_reply_err(req, 0);
}

/* The kernel knows it no longer, so its number may come again. */
static void forget(fuse_ino_t ino)
{
	if (ino == FUSE_ROOT_ID || nodes[ino].name)
		return;
	nodes[ino].chain = first_free;
	first_free = (uint32_t)ino;
}

static void do_forget(fuse_req_t req, fuse_ino_t ino, uint64_t nr)
{
	(void)nr;
	forget(ino);
	fuse_reply_none(req);
}

static void do_forget_multi(fuse_req_t req, size_t nr, struct fuse_forget_data *all)
{
	for (size_t i = 0; i < nr; i++)
		forget(all[i].ino);
	fuse_reply_none(req);
}

static void do_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t at, struct fuse_file_info *fi)
{
	const off_t left = nodes[ino].st.st_size > at ? nodes[ino].st.st_size - at : 0;

	(void)fi;
	if (size > READ_MAX)
		size = READ_MAX;
	fuse_reply_buf(req, zeroes, left < (off_t)size ? (size_t)left : size);
}

static void do_write_buf(fuse_req_t req, fuse_ino_t ino, struct fuse_bufvec *data, off_t at,
			 struct fuse_file_info *fi)
{
	const size_t size = fuse_buf_size(data);

	(void)fi;
	if (nodes[ino].st.st_size < at + (off_t)size)
		nodes[ino].st.st_size = at + (off_t)size;
	fuse_reply_write(req, size);
}

/* Places in a listing are numbers of nodes, each of which names the next one; 0 begins. */
static void list(fuse_req_t req, fuse_ino_t ino, size_t size, off_t at, int plus)
{
	uint32_t nr = at ? nodes[at].after : nodes[ino].child;
	char *buf = malloc(size);
	size_t used = 0, more;

	if (!buf) {
		fuse_reply_err(req, ENOMEM);
		return;
	}
	for (; nr; nr = nodes[nr].after) {
		const struct fuse_entry_param entry = {
			.ino = nr, .attr = nodes[nr].st, .attr_timeout = FOREVER, .entry_timeout = FOREVER
		};

		more = plus ? fuse_add_direntry_plus(req, buf + used, size - used, nodes[nr].name, &entry, nr)
			    : fuse_add_direntry(req, buf + used, size - used, nodes[nr].name, &entry.attr, nr);
		if (more > size - used)
			break;
		used += more;
	}
	fuse_reply_buf(req, buf, used);
	free(buf);
}

static void do_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t at, struct fuse_file_info *fi)
{
	(void)fi;
	list(req, ino, size, at, 0);
}

static void do_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t at, struct fuse_file_info *fi)
{
	(void)fi;
	list(req, ino, size, at, 1);
}

static void do_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
	(void)ino;
	(void)name;
	(void)size;
	fuse_reply_err(req, ENODATA); /* as of a filesystem that has them */
}

static void do_statfs(fuse_req_t req, fuse_ino_t ino)
{
	const struct statvfs st = { .f_bsize = 4096, .f_frsize = 4096, .f_blocks = 1u << 24, .f_bfree = 1u << 24,
				    .f_bavail = 1u << 24, .f_files = NR_MAX, .f_ffree = NR_MAX, .f_namemax = 255 };

	(void)ino;
	fuse_reply_statfs(req, &st);
}

static void do_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino;
	(void)fi;
	fuse_reply_err(req, ENOSYS); /* and is asked for no more */
}

static const struct fuse_lowlevel_ops ops = {
	.init = do_init,
	.lookup = do_lookup,
	.getattr = do_getattr,
	.setattr = do_setattr,
	.mknod = do_mknod,
	.mkdir = do_mkdir,
	.symlink = do_symlink,
	.readlink = do_readlink,
	.unlink = do_unlink,
	.rmdir = do_unlink,
	.forget = do_forget,
	.forget_multi = do_forget_multi,
	.open = do_open,
	.opendir = do_open,
	.read = do_read,
	.write_buf = do_write_buf,
	.readdir = do_readdir,
	.readdirplus = do_readdirplus,
	.getxattr = do_getxattr,
	.statfs = do_statfs,
};

int main(int argc, char **argv)
{
	static char name[] = "empty_fuse", option[] = "-o", how[] = "default_permissions,fsname=empty";
	char *words[] = { name, option, how };
	struct fuse_args args = FUSE_ARGS_INIT(3, words);
	struct fuse_session *session;
	int status = 1;

	if (argc != 2) {
		fputs("usage: empty_fuse MOUNTPOINT\n", stderr);
		return 2;
	}
	nodes = calloc(NR_MAX, sizeof(*nodes));
	if (!nodes) {
		fputs("empty_fuse: no memory\n", stderr);
		return 1;
	}
	nodes[FUSE_ROOT_ID].st =
		(struct stat){ .st_ino = FUSE_ROOT_ID, .st_mode = S_IFDIR | 0755, .st_nlink = 2, .st_uid = getuid(), .st_gid = getgid() };
	nodes[FUSE_ROOT_ID].name = name;
	session = fuse_session_new(&args, &ops, sizeof(ops), NULL);
	if (session && fuse_set_signal_handlers(session) == 0) {
		if (fuse_session_mount(session, argv[1]) == 0) {
			status = fuse_session_loop(session) < 0;
			fuse_session_unmount(session);
		}
		fuse_remove_signal_handlers(session);
	}
	if (session)
		fuse_session_destroy(session);
	fuse_opt_free_args(&args);
	free(nodes);
	return status;
}
