/*
 * FTS5 with our terms: the tokenizer "satchel", the auxiliary function satchel_counts(), and the
 * queries that go with them.
 *
 * SQLite calls in here with its own result codes; a negative satchel_status can only be the
 * tokenizer out of memory.
 */
#include <string.h>

#include "retrieval/counts.h"
#include "retrieval/terms.h"

/* A query longer than this is searched by its first terms: each costs a walk through its rows. */
#define QUERY_TERMS_MAX 256

/* ------------------------------------------------------------------ tokenizer */

typedef struct fts_token {
    void *context;
    int (*token)(void *context, int flags, const char *term, int length, int start, int end);
} fts_token;

static int emit_token(void *user, const char *term, size_t length, size_t start, size_t end) {
    fts_token *out = user;
    return out->token(out->context, 0, term, (int)length, (int)start, (int)end);
}

static int emit_beside(void *user, const char *term, size_t length, size_t start, size_t end) {
    fts_token *out = user;
    return out->token(out->context, FTS5_TOKEN_COLOCATED, term, (int)length, (int)start, (int)end);
}

static int tokenizer_create(void *memory, const char **arguments, int count, Fts5Tokenizer **out) {
    *out = NULL;
    if (count > 0)
        return SQLITE_ERROR; /* it has no options */
    sat_terms *terms;
    if (sat_terms_open(&terms, memory, NULL))
        return SQLITE_NOMEM;
    *out = (Fts5Tokenizer *)terms;
    return SQLITE_OK;
}

static void tokenizer_delete(Fts5Tokenizer *tokenizer) {
    sat_terms *terms = (sat_terms *)tokenizer;
    sat_terms_close(&terms);
}

static int tokenizer_run(Fts5Tokenizer *tokenizer, void *context, int flags, const char *text,
                         int length, int (*token)(void *, int, const char *, int, int, int)) {
    if (flags & FTS5_TOKENIZE_QUERY)
        return length > 0 ? token(context, 0, text, length, 0, length) : SQLITE_OK;
    fts_token out = {context, token};
    int code = sat_terms_index((sat_terms *)tokenizer, text, length > 0 ? (size_t)length : 0,
                               emit_token, emit_beside, &out);
    return code < 0 ? SQLITE_NOMEM : code;
}

/* ------------------------------------------------------------------ counts */

static const float column_weights[SAT_FTS_COLUMNS] = SAT_FTS_WEIGHTS;

static int phrase_count(const Fts5ExtensionApi *api, Fts5Context *fts, int phrase, float *out) {
    Fts5PhraseIter iterator;
    int column, offset;
    *out = 0;
    int code = api->xPhraseFirst(fts, phrase, &iterator, &column, &offset);
    for (; code == SQLITE_OK && column >= 0; api->xPhraseNext(fts, &iterator, &column, &offset))
        *out += column < SAT_FTS_COLUMNS ? column_weights[column] : 0;
    return code;
}

/* The blob: (phrases) float. */
static void counts_function(const Fts5ExtensionApi *api, Fts5Context *fts, sqlite3_context *context,
                            int count, sqlite3_value **values) {
    int phrases = api->xPhraseCount(fts);
    if (api->xColumnCount(fts) != SAT_FTS_COLUMNS || phrases < 0 || phrases > SAT_COUNTS_MAX) {
        sqlite3_result_error(context, "satchel_counts: not a table or query of ours", -1);
        return;
    }
    float counts[SAT_COUNTS_MAX];
    int code = SQLITE_OK;
    for (int phrase = 0; phrase < phrases && code == SQLITE_OK; phrase++)
        code = phrase_count(api, fts, phrase, &counts[phrase]);
    if (code == SQLITE_OK)
        sqlite3_result_blob(context, counts, phrases * (int)sizeof(float), SQLITE_TRANSIENT);
    else
        sqlite3_result_error_code(context, code);
}

float sat_fts_length(const void *docsize, size_t size) {
    const uint8_t *bytes = docsize, *end = bytes + size;
    float length = 0;
    for (int column = 0; column < SAT_FTS_COLUMNS; column++) {
        /* SQLite's variable-length integers: seven bits a byte, high ones first. Counts of terms
         * fit 32 bits, so five bytes are enough. */
        uint64_t value = 0;
        for (int i = 0;; i++) {
            if (bytes == end || i == 5)
                return -1;
            value = value << 7 | (*bytes & 0x7F);
            if (!(*bytes++ & 0x80))
                break;
        }
        length += column_weights[column] * (float)value;
    }
    return bytes == end ? length : -1;
}

/* ------------------------------------------------------------------ registration */

static int fts5_of(sqlite3 *database, fts5_api **out) {
    *out = NULL;
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(database, "SELECT fts5(?1)", -1, &statement, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_bind_pointer(statement, 1, out, "fts5_api_ptr", NULL);
    if (code == SQLITE_OK && sqlite3_step(statement) != SQLITE_ROW)
        code = SQLITE_ERROR; /* finalize says which */
    int last = sqlite3_finalize(statement);
    return last != SQLITE_OK ? last : code;
}

satchel_status sat_fts_register(sqlite3 *database, sat_memory *memory, satchel_error *error) {
    fts5_api *api;
    int code = fts5_of(database, &api);
    if (code == SQLITE_OK && (!api || api->iVersion < 2))
        code = SQLITE_MISUSE;
    fts5_tokenizer tokenizer = {tokenizer_create, tokenizer_delete, tokenizer_run};
    if (code == SQLITE_OK)
        code = api->xCreateTokenizer(api, "satchel", memory, &tokenizer, NULL);
    if (code == SQLITE_OK)
        code = api->xCreateFunction(api, "satchel_counts", NULL, counts_function, NULL);
    if (code == SQLITE_OK)
        return SATCHEL_OK;
    if ((code & 0xFF) == SQLITE_NOMEM)
        return sat_fail_memory(error, 0);
    return sat_fail(
        error, SATCHEL_UNSUPPORTED,
        "full-text search: this SQLite (%s) has no usable FTS5 (%s); link one built with "
        "SQLITE_ENABLE_FTS5",
        sqlite3_libversion(), sqlite3_errstr(code));
}

/* ------------------------------------------------------------------ queries */

/* Open addressing over one array; the table is at most half full. */
enum { SLOTS = 2 * QUERY_TERMS_MAX };

static uint16_t *find_slot(const sat_query_terms *query, uint16_t *slots, bool prefixes,
                           const char *text, size_t length) {
    size_t at = sat_hash64(text, length, prefixes) % SLOTS;
    for (;; at = (at + 1) % SLOTS) {
        if (slots[at] == 0)
            return &slots[at];
        size_t index = slots[at] - 1u;
        const char *have = prefixes ? query->prefixes[index].text : query->items[index].text;
        size_t have_length = prefixes ? query->prefixes[index].length : query->items[index].length;
        if (have_length == length && memcmp(have, text, length) == 0)
            return &slots[at];
    }
}

static int add_prefix(sat_query_terms *query, const char *term, size_t length, int *out) {
    *out = -1;
    size_t prefix = sat_term_prefix(term, length);
    if (prefix == 0)
        return 0;
    uint16_t *slot = find_slot(query, query->prefix_slots, true, term, prefix);
    if (*slot == 0) {
        char *copy = sat_arena_strdup(&query->arena, term, prefix);
        if (!copy)
            return SATCHEL_OUT_OF_MEMORY;
        query->prefixes[query->prefix_count].text = copy;
        query->prefixes[query->prefix_count].length = prefix;
        *slot = (uint16_t)++query->prefix_count;
    }
    *out = *slot - 1;
    return 0;
}

static bool is_lone(const char *term, size_t length) {
    int32_t code;
    return sat_utf8_decode(term, length, &code) == length && sat_term_in_pairs(code);
}

typedef struct query_maker {
    sat_query_terms *query;
    const char *text;
    size_t length;
    sat_buffer scratch;
} query_maker;

static int add_query_term(void *user, const char *term, size_t length, size_t start, size_t end) {
    query_maker *maker = user;
    sat_query_terms *query = maker->query;
    float weight =
        sat_asks(maker->text, maker->length, start, end, &maker->scratch) ? SAT_ASKING_WEIGHT : 1;
    if (maker->scratch.failed)
        return SATCHEL_OUT_OF_MEMORY;
    uint16_t *slot = find_slot(query, query->term_slots, false, term, length);
    if (*slot) {
        struct sat_query_term *known = &query->items[*slot - 1];
        known->count++;
        known->weight = known->weight > weight ? known->weight : weight;
        return 0;
    }
    if (query->count == QUERY_TERMS_MAX)
        return 0;
    struct sat_query_term *item = &query->items[query->count];
    item->text = sat_arena_strdup(&query->arena, term, length);
    if (!item->text || add_prefix(query, term, length, &item->prefix))
        return SATCHEL_OUT_OF_MEMORY;
    item->length = length;
    item->count = 1;
    item->weight = weight;
    item->lone = is_lone(term, length);
    query->has_lone = query->has_lone || item->lone;
    *slot = (uint16_t)++query->count;
    return 0;
}

satchel_status sat_query_terms_make(sat_query_terms *out, sat_terms *terms, const char *query,
                                    size_t length, satchel_error *error) {
    memset(out, 0, sizeof *out);
    sat_memory *memory = sat_terms_memory(terms);
    sat_arena_init(&out->arena, memory);
    out->items = sat_arena_alloc(&out->arena, QUERY_TERMS_MAX * sizeof *out->items);
    out->prefixes = sat_arena_alloc(&out->arena, QUERY_TERMS_MAX * sizeof *out->prefixes);
    size_t slots = 2 * SLOTS * sizeof *out->term_slots;
    out->term_slots = sat_arena_alloc(&out->arena, slots);
    int result = SATCHEL_OUT_OF_MEMORY;
    if (out->items && out->prefixes && out->term_slots) {
        memset(out->term_slots, 0, slots);
        out->prefix_slots = out->term_slots + SLOTS;
        query_maker maker = {.query = out, .text = query, .length = length};
        sat_buffer_init(&maker.scratch, memory);
        result = sat_terms_each(terms, query, length, add_query_term, &maker);
        sat_buffer_free(&maker.scratch);
    }
    if (result == 0)
        return SATCHEL_OK;
    sat_query_terms_free(out);
    return sat_memory_fail(memory, slots, error);
}

void sat_query_terms_free(sat_query_terms *query) {
    if (query->arena.memory)
        sat_arena_free(&query->arena);
    memset(query, 0, sizeof *query);
}

int sat_query_terms_find(const sat_query_terms *query, const char *term, size_t length) {
    return query->count ? *find_slot(query, query->term_slots, false, term, length) - 1 : -1;
}

int sat_query_terms_find_prefix(const sat_query_terms *query, const char *term, size_t length) {
    size_t prefix = query->prefix_count ? sat_term_prefix(term, length) : 0;
    return prefix ? *find_slot(query, query->prefix_slots, true, term, prefix) - 1 : -1;
}

void sat_query_terms_find_lone(const sat_query_terms *query, const char *term, size_t length,
                               int found[2]) {
    int32_t code;
    found[0] = found[1] = -1;
    size_t first = query->has_lone ? sat_utf8_decode(term, length, &code) : length;
    if (first == length || !sat_term_in_pairs(code))
        return;
    found[0] = sat_query_terms_find(query, term, first);
    found[1] = sat_query_terms_find(query, term + first, length - first);
}

static void append_phrase(sat_buffer *out, bool first, const char *text, size_t length,
                          const char *end) {
    sat_buffer_append_text(out, first ? "\"" : " OR \"");
    for (size_t i = 0; i < length; i++) {
        if (text[i] == '"')
            sat_buffer_append(out, "\"", 1);
        sat_buffer_append(out, &text[i], 1);
    }
    sat_buffer_append_text(out, end);
}

bool sat_query_terms_match(const sat_query_terms *query, sat_buffer *out) {
    for (size_t i = 0; i < query->count; i++)
        append_phrase(out, i == 0, query->items[i].text, query->items[i].length,
                      query->items[i].lone ? "\"*" : "\"");
    for (size_t i = 0; i < query->prefix_count; i++)
        append_phrase(out, false, query->prefixes[i].text, query->prefixes[i].length, "\"*");
    return !out->failed;
}
