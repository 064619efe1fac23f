/* A file table over the real one that counts its calls and can make the k-th fail, once or for
 * good, write half of what it is given before it does, and pretend about free space. One thread. */
#ifndef SATCHEL_TESTS_SUPPORT_FAULT_FILES_H
#define SATCHEL_TESTS_SUPPORT_FAULT_FILES_H

#include <errno.h>

#include "base/base.h"

typedef struct fault_files {
    long calls, fail_at; /* from 1; 0: none */
    bool for_good, torn, no_map;
    int code;
    uint64_t space; /* free bytes; 0: what there is */
    size_t hide;    /* bytes at a file's end that reads do not see: it was cut short */
    long open_files, mappings;
    void (*before_map)(void *user);    /* called as a file was opened and is not mapped yet */
    void (*before_rename)(void *user); /* called as a file was written and has not its name yet */
    void *hook_user;
} fault_files;

static inline int fault_files_next(fault_files *f) {
    long call = ++f->calls;
    bool fails = f->fail_at && (call == f->fail_at || (f->for_good && call > f->fail_at));
    return !fails ? 0 : f->code ? f->code : EIO;
}

static inline int fault_files_open(void *user, const char *path, int mode, int *fd) {
    fault_files *f = user;
    int failed = fault_files_next(f);
    if (!failed)
        failed = sat_file_posix.open(NULL, path, mode, fd);
    f->open_files += failed == 0;
    return failed;
}

/* Closes whatever it says. */
static inline int fault_files_close(void *user, int fd) {
    fault_files *f = user;
    f->open_files--;
    int closed = sat_file_posix.close(NULL, fd), failed = fault_files_next(f);
    return failed ? failed : closed;
}

static inline int fault_files_read_at(void *user, int fd, void *data, size_t size, uint64_t offset,
                                      size_t *done) {
    fault_files *f = user;
    int failed = fault_files_next(f);
    if (!failed)
        failed = sat_file_posix.read_at(NULL, fd, data, size, offset, done);
    if (!failed)
        *done -= *done < f->hide ? *done : f->hide;
    return failed;
}

static inline int fault_files_write_at(void *user, int fd, const void *data, size_t size,
                                       uint64_t offset) {
    fault_files *f = user;
    int failed = fault_files_next(f);
    if (failed && f->torn)
        sat_file_posix.write_at(NULL, fd, data, size / 2, offset);
    return failed ? failed : sat_file_posix.write_at(NULL, fd, data, size, offset);
}

static inline int fault_files_sync(void *user, int fd) {
    return fault_files_next(user); /* tests do not wait for the disk */
}

static inline int fault_files_stat(void *user, const char *path, bool follow, sat_file_info *info) {
    int failed = fault_files_next(user);
    return failed ? failed : sat_file_posix.stat(NULL, path, follow, info);
}

static inline int fault_files_fstat(void *user, int fd, sat_file_info *info) {
    int failed = fault_files_next(user);
    return failed ? failed : sat_file_posix.fstat(NULL, fd, info);
}

static inline int fault_files_map(void *user, int fd, uint64_t offset, size_t size, void **data) {
    fault_files *f = user;
    int failed = fault_files_next(f);
    if (f->before_map)
        f->before_map(f->hook_user);
    if (!failed)
        failed = f->no_map ? ENODEV : sat_file_posix.map(NULL, fd, offset, size, data);
    f->mappings += failed == 0;
    return failed;
}

static inline void fault_files_unmap(void *user, void *data, size_t size) {
    fault_files *f = user;
    f->mappings--;
    sat_file_posix.unmap(NULL, data, size);
}

static inline int fault_files_rename(void *user, const char *from, const char *to) {
    fault_files *f = user;
    int failed = fault_files_next(f);
    if (f->before_rename)
        f->before_rename(f->hook_user);
    return failed ? failed : sat_file_posix.rename(NULL, from, to);
}

static inline int fault_files_remove(void *user, const char *path) {
    int failed = fault_files_next(user);
    return failed ? failed : sat_file_posix.remove(NULL, path);
}

static inline int fault_files_sync_directory(void *user, const char *path) {
    return fault_files_next(user);
}

static inline int fault_files_list(void *user, const char *path,
                                   int (*entry)(void *entry_user, const char *name),
                                   void *entry_user) {
    int failed = fault_files_next(user);
    return failed ? failed : sat_file_posix.list(NULL, path, entry, entry_user);
}

static inline int fault_files_make_directory(void *user, const char *path) {
    int failed = fault_files_next(user);
    return failed ? failed : sat_file_posix.make_directory(NULL, path);
}

static inline int fault_files_touch(void *user, const char *path, int64_t modified_ns) {
    int failed = fault_files_next(user);
    return failed ? failed : sat_file_posix.touch(NULL, path, modified_ns);
}

static inline int fault_files_space(void *user, const char *path, uint64_t *bytes) {
    fault_files *f = user;
    int failed = fault_files_next(f);
    if (!failed)
        failed = sat_file_posix.space(NULL, path, bytes);
    if (!failed && f->space)
        *bytes = f->space;
    return failed;
}

static const sat_file_table fault_files_table = {
    .open = fault_files_open,
    .close = fault_files_close,
    .read_at = fault_files_read_at,
    .write_at = fault_files_write_at,
    .sync = fault_files_sync,
    .stat = fault_files_stat,
    .fstat = fault_files_fstat,
    .map = fault_files_map,
    .unmap = fault_files_unmap,
    .rename = fault_files_rename,
    .remove = fault_files_remove,
    .sync_directory = fault_files_sync_directory,
    .list = fault_files_list,
    .make_directory = fault_files_make_directory,
    .touch = fault_files_touch,
    .space = fault_files_space,
};

#endif
