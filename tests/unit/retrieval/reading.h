/* What the tests of readers, chunks and terms share. */
#ifndef SATCHEL_TESTS_UNIT_RETRIEVAL_READING_H
#define SATCHEL_TESTS_UNIT_RETRIEVAL_READING_H

#include "tests/unit/retrieval/context_unit.h"

#include "retrieval/document.h"
#include "retrieval/terms.h"

/* Reads bytes as the given media type (NULL: by name and content); fails the test if they cannot
 * be. */
static inline sat_document read_bytes(satchel_context *context, const sat_readers *readers,
                                      const char *type, const char *name, const void *data,
                                      size_t length) {
    sat_document document;
    satchel_error error;
    sat_document_init(&document, &context->memory);
    satchel_status status =
        sat_document_read(&document, context, readers, type, name, data, length, &error);
    if (status)
        fail_msg("%s: %d %s", name ? name : type, (int)status, error.message);
    return document;
}

static inline void expect_text(const sat_document *document, const char *text) {
    const char *have = document->text.length ? document->text.data : "";
    if (document->text.length != strlen(text) || memcmp(have, text, strlen(text)) != 0)
        fail_msg("read\n[%.*s]\nnot\n[%s]", (int)document->text.length, have, text);
}

/* Every invariant of a document that a reader promises. */
static inline void check_document(const sat_document *document) {
    const char *text = document->text.data;
    size_t length = document->text.length;
    if (length)
        assert_int_equal(sat_utf8_valid(text, length), length);
    if (document->title.length)
        assert_int_equal(sat_utf8_valid(document->title.data, document->title.length),
                         document->title.length);
    int64_t last = 0;
    for (size_t i = 0; i < document->locator_count; i++) {
        const satchel_locator *locator = &document->locators[i];
        assert_true(locator->start >= last && (size_t)locator->start <= length);
        assert_true(locator->kind >= SATCHEL_LOCATOR_PAGE && locator->kind <= SATCHEL_LOCATOR_TIME);
        if (locator->label)
            assert_int_equal(sat_utf8_valid(locator->label, strlen(locator->label)),
                             strlen(locator->label));
        last = locator->start;
    }
}

static inline void expect_read(satchel_context *context, const char *type, const char *source,
                               const char *text) {
    sat_document document = read_bytes(context, NULL, type, NULL, source, strlen(source));
    check_document(&document);
    expect_text(&document, text);
    sat_document_free(&document);
}

/* "1:Title 2:Part …" of the headings, each at the place where its label stands in the text. */
static inline void expect_headings(satchel_context *context, const char *type, const char *source,
                                   const char *headings) {
    char have[1024] = "";
    sat_document document = read_bytes(context, NULL, type, NULL, source, strlen(source));
    check_document(&document);
    for (size_t i = 0; i < document.locator_count; i++) {
        const satchel_locator *locator = &document.locators[i];
        assert_int_equal(locator->kind, SATCHEL_LOCATOR_HEADING);
        assert_memory_equal(document.text.data + locator->start, locator->label,
                            strlen(locator->label));
        snprintf(have + strlen(have), sizeof have - strlen(have), "%s%d:%s", i ? " " : "",
                 (int)locator->number, locator->label);
    }
    assert_string_equal(have, headings);
    sat_document_free(&document);
}

static inline void expect_title(satchel_context *context, const char *type, const char *source,
                                const char *title) {
    sat_document document = read_bytes(context, NULL, type, NULL, source, strlen(source));
    assert_string_equal(document.title.length ? document.title.data : "", title);
    sat_document_free(&document);
}

static inline void expect_refused(satchel_context *context, const char *type, const char *name,
                                  const void *data, size_t length, const char *says) {
    sat_document document;
    satchel_error error = {0};
    sat_document_init(&document, &context->memory);
    assert_int_equal(sat_document_read(&document, context, NULL, type, name, data, length, &error),
                     SATCHEL_UNSUPPORTED);
    if (!strstr(error.message, says))
        fail_msg("\"%s\" does not name %s", error.message, says);
    sat_document_free(&document);
}

#endif
