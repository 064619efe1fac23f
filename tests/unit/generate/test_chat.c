/* Chat templates: the grammar of the subset, and errors with their places. Whole templates of
 * models beside their reference: tests/peers. */
#include "tests/unit/generate/chat_unit.h"

static void expressions(void **state) {
    expect("{{ 1 + 2 * 3 ** 2 - -4 }} {{ 7 // 2 }} {{ -7 // 2 }} {{ -7 % 3 }} {{ 7 / 2 }}",
           "23 3 -4 2 3.5");
    expect("{{ 'a' ~ 1 + 2 ~ none }}", "a12None");
    expect("{{ 1 < 2 < 3 }} {{ 3 > 2 > 5 }} {{ 1 == 1.0 }} {{ 'a' in 'cab' }} {{ 1 not in [2] }}",
           "True False True True True");
    expect("{{ 'a' if false }}|{{ 'a' if false else 'b' if false else 'c' }}", "|c");
    expect("{{ none or 'x' }} {{ 0 and 'x' }} {{ not '' and not 1 == 2 }}", "x 0 True");
    expect("{{ 'äbcd'[1:3] }} {{ 'äbc'[-1] }} {{ [1, 2, 3][::-1] }} {{ 'abc'[9] }}",
           "bc c [3, 2, 1] ");
    expect("{{ {'a': [1, {'b': 'x'}]}.a[1].b }} {{ (1,) }} {{ {'a': none} }}",
           "x (1,) {'a': None}");
}

static void numbers_are_spelled_as_in_python(void **state) {
    expect("{{ 1e16 }} {{ 1e15 }} {{ 0.0001 }} {{ 0.00001 }} {{ 0.1 + 0.2 }} {{ 2 ** -1 }}",
           "1e+16 1000000000000000.0 0.0001 1e-05 0.30000000000000004 0.5");
}

static void statements(void **state) {
    expect("{% for k, v in {'a': 1, 'b': 2}.items() %}{{ loop.index }}{{ k }}{{ v }}{{ ',' if not "
           "loop.last }}{% endfor %}",
           "1a1,2b2");
    expect("{% for x in [] %}a{% else %}none{% endfor %}", "none");
    expect("{% if 0 %}a{% elif 1 %}b{% else %}c{% endif %}", "b");
    expect("{% set x = 1 %}{% for i in [1, 2] %}{{ x }}{% set x = 5 %}{{ x }}{% endfor %}{{ x }}",
           "15151");
    expect("{% set n = namespace(a=1) %}{% for i in [1, 2] %}{% set n.a = n.a + i %}{% endfor %}{{ "
           "n.a }}",
           "4");
    expect("{% set t | upper %}a{{ 1 }}b{% endset %}{{ t }}{% filter lower %}X{% endfilter %}",
           "A1Bx");
    expect("{% for i in range(9) %}{% if i == 1 %}{% continue %}{% endif %}{% if i == 4 %}{% break "
           "%}{% endif %}{{ i }}{% endfor %}",
           "023");
    expect("{% for m in [1] %}{% generation %}{{ m }}{% set m = 2 %}{% endgeneration %}{{ m }}{% "
           "endfor %}",
           "11");
}

static void
a_loops_condition_sees_what_the_body_changes_unless_the_loop_is_looked_at(void **state) {
    expect("{% set n = namespace(end=false) %}{% for i in [1, 2, 3] if not n.end %}{{ i }}{% set "
           "n.end = true %}{% endfor %}",
           "1");
    expect("{% set n = namespace(end=false) %}{% for i in [1, 2, 3] if not n.end %}{{ i }}{{ "
           "loop.length }}{% set n.end = true %}{% endfor %}",
           "132333");
}

static void break_leaves_captures_and_scopes(void **state) {
    expect("{% for i in [1, 2] %}{% set z %}a{% for j in [1] %}{% break %}{% endfor %}{% if i == 2 "
           "%}{% break %}{% endif %}{% endset %}{{ z }}{% endfor %}|{{ z }}",
           "a|");
}

static void macros(void **state) {
    expect("{% macro m(a, b=2, c=a) %}({{ a }},{{ b }},{{ c }}){% endmacro %}{{ m(1) }}{{ m(1, "
           "c=3) }}",
           "(1,2,1)(1,2,3)");
    expect("{% macro f(n) %}{{ n }}{% if n %}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(3) }}",
           "3210");
    expect("{% macro d(x) %}<{{ caller(x) }}>{% endmacro %}{% call(y) d(7) %}b{{ y }}{% endcall %}",
           "<b7>");
    expect("{% macro e() %}{{ v }}{% endmacro %}{% set v = 3 %}{{ e() }}", "3");
    expect("{% for i in [1, 2] %}{% macro g() %}{{ i }}{% endmacro %}{% set i = 9 %}{{ g() }}{% "
           "endfor %}",
           "99");
}

static void white_space(void **state) {
    expect("  {% if true %}\n  a\n  {% endif %}\nb\n", "  a\nb");
    expect("a  {{- 1 -}}  b  {%- if true -%}  c  {%- endif %}", "a1bc");
    expect("{%+ if true %} x{% endif +%}\ny {# c #}\nz", " x\ny z");
    expect("a\r\nb\rc\n\n", "a\nb\nc\n");
    expect("{% raw %}{{ x }}{% endraw %}", "{{ x }}");
}

static void undefined_is_empty_until_it_is_used(void **state) {
    expect("[{{ nothing }}{% for x in nothing %}a{% endfor %}{{ messages[0].other }}{{ messages[5] "
           "}}]",
           "[]");
    expect_failure("{{ nothing.x }}", SATCHEL_INVALID_ARGUMENT, "line 1, column 12",
                   "nothing is undefined");
    expect_failure("a\n {{ 'x' + nothing }}", SATCHEL_INVALID_ARGUMENT, "line 2, column 9",
                   "nothing is undefined");
}

static void the_environment_of_transformers(void **state) {
    expect("{{ {'b': 'ä\"', 'a': [1, none, true, 1.5]}|tojson }}",
           "{\"b\": \"ä\\\"\", \"a\": [1, null, true, 1.5]}");
    expect("{{ {'a': [1]}|tojson(indent=2) }}", "{\n  \"a\": [\n    1\n  ]\n}");
    expect("{{ strftime_now('%Y-%m-%d %b') }}", "1970-01-01 Jan");
    expect("{{ bos_token }}{{ eos_token }}{{ tools }}{{ documents }}{{ add_generation_prompt }}",
           "<s></s>NoneNoneTrue");
    expect_failure("\n{{ raise_exception('no ' ~ messages[0].role) }}", SATCHEL_INVALID_ARGUMENT,
                   "line 2, column 19", "no user");
    expect_failure("{{ [].append(1) }}", SATCHEL_INVALID_ARGUMENT, "line 1, column 13",
                   "append() would change a list");
}

static void time_is_of_the_gregorian_calendar(void **state) {
    static const struct {
        int64_t now;
        const char *text;
    } cases[] = {{951782400, "2000-02-29 Tue 060"},    {4107542400, "2100-03-01 Mon 060"},
                 {-1, "1969-12-31 Wed 365"},           {-62135596800, "1-01-01 Mon 001"},
                 {253402300799, "9999-12-31 Fri 365"}, {1772629507, "2026-03-04 Wed 063"}};
    for (size_t i = 0; i < SAT_COUNT(cases); i++) {
        sat_chat_input input = input_of(MESSAGES);
        sat_chat_output out = {0};
        input.now = cases[i].now;
        assert_int_equal(render_input("{{ strftime_now('%Y-%m-%d %a %j') }}", &input, &out), 0);
        assert_string_equal(out.text.data, cases[i].text);
        sat_chat_output_free(&out);
    }
    sat_chat_input input = input_of(MESSAGES);
    sat_chat_output out = {0};
    input.now = INT64_MAX;
    assert_int_equal(render_input("{{ strftime_now('%Y') }}", &input, &out),
                     SATCHEL_INVALID_ARGUMENT);
}

static void what_is_not_in_the_subset_is_named_when_the_template_is_opened(void **state) {
    static const char *const cases[][3] = {
        {"a\n{{ 'x'|wordwrap }}", "line 2, column 8", "the filter \"wordwrap\""},
        {"{{ 'x' is escaped }}", "line 1, column 11", "the test \"escaped\""},
        {"{{ messages.frobnicate() }}", "line 1, column 13", "the method \"frobnicate\""},
        {"{{ 'x'.encode() }}", "line 1, column 8", "the method \"encode\""},
        {"{% include 'x' %}", "line 1, column 4", "the statement \"include\""},
        {"{% with x = 1 %}{% endwith %}", "line 1, column 4", "the statement \"with\""},
        {"{{ cycler(1) }}", "line 1, column 4", "the function \"cycler\""},
        {"{{ self }}", "line 1, column 4", "the variable \"self\""},
        {"{{ x.__class__ }}", "line 1, column 6", "\"__class__\""},
        {"{{ f(*x) }}", "line 1, column 6", "arguments given by \"*\""},
        {"{{ []|map('wordwrap')|list }}", "line 1, column 11", "the filter \"wordwrap\""},
        {"{{ []|selectattr('a', 'escaped')|list }}", "line 1, column 23", "the test \"escaped\""},
        {"{% for x in y recursive %}{% endfor %}", "line 1, column 15", "recursive"},
        {"{{ '\\N{DASH}' }}", "line 1, column 5", "escape"},
        {"{{ 0x10 }}", "line 1, column 4", "a number in this spelling"},
        {"{{ ü }}", "line 1, column 4", "not ASCII"},
        {"{% macro m() %}{{ varargs }}{% endmacro %}", "line 1, column 19", "\"varargs\""},
        {"{% set loop = 1 %}", "line 1, column 8", "\"loop\""},
    };
    for (size_t i = 0; i < SAT_COUNT(cases); i++) {
        sat_chat_template *chat;
        satchel_error why;
        satchel_status status =
            sat_chat_open(&chat, context, cases[i][0], strlen(cases[i][0]), &why);
        assert_null(chat);
        if (status != SATCHEL_UNSUPPORTED || !strstr(why.message, cases[i][1]) ||
            !strstr(why.message, cases[i][2]))
            fail_msg("%s: %d, \"%s\"", cases[i][0], status, why.message);
    }
}

static void what_no_one_can_know_before_is_named_when_it_is_rendered(void **state) {
    expect_failure("{{ '%s' % 1 }}", SATCHEL_UNSUPPORTED, "line 1, column 9",
                   "formatting a text by %");
    expect_failure("{{ '{:>5}'.format(1) }}", SATCHEL_UNSUPPORTED, "line 1, column 18", "format()");
    expect_failure("{{ strftime_now('%Q') }}", SATCHEL_UNSUPPORTED, "line 1, column 16", "%Q");
    expect_failure("{{ 5 .real }}", SATCHEL_UNSUPPORTED, "line 1, column 7", "\"real\"");
}

static void what_is_no_template_is_damaged(void **state) {
    static const char *const cases[][2] = {
        {"{{ 1", "line 1, column 1"},
        {"{% if 1 %}", "line 1, column 11"},
        {"a{% endfor %}", "line 1, column 5"},
        {"{{ (1] }}", "line 1, column 6"},
        {"{{ 'x }}", "line 1, column 4"},
        {"{# x", "line 1, column 1"},
        {"{% raw %}x", "line 1, column 1"},
        {"{{ a b }}", "line 1, column 6"},
        {"{% break %}", "line 1, column 4"},
        {"{{ }}", "line 1, column 4"},
        {"{{ x | }}", "line 1, column 8"},
        {"\n{% set true = 1 %}", "line 2, column 8"},
        {"{% if 1 %}{% for x in y %}{% endif %}{% endfor %}", "line 1, column 30"},
    };
    for (size_t i = 0; i < SAT_COUNT(cases); i++)
        expect_failure(cases[i][0], SATCHEL_DAMAGED, cases[i][1], "");
}

static void columns_count_characters(void **state) {
    expect_failure("äöü\nä😀{{ x|nope }}", SATCHEL_UNSUPPORTED, "line 2, column 8", "nope");
}

static void input_is_checked(void **state) {
    static const struct {
        const char *messages, *tools, *variables, *what;
    } cases[] = {{NULL, NULL, NULL, "messages is NULL"},
                 {"{}", NULL, NULL, "messages: not a JSON array"},
                 {"[1]", NULL, NULL, "messages[0]: not an object"},
                 {"[", NULL, NULL, "messages, line 1"},
                 {"[]", "[2]", NULL, "tools[0]: not an object"},
                 {"[]", NULL, "[]", "variables: not a JSON object"},
                 {"[]", NULL, "{\"bos_token\": 1}", "\"bos_token\" is given apart"},
                 {"[{\"a\": \"\\u0000\"}]", NULL, NULL, "messages, line 1"}};
    for (size_t i = 0; i < SAT_COUNT(cases); i++) {
        sat_chat_output out = {0};
        sat_chat_input input = input_of("[]");
        input.messages = cases[i].messages;
        input.messages_length = cases[i].messages ? strlen(cases[i].messages) : 0;
        input.tools = cases[i].tools;
        input.tools_length = cases[i].tools ? strlen(cases[i].tools) : 0;
        input.variables = cases[i].variables;
        input.variables_length = cases[i].variables ? strlen(cases[i].variables) : 0;
        assert_int_equal(render_input("x", &input, &out), SATCHEL_INVALID_ARGUMENT);
        if (!strstr(error.message, cases[i].what))
            fail_msg("\"%s\" lacks \"%s\"", error.message, cases[i].what);
    }
    sat_chat_template *chat;
    assert_int_equal(sat_chat_open(&chat, context, "a\xFF", 2, &error), SATCHEL_INVALID_TEXT);
    assert_null(chat);
}

static void an_output_can_be_used_again(void **state) {
    sat_chat_output out = {0};
    assert_int_equal(render("{{ messages }}", &out), SATCHEL_OK);
    assert_int_equal(render("b", &out), SATCHEL_OK);
    assert_string_equal(out.text.data, "b");
    assert_int_equal(out.count, 1);
    sat_chat_output_free(&out);
    sat_chat_output_free(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(expressions),
        cmocka_unit_test(numbers_are_spelled_as_in_python),
        cmocka_unit_test(statements),
        cmocka_unit_test(a_loops_condition_sees_what_the_body_changes_unless_the_loop_is_looked_at),
        cmocka_unit_test(break_leaves_captures_and_scopes),
        cmocka_unit_test(macros),
        cmocka_unit_test(white_space),
        cmocka_unit_test(undefined_is_empty_until_it_is_used),
        cmocka_unit_test(the_environment_of_transformers),
        cmocka_unit_test(time_is_of_the_gregorian_calendar),
        cmocka_unit_test(what_is_not_in_the_subset_is_named_when_the_template_is_opened),
        cmocka_unit_test(what_no_one_can_know_before_is_named_when_it_is_rendered),
        cmocka_unit_test(what_is_no_template_is_damaged),
        cmocka_unit_test(columns_count_characters),
        cmocka_unit_test(input_is_checked),
        cmocka_unit_test(an_output_can_be_used_again),
    };
    return cmocka_run_group_tests(tests, open_context, close_context);
}
