/* ModernBERT (Warner et al. 2024): norms before the blocks, without biases; rotary positions; every
 * third layer, from the first on, sees everything, the others a window. */
#include "generate/encoder_arch.h"

const sat_encoder_arch sat_arch_modern_bert = {
    .name = "modern-bert",
    .parts = SAT_PARTS_PLAIN & ~SAT_HAS(SAT_PART_GATE),
    .epsilon = -1,
    .embedding_norm = true,
    .output_norm = true,
    .bare_first = true,
    .rope = true,
    .gate = SAT_GATE_GELU,
    .activation_key = true,
    .gate_in_up = true,
    .windowed = true,
    .full_first = true,
    .window_pattern = 3,
    .window_base = 10000.0,
    .unused = {"cls", "cls.output", "cls.norm"},
};
