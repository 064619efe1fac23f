/*
 * Runs a tokenizer from a test program in another language: reads texts on stdin, writes what comes out on
 * stdout, in the machine's byte order.
 *
 *   tokenize_tool encode MODEL [trusted] [around]
 *       texts: each uint32 length, bytes.              out: per text uint32 count, int32 ids
 *   tokenize_tool back MODEL [special]
 *       per list of ids uint32 bytes, int32 ids.       out: per list uint32 length, bytes
 *   tokenize_tool time MODEL
 *       one text.                                      out: "bytes tokens seconds" of encoding it
 *   tokenize_tool info MODEL
 *       out: "key value" lines
 */
#include <inttypes.h>
#include <time.h>

#include "generate/generate.h"
#include "tests/support/tool.h"

const char tool_name[] = "tokenize_tool";

static void encode(const sat_tokenizer *tokenizer, const char *data, size_t size, bool trusted,
                   int flags) {
    satchel_error error = {0};
    const char *text;
    uint32_t length;
    for (size_t at = 0; tool_next_block(data, size, &at, &text, &length);) {
        sat_tokens tokens = {0};
        sat_text_part part = {.text = text, .length = length, .trusted = trusted};
        tool_check(sat_tokenizer_encode(tokenizer, &part, 1, flags, &tokens, &error), &error);
        uint32_t count = (uint32_t)tokens.count;
        tool_write(&count, sizeof count);
        tool_write(tokens.ids, tokens.count * sizeof *tokens.ids);
        sat_tokens_free(&tokens);
    }
}

static void back(const sat_tokenizer *tokenizer, satchel_context *context, const char *data,
                 size_t size, bool special) {
    const char *ids;
    uint32_t length;
    for (size_t at = 0; tool_next_block(data, size, &at, &ids, &length);) {
        sat_buffer out;
        sat_detokenizer state = {0};
        sat_buffer_init(&out, &context->memory);
        for (uint32_t i = 0; i + 4 <= length; i += 4) {
            int32_t id;
            memcpy(&id, ids + i, 4);
            if (!sat_detokenize(tokenizer, &state, id, special, &out))
                tool_fail("out of memory");
        }
        if (!sat_detokenize_end(&state, &out))
            tool_fail("out of memory");
        tool_write_block(out.data, out.length);
        sat_buffer_free(&out);
    }
}

static void measure(const sat_tokenizer *tokenizer, const char *data, size_t size) {
    satchel_error error = {0};
    struct timespec from, to;
    sat_tokens tokens = {0};
    sat_text_part part = {.text = data, .length = size};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);
    tool_check(sat_tokenizer_encode(tokenizer, &part, 1, SAT_ENCODE_BARE, &tokens, &error), &error);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &to);
    printf("%zu %zu %.6f\n", size, tokens.count,
           (double)(to.tv_sec - from.tv_sec) + 1e-9 * (double)(to.tv_nsec - from.tv_nsec));
    sat_tokens_free(&tokens);
}

static void info(const sat_tokenizer *tokenizer, const satchel_context *context) {
    const sat_special_tokens *special = sat_tokenizer_special(tokenizer);
    printf("size %" PRId32 "\nbos %" PRId32 "\neos %" PRId32 "\neot %" PRId32 "\nunknown %" PRId32
           "\npadding %" PRId32 "\nadd_bos %d\nadd_eos %d\nmemory %" PRIu64 "\nends",
           sat_tokenizer_size(tokenizer), special->bos, special->eos, special->eot,
           special->unknown, special->padding, special->add_bos, special->add_eos,
           atomic_load(&context->memory.now));
    for (int32_t i = 0; i < sat_tokenizer_size(tokenizer); i++)
        if (sat_tokenizer_ends(tokenizer, i))
            printf(" %" PRId32, i);
    printf("\n");
}

int main(int count, char **arguments) {
    if (count < 3)
        tool_fail("usage: tokenize_tool encode|back|time|info MODEL [trusted] [around] [special]");
    bool trusted = false, special = false;
    int flags = SAT_ENCODE_BARE;
    for (int i = 3; i < count; i++) {
        trusted |= strcmp(arguments[i], "trusted") == 0;
        special |= strcmp(arguments[i], "special") == 0;
        flags |= strcmp(arguments[i], "around") == 0 ? SAT_ENCODE_AROUND : 0;
    }
    satchel_error error = {0};
    satchel_context *context;
    sat_mapping mapping;
    sat_gguf *gguf;
    sat_tokenizer *tokenizer;
    const char *mode = arguments[1], *path = arguments[2];
    tool_check(sat_context_open(&context, NULL, &error), &error);
    tool_check(sat_file_map(context, &mapping, path, &error), &error);
    tool_check(sat_gguf_open(&gguf, context, mapping.data, mapping.size, path, &error), &error);
    tool_check(sat_tokenizer_open(&tokenizer, context, gguf, &error), &error);
    size_t size = 0;
    char *data = strcmp(mode, "info") == 0 ? NULL : tool_read(&size);
    if (strcmp(mode, "encode") == 0)
        encode(tokenizer, data, size, trusted, flags);
    else if (strcmp(mode, "back") == 0)
        back(tokenizer, context, data, size, special);
    else if (strcmp(mode, "time") == 0)
        measure(tokenizer, data, size);
    else if (strcmp(mode, "info") == 0)
        info(tokenizer, context);
    else
        tool_fail("unknown mode");
    free(data);
    sat_tokenizer_close(&tokenizer);
    sat_gguf_close(&gguf);
    sat_file_unmap(context, &mapping);
    sat_context_release(context);
    return fflush(stdout) == 0 ? 0 : 1;
}
