// SPDX-License-Identifier: GPL-2.0-or-later
/* empty_module.c - a shared object that offers something, but no codec. */
int ztmpfs_zcomp_modul(void);

__attribute__((visibility("default"))) int ztmpfs_zcomp_modul(void)
{
	return 1;
}
