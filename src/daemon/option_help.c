// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * option_help.c - what --help prints: the usage, the table of options, and the words without effect.
 *
 * Locks: none.
 */
#include <inttypes.h>
#include <string.h>

#include "daemon/option_table.h"
#include "util/sizes.h"

void options_help(FILE *out, const struct options_env *env)
{
	const struct option_desc *desc;
	const char *word;

	fprintf(out, "Usage: ztmpfs [-o OPTIONS] [-f] [-d] [SOURCE] MOUNTPOINT\n"
		     "       mount.ztmpfs SOURCE MOUNTPOINT [-o OPTIONS]\n"
		     "\n"
		     "Mount a temporary filesystem whose files stay compressed in memory.\n"
		     "\n"
		     "  -f                     stay in the foreground\n"
		     "  -d                     the same, and print every request\n"
		     "  -h, --help             print this and end\n"
		     "  -V, --version          print the version and end\n"
		     "\n"
		     "Options, separated by commas:\n");
	for (size_t i = 0; (desc = option_at(i)) != NULL; i++) {
		char name[64];

		snprintf(name, sizeof(name), "%s%s%s", desc->name, desc->arg ? "=" : "",
			 desc->arg ? desc->arg : "");
		fprintf(out, "  -o %-20s%s%s", name,
			strlen(name) < 20 ? "" : "\n                         ", desc->help);
		if (desc->preset)
			fprintf(out, " (default: %s)", desc->preset);
		fputc('\n', out);
	}
	fprintf(out,
		"\nSizes take the suffixes k, m, g, t, p, e (powers of 1024) or %% of RAM, here "
		"%" PRIu64 " MiB.\nTaken for mount(8) and fstab(5), without effect:",
		env->ram / MIB);
	for (size_t i = 0; (word = option_ignored_at(i)) != NULL; i++) {
		const char last = word[strlen(word) - 1];

		fprintf(out, "%s%s%s", i % 8 == 0 ? "\n  " : " ", word,
			last == '=' || last == '-' ? "..." : "");
	}
	fputc('\n', out);
}
