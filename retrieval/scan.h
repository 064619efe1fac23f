/*
 * Scanning: what a folder holds against what the store knows of it, without reading a file. Private
 * to retrieval.
 */
#ifndef SATCHEL_RETRIEVAL_SCAN_H
#define SATCHEL_RETRIEVAL_SCAN_H

#include "retrieval/store.h"

/* A file that needs work, or a word about it. */
typedef struct sat_scan_item {
    const char *relative; /* path below the base, as the file system spells it */
    int64_t document;     /* row id of what it was; 0: new */
    int64_t size, modified_ns;
    satchel_status status; /* not OK: it is only reported */
    bool skipped;          /* as SKIPPED, not FAILED */
    bool record;           /* the failure is to be written down */
    const char *message;
} sat_scan_item;

/* A document whose file is gone. */
typedef struct sat_missing {
    int64_t document;
    const char *name;
    sat_digest hash; /* of the source */
    bool taken;      /* its content stands under another name now */
} sat_missing;

typedef struct sat_scan {
    sat_store *store;
    sat_arena arena;
    const char *base; /* absolute, without a slash at the end */
    const char *root;
    int64_t root_id;
    bool include_hidden;
    bool single; /* the base is one file */
    bool bare;   /* and its id is the root's name alone */
    int64_t max_file_bytes, readers;

    char **folders; /* stack: still to be listed, relative */
    size_t folder_count, folder_capacity;
    char **kept; /* ids of folders that could not be listed: what is below them stays */
    size_t kept_count, kept_capacity;
    int64_t *seen; /* documents whose files are there */
    size_t seen_count, seen_capacity;
    int64_t *failures; /* rows of failures that still hold */
    size_t failure_count, failure_capacity;

    sat_scan_item *items;
    size_t count, capacity;
    sat_missing *missing; /* by hash, then by name */
    size_t missing_count, missing_capacity;

    struct {
        uint64_t device, inode;
    } own[4]; /* the store's files: reading them would drop SQLite's locks */
    size_t own_count;
    int64_t files, unchanged, bytes; /* of all files, of items to read */
    int64_t documents;               /* of the root before the sync */
} sat_scan;

void sat_scan_init(sat_scan *scan, sat_store *store);
void sat_scan_free(sat_scan *scan);
/* Looks at the base. NOT_FOUND and other failures leave everything as it is. */
satchel_status sat_scan_begin(sat_scan *scan, satchel_error *error);
/* Lists one folder. *finished: none is left, and items and missing are complete. */
satchel_status sat_scan_step(sat_scan *scan, const satchel_cancel *cancel, bool *finished,
                             satchel_error *error);
/* The id of a path below the base: root/relative in NFC. */
satchel_status sat_scan_name(const sat_scan *scan, const char *relative, sat_buffer *out,
                             satchel_error *error);
/* The absolute path. */
bool sat_scan_path(const sat_scan *scan, const char *relative, sat_buffer *out);
/* A failure's row that still holds. */
satchel_status sat_scan_note_failure(sat_scan *scan, int64_t failure, satchel_error *error);
/* True if a document of this name lies where the scan could not look. */
bool sat_scan_is_kept(const sat_scan *scan, const char *name);
/* A missing document of this content that is not taken yet; NULL if none. */
sat_missing *sat_scan_find_missing(sat_scan *scan, const sat_digest *hash);
/* By name, for removal; they cannot be found by content any more. */
void sat_scan_sort_missing(sat_scan *scan);

#endif
