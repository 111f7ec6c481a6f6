// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * replay.c - the main program of a fuzz target in builds without libFuzzer: one call for each file, by default of
 * the target's folder in tests/fuzz/corpus.
 *
 * TARGET --random RUNS [SEED [FOLDER...]]: so many inputs that nobody has written, out of those of the folders. It knows nothing
 * of what they reach, and is many times faster than libFuzzer with sanitizers. What the last one was stands in
 * ./TARGET.input when it ends the process. SIGTERM ends it, and it says how many there were.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

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

/* ---- inputs that nobody has written ---- */

#define INPUT_MAX  4096u
#define INPUTS_MAX 8192u
#define TELL_EACH  100000u

struct kept {
	uint8_t *data;
	size_t size;
};

static struct kept kept[INPUTS_MAX];
static size_t nr_kept;
static volatile sig_atomic_t ends;

static void end(int sig)
{
	(void)sig;
	ends = 1;
}

/* splitmix64 */
static uint64_t next_random(uint64_t *state)
{
	uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static int keep_folder(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	char name[8192];

	if (!dir) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		return 1;
	}
	while (nr_kept < INPUTS_MAX && (entry = readdir(dir)) != NULL) {
		struct kept *one = &kept[nr_kept];
		FILE *file;

		snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
		file = entry->d_name[0] == '.' ? NULL : fopen(name, "re");
		if (!file)
			continue;
		one->data = malloc(INPUT_MAX);
		one->size = one->data ? fread(one->data, 1, INPUT_MAX, file) : 0;
		nr_kept += one->size > 0;
		fclose(file);
	}
	closedir(dir);
	return 0;
}

/* One change: a byte, a bit, a piece that goes, comes twice, or is of another input. */
static size_t change_once(uint64_t *state, uint8_t *data, size_t size)
{
	const uint64_t r = next_random(state);
	const size_t at = size ? (size_t)(r >> 8) % size : 0;
	size_t len = 1 + (size_t)(r >> 40) % 8;
	const struct kept *other;

	switch (size ? r & 7 : 4) {
	case 0:
		data[at] = (uint8_t)(r >> 48);
		return size;
	case 1:
		data[at] ^= (uint8_t)(1u << (r >> 48 & 7));
		return size;
	case 2:
		data[at] = (uint8_t)(data[at] + (r >> 48 & 1 ? 1 : 255));
		return size;
	case 3:
		len = len < size - at ? len : size - at;
		memmove(data + at, data + at + len, size - at - len);
		return size - len;
	case 4: /* at the end */
	case 5:
		for (; len > 0 && size < INPUT_MAX; len--)
			data[size++] = (uint8_t)next_random(state);
		return size;
	default:
		if (nr_kept == 0)
			return size;
		other = &kept[(size_t)(r >> 16) % nr_kept];
		len = other->size < INPUT_MAX - at ? other->size : INPUT_MAX - at;
		memcpy(data + at, other->data, len);
		return at + len > size ? at + len : size;
	}
}

static size_t make_input(uint64_t *state, uint8_t *data)
{
	const uint64_t r = next_random(state);
	unsigned changes = 1 + (unsigned)(r >> 8) % 6;
	size_t size = 0;

	if (r & 3 && nr_kept > 0) {
		const struct kept *from = &kept[(size_t)(r >> 16) % nr_kept];

		size = from->size;
		memcpy(data, from->data, size);
	} else {
		changes += 4;
	}
	while (changes-- > 0)
		size = change_once(state, data, size);
	return size;
}

/* The input that is tried, in a file that stays when the process dies. */
static int input_fd;
static size_t input_size;

/* As long as it is; then the signal ends the process as it would have. */
static void dies(int sig)
{
	(void)signal(sig, SIG_DFL);
	(void)!ftruncate(input_fd, (off_t)input_size);
	(void)raise(sig);
}

static uint8_t *open_input(const char *name)
{
	static const int deadly[] = { SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL };
	char path[4096];
	void *data = MAP_FAILED;

	snprintf(path, sizeof(path), "%s.input", name);
	input_fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (input_fd >= 0 && ftruncate(input_fd, INPUT_MAX) == 0)
		data = mmap(NULL, INPUT_MAX, PROT_READ | PROT_WRITE, MAP_SHARED, input_fd, 0);
	if (data == MAP_FAILED) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		return NULL;
	}
	for (size_t i = 0; i < sizeof(deadly) / sizeof(deadly[0]); i++)
		(void)signal(deadly[i], dies);
	(void)signal(SIGTERM, end);
	return data;
}

static int try_random(const char *name, uint64_t runs, uint64_t seed)
{
	uint8_t *data = open_input(name);
	const time_t begin = time(NULL);
	uint64_t state = seed, done = 0;

	if (!data)
		return 1;
	for (; done < runs && !ends; done++) {
		const size_t size = make_input(&state, data);
		/* Of exactly its size, so that a sanitizer sees what is read behind it. */
		uint8_t *input = malloc(size ? size : 1);

		if (!input)
			return 1;
		input_size = size;
		memcpy(input, data, size);
		(void)LLVMFuzzerTestOneInput(input, size);
		free(input);
		if ((done + 1) % TELL_EACH == 0) {
			printf("%s: %llu inputs in %lld s\n", name, (unsigned long long)(done + 1),
			       (long long)(time(NULL) - begin));
			fflush(stdout);
		}
	}
	printf("%s: %llu random inputs of seed %llu out of %zu, in %lld s\n", name,
	       (unsigned long long)done, (unsigned long long)seed, nr_kept,
	       (long long)(time(NULL) - begin));
	return 0;
}

static int run_random(const char *name, const char *folder, int argc, char *argv[])
{
	const uint64_t runs = strtoull(argv[2], NULL, 10);
	const uint64_t seed = argc > 3 ? strtoull(argv[3], NULL, 10) : (uint64_t)time(NULL);
	int failed = keep_folder(folder);

	for (int i = 4; !failed && i < argc; i++)
		failed = keep_folder(argv[i]);
	return failed || try_random(name, runs, seed) != 0;
}

int main(int argc, char *argv[])
{
	const char *name = strrchr(argv[0], '/'), *srcdir = getenv("srcdir");
	char folder[4096];
	int failed = 0;

	name = name ? name + 1 : argv[0];
	snprintf(folder, sizeof(folder), "%s/tests/fuzz/corpus/%s", srcdir ? srcdir : ".", name);
	if (argc > 2 && strcmp(argv[1], "--random") == 0)
		return run_random(name, folder, argc, argv);
	for (int i = 1; !failed && i < argc; i++)
		failed = replay_file(argv[i]);
	if (argc == 1)
		failed = replay_folder(folder);
	printf("%s: %u inputs\n", name, nr_replayed);
	return failed || nr_replayed == 0;
}
