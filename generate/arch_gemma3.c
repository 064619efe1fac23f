/* Gemma 3, text (Gemma Team 2025): five windowed layers with a rope base of their own to one that
 * sees everything; norms before and after both blocks, and of the heads of Q and K. */
#include "generate/arch.h"

const sat_arch sat_arch_gemma3 = {
    .name = "gemma3",
    .parts = SAT_PARTS_PLAIN | SAT_PARTS_QK_NORM | SAT_PARTS_POST_NORM,
    .biases = SAT_BIASES_QKV,
    .gate = SAT_GATE_GELU_TANH,
    .pairs = SAT_ROPE_HALVES,
    .windowed = true,
    .window_pattern = 6,
    .window_base = 10000.0,
    .scaled_embedding = true,
    .logit_cap = true,
    .wide_scale_layers = 62, /* the 27B model */
};
