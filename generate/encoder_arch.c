/* The encoders' architectures there are. A new one: its file, a line here, and its name below. */
#include "generate/encoder_arch.h"

#include <stddef.h>
#include <string.h>

static const sat_encoder_arch *const archs[] = {
    &sat_arch_bert,
    &sat_arch_nomic_bert,
    &sat_arch_modern_bert,
    &sat_arch_gemma_embedding,
};

const char sat_encoder_arch_names[] = "bert, nomic-bert, modern-bert, gemma-embedding";

const sat_encoder_arch *sat_encoder_arch_find(const char *name) {
    for (size_t i = 0; i < sizeof archs / sizeof *archs; i++)
        if (strcmp(archs[i]->name, name) == 0)
            return archs[i];
    return NULL;
}
