/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mounts.h - the mounts of this mount namespace, each once.
 */
#ifndef ZT_CTL_MOUNTS_H
#define ZT_CTL_MOUNTS_H

#include "util/compiler.h"
#include "util/mountinfo.h"

/**
 * ctl_each_mount() - call @each(@arg) for the first place of each mount
 * Return: 0; -EIO /proc cannot be read; -ENOMEM.
 */
int ctl_each_mount(void (*each)(void *arg, const struct mountinfo *mount), void *arg) ZT_MUST_CHECK;

#endif
