/*
 * Stands in for the compiler's <omp.h> while FAISS is built: FAISS is compiled without OpenMP, so
 * every parallel region has one thread and every lock has one owner. Inline, so that no omp_* name
 * reaches the linker, where an app's real OpenMP runtime may hold the same names.
 */
#ifndef SATCHEL_FAISS_OMP_H
#define SATCHEL_FAISS_OMP_H

typedef int omp_lock_t;

static inline int omp_get_max_threads(void) {
    return 1;
}
static inline int omp_get_num_threads(void) {
    return 1;
}
static inline int omp_get_thread_num(void) {
    return 0;
}
static inline int omp_in_parallel(void) {
    return 0;
}
static inline int omp_get_nested(void) {
    return 0;
}
static inline void omp_set_nested(int nested) {
    (void)nested;
}
static inline void omp_set_num_threads(int threads) {
    (void)threads;
}
static inline void omp_init_lock(omp_lock_t *lock) {
    *lock = 0;
}
static inline void omp_destroy_lock(omp_lock_t *lock) {
    (void)lock;
}
static inline void omp_set_lock(omp_lock_t *lock) {
    (void)lock;
}
static inline void omp_unset_lock(omp_lock_t *lock) {
    (void)lock;
}

#endif
