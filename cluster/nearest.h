/*
 * How far every row is from the nearest of the centres chosen so far, brought up to date as centres
 * are added, and draws of rows by it: what k-means++ and k-means|| stand on.
 *
 * The loss of a row x at a centre c is ‖x − c‖²; for inner products, whose centres have length 1,
 * it is ‖x‖ − x·c: what the objective Σ x·c falls short of its most by, and ‖x‖/2 times the squared
 * distance of the two directions. (Below ‖x‖ · 2⁻²² it counts as 0: a direction rounded to float
 * tells no more.) Losses come from the exact kernels; int8 estimates only say which need not be
 * computed. So losses, and draws, are the same bits on every level, for any number of threads and
 * any blocks.
 */
#ifndef SATCHEL_CLUSTER_NEAREST_H
#define SATCHEL_CLUSTER_NEAREST_H

#include "cluster/pass.h"
#include "cluster/source.h"

/* int8 rows kept from pass to pass: those of the first `rows`, filled in up to *filled (a whole
 * number of blocks). values NULL: none. */
typedef struct sat_kept_rows {
    int8_t *values;    /* (rows, space->stride) */
    sat_point *points; /* (rows) */
    uint64_t rows, *filled;
} sat_kept_rows;

typedef struct sat_nearest {
    const sat_workers *workers;
    const sat_space *space;
    sat_kept_rows kept;
    size_t count;    /* rows */
    size_t centres;  /* added so far */
    double *losses;  /* (count); 1 until there is a centre */
    int32_t *labels; /* (count): the nearest, ties to the lowest; −1: none yet. NULL: not kept */
    const double *weight; /* (count): how often a row counts. NULL: once */
    double *sums;         /* (units + 1): Σ weight · loss of the rows before a unit */
    double *tried; /* (count, trials): losses at centres tried last, infinite where not less */
    double *gains; /* (units, trials): what each would take off the sum */
    size_t trials; /* that were tried last, at most SAT_PANEL */
    struct sat_nearest_scratch **scratch; /* (threads) */
    size_t threads;
} sat_nearest;

/* kept, weight: may be NULL. */
satchel_status sat_nearest_open(sat_nearest *nearest, const sat_workers *workers,
                                const sat_space *space, uint64_t count, bool labels,
                                const sat_kept_rows *kept, const double *weight,
                                satchel_error *error);
void sat_nearest_close(sat_nearest *nearest);
/* Bytes that count rows take, without kept rows and trials. */
uint64_t sat_nearest_bytes(const sat_workers *workers, const sat_space *space, uint64_t count,
                           bool labels);

/* Adds centres (count, dimension): one pass over the source. Without centres, before the first:
 * losses become ‖x‖, by which an inner product's first centre is drawn. */
satchel_status sat_nearest_add(sat_nearest *nearest, sat_source *source, float *centres,
                               size_t count, satchel_error *error);
/* Tries up to SAT_PANEL centres, for a source in memory: which of them, added, takes most off the
 * sum (the first of equals). */
satchel_status sat_nearest_try(sat_nearest *nearest, sat_source *source, float *centres,
                               size_t count, size_t *best, satchel_error *error);
/* Adds centre `index` of those tried last. Labels are not brought up to date. */
void sat_nearest_take(sat_nearest *nearest, size_t index);
/* The loss of one row at one centre, as sat_nearest_add counts it. */
double sat_nearest_loss(const sat_nearest *nearest, const float *row, const float *centre);
/* Σ weight · loss, by units of rows in order. To be called after adding, before drawing. */
double sat_nearest_sum(sat_nearest *nearest);
/* The row at `fraction`, in [0, 1), of the sum, which is not 0. Its weight · loss is not 0. */
size_t sat_nearest_draw(const sat_nearest *nearest, double fraction);

#endif
