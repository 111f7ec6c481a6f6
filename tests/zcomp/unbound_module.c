// SPDX-License-Identifier: GPL-2.0-or-later
/* unbound_module.c - a module that takes something from the program that loads it. */
#include "ztmpfs/zcomp.h"

int a_function_of_the_daemon(void);

__attribute__((visibility("default"))) const struct zcomp_ops *ztmpfs_zcomp_module(void)
{
	return a_function_of_the_daemon() ? (const struct zcomp_ops *)1 : 0;
}
