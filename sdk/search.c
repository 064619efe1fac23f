/* Reading a store: documents and search. */
#include <string.h>

#include "sdk/handle.h"

void satchel_list_options_init(satchel_list_options *options, size_t struct_size) {
    sat_options_init(options, struct_size);
}
void satchel_search_options_init(satchel_search_options *options, size_t struct_size) {
    sat_options_init(options, struct_size);
}

/* ------------------------------------------------------------------ documents */

satchel_status satchel_store_list(satchel_documents **out, satchel_store *store,
                                  const satchel_list_options *options, satchel_error *error) {
    satchel_status status = sat_check_out(__func__, "out", out, sizeof *out, error);
    satchel_list_options known;
    if (!status)
        status = sat_check_store(__func__, store, error);
    if (!status)
        status = sat_options_read(&known, sizeof known, options, "satchel_list_options", error);
    if (!status)
        status = sat_check_string(__func__, "options.filter", known.filter, true, error);
    if (!status)
        status = sat_check_range(__func__, "options.limit", known.limit, 0, INT64_MAX, error);
    if (!status)
        status = sat_check_range(__func__, "options.offset", known.offset, 0, INT64_MAX, error);
    return status ? status : sat_store_list(out, store->store, &known, error);
}

size_t satchel_documents_count(const satchel_documents *documents) {
    return documents ? sat_documents_count(documents) : 0;
}

satchel_status satchel_documents_get(const satchel_documents *documents, size_t index,
                                     satchel_document *out, size_t size, satchel_error *error) {
    satchel_status status = sat_check_out(__func__, "out", out, size, error);
    satchel_document known = {0};
    if (!status)
        status = sat_check_pointer(__func__, "the list", documents, error);
    if (!status)
        status = sat_documents_get(documents, index, &known, error);
    if (!status)
        sat_result_write(out, size, &known, sizeof known);
    return status;
}

void satchel_documents_close(satchel_documents **documents) {
    if (documents)
        sat_documents_close(documents);
}

satchel_status satchel_document_text(satchel_store *store, const char *id, int64_t start,
                                     char *text, size_t capacity, int64_t *length,
                                     satchel_error *error) {
    if (length)
        *length = 0;
    satchel_status status = sat_check_store(__func__, store, error);
    if (!status)
        status = sat_check_string(__func__, "the id", id, false, error);
    if (!status)
        status = sat_check_range(__func__, "start", start, 0, INT64_MAX, error);
    if (!status && capacity > 0)
        status = sat_check_pointer(__func__, "the text", text, error);
    int64_t unused;
    return status ? status
                  : sat_store_document_text(store->store, id, start, text, capacity,
                                            length ? length : &unused, error);
}

/* ------------------------------------------------------------------ search */

satchel_status satchel_search(satchel_results **out, satchel_store *store, const char *query,
                              const satchel_search_options *options, satchel_error *error) {
    satchel_status status = sat_check_out(__func__, "out", out, sizeof *out, error);
    satchel_search_options known;
    if (!status)
        status = sat_check_store(__func__, store, error);
    if (!status)
        status = sat_check_string(__func__, "the query", query, false, error);
    if (!status)
        status = sat_options_read(&known, sizeof known, options, "satchel_search_options", error);
    if (!status)
        status = sat_check_range(__func__, "options.mode", known.mode, SATCHEL_SEARCH_DEFAULT,
                                 SATCHEL_SEARCH_HYBRID, error);
    if (!status)
        status = sat_check_range(__func__, "options.k", known.k, 0, SAT_MAX_HITS, error);
    if (!status)
        status = sat_check_string(__func__, "options.filter", known.filter, true, error);
    if (!status)
        status = sat_cancel_check(known.cancel, error);
    return status ? status
                  : sat_store_search(out, store->store, query, strlen(query), &known, error);
}

size_t satchel_results_count(const satchel_results *results) {
    return results ? sat_results_count(results) : 0;
}

int32_t satchel_results_mode(const satchel_results *results) {
    return results ? sat_results_mode(results) : SATCHEL_SEARCH_DEFAULT;
}

satchel_status satchel_results_get(const satchel_results *results, size_t index, satchel_hit *hit,
                                   size_t size, satchel_error *error) {
    satchel_status status = sat_check_out(__func__, "hit", hit, size, error);
    satchel_hit known = {0};
    if (!status)
        status = sat_check_pointer(__func__, "the results", results, error);
    if (!status)
        status = sat_results_get(results, index, &known, error);
    if (!status)
        sat_result_write(hit, size, &known, sizeof known);
    return status;
}

satchel_status satchel_results_get_match(const satchel_results *results, size_t index, size_t match,
                                         satchel_range *range, satchel_error *error) {
    satchel_status status = sat_check_pointer(__func__, "range", range, error);
    if (status)
        return status;
    *range = (satchel_range){0};
    status = sat_check_pointer(__func__, "the results", results, error);
    return status ? status : sat_results_match(results, index, match, range, error);
}

void satchel_results_close(satchel_results **results) {
    if (results)
        sat_results_close(results);
}
