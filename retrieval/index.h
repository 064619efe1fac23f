/*
 * The store's vector index over time: which generation file is trusted, when a new one is due, and
 * how it is made and published. Searches go on meanwhile, exactly where there is no index. Private
 * to retrieval.
 *
 * The row 'index' of table `format` is "NUMBER HASH", HASH in 16 hex digits: the generation file
 * beside the store, <store>-index-NUMBER, and the hash of its header. A hash of zero: there is none
 * now, and the next has a higher number.
 */
#ifndef SATCHEL_RETRIEVAL_INDEX_H
#define SATCHEL_RETRIEVAL_INDEX_H

#include "retrieval/generation.h"
#include "retrieval/store.h"

typedef struct sat_index_row {
    int64_t number; /* 0: no row */
    uint64_t hash;  /* 0: no generation */
} sat_index_row;

typedef struct sat_index_build sat_index_build;

struct sat_index {
    sat_store *store;
    sat_index_setup setup; /* defaults filled in, but for lists and probes */

    pthread_mutex_t lock; /* guards what follows; never held while SQLite or a file is waited for */
    sat_generation *current;
    int64_t distrusted; /* number of a generation found damaged */

    pthread_mutex_t upkeep; /* held by the one that builds; guards what follows */
    sat_index_build *build; /* begun, to be gone on with */
    /* state.change at which nothing was due, -1: none. By then every list was seen to be whole, so no
     * search can find damage that changes it. */
    int64_t seen;
    size_t lists_checked; /* of the current generation */
    int64_t checked;      /* its number */
};

satchel_status sat_index_open(sat_index **out, sat_store *store, const sat_store_setup *setup,
                              satchel_error *error);
void sat_index_close(sat_index **index);

satchel_status sat_index_read(sat_connection *connection, sat_index_row *row, satchel_error *error);
/* Appends "<store>-index-NUMBER". */
bool sat_index_path(const sat_store *store, int64_t number, sat_buffer *out);
/* The number in the name of an index file of a store, negative if it is a temporary one; 0: `name`
 * is none. Names without folders. */
int64_t sat_index_file_number(const char *store_name, const char *name);
/* The generation of a row, open and retained. NOT_FOUND if the file is gone, DAMAGED also if a
 * search found it so. */
satchel_status sat_index_get(sat_index *index, const sat_index_row *row, sat_generation **out,
                             satchel_error *error);
/* From now on this generation is not used. */
void sat_index_distrust(sat_index *index, const sat_generation *generation);

/* Does what is due until `deadline` (0: none): looks through the current generation, makes a new
 * one, publishes it. *finished: nothing is left to do. `lease`: a sync's, or NULL to take one. */
satchel_status sat_index_maintain(sat_index *index, const sat_lease *lease, int64_t deadline,
                                  const satchel_cancel *cancel, bool *finished,
                                  satchel_error *error);

/* Decodes the vectors of rows `picks` (NULL: 0, 1, …) of keys into out (count, dimension).
 * missing[i] = 1 where there is none any more; out is zero there. */
satchel_status sat_index_read_vectors(sat_connection *reader, const sat_generation_key *keys,
                                      const int64_t *picks, size_t count, size_t dimension,
                                      float *out, uint8_t *missing, satchel_error *error);

/* ------------------------------------------------------------------ index_build.c */

/* Begins a generation of the vectors that are in the store now. */
satchel_status sat_index_build_begin(sat_index_build **out, sat_index *index,
                                     const sat_index_row *before, const satchel_cancel *cancel,
                                     satchel_error *error);
/* A part of the work, up to a few hundred milliseconds; with `whole` parts may be longer where that
 * is quicker in sum. *finished: the file is whole, and on the disk, under its temporary name. */
satchel_status sat_index_build_step(sat_index_build *build, bool whole,
                                    const satchel_cancel *cancel, bool *finished,
                                    satchel_error *error);
/* What it began from; the row it has made, and its file's temporary name. */
const sat_index_row *sat_index_build_before(const sat_index_build *build);
const sat_index_row *sat_index_build_made(const sat_index_build *build);
const char *sat_index_build_file(const sat_index_build *build);
/* Removes the temporary file, if it still has that name. */
void sat_index_build_close(sat_index_build **build);

#endif
