/* Chat templates that mean harm: nesting, steps, memory, output. All end with LIMIT on a small
 * stack, and a failing allocation at any place leaves nothing behind. */
#include "tests/unit/base/failing.h"
#include "tests/unit/base/small_stack.h"
#include "tests/unit/generate/chat_unit.h"

/* `count` times a, then b, then `count` times c. */
static char *nested(const char *a, const char *b, const char *c, size_t count) {
    sat_buffer buffer;
    sat_buffer_init(&buffer, &context->memory);
    for (size_t i = 0; i < count; i++)
        sat_buffer_append_text(&buffer, a);
    sat_buffer_append_text(&buffer, b);
    for (size_t i = 0; i < count; i++)
        sat_buffer_append_text(&buffer, c);
    assert_false(buffer.failed);
    char *text = strdup(buffer.data);
    sat_buffer_free(&buffer);
    return text;
}

static void expect_nested(const char *a, const char *b, const char *c, size_t count,
                          satchel_status status) {
    char *source = nested(a, b, c, count);
    sat_chat_output out = {0};
    satchel_status got = render(source, &out);
    if (got != status)
        fail_msg("%zu × %s: %d (%s)", count, a, got, error.message);
    sat_chat_output_free(&out);
    free(source);
}

static void nesting_is_bounded(void **state) {
    static const char *const kinds[][3] = {
        {"(", "1", ")"},     {"[", "1", "]"},    {"-", "1", ""},        {"not ", "1", ""},
        {"{1:", "1", "}"},   {"x[", "1", "]"},   {"f(", "1", ")"},      {"1 if 1 else ", "1", ""},
        {"1 + (", "1", ")"}, {"x|d(", "1", ")"}, {"x is eq(", "1", ")"}};
    for (size_t i = 0; i < SAT_COUNT(kinds); i++) {
        char a[64], c[64];
        snprintf(a, sizeof a, "%s", kinds[i][0]);
        snprintf(c, sizeof c, "%s", kinds[i][2]);
        for (int large = 0; large < 2; large++) {
            char *inner = nested(a, kinds[i][1], c, large ? 50000 : 40);
            size_t size = strlen(inner) + 64;
            char *source = malloc(size);
            assert_non_null(source);
            snprintf(source, size, "{%% set f = range %%}{{ %s }}", inner);
            sat_chat_template *chat;
            satchel_status status = sat_chat_open(&chat, context, source, strlen(source), &error);
            if (status != (large ? SATCHEL_LIMIT : SATCHEL_OK))
                fail_msg("%s, %d: %d (%s)", a, large, status, error.message);
            sat_chat_close(&chat);
            free(source);
            free(inner);
        }
    }
    expect_nested("{% if 1 %}", "x", "{% endif %}", 90, SATCHEL_OK);
    expect_nested("{% if 1 %}", "x", "{% endif %}", 20000, SATCHEL_LIMIT);
    expect_nested("{% for a in [1] %}", "x", "{% endfor %}", 90, SATCHEL_OK);
    expect_nested("{% for a in [1] %}", "x", "{% endfor %}", 20000, SATCHEL_LIMIT);
    expect_nested("{% macro m() %}", "x", "{% endmacro %}", 20000, SATCHEL_LIMIT);
    expect_nested("{% set (((", "", "", 20000, SATCHEL_DAMAGED);
    expect_failure("{{ 1 < 1 < 1 < 1 < 1 < 1 < 1 < 1 < 1 < 1 < 1 < 1 }}", SATCHEL_LIMIT, "column",
                   "chain");
}

static void any_number_of_branches_is_fine(void **state) {
    char *branches = nested("{% elif 0 %}", "{% else %}x", "", 20000);
    size_t size = strlen(branches) + 64;
    char *source = malloc(size);
    assert_non_null(source);
    snprintf(source, size, "{%% if 0 %%}%s{%% endif %%}", branches);
    expect(source, "x");
    free(source);
    free(branches);
}

static void steps_are_bounded(void **state) {
    expect_failure(
        "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}",
        SATCHEL_LIMIT, "line 1", "");
    expect_failure("{% set x = 'ab' * 1000000 %}{% for a in range(100000) %}{% set y = 'q' in x "
                   "%}{% endfor %}",
                   SATCHEL_LIMIT, "line 1", "steps");
    expect_failure("{% set x = ['ab'] * 100000 %}{% for a in range(100000) %}{% set y = 'q' in x "
                   "%}{% endfor %}",
                   SATCHEL_LIMIT, "line 1", "");
    expect_failure("{% set x = 'Σ' * 500000 %}{{ x|lower }}", SATCHEL_LIMIT, "line 1", "steps");
    expect_failure("{% set x = 'a' * 900000 %}{% for a in range(100000) %}{% set y = "
                   "x.rsplit('aaaab') %}{% endfor %}",
                   SATCHEL_LIMIT, "line 1", "");
}

static void memory_and_output_are_bounded(void **state) {
    expect_failure("{% set n = namespace(x='a') %}{% for i in range(100) %}{% set n.x = n.x ~ n.x "
                   "%}{% endfor %}",
                   SATCHEL_LIMIT, "line 1", "");
    expect_failure("{{ 'a' * 9000000000000000000 }}", SATCHEL_LIMIT, "line 1", "");
    expect_failure("{{ 'ab' * 9000000000000000000 * 9 }}", SATCHEL_LIMIT, "line 1", "");
    expect_failure("{{ [1] * 9000000000000000000 }}", SATCHEL_LIMIT, "line 1", "");
    expect_failure("{% set x = 'a' * 1000000 %}{% for i in range(1000) %}{{ x }}{% endfor %}",
                   SATCHEL_LIMIT, "line 1", "");
    expect_failure("{{ range(100001) }}", SATCHEL_LIMIT, "line 1", "range()");
    expect_failure("{{ 9000000000000000000 + 9000000000000000000 }}", SATCHEL_LIMIT, "line 1",
                   "64 bits");
    expect_failure("{{ 10 ** 19 }}", SATCHEL_LIMIT, "line 1", "64 bits");
    expect_failure("{{ 'a'.replace('', 'b' * 10000000).replace('b', 'c' * 1000) }}", SATCHEL_LIMIT,
                   "line 1", "");
}

static void values_do_not_lie_in_each_other_without_end(void **state) {
    expect_failure(
        "{% set n = namespace(x=1) %}{% for i in range(1000) %}{% set n.x = [n.x] %}{% endfor %}",
        SATCHEL_LIMIT, "line 1", "deep");
    expect_failure("{% set n = namespace(x=1) %}{% for i in range(1000) %}{% set n.x = {'a': "
                   "n.x}.items() %}{% endfor %}",
                   SATCHEL_LIMIT, "line 1", "deep");
    expect("{% set n = namespace() %}{% set n.n = n %}{{ n.n.n == n }}", "True");
    expect_failure("{% set n = namespace() %}{% set n.n = [n] %}{{ n.n }}", SATCHEL_UNSUPPORTED,
                   "line 1", "printing a namespace");
    expect_failure("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", SATCHEL_LIMIT, "line 1",
                   "macros");
    expect_failure("{% macro m() %}{{ caller() }}{% endmacro %}{% macro r() %}{% call m() %}{{ r() "
                   "}}{% endcall %}{% endmacro %}{{ r() }}",
                   SATCHEL_LIMIT, "line 1", "macros");
    char *list = nested("1,", "1", "", 10000);
    size_t size = strlen(list) + 64;
    char *source = malloc(size);
    assert_non_null(source);
    snprintf(source, size, "{{ [%s]|length }}", list);
    expect_failure(source, SATCHEL_LIMIT, "line 1", "values at once");
    free(source);
    free(list);
}

static void a_template_is_at_most_1_MiB(void **state) {
    char *source = nested("a", "", "", (1 << 20) + 1);
    expect_failure(source, SATCHEL_LIMIT, "chat template", "1048577 bytes");
    source[1 << 20] = '\0';
    sat_chat_output out = {0};
    assert_int_equal(render(source, &out), SATCHEL_OK);
    assert_int_equal(out.text.length, 1 << 20);
    sat_chat_output_free(&out);
    free(source);
}

static void long_input_is_no_reason_to_stop(void **state) {
    char *text = nested("word <|x|> ", "", "", 200000);
    size_t size = strlen(text) + 256;
    char *messages = malloc(size);
    assert_non_null(messages);
    snprintf(messages, size, "[{\"role\": \"user\", \"content\": \"%s\"}]", text);
    sat_chat_input input = input_of(messages);
    sat_chat_output out = {0};
    assert_int_equal(
        render_input(
            "{% for m in messages %}<|{{ m.role }}|>{{ m.content|trim + '\n' }}{% endfor %}",
            &input, &out),
        SATCHEL_OK);
    assert_int_equal(out.text.length, 8 + strlen(text) - 1 + 1);
    assert_int_equal(out.count, 3);
    sat_chat_output_free(&out);
    free(messages);
    free(text);
}

static void *nest_deeply(void *unused) {
    nesting_is_bounded(NULL);
    values_do_not_lie_in_each_other_without_end(NULL);
    return unused;
}

static void a_small_stack_suffices(void **state) {
    on_a_small_stack(nest_deeply, NULL);
}

static satchel_status open_and_render(failing *f, void *user) {
    static const char source[] = "{% macro m(a, b=[1]) %}<{{ a }}{{ caller() }}>{% endmacro %}{% "
                                 "for m_ in messages if m_.role %}"
                                 "{% set t %}{{ m_.content|trim|upper ~ loop.index }}{% endset "
                                 "%}{% call m(t) %}{{ m_|tojson }}{% endcall %}"
                                 "{{ t.split('|')|join(',') }}{% endfor %}{{ {'a': tools, 'b': [1, "
                                 "2]|map('string')|list} }}";
    sat_chat_template *chat = NULL;
    sat_chat_output out = {0};
    satchel_error why;
    sat_chat_input input = input_of(MESSAGES);
    failing_begin(f);
    satchel_status status = sat_chat_open(&chat, f->context, source, strlen(source), &why);
    if (!status)
        status = sat_chat_render(chat, &input, &out, &why);
    sat_chat_output_free(&out);
    sat_chat_close(&chat);
    return status;
}

static void a_failing_allocation_leaves_nothing_behind(void **state) {
    assert_true(fail_allocations(true, open_and_render, NULL) > 20);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nesting_is_bounded),
        cmocka_unit_test(any_number_of_branches_is_fine),
        cmocka_unit_test(steps_are_bounded),
        cmocka_unit_test(memory_and_output_are_bounded),
        cmocka_unit_test(values_do_not_lie_in_each_other_without_end),
        cmocka_unit_test(a_template_is_at_most_1_MiB),
        cmocka_unit_test(long_input_is_no_reason_to_stop),
        cmocka_unit_test(a_small_stack_suffices),
        cmocka_unit_test(a_failing_allocation_leaves_nothing_behind),
    };
    return cmocka_run_group_tests(tests, open_context, close_context);
}
