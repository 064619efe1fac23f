/* Sets of code points that a pretokenizer names by ranges and not by a Unicode category. */
#ifndef SATCHEL_GENERATE_PRETOKENIZE_SETS_H
#define SATCHEL_GENERATE_PRETOKENIZE_SETS_H

#include <stdbool.h>
#include <stdint.h>

/* The letters of deepseek-llm's words: those with a case in the Unicode of its time, less the
 * mathematical ones and modern Georgian. */
bool sat_pretoken_cased(int32_t code);

#endif
