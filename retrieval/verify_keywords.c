/*
 * Verifying keywords: every term at every place of the full-text index against the terms of the
 * stored text, and the tables of sizes that ranking reads.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "retrieval/verify.h"

enum { COLUMNS = 3 };
static const char *const column_names[COLUMNS] = {"title", "heading", "body"};

static uint64_t place_hash(const char *term, size_t length, unsigned column, uint32_t position) {
    return sat_hash64(term, length, ((uint64_t)column << 32 | position) * 0x9E3779B97F4A7C15u);
}

typedef struct counting {
    sat_keyword_sum *sum;
    unsigned column;
} counting;

static int count_term(void *user, const char *term, size_t length, size_t start, size_t end) {
    counting *c = user;
    (void)start;
    (void)end;
    c->sum->expected += place_hash(term, length, c->column, c->sum->terms[c->column]++);
    return 0;
}

/* At the place of the term before. */
static int count_beside(void *user, const char *term, size_t length, size_t start, size_t end) {
    counting *c = user;
    c->sum->expected += place_hash(term, length, c->column, c->sum->terms[c->column] - 1);
    return 0;
}

satchel_status sat_keyword_sums_add(sat_keyword_sums *sums, sat_terms *terms, int64_t chunk,
                                    const satchel_text columns[3], satchel_error *error) {
    if (!sat_grow(sums->memory, (void **)&sums->items, &sums->capacity, sums->count + 1,
                  sizeof *sums->items))
        return sat_memory_fail(sums->memory, sizeof *sums->items, error);
    sat_keyword_sum *sum = &sums->items[sums->count++];
    *sum = (sat_keyword_sum){.chunk = chunk};
    for (unsigned i = 0; i < COLUMNS; i++) {
        counting c = {sum, i};
        if (sat_terms_index(terms, columns[i].data, columns[i].length, count_term, count_beside,
                            &c) != 0)
            return sat_memory_fail(sums->memory, columns[i].length, error);
    }
    return SATCHEL_OK;
}

static int compare_sums(const void *a, const void *b) {
    const sat_keyword_sum *left = a, *right = b;
    return (left->chunk > right->chunk) - (left->chunk < right->chunk);
}

static sat_keyword_sum *find_sum(sat_keyword_sums *sums, int64_t chunk) {
    size_t low = 0, high = sums->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (sums->items[middle].chunk < chunk)
            low = middle + 1;
        else
            high = middle;
    }
    return low < sums->count && sums->items[low].chunk == chunk ? &sums->items[low] : NULL;
}

static unsigned column_of(const char *name) {
    unsigned column = 0;
    while (column < COLUMNS && strcmp(column_names[column], name) != 0)
        column++;
    return column;
}

static satchel_status read_index(sat_keyword_sums *sums, sat_connection *reader,
                                 sat_problems *problems, satchel_error *error) {
    /* In the temporary schema: a read-only store is verified too. The end of the transaction
     * removes it. */
    satchel_status status = sat_sql_run(
        reader,
        "CREATE VIRTUAL TABLE temp.chunk_terms USING fts5vocab('main', 'chunk_fts', 'instance')",
        error);
    if (status)
        return status;
    int64_t ghosts = 0;
    sat_query query;
    static const char sql[] = "SELECT term, doc, col, offset FROM temp.chunk_terms";
    sat_query_begin_text(&query, reader, sql, sizeof sql - 1);
    while (sat_query_row(&query)) {
        size_t length;
        const char *term = sat_column_text(&query, 0, &length);
        sat_keyword_sum *sum = find_sum(sums, sat_column_int(&query, 1));
        if (sum)
            sum->found += place_hash(term, length, column_of(sat_column_text(&query, 2, NULL)),
                                     (uint32_t)sat_column_int(&query, 3));
        else if (ghosts++ == 0)
            sat_problem(problems,
                        "the full-text index has terms of chunk %" PRId64 ", which is not there",
                        sat_column_int(&query, 1));
    }
    return sat_query_end(&query, error);
}

/* A number as SQLite and FTS5 write it: seven bits a byte, the highest first, eight in the
 * ninth. */
static bool read_number(const uint8_t **at, const uint8_t *end, uint64_t *out) {
    *out = 0;
    for (int i = 0; i < 9 && *at < end; i++) {
        uint8_t byte = *(*at)++;
        if (i == 8) {
            *out = *out << 8 | byte;
            return true;
        }
        *out = *out << 7 | (byte & 0x7f);
        if (!(byte & 0x80))
            return true;
    }
    return false;
}

static satchel_status read_sizes(sat_keyword_sums *sums, sat_connection *reader,
                                 sat_problems *problems, satchel_error *error) {
    sat_query query;
    sat_query_begin(&query, reader, "SELECT id, sz FROM chunk_fts_docsize");
    while (sat_query_row(&query)) {
        size_t size;
        int64_t chunk = sat_column_int(&query, 0);
        const uint8_t *at = sat_column_blob(&query, 1, &size), *end = at + size;
        sat_keyword_sum *sum = find_sum(sums, chunk);
        if (!sum) {
            sat_problem(problems, "the full-text index has chunk %" PRId64 ", which is not there",
                        chunk);
            continue;
        }
        sum->indexed = true;
        bool same = true;
        for (int i = 0; i < COLUMNS; i++) {
            uint64_t terms;
            same = same && read_number(&at, end, &terms) && terms == sum->terms[i];
        }
        if (!same)
            sat_problem(problems, "the full-text index counts the terms of chunk %" PRId64 " wrong",
                        chunk);
    }
    return sat_query_end(&query, error);
}

/* Record 1 of the index: its number of rows, then of terms per column. */
static satchel_status check_totals(const sat_keyword_sums *sums, sat_connection *reader,
                                   sat_problems *problems, satchel_error *error) {
    uint64_t expected[1 + COLUMNS] = {sums->count};
    bool same = true;
    for (size_t i = 0; i < sums->count; i++) {
        for (int column = 0; column < COLUMNS; column++)
            expected[1 + column] += sums->items[i].terms[column];
    }
    sat_query query;
    sat_query_begin(&query, reader, "SELECT block FROM chunk_fts_data WHERE id = 1");
    if (sat_query_row(&query)) {
        size_t size;
        const uint8_t *at = sat_column_blob(&query, 0, &size), *end = at + size;
        /* Empty until the first row is written. */
        for (int i = 0; i < 1 + COLUMNS && size > 0; i++) {
            uint64_t number;
            same = same && read_number(&at, end, &number) && number == expected[i];
        }
        same = same && (size > 0 || sums->count == 0);
    }
    if (!same)
        sat_problem(problems, "the full-text index has wrong totals");
    return sat_query_end(&query, error);
}

satchel_status sat_keyword_sums_compare(sat_keyword_sums *sums, sat_connection *reader,
                                        sat_problems *problems, satchel_error *error) {
    if (sums->count > 0)
        qsort(sums->items, sums->count, sizeof *sums->items, compare_sums);
    satchel_status status = read_index(sums, reader, problems, error);
    if (!status)
        status = read_sizes(sums, reader, problems, error);
    if (!status)
        status = check_totals(sums, reader, problems, error);
    for (size_t i = 0; i < sums->count && !status; i++) {
        const sat_keyword_sum *sum = &sums->items[i];
        if (!sum->indexed)
            sat_problem(problems, "chunk %" PRId64 " is missing in the full-text index",
                        sum->chunk);
        else if (sum->expected != sum->found)
            sat_problem(problems, "the keywords of chunk %" PRId64 " are not those of its text",
                        sum->chunk);
    }
    return status;
}
