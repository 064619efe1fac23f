/* A generation file in the making: its sections, its lists row by row, and at last its header. */
#include "retrieval/generation_write.h"

#include <sqlite3.h>

/* Read back at once, or one list if that is larger. */
#define SEAL_BYTES ((size_t)16 << 20)

satchel_status sat_generation_writer_open(sat_generation_writer *w, satchel_context *context,
                                          sat_generation_info *info, satchel_error *error) {
    sat_memory *memory = &context->memory;
    *w = (sat_generation_writer){.context = context, .memory = memory, .info = info, .fd = -1};
    sat_buffer_init(&w->path, memory);
    w->table = sat_calloc(memory, info->lists, sizeof *w->table);
    w->filled = sat_calloc(memory, info->lists, sizeof *w->filled);
    return w->table && w->filled ? SATCHEL_OK
                                 : sat_memory_fail(memory, info->lists * sizeof *w->table, error);
}

void sat_generation_writer_close(sat_generation_writer *w) {
    if (!w->context)
        return;
    if (w->fd >= 0)
        w->context->files->close(w->context->files_user, w->fd);
    if (w->created)
        w->context->files->remove(w->context->files_user, w->path.data);
    sat_free(w->memory, w->table);
    sat_free(w->memory, w->filled);
    sat_buffer_free(&w->path);
}

/* Each list's place in the file. */
static bool place_lists(sat_generation_writer *w, const int32_t *labels) {
    uint64_t at = 0;
    for (size_t i = 0; i < w->info->rows; i++)
        w->table[labels[i]].rows++;
    for (size_t i = 0; i < w->info->lists; i++) {
        w->table[i].offset = at;
        at += sat_generation_list_size(w->table[i].rows, w->info->dimension);
    }
    w->info->sections[SAT_SECTION_LISTS].size = at;
    return sat_generation_lay_out(w->info);
}

satchel_status sat_generation_create(sat_generation_writer *w, const char *path,
                                     const int32_t *labels, satchel_error *error) {
    const satchel_context *context = w->context;
    uint8_t random[6];
    char hex[2 * sizeof random + 1];
    if (!place_lists(w, labels))
        return sat_memory_fail(w->memory, SIZE_MAX, error);
    sqlite3_randomness(sizeof random, random);
    sat_hex(hex, random, sizeof random);
    if (!sat_buffer_append_format(&w->path, "%s.%s.tmp", path, hex))
        return sat_memory_fail(w->memory, 64, error);
    int failed = context->files->open(context->files_user, w->path.data, SAT_OPEN_CREATE, &w->fd);
    if (failed) {
        w->fd = -1;
        return sat_fail_errno(error, failed, "cannot make the vector index '%s'", w->path.data);
    }
    w->created = true;
    return SATCHEL_OK;
}

static satchel_status write_at(sat_generation_writer *w, const void *data, size_t size, uint64_t at,
                               satchel_error *error) {
    const satchel_context *context = w->context;
    int failed = context->files->write_at(context->files_user, w->fd, data, size, at);
    return failed
               ? sat_fail_errno(error, failed, "cannot write the vector index '%s'", w->path.data)
               : SATCHEL_OK;
}

satchel_status sat_generation_write(sat_generation_writer *w, int kind, const void *data,
                                    satchel_error *error) {
    w->info->sections[kind].hash =
        sat_hash64(data, (size_t)w->info->sections[kind].size, (uint64_t)kind);
    return write_at(w, data, (size_t)w->info->sections[kind].size, w->info->sections[kind].offset,
                    error);
}

satchel_status sat_generation_write_rows(void *user, size_t list, const uint8_t *codes,
                                         const int32_t *numbers, size_t count,
                                         satchel_error *error) {
    sat_generation_writer *w = user;
    const sat_ivf_list *entry = &w->table[list];
    size_t dimension = w->info->dimension;
    uint64_t filled = w->filled[list];
    if (count > entry->rows - filled)
        return sat_fail(error, SATCHEL_INTERNAL, "a list has more rows than were counted");
    uint64_t begin = w->info->sections[SAT_SECTION_LISTS].offset + entry->offset;
    uint64_t numbers_at = begin + sat_generation_numbers_at(entry->rows, dimension);
    w->filled[list] += count;
    satchel_status status =
        write_at(w, codes, count * dimension, begin + filled * dimension, error);
    if (!status)
        status = write_at(w, numbers, count * sizeof *numbers,
                          numbers_at + filled * sizeof *numbers, error);
    return status;
}

/* ------------------------------------------------------------------ sealing */

static satchel_status hash_list(sat_generation_writer *w, int fd, size_t list, sat_buffer *buffer,
                                satchel_error *error) {
    const satchel_context *context = w->context;
    size_t done = 0,
           size = (size_t)sat_generation_list_size(w->table[list].rows, w->info->dimension);
    uint64_t at = w->info->sections[SAT_SECTION_LISTS].offset + w->table[list].offset;
    sat_buffer_clear(buffer);
    if (!sat_buffer_reserve(buffer, size + 1))
        return sat_memory_fail(w->memory, size, error);
    int failed = context->files->read_at(context->files_user, fd, buffer->data, size, at, &done);
    if (failed)
        return sat_fail_errno(error, failed, "cannot read the vector index '%s'", w->path.data);
    if (done < size)
        return sat_fail(error, SATCHEL_IO, "the vector index '%s' became shorter", w->path.data);
    w->table[list].hash = sat_hash64(buffer->data, size, list);
    return SATCHEL_OK;
}

/* Reads back what was written: the hashes are those of what the file holds. */
static satchel_status hash_lists(sat_generation_writer *w, satchel_error *error) {
    const satchel_context *context = w->context;
    uint64_t done = 0;
    satchel_status status = SATCHEL_OK;
    sat_buffer buffer;
    int fd;
    int failed = context->files->open(context->files_user, w->path.data, SAT_OPEN_READ, &fd);
    if (failed)
        return sat_fail_errno(error, failed, "cannot open the vector index '%s'", w->path.data);
    sat_buffer_init(&buffer, w->memory);
    for (; w->sealed < w->info->lists && done < SEAL_BYTES && !status; w->sealed++) {
        done += sat_generation_list_size(w->table[w->sealed].rows, w->info->dimension);
        status = hash_list(w, fd, w->sealed, &buffer, error);
    }
    sat_buffer_free(&buffer);
    context->files->close(context->files_user, fd);
    return status;
}

static satchel_status close_file(sat_generation_writer *w, uint64_t *hash, satchel_error *error) {
    const satchel_context *context = w->context;
    uint8_t header[SAT_GENERATION_HEADER];
    satchel_status status = sat_generation_write(w, SAT_SECTION_TABLE, w->table, error);
    if (status)
        return status;
    *hash = sat_generation_header(w->info, header);
    status = write_at(w, header, sizeof header, 0, error);
    if (status)
        return status;
    int failed = context->files->sync(context->files_user, w->fd);
    int closed = context->files->close(context->files_user, w->fd);
    w->fd = -1;
    failed = failed ? failed : closed;
    return failed ? sat_fail_errno(error, failed, "cannot write the vector index '%s' to disk",
                                   w->path.data)
                  : SATCHEL_OK;
}

satchel_status sat_generation_seal(sat_generation_writer *w, bool *finished, uint64_t *hash,
                                   satchel_error *error) {
    satchel_status status = hash_lists(w, error);
    if (!status && w->sealed == w->info->lists)
        status = close_file(w, hash, error);
    *finished = !status && w->fd < 0;
    return status;
}
