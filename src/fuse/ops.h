/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ops.h - the handlers of the table, one per request; for this folder only.
 *
 * Signatures are libfuse's. Each handler sends exactly one reply (FORGET: none).
 */
#ifndef ZT_FUSE_OPS_H
#define ZT_FUSE_OPS_H

#include "fuse/fuse_ops.h"

/* op_namei.c */
void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name);
void op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t nlookup);
void op_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets);
void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev);
void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode);
void op_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name);
void op_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t new_parent, const char *new_name);
void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name);
void op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name);
void op_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t new_parent,
	       const char *new_name, unsigned int flags);
void op_readlink(fuse_req_t req, fuse_ino_t ino);

/* op_file.c */
void op_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
	       struct fuse_file_info *fi);
void op_tmpfile(fuse_req_t req, fuse_ino_t parent, mode_t mode, struct fuse_file_info *fi);
void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi);
void op_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t off, off_t len,
		  struct fuse_file_info *fi);
void op_copy_file_range(fuse_req_t req, fuse_ino_t ino_in, off_t off_in,
			struct fuse_file_info *fi_in, fuse_ino_t ino_out, off_t off_out,
			struct fuse_file_info *fi_out, size_t len, int flags);
void op_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);

/* op_write.c */
void op_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t size, off_t off,
	      struct fuse_file_info *fi);

/* seek.c */
void op_lseek(fuse_req_t req, fuse_ino_t ino, off_t off, int whence, struct fuse_file_info *fi);

/** seal() - set chattr's @flags once the kernel has written the file's dirty pages; replies */
void seal(fuse_req_t req, fuse_ino_t ino, uint32_t flags);

/* op_dir.c */
void op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t cookie,
		struct fuse_file_info *fi);
void op_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t cookie,
		    struct fuse_file_info *fi);

/* op_attr.c */
void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set,
		struct fuse_file_info *fi);
void op_statfs(fuse_req_t req, fuse_ino_t ino);

/**
 * attr_capability_gone() - the kernel has just had a capability removed, for this caller
 * Its next SETATTR that says nothing may mean no more than that.
 */
void attr_capability_gone(fuse_req_t req, fuse_ino_t ino);

/* op_xattr.c */
void op_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value, size_t size,
		 int flags);
void op_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size);
void op_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size);
void op_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name);

/* op_ioctl.c */
void op_ioctl(fuse_req_t req, fuse_ino_t ino, unsigned int cmd, void *arg,
	      struct fuse_file_info *fi, unsigned flags, const void *in_buf, size_t in_bufsz,
	      size_t out_bufsz);

/* What a request for control brings, and the most that its answer may have. */
struct control_bytes {
	const void *in;
	size_t in_size, out_size;
};

/* op_control.c: a request of ztmpfs/control.h; ENOTTY for others */
void control_ioctl(fuse_req_t req, fuse_ino_t ino, unsigned int cmd,
		   const struct control_bytes *bytes);

/**
 * control_take() - as much of a question as the caller has; the rest is 0
 * Return: 0; -EINVAL: less than a version and a size; -EPROTO: of another version.
 */
int control_take(const struct control_bytes *bytes, void *out, size_t size) ZT_MUST_CHECK;

/** control_answer() - fill the head of @answer. Return: as much of it as the caller wants; 0: he has no space for that. */
size_t control_answer(const struct control_bytes *bytes, void *answer, size_t size) ZT_MUST_CHECK;

/** control_give() - reply as much of @answer as the caller wants; its struct_size says how much */
void control_give(fuse_req_t req, const struct control_bytes *bytes, void *answer, size_t size);

/* op_save.c: one of them */
void op_save(fuse_req_t req, fuse_ino_t ino, const struct control_bytes *bytes);

/* op_clone.c: one of them */
void op_clone(fuse_req_t req, fuse_ino_t into, const struct control_bytes *bytes);

#endif
