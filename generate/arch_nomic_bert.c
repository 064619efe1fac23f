/* Nomic BERT (Nussbaum et al. 2024): BERT's norms, rotary positions, a gated feed-forward
 * network. */
#include "generate/encoder_arch.h"
#include "sdk/include/satchel.h"

const sat_encoder_arch sat_arch_nomic_bert = {
    .name = "nomic-bert",
    .parts = SAT_PARTS_ATTENTION | SAT_PARTS_OUTPUT_NORM | SAT_HAS(SAT_PART_GATE) |
             SAT_HAS(SAT_PART_UP) | SAT_HAS(SAT_PART_DOWN),
    .biases = SAT_BIASES_QKV | SAT_HAS(SAT_PART_ATTN_OUTPUT) | SAT_BIASES_FFN,
    .epsilon = -1,
    .embedding_norm = true,
    .token_types = true,
    .rope = true,
    .gate = SAT_GATE_SILU,
    .prefix =
        {[SATCHEL_ROLE_DOCUMENT] = "search_document: ", [SATCHEL_ROLE_QUERY] = "search_query: "},
};
