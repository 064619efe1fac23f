/*
 * The tokenizer inside: the vocabulary, what a call to encode carries, and the merging of symbols that
 * "llama", "gpt2" and "gemma4" share. Only tokenizer*.c, pretokenize.c and encoder_tokens.c include this.
 *
 * Everything works on running text: a piece's "▁" (or the byte alphabet's "Ġ") is a plain space here, so
 * a fragment needs no rewriting before it is looked up.
 */
#ifndef SATCHEL_GENERATE_TOKENIZER_PARTS_H
#define SATCHEL_GENERATE_TOKENIZER_PARTS_H

#include "generate/generate.h"
#include "generate/pretokenize.h"
#include "generate/tokenizer.h"
#include "generate/wordpiece_trie.h"

/* Longer spellings are never produced: it bounds the walk at one place of a text. */
enum { SAT_PIECE_BYTES = 4096 };

/* Token types by their GGUF numbers; 0 and others count as normal. */
enum {
    SAT_TOKEN_NORMAL = 1,
    SAT_TOKEN_UNKNOWN = 2,
    SAT_TOKEN_CONTROL = 3,
    SAT_TOKEN_USER = 4,
    SAT_TOKEN_UNUSED = 5,
    SAT_TOKEN_BYTE = 6
};

enum {
    SAT_PIECE_ENDS = 1,   /* ends a turn */
    SAT_PIECE_LSTRIP = 2, /* takes the white space before it along */
    SAT_PIECE_RSTRIP = 4, /* and behind it */
    SAT_PIECE_TEXT = 8    /* ordinary text may become this token */
};

typedef struct sat_piece {
    const char *text; /* the file's spelling, in the mapping */
    uint32_t length;
    uint32_t
        at; /* its running text begins here in `running` and ends where the next one's begins */
    float score;
    uint8_t type, flags;
} sat_piece;

/* left and right stand for `whole`; the lower rank goes first. Empty: whole < 0. */
typedef struct sat_bpe_merge {
    int32_t left, right, whole;
    uint32_t rank;
} sat_bpe_merge;

/* SentencePiece's precompiled normalisation: a double array over bytes that gives, for the longest key at
 * a place, the offset of its replacement among NUL-terminated strings. */
typedef struct sat_charsmap {
    const uint8_t *units; /* 32 bits each, little-endian, without alignment */
    size_t unit_count;    /* 0: there is none */
    const char *strings;
    size_t strings_size;
} sat_charsmap;

/* The roots of the trie of special tokens. */
enum { SAT_ROOT_SPECIAL = SAT_TRIE_WORD, SAT_ROOT_PLAIN = SAT_TRIE_REST };

typedef struct sat_encoding sat_encoding;

struct sat_tokenizer {
    satchel_context *context;
    const sat_gguf *gguf;
    /* Appends the tokens of a fragment between special tokens. */
    satchel_status (*encode)(sat_encoding *encoding, const char *text, size_t length);

    sat_piece *pieces; /* (size + 1): the last one closes `running` */
    size_t size;
    char *running;
    uint64_t *slots; /* running text → id + 1, of pieces with SAT_PIECE_TEXT */
    size_t mask;
    size_t longest;        /* bytes of the longest of them */
    bool joins_space[256]; /* some of them has this byte before a space */
    int32_t byte_ids[256]; /* −1: none */
    sat_special_tokens special;
    sat_trie specials;
    uint8_t special_starts[256]; /* bits by root: some special token begins with this byte */

    bool byte_level;   /* spellings are in the byte alphabet of GPT-2 */
    bool hashes;       /* WordPiece in BERT's own layout: "##ing" */
    bool space_prefix; /* a space goes before a text, and is dropped when it comes back */
    bool merge_spaces; /* Unigram: runs of spaces are one, none at the ends */
    bool whole_words;  /* BPE: a word that is a token is that token, whatever the merges say */
    const sat_pretokenizer *pretokenizer;
    uint16_t ascii[128]; /* classes, for the pretokenizer */
    sat_bpe_merge *merges;
    size_t merge_mask;
    sat_trie words; /* Unigram's pieces */
    double unknown_score;
    sat_charsmap charsmap;
    sat_wordpiece *wordpiece;
};

/* ------------------------------------------------------------------ vocabulary */

/* Pieces, types, scores, running text, byte tokens, special ids. byte_level is set before. */
satchel_status sat_vocabulary_read(sat_tokenizer *tokenizer, satchel_error *error);
/* The id of a running text, or −1. */
int32_t sat_vocabulary_find(const sat_tokenizer *tokenizer, const char *text, size_t length);
/* A spelling of a normal piece as running text; out has room for `length` bytes. false: not all of it is
 * in the byte alphabet, out is the spelling itself. */
bool sat_vocabulary_running(const sat_tokenizer *tokenizer, const char *text, size_t length,
                            char *out, size_t *out_length);
/* Reads an optional bool. */
bool sat_vocabulary_flag(const sat_gguf *gguf, const char *key, bool otherwise);

/* What the file says in names only: end tokens, tokens that are control whatever their type, and those
 * that take white space along (tokenizer_names.c). */
void sat_vocabulary_names(sat_tokenizer *tokenizer);

satchel_status sat_spm_open(sat_tokenizer *tokenizer, satchel_error *error);
satchel_status sat_unigram_open(sat_tokenizer *tokenizer, satchel_error *error);
satchel_status sat_bpe_open(sat_tokenizer *tokenizer, satchel_error *error);

/* ------------------------------------------------------------------ encoding */

typedef struct sat_symbol {
    uint32_t start, length; /* of the fragment; length 0: merged into the one before */
    int32_t id;             /* −1: not in the vocabulary */
    uint32_t previous, next;
    uint32_t priority; /* of merging with the next one; SAT_NO_MERGE: they do not merge */
    int32_t merged;    /* what they become */
} sat_symbol;

#define SAT_NO_MERGE UINT32_MAX

typedef struct sat_candidate {
    uint64_t key; /* priority, then the left symbol: the smallest goes first */
    uint32_t size;
    int32_t merged;
} sat_candidate;

/* One call: its output and its scratch. */
struct sat_encoding {
    const sat_tokenizer *tokenizer;
    sat_tokens *out;
    satchel_error *error;
    bool after_special; /* the fragment at hand begins the text or follows a special token */
    sat_buffer joined, normal;
    sat_symbol *symbols;
    size_t symbol_capacity;
    sat_candidate *heap;
    size_t heap_capacity;
    void *cells; /* Unigram's */
    size_t cell_capacity;
};

bool sat_tokens_push(sat_tokens *tokens, int32_t id) SAT_NODISCARD;
satchel_status sat_encoding_no_memory(sat_encoding *encoding, size_t size);

/* What two neighbours become, and how urgently: lower goes first. false: they do not merge. */
typedef bool sat_merge_rule(const sat_tokenizer *tokenizer, const char *text,
                            const sat_symbol *left, const sat_symbol *right, uint32_t *priority,
                            int32_t *merged);
/* Merges symbols[0..count) until no rule applies, each time the leftmost of the most urgent, in
 * O(n log n). Afterwards next links what is left, from symbols[0] to an index of `count`. */
satchel_status sat_merge(sat_encoding *encoding, const char *text, size_t count,
                         sat_merge_rule *rule);

/* The end of the stretch at `at` that merges apart from what follows: before a space that no token has
 * behind the byte in front of it. */
size_t sat_merge_border(const sat_tokenizer *tokenizer, const char *text, size_t at, size_t end);

/* ------------------------------------------------------------------ normalisation */

satchel_status sat_charsmap_open(sat_charsmap *map, const sat_gguf *gguf, satchel_error *error);
/* What the longest key at the start of text becomes, and its length; NULL: no key. The map may be
 * hostile: each offset is checked at each step, one that leaves the map ends the search. */
const char *sat_charsmap_find(const sat_charsmap *map, const char *text, size_t length,
                              size_t *consumed, size_t *replaced);

#endif
