/*
 * Embedding many texts: tokens are cut at the model's limit, texts sorted by length into batches of
 * packed rows, batches handed to the thread pool one per thread, vectors written to their texts'
 * rows.
 *
 * Work goes in slices, each one region of the pool, so that a search waiting behind an index run
 * gets its turn soon, cancelling is noticed, and memory does not grow with the number of texts.
 */
#include "generate/encoder.h"

#include <stdatomic.h>
#include <string.h>

enum {
    BATCH_ROWS = 256,   /* rows of a batch: enough to use each strip of weights well, few enough
                           for the activations to stay in the second cache */
    BATCHES = 4,        /* of a slice, for each thread: evens out threads of unequal speed */
    SMALLEST_BATCH = 16 /* rows below which splitting for one more thread does not pay */
};

typedef struct entry {
    size_t text;          /* index of the caller's text */
    size_t first, length; /* in ids as read */
} entry;

typedef struct slice {
    int32_t *ids; /* as read */
    size_t id_count, id_capacity;
    entry *entries;
    size_t entry_count, entry_capacity;
    entry *order;      /* the entries, longest first */
    size_t *by_length; /* (max_tokens + 2) counting sort */
    int32_t *sorted;   /* ids, longest text first */
    uint32_t *starts;  /* of each batch: its texts' first rows and its end */
    float **rows;      /* where each sorted text's vector goes */
    sat_batch *batches;
    float *const **batch_rows;
    size_t batch_count, batch_capacity;
} slice;

typedef struct job {
    sat_encoder *encoder;
    const satchel_cancel *cancel;
    slice slice;
    uint8_t *scratch; /* one piece a thread */
    size_t scratch_size, scratch_held;
    _Atomic bool not_finite;
} job;

/* ------------------------------------------------------------------ memory */

static void close_job(job *j) {
    sat_memory *memory = &j->encoder->context->memory;
    slice *s = &j->slice;
    sat_free(memory, s->ids);
    sat_free(memory, s->entries);
    sat_free(memory, s->order);
    sat_free(memory, s->by_length);
    sat_free(memory, s->sorted);
    sat_free(memory, s->starts);
    sat_free(memory, s->rows);
    sat_free(memory, s->batches);
    sat_free(memory, s->batch_rows);
    sat_free_aligned(memory, j->scratch);
}

/* Room for a slice of at most `tokens` tokens and one text more. n: texts in all. */
static satchel_status open_job(job *j, size_t tokens, size_t n, satchel_error *error) {
    sat_memory *memory = &j->encoder->context->memory;
    slice *s = &j->slice;
    size_t longest = j->encoder->plan.max_tokens;
    s->id_capacity = tokens + longest;
    if (n < s->id_capacity / longest)
        s->id_capacity = n * longest;
    s->entry_capacity = s->id_capacity; /* a text has a token at least */
    if (n < s->entry_capacity)
        s->entry_capacity = n;
    s->batch_capacity = s->entry_capacity;
    s->ids = sat_alloc_array(memory, s->id_capacity, sizeof *s->ids);
    s->entries = sat_alloc_array(memory, s->entry_capacity, sizeof *s->entries);
    s->order = sat_alloc_array(memory, s->entry_capacity, sizeof *s->order);
    s->by_length = sat_alloc_array(memory, longest + 2, sizeof *s->by_length);
    s->sorted = sat_alloc_array(memory, s->id_capacity, sizeof *s->sorted);
    s->starts = sat_alloc_array(memory, 2 * s->entry_capacity, sizeof *s->starts);
    s->rows = sat_alloc_array(memory, s->entry_capacity, sizeof *s->rows);
    s->batches = sat_alloc_array(memory, s->batch_capacity, sizeof *s->batches);
    s->batch_rows = sat_alloc_array(memory, s->batch_capacity, sizeof *s->batch_rows);
    if (!s->ids || !s->entries || !s->order || !s->by_length || !s->sorted || !s->starts ||
        !s->rows || !s->batches || !s->batch_rows)
        return sat_memory_fail(memory, 2 * s->id_capacity * sizeof *s->ids, error);
    return SATCHEL_OK;
}

static satchel_status need_scratch(job *j, size_t threads, size_t size, satchel_error *error) {
    sat_memory *memory = &j->encoder->context->memory;
    size_t total;
    if (size == 0 || !sat_mul_size(size, threads, &total))
        return sat_fail(error, SATCHEL_LIMIT, "a batch does not fit the address space");
    j->scratch_size = size;
    if (total <= j->scratch_held)
        return SATCHEL_OK;
    sat_free_aligned(memory, j->scratch);
    j->scratch_held = 0;
    j->scratch = sat_alloc_aligned(memory, total);
    if (!j->scratch)
        return sat_memory_fail(memory, total, error);
    j->scratch_held = total;
    return SATCHEL_OK;
}

/* ------------------------------------------------------------------ slices */

/* Appends one text's ids: prefix and text up to the limit, special tokens around them. */
static satchel_status read_text(job *j, int32_t role, const satchel_text *text, size_t index,
                                satchel_error *error) {
    slice *s = &j->slice;
    size_t length;
    satchel_error inner = {0};
    satchel_status status = sat_encoder_read(j->encoder, role, text->data, text->length,
                                             s->ids + s->id_count, &length, &inner);
    if (status)
        return sat_fail(error, status, "text %zu: %s", index, inner.message);
    s->entries[s->entry_count++] = (entry){index, s->id_count, length};
    s->id_count += length;
    return SATCHEL_OK;
}

/* Sorts the entries by length, longest first, equal ones in order: a counting sort, since lengths
 * are bounded. */
static void sort_entries(slice *s, size_t longest) {
    memset(s->by_length, 0, (longest + 2) * sizeof *s->by_length);
    for (size_t i = 0; i < s->entry_count; i++)
        s->by_length[longest - s->entries[i].length + 1]++;
    for (size_t i = 0; i <= longest; i++)
        s->by_length[i + 1] += s->by_length[i];
    for (size_t i = 0; i < s->entry_count; i++)
        s->order[s->by_length[longest - s->entries[i].length]++] = s->entries[i];
}

/* How many batches: as many as rows want, a multiple of the threads, never more than texts. */
static size_t choose_batches(const slice *s, size_t threads) {
    size_t count = (s->id_count + BATCH_ROWS - 1) / BATCH_ROWS;
    size_t worthwhile = s->id_count / SMALLEST_BATCH;
    if (count < threads)
        count = worthwhile < threads ? worthwhile : threads;
    if (count > threads)
        count = (count + threads - 1) / threads * threads;
    count = count < s->entry_count ? count : s->entry_count;
    return count > 0 ? count : 1;
}

/* Cuts the sorted texts into batches of about equal rows. Returns the scratch one batch needs. */
static size_t cut_batches(job *j, float *out, size_t threads) {
    slice *s = &j->slice;
    const sat_plan *plan = &j->encoder->plan;
    size_t wanted = choose_batches(s, threads), done = 0, text = 0, starts = 0, scratch = 0;
    s->batch_count = 0;
    while (text < s->entry_count) {
        size_t goal = s->id_count * (s->batch_count + 1) / wanted, first = text, base = done;
        sat_batch *batch = &s->batches[s->batch_count];
        batch->ids = s->sorted + done;
        batch->observed = NULL;
        batch->starts = s->starts + starts;
        s->batch_rows[s->batch_count++] = s->rows + text;
        do {
            const entry *e = &s->order[text];
            s->starts[starts++] = (uint32_t)(done - base);
            memcpy(s->sorted + done, s->ids + e->first, e->length * sizeof *s->ids);
            s->rows[text++] = out + e->text * plan->output;
            done += e->length;
        } while (text < s->entry_count && done < goal);
        s->starts[starts++] = (uint32_t)(done - base);
        batch->texts = text - first;
        size_t need = sat_forward_scratch(plan, batch->texts, done - base, s->order[first].length);
        if (need == 0)
            return 0;
        scratch = need > scratch ? need : scratch;
    }
    return scratch;
}

static void run_batches(void *user, int thread, size_t begin, size_t end) {
    job *j = user;
    const sat_encoder *encoder = j->encoder;
    for (size_t i = begin; i < end && !sat_cancelled(j->cancel); i++)
        if (!sat_forward(encoder, &j->slice.batches[i],
                         j->scratch + (size_t)thread * j->scratch_size, j->slice.batch_rows[i]))
            atomic_store_explicit(&j->not_finite, true, memory_order_relaxed);
}

/* Runs what has been read, and empties the slice. */
static satchel_status run_slice(job *j, int32_t role, float *out, satchel_error *error) {
    slice *s = &j->slice;
    sat_pool *pool = j->encoder->context->pool;
    size_t threads = (size_t)sat_pool_threads(pool);
    sort_entries(s, j->encoder->plan.max_tokens);
    size_t scratch = cut_batches(j, out, threads);
    threads = threads < s->batch_count ? threads : s->batch_count;
    satchel_status status = need_scratch(j, threads, scratch, error);
    if (status)
        return status;
    sat_pool_run(pool, role == SATCHEL_ROLE_QUERY ? SAT_PRIORITY_SEARCH : SAT_PRIORITY_INDEX,
                 (int)threads, s->batch_count, 1, run_batches, j);
    s->entry_count = s->id_count = 0;
    if (atomic_load_explicit(&j->not_finite, memory_order_relaxed)) {
        return sat_fail(error, SATCHEL_DAMAGED,
                        "the model %s gives vectors that are not numbers: its file is damaged",
                        j->encoder->name);
    }
    return sat_cancel_check(j->cancel, error);
}

static satchel_status check_call(const sat_encoder *encoder, int32_t role,
                                 const satchel_text *texts, size_t n, const float *out,
                                 satchel_error *error) {
    if (role != SATCHEL_ROLE_DOCUMENT && role != SATCHEL_ROLE_QUERY) {
        return sat_fail(error, SATCHEL_INVALID_ARGUMENT,
                        "role is %d; SATCHEL_ROLE_DOCUMENT (0) and SATCHEL_ROLE_QUERY (1) exist",
                        (int)role);
    }
    if (n > 0 && (!texts || !out))
        return sat_fail(error, SATCHEL_INVALID_ARGUMENT, "texts or out is NULL");
    size_t bytes;
    if (!sat_mul_size(n, encoder->plan.output * sizeof(float), &bytes))
        return sat_fail(error, SATCHEL_INVALID_ARGUMENT, "%zu texts are impossible", n);
    for (size_t i = 0; i < n; i++)
        if (!texts[i].data && texts[i].length > 0)
            return sat_fail(error, SATCHEL_INVALID_ARGUMENT, "text %zu is NULL", i);
    return SATCHEL_OK;
}

satchel_status sat_encoder_embed(sat_encoder *encoder, int32_t role, const satchel_text *texts,
                                 size_t n, float *out, const satchel_cancel *cancel,
                                 satchel_error *error) {
    satchel_status status = check_call(encoder, role, texts, n, out, error);
    if (!status)
        status = sat_cancel_check(cancel, error);
    if (status || n == 0)
        return status;
    size_t tokens = (size_t)sat_pool_threads(encoder->context->pool) * BATCHES * BATCH_ROWS;
    job j = {.encoder = encoder, .cancel = cancel};
    status = open_job(&j, tokens, n, error);
    for (size_t i = 0; i < n && !status; i++) {
        status = read_text(&j, role, &texts[i], i, error);
        bool full = j.slice.id_count >= tokens;
        if (!status && (full || i + 1 == n))
            status = run_slice(&j, role, out, error);
    }
    close_job(&j);
    return status;
}
