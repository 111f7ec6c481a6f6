// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * replay.c - the main program of a fuzz target in builds without libFuzzer: one call for each file, by default of
 * the target's folder in tests/fuzz/corpus.
 */
#include <dirent.h>
#include <errno.h>
#include <sys/stat.h>

#include "tests/fuzz/fuzz.h"

static unsigned nr_replayed;

static int replay_file(const char *path)
{
	FILE *file = fopen(path, "re");
	struct stat st;
	uint8_t *data;
	size_t len;

	if (!file || fstat(fileno(file), &st) != 0 || !S_ISREG(st.st_mode)) {
		fprintf(stderr, "%s: cannot be read\n", path);
		if (file)
			fclose(file);
		return 1;
	}
	/* Of exactly its size, so that a sanitizer sees what is read behind it. */
	data = malloc((size_t)st.st_size);
	len = data ? fread(data, 1, (size_t)st.st_size, file) : 0;
	fclose(file);
	(void)LLVMFuzzerTestOneInput(data, len);
	free(data);
	nr_replayed++;
	return 0;
}

static int replay_folder(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	char file[8192];
	int failed = 0;

	if (!dir) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		return 1;
	}
	while (!failed && (entry = readdir(dir)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(file, sizeof(file), "%s/%s", path, entry->d_name);
		failed = replay_file(file);
	}
	closedir(dir);
	return failed;
}

int main(int argc, char *argv[])
{
	const char *name = strrchr(argv[0], '/'), *srcdir = getenv("srcdir");
	char folder[4096];
	int failed = 0;

	name = name ? name + 1 : argv[0];
	snprintf(folder, sizeof(folder), "%s/tests/fuzz/corpus/%s", srcdir ? srcdir : ".", name);
	for (int i = 1; !failed && i < argc; i++)
		failed = replay_file(argv[i]);
	if (argc == 1)
		failed = replay_folder(folder);
	printf("%s: %u inputs\n", name, nr_replayed);
	return failed || nr_replayed == 0;
}
