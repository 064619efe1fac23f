/* The GGUF reader: right files are read, every wrong one is refused cleanly. */
#include "tests/unit/generate/context_unit.h"

#include "tests/support/gguf_writer.h"
#include "tests/support/tiny_model.h"
#include "tests/unit/base/failing.h"

/* Ends the writer and opens what it wrote. */
static satchel_status open_written(gguf_writer *writer, sat_gguf **gguf, uint8_t **bytes,
                                   satchel_error *error) {
    size_t size;
    *bytes = gguf_writer_close(writer, &size);
    *gguf = NULL;
    return sat_gguf_open(gguf, context, *bytes, size, "test.gguf", error);
}

/* The writer's file must be refused with this status and this word in the message. */
static void assert_refused(gguf_writer *writer, satchel_status status, const char *word) {
    sat_gguf *gguf;
    uint8_t *bytes;
    satchel_error error = {0};
    assert_int_equal(open_written(writer, &gguf, &bytes, &error), status);
    assert_null(gguf);
    assert_int_equal(error.code, status);
    if (!strstr(error.message, word))
        fail_msg("\"%s\" is not in: %s", word, error.message);
    assert_non_null(strstr(error.message, "test.gguf"));
    free(bytes);
}

/* ------------------------------------------------------------------ right files */

static void values_are_read_by_key(void **state) {
    gguf_writer writer;
    const char *const texts[] = {"one", "", "three"};
    const int32_t numbers[] = {-7, 0, 2147483647};
    const int8_t i8 = -3;
    const uint16_t u16 = 65535;
    const int64_t i64 = -5000000000;
    const uint64_t huge = UINT64_MAX;
    const double f64 = 0.1;
    gguf_writer_open(&writer);
    gguf_text(&writer, "text", "h\xC3\xA9llo");
    gguf_u32(&writer, "u32", 4294967295u);
    gguf_raw(&writer, "i8", 1, &i8, sizeof i8);
    gguf_raw(&writer, "u16", 2, &u16, sizeof u16);
    gguf_raw(&writer, "i64", 11, &i64, sizeof i64);
    gguf_raw(&writer, "u64", 10, &huge, sizeof huge);
    gguf_raw(&writer, "f64", 12, &f64, sizeof f64);
    gguf_f32(&writer, "f32", 0.5f);
    gguf_bool(&writer, "yes", true);
    gguf_bool(&writer, "no", false);
    gguf_texts(&writer, "texts", texts, 3);
    gguf_i32s(&writer, "numbers", numbers, 3);

    sat_gguf *gguf;
    uint8_t *bytes;
    const char *text;
    size_t length, count;
    int64_t integer;
    double real;
    bool truth;
    assert_int_equal(open_written(&writer, &gguf, &bytes, NULL), SATCHEL_OK);
    assert_true(sat_gguf_string(gguf, "text", &text, &length));
    assert_string_equal(text, "h\xC3\xA9llo");
    assert_int_equal(length, 6);
    assert_true(sat_gguf_integer(gguf, "u32", &integer) && integer == 4294967295);
    assert_true(sat_gguf_integer(gguf, "i8", &integer) && integer == -3);
    assert_true(sat_gguf_integer(gguf, "u16", &integer) && integer == 65535);
    assert_true(sat_gguf_integer(gguf, "i64", &integer) && integer == -5000000000);
    assert_false(sat_gguf_integer(gguf, "u64", &integer)); /* does not fit */
    assert_true(sat_gguf_float(gguf, "f64", &real) && real == 0.1);
    assert_true(sat_gguf_float(gguf, "f32", &real) && real == 0.5);
    assert_true(sat_gguf_bool(gguf, "yes", &truth) && truth);
    assert_true(sat_gguf_bool(gguf, "no", &truth) && !truth);
    assert_true(sat_gguf_array(gguf, "texts", &count) && count == 3);
    assert_true(sat_gguf_array_string(gguf, "texts", 2, &text, &length));
    assert_int_equal(length, 5);
    assert_memory_equal(text, "three", 5);
    assert_true(sat_gguf_array_string(gguf, "texts", 1, &text, &length) && length == 0);
    assert_false(sat_gguf_array_string(gguf, "texts", 3, &text, &length));
    assert_false(sat_gguf_array_string(gguf, "numbers", 0, &text, &length));
    assert_true(sat_gguf_array_integer(gguf, "numbers", 0, &integer) && integer == -7);
    assert_true(sat_gguf_array_integer(gguf, "numbers", 2, &integer) && integer == 2147483647);
    assert_false(sat_gguf_array_integer(gguf, "numbers", 3, &integer));
    assert_false(sat_gguf_array_integer(gguf, "texts", 0, &integer));
    /* Absent, or of another kind. */
    assert_false(sat_gguf_string(gguf, "u32", &text, &length));
    assert_false(sat_gguf_integer(gguf, "text", &integer));
    assert_false(sat_gguf_integer(gguf, "yes", &integer));
    assert_false(sat_gguf_bool(gguf, "u32", &truth));
    assert_false(sat_gguf_float(gguf, "u32", &real));
    assert_false(sat_gguf_array(gguf, "none", &count));
    sat_gguf_close(&gguf);
    assert_null(gguf);
    free(bytes);
}

static void tensors_are_found_by_name(void **state) {
    gguf_writer writer;
    float values[64];
    const uint64_t cube[4] = {2, 3, 4, 1};
    for (size_t i = 0; i < 64; i++)
        values[i] = (float)i;
    gguf_writer_open(&writer);
    gguf_floats(&writer, "vector", 0, 0, 5, values);
    gguf_floats(&writer, "halves", 1, 2, 3, values);
    gguf_floats(&writer, "blocks", 8, 2, 32, values);
    gguf_tensor(&writer, "cube", 0, 4, cube, values, 24 * sizeof *values);

    sat_gguf *gguf;
    uint8_t *bytes;
    assert_int_equal(open_written(&writer, &gguf, &bytes, NULL), SATCHEL_OK);
    assert_int_equal(sat_gguf_tensor_count(gguf), 4);
    const sat_tensor *tensor = sat_gguf_tensor(gguf, "vector");
    assert_non_null(tensor);
    assert_int_equal(tensor->rank, 1);
    assert_int_equal(tensor->shape[0], 5);
    assert_int_equal(tensor->shape[1], 1);
    assert_int_equal(tensor->bytes, 20);
    assert_memory_equal(tensor->data, values, 20);
    tensor = sat_gguf_tensor(gguf, "halves");
    assert_int_equal(tensor->bytes, 12);
    assert_int_equal(((const uint16_t *)tensor->data)[1], 0x3c00); /* 1.0 */
    tensor = sat_gguf_tensor(gguf, "blocks");
    assert_int_equal(tensor->bytes, 68);
    assert_int_equal(tensor->type, SAT_GGML_Q8_0);
    tensor = sat_gguf_tensor(gguf, "cube");
    assert_int_equal(tensor->shape[2], 4);
    assert_ptr_equal(sat_gguf_tensor_at(gguf, 3), tensor);
    assert_null(sat_gguf_tensor_at(gguf, 4));
    assert_null(sat_gguf_tensor(gguf, "vecto"));
    sat_gguf_close(&gguf);
    free(bytes);
}

static void version_2_and_other_alignments_are_read(void **state) {
    const float value = 1;
    for (uint32_t alignment = 1; alignment <= 4096; alignment *= 8) {
        gguf_writer writer;
        sat_gguf *gguf;
        uint8_t *bytes;
        gguf_writer_open(&writer);
        writer.version = 2;
        writer.alignment = alignment;
        gguf_u32(&writer, "general.alignment", alignment);
        gguf_floats(&writer, "a", 0, 0, 1, &value);
        gguf_floats(&writer, "b", 0, 0, 1, &value);
        assert_int_equal(open_written(&writer, &gguf, &bytes, NULL), SATCHEL_OK);
        assert_memory_equal(sat_gguf_tensor(gguf, "b")->data, &value, sizeof value);
        sat_gguf_close(&gguf);
        free(bytes);
    }
}

static void many_names_are_all_found(void **state) {
    enum { MANY = 3000 };
    gguf_writer writer;
    sat_gguf *gguf;
    uint8_t *bytes;
    gguf_writer_open(&writer);
    for (uint32_t i = 0; i < MANY; i++) {
        char name[32];
        float value = (float)i;
        snprintf(name, sizeof name, "name.%u", (unsigned)i);
        gguf_u32(&writer, name, i);
        gguf_floats(&writer, name, 0, 0, 1, &value);
    }
    assert_int_equal(open_written(&writer, &gguf, &bytes, NULL), SATCHEL_OK);
    for (uint32_t i = 0; i < MANY; i++) {
        char name[32];
        int64_t value;
        float stored, expected = (float)i;
        snprintf(name, sizeof name, "name.%u", (unsigned)i);
        assert_true(sat_gguf_integer(gguf, name, &value) && value == i);
        memcpy(&stored, sat_gguf_tensor(gguf, name)->data, sizeof stored);
        assert_true(stored == expected);
    }
    sat_gguf_close(&gguf);
    free(bytes);
}

static void nested_arrays_are_stepped_over(void **state) {
    /* [[ "a", "bc" ], [], [[1, 2], [3]]] of mixed depth, then a key that must still be found */
    gguf_bytes nested = {0};
    gguf_bytes_u32(&nested, 9);
    gguf_bytes_u64(&nested, 3);
    gguf_bytes_u32(&nested, 8);
    gguf_bytes_u64(&nested, 2);
    gguf_bytes_text(&nested, "a");
    gguf_bytes_text(&nested, "bc");
    gguf_bytes_u32(&nested, 9);
    gguf_bytes_u64(&nested, 0);
    gguf_bytes_u32(&nested, 9);
    gguf_bytes_u64(&nested, 2);
    gguf_bytes_u32(&nested, 0);
    gguf_bytes_u64(&nested, 2);
    gguf_bytes_add(&nested, "\1\2", 2);
    gguf_bytes_u32(&nested, 0);
    gguf_bytes_u64(&nested, 1);
    gguf_bytes_add(&nested, "\3", 1);

    gguf_writer writer;
    sat_gguf *gguf;
    uint8_t *bytes;
    size_t count, length;
    int64_t value;
    const char *text;
    gguf_writer_open(&writer);
    gguf_raw(&writer, "nested", 9, nested.data, nested.size);
    gguf_u32(&writer, "after", 42);
    free(nested.data);
    assert_int_equal(open_written(&writer, &gguf, &bytes, NULL), SATCHEL_OK);
    assert_true(sat_gguf_integer(gguf, "after", &value) && value == 42);
    assert_true(sat_gguf_array(gguf, "nested", &count) && count == 3);
    assert_false(sat_gguf_array_string(gguf, "nested", 0, &text, &length));
    assert_false(sat_gguf_array_integer(gguf, "nested", 0, &value));
    sat_gguf_close(&gguf);
    free(bytes);
}

static void a_tensor_of_an_unknown_type_is_listed(void **state) {
    const uint64_t shape[1] = {100};
    gguf_writer writer;
    sat_gguf *gguf;
    uint8_t *bytes;
    gguf_writer_open(&writer);
    gguf_tensor(&writer, "odd", 99, 1, shape, "", 0);
    assert_int_equal(open_written(&writer, &gguf, &bytes, NULL), SATCHEL_OK);
    const sat_tensor *tensor = sat_gguf_tensor(gguf, "odd");
    assert_int_equal(tensor->type, 99);
    assert_int_equal(tensor->bytes, 0);
    assert_null(tensor->data);
    assert_string_equal(sat_tensor_type_name(99), "?");
    assert_string_equal(sat_tensor_type_name(8), "Q8_0");
    sat_gguf_close(&gguf);
    free(bytes);
}

/* ------------------------------------------------------------------ wrong files */

static void other_files_are_told_apart(void **state) {
    satchel_error error;
    sat_gguf *gguf;
    assert_int_equal(sat_gguf_open(&gguf, context, "", 0, "e", &error), SATCHEL_DAMAGED);
    assert_int_equal(sat_gguf_open(&gguf, context, "PK\3\4 zip", 8, "e", &error), SATCHEL_DAMAGED);
    assert_non_null(strstr(error.message, "not a GGUF file"));
    gguf_writer writer;
    gguf_writer_open(&writer);
    writer.version = 1;
    assert_refused(&writer, SATCHEL_UNSUPPORTED, "version 1");
    gguf_writer_open(&writer);
    writer.version = 4;
    assert_refused(&writer, SATCHEL_UNSUPPORTED, "version 4");
    gguf_writer_open(&writer);
    writer.version = 0x03000000;
    assert_refused(&writer, SATCHEL_UNSUPPORTED, "big-endian");
}

static void absurd_counts_are_refused_before_allocating(void **state) {
    uint64_t before = atomic_load(&context->memory.peak);
    gguf_writer writer;
    gguf_writer_open(&writer);
    writer.key_count = UINT64_MAX;
    assert_refused(&writer, SATCHEL_DAMAGED, "counts");
    gguf_writer_open(&writer);
    writer.tensor_count = 1u << 30;
    assert_refused(&writer, SATCHEL_DAMAGED, "counts");
    gguf_bytes array = {0};
    gguf_bytes_u32(&array, 8);
    gguf_bytes_u64(&array, UINT64_C(1) << 60);
    gguf_writer_open(&writer);
    gguf_raw(&writer, "strings", 9, array.data, array.size);
    assert_refused(&writer, SATCHEL_DAMAGED, "count");
    array.size = 0;
    gguf_bytes_u32(&array, 12);
    gguf_bytes_u64(&array, UINT64_C(1) << 61); /* times 8 wraps to 0 */
    gguf_writer_open(&writer);
    gguf_raw(&writer, "doubles", 9, array.data, array.size);
    assert_refused(&writer, SATCHEL_DAMAGED, "count");
    free(array.data);
    assert_true(atomic_load(&context->memory.peak) < before + 65536);
}

static void wrong_keys_are_refused(void **state) {
    gguf_writer writer;
    const uint64_t length = UINT64_MAX - 3;
    const uint8_t two = 2;
    gguf_writer_open(&writer);
    gguf_u32(&writer, "same", 1);
    gguf_u32(&writer, "same", 2);
    assert_refused(&writer, SATCHEL_DAMAGED, "twice");
    gguf_writer_open(&writer);
    gguf_raw(&writer, "text", 8, &length, sizeof length);
    assert_refused(&writer, SATCHEL_DAMAGED, "string");
    gguf_writer_open(&writer);
    gguf_raw(&writer, "bool", 7, &two, 1);
    assert_refused(&writer, SATCHEL_DAMAGED, "boolean");
    gguf_writer_open(&writer);
    gguf_raw(&writer, "kind", 13, &length, sizeof length);
    assert_refused(&writer, SATCHEL_DAMAGED, "type");
    gguf_writer_open(&writer); /* a name with a NUL inside */
    gguf_bytes_u64(&writer.keys, 3);
    gguf_bytes_add(&writer.keys, "a\0b\4\0\0\0\1\0\0\0", 11);
    writer.key_count = 1;
    assert_refused(&writer, SATCHEL_DAMAGED, "name");
}

static void deep_nesting_is_refused(void **state) {
    gguf_bytes nested = {0};
    for (int i = 0; i < 100000; i++) {
        gguf_bytes_u32(&nested, 9);
        gguf_bytes_u64(&nested, 1);
    }
    gguf_writer writer;
    gguf_writer_open(&writer);
    gguf_raw(&writer, "deep", 9, nested.data, nested.size);
    free(nested.data);
    assert_refused(&writer, SATCHEL_DAMAGED, "deep");
}

static void wrong_tensors_are_refused(void **state) {
    static const struct {
        uint32_t type, rank;
        uint64_t shape[4], offset;
        const char *word;
    } cases[] = {
        {0, 0, {0}, 0, "rank"},
        {0, 5, {1, 1, 1, 1}, 0, "rank"},
        {0, 1, {0}, 0, "shape"},
        {0, 2, {UINT64_C(1) << 33, UINT64_C(1) << 33}, 0, "shape"}, /* the product wraps */
        {0, 1, {UINT64_C(1) << 62}, 0, "shape"},                    /* its bytes wrap */
        {99, 2, {UINT64_C(1) << 63, 3}, 0, "shape"},
        {8, 1, {33}, 0, "shape"}, /* not whole blocks */
        {12, 1, {128}, 0, "shape"},
        {0, 1, {17}, 0, "inside"},              /* one float past the end */
        {0, 1, {1}, 96, "inside"},              /* behind the end */
        {0, 1, {1}, 4, "inside"},               /* between two aligned places */
        {0, 1, {1}, UINT64_MAX - 31, "inside"}, /* the sum wraps */
    };
    static const uint8_t data[64];
    for (size_t i = 0; i < SAT_COUNT(cases); i++) {
        gguf_writer writer;
        gguf_writer_open(&writer);
        gguf_bytes_text(&writer.tensors, "t");
        gguf_bytes_u32(&writer.tensors, cases[i].rank);
        for (uint32_t d = 0; d < cases[i].rank; d++)
            gguf_bytes_u64(&writer.tensors, d < 4 ? cases[i].shape[d] : 1);
        gguf_bytes_u32(&writer.tensors, cases[i].type);
        gguf_bytes_u64(&writer.tensors, cases[i].offset);
        writer.tensor_count = 1;
        gguf_bytes_add(&writer.data, data, sizeof data);
        assert_refused(&writer, SATCHEL_DAMAGED, cases[i].word);
    }
    const uint64_t one[1] = {1};
    gguf_writer writer;
    gguf_writer_open(&writer);
    gguf_tensor(&writer, "same", 0, 1, one, data, 4);
    gguf_tensor(&writer, "same", 0, 1, one, data, 4);
    assert_refused(&writer, SATCHEL_DAMAGED, "twice");
    for (uint32_t alignment = 0; alignment < 100; alignment += 3) {
        if ((alignment & (alignment - 1)) == 0 && alignment > 0)
            continue;
        gguf_writer_open(&writer);
        gguf_u32(&writer, "general.alignment", alignment);
        gguf_tensor(&writer, "t", 0, 1, one, data, 4);
        assert_refused(&writer, SATCHEL_DAMAGED, "alignment");
    }
}

/* A file with every kind of value. */
static uint8_t *sample(size_t *size) {
    gguf_writer writer;
    const char *const texts[] = {"\xE2\x96\x81word", "rest"};
    const int32_t numbers[] = {3, 1};
    const float values[32] = {1, 2, 3};
    gguf_writer_open(&writer);
    gguf_text(&writer, "general.architecture", "bert");
    gguf_u32(&writer, "general.alignment", 32);
    gguf_f32(&writer, "f", 1e-5f);
    gguf_bool(&writer, "b", true);
    gguf_texts(&writer, "tokens", texts, 2);
    gguf_i32s(&writer, "types", numbers, 2);
    gguf_floats(&writer, "a", 0, 2, 2, values);
    gguf_floats(&writer, "b", 8, 1, 32, values);
    return gguf_writer_close(&writer, size);
}

/* Reads all there is: nothing may lie outside the bytes, which the sanitizers watch. */
static uint64_t read_all(const sat_gguf *gguf) {
    uint64_t sum = 0;
    size_t count, length;
    const char *text;
    int64_t integer;
    for (size_t i = 0; i < sat_gguf_tensor_count(gguf); i++) {
        const sat_tensor *tensor = sat_gguf_tensor_at(gguf, i);
        sum += strlen(tensor->name);
        for (uint64_t b = 0; tensor->data && b < tensor->bytes; b++)
            sum += ((const uint8_t *)tensor->data)[b];
    }
    if (sat_gguf_array(gguf, "tokens", &count))
        for (size_t i = 0; i < count; i++)
            if (sat_gguf_array_string(gguf, "tokens", i, &text, &length))
                for (size_t b = 0; b < length; b++)
                    sum += (uint8_t)text[b];
    if (sat_gguf_array(gguf, "types", &count))
        for (size_t i = 0; i < count; i++)
            if (sat_gguf_array_integer(gguf, "types", i, &integer))
                sum += (uint64_t)integer;
    return sum;
}

static void every_cut_is_refused(void **state) {
    size_t size;
    uint8_t *whole = sample(&size);
    for (size_t cut = 0; cut < size; cut++) {
        /* A block of its own, so that a sanitizer sees reads behind the cut. */
        uint8_t *bytes = malloc(cut ? cut : 1);
        sat_gguf *gguf;
        satchel_error error = {0};
        memcpy(bytes, whole, cut);
        assert_int_equal(sat_gguf_open(&gguf, context, bytes, cut, "cut", &error), SATCHEL_DAMAGED);
        assert_null(gguf);
        assert_true(error.message[0] != 0);
        free(bytes);
    }
    free(whole);
}

static void every_flipped_byte_is_read_or_refused(void **state) {
    size_t size, opened = 0, refused = 0;
    uint8_t *bytes = sample(&size);
    for (size_t at = 0; at < size; at++) {
        for (int mask = 1; mask <= 0xff; mask = mask < 128 ? mask * 2 : mask == 128 ? 0xff : 256) {
            sat_gguf *gguf;
            bytes[at] ^= (uint8_t)mask;
            satchel_status status = sat_gguf_open(&gguf, context, bytes, size, "flip", NULL);
            if (status == SATCHEL_OK) {
                opened += read_all(gguf) > 0;
                sat_gguf_close(&gguf);
            } else {
                assert_true(status == SATCHEL_DAMAGED || status == SATCHEL_UNSUPPORTED);
                refused++;
            }
            bytes[at] ^= (uint8_t)mask;
        }
    }
    assert_true(opened > 0 && refused > 0);
    free(bytes);
}

static satchel_status open_file(failing *f, void *user) {
    const gguf_bytes *sampled = user;
    sat_gguf *gguf;
    failing_begin(f);
    satchel_error error = {0};
    satchel_status status =
        sat_gguf_open(&gguf, f->context, sampled->data, sampled->size, "full", &error);
    assert_int_equal(error.code, status);
    sat_gguf_close(&gguf);
    return status;
}

static void every_failed_allocation_is_survived(void **state) {
    gguf_bytes sampled;
    sampled.data = sample(&sampled.size);
    assert_true(fail_allocations(false, open_file, &sampled) > 5);
    free(sampled.data);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_read_by_key),
        cmocka_unit_test(tensors_are_found_by_name),
        cmocka_unit_test(version_2_and_other_alignments_are_read),
        cmocka_unit_test(many_names_are_all_found),
        cmocka_unit_test(nested_arrays_are_stepped_over),
        cmocka_unit_test(a_tensor_of_an_unknown_type_is_listed),
        cmocka_unit_test(other_files_are_told_apart),
        cmocka_unit_test(absurd_counts_are_refused_before_allocating),
        cmocka_unit_test(wrong_keys_are_refused),
        cmocka_unit_test(deep_nesting_is_refused),
        cmocka_unit_test(wrong_tensors_are_refused),
        cmocka_unit_test(every_cut_is_refused),
        cmocka_unit_test(every_flipped_byte_is_read_or_refused),
        cmocka_unit_test(every_failed_allocation_is_survived),
    };
    return cmocka_run_group_tests(tests, open_context, close_context);
}
