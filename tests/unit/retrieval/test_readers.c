/* Readers: bytes to text and locators. */
#include "tests/unit/base/failing.h"
#include "tests/unit/retrieval/reading.h"

/* Without a reader its tests are left out of the list below. */
#if !defined(SATCHEL_HAVE_HTML) || !defined(SATCHEL_HAVE_MARKDOWN)
#pragma GCC diagnostic ignored "-Wunused-function"
#endif

/* ------------------------------------------------------------------ plain text */

static void utf8_text_is_kept_verbatim(void **state) {
    static const char text[] = "  One\r\n\r\nzwei \xC3\xBC\tdrei\n\n\n";
    sat_document document = read_bytes(*state, NULL, NULL, "a.txt", text, strlen(text));
    expect_text(&document, text);
    assert_int_equal(document.source_start, 0);
    assert_string_equal(document.media_type, "text/plain");
    assert_int_equal(document.title.length, 0);
    sat_document_free(&document);
}

static void a_byte_order_mark_is_passed_over(void **state) {
    sat_document document = read_bytes(*state, NULL, NULL, "a.txt", "\xEF\xBB\xBFx y", 6);
    expect_text(&document, "x y");
    assert_int_equal(document.source_start, 3);
    sat_document_free(&document);
}

static void other_encodings_are_decoded(void **state) {
    sat_document document =
        read_bytes(*state, NULL, NULL, "a.txt", "\xFF\xFEH\0i\0 \0\x2D\x4E", 10);
    expect_text(&document, "Hi \xE4\xB8\xAD");
    assert_int_equal(document.source_start, -1);
    sat_document_free(&document);
    document = read_bytes(*state, NULL, NULL, "a.txt", "H\0e\0l\0l\0o\0 \0w\0o\0r\0l\0d\0", 22);
    expect_text(&document, "Hello world");
    sat_document_free(&document);
    document = read_bytes(*state, NULL, "text/plain", NULL, "caf\xE9 \x80", 6);
    expect_text(&document, "caf\xC3\xA9 \xE2\x82\xAC");
    assert_int_equal(document.source_start, -1);
    sat_document_free(&document);
}

static void nul_characters_in_text_are_kept(void **state) {
    char log[2000];
    memset(log, 'x', sizeof log);
    log[700] = log[701] = '\0';
    sat_document document = read_bytes(*state, NULL, NULL, "server.log", log, sizeof log);
    assert_int_equal(document.text.length, sizeof log);
    assert_memory_equal(document.text.data, log, sizeof log);
    assert_int_equal(document.source_start, 0);
    sat_document_free(&document);
    document = read_bytes(*state, NULL, "text/plain", NULL, "\0\0a", 3);
    assert_int_equal(document.text.length, 3);
    sat_document_free(&document);
}

static void an_empty_file_is_an_empty_document(void **state) {
    static const char *const names[] = {
        "a.txt",
        "a",
#ifdef SATCHEL_HAVE_MARKDOWN
        "a.md",
#endif
#ifdef SATCHEL_HAVE_HTML
        "a.html",
#endif
    };
    for (size_t i = 0; i < SAT_COUNT(names); i++) {
        sat_document document = read_bytes(*state, NULL, NULL, names[i], "", 0);
        check_document(&document);
        assert_int_equal(document.text.length, 0);
        assert_int_equal(document.locator_count, 0);
        sat_document_free(&document);
    }
}

static void binary_files_are_refused_by_name_of_their_type(void **state) {
    expect_refused(*state, NULL, "a", "%PDF-1.7\nobj", 12, "application/pdf");
    expect_refused(*state, NULL, "a.pdf", "%PDF-1.7\n\xE2\xE3", 11, "application/pdf");
    expect_refused(*state, NULL, "a.txt", "PK\3\4\0\0\0\0\xFF\xFE", 10, "application/zip");
    expect_refused(*state, NULL, "a.md", "\x89PNG\r\n\x1A\n\0\0\0\r", 12, "image/png");
    expect_refused(*state, NULL, "a.html",
                   "\x7F"
                   "ELF\2\1\1\0\0\0",
                   10, "application/x-elf");
    expect_refused(*state, "text/plain", NULL, "\x1F\x8B\x08\0\0\xFF\xEE", 7, "application/gzip");
    uint64_t seed = 7;
    char noise[4096];
    for (size_t i = 0; i < sizeof noise; i++)
        noise[i] = (char)test_random(&seed);
    expect_refused(*state, NULL, "noise", noise, sizeof noise, "application/octet-stream");
    expect_refused(*state, "image/png", NULL, "text", 4, "image/png");
}

static void text_that_begins_like_a_format_is_text(void **state) {
    static const char *const texts[] = {
        "PKZIP was an archiver.", "MZ is a ministry.", "RIFF raff", "BZh!", "ID3 tags",
        "GIF89a is a format"};
    for (size_t i = 0; i < SAT_COUNT(texts); i++) {
        sat_document document = read_bytes(*state, NULL, NULL, "a", texts[i], strlen(texts[i]));
        expect_text(&document, texts[i]);
        sat_document_free(&document);
    }
    /* Whoever says that it is text is believed, if it can be. */
    sat_document document = read_bytes(*state, NULL, "text/plain", NULL, "%PDF-1.4", 8);
    expect_text(&document, "%PDF-1.4");
    sat_document_free(&document);
}

/* A build without a reader says which, and takes the rest. */
static void missing_readers_are_named(void **state) {
#ifndef SATCHEL_HAVE_MARKDOWN
    expect_refused(*state, NULL, "a.md", "# x", 3, "Markdown");
#endif
#ifndef SATCHEL_HAVE_HTML
    expect_refused(*state, NULL, "a.html", "<p>x", 4, "HTML");
#endif
    sat_document document = read_bytes(*state, NULL, NULL, "a.txt", "x", 1);
    expect_text(&document, "x");
    sat_document_free(&document);
}

/* ------------------------------------------------------------------ choice */

static void names_and_content_choose_the_reader(void **state) {
    static const struct {
        const char *type, *name, *content, *expected;
    } cases[] = {
        {NULL, "a/b.MD", "# x", "text/markdown"},
        {NULL, "page.HTM", "x", "text/html"},
        {NULL, "main.c", "x", "text/plain"},
        {NULL, "README", "# x", "text/plain"},
        {NULL, "index", "\n <!DOCTYPE HTML><p>x", "text/html"},
        {NULL, NULL, "<html>x", "text/html"},
        {NULL, "a.unknown", "x", "text/plain"},
        {"text/html; charset=utf-8", "a.txt", "x", "text/html"},
        {"Text/Markdown", NULL, "x", "text/markdown"},
        {"application/json", "a", "{}", "text/plain"},
        {"image/svg+xml", "a", "<svg/>", "text/plain"},
        {"application/octet-stream", "a.md", "x", "text/markdown"},
    };
    for (size_t i = 0; i < SAT_COUNT(cases); i++) {
        sat_document document = read_bytes(*state, NULL, cases[i].type, cases[i].name,
                                           cases[i].content, strlen(cases[i].content));
        assert_string_equal(document.media_type, cases[i].expected);
        sat_document_free(&document);
    }
    assert_true(sat_reader_known(NULL, "a.txt") && sat_reader_known(NULL, "b.Html"));
    assert_false(sat_reader_known(NULL, "a.pdf") || sat_reader_known(NULL, "a") ||
                 sat_reader_known(NULL, ".md"));
}

/* An application's reader whose behaviour the test sets. */
typedef struct app_reader {
    satchel_status result;
    const char *message;
    const char *text, *title;
    const satchel_locator *locators;
    size_t locator_count;
    satchel_status sink_status; /* what the last call of the sink gave */
    int calls;
    char type[64];
} app_reader;

static satchel_status app_read(void *user, const char *media_type, const void *data, size_t length,
                               const satchel_reader_sink *sink, char *message,
                               size_t message_size) {
    app_reader *self = user;
    self->calls++;
    snprintf(self->type, sizeof self->type, "%s", media_type);
    if (self->message)
        snprintf(message, message_size, "%s", self->message);
    if (self->title)
        self->sink_status = sink->title(sink->sink, self->title, SATCHEL_NUL_TERMINATED);
    size_t half = self->text ? strlen(self->text) / 2 : 0;
    if (half)
        self->sink_status = sink->text(sink->sink, self->text, half);
    for (size_t i = 0; i < self->locator_count; i++)
        self->sink_status = sink->locate(sink->sink, &self->locators[i]);
    if (self->text && !self->sink_status)
        self->sink_status = sink->text(sink->sink, self->text + half, strlen(self->text) - half);
    return self->result;
}

static satchel_reader app_table(app_reader *self, const char *id) {
    return (satchel_reader){.struct_size = sizeof(satchel_reader),
                            .user = self,
                            .id = id,
                            .media_types = "application/pdf text/x-notes",
                            .extensions = "pdf notes",
                            .read = app_read};
}

static void application_readers_come_first(void **state) {
    static const satchel_locator pages[] = {
        {.kind = SATCHEL_LOCATOR_PAGE, .number = 2},
        {.kind = SATCHEL_LOCATOR_HEADING, .number = 9, .label = "Part"},
        {.kind = SATCHEL_LOCATOR_TIME, .number = 0}};
    app_reader older = {.text = "older"}, newer = {.text = "page 1 page 2",
                                                   .title = "T",
                                                   .locators = pages,
                                                   .locator_count = SAT_COUNT(pages)};
    satchel_reader tables[] = {app_table(&older, "older"), app_table(&newer, "newer")};
    sat_readers readers = {tables, 2, 2};
    sat_document document = read_bytes(*state, &readers, NULL, "x.PDF", "%PDF-", 5);
    check_document(&document);
    expect_text(&document, "page 1 page 2");
    assert_string_equal(document.title.data, "T");
    assert_string_equal(document.media_type, "application/pdf");
    assert_string_equal(newer.type, "application/pdf");
    assert_int_equal(document.locator_count, 3);
    assert_int_equal(document.locators[0].start, 6);
    assert_int_equal(document.locators[1].number, 6); /* levels end there */
    assert_int_equal(document.source_start, -1);
    assert_int_equal(older.calls, 0);
    sat_document_free(&document);

    newer.result = SATCHEL_UNSUPPORTED; /* the next one tries, with a clean document */
    document = read_bytes(*state, &readers, NULL, "x.pdf", "%PDF-", 5);
    expect_text(&document, "older");
    assert_int_equal(document.locator_count, 0);
    assert_int_equal(document.title.length, 0);
    sat_document_free(&document);
    assert_true(sat_reader_known(&readers, "y.pdf") && sat_reader_known(&readers, "y.Notes"));

    /* A media type that was given decides, not the name. */
    document = read_bytes(*state, &readers, "text/plain", "x.pdf", "plain", 5);
    expect_text(&document, "plain");
    sat_document_free(&document);
}

static void failures_of_application_readers_are_told(void **state) {
    satchel_context *context = *state;
    static const satchel_locator bad_kind = {.kind = 9, .number = 1}, no_page = {.kind = 1},
                                 bad_label = {.kind = 3, .number = 1, .label = "\xFF"};
    static const struct {
        app_reader reader;
        satchel_status expected;
        const char *says;
    } cases[] = {
        {{.result = SATCHEL_IO, .message = "no key"}, SATCHEL_CALLBACK, "app: no key"},
        {{.result = 7}, SATCHEL_CALLBACK, "reader app"},
        {{.result = SATCHEL_CANCELLED}, SATCHEL_CANCELLED, "reader app"},
        {{.result = SATCHEL_UNSUPPORTED, .message = "version 9"}, SATCHEL_UNSUPPORTED, "version 9"},
        {{.text = "ab\xFFxyz"}, SATCHEL_INVALID_TEXT, "byte 2"},
        {{.text = "abc\xE4\xB8"}, SATCHEL_INVALID_TEXT, "byte 3"}, /* cut at the end */
        {{.title = "\xC3"}, SATCHEL_INVALID_TEXT, "title"},
        {{.locators = &bad_kind, .locator_count = 1}, SATCHEL_INVALID_ARGUMENT, "locator"},
        {{.locators = &no_page, .locator_count = 1}, SATCHEL_INVALID_ARGUMENT, "locator"},
        {{.locators = &bad_label, .locator_count = 1}, SATCHEL_INVALID_TEXT, "label"},
    };
    for (size_t i = 0; i < SAT_COUNT(cases); i++) {
        app_reader reader = cases[i].reader;
        satchel_reader table = app_table(&reader, "app");
        sat_readers readers = {&table, 1, 1};
        sat_document document;
        satchel_error error;
        sat_document_init(&document, &context->memory);
        assert_int_equal(
            sat_document_read(&document, context, &readers, NULL, "a.pdf", "x", 1, &error),
            cases[i].expected);
        if (!strstr(error.message, cases[i].says))
            fail_msg("\"%s\" lacks \"%s\"", error.message, cases[i].says);
        sat_document_free(&document);
    }
    /* A character may be cut by the end of a piece. */
    app_reader reader = {.text = "a\xE4\xB8\xAD"};
    satchel_reader table = app_table(&reader, "app");
    sat_readers readers = {&table, 1, 1};
    sat_document document = read_bytes(context, &readers, NULL, "a.pdf", "x", 1);
    expect_text(&document, "a\xE4\xB8\xAD");
    sat_document_free(&document);
}

static void strange_media_types_are_refused(void **state) {
    satchel_context *context = *state;
    char long_type[400];
    memset(long_type, 'a', sizeof long_type - 1);
    long_type[sizeof long_type - 1] = '\0';
    const char *const types[] = {"", ";", " ", long_type};
    for (size_t i = 0; i < SAT_COUNT(types); i++) {
        sat_document document;
        sat_document_init(&document, &context->memory);
        assert_int_equal(sat_document_read(&document, context, NULL, types[i], NULL, "x", 1, NULL),
                         SATCHEL_INVALID_ARGUMENT);
        sat_document_free(&document);
    }
}

typedef struct file {
    satchel_context *context;
    const char *type, *source;
} file;

static satchel_status read_file(sat_memory *memory, void *user) {
    const file *given = user;
    sat_document document;
    satchel_error error;
    sat_document_init(&document, memory);
    satchel_status status = sat_document_read(&document, given->context, NULL, given->type, NULL,
                                              given->source, strlen(given->source), &error);
    sat_document_free(&document);
    return status;
}

/* Memory runs out at every allocation in turn: the reader says so, and nothing is left. */
static void memory_failures_are_told(void **state) {
    file cases[] = {
        {*state, "text/plain", "caf\xE9"},
        {*state, "text/html",
         "<title>a &amp; b</title><meta charset=koi8-r><h1>\xF0</h1><ul><li>x<img alt=y>"},
        {*state, "text/markdown",
         "---\ntitle: x\n---\n# a &amp;\n\n- b <b>c</b>\n\n|x|y|\n|-|-|\n|1|2|\n"},
    };
    for (size_t i = 0; i < SAT_COUNT(cases); i++)
        fail_memory(read_file, &cases[i]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(utf8_text_is_kept_verbatim),
        cmocka_unit_test(a_byte_order_mark_is_passed_over),
        cmocka_unit_test(other_encodings_are_decoded),
        cmocka_unit_test(nul_characters_in_text_are_kept),
        cmocka_unit_test(an_empty_file_is_an_empty_document),
        cmocka_unit_test(binary_files_are_refused_by_name_of_their_type),
        cmocka_unit_test(text_that_begins_like_a_format_is_text),
        cmocka_unit_test(missing_readers_are_named),
#if defined(SATCHEL_HAVE_HTML) && defined(SATCHEL_HAVE_MARKDOWN)
        cmocka_unit_test(memory_failures_are_told),
        cmocka_unit_test(names_and_content_choose_the_reader),
#endif
        cmocka_unit_test(application_readers_come_first),
        cmocka_unit_test(failures_of_application_readers_are_told),
        cmocka_unit_test(strange_media_types_are_refused),
    };
    return cmocka_run_group_tests(tests, open_context, close_context);
}
