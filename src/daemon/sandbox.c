// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * sandbox.c - what a daemon gives up. See sandbox.h.
 *
 * Locks: none; one thread, the session's.
 */
#include "daemon/sandbox.h"

#include <errno.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "daemon/sandbox_calls.h"
#include "util/log.h"
#include "util/sizes.h"
#include "zcomp/registry.h"

#ifdef HAVE_LIBCAP_NG
#include <cap-ng.h>
#endif

/* ---- capabilities ---- */

#ifdef HAVE_LIBCAP_NG

struct kept {
	int capability;
	/* Only with -o swap, noswap, survive=on, and image= or rescue=. None of them: always. */
	bool swap, locks, lives, image;
};

static const struct kept kept[] = {
	/* To mount and unmount, to go back to the caller's mount namespace, and to change flags. */
	{ .capability = CAP_SYS_ADMIN },
	{ .capability = CAP_SYS_CHROOT },
	/* To find that namespace by its processes. */
	{ .capability = CAP_SYS_PTRACE },
	/* Folders of users in which mounts lie, files that image= names, programs of an upgrade. */
	{ .capability = CAP_DAC_OVERRIDE },
	/* And open_by_handle_at(2), by which the size of a file is mended. */
	{ .capability = CAP_DAC_READ_SEARCH },
	/* The arena, and all that a keeper has. */
	{ .capability = CAP_IPC_LOCK, .swap = true, .locks = true, .lives = true },
	{ .capability = CAP_SYS_NICE, .swap = true },
	/* A file of another user's, in a folder like /tmp, that is replaced. */
	{ .capability = CAP_FOWNER, .image = true },
	/* The scores of a keeper and of a later daemon. */
	{ .capability = CAP_SYS_RESOURCE, .swap = true, .lives = true },
};

static bool is_kept(const struct kept *one, const struct options *options)
{
	return (!one->swap && !one->locks && !one->lives && !one->image) ||
	       (one->swap && options->swap) || (one->locks && options->noswap) ||
	       (one->lives && options->survive) ||
	       (one->image && (options->image_path || options->rescue_path));
}

static int drop_capabilities(const struct options *options, struct options_error *error)
{
	bool keep[ARRAY_SIZE(kept)];

	if (capng_get_caps_process() != 0) {
		ERR_PRINTF(error, "cannot read the daemon's capabilities");
		return -EIO;
	}
	/* What a container has taken away is not asked for. */
	for (size_t i = 0; i < ARRAY_SIZE(kept); i++)
		keep[i] = is_kept(&kept[i], options) &&
			  capng_have_capability(CAPNG_PERMITTED, (unsigned)kept[i].capability);
	capng_clear(CAPNG_SELECT_ALL);
	for (size_t i = 0; i < ARRAY_SIZE(kept); i++)
		if (keep[i])
			(void)capng_update(CAPNG_ADD,
					   CAPNG_EFFECTIVE | CAPNG_PERMITTED | CAPNG_BOUNDING_SET,
					   (unsigned)kept[i].capability);
	/*
	 * The bounding set first, since it takes a capability that goes with the rest. Where that is
	 * missing it stays: no program gets rights by its file anyway.
	 */
	(void)capng_apply(CAPNG_SELECT_BOUNDS);
	if (capng_apply(CAPNG_SELECT_CAPS) == 0)
		return 0;
	ERR_PRINTF(error, "cannot give up capabilities: %s", strerror(errno));
	return -EPERM;
}

#else

static int drop_capabilities(const struct options *options, struct options_error *error)
{
	(void)options;
	(void)error;
	return 0;
}

#endif

int sandbox_enter(const struct options *options, struct options_error *error)
{
	/* It fails only for values that do not exist. */
	if (!options->dumpable)
		(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	/* fusermount3 unmounts for a user's daemon, by the rights of its file. */
	if (geteuid() != 0)
		return 0;
	(void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); /* it cannot fail */
	return drop_capabilities(options, error);
}

/* ---- system calls ---- */

/* Why there is none although it was not switched off; NULL: there can be one. */
#ifdef ZT_SANITIZERS

static const char *why_not(const struct options *options)
{
	(void)options;
	return "sanitizers have system calls of their own";
}

#else

static bool uses_module(const struct options *options)
{
	return !zcomp_find_ops(options->super.content.comp.name) ||
	       (options->super.content.recompress &&
		!zcomp_find_ops(options->super.content.recompress));
}

static const char *why_not(const struct options *options)
{
	if (geteuid() != 0)
		return "a user's daemon unmounts by fusermount3";
	if (!sandbox_calls_built())
		return "built without libseccomp";
	return uses_module(options) ? "what a module needs is not known" : NULL;
}

#endif

int sandbox_filter(const struct options *options, struct options_error *error)
{
	const char *why = why_not(options);
	int res = -ENOTSUP;

	if (options->seccomp == OPTION_SECCOMP_OFF)
		return 0;
	if (why && options->seccomp != OPTION_SECCOMP_KILL)
		return 0; /* sandbox_tell() says why */
	if (!why) {
		res = sandbox_calls_load(&(struct sandbox_calls){
			.kill = options->seccomp == OPTION_SECCOMP_KILL,
			.rings = options->uring != CHANNEL_URING_OFF,
			.lives = options->survive,
		});
		why = strerror(-res);
	}
	if (!res)
		return 0;
	if (options->seccomp == OPTION_SECCOMP_KILL) {
		ERR_PRINTF(error, "option seccomp=kill: system calls cannot be filtered: %s", why);
		return res;
	}
	zt_log(ZT_LOG_WARN, "%s: system calls are not filtered: %s", options->mountpoint, why);
	return 0;
}

void sandbox_tell(const struct options *options)
{
	const char *why = why_not(options);

	if (why && options->seccomp != OPTION_SECCOMP_OFF && geteuid() == 0)
		zt_log(ZT_LOG_INFO, "%s: system calls are not filtered: %s", options->mountpoint,
		       why);
}
