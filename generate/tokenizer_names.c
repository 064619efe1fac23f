/*
 * What GGUF files leave to the names of tokens: which ones end a turn, which are control whatever type
 * the file gives them, and which take the white space around them along. The names are those of the models
 * people have; llama.cpp reads files by the same ones.
 */
#include <string.h>

#include "generate/tokenizer_parts.h"

enum { EOT = 1, EOG = 2, FIM = 4 };

typedef struct token_name {
    const char *text;
    int is;
} token_name;

static const token_name names[] = {
    {"<|eot_id|>", EOT | EOG},
    {"<|im_end|>", EOT | EOG},
    {"<|end|>", EOT | EOG},
    {"<end_of_turn>", EOT | EOG},
    {"<|endoftext|>", EOT | EOG},
    {"<|end_of_text|>", EOT | EOG},
    {"<EOT>", EOT | EOG},
    {"_<EOT>", EOT | EOG},
    {"[EOT]", EOT | EOG},
    {"<｜end▁of▁sentence｜>", EOT | EOG},
    {"<end_of_utterance>", EOT | EOG},
    {"<|eom_id|>", EOG},
    {"<|return|>", EOG},
    {"<|call|>", EOG},
    {"</s>", EOG},
    {"[EOS]", EOG},
    {"<eos>", EOG},
    {"<turn|>", EOG},
    {"<|tool_response>", EOG},
    /* Filling in the middle: padding, repository and file marks end a turn, too. */
    {"<|fim_pad|>", EOG},
    {"<fim-pad>", EOG},
    {"<fim_pad>", EOG},
    {"<PAD>", EOG},
    {"[PAD]", EOG},
    {"<|fim_repo|>", EOG},
    {"<|repo_name|>", EOG},
    {"<fim-repo>", EOG},
    {"<REPO>", EOG},
    {"<reponame>", EOG},
    {"<|file_sep|>", EOG},
    {"<|fim_prefix|>", FIM},
    {"<fim-prefix>", FIM},
    {"<fim_prefix>", FIM},
    {"<｜fim▁begin｜>", FIM},
    {"<PRE>", FIM},
    {"▁<PRE>", FIM},
    {"<|fim_suffix|>", FIM},
    {"<fim-suffix>", FIM},
    {"<fim_suffix>", FIM},
    {"<｜fim▁hole｜>", FIM},
    {"<SUF>", FIM},
    {"▁<SUF>", FIM},
    {"<|fim_middle|>", FIM},
    {"<fim-middle>", FIM},
    {"<fim_middle>", FIM},
    {"<｜fim▁end｜>", FIM},
    {"<MID>", FIM},
    {"▁<MID>", FIM},
};

static bool is_text(const sat_piece *piece, const char *text) {
    size_t length = strlen(text);
    return piece->length == length && memcmp(piece->text, text, length) == 0;
}

static int32_t find_name(const sat_tokenizer *tokenizer, const char *text) {
    for (size_t i = tokenizer->size; i-- > 0;)
        if (is_text(&tokenizer->pieces[i], text))
            return (int32_t)i;
    return -1;
}

static void mark_end(sat_tokenizer *tokenizer, int32_t id) {
    if (id >= 0)
        tokenizer->pieces[id].flags |= SAT_PIECE_ENDS;
}

/* Gemma 4 has a "</s>" that is text, and o200k's "<|end|>" ends a message, not a turn. */
static bool is_exception(const char *text, bool tool_response, bool harmony) {
    return (tool_response && strcmp(text, "</s>") == 0) ||
           (harmony && strcmp(text, "<|end|>") == 0);
}

static void find_ends(sat_tokenizer *tokenizer) {
    sat_special_tokens *special = &tokenizer->special;
    bool tool_response = find_name(tokenizer, "<|tool_response>") >= 0;
    bool harmony = find_name(tokenizer, "<|return|>") >= 0 && find_name(tokenizer, "<|call|>") >= 0;
    size_t best = SAT_COUNT(names);
    for (size_t id = 0; id < tokenizer->size; id++) {
        sat_piece *piece = &tokenizer->pieces[id];
        char first = piece->length ? piece->text[0] : 0;
        if (first != '<' && first != '[' && first != '_' && first != '\xE2')
            continue;
        for (size_t i = 0; i < SAT_COUNT(names); i++) {
            if (!is_text(piece, names[i].text) ||
                is_exception(names[i].text, tool_response, harmony))
                continue;
            piece->type = SAT_TOKEN_CONTROL;
            if (names[i].is & EOG)
                piece->flags |= SAT_PIECE_ENDS;
            if (names[i].is & EOT && special->eot < 0 && i < best)
                best = i;
        }
    }
    if (special->eot < 0 && best < SAT_COUNT(names))
        special->eot = find_name(tokenizer, names[best].text);
    mark_end(tokenizer, special->eos);
    mark_end(tokenizer, special->eot);
    int64_t eom;
    if (sat_gguf_integer(tokenizer->gguf, "tokenizer.ggml.eom_token_id", &eom) && eom >= 0 &&
        (uint64_t)eom < tokenizer->size)
        mark_end(tokenizer, (int32_t)eom);
}

/* ------------------------------------------------------------------ white space around tokens */

/* Whether `text` has `part` in it, without regard to the case of ASCII. */
static bool contains(const char *text, const char *part) {
    size_t length = strlen(part);
    for (; *text; text++) {
        size_t i = 0;
        while (i < length && text[i] &&
               (text[i] >= 'A' && text[i] <= 'Z' ? text[i] + 32 : text[i]) == part[i])
            i++;
        if (i == length)
            return true;
    }
    return false;
}

static void set_flag(sat_tokenizer *tokenizer, const char *text, uint8_t flag, bool on) {
    int32_t id = find_name(tokenizer, text);
    if (id < 0)
        return;
    uint8_t *flags = &tokenizer->pieces[id].flags;
    *flags = (uint8_t)(on ? *flags | flag : *flags & ~flag);
}

static void find_strips(sat_tokenizer *tokenizer) {
    const char *name = "", *pre = "", *architecture = "";
    sat_gguf_string(tokenizer->gguf, "general.name", &name, NULL);
    sat_gguf_string(tokenizer->gguf, "tokenizer.ggml.pre", &pre, NULL);
    sat_gguf_string(tokenizer->gguf, "general.architecture", &architecture, NULL);
    if (contains(pre, "jina-v2-de") || contains(pre, "jina-v2-es") ||
        contains(pre, "jina-v2-code") || contains(architecture, "nomic-bert-moe") ||
        contains(architecture, "jina-bert-v3")) {
        set_flag(tokenizer, "<mask>", SAT_PIECE_LSTRIP, true);
    } else if (contains(name, "phi-3") || contains(name, "phi3")) {
        for (size_t i = 0; i < tokenizer->size; i++) {
            uint8_t type = tokenizer->pieces[i].type;
            if (type == SAT_TOKEN_CONTROL || type == SAT_TOKEN_USER || type == SAT_TOKEN_UNKNOWN)
                tokenizer->pieces[i].flags |= SAT_PIECE_RSTRIP;
        }
        set_flag(tokenizer, "<unk>", SAT_PIECE_RSTRIP, false);
        set_flag(tokenizer, "<s>", SAT_PIECE_RSTRIP, false);
        set_flag(tokenizer, "<|endoftext|>", SAT_PIECE_RSTRIP, false);
    } else if (contains(name, "modern-bert")) {
        set_flag(tokenizer, "[MASK]", SAT_PIECE_LSTRIP, true);
    }
}

void sat_vocabulary_names(sat_tokenizer *tokenizer) {
    find_ends(tokenizer);
    find_strips(tokenizer);
}
