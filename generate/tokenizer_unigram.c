/*
 * SentencePiece's Unigram (Kudo 2018), GGUF's "t5": of all ways to cut the normalised text into pieces
 * the one whose scores sum highest, found by Viterbi over byte positions. A character that is no piece
 * costs the lowest score less 10; neighbouring unknown characters are one token. Sums are double, as in
 * the original. Of equal sums the one found first stays.
 */
#include <float.h>
#include <math.h>
#include <string.h>

#include "generate/tokenizer_parts.h"

/* The best way to reach a position. */
typedef struct cell {
    double score;
    uint32_t from;
    int32_t id;
} cell;

/* Spaces: "▁" of the text is a character here, a space is what separates. */
static bool normalise(sat_encoding *encoding, const char *text, size_t length) {
    const sat_tokenizer *tokenizer = encoding->tokenizer;
    sat_buffer *out = &encoding->normal;
    bool merge = tokenizer->merge_spaces, in_word = false, prefixed = false;
    sat_buffer_clear(out);
    if (!sat_buffer_reserve(out, length + 1))
        return false;
    for (size_t at = 0; at < length;) {
        size_t consumed, replaced;
        const char *by =
            sat_charsmap_find(&tokenizer->charsmap, text + at, length - at, &consumed, &replaced);
        if (!by) {
            int32_t code;
            by = text + at;
            consumed = replaced = sat_utf8_decode(text + at, length - at, &code);
        }
        for (size_t i = 0; i < replaced; i++) {
            if (by[i] == ' ') {
                in_word = false;
                if (!merge)
                    sat_buffer_append(out, " ", 1);
                continue;
            }
            if (!in_word && (merge || (tokenizer->space_prefix && !prefixed))) {
                sat_buffer_append(out, " ", 1);
                prefixed = true;
            }
            in_word = true;
            if (replaced - i >= 3 && memcmp(by + i, "\xE2\x96\x81", 3) == 0) {
                sat_buffer_append(out, " ", 1);
                i += 2;
            } else {
                sat_buffer_append(out, by + i, 1);
            }
        }
        at += consumed;
    }
    return !out->failed;
}

/* The pieces that begin at `at`, and the unknown one. */
static void reach(const sat_tokenizer *tokenizer, const char *text, size_t length, size_t at,
                  cell *cells) {
    int32_t code;
    size_t character = sat_utf8_decode(text + at, length - at, &code);
    bool single = false;
    uint32_t node = SAT_TRIE_WORD;
    for (size_t i = at; i < length;) {
        node = sat_trie_child(&tokenizer->words, node, (uint8_t)text[i++]);
        if (node == 0)
            break;
        int32_t id = tokenizer->words.ids[node];
        if (id < 0)
            continue;
        const sat_piece *piece = &tokenizer->pieces[id];
        double score =
            cells[at].score + (piece->type == SAT_TOKEN_USER ? 0.0 : (double)piece->score);
        single |= i - at == character;
        if (score > cells[i].score)
            cells[i] = (cell){score, (uint32_t)at, id};
    }
    double score = cells[at].score + tokenizer->unknown_score;
    if (!single && score > cells[at + character].score)
        cells[at + character] = (cell){score, (uint32_t)at, tokenizer->special.unknown};
}

static satchel_status push_path(sat_encoding *encoding, const cell *cells, size_t length) {
    int32_t unknown = encoding->tokenizer->special.unknown;
    size_t first = encoding->out->count;
    bool was_unknown = false;
    for (size_t at = length; at > 0; at = cells[at].from) {
        int32_t id = cells[at].id;
        bool is_unknown = id == unknown;
        if (id >= 0 && !(is_unknown && was_unknown) && !sat_tokens_push(encoding->out, id))
            return sat_encoding_no_memory(encoding, sizeof id);
        was_unknown = is_unknown;
    }
    int32_t *ids = encoding->out->ids;
    for (size_t i = first, j = encoding->out->count; i + 1 < j; i++) {
        int32_t other = ids[--j];
        ids[j] = ids[i];
        ids[i] = other;
    }
    return SATCHEL_OK;
}

static satchel_status encode_unigram(sat_encoding *encoding, const char *text, size_t length) {
    if (!normalise(encoding, text, length))
        return sat_encoding_no_memory(encoding, length);
    const char *normal = encoding->normal.data;
    size_t end = encoding->normal.length;
    if (end == 0)
        return SATCHEL_OK;
    if (end > INT32_MAX) {
        return sat_fail(encoding->error, SATCHEL_LIMIT, "the text is longer than 2 GiB");
    }
    if (!sat_grow(encoding->joined.memory, &encoding->cells, &encoding->cell_capacity, end + 1,
                  sizeof(cell)))
        return sat_encoding_no_memory(encoding, (end + 1) * sizeof(cell));
    cell *cells = encoding->cells;
    /* A hostile score of −∞ reaches nothing, but every position stays reachable through −DBL_MAX. */
    for (size_t i = 0; i <= end; i++)
        cells[i] =
            (cell){-INFINITY, (uint32_t)(i > 0 ? i - 1 : 0), encoding->tokenizer->special.unknown};
    cells[0].score = 0;
    for (size_t at = 0; at < end;) {
        int32_t code;
        reach(encoding->tokenizer, normal, end, at, cells);
        at += sat_utf8_decode(normal + at, end - at, &code);
    }
    return push_path(encoding, cells, end);
}

static satchel_status read_words(sat_tokenizer *tokenizer, satchel_error *error) {
    double lowest = FLT_MAX;
    satchel_status status = sat_trie_open(&tokenizer->words, &tokenizer->context->memory, error);
    for (size_t i = 0; !status && i < tokenizer->size; i++) {
        const sat_piece *piece = &tokenizer->pieces[i];
        if (piece->type == SAT_TOKEN_NORMAL && isfinite(piece->score) && piece->score < lowest)
            lowest = piece->score;
        if (piece->flags & SAT_PIECE_TEXT && piece->type != SAT_TOKEN_BYTE) {
            status = sat_trie_add(&tokenizer->words, SAT_TRIE_WORD, tokenizer->running + piece->at,
                                  piece[1].at - piece->at, (int32_t)i, error);
        }
    }
    tokenizer->unknown_score = lowest - 10.0;
    return status;
}

satchel_status sat_unigram_open(sat_tokenizer *tokenizer, satchel_error *error) {
    tokenizer->encode = encode_unigram;
    tokenizer->space_prefix =
        sat_vocabulary_flag(tokenizer->gguf, "tokenizer.ggml.add_space_prefix", false);
    tokenizer->merge_spaces =
        sat_vocabulary_flag(tokenizer->gguf, "tokenizer.ggml.remove_extra_whitespaces", false);
    tokenizer->special.add_eos = true;
    satchel_status status = sat_charsmap_open(&tokenizer->charsmap, tokenizer->gguf, error);
    return status ? status : read_words(tokenizer, error);
}
