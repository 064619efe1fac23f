/*
 * Words that ask. "Who", "wann" or 什么 stand in a question for what the answer does not repeat, so they
 * count little among what a passage must hold. Not nothing: "The Who" is a band.
 */
#include <string.h>

#include "retrieval/terms.h"

/* Casefolded words of spaced scripts, each between spaces; without their marks too, as some type. */
static const char asking_words[] =
    " who whom whose what which when where why how did does do many much "
    "wer wen wem wessen was welch welche welcher welches welchem welchen wann wo woher wohin warum "
    "wieso weshalb wie wofür wofur wozu wovon worauf womit wodurch worin woran worüber woruber "
    "worum wonach woraus viel viele vielen ";

/* Strings of scripts without spaces; a term that touches one asks. */
static const char *const asking_strings[] = {
    "什么时候", "为什么", "什么样", "怎么样", "什么", "哪里", "哪儿", "哪些", "哪个", "哪位",
    "哪种",     "哪一",   "哪",     "多少",   "谁",   "何时", "何处", "何地", "为何", "如何",
    "怎么",     "怎样",   "多久",   "多大",   "多长", "多远", "多高", "几",
};
enum { LONGEST_ASKING = 12, LONGEST_WORD = 16 }; /* bytes */

/* The longest asking string that text begins with, 0 if there is none. */
static size_t asking_at(const char *text, size_t length) {
    size_t longest = 0;
    for (size_t i = 0; i < SAT_COUNT(asking_strings); i++) {
        size_t size = strlen(asking_strings[i]);
        if (size > longest && size <= length && memcmp(text, asking_strings[i], size) == 0)
            longest = size;
    }
    return longest;
}

static bool touches_asking(const char *text, size_t length, size_t start, size_t end) {
    size_t from =
        start > LONGEST_ASKING ? sat_utf8_border(text, length, start - LONGEST_ASKING) : 0;
    while (from < end) {
        size_t size = asking_at(text + from, length - from);
        if (size > 0 && from + size > start)
            return true;
        int32_t code;
        from += sat_utf8_decode(text + from, length - from, &code);
    }
    return false;
}

bool sat_asks(const char *text, size_t length, size_t start, size_t end, sat_buffer *scratch) {
    int32_t code;
    sat_utf8_decode(text + start, end - start, &code);
    if (sat_is_unspaced(code))
        return touches_asking(text, length, start, end);
    if (end - start > LONGEST_WORD)
        return false;
    sat_buffer_clear(scratch);
    sat_buffer_append(scratch, " ", 1);
    if (sat_text_casefold(scratch, text + start, end - start) ||
        !sat_buffer_append(scratch, " ", 1))
        return false;
    return strstr(asking_words, scratch->data) != NULL;
}
