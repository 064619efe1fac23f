/*
 * Texts of chat templates: UTF-8 with a mark for each byte, of where it comes from. Whatever is cut
 * from a text or made of it keeps its marks, byte for byte. A text that is all of one mark has no
 * array of them.
 */
#include <string.h>

#include "generate/chat_parts.h"

/* ------------------------------------------------------------------ building */

static bool reserve(chat_run *run, chat_builder *builder, size_t more) {
    if (builder->data && more <= builder->capacity - builder->length)
        return true;
    size_t need;
    if (!sat_add_size(builder->length, more, &need) || need > SIZE_MAX / 4)
        return sat_chat_fail(run, SATCHEL_LIMIT, "a text grows too long");
    size_t capacity = need < 64 ? 64 : need + need / 2;
    char *data = sat_chat_alloc(run, capacity, 1);
    chat_mark *marks = builder->marks ? sat_chat_alloc(run, capacity, 1) : NULL;
    if (!data || (builder->marks && !marks))
        return false;
    if (builder->length) {
        memcpy(data, builder->data, builder->length);
        if (marks)
            memcpy(marks, builder->marks, builder->length);
    }
    builder->data = data;
    builder->marks = marks;
    builder->capacity = capacity;
    return true;
}

bool sat_chat_build(chat_run *run, chat_builder *builder, const char *data, size_t length,
                    const chat_mark *marks, chat_mark mark) {
    if (!length)
        return true;
    if (!reserve(run, builder, length))
        return false;
    if (!builder->length && !builder->marks && !marks)
        builder->mark = mark;
    if (!builder->marks && (marks || mark != builder->mark)) {
        builder->marks = sat_chat_alloc(run, builder->capacity, 1);
        if (!builder->marks)
            return false;
        memset(builder->marks, builder->mark, builder->length);
    }
    memcpy(builder->data + builder->length, data, length);
    if (marks)
        memcpy(builder->marks + builder->length, marks, length);
    else if (builder->marks)
        memset(builder->marks + builder->length, mark, length);
    builder->length += length;
    return true;
}

bool sat_chat_build_part(chat_run *run, chat_builder *builder, const chat_text *text, size_t from,
                         size_t to) {
    return sat_chat_build(run, builder, text->data + from, to - from,
                          text->marks ? text->marks + from : NULL, text->mark);
}

bool sat_chat_build_text(chat_run *run, chat_builder *builder, const chat_text *text) {
    return sat_chat_build_part(run, builder, text, 0, text->length);
}

/* Characters of valid UTF-8. */
static size_t characters(const char *data, size_t length) {
    size_t count = 0;
    for (size_t i = 0; i < length; i++)
        count += ((uint8_t)data[i] & 0xC0) != 0x80;
    return count;
}

static chat_text *new_text(chat_run *run, const char *data, size_t length, chat_mark mark) {
    chat_text *text = sat_chat_alloc(run, 1, sizeof *text);
    if (text)
        *text = (chat_text){.data = length ? data : "",
                            .length = length,
                            .characters = characters(data, length),
                            .mark = mark};
    return text;
}

const chat_text *sat_chat_built(chat_run *run, const chat_builder *builder) {
    chat_text *text = new_text(run, builder->data, builder->length,
                               builder->length ? builder->mark : CHAT_TRUSTED);
    if (text && builder->length)
        text->marks = builder->marks;
    return text;
}

const chat_text *sat_chat_text(chat_run *run, const char *data, size_t length, chat_mark mark) {
    char *copy = NULL;
    if (length) {
        copy = sat_chat_alloc(run, length, 1);
        if (!copy)
            return NULL;
        memcpy(copy, data, length);
    }
    return new_text(run, copy, length, mark);
}

const chat_text *sat_chat_part(chat_run *run, const chat_text *text, size_t from, size_t to) {
    if (from == 0 && to == text->length)
        return text;
    chat_text *part = new_text(run, text->data + from, to - from, text->mark);
    if (part) {
        part->marks = text->marks ? text->marks + from : NULL;
        part->safe = text->safe;
    }
    return part;
}

/* Appends `b` behind `a` where `a` lies, if there is room and nothing stands there yet: a template
 * that gathers its text in a loop (x = x + y) would copy all of it each time. */
static const chat_text *append_in_place(chat_run *run, const chat_text *a, const chat_text *b) {
    chat_tail *tail = a->tail;
    bool mixed = a->marks || b->marks || a->mark != b->mark;
    if (mixed && !tail->marks) {
        tail->marks = sat_chat_alloc(run, tail->capacity, 1);
        if (!tail->marks)
            return NULL;
        memset(tail->marks, a->mark, a->length);
    }
    memcpy(tail->data + tail->used, b->data, b->length);
    if (tail->marks && b->marks)
        memcpy(tail->marks + tail->used, b->marks, b->length);
    else if (tail->marks)
        memset(tail->marks + tail->used, b->mark, b->length);
    tail->used += b->length;
    chat_text *text = sat_chat_alloc(run, 1, sizeof *text);
    if (text)
        *text = (chat_text){.data = tail->data,
                            .marks = tail->marks,
                            .length = tail->used,
                            .characters = a->characters + b->characters,
                            .tail = tail,
                            .mark = a->mark};
    return text;
}

const chat_text *sat_chat_concat(chat_run *run, const chat_text *a, const chat_text *b) {
    if (!a->length || !b->length) {
        const chat_text *one = a->length ? a : b;
        if (!one->safe)
            return one;
        chat_text *plain = new_text(run, one->data, one->length, one->mark);
        if (plain)
            plain->marks = one->marks;
        return plain;
    }
    size_t total;
    if (!sat_add_size(a->length, b->length, &total) || total > SIZE_MAX / 4) {
        sat_chat_fail(run, SATCHEL_LIMIT, "a text grows too long");
        return NULL;
    }
    if (!sat_chat_work(run, b->length / 64))
        return NULL;
    if (a->tail && a->length == a->tail->used && b->length <= a->tail->capacity - a->tail->used)
        return append_in_place(run, a, b);
    chat_tail *tail = sat_chat_alloc(run, 1, sizeof *tail);
    if (!tail)
        return NULL;
    tail->capacity = a->tail ? 2 * total : total;
    tail->data = sat_chat_alloc(run, tail->capacity, 1);
    if (!tail->data)
        return NULL;
    memcpy(tail->data, a->data, a->length);
    if (a->marks) {
        tail->marks = sat_chat_alloc(run, tail->capacity, 1);
        if (!tail->marks)
            return NULL;
        memcpy(tail->marks, a->marks, a->length);
    }
    tail->used = a->length;
    chat_text left = *a;
    left.tail = tail;
    return append_in_place(run, &left, b);
}

/* ------------------------------------------------------------------ looking */

size_t sat_chat_offset(const chat_text *text, size_t index) {
    if (text->characters == text->length || index == 0)
        return index;
    size_t at = 0;
    for (; at < text->length; at++)
        if (((uint8_t)text->data[at] & 0xC0) != 0x80 && index-- == 0)
            break;
    return at;
}

bool sat_chat_same(const chat_text *a, const chat_text *b) {
    return a->length == b->length && (a == b || memcmp(a->data, b->data, a->length) == 0);
}

bool sat_chat_is(const chat_text *text, const char *literal) {
    size_t length = strlen(literal);
    return text->length == length && memcmp(text->data, literal, length) == 0;
}

/* Bytes of UTF-8 are in the order of code points. */
int sat_chat_order(const chat_text *a, const chat_text *b) {
    size_t least = a->length < b->length ? a->length : b->length;
    int order = memcmp(a->data, b->data, least);
    return order ? order : (a->length > b->length) - (a->length < b->length);
}

size_t sat_chat_find(const chat_text *text, const chat_text *part, size_t from) {
    if (part->length > text->length - from)
        return SIZE_MAX;
    if (!part->length)
        return from;
    const char *found = memmem(text->data + from, text->length - from, part->data, part->length);
    return found ? (size_t)(found - text->data) : SIZE_MAX;
}

chat_mark sat_chat_mark_of(const chat_text *text, size_t from, size_t to) {
    if (!text->marks)
        return from == to ? CHAT_TRUSTED : text->mark;
    for (; from < to; from++)
        if (text->marks[from] != CHAT_TRUSTED)
            return text->marks[from];
    return CHAT_TRUSTED;
}

bool sat_chat_all_trusted(const chat_text *text, size_t from, size_t to) {
    return sat_chat_mark_of(text, from, to) == CHAT_TRUSTED;
}

bool sat_chat_space(int32_t code) {
    return (code >= 9 && code <= 13) || (code >= 28 && code <= 32) || code == 0x85 ||
           code == 0xA0 || code == 0x1680 || (code >= 0x2000 && code <= 0x200A) || code == 0x2028 ||
           code == 0x2029 || code == 0x202F || code == 0x205F || code == 0x3000;
}

size_t sat_chat_before(const char *data, size_t at, int32_t *code) {
    size_t start = at - 1;
    while (start > 0 && ((uint8_t)data[start] & 0xC0) == 0x80)
        start--;
    sat_utf8_decode(data + start, at - start, code);
    return start;
}

static bool in_set(const chat_text *set, const char *data, size_t size, int32_t code) {
    if (!set)
        return sat_chat_space(code);
    return memmem(set->data, set->length, data, size) != NULL; /* characters stand apart in UTF-8 */
}

const chat_text *sat_chat_strip(chat_run *run, const chat_text *text, const chat_text *set,
                                int sides) {
    size_t from = 0, to = text->length;
    int32_t code;
    while (sides & 1 && from < to) {
        size_t size = sat_utf8_decode(text->data + from, to - from, &code);
        if (!in_set(set, text->data + from, size, code))
            break;
        from += size;
    }
    while (sides & 2 && from < to) {
        size_t start = sat_chat_before(text->data, to, &code);
        if (!in_set(set, text->data + start, to - start, code))
            break;
        to = start;
    }
    if (!sat_chat_work(run, (text->length - (to - from)) * (set ? set->length / 16 + 1 : 1) / 16))
        return NULL;
    return sat_chat_part(run, text, from, to);
}

size_t sat_chat_line(const chat_text *text, size_t from, size_t *next) {
    size_t at = from;
    while (at < text->length) {
        int32_t code;
        size_t size = sat_utf8_decode(text->data + at, text->length - at, &code);
        if ((code >= 10 && code <= 13) || (code >= 28 && code <= 30) || code == 0x85 ||
            code == 0x2028 || code == 0x2029) {
            *next = at + size;
            if (code == '\r' && *next < text->length && text->data[*next] == '\n')
                ++*next;
            return at;
        }
        at += size;
    }
    *next = at;
    return at;
}
