/*
 * What a text encoder's architecture is, as data: which tensors a layer has, where norms stand, how
 * tokens know their places, what follows pooling. One small file each (arch_<name>.c), listed in
 * encoder_arch.c; names of keys and tensors are llama.cpp's. Sizes are not here: a file's keys give
 * them.
 *
 *   x = embedding_norm(scale · token + position + type 0)
 *   each layer:
 *     y = output(attention(attn_norm(x)))
 *     x = attn_output_norm(x + attn_post_norm(y))
 *     y = down(act(gate) · up)(ffn_norm(x))
 *     x = layer_output_norm(x + ffn_post_norm(y))
 *   vector = dense_3(dense_2(pool(output_norm(x)))), its first so many values, of length 1
 *
 * A norm that an architecture does not have is left out.
 */
#ifndef SATCHEL_GENERATE_ENCODER_ARCH_H
#define SATCHEL_GENERATE_ENCODER_ARCH_H

#include "generate/arch.h"

typedef struct sat_encoder_arch {
    const char *name; /* general.architecture; keys begin with it */
    uint32_t parts;   /* SAT_HAS() of what each layer must have; "attn_qkv" may stand for Q, K, V */
    uint32_t biases;  /* of parts that may have "<stem>.bias" */
    bool rms;         /* norms are RMSNorm, else LayerNorm, whose bias may be missing */
    double epsilon;   /* of norms where the file's key is missing; below 0: it must be there */
    bool embedding_norm, output_norm; /* "token_embd_norm", "output_norm" */
    bool bare_first;                  /* the first layer may lack attn_norm */
    bool positions;                   /* "position_embd" is added to the tokens */
    bool token_types;                 /* "token_types", row 0, may be, too */
    bool scaled_embedding;            /* by √dimension */
    bool rope;                        /* of halves: values i and i + n / 2 turn together */
    sat_gate gate;                    /* GELU where there is no gate */
    bool activation_key;              /* hidden_activation may say another: gelu, silu */
    bool gate_in_up;                  /* ffn_up is gate and up, one after the other */
    /* A token sees half of attention.sliding_window to either side, but in every n-th layer, the
     * first or the last of n, all; windowed layers have a rope base of their own. */
    bool windowed, full_first;
    uint32_t window_pattern;
    double window_base;    /* without rope.freq_base_swa */
    bool dense;            /* "dense_2" and "dense_3" may follow pooling */
    const char *prefix[2]; /* by SATCHEL_ROLE_*, where neither options nor file say one; or NULL */
    const char *unused[4]; /* stems of tensors that vectors do not need: heads of classifiers */
} sat_encoder_arch;

/* NULL if there is none of this name. */
const sat_encoder_arch *sat_encoder_arch_find(const char *name);
/* The names, for messages. */
extern const char sat_encoder_arch_names[];

extern const sat_encoder_arch sat_arch_bert, sat_arch_gemma_embedding, sat_arch_modern_bert,
    sat_arch_nomic_bert;

#endif
