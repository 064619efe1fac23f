/*
 * The encoder's tokens: WordPiece fed piece by piece, or a tokenizer of another kind; the special
 * tokens around a text; what share of a text a vocabulary knows. Nothing in a text or a prefix
 * becomes a special token.
 */
#include "generate/encoder.h"

#include <math.h>
#include <string.h>

#include "generate/tokenizer_parts.h"

/* ------------------------------------------------------------------ open */

/* Each piece as a text with its NUL: the file's have none. */
static satchel_status copy_spellings(sat_encoder_tokens *tokens, sat_memory *memory,
                                     satchel_error *error) {
    size_t size = (size_t)tokens->size, bytes = 0, length;
    for (size_t i = 0; i < size; i++) {
        sat_tokenizer_piece(tokens->tokenizer, (int32_t)i, &length);
        bytes += length + 1; /* all pieces lie in one mapping */
    }
    tokens->spellings = sat_alloc(memory, bytes + 1);
    tokens->starts = sat_alloc_array(memory, size + 1, sizeof *tokens->starts);
    if (!tokens->spellings || !tokens->starts)
        return sat_memory_fail(memory, bytes + size * sizeof *tokens->starts, error);
    for (size_t i = 0, at = 0; i < size; i++) {
        const char *piece = sat_tokenizer_piece(tokens->tokenizer, (int32_t)i, &length);
        tokens->starts[i] = at;
        if (length > 0)
            memcpy(tokens->spellings + at, piece, length);
        tokens->spellings[at + length] = 0;
        at += length + 1;
    }
    return SATCHEL_OK;
}

/* "tokenizer.ggml.<name>_token_id", if it is an id. */
static int32_t id_of(const sat_encoder_tokens *tokens, const sat_gguf *gguf, const char *key) {
    int64_t id = -1;
    sat_gguf_integer(gguf, key, &id);
    return id >= 0 && id < tokens->size ? (int32_t)id : -1;
}

/* What the file asks for: bos or the classifier's token first, eos or the separator last. */
static void choose_specials(sat_encoder_tokens *tokens, const sat_gguf *gguf) {
    const sat_special_tokens *special = sat_tokenizer_special(tokens->tokenizer);
    tokens->first = special->add_bos ? special->bos : -1;
    tokens->last = special->add_eos ? special->eos : -1;
    if (tokens->first < 0 && sat_vocabulary_flag(gguf, "tokenizer.ggml.add_bos_token", false))
        tokens->first = id_of(tokens, gguf, "tokenizer.ggml.cls_token_id");
    if (tokens->last < 0 && (sat_vocabulary_flag(gguf, "tokenizer.ggml.add_sep_token", false) ||
                             sat_vocabulary_flag(gguf, "tokenizer.ggml.add_eos_token", false)))
        tokens->last = special->separator;
    tokens->filler = special->padding >= 0 ? special->padding : 0;
}

satchel_status sat_encoder_tokens_open(sat_encoder_tokens *tokens, satchel_context *context,
                                       const sat_gguf *gguf, satchel_error *error) {
    const char *model = "";
    satchel_status status;
    sat_gguf_string(gguf, "tokenizer.ggml.model", &model, NULL);
    if (strcmp(model, "bert") == 0) {
        status = sat_wordpiece_open(&tokens->wordpiece, context, gguf, error);
        if (status)
            return status;
        sat_wordpiece_special special = sat_wordpiece_specials(tokens->wordpiece);
        tokens->first = special.cls;
        tokens->last = special.sep;
        tokens->size = sat_wordpiece_size(tokens->wordpiece);
        return SATCHEL_OK;
    }
    status = sat_tokenizer_open(&tokens->tokenizer, context, gguf, error);
    if (status)
        return status;
    tokens->size = sat_tokenizer_size(tokens->tokenizer);
    choose_specials(tokens, gguf);
    return copy_spellings(tokens, &context->memory, error);
}

void sat_encoder_tokens_close(sat_encoder_tokens *tokens, satchel_context *context) {
    sat_wordpiece_close(&tokens->wordpiece);
    sat_tokenizer_close(&tokens->tokenizer);
    sat_free(&context->memory, tokens->spellings);
    sat_free(&context->memory, tokens->starts);
    memset(tokens, 0, sizeof *tokens);
}

const char *sat_encoder_token(const sat_encoder *encoder, int32_t token) {
    const sat_encoder_tokens *tokens = &encoder->tokens;
    if (tokens->wordpiece)
        return sat_wordpiece_token(tokens->wordpiece, token);
    return token >= 0 && token < tokens->size ? tokens->spellings + tokens->starts[token] : NULL;
}

/* ------------------------------------------------------------------ texts to ids */

static satchel_status check_text(const char *text, size_t length, satchel_error *error) {
    size_t valid = sat_utf8_valid(text, length);
    if (valid == length)
        return SATCHEL_OK;
    return sat_fail(error, SATCHEL_INVALID_TEXT, "the text is not valid UTF-8 at byte %zu", valid);
}

/* Parts as one text, by a tokenizer that is not WordPiece. The caller frees *out. */
static satchel_status encode(const sat_encoder *encoder, const sat_text_part *parts, size_t count,
                             sat_tokens *out, satchel_error *error) {
    satchel_status status = SATCHEL_OK;
    for (size_t i = 0; i < count && !status; i++)
        status = check_text(parts[i].text, parts[i].length, error);
    if (status)
        return status;
    return sat_tokenizer_encode(encoder->tokens.tokenizer, parts, count, SAT_ENCODE_BARE, out,
                                error);
}

static satchel_status read_wordpiece(const sat_encoder *encoder, const sat_text_part parts[2],
                                     int32_t *ids, size_t limit, size_t *count,
                                     satchel_error *error) {
    sat_wordpiece_feed feed;
    sat_wordpiece_begin(&feed, encoder->tokens.wordpiece, ids, limit, true);
    satchel_status status = sat_wordpiece_add(&feed, parts[0].text, parts[0].length, error);
    if (!status)
        status = sat_wordpiece_add(&feed, parts[1].text, parts[1].length, error);
    if (status)
        return status;
    sat_wordpiece_end(&feed);
    *count = feed.count < limit ? feed.count : limit;
    return SATCHEL_OK;
}

static satchel_status read_others(const sat_encoder *encoder, const sat_text_part parts[2],
                                  int32_t *ids, size_t limit, size_t *count, satchel_error *error) {
    sat_tokens out = {0};
    satchel_status status = encode(encoder, parts, 2, &out, error);
    *count = out.count < limit ? out.count : limit;
    if (!status && *count > 0)
        memcpy(ids, out.ids, *count * sizeof *ids);
    sat_tokens_free(&out);
    return status;
}

satchel_status sat_encoder_read(const sat_encoder *encoder, int32_t role, const char *text,
                                size_t length, int32_t *ids, size_t *count, satchel_error *error) {
    const sat_encoder_tokens *tokens = &encoder->tokens;
    const sat_text_part parts[2] = {
        {.text = encoder->prefix[role], .length = encoder->prefix_length[role]},
        {.text = text ? text : "", .length = length}};
    size_t before = tokens->first >= 0, after = tokens->last >= 0;
    size_t limit = encoder->plan.max_tokens - before - after;
    *count = 0;
    satchel_status status = tokens->wordpiece
                                ? read_wordpiece(encoder, parts, ids + before, limit, count, error)
                                : read_others(encoder, parts, ids + before, limit, count, error);
    if (status)
        return status;
    if (before)
        ids[0] = tokens->first;
    if (after)
        ids[before + *count] = tokens->last;
    *count += before + after;
    if (*count == 0)
        ids[(*count)++] = tokens->filler;
    return SATCHEL_OK;
}

satchel_status sat_encoder_count(const sat_encoder *encoder, const char *text, size_t length,
                                 size_t *count, satchel_error *error) {
    const sat_encoder_tokens *tokens = &encoder->tokens;
    if (tokens->wordpiece)
        return sat_wordpiece_encode(tokens->wordpiece, text, length, NULL, 0, count, error);
    const sat_text_part part = {.text = text, .length = length};
    sat_tokens out = {0};
    satchel_status status = encode(encoder, &part, 1, &out, error);
    *count = out.count;
    sat_tokens_free(&out);
    return status;
}

satchel_status sat_encoder_tokenize(const sat_encoder *encoder, const char *text, size_t length,
                                    int32_t *tokens, size_t capacity, size_t *count,
                                    satchel_error *error) {
    const sat_encoder_tokens *own = &encoder->tokens;
    size_t before = own->first >= 0, after = own->last >= 0, found = 0;
    size_t room = capacity > before ? capacity - before : 0;
    const sat_text_part part = {.text = text ? text : "", .length = length};
    sat_tokens out = {0};
    satchel_status status;
    *count = 0;
    if (own->wordpiece) {
        status = sat_wordpiece_encode(own->wordpiece, part.text, length,
                                      room ? tokens + before : NULL, room, &found, error);
    } else {
        status = encode(encoder, &part, 1, &out, error);
        found = out.count;
        if (!status && room > 0 && found > 0)
            memcpy(tokens + before, out.ids, (found < room ? found : room) * sizeof *tokens);
        sat_tokens_free(&out);
    }
    if (status)
        return status;
    *count = before + found + after;
    if (before && capacity > 0)
        tokens[0] = own->first;
    if (after && *count <= capacity)
        tokens[*count - 1] = own->last;
    return SATCHEL_OK;
}

/* ------------------------------------------------------------------ coverage */

static bool counts(int32_t code) {
    return sat_is_letter(code) || sat_is_digit(code);
}

/* A word's pieces so far: letters in pieces longer than one, and how many pieces. */
typedef struct known_word {
    double letters, pieces;
} known_word;

static double end_word(known_word *word) {
    double known = word->pieces > 0 ? word->letters / sqrt(word->pieces) : 0;
    *word = (known_word){0, 0};
    return known;
}

/* As sat_wordpiece_share() counts, with words that begin at pieces with a space. Letters of scripts
 * without spaces count where any piece holds them. */
static double known_letters(const sat_tokenizer *tokenizer, const sat_tokens *ids) {
    known_word word = {0, 0};
    double known = 0;
    for (size_t i = 0; i < ids->count; i++) {
        size_t length, characters = 0, letters = 0, unspaced = 0;
        const char *bytes = sat_tokenizer_bytes(tokenizer, ids->ids[i], false, &length);
        if (length > 0 && sat_is_space((uint8_t)bytes[0]))
            known += end_word(&word);
        for (size_t at = 0; at < length;) {
            int32_t code;
            at += sat_utf8_decode(bytes + at, length - at, &code);
            characters += !sat_is_space(code);
            letters += counts(code) && !sat_is_unspaced(code);
            unspaced += sat_is_unspaced(code);
        }
        if (tokenizer->pieces[ids->ids[i]].type == SAT_TOKEN_BYTE)
            letters = unspaced = 0;
        known += (double)unspaced;
        word.letters += characters > 1 ? (double)letters : 0;
        word.pieces += unspaced == 0;
    }
    return known + end_word(&word);
}

satchel_status sat_encoder_coverage(const sat_encoder *encoder, const char *text, size_t length,
                                    float *share, satchel_error *error) {
    const sat_encoder_tokens *tokens = &encoder->tokens;
    if (tokens->wordpiece)
        return sat_wordpiece_share(tokens->wordpiece, text, length, share, error);
    const sat_text_part part = {.text = text ? text : "", .length = length};
    sat_tokens out = {0};
    *share = 0;
    satchel_status status = encode(encoder, &part, 1, &out, error);
    if (!status) {
        double all = 0;
        for (size_t at = 0; at < length;) {
            int32_t code;
            at += sat_utf8_decode(text + at, length - at, &code);
            all += counts(code);
        }
        double known = known_letters(tokens->tokenizer, &out);
        if (all > 0) /* normalisation can make letters more */
            *share = (float)(known < all ? known / all : 1);
    }
    sat_tokens_free(&out);
    return status;
}

/* ------------------------------------------------------------------ fingerprint */

static void add_key_text(const sat_gguf *gguf, const char *key, sat_sha256 *hash) {
    const char *text = "";
    size_t length = 0;
    sat_gguf_string(gguf, key, &text, &length);
    sat_sha256_add(hash, text, length + 1);
}

void sat_encoder_tokens_fingerprint(const sat_encoder *encoder, sat_sha256 *hash) {
    const sat_encoder_tokens *tokens = &encoder->tokens;
    if (tokens->wordpiece) {
        sat_wordpiece_fingerprint(tokens->wordpiece, hash);
        return;
    }
    static const char *const flags[] = {
        "tokenizer.ggml.add_space_prefix",
        "tokenizer.ggml.remove_extra_whitespaces",
    };
    const sat_gguf *gguf = encoder->gguf;
    int32_t ids[3] = {tokens->first, tokens->last, tokens->filler};
    size_t size = (size_t)tokens->size, count;
    add_key_text(gguf, "tokenizer.ggml.model", hash);
    add_key_text(gguf, "tokenizer.ggml.pre", hash);
    sat_sha256_add(hash, ids, sizeof ids);
    for (size_t i = 0; i < SAT_COUNT(flags); i++) {
        int8_t flag = sat_vocabulary_flag(gguf, flags[i], false);
        sat_sha256_add(hash, &flag, sizeof flag);
    }
    for (size_t i = 0; i < size; i++) {
        const sat_piece *piece = &tokens->tokenizer->pieces[i];
        sat_sha256_add(hash, &piece->type, sizeof piece->type);
        sat_sha256_add(hash, &piece->score, sizeof piece->score);
    }
    sat_sha256_add(hash, tokens->spellings,
                   size > 0 ? tokens->starts[size - 1] +
                                  strlen(tokens->spellings + tokens->starts[size - 1])
                            : 0);
    if (sat_gguf_array(gguf, "tokenizer.ggml.merges", &count)) {
        for (size_t i = 0; i < count; i++) {
            const char *text;
            size_t length;
            if (sat_gguf_array_string(gguf, "tokenizer.ggml.merges", i, &text, &length)) {
                uint64_t bytes = length;
                sat_sha256_add(hash, &bytes, sizeof bytes);
                sat_sha256_add(hash, text, length);
            }
        }
    }
}
