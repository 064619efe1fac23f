/* The file table and what stands on it: mapping, reading, paths; and every call of it failing
 * once. */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/fault_files.h"
#include "tests/support/folder.h"
#include "tests/unit/base/unit.h"

/* ------------------------------------------------------------------ a folder to work in */

typedef struct place {
    char folder[TEST_FOLDER_SIZE], path[96];
    satchel_context *context;
    test_allocator allocator;
    satchel_allocator table;
    fault_files faults;
} place;

enum { SIZE = 100000 };
static uint8_t content[SIZE];

static int make_place(void **state) {
    static place p;
    memset(&p, 0, sizeof p);
    if (!test_folder_make(p.folder))
        return -1;
    snprintf(p.path, sizeof p.path, "%s/file", p.folder);
    for (size_t i = 0; i < SIZE; i++)
        content[i] = (uint8_t)(i * 31 + i / 256);
    p.table = test_allocator_table(&p.allocator);
    satchel_context_options options = {
        .struct_size = sizeof options, .allocator = &p.table, .threads = 1};
    if (sat_context_open(&p.context, &options, NULL) != SATCHEL_OK)
        return -1;
    p.context->files = &fault_files_table;
    p.context->files_user = &p.faults;
    *state = &p;
    return 0;
}

static int remove_place(void **state) {
    place *p = *state;
    unlink(p->path);
    rmdir(p->folder);
    bool clean = p->faults.open_files == 0 && p->faults.mappings == 0;
    sat_context_release(p->context);
    return clean && p->allocator.blocks == 0 && p->allocator.wrong_sizes == 0 ? 0 : -1;
}

static void write_file(const char *path, size_t size) {
    int fd;
    unlink(path);
    assert_int_equal(sat_file_posix.open(NULL, path, SAT_OPEN_CREATE, &fd), 0);
    assert_int_equal(sat_file_posix.write_at(NULL, fd, content, size, 0), 0);
    assert_int_equal(sat_file_posix.sync(NULL, fd), 0);
    assert_int_equal(sat_file_posix.close(NULL, fd), 0);
}

/* ------------------------------------------------------------------ the table */

static int collect(void *user, const char *name) {
    char *names = user;
    strcat(names, name);
    return strcmp(name, "stop") == 0 ? 77 : 0;
}

static void the_table_does_what_it_says(void **state) {
    place *p = *state;
    const sat_file_table *files = &sat_file_posix;
    int fd, other;
    sat_file_info info;
    char names[300] = "", moved[100];
    assert_int_equal(files->open(NULL, p->path, SAT_OPEN_READ, &fd), ENOENT);
    write_file(p->path, 1000);
    assert_int_equal(files->open(NULL, p->path, SAT_OPEN_CREATE, &fd), EEXIST);
    assert_int_equal(files->open(NULL, p->path, SAT_OPEN_READ, &fd), 0);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    assert_int_equal(files->fstat(NULL, fd, &info), 0);
    assert_int_equal(info.size, 1000);
    assert_true(info.is_regular && !info.is_directory && !info.is_link);
    assert_true(info.modified_ns > INT64_C(1700000000) * 1000000000);

    uint8_t data[1200];
    size_t done;
    assert_int_equal(files->read_at(NULL, fd, data, 500, 10, &done), 0);
    assert_int_equal(done, 500);
    assert_memory_equal(data, content + 10, 500);
    assert_int_equal(files->read_at(NULL, fd, data, 500, 900, &done), 0);
    assert_int_equal(done, 100);
    assert_int_equal(files->read_at(NULL, fd, data, 10, 1000, &done), 0);
    assert_int_equal(done, 0);
    assert_int_equal(files->read_at(NULL, fd, data, 10, UINT64_MAX, &done), EOVERFLOW);
    assert_int_equal(files->read_at(NULL, fd, data, SIZE_MAX, 1, &done), EOVERFLOW);
    assert_int_equal(files->write_at(NULL, fd, data, 10, 0), EBADF);
    assert_int_equal(files->close(NULL, fd), 0);
    assert_int_equal(files->read_at(NULL, fd, data, 10, 0, &done), EBADF);

    snprintf(moved, sizeof moved, "%s/link", p->folder);
    assert_int_equal(symlink("file", moved), 0);
    assert_int_equal(files->stat(NULL, moved, false, &info), 0);
    assert_true(info.is_link && !info.is_regular);
    assert_int_equal(files->stat(NULL, moved, true, &info), 0);
    assert_true(!info.is_link && info.is_regular);
    assert_int_equal(files->stat(NULL, p->folder, true, &info), 0);
    assert_true(info.is_directory);
    assert_int_equal(files->list(NULL, p->folder, collect, names), 0);
    assert_int_equal(strlen(names), 8);
    assert_non_null(strstr(names, "file"));
    assert_non_null(strstr(names, "link"));
    assert_int_equal(files->remove(NULL, moved), 0);
    assert_int_equal(files->remove(NULL, moved), ENOENT);
    snprintf(moved, sizeof moved, "%s/stop", p->folder);
    assert_int_equal(files->rename(NULL, p->path, moved), 0);
    assert_int_equal(files->list(NULL, p->folder, collect, names), 77);
    assert_int_equal(files->rename(NULL, moved, p->path), 0);
    assert_int_equal(files->rename(NULL, moved, p->path), ENOENT);
    assert_int_equal(files->list(NULL, moved, collect, names), ENOENT);
    assert_int_equal(files->list(NULL, p->path, collect, names), ENOTDIR);
    assert_int_equal(files->sync_directory(NULL, p->folder), 0);
    assert_int_equal(files->sync_directory(NULL, p->path), ENOTDIR);
    assert_int_equal(files->open(NULL, p->folder, SAT_OPEN_READ, &other), 0); /* told by fstat */
    files->close(NULL, other);
}

static void folders_times_and_free_space(void **state) {
    place *p = *state;
    const sat_file_table *files = &sat_file_posix;
    sat_file_info info;
    char made[100];
    snprintf(made, sizeof made, "%s/made/deeper", p->folder);
    assert_int_equal(files->make_directory(NULL, made), ENOENT);
    snprintf(made, sizeof made, "%s/made", p->folder);
    assert_int_equal(files->make_directory(NULL, made), 0);
    assert_int_equal(files->make_directory(NULL, made), EEXIST);
    struct stat found;
    assert_int_equal(stat(made, &found), 0);
    assert_int_equal(found.st_mode & 0777, 0700);
    rmdir(made);

    write_file(p->path, 10);
    static const int64_t times[] = {INT64_C(1500000000123456789), 1, 0, -1, -1500000000};
    for (size_t i = 0; i < SAT_COUNT(times); i++) {
        assert_int_equal(files->touch(NULL, p->path, times[i]), 0);
        assert_int_equal(files->stat(NULL, p->path, true, &info), 0);
        if (times[i] >= 0) /* not all file systems know times before 1970 */
            assert_int_equal(info.modified_ns, times[i]);
    }
    assert_int_equal(files->touch(NULL, made, 0), ENOENT);

    uint64_t bytes = 0;
    assert_int_equal(files->space(NULL, p->folder, &bytes), 0);
    assert_true(bytes > 0);
    assert_int_equal(files->space(NULL, made, &bytes), ENOENT);
}

/* ------------------------------------------------------------------ mapping */

static void a_file_is_mapped_or_copied(void **state) {
    place *p = *state;
    satchel_error error;
    for (int no_map = 0; no_map < 2; no_map++) {
        p->faults.no_map = no_map;
        for (size_t size = 0; size <= SIZE; size = size * 7 + 1) {
            write_file(p->path, size);
            sat_mapping mapping;
            assert_int_equal(sat_file_map(p->context, &mapping, p->path, &error), SATCHEL_OK);
            assert_int_equal(p->faults.open_files, 0);
            assert_int_equal(mapping.size, size);
            assert_non_null(mapping.data);
            assert_memory_equal(mapping.data, content, size);
            assert_int_equal(mapping.base_size != 0, size > 0 && !no_map);
            sat_file_unmap(p->context, &mapping);
            assert_null(mapping.data);
            sat_file_unmap(p->context, &mapping);
        }
    }
}

static void a_range_of_a_descriptor_is_mapped(void **state) {
    place *p = *state;
    satchel_error error;
    sat_mapping mapping;
    int fd;
    write_file(p->path, SIZE);
    assert_int_equal(sat_file_posix.open(NULL, p->path, SAT_OPEN_READ, &fd), 0);
    static const uint64_t offsets[] = {0, 1, 17, 4095, 4096, 4097, 65536, SIZE - 1, SIZE};
    for (int no_map = 0; no_map < 2; no_map++)
        for (size_t i = 0; i < SAT_COUNT(offsets); i++) {
            p->faults.no_map = no_map;
            uint64_t left = SIZE - offsets[i];
            const uint64_t lengths[] = {0, left, left / 2};
            for (size_t j = 0; j < 3; j++) {
                assert_int_equal(
                    sat_file_map_fd(p->context, &mapping, fd, offsets[i], lengths[j], &error),
                    SATCHEL_OK);
                assert_int_equal(mapping.size, lengths[j] ? lengths[j] : left);
                assert_memory_equal(mapping.data, content + offsets[i], mapping.size);
                sat_file_unmap(p->context, &mapping);
            }
        }
    static const uint64_t beyond[][2] = {{SIZE + 1, 0},   {0, SIZE + 1},           {SIZE, 1},
                                         {UINT64_MAX, 0}, {1, UINT64_MAX},         {SIZE - 1, 2},
                                         {0, UINT64_MAX}, {UINT64_MAX, UINT64_MAX}};
    for (size_t i = 0; i < SAT_COUNT(beyond); i++) {
        assert_int_equal(
            sat_file_map_fd(p->context, &mapping, fd, beyond[i][0], beyond[i][1], &error),
            SATCHEL_INVALID_ARGUMENT);
        assert_null(mapping.data);
        assert_non_null(strstr(error.message, "100000"));
    }
    sat_file_posix.close(NULL, fd);
    assert_int_equal(sat_file_map_fd(p->context, &mapping, fd, 0, 0, &error), SATCHEL_IO);
    assert_int_equal(error.os_code, EBADF);
}

static void what_is_no_file_is_refused(void **state) {
    place *p = *state;
    satchel_error error;
    sat_mapping mapping;
    sat_buffer out;
    sat_buffer_init(&out, &p->context->memory);
    assert_int_equal(sat_file_map(p->context, &mapping, p->path, &error), SATCHEL_NOT_FOUND);
    assert_non_null(strstr(error.message, p->path));
    assert_int_equal(sat_file_map(p->context, &mapping, p->folder, &error), SATCHEL_UNSUPPORTED);
    assert_int_equal(sat_file_read(p->context, p->folder, 100, &out, NULL, &error),
                     SATCHEL_UNSUPPORTED);
    assert_int_equal(mkfifo(p->path, 0600), 0); /* must not wait for a writer */
    assert_int_equal(sat_file_map(p->context, &mapping, p->path, &error), SATCHEL_UNSUPPORTED);
    assert_int_equal(sat_file_read(p->context, p->path, 100, &out, NULL, &error),
                     SATCHEL_UNSUPPORTED);
    assert_int_equal(sat_file_read(p->context, "/dev/zero", 100, &out, NULL, &error),
                     SATCHEL_UNSUPPORTED);
    assert_int_equal(out.length, 0);
    sat_buffer_free(&out);
}

/* ------------------------------------------------------------------ reading */

static void a_file_is_read_up_to_the_limit(void **state) {
    place *p = *state;
    satchel_error error;
    static const size_t sizes[] = {0, 1, 4096, 65535, 65536, 65537, SIZE};
    for (size_t i = 0; i < SAT_COUNT(sizes); i++) {
        write_file(p->path, sizes[i]);
        sat_buffer out;
        sat_file_info info;
        sat_buffer_init(&out, &p->context->memory);
        sat_buffer_append_text(&out, "before");
        assert_int_equal(sat_file_read(p->context, p->path, sizes[i], &out, &info, &error),
                         SATCHEL_OK);
        assert_int_equal(info.size, sizes[i]);
        assert_int_equal(out.length, sizes[i] + 6);
        assert_memory_equal(out.data, "before", 6);
        assert_memory_equal(out.data + 6, content, sizes[i]);
        assert_int_equal(out.data[out.length], 0);
        sat_buffer_clear(&out);
        assert_int_equal(sat_file_read(p->context, p->path, UINT64_MAX, &out, NULL, &error),
                         SATCHEL_OK);
        assert_int_equal(out.length, sizes[i]);
        if (sizes[i] > 0) {
            assert_int_equal(sat_file_read(p->context, p->path, sizes[i] - 1, &out, NULL, &error),
                             SATCHEL_LIMIT);
            assert_non_null(strstr(error.message, p->path));
        }
        sat_buffer_free(&out);
    }
}

static void a_file_that_lies_about_its_size_is_read(void **state) {
    place *p = *state;
    satchel_error error;
    sat_buffer out;
    sat_buffer_init(&out, &p->context->memory);
    /* /proc says 0 bytes. */
    if (access("/proc/self/status", R_OK) == 0) {
        assert_int_equal(
            sat_file_read(p->context, "/proc/self/status", 1 << 20, &out, NULL, &error),
            SATCHEL_OK);
        assert_true(out.length > 100);
        sat_buffer_clear(&out);
        assert_int_equal(sat_file_read(p->context, "/proc/self/status", 50, &out, NULL, &error),
                         SATCHEL_LIMIT);
        sat_buffer_clear(&out);
    }
    /* Another program cut it short between the look at it and the read. */
    write_file(p->path, 5000);
    p->faults.hide = 1000;
    assert_int_equal(sat_file_read(p->context, p->path, 1 << 20, &out, NULL, &error), SATCHEL_OK);
    assert_int_equal(out.length, 4000);
    sat_mapping mapping;
    p->faults.no_map = true;
    assert_int_equal(sat_file_map(p->context, &mapping, p->path, &error), SATCHEL_IO);
    assert_null(mapping.data);
    sat_buffer_free(&out);
}

static void a_range_of_a_descriptor_is_read(void **state) {
    place *p = *state;
    satchel_error error;
    sat_buffer out;
    int fd;
    sat_buffer_init(&out, &p->context->memory);
    write_file(p->path, SIZE);
    assert_int_equal(sat_file_posix.open(NULL, p->path, SAT_OPEN_READ, &fd), 0);
    static const uint64_t ranges[][2] = {{0, 0},     {0, SIZE}, {5, 100},
                                         {70000, 0}, {SIZE, 0}, {0, 1}};
    for (size_t i = 0; i < SAT_COUNT(ranges); i++) {
        uint64_t offset = ranges[i][0], length = ranges[i][1] ? ranges[i][1] : SIZE - offset;
        sat_buffer_clear(&out);
        assert_int_equal(
            sat_file_read_fd(p->context, fd, offset, ranges[i][1], length, &out, &error),
            SATCHEL_OK);
        assert_int_equal(out.length, length);
        assert_memory_equal(out.data, content + offset, length);
        if (length > 0)
            assert_int_equal(
                sat_file_read_fd(p->context, fd, offset, ranges[i][1], length - 1, &out, &error),
                SATCHEL_LIMIT);
    }
    assert_int_equal(sat_file_read_fd(p->context, fd, 1, SIZE, UINT64_MAX, &out, &error),
                     SATCHEL_INVALID_ARGUMENT);
    assert_int_equal(
        sat_file_read_fd(p->context, fd, UINT64_MAX, UINT64_MAX, UINT64_MAX, &out, &error),
        SATCHEL_INVALID_ARGUMENT);
    p->faults.hide = 10;
    assert_int_equal(sat_file_read_fd(p->context, fd, 0, 100, 100, &out, &error), SATCHEL_IO);
    sat_file_posix.close(NULL, fd);
    assert_int_equal(sat_file_read_fd(p->context, fd, 0, 0, 100, &out, &error), SATCHEL_IO);
    sat_buffer_free(&out);
}

/* Each file call and each allocation fails once: a status, the right one, and nothing left open. */
static void every_failing_call_is_survived(void **state) {
    place *p = *state;
    write_file(p->path, SIZE);
    for (int kind = 0; kind < 3; kind++) { /* map, map without mmap, read */
        for (int k = 1;; k++) {
            bool memory = k % 2 == 0;
            p->faults = (fault_files){.fail_at = memory ? 0 : k / 2 + 1, .no_map = kind == 1};
            p->allocator.calls = 0;
            p->allocator.fail_at = memory ? (size_t)k / 2 : 0;
            satchel_error error = {0};
            satchel_status status;
            sat_mapping mapping = {0};
            sat_buffer out;
            sat_buffer_init(&out, &p->context->memory);
            if (kind < 2)
                status = sat_file_map(p->context, &mapping, p->path, &error);
            else
                status = sat_file_read(p->context, p->path, SIZE, &out, NULL, &error);
            bool reached = memory ? p->allocator.calls >= p->allocator.fail_at
                                  : p->faults.calls >= p->faults.fail_at;
            p->allocator.fail_at = 0;
            if (status == SATCHEL_OK) {
                const void *data = kind < 2 ? (const void *)mapping.data : out.data;
                assert_memory_equal(data, content, SIZE);
            } else {
                assert_true(reached);
                assert_int_equal(error.code, status);
                assert_int_equal(status, memory ? SATCHEL_OUT_OF_MEMORY : SATCHEL_IO);
            }
            sat_file_unmap(p->context, &mapping);
            sat_buffer_free(&out);
            assert_int_equal(p->faults.open_files, 0);
            assert_int_equal(p->faults.mappings, 0);
            if (!reached && k > 10)
                break;
        }
    }
    p->faults = (fault_files){0};
}

/* ------------------------------------------------------------------ paths */

static void paths_are_joined_and_taken_apart(void **state) {
    sat_memory memory;
    sat_memory_init(&memory, NULL, 0);
    static const char *const joins[][3] = {{"a", "b", "a/b"},   {"a/", "b", "a/b"},
                                           {"/", "b", "/b"},    {"", "b", "b"},
                                           {"a/b", "", "a/b/"}, {"ä", "語.txt", "ä/語.txt"}};
    for (size_t i = 0; i < SAT_COUNT(joins); i++) {
        char *path = sat_path_join(&memory, joins[i][0], joins[i][1]);
        assert_string_equal(path, joins[i][2]);
        sat_free(&memory, path);
    }
    memory.limit = 10;
    assert_null(sat_path_join(&memory, "a", "b"));
    static const char *const parts[][3] = {{"a/b.txt", "b.txt", "txt"},
                                           {"b.tar.gz", "b.tar.gz", "gz"},
                                           {"/x.y/z", "z", ""},
                                           {".profile", ".profile", ""},
                                           {"a/.hidden.md", ".hidden.md", "md"},
                                           {"dot.", "dot.", ""},
                                           {"", "", ""},
                                           {"a/", "", ""}};
    for (size_t i = 0; i < SAT_COUNT(parts); i++) {
        assert_string_equal(sat_path_name(parts[i][0]), parts[i][1]);
        assert_string_equal(sat_path_extension(parts[i][0]), parts[i][2]);
    }
}

#define in_place(test) cmocka_unit_test_setup_teardown(test, make_place, remove_place)

int main(void) {
    const struct CMUnitTest tests[] = {
        in_place(the_table_does_what_it_says),
        in_place(folders_times_and_free_space),
        in_place(a_file_is_mapped_or_copied),
        in_place(a_range_of_a_descriptor_is_mapped),
        in_place(what_is_no_file_is_refused),
        in_place(a_file_is_read_up_to_the_limit),
        in_place(a_file_that_lies_about_its_size_is_read),
        in_place(a_range_of_a_descriptor_is_read),
        in_place(every_failing_call_is_survived),
        cmocka_unit_test(paths_are_joined_and_taken_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
