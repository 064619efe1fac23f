/*
 * FAISS's IndexIVFScalarQuantizer behind ivf.h. Its serial format, as version 1.7.3 writes it
 * (little-endian, no padding):
 *
 *     "IwSq"  header(dimension, rows)  lists u64  probes u64
 *       "IxFI"  header(dimension, lists)  floats u64  centroids (lists, dimension) f32
 *       direct map u8 = 0, u64 = 0
 *       quantizer i32 = 0, statistic i32 = 0, argument f32 = 0, dimension u64, code size u64
 *       ranges u64 = 2 · dimension, (2, dimension) f32: least value and width of each coordinate
 *       code size u64, by residual u8 = 0
 *     "ilar"  lists u64  code size u64
 *       "full"  lists u64  sizes (lists) u64,   or   "sprs"  2 · n u64  (list, size) (n, 2) u64
 *     then for each list codes (size, dimension) u8, row numbers (size) i64
 *
 * where header(d, n) is d i32, n i64, 2²⁰ i64 twice, trained u8 = 1, metric i32 = 0 (inner product).
 * Everything up to the centroids, between them and the ranges, and from there to the sizes is the same
 * bytes for the same shape: `frame` makes them, for writing and for comparing alike.
 */
#include "retrieval/ivf.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "retrieval/vindex.h"

size_t sat_ivf_row_bytes(size_t dimension) {
    return dimension + sizeof(int64_t);
}

#if defined(SATCHEL_HAVE_FAISS) && defined(__BYTE_ORDER__) &&                                      \
    __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ && LONG_MAX > INT32_MAX

#include <faiss/c_api/IndexFlat_c.h>
#include <faiss/c_api/IndexIVF_c.h>
#include <faiss/c_api/IndexScalarQuantizer_c.h>
#include <faiss/c_api/Index_c.h>
#include <faiss/c_api/error_c.h>
#include <faiss/c_api/index_io_c.h>

/* Lists stay in the file. FAISS's own C header has another value, which does nothing. */
#define FAISS_MAP_LISTS (0x646f0000 | 8)

struct sat_ivf {
    satchel_context *context;
    size_t dimension, lists;
    FaissIndex *faiss;
    FaissIndexFlatIP *quantizer; /* NULL if `faiss` owns it */
    const float *centroids;      /* in the quantizer */
    float *ranges;               /* (2, dimension); NULL in lists that were opened */
    uint64_t charged;            /* bytes that FAISS holds */
};

bool sat_ivf_usable(const satchel_context *context) {
    return sat_faiss_usable(context);
}

void sat_ivf_close(sat_ivf **handle) {
    sat_ivf *ivf = *handle;
    if (!ivf)
        return;
    *handle = NULL;
    sat_memory *memory = &ivf->context->memory;
    if (ivf->faiss)
        faiss_Index_free(ivf->faiss);
    if (ivf->quantizer)
        faiss_IndexFlatIP_free(ivf->quantizer);
    sat_memory_refund(memory, ivf->charged);
    sat_free(memory, ivf->ranges);
    sat_free(memory, ivf);
}

/* ------------------------------------------------------------------ the frame */

/* The parts of a head that hold no floats and no sizes. */
typedef struct frame {
    struct {
        uint8_t bytes[160];
        size_t size;
    } parts[3]; /* before the centroids, between them and the ranges, up to the lists' sizes */
    size_t centroid_bytes, range_bytes;
} frame;

static void put(frame *f, int part, const void *data, size_t size) {
    memcpy(f->parts[part].bytes + f->parts[part].size, data, size);
    f->parts[part].size += size;
}

static void put_u64(frame *f, int part, uint64_t value) {
    put(f, part, &value, sizeof value);
}

static void put_i32(frame *f, int part, int32_t value) {
    put(f, part, &value, sizeof value);
}

static void put_header(frame *f, size_t dimension, uint64_t rows) {
    put_i32(f, 0, (int32_t)dimension);
    put_u64(f, 0, rows);
    put_u64(f, 0, 1 << 20);
    put_u64(f, 0, 1 << 20);
    put(f, 0, "\1", 1);
    put_i32(f, 0, 0);
}

static frame make_frame(size_t dimension, size_t lists, uint64_t rows, const char *form) {
    frame f = {.centroid_bytes = lists * dimension * sizeof(float),
               .range_bytes = 2 * dimension * sizeof(float)};
    put(&f, 0, "IwSq", 4);
    put_header(&f, dimension, rows);
    put_u64(&f, 0, lists);
    put_u64(&f, 0, 1);
    put(&f, 0, "IxFI", 4);
    put_header(&f, dimension, lists);
    put_u64(&f, 0, lists * dimension);
    put(&f, 1, "", 1);
    put_u64(&f, 1, 0);
    put_i32(&f, 1, 0);
    put_i32(&f, 1, 0);
    put_i32(&f, 1, 0); /* 0 as float */
    put_u64(&f, 1, dimension);
    put_u64(&f, 1, dimension);
    put_u64(&f, 1, 2 * dimension);
    put_u64(&f, 2, dimension);
    put(&f, 2, "", 1);
    put(&f, 2, "ilar", 4);
    put_u64(&f, 2, lists);
    put_u64(&f, 2, dimension);
    put(&f, 2, form, 4);
    return f;
}

static size_t frame_size(const frame *f) {
    return f->parts[0].size + f->centroid_bytes + f->parts[1].size + f->range_bytes +
           f->parts[2].size;
}

/* Where the ranges begin. */
static size_t ranges_at(const frame *f) {
    return f->parts[0].size + f->centroid_bytes + f->parts[1].size;
}

/* `data` holds at least frame_size() bytes. */
static bool has_frame(const frame *f, const uint8_t *data) {
    const uint8_t *second = data + f->parts[0].size + f->centroid_bytes;
    const uint8_t *third = data + ranges_at(f) + f->range_bytes;
    return memcmp(data, f->parts[0].bytes, f->parts[0].size) == 0 &&
           memcmp(second, f->parts[1].bytes, f->parts[1].size) == 0 &&
           memcmp(third, f->parts[2].bytes, f->parts[2].size) == 0;
}

size_t sat_ivf_head_size(size_t dimension, size_t lists) {
    frame f = make_frame(dimension, lists, 0, "full");
    return frame_size(&f) + sizeof(uint64_t) * (1 + lists);
}

satchel_status sat_ivf_head(const sat_ivf *ivf, const uint64_t *sizes, sat_buffer *out,
                            satchel_error *error) {
    uint64_t rows = 0, lists = ivf->lists;
    for (size_t i = 0; i < ivf->lists; i++)
        rows += sizes[i];
    frame f = make_frame(ivf->dimension, ivf->lists, rows, "full");
    sat_buffer_append(out, f.parts[0].bytes, f.parts[0].size);
    sat_buffer_append(out, ivf->centroids, f.centroid_bytes);
    sat_buffer_append(out, f.parts[1].bytes, f.parts[1].size);
    sat_buffer_append(out, ivf->ranges, f.range_bytes);
    sat_buffer_append(out, f.parts[2].bytes, f.parts[2].size);
    sat_buffer_append(out, &lists, sizeof lists);
    sat_buffer_append(out, sizes, ivf->lists * sizeof *sizes);
    return out->failed ? sat_memory_fail(out->memory, frame_size(&f), error) : SATCHEL_OK;
}

/* ------------------------------------------------------------------ making */

/* What FAISS writes of its index now: memory of the C library's, to be freed with free(). */
static satchel_status write_index(const sat_ivf *ivf, char **data, size_t *size,
                                  satchel_error *error) {
    *data = NULL;
    *size = 0;
    FILE *stream = open_memstream(data, size);
    if (!stream)
        return sat_fail(error, SATCHEL_OUT_OF_MEMORY, "out of memory in the vector index");
    int failed = faiss_write_index(ivf->faiss, stream);
    bool closed = fclose(stream) == 0;
    satchel_status status = SATCHEL_OK;
    if (!closed) /* a stream in memory fails for want of it; FAISS then tells of a short write */
        status = sat_fail(error, SATCHEL_OUT_OF_MEMORY, "out of memory in the vector index");
    else if (failed)
        status = sat_faiss_fail(error);
    if (status) {
        free(*data);
        *data = NULL;
    }
    return status;
}

static satchel_status unknown_format(satchel_error *error) {
    return sat_fail(error, SATCHEL_INTERNAL,
                    "this build of FAISS writes its lists in another form than that of 1.7.3");
}

static satchel_status take_ranges(sat_ivf *ivf, satchel_error *error) {
    char *data;
    size_t size;
    satchel_status status = write_index(ivf, &data, &size, error);
    if (status)
        return status;
    frame f = make_frame(ivf->dimension, ivf->lists, 0, "sprs");
    if (size != frame_size(&f) + sizeof(uint64_t) || !has_frame(&f, (const uint8_t *)data))
        status = unknown_format(error);
    else
        memcpy(ivf->ranges, data + ranges_at(&f), f.range_bytes);
    free(data);
    return status;
}

static satchel_status make_index(sat_ivf *ivf, const float *centroids, const float *sample,
                                 size_t sample_count, satchel_error *error) {
    FaissIndexIVFScalarQuantizer *index = NULL;
    size_t floats = 0;
    float *data = NULL;
    if (faiss_IndexFlatIP_new_with(&ivf->quantizer, (idx_t)ivf->dimension) != 0 ||
        faiss_Index_add(ivf->quantizer, (idx_t)ivf->lists, centroids) != 0 ||
        faiss_IndexIVFScalarQuantizer_new_with_metric(&index, ivf->quantizer, ivf->dimension,
                                                      ivf->lists, QT_8bit, METRIC_INNER_PRODUCT,
                                                      0) != 0)
        return sat_faiss_fail(error);
    ivf->faiss = index;
    faiss_IndexIVFScalarQuantizer_set_own_fields(index, 0);
    faiss_IndexIVFScalarQuantizer_set_nprobe(index, 1);
    faiss_IndexFlat_xb(ivf->quantizer, &data, &floats);
    ivf->centroids = data;
    /* With a full quantizer this only looks at the ranges of coordinates. */
    if (faiss_Index_train(index, (idx_t)sample_count, sample) != 0)
        return sat_faiss_fail(error);
    return SATCHEL_OK;
}

satchel_status sat_ivf_make(sat_ivf **out, satchel_context *context, size_t dimension, size_t lists,
                            const float *centroids, const float *sample, size_t sample_count,
                            satchel_error *error) {
    sat_memory *memory = &context->memory;
    uint64_t bytes = (uint64_t)lists * dimension * sizeof(float);
    *out = NULL;
    sat_ivf *ivf = sat_calloc(memory, 1, sizeof *ivf);
    if (!ivf)
        return sat_memory_fail(memory, sizeof *ivf, error);
    ivf->context = context;
    ivf->dimension = dimension;
    ivf->lists = lists;
    ivf->ranges = sat_alloc_array(memory, 2 * dimension, sizeof *ivf->ranges);
    satchel_status status = SATCHEL_OK;
    if (!ivf->ranges || !sat_memory_charge(memory, bytes))
        status = sat_memory_fail(memory, bytes, error);
    else
        ivf->charged = bytes;
    if (!status)
        status = make_index(ivf, centroids, sample, sample_count, error);
    if (!status)
        status = take_ranges(ivf, error);
    if (status) {
        sat_ivf_close(&ivf);
        return status;
    }
    *out = ivf;
    return SATCHEL_OK;
}

static uint64_t load_u64(const uint8_t *at) {
    uint64_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

/* Hands out the lists of what FAISS wrote of `rows` rows. */
static satchel_status place_lists(const sat_ivf *ivf, const uint8_t *data, size_t size, size_t rows,
                                  sat_ivf_place_function place, void *user, satchel_error *error) {
    frame full = make_frame(ivf->dimension, ivf->lists, rows, "full");
    frame sparse = make_frame(ivf->dimension, ivf->lists, rows, "sprs");
    size_t at = frame_size(&full), left, seen = 0;
    bool is_full = size >= at && has_frame(&full, data);
    if (size < at + sizeof(uint64_t) || (!is_full && !has_frame(&sparse, data)))
        return unknown_format(error);
    uint64_t count = load_u64(data + at);
    const uint8_t *table = data + at + sizeof(uint64_t);
    left = size - at - sizeof(uint64_t);
    if (count > left / sizeof(uint64_t) || (is_full ? count != ivf->lists : count % 2 != 0))
        return unknown_format(error);
    const uint8_t *lists = table + count * sizeof(uint64_t);
    left -= (size_t)count * sizeof(uint64_t);
    satchel_status status = SATCHEL_OK;
    for (size_t i = 0; i < count && !status; i += is_full ? 1 : 2) {
        uint64_t list = is_full ? i : load_u64(table + i * sizeof(uint64_t));
        uint64_t own = load_u64(table + (is_full ? i : i + 1) * sizeof(uint64_t));
        if (list >= ivf->lists || own > rows - seen ||
            own * sat_ivf_row_bytes(ivf->dimension) > left)
            return unknown_format(error);
        size_t codes = (size_t)own * ivf->dimension;
        if (own > 0)
            status = place(user, (size_t)list, lists, lists + codes, (size_t)own, error);
        lists += (size_t)own * sat_ivf_row_bytes(ivf->dimension);
        left -= (size_t)own * sat_ivf_row_bytes(ivf->dimension);
        seen += (size_t)own;
    }
    if (!status && (seen != rows || left != 0))
        status = unknown_format(error);
    return status;
}

satchel_status sat_ivf_encode(sat_ivf *ivf, const float *rows, const int32_t *labels,
                              const int64_t *numbers, size_t count, sat_ivf_place_function place,
                              void *user, satchel_error *error) {
    sat_memory *memory = &ivf->context->memory;
    idx_t *lists = sat_alloc_array(memory, count, sizeof *lists);
    if (!lists)
        return sat_memory_fail(memory, count * sizeof *lists, error);
    satchel_status status = SATCHEL_OK;
    /* FAISS holds them, then writes them into memory: both are counted, though not taken, here. */
    uint64_t bytes = 3 * (uint64_t)count * sat_ivf_row_bytes(ivf->dimension) + ivf->charged;
    for (size_t i = 0; i < count && !status; i++) {
        /* FAISS does not look. */
        if (labels[i] < 0 || (size_t)labels[i] >= ivf->lists)
            status = sat_fail(error, SATCHEL_INTERNAL, "there is no list %d", (int)labels[i]);
        lists[i] = labels[i];
    }
    if (!status && !sat_memory_charge(memory, bytes))
        status = sat_memory_fail(memory, (size_t)bytes, error);
    if (status) {
        sat_free(memory, lists);
        return status;
    }
    char *data = NULL;
    size_t size = 0;
    if (faiss_IndexIVFScalarQuantizer_add_core(ivf->faiss, (idx_t)count, rows,
                                               (const idx_t *)numbers, lists) != 0)
        status = sat_faiss_fail(error);
    if (!status)
        status = write_index(ivf, &data, &size, error);
    if (faiss_Index_reset(ivf->faiss) != 0 && !status)
        status = sat_faiss_fail(error);
    if (!status)
        status = place_lists(ivf, (const uint8_t *)data, size, count, place, user, error);
    free(data);
    sat_memory_refund(memory, bytes);
    sat_free(memory, lists);
    return status;
}

/* ------------------------------------------------------------------ scanning */

static bool is_finite(const float *values, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (!(values[i] - values[i] == 0))
            return false;
    return true;
}

static bool check_head(const uint8_t *head, size_t dimension, size_t lists, const uint64_t *sizes) {
    uint64_t rows = 0;
    for (size_t i = 0; i < lists; i++)
        rows += sizes[i];
    frame f = make_frame(dimension, lists, rows, "full");
    const uint8_t *table = head + frame_size(&f);
    return has_frame(&f, head) && load_u64(table) == lists &&
           memcmp(table + sizeof(uint64_t), sizes, lists * sizeof *sizes) == 0;
}

/* FAISS maps the file that it reads from, so it is given a stream on the file itself. */
static satchel_status read_index(sat_ivf *ivf, int fd, uint64_t offset, satchel_error *error) {
    satchel_context *context = ivf->context;
    FILE *stream = fdopen(fd, "rb");
    if (!stream) {
        context->files->close(context->files_user, fd);
        return sat_fail(error, SATCHEL_OUT_OF_MEMORY, "out of memory in the vector index");
    }
    satchel_status status = SATCHEL_OK;
    if (fseek(stream, (long)offset, SEEK_SET) != 0)
        status = sat_fail(error, SATCHEL_IO, "cannot read the vector index");
    else if (faiss_read_index(stream, FAISS_MAP_LISTS, &ivf->faiss) != 0)
        status = sat_faiss_fail(error);
    fclose(stream);
    /* The head is as it should be: only reading or mapping the file can fail. */
    if (status == SATCHEL_INTERNAL)
        status = sat_fail(error, SATCHEL_IO, "cannot read or map the vector index");
    return status;
}

/* What FAISS made of the head. */
static bool check_index(sat_ivf *ivf, const uint64_t *sizes) {
    FaissIndexIVF *index = faiss_IndexIVF_cast(ivf->faiss);
    FaissIndexFlat *flat = index ? faiss_IndexFlat_cast(faiss_IndexIVF_quantizer(index)) : NULL;
    float *data = NULL;
    size_t floats = 0;
    if (!flat || faiss_IndexIVF_nprobe(index) != 1 || faiss_IndexIVF_nlist(index) != ivf->lists)
        return false;
    for (size_t i = 0; i < ivf->lists; i++)
        if (faiss_IndexIVF_get_list_size(index, i) != sizes[i])
            return false;
    faiss_IndexFlat_xb(flat, &data, &floats);
    ivf->centroids = data;
    return data && floats == ivf->lists * ivf->dimension && is_finite(data, floats);
}

satchel_status sat_ivf_open(sat_ivf **out, satchel_context *context, int fd, uint64_t offset,
                            const uint8_t *head, size_t dimension, size_t lists,
                            const uint64_t *sizes, satchel_error *error) {
    sat_memory *memory = &context->memory;
    /* Centroids, and four words a list. */
    uint64_t bytes = (uint64_t)lists * (dimension * sizeof(float) + 32);
    satchel_status status = SATCHEL_OK;
    *out = NULL;
    sat_ivf *ivf = sat_calloc(memory, 1, sizeof *ivf);
    if (ivf)
        *ivf = (sat_ivf){.context = context, .dimension = dimension, .lists = lists};
    if (!ivf || !sat_memory_charge(memory, bytes))
        status = sat_memory_fail(memory, (size_t)bytes, error);
    else
        ivf->charged = bytes;
    if (!status && (offset > LONG_MAX || !check_head(head, dimension, lists, sizes)))
        status = sat_fail(error, SATCHEL_DAMAGED, "the vector index has a damaged head");
    if (status)
        context->files->close(context->files_user, fd);
    else
        status = read_index(ivf, fd, offset, error);
    if (!status && !check_index(ivf, sizes))
        status = sat_fail(error, SATCHEL_DAMAGED, "the vector index has a damaged head");
    if (status) {
        sat_ivf_close(&ivf);
        return status;
    }
    *out = ivf;
    return SATCHEL_OK;
}

const float *sat_ivf_centroids(const sat_ivf *ivf) {
    return ivf->centroids;
}

satchel_status sat_ivf_scan(const sat_ivf *ivf, const float *query, size_t list, size_t k,
                            float *scores, int64_t *numbers, satchel_error *error) {
    /* One list a call: this is search_preassigned with one probe. So every row of a list can be had,
     * which filters need, FAISS never sees a list that was not checked, and lists go to many
     * threads. */
    const idx_t probe = (idx_t)list;
    const float distance = 0;
    if (list >= ivf->lists || k == 0)
        return sat_fail(error, SATCHEL_INTERNAL, "there is no list %zu", list);
    if (faiss_IndexIVF_search_preassigned((const FaissIndexIVF *)ivf->faiss, 1, query, (idx_t)k,
                                          &probe, &distance, scores, (idx_t *)numbers, 0) != 0)
        return sat_faiss_fail(error);
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

satchel_status sat_ivf_encode(sat_ivf *ivf, const float *rows, const int32_t *labels,
                              const int64_t *numbers, size_t count, sat_ivf_place_function place,
                              void *user, satchel_error *error) {
    return no_lists(error);
}

size_t sat_ivf_head_size(size_t dimension, size_t lists) {
    return 0;
}

satchel_status sat_ivf_head(const sat_ivf *ivf, const uint64_t *sizes, sat_buffer *out,
                            satchel_error *error) {
    return no_lists(error);
}

satchel_status sat_ivf_open(sat_ivf **out, satchel_context *context, int fd, uint64_t offset,
                            const uint8_t *head, size_t dimension, size_t lists,
                            const uint64_t *sizes, satchel_error *error) {
    *out = NULL;
    context->files->close(context->files_user, fd);
    return no_lists(error);
}

const float *sat_ivf_centroids(const sat_ivf *ivf) {
    return NULL;
}

satchel_status sat_ivf_scan(const sat_ivf *ivf, const float *query, size_t list, size_t k,
                            float *scores, int64_t *numbers, satchel_error *error) {
    return no_lists(error);
}

#endif
