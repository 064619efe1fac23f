/* Models split into several GGUF files: the names of parts, opening them all, and look-ups across
 * them. */
#include <stdio.h>
#include <string.h>

#include "generate/gguf.h"

enum {
    SUFFIX = 20,       /* "-00001-of-00003.gguf" */
    MOST_PARTS = 65535 /* split.count has 16 bits */
};

/* ------------------------------------------------------------------ names */

/* The number in five digits; 0 if they are none. */
static uint32_t five_digits(const char *text) {
    uint32_t number = 0;
    for (int i = 0; i < 5; i++) {
        if (text[i] < '0' || text[i] > '9')
            return 0;
        number = number * 10 + (uint32_t)(text[i] - '0');
    }
    return number;
}

/* True if the name ends as a part's does. */
static bool split_name(const char *path, uint32_t *number, uint32_t *count) {
    size_t length = strlen(path);
    if (length < SUFFIX)
        return false;
    const char *end = path + length - SUFFIX;
    *number = 0;
    if (end[0] != '-' || memcmp(end + 6, "-of-", 4) != 0 || strcmp(end + 15, ".gguf") != 0)
        return false;
    *number = five_digits(end + 1);
    *count = five_digits(end + 10);
    return *number > 0 && *number <= *count;
}

/* ------------------------------------------------------------------ checks */

/* What part `index` says of itself. `name`: the file it came from. */
static satchel_status check_part(const sat_gguf *part, size_t index, size_t count, const char *name,
                                 satchel_error *error) {
    int64_t says = 1, number = 0;
    bool split = sat_gguf_integer(part, "split.count", &says);
    if (says != (int64_t)count || (count > 1 && !split)) {
        return sat_fail(error, SATCHEL_DAMAGED,
                        "%.200s says it is one of %lld files (split.count), but it is one of %zu "
                        "here: parts of different models are mixed, or some were not given",
                        name, (long long)says, count);
    }
    if (count > 1 && (!sat_gguf_integer(part, "split.no", &number) || number != (int64_t)index)) {
        return sat_fail(error, SATCHEL_DAMAGED,
                        "%.200s says it is part %lld of the model (split.no), not part %zu: files "
                        "were renamed or are given out of order",
                        name, (long long)number + 1, index + 1);
    }
    return SATCHEL_OK;
}

/* All parts together. */
static satchel_status check_tensors(const sat_gguf_set *set, satchel_error *error) {
    int64_t says;
    size_t tensors = 0, other;
    for (size_t p = 0; p < set->count; p++) {
        const sat_gguf *part = set->parts[p];
        tensors += sat_gguf_tensor_count(part);
        for (size_t i = 0; p > 0 && i < sat_gguf_tensor_count(part); i++) {
            const char *name = sat_gguf_tensor_at(part, i)->name;
            sat_gguf_set_tensor(set, name, &other);
            if (other != p) {
                return sat_fail(error, SATCHEL_DAMAGED,
                                "%.200s: tensor %.100s is in part %zu and in part %zu", part->name,
                                name, other + 1, p + 1);
            }
        }
    }
    if (set->count > 1 && sat_gguf_integer(set->parts[0], "split.tensors.count", &says) &&
        says != (int64_t)tensors) {
        return sat_fail(error, SATCHEL_DAMAGED,
                        "%.200s: the parts hold %zu tensors, but split.tensors.count is %lld: get "
                        "all parts again",
                        set->parts[0]->name, tensors, (long long)says);
    }
    return SATCHEL_OK;
}

/* ------------------------------------------------------------------ open and close */

static satchel_status set_new(sat_gguf_set **out, satchel_context *context, size_t count,
                              satchel_error *error) {
    sat_memory *memory = &context->memory;
    sat_gguf_set *set = sat_calloc(memory, 1, sizeof *set);
    *out = set;
    if (!set)
        return sat_memory_fail(memory, sizeof *set, error);
    set->context = context;
    set->mappings = sat_calloc(memory, count, sizeof *set->mappings);
    set->parts = sat_calloc(memory, count, sizeof *set->parts);
    if (!set->mappings || !set->parts)
        return sat_memory_fail(memory, count * sizeof *set->mappings, error);
    set->count = count;
    return SATCHEL_OK;
}

void sat_gguf_set_close(sat_gguf_set **slot) {
    sat_gguf_set *set = *slot;
    *slot = NULL;
    if (!set)
        return;
    for (size_t i = 0; i < set->count; i++) {
        sat_gguf_close(&set->parts[i]);
        sat_file_unmap(set->context, &set->mappings[i]);
    }
    sat_free(&set->context->memory, set->parts);
    sat_free(&set->context->memory, set->mappings);
    sat_free(&set->context->memory, set);
}

/* Parses mapping `index` and checks it. */
static satchel_status read_part(sat_gguf_set *set, size_t index, const char *name,
                                satchel_error *error) {
    satchel_status status =
        sat_gguf_open(&set->parts[index], set->context, set->mappings[index].data,
                      set->mappings[index].size, name, error);
    return status ? status : check_part(set->parts[index], index, set->count, name, error);
}

satchel_status sat_gguf_set_open_mapped(sat_gguf_set **out, satchel_context *context,
                                        sat_mapping *mappings, size_t count, const char *name,
                                        satchel_error *error) {
    sat_gguf_set *set = NULL;
    satchel_status status = SATCHEL_OK;
    *out = NULL;
    if (count == 0)
        return sat_fail(error, SATCHEL_INVALID_ARGUMENT, "%.200s: no file was given", name);
    status = set_new(&set, context, count, error);
    for (size_t i = 0; i < count; i++) {
        if (status)
            sat_file_unmap(context, &mappings[i]);
        else
            set->mappings[i] = mappings[i];
        memset(&mappings[i], 0, sizeof mappings[i]);
    }
    for (size_t i = 0; !status && i < count; i++)
        status = read_part(set, i, name, error);
    if (!status)
        status = check_tensors(set, error);
    if (status)
        sat_gguf_set_close(&set);
    *out = set;
    return status;
}

/* How many parts the file at `path`, which is mapped, is the first of. */
static satchel_status count_parts(satchel_context *context, const sat_mapping *first,
                                  const char *path, size_t *count, satchel_error *error) {
    sat_gguf *gguf = NULL;
    int64_t says = 1;
    uint32_t number = 1, named = 1;
    satchel_status status = sat_gguf_open(&gguf, context, first->data, first->size, path, error);
    if (status)
        return status;
    if (!sat_gguf_integer(gguf, "split.count", &says))
        says = 1;
    sat_gguf_close(&gguf);
    *count = 1;
    if (says == 1)
        return SATCHEL_OK;
    if (says < 1 || says > MOST_PARTS) {
        return sat_fail(error, SATCHEL_DAMAGED, "%.200s: split.count is %lld", path,
                        (long long)says);
    }
    if (!split_name(path, &number, &named) || (int64_t)named != says) {
        return sat_fail(error, SATCHEL_INVALID_ARGUMENT,
                        "%.200s is part of a model split into %lld files, but its name does not "
                        "end in -00001-of-%05lld.gguf: give all parts the names they came with",
                        path, (long long)says, (long long)says);
    }
    if (number != 1) {
        return sat_fail(error, SATCHEL_INVALID_ARGUMENT,
                        "%.200s is part %u of a model split into %lld files: open the first, "
                        "which ends in -00001-of-%05lld.gguf",
                        path, (unsigned)number, (long long)says, (long long)says);
    }
    *count = (size_t)says;
    return SATCHEL_OK;
}

/* Maps part `index` beside the first; `path` has that one's name and room for others. */
static satchel_status map_part(sat_gguf_set *set, size_t index, char *path, satchel_error *error) {
    satchel_error inner = {0};
    char digits[8];
    snprintf(digits, sizeof digits, "%05u", (unsigned)(index + 1) % 100000u);
    memcpy(path + strlen(path) - SUFFIX + 1, digits, 5);
    satchel_status status = sat_file_map(set->context, &set->mappings[index], path, &inner);
    if (!status)
        return SATCHEL_OK;
    satchel_status failed =
        sat_fail(error, status, "part %zu of %zu of the model is missing or cannot be read: %.400s",
                 index + 1, set->count, inner.message);
    if (error)
        error->os_code = inner.os_code;
    return failed;
}

satchel_status sat_gguf_set_open(sat_gguf_set **out, satchel_context *context, const char *path,
                                 satchel_error *error) {
    sat_gguf_set *set = NULL;
    sat_mapping first = {0};
    size_t count = 1;
    char *name = NULL;
    *out = NULL;
    satchel_status status = sat_file_map(context, &first, path, error);
    if (status)
        return status;
    status = count_parts(context, &first, path, &count, error);
    if (!status)
        status = set_new(&set, context, count, error);
    if (!status && !(name = sat_strdup(&context->memory, path)))
        status = sat_memory_fail(&context->memory, strlen(path) + 1, error);
    if (status)
        sat_file_unmap(context, &first);
    else
        set->mappings[0] = first;
    for (size_t i = 0; !status && i < count; i++) {
        if (i > 0)
            status = map_part(set, i, name, error);
        if (!status)
            status = read_part(set, i, name, error);
    }
    if (!status)
        status = check_tensors(set, error);
    sat_free(&context->memory, name);
    if (status)
        sat_gguf_set_close(&set);
    *out = set;
    return status;
}

/* ------------------------------------------------------------------ look-ups */

const sat_tensor *sat_gguf_set_tensor(const sat_gguf_set *set, const char *name, size_t *part) {
    for (size_t i = 0; i < set->count; i++) {
        const sat_tensor *tensor = sat_gguf_tensor(set->parts[i], name);
        if (tensor) {
            if (part)
                *part = i;
            return tensor;
        }
    }
    return NULL;
}
