/* Where a query's terms stand in a text, and the part of the text to show for them. */
#include <string.h>

#include "retrieval/terms.h"

/* ------------------------------------------------------------------ matches */

typedef struct match_finder {
    sat_matches *out;
    sat_memory *memory;
    const sat_query_terms *query;
    const char *text;
} match_finder;

/* The query's term that a term of the text is, or is near to by its prefix class; -1: none. */
static int query_term(const sat_query_terms *query, const char *term, size_t length) {
    int index = sat_query_terms_find(query, term, length);
    if (index >= 0)
        return index;
    int prefix = sat_query_terms_find_prefix(query, term, length);
    if (prefix < 0)
        return -1;
    for (size_t i = 0; i < query->count; i++)
        if (query->items[i].prefix == prefix)
            return (int)i;
    return -1;
}

static int add_range(match_finder *finder, int term, size_t start, size_t end) {
    sat_matches *out = finder->out;
    if (term < 0)
        return 0;
    if (out->count > 0 && start <= out->items[out->count - 1].end) {
        sat_match *last = &out->items[out->count - 1];
        if (end > last->end)
            last->end = end;
        return 0;
    }
    if (!sat_grow(finder->memory, (void **)&out->items, &out->capacity, out->count + 1,
                  sizeof *out->items))
        return SATCHEL_OUT_OF_MEMORY;
    out->items[out->count++] = (sat_match){start, end, term};
    return 0;
}

static int add_match(void *user, const char *term, size_t length, size_t start, size_t end) {
    match_finder *finder = user;
    int index = query_term(finder->query, term, length);
    if (index >= 0)
        return add_range(finder, index, start, end);
    int lone[2], result;
    sat_query_terms_find_lone(finder->query, term, length, lone);
    if (lone[0] < 0 && lone[1] < 0)
        return 0;
    /* The two characters' own places: none of these decompose. */
    int32_t code;
    size_t border = start + sat_utf8_decode(finder->text + start, end - start, &code);
    result = add_range(finder, lone[0], start, border < end ? border : end);
    return result ? result : add_range(finder, lone[1], border < end ? border : start, end);
}

satchel_status sat_matches_find(sat_matches *out, sat_memory *memory, sat_terms *terms,
                                const sat_query_terms *query, const char *text, size_t length,
                                satchel_error *error) {
    out->count = 0;
    match_finder finder = {out, memory, query, text};
    if (query->count > 0 && sat_terms_each(terms, text, length, add_match, &finder))
        return sat_memory_fail(memory, (out->count + 1) * sizeof *out->items, error);
    return SATCHEL_OK;
}

/* ------------------------------------------------------------------ snippet */

/* How much a match says: short words are mostly those that every text has. */
static size_t match_weight(const sat_match *match) {
    size_t length = match->end - match->start;
    return length < 8 ? length : 8;
}

static size_t window_weight(const sat_matches *matches, size_t first, size_t end) {
    /* Distinct terms count in full, repetitions a little. */
    size_t weight = 0;
    for (size_t i = first; i < end; i++) {
        bool again = false;
        for (size_t j = first; j < i && !again; j++)
            again = matches->items[j].term == matches->items[i].term;
        weight += again ? 1 : 4 * match_weight(&matches->items[i]);
    }
    return weight;
}

/* The heaviest run of matches that fits the target. A window holds few matches: it is some hundred
 * bytes long. */
static void best_window(const sat_matches *matches, size_t target, size_t *start, size_t *end) {
    size_t best = 0, last = 0;
    for (size_t first = 0; first < matches->count; first++) {
        if (last <= first)
            last = first + 1;
        while (last < matches->count &&
               matches->items[last].end - matches->items[first].start <= target)
            last++;
        size_t weight = window_weight(matches, first, last);
        if (weight > best) {
            best = weight;
            *start = matches->items[first].start;
            *end = matches->items[last - 1].end;
        }
    }
}

typedef struct sentence_finder {
    size_t at, limit;
    size_t start; /* of the sentence that holds `at`, or `at` */
    size_t end;   /* of the last sentence that ends from `at` on and within `limit`; 0: none does */
} sentence_finder;

static int look_at_sentence(void *user, size_t start, size_t end) {
    sentence_finder *finder = user;
    if (start <= finder->at && end > finder->at)
        finder->start = start;
    if (end >= finder->at && end <= finder->limit)
        finder->end = end;
    return end >= finder->limit;
}

/* Moves a bound that lies inside a word to where the word begins (forward: false) or ends, at
 * most 32 bytes away and not past `limit`; in a script without spaces every border of a
 * character will do. */
static size_t word_border(const char *text, size_t length, size_t at, size_t limit, bool back) {
    while (at < length && ((uint8_t)text[at] & 0xC0) == 0x80)
        at = back ? at - 1 : at + 1;
    size_t from = at;
    while (at != limit && (back ? from - at : at - from) < 32) {
        size_t before = at > 0 ? sat_utf8_border(text, length, at - 1) : 0;
        int32_t left = ' ', right = ' ';
        if (before < at)
            sat_utf8_decode(text + before, at - before, &left);
        size_t size = at < length ? sat_utf8_decode(text + at, length - at, &right) : 0;
        if (sat_is_space(left) || sat_is_space(right) ||
            (sat_is_unspaced(left) && !sat_is_mark(right)))
            return at;
        at = back ? before : at + size;
    }
    return at == limit ? at : from;
}

static void trim(const char *text, size_t *start, size_t *end) {
    int32_t code;
    while (*start < *end) {
        size_t size = sat_utf8_decode(text + *start, *end - *start, &code);
        if (!sat_is_space(code))
            break;
        *start += size;
    }
    while (*end > *start) {
        size_t last = sat_utf8_border(text, *end, *end - 1);
        sat_utf8_decode(text + last, *end - last, &code);
        if (!sat_is_space(code))
            break;
        *end = last;
    }
}

void sat_snippet_choose(const char *text, size_t length, const sat_matches *matches, size_t target,
                        size_t *start, size_t *end) {
    *start = *end = 0;
    if (length <= target) {
        *end = length;
        trim(text, start, end);
        return;
    }
    if (matches->count > 0)
        best_window(matches, target, start, end);
    if (*end - *start > target) /* one long run of matches */
        *end = sat_utf8_border(text, length, *start + target);
    size_t spare = target - (*end - *start);

    /* Begin with the sentence if that leaves something to read after the last match. */
    sentence_finder finder = {.at = *start, .limit = *start + 1, .start = *start};
    sat_text_sentences(text, length, look_at_sentence, &finder);
    size_t first = finder.start;
    if (*start - first > spare * 3 / 4)
        first = word_border(text, length, *start - spare / 3, *start, false);
    size_t limit = first + target < length ? first + target : length;
    *start = first;

    /* End with a sentence if one ends in the last third. */
    finder = (sentence_finder){.at = *end, .limit = limit};
    sat_text_sentences(text, length, look_at_sentence, &finder);
    if (finder.end >= first + target * 2 / 3)
        *end = finder.end;
    else
        *end = word_border(text, length, limit, *end, true);
    trim(text, start, end);
}
