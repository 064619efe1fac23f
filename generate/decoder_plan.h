/* The plan of a decoder: what loading (decoder_keys.c, decoder_load.c) leaves and the forward pass
 * (decoder_run.c) reads. Private to the decoder's files. */
#ifndef SATCHEL_GENERATE_DECODER_PLAN_H
#define SATCHEL_GENERATE_DECODER_PLAN_H

#include "generate/arch.h"
#include "generate/decoder.h"
#include "generate/gguf.h"
#include "generate/kv.h"
#include "generate/matmul.h"
#include "generate/rope.h"
#include "generate/steps.h"

enum {
    SAT_DECODER_MAX_LAYERS = 512,
    SAT_DECODER_MAX_DIMENSION = 65536,
    SAT_DECODER_MAX_FFN = 1 << 20,
    SAT_DECODER_MAX_HEADS = 1024,
    SAT_DECODER_MAX_HEAD = 512,
    SAT_DECODER_MAX_VOCABULARY = 1 << 24,
    SAT_DECODER_MAX_CONTEXT = 1 << 24,
    SAT_CHUNK = 256 /* tokens that run through the layers together */
};

/* A weight matrix of the model. */
typedef struct sat_weight {
    sat_matrix matrix; /* its bias only where scale is 1 */
    const float *bias; /* (n), or NULL */
    float scale;       /* on the product, before the bias; of NVFP4 */
    uint32_t number;   /* counts all weights; adapters look theirs up by it */
    const char *name;  /* of the tensor; NULL: there is none */
} sat_weight;

typedef struct sat_decoder_layer {
    const float *attn_norm, *q_norm, *k_norm, *attn_post_norm, *ffn_norm, *ffn_post_norm; // or NULL
    sat_weight qkv[3]; /* Q, K and V, or one of all */
    int qkv_parts;
    sat_weight output;
    sat_weight gate, up; /* gate.name NULL: up is gate and up, one after the other */
    sat_weight down;
    bool rope;
    size_t window; /* positions seen, the token's own included; 0: all */
} sat_decoder_layer;

/* Which frequencies: of windowed layers, of others, of others in a long context. */
enum { SAT_ROPE_LOCAL, SAT_ROPE_GLOBAL, SAT_ROPE_LONG, SAT_ROPES };

typedef struct sat_decoder_plan {
    const sat_arch *arch;
    size_t dimension, heads, kv_heads, head, ffn, layer_count, vocabulary, context;
    size_t rotated, window, original_context;
    uint8_t *windowed;                                          /* by layer */
    float epsilon, attention_scale, embedding_scale, logit_cap; /* cap 0: none */
    sat_rope rope[SAT_ROPES];
    bool has_long;             /* rope[SAT_ROPE_LONG] is for contexts above original_context */
    sat_rope_settings scaling; /* as the keys say; the base of layers without a window */
    double window_base;
    sat_weight tokens, output;
    const float *output_norm;
    sat_decoder_layer *layers;
    uint32_t weight_count;
} sat_decoder_plan;

struct sat_decoder {
    satchel_context *context;
    const char *file; /* its name, for messages */
    sat_gguf_set *files;
    uint8_t **taken; /* by part, by tensor: found its place */
    sat_arena arena;
    uint64_t arena_bytes;
    const sat_kernels *kernels;
    const sat_matmul_kernels *matmul;
    const sat_step_kernels *steps;
    sat_decoder_plan plan;
    int64_t parameters;
    uint64_t weight_bytes;
    char fingerprint[33];
};

/* Zeroed, from the arena, counted. */
satchel_status sat_decoder_take(sat_decoder *decoder, size_t count, size_t size, void **out,
                                satchel_error *error);
/* Sizes, scales, windows, scaling of rope, from the keys. */
satchel_status sat_decoder_read_keys(sat_decoder *decoder, satchel_error *error);
/* Tensors; every one in the file must have its place. */
satchel_status sat_decoder_load(sat_decoder *decoder, satchel_error *error);

/* ------------------------------------------------------------------ adapters */

/* W + scale · b a: what is added to a product with weight `number`. */
typedef struct sat_adapter_pair {
    const float *a; // (rank, k); of the token table (vocabulary, rank)
    const float *b; // (n, rank); of the token table (dimension, rank)
    size_t rank, k, n;
} sat_adapter_pair;

struct sat_adapter {
    const sat_decoder *decoder;
    sat_arena arena;
    sat_adapter_pair *pairs; /* by weight number; rank 0: none */
    sat_adapter_pair tokens; /* where they are looked up */
    float alpha;             /* 0: not scaled by rank */
    size_t rank;             /* the largest */
    uint8_t fingerprint[32]; /* whatever changes logits changes it */
};

static inline float sat_adapter_scale(const sat_adapter *adapter, const sat_adapter_pair *pair,
                                      float scale) {
    return adapter->alpha != 0 ? scale * adapter->alpha / (float)pair->rank : scale;
}

/* ------------------------------------------------------------------ running */

/* Rows to multiply, in each form that some product of them needs. */
typedef struct sat_input {
    sat_rows rows;
    sat_operand operand[SAT_FORMS];
} sat_input;

/* Scratch of a sequence, cut from one block. Rows are tokens of a chunk. */
typedef struct sat_decoder_work {
    sat_rows x;         // (rows, dimension) the residual stream
    sat_input normed;   // (rows, dimension) what a block reads
    sat_rows qkv;       // (rows, (heads + 2 · kv_heads) · head)
    sat_input attended; // (rows, heads · head)
    sat_rows block;     // (rows, dimension) a block's output
    sat_rows wide;      // (rows, 2 · ffn) gate and up
    sat_input hidden;   // (rows, ffn); its rows are the first half of wide's
    float *angles;      // (2, rows, rotated): windowed layers, others
    float *low;         // (rows, ranks) what adapters' first products give
    float *thread;      // (threads, thread_floats) for attention
    size_t thread_floats;
} sat_decoder_work;

struct sat_sequence {
    const sat_decoder *decoder;
    size_t capacity, length, chunk; /* chunk: rows of the work */
    sat_kv kv;
    sat_decoder_work work;
    void *scratch;
    const sat_adapter **adapters;
    float *adapter_scales;
    size_t adapter_count;
    float *low; /* of the adapters */
};

/* Runs tokens [0, count) at positions [first, first + count), count <= sequence->chunk. logits
 * (wanted, vocabulary) of the last `wanted` rows. False if cancelled. */
bool sat_decoder_run(sat_sequence *sequence, const int32_t *tokens, size_t first, size_t count,
                     size_t wanted, float *logits, const satchel_cancel *cancel);

/* Attention of the rows of one layer over all that is in the pages up to each row's position. */
typedef struct sat_paged_attention {
    const sat_sequence *sequence;
    const satchel_cancel *cancel;
    size_t layer, first, rows;
} sat_paged_attention;

size_t sat_paged_attention_floats(const sat_decoder_plan *plan); /* of scratch a thread */
void sat_paged_attend(const sat_paged_attention *attention);

#endif
