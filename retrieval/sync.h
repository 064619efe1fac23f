/* Inside a sync: its state, shared by sync.c (the stream) and sync_batch.c (files to documents).
 * Private to retrieval. */
#ifndef SATCHEL_RETRIEVAL_SYNC_H
#define SATCHEL_RETRIEVAL_SYNC_H

#include "base/stream.h"
#include "retrieval/scan.h"

/* Small documents share a commit: up to so many, so many bytes, so long. */
#define SAT_BATCH_FILES 64
#define SAT_BATCH_BYTES ((int64_t)4 << 20)
#define SAT_BATCH_MS 1000

/* A file on its way into the store, or a word about it. */
typedef struct sat_batch_item {
    enum { SAT_BATCH_WRITE, SAT_BATCH_RENAME, SAT_BATCH_TOUCH, SAT_BATCH_FAIL } kind;
    const sat_scan_item *file;
    sat_incoming incoming;   /* WRITE */
    sat_missing *missing;    /* RENAME: what it was */
    int64_t modified_ns;     /* to be stored; -1: too fresh to trust */
    const char *name, *path; /* in the batch's arena */
    satchel_event_file event;
    satchel_error failure; /* FAIL */
    bool quiet;            /* no event */
} sat_batch_item;

typedef struct sat_sync {
    sat_stream stream;
    sat_store *store;
    satchel_sync_options options;
    satchel_cancel *cancel; /* retained */
    char *base, *root;      /* owned */
    bool root_given;
    enum {
        SAT_SYNC_BEGIN,
        SAT_SYNC_SCAN,
        SAT_SYNC_KEYWORDS,
        SAT_SYNC_REMOVE,
        SAT_SYNC_RECUT,
        SAT_SYNC_EMBED,
        SAT_SYNC_INDEX,
        SAT_SYNC_SWEEP,
        SAT_SYNC_DONE
    } step;
    sat_lease lease;
    sat_scan scan;
    size_t next_item, next_missing; /* of the scan's */
    json_t *no_metadata;            /* {} */
    int64_t started_ms;             /* Unix time */

    /* The batch, and its events after it is committed. */
    sat_batch_item *items; /* (SAT_BATCH_FILES) */
    size_t count, told;
    sat_arena arena;

    bool has_progress;
    int32_t phase;
    int64_t phase_began, pending; /* clock ms; chunks to embed when that began */
    satchel_event_progress progress;
    satchel_event_done done;
    int64_t began; /* clock ms */
    int64_t read_ns, keyword_ns, write_ns;
    int64_t bytes_done, embedded;
} sat_sync;

int64_t sat_sync_clock_ns(void);

/* Reads files until a batch is full, commits them, and leaves their events. */
satchel_status sat_sync_batch(sat_sync *sync, satchel_error *error);
/* Removes some missing documents, and leaves their events. */
satchel_status sat_sync_remove_some(sat_sync *sync, satchel_error *error);
/* Forgets failures of files that are gone or can be read again. */
satchel_status sat_sync_forget_failures(sat_sync *sync, satchel_error *error);
/* Frees the batch, with its events. */
void sat_sync_clear_batch(sat_sync *sync);

#endif
