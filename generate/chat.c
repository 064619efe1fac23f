/* Chat templates: opening one, and rendering: the input's values, limits, the output and its
 * parts. */
#include "generate/chat.h"

#include <string.h>

#include "generate/chat_parts.h"

/* Copies the source with line breaks made one, less the last: as Jinja reads it. */
static void normalize(sat_chat_template *chat, const char *source, size_t length) {
    for (size_t i = 0; i < length; i++) {
        if (source[i] == '\r' && i + 1 < length && source[i + 1] == '\n')
            continue;
        chat->source[chat->length++] = source[i] == '\r' ? '\n' : source[i];
    }
    if (chat->length && chat->source[chat->length - 1] == '\n')
        chat->length--;
    chat->source[chat->length] = '\0';
}

satchel_status sat_chat_open(sat_chat_template **out, satchel_context *context, const char *source,
                             size_t length, satchel_error *error) {
    *out = NULL;
    if (length > CHAT_SOURCE_LIMIT)
        return sat_fail(error, SATCHEL_LIMIT, "chat template: %zu bytes, at most %d are taken",
                        length, CHAT_SOURCE_LIMIT);
    size_t valid = sat_utf8_valid(source, length);
    if (valid < length)
        return sat_fail(error, SATCHEL_INVALID_TEXT, "chat template: byte %zu is not UTF-8", valid);
    sat_memory *memory = &context->memory;
    sat_chat_template *chat = sat_calloc(memory, 1, sizeof *chat);
    if (!chat)
        return sat_memory_fail(memory, sizeof *chat, error);
    chat->context = sat_context_retain(context);
    sat_arena_init(&chat->arena, memory);
    chat->source = sat_alloc(memory, length + 1);
    satchel_status status = SATCHEL_OK;
    if (!chat->source) {
        status = sat_memory_fail(memory, length + 1, error);
    } else {
        normalize(chat, source, length);
        status = sat_chat_compile(chat, error);
    }
    if (status)
        sat_chat_close(&chat);
    *out = chat;
    return status;
}

void sat_chat_close(sat_chat_template **chat) {
    sat_chat_template *old = chat ? *chat : NULL;
    if (!old)
        return;
    *chat = NULL;
    satchel_context *context = old->context;
    sat_memory *memory = &context->memory;
    sat_arena_free(&old->arena);
    sat_free(memory, old->source);
    sat_free(memory, old->code);
    sat_free(memory, old->constants);
    sat_free(memory, old->names);
    sat_free(memory, old->natives);
    sat_free(memory, old->macros);
    sat_free(memory, old);
    sat_context_release(context);
}

/* ------------------------------------------------------------------ input */

static bool set_token(chat_run *run, uint32_t name, const char *spelling) {
    if (!spelling)
        return true;
    if (sat_utf8_valid(spelling, strlen(spelling)) < strlen(spelling)) {
        run->status =
            sat_fail(run->error, SATCHEL_INVALID_TEXT, "%s is not UTF-8", sat_chat_names[name]);
        return false;
    }
    const chat_text *text = sat_chat_text(run, spelling, strlen(spelling), true);
    return text && sat_chat_store(run, name, chat_of(text));
}

/* A JSON text's value; NULL text gives NONE. `kind` is what it has to be. */
static bool parse(chat_run *run, const char *text, size_t length, const char *what, chat_kind kind,
                  chat_value *out) {
    json_t *json;
    *out = chat_none();
    if (!text)
        return true;
    run->status = sat_json_parse(&json, text, length, SATCHEL_INVALID_ARGUMENT, what, run->error);
    if (run->status)
        return false;
    bool good = sat_chat_from_json(run, json, out);
    json_decref(json);
    if (good && out->kind != kind) {
        run->status = sat_fail(run->error, SATCHEL_INVALID_ARGUMENT, "%s: not a JSON %s", what,
                               kind == CHAT_LIST ? "array" : "object");
        return false;
    }
    for (size_t i = 0; good && kind == CHAT_LIST && i < out->as.list->count; i++)
        if (out->as.list->items[i].kind != CHAT_DICT) {
            run->status =
                sat_fail(run->error, SATCHEL_INVALID_ARGUMENT, "%s[%zu]: not an object", what, i);
            return false;
        }
    return good;
}

static bool set_variables(chat_run *run, const sat_chat_input *input) {
    chat_value variables;
    if (!parse(run, input->variables, input->variables_length, "variables", CHAT_DICT, &variables))
        return false;
    for (size_t i = 0; variables.kind == CHAT_DICT && i < variables.as.dict->count; i++) {
        const chat_pair *pair = &variables.as.dict->pairs[i];
        const chat_text *key = pair->key.as.text;
        if (sat_chat_among("messages tools add_generation_prompt bos_token eos_token", key->data,
                           key->length)) {
            run->status =
                sat_fail(run->error, SATCHEL_INVALID_ARGUMENT, "variables: \"%.*s\" is given apart",
                         (int)key->length, key->data);
            return false;
        }
        for (size_t name = 0; name < run->chat->name_count; name++)
            if (sat_chat_same(run->chat->names[name], key) &&
                !sat_chat_store(run, (uint32_t)name, pair->value))
                return false;
    }
    return true;
}

static bool set_input(chat_run *run, const sat_chat_input *input) {
    chat_value messages, tools;
    run->scope = sat_chat_alloc(run, 1, sizeof *run->scope);
    if (!run->scope)
        return false;
    if (!input->messages) {
        run->status = sat_fail(run->error, SATCHEL_INVALID_ARGUMENT, "messages is NULL");
        return false;
    }
    if (!parse(run, input->messages, input->messages_length, "messages", CHAT_LIST, &messages) ||
        !parse(run, input->tools, input->tools_length, "tools", CHAT_LIST, &tools))
        return false;
    bool generate = input->add_generation_prompt;
    if (!sat_chat_messages(run, input, messages.as.list, &messages, &generate))
        return false;
    return sat_chat_store(run, CHAT_NAME_DOCUMENTS, chat_none()) && set_variables(run, input) &&
           sat_chat_store(run, CHAT_NAME_MESSAGES, messages) &&
           sat_chat_store(run, CHAT_NAME_TOOLS, tools) &&
           sat_chat_store(run, CHAT_NAME_GENERATE, chat_bool(generate)) &&
           set_token(run, CHAT_NAME_BOS, input->bos) && set_token(run, CHAT_NAME_EOS, input->eos);
}

/* ------------------------------------------------------------------ output */

static chat_mark mark_at(const chat_builder *text, size_t at) {
    return text->marks ? text->marks[at] : text->mark;
}

/* Cuts the text behind the last byte of the message that the answer goes on with, if one was
 * printed. */
static bool cut_behind_message(chat_run *run, chat_builder *text) {
    if (!run->continues)
        return true;
    size_t end = text->length;
    while (end > 0 && !(mark_at(text, end - 1) & CHAT_CONTINUED))
        end--;
    text->length = end;
    if (end > 0)
        return true;
    run->status = sat_fail(run->error, SATCHEL_INVALID_ARGUMENT,
                           "the chat template does not print the last message: it cannot be gone "
                           "on with");
    return false;
}

static bool write_output(chat_run *run, const chat_builder *text, sat_chat_output *out) {
    if (!sat_buffer_append(&out->text, text->data ? text->data : "", text->length)) {
        run->status = sat_memory_fail(run->memory, text->length, run->error);
        return false;
    }
    for (size_t from = 0, to; from < text->length; from = to) {
        chat_mark mark = mark_at(text, from) & (chat_mark)~CHAT_CONTINUED;
        to = text->marks ? from + 1 : text->length;
        while (to < text->length && (mark_at(text, to) & (chat_mark)~CHAT_CONTINUED) == mark)
            to++;
        if (!sat_grow(run->memory, (void **)&out->parts, &out->capacity, out->count + 1,
                      sizeof *out->parts)) {
            run->status = sat_memory_fail(run->memory, sizeof *out->parts, run->error);
            return false;
        }
        out->parts[out->count++] = (sat_text_part){.text = out->text.data + from,
                                                   .length = to - from,
                                                   .trusted = mark == CHAT_TRUSTED,
                                                   .apart = mark >= CHAT_APART};
    }
    return true;
}

void sat_chat_output_free(sat_chat_output *out) {
    if (!out || !out->text.memory)
        return;
    sat_memory *memory = out->text.memory;
    sat_free(memory, out->parts);
    sat_buffer_free(&out->text);
    *out = (sat_chat_output){0};
}

satchel_status sat_chat_render(const sat_chat_template *chat, const sat_chat_input *input,
                               sat_chat_output *out, satchel_error *error) {
    sat_memory *memory = &chat->context->memory;
    sat_chat_output_free(out);
    sat_buffer_init(&out->text, memory);
    uint64_t given = (uint64_t)chat->length + input->messages_length + input->tools_length +
                     input->variables_length;
    chat_run run = {.chat = chat,
                    .memory = memory,
                    .bytes_left = CHAT_BYTES + 64 * given,
                    .steps_left = CHAT_STEPS + 100 * given,
                    .error = error,
                    .now = input->now};
    sat_arena_init(&run.arena, memory);
    bool good = set_input(&run, input) && sat_chat_execute(&run) &&
                cut_behind_message(&run, &run.builders[0]) &&
                write_output(&run, &run.builders[0], out);
    sat_free(memory, run.builders);
    sat_arena_free(&run.arena);
    if (!good)
        sat_chat_output_free(out);
    return good ? SATCHEL_OK : run.status;
}
