// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * fuzz_image.c - images that nobody has saved: loaded and used, or refused in one sentence.
 *
 * Sums keep a fuzzer out, so they are made to fit again, and the walk meets what was changed. The first byte says
 * which of four images is taken, and what is done with it: bytes of it are changed, or the input is the file itself;
 * it is loaded, read where it stands, or its names are listed.
 * Changes come one behind the other: what is done (one byte), where (three bytes), and with what.
 *
 * Expected: it is refused in one sentence, or the walkers find it whole, before and after all of it is used.
 */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <unistd.h>
#include <xxhash.h>

#include "arena/arena_i.h"
#include "blkmap/spilled.h"
#include "fs/fileattr.h"
#include "fs/image.h"
#include "fs/listing.h"
#include "fs/super_i.h"
#include "tests/fs/attach_fixture.h"
#define USE_READS 1u
#include "tests/fs/use_all.h"
#include "tests/fuzz/fuzz.h"
#include "util/keyhash.h"

#define NR_BASES  3u /* and one more, with a spill file */
#define MAX_PAGES (UINT64_C(1) << 20) /* of an image here */

/* Images are as small as all that can be in one lets them be: each run reads and writes all of one several times. */
#define CLUSTER_ORDER 1u
#define CLUSTER	      ((size_t)ZT_PAGE_SIZE << CLUSTER_ORDER)

/* Bits of the first byte. */
#define IS_FILE   128u
#define KEEP_SUMS 64u
#define USE_MORE  32u
#define BORROWS   16u /* contents stay in the file, and nothing is changed; with USE_MORE names are listed */
#define SPILLS    8u /* with a spill file, and the image that has some of one */

struct base {
	unsigned char *bytes;
	size_t size;
	size_t table; /* where extents begin */
	uint64_t nr_extents;
};

static struct base bases[NR_BASES + 1];
static int file = -1, spill_file = -1;

static bool says_of_bytes;
static bool tells; /* ZT_FUZZ_LOG is set, to a person */

/* The walkers say what is not whole. Bytes that nobody has compressed are wrong only for who reads them. */
static void note_line(enum zt_log_level level, const char *line)
{
	(void)level;
	says_of_bytes =
		strstr(line, "cannot be read") || strstr(line, "behind its end are not zero");
	if (tells)
		fprintf(stderr, "%s\n", line);
}

static bool is_whole(struct super *sb)
{
	says_of_bytes = false;
	return super_check(sb) == 0 || says_of_bytes;
}

/* ---- what is there to be damaged ---- */

static ino_nr file_with(struct super *sb, ino_nr dir, const char *name, unsigned nr, size_t len)
{
	ino_nr ino = make_file(sb, dir, name);

	if (len)
		write_filled(sb, ino, nr, 0, len);
	fs_forget(sb, ino, 1);
	return ino;
}

/* Files of a byte or two, names in more than one block. */
static void make_names(struct super *sb)
{
	ino_nr dir = make_dir(sb, FS_ROOT_INO, "dir"), sub = make_dir(sb, dir, "sub");
	struct fs_entry entry;
	char name[64];

	for (unsigned i = 0; i < 90; i++) {
		snprintf(name, sizeof(name), "%0*u-%u", 1 + (int)(i % 40), 0, i);
		(void)file_with(sb, i % 3 ? dir : sub, name, i, i % 11);
	}
	(void)!fs_symlink(sb, &user_cred, sub, "link", "../../somewhere", &entry);
	fs_forget(sb, entry.ino, 1);
	memset(name, 'l', 63);
	name[63] = '\0';
	(void)!fs_symlink(sb, &user_cred, dir, "long", name, &entry);
	fs_forget(sb, entry.ino, 1);
	(void)!fs_mknod(sb, &user_cred, sub, "pipe", S_IFIFO | 0600, 0, &entry);
	fs_forget(sb, entry.ino, 1);
	fs_forget(sb, sub, 1);
	fs_forget(sb, dir, 1);
}

/* Clusters of all kinds, maps, shared ones, a tree of slots, attributes. */
static void make_contents(struct super *sb)
{
	ino_nr big = file_with(sb, FS_ROOT_INO, "big", 1, 0), other;
	struct fs_entry entry;
	char value[300];
	uint64_t done;

	/* Numbers say whether it compresses, and whether it is one value. */
	for (unsigned i = 0; i < 7; i++)
		write_filled(sb, big, i % 5, i * CLUSTER, i < 6 ? CLUSTER : 3000);
	for (unsigned i = 0; i < 3; i++)
		write_filled(sb, big, 1, i * CLUSTER + 4096, 4096);
	other = file_with(sb, FS_ROOT_INO, "copy", 0, 0);
	(void)!fs_copy_range(sb, &user_cred, big, 0, other, 0, 5 * CLUSTER, &done);
	other = file_with(sb, FS_ROOT_INO, "sparse", 0, 0);
	write_filled(sb, other, 2, UINT64_C(1) << 40, 10000);
	write_filled(sb, other, 2, UINT64_C(1) << 24, 100);
	(void)!fs_link(sb, big, FS_ROOT_INO, "big-again", &entry);
	fs_forget(sb, entry.ino, 1);
	memset(value, 'v', sizeof(value));
	(void)!fs_setxattr(sb, other, "user.a", "value", 5, 0);
	(void)!fs_setxattr(sb, other, "user.large", value, sizeof(value), 0);
	(void)!fs_setxattr(sb, other, "security.capability", "12345678", 8, 0);
}

/* Objects that go out. */
static void make_spilled(struct super *sb)
{
	static const unsigned nrs[] = { 0, 3, 6, 12, 15 }; /* what does not compress */
	char name[16];

	for (size_t i = 0; i < ARRAY_SIZE(nrs); i++) {
		snprintf(name, sizeof(name), "out-%zu", i);
		(void)file_with(sb, FS_ROOT_INO, name, nrs[i], 3000 + 1300 * i);
	}
	FUZZ_EXPECT(blkmap_spill_now(sb->map, 0, UINT64_MAX) > 0, "nothing goes out");
	/* A part of one is replaced: it is half out, and half not. */
	write_filled(sb, look_ino(sb, FS_ROOT_INO, "out-4"), 1, 0, 4096);
}

/* Where its table stands, by its header. Return: whether there is room for one. */
static bool find_table(struct base *base)
{
	struct image_header header;
	uint64_t words;

	if (base->size < sizeof(header))
		return false;
	memcpy(&header, base->bytes, sizeof(header));
	base->table = (size_t)(1 + header.nr_pages % MAX_PAGES) << ZT_PAGE_SHIFT;
	base->nr_extents = header.nr_extents % MAX_PAGES;
	words = base->nr_extents + div_round_up_u64(header.nr_pages % MAX_PAGES, IMAGE_BLOCK_PAGES);
	return base->size == base->table + words * sizeof(uint64_t);
}

static struct super_params params_of(bool spills)
{
	struct super_params params = fixture_params();

	FUZZ_EXPECT(ftruncate(spill_file, 0) == 0, "no file");
	params.cluster_order = CLUSTER_ORDER;
	params.content.spill_fd = spill_file;
	params.content.spill_size = spills ? 16 * MIB : 0;
	return params;
}

static void make_base(struct base *base, unsigned which)
{
	const int fd = memfd_create("base", MFD_CLOEXEC);
	const struct super_params params = params_of(which == NR_BASES);
	struct super *sb = fixture_init_params(&params);

	if (which != 1)
		make_names(sb);
	if (which != 0 && which != NR_BASES)
		make_contents(sb);
	if (which == NR_BASES)
		make_spilled(sb);
	FUZZ_EXPECT(fd >= 0 && super_save(sb, fd) == 0, "no image");
	super_destroy(sb);
	base->size = (size_t)lseek(fd, 0, SEEK_END);
	base->bytes = malloc(base->size);
	FUZZ_EXPECT(base->bytes && pread(fd, base->bytes, base->size, 0) == (ssize_t)base->size,
		    "no memory");
	FUZZ_EXPECT(find_table(base), "no table");
	close(fd);
}

/* ---- damage ---- */

/* Any place; or one where something stands, as most of what is zero is free. */
static uint32_t place(struct fuzz_input *in, const unsigned char *bytes, size_t size)
{
	uint32_t at = fuzz_byte(in);
	bool any;

	at |= (uint32_t)fuzz_byte(in) << 8;
	at |= (uint32_t)fuzz_byte(in) << 16;
	any = at >> 23;
	at = (uint32_t)(at % size);
	while (!any && bytes[at] == 0)
		at = at + 1 < size ? at + 1 : 0;
	return at;
}

static void change(struct fuzz_input *in, unsigned char *bytes, size_t size)
{
	const uint8_t how = fuzz_byte(in);
	const uint32_t at = place(in, bytes, size), word = at & ~7u;
	size_t len = 1 + (how >> 3 & 7u);
	uint64_t value;

	switch (how & 7u) {
	case 0:
	case 1:
	case 2: /* bytes */
		fuzz_bytes(in, bytes + at, min_u64(len, size - at));
		break;
	case 3:
	case 4: /* a number near by */
		memcpy(&value, bytes + min_u64(word, size - 8), sizeof(value));
		value += (uint64_t)(int64_t)(int8_t)fuzz_byte(in) << (how >> 3);
		memcpy(bytes + min_u64(word, size - 8), &value, sizeof(value));
		break;
	case 5: /* what stands elsewhere */
		memmove(bytes + min_u64(word, size - 8),
			bytes + min_u64(place(in, bytes, size) & ~7u, size - 8), 8);
		break;
	case 6: /* more of it */
		len *= 64;
		memmove(bytes + min_u64(at, size - len),
			bytes + min_u64(place(in, bytes, size), size - len), len);
		break;
	default: /* nothing there */
		memset(bytes + at, 0, min_u64(len * 8, size - at));
	}
}

/* Of the arena and of the filesystem, in the arena's first page. */
static void sum_up_records(unsigned char *page)
{
	struct arena_superblock *arena = (struct arena_superblock *)page;
	struct super_record *super = (struct super_record *)(page + ARENA_SUPER_OFFSET);
	const struct keyhash_key arena_key = { ARENA_MAGIC, ARENA_LAYOUT };
	const struct keyhash_key super_key = { SUPER_MAGIC, SUPER_VERSION };

	arena->sum = keyhash(&arena_key, arena, offsetof(struct arena_superblock, sum));
	super->format.sum =
		(uint32_t)keyhash(&super_key, &super->format, offsetof(struct super_format, sum));
}

/* All sums, by where things were. */
static void sum_up(const struct base *base, unsigned char *bytes)
{
	const size_t sums = base->table + base->nr_extents * sizeof(struct image_extent);
	struct image_header *header = (struct image_header *)bytes;
	size_t at = ZT_PAGE_SIZE;

	if (base->size > 2 * ZT_PAGE_SIZE)
		sum_up_records(bytes + ZT_PAGE_SIZE);
	for (size_t to = sums; to < base->size; to += sizeof(uint64_t)) {
		const size_t len =
			min_u64((size_t)IMAGE_BLOCK_PAGES << ZT_PAGE_SHIFT, base->table - at);
		const uint64_t sum = XXH3_64bits(bytes + at, len);

		memcpy(bytes + to, &sum, sizeof(sum));
		at += len;
	}
	header->table_sum = XXH3_64bits(bytes + base->table, base->size - base->table);
	header->sum = 0;
	header->sum = XXH3_64bits(bytes, ZT_PAGE_SIZE);
}

/* ---- use ---- */

/* Everything goes, and something comes. */
static void change_all(struct super *sb)
{
	static const char *const names[] = { "dir", "big", "copy", "sparse", "big-again" };
	struct fs_moved moved;
	struct fs_entry entry;
	uint64_t done;
	size_t len;

	for (uint64_t ino = 1; inodeset_next(&sb->live, ino, &ino); ino++) {
		struct stat st;

		(void)!fs_setxattr(sb, ino, "user.b", "value", 5, 0);
		/* The kernel asks for the rest only of files. */
		if (fs_getattr(sb, ino, &st) != 0 || !S_ISREG(st.st_mode))
			continue;
		(void)!fs_write(sb, &root_cred, ino, 5000, "written", 7, 0, &len);
		(void)!fs_copy_range(sb, &root_cred, ino, 0, ino, 1 << 20, 1 << 17, &done);
		(void)!fs_fallocate(sb, &root_cred, ino, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				    100, 70000);
	}
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (fs_lookup(sb, FS_ROOT_INO, names[i], &entry) == 0)
			fs_forget(sb, entry.ino, 1);
		(void)!fs_rename(sb, &root_cred, FS_ROOT_INO, names[i], FS_ROOT_INO, "moved", 0,
				 &moved);
		(void)!fs_unlink(sb, FS_ROOT_INO, "moved");
	}
	(void)super_compact(sb);
	super_reap(sb);
}

/* The same bytes in a file that nobody has open for writing. */
static int read_only(void)
{
	const int fd = memfd_create("image", MFD_CLOEXEC);
	const off_t size = lseek(file, 0, SEEK_END);
	char name[64];
	off_t from = 0;
	int again;

	FUZZ_EXPECT(fd >= 0, "no file");
	while (from < size)
		FUZZ_EXPECT(sendfile(fd, file, &from, (size_t)(size - from)) > 0, "no space");
	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	again = open(name, O_RDONLY | O_CLOEXEC);
	FUZZ_EXPECT(again >= 0, "no file");
	close(fd);
	return again;
}

/* What the file holds is read where it stands. */
static int borrow(const struct super_params *params, char text[256], struct super **out_sb)
{
	const int fd = read_only();
	struct image_pages *pages;
	int err = image_pages_open(fd, "fuzz", false, text, &pages);

	close(fd);
	if (err)
		return err;
	err = super_borrow(params, pages, text, out_sb);
	if (err == -EAGAIN)
		snprintf(text, 256, "it is to be loaded");
	if (err)
		image_pages_close(pages);
	return err;
}

static bool note_name(void *arg, const struct listed *listed)
{
	FUZZ_EXPECT(listed->path[0] != '\0' && (!listed->first || listed->first[0] != '\0'), "no name");
	return ++*(unsigned *)arg < 100000;
}

/* Its names, twice, since a walk leaves nothing behind. */
static void list(void)
{
	struct listing *listing = NULL;
	unsigned nr = 0, again = 0;
	char text[256] = "";
	const int fd = read_only();
	int err = listing_open(fd, "fuzz", text, &listing);

	close(fd);
	if (tells)
		fprintf(stderr, "%s\n", err ? text : "listed");
	if (err) {
		FUZZ_EXPECT(text[0] != '\0' && strlen(text) < sizeof(text),
			    "refused without a word");
		return;
	}
	FUZZ_EXPECT(listing_each(listing, note_name, &nr) == 0 &&
			    listing_each(listing, note_name, &again) == 0 && nr > 0 && nr == again,
		    "listed, and not whole");
	listing_close(listing);
}

static int load_all(const struct super_params *params, char text[256], struct super **out_sb)
{
	struct image *image = NULL;
	int err = image_open(file, text, &image);

	if (!err)
		err = super_load(params, image, text, out_sb);
	image_close(image);
	return err;
}

static void load(uint8_t how)
{
	struct super_params params = params_of(how & SPILLS);
	const bool borrows = how & BORROWS;
	struct super *sb = NULL;
	char text[256] = "";
	int err;

	params.mem_limit = 256 * MIB;
	err = borrows ? borrow(&params, text, &sb) : load_all(&params, text, &sb);
	if (tells)
		fprintf(stderr, "%s\n", err ? text : "loaded");
	if (err) {
		FUZZ_EXPECT(text[0] != '\0' && strlen(text) < sizeof(text),
			    "refused without a word");
		return;
	}
	FUZZ_EXPECT(is_whole(sb), "loaded, and not whole");
	use_all(sb);
	if (how & USE_MORE)
		change_all(sb);
	FUZZ_EXPECT(is_whole(sb), "used, and no longer whole");
	super_leave(sb, false, NULL);
}

static void load_bytes(const unsigned char *bytes, size_t size, uint8_t how)
{
	FUZZ_EXPECT(ftruncate(file, 0) == 0 && pwrite(file, bytes, size, 0) == (ssize_t)size,
		    "no memory");
	if ((how & BORROWS) && (how & USE_MORE))
		list();
	else
		load(how);
}

static void start(void)
{
	file = memfd_create("image", MFD_CLOEXEC);
	spill_file = memfd_create("spilled", MFD_CLOEXEC);
	for (unsigned i = 0; i <= NR_BASES; i++)
		make_base(&bases[i], i);
	tells = getenv("ZT_FUZZ_LOG") != NULL;
	zt_log_set_sink(note_line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	const uint8_t how = fuzz_byte(&in);
	const unsigned which = how & SPILLS ? NR_BASES : how % NR_BASES;
	struct base taken = bases[which];

	if (file < 0) {
		start();
		taken = bases[which];
	}
	if (how & IS_FILE)
		taken = (struct base){ .size = in.left };
	taken.bytes = malloc(taken.size + 1);
	FUZZ_EXPECT(taken.bytes, "no memory");
	memcpy(taken.bytes, how & IS_FILE ? in.data : bases[which].bytes, taken.size);
	for (unsigned i = 0; !(how & IS_FILE) && in.left > 0 && i < 64; i++)
		change(&in, taken.bytes, taken.size);
	if (!(how & KEEP_SUMS) && (!(how & IS_FILE) || find_table(&taken)))
		sum_up(&taken, taken.bytes);
	load_bytes(taken.bytes, taken.size, how);
	free(taken.bytes);
	return 0;
}
