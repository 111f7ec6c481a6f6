// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * clone.c - a copy of a whole tree at once. See clone.h.
 *
 * The tree is walked without recursion: directories that are still to be listed stand on a stack.
 * Some entries are noted under a directory's lock, then copied one by one under their own. What has
 * gone meanwhile is left out, as if it had gone before. Until the last step no name leads to the copy.
 *
 * Locks: one inode at a time; super.rename_lock for the look at the directories above.
 */
#include "fs/clone.h"

#include <errno.h>
#include <string.h>

#include "fs/clone_i.h"
#include "fs/clone_links.h"
#include "fs/dir.h"
#include "fs/namei.h"
#include "fs/namei_i.h"
#include "fs/witness.h"
#include "util/alloc.h"

/* Entries noted at a time: a few microseconds. */
#define NR_NOTED 64u

/* Steps up while nobody renames a directory: some ten microseconds. */
#define STEPS_MAX 128u
/* So often the way up is looked for where somebody moves it meanwhile. */
#define BEGIN_TRIES 3u

/* A directory that is not listed to its end. */
struct level {
	struct clone_source from;
	ino_nr to;
	uint64_t below; /* positions that are left */
};

struct noted {
	struct clone_source source;
	char name[FS_NAME_MAX + 1];
};

struct clone {
	struct work work;
	const struct fs_asker *asker;
	const struct fs_clone_request *request;
	struct level *levels;
	size_t nr_levels, max_levels;
	struct clone_links links;
	ino_nr left_out[2]; /* directories; 0: none */
	struct clone_copy top; /* ino 0: not made yet */
	uint64_t nr; /* what was made */
	unsigned nr_noted;
	struct noted noted[NR_NOTED];
};

/* What it may do --------------------------------------------------------- */

/*
 * The kernel checks no right to write for a request of this kind, nor whether the mount may be written
 * by this way. It did both when the directory was made.
 */
static int check_into(struct clone *clone, const struct dir *into)
{
	const uint64_t sb_now = (uint64_t)fs_time_decode(fs_time_now()).tv_sec;
	const uint64_t made = (uint64_t)fs_time_decode(into->rec->times[FS_BTIME]).tv_sec;

	if (rec_load(&into->rec->uid) != clone->asker->uid || made + FS_CLONE_FRESH < sb_now)
		return -EPERM;
	return dir_nr_entries(into) > 0 ? -ENOTEMPTY : 0;
}

/* One directory above: whether it may be searched. Return: the one above it, 0 an error. */
static int step_up(struct clone *clone, ino_nr ino, bool search, ino_nr *out_parent)
{
	struct super *sb = clone->work.sb;
	struct dir dir;
	int err;

	dir_lock_shared(sb, ino);
	err = dir_open(sb, ino, &dir);
	if (!err && dir.rec->nlink == 0)
		err = -ENOENT;
	if (!err && search && !inode_allows(sb, dir.rec, clone->asker, ACCESS_EXEC))
		err = -EACCES;
	if (!err)
		*out_parent = rec_load(&dir.rec->parent);
	inode_unlock(sb, ino);
	return err;
}

/* A way up, with the rename lock. */
struct climb {
	ino_nr ino;
	unsigned depth;
	bool search; /* each must let the asker search it */
};

/*
 * As deep as the asker likes: others rename meanwhile. What is left below stays, since it is not empty; but
 * somebody may have moved it, and then its directory may have gone.
 */
static int let_rename(struct clone *clone, const struct climb *climb)
	ZT_REQUIRES(&clone->work.sb->rename_lock)
{
	struct super *sb = clone->work.sb;
	const uint32_t generation = inode_get(sb, climb->ino)->generation;
	const struct inode_rec *rec;
	int err;

	mutex_unlock(&clone->work.sb->rename_lock);
	err = work_pause(&clone->work, climb->ino);
	mutex_lock_counted(&clone->work.sb->rename_lock, ZT_LOCK_RENAME);
	if (err != -EAGAIN)
		return err;
	inode_lock_shared(sb, climb->ino);
	rec = inode_get(sb, climb->ino);
	err = rec && rec->generation == generation ? 0 : -ESTALE;
	inode_unlock(sb, climb->ino);
	return err;
}

/* Return: 0; 1: it was the root; -ESTALE: the way is another one now; others. */
static int climb_up(struct clone *clone, struct climb *climb)
	ZT_REQUIRES(&clone->work.sb->rename_lock)
{
	ino_nr parent = 0;
	int err = step_up(clone, climb->ino, climb->search, &parent);

	if (err)
		return err;
	if (parent == climb->ino)
		return 1;
	climb->ino = parent;
	return ++climb->depth % STEPS_MAX == 0 ? let_rename(clone, climb) : 0;
}

/* The asker could get at the original by names. With the rename lock. */
static int check_path(struct clone *clone)
	ZT_REQUIRES(&clone->work.sb->rename_lock)
{
	struct climb climb = { .ino = clone->request->from, .search = true };
	int err;

	do {
		err = climb_up(clone, &climb);
	} while (!err);
	return err > 0 ? 0 : err;
}

/* A copy of what it is put into has no end. With the rename lock. @top: the original. */
static int check_apart(struct clone *clone, ino_nr top)
	ZT_REQUIRES(&clone->work.sb->rename_lock)
{
	struct climb climb = { .ino = clone->request->into };
	int err = 0;

	if (climb.ino == top)
		return -EINVAL;
	clone->left_out[0] = climb.ino;
	while (!err && climb.ino != top && climb.ino != FS_ROOT_INO) {
		err = climb_up(clone, &climb);
		if (!err && climb.depth == 1 && clone->request->snapshot)
			clone->left_out[1] = climb.ino;
	}
	if (err || climb.ino != top)
		return err;
	return clone->request->snapshot && clone->left_out[1] != top ? 0 : -EINVAL;
}

/* Copying ----------------------------------------------------------------- */

static int push_level(struct clone *clone, const struct clone_source *from, ino_nr to)
{
	const size_t max = clone->max_levels ? clone->max_levels * 2 : 64;

	if (clone->nr_levels == clone->max_levels) {
		struct level *levels = zt_zalloc(max * sizeof(*levels));

		if (!levels)
			return -ENOMEM;
		if (clone->levels)
			memcpy(levels, clone->levels, clone->nr_levels * sizeof(*levels));
		zt_free(clone->levels);
		clone->levels = levels;
		clone->max_levels = max;
	}
	clone->levels[clone->nr_levels++] =
		(struct level){ .from = *from, .to = to, .below = DIR_POS_END };
	return 0;
}

/* Nobody knows the directory, but its index hangs with others'. */
static int add_name(struct clone *clone, ino_nr parent, const struct noted *noted, ino_nr ino,
		    const struct inode_rec *rec)
{
	struct super *sb = clone->work.sb;
	struct fs_name name;
	struct dir dir;
	int err = fs_name_init(sb, noted->name, &name);

	if (err)
		return err;
	dir_lock(sb, parent);
	err = namei_open_dir(sb, parent, &dir);
	if (!err)
		err = dir_add(&dir, &name, ino, rec_load(&rec->mode) >> 12);
	if (!err && inode_is_dir(rec))
		rec_store(&dir.rec->nlink, dir.rec->nlink + 1);
	inode_unlock(sb, parent);
	return err;
}

/* One more name for what was copied already. */
static int link_again(struct clone *clone, ino_nr parent, const struct noted *noted, ino_nr ino)
{
	struct super *sb = clone->work.sb;
	struct inode_rec *rec = inode_get(sb, ino);
	int err = inode_take_space(sb, INODE_SPACE);

	if (err)
		return err;
	err = add_name(clone, parent, noted, ino, rec);
	if (err)
		inode_give_space(sb, INODE_SPACE);
	else
		rec_store(&rec->nlink, rec->nlink + 1);
	return err;
}

static int copy_entry(struct clone *clone, ino_nr parent, const struct noted *noted)
{
	struct super *sb = clone->work.sb;
	struct clone_copy copy;
	bool is_dir;
	int err = clone_inode(&clone->work, clone->asker, &noted->source, parent, false, &copy);

	if (err)
		return err == -ESTALE ? 0 : err;
	is_dir = inode_is_dir(copy.rec);
	err = add_name(clone, parent, noted, copy.ino, copy.rec);
	if (err) {
		inode_free(sb, copy.ino, copy.rec);
		return err;
	}
	clone->nr++;
	if (is_dir)
		return push_level(clone, &noted->source, copy.ino);
	if (copy.source_links > 1)
		return clone_links_add(&clone->links, &noted->source, copy.ino);
	return 0;
}

static int copy_noted(struct clone *clone, ino_nr parent, const struct noted *noted)
{
	struct super_retry retry = super_retry_begin();
	const ino_nr ino = noted->source.ino;
	ino_nr linked;
	int err;

	if (ino == clone->left_out[0] || ino == clone->left_out[1])
		return 0;
	do {
		linked = clone_links_find(&clone->links, &noted->source);
		if (linked)
			err = link_again(clone, parent, noted, linked);
		else
			err = copy_entry(clone, parent, noted);
	} while (super_retry(clone->work.sb, err, &retry));
	if (!err && linked)
		clone->nr++;
	return err;
}

/* dir_visit_fn, with the lock of the directory: what it names stays. */
static bool note(void *arg, const struct dir_entry *entry, const char *name, unsigned name_len)
{
	struct clone *clone = arg;
	struct noted *noted = &clone->noted[clone->nr_noted];
	struct level *level = &clone->levels[clone->nr_levels - 1];

	noted->source.ino = entry->ino;
	noted->source.generation = inode_get(clone->work.sb, entry->ino)->generation;
	memcpy(noted->name, name, name_len);
	noted->name[name_len] = '\0';
	level->below = entry->pos;
	return ++clone->nr_noted < NR_NOTED;
}

/* The next entries of the directory on top of the stack, or none: it is done. */
static int note_some(struct clone *clone)
{
	struct level *level = &clone->levels[clone->nr_levels - 1];
	struct super *sb = clone->work.sb;
	struct dir dir;
	int err;

	clone->nr_noted = 0;
	dir_lock_shared(sb, level->from.ino);
	err = dir_open(sb, level->from.ino, &dir);
	if (!err && dir.rec->generation != level->from.generation)
		err = -ESTALE;
	if (!err)
		dir_walk(&dir, level->below, note, clone);
	inode_unlock(sb, level->from.ino);
	/* It was removed meanwhile, empty. */
	return err == -ESTALE ? 0 : err;
}

static int copy_levels(struct clone *clone)
{
	int err = 0;

	while (!err && clone->nr_levels > 0) {
		const struct level level = clone->levels[clone->nr_levels - 1];

		err = note_some(clone);
		if (!err && clone->nr_noted < NR_NOTED)
			clone->nr_levels--;
		for (unsigned i = 0; !err && i < clone->nr_noted; i++)
			err = copy_noted(clone, level.to, &clone->noted[i]);
		if (!err && work_pause(&clone->work, level.from.ino) == -EINTR)
			err = -EINTR;
	}
	return err;
}

/* The whole ---------------------------------------------------------------- */

static int source_of(struct super *sb, ino_nr ino, struct clone_source *out)
{
	const struct inode_rec *rec = inode_get(sb, ino);

	if (!rec)
		return -ESTALE;
	*out = (struct clone_source){ .ino = ino, .generation = rec->generation };
	return 0;
}

static int find_source(struct clone *clone, struct clone_source *out)
{
	const struct fs_clone_request *request = clone->request;
	struct super *sb = clone->work.sb;
	struct dir_entry entry = { .ino = request->from };
	struct fs_name name;
	struct dir dir;
	int err;

	dir_lock(sb, request->from);
	err = namei_open_dir(sb, request->from, &dir);
	if (!err && *request->from_name != '\0')
		err = fs_name_init(sb, request->from_name, &name);
	if (err == -EEXIST)
		err = -EINVAL;
	if (!err && *request->from_name != '\0')
		err = dir_find(&dir, &name, &entry);
	if (!err)
		err = source_of(sb, entry.ino, out);
	inode_unlock(sb, request->from);
	return err;
}

static int begin(struct clone *clone, struct clone_source *out_source)
{
	struct super *sb = clone->work.sb;
	struct dir into;
	int err;

	dir_lock_shared(sb, clone->request->into);
	err = dir_open(sb, clone->request->into, &into);
	if (!err)
		err = check_into(clone, &into);
	inode_unlock(sb, clone->request->into);
	if (err)
		return err;
	mutex_lock_counted(&clone->work.sb->rename_lock, ZT_LOCK_RENAME);
	for (unsigned tries = 0; tries < BEGIN_TRIES; tries++) {
		err = check_path(clone);
		if (!err)
			err = find_source(clone, out_source);
		if (!err)
			err = check_apart(clone, out_source->ino);
		if (err != -ESTALE)
			break;
	}
	mutex_unlock(&clone->work.sb->rename_lock);
	return err;
}

static int add_top(struct clone *clone, const struct dir *dir, const struct fs_name *name)
{
	int err;

	witness_intend(clone->top.ino);
	err = dir_add(dir, name, clone->top.ino, clone->top.rec->mode >> 12);
	if (err) {
		witness_intend(0);
		return err;
	}
	if (inode_is_dir(clone->top.rec))
		rec_store(&dir->rec->nlink, dir->rec->nlink + 1);
	inode_touch(dir->rec, INODE_MTIME | INODE_CTIME);
	witness_made(clone->nr);
	return 0;
}

/* Its one name: from here on others may see it. */
static int publish(struct clone *clone)
{
	const struct fs_clone_request *request = clone->request;
	struct super_retry retry = super_retry_begin();
	struct super *sb = clone->work.sb;
	struct dir_entry entry;
	struct fs_name name;
	struct dir dir;
	int err = fs_name_init(sb, request->to_name, &name);

	if (err)
		return err == -EEXIST ? -EINVAL : err;
	do {
		dir_lock(sb, request->into);
		err = namei_open_dir(sb, request->into, &dir);
		if (!err)
			err = dir_find(&dir, &name, &entry) == 0 ? -EEXIST : 0;
		if (!err)
			err = add_top(clone, &dir, &name);
		inode_unlock(sb, request->into);
	} while (super_retry(sb, err, &retry));
	return err;
}

static int run(struct clone *clone)
{
	struct super *sb = clone->work.sb;
	struct clone_source source;
	int err = begin(clone, &source);

	if (!err)
		err = clone_inode(&clone->work, clone->asker, &source, clone->request->into, true,
				  &clone->top);
	if (err)
		return err;
	clone->nr = 1;
	if (inode_is_dir(clone->top.rec))
		err = push_level(clone, &source, clone->top.ino);
	if (!err)
		err = copy_levels(clone);
	if (!err)
		err = publish(clone);
	if (err)
		clone_drop(sb, &clone->top);
	return err;
}

int fs_clone(struct super *sb, const struct fs_asker *asker,
	     const struct fs_clone_request *request, uint64_t *out_nr)
{
	struct clone *clone = zt_zalloc(sizeof(*clone));
	int err;

	if (!clone)
		return -ENOMEM;
	clone->work = work_begin(sb);
	clone->asker = asker;
	clone->request = request;
	err = run(clone);
	*out_nr = err ? 0 : clone->nr;
	clone_links_exit(&clone->links);
	zt_free(clone->levels);
	zt_free(clone);
	super_reap(sb);
	return err;
}
