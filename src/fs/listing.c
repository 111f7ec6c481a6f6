// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * listing.c - what is in an image, name by name. See listing.h.
 *
 * The walk keeps the names of the directories on its way, and for each directory and each inode with
 * several names where its first one stands. Paths are put together when they are told: a path for each
 * would be as much as the square of what a deep tree has.
 *
 * Locks: those of what is called; nobody else uses the mount.
 */
#include "fs/listing.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fs/attach_i.h"
#include "fs/dir.h"
#include "fs/image.h"
#include "fs/namei.h"
#include "util/alloc.h"
#include "util/keyhash.h"

/* A name where it stands in the arena. */
struct name {
	const char *text;
	unsigned len;
	ino_nr ino; /* what it leads to */
};

/* A directory on the way: its names, in order. */
struct level {
	ino_nr ino;
	struct name *names;
	size_t nr, most, at;
	size_t path_len; /* of the directory's own path */
};

/* Where the first name of an inode stands. */
struct place {
	struct name name; /* ino 0: none */
	ino_nr dir;
};

struct text {
	char *bytes;
	size_t most;
};

struct listing {
	struct super *sb;
	struct image_header header;
	struct level *levels;
	size_t nr_levels, most_levels;
	struct place *places; /* a hash table, at most half full */
	size_t nr_places, most_places;
	struct text path, first;
	char target[FS_SYMLINK_MAX + 1];
};

/* Texts ------------------------------------------------------------------- */

/* Space for @len bytes and a NUL. */
static int text_fit(struct text *text, size_t len)
{
	while (text->most <= len) {
		char *more = zt_grow(text->bytes, 1, 256, &text->most);

		if (!more)
			return -ENOMEM;
		text->bytes = more;
	}
	return 0;
}

/* The path of what has @name in a directory whose path is @dir_len bytes long. */
static int path_put(struct listing *listing, size_t dir_len, const struct name *name,
		    size_t *out_len)
{
	const size_t at = dir_len + (dir_len > 0), len = at + name->len;
	int err = text_fit(&listing->path, len);

	if (err)
		return err;
	if (dir_len > 0)
		listing->path.bytes[dir_len] = '/';
	memcpy(listing->path.bytes + at, name->text, name->len);
	listing->path.bytes[len] = '\0';
	*out_len = len;
	return 0;
}

/* Places ------------------------------------------------------------------ */

static struct place *place_find(const struct listing *listing, ino_nr ino)
{
	const size_t mask = listing->most_places - 1;
	size_t at = keyhash_word(&listing->sb->hash_key, ino) & mask;

	while (listing->places[at].name.ino != 0 && listing->places[at].name.ino != ino)
		at = (at + 1) & mask;
	return &listing->places[at];
}

static int places_grow(struct listing *listing)
{
	struct place *old = listing->places;
	const size_t most = listing->most_places;

	listing->most_places = most ? 2 * most : 256;
	listing->places = zt_map(listing->most_places * sizeof(*old));
	if (!listing->places) {
		listing->places = old;
		listing->most_places = most;
		return -ENOMEM;
	}
	for (size_t i = 0; i < most; i++)
		if (old[i].name.ino != 0)
			*place_find(listing, old[i].name.ino) = old[i];
	zt_unmap(old, most * sizeof(*old));
	return 0;
}

/* @out: the place of its first name; empty: this is that. */
static int place_get(struct listing *listing, ino_nr ino, struct place **out)
{
	int err = 2 * listing->nr_places >= listing->most_places ? places_grow(listing) : 0;

	if (!err)
		*out = place_find(listing, ino);
	return err;
}

static void place_set(struct listing *listing, struct place *place, ino_nr dir,
		      const struct name *name)
{
	*place = (struct place){ .name = *name, .dir = dir };
	listing->nr_places++;
}

/* Above the root there is none. */
static const struct place *place_above(const struct listing *listing, const struct place *place)
{
	return place->dir == FS_ROOT_INO ? NULL : place_find(listing, place->dir);
}

/* The path of a place, from its end to its beginning. */
static int first_path(struct listing *listing, const struct place *place, const char **out_path)
{
	size_t len = 0;
	char *at;
	int err;

	for (const struct place *on = place; on; on = place_above(listing, on))
		len += on->name.len + 1;
	err = text_fit(&listing->first, len);
	if (err)
		return err;
	at = listing->first.bytes + len;
	for (const struct place *on = place; on; on = place_above(listing, on)) {
		*--at = on == place ? '\0' : '/';
		at -= on->name.len;
		memcpy(at, on->name.text, on->name.len);
	}
	*out_path = at;
	return 0;
}

/* Levels ------------------------------------------------------------------ */

static int name_cmp(const void *a, const void *b)
{
	const struct name *x = a, *y = b;
	const int differs = memcmp(x->text, y->text, min_u64(x->len, y->len));

	return differs ? differs : (x->len > y->len) - (x->len < y->len);
}

struct gather {
	struct level *level;
	int err;
};

/* dir_visit_fn */
static bool gather_name(void *arg, const struct dir_entry *entry, const char *name, unsigned len)
{
	struct gather *gather = arg;
	struct level *level = gather->level;

	if (level->nr == level->most) {
		void *more = zt_grow(level->names, sizeof(*level->names), 16, &level->most);

		if (!more) {
			gather->err = -ENOMEM;
			return false;
		}
		level->names = more;
	}
	level->names[level->nr++] = (struct name){ .text = name, .len = len, .ino = entry->ino };
	return true;
}

static int level_push(struct listing *listing, ino_nr ino, size_t path_len)
{
	struct gather gather = { .err = 0 };
	struct dir dir;
	int err = dir_open(listing->sb, ino, &dir);

	if (!err && listing->nr_levels == listing->most_levels) {
		void *more = zt_grow(listing->levels, sizeof(*listing->levels), 64,
				     &listing->most_levels);

		if (more)
			listing->levels = more;
		else
			err = -ENOMEM;
	}
	if (err)
		return err;
	gather.level = &listing->levels[listing->nr_levels++];
	*gather.level = (struct level){ .ino = ino, .path_len = path_len };
	dir_walk(&dir, DIR_POS_END, gather_name, &gather);
	if (!gather.err && gather.level->nr > 1)
		qsort(gather.level->names, gather.level->nr, sizeof(struct name), name_cmp);
	return gather.err;
}

static void level_pop(struct listing *listing)
{
	zt_free(listing->levels[--listing->nr_levels].names);
}

/* All that a walk has noted. */
static void forget(struct listing *listing)
{
	while (listing->nr_levels > 0)
		level_pop(listing);
	zt_unmap(listing->places, listing->most_places * sizeof(*listing->places));
	listing->places = NULL;
	listing->nr_places = listing->most_places = 0;
}

/* The walk ---------------------------------------------------------------- */

static int fill(struct listing *listing, ino_nr ino, struct listed *out)
{
	int err = fs_getattr(listing->sb, ino, &out->attr);

	if (!err)
		err = fs_file_stat(listing->sb, ino, &out->usage);
	if (!err && S_ISLNK(out->attr.st_mode)) {
		err = fs_readlink(listing->sb, ino, listing->target);
		out->target = listing->target;
	}
	return err;
}

/* Directories have one name, which those below it are told by. */
static int note_place(struct listing *listing, ino_nr dir, const struct name *name,
		      struct listed *file)
{
	struct place *place;
	int err;

	if (!S_ISDIR(file->attr.st_mode) && file->attr.st_nlink < 2)
		return 0;
	err = place_get(listing, name->ino, &place);
	if (err)
		return err;
	if (place->name.ino != 0)
		return first_path(listing, place, &file->first);
	place_set(listing, place, dir, name);
	return 0;
}

/* The next name of the lowest level. Return: 0; 1: @each wants no more. */
static int tell_next(struct listing *listing, listing_fn each, void *arg)
{
	struct level *level = &listing->levels[listing->nr_levels - 1];
	const struct name *name = &level->names[level->at++];
	struct listed file = { .path = NULL };
	size_t len;
	int err = fill(listing, name->ino, &file);

	if (!err)
		err = note_place(listing, level->ino, name, &file);
	if (!err)
		err = path_put(listing, level->path_len, name, &len);
	if (err)
		return err;
	file.path = listing->path.bytes;
	if (!each(arg, &file))
		return 1;
	return S_ISDIR(file.attr.st_mode) ? level_push(listing, name->ino, len) : 0;
}

int listing_each(struct listing *listing, listing_fn each, void *arg)
{
	struct listed root = { .path = "." };
	int err = fill(listing, FS_ROOT_INO, &root);

	if (err || !each(arg, &root))
		return err;
	err = level_push(listing, FS_ROOT_INO, 0);
	while (!err && listing->nr_levels > 0) {
		const struct level *level = &listing->levels[listing->nr_levels - 1];

		if (level->at < level->nr)
			err = tell_next(listing, each, arg);
		else
			level_pop(listing);
	}
	forget(listing);
	return err > 0 ? 0 : err;
}

/* Life -------------------------------------------------------------------- */

int listing_open(int fd, const char *name, char text[256], struct listing **out_listing)
{
	struct listing *listing = zt_zalloc(sizeof(*listing));
	struct image_pages *pages = NULL;
	int err = -ENOMEM;

	snprintf(text, 256, "no memory");
	if (!listing)
		return err;
	err = image_pages_open(fd, name, false, text, &pages);
	if (!err) {
		listing->header = *image_header(image_pages_image(pages));
		err = super_borrow_names(pages, text, &listing->sb);
	}
	if (err) {
		image_pages_close(pages);
		zt_free(listing);
		return err;
	}
	*out_listing = listing;
	return 0;
}

const struct image_header *listing_header(const struct listing *listing)
{
	return &listing->header;
}

void listing_close(struct listing *listing)
{
	if (!listing)
		return;
	forget(listing);
	zt_free(listing->levels);
	zt_free(listing->path.bytes);
	zt_free(listing->first.bytes);
	super_leave(listing->sb, false, NULL);
	zt_free(listing);
}
