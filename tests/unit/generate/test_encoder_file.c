/*
 * The text encoder on tiny models: what file and options decide (limits, prefixes, pooling, the
 * fingerprint), and what happens to wrong calls, wrong files, full memory.
 */
#include "tests/unit/generate/encoder_unit.h"

enum { D = 64, WIDEST = 256, TEXTS = 300 };

/* ------------------------------------------------------------------ limits and prefixes */

static void long_texts_are_cut_at_the_limit(void **state) {
    char text[4096] = "", head[4096] = "";
    float whole[D], cut[D];
    for (int i = 0; i < 500; i++)
        strcat(text, i % 2 ? "the " : "of ");
    for (int limit = 16; limit <= 64; limit += 16) {
        tiny_shape from_file = {.max_tokens = (uint32_t)limit};
        sat_encoder_options option = {.max_tokens = limit};
        for (int way = 0; way < 2; way++) {
            sat_encoder *encoder = open_shape(way ? &from_file : NULL, way ? NULL : &option);
            satchel_model_info info;
            sat_encoder_info(encoder, &info);
            assert_int_equal(info.max_tokens, limit);
            head[0] = 0;
            for (int i = 0; i < limit - 2; i++) /* [CLS] and [SEP] take two */
                strcat(head, i % 2 ? "the " : "of ");
            embed_one(encoder, SATCHEL_ROLE_DOCUMENT, text, whole);
            embed_one(encoder, SATCHEL_ROLE_DOCUMENT, head, cut);
            assert_memory_equal(whole, cut, sizeof cut);
            head[strlen(head) - strlen("the ")] = 0; /* the last one is read */
            embed_one(encoder, SATCHEL_ROLE_DOCUMENT, head, cut);
            assert_memory_not_equal(whole, cut, sizeof cut);
            sat_encoder_close(&encoder);
        }
    }
}

static void a_cut_falls_between_tokens_not_words(void **state) {
    /* 14 places: the word's third piece is the last that fits. */
    char text[256] = "";
    float whole[D], cut[D];
    sat_encoder_options options = {.max_tokens = 16};
    sat_encoder *encoder = open_shape(NULL, &options);
    for (int i = 0; i < 12; i++)
        strcat(text, "the ");
    strcat(text, "unwanted");
    embed_one(encoder, SATCHEL_ROLE_DOCUMENT, text, whole);
    text[strlen(text) - 2] = 0; /* "unwant": the two pieces that fit */
    embed_one(encoder, SATCHEL_ROLE_DOCUMENT, text, cut);
    assert_memory_equal(whole, cut, sizeof cut);
    sat_encoder_close(&encoder);
}

static void prefixes_stand_before_the_text(void **state) {
    tiny_shape shape = {.query_prefix = "query: ", .document_prefix = "passage: "};
    sat_encoder_options none = {.query_prefix = "", .document_prefix = ""};
    sat_encoder_options joined = {.query_prefix = "un", .document_prefix = NULL};
    sat_encoder *with = open_shape(&shape, NULL), *without = open_shape(&shape, &none),
                *join = open_shape(&shape, &joined);
    satchel_model_info info[2];
    float a[D], b[D];
    embed_one(with, SATCHEL_ROLE_QUERY, "hello", a);
    embed_one(without, SATCHEL_ROLE_QUERY, "query: hello", b);
    assert_memory_equal(a, b, sizeof a);
    embed_one(with, SATCHEL_ROLE_DOCUMENT, "hello", a);
    embed_one(without, SATCHEL_ROLE_DOCUMENT, "passage: hello", b);
    assert_memory_equal(a, b, sizeof a);
    embed_one(without, SATCHEL_ROLE_DOCUMENT, "hello", b);
    assert_memory_not_equal(a, b, sizeof a);
    /* A prefix is part of the string: it may join the first word. */
    embed_one(join, SATCHEL_ROLE_QUERY, "wanted", a);
    embed_one(without, SATCHEL_ROLE_QUERY, "unwanted", b);
    assert_memory_equal(a, b, sizeof a);
    /* What is left for a document's own text. */
    sat_encoder_info(with, &info[0]);
    sat_encoder_info(without, &info[1]);
    assert_int_equal(info[0].max_tokens, 62);
    assert_int_equal(info[1].max_tokens, 64);
    assert_string_not_equal(info[0].fingerprint, info[1].fingerprint);
    sat_encoder_close(&with);
    sat_encoder_close(&without);
    sat_encoder_close(&join);
}

static void pooling_is_the_file_s_or_the_option_s(void **state) {
    tiny_shape mean = {.pooling = 1}, cls = {.pooling = 2}, last = {.pooling = 3};
    tiny_shape rank = {.pooling = 4};
    sat_encoder_options to_cls = {.pooling = SATCHEL_POOLING_CLS};
    sat_encoder *encoder[5] = {open_shape(&mean, NULL), open_shape(&cls, NULL),
                               open_shape(&mean, &to_cls), open_shape(NULL, NULL),
                               open_shape(&last, NULL)};
    float out[5][D];
    satchel_error error;
    for (int i = 0; i < 5; i++) {
        embed_one(encoder[i], SATCHEL_ROLE_DOCUMENT, "hello world", out[i]);
        sat_encoder_close(&encoder[i]);
    }
    assert_memory_not_equal(out[0], out[1], sizeof out[0]);
    assert_memory_equal(out[1], out[2], sizeof out[0]);
    assert_memory_equal(out[0], out[3], sizeof out[0]);
    assert_memory_not_equal(out[0], out[4], sizeof out[0]);
    assert_memory_not_equal(out[1], out[4], sizeof out[0]);
    assert_int_equal(tiny_model_open_shape(&encoder[0], context, &rank, NULL, &error),
                     SATCHEL_UNSUPPORTED);
    assert_non_null(strstr(error.message, "pooling_type"));
}

/* ------------------------------------------------------------------ about */

static void the_fingerprint_names_the_vectors(void **state) {
    static const tiny_shape shapes[] = {
        {0},
        {.type = 1},
        {.type = 8},
        {.layers = 1},
        {.pooling = 2},
        {.max_tokens = 32},
        {.query_prefix = "q"},
        {.document_prefix = "q"},
        {.cased = true},
        {.heads = 4},
    };
    char seen[SAT_COUNT(shapes)][40];
    for (size_t i = 0; i < SAT_COUNT(shapes); i++) {
        for (int again = 0; again < 2; again++) { /* the same file gives the same name */
            sat_encoder *encoder = open_shape(&shapes[i], NULL);
            satchel_model_info info;
            sat_encoder_info(encoder, &info);
            assert_int_equal(strlen(info.fingerprint), 32);
            assert_int_equal(strspn(info.fingerprint, "0123456789abcdef"), 32);
            if (again)
                assert_string_equal(seen[i], info.fingerprint);
            snprintf(seen[i], sizeof seen[i], "%s", info.fingerprint);
            sat_encoder_close(&encoder);
        }
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(seen[i], seen[j]);
    }
}

static void info_says_what_the_file_holds(void **state) {
    tiny_shape shape = {.type = 8, .layers = 1};
    sat_encoder *encoder = open_shape(&shape, NULL);
    satchel_model_info info;
    sat_encoder_info(encoder, &info);
    int64_t v = (int64_t)tiny_vocabulary_size(), d = 64, f = 128;
    assert_string_equal(info.name, "tiny");
    assert_string_equal(info.architecture, "bert");
    assert_string_equal(info.weight_type, "Q8_0");
    assert_int_equal(info.dimension, d);
    assert_int_equal(info.vocabulary_size, v);
    assert_int_equal(info.parameter_count,
                     (v + 64 + 2 + 2) * d + 4 * (d * d + d) + 4 * d + 2 * d * f + d + f);
    assert_true(info.file_bytes > v * d);
    sat_encoder_close(&encoder);
}

static void tokens_have_their_special_ones_around_them(void **state) {
    sat_encoder *encoder = open_shape(NULL, NULL);
    const char *text = "hello world";
    int32_t ids[8];
    size_t count;
    for (size_t capacity = 0; capacity <= 5; capacity++) {
        memset(ids, 0x55, sizeof ids);
        assert_int_equal(
            sat_encoder_tokenize(encoder, text, strlen(text), ids, capacity, &count, NULL),
            SATCHEL_OK);
        const int32_t expected[4] = {2, tiny_id("hello"), tiny_id("world"), 3};
        assert_int_equal(count, 4);
        assert_memory_equal(ids, expected, (capacity < 4 ? capacity : 4) * sizeof *ids);
        for (size_t i = capacity; i < 8; i++)
            assert_true(ids[i] == 0x55555555 || i < 4);
        assert_int_equal(ids[capacity < 4 ? capacity : 4], 0x55555555);
    }
    assert_string_equal(sat_encoder_token(encoder, 3), "[SEP]");
    sat_encoder_close(&encoder);
}

static void coverage_is_the_share_that_the_vocabulary_knows(void **state) {
    sat_encoder *encoder = open_shape(&(tiny_shape){0}, NULL);
    float share = -1;
    assert_int_equal(sat_encoder_coverage(encoder, "hello z", 7, &share, NULL), SATCHEL_OK);
    assert_true(share > 0.833f && share < 0.834f); /* 5 characters of 6 */
    assert_int_equal(sat_encoder_coverage(encoder, "\xFF", 1, &share, NULL), SATCHEL_INVALID_TEXT);
    sat_encoder_close(&encoder);
}

/* ------------------------------------------------------------------ refusals */

static void wrong_calls_are_refused(void **state) {
    sat_encoder *encoder = open_shape(NULL, NULL);
    satchel_error error;
    float out[3 * D];
    satchel_text texts[3] = {text_of("a"), text_of("b"), {"bad \xFF", 5}};
    assert_int_equal(sat_encoder_embed(encoder, 0, texts, 3, out, NULL, &error),
                     SATCHEL_INVALID_TEXT);
    assert_non_null(strstr(error.message, "text 2"));
    assert_non_null(strstr(error.message, "byte 4"));
    assert_int_equal(sat_encoder_embed(encoder, 2, texts, 2, out, NULL, &error),
                     SATCHEL_INVALID_ARGUMENT);
    assert_int_equal(sat_encoder_embed(encoder, 0, NULL, 2, out, NULL, &error),
                     SATCHEL_INVALID_ARGUMENT);
    assert_int_equal(sat_encoder_embed(encoder, 0, texts, SIZE_MAX, out, NULL, &error),
                     SATCHEL_INVALID_ARGUMENT);
    assert_int_equal(sat_encoder_embed(encoder, 0, NULL, 0, NULL, NULL, &error), SATCHEL_OK);
    texts[0] = (satchel_text){NULL, 0}; /* empty is a text */
    assert_int_equal(sat_encoder_embed(encoder, 0, texts, 1, out, NULL, &error), SATCHEL_OK);
    sat_encoder_close(&encoder);
}

static void wrong_options_are_refused(void **state) {
    static const sat_encoder_options cases[] = {
        {.pooling = 4},
        {.pooling = -1},
        {.dimension = -1},
        {.dimension = 65}, /* more than the model's */
        {.max_tokens = 15},
        {.max_tokens = -1},
        {.max_tokens = 65}, /* more than positions */
        {.query_prefix = "\xFF"},
        {.document_prefix = "a b c d e f g h i j k l m n o p q r s t u v w x y z a b c d e f g h i "
                            "j k l m n o p q r s t u v w x y z"},
    };
    for (size_t i = 0; i < SAT_COUNT(cases); i++) {
        sat_encoder *encoder;
        satchel_error error = {0};
        assert_int_equal(tiny_model_open_shape(&encoder, context, NULL, &cases[i], &error),
                         SATCHEL_INVALID_ARGUMENT);
        assert_null(encoder);
        assert_true(error.message[0] != 0);
    }
}

static void a_fired_cancel_ends_the_work(void **state) {
    static float out[TEXTS * D];
    static satchel_text texts[TEXTS];
    satchel_cancel cancel = {.context = context, .fired = 1, .references = 1};
    sat_encoder *encoder = open_shape(NULL, NULL);
    for (size_t i = 0; i < TEXTS; i++)
        texts[i] = text_of("hello world");
    assert_int_equal(sat_encoder_embed(encoder, 0, texts, TEXTS, out, &cancel, NULL),
                     SATCHEL_CANCELLED);
    cancel.fired = 0;
    assert_int_equal(sat_encoder_embed(encoder, 0, texts, TEXTS, out, &cancel, NULL), SATCHEL_OK);
    sat_encoder_close(&encoder);
}

/* What is missing or does not fit is named. */
static void files_that_contradict_themselves_are_refused(void **state) {
    static const wrong_shape cases[] = {
        {{.leave_out = "general.architecture"}, SATCHEL_UNSUPPORTED, "architecture"},
        {{.leave_out = "bert.block_count"}, SATCHEL_DAMAGED, "bert.block_count"},
        {{.leave_out = "tokenizer.ggml.tokens"}, SATCHEL_DAMAGED, "tokens"},
        {{.leave_out = "token_embd.weight"}, SATCHEL_DAMAGED, "token_embd.weight"},
        {{.leave_out = "position_embd.weight"}, SATCHEL_DAMAGED, "position_embd.weight"},
        {{.leave_out = "blk.1.attn_k.weight"}, SATCHEL_DAMAGED, "blk.1.attn_k.weight"},
        {{.leave_out = "blk.1.ffn_down.weight"}, SATCHEL_DAMAGED, "blk.1.ffn_down.weight"},
        {{.leave_out = "blk.0.layer_output_norm.weight"}, SATCHEL_DAMAGED, "layer_output_norm"},
        {{.other_shape = "blk.0.ffn_up.weight"}, SATCHEL_DAMAGED, "blk.0.ffn_up.weight"},
        {{.other_shape = "blk.0.attn_q.bias"}, SATCHEL_DAMAGED, "blk.0.attn_q.bias"},
        {{.other_shape = "blk.0.ffn_up.weight", .other_type = 24}, SATCHEL_UNSUPPORTED, "I8"},
        {{.one_more = "blk.0.attn_q_norm.weight"}, SATCHEL_UNSUPPORTED, "blk.0.attn_q_norm.weight"},
        {{.one_more = "pooler.bias"}, SATCHEL_UNSUPPORTED, "pooler.bias"},
        {{.heads = 3}, SATCHEL_DAMAGED, "heads"},
        {{.positions = 8}, SATCHEL_UNSUPPORTED, "tokens"},
        {{.max_tokens = 65}, SATCHEL_DAMAGED, "max_seq_length"},
        {{.max_tokens = 4}, SATCHEL_DAMAGED, "max_seq_length"},
    };
    refuse_shapes(cases, SAT_COUNT(cases));
}

/* Optional tensors: without them their values are zero. */
static void biases_and_token_types_may_be_absent(void **state) {
    static const char *const optional[] = {"token_types.weight", "blk.0.attn_q.bias",
                                           "blk.1.ffn_down.bias", "token_embd_norm.bias"};
    float with[D], without[D];
    sat_encoder *encoder = open_shape(NULL, NULL);
    embed_one(encoder, 0, "hello world", with);
    sat_encoder_close(&encoder);
    for (size_t i = 0; i < SAT_COUNT(optional); i++) {
        tiny_shape shape = {.leave_out = optional[i]};
        encoder = open_shape(&shape, NULL);
        embed_one(encoder, 0, "hello world", without);
        assert_memory_not_equal(with, without, sizeof with);
        sat_encoder_close(&encoder);
    }
}

/* Flips bytes all over the file. Most still open (weights may be anything); whatever they do then, it is
 * vectors or a status. */
static void flipped_bytes_are_survived(void **state) {
    tiny_shape shape = {
        .dimension = 32, .heads = 1, .ffn = 32, .layers = 1, .positions = 16, .type = 8};
    size_t size, worked = 0, refused = 0;
    uint8_t *bytes = tiny_model_bytes(&shape, &size);
    satchel_text texts[2] = {text_of("hello unwanted world"), text_of("")};
    uint64_t seed = 5;
    for (size_t at = 0; at < size; at += 1 + test_random(&seed) % (at < 12000 ? 3 : 40)) {
        uint8_t mask = (uint8_t)(1u << test_random(&seed) % 8);
        bytes[at] ^= mask;
        sat_mapping mapping;
        sat_encoder *encoder;
        satchel_error error = {0};
        assert_true(tiny_mapping(&mapping, context, bytes, size));
        satchel_status status =
            sat_encoder_open(&encoder, context, &mapping, "flipped", NULL, &error);
        if (status == SATCHEL_OK) {
            float out[2 * WIDEST];
            satchel_model_info info;
            sat_encoder_info(encoder, &info);
            assert_int_equal(info.dimension, 32);
            status = sat_encoder_embed(encoder, 1, texts, 2, out, NULL, &error);
            sat_encoder_close(&encoder);
        }
        if (status == SATCHEL_OK) {
            worked++;
        } else {
            assert_true(status == SATCHEL_DAMAGED || status == SATCHEL_UNSUPPORTED);
            assert_true(error.message[0] != 0);
            refused++;
        }
        assert_null(mapping.base);
        bytes[at] ^= mask;
    }
    assert_true(worked > 100 && refused > 100);
    free(bytes);
}

static void weights_that_are_not_numbers_are_reported(void **state) {
    tiny_shape shape = {.layers = 1};
    size_t size;
    uint8_t *bytes = tiny_model_bytes(&shape, &size);
    /* The last tensor of the file is a norm's bias of 64 floats. */
    memset(bytes + size - 4, 0xff, 4);
    sat_mapping mapping;
    sat_encoder *encoder;
    satchel_error error = {0};
    float out[D];
    satchel_text text = text_of("hello");
    assert_true(tiny_mapping(&mapping, context, bytes, size));
    free(bytes);
    assert_int_equal(sat_encoder_open(&encoder, context, &mapping, "nan", NULL, &error),
                     SATCHEL_OK);
    assert_int_equal(sat_encoder_embed(encoder, 0, &text, 1, out, NULL, &error), SATCHEL_DAMAGED);
    assert_non_null(strstr(error.message, "not numbers"));
    sat_encoder_close(&encoder);
}

/* ------------------------------------------------------------------ memory */

static void every_failed_allocation_is_survived(void **state) {
    const tiny_shape shape = {.type = 8, .query_prefix = "query: "};
    survive_failed_allocations(&shape);
}

static void the_memory_limit_names_the_need(void **state) {
    satchel_context_options options = {.struct_size = sizeof options, .memory_limit = 600000};
    tiny_shape shape = {.dimension = 128, .heads = 4, .ffn = 512, .layers = 4};
    satchel_context *small;
    sat_encoder *encoder;
    satchel_error error = {0};
    sat_mapping mapping = {0};
    size_t size;
    uint8_t *bytes = tiny_model_bytes(&shape, &size);
    assert_int_equal(sat_context_open(&small, &options, NULL), SATCHEL_OK);
    mapping.data = bytes; /* borrowed: as a mapped file it does not count */
    mapping.size = size;
    assert_int_equal(sat_encoder_open(&encoder, small, &mapping, "large", NULL, &error),
                     SATCHEL_MEMORY_LIMIT);
    assert_null(encoder);
    sat_context_release(small);
    free(bytes);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(long_texts_are_cut_at_the_limit),
        cmocka_unit_test(a_cut_falls_between_tokens_not_words),
        cmocka_unit_test(prefixes_stand_before_the_text),
        cmocka_unit_test(pooling_is_the_file_s_or_the_option_s),
        cmocka_unit_test(the_fingerprint_names_the_vectors),
        cmocka_unit_test(info_says_what_the_file_holds),
        cmocka_unit_test(tokens_have_their_special_ones_around_them),
        cmocka_unit_test(coverage_is_the_share_that_the_vocabulary_knows),
        cmocka_unit_test(wrong_calls_are_refused),
        cmocka_unit_test(wrong_options_are_refused),
        cmocka_unit_test(a_fired_cancel_ends_the_work),
        cmocka_unit_test(files_that_contradict_themselves_are_refused),
        cmocka_unit_test(biases_and_token_types_may_be_absent),
        cmocka_unit_test(flipped_bytes_are_survived),
        cmocka_unit_test(weights_that_are_not_numbers_are_reported),
        cmocka_unit_test(every_failed_allocation_is_survived),
        cmocka_unit_test(the_memory_limit_names_the_need),
    };
    return cmocka_run_group_tests(tests, open_context, close_context);
}
