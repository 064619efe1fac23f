/*
 * SQLite behind a small, checked interface: connections with a statement cache, queries whose first
 * failure sticks, and the one place where SQLite's result codes become ours. Private to retrieval.
 */
#ifndef SATCHEL_RETRIEVAL_SQL_H
#define SATCHEL_RETRIEVAL_SQL_H

#include <sqlite3.h>

#include "base/base.h"
#include "retrieval/terms.h"

/* STRICT tables and extended result codes at opening. */
#define SAT_SQLITE_MINIMUM 3037000
#if SQLITE_VERSION_NUMBER < SAT_SQLITE_MINIMUM
#error "Satchel needs SQLite 3.37 or newer"
#endif

/* Statements kept prepared per connection; a power of two, larger than the number of SQL texts. */
#define SAT_STATEMENT_CACHE 128

/* One SQLite connection; used by one thread at a time. */
typedef struct sat_connection {
    struct sat_store *store;
    sqlite3 *db;
    sat_terms *terms;             /* of this connection's user; made at first need */
    const satchel_cancel *cancel; /* polled inside long statements and while waiting; may be NULL */
    int64_t wait_until; /* sat_clock_ms() at which waiting for a lock ends; 0: not waiting */
    struct sat_connection *next; /* in the list of idle readers */
    struct {
        const char *sql; /* by address: SQL texts are string literals */
        sqlite3_stmt *statement;
    } cache[SAT_STATEMENT_CACHE];
} sat_connection;

/*
 * One run of a statement. Failures stick: bind and step freely, then check what sat_query_end()
 * returns. It must be called in any case, because a statement that is not reset keeps its lock.
 *
 *     sat_query q;
 *     sat_query_begin(&q, connection, "SELECT id FROM document WHERE name = ?1");
 *     sat_bind_text(&q, 1, name, length);
 *     while (sat_query_row(&q))
 *         id = sat_column_int(&q, 0);
 *     status = sat_query_end(&q, error);
 */
typedef struct sat_query {
    sat_connection *connection;
    sqlite3_stmt *statement;
    int code; /* the first SQLite failure */
    bool cached;
} sat_query;

/* `sql` is a string literal: its address is its key in the cache. */
void sat_query_begin(sat_query *query, sat_connection *connection, const char *sql);
/* For SQL that was put together: prepared anew, not kept. */
void sat_query_begin_text(sat_query *query, sat_connection *connection, const char *sql,
                          size_t length);
void sat_bind_int(sat_query *query, int at, int64_t value);
void sat_bind_real(sat_query *query, int at, double value);
/* Text and blobs are not copied: they live until the query ends. */
void sat_bind_text(sat_query *query, int at, const char *text, size_t length);
void sat_bind_blob(sat_query *query, int at, const void *data, size_t length);
void sat_bind_null(sat_query *query, int at);
/* True at each row, false at the end and after a failure. */
bool sat_query_row(sat_query *query);
/* Ends the run and makes the statement ready for another. OK, or what went wrong first. */
satchel_status sat_query_end(sat_query *query, satchel_error *error);
/* Steps through all rows, then as sat_query_end(). */
satchel_status sat_query_run(sat_query *query, satchel_error *error);
/* Rows to be bound and run again without ending the query: resets, keeps the bindings. */
void sat_query_again(sat_query *query);

int64_t sat_column_int(sat_query *query, int column);
double sat_column_real(sat_query *query, int column);
bool sat_column_is_null(sat_query *query, int column);
/* Valid until the next row. Never NULL: "" for NULL and after a failure. */
const char *sat_column_text(sat_query *query, int column, size_t *length);
const void *sat_column_blob(sat_query *query, int column, size_t *length);
/* A 16-byte digest; marks the store damaged if the column has another size. */
sat_digest sat_column_digest(sat_query *query, int column);
/* Decodes a vector, float32 little-endian; false if the column has not `count` of them. */
bool sat_column_floats(sat_query *query, int column, float *out, size_t count);
/* Copies a text into an arena; NULL when out of memory. */
char *sat_column_copy(sat_query *query, int column, sat_arena *arena);

/* Runs a literal statement without parameters and ignores its rows. */
satchel_status sat_sql_run(sat_connection *connection, const char *sql, satchel_error *error);
/* The integer in the first column of the first row of a literal statement; 0 if there is none. */
satchel_status sat_sql_int(sat_connection *connection, const char *sql, int64_t *value,
                           satchel_error *error);

/* Fills *error for a SQLite result code that this connection's last call returned. */
satchel_status sat_sql_fail(sat_connection *connection, int code, satchel_error *error);

/* `connection` may be half made. Closing finalises its statements. */
satchel_status sat_connection_open(sat_connection **out, struct sat_store *store, bool write,
                                   satchel_error *error);
void sat_connection_close(sat_connection *connection);
/* The connection's tokenizer. */
satchel_status sat_connection_terms(sat_connection *connection, sat_terms **out,
                                    satchel_error *error);

#endif
