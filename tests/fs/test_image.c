// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_image.c - a mount saved as an image and found again in it; and every image that is not whole is
 * refused. Tests image.c of the fs layer, and save.c, load.c and file.c of the image layer.
 */
#include <dirent.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <xxhash.h>

#include "blkmap/spilled.h"
#include "fs/image.h"
#include "image/file.h"
#include "tests/fs/attach_fixture.h"
#include "tests/fs/use_all.h"

static int empty_file(void)
{
	const int fd = memfd_create("image", MFD_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	return fd;
}

/* The mount ends. */
static int image_of(struct super *sb)
{
	const int fd = empty_file();

	ck_assert_int_eq(super_save(sb, fd), 0);
	super_destroy(sb);
	return fd;
}

/* Return: 0 and a mount, or the error, with a sentence. */
static int try_load(const struct super_params *params, int fd, char text[256],
		    struct super **out_sb)
{
	struct image *image = NULL;
	int err;

	text[0] = '\0';
	err = image_open(fd, text, &image);
	if (!err)
		err = super_load(params, image, text, out_sb);
	image_close(image);
	if (err)
		ck_assert_str_ne(text, "");
	return err;
}

static struct super *load(const struct super_params *params, int fd)
{
	struct super *sb = NULL;
	char text[256];
	int err = try_load(params, fd, text, &sb);

	ck_assert_msg(err == 0, "%d %s", err, text);
	return sb;
}

static off_t size_of(int fd)
{
	return lseek(fd, 0, SEEK_END);
}

START_TEST(test_a_mount_is_found_again_in_its_image)
{
	const struct super_params params = fixture_params();
	struct super *sb = fixture_init_params(&params);
	struct image *image;
	struct fs_entry gone;
	char text[256];
	uint64_t inodes;
	int fd;

	make_tree(sb);
	/* Open without a name, and known to the kernel: its references end with the mount. */
	ck_assert_int_eq(fs_mknod(sb, &user_cred, FS_ROOT_INO, "gone", S_IFREG | 0600, 0, &gone), 0);
	write_filled(sb, gone.ino, 3, 0, 300000);
	inodes = sb->nr_inodes - 1;
	ck_assert_int_eq(fs_unlink(sb, FS_ROOT_INO, "gone"), 0);
	(void)make_file(sb, FS_ROOT_INO, "known");
	fd = image_of(sb);
	ck_assert_int_eq(image_open(fd, text, &image), 0);
	ck_assert_int_eq(image_verify(image, text), 0);
	ck_assert_str_eq(image_header(image)->facts.compress, "lz4");
	ck_assert_uint_eq(image_header(image)->facts.inodes, inodes + 2);
	ck_assert_uint_gt(image_header(image)->facts.content, 9 << 20);
	ck_assert_int_lt(size_of(fd), 9 << 20);
	image_close(image);
	for (unsigned i = 0; i < 2; i++) { /* the second one is saved from the first */
		sb = load(&params, fd);
		check_tree(sb);
		ck_assert_uint_eq(sb->nr_inodes, inodes + 1);
		ck_assert_uint_eq(inode_get(sb, look_ino(sb, FS_ROOT_INO, "known"))->nlookup, 0);
		ck_assert_int_eq(super_check(sb), 0);
		close(fd);
		fd = image_of(sb);
	}
	close(fd);
}
END_TEST

static unsigned nr_open_files(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned nr = 0;

	ck_assert_ptr_nonnull(dir);
	while (readdir(dir))
		nr++;
	closedir(dir);
	return nr;
}

START_TEST(test_an_image_that_the_limits_do_not_allow_is_refused)
{
	struct super_params params = fixture_params();
	struct super *sb = fixture_init_params(&params);
	unsigned nr_open;
	char text[256];
	int fd;

	make_tree(sb);
	fd = image_of(sb);
	nr_open = nr_open_files();
	params.size = MIB;
	ck_assert_int_eq(try_load(&params, fd, text, &sb), -ENOSPC);
	ck_assert_ptr_nonnull(strstr(text, "size="));
	params.size = 0;
	params.nr_inodes = 100;
	ck_assert_int_eq(try_load(&params, fd, text, &sb), -ENOSPC);
	ck_assert_ptr_nonnull(strstr(text, "nr_inodes="));
	params.nr_inodes = 0;
	params.mem_limit = MIB;
	ck_assert_int_eq(try_load(&params, fd, text, &sb), -ENOSPC);
	ck_assert_ptr_nonnull(strstr(text, "mem_limit="));
	params.mem_limit = 0;
	params.content.comp.name = "zstd";
	ck_assert_int_eq(try_load(&params, fd, text, &sb), -EINVAL);
	/* None of them is left half made. */
	ck_assert_uint_eq(nr_open_files(), nr_open);
	close(fd);
}
END_TEST

/* ---- what is not whole ---- */

static int image_with(size_t len)
{
	struct super *sb = fixture_init();
	ino_nr ino = make_file(sb, FS_ROOT_INO, "file");

	write_filled(sb, ino, 0, 0, len);
	return image_of(sb);
}

static int small_image(void)
{
	return image_with(20000);
}

static bool is_whole(int fd)
{
	struct image *image = NULL;
	char text[256] = "";
	int err = image_open(fd, text, &image);

	if (!err)
		err = image_verify(image, text);
	image_close(image);
	ck_assert(!err || text[0] != '\0');
	ck_assert(err == 0 || err == -EUCLEAN || err == -EPROTONOSUPPORT);
	return !err;
}

/* Each @step-th byte of the pages, each of the rest. */
static void flip_all(int fd, off_t step)
{
	const off_t size = size_of(fd), table = size / 4096 * 4096;
	uint64_t seed = zt_seed();
	unsigned char *bytes = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	unsigned long flipped = 0;
	struct image *image;
	char text[256];

	ck_assert_ptr_ne(bytes, MAP_FAILED);
	ck_assert(is_whole(fd));
	/* While only pages are wrong all else need not be read again. */
	ck_assert_int_eq(image_open(fd, text, &image), 0);
	for (off_t at = 0; at < size; at += at < 4096 || at >= table ? 1 : step) {
		const unsigned char was = bytes[at];
		bool whole;

		bytes[at] ^= (unsigned char)(1 + zt_random(&seed) % 255);
		whole = at < 4096 || at >= table ? is_whole(fd) : image_verify(image, text) == 0;
		ck_assert_msg(!whole, "byte %lld", (long long)at);
		bytes[at] = was;
		flipped++;
	}
	image_close(image);
	ck_assert(is_whole(fd));
	printf("%lu of %lld bytes flipped, each refused\n", flipped, (long long)size);
	munmap(bytes, (size_t)size);
	close(fd);
}

#ifdef ZT_SANITIZERS
#define FLIP_STEP 61
#else
#define FLIP_STEP 1
#endif

START_TEST(test_a_flipped_byte_anywhere_is_refused)
{
	const int more = image_with(900000);

	flip_all(small_image(), FLIP_STEP);
	ck_assert_int_gt(size_of(more), 262144); /* more than a block */
	flip_all(more, 4099);
}
END_TEST

START_TEST(test_an_image_that_is_cut_or_longer_is_refused)
{
	const int fd = image_with(900000);
	const off_t size = size_of(fd);
	unsigned cuts = 0;

	ck_assert_int_eq(ftruncate(fd, size + 1), 0);
	ck_assert(!is_whole(fd));
	for (off_t at = size - 1; at >= 0; at -= at % 512 ? at % 512 : 512) {
		ck_assert_int_eq(ftruncate(fd, at), 0);
		ck_assert_msg(!is_whole(fd), "cut at %lld", (long long)at);
		cuts++;
	}
	printf("cut at %u places of %lld bytes, each refused\n", cuts, (long long)size);
	close(fd);
}
END_TEST

/* Clusters that do not compress, and go out. */
static const unsigned out_nrs[] = { 0, 3, 6, 12, 15 };

static int image_with_spilled(struct super_params *params)
{
	struct super *sb;
	char name[16];
	int fd;

	*params = fixture_params();
	params->content.spill_size = 16 * MIB;
	params->content.spill_fd = empty_file();
	sb = fixture_init_params(params);
	for (size_t i = 0; i < ARRAY_SIZE(out_nrs); i++) {
		snprintf(name, sizeof(name), "out-%zu", i);
		write_filled(sb, make_file(sb, FS_ROOT_INO, name), out_nrs[i], 0, 5000 + 3000 * i);
	}
	ck_assert_uint_gt(blkmap_spill_now(sb->map, 0, UINT64_MAX), 20000);
	fd = image_of(sb);
	close(params->content.spill_fd);
	params->content.spill_fd = empty_file();
	return fd;
}

START_TEST(test_what_is_out_is_in_the_image)
{
	struct super_params params;
	int fd = image_with_spilled(&params);
	struct ztmpfs_stat stat;
	struct super *sb;
	char text[256], name[16];

	for (unsigned round = 0; round < 2; round++) { /* the second one is saved from the first */
		sb = load(&params, fd);
		super_get_stat(sb, &stat);
		ck_assert_uint_eq(stat.spill_objects, ARRAY_SIZE(out_nrs));
		ck_assert_int_eq(super_check(sb), 0);
		for (size_t i = 0; i < ARRAY_SIZE(out_nrs); i++) {
			snprintf(name, sizeof(name), "out-%zu", i);
			check_filled(sb, look_ino(sb, FS_ROOT_INO, name), out_nrs[i], 0,
				     5000 + 3000 * i);
		}
		close(fd);
		fd = image_of(sb);
		close(params.content.spill_fd);
		params.content.spill_fd = empty_file();
	}
	params.content.spill_size = 0;
	ck_assert_int_eq(try_load(&params, fd, text, &sb), -EINVAL);
	ck_assert_ptr_nonnull(strstr(text, "spill="));
	params.content.spill_size = 4 * ZT_PAGE_SIZE;
	ck_assert_int_eq(try_load(&params, fd, text, &sb), -ENOSPC);
	ck_assert_ptr_nonnull(strstr(text, "spill="));
	close(params.content.spill_fd);
	flip_all(fd, 61);
}
END_TEST

struct refusal {
	const char *sentence;
	int err;
	void (*spoil)(struct image_header *header);
};

#define SPOIL(name, what)                             \
	static void name(struct image_header *header) \
	{                                             \
		what;                                 \
	}

SPOIL(spoil_magic, header->magic++)
SPOIL(spoil_order, header->magic = __builtin_bswap64(IMAGE_MAGIC))
SPOIL(spoil_version, header->version++)
SPOIL(spoil_page_size, header->page_size = 16384)
SPOIL(spoil_block, header->block_pages = 1)
SPOIL(spoil_incompat, header->incompat = 2)
SPOIL(spoil_layout, header->facts.arena_layout++)
SPOIL(spoil_reserve, header->reserve = UINT64_MAX << 12)
SPOIL(spoil_reserve_less, header->reserve = 8 * MIB; header->nr_pages = UINT64_MAX)
SPOIL(spoil_pages, header->nr_pages = UINT64_C(1) << 52)
SPOIL(spoil_extents, header->nr_extents = UINT64_C(1) << 61)
SPOIL(spoil_table, header->table_sum++)

static const struct refusal refusals[] = {
	{ "no image", -EUCLEAN, spoil_magic },
	{ "byte order", -EPROTONOSUPPORT, spoil_order },
	{ "version 2", -EPROTONOSUPPORT, spoil_version },
	{ "pages of 16384", -EPROTONOSUPPORT, spoil_page_size },
	{ "blocks of pages: 1", -EPROTONOSUPPORT, spoil_block },
	{ "features", -EPROTONOSUPPORT, spoil_incompat },
	{ "layout", -EPROTONOSUPPORT, spoil_layout },
	{ "no sense", -EUCLEAN, spoil_reserve },
	{ "no sense", -EUCLEAN, spoil_reserve_less },
	{ "no sense", -EUCLEAN, spoil_pages },
	{ "no sense", -EUCLEAN, spoil_extents },
	{ "its table is wrong", -EUCLEAN, spoil_table },
};

/* With a sum that fits, as another program would write it. */
START_TEST(test_a_header_that_makes_no_sense_is_refused)
{
	const struct refusal *refusal = &refusals[_i];
	const struct super_params params = fixture_params();
	union {
		struct image_header header;
		char page[ZT_PAGE_SIZE];
	} first;
	struct super *sb;
	char text[256];
	const int fd = small_image();

	ck_assert_int_eq(pread(fd, &first, sizeof(first), 0), sizeof(first));
	refusal->spoil(&first.header);
	first.header.sum = 0;
	first.header.sum = XXH3_64bits(&first, sizeof(first));
	ck_assert_int_eq(pwrite(fd, &first, sizeof(first), 0), sizeof(first));
	ck_assert_int_eq(try_load(&params, fd, text, &sb), refusal->err);
	ck_assert_msg(strstr(text, refusal->sentence) != NULL, "%s: %s", refusal->sentence, text);
	close(fd);
}
END_TEST

#ifdef ZT_SANITIZERS
#define HOSTILE_ROUNDS 12u
#else
#define HOSTILE_ROUNDS 60u
#endif

/* Memory of a mount, some bytes of it random, saved with sums that fit. */
static int hostile_image(int memfd, const struct image_facts *facts, unsigned nr_bytes,
			 uint64_t *seed)
{
	const int fd = empty_file(), copy = empty_file();
	off_t from = 0, end = 0, places[1024], sizes[1024];
	unsigned nr = 0, all = 0;

	ck_assert_int_eq(ftruncate(copy, size_of(memfd)), 0);
	for (; (from = lseek(memfd, end, SEEK_DATA)) >= 0; all++) {
		char *bytes;

		end = lseek(memfd, from, SEEK_HOLE);
		bytes = mmap(NULL, (size_t)(end - from), PROT_READ, MAP_SHARED, memfd, from);
		ck_assert_ptr_ne(bytes, MAP_FAILED);
		ck_assert_int_eq(pwrite(copy, bytes, (size_t)(end - from), from), end - from);
		munmap(bytes, (size_t)(end - from));
		/* Any of them once there are too many. */
		nr = all < ARRAY_SIZE(places) ? all : (unsigned)(zt_random(seed) % ARRAY_SIZE(places));
		places[nr] = from;
		sizes[nr] = end - from;
	}
	for (; nr_bytes > 0; nr_bytes--) {
		const unsigned run = (unsigned)(zt_random(seed) % min_u64(all, ARRAY_SIZE(places)));
		/* Small numbers and refs near true ones do the most harm. */
		const char byte = (char)(zt_random(seed) >> (zt_random(seed) % 2 ? 56 : 62));

		ck_assert_int_eq(pwrite(copy, &byte, 1,
					places[run] + (off_t)(zt_random(seed) % (uint64_t)sizes[run])),
				 1);
	}
	ck_assert_int_eq(image_save(fd, copy, facts), 0);
	close(copy);
	return fd;
}

/* Refused, or a mount that answers; in no case a crash. */
START_TEST(test_what_somebody_has_forged_is_refused_or_answers)
{
	const struct super_params params = fixture_params();
	struct super *sb = fixture_init_params(&params);
	uint64_t seed = zt_seed();
	unsigned refused = 0, mounted = 0;
	struct image_facts facts;
	int memfd, fd;

	make_tree(sb);
	super_image_facts(sb, &facts);
	memfd = keep_fd(sb);
	super_leave(sb, false, NULL);
	for (unsigned i = 0; i < HOSTILE_ROUNDS; i++) {
		char text[256];
		pid_t child;
		int status;

		fd = hostile_image(memfd, &facts, 1 + i % 7, &seed);
		fflush(NULL);
		child = fork();
		if (child == 0) {
			zt_log_set_sink(NULL);
			if (try_load(&params, fd, text, &sb) != 0)
				_exit(1);
			use_all(sb);
			_exit(0);
		}
		ck_assert_int_eq(waitpid(child, &status, 0), child);
		ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) < 2, "%u: %x", i,
			      (unsigned)status);
		refused += WEXITSTATUS(status) == 1;
		mounted += WEXITSTATUS(status) == 0;
		close(fd);
	}
	printf("%u refused, %u that answer\n", refused, mounted);
	close(memfd);
}
END_TEST

/* ---- the file ---- */

START_TEST(test_a_file_is_replaced_as_a_whole_or_not_at_all)
{
	char dir[] = "/tmp/ztmpfs-image.XXXXXX", path[64], link[64], text[256];
	struct image_place place;
	struct image_file file;
	struct stat st;
	int fd;

	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/image", dir);
	snprintf(link, sizeof(link), "%s/link", dir);
	ck_assert_int_eq(image_place_find(path, &place), 0);
	ck_assert_int_eq(image_file_begin(&place, &file), 0);
	image_file_drop(&file);
	ck_assert_int_ne(access(path, F_OK), 0);
	ck_assert_int_eq(image_file_begin(&place, &file), 0);
	ck_assert_int_eq(write(file.fd, "new", 3), 3);
	ck_assert_int_eq(image_file_commit(&file), 0);
	image_file_drop(&file);
	close(place.dir_fd);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_eq(st.st_size, 3);
	ck_assert_int_eq(st.st_mode & 0777, 0600);
	ck_assert_int_eq(symlink("image", link), 0);
	ck_assert_int_eq(image_place_find(link, &place), 0);
	ck_assert_str_eq(place.name, "image");
	close(place.dir_fd);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	ck_assert_int_eq(image_check_rights(fd, text), 0);
	ck_assert_int_eq(chmod(path, 0620), 0);
	ck_assert_int_eq(image_check_rights(fd, text), geteuid() == 0 ? -EPERM : 0);
	close(fd);
	ck_assert_int_eq(unlink(link), 0);
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(rmdir(dir), 0); /* nothing else was left */
	ck_assert_int_eq(image_place_find("/", &place), -EISDIR);
	ck_assert_int_eq(image_place_find("/nowhere/at/all", &place), -ENOENT);
}
END_TEST

static Suite *image_suite(void)
{
	Suite *suite = suite_create("image");
	TCase *tcase = tcase_create("image");

	tcase_set_timeout(tcase, 300);
	tcase_add_test(tcase, test_a_mount_is_found_again_in_its_image);
	tcase_add_test(tcase, test_an_image_that_the_limits_do_not_allow_is_refused);
	tcase_add_test(tcase, test_a_flipped_byte_anywhere_is_refused);
	tcase_add_test(tcase, test_an_image_that_is_cut_or_longer_is_refused);
	tcase_add_test(tcase, test_what_is_out_is_in_the_image);
	tcase_add_loop_test(tcase, test_a_header_that_makes_no_sense_is_refused, 0,
			    (int)ARRAY_SIZE(refusals));
	tcase_add_test(tcase, test_what_somebody_has_forged_is_refused_or_answers);
	tcase_add_test(tcase, test_a_file_is_replaced_as_a_whole_or_not_at_all);
	suite_add_tcase(suite, tcase);
	return suite;
}

int main(void)
{
	return zt_check_main(image_suite());
}
