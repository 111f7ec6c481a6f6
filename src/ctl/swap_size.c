// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * swap_size.c - ztmpfsctl swap on: whether the machine is large enough for what is asked for.
 */
#include <inttypes.h>
#include <string.h>

#include "ctl/swap.h"
#include "util/sizes.h"

/* What the machine keeps for itself besides compressed pages: at least a fifth of RAM. */
#define MEM_SHARE_MAX_PCT 80
/* The daemon with its libraries, stacks and buffers; its heap is a 128th of mem_limit. */
#define DAEMON_BYTES(mem) (16 * MIB + (mem) / 128)
/* As -o swap has them (ztmpfs(8)). */
#define RESERVE_MIN       (8 * MIB)
#define RESERVE_MAX       (64 * MIB)
#define RESERVE_RAM_SHARE 16
/* 16 bytes for each page of swap find its content: at more than that they alone use half of mem. */
#define SIZE_PER_MEM_MAX 128

uint64_t swap_reserve_of(const char *options, uint64_t ram)
{
	static const char name[] = "swap_reserve=";
	uint64_t reserve = min_u64(max_u64(ram / RESERVE_RAM_SHARE, RESERVE_MIN), RESERVE_MAX);
	const char *at = options;

	while (at && (at = strstr(at, name)) != NULL) {
		char value[32];
		size_t len = strcspn(at += strlen(name), ",");

		(void)snprintf(value, sizeof(value), "%.*s", (int)min_u64(len, 31), at);
		/* The daemon says what is wrong with it. */
		if (size_parse(value, ram, &reserve) != 0)
			return 0;
	}
	return reserve;
}

static int check_share(const char *what, uint64_t mem, uint64_t ram)
{
	const uint64_t most = ram / 100 * MEM_SHARE_MAX_PCT;

	if (mem == 0)
		return swap_refuse("%s is 0: without a limit, pages that do not compress would "
				   "fill the machine",
				   what);
	if (mem > most)
		return swap_refuse("%s %" PRIu64 " MiB: at most %d%% of RAM (%" PRIu64
				   " MiB), or too little is left to run in",
				   what, mem / MIB, MEM_SHARE_MAX_PCT, most / MIB);
	return 0;
}

static int check_size(uint64_t size, uint64_t mem)
{
	if (size / mem < SIZE_PER_MEM_MAX)
		return 0;
	return swap_refuse("--size %" PRIu64 " MiB: less than %d times the memory of %" PRIu64
			   " MiB, which finding so many pages would fill",
			   size / MIB, SIZE_PER_MEM_MAX, mem / MIB);
}

int swap_check_new(const struct swap_args *args, uint64_t ram)
{
	const uint64_t reserve = swap_reserve_of(args->options, ram);
	const uint64_t available = swap_meminfo("MemAvailable");
	const uint64_t wanted = reserve + DAEMON_BYTES(args->mem);
	int error = check_share("--mem", args->mem, ram);

	if (error)
		return error;
	if (args->mem < 2 * reserve)
		return swap_refuse("--mem %" PRIu64 " MiB: at least twice the reserve of %" PRIu64
				   " MiB (--options swap_reserve=SIZE)",
				   args->mem / MIB, reserve / MIB);
	if (args->mem > SWAP_MEM_MAX)
		return swap_refuse("--mem: at most %" PRIu64 " GiB", SWAP_MEM_MAX / GIB);
	if (available < wanted)
		return swap_refuse("%" PRIu64 " MiB of memory are available, %" PRIu64
				   " MiB are needed to begin with",
				   available / MIB, wanted / MIB);
	return check_size(args->size, args->mem);
}

int swap_check_mounted(const struct swap_args *args, const char *mount, uint64_t ram,
		       const struct ztmpfs_stat *stat)
{
	const uint64_t space = stat->size_limit - min_u64(stat->orig_data_size, stat->size_limit);
	int error;

	if (stat->swap_reserve == 0)
		return swap_refuse("%s: the ztmpfs there is not mounted with -o swap", mount);
	if (args->mem || args->options)
		return swap_refuse("%s is mounted already: --mem and --options come too late",
				   mount);
	error = check_share("its mem_limit", stat->mem_limit, ram);
	if (!error && stat->size_limit != 0 && space < args->size)
		error = swap_refuse("%s has space for %" PRIu64 " MiB (size=), not for %" PRIu64,
				    mount, space / MIB, args->size / MIB);
	return error ? error : check_size(args->size, stat->mem_limit);
}
