/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * io.h - all bytes of a piece of a file, or an error. Context: any thread; no locks.
 */
#ifndef ZT_IMAGE_IO_H
#define ZT_IMAGE_IO_H

#include <stddef.h>
#include <stdint.h>

#include "image/format.h"
#include "util/compiler.h"

#define IMAGE_BLOCK_BYTES ((size_t)IMAGE_BLOCK_PAGES << ZT_PAGE_SHIFT)

/** image_read() - @len bytes from @at on. Return: 0; -ENODATA the file is shorter; what read(2) says. */
int image_read(int fd, void *data, size_t len, uint64_t at) ZT_MUST_CHECK;

/** image_write() - the same the other way. Return: 0; -EIO nothing more can be written; what write(2) says. */
int image_write(int fd, const void *data, size_t len, uint64_t at) ZT_MUST_CHECK;

#endif
