/*
 * Reading a vocabulary: pieces with types and scores, their running text in one block, a hash table over
 * it, the byte tokens and the special ids. The arrays are a stranger's: every length and id is checked.
 */
#include <math.h>
#include <string.h>

#include "generate/tokenizer_parts.h"

enum { MAX_TOKENS = 1 << 24 };

bool sat_vocabulary_flag(const sat_gguf *gguf, const char *key, bool otherwise) {
    bool value = otherwise;
    sat_gguf_bool(gguf, key, &value);
    return value;
}

/* ------------------------------------------------------------------ running text */

/* The byte that a character of GPT-2's alphabet stands for: printable ones for themselves, the 68 others
 * from U+0100 on, in order. −1: it is not of the alphabet. */
static int byte_of(int32_t code) {
    if ((code >= 0x21 && code <= 0x7E) || (code >= 0xA1 && code <= 0xAC) ||
        (code >= 0xAE && code <= 0xFF))
        return code;
    if (code < 0x100 || code > 0x143)
        return -1;
    int n = code - 0x100;
    return n < 33 ? n : n < 67 ? 0x7F + n - 33 : 0xAD;
}

bool sat_vocabulary_running(const sat_tokenizer *tokenizer, const char *text, size_t length,
                            char *out, size_t *out_length) {
    size_t n = 0;
    for (size_t at = 0; at < length;) {
        int32_t code;
        size_t size = sat_utf8_decode(text + at, length - at, &code);
        if (tokenizer->byte_level) {
            int byte = byte_of(code);
            if (byte < 0) {
                memcpy(out, text, length);
                *out_length = length;
                return false;
            }
            out[n++] = (char)byte;
        } else if (code == 0x2581) {
            out[n++] = ' ';
        } else {
            memcpy(out + n, text + at, size);
            n += size;
        }
        at += size;
    }
    *out_length = n;
    return true;
}

static int hex(char c) {
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
                                  : -1;
}

/* The byte that "<0x0A>" stands for, or −1. */
static int byte_token(const char *text, size_t length) {
    if (length != 6 || memcmp(text, "<0x", 3) != 0 || text[5] != '>')
        return -1;
    int high = hex(text[3]), low = hex(text[4]);
    return high < 0 || low < 0 ? -1 : high << 4 | low;
}

/* A user-defined token that is spelt as a marker is special; any other is text. */
static bool is_marker(const char *text, size_t length) {
    return length > 2 && (text[0] == '<' || text[0] == '[') &&
           (text[length - 1] == '>' || text[length - 1] == ']');
}

/* Fills in the running text at `out`, at most one byte longer than the spelling, and the flags. */
static size_t run_piece(sat_tokenizer *tokenizer, sat_piece *piece, char *out) {
    size_t length = piece->length;
    int byte;
    bool text = length > 0 && length <= SAT_PIECE_BYTES;
    switch (piece->type) {
    case SAT_TOKEN_UNKNOWN:
    case SAT_TOKEN_CONTROL:
        memcpy(out, piece->text, length);
        return length;
    case SAT_TOKEN_USER:
        memcpy(out, piece->text, length);
        if (text && !is_marker(piece->text, length))
            piece->flags |= SAT_PIECE_TEXT;
        return length;
    case SAT_TOKEN_BYTE:
        byte = byte_token(piece->text, length);
        if (byte >= 0) {
            *out = (char)byte;
            return 1;
        }
        break;
    default:
        break;
    }
    if (tokenizer->hashes) { /* "##ing" goes on with a word, "run" begins one */
        bool rest = length > 2 && memcmp(piece->text, "##", 2) == 0;
        *out = ' ';
        memcpy(out + !rest, piece->text + (rest ? 2 : 0), length - (rest ? 2 : 0));
        return length - (rest ? 2 : 0) + !rest;
    }
    bool whole = sat_vocabulary_running(tokenizer, piece->text, length, out, &length);
    if (text && whole)
        piece->flags |= SAT_PIECE_TEXT;
    return length;
}

/* ------------------------------------------------------------------ the hash table */

/* A slot is the upper half of the hash and id + 1: what only shares a slot is told apart without a look at its
 * text. */
static size_t slot_of(const sat_tokenizer *tokenizer, const char *text, size_t length,
                      uint64_t *tag) {
    uint64_t hash = sat_hash64(text, length, 0);
    *tag = hash >> 32;
    for (size_t at = (size_t)hash & tokenizer->mask;; at = (at + 1) & tokenizer->mask) {
        uint64_t slot = tokenizer->slots[at];
        if (slot == 0)
            return at;
        if (slot >> 32 != *tag)
            continue;
        const sat_piece *piece = &tokenizer->pieces[(uint32_t)slot - 1];
        if (piece[1].at - piece->at == length &&
            memcmp(tokenizer->running + piece->at, text, length) == 0)
            return at;
    }
}

int32_t sat_vocabulary_find(const sat_tokenizer *tokenizer, const char *text, size_t length) {
    uint64_t tag;
    if (length == 0 || length > tokenizer->longest)
        return -1;
    return (int32_t)(uint32_t)tokenizer->slots[slot_of(tokenizer, text, length, &tag)] - 1;
}

/* A piece that merging may form. User-defined ones are found before merging; they are here for the models
 * that merge plain characters. */
static void add_slot(sat_tokenizer *tokenizer, size_t id) {
    sat_piece *piece = &tokenizer->pieces[id];
    const char *text = tokenizer->running + piece->at;
    size_t length = piece[1].at - piece->at;
    if (tokenizer->byte_level && piece->type == SAT_TOKEN_USER)
        return;
    uint64_t tag;
    size_t slot = slot_of(tokenizer, text, length, &tag);
    tokenizer->slots[slot] = tag << 32 | (id + 1);
    if (length > tokenizer->longest)
        tokenizer->longest = length;
    for (size_t i = 1; i < length; i++)
        if (text[i] == ' ')
            tokenizer->joins_space[(uint8_t)text[i - 1]] = true;
}

/* ------------------------------------------------------------------ arrays */

static satchel_status bad_array(const char *key, size_t index, const char *should,
                                satchel_error *error) {
    return sat_fail(error, SATCHEL_DAMAGED, "%s has no %s at index %zu: the file is damaged", key,
                    should, index);
}

static satchel_status read_pieces(sat_tokenizer *tokenizer, size_t *bytes, satchel_error *error) {
    const sat_gguf *gguf = tokenizer->gguf;
    size_t count;
    bool typed = sat_gguf_array(gguf, "tokenizer.ggml.token_type", &count);
    bool scored = sat_gguf_array(gguf, "tokenizer.ggml.scores", &count);
    for (size_t i = 0; i < tokenizer->size; i++) {
        sat_piece *piece = &tokenizer->pieces[i];
        size_t length;
        int64_t type = SAT_TOKEN_NORMAL;
        double score = 0;
        if (!sat_gguf_array_string(gguf, "tokenizer.ggml.tokens", i, &piece->text, &length))
            return bad_array("tokenizer.ggml.tokens", i, "string", error);
        if (typed && !sat_gguf_array_integer(gguf, "tokenizer.ggml.token_type", i, &type))
            return bad_array("tokenizer.ggml.token_type", i, "number", error);
        if (scored && !sat_gguf_array_float(gguf, "tokenizer.ggml.scores", i, &score))
            return bad_array("tokenizer.ggml.scores", i, "number", error);
        if (!sat_add_size(*bytes, length, bytes) || *bytes > INT32_MAX / 2) {
            return sat_fail(error, SATCHEL_LIMIT, "the vocabulary's text is larger than 1 GiB");
        }
        piece->length = (uint32_t)length;
        piece->type = type > 0 && type <= SAT_TOKEN_BYTE ? (uint8_t)type : SAT_TOKEN_NORMAL;
        piece->score = isnan(score) ? -INFINITY : (float)score;
    }
    return SATCHEL_OK;
}

/* ------------------------------------------------------------------ special tokens */

/* A special id: −1 and its unsigned spelling mean "none". */
static satchel_status read_id(const sat_tokenizer *tokenizer, const char *key, int32_t otherwise,
                              int32_t *id, satchel_error *error) {
    int64_t value;
    *id = otherwise >= 0 && (size_t)otherwise < tokenizer->size ? otherwise : -1;
    if (!sat_gguf_integer(tokenizer->gguf, key, &value))
        return SATCHEL_OK;
    if (value == -1 || value == UINT32_MAX) {
        *id = -1;
        return SATCHEL_OK;
    }
    if (value < 0 || (uint64_t)value >= tokenizer->size) {
        return sat_fail(error, SATCHEL_DAMAGED, "%s is %lld, outside the vocabulary of %zu", key,
                        (long long)value, tokenizer->size);
    }
    *id = (int32_t)value;
    return SATCHEL_OK;
}

static satchel_status read_ids(sat_tokenizer *tokenizer, satchel_error *error) {
    sat_special_tokens *special = &tokenizer->special;
    const char *model = "";
    sat_gguf_string(tokenizer->gguf, "tokenizer.ggml.model", &model, NULL);
    bool spm = strcmp(model, "llama") == 0, unigram = strcmp(model, "t5") == 0;
    const struct {
        const char *key;
        int32_t otherwise, *id;
    } ids[] = {
        {"tokenizer.ggml.bos_token_id", spm ? 1 : -1, &special->bos},
        {"tokenizer.ggml.eos_token_id",
         spm       ? 2
         : unigram ? 1
                   : -1,
         &special->eos},
        {"tokenizer.ggml.eot_token_id", -1, &special->eot},
        {"tokenizer.ggml.unknown_token_id",
         spm       ? 0
         : unigram ? 2
                   : -1,
         &special->unknown},
        {"tokenizer.ggml.padding_token_id", unigram ? 0 : -1, &special->padding},
        {"tokenizer.ggml.seperator_token_id", -1, &special->separator}, /* the format's spelling */
        {"tokenizer.ggml.mask_token_id", -1, &special->mask},
    };
    size_t count;
    bool typed = sat_gguf_array(tokenizer->gguf, "tokenizer.ggml.token_type", &count);
    satchel_status status = SATCHEL_OK;
    for (size_t i = 0; !status && i < SAT_COUNT(ids); i++) {
        status = read_id(tokenizer, ids[i].key, ids[i].otherwise, ids[i].id, error);
        /* Without types nothing else says that text may not form these. */
        if (!status && !typed && *ids[i].id >= 0)
            tokenizer->pieces[*ids[i].id].type = SAT_TOKEN_CONTROL;
    }
    return status;
}

/* The trie of special tokens, and of user-defined ones that are text. */
static satchel_status build_specials(sat_tokenizer *tokenizer, satchel_error *error) {
    satchel_status status = sat_trie_open(&tokenizer->specials, &tokenizer->context->memory, error);
    for (size_t i = 0; !status && i < tokenizer->size; i++) {
        const sat_piece *piece = &tokenizer->pieces[i];
        if ((piece->type != SAT_TOKEN_CONTROL && piece->type != SAT_TOKEN_USER &&
             piece->type != SAT_TOKEN_UNKNOWN) ||
            piece->length == 0 || piece->length > SAT_PIECE_BYTES)
            continue;
        bool plain = piece->type == SAT_TOKEN_USER && piece->flags & SAT_PIECE_TEXT;
        status = sat_trie_add(&tokenizer->specials, SAT_ROOT_SPECIAL, piece->text, piece->length,
                              (int32_t)i, error);
        if (!status && plain) {
            status = sat_trie_add(&tokenizer->specials, SAT_ROOT_PLAIN, piece->text, piece->length,
                                  (int32_t)i, error);
        }
        tokenizer->special_starts[(uint8_t)piece->text[0]] |=
            (uint8_t)(1 << SAT_ROOT_SPECIAL | (plain ? 1 << SAT_ROOT_PLAIN : 0));
    }
    return status;
}

/* Whether a WordPiece vocabulary is in BERT's own layout: no piece has a "▁" before it. */
static bool has_hashes(const sat_tokenizer *tokenizer) {
    const char *model = "";
    sat_gguf_string(tokenizer->gguf, "tokenizer.ggml.model", &model, NULL);
    for (size_t i = 0; i < tokenizer->size; i++) {
        const sat_piece *piece = &tokenizer->pieces[i];
        if (piece->length > 3 && memcmp(piece->text, "\xE2\x96\x81", 3) == 0)
            return false;
    }
    return strcmp(model, "bert") == 0;
}

/* The tokens that stand for bytes: by type, and by spelling where the file has no types. */
static void find_bytes(sat_tokenizer *tokenizer) {
    for (int i = 0; i < 256; i++) {
        char byte = (char)i;
        tokenizer->byte_ids[i] = sat_vocabulary_find(tokenizer, &byte, 1);
    }
    if (tokenizer->byte_level)
        return;
    size_t count;
    bool typed = sat_gguf_array(tokenizer->gguf, "tokenizer.ggml.token_type", &count);
    for (size_t i = 0; i < tokenizer->size; i++) {
        const sat_piece *piece = &tokenizer->pieces[i];
        int byte = byte_token(piece->text, piece->length);
        if (byte >= 0 && (piece->type == SAT_TOKEN_BYTE || !typed))
            tokenizer->byte_ids[byte] = (int32_t)i;
    }
}

/* ------------------------------------------------------------------ all of it */

satchel_status sat_vocabulary_read(sat_tokenizer *tokenizer, satchel_error *error) {
    sat_memory *memory = &tokenizer->context->memory;
    size_t count, bytes = 0, at = 0, slots = 16;
    if (!sat_gguf_array(tokenizer->gguf, "tokenizer.ggml.tokens", &count) || count == 0) {
        return sat_fail(error, SATCHEL_DAMAGED, "tokenizer.ggml.tokens is missing or empty");
    }
    if (count > MAX_TOKENS) {
        return sat_fail(error, SATCHEL_LIMIT, "the vocabulary has %zu tokens; at most %d are read",
                        count, MAX_TOKENS);
    }
    tokenizer->size = count;
    tokenizer->pieces = sat_calloc(memory, count + 1, sizeof *tokenizer->pieces);
    if (!tokenizer->pieces)
        return sat_memory_fail(memory, (count + 1) * sizeof *tokenizer->pieces, error);
    satchel_status status = read_pieces(tokenizer, &bytes, error);
    if (!status)
        status = read_ids(tokenizer, error);
    if (status)
        return status;
    sat_vocabulary_names(tokenizer);
    while (slots < count * 2)
        slots *= 2;
    tokenizer->hashes = has_hashes(tokenizer);
    tokenizer->running = sat_alloc(memory, bytes + count + 1);
    tokenizer->slots = sat_calloc(memory, slots, sizeof *tokenizer->slots);
    if (!tokenizer->running || !tokenizer->slots)
        return sat_memory_fail(memory, bytes + slots * sizeof *tokenizer->slots, error);
    tokenizer->mask = slots - 1;
    for (size_t i = 0; i < count; i++) {
        tokenizer->pieces[i].at = (uint32_t)at;
        at += run_piece(tokenizer, &tokenizer->pieces[i], tokenizer->running + at);
        tokenizer->pieces[i + 1].at = (uint32_t)at;
        if (tokenizer->pieces[i].flags & SAT_PIECE_TEXT)
            add_slot(tokenizer, i);
    }
    find_bytes(tokenizer);
    return build_specials(tokenizer, error);
}
