/*
 * A generation: the file with the inverted lists of a store's vectors as they were at one moment.
 * It is written once and never changed; a later one takes its place. This is its format, and what
 * reads it. Private to retrieval.
 *
 * FORMAT 1, little-endian throughout. A header of 4,096 bytes:
 *
 *     at  bytes
 *      0   8  "SATINDEX"
 *      8   4  version: 1
 *     12   4  kind: 1, FAISS lists of 8-bit codes under inner product
 *     16   8  size of the file
 *     24   8  number of the generation
 *     32  16  fingerprint of the embedding: first 16 bytes of its SHA-256
 *     48   4  dimension
 *     52   4  lists
 *     56   8  rows
 *     64   8  highest chunk.seq in it: rows with a higher one are not
 *     72   8  state.change and
 *     80   8  state.erased of the snapshot it was made from
 *     88   4  sections
 *     92 164  zero
 *    256  40  for each section: kind u32, flags u32 (1: a reader that does not know it must not use the
 *             file), offset u64, bytes u64, hash u64, zero u64
 *   4088   8  hash of the 4,088 bytes before
 *
 * Sections begin at multiples of 64. Hashes are sat_hash64() with the section's kind as seed.
 *
 *   kind         holds
 *   1 KEYS       a row each, by ascending seq: chunk, seq, vector i64 (ids of the store's tables)
 *   2 LABELS     a row each: its list, i32
 *   3 SAMPLE     count u64, row numbers (count) i64, their vectors (count, dimension) f32: tells how
 *                the cosines of a query lie over the whole
 *   4 TABLE      a list each: offset in LISTS u64, rows u64, hash u64 (seed: the list's number)
 *   5 CENTROIDS  (lists, dimension) f32
 *   6 RANGES     (2, dimension) f32: least value and width of each coordinate; a code c stands for
 *                least + width · (c + 0.5) / 255
 *   7 LISTS      a list each: codes (rows, dimension) u8, zeros up to a multiple of 4, row numbers
 *                (rows) i32. Hash 0: TABLE has them
 *
 * The store's file names the generation it trusts by number and header hash. Header and all
 * sections but the last are checked when it is opened, a list when it is first touched.
 */
#ifndef SATCHEL_RETRIEVAL_GENERATION_H
#define SATCHEL_RETRIEVAL_GENERATION_H

#include "base/base.h"
#include "retrieval/ivf.h"

#define SAT_GENERATION_VERSION 1
#define SAT_GENERATION_HEADER 4096

enum {
    SAT_SECTION_KEYS = 1,
    SAT_SECTION_LABELS,
    SAT_SECTION_SAMPLE,
    SAT_SECTION_TABLE,
    SAT_SECTION_CENTROIDS,
    SAT_SECTION_RANGES,
    SAT_SECTION_LISTS,
    SAT_SECTION_END
};

typedef struct sat_generation_key {
    int64_t chunk, seq, vector;
} sat_generation_key;

/* What the header says. */
typedef struct sat_generation_info {
    int64_t number, seq, change, erased;
    sat_digest fingerprint;
    size_t dimension, lists, rows, sample_count;
    uint64_t file_size;
    struct {
        uint64_t offset, size, hash;
    } sections[SAT_SECTION_END]; /* by kind */
} sat_generation_info;

/* An open file; shared, never changed but for what is known of its lists. */
typedef struct sat_generation {
    satchel_context *context;
    _Atomic int64_t references;
    sat_generation_info info;
    uint64_t hash; /* of the header */
    sat_mapping file;
    const sat_generation_key *keys; /* (rows) */
    const int32_t *labels;          /* (rows) */
    const int64_t *sample_rows;     /* (sample_count) */
    const float *sample;            /* (sample_count, dimension) */
    const sat_ivf_list *table;      /* (lists) */
    const float *centroids;         /* (lists, dimension) */
    _Atomic uint8_t *checked;       /* (lists) 0: not yet, 1: sound, 2: damaged */
    _Atomic bool damaged;           /* a list is, or names a row that there is not */
    sat_ivf *ivf;
} sat_generation;

/* ------------------------------------------------------------------ reading */

/* NOT_FOUND, DAMAGED (also: not the generation `number` with header hash `hash`, or of another
 * embedding), TOO_NEW, IO, MEMORY_LIMIT, OUT_OF_MEMORY. */
satchel_status sat_generation_open(sat_generation **out, satchel_context *context, const char *path,
                                   int64_t number, uint64_t hash, const sat_digest *fingerprint,
                                   size_t dimension, satchel_error *error);
sat_generation *sat_generation_retain(sat_generation *generation);
void sat_generation_release(sat_generation *generation); /* NULL is fine */
/* True if the list is what was written. Looks at its bytes once. */
bool sat_generation_check(sat_generation *generation, size_t list);
/* The row numbers of a list that was checked. */
const int32_t *sat_generation_numbers(const sat_generation *generation, size_t list);

/* Where a list's row numbers begin, and its size, in bytes. */
uint64_t sat_generation_numbers_at(uint64_t rows, size_t dimension);
uint64_t sat_generation_list_size(uint64_t rows, size_t dimension);

/* ------------------------------------------------------------------ writing */

/* Fills file_size and the sections' places from dimension, lists, rows, sample_count and the size
 * of section LISTS; false on overflow. */
bool sat_generation_lay_out(sat_generation_info *info);
/* Writes the header, and returns its hash. */
uint64_t sat_generation_header(const sat_generation_info *info,
                               uint8_t header[SAT_GENERATION_HEADER]);

#endif
