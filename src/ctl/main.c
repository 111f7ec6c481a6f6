// SPDX-License-Identifier: GPL-2.0-or-later
/* main.c - ztmpfsctl. */
#include "ctl/ctl.h"

int main(int argc, char *argv[])
{
	return ctl_main(argc, argv);
}
