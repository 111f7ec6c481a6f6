// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * memory.c - how much memory this process may use. See memory.h.
 *
 * /proc/self/cgroup names the group; /proc/self/mountinfo says where its tree is mounted, and which
 * part of it: in a container often the own group alone.
 *
 * Locks: none.
 */
#include "util/memory.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>

#include "util/mountinfo.h"
#include "util/sizes.h"

/* The two versions of cgroups; a machine may have both, and then one of them has the limits. */
struct cgroup_version {
	const char *type; /* of the mount */
	const char *controller; /* that the mount must have, or NULL */
	const char *files[2]; /* of a folder: each a limit, where it is there */
};

static const struct cgroup_version versions[] = {
	{ "cgroup", "memory", { "memory.limit_in_bytes", NULL } },
	{ "cgroup2", NULL, { "memory.max", "memory.high" } },
};

/* "max", and a file that is not there, limit nothing. */
static uint64_t read_limit(const char *folder, const char *name)
{
	char path[PATH_MAX], text[32];
	uint64_t limit = UINT64_MAX;
	FILE *file;

	if (snprintf(path, sizeof(path), "%s/%s", folder, name) >= (int)sizeof(path))
		return limit;
	file = fopen(path, "re");
	if (!file)
		return limit;
	if (fgets(text, sizeof(text), file)) {
		text[strcspn(text, "\n")] = '\0';
		if (size_parse(text, 0, &limit) != 0)
			limit = UINT64_MAX;
	}
	fclose(file);
	return limit;
}

/* Those of @folder and of all above it down to its first @top bytes. @folder is cut. */
static uint64_t smallest_up(char *folder, size_t top, const struct cgroup_version *version)
{
	uint64_t limit = UINT64_MAX;

	for (;;) {
		char *slash;

		for (size_t i = 0; i < ARRAY_SIZE(version->files) && version->files[i]; i++)
			limit = min_u64(limit, read_limit(folder, version->files[i]));
		slash = strrchr(folder, '/');
		if (strlen(folder) <= top || !slash || slash < folder + top)
			return limit;
		*slash = '\0';
	}
}

/* "4:memory:/group", "0::/group": whether it is of this version; *@out_group points into it. */
static bool names_group(char *line, const struct cgroup_version *version, const char **out_group)
{
	char *controllers = strchr(line, ':');
	char *group = controllers ? strchr(controllers + 1, ':') : NULL;

	if (!group)
		return false;
	*group++ = '\0';
	group[strcspn(group, "\n")] = '\0';
	*out_group = group;
	controllers++;
	return version->controller ? mountinfo_has_word(controllers, version->controller)
				   : *controllers == '\0';
}

/* The process's group of this version; false when it is in none. */
static bool find_group(const char *root, const struct cgroup_version *version, char *group,
		       size_t space)
{
	char path[PATH_MAX], line[PATH_MAX];
	bool found = false;
	const char *name;
	FILE *file;

	(void)snprintf(path, sizeof(path), "%s/proc/self/cgroup", root);
	file = fopen(path, "re");
	if (!file)
		return false;
	while (!found && fgets(line, sizeof(line), file))
		found = names_group(line, version, &name) &&
			snprintf(group, space, "%s", name) < (int)space;
	fclose(file);
	return found;
}

/* @group as a path below a mount of the folder @mounted; "": the mount itself is all one sees. */
static const char *below(const char *group, const char *mounted)
{
	const size_t len = strcmp(mounted, "/") == 0 ? 0 : strlen(mounted);

	if (strncmp(group, mounted, len) != 0 || (group[len] != '/' && group[len] != '\0') ||
	    strncmp(group, "/..", 3) == 0 || strcmp(group + len, "/") == 0)
		return "";
	return group + len;
}

struct search {
	const char *root;
	const struct cgroup_version *version;
	char group[PATH_MAX];
	uint64_t limit;
};

static void look(void *arg, const struct mountinfo *mount)
{
	struct search *search = arg;
	const struct cgroup_version *version = search->version;
	char path[PATH_MAX];

	if (strcmp(mount->type, version->type) != 0 ||
	    (version->controller && !mountinfo_has_word(mount->super_options, version->controller)))
		return;
	if (snprintf(path, sizeof(path), "%s%s%s", search->root, mount->path,
		     below(search->group, mount->root)) < (int)sizeof(path))
		search->limit = min_u64(
			search->limit,
			smallest_up(path, strlen(search->root) + strlen(mount->path), version));
}

static uint64_t limit_of(const char *root, const struct cgroup_version *version)
{
	struct search search = { .root = root, .version = version, .limit = UINT64_MAX };

	/* Without the file there is no limit to be seen. */
	if (find_group(root, version, search.group, sizeof(search.group)))
		(void)!mountinfo_each(root, look, &search);
	return search.limit;
}

uint64_t memory_cgroup_limit(const char *root)
{
	uint64_t limit = UINT64_MAX;

	for (size_t i = 0; i < ARRAY_SIZE(versions); i++)
		limit = min_u64(limit, limit_of(root, &versions[i]));
	return limit;
}

uint64_t memory_allowed(void)
{
	struct sysinfo info;
	uint64_t ram = GIB;

	/* It does not fail with a valid argument. */
	if (sysinfo(&info) == 0)
		ram = (uint64_t)info.totalram * info.mem_unit;
	return max_u64(min_u64(ram, memory_cgroup_limit("")), 1);
}
