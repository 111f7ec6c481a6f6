// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * mountinfo.c - lines of /proc/self/mountinfo, taken apart.
 *
 * Locks: none.
 */
#include "util/mountinfo.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_octal(const char *text)
{
	return text[0] >= '0' && text[0] <= '3' && text[1] >= '0' && text[1] <= '7' &&
	       text[2] >= '0' && text[2] <= '7';
}

/* In place: the kernel writes blank, tab, newline and backslash as three octal digits. */
static char *unescape(char *text)
{
	char *out = text;

	for (const char *in = text; *in != '\0'; in++) {
		if (in[0] == '\\' && is_octal(in + 1)) {
			*out++ = (char)((in[1] - '0') * 64 + (in[2] - '0') * 8 + in[3] - '0');
			in += 3;
		} else {
			*out++ = *in;
		}
	}
	*out = '\0';
	return text;
}

/* The next word of *@inout_rest, NULL at the end. */
static char *next_word(char **inout_rest)
{
	return strsep(inout_rest, " \n");
}

/* "36 35 98:0 /root /mnt/point rw,noatime shared:1 - ext4 /dev/sda rw": some optional fields */
bool mountinfo_parse(char *line, struct mountinfo *out_mount)
{
	struct mountinfo mount;
	char *rest = line, *word, *root, *path, *options;
	unsigned major, minor;

	(void)next_word(&rest);
	(void)next_word(&rest);
	word = next_word(&rest);
	root = next_word(&rest);
	path = next_word(&rest);
	options = next_word(&rest);
	if (!word || !root || !path || !options || sscanf(word, "%u:%u", &major, &minor) != 2)
		return false;
	do {
		word = next_word(&rest);
	} while (word && strcmp(word, "-") != 0);
	mount = (struct mountinfo){ .major = major, .minor = minor, .options = options };
	mount.type = next_word(&rest);
	(void)next_word(&rest); /* the source */
	mount.super_options = next_word(&rest);
	if (!mount.super_options)
		return false;
	mount.root = unescape(root);
	mount.path = unescape(path);
	*out_mount = mount;
	return true;
}

bool mountinfo_has_word(const char *list, const char *word)
{
	const size_t len = strlen(word);

	for (; *list != '\0'; list += *list == ',') {
		const size_t size = strcspn(list, ",");

		if (size == len && memcmp(list, word, len) == 0)
			return true;
		list += size;
	}
	return false;
}

bool mountinfo_each(const char *root, void (*look)(void *arg, const struct mountinfo *mount),
		    void *arg)
{
	struct mountinfo mount;
	char path[PATH_MAX], *line = NULL;
	size_t size = 0;
	FILE *file;

	(void)snprintf(path, sizeof(path), "%s/proc/self/mountinfo", root);
	file = fopen(path, "re");
	if (!file)
		return false;
	while (getline(&line, &size, file) > 0)
		if (mountinfo_parse(line, &mount))
			look(arg, &mount);
	free(line);
	fclose(file);
	return true;
}
