/*
 * Filling prompts. What a document says is written so that it cannot be taken for what the prompt
 * says: runs of the fence's sign are broken by a backslash, control characters are shown by their
 * pictures, characters that no reader sees but a model would read are replaced. Only the prompt has
 * the changed text; citations count in the document's own.
 */
#include <string.h>

#include "retrieval/cite.h"
#include "retrieval/prompt.h"
#include "retrieval/search.h"

enum { LINE_BYTES = 240 /* of a title or a heading, about */ };

/* ------------------------------------------------------------------ history */

static satchel_status strip_markers(sat_memory *memory, json_t *message, satchel_error *error) {
    json_t *content = json_object_get(message, "content");
    sat_buffer kept;
    sat_buffer_init(&kept, memory);
    sat_cite_strip(&kept, json_string_value(content), json_string_length(content));
    bool fine =
        !kept.failed && (kept.length == json_string_length(content) ||
                         json_string_setn(content, kept.data ? kept.data : "", kept.length) == 0);
    satchel_status status = fine ? SATCHEL_OK : sat_memory_fail(memory, kept.length, error);
    sat_buffer_free(&kept);
    return status;
}

satchel_status sat_history_read(sat_history *out, sat_memory *memory, const char *json,
                                satchel_error *error) {
    *out = (sat_history){0};
    if (!json || !*json)
        return SATCHEL_OK;
    satchel_status status = sat_json_parse(&out->array, json, strlen(json),
                                           SATCHEL_INVALID_ARGUMENT, "the history", error);
    if (status)
        return status;
    if (!json_is_array(out->array))
        status = sat_fail(error, SATCHEL_INVALID_ARGUMENT,
                          "the history must be a JSON array of messages");
    out->count = json_array_size(out->array);
    for (size_t i = 0; i < out->count && !status; i++) {
        json_t *message = json_array_get(out->array, i);
        const char *role = json_string_value(json_object_get(message, "role"));
        if (!role || (strcmp(role, "user") != 0 && strcmp(role, "assistant") != 0))
            status = sat_fail(error, SATCHEL_INVALID_ARGUMENT,
                              "message %zu of the history: its \"role\" must be \"user\" or "
                              "\"assistant\"",
                              i);
        else if (!json_is_string(json_object_get(message, "content")))
            status = sat_fail(error, SATCHEL_INVALID_ARGUMENT,
                              "message %zu of the history: its \"content\" must be a string", i);
        else if (strcmp(role, "assistant") == 0)
            status = strip_markers(memory, message, error);
    }
    if (status)
        sat_history_free(out);
    return status;
}

void sat_history_free(sat_history *history) {
    json_decref(history->array);
    *history = (sat_history){0};
}

const char *sat_history_text(const sat_history *history, size_t index, size_t *length) {
    json_t *content = json_object_get(json_array_get(history->array, index), "content");
    *length = json_string_length(content);
    return json_string_value(content);
}

bool sat_history_is_user(const sat_history *history, size_t index) {
    json_t *message = json_array_get(history->array, index);
    return strcmp(json_string_value(json_object_get(message, "role")), "user") == 0;
}

/* ------------------------------------------------------------------ documents' text */

/* How many of the fence's sign the character is to a tokenizer that folds compatible forms:
 * full-width and small variants, ligatures of several. -1: it is something else. 0: nobody sees
 * it. */
static int fence_signs(int32_t code, const char *bytes, size_t size, char sign,
                       sat_buffer *folded) {
    if (code < 0x80)
        return code == sign ? 1 : -1;
    if (sat_is_letter(code) || sat_is_digit(code))
        return -1;
    sat_buffer_clear(folded);
    if (sat_text_casefold(folded, bytes, size))
        return -1; /* out of memory: `folded` says so */
    for (size_t i = 0; i < folded->length; i++)
        if (folded->data[i] != sign)
            return -1;
    return (int)folded->length;
}

/* What is never shown as it is: controls, which no text needs, and the tag characters, which spell
 * ASCII that nobody sees. NULL: the character may stand. */
static const char *picture(int32_t code, char out[4], size_t *size) {
    int32_t shown;
    if (code < 0x20 && code != '\t' && code != '\n' && code != '\r')
        shown = 0x2400 + code;
    else if (code == 0x7F)
        shown = 0x2421;
    else if ((code >= 0x80 && code < 0xA0 && code != 0x85) || (code >= 0xE0000 && code <= 0xE007F))
        shown = 0xFFFD;
    else
        return NULL;
    *size = sat_utf8_encode(shown, out);
    return out;
}

/* Appends a document's text. `line`: on one line, cut to LINE_BYTES. */
static void append_safe(const sat_prompt *prompt, sat_buffer *out, const char *text, size_t length,
                        bool line) {
    sat_buffer folded;
    sat_buffer_init(&folded, out->memory);
    size_t run = 0, begin = out->length;
    bool space = false;
    for (size_t at = 0, size; at < length && !out->failed; at += size) {
        int32_t code;
        char shown[4];
        size_t shown_size;
        size = sat_utf8_decode(text + at, length - at, &code);
        if (line && sat_is_space(code)) {
            space = out->length > begin;
            continue;
        }
        if (line && out->length - begin > LINE_BYTES) {
            sat_buffer_append_text(out, "…");
            break;
        }
        if (space) {
            sat_buffer_append(out, " ", 1);
            run = 0;
        }
        space = false;
        int signs = fence_signs(code, text + at, size, prompt->fence[0], &folded);
        out->failed |= folded.failed;
        if (signs < 0) {
            run = 0;
        } else if ((size_t)signs >= prompt->fence_length) {
            sat_buffer_append_text(out, "\xEF\xBF\xBD"); /* a whole fence in one character */
            run = 0;
            continue;
        } else if ((run += (size_t)signs) >= prompt->fence_length) {
            sat_buffer_append(out, "\\", 1);
            run = (size_t)signs;
        }
        if (picture(code, shown, &shown_size))
            sat_buffer_append(out, shown, shown_size);
        else
            sat_buffer_append(out, text + at, size);
    }
    sat_buffer_free(&folded);
}

/* ------------------------------------------------------------------ contents */

/* The content of one message on its way: a string, or a list of parts. */
typedef struct content {
    const sat_prompt *prompt;
    const sat_prompt_input *input;
    sat_buffer *out; /* JSON; NULL: `text` is all that is wanted */
    sat_buffer text; /* of the part at hand */
    bool parts, any;
} content;

/* A document's part is there even when it is empty, so that what is around it stays two parts. */
static void end_part(content *c, bool apart) {
    if (!c->out || !c->parts || (c->text.length == 0 && !apart))
        return;
    sat_buffer_append_text(c->out, c->any ? "," : "[");
    sat_buffer_append_text(c->out, "{\"type\":\"text\",\"text\":");
    sat_json_append_string(c->out, c->text.data ? c->text.data : "", c->text.length);
    sat_buffer_append_text(c->out, apart ? ",\"apart\":true}" : "}");
    c->out->failed |= c->text.failed;
    sat_buffer_clear(&c->text);
    c->any = true;
}

static void end_content(content *c) {
    end_part(c, false);
    if (c->parts)
        sat_buffer_append_text(c->out, c->any ? "]" : "\"\"");
    else
        sat_json_append_string(c->out, c->text.data ? c->text.data : "", c->text.length);
    c->out->failed |= c->text.failed;
    sat_buffer_clear(&c->text);
    c->any = false;
}

static void put_safe(content *c, const char *text, size_t length, bool line) {
    end_part(c, false);
    append_safe(c->prompt, &c->text, text, length, line);
    end_part(c, true);
}

/* Title and heading in one part: whichever is missing changes nothing around them. */
static void put_source(content *c, const satchel_hit *hit) {
    end_part(c, false);
    append_safe(c->prompt, &c->text, hit->title, strlen(hit->title), true);
    if (*hit->heading) {
        sat_buffer_append_text(&c->text, " > ");
        append_safe(c->prompt, &c->text, hit->heading, strlen(hit->heading), true);
    }
    end_part(c, true);
}

static void fill_passage(content *c, size_t index) {
    const sat_prompt *prompt = c->prompt;
    const sat_shown *shown = &c->input->passages[index];
    const satchel_hit *hit = &c->input->results->hits[shown->hit].hit;
    for (size_t i = 0; i < prompt->passage.count; i++) {
        const sat_template_part *part = &prompt->passage.items[i];
        switch (part->kind) {
        case SAT_FILL_NUMBER:
            sat_buffer_append_format(&c->text, "%zu", index + 1);
            break;
        case SAT_FILL_FENCE:
            sat_buffer_append(&c->text, prompt->fence, prompt->fence_length);
            break;
        case SAT_FILL_TITLE:
            put_safe(c, hit->title, strlen(hit->title), true);
            break;
        case SAT_FILL_HEADING:
            put_safe(c, hit->heading, strlen(hit->heading), true);
            break;
        case SAT_FILL_SOURCE:
            put_source(c, hit);
            break;
        case SAT_FILL_DOCUMENT:
            put_safe(c, hit->document_id, strlen(hit->document_id), true);
            break;
        case SAT_FILL_PAGE:
            if (hit->page > 0)
                sat_buffer_append_format(&c->text, "%d", (int)hit->page);
            break;
        case SAT_FILL_TEXT:
            put_safe(c, hit->text, shown->length, false);
            break;
        default:
            sat_buffer_append(&c->text, part->text, part->length);
            break;
        }
    }
}

static void fill_message(content *c, const sat_template *template) {
    const sat_prompt *prompt = c->prompt;
    for (size_t i = 0; i < template->count; i++) {
        const sat_template_part *part = &template->items[i];
        switch (part->kind) {
        case SAT_FILL_QUESTION:
            sat_buffer_append_text(&c->text, c->input->question);
            break;
        case SAT_FILL_PASSAGES:
            for (size_t p = 0; p < c->input->count; p++) {
                if (p > 0)
                    sat_buffer_append(&c->text, prompt->separator, prompt->separator_length);
                fill_passage(c, p);
            }
            break;
        case SAT_FILL_REFUSAL:
            sat_buffer_append(&c->text, prompt->refusal, prompt->refusal_length);
            break;
        case SAT_FILL_FENCE:
            sat_buffer_append(&c->text, prompt->fence, prompt->fence_length);
            break;
        default:
            sat_buffer_append(&c->text, part->text, part->length);
            break;
        }
    }
    end_content(c);
}

satchel_status sat_prompt_messages(const sat_prompt *prompt, sat_buffer *out,
                                   const sat_prompt_input *input, bool parts,
                                   satchel_error *error) {
    content c = {.prompt = prompt, .input = input, .out = out, .parts = parts};
    sat_buffer_init(&c.text, prompt->memory);
    sat_buffer_append(out, "[", 1);
    if (prompt->system.count > 0) {
        sat_buffer_append_text(out, "{\"role\":\"system\",\"content\":");
        fill_message(&c, &prompt->system);
        sat_buffer_append_text(out, "},");
    }
    for (size_t i = input->first; input->history && i < input->history->count; i++) {
        size_t length;
        const char *text = sat_history_text(input->history, i, &length);
        sat_buffer_append_format(out, "{\"role\":\"%s\",\"content\":",
                                 sat_history_is_user(input->history, i) ? "user" : "assistant");
        sat_json_append_string(out, text, length);
        sat_buffer_append_text(out, "},");
    }
    sat_buffer_append_text(out, "{\"role\":\"user\",\"content\":");
    fill_message(&c, &prompt->user);
    sat_buffer_append_text(out, "}]");
    sat_buffer_free(&c.text);
    return out->failed ? sat_memory_fail(prompt->memory, out->length, error) : SATCHEL_OK;
}

satchel_status sat_prompt_passage(const sat_prompt *prompt, sat_buffer *out,
                                  const sat_prompt_input *input, size_t passage,
                                  satchel_error *error) {
    content c = {.prompt = prompt, .input = input};
    sat_buffer_init(&c.text, prompt->memory);
    if (passage > 0)
        sat_buffer_append(&c.text, prompt->separator, prompt->separator_length);
    fill_passage(&c, passage);
    sat_buffer_append(out, c.text.data, c.text.length);
    out->failed |= c.text.failed;
    sat_buffer_free(&c.text);
    return out->failed ? sat_memory_fail(prompt->memory, out->length, error) : SATCHEL_OK;
}
