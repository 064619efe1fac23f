/*
 * The tables: made in a new file, checked in one that is there. Opening never rebuilds; what must
 * be rebuilt waits for the first write.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "retrieval/store.h"

/* Each text is what SQLite keeps in its schema, character for character: opening compares them. */
static const struct {
    const char *name, *sql;
} objects[] = {
    {"format",
     "CREATE TABLE format(key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID"},
    {"state", "CREATE TABLE state(id INTEGER PRIMARY KEY CHECK(id = 1), change INTEGER NOT NULL, "
              "erased INTEGER NOT NULL, seq INTEGER NOT NULL, forgotten INTEGER NOT NULL) STRICT"},
    {"model", "CREATE TABLE model(id INTEGER PRIMARY KEY AUTOINCREMENT, "
              "fingerprint TEXT NOT NULL UNIQUE, name TEXT NOT NULL, dimension INTEGER NOT NULL, "
              "max_tokens INTEGER NOT NULL) STRICT"},
    {"root", "CREATE TABLE root(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, "
             "path TEXT NOT NULL, synced INTEGER NOT NULL) STRICT"},
    {"document",
     "CREATE TABLE document(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, "
     "root INTEGER REFERENCES root(id), title TEXT NOT NULL, title_given INTEGER NOT NULL, "
     "media_type TEXT NOT NULL, metadata TEXT NOT NULL, modified INTEGER NOT NULL, "
     "source_size INTEGER NOT NULL, source_modified INTEGER NOT NULL, source_hash BLOB NOT NULL, "
     "source_start INTEGER NOT NULL, text_bytes INTEGER NOT NULL, text_hash BLOB NOT NULL, "
     "budget INTEGER NOT NULL, counter INTEGER REFERENCES model(id)) STRICT"},
    {"document_root", "CREATE INDEX document_root ON document(root) WHERE root IS NOT NULL"},
    {"document_text",
     "CREATE TABLE document_text(document INTEGER NOT NULL REFERENCES document(id), "
     "start INTEGER NOT NULL, data BLOB NOT NULL, PRIMARY KEY(document, start)) STRICT"},
    {"locator",
     "CREATE TABLE locator(document INTEGER NOT NULL REFERENCES document(id), "
     "ordinal INTEGER NOT NULL, kind INTEGER NOT NULL, number INTEGER NOT NULL, "
     "start INTEGER NOT NULL, label TEXT, PRIMARY KEY(document, ordinal)) STRICT, WITHOUT ROWID"},
    {"meta",
     "CREATE TABLE meta(document INTEGER NOT NULL REFERENCES document(id), key TEXT NOT NULL, "
     "ordinal INTEGER NOT NULL, kind TEXT NOT NULL, value ANY, "
     "PRIMARY KEY(document, key, ordinal)) STRICT, WITHOUT ROWID"},
    {"meta_value", "CREATE INDEX meta_value ON meta(key, kind, value)"},
    {"vector",
     "CREATE TABLE vector(id INTEGER PRIMARY KEY AUTOINCREMENT, "
     "model INTEGER NOT NULL REFERENCES model(id), hash BLOB NOT NULL, data BLOB NOT NULL, "
     "UNIQUE(model, hash)) STRICT"},
    {"chunk",
     "CREATE TABLE chunk(id INTEGER PRIMARY KEY AUTOINCREMENT, "
     "document INTEGER NOT NULL REFERENCES document(id), ordinal INTEGER NOT NULL, "
     "start_byte INTEGER NOT NULL, end_byte INTEGER NOT NULL, start_utf16 INTEGER NOT NULL, "
     "end_utf16 INTEGER NOT NULL, heading TEXT NOT NULL, tokens INTEGER NOT NULL, "
     "page INTEGER NOT NULL, time INTEGER NOT NULL, hash BLOB NOT NULL, "
     "model INTEGER REFERENCES model(id), vector INTEGER REFERENCES vector(id), "
     "seq INTEGER) STRICT"},
    {"chunk_document", "CREATE INDEX chunk_document ON chunk(document, ordinal)"},
    {"chunk_model", "CREATE INDEX chunk_model ON chunk(model, seq)"},
    {"chunk_vector", "CREATE INDEX chunk_vector ON chunk(vector) WHERE vector IS NOT NULL"},
    {"chunk_text",
     "CREATE VIEW chunk_text(id, title, heading, body) AS SELECT c.id, d.title, c.heading, "
     "CAST((SELECT substr(t.data, c.start_byte - t.start + 1, c.end_byte - c.start_byte) "
     "FROM document_text t WHERE t.document = c.document AND t.start <= c.start_byte "
     "ORDER BY t.start DESC LIMIT 1) AS TEXT) FROM chunk c JOIN document d ON d.id = c.document"},
    {"chunk_fts", "CREATE VIRTUAL TABLE chunk_fts USING fts5(title, heading, body, "
                  "content='chunk_text', content_rowid='id', tokenize='satchel')"},
    {"failure",
     "CREATE TABLE failure(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, "
     "root INTEGER NOT NULL REFERENCES root(id), path TEXT NOT NULL, status INTEGER NOT NULL, "
     "message TEXT NOT NULL, size INTEGER NOT NULL, modified INTEGER NOT NULL, "
     "readers INTEGER NOT NULL, skipped INTEGER NOT NULL, noted INTEGER NOT NULL) STRICT"},
    {"lease",
     "CREATE TABLE lease(id INTEGER PRIMARY KEY CHECK(id = 1), owner BLOB NOT NULL, "
     "process INTEGER NOT NULL, started INTEGER NOT NULL, expires INTEGER NOT NULL) STRICT"},
};

/* ------------------------------------------------------------------ making */

static satchel_status write_format(sat_connection *connection, const char *key, const char *value,
                                   satchel_error *error) {
    sat_query query;
    sat_query_begin(&query, connection, "INSERT OR REPLACE INTO format(key, value) VALUES(?1, ?2)");
    sat_bind_text(&query, 1, key, strlen(key));
    sat_bind_text(&query, 2, value, strlen(value));
    return sat_query_run(&query, error);
}

/* What the full-text index was made with. */
static satchel_status write_terms_version(sat_connection *connection, satchel_error *error) {
    char terms[16];
    snprintf(terms, sizeof terms, "%d", SAT_TERMS_VERSION);
    satchel_status status = write_format(connection, "terms", terms, error);
    return status ? status : write_format(connection, "unicode", sat_unicode_version(), error);
}

static satchel_status create_objects(sat_connection *connection, satchel_error *error) {
    satchel_status status = SATCHEL_OK;
    sat_query query;
    for (size_t i = 0; i < SAT_COUNT(objects) && !status; i++) {
        sat_query_begin_text(&query, connection, objects[i].sql, strlen(objects[i].sql));
        status = sat_query_run(&query, error);
    }
    if (!status)
        status = sat_sql_run(connection,
                             "INSERT INTO state(id, change, erased, seq, forgotten) "
                             "VALUES(1, 1, 0, 0, 0)",
                             error);
    if (!status)
        status = write_format(connection, "name", "satchel", error);
    if (!status) {
        char chunker[16];
        snprintf(chunker, sizeof chunker, "%d", SAT_CHUNKER_VERSION);
        status = write_format(connection, "chunker", chunker, error);
    }
    if (!status)
        status = write_terms_version(connection, error);
    return status;
}

/*
 * All of it in one transaction, still with a rollback journal: a kill leaves an empty file or a
 * whole store, never a database without a name. WAL comes after.
 */
static satchel_status create(sat_connection *connection, satchel_error *error) {
    satchel_status status = sat_sql_run(connection, "PRAGMA page_size=8192", error);
    if (!status)
        status = sat_sql_run(connection, "PRAGMA auto_vacuum=INCREMENTAL", error);
    if (!status)
        status = sat_sql_run(connection, "BEGIN IMMEDIATE", error);
    if (status)
        return status;
    /* Another process may have made it while we waited; then there is nothing to do. */
    int64_t there;
    status = sat_sql_int(connection, "SELECT count(*) FROM sqlite_schema", &there, error);
    if (!status && there == 0)
        status = create_objects(connection, error);
    if (!status && there == 0) {
        char version[96];
        snprintf(version, sizeof version, "PRAGMA application_id=%d; PRAGMA user_version=%d",
                 SAT_APPLICATION_ID, SAT_FORMAT_VERSION);
        int code = sqlite3_exec(connection->db, version, NULL, NULL, NULL);
        if (code != SQLITE_OK)
            status = sat_sql_fail(connection, code, error);
    }
    if (!status)
        status = sat_sql_run(connection, "COMMIT", error);
    if (status && !sqlite3_get_autocommit(connection->db))
        sqlite3_exec(connection->db, "ROLLBACK", NULL, NULL, NULL);
    return status;
}

/* ------------------------------------------------------------------ checking */

/* Every table as this format has it, and nothing else: a hostile schema must not run. */
static satchel_status check_objects(sat_connection *connection, satchel_error *error) {
    satchel_status status = SATCHEL_OK;
    for (size_t i = 0; i < SAT_COUNT(objects) && !status; i++) {
        sat_query query;
        bool same = false;
        sat_query_begin(&query, connection, "SELECT sql FROM sqlite_schema WHERE name = ?1");
        sat_bind_text(&query, 1, objects[i].name, strlen(objects[i].name));
        if (sat_query_row(&query))
            same = strcmp(sat_column_text(&query, 0, NULL), objects[i].sql) == 0;
        status = sat_query_end(&query, error);
        if (!status && !same)
            status = sat_fail(error, SATCHEL_DAMAGED,
                              "store '%s': table '%s' is missing or not as format %d has it; "
                              "restore a backup, or make the store anew",
                              connection->store->path, objects[i].name, SAT_FORMAT_VERSION);
    }
    int64_t known = 0;
    if (!status)
        status =
            sat_sql_int(connection,
                        "SELECT count(*) FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%' AND "
                        "NOT (name LIKE 'chunk_fts_%' AND type = 'table' AND "
                        "sql LIKE 'CREATE TABLE %')",
                        &known, error);
    if (!status && known != (int64_t)SAT_COUNT(objects))
        status =
            sat_fail(error, SATCHEL_DAMAGED,
                     "store '%s' has %" PRId64 " tables, indexes and views, format %d has %zu; "
                     "restore a backup, or make the store anew",
                     connection->store->path, known, SAT_FORMAT_VERSION, SAT_COUNT(objects));
    return status;
}

static satchel_status format_is(sat_connection *connection, const char *key, const char *value,
                                bool *same, satchel_error *error) {
    sat_query query;
    *same = false;
    sat_query_begin(&query, connection, "SELECT value FROM format WHERE key = ?1");
    sat_bind_text(&query, 1, key, strlen(key));
    if (sat_query_row(&query))
        *same = strcmp(sat_column_text(&query, 0, NULL), value) == 0;
    return sat_query_end(&query, error);
}

static satchel_status check_format(sat_connection *connection, bool *stale, satchel_error *error) {
    bool ours = false, terms = false, unicode = false;
    char version[16];
    snprintf(version, sizeof version, "%d", SAT_TERMS_VERSION);
    satchel_status status = format_is(connection, "name", "satchel", &ours, error);
    if (!status)
        status = format_is(connection, "terms", version, &terms, error);
    if (!status)
        status = format_is(connection, "unicode", sat_unicode_version(), &unicode, error);
    if (!status && !ours)
        status = sat_fail(error, SATCHEL_DAMAGED, "store '%s': its format table is empty",
                          connection->store->path);
    *stale = !terms || !unicode;
    return status;
}

static satchel_status check_header(sat_connection *connection, int64_t *pages,
                                   satchel_error *error) {
    int64_t application = 0, version = 0;
    const char *path = connection->store->path;
    satchel_status status = sat_sql_int(connection, "PRAGMA application_id", &application, error);
    if (!status)
        status = sat_sql_int(connection, "PRAGMA user_version", &version, error);
    if (!status)
        status = sat_sql_int(connection, "PRAGMA page_count", pages, error);
    if (status || *pages == 0)
        return status;
    if (application != SAT_APPLICATION_ID)
        return sat_fail(error, SATCHEL_NOT_A_STORE,
                        "'%s' is a SQLite database, but not of Satchel (application id 0x%08" PRIx64
                        "); nothing was changed",
                        path, (uint64_t)application & 0xffffffff);
    if (version > SAT_FORMAT_VERSION)
        return sat_fail(error, SATCHEL_TOO_NEW,
                        "store '%s' has format %" PRId64
                        ", this library reads up to %d; use a newer "
                        "Satchel",
                        path, version, SAT_FORMAT_VERSION);
    if (version < 1)
        return sat_fail(error, SATCHEL_DAMAGED, "store '%s' has the impossible format %" PRId64,
                        path, version);
    return SATCHEL_OK;
}

/* Readers and the writer do not hinder each other in WAL mode. Where the file system cannot do it,
 * the store works without. */
static satchel_status use_wal(sat_connection *connection, satchel_error *error) {
    sat_query query;
    bool wal = false;
    sat_query_begin(&query, connection, "PRAGMA journal_mode");
    if (sat_query_row(&query))
        wal = strcmp(sat_column_text(&query, 0, NULL), "wal") == 0;
    satchel_status status = sat_query_end(&query, error);
    if (status || wal)
        return status;
    satchel_error failure = {0};
    status = sat_sql_run(connection, "PRAGMA journal_mode=WAL", &failure);
    if (status == SATCHEL_BUSY) { /* someone is in it just now; the next open will do */
        sat_log(connection->store->context, SATCHEL_LOG_INFO, false,
                "a store stays without write-ahead log for now: it is in use");
        return SATCHEL_OK;
    }
    if (status)
        sat_error_copy(error, &failure);
    return status;
}

satchel_status sat_schema_open(sat_connection *connection, bool make, bool *stale,
                               satchel_error *error) {
    int64_t pages = 0;
    satchel_status status = check_header(connection, &pages, error);
    if (!status && pages == 0 && make) {
        status = create(connection, error);
        if (!status)
            status = check_header(connection, &pages, error);
    }
    if (status)
        return status;
    if (pages == 0)
        return sat_fail(error, SATCHEL_NOT_A_STORE, "'%s' is an empty file, not a store",
                        connection->store->path);
    if (make)
        status = use_wal(connection, error);
    if (!status)
        status = check_objects(connection, error);
    if (!status)
        status = check_format(connection, stale, error);
    return status;
}

satchel_status sat_schema_renew_terms(sat_connection *writer, satchel_error *error) {
    satchel_status status =
        sat_sql_run(writer, "INSERT INTO chunk_fts(chunk_fts) VALUES('rebuild')", error);
    if (!status)
        status = write_terms_version(writer, error);
    return status ? status : sat_state_raise(writer, false, error);
}

/* ------------------------------------------------------------------ state and model */

satchel_status sat_state_read(sat_connection *connection, sat_state *out, satchel_error *error) {
    sat_query query;
    *out = (sat_state){0};
    sat_query_begin(&query, connection,
                    "SELECT change, erased, seq, forgotten FROM state WHERE id = 1");
    bool found = sat_query_row(&query);
    if (found)
        *out = (sat_state){.change = sat_column_int(&query, 0),
                           .erased = sat_column_int(&query, 1),
                           .seq = sat_column_int(&query, 2),
                           .forgotten = sat_column_int(&query, 3)};
    satchel_status status = sat_query_end(&query, error);
    if (!status && !found)
        status = sat_fail(error, SATCHEL_DAMAGED, "store '%s': its state row is missing",
                          connection->store->path);
    return status;
}

satchel_status sat_state_raise(sat_connection *writer, bool erased, satchel_error *error) {
    sat_query query;
    sat_query_begin(&query, writer,
                    "UPDATE state SET change = change + 1, erased = erased + ?1 WHERE id = 1");
    sat_bind_int(&query, 1, erased);
    return sat_query_run(&query, error);
}

satchel_status sat_state_forget(sat_connection *writer, int64_t rows, satchel_error *error) {
    sat_query query;
    sat_query_begin(&query, writer, "UPDATE state SET forgotten = forgotten + ?1 WHERE id = 1");
    sat_bind_int(&query, 1, rows);
    return sat_query_run(&query, error);
}

satchel_status sat_state_next_seq(sat_connection *writer, int64_t *seq, satchel_error *error) {
    return sat_sql_int(writer, "UPDATE state SET seq = seq + 1 WHERE id = 1 RETURNING seq", seq,
                       error);
}

satchel_status sat_model_id(sat_connection *connection, bool make, int64_t *id,
                            satchel_error *error) {
    const sat_store *store = connection->store;
    *id = 0;
    if (!store->embedder)
        return SATCHEL_OK;
    sat_query query;
    int64_t dimension = store->embedder->dimension;
    sat_query_begin(&query, connection, "SELECT id, dimension FROM model WHERE fingerprint = ?1");
    sat_bind_text(&query, 1, store->fingerprint, strlen(store->fingerprint));
    if (sat_query_row(&query)) {
        *id = sat_column_int(&query, 0);
        dimension = sat_column_int(&query, 1);
    }
    satchel_status status = sat_query_end(&query, error);
    if (!status && dimension != store->embedder->dimension)
        return sat_fail(error, SATCHEL_WRONG_MODEL,
                        "store '%s' knows the model '%s' with dimension %" PRId64
                        ", the one given has %d; a changed model needs another id",
                        store->path, store->model_name, dimension, (int)store->embedder->dimension);
    if (status || *id || !make)
        return status;
    sat_query_begin(&query, connection,
                    "INSERT INTO model(fingerprint, name, dimension, max_tokens) "
                    "VALUES(?1, ?2, ?3, ?4)");
    sat_bind_text(&query, 1, store->fingerprint, strlen(store->fingerprint));
    sat_bind_text(&query, 2, store->model_name, strlen(store->model_name));
    sat_bind_int(&query, 3, store->embedder->dimension);
    sat_bind_int(&query, 4, store->embedder->max_tokens);
    status = sat_query_run(&query, error);
    if (!status)
        *id = sqlite3_last_insert_rowid(connection->db);
    return status;
}
