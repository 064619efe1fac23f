/* Looking into GGUF files: keys and tensors, whether or not the file can be opened as a model. */
#include <inttypes.h>

#include "sdk/handle.h"

struct satchel_gguf {
    satchel_context *context;
    sat_gguf_set *files;
    sat_buffer value; /* of the key last shown */
    satchel_gguf_info info;
};

/* ------------------------------------------------------------------ open and close */

static void count_up(satchel_gguf *gguf) {
    satchel_gguf_info *info = &gguf->info;
    info->version = (int32_t)sat_gguf_version(gguf->files->parts[0]);
    info->parts = (int32_t)gguf->files->count;
    for (size_t p = 0; p < gguf->files->count; p++) {
        const sat_gguf *part = gguf->files->parts[p];
        info->key_count += (int64_t)sat_gguf_key_count(part);
        info->tensor_count += (int64_t)sat_gguf_tensor_count(part);
        info->file_bytes += (int64_t)gguf->files->mappings[p].size;
        for (size_t i = 0; i < sat_gguf_tensor_count(part); i++) {
            const sat_tensor *tensor = sat_gguf_tensor_at(part, i);
            int64_t elements = 1; /* each tensor's fits; tensors of no known type are not bounded */
            for (uint32_t d = 0; d < tensor->rank; d++)
                elements *= (int64_t)tensor->shape[d];
            info->tensor_bytes += (int64_t)tensor->bytes;
            if (__builtin_add_overflow(info->parameter_count, elements, &info->parameter_count))
                info->parameter_count = INT64_MAX;
        }
    }
}

satchel_status satchel_gguf_open(satchel_gguf **out, satchel_context *context, const char *path,
                                 satchel_error *error) {
    satchel_status status = sat_check_out(__func__, "out", out, sizeof *out, error);
    if (!status)
        status = sat_check_context(__func__, context, error);
    if (!status)
        status = sat_check_pointer(__func__, "the path", path, error);
    if (status)
        return status;
    satchel_gguf *gguf = sat_calloc(&context->memory, 1, sizeof *gguf);
    if (!gguf)
        return sat_memory_fail(&context->memory, sizeof *gguf, error);
    status = sat_gguf_set_open(&gguf->files, context, path, error);
    if (status) {
        sat_free(&context->memory, gguf);
        return status;
    }
    gguf->context = sat_context_retain(context);
    sat_buffer_init(&gguf->value, &context->memory);
    count_up(gguf);
    *out = gguf;
    return SATCHEL_OK;
}

void satchel_gguf_close(satchel_gguf **slot) {
    if (!slot || !*slot)
        return;
    satchel_gguf *gguf = *slot;
    *slot = NULL;
    satchel_context *context = gguf->context;
    if (sat_is_forked(context))
        return;
    sat_gguf_set_close(&gguf->files);
    sat_buffer_free(&gguf->value);
    sat_free(&context->memory, gguf);
    sat_context_release(context);
}

/* ------------------------------------------------------------------ what is in it */

static satchel_status check_gguf(const char *call, const satchel_gguf *gguf, satchel_error *error) {
    satchel_status status = sat_check_pointer(call, "the file", gguf, error);
    return status ? status : sat_context_check(gguf->context, error);
}

satchel_status satchel_gguf_get_info(const satchel_gguf *gguf, satchel_gguf_info *info, size_t size,
                                     satchel_error *error) {
    satchel_status status = sat_check_out(__func__, "info", info, size, error);
    if (!status)
        status = check_gguf(__func__, gguf, error);
    if (!status)
        sat_result_write(info, size, &gguf->info, sizeof gguf->info);
    return status;
}

/* The part that holds item `*index` of all parts together, as count() numbers them; *index becomes its
 * place there. NULL past the last. */
static const sat_gguf *find_part(const satchel_gguf *gguf, size_t (*count)(const sat_gguf *),
                                 size_t *index, size_t *part) {
    for (*part = 0; *part < gguf->files->count; ++*part) {
        const sat_gguf *file = gguf->files->parts[*part];
        if (*index < count(file))
            return file;
        *index -= count(file);
    }
    return NULL;
}

satchel_status satchel_gguf_get_key(satchel_gguf *gguf, size_t index, size_t limit,
                                    satchel_gguf_key *key, size_t size, satchel_error *error) {
    satchel_status status = sat_check_out(__func__, "key", key, size, error);
    if (!status)
        status = check_gguf(__func__, gguf, error);
    if (status)
        return status;
    size_t part, place = index;
    const sat_gguf *file = find_part(gguf, sat_gguf_key_count, &place, &part);
    if (!file)
        return sat_fail(error, SATCHEL_NOT_FOUND, "%s: there is no key %zu, the file has %" PRId64,
                        __func__, index, gguf->info.key_count);
    sat_gguf_entry entry;
    sat_buffer_clear(&gguf->value);
    if (!sat_gguf_describe(file, place, limit, &entry, &gguf->value))
        return sat_memory_fail(&gguf->context->memory, (size_t)entry.count, error);
    const satchel_gguf_key known = {.name = entry.name,
                                    .type = entry.type,
                                    .value = gguf->value.data,
                                    .value_length = gguf->value.length,
                                    .count = (int64_t)entry.count,
                                    .cut = entry.cut,
                                    .part = (int32_t)part};
    sat_result_write(key, size, &known, sizeof known);
    return SATCHEL_OK;
}

satchel_status satchel_gguf_get_tensor(const satchel_gguf *gguf, size_t index,
                                       satchel_gguf_tensor *out, size_t size,
                                       satchel_error *error) {
    satchel_status status = sat_check_out(__func__, "out", out, size, error);
    if (!status)
        status = check_gguf(__func__, gguf, error);
    if (status)
        return status;
    size_t part, place = index;
    const sat_gguf *file = find_part(gguf, sat_gguf_tensor_count, &place, &part);
    if (!file)
        return sat_fail(error, SATCHEL_NOT_FOUND,
                        "%s: there is no tensor %zu, the file has %" PRId64, __func__, index,
                        gguf->info.tensor_count);
    const sat_tensor *tensor = sat_gguf_tensor_at(file, place);
    satchel_gguf_tensor known = {.name = tensor->name,
                                 .type = sat_tensor_type_name(tensor->type),
                                 .type_id = (int32_t)tensor->type,
                                 .rank = (int32_t)tensor->rank,
                                 .bytes = (int64_t)tensor->bytes,
                                 .part = (int32_t)part};
    for (size_t d = 0; d < SAT_COUNT(known.shape); d++)
        known.shape[d] = (int64_t)tensor->shape[d];
    if (tensor->data)
        known.offset = (const uint8_t *)tensor->data - gguf->files->mappings[part].data;
    sat_result_write(out, size, &known, sizeof known);
    return SATCHEL_OK;
}
