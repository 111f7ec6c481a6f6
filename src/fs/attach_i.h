/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * attach_i.h - how a mount is found again in its arena, for the files of the fs layer.
 */
#ifndef ZT_FS_ATTACH_I_H
#define ZT_FS_ATTACH_I_H

#include "blkmap/attach.h"
#include "fs/inode_i.h"
#include "fs/super_i.h"

/* super_format_make() - write down what gives the bytes of a new mount their meaning */
void super_format_make(struct super *sb, const struct super_params *params);

/*
 * super_format_adopt() - what was not asked for is left out where the mount was made without
 * super_format_check() - whether the record is one, and these options are those of the mount
 * super_format_check_codec() - the same of compress=, once the block map is there: by the name that
 * the algorithm has, not by that of a module's file
 * Return: 0, or an error and its sentence.
 */
void super_format_adopt(const struct super_record *rec, struct super_params *inout_params);
int super_format_check(const struct super_record *rec, const struct super_params *params,
		       char text[256]) ZT_MUST_CHECK;
int super_format_check_codec(const struct super_format *format, const struct super *sb,
			     char text[256]) ZT_MUST_CHECK;

/*
 * super_leave() - free what is on the heap, whatever of it is there, and leave the arena to others
 * @is_clean: and say so
 * @out_fd: the memfd; NULL: closed. Left alone when there is no arena.
 */
void super_leave(struct super *sb, bool is_clean, int *out_fd);

/* attach_is_clean() - nothing needs to be walked */
bool attach_is_clean(const struct super *sb);

/* attach_all() - pools and block map are there: find the rest, and report. 0, or an error's sentence. */
int attach_all(struct super *sb, char text[256]) ZT_MUST_CHECK;

/* A walk over all of a mount; see attach.c. */
struct fs_attach {
	struct super *sb;
	char *text; /* 256 bytes: why it was refused */
	struct super_attach_report *report;
	struct slots_attach *content;
	/*
	 * What names say of each inode: by its place among the inodes' places, from first on. A count of
	 * names, and the type that they give it.
	 */
	uint32_t *names;
	uint64_t nr_names;
	ref_t first;
	/* Of names of the directory that is walked, in an image; the first nr_entries of its walk. */
	uint64_t *hashes;
	uint64_t max_hashes;
	bool dirs_differ; /* some directory has two names, or another parent than it says */
};

/* An inode's record by its ref, which is its number but for the root. */
static inline struct inode_rec *attach_rec(const struct fs_attach *attach, ref_t ref)
{
	return zs_data(attach->sb->arena, ref);
}

/* One sentence about an inode, for a refusal. Return: -EUCLEAN. */
int attach_bad(struct fs_attach *attach, ref_t ref, const char *what);

/* Names of an inode so far, and the type they give it. @ref is an inode's. */
uint32_t attach_nr_names(const struct fs_attach *attach, ref_t ref);
unsigned attach_type(const struct fs_attach *attach, ref_t ref);

/*
 * attach_names() - all directories: blocks claimed, names counted, entries and parents put right
 * attach_inodes() - all inodes: links, attributes, targets, content; the dead ones stay unclaimed
 * Return: 0; -EUCLEAN, -ENOMEM.
 */
int attach_names(struct fs_attach *attach) ZT_MUST_CHECK;
int attach_inodes(struct fs_attach *attach) ZT_MUST_CHECK;

/*
 * attach_clean() - what attach_clean_save() has kept, instead of a walk
 * attach_clean_save() - keep it; no request and no thread uses the mount. Errors: it is to be walked.
 */
int attach_clean(struct super *sb, char text[256]) ZT_MUST_CHECK;
int attach_clean_save(struct super *sb) ZT_MUST_CHECK;

#endif
