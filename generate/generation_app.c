/*
 * A run of an application's generator as a pulled stream. Its table gives text in pieces of any kind: they are put
 * together to whole characters here, and end where a stop string begins.
 */
#include <inttypes.h>
#include <string.h>

#include "generate/generator_parts.h"

enum { DEFAULT_TOKENS = 512 };

typedef struct app_run {
    sat_stream stream;
    satchel_context *context;
    satchel_generator table;
    void *inside; /* what begin() gave */
    bool begun;   /* and end() is owed */
    satchel_cancel *cancel;
    sat_answer_text text;
    int32_t finish;
    int64_t started, first; /* first: when text first came, 0 until then */
    satchel_event_token token;
    satchel_event_done done;
} app_run;

/* ------------------------------------------------------------------ messages */

/* Appends the text of a content: a string, nothing, or parts, which are joined. */
static satchel_status append_content(sat_buffer *out, const json_t *content, size_t index,
                                     satchel_error *error) {
    if (json_is_string(content))
        sat_buffer_append(out, json_string_value(content), json_string_length(content));
    if (!content || json_is_null(content) || json_is_string(content))
        return SATCHEL_OK;
    for (size_t i = 0; i < json_array_size(content); i++) {
        const json_t *text = json_object_get(json_array_get(content, i), "text");
        if (!json_is_string(text))
            return sat_fail(error, SATCHEL_UNSUPPORTED,
                            "part %zu of message %zu is no text: an application's generator is "
                            "given texts alone",
                            i, index);
        sat_buffer_append(out, json_string_value(text), json_string_length(text));
    }
    if (json_is_array(content))
        return SATCHEL_OK;
    return sat_fail(error, SATCHEL_INVALID_ARGUMENT,
                    "message %zu: content must be a string or a list of parts", index);
}

satchel_status sat_messages_read(satchel_context *context, const char *messages, size_t length,
                                 sat_message_function each, void *user, satchel_error *error) {
    json_t *list = NULL;
    sat_buffer content;
    sat_buffer_init(&content, &context->memory);
    satchel_status status =
        sat_json_parse(&list, messages, length, SATCHEL_INVALID_ARGUMENT, "the messages", error);
    if (!status && (!json_is_array(list) || json_array_size(list) == 0))
        status = sat_fail(error, SATCHEL_INVALID_ARGUMENT,
                          "the messages must be a JSON array with one object at least");
    for (size_t i = 0; !status && i < json_array_size(list); i++) {
        const json_t *message = json_array_get(list, i);
        const char *role = json_string_value(json_object_get(message, "role"));
        sat_buffer_clear(&content);
        if (!role)
            status = sat_fail(error, SATCHEL_INVALID_ARGUMENT,
                              "message %zu must be an object with a role that is a string", i);
        else
            status = append_content(&content, json_object_get(message, "content"), i, error);
        if (!status && content.failed)
            status = sat_memory_fail(&context->memory, content.length, error);
        if (!status)
            status = each(user, role, content.data ? content.data : "", content.length, error);
    }
    json_decref(list);
    sat_buffer_free(&content);
    return status;
}

static satchel_status append_message(void *user, const char *role, const char *content,
                                     size_t length, satchel_error *error) {
    sat_buffer *out = user;
    sat_buffer_append_text(out, out->length ? ",{\"role\":" : "[{\"role\":");
    sat_json_append_string(out, role, strlen(role));
    sat_buffer_append_text(out, ",\"content\":");
    sat_json_append_string(out, content, length);
    if (!sat_buffer_append_text(out, "}"))
        return sat_memory_fail(out->memory, length, error);
    return SATCHEL_OK;
}

/* ------------------------------------------------------------------ the application's calls */

static satchel_status judge(const app_run *run, const char *call, satchel_status status,
                            satchel_error *error) {
    const char *id = run->table.id;
    if (status == SATCHEL_OK)
        return status;
    if (status == SATCHEL_CANCELLED)
        return sat_fail(error, status, "generator '%s' was cancelled", id);
    if (status == SATCHEL_OUT_OF_MEMORY)
        return sat_fail(error, status, "generator '%s' ran out of memory", id);
    return sat_fail(error, SATCHEL_CALLBACK, "generator '%s': %s() failed with %s (%" PRId32 ")",
                    id, call, sat_status_name(status), status);
}

static satchel_status begin(app_run *run, const char *messages, size_t length,
                            const satchel_generate_options *options, bool continues,
                            satchel_error *error) {
    sat_buffer plain;
    sat_buffer_init(&plain, &run->context->memory);
    satchel_status status =
        sat_messages_read(run->context, messages, length, append_message, &plain, error);
    if (!status && !sat_buffer_append_text(&plain, "]"))
        status = sat_memory_fail(&run->context->memory, plain.length, error);
    if (!status) {
        const satchel_generator_request request = {
            .struct_size = sizeof request,
            .messages = plain.data,
            .messages_length = plain.length,
            .max_tokens = options->max_tokens ? options->max_tokens : DEFAULT_TOKENS,
            .continue_answer = continues,
            .options = options,
            .cancel = run->cancel};
        status =
            judge(run, "begin", run->table.begin(run->table.user, &request, &run->inside), error);
        run->begun = status == SATCHEL_OK;
    }
    sat_buffer_free(&plain);
    return status;
}

static void end(app_run *run) {
    if (run->begun)
        run->table.end(run->table.user, run->inside);
    run->begun = false;
}

/* Asks for a piece and takes it in; at the end of the answer run->finish says why. */
static satchel_status pull(app_run *run, satchel_error *error) {
    const char *piece = NULL;
    size_t length = 0;
    satchel_status status = sat_cancel_check(run->cancel, error);
    if (!status)
        status = judge(run, "next", run->table.next(run->table.user, run->inside, &piece, &length),
                       error);
    if (!status && length > 0 && !piece)
        status = sat_fail(error, SATCHEL_CALLBACK,
                          "generator '%s': next() gave a length without a text", run->table.id);
    if (status)
        return status;
    if (length > 0 && !run->first)
        run->first = sat_clock_ms();
    bool fine = length ? sat_answer_text_add_bytes(&run->text, piece, length)
                       : sat_answer_text_end(&run->text);
    if (!fine)
        return sat_memory_fail(&run->context->memory, length, error);
    if (run->text.stopped)
        run->finish = SATCHEL_FINISH_STOP;
    else if (length == 0)
        run->finish = SATCHEL_FINISH_END;
    if (run->finish)
        end(run);
    return SATCHEL_OK;
}

/* ------------------------------------------------------------------ the stream */

static satchel_status next_event(sat_stream *stream, satchel_event *event, satchel_error *error) {
    app_run *run = (app_run *)stream;
    if (!run->started)
        run->started = sat_clock_ms();
    for (;;) {
        size_t length;
        const char *text = sat_answer_text_take(&run->text, &length);
        if (text) {
            run->token = (satchel_event_token){.text = text, .length = length, .token = -1};
            event->kind = SATCHEL_EVENT_TOKEN;
            event->token = &run->token;
            return SATCHEL_OK;
        }
        if (run->finish)
            break;
        satchel_status status = pull(run, error);
        if (status)
            return status;
    }
    const int64_t now = sat_clock_ms(), first = run->first ? run->first : now;
    run->done = (satchel_event_done){.elapsed_ms = now - run->started,
                                     .prompt_tokens = -1,
                                     .cached_tokens = -1,
                                     .generated_tokens = -1,
                                     .prefill_ms = first - run->started,
                                     .generate_ms = now - first,
                                     .finish = run->finish};
    event->kind = SATCHEL_EVENT_DONE;
    event->done = &run->done;
    return SATCHEL_OK;
}

static void close_run(sat_stream *stream) {
    app_run *run = (app_run *)stream;
    end(run);
    sat_answer_text_close(&run->text);
    sat_cancel_release(run->cancel);
    sat_free(&run->context->memory, run);
}

satchel_status sat_app_generation_open(sat_stream **out, satchel_context *context,
                                       const satchel_generator *table, const char *messages,
                                       size_t length, const satchel_generate_options *options,
                                       bool continues, satchel_error *error) {
    *out = NULL;
    app_run *run = sat_calloc(&context->memory, 1, sizeof *run);
    if (!run)
        return sat_memory_fail(&context->memory, sizeof *run, error);
    run->stream = (sat_stream){next_event, close_run};
    run->context = context;
    run->table = *table;
    run->cancel = sat_cancel_retain(options->cancel);
    satchel_status status = sat_cancel_check(run->cancel, error);
    if (!status)
        status = sat_answer_text_open(&run->text, &context->memory, NULL, options->stop,
                                      options->stop_count, true, error);
    if (!status)
        status = begin(run, messages, length, options, continues, error);
    if (status)
        close_run(&run->stream);
    else
        *out = &run->stream;
    return status;
}
