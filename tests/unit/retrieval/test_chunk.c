/* Chunks: where documents are cut. */
#include "tests/unit/base/failing.h"
#include "tests/unit/retrieval/reading.h"

/* ------------------------------------------------------------------ helpers */

/* A token for each word and each character of a script without spaces, and two special ones. */
typedef struct counter {
    uint64_t bytes, calls;
    size_t fail_at; /* call that fails, from 1; 0: none */
} counter;

static satchel_status count_tokens(void *user, const char *text, size_t length, size_t *count) {
    counter *self = user;
    self->bytes += length;
    if (++self->calls == self->fail_at)
        return SATCHEL_IO;
    bool in_word = false;
    *count = 2;
    for (size_t at = 0, size; at < length; at += size) {
        int32_t code;
        size = sat_utf8_decode(text + at, length - at, &code);
        bool unspaced = sat_is_unspaced(code), space = sat_is_space(code);
        *count += unspaced || (!space && !in_word);
        in_word = !unspaced && !space;
    }
    return SATCHEL_OK;
}

static satchel_embedder embedder_of(counter *self) {
    return (satchel_embedder){.struct_size = sizeof(satchel_embedder),
                              .user = self,
                              .id = "counter",
                              .dimension = 4,
                              .max_tokens = 512,
                              .count_tokens = count_tokens};
}

/* A document that grows by paragraphs and headings. */
static void add_text(sat_document *document, const char *text) {
    assert_true(sat_buffer_append_text(&document->text, text));
}

static void add_heading(sat_document *document, int level, const char *label) {
    if (document->text.length)
        add_text(document, "\n\n");
    assert_true(sat_document_locate(document, SATCHEL_LOCATOR_HEADING, level, document->text.length,
                                    label, strlen(label)));
    add_text(document, label);
    add_text(document, "\n\n");
}

static void add_sentences(sat_document *document, int count, uint64_t seed) {
    for (int i = 0; i < count; i++) {
        char sentence[400] = "";
        uint32_t words = 4 + test_random(&seed) % 20;
        for (uint32_t w = 0; w < words; w++)
            sprintf(sentence + strlen(sentence), "%s%c%c%c%u", w ? " " : "",
                    (w ? 'a' : 'A') + (int)(test_random(&seed) % 26),
                    'a' + (int)(test_random(&seed) % 26), 'a' + (int)(test_random(&seed) % 26),
                    test_random(&seed) % 100);
        strcat(sentence, test_random(&seed) % 6 ? ". " : ".\n\n");
        add_text(document, sentence);
    }
}

/* Cuts it and checks every promise. */
static sat_chunk_list cut(satchel_context *context, const sat_document *document,
                          const satchel_embedder *embedder, int32_t budget) {
    sat_chunk_list list;
    satchel_error error;
    if (sat_chunk_document(&list, &context->memory, document, embedder, budget, &error))
        fail_msg("%s", error.message);
    const char *text = document->text.data;
    size_t at = 0, passed16 = 0;
    for (size_t i = 0; i <= list.count; i++) {
        size_t next = i < list.count ? list.chunks[i].start : document->text.length;
        assert_true(next >= at);
        passed16 += sat_utf16_length(text + at, next - at);
        while (at < next) { /* white space alone is in no chunk */
            int32_t code;
            at += sat_utf8_decode(text + at, next - at, &code);
            if (!sat_is_space(code))
                fail_msg("U+%04X before chunk %zu is in none", (unsigned)code, i);
        }
        if (i == list.count)
            break;
        const sat_chunk *chunk = &list.chunks[i];
        assert_true(chunk->start < chunk->end && chunk->end <= document->text.length);
        int32_t first, last;
        sat_utf8_decode(text + chunk->start, chunk->end - chunk->start, &first);
        size_t border = sat_utf8_border(text, chunk->end, chunk->end - 1);
        sat_utf8_decode(text + border, chunk->end - border, &last);
        assert_false(sat_is_space(first) || sat_is_space(last));
        assert_int_equal(chunk->start16, passed16);
        passed16 += sat_utf16_length(text + chunk->start, chunk->end - chunk->start);
        assert_int_equal(chunk->end16, passed16);
        sat_buffer embedded;
        sat_buffer_init(&embedded, &context->memory);
        assert_true(sat_chunk_embed_text(&embedded, chunk->heading, text + chunk->start,
                                         chunk->end - chunk->start));
        sat_digest hash = sat_digest_of(embedded.data, embedded.length);
        assert_memory_equal(&hash, &chunk->hash, sizeof hash);
        if (embedder && budget > 0) {
            size_t count;
            counter own = {0};
            count_tokens(&own, embedded.data, embedded.length, &count);
            assert_true(count <= chunk->tokens); /* parts count at least as much as the whole */
            assert_true(chunk->tokens <= (uint32_t)budget);
        }
        sat_buffer_free(&embedded);
        at = chunk->end;
    }
    return list;
}

static void expect_chunks(satchel_context *context, const sat_document *document, int32_t budget,
                          const char *const *expected) {
    counter counted = {0};
    satchel_embedder embedder = embedder_of(&counted);
    sat_chunk_list list = cut(context, document, &embedder, budget);
    for (size_t i = 0; i < list.count; i++) {
        char have[2048];
        snprintf(have, sizeof have, "%s|%.*s", list.chunks[i].heading,
                 (int)(list.chunks[i].end - list.chunks[i].start),
                 document->text.data + list.chunks[i].start);
        if (!expected[i] || strcmp(have, expected[i]) != 0)
            fail_msg("chunk %zu is\n%s\nnot\n%s", i, have, expected[i] ? expected[i] : "none");
    }
    assert_null(expected[list.count]);
    sat_chunk_list_free(&list);
}

static sat_document new_document(satchel_context *context, const char *text) {
    sat_document document;
    sat_document_init(&document, &context->memory);
    add_text(&document, text);
    return document;
}

/* ------------------------------------------------------------------ small documents */

static void a_document_that_fits_is_one_chunk(void **state) {
    sat_document document =
        new_document(*state, " One sentence. Another!\n\n  And a paragraph. \n");
    expect_chunks(*state, &document, 64,
                  (const char *[]){"|One sentence. Another!\n\n  And a paragraph.", NULL});
    sat_document_free(&document);
    document = new_document(*state, "");
    add_heading(&document, 1, "Guide");
    add_heading(&document, 2, "One");
    add_text(&document, "Text one.");
    add_heading(&document, 2, "Two");
    add_text(&document, "Text two.");
    expect_chunks(
        *state, &document, 64,
        (const char *[]){"Guide|Guide\n\n\n\nOne\n\nText one.\n\nTwo\n\nText two.", NULL});
    sat_document_free(&document);
}

static void an_empty_document_has_no_chunk(void **state) {
    static const char *const texts[] = {"", " ", "\n\n \t\xC2\xA0\xE3\x80\x80\n"};
    for (size_t i = 0; i < SAT_COUNT(texts); i++) {
        sat_document document = new_document(*state, texts[i]);
        expect_chunks(*state, &document, 64, (const char *[]){NULL});
        sat_document_free(&document);
    }
}

/* ------------------------------------------------------------------ headings */

static void great_headings_part_chunks(void **state) {
    sat_document document = new_document(*state, "Intro words before all headings stand here.");
    add_heading(&document, 1, "Guide");
    add_heading(&document, 2, "Install");
    add_text(&document, "First do this thing. Then do that thing.");
    add_heading(&document, 3, "Linux");
    add_text(&document, "Use the package.");
    add_heading(&document, 3, "Mac");
    add_text(&document, "Use the other package.");
    add_heading(&document, 2, "Use");
    add_text(&document, "Open it and type words into the box.");
    expect_chunks(*state, &document, 32,
                  (const char *[]){
                      "|Intro words before all headings stand here.",
                      "Guide > Install|Guide\n\n\n\nInstall\n\nFirst do this thing. Then do that "
                      "thing.\n\nLinux\n\nUse the package.\n\nMac\n\nUse the other package.",
                      "Guide > Use|Use\n\nOpen it and type words into the box.", NULL});
    sat_document_free(&document);
}

static void small_headings_are_the_first_choice_for_a_cut(void **state) {
    sat_document document = new_document(*state, "");
    add_heading(&document, 2, "Top");
    add_heading(&document, 3, "Red");
    add_text(&document, "One two three four five. Six seven eight nine ten eleven.\n\nTwelve.");
    add_heading(&document, 3, "Blue");
    add_text(&document, "One two three. Four five six seven eight nine ten eleven twelve. More.");
    expect_chunks(*state, &document, 24,
                  (const char *[]){"Top > Red|Top\n\n\n\nRed\n\nOne two three four five. Six seven "
                                   "eight nine ten eleven.\n\nTwelve.",
                                   "Top > Blue|Blue\n\nOne two three. Four five six seven eight "
                                   "nine ten eleven twelve. More.",
                                   NULL});
    sat_document_free(&document);
}

static void heading_paths_are_bounded(void **state) {
    satchel_context *context = *state;
    char label[4000] = "";
    for (int i = 0; i < 500; i++)
        strcat(label, "word ");
    sat_document document = new_document(context, "");
    for (int level = 1; level <= 6; level++) {
        add_heading(&document, level, label);
        add_sentences(&document, 30, (uint64_t)level);
    }
    counter counted = {0};
    satchel_embedder embedder = embedder_of(&counted);
    sat_chunk_list list = cut(context, &document, &embedder, 64);
    for (size_t i = 0; i < list.count; i++) {
        size_t tokens;
        count_tokens(&counted, list.chunks[i].heading, strlen(list.chunks[i].heading), &tokens);
        assert_true(tokens <= 2 + 8);
    }
    assert_true(list.chunks[list.count - 1].heading[0]);
    sat_chunk_list_free(&list);
    sat_document_free(&document);
    /* The last headings say most. */
    document = new_document(context, "");
    add_heading(&document, 1, "Alpha beta gamma");
    add_heading(&document, 2, "Delta epsilon zeta");
    add_heading(&document, 3, "Eta");
    add_sentences(&document, 20, 9);
    list = cut(context, &document, &embedder, 48);
    assert_string_equal(list.chunks[list.count - 1].heading, "Delta epsilon zeta > Eta");
    sat_chunk_list_free(&list);
    sat_document_free(&document);
}

static void locators_of_application_readers_are_taken_as_they_come(void **state) {
    satchel_context *context = *state;
    sat_document document = new_document(context, "");
    assert_true(sat_document_locate(&document, SATCHEL_LOCATOR_HEADING, 2, 0, NULL, 0));
    assert_true(sat_document_locate(&document, SATCHEL_LOCATOR_HEADING, 1, 0, "", 0));
    add_sentences(&document, 3, 1);
    size_t inside = document.text.length - 5; /* in the middle of a word */
    assert_true(sat_document_locate(&document, SATCHEL_LOCATOR_HEADING, 1, inside, "A\nB  C", 6));
    add_sentences(&document, 10, 2);
    assert_true(sat_document_locate(&document, SATCHEL_LOCATOR_HEADING, 6, document.text.length,
                                    "at the end", 10));
    counter counted = {0};
    satchel_embedder embedder = embedder_of(&counted);
    sat_chunk_list list = cut(context, &document, &embedder, 48);
    assert_true(list.count > 1);
    assert_string_equal(list.chunks[0].heading, "");
    assert_string_equal(list.chunks[list.count - 1].heading, "A B C");
    sat_chunk_list_free(&list);
    sat_document_free(&document);
}

static void pages_and_times_are_those_at_the_start(void **state) {
    satchel_context *context = *state;
    sat_document document = new_document(context, "");
    add_text(&document, "Before the first page there are some words. ");
    for (int page = 1; page <= 3; page++) {
        assert_true(sat_document_locate(&document, SATCHEL_LOCATOR_PAGE, page, document.text.length,
                                        NULL, 0));
        assert_true(sat_document_locate(&document, SATCHEL_LOCATOR_TIME, page * 1000,
                                        document.text.length, NULL, 0));
        add_sentences(&document, 12, (uint64_t)page);
    }
    counter counted = {0};
    satchel_embedder embedder = embedder_of(&counted);
    sat_chunk_list list = cut(context, &document, &embedder, 24);
    assert_int_equal(list.chunks[0].page, 0);
    assert_int_equal(list.chunks[0].time_ms, -1);
    for (size_t i = 0; i < list.count; i++) {
        int32_t page = 0;
        for (size_t k = 0; k < document.locator_count; k++)
            if (document.locators[k].kind == SATCHEL_LOCATOR_PAGE &&
                (size_t)document.locators[k].start <= list.chunks[i].start)
                page = (int32_t)document.locators[k].number;
        assert_int_equal(list.chunks[i].page, page);
        assert_int_equal(list.chunks[i].time_ms, page ? page * 1000 : -1);
    }
    assert_int_equal(list.chunks[list.count - 1].page, 3);
    sat_chunk_list_free(&list);
    sat_document_free(&document);
}

/* ------------------------------------------------------------------ sizes */

static void chunks_come_out_even(void **state) {
    satchel_context *context = *state;
    for (int sentences = 8; sentences < 400; sentences += 7) {
        sat_document document = new_document(context, "");
        add_sentences(&document, sentences, (uint64_t)sentences);
        counter counted = {0};
        satchel_embedder embedder = embedder_of(&counted);
        sat_chunk_list list = cut(context, &document, &embedder, 128);
        uint64_t sum = 0;
        for (size_t i = 0; i < list.count; i++) {
            assert_true(list.count == 1 || list.chunks[i].tokens >= 128 / 4);
            sum += list.chunks[i].tokens;
        }
        assert_true(list.count < 3 || sum / list.count >= 128 * 6 / 10); /* well filled */
        sat_chunk_list_free(&list);
        sat_document_free(&document);
    }
}

static void sentences_too_long_for_a_chunk_are_cut_at_words(void **state) {
    satchel_context *context = *state;
    sat_document document = new_document(context, "");
    for (int i = 0; i < 300; i++)
        add_text(&document, i % 10 == 9 ? "clause, " : "word ");
    counter counted = {0};
    satchel_embedder embedder = embedder_of(&counted);
    sat_chunk_list list = cut(context, &document, &embedder, 40);
    assert_true(list.count >= 8);
    for (size_t i = 0; i < list.count; i++) {
        const char *end = document.text.data + list.chunks[i].end;
        assert_true(*end == ' ' || *end == '\0');
    }
    sat_chunk_list_free(&list);
    sat_document_free(&document);
    /* A script without spaces, and one word that never ends. */
    document = new_document(context, "");
    for (int i = 0; i < 500; i++)
        add_text(&document, "\xE5\xAD\x97");
    list = cut(context, &document, &embedder, 40);
    assert_true(list.count >= 13);
    sat_chunk_list_free(&list);
    add_text(&document, "\n\n");
    for (int i = 0; i < 5000; i++)
        add_text(&document, "x");
    list = cut(context, &document, NULL, 40); /* estimated: six letters a token */
    assert_true(list.count >= 5000 / 6 / 40);
    sat_chunk_list_free(&list);
    sat_document_free(&document);
}

static void budgets_are_kept_within_reason(void **state) {
    satchel_context *context = *state;
    sat_document document = new_document(context, "");
    add_sentences(&document, 400, 3);
    counter counted = {0};
    satchel_embedder embedder = embedder_of(&counted);
    static const int32_t budgets[] = {INT32_MIN, -1, 0, 1, 16, 100000};
    static const uint32_t most[] = {512, 512, 512, 16, 16, 512};
    for (size_t i = 0; i < SAT_COUNT(budgets); i++) {
        sat_chunk_list list = cut(context, &document, &embedder, 0);
        sat_chunk_list_free(&list);
        assert_int_equal(
            sat_chunk_document(&list, &context->memory, &document, &embedder, budgets[i], NULL),
            SATCHEL_OK);
        for (size_t c = 0; c < list.count; c++)
            assert_true(list.chunks[c].tokens <= most[i]);
        sat_chunk_list_free(&list);
    }
    sat_document_free(&document);
}

static void text_is_counted_once_or_twice(void **state) {
    satchel_context *context = *state;
    sat_document document = new_document(context, "");
    add_sentences(&document, 2000, 4);
    for (int i = 0; i < 3000; i++)
        add_text(&document, "\xE5\xAD\x97");
    counter counted = {0};
    satchel_embedder embedder = embedder_of(&counted);
    sat_chunk_list list = cut(context, &document, &embedder, 128);
    assert_true(counted.bytes <= 2 * document.text.length + 1000);
    sat_chunk_list_free(&list);
    sat_document_free(&document);
}

/* ------------------------------------------------------------------ edits */

static size_t count_new(const sat_chunk_list *before, const sat_chunk_list *after) {
    size_t fresh = 0;
    for (size_t i = 0; i < after->count; i++) {
        bool known = false;
        for (size_t k = 0; k < before->count && !known; k++)
            known =
                memcmp(&before->chunks[k].hash, &after->chunks[i].hash, sizeof(sat_digest)) == 0;
        fresh += !known;
    }
    return fresh;
}

/* A sentence put in between two others changes some chunks of its block and no others. */
static void expect_local_edits(satchel_context *context, const sat_document *document,
                               const char *sentence, const char *border, size_t most, double mean) {
    counter counted = {0};
    satchel_embedder embedder = embedder_of(&counted);
    sat_chunk_list before = cut(context, document, &embedder, 64);
    uint64_t seed = 77;
    size_t sum = 0, edits = 16;
    assert_true(before.count > 500);
    for (size_t i = 0; i < edits; i++) {
        size_t at = test_random(&seed) % document->text.length;
        const char *place = strstr(document->text.data + at, border);
        at = place ? (size_t)(place - document->text.data) + strlen(border) : 0;
        sat_document edited;
        sat_document_init(&edited, &context->memory);
        sat_buffer_append(&edited.text, document->text.data, at);
        sat_buffer_append_text(&edited.text, sentence);
        sat_buffer_append(&edited.text, document->text.data + at, document->text.length - at);
        for (size_t k = 0; k < document->locator_count; k++) {
            const satchel_locator *locator = &document->locators[k];
            size_t start = (size_t)locator->start;
            assert_true(sat_document_locate(&edited, locator->kind, locator->number,
                                            start >= at ? start + strlen(sentence) : start,
                                            locator->label, strlen(locator->label)));
        }
        sat_chunk_list after = cut(context, &edited, &embedder, 64);
        size_t fresh = count_new(&before, &after);
        assert_true(fresh > 0);
        if (fresh > most)
            fail_msg("an edit at byte %zu changed %zu chunks of %zu", at, fresh, before.count);
        sum += fresh;
        sat_chunk_list_free(&after);
        sat_document_free(&edited);
    }
    if ((double)sum / (double)edits > mean)
        fail_msg("an edit changes %.1f chunks on average", (double)sum / (double)edits);
    sat_chunk_list_free(&before);
}

static void an_edit_of_a_long_text_changes_few_chunks(void **state) {
    sat_document document = new_document(*state, "");
    add_sentences(&document, 5000, 5);
    expect_local_edits(*state, &document, "A new sentence came in here. ", ". ", 30, 10);
    sat_document_free(&document);
}

static void an_edit_of_one_long_paragraph_changes_few_chunks(void **state) {
    satchel_context *context = *state;
    sat_document document = new_document(context, "");
    add_sentences(&document, 5000, 6);
    for (size_t i = 0; i < document.text.length; i++)
        if (document.text.data[i] == '\n')
            document.text.data[i] = ' ';
    expect_local_edits(context, &document, "A new sentence came in here. ", ". ", 30, 10);
    sat_document_free(&document);
}

static void an_edit_under_headings_changes_few_chunks(void **state) {
    sat_document document = new_document(*state, "");
    for (int i = 0; i < 300; i++) {
        char label[32];
        snprintf(label, sizeof label, "Part %d", i);
        add_heading(&document, 1 + i % 4, label);
        add_sentences(&document, 10 + i % 30, (uint64_t)i);
    }
    expect_local_edits(*state, &document, "A new sentence came in here. ", ". ", 30, 10);
    sat_document_free(&document);
}

static void an_edit_of_chinese_changes_few_chunks(void **state) {
    sat_document document = new_document(*state, "");
    uint64_t seed = 8;
    for (int i = 0; i < 40000; i++) {
        char utf8[5] = "";
        sat_utf8_encode(0x4E00 + (int32_t)(test_random(&seed) % 5000), utf8);
        add_text(&document, utf8);
        if (test_random(&seed) % 25 == 0)
            add_text(&document, "\xE3\x80\x82");
    }
    expect_local_edits(*state, &document, "\xE6\x96\xB0\xE5\x8F\xA5\xE5\xAD\x90\xE3\x80\x82",
                       "\xE3\x80\x82", 30, 10);
    sat_document_free(&document);
}

/* ------------------------------------------------------------------ random documents, errors */

static size_t skip_white(const sat_document *document, size_t at) {
    int32_t code = ' ';
    size_t size = 0;
    for (; at < document->text.length && sat_is_space(code); at += size)
        size = sat_utf8_decode(document->text.data + at, document->text.length - at, &code);
    return sat_is_space(code) ? at : at - size;
}

/* Before a heading of level 1 or 2 inside of a chunk there are only headings, one after another. */
static void expect_no_great_heading_inside(const sat_document *document, const sat_chunk *chunk) {
    for (size_t i = 0; i < document->locator_count; i++) {
        size_t place = (size_t)document->locators[i].start;
        if (document->locators[i].number > 2 || place <= chunk->start || place >= chunk->end ||
            skip_white(document, place) != place)
            continue;
        for (size_t at = chunk->start; at < place;) {
            size_t next = at;
            for (size_t k = 0; k < i; k++)
                if ((size_t)document->locators[k].start == at)
                    next = at + strlen(document->locators[k].label);
            assert_true(next > at);
            at = skip_white(document, next);
        }
    }
}

static void any_document_is_cut_as_promised(void **state) {
    satchel_context *context = *state;
    static const char *const parts[] = {
        "word ",
        "Another sentence ends. ",
        "\n",
        "\n\n",
        "\r\n\r\n",
        "- item\n",
        "\xE5\xAD\x97",
        "\xE3\x80\x82",
        "  ",
        "\xF0\x9F\x98\x80",
        "...",
        "e\xCC\x81\xCC\x81",
        "\xE0\xB9\x84\xE0\xB8\x97",
        "https://example.com/a/very/long/address/that/goes/on/and/on/and/on/without/an/end/",
        ", ",
        "\xE2\x80\xA9",
        "\xC2\xA0",
        "3.14",
        "!",
        ("A long sentence with many words in it, of which some stand after commas, others after "
         "none at all, so that it has to be cut somewhere. ")};
    uint64_t seed = 61;
    for (int round = 0; round < 400; round++) {
        sat_document document = new_document(context, "");
        size_t count = test_random(&seed) % 300;
        for (size_t i = 0; i < count; i++) {
            if (test_random(&seed) % 20 == 0)
                add_heading(&document, 1 + (int)(test_random(&seed) % 6),
                            parts[test_random(&seed) % SAT_COUNT(parts)]);
            else
                add_text(&document, parts[test_random(&seed) % SAT_COUNT(parts)]);
        }
        counter counted = {0};
        satchel_embedder embedder = embedder_of(&counted);
        int32_t budget = 16 + (int32_t)(test_random(&seed) % 200);
        sat_chunk_list list = cut(context, &document, &embedder, budget);
        for (size_t c = 0; c < list.count && list.count > 1; c++)
            expect_no_great_heading_inside(&document, &list.chunks[c]);
        sat_chunk_list_free(&list);
        list = cut(context, &document, NULL, budget);
        sat_chunk_list_free(&list);
        sat_document_free(&document);
    }
}

static void a_counter_that_fails_stops_it(void **state) {
    satchel_context *context = *state;
    sat_document document = new_document(context, "");
    add_heading(&document, 1, "Heading");
    add_sentences(&document, 20, 1);
    for (int i = 0; i < 100; i++)
        add_text(&document, "\xE5\xAD\x97");
    bool finished = false;
    for (size_t fail_at = 1; !finished; fail_at++) {
        counter counted = {.fail_at = fail_at};
        satchel_embedder embedder = embedder_of(&counted);
        sat_chunk_list list;
        satchel_error error = {0};
        satchel_status status =
            sat_chunk_document(&list, &context->memory, &document, &embedder, 32, &error);
        finished = counted.calls < fail_at;
        assert_int_equal(status, finished ? SATCHEL_OK : SATCHEL_IO);
        assert_true(finished || (strstr(error.message, "counter") && list.count == 0));
        sat_chunk_list_free(&list);
    }
    sat_document_free(&document);
}

static satchel_status cut_into_chunks(sat_memory *memory, void *user) {
    sat_chunk_list list;
    satchel_status status = sat_chunk_document(&list, memory, user, NULL, 32, NULL);
    sat_chunk_list_free(&list);
    return status;
}

static void memory_failures_are_told(void **state) {
    sat_document document = new_document(*state, "");
    add_heading(&document, 1, "Heading");
    add_sentences(&document, 30, 1);
    add_heading(&document, 2, "Other");
    add_sentences(&document, 30, 2);
    fail_memory(cut_into_chunks, &document);
    sat_document_free(&document);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_document_that_fits_is_one_chunk),
        cmocka_unit_test(an_empty_document_has_no_chunk),
        cmocka_unit_test(great_headings_part_chunks),
        cmocka_unit_test(small_headings_are_the_first_choice_for_a_cut),
        cmocka_unit_test(heading_paths_are_bounded),
        cmocka_unit_test(locators_of_application_readers_are_taken_as_they_come),
        cmocka_unit_test(pages_and_times_are_those_at_the_start),
        cmocka_unit_test(chunks_come_out_even),
        cmocka_unit_test(sentences_too_long_for_a_chunk_are_cut_at_words),
        cmocka_unit_test(budgets_are_kept_within_reason),
        cmocka_unit_test(text_is_counted_once_or_twice),
        cmocka_unit_test(an_edit_of_a_long_text_changes_few_chunks),
        cmocka_unit_test(an_edit_of_one_long_paragraph_changes_few_chunks),
        cmocka_unit_test(an_edit_under_headings_changes_few_chunks),
        cmocka_unit_test(an_edit_of_chinese_changes_few_chunks),
        cmocka_unit_test(any_document_is_cut_as_promised),
        cmocka_unit_test(a_counter_that_fails_stops_it),
        cmocka_unit_test(memory_failures_are_told),
    };
    return cmocka_run_group_tests(tests, open_context, close_context);
}
