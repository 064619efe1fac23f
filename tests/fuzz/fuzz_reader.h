/* What the HTML and Markdown targets share: read, check the document, chunk it, find its terms. */
#ifndef SATCHEL_TESTS_FUZZ_FUZZ_READER_H
#define SATCHEL_TESTS_FUZZ_FUZZ_READER_H

#include <string.h>

#include "retrieval/document.h"
#include "retrieval/terms.h"
#include "tests/fuzz/fuzz.h"

typedef satchel_status (*fuzz_reader)(sat_document *document, satchel_context *context,
                                      const void *data, size_t length, satchel_error *error);

static int fuzz_term(void *user, const char *term, size_t length, size_t start, size_t end) {
    size_t *limit = user;
    FUZZ_CHECK(length > 0 && start < end && end <= *limit);
    FUZZ_CHECK(sat_utf8_valid(term, length) == length);
    return 0;
}

static void fuzz_check_document(satchel_context *context, const sat_document *document) {
    const char *text = document->text.data;
    size_t length = document->text.length;
    satchel_error error;
    FUZZ_CHECK(length == 0 || sat_utf8_valid(text, length) == length);
    for (size_t i = 0; i < document->locator_count; i++) {
        FUZZ_CHECK(document->locators[i].start >= 0 &&
                   (size_t)document->locators[i].start <= length);
        FUZZ_CHECK(i == 0 || document->locators[i - 1].start <= document->locators[i].start);
    }
    sat_chunk_list chunks = {0};
    if (sat_chunk_document(&chunks, &context->memory, document, NULL, 64, &error) == SATCHEL_OK) {
        size_t at = 0;
        for (size_t i = 0; i < chunks.count; i++) {
            const sat_chunk *chunk = &chunks.chunks[i];
            FUZZ_CHECK(chunk->start < chunk->end && chunk->end <= length && chunk->start >= at);
            FUZZ_CHECK(chunk->end16 - chunk->start16 ==
                       sat_utf16_length(text + chunk->start, chunk->end - chunk->start));
            at = chunk->end;
        }
    }
    sat_chunk_list_free(&chunks);
    sat_terms *terms = NULL;
    if (length && sat_terms_open(&terms, &context->memory, &error) == SATCHEL_OK)
        (void)sat_terms_each(terms, text, length, fuzz_term, &length);
    sat_terms_close(&terms);
}

static void fuzz_read(fuzz_reader read, const uint8_t *data, size_t size) {
    satchel_context_options options;
    satchel_context_options_init(&options, sizeof options);
    options.threads = 1;
    options.memory_limit = 256 << 20;
    satchel_context *context = NULL;
    satchel_error error;
    if (sat_context_open(&context, &options, &error))
        return;
    sat_document document;
    sat_document_init(&document, &context->memory);
    if (read(&document, context, data, size, &error) == SATCHEL_OK)
        fuzz_check_document(context, &document);
    else
        FUZZ_CHECK(error.code < 0 && error.message[0]);
    sat_document_free(&document);
    sat_context_release(context);
}

#endif
