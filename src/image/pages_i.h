/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pages_i.h - mapped pages of an image, for the files of this folder.
 */
#ifndef ZT_IMAGE_PAGES_I_H
#define ZT_IMAGE_PAGES_I_H

#include <stdatomic.h>
#include <time.h>

#include "image/image_i.h"
#include "image/pages.h"

/* Of a block; from UNKNOWN once to GOOD, and from either once to BAD. */
enum block_state { BLOCK_UNKNOWN, BLOCK_GOOD, BLOCK_BAD };

struct image_pages {
	struct image *image; /* its own; immutable, as what follows but where it says otherwise */
	const char *name;
	int fd;
	bool leased;
	struct timespec changed; /* of the file, when it was opened */
	char *base; /* header and pages, mapped; addresses stay, but a page may turn to zeros */
	size_t len;
	uint64_t *starts; /* pages in front of each extent */
	atomic_uchar *states; /* enum block_state of each block; seq_cst */
	atomic_bool written; /* it is, or about to be; seq_cst */
	atomic_bool told; /* on the log */
};

/*
 * pages_guard.c: hear of the file's end, and of those who write.
 * Context: open and close, one thread.
 */

/* Return: 0, also without a lease; -ETXTBSY; -ENFILE too many images are open. */
int pages_guard(struct image_pages *pages) ZT_MUST_CHECK;
void pages_unguard(struct image_pages *pages);

/* pages_are_written() - whether somebody may have changed the file since it was opened */
bool pages_are_written(struct image_pages *pages);

#endif
