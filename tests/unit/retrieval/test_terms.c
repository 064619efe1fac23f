/* The tokenizer: text to index terms, and back to the bytes they come from. */
#include "tests/unit/base/failing.h"
#include "tests/unit/retrieval/reading.h"

#include <utf8proc.h>

/* ------------------------------------------------------------------ helpers */

typedef struct collected {
    char terms[1 << 16]; /* each followed by a space; the character beside a pair as "+c " */
    size_t length, count, last_start;
    const char *text;
    size_t text_length;
    bool invalid; /* it is not UTF-8 */
} collected;

static int collect(void *user, const char *term, size_t length, size_t start, size_t end) {
    collected *all = user;
    assert_true(length > 0 && length <= 64);
    assert_int_equal(sat_utf8_valid(term, length), length);
    assert_true(start < end && end <= all->text_length && start >= all->last_start);
    if (!all->invalid) {
        assert_int_equal(sat_utf8_border(all->text, all->text_length, start), start);
        assert_int_equal(sat_utf8_border(all->text, all->text_length, end), end);
    }
    assert_true(all->length + length + 1 < sizeof all->terms);
    memcpy(all->terms + all->length, term, length);
    all->length += length;
    all->terms[all->length++] = ' ';
    all->terms[all->length] = '\0';
    all->last_start = start;
    all->count++;
    return 0;
}

static int collect_beside(void *user, const char *term, size_t length, size_t start, size_t end) {
    collected *all = user;
    all->terms[all->length++] = '+';
    return collect(user, term, length, start, end);
}

static sat_terms *make_terms(satchel_context *context) {
    sat_terms *terms;
    assert_int_equal(sat_terms_open(&terms, &context->memory, NULL), SATCHEL_OK);
    return terms;
}

static void expect_terms(satchel_context *context, const char *text, const char *expected) {
    static collected all;
    all = (collected){.text = text, .text_length = strlen(text)};
    sat_terms *terms = make_terms(context);
    assert_int_equal(sat_terms_each(terms, text, strlen(text), collect, &all), 0);
    sat_terms_close(&terms);
    if (all.length)
        all.terms[all.length - 1] = '\0';
    if (strcmp(all.terms, expected) != 0)
        fail_msg("\"%s\" gave \"%s\", not \"%s\"", text, all.terms, expected);
}

/* ------------------------------------------------------------------ folding */

static void words_are_folded(void **state) {
    expect_terms(*state, "", "");
    expect_terms(*state, " .,-!\n\t", "");
    expect_terms(*state, "Don't PANIC, R2-D2!", "don t panic r2 d2");
    expect_terms(*state, "\xEF\xAC\x81n \xE2\x91\xA0 \xC2\xBD \xE3\x8E\x8F m\xC2\xB2",
                 "fin 1 1 2 kg m2"); /* ﬁn ① ½ ㎏ m² */
    expect_terms(*state, "STRA\xC3\x9F\xC3\x98",
                 "strass\xC3\xB8");               /* sharp s, and a letter of its own */
    expect_terms(*state, "co\xC2\xADop", "coop"); /* soft hyphen */
}

static void marks_of_latin_and_greek_letters_go(void **state) {
    expect_terms(*state, "F\xC3\x9CHREN fu\xCC\x88hren f\xC3\xBChren", "fuhren fuhren fuhren");
    expect_terms(*state, "\xCE\xAC\xCE\xBB\xCF\x86\xCE\xB1 \xC5\x82 \xE1\xBA\xA5",
                 "\xCE\xB1\xCE\xBB\xCF\x86\xCE\xB1 \xC5\x82 a");
    /* Elsewhere a mark makes another letter, or is a vowel. */
    expect_terms(*state, "\xD0\x99\xD0\x98 \xD0\xB8\xCC\x86", "\xD0\xB9\xD0\xB8 \xD0\xB9");
    expect_terms(*state, "\xE0\xA4\xB9\xE0\xA4\xBF\xE0\xA4\xA8\xE0\xA5\x8D\xE0\xA4\xA6\xE0\xA5\x80",
                 "\xE0\xA4\xB9\xE0\xA4\xBF\xE0\xA4\xA8\xE0\xA5\x8D\xE0\xA4\xA6\xE0\xA5\x80");
}

static void ascii_words_are_stemmed(void **state) {
#ifdef SATCHEL_HAVE_STEMMERS
    expect_terms(*state, "running runs Run hopping hoping generously x1ing",
                 "run run run hop hope generous x1ing");
    expect_terms(*state, "caf\xC3\xA9s", "cafe"); /* after folding */
#else
    expect_terms(*state, "running runs", "running runs");
#endif
    expect_terms(*state, "\xD0\xB4\xD0\xBE\xD0\xBC\xD0\xB0", "\xD0\xB4\xD0\xBE\xD0\xBC\xD0\xB0");
}

static void scripts_without_spaces_give_pairs(void **state) {
    expect_terms(*state, "\xE5\x8C\x97\xE4\xBA\xAC\xE5\xB8\x82",
                 "\xE5\x8C\x97\xE4\xBA\xAC \xE4\xBA\xAC\xE5\xB8\x82");
    expect_terms(*state, "\xE7\x8C\xAB\xE3\x80\x82", "\xE7\x8C\xAB");
    expect_terms(*state, "2\xE5\x8F\xB7ok\xE7\xBA\xBF\xE8\xB7\xAF",
                 "2 \xE5\x8F\xB7 ok \xE7\xBA\xBF\xE8\xB7\xAF");
    /* half-width kana with a voicing mark: one character */
    expect_terms(*state, "\xEF\xBE\x8A\xEF\xBE\x9E\xEF\xBD\xBD", "\xE3\x83\x90\xE3\x82\xB9");
    expect_terms(*state, "\xE0\xB9\x84\xE0\xB8\x97\xE0\xB8\xA2",
                 "\xE0\xB9\x84\xE0\xB8\x97 \xE0\xB8\x97\xE0\xB8\xA2");
    /* Korean has spaces, and particles at its words */
    expect_terms(*state,
                 "\xED\x95\x9C\xEA\xB5\xAD\xEC\x96\xB4 \xE1\x84\x92\xE1\x85\xA1\xE1\x86\xAB",
                 "\xED\x95\x9C\xEA\xB5\xAD \xEA\xB5\xAD\xEC\x96\xB4 \xED\x95\x9C");
}

static void long_words_are_cut_between_characters(void **state) {
    char text[400] = "", expected[400] = "";
    for (int i = 0; i < 100; i++)
        strcat(text, "\xD0\xB6");
    for (int i = 0; i < 32; i++)
        strcat(expected, "\xD0\xB6");
    strcat(text, " end");
    strcat(expected, " end");
    expect_terms(*state, text, expected);
    memset(text, 'z', 300);
    text[300] = '\0';
    memset(expected, 'z', 64);
    expected[64] = '\0';
    expect_terms(*state, text, expected);
}

/* ------------------------------------------------------------------ ranges */

typedef struct range_check {
    const char *terms[16];
    size_t starts[16], ends[16], count;
    int expected;
} range_check;

static int check_range(void *user, const char *term, size_t length, size_t start, size_t end) {
    range_check *check = user;
    size_t i = check->count++;
    assert_true(check->terms[i] && strlen(check->terms[i]) == length);
    assert_memory_equal(term, check->terms[i], length);
    assert_int_equal(start, check->starts[i]);
    assert_int_equal(end, check->ends[i]);
    return 0;
}

static void ranges_are_those_of_the_text(void **state) {
    sat_terms *terms = make_terms(*state);
    /*                          0         1            2
     *                          0123456 78901234 5678 901234567  */
    static const char text[] = "A \xEF\xAC\x81ne; \xE5\x8C\x97\xE4\xBA\xAC\xE5\xB8\x82! e\xCC\x81t";
    range_check check = {
        {"a", "fine", "\xE5\x8C\x97\xE4\xBA\xAC", "\xE4\xBA\xAC\xE5\xB8\x82", "et"},
        {0, 2, 9, 12, 20},
        {1, 7, 15, 18, 24},
        0,
        5};
    assert_int_equal(sat_terms_each(terms, text, strlen(text), check_range, &check), 0);
    assert_int_equal(check.count, 5);
    sat_terms_close(&terms);
}

static void an_index_gets_the_last_character_too(void **state) {
    static collected all;
    static const char text[] = "\xE6\x88\x91\xE5\x96\x9C\xE7\x8C\xAB\xE3\x80\x82\xE7\x8C\xAB ok";
    all = (collected){.text = text, .text_length = strlen(text)};
    sat_terms *terms = make_terms(*state);
    assert_int_equal(sat_terms_index(terms, text, strlen(text), collect, collect_beside, &all), 0);
    assert_string_equal(all.terms,
                        "\xE6\x88\x91\xE5\x96\x9C \xE5\x96\x9C\xE7\x8C\xAB +\xE7\x8C\xAB "
                        "\xE7\x8C\xAB ok ");
    sat_terms_close(&terms);
}

static int stop_at_third(void *user, const char *term, size_t length, size_t start, size_t end) {
    return ++*(int *)user == 3 ? 77 : 0;
}

static void a_callback_can_stop(void **state) {
    static const char *const texts[] = {
        "a b c d", "a b c", "\xE5\x8C\x97\xE4\xBA\xAC\xE5\xB8\x82\xE5\x8C\x97\xE4\xBA\xAC",
        "\xC3\xA9 \xC3\xA9 \xC3\xA9"};
    sat_terms *terms = make_terms(*state);
    for (size_t i = 0; i < SAT_COUNT(texts); i++) {
        int calls = 0;
        assert_int_equal(sat_terms_each(terms, texts[i], strlen(texts[i]), stop_at_third, &calls),
                         77);
        assert_int_equal(calls, 3);
    }
    sat_terms_close(&terms);
}

/* ------------------------------------------------------------------ properties */

/* Text of all kinds of characters, with runs of one kind and the odd ones that join. */
static size_t random_text(uint64_t *seed, char *out, size_t characters) {
    static const struct {
        int32_t first, last;
    } pools[] = {{0x20, 0x7E},       {0x61, 0x7A},       {0xA0, 0x24F},      {0x300, 0x36F},
                 {0x370, 0x52F},     {0x5D0, 0x6FF},     {0x900, 0xDFF},     {0xE01, 0xE5B},
                 {0x1100, 0x11FF},   {0x1E00, 0x20FF},   {0x2100, 0x24FF},   {0x3040, 0x31FF},
                 {0x4E00, 0x4FFF},   {0xAC00, 0xAD00},   {0xF900, 0xFAFF},   {0xFE00, 0xFFEF},
                 {0x1F600, 0x1F64F}, {0x10400, 0x1044F}, {0x20000, 0x20100}, {0x1D400, 0x1D7FF}};
    size_t length = 0, pool = 0;
    for (size_t i = 0; i < characters; i++) {
        if (test_random(seed) % 4 == 0)
            pool = test_random(seed) % SAT_COUNT(pools);
        int32_t width = pools[pool].last - pools[pool].first + 1;
        length += sat_utf8_encode(
            pools[pool].first + (int32_t)(test_random(seed) % (uint32_t)width), out + length);
    }
    return length;
}

/* The terms by the rules as they stand, without stemming: the whole text is folded at once, then
 * decomposed, and walked by character. */
static size_t plain_terms(const char *text, size_t length, sat_memory *memory, char *out) {
    sat_buffer folded;
    sat_buffer_init(&folded, memory);
    assert_int_equal(sat_text_casefold(&folded, text, length), SATCHEL_OK);
    size_t count = 0, size, run = 0;
    char word[1 << 14], last[5] = "";
    size_t word_length = 0;
    int kind = 0; /* 1: word, 2: without spaces */
    bool drop = false;
    out[0] = '\0';
    for (size_t at = 0; at <= folded.length; at += size) {
        int32_t code = ' ';
        size = 1;
        if (at < folded.length)
            size = sat_utf8_decode(folded.data + at, folded.length - at, &code);
        if (drop && code >= 0x300 && code <= 0x36F)
            continue;
        bool latin = code < 0x250 || (code >= 0x1E00 && code <= 0x1FFF) ||
                     (code >= 0x370 && code <= 0x3FF) || (code >= 0x2C60 && code <= 0x2C7F) ||
                     (code >= 0xA720 && code <= 0xA7FF) || (code >= 0xAB30 && code <= 0xAB6F);
        drop = latin && sat_is_letter(code);
        if (drop) {
            utf8proc_int32_t parts[8];
            int class = 0;
            utf8proc_decompose_char(code, parts, 8, UTF8PROC_DECOMPOSE, &class);
            bool stays = parts[0] >= 0x250 && parts[0] < 0x370; /* another alphabet's letter */
            code = stays ? code : parts[0];
        }
        char utf8[5] = "";
        sat_utf8_encode(code, utf8);
        int next = sat_is_unspaced(code) || (code >= 0xAC00 && code <= 0xD7A3) ? 2
                   : sat_is_letter(code) || sat_is_digit(code)                 ? 1
                   : sat_is_mark(code)                                         ? kind
                                                                               : 0;
        if (next != kind) {
            if (kind == 1) {
                word_length =
                    word_length > 64 ? sat_utf8_border(word, word_length, 64) : word_length;
                count += (size_t)1;
                sprintf(out + strlen(out), "%.*s ", (int)word_length, word);
            } else if (kind == 2 && run == 1) {
                count++;
                sprintf(out + strlen(out), "%s ", last);
            }
            word_length = run = 0;
            kind = next;
        }
        if (kind == 1) {
            memcpy(word + word_length, utf8, strlen(utf8));
            word_length += strlen(utf8);
        } else if (kind == 2) {
            if (run++ > 0) {
                count++;
                sprintf(out + strlen(out), "%s%s ", last, utf8);
            }
            strcpy(last, utf8);
        }
    }
    sat_buffer_free(&folded);
    return count;
}

static bool is_plain_word(const char *term, size_t length) {
    for (size_t i = 0; i < length; i++)
        if (term[i] < 'a' || term[i] > 'z')
            return false;
    return length > 0;
}

/* Folding in small pieces gives what folding all at once gives. */
static void terms_are_those_of_the_rules(void **state) {
    satchel_context *context = *state;
    static collected all;
    static char text[4096], expected[1 << 16];
    uint64_t seed = 11;
    sat_terms *terms = make_terms(context);
    for (int round = 0; round < 4000; round++) {
        size_t length = random_text(&seed, text, test_random(&seed) % 60);
        all = (collected){.text = text, .text_length = length};
        assert_int_equal(sat_terms_each(terms, text, length, collect, &all), 0);
        size_t count = plain_terms(text, length, &context->memory, expected);
        const char *have = all.terms, *want = expected;
        for (size_t i = 0; i < count; i++) {
            size_t have_length = strcspn(have, " "), want_length = strcspn(want, " ");
            bool same = have_length == want_length && memcmp(have, want, have_length) == 0;
            /* The stemmer is not in question here. */
            if (!same && !is_plain_word(want, want_length))
                fail_msg("\"%.*s\" gave %.*s, not %.*s", (int)length, text, (int)have_length, have,
                         (int)want_length, want);
            have += have_length + (have[have_length] != '\0');
            want += want_length + 1;
        }
        assert_int_equal(all.count, count);
    }
    sat_terms_close(&terms);
}

typedef struct again {
    sat_terms *terms;
    const char *text, *term;
    size_t length;
    bool found;
} again;

static int compare_term(void *user, const char *term, size_t length, size_t start, size_t end) {
    again *self = user;
    self->found |= length == self->length && memcmp(term, self->term, length) == 0;
    return 0;
}

static int look_again(void *user, const char *term, size_t length, size_t start, size_t end) {
    again self = *(again *)user;
    char copy[64];
    int32_t first;
    sat_utf8_decode(term, length, &first);
    if (sat_is_mark(first)) /* a Thai vowel that folds into a mark and a letter */
        return 0;
    memcpy(copy, term, length);
    self.term = copy;
    self.length = length;
    self.found = false;
    assert_int_equal(
        sat_terms_each(self.terms, self.text + start, end - start, compare_term, &self), 0);
    if (!self.found)
        fail_msg("\"%.*s\" is not in \"%.*s\"", (int)length, term, (int)(end - start),
                 self.text + start);
    return 0;
}

/* A term's range holds the term. */
static void ranges_hold_their_terms(void **state) {
    static char text[4096];
    uint64_t seed = 12;
    sat_terms *terms = make_terms(*state), *others = make_terms(*state);
    for (int round = 0; round < 2000; round++) {
        size_t length = random_text(&seed, text, test_random(&seed) % 60);
        again self = {.terms = others, .text = text};
        assert_int_equal(sat_terms_each(terms, text, length, look_again, &self), 0);
    }
    sat_terms_close(&terms);
    sat_terms_close(&others);
}

static void hostile_text_is_survived(void **state) {
    static collected all;
    uint64_t seed = 13;
    sat_terms *terms = make_terms(*state);
    for (int round = 0; round < 500; round++) { /* bytes that are no text at all */
        size_t length = test_random(&seed) % 200;
        char *exact = malloc(length + 1);
        for (size_t i = 0; i < length; i++)
            exact[i] = (char)test_random(&seed);
        all = (collected){.text = exact, .text_length = length, .invalid = true};
        assert_int_equal(sat_terms_each(terms, exact, length, collect, &all), 0);
        free(exact);
    }
    enum { MARKS = 100000 }; /* one letter with very many marks */
    char *marks = malloc(2 * MARKS + 1);
    marks[0] = 'o';
    for (size_t i = 0; i < MARKS; i++)
        memcpy(marks + 1 + 2 * i, "\xCC\x88", 2);
    all = (collected){.text = marks, .text_length = 2 * MARKS + 1};
    assert_int_equal(sat_terms_each(terms, marks, 2 * MARKS + 1, collect, &all), 0);
    assert_string_equal(all.terms, "o ");
    free(marks);
    sat_terms_close(&terms);
}

/* ------------------------------------------------------------------ prefix classes */

static void prefix_classes_are_five_characters_of_longer_words(void **state) {
    assert_int_equal(sat_term_prefix("", 0), 0);
    assert_int_equal(sat_term_prefix("short", 5), 0);
    assert_int_equal(sat_term_prefix("longer", 6), 5);
    assert_int_equal(sat_term_prefix("\xD0\xB4\xD0\xBE\xD0\xBC\xD0\xB0\xD1\x88\xD0\xBD", 12), 10);
    assert_int_equal(sat_term_prefix("\xE5\x8C\x97\xE4\xBA\xAC", 6), 0);
}

static int ignore_term(void *user, const char *term, size_t length, size_t start, size_t end) {
    return 0;
}

static satchel_status each_term(sat_memory *memory, void *user) {
    static const char text[] = "Plain caf\xC3\xA9 \xE5\x8C\x97\xE4\xBA\xAC running";
    sat_terms *terms;
    satchel_status status = sat_terms_open(&terms, memory, NULL);
    assert_int_equal(status != SATCHEL_OK, terms == NULL);
    if (!status)
        status = sat_terms_each(terms, text, strlen(text), ignore_term, NULL);
    sat_terms_close(&terms);
    return status;
}

static void memory_failures_are_told(void **state) {
    fail_memory(each_term, NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_are_folded),
        cmocka_unit_test(marks_of_latin_and_greek_letters_go),
        cmocka_unit_test(ascii_words_are_stemmed),
        cmocka_unit_test(scripts_without_spaces_give_pairs),
        cmocka_unit_test(long_words_are_cut_between_characters),
        cmocka_unit_test(ranges_are_those_of_the_text),
        cmocka_unit_test(an_index_gets_the_last_character_too),
        cmocka_unit_test(a_callback_can_stop),
        cmocka_unit_test(terms_are_those_of_the_rules),
        cmocka_unit_test(ranges_hold_their_terms),
        cmocka_unit_test(hostile_text_is_survived),
        cmocka_unit_test(prefix_classes_are_five_characters_of_longer_words),
        cmocka_unit_test(memory_failures_are_told),
    };
    return cmocka_run_group_tests(tests, open_context, close_context);
}
