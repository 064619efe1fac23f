/*
 * The way between Kotlin and C: one shape for all native methods.
 *
 * A native method gets a request, bytes that Kotlin's Request wrote, and gives a reply, bytes that its
 * Reply reads. So JNI has to do with byte arrays only: no string of Java's (whose UTF-8 is not UTF-8:
 * NUL and what is beyond U+FFFF are spelled otherwise), no class, no field. Numbers are little-endian, as
 * on every Android device. A text is its length in bytes, the bytes, and a NUL, so that C reads it
 * where it lies; a length of -1 is NULL.
 *
 * A reply starts with the status; behind a failed one come the system's error number and the message.
 */
#ifndef SATCHEL_BRIDGE_H
#define SATCHEL_BRIDGE_H

#include <jni.h>
#include <satchel.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What is still to be read. Reading past the end gives zeros and sets `bad`. */
typedef struct reader {
    const uint8_t *at, *end;
    bool bad;    /* shorter than what was asked of it */
    bool inside; /* a text that C reads up to its NUL has one inside */
} reader;

/* Grows as it is written to. Without memory it swallows the rest and sets `failed`. */
typedef struct writer {
    uint8_t *bytes;
    size_t length, capacity;
    bool failed;
} writer;

/* Memory of a call, freed with it. */
typedef struct kept {
    struct kept *next;
} kept;

/* One call of a native method. */
typedef struct call {
    JNIEnv *env;
    jobject callback; /* what the call was given to call, or NULL */
    jobject java;     /* the data's owner: a byte[], a float[], a direct buffer, or NULL */
    reader in;
    writer out;
    kept *memory;
    int32_t dimension; /* of points that Kotlin is asked for */
    /* A handle that the reply carries: closed again if the reply cannot be made. */
    void *made;
    void (*unmake)(void *made);
    /* The last: a call clears what is in front of it, and not half a kilobyte more. */
    satchel_error error;
} call;

/* What a native method does: reads `in`, writes `out`; a failure leaves its reason in `error`. */
typedef satchel_status (*operation)(call *c);

int32_t read_i32(reader *in);
int64_t read_i64(reader *in);
float read_f32(reader *in);
double read_f64(reader *in);
/* A handle, or NULL for 0. */
void *read_handle(reader *in);
/* A text that C reads up to its NUL; NULL if none was given. */
const char *read_text(reader *in);
/* A text that may hold NULs. */
const char *read_bytes(reader *in, size_t *length);
/* `count` numbers of 4 bytes; NULL if there are none. */
const void *read_array(call *c, size_t *count);
/* Texts that C reads up to their NULs; NULL if there are none. */
const char *const *read_texts(call *c, size_t *count);

void write_i32(writer *out, int32_t value);
void write_i64(writer *out, int64_t value);
void write_f32(writer *out, float value);
void write_f64(writer *out, double value);
void write_handle(call *c, void *handle, void (*unmake)(void *handle));
/* Up to the NUL; NULL stays NULL. */
void write_text(writer *out, const char *text);
void write_bytes(writer *out, const char *bytes, size_t length);
void write_range(writer *out, const satchel_range *range);
/* So many bytes will likely follow: they then need not grow step by step. */
void write_ahead(writer *out, size_t size);
/* Room for `size` bytes, or NULL without memory. */
void *write_room(writer *out, size_t size);

/* Zeroed memory that lives as long as the call, or NULL. */
void *keep(call *c, size_t count, size_t size);

/* Whether the request was read without a fault; else an error is left, and the status returned. */
satchel_status understood(call *c);
satchel_status fail(call *c, satchel_status status, const char *message);

/* ------------------------------------------------------------------ calling Kotlin */

/* Finds the class that callbacks are of. Called once, when the library is loaded. */
bool callbacks_find(JavaVM *vm, JNIEnv *env);

/* Functions and users of the callbacks of a running call. */
int32_t on_progress(void *user, const satchel_event_progress *progress);
int32_t on_kmeans_progress(void *user, const satchel_kmeans_progress *progress);
int32_t on_problem(void *user, const char *problem);
satchel_status on_points(void *user, uint64_t first, size_t count, float *rows);
void write_progress(writer *out, const satchel_event_progress *progress);

/* A callback that outlives its call: holds a global reference until `release_callback`. */
typedef struct callback callback;
callback *keep_callback(call *c);
void release_callback(void *user);
void on_log(void *user, int32_t level, const char *message);

/* ------------------------------------------------------------------ operations */

/* Every native method by its name in Native.kt: the file that has it, and what Kotlin calls it. */
#define NATIVE_METHODS(X)                                                                          \
    /* library.c */                                                                                \
    X(version, "version")                                                                          \
    X(version_at_least, "versionAtLeast")                                                          \
    X(has_feature, "hasFeature")                                                                   \
    X(status_name, "statusName")                                                                   \
    X(prompt_default, "promptDefault")                                                             \
    X(context_open, "contextOpen")                                                                 \
    X(context_close, "contextClose")                                                               \
    X(context_info, "contextInfo")                                                                 \
    X(context_clear_cache, "contextClearCache")                                                    \
    X(callback_release, "callbackRelease")                                                         \
    X(cancel_open, "cancelOpen")                                                                   \
    X(cancel_fire, "cancelFire")                                                                   \
    X(cancel_fired, "cancelFired")                                                                 \
    X(cancel_close, "cancelClose")                                                                 \
    X(gguf_read, "ggufRead")                                                                       \
    X(kmeans_default_k, "kmeansDefaultK")                                                          \
    X(kmeans, "kmeans")                                                                            \
    X(kmeans_assign, "kmeansAssign")                                                               \
    /* model.c, callbacks.c */                                                                     \
    X(model_open, "modelOpen")                                                                     \
    X(model_from_embedder, "modelFromEmbedder")                                                    \
    X(model_from_generator, "modelFromGenerator")                                                  \
    X(model_close, "modelClose")                                                                   \
    X(model_info, "modelInfo")                                                                     \
    X(model_measure, "modelMeasure")                                                               \
    X(model_embed, "modelEmbed")                                                                   \
    X(model_tokenize, "modelTokenize")                                                             \
    X(model_token, "modelToken")                                                                   \
    X(model_detokenize, "modelDetokenize")                                                         \
    X(model_logits, "modelLogits")                                                                 \
    X(model_perplexity, "modelPerplexity")                                                         \
    X(generate, "generate")                                                                        \
    X(chat, "chat")                                                                                \
    /* store.c, callbacks.c */                                                                     \
    X(store_open, "storeOpen")                                                                     \
    X(store_close, "storeClose")                                                                   \
    X(store_add_reader, "storeAddReader")                                                          \
    X(store_add_text, "storeAddText")                                                              \
    X(store_add_bytes, "storeAddBytes")                                                            \
    X(store_add_fd, "storeAddFd")                                                                  \
    X(store_remove, "storeRemove")                                                                 \
    X(store_sync, "storeSync")                                                                     \
    X(store_roots, "storeRoots")                                                                   \
    X(store_maintain, "storeMaintain")                                                             \
    X(store_stats, "storeStats")                                                                   \
    X(store_verify, "storeVerify")                                                                 \
    X(store_backup, "storeBackup")                                                                 \
    X(store_list, "storeList")                                                                     \
    X(store_text, "storeText")                                                                     \
    X(store_topics, "storeTopics")                                                                 \
    /* answer.c */                                                                                 \
    X(search, "search")                                                                            \
    X(ask, "ask")                                                                                  \
    X(ask_prepare, "askPrepare")                                                                   \
    X(prepared_resolve, "preparedResolve")                                                         \
    X(prepared_close, "preparedClose")                                                             \
    X(stream_next, "streamNext")                                                                   \
    X(stream_close, "streamClose")

#define DECLARE(name, kotlin) satchel_status op_##name(call *c);
NATIVE_METHODS(DECLARE)
#undef DECLARE

/* The bytes that a call was given beside its request: of a direct buffer, or of a byte[] (copied by
 * the Java machine where it must). Give them back with give_data(). */
const void *take_data(call *c, size_t *length);
void give_data(call *c, const void *data);
/* As above, of a float[] or a direct buffer. */
const float *take_floats(call *c, size_t *count);
void give_floats(call *c, const float *floats);

/* Reads what Kotlin's GenerateOptions wrote. */
satchel_status read_generate(call *c, satchel_generate_options *options,
                             const satchel_cancel *cancel);
void write_results(writer *out, const satchel_results *results);
void unmake_model(void *made);
void unmake_stream(void *made);

#endif
