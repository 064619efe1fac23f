/* Vocabularies made to hurt: missing and short arrays, ids out of range, tables that point anywhere. Each is
 * refused with a message or has the behaviour that generate/tokenizer.h names. */
#include "tests/unit/generate/context_unit.h"

#include <math.h>

#include "generate/generate.h"
#include "tests/support/tiny_tokenizer.h"

/* Closes the writer and opens what it wrote. The tokens of `text` go to `tokens` if that works. */
static satchel_status try_file(gguf_writer *writer, const char *text, sat_tokens *tokens,
                               satchel_error *error) {
    size_t size;
    uint8_t *bytes = gguf_writer_close(writer, &size);
    sat_gguf *gguf;
    sat_tokenizer *tokenizer = NULL;
    memset(error, 0, sizeof *error);
    satchel_status status = sat_gguf_open(&gguf, context, bytes, size, "t", error);
    if (!status)
        status = sat_tokenizer_open(&tokenizer, context, gguf, error);
    if (!status && text) {
        sat_text_part part = {.text = text, .length = strlen(text), .trusted = true};
        status = sat_tokenizer_encode(tokenizer, &part, 1, SAT_ENCODE_BARE, tokens, error);
        for (size_t i = 0; !status && i < tokens->count; i++)
            assert_in_range(tokens->ids[i], 0, sat_tokenizer_size(tokenizer) - 1);
    }
    assert_int_equal(error->code, status);
    sat_tokenizer_close(&tokenizer);
    sat_gguf_close(&gguf);
    free(bytes);
    return status;
}

static void refused(gguf_writer *writer, satchel_status status, const char *part) {
    satchel_error error;
    assert_int_equal(try_file(writer, NULL, NULL, &error), status);
    if (!strstr(error.message, part))
        fail_msg("\"%s\" does not say \"%s\"", error.message, part);
}

static void begin(gguf_writer *writer, const char *model, const char *const *pieces, size_t count) {
    gguf_writer_open(writer);
    gguf_text(writer, "tokenizer.ggml.model", model);
    if (pieces)
        gguf_texts(writer, "tokenizer.ggml.tokens", pieces, count);
}

static void floats(gguf_writer *writer, const char *key, const float *values, size_t count) {
    gguf_bytes bytes = {0};
    gguf_bytes_u32(&bytes, 6);
    gguf_bytes_u64(&bytes, count);
    gguf_bytes_add(&bytes, values, count * sizeof *values);
    gguf_raw(writer, key, 9, bytes.data, bytes.size);
    free(bytes.data);
}

static const char *const few[] = {"<unk>", "<s>", "</s>", "a", "b", "ab"};

static void models_and_pretokenizers_that_are_not_known_are_named(void **state) {
    gguf_writer writer;
    begin(&writer, "rwkv", few, 6);
    refused(&writer, SATCHEL_UNSUPPORTED, "rwkv");
    gguf_writer_open(&writer);
    refused(&writer, SATCHEL_UNSUPPORTED, "(missing)");
    gguf_writer_open(&writer);
    tiny_tokenizer_keys(&writer, TINY_BPE, "some-new-one");
    refused(&writer, SATCHEL_UNSUPPORTED, "some-new-one");
}

static void missing_and_short_arrays_are_refused(void **state) {
    gguf_writer writer;
    static const int32_t types[] = {2, 3};
    static const float scores[] = {1, 2};
    begin(&writer, "llama", NULL, 0);
    refused(&writer, SATCHEL_DAMAGED, "tokenizer.ggml.tokens is missing");
    begin(&writer, "llama", few, 0);
    refused(&writer, SATCHEL_DAMAGED, "tokenizer.ggml.tokens is missing or empty");
    begin(&writer, "llama", NULL, 0);
    gguf_i32s(&writer, "tokenizer.ggml.tokens", types, 2);
    refused(&writer, SATCHEL_DAMAGED, "no string at index 0");
    begin(&writer, "llama", few, 6);
    gguf_i32s(&writer, "tokenizer.ggml.token_type", types, 2);
    refused(&writer, SATCHEL_DAMAGED, "token_type has no number at index 2");
    begin(&writer, "llama", few, 6);
    gguf_texts(&writer, "tokenizer.ggml.token_type", few, 6);
    refused(&writer, SATCHEL_DAMAGED, "token_type has no number at index 0");
    begin(&writer, "llama", few, 6);
    floats(&writer, "tokenizer.ggml.scores", scores, 2);
    refused(&writer, SATCHEL_DAMAGED, "scores has no number at index 2");
    begin(&writer, "gpt2", few, 6);
    refused(&writer, SATCHEL_DAMAGED, "tokenizer.ggml.merges is missing");
    begin(&writer, "gpt2", few, 6);
    gguf_i32s(&writer, "tokenizer.ggml.merges", types, 2);
    refused(&writer, SATCHEL_DAMAGED, "merges is not an array of strings");
}

static void ids_out_of_range_are_refused(void **state) {
    static const char *const keys[] = {"bos",     "eos",       "eot", "unknown",
                                       "padding", "seperator", "mask"};
    for (size_t i = 0; i < SAT_COUNT(keys); i++) {
        gguf_writer writer;
        char key[64];
        snprintf(key, sizeof key, "tokenizer.ggml.%s_token_id", keys[i]);
        begin(&writer, "llama", few, 6);
        gguf_u32(&writer, key, 6);
        refused(&writer, SATCHEL_DAMAGED, key);
    }
    gguf_writer writer;
    satchel_error error;
    begin(&writer, "llama", few, 6);
    gguf_u32(&writer, "tokenizer.ggml.bos_token_id", UINT32_MAX); /* "none" */
    assert_int_equal(try_file(&writer, NULL, NULL, &error), SATCHEL_OK);
}

static void twins_and_empty_pieces_do_no_harm(void **state) {
    static const char *const pieces[] = {"<unk>", "<s>", "</s>", "", "a", "a", "", "ab", "b", "ab"};
    gguf_writer writer;
    satchel_error error;
    sat_tokens tokens = {0};
    begin(&writer, "llama", pieces, 10);
    gguf_bool(&writer, "tokenizer.ggml.add_space_prefix", false);
    assert_int_equal(try_file(&writer, "aab", &tokens, &error), SATCHEL_OK);
    assert_int_equal(tokens.count, 2); /* of twins the later */
    assert_int_equal(tokens.ids[0], 5);
    assert_int_equal(tokens.ids[1], 9);
    sat_tokens_free(&tokens);
}

static void scores_that_are_no_numbers_are_the_lowest(void **state) {
    static const char *const pieces[] = {"<unk>", "<s>", "</s>", "a", "b", "c", "ab", "bc"};
    static const char *const models[] = {"llama", "t5"};
    static const float scores[] = {0, 0, 0, -1, -1, -1, NAN, -5};
    static const float infinite[] = {0, 0, 0, INFINITY, -INFINITY, NAN, -INFINITY, INFINITY};
    static const int32_t types[] = {2, 3, 3, 1, 1, 1, 1, 1};
    for (size_t i = 0; i < 4; i++) {
        gguf_writer writer;
        satchel_error error;
        sat_tokens tokens = {0};
        begin(&writer, models[i % 2], pieces, 8);
        gguf_bool(&writer, "tokenizer.ggml.add_space_prefix", false);
        gguf_i32s(&writer, "tokenizer.ggml.token_type", types, 8);
        gguf_u32(&writer, "tokenizer.ggml.unknown_token_id", 0);
        floats(&writer, "tokenizer.ggml.scores", i < 2 ? scores : infinite, 8);
        assert_int_equal(try_file(&writer, "abcxcba", &tokens, &error), SATCHEL_OK);
        assert_true(tokens.count >= 2);
        if (i == 0) { /* "bc" at −5 goes before "ab" at no number */
            assert_int_equal(tokens.ids[0], 3);
            assert_int_equal(tokens.ids[1], 7);
        }
        sat_tokens_free(&tokens);
    }
}

static void a_vocabulary_without_bytes_says_unknown_or_nothing(void **state) {
    gguf_writer writer;
    satchel_error error;
    sat_tokens tokens = {0};
    begin(&writer, "llama", few, 6);
    gguf_bool(&writer, "tokenizer.ggml.add_space_prefix", false);
    assert_int_equal(try_file(&writer, "a\xC3\xA9z", &tokens, &error), SATCHEL_OK);
    assert_int_equal(tokens.count, 3);
    assert_int_equal(tokens.ids[1], 0);
    sat_tokens_free(&tokens);
    static const char *const merges[] = {"a b", "a", " ", "", "  ", "b  ", "zz b", "a zz"};
    begin(&writer, "gpt2", few, 6);
    gguf_texts(&writer, "tokenizer.ggml.merges", merges, 8);
    assert_int_equal(try_file(&writer, "ab\xC3\xA9z", &tokens, &error), SATCHEL_OK);
    assert_int_equal(tokens.count, 1);
    assert_int_equal(tokens.ids[0], 5);
    sat_tokens_free(&tokens);
}

static void overlong_pieces_are_never_produced(void **state) {
    char *text = malloc(10001);
    assert_non_null(text);
    memset(text, 'a', 10000);
    text[10000] = 0;
    const char *pieces[] = {"<unk>", "<s>", "</s>", "a", text};
    static const int32_t types[] = {2, 3, 3, 1, 3};
    for (int control = 0; control < 2; control++) {
        gguf_writer writer;
        satchel_error error;
        sat_tokens tokens = {0};
        begin(&writer, "llama", pieces, 5);
        if (control)
            gguf_i32s(&writer, "tokenizer.ggml.token_type", types, 5);
        gguf_bool(&writer, "tokenizer.ggml.add_space_prefix", false);
        assert_int_equal(try_file(&writer, text, &tokens, &error), SATCHEL_OK);
        assert_int_equal(tokens.count, 10000);
        sat_tokens_free(&tokens);
    }
    free(text);
}

static void tables_of_normalisation_that_point_anywhere_are_survived(void **state) {
    uint64_t seed = 11;
    for (int round = 0; round < 300; round++) {
        gguf_writer writer;
        satchel_error error;
        sat_tokens tokens = {0};
        uint32_t units[600], table = sizeof units;
        for (size_t i = 0; i < SAT_COUNT(units); i++) /* labels that are met often */
            units[i] = (test_random(&seed) & 0xFFF) << 10 | (test_random(&seed) & 1) << 8 |
                       (test_random(&seed) % 3 ? (i & 0xFF) : (uint32_t)('a' + i % 3));
        if (round % 4 == 3)
            table = test_random(&seed);
        gguf_bytes bytes = {0};
        gguf_bytes_u32(&bytes, 0);
        gguf_bytes_u64(&bytes, 4 + sizeof units + 8);
        gguf_bytes_u32(&bytes, table);
        gguf_bytes_add(&bytes, units, sizeof units);
        gguf_bytes_add(&bytes, round % 2 ? "ab\0c\xFF\0de" : "abcdefgh", 8);
        begin(&writer, round % 3 ? "t5" : "llama", few, 6);
        gguf_raw(&writer, "tokenizer.ggml.precompiled_charsmap", 9, bytes.data, bytes.size);
        free(bytes.data);
        satchel_status status = try_file(&writer, "abc ab c\xC3\xA9 abcabc", &tokens, &error);
        assert_int_equal(status, table > sizeof units + 8 || table < 4 ? SATCHEL_DAMAGED : 0);
        sat_tokens_free(&tokens);
    }
    gguf_writer writer;
    begin(&writer, "t5", few, 6);
    gguf_texts(&writer, "tokenizer.ggml.precompiled_charsmap", few, 6);
    refused(&writer, SATCHEL_DAMAGED, "not an array of bytes");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(models_and_pretokenizers_that_are_not_known_are_named),
        cmocka_unit_test(missing_and_short_arrays_are_refused),
        cmocka_unit_test(ids_out_of_range_are_refused),
        cmocka_unit_test(twins_and_empty_pieces_do_no_harm),
        cmocka_unit_test(scores_that_are_no_numbers_are_the_lowest),
        cmocka_unit_test(a_vocabulary_without_bytes_says_unknown_or_nothing),
        cmocka_unit_test(overlong_pieces_are_never_produced),
        cmocka_unit_test(tables_of_normalisation_that_point_anywhere_are_survived),
    };
    return cmocka_run_group_tests(tests, open_context, close_context);
}
