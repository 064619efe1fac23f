/* The generation file: laid out, checked, mapped. Nothing in it is believed before it is checked. */
#include "retrieval/generation.h"

#include <inttypes.h>
#include <string.h>

#define MAGIC "SATINDEX"
#define KIND_FAISS_SQ8 1
#define SECTION_TABLE_AT 256
#define SECTION_BYTES 40
#define HASH_AT (SAT_GENERATION_HEADER - 8)
#define MAX_SECTIONS ((HASH_AT - SECTION_TABLE_AT) / SECTION_BYTES)
#define ALIGNMENT 64
#define MUST_KNOW 1u

static void put32(uint8_t *at, uint32_t value) {
    for (int i = 0; i < 4; i++)
        at[i] = (uint8_t)(value >> (8 * i));
}

static void put64(uint8_t *at, uint64_t value) {
    for (int i = 0; i < 8; i++)
        at[i] = (uint8_t)(value >> (8 * i));
}

static uint32_t get32(const uint8_t *at) {
    uint32_t value = 0;
    for (int i = 0; i < 4; i++)
        value |= (uint32_t)at[i] << (8 * i);
    return value;
}

static uint64_t get64(const uint8_t *at) {
    return get32(at) | (uint64_t)get32(at + 4) << 32;
}

/* ------------------------------------------------------------------ layout */

uint64_t sat_generation_numbers_at(uint64_t rows, size_t dimension) {
    return (rows * dimension + 3) / 4 * 4;
}

uint64_t sat_generation_list_size(uint64_t rows, size_t dimension) {
    return sat_generation_numbers_at(rows, dimension) + rows * sizeof(int32_t);
}

static bool sizes_of(const sat_generation_info *info, uint64_t sizes[SAT_SECTION_END]) {
    size_t sample_row, sample, keys, labels, table, centroids;
    bool ok = sat_mul_size(info->rows, sizeof(sat_generation_key), &keys) &&
              sat_mul_size(info->rows, sizeof(int32_t), &labels) &&
              sat_mul_size(info->dimension, sizeof(float), &sample_row) &&
              sat_mul_size(info->sample_count, sample_row + sizeof(int64_t), &sample) &&
              sat_add_size(sample, sizeof(uint64_t), &sample) &&
              sat_mul_size(info->lists, sizeof(sat_ivf_list), &table) &&
              sat_mul_size(info->lists, sample_row, &centroids);
    if (!ok)
        return false;
    sizes[SAT_SECTION_KEYS] = keys;
    sizes[SAT_SECTION_LABELS] = labels;
    sizes[SAT_SECTION_SAMPLE] = sample;
    sizes[SAT_SECTION_TABLE] = table;
    sizes[SAT_SECTION_CENTROIDS] = centroids;
    sizes[SAT_SECTION_RANGES] = 2 * sample_row;
    sizes[SAT_SECTION_LISTS] = info->sections[SAT_SECTION_LISTS].size; /* TABLE tells */
    return true;
}

bool sat_generation_lay_out(sat_generation_info *info) {
    uint64_t sizes[SAT_SECTION_END], at = SAT_GENERATION_HEADER;
    if (!sizes_of(info, sizes))
        return false;
    for (int kind = SAT_SECTION_KEYS; kind < SAT_SECTION_END; kind++) {
        at = (at + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
        info->sections[kind].offset = at;
        info->sections[kind].size = sizes[kind];
        if (__builtin_add_overflow(at, sizes[kind], &at) || at > INT64_MAX / 2)
            return false;
    }
    info->file_size = at;
    return true;
}

uint64_t sat_generation_header(const sat_generation_info *info,
                               uint8_t header[SAT_GENERATION_HEADER]) {
    memset(header, 0, SAT_GENERATION_HEADER);
    memcpy(header, MAGIC, 8);
    put32(header + 8, SAT_GENERATION_VERSION);
    put32(header + 12, KIND_FAISS_SQ8);
    put64(header + 16, info->file_size);
    put64(header + 24, (uint64_t)info->number);
    memcpy(header + 32, info->fingerprint.bytes, sizeof info->fingerprint.bytes);
    put32(header + 48, (uint32_t)info->dimension);
    put32(header + 52, (uint32_t)info->lists);
    put64(header + 56, info->rows);
    put64(header + 64, (uint64_t)info->seq);
    put64(header + 72, (uint64_t)info->change);
    put64(header + 80, (uint64_t)info->erased);
    put32(header + 88, SAT_SECTION_END - SAT_SECTION_KEYS);
    for (int kind = SAT_SECTION_KEYS; kind < SAT_SECTION_END; kind++) {
        uint8_t *at = header + SECTION_TABLE_AT + (kind - SAT_SECTION_KEYS) * SECTION_BYTES;
        put32(at, (uint32_t)kind);
        put64(at + 8, info->sections[kind].offset);
        put64(at + 16, info->sections[kind].size);
        put64(at + 24, info->sections[kind].hash);
    }
    uint64_t hash = sat_hash64(header, HASH_AT, 0);
    put64(header + HASH_AT, hash);
    return hash;
}

/* ------------------------------------------------------------------ checking */

static satchel_status damaged(const char *path, const char *what, satchel_error *error) {
    return sat_fail(error, SATCHEL_DAMAGED,
                    "the vector index '%s' is damaged (%s); it will be made anew", path, what);
}

/* Sections we know; others only if they may be passed over. */
static satchel_status read_sections(sat_generation_info *info, const uint8_t *header,
                                    const char *path, satchel_error *error) {
    uint32_t count = get32(header + 88);
    uint64_t sizes[SAT_SECTION_END], sample = 0;
    if (count > MAX_SECTIONS)
        return damaged(path, "number of sections", error);
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *at = header + SECTION_TABLE_AT + i * SECTION_BYTES;
        uint32_t kind = get32(at), flags = get32(at + 4);
        uint64_t offset = get64(at + 8), size = get64(at + 16);
        if (kind == 0)
            return damaged(path, "a section's kind", error);
        if (kind >= SAT_SECTION_END) {
            if (flags & MUST_KNOW)
                return sat_fail(error, SATCHEL_TOO_NEW, "the vector index '%s' is of a newer kind",
                                path);
            continue;
        }
        if (offset < SAT_GENERATION_HEADER || offset > info->file_size ||
            size > info->file_size - offset || offset % ALIGNMENT != 0)
            return damaged(path, "a section's place", error);
        info->sections[kind].offset = offset;
        info->sections[kind].size = size;
        info->sections[kind].hash = get64(at + 24);
    }
    /* The sample is the only section whose size the header does not give: whole rows of it. */
    sample = info->sections[SAT_SECTION_SAMPLE].size;
    uint64_t row = info->dimension * sizeof(float) + sizeof(int64_t);
    if (sample < sizeof(uint64_t) || (sample - sizeof(uint64_t)) % row != 0)
        return damaged(path, "the sample's size", error);
    info->sample_count = (size_t)((sample - sizeof(uint64_t)) / row);
    if (!sizes_of(info, sizes))
        return damaged(path, "sizes", error);
    for (int kind = SAT_SECTION_KEYS; kind < SAT_SECTION_END; kind++)
        if (info->sections[kind].size != sizes[kind] || info->sections[kind].offset == 0)
            return damaged(path, "a section's size", error);
    return SATCHEL_OK;
}

static satchel_status read_header(sat_generation *g, const char *path, int64_t number,
                                  uint64_t hash, const sat_digest *fingerprint, size_t dimension,
                                  satchel_error *error) {
    const uint8_t *header = g->file.data;
    sat_generation_info *info = &g->info;
    if (g->file.size < SAT_GENERATION_HEADER || memcmp(header, MAGIC, 8) != 0)
        return damaged(path, "no header", error);
    if (get32(header + 8) > SAT_GENERATION_VERSION || get32(header + 12) != KIND_FAISS_SQ8)
        return sat_fail(error, SATCHEL_TOO_NEW, "the vector index '%s' is of a newer kind", path);
    g->hash = get64(header + HASH_AT);
    if (sat_hash64(header, HASH_AT, 0) != g->hash)
        return damaged(path, "header", error);
    info->file_size = get64(header + 16);
    info->number = (int64_t)get64(header + 24);
    memcpy(info->fingerprint.bytes, header + 32, sizeof info->fingerprint.bytes);
    info->dimension = get32(header + 48);
    info->lists = get32(header + 52);
    info->rows = (size_t)get64(header + 56);
    info->seq = (int64_t)get64(header + 64);
    info->change = (int64_t)get64(header + 72);
    info->erased = (int64_t)get64(header + 80);
    if (g->hash != hash || info->number != number)
        return damaged(path, "not the one that the store names", error);
    if (info->dimension != dimension ||
        memcmp(info->fingerprint.bytes, fingerprint->bytes, sizeof fingerprint->bytes) != 0)
        return damaged(path, "of another model", error);
    if (info->file_size != g->file.size || info->rows == 0 || info->rows > INT32_MAX ||
        info->lists == 0 || info->lists > info->rows)
        return damaged(path, "size", error);
    return read_sections(info, header, path, error);
}

static const uint8_t *section(const sat_generation *g, int kind) {
    return g->file.data + g->info.sections[kind].offset;
}

static bool keys_are_sound(const sat_generation *g) {
    const sat_generation_key *keys = g->keys;
    for (size_t i = 0; i < g->info.rows; i++) {
        if (keys[i].chunk <= 0 || keys[i].seq <= 0 || keys[i].seq > g->info.seq ||
            (i > 0 && keys[i].seq <= keys[i - 1].seq) || g->labels[i] < 0 ||
            (size_t)g->labels[i] >= g->info.lists)
            return false;
    }
    for (size_t i = 0; i < g->info.sample_count; i++) {
        if (g->sample_rows[i] < 0 || (uint64_t)g->sample_rows[i] >= g->info.rows)
            return false;
    }
    return true;
}

static bool table_is_sound(const sat_generation *g) {
    uint64_t at = 0, rows = 0;
    for (size_t i = 0; i < g->info.lists; i++) {
        if (g->table[i].offset != at || g->table[i].rows > g->info.rows - rows)
            return false;
        at += sat_generation_list_size(g->table[i].rows, g->info.dimension);
        rows += g->table[i].rows;
    }
    return rows == g->info.rows && at == g->info.sections[SAT_SECTION_LISTS].size;
}

static bool are_finite(const float *values, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (!(values[i] - values[i] == 0))
            return false;
    return true;
}

static satchel_status read_contents(sat_generation *g, const char *path, satchel_error *error) {
    for (int kind = SAT_SECTION_KEYS; kind < SAT_SECTION_LISTS; kind++) {
        if (sat_hash64(section(g, kind), g->info.sections[kind].size, (uint64_t)kind) !=
            g->info.sections[kind].hash)
            return damaged(path, "a section", error);
    }
    const uint8_t *sample = section(g, SAT_SECTION_SAMPLE);
    g->keys = (const sat_generation_key *)(const void *)section(g, SAT_SECTION_KEYS);
    g->labels = (const int32_t *)(const void *)section(g, SAT_SECTION_LABELS);
    g->sample_rows = (const int64_t *)(const void *)(sample + sizeof(uint64_t));
    g->sample = (const float *)(const void *)(g->sample_rows + g->info.sample_count);
    g->table = (const sat_ivf_list *)(const void *)section(g, SAT_SECTION_TABLE);
    g->centroids = (const float *)(const void *)section(g, SAT_SECTION_CENTROIDS);
    const float *ranges = (const float *)(const void *)section(g, SAT_SECTION_RANGES);
    if (get64(sample) != g->info.sample_count || !table_is_sound(g) || !keys_are_sound(g) ||
        !are_finite(g->centroids, g->info.lists * g->info.dimension) ||
        !are_finite(ranges, 2 * g->info.dimension))
        return damaged(path, "contents", error);
    g->checked = sat_calloc(&g->context->memory, g->info.lists, sizeof *g->checked);
    if (!g->checked)
        return sat_memory_fail(&g->context->memory, g->info.lists, error);
    return sat_ivf_open(&g->ivf, g->context, g->info.dimension, g->info.lists, ranges,
                        section(g, SAT_SECTION_LISTS), g->table, error);
}

satchel_status sat_generation_open(sat_generation **out, satchel_context *context, const char *path,
                                   int64_t number, uint64_t hash, const sat_digest *fingerprint,
                                   size_t dimension, satchel_error *error) {
    *out = NULL;
    sat_generation *g = sat_calloc(&context->memory, 1, sizeof *g);
    if (!g)
        return sat_memory_fail(&context->memory, sizeof *g, error);
    g->context = context;
    atomic_store(&g->references, 1);
    satchel_status status = sat_file_map(context, &g->file, path, error);
    if (!status)
        status = read_header(g, path, number, hash, fingerprint, dimension, error);
    if (!status)
        status = read_contents(g, path, error);
    if (status) {
        sat_generation_release(g);
        return status;
    }
    *out = g;
    return SATCHEL_OK;
}

sat_generation *sat_generation_retain(sat_generation *generation) {
    if (generation)
        atomic_fetch_add(&generation->references, 1);
    return generation;
}

void sat_generation_release(sat_generation *generation) {
    if (!generation || atomic_fetch_sub(&generation->references, 1) > 1)
        return;
    sat_memory *memory = &generation->context->memory;
    sat_ivf_close(&generation->ivf);
    sat_file_unmap(generation->context, &generation->file);
    sat_free(memory, (void *)generation->checked);
    sat_free(memory, generation);
}

const int32_t *sat_generation_numbers(const sat_generation *g, size_t list) {
    const uint8_t *data = section(g, SAT_SECTION_LISTS) + g->table[list].offset;
    return (const int32_t *)(const void *)(data + sat_generation_numbers_at(g->table[list].rows,
                                                                            g->info.dimension));
}

bool sat_generation_check(sat_generation *g, size_t list) {
    uint8_t known = atomic_load_explicit(&g->checked[list], memory_order_acquire);
    if (known == 0) {
        const sat_ivf_list *entry = &g->table[list];
        const uint8_t *data = section(g, SAT_SECTION_LISTS) + entry->offset;
        size_t size = (size_t)sat_generation_list_size(entry->rows, g->info.dimension);
        bool sound = sat_hash64(data, size, list) == entry->hash;
        /* What the hash covers may still be what no builder writes. */
        const int32_t *numbers = sat_generation_numbers(g, list);
        for (size_t i = 0; i < entry->rows && sound; i++)
            sound = numbers[i] >= 0 && (size_t)numbers[i] < g->info.rows &&
                    g->labels[numbers[i]] == (int32_t)list;
        known = sound ? 1 : 2;
        atomic_store_explicit(&g->checked[list], known, memory_order_release);
        if (!sound)
            atomic_store(&g->damaged, true);
    }
    return known == 1;
}
