/* Quantized centroids, their panels, and the order of panels. */
#include "cluster/centroids.h"

#include <math.h>
#include <string.h>

/* Norm of an unused column: greater than any score, far from overflow. */
#define UNUSED_NORM 1e30F
/* Beyond this length, in the estimates' space, squares leave too little of a float. */
#define FAR_LENGTH 0x1p40
/* Relative error of a float score: a few roundings of terms no greater than these. */
#define FLOAT_ERROR 0x1p-20
/* Of the double scores that decide, relative to (‖x‖ + ‖c‖)², for each 512 coordinates. */
#define DOUBLE_ERROR 0x1p-44

satchel_status sat_centroids_open(sat_centroids *centroids, sat_memory *memory,
                                  const sat_space *space, float *values, size_t count,
                                  satchel_error *error) {
    size_t panels = count / SAT_PANEL + (count % SAT_PANEL != 0);
    *centroids =
        (sat_centroids){.space = space, .count = count, .panels = panels, .values = values};
    size_t bytes, panel_bytes;
    if (!sat_mul_size(count, space->stride, &bytes) ||
        !sat_mul_size(panels * SAT_PANEL, space->stride, &panel_bytes))
        return sat_fail(error, SATCHEL_INVALID_ARGUMENT,
                        "%zu centroids of %zu dimensions overflow the address space", count,
                        space->dimension);
    centroids->norms = sat_alloc_array(memory, count, sizeof(double));
    centroids->rows = sat_alloc_aligned(memory, bytes);
    centroids->scale = sat_alloc_array(memory, count, sizeof(float));
    centroids->norm = sat_alloc_array(memory, count, sizeof(float));
    centroids->length = sat_alloc_array(memory, count, sizeof(float));
    centroids->error = sat_alloc_array(memory, count, sizeof(float));
    centroids->slack = sat_alloc_array(memory, count, sizeof(float));
    centroids->panel = sat_alloc_array(memory, panels, sizeof(sat_panel));
    centroids->bytes = sat_alloc_aligned(memory, panel_bytes);
    centroids->order = sat_alloc_array(memory, panels * SAT_PANEL, sizeof(uint32_t));
    centroids->slot = sat_alloc_array(memory, count, sizeof(uint32_t));
    if (!centroids->norms || !centroids->rows || !centroids->scale || !centroids->norm ||
        !centroids->length || !centroids->error || !centroids->slack || !centroids->panel ||
        !centroids->bytes || !centroids->order || !centroids->slot) {
        sat_centroids_close(centroids, memory);
        return sat_memory_fail(memory, sat_centroids_bytes(space, count), error);
    }
    for (size_t i = 0; i < panels * SAT_PANEL; i++)
        centroids->order[i] = i < count ? (uint32_t)i : SAT_NO_CENTROID;
    for (size_t i = 0; i < count; i++)
        centroids->slot[i] = (uint32_t)i;
    return SATCHEL_OK;
}

void sat_centroids_close(sat_centroids *centroids, sat_memory *memory) {
    sat_free(memory, centroids->norms);
    sat_free_aligned(memory, centroids->rows);
    sat_free(memory, centroids->scale);
    sat_free(memory, centroids->norm);
    sat_free(memory, centroids->length);
    sat_free(memory, centroids->error);
    sat_free(memory, centroids->slack);
    sat_free(memory, centroids->panel);
    sat_free_aligned(memory, centroids->bytes);
    sat_free(memory, centroids->order);
    sat_free(memory, centroids->slot);
    *centroids = (sat_centroids){0};
}

uint64_t sat_centroids_bytes(const sat_space *space, size_t count) {
    return (uint64_t)count * (2 * space->stride + 64) + (count / SAT_PANEL + 1) * sizeof(sat_panel);
}

void sat_centroids_refresh(sat_centroids *centroids, size_t i) {
    const sat_space *space = centroids->space;
    const sat_cluster_kernels *kernels = space->kernels;
    size_t n = space->dimension, stride = space->stride;
    const float *value = centroids->values + i * n;
    uint8_t *row = centroids->rows + i * stride;
    sat_quantized q;
    kernels->quantize((int8_t *)row, &q, value, space->inner ? NULL : space->centre, space->factor,
                      kernels->limit, n, stride);
    /* Padding holds the offset too: it stands for zero. */
    for (size_t d = 0; d < stride; d++)
        row[d] = (uint8_t)((int8_t)row[d] + kernels->offset);

    double square = kernels->dot(value, value, n);
    double length = sqrt(square);
    double rounding = 0;
    centroids->norms[i] = square;
    centroids->scale[i] = q.scale;
    centroids->length[i] = sat_above(sqrt(q.square));
    /* The float score's roundings, of its product: |2 x̂·ĉ| <= 2‖x̂‖ · ‖ĉ‖. */
    centroids->error[i] = sat_above(sqrt(q.error) + FLOAT_ERROR * sqrt(q.length));
    if (space->inner) {
        double product = kernels->dot(space->centre, value, n);
        double norm = -2 * product * space->factor * space->factor;
        centroids->norm[i] = (float)norm;
        rounding = fabs(norm);
    } else {
        centroids->norm[i] = (float)q.square;
        rounding = q.square;
    }
    double reach = (space->point_length + length) * space->factor;
    centroids->slack[i] =
        sat_above(FLOAT_ERROR * rounding + DOUBLE_ERROR * (n / 512.0 + 1) * reach * reach);
}

void sat_centroids_pack(sat_centroids *centroids, size_t p) {
    const sat_space *space = centroids->space;
    size_t depth = (size_t)space->kernels->depth, steps = (space->dimension + depth - 1) / depth;
    uint8_t *bytes = centroids->bytes + p * SAT_PANEL * space->stride; /* [steps][32][depth] */
    sat_panel *panel = &centroids->panel[p];
    *panel = (sat_panel){.bytes = bytes};
    for (size_t j = 0; j < SAT_PANEL; j++) {
        uint32_t i = centroids->order[p * SAT_PANEL + j];
        if (i == SAT_NO_CENTROID) {
            panel->norm[j] = UNUSED_NORM;
            for (size_t s = 0; s < steps; s++)
                memset(bytes + (s * SAT_PANEL + j) * depth, space->kernels->offset, depth);
            continue;
        }
        const uint8_t *row = centroids->rows + i * space->stride;
        for (size_t s = 0; s < steps; s++)
            memcpy(bytes + (s * SAT_PANEL + j) * depth, row + s * depth, depth);
        panel->norm[j] = centroids->norm[i];
        panel->scale[j] = centroids->scale[i];
        panel->error = fmaxf(panel->error, centroids->length[i]);
        panel->length = fmaxf(panel->length, centroids->error[i]);
        panel->slack = fmaxf(panel->slack, centroids->slack[i]);
    }
}

void sat_centroids_survey(sat_centroids *centroids) {
    float longest = 0;
    for (size_t i = 0; i < centroids->count; i++)
        longest = fmaxf(longest, centroids->length[i]);
    centroids->longest = longest;
    centroids->far = !(longest <= (float)FAR_LENGTH);
}

/* ------------------------------------------------------------------ order */

enum { POWER_STEPS = 6 };

typedef struct projected {
    float value;
    uint32_t centroid;
} projected;

/* Sorts by value, ties by index: bottom-up merging, no recursion. */
static void sort(projected *items, projected *scratch, size_t count) {
    projected *from = items, *to = scratch;
    for (size_t width = 1; width < count; width *= 2) {
        for (size_t begin = 0; begin < count; begin += 2 * width) {
            size_t middle = begin + width < count ? begin + width : count;
            size_t end = begin + 2 * width < count ? begin + 2 * width : count;
            size_t a = begin, b = middle;
            for (size_t i = begin; i < end; i++) {
                bool left = a < middle && (b >= end || from[a].value <= from[b].value);
                to[i] = left ? from[a++] : from[b++];
            }
        }
        projected *swap = from;
        from = to;
        to = swap;
    }
    if (from != items)
        memcpy(items, from, count * sizeof *items);
}

/* items[*].value = projection on the set's principal direction (power iteration, from the coordinate of
 * greatest variance on). mean, direction, next: (dimension) scratch. */
static void project(const sat_centroids *centroids, projected *items, size_t count, float *mean,
                    float *direction, float *next) {
    size_t n = centroids->space->dimension;
    const sat_vector_kernels *vector = sat_vector_kernels_for(centroids->space->kernels->level);
    memset(mean, 0, n * sizeof *mean);
    memset(next, 0, n * sizeof *next);
    for (size_t i = 0; i < count; i++) {
        const float *row = centroids->values + items[i].centroid * n;
        for (size_t d = 0; d < n; d++)
            mean[d] += row[d] / (float)count;
    }
    for (size_t i = 0; i < count; i++) {
        const float *row = centroids->values + items[i].centroid * n;
        for (size_t d = 0; d < n; d++)
            next[d] += (row[d] - mean[d]) * (row[d] - mean[d]);
    }
    size_t widest = 0;
    for (size_t d = 1; d < n; d++)
        widest = next[d] > next[widest] ? d : widest;
    memset(direction, 0, n * sizeof *direction);
    direction[widest] = 1;
    for (int step = 0; step < POWER_STEPS; step++) {
        float offset = vector->dot(mean, direction, n);
        memset(next, 0, n * sizeof *next);
        for (size_t i = 0; i < count; i++) {
            const float *row = centroids->values + items[i].centroid * n;
            float weight = vector->dot(row, direction, n) - offset;
            for (size_t d = 0; d < n; d++)
                next[d] += weight * (row[d] - mean[d]);
        }
        /* Sums past float's range, or no variance at all: any direction will do. */
        if (!sat_vector_normalize(vector, next, n))
            break;
        memcpy(direction, next, n * sizeof *next);
    }
    for (size_t i = 0; i < count; i++)
        items[i].value = vector->dot(centroids->values + items[i].centroid * n, direction, n);
}

satchel_status sat_centroids_sort(sat_centroids *centroids, sat_memory *memory,
                                  satchel_error *error) {
    size_t n = centroids->space->dimension, count = centroids->count;
    projected *items = sat_alloc_array(memory, count, 2 * sizeof *items);
    float *scratch = sat_alloc_array(memory, n, 3 * sizeof *scratch);
    if (!items || !scratch) {
        sat_free(memory, items);
        sat_free(memory, scratch);
        return sat_memory_fail(memory, count * 2 * sizeof *items, error);
    }
    for (size_t i = 0; i < count; i++)
        items[i].centroid = (uint32_t)i;
    /* Level by level, left to right: a range of p panels is cut into floor(p/2) and the rest, so ranges are
     * found again by walking down from the whole. */
    for (size_t pieces = 1; pieces < centroids->panels; pieces *= 2) {
        for (size_t piece = 0; piece < pieces; piece++) {
            size_t first = 0, panels = centroids->panels;
            for (size_t bit = pieces / 2; bit > 0; bit /= 2) {
                size_t left = panels / 2;
                first += piece & bit ? left : 0;
                panels = piece & bit ? panels - left : left;
            }
            size_t begin = first * SAT_PANEL, end = (first + panels) * SAT_PANEL;
            end = end < count ? end : count;
            if (panels < 2 || begin >= end)
                continue;
            project(centroids, items + begin, end - begin, scratch, scratch + n, scratch + 2 * n);
            sort(items + begin, items + count, end - begin);
        }
    }
    for (size_t i = 0; i < count; i++) {
        centroids->order[i] = items[i].centroid;
        centroids->slot[items[i].centroid] = (uint32_t)i;
    }
    sat_free(memory, items);
    sat_free(memory, scratch);
    return SATCHEL_OK;
}
