/* Filters: hostile JSON against a small store. */
#include <string.h>
#include <unistd.h>

#include "sdk/include/satchel.h"
#include "tests/fuzz/fuzz.h"

static satchel_context *context;
static satchel_store *store;

static void open_store(void) {
    static char path[64];
    satchel_error error;
    snprintf(path, sizeof path, "/tmp/satchel-fuzz-filter-%d", (int)getpid());
    unlink(path);
    FUZZ_CHECK(satchel_context_open(&context, NULL, &error) == SATCHEL_OK);
    FUZZ_CHECK(satchel_store_open(&store, context, path, NULL, &error) == SATCHEL_OK);
    satchel_add_options options;
    satchel_add_options_init(&options, sizeof options);
    options.metadata = "{\"author\":\"Ines\",\"tags\":[\"oil\",\"fog\"],\"year\":1911,\"ok\":true}";
    FUZZ_CHECK(satchel_store_add_text(store, "notes/a", "Trim the wick.", 14, &options, &error) ==
               SATCHEL_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (!store)
        open_store();
    if (size > 1 << 16)
        return 0;
    static char filter[(1 << 16) + 1];
    memcpy(filter, data, size);
    filter[size] = '\0';
    satchel_search_options options;
    satchel_search_options_init(&options, sizeof options);
    options.filter = filter;
    satchel_results *results = NULL;
    satchel_error error = {0};
    satchel_status status = satchel_search(&results, store, "wick", &options, &error);
    FUZZ_CHECK(status == SATCHEL_OK || status == SATCHEL_INVALID_FILTER ||
               status == SATCHEL_LIMIT || status == SATCHEL_INVALID_TEXT);
    FUZZ_CHECK(status == SATCHEL_OK || error.message[0]);
    satchel_results_close(&results);
    return 0;
}
