/*
 * Pulled streams: wraps an inner stream of retrieval or generate. An error is given again by every
 * later call, so is DONE; the stream keeps the store and the model that it works with open.
 */
#include <string.h>

#include "sdk/handle.h"

struct satchel_stream {
    satchel_context *context; /* that of store and model, which hold it */
    satchel_store *store;     /* NULL: none */
    satchel_model *model;     /* NULL: none */
    sat_stream *inner;        /* NULL once it has failed */
    satchel_event event;      /* what DONE was; its pointers lead into `inner` */
    satchel_error failure;
    bool done;
};

satchel_status sat_stream_wrap(satchel_stream **out, satchel_store *store, satchel_model *model,
                               sat_stream *inner, satchel_error *error) {
    satchel_context *context = store ? store->context : model->context;
    satchel_stream *stream = sat_calloc(&context->memory, 1, sizeof *stream);
    if (!stream) {
        inner->close(inner);
        return sat_memory_fail(&context->memory, sizeof *stream, error);
    }
    stream->context = context;
    stream->store = sat_handle_retain(store);
    stream->model = sat_model_retain(model);
    stream->inner = inner;
    *out = stream;
    return SATCHEL_OK;
}

static void close_inner(satchel_stream *stream) {
    if (stream->inner)
        stream->inner->close(stream->inner);
    stream->inner = NULL;
}

satchel_status satchel_stream_next(satchel_stream *stream, satchel_event *event, size_t size,
                                   satchel_error *error) {
    satchel_status status = sat_check_out(__func__, "the event", event, size, error);
    if (!status)
        status = sat_check_pointer(__func__, "the stream", stream, error);
    if (!status)
        status = sat_context_check(stream->context, error);
    if (!status && stream->store)
        status = sat_check_store(__func__, stream->store, error);
    if (!status && stream->model)
        status = sat_check_model(__func__, stream->model, error);
    if (!status && size < sizeof event->kind)
        status = sat_fail(error, SATCHEL_INVALID_ARGUMENT,
                          "%s: size is %zu; pass sizeof(satchel_event)", __func__, size);
    if (status)
        return status; /* the caller's mistake: the stream itself goes on */
    if (stream->failure.code) {
        sat_error_copy(error, &stream->failure);
        return stream->failure.code;
    }
    if (!stream->done) {
        memset(&stream->event, 0, sizeof stream->event);
        status = stream->inner->next(stream->inner, &stream->event, &stream->failure);
        if (status) {
            stream->failure.code = status;
            sat_error_copy(error, &stream->failure);
            close_inner(stream); /* gives up the store's writer place at once */
            return status;
        }
        stream->done = stream->event.kind == SATCHEL_EVENT_DONE;
    }
    sat_result_write(event, size, &stream->event, sizeof stream->event);
    return SATCHEL_OK;
}

void satchel_stream_close(satchel_stream **slot) {
    if (!slot || !*slot)
        return;
    satchel_stream *stream = *slot;
    *slot = NULL;
    if (sat_is_forked(stream->context))
        return;
    satchel_store *store = stream->store;
    satchel_model *model = stream->model;
    close_inner(stream);
    sat_free(&stream->context->memory, stream);
    sat_handle_release(store);
    sat_model_release(model);
}
