/* Fault scenarios with models that write: alone, asked of a store, and split. */
#include <string.h>

#include "tests/faults/faults.h"

/* A generator from a file: opened, looked into, asked in both ways, with a schema, scored. */
void scenario_generate(run *r) {
    satchel_error error = {0};
    if (!open_context(r))
        return;
    satchel_gguf *gguf = NULL;
    satchel_gguf_key key;
    satchel_model_need need;
    satchel_stream *stream = NULL;
    int fine = judge("gguf_open", satchel_gguf_open(&gguf, r->context, model_path, &error), &error);
    for (size_t i = 0; fine && i < 8; i++)
        fine = judge("gguf_get_key", satchel_gguf_get_key(gguf, i, 0, &key, sizeof key, &error),
                     &error);
    satchel_gguf_close(&gguf);
    fine &= judge("model_measure",
                  satchel_model_measure(r->context, model_path, &need, sizeof need, NULL, &error),
                  &error);
    if (!judge("model_open", satchel_model_open(&r->model, r->context, model_path, NULL, &error),
               &error))
        return;
    satchel_generate_options write = {.struct_size = sizeof write, .max_tokens = 6};
    const satchel_chat_options talk = {.struct_size = sizeof talk, .generate = &write};
    const char *question = "[{\"role\":\"user\",\"content\":\"dusk\"}]";
    if (judge("generate", satchel_generate(&stream, r->model, "dusk", 4, &write, &error), &error))
        fine &= drain(stream, "answer");
    else
        fine = 0;
    satchel_stream_close(&stream);
    write.schema = "{\"type\":\"boolean\"}";
    if (judge("chat",
              satchel_chat(&stream, r->model, question, SATCHEL_NUL_TERMINATED, &talk, &error),
              &error))
        fine &= drain(stream, "answer");
    else
        fine = 0;
    satchel_stream_close(&stream);
    int32_t tokens[16];
    size_t count = 0, length = 0;
    char text[32];
    satchel_perplexity perplexity;
    fine &= judge("tokenize",
                  satchel_model_tokenize(r->model, "dusk", 4, tokens, 16, &count, &error), &error);
    fine &= count <= 16 && judge("detokenize",
                                 satchel_model_detokenize(r->model, tokens, count, 0, text,
                                                          sizeof text, &length, &error),
                                 &error);
    fine &= judge("perplexity",
                  satchel_model_perplexity(r->model, "dusk", 4, &perplexity, sizeof perplexity,
                                           NULL, NULL, NULL, &error),
                  &error);
    const char *spelled = satchel_model_token(r->model, 1);
    r->succeeded = fine && spelled && length == 4;
}

/* ------------------------------------------------------------------ over a store */

#define QUESTION "Where do pilots board the ship?"
#define HISTORY                                                                                    \
    "[{\"role\":\"user\",\"content\":\"Who boards?\"},"                                            \
    "{\"role\":\"assistant\",\"content\":\"The pilots [1].\"}]"
/* Short: the context of the tiny model's file holds 300 tokens. */
#define PROMPT                                                                                     \
    "{\"system\":\"\",\"user\":\"{passages} {question}\",\"passage\":\"{number} {text}\"}"

static const char *const pieces[] = {"Harbour pilots ", "board the ship [1], \xC3", "\xA0 say the ",
                                     "lamps [2]. [3]"};

/* An answer of the application's: counts its pieces itself. */
static satchel_status begin(void *user, const satchel_generator_request *request, void **answer) {
    (void)request;
    *(size_t *)user = 0;
    *answer = user;
    return SATCHEL_OK;
}

static satchel_status next(void *user, void *answer, const char **text, size_t *length) {
    size_t *at = answer;
    (void)user;
    *length = 0;
    if (*at == sizeof pieces / sizeof *pieces)
        return SATCHEL_OK;
    *text = pieces[(*at)++];
    *length = strlen(*text);
    return SATCHEL_OK;
}

static void end(void *user, void *answer) {
    (void)user;
    *(size_t *)answer = SIZE_MAX;
}

static int ask_with(run *r, const char *what, satchel_model *generator) {
    satchel_error error = {0};
    const satchel_generate_options write = {.struct_size = sizeof write, .max_tokens = 5};
    const satchel_ask_options options = {.struct_size = sizeof options,
                                         .refusal_threshold = -1,
                                         .k = 1,
                                         .generator = generator,
                                         .generate = &write,
                                         .history = HISTORY,
                                         .prompt = PROMPT};
    satchel_stream *stream = NULL;
    int fine = judge(what, satchel_ask(&stream, r->store, QUESTION, &options, &error), &error) &&
               drain(stream, what);
    satchel_stream_close(&stream);
    return fine;
}

/* Asked of a generator of the application's, which cites, and of one from a file. */
void scenario_ask(run *r) {
    satchel_error error = {0};
    if (!open_all(r))
        return;
    size_t at = SIZE_MAX;
    const satchel_generator table = {.struct_size = sizeof table,
                                     .user = &at,
                                     .id = "faults",
                                     .context_tokens = 2000,
                                     .begin = begin,
                                     .next = next,
                                     .end = end};
    satchel_model *own = NULL, *file = NULL;
    int fine = judge("model_from_generator",
                     satchel_model_from_generator(&own, r->context, &table, &error), &error) &&
               ask_with(r, "ask the application's", own);
    satchel_model_close(&own);
    if (at != SIZE_MAX)
        problem("ask", "a run of the generator was begun and not ended");
    fine &= judge("model_open", satchel_model_open(&file, r->context, model_path, NULL, &error),
                  &error) &&
            ask_with(r, "ask the file's", file);
    satchel_model_close(&file);
    r->succeeded = fine;
}

/* Resolves the text so far. After a failure once more: the prepared question is as it was. */
static int resolve(satchel_prepared *prepared, const char *text, int32_t final) {
    satchel_error error = {0};
    satchel_stream *stream = NULL;
    int fine = 0;
    for (int tries = 0; tries < 2 && !fine; tries++) {
        fine = judge("prepared_resolve",
                     satchel_prepared_resolve(&stream, prepared, text, SATCHEL_NUL_TERMINATED,
                                              final, &error),
                     &error) &&
               drain(stream, "resolve");
        satchel_stream_close(&stream);
    }
    return fine;
}

/* Prepared for a model outside, and resolved in two parts. */
void scenario_prepare(run *r) {
    satchel_error error = {0};
    if (!open_all(r))
        return;
    const satchel_ask_options options = {.struct_size = sizeof options,
                                         .refusal_threshold = -1,
                                         .context_tokens = 1000,
                                         .history = HISTORY};
    satchel_prepared *prepared = NULL;
    satchel_prepared_info info;
    satchel_passage passage;
    int fine =
        judge("ask_prepare", satchel_ask_prepare(&prepared, r->store, QUESTION, &options, &error),
              &error) &&
        judge("get_info", satchel_prepared_get_info(prepared, &info, sizeof info, &error), &error);
    if (fine && (info.passages != 2 || strstr(info.messages, "The pilots [1]")))
        problem("prepare", "the messages are not what they should be");
    fine =
        fine &&
        judge("get_passage",
              satchel_prepared_get_passage(prepared, 2, &passage, sizeof passage, &error), &error);
    if (prepared) {
        fine &= resolve(prepared, "Harbour pilots board the ship [1", 0);
        fine &= resolve(prepared, "Harbour pilots board the ship [1]. Mantles are spare [2].", 1);
    }
    satchel_prepared_close(&prepared);
    r->succeeded = fine;
}
