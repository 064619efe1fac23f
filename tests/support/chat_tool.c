/*
 * Renders chat templates for a test program in another language: a JSON object a line on stdin, one
 * a line on stdout.
 *
 *   in:  {"template": "…", "messages": "[…]", "tools": "[…]" or null, "variables": "{…}" or null,
 *         "bos": "<s>" or null, "eos": …, "generate": true, "join": true, "continue": true, "now": 0}
 *        messages, tools and variables are JSON in a string
 *   out: {"status": "SATCHEL_OK", "text": "…", "parts": [[length, trusted], …]}
 *        or {"status": "…", "error": "…"}
 */
#include "generate/chat.h"
#include "tests/support/tool.h"

const char tool_name[] = "chat_tool";

static const char *text_of(const json_t *line, const char *key, size_t *length) {
    const json_t *value = json_object_get(line, key);
    *length = json_string_length(value);
    return json_string_value(value);
}

static json_t *render(void *user, const json_t *line) {
    satchel_context *context = user;
    satchel_error error = {0};
    sat_chat_template *chat = NULL;
    sat_chat_output out = {0};
    size_t length, unused;
    const char *source = text_of(line, "template", &length);
    sat_chat_input input = {
        .bos = text_of(line, "bos", &unused),
        .eos = text_of(line, "eos", &unused),
        .add_generation_prompt = json_is_true(json_object_get(line, "generate")),
        .join_parts = json_is_true(json_object_get(line, "join")),
        .continue_last = json_is_true(json_object_get(line, "continue")),
        .now = json_integer_value(json_object_get(line, "now")),
    };
    input.messages = text_of(line, "messages", &input.messages_length);
    input.tools = text_of(line, "tools", &input.tools_length);
    input.variables = text_of(line, "variables", &input.variables_length);
    satchel_status status = sat_chat_open(&chat, context, source ? source : "", length, &error);
    if (!status)
        status = sat_chat_render(chat, &input, &out, &error);
    json_t *result = json_pack("{s:s}", "status", sat_status_name(status));
    if (status) {
        json_object_set_new(result, "error", json_string(error.message));
    } else {
        json_t *parts = json_array();
        for (size_t i = 0; i < out.count; i++)
            json_array_append_new(
                parts, json_pack("[I,b]", (json_int_t)out.parts[i].length, out.parts[i].trusted));
        json_object_set_new(result, "text", json_stringn(out.text.data, out.text.length));
        json_object_set_new(result, "parts", parts);
    }
    sat_chat_output_free(&out);
    sat_chat_close(&chat);
    return result;
}

int main(void) {
    satchel_context *context = NULL;
    satchel_error error;
    tool_check(sat_context_open(&context, NULL, &error), &error);
    tool_answer_lines(render, context);
    sat_context_release(context);
    return 0;
}
