/*
 * Upper and lower case as Python's str has them: the simple mappings of utf8proc, and Unicode's
 * SpecialCasing (characters that become several, the final sigma).
 */
#include <string.h>
#include <utf8proc.h>

#include "generate/chat_parts.h"

static const struct {
    int32_t code;
    const char *upper;
} special[] = {
    {0xDF, "SS"},   {0x149, "ʼN"},  {0x1F0, "J̌"},   {0x390, "Ϊ́"},    {0x3B0, "Ϋ́"},
    {0x587, "ԵՒ"},  {0x1E96, "H̱"},  {0x1E97, "T̈"},  {0x1E98, "W̊"},   {0x1E99, "Y̊"},
    {0x1E9A, "Aʾ"}, {0x1F50, "Υ̓"},  {0x1F52, "Υ̓̀"},  {0x1F54, "Υ̓́"},   {0x1F56, "Υ̓͂"},
    {0x1F80, "ἈΙ"}, {0x1F81, "ἉΙ"}, {0x1F82, "ἊΙ"}, {0x1F83, "ἋΙ"},  {0x1F84, "ἌΙ"},
    {0x1F85, "ἍΙ"}, {0x1F86, "ἎΙ"}, {0x1F87, "ἏΙ"}, {0x1F88, "ἈΙ"},  {0x1F89, "ἉΙ"},
    {0x1F8A, "ἊΙ"}, {0x1F8B, "ἋΙ"}, {0x1F8C, "ἌΙ"}, {0x1F8D, "ἍΙ"},  {0x1F8E, "ἎΙ"},
    {0x1F8F, "ἏΙ"}, {0x1F90, "ἨΙ"}, {0x1F91, "ἩΙ"}, {0x1F92, "ἪΙ"},  {0x1F93, "ἫΙ"},
    {0x1F94, "ἬΙ"}, {0x1F95, "ἭΙ"}, {0x1F96, "ἮΙ"}, {0x1F97, "ἯΙ"},  {0x1F98, "ἨΙ"},
    {0x1F99, "ἩΙ"}, {0x1F9A, "ἪΙ"}, {0x1F9B, "ἫΙ"}, {0x1F9C, "ἬΙ"},  {0x1F9D, "ἭΙ"},
    {0x1F9E, "ἮΙ"}, {0x1F9F, "ἯΙ"}, {0x1FA0, "ὨΙ"}, {0x1FA1, "ὩΙ"},  {0x1FA2, "ὪΙ"},
    {0x1FA3, "ὫΙ"}, {0x1FA4, "ὬΙ"}, {0x1FA5, "ὭΙ"}, {0x1FA6, "ὮΙ"},  {0x1FA7, "ὯΙ"},
    {0x1FA8, "ὨΙ"}, {0x1FA9, "ὩΙ"}, {0x1FAA, "ὪΙ"}, {0x1FAB, "ὫΙ"},  {0x1FAC, "ὬΙ"},
    {0x1FAD, "ὭΙ"}, {0x1FAE, "ὮΙ"}, {0x1FAF, "ὯΙ"}, {0x1FB2, "ᾺΙ"},  {0x1FB3, "ΑΙ"},
    {0x1FB4, "ΆΙ"}, {0x1FB6, "Α͂"},  {0x1FB7, "Α͂Ι"}, {0x1FBC, "ΑΙ"},  {0x1FC2, "ῊΙ"},
    {0x1FC3, "ΗΙ"}, {0x1FC4, "ΉΙ"}, {0x1FC6, "Η͂"},  {0x1FC7, "Η͂Ι"},  {0x1FCC, "ΗΙ"},
    {0x1FD2, "Ϊ̀"},  {0x1FD3, "Ϊ́"},  {0x1FD6, "Ι͂"},  {0x1FD7, "Ϊ͂"},   {0x1FE2, "Ϋ̀"},
    {0x1FE3, "Ϋ́"},  {0x1FE4, "Ρ̓"},  {0x1FE6, "Υ͂"},  {0x1FE7, "Ϋ͂"},   {0x1FF2, "ῺΙ"},
    {0x1FF3, "ΩΙ"}, {0x1FF4, "ΏΙ"}, {0x1FF6, "Ω͂"},  {0x1FF7, "Ω͂Ι"},  {0x1FFC, "ΩΙ"},
    {0xFB00, "FF"}, {0xFB01, "FI"}, {0xFB02, "FL"}, {0xFB03, "FFI"}, {0xFB04, "FFL"},
    {0xFB05, "ST"}, {0xFB06, "ST"}, {0xFB13, "ՄՆ"}, {0xFB14, "ՄԵ"},  {0xFB15, "ՄԻ"},
    {0xFB16, "ՎՆ"}, {0xFB17, "ՄԽ"},
};

static const char *special_upper(int32_t code) {
    size_t low = 0, high = SAT_COUNT(special);
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (special[middle].code < code)
            low = middle + 1;
        else
            high = middle;
    }
    return low < SAT_COUNT(special) && special[low].code == code ? special[low].upper : NULL;
}

static bool is_cased(int32_t code) {
    utf8proc_category_t category = utf8proc_category(code);
    return category == UTF8PROC_CATEGORY_LU || category == UTF8PROC_CATEGORY_LL ||
           category == UTF8PROC_CATEGORY_LT || utf8proc_toupper(code) != code ||
           utf8proc_tolower(code) != code || code == 0xAA || code == 0xBA;
}

/* What may stand between a sigma and the letters of its word. */
static bool is_ignorable(int32_t code) {
    switch (utf8proc_category(code)) {
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_SK:
        return true;
    default:
        return code == '\'' || code == '.' || code == ':' || code == 0xB7 || code == 0x2018 ||
               code == 0x2019 || code == 0x2024 || code == 0x2027;
    }
}

static bool is_final_sigma(const chat_text *text, size_t at, size_t size) {
    int32_t code = 0;
    size_t before = at, after = at + size;
    bool cased = false;
    while (before > 0) {
        before = sat_chat_before(text->data, before, &code);
        if (!is_ignorable(code)) {
            cased = is_cased(code);
            break;
        }
    }
    while (cased && after < text->length) {
        after += sat_utf8_decode(text->data + after, text->length - after, &code);
        if (!is_ignorable(code))
            return !is_cased(code);
    }
    return cased;
}

/* The character at `at` in another case: appended with its mark. */
static bool build_cased(chat_run *run, chat_builder *builder, const chat_text *text, size_t at,
                        size_t size, int32_t code, chat_case to) {
    chat_mark mark = sat_chat_mark_of(text, at, at + size);
    char utf8[24];
    size_t length = 0;
    const char *many = to == CHAT_LOWER ? NULL : special_upper(code);
    if (to == CHAT_LOWER && code == 0x130) {
        memcpy(utf8, "i\xCC\x87", 3);
        length = 3;
    } else if (to == CHAT_LOWER) {
        int32_t lower =
            code == 0x3A3 && is_final_sigma(text, at, size) ? 0x3C2 : utf8proc_tolower(code);
        length = sat_utf8_encode(lower, utf8);
    } else if (to == CHAT_TITLE && (!many || (utf8proc_totitle(code) != code && code != 0xDF))) {
        length = sat_utf8_encode(utf8proc_totitle(code), utf8);
    } else if (many) {
        /* As a title only the first of several is upper case: "ß" to "Ss". */
        for (size_t i = 0; many[i];) {
            int32_t one;
            size_t step = sat_utf8_decode(many + i, strlen(many) - i, &one);
            bool lower = to == CHAT_TITLE && i > 0 && code != 0x149;
            length += sat_utf8_encode(lower ? utf8proc_tolower(one) : one, utf8 + length);
            i += step;
        }
    } else {
        length = sat_utf8_encode(utf8proc_toupper(code), utf8);
    }
    return sat_chat_build(run, builder, utf8, length, NULL, mark);
}

const chat_text *sat_chat_recase(chat_run *run, const chat_text *text, chat_case to) {
    chat_builder builder = {0};
    bool cased = false; /* the character before */
    for (size_t at = 0, size; at < text->length; at += size) {
        int32_t code;
        size = sat_utf8_decode(text->data + at, text->length - at, &code);
        chat_case how = to;
        if (to == CHAT_CAPITALIZE)
            how = at == 0 ? CHAT_TITLE : CHAT_LOWER;
        if (to == CHAT_TITLE)
            how = cased ? CHAT_LOWER : CHAT_TITLE;
        cased = is_cased(code);
        /* A sigma looks around, past marks as many as there are: without a bound, that is
         * quadratic. */
        if (code == 0x3A3 && !sat_chat_work(run, text->length / 64))
            return NULL;
        if (!build_cased(run, &builder, text, at, size, code, how))
            return NULL;
    }
    const chat_text *result = sat_chat_built(run, &builder);
    if (result && text->safe) {
        chat_text *safe = sat_chat_alloc(run, 1, sizeof *safe);
        if (!safe)
            return NULL;
        *safe = *result;
        safe->safe = true;
        return safe;
    }
    return result;
}
