/*
 * WordPiece as BERT's own tokenizer does it (Devlin et al. 2019; the reference behaviour is that of
 * the HuggingFace "fast" BertTokenizer): drop control characters, space out Chinese characters,
 * decompose (NFD) and drop accents, lower-case, split at white space and punctuation, then spell each
 * word with the longest pieces of the vocabulary; a word that cannot be spelt is one unknown token.
 *
 * One difference is deliberate: text that looks like a special token ("[SEP]") is text. A document must
 * not be able to end its own sequence.
 *
 * The text is walked once. The word at hand is collected in normalised form in the feed, at most 100
 * characters of it, and looked up when it ends. Nothing grows with the text.
 */
#include "generate/wordpiece.h"
#include "generate/wordpiece_trie.h"

#include <math.h>
#include <string.h>
#include <utf8proc.h>

/* A vocabulary with this many single characters of scripts without spaces is made for such a script: there
 * one character is a piece as good as any. Vocabularies of other languages have some hundred. */
enum { SPELLS_UNSPACED = 2000 };

/* What an ASCII byte means: one of these, or the character it becomes in a word. */
enum { ASCII_DROP = 0, ASCII_SPACE = 1, ASCII_PUNCTUATION = 2 };

struct sat_wordpiece {
    satchel_context *context;
    sat_trie trie;
    char *spelling;    /* all tokens, each NUL-terminated */
    size_t *spellings; /* (size + 1) where each begins */
    size_t size;
    sat_wordpiece_special special;
    bool lowercase;
    bool strip_accents; /* decompose and drop what is Mn */
    bool split_chinese;
    bool spells_unspaced; /* see SPELLS_UNSPACED */
    bool phantom; /* layout: llama.cpp's ("▁word", "rest"), not BERT's own ("word", "##rest") */
    uint8_t ascii[128];
};

/* ------------------------------------------------------------------ open */

static const char PHANTOM[] = "\xE2\x96\x81"; /* U+2581 begins a word in llama.cpp's layout */

static void fill_ascii(sat_wordpiece *wordpiece) {
    for (int c = 0; c < 128; c++) {
        uint8_t class = (uint8_t)c;
        if (c == ' ' || c == '\t' || c == '\n' || c == '\r')
            class = ASCII_SPACE;
        else if (c < 32 || c == 127)
            class = ASCII_DROP;
        else if (!((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z')))
            class = ASCII_PUNCTUATION;
        else if (wordpiece->lowercase && c >= 'A' && c <= 'Z')
            class = (uint8_t)(c + ('a' - 'A'));
        wordpiece->ascii[c] = class;
    }
}

/* Copies the spellings, so that they can be handed out NUL-terminated. */
static satchel_status copy_spellings(sat_wordpiece *wordpiece, const sat_gguf *gguf,
                                     satchel_error *error) {
    sat_memory *memory = &wordpiece->context->memory;
    size_t bytes = 0, at = 0, length;
    const char *text;
    for (size_t i = 0; i < wordpiece->size; i++) {
        if (!sat_gguf_array_string(gguf, "tokenizer.ggml.tokens", i, &text, &length)) {
            return sat_fail(error, SATCHEL_DAMAGED,
                            "tokenizer.ggml.tokens is not an array of strings");
        }
        bytes += length + 1; /* bounded by the file's size: each length was checked against it */
    }
    wordpiece->spelling = sat_alloc(memory, bytes);
    wordpiece->spellings =
        sat_alloc_array(memory, wordpiece->size + 1, sizeof *wordpiece->spellings);
    if (!wordpiece->spelling || !wordpiece->spellings) {
        return sat_memory_fail(memory, bytes + wordpiece->size * sizeof *wordpiece->spellings,
                               error);
    }
    for (size_t i = 0; i < wordpiece->size; i++) {
        sat_gguf_array_string(gguf, "tokenizer.ggml.tokens", i, &text, &length);
        wordpiece->spellings[i] = at;
        memcpy(wordpiece->spelling + at, text, length);
        at += length;
        wordpiece->spelling[at++] = 0;
    }
    wordpiece->spellings[wordpiece->size] = at;
    return SATCHEL_OK;
}

static const char *spelling_of(const sat_wordpiece *wordpiece, size_t id, size_t *length) {
    *length = wordpiece->spellings[id + 1] - wordpiece->spellings[id] - 1;
    return wordpiece->spelling + wordpiece->spellings[id];
}

/* A special token's id: from its key, else by its spelling. */
static satchel_status find_special(const sat_wordpiece *wordpiece, const sat_gguf *gguf,
                                   const char *key, const char *other_key, const char *spelling,
                                   int32_t *id, satchel_error *error) {
    int64_t value;
    if (sat_gguf_integer(gguf, key, &value) ||
        (other_key && sat_gguf_integer(gguf, other_key, &value))) {
        if (value < 0 || (uint64_t)value >= wordpiece->size) {
            return sat_fail(error, SATCHEL_DAMAGED, "%s is %lld, outside the vocabulary of %zu",
                            key, (long long)value, wordpiece->size);
        }
        *id = (int32_t)value;
        return SATCHEL_OK;
    }
    for (size_t i = 0; i < wordpiece->size; i++) {
        size_t length;
        const char *text = spelling_of(wordpiece, i, &length);
        if (length == strlen(spelling) && memcmp(text, spelling, length) == 0) {
            *id = (int32_t)i;
            return SATCHEL_OK;
        }
    }
    return sat_fail(error, SATCHEL_UNSUPPORTED,
                    "the vocabulary has no %s token and no key %s: this is not a BERT vocabulary",
                    spelling, key);
}

static satchel_status find_specials(sat_wordpiece *wordpiece, const sat_gguf *gguf,
                                    satchel_error *error) {
    sat_wordpiece_special *special = &wordpiece->special;
    satchel_status status = find_special(wordpiece, gguf, "tokenizer.ggml.unknown_token_id", NULL,
                                         "[UNK]", &special->unknown, error);
    if (!status) {
        status = find_special(wordpiece, gguf, "tokenizer.ggml.cls_token_id",
                              "tokenizer.ggml.bos_token_id", "[CLS]", &special->cls, error);
    }
    if (!status) { /* the first spelling of the key is the format's own */
        status = find_special(wordpiece, gguf, "tokenizer.ggml.seperator_token_id",
                              "tokenizer.ggml.eos_token_id", "[SEP]", &special->sep, error);
    }
    return status;
}

/* Which layout the vocabulary has: any token with the phantom space decides. */
static bool has_phantom(const sat_wordpiece *wordpiece) {
    for (size_t i = 0; i < wordpiece->size; i++) {
        size_t length;
        const char *text = spelling_of(wordpiece, i, &length);
        if (length > 3 && memcmp(text, PHANTOM, 3) == 0)
            return true;
    }
    return false;
}

/* A piece without its layout's mark, and the root it hangs on. */
static const char *bare_piece(const sat_wordpiece *wordpiece, size_t id, size_t *length,
                              int *root) {
    const char *text = spelling_of(wordpiece, id, length);
    const char *mark = wordpiece->phantom ? PHANTOM : "##";
    size_t mark_length = strlen(mark);
    bool marked =
        *length >= mark_length + !wordpiece->phantom && memcmp(text, mark, mark_length) == 0;
    *root = marked == wordpiece->phantom ? SAT_TRIE_WORD : SAT_TRIE_REST;
    if (marked) {
        text += mark_length;
        *length -= mark_length;
    }
    return text;
}

static bool is_unspaced_character(const char *piece, size_t length) {
    int32_t code;
    return length > 1 && sat_utf8_decode(piece, length, &code) == length && sat_is_unspaced(code);
}

static satchel_status build_trie(sat_wordpiece *wordpiece, const sat_gguf *gguf,
                                 satchel_error *error) {
    enum { CONTROL = 3 };
    const sat_wordpiece_special *special = &wordpiece->special;
    size_t unspaced = 0;
    satchel_status status = sat_trie_open(&wordpiece->trie, &wordpiece->context->memory, error);
    for (size_t i = 0; !status && i < wordpiece->size; i++) {
        size_t length;
        int root;
        int64_t type = 0;
        const char *piece = bare_piece(wordpiece, i, &length, &root);
        sat_gguf_array_integer(gguf, "tokenizer.ggml.token_type", i, &type);
        /* Special tokens are left out: no text may spell them. A piece that is not UTF-8 can match
         * no text. */
        if (type == CONTROL || (int32_t)i == special->unknown || (int32_t)i == special->cls ||
            (int32_t)i == special->sep || sat_utf8_valid(piece, length) != length)
            continue;
        status = sat_trie_add(&wordpiece->trie, root, piece, length, (int32_t)i, error);
        unspaced += root == SAT_TRIE_WORD && is_unspaced_character(piece, length);
    }
    wordpiece->spells_unspaced = unspaced >= SPELLS_UNSPACED;
    return status;
}

static satchel_status fill(sat_wordpiece *wordpiece, const sat_gguf *gguf, satchel_error *error) {
    const char *model = NULL;
    size_t count;
    if (!sat_gguf_string(gguf, "tokenizer.ggml.model", &model, NULL) ||
        strcmp(model, "bert") != 0) {
        return sat_fail(error, SATCHEL_UNSUPPORTED,
                        "tokenizer.ggml.model is \"%.60s\"; only \"bert\" (WordPiece) is supported",
                        model ? model : "(missing)");
    }
    if (!sat_gguf_array(gguf, "tokenizer.ggml.tokens", &count) || count == 0 ||
        count > INT32_MAX / 2)
        return sat_fail(error, SATCHEL_DAMAGED, "tokenizer.ggml.tokens is missing or empty");
    wordpiece->size = count;
    /* Files without these keys are of the uncased kind. */
    wordpiece->lowercase = wordpiece->split_chinese = true;
    sat_gguf_bool(gguf, "tokenizer.ggml.normalizer.lowercase", &wordpiece->lowercase);
    wordpiece->strip_accents = wordpiece->lowercase;
    sat_gguf_bool(gguf, "tokenizer.ggml.normalizer.strip_accents", &wordpiece->strip_accents);
    sat_gguf_bool(gguf, "satchel.tokenizer.split_chinese", &wordpiece->split_chinese);
    fill_ascii(wordpiece);
    satchel_status status = copy_spellings(wordpiece, gguf, error);
    if (!status)
        status = find_specials(wordpiece, gguf, error);
    if (!status) {
        wordpiece->phantom = has_phantom(wordpiece);
        status = build_trie(wordpiece, gguf, error);
    }
    return status;
}

satchel_status sat_wordpiece_open(sat_wordpiece **out, satchel_context *context,
                                  const sat_gguf *gguf, satchel_error *error) {
    *out = NULL;
    sat_wordpiece *wordpiece = sat_calloc(&context->memory, 1, sizeof *wordpiece);
    if (!wordpiece)
        return sat_memory_fail(&context->memory, sizeof *wordpiece, error);
    wordpiece->context = context;
    satchel_status status = fill(wordpiece, gguf, error);
    if (status)
        sat_wordpiece_close(&wordpiece);
    *out = wordpiece;
    return status;
}

void sat_wordpiece_close(sat_wordpiece **slot) {
    sat_wordpiece *wordpiece = *slot;
    *slot = NULL;
    if (!wordpiece)
        return;
    sat_memory *memory = &wordpiece->context->memory;
    sat_trie_close(&wordpiece->trie);
    sat_free(memory, wordpiece->spelling);
    sat_free(memory, wordpiece->spellings);
    sat_free(memory, wordpiece);
}

/* ------------------------------------------------------------------ words */

static void put(sat_wordpiece_feed *feed, int32_t id) {
    if (feed->count < feed->limit)
        feed->ids[feed->count] = id;
    feed->count++;
}

/* The characters of a piece that say that the vocabulary knows its word. */
static size_t telling_characters(const sat_wordpiece *wordpiece, const char *piece, size_t length) {
    size_t characters = 0;
    for (size_t i = 0; i < length; i++)
        characters += ((uint8_t)piece[i] & 0xC0) != 0x80;
    if (characters > 1)
        return characters;
    return wordpiece->spells_unspaced && is_unspaced_character(piece, length);
}

static bool has_letter_or_digit(const char *word, size_t length) {
    for (size_t at = 0; at < length;) {
        int32_t code;
        at += sat_utf8_decode(word + at, length - at, &code);
        if (sat_is_letter(code) || sat_is_digit(code))
            return true;
    }
    return false;
}

/* Spells the collected word, if any, and begins the next. */
static void end_word(sat_wordpiece_feed *feed) {
    const sat_wordpiece *wordpiece = feed->wordpiece;
    size_t first = feed->count, at = 0, telling = 0;
    bool known = feed->characters <= SAT_WORD_CHARACTERS;
    for (int root = SAT_TRIE_WORD; known && at < feed->length; root = SAT_TRIE_REST) {
        size_t matched = 0;
        int32_t id =
            sat_trie_longest(&wordpiece->trie, root, feed->word + at, feed->length - at, &matched);
        known = id >= 0;
        if (known) {
            put(feed, id);
            if (feed->known)
                telling += telling_characters(wordpiece, feed->word + at, matched);
            at += matched;
        }
    }
    if (!known) {
        feed->count = first; /* the pieces found so far give way to one unknown token */
        put(feed, wordpiece->special.unknown);
    }
    if (feed->known && (!known || has_letter_or_digit(feed->word, feed->length))) {
        feed->known->all += (double)feed->characters;
        if (known)
            feed->known->known += (double)telling / sqrt((double)(feed->count - first));
    }
    feed->characters = feed->length = feed->run = 0;
}

/* A character that is a word of its own. */
static void put_alone(sat_wordpiece_feed *feed, int32_t code) {
    end_word(feed);
    feed->length = sat_utf8_encode(code, feed->word);
    feed->characters = 1;
    end_word(feed);
}

static void append(sat_wordpiece_feed *feed, int32_t code) {
    if (feed->characters++ < SAT_WORD_CHARACTERS)
        feed->length += sat_utf8_encode(code, feed->word + feed->length);
}

/* Appends a combining mark where canonical order wants it: behind marks of its class or lower. Only
 * marks that are kept get here, the others are dropped before order matters; the walk back is bounded
 * by the word. */
static void append_mark(sat_wordpiece_feed *feed, int32_t code, int class) {
    size_t end = feed->length, at = end;
    append(feed, code);
    size_t added = feed->length - end;
    while (at > feed->run) {
        size_t before = sat_utf8_border(feed->word, at, at - 1);
        int32_t other;
        sat_utf8_decode(feed->word + before, at - before, &other);
        if (utf8proc_get_property(other)->combining_class <= class)
            break;
        at = before;
    }
    if (added > 0 && at < end) {
        char mark[4];
        memcpy(mark, feed->word + end, added);
        memmove(feed->word + at + added, feed->word + at, end - at);
        memcpy(feed->word + at, mark, added);
    }
}

static bool is_punctuation(const utf8proc_property_t *property) {
    return property->category >= UTF8PROC_CATEGORY_PC && property->category <= UTF8PROC_CATEGORY_PO;
}

/* A character after decomposition. */
static void put_normal(sat_wordpiece_feed *feed, int32_t code) {
    if (code < 128) { /* decomposed from something else: a letter, or ";" from U+037E */
        uint8_t class = feed->wordpiece->ascii[code];
        if (class == ASCII_PUNCTUATION) {
            put_alone(feed, code);
        } else {
            append(feed, class);
            feed->run = feed->length;
        }
        return;
    }
    const utf8proc_property_t *property = utf8proc_get_property(code);
    if (is_punctuation(property)) {
        put_alone(feed, code);
        return;
    }
    if (feed->wordpiece->strip_accents) {
        if (property->combining_class == 0)
            feed->run = feed->length; /* nothing moves in front of this one, kept or not */
        if (property->category == UTF8PROC_CATEGORY_MN)
            return;
        if (property->combining_class != 0) {
            append_mark(feed, code, property->combining_class);
            return;
        }
    }
    if (feed->wordpiece->lowercase) {
        enum { CAPITAL_DOTTED_I = 0x130, DOT_ABOVE = 0x307 };
        if (code == CAPITAL_DOTTED_I) { /* the one letter that becomes two */
            append(feed, 'i');
            code = DOT_ABOVE;
        } else {
            code = utf8proc_tolower(code);
        }
    }
    append(feed, code);
    feed->run = feed->length;
}

/* The blocks that BERT spaces out, with its own bounds. */
static bool is_chinese(int32_t c) {
    return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) ||
           (c >= 0x20000 && c <= 0x2A6DF) || (c >= 0x2A700 && c <= 0x2B73F) ||
           (c >= 0x2B740 && c <= 0x2B81F) || (c >= 0x2B920 && c <= 0x2CEAF) ||
           (c >= 0xF900 && c <= 0xFAFF) || (c >= 0x2F800 && c <= 0x2FA1F);
}

static void put_decomposed(sat_wordpiece_feed *feed, int32_t code,
                           const utf8proc_property_t *property) {
    enum { MAX_DECOMPOSITION = 8 }; /* Unicode's longest canonical one has 4 */
    utf8proc_int32_t parts[MAX_DECOMPOSITION];
    int boundary = 0;
    bool hangul = code >= 0xAC00 && code <= 0xD7A3;
    if (feed->wordpiece->strip_accents &&
        (hangul || (property->decomp_type == 0 && property->decomp_seqindex != UINT16_MAX))) {
        utf8proc_ssize_t n =
            utf8proc_decompose_char(code, parts, MAX_DECOMPOSITION, UTF8PROC_DECOMPOSE, &boundary);
        if (n > 0 && n <= MAX_DECOMPOSITION) {
            for (utf8proc_ssize_t i = 0; i < n; i++)
                put_normal(feed, parts[i]);
            return;
        }
    }
    put_normal(feed, code);
}

static void put_character(sat_wordpiece_feed *feed, int32_t code) {
    const utf8proc_property_t *property = utf8proc_get_property(code);
    switch (property->category) {
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CO:
        return; /* dropped: the word goes on behind it */
    case UTF8PROC_CATEGORY_ZS:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
        end_word(feed);
        return;
    default:
        break;
    }
    if (code == 0xFFFD)
        return;
    if (feed->wordpiece->split_chinese && is_chinese(code)) {
        end_word(feed);
        put_decomposed(feed, code, property);
        end_word(feed);
        return;
    }
    put_decomposed(feed, code, property);
}

/* ------------------------------------------------------------------ text */

void sat_wordpiece_begin(sat_wordpiece_feed *feed, const sat_wordpiece *wordpiece, int32_t *ids,
                         size_t limit, bool only_head) {
    feed->wordpiece = wordpiece;
    feed->known = NULL;
    feed->ids = ids;
    feed->limit = limit;
    feed->count = 0;
    feed->only_head = only_head;
    feed->characters = feed->length = feed->run = 0;
}

satchel_status sat_wordpiece_add(sat_wordpiece_feed *feed, const char *text, size_t length,
                                 satchel_error *error) {
    const uint8_t *ascii = feed->wordpiece->ascii;
    size_t valid = sat_utf8_valid(text, length);
    if (valid != length) {
        return sat_fail(error, SATCHEL_INVALID_TEXT, "the text is not valid UTF-8 at byte %zu",
                        valid);
    }
    size_t stop = feed->only_head ? feed->limit : SIZE_MAX;
    for (size_t at = 0; at < length && feed->count < stop;) {
        uint8_t byte = (uint8_t)text[at];
        if (byte >= 128) {
            int32_t code;
            at += sat_utf8_decode(text + at, length - at, &code);
            put_character(feed, code);
            continue;
        }
        at++;
        uint8_t class = ascii[byte];
        if (class > ASCII_PUNCTUATION) {
            if (feed->characters++ < SAT_WORD_CHARACTERS) {
                feed->word[feed->length++] = (char)class;
                feed->run = feed->length;
            }
        } else if (class == ASCII_SPACE) {
            end_word(feed);
        } else if (class == ASCII_PUNCTUATION) {
            put_alone(feed, byte);
        }
    }
    return SATCHEL_OK;
}

void sat_wordpiece_end(sat_wordpiece_feed *feed) {
    end_word(feed);
}

satchel_status sat_wordpiece_encode(const sat_wordpiece *wordpiece, const char *text, size_t length,
                                    int32_t *ids, size_t limit, size_t *count,
                                    satchel_error *error) {
    sat_wordpiece_feed feed;
    *count = 0;
    sat_wordpiece_begin(&feed, wordpiece, ids, limit, false);
    satchel_status status = sat_wordpiece_add(&feed, text, length, error);
    if (status)
        return status;
    sat_wordpiece_end(&feed);
    *count = feed.count;
    return SATCHEL_OK;
}

satchel_status sat_wordpiece_share(const sat_wordpiece *wordpiece, const char *text, size_t length,
                                   float *share, satchel_error *error) {
    sat_wordpiece_feed feed;
    sat_wordpiece_known known = {0, 0};
    *share = 0;
    sat_wordpiece_begin(&feed, wordpiece, NULL, 0, false);
    feed.known = &known;
    satchel_status status = sat_wordpiece_add(&feed, text, length, error);
    if (status)
        return status;
    sat_wordpiece_end(&feed);
    if (known.all > 0)
        *share = (float)(known.known / known.all);
    return SATCHEL_OK;
}

/* ------------------------------------------------------------------ about */

int64_t sat_wordpiece_size(const sat_wordpiece *wordpiece) {
    return (int64_t)wordpiece->size;
}

const char *sat_wordpiece_token(const sat_wordpiece *wordpiece, int32_t id) {
    if (id < 0 || (size_t)id >= wordpiece->size)
        return NULL;
    return wordpiece->spelling + wordpiece->spellings[id];
}

sat_wordpiece_special sat_wordpiece_specials(const sat_wordpiece *wordpiece) {
    return wordpiece->special;
}

void sat_wordpiece_fingerprint(const sat_wordpiece *wordpiece, sat_sha256 *hash) {
    const sat_wordpiece_special *special = &wordpiece->special;
    int32_t settings[6] = {special->unknown,
                           special->cls,
                           special->sep,
                           wordpiece->lowercase,
                           wordpiece->strip_accents,
                           wordpiece->split_chinese};
    sat_sha256_add(hash, settings, sizeof settings);
    sat_sha256_add(hash, wordpiece->spelling, wordpiece->spellings[wordpiece->size]);
}
