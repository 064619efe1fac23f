/* Instruction-set levels: what the machine has, and what kernels may use. */
#ifndef SATCHEL_BASE_CPU_H
#define SATCHEL_BASE_CPU_H

#include <stdbool.h>
#include <stdint.h>

#include "sdk/include/satchel.h"

/* The best SATCHEL_CPU_* level of this machine (CPU and operating system state). */
int32_t sat_cpu_best(void);
/* The level to use under `ceiling`, which names a level or is SATCHEL_CPU_DEFAULT, the best.
 * Returns 0 (SATCHEL_CPU_DEFAULT) if `ceiling` is unknown or this machine lacks it. */
int32_t sat_cpu_choose(int32_t ceiling);
/* "c", "avx2", "avxvnni", "avx512", "neon", "dotprod", "i8mm", else "unknown". */
const char *sat_cpu_name(int32_t level);
/* Level from its name, 0 if unknown. */
int32_t sat_cpu_from_name(const char *name);
/* Number of performance cores this process may run on, at least 1. */
int32_t sat_cpu_cores(void);

#endif
