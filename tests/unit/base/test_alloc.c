/* Allocation: sizes, alignment, the memory limit, buffers, arrays and arenas, and each when the
 * allocator fails. */
#include <pthread.h>

#include "tests/unit/base/unit.h"

static void blocks_are_aligned_and_counted(void **state) {
    test_allocator test = {0};
    satchel_allocator table = test_allocator_table(&test);
    sat_memory memory;
    sat_memory_init(&memory, &table, 0);
    void *blocks[200];
    for (size_t i = 0; i < SAT_COUNT(blocks); i++) {
        blocks[i] = sat_alloc(&memory, i);
        assert_non_null(blocks[i]);
        assert_int_equal((uintptr_t)blocks[i] % _Alignof(max_align_t), 0);
        memset(blocks[i], 0xAB, i);
    }
    assert_int_equal(memory.now, test.bytes);
    for (size_t i = 0; i < SAT_COUNT(blocks); i += 2) {
        blocks[i] = sat_realloc(&memory, blocks[i], 3 * i + 1);
        assert_non_null(blocks[i]);
        for (size_t j = 0; j < i; j++)
            assert_int_equal(((uint8_t *)blocks[i])[j], 0xAB);
    }
    assert_int_equal(memory.now, test.bytes);
    for (size_t i = 0; i < SAT_COUNT(blocks); i++) {
        blocks[i] = sat_realloc(&memory, blocks[i], i / 2);
        assert_non_null(blocks[i]);
    }
    assert_int_equal(memory.now, test.bytes);
    for (size_t i = 0; i < SAT_COUNT(blocks); i++)
        sat_free(&memory, blocks[i]);
    sat_free(&memory, NULL);
    assert_int_equal(memory.now, 0);
    assert_true(memory.peak > 0);
    assert_allocator_clean(&test);
}

static void impossible_sizes_are_refused(void **state) {
    sat_memory memory;
    sat_memory_init(&memory, NULL, 0);
    assert_null(sat_alloc(&memory, SIZE_MAX));
    assert_null(sat_alloc(&memory, SIZE_MAX - 15));
    assert_null(sat_alloc(&memory, SIZE_MAX / 2));
    assert_null(sat_alloc_array(&memory, SIZE_MAX / 2, 3));
    assert_null(sat_calloc(&memory, (size_t)1 << 33, (size_t)1 << 33));
    assert_null(sat_alloc_aligned(&memory, SIZE_MAX));
    assert_null(sat_alloc_aligned(&memory, SIZE_MAX - 60));
    assert_null(sat_strndup(&memory, "x", SIZE_MAX));
    char *block = sat_alloc(&memory, 10);
    assert_non_null(block);
    strcpy(block, "kept");
    assert_null(sat_realloc(&memory, block, SIZE_MAX));
    assert_string_equal(block, "kept");
    sat_free(&memory, block);
    assert_int_equal(memory.now, 0);
}

static void calloc_zeroes(void **state) {
    sat_memory memory;
    sat_memory_init(&memory, NULL, 0);
    for (int round = 0; round < 2; round++) {
        uint8_t *block = sat_calloc(&memory, 1000, 3);
        assert_non_null(block);
        for (int i = 0; i < 3000; i++)
            assert_int_equal(block[i], 0);
        memset(block, 0xFF, 3000);
        sat_free(&memory, block);
    }
}

static void the_limit_is_hard(void **state) {
    sat_memory memory;
    satchel_error error;
    sat_memory_init(&memory, NULL, 1000);
    char *block = sat_alloc(&memory, 500);
    assert_non_null(block);
    strcpy(block, "kept");
    uint64_t held = memory.now;
    assert_null(sat_alloc(&memory, 500));
    assert_int_equal(sat_memory_fail(&memory, 500, &error), SATCHEL_MEMORY_LIMIT);
    assert_int_equal(error.code, SATCHEL_MEMORY_LIMIT);
    assert_non_null(strstr(error.message, "1000"));
    assert_non_null(strstr(error.message, "500"));
    assert_null(sat_realloc(&memory, block, 2000));
    assert_string_equal(block, "kept");
    assert_int_equal(memory.now, held);
    /* What fits after all failed for another reason. */
    assert_int_equal(sat_memory_fail(&memory, 10, &error), SATCHEL_OUT_OF_MEMORY);
    void *small = sat_alloc(&memory, 100);
    assert_non_null(small);
    sat_free(&memory, small);
    sat_free(&memory, block);
    assert_int_equal(memory.now, 0);
    assert_true(memory.peak <= 1000);
    block = sat_alloc(&memory, 900);
    assert_non_null(block);
    sat_free(&memory, block);
}

static void what_libraries_hold_counts_too(void **state) {
    sat_memory memory;
    sat_memory_init(&memory, NULL, 1000);
    assert_true(sat_memory_charge(&memory, 800));
    assert_null(sat_alloc(&memory, 300));
    assert_false(sat_memory_charge(&memory, 201));
    assert_false(sat_memory_charge(&memory, UINT64_MAX));
    assert_int_equal(memory.now, 800);
    assert_true(sat_memory_charge(&memory, 200));
    sat_memory_refund(&memory, 1000);
    assert_int_equal(memory.now, 0);
    assert_int_equal(memory.peak, 1000);
}

static void *churn(void *argument) {
    sat_memory *memory = argument;
    uint64_t seed = (uintptr_t)&seed;
    void *blocks[16] = {0};
    for (int i = 0; i < 20000; i++) {
        void **slot = &blocks[test_random(&seed) % 16];
        size_t size = test_random(&seed) % 4000;
        if (*slot && i % 3 == 0) {
            void *moved = sat_realloc(memory, *slot, size);
            if (moved)
                *slot = moved;
        } else {
            sat_free(memory, *slot);
            *slot = sat_alloc(memory, size);
        }
    }
    for (int i = 0; i < 16; i++)
        sat_free(memory, blocks[i]);
    return NULL;
}

static void the_limit_holds_with_many_threads(void **state) {
    sat_memory memory;
    sat_memory_init(&memory, NULL, 60000);
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, churn, &memory), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(memory.now, 0);
    assert_true(memory.peak > 10000 && memory.peak <= 60000);
}

static void a_failing_allocator_changes_nothing(void **state) {
    test_allocator test = {.fail_at = 1, .fail_after = true};
    satchel_allocator table = test_allocator_table(&test);
    sat_memory memory;
    satchel_error error;
    sat_memory_init(&memory, &table, 1 << 20);
    assert_null(sat_alloc(&memory, 100));
    assert_int_equal(sat_memory_fail(&memory, 100, &error), SATCHEL_OUT_OF_MEMORY);
    assert_null(sat_calloc(&memory, 10, 10));
    assert_null(sat_alloc_aligned(&memory, 100));
    assert_null(sat_strdup(&memory, "text"));
    assert_int_equal(memory.now, 0);
    test.fail_at = 0;
    void *block = sat_alloc(&memory, 100);
    uint64_t held = memory.now;
    test.fail_at = 1;
    assert_null(sat_realloc(&memory, block, 200));
    assert_int_equal(memory.now, held);
    sat_free(&memory, block);
    assert_allocator_clean(&test);
}

static void aligned_blocks_are_aligned(void **state) {
    test_allocator test = {0};
    satchel_allocator table = test_allocator_table(&test);
    sat_memory memory;
    sat_memory_init(&memory, &table, 0);
    for (size_t size = 0; size < 300; size++) {
        uint8_t *block = sat_alloc_aligned(&memory, size);
        assert_non_null(block);
        assert_int_equal((uintptr_t)block % 64, 0);
        memset(block, 1, size);
        sat_free_aligned(&memory, block);
    }
    sat_free_aligned(&memory, NULL);
    assert_allocator_clean(&test);
}

static void strings_are_copied(void **state) {
    sat_memory memory;
    sat_memory_init(&memory, NULL, 0);
    char *whole = sat_strdup(&memory, "satchel"), *part = sat_strndup(&memory, "satchel", 3);
    char *empty = sat_strndup(&memory, NULL, 0), *zero = sat_strndup(&memory, "a\0b", 3);
    assert_string_equal(whole, "satchel");
    assert_string_equal(part, "sat");
    assert_string_equal(empty, "");
    assert_memory_equal(zero, "a\0b", 4);
    sat_free(&memory, whole);
    sat_free(&memory, part);
    sat_free(&memory, empty);
    sat_free(&memory, zero);
}

/* ------------------------------------------------------------------ buffer */

static void a_buffer_grows_and_stays_terminated(void **state) {
    test_allocator test = {0};
    satchel_allocator table = test_allocator_table(&test);
    sat_memory memory;
    sat_memory_init(&memory, &table, 0);
    sat_buffer buffer;
    sat_buffer_init(&buffer, &memory);
    assert_null(buffer.data);
    for (int i = 0; i < 3000; i++) {
        assert_true(sat_buffer_append_format(&buffer, "%d,", i));
        assert_int_equal(buffer.data[buffer.length], 0);
    }
    char *at = buffer.data;
    for (int i = 0; i < 3000; i++) {
        assert_int_equal(strtol(at, &at, 10), i);
        assert_int_equal(*at++, ',');
    }
    assert_int_equal(at - buffer.data, buffer.length);
    char *data = buffer.data;
    sat_buffer_clear(&buffer);
    assert_int_equal(buffer.length, 0);
    assert_ptr_equal(buffer.data, data);
    assert_string_equal(buffer.data, "");
    assert_true(sat_buffer_append(&buffer, "a\0b", 3));
    assert_memory_equal(buffer.data, "a\0b", 4);
    assert_true(sat_buffer_append(&buffer, NULL, 0));
    sat_buffer_free(&buffer);
    sat_buffer_free(&buffer);
    assert_allocator_clean(&test);
}

static void a_format_longer_than_the_room_fits(void **state) {
    sat_memory memory;
    sat_memory_init(&memory, NULL, 0);
    sat_buffer buffer;
    sat_buffer_init(&buffer, &memory);
    for (int length = 0; length < 300; length++) {
        sat_buffer_clear(&buffer);
        assert_true(sat_buffer_append_text(&buffer, "<"));
        assert_true(sat_buffer_append_format(&buffer, "%*s>", length, ""));
        assert_int_equal(buffer.length, length + 2);
        assert_int_equal(strlen(buffer.data), length + 2);
        sat_buffer_free(&buffer);
    }
}

static void a_buffer_s_failure_sticks(void **state) {
    test_allocator test = {.fail_at = 3};
    satchel_allocator table = test_allocator_table(&test);
    sat_memory memory;
    sat_memory_init(&memory, &table, 0);
    sat_buffer buffer;
    sat_buffer_init(&buffer, &memory);
    assert_true(sat_buffer_append_text(&buffer, "one"));
    assert_true(sat_buffer_reserve(&buffer, 1000));
    test.fail_after = true;
    assert_false(sat_buffer_reserve(&buffer, 100000));
    test.fail_at = 0;
    assert_true(buffer.failed);
    assert_false(sat_buffer_append_text(&buffer, "x"));
    assert_false(sat_buffer_append_format(&buffer, "%d", 1));
    assert_false(sat_buffer_reserve(&buffer, 0));
    assert_string_equal(buffer.data, "one");
    sat_buffer_clear(&buffer);
    assert_true(sat_buffer_append_text(&buffer, "again"));
    assert_string_equal(buffer.data, "again");
    sat_buffer_free(&buffer);
    assert_allocator_clean(&test);
}

static void a_buffer_takes_what_just_fits(void **state) {
    sat_memory memory;
    sat_memory_init(&memory, NULL, 1200);
    sat_buffer buffer;
    sat_buffer_init(&buffer, &memory);
    assert_true(sat_buffer_reserve(&buffer, 900)); /* half as much again would pass the limit */
    buffer.length = 900;
    assert_true(sat_buffer_reserve(&buffer, 100));
    assert_false(sat_buffer_reserve(&buffer, SIZE_MAX - 10));
    sat_buffer_free(&buffer);
    assert_true(sat_buffer_append_text(&buffer, ""));
    assert_false(sat_buffer_reserve(&buffer, SIZE_MAX));
    sat_buffer_free(&buffer);
    assert_int_equal(memory.now, 0);
}

static void an_array_grows(void **state) {
    test_allocator test = {0};
    satchel_allocator table = test_allocator_table(&test);
    sat_memory memory;
    sat_memory_init(&memory, &table, 0);
    uint32_t *items = NULL;
    size_t count = 0, capacity = 0;
    for (uint32_t i = 0; i < 10000; i++) {
        assert_true(sat_grow(&memory, (void **)&items, &capacity, count + 1, sizeof *items));
        items[count++] = i;
    }
    for (uint32_t i = 0; i < 10000; i++)
        assert_int_equal(items[i], i);
    assert_true(test.calls < 40);
    size_t before = capacity;
    assert_false(sat_grow(&memory, (void **)&items, &capacity, SIZE_MAX / 2, sizeof *items));
    test.fail_at = test.calls + 1;
    assert_false(sat_grow(&memory, (void **)&items, &capacity, capacity + 1, sizeof *items));
    assert_int_equal(capacity, before);
    assert_int_equal(items[9999], 9999);
    sat_free(&memory, items);
    assert_allocator_clean(&test);
}

/* ------------------------------------------------------------------ arena */

static void an_arena_keeps_blocks_apart(void **state) {
    test_allocator test = {0};
    satchel_allocator table = test_allocator_table(&test);
    sat_memory memory;
    sat_memory_init(&memory, &table, 0);
    sat_arena arena;
    sat_arena_init(&arena, &memory);
    enum { COUNT = 2000 };
    static uint8_t *blocks[COUNT];
    static size_t sizes[COUNT];
    uint64_t seed = 7;
    for (int i = 0; i < COUNT; i++) {
        sizes[i] = i % 97 == 0 ? test_random(&seed) % 50000 : test_random(&seed) % 60;
        blocks[i] = sat_arena_alloc(&arena, sizes[i]);
        assert_non_null(blocks[i]);
        assert_int_equal((uintptr_t)blocks[i] % 16, 0);
        memset(blocks[i], i & 0xFF, sizes[i]);
    }
    for (int i = 0; i < COUNT; i++)
        for (size_t j = 0; j < sizes[i]; j++)
            assert_int_equal(blocks[i][j], i & 0xFF);
    assert_true(test.calls < COUNT / 10);
    char *text = sat_arena_strdup(&arena, "arena\0 text", 11);
    assert_memory_equal(text, "arena\0 text", 12);
    assert_null(sat_arena_alloc(&arena, SIZE_MAX));
    assert_null(sat_arena_alloc(&arena, SIZE_MAX - 20));
    assert_null(sat_arena_strdup(&arena, "", SIZE_MAX));
    test.fail_at = test.calls + 1;
    assert_null(sat_arena_alloc(&arena, 1 << 20));
    assert_non_null(sat_arena_alloc(&arena, 1 << 20));
    sat_arena_free(&arena);
    assert_non_null(sat_arena_alloc(&arena, 1));
    sat_arena_free(&arena);
    assert_allocator_clean(&test);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_are_aligned_and_counted),
        cmocka_unit_test(impossible_sizes_are_refused),
        cmocka_unit_test(calloc_zeroes),
        cmocka_unit_test(the_limit_is_hard),
        cmocka_unit_test(what_libraries_hold_counts_too),
        cmocka_unit_test(the_limit_holds_with_many_threads),
        cmocka_unit_test(a_failing_allocator_changes_nothing),
        cmocka_unit_test(aligned_blocks_are_aligned),
        cmocka_unit_test(strings_are_copied),
        cmocka_unit_test(a_buffer_grows_and_stays_terminated),
        cmocka_unit_test(a_format_longer_than_the_room_fits),
        cmocka_unit_test(a_buffer_s_failure_sticks),
        cmocka_unit_test(a_buffer_takes_what_just_fits),
        cmocka_unit_test(an_array_grows),
        cmocka_unit_test(an_arena_keeps_blocks_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
