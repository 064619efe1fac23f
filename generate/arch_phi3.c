/* Phi-3 and Phi-3.5 (Abdin et al. 2024), mini and medium: fused Q, K, V and gate, up; two tables of
 * rope factors. A sliding window in the file's keys is not honoured, as in llama.cpp. */
#include "generate/arch.h"

const sat_arch sat_arch_phi3 = {
    .name = "phi3",
    .parts = SAT_PARTS_PLAIN & ~SAT_HAS(SAT_PART_GATE),
    .biases = SAT_BIASES_QKV,
    .gate_in_up = true,
    .gate = SAT_GATE_SILU,
    .pairs = SAT_ROPE_HALVES,
    .rope_long = true,
};
