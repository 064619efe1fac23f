/*
 * Kotlin code that C calls: embedders, generators, readers, progress, logs. All of it is one method,
 * Callback.call(operation, request), which never throws: the Kotlin side keeps what was thrown for the
 * call that this thread is in, and replies with a status.
 */
#include "bridge.h"

#include <stdlib.h>
#include <string.h>

/* As in Callback.kt. */
enum {
    CALL_PROGRESS = 1,
    CALL_KMEANS_PROGRESS,
    CALL_PROBLEM,
    CALL_LOG,
    CALL_COUNT_TOKENS,
    CALL_COVERAGE,
    CALL_EMBED,
    CALL_BEGIN,
    CALL_NEXT,
    CALL_END,
    CALL_READ,
    CALL_POINTS
};

struct callback {
    jobject object;    /* global reference */
    int32_t dimension; /* of an embedder */
};

/* Written once, by JNI_OnLoad, before any other native method can run. */
static JavaVM *machine;
static jmethodID method;

bool callbacks_find(JavaVM *vm, JNIEnv *env) {
    machine = vm;
    jclass class = (*env)->FindClass(env, "dev/satchel/internal/Callback");
    if (!class)
        return false;
    method = (*env)->GetMethodID(env, class, "call", "(I[B)[B");
    (*env)->DeleteLocalRef(env, class);
    return method != NULL;
}

/* ------------------------------------------------------------------ one call */

/* The environment of this thread; *attached if it must be given back. */
static JNIEnv *enter(bool *attached) {
    void *env = NULL;
    *attached = false;
    if ((*machine)->GetEnv(machine, &env, JNI_VERSION_1_6) == JNI_OK)
        return env;
#ifdef __ANDROID__
    JNIEnv *made = NULL;
    bool fine = (*machine)->AttachCurrentThreadAsDaemon(machine, &made, NULL) == JNI_OK;
    env = made;
#else
    bool fine = (*machine)->AttachCurrentThreadAsDaemon(machine, &env, NULL) == JNI_OK;
#endif
    *attached = fine;
    return fine ? env : NULL;
}

/*
 * Calls Kotlin with what `request` holds and frees that. The reply's bytes go to *reply, which the caller
 * frees; the status that they begin with is returned. Every local reference is deleted: a sync calls
 * back thousands of times within one native method.
 */
static satchel_status upcall(jobject object, int32_t what, writer *request, writer *reply) {
    satchel_status status = SATCHEL_CALLBACK;
    bool attached = false;
    JNIEnv *env = request->failed ? NULL : enter(&attached);
    *reply = (writer){0};
    if (!env) {
        free(request->bytes);
        return request->failed ? SATCHEL_OUT_OF_MEMORY : status;
    }
    jbyteArray in = (*env)->NewByteArray(env, (jsize)request->length);
    jbyteArray out = NULL;
    if (in) {
        (*env)->SetByteArrayRegion(env, in, 0, (jsize)request->length,
                                   (const jbyte *)request->bytes);
        if (!(*env)->ExceptionCheck(env))
            out = (*env)->CallObjectMethod(env, object, method, (jint)what, in);
    }
    free(request->bytes);
    if ((*env)->ExceptionCheck(env)) {
        // No memory for the arrays: all else is caught in Kotlin.
        (*env)->ExceptionClear(env);
        status = SATCHEL_OUT_OF_MEMORY;
    } else if (out) {
        jsize length = (*env)->GetArrayLength(env, out);
        void *room = write_room(reply, (size_t)length);
        if (room)
            (*env)->GetByteArrayRegion(env, out, 0, length, room);
        reader head = {.at = reply->bytes, .end = reply->bytes + reply->length};
        status = !room ? SATCHEL_OUT_OF_MEMORY : read_i32(&head);
        if (head.bad)
            status = SATCHEL_CALLBACK;
    }
    if (out)
        (*env)->DeleteLocalRef(env, out);
    if (in)
        (*env)->DeleteLocalRef(env, in);
    if (attached)
        (*machine)->DetachCurrentThread(machine);
    return status;
}

/* What a reply holds behind its status. */
static reader behind(const writer *reply) {
    reader in = {.at = reply->bytes, .end = reply->bytes + reply->length};
    read_i32(&in);
    return in;
}

/* For calls whose reply is a status alone. */
static satchel_status tell(jobject object, int32_t what, writer *request) {
    writer reply;
    satchel_status status = upcall(object, what, request, &reply);
    free(reply.bytes);
    return status;
}

/* ------------------------------------------------------------------ progress, problems, logs */

void write_progress(writer *out, const satchel_event_progress *progress) {
    write_i32(out, progress->phase);
    write_i64(out, progress->done);
    write_i64(out, progress->total);
    write_i64(out, progress->bytes_done);
    write_i64(out, progress->bytes_total);
    write_i64(out, progress->elapsed_ms);
}

int32_t on_progress(void *user, const satchel_event_progress *progress) {
    writer out = {0};
    write_progress(&out, progress);
    return tell(((call *)user)->callback, CALL_PROGRESS, &out) != SATCHEL_OK;
}

int32_t on_kmeans_progress(void *user, const satchel_kmeans_progress *progress) {
    writer out = {0};
    write_i32(&out, progress->iteration);
    write_i32(&out, progress->iterations);
    write_i64(&out, (int64_t)progress->moved);
    write_f64(&out, progress->shift);
    write_i64(&out, progress->elapsed_ms);
    return tell(((call *)user)->callback, CALL_KMEANS_PROGRESS, &out) != SATCHEL_OK;
}

satchel_status on_points(void *user, uint64_t first, size_t count, float *rows) {
    const call *c = user;
    writer request = {0}, reply;
    write_i64(&request, (int64_t)first);
    write_i32(&request, (int32_t)count);
    satchel_status status = upcall(c->callback, CALL_POINTS, &request, &reply);
    reader in = behind(&reply);
    size_t size = (size_t)(in.end - in.at); // (count, dimension) float
    if (!status && size != count * (size_t)c->dimension * sizeof *rows)
        status = SATCHEL_CALLBACK;
    if (!status)
        memcpy(rows, in.at, size);
    free(reply.bytes);
    return status;
}

int32_t on_problem(void *user, const char *problem) {
    writer out = {0};
    write_text(&out, problem);
    return tell(((call *)user)->callback, CALL_PROBLEM, &out) != SATCHEL_OK;
}

void on_log(void *user, int32_t level, const char *message) {
    writer out = {0};
    write_i32(&out, level);
    write_text(&out, message);
    tell(((callback *)user)->object, CALL_LOG, &out);
}

/* ------------------------------------------------------------------ callbacks that stay */

callback *keep_callback(call *c) {
    callback *made = calloc(1, sizeof *made);
    if (!made)
        return NULL;
    made->object = (*c->env)->NewGlobalRef(c->env, c->callback);
    if (!made->object) {
        free(made);
        return NULL;
    }
    return made;
}

void release_callback(void *user) {
    callback *given = user;
    bool attached;
    JNIEnv *env = given ? enter(&attached) : NULL;
    if (env) {
        (*env)->DeleteGlobalRef(env, given->object);
        if (attached)
            (*machine)->DetachCurrentThread(machine);
    }
    free(given);
}

/* ------------------------------------------------------------------ embedder */

static satchel_status count_tokens(void *user, const char *text, size_t length, size_t *count) {
    writer request = {0}, reply;
    write_bytes(&request, text, length);
    satchel_status status = upcall(((callback *)user)->object, CALL_COUNT_TOKENS, &request, &reply);
    reader in = behind(&reply);
    int64_t counted = read_i64(&in);
    if (!status && (in.bad || counted < 0))
        status = SATCHEL_CALLBACK;
    if (!status)
        *count = (size_t)counted;
    free(reply.bytes);
    return status;
}

static satchel_status coverage(void *user, const char *text, size_t length, float *share) {
    writer request = {0}, reply;
    write_bytes(&request, text, length);
    satchel_status status = upcall(((callback *)user)->object, CALL_COVERAGE, &request, &reply);
    reader in = behind(&reply);
    float known = read_f32(&in);
    if (!status && in.bad)
        status = SATCHEL_CALLBACK;
    if (!status)
        *share = known;
    free(reply.bytes);
    return status;
}

static satchel_status embed(void *user, int32_t role, const satchel_text *texts, size_t n,
                            float *out, const satchel_cancel *cancel) {
    writer request = {0}, reply;
    write_i32(&request, role);
    write_i64(&request, (int64_t)(intptr_t)cancel);
    write_i32(&request, (int32_t)n);
    for (size_t i = 0; i < n; i++)
        write_bytes(&request, texts[i].data, texts[i].length);
    satchel_status status = upcall(((callback *)user)->object, CALL_EMBED, &request, &reply);
    reader in = behind(&reply);
    size_t size = (size_t)(in.end - in.at); // (n, dimension) float
    if (!status && size != n * (size_t)((callback *)user)->dimension * sizeof *out)
        status = SATCHEL_CALLBACK;
    if (!status)
        memcpy(out, in.at, size);
    free(reply.bytes);
    return status;
}

satchel_status op_model_from_embedder(call *c) {
    satchel_context *context = read_handle(&c->in);
    const char *id = read_text(&c->in);
    satchel_embedder table = {.struct_size = sizeof table,
                              .id = id,
                              .dimension = read_i32(&c->in),
                              .max_tokens = read_i32(&c->in),
                              .embed = embed,
                              .destroy = release_callback};
    if (read_i32(&c->in))
        table.count_tokens = count_tokens;
    if (read_i32(&c->in))
        table.coverage = coverage;
    satchel_status status = understood(c);
    if (status)
        return status;
    callback *user = keep_callback(c);
    if (!user)
        return fail(c, SATCHEL_OUT_OF_MEMORY, "no memory for an embedder");
    user->dimension = table.dimension;
    table.user = user;
    satchel_model *model;
    status = satchel_model_from_embedder(&model, context, &table, &c->error);
    if (!status)
        write_handle(c, model, unmake_model);
    return status;
}

/* ------------------------------------------------------------------ generator */

/* One answer: Kotlin knows it by its number. */
typedef struct run {
    int32_t number;
    writer piece; /* the last reply: its text lives until the next call */
} run;

static satchel_status begin(void *user, const satchel_generator_request *request, void **out) {
    run *made = calloc(1, sizeof *made);
    if (!made)
        return SATCHEL_OUT_OF_MEMORY;
    const satchel_generate_options *options = request->options;
    writer told = {0}, reply;
    write_bytes(&told, request->messages, request->messages_length);
    write_i32(&told, request->max_tokens);
    write_i32(&told, request->continue_answer);
    write_i64(&told, (int64_t)(intptr_t)request->cancel);
    write_f32(&told, options->temperature);
    write_i64(&told, (int64_t)options->seed);
    write_i32(&told, options->top_k);
    write_f32(&told, options->top_p);
    write_f32(&told, options->min_p);
    write_f32(&told, options->typical_p);
    write_f32(&told, options->repetition);
    write_f32(&told, options->frequency);
    write_f32(&told, options->presence);
    write_i32(&told, options->penalty_window);
    write_i32(&told, (int32_t)options->bias_count);
    for (size_t i = 0; i < options->bias_count; i++) {
        write_i32(&told, options->bias_tokens[i]);
        write_f32(&told, options->biases[i]);
    }
    write_text(&told, options->schema);
    write_text(&told, options->grammar);
    write_i32(&told, (int32_t)options->stop_count);
    for (size_t i = 0; i < options->stop_count; i++)
        write_text(&told, options->stop[i]);
    satchel_status status = upcall(((callback *)user)->object, CALL_BEGIN, &told, &reply);
    reader in = behind(&reply);
    made->number = read_i32(&in);
    if (!status && in.bad)
        status = SATCHEL_CALLBACK;
    free(reply.bytes);
    if (status)
        free(made);
    else
        *out = made;
    return status;
}

static satchel_status next(void *user, void *state, const char **text, size_t *length) {
    run *at = state;
    writer told = {0};
    write_i32(&told, at->number);
    free(at->piece.bytes);
    satchel_status status = upcall(((callback *)user)->object, CALL_NEXT, &told, &at->piece);
    reader in = behind(&at->piece);
    *text = status ? NULL : (const char *)in.at;
    *length = status ? 0 : (size_t)(in.end - in.at);
    return status;
}

static void end(void *user, void *state) {
    run *at = state;
    writer told = {0};
    write_i32(&told, at->number);
    tell(((callback *)user)->object, CALL_END, &told);
    free(at->piece.bytes);
    free(at);
}

satchel_status op_model_from_generator(call *c) {
    satchel_context *context = read_handle(&c->in);
    const char *id = read_text(&c->in);
    satchel_generator table = {.struct_size = sizeof table,
                               .id = id,
                               .context_tokens = read_i32(&c->in),
                               .begin = begin,
                               .next = next,
                               .end = end,
                               .destroy = release_callback};
    if (read_i32(&c->in))
        table.count_tokens = count_tokens;
    satchel_status status = understood(c);
    if (status)
        return status;
    table.user = keep_callback(c);
    if (!table.user)
        return fail(c, SATCHEL_OUT_OF_MEMORY, "no memory for a generator");
    satchel_model *model;
    status = satchel_model_from_generator(&model, context, &table, &c->error);
    if (!status)
        write_handle(c, model, unmake_model);
    return status;
}

/* ------------------------------------------------------------------ reader */

/* The parts that a reader in Kotlin gave, handed on one by one. */
static satchel_status hand_on(reader *in, const satchel_reader_sink *sink) {
    satchel_status status = SATCHEL_OK;
    while (!status && in->at < in->end) {
        int32_t kind = read_i32(in);
        int64_t number = read_i64(in);
        size_t length;
        const char *text = read_bytes(in, &length);
        if (in->bad)
            return SATCHEL_CALLBACK;
        if (kind == 0) {
            status = sink->text(sink->sink, text, length);
        } else if (kind < 0) {
            status = sink->title(sink->sink, text, length);
        } else {
            const satchel_locator locator = {.kind = kind, .number = number, .label = text};
            status = sink->locate(sink->sink, &locator);
        }
    }
    return status;
}

static satchel_status read_document(void *user, const char *media_type, const void *data,
                                    size_t length, const satchel_reader_sink *sink, char *message,
                                    size_t message_size) {
    writer request = {0}, reply;
    write_text(&request, media_type);
    write_bytes(&request, data ? data : "", length);
    satchel_status status = upcall(((callback *)user)->object, CALL_READ, &request, &reply);
    reader in = behind(&reply);
    if (!status) {
        status = hand_on(&in, sink);
    } else if (message_size && in.at < in.end) {
        size_t size;
        const char *why = read_bytes(&in, &size);
        if (why) {
            size = size < message_size ? size : message_size - 1;
            // Not in the middle of a character.
            while (size && ((unsigned char)why[size] & 0xC0) == 0x80)
                size--;
            memcpy(message, why, size);
            message[size] = '\0';
        }
    }
    free(reply.bytes);
    return status;
}

satchel_status op_store_add_reader(call *c) {
    satchel_store *store = read_handle(&c->in);
    satchel_reader table = {.struct_size = sizeof table,
                            .id = read_text(&c->in),
                            .media_types = read_text(&c->in),
                            .extensions = read_text(&c->in),
                            .read = read_document,
                            .destroy = release_callback};
    satchel_status status = understood(c);
    if (status)
        return status;
    table.user = keep_callback(c);
    if (!table.user)
        return fail(c, SATCHEL_OUT_OF_MEMORY, "no memory for a reader");
    return satchel_store_add_reader(store, &table, &c->error);
}
