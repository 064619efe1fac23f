/*
 * Time of the masks of constrained output, first visits counted: schemas, one a line, over a
 * vocabulary file, random tokens under the mask. Times are the CPU's, of one thread.
 *
 * grammar_mask VOCABULARY.gguf SCHEMAS [TOKENS] [BUDGET]
 *
 * python3 tests/peers/schemas.py prints the schemas of the tests.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/base.h"
#include "generate/generate.h"
#include "generate/grammar.h"

static satchel_error error;

static void check(satchel_status status) {
    if (status) {
        fprintf(stderr, "grammar_mask: %s\n", error.message);
        exit(1);
    }
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (double)time.tv_sec * 1e6 + (double)time.tv_nsec / 1e3;
}

static int by_value(const void *a, const void *b) {
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* A random allowed token that does not end the answer, or −1. */
static int32_t choose(sat_random *random, const uint64_t *mask, const sat_tokenizer *tokenizer) {
    int32_t size = sat_tokenizer_size(tokenizer), count = 0, chosen = -1;
    for (int32_t i = 0; i < size; i++)
        if ((mask[i / 64] >> (i % 64) & 1) && !sat_tokenizer_ends(tokenizer, i) &&
            !sat_random_below(random, (uint64_t)++count))
            chosen = i;
    return chosen;
}

typedef struct times {
    double *values;
    size_t count;
    double open, compile;
} times;

/* Answers to one schema, one after the other, until `tokens` masks were made. */
static void measure(satchel_context *context, const sat_lexicon *lexicon,
                    const sat_tokenizer *tokenizer, const char *schema, size_t tokens,
                    size_t budget, sat_random *random, times *out) {
    sat_grammar *grammar = NULL;
    double from = now(), worst = 0;
    check(sat_grammar_from_schema(&grammar, context, schema, strlen(schema), &error));
    out->compile += now() - from;
    sat_matcher *matcher = NULL;
    from = now();
    check(sat_matcher_open(&matcher, context, grammar, lexicon, budget, &error));
    out->open += now() - from;
    for (size_t i = 0; i < tokens;) {
        check(sat_matcher_restart(matcher, budget, &error));
        while (i < tokens && !sat_matcher_finished(matcher)) {
            const uint64_t *mask;
            from = now();
            check(sat_matcher_mask(matcher, &mask, &error));
            double took = now() - from;
            worst = took > worst ? took : worst;
            out->values[out->count++] = took;
            i++;
            int32_t token = choose(random, mask, tokenizer);
            if (token < 0)
                break;
            check(sat_matcher_accept(matcher, token, &error));
        }
    }
    sat_matcher_close(&matcher);
    sat_grammar_close(&grammar);
    if (getenv("VERBOSE"))
        printf("%8.1f  %.100s\n", worst, schema);
}

int main(int count, char **arguments) {
    if (count < 3) {
        fprintf(stderr, "usage: grammar_mask VOCABULARY.gguf SCHEMAS [TOKENS] [BUDGET]\n");
        return 2;
    }
    size_t tokens = count > 3 ? strtoull(arguments[3], NULL, 10) : 200;
    size_t budget = count > 4 ? strtoull(arguments[4], NULL, 10) : 0;
    satchel_context *context;
    sat_mapping map;
    sat_gguf *gguf;
    sat_tokenizer *tokenizer;
    sat_lexicon *lexicon;
    sat_random random;
    sat_random_seed(&random, 1);
    check(sat_context_open(&context, NULL, &error));
    check(sat_file_map(context, &map, arguments[1], &error));
    check(sat_gguf_open(&gguf, context, map.data, map.size, arguments[1], &error));
    check(sat_tokenizer_open(&tokenizer, context, gguf, &error));
    double from = now();
    check(sat_lexicon_open(&lexicon, context, tokenizer, &error));
    printf("lexicon of %zu tokens: %.1f ms\n", sat_lexicon_size(lexicon), (now() - from) / 1e3);
    FILE *file = fopen(arguments[2], "r");
    times all = {0};
    char *line = NULL;
    size_t room = 0, schemas = 0;
    ssize_t length;
    while (file && (length = getline(&line, &room, file)) > 0) {
        all.values = realloc(all.values, (all.count + tokens) * sizeof *all.values);
        measure(context, lexicon, tokenizer, line, tokens, budget, &random, &all);
        schemas++;
    }
    if (!all.count) {
        fprintf(stderr, "grammar_mask: no schemas in %s\n", arguments[2]);
        return 1;
    }
    qsort(all.values, all.count, sizeof *all.values, by_value);
    double sum = 0;
    for (size_t i = 0; i < all.count; i++)
        sum += all.values[i];
    printf("%zu schemas, %zu masks: mean %.1f us, p50 %.1f, p90 %.1f, p99 %.1f, p99.9 %.1f, worst "
           "%.1f\ncompiling %.1f us a schema, opening a matcher %.1f us\n",
           schemas, all.count, sum / (double)all.count, all.values[all.count / 2],
           all.values[all.count * 9 / 10], all.values[all.count * 99 / 100],
           all.values[all.count * 999 / 1000], all.values[all.count - 1],
           all.compile / (double)schemas, all.open / (double)schemas);
    free(line);
    free(all.values);
    fclose(file);
    sat_lexicon_close(&lexicon);
    sat_tokenizer_close(&tokenizer);
    sat_gguf_close(&gguf);
    sat_file_unmap(context, &map);
    sat_context_release(context);
    return 0;
}
