// SPDX-License-Identifier: GPL-2.0-or-later
/* test_module.c - modules: found, checked, driven, unloaded, and refused for each thing that is wrong. */
#include <elf.h>
#include <errno.h>
#include <link.h>

#include "tests/zcomp/modules.h"
#include "util/alloc.h"

static void setup(void)
{
	unsetenv("ZT_ODD");
	modules_make();
}

static struct zcomp_module *must_open(const char *name)
{
	char text[ZCOMP_ERROR_TEXT] = "";
	struct zcomp_module *module = NULL;

	ck_assert_msg(zcomp_module_open(name, text, &module) == 0, "%s: %s", name, text);
	return module;
}

/* Refused with @error, in one sentence that has @word in it. */
static void refused(const char *name, int error, const char *word)
{
	char text[ZCOMP_ERROR_TEXT] = "";
	struct zcomp_module *module = NULL;
	int res = zcomp_module_open(name, text, &module);

	ck_assert_msg(res == error, "%s: %d, not %d: %s", name, res, error, text);
	ck_assert_ptr_null(module);
	ck_assert_msg(strstr(text, word) != NULL, "%s: no '%s' in: %s", name, word, text);
	ck_assert_ptr_null(strchr(text, '\n'));
	ck_assert_uint_lt(strlen(text), sizeof(text) - 1);
}

static void odd_is_refused(const char *how, int error, const char *word)
{
	setenv("ZT_ODD", how, 1);
	refused("odd", error, word);
	unsetenv("ZT_ODD");
}

/* Whether a file is mapped into this process. */
static bool is_loaded(const char *file)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	char line[1024];
	bool found = false;

	ck_assert_ptr_nonnull(maps);
	while (fgets(line, sizeof(line), maps))
		found = found || strstr(line, file) != NULL;
	fclose(maps);
	return found;
}

static unsigned nr_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned nr = 0;

	ck_assert_ptr_nonnull(dir);
	while (readdir(dir))
		nr++;
	closedir(dir);
	return nr;
}

START_TEST(test_every_built_in_backend_exists_as_a_module_that_hides_none)
{
	const struct zcomp_ops *ops;

	for (size_t i = 0; (ops = zcomp_ops_at(i)) != NULL; i++) {
		struct zcomp_module *module;
		char name[64];

		snprintf(name, sizeof(name), "%s-module", ops->name);
		module = must_open(name);
		ck_assert_str_eq(zcomp_module_ops(module)->name, name);
		ck_assert_ptr_ne(zcomp_module_ops(module)->compress, ops->compress);
		ck_assert_int_eq(zcomp_module_ops(module)->level_max, ops->level_max);
		ck_assert_uint_eq(zcomp_module_ops(module)->dict_max, ops->dict_max);
		zcomp_module_close(module);
	}
}
END_TEST

START_TEST(test_name_stands_for_a_file_in_the_folder_and_a_path_for_itself)
{
	char path[256];

	zcomp_module_dir = "/usr/lib/ztmpfs";
	ck_assert_int_eq(zcomp_module_path("igzip", path, sizeof(path)), 0);
	ck_assert_str_eq(path, "/usr/lib/ztmpfs/ztmpfs-igzip.so");
	ck_assert_int_eq(zcomp_module_path("/x/y.so", path, sizeof(path)), 0);
	ck_assert_str_eq(path, "/x/y.so");
	ck_assert_int_eq(zcomp_module_path("x/y.so", path, sizeof(path)), -EINVAL);
	ck_assert_int_eq(zcomp_module_path("../y", path, sizeof(path)), -EINVAL);
	ck_assert_int_eq(zcomp_module_path("", path, sizeof(path)), -EINVAL);
	ck_assert_int_eq(zcomp_module_path(".y", path, sizeof(path)), -EINVAL);
	ck_assert_int_eq(zcomp_module_path("igzip", path, 31), -ENAMETOOLONG);
	ck_assert_int_eq(zcomp_module_path("igzip", path, 32), 0);
}
END_TEST

START_TEST(test_module_works_by_name_and_by_path_and_under_the_accelerator)
{
	const char *names[] = { "lz4-module", modules_path("ztmpfs-lz4-module.so") };

	for (int i = 0; i < 4; i++) {
		struct zcomp_config config = config_of(names[i / 2], 4096);
		uint8_t data[4096] = { 1, 2, 3 }, back[4096];
		struct zcomp_strm *strm;
		struct zcomp *comp;
		size_t len, back_len;

		config.accel = i % 2;
		comp = must_create(&config);
		ck_assert_str_eq(zcomp_name(comp), "lz4-module");
		strm = zcomp_stream_get(comp, ZSTRM_PREFER_MGMT);
		ck_assert_int_eq(zcomp_stream_is_managed(comp, strm), i % 2);
		ck_assert_int_eq(zcomp_compress(comp, strm, data, 4096, 4096, &len), 0);
		ck_assert_uint_lt(len, 100);
		memcpy(data, strm->buffer, len);
		zcomp_stream_put(comp, strm);
		strm = zcomp_stream_get(comp, ZSTRM_DEFAULT);
		ck_assert_int_eq(zcomp_decompress(comp, strm, data, len, back, 4096, &back_len), 0);
		zcomp_stream_put(comp, strm);
		ck_assert_uint_eq(back_len, 4096);
		ck_assert_uint_eq(back[2], 3);
		ck_assert_uint_eq(back[4095], 0);
		zcomp_destroy(comp);
	}
}
END_TEST

/* The module itself aborts when it is unloaded too early. */
START_TEST(test_codec_in_use_stays_loaded_and_goes_with_its_last_user)
{
	struct zcomp_config config = config_of("odd", 4096);
	unsigned before = nr_descriptors();
	struct zcomp *first, *second;

	ck_assert(!is_loaded("ztmpfs-odd.so"));
	first = must_create(&config);
	second = must_create(&config);
	ck_assert(is_loaded("ztmpfs-odd.so"));
	zcomp_destroy(first);
	ck_assert(is_loaded("ztmpfs-odd.so"));
	zcomp_stream_put(second, zcomp_stream_get(second, ZSTRM_DEFAULT));
	zcomp_destroy(second);
	ck_assert(!is_loaded("ztmpfs-odd.so"));
	ck_assert_uint_eq(nr_descriptors(), before);
}
END_TEST

/* The loader knows files by the names it was given: an old number must not lead to an old file. */
START_TEST(test_module_after_another_is_the_one_that_was_asked_for)
{
	struct zcomp_module *kept = must_open("lz4-module"), *other;

	for (int i = 0; i < 3; i++) {
		other = must_open(i % 2 ? "zstd-module" : "null-module");
		ck_assert_str_eq(zcomp_module_ops(other)->name,
				 i % 2 ? "zstd-module" : "null-module");
		zcomp_module_close(other);
	}
	other = must_open("zstd-module");
	zcomp_module_close(kept);
	kept = must_open("null-module");
	ck_assert_str_eq(zcomp_module_ops(kept)->name, "null-module");
	ck_assert_str_eq(zcomp_module_ops(other)->name, "zstd-module");
	zcomp_module_close(kept);
	zcomp_module_close(other);
}
END_TEST

/*
 * The loader remembers every name that a file was opened by. Opened twice and closed once, a number
 * of a descriptor must not stand for the old file when it comes to be that of another.
 */
START_TEST(test_file_opened_twice_is_loaded_once_and_hides_no_other)
{
	struct zcomp_module *first = must_open("lz4-module"), *second = must_open("lz4-module");
	struct zcomp_module *other;
	char path[1024];

	ck_assert_ptr_eq(first, second);
	zcomp_module_close(second);
	other = must_open("null-module");
	ck_assert_str_eq(zcomp_module_ops(other)->name, "null-module");
	ck_assert_str_eq(zcomp_module_ops(first)->name, "lz4-module");
	/* By another name it is refused, and the first goes on. */
	snprintf(path, sizeof(path), "%s", modules_path("ztmpfs-lz4-module.so"));
	ck_assert_int_eq(link(path, modules_path("ztmpfs-alias.so")), 0);
	refused("alias", -EINVAL, "calls itself lz4-module, not alias");
	ck_assert(is_loaded("ztmpfs-lz4-module.so"));
	zcomp_module_close(first);
	ck_assert(!is_loaded("ztmpfs-lz4-module.so"));
	zcomp_module_close(other);
}
END_TEST

/* What the loader will not let go of keeps its descriptor, for the same reason. */
START_TEST(test_module_that_cannot_be_unloaded_hides_no_other_and_can_be_opened_again)
{
	struct zcomp_module *module = must_open(modules_path("ztmpfs-sticky.so"));
	unsigned before;

	zcomp_module_close(module);
	ck_assert(is_loaded("ztmpfs-sticky.so"));
	before = nr_descriptors();
	module = must_open("null-module");
	ck_assert_str_eq(zcomp_module_ops(module)->name, "null-module");
	zcomp_module_close(module);
	setenv("ZT_ODD", "version", 1);
	refused(modules_path("ztmpfs-sticky.so"), -EINVAL, "version 2");
	setenv("ZT_ODD", "right-version", 1);
	module = must_open(modules_path("ztmpfs-sticky.so"));
	ck_assert_str_eq(zcomp_module_ops(module)->name, "odd");
	zcomp_module_close(module);
	ck_assert_uint_eq(nr_descriptors(), before);
}
END_TEST

START_TEST(test_what_is_no_module_is_refused_in_one_sentence)
{
	refused("no-such-thing", -ENOENT, "lz4, lz4hc, zstd, null, auto, or a module in");
	refused("Bad Name", -ENOENT, "unknown algorithm; allowed: lz4");
	refused("relative/path.so", -ENOENT, "absolute path");
	refused("/no/such/file.so", -ENOENT, "No such file");
	refused(modules_dir, -ENOEXEC, "no regular file");
	refused("/dev/null", -ENOEXEC, "no regular file");
	refused("empty", -ENOEXEC, "has no " ZCOMP_MODULE_SYMBOL);
	refused("unbound", -ENOEXEC, "a_function_of_the_daemon");
	modules_copy("/proc/self/cmdline", modules_path("ztmpfs-text.so"), SIZE_MAX);
	refused("text", -ENOEXEC, "no shared object");
	modules_copy("/dev/null", modules_path("ztmpfs-nothing.so"), 0);
	refused("nothing", -ENOEXEC, "no shared object");
	ck_assert_int_eq(symlink("loop.so", modules_path("loop.so")), 0);
	refused(modules_path("loop.so"), -ELOOP, "symbolic links");
}
END_TEST

START_TEST(test_fifo_is_refused_and_not_waited_for)
{
	ck_assert_int_eq(mkfifo(modules_path("ztmpfs-fifo.so"), 0600), 0);
	refused("fifo", -ENOEXEC, "no regular file");
}
END_TEST

START_TEST(test_table_of_another_shape_is_refused_in_one_sentence)
{
	odd_is_refused("no-table", -EINVAL, "returns no table");
	odd_is_refused("version", -EINVAL, "version 2 of the interface, not 1");
	odd_is_refused("tiny", -EINVAL, "its table has 64 bytes");
	odd_is_refused("giant", -EINVAL, "its table has 1073741824 bytes");
	odd_is_refused("uneven", -EINVAL, "its table has ");
	odd_is_refused("new-in-use", -EINVAL, "needs a newer ztmpfs");
	odd_is_refused("no-decompress", -EINVAL, "lacks compress or decompress");
	odd_is_refused("no-name", -EINVAL, "lacks name");
	odd_is_refused("bad-name", -EINVAL, "no good name");
	odd_is_refused("other-name", -EINVAL, "calls itself strange, not odd");
	odd_is_refused("built-in-name", -EINVAL, "name of the built-in algorithm lz4");
	odd_is_refused("levels-turned", -EINVAL, "levels 10..9 with the default 3");
	odd_is_refused("level-default", -EINVAL, "levels 1..9 with the default 0");
	ck_assert(!is_loaded("ztmpfs-odd.so"));
}
END_TEST

START_TEST(test_older_table_is_taken_and_what_it_lacks_is_not_there)
{
	struct zcomp_module *module;

	setenv("ZT_ODD", "old", 1);
	module = must_open("odd");
	ck_assert_uint_eq(zcomp_module_ops(module)->struct_size, sizeof(struct zcomp_ops));
	ck_assert_ptr_nonnull(zcomp_module_ops(module)->decompress);
	ck_assert_ptr_null(zcomp_module_ops(module)->get_stream);
	zcomp_module_close(module);
}
END_TEST

START_TEST(test_newer_table_is_taken_as_long_as_it_uses_nothing_new)
{
	struct zcomp_module *module;

	setenv("ZT_ODD", "new", 1);
	module = must_open("odd");
	ck_assert_uint_eq(zcomp_module_ops(module)->struct_size, sizeof(struct zcomp_ops));
	zcomp_module_close(module);
}
END_TEST

START_TEST(test_level_that_the_table_allows_and_the_module_does_not_is_refused)
{
	struct zcomp_config config = config_of("odd", 4096);
	char text[ZCOMP_ERROR_TEXT] = "";
	struct zcomp *comp;

	config.level = 9;
	ck_assert_int_eq(zcomp_create(&config, text, &comp), -EINVAL);
	ck_assert_ptr_nonnull(strstr(text, "refuses level 9"));
	config.level = 10;
	ck_assert_int_eq(zcomp_create(&config, text, &comp), -EINVAL);
	ck_assert_ptr_nonnull(strstr(text, "out of range 1..9"));
	ck_assert(!is_loaded("ztmpfs-odd.so"));
	config.level = 8;
	zcomp_destroy(must_create(&config));
}
END_TEST

/* The end of what the loader maps: before it a file is incomplete, behind it only symbols for debuggers follow. */
static size_t end_of_segments(const char *path)
{
	FILE *file = fopen(path, "rb");
	ElfW(Ehdr) head;
	ElfW(Phdr) part;
	size_t end = 0;

	ck_assert_ptr_nonnull(file);
	ck_assert_uint_eq(fread(&head, sizeof(head), 1, file), 1);
	for (unsigned i = 0; i < head.e_phnum; i++) {
		fseek(file, (long)(head.e_phoff + i * sizeof(part)), SEEK_SET);
		ck_assert_uint_eq(fread(&part, sizeof(part), 1, file), 1);
		if (part.p_type == PT_LOAD && part.p_offset + part.p_filesz > end)
			end = part.p_offset + part.p_filesz;
	}
	fclose(file);
	return end;
}

START_TEST(test_file_cut_anywhere_is_refused_and_never_a_fatal_signal)
{
	char whole[1024], cut[1024];
	size_t end;

	snprintf(whole, sizeof(whole), "%s", modules_path("ztmpfs-odd.so"));
	snprintf(cut, sizeof(cut), "%s", modules_path("ztmpfs-cut.so"));
	end = end_of_segments(whole);
	ck_assert_uint_gt(end, 4096);
	for (size_t len = 0; len < end; len += len < 1024 ? 61 : 509) {
		modules_copy(whole, cut, len);
		refused(cut, -ENOEXEC, len < sizeof(ElfW(Ehdr)) ? "no shared object" : "truncated");
	}
	modules_copy(whole, cut, end - 1);
	refused(cut, -ENOEXEC, "truncated");
}
END_TEST

START_TEST(test_file_of_another_kind_of_machine_is_refused)
{
	struct {
		long at;
		int value;
		const char *word;
	} wrong[] = {
		{ EI_CLASS, sizeof(void *) == 8 ? ELFCLASS32 : ELFCLASS64, "machine's kind" },
		{ EI_MAG1, 'e', "no shared object" },
		{ offsetof(ElfW(Ehdr), e_type), ET_REL, "no shared object" },
		{ offsetof(ElfW(Ehdr), e_phentsize), 7, "machine's kind" },
		{ offsetof(ElfW(Ehdr), e_phnum) + 1, 0xff, "machine's kind" },
		/* The loader's own words follow. */
		{ offsetof(ElfW(Ehdr), e_machine), EM_SPARCV9, "module " },
	};

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		FILE *file;

		modules_copy(modules_path("ztmpfs-odd.so"), "bent-module.so", SIZE_MAX);
		modules_copy("bent-module.so", modules_path("ztmpfs-bent.so"), SIZE_MAX);
		unlink("bent-module.so");
		file = fopen(modules_path("ztmpfs-bent.so"), "r+b");
		fseek(file, wrong[i].at, SEEK_SET);
		fputc(wrong[i].value, file);
		fclose(file);
		refused("bent", -ENOEXEC, wrong[i].word);
	}
}
END_TEST

START_TEST(test_owner_must_be_root_and_nobody_else_may_write)
{
	static const struct {
		uid_t uid;
		mode_t mode;
		const char *word; /* NULL: trusted */
	} cases[] = {
		{ 0, 0644, NULL },         { 0, 0755, NULL },
		{ 0, 0600, NULL },         { 1000, 0644, "owned by user 1000, not by root" },
		{ 0, 0664, "may write" },  { 0, 0646, "may write" },
		{ 0, 01777, "may write" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct stat st = { .st_uid = cases[i].uid, .st_mode = cases[i].mode };
		char text[ZCOMP_ERROR_TEXT] = "";
		int res = zcomp_module_check_owner(&st, "/a", text);

		ck_assert_int_eq(res, cases[i].word ? -EACCES : 0);
		ck_assert_msg(!cases[i].word || strstr(text, cases[i].word), "%s", text);
	}
}
END_TEST

/* What is another user's is refused to root, and taken by that user. */
START_TEST(test_untrusted_file_or_folder_is_refused_to_root_alone)
{
	char path[1024], link[2048], far[1024];

	snprintf(path, sizeof(path), "%s", modules_path("ztmpfs-odd.so"));
	ck_assert_int_eq(chmod(path, 0664), 0);
	if (geteuid() != 0) {
		zcomp_module_close(must_open("odd"));
		return;
	}
	refused("odd", -EACCES, "others than root may write it");
	ck_assert_int_eq(chmod(path, 0644), 0);
	zcomp_module_close(must_open("odd"));
	ck_assert_int_eq(chown(path, 1, 0), 0);
	refused("odd", -EACCES, "owned by user 1, not by root");
	ck_assert_int_eq(chown(path, 0, 1), 0);
	ck_assert_int_eq(chmod(modules_dir, 0777), 0);
	refused("odd", -EACCES, "others than root may write it");
	ck_assert_int_eq(chmod(modules_dir, 01777), 0);
	refused("odd", -EACCES, "others than root may write it");
	/* By a link in a good folder: it is the file's folder that counts, too. */
	snprintf(far, sizeof(far), "%s.far", modules_dir);
	ck_assert_int_eq(mkdir(far, 0755), 0);
	snprintf(link, sizeof(link), "%s/ztmpfs-odd.so", far);
	ck_assert_int_eq(symlink(path, link), 0);
	refused(link, -EACCES, "others than root may write it");
	ck_assert_int_eq(chmod(modules_dir, 0755), 0);
	zcomp_module_close(must_open(link));
	/* And the link's own. */
	ck_assert_int_eq(chmod(far, 0777), 0);
	refused(link, -EACCES, "others than root may write it");
	unlink(link);
	rmdir(far);
}
END_TEST

START_TEST(test_no_memory_is_an_error_and_leaves_nothing)
{
	struct zcomp_config config = config_of("odd", 4096);
	char text[ZCOMP_ERROR_TEXT];
	struct zcomp *comp;
	unsigned before = nr_descriptors();
	int error, nr = 0;

	do {
		zt_fault_set(++nr);
		error = zcomp_create(&config, text, &comp);
		zt_fault_set(0);
		ck_assert_int_eq(is_loaded("ztmpfs-odd.so"), !error);
		if (error)
			ck_assert_msg(error == -ENOMEM, "%d: %s", error, text);
	} while (error);
	ck_assert_int_gt(nr, 3);
	zcomp_destroy(comp);
	ck_assert_uint_eq(nr_descriptors(), before);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("module");
	TCase *tc = tcase_create("module");

	tcase_add_checked_fixture(tc, setup, modules_remove);
	tcase_set_timeout(tc, 20);
	tcase_add_test(tc, test_every_built_in_backend_exists_as_a_module_that_hides_none);
	tcase_add_test(tc, test_name_stands_for_a_file_in_the_folder_and_a_path_for_itself);
	tcase_add_test(tc, test_module_works_by_name_and_by_path_and_under_the_accelerator);
	tcase_add_test(tc, test_codec_in_use_stays_loaded_and_goes_with_its_last_user);
	tcase_add_test(tc, test_module_after_another_is_the_one_that_was_asked_for);
	tcase_add_test(tc, test_file_opened_twice_is_loaded_once_and_hides_no_other);
	tcase_add_test(tc,
		       test_module_that_cannot_be_unloaded_hides_no_other_and_can_be_opened_again);
	tcase_add_test(tc, test_what_is_no_module_is_refused_in_one_sentence);
	tcase_add_test(tc, test_fifo_is_refused_and_not_waited_for);
	tcase_add_test(tc, test_table_of_another_shape_is_refused_in_one_sentence);
	tcase_add_test(tc, test_older_table_is_taken_and_what_it_lacks_is_not_there);
	tcase_add_test(tc, test_newer_table_is_taken_as_long_as_it_uses_nothing_new);
	tcase_add_test(tc, test_level_that_the_table_allows_and_the_module_does_not_is_refused);
	tcase_add_test(tc, test_file_cut_anywhere_is_refused_and_never_a_fatal_signal);
	tcase_add_test(tc, test_file_of_another_kind_of_machine_is_refused);
	tcase_add_test(tc, test_owner_must_be_root_and_nobody_else_may_write);
	tcase_add_test(tc, test_untrusted_file_or_folder_is_refused_to_root_alone);
	tcase_add_test(tc, test_no_memory_is_an_error_and_leaves_nothing);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
