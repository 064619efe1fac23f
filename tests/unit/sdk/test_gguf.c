/* Looking into GGUF files: every kind of value, tensors, split models, and the border. */
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/gguf_writer.h"
#include "tests/unit/sdk/support.h"

enum { U8, I8, U16, I16, U32, I32, F32, BOOL, STRING, ARRAY, U64, I64, F64 };

static void save(const char *path, gguf_writer *writer) {
    size_t size;
    uint8_t *bytes = gguf_writer_close(writer, &size);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
    free(bytes);
}

static satchel_gguf *open_file(const test_bed *bed, const char *path) {
    satchel_error error;
    satchel_gguf *gguf = NULL;
    test_fine(satchel_gguf_open(&gguf, bed->context, path, &error), &error);
    return gguf;
}

/* Fails unless key `index` is as given. */
static void expect(satchel_gguf *gguf, size_t index, size_t limit, const char *name,
                   const char *type, const char *value, int64_t count, bool cut) {
    satchel_error error;
    satchel_gguf_key key;
    test_fine(satchel_gguf_get_key(gguf, index, limit, &key, sizeof key, &error), &error);
    assert_string_equal(key.name, name);
    assert_string_equal(key.type, type);
    assert_int_equal(key.value_length, strlen(value));
    assert_string_equal(key.value, value);
    assert_int_equal(key.count, count);
    assert_int_equal(key.cut, cut);
    assert_int_equal(key.part, 0);
}

/* ------------------------------------------------------------------ keys */

static void numbers_of_every_type(void **state) {
    test_bed *bed = *state;
    static const struct {
        uint32_t type;
        uint8_t bytes[8];
        size_t size;
        const char *name, *value;
    } cases[] = {
        {U8, {200}, 1, "u8", "200"},
        {I8, {0xFE}, 1, "i8", "-2"},
        {U16, {0xFF, 0xFF}, 2, "u16", "65535"},
        {I16, {0xFF, 0xFF}, 2, "i16", "-1"},
        {U32, {0xFF, 0xFF, 0xFF, 0xFF}, 4, "u32", "4294967295"},
        {I32, {0, 0, 0, 0x80}, 4, "i32", "-2147483648"},
        {U64, {0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF}, 8, "u64", "18446744073709551615"},
        {I64, {0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF}, 8, "i64", "-1"},
        {F32, {0, 0, 0xC0, 0x3F}, 4, "f32", "1.5"},
        {F32, {0, 0, 0xC0, 0x7F}, 4, "f32", "null"},
        {F64, {0, 0, 0, 0, 0, 0, 0xF0, 0xFF}, 8, "f64", "null"},
        {F64, {0x9A, 0x99, 0x99, 0x99, 0x99, 0x99, 0xB9, 0x3F}, 8, "f64", "0.10000000000000001"},
        {BOOL, {1}, 1, "bool", "true"},
        {BOOL, {0}, 1, "bool", "false"},
    };
    enum { COUNT = sizeof cases / sizeof cases[0] };
    gguf_writer writer;
    gguf_writer_open(&writer);
    char names[COUNT][16], path[128];
    for (size_t i = 0; i < COUNT; i++) {
        snprintf(names[i], sizeof names[i], "key.%zu", i);
        gguf_raw(&writer, names[i], cases[i].type, cases[i].bytes, cases[i].size);
    }
    test_path(bed, "numbers.gguf", path);
    save(path, &writer);
    satchel_gguf *gguf = open_file(bed, path);
    for (size_t i = 0; i < COUNT; i++)
        expect(gguf, i, 0, names[i], cases[i].name, cases[i].value, 1, false);
    satchel_gguf_close(&gguf);
    assert_null(gguf);
}

static void strings_are_cut_between_characters(void **state) {
    test_bed *bed = *state;
    gguf_writer writer;
    gguf_writer_open(&writer);
    char path[128], text[3001];
    memset(text, 'a', 3000);
    text[3000] = '\0';
    gguf_text(&writer, "plain", "a \"quoted\"\nline");
    gguf_text(&writer, "umlauts", "\xC3\xA4\xC3\xB6\xC3\xBC");
    gguf_text(&writer, "broken", "x\xFFy");
    gguf_text(&writer, "long", text);
    gguf_text(&writer, "none", "");
    test_path(bed, "strings.gguf", path);
    save(path, &writer);
    satchel_gguf *gguf = open_file(bed, path);
    expect(gguf, 0, 0, "plain", "string", "\"a \\\"quoted\\\"\\nline\"", 15, false);
    expect(gguf, 1, 0, "umlauts", "string", "\"\xC3\xA4\xC3\xB6\xC3\xBC\"", 6, false);
    expect(gguf, 1, 5, "umlauts", "string", "\"\xC3\xA4\xC3\xB6\"", 6, true);
    expect(gguf, 1, 1, "umlauts", "string", "\"\"", 6, true);
    expect(gguf, 2, 0, "broken", "string", "\"x\xEF\xBF\xBDy\"", 3, false);
    satchel_error error;
    satchel_gguf_key key;
    test_fine(satchel_gguf_get_key(gguf, 3, 0, &key, sizeof key, &error), &error);
    assert_int_equal(key.value_length, 1024 + 2);
    assert_int_equal(key.cut, 1);
    test_fine(satchel_gguf_get_key(gguf, 3, SIZE_MAX, &key, sizeof key, &error), &error);
    assert_int_equal(key.value_length, 3000 + 2);
    assert_int_equal(key.cut, 0);
    expect(gguf, 4, 0, "none", "string", "\"\"", 0, false);
    satchel_gguf_close(&gguf);
}

static void arrays_show_their_beginning(void **state) {
    test_bed *bed = *state;
    gguf_writer writer;
    gguf_writer_open(&writer);
    char path[128];
    int32_t numbers[20];
    for (int i = 0; i < 20; i++)
        numbers[i] = i - 2;
    const char *words[] = {"one", "tw\xC3\xB6", ""};
    gguf_i32s(&writer, "numbers", numbers, 20);
    gguf_texts(&writer, "words", words, 3);
    gguf_i32s(&writer, "empty", numbers, 0);
    gguf_bytes nested = {0}; /* two arrays of one u8 each */
    gguf_bytes_u32(&nested, ARRAY);
    gguf_bytes_u64(&nested, 2);
    for (int i = 0; i < 2; i++) {
        gguf_bytes_u32(&nested, U8);
        gguf_bytes_u64(&nested, 1);
        gguf_bytes_add(&nested, "\x07", 1);
    }
    gguf_raw(&writer, "nested", ARRAY, nested.data, nested.size);
    free(nested.data);
    test_path(bed, "arrays.gguf", path);
    save(path, &writer);
    satchel_gguf *gguf = open_file(bed, path);
    expect(gguf, 0, 0, "numbers", "array of i32", "[-2,-1,0,1,2,3,4,5,6,7,8,9,10,11,12,13]", 20,
           true);
    expect(gguf, 0, 2, "numbers", "array of i32", "[-2,-1]", 20, true);
    expect(gguf, 1, 0, "words", "array of string", "[\"one\",\"tw\xC3\xB6\",\"\"]", 3, false);
    expect(gguf, 1, 3, "words", "array of string", "[\"one\",\"tw\",\"\"]", 3, true);
    expect(gguf, 2, 0, "empty", "array of i32", "[]", 0, false);
    expect(gguf, 3, 0, "nested", "array of array", "[]", 2, true);
    satchel_gguf_close(&gguf);
}

/* ------------------------------------------------------------------ tensors */

static void tensors_lie_where_they_say(void **state) {
    test_bed *bed = *state;
    gguf_writer writer;
    gguf_writer_open(&writer);
    char path[128];
    float values[64];
    for (int i = 0; i < 64; i++)
        values[i] = (float)i;
    gguf_floats(&writer, "matrix", 0, 4, 8, values);
    gguf_floats(&writer, "quantized", 8, 2, 32, values);
    const uint64_t shape[4] = {5, 1, 1, 1};
    gguf_raw_tensor(&writer, "strange", 4242, 1, shape, 0);
    test_path(bed, "tensors.gguf", path);
    save(path, &writer);
    satchel_gguf *gguf = open_file(bed, path);
    satchel_error error;
    satchel_gguf_info info;
    test_fine(satchel_gguf_get_info(gguf, &info, sizeof info, &error), &error);
    assert_int_equal(info.version, 3);
    assert_int_equal(info.parts, 1);
    assert_int_equal(info.key_count, 0);
    assert_int_equal(info.tensor_count, 3);
    assert_int_equal(info.tensor_bytes, 4 * 8 * 4 + 2 * 34);
    assert_int_equal(info.parameter_count, 32 + 64 + 5);
    satchel_gguf_tensor tensor;
    test_fine(satchel_gguf_get_tensor(gguf, 0, &tensor, sizeof tensor, &error), &error);
    assert_string_equal(tensor.name, "matrix");
    assert_string_equal(tensor.type, "F32");
    assert_int_equal(tensor.rank, 2);
    assert_int_equal(tensor.shape[0], 8);
    assert_int_equal(tensor.shape[1], 4);
    assert_int_equal(tensor.shape[2], 1);
    assert_int_equal(tensor.bytes, 128);
    float read[32];
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(fseek(file, (long)tensor.offset, SEEK_SET), 0);
    assert_int_equal(fread(read, sizeof *read, 32, file), 32);
    assert_memory_equal(read, values, sizeof read);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    assert_int_equal(info.file_bytes, ftell(file));
    fclose(file);
    test_fine(satchel_gguf_get_tensor(gguf, 1, &tensor, sizeof tensor, &error), &error);
    assert_string_equal(tensor.type, "Q8_0");
    assert_int_equal(tensor.type_id, 8);
    assert_int_equal(tensor.bytes, 68);
    test_fine(satchel_gguf_get_tensor(gguf, 2, &tensor, sizeof tensor, &error), &error);
    assert_string_equal(tensor.type, "?");
    assert_int_equal(tensor.type_id, 4242);
    assert_int_equal(tensor.bytes, 0);
    assert_int_equal(tensor.offset, 0);
    assert_int_equal(satchel_gguf_get_tensor(gguf, 3, &tensor, sizeof tensor, &error),
                     SATCHEL_NOT_FOUND);
    assert_null(tensor.name);
    satchel_gguf_close(&gguf);
}

static void a_split_model_is_one(void **state) {
    test_bed *bed = *state;
    char path[128];
    const float value[2] = {1, 2};
    for (uint32_t part = 0; part < 2; part++) {
        gguf_writer writer;
        gguf_writer_open(&writer);
        const uint8_t number[2] = {(uint8_t)part, 0}, count[2] = {2, 0};
        gguf_raw(&writer, "split.no", U16, number, 2);
        gguf_raw(&writer, "split.count", U16, count, 2);
        gguf_floats(&writer, part ? "second" : "first", 0, 0, 1 + part, value);
        test_path(bed, part ? "m-00002-of-00002.gguf" : "m-00001-of-00002.gguf", path);
        save(path, &writer);
    }
    test_path(bed, "m-00001-of-00002.gguf", path);
    satchel_gguf *gguf = open_file(bed, path);
    satchel_error error;
    satchel_gguf_info info;
    test_fine(satchel_gguf_get_info(gguf, &info, sizeof info, &error), &error);
    assert_int_equal(info.parts, 2);
    assert_int_equal(info.key_count, 4);
    assert_int_equal(info.tensor_count, 2);
    assert_int_equal(info.parameter_count, 3);
    satchel_gguf_tensor tensor;
    test_fine(satchel_gguf_get_tensor(gguf, 1, &tensor, sizeof tensor, &error), &error);
    assert_string_equal(tensor.name, "second");
    assert_int_equal(tensor.part, 1);
    satchel_gguf_key key;
    test_fine(satchel_gguf_get_key(gguf, 2, 0, &key, sizeof key, &error), &error);
    assert_string_equal(key.name, "split.no");
    assert_int_equal(key.part, 1);
    satchel_gguf_close(&gguf);
    test_path(bed, "m-00002-of-00002.gguf", path);
    assert_int_equal(satchel_gguf_open(&gguf, bed->context, path, &error),
                     SATCHEL_INVALID_ARGUMENT);
    assert_null(gguf);
    assert_non_null(strstr(error.message, "00001-of-00002"));
}

/* ------------------------------------------------------------------ the border */

static void what_is_wrong_is_said(void **state) {
    test_bed *bed = *state;
    satchel_error error;
    satchel_gguf *gguf = (satchel_gguf *)bed; /* to be set to NULL */
    satchel_gguf_info info = {.version = 9};
    satchel_gguf_key key;
    satchel_gguf_tensor tensor;
    char path[128];
    assert_int_equal(satchel_gguf_open(NULL, bed->context, "x", &error), SATCHEL_INVALID_ARGUMENT);
    assert_int_equal(satchel_gguf_open(&gguf, NULL, "x", &error), SATCHEL_INVALID_ARGUMENT);
    assert_null(gguf);
    assert_int_equal(satchel_gguf_open(&gguf, bed->context, NULL, &error),
                     SATCHEL_INVALID_ARGUMENT);
    test_path(bed, "none.gguf", path);
    assert_int_equal(satchel_gguf_open(&gguf, bed->context, path, &error), SATCHEL_NOT_FOUND);
    assert_non_null(strstr(error.message, "none.gguf"));
    test_path(bed, "text.gguf", path);
    test_write(path, "no model at all, just some text of a certain length\n");
    assert_int_equal(satchel_gguf_open(&gguf, bed->context, path, &error), SATCHEL_DAMAGED);
    assert_null(gguf);
    assert_int_equal(satchel_gguf_get_info(NULL, &info, sizeof info, &error),
                     SATCHEL_INVALID_ARGUMENT);
    assert_int_equal(info.version, 0);
    assert_int_equal(satchel_gguf_get_key(NULL, 0, 0, &key, sizeof key, &error),
                     SATCHEL_INVALID_ARGUMENT);
    assert_int_equal(satchel_gguf_get_tensor(NULL, 0, &tensor, sizeof tensor, &error),
                     SATCHEL_INVALID_ARGUMENT);
    gguf_writer writer;
    gguf_writer_open(&writer);
    gguf_u32(&writer, "one", 1);
    test_path(bed, "one.gguf", path);
    save(path, &writer);
    gguf = open_file(bed, path);
    assert_int_equal(satchel_gguf_get_info(gguf, NULL, 8, &error), SATCHEL_INVALID_ARGUMENT);
    assert_int_equal(satchel_gguf_get_key(gguf, 0, 0, NULL, 8, &error), SATCHEL_INVALID_ARGUMENT);
    assert_int_equal(satchel_gguf_get_tensor(gguf, 0, NULL, 8, &error), SATCHEL_INVALID_ARGUMENT);
    assert_int_equal(satchel_gguf_get_key(gguf, 1, 0, &key, sizeof key, &error), SATCHEL_NOT_FOUND);
    assert_non_null(strstr(error.message, "the file has 1"));
    /* An older caller's struct ends after the name: nothing behind it is touched. */
    memset(&key, 0x5A, sizeof key);
    test_fine(satchel_gguf_get_key(gguf, 0, 0, &key, sizeof key.name, &error), &error);
    assert_string_equal(key.name, "one");
    assert_int_equal(((unsigned char *)&key)[sizeof key.name], 0x5A);
    satchel_gguf_close(&gguf);
    satchel_gguf_close(&gguf);
    satchel_gguf_close(NULL);
}

static void it_outlives_its_context_handle(void **state) {
    test_bed *bed = *state;
    gguf_writer writer;
    gguf_writer_open(&writer);
    gguf_u32(&writer, "one", 1);
    char path[128];
    test_path(bed, "one.gguf", path);
    save(path, &writer);
    satchel_error error;
    satchel_context *context = NULL;
    satchel_gguf *gguf = NULL;
    test_fine(satchel_context_open(&context, NULL, &error), &error);
    test_fine(satchel_gguf_open(&gguf, context, path, &error), &error);
    satchel_context_close(&context);
    expect(gguf, 0, 0, "one", "u32", "1", 1, false);
    /* In a forked child the handle says so, and closing it only forgets it. */
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        satchel_gguf_info info;
        int fine = satchel_gguf_get_info(gguf, &info, sizeof info, NULL) == SATCHEL_FORKED;
        satchel_gguf_close(&gguf);
        _exit(fine && !gguf ? 0 : 1);
    }
    int result = -1;
    assert_int_equal(waitpid(child, &result, 0), child);
    assert_int_equal(result, 0);
    satchel_gguf_close(&gguf);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        WITHOUT_MODEL(numbers_of_every_type),
        WITHOUT_MODEL(strings_are_cut_between_characters),
        WITHOUT_MODEL(arrays_show_their_beginning),
        WITHOUT_MODEL(tensors_lie_where_they_say),
        WITHOUT_MODEL(a_split_model_is_one),
        WITHOUT_MODEL(what_is_wrong_is_said),
        WITHOUT_MODEL(it_outlives_its_context_handle),
    };
    return cmocka_run_group_tests_name("gguf", tests, NULL, NULL);
}
