/* One clustering, from the first centroids to the final labels. */
#ifndef SATCHEL_CLUSTER_LLOYD_H
#define SATCHEL_CLUSTER_LLOYD_H

#include "base/base.h"

/* As sat_kmeans, of checked sizes; options->iterations are done, 0 too. SATCHEL_KMEANS_FAST here only means
 * to stop when few points move. near: the first centroids are close to where they will be, so bounds
 * are worth keeping from the first pass on. */
satchel_status sat_lloyd(satchel_context *context, int priority, const satchel_points *points,
                         size_t k, float *centroids, int32_t *labels, satchel_kmeans_info *info,
                         const satchel_kmeans_options *options, bool near, satchel_error *error);

/* As sat_kmeans_assign, of checked sizes. */
satchel_status sat_lloyd_assign(satchel_context *context, int priority,
                                const satchel_points *points, size_t k, const float *centroids,
                                int32_t *labels, double *distances,
                                const satchel_kmeans_options *options, satchel_error *error);

#endif
