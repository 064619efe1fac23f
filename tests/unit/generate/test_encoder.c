/*
 * The text encoder's vectors on tiny models: against a plain double-precision BERT written here, and the
 * same bits in every batch, on any threads, at every CPU level. Real weights against the original:
 * tests/peers.
 */
#include "tests/unit/generate/encoder_unit.h"

#include <math.h>
#include <pthread.h>

static double cosine(const float *a, const double *b, size_t n) {
    double dot = 0, aa = 0, bb = 0;
    for (size_t i = 0; i < n; i++) {
        dot += (double)a[i] * b[i];
        aa += (double)a[i] * (double)a[i];
        bb += b[i] * b[i];
    }
    return dot / sqrt(aa * bb);
}

/* ------------------------------------------------------------------ a plain BERT */

enum { MOST = 64, WIDEST = 256 }; /* tokens, columns */

static bool outliers; /* of the model in hand */

static double weight(int layer, const char *name, size_t index) {
    char full[64];
    if (layer < 0)
        snprintf(full, sizeof full, "%s", name);
    else
        snprintf(full, sizeof full, "blk.%d.%s", layer, name);
    bool large = outliers && index == TINY_OUTLIER && strstr(full, "norm.weight");
    return (double)tiny_weight(full, index) * (large ? TINY_OUTLIER_FACTOR : 1);
}

static void linear(double (*out)[WIDEST], double (*in)[WIDEST], size_t rows, int layer,
                   const char *part, size_t n, size_t k) {
    char matrix[48], bias[48];
    snprintf(matrix, sizeof matrix, "%s.weight", part);
    snprintf(bias, sizeof bias, "%s.bias", part);
    for (size_t o = 0; o < n; o++) {
        double b = weight(layer, bias, o), w[WIDEST];
        for (size_t i = 0; i < k; i++)
            w[i] = weight(layer, matrix, o * k + i);
        for (size_t r = 0; r < rows; r++) {
            double sum = b;
            for (size_t i = 0; i < k; i++)
                sum += in[r][i] * w[i];
            out[r][o] = sum;
        }
    }
}

static void normalise(double (*x)[WIDEST], double (*add)[WIDEST], size_t rows, int layer,
                      const char *part, size_t n) {
    char gamma[48], beta[48];
    snprintf(gamma, sizeof gamma, "%s.weight", part);
    snprintf(beta, sizeof beta, "%s.bias", part);
    for (size_t r = 0; r < rows; r++) {
        double mean = 0, variance = 0;
        for (size_t i = 0; i < n; i++) {
            x[r][i] += add ? add[r][i] : 0;
            mean += x[r][i] / (double)n;
        }
        for (size_t i = 0; i < n; i++)
            variance += (x[r][i] - mean) * (x[r][i] - mean) / (double)n;
        for (size_t i = 0; i < n; i++)
            x[r][i] = (x[r][i] - mean) / sqrt(variance + 1e-12) * weight(layer, gamma, i) +
                      weight(layer, beta, i);
    }
}

/* Attention as in the paper: softmax(QKᵀ/√d)V for every head. */
static void attention(double (*out)[WIDEST], double (*q)[WIDEST], double (*k)[WIDEST],
                      double (*v)[WIDEST], size_t rows, size_t d, size_t heads) {
    size_t width = d / heads;
    for (size_t h = 0; h < heads; h++)
        for (size_t r = 0; r < rows; r++) {
            double score[MOST], sum = 0, most = -INFINITY, *to = out[r] + h * width;
            for (size_t s = 0; s < rows; s++) {
                double dot = 0;
                for (size_t i = 0; i < width; i++)
                    dot += q[r][h * width + i] * k[s][h * width + i];
                score[s] = dot / sqrt((double)width);
                most = score[s] > most ? score[s] : most;
            }
            for (size_t s = 0; s < rows; s++)
                sum += score[s] = exp(score[s] - most);
            memset(to, 0, width * sizeof *to);
            for (size_t s = 0; s < rows; s++)
                for (size_t i = 0; i < width; i++)
                    to[i] += score[s] / sum * v[s][h * width + i];
        }
}

/* The pooled vector of ids for a model of this shape, whose weights are those of tiny_weight(). */
static void plain_bert(const tiny_shape *shape, const int32_t *ids, size_t rows, bool cls,
                       double *out) {
    static double x[MOST][WIDEST], q[MOST][WIDEST], k[MOST][WIDEST], v[MOST][WIDEST],
        a[MOST][WIDEST];
    size_t d = shape->dimension;
    for (size_t r = 0; r < rows; r++)
        for (size_t i = 0; i < d; i++)
            x[r][i] = weight(-1, "token_embd.weight", (size_t)ids[r] * d + i) +
                      weight(-1, "position_embd.weight", r * d + i) +
                      weight(-1, "token_types.weight", i);
    normalise(x, NULL, rows, -1, "token_embd_norm", d);
    for (int l = 0; l < (int)shape->layers; l++) {
        linear(q, x, rows, l, "attn_q", d, d);
        linear(k, x, rows, l, "attn_k", d, d);
        linear(v, x, rows, l, "attn_v", d, d);
        attention(a, q, k, v, rows, d, shape->heads);
        linear(q, a, rows, l, "attn_output", d, d);
        normalise(x, q, rows, l, "attn_output_norm", d);
        linear(k, x, rows, l, "ffn_up", shape->ffn, d);
        for (size_t r = 0; r < rows; r++)
            for (size_t i = 0; i < shape->ffn; i++)
                k[r][i] = 0.5 * k[r][i] * (1 + erf(k[r][i] / sqrt(2)));
        linear(q, k, rows, l, "ffn_down", d, shape->ffn);
        normalise(x, q, rows, l, "layer_output_norm", d);
    }
    memset(out, 0, d * sizeof *out);
    for (size_t r = 0; r < (cls ? 1 : rows); r++)
        for (size_t i = 0; i < d; i++)
            out[i] += x[r][i];
}

static const char *const sentences[] = {
    "",
    "hello",
    "the answer of the world",
    "hello world, unwanted running? the store (of the sentence) and the passage - the query.",
    "un un un the the a b c d e f g h i j k l m n o p q r s t u v w x y z 1 2 3",
};

static void vectors_are_those_of_a_plain_bert(void **state) {
    static const tiny_shape shapes[] = {
        {.dimension = 64, .heads = 2, .ffn = 128, .layers = 2},
        {.dimension = 128, .heads = 2, .ffn = 96, .layers = 1}, /* heads of 64 */
        {.dimension = 64, .heads = 4, .ffn = 256, .layers = 3}, /* of 16 */
        {.dimension = 40, .heads = 5, .ffn = 72, .layers = 2},  /* of 8; no whole blocks */
        {.dimension = 21, .heads = 3, .ffn = 11, .layers = 2},  /* nothing even */
        {.dimension = 96, .heads = 1, .ffn = 32, .layers = 1, .mixed = true},
    };
    /* The least cosine by weight type; the weights' own rounding is part of it. */
    static const struct {
        uint32_t type;
        double least;
    } types[] = {{0, 0.9999999}, {1, 0.999999}, {8, 0.998}};
    for (size_t s = 0; s < SAT_COUNT(shapes); s++)
        for (size_t t = 0; t < SAT_COUNT(types); t++) {
            tiny_shape shape = shapes[s];
            shape.type = types[t].type;
            if (shape.type == 8 && (shape.dimension % 32 || shape.ffn % 32))
                continue;
            for (int32_t pooling = SATCHEL_POOLING_MEAN; pooling <= SATCHEL_POOLING_CLS;
                 pooling++) {
                sat_encoder_options options = {.pooling = pooling};
                sat_encoder *encoder = open_shape(&shape, &options);
                for (size_t i = 0; i < SAT_COUNT(sentences); i++) {
                    int32_t ids[MOST];
                    size_t count;
                    float out[WIDEST];
                    double expected[WIDEST];
                    assert_int_equal(sat_encoder_tokenize(encoder, sentences[i],
                                                          strlen(sentences[i]), ids, MOST, &count,
                                                          NULL),
                                     SATCHEL_OK);
                    plain_bert(&shape, ids, count, pooling == SATCHEL_POOLING_CLS, expected);
                    embed_one(encoder, SATCHEL_ROLE_DOCUMENT, sentences[i], out);
                    double found = cosine(out, expected, shape.dimension);
                    if (!(found >= types[t].least))
                        fail_msg("shape %zu, type %u, pooling %d, text %zu: cosine %.8f", s,
                                 (unsigned)shape.type, (int)pooling, i, found);
                    double length = 0;
                    for (size_t j = 0; j < shape.dimension; j++)
                        length += (double)out[j] * (double)out[j];
                    assert_true(fabs(length - 1) < 1e-6);
                }
                sat_encoder_close(&encoder);
            }
        }
}

/* A column that is 25 times its neighbours in every row: quantized with them it would cost them their
 * precision (cosine 0.9999 to 0.99996 here). Blocks of such columns are read twice. */
static void large_columns_do_not_spoil_their_neighbours(void **state) {
    tiny_shape shape = {
        .dimension = 128, .heads = 4, .ffn = 256, .layers = 2, .type = 8, .outliers = true};
    sat_encoder *encoder = open_shape(&shape, NULL);
    outliers = true;
    for (size_t i = 0; i < SAT_COUNT(sentences); i++) {
        int32_t ids[MOST];
        size_t count;
        float out[WIDEST];
        double expected[WIDEST];
        assert_int_equal(sat_encoder_tokenize(encoder, sentences[i], strlen(sentences[i]), ids,
                                              MOST, &count, NULL),
                         SATCHEL_OK);
        plain_bert(&shape, ids, count, false, expected);
        embed_one(encoder, SATCHEL_ROLE_DOCUMENT, sentences[i], out);
        /* The large column itself is most of the vector: it is left out. */
        out[TINY_OUTLIER] = 0;
        expected[TINY_OUTLIER] = 0;
        double found = cosine(out, expected, shape.dimension);
        if (!(found >= 0.99997))
            fail_msg("text %zu: cosine %.6f", i, found);
    }
    outliers = false;
    sat_encoder_close(&encoder);
}

/* ------------------------------------------------------------------ batches */

enum { TEXTS = 300, D = 64 };

/* Texts of 0 to 70 words in no order. */
static void make_texts(char (*space)[512], satchel_text *texts) {
    static const char *const words[] = {"hello", "world", "the", "of", "unwanted", "a,", "zz"};
    uint64_t seed = 99;
    for (size_t i = 0; i < TEXTS; i++) {
        size_t count = test_random(&seed) % (i % 3 ? 8 : 70), length = 0;
        for (size_t w = 0; w < count; w++)
            length += (size_t)snprintf(space[i] + length, 512 - length, "%s ",
                                       words[test_random(&seed) % SAT_COUNT(words)]) %
                      512;
        space[i][length] = 0;
        texts[i] = (satchel_text){space[i], length};
    }
}

static void a_vector_does_not_depend_on_its_batch(void **state) {
    static char space[TEXTS][512];
    static float together[TEXTS * D], alone[D], some[TEXTS * D];
    static satchel_text texts[TEXTS], reversed[TEXTS];
    make_texts(space, texts);
    for (uint32_t type = 0; type <= 8; type = type ? type * 8 : 1) {
        tiny_shape shape = {.type = type};
        sat_encoder *encoder = open_shape(&shape, NULL);
        assert_int_equal(
            sat_encoder_embed(encoder, SATCHEL_ROLE_DOCUMENT, texts, TEXTS, together, NULL, NULL),
            SATCHEL_OK);
        for (size_t i = 0; i < TEXTS; i++) {
            assert_int_equal(
                sat_encoder_embed(encoder, SATCHEL_ROLE_QUERY, &texts[i], 1, alone, NULL, NULL),
                SATCHEL_OK);
            assert_memory_equal(alone, together + i * D, sizeof alone);
            reversed[TEXTS - 1 - i] = texts[i];
        }
        /* Other neighbours, other batch sizes, other thread counts. */
        for (int threads = 1; threads <= 4; threads += 3) {
            satchel_context_options options = {.struct_size = sizeof options, .threads = threads};
            satchel_context *other;
            sat_encoder *again;
            assert_int_equal(sat_context_open(&other, &options, NULL), SATCHEL_OK);
            assert_int_equal(tiny_model_open_shape(&again, other, &shape, NULL, NULL), SATCHEL_OK);
            for (size_t n = 1; n <= TEXTS; n = n * 7 < TEXTS || n == TEXTS ? n * 7 : TEXTS) {
                assert_int_equal(
                    sat_encoder_embed(again, SATCHEL_ROLE_DOCUMENT, reversed, n, some, NULL, NULL),
                    SATCHEL_OK);
                for (size_t i = 0; i < n; i++)
                    assert_memory_equal(some + i * D, together + (TEXTS - 1 - i) * D, sizeof alone);
            }
            sat_encoder_close(&again);
            sat_context_release(other);
        }
        sat_encoder_close(&encoder);
    }
}

typedef struct caller {
    pthread_t thread;
    sat_encoder *encoder;
    const satchel_text *texts;
    const float *expected;
    int32_t role;
    int wrong;
} caller;

static void *call(void *user) {
    caller *c = user;
    float *out = malloc(TEXTS * D * sizeof *out);
    for (int round = 0; round < 3; round++) {
        c->wrong += sat_encoder_embed(c->encoder, c->role, c->texts, TEXTS, out, NULL, NULL) != 0;
        c->wrong += memcmp(out, c->expected, TEXTS * D * sizeof *out) != 0;
    }
    free(out);
    return NULL;
}

static void many_threads_may_embed_at_once(void **state) {
    static char space[TEXTS][512];
    static float expected[TEXTS * D];
    static satchel_text texts[TEXTS];
    caller callers[4];
    tiny_shape shape = {.type = 8};
    sat_encoder *encoder = open_shape(&shape, NULL);
    make_texts(space, texts);
    assert_int_equal(
        sat_encoder_embed(encoder, SATCHEL_ROLE_DOCUMENT, texts, TEXTS, expected, NULL, NULL),
        SATCHEL_OK);
    for (int i = 0; i < 4; i++) {
        callers[i] = (caller){.encoder = encoder, .texts = texts, .expected = expected};
        callers[i].role = i % 2;
        assert_int_equal(pthread_create(&callers[i].thread, NULL, call, &callers[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(callers[i].thread, NULL);
        assert_int_equal(callers[i].wrong, 0);
    }
    sat_encoder_close(&encoder);
}

static void every_cpu_level_gives_the_same_bits(void **state) {
    static const int32_t levels[] = {SATCHEL_CPU_C,      SATCHEL_CPU_AVX2, SATCHEL_CPU_AVXVNNI,
                                     SATCHEL_CPU_AVX512, SATCHEL_CPU_NEON, SATCHEL_CPU_DOTPROD,
                                     SATCHEL_CPU_I8MM};
    static char space[TEXTS][512];
    static float expected[TEXTS * D], found[TEXTS * D];
    static satchel_text texts[TEXTS];
    make_texts(space, texts);
    for (uint32_t type = 0; type <= 8; type = type ? type * 8 : 1)
        for (size_t i = 0; i < SAT_COUNT(levels); i++) {
            satchel_context_options options = {.struct_size = sizeof options,
                                               .cpu_level = levels[i]};
            tiny_shape shape = {.type = type, .outliers = true};
            satchel_context *other;
            sat_encoder *encoder;
            if (sat_context_open(&other, &options, NULL) == SATCHEL_UNSUPPORTED)
                continue; /* this machine lacks it */
            assert_int_equal(other->cpu_level, levels[i]);
            assert_int_equal(tiny_model_open_shape(&encoder, other, &shape, NULL, NULL),
                             SATCHEL_OK);
            assert_int_equal(
                sat_encoder_embed(encoder, 0, texts, TEXTS, i ? found : expected, NULL, NULL),
                SATCHEL_OK);
            if (i)
                assert_memory_equal(found, expected, sizeof found);
            sat_encoder_close(&encoder);
            sat_context_release(other);
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors_are_those_of_a_plain_bert),
        cmocka_unit_test(large_columns_do_not_spoil_their_neighbours),
        cmocka_unit_test(a_vector_does_not_depend_on_its_batch),
        cmocka_unit_test(many_threads_may_embed_at_once),
        cmocka_unit_test(every_cpu_level_gives_the_same_bits),
    };
    return cmocka_run_group_tests(tests, open_context, close_context);
}
