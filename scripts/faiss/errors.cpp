/* The last error of FAISS's C API on this thread, in place of c_api/error_impl.cpp; see errors.h. */
#include "errors.h"

#include <cstddef>

/* initial-exec: part of a thread from its start, never allocated later. */
static thread_local char last[256] __attribute__((tls_model("initial-exec")));

void sat_faiss_remember(const char *message) noexcept {
    size_t i = 0;
    for (; message[i] && i + 1 < sizeof last; i++)
        last[i] = message[i];
    last[i] = 0;
}

const char *faiss_get_last_error() {
    return last[0] ? last : nullptr;
}
