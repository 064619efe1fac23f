/* The folder of blobs: what is given back, what is refused and cleaned. */
#include "tests/unit/base/cache_unit.h"

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

static void clearing_takes_all_of_ours(void **state) {
    place *p = *state;
    char hex[2 * SAT_CACHE_KEY + 1], foreign[300], path[300];
    assert_int_equal(sat_cache_clear(p->cache, NULL), SATCHEL_OK); /* nothing there */
    for (size_t k = 0; k < 4; k++)
        must_put(p, k);
    sat_hex(hex, keys[5].bytes, SAT_CACHE_KEY);
    snprintf(path, sizeof path, "%s/satchel-%s-%016x.tmp", p->folder, hex, 7); /* being written */
    write_file(path, content, 100);
    snprintf(foreign, sizeof foreign, "%s/satchel-notes.blob", p->folder);
    write_file(foreign, content, 100);
    assert_int_equal(mkdir(path_of(p, 6), 0700), 0);
    sat_mapping mapping;
    assert_int_equal(sat_cache_map(p->cache, &keys[0], SIZE, &mapping, NULL), SATCHEL_OK);
    assert_int_equal(sat_cache_clear(p->cache, NULL), SATCHEL_OK);
    assert_int_equal(each_name(p->folder, NULL), 2);
    assert_int_equal(access(foreign, F_OK), 0);
    assert_int_equal(access(path_of(p, 6), F_OK), 0);
    assert_memory_equal(mapping.data, content[0], SIZE);
    sat_file_unmap(p->context, &mapping);
    assert_int_equal(look(p, 0), 0);
    must_put(p, 0); /* and it goes on */
    assert_int_equal(look(p, 0), 1);
    each_name(p->folder, delete_path);
    assert_int_equal(rmdir(p->folder), 0);
    assert_int_equal(sat_cache_clear(p->cache, NULL), SATCHEL_OK); /* the folder is gone */
}

static void what_cannot_be_deleted_is_said(void **state) {
    place *p = *state;
    satchel_error error;
    for (int for_good = 0; for_good < 2; for_good++)
        for (long k = 1;; k++) {
            for (size_t i = 0; i < 4; i++)
                must_put(p, i);
            p->files.calls = 0;
            p->files.fail_at = k;
            p->files.for_good = for_good;
            p->files.code = EACCES;
            satchel_status status = sat_cache_clear(p->cache, &error);
            p->files.fail_at = 0;
            int left = each_name(p->folder, NULL);
            if (!status) {
                assert_int_equal(left, 0);
                assert_true(p->files.calls < k);
                break;
            }
            assert_int_equal(status, SATCHEL_PERMISSION);
            assert_non_null(strstr(error.message, p->folder));
            if (k == 1) /* the folder could not be listed */
                assert_int_equal(left, 4);
            else if (for_good)
                assert_in_range(left, 1, 4);
            else
                assert_int_equal(left, 1); /* the others went */
            assert_int_equal(sat_cache_clear(p->cache, &error), SATCHEL_OK);
            assert_int_equal(each_name(p->folder, NULL), 0);
        }
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
        CASE(clearing_takes_all_of_ours),
        CASE(what_cannot_be_deleted_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
