// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * module.c - algorithms that are not built in: shared objects, checked before they are loaded.
 *
 * The file is opened once; owner, permissions, folder and shape are checked by that descriptor, and
 * it is what the dynamic loader gets to see, as /proc/self/fd/N. So nobody can exchange it in
 * between.
 *
 * The loader takes a name that it has seen for the file that it has loaded, under every name that
 * it was given for it. So a file is loaded once, however often it is opened, and its descriptor
 * stays open for as long as the loader has it: the number then stands for no other file.
 *
 * Locks: modules_lock, for the list of what is loaded and for the loader's calls. Nothing is taken
 * under it, as long as a module's constructors leave it alone. It prints nothing.
 */
#include "zcomp/module.h"

#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "util/alloc.h"
#include "util/lock.h"
#include "zcomp/registry.h"

/* A table without anything optional ends here. */
#define TABLE_MIN_SIZE (offsetof(struct zcomp_ops, decompress) + sizeof(void *))
/* No table of any version will be larger; one that says so is something else. */
#define TABLE_MAX_SIZE 4096u
/* More would be no file that a linker made: 56 bytes each. */
#define ELF_MAX_HEADERS 256

/* One loaded file. */
struct zcomp_module {
	struct zcomp_ops ops; /* what the module has, and NULL for the rest */
	void *handle; /* of dlopen() */
	int fd;
	dev_t dev; /* with ino: which file it is */
	ino_t ino;
	unsigned nr_users; /* 0: the loader would not let go of it */
	struct zcomp_module *next;
};

static struct mutex modules_lock = MUTEX_INITIALIZER(ZT_RANK_MODULES);
static struct zcomp_module *modules ZT_GUARDED_BY(modules_lock); /* as is nr_users */

const char *zcomp_module_dir = ZCOMP_MODULE_DIR;

int zcomp_refuse(char error_text[ZCOMP_ERROR_TEXT], int error, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(error_text, ZCOMP_ERROR_TEXT, fmt, ap);
	va_end(ap);
	return error;
}

int zcomp_module_path(const char *name, char *out_path, size_t size)
{
	char path[PATH_MAX];
	int len;

	if (name[0] == '/')
		len = snprintf(path, sizeof(path), "%s", name);
	else if (zcomp_name_is_valid(name))
		len = snprintf(path, sizeof(path), "%s/ztmpfs-%s.so", zcomp_module_dir, name);
	else
		return -EINVAL;
	if (len < 0 || (size_t)len >= size || (size_t)len >= sizeof(path))
		return -ENAMETOOLONG;
	memcpy(out_path, path, (size_t)len + 1);
	return 0;
}

/* Trust ------------------------------------------------------------------- */

int zcomp_module_check_owner(const struct stat *st, const char *path,
			     char error_text[ZCOMP_ERROR_TEXT])
{
	if (st->st_uid != 0)
		return zcomp_refuse(error_text, -EACCES,
				    "module %.150s: owned by user %u, not by root", path,
				    (unsigned)st->st_uid);
	if (st->st_mode & (S_IWGRP | S_IWOTH))
		return zcomp_refuse(error_text, -EACCES,
				    "module %.150s: others than root may write it", path);
	return 0;
}

/*
 * The folder of @path must be root's too, and, if @st is given, hold that very file.
 * /proc/self/fd/N ends in " (deleted)" for a file that is gone: then nothing is found.
 */
static int check_folder(const char *path, const struct stat *st, char error_text[ZCOMP_ERROR_TEXT])
{
	const char *base = strrchr(path, '/') + 1;
	struct stat folder, entry;
	char dir[PATH_MAX];
	int fd, error = 0;

	snprintf(dir, sizeof(dir), "%.*s", (int)(base - path), path);
	fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &folder) != 0)
		error = zcomp_refuse(error_text, -errno, "module folder %.150s: %s", dir,
				     strerror(errno));
	else
		error = zcomp_module_check_owner(&folder, dir, error_text);
	if (!error && st &&
	    (fstatat(fd, base, &entry, AT_SYMLINK_NOFOLLOW) != 0 || entry.st_dev != st->st_dev ||
	     entry.st_ino != st->st_ino))
		error = zcomp_refuse(error_text, -EACCES,
				     "module %.150s: was moved while it was opened", path);
	if (fd >= 0)
		close(fd);
	return error;
}

/* File, its folder, and the folder of the link that leads to it. */
static int check_trusted(int fd, const char *path, const struct stat *st,
			 char error_text[ZCOMP_ERROR_TEXT])
{
	char self[32], real[PATH_MAX];
	ssize_t len;
	int error;

	if (geteuid() != 0)
		return 0;
	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	len = readlink(self, real, sizeof(real) - 1);
	if (len <= 0)
		return zcomp_refuse(error_text, -EACCES,
				    "module %.150s: cannot see where it is: %s", path,
				    strerror(errno));
	real[len] = '\0';
	error = zcomp_module_check_owner(st, path, error_text);
	if (!error)
		error = check_folder(path, NULL, error_text);
	if (!error)
		error = check_folder(real, st, error_text);
	return error;
}

/* Shape ------------------------------------------------------------------- */

/* The loader maps what the headers say; pages beyond the file's end would be a fatal signal. */
static int check_complete(int fd, const char *path, const struct stat *st,
			  char error_text[ZCOMP_ERROR_TEXT])
{
	const uint64_t size = (uint64_t)st->st_size;
	ElfW(Ehdr) head;
	ElfW(Phdr) part;

	if (pread(fd, &head, sizeof(head), 0) != (ssize_t)sizeof(head) ||
	    memcmp(head.e_ident, ELFMAG, SELFMAG) != 0 || head.e_type != ET_DYN)
		return zcomp_refuse(error_text, -ENOEXEC, "module %.150s: is no shared object",
				    path);
	if (head.e_ident[EI_CLASS] != (sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32) ||
	    head.e_phentsize != sizeof(part) || head.e_phnum > ELF_MAX_HEADERS)
		return zcomp_refuse(error_text, -ENOEXEC,
				    "module %.150s: is no shared object of this machine's kind",
				    path);
	for (unsigned i = 0; i < head.e_phnum; i++) {
		uint64_t at = head.e_phoff + (uint64_t)i * sizeof(part);

		if (at > size || pread(fd, &part, sizeof(part), (off_t)at) != (ssize_t)sizeof(part))
			goto truncated;
		if (part.p_type == PT_LOAD &&
		    (part.p_offset > size || part.p_filesz > size - part.p_offset))
			goto truncated;
	}
	return 0;

truncated:
	return zcomp_refuse(error_text, -ENOEXEC, "module %.150s: is truncated", path);
}

/* Table ------------------------------------------------------------------- */

int zcomp_module_take_table(const struct zcomp_ops *table, const char *path,
			    char error_text[ZCOMP_ERROR_TEXT], struct zcomp_ops *out_ops)
{
	const unsigned char *bytes = (const unsigned char *)table;
	struct zcomp_ops ops = { 0 };
	uint32_t size;

	if (!table)
		return zcomp_refuse(error_text, -EINVAL, "module %.150s: returns no table", path);
	if (table->abi_version != ZCOMP_ABI_VERSION)
		return zcomp_refuse(error_text, -EINVAL,
				    "module %.150s: made for version %u of the interface, not %u",
				    path, table->abi_version, ZCOMP_ABI_VERSION);
	size = table->struct_size;
	if (size < TABLE_MIN_SIZE || size > TABLE_MAX_SIZE || size % sizeof(void *) != 0)
		return zcomp_refuse(
			error_text, -EINVAL,
			"module %.150s: its table has %u bytes, not %zu or a few more or "
			"less",
			path, size, sizeof(ops));
	for (size_t i = sizeof(ops); i < size; i++)
		if (bytes[i] != 0)
			return zcomp_refuse(error_text, -EINVAL,
					    "module %.150s: needs a newer ztmpfs: its table has %u "
					    "bytes, and uses more than the %zu known here",
					    path, size, sizeof(ops));
	memcpy(&ops, table, size < sizeof(ops) ? size : sizeof(ops));
	ops.struct_size = sizeof(ops);
	*out_ops = ops;
	return 0;
}

/* A name that is looked for is the one that it must have; none hides what is built in. */
static int check_name(const struct zcomp_ops *ops, const char *name, const char *path,
		      char error_text[ZCOMP_ERROR_TEXT])
{
	if (zcomp_find_ops(ops->name))
		return zcomp_refuse(error_text, -EINVAL,
				    "module %.150s: has the name of the built-in algorithm %s",
				    path, ops->name);
	if (name[0] != '/' && strcmp(name, ops->name) != 0)
		return zcomp_refuse(error_text, -EINVAL, "module %.150s: calls itself %s, not %s",
				    path, ops->name, name);
	return 0;
}

/* Loading ----------------------------------------------------------------- */

/* What the loader says, without the name that only we have given to the file. */
static const char *loader_says(const char *self)
{
	const char *text = dlerror();
	const size_t len = strlen(self);

	if (!text)
		return "the dynamic loader does not say why";
	return strncmp(text, self, len) == 0 && strncmp(text + len, ": ", 2) == 0 ? text + len + 2
										  : text;
}

/* The table of what is mapped, checked. */
static int read_table(struct zcomp_module *module, const char *path,
		      char error_text[ZCOMP_ERROR_TEXT])
{
	const struct zcomp_ops *(*get_table)(void);
	char sentence[ZCOMP_ERROR_TEXT];
	int error;

	/* The way that POSIX names to make a function of an object pointer. */
	*(void **)&get_table = dlsym(module->handle, ZCOMP_MODULE_SYMBOL);
	if (!get_table)
		return zcomp_refuse(error_text, -ENOEXEC,
				    "module %.150s: has no " ZCOMP_MODULE_SYMBOL, path);
	error = zcomp_module_take_table(get_table(), path, error_text, &module->ops);
	if (error)
		return error;
	error = zcomp_check_ops(&module->ops, sentence);
	if (error)
		return zcomp_refuse(error_text, error, "module %.100s: %.140s", path, sentence);
	return 0;
}

/*
 * Ends the loader's use of a file that nobody uses. Some files stay: they ask for it, or hold
 * something that cannot be taken back. Then the descriptor must stay, too.
 * Return: whether it is gone, and its descriptor closed.
 */
static bool unload_locked(struct zcomp_module *module)
{
	char self[32];
	void *kept = NULL;

	if (module->handle) {
		snprintf(self, sizeof(self), "/proc/self/fd/%d", module->fd);
		(void)dlclose(module->handle); /* what remains is seen by the next line */
		kept = dlopen(self, RTLD_NOW | RTLD_NOLOAD);
	}
	module->handle = kept;
	if (kept)
		return false;
	close(module->fd);
	return true;
}

static struct zcomp_module *find_loaded_locked(const struct stat *st) ZT_REQUIRES(&modules_lock)
{
	struct zcomp_module *module = modules;

	while (module && (module->dev != st->st_dev || module->ino != st->st_ino))
		module = module->next;
	return module;
}

/* A module without users goes, if the loader lets go of it. */
static void forget_locked(struct zcomp_module *module) ZT_REQUIRES(&modules_lock)
{
	struct zcomp_module **at = &modules;

	if (module->nr_users > 0 || !unload_locked(module))
		return;
	while (*at != module)
		at = &(*at)->next;
	*at = module->next;
	zt_free(module);
}

/* Maps a file that is not loaded yet; the descriptor is the module's on success. */
static int map_locked(int fd, const struct stat *st, const char *path,
		      char error_text[ZCOMP_ERROR_TEXT], struct zcomp_module **out_module)
	ZT_REQUIRES(&modules_lock)
{
	struct zcomp_module *module = zt_zalloc(sizeof(*module));
	char self[32];
	int error;

	if (!module)
		return zcomp_refuse(error_text, -ENOMEM, "module %.150s: out of memory", path);
	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	module->handle = dlopen(self, RTLD_NOW | RTLD_LOCAL);
	if (!module->handle) {
		error = zcomp_refuse(error_text, -ENOEXEC, "module %.100s: %.140s", path,
				     loader_says(self));
		zt_free(module);
		return error;
	}
	module->fd = fd;
	module->dev = st->st_dev;
	module->ino = st->st_ino;
	module->next = modules;
	modules = module;
	*out_module = module;
	return 0;
}

/* @fd is closed, or the module's, whatever happens. */
static int load_locked(int fd, const struct stat *st, const char *name, const char *path,
		       char error_text[ZCOMP_ERROR_TEXT], struct zcomp_module **out_module)
	ZT_REQUIRES(&modules_lock)
{
	struct zcomp_module *module = find_loaded_locked(st);
	int error = module ? 0 : map_locked(fd, st, path, error_text, &module);

	/* What is loaded has a descriptor of its own. */
	if (error || module->fd != fd)
		close(fd);
	if (error)
		return error;
	/* With users its table is known to be good. */
	if (module->nr_users == 0)
		error = read_table(module, path, error_text);
	if (!error)
		error = check_name(&module->ops, name, path, error_text);
	if (error) {
		forget_locked(module);
		return error;
	}
	module->nr_users++;
	*out_module = module;
	return 0;
}

static int no_such_module(const char *name, const char *path, int error,
			  char error_text[ZCOMP_ERROR_TEXT])
{
	char list[96];

	if (error != -ENOENT || name[0] == '/')
		return zcomp_refuse(error_text, error, "module %.150s: %s", path, strerror(-error));
	return zcomp_refuse(error_text, error,
			    "compress=%.31s: unknown algorithm; allowed: %s, or a module in %.96s",
			    name, zcomp_ops_list(list, sizeof(list)), zcomp_module_dir);
}

/* All that can be seen before anything of it runs. */
static int check_file(int fd, const char *path, char error_text[ZCOMP_ERROR_TEXT],
		      struct stat *out_st)
{
	int error;

	if (fstat(fd, out_st) != 0)
		return zcomp_refuse(error_text, -errno, "module %.150s: %s", path, strerror(errno));
	if (!S_ISREG(out_st->st_mode))
		return zcomp_refuse(error_text, -ENOEXEC, "module %.150s: is no regular file",
				    path);
	error = check_trusted(fd, path, out_st, error_text);
	return error ? error : check_complete(fd, path, out_st, error_text);
}

int zcomp_module_open(const char *name, char error_text[ZCOMP_ERROR_TEXT],
		      struct zcomp_module **out_module)
{
	struct zcomp_module *module = NULL;
	char path[PATH_MAX], list[96];
	struct stat st;
	int fd, error = zcomp_module_path(name, path, sizeof(path));

	if (error == -EINVAL)
		return zcomp_refuse(
			error_text, -ENOENT,
			"compress=%.31s: unknown algorithm; allowed: %s, or a module's name "
			"or absolute path",
			name, zcomp_ops_list(list, sizeof(list)));
	if (error)
		return zcomp_refuse(error_text, error, "module %.150s: %s", name, strerror(-error));
	/* A fifo must not be waited for. */
	fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return no_such_module(name, path, -errno, error_text);
	error = check_file(fd, path, error_text, &st);
	if (error) {
		close(fd);
		return error;
	}
	mutex_lock(&modules_lock);
	error = load_locked(fd, &st, name, path, error_text, &module);
	mutex_unlock(&modules_lock);
	if (!error)
		*out_module = module;
	return error;
}

void zcomp_module_close(struct zcomp_module *module)
{
	if (!module)
		return;
	mutex_lock(&modules_lock);
	ZT_ASSERT(module->nr_users > 0);
	module->nr_users--;
	forget_locked(module);
	mutex_unlock(&modules_lock);
}

const struct zcomp_ops *zcomp_module_ops(const struct zcomp_module *module)
{
	return &module->ops;
}
