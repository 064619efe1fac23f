/* Qwen2 and Qwen2.5 (Yang et al. 2024): Q, K and V have biases. */
#include "generate/arch.h"

const sat_arch sat_arch_qwen2 = {
    .name = "qwen2",
    .parts = SAT_PARTS_PLAIN,
    .biases = SAT_BIASES_QKV,
    .head_bias = true,
    .gate = SAT_GATE_SILU,
    .pairs = SAT_ROPE_HALVES,
};
