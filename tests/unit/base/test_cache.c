/* The folder of blobs: what is given back, what is refused and cleaned, limit and floor, many
 * processes, files that vanish, and every call that may fail failing. */
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/fault_files.h"
#include "tests/unit/base/unit.h"

enum { SIZE = 5000, BLOB = SIZE + SAT_CACHE_HEADER, KEYS = 12 };

typedef struct place {
    char base[64], folder[80];
    satchel_context *context;
    test_allocator allocator;
    satchel_allocator table;
    fault_files files;
    sat_cache *cache;
    int logged;
} place;

static uint8_t content[KEYS][SIZE];
static sat_cache_key keys[KEYS];

static void note_log(void *user, int32_t level, const char *message) {
    ((place *)user)->logged++;
    assert_null(strstr(message, "satchel-")); /* paths are logged only where asked for */
}

static int make_place(void **state) {
    static place p;
    memset(&p, 0, sizeof p);
    const char *base = getenv("TMPDIR");
    snprintf(p.base, sizeof p.base, "%.40s/satchel-XXXXXX", base ? base : "/tmp");
    if (!mkdtemp(p.base))
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

static int each_name(const char *folder, void (*call)(const char *path)) {
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

static void delete_path(const char *path) {
    if (unlink(path) != 0)
        rmdir(path);
}

static int remove_place(void **state) {
    place *p = *state;
    sat_cache_close(&p->cache);
    each_name(p->folder, delete_path);
    each_name(p->base, delete_path);
    rmdir(p->base);
    bool clean = p->files.open_files == 0 && p->files.mappings == 0;
    sat_context_release(p->context);
    return clean && p->allocator.blocks == 0 && p->allocator.wrong_sizes == 0 ? 0 : -1;
}

static satchel_status put(place *p, size_t k, satchel_error *error) {
    return sat_cache_put(p->cache, &keys[k], content[k], SIZE, NULL, 0, error);
}

static void must_put(place *p, size_t k) {
    satchel_error error = {0};
    if (put(p, k, &error))
        fail_msg("%s", error.message);
}

/* 1: the whole content; 0: not found. Anything else fails. */
static int look(place *p, size_t k) {
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

static char *path_of(place *p, size_t k) {
    static char path[300];
    char hex[2 * SAT_CACHE_KEY + 1];
    sat_hex(hex, keys[k].bytes, SAT_CACHE_KEY);
    snprintf(path, sizeof path, "%s/satchel-%s.blob", p->folder, hex);
    return path;
}

static uint64_t bytes_in_folder;
static void add_size(const char *path) {
    struct stat info;
    if (stat(path, &info) == 0)
        bytes_in_folder += (uint64_t)info.st_size;
}

static uint64_t folder_bytes(place *p) {
    bytes_in_folder = 0;
    each_name(p->folder, add_size);
    return bytes_in_folder;
}

static void write_file(const char *path, const void *data, size_t size) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, size), (ssize_t)size);
    close(fd);
}

/* ------------------------------------------------------------------ what is given back */

static void a_blob_comes_back_whole(void **state) {
    place *p = *state;
    struct stat info;
    assert_int_equal(stat(p->folder, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0700);
    assert_int_equal(look(p, 0), 0);
    assert_false(sat_cache_has(p->cache, &keys[0], SIZE));
    for (size_t k = 0; k < 3; k++)
        must_put(p, k);
    must_put(p, 1); /* again */
    for (int no_map = 0; no_map < 2; no_map++) {
        p->files.no_map = no_map;
        for (size_t k = 0; k < 3; k++)
            assert_int_equal(look(p, k), 1);
    }
    assert_true(sat_cache_has(p->cache, &keys[0], SIZE));
    assert_false(sat_cache_has(p->cache, &keys[0], SIZE + 1));
    assert_int_equal(each_name(p->folder, NULL), 3);
    assert_int_equal(p->logged, 0);
}

static void another_cache_on_the_folder_has_it_too(void **state) {
    place *p = *state;
    must_put(p, 0);
    sat_cache_close(&p->cache);
    assert_int_equal(sat_cache_open(&p->cache, p->context, p->folder, 4 * BLOB, 1, NULL),
                     SATCHEL_OK);
    assert_int_equal(look(p, 0), 1);
}

static void a_mapping_outlives_its_file(void **state) {
    place *p = *state;
    sat_mapping mapping;
    must_put(p, 0);
    assert_int_equal(sat_cache_map(p->cache, &keys[0], SIZE, &mapping, NULL), SATCHEL_OK);
    assert_int_equal(unlink(path_of(p, 0)), 0);
    must_put(p, 0);
    assert_memory_equal(mapping.data, content[0], SIZE);
    sat_file_unmap(p->context, &mapping);
}

static void a_folder_that_cannot_be_is_an_error(void **state) {
    place *p = *state;
    sat_cache *cache;
    satchel_error error;
    char path[200];
    snprintf(path, sizeof path, "%s/no/such", p->base);
    assert_int_equal(sat_cache_open(&cache, p->context, path, 0, 0, &error), SATCHEL_NOT_FOUND);
    assert_non_null(strstr(error.message, "/no/such"));
    assert_null(cache);
    snprintf(path, sizeof path, "%s/file", p->base);
    write_file(path, "x", 1);
    assert_int_not_equal(sat_cache_open(&cache, p->context, path, 0, 0, &error), SATCHEL_OK);
    assert_null(cache);
}

/* ------------------------------------------------------------------ damage */

static void any_damaged_byte_is_found(void **state) {
    place *p = *state;
    static uint8_t file[BLOB];
    must_put(p, 0);
    int fd = open(path_of(p, 0), O_RDONLY);
    assert_int_equal(read(fd, file, sizeof file), BLOB);
    close(fd);
    /* Every bit of the header, and bytes all over the content. */
    for (size_t bit = 0; bit < 8 * BLOB; bit += bit < 8 * SAT_CACHE_HEADER ? 1 : 1111) {
        file[bit / 8] ^= (uint8_t)(1 << bit % 8);
        write_file(path_of(p, 0), file, sizeof file);
        int before = p->logged;
        assert_int_equal(look(p, 0), 0);
        assert_int_equal(p->logged, before + 1);
        assert_int_equal(access(path_of(p, 0), F_OK), -1); /* deleted */
        file[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    write_file(path_of(p, 0), file, sizeof file);
    assert_int_equal(look(p, 0), 1);
}

static void any_other_length_is_found(void **state) {
    place *p = *state;
    static uint8_t file[BLOB + 4096];
    must_put(p, 0);
    int fd = open(path_of(p, 0), O_RDONLY);
    assert_int_equal(read(fd, file, sizeof file), BLOB);
    close(fd);
    static const size_t sizes[] = {0,   1,    7,    8,           100,      127,      128,
                                   129, 1000, 4096, BLOB - 4096, BLOB - 1, BLOB + 1, BLOB + 4096};
    for (size_t i = 0; i < SAT_COUNT(sizes); i++) {
        write_file(path_of(p, 0), file, sizes[i]);
        assert_int_equal(look(p, 0), 0);
        assert_int_equal(access(path_of(p, 0), F_OK), -1);
    }
}

static void another_key_s_blob_is_refused(void **state) {
    place *p = *state;
    char from[300];
    must_put(p, 0);
    snprintf(from, sizeof from, "%s", path_of(p, 0));
    assert_int_equal(rename(from, path_of(p, 1)), 0);
    assert_int_equal(look(p, 1), 0);
    assert_int_equal(each_name(p->folder, NULL), 0);
    /* Another size under the same key */
    assert_int_equal(sat_cache_put(p->cache, &keys[2], content[2], SIZE - 1, NULL, 0, NULL),
                     SATCHEL_OK);
    assert_int_equal(look(p, 2), 0);
    /* A folder where a blob should be is no blob; it is not deleted. */
    assert_int_equal(mkdir(path_of(p, 3), 0700), 0);
    assert_int_equal(look(p, 3), 0);
    assert_int_equal(access(path_of(p, 3), F_OK), 0);
    assert_false(sat_cache_has(p->cache, &keys[3], SIZE));
}

/* ------------------------------------------------------------------ foreign and half files */

static void foreign_files_are_left_alone(void **state) {
    place *p = *state;
    char hex[2 * SAT_CACHE_KEY + 1], path[300];
    sat_hex(hex, keys[0].bytes, SAT_CACHE_KEY);
    static const char *const forms[] = {"notes.txt",
                                        "satchel-",
                                        "satchel-%.63s.blob",
                                        "satchel-%s.blob.bak",
                                        "x-%s.blob",
                                        "satchel-%sx.blob",
                                        "satchel-%s-0123456789abcde.tmp",
                                        "satchel-%s.tmp",
                                        "Satchel-%s.blob",
                                        "satchel-%s-0123456789abcdeg.tmp",
                                        "satchel-%s-",
                                        "satchel-%s-0123456789abcdef.tmpx"};
    for (size_t i = 0; i < SAT_COUNT(forms); i++) {
        char name[200];
        const char *at = strchr(forms[i], '%');
        if (at)
            snprintf(name, sizeof name, "%.*s%.*s%s", (int)(at - forms[i]), forms[i],
                     strncmp(at, "%.63s", 5) == 0 ? 63 : 64, hex, strchr(at, 's') + 1);
        else
            snprintf(name, sizeof name, "%s", forms[i]);
        snprintf(path, sizeof path, "%.80s/%.180s", p->folder, name);
        write_file(path, content, 20000); /* more than the limit together */
        struct timespec long_ago[2] = {{1, 0}, {1, 0}};
        assert_int_equal(utimensat(AT_FDCWD, path, long_ago, 0), 0);
    }
    for (size_t k = 1; k < KEYS; k++)
        must_put(p, k);
    assert_int_equal(each_name(p->folder, NULL), (int)SAT_COUNT(forms) + 4);
}

static void half_files_of_the_dead_are_cleaned(void **state) {
    place *p = *state;
    char hex[2 * SAT_CACHE_KEY + 1], path[3][300];
    sat_hex(hex, keys[0].bytes, SAT_CACHE_KEY);
    static const long ages[] = {30, 3600, -3600}; /* seconds */
    for (int i = 0; i < 3; i++) {
        snprintf(path[i], sizeof path[i], "%s/satchel-%s-%016x.tmp", p->folder, hex, i);
        write_file(path[i], content, BLOB);
        struct timespec then[2] = {{time(NULL) - ages[i], 0}, {time(NULL) - ages[i], 0}};
        assert_int_equal(utimensat(AT_FDCWD, path[i], then, 0), 0);
    }
    for (size_t k = 1; k < 6; k++)
        must_put(p, k);
    assert_int_equal(access(path[0], F_OK), 0); /* somebody may still be writing it: it counts */
    assert_int_equal(access(path[1], F_OK), -1);
    assert_int_equal(access(path[2], F_OK), -1);
    assert_true(folder_bytes(p) <= 4 * BLOB);
    assert_int_equal(each_name(p->folder, NULL), 4);
}

/* ------------------------------------------------------------------ limit and floor */

static void the_least_used_goes_first(void **state) {
    place *p = *state;
    for (size_t k = 0; k < 4; k++) {
        must_put(p, k);
        sat_cache_touch(p->cache, &keys[k]);
    }
    sat_cache_touch(p->cache, &keys[1]);
    sat_cache_touch(p->cache, &keys[0]);
    must_put(p, 4);
    sat_cache_touch(p->cache, &keys[4]);
    must_put(p, 5);
    sat_cache_touch(p->cache, &keys[5]);
    static const int left[] = {1, 1, 0, 0, 1, 1};
    for (size_t k = 0; k < SAT_COUNT(left); k++)
        assert_int_equal(look(p, k), left[k]);
    assert_true(folder_bytes(p) <= 4 * BLOB);
}

static void a_time_that_has_not_come_is_no_use(void **state) {
    place *p = *state;
    for (size_t k = 0; k < 4; k++)
        must_put(p, k);
    struct timespec later[2] = {{time(NULL) + 4000000, 0}, {time(NULL) + 4000000, 0}};
    assert_int_equal(utimensat(AT_FDCWD, path_of(p, 2), later, 0), 0);
    must_put(p, 4);
    assert_int_equal(look(p, 2), 0);
}

static void what_is_kept_does_not_go(void **state) {
    place *p = *state;
    satchel_error error;
    for (size_t k = 0; k < 4; k++)
        must_put(p, k);
    assert_int_equal(sat_cache_put(p->cache, &keys[4], content[4], SIZE, keys, 4, &error),
                     SATCHEL_LIMIT);
    assert_non_null(strstr(error.message, "cache_limit"));
    for (size_t k = 0; k < 4; k++)
        assert_int_equal(look(p, k), 1);
    assert_int_equal(sat_cache_put(p->cache, &keys[4], content[4], SIZE, keys, 3, &error),
                     SATCHEL_OK);
    assert_int_equal(look(p, 3), 0);
    static uint8_t large[4 * BLOB];
    assert_int_equal(sat_cache_put(p->cache, &keys[5], large, sizeof large, NULL, 0, &error),
                     SATCHEL_LIMIT);
    assert_int_equal(each_name(p->folder, NULL), 4); /* nothing was given up for it */
}

static void a_smaller_limit_is_met_by_the_next_put(void **state) {
    place *p = *state;
    for (size_t k = 0; k < 4; k++)
        must_put(p, k);
    sat_cache_close(&p->cache);
    assert_int_equal(sat_cache_open(&p->cache, p->context, p->folder, 2 * BLOB + 1, 1, NULL),
                     SATCHEL_OK);
    must_put(p, 4);
    assert_int_equal(each_name(p->folder, NULL), 2);
    assert_int_equal(look(p, 4), 1);
}

static void write_as_others_do(void *user) {
    place *p = user;
    for (size_t k = 7; k < 10; k++) {
        uint8_t file[BLOB] = {0};
        write_file(path_of(p, k), file, sizeof file);
    }
}

static void the_limit_holds_whoever_writes_too(void **state) {
    place *p = *state;
    for (size_t k = 0; k < 4; k++)
        must_put(p, k);
    p->files.before_rename = write_as_others_do;
    p->files.hook_user = p;
    must_put(p, 4);
    p->files.before_rename = NULL;
    assert_true(folder_bytes(p) <= 4 * BLOB);
}

static void the_floor_stays_free(void **state) {
    place *p = *state;
    satchel_error error;
    sat_cache_close(&p->cache);
    assert_int_equal(sat_cache_open(&p->cache, p->context, p->folder, 4 * BLOB, 100000, NULL),
                     SATCHEL_OK);
    must_put(p, 0);
    p->files.space = 100000 + BLOB - 1;
    assert_int_equal(put(p, 1, &error), SATCHEL_DISK_FULL);
    assert_non_null(strstr(error.message, "cache_free_floor"));
    assert_int_equal(each_name(p->folder, NULL), 1);
    assert_int_equal(look(p, 0), 1); /* reading goes on */
    p->files.space++;
    must_put(p, 1);
}

/* ------------------------------------------------------------------ vanishing */

static void vanish(void *user) {
    each_name(user, delete_path);
}

static void files_may_vanish_at_any_time(void **state) {
    place *p = *state;
    must_put(p, 0);
    each_name(p->folder, delete_path);
    assert_int_equal(look(p, 0), 0);
    assert_int_equal(p->logged, 0); /* that is nothing to complain of */
    must_put(p, 0);
    /* Between opening and mapping */
    p->files.before_map = vanish;
    p->files.hook_user = p->folder;
    assert_int_equal(look(p, 0), 1);
    p->files.before_map = NULL;
    assert_int_equal(look(p, 0), 0);
    /* The folder too */
    must_put(p, 0);
    each_name(p->folder, delete_path);
    assert_int_equal(rmdir(p->folder), 0);
    assert_int_equal(look(p, 0), 0);
    assert_false(sat_cache_has(p->cache, &keys[0], SIZE));
    sat_cache_touch(p->cache, &keys[0]);
    must_put(p, 0);
    assert_int_equal(look(p, 0), 1);
}

static void cut_short(void *user) {
    assert_int_equal(truncate(user, 1000), 0);
}

static void a_file_cut_short_before_it_is_copied_is_not_found(void **state) {
    place *p = *state;
    sat_mapping mapping;
    must_put(p, 0);
    p->files.no_map = true; /* a mapping of it would be told by the system only */
    p->files.before_map = cut_short;
    p->files.hook_user = path_of(p, 0);
    assert_int_not_equal(sat_cache_map(p->cache, &keys[0], SIZE, &mapping, NULL), SATCHEL_OK);
    p->files.before_map = NULL;
    assert_int_equal(look(p, 0), 0);
}

/* ------------------------------------------------------------------ many processes */

static void count_log(void *user, int32_t level, const char *message) {
    ++*(int *)user;
}

static void many_processes_share_a_folder(void **state) {
    enum { PROCESSES = 4, ROUNDS = 60 };
    place *p = *state;
    pid_t children[PROCESSES];
    for (int i = 0; i < PROCESSES; i++) {
        children[i] = fork();
        assert_true(children[i] >= 0);
        if (children[i] > 0)
            continue;
        /* Its own context and cache, as a process has; whatever comes back must be right. */
        int wrong = 0;
        satchel_context_options options = {
            .struct_size = sizeof options, .threads = 1, .log = count_log, .log_user = &wrong};
        satchel_context *context;
        sat_cache *cache;
        fault_files files = {0};
        uint64_t random = (uint64_t)i + 1;
        if (sat_context_open(&context, &options, NULL) ||
            sat_cache_open(&cache, context, p->folder, 4 * BLOB, 1, NULL))
            _exit(2);
        context->files = &fault_files_table;
        context->files_user = &files;
        for (int round = 0; !wrong && round < ROUNDS; round++) {
            size_t k = test_random(&random) % KEYS;
            sat_mapping mapping;
            satchel_status status = sat_cache_map(cache, &keys[k], SIZE, &mapping, NULL);
            wrong |= status != SATCHEL_OK && status != SATCHEL_NOT_FOUND;
            if (!status) {
                wrong |= memcmp(mapping.data, content[k], SIZE) != 0;
                sat_file_unmap(context, &mapping);
                sat_cache_touch(cache, &keys[k]);
            }
            status = sat_cache_put(cache, &keys[k], content[k], SIZE, NULL, 0, NULL);
            /* What others are writing counts, so there may be no room. */
            wrong |= status != SATCHEL_OK && status != SATCHEL_LIMIT;
        }
        _exit(wrong ? 1 : 0);
    }
    for (int i = 0; i < PROCESSES; i++) {
        int status;
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
    }
    assert_true(folder_bytes(p) <= 4 * BLOB);
    int found = 0;
    for (size_t k = 0; k < KEYS; k++)
        found += look(p, k);
    assert_int_equal(found, each_name(p->folder, NULL)); /* and no half files */
    assert_true(found > 0);
    assert_int_equal(p->logged, 0);
}

/* ------------------------------------------------------------------ faults */

static int half_files;
static void count_half(const char *path) {
    half_files += strcmp(path + strlen(path) - 4, ".tmp") == 0;
}

/* Puts, maps and touches with the k-th call failing; the next attempt without failures is right. */
static void run_with_faults(place *p, bool memory) {
    for (int how = 0; how < 4; how++) {
        bool for_good = how & 1;
        p->files.torn = how & 2;
        for (long at = 1;; at++) {
            satchel_error error = {0};
            sat_mapping mapping;
            each_name(p->folder, delete_path);
            for (size_t k = 0; k < 4; k++)
                must_put(p, k);
            p->files.calls = 0;
            p->allocator.calls = 0;
            if (memory)
                p->allocator.fail_at = (size_t)at;
            else
                p->files.fail_at = at;
            p->files.for_good = p->allocator.fail_after = for_good;
            satchel_status status = put(p, 5, &error);
            if (status) {
                assert_int_equal(error.code, status);
                assert_true(error.message[0] != 0);
            }
            sat_cache_touch(p->cache, &keys[5]);
            sat_cache_has(p->cache, &keys[5], SIZE);
            if (sat_cache_map(p->cache, &keys[5], SIZE, &mapping, &error) == SATCHEL_OK) {
                assert_int_equal(status, SATCHEL_OK);
                assert_memory_equal(mapping.data, content[5], SIZE);
                sat_file_unmap(p->context, &mapping);
            }
            long calls = memory ? (long)p->allocator.calls : p->files.calls;
            p->files.fail_at = 0;
            p->allocator.fail_at = 0;
            assert_int_equal(p->files.open_files, 0);
            assert_int_equal(p->files.mappings, 0);
            half_files = 0;
            each_name(p->folder, count_half);
            if (!for_good)
                assert_int_equal(half_files, 0); /* it could be taken away */
            assert_int_equal(look(p, 5), !status);
            must_put(p, 5);
            assert_int_equal(look(p, 5), 1);
            if (calls < at)
                break;
        }
    }
    assert_int_equal(p->logged, 0); /* a call that failed is not damage */
}

static void every_file_call_may_fail(void **state) {
    run_with_faults(*state, false);
}

static void every_allocation_may_fail(void **state) {
    run_with_faults(*state, true);
}

static void opening_may_run_out_of_memory(void **state) {
    place *p = *state;
    sat_cache_close(&p->cache);
    satchel_status status;
    satchel_error error;
    for (size_t at = 1;; at++) {
        p->allocator.calls = 0;
        p->allocator.fail_at = at;
        status = sat_cache_open(&p->cache, p->context, p->folder, 0, 0, &error);
        if (!status)
            break;
        assert_int_equal(status, SATCHEL_OUT_OF_MEMORY);
        assert_null(p->cache);
    }
    p->allocator.fail_at = 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define CASE(name) cmocka_unit_test_setup_teardown(name, make_place, remove_place)
        CASE(a_blob_comes_back_whole),
        CASE(another_cache_on_the_folder_has_it_too),
        CASE(a_mapping_outlives_its_file),
        CASE(a_folder_that_cannot_be_is_an_error),
        CASE(any_damaged_byte_is_found),
        CASE(any_other_length_is_found),
        CASE(another_key_s_blob_is_refused),
        CASE(foreign_files_are_left_alone),
        CASE(half_files_of_the_dead_are_cleaned),
        CASE(the_least_used_goes_first),
        CASE(a_time_that_has_not_come_is_no_use),
        CASE(what_is_kept_does_not_go),
        CASE(a_smaller_limit_is_met_by_the_next_put),
        CASE(the_limit_holds_whoever_writes_too),
        CASE(the_floor_stays_free),
        CASE(files_may_vanish_at_any_time),
        CASE(a_file_cut_short_before_it_is_copied_is_not_found),
        CASE(many_processes_share_a_folder),
        CASE(every_file_call_may_fail),
        CASE(every_allocation_may_fail),
        CASE(opening_may_run_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
