/* FAISS's IndexIVFScalarQuantizer behind ivf.h: 8 bits a coordinate, inner product, no residuals. */
#include "retrieval/ivf.h"

#include <string.h>

#include "retrieval/vindex.h"

#if defined(SATCHEL_HAVE_FAISS) && defined(__BYTE_ORDER__) &&                                      \
    __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__

#include <faiss/c_api/IndexFlat_c.h>
#include <faiss/c_api/IndexIVF_c.h>
#include <faiss/c_api/IndexScalarQuantizer_c.h>
#include <faiss/c_api/Index_c.h>
#include <faiss/c_api/lists.h>

struct sat_ivf {
    satchel_context *context;
    size_t dimension, lists;
    FaissIndexIVFScalarQuantizer *faiss;
    FaissIndexFlatIP *quantizer;
    uint64_t charged; /* bytes that FAISS holds */
};

bool sat_ivf_usable(const satchel_context *context) {
    return sat_faiss_usable(context);
}

void sat_ivf_close(sat_ivf **handle) {
    sat_ivf *ivf = *handle;
    if (!ivf)
        return;
    *handle = NULL;
    if (ivf->faiss)
        faiss_IndexIVFScalarQuantizer_free(ivf->faiss);
    if (ivf->quantizer)
        faiss_IndexFlatIP_free(ivf->quantizer);
    sat_memory_refund(&ivf->context->memory, ivf->charged);
    sat_free(&ivf->context->memory, ivf);
}

/* An index around centroids, or, to be scanned only, around none: its quantizer is then not asked. */
static satchel_status make_index(sat_ivf *ivf, const float *centroids, satchel_error *error) {
    if (faiss_IndexFlatIP_new_with(&ivf->quantizer, (idx_t)ivf->dimension) != 0 ||
        (centroids && faiss_Index_add(ivf->quantizer, (idx_t)ivf->lists, centroids) != 0) ||
        faiss_IndexIVFScalarQuantizer_new_with_metric(&ivf->faiss, ivf->quantizer, ivf->dimension,
                                                      ivf->lists, QT_8bit, METRIC_INNER_PRODUCT,
                                                      0) != 0)
        return sat_faiss_fail(error);
    faiss_IndexIVFScalarQuantizer_set_own_fields(ivf->faiss, 0);
    faiss_IndexIVFScalarQuantizer_set_nprobe(ivf->faiss, 1);
    return SATCHEL_OK;
}

static satchel_status open_ivf(sat_ivf **out, satchel_context *context, size_t dimension,
                               size_t lists, const float *centroids, satchel_error *error) {
    sat_memory *memory = &context->memory;
    /* FAISS makes two vectors for each list, before they are replaced by lists elsewhere. */
    uint64_t bytes = (uint64_t)lists * ((centroids ? dimension * sizeof(float) : 0) + 48);
    satchel_status status = SATCHEL_OK;
    sat_ivf *ivf = sat_calloc(memory, 1, sizeof *ivf);
    *out = NULL;
    if (!ivf)
        return sat_memory_fail(memory, sizeof *ivf, error);
    *ivf = (sat_ivf){.context = context, .dimension = dimension, .lists = lists};
    if (!sat_memory_charge(memory, bytes))
        status = sat_memory_fail(memory, (size_t)bytes, error);
    else
        ivf->charged = bytes;
    if (!status)
        status = make_index(ivf, centroids, error);
    if (status) {
        sat_ivf_close(&ivf);
        return status;
    }
    *out = ivf;
    return SATCHEL_OK;
}

/* ------------------------------------------------------------------ making */

satchel_status sat_ivf_make(sat_ivf **out, satchel_context *context, size_t dimension, size_t lists,
                            const float *centroids, const float *sample, size_t sample_count,
                            satchel_error *error) {
    satchel_status status = open_ivf(out, context, dimension, lists, centroids, error);
    /* With a full quantizer this only looks at the ranges of coordinates. */
    if (!status && faiss_Index_train((*out)->faiss, (idx_t)sample_count, sample) != 0)
        status = sat_faiss_fail(error);
    if (status)
        sat_ivf_close(out);
    return status;
}

satchel_status sat_ivf_ranges(const sat_ivf *ivf, float *ranges, satchel_error *error) {
    return sat_faiss_get_ranges(ivf->faiss, ranges) != 0 ? sat_faiss_fail(error) : SATCHEL_OK;
}

/* A block on its way through FAISS. */
typedef struct block {
    idx_t *lists, *ids; /* (count) */
    int32_t *numbers;   /* (count) of one list */
    size_t count;
} block;

static satchel_status place_lists(const sat_ivf *ivf, block *b, sat_ivf_place_function place,
                                  void *user, satchel_error *error) {
    const FaissIndexIVF *index = (const FaissIndexIVF *)ivf->faiss;
    satchel_status status = SATCHEL_OK;
    size_t seen = 0;
    for (size_t list = 0; list < ivf->lists && !status; list++) {
        size_t own = faiss_IndexIVF_get_list_size(index, list);
        const uint8_t *codes;
        if (own == 0)
            continue;
        if (own > b->count - seen) /* else FAISS would write past the end of ids */
            return sat_fail(error, SATCHEL_INTERNAL, "FAISS has more rows than it was given");
        seen += own;
        faiss_IndexIVF_invlists_get_ids(index, list, b->ids);
        for (size_t i = 0; i < own; i++)
            b->numbers[i] = (int32_t)b->ids[i];
        status = sat_faiss_get_codes(ivf->faiss, list, &codes) != 0
                     ? sat_faiss_fail(error)
                     : place(user, list, codes, b->numbers, own, error);
    }
    if (!status && seen != b->count)
        status = sat_fail(error, SATCHEL_INTERNAL, "FAISS has lost rows");
    return status;
}

static satchel_status encode_block(sat_ivf *ivf, block *b, const float *rows, const int32_t *labels,
                                   int32_t first, sat_ivf_place_function place, void *user,
                                   satchel_error *error) {
    for (size_t i = 0; i < b->count; i++) {
        if (labels[i] < 0 || (size_t)labels[i] >= ivf->lists) /* FAISS does not look */
            return sat_fail(error, SATCHEL_INTERNAL, "there is no list %d", (int)labels[i]);
        b->lists[i] = labels[i];
        b->ids[i] = (idx_t)first + (idx_t)i;
    }
    satchel_status status = SATCHEL_OK;
    if (faiss_IndexIVFScalarQuantizer_add_core(ivf->faiss, (idx_t)b->count, rows, b->ids,
                                               b->lists) != 0)
        status = sat_faiss_fail(error);
    if (!status)
        status = place_lists(ivf, b, place, user, error);
    if (faiss_Index_reset(ivf->faiss) != 0 && !status)
        status = sat_faiss_fail(error);
    return status;
}

satchel_status sat_ivf_encode(sat_ivf *ivf, const float *rows, const int32_t *labels, int32_t first,
                              size_t count, sat_ivf_place_function place, void *user,
                              satchel_error *error) {
    sat_memory *memory = &ivf->context->memory;
    /* Codes and ids in FAISS's lists, which grow by doubling. */
    uint64_t bytes = 2 * (uint64_t)count * (ivf->dimension + sizeof(idx_t));
    block b = {.count = count,
               .lists = sat_alloc_array(memory, count, sizeof *b.lists),
               .ids = sat_alloc_array(memory, count, sizeof *b.ids),
               .numbers = sat_alloc_array(memory, count, sizeof *b.numbers)};
    satchel_status status = SATCHEL_OK;
    if (!b.lists || !b.ids || !b.numbers || !sat_memory_charge(memory, bytes)) {
        status = sat_memory_fail(memory, (size_t)bytes, error);
    } else {
        status = encode_block(ivf, &b, rows, labels, first, place, user, error);
        sat_memory_refund(memory, bytes);
    }
    sat_free(memory, b.lists);
    sat_free(memory, b.ids);
    sat_free(memory, b.numbers);
    return status;
}

/* ------------------------------------------------------------------ scanning */

satchel_status sat_ivf_open(sat_ivf **out, satchel_context *context, size_t dimension, size_t lists,
                            const float *ranges, const uint8_t *base, const sat_ivf_list *table,
                            satchel_error *error) {
    satchel_status status = open_ivf(out, context, dimension, lists, NULL, error);
    /* Its entries begin as FAISS's do. */
    const sat_faiss_place *places = (const sat_faiss_place *)(const void *)table;
    if (!status && sat_faiss_set_lists((*out)->faiss, ranges, base, places, sizeof *table) != 0)
        status = sat_faiss_fail(error);
    if (status)
        sat_ivf_close(out);
    return status;
}

satchel_status sat_ivf_scan(const sat_ivf *ivf, const float *query, size_t list, size_t k,
                            float *scores, int64_t *positions, satchel_error *error) {
    /* One list a call: so every row of a list can be had, which filters need, FAISS never sees a
     * list that was not checked, and lists go to many threads. */
    const idx_t probe = (idx_t)list;
    const float distance = 0;
    if (list >= ivf->lists || k == 0)
        return sat_fail(error, SATCHEL_INTERNAL, "there is no list %zu", list);
    if (faiss_IndexIVF_search_preassigned((const FaissIndexIVF *)ivf->faiss, 1, query, (idx_t)k,
                                          &probe, &distance, scores, (idx_t *)positions, 1) != 0)
        /* Nothing else can go wrong, and FAISS's message has the reason past its end. */
        return sat_fail(error, SATCHEL_OUT_OF_MEMORY, "out of memory in the vector index");
    for (size_t i = 0; i < k; i++) /* list << 32 | position */
        positions[i] = positions[i] < 0 ? -1 : positions[i] & INT64_C(0xffffffff);
    return SATCHEL_OK;
}

#else

bool sat_ivf_usable(const satchel_context *context) {
    (void)context;
    return false;
}

void sat_ivf_close(sat_ivf **ivf) {
    *ivf = NULL;
}

static satchel_status no_lists(satchel_error *error) {
    return sat_fail(error, SATCHEL_UNSUPPORTED, "this build has no inverted lists");
}

satchel_status sat_ivf_make(sat_ivf **out, satchel_context *context, size_t dimension, size_t lists,
                            const float *centroids, const float *sample, size_t sample_count,
                            satchel_error *error) {
    *out = NULL;
    return no_lists(error);
}

satchel_status sat_ivf_ranges(const sat_ivf *ivf, float *ranges, satchel_error *error) {
    return no_lists(error);
}

satchel_status sat_ivf_encode(sat_ivf *ivf, const float *rows, const int32_t *labels, int32_t first,
                              size_t count, sat_ivf_place_function place, void *user,
                              satchel_error *error) {
    return no_lists(error);
}

satchel_status sat_ivf_open(sat_ivf **out, satchel_context *context, size_t dimension, size_t lists,
                            const float *ranges, const uint8_t *base, const sat_ivf_list *table,
                            satchel_error *error) {
    *out = NULL;
    return no_lists(error);
}

satchel_status sat_ivf_scan(const sat_ivf *ivf, const float *query, size_t list, size_t k,
                            float *scores, int64_t *positions, satchel_error *error) {
    return no_lists(error);
}

#endif
