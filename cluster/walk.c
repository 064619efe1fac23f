/* Survey and measure: one unit of rows at a time. */
#include "cluster/walk.h"

#include <math.h>
#include <string.h>

/* Squares of larger values, summed, could leave even a double. */
#define LARGEST_VALUE 1e30

enum { UNITS_AT_ONCE = 4 }; /* units a thread takes at a time */

static size_t units(size_t count) {
    return count / SAT_UNIT + (count % SAT_UNIT != 0);
}

static void unit_range(size_t unit, size_t count, size_t *begin, size_t *end) {
    *begin = unit * SAT_UNIT;
    *end = count - *begin < SAT_UNIT ? count : *begin + SAT_UNIT;
}

/* ------------------------------------------------------------------ survey */

typedef struct survey_unit {
    double square, longest;
    float largest; /* NaN if any value is: then `bad` */
    size_t bad;    /* first row with a value that is not allowed, else SIZE_MAX */
} survey_unit;

typedef struct survey_job {
    const sat_workers *workers;
    size_t dimension, stride, count;
    const float *rows;
    survey_unit *units;
    double *sums; /* (threads, dimension) */
} survey_job;

static void survey_rows(void *user, int thread, size_t first_unit, size_t end_unit) {
    survey_job *job = user;
    const sat_cluster_kernels *kernels = job->workers->kernels;
    size_t n = job->dimension;
    double *sums = job->sums + (size_t)thread * n;
    for (size_t u = first_unit; u < end_unit; u++) {
        survey_unit *unit = &job->units[u];
        *unit = (survey_unit){.bad = SIZE_MAX};
        if (sat_cancelled(job->workers->cancel))
            continue;
        size_t begin, end;
        unit_range(u, job->count, &begin, &end);
        for (size_t r = begin; r < end; r++) {
            const float *row = job->rows + r * job->stride;
            float largest = 0;
            uint32_t odd = 0; /* an exponent of all ones: infinity or NaN */
            for (size_t d = 0; d < n; d++) {
                uint32_t bits;
                memcpy(&bits, &row[d], sizeof bits);
                odd |= (bits & 0x7F800000) == 0x7F800000;
                float size = fabsf(row[d]);
                largest = size > largest ? size : largest;
                sums[d] += row[d];
            }
            if (odd || largest > (float)LARGEST_VALUE) {
                unit->bad = r;
                break;
            }
            double square = kernels->dot(row, row, n);
            unit->square += square;
            unit->longest = square > unit->longest ? square : unit->longest;
            unit->largest = largest > unit->largest ? largest : unit->largest;
        }
    }
}

satchel_status sat_walk_survey(const sat_workers *workers, sat_survey *survey, size_t dimension,
                               const float *rows, size_t stride, size_t count,
                               satchel_error *error) {
    sat_memory *memory = &workers->context->memory;
    size_t threads = (size_t)sat_pool_threads(workers->context->pool), n = units(count);
    survey_job job = {.workers = workers,
                      .dimension = dimension,
                      .stride = stride,
                      .count = count,
                      .rows = rows,
                      .units = sat_alloc_array(memory, n, sizeof *job.units),
                      .sums = sat_calloc(memory, threads * dimension, sizeof *job.sums)};
    satchel_status status = SATCHEL_OK;
    if (!job.units || !job.sums)
        status = sat_memory_fail(
            memory, n * sizeof *job.units + threads * dimension * sizeof *job.sums, error);
    if (status == SATCHEL_OK) {
        sat_pool_run(workers->context->pool, workers->priority, workers->threads, n, UNITS_AT_ONCE,
                     survey_rows, &job);
        status = sat_cancel_check(workers->cancel, error);
    }
    for (size_t u = 0; u < n && status == SATCHEL_OK; u++) {
        const survey_unit *unit = &job.units[u];
        if (unit->bad != SIZE_MAX) {
            const float *row = rows + unit->bad * stride;
            size_t d = 0;
            while (d + 1 < dimension && isfinite(row[d]) && fabsf(row[d]) <= (float)LARGEST_VALUE)
                d++;
            status = sat_fail(error, SATCHEL_INVALID_ARGUMENT,
                              "row %llu, coordinate %zu of the points is %g: values must be finite "
                              "and within %g",
                              (unsigned long long)(survey->count + unit->bad), d, (double)row[d],
                              LARGEST_VALUE);
        }
        survey->square += unit->square;
        survey->longest = fmax(survey->longest, sqrt(unit->longest));
        survey->largest = fmax(survey->largest, (double)unit->largest);
    }
    for (size_t t = 0; t < threads && status == SATCHEL_OK; t++)
        for (size_t d = 0; d < dimension; d++)
            survey->sum[d] += job.sums[t * dimension + d];
    survey->count += count;
    sat_free(memory, job.units);
    sat_free(memory, job.sums);
    return status;
}

/* ------------------------------------------------------------------ measure */

typedef struct measure_job {
    const sat_workers *workers;
    size_t dimension, stride, count;
    bool inner;
    const float *rows, *centroids;
    const int32_t *labels;
    double *out, *sums; /* sums: one a unit */
} measure_job;

static void measure_rows(void *user, int thread, size_t first_unit, size_t end_unit) {
    measure_job *job = user;
    (void)thread;
    const sat_cluster_kernels *kernels = job->workers->kernels;
    size_t n = job->dimension;
    for (size_t u = first_unit; u < end_unit; u++) {
        size_t begin, end;
        unit_range(u, job->count, &begin, &end);
        double sum = 0;
        for (size_t r = begin; r < end && !sat_cancelled(job->workers->cancel); r++) {
            const float *row = job->rows + r * job->stride;
            const float *centroid = job->centroids + (size_t)job->labels[r] * n;
            double value =
                job->inner ? kernels->dot(row, centroid, n) : kernels->distance(row, centroid, n);
            if (job->out)
                job->out[r] = value;
            sum += value;
        }
        job->sums[u] = sum;
    }
}

satchel_status sat_walk_measure(const sat_workers *workers, size_t dimension, bool inner,
                                const float *rows, size_t stride, size_t count,
                                const float *centroids, const int32_t *labels, double *out,
                                double *sum, satchel_error *error) {
    sat_memory *memory = &workers->context->memory;
    size_t n = units(count);
    double *sums = sat_alloc_array(memory, n, sizeof *sums);
    if (!sums)
        return sat_memory_fail(memory, n * sizeof *sums, error);
    measure_job job = {.workers = workers,
                       .dimension = dimension,
                       .stride = stride,
                       .count = count,
                       .inner = inner,
                       .rows = rows,
                       .centroids = centroids,
                       .labels = labels,
                       .out = out,
                       .sums = sums};
    sat_pool_run(workers->context->pool, workers->priority, workers->threads, n, UNITS_AT_ONCE,
                 measure_rows, &job);
    for (size_t u = 0; u < n; u++)
        *sum += sums[u];
    sat_free(memory, sums);
    return sat_cancel_check(workers->cancel, error);
}
