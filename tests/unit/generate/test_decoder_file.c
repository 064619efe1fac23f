/* Files of decoders: what is read from them, and that a wrong one is refused by the name of what is
 * wrong. */
#include "tests/unit/generate/decoder_unit.h"

static void refuse(const tiny_decoder *shape, satchel_status expected, const char *part) {
    sat_decoder *decoder = NULL;
    satchel_error error = {0};
    satchel_status status = tiny_decoder_open(&decoder, context, shape, &error);
    assert_null(decoder);
    if (status != expected || !strstr(error.message, part))
        fail_msg("%d \"%s\" is not %d with %s", (int)status, error.message, (int)expected, part);
}

static void the_model_is_described(void **state) {
    tiny_decoder shape = {.arch = "qwen3", .type = 8};
    sat_decoder_info info, measured;
    sat_decoder *decoder = open_decoder(&shape);
    sat_decoder_get_info(decoder, &info);
    assert_string_equal(info.architecture, "qwen3");
    assert_string_equal(info.name, "tiny");
    assert_int_equal(info.vocabulary, VOCABULARY);
    assert_int_equal(info.context_length, 300);
    assert_int_equal(info.dimension, 64);
    assert_int_equal(info.layers, 2);
    /* Q, K, V, output, gate, up, down of two layers; the table, the head; norms. */
    int64_t layer = 64 * (128 + 64 + 64) + 128 * 64 + 3 * 64 * 96, tables = 2 * 50 * 64;
    assert_int_equal(info.parameters, 2 * layer + tables + 64 + 2 * (2 * 64 + 2 * 32));
    assert_int_equal(info.weight_bytes, (2 * layer + tables / 2) / 32 * 34);
    assert_int_equal(info.kv_bytes_a_token, 2 * 2 * 2 * 32 * 2);
    assert_int_equal(strlen(info.fingerprint), 32);
    assert_true(info.memory_bytes > 0);
    sat_decoder_close(&decoder);

    size_t size;
    uint8_t *bytes = tiny_decoder_bytes(&shape, &size);
    sat_mapping mapping = {.data = bytes, .size = size};
    sat_gguf *parts[1];
    sat_gguf_set files = {context, 1, &mapping, parts};
    assert_int_equal(sat_gguf_open(&parts[0], context, bytes, size, "tiny.gguf", NULL), SATCHEL_OK);
    assert_int_equal(sat_decoder_measure(&measured, context, &files, "tiny.gguf", NULL),
                     SATCHEL_OK);
    assert_memory_equal(&measured, &info, sizeof info);
    sat_gguf_close(&parts[0]);
    free(bytes);
}

static void fingerprint_of(const tiny_decoder *shape, char out[33]) {
    sat_decoder_info info;
    sat_decoder *decoder = open_decoder(shape);
    sat_decoder_get_info(decoder, &info);
    memcpy(out, info.fingerprint, sizeof info.fingerprint);
    sat_decoder_close(&decoder);
}

static void fingerprints_tell_models_apart(void **state) {
    const tiny_decoder shapes[] = {{0},
                                   {.type = 1},
                                   {.arch = "smollm3"},
                                   {.ffn = 128},
                                   {.kv_heads = 4},
                                   {.other_key = "rope.dimension_count", .other_value = 16},
                                   {.arch = "qwen3"},
                                   {.arch = "gemma3"},
                                   {.arch = "gemma3", .window = 9}};
    char prints[SAT_COUNT(shapes)][33], again[33];
    for (size_t i = 0; i < SAT_COUNT(shapes); i++) {
        fingerprint_of(&shapes[i], prints[i]);
        fingerprint_of(&shapes[i], again);
        assert_string_equal(prints[i], again);
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(prints[i], prints[j]);
    }
}

static void unknown_architectures_are_named(void **state) {
    refuse(&(tiny_decoder){.arch = "mamba"}, SATCHEL_UNSUPPORTED, "mamba");
    refuse(&(tiny_decoder){.leave_out = "general.architecture"}, SATCHEL_DAMAGED,
           "general.architecture");
}

static void missing_tensors_are_named(void **state) {
    static const char *const names[] = {
        "token_embd.weight",        "output_norm.weight",         "blk.0.attn_norm.weight",
        "blk.0.attn_q.weight",      "blk.1.attn_k.weight",        "blk.1.attn_v.weight",
        "blk.0.attn_output.weight", "blk.1.ffn_norm.weight",      "blk.0.ffn_gate.weight",
        "blk.1.ffn_up.weight",      "blk.1.ffn_down.weight",      "blk.1.attn_q_norm.weight",
        "blk.0.attn_k_norm.weight", "blk.0.post_ffw_norm.weight",
    };
    for (size_t i = 0; i < SAT_COUNT(names); i++) {
        const char *arch = strstr(names[i], "post") ? "gemma3" : "qwen3";
        refuse(&(tiny_decoder){.arch = arch, .leave_out = names[i]}, SATCHEL_DAMAGED, names[i]);
        refuse(&(tiny_decoder){.arch = arch, .other_shape = names[i]}, SATCHEL_DAMAGED,
               i ? names[i] : "output.weight");
    }
}

static void a_model_without_a_head_uses_the_table(void **state) {
    tiny_decoder shape = {.leave_out = "output.weight"};
    float *logits = logits_new();
    sat_decoder *decoder = open_decoder(&shape);
    sat_sequence *sequence = open_sequence(decoder, 20, SAT_KV_F32);
    feed(sequence, 0, 20, 20, logits);
    sat_sequence_close(&sequence);
    sat_decoder_close(&decoder);
    free(logits);
}

static void tensors_without_a_place_are_named(void **state) {
    static const char *const names[] = {"blk.0.attn_q_norm.weight", "blk.2.attn_q.weight",
                                        "blk.0.ffn_gate_inp.weight", "rope_factors.weight"};
    for (size_t i = 0; i < SAT_COUNT(names); i++)
        refuse(&(tiny_decoder){.extra = names[i]}, SATCHEL_UNSUPPORTED, names[i]);
}

static void types_that_are_not_read_are_named(void **state) {
    gguf_writer writer;
    size_t size;
    uint8_t *bytes;
    satchel_error error = {0};
    sat_decoder *decoder;
    static const int64_t zeros[64 * 50] = {0};
    static const uint64_t shape[2] = {64, 50};
    gguf_writer_open(&writer);
    gguf_text(&writer, "general.architecture", "llama");
    static const struct {
        const char *key;
        uint32_t value;
    } keys[] = {{"block_count", 1},
                {"context_length", 100},
                {"embedding_length", 64},
                {"feed_forward_length", 64},
                {"attention.head_count", 2}};
    for (size_t i = 0; i < SAT_COUNT(keys); i++) {
        char name[64];
        snprintf(name, sizeof name, "llama.%s", keys[i].key);
        gguf_u32(&writer, name, keys[i].value);
    }
    gguf_f32(&writer, "llama.attention.layer_norm_rms_epsilon", 1e-5f);
    gguf_tensor(&writer, "token_embd.weight", 27 /* I64 */, 2, shape, zeros, sizeof zeros);
    bytes = gguf_writer_close(&writer, &size);
    assert_int_equal(tiny_decoder_open_bytes(&decoder, context, bytes, size, &error),
                     SATCHEL_UNSUPPORTED);
    assert_non_null(strstr(error.message, "I64"));
    assert_non_null(strstr(error.message, "token_embd.weight"));
}

static void wrong_keys_are_named(void **state) {
    static const char *const needed[] = {
        "block_count",         "context_length",       "embedding_length",
        "feed_forward_length", "attention.head_count", "attention.layer_norm_rms_epsilon"};
    static const struct {
        const char *key;
        uint32_t value;
    } wrong[] = {{"block_count", 0},
                 {"block_count", 100000},
                 {"embedding_length", 0},
                 {"embedding_length", 4000000000u},
                 {"feed_forward_length", 0},
                 {"attention.head_count", 0},
                 {"attention.head_count_kv", 3},
                 {"attention.head_count_kv", 0},
                 {"attention.key_length", 100000},
                 {"attention.value_length", 64},
                 {"rope.dimension_count", 33},
                 {"rope.dimension_count", 34},
                 {"context_length", 0},
                 {"expert_count", 8}};
    for (size_t i = 0; i < SAT_COUNT(needed); i++)
        refuse(&(tiny_decoder){.leave_out = needed[i]}, SATCHEL_DAMAGED, needed[i]);
    for (size_t i = 0; i < SAT_COUNT(wrong); i++) {
        refuse(&(tiny_decoder){.other_key = wrong[i].key, .other_value = wrong[i].value},
               SATCHEL_UNSUPPORTED, wrong[i].key);
    }
    refuse(&(tiny_decoder){.scaling = "dynamic"}, SATCHEL_UNSUPPORTED, "rope.scaling.type");
}

/* Every cut of the file, and bytes of its head changed one by one: an error or a model, never
 * more. */
static void damaged_files_do_no_harm(void **state) {
    tiny_decoder shape = {.arch = "gemma3", .window = 9, .layers = 1, .type = 8};
    size_t size;
    uint8_t *bytes = tiny_decoder_bytes(&shape, &size);
    uint64_t random = 3;
    float logits[VOCABULARY];
    for (size_t i = 0; i < 600; i++) {
        uint8_t *copy = malloc(size);
        size_t length = size;
        sat_decoder *decoder;
        sat_sequence *sequence;
        assert_non_null(copy);
        memcpy(copy, bytes, size);
        if (i % 3 == 0)
            length = test_random(&random) % size;
        else
            copy[test_random(&random) % 2600] ^= (uint8_t)(1 + test_random(&random) % 255);
        if (tiny_decoder_open_bytes(&decoder, context, copy, length, NULL))
            continue;
        if (!sat_sequence_open(&sequence, decoder, 20, SAT_KV_F16, NULL)) {
            sat_sequence_feed(sequence, tokens, 20, 1, logits, NULL, NULL);
            sat_sequence_close(&sequence);
        }
        sat_decoder_close(&decoder);
    }
    free(bytes);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_model_is_described),
        cmocka_unit_test(fingerprints_tell_models_apart),
        cmocka_unit_test(unknown_architectures_are_named),
        cmocka_unit_test(missing_tensors_are_named),
        cmocka_unit_test(a_model_without_a_head_uses_the_table),
        cmocka_unit_test(tensors_without_a_place_are_named),
        cmocka_unit_test(types_that_are_not_read_are_named),
        cmocka_unit_test(wrong_keys_are_named),
        cmocka_unit_test(damaged_files_do_no_harm),
    };
    return cmocka_run_group_tests(tests, open_all, close_context);
}
