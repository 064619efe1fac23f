/*
 * The text encoder inside generate: the plan that loading (encoder_load.c) makes of a file and that
 * the forward pass (encoder_forward.c) runs. encoder.c holds the interface, encoder_embed.c the
 * batching.
 */
#ifndef SATCHEL_GENERATE_ENCODER_H
#define SATCHEL_GENERATE_ENCODER_H

#include "generate/gguf.h"
#include "generate/kernels.h"
#include "generate/wordpiece.h"

enum {
    SAT_ENCODER_MAX_LAYERS = 256,
    SAT_ENCODER_MAX_DIMENSION = 8192,
    SAT_ENCODER_MAX_FFN = 65536,
    SAT_ENCODER_MAX_POSITIONS = 65536,
    SAT_ENCODER_MIN_TOKENS = 16
};

/* A table of rows that stays in the file: embeddings are read where they lie, row by row. */
typedef struct sat_table {
    const uint8_t *data;
    size_t row_bytes, columns, rows;
    uint32_t type; /* SAT_GGML_* */
} sat_table;

/* Q, K and V in one product, or three where their weight types differ. */
typedef struct sat_qkv {
    sat_weights part[3];
    size_t column[3]; /* of the part's first output among the 3 * dimension */
    int parts;
} sat_qkv;

/* Blocks of 32 inputs that Q8 weights hold twice, see encoder_double.c. */
enum { SAT_DOUBLED = 2 };
typedef struct sat_doubled {
    uint16_t block[SAT_DOUBLED];
} sat_doubled;

typedef struct sat_layer {
    sat_qkv qkv;
    sat_doubled qkv_doubled, up_doubled;
    sat_weights output, up, down;
    sat_norm attention_norm, output_norm;
} sat_layer;

typedef struct sat_plan {
    size_t dimension, heads, head_dimension, ffn, layer_count;
    size_t positions;  /* rows of the position table */
    size_t max_tokens; /* special tokens and prefix included */
    size_t doubled;  /* blocks in use in each sat_doubled; 0 where no weights that read x are Q8 */
    int32_t pooling; /* SATCHEL_POOLING_MEAN or _CLS */
    float epsilon;
    sat_table tokens;
    const float *places; /* (max_tokens, dimension): position plus token type 0 */
    sat_norm embedding_norm;
    sat_layer *layers;
    /* Which forms the layers' inputs are needed in, over all layers. */
    bool input_q8;               /* x, for Q, K, V or up */
    bool attended_rows;          /* attention's output as floats */
    bool attended_q8;            /* and quantized */
    bool hidden_rows, hidden_q8; /* up's output */
    void *memory;                /* all packed weights and float vectors, one block */
} sat_plan;

struct sat_encoder {
    satchel_context *context;
    sat_mapping mapping;
    sat_gguf *gguf;
    sat_wordpiece *wordpiece;
    const sat_kernels *kernels;
    sat_plan plan;
    char *prefix[2]; /* by SATCHEL_ROLE_*; never NULL */
    size_t prefix_length[2];
    size_t prefix_tokens[2];
    char fingerprint[33];
    const char *name; /* as the file says */
    const char *weight_type;
    int64_t parameters;
};

/* Fills the plan from encoder->gguf: hyperparameters, checked tensors, packed weights. plan.max_tokens
 * and plan.pooling already hold what the options ask for, 0 for nothing. */
satchel_status sat_encoder_load(sat_encoder *encoder, const char *file, satchel_error *error);
void sat_encoder_unload(sat_encoder *encoder);

/* Chooses the blocks to be doubled and copies their weights. Weights that read x have been packed with
 * plan.doubled blocks of zeros behind the others. */
satchel_status sat_encoder_double(sat_encoder *encoder, satchel_error *error);

/* One row of a table as floats. */
void sat_table_row(const sat_vector_kernels *vector, const sat_table *table, size_t row,
                   float *out);

/* A batch: texts one after the other, no padding. */
typedef struct sat_batch {
    const int32_t *ids;     /* (rows) special tokens included */
    const uint32_t *starts; /* (texts + 1) first row of each text */
    size_t texts;
    double *observed; /* (2 * layers, dimension / 32) sums, see encoder_double.c; usually NULL */
} sat_batch;

/* Scratch for a batch of so many rows whose longest text has `longest`; 0 on overflow. 64-byte
 * aligned. */
size_t sat_forward_scratch(const sat_plan *plan, size_t rows, size_t longest);
/* Writes each text's pooled, normalised vector to out[text] (dimension); false if one has no length or
 * is not finite, which only damaged weights can cause. */
bool sat_forward(const sat_kernels *kernels, const sat_vector_kernels *vector, const sat_plan *plan,
                 const sat_batch *batch, void *scratch, float *const *out);

#endif
