/* WordPiece on hostile text: valid UTF-8 must tokenize, anything else must be refused cleanly. */
#include <string.h>

#include "generate/generate.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/tiny_model.h"

static satchel_context *context;
static sat_encoder *encoder;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    satchel_error error = {0};
    if (!encoder) {
        FUZZ_CHECK(sat_context_open(&context, NULL, &error) == SATCHEL_OK);
        FUZZ_CHECK(tiny_model_open(&encoder, context, &error) == SATCHEL_OK);
    }
    int32_t tokens[64];
    size_t count = 0, again = 0;
    bool valid = sat_utf8_valid((const char *)data, size) == size;
    satchel_status status = sat_encoder_tokenize(encoder, (const char *)data, size, tokens,
                                                 SAT_COUNT(tokens), &count, &error);
    FUZZ_CHECK(valid ? status == SATCHEL_OK : status == SATCHEL_INVALID_TEXT);
    if (valid) {
        FUZZ_CHECK(count >= 2); /* [CLS] and [SEP] */
        for (size_t i = 0; i < count && i < SAT_COUNT(tokens); i++)
            FUZZ_CHECK(sat_encoder_token(encoder, tokens[i]) != NULL);
        FUZZ_CHECK(sat_encoder_tokenize(encoder, (const char *)data, size, NULL, 0, &again,
                                        &error) == SATCHEL_OK &&
                   again == count);
        float share = -1;
        FUZZ_CHECK(sat_encoder_coverage(encoder, (const char *)data, size, &share, &error) ==
                       SATCHEL_OK &&
                   share >= 0 && share <= 1);
    }
    return 0;
}
