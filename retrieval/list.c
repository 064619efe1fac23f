/* Listing documents. */
#include <string.h>

#include "retrieval/store.h"

struct satchel_documents {
    satchel_context *context; /* referenced */
    sat_arena arena;
    satchel_document *items; /* strings in the arena */
    size_t count, capacity;
};

static bool build_sql(sat_buffer *sql, const sat_filter *filter) {
    size_t next = filter->count + 1; /* our own parameters come after the filter's */
    sat_buffer_append_text(sql,
                           "SELECT d.name, d.title, d.metadata, d.media_type, d.text_bytes, "
                           "d.modified, f.message, "
                           "(SELECT count(*) FROM chunk c WHERE c.document = d.id), "
                           "(SELECT count(*) FROM chunk c WHERE c.document = d.id AND c.model = ");
    sat_buffer_append_format(sql,
                             "?%zu) FROM document d LEFT JOIN failure f ON f.name = d.name "
                             "WHERE ",
                             next);
    sat_buffer_append(sql, filter->condition.data, filter->condition.length);
    sat_buffer_append_format(sql, " ORDER BY d.name LIMIT ?%zu OFFSET ?%zu", next + 1, next + 2);
    return !sql->failed;
}

static bool read_document(sat_query *query, sat_arena *arena, satchel_document *out) {
    *out = (satchel_document){.id = sat_column_copy(query, 0, arena),
                              .title = sat_column_copy(query, 1, arena),
                              .metadata = sat_column_copy(query, 2, arena),
                              .media_type = sat_column_copy(query, 3, arena),
                              .text_bytes = sat_column_int(query, 4),
                              .modified_ms = sat_column_int(query, 5),
                              .chunks = sat_column_int(query, 7),
                              .chunks_embedded = sat_column_int(query, 8)};
    bool failed = !sat_column_is_null(query, 6);
    if (failed)
        out->failure = sat_column_copy(query, 6, arena);
    return out->id && out->title && out->metadata && out->media_type && (!failed || out->failure);
}

static satchel_status read_list(satchel_documents *list, sat_connection *reader,
                                const sat_filter *filter, const satchel_list_options *options,
                                satchel_error *error) {
    sat_memory *memory = list->arena.memory;
    int64_t model = 0;
    sat_buffer sql;
    sat_buffer_init(&sql, memory);
    satchel_status status = sat_model_id(reader, false, &model, error);
    if (!status && !build_sql(&sql, filter))
        status = sat_memory_fail(memory, filter->condition.length, error);
    if (!status) {
        bool ok = true;
        sat_query query;
        sat_query_begin_text(&query, reader, sql.data, sql.length);
        sat_filter_bind(filter, &query);
        int own = (int)filter->count + 1;
        if (model)
            sat_bind_int(&query, own, model);
        sat_bind_int(&query, own + 1, options->limit > 0 ? options->limit : -1);
        sat_bind_int(&query, own + 2, options->offset);
        while (ok && sat_query_row(&query)) {
            ok = sat_grow(memory, (void **)&list->items, &list->capacity, list->count + 1,
                          sizeof *list->items);
            if (ok)
                ok = read_document(&query, &list->arena, &list->items[list->count++]);
        }
        status = sat_query_end(&query, error);
        if (!status && !ok)
            status = sat_memory_fail(memory, list->capacity * sizeof *list->items, error);
    }
    sat_buffer_free(&sql);
    return status;
}

satchel_status sat_store_list(satchel_documents **out, sat_store *store,
                              const satchel_list_options *options, satchel_error *error) {
    static const satchel_list_options defaults = {0};
    *out = NULL;
    if (!options)
        options = &defaults;
    if (options->limit < 0 || options->offset < 0)
        return sat_fail(error, SATCHEL_INVALID_ARGUMENT, "limit and offset may not be negative");
    sat_filter filter;
    satchel_status status = sat_filter_compile(&filter, store->memory, options->filter, error);
    if (status)
        return status;
    satchel_documents *list = sat_calloc(store->memory, 1, sizeof *list);
    if (!list) {
        sat_filter_free(&filter);
        return sat_memory_fail(store->memory, sizeof *list, error);
    }
    list->context = sat_context_retain(store->context);
    sat_arena_init(&list->arena, store->memory);
    sat_connection *reader;
    status = sat_reader_begin(store, NULL, &reader, error);
    if (!status) {
        status = read_list(list, reader, &filter, options, error);
        sat_reader_end(reader);
    }
    sat_filter_free(&filter);
    if (status)
        sat_documents_close(&list);
    *out = list;
    return status;
}

size_t sat_documents_count(const satchel_documents *documents) {
    return documents->count;
}

satchel_status sat_documents_get(const satchel_documents *documents, size_t index,
                                 satchel_document *out, satchel_error *error) {
    if (index >= documents->count)
        return sat_fail(error, SATCHEL_NOT_FOUND, "there is no document %zu; the list has %zu",
                        index, documents->count);
    *out = documents->items[index];
    return SATCHEL_OK;
}

void sat_documents_close(satchel_documents **handle) {
    satchel_documents *documents = *handle;
    if (!documents)
        return;
    *handle = NULL;
    satchel_context *context = documents->context;
    sat_free(&context->memory, documents->items);
    sat_arena_free(&documents->arena);
    sat_free(&context->memory, documents);
    sat_context_release(context);
}
