/*
 * Stores: opening, adding, removing, syncing and keeping them. Every call checks its arguments here
 * and goes on to retrieval; application readers are wrapped so that they run one at a time.
 */
#include <inttypes.h>
#include <stddef.h>
#include <string.h>

#include "sdk/handle.h"

/* Larger texts are refused: offsets and FTS positions stay far from their limits. */
#define MAX_TEXT_BYTES (UINT64_C(1) << 30)

struct sat_app_reader {
    sat_app_reader *next;
    satchel_store *store; /* not a reference: readers live as long as their store */
    satchel_reader app;
    char *id, *media_types, *extensions;
};

void satchel_store_options_init(satchel_store_options *options, size_t struct_size) {
    sat_options_init(options, struct_size);
}
void satchel_add_options_init(satchel_add_options *options, size_t struct_size) {
    sat_options_init(options, struct_size);
}
void satchel_sync_options_init(satchel_sync_options *options, size_t struct_size) {
    sat_options_init(options, struct_size);
}

/* ------------------------------------------------------------------ life */

satchel_store *sat_handle_retain(satchel_store *store) {
    if (store)
        atomic_fetch_add_explicit(&store->references, 1, memory_order_relaxed);
    return store;
}

static void reader_free(sat_memory *memory, sat_app_reader *reader) {
    sat_free(memory, reader->id);
    sat_free(memory, reader->media_types);
    sat_free(memory, reader->extensions);
    sat_free(memory, reader);
}

void sat_handle_release(satchel_store *store) {
    if (!store || atomic_fetch_sub_explicit(&store->references, 1, memory_order_acq_rel) != 1)
        return;
    satchel_context *context = store->context;
    sat_store_close(&store->store);
    while (store->readers) {
        sat_app_reader *reader = store->readers;
        store->readers = reader->next;
        if (reader->app.destroy)
            reader->app.destroy(reader->app.user);
        reader_free(&context->memory, reader);
    }
    sat_model_release(store->model);
    sat_gate_destroy(&store->gate);
    pthread_mutex_destroy(&store->readers_lock);
    sat_free(&context->memory, store);
    sat_context_release(context);
}

static satchel_status store_new(satchel_store **out, satchel_context *context,
                                satchel_error *error) {
    satchel_store *store = sat_calloc(&context->memory, 1, sizeof *store);
    if (!store)
        return sat_memory_fail(&context->memory, sizeof *store, error);
    satchel_status status = sat_gate_init(&store->gate, error);
    if (status) {
        sat_free(&context->memory, store);
        return status;
    }
    int failed = pthread_mutex_init(&store->readers_lock, NULL);
    if (failed) {
        sat_gate_destroy(&store->gate);
        sat_free(&context->memory, store);
        return sat_fail_errno(error, failed, "cannot make a lock");
    }
    store->context = sat_context_retain(context);
    atomic_init(&store->references, 1);
    *out = store;
    return SATCHEL_OK;
}

static satchel_status check_store_options(const char *call, const satchel_store_options *options,
                                          satchel_error *error) {
    satchel_status status =
        sat_check_range(call, "options.chunk_tokens", options->chunk_tokens, 0, INT32_MAX, error);
    if (!status && (options->encryption_key || options->encryption_key_size))
        status = sat_fail(error, SATCHEL_UNSUPPORTED,
                          "%s: this build cannot encrypt; leave options.encryption_key NULL", call);
    if (!status && options->model)
        status = sat_check_kind(call, options->model, SATCHEL_MODEL_EMBEDDER, error);
    return status;
}

satchel_status satchel_store_open(satchel_store **out, satchel_context *context, const char *path,
                                  const satchel_store_options *options, satchel_error *error) {
    satchel_status status = sat_check_out(__func__, "out", out, sizeof *out, error);
    satchel_store_options known;
    if (!status)
        status = sat_check_context(__func__, context, error);
    if (!status)
        status = sat_check_pointer(__func__, "the path", path, error);
    if (!status)
        status = sat_options_read(&known, sizeof known, options, "satchel_store_options", error);
    if (!status)
        status = check_store_options(__func__, &known, error);
    satchel_store *store = NULL;
    if (!status)
        status = store_new(&store, context, error);
    if (status)
        return status;
    store->model = sat_model_retain(known.model);
    sat_store_setup setup = {.read_only = known.read_only != 0,
                             .must_exist = known.must_exist != 0,
                             .chunk_tokens = known.chunk_tokens};
    if (store->model) {
        setup.embedder = &store->model->table;
        setup.fingerprint = store->model->info.fingerprint;
        setup.model_name = store->model->info.name;
    }
    status = sat_store_open(&store->store, context, path, &setup, error);
    if (status) {
        sat_handle_release(store);
        return status;
    }
    *out = store;
    return SATCHEL_OK;
}

void satchel_store_close(satchel_store **store) {
    if (!store || !*store)
        return;
    if (!sat_is_forked((*store)->context))
        sat_handle_release(*store);
    *store = NULL;
}

/* ------------------------------------------------------------------ readers */

static satchel_status app_read(void *user, const char *media_type, const void *data, size_t length,
                               const satchel_reader_sink *sink, char *message,
                               size_t message_size) {
    sat_app_reader *reader = user;
    if (message_size > 0)
        message[0] = '\0';
    sat_gate_enter(&reader->store->gate);
    satchel_status status =
        reader->app.read(reader->app.user, media_type, data, length, sink, message, message_size);
    sat_gate_leave(&reader->store->gate);
    if (message_size > 0)
        message[message_size - 1] = '\0';
    return status;
}

static satchel_status check_reader(const char *call, const satchel_reader *reader,
                                   satchel_error *error) {
    satchel_status status = sat_check_string(call, "reader.id", reader->id, false, error);
    if (!status)
        status = sat_check_string(call, "reader.media_types", reader->media_types, false, error);
    if (!status)
        status = sat_check_string(call, "reader.extensions", reader->extensions, true, error);
    if (!status && !reader->read)
        status = sat_fail(error, SATCHEL_INVALID_ARGUMENT, "%s: reader.read is NULL", call);
    return status;
}

static satchel_status add_reader(satchel_store *store, const satchel_reader *reader,
                                 satchel_error *error) {
    sat_memory *memory = &store->context->memory;
    sat_app_reader *added = sat_calloc(memory, 1, sizeof *added);
    if (!added)
        return sat_memory_fail(memory, sizeof *added, error);
    added->store = store;
    added->app = *reader;
    added->id = sat_strdup(memory, reader->id);
    added->media_types = sat_strdup(memory, reader->media_types);
    added->extensions = reader->extensions ? sat_strdup(memory, reader->extensions) : NULL;
    satchel_status status = SATCHEL_OK;
    if (!added->id || !added->media_types || (reader->extensions && !added->extensions))
        status = sat_memory_fail(memory, strlen(reader->id) + strlen(reader->media_types), error);
    /* `destroy` stays with us: retrieval knows nothing of when a handle goes. */
    const satchel_reader table = {.struct_size = sizeof table,
                                  .user = added,
                                  .id = added->id,
                                  .media_types = added->media_types,
                                  .extensions = added->extensions,
                                  .read = app_read};
    if (!status)
        status = sat_store_add_reader(store->store, &table, error);
    if (status) {
        reader_free(memory, added);
        return status;
    }
    pthread_mutex_lock(&store->readers_lock);
    added->next = store->readers;
    store->readers = added;
    pthread_mutex_unlock(&store->readers_lock);
    return SATCHEL_OK;
}

satchel_status satchel_store_add_reader(satchel_store *store, const satchel_reader *reader,
                                        satchel_error *error) {
    satchel_status status = sat_check_pointer(__func__, "the reader", reader, error);
    if (status)
        return status;
    satchel_reader known;
    status = sat_check_store(__func__, store, error);
    if (!status)
        status = sat_options_read(&known, sizeof known, reader, "satchel_reader", error);
    if (!status)
        status = check_reader(__func__, &known, error);
    if (!status)
        status = add_reader(store, &known, error);
    /* `destroy` is promised on failure too, but can be read only from a struct that reaches it. */
    const size_t reach = offsetof(satchel_reader, destroy) + sizeof reader->destroy;
    if (status && sat_struct_reaches(reader->struct_size, reach) && reader->destroy)
        reader->destroy(reader->user);
    return status;
}

/* ------------------------------------------------------------------ add, remove */

/* Reads and checks what the three ways of adding share. */
static satchel_status read_add(const char *call, satchel_add_options *known,
                               const satchel_store *store, const char *id,
                               const satchel_add_options *options, satchel_error *error) {
    satchel_status status = sat_check_store(call, store, error);
    if (!status)
        status = sat_check_string(call, "the id", id, false, error);
    if (!status)
        status = sat_options_read(known, sizeof *known, options, "satchel_add_options", error);
    if (!status)
        status = sat_check_string(call, "options.title", known->title, true, error);
    if (!status)
        status = sat_check_string(call, "options.metadata", known->metadata, true, error);
    if (!status)
        status = sat_check_string(call, "options.media_type", known->media_type, true, error);
    if (!status)
        status = sat_cancel_check(known->cancel, error);
    return status;
}

static satchel_status check_size(const char *call, size_t length, satchel_error *error) {
    if (length <= MAX_TEXT_BYTES)
        return SATCHEL_OK;
    return sat_fail(error, SATCHEL_LIMIT,
                    "%s: %zu bytes are more than a document may have (%" PRIu64
                    "); split it into several",
                    call, length, MAX_TEXT_BYTES);
}

satchel_status satchel_store_add_text(satchel_store *store, const char *id, const char *text,
                                      size_t length, const satchel_add_options *options,
                                      satchel_error *error) {
    satchel_add_options known;
    satchel_status status = read_add(__func__, &known, store, id, options, error);
    if (!status)
        status = sat_check_text(__func__, "the text", text, &length, error);
    if (!status)
        status = check_size(__func__, length, error);
    if (status)
        return status;
    text = text ? text : "";
    if (!known.media_type || strcmp(known.media_type, "text/plain") == 0)
        return sat_store_add_text(store->store, id, text, length, &known, error);
    return sat_store_add(store->store, id, known.media_type, text, length, &known, error);
}

satchel_status satchel_store_add_bytes(satchel_store *store, const char *id, const char *media_type,
                                       const void *data, size_t length,
                                       const satchel_add_options *options, satchel_error *error) {
    satchel_add_options known;
    satchel_status status = read_add(__func__, &known, store, id, options, error);
    if (!status)
        status = sat_check_string(__func__, "the media type", media_type, true, error);
    if (!status && length > 0)
        status = sat_check_pointer(__func__, "data", data, error);
    if (!status)
        status = check_size(__func__, length, error);
    if (status)
        return status;
    return sat_store_add(store->store, id, media_type ? media_type : known.media_type,
                         data ? data : "", length, &known, error);
}

satchel_status satchel_store_add_fd(satchel_store *store, const char *id, const char *media_type,
                                    int32_t fd, uint64_t offset, uint64_t length,
                                    const satchel_add_options *options, satchel_error *error) {
    satchel_add_options known;
    satchel_status status = read_add(__func__, &known, store, id, options, error);
    if (!status)
        status = sat_check_string(__func__, "the media type", media_type, true, error);
    if (!status)
        status = sat_check_range(__func__, "fd", fd, 0, INT32_MAX, error);
    if (status)
        return status;
    sat_buffer bytes;
    sat_buffer_init(&bytes, &store->context->memory);
    status = sat_file_read_fd(store->context, fd, offset, length, MAX_TEXT_BYTES, &bytes, error);
    if (!status)
        status = sat_store_add(store->store, id, media_type ? media_type : known.media_type,
                               bytes.data ? bytes.data : "", bytes.length, &known, error);
    sat_buffer_free(&bytes);
    return status;
}

satchel_status satchel_store_remove(satchel_store *store, const char *id, satchel_error *error) {
    satchel_status status = sat_check_store(__func__, store, error);
    if (!status)
        status = sat_check_string(__func__, "the id", id, false, error);
    return status ? status : sat_store_remove(store->store, id, error);
}

/* ------------------------------------------------------------------ sync and upkeep */

satchel_status satchel_store_sync(satchel_stream **out, satchel_store *store, const char *path,
                                  const satchel_sync_options *options, satchel_error *error) {
    satchel_status status = sat_check_out(__func__, "out", out, sizeof *out, error);
    satchel_sync_options known;
    if (!status)
        status = sat_check_store(__func__, store, error);
    if (!status)
        status = sat_check_pointer(__func__, "the path", path, error);
    if (!status)
        status = sat_options_read(&known, sizeof known, options, "satchel_sync_options", error);
    if (!status)
        status = sat_check_string(__func__, "options.root", known.root, true, error);
    if (!status)
        status = sat_check_range(__func__, "options.max_file_bytes", known.max_file_bytes, 0,
                                 (int64_t)MAX_TEXT_BYTES, error);
    sat_stream *inner = NULL;
    if (!status)
        status = sat_store_sync(&inner, store->store, path, &known, error);
    return status ? status : sat_stream_wrap(out, store, NULL, inner, error);
}

satchel_status satchel_store_get_root(satchel_store *store, size_t index, char *name,
                                      size_t name_size, char *path, size_t path_size,
                                      int64_t *documents, satchel_error *error) {
    if (name && name_size > 0)
        name[0] = '\0';
    if (path && path_size > 0)
        path[0] = '\0';
    if (documents)
        *documents = 0;
    satchel_status status = sat_check_store(__func__, store, error);
    if (!status && name_size > 0)
        status = sat_check_pointer(__func__, "the name", name, error);
    if (!status && path_size > 0)
        status = sat_check_pointer(__func__, "the path", path, error);
    int64_t unused;
    return status ? status
                  : sat_store_root(store->store, index, name, name_size, path, path_size,
                                   documents ? documents : &unused, error);
}

satchel_status satchel_store_maintain(satchel_store *store, int64_t budget_ms,
                                      const satchel_cancel *cancel, int64_t *pending,
                                      satchel_error *error) {
    if (pending)
        *pending = 0;
    satchel_status status = sat_check_store(__func__, store, error);
    if (!status)
        status = sat_check_range(__func__, "budget_ms", budget_ms, 0, INT64_MAX, error);
    int64_t unused;
    return status ? status
                  : sat_store_maintain(store->store, budget_ms, cancel, pending ? pending : &unused,
                                       error);
}

satchel_status satchel_store_get_stats(satchel_store *store, satchel_store_stats *stats,
                                       size_t size, satchel_error *error) {
    satchel_status status = sat_check_out(__func__, "stats", stats, size, error);
    satchel_store_stats known = {0};
    if (!status)
        status = sat_check_store(__func__, store, error);
    if (!status)
        status = sat_store_stats(store->store, &known, error);
    if (!status)
        sat_result_write(stats, size, &known, sizeof known);
    return status;
}

typedef struct verify_call {
    satchel_store *store;
    satchel_problem_function report;
    void *user;
} verify_call;

static int32_t app_report(void *user, const char *problem) {
    verify_call *call = user;
    sat_gate_enter(&call->store->gate);
    int32_t stop = call->report(call->user, problem);
    sat_gate_leave(&call->store->gate);
    return stop;
}

satchel_status satchel_store_verify(satchel_store *store, satchel_problem_function report,
                                    void *user, int64_t *problems, satchel_error *error) {
    if (problems)
        *problems = 0;
    satchel_status status = sat_check_store(__func__, store, error);
    if (status)
        return status;
    verify_call call = {.store = store, .report = report, .user = user};
    int64_t unused;
    return sat_store_verify(store->store, report ? app_report : NULL, &call,
                            problems ? problems : &unused, error);
}

satchel_status satchel_store_backup(satchel_store *store, const char *path,
                                    const satchel_cancel *cancel, satchel_error *error) {
    satchel_status status = sat_check_store(__func__, store, error);
    if (!status)
        status = sat_check_pointer(__func__, "the path", path, error);
    return status ? status : sat_store_backup(store->store, path, cancel, error);
}
