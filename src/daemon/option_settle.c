// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * option_settle.c - what follows from several options together, and which do not go together.
 *
 * Locks: none.
 */
#include <errno.h>
#include <string.h>

#include "daemon/option_table.h"
#include "util/alloc.h"
#include "util/sizes.h"
#include "zcomp/dict.h"
#include "zcomp/registry.h"

/* Of a mount that carries swap. The arena's range is bounded. */
#define SWAP_RESERVE_MIN   (8 * MIB)
#define SWAP_RESERVE_MAX   (64 * MIB)
#define SWAP_MEM_LIMIT_MAX (24 * GIB)
#define SWAP_ACCEL_DEPTH   8u
#define SWAP_STREAMS_MORE  2u /* for what goes on behind the requests */

/* What swap implies, once all words are read. */
static int settle_swap(struct options *options, const struct options_env *env,
		       struct options_error *error)
{
	struct super_params *super = &options->super;

	if (!options->swap) {
		super->swap_reserve = 0;
		return 0;
	}
	if (!super->mem_limit)
		super->mem_limit = env->ram / OPTION_RAM_DIVISOR;
	if (!super->swap_reserve)
		super->swap_reserve =
			min_u64(max_u64(env->ram / 16, SWAP_RESERVE_MIN), SWAP_RESERVE_MAX);
	if (super->mem_limit < 2 * super->swap_reserve || super->mem_limit > SWAP_MEM_LIMIT_MAX) {
		ERR_PRINTF(
			error,
			"option swap: mem_limit must be from twice swap_reserve (%llu KiB) to 24g",
			(unsigned long long)super->swap_reserve / 1024);
		return -EINVAL;
	}
	if (options->max_threads < 2) {
		ERR_PRINTF(error, "option swap: max_threads must be at least 2: while all others "
				  "wait for memory, one brings pages back");
		return -EINVAL;
	}
	/* A stream for each, since a thread that stores may wait for memory with one in hand. */
	super->content.comp.nr_streams = options->max_threads + SWAP_STREAMS_MORE;
	/* Its threads are one for each CPU, and cannot stand in for each other. */
	if (options->uring == CHANNEL_URING_AUTO)
		options->uring = CHANNEL_URING_OFF;
	/* Every page comes and goes for itself, and must not be kept twice. */
	super->cluster_order = 0;
	/* Its thread was seen to wait for memory while the machine had none. */
	if (!options->recompress_asked)
		super->content.recompress = NULL;
	/* A page is too little for a queue, whose buffers would all be locked. */
	if (super->content.accel == BLKMAP_ACCEL_AUTO)
		super->content.accel = BLKMAP_ACCEL_OFF;
	if (!super->content.comp.accel_params.depth ||
	    (options->device &&
	     super->content.comp.accel_params.depth == options->device->params.depth))
		super->content.comp.accel_params.depth = SWAP_ACCEL_DEPTH;
	options->cache = ZTFUSE_CACHE_NEVER;
	return 0;
}

/* What a device that accel= names compresses with, and how much at once, unless that was said. */
static int settle_device(struct options *options, struct options_error *error)
{
	const struct zcomp_device *device = options->device;

	if (!device)
		return 0;
	if (!options->compress_said) {
		if (!zcomp_find_ops(device->algorithm) && !option_module_exists(device->algorithm)) {
			ERR_PRINTF(error,
				   "option accel=%s: it compresses with %s, and there is no module "
				   "of that name (contrib/codecs has it); say compress=",
				   device->name, device->algorithm);
			return -EINVAL;
		}
		if (option_text_set(&options->compress_name, device->algorithm) != 0)
			return -ENOMEM;
		options->super.content.comp.level = ZCOMP_LEVEL_DEFAULT;
	}
	if (!options->cluster_said && device->params.unit)
		options->super.cluster_order =
			(unsigned)__builtin_ctz(device->params.unit / ZT_PAGE_SIZE);
	return 0;
}

/* Where the default does not fit: a dictionary is for pages, too, and those of swap are never short. */
static int settle_compress(struct options *options)
{
	if (options->compress_said || options->device || !(options->dict_path || options->swap))
		return 0;
	return option_text_set(&options->compress_name, "lz4");
}

/* The built-in one is for who names no other, where small files alone are compressed with it. */
static int settle_dict(struct options *options)
{
	struct zcomp_config *comp = &options->super.content.comp;
	const bool off = options->dict_path && strcmp(options->dict_path, "off") == 0;
	int error;

	if (off) {
		zt_free(options->dict_path);
		options->dict_path = NULL;
	}
	error = settle_compress(options);
	if (error || off || options->dict_path || strcmp(options->compress_name, "auto") != 0)
		return error;
	options->super.dict_by_default = true;
	comp->dict = zcomp_dict_words(&comp->dict_size);
	return 0;
}

/* What a mount that outlives its daemon does not go with; NULL: nothing of that was asked for. */
static const char *against_survive(const struct options *options)
{
	/* There a service manager may be the keeper, if that is wanted. */
	const bool kept = options->managed && options->survive_when == OPTION_SURVIVE_ON;

	return !options->foreground ? NULL :
	       !kept		    ? "-f and -d, where a caller waits for the daemon" :
	       options->swap	    ? "-f with option swap, where no next daemon would stand by" :
				      NULL;
}

/* Unless something was asked for that it does not go with; only who asked for it, too, is told. */
static int settle_survive_auto(struct options *options)
{
	const char *other = against_survive(options);

	if (!other && options->uring == CHANNEL_URING_ON)
		other = "option io_uring=on";
	/* A second process of the same size, locked as well, is only for who asks for it. */
	if (!other && options->swap)
		other = "option swap";
	options->survive = other == NULL;
	if (!other || !options->survive_said)
		return 0;
	return option_note(options, "option survive=auto: off, since it does not go with %s", other);
}

/* What survive= implies, and what it does not go with. */
static int settle_survive(struct options *options, struct options_error *error)
{
	const char *other = against_survive(options);
	int res = 0;

	options->survive = options->survive_when == OPTION_SURVIVE_ON;
	if (options->survive_when == OPTION_SURVIVE_AUTO)
		res = settle_survive_auto(options);
	if (!options->survive)
		return res;
	if (other) {
		ERR_PRINTF(error, "option survive=on: does not go with %s", other);
		return -EINVAL;
	}
	/* What a ring has of a request is lost with its process. */
	if (options->uring == CHANNEL_URING_ON &&
	    option_note(options, "option io_uring=on: is off with survive=on, since the kernel "
				 "sends nothing again that came by a ring") != 0)
		return -ENOMEM;
	options->uring = CHANNEL_URING_OFF;
	return 0;
}

static int settle_image(const struct options *options, struct options_error *error)
{
	const char *wrong = options->save_at_end && !options->image_path ?
				    "option save=unmount: needs image=FILE" :
			    options->image_path && options->swap ?
				    "option image: does not go with option swap" :
			    options->image_path && options->remount ?
				    "option image: only when mounting" :
			    options->rescue_path && !options->survive ?
				    "option rescue: needs survive=on" :
				    NULL;

	if (!wrong)
		return 0;
	ERR_PRINTF(error, "%s", wrong);
	return -EINVAL;
}

/* Of the CPUs that were asked for those that may be used. */
static int settle_cpus(struct options *options, const struct options_env *env,
		       struct options_error *error)
{
	if (!options->cpus_said || CPU_COUNT(&env->cpus) == 0)
		return 0;
	CPU_AND(&options->cpus, &options->cpus, &env->cpus);
	if (CPU_COUNT(&options->cpus) > 0)
		return 0;
	ERR_PRINTF(error, "option cpus: none of these CPUs may be used here");
	return -EINVAL;
}

static int settle_spill(struct options *options, struct options_error *error)
{
	const char *wrong = options->super.content.spill_idle && !options->spill_path ?
				    "option spill_idle: needs spill=FILE" :
			    options->spill_encrypt && !options->spill_path ?
				    "option spill_encrypt: needs spill=FILE" :
			    !options->spill_path   ? NULL :
			    options->swap	   ? "option spill: does not go with option swap" :
			    options->remount	   ? "option spill: only when mounting" :
						     NULL;

	if (wrong) {
		ERR_PRINTF(error, "%s", wrong);
		return -EINVAL;
	}
	/* A ring's threads cannot stand in for one that waits for the disk. */
	if (options->spill_path && options->uring == CHANNEL_URING_ON &&
	    option_note(options, "option io_uring=on: is off with spill=, whose requests wait for a "
				 "disk") != 0)
		return -ENOMEM;
	if (options->spill_path)
		options->uring = CHANNEL_URING_OFF;
	return 0;
}

/* What follows from several words together, once all are read. */
static void settle_rest(struct options *options, const struct options_env *env)
{
	/*
	 * mount(8) takes these two words away before it calls a helper, and libfuse alone forbids
	 * both. A remount starts from what the mount has.
	 */
	for (int flag = MOUNT_SUID; env->root && !options->remount && flag <= MOUNT_DEV; flag++)
		if (options->mount_flags[flag] < 0)
			options->mount_flags[flag] = 1;
	if (options->compress_none && !options->recompress_asked)
		options->super.content.recompress = NULL;
	/* Others could fill the machine by what size= and nr_inodes= do not count. */
	if (!options->mem_limit_said && options->allow_other && !options->swap)
		options->super.mem_limit = env->ram / OPTION_RAM_DIVISOR;
	/*
	 * What these make of one user's files depends on what others' hold, and can be measured: by
	 * the memory in use, and by the size that one's own files are stored in.
	 */
	if (!options->dedup_said)
		options->super.content.dedup = !options->allow_other;
	if (!options->dicts_said)
		options->super.content.dicts = !options->allow_other;
}

int options_settle(struct options *options, const struct options_env *env,
		   struct options_error *error)
{
	int error_code = settle_device(options, error);

	if (!error_code)
		error_code = settle_swap(options, env, error);
	if (!error_code)
		error_code = settle_survive(options, error);
	if (!error_code)
		error_code = settle_image(options, error);
	if (!error_code)
		error_code = settle_cpus(options, env, error);
	if (!error_code)
		error_code = settle_spill(options, error);
	if (!error_code)
		error_code = settle_dict(options);
	if (!error_code)
		settle_rest(options, env);
	return error_code;
}
