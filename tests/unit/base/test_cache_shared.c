/* The folder of blobs: limit and floor, files that vanish, many processes and threads, and every
 * call that may fail failing. */
#include <pthread.h>
#include <sys/wait.h>

#include "tests/unit/base/cache_unit.h"

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
    static uint8_t large[4 * BLOB];
    place *p = *state;
    satchel_error error;
    for (size_t k = 0; k < 4; k++)
        must_put(p, k);
    assert_int_equal(sat_cache_put(p->cache, &keys[4], content[4], SIZE, keys, 4, &error),
                     SATCHEL_LIMIT);
    assert_non_null(strstr(error.message, "cache_limit"));
    for (size_t k = 0; k < 4; k++)
        assert_int_equal(look(p, k), 1);
    /* Nothing goes where that would not be enough. */
    assert_int_equal(sat_cache_put(p->cache, &keys[4], large, 2 * SIZE, keys, 3, &error),
                     SATCHEL_LIMIT);
    assert_int_equal(look(p, 3), 1);
    assert_int_equal(sat_cache_put(p->cache, &keys[4], content[4], SIZE, keys, 3, &error),
                     SATCHEL_OK);
    assert_int_equal(look(p, 3), 0);
    assert_int_equal(sat_cache_put(p->cache, &keys[5], large, sizeof large, NULL, 0, &error),
                     SATCHEL_LIMIT);
    assert_int_equal(each_name(p->folder, NULL), 4); /* nothing was given up for it */
}

static void a_smaller_limit_is_met_at_once(void **state) {
    place *p = *state;
    for (size_t k = 0; k < 4; k++)
        must_put(p, k);
    sat_cache_close(&p->cache);
    assert_int_equal(sat_cache_open(&p->cache, p->context, p->folder, 2 * BLOB + 1, 1, NULL),
                     SATCHEL_OK);
    assert_int_equal(each_name(p->folder, NULL), 2);
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

typedef struct worker {
    place *place;
    uint64_t random;
    int wrong;
} worker;

static void *use_shared_cache(void *user) {
    worker *w = user;
    place *p = w->place;
    for (int round = 0; round < 25; round++) {
        size_t k = test_random(&w->random) % KEYS;
        sat_mapping mapping;
        satchel_status status = put(p, k, NULL);
        w->wrong |= status != SATCHEL_OK && status != SATCHEL_LIMIT;
        k = test_random(&w->random) % KEYS;
        status = sat_cache_map(p->cache, &keys[k], SIZE, &mapping, NULL);
        w->wrong |= status != SATCHEL_OK && status != SATCHEL_NOT_FOUND;
        if (!status) {
            w->wrong |= memcmp(mapping.data, content[k], SIZE) != 0;
            sat_file_unmap(p->context, &mapping);
            sat_cache_touch(p->cache, &keys[k]);
        }
    }
    return NULL;
}

static void many_threads_share_a_cache(void **state) {
    enum { THREADS = 3 };
    place *p = *state;
    pthread_t threads[THREADS];
    worker workers[THREADS];
    p->context->files = &sat_file_posix; /* the one that fails is for one thread */
    for (int i = 0; i < THREADS; i++) {
        workers[i] = (worker){p, (uint64_t)i + 1, 0};
        assert_int_equal(pthread_create(&threads[i], NULL, use_shared_cache, &workers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(workers[i].wrong, 0);
    }
    p->context->files = &fault_files_table;
    assert_true(folder_bytes(p) <= 4 * BLOB);
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
            p->files.for_good = for_good;
            p->allocator.fail_after = for_good;
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
        CASE(the_least_used_goes_first),
        CASE(a_time_that_has_not_come_is_no_use),
        CASE(what_is_kept_does_not_go),
        CASE(a_smaller_limit_is_met_at_once),
        CASE(the_limit_holds_whoever_writes_too),
        CASE(the_floor_stays_free),
        CASE(files_may_vanish_at_any_time),
        CASE(a_file_cut_short_before_it_is_copied_is_not_found),
        CASE(many_processes_share_a_folder),
        CASE(many_threads_share_a_cache),
        CASE(every_file_call_may_fail),
        CASE(every_allocation_may_fail),
        CASE(opening_may_run_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
