// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * clone_inode.c - one inode of a tree that is cloned. See clone_i.h.
 *
 * Attributes are copied and a file is shared in rounds. Between two of them others may change both. Whoever
 * changes attributes says so (inode_changes()), and their copying begins anew; for contents see
 * clone_content.c.
 *
 * Locks: the original's inode, exclusive, so that nothing changes in a round. The copy's is not
 * taken: nobody knows it, and it may be the same one.
 */
#include <errno.h>
#include <string.h>

#include "fs/clone_i.h"
#include "fs/clone.h"
#include "fs/xattr_i.h"

/* So often the copying of attributes begins anew before it is done in one piece. */
#define TRIES_MAX 3u

/* The copying of one inode, in rounds. */
struct copying {
	struct work *work;
	const struct fs_asker *asker;
	struct clone_source source;
	ino_nr parent;
	bool top;
	struct clone_copy copy; /* ino 0: not made yet */
	struct clone_content content; /* of a file */
	struct xattr_copy xattrs; /* that are copied */
	bool has_xattrs; /* all of them */
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
	c->content = clone_content_begin(sb, c->source.ino, c->copy.rec);
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

/* What others have changed meanwhile makes of attributes that were copied some of no moment. */
static void begin_anew(struct copying *c)
{
	struct inode_lock *lock = inode_lock_of(c->work->sb, c->source.ino);

	if (!c->watches) {
		lock->nr_watching++;
	} else if (c->changes != atomic_load(&lock->changes)) {
		c->tries++;
		xattr_free(c->work->sb, c->copy.rec);
		c->xattrs = (struct xattr_copy){ 0 };
		c->has_xattrs = false;
	}
	c->watches = true;
	c->changes = atomic_load(&lock->changes);
}

/* Attributes and contents. */
static int copy_rest(struct copying *c, struct inode_rec *from)
{
	struct zt_round *round = work_round(c->work);
	int err = 0;

	begin_anew(c);
	if (!c->has_xattrs)
		err = copy_xattrs(c, from, c->tries < TRIES_MAX ? round : NULL);
	if (!err && inode_is_reg(from))
		err = clone_content(&c->content, from, round);
	return err;
}

/* Whether there is another try, after which others may have changed something. */
static bool goes_on(int err)
{
	return err == -EAGAIN || err == -ENOSPC || err == -ENOMEM || err == -EREMOTE;
}

static void stop_watching(struct copying *c)
{
	if (c->watches)
		inode_lock_of(c->work->sb, c->source.ino)->nr_watching--;
	c->watches = false;
	clone_content_end(&c->content);
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
	if (!goes_on(err))
		stop_watching(c);
	else if (c->copy.ino && inode_is_reg(from) && clone_content_watch(&c->content, from))
		err = -ENOMEM;
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
	struct copying c = {
		.work = work, .asker = asker, .source = *source, .parent = parent, .top = top
	};
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
