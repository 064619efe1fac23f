/* Classes of characters: Unicode's general categories as utf8proc has them, and the scripts that
 * are written without spaces. */
#include "base/text.h"

#include <utf8proc.h>

/* A set of categories as bits. */
#define BIT(category) (UINT32_C(1) << UTF8PROC_CATEGORY_##category)
#define IS_IN(code, set) ((set) >> (unsigned)utf8proc_category(code) & 1)

bool sat_is_space(int32_t code) {
    if (code < 0x80)
        return code == ' ' || (code >= '\t' && code <= '\r');
    return IS_IN(code, BIT(ZS) | BIT(ZL) | BIT(ZP));
}

bool sat_is_letter(int32_t code) {
    if (code < 0x80)
        return (code >= 'a' && code <= 'z') || (code >= 'A' && code <= 'Z');
    return IS_IN(code, BIT(LU) | BIT(LL) | BIT(LT) | BIT(LM) | BIT(LO));
}

bool sat_is_mark(int32_t code) {
    return code >= 0x300 && IS_IN(code, BIT(MN) | BIT(MC) | BIT(ME));
}

bool sat_is_digit(int32_t code) {
    if (code < 0x80)
        return code >= '0' && code <= '9';
    return IS_IN(code, BIT(ND) | BIT(NL) | BIT(NO));
}

bool sat_is_punctuation(int32_t code) {
    return IS_IN(code, BIT(PC) | BIT(PD) | BIT(PS) | BIT(PE) | BIT(PI) | BIT(PF) | BIT(PO));
}

bool sat_is_control(int32_t code) {
    if (code == '\t' || code == '\n' || code == '\r')
        return false;
    return IS_IN(code, BIT(CC) | BIT(CF) | BIT(CO) | BIT(CS));
}

bool sat_is_upper(int32_t code) {
    if (code < 0x80)
        return code >= 'A' && code <= 'Z';
    return IS_IN(code, BIT(LU) | BIT(LT));
}

/* Blocks of scripts without spaces between words, ascending. */
static const struct {
    int32_t first, last;
} unspaced[] = {
    {0x0E00, 0x0EFF},   /* Thai, Lao */
    {0x0F00, 0x0FFF},   /* Tibetan */
    {0x1000, 0x109F},   /* Myanmar */
    {0x1780, 0x17FF},   /* Khmer */
    {0x1950, 0x19DF},   /* Tai Le, New Tai Lue */
    {0x1A20, 0x1AAF},   /* Tai Tham */
    {0x1B00, 0x1B7F},   /* Balinese */
    {0x2E80, 0x2FDF},   /* CJK and Kangxi radicals */
    {0x3005, 0x3007},   /* iteration mark, closing mark, ideographic zero */
    {0x3021, 0x3029},   /* Hangzhou numerals */
    {0x3031, 0x3035},   /* vertical kana repeat marks */
    {0x3038, 0x303C},   /* Hangzhou numerals, masu mark */
    {0x3041, 0x30FF},   /* Hiragana, Katakana */
    {0x3105, 0x312F},   /* Bopomofo */
    {0x31A0, 0x31BF},   /* Bopomofo extended */
    {0x31F0, 0x31FF},   /* Katakana phonetic extensions */
    {0x3400, 0x4DBF},   /* CJK extension A */
    {0x4E00, 0x9FFF},   /* CJK unified ideographs */
    {0xA000, 0xA4CF},   /* Yi */
    {0xA980, 0xA9FF},   /* Javanese, Myanmar extended B */
    {0xAA60, 0xAADF},   /* Myanmar extended A, Tai Viet */
    {0xF900, 0xFAFF},   /* CJK compatibility ideographs */
    {0xFF66, 0xFF9F},   /* half-width Katakana */
    {0x17000, 0x18D8F}, /* Tangut, Khitan */
    {0x1AFF0, 0x1B2FF}, /* kana extensions, Nushu */
    {0x20000, 0x3FFFD}, /* CJK extensions from B on */
};

bool sat_is_unspaced(int32_t code) {
    if (code < unspaced[0].first)
        return false;
    size_t low = 0, high = SAT_COUNT(unspaced);
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (code > unspaced[middle].last)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == SAT_COUNT(unspaced) || code < unspaced[low].first)
        return false;
    /* An ideograph newer than utf8proc's tables is one all the same. */
    if (code >= 0x20000)
        return true;
    return IS_IN(code, BIT(LU) | BIT(LL) | BIT(LT) | BIT(LM) | BIT(LO) | BIT(NL));
}
