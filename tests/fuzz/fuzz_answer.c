/*
 * What a model may answer, and prompts as data. Input: a byte that says how the text is cut, then,
 * parted by NUL: a prompt's JSON, two passages, the answer. Citations lie within the answer and the
 * passages, and do not depend on the cutting; passages never close their fence.
 */
#include <string.h>

#include "base/base.h"
#include "retrieval/cite.h"
#include "retrieval/prompt.h"
#include "tests/fuzz/fuzz.h"

enum { PASSAGES = 2, MOST = 256 };

typedef struct found {
    size_t count;
    sat_citation all[MOST];
} found;

static size_t collect(sat_cite *cite, found *out) {
    sat_citation next;
    while (sat_cite_next(cite, &next))
        if (out->count < MOST)
            out->all[out->count++] = next;
    return out->count;
}

static void cite(sat_memory *memory, const satchel_text *passages, const char *text, size_t length,
                 size_t step, found *out) {
    sat_cite *it = NULL;
    satchel_error error;
    *out = (found){0};
    if (sat_cite_open(&it, memory, passages, PASSAGES, &error))
        return;
    for (size_t at = 0, end; at < length; at = end) {
        end = at + step < length ? at + step : length;
        while (end < length && ((uint8_t)text[end] & 0xC0) == 0x80)
            end++;
        if (sat_cite_add(it, text + at, end - at, &error))
            break;
        collect(it, out);
    }
    (void)sat_cite_end(it, &error);
    collect(it, out);
    for (size_t i = 0; i < out->count; i++) {
        const sat_citation *c = &out->all[i];
        FUZZ_CHECK(c->passage < PASSAGES);
        FUZZ_CHECK(0 <= c->answer.start && c->answer.start <= c->answer.end &&
                   c->answer.end <= (int64_t)length);
        FUZZ_CHECK(c->source_start <= c->source_end &&
                   c->source_end <= passages[c->passage].length);
        FUZZ_CHECK(c->answer.start_utf16 ==
                   (int64_t)sat_utf16_length(text, (size_t)c->answer.start));
    }
    sat_cite_close(&it);
}

/* Cuts the next NUL-ended part off; not valid UTF-8: nothing. */
static satchel_text part_of(const char **data, size_t *size) {
    size_t length = strnlen(*data, *size);
    satchel_text part = {*data, length};
    size_t gone = length < *size ? length + 1 : length;
    *data += gone;
    *size -= gone;
    if (sat_utf8_valid(part.data, part.length) != part.length)
        part.length = 0;
    return part;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    if (size < 2)
        return 0;
    satchel_context *context = NULL;
    satchel_error error;
    const satchel_context_options options = {
        .struct_size = sizeof options, .threads = 1, .memory_limit = 64 << 20};
    if (sat_context_open(&context, &options, &error))
        return 0;
    const char *data = (const char *)bytes + 1;
    size_t left = size - 1;
    satchel_text json = part_of(&data, &left), passages[PASSAGES];
    for (size_t i = 0; i < PASSAGES; i++)
        passages[i] = part_of(&data, &left);
    satchel_text answer = part_of(&data, &left);

    char *source = sat_alloc(&context->memory, json.length + 1);
    sat_prompt *prompt = NULL;
    if (source) {
        memcpy(source, json.data, json.length);
        source[json.length] = '\0';
        satchel_status status = sat_prompt_open(&prompt, &context->memory, source, &error);
        FUZZ_CHECK((status == SATCHEL_OK) == (prompt != NULL));
        sat_prompt_close(&prompt);
    }
    sat_free(&context->memory, source);

    static found whole, cut;
    cite(&context->memory, passages, answer.data, answer.length, answer.length + 1, &whole);
    cite(&context->memory, passages, answer.data, answer.length, 1 + bytes[0] % 7, &cut);
    FUZZ_CHECK(whole.count == cut.count);
    for (size_t i = 0; i < whole.count; i++)
        FUZZ_CHECK(whole.all[i].answer.start == cut.all[i].answer.start &&
                   whole.all[i].answer.end == cut.all[i].answer.end &&
                   whole.all[i].passage == cut.all[i].passage);
    sat_context_release(context);
    return 0;
}
