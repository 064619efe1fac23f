/*
 * The scanners of the pretokenizers, and which model uses which. Each stands below the regular expression
 * it does by hand; alternatives are tried in its order, and the first that matches wins. Where a level's
 * expression does not match everything, the stretch up to its next match is a piece too.
 */
#include "generate/pretokenize.h"
#include "generate/pretokenize_sets.h"

#include <string.h>
#include <utf8proc.h>

enum {
    LETTER = SAT_CLASS_LETTER,
    MARK = SAT_CLASS_MARK,
    NUMBER = SAT_CLASS_NUMBER,
    SPACE = SAT_CLASS_SPACE,
    PUNCTUATION = SAT_CLASS_PUNCTUATION,
    SYMBOL = SAT_CLASS_SYMBOL,
    SIGN = MARK | PUNCTUATION | SYMBOL | SAT_CLASS_OTHER /* [^\s\p{L}\p{N}] */
};

/* ------------------------------------------------------------------ classes */

uint16_t sat_class_of(int32_t code) {
    if ((code >= 9 && code <= 13) || code == 0x85)
        return SPACE;
    /* Unicode 15.1's additions, which older tables of utf8proc lack. */
    if (code >= 0x2EBF0 && code <= 0x2EE5D)
        return LETTER | SAT_CLASS_UPPER | SAT_CLASS_LOWER;
    if ((code >= 0x2FFC && code <= 0x2FFF) || code == 0x31EF)
        return SYMBOL;
    switch (utf8proc_category(code)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LT:
        return LETTER | SAT_CLASS_UPPER;
    case UTF8PROC_CATEGORY_LL:
        return LETTER | SAT_CLASS_LOWER;
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
        return LETTER | SAT_CLASS_UPPER | SAT_CLASS_LOWER;
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
        return MARK | SAT_CLASS_UPPER | SAT_CLASS_LOWER;
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_NO:
        return NUMBER;
    case UTF8PROC_CATEGORY_PC:
    case UTF8PROC_CATEGORY_PD:
    case UTF8PROC_CATEGORY_PS:
    case UTF8PROC_CATEGORY_PE:
    case UTF8PROC_CATEGORY_PI:
    case UTF8PROC_CATEGORY_PF:
    case UTF8PROC_CATEGORY_PO:
        return PUNCTUATION;
    case UTF8PROC_CATEGORY_SM:
    case UTF8PROC_CATEGORY_SC:
    case UTF8PROC_CATEGORY_SK:
    case UTF8PROC_CATEGORY_SO:
        return SYMBOL;
    case UTF8PROC_CATEGORY_ZS:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
        return SPACE;
    default:
        return SAT_CLASS_OTHER;
    }
}

void sat_class_ascii(uint16_t ascii[128]) {
    for (int32_t code = 0; code < 128; code++)
        ascii[code] = sat_class_of(code);
}

/* The class of the character at `at` and where the next one begins; 0 at the end. */
static inline unsigned look(const sat_scanner *s, size_t at, size_t end, size_t *next) {
    if (at >= end) {
        *next = end;
        return 0;
    }
    uint8_t byte = (uint8_t)s->text[at];
    if (byte < 128) {
        *next = at + 1;
        return s->ascii[byte];
    }
    int32_t code;
    *next = at + sat_utf8_decode(s->text + at, end - at, &code);
    return sat_class_of(code);
}

static inline unsigned class_at(const sat_scanner *s, size_t at, size_t end) {
    size_t next;
    return look(s, at, end, &next);
}

/* The end of the run of characters that have one of `classes`. */
static inline size_t run_of(const sat_scanner *s, size_t at, size_t end, unsigned classes) {
    for (;;) {
        size_t next;
        if (!(look(s, at, end, &next) & classes))
            return at;
        at = next;
    }
}

static inline bool is_newline(char c) {
    return c == '\n' || c == '\r';
}

static size_t newlines(const sat_scanner *s, size_t at, size_t end, bool slashes) {
    while (at < end && (is_newline(s->text[at]) || (slashes && s->text[at] == '/')))
        at++;
    return at;
}

/* ------------------------------------------------------------------ parts of words */

/* 's|'t|'re|'ve|'m|'ll|'d, in any case if `fold`; `at` if there is none. */
static size_t contraction(const sat_scanner *s, size_t at, size_t end, bool fold) {
    if (end - at < 2 || s->text[at] != '\'')
        return at;
    char a = s->text[at + 1], b = end - at > 2 ? s->text[at + 2] : 0;
    if (fold) {
        a = a >= 'A' && a <= 'Z' ? (char)(a + 32) : a;
        b = b >= 'A' && b <= 'Z' ? (char)(b + 32) : b;
    }
    if (a == 's' || a == 't' || a == 'm' || a == 'd')
        return at + 2;
    if ((a == 'r' && b == 'e') || (a == 'v' && b == 'e') || (a == 'l' && b == 'l'))
        return at + 3;
    return at;
}

/* \s*[\r\n]+|\s+(?!\S)|\s+ at white space; without the first where `lines` is false. */
static size_t white_space(const sat_scanner *s, size_t at, size_t end, bool lines) {
    size_t last = at, stop = at, line = 0;
    for (;;) {
        size_t next;
        if (!(look(s, stop, end, &next) & SPACE))
            break;
        last = stop;
        if (is_newline(s->text[stop]))
            line = next;
        stop = next;
    }
    if (lines && line)
        return line;
    /* One is left for the word behind it. */
    return stop < end && last > at ? last : stop;
}

/* [Lu Lt Lm Lo M]*[Ll Lm Lo M]+; `at` if it does not match. Letters of neither case may stand in both
 * parts, so a run of capitals gives back from its end until one of them can be the second part. */
static size_t cased_word(const sat_scanner *s, size_t at, size_t end) {
    size_t stop = at, both = at;
    for (;;) {
        size_t next;
        unsigned class = look(s, stop, end, &next);
        if (!(class & SAT_CLASS_UPPER))
            break;
        if (class & SAT_CLASS_LOWER)
            both = next;
        stop = next;
    }
    if (class_at(s, stop, end) & SAT_CLASS_LOWER)
        return run_of(s, stop, end, SAT_CLASS_LOWER);
    return both;
}

/* [^\r\n\p{L}\p{N}]?[Lu Lt Lm Lo M]*[Ll Lm Lo M]+ | the same with + and *; `at` if neither matches. */
static size_t cased_words(const sat_scanner *s, size_t at, size_t end) {
    size_t next, stop;
    bool prefix = !(look(s, at, end, &next) & (LETTER | NUMBER)) && !is_newline(s->text[at]);
    if (prefix && (stop = cased_word(s, next, end)) > next)
        return stop;
    if ((stop = cased_word(s, at, end)) > at)
        return stop;
    if (prefix && (stop = run_of(s, next, end, SAT_CLASS_UPPER)) > next)
        return stop;
    return run_of(s, at, end, SAT_CLASS_UPPER);
}

/* ------------------------------------------------------------------ GPT-2 */

/* 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+ */
static size_t scan_gpt2(const sat_scanner *s, size_t at, size_t end) {
    static const unsigned kinds[3] = {LETTER, NUMBER, SIGN};
    size_t stop = contraction(s, at, end, false);
    if (stop > at)
        return stop;
    size_t from = at + (s->text[at] == ' ');
    unsigned class = class_at(s, from, end);
    for (size_t i = 0; i < 3; i++)
        if (class & kinds[i])
            return run_of(s, from, end, kinds[i]);
    return white_space(s, at, end, false);
}

/* ------------------------------------------------------------------ Llama 3, Qwen 2, GPT-4o, Tekken */

typedef struct word_rules {
    unsigned letters; /* what a word is made of */
    unsigned digits;  /* numbers are cut after so many */
    bool cased;       /* a word is capitals, then small letters; "/" ends a line of signs */
    bool before;      /* contractions are words */
    bool behind;      /* contractions belong to the word before */
} word_rules;

/* (?i:'s|'t|'re|'ve|'m|'ll|'d) | [^\r\n\p{L}\p{N}]?\p{L}+ | \p{N}{1,digits} |
 *  ?[^\s\p{L}\p{N}]+[\r\n]* | \s*[\r\n]+|\s+(?!\S)|\s+ */
static inline size_t scan_words(const sat_scanner *s, size_t at, size_t end,
                                const word_rules *rules) {
    size_t next, stop;
    if (rules->before && (stop = contraction(s, at, end, true)) > at)
        return stop;
    unsigned class = look(s, at, end, &next);
    if (rules->cased) {
        if ((stop = cased_words(s, at, end)) > at)
            return rules->behind ? contraction(s, stop, end, true) : stop;
    } else if (class & rules->letters) {
        return run_of(s, next, end, rules->letters);
    } else if (!(class & NUMBER) && !is_newline(s->text[at])) {
        if ((stop = run_of(s, next, end, rules->letters)) > next)
            return stop;
    }
    if (class & NUMBER) {
        for (unsigned i = 1; i < rules->digits && class_at(s, next, end) & NUMBER; i++)
            look(s, next, end, &next);
        return next;
    }
    unsigned signs = SIGN & ~rules->letters;
    size_t from = at + (s->text[at] == ' ');
    if ((stop = run_of(s, from, end, signs)) > from)
        return newlines(s, stop, end, rules->cased);
    return white_space(s, at, end, true);
}

static size_t scan_llama3(const sat_scanner *s, size_t at, size_t end) {
    static const word_rules rules = {.letters = LETTER, .digits = 3, .before = true};
    return scan_words(s, at, end, &rules);
}

static size_t scan_qwen2(const sat_scanner *s, size_t at, size_t end) {
    static const word_rules rules = {.letters = LETTER, .digits = 1, .before = true};
    return scan_words(s, at, end, &rules);
}

/* Marks are parts of words. */
static size_t scan_qwen35(const sat_scanner *s, size_t at, size_t end) {
    static const word_rules rules = {.letters = LETTER | MARK, .digits = 1, .before = true};
    return scan_words(s, at, end, &rules);
}

/* Words end where a capital follows a small letter, as the models' own expressions say. */
static size_t scan_tekken(const sat_scanner *s, size_t at, size_t end) {
    static const word_rules rules = {.digits = 1, .cased = true};
    return scan_words(s, at, end, &rules);
}

static size_t scan_gpt4o(const sat_scanner *s, size_t at, size_t end) {
    static const word_rules rules = {.digits = 3, .cased = true, .behind = true};
    return scan_words(s, at, end, &rules);
}

/* ------------------------------------------------------------------ levels that cut out one thing */

/* \p{N}: each digit, and what lies between digits. */
static size_t scan_digit(const sat_scanner *s, size_t at, size_t end) {
    size_t next;
    if (look(s, at, end, &next) & NUMBER)
        return next;
    return run_of(s, at, end, (unsigned)~NUMBER);
}

/* \p{N}{1,3} */
static size_t scan_digits_3(const sat_scanner *s, size_t at, size_t end) {
    size_t next;
    if (!(look(s, at, end, &next) & NUMBER))
        return run_of(s, at, end, (unsigned)~NUMBER);
    for (int i = 1; i < 3 && class_at(s, next, end) & NUMBER; i++)
        look(s, next, end, &next);
    return next;
}

/* \p{N}+ */
static size_t scan_digits(const sat_scanner *s, size_t at, size_t end) {
    bool number = class_at(s, at, end) & NUMBER;
    return run_of(s, at, end, number ? NUMBER : (unsigned)~NUMBER);
}

/* [0-9][0-9][0-9] */
static size_t scan_ascii_3(const sat_scanner *s, size_t at, size_t end) {
    size_t found = at, digits = 0;
    while (found < end && digits < 3) {
        char c = s->text[found++];
        digits = c >= '0' && c <= '9' ? digits + 1 : 0;
    }
    if (digits < 3)
        return end;
    return found - 3 > at ? found - 3 : found;
}

/* [\r\n]: each of them. */
static size_t scan_newline(const sat_scanner *s, size_t at, size_t end) {
    if (is_newline(s->text[at]))
        return at + 1;
    while (at < end && !is_newline(s->text[at]))
        at++;
    return at;
}

/* [^\n]+|[\n]+ */
static size_t scan_lines(const sat_scanner *s, size_t at, size_t end) {
    bool line = s->text[at] == '\n';
    while (at < end && (s->text[at] == '\n') == line)
        at++;
    return at;
}

typedef bool is_member(int32_t code, unsigned class);

/* Whether the character at `at` is of the set, and where the next one begins. */
static inline bool member(const sat_scanner *s, size_t at, size_t end, is_member *in,
                          size_t *next) {
    int32_t code;
    if (at >= end) {
        *next = end;
        return false;
    }
    *next = at + sat_utf8_decode(s->text + at, end - at, &code);
    return in(code, code < 128 ? s->ascii[code] : sat_class_of(code));
}

/* \s?[set]+ if `space`, else [set]+ */
static inline size_t scan_set(const sat_scanner *s, size_t at, size_t end, is_member *in,
                              bool space) {
    size_t next, after;
    for (size_t from = at; from < end; from = next) {
        bool match = member(s, from, end, in, &next);
        if (!match && space && class_at(s, from, end) & SPACE)
            match = member(s, next, end, in, &after);
        if (!match)
            continue;
        if (from > at)
            return from; /* the stretch before the match */
        size_t stop = next;
        while (member(s, stop, end, in, &after))
            stop = after;
        return stop;
    }
    return end;
}

/* [\p{P}\$\+<=>\^~\|]+ */
static bool is_sign(int32_t code, unsigned class) {
    return class == PUNCTUATION || (code < 128 && class == SYMBOL && code != '`');
}
/* [\p{P}\$\+<=>\^~\|`]+ */
static bool is_sign_falcon(int32_t code, unsigned class) {
    return class == PUNCTUATION || (code < 128 && class == SYMBOL);
}
static size_t scan_signs(const sat_scanner *s, size_t at, size_t end) {
    return scan_set(s, at, end, is_sign, false);
}
static size_t scan_signs_falcon(const sat_scanner *s, size_t at, size_t end) {
    return scan_set(s, at, end, is_sign_falcon, false);
}

/* ------------------------------------------------------------------ DeepSeek */

/* \s?\p{L}+ */
static bool is_letter(int32_t code, unsigned class) {
    return class & LETTER;
}
static size_t scan_letters(const sat_scanner *s, size_t at, size_t end) {
    return scan_set(s, at, end, is_letter, true);
}
/* \s?\p{P}+ */
static bool is_punctuation(int32_t code, unsigned class) {
    return class == PUNCTUATION;
}
static size_t scan_punctuation(const sat_scanner *s, size_t at, size_t end) {
    return scan_set(s, at, end, is_punctuation, true);
}
/* \s?[cased letters]+ */
static bool is_cased(int32_t code, unsigned class) {
    return sat_pretoken_cased(code);
}
static size_t scan_cased(const sat_scanner *s, size_t at, size_t end) {
    return scan_set(s, at, end, is_cased, true);
}
/* \s?[!-/:-~！-／：-～‘-‟　-。]+ */
static bool is_mark_deepseek(int32_t code, unsigned class) {
    return (code >= '!' && code <= '/') || (code >= ':' && code <= '~') ||
           (code >= 0xFF01 && code <= 0xFF0F) || (code >= 0xFF1A && code <= 0xFF5E) ||
           (code >= 0x2018 && code <= 0x201F) || code == 0x3001 || code == 0x3002;
}
static size_t scan_marks(const sat_scanner *s, size_t at, size_t end) {
    return scan_set(s, at, end, is_mark_deepseek, true);
}
/* [一-龥ࠀ-一가-퟿]+ */
static bool is_asian(int32_t code, unsigned class) {
    return ((code >= 0x800 && code <= 0x9FA5) || (code >= 0xAC00 && code <= 0xD7FF)) &&
           !(class & SPACE);
}
static size_t scan_asian(const sat_scanner *s, size_t at, size_t end) {
    return scan_set(s, at, end, is_asian, false);
}
/* [一-龥぀-ゟ゠-ヿ]+ */
static bool is_han_kana(int32_t code, unsigned class) {
    return (code >= 0x4E00 && code <= 0x9FA5) || (code >= 0x3040 && code <= 0x30FF);
}
static size_t scan_han_kana(const sat_scanner *s, size_t at, size_t end) {
    return scan_set(s, at, end, is_han_kana, false);
}

/* \s+$ */
static size_t scan_trailing(const sat_scanner *s, size_t at, size_t end) {
    size_t trail = end;
    while (trail > at) {
        size_t before = sat_utf8_border(s->text, end, trail - 1);
        if (before < at || !(class_at(s, before, end) & SPACE))
            break;
        trail = before;
    }
    return trail > at ? trail : end;
}

static bool is_ascii_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* [!-/:-@[-`{-~][A-Za-z]+ | [^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+ |  ?[\p{P}\p{S}]+[\r\n]* |
 * \s*[\r\n]+|\s+(?!\S)|\s+; `at` if none matches. */
static size_t match_deepseek3(const sat_scanner *s, size_t at, size_t end) {
    size_t next, stop;
    unsigned class = look(s, at, end, &next);
    char first = s->text[at];
    if (class & (PUNCTUATION | SYMBOL) && (uint8_t)first < 128 && next < end &&
        is_ascii_letter(s->text[next])) {
        while (next < end && is_ascii_letter(s->text[next]))
            next++;
        return next;
    }
    if (!(class & (LETTER | PUNCTUATION | SYMBOL)) && !is_newline(first) &&
        (stop = run_of(s, next, end, LETTER | MARK)) > next)
        return stop;
    if ((stop = run_of(s, at, end, LETTER | MARK)) > at)
        return stop;
    size_t from = at + (first == ' ');
    if ((stop = run_of(s, from, end, PUNCTUATION | SYMBOL)) > from)
        return newlines(s, stop, end, false);
    return class & SPACE ? white_space(s, at, end, true) : at;
}

static size_t scan_deepseek3(const sat_scanner *s, size_t at, size_t end) {
    size_t stop = match_deepseek3(s, at, end);
    if (stop > at)
        return stop;
    /* Controls and the like: up to the next character that begins a match. */
    size_t next;
    do {
        look(s, at, end, &next);
        at = next;
        if (at >= end || class_at(s, at, end) & (LETTER | MARK | PUNCTUATION | SYMBOL | SPACE))
            break;
        look(s, at, end, &next);
    } while (!(class_at(s, next, end) & (LETTER | MARK)));
    return at;
}

/* ------------------------------------------------------------------ which model uses which */

typedef struct named_pretokenizer {
    const char *name;
    sat_pretokenizer is;
} named_pretokenizer;

#define GPT2 .levels = {scan_gpt2}
#define LLAMA3 .levels = {scan_llama3}
#define QWEN2 .levels = {scan_qwen2}
#define STARCODER .levels = {scan_digit, scan_gpt2}
#define TEKKEN .levels = {scan_tekken}
#define GPT4O .levels = {scan_gpt4o}

static const named_pretokenizer known[] = {
    {"default", {.levels = {scan_signs, scan_gpt2, scan_digits, scan_ascii_3}}},
    {"gpt-2", {GPT2}},
    {"phi-2", {GPT2}},
    {"mpt", {GPT2}},
    {"olmo", {GPT2}},
    {"jina-es", {GPT2}},
    {"jina-de", {GPT2}},
    {"jina-v1-en", {GPT2}},
    {"jina-v2-es", {GPT2}},
    {"jina-v2-de", {GPT2}},
    {"jina-v2-code", {GPT2}},
    {"roberta-bpe", {GPT2}},
    {"modern-bert", {GPT2}},
    {"exaone4", {GPT2}},
    {"trillion", {GPT2}},
    {"granite-docling", {GPT2}},
    {"llama3", {LLAMA3, .whole_words = true, .add_bos = true}},
    {"llama-v3", {LLAMA3, .whole_words = true, .add_bos = true}},
    {"llama-bpe", {LLAMA3, .whole_words = true, .add_bos = true}},
    {"falcon3", {LLAMA3, .whole_words = true, .add_bos = true}},
    {"pixtral", {LLAMA3, .whole_words = true, .add_bos = true}},
    {"lfm2", {LLAMA3, .whole_words = true, .add_bos = true}},
    {"dbrx", {LLAMA3}},
    {"smaug-bpe", {LLAMA3}},
    {"chatglm-bpe", {LLAMA3}},
    {"glm4", {LLAMA3, .whole_words = true}},
    {"qwen2", {QWEN2}},
    {"deepseek-r1-qwen", {QWEN2}},
    {"megrez", {QWEN2}},
    {"stablelm2", {QWEN2}},
    {"hunyuan", {QWEN2}},
    {"qwen35", {.levels = {scan_qwen35}}},
    {"starcoder", {STARCODER}},
    {"refact", {STARCODER}},
    {"command-r", {STARCODER}},
    {"smollm", {STARCODER}},
    {"codeshell", {STARCODER}},
    {"exaone", {STARCODER}},
    {"minerva-7b", {STARCODER}},
    {"falcon", {.levels = {scan_signs_falcon, scan_gpt2, scan_ascii_3}}},
    {"deepseek-llm",
     {.levels = {scan_newline, scan_cased, scan_marks, scan_trailing, scan_asian, scan_digits}}},
    {"deepseek-coder",
     {.levels = {scan_newline, scan_letters, scan_punctuation, scan_asian, scan_digit}}},
    {"deepseek-v3", {.levels = {scan_digits_3, scan_han_kana, scan_deepseek3}}},
    {"hunyuan-dense", {.levels = {scan_digits_3, scan_han_kana, scan_deepseek3}}},
    {"tekken", {TEKKEN, .whole_words = true, .add_bos = true}},
    {"gpt-4o", {GPT4O}},
    {"llama4", {GPT4O}},
    {"gemma4", {.levels = {scan_lines}, .add_bos = true}},
};

const sat_pretokenizer *sat_pretokenizer_find(const char *name) {
    for (size_t i = 0; i < SAT_COUNT(known); i++)
        if (strcmp(known[i].name, name) == 0)
            return &known[i].is;
    return NULL;
}

bool sat_pretoken_next(const sat_pretokenizer *pretokenizer, const sat_scanner *scanner,
                       sat_pretoken_walk *walk, size_t *start) {
    size_t at = walk->at, end = walk->length;
    if (at >= end)
        return false;
    *start = at;
    for (size_t i = 0; i < SAT_PRETOKEN_LEVELS && pretokenizer->levels[i]; i++) {
        if (walk->ends[i] <= at)
            walk->ends[i] = pretokenizer->levels[i](scanner, at, end);
        end = walk->ends[i];
    }
    walk->at = end;
    return true;
}
