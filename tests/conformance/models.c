/* The models of scenarios: an embedder that counts pairs of bytes, a generator that says its script. */
#include <math.h>
#include <stdlib.h>

#include "tests/conformance/conformance.h"

enum { DIMENSION = 32, MAX_TOKENS = 64, CONTEXT_TOKENS = 2048 };

/* ------------------------------------------------------------------ embedder */

static satchel_status count_embedded(void *user, const char *text, size_t length, size_t *count) {
    (void)user;
    (void)text;
    *count = (length + 3) / 4 + 2;
    return SATCHEL_OK;
}

static satchel_status embed(void *user, int32_t role, const satchel_text *texts, size_t n,
                            float *out, const satchel_cancel *cancel) {
    (void)user;
    (void)role;
    (void)cancel;
    for (size_t i = 0; i < n; i++, out += DIMENSION) {
        double counts[DIMENSION] = {0}, square = 0;
        unsigned before = 0;
        for (size_t b = 0; b < texts[i].length; b++) {
            unsigned byte = (unsigned char)texts[i].data[b];
            counts[(7 * byte + 3 * before) % DIMENSION]++;
            before = byte;
        }
        if (texts[i].length == 0)
            counts[0] = 1;
        for (int d = 0; d < DIMENSION; d++)
            square += counts[d] * counts[d];
        for (int d = 0; d < DIMENSION; d++)
            out[d] = (float)(counts[d] / sqrt(square));
    }
    return SATCHEL_OK;
}

satchel_status open_embedder(run *r, satchel_error *error) {
    const satchel_embedder table = {.struct_size = sizeof table,
                                    .id = "conformance",
                                    .dimension = DIMENSION,
                                    .max_tokens = MAX_TOKENS,
                                    .count_tokens = count_embedded,
                                    .embed = embed};
    return satchel_model_from_embedder(&r->embedder, r->context, &table, error);
}

/* ------------------------------------------------------------------ generator */

/* One answer as it is said. */
typedef struct script {
    const json_t *pieces; /* borrowed */
    size_t next;
} script;

static satchel_status count_said(void *user, const char *text, size_t length, size_t *count) {
    (void)user;
    (void)text;
    *count = (length + 3) / 4;
    return SATCHEL_OK;
}

static satchel_status begin(void *user, const satchel_generator_request *request, void **out) {
    (void)request;
    script *said = malloc(sizeof *said);
    if (!said)
        return SATCHEL_OUT_OF_MEMORY;
    *said = (script){.pieces = user};
    *out = said;
    return SATCHEL_OK;
}

static satchel_status next(void *user, void *answer, const char **text, size_t *length) {
    (void)user;
    script *said = answer;
    const json_t *piece = json_array_get(said->pieces, said->next++);
    if (json_is_null(piece))
        return SATCHEL_CALLBACK;
    *text = json_string_value(piece);
    *length = json_string_length(piece);
    return SATCHEL_OK;
}

static void end(void *user, void *answer) {
    (void)user;
    free(answer);
}

satchel_status open_script(run *r, satchel_model **out, const json_t *pieces,
                           satchel_error *error) {
    const satchel_generator table = {.struct_size = sizeof table,
                                     .user = (void *)pieces,
                                     .id = "script",
                                     .context_tokens = CONTEXT_TOKENS,
                                     .count_tokens = count_said,
                                     .begin = begin,
                                     .next = next,
                                     .end = end};
    return satchel_model_from_generator(out, r->context, &table, error);
}
