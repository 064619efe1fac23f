/* JSON for programs: one object a line, always valid, whatever the documents hold. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "cli.h"

void json_begin(struct json *json, FILE *out, const char *type) {
    json->out = out;
    json_open(json, '{');
    json_string(json, "type", type);
}

void json_end(struct json *json) {
    fputs("}\n", json->out);
    fflush(json->out);
}

void json_open(struct json *json, char bracket) {
    fputc(bracket, json->out);
    json->first = true;
}

void json_close(struct json *json, char bracket) {
    fputc(bracket, json->out);
    json->first = false;
}

static void comma(struct json *json) {
    if (!json->first)
        fputc(',', json->out);
    json->first = false;
}

/* Control characters are written as \u escapes, those of C1 too: a terminal would obey them. */
static void quoted(FILE *out, const char *text, size_t length) {
    fputc('"', out);
    for (size_t at = 0; at < length;) {
        uint32_t code;
        size_t size = decode(text + at, length - at, &code);
        if (code == '"' || code == '\\')
            fprintf(out, "\\%c", (char)code);
        else if (code == '\n')
            fputs("\\n", out);
        else if (code == '\t')
            fputs("\\t", out);
        else if (code < 0x20 || (code >= 0x7F && code < 0xA0))
            fprintf(out, "\\u%04" PRIX32, code);
        else if (code == 0xFFFD)
            fputs("\xEF\xBF\xBD", out); /* also where the bytes were invalid */
        else
            fwrite(text + at, 1, size, out);
        at += size;
    }
    fputc('"', out);
}

void json_key(struct json *json, const char *key) {
    comma(json);
    if (!key)
        return; /* an element of an array */
    quoted(json->out, key, strlen(key));
    fputc(':', json->out);
}

void json_text(struct json *json, const char *key, const char *text, size_t length) {
    json_key(json, key);
    quoted(json->out, text, length);
}

void json_string(struct json *json, const char *key, const char *text) {
    if (text) {
        json_text(json, key, text, strlen(text));
    } else {
        json_key(json, key);
        fputs("null", json->out);
    }
}

void json_integer(struct json *json, const char *key, int64_t value) {
    json_key(json, key);
    fprintf(json->out, "%" PRId64, value);
}

void json_number(struct json *json, const char *key, double value, int digits) {
    json_key(json, key);
    if (isfinite(value))
        fprintf(json->out, "%.*g", digits, value);
    else
        fputs("null", json->out);
}

void json_boolean(struct json *json, const char *key, bool value) {
    json_key(json, key);
    fputs(value ? "true" : "false", json->out);
}

void json_object(struct json *json, const char *key, const char *text) {
    json_key(json, key);
    if (!text || !*text)
        text = "{}";
    const size_t length = strlen(text);
    for (size_t at = 0; at < length;) {
        uint32_t code;
        const size_t size = decode(text + at, length - at, &code);
        if (code < 0x20) /* stands only between tokens, where a space does as well */
            fputc(' ', json->out);
        else if (code >= 0x7F && code < 0xA0) /* stands only in strings */
            fprintf(json->out, "\\u%04" PRIX32, code);
        else
            fwrite(text + at, 1, size, json->out);
        at += size;
    }
}

void json_range(struct json *json, const satchel_range *range) {
    json_integer(json, "start", range->start);
    json_integer(json, "end", range->end);
    json_integer(json, "start_utf16", range->start_utf16);
    json_integer(json, "end_utf16", range->end_utf16);
}

void json_hit(struct json *json, const satchel_results *results, size_t index,
              const satchel_hit *hit) {
    json_integer(json, "rank", (int64_t)index + 1);
    json_string(json, "document_id", hit->document_id);
    json_string(json, "title", hit->title);
    json_string(json, "heading", hit->heading);
    json_text(json, "text", hit->text, hit->text_length);
    json_number(json, "score", hit->score, 7);
    json_number(json, "keyword_score", hit->keyword_score, 7);
    json_number(json, "vector_score", hit->vector_score, 7);
    json_range(json, &hit->range);
    json_key(json, "snippet");
    json_open(json, '{');
    json_range(json, &hit->snippet);
    json_close(json, '}');
    json_key(json, "matches");
    json_open(json, '[');
    satchel_range match;
    for (size_t i = 0; i < hit->match_count; i++) {
        if (satchel_results_get_match(results, index, i, &match, NULL))
            break;
        json_key(json, NULL);
        json_open(json, '{');
        json_range(json, &match);
        json_close(json, '}');
    }
    json_close(json, ']');
    json_integer(json, "page", hit->page);
    json_integer(json, "time_ms", hit->time_ms);
    json_integer(json, "chunk", hit->chunk);
    json_integer(json, "source_start", hit->source_start);
    json_integer(json, "source_end", hit->source_end);
    json_object(json, "metadata", hit->metadata);
}

const char *search_mode_name(int32_t mode) {
    switch (mode) {
    case SATCHEL_SEARCH_KEYWORD:
        return "keyword";
    case SATCHEL_SEARCH_VECTOR:
        return "vector";
    case SATCHEL_SEARCH_HYBRID:
        return "hybrid";
    default:
        return "default";
    }
}

const char *reason_name(int32_t reason) {
    switch (reason) {
    case SATCHEL_REASON_NONE:
        return "none";
    case SATCHEL_REASON_REQUESTED:
        return "requested";
    case SATCHEL_REASON_NO_GENERATOR:
        return "no_generator";
    case SATCHEL_REASON_EMPTY_STORE:
        return "empty_store";
    case SATCHEL_REASON_NO_EVIDENCE:
        return "no_evidence";
    case SATCHEL_REASON_WEAK_EVIDENCE:
        return "weak_evidence";
    case SATCHEL_REASON_NO_EMBEDDER:
        return "no_embedder";
    default:
        return "unknown";
    }
}
