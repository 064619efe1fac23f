/* HTML: hostile pages. */
#include "tests/fuzz/fuzz_reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_read(sat_read_html, data, size);
    return 0;
}
