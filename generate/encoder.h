/*
 * The text encoder inside generate: the plan that loading (encoder_keys.c, encoder_load.c) makes of
 * a file by its architecture (encoder_arch.h) and that the forward pass (encoder_forward.c) runs.
 * encoder.c holds the interface, encoder_tokens.c the tokenizers, encoder_embed.c the batching.
 */
#ifndef SATCHEL_GENERATE_ENCODER_H
#define SATCHEL_GENERATE_ENCODER_H

#include "generate/encoder_arch.h"
#include "generate/gguf.h"
#include "generate/kernels.h"
#include "generate/matmul.h"
#include "generate/rope.h"
#include "generate/steps.h"
#include "generate/tokenizer.h"
#include "generate/wordpiece.h"

enum {
    SAT_ENCODER_MAX_LAYERS = 256,
    SAT_ENCODER_MAX_DIMENSION = 8192,
    SAT_ENCODER_MAX_FFN = 65536,
    SAT_ENCODER_MAX_POSITIONS = 65536,
    SAT_ENCODER_MIN_TOKENS = 16
};

/* ------------------------------------------------------------------ the plan */

/* Weights of a product. F32, F16 and Q8_0 are packed for the encoder's kernels; those of other
 * types are multiplied where they are mapped. */
typedef struct sat_encoder_weight {
    sat_weights packed; /* unless matrix.data is set */
    sat_matrix matrix;  /* its bias only where scale is 1 */
    const float *bias;  /* (n), or NULL; of the matrix */
    float scale;        /* on the matrix's product, before the bias; of NVFP4 */
} sat_encoder_weight;

/* The forms in which weights read rows, as bits. */
enum { SAT_READS_ROWS = 1, SAT_READS_Q8 = 2, SAT_READS_32 = 4, SAT_READS_256 = 8 };

static inline unsigned sat_encoder_reads(const sat_encoder_weight *weight) {
    static const unsigned of_form[SAT_FORMS] = {SAT_READS_ROWS, SAT_READS_32, SAT_READS_256};
    if (weight->matrix.data)
        return of_form[sat_matrix_form(&weight->matrix)];
    return weight->packed.type == SAT_WEIGHT_Q8 ? SAT_READS_Q8 : SAT_READS_ROWS;
}

static inline size_t sat_encoder_outputs(const sat_encoder_weight *weight) {
    return weight->matrix.data ? weight->matrix.n : weight->packed.n;
}

/* Q, K and V in one product, or three where their weight types differ. */
typedef struct sat_qkv {
    sat_encoder_weight part[3];
    int parts;
} sat_qkv;

/* Blocks of 32 inputs that Q8 weights hold twice, see encoder_double.c. */
enum { SAT_DOUBLED = 2 };
typedef struct sat_doubled {
    uint16_t block[SAT_DOUBLED];
} sat_doubled;

/* A norm whose gamma is NULL is left out. */
typedef struct sat_layer {
    sat_qkv qkv;
    sat_doubled qkv_doubled, up_doubled;
    sat_encoder_weight output, up, down;
    sat_encoder_weight gate; /* with gated only */
    bool gated;              /* else up is all, or gate and up one after the other */
    sat_norm attn_norm, attn_post_norm, attn_output_norm, ffn_norm, ffn_post_norm, layer_norm;
    const float *q_norm, *k_norm; /* (head_dimension) */
    size_t reach;                 /* tokens seen to either side; 0: all */
} sat_layer;

/* Rotary positions of layers that see everything, and of windowed ones. */
enum { SAT_ENCODER_ROPE, SAT_ENCODER_ROPE_WINDOW, SAT_ENCODER_ROPES };

typedef struct sat_plan {
    const sat_encoder_arch *arch;
    size_t dimension, heads, kv_heads, head_dimension, ffn, layer_count;
    size_t queries, keys; /* heads · head_dimension, kv_heads · head_dimension */
    size_t positions;     /* the model's own limit */
    size_t max_tokens;    /* special tokens and prefix included */
    size_t doubled;  /* blocks in use in each sat_doubled; 0 where no weights that read x are Q8 */
    size_t window;   /* of windowed layers; 0: there are none */
    size_t rotated;  /* values of a head that turn; 0: none */
    size_t output;   /* values of a vector */
    int32_t pooling; /* SATCHEL_POOLING_* */
    sat_gate gate;
    float epsilon, embedding_scale;
    sat_rope_settings scaling; /* as the keys say */
    double window_base;
    sat_rope rope[SAT_ENCODER_ROPES];
    sat_matrix tokens, places; /* rows are read where they are mapped; places.data NULL: none */
    const float *type;         /* (dimension) token type 0, or zeros */
    sat_norm embedding_norm, output_norm;
    sat_layer *layers;
    sat_encoder_weight dense[2]; /* after pooling */
    int dense_count;
    unsigned reads_x, reads_attended, reads_hidden; /* forms wanted, over all layers */
    void *memory; /* all packed weights and float vectors, one block */
} sat_plan;

/* Up comes with a gate. */
static inline bool sat_encoder_gated(const sat_plan *plan) {
    return plan->arch->gate_in_up || plan->arch->parts & SAT_HAS(SAT_PART_GATE);
}

/* Up's product applies GELU itself and writes what down reads. */
static inline bool sat_encoder_fused(const sat_plan *plan, const sat_layer *layer) {
    return !sat_encoder_gated(plan) && !layer->up.matrix.data &&
           sat_encoder_reads(&layer->down) <= SAT_READS_Q8;
}

/* ------------------------------------------------------------------ tokens */

/* WordPiece, or a tokenizer of another kind. */
typedef struct sat_encoder_tokens {
    sat_wordpiece *wordpiece;
    sat_tokenizer *tokenizer;
    int32_t first, last; /* around every text; −1: none */
    int32_t filler;      /* what a text without any token is read as */
    int64_t size;        /* of the vocabulary */
    char *spellings;     /* of the tokenizer's, each with its NUL */
    size_t *starts;      /* (size) */
} sat_encoder_tokens;

struct sat_encoder {
    satchel_context *context;
    const char *file; /* while it is opened */
    sat_mapping mapping;
    sat_gguf *gguf;
    uint8_t *taken; /* by tensor: found its place */
    sat_encoder_tokens tokens;
    const sat_kernels *kernels;
    const sat_matmul_kernels *matmul;
    const sat_step_kernels *steps;
    sat_plan plan;
    char *prefix[2]; /* by SATCHEL_ROLE_*; never NULL */
    size_t prefix_length[2];
    size_t prefix_tokens[2];
    char fingerprint[33];
    const char *name; /* as the file says */
    const char *weight_type;
    int64_t parameters;
};

satchel_status sat_encoder_tokens_open(sat_encoder_tokens *tokens, satchel_context *context,
                                       const sat_gguf *gguf, satchel_error *error);
void sat_encoder_tokens_close(sat_encoder_tokens *tokens, satchel_context *context);
/* Ids of prefix and text, read as one, and the special tokens around them: ids has room for
 * plan.max_tokens, at which the text is cut. At least one id. INVALID_TEXT if it is not UTF-8. */
satchel_status sat_encoder_read(const sat_encoder *encoder, int32_t role, const char *text,
                                size_t length, int32_t *ids, size_t *count, satchel_error *error);
/* How many ids a text has, without special tokens. */
satchel_status sat_encoder_count(const sat_encoder *encoder, const char *text, size_t length,
                                 size_t *count, satchel_error *error);
/* Feeds what decides ids. */
void sat_encoder_tokens_fingerprint(const sat_encoder *encoder, sat_sha256 *hash);

/* ------------------------------------------------------------------ loading */

/* Hyperparameters, from the keys. plan.max_tokens, plan.pooling and plan.output already hold what
 * the options ask for, 0 for nothing. */
satchel_status sat_encoder_read_keys(sat_encoder *encoder, satchel_error *error);
/* The rest of the plan: tensors, checked; weights packed where they are. Every tensor of the file
 * must have its place. */
satchel_status sat_encoder_load(sat_encoder *encoder, satchel_error *error);
void sat_encoder_unload(sat_encoder *encoder);

/* Chooses the blocks to be doubled and copies their weights. Weights that read x have been packed
 * with plan.doubled blocks of zeros behind the others. */
satchel_status sat_encoder_double(sat_encoder *encoder, satchel_error *error);

/* ------------------------------------------------------------------ running */

/* A batch: texts one after the other, no padding. */
typedef struct sat_batch {
    const int32_t *ids;     /* (rows) special tokens included */
    const uint32_t *starts; /* (texts + 1) first row of each text */
    size_t texts;
    double *observed; /* (2 * layers, dimension / 32) sums, see encoder_double.c; usually NULL */
} sat_batch;

/* Scratch for a batch of so many texts and rows whose longest text has `longest`; 0 on overflow.
 * 64-byte aligned. */
size_t sat_forward_scratch(const sat_plan *plan, size_t texts, size_t rows, size_t longest);
/* Writes each text's pooled, normalised vector to out[text] (plan.output); false if one has no
 * length or is not finite, which only damaged weights can cause. */
bool sat_forward(const sat_encoder *encoder, const sat_batch *batch, void *scratch,
                 float *const *out);

#endif
