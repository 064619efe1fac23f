/* Pages of keys and values by the chain of what they were computed from. */
#include "generate/prefix.h"

#include <math.h>
#include <string.h>

#include "generate/decoder_plan.h"

struct sat_prefix {
    satchel_context *context;
    uint8_t root[SAT_CACHE_KEY]; /* of all that does not change from sequence to sequence */
};

/* ------------------------------------------------------------------ keys */

/* Results of libm's functions are not the same on all machines: versions differ, and one version
 * chooses by CPU. The forward pass uses these. */
static void add_arithmetic(sat_sha256 *hash) {
    enum { POINTS = 64 };
    float values[2 * POINTS];
    double angles[3 * POINTS];
    volatile double step = 0.37; /* read at run time: a compiler would use its own functions */
    for (int i = 0; i < POINTS; i++) {
        double x = step * i;
        values[2 * i] = expf((float)-x);
        values[2 * i + 1] = tanhf((float)(x / 8 - 1));
        angles[3 * i] = cos(x * 31);
        angles[3 * i + 1] = sin(x * 31);
        angles[3 * i + 2] = pow(10000 + x, -x / 24);
    }
    sat_sha256_add(hash, values, sizeof values);
    sat_sha256_add(hash, angles, sizeof angles);
}

static void add_text(sat_sha256 *hash, const char *text) {
    sat_sha256_add(hash, text, strlen(text) + 1);
}

static void make_root(sat_prefix *prefix, const sat_decoder *decoder) {
    const int32_t numbers[] = {SAT_KV_CONTRACT, SAT_KV_PAGE, prefix->context->cpu_level};
    sat_sha256 hash;
    sat_sha256_init(&hash);
    add_text(&hash, "satchel keys and values");
    sat_sha256_add(&hash, numbers, sizeof numbers);
    /* Another compiler may give other bits within the rules of C. */
#if defined(__VERSION__)
    add_text(&hash, __VERSION__);
#endif
    add_arithmetic(&hash);
    add_text(&hash, decoder->fingerprint);
    sat_sha256_end(&hash, prefix->root);
}

/* What the first page of a sequence hangs on. */
static void start_chain(const sat_prefix *prefix, const sat_sequence *sequence,
                        uint8_t chain[SAT_CACHE_KEY]) {
    const sat_kv *kv = &sequence->kv;
    const sat_decoder_plan *plan = &sequence->decoder->plan;
    bool longer = plan->has_long && sequence->capacity > plan->original_context;
    const uint64_t numbers[] = {
        (uint64_t)kv->type,     longer, kv->layers, kv->heads, kv->head_dim, kv->page_bytes,
        sequence->adapter_count};
    sat_sha256 hash;
    sat_sha256_init(&hash);
    sat_sha256_add(&hash, prefix->root, sizeof prefix->root);
    sat_sha256_add(&hash, numbers, sizeof numbers);
    for (size_t i = 0; i < sequence->adapter_count; i++) {
        const sat_adapter *adapter = sequence->adapters[i];
        sat_sha256_add(&hash, adapter->fingerprint, sizeof adapter->fingerprint);
        sat_sha256_add(&hash, &sequence->adapter_scales[i], sizeof(float));
    }
    sat_sha256_end(&hash, chain);
}

/* Keys of the first `pages` pages; NULL when out of memory. */
static sat_cache_key *make_keys(const sat_prefix *prefix, const sat_sequence *sequence,
                                const int32_t *tokens, size_t pages) {
    sat_cache_key *keys = sat_alloc_array(&prefix->context->memory, pages, sizeof *keys);
    uint8_t chain[SAT_CACHE_KEY];
    if (!keys) {
        sat_log(prefix->context, SATCHEL_LOG_WARNING, false,
                "no memory for the keys of %zu saved pages: they are neither read nor written",
                pages);
        return NULL;
    }
    start_chain(prefix, sequence, chain);
    for (size_t page = 0; page < pages; page++) {
        sat_sha256 hash;
        sat_sha256_init(&hash);
        sat_sha256_add(&hash, chain, sizeof chain);
        sat_sha256_add(&hash, tokens + page * SAT_KV_PAGE, SAT_KV_PAGE * sizeof *tokens);
        sat_sha256_end(&hash, chain);
        memcpy(keys[page].bytes, chain, sizeof chain);
    }
    return keys;
}

/* The first page last: it stays longest, because without it the others are worth nothing. */
static void note_use(sat_cache *cache, const sat_cache_key *keys, size_t pages) {
    for (size_t page = pages; page-- > 0;)
        sat_cache_touch(cache, &keys[page]);
}

/* ------------------------------------------------------------------ open and close */

satchel_status sat_prefix_open(sat_prefix **out, const sat_decoder *decoder, satchel_error *error) {
    satchel_context *context = decoder->context;
    *out = NULL;
    if (!context->cache)
        return SATCHEL_OK;
    sat_prefix *prefix = sat_calloc(&context->memory, 1, sizeof *prefix);
    if (!prefix)
        return sat_memory_fail(&context->memory, sizeof *prefix, error);
    prefix->context = context;
    make_root(prefix, decoder);
    *out = prefix;
    return SATCHEL_OK;
}

void sat_prefix_close(sat_prefix **slot) {
    sat_prefix *prefix = *slot;
    *slot = NULL;
    if (prefix)
        sat_free(&prefix->context->memory, prefix);
}

/* ------------------------------------------------------------------ load and save */

size_t sat_prefix_load(const sat_prefix *prefix, sat_sequence *sequence, const int32_t *tokens,
                       size_t count, const satchel_cancel *cancel) {
    size_t most = count < sequence->capacity ? count : sequence->capacity;
    size_t pages = most / SAT_KV_PAGE, page = sequence->length / SAT_KV_PAGE;
    if (!prefix || page >= pages)
        return sequence->length;
    sat_cache *cache = prefix->context->cache;
    sat_cache_key *keys = make_keys(prefix, sequence, tokens, pages);
    if (!keys)
        return sequence->length;
    size_t first = page;
    for (; page < pages && !sat_cancelled(cancel); page++) {
        sat_mapping mapping;
        satchel_error error;
        satchel_status status =
            sat_cache_map(cache, &keys[page], sequence->kv.page_bytes, &mapping, &error);
        if (status && status != SATCHEL_NOT_FOUND)
            sat_log(prefix->context, SATCHEL_LOG_WARNING, true, "saved keys and values: %s",
                    error.message);
        if (status)
            break;
        sat_kv_lend(&sequence->kv, page, &mapping);
        sequence->length = (page + 1) * SAT_KV_PAGE;
    }
    if (page > first)
        note_use(cache, keys, page);
    sat_free(&prefix->context->memory, keys);
    return sequence->length;
}

size_t sat_prefix_save(const sat_prefix *prefix, const sat_sequence *sequence,
                       const int32_t *tokens, size_t count, const satchel_cancel *cancel) {
    size_t pages = (count < sequence->length ? count : sequence->length) / SAT_KV_PAGE, page = 0;
    if (!prefix || pages == 0)
        return 0;
    sat_cache *cache = prefix->context->cache;
    const sat_kv *kv = &sequence->kv;
    sat_cache_key *keys = make_keys(prefix, sequence, tokens, pages);
    if (!keys)
        return 0;
    for (; page < pages && !sat_cancelled(cancel); page++) {
        satchel_error error;
        satchel_status status = SATCHEL_OK;
        if (!sat_cache_has(cache, &keys[page], kv->page_bytes))
            status = sat_cache_put(cache, &keys[page], kv->pages[page], kv->page_bytes, keys, pages,
                                   &error);
        if (status) {
            bool full = status == SATCHEL_LIMIT || status == SATCHEL_DISK_FULL;
            sat_log(prefix->context, full ? SATCHEL_LOG_INFO : SATCHEL_LOG_WARNING, true,
                    "keys and values are saved up to token %zu only: %s", page * SAT_KV_PAGE,
                    error.message);
            break;
        }
    }
    note_use(cache, keys, page);
    sat_free(&prefix->context->memory, keys);
    return page * SAT_KV_PAGE;
}
