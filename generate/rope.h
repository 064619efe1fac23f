/*
 * Rotary positions (Su et al. 2021): pairs of a head's values turn by position · frequency.
 * Frequencies are made once, from the base, tables of factors, and linear or YaRN scaling; angles
 * are taken in double, so that far positions lose nothing.
 */
#ifndef SATCHEL_GENERATE_ROPE_H
#define SATCHEL_GENERATE_ROPE_H

#include "base/base.h"
#include "generate/arch.h"

typedef enum sat_rope_scaling { SAT_ROPE_LINEAR, SAT_ROPE_YARN } sat_rope_scaling;

typedef struct sat_rope_settings {
    size_t rotated; /* values of a head that turn, even */
    double base;
    const float *factors; /* (rotated / 2) that divide frequencies, or NULL */
    sat_rope_scaling scaling;
    double factor;    /* by which positions are compressed; 1: not */
    double original;  /* context before scaling, for YaRN */
    double magnitude; /* on what turns */
} sat_rope_settings;

typedef struct sat_rope {
    size_t rotated;
    double *frequencies; // (rotated / 2)
    double magnitude;
} sat_rope;

/* frequencies: room for rotated / 2, kept. False if a frequency is no number. */
bool sat_rope_init(sat_rope *rope, const sat_rope_settings *settings, double *frequencies);
/* Cosines, then sines, of a position: (2, rotated / 2), times the magnitude. */
void sat_rope_angles(const sat_rope *rope, size_t position, float *angles);
/* Turns pairs (x[2i], x[2i + 1]) of one head in place; other pairs are sat_step_kernels.turn's. */
void sat_rope_turn_neighbours(float *x, const float *angles, size_t rotated);

#endif
