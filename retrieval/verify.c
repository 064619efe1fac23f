/*
 * Verify: the whole store in one snapshot against what store.h says of the format. A damaged page
 * is a problem to report, not a reason to stop before the rest has been looked at.
 */
#include "retrieval/verify.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define MAX_STORED 1000

void sat_problem(sat_problems *problems, const char *format, ...) {
    char text[512];
    va_list arguments;
    problems->count++;
    if (problems->stored >= MAX_STORED || problems->out_of_memory)
        return;
    va_start(arguments, format);
    sat_format_v(text, sizeof text, format, arguments);
    va_end(arguments);
    char *copy = sat_arena_strdup(&problems->arena, text, strlen(text));
    if (!copy || !sat_grow(problems->arena.memory, (void **)&problems->texts, &problems->capacity,
                           problems->stored + 1, sizeof *problems->texts)) {
        problems->out_of_memory = true;
        return;
    }
    problems->texts[problems->stored++] = copy;
}

/* Damage that a query meets is a problem found. */
static satchel_status note_damage(sat_problems *problems, satchel_status status,
                                  const satchel_error *failure, satchel_error *error) {
    if (status == SATCHEL_DAMAGED) {
        sat_problem(problems, "%s", failure->message);
        return SATCHEL_OK;
    }
    if (status)
        sat_error_copy(error, failure);
    return status;
}

/* ------------------------------------------------------------------ what SQL can say */

static satchel_status check_integrity(sat_connection *reader, sat_problems *problems,
                                      satchel_error *error) {
    sat_query query;
    sat_query_begin(&query, reader, "PRAGMA integrity_check(100)");
    while (sat_query_row(&query)) {
        const char *text = sat_column_text(&query, 0, NULL);
        if (strcmp(text, "ok") != 0)
            sat_problem(problems, "SQLite: %s", text);
    }
    satchel_status status = sat_query_end(&query, error);
    if (status)
        return status;
    sat_query_begin(&query, reader, "PRAGMA foreign_key_check");
    while (sat_query_row(&query))
        sat_problem(problems,
                    "row %" PRId64 " of table '%s' leads to a missing row of another table",
                    sat_column_int(&query, 1), sat_column_text(&query, 0, NULL));
    return sat_query_end(&query, error);
}

/* Each gives the ids of rows that break a rule. */
static const struct {
    const char *sql, *problem;
} rules[] = {
    {"SELECT id FROM chunk WHERE (model IS NULL) <> (vector IS NULL) OR (model IS NULL) <> (seq IS "
     "NULL)",
     "chunk %" PRId64 " has only a part of model, vector and seq"},
    {"SELECT c.id FROM chunk c JOIN vector v ON v.id = c.vector WHERE v.model <> c.model OR "
     "v.hash <> c.hash",
     "the vector of chunk %" PRId64 " is of another text or model"},
    {"SELECT id FROM vector v WHERE NOT EXISTS (SELECT 1 FROM chunk WHERE vector = v.id)",
     "vector %" PRId64 " is of no chunk"},
    {"SELECT seq FROM chunk WHERE seq IS NOT NULL GROUP BY seq HAVING count(*) > 1",
     "sequence number %" PRId64 " was given twice"},
    {"SELECT id FROM chunk WHERE seq > (SELECT seq FROM state)",
     "chunk %" PRId64 " has a sequence number that was not given yet"},
    {"SELECT l.document FROM locator l JOIN document d ON d.id = l.document "
     "WHERE l.start < 0 OR l.start > d.text_bytes",
     "a locator of document %" PRId64 " lies outside its text"},
};

static satchel_status check_rules(sat_connection *reader, sat_problems *problems,
                                  satchel_error *error) {
    satchel_status status = SATCHEL_OK;
    for (size_t i = 0; i < SAT_COUNT(rules) && !status; i++) {
        sat_query query;
        sat_query_begin(&query, reader, rules[i].sql);
        while (sat_query_row(&query)) {
            char text[160];
            snprintf(text, sizeof text, rules[i].problem, sat_column_int(&query, 0));
            sat_problem(problems, "%s", text);
        }
        status = sat_query_end(&query, error);
    }
    return status;
}

static satchel_status check_vectors(sat_connection *reader, sat_problems *problems,
                                    satchel_error *error) {
    sat_query query;
    sat_query_begin(
        &query, reader,
        "SELECT v.id, v.data, m.dimension FROM vector v JOIN model m ON m.id = v.model");
    while (sat_query_row(&query)) {
        size_t size;
        const uint8_t *data = sat_column_blob(&query, 1, &size);
        int64_t id = sat_column_int(&query, 0), dimension = sat_column_int(&query, 2);
        if (dimension < 1 || dimension > SAT_MAX_DIMENSION || size != (size_t)dimension * 4) {
            sat_problem(problems,
                        "vector %" PRId64 " has %zu bytes, its model %" PRId64 " dimensions", id,
                        size, dimension);
            continue;
        }
        double square = 0;
        for (size_t i = 0; i < (size_t)dimension; i++) {
            uint32_t bits = (uint32_t)data[4 * i] | (uint32_t)data[4 * i + 1] << 8 |
                            (uint32_t)data[4 * i + 2] << 16 | (uint32_t)data[4 * i + 3] << 24;
            float value;
            memcpy(&value, &bits, sizeof value);
            square += (double)value * value;
        }
        if (!(fabs(square - 1) < 1e-3)) /* NaN and infinity too */
            sat_problem(problems, "vector %" PRId64 " does not have length 1", id);
    }
    return sat_query_end(&query, error);
}

/* ------------------------------------------------------------------ documents */

/* One document while it is looked at. */
typedef struct subject {
    int64_t id, text_bytes;
    const char *name, *title, *metadata;
    sat_digest text_hash;
    sat_buffer text;
    int64_t *pieces; /* their starts */
    size_t piece_count, piece_capacity;
} subject;

static satchel_status read_pieces(subject *s, sat_connection *reader, sat_problems *problems,
                                  satchel_error *error) {
    bool ok = true;
    sat_query query;
    sat_query_begin(&query, reader,
                    "SELECT start, data FROM document_text WHERE document = ?1 ORDER BY start");
    sat_bind_int(&query, 1, s->id);
    while (ok && sat_query_row(&query)) {
        size_t size;
        const void *data = sat_column_blob(&query, 1, &size);
        if (sat_column_int(&query, 0) != (int64_t)s->text.length)
            sat_problem(problems, "document '%s' has a gap in its text at byte %zu", s->name,
                        s->text.length);
        ok = sat_buffer_append(&s->text, data, size) &&
             sat_grow(s->text.memory, (void **)&s->pieces, &s->piece_capacity, s->piece_count + 1,
                      sizeof *s->pieces);
        if (ok)
            s->pieces[s->piece_count++] = sat_column_int(&query, 0);
    }
    satchel_status status = sat_query_end(&query, error);
    return status || ok ? status : sat_memory_fail(s->text.memory, s->text.length, error);
}

static void check_text(const subject *s, sat_problems *problems) {
    const char *text = s->text.data ? s->text.data : "";
    sat_digest hash = sat_digest_of(text, s->text.length);
    if ((int64_t)s->text.length != s->text_bytes)
        sat_problem(problems, "document '%s' has %zu bytes of text instead of %" PRId64, s->name,
                    s->text.length, s->text_bytes);
    else if (memcmp(&hash, &s->text_hash, sizeof hash) != 0)
        sat_problem(problems, "the text of document '%s' is not the one that was stored", s->name);
    if (sat_utf8_valid(text, s->text.length) < s->text.length)
        sat_problem(problems, "the text of document '%s' is not valid UTF-8", s->name);
}

/* Each chunk lies in one piece: the full-text view reads it so. */
static bool in_one_piece(const subject *s, int64_t start, int64_t end) {
    size_t low = 0, high = s->piece_count; /* the first piece that starts after `start` */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (s->pieces[middle] <= start)
            low = middle + 1;
        else
            high = middle;
    }
    return low == s->piece_count || end <= s->pieces[low];
}

/* A place reached in the text, in bytes and UTF-16 units: chunks come in order, so both only
 * grow. */
typedef struct units {
    size_t byte;
    int64_t unit;
} units;

static int64_t utf16_at(const subject *s, units *at, size_t byte) {
    if (byte < at->byte)
        *at = (units){0};
    at->unit += (int64_t)sat_utf16_length(s->text.data + at->byte, byte - at->byte);
    at->byte = byte;
    return at->unit;
}

static bool is_border(const subject *s, size_t at) {
    return sat_utf8_border(s->text.data, s->text.length, at) == at;
}

static satchel_status check_chunk(const subject *s, sat_query *query, units *at, int64_t ordinal,
                                  sat_keyword_sums *sums, sat_terms *terms, sat_buffer *embedded,
                                  sat_problems *problems, satchel_error *error) {
    int64_t id = sat_column_int(query, 0);
    int64_t start = sat_column_int(query, 2), end = sat_column_int(query, 3);
    if (sat_column_int(query, 1) != ordinal)
        sat_problem(problems, "chunk %" PRId64 " is not number %" PRId64 " of document '%s'", id,
                    ordinal, s->name);
    if (start < 0 || end <= start || end > (int64_t)s->text.length ||
        !is_border(s, (size_t)start) || !is_border(s, (size_t)end) ||
        !in_one_piece(s, start, end)) {
        sat_problem(problems,
                    "chunk %" PRId64 " of document '%s' has the impossible range %" PRId64
                    " to %" PRId64,
                    id, s->name, start, end);
        return SATCHEL_OK;
    }
    int64_t start16 = utf16_at(s, at, (size_t)start), end16 = utf16_at(s, at, (size_t)end);
    if (sat_column_int(query, 4) != start16 || sat_column_int(query, 5) != end16)
        sat_problem(problems, "chunk %" PRId64 " of document '%s' has wrong UTF-16 offsets", id,
                    s->name);
    size_t heading_length;
    const char *heading = sat_column_text(query, 6, &heading_length);
    const char *body = s->text.data + start;
    sat_digest hash = sat_column_digest(query, 7);
    sat_buffer_clear(embedded);
    if (!sat_chunk_embed_text(embedded, heading, body, (size_t)(end - start)))
        return sat_memory_fail(embedded->memory, (size_t)(end - start), error);
    sat_digest found = sat_digest_of(embedded->data, embedded->length);
    if (memcmp(&hash, &found, sizeof hash) != 0)
        sat_problem(problems, "the hash of chunk %" PRId64 " of document '%s' is not of its text",
                    id, s->name);
    const satchel_text columns[3] = {
        {s->title, strlen(s->title)}, {heading, heading_length}, {body, (size_t)(end - start)}};
    return sat_keyword_sums_add(sums, terms, id, columns, error);
}

static satchel_status check_chunks(const subject *s, sat_connection *reader, sat_keyword_sums *sums,
                                   sat_problems *problems, satchel_error *error) {
    sat_terms *terms;
    sat_buffer embedded;
    sat_buffer_init(&embedded, s->text.memory);
    satchel_status status = sat_connection_terms(reader, &terms, error);
    int64_t ordinal = 0;
    units at = {0};
    sat_query query;
    sat_query_begin(
        &query, reader,
        "SELECT id, ordinal, start_byte, end_byte, start_utf16, end_utf16, heading, hash "
        "FROM chunk WHERE document = ?1 ORDER BY ordinal");
    sat_bind_int(&query, 1, s->id);
    while (!status && sat_query_row(&query))
        status = check_chunk(s, &query, &at, ordinal++, sums, terms, &embedded, problems, error);
    satchel_status ended = sat_query_end(&query, status ? NULL : error);
    sat_buffer_free(&embedded);
    return status ? status : ended;
}

/* One row of `meta` against the value it stands for. */
static bool same_value(sat_query *query, const json_t *value, int64_t ordinal, const char *kind) {
    if (sat_column_int(query, 1) != ordinal || strcmp(sat_column_text(query, 2, NULL), kind) != 0)
        return false;
    switch (kind[0]) {
    case 's':
        return strcmp(sat_column_text(query, 3, NULL), json_string_value(value)) == 0;
    case 'n':
        return json_is_integer(value) ? sat_column_int(query, 3) == json_integer_value(value)
                                      : sat_column_real(query, 3) == json_real_value(value);
    case 'b':
        return sat_column_int(query, 3) == json_is_true(value);
    default:
        return true;
    }
}

static bool same_row(sat_query *query, const json_t *metadata) {
    const json_t *value = json_object_get(metadata, sat_column_text(query, 0, NULL));
    if (!value)
        return false;
    if (!json_is_array(value))
        return same_value(query, value, 0,
                          json_is_string(value)   ? "s"
                          : json_is_number(value) ? "n"
                                                  : "b");
    if (json_array_size(value) == 0)
        return same_value(query, value, 0, "e");
    int64_t ordinal = sat_column_int(query, 1);
    const json_t *item = ordinal < 0 ? NULL : json_array_get(value, (size_t)ordinal);
    return item && same_value(query, item, ordinal, "s");
}

static satchel_status check_metadata(const subject *s, sat_connection *reader,
                                     sat_problems *problems, satchel_error *error) {
    json_t *metadata = NULL;
    satchel_error failure = {0};
    satchel_status status = sat_metadata_parse(&metadata, s->metadata, &failure);
    if (status == SATCHEL_INVALID_METADATA || status == SATCHEL_LIMIT) {
        sat_problem(problems, "document '%s': %s", s->name, failure.message);
        return SATCHEL_OK;
    }
    if (status) {
        sat_error_copy(error, &failure);
        return status;
    }
    size_t expected = 0, found = 0;
    const char *key;
    json_t *value;
    json_object_foreach(metadata, key, value) {
        expected += json_is_array(value) && json_array_size(value) > 0 ? json_array_size(value) : 1;
    }
    bool same = true;
    sat_query query;
    sat_query_begin(&query, reader,
                    "SELECT key, ordinal, kind, value FROM meta WHERE document = ?1");
    sat_bind_int(&query, 1, s->id);
    for (; sat_query_row(&query); found++)
        same = same && same_row(&query, metadata);
    status = sat_query_end(&query, error);
    if (!status && (!same || found != expected))
        sat_problem(problems, "the metadata rows of document '%s' are not those of its JSON",
                    s->name);
    json_decref(metadata);
    return status;
}

static satchel_status check_subject(subject *s, sat_connection *reader, sat_keyword_sums *sums,
                                    sat_problems *problems, satchel_error *error) {
    satchel_status status = read_pieces(s, reader, problems, error);
    if (!status)
        check_text(s, problems);
    if (!status)
        status = check_chunks(s, reader, sums, problems, error);
    return status ? status : check_metadata(s, reader, problems, error);
}

static satchel_status check_documents(sat_connection *reader, sat_keyword_sums *sums,
                                      sat_problems *problems, satchel_error *error) {
    sat_memory *memory = reader->store->memory;
    satchel_status status = SATCHEL_OK;
    sat_query query;
    sat_query_begin(&query, reader,
                    "SELECT id, name, title, metadata, text_bytes, text_hash FROM document");
    while (!status && sat_query_row(&query)) {
        subject s = {.id = sat_column_int(&query, 0),
                     .name = sat_column_text(&query, 1, NULL),
                     .title = sat_column_text(&query, 2, NULL),
                     .metadata = sat_column_text(&query, 3, NULL),
                     .text_bytes = sat_column_int(&query, 4),
                     .text_hash = sat_column_digest(&query, 5)};
        sat_buffer_init(&s.text, memory);
        satchel_error failure = {0};
        status = check_subject(&s, reader, sums, problems, &failure);
        status = note_damage(problems, status, &failure, error);
        sat_buffer_free(&s.text);
        sat_free(memory, s.pieces);
    }
    satchel_status ended = sat_query_end(&query, status ? NULL : error);
    return status ? status : ended;
}

/* ------------------------------------------------------------------ the whole */

static satchel_status check_keywords(sat_connection *reader, sat_problems *problems,
                                     satchel_error *error) {
    sat_keyword_sums sums = {.memory = reader->store->memory};
    satchel_status status = check_documents(reader, &sums, problems, error);
    if (!status && !reader->store->terms_stale)
        status = sat_keyword_sums_compare(&sums, reader, problems, error);
    sat_free(sums.memory, sums.items);
    return status;
}

static satchel_status check_all(sat_connection *reader, sat_problems *problems,
                                satchel_error *error) {
    static satchel_status (*const checks[])(sat_connection *, sat_problems *, satchel_error *) = {
        check_integrity, check_rules, check_vectors, sat_verify_index, check_keywords};
    satchel_status status = SATCHEL_OK;
    for (size_t i = 0; i < SAT_COUNT(checks) && !status; i++) {
        satchel_error failure = {0};
        status = checks[i](reader, problems, &failure);
        status = note_damage(problems, status, &failure, error);
    }
    return status;
}

/* FTS5's own look at its trees: a command on a writable connection, though it writes nothing. Left
 * out where the store cannot be written or someone else is writing. */
static satchel_status check_full_text(sat_store *store, sat_problems *problems,
                                      satchel_error *error) {
    sat_connection *writer;
    satchel_error failure = {0};
    if (store->read_only || store->terms_stale)
        return SATCHEL_OK;
    satchel_status status = sat_writer_begin(store, NULL, &writer, &failure);
    if (status == SATCHEL_BUSY)
        return SATCHEL_OK;
    if (status) {
        sat_error_copy(error, &failure);
        return status;
    }
    status =
        sat_sql_run(writer, "INSERT INTO chunk_fts(chunk_fts) VALUES('integrity-check')", &failure);
    sat_writer_abandon(writer);
    return note_damage(problems, status, &failure, error);
}

satchel_status sat_store_verify(sat_store *store, satchel_problem_function report, void *user,
                                int64_t *count, satchel_error *error) {
    sat_problems problems = {0};
    sat_connection *reader;
    if (count)
        *count = 0;
    sat_arena_init(&problems.arena, store->memory);
    satchel_status status = sat_reader_begin(store, NULL, &reader, error);
    if (!status) {
        status = check_all(reader, &problems, error);
        sat_reader_end(reader);
    }
    if (!status)
        status = check_full_text(store, &problems, error);
    if (!status && problems.out_of_memory)
        status = sat_memory_fail(store->memory, 0, error);
    if (!status && count)
        *count = problems.count;
    for (size_t i = 0; i < problems.stored && !status && report; i++) {
        if (report(user, problems.texts[i]) != 0)
            break;
    }
    sat_free(store->memory, problems.texts);
    sat_arena_free(&problems.arena);
    return status;
}
