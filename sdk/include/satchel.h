/*
 * Satchel: retrieval-augmented generation over the user's own documents, offline.
 *
 * This is the whole public interface and the only installed header. It includes nothing of ours, so
 * the library's own folders use it as their vocabulary too.
 *
 *     satchel_context *context = NULL;                  one per app: allocator, threads, limits
 *     satchel_model   *model   = NULL;                  a GGUF file: an embedder or a generator
 *     satchel_store   *store   = NULL;                  one SQLite file with documents and index
 *     satchel_stream  *answer  = NULL;                  pulled: one event per call
 *     satchel_event    event;
 *
 *     satchel_context_open(&context, NULL, NULL);
 *     satchel_model_open(&model, context, "all-minilm-l6-v2-q8_0.gguf", NULL, NULL);
 *     satchel_store_open(&store, context, "notes.satchel", &(satchel_store_options){
 *         .struct_size = sizeof(satchel_store_options), .model = model}, NULL);
 *     satchel_store_add_text(store, "hello", "Satchel answers from your notes.", 32, NULL, NULL);
 *     satchel_ask(&answer, store, "Where do the answers come from?", NULL, NULL);
 *     while (satchel_stream_next(answer, &event, sizeof event, NULL) == SATCHEL_OK
 *            && event.kind != SATCHEL_EVENT_DONE)
 *         if (event.kind == SATCHEL_EVENT_TOKEN)
 *             fwrite(event.token->text, 1, event.token->length, stdout);
 *
 * Conventions, everywhere:
 *
 * - Objects are opaque. `satchel_<object>_open` (or a call that yields one) gives the caller a
 *   handle that it owns; `satchel_<object>_close(&handle)` frees it, sets it to NULL and accepts
 *   NULL. Objects hold a reference to what they were opened on, so they may be closed in any order.
 * - Every call that can fail returns a `satchel_status`: 0, or a negative code that never changes
 *   its meaning. Its last argument, `satchel_error *`, may be NULL; when given, it is filled on
 *   failure with the code, the system's error number and a message for developers: what, where,
 *   what to do. On failure the outputs are NULL or zero.
 * - Option structs start with `struct_size`, which the caller sets to sizeof; zero in any other
 *   field means the default, a NULL options pointer means all defaults, and defaults live only in
 *   the library. Non-zero bytes past what the library knows give SATCHEL_UNSUPPORTED.
 * - Results structs are filled by the library up to the size the caller gives; later versions only
 *   append fields.
 * - Strings are UTF-8. Where a text may hold NUL bytes a length stands beside it; a length of
 *   SATCHEL_NUL_TERMINATED means "up to the NUL". Input that is not valid UTF-8 where UTF-8 is
 *   asked for gives SATCHEL_INVALID_TEXT.
 * - Offsets are half-open ranges into the document's text: the string given, or the text its reader
 *   produced, which is stored and readable with satchel_document_text(). `text[start:end]` equals
 *   the hit byte for byte. UTF-16 offsets stand beside the byte offsets.
 * - Threads: a context, a model and a store may be used from many threads at once. A stream,
 *   results and a list are used by one thread at a time. Closing a handle while another thread is
 *   inside a call on it is forbidden. A cancel handle may be fired from any thread.
 * - Callbacks run on the thread that is inside the Satchel call, one at a time for each table, with
 *   no transaction open: other threads go on reading and writing meanwhile. Calling back into the
 *   store or model that waits for the callback gives SATCHEL_BUSY. A log function does not call
 *   Satchel at all.
 * - The library never aborts, prints, installs signal handlers or touches the network.
 */
#ifndef SATCHEL_H
#define SATCHEL_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(_WIN32)
#define SATCHEL_API
#elif defined(__GNUC__)
#define SATCHEL_API __attribute__((visibility("default")))
#else
#define SATCHEL_API
#endif

/* A pointer that may be NULL is marked _Nullable, inside a double pointer too; one that is not marked
 * may not. Compilers that do not know the mark see none. */
#if defined(__clang__)
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wnullability-extension"
#pragma clang assume_nonnull begin
#elif !defined(_Nullable)
#define _Nullable
#define _Nonnull
#define SATCHEL_UNDEFINE_NULLABLE
#endif

#define SATCHEL_VERSION_MAJOR 0
#define SATCHEL_VERSION_MINOR 1
#define SATCHEL_VERSION_PATCH 0

#define SATCHEL_NUL_TERMINATED ((size_t)-1)

/* ------------------------------------------------------------------ status and error */

typedef int32_t satchel_status;

enum {
    SATCHEL_OK = 0,
    SATCHEL_INVALID_ARGUMENT = -1,  /* a NULL, a size or a value the call does not take */
    SATCHEL_OUT_OF_MEMORY = -2,     /* the allocator returned NULL */
    SATCHEL_MEMORY_LIMIT = -3,      /* the context's memory limit would be passed; names the need */
    SATCHEL_IO = -4,                /* reading or writing failed; os_code says why */
    SATCHEL_NOT_FOUND = -5,         /* no such file, document or key */
    SATCHEL_EXISTS = -6,            /* it is there already */
    SATCHEL_DISK_FULL = -7,         /* no space left; nothing was lost */
    SATCHEL_PERMISSION = -8,        /* the system refused access */
    SATCHEL_LOCKED = -9,            /* locked by data protection or another program; not damaged */
    SATCHEL_BUSY = -10,             /* another writer is at work, or a callback calls back */
    SATCHEL_CANCELLED = -11,        /* the cancel handle was fired */
    SATCHEL_DAMAGED = -12,          /* the file's bytes contradict its format */
    SATCHEL_UNSUPPORTED = -13,      /* valid, but this build or version cannot do it */
    SATCHEL_TOO_NEW = -14,          /* written by a newer format version */
    SATCHEL_NOT_A_STORE = -15,      /* the file is something else */
    SATCHEL_WRONG_MODEL = -16,      /* the model's kind, dimension or fingerprint does not fit */
    SATCHEL_INVALID_TEXT = -17,     /* not valid UTF-8 */
    SATCHEL_INVALID_FILTER = -18,   /* the filter's JSON, key or operator is wrong; says where */
    SATCHEL_INVALID_METADATA = -19, /* not a flat JSON object; see satchel_add_options */
    SATCHEL_LIMIT = -20,            /* larger than a documented limit */
    SATCHEL_CONFIRM_REMOVALS = -21, /* over a fifth of a root would go; see sync options */
    SATCHEL_CALLBACK = -22,         /* an application callback reported failure */
    SATCHEL_FORKED = -23,           /* the handle was made before fork(); open a new one */
    SATCHEL_READ_ONLY = -24,        /* the store is open for reading only */
    SATCHEL_NO_MODEL = -25,         /* the call needs a model that is not there */
    SATCHEL_INTERNAL = -26          /* a bug in Satchel; please report the message */
};

/* Caller-owned; layout frozen: 512 bytes. */
typedef struct satchel_error {
    int32_t code;      /* the satchel_status returned */
    int32_t os_code;   /* errno where the system was at fault, else 0 */
    char message[504]; /* NUL-terminated English for developers; cut at a character border */
} satchel_error;

/* The constant's name ("SATCHEL_BUSY"), or "SATCHEL_UNKNOWN". Static string, never NULL. */
SATCHEL_API const char *satchel_status_name(satchel_status status);

/* ------------------------------------------------------------------ version and features */

/* "0.1.0". Static string. */
SATCHEL_API const char *satchel_version(void);
/* 1 if the library is at least this version, else 0. */
SATCHEL_API int32_t satchel_version_at_least(int32_t major, int32_t minor, int32_t patch);
/* 1 if this build has the feature, else 0: "encoder", "faiss", "generator", "html", "kmeans",
 * "markdown", "stemmers". */
SATCHEL_API int32_t satchel_has_feature(const char *name);

/* ------------------------------------------------------------------ context */

typedef struct satchel_context satchel_context;
typedef struct satchel_model satchel_model;
typedef struct satchel_store satchel_store;
typedef struct satchel_results satchel_results;
typedef struct satchel_documents satchel_documents;
typedef struct satchel_topics satchel_topics;
typedef struct satchel_stream satchel_stream;
typedef struct satchel_cancel satchel_cancel;
typedef struct satchel_gguf satchel_gguf;

/* Memory functions for everything Satchel allocates itself (docs/dependencies.md lists the
 * libraries that cannot follow). `reallocate` and `release` get the size the block was asked for.
 * Called from any thread. Blocks are aligned as malloc's. All three must be given, or none. */
typedef struct satchel_allocator {
    void *_Nullable user;
    void *_Nullable (*_Nonnull allocate)(void *_Nullable user, size_t size);
    void *_Nullable (*_Nonnull reallocate)(void *_Nullable user, void *block, size_t old_size,
                                           size_t new_size);
    void (*release)(void *_Nullable user, void *block, size_t size);
} satchel_allocator;

enum {
    SATCHEL_LOG_ERROR = 1,
    SATCHEL_LOG_WARNING = 2,
    SATCHEL_LOG_INFO = 3,
    SATCHEL_LOG_DEBUG = 4
};

/* No text, title or path of the user's documents is in `message` unless log_content was set. */
typedef void (*satchel_log_function)(void *_Nullable user, int32_t level, const char *message);

/* Instruction-set levels, in rising order within a family. */
enum {
    SATCHEL_CPU_DEFAULT = 0,  /* the best the machine has */
    SATCHEL_CPU_C = 1,        /* portable C */
    SATCHEL_CPU_AVX2 = 10,    /* AVX2, FMA, F16C */
    SATCHEL_CPU_AVXVNNI = 11, /* and AVX-VNNI: 256-bit int8 dot products */
    SATCHEL_CPU_AVX512 = 12,  /* AVX-512 F, BW, DQ, VL, VNNI */
    SATCHEL_CPU_NEON = 20,    /* AArch64 baseline */
    SATCHEL_CPU_DOTPROD = 21, /* AArch64 SDOT/UDOT */
    SATCHEL_CPU_I8MM = 22     /* and int8 matrix products */
};

typedef struct satchel_context_options {
    size_t struct_size;
    const satchel_allocator *_Nullable allocator; /* copied; default malloc, realloc, free */
    int32_t threads;       /* default: performance cores, at most 4; 1 starts no thread */
    int32_t cpu_level;     /* SATCHEL_CPU_*: a ceiling, for tests and measurements */
    uint64_t memory_limit; /* bytes; hard cap on what Satchel allocates; default none */
    satchel_log_function _Nullable log; /* default: none */
    void *_Nullable log_user;
    int32_t log_level;   /* SATCHEL_LOG_*; default SATCHEL_LOG_WARNING when log is set */
    int32_t log_content; /* 1: messages may hold paths, ids and text */
    /* Folder where generators save what they have read, so that another process need not read it
     * again; made if missing, its parent must exist. NULL: nothing is saved. All in it is derived
     * and may be deleted at any time. What a prompt said can be read from these files; see
     * satchel_context_clear_cache(). */
    const char *_Nullable cache_dir;
    uint64_t cache_limit;      /* bytes in it at most, the oldest go first; default 1 GiB */
    uint64_t cache_free_floor; /* nothing is saved with less free on the volume; default 512 MiB */
} satchel_context_options;

SATCHEL_API void satchel_context_options_init(satchel_context_options *options, size_t struct_size);

/* Opens a context. Errors: INVALID_ARGUMENT, OUT_OF_MEMORY, UNSUPPORTED (a cpu_level this machine
 * lacks). Threads are started at first use. */
SATCHEL_API satchel_status satchel_context_open(satchel_context *_Nullable *_Nonnull out,
                                                const satchel_context_options *_Nullable options,
                                                satchel_error *_Nullable error);
SATCHEL_API void satchel_context_close(satchel_context *_Nullable *_Nonnull context);
/* The level in use, SATCHEL_CPU_*, and its name ("avx512"). */
SATCHEL_API int32_t satchel_context_cpu_level(const satchel_context *context);
SATCHEL_API const char *satchel_context_cpu_name(const satchel_context *context);
SATCHEL_API int32_t satchel_context_threads(const satchel_context *context);
/* Bytes Satchel holds now and held at most, by its own allocator. Either pointer may be NULL. */
SATCHEL_API void satchel_context_memory(const satchel_context *context, uint64_t *_Nullable now,
                                        uint64_t *_Nullable peak);
/* Deletes all that generators saved in cache_dir, by this process or another; other files there
 * stay, and without a cache_dir there is nothing to do. Call it when no generator runs: what one
 * saves meanwhile may stay, and a model remembers its last run until the next one or its close.
 * Errors: IO, PERMISSION and others of the file system; what can be deleted is. */
SATCHEL_API satchel_status satchel_context_clear_cache(satchel_context *context,
                                                       satchel_error *_Nullable error);

/* ------------------------------------------------------------------ cancel */

/* A cancel handle is given in options, outlives the call or stream that uses it, and may be fired
 * from any thread and any number of times. Fired once, it stays fired. */
SATCHEL_API satchel_status satchel_cancel_open(satchel_cancel *_Nullable *_Nonnull out,
                                               satchel_context *context,
                                               satchel_error *_Nullable error);
SATCHEL_API void satchel_cancel_fire(satchel_cancel *_Nullable cancel);
SATCHEL_API int32_t satchel_cancel_fired(const satchel_cancel *_Nullable cancel);
SATCHEL_API void satchel_cancel_close(satchel_cancel *_Nullable *_Nonnull cancel);

/* ------------------------------------------------------------------ progress */

/* Called now and then during long work, on the calling thread; return non-zero to stop with
 * CANCELLED. satchel_event_progress stands under streams. */
struct satchel_event_progress;
typedef int32_t (*satchel_progress_function)(void *_Nullable user,
                                             const struct satchel_event_progress *progress);

/* ------------------------------------------------------------------ embedder table */

enum { SATCHEL_ROLE_DOCUMENT = 0, SATCHEL_ROLE_QUERY = 1 };

typedef struct satchel_text {
    const char *_Nullable data; /* UTF-8 */
    size_t length;              /* bytes */
} satchel_text;

/* An embedder: text to unit vectors. A model made by satchel_model_open() fills one itself; an
 * application brings its own (a platform framework, an NPU runtime) with this table. */
typedef struct satchel_embedder {
    size_t struct_size;
    void *_Nullable user;
    const char *id;     /* names model and settings; another id means other vectors */
    int32_t dimension;  /* 1 to 8192 */
    int32_t max_tokens; /* longest text it reads, special tokens included; at least 16 */
    /* Tokens of the text without truncation, special tokens included, into *count. May be NULL:
     * Satchel then estimates. Returns SATCHEL_OK or a negative status. */
    satchel_status (*_Nullable count_tokens)(void *_Nullable user, const char *text, size_t length,
                                             size_t *count);
    /* Share in [0, 1] of the text's letters that the vocabulary knows, into *share: how far the
     * vector of this query can be trusted. May be NULL: 1. */
    satchel_status (*_Nullable coverage)(void *_Nullable user, const char *text, size_t length,
                                         float *share);
    /* Writes n unit vectors to out: (n, dimension) float, row after row. `role` is
     * SATCHEL_ROLE_*. Too long a text is truncated at max_tokens. Poll `cancel` (may be NULL)
     * with satchel_cancel_fired() on long work and return SATCHEL_CANCELLED. */
    satchel_status (*embed)(void *_Nullable user, int32_t role, const satchel_text *texts, size_t n,
                            float *out, const satchel_cancel *_Nullable cancel);
    /* Called once when the last object that uses the table is closed. May be NULL. */
    void (*_Nullable destroy)(void *_Nullable user);
} satchel_embedder;

/* ------------------------------------------------------------------ model */

/* One handle for both; the file says which it is. */
enum {
    SATCHEL_MODEL_EMBEDDER = 1, /* text to vectors */
    SATCHEL_MODEL_GENERATOR = 2 /* text to text */
};

enum {
    SATCHEL_POOLING_DEFAULT = 0, /* as the file says */
    SATCHEL_POOLING_MEAN = 1,
    SATCHEL_POOLING_CLS = 2,
    SATCHEL_POOLING_LAST = 3 /* the last token */
};

/* How a generator holds the keys and values of the tokens it has read. */
enum {
    SATCHEL_KV_DEFAULT = 0, /* F16 */
    SATCHEL_KV_F16 = 1,
    SATCHEL_KV_Q8_0 = 2, /* half the memory, a little less exact */
    SATCHEL_KV_F32 = 3
};

/* Fields of the kind that the file is not have no effect, but for adapters and chat_template, which
 * an embedder refuses. */
typedef struct satchel_model_options {
    size_t struct_size;
    /* Embedders. */
    const char *_Nullable query_prefix;    /* NULL: the file's, or the architecture's; "" : none */
    const char *_Nullable document_prefix; /* NULL: the file's, or the architecture's; "" : none */
    int32_t pooling;                       /* SATCHEL_POOLING_* */
    int32_t max_tokens;                    /* 0: as the file says */
    /* Generators. */
    int32_t context_tokens; /* room for prompt and answer; default: the file's, at most 8,192 */
    int32_t kv_type;        /* SATCHEL_KV_* */
    /* (adapter_count) paths of LoRA adapters in GGUF */
    const char *_Nullable const *_Nullable adapters;
    const float *_Nullable adapter_scales; /* (adapter_count); NULL: 1 each */
    size_t adapter_count;
    const char *_Nullable chat_template; /* Jinja, instead of the file's own; NULL: the file's */
    /* Both. */
    int32_t warm; /* 1: read all weights now, so that the first answer does not wait for storage */
    /* Embedders: values of a vector, its first so many, scaled to length 1 again; 0: all. For
     * models that are trained for it (EmbeddingGemma, nomic-embed-text v1.5). INVALID_ARGUMENT if
     * the model's vectors have less. */
    int32_t dimension;
    satchel_progress_function _Nullable progress; /* of warm: SATCHEL_PHASE_WARM, in bytes */
    void *_Nullable progress_user;
    const satchel_cancel *_Nullable cancel; /* of opening */
} satchel_model_options;

SATCHEL_API void satchel_model_options_init(satchel_model_options *options, size_t struct_size);

/* Opens a GGUF file by mapping it: a text encoder or a decoder; docs/generate.md lists the
 * architectures. Of a model split into parts, give the first: the others are found beside it. No
 * weights are read unless `warm` is set, so this returns at once.
 * Errors: NOT_FOUND, IO, DAMAGED (not GGUF, or lengths and offsets that contradict each other; says
 * where), UNSUPPORTED (names the architecture, tensor type or tokenizer), INVALID_ARGUMENT,
 * MEMORY_LIMIT, CANCELLED. The model may be used from many threads; calls queue for the pool. */
SATCHEL_API satchel_status satchel_model_open(satchel_model *_Nullable *_Nonnull out,
                                              satchel_context *context, const char *path,
                                              const satchel_model_options *_Nullable options,
                                              satchel_error *_Nullable error);
/* As above from an open descriptor: `length` bytes at `offset` (0: to the end). The descriptor is
 * duplicated; the caller keeps its own. For Android assets and file providers. A model split into
 * parts is opened by path. */
SATCHEL_API satchel_status satchel_model_open_fd(satchel_model *_Nullable *_Nonnull out,
                                                 satchel_context *context, int32_t fd,
                                                 uint64_t offset, uint64_t length,
                                                 const satchel_model_options *_Nullable options,
                                                 satchel_error *_Nullable error);
/* A model from an application's own embedder. The table is copied; `destroy` is called when the
 * last user is gone, also when this call fails. */
SATCHEL_API satchel_status satchel_model_from_embedder(satchel_model *_Nullable *_Nonnull out,
                                                       satchel_context *context,
                                                       const satchel_embedder *embedder,
                                                       satchel_error *_Nullable error);
SATCHEL_API void satchel_model_close(satchel_model *_Nullable *_Nonnull model);

typedef struct satchel_model_info {
    const char *name;         /* from the file; may be "" */
    const char *architecture; /* "bert", "qwen3"; "custom" for one of the application's */
    const char *fingerprint;  /* names what it makes: hex; lives as long as the model */
    const char *weight_type;  /* "F32", "F16", "Q8_0": that of most weights; "" if unknown */
    int32_t dimension;        /* of an embedder's vectors; within a generator; 0 if unknown */
    int32_t max_tokens;       /* longest text of an embedder; context_tokens of a generator */
    int64_t vocabulary_size;  /* 0 if unknown */
    int64_t parameter_count;  /* 0 if unknown */
    int64_t file_bytes;       /* of all parts; 0 if unknown */
    int32_t kind;             /* SATCHEL_MODEL_* */
    /* Generators; 0 in an embedder, and where unknown. */
    int32_t context_tokens;  /* room for prompt and answer, as opened */
    int32_t trained_context; /* tokens it was trained for */
    int32_t layers;
    int32_t has_chat_template; /* 1: satchel_chat() can serve */
    int32_t reserved;
    uint64_t weight_bytes;     /* read for one token, from the mapped file */
    uint64_t memory_bytes;     /* held beside the file, with one context full */
    uint64_t kv_bytes_a_token; /* of that, for each token of the context */
} satchel_model_info;

/* Fills *info up to `size` bytes. Strings live as long as the model. */
SATCHEL_API satchel_status satchel_model_get_info(const satchel_model *model,
                                                  satchel_model_info *info, size_t size,
                                                  satchel_error *_Nullable error);

/* What opening a file would take. */
typedef struct satchel_model_need {
    int32_t kind;           /* SATCHEL_MODEL_* */
    int32_t context_tokens; /* it would have; 0 for an embedder */
    uint64_t file_bytes;    /* of all parts */
    uint64_t weight_bytes;  /* of that, read for one token; mapped, so it can be dropped again */
    uint64_t memory_bytes;  /* held beside the file, with one context full */
    uint64_t kv_bytes;      /* of that, for keys and values */
} satchel_model_need;

/* What a model would take. Of a generator this is known from the file's keys and tensors, without
 * reading weights; an embedder is opened and closed again. Options count as far as they change it.
 * Errors: as satchel_model_open(). */
SATCHEL_API satchel_status satchel_model_measure(satchel_context *context, const char *path,
                                                 satchel_model_need *need, size_t size,
                                                 const satchel_model_options *_Nullable options,
                                                 satchel_error *_Nullable error);

/* How well a generator foresees a text. */
typedef struct satchel_perplexity {
    int64_t tokens;       /* scored: all but the first */
    double nll;           /* mean of -ln p over them, in nats */
    double perplexity;    /* e to the nll */
    double bits_per_byte; /* of the text: comparable between vocabularies */
    int64_t elapsed_ms;
} satchel_perplexity;

/* Embeds n texts into out: (n, dimension) float, rows of length 1. An empty text is embedded as the
 * special tokens alone. Errors: INVALID_TEXT, CANCELLED, OUT_OF_MEMORY, CALLBACK, WRONG_MODEL (a
 * generator). */
SATCHEL_API satchel_status satchel_model_embed(satchel_model *model, int32_t role,
                                               const satchel_text *texts, size_t n, float *out,
                                               const satchel_cancel *_Nullable cancel,
                                               satchel_error *_Nullable error);
/* Token ids of a text, without truncation: an embedder's with its special tokens, a generator's as
 * satchel_generate() reads a prompt, with the token that begins a text where the file asks for one.
 * Special tokens spelled in the text are text. Writes at most `capacity` ids and the full count to
 * *count; call with capacity 0 to ask for the count. UNSUPPORTED for an application's model. */
SATCHEL_API satchel_status satchel_model_tokenize(const satchel_model *model, const char *text,
                                                  size_t length, int32_t *_Nullable tokens,
                                                  size_t capacity, size_t *count,
                                                  satchel_error *_Nullable error);
/* The vocabulary's piece for a token id, as the file spells it; lives as long as the model. NULL if
 * there is none. */
SATCHEL_API const char *_Nullable satchel_model_token(const satchel_model *model, int32_t token);

/* The text of tokens, as UTF-8: bytes that are no character become U+FFFD. Special tokens are left
 * out, or spelled if `special` is 1. Writes at most `capacity` bytes, without a NUL, and the full
 * length to *length; call with capacity 0 to ask for the length. INVALID_ARGUMENT: an id past the
 * vocabulary; WRONG_MODEL: an embedder; UNSUPPORTED: an application's generator. */
SATCHEL_API satchel_status satchel_model_detokenize(const satchel_model *model,
                                                    const int32_t *tokens, size_t count,
                                                    int32_t special, char *_Nullable text,
                                                    size_t capacity, size_t *length,
                                                    satchel_error *_Nullable error);
/* Logits of a generator from a file: (count, vocabulary_size) float, where row i scores what comes
 * behind tokens[0..i]. LIMIT: more tokens than the context has. Also WRONG_MODEL, UNSUPPORTED (an
 * application's), INVALID_ARGUMENT (an id past the vocabulary), CANCELLED, MEMORY_LIMIT. */
SATCHEL_API satchel_status satchel_model_logits(satchel_model *model, const int32_t *tokens,
                                                size_t count, float *logits,
                                                const satchel_cancel *_Nullable cancel,
                                                satchel_error *_Nullable error);
/* Perplexity of a text under a generator from a file, in windows of the context's size that overlap
 * by half: each token is scored once, all but those of the first window with half a window before
 * them. *out is filled up to `size` bytes. progress (may be NULL): SATCHEL_PHASE_PREFILL, tokens
 * scored. INVALID_ARGUMENT: a text of fewer than two tokens. Other errors as above. */
SATCHEL_API satchel_status satchel_model_perplexity(
    satchel_model *model, const char *text, size_t length, satchel_perplexity *out, size_t size,
    satchel_progress_function _Nullable progress, void *_Nullable user,
    const satchel_cancel *_Nullable cancel, satchel_error *_Nullable error);

/* ------------------------------------------------------------------ generate */

/* What happens when prompt and answer fill the context. */
enum {
    /* A prompt that leaves no room for max_tokens is LIMIT up front; where that is 0 or -1, the
     * answer ends when the context is full, with SATCHEL_FINISH_CONTEXT. */
    SATCHEL_OVERFLOW_ERROR = 0,
    /* The answer goes on: half of what stands behind the first tokens is forgotten, the rest is
     * read again at its new place, which takes as long as reading a prompt of that length. */
    SATCHEL_OVERFLOW_SHIFT = 1
};

/* Why an answer ended. */
enum {
    SATCHEL_FINISH_NONE = 0,   /* nothing was generated */
    SATCHEL_FINISH_END = 1,    /* the model said so, or schema or grammar allow no more */
    SATCHEL_FINISH_LENGTH = 2, /* max_tokens */
    SATCHEL_FINISH_STOP = 3,   /* a stop string */
    SATCHEL_FINISH_CONTEXT = 4 /* the context is full */
};

/* Sampling works in this order: bias, penalties, schema or grammar, top_k, typical_p, top_p, min_p,
 * temperature. With the same seed, build and CPU level, the same prompt gives the same text. */
typedef struct satchel_generate_options {
    size_t struct_size;
    int32_t max_tokens;     /* of the answer; default 512; -1: as many as fit */
    int32_t trust_prompt;   /* 1: special tokens spelled in a prompt of satchel_generate() are read
                           * as such; default: as text. Messages of a chat are text always */
    float temperature;      /* default 0: the likeliest token each time */
    int32_t top_k;          /* only the k likeliest; default: all */
    float top_p;            /* the likeliest that together reach this share; default: all */
    float min_p;            /* those at least this times as likely as the likeliest; default: all */
    float typical_p;        /* those nearest to the entropy that reach this share; default: all */
    float repetition;       /* divides the weight of what was said; default 1: off */
    float frequency;        /* taken off for each time a token was said; default 0 */
    float presence;         /* taken off once; default 0 */
    int32_t penalty_window; /* tokens back that penalties see; default 64; -1: all */
    int32_t reserved;
    uint64_t seed;
    const int32_t *_Nullable bias_tokens; /* (bias_count) token ids */
    const float *_Nullable biases;        /* (bias_count) added to their logits; -INFINITY: never */
    size_t bias_count;
    /* (stop_count) strings: the answer ends before the first found */
    const char *_Nullable const *_Nullable stop;
    size_t stop_count;
    /* JSON Schema the answer must validate against; see docs/generate.md */
    const char *_Nullable schema;
    const char *_Nullable grammar; /* or a grammar in GBNF that it must match */
    int32_t overflow;              /* SATCHEL_OVERFLOW_* */
    int32_t no_saved_kv;           /* 1: neither read nor write the context's cache_dir */
    const satchel_cancel *_Nullable cancel;
} satchel_generate_options;

SATCHEL_API void satchel_generate_options_init(satchel_generate_options *options,
                                               size_t struct_size);

typedef struct satchel_chat_options {
    size_t struct_size;
    const satchel_generate_options *_Nullable generate; /* NULL: defaults */
    const char *_Nullable tools;                        /* JSON array for the template, or NULL */
    /* JSON object for the template ("enable_thinking": false), or NULL */
    const char *_Nullable variables;
    int32_t continue_answer; /* 1: the last message is the assistant's, and is gone on with */
    int32_t reserved;
} satchel_chat_options;

SATCHEL_API void satchel_chat_options_init(satchel_chat_options *options, size_t struct_size);

/* Goes on with a prompt, or answers a conversation: events PROGRESS (SATCHEL_PHASE_PREFILL), TOKEN
 * as the text grows, DONE. The work happens inside satchel_stream_next(); a cancel takes effect
 * within one token's time, closing the stream at once. Nothing is remembered between calls but what
 * was computed: give the whole conversation each time, and what the last call on the model, or the
 * context's cache_dir, still has of it is not computed again (DONE says how much). Options are
 * copied. Each running stream holds keys and values of its own: info.memory_bytes counts one.
 *
 * messages: a JSON array of objects with "role" ("system", "user", "assistant") and "content", a
 * string, and what else the model's chat template knows. Text in them forms no special token.
 *
 * Errors of both, up front: WRONG_MODEL, INVALID_TEXT, INVALID_ARGUMENT (also what the template
 * raises), UNSUPPORTED (no chat template, or one that is outside the subset of docs/generate.md; a
 * keyword of the schema), LIMIT (see SATCHEL_OVERFLOW_ERROR; a max_tokens that is less than the
 * shortest answer the schema allows), CALLBACK; and while it runs: CANCELLED, MEMORY_LIMIT,
 * CALLBACK. */
SATCHEL_API satchel_status satchel_generate(satchel_stream *_Nullable *_Nonnull out,
                                            satchel_model *model, const char *prompt, size_t length,
                                            const satchel_generate_options *_Nullable options,
                                            satchel_error *_Nullable error);
SATCHEL_API satchel_status satchel_chat(satchel_stream *_Nullable *_Nonnull out,
                                        satchel_model *model, const char *messages, size_t length,
                                        const satchel_chat_options *_Nullable options,
                                        satchel_error *_Nullable error);

/* What an application's generator is asked for. All it leads to lives until begin() returns, but
 * for `cancel`, which lives until end(). */
typedef struct satchel_generator_request {
    size_t struct_size;
    const char *messages; /* JSON array of objects with "role" and "content", both strings */
    size_t messages_length;
    int32_t max_tokens;      /* of the answer; -1: as many as fit */
    int32_t continue_answer; /* 1: the last message is the assistant's, and is gone on with */
    /* Never NULL. What the generator cannot honour it ignores; Satchel finds stop strings. */
    const satchel_generate_options *options;
    const satchel_cancel *_Nullable cancel; /* may be NULL */
} satchel_generator_request;

/* A generator of the application's own: a platform's language model, another runtime, a server on
 * the device. Calls come one at a time, from any thread; several runs may be open at once. */
typedef struct satchel_generator {
    size_t struct_size;
    void *_Nullable user;
    const char *id;         /* names model and settings */
    int32_t context_tokens; /* room for prompt and answer; at least 256 */
    int32_t reserved;
    /* Tokens of the text into *count. May be NULL: Satchel then estimates. Returns SATCHEL_OK or a
     * negative status. */
    satchel_status (*_Nullable count_tokens)(void *_Nullable user, const char *text, size_t length,
                                             size_t *count);
    /* Starts an answer; *run is handed to next() and end(). Should return soon: a prompt is read in
     * the first next(). */
    satchel_status (*begin)(void *_Nullable user, const satchel_generator_request *request,
                            void *_Nullable *_Nonnull run);
    /* The next piece of text, which lives until the next call on the run; length 0: the end.
     * Satchel joins characters that are cut between pieces and replaces what is not UTF-8 by
     * U+FFFD. Poll request->cancel on long work and return SATCHEL_CANCELLED. */
    satchel_status (*next)(void *_Nullable user, void *_Nullable run,
                           const char *_Nullable *_Nonnull text, size_t *length);
    /* Called once for each begin() that succeeded, also in the middle of an answer. */
    void (*end)(void *_Nullable user, void *_Nullable run);
    /* Called once when the last object that uses the table is closed. May be NULL. */
    void (*_Nullable destroy)(void *_Nullable user);
} satchel_generator;

/* A model from an application's own generator, for satchel_generate(), satchel_chat() and
 * satchel_ask(). The table is copied; `destroy` is called when the last user is gone, also when
 * this call fails. */
SATCHEL_API satchel_status satchel_model_from_generator(satchel_model *_Nullable *_Nonnull out,
                                                        satchel_context *context,
                                                        const satchel_generator *generator,
                                                        satchel_error *_Nullable error);

/* ------------------------------------------------------------------ reader table */

enum {
    SATCHEL_LOCATOR_PAGE = 1,    /* number: 1-based page */
    SATCHEL_LOCATOR_SLIDE = 2,   /* number: 1-based slide */
    SATCHEL_LOCATOR_HEADING = 3, /* number: level 1 to 6; label: the heading */
    SATCHEL_LOCATOR_TIME = 4     /* number: milliseconds from the start */
};

/* From `start` (a byte offset into the document's text) to the next locator of the same kind, the
 * text lies on this page, slide, under this heading, at this time. */
typedef struct satchel_locator {
    int32_t kind; /* SATCHEL_LOCATOR_* */
    int32_t reserved;
    int64_t number;
    int64_t start;               /* byte offset into the text */
    const char *_Nullable label; /* UTF-8, may be NULL */
} satchel_locator;

/* What a reader calls to hand over its text. Valid only inside read(). */
typedef struct satchel_reader_sink {
    size_t struct_size;
    void *sink; /* pass on unchanged */
    /* Appends UTF-8 text. Paragraphs are separated by an empty line. */
    satchel_status (*text)(void *sink, const char *text, size_t length);
    /* Marks the place reached so far. locator->start is ignored. */
    satchel_status (*locate)(void *sink, const satchel_locator *locator);
    /* Sets the document's title, if the caller of add gave none. */
    satchel_status (*title)(void *sink, const char *title, size_t length);
} satchel_reader_sink;

/* A reader: the bytes of a file to text with locators. Later registrations go first; built-in
 * readers (text, Markdown, HTML) come last. */
typedef struct satchel_reader {
    size_t struct_size;
    void *_Nullable user;
    const char *id;                   /* "pdfkit" */
    const char *media_types;          /* space-separated: "application/pdf" */
    const char *_Nullable extensions; /* space-separated without dots: "pdf"; may be NULL */
    /* Reads `length` bytes at `data` of the given media type. Return SATCHEL_OK, or a negative
     * status (SATCHEL_UNSUPPORTED: let the next reader try) after writing a message of at most
     * message_size bytes. */
    satchel_status (*read)(void *_Nullable user, const char *media_type, const void *data,
                           size_t length, const satchel_reader_sink *sink, char *message,
                           size_t message_size);
    void (*_Nullable destroy)(void *_Nullable user); /* may be NULL */
} satchel_reader;

/* ------------------------------------------------------------------ store */

typedef struct satchel_store_options {
    size_t struct_size;
    /* the embedder; NULL: keyword search only. The store holds a reference */
    satchel_model *_Nullable model;
    int32_t read_only;    /* 1: never write; on read-only media too */
    int32_t must_exist;   /* 1: NOT_FOUND instead of creating */
    int32_t chunk_tokens; /* target size of a chunk; default: the model's max_tokens, else 256 */
    int32_t reserved;
    const void *_Nullable encryption_key; /* reserved: UNSUPPORTED unless NULL */
    size_t encryption_key_size;
} satchel_store_options;

SATCHEL_API void satchel_store_options_init(satchel_store_options *options, size_t struct_size);

/* Opens or creates a store: one SQLite file (and its -wal and -shm) at `path`; a large one has a
 * vector index beside it. Many readers and one writer, in one process or many. Errors: NOT_FOUND,
 * NOT_A_STORE, TOO_NEW, DAMAGED, LOCKED, PERMISSION, IO, DISK_FULL, UNSUPPORTED. A model other than
 * the one the store's vectors were made with is accepted: keywords serve, and
 * satchel_store_maintain() embeds again. */
SATCHEL_API satchel_status satchel_store_open(satchel_store *_Nullable *_Nonnull out,
                                              satchel_context *context, const char *path,
                                              const satchel_store_options *_Nullable options,
                                              satchel_error *_Nullable error);
SATCHEL_API void satchel_store_close(satchel_store *_Nullable *_Nonnull store);

/* Registers a reader for this store's adds and syncs. The table is copied; `destroy` is called when
 * the store closes, also when this call fails. */
SATCHEL_API satchel_status satchel_store_add_reader(satchel_store *store,
                                                    const satchel_reader *reader,
                                                    satchel_error *_Nullable error);

typedef struct satchel_add_options {
    size_t struct_size;
    const char *_Nullable title; /* default: the reader's, else the last part of the id */
    /* flat JSON object: strings, numbers, booleans, arrays of strings */
    const char *_Nullable metadata;
    /* for add_text: "text/plain" (default), "text/markdown", "text/html" */
    const char *_Nullable media_type;
    int64_t modified_ms;     /* Unix time in milliseconds; default: now */
    int32_t defer_embedding; /* 1: keywords now, vectors at satchel_store_maintain() */
    int32_t must_be_new;     /* 1: EXISTS instead of replacing a document of the same id */
    const satchel_cancel *_Nullable cancel;
} satchel_add_options;

SATCHEL_API void satchel_add_options_init(satchel_add_options *options, size_t struct_size);

/* Adds or replaces a document. On return it is committed and found by keyword, and by vector too
 * unless defer_embedding was set. A document whose bytes, title and metadata have not changed costs
 * nothing. Ids are UTF-8, 1 to 1,024 bytes, without control characters, and compared in NFC.
 * Errors: INVALID_ARGUMENT, INVALID_TEXT, INVALID_METADATA, EXISTS, BUSY, LIMIT (a text over 1
 * GiB), CANCELLED, DISK_FULL, READ_ONLY, CALLBACK. If embedding fails the document stays, found by
 * keyword. */
SATCHEL_API satchel_status satchel_store_add_text(satchel_store *store, const char *id,
                                                  const char *text, size_t length,
                                                  const satchel_add_options *_Nullable options,
                                                  satchel_error *_Nullable error);
/* As add_text, for the bytes of a file. `media_type` chooses the reader; NULL: by the id's
 * extension, else by looking at the bytes. Text in UTF-8, UTF-16 (BOM) or, failing both,
 * Windows-1252/Latin-1. */
SATCHEL_API satchel_status satchel_store_add_bytes(satchel_store *store, const char *id,
                                                   const char *_Nullable media_type,
                                                   const void *_Nullable data, size_t length,
                                                   const satchel_add_options *_Nullable options,
                                                   satchel_error *_Nullable error);
/* As add_bytes, read from a descriptor: `length` bytes at `offset` (0: to the end). The caller
 * keeps the descriptor. */
SATCHEL_API satchel_status satchel_store_add_fd(satchel_store *store, const char *id,
                                                const char *_Nullable media_type, int32_t fd,
                                                uint64_t offset, uint64_t length,
                                                const satchel_add_options *_Nullable options,
                                                satchel_error *_Nullable error);
/* Removes a document, its chunks, keywords and vectors. NOT_FOUND if there is none. What a generator
 * read of it may still be in the context's cache_dir: see satchel_context_clear_cache(). */
SATCHEL_API satchel_status satchel_store_remove(satchel_store *store, const char *id,
                                                satchel_error *_Nullable error);

typedef struct satchel_sync_options {
    size_t struct_size;
    const char *_Nullable root; /* name of the root; default: the folder's own name */
    int32_t keep_missing;       /* 1: never remove documents whose files are gone */
    int32_t allow_removals;     /* 1: also when more than a fifth of the root would go */
    int32_t defer_embedding;    /* 1: stop after keywords */
    int32_t include_hidden;     /* 1: files and folders whose name starts with a dot too */
    int64_t max_file_bytes;     /* larger files are reported and passed over; default 256 MiB */
    satchel_cancel *_Nullable cancel;
} satchel_sync_options;

SATCHEL_API void satchel_sync_options_init(satchel_sync_options *options, size_t struct_size);

/* Brings a named root in line with a folder (or one file) at `path`: new and changed files are
 * added, files seen to be gone are removed, the rest is left alone. Document ids are
 * `root/relative/path`. The work happens inside satchel_stream_next(), which yields FILE for each
 * file added, changed, removed or failed, PROGRESS in between, and DONE. Pass 1 makes files found
 * by keyword, pass 2 embeds. Everything is committed in batches: closing the stream, a cancel or a
 * kill loses at most one batch, and the next sync goes on from there. One writer at a time: BUSY
 * from the first next() while another sync holds the store. CONFIRM_REMOVALS, before anything is
 * removed, if more than a fifth of a root of over five documents would go. A symbolic link is
 * followed only when it is `path` itself. */
SATCHEL_API satchel_status satchel_store_sync(satchel_stream *_Nullable *_Nonnull out,
                                              satchel_store *store, const char *path,
                                              const satchel_sync_options *_Nullable options,
                                              satchel_error *_Nullable error);

/* The store's roots, by index: name, the path it was last synced from, and how many documents it
 * has. Strings are cut at the given sizes at a character border. NOT_FOUND past the last. */
SATCHEL_API satchel_status satchel_store_get_root(satchel_store *store, size_t index,
                                                  char *_Nullable name, size_t name_size,
                                                  char *_Nullable path, size_t path_size,
                                                  int64_t *_Nullable documents,
                                                  satchel_error *_Nullable error);

/* Does what was put off, for about budget_ms milliseconds (0: until all is done): cuts documents
 * again that were cut for another model, embeds what is pending, keeps the vector index, merges
 * away what was removed and gives free pages back. The index is a file PATH-index-NUMBER beside the
 * store, made from about 100,000 vectors on and anew when a quarter of them has changed; what a
 * call leaves of it the next goes on with. A sync ends with the same. *pending, if not NULL, gets
 * the number of chunks still to embed, and at least 1 while documents are to be cut again or the
 * index is not finished: call again until it is 0. Errors: NO_MODEL if the store has no model,
 * READ_ONLY. */
SATCHEL_API satchel_status satchel_store_maintain(satchel_store *store, int64_t budget_ms,
                                                  const satchel_cancel *_Nullable cancel,
                                                  int64_t *_Nullable pending,
                                                  satchel_error *_Nullable error);

typedef struct satchel_store_stats {
    int64_t documents;
    int64_t chunks;
    int64_t chunks_embedded; /* with the model the store was opened with */
    int64_t chunks_pending;  /* without, while a model is given */
    int64_t text_bytes;
    int64_t file_bytes; /* store, -wal and vector index */
    int64_t failures;   /* files that could not be read at the last sync */
    int32_t format_version;
    int32_t has_model;
    int32_t dimension; /* of the model given, else 0 */
    int32_t reserved;
} satchel_store_stats;

SATCHEL_API satchel_status satchel_store_get_stats(satchel_store *store, satchel_store_stats *stats,
                                                   size_t size, satchel_error *_Nullable error);

/* Called once for each problem found; return non-zero to stop. */
typedef int32_t (*satchel_problem_function)(void *_Nullable user, const char *problem);

/* Checks the whole store: SQLite's own check, keywords against text, chunk bounds, vectors (finite,
 * unit length, right dimension), nothing orphaned. *problems gets their number. Reads only. */
SATCHEL_API satchel_status satchel_store_verify(satchel_store *store,
                                                satchel_problem_function _Nullable report,
                                                void *_Nullable user, int64_t *_Nullable problems,
                                                satchel_error *_Nullable error);

/* Copies the store as it is now into a new file at `path` while others may read and write. EXISTS
 * if there is one. */
SATCHEL_API satchel_status satchel_store_backup(satchel_store *store, const char *path,
                                                const satchel_cancel *_Nullable cancel,
                                                satchel_error *_Nullable error);

/* ------------------------------------------------------------------ documents */

typedef struct satchel_document {
    const char *id;
    const char *title;
    const char *metadata; /* JSON object */
    const char *media_type;
    int64_t text_bytes;
    int64_t chunks;
    int64_t chunks_embedded;
    int64_t modified_ms;
    const char *_Nullable failure; /* NULL, or why the last sync could not read it */
} satchel_document;

typedef struct satchel_list_options {
    size_t struct_size;
    const char *_Nullable filter; /* JSON; see docs/filters.md */
    int64_t limit;                /* default: all */
    int64_t offset;
} satchel_list_options;

SATCHEL_API void satchel_list_options_init(satchel_list_options *options, size_t struct_size);

/* The documents of a store, by id. */
SATCHEL_API satchel_status satchel_store_list(satchel_documents *_Nullable *_Nonnull out,
                                              satchel_store *store,
                                              const satchel_list_options *_Nullable options,
                                              satchel_error *_Nullable error);
SATCHEL_API size_t satchel_documents_count(const satchel_documents *documents);
/* Strings live as long as the list. */
SATCHEL_API satchel_status satchel_documents_get(const satchel_documents *documents, size_t index,
                                                 satchel_document *out, size_t size,
                                                 satchel_error *_Nullable error);
SATCHEL_API void satchel_documents_close(satchel_documents *_Nullable *_Nonnull documents);

/* The stored text of a document. Writes at most `capacity` bytes from byte `start` on, and the
 * text's whole length in bytes to *length. */
SATCHEL_API satchel_status satchel_document_text(satchel_store *store, const char *id,
                                                 int64_t start, char *_Nullable text,
                                                 size_t capacity, int64_t *length,
                                                 satchel_error *_Nullable error);

/* ------------------------------------------------------------------ search */

enum {
    SATCHEL_SEARCH_DEFAULT = 0, /* hybrid with a model, else keyword */
    SATCHEL_SEARCH_KEYWORD = 1,
    SATCHEL_SEARCH_VECTOR = 2, /* NO_MODEL without a model */
    SATCHEL_SEARCH_HYBRID = 3  /* keyword alone without a model: results say so */
};

typedef struct satchel_search_options {
    size_t struct_size;
    int32_t mode;                 /* SATCHEL_SEARCH_* */
    int32_t k;                    /* hits wanted; default 10, at most 10,000 */
    const char *_Nullable filter; /* JSON; see docs/filters.md */
    const satchel_cancel *_Nullable cancel;
} satchel_search_options;

SATCHEL_API void satchel_search_options_init(satchel_search_options *options, size_t struct_size);

/* A half-open range of the document's text, or of the answer where it says so. */
typedef struct satchel_range {
    int64_t start, end;             /* bytes */
    int64_t start_utf16, end_utf16; /* UTF-16 code units */
} satchel_range;

typedef struct satchel_hit {
    const char *document_id;
    const char *title;
    const char *heading; /* "Guide > Install"; "" if none */
    const char *text;    /* the chunk's text */
    size_t text_length;
    satchel_range range;   /* of the chunk */
    satchel_range snippet; /* the part to show: within the chunk, around the best matches */
    size_t match_count;    /* see satchel_results_get_match */
    int64_t chunk;         /* names the chunk in this store; never used again */
    float score;           /* higher is better; comparable within one result only */
    float keyword_score;   /* BM25; 0 if no term matches */
    float vector_score;    /* cosine; NaN if not scored */
    int32_t page;          /* 1-based page or slide; 0 if unknown */
    const char *metadata;  /* JSON object */
    int64_t time_ms;       /* from a TIME locator; -1 if unknown */
    int64_t source_start, source_end; /* bytes in the source file; -1 if unknown */
} satchel_hit;

/* Finds the k best chunks. The query is plain text, never a query syntax. Errors: INVALID_TEXT,
 * INVALID_FILTER, NO_MODEL, CANCELLED, CALLBACK, IO, DAMAGED. An empty query has no hits. */
SATCHEL_API satchel_status satchel_search(satchel_results *_Nullable *_Nonnull out,
                                          satchel_store *store, const char *query,
                                          const satchel_search_options *_Nullable options,
                                          satchel_error *_Nullable error);
SATCHEL_API size_t satchel_results_count(const satchel_results *results);
/* The mode that served: SATCHEL_SEARCH_KEYWORD for a hybrid search without vectors. */
SATCHEL_API int32_t satchel_results_mode(const satchel_results *results);
/* Fills *hit up to `size` bytes. Strings live as long as the results. NOT_FOUND past the last. */
SATCHEL_API satchel_status satchel_results_get(const satchel_results *results, size_t index,
                                               satchel_hit *hit, size_t size,
                                               satchel_error *_Nullable error);
/* The match-th range of the document's text that a query term matches within hit `index`. */
SATCHEL_API satchel_status satchel_results_get_match(const satchel_results *results, size_t index,
                                                     size_t match, satchel_range *range,
                                                     satchel_error *_Nullable error);
SATCHEL_API void satchel_results_close(satchel_results *_Nullable *_Nonnull results);

/* ------------------------------------------------------------------ ask */

enum {
    SATCHEL_ANSWER_DEFAULT = 0,    /* generated with a generator, else extractive */
    SATCHEL_ANSWER_EXTRACTIVE = 1, /* sentences quoted from the documents */
    SATCHEL_ANSWER_GENERATED = 2,  /* NO_MODEL without a generator */
    SATCHEL_ANSWER_EXTERNAL = 3    /* by a model that the application runs itself */
};

enum {
    SATCHEL_REASON_NONE = 0,
    SATCHEL_REASON_REQUESTED = 1,     /* the options asked for this mode */
    SATCHEL_REASON_NO_GENERATOR = 2,  /* no language model is there */
    SATCHEL_REASON_EMPTY_STORE = 3,   /* refusal: no document, or none passes the filter */
    SATCHEL_REASON_NO_EVIDENCE = 4,   /* refusal: nothing matches the question */
    SATCHEL_REASON_WEAK_EVIDENCE = 5, /* refusal: matches, but confidence is below the threshold */
    SATCHEL_REASON_NO_EMBEDDER = 6,   /* keyword evidence only */
    SATCHEL_REASON_GENERATOR = 7,     /* a language model is there */
    SATCHEL_REASON_DECLINED = 8       /* refusal: the language model found no answer in them */
};

typedef struct satchel_ask_options {
    size_t struct_size;
    int32_t mode;          /* SATCHEL_ANSWER_* but EXTERNAL */
    int32_t search_mode;   /* SATCHEL_SEARCH_* */
    int32_t k;             /* passages looked at; default 6 */
    int32_t max_sentences; /* extractive: quoted at most; default 3, at most 16 */
    const char *_Nullable filter;
    float refusal_threshold; /* 0: default; negative: never refuse */
    int32_t reserved;
    const satchel_cancel *_Nullable cancel;
    /* With a language model. */
    /* answers in its own words; NULL: extractive. The stream holds a
     * reference */
    satchel_model *_Nullable generator;
    /* Of the answer; copied. NULL: the likeliest token each time, 512 at most, or a quarter of the
     * context if that is less. */
    const satchel_generate_options *_Nullable generate;
    /* JSON array of earlier messages, oldest first: objects with "role", "user" or "assistant", and
     * "content", a string. The markers of earlier answers are taken out. NULL: none. */
    const char *_Nullable history;
    const char *_Nullable prompt; /* JSON, see docs/prompts.md; NULL: satchel_prompt_default() */
    int32_t context_tokens; /* of the prompt at most; default: the generator's less max_tokens */
    int32_t reserved2;
} satchel_ask_options;

SATCHEL_API void satchel_ask_options_init(satchel_ask_options *options, size_t struct_size);

/* Asks a question: events MODE, HITS, then TOKEN and CITATION as the answer grows, or REFUSAL, then
 * DONE. The work happens inside satchel_stream_next(). Weak evidence is refused before a generator
 * is asked.
 *
 * With a generator the passages that fit go into the prompt, the best first, numbered and fenced; the
 * last may be cut behind a sentence. Of the history the oldest messages are left out where it does
 * not fit. PROGRESS tells how much of the prompt is read. The generator cites with markers such as
 * [1] or [2, 3], which stay in the text; a CITATION comes as soon as the sentence of a marker is
 * known. If all it writes is what the prompt calls a refusal, that text is kept back and REFUSAL
 * comes, with SATCHEL_REASON_DECLINED. Errors: as satchel_search() and satchel_chat();
 * INVALID_ARGUMENT (prompt or history), LIMIT (no room for a sentence of a passage), WRONG_MODEL
 * (the generator is an embedder), NO_MODEL (mode GENERATED without a generator). */
SATCHEL_API satchel_status satchel_ask(satchel_stream *_Nullable *_Nonnull out,
                                       satchel_store *store, const char *question,
                                       const satchel_ask_options *_Nullable options,
                                       satchel_error *_Nullable error);

/* The prompt used where options give none: JSON, see docs/prompts.md. Static string. */
SATCHEL_API const char *satchel_prompt_default(void);

/* ------------------------------------------------------------------ split ask */

/* For a language model that the application runs itself: satchel_ask_prepare() searches and writes
 * the messages, the application has them answered, satchel_prepared_resolve() finds the citations in
 * what comes back. A prepared is used by one thread at a time and holds its store. */
typedef struct satchel_prepared satchel_prepared;

/* options.mode is not looked at. options.context_tokens must be given unless a generator is: its
 * tokens are then what counts, and it is asked for nothing else. Without one they are estimated,
 * rather too many than too few. Weak evidence is no error: info.refused says so. Errors: as
 * satchel_ask(). */
SATCHEL_API satchel_status satchel_ask_prepare(satchel_prepared *_Nullable *_Nonnull out,
                                               satchel_store *store, const char *question,
                                               const satchel_ask_options *_Nullable options,
                                               satchel_error *_Nullable error);
SATCHEL_API void satchel_prepared_close(satchel_prepared *_Nullable *_Nonnull prepared);

typedef struct satchel_prepared_info {
    const char *messages; /* JSON array of objects with "role" and "content", both strings; lives as
                           * long as the prepared */
    size_t messages_length;
    int64_t passages;      /* in the messages, numbered from 1 */
    int64_t prompt_tokens; /* counted or estimated */
    int32_t refused;       /* SATCHEL_REASON_*: satchel_ask() would refuse; 0: it would not */
    float confidence;      /* 0 to 1 */
    int32_t search_mode;   /* that served */
    int32_t reserved;
} satchel_prepared_info;

/* Fills *info up to `size` bytes. */
SATCHEL_API satchel_status satchel_prepared_get_info(const satchel_prepared *prepared,
                                                     satchel_prepared_info *info, size_t size,
                                                     satchel_error *_Nullable error);
/* The passages found, also those that did not fit. Borrowed: do not close. */
SATCHEL_API const satchel_results *satchel_prepared_results(const satchel_prepared *prepared);

typedef struct satchel_passage {
    int64_t hit;         /* index into the results */
    satchel_range range; /* of the document's text: what the messages show of it */
} satchel_passage;

/* Passage `number`, from 1 as the messages number them. NOT_FOUND past the last. */
SATCHEL_API satchel_status satchel_prepared_get_passage(const satchel_prepared *prepared,
                                                        size_t number, satchel_passage *out,
                                                        size_t size,
                                                        satchel_error *_Nullable error);

/* Takes the model's text so far, all of it each time, and gives a stream of the events that are new:
 * MODE (SATCHEL_ANSWER_EXTERNAL) and HITS in the first, REFUSAL too if the evidence is weak, then
 * TOKEN and CITATION as in satchel_ask(). Every stream ends with DONE; what is not pulled comes in
 * the next. A text cut within a character is fine. `final`: 1: the text is complete; what was held
 * back comes, and DONE says SATCHEL_FINISH_END. Errors: INVALID_ARGUMENT (the text does not begin
 * with what was given before, or follows a final one), INVALID_TEXT. */
SATCHEL_API satchel_status satchel_prepared_resolve(satchel_stream *_Nullable *_Nonnull out,
                                                    satchel_prepared *prepared, const char *text,
                                                    size_t length, int32_t final,
                                                    satchel_error *_Nullable error);

/* ------------------------------------------------------------------ streams */

enum {
    SATCHEL_EVENT_MODE = 1,     /* ask: how it will be answered, and why */
    SATCHEL_EVENT_HITS = 2,     /* ask: the passages found */
    SATCHEL_EVENT_TOKEN = 3,    /* ask, generate, chat: the next piece of the answer */
    SATCHEL_EVENT_CITATION = 4, /* ask: what a range of the answer rests on */
    SATCHEL_EVENT_REFUSAL = 5,  /* ask: the documents do not support an answer */
    SATCHEL_EVENT_PROGRESS = 6, /* sync; generate, chat, ask: reading the prompt */
    SATCHEL_EVENT_FILE = 7,     /* sync: a file was added, changed, removed or failed */
    SATCHEL_EVENT_DONE = 8      /* the last event; next() gives it again */
};

enum {
    SATCHEL_PHASE_SCAN = 1,     /* sync */
    SATCHEL_PHASE_KEYWORDS = 2, /* sync: pass 1 */
    SATCHEL_PHASE_EMBED = 3,    /* sync: pass 2 */
    SATCHEL_PHASE_LOAD = 4,     /* topics: reading vectors */
    SATCHEL_PHASE_CLUSTER = 5,  /* topics: passes over them */
    SATCHEL_PHASE_DESCRIBE = 6, /* topics: labels and sentences */
    SATCHEL_PHASE_WARM = 7,     /* opening a model: its weights */
    SATCHEL_PHASE_PREFILL = 8   /* generate, chat, ask, perplexity: reading the prompt */
};

enum {
    SATCHEL_FILE_ADDED = 1,
    SATCHEL_FILE_CHANGED = 2,
    SATCHEL_FILE_REMOVED = 3,
    SATCHEL_FILE_FAILED = 4,  /* status and message say why; the sync goes on */
    SATCHEL_FILE_SKIPPED = 5, /* no reader for it, or too large: status says which */
    SATCHEL_FILE_RENAMED = 6  /* same content under a new id: vectors kept */
};

typedef struct satchel_event_mode {
    int32_t mode;        /* SATCHEL_ANSWER_* but DEFAULT */
    int32_t reason;      /* SATCHEL_REASON_* */
    int32_t search_mode; /* the search mode that served */
    int32_t reserved;
} satchel_event_mode;

typedef struct satchel_event_token {
    const char *text; /* valid UTF-8, never half a character */
    size_t length;
    int32_t token; /* of a generated text: the id of its last token; -1: none or unknown */
    int32_t reserved;
} satchel_event_token;

typedef struct satchel_event_citation {
    satchel_range answer; /* range of the answer so far */
    const char *document_id;
    const char *title;
    const char *heading;
    int64_t chunk;
    satchel_range source; /* range of the document's text that is quoted or cited */
    int32_t hit;          /* index into the hits event's results */
    int32_t
        verified;    /* 1: the answer's range, or all quoted in it, is the source's byte for byte */
    float score;     /* of the sentence; comparable within one answer only. Generated and
                       * external: terms shared with the source, 0 to 1 */
    int32_t page;    /* 0 if unknown */
    int64_t time_ms; /* -1 if unknown */
} satchel_event_citation;

typedef struct satchel_event_refusal {
    int32_t reason;   /* SATCHEL_REASON_* */
    float confidence; /* 0 to 1: how far the evidence supports the best answer */
    float threshold;
    int32_t reserved;
} satchel_event_refusal;

typedef struct satchel_event_progress {
    int32_t phase; /* SATCHEL_PHASE_* */
    int32_t reserved;
    /* Files (SCAN, KEYWORDS), chunks (EMBED, LOAD), passes at most (CLUSTER), steps (DESCRIBE),
     * bytes (WARM), tokens (PREFILL); total -1: unknown yet. */
    int64_t done, total;
    int64_t bytes_done, bytes_total; /* of files; 0 in the other phases */
    int64_t elapsed_ms;              /* in this phase */
} satchel_event_progress;

typedef struct satchel_event_file {
    int32_t change; /* SATCHEL_FILE_* */
    satchel_status status;
    const char *path; /* absolute, or "" for a removal */
    const char *document_id;
    const char *message; /* "" unless it failed or was skipped */
    int64_t bytes;
    int64_t chunks;
} satchel_event_file;

typedef struct satchel_event_done {
    int64_t elapsed_ms;
    int64_t added, changed, removed, renamed, unchanged, failed, skipped; /* sync: files */
    int64_t chunks, chunks_embedded, chunks_reused, bytes;                /* sync */
    int64_t read_ms, keyword_ms, embed_ms, write_ms; /* sync: where the time went */
    int64_t hits, sentences, search_ms, answer_ms;   /* ask; sentences: quoted, or citations */
    float confidence;                                /* ask: 0 to 1 */
    int32_t reserved;
    /* generate, chat, and ask with a generator. Tokens are -1 where the generator does not say. */
    int64_t prompt_tokens;    /* of prompt or rendered messages */
    int64_t cached_tokens;    /* of them, read earlier: nothing was computed for them */
    int64_t generated_tokens; /* the one that ended the answer included */
    int64_t prefill_ms;       /* until the first token */
    int64_t generate_ms;      /* from there on */
    int32_t finish;           /* SATCHEL_FINISH_* */
    int32_t reserved2;
} satchel_event_done;

/* One event; the pointer of its kind is set, the others are NULL. What the pointers lead to lives
 * until the next call on the stream. */
typedef struct satchel_event {
    int32_t kind; /* SATCHEL_EVENT_* */
    int32_t reserved;
    const satchel_event_mode *_Nullable mode;
    const satchel_results *_Nullable hits; /* borrowed: do not close */
    const satchel_event_token *_Nullable token;
    const satchel_event_citation *_Nullable citation;
    const satchel_event_refusal *_Nullable refusal;
    const satchel_event_progress *_Nullable progress;
    const satchel_event_file *_Nullable file;
    const satchel_event_done *_Nullable done;
} satchel_event;

/* Works until the next event and fills *event up to `size` bytes. After DONE it gives DONE again;
 * after an error every call returns that error. */
SATCHEL_API satchel_status satchel_stream_next(satchel_stream *stream, satchel_event *event,
                                               size_t size, satchel_error *_Nullable error);
/* Ends the work where it stands; what was committed stays. */
SATCHEL_API void satchel_stream_close(satchel_stream *_Nullable *_Nonnull stream);

/* ------------------------------------------------------------------ clustering */

/* Where the points of a clustering come from: exactly one of rows, path and read. Points are rows
 * of `dimension` floats; NaN or infinity in any gives INVALID_ARGUMENT, naming the row. */
typedef struct satchel_points {
    size_t struct_size;
    uint64_t count;    /* N */
    int32_t dimension; /* D: 1 to 65,536 */
    int32_t reserved;
    const float *_Nullable rows; /* (count, dimension) in memory, or mapped by the caller */
    size_t stride;               /* rows only: floats from one row to the next; 0: dimension */
    /* a local file with the rows as little-endian float32, read in blocks */
    const char *_Nullable path;
    uint64_t offset; /* path only: bytes before the first row in that file */
    /* Writes rows first .. first + count - 1 to out: (count, dimension). Called in several passes
     * over the points, with rising `first` in each, and for single rows while seeding; always with
     * the same answer. It runs on the calling thread. Returns SATCHEL_OK or a negative status. */
    satchel_status (*_Nullable read)(void *_Nullable user, uint64_t first, size_t count,
                                     float *out);
    void *_Nullable user;
} satchel_points;

enum {
    /* Least squared distance to the centroid, which is the mean of its points. */
    SATCHEL_KMEANS_EUCLIDEAN = 0,
    /* Greatest inner product with the centroid, which is the mean's direction: length 1. With rows
     * of length 1 this is clustering by cosine (spherical k-means). */
    SATCHEL_KMEANS_INNER_PRODUCT = 1
};

enum {
    SATCHEL_KMEANS_EXACT = 0, /* every iteration is Lloyd's, over all points */
    SATCHEL_KMEANS_FAST = 1   /* samples first and stops early: docs/kmeans.md says what it costs */
};

enum {
    /* GIVEN if there are initial centroids, else PLUS_PLUS or PARALLEL by size. */
    SATCHEL_INIT_DEFAULT = 0,
    SATCHEL_INIT_GIVEN = 1,     /* options.initial */
    SATCHEL_INIT_RANDOM = 2,    /* k distinct rows, each equally likely */
    SATCHEL_INIT_PLUS_PLUS = 3, /* k-means++: drawn by squared distance to those drawn before */
    SATCHEL_INIT_PARALLEL = 4   /* k-means||: as above in few passes, for large k */
};

enum {
    SATCHEL_STOP_ITERATIONS = 1, /* all iterations were done */
    SATCHEL_STOP_UNCHANGED = 2,  /* no label changed: a fixed point */
    SATCHEL_STOP_TOLERANCE = 3   /* the centroids moved no farther than the tolerance */
};

/* How far a clustering is. Called after each pass over the points, on the calling thread; return
 * non-zero to stop with CANCELLED. */
typedef struct satchel_kmeans_progress {
    int32_t iteration;  /* 0: seeding; 1 to iterations; then iterations + 1: final labels */
    int32_t iterations; /* at most */
    uint64_t moved;     /* points whose label changed in this iteration */
    double shift;       /* root of the summed squared movement of the centroids */
    int64_t elapsed_ms;
} satchel_kmeans_progress;
typedef int32_t (*satchel_kmeans_progress_function)(void *_Nullable user,
                                                    const satchel_kmeans_progress *progress);

typedef struct satchel_kmeans_options {
    size_t struct_size;
    int32_t iterations; /* at most; default 25; -1: none, only seeding and labels */
    int32_t objective;  /* SATCHEL_KMEANS_EUCLIDEAN or _INNER_PRODUCT */
    int32_t mode;       /* SATCHEL_KMEANS_EXACT or _FAST */
    int32_t init;       /* SATCHEL_INIT_* */
    /* (k, dimension); read before `centroids` is written: may be the same array. */
    const float *_Nullable initial;
    /* Stops when shift² <= tolerance · mean variance of the D coordinates. 0: only when no label
     * changes. Compared exactly: same result everywhere. */
    double tolerance;
    uint64_t seed; /* same seed, same result: on every CPU, for any threads and memory */
    /* Bytes of working memory; default: what speed asks for (see docs/kmeans.md). */
    uint64_t memory_budget;
    int32_t threads; /* at most; default: the context's */
    int32_t reserved;
    satchel_kmeans_progress_function _Nullable progress;
    void *_Nullable progress_user;
    const satchel_cancel *_Nullable cancel;
} satchel_kmeans_options;

SATCHEL_API void satchel_kmeans_options_init(satchel_kmeans_options *options, size_t struct_size);

typedef struct satchel_kmeans_info {
    double inertia;     /* Σ squared distance (or Σ inner product) of points to their centroids */
    int32_t iterations; /* done */
    int32_t stop;       /* SATCHEL_STOP_* */
    uint64_t empty;     /* clusters without a point in the end */
    uint64_t products;  /* point-centroid pairs scored in int8 */
    uint64_t rechecks;  /* pairs scored in double */
    uint64_t memory_bytes; /* working memory held at most */
    int64_t seed_ms, iterate_ms, final_ms;
} satchel_kmeans_info;

/* K when none is given: the whole number nearest to the root of count, at least 1. */
SATCHEL_API size_t satchel_kmeans_default_k(uint64_t count);

/* Clusters N points around k centroids by Lloyd's iterations, exactly: labels are those of a search
 * in double precision with ties to the lowest index, and labels, centroids and inertia are the same
 * bits at every CPU level, for any number of threads and any memory budget. Returned labels and
 * inertia belong to the returned centroids. A cluster that loses its last point is given a place
 * beside the largest cluster's centroid. O(N·k·D) int8 products an iteration at most, fewer as
 * centroids settle.
 *
 * centroids: (k, dimension), required. labels: (count), may be NULL. info: may be NULL, filled up
 * to info_size bytes. On failure the outputs hold nothing of use.
 * Errors: INVALID_ARGUMENT (count or k of 0, k over count, dimension, sizes that overflow, NaN or
 * infinity in points or initial centroids, values beyond ±1e30), OUT_OF_MEMORY, MEMORY_LIMIT (names
 * the need), CANCELLED, CALLBACK (a read function failed), NOT_FOUND, IO, DAMAGED (a
 * file too short). */
SATCHEL_API satchel_status satchel_kmeans(satchel_context *context, const satchel_points *points,
                                          size_t k, float *centroids, int32_t *_Nullable labels,
                                          satchel_kmeans_info *_Nullable info, size_t info_size,
                                          const satchel_kmeans_options *_Nullable options,
                                          satchel_error *_Nullable error);

/* Labels points by their nearest of k given centroids: same score, ties and bits as above, and k
 * may be larger than count. labels: (count), may be NULL. distances: (count), squared distance (or
 * inner product), may be NULL. No points, nothing to do. Of the options objective, memory_budget,
 * threads and cancel are read: it is one pass, without progress. */
SATCHEL_API satchel_status satchel_kmeans_assign(satchel_context *context,
                                                 const satchel_points *points, size_t k,
                                                 const float *centroids, int32_t *_Nullable labels,
                                                 double *_Nullable distances,
                                                 const satchel_kmeans_options *_Nullable options,
                                                 satchel_error *_Nullable error);

/* ------------------------------------------------------------------ inspect */

/* What is in a GGUF file, whether or not it can be opened as a model. */

/* Reads the keys and the list of tensors; of a model split into parts, of all parts. Errors: as
 * satchel_model_open() for a file. One thread at a time. */
SATCHEL_API satchel_status satchel_gguf_open(satchel_gguf *_Nullable *_Nonnull out,
                                             satchel_context *context, const char *path,
                                             satchel_error *_Nullable error);
SATCHEL_API void satchel_gguf_close(satchel_gguf *_Nullable *_Nonnull gguf);

typedef struct satchel_gguf_info {
    int32_t version; /* of the format */
    int32_t parts;   /* files that the model is split into */
    int64_t key_count, tensor_count;
    int64_t file_bytes;      /* of all parts */
    int64_t tensor_bytes;    /* of that, weights; those of types that are not known count 0 */
    int64_t parameter_count; /* elements of all tensors */
} satchel_gguf_info;

typedef struct satchel_gguf_key {
    const char *name;  /* "general.architecture" */
    const char *type;  /* "string", "u32", "array of i32" */
    const char *value; /* JSON; of a long string or array the beginning, as JSON too */
    size_t value_length;
    int64_t count; /* bytes of a string, elements of an array; else 1 */
    int32_t cut;   /* 1: value is not all of it */
    int32_t part;  /* file it is in, from 0 */
} satchel_gguf_key;

typedef struct satchel_gguf_tensor {
    const char *name; /* "blk.0.attn_q.weight" */
    const char *type; /* "Q8_0"; "?" if unknown */
    int32_t type_id;  /* as in the file */
    int32_t rank;     /* 1 to 4 */
    int64_t shape[4]; /* the first runs fastest; 1 from `rank` on */
    int64_t bytes;    /* 0 if the type is unknown */
    int64_t offset;   /* in its file; 0 if the type is unknown */
    int32_t part;     /* file it is in, from 0 */
    int32_t reserved;
} satchel_gguf_tensor;

/* Each fills its struct up to `size` bytes. NOT_FOUND past the last. Names live as long as the
 * handle, a key's value until the next satchel_gguf_get_key(). `limit`: elements of an array and
 * bytes of a string that are shown at most; 0: 16 and 1,024; SIZE_MAX: all. */
SATCHEL_API satchel_status satchel_gguf_get_info(const satchel_gguf *gguf, satchel_gguf_info *info,
                                                 size_t size, satchel_error *_Nullable error);
SATCHEL_API satchel_status satchel_gguf_get_key(satchel_gguf *gguf, size_t index, size_t limit,
                                                satchel_gguf_key *key, size_t size,
                                                satchel_error *_Nullable error);
SATCHEL_API satchel_status satchel_gguf_get_tensor(const satchel_gguf *gguf, size_t index,
                                                   satchel_gguf_tensor *out, size_t size,
                                                   satchel_error *_Nullable error);

/* ------------------------------------------------------------------ topics */

typedef struct satchel_topics_options {
    size_t struct_size;
    int32_t k;          /* topics at most, up to 1,000; default: 5 to 20, by the chunks there are */
    int32_t words;      /* in a label at most, up to 16; default 4 */
    int32_t sentences;  /* that show a topic at most, up to 32; default 3; -1: none */
    int32_t iterations; /* of the clustering at most; default 25 */
    int32_t mode;       /* SATCHEL_KMEANS_EXACT or _FAST */
    int32_t reserved;
    uint64_t seed;
    const char *_Nullable filter; /* JSON; see docs/filters.md */
    satchel_progress_function _Nullable progress;
    void *_Nullable progress_user;
    const satchel_cancel *_Nullable cancel;
} satchel_topics_options;

SATCHEL_API void satchel_topics_options_init(satchel_topics_options *options, size_t struct_size);

/* Groups the chunks of a store by what they are about: spherical k-means over their vectors, then a
 * label and a few sentences for each group, all from the documents' own words. Same store, options
 * and seed: same topics. Chunks without a vector of the store's model are left out and counted (see
 * satchel_store_maintain()); a store without chunks has no topics. Holds the vectors in memory for
 * the call: 4 bytes · chunks · dimension. No transaction is open while it computes; the embedder is
 * asked for the sentences' vectors.
 * Errors: NO_MODEL, INVALID_FILTER, CANCELLED, MEMORY_LIMIT, CALLBACK, IO, DAMAGED. */
SATCHEL_API satchel_status satchel_store_topics(satchel_topics *_Nullable *_Nonnull out,
                                                satchel_store *store,
                                                const satchel_topics_options *_Nullable options,
                                                satchel_error *_Nullable error);

typedef struct satchel_topics_info {
    int64_t chunks;     /* grouped */
    int64_t pending;    /* chunks that pass the filter but have no vector yet: left out */
    int64_t documents;  /* with a chunk among those grouped */
    int32_t dimension;  /* of the centroids */
    int32_t iterations; /* of the clustering that was kept */
    int64_t read_ms, cluster_ms, describe_ms;
} satchel_topics_info;

typedef struct satchel_topic {
    const char *label; /* its most telling words: "lease, deposit, rent"; "" if there are none */
    const char *_Nullable const *_Nullable words; /* (word_count) the same, one by one */
    size_t word_count;
    int64_t chunks;  /* in it */
    double share;    /* of all chunks grouped */
    double cohesion; /* mean cosine of its chunks with the centroid */
    const float
        *_Nullable centroid; /* (info.dimension), length 1: its inner product with a vector is the
                               cosine */
    size_t document_count;   /* for satchel_topics_get_document() */
    size_t sentence_count;   /* for satchel_topics_get_sentence() */
} satchel_topic;

typedef struct satchel_topic_document {
    const char *id;
    const char *title;
    int64_t chunks;     /* of the document in this topic */
    int64_t chunks_all; /* of the document in all topics */
} satchel_topic_document;

typedef struct satchel_topic_sentence {
    const char *text; /* as it stands in the document */
    size_t length;
    const char *document_id;
    const char *title;
    const char *heading; /* "Guide > Install"; "" if none */
    int64_t chunk;
    satchel_range range; /* of the document's text */
    float score;         /* cosine with the centroid */
    int32_t page;        /* 0 if unknown */
    int64_t time_ms;     /* -1 if unknown */
} satchel_topic_sentence;

/* Number of topics. */
SATCHEL_API size_t satchel_topics_count(const satchel_topics *topics);
/* Each fills its struct up to `size` bytes; what pointers lead to lives as long as the topics.
 * NOT_FOUND past the last. Topics come largest first; a topic's documents by their chunks in it;
 * its sentences nearest to the centroid first, without near-duplicates. */
SATCHEL_API satchel_status satchel_topics_get_info(const satchel_topics *topics,
                                                   satchel_topics_info *info, size_t size,
                                                   satchel_error *_Nullable error);
SATCHEL_API satchel_status satchel_topics_get(const satchel_topics *topics, size_t index,
                                              satchel_topic *topic, size_t size,
                                              satchel_error *_Nullable error);
SATCHEL_API satchel_status satchel_topics_get_document(const satchel_topics *topics, size_t index,
                                                       size_t document, satchel_topic_document *out,
                                                       size_t size, satchel_error *_Nullable error);
SATCHEL_API satchel_status satchel_topics_get_sentence(const satchel_topics *topics, size_t index,
                                                       size_t sentence, satchel_topic_sentence *out,
                                                       size_t size, satchel_error *_Nullable error);
SATCHEL_API void satchel_topics_close(satchel_topics *_Nullable *_Nonnull topics);

#if defined(__clang__)
#pragma clang assume_nonnull end
#pragma clang diagnostic pop
#elif defined(SATCHEL_UNDEFINE_NULLABLE)
#undef SATCHEL_UNDEFINE_NULLABLE
#undef _Nullable
#undef _Nonnull
#endif

#ifdef __cplusplus
}
#endif

#endif /* SATCHEL_H */
