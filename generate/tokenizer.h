/*
 * Text to tokens and back, for every kind of vocabulary in GGUF: one interface, one file a kind.
 *
 *   "llama"   SentencePiece BPE by scores, byte fallback                     tokenizer_spm.c
 *   "t5"      SentencePiece Unigram, Viterbi, its precompiled normalisation  tokenizer_unigram.c
 *   "gpt2"    byte-level BPE by merges, after a pretokenizer                 tokenizer_bpe.c, pretokenize.c
 *   "gemma4"  BPE by merges over plain UTF-8                                 tokenizer_bpe.c
 *   "bert"    WordPiece                                                      wordpiece.c
 *
 * Special tokens are found in trusted text only, the longest first where several begin at one place, and no
 * merging of untrusted text can form one. Tokens that a file calls "user-defined" are of two sorts:
 * markers, spelt between brackets ("<think>", "[IMG]"), which are special, and plain text (runs of spaces,
 * letters added later), which is found in any text before all else.
 *
 * Of two tokens of one spelling the later is used. A token without a spelling, or with one of more than
 * 4,096 bytes, is never produced. A merge whose parts or whole are no tokens is passed over. A score that
 * is no number counts as the lowest.
 */
#ifndef SATCHEL_GENERATE_TOKENIZER_H
#define SATCHEL_GENERATE_TOKENIZER_H

#include "base/base.h"

typedef struct sat_gguf sat_gguf; /* generate.h, which includes this */
typedef struct sat_tokenizer sat_tokenizer;

/* Special ids by use; −1: the vocabulary has none. Where a file is silent, "llama" has unknown 0, bos 1,
 * eos 2 and "t5" padding 0, eos 1, unknown 2. */
typedef struct sat_special_tokens {
    int32_t bos, eos, eot, unknown, padding, separator, mask;
    bool add_bos, add_eos; /* what the file asks for around a text */
} sat_special_tokens;

/* From a GGUF's tokenizer.ggml.* keys. UNSUPPORTED names the model or pretokenizer it does not know;
 * DAMAGED: an array is missing, too short or of another type, or an id is out of range. The gguf must
 * outlive the tokenizer. */
satchel_status sat_tokenizer_open(sat_tokenizer **out, satchel_context *context,
                                  const sat_gguf *gguf, satchel_error *error);
void sat_tokenizer_close(sat_tokenizer **tokenizer);
int32_t sat_tokenizer_size(const sat_tokenizer *tokenizer);
/* Bytes held, but for small things. */
uint64_t sat_tokenizer_memory(const sat_tokenizer *tokenizer);
const sat_special_tokens *sat_tokenizer_special(const sat_tokenizer *tokenizer);
/* True for every token that ends a turn (eos, eot, eom, "<|im_end|>", …). */
bool sat_tokenizer_ends(const sat_tokenizer *tokenizer, int32_t token);

/* A growing list of ids. Zero it before use. */
typedef struct sat_tokens {
    sat_memory *memory; /* set by the first call that appends */
    int32_t *ids;
    size_t count, capacity;
} sat_tokens;
void sat_tokens_free(sat_tokens *tokens);

/* A piece of input. Trusted text (a chat template's own) may name special tokens; a user's may not:
 * "<|im_end|>" in it is characters like any other. */
typedef struct sat_text_part {
    const char *text; /* UTF-8; each invalid part is replaced by U+FFFD before all else */
    size_t length;
    bool trusted;
    bool apart; /* no token reaches over its borders: what stands around it keeps its tokens */
} sat_text_part;

enum {
    SAT_ENCODE_BARE = 0,
    SAT_ENCODE_AROUND = 1 /* with bos and eos where the file asks for them */
};

/* Appends the tokens of the parts, as of one text. Safe for many threads. */
satchel_status sat_tokenizer_encode(const sat_tokenizer *tokenizer, const sat_text_part *parts,
                                    size_t count, int flags, sat_tokens *out, satchel_error *error);

/* The bytes a token stands for in running text: may be part of a character. special: also those of control
 * tokens, else nothing. NULL and 0 past the end. The pointer lives as long as the tokenizer. */
const char *sat_tokenizer_bytes(const sat_tokenizer *tokenizer, int32_t token, bool special,
                                size_t *length);
/* The vocabulary's own spelling ("▁the", "Ġthe"). NULL past the end. */
const char *sat_tokenizer_piece(const sat_tokenizer *tokenizer, int32_t token, size_t *length);

/* Tokens to text as they come: hands out whole characters only. Zero it before the first token. */
typedef struct sat_detokenizer {
    char held[8];
    uint8_t count;
    bool started; /* text has come: vocabularies that put a space before each text drop that one.
                   * Set it beforehand if the tokens go on with a text. */
} sat_detokenizer;
/* Appends to `out` what can be said now. */
bool sat_detokenize(const sat_tokenizer *tokenizer, sat_detokenizer *state, int32_t token,
                    bool special, sat_buffer *out);
/* The same for bytes that did not come as tokens. */
bool sat_detokenize_bytes(sat_detokenizer *state, const char *bytes, size_t length,
                          sat_buffer *out);
/* What is still held, as U+FFFD. */
bool sat_detokenize_end(sat_detokenizer *state, sat_buffer *out);

#endif
