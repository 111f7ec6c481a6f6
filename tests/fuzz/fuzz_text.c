// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * fuzz_text.c - texts from outside: sizes, option lists, lines of mountinfo, zoneinfo. The first byte says which.
 */
#include "daemon/options.h"
#include "daemon/pressure.h"
#include "tests/fuzz/fuzz.h"
#include "util/alloc.h"
#include "util/mountinfo.h"
#include "util/sizes.h"

static void try_size(char *text)
{
	uint64_t value = 1, with_percent = 1;
	int err = size_parse(text, 0, &value);

	FUZZ_EXPECT(err == 0 || value == 1, "a size that is refused was set");
	if (err == 0)
		FUZZ_EXPECT(size_parse(text, 12345678, &with_percent) == 0 && value == with_percent,
			    "the same size twice");
}

static void try_options(char *text)
{
	static const struct options_env env = { .ram = GIB, .nr_cpus = 2, .uid = 1000, .gid = 100 };
	char name[] = "ztmpfs", flag[] = "-o", where[] = "/mnt";
	char *argv[] = { name, flag, text, where, NULL };
	struct options_error error = { "" };
	struct options options;
	char *mount_opts;

	if (options_parse(4, argv, &env, &options, &error) != 0) {
		FUZZ_EXPECT(error.text[0] != '\0', "refused without a sentence");
		FUZZ_EXPECT(strchr(error.text, '\n') == NULL, "a sentence of two lines");
		return;
	}
	FUZZ_EXPECT(options.fsname != NULL, "no name");
	if (options_mount_opts(&options, &mount_opts) == 0)
		zt_free(mount_opts);
	options_free(&options);
}

static void try_mountinfo(char *text)
{
	struct mountinfo mount;

	if (!mountinfo_parse(text, &mount))
		return;
	FUZZ_EXPECT(mount.root && mount.path && mount.options && mount.type && mount.super_options,
		    "a line that is taken lacks a part");
	(void)mountinfo_has_word(mount.options, "rw");
}

static void try_zoneinfo(char *text)
{
	struct pressure_memory memory;

	if (pressure_parse(text, &memory))
		(void)pressure_grant(&memory, false);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const kinds[])(char *text) = { try_size, try_options, try_mountinfo,
						     try_zoneinfo };
	struct fuzz_input in = { data, size };
	/* A letter, so that the corpus can be read. */
	const unsigned kind = fuzz_byte(&in) % (sizeof(kinds) / sizeof(kinds[0]));
	char *text = fuzz_text(&in);

	kinds[kind](text);
	free(text);
	return 0;
}
