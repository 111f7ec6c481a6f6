/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * module.h - algorithms that are not built in: shared objects, checked before they are loaded.
 *
 * Locks: one for all modules, held while files are loaded and unloaded. A module's constructors run
 * in the call that opens it, its destructors in the last one that closes it; neither may call these
 * functions. A file is loaded once, however often it is opened.
 */
#ifndef ZT_ZCOMP_MODULE_H
#define ZT_ZCOMP_MODULE_H

#include <stddef.h>
#include <sys/stat.h>

#include "util/compiler.h"
#include "zcomp/zcomp.h"

struct zcomp_module;

/** zcomp_module_dir - where names are looked for: $(pkglibdir), unless a test points elsewhere */
extern const char *zcomp_module_dir;

/**
 * zcomp_module_path() - the file that a name stands for
 * @name: a name as zcomp_name_is_valid() has it, or an absolute path
 * Return: 0, -EINVAL neither, -ENAMETOOLONG; nothing is looked at.
 */
int zcomp_module_path(const char *name, char *out_path, size_t size) ZT_MUST_CHECK;

/**
 * zcomp_module_open() - load a module and check what it offers
 * @name: as above
 * @error_text: out on error: one sentence
 *
 * When this process is root's, file and folder must be as zcomp_module_check_owner() wants them.
 * What is checked is what is loaded: the file is opened once.
 *
 * Return: 0; -ENOENT no such file; -EACCES not trusted; -ENOEXEC no module; -EINVAL a table that
 *         cannot be driven; -ENOMEM; or what open(2) says.
 */
int zcomp_module_open(const char *name, char error_text[ZCOMP_ERROR_TEXT],
		      struct zcomp_module **out_module) ZT_MUST_CHECK;

/** zcomp_module_close() - unload; nothing of the table may be in use. NULL is allowed. */
void zcomp_module_close(struct zcomp_module *module);

/** zcomp_module_ops() - its table, complete: members that the module does not have are NULL */
const struct zcomp_ops *zcomp_module_ops(const struct zcomp_module *module);

/**
 * zcomp_module_check_owner() - whether root alone decides what is in a file or folder
 * @path: for the sentence
 * Return: 0, or -EACCES for another owner, or for write permission of group or others.
 */
int zcomp_module_check_owner(const struct stat *st, const char *path,
			     char error_text[ZCOMP_ERROR_TEXT]) ZT_MUST_CHECK;

/**
 * zcomp_module_take_table() - a module's table as this core has it
 * @table: what the module returned
 * Return: 0, or -EINVAL for another version of the interface, or for a size that cannot be.
 */
int zcomp_module_take_table(const struct zcomp_ops *table, const char *path,
			    char error_text[ZCOMP_ERROR_TEXT],
			    struct zcomp_ops *out_ops) ZT_MUST_CHECK;

/** zcomp_refuse() - put the sentence why into @error_text. Return: @error. */
int zcomp_refuse(char error_text[ZCOMP_ERROR_TEXT], int error, const char *fmt, ...)
	ZT_PRINTF(3, 4);

#endif
