/* WordPiece on a small vocabulary: what BERT's tokenizer does to letters, marks, scripts and words, in
 * both layouts of the vocabulary. Whole texts against the original tokenizer: tests/peers. */
#include "tests/unit/base/unit.h"

#include <math.h>

#include "generate/wordpiece.h"
#include "tests/support/tiny_model.h"

typedef struct fixture {
    satchel_context *context;
    uint8_t *bytes[3];
    sat_gguf *gguf[3];
    sat_wordpiece *wordpiece[3]; /* llama.cpp's layout, BERT's own, cased */
} fixture;

static fixture shared;

static int open_all(void **state) {
    static const tiny_shape shapes[3] = {{0}, {.hashes = true}, {.cased = true}};
    satchel_status status = sat_context_open(&shared.context, NULL, NULL);
    for (int i = 0; i < 3 && !status; i++) {
        size_t size;
        shared.bytes[i] = tiny_model_bytes(&shapes[i], &size);
        status = sat_gguf_open(&shared.gguf[i], shared.context, shared.bytes[i], size, "t", NULL);
        if (!status)
            status = sat_wordpiece_open(&shared.wordpiece[i], shared.context, shared.gguf[i], NULL);
    }
    return status;
}

static int close_all(void **state) {
    for (int i = 0; i < 3; i++) {
        sat_wordpiece_close(&shared.wordpiece[i]);
        sat_gguf_close(&shared.gguf[i]);
        free(shared.bytes[i]);
    }
    sat_context_release(shared.context);
    return 0;
}

/* Compares with pieces as BERT spells them, parted by spaces. */
static void check(const sat_wordpiece *wordpiece, const char *text, size_t length,
                  const char *pieces) {
    int32_t ids[512];
    size_t count, at = 0;
    assert_int_equal(sat_wordpiece_encode(wordpiece, text, length, ids, 512, &count, NULL),
                     SATCHEL_OK);
    char copy[4096], *rest = copy;
    snprintf(copy, sizeof copy, "%s", pieces);
    for (char *piece; (piece = strsep(&rest, " ")) != NULL;) {
        if (!*piece)
            continue;
        if (at >= count || ids[at] != tiny_id(piece))
            fail_msg("\"%s\": piece %zu is %d, not %s (%d)", text, at, at < count ? ids[at] : -1,
                     piece, tiny_id(piece));
        at++;
    }
    if (at != count)
        fail_msg("\"%s\": %zu pieces, not %zu", text, count, at);
}

static void check_both(const char *text, const char *pieces) {
    check(shared.wordpiece[0], text, strlen(text), pieces);
    check(shared.wordpiece[1], text, strlen(text), pieces);
}

/* ------------------------------------------------------------------ what BERT does */

static void words_are_spelt_with_the_longest_pieces(void **state) {
    check_both("unwanted running", "un ##want ##ed runn ##ing");
    check_both("unaffable", "un ##aff ##able");
    check_both("hello", "hello");
    check_both("hellos", "hello ##s");
    check_both("wanting", "want ##ing");
    check_both("", "");
    check_both("zz", "z ##z");
}

static void a_word_that_cannot_be_spelt_is_one_unknown(void **state) {
    check_both("hello4 world", "[UNK] world"); /* 4 has no piece inside a word */
    check_both("\xD7\x90\xD7\x91", "[UNK]");
    check_both("un\xD7\x90 un", "[UNK] un");
}

static void case_and_accents_are_dropped(void **state) {
    check_both("HELLO WoRLD", "hello world");
    check_both("Caf\xC3\xA9", "cafe");  /* composed */
    check_both("CAFE\xCC\x81", "cafe"); /* and not */
    check_both("\xC3\x85\xC3\xA7\xC3\xB1", "a ##c ##n");
    check_both("\xCC\x81", ""); /* an accent alone is nothing */
    check_both("Stra\xC3\x9F"
               "e",
               "[UNK]"); /* sharp s is a letter of its own */
    check_both("\xC3\x9F", "\xC3\x9F");
    check_both("\xC4\xB0", "i");                           /* capital I with a dot */
    check_both("\xE2\x84\xAA", "k");                       /* the Kelvin sign */
    check_both("\xCE\xA3\xCE\xA3", "\xCF\x83 ##\xCF\x83"); /* no final sigma in lower-casing */
    check_both("\xD0\xB9", "\xD0\xB8");                    /* short i decomposes */
}

static void white_space_and_punctuation_part_words(void **state) {
    check_both(" hello\t\n\r world ", "hello world");
    check_both("hello\xC2\xA0world\xE3\x80\x80the\xE2\x80\xA8of", "hello world the of");
    check_both("hello,world!?", "hello , world ! ?");
    check_both("the-$#(of)", "the - $ # ( of )");
    check_both("`a`", "` a `"); /* a symbol to Unicode, punctuation to BERT */
    check_both("the\xE3\x80\x82\xC2\xBFof", "the \xE3\x80\x82 \xC2\xBF of");
    check_both("a\xCD\xBE"
               "b",
               "a ; b"); /* the Greek question mark becomes a semicolon */
}

static void control_characters_vanish_inside_words(void **state) {
    check(shared.wordpiece[0], "he\0llo\x7F wor\x01ld", 14, "hello world");
    check_both("he\xE2\x80\x8Dllo", "hello");     /* zero-width joiner */
    check_both("he\xC2\xADllo", "hello");         /* soft hyphen */
    check_both("\xEF\xBB\xBFhello", "hello");     /* byte order mark */
    check_both("he\xEF\xBF\xBDllo", "hello");     /* replacement character */
    check_both("he\xC2\x85llo\x0B\x0C", "hello"); /* a control to BERT, no white space */
}

static void chinese_characters_are_words(void **state) {
    check_both("\xE4\xBD\xA0\xE5\xA5\xBDthe\xE4\xB8\x96",
               "\xE4\xBD\xA0 \xE5\xA5\xBD the \xE4\xB8\x96");
    check_both("a\xE4\xB8\xA5"
               "b",
               "a [UNK] b");
    check_both("\xEF\xA4\x80",
               "\xE8\xB1\x88"); /* a compatibility ideograph becomes the usual one */
    check_both("\xF0\x9F\x98\x80\xF0\x9F\x98\x80", "[UNK]"); /* emoji are not: one word */
    check_both("\xF0\x9F\x98\x80", "\xF0\x9F\x98\x80");
}

static void syllables_and_signs_are_decomposed(void **state) {
    check_both("\xED\x95\x9C", "\xE1\x84\x92 ##\xE1\x85\xA1 ##\xE1\x86\xAB"); /* Hangul */
    check_both("\xE0\xA4\x95\xE0\xA4\xBE",
               "\xE0\xA4\x95 ##\xE0\xA4\xBE"); /* a spacing mark stays */
}

static void words_of_more_than_100_characters_are_unknown(void **state) {
    char text[512], pieces[1024] = "a";
    memset(text, 'a', 100);
    text[100] = 0;
    for (int i = 1; i < 100; i++)
        strcat(pieces, " ##a");
    check_both(text, pieces);
    strcpy(text + 100, "a the");
    check_both(text, "[UNK] the");
    for (int i = 0; i < 100; i++) /* characters count, not bytes; after decomposition */
        memcpy(text + 2 * i, "\xC3\xA4", 3);
    check_both(text, pieces);
    for (int i = 0; i < 34; i++) /* 102 of them once the syllables are taken apart */
        memcpy(text + 3 * i, "\xED\x95\x9C", 4);
    check_both(text, "[UNK]");
}

/* Spacing marks with a combining class: their order is Unicode's, whatever order they came in. */
static void marks_are_put_in_canonical_order(void **state) {
    enum { LENGTH = 4 };
    static const char *const marks[2] = {"\xE3\x80\xAE", "\xF0\x96\xBF\xB0"}; /* classes 224, 6 */
    char forward[16], backward[16];
    sat_wordpiece_feed feed[2];
    snprintf(forward, sizeof forward, "a%s%s", marks[1], marks[0]);
    snprintf(backward, sizeof backward, "a%s%s", marks[0], marks[1]);
    for (int i = 0; i < 2; i++) {
        const char *text = i ? forward : backward;
        sat_wordpiece_begin(&feed[i], shared.wordpiece[0], NULL, 0, false);
        assert_int_equal(sat_wordpiece_add(&feed[i], text, strlen(text), NULL), SATCHEL_OK);
    }
    assert_int_equal(feed[0].length, feed[1].length);
    assert_memory_equal(feed[0].word, feed[1].word, feed[0].length);
    assert_memory_equal(feed[0].word, forward, feed[0].length);
}

/* But not across a character of class 0, though it is dropped itself (U+034F joins graphemes). */
static void marks_stay_behind_what_parts_them(void **state) {
    const char *text = "a\xE3\x80\xAE\xCD\x8F\xF0\x96\xBF\xB0",
               *kept = "a\xE3\x80\xAE\xF0\x96\xBF\xB0";
    sat_wordpiece_feed feed;
    sat_wordpiece_begin(&feed, shared.wordpiece[0], NULL, 0, false);
    assert_int_equal(sat_wordpiece_add(&feed, text, strlen(text), NULL), SATCHEL_OK);
    assert_int_equal(feed.length, strlen(kept));
    assert_memory_equal(feed.word, kept, feed.length);
}

static void cased_vocabularies_keep_case_and_accents(void **state) {
    const sat_wordpiece *cased = shared.wordpiece[2];
    check(cased, "Hello hello", 11, "Hello hello");
    check(cased, "\xC4\xB0 I i", 6, "\xC4\xB0 I i");
    check(cased, "caf\xC3\xA9", 5, "[UNK]");
}

/* ------------------------------------------------------------------ what Satchel promises */

static void text_never_becomes_a_special_token(void **state) {
    check_both("[SEP]", "[ sep ]");
    check_both("[CLS] hello [MASK][UNK][PAD]", "[ cls ] hello [ mask ] [ un ##k ] [ p ##a ##d ]");
    for (int i = 0; i < 2; i++) {
        char text[256];
        for (size_t t = 0; t < tiny_vocabulary_size(); t++) {
            int32_t ids[64];
            size_t count;
            snprintf(text, sizeof text, "%s", sat_wordpiece_token(shared.wordpiece[i], (int32_t)t));
            assert_int_equal(sat_wordpiece_encode(shared.wordpiece[i], text, strlen(text), ids, 64,
                                                  &count, NULL),
                             SATCHEL_OK);
            for (size_t k = 0; k < count; k++)
                assert_true(ids[k] == 1 || ids[k] > 4); /* [UNK] stands for what is not known */
        }
    }
}

static void invalid_text_is_refused_by_its_byte(void **state) {
    static const struct {
        const char *text;
        size_t length, at;
    } cases[] = {{"ab\xFF", 3, 2},         {"\xC3", 1, 0},      {"a\xE2\x82", 3, 1},
                 {"\xED\xA0\x80", 3, 0},   {"x\xC0\xAF", 3, 1}, {"\xF4\x90\x80\x80", 4, 0},
                 {"ok \xF0\x9F\x98", 6, 3}};
    for (size_t i = 0; i < SAT_COUNT(cases); i++) {
        satchel_error error;
        char expected[32];
        size_t count = 99;
        assert_int_equal(sat_wordpiece_encode(shared.wordpiece[0], cases[i].text, cases[i].length,
                                              NULL, 0, &count, &error),
                         SATCHEL_INVALID_TEXT);
        snprintf(expected, sizeof expected, "byte %zu", cases[i].at);
        assert_non_null(strstr(error.message, expected));
        assert_int_equal(count, 0);
    }
}

static void the_limit_cuts_but_counts_on(void **state) {
    const char *text = "unwanted hello4 the";
    int32_t all[16], some[16];
    size_t full, count;
    assert_int_equal(
        sat_wordpiece_encode(shared.wordpiece[0], text, strlen(text), all, 16, &full, NULL),
        SATCHEL_OK);
    assert_int_equal(full, 5);
    for (size_t limit = 0; limit <= full; limit++) {
        memset(some, 0x55, sizeof some);
        assert_int_equal(sat_wordpiece_encode(shared.wordpiece[0], text, strlen(text), some, limit,
                                              &count, NULL),
                         SATCHEL_OK);
        assert_int_equal(count, full);
        assert_memory_equal(some, all, limit * sizeof *all);
        assert_int_equal(some[limit], 0x55555555); /* nothing behind the limit */
    }
}

/* Fed in any two pieces, and stopped early, the ids are those of the whole. */
static void feeding_in_parts_changes_nothing(void **state) {
    const char *text = "Unwanted, HE\xCC\x81LLO \xE4\xBD\xA0\xE5\xA5\xBD \xC3\xA9"
                       "4 [SEP] caf\xC3\xA9s";
    size_t length = strlen(text), full;
    int32_t all[64], parts[64];
    assert_int_equal(sat_wordpiece_encode(shared.wordpiece[0], text, length, all, 64, &full, NULL),
                     SATCHEL_OK);
    for (size_t cut = 0; cut <= length; cut++) {
        if (sat_utf8_border(text, length, cut) != cut)
            continue;
        for (size_t limit = 1; limit <= full + 1; limit++) {
            sat_wordpiece_feed feed;
            sat_wordpiece_begin(&feed, shared.wordpiece[0], parts, limit, true);
            assert_int_equal(sat_wordpiece_add(&feed, text, cut, NULL), SATCHEL_OK);
            assert_int_equal(sat_wordpiece_add(&feed, text + cut, length - cut, NULL), SATCHEL_OK);
            sat_wordpiece_end(&feed);
            size_t kept = limit < full ? limit : full;
            assert_true(feed.count >= kept);
            assert_memory_equal(parts, all, kept * sizeof *all);
        }
    }
}

static void tokens_are_given_as_the_file_spells_them(void **state) {
    assert_int_equal(sat_wordpiece_size(shared.wordpiece[0]), tiny_vocabulary_size());
    assert_string_equal(sat_wordpiece_token(shared.wordpiece[0], tiny_id("hello")),
                        "\xE2\x96\x81hello");
    assert_string_equal(sat_wordpiece_token(shared.wordpiece[0], tiny_id("##ing")), "ing");
    assert_string_equal(sat_wordpiece_token(shared.wordpiece[1], tiny_id("##ing")), "##ing");
    assert_string_equal(sat_wordpiece_token(shared.wordpiece[0], 2), "[CLS]");
    assert_null(sat_wordpiece_token(shared.wordpiece[0], -1));
    assert_null(sat_wordpiece_token(shared.wordpiece[0], (int32_t)tiny_vocabulary_size()));
}

/* ------------------------------------------------------------------ how much is known */

static float share_of(const sat_wordpiece *wordpiece, const char *text) {
    float share = -1;
    assert_int_equal(sat_wordpiece_share(wordpiece, text, strlen(text), &share, NULL), SATCHEL_OK);
    return share;
}

static void the_share_counts_characters_of_longer_pieces(void **state) {
    const double root2 = 1.41421356237, root3 = 1.73205080757;
    const struct {
        const char *text;
        double share;
    } cases[] = {
        {"", 0},
        {"?! -", 0}, /* nothing to know */
        {"hello world", 1},
        {"hello?", 1},                      /* punctuation is passed over */
        {"zz", 0},                          /* spelt letter by letter */
        {"hello z", 5. / 6},                /* one letter says little */
        {"hello \xD7\x90\xD7\x91", 5. / 7}, /* a foreign word of two letters */
        {"hello \xE4\xBD\xA0", 5. / 6},     /* one Chinese character */
        {"hellos", 5 / root2 / 6},          /* hello ##s */
        {"running", 1 / root2},             /* runn ##ing */
        {"unwanted", 1 / root3},            /* un ##want ##ed */
        {"the unwanted", (3 + 8 / root3) / 11},
        {"Caf\xC3\xA9 hello4", 4. / 10},  /* an unknown word counts with all its characters */
        {"\xF0\x9F\x99\x80 the", 3. / 4}, /* unknown, so it may have been a word */
        {"\xF0\x9F\x98\x80 the", 1},      /* known, and neither letter nor number */
    };
    for (size_t i = 0; i < SAT_COUNT(cases); i++)
        for (int layout = 0; layout < 2; layout++)
            if (fabs(share_of(shared.wordpiece[layout], cases[i].text) - cases[i].share) > 1e-6)
                fail_msg("\"%s\": %g, not %g", cases[i].text,
                         (double)share_of(shared.wordpiece[layout], cases[i].text), cases[i].share);
    char text[256] = "hello ";
    memset(text + 6, 'a', 120); /* longer than any word may be */
    assert_float_equal(share_of(shared.wordpiece[0], text), 5. / 125, 1e-6);
    float share;
    assert_int_equal(sat_wordpiece_share(shared.wordpiece[0], "\xFF", 1, &share, NULL),
                     SATCHEL_INVALID_TEXT);
}

/* [UNK], [CLS], [SEP], "the", and the first `count` Chinese characters. */
static float share_with_chinese(size_t count, const char *text) {
    const char **tokens = calloc(count + 4, sizeof *tokens);
    char(*characters)[4] = calloc(count + 1, sizeof *characters);
    assert_non_null(tokens);
    assert_non_null(characters);
    tokens[0] = "[UNK]";
    tokens[1] = "[CLS]";
    tokens[2] = "[SEP]";
    tokens[3] = "the";
    for (size_t i = 0; i < count; i++) {
        sat_utf8_encode((int32_t)(0x4E00 + i), characters[i]); /* three bytes each */
        tokens[4 + i] = characters[i];
    }
    gguf_writer writer;
    gguf_writer_open(&writer);
    gguf_text(&writer, "tokenizer.ggml.model", "bert");
    gguf_texts(&writer, "tokenizer.ggml.tokens", tokens, count + 4);
    size_t size;
    uint8_t *bytes = gguf_writer_close(&writer, &size);
    sat_gguf *gguf;
    sat_wordpiece *wordpiece;
    assert_int_equal(sat_gguf_open(&gguf, shared.context, bytes, size, "t", NULL), SATCHEL_OK);
    assert_int_equal(sat_wordpiece_open(&wordpiece, shared.context, gguf, NULL), SATCHEL_OK);
    float share = share_of(wordpiece, text);
    sat_wordpiece_close(&wordpiece);
    sat_gguf_close(&gguf);
    free(bytes);
    free(characters);
    free(tokens);
    return share;
}

static void single_characters_count_in_a_vocabulary_made_of_them(void **state) {
    const char *text = "\xE4\xB8\x80\xE4\xB8\x81 the"; /* U+4E00 U+4E01 */
    assert_float_equal(share_with_chinese(1999, text), 3. / 5, 1e-6);
    assert_float_equal(share_with_chinese(2000, text), 1, 1e-6);
    assert_float_equal(share_with_chinese(2000, "t the"), 3. / 4, 1e-6); /* letters still do not */
}

/* ------------------------------------------------------------------ wrong vocabularies */

static satchel_status open_vocabulary(gguf_writer *writer, satchel_error *error) {
    size_t size;
    uint8_t *bytes = gguf_writer_close(writer, &size);
    sat_gguf *gguf;
    sat_wordpiece *wordpiece = NULL;
    assert_int_equal(sat_gguf_open(&gguf, shared.context, bytes, size, "t", error), SATCHEL_OK);
    satchel_status status = sat_wordpiece_open(&wordpiece, shared.context, gguf, error);
    assert_true(status == SATCHEL_OK || !wordpiece);
    sat_wordpiece_close(&wordpiece);
    sat_gguf_close(&gguf);
    free(bytes);
    return status;
}

static void wrong_vocabularies_are_refused(void **state) {
    static const char *const tokens[] = {"[UNK]", "[CLS]", "[SEP]", "a"};
    satchel_error error;
    gguf_writer writer;
    gguf_writer_open(&writer);
    gguf_text(&writer, "tokenizer.ggml.model", "gpt2");
    assert_int_equal(open_vocabulary(&writer, &error), SATCHEL_UNSUPPORTED);
    assert_non_null(strstr(error.message, "gpt2"));
    gguf_writer_open(&writer);
    gguf_text(&writer, "tokenizer.ggml.model", "bert");
    assert_int_equal(open_vocabulary(&writer, &error), SATCHEL_DAMAGED);
    gguf_writer_open(&writer);
    gguf_text(&writer, "tokenizer.ggml.model", "bert");
    gguf_i32s(&writer, "tokenizer.ggml.tokens", (const int32_t[]){1, 2}, 2);
    assert_int_equal(open_vocabulary(&writer, &error), SATCHEL_DAMAGED);
    gguf_writer_open(&writer);
    gguf_text(&writer, "tokenizer.ggml.model", "bert");
    gguf_texts(&writer, "tokenizer.ggml.tokens", tokens, 4);
    gguf_u32(&writer, "tokenizer.ggml.cls_token_id", 4);
    assert_int_equal(open_vocabulary(&writer, &error), SATCHEL_DAMAGED);
    assert_non_null(strstr(error.message, "cls_token_id"));
    gguf_writer_open(&writer);
    gguf_text(&writer, "tokenizer.ggml.model", "bert");
    gguf_texts(&writer, "tokenizer.ggml.tokens", tokens + 1, 3);
    assert_int_equal(open_vocabulary(&writer, &error), SATCHEL_UNSUPPORTED);
    assert_non_null(strstr(error.message, "[UNK]"));
    gguf_writer_open(&writer); /* without keys, the special tokens are known by their spelling */
    gguf_text(&writer, "tokenizer.ggml.model", "bert");
    gguf_texts(&writer, "tokenizer.ggml.tokens", tokens, 4);
    assert_int_equal(open_vocabulary(&writer, &error), SATCHEL_OK);
}

/* Random valid text: never a crash, never a special token, the same in both layouts. */
static void random_text_is_survived(void **state) {
    uint64_t seed = 20240601;
    for (int round = 0; round < 3000; round++) {
        char text[512];
        size_t length = 0;
        while (length < sizeof text - 4 && test_random(&seed) % 64) {
            uint32_t kind = test_random(&seed) % 4, r = test_random(&seed);
            int32_t code = kind == 0   ? (int32_t)(r % 128)
                           : kind == 1 ? (int32_t)(r % 0x800)
                           : kind == 2 ? (int32_t)(0x300 + r % 0x70)
                                       : (int32_t)(r % 0x110000);
            length += sat_utf8_encode(code, text + length);
        }
        int32_t ids[2][600];
        size_t count[2];
        for (int i = 0; i < 2; i++)
            assert_int_equal(sat_wordpiece_encode(shared.wordpiece[i], text, length, ids[i], 600,
                                                  &count[i], NULL),
                             SATCHEL_OK);
        assert_int_equal(count[0], count[1]);
        assert_memory_equal(ids[0], ids[1], count[0] * sizeof **ids);
        for (size_t k = 0; k < count[0]; k++)
            assert_true(ids[0][k] == 1 || ids[0][k] > 4);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_are_spelt_with_the_longest_pieces),
        cmocka_unit_test(a_word_that_cannot_be_spelt_is_one_unknown),
        cmocka_unit_test(case_and_accents_are_dropped),
        cmocka_unit_test(white_space_and_punctuation_part_words),
        cmocka_unit_test(control_characters_vanish_inside_words),
        cmocka_unit_test(chinese_characters_are_words),
        cmocka_unit_test(syllables_and_signs_are_decomposed),
        cmocka_unit_test(words_of_more_than_100_characters_are_unknown),
        cmocka_unit_test(marks_are_put_in_canonical_order),
        cmocka_unit_test(marks_stay_behind_what_parts_them),
        cmocka_unit_test(cased_vocabularies_keep_case_and_accents),
        cmocka_unit_test(text_never_becomes_a_special_token),
        cmocka_unit_test(invalid_text_is_refused_by_its_byte),
        cmocka_unit_test(the_limit_cuts_but_counts_on),
        cmocka_unit_test(feeding_in_parts_changes_nothing),
        cmocka_unit_test(tokens_are_given_as_the_file_spells_them),
        cmocka_unit_test(the_share_counts_characters_of_longer_pieces),
        cmocka_unit_test(single_characters_count_in_a_vocabulary_made_of_them),
        cmocka_unit_test(wrong_vocabularies_are_refused),
        cmocka_unit_test(random_text_is_survived),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
