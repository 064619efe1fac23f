/* Kernels of clustering: the table of a level. */
#include "cluster/kernels.h"

#include "sdk/include/satchel.h"

const sat_cluster_kernels *sat_cluster_kernels_for(int32_t level) {
    switch (level) {
    default:
        return &sat_cluster_kernels_c;
    }
}
