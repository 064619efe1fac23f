/* See alike.h. */
#include "retrieval/alike.h"

#include <stdlib.h>

#define DUPLICATE_SHARE 0.9f

static int compare_hash(const void *a, const void *b) {
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

size_t sat_hashes_distinct(uint64_t *hashes, size_t count) {
    if (count == 0)
        return 0;
    qsort(hashes, count, sizeof *hashes, compare_hash);
    size_t distinct = 1;
    for (size_t i = 1; i < count; i++)
        if (hashes[i] != hashes[distinct - 1])
            hashes[distinct++] = hashes[i];
    return distinct;
}

bool sat_term_sets_alike(const sat_term_set *a, const sat_term_set *b) {
    size_t i = 0, j = 0, both = 0;
    while (i < a->count && j < b->count) {
        uint64_t left = a->hashes[i], right = b->hashes[j];
        both += left == right;
        i += left <= right;
        j += right <= left;
    }
    size_t fewer = a->count < b->count ? a->count : b->count;
    return fewer > 0 && (float)both >= DUPLICATE_SHARE * (float)fewer;
}
