/*
 * What a decoder's architecture is, as data: which tensors a layer has, where norms stand, how
 * positions turn, which layers see how far. One small file each (arch_<name>.c), listed in arch.c;
 * names of keys and tensors are llama.cpp's. Sizes are not here: a file's keys give them.
 */
#ifndef SATCHEL_GENERATE_ARCH_H
#define SATCHEL_GENERATE_ARCH_H

#include <stdbool.h>
#include <stdint.h>

/* The tensors a layer may have, "blk.N.<stem>.weight". */
typedef enum sat_part {
    SAT_PART_ATTN_NORM,
    SAT_PART_QKV, /* Q, K and V one after the other; stands for the three in any architecture */
    SAT_PART_Q,
    SAT_PART_K,
    SAT_PART_V,
    SAT_PART_Q_NORM, /* of each head, before rope */
    SAT_PART_K_NORM,
    SAT_PART_ATTN_OUTPUT,
    SAT_PART_ATTN_POST_NORM, /* of attention's output, before it is added */
    SAT_PART_FFN_NORM,
    SAT_PART_GATE,
    SAT_PART_UP,
    SAT_PART_DOWN,
    SAT_PART_FFN_POST_NORM,
    SAT_PART_ATTN_OUTPUT_NORM, /* of encoders: of the sum */
    SAT_PART_LAYER_NORM,
    SAT_PARTS
} sat_part;

#define SAT_HAS(part) (UINT32_C(1) << (part))

#define SAT_PARTS_ATTENTION                                                                        \
    (SAT_HAS(SAT_PART_Q) | SAT_HAS(SAT_PART_K) | SAT_HAS(SAT_PART_V) |                             \
     SAT_HAS(SAT_PART_ATTN_OUTPUT))
/* What every decoder here has: pre-norms, attention, a gated feed-forward network. */
#define SAT_PARTS_PLAIN                                                                            \
    (SAT_PARTS_ATTENTION | SAT_HAS(SAT_PART_ATTN_NORM) | SAT_HAS(SAT_PART_FFN_NORM) |              \
     SAT_HAS(SAT_PART_GATE) | SAT_HAS(SAT_PART_UP) | SAT_HAS(SAT_PART_DOWN))
#define SAT_PARTS_OUTPUT_NORM (SAT_HAS(SAT_PART_ATTN_OUTPUT_NORM) | SAT_HAS(SAT_PART_LAYER_NORM))
#define SAT_PARTS_QK_NORM (SAT_HAS(SAT_PART_Q_NORM) | SAT_HAS(SAT_PART_K_NORM))
#define SAT_PARTS_POST_NORM (SAT_HAS(SAT_PART_ATTN_POST_NORM) | SAT_HAS(SAT_PART_FFN_POST_NORM))
#define SAT_BIASES_QKV                                                                             \
    (SAT_HAS(SAT_PART_QKV) | SAT_HAS(SAT_PART_Q) | SAT_HAS(SAT_PART_K) | SAT_HAS(SAT_PART_V))
#define SAT_BIASES_FFN (SAT_HAS(SAT_PART_GATE) | SAT_HAS(SAT_PART_UP) | SAT_HAS(SAT_PART_DOWN))

/* Which two values of a head turn together. */
typedef enum sat_rope_pairs {
    SAT_ROPE_NEIGHBOURS, /* 2i and 2i + 1 */
    SAT_ROPE_HALVES      /* i and i + n / 2 */
} sat_rope_pairs;

/* GELU: the exact one, of encoders. */
typedef enum sat_gate { SAT_GATE_SILU, SAT_GATE_GELU_TANH, SAT_GATE_GELU } sat_gate;

typedef struct sat_arch {
    const char *name; /* general.architecture; keys begin with it */
    uint32_t parts;   /* SAT_HAS() of what each layer must have */
    uint32_t biases;  /* of parts that may have "<stem>.bias" */
    bool head_bias;   /* "output.bias" may be there */
    bool gate_in_up;  /* ffn_up is gate and up, one after the other */
    sat_gate gate;
    sat_rope_pairs pairs;
    bool rope_freqs;        /* "rope_freqs.weight" may divide frequencies */
    bool rope_long;         /* "rope_factors_long" and "_short" may */
    uint32_t no_rope_every; /* every n-th layer has no positions; 0: none */
    /* Sliding window: attention.sliding_window is honoured, but for every n-th layer, or as
     * attention.sliding_window_pattern says; windowed layers have a rope base of their own. */
    bool windowed;
    uint32_t window_pattern;
    double window_base;    /* without rope.freq_base_swa */
    bool scaled_embedding; /* by √dimension */
    bool logit_cap;        /* final_logit_softcapping is honoured */
    /* With so many layers queries are scaled by 1/√(dimension / heads), not 1/√head. */
    uint32_t wide_scale_layers;
} sat_arch;

/* NULL if there is none of this name. */
const sat_arch *sat_arch_find(const char *name);
/* The names, for messages: "llama, qwen2, …". */
extern const char sat_arch_names[];

extern const sat_arch sat_arch_gemma3, sat_arch_llama, sat_arch_phi3, sat_arch_qwen2,
    sat_arch_qwen3, sat_arch_smollm3;

#endif
