/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * step_attach.h - what another process finds of a mount whose process died behind a store.
 */
#ifndef ZT_TESTS_FS_STEP_ATTACH_H
#define ZT_TESTS_FS_STEP_ATTACH_H

#include "tests/fs/fixture.h"
#include "tests/lib/step.h"

/* The next life of @sb, in which the walker finds nothing wrong; @sb stays mapped, and is used no more. */
static inline struct super *step_attach_params(const struct super_params *params, struct super *sb)
{
	struct super *next;
	char text[256] = "";
	int err = super_attach(params, dup(super_arena_fd(sb)), text, &next);

	step_expect(err == 0, "attaching: %d %s", err, text);
	step_expect(super_check(next) == 0, "attached, and something is wrong");
	return next;
}

static inline struct super *step_attach(struct super *sb)
{
	const struct super_params params = fixture_params();

	return step_attach_params(&params, sb);
}

#endif
