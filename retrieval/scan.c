/*
 * Scanning a folder: sorted, with an own stack, symbolic links and special files passed over. A
 * document counts as missing only when its folder was listed and its file is seen to be gone.
 */
#include "retrieval/scan.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "retrieval/index.h"

void sat_scan_init(sat_scan *scan, sat_store *store) {
    *scan = (sat_scan){.store = store};
    sat_arena_init(&scan->arena, store->memory);
}

void sat_scan_free(sat_scan *scan) {
    sat_memory *memory = scan->store->memory;
    sat_free(memory, scan->folders);
    sat_free(memory, scan->kept);
    sat_free(memory, scan->seen);
    sat_free(memory, scan->failures);
    sat_free(memory, scan->items);
    sat_free(memory, scan->missing);
    sat_arena_free(&scan->arena);
}

static satchel_status no_memory(const sat_scan *scan, satchel_error *error) {
    return sat_memory_fail(scan->store->memory, 0, error);
}

/* Appends to one of the scan's arrays. */
#define PUSH(scan, items, count, capacity, value)                                                  \
    (sat_grow((scan)->store->memory, (void **)&(scan)->items, &(scan)->capacity,                   \
              (scan)->count + 1, sizeof *(scan)->items)                                            \
         ? ((scan)->items[(scan)->count++] = (value), true)                                        \
         : false)

satchel_status sat_scan_note_failure(sat_scan *scan, int64_t failure, satchel_error *error) {
    if (!PUSH(scan, failures, failure_count, failure_capacity, failure))
        return no_memory(scan, error);
    return SATCHEL_OK;
}

/* ------------------------------------------------------------------ names */

bool sat_scan_path(const sat_scan *scan, const char *relative, sat_buffer *out) {
    sat_buffer_append_text(out, scan->base);
    if (!scan->single && *relative) {
        if (strcmp(scan->base, "/") != 0)
            sat_buffer_append(out, "/", 1);
        sat_buffer_append_text(out, relative);
    }
    return !out->failed;
}

satchel_status sat_scan_name(const sat_scan *scan, const char *relative, sat_buffer *out,
                             satchel_error *error) {
    sat_buffer raw;
    sat_buffer_init(&raw, scan->store->memory);
    satchel_status status = SATCHEL_OK;
    sat_buffer_append_text(&raw, scan->root);
    if (*relative) {
        sat_buffer_append(&raw, "/", 1);
        sat_buffer_append_text(&raw, relative);
    }
    if (raw.failed)
        status = no_memory(scan, error);
    if (!status)
        status = sat_id_normalize(out, raw.data, raw.length, "the file's name as an id", error);
    sat_buffer_free(&raw);
    return status;
}

static int file_stat(const sat_scan *scan, const char *path, bool follow, sat_file_info *info) {
    const satchel_context *context = scan->store->context;
    return context->files->stat(context->files_user, path, follow, info);
}

/* Reports a path without reading it. `message` is copied. */
static satchel_status report(sat_scan *scan, const char *relative, satchel_status status,
                             bool skipped, const char *message, satchel_error *error) {
    sat_scan_item item = {.status = status, .skipped = skipped};
    item.relative = sat_arena_strdup(&scan->arena, relative, strlen(relative));
    item.message = sat_arena_strdup(&scan->arena, message, strlen(message));
    if (!item.relative || !item.message || !PUSH(scan, items, count, capacity, item))
        return no_memory(scan, error);
    return SATCHEL_OK;
}

/* ------------------------------------------------------------------ beginning */

/* The store's own files by inode, so that no other spelling of their names leads to them. */
static satchel_status find_own_files(sat_scan *scan, satchel_error *error) {
    static const char *const ends[] = {"", "-wal", "-shm", "-journal"};
    sat_buffer path;
    sat_buffer_init(&path, scan->store->memory);
    for (size_t i = 0; i < SAT_COUNT(ends); i++) {
        sat_file_info info;
        sat_buffer_clear(&path);
        if (!sat_buffer_append_text(&path, scan->store->path) ||
            !sat_buffer_append_text(&path, ends[i])) {
            sat_buffer_free(&path);
            return no_memory(scan, error);
        }
        if (file_stat(scan, path.data, true, &info) == 0) {
            scan->own[scan->own_count].device = info.device;
            scan->own[scan->own_count++].inode = info.inode;
        }
    }
    sat_buffer_free(&path);
    return SATCHEL_OK;
}

satchel_status sat_scan_begin(sat_scan *scan, satchel_error *error) {
    sat_file_info info;
    int failed = file_stat(scan, scan->base, true, &info);
    if (failed)
        return sat_fail_errno(error, failed, "cannot look at '%s'; nothing was changed",
                              scan->base);
    if (!info.is_directory && !info.is_regular)
        return sat_fail(error, SATCHEL_INVALID_ARGUMENT, "'%s' is neither a folder nor a file",
                        scan->base);
    scan->single = !info.is_directory;
    scan->readers = sat_readers_signature(scan->store);
    return find_own_files(scan, error);
}

/* ------------------------------------------------------------------ one file */

/* What the store knows of a file. */
typedef struct known_file {
    int64_t document, size, modified_ns;
    int64_t failure, failure_size, failure_modified_ns, failure_readers;
    satchel_status failure_status;
    bool failure_skipped;
    const char *failure_message; /* in the arena */
} known_file;

static satchel_status look_up(sat_scan *scan, sat_connection *reader, const char *name,
                              known_file *known, satchel_error *error) {
    sat_query query;
    *known = (known_file){0};
    sat_query_begin(&query, reader,
                    "SELECT id, source_size, source_modified FROM document "
                    "WHERE name = ?1 AND root = ?2");
    sat_bind_text(&query, 1, name, strlen(name));
    sat_bind_int(&query, 2, scan->root_id);
    if (sat_query_row(&query)) {
        known->document = sat_column_int(&query, 0);
        known->size = sat_column_int(&query, 1);
        known->modified_ns = sat_column_int(&query, 2);
    }
    return sat_query_end(&query, error);
}

static satchel_status look_up_failure(sat_scan *scan, sat_connection *reader, const char *name,
                                      known_file *known, satchel_error *error) {
    sat_query query;
    bool ok = true;
    sat_query_begin(&query, reader,
                    "SELECT id, size, modified, readers, status, skipped, message FROM failure "
                    "WHERE name = ?1");
    sat_bind_text(&query, 1, name, strlen(name));
    if (sat_query_row(&query)) {
        known->failure = sat_column_int(&query, 0);
        known->failure_size = sat_column_int(&query, 1);
        known->failure_modified_ns = sat_column_int(&query, 2);
        known->failure_readers = sat_column_int(&query, 3);
        known->failure_status = (satchel_status)sat_column_int(&query, 4);
        known->failure_skipped = sat_column_int(&query, 5) != 0;
        known->failure_message = sat_column_copy(&query, 6, &scan->arena);
        ok = known->failure_message != NULL;
    }
    satchel_status status = sat_query_end(&query, error);
    return status || ok ? status : no_memory(scan, error);
}

/* Failures that may pass without the file changing are tried again every time. */
static bool is_lasting(satchel_status status) {
    return status != SATCHEL_IO && status != SATCHEL_PERMISSION && status != SATCHEL_LOCKED &&
           status != SATCHEL_NOT_FOUND;
}

/*
 * On file systems that keep two spellings of one name apart, two files can have one id. The one
 * spelled in NFC has it.
 */
static bool is_shadowed(const sat_scan *scan, const char *relative, const char *name,
                        const sat_file_info *info) {
    const char *normal = name + strlen(scan->root);
    normal += *normal == '/';
    if (strcmp(normal, relative) == 0)
        return false;
    sat_buffer path;
    sat_file_info other;
    sat_buffer_init(&path, scan->store->memory);
    bool shadowed = sat_scan_path(scan, normal, &path) &&
                    file_stat(scan, path.data, false, &other) == 0 &&
                    (other.inode != info->inode || other.device != info->device);
    sat_buffer_free(&path);
    return shadowed;
}

static satchel_status compare(sat_scan *scan, sat_connection *reader, const char *relative,
                              const char *name, const sat_file_info *info, satchel_error *error) {
    known_file known;
    satchel_status status = look_up(scan, reader, name, &known, error);
    if (!status && known.document && !PUSH(scan, seen, seen_count, seen_capacity, known.document))
        status = no_memory(scan, error);
    if (status)
        return status;
    int64_t size = info->size > INT64_MAX ? INT64_MAX : (int64_t)info->size;
    if (size > scan->max_file_bytes) {
        char message[128];
        snprintf(message, sizeof message, "the file has %lld bytes, the limit is %lld",
                 (long long)size, (long long)scan->max_file_bytes);
        return report(scan, relative, SATCHEL_LIMIT, true, message, error);
    }
    if (known.document && known.size == size && known.modified_ns == info->modified_ns) {
        scan->unchanged++;
        return SATCHEL_OK;
    }
    status = look_up_failure(scan, reader, name, &known, error);
    if (status)
        return status;
    if (known.failure && known.failure_size == size &&
        known.failure_modified_ns == info->modified_ns && known.failure_readers == scan->readers &&
        is_lasting(known.failure_status)) {
        status = sat_scan_note_failure(scan, known.failure, error);
        if (status)
            return status;
        return report(scan, relative, known.failure_status, known.failure_skipped,
                      known.failure_message, error);
    }
    sat_scan_item item = {
        .document = known.document, .size = size, .modified_ns = info->modified_ns};
    item.relative = sat_arena_strdup(&scan->arena, relative, strlen(relative));
    if (!item.relative || !PUSH(scan, items, count, capacity, item))
        return no_memory(scan, error);
    scan->bytes += size;
    return SATCHEL_OK;
}

static bool is_own(const sat_scan *scan, const sat_file_info *info) {
    for (size_t i = 0; i < scan->own_count; i++) {
        if (scan->own[i].device == info->device && scan->own[i].inode == info->inode)
            return true;
    }
    return false;
}

/* Files of stores: this process may have them open, and closing a second descriptor of an open
 * database drops its locks. */
static bool is_store(const sat_scan *scan, const char *relative) {
    const char *extension = sat_path_extension(relative), *name = sat_path_name(relative);
    if (strstr(name, ".satchel" SAT_INDEX_SUFFIX) ||
        sat_index_file_number(sat_path_name(scan->store->path), name) != 0)
        return true;
    return strcmp(extension, "satchel") == 0 || strcmp(extension, "satchel-wal") == 0 ||
           strcmp(extension, "satchel-shm") == 0 || strcmp(extension, "satchel-journal") == 0;
}

static satchel_status visit_file(sat_scan *scan, sat_connection *reader, const char *relative,
                                 const sat_file_info *info, satchel_error *error) {
    if (is_own(scan, info) || is_store(scan, relative))
        return SATCHEL_OK;
    scan->files++;
    sat_buffer name;
    satchel_error failure = {0};
    sat_buffer_init(&name, scan->store->memory);
    satchel_status status = sat_scan_name(scan, relative, &name, &failure);
    if (status == SATCHEL_OUT_OF_MEMORY || status == SATCHEL_MEMORY_LIMIT)
        sat_error_copy(error, &failure);
    else if (status)
        status = report(scan, relative, status, false, failure.message, error);
    else if (is_shadowed(scan, relative, name.data, info))
        status = report(scan, relative, SATCHEL_EXISTS, false,
                        "another file has the same name in Unicode normal form C", error);
    else
        status = compare(scan, reader, relative, name.data, info, error);
    sat_buffer_free(&name);
    return status;
}

/* ------------------------------------------------------------------ one folder */

/* What is below a folder, or a file, that could not be looked at stays in the store. */
static satchel_status keep(sat_scan *scan, const char *relative, satchel_error *error) {
    sat_buffer name;
    sat_buffer_init(&name, scan->store->memory);
    satchel_error failure;
    satchel_status status = sat_scan_name(scan, relative, &name, &failure);
    if (status && status != SATCHEL_OUT_OF_MEMORY && status != SATCHEL_MEMORY_LIMIT) {
        sat_buffer_free(&name);
        return SATCHEL_OK; /* no document can be called so */
    }
    char *copy = status ? NULL : sat_arena_strdup(&scan->arena, name.data, name.length);
    sat_buffer_free(&name);
    if (!copy || !PUSH(scan, kept, kept_count, kept_capacity, copy))
        return no_memory(scan, error);
    return SATCHEL_OK;
}

static satchel_status unreadable(sat_scan *scan, const char *relative, int failed, const char *what,
                                 satchel_error *error) {
    satchel_error failure = {0};
    satchel_status status = sat_fail_errno(&failure, failed, "%s", what);
    if (status == SATCHEL_OUT_OF_MEMORY) {
        sat_error_copy(error, &failure);
        return status;
    }
    status = keep(scan, relative, error);
    return status ? status : report(scan, relative, failure.code, false, failure.message, error);
}

static satchel_status visit(sat_scan *scan, sat_connection *reader, const char *relative,
                            satchel_error *error) {
    sat_buffer path;
    sat_file_info info;
    sat_buffer_init(&path, scan->store->memory);
    if (!sat_scan_path(scan, relative, &path)) {
        sat_buffer_free(&path);
        return no_memory(scan, error);
    }
    int failed = file_stat(scan, path.data, scan->single, &info);
    sat_buffer_free(&path);
    if (failed == ENOENT || failed == ENOTDIR)
        return SATCHEL_OK; /* gone since the folder was listed */
    if (failed)
        return unreadable(scan, relative, failed, "cannot look at the file", error);
    if (info.is_regular && !info.is_link)
        return visit_file(scan, reader, relative, &info, error);
    if (!info.is_directory || info.is_link)
        return SATCHEL_OK;
    char *copy = sat_arena_strdup(&scan->arena, relative, strlen(relative));
    if (!copy || !PUSH(scan, folders, folder_count, folder_capacity, copy))
        return no_memory(scan, error);
    return SATCHEL_OK;
}

/* Names of one folder, collected before they are sorted. */
typedef struct listing {
    const sat_scan *scan;
    sat_arena arena;
    char **names;
    size_t count, capacity;
} listing;

static int take_name(void *user, const char *name) {
    listing *list = user;
    sat_memory *memory = list->scan->store->memory;
    if (name[0] == '.' && !list->scan->include_hidden)
        return 0;
    if (!sat_grow(memory, (void **)&list->names, &list->capacity, list->count + 1,
                  sizeof *list->names))
        return ENOMEM;
    char *copy = sat_arena_strdup(&list->arena, name, strlen(name));
    if (!copy)
        return ENOMEM;
    list->names[list->count++] = copy;
    return 0;
}

static int compare_names(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static satchel_status visit_names(sat_scan *scan, sat_connection *reader, const char *folder,
                                  listing *list, satchel_error *error) {
    size_t folders = scan->folder_count;
    satchel_status status = SATCHEL_OK;
    sat_buffer relative;
    sat_buffer_init(&relative, scan->store->memory);
    if (list->count > 0)
        qsort(list->names, list->count, sizeof *list->names, compare_names);
    for (size_t i = 0; i < list->count && !status; i++) {
        sat_buffer_clear(&relative);
        if (*folder) {
            sat_buffer_append_text(&relative, folder);
            sat_buffer_append(&relative, "/", 1);
        }
        sat_buffer_append_text(&relative, list->names[i]);
        status = sat_cancel_check(reader->cancel, error);
        if (!status)
            status = relative.failed ? no_memory(scan, error)
                                     : visit(scan, reader, relative.data, error);
    }
    /* The stack gives the last first: turned round, folders come in order too. */
    for (size_t low = folders, high = scan->folder_count; low + 1 < high; low++) {
        char *swap = scan->folders[low];
        scan->folders[low] = scan->folders[--high];
        scan->folders[high] = swap;
    }
    sat_buffer_free(&relative);
    return status;
}

static satchel_status list_folder(sat_scan *scan, sat_connection *reader, const char *folder,
                                  satchel_error *error) {
    const satchel_context *context = scan->store->context;
    listing list = {.scan = scan};
    sat_buffer path;
    sat_arena_init(&list.arena, scan->store->memory);
    sat_buffer_init(&path, scan->store->memory);
    satchel_status status = SATCHEL_OK;
    if (!sat_scan_path(scan, folder, &path)) {
        status = no_memory(scan, error);
    } else {
        int failed = context->files->list(context->files_user, path.data, take_name, &list);
        if (failed == ENOMEM)
            status = no_memory(scan, error);
        else if (failed && !*folder) /* the root itself: nothing can be said of anything */
            status =
                sat_fail_errno(error, failed, "cannot list '%s'; nothing was changed", scan->base);
        else if (failed && failed != ENOENT && failed != ENOTDIR)
            status = unreadable(scan, folder, failed, "cannot list the folder", error);
        else if (!failed)
            status = visit_names(scan, reader, folder, &list, error);
    }
    sat_free(scan->store->memory, list.names);
    sat_arena_free(&list.arena);
    sat_buffer_free(&path);
    return status;
}

/* ------------------------------------------------------------------ missing documents */

static int compare_ids(const void *a, const void *b) {
    int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
    return (left > right) - (left < right);
}

static bool is_seen(const sat_scan *scan, int64_t document) {
    return scan->seen_count > 0 &&
           bsearch(&document, scan->seen, scan->seen_count, sizeof document, compare_ids) != NULL;
}

bool sat_scan_is_kept(const sat_scan *scan, const char *name) {
    for (size_t i = 0; i < scan->kept_count; i++) {
        size_t length = strlen(scan->kept[i]);
        if (strncmp(name, scan->kept[i], length) == 0 &&
            (name[length] == '/' || name[length] == '\0'))
            return true;
    }
    return false;
}

/* A last look: what is passed over now (hidden, a link) is not gone. */
static satchel_status is_gone(const sat_scan *scan, const char *name, bool *gone,
                              satchel_error *error) {
    size_t root = strlen(scan->root);
    const char *relative =
        strncmp(name, scan->root, root) == 0 && name[root] == '/' ? name + root + 1 : "";
    sat_buffer path;
    sat_file_info info;
    *gone = false;
    if (!*relative)
        return SATCHEL_OK;
    sat_buffer_init(&path, scan->store->memory);
    satchel_status status = SATCHEL_OK;
    if (!sat_scan_path(scan, relative, &path)) {
        status = no_memory(scan, error);
    } else {
        int failed = file_stat(scan, path.data, false, &info);
        *gone = failed == ENOENT || failed == ENOTDIR || (!failed && info.is_directory);
    }
    sat_buffer_free(&path);
    return status;
}

static int compare_missing(const void *a, const void *b) {
    const sat_missing *left = a, *right = b;
    int order = memcmp(&left->hash, &right->hash, sizeof left->hash);
    return order ? order : (left->document > right->document) - (left->document < right->document);
}

static satchel_status find_missing(sat_scan *scan, sat_connection *reader, satchel_error *error) {
    satchel_status status = SATCHEL_OK;
    if (scan->seen_count > 0)
        qsort(scan->seen, scan->seen_count, sizeof *scan->seen, compare_ids);
    sat_query query;
    sat_query_begin(&query, reader, "SELECT id, name, source_hash FROM document WHERE root = ?1");
    sat_bind_int(&query, 1, scan->root_id);
    while (!status && sat_query_row(&query)) {
        size_t length;
        const char *name = sat_column_text(&query, 1, &length);
        sat_missing missing = {.document = sat_column_int(&query, 0),
                               .hash = sat_column_digest(&query, 2)};
        bool gone = false;
        scan->documents++;
        if (is_seen(scan, missing.document) || sat_scan_is_kept(scan, name))
            continue;
        status = is_gone(scan, name, &gone, error);
        if (status || !gone)
            continue;
        missing.name = sat_arena_strdup(&scan->arena, name, length);
        if (!missing.name || !PUSH(scan, missing, missing_count, missing_capacity, missing))
            status = no_memory(scan, error);
    }
    satchel_status ended = sat_query_end(&query, status ? NULL : error);
    if (scan->missing_count > 0)
        qsort(scan->missing, scan->missing_count, sizeof *scan->missing, compare_missing);
    return status ? status : ended;
}

static int compare_missing_names(const void *a, const void *b) {
    const sat_missing *left = a, *right = b;
    return strcmp(left->name, right->name);
}

void sat_scan_sort_missing(sat_scan *scan) {
    if (scan->missing_count > 0)
        qsort(scan->missing, scan->missing_count, sizeof *scan->missing, compare_missing_names);
}

sat_missing *sat_scan_find_missing(sat_scan *scan, const sat_digest *hash) {
    size_t low = 0, high = scan->missing_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (memcmp(&scan->missing[middle].hash, hash, sizeof *hash) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    for (; low < scan->missing_count && memcmp(&scan->missing[low].hash, hash, sizeof *hash) == 0;
         low++) {
        if (!scan->missing[low].taken)
            return &scan->missing[low];
    }
    return NULL;
}

/* ------------------------------------------------------------------ steps */

static satchel_status step(sat_scan *scan, sat_connection *reader, bool *finished,
                           satchel_error *error) {
    satchel_status status;
    if (scan->single) {
        *finished = true;
        status = visit(scan, reader, scan->bare ? "" : sat_path_name(scan->base), error);
        if (!status && scan->seen_count > 0)
            qsort(scan->seen, scan->seen_count, sizeof *scan->seen, compare_ids);
        return status;
    }
    const char *folder = scan->folder_count ? scan->folders[--scan->folder_count] : "";
    status = list_folder(scan, reader, folder, error);
    *finished = !status && scan->folder_count == 0;
    return *finished ? find_missing(scan, reader, error) : status;
}

satchel_status sat_scan_step(sat_scan *scan, const satchel_cancel *cancel, bool *finished,
                             satchel_error *error) {
    sat_connection *reader;
    *finished = false;
    satchel_status status = sat_reader_begin(scan->store, cancel, &reader, error);
    if (status)
        return status;
    status = step(scan, reader, finished, error);
    sat_reader_end(reader);
    return status;
}
