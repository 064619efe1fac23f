/* Documents, and which reader takes a file. */
#include "retrieval/document.h"

#include <string.h>
#include <strings.h>

/* Longest text of a document, in bytes. */
#define MAX_TEXT_BYTES (UINT64_C(1) << 30)
#define MAX_TITLE_BYTES 4096

/* ------------------------------------------------------------------ document */

void sat_document_init(sat_document *document, sat_memory *memory) {
    memset(document, 0, sizeof *document);
    document->memory = memory;
    sat_buffer_init(&document->text, memory);
    sat_buffer_init(&document->title, memory);
    sat_arena_init(&document->arena, memory);
    document->source_start = -1;
}

void sat_document_free(sat_document *document) {
    if (!document->memory)
        return;
    sat_buffer_free(&document->text);
    sat_buffer_free(&document->title);
    sat_free(document->memory, document->locators);
    sat_arena_free(&document->arena);
    memset(document, 0, sizeof *document);
}

void sat_document_clear(sat_document *document) {
    sat_memory *memory = document->memory;
    sat_document_free(document);
    sat_document_init(document, memory);
}

bool sat_document_locate(sat_document *document, int32_t kind, int64_t number, size_t start,
                         const char *label, size_t label_length) {
    if (!sat_grow(document->memory, (void **)&document->locators, &document->locator_capacity,
                  document->locator_count + 1, sizeof *document->locators))
        return false;
    char *copy = label ? sat_arena_strdup(&document->arena, label, label_length) : NULL;
    if (label && !copy)
        return false;
    document->locators[document->locator_count++] =
        (satchel_locator){.kind = kind, .number = number, .start = (int64_t)start, .label = copy};
    return true;
}

/* ------------------------------------------------------------------ media types */

/* Types by extension, beside those of text; the list of plain text is words in text_extensions. */
static const struct {
    const char *extension, *media_type;
} extensions[] = {
    {"md", "text/markdown"},
    {"markdown", "text/markdown"},
    {"mdown", "text/markdown"},
    {"mkd", "text/markdown"},
    {"mkdn", "text/markdown"},
    {"mdx", "text/markdown"},
    {"rmd", "text/markdown"},
    {"qmd", "text/markdown"},
    {"html", "text/html"},
    {"htm", "text/html"},
    {"xhtml", "text/html"},
    {"xht", "text/html"},
    {"shtml", "text/html"},
    {"pdf", "application/pdf"},
    {"epub", "application/epub+zip"},
    {"doc", "application/msword"},
    {"docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"},
    {"ppt", "application/vnd.ms-powerpoint"},
    {"pptx", "application/vnd.openxmlformats-officedocument.presentationml.presentation"},
    {"xls", "application/vnd.ms-excel"},
    {"xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"},
    {"odt", "application/vnd.oasis.opendocument.text"},
    {"odp", "application/vnd.oasis.opendocument.presentation"},
    {"ods", "application/vnd.oasis.opendocument.spreadsheet"},
};

/* Read as plain text without a look at the bytes. Files of other names are read so too, if their
 * bytes are text. */
static const char text_extensions[] =
    "txt text log csv tsv json jsonl ndjson yaml yml toml ini cfg conf properties xml rst adoc "
    "asciidoc org tex bib srt vtt sub eml ics vcf diff patch c h cc cpp cxx hpp m mm swift kt kts "
    "java scala go rs py rb pl pm php js mjs ts jsx tsx css scss less sh bash zsh fish ps1 bat sql "
    "r "
    "jl lua hs ml erl ex exs clj lisp el vim cmake make mk gradle tf proto graphql nfo me";

/* True if `word` is one of the words of a space-separated list, case apart. */
static bool list_has(const char *list, const char *word, size_t length) {
    while (list && length > 0 && *list) {
        size_t size = strcspn(list, " ");
        if (size == length && strncasecmp(list, word, length) == 0)
            return true;
        list += size;
        list += strspn(list, " ");
    }
    return false;
}

static const char *type_of_extension(const char *extension) {
    for (size_t i = 0; i < SAT_COUNT(extensions); i++)
        if (strcasecmp(extension, extensions[i].extension) == 0)
            return extensions[i].media_type;
    return list_has(text_extensions, extension, strlen(extension)) ? "text/plain" : NULL;
}

/* The beginning of a page: a declaration or a tag that only HTML begins with. */
static bool looks_like_html(const char *data, size_t length) {
    static const char *const beginnings[] = {"<!doctype html", "<html", "<head", "<body"};
    size_t at = length >= 3 && memcmp(data, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0;
    while (at < length && strchr(" \t\r\n", data[at]) && data[at])
        at++;
    for (size_t i = 0; i < SAT_COUNT(beginnings); i++) {
        size_t size = strlen(beginnings[i]);
        if (length - at >= size && strncasecmp(data + at, beginnings[i], size) == 0)
            return true;
    }
    return false;
}

static const char *type_of_content(const void *data, size_t length) {
    const char *binary = sat_binary_type(data, length);
    if (binary)
        return binary;
    return looks_like_html(data, length) ? "text/html" : "text/plain";
}

/* ------------------------------------------------------------------ application readers */

typedef struct reader_sink {
    sat_document *document;
    satchel_status status; /* the first failure */
    satchel_error error;
    size_t checked; /* text up to here is valid UTF-8 */
} reader_sink;

static satchel_status sink_fail(reader_sink *sink, satchel_status status) {
    if (!sink->status)
        sink->status = status;
    return status;
}

/* Checks what came since the last look; a character may be cut in two by the end of a piece. */
static satchel_status check_text(reader_sink *sink, bool at_end) {
    const sat_buffer *text = &sink->document->text;
    if (sink->checked == text->length)
        return SATCHEL_OK;
    const char *from = text->data + sink->checked;
    size_t left = text->length - sink->checked, valid = sat_utf8_valid(from, left);
    sink->checked += valid;
    if (valid == left)
        return SATCHEL_OK;
    int32_t code;
    if (!at_end && left - valid < 4 &&
        sat_utf8_decode(from + valid, left - valid, &code) == left - valid &&
        (uint8_t)from[valid] >= 0xC2)
        return SATCHEL_OK;
    return sink_fail(sink, sat_fail(&sink->error, SATCHEL_INVALID_TEXT,
                                    "its text is not valid UTF-8 at byte %zu", sink->checked));
}

static satchel_status sink_text(void *user, const char *text, size_t length) {
    reader_sink *sink = user;
    if (sink->status)
        return sink->status;
    sat_buffer *out = &sink->document->text;
    if (length == SATCHEL_NUL_TERMINATED)
        length = text ? strlen(text) : 0;
    if (!text && length > 0)
        return sink_fail(sink, sat_fail(&sink->error, SATCHEL_INVALID_ARGUMENT,
                                        "it gave NULL as a text of %zu bytes", length));
    if (length > MAX_TEXT_BYTES - out->length)
        return sink_fail(sink, sat_fail(&sink->error, SATCHEL_LIMIT,
                                        "its text is longer than %llu bytes; split the document",
                                        (unsigned long long)MAX_TEXT_BYTES));
    if (!sat_buffer_append(out, text, length))
        return sink_fail(sink, sat_memory_fail(out->memory, length, &sink->error));
    return check_text(sink, false);
}

static satchel_status sink_locate(void *user, const satchel_locator *locator) {
    reader_sink *sink = user;
    if (sink->status)
        return sink->status;
    if (!locator || locator->kind < SATCHEL_LOCATOR_PAGE || locator->kind > SATCHEL_LOCATOR_TIME ||
        locator->number < (locator->kind != SATCHEL_LOCATOR_TIME) ||
        (locator->kind != SATCHEL_LOCATOR_TIME && locator->number > INT32_MAX))
        return sink_fail(sink, sat_fail(&sink->error, SATCHEL_INVALID_ARGUMENT,
                                        "it gave a locator of unknown kind or with a number that "
                                        "makes no sense"));
    const char *label = locator->label;
    size_t length = label ? strlen(label) : 0;
    if (label && sat_utf8_valid(label, length) != length)
        return sink_fail(sink, sat_fail(&sink->error, SATCHEL_INVALID_TEXT,
                                        "it gave a label that is not valid UTF-8"));
    int64_t number = locator->number;
    if (locator->kind == SATCHEL_LOCATOR_HEADING && number > 6)
        number = 6;
    if (!sat_document_locate(sink->document, locator->kind, number, sink->checked, label, length))
        return sink_fail(sink, sat_memory_fail(sink->document->memory, length, &sink->error));
    return SATCHEL_OK;
}

static satchel_status sink_title(void *user, const char *title, size_t length) {
    reader_sink *sink = user;
    if (sink->status)
        return sink->status;
    if (length == SATCHEL_NUL_TERMINATED)
        length = title ? strlen(title) : 0;
    if ((!title && length > 0) || sat_utf8_valid(title, length) != length)
        return sink_fail(sink, sat_fail(&sink->error, SATCHEL_INVALID_TEXT,
                                        "it gave a title that is not valid UTF-8"));
    sat_buffer_clear(&sink->document->title);
    if (!sat_buffer_append(&sink->document->title, title,
                           sat_utf8_border(title, length, MAX_TITLE_BYTES)))
        return sink_fail(sink, sat_memory_fail(sink->document->memory, length, &sink->error));
    return SATCHEL_OK;
}

static bool reader_takes(const satchel_reader *reader, const char *media_type,
                         const char *extension) {
    if (media_type && list_has(reader->media_types, media_type, strlen(media_type)))
        return true;
    return extension && list_has(reader->extensions, extension, strlen(extension));
}

/* UNSUPPORTED: the next one is to try. */
static satchel_status run_reader(sat_document *document, const satchel_reader *reader,
                                 const char *media_type, const void *data, size_t length,
                                 satchel_error *error) {
    reader_sink state = {.document = document};
    satchel_reader_sink sink = {.struct_size = sizeof sink,
                                .sink = &state,
                                .text = sink_text,
                                .locate = sink_locate,
                                .title = sink_title};
    char message[sizeof error->message] = "";
    satchel_status status =
        reader->read(reader->user, media_type, data, length, &sink, message, sizeof message);
    message[sizeof message - 1] = '\0';
    const char *id = reader->id ? reader->id : "application";
    if (!status && !state.status)
        check_text(&state, true);
    if (state.status && status != SATCHEL_CANCELLED)
        return sat_fail(error, state.status, "reader %s: %s", id, state.error.message);
    if (!status) {
        document->source_start = -1;
        document->media_type = sat_arena_strdup(&document->arena, media_type, strlen(media_type));
        return document->media_type ? SATCHEL_OK
                                    : sat_memory_fail(document->memory, strlen(media_type), error);
    }
    if (status == SATCHEL_UNSUPPORTED || status == SATCHEL_CANCELLED ||
        status == SATCHEL_OUT_OF_MEMORY)
        return sat_fail(error, status, "reader %s: %s", id,
                        message[0] ? message : "it cannot read this file");
    return sat_fail(error, SATCHEL_CALLBACK, "reader %s: %s (status %d)", id,
                    message[0] ? message : "it failed without a message", (int)status);
}

/* ------------------------------------------------------------------ choice */

/* A media type without its parameters, in lower case, into out; NULL if it is none. */
static const char *plain_type(char *out, size_t size, const char *media_type) {
    size_t length = 0;
    while (*media_type == ' ')
        media_type++;
    for (; media_type[length] && media_type[length] != ';' && media_type[length] != ' '; length++) {
        if (length + 1 >= size)
            return NULL;
        char byte = media_type[length];
        out[length] = byte >= 'A' && byte <= 'Z' ? (char)(byte + ('a' - 'A')) : byte;
    }
    out[length] = '\0';
    return length > 0 ? out : NULL;
}

typedef satchel_status (*read_function)(sat_document *, satchel_context *, const void *, size_t,
                                        satchel_error *);

static bool ends_with(const char *text, const char *end) {
    size_t length = strlen(text), size = strlen(end);
    return length >= size && strcmp(text + length - size, end) == 0;
}

static read_function built_in(const char *media_type) {
    if (strcmp(media_type, "text/markdown") == 0 || strcmp(media_type, "text/x-markdown") == 0)
        return sat_read_markdown;
    if (strcmp(media_type, "text/html") == 0 || strcmp(media_type, "application/xhtml+xml") == 0)
        return sat_read_html;
    if (strncmp(media_type, "text/", 5) == 0 || ends_with(media_type, "+json") ||
        ends_with(media_type, "+xml") ||
        list_has("application/json application/xml application/javascript application/x-sh "
                 "application/yaml application/toml application/sql message/rfc822",
                 media_type, strlen(media_type)))
        return sat_read_text;
    return NULL;
}

satchel_status sat_document_read(sat_document *document, satchel_context *context,
                                 const sat_readers *readers, const char *media_type,
                                 const char *name, const void *data, size_t length,
                                 satchel_error *error) {
    char buffer[128];
    const char *extension = name ? sat_path_extension(name) : "";
    const char *type = NULL;
    if (length > MAX_TEXT_BYTES)
        return sat_fail(error, SATCHEL_LIMIT, "a document of %zu bytes; at most %llu can be read",
                        length, (unsigned long long)MAX_TEXT_BYTES);
    if (media_type) {
        type = plain_type(buffer, sizeof buffer, media_type);
        if (!type)
            return sat_fail(
                error, SATCHEL_INVALID_ARGUMENT,
                "\"%.64s\" is not a media type; give one such as \"text/plain\", or NULL",
                media_type);
        if (strcmp(type, "application/octet-stream") == 0)
            type = NULL; /* it says nothing */
    }
    bool given = type != NULL;
    if (!type)
        type = type_of_extension(extension);
    if (!type)
        type = type_of_content(data, length);

    satchel_status status = SATCHEL_UNSUPPORTED;
    bool tried = false;
    for (size_t i = readers ? readers->count : 0; i > 0 && status == SATCHEL_UNSUPPORTED; i--) {
        const satchel_reader *reader = &readers->readers[i - 1];
        if (!reader_takes(reader, type, given ? NULL : extension))
            continue;
        sat_document_clear(document);
        status = run_reader(document, reader, type, data, length, error);
        tried = true;
    }
    if (status != SATCHEL_UNSUPPORTED)
        return status;
    sat_document_clear(document);
    read_function read = built_in(type);
    if (read) {
        /* Who says that it is text is believed if it can be. */
        const char *binary =
            given && sat_utf8_valid(data, length) == length ? NULL : sat_binary_type(data, length);
        if (!binary)
            return read(document, context, data, length, error);
        return sat_fail(error, SATCHEL_UNSUPPORTED,
                        "it is named as %s but its bytes are %s; register a reader for that", type,
                        binary);
    }
    if (tried)
        return status; /* with what the reader had to say */
    return sat_fail(error, SATCHEL_UNSUPPORTED,
                    "there is no reader for %s; register one with satchel_store_add_reader()",
                    type);
}

bool sat_reader_known(const sat_readers *readers, const char *name) {
    const char *extension = sat_path_extension(name);
    const char *type = type_of_extension(extension);
    for (size_t i = 0; readers && i < readers->count; i++)
        if (reader_takes(&readers->readers[i], type, extension))
            return true;
    return type && built_in(type);
}
