/*
 * What a reader makes of a file, and how it is cut: text with locators, then chunks. Private to
 * retrieval.
 */
#ifndef SATCHEL_RETRIEVAL_DOCUMENT_H
#define SATCHEL_RETRIEVAL_DOCUMENT_H

#include "base/base.h"

/* The text of a document, with where its parts lie. Locators are in order of start. */
typedef struct sat_document {
    sat_memory *memory;
    sat_buffer text;           /* valid UTF-8 */
    sat_buffer title;          /* length 0: none */
    satchel_locator *locators; /* labels in the arena */
    size_t locator_count, locator_capacity;
    sat_arena arena;
    /* The text is the source's bytes from here on, verbatim (a BOM skipped); -1: it is not. */
    int64_t source_start;
    const char *media_type; /* as read; static or in the arena */
} sat_document;

void sat_document_init(sat_document *document, sat_memory *memory);
void sat_document_free(sat_document *document);
void sat_document_clear(sat_document *document); /* empty, as after init */
/* Adds a locator, which begins no earlier than the last one. Its label is copied, NULL: none.
 * False when out of memory. */
bool sat_document_locate(sat_document *document, int32_t kind, int64_t number, size_t start,
                         const char *label, size_t label_length) SAT_NODISCARD;

/* Application readers in order of registration; the last one is asked first. */
typedef struct sat_readers {
    satchel_reader *readers;
    size_t count, capacity;
} sat_readers;

/* Reads bytes into *document with the first reader that takes them: application readers, then
 * text, Markdown, HTML. media_type NULL: by the extension of `name`, else by content.
 * UNSUPPORTED if no reader takes them (binary content without a reader), with a message that
 * names the type. */
satchel_status sat_document_read(sat_document *document, satchel_context *context,
                                 const sat_readers *readers, const char *media_type,
                                 const char *name, const void *data, size_t length,
                                 satchel_error *error);
/* True if sat_document_read can take a file of this name without looking into it first. */
bool sat_reader_known(const sat_readers *readers, const char *name);

/* The media type of bytes that are not text ("application/pdf", or "application/octet-stream"),
 * by what they begin with and by characters that no text holds; NULL if they can be text. */
const char *sat_binary_type(const void *data, size_t length);

/* The built-in readers, each in its file. The document is empty before. They take any bytes:
 * whether these are text is asked before. */
satchel_status sat_read_text(sat_document *document, satchel_context *context, const void *data,
                             size_t length, satchel_error *error);
satchel_status sat_read_markdown(sat_document *document, satchel_context *context, const void *data,
                                 size_t length, satchel_error *error);
satchel_status sat_read_html(sat_document *document, satchel_context *context, const void *data,
                             size_t length, satchel_error *error);

/* ------------------------------------------------------------------ chunks */

typedef struct sat_chunk {
    size_t start, end;     /* bytes of the document's text, trimmed, never empty */
    size_t start16, end16; /* UTF-16 units */
    const char *heading;   /* "A > B", "" if none; in the list's arena */
    uint32_t tokens;       /* of the embedded text, as counted or estimated */
    int32_t page;          /* page or slide at its start; 0 if unknown */
    int64_t time_ms;       /* -1 if unknown */
    sat_digest hash;       /* of the embedded text: heading and chunk text */
} sat_chunk;

typedef struct sat_chunk_list {
    sat_memory *memory;
    sat_chunk *chunks;
    size_t count, capacity;
    sat_arena arena;
} sat_chunk_list;

/* Cuts a document on paragraph and sentence bounds into chunks of at most `budget` tokens of the
 * embedder (NULL: estimated). Bounds depend only on the text around them: they resynchronise at
 * headings and at paragraphs chosen by their hash, so that an edit changes few chunks. */
satchel_status sat_chunk_document(sat_chunk_list *out, sat_memory *memory,
                                  const sat_document *document, const satchel_embedder *embedder,
                                  int32_t budget, satchel_error *error);
void sat_chunk_list_free(sat_chunk_list *list);
/* The text that is embedded for a chunk: its heading path, an empty line, its text; appended to
 * *out. The one definition: ingest, re-embedding and the chunk's hash all use it. */
bool sat_chunk_embed_text(sat_buffer *out, const char *heading, const char *text, size_t length);

#endif
