/* Checked queries on SQLite, and its result codes as ours. */
#include "retrieval/sql.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "retrieval/store.h"

/* ------------------------------------------------------------------ result codes */

static satchel_status status_of_errno(int os_code, satchel_status otherwise) {
    switch (os_code) {
    case ENOENT:
    case ENOTDIR:
        return SATCHEL_NOT_FOUND;
    case ENOSPC:
#ifdef EDQUOT
    case EDQUOT:
#endif
        return SATCHEL_DISK_FULL;
    case EACCES:
    case EROFS:
        return SATCHEL_PERMISSION;
    case EPERM: /* what file protection of a locked device answers */
        return SATCHEL_LOCKED;
    case ENOMEM:
        return SATCHEL_OUT_OF_MEMORY;
    default:
        return otherwise;
    }
}

static satchel_status status_of(int code, int os_code, const char **hint) {
    *hint = "";
    switch (code) {
    case SQLITE_IOERR_NOMEM:
        return SATCHEL_OUT_OF_MEMORY;
    case SQLITE_READONLY_DIRECTORY:
    case SQLITE_READONLY_CANTINIT:
        *hint = "; the folder must be writable, or open the store read-only";
        return SATCHEL_PERMISSION;
    case SQLITE_READONLY_DBMOVED:
        *hint = "; the file was moved or replaced while it was open: open it again";
        return SATCHEL_IO;
    default:
        break;
    }
    switch (code & 0xff) {
    case SQLITE_NOMEM:
        return SATCHEL_OUT_OF_MEMORY;
    case SQLITE_FULL:
        *hint = "; free some space, nothing was lost";
        return SATCHEL_DISK_FULL;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_PROTOCOL:
        *hint = "; another writer is at work: try again";
        return SATCHEL_BUSY;
    case SQLITE_INTERRUPT:
        return SATCHEL_CANCELLED;
    case SQLITE_CORRUPT:
        *hint = "; restore a backup, or make the store anew";
        return SATCHEL_DAMAGED;
    case SQLITE_NOTADB:
        return SATCHEL_NOT_A_STORE;
    case SQLITE_READONLY:
        return SATCHEL_READ_ONLY;
    case SQLITE_PERM:
    case SQLITE_AUTH:
        return SATCHEL_PERMISSION;
    case SQLITE_CANTOPEN:
        return status_of_errno(os_code, SATCHEL_IO);
    case SQLITE_IOERR:
        return os_code == ENOENT || os_code == ENOTDIR ? SATCHEL_IO
                                                       : status_of_errno(os_code, SATCHEL_IO);
    case SQLITE_TOOBIG:
        return SATCHEL_LIMIT;
    case SQLITE_NOLFS:
        return SATCHEL_UNSUPPORTED;
    case SQLITE_CONSTRAINT:
    case SQLITE_MISMATCH:
        *hint = "; the store's tables contradict each other: run verify";
        return SATCHEL_DAMAGED;
    default:
        return SATCHEL_INTERNAL;
    }
}

/* SQLite calls a page that the disk cannot give a damaged file. It is not: it may be read tomorrow.
 * Returns the system's error if the last operation on the database or its WAL was such. */
static int read_error(sqlite3 *db) {
    sqlite3_file *files[2] = {NULL, NULL};
    sqlite3_file_control(db, "main", SQLITE_FCNTL_FILE_POINTER, &files[0]);
    sqlite3_file_control(db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &files[1]);
    for (size_t i = 0; i < SAT_COUNT(files); i++) {
        int code = 0;
        if (files[i] && files[i]->pMethods &&
            files[i]->pMethods->xFileControl(files[i], SQLITE_FCNTL_LAST_ERRNO, &code) ==
                SQLITE_OK &&
            (code == EIO || code == ENXIO))
            return code;
    }
    return 0;
}

satchel_status sat_sql_fail(sat_connection *connection, int code, satchel_error *error) {
    const char *hint;
    int os_code = 0, primary = code & 0xff;
    if (primary == SQLITE_CANTOPEN || primary == SQLITE_IOERR)
        os_code = sqlite3_system_errno(connection->db);
    if (primary == SQLITE_CORRUPT && (os_code = read_error(connection->db)) != 0)
        code = SQLITE_IOERR_READ;
    satchel_status status = status_of(code, os_code, &hint);
    const char *path = connection->store ? connection->store->path : "";
    if (status == SATCHEL_CANCELLED)
        sat_fail(error, status, "cancelled");
    else
        sat_fail(error, status, "store '%s': %s (SQLite result %d)%s", path ? path : "",
                 sqlite3_errmsg(connection->db), code, hint);
    if (error)
        error->os_code = os_code;
    return status;
}

/* ------------------------------------------------------------------ queries */

static void prepare(sat_query *query, const char *sql, size_t length, unsigned flags) {
    if (length >= INT_MAX) {
        query->code = SQLITE_TOOBIG;
        return;
    }
    /* The size includes the NUL: SQLite then need not copy the text. */
    query->code = sqlite3_prepare_v3(query->connection->db, sql, (int)length + 1, flags,
                                     &query->statement, NULL);
}

void sat_query_begin(sat_query *query, sat_connection *connection, const char *sql) {
    *query = (sat_query){.connection = connection};
    size_t mask = SAT_STATEMENT_CACHE - 1;
    size_t at = (size_t)(((uintptr_t)sql * UINT64_C(0x9E3779B97F4A7C15)) >> 40) & mask;
    size_t probes = 0;
    while (connection->cache[at].sql && connection->cache[at].sql != sql && probes++ < mask)
        at = (at + 1) & mask;
    if (connection->cache[at].sql == sql && !sqlite3_stmt_busy(connection->cache[at].statement)) {
        query->statement = connection->cache[at].statement;
        query->cached = true;
        return;
    }
    prepare(query, sql, strlen(sql), SQLITE_PREPARE_PERSISTENT);
    if (query->code == SQLITE_OK && !connection->cache[at].sql) {
        connection->cache[at].sql = sql;
        connection->cache[at].statement = query->statement;
        query->cached = true;
    }
}

void sat_query_begin_text(sat_query *query, sat_connection *connection, const char *sql,
                          size_t length) {
    *query = (sat_query){.connection = connection};
    prepare(query, sql, length, 0);
}

static void note(sat_query *query, int code) {
    if (query->code == SQLITE_OK)
        query->code = code;
}

void sat_bind_int(sat_query *query, int at, int64_t value) {
    if (query->code == SQLITE_OK)
        note(query, sqlite3_bind_int64(query->statement, at, value));
}

void sat_bind_real(sat_query *query, int at, double value) {
    if (query->code == SQLITE_OK)
        note(query, sqlite3_bind_double(query->statement, at, value));
}

void sat_bind_text(sat_query *query, int at, const char *text, size_t length) {
    if (query->code == SQLITE_OK)
        note(query, sqlite3_bind_text64(query->statement, at, text ? text : "", length,
                                        SQLITE_STATIC, SQLITE_UTF8));
}

void sat_bind_blob(sat_query *query, int at, const void *data, size_t length) {
    if (query->code == SQLITE_OK)
        note(query,
             sqlite3_bind_blob64(query->statement, at, data ? data : "", length, SQLITE_STATIC));
}

void sat_bind_null(sat_query *query, int at) {
    if (query->code == SQLITE_OK)
        note(query, sqlite3_bind_null(query->statement, at));
}

bool sat_query_row(sat_query *query) {
    if (query->code != SQLITE_OK)
        return false;
    int code = sqlite3_step(query->statement);
    if (code != SQLITE_ROW && code != SQLITE_DONE)
        note(query, code);
    return code == SQLITE_ROW;
}

void sat_query_again(sat_query *query) {
    if (query->statement) /* a failure was noted by the step that met it */
        sqlite3_reset(query->statement);
}

satchel_status sat_query_end(sat_query *query, satchel_error *error) {
    satchel_status status = SATCHEL_OK;
    /* First the message, which the next call on the connection overwrites. */
    if (query->code != SQLITE_OK)
        status = sat_sql_fail(query->connection, query->code, error);
    if (query->statement && query->cached) {
        sqlite3_reset(query->statement);
        sqlite3_clear_bindings(query->statement);
    } else {
        sqlite3_finalize(query->statement);
    }
    query->statement = NULL;
    return status;
}

satchel_status sat_query_run(sat_query *query, satchel_error *error) {
    while (sat_query_row(query)) {
    }
    return sat_query_end(query, error);
}

/* ------------------------------------------------------------------ columns */

int64_t sat_column_int(sat_query *query, int column) {
    return sqlite3_column_int64(query->statement, column);
}

double sat_column_real(sat_query *query, int column) {
    return sqlite3_column_double(query->statement, column);
}

bool sat_column_is_null(sat_query *query, int column) {
    return sqlite3_column_type(query->statement, column) == SQLITE_NULL;
}

const char *sat_column_text(sat_query *query, int column, size_t *length) {
    const unsigned char *text = sqlite3_column_text(query->statement, column);
    if (!text) {
        if (!sat_column_is_null(query, column))
            note(query, SQLITE_NOMEM);
        if (length)
            *length = 0;
        return "";
    }
    if (length)
        *length = (size_t)sqlite3_column_bytes(query->statement, column);
    return (const char *)text;
}

const void *sat_column_blob(sat_query *query, int column, size_t *length) {
    const void *data = sqlite3_column_blob(query->statement, column);
    *length = data ? (size_t)sqlite3_column_bytes(query->statement, column) : 0;
    /* An empty blob is NULL too; a blob with a length is NULL only when memory ran out. */
    if (!data && sqlite3_errcode(query->connection->db) == SQLITE_NOMEM)
        note(query, SQLITE_NOMEM);
    return data ? data : "";
}

sat_digest sat_column_digest(sat_query *query, int column) {
    sat_digest digest = {{0}};
    size_t length;
    const void *data = sat_column_blob(query, column, &length);
    if (length == sizeof digest.bytes)
        memcpy(digest.bytes, data, sizeof digest.bytes);
    else if (!sat_column_is_null(query, column))
        note(query, SQLITE_CORRUPT);
    return digest;
}

bool sat_column_floats(sat_query *query, int column, float *out, size_t count) {
    size_t size;
    const void *data = sat_column_blob(query, column, &size);
    if (size != count * sizeof *out)
        return false;
    memcpy(out, data, size);
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, out + i, 4);
        bits = __builtin_bswap32(bits);
        memcpy(out + i, &bits, 4);
    }
#endif
    return true;
}

char *sat_column_copy(sat_query *query, int column, sat_arena *arena) {
    size_t length;
    const char *text = sat_column_text(query, column, &length);
    return sat_arena_strdup(arena, text, length);
}

/* ------------------------------------------------------------------ single statements */

satchel_status sat_sql_run(sat_connection *connection, const char *sql, satchel_error *error) {
    sat_query query;
    sat_query_begin(&query, connection, sql);
    return sat_query_run(&query, error);
}

satchel_status sat_sql_int(sat_connection *connection, const char *sql, int64_t *value,
                           satchel_error *error) {
    sat_query query;
    *value = 0;
    sat_query_begin(&query, connection, sql);
    if (sat_query_row(&query))
        *value = sat_column_int(&query, 0);
    return sat_query_end(&query, error);
}
