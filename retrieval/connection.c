/*
 * Connections: how each is set up, the pool of readers, and the one writer. A reader keeps one
 * snapshot from begin to end; the writer's lock is held from BEGIN to COMMIT, never longer.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "retrieval/store.h"

/* SQLite virtual machine steps between looks at the cancel handle. */
#define PROGRESS_STEPS 2000

static int on_progress(void *user) {
    const sat_connection *connection = user;
    return sat_cancelled(connection->cancel);
}

/* Waits for another process's lock: 0 gives up. */
static int on_busy(void *user, int tries) {
    sat_connection *connection = user;
    if (sat_cancelled(connection->cancel))
        return 0;
    int64_t now = sat_clock_ms();
    if (tries == 0)
        connection->wait_until = now + SAT_LOCK_WAIT_MS;
    if (now >= connection->wait_until)
        return 0;
    long ms = tries < 5 ? 1 : tries < 20 ? 5 : 25;
    nanosleep(&(struct timespec){.tv_nsec = ms * 1000000}, NULL);
    return 1;
}

static void glob_function(sqlite3_context *context, int count, sqlite3_value **values) {
    (void)count;
    const char *pattern = (const char *)sqlite3_value_text(values[0]);
    const char *text = (const char *)sqlite3_value_text(values[1]);
    if (!pattern || !text)
        return; /* NULL */
    sqlite3_result_int(context, sat_glob_match(pattern, (size_t)sqlite3_value_bytes(values[0]),
                                               text, (size_t)sqlite3_value_bytes(values[1])));
}

/* "file:…?immutable=1": the only name that says so. NULL when out of memory. */
static bool immutable_name(sat_buffer *out, const char *path) {
    static const char plain[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/._-~";
    sat_buffer_append_text(out, path[0] == '/' ? "file://" : "file:");
    for (const char *p = path; *p; p++) {
        if (strchr(plain, *p))
            sat_buffer_append(out, p, 1);
        else
            sat_buffer_append_format(out, "%%%02X", (unsigned)(unsigned char)*p);
    }
    return sat_buffer_append_text(out, "?immutable=1");
}

static int open_database(sat_connection *connection, const sat_store *store, bool write) {
    int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE |
                (write ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READONLY);
    sat_buffer name;
    sat_buffer_init(&name, store->memory);
    bool ok;
    if (store->immutable) {
        ok = immutable_name(&name, store->path);
        flags |= SQLITE_OPEN_URI;
    } else {
        /* Some builds of SQLite read any name that starts so as an URI. */
        ok = sat_buffer_append_text(&name, strncmp(store->path, "file:", 5) == 0 ? "./" : "") &&
             sat_buffer_append_text(&name, store->path);
    }
    int code = ok ? sqlite3_open_v2(name.data, &connection->db, flags, NULL) : SQLITE_NOMEM;
    sat_buffer_free(&name);
    return code;
}

/* No trigger, view function or shadow table of a hostile file may act on its own. */
static int harden(sqlite3 *db) {
    int code = sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_db_config(db, SQLITE_DBCONFIG_DQS_DML, 0, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_db_config(db, SQLITE_DBCONFIG_DQS_DDL, 0, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_FKEY, 1, NULL);
    return code;
}

/* Settings that live in the connection; none of them touches the file. */
static const char settings[] = "PRAGMA temp_store=MEMORY;"
                               "PRAGMA mmap_size=0;"
                               "PRAGMA secure_delete=ON;"
                               "PRAGMA synchronous=FULL;"
                               "PRAGMA cell_size_check=ON;"
                               "PRAGMA journal_size_limit=16777216;"
                               "PRAGMA fullfsync=ON;"
                               "PRAGMA checkpoint_fullfsync=ON;";

satchel_status sat_connection_open(sat_connection **out, sat_store *store, bool write,
                                   satchel_error *error) {
    *out = NULL;
    sat_connection *connection = sat_calloc(store->memory, 1, sizeof *connection);
    if (!connection)
        return sat_memory_fail(store->memory, sizeof *connection, error);
    connection->store = store;
    satchel_status status = SATCHEL_OK;
    int code = open_database(connection, store, write);
    if (code == SQLITE_OK)
        code = harden(connection->db);
    if (code == SQLITE_OK)
        code = sqlite3_busy_handler(connection->db, on_busy, connection);
    if (code == SQLITE_OK)
        code = sqlite3_create_function(connection->db, "satchel_glob", 2,
                                       SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_DIRECTONLY, NULL,
                                       glob_function, NULL, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_exec(connection->db, settings, NULL, NULL, NULL);
    if (code == SQLITE_OK && write)
        code = sqlite3_exec(connection->db, "PRAGMA cache_size=-8192", NULL, NULL, NULL);
    if (code != SQLITE_OK)
        status = connection->db ? sat_sql_fail(connection, code, error)
                                : sat_memory_fail(store->memory, sizeof *connection, error);
    if (!status)
        status = sat_fts_register(connection->db, store->memory, error);
    if (status) {
        sat_connection_close(connection);
        return status;
    }
    sqlite3_progress_handler(connection->db, PROGRESS_STEPS, on_progress, connection);
    *out = connection;
    return SATCHEL_OK;
}

void sat_connection_close(sat_connection *connection) {
    if (!connection)
        return;
    sat_memory *memory = connection->store->memory;
    for (size_t i = 0; i < SAT_STATEMENT_CACHE; i++)
        sqlite3_finalize(connection->cache[i].statement);
    sat_terms_close(&connection->terms);
    sqlite3_close(connection->db);
    sat_free(memory, connection);
}

satchel_status sat_connection_terms(sat_connection *connection, sat_terms **out,
                                    satchel_error *error) {
    satchel_status status = SATCHEL_OK;
    if (!connection->terms)
        status = sat_terms_open(&connection->terms, connection->store->memory, error);
    *out = connection->terms;
    return status;
}

/* ------------------------------------------------------------------ transactions */

static void rollback(sat_connection *connection) {
    connection->cancel = NULL; /* a cancelled rollback would stay half done */
    /* Some failures end the transaction by themselves. */
    if (!sqlite3_get_autocommit(connection->db))
        sqlite3_exec(connection->db, "ROLLBACK", NULL, NULL, NULL);
}

satchel_status sat_reader_begin(sat_store *store, const satchel_cancel *cancel,
                                sat_connection **out, satchel_error *error) {
    *out = NULL;
    satchel_status status = sat_cancel_check(cancel, error);
    if (status)
        return status;
    pthread_mutex_lock(&store->pool_lock);
    sat_connection *reader = store->idle;
    if (reader) {
        store->idle = reader->next;
        store->idle_count--;
    }
    pthread_mutex_unlock(&store->pool_lock);
    if (!reader)
        status = sat_connection_open(&reader, store, false, error);
    if (status)
        return status;
    reader->next = NULL;
    reader->cancel = cancel;
    status = sat_sql_run(reader, "BEGIN", error);
    if (status) {
        sat_reader_end(reader);
        return status;
    }
    *out = reader;
    return SATCHEL_OK;
}

satchel_status sat_reader_renew(sat_connection *reader, satchel_error *error) {
    const satchel_cancel *cancel = reader->cancel;
    rollback(reader);
    reader->cancel = cancel;
    return sat_sql_run(reader, "BEGIN", error);
}

void sat_reader_end(sat_connection *reader) {
    if (!reader)
        return;
    sat_store *store = reader->store;
    rollback(reader);
    pthread_mutex_lock(&store->pool_lock);
    bool keep = store->idle_count < SAT_IDLE_READERS && sqlite3_get_autocommit(reader->db);
    if (keep) {
        reader->next = store->idle;
        store->idle = reader;
        store->idle_count++;
    }
    pthread_mutex_unlock(&store->pool_lock);
    if (!keep)
        sat_connection_close(reader);
}

/*
 * After a failure of memory or of the disk the writer starts again with a new connection: FTS5
 * keeps counters and a blob handle across a rollback, and those of a statement that ran out of
 * memory half way (SQLite 3.40) would go into the next commit.
 */
static void drop_writer(sat_store *store, satchel_status status) {
    rollback(store->writer);
    /* These are answers, not failures: no statement was cut off. */
    if (status == SATCHEL_BUSY || status == SATCHEL_NOT_FOUND || status == SATCHEL_EXISTS)
        return;
    sat_connection_close(store->writer);
    store->writer = NULL;
}

/* The first write to a store whose terms are of another version indexes its text anew. */
static satchel_status renew_terms(sat_store *store, sat_connection *writer, satchel_error *error) {
    satchel_status status = sat_sql_run(writer, "BEGIN IMMEDIATE", error);
    if (!status)
        status = sat_schema_renew_terms(writer, error);
    if (!status)
        status = sat_sql_run(writer, "COMMIT", error);
    if (status) {
        rollback(writer);
        return status;
    }
    store->terms_stale = false;
    return SATCHEL_OK;
}

satchel_status sat_writer_begin(sat_store *store, const satchel_cancel *cancel,
                                sat_connection **out, satchel_error *error) {
    *out = NULL;
    satchel_status status = sat_cancel_check(cancel, error);
    if (status)
        return status;
    if (store->read_only)
        return sat_fail(error, SATCHEL_READ_ONLY,
                        "store '%s' was opened for reading only; open it without read_only",
                        store->path);
    pthread_mutex_lock(&store->writer_lock);
    if (!store->writer) {
        status = sat_connection_open(&store->writer, store, true, error);
        if (status) {
            pthread_mutex_unlock(&store->writer_lock);
            return status;
        }
    }
    sat_connection *writer = store->writer;
    writer->cancel = cancel;
    if (store->terms_stale)
        status = renew_terms(store, writer, error);
    if (!status)
        status = sat_sql_run(writer, "BEGIN IMMEDIATE", error);
    if (status) {
        drop_writer(store, status);
        pthread_mutex_unlock(&store->writer_lock);
        /* Waiting ends at a cancel too, and SQLite then speaks of a lock. */
        return sat_cancelled(cancel) ? sat_cancel_check(cancel, error) : status;
    }
    *out = writer;
    return SATCHEL_OK;
}

void sat_writer_abandon(sat_connection *writer) {
    rollback(writer);
    pthread_mutex_unlock(&writer->store->writer_lock);
}

satchel_status sat_writer_end(sat_connection *writer, satchel_status status, satchel_error *error) {
    sat_store *store = writer->store;
    if (!status)
        status = sat_sql_run(writer, "COMMIT", error);
    rollback(writer);
    if (status)
        drop_writer(store, status);
    pthread_mutex_unlock(&store->writer_lock);
    return status;
}
