/*
 * Encoders of other architectures than BERT's, on tiny models: the same bits in every batch and at
 * every CPU level, windows, default prompts, shorter vectors, weights that stay mapped, another
 * vocabulary, and files that are damaged. The vectors themselves beside a float64 model:
 * tests/peers.
 */
#include "tests/unit/generate/encoder_unit.h"

#include <math.h>

enum { D = 64, TEXTS = 7 };

static const tiny_shape shapes[] = {
    {.arch = "nomic-bert"},
    {.arch = "nomic-bert", .type = 8, .dimension = 96, .heads = 3, .pooling = 3},
    {.arch = "modern-bert", .layers = 4, .window = 6, .positions = 128},
    {.arch = "modern-bert", .layers = 2, .type = 8, .window = 16, .ffn = 96, .pooling = 2},
    {.arch = "gemma-embedding", .layers = 7, .window = 8, .heads = 4, .kv_heads = 2, .dense = 96},
    {.arch = "gemma-embedding", .type = 1, .window = 8, .heads = 1, .dense = 64},
    {.arch = "gemma-embedding", .type = 2, .heads = 4, .kv_heads = 1, .dense = 128},
    {.unigram = true, .type = 30},
    {.type = 2, .mixed = true, .ffn = 96},
};

static const char *const sentences[TEXTS] = {
    "",
    "hello",
    "the answer of the world",
    "hello world, unwanted running? the store (of the sentence) and the passage - the query.",
    "un un un the the a b c d e f g h i j k l m n o p q r s t u v w x y z 1 2 3",
    "z",
    "wanted",
};

static int32_t output_of(const sat_encoder *encoder) {
    satchel_model_info info;
    sat_encoder_info(encoder, &info);
    return info.dimension;
}

static void a_vector_depends_on_its_text_alone(void **state) {
    for (size_t s = 0; s < SAT_COUNT(shapes); s++) {
        sat_encoder *encoder = open_shape(&shapes[s], NULL);
        size_t d = (size_t)output_of(encoder);
        satchel_text texts[TEXTS];
        float *together = calloc(TEXTS * d, sizeof *together), *alone = calloc(d, sizeof *alone);
        assert_true(together && alone);
        for (size_t i = 0; i < TEXTS; i++)
            texts[i] = text_of(sentences[i]);
        assert_int_equal(sat_encoder_embed(encoder, 0, texts, TEXTS, together, NULL, NULL),
                         SATCHEL_OK);
        for (size_t i = 0; i < TEXTS; i++) {
            double length = 0;
            embed_one(encoder, 0, sentences[i], alone);
            assert_memory_equal(alone, together + i * d, d * sizeof *alone);
            for (size_t j = 0; j < d; j++)
                length += (double)alone[j] * (double)alone[j];
            assert_true(fabs(length - 1) < 1e-6);
        }
        assert_memory_not_equal(together + d, together + 2 * d, d * sizeof *alone);
        free(together);
        free(alone);
        sat_encoder_close(&encoder);
    }
}

static void every_cpu_level_gives_the_same_bits(void **state) {
    for (size_t s = 0; s < SAT_COUNT(shapes); s++) {
        float expected[2 * D], found[2 * D];
        sat_encoder *encoder = open_shape(&shapes[s], NULL);
        embed_one(encoder, 0, sentences[3], expected);
        size_t bytes = (size_t)output_of(encoder) * sizeof *expected;
        sat_encoder_close(&encoder);
        for (int32_t level = SATCHEL_CPU_C; level <= sat_cpu_best(); level++) {
            satchel_context_options options = {
                .struct_size = sizeof options, .threads = 1, .cpu_level = level};
            satchel_context *other;
            if (sat_context_open(&other, &options, NULL)) /* not a level of this machine */
                continue;
            assert_int_equal(tiny_model_open_shape(&encoder, other, &shapes[s], NULL, NULL),
                             SATCHEL_OK);
            embed_one(encoder, 0, sentences[3], found);
            assert_memory_equal(expected, found, bytes);
            sat_encoder_close(&encoder);
            sat_context_release(other);
        }
    }
}

/* With a window in every layer and the first token's vector, what lies beyond all windows changes
 * nothing; where some layer sees everything, it does. */
static void windows_are_honoured(void **state) {
    static const char *const near = "a b c d e f g h i j k l m n o p q r s t",
                             *const far = "a b c d e f g h i j k l m n o p q r s z";
    const tiny_shape windowed = {.arch = "gemma-embedding", .layers = 3, .window = 4, .pooling = 2},
                     full = {.arch = "gemma-embedding", .layers = 6, .window = 4, .pooling = 2},
                     modern = {.arch = "modern-bert", .layers = 1, .window = 4, .pooling = 2};
    const tiny_shape *const all[] = {&windowed, &full, &modern};
    const sat_encoder_options bare = {.document_prefix = ""};
    for (size_t s = 0; s < SAT_COUNT(all); s++) {
        float a[D], b[D];
        sat_encoder *encoder = open_shape(all[s], &bare);
        embed_one(encoder, 0, near, a);
        embed_one(encoder, 0, far, b);
        if (s == 0)
            assert_memory_equal(a, b, sizeof a);
        else
            assert_memory_not_equal(a, b, sizeof a);
        sat_encoder_close(&encoder);
    }
}

static void architectures_have_their_prompts(void **state) {
    static const struct {
        const char *arch, *query, *document;
    } cases[] = {
        {"nomic-bert", "search_query: ", "search_document: "},
        {"gemma-embedding", "task: search result | query: ", "title: none | text: "},
        {"modern-bert", "", ""},
        {"bert", "", ""},
    };
    for (size_t i = 0; i < SAT_COUNT(cases); i++) {
        const tiny_shape shape = {.arch = cases[i].arch},
                         own = {.arch = cases[i].arch, .query_prefix = "passage: "};
        const sat_encoder_options same = {.query_prefix = cases[i].query,
                                          .document_prefix = cases[i].document},
                                  none = {.query_prefix = "", .document_prefix = ""},
                                  other = {.query_prefix = "passage: "};
        sat_encoder *encoder[5] = {open_shape(&shape, NULL), open_shape(&shape, &same),
                                   open_shape(&shape, &none), open_shape(&own, NULL),
                                   open_shape(&shape, &other)};
        satchel_model_info info[5];
        float out[5][2][D];
        for (int e = 0; e < 5; e++) {
            for (int role = 0; role < 2; role++)
                embed_one(encoder[e], role, "hello", out[e][role]);
            sat_encoder_info(encoder[e], &info[e]);
            assert_string_equal(info[e].architecture, cases[i].arch);
        }
        assert_memory_equal(out[0], out[1], sizeof out[0]);
        assert_string_equal(info[0].fingerprint, info[1].fingerprint);
        assert_true((memcmp(out[0], out[2], sizeof out[0]) == 0) == (cases[i].query[0] == 0));
        assert_memory_equal(out[3][SATCHEL_ROLE_QUERY], out[4][SATCHEL_ROLE_QUERY],
                            sizeof out[3][0]);
        assert_memory_equal(out[3][SATCHEL_ROLE_DOCUMENT], out[0][SATCHEL_ROLE_DOCUMENT],
                            sizeof out[3][0]);
        assert_memory_not_equal(out[3][SATCHEL_ROLE_QUERY], out[0][SATCHEL_ROLE_QUERY],
                                sizeof out[3][0]);
        for (int e = 0; e < 5; e++)
            sat_encoder_close(&encoder[e]);
    }
}

static void vectors_may_be_cut_short(void **state) {
    for (size_t s = 0; s < SAT_COUNT(shapes); s++) {
        float whole[2 * D], part[2 * D];
        char fingerprint[40];
        satchel_model_info info;
        sat_encoder *encoder = open_shape(&shapes[s], NULL);
        embed_one(encoder, 0, sentences[2], whole);
        sat_encoder_info(encoder, &info);
        snprintf(fingerprint, sizeof fingerprint, "%s", info.fingerprint);
        const int32_t lengths[] = {1, 7, info.dimension};
        sat_encoder_close(&encoder);
        for (size_t i = 0; i < SAT_COUNT(lengths); i++) {
            const sat_encoder_options options = {.dimension = lengths[i]};
            double length = 0;
            encoder = open_shape(&shapes[s], &options);
            embed_one(encoder, 0, sentences[2], part);
            sat_encoder_info(encoder, &info);
            assert_int_equal(info.dimension, lengths[i]);
            assert_true((strcmp(fingerprint, info.fingerprint) == 0) == (i == 2));
            for (int32_t j = 0; j < lengths[i]; j++)
                length += (double)whole[j] * (double)whole[j];
            for (int32_t j = 0; j < lengths[i]; j++)
                assert_true(fabs((double)part[j] - (double)whole[j] / sqrt(length)) < 1e-6);
            sat_encoder_close(&encoder);
        }
    }
}

/* Weights that stay mapped: near the vectors of floats. */
static void weights_of_other_types_are_read(void **state) {
    static const struct {
        uint32_t type;
        const char *name;
        double least;
    } types[] = {{30, "BF16", 0.999}, {8, "Q8_0", 0.999}, {2, "Q4_0", 0.8}};
    static const char *const archs[] = {"bert", "nomic-bert", "modern-bert", "gemma-embedding"};
    for (size_t a = 0; a < SAT_COUNT(archs); a++)
        for (size_t t = 0; t < SAT_COUNT(types); t++) {
            tiny_shape shape = {.arch = archs[a], .layers = 1};
            float exact[D], found[D];
            satchel_model_info info;
            double dot = 0;
            sat_encoder *encoder = open_shape(&shape, NULL);
            embed_one(encoder, 0, sentences[2], exact);
            sat_encoder_close(&encoder);
            shape.type = types[t].type;
            encoder = open_shape(&shape, NULL);
            sat_encoder_info(encoder, &info);
            assert_string_equal(info.weight_type, types[t].name);
            embed_one(encoder, 0, sentences[2], found);
            for (size_t i = 0; i < D; i++)
                dot += (double)exact[i] * (double)found[i];
            if (!(dot >= types[t].least))
                fail_msg("%s, %s: cosine %.6f", archs[a], types[t].name, dot);
            sat_encoder_close(&encoder);
        }
}

static void another_vocabulary_is_read(void **state) {
    const tiny_shape shape = {.unigram = true};
    sat_encoder *encoder = open_shape(&shape, NULL);
    satchel_error error;
    satchel_model_info info;
    int32_t ids[8];
    size_t count;
    float share, out[D];
    const int32_t expected[4] = {2, tiny_id("hello"), tiny_id("world"), 3};
    for (size_t capacity = 0; capacity <= 5; capacity++) {
        memset(ids, 0x55, sizeof ids);
        assert_int_equal(
            sat_encoder_tokenize(encoder, "hello world", 11, ids, capacity, &count, NULL),
            SATCHEL_OK);
        assert_int_equal(count, 4);
        assert_memory_equal(ids, expected, (capacity < 4 ? capacity : 4) * sizeof *ids);
        assert_int_equal(ids[capacity < 4 ? capacity : 4], 0x55555555);
    }
    sat_encoder_info(encoder, &info);
    assert_int_equal(info.vocabulary_size, tiny_vocabulary_size());
    assert_string_equal(sat_encoder_token(encoder, tiny_id("world")), "\xE2\x96\x81world");
    assert_string_equal(sat_encoder_token(encoder, 0), "[PAD]");
    assert_null(sat_encoder_token(encoder, -1));
    assert_null(sat_encoder_token(encoder, (int32_t)tiny_vocabulary_size()));
    assert_int_equal(sat_encoder_coverage(encoder, "hello world", 11, &share, NULL), SATCHEL_OK);
    assert_true(share == 1);
    assert_int_equal(sat_encoder_coverage(encoder, "\xC3\xA6\xC3\xA6", 4, &share, NULL),
                     SATCHEL_OK);
    assert_true(share == 0);
    assert_int_equal(sat_encoder_coverage(encoder, "", 0, &share, NULL), SATCHEL_OK);
    assert_true(share == 0);
    assert_int_equal(sat_encoder_coverage(encoder, "\xFF", 1, &share, NULL), SATCHEL_INVALID_TEXT);
    const satchel_text bad = {"bad \xFF", 5};
    assert_int_equal(sat_encoder_embed(encoder, 0, &bad, 1, out, NULL, &error),
                     SATCHEL_INVALID_TEXT);
    assert_non_null(strstr(error.message, "byte 4"));
    sat_encoder_close(&encoder);
}

/* Text never becomes a special token. */
static void special_tokens_in_texts_are_text(void **state) {
    static const char text[] = "[SEP] [MASK]";
    const tiny_shape shape = {.unigram = true};
    sat_encoder *encoder = open_shape(&shape, NULL);
    int32_t ids[32];
    size_t count;
    assert_int_equal(sat_encoder_tokenize(encoder, text, strlen(text), ids, 32, &count, NULL),
                     SATCHEL_OK);
    assert_true(count > 4 && count < 32);
    for (size_t i = 1; i + 1 < count; i++)
        assert_true(ids[i] == 1 || ids[i] > 4);
    sat_encoder_close(&encoder);
}

static void heads_of_classifiers_are_passed_over(void **state) {
    const tiny_shape with = {.arch = "modern-bert", .one_more = "cls.norm.weight"},
                     without = {.arch = "modern-bert"};
    sat_encoder *encoder = open_shape(&with, NULL);
    float a[D], b[D];
    embed_one(encoder, 0, sentences[2], a);
    sat_encoder_close(&encoder);
    encoder = open_shape(&without, NULL);
    embed_one(encoder, 0, sentences[2], b);
    sat_encoder_close(&encoder);
    assert_memory_equal(a, b, sizeof a);
}

/* What is missing or does not fit is named. */
static void files_that_contradict_themselves_are_refused(void **state) {
    static const wrong_shape cases[] = {
        {{.arch = "roberta"}, SATCHEL_UNSUPPORTED, "modern-bert"},
        {{.arch = "llama"}, SATCHEL_UNSUPPORTED, "\"llama\""},
        {{.arch = "nomic-bert", .leave_out = "nomic-bert.context_length"},
         SATCHEL_DAMAGED,
         "context_length"},
        {{.arch = "nomic-bert", .leave_out = "blk.0.ffn_gate.weight"},
         SATCHEL_DAMAGED,
         "blk.0.ffn_gate.weight"},
        {{.arch = "modern-bert", .leave_out = "blk.1.attn_norm.weight"},
         SATCHEL_DAMAGED,
         "blk.1.attn_norm.weight"},
        {{.arch = "modern-bert", .one_more = "blk.0.attn_qkv.bias"},
         SATCHEL_UNSUPPORTED,
         "blk.0.attn_qkv.bias"},
        {{.arch = "modern-bert", .window = 1}, SATCHEL_UNSUPPORTED, "sliding_window"},
        {{.arch = "modern-bert", .window = 1000000}, SATCHEL_UNSUPPORTED, "sliding_window"},
        {{.arch = "gemma-embedding", .heads = 4, .kv_heads = 3},
         SATCHEL_UNSUPPORTED,
         "head_count_kv"},
        {{.arch = "gemma-embedding", .leave_out = "output_norm.weight"},
         SATCHEL_DAMAGED,
         "output_norm.weight"},
        {{.arch = "gemma-embedding", .dense = 96, .leave_out = "dense_2.weight"},
         SATCHEL_DAMAGED,
         "dense_3.weight"},
        {{.arch = "gemma-embedding", .heads = 64}, SATCHEL_UNSUPPORTED, "rope.dimension_count"},
    };
    refuse_shapes(cases, SAT_COUNT(cases));
}

/* Opens and embeds what may be damaged: vectors, or a status that says so. */
static satchel_status use(const uint8_t *bytes, size_t size) {
    static const satchel_text texts[2] = {{"hello unwanted world", 20}, {"", 0}};
    float out[2 * 256];
    sat_mapping mapping;
    sat_encoder *encoder;
    satchel_error error = {0};
    assert_true(tiny_mapping(&mapping, context, bytes, size));
    satchel_status status = sat_encoder_open(&encoder, context, &mapping, "bad", NULL, &error);
    if (!status && output_of(encoder) <= 256)
        status = sat_encoder_embed(encoder, 1, texts, 2, out, NULL, &error);
    sat_encoder_close(&encoder);
    assert_true(!status || status == SATCHEL_DAMAGED || status == SATCHEL_UNSUPPORTED ||
                status == SATCHEL_INVALID_ARGUMENT); /* a prompt that a new limit has no room for */
    assert_true(!status || error.message[0] != 0);
    return status;
}

static void damaged_files_are_survived(void **state) {
    static const tiny_shape small[] = {
        {.arch = "gemma-embedding",
         .unigram = true,
         .dimension = 32,
         .heads = 2,
         .kv_heads = 1,
         .ffn = 32,
         .layers = 2,
         .window = 4,
         .dense = 32,
         .type = 2},
        {.arch = "modern-bert", .dimension = 32, .ffn = 32, .layers = 2, .window = 4, .type = 8},
    };
    uint64_t seed = 11;
    for (size_t s = 0; s < SAT_COUNT(small); s++) {
        size_t size, worked = 0, refused = 0;
        uint8_t *bytes = tiny_model_bytes(&small[s], &size);
        for (size_t at = 0; at < size; at += 1 + test_random(&seed) % (at < 12000 ? 6 : 80)) {
            uint8_t mask = (uint8_t)(1u << test_random(&seed) % 8);
            bytes[at] ^= mask;
            satchel_status status = use(bytes, size);
            worked += status == SATCHEL_OK;
            refused += status != SATCHEL_OK;
            bytes[at] ^= mask;
        }
        assert_true(worked > 50 && refused > 50);
        assert_int_equal(use(bytes, size), SATCHEL_OK);
        for (size_t cut = 0; cut < size; cut += 1 + test_random(&seed) % 600)
            assert_int_not_equal(use(bytes, cut), SATCHEL_OK);
        free(bytes);
    }
}

static void every_failed_allocation_is_survived(void **state) {
    const tiny_shape shape = {
        .arch = "gemma-embedding", .unigram = true, .type = 8, .window = 8, .dense = 96};
    survive_failed_allocations(&shape);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_vector_depends_on_its_text_alone),
        cmocka_unit_test(every_cpu_level_gives_the_same_bits),
        cmocka_unit_test(windows_are_honoured),
        cmocka_unit_test(architectures_have_their_prompts),
        cmocka_unit_test(vectors_may_be_cut_short),
        cmocka_unit_test(weights_of_other_types_are_read),
        cmocka_unit_test(another_vocabulary_is_read),
        cmocka_unit_test(special_tokens_in_texts_are_text),
        cmocka_unit_test(heads_of_classifiers_are_passed_over),
        cmocka_unit_test(files_that_contradict_themselves_are_refused),
        cmocka_unit_test(damaged_files_are_survived),
        cmocka_unit_test(every_failed_allocation_is_survived),
    };
    return cmocka_run_group_tests(tests, open_context, close_context);
}
