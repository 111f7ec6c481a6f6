/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * rules.h - makes many calls in a folder and prints what each one gave.
 *
 * Two filesystems that behave alike give the same text. Nothing that differs from run to run is
 * printed: no inode numbers, no times, only whether they moved. One thread, in the folder.
 */
#ifndef ZT_TESTS_MOUNT_RULES_H
#define ZT_TESTS_MOUNT_RULES_H

#include <stdbool.h>
#include <sys/types.h>

/* Root may become these for a while; everybody else stays who it is. */
#define USER_A 65534u
#define USER_B 12345u

extern bool rules_root;

/* rule() - print a line: what was called, and the value or the error */
void rule(long value, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* rule_stat() - print type, mode, owner, links and size of a path */
void rule_stat(const char *path);

/* rule_become() - be a user with its group and one more; 0: root again. Does nothing for others. */
void rule_become(uid_t uid, gid_t more);

/* rule_make() - an empty file of this mode, whatever the umask */
void rule_make(const char *path, mode_t mode);

/*
 * rule_write() - open, write, sync and close; prints the first error, since some filesystems refuse
 * later than others
 */
void rule_write(const char *path, int flags, off_t off, const char *text);

/* The sections; each has a folder of its own. */
void rules_names(void);
void rules_rename(void);
void rules_modes(void);
void rules_times(void);
void rules_special(void);
void rules_xattr(void);
void rules_acl(void);
void rules_chattr(void);
void rules_capability(void);

#endif
