/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * image_list.h - the files of an image, a line each.
 */
#ifndef ZT_CTL_IMAGE_LIST_H
#define ZT_CTL_IMAGE_LIST_H

#include <stdbool.h>
#include <time.h>

#include "fs/listing.h"
#include "util/compiler.h"

#define IMAGE_TIME_TEXT 64 /* bytes of a time's text */

/** image_time_text() - UTC, as where no machine's own time is meant; with a fraction for programs; "?": no such year */
void image_time_text(struct timespec at, bool fraction, char out[IMAGE_TIME_TEXT]);

/**
 * image_list_print() - a line for each name on the standard output
 * @json: as a member "files" of an object that was begun
 * What could not be written is told by ctl_end(). Return: 0, -ENOMEM.
 */
int image_list_print(struct listing *listing, bool json) ZT_MUST_CHECK;

#endif
