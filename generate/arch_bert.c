/* BERT (Devlin et al. 2019), and what shares its form: MiniLM, BGE, E5; XLM-RoBERTa (Conneau et al.
 * 2020) with its Unigram vocabulary: multilingual E5 and MiniLM, BGE-M3. RoBERTa's positions begin
 * behind its padding id; GGUF's table begins at the first that is used. */
#include "generate/encoder_arch.h"

const sat_encoder_arch sat_arch_bert = {
    .name = "bert",
    .parts =
        SAT_PARTS_ATTENTION | SAT_PARTS_OUTPUT_NORM | SAT_HAS(SAT_PART_UP) | SAT_HAS(SAT_PART_DOWN),
    .biases = SAT_BIASES_QKV | SAT_HAS(SAT_PART_ATTN_OUTPUT) | SAT_BIASES_FFN,
    .epsilon = 1e-12,
    .embedding_norm = true,
    .positions = true,
    .token_types = true,
    .gate = SAT_GATE_GELU,
    .unused = {"cls", "cls.output"},
};
