/* Llama 2 and 3 (Touvron et al. 2023; Grattafiori et al. 2024), and what shares its form: Mistral,
 * TinyLlama, SmolLM2. A sliding window in the file's keys is not honoured, as in llama.cpp. */
#include "generate/arch.h"

const sat_arch sat_arch_llama = {
    .name = "llama",
    .parts = SAT_PARTS_PLAIN,
    .biases = SAT_BIASES_QKV | SAT_HAS(SAT_PART_ATTN_OUTPUT) | SAT_BIASES_FFN,
    .gate = SAT_GATE_SILU,
    .pairs = SAT_ROPE_NEIGHBOURS,
    .rope_freqs = true,
    .rope_long = true,
};
