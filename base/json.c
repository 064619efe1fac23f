/* JSON checked for UTF-8, then read; strings written. */
#include <string.h>

#include "base/json_parse.h"
#include "base/text.h"

/* Line and column of byte `at`, from 1, columns in characters. */
static void locate(const char *text, size_t at, size_t *line, size_t *column) {
    *line = *column = 1;
    for (size_t i = 0; i < at; i++) {
        if (text[i] == '\n') {
            ++*line;
            *column = 1;
        } else {
            *column += ((uint8_t)text[i] & 0xC0) != 0x80;
        }
    }
}

satchel_status sat_json_parse(json_t **out, const char *text, size_t length, satchel_status code,
                              const char *what, satchel_error *error) {
    *out = NULL;
    size_t line, column;
    size_t bad = sat_utf8_valid(text, length);
    if (bad < length) {
        locate(text, bad, &line, &column);
        return sat_fail(error, code, "%s, line %zu, column %zu: not valid UTF-8", what, line,
                        column);
    }
    sat_json_problem problem;
    *out = sat_json_read(text, length, &problem);
    if (*out)
        return SATCHEL_OK;
    if (problem.out_of_memory)
        return sat_fail_memory(error, length);
    locate(text, problem.at, &line, &column);
    return sat_fail(error, code, "%s, line %zu, column %zu: %s", what, line, column, problem.what);
}

bool sat_json_append_string(sat_buffer *buffer, const char *text, size_t length) {
    sat_buffer_append(buffer, "\"", 1);
    for (size_t at = 0, plain; at < length && !buffer->failed; at = plain) {
        for (plain = at; plain < length; plain++) {
            uint8_t byte = (uint8_t)text[plain];
            if (byte < 0x20 || byte >= 0x7F || byte == '"' || byte == '\\')
                break;
        }
        if (plain > at) {
            sat_buffer_append(buffer, text + at, plain - at);
            continue;
        }
        int32_t character;
        plain = at + sat_utf8_decode(text + at, length - at, &character);
        static const char named[] = "\"\"\\\\\bb\ff\nn\rr\tt";
        const char *escape = NULL;
        for (size_t i = 0; character < 0x80 && i + 1 < sizeof named; i += 2)
            if (named[i] == (char)character)
                escape = &named[i + 1];
        char utf8[4];
        if (escape)
            sat_buffer_append_format(buffer, "\\%c", *escape);
        else if (character < 0x20)
            sat_buffer_append_format(buffer, "\\u%04x", (unsigned)character);
        else
            sat_buffer_append(buffer, utf8, sat_utf8_encode(character, utf8));
    }
    return sat_buffer_append(buffer, "\"", 1);
}
