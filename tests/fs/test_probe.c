// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_probe.c - whether a program could go on with a mount that is in use: it says so before, and
 * changes nothing. Tests probe.c.
 */
#include <sys/mman.h>

#include "arena/arena_i.h"
#include "fs/probe.h"
#include "tests/fs/attach_fixture.h"

static const char request[] = "what the kernel asked", reply[] = "what it was told";

/* The mount that is in use. */
static struct super *make_used(const struct super_params *params)
{
	struct super *sb = fixture_init_params(params);

	make_tree(sb);
	ck_assert_int_eq(super_record_set(sb, SUPER_RECORD_INIT_REQUEST, request, sizeof(request)), 0);
	ck_assert_int_eq(super_record_set(sb, SUPER_RECORD_INIT_REPLY, reply, sizeof(reply)), 0);
	return sb;
}

/* What a program with these options says of it; an error has a sentence. */
static int ask(const struct super *used, const struct super_params *params, const char *sentence)
{
	struct super_probe found;
	struct super *like;
	char text[256] = "";
	int err;

	ck_assert_int_eq(super_create(params, text, &like), 0);
	err = super_probe(like, params, super_arena_fd(used), text, &found);
	super_destroy(like);
	if (err) {
		ck_assert_msg(strstr(text, sentence) != NULL, "%s", text);
	} else {
		ck_assert_uint_eq(found.request_len, sizeof(request));
		ck_assert_str_eq(found.request, request);
		ck_assert_uint_eq(found.reply_len, sizeof(reply));
		ck_assert_str_eq(found.reply, reply);
	}
	return err;
}

START_TEST(test_the_same_program_could_go_on)
{
	const struct super_params params = fixture_params();
	struct super *used = make_used(&params);

	for (unsigned i = 0; i < 3; i++)
		ck_assert_int_eq(ask(used, &params, ""), 0);
	check_tree(used);
	ck_assert_int_eq(super_check(used), 0);
	fixture_exit(used);
}
END_TEST

START_TEST(test_other_layouts_and_features_are_refused)
{
	const struct super_params params = fixture_params();
	struct super *used = make_used(&params);
	struct arena_superblock *sb = arena_ptr(used->arena, 0);

	sb->layout++;
	ck_assert_int_eq(ask(used, &params, "layout"), -EPROTONOSUPPORT);
	sb->layout--;
	sb->incompat ^= UINT64_C(1) << 40;
	ck_assert_int_eq(ask(used, &params, "damaged"), -EUCLEAN);
	sb->incompat ^= UINT64_C(1) << 40;
	used->rec->version = SUPER_VERSION_PACKS + 1;
	ck_assert_int_eq(ask(used, &params, "layout"), -EPROTONOSUPPORT);
	used->rec->version = SUPER_VERSION;
	ck_assert_int_eq(ask(used, &params, ""), 0);
	fixture_exit(used);
}
END_TEST

START_TEST(test_missing_algorithms_are_refused)
{
	const struct super_params params = fixture_params();
	struct super_params other = params;
	struct super *used = make_used(&params);
	struct blkmap_setting *setting = &used->rec->map.settings[BLKMAP_NR_SETTINGS - 1];
	const struct blkmap_setting was = *setting;

	other.content.comp.name = "null";
	ck_assert_int_eq(ask(used, &other, "compress="), -EINVAL);
	memset(setting->name, 0, sizeof(setting->name));
	strcpy(setting->name, "brotli");
	ck_assert_int_eq(ask(used, &params, "brotli"), -ENOENT);
	*setting = was;
	ck_assert_int_eq(ask(used, &params, ""), 0);
	fixture_exit(used);
}
END_TEST

START_TEST(test_another_second_algorithm_is_refused)
{
	const struct super_params none = fixture_params();
	struct super_params params = none;
	struct super *used;

	params.content.recompress = "zstd";
	params.content.recompress_level = ZCOMP_LEVEL_DEFAULT;
	params.content.recompress_idle = 1000;
	used = make_used(&params);
	ck_assert_int_eq(ask(used, &none, "recompress=zstd, and none"), -EINVAL);
	params.content.recompress = "lz4hc";
	ck_assert_int_eq(ask(used, &params, "recompress=zstd, and lz4hc"), -EINVAL);
	params.content.recompress = "zstd";
	ck_assert_int_eq(ask(used, &params, ""), 0);
	fixture_exit(used);
	used = make_used(&none);
	ck_assert_int_eq(ask(used, &params, "recompress=off, and zstd"), -EINVAL);
	fixture_exit(used);
}
END_TEST

START_TEST(test_a_mount_without_terms_is_refused)
{
	const struct super_params params = fixture_params();
	struct super *used = make_used(&params);

	ck_assert_int_eq(super_record_set(used, SUPER_RECORD_INIT_REPLY, "", 0), 0);
	ck_assert_int_eq(ask(used, &params, "agreed on"), -EPROTO);
	fixture_exit(used);
}
END_TEST

START_TEST(test_what_is_no_arena_is_refused)
{
	const struct super_params params = fixture_params();
	struct super *like = fixture_init_params(&params);
	struct super_probe found;
	char text[256] = "";
	int fd = memfd_create("nothing", MFD_CLOEXEC);

	ck_assert_int_eq(super_probe(like, &params, fd, text, &found), -EUCLEAN);
	ck_assert_int_eq(ftruncate(fd, 1 << 20), 0);
	ck_assert_int_eq(super_probe(like, &params, fd, text, &found), -EUCLEAN);
	ck_assert_str_ne(text, "");
	close(fd);
	fixture_exit(like);
}
END_TEST

static Suite *probe_suite(void)
{
	Suite *suite = suite_create("probe");
	TCase *tcase = tcase_create("could it go on");

	tcase_set_timeout(tcase, 120);
	tcase_add_test(tcase, test_the_same_program_could_go_on);
	tcase_add_test(tcase, test_other_layouts_and_features_are_refused);
	tcase_add_test(tcase, test_missing_algorithms_are_refused);
	tcase_add_test(tcase, test_another_second_algorithm_is_refused);
	tcase_add_test(tcase, test_a_mount_without_terms_is_refused);
	tcase_add_test(tcase, test_what_is_no_arena_is_refused);
	suite_add_tcase(suite, tcase);
	return suite;
}

int main(void)
{
	return zt_check_main(probe_suite());
}
