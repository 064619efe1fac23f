/*
 * A tiny text encoder made in memory, for tests: BERT in form, random in weights, the same bytes
 * for the same shape on every run.
 */
#ifndef SATCHEL_TESTS_SUPPORT_TINY_MODEL_H
#define SATCHEL_TESTS_SUPPORT_TINY_MODEL_H

#include "generate/generate.h"
#include "tests/support/gguf_writer.h"

typedef struct tiny_shape {
    size_t dimension, heads, ffn, layers, positions; /* 0: 64, 2, 128, 2, 64 */
    uint32_t type;       /* of weights: F32 (0), F16 (1), Q8_0 (8), Q4_0 (2), BF16 (30) */
    bool mixed;          /* attn_v is F16 and attn_output F32 all the same */
    uint32_t pooling;    /* bert.pooling_type; 0: not written */
    uint32_t max_tokens; /* satchel.max_seq_length; 0: not written */
    bool hashes;         /* vocabulary as "word", "##rest" instead of "▁word", "rest" */
    bool cased;
    bool outliers;                              /* as trained models have them, see TINY_OUTLIER */
    const char *query_prefix, *document_prefix; /* NULL: not written */
    const char *arch; /* NULL: "bert"; "nomic-bert", "modern-bert", "gemma-embedding" */
    bool unigram;     /* a vocabulary of that kind instead of WordPiece */
    size_t kv_heads;  /* of gemma-embedding; 0: heads */
    uint32_t window;  /* attention.sliding_window; 0: not written */
    size_t dense;     /* rows of dense_2; dense_3 has half of the dimension; 0: neither is there */
    const char *one_more;    /* a tensor that is written beside the others */
    const char *leave_out;   /* a tensor or key not written */
    const char *other_shape; /* a tensor written with one row too many */
    uint32_t other_type;     /* and of this type, if not 0 */
} tiny_shape;

/* With `outliers`, every norm's weight at this column is so many times larger. */
enum { TINY_OUTLIER = 37, TINY_OUTLIER_FACTOR = 25 };

/* The vocabulary, as BERT spells it. */
extern const char *const tiny_vocabulary[];
size_t tiny_vocabulary_size(void);
/* The id of a piece as BERT spells it; −1 if there is none. */
int32_t tiny_id(const char *piece);

/* The file; the caller frees it. shape may be NULL. */
uint8_t *tiny_model_bytes(const tiny_shape *shape, size_t *size);
/* Opens it. options may be NULL. */
satchel_status tiny_model_open_shape(sat_encoder **out, satchel_context *context,
                                     const tiny_shape *shape, const sat_encoder_options *options,
                                     satchel_error *error);
satchel_status tiny_model_open(sat_encoder **out, satchel_context *context, satchel_error *error);
/* A mapping that owns a copy of the bytes, as sat_file_map gives one; false when out of memory. */
bool tiny_mapping(sat_mapping *out, satchel_context *context, const void *bytes, size_t size);
/* The same, and frees the bytes in any case. */
satchel_status tiny_mapping_take(sat_mapping *out, satchel_context *context, uint8_t *bytes,
                                 size_t size, satchel_error *error);

/* The weights the model was made of, to compute the same by other means: a normal-ish sample for a
 * tensor's name and index. */
float tiny_weight(const char *name, size_t index);

#endif
