/* Points from memory, a file and a function: the same blocks from all three, and what goes wrong
 * with each. */
#include <errno.h>
#include <unistd.h>

#include "tests/support/folder.h"
#include "tests/unit/base/few_threads.h"
#include "tests/unit/base/unit.h"

#include "cluster/source.h"

/* ------------------------------------------------------------------ files that fail */

typedef struct faults {
    _Atomic int reads, fail_at; /* the fail_at-th read gives EIO */
    _Atomic uint64_t end;       /* reads see the file end here; 0: where it does */
    int open_error, fstat_error;
    int open_files;
    pthread_t caller;
    _Atomic int by_caller; /* reads on the thread `caller` */
} faults;

static int fault_open(void *user, const char *path, int mode, int *fd) {
    faults *f = user;
    if (f->open_error)
        return f->open_error;
    int failed = sat_file_posix.open(NULL, path, mode, fd);
    f->open_files += failed == 0;
    return failed;
}

static int fault_close(void *user, int fd) {
    faults *f = user;
    f->open_files--;
    return sat_file_posix.close(NULL, fd);
}

static int fault_read_at(void *user, int fd, void *data, size_t size, uint64_t offset,
                         size_t *done) {
    faults *f = user;
    f->by_caller += pthread_equal(pthread_self(), f->caller) != 0;
    if (++f->reads == f->fail_at)
        return EIO;
    if (f->end && offset + size > f->end)
        size = offset < f->end ? (size_t)(f->end - offset) : 0;
    return sat_file_posix.read_at(NULL, fd, data, size, offset, done);
}

static int fault_fstat(void *user, int fd, sat_file_info *info) {
    faults *f = user;
    return f->fstat_error ? f->fstat_error : sat_file_posix.fstat(NULL, fd, info);
}

static const sat_file_table fault_table = {
    .open = fault_open, .close = fault_close, .read_at = fault_read_at, .fstat = fault_fstat};

/* ------------------------------------------------------------------ points in three places */

enum { COUNT = 1000, DIMENSION = 7, STRIDE = 10, OFFSET = 12, GAP = -1 };

typedef struct place {
    char folder[TEST_FOLDER_SIZE], path[96];
    satchel_context *context;
    test_allocator allocator;
    satchel_allocator table;
    faults faults;
    float *strided; /* (COUNT, STRIDE), GAP between rows, in a block of the exact size */
    /* The function: */
    int calls;
    uint64_t next;      /* the least `first` it may be asked for */
    uint64_t fail_from; /* fails from this row on; 0: never */
    pthread_t caller;
} place;

static float value(uint64_t row, size_t column) {
    return (float)row * 0.5f + (float)column * 1024.0f;
}

static satchel_status give(void *user, uint64_t first, size_t count, float *out) {
    place *p = user;
    p->calls++;
    assert_true(pthread_equal(pthread_self(), p->caller));
    assert_true(first == 0 || first >= p->next);
    assert_true(count >= 1 && first + count <= COUNT);
    p->next = first + count;
    if (p->fail_from && first + count > p->fail_from)
        return SATCHEL_LIMIT;
    for (size_t i = 0; i < count * DIMENSION; i++)
        out[i] = value(first + i / DIMENSION, i % DIMENSION);
    return SATCHEL_OK;
}

static void write_points(const place *p, size_t bytes) {
    static uint8_t content[OFFSET + COUNT * DIMENSION * 4];
    assert_true(bytes <= sizeof content);
    memset(content, 0xee, OFFSET);
    for (size_t i = 0; i < COUNT * DIMENSION; i++) {
        float x = value(i / DIMENSION, i % DIMENSION);
        uint32_t bits;
        memcpy(&bits, &x, 4);
        for (int b = 0; b < 4; b++) /* little-endian, whatever this machine is */
            content[OFFSET + i * 4 + (size_t)b] = (uint8_t)(bits >> (8 * b));
    }
    FILE *file = fopen(p->path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(content, 1, bytes, file), bytes);
    assert_int_equal(fclose(file), 0);
}

static int make_place(void **state) {
    static place p;
    memset(&p, 0, sizeof p);
    threads_allowed = MANY_THREADS;
    threads_made = 0;
    if (!test_folder_make(p.folder))
        return -1;
    snprintf(p.path, sizeof p.path, "%s/points", p.folder);
    write_points(&p, OFFSET + COUNT * DIMENSION * 4);
    size_t floats = (COUNT - 1) * STRIDE + DIMENSION;
    p.strided = malloc(floats * sizeof(float));
    if (!p.strided)
        return -1;
    for (size_t i = 0; i < floats; i++)
        p.strided[i] = i % STRIDE < DIMENSION ? value(i / STRIDE, i % STRIDE) : GAP;
    p.table = test_allocator_table(&p.allocator);
    satchel_context_options options = {
        .struct_size = sizeof options, .allocator = &p.table, .threads = 1};
    if (sat_context_open(&p.context, &options, NULL) != SATCHEL_OK)
        return -1;
    p.context->files = &fault_table;
    p.context->files_user = &p.faults;
    p.caller = p.faults.caller = pthread_self();
    *state = &p;
    return 0;
}

static int remove_place(void **state) {
    place *p = *state;
    unlink(p->path);
    rmdir(p->folder);
    free(p->strided);
    bool clean = p->faults.open_files == 0;
    sat_context_release(p->context);
    return clean && p->allocator.blocks == 0 && p->allocator.wrong_sizes == 0 ? 0 : -1;
}

static satchel_points common(void) {
    return (satchel_points){
        .struct_size = sizeof(satchel_points), .count = COUNT, .dimension = DIMENSION};
}

static satchel_points in_memory(const place *p) {
    satchel_points points = common();
    points.rows = p->strided;
    points.stride = STRIDE;
    return points;
}

static satchel_points in_file(const place *p) {
    satchel_points points = common();
    points.path = p->path;
    points.offset = OFFSET;
    return points;
}

static satchel_points from_function(place *p) {
    satchel_points points = common();
    points.read = give;
    points.user = p;
    return points;
}

static sat_source *open_source(place *p, satchel_points points, size_t block) {
    sat_source *source;
    satchel_error error;
    if (sat_source_open(&source, p->context, &points, block, &error) != SATCHEL_OK)
        fail_msg("%s", error.message);
    return source;
}

/* One pass: every row once, in order, in blocks of `block` rows. Returns the number of blocks. */
static size_t check_pass(sat_source *source, size_t block) {
    satchel_error error;
    assert_int_equal(sat_source_rewind(source, &error), SATCHEL_OK);
    uint64_t row = 0;
    for (size_t blocks = 0;; blocks++) {
        sat_source_block got;
        if (sat_source_next(source, &got, &error) != SATCHEL_OK)
            fail_msg("%s", error.message);
        assert_int_equal(got.first, row);
        if (got.count == 0) {
            assert_int_equal(row, COUNT);
            return blocks;
        }
        assert_int_equal(got.count, COUNT - row < block ? COUNT - row : block);
        for (size_t i = 0; i < got.count; i++)
            for (size_t d = 0; d < DIMENSION; d++)
                assert_true(got.rows[i * got.stride + d] == value(row + i, d));
        row += got.count;
    }
}

/* ------------------------------------------------------------------ what goes right */

static void memory_is_one_block_without_a_copy(void **state) {
    place *p = *state;
    sat_source *source = open_source(p, in_memory(p), 64);
    assert_true(sat_source_in_memory(source));
    assert_int_equal(sat_source_bytes(source), 0);
    assert_int_equal(sat_source_count(source), COUNT);
    assert_int_equal(sat_source_dimension(source), DIMENSION);
    for (int pass = 0; pass < 2; pass++) {
        assert_int_equal(check_pass(source, COUNT), 1);
        assert_int_equal(sat_source_rewind(source, NULL), SATCHEL_OK);
        sat_source_block block;
        assert_int_equal(sat_source_next(source, &block, NULL), SATCHEL_OK);
        assert_ptr_equal(block.rows, p->strided);
        assert_int_equal(block.stride, STRIDE);
    }
    sat_source_close(&source);
    assert_null(source);
    sat_source_close(&source);
}

static const size_t block_sizes[] = {1, 2, 3, 7, 64, 499, 500, 999, COUNT, COUNT + 1, SIZE_MAX};

static void a_file_gives_the_same_rows(void **state) {
    place *p = *state;
    for (size_t i = 0; i < SAT_COUNT(block_sizes); i++) {
        size_t block = block_sizes[i] < COUNT ? block_sizes[i] : COUNT;
        sat_source *source = open_source(p, in_file(p), block_sizes[i]);
        assert_false(sat_source_in_memory(source));
        assert_int_equal(sat_source_bytes(source),
                         (block < COUNT ? 2 : 1) * block * DIMENSION * sizeof(float));
        for (int pass = 0; pass < 3; pass++)
            assert_int_equal(check_pass(source, block), (COUNT + block - 1) / block);
        sat_source_close(&source);
    }
}

static void a_function_gives_the_same_rows(void **state) {
    place *p = *state;
    for (size_t i = 0; i < SAT_COUNT(block_sizes); i++) {
        size_t block = block_sizes[i] < COUNT ? block_sizes[i] : COUNT;
        sat_source *source = open_source(p, from_function(p), block_sizes[i]);
        p->calls = 0;
        for (int pass = 1; pass <= 2; pass++) {
            assert_int_equal(check_pass(source, block), (COUNT + block - 1) / block);
            assert_int_equal(p->calls, (size_t)pass * ((COUNT + block - 1) / block));
        }
        sat_source_close(&source);
    }
}

static void without_a_rewind_there_is_no_block(void **state) {
    place *p = *state;
    satchel_points origins[] = {in_memory(p), in_file(p), from_function(p)};
    for (size_t i = 0; i < SAT_COUNT(origins); i++) {
        sat_source *source = open_source(p, origins[i], 10);
        sat_source_block block;
        assert_int_equal(sat_source_next(source, &block, NULL), SATCHEL_OK);
        assert_int_equal(block.count, 0);
        sat_source_close(&source);
    }
    assert_int_equal(p->calls + p->faults.reads, 0);
}

static void a_pass_may_be_given_up(void **state) {
    place *p = *state;
    satchel_points origins[] = {in_memory(p), in_file(p), from_function(p)};
    for (size_t i = 0; i < SAT_COUNT(origins); i++) {
        sat_source *source = open_source(p, origins[i], 30);
        size_t block = sat_source_in_memory(source) ? COUNT : 30;
        for (int after = 0; after < 6; after++) {
            assert_int_equal(sat_source_rewind(source, NULL), SATCHEL_OK);
            for (int taken = 0; taken < after; taken++) {
                sat_source_block got;
                assert_int_equal(sat_source_next(source, &got, NULL), SATCHEL_OK);
            }
            if (after % 2) {
                uint64_t row = 5;
                float out[DIMENSION];
                p->next = 0;
                assert_int_equal(sat_source_fetch(source, &row, 1, out, NULL), SATCHEL_OK);
                assert_true(out[1] == value(5, 1));
                sat_source_block got;
                assert_int_equal(sat_source_next(source, &got, NULL), SATCHEL_OK);
                assert_int_equal(got.count, 0);
            }
            check_pass(source, block);
        }
        /* Closed in the middle of a pass. */
        assert_int_equal(sat_source_rewind(source, NULL), SATCHEL_OK);
        sat_source_close(&source);
    }
}

static void single_rows_are_fetched(void **state) {
    place *p = *state;
    static const uint64_t rows[] = {0, 0, 1, 2, 3, 17, 17, 400, 402, 403, 998, 999};
    satchel_points origins[] = {in_memory(p), in_file(p), from_function(p)};
    for (size_t i = 0; i < SAT_COUNT(origins); i++) {
        sat_source *source = open_source(p, origins[i], 50);
        float out[SAT_COUNT(rows) + 1][DIMENSION];
        memset(out, 0, sizeof out);
        p->next = 0;
        assert_int_equal(sat_source_fetch(source, rows, SAT_COUNT(rows), out[0], NULL), SATCHEL_OK);
        for (size_t r = 0; r < SAT_COUNT(rows); r++)
            for (size_t d = 0; d < DIMENSION; d++)
                assert_true(out[r][d] == value(rows[r], d));
        assert_true(out[SAT_COUNT(rows)][0] == 0);
        assert_int_equal(sat_source_fetch(source, rows, 0, NULL, NULL), SATCHEL_OK);
        static const uint64_t wrong[][2] = {{4, 3}, {0, COUNT}, {UINT64_MAX, UINT64_MAX}};
        for (size_t w = 0; w < SAT_COUNT(wrong); w++)
            assert_int_equal(sat_source_fetch(source, wrong[w], 2, out[0], NULL), SATCHEL_INTERNAL);
        sat_source_close(&source);
    }
    /* Neighbours in one read: 0 | 1 2 3 | 17 | 400 | 402 403 | 998 999. */
    assert_int_equal(p->calls, 6);
    assert_int_equal(p->faults.reads, 6);
}

/* A caller built before `user` was added. */
static void a_shorter_struct_is_read(void **state) {
    place *p = *state;
    satchel_points points = in_file(p);
    points.struct_size = offsetof(satchel_points, read);
    points.read = give; /* not to be seen */
    sat_source *source = open_source(p, points, 100);
    check_pass(source, 100);
    sat_source_close(&source);
}

#if defined(WRAP_PTHREAD_CREATE)
static void a_file_is_read_by_a_thread_of_its_own(void **state) {
    place *p = *state;
    sat_source *source = open_source(p, in_file(p), 100);
    assert_int_equal(threads_made, 0);
    for (int pass = 0; pass < 3; pass++)
        check_pass(source, 100);
    assert_int_equal(threads_made, 1);
    assert_int_equal(p->faults.by_caller, 0);
    assert_int_equal(p->faults.reads, 30);
    sat_source_close(&source);
}

static void without_a_thread_the_caller_reads(void **state) {
    place *p = *state;
    threads_allowed = 0;
    sat_source *source = open_source(p, in_file(p), 100);
    for (int pass = 0; pass < 3; pass++)
        check_pass(source, 100);
    assert_int_equal(p->faults.by_caller, 30);
    p->faults.fail_at = 32;
    sat_source_block block;
    satchel_error error;
    assert_int_equal(sat_source_rewind(source, &error), SATCHEL_OK);
    assert_int_equal(sat_source_next(source, &block, &error), SATCHEL_OK);
    assert_int_equal(sat_source_next(source, &block, &error), SATCHEL_IO);
    check_pass(source, 100);
    sat_source_close(&source);
}
#endif

/* ------------------------------------------------------------------ what goes wrong */

static void check_refused(place *p, satchel_points points, satchel_status expected,
                          const char *word) {
    sat_source *source = (sat_source *)p;
    satchel_error error;
    memset(&error, 0, sizeof error);
    assert_int_equal(sat_source_open(&source, p->context, &points, 10, &error), expected);
    assert_null(source);
    assert_int_equal(error.code, expected);
    if (!strstr(error.message, word))
        fail_msg("\"%s\" does not say \"%s\"", error.message, word);
    assert_int_equal(p->faults.open_files, 0);
}

static void wrong_points_are_refused(void **state) {
    place *p = *state;
    sat_source *source;
    assert_int_equal(sat_source_open(&source, p->context, NULL, 10, NULL),
                     SATCHEL_INVALID_ARGUMENT);
    satchel_points points = common();
    check_refused(p, points, SATCHEL_INVALID_ARGUMENT, "exactly one");
    points = in_memory(p);
    points.path = p->path;
    check_refused(p, points, SATCHEL_INVALID_ARGUMENT, "exactly one");
    points = in_file(p);
    points.read = give;
    check_refused(p, points, SATCHEL_INVALID_ARGUMENT, "exactly one");
    points = in_memory(p);
    points.count = 0;
    check_refused(p, points, SATCHEL_INVALID_ARGUMENT, "count");
    static const int32_t dimensions[] = {0, -1, INT32_MIN, 65537, INT32_MAX};
    for (size_t i = 0; i < SAT_COUNT(dimensions); i++) {
        points = from_function(p);
        points.dimension = dimensions[i];
        check_refused(p, points, SATCHEL_INVALID_ARGUMENT, "dimension");
    }
    points = in_memory(p);
    points.stride = DIMENSION - 1;
    check_refused(p, points, SATCHEL_INVALID_ARGUMENT, "stride");
    points = in_file(p);
    points.stride = DIMENSION;
    check_refused(p, points, SATCHEL_INVALID_ARGUMENT, "stride");
    points = in_memory(p);
    points.offset = 4;
    check_refused(p, points, SATCHEL_INVALID_ARGUMENT, "offset");
    points = in_memory(p);
    points.rows = (const float *)(const void *)((const char *)p->strided + 2);
    check_refused(p, points, SATCHEL_INVALID_ARGUMENT, "aligned");
    points = in_memory(p);
    points.reserved = 1;
    check_refused(p, points, SATCHEL_UNSUPPORTED, "reserved");
    points = in_memory(p);
    points.struct_size = 0;
    check_refused(p, points, SATCHEL_INVALID_ARGUMENT, "struct_size");
}

static void sizes_that_overflow_are_refused(void **state) {
    place *p = *state;
    static const uint64_t counts[] = {UINT64_MAX, UINT64_C(1) << 62, UINT64_C(1) << 61,
                                      ((UINT64_C(1) << 63) - 1) / (4 * DIMENSION) + 1};
    for (size_t i = 0; i < SAT_COUNT(counts); i++) {
        satchel_points origins[] = {in_memory(p), in_file(p), from_function(p)};
        for (size_t o = 0; o < SAT_COUNT(origins); o++) {
            origins[o].count = counts[i];
            check_refused(p, origins[o], SATCHEL_INVALID_ARGUMENT, "bytes");
        }
    }
    satchel_points points = in_memory(p);
    points.stride = SIZE_MAX;
    check_refused(p, points, SATCHEL_INVALID_ARGUMENT, "bytes");
    points = in_file(p);
    points.offset = UINT64_MAX;
    check_refused(p, points, SATCHEL_INVALID_ARGUMENT, "bytes");
    points.offset = INT64_MAX;
    check_refused(p, points, SATCHEL_INVALID_ARGUMENT, "bytes");
}

static void a_file_that_is_not_right_is_refused(void **state) {
    place *p = *state;
    satchel_points points = in_file(p);
    char missing[128];
    snprintf(missing, sizeof missing, "%s/missing", p->folder);
    points.path = missing;
    check_refused(p, points, SATCHEL_NOT_FOUND, missing);
    points.path = p->folder;
    check_refused(p, points, SATCHEL_UNSUPPORTED, "a folder");
    points.path = "/dev/null";
    check_refused(p, points, SATCHEL_UNSUPPORTED, "/dev/null");
    points = in_file(p);
    p->faults.open_error = EACCES;
    check_refused(p, points, SATCHEL_PERMISSION, p->path);
    p->faults.open_error = 0;
    p->faults.fstat_error = EIO;
    check_refused(p, points, SATCHEL_IO, p->path);
    p->faults.fstat_error = 0;
    points.offset = OFFSET + 1;
    check_refused(p, points, SATCHEL_DAMAGED, p->path);
    points = in_file(p);
    points.count++;
    check_refused(p, points, SATCHEL_DAMAGED, "has 28012 bytes");
    write_points(p, OFFSET + COUNT * DIMENSION * 4 - 1);
    check_refused(p, in_file(p), SATCHEL_DAMAGED, "has 28011 bytes");
    write_points(p, 0);
    check_refused(p, in_file(p), SATCHEL_DAMAGED, "has 0 bytes");
}

/* Walks a pass until an error; returns the rows that came before it. */
static uint64_t rows_before_error(sat_source *source, satchel_error *error) {
    assert_int_equal(sat_source_rewind(source, error), SATCHEL_OK);
    sat_source_block block;
    uint64_t rows = 0;
    for (;;) {
        satchel_status status = sat_source_next(source, &block, error);
        if (status) {
            assert_int_equal(error->code, status);
            assert_int_equal(block.count, 0);
            return rows;
        }
        assert_true(block.count > 0);
        rows += block.count;
    }
}

static void a_failing_read_is_reported_with_its_place(void **state) {
    place *p = *state;
    sat_source *source = open_source(p, in_file(p), 100);
    for (int k = 1; k <= 10; k++) {
        p->faults.reads = 0;
        p->faults.fail_at = k;
        satchel_error error;
        assert_int_equal(rows_before_error(source, &error), (k - 1) * 100);
        assert_int_equal(error.code, SATCHEL_IO);
        assert_int_equal(error.os_code, EIO);
        assert_non_null(strstr(error.message, p->path));
        char byte[64];
        snprintf(byte, sizeof byte, "byte %d", OFFSET + (k - 1) * 100 * DIMENSION * 4);
        assert_non_null(strstr(error.message, byte));
        sat_source_block block; /* the pass is over */
        assert_int_equal(sat_source_next(source, &block, &error), SATCHEL_OK);
        assert_int_equal(block.count, 0);
    }
    p->faults.fail_at = 0;
    check_pass(source, 100);
    p->faults.reads = 0;
    p->faults.fail_at = 1;
    uint64_t row = 3;
    float out[DIMENSION];
    satchel_error error;
    assert_int_equal(sat_source_fetch(source, &row, 1, out, &error), SATCHEL_IO);
    assert_non_null(strstr(error.message, "byte 96"));
    sat_source_close(&source);
}

static void a_file_cut_short_while_read_is_damaged(void **state) {
    place *p = *state;
    sat_source *source = open_source(p, in_file(p), 100);
    p->faults.end = OFFSET + 250 * DIMENSION * 4 + 5;
    satchel_error error;
    assert_int_equal(rows_before_error(source, &error), 200);
    assert_int_equal(error.code, SATCHEL_DAMAGED);
    assert_non_null(strstr(error.message, p->path));
    assert_non_null(strstr(error.message, "ends at byte 7017, within row 250 of 1000"));
    p->faults.end = 0;
    check_pass(source, 100);
    sat_source_close(&source);
}

static void a_failing_function_is_reported_with_its_code(void **state) {
    place *p = *state;
    sat_source *source = open_source(p, from_function(p), 100);
    p->fail_from = 350;
    satchel_error error;
    assert_int_equal(rows_before_error(source, &error), 300);
    assert_int_equal(error.code, SATCHEL_CALLBACK);
    assert_non_null(strstr(error.message, "-20 (SATCHEL_LIMIT) for 100 rows from row 300 on"));
    uint64_t rows[] = {349, 350};
    float out[2 * DIMENSION];
    p->next = 0;
    assert_int_equal(sat_source_fetch(source, rows, 2, out, &error), SATCHEL_CALLBACK);
    p->fail_from = 0;
    check_pass(source, 100);
    sat_source_close(&source);
}

static void every_allocation_may_fail(void **state) {
    place *p = *state;
    satchel_points origins[] = {in_memory(p), in_file(p), from_function(p)};
    for (size_t i = 0; i < SAT_COUNT(origins); i++) {
        int failures = 0;
        for (size_t k = 1;; k++) {
            p->allocator.calls = 0;
            p->allocator.fail_at = k;
            sat_source *source;
            satchel_status status = sat_source_open(&source, p->context, &origins[i], 100, NULL);
            p->allocator.fail_at = 0;
            if (status == SATCHEL_OK) {
                sat_source_close(&source);
                break;
            }
            assert_int_equal(status, SATCHEL_OUT_OF_MEMORY);
            assert_null(source);
            failures++;
        }
        assert_int_equal(failures, i == 0 ? 1 : i == 1 ? 3 : 2);
    }
    /* A block too large for the context: the limit is named. */
    p->context->memory.limit = 1 << 20;
    satchel_points points = from_function(p);
    points.count = UINT64_C(1) << 56;
    sat_source *source;
    satchel_error error;
    assert_int_equal(sat_source_open(&source, p->context, &points, SIZE_MAX, &error),
                     SATCHEL_MEMORY_LIMIT);
    assert_non_null(strstr(error.message, "1048576"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_place, remove_place)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(memory_is_one_block_without_a_copy),
        TEST(a_file_gives_the_same_rows),
        TEST(a_function_gives_the_same_rows),
        TEST(without_a_rewind_there_is_no_block),
        TEST(a_pass_may_be_given_up),
        TEST(single_rows_are_fetched),
        TEST(a_shorter_struct_is_read),
#if defined(WRAP_PTHREAD_CREATE)
        TEST(a_file_is_read_by_a_thread_of_its_own),
        TEST(without_a_thread_the_caller_reads),
#endif
        TEST(wrong_points_are_refused),
        TEST(sizes_that_overflow_are_refused),
        TEST(a_file_that_is_not_right_is_refused),
        TEST(a_failing_read_is_reported_with_its_place),
        TEST(a_file_cut_short_while_read_is_damaged),
        TEST(a_failing_function_is_reported_with_its_code),
        TEST(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
