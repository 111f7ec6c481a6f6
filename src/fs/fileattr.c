// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * fileattr.c - the flags of chattr(1). They stand in inode_rec.flags; each operation looks at them
 * by itself (inode_i.h has the questions). Two of them are another way to write settings.
 *
 * Locks: the inode exclusive for changing.
 */
#include "fs/fileattr.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>

#include "fs/inode_i.h"

static const struct {
	uint32_t flag;
	uint16_t bit;
} table[] = {
	{ FS_IMMUTABLE_FL, INODE_IMMUTABLE },
	{ FS_APPEND_FL, INODE_APPEND },
	{ FS_NODUMP_FL, INODE_NODUMP },
	{ FS_NOATIME_FL, INODE_NOATIME },
};

#define NR_FLAGS (sizeof(table) / sizeof(table[0]))

static int open_flagged(struct super *sb, ino_nr ino, struct inode_rec **out_rec)
{
	struct inode_rec *rec = inode_get(sb, ino);

	if (rec == NULL)
		return -ESTALE;
	if (!inode_is_reg(rec) && !inode_is_dir(rec))
		return -ENOTTY;
	*out_rec = rec;
	return 0;
}

static uint32_t flags_of_setting(unsigned setting)
{
	if (setting == BLKMAP_SETTING_NONE)
		return FS_NOCOMP_FL;
	return setting == BLKMAP_SETTING_DEFAULT ? 0 : FS_COMPR_FL;
}

int fs_get_flags(struct super *sb, ino_nr ino, uint32_t *out_flags)
{
	struct inode_rec *rec;
	uint32_t flags = 0;
	int err;

	inode_lock_shared(sb, ino);
	err = open_flagged(sb, ino, &rec);
	for (size_t i = 0; !err && i < NR_FLAGS; i++)
		if (rec_load(&rec->flags) & table[i].bit)
			flags |= table[i].flag;
	if (!err)
		flags |= flags_of_setting(inode_setting(rec));
	inode_unlock(sb, ino);
	if (!err)
		*out_flags = flags;
	return err;
}

/*
 * The owner may change flags, root alone those that seal a file, as the kernel has it.
 * Weakness: root stands for CAP_FOWNER and CAP_LINUX_IMMUTABLE.
 */
static bool may_set_flags(const struct fs_cred *cred, const struct inode_rec *rec, uint16_t bits)
{
	const uint16_t sealing = INODE_IMMUTABLE | INODE_APPEND;

	if (cred == NULL || cred->uid == 0)
		return true;
	return cred->uid == rec->uid && ((rec->flags ^ bits) & sealing) == 0;
}

/* What is named that there is not, and what the mount cannot do. No lock is held. */
static int check_flags(struct super *sb, uint32_t flags)
{
	struct blkmap_tuning tuning;

	for (size_t i = 0; i < NR_FLAGS; i++)
		flags &= ~table[i].flag;
	if (flags & ~(uint32_t)(FS_COMPR_FL | FS_NOCOMP_FL))
		return -EOPNOTSUPP;
	if (flags == (FS_COMPR_FL | FS_NOCOMP_FL))
		return -EINVAL;
	if (!(flags & FS_COMPR_FL))
		return 0;
	/* By which algorithm is not said. */
	blkmap_get_tuning(sb->map, &tuning);
	return strcmp(tuning.compress, "none") == 0 || strcmp(tuning.compress, "null") == 0
		       ? -EOPNOTSUPP
		       : 0;
}

/* An algorithm of its own stays while the file shall be compressed; none is chosen here. */
static unsigned setting_of_flags(uint32_t flags, unsigned setting)
{
	if (flags & FS_NOCOMP_FL)
		return BLKMAP_SETTING_NONE;
	return flags & FS_COMPR_FL && setting != BLKMAP_SETTING_NONE ? setting
								     : BLKMAP_SETTING_DEFAULT;
}

/* One store. Return: the setting that nobody names any more. Lock held exclusive. */
static unsigned store_flags(struct inode_rec *rec, uint32_t flags, uint16_t bits)
{
	const unsigned old = inode_setting(rec), new = setting_of_flags(flags, old);
	const unsigned kept = rec->flags & ~(INODE_CHATTR | INODE_SETTING_MASK);

	rec_store(&rec->flags, (uint16_t)(kept | bits | new << INODE_SETTING_SHIFT));
	inode_touch(rec, INODE_CTIME);
	return old == new ? BLKMAP_SETTING_DEFAULT : old;
}

int fs_set_flags(struct super *sb, const struct fs_cred *cred, ino_nr ino, uint32_t flags)
{
	const int refused = check_flags(sb, flags);
	unsigned gone = BLKMAP_SETTING_DEFAULT;
	struct inode_rec *rec;
	uint16_t bits = 0;
	int err;

	for (size_t i = 0; i < NR_FLAGS; i++)
		if (flags & table[i].flag)
			bits |= table[i].bit;
	inode_lock(sb, ino);
	err = open_flagged(sb, ino, &rec);
	if (!err)
		err = refused;
	if (!err && !may_set_flags(cred, rec, bits))
		err = -EPERM;
	if (!err)
		gone = store_flags(rec, flags, bits);
	inode_unlock(sb, ino);
	blkmap_setting_put(sb->map, gone);
	return err;
}

bool fs_is_immutable(struct super *sb, ino_nr ino)
{
	const struct inode_rec *rec = inode_get(sb, ino);

	return rec != NULL && rec_load(&rec->flags) & INODE_IMMUTABLE;
}

int fs_may_open(struct super *sb, ino_nr ino, int open_flags)
{
	const struct inode_rec *rec = inode_get(sb, ino);
	bool writes = (open_flags & O_ACCMODE) != O_RDONLY;
	uint16_t flags;

	if (rec == NULL)
		return -ESTALE;
	flags = rec_load(&rec->flags);
	if (flags & INODE_IMMUTABLE && (writes || open_flags & O_TRUNC))
		return -EPERM;
	if (flags & INODE_APPEND && ((writes && !(open_flags & O_APPEND)) || open_flags & O_TRUNC))
		return -EPERM;
	return 0;
}
