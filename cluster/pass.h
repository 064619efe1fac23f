/*
 * One pass of assignment: the nearest centroid of every row of a chunk, with work skipped that bounds prove
 * needless.
 *
 * Panels are joined to groups. For each row and group a code keeps a lower bound on the row's distance to
 * every centroid of the group but the row's own, as of the last time the group was scored. Since
 * then the group's centroids moved by no more than `drift`; while the bound less the drift exceeds the
 * distance to the row's own centroid, none of them can be nearer (Yinyang k-means, Ding et al., 2015, with panels
 * as groups). Codes are stored with the drift of their time added, so that nothing is rewritten.
 * For inner products the score over 2‖x‖, plus the greatest length of a centroid, takes the distance's place.
 *
 * What is left is scored in int8; centroids whose score may be the least, given the bounds, are scored
 * again in double by the exact kernels, and the least of those, ties to the lowest index, is the label.
 */
#ifndef SATCHEL_CLUSTER_PASS_H
#define SATCHEL_CLUSTER_PASS_H

#include "cluster/centroids.h"
#include "cluster/walk.h"

enum {
    SAT_MAX_GROUPS = 128, /* panels are joined until there are no more groups */
    SAT_MAX_BLOCK = 2048, /* rows a thread works on at a time */
};

/* Groups of `span` panels, and how far their centroids have moved. */
typedef struct sat_groups {
    size_t count, span;
    float *drift; /* (count): Σ of each iteration's greatest movement, in the estimates' space */
    uint16_t *codes; /* (count): drift in codes, rounded up */
    float per_unit;  /* codes in a unit of length */
} sat_groups;

/* Rows of one chunk and what is kept of them between passes. */
typedef struct sat_chunk {
    const float *rows; /* (count, dimension) */
    size_t row_stride; /* floats */
    size_t count;
    int32_t *labels; /* (count): in and out; −1: none yet */
    /* Kept from pass to pass, or NULL: made again each time. */
    int8_t *values;    /* (count, space->stride) */
    sat_point *points; /* (count) */
    bool quantized;    /* values and points are filled in */
    uint16_t *codes;   /* (count, groups->count), or NULL: no bounds are kept */
    /* Out: rows that moved, block by block: block b's lie from b · block on. */
    uint32_t *moved;       /* (count): row in the chunk */
    int32_t *from;         /* (count): the label it had */
    uint32_t *moved_count; /* (ceil(count / block)) */
} sat_chunk;

typedef struct sat_pass sat_pass;

typedef struct sat_pass_counts {
    uint64_t products, rechecks, moved;
} sat_pass_counts;

/* Scratch for every thread, for up to `k` centroids. */
satchel_status sat_pass_open(sat_pass **out, const sat_workers *workers, const sat_space *space,
                             size_t k, satchel_error *error);
void sat_pass_close(sat_pass **pass);
uint64_t sat_pass_bytes(const sat_pass *pass);
/* Rows a thread works on at a time, a multiple of SAT_UNIT. */
size_t sat_pass_block(const sat_space *space);

/* Panels to a group so that `panels` make at most `most` groups. */
size_t sat_groups_span(size_t panels, size_t most);

/* Assigns the chunk. `groups`: chunk->codes hold bounds for them (all zero says nothing) and are
 * brought up to date; NULL: codes are not looked at. Adds to *counts. */
satchel_status sat_pass_run(sat_pass *pass, const sat_centroids *centroids,
                            const sat_groups *groups, sat_chunk *chunk, sat_pass_counts *counts,
                            satchel_error *error);

/* A row's int8 values (space->stride) and all that is known of it but the threshold. */
void sat_estimate_row(const sat_space *space, const float *row, int8_t *values, sat_point *point);

#endif
