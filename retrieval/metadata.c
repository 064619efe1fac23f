/* Document ids and metadata: what is accepted, and metadata exploded into rows for filters. */
#include <string.h>

#include "retrieval/store.h"

satchel_status sat_id_normalize(sat_buffer *out, const char *id, size_t length, const char *what,
                                satchel_error *error) {
    if (length == 0 || length > SAT_MAX_ID_BYTES)
        return sat_fail(error, SATCHEL_INVALID_ARGUMENT, "%s has %zu bytes; it must have 1 to %d",
                        what, length, SAT_MAX_ID_BYTES);
    size_t valid = sat_utf8_valid(id, length);
    if (valid < length)
        return sat_fail(error, SATCHEL_INVALID_TEXT, "%s is not valid UTF-8 at byte %zu", what,
                        valid);
    for (size_t at = 0; at < length;) {
        int32_t code;
        at += sat_utf8_decode(id + at, length - at, &code);
        if (code < 0x20 || (code >= 0x7f && code < 0xa0))
            return sat_fail(error, SATCHEL_INVALID_ARGUMENT,
                            "%s has the control character U+%04X before byte %zu", what,
                            (unsigned)code, at);
    }
    size_t before = out->length;
    satchel_status status = sat_text_nfc(out, id, length);
    if (status)
        return sat_memory_fail(out->memory, length, error);
    if (out->length - before > SAT_MAX_ID_BYTES)
        return sat_fail(error, SATCHEL_INVALID_ARGUMENT,
                        "%s has %zu bytes in Unicode normal form C; it may have %d", what,
                        out->length - before, SAT_MAX_ID_BYTES);
    return SATCHEL_OK;
}

/* ------------------------------------------------------------------ metadata */

static satchel_status check_value(const char *key, const json_t *value, satchel_error *error) {
    if (json_is_string(value) || json_is_number(value) || json_is_boolean(value))
        return SATCHEL_OK;
    if (json_is_array(value)) {
        size_t i;
        json_t *item;
        json_array_foreach(value, i, item) {
            if (!json_is_string(item))
                return sat_fail(error, SATCHEL_INVALID_METADATA,
                                "metadata: item %zu of '%s' is not a string; arrays hold strings "
                                "only",
                                i, key);
        }
        return SATCHEL_OK;
    }
    return sat_fail(error, SATCHEL_INVALID_METADATA,
                    "metadata: '%s' is %s; a value is a string, a number, a boolean or an array of "
                    "strings",
                    key, json_is_object(value) ? "an object" : "null");
}

satchel_status sat_metadata_parse(json_t **out, const char *metadata, satchel_error *error) {
    *out = NULL;
    if (!metadata || !*metadata)
        metadata = "{}";
    size_t length = strlen(metadata);
    if (length > SAT_MAX_METADATA_BYTES)
        return sat_fail(error, SATCHEL_LIMIT, "metadata has %zu bytes; it may have %d", length,
                        SAT_MAX_METADATA_BYTES);
    json_t *parsed = NULL;
    satchel_status status =
        sat_json_parse(&parsed, metadata, length, SATCHEL_INVALID_METADATA, "metadata", error);
    if (!status && !json_is_object(parsed))
        status = sat_fail(error, SATCHEL_INVALID_METADATA, "metadata is not a JSON object");
    if (!status) {
        const char *key;
        json_t *value;
        json_object_foreach(parsed, key, value) {
            if (!status && !*key)
                status = sat_fail(error, SATCHEL_INVALID_METADATA, "metadata has an empty key");
            if (!status)
                status = check_value(key, value, error);
        }
    }
    if (status) {
        json_decref(parsed);
        return status;
    }
    *out = parsed;
    return SATCHEL_OK;
}

/* ?1 and ?2 stay bound. */
static void write_value(sat_query *query, int64_t ordinal, const char *kind, const json_t *value) {
    sat_bind_int(query, 3, ordinal);
    sat_bind_text(query, 4, kind, 1);
    if (json_is_string(value))
        sat_bind_text(query, 5, json_string_value(value), json_string_length(value));
    else if (json_is_integer(value))
        sat_bind_int(query, 5, json_integer_value(value));
    else if (json_is_real(value))
        sat_bind_real(query, 5, json_real_value(value));
    else if (json_is_boolean(value))
        sat_bind_int(query, 5, json_is_true(value));
    else
        sat_bind_null(query, 5);
    while (sat_query_row(query)) {
    }
    sat_query_again(query);
}

satchel_status sat_metadata_write(sat_connection *writer, int64_t document, const json_t *metadata,
                                  satchel_error *error) {
    sat_query query;
    sat_query_begin(&query, writer, "DELETE FROM meta WHERE document = ?1");
    sat_bind_int(&query, 1, document);
    satchel_status status = sat_query_run(&query, error);
    if (status || json_object_size(metadata) == 0)
        return status;
    sat_query_begin(&query, writer,
                    "INSERT INTO meta(document, key, ordinal, kind, value) "
                    "VALUES(?1, ?2, ?3, ?4, ?5)");
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)metadata, key, value) {
        sat_bind_int(&query, 1, document);
        sat_bind_text(&query, 2, key, strlen(key));
        if (json_is_array(value)) {
            size_t i;
            json_t *item;
            json_array_foreach(value, i, item) write_value(&query, (int64_t)i, "s", item);
            if (json_array_size(value) == 0)
                write_value(&query, 0, "e", NULL);
        } else {
            write_value(&query, 0,
                        json_is_string(value)   ? "s"
                        : json_is_number(value) ? "n"
                                                : "b",
                        value);
        }
    }
    return sat_query_end(&query, error);
}
