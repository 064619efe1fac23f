/* What the tests of the folder of blobs share: a folder, a cache on it, keys and contents. */
#ifndef SATCHEL_TESTS_UNIT_BASE_CACHE_UNIT_H
#define SATCHEL_TESTS_UNIT_BASE_CACHE_UNIT_H

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/fault_files.h"
#include "tests/support/folder.h"
#include "tests/unit/base/unit.h"

enum { SIZE = 5000, BLOB = SIZE + SAT_CACHE_HEADER, KEYS = 12 };

typedef struct place {
    char base[TEST_FOLDER_SIZE], folder[80];
    satchel_context *context;
    test_allocator allocator;
    satchel_allocator table;
    fault_files files;
    sat_cache *cache;
    int logged;
} place;

static uint8_t content[KEYS][SIZE];
static sat_cache_key keys[KEYS];

static inline void note_log(void *user, int32_t level, const char *message) {
    ((place *)user)->logged++;
    assert_null(strstr(message, "satchel-")); /* paths are logged only where asked for */
}

static inline int make_place(void **state) {
    static place p;
    memset(&p, 0, sizeof p);
    if (!test_folder_make(p.base))
        return -1;
    snprintf(p.folder, sizeof p.folder, "%s/cache", p.base);
    uint64_t random = 3;
    for (size_t k = 0; k < KEYS; k++) {
        for (size_t i = 0; i < SIZE; i++)
            content[k][i] = (uint8_t)test_random(&random);
        for (size_t i = 0; i < SAT_CACHE_KEY; i++)
            keys[k].bytes[i] = (uint8_t)test_random(&random);
    }
    p.table = test_allocator_table(&p.allocator);
    satchel_context_options options = {.struct_size = sizeof options,
                                       .allocator = &p.table,
                                       .threads = 1,
                                       .log = note_log,
                                       .log_user = &p};
    if (sat_context_open(&p.context, &options, NULL))
        return -1;
    p.context->files = &fault_files_table;
    p.context->files_user = &p.files;
    *state = &p;
    return sat_cache_open(&p.cache, p.context, p.folder, 4 * BLOB, 1, NULL);
}

static inline int each_name(const char *folder, void (*call)(const char *path)) {
    DIR *directory = opendir(folder);
    int count = 0;
    char path[300];
    for (struct dirent *entry; directory && (entry = readdir(directory));) {
        if (entry->d_name[0] == '.')
            continue;
        count++;
        snprintf(path, sizeof path, "%.80s/%.200s", folder, entry->d_name);
        if (call)
            call(path);
    }
    if (directory)
        closedir(directory);
    return count;
}

static inline void delete_path(const char *path) {
    if (unlink(path) != 0)
        rmdir(path);
}

static inline int remove_place(void **state) {
    place *p = *state;
    sat_cache_close(&p->cache);
    each_name(p->folder, delete_path);
    each_name(p->base, delete_path);
    rmdir(p->base);
    bool clean = p->files.open_files == 0 && p->files.mappings == 0;
    sat_context_release(p->context);
    return clean && p->allocator.blocks == 0 && p->allocator.wrong_sizes == 0 ? 0 : -1;
}

static inline satchel_status put(place *p, size_t k, satchel_error *error) {
    return sat_cache_put(p->cache, &keys[k], content[k], SIZE, NULL, 0, error);
}

static inline void must_put(place *p, size_t k) {
    satchel_error error = {0};
    if (put(p, k, &error))
        fail_msg("%s", error.message);
}

/* 1: the whole content; 0: not found. Anything else fails. */
static inline int look(place *p, size_t k) {
    sat_mapping mapping;
    satchel_error error = {0};
    satchel_status status = sat_cache_map(p->cache, &keys[k], SIZE, &mapping, &error);
    if (status == SATCHEL_NOT_FOUND) {
        assert_null(mapping.data);
        assert_int_equal(error.code, SATCHEL_NOT_FOUND);
        return 0;
    }
    if (status)
        fail_msg("%s", error.message);
    assert_int_equal(mapping.size, SIZE);
    assert_int_equal((uintptr_t)mapping.data % 64, 0);
    assert_memory_equal(mapping.data, content[k], SIZE);
    sat_file_unmap(p->context, &mapping);
    return 1;
}

static inline char *path_of(place *p, size_t k) {
    static char path[300];
    char hex[2 * SAT_CACHE_KEY + 1];
    sat_hex(hex, keys[k].bytes, SAT_CACHE_KEY);
    snprintf(path, sizeof path, "%s/satchel-%s.blob", p->folder, hex);
    return path;
}

static uint64_t bytes_in_folder;
static inline void add_size(const char *path) {
    struct stat info;
    if (stat(path, &info) == 0)
        bytes_in_folder += (uint64_t)info.st_size;
}

static inline uint64_t folder_bytes(place *p) {
    bytes_in_folder = 0;
    each_name(p->folder, add_size);
    return bytes_in_folder;
}

static inline void write_file(const char *path, const void *data, size_t size) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, size), (ssize_t)size);
    close(fd);
}

#endif
