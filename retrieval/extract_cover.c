/*
 * The units of a question. Pairs of characters overlap, so counting pairs would count most characters
 * twice and punish a text twice for one that it lacks: in scripts without spaces the unit is the
 * character, found where one of its pairs is.
 */
#include <string.h>

#include "retrieval/extract.h"

/* A term of the question where it stands. */
typedef struct place {
    int term;
    size_t start, end;
} place;

typedef struct unit_maker {
    const sat_question *question;
    sat_memory *memory;
    sat_cover *out;
    place *places;
    size_t count, capacity;
    sat_buffer scratch;
} unit_maker;

static int add_place(void *user, const char *term, size_t length, size_t start, size_t end) {
    unit_maker *maker = user;
    int index = sat_query_terms_find(maker->question->terms, term, length);
    if (index < 0)
        return 0;
    if (!sat_grow(maker->memory, (void **)&maker->places, &maker->capacity, maker->count + 1,
                  sizeof *maker->places))
        return SATCHEL_OUT_OF_MEMORY;
    maker->places[maker->count++] = (place){index, start, end};
    return 0;
}

static bool add_unit(unit_maker *maker, int first, int second, float factor) {
    sat_cover *units = maker->out;
    if (!sat_grow(maker->memory, (void **)&units->items, &units->capacity, units->count + 1,
                  sizeof *units->items))
        return false;
    const float *idf = maker->question->idf;
    float weight = second < 0 ? idf[first] : (idf[first] + idf[second]) / 2;
    units->items[units->count++] = (sat_cover_unit){{first, second}, factor * weight};
    return true;
}

static bool has_word(const sat_cover *units, int term) {
    for (size_t i = 0; i < units->count; i++)
        if (units->items[i].terms[0] == term && units->items[i].terms[1] < 0)
            return true;
    return false;
}

static bool asks(unit_maker *maker, size_t start, size_t end) {
    return sat_asks(maker->question->text, maker->question->length, start, end, &maker->scratch);
}

static size_t character_size(const unit_maker *maker, size_t at) {
    int32_t code;
    return sat_utf8_decode(maker->question->text + at, maker->question->length - at, &code);
}

/* The characters of a run of pairs places[first..last): pair i holds the characters i and i + 1. */
static bool add_characters(unit_maker *maker, size_t first, size_t last) {
    const place *places = maker->places;
    for (size_t i = first; i <= last; i++) {
        const place *before = i > first ? &places[i - 1] : NULL;
        const place *after = i < last ? &places[i] : NULL;
        size_t at = after ? after->start : before->start + character_size(maker, before->start);
        size_t end = after ? at + character_size(maker, at) : before->end;
        float factor = 1;
        if (asks(maker, at, end)) {
            factor = SAT_ASKING_WEIGHT;
        } else if (before && after) { /* a pair with a character that asks says nothing */
            if (asks(maker, before->start, before->end))
                before = NULL;
            else if (asks(maker, after->start, after->end))
                after = NULL;
        }
        const place *one = before ? before : after;
        if (!add_unit(maker, one->term, before && after ? after->term : -1, factor))
            return false;
    }
    return true;
}

static bool add_units(unit_maker *maker) {
    const place *places = maker->places;
    size_t i = 0;
    while (i < maker->count) {
        int32_t code;
        const char *text = maker->question->text + places[i].start;
        size_t size = sat_utf8_decode(text, places[i].end - places[i].start, &code);
        bool pair = sat_term_in_pairs(code) && places[i].start + size < places[i].end;
        if (!pair) {
            if (!has_word(maker->out, places[i].term) &&
                !add_unit(maker, places[i].term, -1,
                          maker->question->terms->items[places[i].term].weight))
                return false;
            i++;
            continue;
        }
        size_t last = i + 1; /* pairs of one run overlap by a character */
        while (last < maker->count && places[last].start > places[last - 1].start &&
               places[last].start < places[last - 1].end)
            last++;
        if (!add_characters(maker, i, last))
            return false;
        i = last;
    }
    return true;
}

satchel_status sat_cover_make(sat_cover *out, sat_memory *memory, sat_terms *terms,
                              const sat_question *question, satchel_error *error) {
    *out = (sat_cover){0};
    unit_maker maker = {.question = question, .memory = memory, .out = out};
    sat_buffer_init(&maker.scratch, memory);
    bool made = sat_terms_each(terms, question->text, question->length, add_place, &maker) == 0 &&
                add_units(&maker) && !maker.scratch.failed;
    sat_free(memory, maker.places);
    sat_buffer_free(&maker.scratch);
    if (!made) {
        sat_cover_free(out, memory);
        return sat_memory_fail(memory, question->length * sizeof(sat_cover_unit), error);
    }
    float sum = 0;
    for (size_t i = 0; i < out->count; i++)
        sum += out->items[i].weight;
    for (size_t i = 0; i < out->count && sum > 0; i++)
        out->items[i].weight /= sum;
    return SATCHEL_OK;
}

void sat_cover_free(sat_cover *units, sat_memory *memory) {
    sat_free(memory, units->items);
    *units = (sat_cover){0};
}
