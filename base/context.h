/*
 * The parts of a context, as internal code sees them. `struct satchel_context` itself is defined
 * here: sdk opens and closes it, other folders are handed it and take what they need.
 */
#ifndef SATCHEL_BASE_CONTEXT_H
#define SATCHEL_BASE_CONTEXT_H

#include <stdatomic.h>

#include "base/alloc.h"
#include "base/cache.h"
#include "base/file.h"
#include "base/pool.h"
#include "base/vector.h"

struct satchel_context {
    sat_memory memory;
    int32_t cpu_level;                /* SATCHEL_CPU_*, never DEFAULT */
    const sat_vector_kernels *vector; /* for cpu_level */
    const sat_file_table *files; /* how this context touches files; tests put a failing one here */
    void *files_user;
    sat_cache *cache; /* NULL: no cache_dir */
    sat_pool *pool;
    satchel_log_function log; /* may be NULL */
    void *log_user;
    int32_t log_level, log_content;
    int64_t process; /* pid at open: a handle used after fork() is refused */
    _Atomic int64_t references;
};

/* A context from public options (NULL: defaults). The caller owns one reference. */
satchel_status sat_context_open(satchel_context **out, const satchel_context_options *options,
                                satchel_error *error);
satchel_context *sat_context_retain(satchel_context *context);
void sat_context_release(satchel_context *context); /* frees at the last reference; NULL is fine */
/* SATCHEL_FORKED if this process is not the one that opened the context. */
satchel_status sat_context_check(const satchel_context *context, satchel_error *error);
/* content: the message holds user text, a path or an id: only logged if asked for. */
void sat_log(const satchel_context *context, int32_t level, bool content, const char *format, ...)
    SAT_PRINTF(4, 5);

/* Reads a caller's option struct of `struct_size` bytes into a zeroed `out` of `size` bytes. NULL
 * options give zeros. UNSUPPORTED if bytes past what we know are not zero, INVALID_ARGUMENT if
 * struct_size is smaller than a size_t or absurd (over 64 KiB). `name` is for the message. */
satchel_status sat_options_read(void *out, size_t size, const void *options, const char *name,
                                satchel_error *error);
/* Zeroes a caller's struct of struct_size bytes and sets its first field, struct_size. */
void sat_options_init(void *options, size_t struct_size);
/* Copies the first min(size, known) bytes of a result struct out, zeroing what lies past known. */
void sat_result_write(void *out, size_t size, const void *result, size_t known);

/* Cancel handles: a flag with a reference count. */
struct satchel_cancel {
    satchel_context *context;
    _Atomic int32_t fired;
    _Atomic int64_t references;
};
satchel_cancel *sat_cancel_retain(const satchel_cancel *cancel); /* NULL gives NULL */
void sat_cancel_release(satchel_cancel *cancel);
static inline bool sat_cancelled(const satchel_cancel *cancel) {
    return cancel && atomic_load_explicit(&cancel->fired, memory_order_relaxed) != 0;
}
/* CANCELLED with a message if fired. */
satchel_status sat_cancel_check(const satchel_cancel *cancel, satchel_error *error);

int64_t sat_clock_ms(void);      /* monotonic */
int64_t sat_clock_unix_ms(void); /* wall clock */

#endif
