/* The architectures there are. A new one: its file, a line here, and its name below. */
#include "generate/arch.h"

#include <stddef.h>
#include <string.h>

static const sat_arch *const archs[] = {
    &sat_arch_llama,  &sat_arch_qwen2,   &sat_arch_qwen3,
    &sat_arch_gemma3, &sat_arch_smollm3, &sat_arch_phi3,
};

const char sat_arch_names[] = "llama, qwen2, qwen3, gemma3, smollm3, phi3";

const sat_arch *sat_arch_find(const char *name) {
    for (size_t i = 0; i < sizeof archs / sizeof *archs; i++)
        if (strcmp(archs[i]->name, name) == 0)
            return archs[i];
    return NULL;
}
