/* Tokenizers on small vocabularies: what each kind does to words, what special tokens are, how text comes
 * back, and texts made to hurt. Whole vocabularies beside llama.cpp: tests/peers. */
#include "tests/unit/base/failing.h"

#include "generate/generate.h"
#include "tests/support/tiny_model.h"
#include "tests/support/tiny_tokenizer.h"

typedef struct open_tokenizer {
    satchel_context *context;
    uint8_t *bytes;
    sat_gguf *gguf;
    sat_tokenizer *tokenizer;
} open_tokenizer;

static open_tokenizer open_kind(int kind, const char *pre) {
    open_tokenizer it;
    size_t size;
    satchel_error error = {0};
    assert_int_equal(sat_context_open(&it.context, NULL, NULL), SATCHEL_OK);
    it.bytes = tiny_tokenizer_bytes(kind, pre, &size);
    assert_int_equal(sat_gguf_open(&it.gguf, it.context, it.bytes, size, "t", &error), SATCHEL_OK);
    if (sat_tokenizer_open(&it.tokenizer, it.context, it.gguf, &error))
        fail_msg("%s", error.message);
    return it;
}

static void close_kind(open_tokenizer *it) {
    sat_tokenizer_close(&it->tokenizer);
    sat_gguf_close(&it->gguf);
    sat_context_release(it->context);
    free(it->bytes);
}

/* The pieces of the tokens, each behind a "|"; spaces as "_". */
static void spell(const sat_tokenizer *tokenizer, const sat_tokens *tokens, char *out,
                  size_t size) {
    size_t at = 0;
    out[0] = 0;
    for (size_t i = 0; i < tokens->count; i++) {
        size_t length;
        const char *piece = sat_tokenizer_piece(tokenizer, tokens->ids[i], &length);
        assert_non_null(piece);
        at += (size_t)snprintf(out + at, size - at, "|");
        for (size_t j = 0; j < length && at + 1 < size; j++) {
            bool lower = length - j >= 3 && memcmp(piece + j, "\xE2\x96\x81", 3) == 0;
            bool encoded = length - j >= 2 && memcmp(piece + j, "\xC4\xA0", 2) == 0;
            out[at++] = lower || encoded ? '_' : piece[j];
            j += lower ? 2 : encoded;
        }
        out[at] = 0;
    }
}

static void check_parts(const sat_tokenizer *tokenizer, const sat_text_part *parts, size_t count,
                        int flags, const char *expected) {
    sat_tokens tokens = {0};
    char found[4096];
    satchel_error error = {0};
    if (sat_tokenizer_encode(tokenizer, parts, count, flags, &tokens, &error))
        fail_msg("%s", error.message);
    spell(tokenizer, &tokens, found, sizeof found);
    sat_tokens_free(&tokens);
    assert_string_equal(found, expected);
}

static void check_text(const sat_tokenizer *tokenizer, const char *text, bool trusted,
                       const char *expected) {
    sat_text_part part = {.text = text, .length = strlen(text), .trusted = trusted};
    check_parts(tokenizer, &part, 1, SAT_ENCODE_BARE, expected);
}

/* ------------------------------------------------------------------ kinds */

static void scores_decide_what_merges_in_spm(void **state) {
    open_tokenizer it = open_kind(TINY_SPM, NULL);
    check_text(it.tokenizer, "hello world", false, "|_hello|_world");
    check_text(it.tokenizer, "held", false, "|_|he|ld");
    check_text(it.tokenizer, "aaaaa", false, "|_|aaaa|a");
    check_text(it.tokenizer, "", false, "");
    close_kind(&it);
}

static void what_spm_does_not_know_is_bytes(void **state) {
    open_tokenizer it = open_kind(TINY_SPM, NULL);
    check_text(it.tokenizer, "\xC3\xA9", false, "|_|<0xC3>|<0xA9>");
    check_text(it.tokenizer, "a\n", false, "|_|a|<0x0A>");
    check_text(it.tokenizer, "<0x41>", false, "|_|<0x3C>|<0x30>|x|<0x34>|<0x31>|<0x3E>");
    close_kind(&it);
}

static void unigram_takes_the_best_sum(void **state) {
    open_tokenizer it = open_kind(TINY_UNIGRAM, NULL);
    check_text(it.tokenizer, "hello world", false, "|_hello|_world");
    check_text(it.tokenizer, " hello \t world ", false, "|_hello|_world");
    check_text(it.tokenizer, "held", false, "|_|he|ld");
    check_text(it.tokenizer, "a\xC3\xA9\xC3\xA8z", false, "|_|a|<unk>|z");
    close_kind(&it);
}

static void unigram_normalises_by_its_table(void **state) {
    open_tokenizer it = open_kind(TINY_UNIGRAM, NULL);
    check_text(it.tokenizer, "AA", false, "|_|aa");
    check_text(it.tokenizer, "\xEF\xAC\x81x", false, "|_|f|i|x");
    check_text(it.tokenizer, "\xEF\xAC\x82", false, "|_|<unk>"); /* only begins like a key */
    close_kind(&it);
}

static void merges_go_by_rank_within_words(void **state) {
    open_tokenizer it = open_kind(TINY_BPE, NULL);
    check_text(it.tokenizer, "hello world", false, "|hello|_world");
    check_text(it.tokenizer, "held hell", false, "|he|ld|_|hell");
    check_text(it.tokenizer, "aaaaaaa", false, "|aaaa|aa|a");
    check_text(it.tokenizer, "a\xC3\xA9", false, "|a|\xC3\x83|\xC2\xA9");
    close_kind(&it);
}

static void gemma4_merges_characters_and_spells_the_rest_in_bytes(void **state) {
    open_tokenizer it = open_kind(TINY_GEMMA4, NULL);
    check_text(it.tokenizer, "hello world", false, "|hello|_world");
    check_text(it.tokenizer, "hello\n\nworld\n\n\n", false, "|hello|\n\n|world|\n|\n|\n");
    check_text(it.tokenizer, "\xC3\xA9\xE2\x96\x81hello", false, "|<0xC3>|<0xA9>|_hello");
    close_kind(&it);
}

static void wordpiece_stands_behind_the_same_interface(void **state) {
    static const tiny_shape shapes[2] = {{0}, {.hashes = true}};
    static const char text[] = "hello unwanted[SEP]running";
    for (int i = 0; i < 2; i++) {
        size_t size;
        open_tokenizer it;
        sat_buffer out;
        sat_tokens tokens = {0};
        sat_detokenizer detokenizer = {0};
        assert_int_equal(sat_context_open(&it.context, NULL, NULL), SATCHEL_OK);
        it.bytes = tiny_model_bytes(&shapes[i], &size);
        assert_int_equal(sat_gguf_open(&it.gguf, it.context, it.bytes, size, "t", NULL), 0);
        assert_int_equal(sat_tokenizer_open(&it.tokenizer, it.context, it.gguf, NULL), 0);
        sat_text_part part = {.text = text, .length = sizeof text - 1, .trusted = true};
        assert_int_equal(
            sat_tokenizer_encode(it.tokenizer, &part, 1, SAT_ENCODE_AROUND, &tokens, NULL), 0);
        const char *const pieces[] = {"[CLS]", "hello", "un",    "##want", "##ed",
                                      "[SEP]", "runn",  "##ing", "[SEP]"};
        assert_int_equal(tokens.count, SAT_COUNT(pieces));
        sat_buffer_init(&out, &it.context->memory);
        for (size_t j = 0; j < tokens.count; j++) {
            assert_int_equal(tokens.ids[j], tiny_id(pieces[j]));
            assert_true(sat_detokenize(it.tokenizer, &detokenizer, tokens.ids[j], false, &out));
        }
        assert_string_equal(out.data, "hello unwanted running");
        part.trusted = false;
        tokens.count = 0;
        assert_int_equal(
            sat_tokenizer_encode(it.tokenizer, &part, 1, SAT_ENCODE_BARE, &tokens, NULL), 0);
        for (size_t j = 0; j < tokens.count; j++)
            assert_true(tokens.ids[j] != tiny_id("[SEP]"));
        sat_tokens_free(&tokens);
        sat_buffer_free(&out);
        close_kind(&it);
    }
}

static void every_known_pretokenizer_gives_all_the_text_back(void **state) {
    static const char *const names[] = {
        "default", "gpt-2",        "llama-bpe",      "qwen2",       "qwen35", "smollm",
        "falcon",  "deepseek-llm", "deepseek-coder", "deepseek-v3", "tekken", "gpt-4o"};
    static const char *const bits[] = {"a",
                                       "B",
                                       "\xC3\x89",
                                       "\xE4\xB8\xAD",
                                       "1",
                                       "23",
                                       " ",
                                       "\n",
                                       "\r",
                                       "\t",
                                       "'s",
                                       "'LL",
                                       "/",
                                       "=",
                                       "\xCC\x81",
                                       "\x01",
                                       "\xC2\xA0",
                                       "\xE3\x80\x80",
                                       "\xF0\x9F\x98\x80",
                                       "\xE3\x81\x82",
                                       "\xC2\xBD",
                                       "!"};
    uint64_t seed = 7;
    for (size_t i = 0; i < SAT_COUNT(names); i++) {
        open_tokenizer it = open_kind(TINY_BPE, names[i]);
        for (int round = 0; round < 500; round++) {
            char text[256] = "";
            for (uint32_t n = test_random(&seed) % 20; n > 0; n--)
                strcat(text, bits[test_random(&seed) % SAT_COUNT(bits)]);
            sat_tokens tokens = {0};
            sat_text_part part = {.text = text, .length = strlen(text)};
            sat_buffer out;
            sat_detokenizer detokenizer = {0};
            sat_buffer_init(&out, &it.context->memory);
            assert_int_equal(sat_tokenizer_encode(it.tokenizer, &part, 1, 0, &tokens, NULL), 0);
            for (size_t j = 0; j < tokens.count; j++)
                assert_true(sat_detokenize(it.tokenizer, &detokenizer, tokens.ids[j], false, &out));
            assert_true(sat_detokenize_end(&detokenizer, &out));
            assert_int_equal(out.length, part.length);
            assert_true(out.length == 0 || memcmp(out.data, text, out.length) == 0);
            sat_buffer_free(&out);
            sat_tokens_free(&tokens);
        }
        close_kind(&it);
    }
}

/* ------------------------------------------------------------------ special tokens */

static void special_tokens_are_found_in_trusted_text_only(void **state) {
    static const char text[] = "hello<|im_end|></s><think>";
    static const char *const trusted[TINY_KINDS] = {
        "|_hello|<|im_end|>|</s>|<think>", "|_hello|<|im_end|>|</s>|<think>",
        "|hello|<|im_end|>|</s>|<think>", "|hello|<|im_end|>|</s>|<think>"};
    for (int kind = 0; kind < TINY_KINDS; kind++) {
        open_tokenizer it = open_kind(kind, NULL);
        check_text(it.tokenizer, text, true, trusted[kind]);
        sat_tokens tokens = {0};
        sat_text_part part = {.text = text, .length = sizeof text - 1};
        assert_int_equal(sat_tokenizer_encode(it.tokenizer, &part, 1, 0, &tokens, NULL), 0);
        for (size_t i = 0; i < tokens.count; i++)
            assert_true(tokens.ids[i] > 4 || (kind == TINY_UNIGRAM && tokens.ids[i] == 0));
        sat_tokens_free(&tokens);
        close_kind(&it);
    }
}

static void parts_never_spell_a_special_token_together(void **state) {
    open_tokenizer it = open_kind(TINY_BPE, NULL);
    sat_text_part parts[3] = {{.text = "</", .length = 2, .trusted = true},
                              {.text = "s", .length = 1},
                              {.text = ">", .length = 1, .trusted = true}};
    check_parts(it.tokenizer, parts, 3, 0, "|<|/|s|>");
    parts[1].trusted = true; /* all of one hand: they do */
    check_parts(it.tokenizer, parts, 3, 0, "|</s>");
    parts[1].trusted = false;
    parts[1].text = "</s>";
    parts[1].length = 4;
    parts[0].length = parts[2].length = 0;
    check_parts(it.tokenizer, parts, 3, 0, "|<|/|s|>");
    close_kind(&it);
}

static void a_part_that_stands_apart_leaves_its_neighbours_alone(void **state) {
    open_tokenizer it = open_kind(TINY_BPE, NULL);
    sat_text_part parts[3] = {{.text = "hel", .length = 3, .trusted = true},
                              {.text = "lo", .length = 2},
                              {.text = "world", .length = 5, .trusted = true}};
    check_parts(it.tokenizer, parts, 2, 0, "|hello");
    parts[1].apart = true;
    check_parts(it.tokenizer, parts, 3, 0, "|he|l|l|o|world");
    close_kind(&it);
    it = open_kind(TINY_SPM, NULL); /* no space is put into the middle of a text */
    check_parts(it.tokenizer, parts, 3, 0, "|_|he|l|l|o|world");
    close_kind(&it);
}

static void plain_user_defined_tokens_are_found_in_any_text(void **state) {
    open_tokenizer it = open_kind(TINY_SPM, NULL);
    check_text(it.tokenizer, "a  b", false, "|_|a|  |_|b");
    close_kind(&it);
}

static void bos_and_eos_go_around_as_the_file_says(void **state) {
    open_tokenizer it = open_kind(TINY_SPM, NULL);
    sat_text_part part = {.text = "a", .length = 1};
    check_parts(it.tokenizer, &part, 1, SAT_ENCODE_AROUND, "|<s>|_|a");
    check_parts(it.tokenizer, &part, 0, SAT_ENCODE_AROUND, "|<s>");
    close_kind(&it);
    it = open_kind(TINY_UNIGRAM, NULL);
    check_parts(it.tokenizer, &part, 1, SAT_ENCODE_AROUND, "|_|a|</s>");
    assert_int_equal(sat_tokenizer_special(it.tokenizer)->eot, 3);
    assert_true(sat_tokenizer_ends(it.tokenizer, 2) && sat_tokenizer_ends(it.tokenizer, 3));
    assert_false(sat_tokenizer_ends(it.tokenizer, 5) || sat_tokenizer_ends(it.tokenizer, -1) ||
                 sat_tokenizer_ends(it.tokenizer, 1 << 30));
    close_kind(&it);
}

/* ------------------------------------------------------------------ back to text */

static void characters_come_whole_or_not_at_all(void **state) {
    open_tokenizer it = open_kind(TINY_SPM, NULL);
    static const char emoji[] = "\xF0\x9F\x98\x80";
    sat_buffer out;
    sat_detokenizer detokenizer = {0};
    sat_buffer_init(&out, &it.context->memory);
    sat_tokens tokens = {0};
    sat_text_part part = {.text = emoji, .length = 4};
    assert_int_equal(sat_tokenizer_encode(it.tokenizer, &part, 1, 0, &tokens, NULL), 0);
    assert_int_equal(tokens.count, 5);
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(out.length, 0);
        sat_detokenize(it.tokenizer, &detokenizer, tokens.ids[i], false, &out);
    }
    assert_string_equal(out.data, emoji);
    /* Half a character, then a letter; then half a one at the end. */
    sat_buffer_clear(&out);
    sat_detokenize(it.tokenizer, &detokenizer, tokens.ids[1], false, &out);
    sat_detokenize(it.tokenizer, &detokenizer, tokens.ids[2], false, &out);
    sat_detokenize(it.tokenizer, &detokenizer, 5, false, &out);
    sat_detokenize(it.tokenizer, &detokenizer, tokens.ids[1], false, &out);
    assert_string_equal(out.data, "\xEF\xBF\xBD"
                                  "a");
    assert_true(sat_detokenize_end(&detokenizer, &out));
    assert_string_equal(out.data, "\xEF\xBF\xBD"
                                  "a\xEF\xBF\xBD");
    sat_tokens_free(&tokens);
    sat_buffer_free(&out);
    close_kind(&it);
}

static void the_first_space_is_dropped_unless_the_text_goes_on(void **state) {
    open_tokenizer it = open_kind(TINY_SPM, NULL);
    sat_buffer out;
    sat_buffer_init(&out, &it.context->memory);
    sat_tokens tokens = {0};
    sat_text_part part = {.text = "hello world", .length = 11};
    assert_int_equal(sat_tokenizer_encode(it.tokenizer, &part, 1, 1, &tokens, NULL), 0);
    for (int goes_on = 0; goes_on < 2; goes_on++) {
        sat_detokenizer detokenizer = {.started = goes_on};
        sat_buffer_clear(&out);
        for (size_t i = 0; i < tokens.count; i++)
            sat_detokenize(it.tokenizer, &detokenizer, tokens.ids[i], false, &out);
        assert_string_equal(out.data, goes_on ? " hello world" : "hello world");
    }
    size_t length;
    assert_int_equal(tokens.ids[0], 1);
    sat_tokenizer_bytes(it.tokenizer, 1, false, &length);
    assert_int_equal(length, 0);
    sat_tokenizer_bytes(it.tokenizer, 1, true, &length);
    assert_int_equal(length, 3);
    assert_null(sat_tokenizer_bytes(it.tokenizer, sat_tokenizer_size(it.tokenizer), true, &length));
    assert_null(sat_tokenizer_piece(it.tokenizer, -1, &length));
    sat_tokens_free(&tokens);
    sat_buffer_free(&out);
    close_kind(&it);
}

/* ------------------------------------------------------------------ hostile text */

static void bad_utf8_is_replaced(void **state) {
    open_tokenizer it = open_kind(TINY_SPM, NULL);
    check_text(it.tokenizer, "a\xFF\xE2\x96z", false,
               "|_|a|<0xEF>|<0xBF>|<0xBD>|<0xEF>|<0xBF>|<0xBD>|z");
    close_kind(&it);
}

static void a_megabyte_of_one_letter_is_no_trouble(void **state) {
    enum { SIZE = 1 << 20 };
    char *text = malloc(SIZE);
    assert_non_null(text);
    memset(text, 'a', SIZE);
    for (int kind = 0; kind < TINY_KINDS; kind++) {
        open_tokenizer it = open_kind(kind, NULL);
        sat_tokens tokens = {0};
        sat_text_part part = {.text = text, .length = SIZE};
        assert_int_equal(sat_tokenizer_encode(it.tokenizer, &part, 1, 0, &tokens, NULL), 0);
        bool prefixed = kind == TINY_SPM || kind == TINY_UNIGRAM;
        assert_int_equal(tokens.count, SIZE / 4 + prefixed);
        sat_tokens_free(&tokens);
        close_kind(&it);
    }
    free(text);
}

static void long_stretches_merge_like_short_ones(void **state) {
    /* The heap and the scan must agree: the same words alone, and in one stretch without spaces. */
    open_tokenizer it = open_kind(TINY_GEMMA4, NULL);
    check_text(it.tokenizer, "helloworldaaaahellworldheldaaaaahelloheworlworld", false,
               "|hello|world|aaaa|hell|world|he|ld|aaaa|a|hello|he|wor|l|world");
    close_kind(&it);
}

static satchel_status use_tokenizer(failing *f, void *user) {
    static const char text[] =
        "hello  world\xFF</s> aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    const gguf_bytes *vocabulary = user;
    sat_gguf *gguf;
    sat_tokenizer *tokenizer = NULL;
    sat_tokens tokens = {0};
    sat_text_part part = {.text = text, .length = sizeof text - 1, .trusted = true};
    assert_int_equal(
        sat_gguf_open(&gguf, f->context, vocabulary->data, vocabulary->size, "t", NULL), 0);
    f->for_good = true;
    failing_begin(f);
    satchel_status status = sat_tokenizer_open(&tokenizer, f->context, gguf, NULL);
    if (!status)
        status = sat_tokenizer_encode(tokenizer, &part, 1, 1, &tokens, NULL);
    sat_tokens_free(&tokens);
    sat_tokenizer_close(&tokenizer);
    sat_gguf_close(&gguf);
    return status;
}

static void every_failed_allocation_is_reported(void **state) {
    for (int kind = 0; kind < TINY_KINDS; kind++) {
        gguf_bytes vocabulary;
        vocabulary.data = tiny_tokenizer_bytes(kind, NULL, &vocabulary.size);
        fail_allocations(false, use_tokenizer, &vocabulary);
        free(vocabulary.data);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scores_decide_what_merges_in_spm),
        cmocka_unit_test(what_spm_does_not_know_is_bytes),
        cmocka_unit_test(unigram_takes_the_best_sum),
        cmocka_unit_test(unigram_normalises_by_its_table),
        cmocka_unit_test(merges_go_by_rank_within_words),
        cmocka_unit_test(gemma4_merges_characters_and_spells_the_rest_in_bytes),
        cmocka_unit_test(wordpiece_stands_behind_the_same_interface),
        cmocka_unit_test(every_known_pretokenizer_gives_all_the_text_back),
        cmocka_unit_test(special_tokens_are_found_in_trusted_text_only),
        cmocka_unit_test(parts_never_spell_a_special_token_together),
        cmocka_unit_test(a_part_that_stands_apart_leaves_its_neighbours_alone),
        cmocka_unit_test(plain_user_defined_tokens_are_found_in_any_text),
        cmocka_unit_test(bos_and_eos_go_around_as_the_file_says),
        cmocka_unit_test(characters_come_whole_or_not_at_all),
        cmocka_unit_test(the_first_space_is_dropped_unless_the_text_goes_on),
        cmocka_unit_test(bad_utf8_is_replaced),
        cmocka_unit_test(a_megabyte_of_one_letter_is_no_trouble),
        cmocka_unit_test(long_stretches_merge_like_short_ones),
        cmocka_unit_test(every_failed_allocation_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
