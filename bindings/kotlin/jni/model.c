/* Models: opening, what they say of themselves, vectors, tokens, generating. */
#include "bridge.h"

#include <string.h>

/* ------------------------------------------------------------------ opening */

/* Reads what Kotlin's ModelOptions wrote. */
static satchel_status read_options(call *c, satchel_model_options *options) {
    satchel_model_options_init(options, sizeof *options);
    options->query_prefix = read_text(&c->in);
    options->document_prefix = read_text(&c->in);
    options->pooling = read_i32(&c->in);
    options->max_tokens = read_i32(&c->in);
    options->context_tokens = read_i32(&c->in);
    options->kv_type = read_i32(&c->in);
    options->adapters = read_texts(c, &options->adapter_count);
    size_t scales;
    options->adapter_scales = read_array(c, &scales);
    options->chat_template = read_text(&c->in);
    options->warm = read_i32(&c->in);
    options->dimension = read_i32(&c->in);
    options->cancel = read_handle(&c->in);
    if (c->callback) {
        options->progress = on_progress;
        options->progress_user = c;
    }
    if (options->adapter_scales && scales != options->adapter_count)
        c->in.bad = true;
    return understood(c);
}

satchel_status op_model_open(call *c) {
    satchel_context *context = read_handle(&c->in);
    const char *path = read_text(&c->in);
    int32_t fd = read_i32(&c->in);
    uint64_t offset = (uint64_t)read_i64(&c->in), length = (uint64_t)read_i64(&c->in);
    satchel_model_options options;
    satchel_status status = read_options(c, &options);
    if (status)
        return status;
    satchel_model *model;
    status = path ? satchel_model_open(&model, context, path, &options, &c->error)
                  : satchel_model_open_fd(&model, context, fd, offset, length, &options, &c->error);
    if (!status)
        write_handle(c, model, unmake_model);
    return status;
}

void unmake_model(void *made) {
    satchel_model *model = made;
    satchel_model_close(&model);
}

satchel_status op_model_close(call *c) {
    unmake_model(read_handle(&c->in));
    return SATCHEL_OK;
}

satchel_status op_model_info(call *c) {
    satchel_model_info info;
    satchel_status status =
        satchel_model_get_info(read_handle(&c->in), &info, sizeof info, &c->error);
    if (status)
        return status;
    writer *out = &c->out;
    write_text(out, info.name);
    write_text(out, info.architecture);
    write_text(out, info.fingerprint);
    write_text(out, info.weight_type);
    write_i32(out, info.dimension);
    write_i32(out, info.max_tokens);
    write_i64(out, info.vocabulary_size);
    write_i64(out, info.parameter_count);
    write_i64(out, info.file_bytes);
    write_i32(out, info.kind);
    write_i32(out, info.context_tokens);
    write_i32(out, info.trained_context);
    write_i32(out, info.layers);
    write_i32(out, info.has_chat_template);
    write_i64(out, (int64_t)info.weight_bytes);
    write_i64(out, (int64_t)info.memory_bytes);
    write_i64(out, (int64_t)info.kv_bytes_a_token);
    return SATCHEL_OK;
}

satchel_status op_model_measure(call *c) {
    satchel_context *context = read_handle(&c->in);
    const char *path = read_text(&c->in);
    satchel_model_options options;
    satchel_status status = read_options(c, &options);
    if (status)
        return status;
    satchel_model_need need;
    status = satchel_model_measure(context, path, &need, sizeof need, &options, &c->error);
    if (status)
        return status;
    write_i32(&c->out, need.kind);
    write_i32(&c->out, need.context_tokens);
    write_i64(&c->out, (int64_t)need.file_bytes);
    write_i64(&c->out, (int64_t)need.weight_bytes);
    write_i64(&c->out, (int64_t)need.memory_bytes);
    write_i64(&c->out, (int64_t)need.kv_bytes);
    return SATCHEL_OK;
}

/* ------------------------------------------------------------------ vectors */

satchel_status op_model_embed(call *c) {
    satchel_model *model = read_handle(&c->in);
    const satchel_cancel *cancel = read_handle(&c->in);
    int32_t role = read_i32(&c->in), n = read_i32(&c->in);
    satchel_model_info info;
    satchel_status status = satchel_model_get_info(model, &info, sizeof info, &c->error);
    if (status)
        return status;
    if (n < 0)
        c->in.bad = true;
    satchel_text *texts = c->in.bad ? NULL : keep(c, (size_t)n, sizeof *texts);
    for (int32_t i = 0; texts && i < n; i++)
        texts[i].data = read_bytes(&c->in, &texts[i].length);
    status = understood(c);
    if (status)
        return status;
    write_i32(&c->out, info.dimension);
    // A generator has vectors within, too: the library refuses it by name.
    size_t dimension = info.dimension > 0 ? (size_t)info.dimension : 1;
    if (!texts || (size_t)n > SIZE_MAX / sizeof(float) / dimension)
        return fail(c, SATCHEL_OUT_OF_MEMORY, "no memory for texts");
    float *out = keep(c, (size_t)n * dimension + 1, sizeof *out); // (n, dimension)
    if (!out)
        return fail(c, SATCHEL_OUT_OF_MEMORY, "no memory for vectors");
    status = satchel_model_embed(model, role, texts, (size_t)n, out, cancel, &c->error);
    if (!status)
        write_bytes(&c->out, (const char *)out, (size_t)n * dimension * sizeof *out);
    return status;
}

/* ------------------------------------------------------------------ tokens */

satchel_status op_model_tokenize(call *c) {
    const satchel_model *model = read_handle(&c->in);
    size_t length, count = 0;
    const char *text = read_bytes(&c->in, &length);
    satchel_status status = understood(c);
    if (!status)
        status = satchel_model_tokenize(model, text, length, NULL, 0, &count, &c->error);
    if (status)
        return status;
    int32_t *tokens = keep(c, count + 1, sizeof *tokens);
    if (!tokens)
        return fail(c, SATCHEL_OUT_OF_MEMORY, "no memory for tokens");
    status = satchel_model_tokenize(model, text, length, tokens, count, &count, &c->error);
    if (!status)
        write_bytes(&c->out, (const char *)tokens, count * sizeof *tokens);
    return status;
}

satchel_status op_model_token(call *c) {
    const satchel_model *model = read_handle(&c->in);
    write_text(&c->out, satchel_model_token(model, read_i32(&c->in)));
    return understood(c);
}

satchel_status op_model_detokenize(call *c) {
    const satchel_model *model = read_handle(&c->in);
    int32_t special = read_i32(&c->in);
    size_t count, length = 0;
    const int32_t *tokens = read_array(c, &count);
    satchel_status status = understood(c);
    if (!status)
        status =
            satchel_model_detokenize(model, tokens, count, special, NULL, 0, &length, &c->error);
    if (status)
        return status;
    char *text = keep(c, length + 1, 1);
    if (!text)
        return fail(c, SATCHEL_OUT_OF_MEMORY, "no memory for a text");
    status =
        satchel_model_detokenize(model, tokens, count, special, text, length, &length, &c->error);
    if (!status)
        write_bytes(&c->out, text, length);
    return status;
}

satchel_status op_model_logits(call *c) {
    satchel_model *model = read_handle(&c->in);
    const satchel_cancel *cancel = read_handle(&c->in);
    size_t count;
    const int32_t *tokens = read_array(c, &count);
    satchel_status status = understood(c);
    satchel_model_info info;
    if (!status)
        status = satchel_model_get_info(model, &info, sizeof info, &c->error);
    if (status)
        return status;
    size_t width = info.vocabulary_size > 0 ? (size_t)info.vocabulary_size : 1;
    if (count > (size_t)INT32_MAX / sizeof(float) / width)
        return fail(c, SATCHEL_LIMIT, "more logits than a Java array holds: ask for fewer tokens");
    float *logits = keep(c, count * width + 1, sizeof *logits); // (count, vocabulary)
    if (!logits)
        return fail(c, SATCHEL_OUT_OF_MEMORY, "no memory for logits");
    status = satchel_model_logits(model, tokens, count, logits, cancel, &c->error);
    write_i32(&c->out, (int32_t)width);
    if (!status)
        write_bytes(&c->out, (const char *)logits, count * width * sizeof *logits);
    return status;
}

satchel_status op_model_perplexity(call *c) {
    satchel_model *model = read_handle(&c->in);
    const satchel_cancel *cancel = read_handle(&c->in);
    size_t length;
    const char *text = read_bytes(&c->in, &length);
    satchel_perplexity found;
    satchel_status status = understood(c);
    if (!status)
        status = satchel_model_perplexity(model, text, length, &found, sizeof found,
                                          c->callback ? on_progress : NULL, c, cancel, &c->error);
    if (status)
        return status;
    write_i64(&c->out, found.tokens);
    write_f64(&c->out, found.nll);
    write_f64(&c->out, found.perplexity);
    write_f64(&c->out, found.bits_per_byte);
    write_i64(&c->out, found.elapsed_ms);
    return SATCHEL_OK;
}

/* ------------------------------------------------------------------ generating */

satchel_status read_generate(call *c, satchel_generate_options *options,
                             const satchel_cancel *cancel) {
    satchel_generate_options_init(options, sizeof *options);
    reader *in = &c->in;
    options->max_tokens = read_i32(in);
    options->trust_prompt = read_i32(in);
    options->temperature = read_f32(in);
    options->top_k = read_i32(in);
    options->top_p = read_f32(in);
    options->min_p = read_f32(in);
    options->typical_p = read_f32(in);
    options->repetition = read_f32(in);
    options->frequency = read_f32(in);
    options->presence = read_f32(in);
    options->penalty_window = read_i32(in);
    options->seed = (uint64_t)read_i64(in);
    size_t biases;
    options->bias_tokens = read_array(c, &options->bias_count);
    options->biases = read_array(c, &biases);
    options->stop = read_texts(c, &options->stop_count);
    options->schema = read_text(in);
    options->grammar = read_text(in);
    options->overflow = read_i32(in);
    options->no_saved_kv = read_i32(in);
    options->cancel = cancel;
    if (biases != options->bias_count)
        in->bad = true;
    return understood(c);
}

void unmake_stream(void *made) {
    satchel_stream *stream = made;
    satchel_stream_close(&stream);
}

satchel_status op_generate(call *c) {
    satchel_model *model = read_handle(&c->in);
    const satchel_cancel *cancel = read_handle(&c->in);
    size_t length;
    const char *prompt = read_bytes(&c->in, &length);
    satchel_generate_options options;
    satchel_status status = read_generate(c, &options, cancel);
    satchel_stream *stream;
    if (!status)
        status = satchel_generate(&stream, model, prompt, length, &options, &c->error);
    if (!status)
        write_handle(c, stream, unmake_stream);
    return status;
}

satchel_status op_chat(call *c) {
    satchel_model *model = read_handle(&c->in);
    const satchel_cancel *cancel = read_handle(&c->in);
    size_t length;
    const char *messages = read_bytes(&c->in, &length);
    satchel_chat_options options;
    satchel_chat_options_init(&options, sizeof options);
    options.tools = read_text(&c->in);
    options.variables = read_text(&c->in);
    options.continue_answer = read_i32(&c->in);
    satchel_generate_options generate;
    satchel_status status = read_generate(c, &generate, cancel);
    options.generate = &generate;
    satchel_stream *stream;
    if (!status)
        status = satchel_chat(&stream, model, messages, length, &options, &c->error);
    if (!status)
        write_handle(c, stream, unmake_stream);
    return status;
}
