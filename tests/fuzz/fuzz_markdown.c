/* Markdown: hostile notes. */
#include "tests/fuzz/fuzz_reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_read(sat_read_markdown, data, size);
    return 0;
}
