/* Running models that generate: a prompt or a conversation becomes a pulled stream. */
#include "sdk/handle.h"

void satchel_generate_options_init(satchel_generate_options *options, size_t struct_size) {
    sat_options_init(options, struct_size);
}

void satchel_chat_options_init(satchel_chat_options *options, size_t struct_size) {
    sat_options_init(options, struct_size);
}

/* ------------------------------------------------------------------ options */

static satchel_status check_number(const char *call, const char *what, float value,
                                   satchel_error *error) {
    if (value - value == 0) /* neither infinite nor NaN */
        return SATCHEL_OK;
    return sat_fail(error, SATCHEL_INVALID_ARGUMENT, "%s: options.%s is not a finite number", call,
                    what);
}

satchel_status sat_generate_read_options(satchel_generate_options *known, const char *call,
                                         const satchel_generate_options *options,
                                         satchel_error *error) {
    satchel_status status =
        sat_options_read(known, sizeof *known, options, "satchel_generate_options", error);
    const struct {
        const char *what;
        float value;
    } numbers[] = {{"temperature", known->temperature},
                   {"top_p", known->top_p},
                   {"min_p", known->min_p},
                   {"typical_p", known->typical_p},
                   {"repetition", known->repetition},
                   {"frequency", known->frequency},
                   {"presence", known->presence}};
    for (size_t i = 0; !status && i < SAT_COUNT(numbers); i++)
        status = check_number(call, numbers[i].what, numbers[i].value, error);
    if (!status)
        status =
            sat_check_range(call, "options.max_tokens", known->max_tokens, -1, INT32_MAX, error);
    if (!status)
        status = sat_check_range(call, "options.trust_prompt", known->trust_prompt, 0, 1, error);
    if (!status)
        status = sat_check_range(call, "options.overflow", known->overflow, SATCHEL_OVERFLOW_ERROR,
                                 SATCHEL_OVERFLOW_SHIFT, error);
    if (!status)
        status = sat_check_range(call, "options.no_saved_kv", known->no_saved_kv, 0, 1, error);
    if (!status && known->stop_count)
        status = sat_check_pointer(call, "options.stop", known->stop, error);
    if (!status && known->bias_count)
        status = sat_check_pointer(call, "options.bias_tokens", known->bias_tokens, error);
    if (!status && known->bias_count)
        status = sat_check_pointer(call, "options.biases", known->biases, error);
    if (!status)
        status = sat_check_string(call, "options.schema", known->schema, true, error);
    if (!status)
        status = sat_check_string(call, "options.grammar", known->grammar, true, error);
    if (!status && known->schema && known->grammar)
        status =
            sat_fail(error, SATCHEL_INVALID_ARGUMENT,
                     "%s: options.schema and options.grammar are both given; an answer follows "
                     "one of them",
                     call);
    return status ? status : sat_cancel_check(known->cancel, error);
}

/* `generate` receives what options->generate leads to; *known leads to it. */
static satchel_status read_chat_options(satchel_chat_options *known,
                                        satchel_generate_options *generate, const char *call,
                                        const satchel_chat_options *options, satchel_error *error) {
    satchel_status status =
        sat_options_read(known, sizeof *known, options, "satchel_chat_options", error);
    if (!status)
        status = sat_generate_read_options(generate, call, known->generate, error);
    if (!status)
        status = sat_check_string(call, "options.tools", known->tools, true, error);
    if (!status)
        status = sat_check_string(call, "options.variables", known->variables, true, error);
    if (!status)
        status =
            sat_check_range(call, "options.continue_answer", known->continue_answer, 0, 1, error);
    known->generate = generate;
    return status;
}

/* ------------------------------------------------------------------ an application's generator */

/* Its table, as generate is given it: each call passes the gate. */
static satchel_status gated_begin(void *user, const satchel_generator_request *request,
                                  void **run) {
    satchel_model *model = user;
    sat_gate_enter(&model->gate);
    satchel_status status = model->app_generator.begin(model->app_generator.user, request, run);
    sat_gate_leave(&model->gate);
    return status;
}

static satchel_status gated_next(void *user, void *run, const char **text, size_t *length) {
    satchel_model *model = user;
    sat_gate_enter(&model->gate);
    satchel_status status = model->app_generator.next(model->app_generator.user, run, text, length);
    sat_gate_leave(&model->gate);
    return status;
}

static void gated_end(void *user, void *run) {
    satchel_model *model = user;
    sat_gate_enter(&model->gate);
    model->app_generator.end(model->app_generator.user, run);
    sat_gate_leave(&model->gate);
}

static satchel_status app_chat(sat_stream **out, satchel_model *model, const char *messages,
                               size_t length, const satchel_chat_options *options,
                               satchel_error *error) {
    const satchel_generator table = {.struct_size = sizeof table,
                                     .user = model,
                                     .id = model->id,
                                     .context_tokens = model->info.context_tokens,
                                     .begin = gated_begin,
                                     .next = gated_next,
                                     .end = gated_end};
    if (options->tools || options->variables)
        return sat_fail(error, SATCHEL_UNSUPPORTED,
                        "options.%s is for chat templates, and generator '%s' is the application's",
                        options->tools ? "tools" : "variables", model->id);
    return sat_app_generation_open(out, model->context, &table, messages, length, options->generate,
                                   options->continue_answer != 0, error);
}

/* ------------------------------------------------------------------ runs */

satchel_status sat_model_chat(sat_stream **out, satchel_model *model, const char *messages,
                              size_t length, const satchel_chat_options *options,
                              satchel_error *error) {
    *out = NULL;
    if (!model->generator)
        return app_chat(out, model, messages, length, options, error);
    sat_tokens tokens = {0};
    satchel_status status =
        sat_generator_chat_prompt(model->generator, options, messages, length, &tokens, error);
    if (!status)
        return sat_generator_run(out, model->generator, &tokens, options->generate, error);
    sat_tokens_free(&tokens);
    return status;
}

/* A prompt is all that the user says to a generator that knows conversations alone. */
static satchel_status app_generate(sat_stream **out, satchel_model *model, const char *prompt,
                                   size_t length, const satchel_generate_options *options,
                                   satchel_error *error) {
    sat_buffer messages;
    sat_buffer_init(&messages, &model->context->memory);
    sat_buffer_append_text(&messages, "[{\"role\":\"user\",\"content\":");
    sat_json_append_string(&messages, prompt, length);
    const satchel_chat_options chat = {.generate = options};
    satchel_status status = sat_buffer_append_text(&messages, "}]")
                                ? app_chat(out, model, messages.data, messages.length, &chat, error)
                                : sat_memory_fail(&model->context->memory, length, error);
    sat_buffer_free(&messages);
    return status;
}

satchel_status satchel_generate(satchel_stream **out, satchel_model *model, const char *prompt,
                                size_t length, const satchel_generate_options *options,
                                satchel_error *error) {
    satchel_status status = sat_check_out(__func__, "out", out, sizeof *out, error);
    satchel_generate_options known;
    if (!status)
        status = sat_check_kind(__func__, model, SATCHEL_MODEL_GENERATOR, error);
    if (!status)
        status = sat_check_text(__func__, "the prompt", prompt, &length, error);
    if (!status)
        status = sat_generate_read_options(&known, __func__, options, error);
    if (status)
        return status;
    sat_stream *inner = NULL;
    if (model->generator) {
        sat_tokens tokens = {0};
        status = sat_model_prompt(model, prompt, length, known.trust_prompt != 0, &tokens, error);
        if (!status)
            status = sat_generator_run(&inner, model->generator, &tokens, &known, error);
        else
            sat_tokens_free(&tokens);
    } else {
        status = app_generate(&inner, model, prompt ? prompt : "", length, &known, error);
    }
    return status ? status : sat_stream_wrap(out, NULL, model, inner, error);
}

satchel_status satchel_chat(satchel_stream **out, satchel_model *model, const char *messages,
                            size_t length, const satchel_chat_options *options,
                            satchel_error *error) {
    satchel_status status = sat_check_out(__func__, "out", out, sizeof *out, error);
    satchel_chat_options known;
    satchel_generate_options generate;
    if (!status)
        status = sat_check_kind(__func__, model, SATCHEL_MODEL_GENERATOR, error);
    if (!status)
        status = sat_check_pointer(__func__, "messages", messages, error);
    if (!status)
        status = sat_check_text(__func__, "the messages", messages, &length, error);
    if (!status)
        status = read_chat_options(&known, &generate, __func__, options, error);
    sat_stream *inner = NULL;
    if (!status)
        status = sat_model_chat(&inner, model, messages, length, &known, error);
    return status ? status : sat_stream_wrap(out, NULL, model, inner, error);
}
