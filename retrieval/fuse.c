/*
 * Ranking. The sum of standardised scores keeps what a rank throws away: how far the best stands
 * out. It is never worse than the better part by more than noise, where reciprocal rank fusion lets
 * a weak part pull down a strong one.
 */
#include "retrieval/fuse.h"

#include <math.h>

/* So many values the prior counts as, and from so many on it does not. */
#define PRIOR_COUNT 8.0
#define ENOUGH 64.0

sat_scale sat_scale_of(const float *values, const uint8_t *pass, size_t count, double prior) {
    double sum = 0, squares = 0;
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        if ((pass && !pass[i]) || isnan(values[i]))
            continue;
        sum += values[i];
        n++;
    }
    if (n == 0)
        return (sat_scale){0, 0};
    double mean = sum / (double)n;
    for (size_t i = 0; i < count; i++) {
        if ((pass && !pass[i]) || isnan(values[i]))
            continue;
        double off = values[i] - mean;
        squares += off * off;
    }
    if (!(squares > 1e-12 * (double)n))
        return (sat_scale){mean, 0};
    double expected = prior > 0 ? PRIOR_COUNT * fmax(0, 1 - (double)n / ENOUGH) : 0;
    double variance = (squares + expected * prior * prior) / ((double)n + expected);
    return (sat_scale){mean, sqrt(variance)};
}

float sat_scale_apply(sat_scale scale, float value) {
    if (isnan(value) || scale.deviation == 0)
        return 0;
    return (float)((value - scale.mean) / scale.deviation);
}

/* True if index a ranks behind index b. */
static bool behind(const float *scores, const int64_t *ids, uint32_t a, uint32_t b) {
    if (scores[a] != scores[b])
        return scores[a] < scores[b];
    return ids[a] > ids[b];
}

/* Restores the heap below `at`: each parent ranks behind its children, so the worst is on top. */
static void sink(const float *scores, const int64_t *ids, uint32_t *heap, size_t count, size_t at) {
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= count)
            return;
        if (child + 1 < count && behind(scores, ids, heap[child + 1], heap[child]))
            child++;
        if (!behind(scores, ids, heap[child], heap[at]))
            return;
        uint32_t swap = heap[at];
        heap[at] = heap[child];
        heap[child] = swap;
        at = child;
    }
}

size_t sat_top(const float *scores, const int64_t *ids, size_t count, uint32_t *out, size_t k) {
    size_t filled = 0;
    if (k == 0)
        return 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t at = (uint32_t)i;
        if (isnan(scores[i]))
            continue;
        if (filled < k) {
            out[filled++] = at;
            if (filled == k) {
                for (size_t parent = k / 2; parent-- > 0;)
                    sink(scores, ids, out, k, parent);
            }
        } else if (behind(scores, ids, out[0], at)) {
            out[0] = at;
            sink(scores, ids, out, k, 0);
        }
    }
    if (filled < k) {
        for (size_t parent = filled / 2; parent-- > 0;)
            sink(scores, ids, out, filled, parent);
    }
    /* Taking the worst off the top again and again leaves the best first. */
    for (size_t left = filled; left > 1; left--) {
        uint32_t worst = out[0];
        out[0] = out[left - 1];
        out[left - 1] = worst;
        sink(scores, ids, out, left - 1, 0);
    }
    return filled;
}
