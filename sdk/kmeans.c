/* Clustering: checks at the border, then cluster/. */
#include <inttypes.h>
#include <string.h>

#include "cluster/cluster.h"
#include "sdk/handle.h"

enum { MAX_DIMENSION = 65536 };

void satchel_kmeans_options_init(satchel_kmeans_options *options, size_t struct_size) {
    sat_options_init(options, struct_size);
}

size_t satchel_kmeans_default_k(uint64_t count) {
    return sat_kmeans_default_k(count);
}

/* ------------------------------------------------------------------ checks */

static satchel_status check_origin(const char *call, const satchel_points *points,
                                   satchel_error *error) {
    int origins = (points->rows != NULL) + (points->path != NULL) + (points->read != NULL);
    if (origins == 1)
        return SATCHEL_OK;
    return sat_fail(error, SATCHEL_INVALID_ARGUMENT,
                    "%s: points come from %s; set exactly one of points.rows, points.path and "
                    "points.read",
                    call, origins ? "several places" : "nowhere");
}

/* That no size or offset made of these numbers overflows, on this machine and in a file. */
static satchel_status check_extent(const char *call, const satchel_points *points,
                                   satchel_error *error) {
    uint64_t dimension = (uint64_t)points->dimension;
    uint64_t stride = points->stride ? points->stride : dimension, bytes;
    if (stride < dimension)
        return sat_fail(error, SATCHEL_INVALID_ARGUMENT,
                        "%s: points.stride is %zu floats, less than the dimension %" PRId32, call,
                        points->stride, points->dimension);
    if (points->stride && !points->rows && stride != dimension)
        return sat_fail(error, SATCHEL_INVALID_ARGUMENT,
                        "%s: points.stride goes with points.rows only; rows of a file or of a "
                        "function follow each other",
                        call);
    if (points->offset && !points->path)
        return sat_fail(error, SATCHEL_INVALID_ARGUMENT,
                        "%s: points.offset goes with points.path only", call);
    bool fits = !__builtin_mul_overflow(points->count, stride, &bytes) &&
                !__builtin_mul_overflow(bytes, sizeof(float), &bytes) &&
                !__builtin_add_overflow(bytes, points->offset, &bytes) && bytes <= INT64_MAX &&
                points->count <= SIZE_MAX / sizeof(double) &&
                (!points->rows || bytes <= SIZE_MAX / 2);
    if (fits)
        return SATCHEL_OK;
    return sat_fail(error, SATCHEL_INVALID_ARGUMENT,
                    "%s: %" PRIu64 " rows of %" PRIu64 " floats are more than can be addressed",
                    call, points->count, stride);
}

/* Reads and checks points and k, which both calls take. */
static satchel_status read_points(const char *call, satchel_points *known,
                                  const satchel_points *points, size_t k, satchel_error *error) {
    satchel_status status = sat_check_pointer(call, "points", points, error);
    if (!status)
        status = sat_options_read(known, sizeof *known, points, "satchel_points", error);
    if (!status)
        status = check_origin(call, known, error);
    if (!status)
        status =
            sat_check_range(call, "points.dimension", known->dimension, 1, MAX_DIMENSION, error);
    if (!status)
        status = check_extent(call, known, error);
    if (!status && k == 0)
        status = sat_fail(error, SATCHEL_INVALID_ARGUMENT,
                          "%s: k is 0; satchel_kmeans_default_k() has a number", call);
    /* Labels are int32_t, and k · dimension floats are handed over. */
    size_t floats;
    if (!status && (k > INT32_MAX || !sat_mul_size(k, (size_t)known->dimension, &floats) ||
                    floats > SIZE_MAX / 2 / sizeof(float)))
        status = sat_fail(error, SATCHEL_INVALID_ARGUMENT, "%s: k is %zu, more than labels can say",
                          call, k);
    return status;
}

/* What both calls read of the options. */
static satchel_status read_options(const char *call, satchel_kmeans_options *known,
                                   const satchel_kmeans_options *options, satchel_error *error) {
    satchel_status status =
        sat_options_read(known, sizeof *known, options, "satchel_kmeans_options", error);
    if (!status)
        status = sat_check_range(call, "options.objective", known->objective,
                                 SATCHEL_KMEANS_EUCLIDEAN, SATCHEL_KMEANS_INNER_PRODUCT, error);
    if (!status)
        status = sat_check_range(call, "options.threads", known->threads, 0, SAT_POOL_MAX_THREADS,
                                 error);
    if (!status)
        status = sat_cancel_check(known->cancel, error);
    return status;
}

static satchel_status check_init(const char *call, const satchel_kmeans_options *options,
                                 satchel_error *error) {
    satchel_status status = sat_check_range(call, "options.init", options->init,
                                            SATCHEL_INIT_DEFAULT, SATCHEL_INIT_PARALLEL, error);
    if (!status && options->init == SATCHEL_INIT_GIVEN && !options->initial)
        status =
            sat_fail(error, SATCHEL_INVALID_ARGUMENT,
                     "%s: options.init is SATCHEL_INIT_GIVEN but options.initial is NULL", call);
    if (!status && options->initial && options->init != SATCHEL_INIT_GIVEN &&
        options->init != SATCHEL_INIT_DEFAULT)
        status = sat_fail(error, SATCHEL_INVALID_ARGUMENT,
                          "%s: options.initial has centroids but options.init asks for others; "
                          "leave one of them 0",
                          call);
    return status;
}

static satchel_status check_run(const char *call, const satchel_kmeans_options *options,
                                satchel_error *error) {
    satchel_status status =
        sat_check_range(call, "options.iterations", options->iterations, -1, INT32_MAX, error);
    if (!status)
        status = sat_check_range(call, "options.mode", options->mode, SATCHEL_KMEANS_EXACT,
                                 SATCHEL_KMEANS_FAST, error);
    if (!status)
        status = check_init(call, options, error);
    if (!status && !(options->tolerance >= 0)) /* NaN too */
        status = sat_fail(error, SATCHEL_INVALID_ARGUMENT,
                          "%s: options.tolerance is %g; it is a number of 0 or more", call,
                          options->tolerance);
    return status;
}

/* ------------------------------------------------------------------ calls */

satchel_status satchel_kmeans(satchel_context *context, const satchel_points *points, size_t k,
                              float *centroids, int32_t *labels, satchel_kmeans_info *info,
                              size_t info_size, const satchel_kmeans_options *options,
                              satchel_error *error) {
    if (info)
        memset(info, 0, info_size);
    satchel_points known;
    satchel_kmeans_options chosen;
    satchel_status status = sat_check_pointer(__func__, "centroids", centroids, error);
    if (!status)
        status = sat_check_context(__func__, context, error);
    if (!status)
        status = read_points(__func__, &known, points, k, error);
    if (!status && known.count == 0)
        status = sat_fail(error, SATCHEL_INVALID_ARGUMENT,
                          "%s: points.count is 0; there is nothing to cluster", __func__);
    if (!status && k > known.count)
        status = sat_fail(error, SATCHEL_INVALID_ARGUMENT,
                          "%s: k is %zu, but there are only %" PRIu64 " points", __func__, k,
                          known.count);
    if (!status)
        status = read_options(__func__, &chosen, options, error);
    if (!status)
        status = check_run(__func__, &chosen, error);
    if (status)
        return status;
    satchel_kmeans_info found = {0};
    status = sat_kmeans(context, SAT_PRIORITY_INDEX, &known, k, centroids, labels, &found, &chosen,
                        error);
    if (!status && info)
        sat_result_write(info, info_size, &found, sizeof found);
    return status;
}

satchel_status satchel_kmeans_assign(satchel_context *context, const satchel_points *points,
                                     size_t k, const float *centroids, int32_t *labels,
                                     double *distances, const satchel_kmeans_options *options,
                                     satchel_error *error) {
    satchel_points known;
    satchel_kmeans_options chosen;
    satchel_status status = sat_check_pointer(__func__, "centroids", centroids, error);
    if (!status)
        status = sat_check_context(__func__, context, error);
    if (!status)
        status = read_points(__func__, &known, points, k, error);
    if (!status)
        status = read_options(__func__, &chosen, options, error);
    if (status || known.count == 0)
        return status;
    return sat_kmeans_assign(context, SAT_PRIORITY_SEARCH, &known, k, centroids, labels, distances,
                             &chosen, error);
}
