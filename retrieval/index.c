/* When the vector index is looked through, made anew, published and dropped; see index.h. */
#include "retrieval/index.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MINIMUM 100000
#define BLOCK_ROWS 32768
/* The lease is given for two minutes. */
#define RENEW_MS 30000
/* Lists looked through between two looks at the clock. */
#define CHECK_LISTS 16

satchel_status sat_index_open(sat_index **out, sat_store *store, const sat_store_setup *setup,
                              satchel_error *error) {
    *out = NULL;
    sat_index *index = sat_calloc(store->memory, 1, sizeof *index);
    if (!index)
        return sat_memory_fail(store->memory, sizeof *index, error);
    index->store = store;
    index->setup = setup->index;
    if (index->setup.minimum <= 0)
        index->setup.minimum = MINIMUM;
    if (index->setup.block_rows <= 0)
        index->setup.block_rows = BLOCK_ROWS;
    index->seen = -1;
    int failed = pthread_mutex_init(&index->lock, NULL);
    if (!failed) {
        failed = pthread_mutex_init(&index->upkeep, NULL);
        if (failed)
            pthread_mutex_destroy(&index->lock);
    }
    if (failed) {
        sat_free(store->memory, index);
        return sat_fail_errno(error, failed, "cannot make a lock");
    }
    *out = index;
    return SATCHEL_OK;
}

void sat_index_close(sat_index **handle) {
    sat_index *index = *handle;
    if (!index)
        return;
    *handle = NULL;
    sat_index_build_close(&index->build);
    sat_generation_release(index->current);
    pthread_mutex_destroy(&index->lock);
    pthread_mutex_destroy(&index->upkeep);
    sat_free(index->store->memory, index);
}

/* ------------------------------------------------------------------ the row, the files */

satchel_status sat_index_read(sat_connection *connection, sat_index_row *row,
                              satchel_error *error) {
    sat_query query;
    *row = (sat_index_row){0};
    sat_query_begin(&query, connection, "SELECT value FROM format WHERE key = 'index'");
    if (sat_query_row(&query)) {
        char *end;
        row->number = strtoll(sat_column_text(&query, 0, NULL), &end, 10);
        row->hash = strtoull(end, NULL, 16);
        if (row->number <= 0)
            *row = (sat_index_row){0};
    }
    return sat_query_end(&query, error);
}

static satchel_status write_row(sat_connection *writer, const sat_index_row *row,
                                satchel_error *error) {
    char value[48];
    snprintf(value, sizeof value, "%" PRId64 " %016" PRIx64, row->number, row->hash);
    sat_query query;
    sat_query_begin(&query, writer,
                    "INSERT OR REPLACE INTO format(key, value) VALUES('index', ?1)");
    sat_bind_text(&query, 1, value, strlen(value));
    satchel_status status = sat_query_run(&query, error);
    /* Other handles look at the row when something has changed. */
    return status ? status : sat_state_raise(writer, false, error);
}

bool sat_index_path(const sat_store *store, int64_t number, sat_buffer *out) {
    return sat_buffer_append_format(out, "%s" SAT_INDEX_SUFFIX "%" PRId64, store->path, number);
}

typedef struct sweep {
    const char *name; /* of the store */
    size_t length;
    int64_t keep;
    sat_buffer found; /* names, each with its NUL */
} sweep;

int64_t sat_index_file_number(const char *store_name, const char *name) {
    size_t length = strlen(store_name);
    if (strncmp(name, store_name, length) != 0 ||
        strncmp(name + length, SAT_INDEX_SUFFIX, strlen(SAT_INDEX_SUFFIX)) != 0)
        return 0;
    const char *digits = name + length + strlen(SAT_INDEX_SUFFIX);
    size_t count = strspn(digits, "0123456789");
    if (count == 0 || count > 18 || digits[0] == '0')
        return 0;
    const char *rest = digits + count;
    /* ".0123456789ab.tmp": on its way, or left by a kill. */
    bool temporary = rest[0] == '.' && strspn(rest + 1, "0123456789abcdef") == 12 &&
                     strcmp(rest + 13, ".tmp") == 0;
    if (*rest && !temporary)
        return 0;
    int64_t number = strtoll(digits, NULL, 10);
    return temporary ? -number : number;
}

static int note_old(void *user, const char *name) {
    sweep *s = user;
    int64_t number = sat_index_file_number(s->name, name);
    if (number != 0 && number != s->keep)
        sat_buffer_append(&s->found, name, strlen(name) + 1);
    return s->found.failed ? ENOMEM : 0;
}

/* Removes generations that no row names, and what kills have left; with `look_only` only tells
 * whether there are any. What cannot be removed now will be next time. For the holder of the lease:
 * others may be making a file. */
static bool remove_others(const sat_store *store, int64_t keep, bool look_only) {
    const satchel_context *context = store->context;
    sweep s = {.name = sat_path_name(store->path), .keep = keep};
    size_t folder_length = (size_t)(s.name - store->path);
    char *folder = folder_length ? sat_strndup(store->memory, store->path, folder_length)
                                 : sat_strdup(store->memory, ".");
    sat_buffer_init(&s.found, store->memory);
    bool listed = folder && context->files->list(context->files_user, folder, note_old, &s) == 0;
    bool any = listed && s.found.length > 0;
    for (size_t at = 0; any && !look_only && at < s.found.length;
         at += strlen(s.found.data + at) + 1) {
        char *path = sat_path_join(store->memory, folder, s.found.data + at);
        if (path)
            context->files->remove(context->files_user, path);
        sat_free(store->memory, path);
    }
    sat_buffer_free(&s.found);
    sat_free(store->memory, folder);
    return any;
}

/* ------------------------------------------------------------------ the generation in use */

satchel_status sat_index_get(sat_index *index, const sat_index_row *row, sat_generation **out,
                             satchel_error *error) {
    const sat_store *store = index->store;
    *out = NULL;
    pthread_mutex_lock(&index->lock);
    bool distrusted = index->distrusted == row->number;
    if (index->current && index->current->info.number == row->number &&
        index->current->hash == row->hash)
        *out = sat_generation_retain(index->current);
    pthread_mutex_unlock(&index->lock);
    if (distrusted) {
        sat_generation_release(*out);
        *out = NULL;
        return sat_fail(error, SATCHEL_DAMAGED, "the vector index of store '%s' is damaged",
                        store->path);
    }
    if (*out)
        return SATCHEL_OK;
    sat_buffer path;
    sat_buffer_init(&path, store->memory);
    satchel_status status = SATCHEL_OK;
    sat_generation *generation = NULL;
    const sat_digest fingerprint = sat_digest_of(store->fingerprint, strlen(store->fingerprint));
    if (!sat_index_path(store, row->number, &path))
        status = sat_memory_fail(store->memory, 64, error);
    else
        status = sat_generation_open(&generation, store->context, path.data, row->number, row->hash,
                                     &fingerprint, (size_t)store->embedder->dimension, error);
    sat_buffer_free(&path);
    if (status)
        return status;
    pthread_mutex_lock(&index->lock);
    sat_generation *old = index->current;
    index->current = sat_generation_retain(generation);
    pthread_mutex_unlock(&index->lock);
    sat_generation_release(old);
    *out = generation;
    return SATCHEL_OK;
}

void sat_index_distrust(sat_index *index, const sat_generation *generation) {
    pthread_mutex_lock(&index->lock);
    index->distrusted = generation->info.number;
    pthread_mutex_unlock(&index->lock);
    sat_log(index->store->context, SATCHEL_LOG_WARNING, false,
            "vector index %" PRId64 " is damaged; search goes on without it, and upkeep makes a "
            "new one",
            generation->info.number);
}

/* A failure to open that says something of the file, not of this moment. */
static bool is_unusable(satchel_status status) {
    return status == SATCHEL_NOT_FOUND || status == SATCHEL_DAMAGED || status == SATCHEL_TOO_NEW;
}

/* ------------------------------------------------------------------ what is due */

enum due { DUE_NOTHING, DUE_CHECK, DUE_SWEEP, DUE_BUILD, DUE_DROP };

typedef struct finding {
    enum due due;
    sat_index_row row;
    int64_t change;
    sat_generation *generation; /* retained; NULL: none that can be used */
} finding;

static satchel_status count_vectors(sat_connection *reader, int64_t model, int64_t until,
                                    int64_t *count, satchel_error *error) {
    sat_query query;
    *count = 0;
    sat_query_begin(&query, reader, "SELECT count(*) FROM chunk WHERE model = ?1 AND seq <= ?2");
    sat_bind_int(&query, 1, model);
    sat_bind_int(&query, 2, until);
    if (sat_query_row(&query))
        *count = sat_column_int(&query, 0);
    return sat_query_end(&query, error);
}

static satchel_status judge(sat_index *index, sat_connection *reader, finding *f,
                            satchel_error *error) {
    int64_t model = 0, all = 0, old = 0;
    satchel_status status = sat_index_read(reader, &f->row, error);
    if (!status)
        status = sat_model_id(reader, false, &model, error);
    if (!status && model)
        status = count_vectors(reader, model, INT64_MAX, &all, error);
    if (!status && model && f->row.hash) {
        satchel_error failure = {0};
        status = sat_index_get(index, &f->row, &f->generation, &failure);
        if (is_unusable(status))
            status = SATCHEL_OK;
        else if (status)
            sat_error_copy(error, &failure);
    }
    if (!status && f->generation)
        status = count_vectors(reader, model, f->generation->info.seq, &old, error);
    if (status)
        return status;
    bool stale = true;
    if (f->generation) {
        int64_t rows = (int64_t)f->generation->info.rows;
        stale = (all - old) * 4 >= rows || (rows - old) * 4 >= rows;
    }
    if (stale && all >= index->setup.minimum)
        f->due = DUE_BUILD;
    else if (stale && f->row.hash)
        f->due = DUE_DROP;
    else if (f->generation && index->checked != f->row.number)
        f->due = DUE_CHECK;
    return SATCHEL_OK;
}

static satchel_status find_due(sat_index *index, const satchel_cancel *cancel, finding *f,
                               satchel_error *error) {
    sat_connection *reader;
    sat_state state;
    satchel_status status = sat_reader_begin(index->store, cancel, &reader, error);
    if (status)
        return status;
    status = sat_state_read(reader, &state, error);
    f->change = state.change;
    if (!status && state.change != index->seen)
        status = judge(index, reader, f, error);
    sat_reader_end(reader);
    return status;
}

/* Looks at lists that no search has touched yet: a damaged one is found before it is needed. */
static void check_lists(sat_index *index, sat_generation *generation, int64_t deadline,
                        bool *finished) {
    size_t lists = generation->info.lists;
    if (index->lists_checked > lists)
        index->lists_checked = 0;
    bool sound = !generation->damaged;
    while (sound && index->lists_checked < lists && sat_has_turn(deadline, true)) {
        for (size_t i = 0; i < CHECK_LISTS && index->lists_checked < lists && sound; i++)
            sound = sat_generation_check(generation, index->lists_checked++);
    }
    if (!sound) {
        sat_index_distrust(index, generation);
        index->lists_checked = 0;
    } else if (index->lists_checked == lists) {
        index->checked = generation->info.number;
        index->lists_checked = 0;
    } else {
        *finished = false;
    }
}

/* ------------------------------------------------------------------ publishing */

static satchel_status sync_folder(const sat_store *store, satchel_error *error) {
    const satchel_context *context = store->context;
    size_t length = (size_t)(sat_path_name(store->path) - store->path);
    char *folder =
        length ? sat_strndup(store->memory, store->path, length) : sat_strdup(store->memory, ".");
    if (!folder)
        return sat_memory_fail(store->memory, length, error);
    int failed = context->files->sync_directory(context->files_user, folder);
    satchel_status status = SATCHEL_OK;
    if (failed)
        status = sat_fail_errno(error, failed, "cannot write folder '%s' to disk", folder);
    sat_free(store->memory, folder);
    return status;
}

/* The file gets its name: now no other builder can be doing the same, for we hold the store's write
 * lock. It counts from the commit on. */
static satchel_status name_file(const sat_index *index, const char *file, int64_t number,
                                satchel_error *error) {
    const sat_store *store = index->store;
    const satchel_context *context = store->context;
    sat_buffer path;
    sat_buffer_init(&path, store->memory);
    satchel_status status = SATCHEL_OK;
    if (!sat_index_path(store, number, &path))
        status = sat_memory_fail(store->memory, 64, error);
    if (!status) {
        int failed = context->files->rename(context->files_user, file, path.data);
        if (failed)
            status = sat_fail_errno(error, failed, "cannot give the vector index its name '%s'",
                                    path.data);
    }
    sat_buffer_free(&path);
    return status ? status : sync_folder(store, error);
}

/* Another generation may have been published since this one was begun: then it is not needed. */
static satchel_status swap_row(sat_index *index, const sat_lease *lease,
                               const sat_index_row *before, const sat_index_row *row,
                               const char *file, const satchel_cancel *cancel, bool *done,
                               satchel_error *error) {
    sat_connection *writer;
    sat_index_row now;
    *done = false;
    satchel_status status = sat_writer_begin(index->store, cancel, &writer, error);
    if (status)
        return status;
    status = sat_lease_renew(lease, writer, error);
    if (!status)
        status = sat_index_read(writer, &now, error);
    bool same = !status && now.number == before->number && now.hash == before->hash;
    if (same && file)
        status = name_file(index, file, row->number, error);
    if (same && !status)
        status = write_row(writer, row, error);
    if (!same && !status) {
        sat_writer_abandon(writer);
        return SATCHEL_OK;
    }
    status = sat_writer_end(writer, status, error);
    *done = !status;
    return status;
}

static satchel_status drop(sat_index *index, const sat_lease *lease, const sat_index_row *row,
                           const satchel_cancel *cancel, satchel_error *error) {
    const sat_index_row none = {row->number, 0};
    bool done;
    satchel_status status = swap_row(index, lease, row, &none, NULL, cancel, &done, error);
    if (done)
        remove_others(index->store, 0, false);
    return status;
}

static satchel_status publish(sat_index *index, const sat_lease *lease,
                              const satchel_cancel *cancel, satchel_error *error) {
    sat_index_build *build = index->build;
    const sat_index_row made = *sat_index_build_made(build);
    bool done;
    satchel_status status = swap_row(index, lease, sat_index_build_before(build), &made,
                                     sat_index_build_file(build), cancel, &done, error);
    if (done) {
        index->checked = made.number; /* just written */
        remove_others(index->store, made.number, false);
    }
    return status;
}

/* ------------------------------------------------------------------ upkeep */

static satchel_status renew(sat_index *index, const sat_lease *lease, int64_t *renewed,
                            const satchel_cancel *cancel, satchel_error *error) {
    if (sat_clock_ms() - *renewed < RENEW_MS)
        return SATCHEL_OK;
    sat_connection *writer;
    satchel_status status = sat_writer_begin(index->store, cancel, &writer, error);
    if (!status)
        status = sat_writer_end(writer, sat_lease_renew(lease, writer, error), error);
    *renewed = sat_clock_ms();
    return status;
}

static satchel_status build(sat_index *index, const sat_lease *lease, const sat_index_row *row,
                            int64_t deadline, const satchel_cancel *cancel, bool *finished,
                            satchel_error *error) {
    satchel_status status = SATCHEL_OK;
    int64_t renewed = sat_clock_ms();
    bool whole = false;
    if (!index->build) {
        remove_others(index->store, row->hash ? row->number : 0, false);
        status = sat_index_build_begin(&index->build, index, row, cancel, error);
    }
    for (bool worked = false; !status && !whole && sat_has_turn(deadline, worked); worked = true) {
        status = sat_index_build_step(index->build, deadline == 0, cancel, &whole, error);
        if (!status)
            status = renew(index, lease, &renewed, cancel, error);
    }
    if (!status && whole)
        status = publish(index, lease, cancel, error);
    /* A build that is cancelled, held up, or out of time, goes on with the next call. */
    if (status == SATCHEL_OK && !whole)
        *finished = false;
    else if (status != SATCHEL_CANCELLED && status != SATCHEL_BUSY)
        sat_index_build_close(&index->build);
    return status;
}

static satchel_status with_lease(sat_index *index, const sat_lease *lease, const finding *f,
                                 int64_t deadline, const satchel_cancel *cancel, bool *finished,
                                 satchel_error *error) {
    sat_lease own = {.for_index = true};
    satchel_error failure = {0};
    satchel_status status = SATCHEL_OK;
    if (!lease)
        status = sat_lease_take(&own, index->store, cancel, &failure);
    if (!status && f->due == DUE_SWEEP)
        remove_others(index->store, f->row.number, false);
    else if (!status && f->due == DUE_DROP)
        status = drop(index, lease ? lease : &own, &f->row, cancel, &failure);
    else if (!status)
        status = build(index, lease ? lease : &own, &f->row, deadline, cancel, finished, &failure);
    sat_lease_drop(&own, index->store);
    if (status == SATCHEL_BUSY && !lease) /* a sync, or another process that builds: theirs to do */
        return SATCHEL_OK;
    if (status)
        sat_error_copy(error, &failure);
    return status;
}

/* *again: what was done may have made something else due. */
static satchel_status attend(sat_index *index, finding *f, const sat_lease *lease, int64_t deadline,
                             const satchel_cancel *cancel, bool *finished, bool *again,
                             satchel_error *error) {
    switch (f->due) {
    case DUE_NOTHING:
        index->seen = f->change;
        return SATCHEL_OK;
    case DUE_CHECK:
        check_lists(index, f->generation, deadline, finished);
        *again = *finished;
        /* Seen whole for the first time: it may have been published just before a kill. */
        if (index->checked != f->row.number || !remove_others(index->store, f->row.number, true))
            return SATCHEL_OK;
        f->due = DUE_SWEEP;
        break;
    default:
        break;
    }
    return with_lease(index, lease, f, deadline, cancel, finished, error);
}

static satchel_status upkeep(sat_index *index, const sat_lease *lease, int64_t deadline,
                             const satchel_cancel *cancel, bool *finished, satchel_error *error) {
    finding f = {.due = DUE_BUILD};
    satchel_status status = SATCHEL_OK;
    bool again = true;
    if (index->build)
        return with_lease(index, lease, &f, deadline, cancel, finished, error);
    for (int i = 0; i < 2 && again && !status; i++) {
        f = (finding){0};
        again = false;
        status = find_due(index, cancel, &f, error);
        if (!status)
            status = attend(index, &f, lease, deadline, cancel, finished, &again, error);
        sat_generation_release(f.generation);
    }
    return status;
}

satchel_status sat_index_maintain(sat_index *index, const sat_lease *lease, int64_t deadline,
                                  const satchel_cancel *cancel, bool *finished,
                                  satchel_error *error) {
    const sat_store *store = index->store;
    *finished = true;
    if (!store->embedder || store->read_only || !sat_ivf_usable(store->context))
        return SATCHEL_OK;
    if (pthread_mutex_trylock(&index->upkeep) != 0) /* another thread is at it */
        return SATCHEL_OK;
    satchel_status status = upkeep(index, lease, deadline, cancel, finished, error);
    pthread_mutex_unlock(&index->upkeep);
    return status;
}

/* ------------------------------------------------------------------ vectors of its rows */

satchel_status sat_index_read_vectors(sat_connection *reader, const sat_generation_key *keys,
                                      const int64_t *picks, size_t count, size_t dimension,
                                      float *out, uint8_t *missing, satchel_error *error) {
    bool sound = true;
    sat_query query;
    sat_query_begin(&query, reader, "SELECT data FROM vector WHERE id = ?1");
    for (size_t i = 0; i < count && sound; i++) {
        float *row = out + i * dimension;
        sat_bind_int(&query, 1, keys[picks ? (size_t)picks[i] : i].vector);
        missing[i] = !sat_query_row(&query);
        if (missing[i])
            memset(row, 0, dimension * sizeof *row);
        else
            sound = sat_column_floats(&query, 0, row, dimension);
        sat_query_again(&query);
    }
    satchel_status status = sat_query_end(&query, error);
    if (!status && !sound)
        status = sat_fail(error, SATCHEL_DAMAGED,
                          "store '%s': a vector has not %zu dimensions; run verify",
                          reader->store->path, dimension);
    return status;
}
