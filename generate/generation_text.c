/*
 * Tokens, or bytes in pieces of any kind, to the text of an answer. Text goes out in whole
 * characters, and only when it can no longer be part of a stop string. Of several stop strings the
 * one that is complete first ends the answer, of those that are complete at the same place the
 * longest: so it does not matter how the text came in tokens.
 */
#include <string.h>

#include "generate/generator_parts.h"

static satchel_status add_stop(sat_answer_text *text, sat_memory *memory, const char *stop,
                               satchel_error *error) {
    size_t at = text->stop_count, length = stop ? strlen(stop) : 0;
    if (length == 0) {
        return sat_fail(error, SATCHEL_INVALID_ARGUMENT, "stop[%zu] is %s", at,
                        stop ? "empty: it would end every answer at once" : "NULL");
    }
    if (length > SAT_GENERATOR_STOP_BYTES) {
        return sat_fail(error, SATCHEL_LIMIT, "stop[%zu] has %zu bytes, %d are allowed", at, length,
                        SAT_GENERATOR_STOP_BYTES);
    }
    if (sat_utf8_valid(stop, length) < length)
        return sat_fail(error, SATCHEL_INVALID_TEXT, "stop[%zu] is not UTF-8", at);
    text->stops[at] = sat_strndup(memory, stop, length);
    if (!text->stops[at])
        return sat_memory_fail(memory, length, error);
    text->stop_lengths[at] = length;
    text->stop_count++;
    if (length > text->longest_stop)
        text->longest_stop = length;
    return SATCHEL_OK;
}

satchel_status sat_answer_text_open(sat_answer_text *text, sat_memory *memory,
                                    const sat_tokenizer *tokenizer, const char *const *stops,
                                    size_t count, bool behind_text, satchel_error *error) {
    *text = (sat_answer_text){.tokenizer = tokenizer};
    text->state.started = behind_text;
    sat_buffer_init(&text->pending, memory);
    if (count > SAT_GENERATOR_STOPS) {
        return sat_fail(error, SATCHEL_LIMIT, "%zu stop strings, %d are allowed", count,
                        SAT_GENERATOR_STOPS);
    }
    if (count && !stops)
        return sat_fail(error, SATCHEL_INVALID_ARGUMENT, "stop is NULL, stop_count is %zu", count);
    text->stops = sat_calloc(memory, count, sizeof *text->stops);
    text->stop_lengths = sat_calloc(memory, count, sizeof *text->stop_lengths);
    if (!text->stops || !text->stop_lengths)
        return sat_memory_fail(memory, count * sizeof *text->stops, error);
    satchel_status status = SATCHEL_OK;
    for (size_t i = 0; !status && i < count; i++)
        status = add_stop(text, memory, stops[i], error);
    return status;
}

void sat_answer_text_close(sat_answer_text *text) {
    sat_memory *memory = text->pending.memory;
    if (!memory)
        return;
    for (size_t i = 0; i < text->stop_count; i++)
        sat_free(memory, text->stops[i]);
    sat_free(memory, text->stops);
    sat_free(memory, text->stop_lengths);
    sat_buffer_free(&text->pending);
    *text = (sat_answer_text){0};
}

/* The first stop string that is complete in text that was not looked at before; where it begins, or
 * SIZE_MAX. */
static size_t find_stop(const sat_answer_text *text, size_t seen) {
    const sat_buffer *all = &text->pending;
    for (size_t end = seen + 1; end <= all->length; end++) {
        size_t longest = 0;
        for (size_t i = 0; i < text->stop_count; i++) {
            size_t length = text->stop_lengths[i];
            if (length <= end && length > longest &&
                memcmp(all->data + end - length, text->stops[i], length) == 0)
                longest = length;
        }
        if (longest)
            return end - longest;
    }
    return SIZE_MAX;
}

/* Where the longest end of the text begins that some stop string begins with. */
static size_t held_from(const sat_answer_text *text) {
    const sat_buffer *all = &text->pending;
    size_t most = text->longest_stop ? text->longest_stop - 1 : 0;
    for (size_t held = most < all->length ? most : all->length; held > 0; held--)
        for (size_t i = 0; i < text->stop_count; i++)
            if (text->stop_lengths[i] > held &&
                memcmp(all->data + all->length - held, text->stops[i], held) == 0)
                return all->length - held;
    return all->length;
}

/* Looks at what came behind `seen`. */
static void settle(sat_answer_text *text, size_t seen) {
    size_t stop = find_stop(text, seen);
    if (stop != SIZE_MAX) {
        text->stopped = true;
        text->pending.length = stop;
        text->ready = stop;
    } else {
        text->ready = held_from(text);
    }
}

/* Drops what was given out. */
static void forget(sat_answer_text *text) {
    sat_buffer *all = &text->pending;
    if (text->given == 0)
        return;
    memmove(all->data, all->data + text->given, all->length - text->given);
    all->length -= text->given;
    text->ready -= text->given;
    text->given = 0;
}

bool sat_answer_text_add(sat_answer_text *text, int32_t token) {
    forget(text);
    size_t seen = text->pending.length;
    if (!sat_detokenize(text->tokenizer, &text->state, token, false, &text->pending))
        return false;
    settle(text, seen);
    return true;
}

bool sat_answer_text_add_bytes(sat_answer_text *text, const char *bytes, size_t length) {
    forget(text);
    size_t seen = text->pending.length;
    if (!sat_detokenize_bytes(&text->state, bytes, length, &text->pending))
        return false;
    settle(text, seen);
    return true;
}

bool sat_answer_text_end(sat_answer_text *text) {
    forget(text);
    size_t seen = text->pending.length;
    if (text->stopped)
        return true;
    if (!sat_detokenize_end(&text->state, &text->pending))
        return false;
    settle(text, seen);
    text->ready = text->pending.length;
    return true;
}

const char *sat_answer_text_take(sat_answer_text *text, size_t *length) {
    size_t from = text->given;
    *length = text->ready - from;
    if (*length == 0)
        return NULL;
    text->given = text->ready;
    return text->pending.data + from;
}
