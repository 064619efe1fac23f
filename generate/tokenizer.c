/*
 * The tokenizer's interface: opening by kind, the walk over a text that finds special tokens and hands
 * what lies between them to the kind's encoder, and the way back to text.
 */
#include "generate/tokenizer.h"
#include "generate/tokenizer_parts.h"
#include "generate/wordpiece.h"

#include <string.h>

/* ------------------------------------------------------------------ WordPiece behind the interface */

static satchel_status encode_wordpiece(sat_encoding *encoding, const char *text, size_t length) {
    const sat_wordpiece *wordpiece = encoding->tokenizer->wordpiece;
    sat_tokens *out = encoding->out;
    size_t count = length;
    for (
        ;
        ;) { /* a token is seldom less than a byte: the second round is for what normalising adds */
        size_t room = count;
        if (!sat_grow(out->memory, (void **)&out->ids, &out->capacity, out->count + room,
                      sizeof *out->ids))
            return sat_encoding_no_memory(encoding, room * sizeof *out->ids);
        satchel_status status = sat_wordpiece_encode(wordpiece, text, length, out->ids + out->count,
                                                     room, &count, encoding->error);
        if (status)
            return status;
        if (count <= room)
            break;
    }
    out->count += count;
    return SATCHEL_OK;
}

static satchel_status open_wordpiece(sat_tokenizer *tokenizer, satchel_error *error) {
    tokenizer->encode = encode_wordpiece;
    tokenizer->space_prefix = true;
    satchel_status status =
        sat_wordpiece_open(&tokenizer->wordpiece, tokenizer->context, tokenizer->gguf, error);
    if (status)
        return status;
    sat_wordpiece_special special = sat_wordpiece_specials(tokenizer->wordpiece);
    tokenizer->special.unknown = special.unknown;
    tokenizer->special.bos = special.cls;
    tokenizer->special.eos = tokenizer->special.separator = special.sep;
    tokenizer->special.add_bos = tokenizer->special.add_eos = true;
    return SATCHEL_OK;
}

/* ------------------------------------------------------------------ open */

static satchel_status open_kind(sat_tokenizer *tokenizer, satchel_error *error) {
    const sat_gguf *gguf = tokenizer->gguf;
    const char *model = NULL;
    sat_gguf_string(gguf, "tokenizer.ggml.model", &model, NULL);
    static const struct {
        const char *name;
        bool byte_level;
        satchel_status (*open)(sat_tokenizer *tokenizer, satchel_error *error);
    } kinds[] = {
        {"llama", false, sat_spm_open},  {"t5", false, sat_unigram_open},
        {"gpt2", true, sat_bpe_open},    {"gemma4", false, sat_bpe_open},
        {"bert", false, open_wordpiece},
    };
    for (size_t i = 0; model && i < SAT_COUNT(kinds); i++) {
        if (strcmp(model, kinds[i].name) != 0)
            continue;
        tokenizer->byte_level = kinds[i].byte_level;
        satchel_status status = sat_vocabulary_read(tokenizer, error);
        return status ? status : kinds[i].open(tokenizer, error);
    }
    return sat_fail(error, SATCHEL_UNSUPPORTED,
                    "tokenizer.ggml.model is \"%.60s\": known are llama, t5, gpt2, gemma4, bert",
                    model ? model : "(missing)");
}

satchel_status sat_tokenizer_open(sat_tokenizer **out, satchel_context *context,
                                  const sat_gguf *gguf, satchel_error *error) {
    *out = NULL;
    sat_tokenizer *tokenizer = sat_calloc(&context->memory, 1, sizeof *tokenizer);
    if (!tokenizer)
        return sat_memory_fail(&context->memory, sizeof *tokenizer, error);
    tokenizer->context = context;
    tokenizer->gguf = gguf;
    satchel_status status = open_kind(tokenizer, error);
    if (status) {
        sat_tokenizer_close(&tokenizer);
        return status;
    }
    sat_special_tokens *special = &tokenizer->special;
    special->add_bos =
        sat_vocabulary_flag(gguf, "tokenizer.ggml.add_bos_token", special->add_bos) &&
        special->bos >= 0;
    special->add_eos =
        sat_vocabulary_flag(gguf, "tokenizer.ggml.add_eos_token", special->add_eos) &&
        special->eos >= 0;
    *out = tokenizer;
    return SATCHEL_OK;
}

void sat_tokenizer_close(sat_tokenizer **slot) {
    sat_tokenizer *tokenizer = *slot;
    *slot = NULL;
    if (!tokenizer)
        return;
    sat_memory *memory = &tokenizer->context->memory;
    sat_wordpiece_close(&tokenizer->wordpiece);
    sat_trie_close(&tokenizer->specials);
    sat_trie_close(&tokenizer->words);
    sat_free(memory, tokenizer->merges);
    sat_free(memory, tokenizer->slots);
    sat_free(memory, tokenizer->running);
    sat_free(memory, tokenizer->pieces);
    sat_free(memory, tokenizer);
}

int32_t sat_tokenizer_size(const sat_tokenizer *tokenizer) {
    return (int32_t)tokenizer->size;
}

static uint64_t trie_memory(const sat_trie *trie) {
    uint64_t edges = trie->edges ? trie->mask + 1 : 0;
    return edges * sizeof *trie->edges + trie->ids_capacity * sizeof *trie->ids;
}

uint64_t sat_tokenizer_memory(const sat_tokenizer *t) {
    uint64_t bytes = sizeof *t + (t->size + 1) * sizeof *t->pieces;
    bytes += t->pieces ? t->pieces[t->size].at : 0;
    bytes += t->slots ? (t->mask + 1) * sizeof *t->slots : 0;
    bytes += t->merges ? (t->merge_mask + 1) * sizeof *t->merges : 0;
    return bytes + trie_memory(&t->specials) + trie_memory(&t->words);
}

const sat_special_tokens *sat_tokenizer_special(const sat_tokenizer *tokenizer) {
    return &tokenizer->special;
}

static const sat_piece *piece_of(const sat_tokenizer *tokenizer, int32_t token) {
    return token >= 0 && (size_t)token < tokenizer->size ? &tokenizer->pieces[token] : NULL;
}

bool sat_tokenizer_ends(const sat_tokenizer *tokenizer, int32_t token) {
    const sat_piece *piece = piece_of(tokenizer, token);
    return piece && piece->flags & SAT_PIECE_ENDS;
}

/* ------------------------------------------------------------------ lists of ids */

bool sat_tokens_push(sat_tokens *tokens, int32_t id) {
    if (tokens->count >= tokens->capacity &&
        !sat_grow(tokens->memory, (void **)&tokens->ids, &tokens->capacity, tokens->count + 1,
                  sizeof *tokens->ids))
        return false;
    tokens->ids[tokens->count++] = id;
    return true;
}

void sat_tokens_free(sat_tokens *tokens) {
    if (tokens->memory)
        sat_free(tokens->memory, tokens->ids);
    memset(tokens, 0, sizeof *tokens);
}

satchel_status sat_encoding_no_memory(sat_encoding *encoding, size_t size) {
    return sat_memory_fail(encoding->joined.memory, size, encoding->error);
}

/* ------------------------------------------------------------------ parts */

/* A stretch of the joined text with one kind of trust. */
typedef struct stretch {
    size_t end;
    bool trusted;
    bool apart; /* nothing may reach from it into the next */
} stretch;

typedef struct text_walk {
    const char *text;
    size_t length;
    stretch *stretches;
    size_t count, capacity;
} text_walk;

static bool append_valid(sat_buffer *out, const char *text, size_t length) {
    for (size_t at = 0; at < length;) {
        size_t valid = sat_utf8_valid(text + at, length - at);
        sat_buffer_append(out, text + at, valid);
        at += valid;
        if (at < length) {
            int32_t code;
            at += sat_utf8_decode(text + at, length - at, &code);
            sat_buffer_append(out, "\xEF\xBF\xBD", 3);
        }
    }
    return !out->failed;
}

static bool add_stretch(sat_memory *memory, text_walk *walk, size_t end, bool trusted, bool apart) {
    stretch *last = walk->count ? &walk->stretches[walk->count - 1] : NULL;
    if (last && apart)
        last->apart = true;
    if (last && last->trusted == trusted && !last->apart) {
        last->end = end;
        return true;
    }
    if (!sat_grow(memory, (void **)&walk->stretches, &walk->capacity, walk->count + 1,
                  sizeof *walk->stretches))
        return false;
    walk->stretches[walk->count++] = (stretch){end, trusted, apart};
    return true;
}

/* All parts as one text. A single valid one is used where it lies. */
static satchel_status join(sat_encoding *encoding, const sat_text_part *parts, size_t count,
                           text_walk *walk) {
    sat_memory *memory = encoding->joined.memory;
    bool copy = count != 1 || sat_utf8_valid(parts[0].text, parts[0].length) != parts[0].length;
    for (size_t i = 0; i < count; i++) {
        if (copy && !append_valid(&encoding->joined, parts[i].text, parts[i].length))
            return sat_encoding_no_memory(encoding, parts[i].length);
        walk->text = copy ? encoding->joined.data : parts[0].text;
        walk->length = copy ? encoding->joined.length : parts[0].length;
        if (parts[i].length == 0)
            continue;
        if (!add_stretch(memory, walk, walk->length, parts[i].trusted, parts[i].apart))
            return sat_encoding_no_memory(encoding, walk->count * sizeof *walk->stretches);
    }
    if (walk->length > INT32_MAX)
        return sat_fail(encoding->error, SATCHEL_LIMIT, "the text is longer than 2 GiB");
    return SATCHEL_OK;
}

/* ------------------------------------------------------------------ encode */

static bool strips(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* The text from `from` to `to`, which holds no special token. */
static satchel_status encode_fragment(sat_encoding *encoding, const text_walk *walk, size_t from,
                                      size_t to) {
    if (from >= to)
        return SATCHEL_OK;
    satchel_status status = encoding->tokenizer->encode(encoding, walk->text + from, to - from);
    encoding->after_special = false;
    return status;
}

/* The special token at `at`, if its text may be one: within trusted text all of them, up to `end` those
 * that are text. */
static int32_t special_at(const sat_tokenizer *tokenizer, const text_walk *walk, size_t at,
                          const stretch *here, size_t end, size_t *length) {
    size_t trusted_length = 0, plain_length = 0;
    int32_t trusted = -1, plain = -1;
    uint8_t starts = tokenizer->special_starts[(uint8_t)walk->text[at]];
    if (here->trusted && starts & 1 << SAT_ROOT_SPECIAL) {
        trusted = sat_trie_longest(&tokenizer->specials, SAT_ROOT_SPECIAL, walk->text + at,
                                   here->end - at, &trusted_length);
    }
    if (starts & 1 << SAT_ROOT_PLAIN) {
        plain = sat_trie_longest(&tokenizer->specials, SAT_ROOT_PLAIN, walk->text + at, end - at,
                                 &plain_length);
    }
    bool use_plain = plain >= 0 && (trusted < 0 || plain_length > trusted_length);
    *length = use_plain ? plain_length : trusted_length;
    return use_plain ? plain : trusted;
}

/* From `from` to `end`, between two borders that nothing reaches over. first: the stretch at `from`. */
static satchel_status encode_block(sat_encoding *encoding, const text_walk *walk, size_t from,
                                   size_t end, const stretch *first) {
    const sat_tokenizer *tokenizer = encoding->tokenizer;
    const stretch *here = first;
    satchel_status status = SATCHEL_OK;
    for (size_t at = from; !status && at < end;) {
        while (at >= here->end)
            here++;
        size_t length;
        int32_t id = tokenizer->special_starts[(uint8_t)walk->text[at]]
                         ? special_at(tokenizer, walk, at, here, end, &length)
                         : -1;
        if (id < 0) {
            at++;
            continue;
        }
        const sat_piece *piece = &tokenizer->pieces[id];
        size_t stop = at;
        while (piece->flags & SAT_PIECE_LSTRIP && stop > from && strips(walk->text[stop - 1]))
            stop--;
        status = encode_fragment(encoding, walk, from, stop);
        if (!status && !sat_tokens_push(encoding->out, id))
            status = sat_encoding_no_memory(encoding, sizeof id);
        encoding->after_special = true;
        at += length;
        while (piece->flags & SAT_PIECE_RSTRIP && at < end && strips(walk->text[at]))
            at++;
        from = at;
    }
    return status ? status : encode_fragment(encoding, walk, from, end);
}

static satchel_status encode_text(sat_encoding *encoding, const text_walk *walk) {
    satchel_status status = SATCHEL_OK;
    size_t from = 0;
    for (size_t i = 0, first = 0; !status && i < walk->count; i++) {
        if (!walk->stretches[i].apart && i + 1 < walk->count)
            continue;
        status =
            encode_block(encoding, walk, from, walk->stretches[i].end, &walk->stretches[first]);
        from = walk->stretches[i].end;
        first = i + 1;
    }
    return status;
}

satchel_status sat_tokenizer_encode(const sat_tokenizer *tokenizer, const sat_text_part *parts,
                                    size_t count, int flags, sat_tokens *out,
                                    satchel_error *error) {
    sat_memory *memory = &tokenizer->context->memory;
    const sat_special_tokens *special = &tokenizer->special;
    bool around = flags & SAT_ENCODE_AROUND;
    text_walk walk = {.text = ""};
    sat_encoding encoding = {
        .tokenizer = tokenizer, .out = out, .error = error, .after_special = true};
    if (!out->memory)
        out->memory = memory;
    sat_buffer_init(&encoding.joined, memory);
    sat_buffer_init(&encoding.normal, memory);
    satchel_status status = join(&encoding, parts, count, &walk);
    if (!status && around && special->add_bos && !sat_tokens_push(out, special->bos))
        status = sat_encoding_no_memory(&encoding, sizeof(int32_t));
    if (!status)
        status = encode_text(&encoding, &walk);
    if (!status && around && special->add_eos && !sat_tokens_push(out, special->eos))
        status = sat_encoding_no_memory(&encoding, sizeof(int32_t));
    sat_free(memory, walk.stretches);
    sat_free(memory, encoding.symbols);
    sat_free(memory, encoding.heap);
    sat_free(memory, encoding.cells);
    sat_buffer_free(&encoding.joined);
    sat_buffer_free(&encoding.normal);
    return status;
}

/* ------------------------------------------------------------------ back to text */

const char *sat_tokenizer_bytes(const sat_tokenizer *tokenizer, int32_t token, bool special,
                                size_t *length) {
    const sat_piece *piece = piece_of(tokenizer, token);
    *length = 0;
    if (!piece)
        return NULL;
    if (special || (piece->type != SAT_TOKEN_CONTROL && piece->type != SAT_TOKEN_UNKNOWN))
        *length = piece[1].at - piece->at;
    return tokenizer->running + piece->at;
}

const char *sat_tokenizer_piece(const sat_tokenizer *tokenizer, int32_t token, size_t *length) {
    const sat_piece *piece = piece_of(tokenizer, token);
    *length = piece ? piece->length : 0;
    return piece ? piece->text : NULL;
}

static bool put_replacement(sat_buffer *out) {
    return sat_buffer_append(out, "\xEF\xBF\xBD", 3);
}

/* Whether held[0..count) can still become a character. */
static bool may_grow(const char *held, size_t count) {
    uint8_t first = (uint8_t)held[0], second = count > 1 ? (uint8_t)held[1] : 0;
    size_t need = first >= 0xC2 && first <= 0xDF   ? 2
                  : first >= 0xE0 && first <= 0xEF ? 3
                  : first >= 0xF0 && first <= 0xF4 ? 4
                                                   : 0;
    if (count >= need)
        return false;
    if (count == 1)
        return true;
    uint8_t low = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80;
    uint8_t high = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;
    return second >= low && second <= high && (count < 3 || ((uint8_t)held[2] & 0xC0) == 0x80);
}

/* One byte more: what is whole goes out, what cannot become whole goes out as U+FFFD. */
static void put_byte(sat_detokenizer *state, char byte, sat_buffer *out) {
    state->held[state->count++] = byte;
    while (state->count > 0) {
        if (sat_utf8_valid(state->held, state->count) == state->count) {
            sat_buffer_append(out, state->held, state->count);
            state->count = 0;
        } else if (may_grow(state->held, state->count)) {
            return;
        } else if (state->count == 1) {
            put_replacement(out);
            state->count = 0;
        } else { /* the byte that came is not the one that was waited for: it begins anew */
            put_replacement(out);
            state->held[0] = byte;
            state->count = 1;
        }
    }
}

bool sat_detokenize_bytes(sat_detokenizer *state, const char *bytes, size_t length,
                          sat_buffer *out) {
    for (size_t at = 0; at < length;) {
        size_t valid = state->count == 0 ? sat_utf8_valid(bytes + at, length - at) : 0;
        sat_buffer_append(out, bytes + at, valid);
        at += valid;
        if (at < length)
            put_byte(state, bytes[at++], out);
    }
    return !out->failed;
}

bool sat_detokenize(const sat_tokenizer *tokenizer, sat_detokenizer *state, int32_t token,
                    bool special, sat_buffer *out) {
    size_t length;
    const char *bytes = sat_tokenizer_bytes(tokenizer, token, special, &length);
    const sat_piece *piece = piece_of(tokenizer, token);
    if (length == 0)
        return !out->failed;
    bool text = piece->type != SAT_TOKEN_CONTROL && piece->type != SAT_TOKEN_UNKNOWN;
    if (!state->started && text) {
        state->started = true;
        if (tokenizer->space_prefix && bytes[0] == ' ') {
            bytes++;
            length--;
        }
    }
    return sat_detokenize_bytes(state, bytes, length, out);
}

bool sat_detokenize_end(sat_detokenizer *state, sat_buffer *out) {
    if (state->count > 0)
        put_replacement(out);
    state->count = 0;
    return !out->failed;
}
