/* Hostile model files: parsing, every look-up, weights of all types read and multiplied, and
 * opening the encoder on what parses. */
#include <string.h>

#include "generate/matmul.h"
#include "generate/quants.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/tiny_model.h"

enum { MOST_ROWS = 33, MOST_K = 512, ROWS = 3 };

/* The first weights as floats; and products with a corner of the matrix, the same bits in C and at
 * the best level, whatever the weights hold. */
static void use_weights(satchel_context *context, const sat_tensor *tensor) {
    static float x[ROWS * MOST_K], out[2][ROWS * MOST_ROWS];
    float first[SAT_SUPER_BLOCK];
    sat_matrix matrix;
    if (!sat_matrix_of(&matrix, tensor)) {
        FUZZ_CHECK(!sat_quant_known(tensor->type) || tensor->bytes == 0);
        return;
    }
    sat_dequantize(tensor->type, first, tensor->data, sat_tensor_type_of(tensor->type)->block);
    if (matrix.k > MOST_K)
        return;
    matrix.n = matrix.n < MOST_ROWS ? matrix.n : MOST_ROWS;
    for (size_t i = 0; i < ROWS * matrix.k; i++)
        x[i] = (float)((i * 37 + 11) % 64) - 32;
    sat_form form = sat_matrix_form(&matrix);
    sat_rows rows = {x, matrix.k};
    size_t size = sat_operand_size(form, ROWS, matrix.k);
    for (int level = 0; level < 2; level++) {
        const sat_matmul_kernels *kernels =
            sat_matmul_kernels_for(level ? context->cpu_level : SATCHEL_CPU_C);
        sat_rows to = {out[level], MOST_ROWS};
        sat_operand operand;
        void *memory = sat_alloc_aligned(&context->memory, size + 64);
        if (!memory)
            return;
        sat_operand_init(&operand, form, ROWS, matrix.k, memory);
        operand.x = rows;
        sat_operand_quantize(kernels, &operand, &rows, 0, ROWS);
        sat_matmul(kernels, &to, &matrix, &operand, 0, ROWS, 0, sat_matrix_strips(&matrix));
        sat_free_aligned(&context->memory, memory);
    }
    for (size_t r = 0; r < ROWS; r++)
        for (size_t c = 0; c < matrix.n; c++) {
            const float *a = &out[0][r * MOST_ROWS + c], *b = &out[1][r * MOST_ROWS + c];
            FUZZ_CHECK(memcmp(a, b, sizeof *a) == 0 || (*a != *a && *b != *b));
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    satchel_context_options options;
    satchel_context_options_init(&options, sizeof options);
    options.threads = 1;
    options.memory_limit = 64 << 20; /* a small file that asks for gigabytes must be refused */
    satchel_context *context = NULL;
    satchel_error error;
    if (sat_context_open(&context, &options, &error))
        return 0;
    sat_gguf *gguf = NULL;
    satchel_status status = sat_gguf_open(&gguf, context, data, size, "fuzz", &error);
    FUZZ_CHECK((status == SATCHEL_OK) == (gguf != NULL));
    if (gguf) {
        volatile uint8_t touched = 0;
        for (size_t i = 0; i < sat_gguf_tensor_count(gguf); i++) {
            const sat_tensor *tensor = sat_gguf_tensor_at(gguf, i);
            FUZZ_CHECK(sat_gguf_tensor(gguf, tensor->name) != NULL);
            if (tensor->bytes) {
                const uint8_t *bytes = tensor->data;
                FUZZ_CHECK(bytes >= data && bytes + tensor->bytes <= data + size);
                touched = (uint8_t)(touched + bytes[0] + bytes[tensor->bytes - 1]);
            }
            use_weights(context, tensor);
        }
        static const char *const keys[] = {"general.architecture", "tokenizer.ggml.tokens",
                                           "tokenizer.ggml.token_type", "bert.block_count", "a"};
        for (size_t i = 0; i < SAT_COUNT(keys); i++) {
            const char *text;
            size_t length, count;
            int64_t integer;
            double number;
            bool flag;
            if (sat_gguf_string(gguf, keys[i], &text, &length))
                FUZZ_CHECK(text[length] == '\0');
            (void)sat_gguf_integer(gguf, keys[i], &integer);
            (void)sat_gguf_float(gguf, keys[i], &number);
            (void)sat_gguf_bool(gguf, keys[i], &flag);
            if (sat_gguf_array(gguf, keys[i], &count)) {
                for (size_t j = 0; j < count && j < 64; j++) {
                    (void)sat_gguf_array_string(gguf, keys[i], j, &text, &length);
                    (void)sat_gguf_array_integer(gguf, keys[i], j, &integer);
                }
                FUZZ_CHECK(!sat_gguf_array_integer(gguf, keys[i], count, &integer));
            }
        }
        sat_gguf_close(&gguf);
    }

    sat_mapping mapping;
    if (tiny_mapping(&mapping, context, data, size)) {
        sat_encoder *encoder = NULL;
        if (sat_encoder_open(&encoder, context, &mapping, "fuzz", &(sat_encoder_options){0},
                             &error) == SATCHEL_OK) {
            satchel_model_info info;
            sat_encoder_info(encoder, &info);
            FUZZ_CHECK(info.dimension > 0);
            float *out = sat_alloc_array(&context->memory, (size_t)info.dimension, sizeof *out);
            satchel_text text = {"trim the wick", 13};
            if (out)
                (void)sat_encoder_embed(encoder, SATCHEL_ROLE_QUERY, &text, 1, out, NULL, &error);
            sat_free(&context->memory, out);
        }
        sat_encoder_close(&encoder);
    }
    sat_context_release(context);
    return 0;
}
