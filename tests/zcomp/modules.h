/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * modules.h - a folder of modules that a test may load from: copies of what the build made, in a
 * folder of its own, so that owner and permissions are the test's.
 */
#ifndef ZT_TESTS_ZCOMP_MODULES_H
#define ZT_TESTS_ZCOMP_MODULES_H

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "tests/zcomp/fixture.h"
#include "zcomp/module.h"

/* Absolute; empty: none was made. */
static char modules_dir[512];

/* Where the build leaves what it made, from the top build folder, in which tests run. */
static const char *const modules_made_in[] = { ".libs", "tests/zcomp/.libs" };

static inline const char *modules_path(const char *file)
{
	static char path[1024];

	snprintf(path, sizeof(path), "%s/%s", modules_dir, file);
	return path;
}

/* Copies the first @len bytes, at most all. */
static inline void modules_copy(const char *from, const char *to, size_t len)
{
	FILE *in = fopen(from, "rb"), *out;
	size_t got;
	char bytes[4096];

	ck_assert_msg(in != NULL, "%s is not there", from);
	unlink(to);
	out = fopen(to, "wb");
	ck_assert_ptr_nonnull(out);
	while (len > 0 &&
	       (got = fread(bytes, 1, len < sizeof(bytes) ? len : sizeof(bytes), in)) > 0) {
		ck_assert_uint_eq(fwrite(bytes, 1, got, out), got);
		len -= got;
	}
	fclose(in);
	ck_assert_int_eq(fclose(out), 0);
	ck_assert_int_eq(chmod(to, 0644), 0);
}

static inline void modules_remove(void)
{
	DIR *dir = modules_dir[0] ? opendir(modules_dir) : NULL;
	struct dirent *entry;

	if (!dir)
		return;
	while ((entry = readdir(dir)) != NULL)
		(void)unlink(modules_path(entry->d_name));
	closedir(dir);
	(void)rmdir(modules_dir);
	modules_dir[0] = '\0';
}

/* modules_make() - the folder, with every ztmpfs-*.so that was built; names are looked for there */
static inline void modules_make(void)
{
	char cwd[256];

	ck_assert_ptr_nonnull(getcwd(cwd, sizeof(cwd)));
	snprintf(modules_dir, sizeof(modules_dir), "%s/modules-test.XXXXXX", cwd);
	ck_assert_ptr_nonnull(mkdtemp(modules_dir));
	for (size_t i = 0; i < ARRAY_SIZE(modules_made_in); i++) {
		DIR *dir = opendir(modules_made_in[i]);
		struct dirent *entry;

		ck_assert_msg(dir != NULL, "%s is not there", modules_made_in[i]);
		while ((entry = readdir(dir)) != NULL) {
			const size_t len = strlen(entry->d_name);
			char from[512];

			if (strncmp(entry->d_name, "ztmpfs-", 7) != 0 || len < 3 ||
			    strcmp(entry->d_name + len - 3, ".so") != 0)
				continue;
			snprintf(from, sizeof(from), "%s/%s", modules_made_in[i], entry->d_name);
			modules_copy(from, modules_path(entry->d_name), SIZE_MAX);
		}
		closedir(dir);
	}
	zcomp_module_dir = modules_dir;
}

#endif
