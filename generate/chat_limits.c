/*
 * How a chat template fails, be it compiled or run, with its place in the source; and what it may take
 * of memory and steps.
 */
#include <string.h>

#include "generate/chat_parts.h"

void sat_chat_locate(const sat_chat_template *chat, size_t at, size_t *line, size_t *column) {
    *line = *column = 1;
    for (size_t i = 0; i < at && i < chat->length; i++) {
        if (chat->source[i] == '\n') {
            ++*line;
            *column = 1;
        } else {
            *column += ((uint8_t)chat->source[i] & 0xC0) != 0x80;
        }
    }
}

bool sat_chat_fail(chat_run *run, satchel_status status, const char *format, ...) {
    if (run->status)
        return false;
    size_t line, column;
    char what[480];
    va_list arguments;
    va_start(arguments, format);
    sat_format_v(what, sizeof what, format, arguments);
    va_end(arguments);
    sat_chat_locate(run->chat, run->at, &line, &column);
    run->status = sat_fail(run->error, status, "chat template, line %zu, column %zu: %s%s", line,
                           column, what, status == SATCHEL_UNSUPPORTED ? " is not supported" : "");
    return false;
}

bool sat_chat_work(chat_run *run, size_t steps) {
    if (steps > run->steps_left) {
        run->steps_left = 0;
        return sat_chat_fail(run, SATCHEL_LIMIT, "the template takes too many steps");
    }
    run->steps_left -= steps;
    return true;
}

void *sat_chat_alloc(chat_run *run, size_t count, size_t size) {
    size_t bytes;
    if (!sat_mul_size(count, size, &bytes) || bytes > run->bytes_left) {
        sat_chat_fail(run, SATCHEL_LIMIT,
                      "the template makes more text and lists than its input "
                      "accounts for");
        return NULL;
    }
    run->bytes_left -= bytes;
    if (!sat_chat_work(run, bytes / 64))
        return NULL;
    void *block = sat_arena_alloc(&run->arena, bytes);
    if (!block) {
        if (!run->status)
            run->status = sat_memory_fail(run->memory, bytes, run->error);
        return NULL;
    }
    return memset(block, 0, bytes);
}

bool sat_chat_no_memory(chat_run *run, size_t size) {
    run->status = sat_memory_fail(run->memory, size, run->error);
    return false;
}
