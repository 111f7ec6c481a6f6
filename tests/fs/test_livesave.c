// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_livesave.c - a mount saved at one moment while it goes on, and loaded. Tests livesave.c, livefile.c and gate.c
 * of the fs layer, and save.c of the image layer, fed piece by piece.
 */
#include "fs/livesave.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>

#include "fs/clone.h"
#include "fs/image.h"
#include "tests/fs/attach_fixture.h"
#include "util/alloc.h"
#include "util/clock.h"

/* A file of nobody's, which is to be read. */
static ino_nr make_source(struct super *sb)
{
	struct fs_entry entry;

	ck_assert_int_eq(fs_tmpfile(sb, &user_cred, FS_ROOT_INO, 0600, false, &entry), 0);
	return entry.ino;
}

/* Where the machine does not allow it there is nothing to test. */
static bool begin(struct super *sb, ino_nr ino, struct livesave_facts *out_facts)
{
	const int error = livesave_begin(sb, ino, out_facts);

	if (error == -EPERM || error == -ENOSYS || error == -EOPNOTSUPP) {
		printf("SKIP: userfaultfd: %s\n", strerror(-error));
		return false;
	}
	ck_assert_int_eq(error, 0);
	return true;
}

#define PIECE (4u * IMAGE_BLOCK_PAGES * ZT_PAGE_SIZE)

/* As ztmpfsctl does. */
static int image_of(struct super *sb, const struct livesave_facts *facts)
{
	const int fd = memfd_create("image", MFD_CLOEXEC);
	const uint64_t pages = facts->nr_pages << ZT_PAGE_SHIFT;
	struct image_writer *writer;
	char *buf = malloc(PIECE);
	size_t done;

	ck_assert(fd >= 0 && buf);
	ck_assert_int_eq(image_writer_create(fd, facts->reserve, &writer), 0);
	for (uint64_t at = 0; at < pages; at += done) {
		const size_t len = (size_t)min_u64(PIECE, pages - at);

		ck_assert_int_eq(livesave_read(sb, at, buf, len, &done), 0);
		ck_assert_uint_eq(done, len);
		ck_assert_int_eq(image_writer_put(writer, buf, done >> ZT_PAGE_SHIFT), 0);
	}
	for (uint64_t at = pages;; at += done) {
		ck_assert_int_eq(livesave_read(sb, at, buf, PIECE, &done), 0);
		if (done == 0)
			break;
		for (size_t i = 0; i < done; i += sizeof(struct image_extent)) {
			struct image_extent extent;

			memcpy(&extent, buf + i, sizeof(extent));
			ck_assert_int_eq(image_writer_place(writer, extent), 0);
		}
	}
	ck_assert_int_eq(image_writer_end(writer, &facts->image), 0);
	image_writer_destroy(writer);
	free(buf);
	return fd;
}

static struct super *load(int fd)
{
	const struct super_params params = fixture_params();
	struct super *sb = NULL;
	struct image *image;
	char text[256];
	int err = image_open(fd, text, &image);

	ck_assert_msg(err == 0, "%s", text);
	err = super_load(&params, image, text, &sb);
	ck_assert_msg(err == 0, "%s", text);
	image_close(image);
	close(fd);
	return sb;
}

/* Everything else than it was. */
static void spoil(struct super *sb)
{
	ino_nr dir = look_ino(sb, FS_ROOT_INO, "dir"), big = look_ino(sb, FS_ROOT_INO, "big");
	struct fs_entry entry;
	char name[300];

	for (unsigned i = 0; i < TREE_FILES; i++) {
		snprintf(name, sizeof(name), "file-%u-%0*u", i, 1 + (int)(i % 60), 0);
		ck_assert_int_eq(fs_unlink(sb, dir, name), 0);
	}
	write_filled(sb, big, 3, 0, 5 << 20);
	ck_assert_int_eq(fs_unlink(sb, FS_ROOT_INO, "sparse"), 0);
	ck_assert_int_eq(fs_symlink(sb, &user_cred, dir, "another", "link", &entry), 0);
	(void)super_compact(sb);
	for (unsigned i = 0; i < 50; i++) {
		snprintf(name, sizeof(name), "later-%u", i);
		write_filled(sb, make_file(sb, FS_ROOT_INO, name), i, 0, 200000);
	}
}

START_TEST(test_an_image_holds_the_moment_whatever_comes_then)
{
	struct super *sb = fixture_init(), *then;
	struct livesave_facts facts;
	uint64_t held, inodes;
	ino_nr source;

	make_tree(sb);
	inodes = sb->nr_inodes;
	source = make_source(sb);
	if (begin(sb, source, &facts)) {
		ck_assert(livesave_is_of(sb, source));
		ck_assert(!livesave_is_of(sb, FS_ROOT_INO));
		spoil(sb);
		then = load(image_of(sb, &facts));
		ck_assert_int_eq(livesave_check(sb, source, facts.id, &held), 0);
		ck_assert_uint_gt(held, 0);
		check_tree(then);
		ck_assert_uint_eq(then->nr_inodes, inodes);
		ck_assert_int_eq(super_check(then), 0);
		super_destroy(then);
	}
	super_destroy(sb);
}
END_TEST

START_TEST(test_one_ends_with_its_file)
{
	struct super *sb = fixture_init();
	struct livesave_facts facts, other;
	uint64_t held;
	ino_nr source, second;

	ck_assert_int_eq(livesave_begin(sb, make_file(sb, FS_ROOT_INO, "named"), &facts), -EINVAL);
	ck_assert_int_eq(livesave_begin(sb, FS_ROOT_INO, &facts), -EINVAL);
	source = make_source(sb);
	second = make_source(sb);
	if (begin(sb, source, &facts)) {
		ck_assert_int_eq(livesave_begin(sb, second, &other), -EBUSY);
		ck_assert_int_eq(livesave_check(sb, source, facts.id + 1, &held), -ESTALE);
		ck_assert_int_eq(livesave_check(sb, second, facts.id, &held), -ESTALE);
		fs_forget(sb, source, 1);
		ck_assert(!livesave_is_of(sb, source));
		ck_assert_int_eq(livesave_begin(sb, second, &other), 0);
		ck_assert_uint_ne(other.id, facts.id);
		ck_assert_int_eq(livesave_check(sb, second, other.id, &held), 0);
	}
	super_destroy(sb);
}
END_TEST

START_TEST(test_the_moment_is_between_two_rounds_of_a_long_request)
{
	struct super *sb = fixture_init();
	struct livesave_facts facts;
	struct gate *gate = &sb->gate;
	ino_nr source = make_source(sb);
	unsigned was;

	/* In a request that never pauses there is no moment. */
	gate_enter(gate);
	gate_enter(gate);
	ck_assert_int_eq(gate_close(gate, zt_now_ns() + 1000000), -EAGAIN);
	/* The one who asks is in one himself. */
	if (begin(sb, source, &facts))
		ck_assert_uint_gt(facts.pause_ns, 0);
	gate_leave(gate);
	was = gate_step_out(gate);
	ck_assert_uint_eq(was, 1);
	ck_assert_int_eq(gate_close(gate, zt_now_ns() + 1000000), 0);
	gate_open(gate);
	gate_step_in(gate, was);
	ck_assert_int_eq(gate_close(gate, zt_now_ns() + 1000000), -EAGAIN);
	gate_leave(gate);
	ck_assert_uint_eq(gate_step_out(gate), 0);
	super_destroy(sb);
}
END_TEST

/* Called between two rounds of a clone: the moment. */
struct in_clone {
	struct super *sb;
	ino_nr source;
	struct livesave_facts facts;
	unsigned left; /* pauses until then */
	bool began;
};

static bool pause_of_clone(void *arg)
{
	struct in_clone *in = arg;

	if (in->left > 0 && --in->left == 0)
		in->began = begin(in->sb, in->source, &in->facts);
	return false;
}

START_TEST(test_a_copy_of_a_tree_that_is_not_complete_is_no_part_of_it)
{
	const struct fs_asker asker = { .uid = 1000, .gid = 1000, .privileged = true };
	struct super *sb = fixture_init(), *then;
	struct in_clone in = { .sb = sb, .left = 9 };
	struct fs_clone_request request;
	uint64_t made, inodes;

	make_tree(sb);
	inodes = sb->nr_inodes + 1;
	request = (struct fs_clone_request){ .from = look_ino(sb, FS_ROOT_INO, "dir"),
					     .from_name = "",
					     .into = make_dir(sb, FS_ROOT_INO, "into"),
					     .to_name = "copy" };
	in.source = make_source(sb);
	super_set_pause(sb, pause_of_clone, &in);
	super_set_round(sb, 0);
	ck_assert_int_eq(fs_clone(sb, &asker, &request, &made), 0);
	ck_assert_uint_gt(made, TREE_FILES);
	ck_assert_uint_eq(in.left, 0);
	super_set_pause(sb, NULL, NULL);
	if (in.began) {
		struct super_attach_report report;

		then = load(image_of(sb, &in.facts));
		check_tree(then);
		super_get_attach_report(then, &report);
		ck_assert_uint_gt(report.lost_inodes, 1);
		ck_assert_uint_eq(then->nr_inodes, inodes);
		ck_assert_int_eq(super_check(then), 0);
		super_destroy(then);
	}
	super_destroy(sb);
}
END_TEST

struct comer {
	pthread_t thread;
	struct gate *gate;
	atomic_bool *stop;
	atomic_uint *inside;
};

static void *come_and_go(void *arg)
{
	const struct comer *comer = arg;

	while (!atomic_load(comer->stop)) {
		gate_enter(comer->gate);
		atomic_fetch_add(comer->inside, 1);
		gate_give_way(comer->gate); /* counted all the while: only for others to see */
		atomic_fetch_sub(comer->inside, 1);
		gate_leave(comer->gate);
	}
	return NULL;
}

static void *enter_and_leave(void *arg)
{
	const struct comer *comer = arg;

	while (!atomic_load(comer->stop)) {
		gate_enter(comer->gate);
		atomic_fetch_add(comer->inside, 1);
		atomic_fetch_sub(comer->inside, 1);
		gate_leave(comer->gate);
	}
	return NULL;
}

START_TEST(test_nobody_is_inside_a_closed_gate)
{
	struct gate *gate = zt_alloc_aligned(64, sizeof(*gate));
	struct comer comers[8];
	atomic_uint inside[2] = { 0, 0 };
	atomic_bool stop = false;
	unsigned closed = 0;

	ck_assert_ptr_nonnull(gate);
	gate_init(gate);
	for (unsigned i = 0; i < ARRAY_SIZE(comers); i++) {
		comers[i] = (struct comer){ .gate = gate, .stop = &stop, .inside = &inside[i % 2] };
		ck_assert_int_eq(pthread_create(&comers[i].thread, NULL,
						i % 2 ? come_and_go : enter_and_leave, &comers[i]),
				 0);
	}
	for (unsigned i = 0; i < 2000; i++) {
		if (gate_close(gate, zt_now_ns() + ZT_NS_PER_S) != 0)
			continue;
		ck_assert_uint_eq(atomic_load(&inside[0]), 0);
		closed++;
		gate_open(gate);
	}
	atomic_store(&stop, true);
	for (unsigned i = 0; i < ARRAY_SIZE(comers); i++)
		ck_assert_int_eq(pthread_join(comers[i].thread, NULL), 0);
	ck_assert_uint_gt(closed, 1900);
	gate_exit(gate);
	zt_free(gate);
}
END_TEST

static Suite *livesave_suite(void)
{
	Suite *suite = suite_create("livesave");
	TCase *tcase = tcase_create("livesave");

	tcase_set_timeout(tcase, 120);
	tcase_add_test(tcase, test_an_image_holds_the_moment_whatever_comes_then);
	tcase_add_test(tcase, test_one_ends_with_its_file);
	tcase_add_test(tcase, test_the_moment_is_between_two_rounds_of_a_long_request);
	tcase_add_test(tcase, test_a_copy_of_a_tree_that_is_not_complete_is_no_part_of_it);
	tcase_add_test(tcase, test_nobody_is_inside_a_closed_gate);
	suite_add_tcase(suite, tcase);
	return suite;
}

int main(void)
{
	return zt_check_main(livesave_suite());
}
