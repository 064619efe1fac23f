/* The context: options checked once, parts opened in order, references counted; and the small rules
 * all public structs share (option tails, result sizes), cancel handles, log and clocks. */
#include "base/context.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/cpu.h"

enum { DEFAULT_THREADS = 4, LARGEST_OPTIONS = 64 * 1024 };

/* ------------------------------------------------------------------ public structs */

void sat_options_init(void *options, size_t struct_size) {
    if (!options || struct_size < sizeof(size_t))
        return;
    memset(options, 0, struct_size);
    memcpy(options, &struct_size, sizeof struct_size);
}

satchel_status sat_options_read(void *out, size_t size, const void *options, const char *name,
                                satchel_error *error) {
    memset(out, 0, size);
    memcpy(out, &size, sizeof size);
    if (!options)
        return SATCHEL_OK;
    size_t given;
    memcpy(&given, options, sizeof given);
    if (given < sizeof given || given > LARGEST_OPTIONS)
        return sat_fail(error, SATCHEL_INVALID_ARGUMENT,
                        "%s.struct_size is %zu: set it to sizeof(%s)", name, given, name);
    const uint8_t *bytes = options;
    for (size_t i = size; i < given; i++)
        if (bytes[i] != 0)
            return sat_fail(error, SATCHEL_UNSUPPORTED,
                            "%s sets byte %zu, in a field this library (%zu bytes) does not know; "
                            "leave it zero or use a newer library",
                            name, i, size);
    size_t known = given < size ? given : size;
    memcpy((uint8_t *)out + sizeof size, bytes + sizeof size, known - sizeof size);
    return SATCHEL_OK;
}

void sat_result_write(void *out, size_t size, const void *result, size_t known) {
    size_t shared = size < known ? size : known;
    memcpy(out, result, shared);
    if (size > shared)
        memset((uint8_t *)out + shared, 0, size - shared);
}

/* ------------------------------------------------------------------ open and close */

static satchel_status check_options(const satchel_context_options *options, int32_t *cpu_level,
                                    satchel_error *error) {
    const satchel_allocator *allocator = options->allocator;
    if (allocator && !(allocator->allocate && allocator->reallocate && allocator->release) &&
        (allocator->allocate || allocator->reallocate || allocator->release))
        return sat_fail(error, SATCHEL_INVALID_ARGUMENT,
                        "satchel_context_options.allocator: set allocate, reallocate and release, "
                        "or none of them");
    if (options->threads < 0 || options->threads > SAT_POOL_MAX_THREADS)
        return sat_fail(error, SATCHEL_INVALID_ARGUMENT,
                        "satchel_context_options.threads is %d: it takes 1 to %d, or 0 for the "
                        "default",
                        options->threads, SAT_POOL_MAX_THREADS);
    if (options->log_level < 0 || options->log_level > SATCHEL_LOG_DEBUG)
        return sat_fail(
            error, SATCHEL_INVALID_ARGUMENT,
            "satchel_context_options.log_level is %d: it takes SATCHEL_LOG_ERROR (1) to "
            "SATCHEL_LOG_DEBUG (4)",
            options->log_level);
    if (options->log_content != 0 && options->log_content != 1)
        return sat_fail(error, SATCHEL_INVALID_ARGUMENT,
                        "satchel_context_options.log_content is %d: it takes 0 or 1",
                        options->log_content);
    if (options->cpu_level != SATCHEL_CPU_DEFAULT &&
        strcmp(sat_cpu_name(options->cpu_level), "unknown") == 0)
        return sat_fail(error, SATCHEL_INVALID_ARGUMENT,
                        "satchel_context_options.cpu_level is %d: it takes a SATCHEL_CPU_* level",
                        options->cpu_level);
    if (options->cache_dir && !options->cache_dir[0])
        return sat_fail(
            error, SATCHEL_INVALID_ARGUMENT,
            "satchel_context_options.cache_dir is empty: give a folder, or NULL to save "
            "nothing");
    *cpu_level = sat_cpu_choose(options->cpu_level);
    if (*cpu_level == SATCHEL_CPU_DEFAULT)
        return sat_fail(error, SATCHEL_UNSUPPORTED,
                        "satchel_context_options.cpu_level asks for %s, this machine has %s",
                        sat_cpu_name(options->cpu_level), sat_cpu_name(sat_cpu_best()));
    return SATCHEL_OK;
}

/* The memory that counts a context's bytes lies inside the context, which has to be counted too: it
 * is allocated through a memory on the stack, whose count then moves in. */
static satchel_status context_alloc(satchel_context **out, const satchel_allocator *allocator,
                                    uint64_t limit, satchel_error *error) {
    sat_memory first;
    sat_memory_init(&first, allocator, limit);
    satchel_context *context = sat_calloc(&first, 1, sizeof *context);
    if (!context)
        return sat_memory_fail(&first, sizeof *context, error);
    sat_memory_init(&context->memory, allocator, limit);
    atomic_init(&context->memory.now, atomic_load(&first.now));
    atomic_init(&context->memory.peak, atomic_load(&first.peak));
    *out = context;
    return SATCHEL_OK;
}

static void context_free(satchel_context *context) {
    sat_memory last;
    sat_memory_init(&last, &context->memory.allocator, 0);
    atomic_init(&last.now, atomic_load(&context->memory.now));
    sat_free(&last, context);
}

satchel_status sat_context_open(satchel_context **out, const satchel_context_options *given,
                                satchel_error *error) {
    *out = NULL;
    satchel_context_options options;
    satchel_status status =
        sat_options_read(&options, sizeof options, given, "satchel_context_options", error);
    if (status)
        return status;
    int32_t cpu_level = SATCHEL_CPU_DEFAULT;
    status = check_options(&options, &cpu_level, error);
    if (status)
        return status;
    const satchel_allocator *allocator =
        options.allocator && options.allocator->allocate ? options.allocator : NULL;
    satchel_context *context = NULL;
    status = context_alloc(&context, allocator, options.memory_limit, error);
    if (status)
        return status;
    context->cpu_level = cpu_level;
    context->vector = sat_vector_kernels_for(cpu_level);
    context->files = &sat_file_posix;
    context->log = options.log;
    context->log_user = options.log_user;
    context->log_level = options.log_level ? options.log_level : SATCHEL_LOG_WARNING;
    context->log_content = options.log_content;
    context->process = getpid();
    atomic_init(&context->references, 1);

    int32_t threads = options.threads;
    if (threads == 0) {
        threads = sat_cpu_cores();
        if (threads > DEFAULT_THREADS)
            threads = DEFAULT_THREADS;
    }
    status = sat_pool_open(&context->pool, &context->memory, threads, error);
    if (!status && options.cache_dir)
        status = sat_cache_open(&context->cache, context, options.cache_dir, options.cache_limit,
                                options.cache_free_floor, error);
    if (status) {
        sat_pool_close(&context->pool);
        context_free(context);
        return status;
    }
    sat_log(context, SATCHEL_LOG_INFO, false, "context opened: %s, %d threads",
            sat_cpu_name(cpu_level), threads);
    *out = context;
    return SATCHEL_OK;
}

satchel_context *sat_context_retain(satchel_context *context) {
    if (context)
        atomic_fetch_add_explicit(&context->references, 1, memory_order_relaxed);
    return context;
}

void sat_context_release(satchel_context *context) {
    if (!context || atomic_fetch_sub_explicit(&context->references, 1, memory_order_acq_rel) != 1)
        return;
    sat_cache_close(&context->cache);
    sat_pool_close(&context->pool);
    context_free(context);
}

satchel_status sat_context_check(const satchel_context *context, satchel_error *error) {
    int64_t process = getpid();
    if (context->process == process)
        return SATCHEL_OK;
    return sat_fail(
        error, SATCHEL_FORKED,
        "this handle was opened in process %lld and is used in %lld, after a fork; open "
        "a new context here",
        (long long)context->process, (long long)process);
}

/* ------------------------------------------------------------------ log */

void sat_log(const satchel_context *context, int32_t level, bool content, const char *format, ...) {
    if (!context->log || level > context->log_level || (content && !context->log_content))
        return;
    char message[1024];
    va_list arguments;
    va_start(arguments, format);
    sat_format_v(message, sizeof message, format, arguments);
    va_end(arguments);
    context->log(context->log_user, level, message);
}

/* ------------------------------------------------------------------ cancel */

satchel_cancel *sat_cancel_retain(const satchel_cancel *cancel) {
    satchel_cancel *counted = (satchel_cancel *)cancel; /* const means: does not fire it */
    if (counted)
        atomic_fetch_add_explicit(&counted->references, 1, memory_order_relaxed);
    return counted;
}

void sat_cancel_release(satchel_cancel *cancel) {
    if (!cancel || atomic_fetch_sub_explicit(&cancel->references, 1, memory_order_acq_rel) != 1)
        return;
    satchel_context *context = cancel->context;
    sat_free(&context->memory, cancel);
    sat_context_release(context);
}

satchel_status sat_cancel_check(const satchel_cancel *cancel, satchel_error *error) {
    if (!sat_cancelled(cancel))
        return SATCHEL_OK;
    return sat_fail(error, SATCHEL_CANCELLED, "the cancel handle was fired");
}

/* ------------------------------------------------------------------ clocks */

static int64_t clock_ms(clockid_t clock) {
    struct timespec time;
    if (clock_gettime(clock, &time) != 0)
        return 0;
    return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

int64_t sat_clock_ms(void) {
    return clock_ms(CLOCK_MONOTONIC);
}

int64_t sat_clock_unix_ms(void) {
    return clock_ms(CLOCK_REALTIME);
}
