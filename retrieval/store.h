/*
 * The store: its file format, struct sat_store, and what the store's own files need of each other.
 * Private to retrieval.
 *
 * FORMAT 1. One SQLite database in WAL mode. SQLite is the truth; nothing outside the file is
 * needed to read it. docs/store-format.md tells the same story for people with other tools.
 *
 *   application_id 0x53544348 ("STCH")      user_version 1: this number
 *   page_size 8192                          auto_vacuum INCREMENTAL
 *
 *   table         one row per      columns (B: bytes, ms: Unix milliseconds)
 *   ------------  ---------------  --------------------------------------------------------------
 *   format        key              key, value: name "satchel", terms (SAT_TERMS_VERSION), unicode
 *                                  (version of its character data), chunker, index (the vector
 *                                  index that is trusted, see index.h; may be absent)
 *   state         store            change: raised by every commit that changes what a search can
 *                                  find; erased: raised whenever a chunk goes, moves, or its
 *                                  vector changes; seq: the last chunk.seq given; forgotten: rows
 *                                  taken out of chunk_fts since it was last swept
 *   model         fingerprint      fingerprint, name, dimension, max_tokens
 *   root          synced folder    name, path (where it was last), synced (ms)
 *   document      document         name: the public id, NFC; root: NULL if the app added it;
 *                                  title, title_given (1: not the reader's), media_type, metadata
 *                                  (JSON text as given), modified (ms), source_size (B),
 *                                  source_modified (Unix ns; -1: look at the bytes), source_hash,
 *                                  source_start (byte of the source where the text begins
 *                                  verbatim, -1: it is not verbatim), text_bytes, text_hash,
 *                                  budget (tokens a chunk may have), counter (model that counted
 *                                  them; NULL: estimated)
 *   document_text piece of text    document, start (B), data: UTF-8; pieces follow each other
 *                                  without gaps, cut so that each chunk lies in one
 *   locator       mark in a text   document, ordinal, kind (SATCHEL_LOCATOR_*), number, start (B),
 *                                  label
 *   meta          metadata value   document, key, ordinal (in an array, else 0), kind ('s'tring,
 *                                  'n'umber, 'b'oolean, 'e'mpty array), value
 *   chunk         chunk            document, ordinal (0, 1, … in the text's order), start_byte,
 *                                  end_byte, start_utf16, end_utf16 (range in the text), heading,
 *                                  tokens, page, time (ms, -1 unknown), hash (of the embedded
 *                                  text), and model, vector, seq: all three NULL while it is to be
 *                                  embedded
 *   vector        embedding        model, hash (chunk.hash), data: float32 little-endian, length 1
 *   chunk_text    (view)           what the full-text index holds of a chunk: id, title, heading,
 *                                  body
 *   chunk_fts     chunk            external-content FTS5 with the tokenizer "satchel": title,
 *                                  heading, body; content chunk_text
 *   failure       unreadable file  name, root, path, status, message, size, modified (ns), readers
 *                                  (hash of the readers that were there), skipped, noted (ms)
 *   lease         running sync     owner (16 random bytes; 17: upkeep of the vector index, which
 *                                  gives way to a sync), process, started, expires (ms)
 *
 * Hashes are the first 16 bytes of SHA-256. Ids are AUTOINCREMENT: one is never used again.
 *
 * Invariants, each checked by verify:
 *  - a document's chunks, text, keywords, locators and metadata change in one transaction;
 *  - the full-text index has exactly the rows of `chunk`, with the terms of chunk_text;
 *  - chunk (model, vector) leads to a vector of that model and of the chunk's hash;
 *  - no vector is without a chunk, no locator, piece, or meta row without its document;
 *  - chunk.seq is unique among those not NULL, and at most state.seq.
 */
#ifndef SATCHEL_RETRIEVAL_STORE_H
#define SATCHEL_RETRIEVAL_STORE_H

#include <pthread.h>

#include "retrieval/document.h"
#include "retrieval/retrieval.h"
#include "retrieval/sql.h"

#define SAT_APPLICATION_ID 0x53544348
#define SAT_FORMAT_VERSION 1
#define SAT_CHUNKER_VERSION 1

#define SAT_PIECE_BYTES 32768  /* a text piece grows to about this */
#define SAT_DEFAULT_BUDGET 256 /* tokens of a chunk without a model */
#define SAT_MAX_ID_BYTES 1024
#define SAT_MAX_METADATA_BYTES (1 << 20)
#define SAT_MAX_DIMENSION 8192
#define SAT_LOCK_WAIT_MS 5000 /* for another process's commit */
#define SAT_IDLE_READERS 8    /* kept open */

typedef struct sat_collection sat_collection;
typedef struct sat_index sat_index;

/* What stands between a store's path and the number in the name of a vector index, see index.h. */
#define SAT_INDEX_SUFFIX "-index-"

struct sat_store {
    satchel_context *context;
    sat_memory *memory; /* the context's */
    char *path;         /* as SQLite resolved it: absolute */
    bool read_only;
    bool immutable;                   /* read-only media: opened without locks */
    const satchel_embedder *embedder; /* NULL: keywords only */
    char *fingerprint, *model_name;
    int32_t budget; /* tokens of a chunk */

    pthread_mutex_t writer_lock; /* guards what follows, held from BEGIN to COMMIT */
    sat_connection
        *writer; /* NULL in a read-only store, and until the next write after a failure */
    _Atomic bool terms_stale; /* written with other terms: the first write indexes anew */

    pthread_mutex_t pool_lock; /* guards idle */
    sat_connection *idle;
    size_t idle_count;

    pthread_mutex_t reader_lock; /* guards readers; held while one of them reads */
    sat_readers readers;

    sat_collection *collection; /* for searches */
    sat_index *index;           /* the vector index, where there are enough vectors */
};

/* ------------------------------------------------------------------ connections: connection.c */

/* Takes an idle reader, or a new one, and begins a read transaction: one snapshot to the end. */
satchel_status sat_reader_begin(sat_store *store, const satchel_cancel *cancel,
                                sat_connection **out, satchel_error *error);
/* Another snapshot, at least as new. */
satchel_status sat_reader_renew(sat_connection *reader, satchel_error *error);
void sat_reader_end(sat_connection *reader); /* NULL is fine */

/* Waits for the writer connection and begins a write transaction. READ_ONLY, BUSY, … */
satchel_status sat_writer_begin(sat_store *store, const satchel_cancel *cancel,
                                sat_connection **out, satchel_error *error);
/* Commits if `status` is OK, else rolls back. Returns the first failure. */
satchel_status sat_writer_end(sat_connection *writer, satchel_status status, satchel_error *error);
/* Rolls back what was never meant to be kept. */
void sat_writer_abandon(sat_connection *writer);

/* ------------------------------------------------------------------ schema.c */

/* Makes the tables if the file is empty and `create` is set, else checks that this is a store that
 * we can read. *stale: its terms are of another version. */
satchel_status sat_schema_open(sat_connection *connection, bool create, bool *stale,
                               satchel_error *error);
/* Indexes all text anew with the terms of today. Inside a write transaction. */
satchel_status sat_schema_renew_terms(sat_connection *writer, satchel_error *error);

typedef struct sat_state {
    int64_t change, erased, seq, forgotten;
} sat_state;
satchel_status sat_state_read(sat_connection *connection, sat_state *out, satchel_error *error);
/* Adds to the counters; inside a write transaction. */
satchel_status sat_state_raise(sat_connection *writer, bool erased, satchel_error *error);
/* Counts rows taken out of the full-text index; negative: swept. Inside a write transaction. */
satchel_status sat_state_forget(sat_connection *writer, int64_t rows, satchel_error *error);
/* The next chunk.seq; inside a write transaction. */
satchel_status sat_state_next_seq(sat_connection *writer, int64_t *seq, satchel_error *error);

/* The row id of the store's embedder, 0 if it has none. With `make`, inside a write transaction,
 * adds the row. WRONG_MODEL if the fingerprint is known with another dimension. */
satchel_status sat_model_id(sat_connection *connection, bool make, int64_t *id,
                            satchel_error *error);

/* ------------------------------------------------------------------ metadata.c */

/* Appends the NFC of an id, checked: 1 to 1,024 bytes of UTF-8 without control characters. */
satchel_status sat_id_normalize(sat_buffer *out, const char *id, size_t length, const char *what,
                                satchel_error *error);
/* Checks a metadata object and gives its parsed form (a new reference). NULL or "" is {}. */
satchel_status sat_metadata_parse(json_t **out, const char *metadata, satchel_error *error);
/* Replaces the rows of a document in `meta`. */
satchel_status sat_metadata_write(sat_connection *writer, int64_t document, const json_t *metadata,
                                  satchel_error *error);

/* ------------------------------------------------------------------ rows of a text: rows.c */

/* Makes the chunks, keywords, text pieces and locators of a document those of `document` and
 * `chunks`. Chunks of the same hash keep their id, keywords and vector. old_title: the one its
 * keywords were indexed with; NULL for a new document. Raises the state. Inside a write
 * transaction, as all here. */
typedef struct sat_rows_change {
    int64_t document; /* row id */
    const char *old_title, *title;
    bool text_changed;
    const sat_document *text;
    const sat_chunk_list *chunks;
    int64_t reused; /* out: chunks that have a vector of the store's model */
} sat_rows_change;
satchel_status sat_rows_replace(sat_connection *writer, sat_rows_change *change,
                                satchel_error *error);
/* Removes all of them. */
satchel_status sat_rows_remove(sat_connection *writer, int64_t document, const char *title,
                               satchel_error *error);
/* Indexes the keywords with another title. */
satchel_status sat_rows_retitle(sat_connection *writer, int64_t document, const char *old_title,
                                const char *title, satchel_error *error);
/* Appends the stored text from byte `start` to `end` of a document. DAMAGED if it is not all
 * there. */
satchel_status sat_text_read(sat_connection *connection, int64_t document, int64_t start,
                             int64_t end, sat_buffer *out, satchel_error *error);
/* The page and the time at byte `start` of the document that a chunk is of. What the locators do not
 * tell, or no longer, is left as it is. */
satchel_status sat_place_find(sat_connection *connection, int64_t chunk, int64_t start,
                              int32_t *page, int64_t *time_ms, satchel_error *error);

/* ------------------------------------------------------------------ ingest.c */

/* A document read and cut, on its way into the store. Strings are borrowed. */
typedef struct sat_incoming {
    const char *name;     /* normalized id */
    int64_t root;         /* 0: the app's own */
    const char *title;    /* NULL: the reader's, else the last part of the id */
    const char *metadata; /* as given, never NULL */
    const json_t *metadata_json;
    int64_t modified_ms, source_size, source_modified_ns;
    sat_digest source_hash;
    bool verbatim; /* the bytes are the text itself, valid UTF-8: no reader, no decoding */
    sat_document document;
    sat_chunk_list chunks;
} sat_incoming;

typedef struct sat_written {
    int64_t document; /* row id */
    bool existed;
    int64_t chunks;        /* in all */
    int64_t chunks_reused; /* of them, with a vector of the store's model already */
} sat_written;

void sat_incoming_init(sat_incoming *incoming, sat_memory *memory);
void sat_incoming_free(sat_incoming *incoming);
/* Reads and cuts bytes: callbacks run in here, so no transaction is open. */
satchel_status sat_incoming_read(sat_incoming *incoming, sat_store *store, const char *media_type,
                                 const void *data, size_t length, satchel_error *error);
/* Adds or replaces the document; inside a write transaction. Raises the state. */
satchel_status sat_ingest_write(sat_connection *writer, const sat_incoming *incoming,
                                sat_written *written, satchel_error *error);
/* Gives a document another name; its chunks and vectors stay. */
satchel_status sat_ingest_rename(sat_connection *writer, int64_t document, const char *name,
                                 int64_t modified_ms, int64_t source_modified_ns,
                                 satchel_error *error);
/* Removes a document with all that hangs on it. */
satchel_status sat_ingest_remove(sat_connection *writer, int64_t document, satchel_error *error);

/* ------------------------------------------------------------------ lease.c */

/* The right to sync, held by at most one sync of one process. */
typedef struct sat_lease {
    uint8_t owner[17]; /* random; the last byte is kept only of an index's */
    int64_t process, started;
    bool held;
    bool for_index; /* upkeep of the vector index outside a sync: gives way to one */
} sat_lease;

/* BUSY at once if another living sync holds it. Own transaction. */
satchel_status sat_lease_take(sat_lease *lease, sat_store *store, const satchel_cancel *cancel,
                              satchel_error *error);
/* Extends it; BUSY if it was taken over. Inside a write transaction. */
satchel_status sat_lease_renew(const sat_lease *lease, sat_connection *writer,
                               satchel_error *error);
void sat_lease_drop(sat_lease *lease, sat_store *store);

/* ------------------------------------------------------------------ embed.c */

/* Whether there is time until `deadline` (sat_clock_ms(); 0: none) for upkeep. The first that has
 * something to do has a turn however short the time is: many such calls get it all done. */
static inline bool sat_has_turn(int64_t deadline, bool worked) {
    return deadline == 0 || !worked || sat_clock_ms() < deadline;
}

/* Cuts documents again that were cut for another embedder or budget, until `deadline` (0: none).
 * *finished: none is left. */
satchel_status sat_recut(sat_store *store, int64_t deadline, const satchel_cancel *cancel,
                         bool *finished, satchel_error *error);

/* Sweeps forgotten keywords out of the full-text index and gives free pages back, where there is
 * enough of either, until `deadline` (0: none). maintain.c */
satchel_status sat_sweep(sat_store *store, int64_t deadline, const satchel_cancel *cancel,
                         satchel_error *error);

typedef struct sat_embed_slice {
    int64_t document;           /* 0: of any */
    size_t limit;               /* chunks at most; 0: a good number */
    int64_t embedded;           /* out: chunks that have a vector now and had none */
    int64_t reused;             /* out: of them, without the embedder */
    int64_t embed_ms, write_ms; /* out */
    bool finished;              /* out: nothing is left to embed */
} sat_embed_slice;

/* Embeds some pending chunks, newest first, and commits. `lease`: the sync's, or NULL. */
satchel_status sat_embed_some(sat_store *store, sat_embed_slice *slice, const sat_lease *lease,
                              const satchel_cancel *cancel, satchel_error *error);
satchel_status sat_embed_pending(sat_store *store, int64_t *pending, satchel_error *error);

/* ------------------------------------------------------------------ filter.c */

/* A filter as SQL: a condition on `document d`, with parameters from ?1 on. */
typedef struct sat_filter {
    sat_arena arena;
    sat_buffer condition; /* "1" without a filter */
    struct sat_filter_value {
        enum { SAT_FILTER_TEXT, SAT_FILTER_INTEGER, SAT_FILTER_REAL } kind;
        const char *text;
        size_t length;
        int64_t integer;
        double real;
    } * values;
    size_t count, capacity;
    bool all; /* every document passes */
} sat_filter;

/* `json` may be NULL. INVALID_FILTER says what and where. */
satchel_status sat_filter_compile(sat_filter *out, sat_memory *memory, const char *json,
                                  satchel_error *error);
void sat_filter_free(sat_filter *filter);
void sat_filter_bind(const sat_filter *filter, sat_query *query);
/* `*` any characters, `?` one, `[a-z]` and `[^a-z]` one of a set; over code points. */
bool sat_glob_match(const char *pattern, size_t pattern_length, const char *text,
                    size_t text_length);

/* ------------------------------------------------------------------ readers: store.c */

/* Names readers in sum: files that failed are tried again when it changes. */
int64_t sat_readers_signature(sat_store *store);

#endif
