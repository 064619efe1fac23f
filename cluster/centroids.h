/*
 * Centroids as the passes need them: exact norms for the double scores, int8 rows and panels with bounds for
 * the estimates, and the order that puts neighbours into one panel. See kernels.h for the estimate.
 */
#ifndef SATCHEL_CLUSTER_CENTROIDS_H
#define SATCHEL_CLUSTER_CENTROIDS_H

#include <float.h>

#include "base/base.h"
#include "cluster/kernels.h"

/* A float certainly not less than x >= 0, and one certainly not greater. */
static inline float sat_above(double x) {
    return (float)(x * (1 + 0x1p-22)) + FLT_MIN;
}
static inline float sat_below(double x) {
    float rounded = (float)(x * (1 - 0x1p-22)) - FLT_MIN;
    return rounded > 0 ? rounded : 0;
}

/* The space of the estimates: x' = (x − centre) · factor for points; centroids likewise, but for inner
 * products they are not centred. Any centre and factor give the same labels; good ones give tight bounds. */
typedef struct sat_space {
    const sat_cluster_kernels *kernels;
    size_t dimension;
    size_t stride;       /* bytes of an int8 row: dimension up to SAT_ROW_ALIGN */
    bool inner;          /* inner product */
    float factor;        /* a power of two */
    const float *centre; /* (dimension) */
    double point_length; /* no ‖x‖ is greater; not scaled */
} sat_space;

/* A slot that holds no centroid. */
#define SAT_NO_CENTROID UINT32_MAX

typedef struct sat_centroids {
    const sat_space *space;
    size_t count;  /* K */
    size_t panels; /* ceil(K / SAT_PANEL) */
    float *values; /* (K, dimension): the centroids, exact; of the caller */
    double *norms; /* (K): ‖c‖² by the exact kernel; Euclidean only */
    bool far;      /* one lies too far out for float estimates: score all in double */

    /* Of each centroid, in the estimates' space. */
    uint8_t *rows; /* (K, stride): int8 + offset */
    float *scale, *norm;
    float *length; /* ‖c'‖, rounded up */
    float *error;  /* ‖e_c‖ and float's own error, rounded up */
    float *slack;

    sat_panel *panel; /* (panels) */
    uint8_t *bytes;   /* the panels' */
    uint32_t *order;  /* (panels · SAT_PANEL): slot → centroid, or SAT_NO_CENTROID */
    uint32_t *slot;   /* (K): centroid → slot */
    float longest;    /* no ‖c'‖ is greater */
} sat_centroids;

satchel_status sat_centroids_open(sat_centroids *centroids, sat_memory *memory,
                                  const sat_space *space, float *values, size_t count,
                                  satchel_error *error);
void sat_centroids_close(sat_centroids *centroids, sat_memory *memory);
uint64_t sat_centroids_bytes(const sat_space *space, size_t count);

/* Takes up centroid i's values: norm, int8 row, bounds. Safe for different i on many threads. */
void sat_centroids_refresh(sat_centroids *centroids, size_t i);
/* Then: packs panel p from its centroids' rows. Safe for different p on many threads. */
void sat_centroids_pack(sat_centroids *centroids, size_t p);
/* After refreshing: sets `far` and `longest`. */
void sat_centroids_survey(sat_centroids *centroids);

/* Orders slots so that near centroids share a panel: halves the set along its principal direction until
 * a panel is left. Pack all panels afterwards. No result depends on the order, only speed. */
satchel_status sat_centroids_sort(sat_centroids *centroids, sat_memory *memory,
                                  satchel_error *error);

#endif
