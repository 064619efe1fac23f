/* Filters: what passes, and what is refused, and where it says so. */
#include "retrieval/filter_value.h"
#include "tests/unit/retrieval/fixture.h"

static int setup(void **state) {
    fixture_setup(state);
    fixture *f = *state;
    static const struct {
        const char *id, *title, *metadata;
        int64_t modified;
    } documents[] = {
        {"notes/a.md", "Alpha", "{\"author\":\"Ines\",\"year\":1911,\"done\":true}", 1000},
        {"notes/b.md", "Beta", "{\"author\":\"Olu\",\"year\":1912.5,\"tags\":[\"sea\",\"port\"]}",
         1735689600000},
        {"notes/sub/c.txt", "Gamma", "{\"author\":\"Ines\",\"year\":\"1911\",\"tags\":[]}",
         1735689600001},
        {"other/d.txt", "Delta", "{\"done\":false,\"tags\":[\"port\"]}", 1767225600000},
        {"\xc3\xa9t\xc3\xa9.txt", "E\xcc\x81te", "{\"lieu\":\"me\xcc\x81r\"}", 1767225600000},
    };
    for (size_t i = 0; i < SAT_COUNT(documents); i++) {
        const satchel_add_options options = {.title = documents[i].title,
                                             .metadata = documents[i].metadata,
                                             .modified_ms = documents[i].modified,
                                             .defer_embedding = 1};
        fixture_fine(f, sat_store_add(f->store, documents[i].id,
                                      i < 2 ? "text/markdown" : "text/plain", "The sea.", 8,
                                      &options, &f->error));
    }
    return 0;
}

#define A "notes/a.md"
#define B "notes/b.md"
#define C "notes/sub/c.txt"
#define D "other/d.txt"
#define E "\xc3\xa9t\xc3\xa9.txt"

typedef struct filter_case {
    const char *filter, *ids;
} filter_case;

static void expect(fixture *f, const filter_case *cases, size_t count) {
    for (size_t i = 0; i < count; i++)
        fixture_expect_documents(f, cases[i].filter, cases[i].ids);
}

static void passes_by_path(void **state) {
    static const filter_case cases[] = {
        {"{\"path\":\"notes/*\"}", A " " B " " C},
        {"{\"path\":\"*.txt\"}", C " " D " " E},
        {"{\"path\":\"notes/?.md\"}", A " " B},
        {"{\"path\":\"notes/[b-z].md\"}", B},
        {"{\"path\":\"notes/[^a]*\"}", B " " C},
        {"{\"path\":\"notes/a.md\"}", A},
        {"{\"path\":[\"notes/a.md\",\"other/*\"]}", A " " D},
        {"{\"path\":[]}", ""},
        {"{\"path\":\"NOTES/*\"}", ""},
        {"{\"path\":\"e\\u0301t*\"}", E},
        {"{\"path\":\"et*\"}", ""},
        {"{\"path\":{\"ne\":\"notes/a.md\"}}", B " " C " " D " " E},
        {"{\"path\":{\"in\":[\"notes/a.md\",\"x\"]}}", A},
        {"{\"path\":{\"glob\":[\"*a.md\",\"*b.md\"]}}", A " " B},
        {"{\"path\":{\"gte\":\"notes/b\",\"lt\":\"o\"}}", B " " C},
    };
    expect(*state, cases, SAT_COUNT(cases));
}

static void passes_by_field(void **state) {
    static const filter_case cases[] = {
        {"{\"title\":\"Alpha\"}", A},
        {"{\"title\":[\"Alpha\",\"Delta\"]}", A " " D},
        {"{\"title\":{\"glob\":\"*ta\"}}", B " " D},
        {"{\"media_type\":\"text/markdown\"}", A " " B},
        {"{\"media_type\":{\"ne\":\"text/markdown\"}}", C " " D " " E},
        {"{\"root\":{\"exists\":true}}", ""},
        {"{\"root\":{\"exists\":false}}", A " " B " " C " " D " " E},
        {"{\"root\":\"notes\"}", ""},      /* a root is a synced folder, not a prefix */
        {"{\"title\":\"E\\u0301te\"}", E}, /* titles and metadata are compared as they are */
        {"{\"title\":{\"glob\":\"E?te\"}}", E},
        {"{\"meta.lieu\":{\"glob\":\"me\\u0301*\"}}", E},
        {"{}", A " " B " " C " " D " " E},
        {NULL, A " " B " " C " " D " " E},
    };
    expect(*state, cases, SAT_COUNT(cases));
}

static void passes_by_metadata(void **state) {
    static const filter_case cases[] = {
        {"{\"meta.author\":\"Ines\"}", A " " C},
        {"{\"meta.author\":[\"Ines\",\"Olu\"]}", A " " B " " C},
        {"{\"meta.author\":{\"ne\":\"Ines\"}}", B " " D " " E},
        {"{\"meta.author\":{\"exists\":true}}", A " " B " " C},
        {"{\"meta.author\":{\"exists\":false}}", D " " E},
        {"{\"meta.author\":{\"glob\":\"O*\"}}", B},
        {"{\"meta.year\":1911}", A},
        {"{\"meta.year\":1911.0}", A},
        {"{\"meta.year\":\"1911\"}", C},
        {"{\"meta.year\":[1911,\"1911\"]}", A " " C},
        {"{\"meta.year\":{\"gt\":1911}}", B},
        {"{\"meta.year\":{\"gte\":1911,\"lt\":1912.5}}", A},
        {"{\"meta.year\":{\"gte\":\"1\"}}", C},
        {"{\"meta.done\":true}", A},
        {"{\"meta.done\":false}", D},
        {"{\"meta.done\":1}", ""},
        {"{\"meta.tags\":\"port\"}", B " " D},
        {"{\"meta.tags\":[\"sea\",\"sky\"]}", B},
        {"{\"meta.tags\":{\"in\":[\"sea\"]}}", B},
        {"{\"meta.tags\":{\"exists\":true}}", B " " C " " D},
        {"{\"meta.tags\":[]}", ""},
        {"{\"meta.nothing\":\"x\"}", ""},
        {"{\"meta.author\":\"Ines' OR 1=1 --\"}", ""},
    };
    expect(*state, cases, SAT_COUNT(cases));
}

static void passes_by_time(void **state) {
    static const filter_case cases[] = {
        {"{\"modified\":{\"gte\":\"2025-01-01\"}}", B " " C " " D " " E},
        {"{\"modified\":{\"gt\":\"2025-01-01T00:00:00Z\"}}", C " " D " " E},
        {"{\"modified\":{\"lt\":1735689600000}}", A},
        {"{\"modified\":{\"lte\":1735689600000}}", A " " B},
        {"{\"modified\":{\"gte\":\"2025-01-01T01:00+01:00\",\"lt\":\"2026-01-01\"}}", B " " C},
        {"{\"modified\":{\"lt\":\"1970-01-01T00:00:01.5\"}}", A},
    };
    expect(*state, cases, SAT_COUNT(cases));
}

static void joins_conditions(void **state) {
    static const filter_case cases[] = {
        {"{\"path\":\"notes/*\",\"meta.author\":\"Ines\"}", A " " C},
        {"{\"and\":[{\"path\":\"notes/*\"},{\"meta.author\":\"Olu\"}]}", B},
        {"{\"or\":[{\"path\":\"other/*\"},{\"meta.author\":\"Olu\"}]}", B " " D},
        {"{\"not\":{\"path\":\"notes/*\"}}", D " " E},
        {"{\"not\":{\"or\":[{\"path\":\"notes/*\"},{\"title\":\"Delta\"}]}}", E},
        {"{\"not\":{\"meta.author\":\"Ines\",\"meta.year\":1911}}", B " " C " " D " " E},
        {"{\"and\":[]}", A " " B " " C " " D " " E},
        {"{\"or\":[]}", ""},
        {"{\"not\":{}}", ""},
        {"{\"or\":[{\"and\":[{\"not\":{\"meta.done\":{\"exists\":true}}},{\"path\":\"notes/*\"}]},"
         "{\"title\":\"Delta\"}]}",
         B " " C " " D},
    };
    expect(*state, cases, SAT_COUNT(cases));
}

static void says_what_is_wrong_and_where(void **state) {
    fixture *f = *state;
    static const struct {
        const char *filter, *place;
    } cases[] = {
        {"{\"meta.\":1}", "filter.meta."},
        {"{\"author\":\"x\"}", "filter.author"},
        {"{\"path\":1}", "filter.path"},
        {"{\"path\":[\"a\",1]}", "filter.path"},
        {"{\"path\":{\"exists\":true}}", "filter.path.exists"},
        {"{\"path\":{}}", "filter.path"},
        {"{\"and\":{}}", "filter.and"},
        {"{\"and\":[{\"path\":\"a\"},{\"or\":[{\"titel\":\"x\"}]}]}", "filter.and[1].or[0].titel"},
        {"{\"and\":[1]}", "filter.and[0]"},
        {"{\"not\":[]}", "filter.not"},
        {"{\"meta.a\":{\"gte\":true}}", "filter.meta.a.gte"},
        {"{\"meta.a\":{\"like\":\"x\"}}", "filter.meta.a.like"},
        {"{\"meta.a\":{\"exists\":1}}", "filter.meta.a.exists"},
        {"{\"meta.a\":{\"in\":\"x\"}}", "filter.meta.a.in"},
        {"{\"meta.a\":null}", "filter.meta.a"},
        {"{\"meta.a\":[null]}", "filter.meta.a"},
        {"{\"modified\":\"2025-01-01\"}", "filter.modified"},
        {"{\"modified\":{\"gte\":\"2025-02-30\"}}", "filter.modified.gte"},
        {"{\"modified\":{\"gte\":\"yesterday\"}}", "filter.modified.gte"},
        {"{\"modified\":{\"ne\":1}}", "filter.modified.ne"},
        {"[]", "filter"},
        {"{\"path\":", "filter"},
        {"{\"path\":\"a\",\"path\":\"b\"}", "filter"},
    };
    for (size_t i = 0; i < SAT_COUNT(cases); i++) {
        const satchel_list_options options = {.filter = cases[i].filter};
        satchel_documents *list = NULL;
        fixture_fails(f, sat_store_list(&list, f->store, &options, &f->error),
                      SATCHEL_INVALID_FILTER);
        assert_null(list);
        size_t length = strlen(cases[i].place);
        if (strncmp(f->error.message, cases[i].place, length) != 0 ||
            strchr(":, ", f->error.message[length]) == NULL)
            fail_msg("%s: '%s' does not begin with '%s'", cases[i].filter, f->error.message,
                     cases[i].place);
    }
}

/* prefix, then `count` times `piece`, then suffix. */
static char *repeat(const char *prefix, const char *piece, size_t count, const char *suffix) {
    char *text = malloc(strlen(prefix) + strlen(piece) * count + strlen(suffix) + 1);
    if (!text)
        abort();
    char *at = text + sprintf(text, "%s", prefix);
    for (size_t i = 0; i < count; i++)
        at += sprintf(at, "%s", piece);
    sprintf(at, "%s", suffix);
    return text;
}

static void limits_hold(void **state) {
    fixture *f = *state;
    satchel_list_options options = {0};
    satchel_documents *list = NULL;
    char *inner = repeat("{\"title\":\"Alpha\"", "}", 1, "");
    char *filter = repeat("", "{\"not\":", 30, inner);
    char *fits = repeat(filter, "}", 30, "");
    fixture_expect_documents(f, fits, A);
    free(filter);
    free(fits);
    filter = repeat("", "{\"not\":", 40, inner);
    char *deep = repeat(filter, "}", 40, "");
    char *wide = repeat("{\"or\":[{\"path\":\"x\"}", ",{\"path\":\"y*\"}", 600, "]}");
    char *many = repeat("{\"meta.a\":[1", ",2", 10001, "]}");
    const char *const bad[] = {deep, wide, many};
    for (size_t i = 0; i < SAT_COUNT(bad); i++) {
        options.filter = bad[i];
        fixture_fails(f, sat_store_list(&list, f->store, &options, &f->error),
                      SATCHEL_INVALID_FILTER);
    }
    free(filter);
    free(deep);
    free(wide);
    free(many);
    free(inner);
    many = repeat("{\"meta.year\":[1911", ",2", 5000, "]}");
    fixture_expect_documents(f, many, A);
    free(many);
}

static void list_pages(void **state) {
    fixture *f = *state;
    const satchel_list_options options = {.limit = 2, .offset = 1};
    satchel_documents *list = NULL;
    satchel_document document;
    fixture_fine(f, sat_store_list(&list, f->store, &options, &f->error));
    assert_int_equal(sat_documents_count(list), 2);
    fixture_fine(f, sat_documents_get(list, 0, &document, &f->error));
    assert_string_equal(document.id, B);
    assert_string_equal(document.title, "Beta");
    assert_string_equal(document.media_type, "text/markdown");
    assert_string_equal(document.metadata,
                        "{\"author\":\"Olu\",\"year\":1912.5,\"tags\":[\"sea\",\"port\"]}");
    assert_int_equal(document.modified_ms, 1735689600000);
    assert_int_equal(document.text_bytes, 8);
    assert_int_equal(document.chunks, 1);
    assert_int_equal(document.chunks_embedded, 0);
    assert_null(document.failure);
    fixture_fails(f, sat_documents_get(list, 2, &document, &f->error), SATCHEL_NOT_FOUND);
    sat_documents_close(&list);
}

/* ------------------------------------------------------------------ parts */

static void glob_matches(void **state) {
    static const struct {
        const char *pattern, *text;
        bool matches;
    } cases[] = {
        {"", "", true},
        {"*", "", true},
        {"?", "", false},
        {"a", "a", true},
        {"a", "b", false},
        {"a*", "abc", true},
        {"*c", "abc", true},
        {"*b", "abc", false},
        {"a*b*c", "aXXbYYbZc", true},
        {"a*b*c", "aXXbYYbZ", false},
        {"?\xc3\xa9", "x\xc3\xa9", true},
        {"?", "\xe6\x97\xa5", true},
        {"[a-c]x", "bx", true},
        {"[a-c]x", "dx", false},
        {"[^a-c]x", "dx", true},
        {"[!a]", "a", false},
        {"[]]", "]", true},
        {"[^]]", "x", true},
        {"[a-]", "-", true},
        {"[[]", "[", true},
        {"[*]", "*", true},
        {"[*]", "x", false},
        {"[", "[", true},
        {"[ab", "[ab", true},
        {"[\xc3\xa0-\xc3\xbf]", "\xc3\xa9", true},
        {"**", "x", true},
        {"*a*", "bab", true},
        {"a", "ab", false},
        {"ab", "a", false},
        {"*?", "", false},
    };
    for (size_t i = 0; i < SAT_COUNT(cases); i++) {
        if (sat_glob_match(cases[i].pattern, strlen(cases[i].pattern), cases[i].text,
                           strlen(cases[i].text)) != cases[i].matches)
            fail_msg("%s on %s", cases[i].pattern, cases[i].text);
    }
}

static void glob_with_many_stars_ends(void **state) {
    char pattern[401], text[1025];
    for (size_t i = 0; i < 400; i += 2)
        memcpy(pattern + i, "*a", 2);
    pattern[400] = '\0';
    memset(text, 'a', 1024);
    text[1023] = 'b';
    text[1024] = '\0';
    assert_false(sat_glob_match(pattern, 400, text, 1024));
}

static void reads_times(void **state) {
    static const struct {
        const char *text;
        int64_t ms;
    } good[] = {
        {"1970-01-01", 0},
        {"2000-02-29T23:59:59.999Z", 951868799999},
        {"1969-12-31T23:59:59", -1000},
        {"2025-06-01T12:00-0230", 1748788200000},
        {"0001-01-01", -62135596800000},
        {"9999-12-31", 253402214400000},
    };
    static const char *const bad[] = {"",
                                      "2025",
                                      "2025-13-01",
                                      "2025-00-01",
                                      "2025-01-32",
                                      "1900-02-29",
                                      "2025-01-01T",
                                      "2025-01-01T24:00",
                                      "2025-01-01T12:00X",
                                      "2025-01-01 ",
                                      "2025-01-01T12:00+1",
                                      "0000-01-01",
                                      "2025-1-1",
                                      "2025-01-01T12:00:00."};
    for (size_t i = 0; i < SAT_COUNT(good); i++) {
        json_t *text = json_string(good[i].text);
        int64_t ms = 0;
        assert_true(sat_filter_time(text, &ms));
        assert_int_equal(ms, good[i].ms);
        json_decref(text);
    }
    for (size_t i = 0; i < SAT_COUNT(bad); i++) {
        json_t *text = json_string(bad[i]);
        int64_t ms;
        if (sat_filter_time(text, &ms))
            fail_msg("'%s' was read as a time", bad[i]);
        json_decref(text);
    }
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(passes_by_path),
        TEST(passes_by_field),
        TEST(passes_by_metadata),
        TEST(passes_by_time),
        TEST(joins_conditions),
        TEST(says_what_is_wrong_and_where),
        TEST(limits_hold),
        TEST(list_pages),
        cmocka_unit_test(glob_matches),
        cmocka_unit_test(glob_with_many_stars_ends),
        cmocka_unit_test(reads_times),
    };
    return cmocka_run_group_tests_name("filter", tests, NULL, NULL);
}
