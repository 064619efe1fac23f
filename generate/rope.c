/* Rotary positions: frequencies, angles, turning. */
#include "generate/rope.h"

#include <math.h>

static const double PI = 3.14159265358979323846;

/* The dimension that turns `turns` times over the original context. */
static double dimension_of(const sat_rope_settings *settings, double turns) {
    return (double)settings->rotated * log(settings->original / (turns * 2 * PI)) /
           (2 * log(settings->base));
}

bool sat_rope_init(sat_rope *rope, const sat_rope_settings *settings, double *frequencies) {
    size_t n = settings->rotated;
    double low = 0, high = 0;
    *rope = (sat_rope){n, frequencies, settings->magnitude};
    if (settings->scaling == SAT_ROPE_YARN) {
        /* Peng et al. 2023: what turns more than 32 times keeps its frequency, what turns less than
         * once is compressed, with a ramp between. */
        low = fmax(0, floor(dimension_of(settings, 32)));
        high = fmin((double)n - 1, ceil(dimension_of(settings, 1)));
        rope->magnitude *= 1 + 0.1 * log(settings->factor);
    }
    bool good = isfinite(rope->magnitude);
    for (size_t i = 0; i < n / 2; i++) {
        double frequency = pow(settings->base, -2.0 * (double)i / (double)n);
        if (settings->factors)
            frequency /= (double)settings->factors[i];
        double compressed = frequency / settings->factor;
        if (settings->scaling == SAT_ROPE_YARN) {
            double ramp = fmin(1, fmax(0, ((double)i - low) / fmax(0.001, high - low)));
            compressed = compressed * ramp + frequency * (1 - ramp);
        }
        frequencies[i] = compressed;
        good &= isfinite(compressed) != 0;
    }
    return good;
}

void sat_rope_angles(const sat_rope *rope, size_t position, float *angles) {
    size_t half = rope->rotated / 2;
    for (size_t i = 0; i < half; i++) {
        double angle = (double)position * rope->frequencies[i];
        angles[i] = (float)(cos(angle) * rope->magnitude);
        angles[half + i] = (float)(sin(angle) * rope->magnitude);
    }
}

void sat_rope_turn_neighbours(float *x, const float *angles, size_t rotated) {
    const float *sines = angles + rotated / 2;
    for (size_t i = 0; i < rotated / 2; i++) {
        float a = x[2 * i], b = x[2 * i + 1];
        x[2 * i] = a * angles[i] - b * sines[i];
        x[2 * i + 1] = a * sines[i] + b * angles[i];
    }
}
