/* What the tests of chat templates share: rendering, and comparing text, marks and failures. */
#ifndef SATCHEL_TESTS_UNIT_GENERATE_CHAT_UNIT_H
#define SATCHEL_TESTS_UNIT_GENERATE_CHAT_UNIT_H

#include "tests/unit/generate/context_unit.h"

#include "generate/chat.h"

static satchel_error error;

/* One message of a user; its texts hold what a template might choke on. */
#define MESSAGES                                                                                   \
    "[{\"role\": \"user\", \"content\": \" <|x|> {{ y }} \", \"n\": 42, \"list\": [1, \"b\"]}]"

static inline sat_chat_input input_of(const char *messages) {
    return (sat_chat_input){.messages = messages,
                            .messages_length = strlen(messages),
                            .bos = "<s>",
                            .eos = "</s>",
                            .add_generation_prompt = true};
}

static inline satchel_status render_input(const char *source, const sat_chat_input *input,
                                          sat_chat_output *out) {
    sat_chat_template *chat = NULL;
    memset(&error, 0, sizeof error);
    satchel_status status = sat_chat_open(&chat, context, source, strlen(source), &error);
    assert_true((status == SATCHEL_OK) == (chat != NULL));
    if (!status)
        status = sat_chat_render(chat, input, out, &error);
    sat_chat_close(&chat);
    assert_int_equal(error.code, status);
    return status;
}

static inline satchel_status render(const char *source, sat_chat_output *out) {
    sat_chat_input input = input_of(MESSAGES);
    return render_input(source, &input, out);
}

/* The text, with « » around what is not trusted. */
static inline char *marked(const sat_chat_output *out, bool show) {
    size_t room = out->text.length + 8 * out->count + 1, at = 0, length = 0;
    char *text = malloc(room);
    assert_non_null(text);
    text[0] = '\0';
    for (size_t i = 0; i < out->count; i++) {
        const sat_text_part *part = &out->parts[i];
        assert_true(part->length > 0);
        assert_ptr_equal(part->text, out->text.data + at);
        assert_true(i == 0 || part->trusted != part[-1].trusted);
        at += part->length;
        length += (size_t)snprintf(text + length, room - length, "%s%.*s%s",
                                   show && !part->trusted ? "«" : "", (int)part->length, part->text,
                                   show && !part->trusted ? "»" : "");
    }
    assert_int_equal(at, out->text.length);
    return text;
}

static inline void expect_as(const char *source, const char *wanted, bool show) {
    sat_chat_output out = {0};
    if (render(source, &out))
        fail_msg("%s: %s", source, error.message);
    char *text = marked(&out, show);
    if (strcmp(text, wanted) != 0)
        fail_msg("%s gives \"%s\", not \"%s\"", source, text, wanted);
    free(text);
    sat_chat_output_free(&out);
}

static inline void expect(const char *source, const char *text) {
    expect_as(source, text, false);
}
static inline void expect_marks(const char *source, const char *text) {
    expect_as(source, text, true);
}

/* The message holds all that is given: where it is, what it names. */
static inline void expect_failure(const char *source, satchel_status status, const char *where,
                                  const char *what) {
    sat_chat_output out = {0};
    satchel_status got = render(source, &out);
    if (got != status)
        fail_msg("%.200s gives %d (%s), not %d", source, got, error.message, status);
    if (!strstr(error.message, where) || !strstr(error.message, what))
        fail_msg("%.200s: \"%s\" lacks \"%s\" or \"%s\"", source, error.message, where, what);
    assert_null(out.text.data);
    assert_null(out.parts);
    assert_int_equal(out.count, 0);
}

#endif
