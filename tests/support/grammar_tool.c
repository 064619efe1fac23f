/*
 * Grammars for test programs in another language: random tokens under the mask, and questions whether a text is
 * taken. Blocks on stdin and stdout are a uint32 length in the machine's byte order and bytes.
 *
 *   grammar_tool sample schema|gbnf VOCABULARY|bytes COUNT BUDGET SEED
 *       grammars.              out: per grammar, a block of an error message (empty: none), then COUNT texts
 *   grammar_tool match schema|gbnf
 *       a grammar, then texts. out: per text a block "1" (taken), "0" (not), "p" (begins one that is)
 */
#include "generate/generate.h"
#include "generate/grammar.h"
#include "tests/support/tool.h"

const char tool_name[] = "grammar_tool";

static satchel_context *context;
static satchel_error error;

static satchel_status compile(sat_grammar **out, const char *kind, const char *text,
                              size_t length) {
    return !strcmp(kind, "schema") ? sat_grammar_from_schema(out, context, text, length, &error)
                                   : sat_grammar_from_gbnf(out, context, text, length, &error);
}

/* The 256 bytes and an end. */
static sat_lexicon *byte_lexicon(void) {
    static char bytes[256];
    const char *text[257];
    size_t lengths[257];
    bool ends[257] = {[256] = true};
    for (int i = 0; i < 256; i++) {
        bytes[i] = (char)i;
        text[i] = &bytes[i];
        lengths[i] = 1;
    }
    text[256] = "";
    lengths[256] = 0;
    sat_lexicon *lexicon = NULL;
    if (sat_lexicon_from_bytes(&lexicon, context, text, lengths, ends, 257, &error))
        tool_fail(error.message);
    return lexicon;
}

static uint64_t state = 1;
static uint64_t draw(void) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

/* One of the mask's tokens; where an end may come, often that one. */
static int32_t choose(const uint64_t *mask, size_t size, const bool *ends, bool may_end) {
    size_t allowed = 0, end = size;
    for (size_t i = 0; i < size; i++)
        if (mask[i / 64] >> (i % 64) & 1) {
            allowed++;
            if (ends[i])
                end = i;
        }
    if (may_end && end < size && draw() % 4 == 0)
        return (int32_t)end;
    if (!allowed)
        tool_fail("an empty mask");
    size_t wanted = draw() % allowed;
    for (size_t i = 0; i < size; i++)
        if ((mask[i / 64] >> (i % 64) & 1) && !wanted--)
            return (int32_t)i;
    return -1;
}

typedef struct vocabulary {
    sat_mapping map;
    sat_gguf *gguf;
    sat_tokenizer *tokenizer;
    sat_lexicon *lexicon;
    bool *ends;
    size_t size;
} vocabulary;

static void open_vocabulary(vocabulary *out, const char *path) {
    if (!strcmp(path, "bytes")) {
        out->lexicon = byte_lexicon();
    } else if (sat_file_map(context, &out->map, path, &error) ||
               sat_gguf_open(&out->gguf, context, out->map.data, out->map.size, path, &error) ||
               sat_tokenizer_open(&out->tokenizer, context, out->gguf, &error) ||
               sat_lexicon_open(&out->lexicon, context, out->tokenizer, &error)) {
        tool_fail(error.message);
    }
    out->size = sat_lexicon_size(out->lexicon);
    out->ends = tool_need(calloc(out->size, 1));
    for (size_t i = 0; i < out->size; i++)
        out->ends[i] = out->tokenizer ? sat_tokenizer_ends(out->tokenizer, (int32_t)i) : i == 256;
}

static void sample_one(const vocabulary *words, const sat_grammar *grammar, size_t budget) {
    sat_matcher *matcher = NULL;
    char text[1 << 16];
    size_t length = 0, tokens = 0;
    if (sat_matcher_open(&matcher, context, grammar, words->lexicon, budget, &error))
        tool_fail(error.message);
    while (!sat_matcher_finished(matcher)) {
        const uint64_t *mask;
        if (sat_matcher_mask(matcher, &mask, &error))
            tool_fail(error.message);
        int32_t token = choose(mask, words->size, words->ends, sat_matcher_may_end(matcher));
        if (sat_matcher_accept(matcher, token, &error))
            tool_fail(error.message);
        if (words->ends[token])
            break;
        size_t size = 1;
        char byte = (char)token;
        const char *bytes = &byte;
        if (words->tokenizer)
            bytes = sat_tokenizer_bytes(words->tokenizer, token, false, &size);
        if (length + size > sizeof text || ++tokens > budget)
            tool_fail("an answer longer than its budget");
        memcpy(text + length, bytes, size);
        length += size;
    }
    if (!sat_matcher_may_end(matcher))
        tool_fail("an answer without an end");
    sat_matcher_close(&matcher);
    tool_write_block(text, length);
}

static void sample(const char *kind, const char *path, int count, size_t budget) {
    size_t size;
    char *data = tool_read(&size);
    const char *text;
    uint32_t length;
    vocabulary words = {0};
    open_vocabulary(&words, path);
    for (size_t at = 0; tool_next_block(data, size, &at, &text, &length);) {
        sat_grammar *grammar = NULL;
        if (compile(&grammar, kind, text, length)) {
            tool_write_block(error.message, strlen(error.message));
            continue;
        }
        tool_write_block("", 0);
        for (int i = 0; i < count; i++)
            sample_one(&words, grammar, budget);
        sat_grammar_close(&grammar);
    }
    free(words.ends);
    free(data);
    sat_lexicon_close(&words.lexicon);
    sat_tokenizer_close(&words.tokenizer);
    sat_gguf_close(&words.gguf);
    sat_file_unmap(context, &words.map);
}

static void match(const char *kind) {
    size_t size, at = 0;
    char *data = tool_read(&size);
    const char *text;
    uint32_t length;
    sat_grammar *grammar = NULL;
    sat_lexicon *lexicon = byte_lexicon();
    if (!tool_next_block(data, size, &at, &text, &length) || compile(&grammar, kind, text, length))
        tool_fail(error.message);
    while (tool_next_block(data, size, &at, &text, &length)) {
        sat_matcher *matcher = NULL;
        if (sat_matcher_open(&matcher, context, grammar, lexicon, 0, &error))
            tool_fail(error.message);
        uint32_t i = 0;
        while (i < length && !sat_matcher_accept(matcher, (uint8_t)text[i], &error))
            i++;
        tool_write_block(i < length ? "0" : sat_matcher_may_end(matcher) ? "1" : "p", 1);
        sat_matcher_close(&matcher);
    }
    free(data);
    sat_grammar_close(&grammar);
    sat_lexicon_close(&lexicon);
}

int main(int count, char **arguments) {
    if (sat_context_open(&context, NULL, &error))
        tool_fail(error.message);
    if (count == 7 && !strcmp(arguments[1], "sample")) {
        state = strtoull(arguments[6], NULL, 10) * 2 + 1;
        sample(arguments[2], arguments[3], atoi(arguments[4]),
               (size_t)strtoull(arguments[5], NULL, 10));
    } else if (count == 3 && !strcmp(arguments[1], "match")) {
        match(arguments[2]);
    } else {
        tool_fail("see the comment in grammar_tool.c");
    }
    sat_context_release(context);
    return 0;
}
