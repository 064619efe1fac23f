/* Blobs in a folder: written beside and renamed, checked when mapped, the least used given up. */
#include "base/cache.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/context.h"
#include "base/hash.h"

enum {
    KEY_AT = 16,
    SIZE_AT = 48,
    CONTENT_HASH_AT = 56,
    HEADER_HASH_AT = 120,
    VERSION = 1,
    HEX = 2 * SAT_CACHE_KEY,
    NUMBER = 16, /* hex digits that tell files being written apart */
    NAME = 8 + HEX + 1 + NUMBER + 4 + 1,
    TRIES = 8
};

static const char magic[8] = "SATBLOB", prefix[] = "satchel-", suffix[] = ".blob", half[] = ".tmp";

#define DEFAULT_LIMIT (UINT64_C(1) << 30)
#define DEFAULT_FLOOR (UINT64_C(512) << 20)
#define SECOND_NS INT64_C(1000000000)
/* A file being written that was not written to for this long belongs to a process that died. */
#define ABANDONED_NS (600 * SECOND_NS)
/* Clocks of two processes on one machine agree to well within this; times further ahead were set
 * while the clock was wrong. */
#define AHEAD_NS (60 * SECOND_NS)

struct sat_cache {
    satchel_context *context;
    char *folder;
    uint64_t limit, free_floor;
    _Atomic uint64_t number; /* of files written, for their names */
    _Atomic int64_t used_ns; /* the last time given to a blob */
};

/* 0 if it is there afterwards. */
static int make_folder(sat_cache *cache) {
    const sat_file_table *files = cache->context->files;
    int failed = files->make_directory(cache->context->files_user, cache->folder);
    if (failed != EEXIST)
        return failed;
    sat_file_info info;
    failed = files->stat(cache->context->files_user, cache->folder, true, &info);
    return failed ? failed : info.is_directory ? 0 : ENOTDIR;
}

/* ------------------------------------------------------------------ names */

static size_t add_text(char *name, size_t at, const char *text) {
    size_t length = strlen(text);
    memcpy(name + at, text, length + 1);
    return at + length;
}

static void name_blob(char name[NAME], const sat_cache_key *key) {
    size_t at = add_text(name, 0, prefix);
    sat_hex(name + at, key->bytes, sizeof key->bytes);
    add_text(name, at + HEX, suffix);
}

static void name_half(char name[NAME], const sat_cache_key *key, uint64_t number) {
    size_t at = add_text(name, 0, prefix);
    sat_hex(name + at, key->bytes, sizeof key->bytes);
    at = add_text(name, at + HEX, "-");
    uint8_t bytes[NUMBER / 2];
    memcpy(bytes, &number, sizeof bytes);
    sat_hex(name + at, bytes, sizeof bytes);
    add_text(name, at + NUMBER, half);
}

static bool all_hex(const char *text, size_t count) {
    return strspn(text, "0123456789abcdef") >= count;
}

typedef enum kind { KIND_OTHER, KIND_BLOB, KIND_HALF } kind;

static kind kind_of(const char *name) {
    size_t length = strlen(name), start = sizeof prefix - 1;
    if (length < start + HEX || memcmp(name, prefix, start) != 0 || !all_hex(name + start, HEX))
        return KIND_OTHER;
    const char *rest = name + start + HEX;
    if (strcmp(rest, suffix) == 0)
        return KIND_BLOB;
    bool written = rest[0] == '-' && strlen(rest) == 1 + NUMBER + sizeof half - 1 &&
                   all_hex(rest + 1, NUMBER) && strcmp(rest + 1 + NUMBER, half) == 0;
    return written ? KIND_HALF : KIND_OTHER;
}

static char *path_of(sat_cache *cache, const char *name) {
    return sat_path_join(&cache->context->memory, cache->folder, name);
}

static satchel_status no_path(sat_cache *cache, satchel_error *error) {
    return sat_memory_fail(&cache->context->memory, strlen(cache->folder) + NAME, error);
}

static void remove_file(sat_cache *cache, const char *path) {
    cache->context->files->remove(cache->context->files_user, path);
}

/* ------------------------------------------------------------------ mapping */

static void fill_header(uint8_t header[SAT_CACHE_HEADER], const sat_cache_key *key,
                        const void *data, size_t size) {
    const uint32_t numbers[2] = {VERSION, SAT_CACHE_HEADER};
    uint64_t length = size, content = sat_hash64(data, size, 0);
    memset(header, 0, SAT_CACHE_HEADER);
    memcpy(header, magic, sizeof magic);
    memcpy(header + sizeof magic, numbers, sizeof numbers);
    memcpy(header + KEY_AT, key->bytes, sizeof key->bytes);
    memcpy(header + SIZE_AT, &length, sizeof length);
    memcpy(header + CONTENT_HASH_AT, &content, sizeof content);
    uint64_t all = sat_hash64(header, HEADER_HASH_AT, 0);
    memcpy(header + HEADER_HASH_AT, &all, sizeof all);
}

/* NOT_FOUND without a message: the file is no such blob. */
static satchel_status map_blob(sat_cache *cache, int fd, const sat_cache_key *key, size_t size,
                               sat_mapping *out, satchel_error *error) {
    satchel_context *context = cache->context;
    sat_file_info info;
    int failed = context->files->fstat(context->files_user, fd, &info);
    if (failed)
        return sat_fail_errno(error, failed, "cannot look at a saved blob");
    if (!info.is_regular || info.size != (uint64_t)size + SAT_CACHE_HEADER)
        return SATCHEL_NOT_FOUND;
    sat_mapping whole;
    satchel_status status =
        sat_file_map_fd(context, &whole, fd, 0, (uint64_t)size + SAT_CACHE_HEADER, error);
    if (status == SATCHEL_INVALID_ARGUMENT) /* shorter by now */
        return SATCHEL_NOT_FOUND;
    if (status)
        return status;
    /* A header is the same in all its bytes or it is another's. */
    uint8_t expected[SAT_CACHE_HEADER];
    fill_header(expected, key, whole.data + SAT_CACHE_HEADER, size);
    if (memcmp(whole.data, expected, sizeof expected) != 0) {
        sat_file_unmap(context, &whole);
        return SATCHEL_NOT_FOUND;
    }
    *out = whole;
    out->data += SAT_CACHE_HEADER;
    out->size = size;
    return SATCHEL_OK;
}

satchel_status sat_cache_map(sat_cache *cache, const sat_cache_key *key, size_t size,
                             sat_mapping *out, satchel_error *error) {
    satchel_context *context = cache->context;
    char name[NAME];
    int fd;
    *out = (sat_mapping){0};
    if (size > SIZE_MAX / 2)
        return sat_fail_memory(error, size);
    name_blob(name, key);
    char *path = path_of(cache, name);
    if (!path)
        return no_path(cache, error);
    satchel_status status;
    int failed = context->files->open(context->files_user, path, SAT_OPEN_READ, &fd);
    if (failed) {
        status = sat_fail_errno(error, failed, "cannot open %s", path);
    } else {
        status = map_blob(cache, fd, key, size, out, error);
        context->files->close(context->files_user, fd);
        if (status == SATCHEL_NOT_FOUND) {
            remove_file(cache, path);
            sat_log(context, SATCHEL_LOG_WARNING, false,
                    "a file in cache_dir is damaged or of another form; it was deleted and is made "
                    "again");
            sat_log(context, SATCHEL_LOG_WARNING, true, "the file was %s", path);
            sat_fail(error, status, "%s is damaged or of another form", path);
        }
    }
    sat_free(&context->memory, path);
    return status;
}

bool sat_cache_has(sat_cache *cache, const sat_cache_key *key, size_t size) {
    satchel_context *context = cache->context;
    sat_file_info info;
    char name[NAME];
    name_blob(name, key);
    char *path = path_of(cache, name);
    bool there = path && context->files->stat(context->files_user, path, true, &info) == 0 &&
                 info.is_regular && info.size == (uint64_t)size + SAT_CACHE_HEADER;
    sat_free(&context->memory, path);
    return there;
}

/* Rising, so that of two uses in one process the later one is known as later. */
static int64_t time_of_use(sat_cache *cache) {
    int64_t now = sat_clock_unix_ms() * 1000000, last = atomic_load(&cache->used_ns), next;
    do
        next = now > last || last - now > AHEAD_NS ? now : last + 1;
    while (!atomic_compare_exchange_weak(&cache->used_ns, &last, next));
    return next;
}

void sat_cache_touch(sat_cache *cache, const sat_cache_key *key) {
    satchel_context *context = cache->context;
    char name[NAME];
    name_blob(name, key);
    char *path = path_of(cache, name);
    if (path) /* what fails makes it look less used than it is: no harm */
        context->files->touch(context->files_user, path, time_of_use(cache));
    sat_free(&context->memory, path);
}

/* ------------------------------------------------------------------ room */

typedef struct entry {
    char name[NAME];
    uint64_t size;
    int64_t used_ns;
} entry;

typedef struct listing {
    sat_cache *cache;
    entry *entries;
    size_t count, capacity;
    uint64_t total;
    int64_t now_ns;
} listing;

static int note_entry(void *user, const char *name) {
    listing *list = user;
    sat_cache *cache = list->cache;
    satchel_context *context = cache->context;
    sat_file_info info;
    kind what = kind_of(name);
    if (what == KIND_OTHER)
        return 0;
    char *path = path_of(cache, name);
    if (!path)
        return ENOMEM;
    bool counts = context->files->stat(context->files_user, path, false, &info) == 0 &&
                  info.is_regular; /* else it vanished, or is not what it says */
    if (counts && what == KIND_HALF &&
        (list->now_ns - info.modified_ns > ABANDONED_NS ||
         info.modified_ns - list->now_ns > ABANDONED_NS)) {
        remove_file(cache, path);
        counts = false;
    }
    sat_free(&context->memory, path);
    if (!counts)
        return 0;
    if (__builtin_add_overflow(list->total, info.size, &list->total))
        list->total = UINT64_MAX;
    if (what == KIND_HALF) /* somebody writes it: it takes room and is not given up */
        return 0;
    if (!sat_grow(&context->memory, (void **)&list->entries, &list->capacity, list->count + 1,
                  sizeof *list->entries))
        return ENOMEM;
    entry *next = &list->entries[list->count++];
    add_text(next->name, 0, name);
    next->size = info.size;
    next->used_ns = info.modified_ns - list->now_ns > AHEAD_NS ? INT64_MIN : info.modified_ns;
    return 0;
}

/* Deletes the blobs used least until `most` bytes are left; none if all that may go is too little. */
static void give_up(listing *list, uint64_t most, const sat_cache_key *kept, size_t kept_count) {
    sat_cache *cache = list->cache;
    uint64_t stays = list->total;
    for (size_t k = 0; k < kept_count; k++) {
        char name[NAME];
        name_blob(name, &kept[k]);
        for (size_t i = list->count; i-- > 0;)
            if (strcmp(list->entries[i].name, name) == 0)
                list->entries[i] = list->entries[--list->count];
    }
    for (size_t i = 0; i < list->count; i++)
        stays -= list->entries[i].size;
    if (stays > most)
        return;
    /* One or two go at a time as a rule: no need to sort all. */
    while (list->total > most && list->count > 0) {
        size_t least = 0;
        for (size_t i = 1; i < list->count; i++)
            if (list->entries[i].used_ns < list->entries[least].used_ns)
                least = i;
        entry blob = list->entries[least];
        list->entries[least] = list->entries[--list->count];
        char *path = path_of(cache, blob.name);
        if (!path)
            return;
        int failed = cache->context->files->remove(cache->context->files_user, path);
        if (!failed || failed == ENOENT)
            list->total -= blob.size;
        sat_free(&cache->context->memory, path);
    }
}

/* Deletes what was used least until `need` bytes more fit into the limit. */
static satchel_status make_room(sat_cache *cache, uint64_t need, const sat_cache_key *kept,
                                size_t kept_count, satchel_error *error) {
    satchel_context *context = cache->context;
    listing list = {.cache = cache, .now_ns = sat_clock_unix_ms() * 1000000};
    if (need > cache->limit)
        return sat_fail(error, SATCHEL_LIMIT, "%llu bytes do not fit into a cache_limit of %llu",
                        (unsigned long long)need, (unsigned long long)cache->limit);
    int failed = context->files->list(context->files_user, cache->folder, note_entry, &list);
    satchel_status status = SATCHEL_OK;
    if (failed == ENOENT)
        list.count = 0; /* deleted: it is made again when the blob is written */
    else if (failed)
        status = sat_fail_errno(error, failed, "cannot list %s", cache->folder);
    else if (list.total > cache->limit - need)
        give_up(&list, cache->limit - need, kept, kept_count);
    if (!status && failed == 0 && list.total > cache->limit - need)
        status =
            sat_fail(error, SATCHEL_LIMIT, "cache_limit of %llu bytes is reached by what is in use",
                     (unsigned long long)cache->limit);
    sat_free(&context->memory, list.entries);
    return status;
}

static satchel_status check_floor(sat_cache *cache, uint64_t need, satchel_error *error) {
    satchel_context *context = cache->context;
    uint64_t space = 0, wanted;
    int failed = context->files->space(context->files_user, cache->folder, &space);
    if (failed == ENOENT) { /* the folder went: ask once it is there again */
        failed = make_folder(cache);
        if (!failed)
            failed = context->files->space(context->files_user, cache->folder, &space);
    }
    if (failed)
        return sat_fail_errno(error, failed, "cannot tell how much is free at %s", cache->folder);
    if (__builtin_add_overflow(need, cache->free_floor, &wanted) || space < wanted)
        return sat_fail(error, SATCHEL_DISK_FULL,
                        "%llu bytes are free where cache_dir is, and cache_free_floor of %llu is "
                        "to stay free",
                        (unsigned long long)space, (unsigned long long)cache->free_floor);
    return SATCHEL_OK;
}

/* ------------------------------------------------------------------ clearing */

typedef struct clearing {
    sat_cache *cache;
    int failed; /* the first error */
} clearing;

static int clear_entry(void *user, const char *name) {
    clearing *c = user;
    satchel_context *context = c->cache->context;
    sat_file_info info;
    if (kind_of(name) == KIND_OTHER)
        return 0;
    char *path = path_of(c->cache, name);
    int failed = path ? context->files->stat(context->files_user, path, false, &info) : ENOMEM;
    if (!failed && info.is_regular)
        failed = context->files->remove(context->files_user, path);
    if (failed && failed != ENOENT && !c->failed)
        c->failed = failed;
    sat_free(&context->memory, path);
    return 0;
}

satchel_status sat_cache_clear(sat_cache *cache, satchel_error *error) {
    satchel_context *context = cache->context;
    clearing c = {.cache = cache};
    int failed = context->files->list(context->files_user, cache->folder, clear_entry, &c);
    if (!failed)
        failed = c.failed;
    if (failed == ENOMEM)
        return no_path(cache, error);
    return failed && failed != ENOENT
               ? sat_fail_errno(error, failed, "cannot delete all that is saved in %s",
                                cache->folder)
               : SATCHEL_OK;
}

/* ------------------------------------------------------------------ open and close */

satchel_status sat_cache_open(sat_cache **out, satchel_context *context, const char *folder,
                              uint64_t limit, uint64_t free_floor, satchel_error *error) {
    sat_memory *memory = &context->memory;
    *out = NULL;
    sat_cache *cache = sat_calloc(memory, 1, sizeof *cache);
    char *copy = cache ? sat_strdup(memory, folder) : NULL;
    if (!copy) {
        sat_free(memory, cache);
        return sat_memory_fail(memory, sizeof *cache + strlen(folder) + 1, error);
    }
    *cache = (sat_cache){.context = context,
                         .folder = copy,
                         .limit = limit ? limit : DEFAULT_LIMIT,
                         .free_floor = free_floor ? free_floor : DEFAULT_FLOOR};
    int failed = make_folder(cache);
    satchel_status status = SATCHEL_OK;
    if (failed) {
        status = sat_fail_errno(error, failed,
                                "cannot use %s as cache_dir: give a folder, or one to be made in a "
                                "folder that exists and can be written",
                                folder);
        sat_cache_close(&cache);
    } else {
        /* The limit may be lower than it was, and somebody may have died while writing. What fails
         * here is tried again with the next blob. */
        make_room(cache, 0, NULL, 0, NULL);
    }
    *out = cache;
    return status;
}

void sat_cache_close(sat_cache **slot) {
    sat_cache *cache = *slot;
    *slot = NULL;
    if (!cache)
        return;
    sat_memory *memory = &cache->context->memory;
    sat_free(memory, cache->folder);
    sat_free(memory, cache);
}

/* ------------------------------------------------------------------ writing */

/* A name that no other process or thread is likely to take; opening makes sure. */
static uint64_t next_number(sat_cache *cache) {
    const uint64_t parts[4] = {(uint64_t)getpid(), (uint64_t)sat_clock_unix_ms(),
                               atomic_fetch_add(&cache->number, 1), (uint64_t)(uintptr_t)cache};
    return sat_hash64(parts, sizeof parts, 0);
}

/* *path is the new file's, to be freed, also on failure. */
static int create(sat_cache *cache, const sat_cache_key *key, char **path, int *fd) {
    satchel_context *context = cache->context;
    int failed = EEXIST;
    bool made = false;
    for (int i = 0; i < TRIES && failed == EEXIST; i++) {
        char name[NAME];
        name_half(name, key, next_number(cache));
        sat_free(&context->memory, *path);
        *path = path_of(cache, name);
        if (!*path)
            return ENOMEM;
        failed = context->files->open(context->files_user, *path, SAT_OPEN_CREATE, fd);
        if (failed == ENOENT && !made) { /* the folder went meanwhile */
            made = true;
            failed = make_folder(cache);
            if (!failed)
                failed = EEXIST;
        }
    }
    return failed;
}

static int write_all(sat_cache *cache, int fd, const sat_cache_key *key, const void *data,
                     size_t size) {
    satchel_context *context = cache->context;
    const sat_file_table *files = context->files;
    uint8_t header[SAT_CACHE_HEADER];
    fill_header(header, key, data, size);
    int failed = files->write_at(context->files_user, fd, header, sizeof header, 0);
    if (!failed)
        failed = files->write_at(context->files_user, fd, data, size, sizeof header);
    if (!failed)
        failed = files->sync(context->files_user, fd);
    int closed = files->close(context->files_user, fd);
    return failed ? failed : closed;
}

static satchel_status write_blob(sat_cache *cache, const sat_cache_key *key, const void *data,
                                 size_t size, satchel_error *error) {
    satchel_context *context = cache->context;
    char name[NAME], *temporary = NULL;
    name_blob(name, key);
    char *path = path_of(cache, name);
    if (!path)
        return no_path(cache, error);
    int fd, failed = create(cache, key, &temporary, &fd);
    if (!failed) {
        failed = write_all(cache, fd, key, data, size);
        if (!failed)
            failed = context->files->rename(context->files_user, temporary, path);
        if (failed)
            remove_file(cache, temporary);
    }
    sat_free(&context->memory, temporary);
    sat_free(&context->memory, path);
    return failed ? sat_fail_errno(error, failed, "cannot write to %s", cache->folder) : SATCHEL_OK;
}

satchel_status sat_cache_put(sat_cache *cache, const sat_cache_key *key, const void *data,
                             size_t size, const sat_cache_key *kept, size_t kept_count,
                             satchel_error *error) {
    uint64_t need = (uint64_t)size + SAT_CACHE_HEADER;
    satchel_status status = check_floor(cache, need, error);
    if (!status)
        status = make_room(cache, need, kept, kept_count, error);
    if (!status)
        status = write_blob(cache, key, data, size, error);
    /* Others may have written too: whoever ends last sees all, and leaves no more than the limit. */
    if (!status)
        make_room(cache, 0, kept, kept_count, NULL);
    return status;
}
