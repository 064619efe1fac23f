/* Citations in a text that grows: what counts as a marker, which range it stands for, what bears it
 * out; the same for every way of cutting the text into pieces. */
#include "tests/unit/retrieval/context_unit.h"

#include "retrieval/cite.h"

enum { MOST = 64 };

static const char *const passages[] = {
    "The lease ends on 31 May 2027. Notice must be given in writing, three months before.",
    "Rent is due on the first working day. A late payment costs 2 % a month.",
    "猫は静かに眠っている。鍵は机の上にある。",
};
enum { PASSAGES = sizeof passages / sizeof passages[0] };

typedef struct found {
    sat_citation items[MOST];
    size_t count;
} found;

static void take(sat_cite *cite, found *out) {
    while (out->count < MOST && sat_cite_next(cite, &out->items[out->count]))
        out->count++;
}

/* step 0: the whole text at once; else so many characters at a time. */
static found run(satchel_context *context, const char *text, size_t step) {
    satchel_text shown[PASSAGES];
    for (size_t i = 0; i < PASSAGES; i++)
        shown[i] = (satchel_text){passages[i], strlen(passages[i])};
    sat_cite *cite;
    found out = {.count = 0};
    size_t length = strlen(text), known;
    assert_int_equal(sat_cite_open(&cite, &context->memory, shown, PASSAGES, NULL), SATCHEL_OK);
    for (size_t at = 0; at < length;) {
        size_t end = at;
        for (size_t i = 0; end < length && (step == 0 || i < step); i++) {
            int32_t code;
            end += sat_utf8_decode(text + end, length - end, &code);
        }
        assert_int_equal(sat_cite_add(cite, text + at, end - at, NULL), SATCHEL_OK);
        take(cite, &out);
        at = end;
    }
    assert_int_equal(sat_cite_end(cite, NULL), SATCHEL_OK);
    take(cite, &out);
    assert_string_equal(sat_cite_text(cite, &known), text);
    assert_int_equal(known, length);
    sat_cite_close(&cite);
    return out;
}

/* "number:range" of every citation, separated by "|"; the same in pieces of every size. */
static void expect(void **state, const char *text, const char *wanted) {
    for (size_t step = 0; step < 9; step++) {
        char got[2048] = "";
        found all = run(*state, text, step);
        for (size_t i = 0; i < all.count; i++) {
            const sat_citation *c = &all.items[i];
            assert_true(c->answer.start >= 0 && c->answer.start <= c->answer.end);
            assert_true((size_t)c->answer.end <= strlen(text));
            assert_int_equal(c->answer.start_utf16,
                             sat_utf16_length(text, (size_t)c->answer.start));
            assert_int_equal(c->answer.end_utf16, sat_utf16_length(text, (size_t)c->answer.end));
            size_t used = strlen(got);
            snprintf(got + used, sizeof got - used, "%s%zu:%.*s", i ? "|" : "", c->passage + 1,
                     (int)(c->answer.end - c->answer.start), text + c->answer.start);
        }
        if (strcmp(got, wanted) != 0)
            fail_msg("'%s' in pieces of %zu gives '%s', not '%s'", text, step, got, wanted);
    }
}

/* What the only citation of a text rests on. */
static void expect_source(void **state, const char *text, bool verified, const char *source) {
    found all = run(*state, text, 0);
    assert_int_equal(all.count, 1);
    const sat_citation *c = &all.items[0];
    size_t length = c->source_end - c->source_start;
    if (length != strlen(source) ||
        memcmp(passages[c->passage] + c->source_start, source, length) != 0)
        fail_msg("'%s' rests on '%.*s', not '%s'", text, (int)length,
                 passages[c->passage] + c->source_start, source);
    assert_int_equal(c->verified, verified);
    assert_true(c->score >= 0 && c->score <= 1);
    if (verified)
        assert_true(c->score == 1);
}

/* ------------------------------------------------------------------ markers */

static void markers_of_all_kinds_are_read(void **state) {
    expect(state, "The lease ends in May [1].", "1:The lease ends in May");
    expect(state, "The lease ends in May [1, 2].",
           "1:The lease ends in May|2:The lease ends in May");
    expect(state, "The lease ends in May [1][3].",
           "1:The lease ends in May|3:The lease ends in May");
    expect(state, "The lease ends in May [1], [2].",
           "1:The lease ends in May|2:The lease ends in May");
    expect(state, "The lease ends in May [1-3].",
           "1:The lease ends in May|2:The lease ends in May|3:The lease ends in May");
    expect(state, "The lease ends in May [ 1 ; 2–3 ].",
           "1:The lease ends in May|2:The lease ends in May|3:The lease ends in May");
    expect(state, "The lease ends in May 【2】.", "2:The lease ends in May");
    expect(state, "The lease ends in May ［２］.", "2:The lease ends in May");
    expect(state, "The lease ends in May 〔1、3〕.",
           "1:The lease ends in May|3:The lease ends in May");
    expect(state, "The lease ends in May〖1〗.", "1:The lease ends in May");
}

static void what_is_no_marker_stays_text(void **state) {
    expect(state, "The lease ends in May [4].", "");
    expect(state, "The lease ends in May [0].", "");
    expect(state, "The lease ends in May [x].", "");
    expect(state, "The lease ends in May [].", "");
    expect(state, "The lease ends in May [1 2].", "");
    expect(state, "The lease ends in May [1,].", "");
    expect(state, "The lease ends in May [3-1].", "");
    expect(state, "The lease ends in May [-1].", "");
    expect(state, "The lease ends in May [1", "");
    expect(state, "The lease ends in May (1).", "");
    expect(state, "The lease ends in May [1】.", "");
    expect(state, "The lease ends in May [99999999999999999999].", "");
    expect(state, "The lease [ends] in May [[1]].", "1:The lease [ends] in May");
}

static void numbers_out_of_range_do_not_spoil_their_neighbours(void **state) {
    expect(state, "The lease ends in May [2, 9].", "2:The lease ends in May");
    expect(state, "The lease ends in May [3-7].", "3:The lease ends in May");
    expect(state, "The lease ends in May [7][1].", "1:The lease ends in May [7]");
}

/* ------------------------------------------------------------------ ranges */

static void a_marker_stands_for_its_sentence(void **state) {
    expect(state, "It is a flat. The lease ends in May [1]. Rent is due early [2].",
           "1:The lease ends in May|2:Rent is due early");
    expect(state, "The lease ends in May. [1] Rent is due early. [2]",
           "1:The lease ends in May.|2:Rent is due early.");
    expect(state, "The lease ends in May.[1] Rent is due early.[2]",
           "1:The lease ends in May.|2:Rent is due early.");
    expect(state, "The lease ends in May [1]\nRent is due early [2]",
           "1:The lease ends in May|2:Rent is due early");
}

static void two_in_one_sentence_stand_for_their_clauses(void **state) {
    expect(state, "The lease ends in May [1], and rent is due early [2].",
           "1:The lease ends in May|2:and rent is due early");
}

static void a_marker_behind_a_few_letters_stands_for_what_follows(void **state) {
    expect(state, "According to [1], the lease ends in May. It is a flat.",
           "1:the lease ends in May.");
    expect(state, "[1] says the lease ends in May. It is a flat.", "1:says the lease ends in May.");
    expect(state, "[1] The lease ends in May. [2] Rent is due early.",
           "1:The lease ends in May.|2:Rent is due early.");
    expect(state, "- [1]: the lease ends in May\n- [2]: rent is due early\n",
           "1:the lease ends in May|2:rent is due early");
    expect(state, "In 2027 [1] it ends.", "1:In 2027"); /* a figure is said already */
}

static void a_marker_alone_stands_for_the_sentence_before(void **state) {
    expect(state, "The lease ends in May.\n[1]", "1:The lease ends in May.");
    expect(state, "The lease ends in May [1]. [2]",
           "1:The lease ends in May|2:The lease ends in May");
    expect(state, "[1]", "1:[1]");
    expect(state, " [1] [2] ", "1:[1] [2]|2:[1] [2]");
}

static void scripts_without_spaces_have_sentences_too(void **state) {
    expect(state, "猫は眠っている【3】。鍵は机の上にある［3］。",
           "3:猫は眠っている|3:鍵は机の上にある");
    expect(state, "猫は静かに眠っている。[3]鍵は机の上にある。[3]",
           "3:猫は静かに眠っている。|3:鍵は机の上にある。");
    expect(state, "🙂 The lease ends in May [1].", "1:🙂 The lease ends in May");
}

/* ------------------------------------------------------------------ sources */

static void what_stands_in_the_source_is_verified(void **state) {
    expect_source(state, "The lease ends on 31 May 2027 [1].", true,
                  "The lease ends on 31 May 2027");
    expect_source(state, "The lease ends on 31 May 2027. [1]", true,
                  "The lease ends on 31 May 2027.");
    expect_source(state, "31 May 2027 [1]", true, "31 May 2027");
    expect_source(state, "猫は静かに眠っている [3]。", true, "猫は静かに眠っている");
}

static void what_is_said_otherwise_is_not(void **state) {
    expect_source(state, "The lease ends on 31 may 2027 [1].", false,
                  "The lease ends on 31 May 2027.");
    expect_source(state, "The lease  ends on 31 May 2027 [1].", false,
                  "The lease ends on 31 May 2027.");
    expect_source(state, "A payment that is late costs 2 % every month [2].", false,
                  "A late payment costs 2 % a month.");
    expect_source(state, "Elephants walk slowly [2].", false, passages[1]);
    expect_source(state, "It ends on 1 May [1].", false, "The lease ends on 31 May 2027.");
}

static void parts_of_words_do_not_verify(void **state) {
    expect_source(state, "ease ends on 31 May 202 [1].", false, "The lease ends on 31 May 2027.");
}

static void quotations_verify_if_all_of_them_stand(void **state) {
    expect_source(state, "It says that \"Notice must be given in writing\" here [1].", true,
                  "Notice must be given in writing");
    expect_source(state, "Dort steht „Notice must be given in writing“ dazu [1].", true,
                  "Notice must be given in writing");
    expect_source(state, "It says “three months before.” of that [1].", true,
                  "three months before.");
    expect_source(state,
                  "It says \"Notice must be given in writing\" and \"on the telephone too\" [1].",
                  false, "Notice must be given in writing, three months before.");
    expect_source(state, "It says \"ends on\" somewhere in there [1].", false,
                  "The lease ends on 31 May 2027.");
}

/* ------------------------------------------------------------------ hostile texts */

static void long_and_broken_texts_end(void **state) {
    size_t size = 200000;
    char *text = malloc(size + 1);
    assert_non_null(text);
    static const char *const patterns[] = {"[1]", "[",        "[1] a", "a. ",
                                           "[1",  "x [1] \n", "\"[2]", "。［1］"};
    for (size_t p = 0; p < sizeof patterns / sizeof patterns[0]; p++) {
        size_t length = strlen(patterns[p]), used = 0;
        for (; used + length <= size; used += length)
            memcpy(text + used, patterns[p], length);
        text[used] = 0;
        found all = run(*state, text, 1000);
        for (size_t i = 0; i < all.count; i++)
            assert_true((size_t)all.items[i].answer.end <= used);
    }
    free(text);
}

static void failures_of_memory_are_reported(void **state) {
    satchel_context *context = *state;
    const char *text = "The lease ends in May [1]. Rent is \"due early\" [2], see [3].";
    satchel_text shown[PASSAGES];
    for (size_t i = 0; i < PASSAGES; i++)
        shown[i] = (satchel_text){passages[i], strlen(passages[i])};
    size_t before = context->memory.now;
    satchel_status status = SATCHEL_MEMORY_LIMIT;
    for (uint64_t more = 16; status; more += 64) {
        satchel_error error = {0};
        sat_cite *cite = NULL;
        context->memory.limit = context->memory.now + more;
        status = sat_cite_open(&cite, &context->memory, shown, PASSAGES, &error);
        if (!status)
            status = sat_cite_add(cite, text, strlen(text), &error);
        if (!status)
            status = sat_cite_end(cite, &error);
        if (status) {
            assert_true(status == SATCHEL_MEMORY_LIMIT || status == SATCHEL_OUT_OF_MEMORY);
            assert_int_equal(error.code, status);
        }
        sat_cite_close(&cite);
        context->memory.limit = 0;
        assert_int_equal(context->memory.now, before);
    }
}

static void an_earlier_answer_loses_its_markers(void **state) {
    satchel_context *context = *state;
    static const char *const pairs[][2] = {
        {"", ""},
        {"[1]", ""},
        {"The lease ends in May [1].", "The lease ends in May."},
        {"A \t [1][2], b [2-4; 7] c[12]", "A, b c"},
        {"\xE5\xA5\xBD\xE3\x80\x90"
         "1\xE3\x80\x91\xE3\x80\x82\xEF\xBC\xBB\xEF\xBC\x92\xEF\xBC\xBD",
         "\xE5\xA5\xBD\xE3\x80\x82"},
        {"Line [1]\n [2] line", "Line\n line"},
        {"In [2024], [1000] and [0]: [x] [1 2] [1", "In [2024], [1000] and [0]: [x] [1 2] [1"},
        {"[[1]] [999] []", "[] []"},
    };
    for (size_t i = 0; i < SAT_COUNT(pairs); i++) {
        sat_buffer out;
        sat_buffer_init(&out, &context->memory);
        /* At the end of its block, for the sanitizers. */
        size_t length = strlen(pairs[i][0]);
        char *text = malloc(length + 1);
        assert_non_null(text);
        memcpy(text, pairs[i][0], length + 1);
        char *exact = realloc(text, length ? length : 1);
        assert_non_null(exact);
        sat_cite_strip(&out, exact, length);
        assert_int_equal(out.length, strlen(pairs[i][1]));
        if (out.length > 0)
            assert_memory_equal(out.data, pairs[i][1], out.length);
        free(exact);
        sat_buffer_free(&out);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(markers_of_all_kinds_are_read),
        cmocka_unit_test(what_is_no_marker_stays_text),
        cmocka_unit_test(numbers_out_of_range_do_not_spoil_their_neighbours),
        cmocka_unit_test(a_marker_stands_for_its_sentence),
        cmocka_unit_test(two_in_one_sentence_stand_for_their_clauses),
        cmocka_unit_test(a_marker_behind_a_few_letters_stands_for_what_follows),
        cmocka_unit_test(a_marker_alone_stands_for_the_sentence_before),
        cmocka_unit_test(scripts_without_spaces_have_sentences_too),
        cmocka_unit_test(what_stands_in_the_source_is_verified),
        cmocka_unit_test(what_is_said_otherwise_is_not),
        cmocka_unit_test(parts_of_words_do_not_verify),
        cmocka_unit_test(quotations_verify_if_all_of_them_stand),
        cmocka_unit_test(long_and_broken_texts_end),
        cmocka_unit_test(an_earlier_answer_loses_its_markers),
        cmocka_unit_test(failures_of_memory_are_reported),
    };
    return cmocka_run_group_tests(tests, open_context, close_context);
}
