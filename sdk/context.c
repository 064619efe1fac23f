/* The public face of contexts and cancel handles; base/context.c does the work. */
#include "sdk/handle.h"

void satchel_context_options_init(satchel_context_options *options, size_t struct_size) {
    sat_options_init(options, struct_size);
}

satchel_status satchel_context_open(satchel_context **out, const satchel_context_options *options,
                                    satchel_error *error) {
    satchel_status status = sat_check_out(__func__, "out", out, sizeof *out, error);
    return status ? status : sat_context_open(out, options, error);
}

void satchel_context_close(satchel_context **context) {
    if (!context || !*context)
        return;
    if (!sat_is_forked(*context))
        sat_context_release(*context);
    *context = NULL;
}

int32_t satchel_context_cpu_level(const satchel_context *context) {
    return context ? context->cpu_level : SATCHEL_CPU_DEFAULT;
}

const char *satchel_context_cpu_name(const satchel_context *context) {
    return context ? sat_cpu_name(context->cpu_level) : "";
}

int32_t satchel_context_threads(const satchel_context *context) {
    return context ? (int32_t)sat_pool_threads(context->pool) : 0;
}

void satchel_context_memory(const satchel_context *context, uint64_t *now, uint64_t *peak) {
    if (now)
        *now = context ? atomic_load_explicit(&context->memory.now, memory_order_relaxed) : 0;
    if (peak)
        *peak = context ? atomic_load_explicit(&context->memory.peak, memory_order_relaxed) : 0;
}

satchel_status satchel_context_clear_cache(satchel_context *context, satchel_error *error) {
    satchel_status status = sat_check_context(__func__, context, error);
    if (status || !context->cache)
        return status;
    return sat_cache_clear(context->cache, error);
}

/* ------------------------------------------------------------------ cancel */

satchel_status satchel_cancel_open(satchel_cancel **out, satchel_context *context,
                                   satchel_error *error) {
    satchel_status status = sat_check_out(__func__, "out", out, sizeof *out, error);
    if (!status)
        status = sat_check_context(__func__, context, error);
    if (status)
        return status;
    satchel_cancel *cancel = sat_calloc(&context->memory, 1, sizeof *cancel);
    if (!cancel)
        return sat_memory_fail(&context->memory, sizeof *cancel, error);
    cancel->context = sat_context_retain(context);
    atomic_init(&cancel->fired, 0);
    atomic_init(&cancel->references, 1);
    *out = cancel;
    return SATCHEL_OK;
}

void satchel_cancel_fire(satchel_cancel *cancel) {
    if (cancel)
        atomic_store_explicit(&cancel->fired, 1, memory_order_relaxed);
}

int32_t satchel_cancel_fired(const satchel_cancel *cancel) {
    return sat_cancelled(cancel);
}

void satchel_cancel_close(satchel_cancel **cancel) {
    if (!cancel || !*cancel)
        return;
    if (!sat_is_forked((*cancel)->context))
        sat_cancel_release(*cancel);
    *cancel = NULL;
}
