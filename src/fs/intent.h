/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * intent.h - a rename is two stores, and a process that is killed between them has meant both.
 *
 * What it means to do stands in the mount's record from before the first store until after the second.
 * The first one, the new name, says that the rename has happened; whoever attaches then does the rest.
 *
 *     intent_begin() -> the new name is stored -> the old one goes -> intent_end()
 *           |                  |                        |
 *           nothing happened   | what is killed from here on has happened: intent_finish()
 *
 * Locks: super.intent_lock from begin to end, below the inodes' locks: there is one such record.
 */
#ifndef ZT_FS_INTENT_H
#define ZT_FS_INTENT_H

#include "fs/super_i.h"
#include "util/compiler.h"

/* rename_intent.then */
#define INTENT_TYPE_SHIFT 60u

/**
 * intent_begin() - say what a rename means to do; the inodes' locks are held
 * @intent: to_pos may be DIR_POS_END: dir_add() stores it, see dir.announce
 */
void intent_begin(struct super *sb, const struct rename_intent *intent)
	ZT_ACQUIRE(&sb->intent_lock);

/** intent_end() - all of it is done, or nothing was and nothing will be */
void intent_end(struct super *sb) ZT_RELEASE(&sb->intent_lock);

/**
 * intent_finish() - when attaching: do what is left of a rename that has happened
 * Pools are there; nothing is freed. Afterwards link counts, parents and counts of names may be wrong,
 * and a block may be empty, as after any kill: they want counting. Return: whether something was left.
 */
bool intent_finish(struct super *sb);

#endif
