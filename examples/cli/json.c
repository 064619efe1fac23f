/* JSON for programs: one object a line, always valid, whatever the documents hold. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "cli.h"

void out_begin(struct json *json, FILE *out, const char *type) {
    json->out = out;
    out_open(json, '{');
    out_string(json, "type", type);
}

void out_end(struct json *json) {
    fputs("}\n", json->out);
    fflush(json->out);
}

void out_open(struct json *json, char bracket) {
    fputc(bracket, json->out);
    json->first = true;
}

void out_close(struct json *json, char bracket) {
    fputc(bracket, json->out);
    json->first = false;
}

static void comma(struct json *json) {
    if (!json->first)
        fputc(',', json->out);
    json->first = false;
}

/* Control characters are written as \u escapes, those of C1 and of direction too: a terminal would
 * obey them. */
static bool must_escape(uint32_t code) {
    return code < 0x20 || (code >= 0x7F && code < 0xA0) || (code >= 0x202A && code <= 0x202E) ||
           (code >= 0x2066 && code <= 0x2069);
}

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
        else if (must_escape(code))
            fprintf(out, "\\u%04" PRIX32, code);
        else if (code == 0xFFFD)
            fputs("\xEF\xBF\xBD", out); /* also where the bytes were invalid */
        else
            fwrite(text + at, 1, size, out);
        at += size;
    }
    fputc('"', out);
}

void out_key(struct json *json, const char *key) {
    comma(json);
    if (!key)
        return; /* an element of an array */
    quoted(json->out, key, strlen(key));
    fputc(':', json->out);
}

void out_text(struct json *json, const char *key, const char *text, size_t length) {
    out_key(json, key);
    quoted(json->out, text, length);
}

void out_string(struct json *json, const char *key, const char *text) {
    if (text) {
        out_text(json, key, text, strlen(text));
    } else {
        out_key(json, key);
        fputs("null", json->out);
    }
}

void out_integer(struct json *json, const char *key, int64_t value) {
    out_key(json, key);
    fprintf(json->out, "%" PRId64, value);
}

void out_number(struct json *json, const char *key, double value, int digits) {
    out_key(json, key);
    if (isfinite(value))
        fprintf(json->out, "%.*g", digits, value);
    else
        fputs("null", json->out);
}

void out_boolean(struct json *json, const char *key, bool value) {
    out_key(json, key);
    fputs(value ? "true" : "false", json->out);
}

void out_object(struct json *json, const char *key, const char *text) {
    out_key(json, key);
    if (!text || !*text)
        text = "{}";
    const size_t length = strlen(text);
    for (size_t at = 0; at < length;) {
        uint32_t code;
        const size_t size = decode(text + at, length - at, &code);
        if (code < 0x20) /* stands only between tokens, where a space does as well */
            fputc(' ', json->out);
        else if (must_escape(code)) /* stands only in strings */
            fprintf(json->out, "\\u%04" PRIX32, code);
        else
            fwrite(text + at, 1, size, json->out);
        at += size;
    }
}

void out_range(struct json *json, const satchel_range *range) {
    out_integer(json, "start", range->start);
    out_integer(json, "end", range->end);
    out_integer(json, "start_utf16", range->start_utf16);
    out_integer(json, "end_utf16", range->end_utf16);
}

void out_hit(struct json *json, const satchel_results *results, size_t index,
             const satchel_hit *hit) {
    out_integer(json, "rank", (int64_t)index + 1);
    out_string(json, "document_id", hit->document_id);
    out_string(json, "title", hit->title);
    out_string(json, "heading", hit->heading);
    out_text(json, "text", hit->text, hit->text_length);
    out_number(json, "score", hit->score, 7);
    out_number(json, "keyword_score", hit->keyword_score, 7);
    out_number(json, "vector_score", hit->vector_score, 7);
    out_range(json, &hit->range);
    out_key(json, "snippet");
    out_open(json, '{');
    out_range(json, &hit->snippet);
    out_close(json, '}');
    out_key(json, "matches");
    out_open(json, '[');
    satchel_range match;
    for (size_t i = 0; i < hit->match_count; i++) {
        if (satchel_results_get_match(results, index, i, &match, NULL))
            break;
        out_key(json, NULL);
        out_open(json, '{');
        out_range(json, &match);
        out_close(json, '}');
    }
    out_close(json, ']');
    out_integer(json, "page", hit->page);
    out_integer(json, "time_ms", hit->time_ms);
    out_integer(json, "chunk", hit->chunk);
    out_integer(json, "source_start", hit->source_start);
    out_integer(json, "source_end", hit->source_end);
    out_object(json, "metadata", hit->metadata);
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
    case SATCHEL_REASON_GENERATOR:
        return "generator";
    case SATCHEL_REASON_DECLINED:
        return "declined";
    default:
        return "unknown";
    }
}
