/*
 * In place of generator*.c where the build leaves out models that write (-Dgenerator=false): opening one
 * is UNSUPPORTED, so nothing else here is ever reached with a generator. What only generators use
 * (decoders, samplers, grammars, chat templates) is then referred to by nobody and dropped by the linker.
 */
#include "generate/generate.h"

static satchel_status left_out(satchel_error *error) {
    return sat_fail(error, SATCHEL_UNSUPPORTED,
                    "models that write are left out of this build; build with -Dgenerator=true, or "
                    "give the application's own generator");
}

satchel_status sat_generator_open(sat_generator **out, satchel_context *context,
                                  sat_gguf_set *files, const char *name,
                                  const sat_generator_options *options, satchel_error *error) {
    *out = NULL;
    sat_gguf_set_close(&files);
    return left_out(error);
}

satchel_status sat_generator_measure(satchel_model_need *need, satchel_context *context,
                                     sat_gguf_set *files, const char *name,
                                     const sat_generator_options *options, satchel_error *error) {
    sat_gguf_set_close(&files);
    return left_out(error);
}

void sat_generator_close(sat_generator **generator) {
    *generator = NULL;
}

void sat_generator_info(const sat_generator *generator, satchel_model_info *info) {
    *info = (satchel_model_info){0};
}

satchel_status sat_generator_warm(sat_generator *generator, satchel_progress_function progress,
                                  void *user, const satchel_cancel *cancel, satchel_error *error) {
    return left_out(error);
}

const sat_tokenizer *sat_generator_tokenizer(const sat_generator *generator) {
    return NULL;
}

int32_t sat_generator_context(const sat_generator *generator) {
    return 0;
}

satchel_status sat_generator_prompt(const sat_generator *generator, const sat_text_part *parts,
                                    size_t count, sat_tokens *out, satchel_error *error) {
    return left_out(error);
}

satchel_status sat_generator_chat_prompt(const sat_generator *generator,
                                         const satchel_chat_options *options, const char *messages,
                                         size_t length, sat_tokens *out, satchel_error *error) {
    return left_out(error);
}

satchel_status sat_generator_logits(sat_generator *generator, const int32_t *tokens, size_t count,
                                    float *logits, const satchel_cancel *cancel,
                                    satchel_error *error) {
    return left_out(error);
}

satchel_status sat_generator_perplexity(sat_generator *generator, const char *text, size_t length,
                                        satchel_progress_function progress, void *user,
                                        const satchel_cancel *cancel, satchel_perplexity *out,
                                        satchel_error *error) {
    return left_out(error);
}

satchel_status sat_generator_run(sat_stream **out, sat_generator *generator, sat_tokens *prompt,
                                 const satchel_generate_options *options, satchel_error *error) {
    *out = NULL;
    sat_tokens_free(prompt);
    return left_out(error);
}
