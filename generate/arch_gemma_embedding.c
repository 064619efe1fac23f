/* EmbeddingGemma (Schechter Vera et al. 2025): Gemma 3 that sees to both sides, two dense layers
 * behind the mean; the first 512, 256 or 128 values of its vectors are vectors too (Kusupati et al.
 * 2022). */
#include "generate/encoder_arch.h"
#include "sdk/include/satchel.h"

const sat_encoder_arch sat_arch_gemma_embedding = {
    .name = "gemma-embedding",
    .parts = SAT_PARTS_PLAIN | SAT_PARTS_QK_NORM | SAT_PARTS_POST_NORM,
    .rms = true,
    .epsilon = -1,
    .output_norm = true,
    .scaled_embedding = true,
    .rope = true,
    .gate = SAT_GATE_GELU_TANH,
    .windowed = true,
    .window_pattern = 6,
    .window_base = 10000.0,
    .dense = true,
    .prefix = {[SATCHEL_ROLE_DOCUMENT] = "title: none | text: ",
               [SATCHEL_ROLE_QUERY] = "task: search result | query: "},
    .unused = {"output"},
};
