/* Qwen3 (Yang et al. 2025): heads of Q and K are normalised; no biases. */
#include "generate/arch.h"

const sat_arch sat_arch_qwen3 = {
    .name = "qwen3",
    .parts = SAT_PARTS_PLAIN | SAT_PARTS_QK_NORM,
    .biases = SAT_BIASES_QKV,
    .gate = SAT_GATE_SILU,
    .pairs = SAT_ROPE_HALVES,
};
