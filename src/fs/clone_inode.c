// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * clone_inode.c - one inode of a tree that is cloned. See clone_i.h.
 *
 * Attributes are copied and a file is shared in rounds. Between two of them others may write to it: whoever
 * changes attributes or what a file contains says so (inode_changes()), and the copy begins anew.
 *
 * Locks: the original's inode, exclusive, so that nothing changes in a round. The copy's is not
 * taken: nobody knows it, and it may be the same one.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "fs/clone_i.h"
#include "fs/clone.h"
#include "fs/xattr_i.h"
#include "util/alloc.h"

/* So often a copy begins anew before it is made in one piece. */
#define TRIES_MAX 3u
/* Clusters between two looks at the clock. */
#define SHARE_UNITS 64u

/* The copying of one inode, in rounds. */
struct copying {
	struct work *work;
	const struct fs_asker *asker;
	struct clone_source source;
	ino_nr parent;
	bool top;
	struct clone_copy copy; /* ino 0: not made yet */
	struct xattr_copy xattrs; /* that are copied */
	bool has_xattrs; /* all of them */
	bool stale; /* what was copied before is still to be cut away */
	uint64_t at; /* bytes that are shared */
	bool watches; /* inode_lock.nr_watching has this one */
	unsigned changes; /* of the original's lock, when the copying began */
	unsigned tries;
};

/* The new inode ----------------------------------------------------------- */

/* What cp(1) gives its user: his own files as they are, others' without what takes their rights. */
static void set_owner(const struct fs_asker *asker, const struct inode_rec *from,
		      struct inode_init *init)
{
	init->mode = rec_load(&from->mode);
	init->uid = rec_load(&from->uid);
	init->gid = rec_load(&from->gid);
	if (asker->privileged)
		return;
	if (init->uid != asker->uid)
		init->mode &= ~(mode_t)(S_ISUID | S_ISGID);
	init->uid = asker->uid;
	if (!asker_in_group(asker, init->gid)) {
		init->gid = asker->gid;
		init->mode &= ~(mode_t)S_ISGID;
	}
}

static bool xattr_is(const struct xattr_view *view, const char *name)
{
	return view->name_len == strlen(name) && memcmp(view->name, name, view->name_len) == 0;
}

/* What others may give to files of their own, too. */
static bool is_for_all(void *arg, const struct xattr_view *view)
{
	static const char user[] = "user.";

	(void)arg;
	return (view->name_len > strlen(user) && memcmp(view->name, user, strlen(user)) == 0) ||
	       xattr_is(view, XATTR_ACL_ACCESS) || xattr_is(view, XATTR_ACL_DEFAULT);
}

/* A block at a time. */
static int copy_xattrs(struct copying *c, const struct inode_rec *from, struct zt_round *round)
{
	int err = 0;

	while (!err) {
		err = xattr_copy_block(c->work->sb, from, c->copy.rec, &c->xattrs,
				       c->asker->privileged ? NULL : is_for_all, NULL);
		if (!err && zt_round_spent(round, ZT_ROUND_UNITS))
			err = -EAGAIN;
	}
	if (err < 0)
		return err;
	c->has_xattrs = true;
	return 0;
}

static unsigned flags_for(const struct copying *c, const struct inode_rec *from)
{
	unsigned flags = rec_load(&from->flags) & (INODE_CHATTR | INODE_XATTR_HINTS);

	if (!c->asker->privileged)
		flags &= ~INODE_HAS_CAPABILITY;
	if (c->top || !c->asker->privileged)
		flags &= ~(unsigned)(INODE_IMMUTABLE | INODE_APPEND);
	return flags;
}

static int make_copy(struct copying *c, struct inode_rec *from)
{
	struct super *sb = c->work->sb;
	struct inode_init init = {
		.parent = c->parent,
		.cluster_order = rec_load(&from->cluster_order),
		.dir = from,
		.is_copy = true,
	};
	const bool is_device = S_ISCHR(from->mode) || S_ISBLK(from->mode);
	int err;

	set_owner(c->asker, from, &init);
	if (is_device && !c->asker->privileged)
		return -EPERM;
	init.rdev = is_device ? (dev_t)from->rdev : 0;
	if (S_ISLNK(from->mode)) {
		init.target = zs_data(sb->arena, from->tree_word);
		init.target_len = from->size;
	}
	err = inode_alloc(sb, &init, &c->copy.ino, &c->copy.rec);
	if (err) {
		c->copy.ino = 0;
		return err;
	}
	c->copy.source_links = rec_load(&from->nlink);
	return 0;
}

/* Of this moment, as the rest; what an ACL or a write would change comes last, too. */
static void finish_copy(struct copying *c, const struct inode_rec *from)
{
	struct inode_rec *to = c->copy.rec;
	struct inode_init init;

	set_owner(c->asker, from, &init);
	rec_store(&to->mode, (uint16_t)init.mode);
	rec_store(&to->uid, init.uid);
	rec_store(&to->gid, init.gid);
	if (S_ISREG(from->mode))
		rec_store(&to->size, rec_load(&from->size));
	rec_store(&to->times[FS_ATIME], rec_load(&from->times[FS_ATIME]));
	rec_store(&to->times[FS_MTIME], rec_load(&from->times[FS_MTIME]));
	rec_store(&to->flags, (uint16_t)(rec_load(&to->flags) | flags_for(c, from)));
}

/* Contents ---------------------------------------------------------------- */

/* One cluster as bytes: what lies behind the end, or does not fold, is not shared. */
static int copy_cluster(struct copying *c, const struct blkmap_file *from,
			const struct blkmap_file *to, size_t len)
{
	struct blkmap *map = c->work->sb->map;
	char *buf = zt_alloc_aligned(64, len);
	size_t done;
	int err;

	if (!buf)
		return -ENOMEM;
	err = blkmap_read(map, from, c->at, buf, len);
	if (!err)
		err = blkmap_write(map, to, &(struct blkmap_bytes){ c->at, buf, len, ZSTRM_DEFAULT },
				   &done);
	zt_free(buf);
	return err;
}

static int share_some(struct copying *c, const struct blkmap_file *from,
		      const struct blkmap_file *to, uint64_t len)
{
	const uint64_t cluster = (uint64_t)ZT_PAGE_SIZE << from->order;
	struct blkmap *map = c->work->sb->map;
	struct blkmap_copy copy = { .from = from,
				    .to = to,
				    .from_off = c->at,
				    .to_off = c->at,
				    .len = min_u64(len, SHARE_UNITS * cluster) };
	uint64_t done = 0;
	int err = blkmap_share(map, &copy, &done);

	c->at += done;
	if (err != -EAGAIN)
		return err;
	copy.len = min_u64(len - done, cluster);
	copy.from_off = copy.to_off = c->at;
	done = 0;
	err = blkmap_fold(map, from, c->at);
	if (!err)
		err = blkmap_share(map, &copy, &done);
	if (err == -EAGAIN)
		err = copy_cluster(c, from, to, copy.len);
	if (!err)
		c->at += copy.len;
	return err;
}

/* On to the next cluster that has data. Return: 0; -ENXIO: there is none; -EAGAIN. */
static int skip_hole(struct copying *c, struct blkmap_file *from, uint64_t size,
		     struct zt_round *round)
{
	const uint64_t cluster = (uint64_t)ZT_PAGE_SIZE << from->order;
	struct blkmap_file file = *from;
	uint64_t data;
	int err;

	file.round = round;
	err = blkmap_seek(c->work->sb->map, &file, size, c->at, SEEK_DATA, &data);
	if (!err)
		c->at = data / cluster * cluster;
	else if (err == -EAGAIN)
		c->at = round->at / cluster * cluster;
	return err;
}

/* @round: NULL: all of it. Return: 0; -EAGAIN the round is over. */
static int share_content(struct copying *c, struct inode_rec *from, struct zt_round *round)
{
	struct super *sb = c->work->sb;
	struct blkmap_file from_file = inode_file(from);
	const uint64_t size = rec_load(&from->size);
	int err = 0;

	while (!err && c->at < size) {
		struct blkmap_file to_file;

		err = skip_hole(c, &from_file, size, round);
		if (err == -ENXIO)
			return 0;
		if (!err)
			err = file_prepare(sb, c->copy.rec, c->at, size - c->at, NULL);
		to_file = inode_file(c->copy.rec);
		if (!err)
			err = share_some(c, &from_file, &to_file, size - c->at);
		if (!err && c->at < size && zt_round_spent(round, ZT_ROUND_UNITS))
			err = -EAGAIN;
	}
	return err;
}

/* What others have changed meanwhile makes of the copy one of no moment. Return: 0; -EAGAIN; others. */
static int begin_anew(struct copying *c, struct zt_round *round)
{
	struct inode_lock *lock = inode_lock_of(c->work->sb, c->source.ino);
	struct blkmap_file to = inode_file(c->copy.rec);
	int err = 0;

	if (!c->watches) {
		lock->nr_watching++;
	} else if (c->changes != atomic_load(&lock->changes)) {
		c->tries += !c->stale;
		c->stale = true;
	}
	c->watches = true;
	c->changes = atomic_load(&lock->changes);
	if (!c->stale)
		return 0;
	to.round = round;
	if (inode_is_reg(c->copy.rec))
		err = blkmap_truncate(c->work->sb->map, &to, 0);
	if (err)
		return err;
	xattr_free(c->work->sb, c->copy.rec);
	c->xattrs = (struct xattr_copy){ 0 };
	c->has_xattrs = c->stale = false;
	c->at = 0;
	return 0;
}

/* With the original's lock. */
static int copy_content(struct copying *c, struct inode_rec *from, struct zt_round *round)
{
	int err = 0;

	round->at = c->at;
	if (inode_tail_is_dirty(from))
		err = inode_cut(c->work->sb, from, from->size, round);
	return err ? err : share_content(c, from, c->tries < TRIES_MAX ? round : NULL);
}

/* Attributes and contents. */
static int copy_rest(struct copying *c, struct inode_rec *from)
{
	struct zt_round *round = work_round(c->work);
	int err = begin_anew(c, round);

	if (!err && !c->has_xattrs)
		err = copy_xattrs(c, from, c->tries < TRIES_MAX ? round : NULL);
	if (!err && inode_is_reg(from))
		err = copy_content(c, from, round);
	return err;
}

static void stop_watching(struct copying *c)
{
	if (c->watches)
		inode_lock_of(c->work->sb, c->source.ino)->nr_watching--;
	c->watches = false;
}

/* One inode --------------------------------------------------------------- */

/* cp(1) opens what has contents, and makes the others anew. */
static unsigned needs(mode_t mode)
{
	if (S_ISDIR(mode))
		return ACCESS_READ | ACCESS_EXEC;
	return S_ISREG(mode) ? ACCESS_READ : 0;
}

static int copy_once(struct copying *c)
{
	struct super *sb = c->work->sb;
	struct inode_rec *from;
	int err = 0;

	inode_lock(sb, c->source.ino);
	from = inode_get(sb, c->source.ino);
	if (!from || from->generation != c->source.generation)
		err = -ESTALE;
	else if (!inode_allows(sb, from, c->asker, needs(from->mode)))
		err = -EACCES;
	if (!err && !c->copy.ino)
		err = make_copy(c, from);
	if (!err)
		err = copy_rest(c, from);
	if (!err)
		finish_copy(c, from);
	/* Before somebody else can have this number. */
	if (err != -EAGAIN && err != -ENOSPC && err != -ENOMEM)
		stop_watching(c);
	inode_unlock(sb, c->source.ino);
	return err;
}

static int copy_rounds(struct copying *c)
{
	int err;

	do {
		err = copy_once(c);
	} while (err == -EAGAIN && (err = work_pause(c->work, c->source.ino)) == -EAGAIN);
	return err;
}

static void give_up(struct copying *c)
{
	struct super *sb = c->work->sb;

	inode_lock(sb, c->source.ino);
	stop_watching(c);
	inode_unlock(sb, c->source.ino);
	if (c->copy.ino)
		inode_free(sb, c->copy.ino, c->copy.rec);
}

int clone_inode(struct work *work, const struct fs_asker *asker, const struct clone_source *source,
		ino_nr parent, bool top, struct clone_copy *out)
{
	struct copying c = { .work = work,
			     .asker = asker,
			     .source = *source,
			     .parent = parent,
			     .top = top };
	struct super_retry retry = super_retry_begin();
	int err;

	do {
		err = copy_rounds(&c);
	} while (super_retry(work->sb, err, &retry));
	if (err)
		give_up(&c);
	else
		*out = c.copy;
	return err;
}
