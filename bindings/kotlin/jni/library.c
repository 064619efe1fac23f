/* The library itself, contexts, cancel handles, GGUF files and clustering. */
#include "bridge.h"

#include <string.h>

/* ------------------------------------------------------------------ library */

satchel_status op_version(call *c) {
    write_text(&c->out, satchel_version());
    return SATCHEL_OK;
}

satchel_status op_version_at_least(call *c) {
    int32_t major = read_i32(&c->in), minor = read_i32(&c->in), patch = read_i32(&c->in);
    write_i32(&c->out, satchel_version_at_least(major, minor, patch));
    return understood(c);
}

satchel_status op_has_feature(call *c) {
    const char *name = read_text(&c->in);
    satchel_status status = understood(c);
    if (!status)
        write_i32(&c->out, satchel_has_feature(name));
    return status;
}

satchel_status op_status_name(call *c) {
    write_text(&c->out, satchel_status_name(read_i32(&c->in)));
    return understood(c);
}

satchel_status op_prompt_default(call *c) {
    write_text(&c->out, satchel_prompt_default());
    return SATCHEL_OK;
}

/* ------------------------------------------------------------------ context */

static void unmake_context(void *made) {
    satchel_context *context = made;
    satchel_context_close(&context);
}

satchel_status op_context_open(call *c) {
    satchel_context_options options;
    satchel_context_options_init(&options, sizeof options);
    options.threads = read_i32(&c->in);
    options.cpu_level = read_i32(&c->in);
    options.memory_limit = (uint64_t)read_i64(&c->in);
    options.log_level = read_i32(&c->in);
    options.log_content = read_i32(&c->in);
    options.cache_dir = read_text(&c->in);
    options.cache_limit = (uint64_t)read_i64(&c->in);
    options.cache_free_floor = (uint64_t)read_i64(&c->in);
    satchel_status status = understood(c);
    if (status)
        return status;
    callback *log = NULL;
    if (c->callback) {
        log = keep_callback(c);
        if (!log)
            return fail(c, SATCHEL_OUT_OF_MEMORY, "no memory for a log function");
        options.log = on_log;
        options.log_user = log;
    }
    satchel_context *context;
    status = satchel_context_open(&context, &options, &c->error);
    if (status) {
        release_callback(log);
        return status;
    }
    write_handle(c, context, unmake_context);
    // Kotlin releases it when nothing is open any more that may log.
    write_i64(&c->out, (int64_t)(intptr_t)log);
    return SATCHEL_OK;
}

satchel_status op_context_close(call *c) {
    satchel_context *context = read_handle(&c->in);
    satchel_context_close(&context);
    return SATCHEL_OK;
}

satchel_status op_callback_release(call *c) {
    release_callback(read_handle(&c->in));
    return SATCHEL_OK;
}

satchel_status op_context_info(call *c) {
    const satchel_context *context = read_handle(&c->in);
    uint64_t now, peak;
    satchel_context_memory(context, &now, &peak);
    write_i64(&c->out, (int64_t)now);
    write_i64(&c->out, (int64_t)peak);
    write_i32(&c->out, satchel_context_threads(context));
    write_i32(&c->out, satchel_context_cpu_level(context));
    write_text(&c->out, satchel_context_cpu_name(context));
    return SATCHEL_OK;
}

satchel_status op_context_clear_cache(call *c) {
    satchel_context *context = read_handle(&c->in);
    return satchel_context_clear_cache(context, &c->error);
}

/* ------------------------------------------------------------------ cancel */

static void unmake_cancel(void *made) {
    satchel_cancel *cancel = made;
    satchel_cancel_close(&cancel);
}

satchel_status op_cancel_open(call *c) {
    satchel_cancel *cancel;
    satchel_status status = satchel_cancel_open(&cancel, read_handle(&c->in), &c->error);
    if (!status)
        write_handle(c, cancel, unmake_cancel);
    return status;
}

satchel_status op_cancel_fire(call *c) {
    satchel_cancel_fire(read_handle(&c->in));
    return SATCHEL_OK;
}

satchel_status op_cancel_fired(call *c) {
    const satchel_cancel *cancel = read_handle(&c->in);
    write_i32(&c->out, cancel ? satchel_cancel_fired(cancel) : 0);
    return SATCHEL_OK;
}

satchel_status op_cancel_close(call *c) {
    satchel_cancel *cancel = read_handle(&c->in);
    satchel_cancel_close(&cancel);
    return SATCHEL_OK;
}

/* ------------------------------------------------------------------ GGUF */

static satchel_status write_gguf(call *c, satchel_gguf *gguf, size_t limit) {
    satchel_gguf_info info;
    satchel_status status = satchel_gguf_get_info(gguf, &info, sizeof info, &c->error);
    if (status)
        return status;
    writer *out = &c->out;
    write_i32(out, info.version);
    write_i32(out, info.parts);
    write_i64(out, info.file_bytes);
    write_i64(out, info.tensor_bytes);
    write_i64(out, info.parameter_count);
    write_i32(out, (int32_t)info.key_count);
    for (int64_t i = 0; i < info.key_count; i++) {
        satchel_gguf_key key;
        status = satchel_gguf_get_key(gguf, (size_t)i, limit, &key, sizeof key, &c->error);
        if (status)
            return status;
        write_text(out, key.name);
        write_text(out, key.type);
        write_bytes(out, key.value, key.value_length);
        write_i64(out, key.count);
        write_i32(out, key.cut);
        write_i32(out, key.part);
    }
    write_i32(out, (int32_t)info.tensor_count);
    for (int64_t i = 0; i < info.tensor_count; i++) {
        satchel_gguf_tensor tensor;
        status = satchel_gguf_get_tensor(gguf, (size_t)i, &tensor, sizeof tensor, &c->error);
        if (status)
            return status;
        write_text(out, tensor.name);
        write_text(out, tensor.type);
        write_i32(out, tensor.type_id);
        write_i32(out, tensor.rank);
        for (int32_t d = 0; d < tensor.rank; d++)
            write_i64(out, tensor.shape[d]);
        write_i64(out, tensor.bytes);
        write_i64(out, tensor.offset);
        write_i32(out, tensor.part);
    }
    return SATCHEL_OK;
}

satchel_status op_gguf_read(call *c) {
    satchel_context *context = read_handle(&c->in);
    const char *path = read_text(&c->in);
    int64_t limit = read_i64(&c->in);
    satchel_gguf *gguf = NULL;
    satchel_status status = understood(c);
    if (!status)
        status = satchel_gguf_open(&gguf, context, path, &c->error);
    if (!status)
        status = write_gguf(c, gguf, limit < 0 ? SIZE_MAX : (size_t)limit);
    satchel_gguf_close(&gguf);
    return status;
}

/* ------------------------------------------------------------------ k-means */

satchel_status op_kmeans_default_k(call *c) {
    write_i64(&c->out, (int64_t)satchel_kmeans_default_k((uint64_t)read_i64(&c->in)));
    return SATCHEL_OK;
}

/* What both calls are given, in the order Kotlin writes it. */
typedef struct clustering {
    satchel_context *context;
    satchel_points points;
    size_t k;
    satchel_kmeans_options options;
    const float *rows;    /* to be given back */
    const float *centers; /* (k, dimension): where to begin, or to assign to; may be NULL */
} clustering;

static satchel_status read_clustering(call *c, clustering *it) {
    memset(it, 0, sizeof *it);
    satchel_kmeans_options_init(&it->options, sizeof it->options);
    it->context = read_handle(&c->in);
    it->points.struct_size = sizeof it->points;
    it->points.count = (uint64_t)read_i64(&c->in);
    it->points.dimension = read_i32(&c->in);
    it->points.path = read_text(&c->in);
    it->points.offset = (uint64_t)read_i64(&c->in);
    if (read_i32(&c->in)) {
        c->dimension = it->points.dimension;
        it->points.read = on_points;
        it->points.user = c;
    }
    it->k = (size_t)read_i64(&c->in);
    it->options.iterations = read_i32(&c->in);
    it->options.objective = read_i32(&c->in);
    it->options.mode = read_i32(&c->in);
    it->options.init = read_i32(&c->in);
    it->options.tolerance = read_f64(&c->in);
    it->options.seed = (uint64_t)read_i64(&c->in);
    it->options.memory_budget = (uint64_t)read_i64(&c->in);
    it->options.threads = read_i32(&c->in);
    it->options.cancel = read_handle(&c->in);
    size_t given, have;
    it->centers = read_array(c, &given);
    if (read_i32(&c->in)) {
        it->options.progress = on_kmeans_progress;
        it->options.progress_user = c;
    }
    satchel_status status = understood(c);
    if (status)
        return status;
    // The library cannot see how long these arrays are.
    size_t dimension = it->points.dimension > 0 ? (size_t)it->points.dimension : 1;
    if (it->centers && (given / dimension != it->k || given % dimension != 0))
        return fail(c, SATCHEL_INVALID_ARGUMENT, "centroids are not k rows of the dimension");
    it->rows = take_floats(c, &have);
    it->points.rows = it->rows;
    if (it->rows && have / dimension < it->points.count) {
        give_floats(c, it->rows);
        return fail(c, SATCHEL_INVALID_ARGUMENT, "fewer points than their count says");
    }
    // Sizes are checked here too, because the outputs are allocated here.
    if (it->k > (size_t)INT32_MAX / 4 / dimension || it->points.count > INT32_MAX / 12) {
        give_floats(c, it->rows);
        return fail(c, SATCHEL_LIMIT, "more points or centroids than a Java array holds");
    }
    return SATCHEL_OK;
}

satchel_status op_kmeans(call *c) {
    clustering it;
    satchel_status status = read_clustering(c, &it);
    if (status)
        return status;
    it.options.initial = it.centers;
    size_t dimension = it.points.dimension > 0 ? (size_t)it.points.dimension : 1;
    float *centroids = keep(c, it.k * dimension + 1, sizeof *centroids);
    int32_t *labels = keep(c, (size_t)it.points.count + 1, sizeof *labels);
    satchel_kmeans_info info;
    status = centroids && labels
                 ? satchel_kmeans(it.context, &it.points, it.k, centroids, labels, &info,
                                  sizeof info, &it.options, &c->error)
                 : fail(c, SATCHEL_OUT_OF_MEMORY, "no memory for a clustering's result");
    give_floats(c, it.rows);
    if (status)
        return status;
    writer *out = &c->out;
    write_f64(out, info.inertia);
    write_i32(out, info.iterations);
    write_i32(out, info.stop);
    write_i64(out, (int64_t)info.empty);
    write_i64(out, (int64_t)info.products);
    write_i64(out, (int64_t)info.rechecks);
    write_i64(out, (int64_t)info.memory_bytes);
    write_i64(out, info.seed_ms);
    write_i64(out, info.iterate_ms);
    write_i64(out, info.final_ms);
    write_bytes(out, (const char *)centroids, it.k * dimension * sizeof *centroids);
    write_bytes(out, (const char *)labels, (size_t)it.points.count * sizeof *labels);
    return SATCHEL_OK;
}

satchel_status op_kmeans_assign(call *c) {
    clustering it;
    satchel_status status = read_clustering(c, &it);
    if (status)
        return status;
    int32_t *labels = keep(c, (size_t)it.points.count + 1, sizeof *labels);
    double *distances = keep(c, (size_t)it.points.count + 1, sizeof *distances);
    status = labels && distances ? satchel_kmeans_assign(it.context, &it.points, it.k, it.centers,
                                                         labels, distances, &it.options, &c->error)
                                 : fail(c, SATCHEL_OUT_OF_MEMORY, "no memory for labels");
    give_floats(c, it.rows);
    if (status)
        return status;
    write_bytes(&c->out, (const char *)labels, (size_t)it.points.count * sizeof *labels);
    write_bytes(&c->out, (const char *)distances, (size_t)it.points.count * sizeof *distances);
    return SATCHEL_OK;
}
