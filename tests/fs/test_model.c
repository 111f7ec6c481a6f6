// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_model.c - long random sequences of calls, each compared with a model: results, errors, link
 * counts, sizes, listings. The model is plain tables and knows nothing of how the fs layer does it.
 */
#include "tests/fs/fixture.h"

#include <linux/fs.h>

enum { NR_NODES = 300, NR_NAMES = 24, NR_OPS = 30000 };

struct node {
	mode_t type; /* 0: free */
	unsigned nlink;
	int parent; /* directories */
	unsigned refs; /* held by the kernel */
	unsigned nr_subdirs, nr_names;
	uint64_t size;
	ino_nr ino;
	uint64_t generation;
};

static struct super *sb;
static uint64_t state;
static struct node nodes[NR_NODES]; /* 0 is the root */
static int names[NR_NODES][NR_NAMES]; /* directory, name: node; -1: no such name */

static unsigned pick(unsigned nr)
{
	return (unsigned)(zt_random(&state) % nr);
}

/* Short, long, and with a common beginning. */
static const char *text_of(unsigned name)
{
	static char text[2][FS_NAME_MAX + 1];
	static unsigned next;
	char *at = text[next++ % 2];
	unsigned len = name % 5 == 0 ? 255 : name % 5 == 1 ? 1 : 8 + name;

	memset(at, 'n', len);
	at[len - 1] = (char)('a' + name);
	at[len] = '\0';
	return at;
}

static bool is_dir(int node)
{
	return S_ISDIR(nodes[node].type);
}

/* Named or held: the kernel may use its number. */
static bool is_known(int node)
{
	return nodes[node].type != 0;
}

static int pick_node(bool want_dir)
{
	for (;;) {
		int node = (int)pick(NR_NODES);

		if (pick(8) == 0)
			node = 0;
		if (is_known(node) && (!want_dir || is_dir(node) || pick(30) == 0))
			return node;
	}
}

static int node_alloc(void)
{
	for (int i = 1; i < NR_NODES; i++)
		if (nodes[i].type == 0)
			return i;
	return -1;
}

static void node_put(int node)
{
	if (nodes[node].nlink == 0 && nodes[node].refs == 0) {
		struct stat attr;

		ck_assert_int_eq(fs_getattr(sb, nodes[node].ino, &attr), -ESTALE);
		nodes[node].type = 0;
	}
}

static void node_forget(int node, unsigned nr)
{
	if (node == 0)
		return;
	fs_forget(sb, nodes[node].ino, nr);
	nodes[node].refs -= nr;
	node_put(node);
}

/* What every use of a directory may answer before anything else. */
static int dir_error(int dir)
{
	if (!is_dir(dir))
		return -ENOTDIR;
	return nodes[dir].nlink == 0 ? -ENOENT : 0;
}

static void name_set(int dir, unsigned name, int node)
{
	names[dir][name] = node;
	nodes[dir].nr_names++;
	if (is_dir(node)) {
		nodes[node].parent = dir;
		nodes[dir].nr_subdirs++;
	}
}

static void name_clear(int dir, unsigned name)
{
	nodes[dir].nr_names--;
	if (is_dir(names[dir][name]))
		nodes[dir].nr_subdirs--;
	names[dir][name] = -1;
}

static void drop_link(int node)
{
	nodes[node].nlink = is_dir(node) ? 0 : nodes[node].nlink - 1;
	node_put(node);
}

static unsigned want_nlink(int node)
{
	if (!is_dir(node) || nodes[node].nlink == 0)
		return nodes[node].nlink;
	return 2 + nodes[node].nr_subdirs;
}

static void check_attr(int node, const struct stat *attr)
{
	ck_assert_uint_eq(attr->st_ino, nodes[node].ino);
	ck_assert_uint_eq(attr->st_mode & S_IFMT, nodes[node].type);
	ck_assert_uint_eq(attr->st_nlink, want_nlink(node));
	ck_assert_uint_eq((uint64_t)attr->st_size,
			  is_dir(node) ? 40 + 20 * nodes[node].nr_names : nodes[node].size);
}

/* A reference came with @entry; some are kept for a while. */
static void got_entry(int node, const struct fs_entry *entry)
{
	if (node != 0) {
		nodes[node].refs++;
		ck_assert_uint_eq(entry->ino, nodes[node].ino);
		ck_assert_uint_eq(entry->generation, nodes[node].generation);
	}
	check_attr(node, &entry->attr);
	if (pick(4))
		node_forget(node, 1);
}

static void op_create(void)
{
	static const mode_t types[] = { S_IFREG, S_IFREG, S_IFDIR, S_IFDIR, S_IFLNK, S_IFIFO };
	int dir = pick_node(true), node = node_alloc();
	unsigned name = pick(NR_NAMES);
	mode_t type = types[pick(ARRAY_SIZE(types))];
	struct fs_entry entry;
	int want = dir_error(dir), err;

	if (node < 0)
		return;
	if (!want && names[dir][name] >= 0)
		want = -EEXIST;
	if (S_ISDIR(type))
		err = fs_mkdir(sb, &user_cred, nodes[dir].ino, text_of(name), 0755, &entry);
	else if (S_ISLNK(type))
		err = fs_symlink(sb, &user_cred, nodes[dir].ino, text_of(name), "to", &entry);
	else
		err = fs_mknod(sb, &user_cred, nodes[dir].ino, text_of(name), type | 0644, 0,
			       &entry);
	ck_assert_int_eq(err, want);
	if (err)
		return;
	nodes[node] = (struct node){
		.type = type,
		.nlink = 1,
		.size = S_ISLNK(type) ? 2 : 0,
		.ino = entry.ino,
		.generation = entry.generation,
	};
	for (unsigned i = 0; i < NR_NAMES; i++)
		names[node][i] = -1;
	name_set(dir, name, node);
	got_entry(node, &entry);
}

static void op_lookup(void)
{
	int dir = pick_node(true);
	unsigned name = pick(NR_NAMES);
	struct fs_entry entry;
	int want = !is_dir(dir) ? -ENOTDIR : names[dir][name] < 0 ? -ENOENT : 0;

	ck_assert_int_eq(fs_lookup(sb, nodes[dir].ino, text_of(name), &entry), want);
	if (!want)
		got_entry(names[dir][name], &entry);
	want = dir_error(dir);
	ck_assert_int_eq(fs_lookup(sb, nodes[dir].ino, "..", &entry), want);
	if (!want)
		got_entry(nodes[dir].parent, &entry);
}

static void op_link(void)
{
	int dir = pick_node(true), node = pick_node(false);
	unsigned name = pick(NR_NAMES);
	struct fs_entry entry;
	int want = is_dir(node) ? -EPERM : nodes[node].nlink == 0 ? -ENOENT : dir_error(dir);

	if (!want && names[dir][name] >= 0)
		want = -EEXIST;
	ck_assert_int_eq(fs_link(sb, nodes[node].ino, nodes[dir].ino, text_of(name), &entry), want);
	if (want)
		return;
	nodes[node].nlink++;
	name_set(dir, name, node);
	got_entry(node, &entry);
}

static void op_remove(void)
{
	int dir = pick_node(true), node;
	unsigned name = pick(NR_NAMES);
	bool rm_dir = pick(2);
	int want = dir_error(dir), err;

	node = want ? -1 : names[dir][name];
	if (!want && node < 0)
		want = -ENOENT;
	else if (!want && is_dir(node) != rm_dir)
		want = rm_dir ? -ENOTDIR : -EISDIR;
	else if (!want && rm_dir && nodes[node].nr_names > 0)
		want = -ENOTEMPTY;
	err = rm_dir ? fs_rmdir(sb, nodes[dir].ino, text_of(name))
		     : fs_unlink(sb, nodes[dir].ino, text_of(name));
	ck_assert_int_eq(err, want);
	if (err)
		return;
	name_clear(dir, name);
	drop_link(node);
}

static bool is_below(int node, int above)
{
	while (node != above && node != 0)
		node = nodes[node].parent;
	return node == above;
}

static int rename_error(int dir, unsigned name, int new_dir, unsigned new_name, unsigned flags)
{
	int from, to, err = dir_error(dir);

	if (!err)
		err = dir_error(new_dir);
	if (err)
		return err;
	from = names[dir][name];
	to = names[new_dir][new_name];
	if (from < 0 || (to < 0 && flags == RENAME_EXCHANGE))
		return -ENOENT;
	if (to >= 0 && flags & RENAME_NOREPLACE)
		return -EEXIST;
	if (is_dir(from) && is_below(new_dir, from))
		return -EINVAL;
	if (to >= 0 && is_dir(to) && is_below(dir, to))
		return flags == RENAME_EXCHANGE ? -EINVAL : -ENOTEMPTY;
	if (to < 0 || to == from || flags == RENAME_EXCHANGE)
		return 0;
	if (is_dir(from) != is_dir(to))
		return is_dir(from) ? -ENOTDIR : -EISDIR;
	return is_dir(to) && nodes[to].nr_names > 0 ? -ENOTEMPTY : 0;
}

static void op_rename(void)
{
	static const unsigned all_flags[] = { 0, 0, RENAME_NOREPLACE, RENAME_EXCHANGE };
	int dir = pick_node(true), new_dir = pick(3) ? pick_node(true) : dir, from, to;
	unsigned name = pick(NR_NAMES), new_name = pick(NR_NAMES);
	unsigned flags = all_flags[pick(ARRAY_SIZE(all_flags))];
	int want = rename_error(dir, name, new_dir, new_name, flags);

	ck_assert_int_eq(rename_name(sb, &user_cred, nodes[dir].ino, text_of(name),
				     nodes[new_dir].ino, text_of(new_name), flags),
			 want);
	if (want)
		return;
	from = names[dir][name];
	to = names[new_dir][new_name];
	if (from == to)
		return;
	name_clear(dir, name);
	if (to >= 0)
		name_clear(new_dir, new_name);
	name_set(new_dir, new_name, from);
	if (flags == RENAME_EXCHANGE)
		name_set(dir, name, to);
	else if (to >= 0)
		drop_link(to);
}

static void op_size(void)
{
	int node = pick_node(false);
	struct stat attr = { .st_size = pick(2) ? pick(200000) : pick(100) };
	uint64_t size = (uint64_t)attr.st_size;
	int want = is_dir(node) ? -EISDIR : S_ISREG(nodes[node].type) ? 0 : -EINVAL;
	size_t done;

	if (pick(2)) {
		ck_assert_int_eq(
			fs_setattr(sb, &user_cred, nodes[node].ino, &attr, FS_SET_SIZE, &attr),
			want);
	} else {
		ck_assert_int_eq(fs_write(sb, &user_cred, nodes[node].ino, size, "x", 1, 0, &done),
				 want);
		size = max_u64(size + 1, nodes[node].size);
	}
	if (!want)
		nodes[node].size = size;
}

static void op_forget(void)
{
	int node = pick_node(false);

	if (node != 0 && nodes[node].refs > 0)
		node_forget(node, 1 + pick(nodes[node].refs));
}

struct listing {
	int dir;
	unsigned seen[NR_NAMES], nr, room;
	uint64_t cookie;
};

static bool list_name(void *arg, const struct fs_dirent *found)
{
	struct listing *list = arg;
	int node;

	if (list->nr == list->room)
		return false;
	list->nr++;
	list->cookie = found->next_cookie;
	if (found->name[0] == '.')
		return true;
	node = names[list->dir][found->name[found->name_len - 1] - 'a'];
	ck_assert_int_ge(node, 0);
	ck_assert_uint_eq(found->ino, nodes[node].ino);
	ck_assert_uint_eq(found->type, nodes[node].type);
	list->seen[found->name[found->name_len - 1] - 'a']++;
	return true;
}

static void op_list(void)
{
	struct listing list = { .dir = pick_node(true), .room = 1 + pick(10) };

	if (!is_dir(list.dir))
		return;
	do {
		list.nr = 0;
		ck_assert_int_eq(
			fs_readdir(sb, nodes[list.dir].ino, list.cookie, false, list_name, &list),
			0);
	} while (list.nr > 0);
	for (unsigned i = 0; i < NR_NAMES; i++)
		ck_assert_uint_eq(list.seen[i], names[list.dir][i] >= 0);
}

static void check_all(void)
{
	ck_assert_int_eq(super_check(sb), 0);
	for (int i = 0; i < NR_NODES; i++) {
		struct stat attr;

		if (!is_known(i))
			continue;
		attr = attr_of(sb, nodes[i].ino);
		check_attr(i, &attr);
	}
}

START_TEST(test_random_calls_match_the_model)
{
	static void (*const ops[])(void) = {
		op_create, op_create, op_create, op_lookup, op_link,   op_remove,
		op_remove, op_rename, op_rename, op_size,   op_forget, op_list,
	};

	state = zt_seed();
	sb = fixture_init();
	memset(nodes, 0, sizeof(nodes));
	memset(names, 0xff, sizeof(names));
	nodes[0] = (struct node){ .type = S_IFDIR, .nlink = 1, .ino = FS_ROOT_INO };
	for (unsigned i = 0; i < NR_OPS; i++) {
		ops[pick(ARRAY_SIZE(ops))]();
		if (i % 500 == 0)
			check_all();
	}
	check_all();
	/* and everything goes: names first, from the leaves, then what is held */
	for (unsigned left = 1; left > 0;) {
		left = 0;
		for (int dir = 0; dir < NR_NODES; dir++) {
			for (unsigned name = 0; is_dir(dir) && name < NR_NAMES; name++) {
				int node = names[dir][name];

				if (node < 0)
					continue;
				left++;
				if (is_dir(node) && nodes[node].nr_names > 0)
					continue;
				ck_assert_int_eq(
					is_dir(node) ? fs_rmdir(sb, nodes[dir].ino, text_of(name))
						     : fs_unlink(sb, nodes[dir].ino, text_of(name)),
					0);
				name_clear(dir, name);
				drop_link(node);
			}
		}
	}
	for (int i = 1; i < NR_NODES; i++)
		if (is_known(i))
			node_forget(i, nodes[i].refs);
	ck_assert_uint_eq(sb->nr_inodes, 1);
	ck_assert_uint_eq(fixture_meta_objects(sb), 0);
	fixture_exit(sb);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("model");
	TCase *tc = tcase_create("model");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, test_random_calls_match_the_model);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
