/*
 * The file table: every file operation of our own code (SQLite has its VFS) goes through a struct of
 * function pointers, so that tests can make the k-th one fail. sat_file_posix is the real one.
 * Functions return 0 or an errno value.
 */
#ifndef SATCHEL_BASE_FILE_H
#define SATCHEL_BASE_FILE_H

#include "base/alloc.h"

typedef struct sat_file_info {
    uint64_t size;
    int64_t modified_ns; /* Unix time */
    uint64_t device, inode;
    bool is_directory, is_regular, is_link;
} sat_file_info;

enum { SAT_OPEN_READ = 0, SAT_OPEN_CREATE = 1 /* new file for writing; EEXIST if there is one */ };

typedef struct sat_file_table {
    int (*open)(void *user, const char *path, int mode, int *fd);
    int (*close)(void *user, int fd);
    /* Reads up to `size` bytes at `offset`; *done < size only at the end of the file. */
    int (*read_at)(void *user, int fd, void *data, size_t size, uint64_t offset, size_t *done);
    int (*write_at)(void *user, int fd, const void *data, size_t size, uint64_t offset);
    int (*sync)(void *user, int fd); /* fsync, F_FULLFSYNC on Apple */
    int (*stat)(void *user, const char *path, bool follow, sat_file_info *info);
    int (*fstat)(void *user, int fd, sat_file_info *info);
    int (*map)(void *user, int fd, uint64_t offset, size_t size, void **data); /* read-only */
    void (*unmap)(void *user, void *data, size_t size);
    int (*rename)(void *user, const char *from, const char *to);
    int (*remove)(void *user, const char *path);
    int (*sync_directory)(void *user, const char *path);
    /* Calls entry(entry_user, name) for each name in a directory but . and ..; a non-zero return of
     * entry stops and is returned. */
    int (*list)(void *user, const char *path, int (*entry)(void *entry_user, const char *name),
                void *entry_user);
    int (*make_directory)(void *user, const char *path);             /* for its owner alone */
    int (*touch)(void *user, const char *path, int64_t modified_ns); /* sets the time of change */
    /* Bytes that this user may still write on the volume. */
    int (*space)(void *user, const char *path, uint64_t *bytes);
} sat_file_table;

extern const sat_file_table sat_file_posix;

struct satchel_context;

/* A mapped range of a file, or its copy in memory where mapping fails. */
typedef struct sat_mapping {
    const uint8_t *data;
    size_t size;
    void *base;       /* what to unmap or free */
    size_t base_size; /* mapped size, 0 if copied */
} sat_mapping;

/* Maps `length` bytes at `offset` of an open file (0: to the end). Errors name `path`. */
satchel_status sat_file_map(struct satchel_context *context, sat_mapping *out, const char *path,
                            satchel_error *error);
satchel_status sat_file_map_fd(struct satchel_context *context, sat_mapping *out, int fd,
                               uint64_t offset, uint64_t length, satchel_error *error);
void sat_file_unmap(struct satchel_context *context, sat_mapping *mapping);

/* Reads a whole file (at most max_bytes, else LIMIT) into a buffer: documents are never mapped, because
 * another program may cut them short. */
satchel_status sat_file_read(struct satchel_context *context, const char *path, uint64_t max_bytes,
                             sat_buffer *out, sat_file_info *info, satchel_error *error);
satchel_status sat_file_read_fd(struct satchel_context *context, int fd, uint64_t offset,
                                uint64_t length, uint64_t max_bytes, sat_buffer *out,
                                satchel_error *error);

/* "a/b" from "a" and "b"; NULL when out of memory. */
char *sat_path_join(sat_memory *memory, const char *folder, const char *name);
const char *sat_path_name(const char *path);      /* the part after the last '/' */
const char *sat_path_extension(const char *path); /* without the dot; "" if none */

#endif
