/* SmolLM3 (Hugging Face 2025): Llama's form without positions in every fourth layer. */
#include "generate/arch.h"

const sat_arch sat_arch_smollm3 = {
    .name = "smollm3",
    .parts = SAT_PARTS_PLAIN,
    .biases = SAT_BIASES_QKV | SAT_HAS(SAT_PART_ATTN_OUTPUT) | SAT_BIASES_FFN,
    .gate = SAT_GATE_SILU,
    .pairs = SAT_ROPE_NEIGHBOURS,
    .no_rope_every = 4,
};
