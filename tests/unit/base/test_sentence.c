/* Sentence bounds in several languages, lists, abbreviations, and hostile text. */
#include "tests/unit/base/unit.h"

/* Sentences as one string, with | between. */
typedef struct taken {
    const char *text;
    char joined[16384];
} taken;

static int take(void *user, size_t start, size_t end) {
    taken *t = user;
    size_t length = strlen(t->joined);
    snprintf(t->joined + length, sizeof t->joined - length, "%s%.*s", length ? "|" : "",
             (int)(end - start), t->text + start);
    return 0;
}

/* The marked text has | where a sentence should end; the text is that with each "| " a space, each
 * "|\n" a line end, each other "|" nothing. */
static void assert_sentences(const char *marked) {
    static char text[16384], expected[16384];
    static taken got;
    size_t length = 0, wanted = 0;
    for (const char *at = marked; *at; at++) {
        if (*at != '|') {
            text[length++] = expected[wanted++] = *at;
            continue;
        }
        while (at[1] == ' ' || at[1] == '\n' || at[1] == '\t' || at[1] == '\r')
            text[length++] = *++at;
        expected[wanted++] = '|';
    }
    text[length] = expected[wanted] = '\0';
    got.text = text;
    got.joined[0] = '\0';
    assert_int_equal(sat_text_sentences(text, length, take, &got), 0);
    assert_string_equal(got.joined, expected);
}

static void assert_each(const char *const *cases, size_t count) {
    for (size_t i = 0; i < count; i++)
        assert_sentences(cases[i]);
}
#define EACH(cases) assert_each(cases, SAT_COUNT(cases))

static void english(void **state) {
    static const char *const cases[] = {
        "One sentence.",
        "One without a stop",
        "One.| Two!| Three?| Four",
        "Really?!| Yes...| No… but maybe.| Well.",
        "He said \"Stop.\"| Then he left.",
        "He said “Stop.”| Then he left.",
        "(It was late.)| They left.",
        "‘Who is it?’ asked Mary.| Nobody answered.",
        "It cost 3.14 dollars at 10:30 a.m. on Monday.| It was v2.0 then.",
        "See example.com or https://a.b/c.d?e=f.g for more.| Thanks.",
        "Mr. Smith met Dr. Jones and Mrs. Brown of St. Louis.| They spoke.",
        "Use tools, e.g. Hammers, i.e. Things that hit, vs. Saws.| Good.",
        "J. R. R. Tolkien wrote it.| C. S. Lewis read it.",
        "He lives in the U.S.| The weather is fine.",
        "He got vitamin C.| The doctor said so.",
        "The study (Smith et al. 1998) found it.| See Fig. 3 and Sec. 4.| Done.",
        "It ended in 1998.[12]| Then it began again.[3][a]| So.",
        "It is on record.:121,154| It was told.:7–9| So.",
        "The company Yahoo! is old.| Is it?",
        "On Jan. 5 it rained.| On Feb. 6 it did not.",
        "See No. 5, Fig. A and Vol. II of it.| The answer is no.| Then go.",
        "1. First things come first.| 2. Others follow.",
    };
    EACH (cases)
        ;
}

static void german(void **state) {
    static const char *const cases[] = {
        "Das Haus ist alt.| Es steht am Fluss.",
        "Am 15. Januar 1990 begann es.| Im 19. Jahrhundert nicht.",
        "Der 2. Weltkrieg endete 1945.| Danach kam Frieden.",
        "Das ist z.B. Holz, d.h. Material bzw. Stoff, vgl. Nr. 5.| Gut.",
        "„Wer ist da?“ fragte sie.| „Niemand.“| Dann schwieg er.",
        "Er sagte: »Halt.«| Dann ging er.",
        "Es waren 42.| Das reicht.",
        "Ca. 3 Mio. Menschen leben dort.| Sie bleiben.",
    };
    EACH (cases)
        ;
}

static void chinese_and_japanese(void **state) {
    static const char *const cases[] = {
        "今天天气很好。|我们去公园吧！|好吗？|好",
        "他说：“你好。”|然后走了。",
        "「行こう。」|彼は言った。|終わり",
        "价格是３．１４元。|很便宜。",
        "他在2008年3.5公里外。|对。",
        "真的？！|是的…嗯。",
        "他来了。[3]|她走了。",
        "今天。| 明天。|\n后天。",
    };
    EACH (cases)
        ;
}

static void other_scripts(void **state) {
    static const char *const cases[] = {
        "ما اسمك؟| اسمي أحمد.| شكرا!",
        "یہ کتاب ہے۔| وہ قلم ہے۔",
        "यह किताब है।| वह कलम है॥| बस",
        "यह किताब है।|वह कलम है।",
        "Это книга.| Это ручка!| Да?",
        "Ես գիրք եմ։| Դու։",
        "ይህ መጽሐፍ ነው።| እሺ።",
        "នេះជាសៀវភៅ។|ល្អ។",
        "¿Qué es esto?| ¡Un libro!| Sí.",
        "C'est fini.| Oui, M. Dupont.",
        "한국어 문장입니다.| 두 번째입니다.",
    };
    EACH (cases)
        ;
}

static void lines_and_paragraphs(void **state) {
    static const char *const cases[] = {
        "A title|\n\nSome text that goes on\nin the next line.|\n\nmore",
        "ends with mr.|\n\nnew paragraph",
        "lower|\n\nlower|\r\n\r\nlower|\n \t\nlower",
        /* Wrapped prose is one sentence, capitals or not. */
        "The quick brown fox jumps over the lazy dog near the old river bank while\n"
        "Mary and her friends from the village of Longtown-upon-Averylongriver look\n"
        "at it in wonder.| They leave.",
        ("Der schnelle braune Fuchs springt über den faulen Hund und dann kommen noch\n"
         "Hühner aus dem Stall, weil sie hungrig sind und weil Fritz das Futter bringt."),
        /* A heading, an address, verse: lines that had room for the next word. */
        "Introduction|\nThis is the first sentence of a long line that goes on and on.| Two.",
        "Anna Beispiel|\nHauptstraße 5|\nBerlin",
        "Name: Anna|\nCity: Berlin|\nJob: Pilot",
        "The subscript of O\n2 is below the line in this rather long sentence about gas.",
        "first line,\nsecond line",
    };
    EACH (cases)
        ;
}

static void lists(void **state) {
    static const char *const cases[] = {
        "Buy:|\n- milk|\n- eggs and\n  bread|\n- tea",
        "* one|\n* two|\n+ three|\n• four",
        "Steps|\n1. Open the box.|\n2. Close the box|\n10. Go",
        "Do this:|\n1) open|\n2) close",
        "(a) first|\n(b) second",
        "# Heading|\ntext below|\n## Another|\nmore text",
        ("Das Fest der Stadt war in diesem Jahr nach langem Streit im Rat erst am\n"
         "15. Januar und dauerte so lange, wie es in alten Zeiten Brauch war."),
        "one two\n-3 degrees",
    };
    EACH (cases)
        ;
}

static void text_without_capitals(void **state) {
    static const char *const cases[] = {
        "the flow is laminar .| the plate is thin .| results agree .",
        "see you.| bye",
        "approx. five e.g. things.| good",
        /* With capitals, lower case goes on. */
        "The so-called etc. and more. and more.| Bye.|\n\nnow all small.| yes",
    };
    EACH (cases)
        ;
}

static void marks_alone_join(void **state) {
    static const char *const cases[] = {
        "Wait . . .| Then go.", "Good. ***", "* * *", "...", "", "Good.|\n\n***|\n\nBad.",
    };
    EACH (cases)
        ;
    static const char blank[] = "   \n\n \t \xE3\x80\x80";
    taken got = {.text = blank};
    assert_int_equal(sat_text_sentences(blank, sizeof blank - 1, take, &got), 0);
    assert_string_equal(got.joined, "");
}

/* ------------------------------------------------------------------ what always holds */

typedef struct covered {
    const char *text;
    size_t length, end, count, longest;
    int stop_after;
    bool wrong;
} covered;

static bool is_blank(const char *text, size_t start, size_t end) {
    int32_t code = ' ';
    while (start < end && sat_is_space(code))
        start += sat_utf8_decode(text + start, end - start, &code);
    return sat_is_space(code);
}

static int cover(void *user, size_t start, size_t end) {
    covered *c = user;
    int32_t first, last;
    c->wrong |= start < c->end || start >= end || end > c->length;
    if (c->wrong)
        return -1;
    size_t last_start = sat_utf8_border(c->text, c->length, end - 1);
    sat_utf8_decode(c->text + start, end - start, &first);
    sat_utf8_decode(c->text + last_start, c->length - last_start, &last);
    c->wrong |= !is_blank(c->text, c->end, start) || sat_is_space(first) || sat_is_space(last) ||
                sat_utf8_border(c->text, c->length, start) != start ||
                sat_utf8_border(c->text, c->length, end) != end;
    c->end = end;
    c->count++;
    if (end - start > c->longest)
        c->longest = end - start;
    return c->stop_after && c->count == (size_t)c->stop_after ? 42 : 0;
}

static covered assert_covered(const char *text, size_t length) {
    covered c = {.text = text, .length = length};
    assert_int_equal(sat_text_sentences(text, length, cover, &c), 0);
    assert_false(c.wrong);
    assert_true(is_blank(text, c.end, length));
    assert_true(c.longest <= 2000);
    return c;
}

static void random_text_is_covered(void **state) {
    static const char *const pieces[] = {
        "a",  "The", "word", " ",    " ",    " ",  ".",   ".",      "!",      "?",      "…",
        "。", "？",  "\n",   "\n\n", "\r\n", "\"", "“",   "”",      "(",      ")",      "[",
        "]",  "[1]", ":12",  ",",    ";",    "Dr", "z.B", "15",     "Januar", "am",     "-",
        "- ", "# ",  "1. ",  "| ",   "語",   "あ", "।",   "\u0301", "😀",      "\u00A0", "\u2029",
        "«",  "»",   "．",   "•",    "–",    "\t", "Ä",   "عربي",   "؟",
    };
    uint64_t seed = 5;
    for (int round = 0; round < 5000; round++) {
        char text[2048];
        size_t length = 0, count = test_random(&seed) % 200;
        for (size_t i = 0; i < count; i++) {
            const char *piece = pieces[test_random(&seed) % SAT_COUNT(pieces)];
            memcpy(text + length, piece, strlen(piece));
            length += strlen(piece);
        }
        char *exact = malloc(length + 1);
        memcpy(exact, text, length);
        assert_covered(exact, length);
        free(exact);
    }
}

static void stopping_stops(void **state) {
    static const char text[] = "One. Two. Three. Four.";
    for (int stop = 1; stop <= 4; stop++) {
        covered c = {.text = text, .length = sizeof text - 1, .stop_after = stop};
        assert_int_equal(sat_text_sentences(text, sizeof text - 1, cover, &c), 42);
        assert_int_equal(c.count, stop);
    }
}

static void endless_sentences_are_cut(void **state) {
    enum { SIZE = 100000 };
    char *text = malloc(SIZE);
    static const char *const patterns[] = {"word ",      "word, and ",    "x",      "語",
                                           "語、語語語", "e\u0301\u0323", "👩\u200D"};
    for (size_t p = 0; p < SAT_COUNT(patterns); p++) {
        size_t length = 0, size = strlen(patterns[p]);
        for (; length + size <= SIZE; length += size)
            memcpy(text + length, patterns[p], size);
        covered c = assert_covered(text, length);
        assert_true(c.count >= length / 2000 && c.count <= length / 900);
    }
    free(text);
}

/* Quadratic work would not come to an end here. */
static void hostile_text_takes_linear_time(void **state) {
    enum { SIZE = 1 << 18 };
    char *text = malloc(SIZE);
    static const char *const patterns[] = {
        ".",    ". ",   ".(",     ". (",      ".[",      ".[a]",    ".:1,",  "a.", "a. ", "1. ",
        "(",    "\"",   ".\"",    "\n",       "\n\n",    "a\n",     "A\n",   "- ", "-\n", "#",
        "\n#",  "| \n", "\u0301", "\n\u0301", "。",      "。」",    "1)",    " ",  "\t.", "!(",
        "... ", "A.B",  "\xFF",   "\xE8",     "15. am ", ".\u00A0", "？ \n",
    };
    for (size_t p = 0; p < SAT_COUNT(patterns); p++)
        for (int prefix = 0; prefix < 2; prefix++) {
            size_t length = 0, size = strlen(patterns[p]);
            if (prefix) {
                memcpy(text, "A. ", 3);
                length = 3;
            }
            for (; length + size <= SIZE; length += size)
                memcpy(text + length, patterns[p], size);
            assert_covered(text, length);
        }
    free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(english),
        cmocka_unit_test(german),
        cmocka_unit_test(chinese_and_japanese),
        cmocka_unit_test(other_scripts),
        cmocka_unit_test(lines_and_paragraphs),
        cmocka_unit_test(lists),
        cmocka_unit_test(text_without_capitals),
        cmocka_unit_test(marks_alone_join),
        cmocka_unit_test(random_text_is_covered),
        cmocka_unit_test(stopping_stops),
        cmocka_unit_test(endless_sentences_are_cut),
        cmocka_unit_test(hostile_text_takes_linear_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
