/* Models split into several files: the first opens all, and every wrong set is refused by name. */
#include "tests/unit/generate/context_unit.h"

#include <unistd.h>

#include "generate/generate.h"
#include "tests/support/folder.h"
#include "tests/support/gguf_writer.h"
#include "tests/unit/base/failing.h"

static char folder[TEST_FOLDER_SIZE];

static int open_folder(void **state) {
    return !test_folder_make(folder) || open_context(state);
}

static int close_folder(void **state) {
    close_context(state);
    return rmdir(folder);
}

/* ------------------------------------------------------------------ files */

enum { NO_KEY = -1 };

typedef struct part_spec {
    int number, count, tensors; /* split.no, split.count, split.tensors.count; NO_KEY: none */
    const char *tensor[3];      /* names; each holds two floats: its place here and its part */
} part_spec;

static uint8_t *write_part(const part_spec *part, size_t index, size_t *size) {
    gguf_writer writer;
    gguf_writer_open(&writer);
    if (index == 0)
        gguf_text(&writer, "general.architecture", "llama");
    if (part->number != NO_KEY)
        gguf_raw(&writer, "split.no", 2, &(uint16_t){(uint16_t)part->number}, 2);
    if (part->count != NO_KEY)
        gguf_raw(&writer, "split.count", 2, &(uint16_t){(uint16_t)part->count}, 2);
    if (part->tensors != NO_KEY)
        gguf_raw(&writer, "split.tensors.count", 5, &part->tensors, 4);
    for (size_t i = 0; i < 3 && part->tensor[i]; i++) {
        float values[2] = {(float)i, (float)index};
        gguf_floats(&writer, part->tensor[i], SAT_GGML_F32, 1, 2, values);
    }
    return gguf_writer_close(&writer, size);
}

static const char *path_of(const char *name) {
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void save(const part_spec *part, size_t index, const char *name) {
    size_t size;
    uint8_t *bytes = write_part(part, index, &size);
    FILE *file = fopen(path_of(name), "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
    free(bytes);
}

static const char *part_name(size_t index, size_t count) {
    static char name[64];
    snprintf(name, sizeof name, "m-%05zu-of-%05zu.gguf", index + 1, count);
    return name;
}

static void save_all(const part_spec *parts, size_t count) {
    for (size_t i = 0; i < count; i++)
        save(&parts[i], i, part_name(i, count));
}

static void remove_all(size_t count) {
    for (size_t i = 0; i < count; i++)
        unlink(path_of(part_name(i, count)));
}

static const part_spec good[3] = {
    {0, 3, 4, {"a", "b"}},
    {1, 3, 4, {"c"}},
    {2, 3, 4, {"d"}},
};

static void assert_refused(const char *name, satchel_status status, const char *word) {
    sat_gguf_set *set;
    satchel_error error = {0};
    assert_int_equal(sat_gguf_set_open(&set, context, path_of(name), &error), status);
    assert_null(set);
    assert_int_equal(error.code, status);
    if (!strstr(error.message, word))
        fail_msg("\"%s\" is not in: %s", word, error.message);
}

/* The three parts with one of them changed must be refused. */
static void assert_wrong_part(size_t index, const part_spec *wrong, const char *word) {
    part_spec parts[3];
    memcpy(parts, good, sizeof parts);
    parts[index] = *wrong;
    save_all(parts, 3);
    assert_refused(part_name(0, 3), SATCHEL_DAMAGED, word);
    remove_all(3);
}

/* ------------------------------------------------------------------ tests */

static void the_first_part_opens_all(void **state) {
    sat_gguf_set *set;
    satchel_error error;
    save_all(good, 3);
    assert_int_equal(sat_gguf_set_open(&set, context, path_of(part_name(0, 3)), &error), 0);
    assert_int_equal(set->count, 3);
    const char *architecture;
    assert_true(sat_gguf_string(set->parts[0], "general.architecture", &architecture, NULL));
    for (size_t p = 0; p < 3; p++)
        for (size_t i = 0; i < 3 && good[p].tensor[i]; i++) {
            size_t part = 99;
            float values[2];
            const sat_tensor *tensor = sat_gguf_set_tensor(set, good[p].tensor[i], &part);
            assert_non_null(tensor);
            assert_int_equal(part, p);
            memcpy(values, tensor->data, sizeof values);
            assert_true(values[0] == (float)i && values[1] == (float)p);
        }
    assert_null(sat_gguf_set_tensor(set, "e", NULL));
    sat_gguf_set_close(&set);
    assert_null(set);
    sat_gguf_set_close(&set);
    remove_all(3);
}

static void a_model_in_one_file_is_a_set_of_one(void **state) {
    const part_spec none = {NO_KEY, NO_KEY, NO_KEY, {"a"}}, one = {0, 1, NO_KEY, {"a"}};
    const char *const names[] = {"model.gguf", "m-00001-of-00003.gguf", "x"};
    for (size_t i = 0; i < 6; i++) {
        sat_gguf_set *set;
        save(i % 2 ? &one : &none, 0, names[i / 2]);
        assert_int_equal(sat_gguf_set_open(&set, context, path_of(names[i / 2]), NULL), 0);
        assert_int_equal(set->count, 1);
        assert_non_null(sat_gguf_set_tensor(set, "a", NULL));
        sat_gguf_set_close(&set);
        unlink(path_of(names[i / 2]));
    }
}

static void a_missing_part_is_named(void **state) {
    for (size_t missing = 1; missing < 3; missing++) {
        save_all(good, 3);
        char name[64];
        strcpy(name, part_name(missing, 3));
        unlink(path_of(name));
        assert_refused(part_name(0, 3), SATCHEL_NOT_FOUND, name);
        assert_refused(part_name(0, 3), SATCHEL_NOT_FOUND, missing == 1 ? "part 2 of 3" : "part 3");
        remove_all(3);
    }
}

static void a_later_part_says_which_to_open(void **state) {
    save_all(good, 3);
    assert_refused(part_name(1, 3), SATCHEL_INVALID_ARGUMENT, "-00001-of-00003.gguf");
    remove_all(3);
}

static void a_renamed_part_is_refused(void **state) {
    static const char *const names[] = {
        "model.gguf",           "m-00001-of-00002.gguf", "m-00004-of-00003.gguf",
        "m-0001-of-00003.gguf", "m-00001-of-00003.bin",  "m-00000-of-00003.gguf",
        "m-00001-of-0000x.gguf"};
    for (size_t i = 0; i < SAT_COUNT(names); i++) {
        save(&good[0], 0, names[i]);
        assert_refused(names[i], SATCHEL_INVALID_ARGUMENT, "-00001-of-00003.gguf");
        unlink(path_of(names[i]));
    }
}

static void parts_that_do_not_belong_together_are_refused(void **state) {
    assert_wrong_part(1, &(part_spec){2, 3, 4, {"c"}}, "split.no");
    assert_wrong_part(1, &(part_spec){NO_KEY, 3, 4, {"c"}}, "split.no");
    assert_wrong_part(2, &(part_spec){2, 2, 4, {"d"}}, "split.count");
    assert_wrong_part(2, &(part_spec){2, NO_KEY, 4, {"d"}}, "split.count");
    assert_wrong_part(0, &(part_spec){1, 3, 4, {"a", "b"}}, "split.no");
    assert_wrong_part(0, &(part_spec){0, 3, 5, {"a", "b"}}, "split.tensors.count");
    assert_wrong_part(2, &(part_spec){2, 3, 4, {"b"}}, "tensor b is in part 1 and in part 3");
    const part_spec absurd = {0, 0, 4, {"a"}};
    save(&absurd, 0, part_name(0, 3));
    assert_refused(part_name(0, 3), SATCHEL_DAMAGED, "split.count is 0");
    remove_all(3);
}

static void a_damaged_part_is_refused(void **state) {
    save_all(good, 3);
    assert_int_equal(truncate(path_of(part_name(1, 3)), 60), 0);
    assert_refused(part_name(0, 3), SATCHEL_DAMAGED, "m-00002-of-00003.gguf");
    remove_all(3);
}

static sat_mapping map_bytes(const part_spec *part, size_t index) {
    size_t size;
    uint8_t *bytes = write_part(part, index, &size);
    void *base = sat_alloc_aligned(&context->memory, size);
    assert_non_null(base);
    memcpy(base, bytes, size);
    free(bytes);
    return (sat_mapping){.data = base, .size = size, .base = base};
}

static void mappings_are_taken_over(void **state) {
    uint64_t before = context->memory.now;
    sat_mapping mappings[3];
    sat_gguf_set *set;
    satchel_error error;
    for (size_t i = 0; i < 3; i++)
        mappings[i] = map_bytes(&good[i], i);
    assert_int_equal(sat_gguf_set_open_mapped(&set, context, mappings, 3, "app", &error), 0);
    assert_null(mappings[2].base);
    assert_non_null(sat_gguf_set_tensor(set, "d", NULL));
    sat_gguf_set_close(&set);
    assert_true(context->memory.now == before);
    for (size_t i = 0; i < 2; i++) /* one is missing */
        mappings[i] = map_bytes(&good[i], i);
    assert_int_equal(sat_gguf_set_open_mapped(&set, context, mappings, 2, "app", &error),
                     SATCHEL_DAMAGED);
    assert_null(set);
    assert_null(mappings[0].base);
    assert_true(context->memory.now == before);
    assert_int_equal(sat_gguf_set_open_mapped(&set, context, mappings, 0, "app", &error),
                     SATCHEL_INVALID_ARGUMENT);
}

static satchel_status open_set(failing *f, void *user) {
    sat_gguf_set *set;
    satchel_error error;
    failing_begin(f);
    satchel_status status = sat_gguf_set_open(&set, f->context, path_of(part_name(0, 3)), &error);
    assert_true((status == SATCHEL_OK) == (set != NULL));
    sat_gguf_set_close(&set);
    return status;
}

static void every_failed_allocation_is_survived(void **state) {
    save_all(good, 3);
    assert_true(fail_allocations(false, open_set, NULL) > 10);
    remove_all(3);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_part_opens_all),
        cmocka_unit_test(a_model_in_one_file_is_a_set_of_one),
        cmocka_unit_test(a_missing_part_is_named),
        cmocka_unit_test(a_later_part_says_which_to_open),
        cmocka_unit_test(a_renamed_part_is_refused),
        cmocka_unit_test(parts_that_do_not_belong_together_are_refused),
        cmocka_unit_test(a_damaged_part_is_refused),
        cmocka_unit_test(mappings_are_taken_over),
        cmocka_unit_test(every_failed_allocation_is_survived),
    };
    return cmocka_run_group_tests(tests, open_folder, close_folder);
}
