/*
 * generate: models. GGUF weights, text encoders, and with generator.h, which this includes, models
 * that write and their tokenizers. This is the folder's one interface header.
 */
#ifndef SATCHEL_GENERATE_GENERATE_H
#define SATCHEL_GENERATE_GENERATE_H

#include "base/base.h"

/* ------------------------------------------------------------------ GGUF */

/* Tensor types by their GGUF numbers; those whose weights can be read are named. */
enum {
    SAT_GGML_F32 = 0,
    SAT_GGML_F16 = 1,
    SAT_GGML_Q4_0 = 2,
    SAT_GGML_Q4_1 = 3,
    SAT_GGML_Q5_0 = 6,
    SAT_GGML_Q5_1 = 7,
    SAT_GGML_Q8_0 = 8,
    SAT_GGML_Q2_K = 10,
    SAT_GGML_Q3_K = 11,
    SAT_GGML_Q4_K = 12,
    SAT_GGML_Q5_K = 13,
    SAT_GGML_Q6_K = 14,
    SAT_GGML_IQ4_NL = 20,
    SAT_GGML_IQ4_XS = 23,
    SAT_GGML_BF16 = 30,
    SAT_GGML_TQ2_0 = 35,
    SAT_GGML_MXFP4 = 39,
    SAT_GGML_NVFP4 = 40
};

typedef struct sat_gguf sat_gguf;

typedef struct sat_tensor {
    const char *name;
    uint32_t type;     /* SAT_GGML_* or another GGUF number */
    uint32_t rank;     /* 1 to 4 */
    uint64_t shape[4]; /* GGUF order: shape[0] runs fastest */
    const void *data;  /* in the mapping */
    uint64_t bytes;
} sat_tensor;

/* Parses `size` bytes at `data`, which stay mapped and unchanged while the gguf is open. Every length,
 * count, offset and alignment is checked; nothing is read outside. `name` is for messages. */
satchel_status sat_gguf_open(sat_gguf **out, satchel_context *context, const void *data,
                             size_t size, const char *name, satchel_error *error);
void sat_gguf_close(sat_gguf **gguf);
const sat_tensor *sat_gguf_tensor(const sat_gguf *gguf, const char *name); /* NULL if absent */
size_t sat_gguf_tensor_count(const sat_gguf *gguf);
const sat_tensor *sat_gguf_tensor_at(const sat_gguf *gguf, size_t index);
/* Values by key; false if absent or of another kind. Integers of any width are widened and checked.
 * Strings are NUL-terminated copies; `length` may be NULL. */
bool sat_gguf_string(const sat_gguf *gguf, const char *key, const char **value, size_t *length);
bool sat_gguf_integer(const sat_gguf *gguf, const char *key, int64_t *value);
bool sat_gguf_float(const sat_gguf *gguf, const char *key, double *value);
bool sat_gguf_bool(const sat_gguf *gguf, const char *key, bool *value);
/* Arrays: count, then elements. String elements point into the mapping and have no NUL. */
bool sat_gguf_array(const sat_gguf *gguf, const char *key, size_t *count);
bool sat_gguf_array_string(const sat_gguf *gguf, const char *key, size_t index, const char **value,
                           size_t *length);
bool sat_gguf_array_integer(const sat_gguf *gguf, const char *key, size_t index, int64_t *value);
/* Elements of F32 or F64, or integers. */
bool sat_gguf_array_float(const sat_gguf *gguf, const char *key, size_t index, double *value);
/* The bytes of an array of U8 or I8, in the mapping. */
bool sat_gguf_array_bytes(const sat_gguf *gguf, const char *key, const uint8_t **data,
                          size_t *size);
/* Keys in the file's order, for showing. */
typedef struct sat_gguf_entry {
    const char *name;
    const char *type; /* "u32", "string", "array of i32"; static */
    uint64_t count;   /* bytes of a string, elements of an array, else 1 */
    bool cut;         /* the value shown is not all of it */
} sat_gguf_entry;
size_t sat_gguf_key_count(const sat_gguf *gguf);
uint32_t sat_gguf_version(const sat_gguf *gguf); /* of the format */
/* Fills *entry, and appends the value of key `index` as JSON: at most `limit` elements of an array and
 * bytes of a string, 0: some. Elements that are arrays are left out. False: out of memory. */
bool sat_gguf_describe(const sat_gguf *gguf, size_t index, size_t limit, sat_gguf_entry *entry,
                       sat_buffer *value);
/* Whether its general.architecture is a decoder's. */
bool sat_gguf_is_decoder(const sat_gguf *gguf);

/* A model in one file, or split into parts NAME-00001-of-00003.gguf and so on. */
typedef struct sat_gguf_set {
    satchel_context *context;
    size_t count;
    sat_mapping *mappings; /* (count) */
    sat_gguf **parts;      /* (count); the first has the model's keys */
} sat_gguf_set;

/* Maps and parses the file, and from the first part of a split model all others beside it. Every part's number
 * (split.no) and count (split.count), the number of tensors in all (split.tensors.count, if given) and that no
 * tensor is in two parts is checked; a missing part is named. */
satchel_status sat_gguf_set_open(sat_gguf_set **out, satchel_context *context, const char *path,
                                 satchel_error *error);
/* The same from mappings of all parts, in order; they are owned from here on, also on failure, and zeroed. */
satchel_status sat_gguf_set_open_mapped(sat_gguf_set **out, satchel_context *context,
                                        sat_mapping *mappings, size_t count, const char *name,
                                        satchel_error *error);
void sat_gguf_set_close(sat_gguf_set **set);
/* NULL if no part has it; *part (may be NULL) is the one that does. */
const sat_tensor *sat_gguf_set_tensor(const sat_gguf_set *set, const char *name, size_t *part);

const char *sat_tensor_type_name(uint32_t type); /* "Q8_0"; "type 99" style names are static "?" */

/* ------------------------------------------------------------------ WordPiece */

typedef struct sat_wordpiece sat_wordpiece;

/* From a GGUF's tokenizer.ggml.* keys (model "bert"). */
satchel_status sat_wordpiece_open(sat_wordpiece **out, satchel_context *context,
                                  const sat_gguf *gguf, satchel_error *error);
void sat_wordpiece_close(sat_wordpiece **wordpiece);
/* Appends the ids of `text` without special tokens: at most `limit` ids are stored in ids (which may
 * be NULL with limit 0), the full count is returned through *count. */
satchel_status sat_wordpiece_encode(const sat_wordpiece *wordpiece, const char *text, size_t length,
                                    int32_t *ids, size_t limit, size_t *count,
                                    satchel_error *error);
int64_t sat_wordpiece_size(const sat_wordpiece *wordpiece);
const char *sat_wordpiece_token(const sat_wordpiece *wordpiece, int32_t id); /* NULL if none */

/* ------------------------------------------------------------------ text encoder */

typedef struct sat_encoder sat_encoder;

typedef struct sat_encoder_options {            /* as satchel_model_options, read and checked */
    const char *query_prefix, *document_prefix; /* NULL: as the file says */
    int32_t pooling;
    int32_t max_tokens;
    int32_t dimension; /* values of a vector, 0: all */
} sat_encoder_options;

/* The mapping stays owned by the encoder from here on, also on failure. */
satchel_status sat_encoder_open(sat_encoder **out, satchel_context *context, sat_mapping *mapping,
                                const char *name, const sat_encoder_options *options,
                                satchel_error *error);
void sat_encoder_close(sat_encoder **encoder);
/* Strings live as long as the encoder. max_tokens is what a document may have: the model's limit less
 * the document prefix. */
void sat_encoder_info(const sat_encoder *encoder, satchel_model_info *info);
/* As satchel_model_embed / _tokenize. Thread-safe: calls take scratch of their own. */
satchel_status sat_encoder_embed(sat_encoder *encoder, int32_t role, const satchel_text *texts,
                                 size_t n, float *out, const satchel_cancel *cancel,
                                 satchel_error *error);
satchel_status sat_encoder_tokenize(const sat_encoder *encoder, const char *text, size_t length,
                                    int32_t *tokens, size_t capacity, size_t *count,
                                    satchel_error *error);
const char *sat_encoder_token(const sat_encoder *encoder, int32_t token);
/* As satchel_embedder.coverage. */
satchel_status sat_encoder_coverage(const sat_encoder *encoder, const char *text, size_t length,
                                    float *share, satchel_error *error);

/* ------------------------------------------------------------------ generators, tokenizers */

#include "generate/generator.h"

#endif
