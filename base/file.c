/* Mapping and reading through the file table, and paths. */
#include "base/file.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/context.h"

/* Names a descriptor in messages. */
typedef struct descriptor_name {
    char text[32];
} descriptor_name;

static const char *name_descriptor(descriptor_name *name, int fd) {
    snprintf(name->text, sizeof name->text, "descriptor %d", fd);
    return name->text;
}

static satchel_status check_regular(const sat_file_info *info, const char *name,
                                    satchel_error *error) {
    if (info->is_regular)
        return SATCHEL_OK;
    return sat_fail(error, SATCHEL_UNSUPPORTED, "%s is %s: give a regular file", name,
                    info->is_directory ? "a folder" : "a device, pipe or socket");
}

/* Bytes from offset on that a call asks for: length, or all there are for 0. */
static satchel_status check_range(uint64_t file_size, uint64_t offset, uint64_t length,
                                  const char *name, uint64_t *out, satchel_error *error) {
    if (offset > file_size || length > file_size - offset)
        return sat_fail(error, SATCHEL_INVALID_ARGUMENT,
                        "%llu bytes at offset %llu of %s lie past its end: it has %llu bytes",
                        (unsigned long long)length, (unsigned long long)offset, name,
                        (unsigned long long)file_size);
    *out = length ? length : file_size - offset;
    return SATCHEL_OK;
}

/* ------------------------------------------------------------------ mapping */

/* The range as a copy in memory, for file systems that cannot map. */
static satchel_status copy_range(satchel_context *context, sat_mapping *out, int fd,
                                 uint64_t offset, size_t size, const char *name,
                                 satchel_error *error) {
    void *data = sat_alloc_aligned(&context->memory, size);
    if (!data)
        return sat_memory_fail(&context->memory, size, error);
    size_t done = 0;
    int failed = context->files->read_at(context->files_user, fd, data, size, offset, &done);
    if (failed || done < size) {
        sat_free_aligned(&context->memory, data);
        if (failed)
            return sat_fail_errno(error, failed, "cannot read %zu bytes at offset %llu of %s", size,
                                  (unsigned long long)offset, name);
        return sat_fail(error, SATCHEL_IO, "%s became shorter while it was read", name);
    }
    *out = (sat_mapping){.data = data, .size = size, .base = data};
    return SATCHEL_OK;
}

static satchel_status map_range(satchel_context *context, sat_mapping *out, int fd, uint64_t offset,
                                uint64_t length, const char *name, satchel_error *error) {
    *out = (sat_mapping){0};
    sat_file_info info;
    int failed = context->files->fstat(context->files_user, fd, &info);
    if (failed)
        return sat_fail_errno(error, failed, "cannot look at %s", name);
    satchel_status status = check_regular(&info, name, error);
    if (!status)
        status = check_range(info.size, offset, length, name, &length, error);
    if (status)
        return status;
    if (length == 0) { /* nothing to map, and mmap refuses it */
        out->data = (const uint8_t *)"";
        return SATCHEL_OK;
    }
    /* Mappings begin at a page; what is asked for may not. */
    long page = sysconf(_SC_PAGESIZE);
    uint64_t skip = offset % (page > 0 ? (uint64_t)page : 65536);
    if (length > SIZE_MAX / 2 - skip)
        return sat_fail(error, SATCHEL_LIMIT,
                        "%s: %llu bytes are more than this machine can address", name,
                        (unsigned long long)length);
    size_t size = (size_t)(length + skip);
    void *base;
    if (context->files->map(context->files_user, fd, offset - skip, size, &base) != 0)
        return copy_range(context, out, fd, offset, (size_t)length, name, error);
    *out = (sat_mapping){.data = (const uint8_t *)base + skip,
                         .size = (size_t)length,
                         .base = base,
                         .base_size = size};
    return SATCHEL_OK;
}

satchel_status sat_file_map(satchel_context *context, sat_mapping *out, const char *path,
                            satchel_error *error) {
    *out = (sat_mapping){0};
    int fd;
    int failed = context->files->open(context->files_user, path, SAT_OPEN_READ, &fd);
    if (failed)
        return sat_fail_errno(error, failed, "cannot open %s", path);
    satchel_status status = map_range(context, out, fd, 0, 0, path, error);
    context->files->close(context->files_user, fd); /* a mapping needs no descriptor */
    return status;
}

satchel_status sat_file_map_fd(satchel_context *context, sat_mapping *out, int fd, uint64_t offset,
                               uint64_t length, satchel_error *error) {
    descriptor_name name;
    return map_range(context, out, fd, offset, length, name_descriptor(&name, fd), error);
}

void sat_file_unmap(satchel_context *context, sat_mapping *mapping) {
    if (mapping->base_size)
        context->files->unmap(context->files_user, mapping->base, mapping->base_size);
    else
        sat_free_aligned(&context->memory, mapping->base);
    *mapping = (sat_mapping){0};
}

/* ------------------------------------------------------------------ reading */

static satchel_status too_large(uint64_t max_bytes, const char *name, satchel_error *error) {
    return sat_fail(error, SATCHEL_LIMIT, "%s is larger than the limit of %llu bytes", name,
                    (unsigned long long)max_bytes);
}

static satchel_status no_room(sat_buffer *out, uint64_t size, satchel_error *error) {
    return sat_memory_fail(out->memory, size > SIZE_MAX ? SIZE_MAX : (size_t)size, error);
}

/* To the end of the file, wherever that turns out to be: others may write to it meanwhile.
 * `expected` is a guess that saves growing. */
static satchel_status read_to_end(satchel_context *context, int fd, uint64_t offset,
                                  uint64_t expected, uint64_t max_bytes, const char *name,
                                  sat_buffer *out, satchel_error *error) {
    uint64_t total = 0;
    /* One byte more than expected: a read that comes back short has seen the end. */
    uint64_t step = expected < max_bytes ? expected : max_bytes;
    for (;;) {
        step = step < UINT64_MAX ? step + 1 : step;
        if (step > SIZE_MAX / 2 || !sat_buffer_reserve(out, (size_t)step))
            return no_room(out, step, error);
        size_t done = 0;
        int failed = context->files->read_at(context->files_user, fd, out->data + out->length,
                                             (size_t)step, offset + total, &done);
        if (failed)
            return sat_fail_errno(error, failed, "cannot read %s", name);
        out->length += done;
        out->data[out->length] = '\0';
        total += done;
        if (total > max_bytes)
            return too_large(max_bytes, name, error);
        if (done < step)
            return SATCHEL_OK;
        step = max_bytes - total < 65536 ? max_bytes - total : 65536;
    }
}

satchel_status sat_file_read(satchel_context *context, const char *path, uint64_t max_bytes,
                             sat_buffer *out, sat_file_info *info, satchel_error *error) {
    const sat_file_table *files = context->files;
    sat_file_info found;
    int fd;
    int failed = files->open(context->files_user, path, SAT_OPEN_READ, &fd);
    if (failed)
        return sat_fail_errno(error, failed, "cannot open %s", path);
    satchel_status status;
    if ((failed = files->fstat(context->files_user, fd, &found)) != 0)
        status = sat_fail_errno(error, failed, "cannot look at %s", path);
    else
        status = check_regular(&found, path, error);
    if (!status && found.size > max_bytes)
        status = too_large(max_bytes, path, error);
    if (!status)
        status = read_to_end(context, fd, 0, found.size, max_bytes, path, out, error);
    files->close(context->files_user, fd);
    if (!status && info)
        *info = found;
    return status;
}

satchel_status sat_file_read_fd(satchel_context *context, int fd, uint64_t offset, uint64_t length,
                                uint64_t max_bytes, sat_buffer *out, satchel_error *error) {
    descriptor_name named;
    const char *name = name_descriptor(&named, fd);
    sat_file_info info;
    int failed = context->files->fstat(context->files_user, fd, &info);
    if (failed)
        return sat_fail_errno(error, failed, "cannot look at %s", name);
    satchel_status status = check_regular(&info, name, error);
    uint64_t whole = 0;
    if (!status)
        status = check_range(info.size, offset, length, name, &whole, error);
    if (status)
        return status;
    if (whole > max_bytes)
        return too_large(max_bytes, name, error);
    if (length == 0)
        return read_to_end(context, fd, offset, whole, max_bytes, name, out, error);
    if (length > SIZE_MAX / 2 || !sat_buffer_reserve(out, (size_t)length))
        return no_room(out, length, error);
    size_t done = 0;
    failed = context->files->read_at(context->files_user, fd, out->data + out->length,
                                     (size_t)length, offset, &done);
    if (failed)
        return sat_fail_errno(error, failed, "cannot read %s", name);
    out->length += done;
    out->data[out->length] = '\0';
    if (done < length)
        return sat_fail(error, SATCHEL_IO, "%s became shorter while it was read", name);
    return SATCHEL_OK;
}

/* ------------------------------------------------------------------ paths */

char *sat_path_join(sat_memory *memory, const char *folder, const char *name) {
    size_t head = strlen(folder), tail = strlen(name), size;
    size_t slash = head > 0 && folder[head - 1] != '/';
    if (!sat_add_size(head, tail, &size) || !sat_add_size(size, slash + 1, &size))
        return NULL;
    char *path = sat_alloc(memory, size);
    if (!path)
        return NULL;
    memcpy(path, folder, head);
    if (slash)
        path[head] = '/';
    memcpy(path + head + slash, name, tail + 1);
    return path;
}

const char *sat_path_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

const char *sat_path_extension(const char *path) {
    const char *name = sat_path_name(path);
    const char *dot = strrchr(name, '.');
    return dot && dot != name ? dot + 1 : ""; /* ".profile" is a name, not an extension */
}
