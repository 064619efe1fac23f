/* What a file's tensors are, as a hash, for fingerprints. */
#include "generate/gguf.h"

#include <string.h>

void sat_gguf_sample(const sat_gguf *gguf, sat_sha256 *hash) {
    enum { SAMPLE = 256 };
    for (size_t i = 0; i < gguf->tensor_count; i++) {
        const sat_tensor *tensor = &gguf->tensors[i];
        const uint8_t *data = tensor->data;
        uint64_t length = strlen(tensor->name);
        sat_sha256_add(hash, &length, sizeof length);
        sat_sha256_add(hash, tensor->name, (size_t)length);
        sat_sha256_add(hash, tensor->shape, sizeof tensor->shape);
        sat_sha256_add(hash, &tensor->type, sizeof tensor->type);
        size_t size = (size_t)tensor->bytes, sample = size < SAMPLE ? size : SAMPLE;
        if (data) {
            sat_sha256_add(hash, data, sample);
            sat_sha256_add(hash, data + (size - sample) / 2, sample);
            sat_sha256_add(hash, data + (size - sample), sample);
        }
    }
}
