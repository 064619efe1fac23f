/*
 * A block of vectors: FAISS's flat inner-product index through its C API, or plain rows with our
 * own kernels. FAISS is built for AVX2 on x86 and must not be entered below that.
 */
#include <string.h>

#include "retrieval/vindex.h"

#ifdef SATCHEL_HAVE_FAISS
#include <faiss/c_api/IndexFlat_c.h>
#include <faiss/c_api/Index_c.h>
#include <faiss/c_api/error_c.h>
#endif

struct sat_vrows {
    satchel_context *context;
    size_t dimension, count, capacity;
    float *data; /* (capacity, dimension); NULL with FAISS */
#ifdef SATCHEL_HAVE_FAISS
    FaissIndexFlatIP *faiss; /* NULL without */
#endif
    uint64_t charged; /* bytes that FAISS holds */
};

bool sat_faiss_usable(const satchel_context *context) {
#ifndef SATCHEL_HAVE_FAISS
    return false;
#elif defined(__x86_64__) || defined(__i386__)
    return context->cpu_level >= SATCHEL_CPU_AVX2;
#else
    return context->cpu_level != SATCHEL_CPU_C;
#endif
}

const char *sat_vrows_name(const satchel_context *context) {
    return sat_faiss_usable(context) ? "faiss" : "exact";
}

#ifdef SATCHEL_HAVE_FAISS
/* FAISS's exceptions arrive as codes with a text; std::bad_alloc is one of them. */
satchel_status sat_faiss_fail(satchel_error *error) {
    const char *what = faiss_get_last_error();
    if (what && strstr(what, "bad_alloc"))
        return sat_fail(error, SATCHEL_OUT_OF_MEMORY, "out of memory in the vector index");
    return sat_fail(error, SATCHEL_INTERNAL, "FAISS: %s", what ? what : "unknown failure");
}
#endif

satchel_status sat_vrows_open(sat_vrows **out, satchel_context *context, size_t dimension,
                              satchel_error *error) {
    *out = NULL;
    sat_vrows *rows = sat_calloc(&context->memory, 1, sizeof *rows);
    if (!rows)
        return sat_memory_fail(&context->memory, sizeof *rows, error);
    rows->context = context;
    rows->dimension = dimension;
#ifdef SATCHEL_HAVE_FAISS
    if (sat_faiss_usable(context) &&
        faiss_IndexFlatIP_new_with(&rows->faiss, (idx_t)dimension) != 0) {
        sat_free(&context->memory, rows);
        return sat_faiss_fail(error);
    }
#endif
    *out = rows;
    return SATCHEL_OK;
}

void sat_vrows_close(sat_vrows *rows) {
    if (!rows)
        return;
    sat_memory *memory = &rows->context->memory;
#ifdef SATCHEL_HAVE_FAISS
    if (rows->faiss)
        faiss_IndexFlatIP_free(rows->faiss);
#endif
    sat_memory_refund(memory, rows->charged);
    sat_free(memory, rows->data);
    sat_free(memory, rows);
}

satchel_status sat_vrows_add(sat_vrows *rows, const float *data, size_t count,
                             satchel_error *error) {
    sat_memory *memory = &rows->context->memory;
    size_t row_bytes = rows->dimension * sizeof(float), bytes;
    if (!sat_mul_size(count, row_bytes, &bytes))
        return sat_memory_fail(memory, SIZE_MAX, error);
#ifdef SATCHEL_HAVE_FAISS
    if (rows->faiss) {
        if (!sat_memory_charge(memory, bytes))
            return sat_memory_fail(memory, bytes, error);
        if (faiss_Index_add(rows->faiss, (idx_t)count, data) != 0) {
            sat_memory_refund(memory, bytes);
            return sat_faiss_fail(error);
        }
        rows->charged += bytes;
        rows->count += count;
        return SATCHEL_OK;
    }
#endif
    if (!sat_grow(memory, (void **)&rows->data, &rows->capacity, rows->count + count, row_bytes))
        return sat_memory_fail(memory, bytes, error);
    memcpy(rows->data + rows->count * rows->dimension, data, bytes);
    rows->count += count;
    return SATCHEL_OK;
}

const float *sat_vrows_data(const sat_vrows *rows) {
#ifdef SATCHEL_HAVE_FAISS
    if (rows->faiss) {
        float *data = NULL;
        size_t floats = 0;
        faiss_IndexFlat_xb((FaissIndexFlat *)rows->faiss, &data, &floats);
        return data;
    }
#endif
    return rows->data;
}

bool sat_vrows_score(const sat_vrows *rows, const float *query, const int64_t *picks, size_t count,
                     float *out) {
#ifdef SATCHEL_HAVE_FAISS
    if (rows->faiss)
        return faiss_IndexFlat_compute_distance_subset(rows->faiss, 1, query, (idx_t)count, out,
                                                       (const idx_t *)picks) == 0;
#endif
    const sat_vector_kernels *kernels = rows->context->vector;
    size_t dimension = rows->dimension;
    for (size_t i = 0; i < count;) {
        /* Runs of neighbours go through the kernel for many rows. */
        size_t run = 1;
        while (i + run < count && picks[i + run] == picks[i] + (int64_t)run)
            run++;
        kernels->dot_rows(out + i, rows->data + (size_t)picks[i] * dimension, query, run,
                          dimension);
        i += run;
    }
    return true;
}
