/*
 * Points as blocks. A file is read by a thread of its own into two buffers in turn: while the
 * caller computes on one, the other is filled.
 *
 * The reader's orders and what it has done lie in struct reader, under its lock. Buffer i % 2 holds
 * block i of the pass. Who asks for block w has done with block w − 1, so the reader may fill up to
 * block w + 1. A pass that is given up is told by its number: what was read for an older one is
 * dropped.
 */
#include "cluster/source.h"

#include <stdalign.h>
#include <string.h>

typedef struct reader {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool made;       /* lock and condition are there */
    bool started;    /* the thread is; only the caller looks */
    bool stop;       /* orders: end */
    bool running;    /* orders: a pass is under way */
    bool busy;       /* inside a read */
    uint64_t pass;   /* counts passes */
    uint64_t filled; /* blocks of this pass that are read */
    uint64_t wanted; /* the block of this pass asked for last */
    satchel_status status;
    satchel_error error;
} reader;

struct sat_source {
    satchel_context *context;
    satchel_points points;
    size_t dimension, stride;
    size_t row_bytes; /* of a row in a file or from the application */
    size_t block;     /* rows */
    uint64_t blocks;
    uint64_t next; /* block of this pass that is next; `blocks` where none is under way */
    float *buffer[2];
    uint64_t buffer_bytes;
    int fd; /* −1: none */
    reader reader;
};

/* ------------------------------------------------------------------ reading rows */

static void swap_bytes(float *values, size_t count) {
    uint8_t *bytes = (uint8_t *)values;
    for (size_t i = 0; i < count; i++, bytes += 4) {
        uint8_t first = bytes[0], second = bytes[1];
        bytes[0] = bytes[3];
        bytes[1] = bytes[2];
        bytes[2] = second;
        bytes[3] = first;
    }
}

static satchel_status read_file(const sat_source *source, uint64_t first, size_t count, float *out,
                                satchel_error *error) {
    const satchel_context *context = source->context;
    const char *path = source->points.path;
    /* No overflow: open checked the file's whole range. */
    uint64_t at = source->points.offset + first * source->row_bytes;
    size_t bytes = count * source->row_bytes, done = 0;
    int failed = context->files->read_at(context->files_user, source->fd, out, bytes, at, &done);
    if (failed)
        return sat_fail_errno(error, failed, "cannot read %zu bytes at byte %llu of %s", bytes,
                              (unsigned long long)at, path);
    if (done < bytes)
        return sat_fail(error, SATCHEL_DAMAGED,
                        "%s ends at byte %llu, within row %llu of %llu: it became shorter while "
                        "it was read",
                        path, (unsigned long long)(at + done),
                        (unsigned long long)(first + done / source->row_bytes),
                        (unsigned long long)source->points.count);
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    swap_bytes(out, bytes / sizeof(float));
#else
    (void)swap_bytes;
#endif
    return SATCHEL_OK;
}

static satchel_status read_rows(const sat_source *source, uint64_t first, size_t count, float *out,
                                satchel_error *error) {
    if (source->fd >= 0)
        return read_file(source, first, count, out, error);
    satchel_status status = source->points.read(source->points.user, first, count, out);
    if (status)
        return sat_fail(error, SATCHEL_CALLBACK,
                        "the points' read function returned %d (%s) for %zu rows from row %llu on",
                        (int)status, sat_status_name(status), count, (unsigned long long)first);
    return SATCHEL_OK;
}

static size_t rows_in_block(const sat_source *source, uint64_t block) {
    uint64_t left = source->points.count - block * source->block;
    return left < source->block ? (size_t)left : source->block;
}

/* ------------------------------------------------------------------ reading ahead */

static void *reader_main(void *user) {
    sat_source *source = user;
    reader *self = &source->reader;
    sat_thread_name();
    pthread_mutex_lock(&self->lock);
    while (!self->stop) {
        uint64_t block = self->filled, pass = self->pass;
        bool room = block < source->blocks && block < self->wanted + 2;
        if (!self->running || !room) {
            pthread_cond_wait(&self->changed, &self->lock);
            continue;
        }
        self->busy = true;
        pthread_mutex_unlock(&self->lock);
        satchel_error error;
        satchel_status status =
            read_file(source, block * source->block, rows_in_block(source, block),
                      source->buffer[block % 2], &error);
        pthread_mutex_lock(&self->lock);
        self->busy = false;
        if (pass == self->pass) {
            if (status) {
                self->status = status;
                self->error = error;
                self->running = false;
            } else {
                self->filled++;
            }
        }
        pthread_cond_broadcast(&self->changed);
    }
    pthread_mutex_unlock(&self->lock);
    return NULL;
}

/* Without a thread the caller reads, block by block. */
static void start_reader(sat_source *source) {
    reader *self = &source->reader;
    if (self->started || self->made || source->fd < 0 || source->blocks < 2)
        return;
    if (pthread_mutex_init(&self->lock, NULL) != 0)
        return;
    if (pthread_cond_init(&self->changed, NULL) != 0) {
        pthread_mutex_destroy(&self->lock);
        return;
    }
    self->made = true;
    self->started = sat_thread_start(&self->thread, reader_main, source);
}

/* Gives up the pass under way, or starts the next one. The thread is idle after the former, so that
 * the caller may read by itself. */
static void order_pass(reader *self, bool running) {
    pthread_mutex_lock(&self->lock);
    self->pass++;
    self->running = running;
    self->filled = self->wanted = 0;
    self->status = SATCHEL_OK;
    pthread_cond_broadcast(&self->changed);
    while (!running && self->busy)
        pthread_cond_wait(&self->changed, &self->lock);
    pthread_mutex_unlock(&self->lock);
}

static satchel_status take_block(reader *self, uint64_t block, satchel_error *error) {
    pthread_mutex_lock(&self->lock);
    self->wanted = block;
    pthread_cond_broadcast(&self->changed);
    while (self->filled <= block && !self->status)
        pthread_cond_wait(&self->changed, &self->lock);
    satchel_status status = SATCHEL_OK;
    if (self->filled <= block) {
        status = self->status;
        sat_error_copy(error, &self->error);
    }
    pthread_mutex_unlock(&self->lock);
    return status;
}

static void stop_reader(reader *self) {
    if (self->started) {
        pthread_mutex_lock(&self->lock);
        self->stop = true;
        pthread_cond_broadcast(&self->changed);
        pthread_mutex_unlock(&self->lock);
        pthread_join(self->thread, NULL);
    }
    if (self->made) {
        pthread_cond_destroy(&self->changed);
        pthread_mutex_destroy(&self->lock);
    }
}

/* ------------------------------------------------------------------ opening */

static satchel_status bad(satchel_error *error, const char *what) {
    return sat_fail(error, SATCHEL_INVALID_ARGUMENT, "%s", what);
}

static satchel_status check_points(const satchel_points *points, satchel_error *error) {
    int origins = (points->rows != NULL) + (points->path != NULL) + (points->read != NULL);
    if (origins != 1)
        return sat_fail(error, SATCHEL_INVALID_ARGUMENT,
                        "satchel_points gives %d origins: set exactly one of rows, path and read",
                        origins);
    if (points->count == 0)
        return bad(error, "satchel_points.count is 0: give at least one point");
    if (points->dimension < 1 || points->dimension > SAT_MAX_DIMENSION)
        return sat_fail(error, SATCHEL_INVALID_ARGUMENT,
                        "satchel_points.dimension is %d: it goes from 1 to %d",
                        (int)points->dimension, SAT_MAX_DIMENSION);
    if (points->reserved)
        return sat_fail(error, SATCHEL_UNSUPPORTED, "satchel_points.reserved is %d: leave it 0",
                        (int)points->reserved);
    if (!points->path && points->offset)
        return bad(error, "satchel_points.offset is for a file: leave it 0 without a path");
    if (!points->rows && points->stride)
        return bad(error, "satchel_points.stride is for rows in memory: leave it 0 without them");
    if (points->stride && points->stride < (size_t)points->dimension)
        return sat_fail(error, SATCHEL_INVALID_ARGUMENT,
                        "satchel_points.stride is %zu, less than the dimension %d", points->stride,
                        (int)points->dimension);
    if ((uintptr_t)points->rows % alignof(float) != 0)
        return bad(error, "satchel_points.rows is not aligned for float");
    return SATCHEL_OK;
}

/* That all offsets into the points fit their types. */
static satchel_status check_size(const satchel_points *points, size_t stride,
                                 satchel_error *error) {
    uint64_t bytes, end, most = points->rows ? (uint64_t)PTRDIFF_MAX : (uint64_t)INT64_MAX;
    if (__builtin_mul_overflow(points->count, (uint64_t)stride, &bytes) ||
        __builtin_mul_overflow(bytes, (uint64_t)sizeof(float), &bytes) ||
        __builtin_add_overflow(bytes, points->offset, &end) || end > most)
        return sat_fail(error, SATCHEL_INVALID_ARGUMENT,
                        "%llu points of %zu floats are more bytes than can be addressed",
                        (unsigned long long)points->count, stride);
    return SATCHEL_OK;
}

static satchel_status open_file(sat_source *source, satchel_error *error) {
    const satchel_context *context = source->context;
    const satchel_points *points = &source->points;
    int failed =
        context->files->open(context->files_user, points->path, SAT_OPEN_READ, &source->fd);
    if (failed) {
        source->fd = -1;
        return sat_fail_errno(error, failed, "cannot open %s", points->path);
    }
    sat_file_info info;
    failed = context->files->fstat(context->files_user, source->fd, &info);
    if (failed)
        return sat_fail_errno(error, failed, "cannot look at %s", points->path);
    if (!info.is_regular)
        return sat_fail(error, SATCHEL_UNSUPPORTED, "%s is %s: give a regular file", points->path,
                        info.is_directory ? "a folder" : "a device, pipe or socket");
    uint64_t end = points->offset + points->count * source->row_bytes;
    if (info.size < end)
        return sat_fail(error, SATCHEL_DAMAGED,
                        "%s has %llu bytes, but %llu rows of %zu floats from byte %llu on end at "
                        "byte %llu",
                        points->path, (unsigned long long)info.size,
                        (unsigned long long)points->count, source->dimension,
                        (unsigned long long)points->offset, (unsigned long long)end);
    return SATCHEL_OK;
}

static satchel_status make_buffers(sat_source *source, satchel_error *error) {
    size_t bytes, count = source->fd >= 0 && source->blocks > 1 ? 2 : 1;
    if (!sat_mul_size(source->block, source->row_bytes, &bytes))
        return sat_memory_fail(&source->context->memory, SIZE_MAX, error);
    for (size_t i = 0; i < count; i++) {
        source->buffer[i] = sat_alloc_aligned(&source->context->memory, bytes);
        if (!source->buffer[i])
            return sat_memory_fail(&source->context->memory, bytes, error);
        /* What an application's function leaves unwritten is zero, not what memory held before. */
        if (source->fd < 0)
            memset(source->buffer[i], 0, bytes);
        source->buffer_bytes += bytes;
    }
    return SATCHEL_OK;
}

static satchel_status set_up(sat_source *source, size_t block, satchel_error *error) {
    satchel_points *points = &source->points;
    satchel_status status = check_points(points, error);
    if (status)
        return status;
    source->dimension = (size_t)points->dimension;
    source->stride = points->stride ? points->stride : source->dimension;
    source->row_bytes = source->dimension * sizeof(float);
    status = check_size(points, source->stride, error);
    if (status)
        return status;
    if (points->rows) {
        source->block = (size_t)points->count;
        source->blocks = source->next = 1;
        return SATCHEL_OK;
    }
    if (block == 0)
        block = 1;
    source->block = points->count < block ? (size_t)points->count : block;
    source->blocks = points->count / source->block + (points->count % source->block != 0);
    source->next = source->blocks;
    if (points->path)
        status = open_file(source, error);
    return status ? status : make_buffers(source, error);
}

satchel_status sat_source_open(sat_source **out, satchel_context *context,
                               const satchel_points *points, size_t block, satchel_error *error) {
    *out = NULL;
    if (!points)
        return bad(error, "satchel_points is NULL: say where the points are");
    satchel_points known;
    satchel_status status = sat_options_read(&known, sizeof known, points, "satchel_points", error);
    if (status)
        return status;
    sat_source *source = sat_calloc(&context->memory, 1, sizeof *source);
    if (!source)
        return sat_memory_fail(&context->memory, sizeof *source, error);
    source->context = context;
    source->points = known;
    source->fd = -1;
    status = set_up(source, block, error);
    if (status)
        sat_source_close(&source);
    *out = source;
    return status;
}

void sat_source_close(sat_source **out) {
    sat_source *source = *out;
    if (!source)
        return;
    *out = NULL;
    sat_memory *memory = &source->context->memory;
    stop_reader(&source->reader);
    if (source->fd >= 0)
        source->context->files->close(source->context->files_user, source->fd);
    for (size_t i = 0; i < SAT_COUNT(source->buffer); i++)
        sat_free_aligned(memory, source->buffer[i]);
    sat_free(memory, source);
}

uint64_t sat_source_count(const sat_source *source) {
    return source->points.count;
}

size_t sat_source_dimension(const sat_source *source) {
    return source->dimension;
}

bool sat_source_in_memory(const sat_source *source) {
    return source->points.rows != NULL;
}

uint64_t sat_source_bytes(const sat_source *source) {
    return source->buffer_bytes;
}

/* ------------------------------------------------------------------ passes */

satchel_status sat_source_rewind(sat_source *source, satchel_error *error) {
    start_reader(source);
    if (source->reader.started)
        order_pass(&source->reader, true);
    source->next = 0;
    return SATCHEL_OK;
}

satchel_status sat_source_next(sat_source *source, sat_source_block *block, satchel_error *error) {
    *block = (sat_source_block){.stride = source->stride, .first = source->points.count};
    if (source->next >= source->blocks)
        return SATCHEL_OK;
    uint64_t index = source->next;
    uint64_t first = index * source->block;
    size_t count = rows_in_block(source, index);
    const float *rows = source->points.rows;
    if (!rows) {
        float *buffer = source->buffer[source->reader.started ? index % 2 : 0];
        satchel_status status = source->reader.started
                                    ? take_block(&source->reader, index, error)
                                    : read_rows(source, first, count, buffer, error);
        if (status) {
            source->next = source->blocks;
            return status;
        }
        rows = buffer;
    }
    *block = (sat_source_block){rows, source->stride, first, count};
    source->next++;
    return SATCHEL_OK;
}

satchel_status sat_source_fetch(sat_source *source, const uint64_t *rows, size_t count, float *out,
                                satchel_error *error) {
    if (source->reader.started)
        order_pass(&source->reader, false);
    source->next = source->blocks;
    size_t dimension = source->dimension;
    for (size_t i = 0; i < count; i++)
        if (rows[i] >= source->points.count || (i > 0 && rows[i] < rows[i - 1]))
            return sat_fail(error, SATCHEL_INTERNAL,
                            "row %llu is fetched out of order or range; please report this",
                            (unsigned long long)rows[i]);
    for (size_t i = 0, run; i < count; i += run) {
        float *to = out + i * dimension;
        run = 1;
        if (source->points.rows) {
            memcpy(to, source->points.rows + (size_t)rows[i] * source->stride, source->row_bytes);
        } else if (i > 0 && rows[i] == rows[i - 1]) {
            memcpy(to, to - dimension, source->row_bytes);
        } else {
            /* Neighbours in one read. */
            while (i + run < count && rows[i + run] == rows[i] + run)
                run++;
            satchel_status status = read_rows(source, rows[i], run, to, error);
            if (status)
                return status;
        }
    }
    return SATCHEL_OK;
}
