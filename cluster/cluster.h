/*
 * cluster: exact k-means at integer speed. This is the folder's one interface header. The types are
 * those of satchel.h; options are read and checked structs of the known size.
 */
#ifndef SATCHEL_CLUSTER_CLUSTER_H
#define SATCHEL_CLUSTER_CLUSTER_H

#include "base/base.h"

/* satchel_kmeans() at a pool priority, SAT_PRIORITY_*. `options` and `info` may be NULL. */
satchel_status sat_kmeans(satchel_context *context, int priority, const satchel_points *points,
                          size_t k, float *centroids, int32_t *labels, satchel_kmeans_info *info,
                          const satchel_kmeans_options *options, satchel_error *error);

/* satchel_kmeans_assign() at a pool priority. */
satchel_status sat_kmeans_assign(satchel_context *context, int priority,
                                 const satchel_points *points, size_t k, const float *centroids,
                                 int32_t *labels, double *distances,
                                 const satchel_kmeans_options *options, satchel_error *error);

size_t sat_kmeans_default_k(uint64_t count);

#endif
