/* A document taken apart into sections and units, each counted once. */
#include "retrieval/chunk.h"

#include <string.h>

enum {
    DEFAULT_BUDGET = 256,
    LEAST_BUDGET = 16,
    MOST_PATH_TOKENS = 32,
    LABEL_BYTES = 160, /* of a heading, in a path */
    ATOM_BYTES = 64,   /* a word, for cutting a sentence; longer ones are cut */
    LEVELS = 6,
};

/* ------------------------------------------------------------------ tokens */

static uint32_t estimate(const char *text, size_t length, size_t letters_per_token) {
    size_t tokens = sat_text_estimate_tokens(text, length, letters_per_token);
    return tokens > UINT32_MAX ? UINT32_MAX : (uint32_t)tokens;
}

/* Tokens with the special ones. After a failure, which sticks, 0. */
static uint32_t count_all(sat_units *units, const char *text, size_t length) {
    const satchel_embedder *embedder = units->embedder;
    if (units->status)
        return 0;
    if (!embedder)
        return estimate(text, length, 6);
    if (!embedder
             ->count_tokens) /* too many do less harm than too few: what is too long is not read */
        return estimate(text, length, 4) + 2;
    size_t count = 0;
    satchel_status status = embedder->count_tokens(embedder->user, text, length, &count);
    if (status) {
        units->status =
            sat_fail(units->error, status,
                     "embedder %s: it could not count the tokens of a text of %zu bytes",
                     embedder->id ? embedder->id : "", length);
        return 0;
    }
    return count > UINT32_MAX ? UINT32_MAX : (uint32_t)count;
}

static uint32_t count(sat_units *units, const char *text, size_t length) {
    uint32_t tokens = count_all(units, text, length);
    return tokens > units->overhead ? tokens - units->overhead : 0;
}

/* ------------------------------------------------------------------ sections */

static size_t skip_space(const char *text, size_t length, size_t at) {
    int32_t code;
    while (at < length) {
        size_t size = sat_utf8_decode(text + at, length - at, &code);
        if (!sat_is_space(code))
            break;
        at += size;
    }
    return at;
}

/* True if the section's text is its label and nothing else, white space apart. */
static bool is_only_label(const char *text, size_t length, const char *label) {
    size_t size = strlen(label), at = skip_space(text, length, 0), in = skip_space(label, size, 0);
    while (at < length && in < size && text[at] == label[in]) {
        at = skip_space(text, length, at + 1);
        in = skip_space(label, size, in + 1);
    }
    return at == length;
}

/* A label in one line, at most LABEL_BYTES of it. */
static void append_label(sat_buffer *out, const char *label) {
    size_t length = strlen(label), from = out->length;
    length = sat_utf8_border(label, length, 4 * LABEL_BYTES);
    for (size_t at = skip_space(label, length, 0); at < length;) {
        size_t start = at;
        int32_t code;
        while (at < length) {
            size_t size = sat_utf8_decode(label + at, length - at, &code);
            if (sat_is_space(code))
                break;
            at += size;
        }
        if (out->length > from)
            sat_buffer_append(out, " ", 1);
        sat_buffer_append(out, label + start, at - start);
        at = skip_space(label, length, at);
    }
    if (!out->failed && out->length - from > LABEL_BYTES)
        out->length = from + sat_utf8_border(out->data + from, out->length - from, LABEL_BYTES);
}

static uint32_t parent_of(const sat_units *units, uint32_t section) {
    return section == SAT_NO_SECTION ? section : units->sections[section].parent;
}

/* "A > B > C" of the headings above the section and its own; as many of the last as path_room
 * holds, and of the last alone as much. */
static bool make_path(sat_units *units, uint32_t section, sat_buffer *scratch, sat_arena *paths) {
    uint32_t chain[LEVELS];
    size_t depth = 0;
    for (uint32_t at = section; at != SAT_NO_SECTION && depth < LEVELS; at = parent_of(units, at))
        if (units->sections[at].label[0])
            chain[depth++] = at;
    sat_buffer_clear(scratch);
    uint32_t tokens = 0;
    for (; depth > 0; depth--) {
        sat_buffer_clear(scratch);
        for (size_t i = depth; i > 0; i--) {
            append_label(scratch, units->sections[chain[i - 1]].label);
            if (i > 1)
                sat_buffer_append_text(scratch, " > ");
        }
        if (scratch->failed)
            return false;
        tokens = count(units, scratch->data, scratch->length);
        if (tokens <= units->path_room)
            break;
    }
    while (tokens > units->path_room &&
           scratch->length > 0) { /* depth is 0: the last label alone */
        scratch->length = sat_utf8_border(scratch->data, scratch->length, scratch->length / 2);
        tokens = count(units, scratch->data, scratch->length);
    }
    sat_section *out = &units->sections[section];
    out->path_tokens = tokens;
    out->path = scratch->length ? sat_arena_strdup(paths, scratch->data, scratch->length) : "";
    return out->path != NULL;
}

static bool add_section(sat_units *units, const satchel_locator *locator,
                        uint32_t open[LEVELS + 1]) {
    if (!sat_grow(units->memory, (void **)&units->sections, &units->section_capacity,
                  units->section_count + 1, sizeof *units->sections))
        return false;
    int level = locator->number < 1 ? 1 : locator->number > LEVELS ? LEVELS : (int)locator->number;
    uint32_t index = (uint32_t)units->section_count++;
    sat_section *section = &units->sections[index];
    *section = (sat_section){.level = level,
                             .parent = SAT_NO_SECTION,
                             .label = locator->label ? locator->label : "",
                             .path = "",
                             .start = (size_t)locator->start};
    for (int above = level - 1; above > 0 && section->parent == SAT_NO_SECTION; above--)
        section->parent = open[above];
    open[level] = index;
    for (int below = level + 1; below <= LEVELS; below++)
        open[below] = SAT_NO_SECTION;
    return true;
}

static bool make_sections(sat_units *units, const sat_document *document, sat_arena *paths) {
    uint32_t open[LEVELS + 1];
    for (size_t i = 0; i <= LEVELS; i++)
        open[i] = SAT_NO_SECTION;
    for (size_t i = 0; i < document->locator_count; i++) {
        const satchel_locator *locator = &document->locators[i];
        if (locator->kind == SATCHEL_LOCATOR_HEADING && locator->start >= 0 &&
            (uint64_t)locator->start < units->length && units->section_count < SAT_NO_SECTION &&
            !add_section(units, locator, open))
            return false;
    }
    sat_buffer scratch;
    sat_buffer_init(&scratch, units->memory);
    bool ok = true;
    for (size_t i = 0; i < units->section_count && ok && !units->status; i++) {
        sat_section *section = &units->sections[i];
        size_t end = i + 1 < units->section_count ? section[1].start : units->length;
        section->empty =
            is_only_label(units->text + section->start, end - section->start, section->label);
        ok = make_path(units, (uint32_t)i, &scratch, paths);
    }
    sat_buffer_free(&scratch);
    return ok;
}

/* ------------------------------------------------------------------ units */

typedef struct unit_maker {
    sat_units *units;
    size_t base; /* of the section's text */
    uint32_t section;
    bool first; /* unit of the section */
} unit_maker;

static bool add_unit(sat_units *units, sat_unit unit) {
    if (!sat_grow(units->memory, (void **)&units->units, &units->capacity, units->count + 1,
                  sizeof *units->units)) {
        units->status =
            sat_memory_fail(units->memory, units->capacity * sizeof *units->units, units->error);
        return false;
    }
    unit.tokens += unit.tokens == 0;
    units->units[units->count++] = unit;
    return true;
}

/* True if there is an empty line between two places. */
static bool is_paragraph_gap(const char *text, size_t from, size_t to) {
    int lines = 0;
    for (size_t at = from; at < to; at++) {
        bool crlf = text[at] == '\r' && at + 1 < to && text[at + 1] == '\n';
        lines += text[at] == '\n' || (text[at] == '\r' && !crlf);
    }
    return lines > 1 || (to - from >= 3 && memmem(text + from, to - from, "\xE2\x80\xA9", 3));
}

static bool is_clause_mark(int32_t code) {
    return code == ',' || code == ';' || code == ':' || code == 0x060C || code == 0x061B ||
           (code >= 0x3000 && sat_is_punctuation(code));
}

/* The end of the word at `at`: before white space, behind a clause mark, or after about `most`
 * bytes, but never between a letter and its marks. */
static size_t atom_end(const char *text, size_t end, size_t at, size_t most, bool *clause) {
    size_t start = at;
    *clause = false;
    while (at < end) {
        int32_t code;
        size_t size = sat_utf8_decode(text + at, end - at, &code);
        bool joins = sat_is_mark(code) || code == 0x200D;
        if (at > start && (sat_is_space(code) || (!joins && (*clause || at - start + size > most))))
            break;
        *clause = is_clause_mark(code);
        at += size;
    }
    return at;
}

/* Cuts a sentence that is too long for a chunk into pieces, several to a chunk so that chunks
 * come out even: at words, if there is a choice after a clause. */
static bool add_pieces(unit_maker *maker, size_t start, size_t end, sat_unit_begin begin) {
    sat_units *units = maker->units;
    const char *text = units->text;
    size_t most = units->room < ATOM_BYTES ? units->room : ATOM_BYTES;
    uint32_t target = units->room / 4 + 1;
    sat_unit piece = {.start = start, .end = start, .section = maker->section, .begin = begin};
    for (size_t at = start; at < end;) {
        bool clause;
        size_t stop = atom_end(text, end, at, most, &clause);
        uint32_t tokens = count(units, text + at, stop - at);
        if (units->status)
            return false;
        if (piece.end > piece.start && piece.tokens + tokens > target) {
            if (!add_unit(units, piece))
                return false;
            piece = (sat_unit){.start = at, .section = maker->section, .begin = SAT_BEGIN_PIECE};
        }
        piece.end = stop;
        piece.tokens += tokens;
        at = skip_space(text, end, stop);
        if (at < end && clause && piece.tokens >= target / 2) {
            if (!add_unit(units, piece))
                return false;
            piece = (sat_unit){
                .start = at, .end = at, .section = maker->section, .begin = SAT_BEGIN_PIECE};
        }
    }
    return add_unit(units, piece);
}

static int add_sentence(void *user, size_t start, size_t end) {
    unit_maker *maker = user;
    sat_units *units = maker->units;
    start += maker->base;
    end += maker->base;
    sat_unit_begin begin = SAT_BEGIN_SENTENCE;
    if (maker->first)
        begin = maker->section == SAT_NO_SECTION ? SAT_BEGIN_PARAGRAPH : SAT_BEGIN_SECTION;
    else if (is_paragraph_gap(units->text, units->units[units->count - 1].end, start))
        begin = SAT_BEGIN_PARAGRAPH;
    maker->first = false;
    uint32_t tokens = count(units, units->text + start, end - start);
    if (units->status)
        return 1;
    if (tokens > units->room)
        return !add_pieces(maker, start, end, begin);
    return !add_unit(units, (sat_unit){.start = start,
                                       .end = end,
                                       .tokens = tokens,
                                       .section = maker->section,
                                       .begin = begin});
}

static void make_units(sat_units *units) {
    for (size_t i = 0; i <= units->section_count && !units->status; i++) {
        size_t start = i > 0 ? units->sections[i - 1].start : 0;
        size_t end = i < units->section_count ? units->sections[i].start : units->length;
        unit_maker maker = {.units = units,
                            .base = start,
                            .section = i > 0 ? (uint32_t)(i - 1) : SAT_NO_SECTION,
                            .first = true};
        if (end > start)
            sat_text_sentences(units->text + start, end - start, add_sentence, &maker);
    }
}

/* ------------------------------------------------------------------ all */

static void set_room(sat_units *units, int32_t budget) {
    int32_t most = units->embedder ? units->embedder->max_tokens : 0;
    if (budget <= 0)
        budget = most > 0 ? most : DEFAULT_BUDGET;
    if (most > 0 && budget > most)
        budget = most;
    if (budget < LEAST_BUDGET)
        budget = LEAST_BUDGET;
    units->overhead = count_all(units, "", 0);
    if (units->overhead > (uint32_t)budget / 2)
        units->overhead = (uint32_t)budget / 2;
    units->path_room =
        (uint32_t)budget / 8 < MOST_PATH_TOKENS ? (uint32_t)budget / 8 : MOST_PATH_TOKENS;
    units->room = (uint32_t)budget - units->overhead;
}

satchel_status sat_units_make(sat_units *out, sat_memory *memory, const sat_document *document,
                              const satchel_embedder *embedder, int32_t budget, sat_arena *paths,
                              satchel_error *error) {
    *out = (sat_units){.memory = memory,
                       .text = document->text.data,
                       .length = document->text.length,
                       .embedder = embedder,
                       .error = error};
    set_room(out, budget);
    if (!out->status && !make_sections(out, document, paths) && !out->status)
        out->status = sat_memory_fail(memory, sizeof *out->sections, error);
    uint32_t longest = 0;
    for (size_t i = 0; i < out->section_count; i++)
        if (out->sections[i].path_tokens > longest)
            longest = out->sections[i].path_tokens;
    out->room -= longest;
    if (!out->status)
        make_units(out);
    return out->status;
}

void sat_units_free(sat_units *units) {
    if (!units->memory)
        return;
    sat_free(units->memory, units->sections);
    sat_free(units->memory, units->units);
    memset(units, 0, sizeof *units);
}
